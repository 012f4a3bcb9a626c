/* The ledger's rules (docs/ledger-rules.md): executing blocks on overlays over the newest final state.
 *
 * One thread owns a cn_ledger. A cn_ledger_block is an executed block that is not final: an overlay over its parent.
 * The base moves only by cn_ledger_finalize, which commits to the store first. Execution reads no clock and no content
 * of items; equal input gives equal roots on every node. */
#ifndef CARNET_NODE_LEDGER_LEDGER_H
#define CARNET_NODE_LEDGER_LEDGER_H

#include "node/formats/genesis.h"
#include "node/ledger/stmt.h"
#include "storage/store.h"

typedef struct cn_ledger cn_ledger;
typedef struct cn_ledger_block cn_ledger_block;

/* Makes the store of a new network: block 0 with the state of genesis. */
cn_status cn_ledger_create(const cn_store_options *options, const void *genesis_bytes, size_t n, const cn_genesis *g,
                           cn_err *err);
/* Binds to an open store and re-executes the blocks above its newest checkpoint. Borrows store and genesis. */
cn_status cn_ledger_open(cn_store *store, const cn_genesis *g, cn_ledger **ret, cn_err *err);
void cn_ledger_close(cn_ledger *l);

cn_ledger_block *cn_ledger_tip(cn_ledger *l); /* the newest final block; borrowed */
/* CN_CORRUPT once a stored value could not be read: absent and unreadable are not the same, so nothing executes any
 * more, and what was refused meanwhile is no verdict on it. The node stops. */
cn_status cn_ledger_sound(const cn_ledger *l, cn_err *err);

const cn_header *cn_ledger_block_header(const cn_ledger_block *b);
const cn_digest *cn_ledger_block_digest(const cn_ledger_block *b);
size_t cn_ledger_block_count(const cn_ledger_block *b);
cn_stmt *cn_ledger_block_statement(const cn_ledger_block *b, size_t i);  /* borrowed */
const cn_ledger_block *cn_ledger_block_parent(const cn_ledger_block *b); /* NULL behind the final tip */
/* The newest checkpoint in the ancestry, the block itself included. */
void cn_ledger_block_checkpoint(const cn_ledger_block *b, uint64_t *ret_time_ms, uint64_t *ret_log_size);
cn_ledger_block *cn_ledger_block_ref(cn_ledger_block *b);
void cn_ledger_block_unref(cn_ledger_block *b);

/* Executes a proposed block; every statement's signature is verified by the caller. CN_INVALID names the statement and
 * the rule. Clock checks (R13, upper bound) are the caller's. */
cn_status cn_ledger_execute(cn_ledger *l, cn_ledger_block *parent, const cn_header *header, cn_stmt *const *stmts,
                            size_t count, cn_ledger_block **ret, cn_err *err);

typedef struct cn_build_limits {
    size_t max_bytes, max_statements;
} cn_build_limits;
/* Builds a block of the candidates that execute, in order; next gives them one by one (NULL ends; borrowed). Without
 * candidates (next NULL) it is a checkpoint. CN_NOT_FOUND: no candidate executes. */
cn_status cn_ledger_build(cn_ledger *l, cn_ledger_block *parent, uint64_t time_ms, cn_stmt *(*next)(void *ctx),
                          void *ctx, const cn_build_limits *limits, cn_ledger_block **ret, cn_err *err);

/* Makes blocks final, in order, in one synced transaction; certificate proves the last. */
cn_status cn_ledger_finalize(cn_ledger *l, cn_ledger_block *const *blocks, size_t count, cn_span certificate,
                             cn_err *err);

/* ---- who votes (R11); governance.c ---- */
/* The state after b holds a ready set change: its child must be a closing block, which cn_ledger_build then makes. */
bool cn_ledger_block_closing_due(const cn_ledger_block *b);
const cn_validator_set *cn_ledger_block_next_set(const cn_ledger_block *b); /* of a closing block; NULL for others */
/* The set and the epoch in force for children of parent (NULL: the final tip); borrowed from that block. */
const cn_validator_set *cn_ledger_set_of(cn_ledger *l, const cn_ledger_block *parent);
uint64_t cn_ledger_epoch_of(cn_ledger *l, const cn_ledger_block *parent);

/* ---- reading state at a block (NULL: the final tip) ---- */
bool cn_ledger_key(cn_ledger *l, const cn_ledger_block *at, const cn_digest *key_id, cn_state_device_key *ret);
bool cn_ledger_member(cn_ledger *l, const cn_ledger_block *at, const cn_digest *member, cn_state_member *ret);
bool cn_ledger_salvaged(cn_ledger *l, const cn_ledger_block *at, const cn_digest *key_id, const cn_digest *statement);
/* Whether the rules would admit the statement right after the final tip; nothing is kept. */
cn_status cn_ledger_try(cn_ledger *l, cn_stmt *stmt, cn_err *err);
/* Already final: its log index. */
bool cn_ledger_find(cn_ledger *l, const cn_digest *statement_id, uint64_t *ret_log_index);

#endif
