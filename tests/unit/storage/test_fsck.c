/* Every kind of edit that leaves LMDB itself consistent must be found, and named. */
#include "fixture.h"

#include "storage/store_internal.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

typedef enum edit_kind { FLIP, DELETE, SWAP, ADD } edit_kind;

typedef struct edit {
    const char *name;
    int table;
    edit_kind kind;
    int nth;         /* row of the table in key order, from 0; SWAP: with the next; -1: the last */
    int offset;      /* FLIP: byte of the value; negative: from its end */
    const char *key; /* meta rows by name */
    const char *expect;
} edit;

static const edit edits[] = {
    {"body under an unchanged digest", T_RECORDS, FLIP, 5, -70, NULL, "body was edited"},
    {"digest of a record", T_RECORDS, FLIP, 5, 10, NULL, "log index 7"},
    {"height of a record", T_RECORDS, FLIP, 5, 7, NULL, "log index 7: says height"},
    {"record removed", T_RECORDS, DELETE, 4, 0, NULL, "log index 6: the record is missing"},
    {"records swapped", T_RECORDS, SWAP, 4, 0, NULL, "log index 6: the log holds another record"},
    {"record beyond the log", T_RECORDS, ADD, 0, 0, NULL, "table records"},
    {"header", T_BLOCKS, FLIP, 3, 20, NULL, "block 3: the header was edited"},
    {"version of a header", T_BLOCKS, FLIP, 3, 3, NULL, "block 3"},
    {"digest of a block", T_BLOCKS, FLIP, 3, CN_HEADER_LEN, NULL, "block 3"},
    {"count of a block", T_BLOCKS, FLIP, 1, -1, NULL, "block 1"},
    {"absurd count of a block", T_BLOCKS, FLIP, 1, -4, NULL, "block 1: says that it has"},
    {"blocks swapped", T_BLOCKS, SWAP, 2, 0, NULL, "block 2"},
    {"block removed", T_BLOCKS, DELETE, 2, 0, NULL, "block 2"},
    {"rows of a set", T_EPOCHS, FLIP, 0, 9, NULL, "rows of epoch 1 do not hash to the next set"},
    {"height of a closing block", T_EPOCHS, FLIP, 0, 7, NULL, "closing block 0 began no epoch"},
    {"epoch removed", T_EPOCHS, DELETE, 0, 0, NULL, "closing block 0 began no epoch"},
    {"epoch added", T_EPOCHS, ADD, 0, 0, NULL, "table epochs"},
    {"certificate of no block", T_CERTIFICATES, ADD, 0, 0, NULL, "certs"},
    {"time token of no checkpoint", T_TOKENS, ADD, 0, 0, NULL, "tokens: a row"},
    {"digest index", T_DIGESTS, FLIP, 1, 7, NULL, "table digests does not lead back"},
    {"digest row added", T_DIGESTS, ADD, 0, 0, NULL, "table digests"},
    {"item", T_ITEMS, FLIP, 5, -3, NULL, "log index 7: its items are not those that were signed"},
    {"items removed", T_ITEMS, DELETE, 5, 0, NULL, "log index 7: its items are missing"},
    {"items swapped", T_ITEMS, SWAP, 5, 0, NULL, "log index 7: its items"},
    {"items of no statement", T_ITEMS, ADD, 0, 0, NULL, "table items"},
    {"mark of erasure added", T_ERASED, ADD, 0, 0, NULL, "table erased"},
    {"tile", T_TILES, FLIP, 0, 200, NULL, "log index 6"},
    {"genesis leaf in a tile", T_TILES, FLIP, 0, 3, NULL, "tiles"},
    {"full tile's root", T_TILES, FLIP, -1, 3, NULL, "tiles: level 0, tile 0"},
    {"tile removed", T_TILES, DELETE, 0, 0, NULL, "tiles"},
    {"id index", T_IDS, FLIP, 0, 7, NULL, "table ids does not lead back"},
    {"id removed", T_IDS, DELETE, 3, 0, NULL, "table ids"},
    {"id added", T_IDS, ADD, 0, 0, NULL, "table ids: "},
    {"record index removed", T_BY_RECORD, DELETE, 3, 0, NULL, "table by_record"},
    {"record index added", T_BY_RECORD, ADD, 0, 0, NULL, "table by_record: "},
    {"key index swapped", T_BY_KEY, SWAP, 3, 0, NULL, "table by_key does not lead back"},
    {"key index removed", T_BY_KEY, DELETE, 3, 0, NULL, "table by_key"},
    {"subject removed", T_SUBJECTS, DELETE, 2, 0, NULL, "completeness records"},
    {"rows of a subject counted down", T_SUBJECTS, FLIP, 2, 15, NULL, "rows"},
    {"number of a subject", T_SUBJECTS, FLIP, 2, 7, NULL, "subject "},
    {"longest interval", T_SUBJECTS, FLIP, 2, 22, NULL, "longest interval"},
    {"row of a subject", T_ROWS, FLIP, 4, 7, NULL, "subject "},
    {"time of a row", T_ROWS, FLIP, 4, 15, NULL, "by_time does not lead to row"},
    {"row removed", T_ROWS, DELETE, 4, 0, NULL, "is missing or short"},
    {"rows swapped", T_ROWS, SWAP, 4, 0, NULL, "subject "},
    {"time row", T_BY_TIME, FLIP, 4, 15, NULL, "by_time does not lead to row"},
    {"time row removed", T_BY_TIME, DELETE, 4, 0, NULL, "by_time does not lead to row"},
    {"time row added", T_BY_TIME, ADD, 0, 0, NULL, "table by_time"},
    {"side", T_SIDE, FLIP, 3, -1, NULL, "stored frontier was edited"},
    {"side removed", T_SIDE, DELETE, 3, 0, NULL, "frontier is missing"},
    {"map value", T_MAP_LEAVES, FLIP, 20, 3, NULL, "a value was edited"},
    {"completeness count", T_MAP_LEAVES, FLIP, -1, 7, NULL, "a value was edited"},
    {"map value removed", T_MAP_LEAVES, DELETE, 20, 0, NULL, "a value was edited"},
    {"map values swapped", T_MAP_LEAVES, SWAP, -2, 0, NULL, "a value was edited"},
    {"map value added", T_MAP_LEAVES, ADD, 0, 0, NULL, "map"},
    {"inner row's hash", T_MAP_INNER, FLIP, 0, 12, NULL, "map_inner"},
    {"inner row's count", T_MAP_INNER, FLIP, 1, 7, NULL, "map_inner"},
    {"inner row removed", T_MAP_INNER, DELETE, 1, 0, NULL, "map_inner"},
    {"inner row added", T_MAP_INNER, ADD, 0, 0, NULL, "table map_inner"},
    {"genesis", T_META, FLIP, 0, 3, "genesis", "genesis does not hash to log entry 0"},
    {"set rows", T_META, FLIP, 0, 3, "set_rows", "set_rows does not hash to log entry 1"},
    {"log entries", T_META, FLIP, 0, 3, "log_entries", "does not hash to log entry 0"},
    {"map root", T_META, FLIP, 0, 12, "map_root", "map_root"},
};

