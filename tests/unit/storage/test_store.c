/* Committing, reading back, proofs at any size, refusals, full disks. */
#include "fixture.h"

#include "storage/store_internal.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void begin(fx *f, uint64_t seed)
{
    char dir[64];
    fx_directory(dir);
    fx_begin(f, dir, seed, true);
    fx_open(f);
}

static void end(fx *f)
{
    char text[4096];
    cr_assert_eq(fx_fsck(f, text, sizeof text), 0, "%s", text);
    fx_end(f);
    fx_remove(f->dir);
}

static cn_snapshot *snapshot(fx *f)
{
    cn_snapshot *snap = NULL;
    cr_assert_eq(cn_snapshot_open(f->store, &snap, NULL), CN_OK);
    return snap;
}

Test(store, refuses_to_create_twice_or_open_nothing)
{
    fx f;
    char empty[64];
    cn_store *store = NULL;
    cn_err err = {0};
    begin(&f, 1);
    cr_assert_eq(cn_store_open(&f.options, &store, &err), CN_CONFLICT, "a second writer");
    cn_store_close(f.store);
    f.store = NULL;
    cn_map_unref(f.map);
    f.map = cn_map_empty();
    fx_block b = {.block = {.header = f.tip, .digest = f.tip_digest, .map = f.map}};
    cn_digest entries[2] = {f.entry[0], f.entry[1]};
    cr_assert_eq(cn_store_create(&f.options, CN_SPAN("x", 1), CN_SPAN("y", 1), entries, &b.block, &err), CN_CONFLICT);
    fx_directory(empty);
    cr_assert_eq(cn_store_open(&(cn_store_options){.dir = empty}, &store, &err), CN_NOT_FOUND);
    fx_remove(empty);
    end(&f);
}

static void check_statement(fx *f, cn_snapshot *snap, const fx_block *b, size_t i, uint64_t first)
{
    const cn_commit_statement *s = &b->statement[i];
    cn_stored_statement got;
    uint64_t index = 0;
    cr_assert_eq(cn_snapshot_statement(snap, first + i, &got, NULL), CN_OK);
    cr_assert(got.record.n == s->record.n && memcmp(got.record.p, s->record.p, s->record.n) == 0);
    cr_assert(got.items.n == s->items.n && memcmp(got.items.p, s->items.p, s->items.n) == 0);
    cr_assert(got.height == b->block.header.height && cn_digest_eq(&got.record_digest, &s->record_digest));
    cr_assert(cn_snapshot_find_id(snap, &s->id, &index, NULL) == CN_OK && index == first + i);
    cr_assert(cn_snapshot_find_record(snap, &s->record_digest, &index, NULL) == CN_OK && index == first + i);
    cr_assert(cn_snapshot_find_key(snap, &f->key_id, s->sequence, &index, NULL) == CN_OK && index == first + i);
}

static void check_block(fx *f, const fx_block *b, uint64_t first)
{
    cn_snapshot *snap = snapshot(f);
    cn_tip tip;
    uint64_t height = 0, at = 0;
    uint32_t count = 0;
    cn_span certificate;
    cr_assert_eq(cn_snapshot_tip(snap, &tip, NULL), CN_OK);
    cr_assert(tip.height == b->block.header.height && cn_digest_eq(&tip.digest, &b->block.digest));
    cr_assert(tip.log_size == f->entry_count && tip.statements == f->entry_count - 2);
    cr_assert(cn_snapshot_height_of_digest(snap, &b->block.digest, &height, NULL) == CN_OK && height == tip.height);
    cr_assert_eq(cn_snapshot_block_statements(snap, height, &at, &count, NULL), CN_OK);
    cr_assert(at == first && count == b->block.statement_count);
    if (b->block.map)
        cr_assert(tip.checkpoint == height &&
                  cn_snapshot_certificate(snap, height, &certificate, NULL) == CN_NOT_FOUND);
    else
        cr_assert(tip.checkpoint < height && cn_snapshot_certificate(snap, height, &certificate, NULL) == CN_OK);
    for (size_t i = 0; i < b->block.statement_count; i++)
        check_statement(f, snap, b, i, first);
    cn_snapshot_close(snap);
}

