#include "files.h"
#include "node/formats/json.h"
#include "node/formats/time.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cn_json_limits limits = {1 << 20, 10000, 16};

/* Parses a heap copy of exactly n bytes, so that ASan sees a read beyond the end. */
static cn_status parse_copy(const char *text, size_t n, cn_json **ret, char **ret_copy, cn_err *err)
{
    *ret_copy = malloc(n ? n : 1);
    memcpy(*ret_copy, text, n);
    return cn_json_parse(*ret_copy, n, &limits, ret, err);
}

static bool accepts(const char *text, size_t n)
{
    cn_json *json = NULL;
    char *copy = NULL;
    bool ok = parse_copy(text, n, &json, &copy, NULL) == CN_OK;
    cn_json_free(json);
    free(copy);
    return ok;
}

Test(json, values_and_spans)
{
    const char text[] = " {\"a\": [1, -2.50e+3, \"x\\u00e9\\n\"],\n \"b\":{ } , \"\\u0061b\":null}\n";
    cn_json *json = NULL;
    cn_err err = {0};
    cr_assert_eq(cn_json_parse(text, sizeof text - 1, &limits, &json, &err), CN_OK, "%s", err.text);
    const cn_json_node *root = cn_json_root(json), *a = cn_json_get(root, "a");
    cr_assert_eq(root->offset, 1);
    cr_assert_eq(root->length, sizeof text - 3);
    cr_assert_eq(root->count, 3);
    cr_assert_eq(a->count, 3);
    cr_assert(memcmp(text + a->offset, "[1, -2.50e+3, \"x\\u00e9\\n\"]", a->length) == 0);
    cr_assert(cn_text_is(a->child->next->text, "-2.50e+3"));
    cr_assert_eq(a->child->next->length, 8);
    cr_assert_eq(a->child->next->next->length, 11);
    cr_assert(cn_text_is(a->child->next->next->text, "x\xc3\xa9\n"));
    cr_assert_eq(cn_json_get(root, "b")->type, CN_JSON_OBJECT);
    cr_assert_eq(cn_json_get(root, "ab")->type, CN_JSON_NULL);
    cr_assert_null(cn_json_get(root, "c"));
    cr_assert_eq(cn_json_line(json, cn_json_get(root, "b")->offset), 2);
    cn_json_fail(json, a->child->next, NULL, &err, "reason %d", 7);
    cr_assert_str_eq(err.field, "/a/1 (line 1)");
    cr_assert_str_eq(err.text, "reason 7");
    cn_json_fail(json, cn_json_get(root, "b"), "c", &err, "is missing");
    cr_assert_str_eq(err.field, "/b/c (line 2)");
    cn_json_fail(json, root, NULL, &err, "all of it");
    cr_assert_str_eq(err.field, "/ (line 1)");
    cn_json_free(json);
}

Test(json, pointer_escapes_and_length)
{
    const char text[] =
        "{\"a/b~c\":{\"0123456789012345678901234567890123456789012345678901234567890123456789\":{\"x\":1}}}";
    cn_json *json = NULL;
    cn_err err = {0};
    cr_assert_eq(cn_json_parse(text, sizeof text - 1, &limits, &json, &err), CN_OK);
    const cn_json_node *outer = cn_json_get(cn_json_root(json), "a/b~c");
    cn_json_fail(json, outer, NULL, &err, "x");
    cr_assert_str_eq(err.field, "/a~1b~0c (line 1)");
    cn_json_fail(json, outer->child->child, NULL, &err, "x");
    cr_assert(strncmp(err.field, "...", 3) == 0 && strstr(err.field, "789/x (line 1)"), "%s", err.field);
    cn_json_free(json);
}

Test(json, refuses)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "{}{}",
        "{} x",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "[01]",
        "[1.]",
        "[.5]",
        "[-]",
        "[1e]",
        "[+1]",
        "[1e+]",
        "tru",
        "nul",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\t\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\u0000\"",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xc3\"",
        "\xef\xbb\xbf{}",
        "NaN",
        "Infinity",
        "[1 2]",
        "{\"a\" 1}",
        "// c\n{}",
        "'a'",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(accepts(bad[i], strlen(bad[i])), "%s", bad[i]);
    static const char *const good[] = {"0", "-0", "1E5", "\"\"", "\"\\ud83d\\ude00\"", "[[],{}]", " null ", "\"\x7f\""};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect(accepts(good[i], strlen(good[i])), "%s", good[i]);
}

Test(json, limits)
{
    char deep[64];
    memset(deep, '[', 16);
    memset(deep + 16, ']', 16);
    cr_expect(accepts(deep, 32));
    memset(deep, '[', 17);
    memset(deep + 17, ']', 17);
    cr_expect_not(accepts(deep, 34));
    char *many = malloc(40000);
    size_t n = 0;
    many[n++] = '[';
    for (unsigned i = 0; i < 9998; i++)
        n += (size_t)sprintf(many + n, "1,");
    many[n++] = '1';
    many[n++] = ']';
    cr_expect(accepts(many, n)); /* 9,999 elements and the array */
    many[n - 1] = ',';
    memcpy(many + n, "1]", 2);
    cr_expect_not(accepts(many, n + 2));
    const cn_json_limits small = {10, 100, 16};
    cn_json *json = NULL;
    cn_err err = {0};
    cr_expect_eq(cn_json_parse("[         ]", 11, &small, &json, &err), CN_TOO_LARGE);
    free(many);
}

