/* Environment, creation, opening and the one commit path. */
#include "storage/guard.h"
#include "storage/store_internal.h"
#include "storage/sync.h"

#include "proto/limits.h"
#include "proto/statement.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_MAP_SIZE ((size_t)1 << 40)
#define MAX_READERS 1024u
#define HEADERS_CHECKED_ON_OPEN 16u

static const char *const table_names[] = {
#define CN_TABLE_NAME(id, name) name,
    CN_TABLES(CN_TABLE_NAME)
#undef CN_TABLE_NAME
};

const char *cn_table_name(int table)
{
    return table_names[table];
}

MDB_val cn_val(const void *p, size_t n)
{
    return (MDB_val){.mv_size = n, .mv_data = (void *)(uintptr_t)p};
}

cn_status cn_lmdb_error(int rc, const char *what, cn_err *err)
{
    if (rc == MDB_MAP_FULL)
        return cn_fail(err, CN_IO, what,
                       "the ledger fills the address space that it may use (%s): raise data.map_bytes, then start the "
                       "node again",
                       mdb_strerror(rc));
    if (rc == ENOSPC || rc == EFBIG)
        return cn_fail(err, CN_IO, what, "the disk is full (%s): free space, then start the node again",
                       mdb_strerror(rc));
    if (rc == EIO) /* LMDB's word for a short write, too */
        return cn_fail(err, CN_IO, what, "the disk is full or failing (%s): look at both, then start the node again",
                       mdb_strerror(rc));
    if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH)
        return cn_fail(err, CN_CORRUPT, what, "%s; run carnet fsck and restore from another node", mdb_strerror(rc));
    return cn_fail(err, CN_IO, what, "%s", mdb_strerror(rc));
}

cn_status cn_row_get(MDB_txn *txn, const cn_tables *t, int table, const void *key, size_t key_len, cn_span *ret,
                     cn_err *err)
{
    MDB_val k = cn_val(key, key_len), v;
    int rc = mdb_get(txn, t->dbi[table], &k, &v);
    if (rc == MDB_NOTFOUND)
        return cn_fail(err, CN_NOT_FOUND, table_names[table], "there is no such row");
    if (rc != 0)
        return cn_lmdb_error(rc, table_names[table], err);
    *ret = CN_SPAN(v.mv_data, v.mv_size);
    return CN_OK;
}

cn_status cn_row_put(MDB_txn *txn, const cn_tables *t, int table, const void *key, size_t key_len, const void *value,
                     size_t value_len, unsigned flags, cn_err *err)
{
    MDB_val k = cn_val(key, key_len), v = cn_val(value, value_len);
    int rc = mdb_put(txn, t->dbi[table], &k, &v, flags);
    if (rc == MDB_KEYEXIST)
        return cn_fail(err, CN_CONFLICT, table_names[table], "the row exists already");
    return rc == 0 ? CN_OK : cn_lmdb_error(rc, table_names[table], err);
}

static cn_status put_u64_key(MDB_txn *txn, const cn_tables *t, int table, uint64_t number, const void *value, size_t n,
                             unsigned flags, cn_err *err)
{
    uint8_t key[8];
    cn_store_u64(key, number);
    return cn_row_put(txn, t, table, key, sizeof key, value, n, flags, err);
}

cn_status cn_meta_get(MDB_txn *txn, const cn_tables *t, const char *name, cn_span *ret, cn_err *err)
{
    return cn_row_get(txn, t, T_META, name, strlen(name), ret, err);
}

cn_status cn_meta_u64(MDB_txn *txn, const cn_tables *t, const char *name, uint64_t *ret, cn_err *err)
{
    cn_span row;
    cn_status st = cn_meta_get(txn, t, name, &row, err);
    if (st == CN_OK && row.n != 8)
        return cn_fail(err, CN_CORRUPT, name, "has %zu bytes, not 8; run carnet fsck", row.n);
    if (st == CN_OK)
        *ret = cn_load_u64(row.p);
    return st;
}

static cn_status meta_put(MDB_txn *txn, const cn_tables *t, const char *name, const void *p, size_t n, cn_err *err)
{
    return cn_row_put(txn, t, T_META, name, strlen(name), p, n, 0, err);
}

static cn_status meta_put_u64(MDB_txn *txn, const cn_tables *t, const char *name, uint64_t v, cn_err *err)
{
    uint8_t bytes[8];
    cn_store_u64(bytes, v);
    return meta_put(txn, t, name, bytes, sizeof bytes, err);
}

