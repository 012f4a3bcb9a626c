/* load: writers that keep a history, for the scripts here.
 * Each writer owns a device key and posts one batch of readings at a time, waiting until it is final; a node that
 * refuses the connection or breaks it is left for the next one, with the same bytes, until some node says "final". What
 * was answered as final goes to the history, one line each: "<statement id> <log index> <height>". SIGTERM ends it
 * after the statements in hand; the summary goes to standard output. A statement that is not final within --patience
 * seconds ends it with status 1. */
#include "tools/cli/device.h"
#include "tools/cli/signer.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WRITERS_MAX 64u
#define NODES_MAX 16u
#define WAITS 20000u

typedef struct load load;

typedef struct writer {
    load *of;
    unsigned number;
    cli_device *device;
    uint64_t acknowledged, resent;
    double slowest_s;
    uint32_t waited[WAITS]; /* statements by how many ms they waited; the last one stands for longer */
    cn_status st;
    cn_err err;
    pthread_t thread;
} writer;

struct load {
    int nodes;
    char **api;
    uint64_t writers, per_s, batch, subjects, patience_s;
    FILE *history;
    pthread_mutex_t lock;
    cli_device device[WRITERS_MAX];
    writer writer[WRITERS_MAX];
};

static atomic_bool stopping;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stopping, true);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pause_for(double s)
{
    struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9)};
    if (s > 0)
        nanosleep(&t, NULL);
}

/* One answer of POST /v1/statements?wait=final: true when it says that the only statement is final. */
static bool note_final(writer *w, const json_t *answer)
{
    const json_t *one = json_array_get(answer, 0);
    const char *id = json_string_value(json_object_get(one, "id"));
    const char *status = json_string_value(json_object_get(one, "status"));
    if (!id || !status || strcmp(status, "final") != 0)
        return false;
    pthread_mutex_lock(&w->of->lock);
    fprintf(w->of->history, "%s %lld %lld\n", id, (long long)json_integer_value(json_object_get(one, "log_index")),
            (long long)json_integer_value(json_object_get(one, "height")));
    fflush(w->of->history);
    pthread_mutex_unlock(&w->of->lock);
    return true;
}

/* Posts the same bytes to one node after the other until they are final. */
static cn_status push(writer *w, const cli_group *g)
{
    double begin = seconds(), now = begin;
    for (uint64_t try = 0; now < begin + (double)w->of->patience_s; try++) {
        json_t *answer = NULL;
        const char *api = w->of->api[(w->number + try) % (uint64_t)w->of->nodes];
        cn_status st = cli_group_post(api, g, true, &answer, &w->err);
        bool is_final = st == CN_OK && note_final(w, answer);
        json_decref(answer);
        now = seconds();
        if (is_final) {
            w->waited[now - begin < WAITS / 1000.0 ? (size_t)((now - begin) * 1000) : WAITS - 1]++;
            w->slowest_s = now - begin > w->slowest_s ? now - begin : w->slowest_s;
            w->resent += try;
            w->acknowledged++;
            return CN_OK;
        }
        bool behind = st != CN_OK && strcmp(w->err.field, "body.key_id") == 0; /* another node has the key as final */
        if (st != CN_OK && st != CN_IO && st != CN_FULL && !behind)
            return st; /* refused: the load is well formed, so this is a finding */
        pause_for(0.05);
    }
    return cn_fail(&w->err, CN_IO, "statement", "not final after %.0f s at any node", now - begin);
}

static void *write_readings(void *arg)
{
    writer *w = arg;
    load *l = w->of;
    double interval = (double)l->writers / (double)l->per_s,
           next = seconds() + interval * w->number / (double)l->writers;
    while (!atomic_load(&stopping) && w->st == CN_OK) {
        char subject[96];
        cn_buf statement;
        cli_group g = {.count = 1, .statement = &statement};
        pause_for(next - seconds());
        next += interval;
        snprintf(subject, sizeof subject, "urn:carnet:test:load:%u:%llu", w->number,
                 (unsigned long long)(w->device->sequence % l->subjects));
        cn_buf_init(&statement, CN_MAX_STATEMENT_BYTES);
        w->st = cli_device_sign(w->device, subject, (unsigned)l->batch, &statement, &w->err);
        if (w->st == CN_OK)
            w->st = push(w, &g);
        cn_buf_free(&statement);
    }
    if (w->st != CN_OK)
        atomic_store(&stopping, true);
    return NULL;
}

