/* The power fails after each thing that a node asked of its disk, and whatever was not synced is lost, wholly or in
 * part. The node opens what is found: nothing that had left it is missing, no conflicting vote is possible, fsck is
 * clean, and it goes on. CARNET_POWER_POINTS: how many crash points (default 2,500); CARNET_POWER_SEED: the first
 * workload. The meta-test takes single syncs away, and demands that each loss is seen. */
#include "consensus/core.h"
#include "storage/safety.h"
#include "tests/power/disk.h"
#include "tests/power/workload.h"
#include "tests/unit/storage/fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCKS 24
#define LEFT_MAX 1024

typedef enum mutation {
    NO_MUTATION,
    JOURNAL_NOT_SYNCED,
    LEDGER_NOT_SYNCED,  /* as with MDB_NOSYNC */
    PAGES_NOT_SYNCED,   /* the meta page may be there before the pages */
    META_NOT_SYNCED,    /* as with MDB_NOMETASYNC */
    FOLDERS_NOT_SYNCED, /* when ledger and journal are made */
    RENAME_NOT_SYNCED,  /* the folder, when the journal is rewritten */
    REWRITE_NOT_SYNCED, /* the journal's new file is renamed before its bytes are durable */
    OPENING_NOT_SYNCED, /* what a killed process left is believed as it is found */
    ACKNOWLEDGED_EARLY,
    VOTED_EARLY,
    MUTATIONS,
} mutation;

static const char *const mutation_names[] = {"none",
                                             "journal not synced",
                                             "ledger not synced",
                                             "ledger pages not synced",
                                             "ledger meta page not synced",
                                             "folders of new files not synced",
                                             "rename of the journal not synced",
                                             "rewritten journal not synced",
                                             "nothing synced at opening",
                                             "acknowledged before the commit",
                                             "voted before the sync"};

/* What has left the process so far. */
typedef struct left {
    bool created, opening;
    uint64_t height;
    size_t count;
    struct {
        note n;
        bool dropped;
    } v[LEFT_MAX];
} left;

typedef struct run {
    uint64_t seed, points, limit, order;
    mutation mutation;
    char root[64], image[64];
    uint8_t *log;
    size_t log_n;
    fx chain;
    fx_block *block[BLOCKS + 4];
    left left;
    char fault[600]; /* the first; empty: none */
} run;

static bool failed(run *r, const char *what, const cn_err *err)
{
    if (!r->fault[0])
        snprintf(r->fault, sizeof r->fault, "%s%s%s %s", what, err ? ": " : "", err ? err->field : "",
                 err ? err->text : "");
    return false;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    return at->level == 0 ? 0 : remove(path);
}

