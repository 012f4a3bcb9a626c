#include "node/ledger/mempool.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#define MAX_AHEAD 4096u /* how far a statement may run ahead of its key's chain */

typedef struct cn_mempool_entry {
    cn_stmt *stmt;
    cn_digest id, record;
    uint64_t arrived_ms;
    unsigned open_blocks;
    bool executable;
    struct cn_mempool_entry *prev, *next;         /* by arrival */
    struct cn_mempool_entry *key_prev, *key_next; /* by sequence, within a key */
    UT_hash_handle hh_id, hh_record;
} entry;

typedef struct key_chain {
    cn_digest key_id;
    entry *head;
    size_t bytes;
    UT_hash_handle hh;
} key_chain;

struct cn_mempool {
    size_t max_bytes, bytes, count;
    entry *by_id, *by_record, *arrival;
    key_chain *keys;
    bool oldest_known;
    uint64_t oldest_ms;
    void (*on_drop)(void *ctx, const cn_stmt *stmt, const cn_err *why);
    void *ctx;
};

cn_mempool *cn_mempool_new(size_t max_bytes)
{
    cn_mempool *pool = calloc(1, sizeof *pool);
    if (pool)
        pool->max_bytes = max_bytes;
    return pool;
}

void cn_mempool_on_drop(cn_mempool *pool, void (*fn)(void *ctx, const cn_stmt *stmt, const cn_err *why), void *ctx)
{
    pool->on_drop = fn;
    pool->ctx = ctx;
}

static key_chain *chain_of(const cn_mempool *pool, const cn_digest *key_id)
{
    key_chain *chain = NULL;
    HASH_FIND(hh, pool->keys, key_id->b, CN_DIGEST_LEN, chain);
    return chain;
}

static entry *find_id(const cn_mempool *pool, const cn_digest *id)
{
    entry *e = NULL;
    HASH_FIND(hh_id, pool->by_id, id->b, CN_DIGEST_LEN, e);
    return e;
}

static void drop(cn_mempool *pool, entry *e)
{
    key_chain *chain = chain_of(pool, &e->stmt->s->body.key_id);
    HASH_DELETE(hh_id, pool->by_id, e);
    HASH_DELETE(hh_record, pool->by_record, e);
    DL_DELETE(pool->arrival, e);
    DL_DELETE2(chain->head, e, key_prev, key_next);
    chain->bytes -= cn_stmt_cost(e->stmt);
    pool->bytes -= cn_stmt_cost(e->stmt);
    pool->count--;
    pool->oldest_known = false;
    if (!chain->head) {
        HASH_DEL(pool->keys, chain);
        free(chain);
    }
    cn_stmt_unref(e->stmt);
    free(e);
}

/* It never becomes final from here: who submitted it is told. */
static void give_up(cn_mempool *pool, entry *e, const cn_err *why)
{
    if (pool->on_drop)
        pool->on_drop(pool->ctx, e->stmt, why);
    drop(pool, e);
}

void cn_mempool_free(cn_mempool *pool)
{
    if (!pool)
        return;
    while (pool->arrival)
        drop(pool, pool->arrival);
    free(pool);
}

/* Marks as executable what continues the key's final chain without a hole. */
static void relink(cn_mempool *pool, key_chain *chain, const cn_state_device_key *key)
{
    uint64_t sequence = key->last_sequence;
    cn_digest previous = key->last_id;
    for (entry *e = chain->head; e; e = e->key_next) {
        const cn_body *body = &e->stmt->s->body;
        e->executable = body->sequence == sequence + 1 && cn_digest_eq(&body->previous, &previous);
        if (e->executable) {
            sequence = body->sequence;
            previous = e->id;
        }
    }
    pool->oldest_known = false;
}

