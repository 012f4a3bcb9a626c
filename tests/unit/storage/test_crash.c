/* kill -9 at random moments of committing: what was acknowledged is there, fsck is clean, the chain goes on.
 * CARNET_CRASH_SECONDS lengthens it. (What a power loss drops is shown in tests/power.) */
#include "fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Makes the chain again up to the stored tip; the map then comes from the store. */
static void catch_up(fx *f, uint64_t height)
{
    while (f->tip.height < height)
        fx_free(fx_next(f));
    fx_open(f);
}

static void writer(const char *dir, uint64_t height, int acknowledge)
{
    fx f;
    fx_begin(&f, dir, 77, false);
    catch_up(&f, height);
    for (;;) {
        fx_block *b[3];
        cn_commit_block block[3];
        size_t n = 1 + f.tip.height % 3; /* several blocks share a transaction */
        for (size_t i = 0; i < n; i++) {
            b[i] = fx_next(&f);
            b[i]->block.statement = b[i]->statement;
            b[i]->block.row = b[i]->row;
            block[i] = b[i]->block;
        }
        if (cn_store_commit(f.store, block, n, NULL) != CN_OK)
            _exit(3);
        if (write(acknowledge, &f.tip.height, sizeof f.tip.height) != sizeof f.tip.height)
            _exit(4);
        for (size_t i = 0; i < n; i++)
            fx_free(b[i]);
    }
}

/* Runs a writer for the given time, kills it, returns the last height that it acknowledged. */
static uint64_t run_and_kill(const char *dir, uint64_t height, uint64_t after_us)
{
    int ends[2], status = 0;
    uint64_t acknowledged = height, got = 0;
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        close(ends[0]);
        writer(dir, height, ends[1]);
        _exit(5);
    }
    close(ends[1]);
    cr_assert_eq(read(ends[0], &acknowledged, sizeof acknowledged), (ssize_t)sizeof acknowledged,
                 "the writer never committed");
    struct timespec wait = {0, (long)after_us * 1000};
    nanosleep(&wait, NULL);
    cr_assert_eq(kill(child, SIGKILL), 0);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    cr_assert(WIFSIGNALED(status), "the writer ended by itself with %d", WEXITSTATUS(status));
    while (read(ends[0], &got, sizeof got) == (ssize_t)sizeof got)
        acknowledged = got;
    close(ends[0]);
    return acknowledged;
}

Test(crash, nothing_acknowledged_is_lost)
{
    const char *more = getenv("CARNET_CRASH_SECONDS");
    double until = now() + (more ? atof(more) : 4.0);
    fx f, random = {.random = 5};
    char dir[64], text[4096];
    uint64_t height = 0, kills = 0;
    fx_directory(dir);
    fx_begin(&f, dir, 77, true);
    fx_end(&f);
    while (now() < until && height < 6000) {
        cn_store *store = NULL;
        cn_snapshot *snap = NULL;
        cn_tip tip;
        cn_err err = {0};
        uint64_t acknowledged = run_and_kill(dir, height, fx_random(&random) % 30000);
        cr_assert_eq(cn_store_open(&f.options, &store, &err), CN_OK, "%s: %s", err.field, err.text);
        cr_assert_eq(cn_snapshot_open(store, &snap, NULL), CN_OK);
        cr_assert_eq(cn_snapshot_tip(snap, &tip, NULL), CN_OK);
        cr_assert_geq(tip.height, acknowledged, "acknowledged blocks are lost");
        cr_assert_leq(tip.height, acknowledged + 3, "more than one transaction ahead of its acknowledgement");
        cn_snapshot_close(snap);
        cn_store_close(store);
        cr_assert_eq(fx_fsck(&f, text, sizeof text), 0, "%s", text);
        height = tip.height;
        kills++;
    }
    printf("killed %llu times, %llu blocks\n", (unsigned long long)kills, (unsigned long long)height);
    cr_assert_geq(kills, 3);
    fx_remove(dir);
}
