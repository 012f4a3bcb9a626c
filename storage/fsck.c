/* Re-hashes everything: bodies, items, header chain, log, state map, subject trees, indexes both ways. */
#include "proto/timestamp.h"
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
    uint64_t bad_tile; /* told once, not for each of its leaves; plus one */
    bool log_differs;  /* told once; every later root differs too */
    uint64_t closings;
    uint64_t batches_erased, batches_with_items;
    uint64_t subject_records, rows;
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

static void check_items(fsck *f, const cn_statement *s, const cn_stored_statement *stored)
{
    unsigned long long index = stored->log_index;
    bool batch = s->body.kind == CN_PAYLOAD_EVENT_BATCH;
    cn_err err = {0};
    bool erased = false;
    for (size_t i = 0; i < s->item_count; i++)
        erased = erased || cn_item_is_erased(s->item[i].p, s->item[i].n);
    f->batches_erased += stored->erased;
    f->batches_with_items += s->item_count > 0;
    if (stored->erased != erased)
        fault(f, "log index %llu: it is %s as erased, and its items say otherwise", index,
              stored->erased ? "marked" : "not marked");
    else if (batch && s->item_count == 0)
        fault(f, "log index %llu: its items are missing", index);
    else if (cn_statement_check_items(s, &err) != CN_OK)
        fault(f, "log index %llu: its items are not those that were signed (%s: %s)", index, err.field, err.text);
}

static void check_content(fsck *f, const cn_stored_statement *stored)
{
    size_t n = stored->record.n + stored->items.n;
    uint8_t *whole = malloc(n);
    cn_statement *s = NULL;
    cn_err err = {0};
    if (!whole)
        return fault(f, "log index %llu: out of memory", (unsigned long long)stored->log_index);
    memcpy(whole, stored->record.p, stored->record.n);
    if (stored->items.n)
        memcpy(whole + stored->record.n, stored->items.p, stored->items.n);
    if (cn_statement_decode(whole, n, &s, &err) != CN_OK) {
        fault(f, "log index %llu: the statement does not decode (%s: %s)", (unsigned long long)stored->log_index,
              err.field, err.text);
    } else {
        check_items(f, s, stored);
        check_indexes(f, s, stored->log_index);
    }
    cn_statement_free(s);
    free(whole);
}

/* Appends to the log what its tiles hold: a record that differs from them is told here, by its index, and does not
 * spoil every later root. */
static void check_statement(fsck *f, uint64_t height, uint64_t index, cn_frontier *log)
{
    cn_stored_statement stored;
    cn_err err = {0};
    cn_digest in_tile = cn_digest_zero;
    bool has_tile = cn_tiles_hash(f->txn, f->t, index, index + 1, &in_tile, &err) == CN_OK;
    f->report.statements++;
    if (!has_tile && f->bad_tile != index / 256 + 1) {
        fault(f, "log index %llu: %s", (unsigned long long)index, err.text);
        f->bad_tile = index / 256 + 1;
    }
    cn_frontier_append(log, &in_tile);
    if (cn_snapshot_statement(f->snap, index, &stored, &err) != CN_OK)
        return fault(f, "log index %llu: the record is missing (%s)", (unsigned long long)index, err.text);
    cn_digest body = cn_sha256(stored.record.p, stored.record.n);
    cn_digest leaf = cn_leaf_hash(body.b, CN_DIGEST_LEN);
    if (!cn_digest_eq(&body, &stored.record_digest))
        fault(f, "log index %llu: the record's bytes hash to %s, recorded is %s: the body was edited",
              (unsigned long long)index, cn_digest_hex(&body).s, cn_digest_hex(&stored.record_digest).s);
    else if (has_tile && !cn_digest_eq(&leaf, &in_tile))
        fault(f, "log index %llu: the log holds another record than the one stored here", (unsigned long long)index);
    if (stored.height != height)
        fault(f, "log index %llu: says height %llu, lies in block %llu", (unsigned long long)index,
              (unsigned long long)stored.height, (unsigned long long)height);
    check_content(f, &stored);
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
        fault(f, "block %llu: the header was edited: it hashes to %s", (unsigned long long)height,
              cn_digest_hex(&digest).s);
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
    bool differs = log->size != row->header.log_size || !cn_digest_eq(&root, &row->header.log_root);
    if (differs && !f->log_differs)
        fault(f, "block %llu: the log hashes to another root than the header's, from here on",
              (unsigned long long)height);
    f->log_differs = differs;
}

