/* Holds many notes against policies in one process, for comparing with another reader: on each line of stdin the base64
 * of a policy, a space, and that of a signed note; on stdout "yes", "no policy" or "no". */
#include "proto/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES ((size_t)1 << 19)

static const char *judge(cn_span policy_text, cn_span note)
{
    cn_policy *policy = NULL;
    if (cn_policy_parse(policy_text.p, policy_text.n, &policy, NULL) != CN_OK)
        return "no policy";
    const char *ret = cn_policy_check(policy, note, NULL) == CN_OK ? "yes" : "no";
    cn_policy_free(policy);
    return ret;
}

int main(void)
{
    char *line = malloc(LINE_MAX_BYTES);
    uint8_t *bytes = malloc(2 * LINE_MAX_BYTES);
    int status = line && bytes ? EXIT_SUCCESS : EXIT_FAILURE;
    while (status == EXIT_SUCCESS && fgets(line, (int)LINE_MAX_BYTES, stdin)) {
        size_t first = strcspn(line, " "), policy_n = 0, note_n = 0, len = strcspn(line, "\n");
        if (first >= len || !cn_unbase64(line, first, bytes, LINE_MAX_BYTES, &policy_n) ||
            !cn_unbase64(line + first + 1, len - first - 1, bytes + LINE_MAX_BYTES, LINE_MAX_BYTES, &note_n))
            status = EXIT_FAILURE;
        else
            puts(judge(CN_SPAN(bytes, policy_n), CN_SPAN(bytes + LINE_MAX_BYTES, note_n)));
        fflush(stdout);
    }
    free(line);
    free(bytes);
    return status;
}
