/* R11: the chain of closing blocks, which leads from one validator set to the next. What a node and an offline verifier
 * share. */
#ifndef CARNET_PROTO_EPOCH_H
#define CARNET_PROTO_EPOCH_H

#include "proto/header.h"
#include "proto/quorum.h"

typedef struct cn_epoch {
    uint64_t epoch;
    uint64_t height;   /* of the closing block that began it; 0 for the first */
    cn_digest opening; /* that block's digest; zeros where the chain did not show it */
    cn_digest digest;  /* of the set */
    cn_validator_set set;
} cn_epoch;

/* One link: closing ends e->epoch, its finalization by e's set says so, and rows are those of header.next_set. Then *e
 * is the next epoch; on failure it is as before, and err->field is "header", "rows" or "finalization". */
cn_status cn_epoch_advance(cn_epoch *e, const cn_digest *network, const cn_header *closing, cn_span finalization,
                           cn_span rows, cn_err *err);
/* A finalization of the block in this epoch, by its set; exactly these bytes. */
cn_status cn_epoch_check_finalization(const cn_epoch *e, const cn_digest *network, cn_span finalization,
                                      const cn_digest *block, cn_err *err);

/* ---- ballots on one proposal: bits by place in the set of its epoch ---- */
typedef enum cn_outcome { CN_OUTCOME_OPEN, CN_OUTCOME_ACCEPTED, CN_OUTCOME_REJECTED } cn_outcome;

/* A member votes once; while an accepted change waits for readiness (`waiting`) it may say the opposite of its ballot.
 * False: it has said so already, and nothing changes. */
bool cn_ballot_cast(uint32_t *approvals, uint32_t *refusals, unsigned place, bool approve, bool waiting);
/* Of a set of n: accepted with `threshold` approvals. Rejected once these cannot be reached any more, when more than
 * half of the set refuses (with a low threshold the few who approved may be lost, and could not take it back), or when
 * a waiting change has lost its approvals: it is called off. */
cn_outcome cn_ballot_outcome(uint32_t approvals, uint32_t refusals, unsigned n, unsigned threshold, bool waiting);

#endif
