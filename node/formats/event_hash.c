#include "node/formats/event_hash.h"

#include "node/formats/gs1.h"
#include "node/formats/time.h"
#include "node/formats/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#define PREHASH_MAX ((size_t)128 << 20) /* twice the largest document */

/* ---- prefixes ---- */

/* The prefixes of the EPCIS 2.0 context. */
static const struct {
    const char *prefix, *space;
} known_prefixes[] = {
    {"epcis", "https://ref.gs1.org/epcis/"},
    {"cbv", "https://ref.gs1.org/cbv/"},
    {"cbvmda", "urn:epcglobal:cbv:mda:"},
    {"gs1", "https://gs1.org/voc/"},
    {"rdfs", "http://www.w3.org/2000/01/rdf-schema#"},
    {"owl", "http://www.w3.org/2002/07/owl#"},
    {"xsd", "http://www.w3.org/2001/XMLSchema#"},
    {"dcterms", "http://purl.org/dc/terms/"},
};

typedef struct hasher {
    const cn_json_node *contexts[2]; /* of the event, then of the document; NULL when absent */
    bool fault;                      /* sticky: out of memory or beyond PREHASH_MAX */
} hasher;

/* A prefix is declared as a string, or as an object with "@id". */
static bool declared(const cn_json_node *object, cn_text prefix, cn_text *ret)
{
    if (object->type != CN_JSON_OBJECT)
        return false;
    for (const cn_json_node *m = object->child; m; m = m->next) {
        if (cn_text_cmp(m->key, prefix) != 0)
            continue;
        const cn_json_node *value = m->type == CN_JSON_OBJECT ? cn_json_get(m, "@id") : m;
        if (!value || value->type != CN_JSON_STRING || value->text.n == 0)
            return false;
        *ret = value->text;
        return true;
    }
    return false;
}

static bool find_prefix(const hasher *h, cn_text prefix, cn_text *ret)
{
    bool found = false;
    for (size_t i = 0; i < 2 && !found; i++) {
        const cn_json_node *context = h->contexts[i];
        if (!context)
            continue;
        if (context->type != CN_JSON_ARRAY)
            found = declared(context, prefix, ret);
        else /* the last declaration counts */
            for (const cn_json_node *m = context->child; m; m = m->next)
                found = declared(m, prefix, ret) || found;
    }
    for (size_t i = 0; i < sizeof known_prefixes / sizeof known_prefixes[0] && !found; i++)
        if (cn_text_is(prefix, known_prefixes[i].prefix)) {
            *ret = (cn_text){known_prefixes[i].space, strlen(known_prefixes[i].space)};
            found = true;
        }
    return found;
}

/* Splits "prefix:local" when the prefix is declared. */
static bool split(const hasher *h, cn_text name, cn_text *ret_space, cn_text *ret_local)
{
    const char *colon = memchr(name.s, ':', name.n);
    if (!colon)
        return false;
    size_t n = (size_t)(colon - name.s);
    cn_text local = {colon + 1, name.n - n - 1};
    if (cn_text_begins(local, "//") || !find_prefix(h, (cn_text){name.s, n}, ret_space))
        return false;
    *ret_local = local;
    return true;
}

/* ---- pieces that are sorted before they are joined ---- */

typedef struct pieces {
    cn_buf bytes;
    struct piece {
        size_t start, n;
    } * piece;
    size_t count, cap;
} pieces;

static void pieces_init(pieces *p)
{
    *p = (pieces){.count = 0};
    cn_buf_init(&p->bytes, PREHASH_MAX);
}

static void pieces_free(pieces *p)
{
    cn_buf_free(&p->bytes);
    free(p->piece);
}

/* What was written to p->bytes since `start` becomes one piece; nothing written is no piece. */
static void pieces_end(hasher *h, pieces *p, size_t start)
{
    if (p->bytes.n == start)
        return;
    if (p->count == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 16;
        struct piece *grown = realloc(p->piece, cap * sizeof *grown);
        if (!grown) {
            h->fault = true;
            return;
        }
        p->piece = grown;
        p->cap = cap;
    }
    p->piece[p->count++] = (struct piece){start, p->bytes.n - start};
}

