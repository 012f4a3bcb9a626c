/* What every fuzz target shares. A target defines LLVMFuzzerTestOneInput and fuzz_seeds, nothing else. */
#ifndef CARNET_TESTS_FUZZ_FUZZ_H
#define CARNET_TESTS_FUZZ_FUZZ_H

#include "proto/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Writes the valid inputs that the search begins with, each by fuzz_seed. */
void fuzz_seeds(void);
typedef struct fuzz_input {
    const uint8_t *p;
    size_t n;
} fuzz_input;
size_t fuzz_seeds_all(const fuzz_input **ret);
void fuzz_seed(const char *name, const void *p, size_t n);
/* The same with a byte in front, for targets whose first byte picks a decoder. */
void fuzz_seed_kind(const char *name, uint8_t kind, const void *p, size_t n);

_Noreturn void fuzz_violation(const char *file, int line, const char *what);
/* A property of the decoder under test. */
#define FUZZ_REQUIRE(e) ((e) ? (void)0 : fuzz_violation(__FILE__, __LINE__, #e))

/* A bug for the meta-test, reached only through what the decoder made of the bytes. No seed may reach it. */
#ifdef CARNET_PLANT
#define FUZZ_PLANT(e) ((e) ? fuzz_violation(__FILE__, __LINE__, "planted bug") : (void)0)
#else
#define FUZZ_PLANT(e) ((void)0)
#endif

/* A file of its own for decoders that read by path; the same one for every input, gone with the process. */
const char *fuzz_file(const void *p, size_t n);

static inline bool fuzz_same(const void *a, size_t an, const void *b, size_t bn)
{
    return an == bn && (an == 0 || memcmp(a, b, an) == 0);
}

#endif
