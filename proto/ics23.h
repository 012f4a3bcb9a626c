/* ICS-23 proofs over the state map, in the shape of `tendermintSpec` (ledger.md, State map):
 * leaf = SHA256(0x00 | uvarint(len key) | key | 0x20 | SHA256(value)), node = SHA256(0x01 | left | right).
 * Verification is strict: only the exact LeafOp and InnerOp shapes of proofs.md are accepted. */
#ifndef CARNET_PROTO_ICS23_H
#define CARNET_PROTO_ICS23_H

#include "proto/bytes.h"
#include "proto/digest.h"
#include "proto/status.h"

#define CN_STATE_KEY_LEN 33
#define CN_STATE_VALUE_MAX 4096
#define CN_ICS23_MAX_DEPTH 264 /* a crit-bit tree over 33-byte keys is never deeper */

typedef struct cn_state_key {
    uint8_t b[CN_STATE_KEY_LEN];
} cn_state_key;

cn_digest cn_state_leaf_hash(const cn_state_key *key, const void *value, size_t value_len);

/* One step from a node to its parent. */
typedef struct cn_ics23_step {
    bool is_left; /* the node is its parent's LEFT child: the sibling is on the right */
    cn_digest sibling;
} cn_ics23_step;

/* An existence proof: the value lies under key; steps lead from the leaf to the root. */
typedef struct cn_ics23_existence {
    cn_state_key key;
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t value_len;
    size_t depth;
    cn_ics23_step step[CN_ICS23_MAX_DEPTH];
} cn_ics23_existence;

/* The neighbours of an absent key in key order; at least one is there, both unless key is at an end of the map. */
typedef struct cn_ics23_absence {
    cn_state_key key;
    bool has_left, has_right;
    cn_ics23_existence left, right;
} cn_ics23_absence;

bool cn_ics23_verify_existence(const cn_ics23_existence *proof, const cn_digest *root, const cn_state_key *key,
                               const void *value, size_t value_len);
bool cn_ics23_verify_absence(const cn_ics23_absence *proof, const cn_digest *root, const cn_state_key *key);

/* cosmos.ics23.v1.CommitmentProof protobuf bytes (exist = 1, nonexist = 2), deterministic; and the strict reader, which
 * accepts only what re-encodes to the same bytes. ret structures are large: keep them off small stacks. */
cn_status cn_ics23_encode_existence(const cn_ics23_existence *proof, cn_buf *out);
cn_status cn_ics23_encode_absence(const cn_ics23_absence *proof, cn_buf *out);
cn_status cn_ics23_decode_existence(const void *p, size_t n, cn_ics23_existence *ret, cn_err *err);
cn_status cn_ics23_decode_absence(const void *p, size_t n, cn_ics23_absence *ret, cn_err *err);

#endif