static cn_status check(const cn_mempool *pool, cn_ledger *ledger, const cn_statement *s, cn_state_device_key *ret_key,
                       bool *ret_final, cn_err *err)
{
    uint64_t index = 0;
    const cn_body *body = &s->body;
    if (find_id(pool, &s->id))
        return CN_DUPLICATE;
    if (cn_ledger_find(ledger, &s->id, &index)) {
        *ret_final = true;
        return CN_DUPLICATE;
    }
    if (!cn_ledger_key(ledger, NULL, &body->key_id, ret_key))
        return cn_fail(err, CN_UNKNOWN_KEY, "body.key_id", "no member has registered key %s; register it first",
                       cn_digest_hex(&body->key_id).s);
    if (ret_key->status != CN_KEY_ACTIVE &&
        !(ret_key->status == CN_KEY_REVOKED && cn_ledger_salvaged(ledger, NULL, &body->key_id, &s->id)))
        return cn_fail(err, CN_KEY_NOT_ACTIVE, "body.key_id", "the key was %s at log index %llu",
                       ret_key->status == CN_KEY_REVOKED ? "revoked" : "replaced", (unsigned long long)ret_key->ended);
    if (body->sequence <= ret_key->last_sequence)
        return cn_fail(err, CN_BROKEN_CHAIN, "body.sequence",
                       "%llu is recorded already with another statement; the key's next is %llu",
                       (unsigned long long)body->sequence, (unsigned long long)ret_key->last_sequence + 1);
    if (body->sequence == ret_key->last_sequence + 1 && !cn_digest_eq(&body->previous, &ret_key->last_id))
        return cn_fail(err, CN_BROKEN_CHAIN, "body.previous", "is not the id of the key's statement %llu, which is %s",
                       (unsigned long long)ret_key->last_sequence, cn_digest_hex(&ret_key->last_id).s);
    if (body->sequence > ret_key->last_sequence + MAX_AHEAD)
        return cn_fail(err, CN_BROKEN_CHAIN, "body.sequence", "runs more than %u ahead of the key's last recorded %llu",
                       MAX_AHEAD, (unsigned long long)ret_key->last_sequence);
    return CN_OK;
}

/* The place in the key's list; CN_CONFLICT when its sequence is taken there. */
static cn_status place(key_chain *chain, entry *e, cn_err *err)
{
    uint64_t sequence = e->stmt->s->body.sequence;
    entry *after = chain->head ? chain->head->key_prev : NULL; /* the last one: most come in order */
    while (after && after->stmt->s->body.sequence > sequence)
        after = after == chain->head ? NULL : after->key_prev;
    if (after && after->stmt->s->body.sequence == sequence)
        return cn_fail(err, CN_CONFLICT, "body.sequence",
                       "another statement with sequence %llu of this key waits already", (unsigned long long)sequence);
    if (after && after->stmt->s->body.sequence + 1 == sequence && !cn_digest_eq(&after->id, &e->stmt->s->body.previous))
        return cn_fail(err, CN_BROKEN_CHAIN, "body.previous", "is not the id of the key's statement %llu, which waits",
                       (unsigned long long)sequence - 1);
    if (after)
        DL_APPEND_ELEM2(chain->head, after, e, key_prev, key_next);
    else
        DL_PREPEND2(chain->head, e, key_prev, key_next);
    return CN_OK;
}

cn_status cn_mempool_add(cn_mempool *pool, cn_ledger *ledger, cn_stmt *stmt, uint64_t now_ms, bool *ret_final,
                         cn_err *err)
{
    const cn_statement *s = stmt->s;
    cn_state_device_key key;
    cn_status st = check(pool, ledger, s, &key, ret_final, err);
    if (st != CN_OK)
        return st;
    /* what the rules refuse would wait here for ever: each next one of a key is tried before it is admitted */
    if (s->body.kind != CN_PAYLOAD_EVENT_BATCH && s->body.sequence == key.last_sequence + 1) {
        st = cn_ledger_try(ledger, stmt, err);
        if (st != CN_OK)
            return st;
    }
    key_chain *chain = chain_of(pool, &s->body.key_id);
    size_t share = pool->max_bytes / 2, cost = cn_stmt_cost(stmt); /* one key never fills the pool */
    if (pool->bytes + cost > pool->max_bytes || (chain && chain->bytes + cost > share))
        return cn_fail(err, CN_FULL, "mempool", "%zu of %zu bytes wait for blocks; try again later", pool->bytes,
                       pool->max_bytes);
    bool fresh = !chain;
    if (fresh) {
        chain = calloc(1, sizeof *chain);
        CN_ASSERT(chain);
        chain->key_id = s->body.key_id;
    }
    entry *e = calloc(1, sizeof *e);
    CN_ASSERT(e);
    e->stmt = stmt;
    e->id = s->id;
    e->record = s->record_digest;
    e->arrived_ms = now_ms;
    st = place(chain, e, err);
    if (st != CN_OK) {
        free(e);
        if (fresh)
            free(chain);
        return st;
    }
    if (fresh)
        HASH_ADD(hh, pool->keys, key_id.b, CN_DIGEST_LEN, chain);
    cn_stmt_ref(stmt);
    HASH_ADD(hh_id, pool->by_id, id.b, CN_DIGEST_LEN, e);
    HASH_ADD(hh_record, pool->by_record, record.b, CN_DIGEST_LEN, e);
    DL_APPEND(pool->arrival, e);
    chain->bytes += cost;
    pool->bytes += cost;
    pool->count++;
    const entry *before = e == chain->head ? NULL : e->key_prev;
    bool last = e->key_next == NULL;
    if (last && before && before->executable && before->stmt->s->body.sequence + 1 == s->body.sequence) {
        e->executable = true; /* the common case: one more at the end */
        if (pool->oldest_known && pool->oldest_ms == UINT64_MAX)
            pool->oldest_ms = now_ms;
    } else {
        relink(pool, chain, &key);
    }
    return CN_OK;
}