static int by_bytes(const void *a, const void *b, void *bytes)
{
    const struct piece *x = a, *y = b;
    const char *s = bytes;
    return cn_text_cmp((cn_text){s + x->start, x->n}, (cn_text){s + y->start, y->n});
}

static void put_sorted(hasher *h, cn_buf *out, pieces *p)
{
    h->fault = h->fault || p->bytes.fault;
    if (p->count > 1 && !h->fault)
        qsort_r(p->piece, p->count, sizeof *p->piece, by_bytes, p->bytes.p);
    for (size_t i = 0; i < p->count && !h->fault; i++)
        cn_put_bytes(out, p->bytes.p + p->piece[i].start, p->piece[i].n);
}

/* ---- values ---- */

static void put_str(cn_buf *out, const char *s)
{
    cn_put_bytes(out, s, strlen(s));
}

static cn_text trim(cn_text t)
{
    while (t.n && strchr(" \t\n\r\f\v", t.s[0]) && t.s[0])
        t = (cn_text){t.s + 1, t.n - 1};
    while (t.n && strchr(" \t\n\r\f\v", t.s[t.n - 1]) && t.s[t.n - 1])
        t.n--;
    return t;
}

static size_t count_digits(cn_text t, size_t at)
{
    size_t n = 0;
    while (at + n < t.n && t.s[at + n] >= '0' && t.s[at + n] <= '9')
        n++;
    return n;
}

#define NUMBER_MAX 256

/* Rule 6: one decimal notation for equal numbers: no sign +, no zeros that say nothing, no exponent. Exact, without
 * binary floating point. False when t is no number (or has hundreds of digits). */
static bool put_number(cn_buf *out, cn_text t)
{
    char digit[NUMBER_MAX];
    size_t at = t.n && (t.s[0] == '-' || t.s[0] == '+') ? 1 : 0, n = 0;
    bool negative = at && t.s[0] == '-';
    size_t whole = count_digits(t, at), point = at + whole;
    size_t decimals = point < t.n && t.s[point] == '.' ? count_digits(t, point + 1) : 0;
    size_t end = point + (point < t.n && t.s[point] == '.' ? 1 + decimals : 0);
    long exponent = 0;
    if (whole + decimals == 0 || whole + decimals > NUMBER_MAX / 4)
        return false;
    if (end < t.n && (t.s[end] == 'e' || t.s[end] == 'E')) {
        size_t sign = end + 1 < t.n && (t.s[end + 1] == '-' || t.s[end + 1] == '+') ? 1 : 0;
        size_t len = count_digits(t, end + 1 + sign);
        if (len == 0 || len > 3)
            return false;
        for (size_t i = 0; i < len; i++)
            exponent = exponent * 10 + (t.s[end + 1 + sign + i] - '0');
        if (sign && t.s[end + 1] == '-')
            exponent = -exponent;
        end += 1 + sign + len;
    }
    if (end != t.n || exponent > 64 || exponent < -64)
        return false;
    for (size_t i = 0; i < whole; i++)
        digit[n++] = t.s[at + i];
    for (size_t i = 0; i < decimals; i++)
        digit[n++] = t.s[point + 1 + i];
    long dot = (long)whole + exponent; /* digits before the decimal point */
    size_t first = 0;
    while (n && digit[n - 1] == '0')
        n--;
    while (first < n && digit[first] == '0')
        first++;
    if (first == n) {
        put_str(out, "0");
        return true;
    }
    if (negative)
        put_str(out, "-");
    if (dot <= (long)first)
        put_str(out, "0");
    for (long i = (long)first; i < dot; i++)
        cn_put_u8(out, (uint8_t)(i < (long)n ? digit[i] : '0'));
    if ((long)n > dot)
        put_str(out, ".");
    for (long i = dot; i < (long)n; i++)
        if (i < 0)
            put_str(out, "0");
        else
            cn_put_u8(out, (uint8_t)digit[i]);
    return true;
}

static const cn_vocabulary *const urn_vocabularies[] = {&cn_vocabulary_biz_step, &cn_vocabulary_disposition,
                                                        &cn_vocabulary_transaction_type, &cn_vocabulary_party_type,
                                                        &cn_vocabulary_error_reason};

