/* carnet bench: a network of its own, load signed beforehand, and the machine's limits measured in the same run, so
 * that ratios hold on any machine. Nothing here fails on time. */
#include "proto/state.h"
#include "storage/safety.h"
#include "tools/cli/device.h"
#include "tools/cli/signer.h"
#include "tools/cli/testnet.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KEYS 32u
#define GROUP 40u /* statements a request */

typedef struct bench {
    testnet *net;
    cli_device key[KEYS];
    uint64_t singles, batches, lights;
} bench;

typedef struct figures {
    double verify_per_s, hash_per_s, sync_per_s;
    double single_per_s, share_of_limit, batch_readings_per_s, p50_ms, p99_ms;
} figures;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the machine ---- */

static double rate_of(void (*once)(void *), void *ctx)
{
    double begin = seconds(), now = begin;
    uint64_t n = 0;
    while (now < begin + 0.5) {
        for (int i = 0; i < 16; i++)
            once(ctx);
        n += 16;
        now = seconds();
    }
    return (double)n / (now - begin);
}

typedef struct verify_case {
    cn_public_key key;
    cn_digest digest;
    cn_signature signature;
} verify_case;

static void verify_once(void *ctx)
{
    const verify_case *c = ctx;
    CN_ASSERT(cn_verify(&c->key, &c->digest, c->signature.b));
}

static void hash_once(void *ctx)
{
    *(cn_digest *)ctx = cn_sha256(ctx, 32);
}

static void sync_once(void *ctx)
{
    static uint64_t view;
    cn_safety_row row = {.epoch = 1, .view = ++view, .nullified = true};
    CN_ASSERT(cn_safety_put_row(ctx, &row, NULL) == CN_OK && cn_safety_sync(ctx, NULL) == CN_OK);
}

static void measure_machine(const bench *b, figures *f)
{
    verify_case c = {.key = b->key[0].file.key.public_key};
    char path[4200];
    cn_safety *journal = NULL;
    c.digest = cn_sha256("bench", 5);
    CN_ASSERT(cn_sign(&b->key[0].file.key, &c.digest, &c.signature, NULL) == CN_OK);
    f->verify_per_s = rate_of(verify_once, &c);
    f->hash_per_s = rate_of(hash_once, &c.digest);
    snprintf(path, sizeof path, "%s/sync.journal", b->net->dir);
    if (cn_safety_create(path, c.key.b, NULL) == CN_OK && cn_safety_open(path, c.key.b, &journal, NULL) == CN_OK)
        f->sync_per_s = rate_of(sync_once, journal);
    cn_safety_close(journal);
    unlink(path);
}

/* ---- load ---- */

/* A share of the load: requests made beforehand, posted by one thread to one node. */
typedef struct lane {
    const char *api;
    size_t groups;
    cli_group *group;
    cn_status st;
    cn_err err;
    pthread_t thread;
} lane;

static void *run_lane(void *arg)
{
    lane *l = arg;
    for (size_t i = 0; i < l->groups && l->st == CN_OK; i++) {
        json_t *answer = NULL;
        l->st = cli_group_post(l->api, &l->group[i], i + 1 == l->groups, &answer, &l->err);
        json_decref(answer);
    }
    return NULL;
}

static cn_status fill_lane(bench *b, lane *l, unsigned which, unsigned lanes, uint64_t statements, unsigned readings,
                           unsigned group)
{
    uint64_t left = statements / lanes;
    l->api = b->net->node[which % b->net->count].api;
    l->groups = (size_t)((left + group - 1) / group);
    l->group = calloc(l->groups, sizeof *l->group);
    CN_ASSERT(l->group);
    for (size_t g = 0; g < l->groups && l->st == CN_OK; g++) {
        size_t count = left < group ? (size_t)left : group;
        l->group[g].count = count;
        l->group[g].statement = calloc(count, sizeof *l->group[g].statement);
        CN_ASSERT(l->group[g].statement);
        left -= count;
        for (size_t i = 0; i < count && l->st == CN_OK;
             i++) { /* the keys of this lane only: their chains are its own */
            unsigned key = (unsigned)(which + lanes * (i % (KEYS / lanes)));
            cn_buf_init(&l->group[g].statement[i], CN_MAX_STATEMENT_BYTES);
            l->st = cli_device_sign(&b->key[key], NULL, readings, &l->group[g].statement[i], &l->err);
        }
    }
    return l->st;
}