static void commit_checked(fx *f, fx_block *b, uint64_t first)
{
    cn_err err = {0};
    b->block.statement = b->statement;
    cr_assert_eq(cn_store_commit(f->store, &b->block, 1, &err), CN_OK, "%s: %s", err.field, err.text);
    check_block(f, b, first);
    fx_free(b);
}

Test(store, what_is_committed_reads_back)
{
    fx f;
    begin(&f, 2);
    for (int i = 0; i < 30; i++) {
        uint64_t first = f.entry_count;
        commit_checked(&f, fx_next(&f), first);
    }
    cn_store_close(f.store);
    f.store = NULL;
    fx_open(&f);
    uint64_t first = f.entry_count;
    commit_checked(&f, fx_next(&f), first);
    end(&f);
}

Test(store, a_snapshot_does_not_move)
{
    fx f;
    cn_tip before, after;
    cn_span genesis;
    begin(&f, 3);
    fx_commit(&f, fx_next(&f));
    cn_snapshot *snap = snapshot(&f);
    cr_assert_eq(cn_snapshot_tip(snap, &before, NULL), CN_OK);
    for (int i = 0; i < 6; i++)
        fx_commit(&f, fx_next(&f));
    cr_assert_eq(cn_snapshot_tip(snap, &after, NULL), CN_OK);
    cr_assert(before.height == after.height && after.height == 1);
    cr_assert(cn_snapshot_genesis(snap, &genesis, NULL) == CN_OK && genesis.n == 16);
    cn_header h;
    cr_assert_eq(cn_snapshot_header(snap, 2, &h, NULL), CN_NOT_FOUND);
    cn_snapshot_close(snap);
    end(&f);
}

Test(store, proofs_of_the_log_at_any_size)
{
    fx f;
    begin(&f, 4);
    while (f.entry_count < 800)
        fx_commit(&f, fx_statements(&f, 1 + fx_random(&f) % 150));
    cn_snapshot *snap = snapshot(&f);
    cn_digest *leaf = calloc(f.entry_count, sizeof *leaf);
    for (size_t i = 0; i < f.entry_count; i++) {
        cn_digest entry;
        cr_assert_eq(cn_snapshot_log_entry(snap, i, &entry, NULL), CN_OK);
        cr_assert(cn_digest_eq(&entry, &f.entry[i]));
        leaf[i] = cn_leaf_hash(f.entry[i].b, CN_DIGEST_LEN);
    }
    for (int i = 0; i < 400; i++) {
        uint64_t size = 1 + fx_random(&f) % f.entry_count, index = fx_random(&f) % size,
                 size1 = 1 + fx_random(&f) % size;
        cn_digest path[CN_PROOF_MAX + 1], root, root1, expected = cn_merkle_root(leaf, size);
        size_t n = 0;
        cr_assert_eq(cn_snapshot_log_root(snap, size, &root, NULL), CN_OK);
        cr_assert(cn_digest_eq(&root, &expected));
        cr_assert_eq(cn_snapshot_inclusion(snap, index, size, path, &n, NULL), CN_OK);
        cr_assert(cn_verify_inclusion(&leaf[index], index, size, path, n, &expected));
        cr_assert_eq(cn_snapshot_log_root(snap, size1, &root1, NULL), CN_OK);
        cr_assert_eq(cn_snapshot_consistency(snap, size1, size, path, &n, NULL), CN_OK);
        cr_assert(cn_verify_consistency(size1, &root1, size, &expected, path, n));
    }
    cn_digest path[CN_PROOF_MAX + 1], root;
    size_t n = 0;
    cr_assert_eq(cn_snapshot_inclusion(snap, f.entry_count, f.entry_count, path, &n, NULL), CN_INVALID);
    cr_assert_eq(cn_snapshot_log_root(snap, f.entry_count + 1, &root, NULL), CN_INVALID);
    cr_assert_eq(cn_snapshot_consistency(snap, 0, 5, path, &n, NULL), CN_INVALID);
    free(leaf);
    cn_snapshot_close(snap);
    end(&f);
}

