/* simulate: see usage() and README.md. Exit 1 on a violation. */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const mutations[] = {
    "notarize-twice",
    "finalize-after-nullify",
    "nullify-after-finalize",
    "votes-not-durable",
    "ancestry-skipped",
    "quorum-minus-one",
    "count-arrivals",
    "own-vote-twice",
    "epoch-ignored",
    "floor-falls",
    "closing-skipped",
    "bitmap-unchecked",
    "notarization-not-durable",
    "time-unchecked",
    "ancestor-not-fetched",
};
#define MUTATIONS (sizeof mutations / sizeof mutations[0])
#define MUTATION_SEEDS 10000u

static const char *active;

#ifdef CARNET_MUTATIONS
bool cn_mutation_active(const char *name);
bool cn_mutation_active(const char *name)
{
    return active && strcmp(active, name) == 0;
}
#endif

typedef struct arguments {
    uint64_t seeds, start, twins, minimise;
    unsigned nodes;
    const char *mutate, *golden, *record;
    FILE *record_to;
    bool list, table, trace;
} arguments;

static int usage(const char *problem)
{
    fprintf(stderr,
            "simulate: %s\n"
            "usage: simulate --seeds N --start S [--nodes 4..16] [--mutate NAME] [--trace] [--record FILE]\n"
            "       simulate --twins N [--start K] [--mutate NAME] [--trace] [--record FILE]\n"
            "       simulate --minimise SEED [--nodes N] [--mutate NAME]\n"
            "       simulate --golden NAME | --list-golden | --list-mutations | --mutation-table\n",
            problem);
    return 2;
}

static bool number(const char *text, uint64_t *ret)
{
    char *end = NULL;
    errno = 0;
    *ret = text ? strtoull(text, &end, 10) : 0;
    return text && *text && !*end && !errno;
}

static bool parse_flag(const char *text, arguments *a)
{
    if (strcmp(text, "--trace") == 0)
        a->trace = true;
    else if (strcmp(text, "--list-mutations") == 0)
        a->list = true;
    else if (strcmp(text, "--mutation-table") == 0)
        a->table = true;
    else
        return false;
    return true;
}

static int parse(int argc, char **argv, arguments *a)
{
    for (int i = 1; i < argc; i++) {
        uint64_t v = 0;
        if (parse_flag(argv[i], a))
            continue;
        if (i + 1 == argc)
            return usage("an option is not known, or lacks its value");
        const char *option = argv[i++];
        if (strcmp(option, "--mutate") == 0)
            a->mutate = argv[i];
        else if (strcmp(option, "--golden") == 0)
            a->golden = argv[i];
        else if (strcmp(option, "--record") == 0)
            a->record = argv[i];
        else if (!number(argv[i], &v))
            return usage("a value is not a number");
        else if (strcmp(option, "--seeds") == 0)
            a->seeds = v;
        else if (strcmp(option, "--start") == 0)
            a->start = v;
        else if (strcmp(option, "--twins") == 0)
            a->twins = v;
        else if (strcmp(option, "--minimise") == 0)
            a->minimise = v;
        else if (strcmp(option, "--nodes") == 0 && v >= 4 && v <= MAX_NODES)
            a->nodes = (unsigned)v;
        else
            return usage("an option is not known");
    }
    return 0;
}

static int choose_mutation(const char *name)
{
    for (size_t i = 0; i < MUTATIONS; i++)
        if (strcmp(mutations[i], name) == 0) {
            active = mutations[i];
            return 0;
        }
    return usage("that mutation is not known; see --list-mutations");
}

/* This program holds the production core; mutations run in the build with hooks, which lies beside it. */
static int hand_over(char **argv)
{
#ifndef CARNET_MUTATIONS
    char path[4096];
    snprintf(path, sizeof path, "%s-mutants", argv[0]);
    execv(path, argv);
    return usage("simulate-mutants, the build with mutation hooks, must lie beside this program");
#else
    (void)argv;
    return 0;
#endif
}

static sim_options options_of(const arguments *a, uint64_t seed)
{
    return (sim_options){.seed = seed,
                         .nodes = a->nodes,
                         .epochless = active && strcmp(active, "epoch-ignored") == 0,

                         .quiet = a->table,
                         .transcript = a->trace ? stdout : NULL,
                         .record = a->record_to};
}

typedef struct totals {
    uint64_t seeds, heights, events, nullified, epochs, returned;
} totals;