/* A number that jansson's types cannot hold is still a JSON number. */
static bool only_a_range(const json_error_t *error)
{
    return json_error_code(error) == json_error_numeric_overflow;
}

/* On documents with random damage our reader and jansson agree. */
Test(json, agrees_with_jansson)
{
    file doc[FILES_MAX];
    size_t n = files_read(EPCIS_CAPTURE "/Documents", ".json", doc, FILES_MAX), accepted = 0, refused = 0;
    uint64_t x = 88172645463325252u;
    const char bytes[] = "{}[]\",:\\0129-+.eEtrufalsn \n\t\x01\x80\xc3\xff/";
    for (size_t i = 0; i < n; i++) {
        for (unsigned round = 0; round < 60; round++) {
            size_t len = doc[i].n;
            char *copy = malloc(len);
            memcpy(copy, doc[i].text, len);
            for (unsigned k = 0; k < 1 + round % 3; k++) {
                x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                copy[x % len] = bytes[(x >> 32) % (sizeof bytes - 1)];
                if (round % 7 == 6)
                    len = 1 + x % len;
            }
            cn_json *ours = NULL;
            json_error_t error;
            bool ok = cn_json_parse(copy, len, &(cn_json_limits){1 << 20, 100000, 2048}, &ours, NULL) == CN_OK;
            json_t *theirs = json_loadb(copy, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
            cr_assert(ok == (theirs != NULL) || (ok && only_a_range(&error)), "%s round %u: ours %d, jansson: %s",
                      doc[i].name, round, ok, theirs ? "fine" : error.text);
            accepted += ok;
            refused += !ok;
            json_decref(theirs);
            cn_json_free(ours);
            free(copy);
        }
        file_free(&doc[i]);
    }
    cr_expect(n == 0 || (accepted > 100 && refused > 100), "%zu accepted, %zu refused", accepted, refused);
}

Test(time, values)
{
    static const struct {
        const char *text;
        int64_t ms;
        const char *back;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z"},
        {"2020-03-04T11:00:30.000+01:00", 1583316030000, "2020-03-04T10:00:30.000Z"},
        {"2023-02-02T11:04:03.1415Z", 1675335843142, "2023-02-02T11:04:03.142Z"},
        {"2023-02-02T11:04:03.1414Z", 1675335843141, "2023-02-02T11:04:03.141Z"},
        {"2023-02-02T11:04:03.0005Z", 1675335843001, "2023-02-02T11:04:03.001Z"}, /* half up, not to even */
        {"2023-12-31T23:59:59.9995Z", 1704067200000, "2024-01-01T00:00:00.000Z"},
        {"2024-02-29T00:00:00.5-12:30", 1709209800500, "2024-02-29T12:30:00.500Z"},
        {"1969-12-31T23:59:59.999Z", -1, "1969-12-31T23:59:59.999Z"},
        {"0001-01-01T00:00:00Z", -62135596800000, "0001-01-01T00:00:00.000Z"},
        {"9999-12-31T23:59:59Z", 253402300799000, "9999-12-31T23:59:59.000Z"},
        {"2000-02-29T12:00:00+14:00", 951775200000, "2000-02-28T22:00:00.000Z"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ms = 1;
        char text[CN_TIME_TEXT];
        cr_expect(cn_time_parse(good[i].text, strlen(good[i].text), &ms), "%s", good[i].text);
        cr_expect_eq(ms, good[i].ms, "%s gives %lld", good[i].text, (long long)ms);
        cn_time_format(ms, text);
        cr_expect_str_eq(text, good[i].back);
    }
    static const char *const bad[] = {
        "",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "2023-00-01T00:00:00Z",
        "2023-01-32T00:00:00Z",
        "2023-01-01T24:00:00Z",
        "2023-01-01T00:60:00Z",
        "2023-01-01T00:00:60Z",
        "2023-01-01 00:00:00Z",
        "2023-01-01T00:00:00",
        "2023-01-01T00:00:00.Z",
        "2023-01-01T00:00:00+14:01",
        "2023-01-01T00:00:00+1:00",
        "2023-01-01T00:00:00Zx",
        "2023-01-01T00:00:00+01:60",
        "23-01-01T00:00:00Z",
        "2023-01-01t00:00:00z",
        "0000-01-01T00:00:00Z",
        "2023-01-01",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms;
        cr_expect_not(cn_time_parse(bad[i], strlen(bad[i]), &ms), "%s", bad[i]);
    }
    cr_expect(cn_time_offset_valid("+02:00", 6) && cn_time_offset_valid("-14:00", 6));
    cr_expect_not(cn_time_offset_valid("Z", 1) || cn_time_offset_valid("02:00", 5) ||
                  cn_time_offset_valid("+14:30", 6) || cn_time_offset_valid("+02:60", 6));
}