cn_status cn_block_row_get(MDB_txn *txn, const cn_tables *t, uint64_t height, cn_block_row *ret, cn_err *err)
{
    uint8_t key[8];
    cn_span row;
    cn_store_u64(key, height);
    cn_status st = cn_row_get(txn, t, T_BLOCKS, key, sizeof key, &row, err);
    if (st != CN_OK)
        return st;
    cn_reader r = cn_reader_of(row.p, row.n);
    const uint8_t *header = cn_read_view(&r, CN_HEADER_LEN);
    cn_block_row block;
    block.digest = cn_read_digest(&r);
    block.first_log_index = cn_read_u64(&r);
    block.count = cn_read_u32(&r);
    if (!cn_reader_done(&r) || cn_header_decode(header, CN_HEADER_LEN, &block.header, NULL) != CN_OK)
        return cn_fail(err, CN_CORRUPT, "blocks", "the row of height %llu does not decode; run carnet fsck",
                       (unsigned long long)height);
    *ret = block;
    return CN_OK;
}

/* ---- environment ---- */

static cn_status open_tables(cn_store *store, bool create, cn_err *err)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(store->env, NULL, create ? 0 : MDB_RDONLY, &txn);
    for (int i = 0; rc == 0 && i < TABLE_COUNT; i++)
        rc = mdb_dbi_open(txn, table_names[i], create ? MDB_CREATE : 0, &store->t.dbi[i]);
    if (rc == 0)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    if (rc == MDB_NOTFOUND)
        return cn_fail(err, CN_NOT_FOUND, "store", "the directory holds no ledger of this version");
    return rc == 0 ? CN_OK : cn_lmdb_error(rc, "store", err);
}

/* LMDB would let a second process write; its cached tip would then be wrong. */
static cn_status take_writer_lock(cn_store *store, const char *dir, cn_err *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/writer.lock", dir);
    store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock < 0)
        return cn_fail(err, CN_IO, path, "cannot be opened: %s", strerror(errno));
    if (flock(store->lock, LOCK_EX | LOCK_NB) != 0)
        return cn_fail(err, CN_CONFLICT, dir, "another process writes this ledger; stop it first");
    return CN_OK;
}

/* LMDB aborts after this call. */
static void on_lmdb_assertion(MDB_env *env, const char *text)
{
    (void)env;
    (void)text;
    cn_store_guard_end();
}

cn_status cn_store_env_open(const cn_store_options *options, bool create, cn_store **ret, cn_err *err)
{
    struct stat info;
    char path[4096];
    snprintf(path, sizeof path, "%s/data.mdb", options->dir);
    bool exists = stat(path, &info) == 0;
    if (!exists && !create)
        return cn_fail(err, CN_NOT_FOUND, options->dir, "there is no ledger in this directory (no data.mdb)");
    cn_store *store = calloc(1, sizeof *store);
    if (!store)
        return cn_fail(err, CN_NO_MEMORY, "store", "out of memory");
    store->read_only = options->read_only;
    store->lock = -1;
    cn_status st = options->read_only ? CN_OK : take_writer_lock(store, options->dir, err);
    if (st != CN_OK) {
        cn_store_close(store);
        return st;
    }
    /* The node reads at random (proofs, paths of the map); tools walk whole tables. */
    unsigned flags = MDB_NOTLS | (options->read_only ? MDB_RDONLY : MDB_NORDAHEAD);
    int rc = mdb_env_create(&store->env);
    if (rc == 0)
        rc = mdb_env_set_assert(store->env, on_lmdb_assertion);
    if (rc == 0)
        rc = mdb_env_set_mapsize(store->env, options->map_size ? options->map_size : DEFAULT_MAP_SIZE);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(store->env, TABLE_COUNT);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(store->env, MAX_READERS);
    if (rc == 0)
        rc = mdb_env_open(store->env, options->dir, flags, 0600);
    int dead = 0;
    if (rc == 0)
        (void)mdb_reader_check(store->env, &dead); /* slots of killed readers would pin freed pages */
    st = rc == 0 ? CN_OK : cn_lmdb_error(rc, options->dir, err);
    if (st == CN_OK)
        st = open_tables(store, create, err);
    if (st == CN_OK)
        *ret = store;
    else
        cn_store_close(store);
    return st;
}

/* What a process that was killed left may lie in the kernel's memory only, and LMDB syncs pages but no names: a ledger
 * is told to nobody before its pages, its files' names and its folder's own name are durable. */
