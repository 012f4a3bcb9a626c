/* Statements that wait for a block: ordered per key, bounded in bytes, first come first served.
 *
 * A statement is executable when it continues its key's chain from the final tip, directly or through others that
 * wait. One that comes too early waits for those before it, for a bounded time. Nothing admitted is evicted to make
 * room: a full pool refuses (CN_FULL). One thread owns a pool. */
#ifndef CARNET_NODE_LEDGER_MEMPOOL_H
#define CARNET_NODE_LEDGER_MEMPOOL_H

#include "node/ledger/ledger.h"

typedef struct cn_mempool cn_mempool;

cn_mempool *cn_mempool_new(size_t max_bytes);
void cn_mempool_free(cn_mempool *pool);

/* fn hears of each statement that leaves without being final, and why; what cn_mempool_remove takes back is not said.
 */
void cn_mempool_on_drop(cn_mempool *pool, void (*fn)(void *ctx, const cn_stmt *stmt, const cn_err *why), void *ctx);

/* Admits a statement whose signature is verified. CN_DUPLICATE: it waits here already, or is final (then *ret_final is
 * set). CN_FULL: later. Everything else is a refusal with its reason. */
cn_status cn_mempool_add(cn_mempool *pool, cn_ledger *ledger, cn_stmt *stmt, uint64_t now_ms, bool *ret_final,
                         cn_err *err);
/* Takes back a statement that was just added (a group that is refused as a whole). */
void cn_mempool_remove(cn_mempool *pool, const cn_digest *id);
/* After blocks that became final together: their statements leave; the chains of their keys are looked at again. */
void cn_mempool_final(cn_mempool *pool, cn_ledger *ledger, cn_ledger_block *const *blocks, size_t count);
/* A block that is not final holds the statement (+1), or that block is gone (-1). */
void cn_mempool_mark(cn_mempool *pool, const cn_ledger_block *block, int change);
/* Drops what has waited for its predecessors longer than max_ms. */
void cn_mempool_expire(cn_mempool *pool, uint64_t now_ms, uint64_t max_ms);

cn_stmt *cn_mempool_by_record(const cn_mempool *pool, const cn_digest *record); /* borrowed; NULL: not here */
cn_stmt *cn_mempool_by_id(const cn_mempool *pool, const cn_digest *id);
/* The newest statement of a key that waits here. */
cn_stmt *cn_mempool_key_head(const cn_mempool *pool, const cn_digest *key_id);

/* Executable statements in order of arrival, for cn_ledger_build. */
typedef struct cn_mempool_cursor {
    const struct cn_mempool_entry *at;
} cn_mempool_cursor;
void cn_mempool_start(const cn_mempool *pool, cn_mempool_cursor *cursor);
cn_stmt *cn_mempool_next(void *cursor);

/* Executable statements that no open block holds, oldest first, until take returns false. */
void cn_mempool_offer(const cn_mempool *pool, bool (*take)(void *ctx, cn_stmt *stmt), void *ctx);

/* Arrival of the oldest executable statement that no open block holds; UINT64_MAX: none. */
uint64_t cn_mempool_oldest(cn_mempool *pool);
size_t cn_mempool_bytes(const cn_mempool *pool);
size_t cn_mempool_count(const cn_mempool *pool);

#endif
