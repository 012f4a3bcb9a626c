#include "tests/power/workload.h"

#include "storage/safety.h"
#include "tests/power/log.h"
#include "tests/unit/storage/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUP 3 /* blocks in one transaction at most */

const uint8_t workload_vote_key[33] = {2, 9, 9, 9};

typedef struct life {
    const workload *w;
    fx f, random;
    cn_safety *journal;
    uint64_t view;
    fx_block *waiting[GROUP];
    size_t count;
} life;

void workload_journal_path(const char *root, char path[80])
{
    snprintf(path, 80, "%s/keys/safety", root);
}

void workload_ledger_path(const char *root, char path[80])
{
    snprintf(path, 80, "%s/data", root);
}

size_t workload_body(const cn_digest *block, uint8_t out[4096])
{
    size_t n = 40 + (size_t)block->b[0] * 8;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(block->b[i % CN_DIGEST_LEN] + i);
    return n;
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "the workload failed: %s\n", what);
    _exit(3);
}

static void say(note_kind kind, uint64_t number, const cn_digest *block)
{
    note n;
    memset(&n, 0, sizeof n);
    n.kind = (uint32_t)kind;
    n.number = number;
    if (block)
        n.block = *block;
    power_note(&n, sizeof n);
}

/* R5: the row is durable before the vote leaves. */
static void vote(life *l, note_kind kind, const cn_safety_row *row)
{
    must(cn_safety_put_row(l->journal, row, NULL) == CN_OK, "row");
    if (l->w->vote_early)
        say(kind, row->view, &row->block);
    must(cn_safety_sync(l->journal, NULL) == CN_OK, "sync");
    if (!l->w->vote_early)
        say(kind, row->view, &row->block);
}

static void vote_for(life *l, const cn_digest *block)
{
    uint8_t body[4096];
    cn_safety_row row = {.epoch = 1, .view = ++l->view, .notarized = true, .block = *block};
    cn_span part = CN_SPAN(body, workload_body(block, body));
    must(cn_safety_put_body(l->journal, block, &part, 1, NULL) == CN_OK, "body");
    vote(l, NOTE_NOTARIZED, &row);
    if (fx_random(&l->random) % 4 == 0) {
        row.nullified = true;
        vote(l, NOTE_NULLIFIED, &row);
    } else {
        cn_span notarization = CN_SPAN(block->b, CN_DIGEST_LEN); /* any bytes that the check can tell */
        must(cn_safety_put_certificate(l->journal, 1, row.view, notarization, NULL) == CN_OK, "notarization");
        row.finalized = true;
        vote(l, NOTE_FINALIZED, &row);
    }
}

/* What the daemon does when blocks are final: one transaction, then the floor rises and the bodies go, unsynced. */
static void commit(life *l)
{
    cn_commit_block block[GROUP];
    cn_header last = l->f.tip;
    for (size_t i = 0; i < l->count; i++) {
        l->waiting[i]->block.statement = l->waiting[i]->statement;
        l->waiting[i]->block.row = l->waiting[i]->row;
        block[i] = l->waiting[i]->block;
    }
    if (l->w->acknowledge_early)
        say(NOTE_BLOCK, last.height, &l->f.tip_digest);
    must(cn_store_commit(l->f.store, block, l->count, NULL) == CN_OK, "commit");
    if (!l->w->acknowledge_early)
        say(NOTE_BLOCK, last.height, &l->f.tip_digest);
    for (size_t i = 0; i < l->count; i++) {
        say(NOTE_DROPPED, 0, &block[i].digest);
        must(cn_safety_drop_body(l->journal, &block[i].digest, NULL) == CN_OK, "drop");
        fx_free(l->waiting[i]);
    }
    must(cn_safety_raise_floor(l->journal, 1, l->view, NULL) == CN_OK, "floor");
    l->count = 0;
    if (fx_random(&l->random) % 4 == 0) {
        uint64_t index = 2 + fx_random(&l->random) % (last.log_size - 2);
        bool fresh;
        must(cn_store_erase_items(l->f.store, index, 0, 1, &fresh, NULL) == CN_OK, "erase");
        say(NOTE_ERASED, index, NULL);
    }
    if (fx_random(&l->random) % 4 == 0)
        must(cn_store_put_certificate(l->f.store, last.height, CN_SPAN("another", 7), NULL) == CN_OK, "certificate");
}

