/* Consistent reads. Every function answers from the one transaction of its snapshot. */
#include "storage/store_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- map rows over a transaction ---- */

static bool has_prefix(const uint8_t *key, const cn_state_key *prefix, unsigned bits)
{
    if (memcmp(key, prefix->b, bits / 8) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));
    return bits % 8 == 0 || ((key[bits / 8] ^ prefix->b[bits / 8]) & mask) == 0;
}

cn_status cn_map_rows_range(MDB_txn *txn, const cn_tables *t, const cn_state_key *prefix, unsigned bits,
                            cn_status (*leaf)(void *, const cn_state_key *, cn_span), void *arg, cn_err *err)
{
    MDB_cursor *cursor = NULL;
    MDB_val k = cn_val(prefix->b, CN_STATE_KEY_LEN), v;
    int rc = mdb_cursor_open(txn, t->dbi[T_MAP_LEAVES], &cursor);
    if (rc != 0)
        return cn_lmdb_error(rc, "map_leaf", err);
    cn_status st = CN_OK;
    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (rc == 0 && st == CN_OK && k.mv_size == CN_STATE_KEY_LEN && has_prefix(k.mv_data, prefix, bits)) {
        cn_state_key key;
        memcpy(key.b, k.mv_data, CN_STATE_KEY_LEN);
        st = leaf(arg, &key, CN_SPAN(v.mv_data, v.mv_size));
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return cn_lmdb_error(rc, "map_leaf", err);
    return st;
}

cn_status cn_map_rows_leaf(MDB_txn *txn, const cn_tables *t, const cn_state_key *key, uint8_t *value, size_t *ret_len,
                           cn_err *err)
{
    cn_span row;
    cn_status st = cn_row_get(txn, t, T_MAP_LEAVES, key->b, CN_STATE_KEY_LEN, &row, err);
    if (st != CN_OK)
        return st;
    if (row.n == 0 || row.n > CN_STATE_VALUE_MAX)
        return cn_fail(err, CN_CORRUPT, "map_leaf", "a value has an impossible length; run carnet fsck");
    memcpy(value, row.p, row.n);
    *ret_len = row.n;
    return CN_OK;
}

cn_status cn_map_rows_inner(MDB_txn *txn, const cn_tables *t, const uint8_t *row_key, cn_map_descriptor child[2],
                            cn_err *err)
{
    cn_span row;
    cn_status st = cn_row_get(txn, t, T_MAP_INNER, row_key, CN_MAP_ROW_KEY_LEN, &row, err);
    if (st == CN_NOT_FOUND || (st == CN_OK && row.n != 2 * CN_MAP_DESCRIPTOR_LEN))
        return cn_fail(err, CN_CORRUPT, "map_inner", "a row is missing or short; run carnet fsck");
    if (st != CN_OK)
        return st;
    const uint8_t *p = row.p;
    if (!cn_map_descriptor_read(p, CN_MAP_DESCRIPTOR_LEN, &child[0]) ||
        !cn_map_descriptor_read(p + CN_MAP_DESCRIPTOR_LEN, CN_MAP_DESCRIPTOR_LEN, &child[1]))
        return cn_fail(err, CN_CORRUPT, "map_inner", "a row does not decode; run carnet fsck");
    return CN_OK;
}

static cn_status snapshot_range(void *ctx, const cn_state_key *prefix, unsigned bits,
                                cn_status (*leaf)(void *, const cn_state_key *, cn_span), void *arg, cn_err *err)
{
    cn_snapshot *s = ctx;
    return cn_map_rows_range(s->txn, &s->store->t, prefix, bits, leaf, arg, err);
}

static cn_status snapshot_leaf(void *ctx, const cn_state_key *key, uint8_t *value, size_t *ret_len, cn_err *err)
{
    cn_snapshot *s = ctx;
    return cn_map_rows_leaf(s->txn, &s->store->t, key, value, ret_len, err);
}

static cn_status snapshot_inner(void *ctx, const uint8_t *row_key, cn_map_descriptor child[2], cn_err *err)
{
    cn_snapshot *s = ctx;
    return cn_map_rows_inner(s->txn, &s->store->t, row_key, child, err);
}

/* ---- opening ---- */

cn_status cn_snapshot_open(cn_store *store, cn_snapshot **ret, cn_err *err)
{
    cn_snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return cn_fail(err, CN_NO_MEMORY, "snapshot", "out of memory");
    s->store = store;
    s->source = (cn_map_source){.ctx = s, .range = snapshot_range, .leaf = snapshot_leaf, .inner = snapshot_inner};
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &s->txn);
    if (rc != 0) {
        free(s);
        return rc == MDB_READERS_FULL ? cn_fail(err, CN_FULL, "snapshot", "too many readers; try again")
                                      : cn_lmdb_error(rc, "snapshot", err);
    }
    *ret = s;
    return CN_OK;
}