/* Statements a second, from the first post until the last is final. */
static cn_status measure_load(bench *b, uint64_t statements, unsigned readings, unsigned group, double *ret_per_s,
                              cn_err *err)
{
    enum { LANES = 8 };
    lane l[LANES] = {0};
    cn_status st = CN_OK;
    for (unsigned i = 0; i < LANES && st == CN_OK; i++)
        st = fill_lane(b, &l[i], i, LANES, statements, readings, group);
    double begin = seconds();
    for (unsigned i = 0; i < LANES && st == CN_OK; i++)
        CN_ASSERT(pthread_create(&l[i].thread, NULL, run_lane, &l[i]) == 0);
    for (unsigned i = 0; i < LANES; i++) {
        if (st == CN_OK)
            pthread_join(l[i].thread, NULL);
        if (l[i].st != CN_OK)
            *err = l[i].err;
    }
    *ret_per_s = (double)(statements / LANES * LANES) / (seconds() - begin);
    for (unsigned i = 0; i < LANES; i++) {
        st = st == CN_OK ? l[i].st : st;
        for (size_t g = 0; g < l[i].groups; g++)
            cli_group_free(&l[i].group[g]);
        free(l[i].group);
    }
    return st;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One statement at a time, each until it is final. */
static cn_status measure_light(bench *b, figures *f, cn_err *err)
{
    double *ms = calloc(b->lights, sizeof *ms);
    cn_status st = CN_OK;
    CN_ASSERT(ms);
    for (uint64_t i = 0; i < b->lights && st == CN_OK; i++) {
        cn_buf bytes;
        json_t *answer = NULL;
        cn_buf_init(&bytes, CN_MAX_STATEMENT_BYTES);
        st = cli_device_sign(&b->key[i % KEYS], NULL, 1, &bytes, err);
        cli_group g = {.count = 1, .statement = &bytes};
        double begin = seconds();
        if (st == CN_OK)
            st = cli_group_post(b->net->node[i % b->net->count].api, &g, true, &answer, err);
        ms[i] = (seconds() - begin) * 1e3;
        json_decref(answer);
        cn_buf_free(&bytes);
    }
    qsort(ms, b->lights, sizeof *ms, by_value);
    f->p50_ms = ms[b->lights / 2];
    f->p99_ms = ms[b->lights * 99 / 100];
    free(ms);
    return st;
}

/* ---- the network ---- */

static cn_status register_keys(bench *b, cn_err *err)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/keys/capture.key", b->net->node[0].dir);
    cn_status st = cli_devices_register(b->net->node[0].api, path, KEYS, b->key, err);
    if (st == CN_OK)
        sleep(2); /* all nodes know the keys: a checkpoint has passed */
    return st;
}

static cn_status run_all(bench *b, figures *f, cn_err *err)
{
    cn_status st = register_keys(b, err);
    double batches = 0;
    if (st == CN_OK)
        measure_machine(b, f);
    if (st == CN_OK)
        st = measure_light(b, f, err);
    if (st == CN_OK)
        st = measure_load(b, b->singles, 1, GROUP, &f->single_per_s, err);
    if (st == CN_OK)
        st = measure_load(b, b->batches, 100, 8, &batches, err);
    f->batch_readings_per_s = batches * 100;
    /* every node verifies every statement once; the machine's cores share that */
    double limit = f->verify_per_s * (double)sysconf(_SC_NPROCESSORS_ONLN) / b->net->count;
    f->share_of_limit = limit > 0 ? f->single_per_s / limit : 0;
    return st;
}