/* Rules 5 to 7 and 14 to 18 on one text. */
static void put_text(const hasher *h, cn_buf *out, cn_text t)
{
    char link[CN_GS1_URI_MAX];
    cn_text space, local;
    t = trim(t);
    if (split(h, t, &space, &local)) {
        cn_put_bytes(out, space.s, space.n);
        cn_put_bytes(out, local.s, local.n);
        return;
    }
    for (size_t i = 0; i < sizeof urn_vocabularies / sizeof urn_vocabularies[0]; i++) {
        const cn_vocabulary *v = urn_vocabularies[i];
        if (cn_text_begins(t, v->urn)) {
            put_str(out, v->web);
            cn_put_bytes(out, t.s + strlen(v->urn), t.n - strlen(v->urn));
            return;
        }
    }
    if (put_number(out, t))
        return;
    if (cn_gs1_canonical(t.s, t.n, link, NULL) != CN_GS1_NONE)
        put_str(out, link);
    else
        cn_put_bytes(out, t.s, t.n);
}

static bool is_scalar(const cn_json_node *node)
{
    return node->type != CN_JSON_ARRAY && node->type != CN_JSON_OBJECT && node->type != CN_JSON_NULL;
}

static void put_scalar(const hasher *h, cn_buf *out, const cn_json_node *node)
{
    if (node->type == CN_JSON_TRUE)
        put_str(out, "true");
    else if (node->type == CN_JSON_FALSE)
        put_str(out, "false");
    else if (node->type == CN_JSON_NUMBER || node->type == CN_JSON_STRING)
        put_text(h, out, node->text);
}

/* ---- what the canonical property order names ---- */

typedef enum form { TEXT, TIME, TERM, LIST, OBJECTS } form;

typedef struct property {
    const char *name;
    form form;
    const cn_vocabulary *vocabulary;   /* TERM */
    const char *element;               /* LIST, OBJECTS: name of each element, NULL for the property's own */
    const struct property *properties; /* OBJECTS: of each element */
} property;

static const property quantity_properties[] = {
    {"epcClass", TEXT, NULL, NULL, NULL}, {"quantity", TEXT, NULL, NULL, NULL}, {"uom", TEXT, NULL, NULL, NULL}, {0}};
static const property disposition_properties[] = {{"set", TERM, &cn_vocabulary_disposition, NULL, NULL},
                                                  {"unset", TERM, &cn_vocabulary_disposition, NULL, NULL},
                                                  {0}};
static const property place_properties[] = {{"id", TEXT, NULL, NULL, NULL}, {0}};
static const property metadata_properties[] = {{"time", TIME, NULL, NULL, NULL},
                                               {"startTime", TIME, NULL, NULL, NULL},
                                               {"endTime", TIME, NULL, NULL, NULL},
                                               {"deviceID", TEXT, NULL, NULL, NULL},
                                               {"deviceMetadata", TEXT, NULL, NULL, NULL},
                                               {"rawData", TEXT, NULL, NULL, NULL},
                                               {"dataProcessingMethod", TEXT, NULL, NULL, NULL},
                                               {"bizRules", TEXT, NULL, NULL, NULL},
                                               {0}};
static const property report_properties[] = {{"type", TERM, &cn_vocabulary_measurement, NULL, NULL},
                                             {"exception", TERM, &cn_vocabulary_alert, NULL, NULL},
                                             {"deviceID", TEXT, NULL, NULL, NULL},
                                             {"deviceMetadata", TEXT, NULL, NULL, NULL},
                                             {"rawData", TEXT, NULL, NULL, NULL},
                                             {"dataProcessingMethod", TEXT, NULL, NULL, NULL},
                                             {"time", TIME, NULL, NULL, NULL},
                                             {"microorganism", TEXT, NULL, NULL, NULL},
                                             {"chemicalSubstance", TEXT, NULL, NULL, NULL},
                                             {"value", TEXT, NULL, NULL, NULL},
                                             {"component", TERM, &cn_vocabulary_component, NULL, NULL},
                                             {"stringValue", TEXT, NULL, NULL, NULL},
                                             {"booleanValue", TEXT, NULL, NULL, NULL},
                                             {"hexBinaryValue", TEXT, NULL, NULL, NULL},
                                             {"uriValue", TEXT, NULL, NULL, NULL},
                                             {"minValue", TEXT, NULL, NULL, NULL},
                                             {"maxValue", TEXT, NULL, NULL, NULL},
                                             {"meanValue", TEXT, NULL, NULL, NULL},
                                             {"sDev", TEXT, NULL, NULL, NULL},
                                             {"percRank", TEXT, NULL, NULL, NULL},
                                             {"percValue", TEXT, NULL, NULL, NULL},
                                             {"uom", TEXT, NULL, NULL, NULL},
                                             {"coordinateReferenceSystem", TEXT, NULL, NULL, NULL},
                                             {0}};
