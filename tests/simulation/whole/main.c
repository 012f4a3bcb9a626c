/* simulate-whole: see usage() and README.md. Exit 1 on a violation. */
#include "whole.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int usage(void)
{
    fputs(
        "usage: simulate-whole --seeds N --start S [--mutate NAME] [--trace]\n       simulate-whole --list-mutations\n",
        stderr);
    return 2;
}

static const char *mutation_named(const char *name)
{
    for (size_t i = 0; whole_mutations[i]; i++)
        if (strcmp(whole_mutations[i], name) == 0)
            return whole_mutations[i];
    return NULL;
}

static int list(void)
{
    for (size_t i = 0; whole_mutations[i]; i++)
        puts(whole_mutations[i]);
    return 0;
}

static bool number(const char *text, uint64_t *ret)
{
    char *end = NULL;
    *ret = strtoull(text, &end, 10);
    return *text && !*end;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 1, start = 1, blocks = 0, statements = 0, epochs = 0;
    const char *mutation = NULL;
    bool trace = false;
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--trace") == 0)
            trace = true;
        else if (strcmp(argv[i], "--list-mutations") == 0)
            return list();
        else if (more && strcmp(argv[i], "--seeds") == 0 && number(argv[i + 1], &seeds))
            i++;
        else if (more && strcmp(argv[i], "--start") == 0 && number(argv[i + 1], &start))
            i++;
        else if (more && strcmp(argv[i], "--mutate") == 0 && (mutation = mutation_named(argv[i + 1])))
            i++;
        else
            return usage();
    }
    if (!trace && !freopen("/dev/null", "w", stderr)) /* what nodes log */
        return 2;
    struct timespec began, now;
    clock_gettime(CLOCK_MONOTONIC, &began);
    keys_make();
    for (uint64_t seed = start; seed < start + seeds; seed++) {
        whole_result r = whole_run(seed, trace ? stderr : NULL, mutation);
        if (r.violated) {
            printf("violation at seed %llu: %s\nreplay: simulate-whole --seeds 1 --start %llu%s%s --trace\n",
                   (unsigned long long)seed, r.text, (unsigned long long)seed, mutation ? " --mutate " : "",
                   mutation ? mutation : "");
            return 1;
        }
        blocks += r.blocks;
        statements += r.statements;
        epochs += r.epochs;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds = (double)(now.tv_sec - began.tv_sec) + (double)(now.tv_nsec - began.tv_nsec) / 1e9;
    printf("%llu seeds from %llu, whole nodes: no violation, all live; %llu blocks, %llu statements, %llu epochs begun "
           "by a "
           "change; %.1f seeds/s\n",
           (unsigned long long)seeds, (unsigned long long)start, (unsigned long long)blocks,
           (unsigned long long)statements, (unsigned long long)epochs, (double)seeds / seconds);
    return 0;
}
