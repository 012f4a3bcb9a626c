/* Time tokens over checkpoint headers: a few a height, kept for ever. */
#include "storage/store_internal.h"

#include <string.h>

#define KEY_LEN 12 /* height u64 | rank u32 */

static void key_of(uint64_t height, uint32_t rank, uint8_t out[KEY_LEN])
{
    cn_store_u32(cn_store_u64(out, height), rank);
}

static cn_status read_all(MDB_txn *txn, const cn_tables *t, uint64_t height, cn_span out[CN_TOKENS_KEPT],
                          size_t *ret_count, cn_err *err)
{
    cn_status st = CN_OK;
    *ret_count = 0;
    while (st == CN_OK && *ret_count < CN_TOKENS_KEPT) {
        uint8_t key[KEY_LEN];
        key_of(height, (uint32_t)*ret_count, key);
        st = cn_row_get(txn, t, T_TOKENS, key, sizeof key, &out[*ret_count], err);
        *ret_count += st == CN_OK;
    }
    return st == CN_NOT_FOUND ? CN_OK : st;
}

static cn_status put(MDB_txn *txn, const cn_tables *t, uint64_t height, cn_span token, bool *ret_new, cn_err *err)
{
    cn_block_row block;
    cn_span have[CN_TOKENS_KEPT];
    size_t count = 0;
    uint8_t key[KEY_LEN];
    cn_status st = cn_block_row_get(txn, t, height, &block, err);
    if (st == CN_NOT_FOUND || (st == CN_OK && (block.header.kind == CN_BLOCK_NORMAL || height == 0)))
        return cn_fail(err, CN_NOT_FOUND, "height", "there is no checkpoint of height %llu here",
                       (unsigned long long)height);
    if (st == CN_OK)
        st = read_all(txn, t, height, have, &count, err);
    for (size_t i = 0; i < count && st == CN_OK; i++)
        if (have[i].n == token.n && memcmp(have[i].p, token.p, token.n) == 0)
            return CN_OK;
    if (st == CN_OK && count == CN_TOKENS_KEPT)
        st = cn_fail(err, CN_CONFLICT, "height", "checkpoint %llu has %u time tokens already; no more are kept",
                     (unsigned long long)height, CN_TOKENS_KEPT);
    if (st != CN_OK)
        return st;
    key_of(height, (uint32_t)count, key);
    st = cn_row_put(txn, t, T_TOKENS, key, sizeof key, token.p, token.n, MDB_NOOVERWRITE, err);
    *ret_new = st == CN_OK;
    return st;
}

cn_status cn_store_put_token(cn_store *store, uint64_t height, cn_span token, bool *ret_new, cn_err *err)
{
    MDB_txn *txn = NULL;
    *ret_new = false;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != 0)
        return cn_lmdb_error(rc, "tokens", err);
    cn_status st = put(txn, &store->t, height, token, ret_new, err);
    if (st != CN_OK || !*ret_new) {
        mdb_txn_abort(txn);
        return st;
    }
    rc = mdb_txn_commit(txn);
    return rc == 0 ? CN_OK : cn_lmdb_error(rc, "tokens", err);
}

cn_status cn_snapshot_tokens(cn_snapshot *s, uint64_t height, cn_span out[CN_TOKENS_KEPT], size_t *ret_count,
                             cn_err *err)
{
    return read_all(s->txn, &s->store->t, height, out, ret_count, err);
}
