/* Re-hashes everything: bodies, items, header chain, log, state map, subject trees, indexes both ways. */
#include "storage/store_internal.h"

#include "proto/statement.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct fsck {
    cn_snapshot *snap;
    const cn_tables *t;
    MDB_txn *txn;
    void (*line)(void *ctx, bool fault, const char *text);
    void *ctx;
    cn_fsck_report report;
    cn_tip tip;
    uint8_t salt[32];
} fsck;

static void __attribute__((format(printf, 2, 3))) fault(fsck *f, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    f->report.faults++;
    f->line(f->ctx, true, text);
}

/* ---- statements ---- */

static void check_index(fsck *f, int table, const void *key, size_t n, uint64_t index)
{
    cn_span row;
    cn_status st = cn_row_get(f->txn, f->t, table, key, n, &row, NULL);
    if (st != CN_OK || row.n != 8 || cn_load_u64(row.p) != index)
        fault(f, "log index %llu: table %s does not lead back to it", (unsigned long long)index, cn_table_name(table));
}

static void check_indexes(fsck *f, const cn_statement *s, uint64_t index)
{
    uint8_t by_key[CN_DIGEST_LEN + 8];
    memcpy(by_key, s->body.key_id.b, CN_DIGEST_LEN);
    cn_store_u64(by_key + CN_DIGEST_LEN, s->body.sequence);
    check_index(f, T_IDS, s->id.b, CN_DIGEST_LEN, index);
    check_index(f, T_BY_RECORD, s->record_digest.b, CN_DIGEST_LEN, index);
    check_index(f, T_BY_KEY, by_key, sizeof by_key, index);
}

static void check_statement(fsck *f, uint64_t height, uint64_t index, cn_frontier *log)
{
    cn_stored_statement stored;
    cn_statement *s = NULL;
    cn_err err = {0};
    f->report.statements++;
    if (cn_snapshot_statement(f->snap, index, &stored, &err) != CN_OK) {
        fault(f, "log index %llu: the record is missing (%s)", (unsigned long long)index, err.text);
        cn_frontier_append(log, &cn_digest_zero);
        return;
    }
    cn_digest body = cn_sha256(stored.record.p, stored.record.n);
    cn_digest leaf = cn_leaf_hash(body.b, CN_DIGEST_LEN);
    cn_frontier_append(log, &leaf);
    if (!cn_digest_eq(&body, &stored.record_digest))
        fault(f, "log index %llu: the record's bytes hash to %s, not to the %s in the log: the body was edited",
              (unsigned long long)index, cn_digest_hex(&body).s, cn_digest_hex(&stored.record_digest).s);
    if (stored.height != height)
        fault(f, "log index %llu: says height %llu, lies in block %llu", (unsigned long long)index,
              (unsigned long long)stored.height, (unsigned long long)height);
    size_t n = stored.record.n + stored.items.n;
    uint8_t *whole = malloc(n ? n : 1);
    if (!whole)
        return fault(f, "out of memory");
    memcpy(whole, stored.record.p, stored.record.n);
    if (stored.items.n)
        memcpy(whole + stored.record.n, stored.items.p, stored.items.n);
    if (cn_statement_decode(whole, n, &s, &err) != CN_OK)
        fault(f, "log index %llu: the statement does not decode: %s: %s", (unsigned long long)index, err.field, err.text);
    else if ((s->item_count || s->body.kind == CN_PAYLOAD_EVENT_BATCH) && cn_statement_check_items(s, &err) != CN_OK)
        fault(f, "log index %llu: %s: %s", (unsigned long long)index, err.field, err.text);
    if (s)
        check_indexes(f, s, index);
    cn_statement_free(s);
    free(whole);
}

/* ---- blocks ---- */

static cn_digest body_digest(fsck *f, const cn_block_row *row)
{
    cn_digest *records = calloc(row->count ? row->count : 1, sizeof *records);
    for (uint32_t i = 0; records && i < row->count; i++)
        (void)cn_snapshot_log_entry(f->snap, row->first_log_index + i, &records[i], NULL);
    cn_digest d = records ? cn_body_digest(records, row->count) : cn_digest_zero;
    free(records);
    return d;
}