typedef struct kept { /* a row as it was, so that the edit can be undone */
    uint8_t key[512], *value;
    size_t key_len, value_len;
    bool was_there;
} kept;

static void keep(kept *k, MDB_val key, const MDB_val *value)
{
    memcpy(k->key, key.mv_data, key.mv_size);
    k->key_len = key.mv_size;
    k->was_there = value != NULL;
    k->value = NULL;
    k->value_len = 0;
    if (value) {
        k->value = malloc(value->mv_size + 1);
        memcpy(k->value, value->mv_data, value->mv_size);
        k->value_len = value->mv_size;
    }
}

static void put(MDB_txn *txn, MDB_dbi dbi, const kept *k, const void *value, size_t n)
{
    MDB_val key = cn_val(k->key, k->key_len), v = cn_val(value, n);
    cr_assert_eq(mdb_put(txn, dbi, &key, &v, 0), 0);
}

static void find_row(MDB_txn *txn, MDB_dbi dbi, const edit *e, int nth, kept *k)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    cr_assert_eq(mdb_cursor_open(txn, dbi, &cursor), 0);
    int rc = mdb_cursor_get(cursor, &key, &value, nth < 0 ? MDB_LAST : MDB_FIRST);
    if (e->key) {
        key = cn_val(e->key, strlen(e->key));
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_KEY);
    }
    for (int i = 0; rc == 0 && !e->key && i < (nth < 0 ? -1 - nth : nth); i++)
        rc = mdb_cursor_get(cursor, &key, &value, nth < 0 ? MDB_PREV : MDB_NEXT);
    cr_assert_eq(rc, 0, "%s: no such row", e->name);
    keep(k, key, &value);
    mdb_cursor_close(cursor);
}

