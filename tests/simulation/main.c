/* simulate --seeds N --start S [--nodes N] [--mutate NAME] [--list-mutations] [--trace]: exit 1 on a violation. */
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const mutations[] = {"notarize-twice",        "finalize-after-nullify", "votes-not-durable",
                                        "quorum-minus-one",      "count-arrivals",         "ancestry-skipped",
                                        "nullify-after-finalize"};
#define MUTATIONS (sizeof mutations / sizeof mutations[0])

#ifdef CARNET_MUTATIONS
static const char *active;
bool cn_mutation_active(const char *name);
bool cn_mutation_active(const char *name)
{
    return active && strcmp(active, name) == 0;
}
#endif

typedef struct arguments {
    uint64_t seeds, start;
    unsigned nodes;
    const char *mutate;
    bool trace, list;
} arguments;

static int usage(const char *problem)
{
    fprintf(stderr,
            "simulate: %s\nusage: simulate --seeds N --start S [--nodes 4..16] [--mutate NAME] [--list-mutations] "
            "[--trace]\n",
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

static int parse(int argc, char **argv, arguments *a)
{
    for (int i = 1; i < argc; i++) {
        uint64_t v = 0;
        if (strcmp(argv[i], "--trace") == 0)
            a->trace = true;
        else if (strcmp(argv[i], "--list-mutations") == 0)
            a->list = true;
        else if (i + 1 == argc)
            return usage("an option lacks its value");
        else if (strcmp(argv[i], "--mutate") == 0)
            a->mutate = argv[++i];
        else if (!number(argv[i + 1], &v))
            return usage("a value is not a number");
        else if (strcmp(argv[i], "--seeds") == 0 && ++i)
            a->seeds = v;
        else if (strcmp(argv[i], "--start") == 0 && ++i)
            a->start = v;
        else if (strcmp(argv[i], "--nodes") == 0 && ++i && v >= 4 && v <= MAX_NODES)
            a->nodes = (unsigned)v;
        else
            return usage("an option is not known");
    }
    return 0;
}

static int choose_mutation(const char *name)
{
#ifdef CARNET_MUTATIONS
    for (size_t i = 0; i < MUTATIONS; i++)
        if (strcmp(mutations[i], name) == 0) {
            active = mutations[i];
            return 0;
        }
    return usage("that mutation is not known; see --list-mutations");
#else
    (void)name;
    return usage("simulate-mutants, the build with mutation hooks, must lie beside this program");
#endif
}

/* This program holds the production core; mutations run in the build with hooks, which lies beside it. */
static void hand_over(char **argv)
{
#ifndef CARNET_MUTATIONS
    char path[4096];
    snprintf(path, sizeof path, "%s-mutants", argv[0]);
    execv(path, argv);
#else
    (void)argv;
#endif
}

int main(int argc, char **argv)
{
    arguments a = {.seeds = 100, .start = 1, .nodes = 4};
    int rc = parse(argc, argv, &a);
    if (rc == 0 && a.mutate)
        hand_over(argv);
    if (rc == 0 && a.list) {
        for (size_t i = 0; i < MUTATIONS; i++)
            puts(mutations[i]);
        return 0;
    }
    if (rc == 0 && a.mutate)
        rc = choose_mutation(a.mutate);
    if (rc)
        return rc;
    struct timespec begin, end;
    uint64_t heights = 0, events = 0, nullified = 0, seed = a.start;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (; seed < a.start + a.seeds; seed++) {
        sim_options options = {.seed = seed, .nodes = a.nodes, .trace = a.trace};
        sim_result result = sim_run(&options);
        heights += result.final_height;
        events += result.events;
        nullified += result.nullified;
        if (result.violated) {
            printf("violation at seed %llu: %s\nreplay: simulate --seeds 1 --start %llu --nodes %u%s%s\n",
                   (unsigned long long)seed, result.text, (unsigned long long)seed, a.nodes,
                   a.mutate ? " --mutate " : "", a.mutate ? a.mutate : "");
            return 1;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("%llu seeds from %llu, n = %u: no violation, all live; %llu blocks, %llu nullified views, %llu events; %.0f "
           "seeds/s\n",
           (unsigned long long)a.seeds, (unsigned long long)a.start, a.nodes, (unsigned long long)heights,
           (unsigned long long)nullified, (unsigned long long)events, (double)a.seeds / (seconds > 0 ? seconds : 1));
    return 0;
}