static cn_status make_durable(const cn_store *store, const char *dir, cn_err *err)
{
    char parent[4200];
    snprintf(parent, sizeof parent, "%s/..", dir);
    int rc = mdb_env_sync(store->env, 1);
    if (rc != 0)
        return cn_lmdb_error(rc, dir, err);
    if (!cn_sync_folder(dir) || !cn_sync_folder(parent))
        return cn_fail(err, CN_IO, dir, "the names in the folder cannot be made durable: %s", strerror(errno));
    return CN_OK;
}

void cn_store_close(cn_store *store)
{
    if (!store)
        return;
    if (store->map_txn)
        mdb_txn_abort(store->map_txn);
    if (store->env)
        mdb_env_close(store->env);
    if (store->lock >= 0)
        close(store->lock);
    free(store);
}

/* ---- the writer's map versions ---- */

static cn_status map_begin(cn_store *store, cn_err *err)
{
    int rc =
        store->map_txn ? mdb_txn_renew(store->map_txn) : mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->map_txn);
    return rc == 0 ? CN_OK : cn_lmdb_error(rc, "state map", err);
}

static cn_status writer_range(void *ctx, const cn_state_key *prefix, unsigned bits,
                              cn_status (*leaf)(void *, const cn_state_key *, cn_span), void *arg, cn_err *err)
{
    cn_store *store = ctx;
    cn_status st = map_begin(store, err);
    if (st != CN_OK)
        return st;
    st = cn_map_rows_range(store->map_txn, &store->t, prefix, bits, leaf, arg, err);
    mdb_txn_reset(store->map_txn);
    return st;
}

static cn_status writer_leaf(void *ctx, const cn_state_key *key, uint8_t *value, size_t *ret_len, cn_err *err)
{
    cn_store *store = ctx;
    cn_status st = map_begin(store, err);
    if (st != CN_OK)
        return st;
    st = cn_map_rows_leaf(store->map_txn, &store->t, key, value, ret_len, err);
    mdb_txn_reset(store->map_txn);
    return st;
}

static cn_status writer_inner(void *ctx, const uint8_t *row_key, cn_map_descriptor child[2], cn_err *err)
{
    cn_store *store = ctx;
    cn_status st = map_begin(store, err);
    if (st != CN_OK)
        return st;
    st = cn_map_rows_inner(store->map_txn, &store->t, row_key, child, err);
    mdb_txn_reset(store->map_txn);
    return st;
}

cn_map *cn_store_map(cn_store *store, cn_err *err)
{
    cn_span row;
    cn_map_descriptor root;
    cn_map *map = NULL;
    if (map_begin(store, err) != CN_OK)
        return NULL;
    cn_status st = cn_meta_get(store->map_txn, &store->t, "map_root", &row, err);
    if (st == CN_OK && !cn_map_descriptor_read(row.p, row.n, &root))
        st = cn_fail(err, CN_CORRUPT, "map_root", "does not decode; run carnet fsck");
    mdb_txn_reset(store->map_txn);
    if (st == CN_OK && !(map = cn_map_attach(&store->source, &root)))
        cn_fail(err, CN_NO_MEMORY, "state map", "out of memory");
    return map;
}

/* ---- commit ---- */

typedef struct commit {
    cn_store *store;
    MDB_txn *txn;
    cn_frontier log;
    cn_header tip;
    cn_digest tip_digest;
    uint64_t subject_count;
} commit;

static cn_status put_statement(commit *c, uint64_t height, uint64_t index, const cn_commit_statement *s, cn_err *err)
{
    const cn_tables *t = &c->store->t;
    uint8_t key[8], by_key[CN_DIGEST_LEN + 8];
    MDB_val k = cn_val(key, sizeof key), v = {.mv_size = 8 + CN_DIGEST_LEN + s->record.n};
    cn_store_u64(key, index);
    int rc = mdb_put(c->txn, t->dbi[T_RECORDS], &k, &v, MDB_RESERVE | MDB_NOOVERWRITE | MDB_APPEND);
    if (rc != 0)
        return cn_lmdb_error(rc, "records", err);
    uint8_t *p = cn_store_u64(v.mv_data, height);
    memcpy(p, s->record_digest.b, CN_DIGEST_LEN);
    memcpy(p + CN_DIGEST_LEN, s->record.p, s->record.n);
    cn_status st = CN_OK;
    if (s->items.n)
        st = cn_row_put(c->txn, t, T_ITEMS, key, sizeof key, s->items.p, s->items.n, MDB_NOOVERWRITE | MDB_APPEND, err);
    if (st == CN_OK && s->erased)
        st = cn_row_put(c->txn, t, T_ERASED, key, sizeof key, "\1", 1, MDB_NOOVERWRITE, err);
    if (st == CN_OK)
        st = cn_row_put(c->txn, t, T_IDS, s->id.b, CN_DIGEST_LEN, key, sizeof key, MDB_NOOVERWRITE, err);
    if (st == CN_OK)
        st = cn_row_put(c->txn, t, T_BY_RECORD, s->record_digest.b, CN_DIGEST_LEN, key, sizeof key, MDB_NOOVERWRITE,
                        err);
    memcpy(by_key, s->key_id.b, CN_DIGEST_LEN);
    cn_store_u64(by_key + CN_DIGEST_LEN, s->sequence);
    if (st == CN_OK)
        st = cn_row_put(c->txn, t, T_BY_KEY, by_key, sizeof by_key, key, sizeof key, 0, err);
    return st;
}

