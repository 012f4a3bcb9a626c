/* One statement being applied: what rules.c and governance.c share. Private to node/ledger. */
#ifndef CARNET_NODE_LEDGER_APPLY_H
#define CARNET_NODE_LEDGER_APPLY_H

#include "node/ledger/internal.h"

#define CN_MAX_WRITES (CN_MAX_SALVAGED + 8)

typedef struct cn_subject_claim {
    cn_digest tag;
    uint64_t first_ms, last_ms;
} cn_subject_claim;

typedef struct cn_apply_write {
    cn_state_key key;
    uint16_t n;
    uint8_t *value;
} cn_apply_write;

typedef struct cn_apply {
    cn_ledger_block *b;
    cn_stmt *stmt;
    const cn_statement *s; /* of stmt */
    uint64_t index;        /* its log index */
    const uint8_t *salt;
    cn_digest key_id;
    cn_state_device_key key; /* the signer's, with its new chain head */
    cn_apply_write *writes;
    size_t write_count;
    cn_subject_claim *subjects;
    size_t subject_count, subject_cap;
} cn_apply;

/* rules.c: nothing is written before the whole statement holds */
void cn_apply_put(cn_apply *a, cn_state_type type, const void *id, size_t id_len, const uint8_t *value, size_t n);
void cn_apply_put_member(cn_apply *a, const cn_digest *id, const cn_state_member *member);
void cn_apply_about(cn_apply *a, const cn_digest *tag); /* the statement is in the tree of this subject */
void cn_apply_about_member(cn_apply *a, const cn_digest *member);
void cn_apply_about_governance(cn_apply *a);
bool cn_apply_get_member(const cn_ledger_block *b, const cn_digest *id, cn_state_member *ret);
cn_status cn_apply_need_capture(const cn_apply *a, cn_err *err);

/* governance.c */
cn_status cn_apply_proposal(cn_apply *a, cn_err *err);
cn_status cn_apply_ballot(cn_apply *a, cn_err *err);
cn_status cn_apply_readiness(cn_apply *a, cn_err *err);

/* foreign.c */
cn_status cn_apply_foreign(cn_apply *a, cn_err *err);
void cn_apply_about_network(cn_apply *a, const cn_digest *network);
/* A proposal of action 5: what it would make known goes into the row of its state. */
cn_status cn_apply_foreign_propose(const cn_apply *a, const cn_proposal_payload *p, uint8_t row[CN_SET_ROW_LEN],
                                   cn_err *err);
/* It is accepted: writes what the row says. */
cn_status cn_apply_foreign_decided(cn_apply *a, const cn_state_proposal *p, cn_err *err);

/* erasure.c */
cn_status cn_apply_erasure(cn_apply *a, cn_err *err);
cn_status cn_apply_purge(cn_apply *a, cn_err *err);

#endif