static void check_block(fsck *f, uint64_t height, const cn_block_row *row, const cn_digest *parent, cn_frontier *log)
{
    cn_digest digest = cn_header_digest(&row->header), body = body_digest(f, row);
    uint8_t by_digest[CN_DIGEST_LEN];
    cn_span back;
    memcpy(by_digest, row->digest.b, CN_DIGEST_LEN);
    if (!cn_digest_eq(&digest, &row->digest))
        fault(f, "block %llu: the header was edited: it hashes to %s", (unsigned long long)height, cn_digest_hex(&digest).s);
    if (row->header.height != height || !cn_digest_eq(&row->header.parent, parent))
        fault(f, "block %llu: does not follow its parent", (unsigned long long)height);
    if (!cn_digest_eq(&body, &row->header.body))
        fault(f, "block %llu: its records do not hash to the header's body digest", (unsigned long long)height);
    if (cn_row_get(f->txn, f->t, T_DIGESTS, by_digest, sizeof by_digest, &back, NULL) != CN_OK || back.n != 8 ||
        cn_load_u64(back.p) != height)
        fault(f, "block %llu: table digests does not lead back to it", (unsigned long long)height);
    if (height > 0 && row->first_log_index != log->size)
        fault(f, "block %llu: begins at log index %llu, the log has %llu entries", (unsigned long long)height,
              (unsigned long long)row->first_log_index, (unsigned long long)log->size);
    for (uint32_t i = 0; i < row->count; i++)
        check_statement(f, height, row->first_log_index + i, log);
    cn_digest root = cn_frontier_root(log);
    if (log->size != row->header.log_size || !cn_digest_eq(&root, &row->header.log_root))
        fault(f, "block %llu: the log re-hashes to another root than the header's", (unsigned long long)height);
}

static void check_blocks(fsck *f)
{
    cn_frontier log;
    cn_digest parent = cn_digest_zero;
    cn_frontier_init(&log);
    for (uint64_t i = 0; i < 2; i++) {
        cn_digest entry = cn_digest_zero;
        (void)cn_snapshot_log_entry(f->snap, i, &entry, NULL);
        cn_digest leaf = cn_leaf_hash(entry.b, CN_DIGEST_LEN);
        cn_frontier_append(&log, &leaf);
    }
    for (uint64_t height = 0; height <= f->tip.height; height++) {
        cn_block_row row;
        cn_err err = {0};
        f->report.blocks++;
        if (cn_block_row_get(f->txn, f->t, height, &row, &err) != CN_OK) {
            fault(f, "block %llu: %s", (unsigned long long)height, err.text);
            return;
        }
        check_block(f, height, &row, &parent, &log);
        parent = row.digest;
    }
    cn_digest tiles, recomputed = cn_frontier_root(&log);
    cn_err err = {0};
    if (cn_tiles_hash(f->txn, f->t, 0, f->tip.log_size, &tiles, &err) != CN_OK)
        fault(f, "tiles: %s", err.text);
    else if (!cn_digest_eq(&tiles, &recomputed))
        fault(f, "tiles: they hash to another root than the records");
}

/* ---- state map ---- */

static cn_status count_leaf(void *arg, const cn_state_key *key, cn_span value)
{
    cn_map **map = arg;
    cn_map *next = NULL;
    if (value.n == 0 || value.n > CN_STATE_VALUE_MAX)
        return CN_CORRUPT;
    cn_map_change change = {.key = *key, .value = value};
    cn_status st = cn_map_apply(*map, &change, 1, &next, NULL);
    if (st == CN_OK) {
        cn_map_unref(*map);
        *map = next;
    }
    return st;
}

