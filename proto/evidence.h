/* R10: a transferable proof of misbehaviour: two votes by one validator in one view of one epoch that no honest one
 * signs.
 *
 * version u8 1 | epoch u64 | view u64 | signer u16 | twice (kind u8 | block 32, zeros for nullify | signature 64), the
 * first one not after the second in the order of (kind, block). */
#ifndef CARNET_PROTO_EVIDENCE_H
#define CARNET_PROTO_EVIDENCE_H

#include "proto/quorum.h"

#define CN_EVIDENCE_LEN (1 + 8 + 8 + 2 + 2 * (1 + 32 + 64))

typedef struct cn_evidence_vote {
    uint8_t kind; /* cn_vote_kind */
    cn_digest block;
    cn_signature signature;
} cn_evidence_vote;

typedef struct cn_evidence {
    uint64_t epoch, view;
    uint16_t signer; /* place in the set of the epoch */
    cn_evidence_vote vote[2];
} cn_evidence;

/* The votes may come in either order. */
void cn_evidence_encode(const cn_evidence *e, uint8_t out[CN_EVIDENCE_LEN]);
/* Strict; CN_INVALID for two votes that an honest validator may sign both. Verifies no signature. */
cn_status cn_evidence_decode(const void *p, size_t n, cn_evidence *ret, cn_err *err);
/* Both signatures, by the set of that epoch. */
cn_status cn_evidence_verify(const cn_evidence *e, const cn_digest *network, const cn_validator_set *set, cn_err *err);
/* "notarized two blocks", "finalized two blocks" or "finalized and nullified". */
const char *cn_evidence_text(const cn_evidence *e);

#endif