static void check_genesis(fsck *f)
{
    cn_span bytes, entries;
    const char *name[2] = {"genesis", "set_rows"};
    if (cn_meta_get(f->txn, f->t, "log_entries", &entries, NULL) != CN_OK || entries.n != 2 * CN_DIGEST_LEN)
        return fault(f, "meta: the two log entries of genesis are missing");
    for (size_t i = 0; i < 2; i++) {
        cn_digest digest = cn_digest_zero;
        if (cn_meta_get(f->txn, f->t, name[i], &bytes, NULL) == CN_OK)
            digest = cn_sha256(bytes.p, bytes.n);
        if (memcmp(digest.b, (const uint8_t *)entries.p + i * CN_DIGEST_LEN, CN_DIGEST_LEN) != 0)
            fault(f, "meta: %s does not hash to log entry %zu", name[i], i);
    }
}

static uint64_t entries_of(fsck *f, int table)
{
    MDB_stat stat = {0};
    return mdb_stat(f->txn, f->t->dbi[table], &stat) == 0 ? stat.ms_entries : 0;
}

/* Every row that should be there was looked up; so a table of the right length holds no other. */
static void check_length(fsck *f, int table, uint64_t expected)
{
    uint64_t have = entries_of(f, table);
    if (have != expected)
        fault(f, "table %s: %llu rows, %llu belong there: rows were added or removed", cn_table_name(table),
              (unsigned long long)have, (unsigned long long)expected);
}

#define FREE_TABLE ((MDB_dbi)0) /* LMDB's own: transaction -> count, page numbers in descending order */

/* The next commit writes over the pages that are listed here: a wrong number in it would destroy what is in use. */
static void check_free_pages(fsck *f, MDB_env *env)
{
    MDB_cursor *cursor = NULL;
    MDB_val k, v;
    MDB_envinfo info;
    if (mdb_env_info(env, &info) != 0 || mdb_cursor_open(f->txn, FREE_TABLE, &cursor) != 0)
        return fault(f, "free pages: the list cannot be read");
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        size_t count = 0, page = info.me_last_pgno + 1, next;
        bool sound = k.mv_size == sizeof(size_t) && v.mv_size >= sizeof count;
        if (sound)
            memcpy(&count, v.mv_data, sizeof count);
        sound = sound && count < v.mv_size / sizeof count;
        for (size_t i = 1; sound && i <= count; i++, page = next) {
            memcpy(&next, (const uint8_t *)v.mv_data + i * sizeof next, sizeof next);
            sound = next >= 2 && next < page;
        }
        if (!sound) {
            fault(f, "free pages: an entry of the list makes no sense");
            break;
        }
    }
    if (rc != 0 && rc != MDB_NOTFOUND)
        fault(f, "free pages: %s", mdb_strerror(rc));
    mdb_cursor_close(cursor);
}

/* Each row is about the checkpoint that stands there, ranks are dense, no member has two. Whether the signatures verify
 * is for whoever relies on them. */