static cn_status put_statements(commit *c, const cn_commit_block *block, cn_err *err)
{
    if (block->statement_count == 0)
        return CN_OK;
    cn_digest *leaf = calloc(block->statement_count, sizeof *leaf);
    if (!leaf)
        return cn_fail(err, CN_NO_MEMORY, "commit", "out of memory");
    uint64_t first = c->log.size;
    cn_status st = CN_OK;
    for (size_t i = 0; i < block->statement_count && st == CN_OK; i++) {
        leaf[i] = cn_leaf_hash(block->statement[i].record_digest.b, CN_DIGEST_LEN);
        st = put_statement(c, block->header.height, first + i, &block->statement[i], err);
    }
    if (st == CN_OK)
        st = cn_tiles_append(c->txn, &c->store->t, first, leaf, block->statement_count, err);
    for (size_t i = 0; i < block->statement_count && st == CN_OK; i++)
        cn_frontier_append(&c->log, &leaf[i]);
    free(leaf);
    return st;
}

static cn_status put_subject_row(commit *c, const cn_subject_row *row, cn_err *err)
{
    const cn_tables *t = &c->store->t;
    uint8_t value[24], key[24], subject[24];
    uint64_t number = c->subject_count, rows = 0, longest = 0;
    cn_span found;
    cn_status st = cn_row_get(c->txn, t, T_SUBJECTS, row->tag.b, CN_DIGEST_LEN, &found, NULL);
    if (st == CN_OK && found.n == sizeof subject) {
        number = cn_load_u64(found.p);
        rows = cn_load_u64((const uint8_t *)found.p + 8);
        longest = cn_load_u64((const uint8_t *)found.p + 16);
    } else if (st == CN_NOT_FOUND) {
        c->subject_count++;
    } else {
        return cn_fail(err, CN_CORRUPT, "subjects", "a row cannot be read; run carnet fsck");
    }
    if (row->position != rows)
        return cn_fail(err, CN_CONFLICT, "rows", "subject %s has %llu rows, the next was given position %llu",
                       cn_digest_hex(&row->tag).s, (unsigned long long)rows, (unsigned long long)row->position);
    if (row->last_ms > row->first_ms && row->last_ms - row->first_ms > longest)
        longest = row->last_ms - row->first_ms;
    cn_store_u64(cn_store_u64(cn_store_u64(subject, number), rows + 1), longest);
    st = cn_row_put(c->txn, t, T_SUBJECTS, row->tag.b, CN_DIGEST_LEN, subject, sizeof subject, 0, err);
    cn_store_u64(cn_store_u64(key, number), row->position);
    cn_store_u64(cn_store_u64(cn_store_u64(value, row->leaf.log_index), row->first_ms), row->last_ms);
    if (st == CN_OK)
        st = cn_row_put(c->txn, t, T_ROWS, key, 16, value, sizeof value, MDB_NOOVERWRITE, err);
    cn_store_u64(cn_store_u64(cn_store_u64(key, number), row->first_ms), row->leaf.log_index);
    cn_store_u64(cn_store_u64(value, row->position), row->last_ms);
    if (st == CN_OK)
        st = cn_row_put(c->txn, t, T_BY_TIME, key, 24, value, 16, MDB_NOOVERWRITE, err);
    return st;
}

static cn_status sink_leaf(void *ctx, const cn_state_key *key, cn_span value, cn_err *err)
{
    commit *c = ctx;
    return cn_row_put(c->txn, &c->store->t, T_MAP_LEAVES, key->b, CN_STATE_KEY_LEN, value.p, value.n, 0, err);
}

static cn_status sink_inner(void *ctx, const uint8_t *row_key, const cn_map_descriptor child[2], cn_err *err)
{
    commit *c = ctx;
    uint8_t row[2 * CN_MAP_DESCRIPTOR_LEN];
    cn_map_descriptor_write(&child[0], row);
    cn_map_descriptor_write(&child[1], row + CN_MAP_DESCRIPTOR_LEN);
    return cn_row_put(c->txn, &c->store->t, T_MAP_INNER, row_key, CN_MAP_ROW_KEY_LEN, row, sizeof row, 0, err);
}

