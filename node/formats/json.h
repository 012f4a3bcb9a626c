/* A strict JSON reader (RFC 8259) that knows where every value stands in the text.
 *
 * Used where exact bytes matter: a document is cut into items at the spans found here, and every refusal names a JSON
 * pointer and a line. Refused: anything after the value, duplicate names in an object (compared after decoding),
 * invalid UTF-8, lone surrogates, U+0000 in a string, a byte order mark, and more depth, values or bytes than the
 * limits. The reader does not recurse. */
#ifndef CARNET_NODE_FORMATS_JSON_H
#define CARNET_NODE_FORMATS_JSON_H

#include "proto/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cn_json_type {
    CN_JSON_NULL,
    CN_JSON_FALSE,
    CN_JSON_TRUE,
    CN_JSON_NUMBER,
    CN_JSON_STRING,
    CN_JSON_ARRAY,
    CN_JSON_OBJECT,
} cn_json_type;

/* Text with a length, not NUL-terminated. */
typedef struct cn_text {
    const char *s;
    size_t n;
} cn_text;
bool cn_text_is(cn_text t, const char *literal);
bool cn_text_begins(cn_text t, const char *literal);
int cn_text_cmp(cn_text a, cn_text b); /* byte order */

typedef struct cn_json_node {
    cn_json_type type;
    uint32_t offset, length; /* span of the value in the text */
    uint32_t count;          /* members or elements */
    cn_text text;            /* decoded string, or the number as written */
    cn_text key;             /* decoded name when the parent is an object */
    struct cn_json_node *parent, *child, *next;
} cn_json_node;

typedef struct cn_json_limits {
    size_t max_bytes;  /* of the text, at most 4 GiB - 1 */
    size_t max_values; /* nodes */
    unsigned max_depth;
} cn_json_limits;

typedef struct cn_json cn_json; /* opaque; refers to the text, which must outlive it */
cn_status cn_json_parse(const void *text, size_t n, const cn_json_limits *limits, cn_json **ret, cn_err *err);
void cn_json_free(cn_json *json); /* NULL is fine */
const cn_json_node *cn_json_root(const cn_json *json);

/* The member of that name; NULL when there is none or object is NULL or no object. */
const cn_json_node *cn_json_get(const cn_json_node *object, const char *name);
/* 1-based line of a byte of the text. */
unsigned cn_json_line(const cn_json *json, size_t offset);

/* "/epcisBody/eventList/3/eventTime (line 41)" into err->field, the reason into err->text; returns CN_INVALID.
 * A pointer too long for the field keeps its end. member (may be NULL) is appended: the name of what is missing. */
cn_status cn_json_fail(const cn_json *json, const cn_json_node *node, const char *member, cn_err *err,
                       const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
