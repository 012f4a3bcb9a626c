/* Reads many items in one process, for comparing with another reader: on each line of stdin the base64 of an item
 * without its salt (format, then content); on stdout "yes" and the canonical subjects it names, ascending and each
 * once, or "no" and why. */
#include "node/formats/plan.h"
#include "proto/bytes.h"
#include "proto/statement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES ((size_t)4 << 20)

static void answer(uint8_t format, const uint8_t *content, size_t n)
{
    cn_item_info info;
    cn_err err = {0};
    if (cn_item_subjects(format, content, n, &info, &err) != CN_OK) {
        printf("no ");
        for (const char *c = err.text; *c; c++) /* what an item says may hold anything that ends a line */
            putchar(*c >= ' ' && *c <= '~' ? *c : '?');
        printf("\n");
        return;
    }
    printf("yes");
    for (size_t i = 0; i < info.subject_count; i++)
        printf(" %s", info.subject[i]);
    printf("\n");
    cn_item_info_free(&info);
}

int main(void)
{
    char *line = malloc(LINE_MAX_BYTES);
    uint8_t *bytes = malloc(LINE_MAX_BYTES);
    int status = line && bytes ? EXIT_SUCCESS : EXIT_FAILURE;
    while (status == EXIT_SUCCESS && fgets(line, (int)LINE_MAX_BYTES, stdin)) {
        size_t len = strcspn(line, "\n"), n = 0;
        if (len == 0 || !cn_unbase64(line, len, bytes, LINE_MAX_BYTES, &n) || n < 2)
            status = EXIT_FAILURE;
        else
            answer(bytes[0], bytes + 1, n - 1);
        fflush(stdout);
    }
    free(line);
    free(bytes);
    return status;
}