void cn_snapshot_close(cn_snapshot *s)
{
    if (!s)
        return;
    cn_map_unref(s->map);
    mdb_txn_abort(s->txn);
    free(s);
}

static cn_status get(cn_snapshot *s, int table, const void *key, size_t n, cn_span *ret, cn_err *err)
{
    return cn_row_get(s->txn, &s->store->t, table, key, n, ret, err);
}

static cn_status get_u64(cn_snapshot *s, int table, const void *key, size_t n, uint64_t *ret, cn_err *err)
{
    cn_span row;
    cn_status st = get(s, table, key, n, &row, err);
    if (st == CN_OK && row.n != 8)
        return cn_fail(err, CN_CORRUPT, cn_table_name(table), "a row has %zu bytes, not 8; run carnet fsck", row.n);
    if (st == CN_OK)
        *ret = cn_load_u64(row.p);
    return st;
}

cn_status cn_snapshot_tip(cn_snapshot *s, cn_tip *ret, cn_err *err)
{
    cn_tip tip;
    cn_block_row row;
    cn_status st = cn_meta_u64(s->txn, &s->store->t, "tip", &tip.height, err);
    if (st == CN_OK)
        st = cn_meta_u64(s->txn, &s->store->t, "checkpoint", &tip.checkpoint, err);
    if (st == CN_OK)
        st = cn_block_row_get(s->txn, &s->store->t, tip.height, &row, err);
    if (st != CN_OK)
        return st;
    tip.digest = row.digest;
    tip.header = row.header;
    tip.log_size = row.header.log_size;
    tip.statements = tip.log_size - 2;
    *ret = tip;
    return CN_OK;
}

cn_status cn_snapshot_genesis(cn_snapshot *s, cn_span *ret_bytes, cn_err *err)
{
    return cn_meta_get(s->txn, &s->store->t, "genesis", ret_bytes, err);
}

/* ---- blocks ---- */

cn_status cn_snapshot_header(cn_snapshot *s, uint64_t height, cn_header *ret, cn_err *err)
{
    cn_block_row row;
    cn_status st = cn_block_row_get(s->txn, &s->store->t, height, &row, err);
    if (st == CN_OK)
        *ret = row.header;
    return st;
}

cn_status cn_snapshot_certificate(cn_snapshot *s, uint64_t height, cn_span *ret, cn_err *err)
{
    uint8_t key[8];
    cn_store_u64(key, height);
    return get(s, T_CERTIFICATES, key, sizeof key, ret, err);
}

cn_status cn_snapshot_block_statements(cn_snapshot *s, uint64_t height, uint64_t *ret_first_log_index,
                                       uint32_t *ret_count, cn_err *err)
{
    cn_block_row row;
    cn_status st = cn_block_row_get(s->txn, &s->store->t, height, &row, err);
    if (st == CN_OK) {
        *ret_first_log_index = row.first_log_index;
        *ret_count = row.count;
    }
    return st;
}

