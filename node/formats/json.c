#include "node/formats/json.h"

#include "node/formats/pool.h"
#include "proto/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cn_json {
    const char *text;
    size_t n;
    cn_pool pool;
    cn_json_node *root;
};

typedef struct reader {
    cn_json *json;
    const char *text;
    size_t at, n;
    size_t values_left;
    unsigned depth, max_depth;
    const char *fault; /* sticky: why reading stopped */
    cn_status status;
} reader;

/* ---- texts ---- */

bool cn_text_is(cn_text t, const char *literal)
{
    return t.n == strlen(literal) && memcmp(t.s, literal, t.n) == 0;
}

bool cn_text_begins(cn_text t, const char *literal)
{
    size_t n = strlen(literal);
    return t.n >= n && memcmp(t.s, literal, n) == 0;
}

int cn_text_cmp(cn_text a, cn_text b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.s, b.s, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* ---- reading ---- */

static bool fault(reader *r, cn_status status, const char *why)
{
    if (!r->fault) {
        r->fault = why;
        r->status = status;
    }
    return false;
}

static int peek(const reader *r)
{
    return r->at < r->n ? (unsigned char)r->text[r->at] : -1;
}

static void skip_space(reader *r)
{
    while (r->at < r->n &&
           (r->text[r->at] == ' ' || r->text[r->at] == '\n' || r->text[r->at] == '\r' || r->text[r->at] == '\t'))
        r->at++;
}

/* Length of the UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF); 0 is invalid. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
    unsigned char a = p[0], low = 0x80, high = 0xbf;
    size_t n = 0;
    if (a < 0x80)
        return 1;
    if (a >= 0xc2 && a <= 0xdf)
        n = 2;
    else if (a >= 0xe0 && a <= 0xef)
        n = 3;
    else if (a >= 0xf0 && a <= 0xf4)
        n = 4;
    if (n == 0 || n > left)
        return 0;
    if (a == 0xe0)
        low = 0xa0;
    if (a == 0xed)
        high = 0x9f;
    if (a == 0xf0)
        low = 0x90;
    if (a == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

static bool read_hex4(reader *r, size_t at, uint32_t *ret)
{
    uint32_t v = 0;
    if (r->n - at < 4)
        return fault(r, CN_INVALID, "\\u needs four hexadecimal digits");
    for (size_t i = 0; i < 4; i++) {
        char c = r->text[at + i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit > 15)
            return fault(r, CN_INVALID, "\\u needs four hexadecimal digits");
        v = v << 4 | digit;
    }
    *ret = v;
    return true;
}

/* The escape at r->at (the backslash); advances behind it. */
static bool read_escape(reader *r, uint32_t *ret)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    r->at++;
    int c = peek(r);
    const char *simple = c > 0 ? strchr(names, c) : NULL;
    if (simple) {
        *ret = (unsigned char)values[simple - names];
        r->at++;
        return true;
    }
    if (c != 'u')
        return fault(r, CN_INVALID, "a backslash begins no known escape");
    r->at++;
    uint32_t v = 0, low = 0;
    if (!read_hex4(r, r->at, &v))
        return false;
    r->at += 4;
    if (v >= 0xd800 && v <= 0xdbff) {
        if (r->n - r->at < 6 || r->text[r->at] != '\\' || r->text[r->at + 1] != 'u' || !read_hex4(r, r->at + 2, &low) ||
            low < 0xdc00 || low > 0xdfff)
            return fault(r, CN_INVALID, "a surrogate stands alone");
        r->at += 6;
        v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
    } else if (v >= 0xdc00 && v <= 0xdfff) {
        return fault(r, CN_INVALID, "a surrogate stands alone");
    }
    if (v == 0)
        return fault(r, CN_INVALID, "a string contains U+0000");
    *ret = v;
    return true;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Finds the closing quote and checks every byte; r->at stands behind it afterwards. */
static bool scan_string(reader *r, size_t *ret_end, bool *ret_escaped)
{
    bool escaped = false;
    r->at++;
    for (;;) {
        if (r->at >= r->n)
            return fault(r, CN_INVALID, "a string is not closed");
        unsigned char c = (unsigned char)r->text[r->at];
        if (c == '"')
            break;
        if (c < 0x20)
            return fault(r, CN_INVALID, "a control character stands unescaped in a string");
        if (c == '\\') {
            uint32_t ignored;
            escaped = true;
            if (!read_escape(r, &ignored))
                return false;
            continue;
        }
        size_t len = utf8_len((const unsigned char *)r->text + r->at, r->n - r->at);
        if (len == 0)
            return fault(r, CN_INVALID, "the bytes are not UTF-8");
        r->at += len;
    }
    *ret_end = r->at++;
    *ret_escaped = escaped;
    return true;
}

static bool read_string(reader *r, cn_text *ret)
{
    size_t start = r->at + 1, end = 0;
    bool escaped = false;
    if (!scan_string(r, &end, &escaped))
        return false;
    if (!escaped) {
        *ret = (cn_text){r->text + start, end - start};
        return true;
    }
    /* Decoding never lengthens: six bytes of \uXXXX become three, twelve become four. */
    char *out = cn_pool_alloc(&r->json->pool, end - start + 1);
    if (!out)
        return fault(r, CN_TOO_LARGE, "the strings exceed the memory that one document may use");
    size_t used = 0, behind = r->at;
    r->at = start;
    while (r->at < end) {
        if (r->text[r->at] == '\\') {
            uint32_t c = 0;
            if (!read_escape(r, &c))
                return false;
            used += put_utf8(out + used, c);
        } else {
            out[used++] = r->text[r->at++];
        }
    }
    r->at = behind;
    *ret = (cn_text){out, used};
    return true;
}

static size_t digits(reader *r)
{
    size_t start = r->at;
    while (r->at < r->n && r->text[r->at] >= '0' && r->text[r->at] <= '9')
        r->at++;
    return r->at - start;
}

static bool read_number(reader *r, cn_text *ret)
{
    size_t start = r->at;
    if (peek(r) == '-')
        r->at++;
    size_t first = r->at, n = digits(r);
    if (n == 0 || (n > 1 && r->text[first] == '0'))
        return fault(r, CN_INVALID, "a number is malformed");
    if (peek(r) == '.') {
        r->at++;
        if (digits(r) == 0)
            return fault(r, CN_INVALID, "a number is malformed");
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        r->at++;
        if (peek(r) == '+' || peek(r) == '-')
            r->at++;
        if (digits(r) == 0)
            return fault(r, CN_INVALID, "a number is malformed");
    }
    *ret = (cn_text){r->text + start, r->at - start};
    return true;
}

static bool read_word(reader *r, const char *word)
{
    size_t n = strlen(word);
    if (r->n - r->at < n || memcmp(r->text + r->at, word, n) != 0)
        return fault(r, CN_INVALID, "a value is expected");
    r->at += n;
    return true;
}

static int by_key(const void *a, const void *b)
{
    return cn_text_cmp((*(const cn_json_node *const *)a)->key, (*(const cn_json_node *const *)b)->key);
}

/* Names must differ after decoding: two readers that pick different ones would see different events. */
static bool names_differ(reader *r, const cn_json_node *object)
{
    if (object->count < 2)
        return true;
    const cn_json_node *few[32], **all = few;
    if (object->count > 32)
        all = malloc(object->count * sizeof *all);
    if (!all)
        return fault(r, CN_NO_MEMORY, "out of memory");
    size_t n = 0;
    for (const cn_json_node *m = object->child; m; m = m->next)
        all[n++] = m;
    qsort(all, n, sizeof *all, by_key);
    bool differ = true;
    for (size_t i = 1; i < n && differ; i++)
        if (cn_text_cmp(all[i - 1]->key, all[i]->key) == 0) {
            r->at = all[i]->offset > all[i - 1]->offset ? all[i]->offset : all[i - 1]->offset;
            differ = fault(r, CN_INVALID, "an object has the same name twice");
        }
    if (all != few)
        free(all);
    return differ;
}

/* Reads a scalar into node, or opens a container (and then returns it as the new parent). */
static bool read_value(reader *r, cn_json_node *node)
{
    node->offset = (uint32_t)r->at;
    switch (peek(r)) {
    case '{':
    case '[':
        node->type = peek(r) == '{' ? CN_JSON_OBJECT : CN_JSON_ARRAY;
        if (r->depth++ == r->max_depth)
            return fault(r, CN_TOO_LARGE, "it is nested too deeply");
        r->at++;
        return true;
    case '"':
        node->type = CN_JSON_STRING;
        if (!read_string(r, &node->text))
            return false;
        break;
    case 't':
        node->type = CN_JSON_TRUE;
        if (!read_word(r, "true"))
            return false;
        break;
    case 'f':
        node->type = CN_JSON_FALSE;
        if (!read_word(r, "false"))
            return false;
        break;
    case 'n':
        node->type = CN_JSON_NULL;
        if (!read_word(r, "null"))
            return false;
        break;
    default:
        node->type = CN_JSON_NUMBER;
        if (peek(r) != '-' && (peek(r) < '0' || peek(r) > '9'))
            return fault(r, CN_INVALID, "a value is expected");
        if (!read_number(r, &node->text))
            return false;
    }
    node->length = (uint32_t)(r->at - node->offset);
    return true;
}

static bool is_container(const cn_json_node *node)
{
    return node->type == CN_JSON_ARRAY || node->type == CN_JSON_OBJECT;
}

static cn_json_node *new_node(reader *r, cn_json_node *parent, cn_json_node *last)
{
    cn_json_node *node = NULL;
    if (r->values_left > 0)
        node = cn_pool_alloc(&r->json->pool, sizeof *node);
    if (!node) {
        fault(r, CN_TOO_LARGE, "it holds more values than one document may");
        return NULL;
    }
    r->values_left--;
    node->parent = parent;
    if (last)
        last->next = node;
    else if (parent)
        parent->child = node;
    if (parent)
        parent->count++;
    return node;
}

static bool read_name(reader *r, cn_text *ret)
{
    skip_space(r);
    if (peek(r) != '"')
        return fault(r, CN_INVALID, "a name in quotes is expected");
    if (!read_string(r, ret))
        return false;
    skip_space(r);
    if (peek(r) != ':')
        return fault(r, CN_INVALID, "a colon is expected behind a name");
    r->at++;
    return true;
}

/* One round reads one value; parent links take the place of a call stack. */
static bool read_tree(reader *r)
{
    cn_json_node *parent = NULL, *last = NULL; /* the open container and its newest child */
    for (;;) {
        skip_space(r);
        cn_text key = {"", 0};
        if (parent && parent->type == CN_JSON_OBJECT && !read_name(r, &key))
            return false;
        skip_space(r);
        cn_json_node *node = new_node(r, parent, last);
        if (!node)
            return false;
        node->key = key;
        if (!read_value(r, node))
            return false;
        if (!parent && !last)
            r->json->root = node;
        last = node;
        if (is_container(node)) {
            skip_space(r);
            parent = node;
            last = NULL;
            if (peek(r) != (node->type == CN_JSON_OBJECT ? '}' : ']'))
                continue;
        }
        /* close what ends here; a comma goes on in the innermost open container */
        for (;;) {
            if (!parent)
                return true;
            skip_space(r);
            if (peek(r) == ',' && last) {
                r->at++;
                break;
            }
            if (peek(r) != (parent->type == CN_JSON_OBJECT ? '}' : ']'))
                return fault(r, CN_INVALID, "a comma or the end of an object or array is expected");
            r->at++;
            parent->length = (uint32_t)(r->at - parent->offset);
            r->depth--;
            size_t behind = r->at;
            if (parent->type == CN_JSON_OBJECT && !names_differ(r, parent))
                return false;
            r->at = behind;
            last = parent;
            parent = parent->parent;
        }
    }
}

static bool read_document(reader *r)
{
    if (r->n >= 3 && memcmp(r->text, "\xef\xbb\xbf", 3) == 0)
        return fault(r, CN_INVALID, "it begins with a byte order mark; save it as UTF-8 without one");
    if (!read_tree(r))
        return false;
    skip_space(r);
    return r->at == r->n || fault(r, CN_INVALID, "something follows the JSON value");
}

cn_status cn_json_parse(const void *text, size_t n, const cn_json_limits *limits, cn_json **ret, cn_err *err)
{
    if (n > limits->max_bytes || n >= UINT32_MAX)
        return cn_fail(err, CN_TOO_LARGE, "document", "%zu bytes; the limit is %zu", n, limits->max_bytes);
    cn_json *json = calloc(1, sizeof *json);
    if (!json)
        return cn_fail(err, CN_NO_MEMORY, "document", "out of memory");
    json->text = text;
    json->n = n;
    /* Every value costs at least two bytes of text; a doubled string budget covers blocks that are not full. */
    size_t values = n / 2 + 1 < limits->max_values ? n / 2 + 1 : limits->max_values;
    cn_pool_init(&json->pool, values * (sizeof(cn_json_node) + 16) * 2 + 4 * n + ((size_t)1 << 21));
    reader r = {.json = json,
                .text = text,
                .n = n,
                .values_left = limits->max_values,
                .max_depth = limits->max_depth,
                .status = CN_INVALID};
    if (read_document(&r)) {
        *ret = json;
        return CN_OK;
    }
    char field[64];
    snprintf(field, sizeof field, "line %u", cn_json_line(json, r.at));
    cn_json_free(json);
    return cn_fail(err, r.status, field, "not usable as JSON: %s", r.fault);
}

void cn_json_free(cn_json *json)
{
    if (!json)
        return;
    cn_pool_free(&json->pool);
    free(json);
}

const cn_json_node *cn_json_root(const cn_json *json)
{
    return json->root;
}

const cn_json_node *cn_json_get(const cn_json_node *object, const char *name)
{
    if (!object || object->type != CN_JSON_OBJECT)
        return NULL;
    for (const cn_json_node *m = object->child; m; m = m->next)
        if (cn_text_is(m->key, name))
            return m;
    return NULL;
}

unsigned cn_json_line(const cn_json *json, size_t offset)
{
    unsigned line = 1;
    for (size_t i = 0; i < offset && i < json->n; i++)
        line += json->text[i] == '\n';
    return line;
}

/* ---- pointers (RFC 6901) ---- */

/* Puts n bytes before *start; false when they do not fit. */
static bool prepend(char *buffer, size_t *start, const char *s, size_t n)
{
    if (*start < n)
        return false;
    *start -= n;
    memcpy(buffer + *start, s, n);
    return true;
}

static bool prepend_step(char *buffer, size_t *start, const cn_json_node *node)
{
    char number[24];
    if (node->parent->type == CN_JSON_ARRAY) {
        size_t index = 0;
        for (const cn_json_node *m = node->parent->child; m != node; m = m->next)
            index++;
        int n = snprintf(number, sizeof number, "%zu", index);
        return prepend(buffer, start, number, (size_t)n) && prepend(buffer, start, "/", 1);
    }
    for (size_t i = node->key.n; i-- > 0;) {
        char c = node->key.s[i];
        bool printable = c >= 0x20 && c < 0x7f;
        const char *piece = c == '~' ? "~0" : c == '/' ? "~1" : printable ? &node->key.s[i] : "?";
        if (!prepend(buffer, start, piece, c == '~' || c == '/' ? 2 : 1))
            return false;
    }
    return prepend(buffer, start, "/", 1);
}

cn_status cn_json_fail(const cn_json *json, const cn_json_node *node, const char *member, cn_err *err,
                       const char *format, ...)
{
    if (!err)
        return CN_INVALID;
    char buffer[72], text[sizeof err->text], field[sizeof err->field];
    size_t start = sizeof buffer;
    bool whole = true;
    if (member)
        whole = prepend(buffer, &start, member, strlen(member)) && prepend(buffer, &start, "/", 1);
    for (const cn_json_node *n = node; n->parent && whole; n = n->parent)
        whole = prepend_step(buffer, &start, n);
    int pointer = (int)(sizeof buffer - start);
    snprintf(field, sizeof field, "%s%.*s (line %u)", whole ? (pointer ? "" : "/") : "...", pointer, buffer + start,
             cn_json_line(json, node->offset));
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return cn_fail(err, CN_INVALID, field, "%s", text);
}