static cn_status put_checkpoint(commit *c, const cn_commit_block *block, cn_err *err)
{
    cn_map_sink sink = {.ctx = c, .put_leaf = sink_leaf, .put_inner = sink_inner};
    cn_map_descriptor root;
    uint8_t row[CN_MAP_DESCRIPTOR_LEN];
    const cn_map_source *source = cn_map_source_of(block->map);
    CN_ASSERT(!source || source == &c->store->source);
    cn_digest hash = cn_map_root(block->map);
    if (!cn_digest_eq(&hash, &block->header.state_root))
        return cn_fail(err, CN_CONFLICT, "state_root", "the map given does not have the header's state root");
    cn_status st = cn_map_store(block->map, &sink, &root, err);
    for (size_t i = 0; st == CN_OK && i < block->side_count; i++)
        st = cn_row_put(c->txn, &c->store->t, T_SIDE, block->side[i].key.b, CN_DIGEST_LEN, block->side[i].value.p,
                        block->side[i].value.n, 0, err);
    if (st != CN_OK)
        return st;
    cn_map_descriptor_write(&root, row);
    st = meta_put(c->txn, &c->store->t, "map_root", row, sizeof row, err);
    return st == CN_OK ? meta_put_u64(c->txn, &c->store->t, "checkpoint", block->header.height, err) : st;
}

static cn_status put_block_row(commit *c, const cn_commit_block *block, uint64_t first_log_index, cn_err *err)
{
    uint8_t row[CN_HEADER_LEN + CN_DIGEST_LEN + 12], height[8];
    cn_header_encode(&block->header, row);
    memcpy(row + CN_HEADER_LEN, block->digest.b, CN_DIGEST_LEN);
    uint8_t *p = cn_store_u64(row + CN_HEADER_LEN + CN_DIGEST_LEN, first_log_index);
    cn_store_u32(p, (uint32_t)block->statement_count);
    cn_store_u64(height, block->header.height);
    cn_status st = put_u64_key(c->txn, &c->store->t, T_BLOCKS, block->header.height, row, sizeof row,
                               MDB_NOOVERWRITE | MDB_APPEND, err);
    if (st == CN_OK)
        st = cn_row_put(c->txn, &c->store->t, T_DIGESTS, block->digest.b, CN_DIGEST_LEN, height, sizeof height,
                        MDB_NOOVERWRITE, err);
    if (st == CN_OK && block->certificate.n)
        st = put_u64_key(c->txn, &c->store->t, T_CERTIFICATES, block->header.height, block->certificate.p,
                         block->certificate.n, 0, err);
    return st;
}

/* R11: a closing block begins the next epoch; its finalization is kept for ever. */
static cn_status put_epoch(commit *c, const cn_header *h, cn_span rows, cn_err *err)
{
    uint8_t *value = malloc(8 + rows.n), key[8];
    if (!value)
        return cn_fail(err, CN_NO_MEMORY, "epochs", "out of memory");
    memcpy(cn_store_u64(value, h->height), rows.p, rows.n);
    cn_store_u64(key, h->epoch + 1);
    cn_status st = cn_row_put(c->txn, &c->store->t, T_EPOCHS, key, sizeof key, value, 8 + rows.n,
                              MDB_NOOVERWRITE | MDB_APPEND, err);
    free(value);
    return st;
}

static cn_status check_closing(const cn_commit_block *block, cn_err *err)
{
    bool closing = block->header.kind == CN_BLOCK_CLOSING;
    cn_digest digest = cn_tagged("carnet/set", block->set_rows.p, block->set_rows.n);
    if (closing != (block->set_rows.n > 0) || (closing && !cn_digest_eq(&digest, &block->header.next_set)))
        return cn_fail(err, CN_CONFLICT, "set_rows",
                       "block %llu: closing blocks, and only they, come with the rows of "
                       "their next set",
                       (unsigned long long)block->header.height);
    if (closing && block->certificate.n == 0)
        return cn_fail(err, CN_CONFLICT, "certificate", "closing block %llu comes without its finalization",
                       (unsigned long long)block->header.height);
    return CN_OK;
}