/* All but one in a hundred waited less. */
static double percentile_99(const load *l, uint64_t acknowledged)
{
    uint64_t seen = 0;
    size_t ms = 0;
    while (ms < WAITS && seen * 100 < acknowledged * 99) {
        for (unsigned i = 0; i < l->writers; i++)
            seen += l->writer[i].waited[ms];
        ms++;
    }
    return (double)ms / 1000;
}

static int run(load *l)
{
    uint64_t acknowledged = 0, resent = 0;
    double slowest = 0, begin = seconds();
    int status = EXIT_GOOD;
    for (unsigned i = 0; i < l->writers; i++) {
        writer *w = &l->writer[i];
        w->of = l;
        w->number = i;
        w->device = &l->device[i];
        CN_ASSERT(pthread_create(&l->writer[i].thread, NULL, write_readings, &l->writer[i]) == 0);
    }
    for (unsigned i = 0; i < l->writers; i++) {
        writer *w = &l->writer[i];
        pthread_join(w->thread, NULL);
        acknowledged += w->acknowledged;
        resent += w->resent;
        slowest = w->slowest_s > slowest ? w->slowest_s : slowest;
        if (w->st != CN_OK)
            status = cli_complain(EXIT_NO, &w->err);
    }
    double p99 = percentile_99(l, acknowledged);
    printf("%llu statements of %llu readings final in %.0f s, %llu sent again, p99 %.2f s, slowest %.2f s\n",
           (unsigned long long)acknowledged, (unsigned long long)l->batch, seconds() - begin,
           (unsigned long long)resent, p99 < slowest ? p99 : slowest, slowest);
    return status;
}

int main(int argc, char **argv)
{
    cli_option options[] = {
        {"--key", false, true, "capture key of the member that registers the devices", NULL},
        {"--history", false, true, "file for what was answered as final", NULL},
        {"--writers", false, false, "device keys, each with one statement in flight (default 8)", NULL},
        {"--per-second", false, false, "statements a second of all writers (default 40)", NULL},
        {"--batch", false, false, "readings a statement (default 10)", NULL},
        {"--subjects", false, false, "consignments of each writer (default 100)", NULL},
        {"--patience", false, false, "seconds until a statement must be final (default 120)", NULL},
        {0}};
    static load l;
    cli_args args;
    cn_err err = {0};
    int status;
    if (!cli_parse(argc - 1, argv + 1, "--key FILE --history FILE API...", options, &args, &status))
        return status;
    if (args.count < 1 || args.count > (int)NODES_MAX ||
        !cli_number(&args, "--writers", 8, 1, WRITERS_MAX, &l.writers) ||
        !cli_number(&args, "--per-second", 40, 1, 100000, &l.per_s) ||
        !cli_number(&args, "--batch", 10, 1, CLI_DEVICE_READINGS_MAX, &l.batch) ||
        !cli_number(&args, "--subjects", 100, 1, 1000000, &l.subjects) ||
        !cli_number(&args, "--patience", 120, 1, 100000, &l.patience_s))
        return EXIT_USE;
    l.nodes = args.count;
    l.api = args.positional;
    if (!(l.history = fopen(cli_value(&args, "--history"), "a")))
        return cli_say(EXIT_USE, "%s cannot be written", cli_value(&args, "--history"));
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    pthread_mutex_init(&l.lock, NULL);
    cli_http_begin();
    cn_status st = cli_devices_register(l.api[0], cli_value(&args, "--key"), (unsigned)l.writers, l.device, &err);
    status = st == CN_OK ? run(&l) : cli_complain(EXIT_NO, &err);
    for (unsigned i = 0; i < l.writers; i++)
        cn_key_file_wipe(&l.device[i].file);
    fclose(l.history);
    return status;
}
