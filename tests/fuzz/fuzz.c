#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *seed_dir;
static fuzz_input *seeds;
static size_t seed_count;

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(2);
    }
}

void fuzz_seed(const char *name, const void *p, size_t n)
{
    char path[4096];
    if (!seed_dir) {
        seeds = realloc(seeds, (seed_count + 1) * sizeof *seeds);
        must(seeds != NULL, "seed");
        uint8_t *copy = malloc(n + 1);
        must(copy != NULL, "seed");
        if (n)
            memcpy(copy, p, n);
        seeds[seed_count++] = (fuzz_input){copy, n};
        return;
    }
    snprintf(path, sizeof path, "%s/%s", seed_dir, name);
    FILE *f = fopen(path, "wxe"); /* two seeds of one name are a mistake */
    must(f != NULL, path);
    must(n == 0 || fwrite(p, n, 1, f) == 1, path);
    must(fclose(f) == 0, path);
}

void fuzz_seed_kind(const char *name, uint8_t kind, const void *p, size_t n)
{
    uint8_t *bytes = malloc(n + 1);
    must(bytes != NULL, "seed");
    bytes[0] = kind;
    if (n)
        memcpy(bytes + 1, p, n);
    fuzz_seed(name, bytes, n + 1);
    free(bytes);
}

_Noreturn void fuzz_violation(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: violated: %s\n", file, line, what);
    abort();
}

const char *fuzz_file(const void *p, size_t n)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        must(fd >= 0 && fchmod(fd, 0600) == 0, "memfd_create");
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    must(ftruncate(fd, 0) == 0, path);
    must(n == 0 || pwrite(fd, p, n, 0) == (ssize_t)n, path);
    return path;
}

size_t fuzz_seeds_all(const fuzz_input **ret)
{
    *ret = seeds;
    return seed_count;
}

/* CARNET_FUZZ_SEEDS: an existing empty folder that gets the seeds; nothing else is done then. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    seed_dir = getenv("CARNET_FUZZ_SEEDS");
    fuzz_seeds();
    if (seed_dir)
        exit(0);
    return 0;
}