static const property sensor_properties[] = {{"sensorMetadata", OBJECTS, NULL, NULL, metadata_properties},
                                             {"sensorReport", OBJECTS, NULL, NULL, report_properties},
                                             {0}};
static const property event_properties[] = {
    {"eventTime", TIME, NULL, NULL, NULL},
    {"eventTimeZoneOffset", TEXT, NULL, NULL, NULL},
    {"certificationInfo", TEXT, NULL, NULL, NULL},
    {"parentID", TEXT, NULL, NULL, NULL},
    {"epcList", LIST, NULL, "epc", NULL},
    {"inputEPCList", LIST, NULL, "epc", NULL},
    {"childEPCs", LIST, NULL, "epc", NULL},
    {"quantityList", OBJECTS, NULL, "quantityElement", quantity_properties},
    {"childQuantityList", OBJECTS, NULL, "quantityElement", quantity_properties},
    {"inputQuantityList", OBJECTS, NULL, "quantityElement", quantity_properties},
    {"outputEPCList", LIST, NULL, "epc", NULL},
    {"outputQuantityList", OBJECTS, NULL, "quantityElement", quantity_properties},
    {"action", TEXT, NULL, NULL, NULL},
    {"transformationID", TEXT, NULL, NULL, NULL},
    {"bizStep", TERM, &cn_vocabulary_biz_step, NULL, NULL},
    {"disposition", TERM, &cn_vocabulary_disposition, NULL, NULL},
    {"persistentDisposition", OBJECTS, NULL, NULL, disposition_properties},
    {"readPoint", OBJECTS, NULL, NULL, place_properties},
    {"bizLocation", OBJECTS, NULL, NULL, place_properties},
    {"sensorElementList", OBJECTS, NULL, "sensorElement", sensor_properties},
    {0}};

/* These follow, sorted together with ilmd and the user extensions of the event. */
static const property transaction_properties[] = {
    {"type", TERM, &cn_vocabulary_transaction_type, NULL, NULL}, {"bizTransaction", TEXT, NULL, NULL, NULL}, {0}};
static const property source_properties[] = {
    {"type", TERM, &cn_vocabulary_party_type, NULL, NULL}, {"source", TEXT, NULL, NULL, NULL}, {0}};
static const property destination_properties[] = {
    {"type", TERM, &cn_vocabulary_party_type, NULL, NULL}, {"destination", TEXT, NULL, NULL, NULL}, {0}};
static const property late_properties[] = {{"bizTransactionList", OBJECTS, NULL, "", transaction_properties},
                                           {"sourceList", OBJECTS, NULL, "", source_properties},
                                           {"destinationList", OBJECTS, NULL, "", destination_properties},
                                           {0}};

static const property *find_property(const property *list, cn_text name)
{
    for (; list->name; list++)
        if (cn_text_is(name, list->name))
            return list;
    return NULL;
}

static void put_time(const hasher *h, cn_buf *out, cn_text t)
{
    char text[CN_TIME_TEXT];
    int64_t ms = 0;
    t = trim(t);
    if (!cn_time_parse(t.s, t.n, &ms)) {
        put_text(h, out, t);
        return;
    }
    cn_time_format(ms, text);
    put_str(out, text);
}

/* name=value; nothing for an empty value */
static void put_property_value(hasher *h, cn_buf *out, const property *p, const char *name, const cn_json_node *node)
{
    cn_text word;
    if (!is_scalar(node) || (node->type == CN_JSON_STRING && trim(node->text).n == 0))
        return;
    put_str(out, name);
    put_str(out, "=");
    if (p->form == TIME && node->type == CN_JSON_STRING) {
        put_time(h, out, node->text);
    } else if (p->form == TERM && node->type == CN_JSON_STRING &&
               cn_vocabulary_find(p->vocabulary, node->text, &word) == CN_TERM_STANDARD) {
        put_str(out, p->vocabulary->web);
        cn_put_bytes(out, word.s, word.n);
    } else {
        put_scalar(h, out, node);
    }
}