void cn_mempool_remove(cn_mempool *pool, const cn_digest *id)
{
    entry *e = find_id(pool, id);
    if (e)
        drop(pool, e);
}

/* What waits of a key that was revoked or replaced never executes, but for what was salvaged. */
static void drop_without_authority(cn_mempool *pool, cn_ledger *ledger, const cn_digest *key_id,
                                   const cn_state_device_key *key)
{
    key_chain *chain = chain_of(pool, key_id);
    entry *next = NULL;
    for (entry *e = chain && key->status != CN_KEY_ACTIVE ? chain->head : NULL; e; e = next) {
        cn_err why;
        next = e->key_next;
        if (key->status == CN_KEY_REVOKED && cn_ledger_salvaged(ledger, NULL, key_id, &e->id))
            continue;
        cn_fail(&why, CN_KEY_NOT_ACTIVE, "body.key_id", "the key was %s at log index %llu",
                key->status == CN_KEY_REVOKED ? "revoked" : "replaced", (unsigned long long)key->ended);
        give_up(pool, e, &why);
    }
}

/* What the rules refuse would wait here for ever: the next one of a key is tried again. NULL: nothing of the key is
 * left.
 */
static key_chain *try_head(cn_mempool *pool, cn_ledger *ledger, key_chain *chain, const cn_state_device_key *key)
{
    cn_digest key_id = chain ? chain->key_id : cn_digest_zero;
    cn_err why = {0};
    while (chain && chain->head->stmt->s->body.sequence == key->last_sequence + 1 &&
           chain->head->stmt->s->body.kind != CN_PAYLOAD_EVENT_BATCH &&
           cn_ledger_try(ledger, chain->head->stmt, &why) != CN_OK) {
        give_up(pool, chain->head, &why);
        chain = chain_of(pool, &key_id);
    }
    return chain;
}

/* The chain of a key that a final statement has moved: its own, or a gap, a revocation, a salvage. */
static void look_again(cn_mempool *pool, cn_ledger *ledger, const cn_digest *key_id)
{
    key_chain *chain = chain_of(pool, key_id);
    cn_state_device_key key;
    if (!chain || !cn_ledger_key(ledger, NULL, key_id, &key))
        return;
    drop_without_authority(pool, ledger, key_id, &key);
    chain = chain_of(pool, key_id);
    /* another statement took the sequence: what stands at or below it never executes */
    while (chain && chain->head && chain->head->stmt->s->body.sequence <= key.last_sequence) {
        cn_err why;
        cn_fail(&why, CN_BROKEN_CHAIN, "body.sequence",
                "%llu was recorded with another statement; the key's next is %llu",
                (unsigned long long)chain->head->stmt->s->body.sequence, (unsigned long long)key.last_sequence + 1);
        give_up(pool, chain->head, &why);
        chain = chain_of(pool, key_id);
    }
    chain = try_head(pool, ledger, chain, &key); /* it was admitted behind others, and is next now */
    const cn_body *next = chain ? &chain->head->stmt->s->body : NULL;
    if (chain && !(chain->head->executable && next->sequence == key.last_sequence + 1 &&
                   cn_digest_eq(&next->previous, &key.last_id)))
        relink(pool, chain, &key);
}

/* Statements of other keys, and the end of an epoch, change what the next one of each key may do: a key is registered
 * by another, a proposal is decided or void, a foreign statement is relied on already. */
static void look_around(cn_mempool *pool, cn_ledger *ledger)
{
    key_chain *chain, *next;
    HASH_ITER(hh, pool->keys, chain, next)
    {
        cn_state_device_key key;
        if (chain->head->open_blocks > 0 || chain->head->stmt->s->body.kind == CN_PAYLOAD_EVENT_BATCH ||
            !cn_ledger_key(ledger, NULL, &chain->key_id, &key))
            continue;
        const entry *head = chain->head;
        key_chain *left = try_head(pool, ledger, chain, &key);
        if (left && left->head != head)
            relink(pool, left, &key);
    }
}