/* Every stored inner row and small subtree is loaded, which compares its hash with its parent's. */
static void check_inner(fsck *f)
{
    MDB_cursor *cursor = NULL;
    MDB_val k, v;
    if (mdb_cursor_open(f->txn, f->t->dbi[T_MAP_LEAVES], &cursor) != 0)
        return fault(f, "map_leaf: cannot be read");
    cn_ics23_existence *proof = malloc(sizeof *proof);
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    for (; proof && rc == 0; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        cn_state_key key;
        cn_err err = {0};
        f->report.state_entries++;
        if (k.mv_size != CN_STATE_KEY_LEN) {
            fault(f, "map_leaf: a key has %zu bytes", k.mv_size);
            continue;
        }
        memcpy(key.b, k.mv_data, CN_STATE_KEY_LEN);
        if (cn_snapshot_prove(f->snap, &key, proof, &err) != CN_OK) {
            fault(f, "state map: the path to a value cannot be read: %s", err.text);
            break;
        }
    }
    free(proof);
    mdb_cursor_close(cursor);
}

static void check_map(fsck *f)
{
    cn_map *map = cn_map_empty();
    cn_state_key any = {{0}};
    cn_block_row row;
    cn_err err = {0};
    if (!map || cn_block_row_get(f->txn, f->t, f->tip.checkpoint, &row, &err) != CN_OK) {
        cn_map_unref(map);
        return fault(f, "checkpoint %llu: %s", (unsigned long long)f->tip.checkpoint, err.text);
    }
    if (cn_map_rows_range(f->txn, f->t, &any, 0, count_leaf, &map, &err) != CN_OK)
        fault(f, "state map: its leaves cannot be read");
    cn_digest root = cn_map_root(map);
    if (!cn_digest_eq(&root, &row.header.state_root))
        fault(f, "state map: its values hash to %s, checkpoint %llu says %s: a value was edited, added or removed",
              cn_digest_hex(&root).s, (unsigned long long)f->tip.checkpoint, cn_digest_hex(&row.header.state_root).s);
    else
        check_inner(f);
    cn_map_unref(map);
}

/* ---- subjects ---- */

typedef struct subject_check {
    cn_digest tag;
    uint64_t rows;
    cn_state_subject record;
    bool has_record;
} subject_check;

static void compare_record(fsck *f, const subject_check *c, const cn_frontier *tree)
{
    cn_digest root = cn_frontier_root(tree);
    if (!cn_digest_eq(&root, &c->record.root))
        fault(f, "subject %s: its rows hash to another root than its completeness record", cn_digest_hex(&c->tag).s);
    cn_span side;
    cn_frontier stored;
    if (cn_snapshot_side(f->snap, &c->tag, &side, NULL) != CN_OK)
        return fault(f, "subject %s: its frontier is missing", cn_digest_hex(&c->tag).s);
    cn_reader r = cn_reader_of(side.p, side.n);
    cn_digest stored_root = cn_digest_zero;
    if (cn_frontier_read(&r, &stored) && cn_reader_done(&r))
        stored_root = cn_frontier_root(&stored);
    if (!cn_digest_eq(&stored_root, &root))
        fault(f, "subject %s: its stored frontier was edited", cn_digest_hex(&c->tag).s);
}

static void check_subject(fsck *f, const subject_check *c)
{
    cn_frontier tree;
    uint64_t last = 0;
    cn_frontier_init(&tree);
    if (c->rows < c->record.count)
        fault(f, "subject %s: %llu rows, its completeness record counts %llu: rows were removed",
              cn_digest_hex(&c->tag).s, (unsigned long long)c->rows, (unsigned long long)c->record.count);
    for (uint64_t i = 0; i < c->rows; i++) {
        cn_subject_row row;
        uint8_t leaf[CN_SUBJECT_LEAF_LEN];
        size_t count = 0;
        cn_err err = {0};
        if (cn_snapshot_subject_rows(f->snap, &c->tag, i, &row, 1, &count, &err) != CN_OK || count != 1) {
            fault(f, "subject %s: row %llu: %s", cn_digest_hex(&c->tag).s, (unsigned long long)i, err.text);
            return;
        }
        if (i > 0 && row.leaf.log_index <= last)
            fault(f, "subject %s: row %llu is out of order", cn_digest_hex(&c->tag).s, (unsigned long long)i);
        last = row.leaf.log_index;
        cn_subject_leaf_encode(&row.leaf, leaf);
        cn_digest hash = cn_leaf_hash(leaf, sizeof leaf);
        cn_frontier_append(&tree, &hash);
        if (c->has_record && i + 1 == c->record.count)
            compare_record(f, c, &tree);
        if (i + 1 > (c->has_record ? c->record.count : 0) && row.leaf.height <= f->tip.checkpoint)
            fault(f, "subject %s: row %llu is older than the checkpoint but not in the completeness record",
                  cn_digest_hex(&c->tag).s, (unsigned long long)i);
    }
}