static void empty_folder(const char *path)
{
    cr_assert_eq(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- the workload's processes ---- */

static bool one_life(run *r, bool first, uint64_t lifetime, int log)
{
    workload w = {.seed = r->seed, .blocks = BLOCKS};
    int status = 0;
    snprintf(w.root, sizeof w.root, "%s", r->root);
    w.acknowledge_early = r->mutation == ACKNOWLEDGED_EARLY;
    w.vote_early = r->mutation == VOTED_EARLY;
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        power_start(w.root, log, lifetime);
        if (first)
            workload_first_life(&w);
        workload_second_life(&w);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    cr_assert(killed ? lifetime > 0 : WIFEXITED(status) && WEXITSTATUS(status) == 0,
              "seed %llu: life %d of the workload ended with status %x", (unsigned long long)r->seed, first ? 1 : 2,
              (unsigned)status);
    return killed;
}

/* Two of three workloads are killed once, one of them between the rename and the sync of a rewritten journal, and
 * continue on what the kernel still holds. */
static void record(run *r)
{
    char path[80];
    struct stat info;
    fx random = {.random = r->seed + 3};
    snprintf(path, sizeof path, "%s.log", r->root);
    int log = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    cr_assert_geq(log, 0);
    (void)unlink(path);
    uint64_t lifetime = r->seed % 3 == 0 ? 0 : r->seed % 3 == 1 ? 60 + fx_random(&random) % 400 : POWER_TO_RENAME;
    if (one_life(r, true, lifetime, log))
        (void)one_life(r, false, 0, log);
    cr_assert_eq(fstat(log, &info), 0);
    r->log_n = (size_t)info.st_size;
    r->log = malloc(r->log_n + 1);
    cr_assert(r->log && pread(log, r->log, r->log_n, 0) == info.st_size);
    close(log);
}

/* ---- what must be there ---- */

static void note_left(left *l, const note *n)
{
    switch ((note_kind)n->kind) {
    case NOTE_CREATED:
        l->created = true;
        break;
    case NOTE_OPENING:
    case NOTE_OPENED:
        l->opening = n->kind == NOTE_OPENING;
        break;
    case NOTE_BLOCK:
        l->height = n->number > l->height ? n->number : l->height;
        break;
    case NOTE_DROPPED:
        for (size_t i = 0; i < l->count; i++)
            l->v[i].dropped = l->v[i].dropped || cn_digest_eq(&l->v[i].n.block, &n->block);
        break;
    default:
        cr_assert_lt(l->count, LEFT_MAX);
        l->v[l->count].n = *n;
        l->v[l->count++].dropped = false;
        break;
    }
}

static bool conflicts_refused(const cn_consensus *c, const note *n)
{
    cn_digest other = cn_sha256("another block", 13);
    switch ((note_kind)n->kind) {
    case NOTE_NOTARIZED:
        return !cn_may_sign(c, CN_NOTARIZE, n->number, &other);
    case NOTE_NULLIFIED: /* R4, and no first vote for a block either, whatever was notarized */
        return !cn_may_sign(c, CN_FINALIZE, n->number, &n->block) && !cn_may_sign(c, CN_NOTARIZE, n->number, &other);
    default:
        return !cn_may_sign(c, CN_NULLIFY, n->number, &n->block) && !cn_may_sign(c, CN_NOTARIZE, n->number, &other) &&
               !cn_may_sign(c, CN_FINALIZE, n->number, &other);
    }
}

static bool row_is_there(const cn_safety_row *row, size_t count, const note *n)
{
    for (size_t i = 0; i < count; i++)
        if (row[i].view == n->number)
            return n->kind == NOTE_NULLIFIED ? row[i].nullified
                                             : cn_digest_eq(&row[i].block, &n->block) &&
                                                   (n->kind == NOTE_NOTARIZED ? row[i].notarized : row[i].finalized);
    return false;
}

static bool body_is_there(const cn_safety *s, const cn_digest *block)
{
    uint8_t bytes[4096];
    const cn_safety_body *body;
    size_t count = cn_safety_bodies(s, &body), n = workload_body(block, bytes);
    for (size_t i = 0; i < count; i++)
        if (cn_digest_eq(&body[i].block, block) && body[i].bytes.n == n && memcmp(body[i].bytes.p, bytes, n) == 0)
            return true;
    return false;
}

/* Who has signed finalize can show why (docs/consensus.md). */
static bool notarization_is_there(const cn_safety *s, const note *n)
{
    const cn_safety_certificate *cert;
    size_t count = cn_safety_certificates(s, &cert);
    for (size_t i = 0; i < count; i++)
        if (cert[i].view == n->number && cert[i].bytes.n == CN_DIGEST_LEN &&
            memcmp(cert[i].bytes.p, n->block.b, CN_DIGEST_LEN) == 0)
            return true;
    return false;
}

static void no_signature(void *ctx, const cn_digest *digest, cn_signature *ret)
{
    (void)ctx;
    (void)digest;
    memset(ret, 0, sizeof *ret);
}

/* The core as the daemon starts it from the journal. */
static cn_consensus *core_of(const cn_safety *s, const cn_safety_row *row, size_t rows)
{
    cn_sign_row *sign = calloc(rows + 1, sizeof *sign);
    cr_assert_not_null(sign);
    for (size_t i = 0; i < rows; i++)
        sign[i] = (cn_sign_row){row[i].epoch,     row[i].view,      row[i].notarized,
                                row[i].nullified, row[i].finalized, row[i].block};
    cn_consensus_config cfg = {.epoch = 1,
                               .n = 4,
                               .self = 1,
                               .crypto = {.sign = no_signature},
                               .delay_floor_ms = 100,
                               .delay_cap_ms = 30000,
                               .checkpoint_interval_ms = 1000,
                               .heartbeat_ms = 1000,
                               .may_vote = true,
                               .floor_view = cn_safety_floor_view(s),
                               .row_count = rows,
                               .row = sign};
    cn_consensus *c = cn_consensus_new(&cfg, 1);
    free(sign);
    return c;
}

static bool check_votes(run *r, const cn_safety *s)
{
    const cn_safety_row *row;
    size_t rows = cn_safety_rows(s, &row);
    uint64_t floor = cn_safety_floor_view(s);
    cn_consensus *core = core_of(s, row, rows);
    bool ok = true;
    for (size_t i = 0; i < r->left.count && ok; i++) {
        const note *n = &r->left.v[i].n;
        if (n->kind == NOTE_ERASED)
            continue;
        if (!conflicts_refused(core, n))
            ok = failed(r, "a vote that conflicts with one that left would be signed", NULL);
        else if (n->number > floor && !row_is_there(row, rows, n))
            ok = failed(r, "a vote left and is not in the table", NULL);
        else if (n->kind == NOTE_FINALIZED && n->number > floor && !notarization_is_there(s, n))
            ok = failed(r, "a finalize vote left and the notarization is lost", NULL);
        else if (n->kind == NOTE_NOTARIZED && !r->left.v[i].dropped && !body_is_there(s, &n->block))
            ok = failed(r, "the body of a block that was voted for is lost", NULL);
    }
    cn_consensus_free(core);
    return ok;
}

static bool check_journal(run *r)
{
    char path[80];
    cn_err err = {0};
    cn_safety *s = NULL;
    workload_journal_path(r->image, path);
    if (cn_safety_open(path, workload_vote_key, &s, &err) != CN_OK)
        return failed(r, "the journal does not open", &err);
    cn_safety_row row = {.epoch = 1, .view = 1u << 20, .nullified = true};
    bool ok = check_votes(r, s);
    if (ok && (cn_safety_put_row(s, &row, &err) != CN_OK || cn_safety_sync(s, &err) != CN_OK))
        ok = failed(r, "the journal does not go on", &err);
    cn_safety_close(s);
    if (ok && cn_safety_open(path, workload_vote_key, &s, &err) != CN_OK)
        return failed(r, "the journal does not open again", &err);
    const cn_safety_row *found;
    size_t rows = ok ? cn_safety_rows(s, &found) : 0;
    if (ok && (rows == 0 || found[rows - 1].view != row.view))
        ok = failed(r, "a row that was synced after the power loss is not there", NULL);
    if (ok)
        cn_safety_close(s);
    return ok;
}

static void fsck_line(void *ctx, bool fault, const char *text)
{
    if (fault)
        failed(ctx, text, NULL);
}

static bool check_blocks(run *r, cn_snapshot *snap, const cn_tip *tip)
{
    if (tip->height < r->left.height)
        return failed(r, "an acknowledged block is lost", NULL);
    if (tip->height > BLOCKS + 3 || (tip->height && !cn_digest_eq(&tip->digest, &r->block[tip->height]->block.digest)))
        return failed(r, "the tip is none of the chain's blocks", NULL);
    for (uint64_t h = 1; h <= r->left.height; h++)
        for (size_t i = 0; i < r->block[h]->block.statement_count; i++) {
            const cn_commit_statement *s = &r->block[h]->statement[i];
            uint64_t index = 0, first = 0;
            uint32_t count = 0;
            if (cn_snapshot_find_id(snap, &s->id, &index, NULL) != CN_OK ||
                cn_snapshot_block_statements(snap, h, &first, &count, NULL) != CN_OK || index != first + i)
                return failed(r, "an acknowledged statement is lost", NULL);
        }
    for (size_t i = 0; i < r->left.count; i++) {
        cn_stored_statement s;
        if (r->left.v[i].n.kind == NOTE_ERASED &&
            (cn_snapshot_statement(snap, r->left.v[i].n.number, &s, NULL) != CN_OK || !s.erased))
            return failed(r, "items that were erased are back", NULL);
    }
    return true;
}

/* The next block of the chain; a checkpoint's map belongs to another process, so an empty block takes its place. */
static bool goes_on(run *r, cn_store *store, const cn_tip *tip)
{
    cn_err err = {0};
    cn_commit_block block = r->block[tip->height + 1]->block;
    if (block.map) {
        memset(&block, 0, sizeof block);
        block.header = tip->header;
        block.header.kind = CN_BLOCK_NORMAL;
        block.header.height = tip->height + 1;
        block.header.time_ms += 100;
        block.header.parent = tip->digest;
        block.header.body = cn_body_digest(NULL, 0);
        block.digest = cn_header_digest(&block.header);
    }
    return cn_store_commit(store, &block, 1, &err) == CN_OK || failed(r, "the ledger does not go on", &err);
}

static bool check_ledger(run *r)
{
    char path[80];
    cn_err err = {0};
    cn_fsck_report report = {0};
    cn_store *store = NULL;
    cn_snapshot *snap = NULL;
    cn_tip tip;
    workload_ledger_path(r->image, path);
    cn_store_options options = {.dir = path, .map_size = WORKLOAD_MAP_BYTES};
    if (cn_store_fsck(&options, r->chain.salt, fsck_line, r, &report, &err) != CN_OK)
        return failed(r, "fsck", &err);
    if (report.faults)
        return false;
    if (cn_store_open(&options, &store, &err) != CN_OK)
        return failed(r, "the ledger does not open", &err);
    bool ok = (cn_snapshot_open(store, &snap, &err) == CN_OK && cn_snapshot_tip(snap, &tip, &err) == CN_OK) ||
              failed(r, "no tip", &err);
    ok = ok && check_blocks(r, snap, &tip);
    cn_snapshot_close(snap);
    ok = ok && goes_on(r, store, &tip);
    cn_store_close(store);
    return ok;
}

/* ---- crash points ---- */

static void crash(run *r, disk *d, power_loss loss)
{
    uint64_t seed = r->seed * 1000003 + r->order * 16 + (uint64_t)loss;
    char where[128];
    r->points++;
    disk_image(d, loss, seed, r->image);
    if (r->left.created && !(check_journal(r) && check_ledger(r))) {
        snprintf(where, sizeof where, " (CARNET_POWER_SEED=%llu, after record %llu, loss %d)",
                 (unsigned long long)r->seed, (unsigned long long)r->order, (int)loss);
        strncat(r->fault, where, sizeof r->fault - strlen(r->fault) - 1);
    }
    empty_folder(r->image);
}

/* Creation keeps its syncs of bytes: what runs for years is to be caught, not the first minute. */
static bool taken_away(const run *r, disk *d, const power_head *op)
{
    if (op->kind == POWER_SYNC_DIR)
        return (r->mutation == FOLDERS_NOT_SYNCED && !r->left.created) ||
               (r->mutation == RENAME_NOT_SYNCED && r->left.created) ||
               (r->mutation == OPENING_NOT_SYNCED && r->left.opening);
    if ((op->kind != POWER_SYNC && op->kind != POWER_SYNC_WRITE) || !r->left.created)
        return false;
    const char *name = disk_name(d, op->file);
    bool ledger = strcmp(name, "data/data.mdb") == 0;
    switch (r->mutation) {
    case JOURNAL_NOT_SYNCED:
        return strcmp(name, "keys/safety") == 0;
    case REWRITE_NOT_SYNCED:
        return strcmp(name, "keys/safety.new") == 0;
    case LEDGER_NOT_SYNCED:
        return ledger;
    case PAGES_NOT_SYNCED:
        return ledger && op->kind == POWER_SYNC;
    case META_NOT_SYNCED:
        return ledger && op->kind == POWER_SYNC_WRITE;
    case OPENING_NOT_SYNCED:
        return r->left.opening;
    default:
        return false;
    }
}

static bool same_file(const char *a, const char *b)
{
    FILE *f = fopen(a, "re"), *g = fopen(b, "re");
    int x = 0, y = 0;
    while (f && g && x == y && x != EOF) {
        x = fgetc(f);
        y = fgetc(g);
    }
    bool same = f && g && x == y;
    if (f)
        fclose(f);
    if (g)
        fclose(g);
    return same;
}

/* The model saw every byte: with nothing lost it shows the files as the workload left them. */
static void check_model(run *r, disk *d)
{
    static const char *const names[] = {"keys/safety", "data/data.mdb"};
    disk_image(d, LOSS_NONE, 0, r->image);
    for (size_t i = 0; i < 2; i++) {
        char a[128], b[128];
        snprintf(a, sizeof a, "%s/%s", r->root, names[i]);
        snprintf(b, sizeof b, "%s/%s", r->image, names[i]);
        cr_assert(same_file(a, b), "seed %llu: the model of the disk differs from the disk in %s",
                  (unsigned long long)r->seed, names[i]);
    }
    empty_folder(r->image);
}

static void crash_everywhere(run *r)
{
    disk *d = disk_new();
    size_t at = 0;
    for (r->order = 1; at < r->log_n && r->points < r->limit && !r->fault[0]; r->order++) {
        power_head op;
        memcpy(&op, r->log + at, sizeof op);
        const uint8_t *bytes = r->log + at + sizeof op;
        disk_apply(d, &op, bytes, taken_away(r, d, &op));
        at += sizeof op + op.n;
        if (op.kind == POWER_NOTE) {
            note n;
            cr_assert_eq(op.n, sizeof n);
            memcpy(&n, bytes, sizeof n);
            note_left(&r->left, &n);
        }
        for (int loss = 0; loss < LOSS_KINDS && r->points < r->limit && !r->fault[0]; loss++)
            if (loss == LOSS_ALL || disk_pending(d) > 0)
                crash(r, d, (power_loss)loss);
    }
    if (at == r->log_n && r->mutation == NO_MUTATION && !r->fault[0])
        check_model(r, d);
    disk_free(d);
}

static void make_chain(run *r)
{
    char path[80];
    workload_ledger_path(r->image, path);
    fx_begin(&r->chain, path, r->seed, false);
    for (size_t h = 1; h < BLOCKS + 4; h++) {
        r->block[h] = fx_next(&r->chain);
        r->block[h]->block.statement = r->block[h]->statement;
        r->block[h]->block.row = r->block[h]->row;
    }
}

typedef struct outcome {
    uint64_t points;
    char fault[600];
} outcome;

_Noreturn static void run_and_tell(run *r, int to)
{
    outcome o = {0};
    if (r->mutation != NO_MUTATION) { /* expected to die: without the report of a sanitizer */
        (void)signal(SIGBUS, SIG_DFL);
        (void)signal(SIGSEGV, SIG_DFL);
    }
    make_chain(r);
    record(r);
    crash_everywhere(r);
    o.points = r->points;
    memcpy(o.fault, r->fault, sizeof o.fault);
    _exit(write(to, &o, sizeof o) == (ssize_t)sizeof o ? 0 : 4);
}

/* One workload, crashed after each of its records until the limit. In a process of its own: production code that dies
 * of what it finds (LMDB maps the file, and a page behind its end is a bus error) is a fault like others. */
static outcome power_run(uint64_t seed, mutation m, uint64_t limit)
{
    outcome o = {0};
    int ends[2], status = 0;
    run *r = calloc(1, sizeof *r);
    cr_assert(r && pipe(ends) == 0);
    r->seed = seed;
    r->mutation = m;
    r->limit = limit;
    fx_directory_in_memory(r->root);
    fx_directory_in_memory(r->image);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        run_and_tell(r, ends[1]);
    close(ends[1]);
    bool told = read(ends[0], &o, sizeof o) == (ssize_t)sizeof o;
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    empty_folder(r->root);
    empty_folder(r->image);
    rmdir(r->root);
    rmdir(r->image);
    free(r);
    if (!told && WIFSIGNALED(status) && (WTERMSIG(status) == SIGBUS || WTERMSIG(status) == SIGSEGV))
        snprintf(o.fault, sizeof o.fault, "ended by signal %d (CARNET_POWER_SEED=%llu)", WTERMSIG(status),
                 (unsigned long long)seed);
    else
        cr_assert(told, "seed %llu: the run ended with status %x", (unsigned long long)seed, (unsigned)status);
    return o;
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

Test(power, nothing_that_left_is_lost, .timeout = 7200)
{
    uint64_t wanted = number_from("CARNET_POWER_POINTS", 2500), seed = number_from("CARNET_POWER_SEED", 1);
    uint64_t points = 0, workloads = 0;
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    while (points < wanted) {
        outcome o = power_run(seed++, NO_MUTATION, wanted - points);
        points += o.points;
        workloads++;
        cr_assert(o.fault[0] == '\0', "%s", o.fault);
    }
    clock_gettime(CLOCK_MONOTONIC, &t1);
    double s = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) * 1e-9;
    printf("%llu crash points in %llu workloads, %.0f a second: nothing that left is lost\n",
           (unsigned long long)points, (unsigned long long)workloads, (double)points / s);
}

Test(power, each_missing_sync_is_caught, .timeout = 7200)
{
    for (int m = NO_MUTATION + 1; m < MUTATIONS; m++) {
        uint64_t points = 0;
        outcome o = {0};
        for (uint64_t seed = 1; seed <= 12 && !o.fault[0]; seed++) {
            o = power_run(seed, (mutation)m, UINT64_MAX);
            points += o.points;
        }
        cr_expect(o.fault[0] != '\0', "%s: %llu points passed", mutation_names[m], (unsigned long long)points);
        printf("%s: caught at point %llu: %s\n", mutation_names[m], (unsigned long long)points, o.fault);
    }
}