static cn_status check_follows(const commit *c, const cn_commit_block *block, cn_err *err)
{
    cn_digest digest = cn_header_digest(&block->header);
    if (!cn_digest_eq(&digest, &block->digest))
        return cn_fail(err, CN_CONFLICT, "commit", "the header of block %llu does not hash to the digest given",
                       (unsigned long long)block->header.height);
    if (block->header.height != c->tip.height + 1 || !cn_digest_eq(&block->header.parent, &c->tip_digest))
        return cn_fail(err, CN_CONFLICT, "commit", "block %llu does not follow the tip at height %llu",
                       (unsigned long long)block->header.height, (unsigned long long)c->tip.height);
    bool checkpoint = block->header.kind != CN_BLOCK_NORMAL;
    if (checkpoint != (block->map != NULL) || (checkpoint && block->statement_count) ||
        (!checkpoint && block->side_count))
        return cn_fail(err, CN_CONFLICT, "commit",
                       "block %llu: checkpoints, and only they, come with a map and no statements",
                       (unsigned long long)block->header.height);
    if (!checkpoint && !cn_digest_eq(&block->header.state_root, &c->tip.state_root))
        return cn_fail(err, CN_CONFLICT, "state_root", "block %llu is no checkpoint but changes the state root",
                       (unsigned long long)block->header.height);
    return CN_OK;
}

static cn_status commit_block(commit *c, const cn_commit_block *block, bool genesis, cn_err *err)
{
    uint64_t first = c->log.size;
    cn_status st = genesis ? CN_OK : check_follows(c, block, err);
    if (st == CN_OK && !genesis)
        st = check_closing(block, err);
    if (st == CN_OK)
        st = put_statements(c, block, err);
    if (st != CN_OK)
        return st;
    cn_digest log_root = cn_frontier_root(&c->log);
    if (c->log.size != block->header.log_size || !cn_digest_eq(&log_root, &block->header.log_root))
        return cn_fail(err, CN_CONFLICT, "log_root", "the statements of block %llu do not give its log root",
                       (unsigned long long)block->header.height);
    for (size_t i = 0; i < block->row_count && st == CN_OK; i++)
        st = put_subject_row(c, &block->row[i], err);
    if (st == CN_OK)
        st = put_block_row(c, block, first, err);
    if (st == CN_OK && block->map)
        st = put_checkpoint(c, block, err);
    if (st == CN_OK && block->set_rows.n)
        st = put_epoch(c, &block->header, block->set_rows, err);
    c->tip = block->header;
    c->tip_digest = block->digest;
    return st;
}

static cn_status finish(commit *c, cn_err *err)
{
    cn_status st = meta_put_u64(c->txn, &c->store->t, "tip", c->tip.height, err);
    if (st == CN_OK)
        st = meta_put_u64(c->txn, &c->store->t, "subjects", c->subject_count, err);
    if (st != CN_OK)
        return st;
    int rc = mdb_txn_commit(c->txn); /* synced when it returns */
    c->txn = NULL;
    if (rc != 0)
        return cn_lmdb_error(rc, "commit", err);
    c->store->log = c->log;
    c->store->tip = c->tip;
    c->store->tip_digest = c->tip_digest;
    c->store->subject_count = c->subject_count;
    return CN_OK;
}

cn_status cn_store_commit(cn_store *store, const cn_commit_block *blocks, size_t count, cn_err *err)
{
    commit c = {.store = store,
                .log = store->log,
                .tip = store->tip,
                .tip_digest = store->tip_digest,
                .subject_count = store->subject_count};
    if (count == 0)
        return CN_OK;
    int rc = mdb_txn_begin(store->env, NULL, 0, &c.txn);
    if (rc != 0)
        return cn_lmdb_error(rc, "commit", err);
    cn_status st = CN_OK;
    for (size_t i = 0; i < count && st == CN_OK; i++)
        st = commit_block(&c, &blocks[i], false, err);
    if (st == CN_OK)
        st = finish(&c, err);
    if (c.txn)
        mdb_txn_abort(c.txn);
    for (size_t i = 0; st == CN_OK && i < count; i++)
        if (blocks[i].map && cn_map_source_of(blocks[i].map))
            cn_map_settle(blocks[i].map);
    return st;
}

cn_status cn_store_compact(const cn_store_options *options, const char *to, cn_err *err)
{
    cn_store *store = NULL;
    cn_store_options read_only = *options;
    read_only.read_only = true;
    cn_status st = cn_store_env_open(&read_only, false, &store, err);
    if (st != CN_OK)
        return st;
    int rc = mdb_env_copy2(store->env, to, MDB_CP_COMPACT);
    cn_store_close(store);
    if (rc != 0)
        return cn_lmdb_error(rc, to, err);
    char copy[4200]; /* the operator deletes the original next, and LMDB does not sync a copy */
    snprintf(copy, sizeof copy, "%s/data.mdb", to);
    if (!cn_sync_file(copy) || !cn_sync_folder(to))
        return cn_fail(err, CN_IO, to, "the copy cannot be made durable: %s", strerror(errno));
    return CN_OK;
}