cn_status cn_snapshot_height_of_digest(cn_snapshot *s, const cn_digest *block, uint64_t *ret_height, cn_err *err)
{
    return get_u64(s, T_DIGESTS, block->b, CN_DIGEST_LEN, ret_height, err);
}

/* ---- statements ---- */

/* The record's row alone: its place, digest and bytes. */
static cn_status get_record(cn_snapshot *s, uint64_t log_index, cn_stored_statement *ret, cn_err *err)
{
    uint8_t key[8];
    cn_span row;
    cn_store_u64(key, log_index);
    cn_status st = get(s, T_RECORDS, key, sizeof key, &row, err);
    if (st != CN_OK)
        return st;
    if (row.n <= 8 + CN_DIGEST_LEN)
        return cn_fail(err, CN_CORRUPT, "records", "the row of log index %llu is short; run carnet fsck",
                       (unsigned long long)log_index);
    const uint8_t *p = row.p;
    *ret = (cn_stored_statement){.log_index = log_index, .height = cn_load_u64(p)};
    memcpy(ret->record_digest.b, p + 8, CN_DIGEST_LEN);
    ret->record = CN_SPAN(p + 8 + CN_DIGEST_LEN, row.n - 8 - CN_DIGEST_LEN);
    return CN_OK;
}

cn_status cn_snapshot_statement(cn_snapshot *s, uint64_t log_index, cn_stored_statement *ret, cn_err *err)
{
    uint8_t key[8];
    cn_stored_statement found;
    cn_span mark;
    cn_status st = get_record(s, log_index, &found, err);
    if (st != CN_OK)
        return st;
    cn_store_u64(key, log_index);
    st = get(s, T_ITEMS, key, sizeof key, &found.items, NULL);
    found.erased = get(s, T_ERASED, key, sizeof key, &mark, NULL) == CN_OK;
    if (st != CN_OK && st != CN_NOT_FOUND)
        return cn_fail(err, st, "items", "the row of log index %llu cannot be read", (unsigned long long)log_index);
    *ret = found;
    return CN_OK;
}

cn_status cn_snapshot_unexplained(cn_snapshot *s, uint64_t *ret_log_index, size_t max, size_t *ret_count, cn_err *err)
{
    MDB_cursor *walk = NULL;
    MDB_val k, v;
    size_t n = 0;
    int rc = mdb_cursor_open(s->txn, s->store->t.dbi[T_ERASED], &walk);
    if (rc != 0)
        return cn_lmdb_error(rc, "erased", err);
    for (rc = mdb_cursor_get(walk, &k, &v, MDB_FIRST); rc == 0 && n < max; rc = mdb_cursor_get(walk, &k, &v, MDB_NEXT))
        if (k.mv_size == 8 && v.mv_size == 1 && *(const uint8_t *)v.mv_data == 1)
            ret_log_index[n++] = cn_load_u64(k.mv_data);
    mdb_cursor_close(walk);
    *ret_count = n;
    return rc == 0 || rc == MDB_NOTFOUND ? CN_OK : cn_lmdb_error(rc, "erased", err);
}

cn_status cn_snapshot_find_id(cn_snapshot *s, const cn_digest *id, uint64_t *ret_log_index, cn_err *err)
{
    return get_u64(s, T_IDS, id->b, CN_DIGEST_LEN, ret_log_index, err);
}

cn_status cn_snapshot_find_record(cn_snapshot *s, const cn_digest *record, uint64_t *ret_log_index, cn_err *err)
{
    return get_u64(s, T_BY_RECORD, record->b, CN_DIGEST_LEN, ret_log_index, err);
}

cn_status cn_snapshot_find_key(cn_snapshot *s, const cn_digest *key_id, uint64_t sequence, uint64_t *ret_log_index,
                               cn_err *err)
{
    uint8_t key[CN_DIGEST_LEN + 8];
    memcpy(key, key_id->b, CN_DIGEST_LEN);
    cn_store_u64(key + CN_DIGEST_LEN, sequence);
    return get_u64(s, T_BY_KEY, key, sizeof key, ret_log_index, err);
}