/* Beyond 65,536 leaves the tiles have a third level. */
Test(store, tiles_of_three_levels)
{
    enum { N = 70000 };
    fx f = {.random = 5};
    char dir[64];
    cn_store *store = NULL;
    MDB_txn *txn = NULL;
    cn_digest *leaf = calloc(N, sizeof *leaf);
    fx_directory(dir);
    cr_assert_eq(cn_store_env_open(&(cn_store_options){.dir = dir}, true, &store, NULL), CN_OK);
    cr_assert_eq(mdb_txn_begin(store->env, NULL, 0, &txn), 0);
    for (uint32_t i = 0; i < N; i++)
        leaf[i] = cn_leaf_hash(&i, sizeof i);
    for (size_t at = 0; at < N;) {
        size_t n = 1 + fx_random(&f) % 900;
        n = n < N - at ? n : N - at;
        cr_assert_eq(cn_tiles_append(txn, &store->t, at, leaf + at, n, NULL), CN_OK);
        at += n;
    }
    for (int i = 0; i < 60; i++) {
        uint64_t size = i == 0 ? N : 1 + fx_random(&f) % N, index = fx_random(&f) % size;
        cn_subtree plan[CN_PROOF_MAX];
        cn_digest path[CN_PROOF_MAX], root, expected = cn_merkle_root(leaf, size);
        cn_frontier frontier;
        size_t n = cn_inclusion_plan(index, size, plan);
        for (size_t j = 0; j < n; j++)
            cr_assert_eq(cn_tiles_hash(txn, &store->t, plan[j].first, plan[j].end, &path[j], NULL), CN_OK);
        cr_assert(cn_verify_inclusion(&leaf[index], index, size, path, n, &expected));
        cr_assert_eq(cn_tiles_frontier(txn, &store->t, size, &frontier, NULL), CN_OK);
        root = cn_frontier_root(&frontier);
        cr_assert(cn_digest_eq(&root, &expected));
    }
    mdb_txn_abort(txn);
    cn_store_close(store);
    free(leaf);
    fx_remove(dir);
}

Test(store, subjects_by_position_and_by_time)
{
    enum { MAX = 4096 };
    fx f;
    begin(&f, 6);
    for (int i = 0; i < 8; i++)
        fx_commit(&f, fx_statements(&f, 50));
    fx_commit(&f, fx_checkpoint(&f, NULL, 0));
    cn_snapshot *snap = snapshot(&f);
    cn_subject_row *all = calloc(MAX, sizeof *all), page[7];
    for (size_t i = 0; i < FX_SUBJECTS; i++) {
        fx_subject *s = &f.subject[i];
        uint64_t count = 0;
        size_t n = 0, got = 0;
        cn_frontier tree;
        cr_assert(cn_snapshot_subject_count(snap, &s->tag, &count, NULL) == CN_OK && count == s->tree.size);
        cr_assert_eq(cn_snapshot_subject_rows(snap, &s->tag, 0, all, MAX, &n, NULL), CN_OK);
        cr_assert_eq(n, count);
        cn_frontier_init(&tree);
        for (size_t j = 0; j < n; j++) {
            uint8_t leaf[CN_SUBJECT_LEAF_LEN];
            cn_subject_leaf_encode(&all[j].leaf, leaf);
            cn_digest hash = cn_leaf_hash(leaf, sizeof leaf);
            cn_frontier_append(&tree, &hash);
        }
        cn_digest root = cn_frontier_root(&tree);
        cr_assert(cn_digest_eq(&root, &s->record.root));
        cr_assert(cn_snapshot_subject_rows(snap, &s->tag, count, page, 7, &got, NULL) == CN_OK && got == 0);
        for (int q = 0; q < 20; q++) {
            uint64_t from = fx_random(&f) % 90000, to = from + fx_random(&f) % 20000, cursor = 0;
            size_t expected = 0, found = 0;
            cn_subject_row last = {0};
            for (size_t j = 0; j < n; j++)
                expected += all[j].first_ms <= to && all[j].last_ms >= from;
            do {
                cr_assert_eq(cn_snapshot_subject_by_time(snap, &s->tag, from, to, &cursor, page, 7, &got, NULL), CN_OK);
                for (size_t j = 0; j < got; j++) {
                    cr_assert(page[j].first_ms <= to && page[j].last_ms >= from);
                    cr_assert(page[j].first_ms > last.first_ms ||
                              (page[j].first_ms == last.first_ms && page[j].leaf.log_index > last.leaf.log_index));
                    cr_assert(memcmp(&page[j].leaf, &all[page[j].position].leaf, sizeof page[j].leaf) == 0);
                    last = page[j];
                }
                found += got;
            } while (got == 7);
            cr_assert_eq(found, expected);
        }
    }
    cn_digest unknown = cn_sha256("unknown", 7);
    uint64_t count = 0;
    cr_assert_eq(cn_snapshot_subject_count(snap, &unknown, &count, NULL), CN_NOT_FOUND);
    free(all);
    cn_snapshot_close(snap);
    end(&f);
}