cn_status cn_store_put_certificate(cn_store *store, uint64_t height, cn_span certificate, cn_err *err)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != 0)
        return cn_lmdb_error(rc, "certificates", err);
    cn_status st =
        height > store->tip.height
            ? cn_fail(err, CN_NOT_FOUND, "certificates", "there is no block %llu", (unsigned long long)height)
            : put_u64_key(txn, &store->t, T_CERTIFICATES, height, certificate.p, certificate.n, 0, err);
    if (st != CN_OK) {
        mdb_txn_abort(txn);
        return st;
    }
    rc = mdb_txn_commit(txn);
    return rc == 0 ? CN_OK : cn_lmdb_error(rc, "certificates", err);
}

cn_status cn_store_put_evidence(cn_store *store, cn_span evidence, bool *ret_new, cn_err *err)
{
    MDB_txn *txn = NULL;
    MDB_stat stat;
    cn_span known;
    cn_digest key = cn_sha256(evidence.p, evidence.n);
    *ret_new = false;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc == 0)
        rc = mdb_stat(txn, store->t.dbi[T_EVIDENCE], &stat);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return cn_lmdb_error(rc, "evidence", err);
    }
    cn_status st = cn_row_get(txn, &store->t, T_EVIDENCE, key.b, CN_DIGEST_LEN, &known, NULL);
    bool fresh = st == CN_NOT_FOUND;
    if (fresh && stat.ms_entries >= CN_EVIDENCE_KEPT)
        st = cn_fail(err, CN_FULL, "evidence", "%u proofs are kept already", CN_EVIDENCE_KEPT);
    else if (fresh)
        st = cn_row_put(txn, &store->t, T_EVIDENCE, key.b, CN_DIGEST_LEN, evidence.p, evidence.n, 0, err);
    if (st != CN_OK || !fresh) {
        mdb_txn_abort(txn);
        return st;
    }
    rc = mdb_txn_commit(txn);
    *ret_new = rc == 0;
    return rc == 0 ? CN_OK : cn_lmdb_error(rc, "evidence", err);
}

/* ---- creating ---- */

static cn_status write_genesis(cn_store *store, cn_span genesis, cn_span set_rows, const cn_digest log_entry[2],
                               const cn_commit_block *block0, cn_err *err)
{
    commit c = {.store = store};
    cn_commit_block first = *block0;
    cn_digest leaf[2];
    first.set_rows = set_rows;
    cn_frontier_init(&c.log);
    int rc = mdb_txn_begin(store->env, NULL, 0, &c.txn);
    if (rc != 0)
        return cn_lmdb_error(rc, "store", err);
    cn_span exists;
    cn_status st = CN_OK;
    if (cn_meta_get(c.txn, &store->t, "version", &exists, NULL) == CN_OK)
        st = cn_fail(err, CN_CONFLICT, "store", "the directory holds a ledger already");
    for (int i = 0; i < 2; i++) {
        leaf[i] = cn_leaf_hash(log_entry[i].b, CN_DIGEST_LEN);
        cn_frontier_append(&c.log, &leaf[i]);
    }
    if (st == CN_OK)
        st = meta_put_u64(c.txn, &store->t, "version", CN_STORE_VERSION, err);
    if (st == CN_OK)
        st = meta_put(c.txn, &store->t, "genesis", genesis.p, genesis.n, err);
    if (st == CN_OK)
        st = meta_put(c.txn, &store->t, "set_rows", set_rows.p, set_rows.n, err);
    if (st == CN_OK)
        st = meta_put(c.txn, &store->t, "log_entries", log_entry, 2 * sizeof *log_entry, err);
    if (st == CN_OK)
        st = cn_tiles_append(c.txn, &store->t, 0, leaf, 2, err);
    if (st == CN_OK)
        st = commit_block(&c, &first, true, err);
    if (st == CN_OK)
        st = finish(&c, err);
    if (c.txn)
        mdb_txn_abort(c.txn);
    return st;
}

cn_status cn_store_create(const cn_store_options *options, cn_span genesis, cn_span set_rows,
                          const cn_digest log_entry[2], const cn_commit_block *block0, cn_err *err)
{
    cn_store *store = NULL;
    CN_ASSERT(block0->header.height == 0 && block0->statement_count == 0);
    CN_ASSERT(block0->map && !cn_map_source_of(block0->map));
    cn_status st = cn_store_env_open(options, true, &store, err);
    if (st == CN_OK)
        st = write_genesis(store, genesis, set_rows, log_entry, block0, err);
    if (st == CN_OK)
        st = make_durable(store, options->dir, err);
    cn_store_close(store);
    return st;
}

