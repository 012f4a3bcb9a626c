/* Items without content: erased here by order, or as they came from a peer (docs/erasure.md). */
#include "storage/store_internal.h"

#include "proto/statement.h"

/* How its items came to be erased: 1 as they came, 2 by order; 0: none is. */
static unsigned erased_mark(MDB_txn *txn, const cn_tables *t, const uint8_t key[8])
{
    cn_span mark;
    return cn_row_get(txn, t, T_ERASED, key, 8, &mark, NULL) == CN_OK && mark.n == 1 ? *(const uint8_t *)mark.p : 0;
}

static cn_status erase(cn_store *store, MDB_txn *txn, uint64_t log_index, uint32_t start, uint32_t count, bool *ret_new,
                       cn_err *err)
{
    uint8_t key[8];
    cn_span items;
    cn_buf changed;
    cn_store_u64(key, log_index);
    cn_status st = cn_row_get(txn, &store->t, T_ITEMS, key, sizeof key, &items, err);
    if (st == CN_NOT_FOUND)
        return cn_fail(err, st, "items", "log index %llu has no items", (unsigned long long)log_index);
    cn_buf_init(&changed, 2 * CN_MAX_STATEMENT_BYTES);
    if (st == CN_OK)
        st = cn_items_erase(items, start, count, &changed, ret_new, err);
    if (st == CN_OK && *ret_new)
        st = cn_row_put(txn, &store->t, T_ITEMS, key, sizeof key, changed.p, changed.n, 0, err);
    if (st == CN_OK && *ret_new && erased_mark(txn, &store->t, key) == 0)
        st = cn_row_put(txn, &store->t, T_ERASED, key, sizeof key, "\2", 1, 0, err);
    cn_buf_free(&changed);
    return st;
}

static cn_status put_back(cn_store *store, MDB_txn *txn, uint64_t log_index, cn_span items, cn_err *err)
{
    uint8_t key[8];
    cn_store_u64(key, log_index);
    if (erased_mark(txn, &store->t, key) == 0)
        return cn_fail(err, CN_INVALID, "items", "log index %llu lacks no items", (unsigned long long)log_index);
    cn_status st = cn_row_put(txn, &store->t, T_ITEMS, key, sizeof key, items.p, items.n, 0, err);
    if (st == CN_OK && cn_items_any_erased(items))
        return cn_row_put(txn, &store->t, T_ERASED, key, sizeof key, "\2", 1, 0, err);
    MDB_val k = {.mv_size = sizeof key, .mv_data = key};
    int rc = st == CN_OK ? mdb_del(txn, store->t.dbi[T_ERASED], &k, NULL) : 0;
    return rc == 0 ? st : cn_lmdb_error(rc, "erased", err);
}

/* One change, synced. */
static cn_status finish_one(MDB_txn *txn, cn_status st, cn_err *err)
{
    if (st != CN_OK) {
        mdb_txn_abort(txn);
        return st;
    }
    int rc = mdb_txn_commit(txn);
    return rc == 0 ? CN_OK : cn_lmdb_error(rc, "items", err);
}

cn_status cn_store_restore_items(cn_store *store, uint64_t log_index, cn_span items, cn_err *err)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    return rc == 0 ? finish_one(txn, put_back(store, txn, log_index, items, err), err)
                   : cn_lmdb_error(rc, "items", err);
}

cn_status cn_store_explain_erased(cn_store *store, const uint64_t *log_index, size_t count, cn_err *err)
{
    MDB_txn *txn = NULL;
    uint8_t key[8];
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    cn_status st = rc == 0 ? CN_OK : cn_lmdb_error(rc, "erased", err);
    if (st != CN_OK)
        return st;
    for (size_t i = 0; i < count && st == CN_OK; i++) {
        cn_store_u64(key, log_index[i]);
        st = erased_mark(txn, &store->t, key) == 0
                 ? cn_fail(err, CN_NOT_FOUND, "erased", "log index %llu has all of its items",
                           (unsigned long long)log_index[i])
                 : cn_row_put(txn, &store->t, T_ERASED, key, sizeof key, "\2", 1, 0, err);
    }
    return finish_one(txn, st, err);
}

cn_status cn_store_erase_items(cn_store *store, uint64_t log_index, uint32_t start, uint32_t count, bool *ret_new,
                               cn_err *err)
{
    MDB_txn *txn = NULL;
    *ret_new = false;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != 0)
        return cn_lmdb_error(rc, "items", err);
    cn_status st = erase(store, txn, log_index, start, count, ret_new, err);
    if (st != CN_OK || !*ret_new) {
        mdb_txn_abort(txn);
        return st;
    }
    rc = mdb_txn_commit(txn);
    return rc == 0 ? CN_OK : cn_lmdb_error(rc, "items", err);
}