static int print_figures(const figures *f, unsigned nodes, bool as_json)
{
    if (as_json) {
        cli_print_json(json_pack("{s:i, s:{s:f, s:f, s:f}, s:{s:f, s:f}, s:{s:f}, s:{s:f, s:f}}", "nodes", (int)nodes,
                                 "machine", "verify_per_s", f->verify_per_s, "hash_per_s", f->hash_per_s, "sync_per_s",
                                 f->sync_per_s, "single", "statements_per_s", f->single_per_s, "share_of_limit",
                                 f->share_of_limit, "batch100", "readings_per_s", f->batch_readings_per_s, "light",
                                 "p50_ms", f->p50_ms, "p99_ms", f->p99_ms));
        return EXIT_GOOD;
    }
    printf("machine: one core verifies %.0f signatures/s (secp256k1), hashes %.0f times/s (32 bytes), syncs %.0f "
           "times/s\n",
           f->verify_per_s, f->hash_per_s, f->sync_per_s);
    printf("%u nodes and this client on the same machine, every statement final on a quorum's disks:\n", nodes);
    printf("  single-event statements   %8.0f /s   %.0f%% of the signature limit (verify rate x cores / nodes)\n",
           f->single_per_s, 100 * f->share_of_limit);
    printf("  readings in batches of 100 %7.0f /s\n", f->batch_readings_per_s);
    printf("  light load, submit to final   p50 %.2f ms, p99 %.2f ms\n", f->p50_ms, f->p99_ms);
    return EXIT_GOOD;
}

int cmd_bench(int argc, char **argv)
{
    cli_option options[] = {{"--singles", false, false, "single-event statements (default 8000)", NULL},
                            {"--batches", false, false, "statements of 100 readings (default 4000)", NULL},
                            {"--lights", false, false, "statements one at a time (default 300)", NULL},
                            {"--base-port", false, false, "first of two ports a node (default 18400)", NULL},
                            {"--json", true, false, "print JSON", NULL},
                            {0}};
    cli_args args;
    int status;
    uint64_t port;
    char dir[] = "/tmp/carnet-bench-XXXXXX";
    bench *b = calloc(1, sizeof *b);
    figures f = {0};
    cn_err err = {0};
    if (!b)
        return cli_say(EXIT_NO, "out of memory");
    if (!cli_parse(argc, argv, "bench [--json]", options, &args, &status)) {
        free(b);
        return status;
    }
    if (!cli_number(&args, "--singles", 8000, 8, 10000000, &b->singles) ||
        !cli_number(&args, "--batches", 4000, 8, 1000000, &b->batches) ||
        !cli_number(&args, "--lights", 300, 1, 100000, &b->lights) ||
        !cli_number(&args, "--base-port", 18400, 1024, 65000, &port)) {
        free(b);
        return EXIT_USE;
    }
    b->net = calloc(1, sizeof *b->net);
    cn_status st = b->net && mkdtemp(dir) ? CN_OK : cn_fail(&err, CN_IO, dir, "cannot make a folder");
    testnet_plan plan = {.dir = dir, .nodes = 4, .base_port = (unsigned)port, .checkpoint_ms = 1000};
    if (st == CN_OK)
        st = testnet_init(&plan, &err);
    if (st == CN_OK)
        st = testnet_load(dir, b->net, &err);
    for (unsigned i = 0; st == CN_OK && i < b->net->count; i++)
        st = testnet_start(&b->net->node[i], &err);
    if (st == CN_OK)
        st = run_all(b, &f, &err);
    unsigned nodes = b->net ? b->net->count : 0;
    for (unsigned i = 0; i < nodes; i++)
        (void)testnet_stop(&b->net->node[i], false, NULL);
    if (nodes)
        (void)testnet_remove(b->net, NULL);
    for (unsigned i = 0; i < KEYS; i++)
        cn_key_file_wipe(&b->key[i].file);
    free(b->net);
    free(b);
    return st == CN_OK ? print_figures(&f, nodes, cli_flag(&args, "--json")) : cli_complain(EXIT_NO, &err);
}
