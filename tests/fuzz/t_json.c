/* The strict JSON reader against another implementation: both accept, or both refuse, and they see the same values. */
#include "fuzz.h"

#include "node/formats/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const cn_json_limits limits = {1u << 16, 4096, 64};

void fuzz_seeds(void)
{
    static const char *const text[] = {"{\"a\":[1,-2.5e3,true,false,null],\"b\":{\"c\":\"\\u00e9\\ud83d\\ude00\\n\"}}",
                                       "[[[[]]],{},\"\",0,-0,1E+2]", "\"\xc3\xa9\xf0\x9f\x98\x80\"", " \t\r\n{\"\":0} ",
                                       "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "%zu", i);
        fuzz_seed(name, text[i], strlen(text[i]));
    }
}

static bool same_scalar(const cn_json_node *a, const json_t *b)
{
    switch (a->type) {
    case CN_JSON_NULL:
        return json_is_null(b);
    case CN_JSON_FALSE:
        return json_is_false(b);
    case CN_JSON_TRUE:
        return json_is_true(b);
    case CN_JSON_NUMBER:
        return json_is_number(b);
    case CN_JSON_STRING:
        return json_is_string(b) && fuzz_same(a->text.s, a->text.n, json_string_value(b), json_string_length(b));
    case CN_JSON_ARRAY:
        return json_is_array(b) && json_array_size(b) == a->count;
    case CN_JSON_OBJECT:
        return json_is_object(b) && json_object_size(b) == a->count;
    }
    return false;
}

static const json_t *member(const json_t *object, cn_text key)
{
    char *name = malloc(key.n + 1);
    FUZZ_REQUIRE(name != NULL);
    memcpy(name, key.s, key.n);
    name[key.n] = '\0';
    const json_t *found = json_object_get(object, name);
    free(name);
    return found;
}

/* Depth is at most limits.max_depth on both sides. */
static void compare(const cn_json_node *a, const json_t *b, const char *text, size_t n)
{
    FUZZ_REQUIRE(b && same_scalar(a, b));
    FUZZ_REQUIRE((size_t)a->offset + a->length <= n && a->length > 0);
    const char *span = text + a->offset;
    FUZZ_REQUIRE(a->type != CN_JSON_STRING || (span[0] == '"' && span[a->length - 1] == '"'));
    FUZZ_REQUIRE(a->type != CN_JSON_OBJECT || (span[0] == '{' && span[a->length - 1] == '}'));
    FUZZ_REQUIRE(a->type != CN_JSON_ARRAY || (span[0] == '[' && span[a->length - 1] == ']'));
    size_t i = 0;
    for (const cn_json_node *child = a->child; child; child = child->next, i++) {
        FUZZ_REQUIRE(child->parent == a && child->offset >= a->offset &&
                     child->offset + child->length <= a->offset + a->length);
        compare(child, a->type == CN_JSON_ARRAY ? json_array_get(b, i) : member(b, child->key), text, n);
    }
    FUZZ_REQUIRE(i == a->count);
    FUZZ_PLANT(a->type == CN_JSON_ARRAY && a->count == 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    cn_json *json = NULL;
    json_error_t why;
    cn_err err = {0};
    cn_status st = cn_json_parse(p, n, &limits, &json, &err);
    json_t *other = json_loadb((const char *)p, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (st == CN_OK) {
        /* jansson converts numbers and refuses what no double or 64-bit integer holds; this reader keeps their text */
        FUZZ_REQUIRE(other || json_error_code(&why) == json_error_numeric_overflow);
        if (other)
            compare(cn_json_root(json), other, (const char *)p, n);
    } else {
        FUZZ_REQUIRE(json == NULL && err.code == st && err.text[0]);
        FUZZ_REQUIRE(!other || st == CN_TOO_LARGE || memchr(p, 0, n)); /* jansson stops at a zero byte */
        ;
    }
    cn_json_free(json);
    json_decref(other);
    return 0;
}
