/* Runs a target over files, for compilers without libFuzzer. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

static bool run_file(const char *path)
{
    FILE *f = fopen(path, "re");
    long n = -1;
    if (f && fseek(f, 0, SEEK_END) == 0)
        n = ftell(f);
    uint8_t *p = n >= 0 ? malloc((size_t)n) : NULL; /* of exact size, so that a sanitizer sees its end */
    bool ok = f && n >= 0 && (n == 0 || p) && fseek(f, 0, SEEK_SET) == 0 && (n == 0 || fread(p, (size_t)n, 1, f) == 1);
    if (ok)
        (void)LLVMFuzzerTestOneInput(p, (size_t)n);
    else
        perror(path);
    free(p);
    if (f)
        fclose(f);
    return ok;
}

int main(int argc, char **argv)
{
    bool ok = LLVMFuzzerInitialize(&argc, &argv) == 0;
    for (int i = 1; i < argc; i++)
        ok = run_file(argv[i]) && ok;
    printf("stat::number_of_executed_units: %d\n", argc - 1);
    return ok ? 0 : 1;
}