static sim_result run_one(const arguments *a, uint64_t k, totals *t)
{
    sim_options options = options_of(a, a->twins ? 1 : k);
    sim_result r = a->twins ? sim_twins(&options, k) : sim_run(&options);
    t->seeds++;
    t->heights += r.final_height;
    t->events += r.events;
    t->nullified += r.nullified;
    t->returned += r.returned;
    t->epochs += r.epochs > 1 ? r.epochs - 1 : 0;
    return r;
}

static void report(const arguments *a, uint64_t k, const sim_result *r)
{
    const char *tail = a->mutate ? a->mutate : "", *mutate = a->mutate ? " --mutate " : "";
    unsigned long long at = k;
    if (a->twins)
        printf("violation at schedule %llu: %s\nreplay: simulate --twins 1 --start %llu%s%s\n", at, r->text, at, mutate,
               tail);
    else
        printf("violation at seed %llu: %s\nreplay: simulate --seeds 1 --start %llu --nodes %u%s%s\n"
               "make it small: simulate --minimise %llu --nodes %u%s%s\n",
               at, r->text, at, a->nodes, mutate, tail, at, a->nodes, mutate, tail);
}

/* For rules.pl; a line that cannot be written is a failure. */
static bool open_record(arguments *a)
{
    if (!a->record)
        return true;
    a->record_to = fopen(a->record, "w");
    if (!a->record_to)
        perror(a->record);
    return a->record_to != NULL;
}

static bool close_record(const arguments *a)
{
    if (!a->record_to || (!ferror(a->record_to) && fclose(a->record_to) == 0))
        return true;
    perror(a->record);
    return false;
}

static int campaign(const arguments *a)
{
    struct timespec begin, end;
    totals t = {0};
    uint64_t count = a->twins ? a->twins : a->seeds;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t k = a->start; k < a->start + count; k++) {
        sim_result result = run_one(a, k, &t);
        if (result.violated) {
            report(a, k, &result);
            return 1;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("%llu %s from %llu, n = %u: no violation, all live; %llu blocks, %llu epochs begun by a change, %llu "
           "members back after a lost safety table, %llu nullified views, %llu events; %.0f %s/s\n",
           (unsigned long long)count, a->twins ? "twins schedules" : "seeds", (unsigned long long)a->start, a->nodes,
           (unsigned long long)t.heights, (unsigned long long)t.epochs, (unsigned long long)t.returned,
           (unsigned long long)t.nullified, (unsigned long long)t.events, (double)count / (seconds > 0 ? seconds : 1),
           a->twins ? "schedules" : "seeds");
    return 0;
}

/* mutation | seed that caught it | what the oracle said */
static int mutation_table(arguments *a)
{
    int rc = 0;
    totals t = {0};
    for (size_t i = 0; i < MUTATIONS; i++) {
        sim_result r = {0};
        uint64_t seed = 0;
        active = mutations[i];
        while (!r.violated && ++seed <= MUTATION_SEEDS)
            r = run_one(a, seed, &t);
        if (r.violated)
            printf("%s | %llu | %s\n", active, (unsigned long long)seed, r.text);
        else
            printf("%s | - | NOT CAUGHT within %u seeds\n", active, MUTATION_SEEDS);
        fflush(stdout);
        rc = r.violated ? rc : 1;
    }
    return rc;
}

static int golden(const arguments *a)
{
    sim_options options = options_of(a, 1);
    sim_result r;
    options.transcript = stdout;
    if (!sim_scenario(&options, a->golden, &r))
        return usage("that conversation is not known");
    if (r.violated)
        printf("violation: %s\n", r.text);
    return r.violated;
}

int main(int argc, char **argv)
{
    arguments a = {.seeds = 100, .start = 1, .nodes = 4};
    if (argc == 2 && strcmp(argv[1], "--list-golden") == 0) {
        for (size_t i = 0; sim_scenario_name(i); i++)
            puts(sim_scenario_name(i));
        return 0;
    }
    int rc = parse(argc, argv, &a);
    if (rc == 0 && a.list) {
        for (size_t i = 0; i < MUTATIONS; i++)
            puts(mutations[i]);
        return 0;
    }
    if (rc == 0 && (a.mutate || a.table))
        rc = hand_over(argv);
    if (rc == 0 && a.mutate)
        rc = choose_mutation(a.mutate);
    if (rc)
        return rc;
    if (a.table)
        return mutation_table(&a);
    if (a.golden)
        return golden(&a);
    if (a.minimise) {
        sim_options options = options_of(&a, a.minimise);
        if (sim_minimise(&options))
            return 1;
        printf("seed %llu shows no violation\n", (unsigned long long)a.minimise);
        return 0;
    }
    if (!open_record(&a))
        return 2;
    rc = campaign(&a);
    return close_record(&a) ? rc : 2;
}