static void check_signatures(fsck *f)
{
    MDB_cursor *cursor = NULL;
    MDB_val k, v;
    uint64_t height = UINT64_MAX;
    uint32_t rank = 0;
    int rc = mdb_cursor_open(f->txn, f->t->dbi[T_SIGNATURES], &cursor);
    if (rc == 0)
        rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        cn_block_row block;
        cn_checkpoint_signatures s;
        uint64_t at = k.mv_size == 12 ? cn_load_u64(k.mv_data) : UINT64_MAX;
        rank = at == height ? rank + 1 : 0;
        height = at;
        if (k.mv_size != 12 || cn_load_u32((const uint8_t *)k.mv_data + 8) != rank ||
            cn_checkpoint_signatures_decode(v.mv_data, v.mv_size, &s, NULL) != CN_OK || s.height != at ||
            cn_block_row_get(f->txn, f->t, at, &block, NULL) != CN_OK || block.header.kind == CN_BLOCK_NORMAL ||
            !cn_digest_eq(&block.digest, &s.block))
            fault(f, "signed: a row of height %llu is not about a checkpoint here", (unsigned long long)at);
    }
    mdb_cursor_close(cursor);
}

/* Each token is of a checkpoint that stands there, over its header; ranks are dense. Whose it is, is for whoever relies
 * on it. */
static void check_tokens(fsck *f)
{
    MDB_cursor *cursor = NULL;
    MDB_val k, v;
    uint64_t height = UINT64_MAX;
    uint32_t rank = 0;
    int rc = mdb_cursor_open(f->txn, f->t->dbi[T_TOKENS], &cursor);
    if (rc == 0)
        rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        cn_block_row block;
        cn_timestamp token;
        uint8_t header[CN_HEADER_LEN];
        uint64_t at = k.mv_size == 12 ? cn_load_u64(k.mv_data) : UINT64_MAX;
        rank = at == height ? rank + 1 : 0;
        height = at;
        bool good = k.mv_size == 12 && cn_load_u32((const uint8_t *)k.mv_data + 8) == rank && rank < CN_TOKENS_KEPT &&
                    cn_timestamp_read(CN_SPAN(v.mv_data, v.mv_size), &token, NULL) == CN_OK &&
                    cn_block_row_get(f->txn, f->t, at, &block, NULL) == CN_OK && block.header.kind != CN_BLOCK_NORMAL;
        if (good)
            cn_header_encode(&block.header, header);
        cn_digest imprint = good ? cn_sha256(header, sizeof header) : (cn_digest){{0}};
        if (!good || !cn_digest_eq(&imprint, &token.imprint))
            fault(f, "tokens: a row of height %llu is not a time token over a checkpoint here", (unsigned long long)at);
    }
    mdb_cursor_close(cursor);
}

static void check_certificates(fsck *f)
{
    MDB_cursor *cursor = NULL;
    MDB_val k, v;
    if (mdb_cursor_open(f->txn, f->t->dbi[T_CERTIFICATES], &cursor) != 0)
        return fault(f, "certs: cannot be read");
    for (int rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); rc == 0; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT))
        if (k.mv_size != 8 || v.mv_size == 0 || cn_load_u64(k.mv_data) > f->tip.height)
            fault(f, "certs: a row belongs to no block");
    mdb_cursor_close(cursor);
}

/* Each full tile's root is an entry of the level above. */
static void check_tiles(fsck *f)
{
    MDB_cursor *cursor = NULL;
    MDB_val k, v;
    if (mdb_cursor_open(f->txn, f->t->dbi[T_TILES], &cursor) != 0)
        return fault(f, "tiles: cannot be read");
    for (int rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); rc == 0; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        const uint8_t *key = k.mv_data;
        cn_digest hash[256];
        cn_span above;
        uint8_t above_key[9];
        if (k.mv_size != 9 || v.mv_size == 0 || v.mv_size > sizeof hash || v.mv_size % CN_DIGEST_LEN) {
            fault(f, "tiles: a row has an impossible length");
            continue;
        }
        if (v.mv_size < sizeof hash)
            continue;
        uint64_t index = cn_load_u64(key + 1);
        memcpy(hash, v.mv_data, sizeof hash);
        cn_digest root = cn_merkle_root(hash, 256);
        above_key[0] = (uint8_t)(key[0] + 1);
        cn_store_u64(above_key + 1, index / 256);
        if (cn_row_get(f->txn, f->t, T_TILES, above_key, sizeof above_key, &above, NULL) != CN_OK ||
            above.n < (index % 256 + 1) * CN_DIGEST_LEN ||
            memcmp((const uint8_t *)above.p + index % 256 * CN_DIGEST_LEN, root.b, CN_DIGEST_LEN) != 0)
            fault(f, "tiles: level %u, tile %llu does not hash to its entry in the level above", key[0],
                  (unsigned long long)index);
    }
    mdb_cursor_close(cursor);
}

