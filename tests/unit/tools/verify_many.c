/* Verifies many dossiers in one process, for comparing with another verifier: on each line of stdin a genesis digest, a
 * space and a path; on stdout the report in one line of JSON, and the digest of the readable page. */
#include "rendered.h"
#include "tools/verify/json.h"
#include "tools/verify/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)256 << 20)

static uint8_t *read_file(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    long n = f && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    uint8_t *bytes = n >= 0 && (size_t)n <= FILE_MAX ? malloc((size_t)n + 1) : NULL;
    bool ok = bytes && fseek(f, 0, SEEK_SET) == 0 && fread(bytes, 1, (size_t)n, f) == (size_t)n;
    if (f)
        fclose(f);
    if (!ok) {
        free(bytes);
        return NULL;
    }
    *ret_n = (size_t)n;
    return bytes;
}

static bool answer(const char *digest, const char *path)
{
    cn_digest network;
    cn_verify_report report;
    size_t n = 0;
    uint8_t *bytes = read_file(path, &n);
    if (!bytes || !cn_unhex(digest, strlen(digest), network.b, CN_DIGEST_LEN)) {
        free(bytes);
        return false;
    }
    (void)cn_verify_dossier(bytes, n, &network, NULL, &report);
    json_t *json = cn_verify_report_json(&report);
    if (json)
        json_object_set_new(json, "rendered", rendered_digest(bytes, n));
    free(bytes);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    bool ok = text && puts(text) >= 0 && fflush(stdout) == 0;
    free(text);
    json_decref(json);
    return ok;
}

int main(void)
{
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        char *space = strchr(line, ' ');
        if (!space)
            return EXIT_FAILURE;
        *space = 0;
        if (!answer(line, space + 1)) {
            fprintf(stderr, "verify_many: cannot read %s\n", space + 1);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}
