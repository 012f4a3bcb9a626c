/* carnet-sample: writes the sample shipment, or lists what it would write. */
#include "tools/sample/sample.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
    "Usage: carnet-sample --out DIR | --list [--json]\n"
    "Writes the sample shipment: EPCIS 2.0 documents by party, a refrigerated container from Mombasa to Rotterdam,\n"
    "and a second consignment.\n\n"
    "  --out DIR   write all files there (made when absent)\n"
    "  --list      print, in the order of submission: file, party that signs it, main subjects (tab-separated)\n"
    "  --json      with --list: as JSON\n"
    "  --help      this text\n";

static int write_file(const char *dir, const cn_sample_file *f)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", dir, f->name);
    FILE *out = n > 0 && (size_t)n < sizeof path ? fopen(path, "wb") : NULL;
    if (!out || fwrite(f->text.p, 1, f->text.n, out) != f->text.n || fclose(out) != 0) {
        fprintf(stderr, "carnet-sample: %s/%s cannot be written: %s; choose another --out.\n", dir, f->name,
                strerror(errno));
        return 2;
    }
    return 0;
}

static int write_all(const cn_sample *s, const char *dir)
{
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "carnet-sample: %s cannot be made: %s; choose another --out.\n", dir, strerror(errno));
        return 2;
    }
    for (size_t i = 0; i < s->count; i++) {
        int status = write_file(dir, &s->file[i]);
        if (status != 0)
            return status;
    }
    printf("%zu files in %s, %zu readings\n", s->count, dir, s->readings);
    return 0;
}

/* Names, parties and URIs hold nothing that JSON would escape. */
static void list_json(const cn_sample *s)
{
    const char *comma = "";
    printf("[");
    for (size_t i = 0; i < s->count; i++) {
        const cn_sample_file *f = &s->file[i];
        if (f->party[0] == 0)
            continue;
        printf("%s\n  {\"file\": \"%s\", \"party\": \"%s\", \"about\": \"%s\", \"subjects\": [", comma, f->name,
               f->party, f->about);
        for (const char *at = f->subjects; *at;) {
            size_t n = strcspn(at, " ");
            printf("%s\"%.*s\"", at == f->subjects ? "" : ", ", (int)n, at);
            at += n + (at[n] == ' ');
        }
        printf("]}");
        comma = ",";
    }
    printf("\n]\n");
}

static void list(const cn_sample *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->file[i].party[0])
            printf("%s\t%s\t%s\n", s->file[i].name, s->file[i].party, s->file[i].subjects);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"out", required_argument, NULL, 'o'},
                                            {"list", no_argument, NULL, 'l'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *dir = NULL;
    int option, listing = 0, json = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (option == '?') {
            fputs(usage, stderr);
            return 2;
        }
        dir = option == 'o' ? optarg : dir;
        listing = listing || option == 'l';
        json = json || option == 'j';
    }
    if (optind != argc || (dir != NULL) == listing || (json && !listing)) {
        fputs(usage, stderr);
        return 2;
    }
    cn_sample sample;
    cn_err err = {0};
    if (cn_sample_make(&sample, &err) != CN_OK) {
        fprintf(stderr, "carnet-sample: %s: %s\n", err.field, err.text);
        return 2;
    }
    int status = 0;
    if (dir)
        status = write_all(&sample, dir);
    else if (json)
        list_json(&sample);
    else
        list(&sample);
    cn_sample_free(&sample);
    return status;
}