/* R11: a closing block has its finalization, and the rows that its header names. */
static void check_closing(fsck *f, const cn_block_row *row)
{
    uint64_t height = 0;
    cn_span rows, certificate;
    const cn_header *h = &row->header;
    if (h->kind != CN_BLOCK_CLOSING)
        return;
    f->closings++;
    if (cn_snapshot_epoch(f->snap, h->epoch + 1, &height, &rows, NULL) != CN_OK || height != h->height)
        return fault(f, "epochs: closing block %llu began no epoch", (unsigned long long)h->height);
    cn_digest digest = cn_tagged("carnet/set", rows.p, rows.n);
    if (!cn_digest_eq(&digest, &h->next_set))
        fault(f, "epochs: the rows of epoch %llu do not hash to the next set of closing block %llu",
              (unsigned long long)h->epoch + 1, (unsigned long long)h->height);
    if (h->height > 0 && cn_snapshot_certificate(f->snap, h->height, &certificate, NULL) != CN_OK)
        fault(f, "certs: the finalization of closing block %llu is missing", (unsigned long long)h->height);
}

static void check_blocks(fsck *f)
{
    cn_frontier log;
    cn_digest parent = cn_digest_zero;
    cn_frontier_init(&log);
    check_genesis(f);
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
        if (row.count > CN_MAX_BLOCK_STATEMENTS) {
            fault(f, "block %llu: says that it has %u statements, which is more than a block holds",
                  (unsigned long long)height, row.count);
            row.count = 0;
        }
        check_block(f, height, &row, &parent, &log);
        check_closing(f, &row);
        parent = row.digest;
    }
    cn_digest tiles, recomputed = cn_frontier_root(&log);
    cn_err err = {0};
    if (cn_tiles_hash(f->txn, f->t, 0, f->tip.log_size, &tiles, &err) != CN_OK)
        fault(f, "tiles: %s", err.text);
    else if (!cn_digest_eq(&tiles, &recomputed))
        fault(f, "tiles: they hash to another root than the records");
    check_tiles(f);
    uint64_t statements = f->tip.log_size - 2;
    check_length(f, T_BLOCKS, f->tip.height + 1);
    check_length(f, T_DIGESTS, f->tip.height + 1);
    check_length(f, T_EPOCHS, f->closings);
    check_length(f, T_RECORDS, statements);
    check_length(f, T_IDS, statements);
    check_length(f, T_BY_RECORD, statements);
    check_length(f, T_BY_KEY, statements);
    check_length(f, T_ERASED, f->batches_erased);
    check_length(f, T_ITEMS, f->batches_with_items);
    check_certificates(f);
    check_signatures(f);
    check_tokens(f);
}

/* ---- state map: from its leaves alone, sharing no code with map.c ---- */

/* Leaves come in key order. The stack holds the left siblings of the path to the newest leaf, crit bits ascending. */
typedef struct map_hash {
    uint64_t count, subjects;
    cn_state_key last;
    cn_digest current;
    size_t depth;
    unsigned bit[8 * CN_STATE_KEY_LEN];
    cn_digest left[8 * CN_STATE_KEY_LEN];
} map_hash;

static unsigned crit_bit(const cn_state_key *a, const cn_state_key *b)
{
    unsigned bit = 0;
    while (bit < 8 * CN_STATE_KEY_LEN && !((a->b[bit / 8] ^ b->b[bit / 8]) & 0x80u >> bit % 8))
        bit++;
    return bit;
}

