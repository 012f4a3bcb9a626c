/* The committed vectors are what this code makes, line by line; vectors.pl rebuilds them without this code. */
#include "vectors.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(vectors, are_what_is_committed)
{
    char *text = NULL;
    size_t n = 0;
    FILE *made = open_memstream(&text, &n), *file = fopen(CARNET_TEST_VECTORS "/proto.txt", "r");
    cr_assert_not_null(made);
    cr_assert_not_null(file, "tests/vectors/proto.txt is missing");
    vectors_print(made);
    cr_assert_eq(fclose(made), 0);
    static char line[16384];
    const char *at = text;
    for (unsigned number = 1; fgets(line, sizeof line, file); number++) {
        size_t len = strlen(line);
        cr_assert(strncmp(at, line, len) == 0, "line %u differs: %.60s", number, line);
        at += len;
    }
    cr_assert_str_empty(at, "the file ends early");
    fclose(file);
    free(text);
}