static void flip(MDB_txn *txn, MDB_dbi dbi, const edit *e, const kept *k)
{
    size_t at = e->offset < 0 ? k->value_len - (size_t)-e->offset : (size_t)e->offset;
    uint8_t *copy = malloc(k->value_len);
    cr_assert(copy && at < k->value_len, "%s", e->name);
    memcpy(copy, k->value, k->value_len);
    copy[at] ^= 1;
    put(txn, dbi, k, copy, k->value_len);
    free(copy);
}

/* Copies the first row under a key of the same length that was not there. */
static void add(MDB_txn *txn, MDB_dbi dbi, const edit *e, kept *k)
{
    MDB_stat stat;
    uint8_t one = 1;
    cr_assert_eq(mdb_stat(txn, dbi, &stat), 0);
    if (stat.ms_entries)
        find_row(txn, dbi, e, 0, k);
    else
        *k = (kept){.key_len = 8, .value = malloc(1), .value_len = 1};
    memset(k->key + 1, 0xee, k->key_len - 1);
    put(txn, dbi, k, stat.ms_entries ? k->value : &one, stat.ms_entries ? k->value_len : 1);
    k->was_there = false;
}

static void apply(cn_store *store, const edit *e, kept k[2])
{
    MDB_txn *txn = NULL;
    MDB_dbi dbi = store->t.dbi[e->table];
    memset(k, 0, 2 * sizeof *k);
    cr_assert_eq(mdb_txn_begin(store->env, NULL, 0, &txn), 0);
    if (e->kind == ADD) {
        add(txn, dbi, e, &k[0]);
    } else {
        find_row(txn, dbi, e, e->nth, &k[0]);
        if (e->kind == SWAP) {
            find_row(txn, dbi, e, e->nth + 1, &k[1]);
            put(txn, dbi, &k[0], k[1].value, k[1].value_len);
            put(txn, dbi, &k[1], k[0].value, k[0].value_len);
        } else if (e->kind == FLIP) {
            flip(txn, dbi, e, &k[0]);
        } else {
            MDB_val key = cn_val(k[0].key, k[0].key_len);
            cr_assert_eq(mdb_del(txn, dbi, &key, NULL), 0);
        }
    }
    cr_assert_eq(mdb_txn_commit(txn), 0);
}

static void undo(cn_store *store, const edit *e, kept k[2])
{
    MDB_txn *txn = NULL;
    cr_assert_eq(mdb_txn_begin(store->env, NULL, 0, &txn), 0);
    for (size_t i = 0; i < 2; i++) {
        MDB_val key = cn_val(k[i].key, k[i].key_len);
        if (k[i].was_there)
            put(txn, store->t.dbi[e->table], &k[i], k[i].value, k[i].value_len);
        else if (k[i].key_len)
            cr_assert_eq(mdb_del(txn, store->t.dbi[e->table], &key, NULL), 0);
        free(k[i].value);
    }
    cr_assert_eq(mdb_txn_commit(txn), 0);
}

