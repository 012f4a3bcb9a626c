/* What validators signed about final checkpoints: in order of arrival, those of closing blocks for ever, of others
 * while they are among the newest. */
#include "storage/store_internal.h"

#include <string.h>

#define KEY_LEN 12 /* height u64 | rank u32 */
#define KEPT CN_SIGNED_CHECKPOINTS_KEPT

static void key_of(uint64_t height, uint32_t rank, uint8_t out[KEY_LEN])
{
    cn_store_u32(cn_store_u64(out, height), rank);
}

/* The signatures of one height until `one` returns false. */
static cn_status each(MDB_txn *txn, const cn_tables *t, uint64_t height,
                      bool (*one)(void *ctx, const cn_checkpoint_signatures *s), void *ctx, cn_err *err)
{
    cn_status st = CN_OK;
    for (uint32_t rank = 0; st == CN_OK; rank++) {
        uint8_t key[KEY_LEN];
        cn_span row;
        cn_checkpoint_signatures s;
        key_of(height, rank, key);
        st = cn_row_get(txn, t, T_SIGNATURES, key, sizeof key, &row, err);
        if (st == CN_OK && cn_checkpoint_signatures_decode(row.p, row.n, &s, NULL) != CN_OK)
            return cn_fail(err, CN_CORRUPT, "signatures", "a row of height %llu does not decode; run carnet fsck",
                           (unsigned long long)height);
        if (st == CN_OK && !one(ctx, &s))
            return CN_OK;
    }
    return st == CN_NOT_FOUND ? CN_OK : st;
}

typedef struct search {
    const cn_digest *member;
    uint32_t rank;
    bool found;
} search;

static bool is_members(void *ctx, const cn_checkpoint_signatures *s)
{
    search *q = ctx;
    q->found = cn_digest_eq(&s->member, q->member);
    q->rank++;
    return !q->found;
}

static cn_status put_one(MDB_txn *txn, const cn_tables *t, const cn_checkpoint_signatures *s, size_t *ret_new,
                         cn_err *err)
{
    cn_block_row block;
    uint8_t key[KEY_LEN], value[CN_CHECKPOINT_SIGNATURES_LEN];
    search q = {.member = &s->member};
    cn_status st = cn_block_row_get(txn, t, s->height, &block, err);
    if (st == CN_NOT_FOUND ||
        (st == CN_OK && (block.header.kind == CN_BLOCK_NORMAL || !cn_digest_eq(&block.digest, &s->block))))
        return cn_fail(err, CN_CONFLICT, "signatures", "block %llu here is not the checkpoint that was signed",
                       (unsigned long long)s->height);
    if (st == CN_OK)
        st = each(txn, t, s->height, is_members, &q, err);
    if (st != CN_OK || q.found)
        return st;
    key_of(s->height, q.rank, key);
    cn_checkpoint_signatures_encode(s, value);
    st = cn_row_put(txn, t, T_SIGNATURES, key, sizeof key, value, sizeof value, 0, err);
    *ret_new += st == CN_OK;
    return st;
}

/* Only closing blocks keep theirs behind the newest KEPT heights. */
static cn_status prune(MDB_txn *txn, const cn_tables *t, cn_err *err)
{
    MDB_cursor *cursor = NULL;
    MDB_val k, v;
    uint64_t last = UINT64_MAX;
    unsigned heights = 0;
    cn_status st = CN_OK;
    int rc = mdb_cursor_open(txn, t->dbi[T_SIGNATURES], &cursor);
    if (rc == 0)
        rc = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
    for (; rc == 0 && st == CN_OK; rc = mdb_cursor_get(cursor, &k, &v, MDB_PREV)) {
        cn_block_row block;
        uint64_t height = cn_load_u64(k.mv_data);
        heights += height != last;
        last = height;
        if (heights <= KEPT)
            continue;
        st = cn_block_row_get(txn, t, height, &block, err);
        if (st == CN_OK && block.header.kind != CN_BLOCK_CLOSING && (rc = mdb_cursor_del(cursor, 0)) != 0)
            break;
    }
    mdb_cursor_close(cursor);
    if (st == CN_OK && rc != 0 && rc != MDB_NOTFOUND)
        st = cn_lmdb_error(rc, "signatures", err);
    return st;
}

cn_status cn_store_put_signatures(cn_store *store, const cn_checkpoint_signatures *s, size_t count, size_t *ret_new,
                                  cn_err *err)
{
    MDB_txn *txn = NULL;
    cn_status st = CN_OK;
    *ret_new = 0;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != 0)
        return cn_lmdb_error(rc, "signatures", err);
    for (size_t i = 0; i < count && st == CN_OK; i++)
        st = put_one(txn, &store->t, &s[i], ret_new, err);
    if (st == CN_OK && *ret_new)
        st = prune(txn, &store->t, err);
    if (st != CN_OK || *ret_new == 0) {
        mdb_txn_abort(txn);
        return st;
    }
    rc = mdb_txn_commit(txn);
    return rc == 0 ? CN_OK : cn_lmdb_error(rc, "signatures", err);
}

typedef struct copying {
    cn_checkpoint_signatures *out;
    size_t max, count;
} copying;

static bool copy_one(void *ctx, const cn_checkpoint_signatures *s)
{
    copying *c = ctx;
    if (c->count < c->max)
        c->out[c->count++] = *s;
    return c->count < c->max;
}

cn_status cn_snapshot_signatures(cn_snapshot *s, uint64_t height, cn_checkpoint_signatures *out, size_t max,
                                 size_t *ret_count, cn_err *err)
{
    copying c = {out, max, 0};
    cn_status st = each(s->txn, &s->store->t, height, copy_one, &c, err);
    *ret_count = c.count;
    return st;
}