static void put_object(hasher *h, cn_buf *out, const property *properties, const cn_json_node *object);

/* One element of a property; node is a scalar or (OBJECTS) an object. */
static void put_element(hasher *h, cn_buf *out, const property *p, const cn_json_node *node)
{
    const char *name = p->element ? p->element : p->name;
    if (p->form != OBJECTS) {
        put_property_value(h, out, p, name, node);
        return;
    }
    size_t start = out->n;
    put_str(out, name);
    size_t inside = out->n;
    if (node->type == CN_JSON_OBJECT)
        put_object(h, out, p->properties, node);
    if (out->n == inside)
        out->n = start; /* an element without content is left out, with its name */
}

static void put_property(hasher *h, cn_buf *out, const property *p, const cn_json_node *node)
{
    pieces list;
    pieces_init(&list);
    if (node->type == CN_JSON_ARRAY) {
        for (const cn_json_node *m = node->child; m && !h->fault; m = m->next) {
            size_t start = list.bytes.n;
            put_element(h, &list.bytes, p, m);
            pieces_end(h, &list, start);
        }
    } else {
        put_element(h, &list.bytes, p, node);
        pieces_end(h, &list, 0);
    }
    if (list.count && p->element)
        put_str(out, p->name);
    put_sorted(h, out, &list);
    pieces_free(&list);
}

/* ---- what it does not name: ilmd, user extensions ---- */

static bool is_ignored(const hasher *h, const cn_json_node *m, bool in_event)
{
    static const char *const always[] = {"rdfs:comment", "comment", "@context", NULL};
    static const char *const of_event[] = {"recordTime", "eventID", "type", "errorDeclaration", NULL};
    cn_text space, local;
    for (size_t i = 0; always[i]; i++)
        if (cn_text_is(m->key, always[i]))
            return true;
    for (size_t i = 0; in_event && of_event[i]; i++)
        if (cn_text_is(m->key, of_event[i]))
            return true;
    return split(h, m->key, &space, &local) && cn_text_is(space, "http://www.w3.org/2000/01/rdf-schema#") &&
           cn_text_is(local, "comment");
}

static void gather_extension(hasher *h, pieces *list, const cn_json_node *m);

/* {namespace}name, =value, then the members sorted. Depth is bounded by the reader's limit. */
static void put_extension(hasher *h, cn_buf *out, cn_text key, const cn_json_node *node)
{
    cn_text space, local;
    if (node->type == CN_JSON_NULL)
        return;
    if (split(h, key, &space, &local)) {
        put_str(out, "{");
        cn_put_bytes(out, space.s, space.n);
        put_str(out, "}");
        cn_put_bytes(out, local.s, local.n);
    } else {
        cn_put_bytes(out, key.s, key.n);
    }
    if (is_scalar(node)) {
        if (node->type != CN_JSON_STRING || trim(node->text).n) {
            put_str(out, "=");
            put_scalar(h, out, node);
        }
        return;
    }
    pieces inner;
    pieces_init(&inner);
    for (const cn_json_node *m = node->child; m && !h->fault; m = m->next) {
        size_t start = inner.bytes.n;
        if (node->type == CN_JSON_ARRAY) {
            put_extension(h, &inner.bytes, m->key, m);
            pieces_end(h, &inner, start);
        } else if (!is_ignored(h, m, false)) {
            gather_extension(h, &inner, m);
        }
    }
    put_sorted(h, out, &inner);
    pieces_free(&inner);
}

/* Each element of an array is an extension of the same name. */
static void gather_extension(hasher *h, pieces *list, const cn_json_node *m)
{
    const cn_json_node *first = m->type == CN_JSON_ARRAY ? m->child : m;
    for (const cn_json_node *e = first; e && !h->fault; e = m->type == CN_JSON_ARRAY ? e->next : NULL) {
        size_t start = list->bytes.n;
        put_extension(h, &list->bytes, m->key, e);
        pieces_end(h, list, start);
    }
}

