/* Sample documents of others, read where they are (CARNET_SHARED_DATA); a test prints a line and ends when absent. */
#ifndef CARNET_TESTS_FORMATS_FILES_H
#define CARNET_TESTS_FORMATS_FILES_H

#include <stddef.h>

typedef struct file {
    char path[512];
    const char *name; /* last part of the path */
    char *text;       /* exactly n bytes on the heap, so that ASan sees a read beyond them */
    size_t n;
} file;

/* All files of CARNET_SHARED_DATA/folder whose name ends in `ending`, by name; at most `max`. 0: the folder is absent
 * (said in a line on stderr). */
size_t files_read(const char *folder, const char *ending, file *out, size_t max);
/* One file; dies when it cannot be read. */
file file_read(const char *path);
void file_free(file *f);

#define EPCIS_HASHES "epcis-event-hash-vectors"
#define EPCIS_CAPTURE "openepcis-test-resources/2.0/EPCIS/JSON/Capture"
#define FILES_MAX 64

#endif