typedef void (*spoil)(fx_block *b);
static void spoil_height(fx_block *b)
{
    b->block.header.height++;
    b->block.digest = cn_header_digest(&b->block.header);
}
static void spoil_parent(fx_block *b)
{
    b->block.header.parent.b[0] ^= 1;
    b->block.digest = cn_header_digest(&b->block.header);
}
static void spoil_digest(fx_block *b)
{
    b->block.digest.b[0] ^= 1;
}
static void spoil_log_size(fx_block *b)
{
    b->block.header.log_size++;
    b->block.digest = cn_header_digest(&b->block.header);
}
static void spoil_log_root(fx_block *b)
{
    b->block.header.log_root.b[0] ^= 1;
    b->block.digest = cn_header_digest(&b->block.header);
}
static void spoil_state_root(fx_block *b)
{
    b->block.header.state_root.b[0] ^= 1;
    b->block.digest = cn_header_digest(&b->block.header);
}
static void spoil_row(fx_block *b)
{
    b->row[b->block.row_count - 1].position++;
}
static void spoil_id(fx_block *b)
{
    b->statement[1].id = b->statement[0].id;
}
static void spoil_count(fx_block *b)
{
    b->block.statement_count--;
}

Test(store, a_block_that_does_not_fit_changes_nothing)
{
    static const spoil spoils[] = {spoil_height,     spoil_parent, spoil_digest, spoil_log_size, spoil_log_root,
                                   spoil_state_root, spoil_row,    spoil_id,     spoil_count};
    fx f;
    begin(&f, 7);
    fx_commit(&f, fx_next(&f));
    fx_block *good = fx_statements(&f, 3);
    good->block.statement = good->statement;
    good->block.row = good->row;
    for (size_t i = 0; i < sizeof spoils / sizeof spoils[0]; i++) {
        fx_block *bad = malloc(sizeof *bad);
        cn_err err = {0};
        cn_tip tip;
        memcpy(bad, good, sizeof *bad);
        bad->block.statement = bad->statement;
        bad->block.row = bad->row;
        spoils[i](bad);
        cr_assert_eq(cn_store_commit(f.store, &bad->block, 1, &err), CN_CONFLICT, "case %zu: %s %s", i, err.field,
                     err.text);
        free(bad);
        cn_snapshot *snap = snapshot(&f);
        cr_assert(cn_snapshot_tip(snap, &tip, NULL) == CN_OK && tip.height == 1);
        cn_snapshot_close(snap);
    }
    fx_block *checkpoint = fx_checkpoint(&f, NULL, 0);
    cn_commit_block both[2] = {good->block, checkpoint->block};
    both[1].map = NULL;
    cr_assert_eq(cn_store_commit(f.store, both, 2, NULL), CN_CONFLICT, "a checkpoint without its map");
    both[1].map = checkpoint->block.map;
    cr_assert_eq(cn_store_commit(f.store, both, 2, NULL), CN_OK, "two blocks in one transaction");
    cr_assert_eq(cn_store_put_certificate(f.store, 3, CN_SPAN("late", 4), NULL), CN_OK);
    cr_assert_eq(cn_store_put_certificate(f.store, 4, CN_SPAN("early", 5), NULL), CN_NOT_FOUND);
    cn_snapshot *snap = snapshot(&f);
    cn_span certificate;
    cr_assert(cn_snapshot_certificate(snap, 3, &certificate, NULL) == CN_OK && certificate.n == 4);
    cn_snapshot_close(snap);
    fx_free(good);
    fx_free(checkpoint);
    end(&f);
}