Test(fsck, finds_every_edit)
{
    fx f;
    char dir[64], text[16384];
    cn_store *raw = NULL;
    fx_directory_in_memory(dir);
    fx_begin(&f, dir, 42, true);
    fx_open(&f);
    while (f.entry_count < 300 || f.tip.height < 9)
        fx_commit(&f, (f.tip.height + 1) % 3 == 0 ? fx_checkpoint(&f, NULL, 0) : fx_statements(&f, 40));
    while ((f.tip.height + 1) % 3 != 0) /* rows after the newest checkpoint, too */
        fx_commit(&f, fx_statements(&f, 4));
    fx_end(&f);
    cr_assert_eq(fx_fsck(&f, text, sizeof text), 0, "%s", text);
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        kept k[2];
        cr_assert_eq(cn_store_env_open(&f.options, true, &raw, NULL), CN_OK);
        apply(raw, &edits[i], k);
        cn_store_close(raw);
        uint64_t faults = fx_fsck(&f, text, sizeof text);
        cr_expect(faults > 0, "%s: not found", edits[i].name);
        cr_expect_not_null(strstr(text, edits[i].expect), "%s: told as\n%s", edits[i].name, text);
        cr_expect(faults <= 150, "%s: %llu sentences", edits[i].name, (unsigned long long)faults);
        cr_assert_eq(cn_store_env_open(&f.options, true, &raw, NULL), CN_OK);
        undo(raw, &edits[i], k);
        cn_store_close(raw);
    }
    cr_assert_eq(fx_fsck(&f, text, sizeof text), 0, "%s", text);
    fx_remove(dir);
}

/* The cheap checks of opening. */
Test(fsck, opening_notices_what_is_cheap)
{
    static const edit cheap[] = {
        {"genesis", T_META, FLIP, 0, 3, "genesis", NULL},
        {"version", T_META, FLIP, 0, 7, "version", NULL},
        {"tip", T_META, FLIP, 0, 7, "tip", NULL},
        {"map root", T_META, FLIP, 0, 12, "map_root", NULL},
        {"newest header", T_BLOCKS, FLIP, -1, 20, NULL, NULL},
        {"a late header", T_BLOCKS, FLIP, -4, 20, NULL, NULL},
        {"newest tile", T_TILES, FLIP, 0, 3, NULL, NULL},
        {"tip removed", T_META, DELETE, 0, 0, "tip", NULL},
    };
    fx f;
    char dir[64];
    cn_store *raw = NULL, *store = NULL;
    fx_directory_in_memory(dir);
    fx_begin(&f, dir, 43, true);
    fx_open(&f);
    for (int i = 0; i < 9; i++)
        fx_commit(&f, fx_next(&f));
    fx_end(&f);
    for (size_t i = 0; i < sizeof cheap / sizeof cheap[0]; i++) {
        kept k[2];
        cn_err err = {0};
        cr_assert_eq(cn_store_env_open(&f.options, true, &raw, NULL), CN_OK);
        apply(raw, &cheap[i], k);
        cn_store_close(raw);
        cr_expect_neq(cn_store_open(&f.options, &store, &err), CN_OK, "%s", cheap[i].name);
        cr_expect(err.text[0] && err.field[0], "%s", cheap[i].name);
        cr_assert_eq(cn_store_env_open(&f.options, true, &raw, NULL), CN_OK);
        undo(raw, &cheap[i], k);
        cn_store_close(raw);
    }
    cr_assert_eq(cn_store_open(&f.options, &store, NULL), CN_OK);
    cn_store_close(store);
    fx_remove(dir);
}