/* ---- subjects ---- */

typedef struct subject {
    uint64_t number, rows, longest_ms;
} subject;

static cn_status find_subject(cn_snapshot *s, const cn_digest *tag, subject *ret, cn_err *err)
{
    cn_span row;
    cn_status st = get(s, T_SUBJECTS, tag->b, CN_DIGEST_LEN, &row, err);
    if (st == CN_OK && row.n != 24)
        return cn_fail(err, CN_CORRUPT, "subjects", "a row has %zu bytes, not 24; run carnet fsck", row.n);
    if (st == CN_OK) {
        const uint8_t *p = row.p;
        *ret = (subject){cn_load_u64(p), cn_load_u64(p + 8), cn_load_u64(p + 16)};
    }
    return st;
}

cn_status cn_snapshot_subject_count(cn_snapshot *s, const cn_digest *tag, uint64_t *ret_count, cn_err *err)
{
    subject found;
    cn_status st = find_subject(s, tag, &found, err);
    if (st == CN_OK)
        *ret_count = found.rows;
    return st;
}

/* Leaf data that other tables hold: digest and height with the record, time with the block. */
static cn_status complete_row(cn_snapshot *s, cn_subject_row *row, cn_err *err)
{
    cn_stored_statement stored;
    cn_block_row block;
    cn_status st = get_record(s, row->leaf.log_index, &stored, err);
    if (st == CN_OK)
        st = cn_block_row_get(s->txn, &s->store->t, stored.height, &block, err);
    if (st != CN_OK)
        return cn_fail(err, CN_CORRUPT, "rows", "names log index %llu, which cannot be read; run carnet fsck",
                       (unsigned long long)row->leaf.log_index);
    row->leaf.record = stored.record_digest;
    row->leaf.height = stored.height;
    row->leaf.time_ms = block.header.time_ms;
    return CN_OK;
}

/* One row of a subject's tree without the leaf data that other tables hold. */
static cn_status get_row(cn_snapshot *s, const cn_digest *tag, uint64_t number, uint64_t position, cn_subject_row *ret,
                         cn_err *err)
{
    uint8_t key[16];
    cn_span value;
    cn_store_u64(cn_store_u64(key, number), position);
    cn_status st = get(s, T_ROWS, key, sizeof key, &value, NULL);
    if (st != CN_OK || value.n != 24)
        return cn_fail(err, CN_CORRUPT, "rows", "row %llu of subject %s is missing or short; run carnet fsck",
                       (unsigned long long)position, cn_digest_hex(tag).s);
    const uint8_t *p = value.p;
    *ret = (cn_subject_row){
        .tag = *tag, .position = position, .first_ms = cn_load_u64(p + 8), .last_ms = cn_load_u64(p + 16)};
    ret->leaf.log_index = cn_load_u64(p);
    return CN_OK;
}

cn_status cn_snapshot_subject_rows(cn_snapshot *s, const cn_digest *tag, uint64_t from, cn_subject_row *out, size_t max,
                                   size_t *ret_count, cn_err *err)
{
    subject found;
    size_t n = 0;
    cn_status st = find_subject(s, tag, &found, err);
    while (st == CN_OK && n < max && from < found.rows && n < found.rows - from) {
        st = get_row(s, tag, found.number, from + n, &out[n], err);
        if (st == CN_OK)
            st = complete_row(s, &out[n++], err);
    }
    if (st == CN_OK)
        *ret_count = n;
    return st;
}

/* The key in by_time at which a walk begins. An interval may begin before from_ms and reach into it, but by no more
 * than the subject's longest. */