Test(store, erased_items_leave_every_proof_valid)
{
    fx f;
    cn_stored_statement s, before;
    cn_buf erased;
    char copy[64];
    bool fresh = false;
    cn_err err = {0};
    begin(&f, 8);
    fx_commit(&f, fx_statements(&f, 6));
    fx_block *b = fx_statements(&f, 2); /* received after others erased its items */
    cn_buf_init(&erased, CN_MAX_STATEMENT_BYTES);
    cr_assert_eq(cn_items_erase(b->statement[1].items, 0, 1, &erased, &fresh, NULL), CN_OK);
    b->statement[1].items = CN_SPAN(erased.p, erased.n);
    b->statement[1].erased = true;
    fx_commit(&f, b);
    fx_commit(&f, fx_checkpoint(&f, NULL, 0));
    cn_snapshot *snap = snapshot(&f);
    cr_assert_eq(cn_snapshot_statement(snap, 3, &before, NULL), CN_OK);
    cn_buf_free(&erased);
    cn_buf_init(&erased, CN_MAX_STATEMENT_BYTES);
    cn_put_bytes(&erased, before.items.p, before.items.n);
    cn_snapshot_close(snap);
    cr_expect_eq(cn_store_erase_items(f.store, 1000, 0, 1, &fresh, &err), CN_NOT_FOUND);
    cr_expect_eq(cn_store_erase_items(f.store, 3, 0, 4, &fresh, &err), CN_NOT_FOUND, "there are three items at most");
    cr_expect_eq(cn_store_erase_items(f.store, 3, 0, 0, &fresh, &err), CN_NOT_FOUND);
    cr_expect(cn_store_erase_items(f.store, 3, 0, 1, &fresh, &err) == CN_OK && fresh, "%s", err.text);
    cr_expect(cn_store_erase_items(f.store, 3, 0, 1, &fresh, &err) == CN_OK && !fresh, "twice is the same");
    snap = snapshot(&f);
    cr_assert_eq(cn_snapshot_statement(snap, 3, &s, NULL), CN_OK);
    cr_expect(s.erased && s.items.n > CN_ITEM_ERASED_LEN && s.record.n > 0);
    cr_expect_neq(s.items.n, erased.n, "the first item is 33 bytes now");
    cr_assert(cn_snapshot_statement(snap, 2, &s, NULL) == CN_OK && s.items.n > 0 && !s.erased);
    cr_assert(cn_snapshot_statement(snap, 9, &s, NULL) == CN_OK && s.erased);
    cn_snapshot_close(snap);
    cn_buf_free(&erased);
    fx_directory(copy);
    cr_assert_eq(cn_store_compact(&f.options, copy, NULL), CN_OK);
    fx compacted = f;
    compacted.options.dir = copy;
    cr_assert_eq(fx_fsck(&compacted, NULL, 0), 0);
    fx_remove(copy);
    end(&f);
}

/* Commits until the disk is full, then frees it: nothing changed, and the same blocks go in. */
Test(store, a_full_disk_changes_nothing)
{
    fx f;
    struct rlimit limit, small;
    cn_err err = {0};
    char path[128];
    struct stat info;
    begin(&f, 9);
    fx_commit(&f, fx_next(&f));
    (void)signal(SIGXFSZ, SIG_IGN);
    snprintf(path, sizeof path, "%s/data.mdb", f.dir);
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = (rlim_t)info.st_size + 300 * 1024;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    fx_block *b = NULL;
    cn_status st = CN_OK;
    int failures = 0;
    for (int i = 0; i < 60 && failures < 3; i++) {
        if (!b)
            b = (f.tip.height + 1) % 3 == 0 ? fx_checkpoint(&f, NULL, 0) : fx_statements(&f, 100);
        b->block.statement = b->statement;
        b->block.row = b->row;
        st = cn_store_commit(f.store, &b->block, 1, &err);
        if (st == CN_OK) {
            fx_free(b);
            b = NULL;
            continue;
        }
        failures++;
        cr_assert_eq(st, CN_IO);
        cr_assert_not_null(strstr(err.text, "full"), "%s", err.text);
        cn_tip tip;
        cn_snapshot *snap = snapshot(&f);
        cr_assert(cn_snapshot_tip(snap, &tip, NULL) == CN_OK && tip.height == b->block.header.height - 1);
        cn_snapshot_close(snap);
    }
    cr_assert_eq(failures, 3);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    fx_commit(&f, b);
    fx_commit(&f, fx_next(&f));
    end(&f);
}