_Noreturn static void live(life *l)
{
    while (l->f.tip.height < l->w->blocks) {
        while (fx_random(&l->random) % 4 == 0) {
            cn_safety_row row = {.epoch = 1, .view = ++l->view, .nullified = true};
            vote(l, NOTE_NULLIFIED, &row);
        }
        l->waiting[l->count] = fx_next(&l->f);
        vote_for(l, &l->waiting[l->count++]->block.digest);
        if (l->count == GROUP || fx_random(&l->random) % 2)
            commit(l);
    }
    _exit(0);
}

_Noreturn void workload_first_life(const workload *w)
{
    life *l = calloc(1, sizeof *l);
    char keys[80], journal[80], ledger[80];
    must(l != NULL, "memory");
    l->w = w;
    l->random.random = w->seed + 1;
    snprintf(keys, sizeof keys, "%s/keys", w->root);
    must(mkdir(keys, 0700) == 0, "mkdir");
    workload_journal_path(w->root, journal);
    workload_ledger_path(w->root, ledger);
    must(cn_safety_create(journal, workload_vote_key, NULL) == CN_OK, "create the journal");
    must(mkdir(ledger, 0700) == 0, "mkdir");
    fx_begin(&l->f, ledger, w->seed, true);
    l->f.options.map_size = WORKLOAD_MAP_BYTES;
    say(NOTE_CREATED, 0, NULL);
    must(cn_safety_open(journal, workload_vote_key, &l->journal, NULL) == CN_OK, "open the journal");
    fx_open(&l->f);
    live(l);
}

/* A node that starts signs again what its table holds, and tells its height: both count as having left. */
static void say_what_was_found(life *l)
{
    const cn_safety_row *row;
    const cn_safety_body *body;
    size_t rows = cn_safety_rows(l->journal, &row), bodies = cn_safety_bodies(l->journal, &body);
    say(NOTE_OPENED, 0, NULL);
    say(NOTE_BLOCK, l->f.tip.height, &l->f.tip_digest);
    l->view = cn_safety_floor_view(l->journal);
    for (size_t i = 0; i < rows; i++) {
        bool kept = false;
        for (size_t k = 0; k < bodies; k++)
            kept = kept || cn_digest_eq(&body[k].block, &row[i].block);
        if (row[i].nullified)
            say(NOTE_NULLIFIED, row[i].view, &row[i].block);
        if (row[i].finalized)
            say(NOTE_FINALIZED, row[i].view, &row[i].block);
        if (row[i].notarized)
            say(NOTE_NOTARIZED, row[i].view, &row[i].block);
        if (row[i].notarized && !kept)
            say(NOTE_DROPPED, 0, &row[i].block);
        l->view = row[i].view > l->view ? row[i].view : l->view;
    }
}

_Noreturn void workload_second_life(const workload *w)
{
    life *l = calloc(1, sizeof *l);
    char journal[80], ledger[80];
    must(l != NULL, "memory");
    l->w = w;
    l->random.random = w->seed + 2;
    workload_journal_path(w->root, journal);
    workload_ledger_path(w->root, ledger);
    fx_begin(&l->f, ledger, w->seed, false);
    l->f.options.map_size = WORKLOAD_MAP_BYTES;
    cn_store *store = NULL;
    cn_snapshot *snap = NULL;
    cn_tip tip;
    say(NOTE_OPENING, 0, NULL);
    must(cn_store_open(&l->f.options, &store, NULL) == CN_OK, "open the ledger");
    must(cn_snapshot_open(store, &snap, NULL) == CN_OK && cn_snapshot_tip(snap, &tip, NULL) == CN_OK, "tip");
    cn_snapshot_close(snap);
    cn_store_close(store);
    while (l->f.tip.height < tip.height)
        fx_free(fx_next(&l->f));
    fx_open(&l->f);
    must(cn_safety_open(journal, workload_vote_key, &l->journal, NULL) == CN_OK, "open the journal");
    say_what_was_found(l);
    live(l);
}