static cn_status time_walk_begin(cn_snapshot *s, const cn_digest *tag, const subject *found, uint64_t from_ms,
                                 uint64_t cursor, uint8_t key[24], cn_err *err)
{
    cn_subject_row last;
    uint64_t first_ms = from_ms > found->longest_ms ? from_ms - found->longest_ms : 0, index = 0;
    if (cursor > 0) { /* the position after which it goes on, plus one */
        cn_status st = cursor > found->rows ? cn_fail(err, CN_INVALID, "cursor", "lies beyond the subject's rows")
                                            : get_row(s, tag, found->number, cursor - 1, &last, err);
        if (st != CN_OK)
            return st;
        first_ms = last.first_ms;
        index = last.leaf.log_index + 1;
    }
    cn_store_u64(cn_store_u64(cn_store_u64(key, found->number), first_ms), index);
    return CN_OK;
}

cn_status cn_snapshot_subject_by_time(cn_snapshot *s, const cn_digest *tag, uint64_t from_ms, uint64_t to_ms,
                                      uint64_t *cursor, cn_subject_row *out, size_t max, size_t *ret_count, cn_err *err)
{
    subject found;
    MDB_cursor *walk = NULL;
    uint8_t from[24];
    size_t n = 0;
    cn_status st = find_subject(s, tag, &found, err);
    if (st == CN_OK)
        st = time_walk_begin(s, tag, &found, from_ms, *cursor, from, err);
    if (st != CN_OK)
        return st;
    int rc = mdb_cursor_open(s->txn, s->store->t.dbi[T_BY_TIME], &walk);
    if (rc != 0)
        return cn_lmdb_error(rc, "by_time", err);
    uint64_t reached = *cursor;
    MDB_val k = cn_val(from, sizeof from), v;
    rc = mdb_cursor_get(walk, &k, &v, MDB_SET_RANGE);
    for (; rc == 0 && st == CN_OK && n < max; rc = mdb_cursor_get(walk, &k, &v, MDB_NEXT)) {
        const uint8_t *key = k.mv_data, *value = v.mv_data;
        if (k.mv_size != 24 || v.mv_size != 16 || cn_load_u64(key) != found.number || cn_load_u64(key + 8) > to_ms)
            break;
        reached = cn_load_u64(value) + 1;
        if (cn_load_u64(value + 8) < from_ms)
            continue;
        out[n] = (cn_subject_row){
            .tag = *tag, .position = reached - 1, .first_ms = cn_load_u64(key + 8), .last_ms = cn_load_u64(value + 8)};
        out[n].leaf.log_index = cn_load_u64(key + 16);
        st = complete_row(s, &out[n++], err);
    }
    mdb_cursor_close(walk);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return cn_lmdb_error(rc, "by_time", err);
    if (st == CN_OK) {
        *cursor = reached;
        *ret_count = n;
    }
    return st;
}

/* ---- log ---- */

static cn_status check_size(cn_snapshot *s, uint64_t size, cn_err *err)
{
    cn_tip tip;
    cn_status st = cn_snapshot_tip(s, &tip, err);
    if (st == CN_OK && (size == 0 || size > tip.log_size))
        st = cn_fail(err, CN_INVALID, "size", "the log has %llu entries, %llu were asked for",
                     (unsigned long long)tip.log_size, (unsigned long long)size);
    return st;
}

cn_status cn_snapshot_log_root(cn_snapshot *s, uint64_t size, cn_digest *ret, cn_err *err)
{
    cn_status st = check_size(s, size, err);
    return st == CN_OK ? cn_tiles_hash(s->txn, &s->store->t, 0, size, ret, err) : st;
}

cn_status cn_snapshot_log_entry(cn_snapshot *s, uint64_t index, cn_digest *ret, cn_err *err)
{
    cn_stored_statement stored;
    if (index < 2) {
        cn_span entries;
        cn_status st = cn_meta_get(s->txn, &s->store->t, "log_entries", &entries, err);
        if (st == CN_OK && entries.n != 2 * CN_DIGEST_LEN)
            return cn_fail(err, CN_CORRUPT, "log_entries", "has an impossible length; run carnet fsck");
        if (st == CN_OK)
            memcpy(ret->b, (const uint8_t *)entries.p + index * CN_DIGEST_LEN, CN_DIGEST_LEN);
        return st;
    }
    cn_status st = cn_snapshot_statement(s, index, &stored, err);
    if (st == CN_OK)
        *ret = stored.record_digest;
    return st;
}