Test(store, a_full_map_changes_nothing)
{
    fx f;
    char dir[64];
    cn_err err = {0};
    fx_directory(dir);
    fx_begin(&f, dir, 10, true);
    f.options.map_size = 512 * 1024;
    fx_open(&f);
    fx_block *b = NULL;
    cn_status st = CN_OK;
    for (int i = 0; i < 60 && st == CN_OK; i++) {
        if (b)
            fx_free(b);
        b = fx_statements(&f, 100);
        st = cn_store_commit(f.store, &b->block, 1, &err);
    }
    cr_assert_eq(st, CN_IO, "%s", err.text);
    cn_store_close(f.store);
    f.store = NULL;
    f.options.map_size = 0;
    cn_map_unref(f.map);
    f.map = NULL;
    cr_assert_eq(cn_store_open(&f.options, &f.store, &err), CN_OK);
    f.map = cn_store_map(f.store, NULL);
    fx_commit(&f, b);
    end(&f);
}

/* What came without content is told apart from what was erased here, also by a process that comes later. */
Test(store, content_that_did_not_come_is_known_until_it_is_explained_or_back)
{
    fx f;
    cn_stored_statement s;
    cn_buf whole[2], erased[2];
    uint64_t found[4];
    size_t count = 9;
    bool fresh = false;
    cn_err err = {0};
    begin(&f, 8);
    fx_commit(&f, fx_statements(&f, 6));
    fx_block *b = fx_statements(&f, 3);
    for (size_t i = 0; i < 2; i++) { /* the second and the third came so */
        cn_buf_init(&whole[i], CN_MAX_STATEMENT_BYTES);
        cn_buf_init(&erased[i], CN_MAX_STATEMENT_BYTES);
        cn_put_bytes(&whole[i], b->statement[1 + i].items.p, b->statement[1 + i].items.n);
        cr_assert_eq(cn_items_erase(b->statement[1 + i].items, 0, 1, &erased[i], &fresh, NULL), CN_OK);
        b->statement[1 + i].items = CN_SPAN(erased[i].p, erased[i].n);
        b->statement[1 + i].erased = true;
    }
    fx_commit(&f, b);
    fx_commit(&f, fx_checkpoint(&f, NULL, 0));
    cr_assert(cn_store_erase_items(f.store, 3, 0, 1, &fresh, NULL) == CN_OK && fresh, "by order, here");
    cn_snapshot *snap = snapshot(&f);
    cr_assert_eq(cn_snapshot_unexplained(snap, found, 4, &count, &err), CN_OK);
    cr_expect(count == 2 && found[0] + 1 == found[1] && found[0] > 3, "%zu", count);
    cr_assert(cn_snapshot_unexplained(snap, found, 1, &count, &err) == CN_OK && count == 1);
    cr_assert_eq(cn_snapshot_unexplained(snap, found, 4, &count, &err), CN_OK);
    cn_snapshot_close(snap);
    cr_expect_eq(cn_store_restore_items(f.store, 2, CN_SPAN(whole[0].p, whole[0].n), &err), CN_INVALID);
    const uint64_t both[2] = {found[1], 2};
    cr_expect_eq(cn_store_explain_erased(f.store, both, 2, &err), CN_NOT_FOUND, "all or none");
    cr_assert_eq(cn_store_restore_items(f.store, found[0], CN_SPAN(whole[0].p, whole[0].n), &err), CN_OK, "%s",
                 err.text);
    cr_assert_eq(cn_store_explain_erased(f.store, &found[1], 1, &err), CN_OK, "%s", err.text);
    snap = snapshot(&f);
    cr_assert(cn_snapshot_unexplained(snap, &found[2], 2, &count, &err) == CN_OK && count == 0);
    cr_assert_eq(cn_snapshot_statement(snap, found[0], &s, NULL), CN_OK);
    cr_expect(!s.erased && s.items.n == whole[0].n && memcmp(s.items.p, whole[0].p, s.items.n) == 0);
    cr_assert_eq(cn_snapshot_statement(snap, found[1], &s, NULL), CN_OK);
    cr_expect(s.erased && s.items.n == erased[1].n);
    cn_snapshot_close(snap);
    cr_expect_eq(fx_fsck(&f, NULL, 0), 0);
    for (size_t i = 0; i < 2; i++) {
        cn_buf_free(&whole[i]);
        cn_buf_free(&erased[i]);
    }
    end(&f);
}
