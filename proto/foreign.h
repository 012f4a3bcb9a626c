/* Proofs from another Carnet network (docs/foreign-proofs.md): what every validator checks before one is recorded, and
 * an offline verifier again. Pure: bytes, and what is known of that network, decide.
 *
 * version u8, 1 | kind u8 | network 32 | epoch u64 | rows: n u8, n times 182 | then, of a statement:
 *   headers: count u8, 229 each | finalization: length u16 | log index u64 | path: length u8, 32 each |
 *   key type u8 | public key 33 or 32 | record: length u32
 * of an advance: count u8, each: closing header 229 | finalization: length u16 | rows: n u8, n times 182
 *
 * The rows are those of the epoch that is known; their digest is compared before any signature costs anything. */
#ifndef CARNET_PROTO_FOREIGN_H
#define CARNET_PROTO_FOREIGN_H

#include "proto/epoch.h"
#include "proto/merkle.h"
#include "proto/state.h"
#include "proto/statement.h"

typedef enum cn_foreign_kind {
    CN_FOREIGN_STATEMENT = 1, /* a statement that is final there */
    CN_FOREIGN_ADVANCE = 2,   /* closing blocks: other validators decide there now */
} cn_foreign_kind;

typedef struct cn_foreign_step {
    cn_header closing;
    cn_span finalization, rows; /* by the set before; of the set after */
} cn_foreign_step;

/* Spans point into the bytes that were read. Large: allocate it. */
typedef struct cn_foreign_proof {
    cn_foreign_kind kind;
    cn_digest network;
    uint64_t epoch;
    cn_span rows;
    /* a statement */
    size_t header_count;
    cn_header header[CN_MAX_FOREIGN_HEADERS]; /* the checkpoint first, the finalized one last */
    cn_span finalization;
    uint64_t log_index;
    size_t path_len;
    cn_digest path[CN_PROOF_MAX];
    cn_public_key key; /* that signed it */
    cn_span record;    /* fields 1 and 2 of the SignedStatement */
    /* an advance */
    size_t step_count;
    cn_foreign_step step[CN_MAX_FOREIGN_STEPS];
} cn_foreign_proof;

/* Strict and bounded; says nothing about signatures. */
cn_status cn_foreign_read(const void *p, size_t n, cn_foreign_proof *ret, cn_err *err);
/* Appends it. CN_TOO_LARGE: it would have more than CN_MAX_FOREIGN_BYTES, and out is as before. */
cn_status cn_foreign_write(const cn_foreign_proof *p, cn_buf *out, cn_err *err);

/* Cheap: the network is not withdrawn, the proof is of the newest epoch known of it and brings the set of that epoch,
 * and its blocks come after those that are known. */
cn_status cn_foreign_fits(const cn_foreign_proof *p, const cn_state_foreign *known, cn_err *err);
/* The id of the foreign statement; CN_INVALID and others: its record does not decode. */
cn_status cn_foreign_statement(const cn_foreign_proof *p, cn_digest *ret, cn_err *err);
/* All that costs, and no state decides. A statement: that it belongs to the network, is signed by the key that comes
 * with it, lies in the log of the checkpoint, and that a quorum of the rows made a block final which is the checkpoint
 * or leads back to it. That the key had authority is what that quorum vouches for: its validators recorded the
 * statement. An advance: that each closing block was made final by the set before it. */
cn_status cn_foreign_check(const cn_foreign_proof *p, cn_err *err);
/* What is known after an advance that fits and holds. */
void cn_foreign_move(const cn_foreign_proof *p, cn_state_foreign *known);

/* What a proposal of action 5 asks for. Of a withdrawal only status and network say something. */
cn_state_foreign cn_foreign_proposed(const cn_proposal_payload *p);
/* What it makes of what was registered before (NULL: nothing). CN_CONFLICT: a network in force only moves on, and one
 * that is not in force cannot be withdrawn. */
cn_status cn_foreign_decide(const cn_state_foreign *proposed, const cn_state_foreign *was, cn_state_foreign *ret,
                            cn_err *err);

#endif