cn_status cn_snapshot_log_frontier(cn_snapshot *s, uint64_t size, cn_frontier *ret, cn_err *err)
{
    cn_status st = check_size(s, size, err);
    return st == CN_OK ? cn_tiles_frontier(s->txn, &s->store->t, size, ret, err) : st;
}

static cn_status prove(cn_snapshot *s, const cn_subtree *plan, size_t n, cn_digest *path, cn_err *err)
{
    cn_status st = CN_OK;
    for (size_t i = 0; i < n && st == CN_OK; i++)
        st = cn_tiles_hash(s->txn, &s->store->t, plan[i].first, plan[i].end, &path[i], err);
    return st;
}

cn_status cn_snapshot_inclusion(cn_snapshot *s, uint64_t index, uint64_t size, cn_digest path[CN_PROOF_MAX],
                                size_t *ret_len, cn_err *err)
{
    cn_subtree plan[CN_PROOF_MAX];
    cn_status st = check_size(s, size, err);
    if (st == CN_OK && index >= size)
        st = cn_fail(err, CN_INVALID, "index", "lies beyond the tree");
    if (st != CN_OK)
        return st;
    *ret_len = cn_inclusion_plan(index, size, plan);
    return prove(s, plan, *ret_len, path, err);
}

cn_status cn_snapshot_consistency(cn_snapshot *s, uint64_t size1, uint64_t size2, cn_digest path[CN_PROOF_MAX + 1],
                                  size_t *ret_len, cn_err *err)
{
    cn_subtree plan[CN_PROOF_MAX + 1];
    cn_status st = check_size(s, size2, err);
    if (st == CN_OK && (size1 == 0 || size1 > size2))
        st = cn_fail(err, CN_INVALID, "size", "the first tree must have 1 to %llu entries", (unsigned long long)size2);
    if (st != CN_OK)
        return st;
    *ret_len = cn_consistency_plan(size1, size2, plan);
    return prove(s, plan, *ret_len, path, err);
}

/* ---- state of the newest checkpoint ---- */

static cn_status attach(cn_snapshot *s, cn_err *err)
{
    cn_span row;
    cn_map_descriptor root;
    if (s->map)
        return CN_OK;
    cn_status st = cn_meta_get(s->txn, &s->store->t, "map_root", &row, err);
    if (st == CN_OK && !cn_map_descriptor_read(row.p, row.n, &root))
        st = cn_fail(err, CN_CORRUPT, "map_root", "does not decode; run carnet fsck");
    if (st == CN_OK && !(s->map = cn_map_attach(&s->source, &root)))
        st = cn_fail(err, CN_NO_MEMORY, "snapshot", "out of memory");
    return st;
}

cn_status cn_snapshot_state(cn_snapshot *s, const cn_state_key *key, uint8_t value[CN_STATE_VALUE_MAX], size_t *ret_len,
                            cn_err *err)
{
    return cn_map_rows_leaf(s->txn, &s->store->t, key, value, ret_len, err);
}

cn_status cn_snapshot_prove(cn_snapshot *s, const cn_state_key *key, cn_ics23_existence *ret, cn_err *err)
{
    cn_status st = attach(s, err);
    return st == CN_OK ? cn_map_prove(s->map, key, ret, err) : st;
}

cn_status cn_snapshot_prove_absent(cn_snapshot *s, const cn_state_key *key, cn_ics23_absence *ret, cn_err *err)
{
    cn_status st = attach(s, err);
    return st == CN_OK ? cn_map_prove_absent(s->map, key, ret, err) : st;
}

