/* A dossier that is not accepted stays so when memory runs out: each run of the verifier has another allocation fail.
 *
 *   starve GENESIS-DIGEST FILE.zip STEP      every STEP-th allocation; exit status 0: none was accepted
 *
 * Each run is a child, since libcrypto and jansson end the process at some of them. */
#include <carnet-verify.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEVER (-1L)
#define FAILED (-2L)
#define UNUSED 99 /* status of a child that needed fewer allocations */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);

static unsigned char zip[1 << 20];
static long left = NEVER; /* allocations until one fails */

static int fails(void)
{
    if (left < 0)
        return 0;
    left = left == 0 ? FAILED : left - 1;
    if (left == FAILED)
        errno = ENOMEM;
    return left == FAILED;
}

void *malloc(size_t n)
{
    return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
    return fails() ? NULL : __libc_calloc(count, n);
}

void *realloc(void *p, size_t n)
{
    return fails() ? NULL : __libc_realloc(p, n);
}

static int starved(size_t n, const carnet_verify_options *options, long allocation)
{
    int outcome = 0;
    pid_t child = fork();
    if (child == 0) {
        carnet_verify_report *report = NULL;
        int status;
        fclose(stderr);
        left = allocation;
        status = carnet_verify_dossier(zip, n, options, &report);
        _exit(left != FAILED ? UNUSED : status);
    }
    if (child < 0 || waitpid(child, &outcome, 0) != child) {
        perror("child");
        exit(2);
    }
    return WIFEXITED(outcome) ? WEXITSTATUS(outcome) : CARNET_VERIFY_NO_MEMORY;
}

int main(int argc, char **argv)
{
    carnet_verify_options *options = carnet_verify_options_new();
    carnet_verify_report *report = NULL;
    FILE *in = argc == 4 ? fopen(argv[2], "rb") : NULL;
    long runs = 0, accepted = 0, step = argc == 4 ? strtol(argv[3], NULL, 10) : 0, i;
    size_t n;
    int status = 0;
    if (in == NULL || step < 1 || carnet_verify_set_genesis_hex(options, argv[1]) != CARNET_VERIFY_OK)
        return 2;
    n = fread(zip, 1, sizeof zip, in);
    fclose(in);
    if (carnet_verify_dossier(zip, n, options, &report) != CARNET_VERIFY_REFUSED)
        return 2;
    for (i = 0; status != UNUSED; i += step, runs++) {
        status = starved(n, options, i);
        accepted += status == CARNET_VERIFY_OK;
    }
    carnet_verify_report_free(report);
    carnet_verify_options_free(options);
    printf("%ld runs without memory, %ld accepted\n", runs, accepted);
    return accepted == 0 && runs > 10 ? 0 : 1;
}
