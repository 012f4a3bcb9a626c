/* What is recorded about erasing (docs/erasure.md): orders, and attestations that they were carried out. */
#ifndef CARNET_NODE_API_ERASURES_H
#define CARNET_NODE_API_ERASURES_H

#include "proto/statement.h"
#include "storage/store.h"

/* Calls visit with each order and attestation among the first log_size statements, in the order of the log, until it
 * returns false. The statement is the caller's of this function only as long as visit runs. */
typedef bool cn_erasures_visit(void *ctx, const cn_statement *s, uint64_t log_index);
cn_status cn_erasures_each(cn_snapshot *snap, const uint8_t *salt, uint64_t log_size, cn_erasures_visit *visit,
                           void *ctx, cn_err *err);

#define CN_ERASURES_SHOWN 64u /* orders about one batch in one answer */
typedef struct cn_erasure_order {
    cn_digest id;
    uint64_t log_index;
    uint32_t start, count, reason;
} cn_erasure_order;
/* The orders about a batch, ascending; at most cap of them. */
cn_status cn_erasures_of(cn_snapshot *snap, const uint8_t *salt, uint64_t log_size, const cn_digest *batch,
                         cn_erasure_order *ret, size_t cap, size_t *ret_count, cn_err *err);

#endif