cn_status cn_snapshot_side(cn_snapshot *s, const cn_digest *key, cn_span *ret, cn_err *err)
{
    return get(s, T_SIDE, key->b, CN_DIGEST_LEN, ret, err);
}

cn_status cn_snapshot_states(cn_snapshot *s, cn_state_type type, const cn_state_key *after,
                             bool (*row)(void *ctx, const cn_state_key *key, cn_span value), void *ctx, cn_err *err)
{
    MDB_cursor *cursor = NULL;
    cn_state_key from = {{(uint8_t)type}};
    if (after)
        from = *after;
    MDB_val k = cn_val(from.b, CN_STATE_KEY_LEN), v;
    int rc = mdb_cursor_open(s->txn, s->store->t.dbi[T_MAP_LEAVES], &cursor);
    if (rc != 0)
        return cn_lmdb_error(rc, "map_leaf", err);
    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    if (rc == 0 && after && memcmp(k.mv_data, after->b, CN_STATE_KEY_LEN) == 0)
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    while (rc == 0 && k.mv_size == CN_STATE_KEY_LEN && *(const uint8_t *)k.mv_data == (uint8_t)type) {
        cn_state_key key;
        memcpy(key.b, k.mv_data, CN_STATE_KEY_LEN);
        if (!row(ctx, &key, CN_SPAN(v.mv_data, v.mv_size)))
            break;
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == 0 || rc == MDB_NOTFOUND ? CN_OK : cn_lmdb_error(rc, "map_leaf", err);
}

cn_status cn_snapshot_newest_checkpoint(cn_snapshot *s, cn_header **ret_headers, size_t *ret_count,
                                        cn_span *ret_certificate, cn_err *err)
{
    cn_tip tip;
    cn_header *headers = NULL;
    size_t count = 0;
    cn_status st = cn_snapshot_tip(s, &tip, err), found = CN_NOT_FOUND;
    for (uint64_t h = tip.checkpoint; st == CN_OK && h <= tip.height && found == CN_NOT_FOUND; h++) {
        headers = realloc(headers, (count + 1) * sizeof *headers);
        CN_ASSERT(headers);
        st = cn_snapshot_header(s, h, &headers[count++], err);
        found = cn_snapshot_certificate(s, h, ret_certificate, err);
    }
    st = st == CN_OK ? found : st;
    if (st == CN_OK) {
        *ret_headers = headers;
        *ret_count = count;
    } else {
        free(headers);
    }
    return st;
}

cn_status cn_snapshot_epoch(cn_snapshot *s, uint64_t epoch, uint64_t *ret_closing_height, cn_span *ret_rows,
                            cn_err *err)
{
    uint8_t key[8];
    cn_span row;
    cn_store_u64(key, epoch);
    cn_status st = get(s, T_EPOCHS, key, sizeof key, &row, err);
    if (st == CN_OK && row.n <= 8)
        st = cn_fail(err, CN_CORRUPT, "epochs", "the row of epoch %llu is short; run carnet fsck",
                     (unsigned long long)epoch);
    if (st != CN_OK)
        return st;
    *ret_closing_height = cn_load_u64(row.p);
    *ret_rows = CN_SPAN((const uint8_t *)row.p + 8, row.n - 8);
    return CN_OK;
}

cn_status cn_snapshot_evidence(cn_snapshot *s, bool (*one)(void *ctx, cn_span evidence), void *ctx, cn_err *err)
{
    MDB_cursor *cursor = NULL;
    MDB_val k, v;
    int rc = mdb_cursor_open(s->txn, s->store->t.dbi[T_EVIDENCE], &cursor);
    if (rc != 0)
        return cn_lmdb_error(rc, "evidence", err);
    rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    while (rc == 0 && one(ctx, CN_SPAN(v.mv_data, v.mv_size)))
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    mdb_cursor_close(cursor);
    return rc == 0 || rc == MDB_NOTFOUND ? CN_OK : cn_lmdb_error(rc, "evidence", err);
}
