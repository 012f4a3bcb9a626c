/* What the files of node/ledger share. Private.
 *
 *   overlay.c  changed values and frontiers, by key      rules.c   what one statement may do
 *   block.c    overlays chained to their parents         ledger.c  genesis, opening, executing, making final
 *   governance.c  proposals, ballots, readiness, and the closing of an epoch
 *   foreign.c  other networks, and proofs from them
 *   erasure.c  orders to erase, and who has */
#ifndef CARNET_NODE_LEDGER_INTERNAL_H
#define CARNET_NODE_LEDGER_INTERNAL_H

#include "node/ledger/ledger.h"

#include <uthash.h>

/* ---- overlay.c ---- */
typedef struct cn_value {
    cn_state_key key;
    size_t n;
    uint8_t *bytes;
    UT_hash_handle hh;
} cn_value;

typedef struct cn_subject_state { /* a subject's tree as far as it goes here */
    cn_digest tag;
    cn_frontier frontier;
    uint64_t first_height, last_height;
    cn_digest last_id;
    UT_hash_handle hh;
} cn_subject_state;

typedef struct cn_overlay {
    cn_value *values;
    cn_subject_state *subjects;
} cn_overlay;

void cn_overlay_put(cn_overlay *o, const cn_state_key *key, const void *p, size_t n);
const cn_value *cn_overlay_get(const cn_overlay *o, const cn_state_key *key);
cn_subject_state *cn_overlay_subject(const cn_overlay *o, const cn_digest *tag);
void cn_overlay_put_subject(cn_overlay *o, const cn_subject_state *subject);
void cn_overlay_merge(cn_overlay *into, const cn_overlay *from);
void cn_overlay_clear(cn_overlay *o);

typedef struct cn_members { /* the set in force for the children of a block */
    unsigned refs;
    uint64_t epoch;
    cn_digest digest;
    cn_validator_set set;
} cn_members;

/* ---- blocks ---- */
struct cn_ledger_block {
    unsigned refs;
    cn_ledger_block *parent; /* NULL once this block is final */
    cn_ledger *ledger;
    bool merged; /* final: its changes lie in the base */
    cn_header header;
    cn_digest digest;
    size_t count, cap, bytes;
    cn_stmt **stmt;
    cn_overlay overlay;
    cn_frontier log;
    size_t row_count, row_cap;
    cn_subject_row *row;
    cn_map *map;         /* checkpoints */
    cn_members *members; /* of its children: who votes (governance.c); counted */
    bool closing_due;    /* known once it is sealed */
    cn_buf set_rows;     /* closing blocks: rows of the next set */
    uint64_t checkpoint_time_ms, checkpoint_log_size;
};

struct cn_ledger {
    cn_store *store;
    const cn_genesis *genesis;
    cn_snapshot *snap; /* of the newest commit */
    cn_map *map;       /* the newest final checkpoint's */
    cn_overlay base;   /* what final blocks changed since */
    cn_ledger_block *tip;
    cn_err fault; /* what could not be read is not absent: once set, nothing executes any more */
};

/* ---- governance.c ---- */
cn_members *cn_members_new(uint64_t epoch, const cn_validator_set *set);
cn_members *cn_members_ref(cn_members *m);
void cn_members_unref(cn_members *m); /* NULL is fine */
/* R11: the change that the state at b holds. */
cn_status cn_block_change(const cn_ledger_block *b, cn_state_change *ret, cn_err *err);
/* Writes the activation into the closing block b, whose parent holds a ready change, and gives it its next members. */
cn_status cn_block_close_epoch(cn_ledger_block *b, cn_err *err);
/* Sets closing_due, after the block's statements. */
cn_status cn_block_note_change(cn_ledger_block *b, cn_err *err);

cn_ledger_block *cn_block_child(cn_ledger *l, cn_ledger_block *parent);
void cn_block_add_statement(cn_ledger_block *b, cn_stmt *stmt);
void cn_block_add_row(cn_ledger_block *b, const cn_subject_row *row);
/* State as the block sees it: its own overlay, its ancestors', the base, the map. False: absent. */
bool cn_block_get(const cn_ledger_block *b, const cn_state_key *key, uint8_t value[CN_STATE_VALUE_MAX],
                  size_t *ret_len);
/* A stored value that does not read: CN_CORRUPT. The first one is kept, and cn_ledger_sound says it from then on. */
cn_status cn_ledger_fault(cn_ledger *l, const char *what);
cn_status cn_block_subject(const cn_ledger_block *b, const cn_digest *tag, cn_subject_state *ret, cn_err *err);
/* The map after everything up to and including b; the changes since the newest checkpoint in its ancestry. */
cn_status cn_block_make_map(cn_ledger_block *b, cn_map **ret, cn_err *err);
/* Side rows of a checkpoint: the frontiers of the subjects touched since the one before. */
cn_status cn_block_side(const cn_ledger_block *b, cn_side_change **ret, size_t *ret_count, cn_buf *storage,
                        cn_err *err);

/* ---- rules.c ---- */
/* Checks a statement at its place in b and, when it holds, writes its changes and rows into b. */
cn_status cn_rules_apply(cn_ledger_block *b, cn_stmt *stmt, cn_err *err);

#endif
