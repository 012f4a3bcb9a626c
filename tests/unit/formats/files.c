#include "files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

file file_read(const char *path)
{
    file f = {.n = 0};
    FILE *in = fopen(path, "rb");
    if (!in || fseek(in, 0, SEEK_END) != 0) {
        fprintf(stderr, "cannot read %s\n", path);
        abort();
    }
    f.n = (size_t)ftell(in);
    rewind(in);
    f.text = malloc(f.n ? f.n : 1);
    if (!f.text || fread(f.text, 1, f.n, in) != f.n)
        abort();
    fclose(in);
    snprintf(f.path, sizeof f.path, "%s", path);
    return f;
}

void file_free(file *f)
{
    free(f->text);
    f->text = NULL;
}

size_t files_read(const char *folder, const char *ending, file *out, size_t max)
{
    char path[512];
    struct dirent **entries = NULL;
    size_t count = 0;
    snprintf(path, sizeof path, "%s/%s", CARNET_SHARED_DATA, folder);
    int n = scandir(path, &entries, NULL, alphasort);
    if (n < 0) {
        fprintf(stderr, "skipped: %s is not there\n", path);
        return 0;
    }
    for (int i = 0; i < n; i++) {
        size_t len = strlen(entries[i]->d_name), end = strlen(ending);
        if (len > end && strcmp(entries[i]->d_name + len - end, ending) == 0 && count < max) {
            snprintf(path, sizeof path, "%s/%s/%s", CARNET_SHARED_DATA, folder, entries[i]->d_name);
            out[count] = file_read(path);
            out[count].name = strrchr(out[count].path, '/') + 1;
            count++;
        }
        free(entries[i]);
    }
    free(entries);
    return count;
}
