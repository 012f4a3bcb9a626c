/* Block header: fixed layout of CN_HEADER_LEN bytes, digest = T("carnet/block", header).
 *
 * version u32 | kind u8 | epoch u64 | height u64 | time_ms u64 | parent 32 | log_size u64 | log_root 32 |
 * state_root 32 | body digest 32 | set 32 | next set 32 */
#ifndef CARNET_PROTO_HEADER_H
#define CARNET_PROTO_HEADER_H

#include "proto/bytes.h"
#include "proto/digest.h"
#include "proto/status.h"

#define CN_HEADER_LEN 229

typedef enum cn_block_kind {
    CN_BLOCK_NORMAL = 0,     /* statements; repeats the parent's state_root */
    CN_BLOCK_CHECKPOINT = 1, /* no statements; state_root = the map after everything before it */
    CN_BLOCK_CLOSING = 2,    /* a checkpoint that ends its epoch (R11); block 0 is one too */
} cn_block_kind;

typedef struct cn_header {
    uint32_t version;
    uint8_t kind;
    uint64_t epoch;
    uint64_t height;
    uint64_t time_ms;
    cn_digest parent;
    uint64_t log_size;
    cn_digest log_root;
    cn_digest state_root;
    cn_digest body;
    cn_digest set;
    cn_digest next_set;
} cn_header;

void cn_header_encode(const cn_header *h, uint8_t out[CN_HEADER_LEN]);
/* Refuses another length, version or kind. */
cn_status cn_header_decode(const void *p, size_t n, cn_header *ret, cn_err *err);
cn_digest cn_header_digest(const cn_header *h);
cn_digest cn_header_digest_bytes(const uint8_t bytes[CN_HEADER_LEN]);

/* T("carnet/body", record digests in order); the empty list is T of the empty string. */
cn_digest cn_body_digest(const cn_digest *records, size_t count);

#endif