/* Event batches depend on their own key alone. */
static bool changes_others(const cn_ledger_block *b)
{
    if (cn_ledger_block_header(b)->kind == CN_BLOCK_CLOSING)
        return true;
    for (size_t i = 0; i < cn_ledger_block_count(b); i++)
        if (cn_ledger_block_statement(b, i)->s->body.kind != CN_PAYLOAD_EVENT_BATCH)
            return true;
    return false;
}

void cn_mempool_final(cn_mempool *pool, cn_ledger *ledger, cn_ledger_block *const *blocks, size_t count)
{
    /* First what is final in any of them leaves: the ledger stands behind the last, and against it a statement of a
     * later block would look as if another one had taken its sequence. */
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < cn_ledger_block_count(blocks[k]); i++) {
            entry *e = find_id(pool, &cn_ledger_block_statement(blocks[k], i)->s->id);
            if (e)
                drop(pool, e);
        }
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < cn_ledger_block_count(blocks[k]); i++) {
            const cn_body *body = &cn_ledger_block_statement(blocks[k], i)->s->body;
            look_again(pool, ledger, &body->key_id);
            if (body->kind == CN_PAYLOAD_REGISTRY)
                look_again(pool, ledger, &body->registry.key_id); /* zeros where it names none */
        }
    for (size_t k = 0; k < count; k++)
        if (changes_others(blocks[k])) {
            look_around(pool, ledger);
            break;
        }
    pool->oldest_known = false;
}

void cn_mempool_mark(cn_mempool *pool, const cn_ledger_block *block, int change)
{
    for (size_t i = 0; i < cn_ledger_block_count(block); i++) {
        entry *e = find_id(pool, &cn_ledger_block_statement(block, i)->s->id);
        if (e && change > 0)
            e->open_blocks++;
        else if (e && e->open_blocks > 0)
            e->open_blocks--;
    }
    pool->oldest_known = false;
}

void cn_mempool_expire(cn_mempool *pool, uint64_t now_ms, uint64_t max_ms)
{
    entry *e, *next;
    DL_FOREACH_SAFE(pool->arrival, e, next)
    {
        if (e->executable || e->open_blocks > 0 || now_ms <= e->arrived_ms + max_ms)
            continue;
        cn_err why;
        cn_fail(&why, CN_BROKEN_CHAIN, "body.sequence",
                "waited %llu s for what comes before %llu of its key, and it did not come; send that first, then this "
                "again",
                (unsigned long long)max_ms / 1000, (unsigned long long)e->stmt->s->body.sequence);
        give_up(pool, e, &why);
    }
}

cn_stmt *cn_mempool_by_record(const cn_mempool *pool, const cn_digest *record)
{
    entry *e = NULL;
    HASH_FIND(hh_record, pool->by_record, record->b, CN_DIGEST_LEN, e);
    return e ? e->stmt : NULL;
}

cn_stmt *cn_mempool_by_id(const cn_mempool *pool, const cn_digest *id)
{
    entry *e = find_id(pool, id);
    return e ? e->stmt : NULL;
}

cn_stmt *cn_mempool_key_head(const cn_mempool *pool, const cn_digest *key_id)
{
    const key_chain *chain = chain_of(pool, key_id);
    return chain ? chain->head->key_prev->stmt : NULL;
}

void cn_mempool_start(const cn_mempool *pool, cn_mempool_cursor *cursor)
{
    cursor->at = pool->arrival;
}

cn_stmt *cn_mempool_next(void *ctx)
{
    cn_mempool_cursor *cursor = ctx;
    const entry *e = cursor->at;
    while (e && !e->executable)
        e = e->next;
    cursor->at = e ? e->next : NULL;
    return e ? e->stmt : NULL;
}

void cn_mempool_offer(const cn_mempool *pool, bool (*take)(void *ctx, cn_stmt *stmt), void *ctx)
{
    for (const entry *e = pool->arrival; e; e = e->next)
        if (e->executable && e->open_blocks == 0 && !take(ctx, e->stmt))
            return;
}

uint64_t cn_mempool_oldest(cn_mempool *pool)
{
    if (!pool->oldest_known) {
        const entry *e = pool->arrival;
        while (e && (!e->executable || e->open_blocks > 0))
            e = e->next;
        pool->oldest_ms = e ? e->arrived_ms : UINT64_MAX;
        pool->oldest_known = true;
    }
    return pool->oldest_ms;
}

size_t cn_mempool_bytes(const cn_mempool *pool)
{
    return pool->bytes;
}

size_t cn_mempool_count(const cn_mempool *pool)
{
    return pool->count;
}