static void fold(map_hash *m, unsigned above_bit)
{
    while (m->depth > 0 && m->bit[m->depth - 1] > above_bit) {
        m->depth--;
        m->current = cn_node_hash(&m->left[m->depth], &m->current);
    }
}

static cn_status hash_leaf(void *arg, const cn_state_key *key, cn_span value)
{
    map_hash *m = arg;
    if (value.n == 0 || value.n > CN_STATE_VALUE_MAX)
        return CN_CORRUPT;
    if (m->count > 0) {
        unsigned bit = crit_bit(&m->last, key);
        fold(m, bit);
        m->bit[m->depth] = bit;
        m->left[m->depth++] = m->current;
    }
    m->current = cn_state_leaf_hash(key, value.p, value.n);
    m->last = *key;
    m->count++;
    m->subjects += key->b[0] == CN_STATE_SUBJECT;
    return CN_OK;
}

static bool hash_range(fsck *f, const cn_state_key *prefix, unsigned bits, map_hash *ret)
{
    ret->count = ret->subjects = 0;
    ret->depth = 0;
    ret->current = cn_digest_zero;
    if (cn_map_rows_range(f->txn, f->t, prefix, bits, hash_leaf, ret, NULL) != CN_OK)
        return false;
    if (ret->depth > 0) {
        fold(ret, 0);
        if (ret->depth > 0) /* the root's crit bit is 0 */
            ret->current = cn_node_hash(&ret->left[--ret->depth], &ret->current);
    }
    return true;
}

/* Rows of large inner nodes say what their subtrees' leaves say. Depth is bounded by the bits of a key. */
static void check_inner(fsck *f, const cn_map_descriptor *d, map_hash *scratch, uint64_t *rows)
{
    uint8_t row_key[CN_MAP_ROW_KEY_LEN];
    cn_map_descriptor child[2];
    if (d->count <= CN_MAP_SMALL) {
        if (!hash_range(f, &d->key, d->bit, scratch) || scratch->count != d->count ||
            !cn_digest_eq(&scratch->current, &d->hash))
            fault(f,
                  "map_inner: the leaves under bit %u of prefix %02x%02x%02x.. do not hash to what their parent says",
                  d->bit, d->key.b[0], d->key.b[1], d->key.b[2]);
        return;
    }
    memcpy(cn_store_u16(row_key, d->bit), d->key.b, CN_STATE_KEY_LEN);
    if (cn_map_rows_inner(f->txn, f->t, row_key, child, NULL) != CN_OK)
        return fault(f, "map_inner: the row for bit %u of prefix %02x%02x%02x.. cannot be read", d->bit, d->key.b[0],
                     d->key.b[1], d->key.b[2]);
    cn_digest hash = cn_node_hash(&child[0].hash, &child[1].hash);
    if (!cn_digest_eq(&hash, &d->hash) || child[0].count + child[1].count != d->count || child[0].bit <= d->bit ||
        child[1].bit <= d->bit)
        return fault(f, "map_inner: the row for bit %u of prefix %02x%02x%02x.. was edited", d->bit, d->key.b[0],
                     d->key.b[1], d->key.b[2]);
    ++*rows;
    check_inner(f, &child[0], scratch, rows);
    check_inner(f, &child[1], scratch, rows);
}

static void check_map_rows(fsck *f, map_hash *m, const cn_header *checkpoint)
{
    cn_state_key any = {{0}};
    cn_span row;
    cn_map_descriptor root;
    uint64_t rows = 0;
    if (!hash_range(f, &any, 0, m))
        return fault(f, "state map: its leaves cannot be read");
    f->report.state_entries = m->count;
    f->subject_records = m->subjects;
    if (m->count != entries_of(f, T_MAP_LEAVES))
        fault(f, "map_leaf: a key has another length than 33 bytes");
    if (!cn_digest_eq(&m->current, &checkpoint->state_root))
        return fault(f,
                     "state map: its values hash to %s, checkpoint %llu says %s: a value was edited, added or removed",
                     cn_digest_hex(&m->current).s, (unsigned long long)f->tip.checkpoint,
                     cn_digest_hex(&checkpoint->state_root).s);
    if (cn_meta_get(f->txn, f->t, "map_root", &row, NULL) != CN_OK || !cn_map_descriptor_read(row.p, row.n, &root) ||
        !cn_digest_eq(&root.hash, &m->current) || root.count != m->count)
        return fault(f, "meta: map_root does not describe the map");
    check_inner(f, &root, m, &rows);
    check_length(f, T_MAP_INNER, rows);
}