static void put_object(hasher *h, cn_buf *out, const property *properties, const cn_json_node *object)
{
    bool in_event = properties == event_properties;
    for (const property *p = properties; p->name && !h->fault; p++) {
        const cn_json_node *m = cn_json_get(object, p->name);
        if (m)
            put_property(h, out, p, m);
    }
    pieces rest;
    pieces_init(&rest);
    for (const cn_json_node *m = object->child; m && !h->fault; m = m->next) {
        if (is_ignored(h, m, in_event) || find_property(properties, m->key))
            continue;
        const property *late = in_event ? find_property(late_properties, m->key) : NULL;
        if (late) {
            size_t start = rest.bytes.n;
            put_property(h, &rest.bytes, late, m);
            pieces_end(h, &rest, start);
        } else {
            gather_extension(h, &rest, m);
        }
    }
    put_sorted(h, out, &rest);
    pieces_free(&rest);
}

cn_status cn_event_prehash(const cn_json_node *event, const cn_json_node *document, cn_buf *out, cn_err *err)
{
    hasher h = {.contexts = {cn_json_get(event, "@context"), cn_json_get(document, "@context")}};
    const cn_json_node *type = cn_json_get(event, "type");
    if (!type || type->type != CN_JSON_STRING)
        return cn_fail(err, CN_INVALID, "event", "an event must be an object with a type");
    put_str(out, "eventType=");
    cn_put_bytes(out, type->text.s, type->text.n);
    put_object(&h, out, event_properties, event);
    if (h.fault || out->fault)
        return cn_fail(err, CN_NO_MEMORY, "event", "its pre-hash string needs more memory than there is");
    return CN_OK;
}

cn_status cn_event_hash(const cn_json_node *event, const cn_json_node *document, char ret[CN_EPCIS_HASH_MAX],
                        cn_err *err)
{
    cn_buf text;
    cn_buf_init(&text, PREHASH_MAX);
    cn_status st = cn_event_prehash(event, document, &text, err);
    if (st == CN_OK) {
        cn_digest digest = cn_sha256(text.p, text.n);
        cn_hex32 hex = cn_digest_hex(&digest);
        memcpy(ret, "ni:///sha-256;", 14);
        memcpy(ret + 14, hex.s, 64);
        memcpy(ret + 78, "?ver=CBV2.0", 12);
    }
    cn_buf_free(&text);
    return st;
}

static cn_status put_line(const cn_json_node *event, const cn_json_node *document, bool prehash, cn_buf *out,
                          cn_err *err)
{
    char hash[CN_EPCIS_HASH_MAX];
    cn_status st = prehash ? cn_event_prehash(event, document, out, err) : cn_event_hash(event, document, hash, err);
    if (st == CN_OK && !prehash)
        put_str(out, hash);
    put_str(out, "\n");
    return st;
}

cn_status cn_event_hash_document(const void *text, size_t n, bool prehash, cn_buf *out, cn_err *err)
{
    const cn_json_limits limits = {CN_EPCIS_MAX_BYTES, CN_EPCIS_MAX_VALUES, CN_EPCIS_MAX_DEPTH};
    cn_json *json = NULL;
    cn_status st = cn_json_parse(text, n, &limits, &json, err);
    if (st != CN_OK)
        return st;
    const cn_json_node *root = cn_json_root(json), *body = cn_json_get(root, "epcisBody");
    const cn_json_node *results = cn_json_get(cn_json_get(body, "queryResults"), "resultsBody");
    const cn_json_node *events = cn_json_get(results ? results : body, "eventList");
    if (!body)
        st = put_line(root, NULL, prehash, out, err);
    else if (!events || events->type != CN_JSON_ARRAY)
        st = cn_json_fail(json, body, "eventList", err, "is missing or is no array");
    else
        for (const cn_json_node *e = events->child; e && st == CN_OK; e = e->next)
            st = put_line(e, root, prehash, out, err);
    if (st == CN_OK && out->fault)
        st = cn_fail(err, CN_NO_MEMORY, "document", "the answer exceeds the memory allowed");
    cn_json_free(json);
    return st;
}
