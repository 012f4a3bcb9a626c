/* Many threads verify at once, with options that they share, and each finds what one alone finds.
 *
 *   threads GENESIS-DIGEST FILE.zip...      exit status 0: so it is
 *
 * The threads begin together and before any other call, so that whatever is set up once is set up among them. */
#include <carnet-verify.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define THREADS 8
#define FILES_MAX 16
#define ROUNDS 5

static struct file {
    unsigned char zip[1 << 18];
    size_t n;
} file[FILES_MAX];
static int files;

static struct worker {
    pthread_t thread;
    int first; /* each begins with another file */
    int status[FILES_MAX];
    carnet_verify_report *report[FILES_MAX];
} worker[THREADS];
static carnet_verify_options *options;
static pthread_barrier_t begin;

static void *verify_all(void *arg)
{
    struct worker *w = (struct worker *)arg;
    int i;
    pthread_barrier_wait(&begin);
    for (i = 0; i < ROUNDS * files; i++) {
        int k = (w->first + i) % files;
        carnet_verify_report_free(w->report[k]);
        w->status[k] = carnet_verify_dossier(file[k].zip, file[k].n, options, &w->report[k]);
    }
    return NULL;
}

static int load(const char *path)
{
    FILE *in = files < FILES_MAX ? fopen(path, "rb") : NULL;
    if (in == NULL)
        return 0;
    file[files].n = fread(file[files].zip, 1, sizeof file[files].zip, in);
    fclose(in);
    return file[files++].n < sizeof file[0].zip;
}

int main(int argc, char **argv)
{
    int i, k, differ = 0;
    options = carnet_verify_options_new();
    if (argc < 3 || carnet_verify_set_genesis_hex(options, argv[1]) != CARNET_VERIFY_OK)
        return 2;
    for (i = 2; i < argc; i++)
        if (!load(argv[i]))
            return 2;
    if (pthread_barrier_init(&begin, NULL, THREADS) != 0)
        return 2;
    for (i = 0; i < THREADS; i++) {
        worker[i].first = i;
        if (pthread_create(&worker[i].thread, NULL, verify_all, &worker[i]) != 0)
            return 2;
    }
    for (i = 0; i < THREADS; i++)
        pthread_join(worker[i].thread, NULL);
    for (k = 0; k < files; k++) {
        carnet_verify_report *alone = NULL;
        int status = carnet_verify_dossier(file[k].zip, file[k].n, options, &alone);
        for (i = 0; i < THREADS; i++)
            differ += worker[i].status[k] != status || alone == NULL || worker[i].report[k] == NULL ||
                      strcmp(carnet_verify_report_json(worker[i].report[k]), carnet_verify_report_json(alone)) != 0;
        carnet_verify_report_free(alone);
    }
    for (i = 0; i < THREADS * files; i++)
        carnet_verify_report_free(worker[i / files].report[i % files]);
    carnet_verify_options_free(options);
    pthread_barrier_destroy(&begin);
    printf("%d threads, %d dossiers, %d reports differ\n", THREADS, files, differ);
    return differ == 0 ? 0 : 1;
}