static void check_map(fsck *f)
{
    cn_block_row row;
    cn_err err = {0};
    map_hash *m = malloc(sizeof *m);
    if (!m || cn_block_row_get(f->txn, f->t, f->tip.checkpoint, &row, &err) != CN_OK)
        fault(f, "checkpoint %llu: %s", (unsigned long long)f->tip.checkpoint, m ? err.text : "out of memory");
    else
        check_map_rows(f, m, &row.header);
    free(m);
}

/* ---- subjects ---- */

typedef struct subject_check {
    cn_digest tag;
    uint64_t number, rows, longest_ms;
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

static void check_time(fsck *f, const subject_check *c, const cn_subject_row *row)
{
    uint8_t key[24], expected[16];
    cn_span value;
    cn_store_u64(cn_store_u64(cn_store_u64(key, c->number), row->first_ms), row->leaf.log_index);
    cn_store_u64(cn_store_u64(expected, row->position), row->last_ms);
    if (cn_row_get(f->txn, f->t, T_BY_TIME, key, sizeof key, &value, NULL) != CN_OK || value.n != sizeof expected ||
        memcmp(value.p, expected, sizeof expected) != 0)
        fault(f, "subject %s: table by_time does not lead to row %llu", cn_digest_hex(&c->tag).s,
              (unsigned long long)row->position);
    if (row->last_ms > row->first_ms && row->last_ms - row->first_ms > c->longest_ms)
        fault(f, "subject %s: row %llu is longer than the longest interval recorded", cn_digest_hex(&c->tag).s,
              (unsigned long long)row->position);
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
        check_time(f, c, &row);
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
    uint64_t with_record = 0;
    if (mdb_cursor_open(f->txn, f->t->dbi[T_SUBJECTS], &cursor) != 0)
        return fault(f, "subjects: cannot be read");
    for (int rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); rc == 0; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        subject_check c = {0};
        uint8_t value[CN_STATE_VALUE_MAX];
        size_t n = 0;
        f->report.subjects++;
        if (k.mv_size != CN_DIGEST_LEN || v.mv_size != 24) {
            fault(f, "subjects: a row has an impossible length");
            continue;
        }
        memcpy(c.tag.b, k.mv_data, CN_DIGEST_LEN);
        c.number = cn_load_u64(v.mv_data);
        c.rows = cn_load_u64((const uint8_t *)v.mv_data + 8);
        c.longest_ms = cn_load_u64((const uint8_t *)v.mv_data + 16);
        f->rows += c.rows;
        cn_state_key key = cn_state_key_of(f->salt, CN_STATE_SUBJECT, c.tag.b, CN_DIGEST_LEN);
        c.has_record = cn_snapshot_state(f->snap, &key, value, &n, NULL) == CN_OK;
        with_record += c.has_record;
        if (c.has_record && !cn_state_subject_decode(value, n, &c.record))
            fault(f, "subject %s: its completeness record does not decode", cn_digest_hex(&c.tag).s);
        else
            check_subject(f, &c);
    }
    mdb_cursor_close(cursor);
    if (with_record != f->subject_records)
        fault(f, "subjects: the state map has %llu completeness records, %llu of their subjects are in the table",
              (unsigned long long)f->subject_records, (unsigned long long)with_record);
    check_length(f, T_ROWS, f->rows);
    check_length(f, T_BY_TIME, f->rows);
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
        check_free_pages(&f, store->env);
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