static void check_subjects(fsck *f)
{
    MDB_cursor *cursor = NULL;
    MDB_val k, v;
    if (mdb_cursor_open(f->txn, f->t->dbi[T_SUBJECTS], &cursor) != 0)
        return fault(f, "subjects: cannot be read");
    for (int rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); rc == 0; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        subject_check c = {0};
        uint8_t value[CN_STATE_VALUE_MAX];
        size_t n = 0;
        f->report.subjects++;
        if (k.mv_size != CN_DIGEST_LEN || v.mv_size != 16) {
            fault(f, "subjects: a row has an impossible length");
            continue;
        }
        memcpy(c.tag.b, k.mv_data, CN_DIGEST_LEN);
        c.rows = cn_load_u64((const uint8_t *)v.mv_data + 8);
        cn_state_key key = cn_state_key_of(f->salt, CN_STATE_SUBJECT, c.tag.b, CN_DIGEST_LEN);
        c.has_record = cn_snapshot_state(f->snap, &key, value, &n, NULL) == CN_OK;
        if (c.has_record && !cn_state_subject_decode(value, n, &c.record))
            fault(f, "subject %s: its completeness record does not decode", cn_digest_hex(&c.tag).s);
        else
            check_subject(f, &c);
    }
    mdb_cursor_close(cursor);
}

cn_status cn_store_fsck(const cn_store_options *options, const uint8_t subject_salt[32],
                        void (*line)(void *ctx, bool fault, const char *text), void *ctx, cn_fsck_report *ret,
                        cn_err *err)
{
    cn_store *store = NULL;
    fsck f = {.line = line, .ctx = ctx};
    cn_store_options read_only = *options;
    read_only.read_only = true;
    memcpy(f.salt, subject_salt, sizeof f.salt);
    cn_status st = cn_store_env_open(&read_only, false, &store, err);
    if (st == CN_OK)
        st = cn_snapshot_open(store, &f.snap, err);
    if (st == CN_OK)
        st = cn_snapshot_tip(f.snap, &f.tip, err);
    if (st == CN_OK) {
        f.t = &store->t;
        f.txn = f.snap->txn;
        line(ctx, false, "blocks, records, items and the log");
        check_blocks(&f);
        line(ctx, false, "state map");
        check_map(&f);
        line(ctx, false, "subject trees");
        check_subjects(&f);
        *ret = f.report;
    }
    cn_snapshot_close(f.snap);
    cn_store_close(store);
    return st;
}

cn_status cn_store_read_genesis(const cn_store_options *options, cn_buf *out, cn_err *err)
{
    cn_store *store = NULL;
    cn_snapshot *snap = NULL;
    cn_span genesis;
    cn_store_options read_only = *options;
    read_only.read_only = true;
    cn_status st = cn_store_env_open(&read_only, false, &store, err);
    if (st == CN_OK)
        st = cn_snapshot_open(store, &snap, err);
    if (st == CN_OK)
        st = cn_snapshot_genesis(snap, &genesis, err);
    if (st == CN_OK)
        cn_put_bytes(out, genesis.p, genesis.n);
    cn_snapshot_close(snap);
    cn_store_close(store);
    return st;
}