/* ---- opening ---- */

static cn_status check_headers(MDB_txn *txn, cn_store *store, uint64_t tip, cn_err *err)
{
    cn_digest expected = cn_digest_zero;
    for (uint64_t i = 0; i < HEADERS_CHECKED_ON_OPEN && i <= tip; i++) {
        cn_block_row row;
        uint64_t height = tip - i;
        cn_status st = cn_block_row_get(txn, &store->t, height, &row, err);
        if (st != CN_OK)
            return st;
        cn_digest digest = cn_header_digest(&row.header);
        bool linked = i == 0 || cn_digest_eq(&digest, &expected);
        if (!cn_digest_eq(&digest, &row.digest) || !linked || row.header.height != height)
            return cn_fail(err, CN_CORRUPT, "blocks",
                           "the header at height %llu does not hash to what is recorded; run carnet fsck",
                           (unsigned long long)height);
        expected = row.header.parent;
        if (i == 0) {
            store->tip = row.header;
            store->tip_digest = row.digest;
        }
    }
    return CN_OK;
}

static cn_status check_genesis(MDB_txn *txn, cn_store *store, cn_err *err)
{
    cn_span genesis, entries;
    cn_status st = cn_meta_get(txn, &store->t, "genesis", &genesis, err);
    if (st == CN_OK)
        st = cn_meta_get(txn, &store->t, "log_entries", &entries, err);
    if (st != CN_OK)
        return st;
    cn_digest digest = cn_sha256(genesis.p, genesis.n);
    if (entries.n != 2 * CN_DIGEST_LEN || memcmp(entries.p, digest.b, CN_DIGEST_LEN) != 0)
        return cn_fail(err, CN_CORRUPT, "genesis", "the genesis bytes are not those of log entry 0; run carnet fsck");
    return CN_OK;
}

static cn_status check_roots(MDB_txn *txn, cn_store *store, cn_err *err)
{
    cn_status st = cn_tiles_frontier(txn, &store->t, store->tip.log_size, &store->log, err);
    if (st != CN_OK)
        return st;
    cn_digest root = cn_frontier_root(&store->log);
    if (!cn_digest_eq(&root, &store->tip.log_root))
        return cn_fail(err, CN_CORRUPT, "tiles",
                       "the log does not hash to the newest header's log root; run carnet fsck");
    cn_span row;
    cn_map_descriptor map_root;
    st = cn_meta_get(txn, &store->t, "map_root", &row, err);
    if (st == CN_OK &&
        (!cn_map_descriptor_read(row.p, row.n, &map_root) || !cn_digest_eq(&map_root.hash, &store->tip.state_root)))
        st = cn_fail(err, CN_CORRUPT, "map_root",
                     "the map's root is not the newest header's state root; run carnet fsck");
    return st;
}

cn_status cn_store_open(const cn_store_options *options, cn_store **ret, cn_err *err)
{
    cn_store *store = NULL;
    MDB_txn *txn = NULL;
    uint64_t version = 0, tip = 0;
    cn_status st = cn_store_env_open(options, false, &store, err);
    if (st != CN_OK)
        return st;
    if (!options->read_only)
        st = make_durable(store, options->dir, err);
    store->source = (cn_map_source){.ctx = store, .range = writer_range, .leaf = writer_leaf, .inner = writer_inner};
    int rc = st == CN_OK ? mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) : 0;
    st = rc == 0 ? st : cn_lmdb_error(rc, "store", err);
    if (st == CN_OK)
        st = cn_meta_u64(txn, &store->t, "version", &version, err);
    if (st == CN_OK && version != CN_STORE_VERSION)
        st = cn_fail(err, CN_INVALID, "version", "the ledger has layout %llu, this program reads %u",
                     (unsigned long long)version, CN_STORE_VERSION);
    if (st == CN_OK)
        st = cn_meta_u64(txn, &store->t, "tip", &tip, err);
    if (st == CN_OK)
        st = cn_meta_u64(txn, &store->t, "subjects", &store->subject_count, err);
    if (st == CN_OK)
        st = check_genesis(txn, store, err);
    if (st == CN_OK)
        st = check_headers(txn, store, tip, err);
    if (st == CN_OK)
        st = check_roots(txn, store, err);
    if (txn)
        mdb_txn_abort(txn);
    if (st == CN_OK)
        *ret = store;
    else
        cn_store_close(store);
    return st;
}
