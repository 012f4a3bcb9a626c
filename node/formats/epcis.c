#include "node/formats/epcis.h"

#include "node/formats/epcis_check.h"
#include "node/formats/epcis_subjects.h"
#include "node/formats/event_hash.h"
#include "node/formats/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cn_epcis_doc {
    cn_span text;
    cn_digest digest;
    bool bare;
    uint64_t created_ms;
    size_t event_count;
    cn_epcis_event *event;
    cn_pool pool;
};

static const char *const type_names[] = {
#define CN_EPCIS_NAME(name, text) [name] = text,
    CN_EPCIS_TYPES(CN_EPCIS_NAME)
#undef CN_EPCIS_NAME
};

const char *cn_epcis_type_name(cn_epcis_type type)
{
    CN_ASSERT((size_t)type < sizeof type_names / sizeof type_names[0]);
    return type_names[type];
}

/* Everything about one event but its line and pointer. */
static cn_status read_event(cn_epcis_doc *doc, const cn_json *json, const cn_json_node *node,
                            const cn_json_node *document, cn_epcis_event *ret, cn_err *err)
{
    cn_epcis_facts facts;
    cn_status st = cn_epcis_check_event(json, node, &facts, err);
    if (st != CN_OK)
        return st;
    ret->offset = node->offset;
    ret->length = node->length;
    ret->type = facts.type;
    ret->action = facts.action;
    ret->event_ms = facts.event_ms;
    ret->first_ms = facts.first_ms;
    ret->last_ms = facts.last_ms;
    st = cn_epcis_find_subjects(json, node, &facts, &doc->pool, ret, err);
    return st == CN_OK ? cn_event_hash(node, document, ret->hash, err) : st;
}

static cn_status read_bare(cn_epcis_doc *doc, const cn_json *json, const cn_json_node *root, cn_err *err)
{
    cn_status st = cn_epcis_check_context(json, root, err);
    if (st != CN_OK)
        return st;
    doc->bare = true;
    doc->event = cn_pool_alloc(&doc->pool, sizeof *doc->event);
    if (!doc->event)
        return cn_fail(err, CN_NO_MEMORY, "document", "out of memory");
    st = read_event(doc, json, root, NULL, doc->event, err);
    if (st != CN_OK)
        return st;
    doc->event->line = cn_json_line(json, root->offset);
    doc->event_count = 1;
    doc->created_ms = doc->event->event_ms;
    return CN_OK;
}

static cn_status check_version(const cn_json *json, const cn_json_node *version, cn_err *err)
{
    bool ok = version->type == CN_JSON_STRING && cn_text_begins(version->text, "2");
    for (size_t i = 1; ok && i < version->text.n; i++)
        ok = version->text.s[i] == '.' || (version->text.s[i] >= '0' && version->text.s[i] <= '9');
    if (ok && version->text.n > 1)
        ok = version->text.s[1] == '.' && version->text.n > 2;
    return ok ? CN_OK : cn_json_fail(json, version, NULL, err, "must be \"2.0\" or a later 2.x");
}

static cn_status check_header(const cn_json *json, const cn_json_node *root, cn_err *err)
{
    static const char *const known[] = {
        "@context",    "id",        "type", "schemaVersion", "creationDate", "instanceIdentifier", "sender", "receiver",
        "epcisHeader", "epcisBody", NULL};
    static const char *const needed[] = {"schemaVersion", "creationDate", "epcisBody", NULL};
    static const char *const texts[] = {"id", "instanceIdentifier", "sender", "receiver", NULL};
    cn_status st = cn_epcis_check_context(json, root, err);
    if (st != CN_OK)
        return st;
    for (size_t i = 0; needed[i]; i++)
        if (!cn_json_get(root, needed[i]))
            return cn_json_fail(json, root, needed[i], err, "is missing, and EPCIS 2.0 requires it");
    for (const cn_json_node *m = root->child; m; m = m->next) {
        size_t k = 0;
        while (known[k] && !cn_text_is(m->key, known[k]))
            k++;
        if (!known[k] && !memchr(m->key.s, ':', m->key.n))
            return cn_json_fail(json, m, NULL, err, "is no field of an EPCISDocument; an extension needs a prefix");
    }
    for (size_t i = 0; texts[i]; i++) {
        const cn_json_node *m = cn_json_get(root, texts[i]);
        if (m && m->type != CN_JSON_STRING)
            return cn_json_fail(json, m, NULL, err, "must be a string");
    }
    const cn_json_node *header = cn_json_get(root, "epcisHeader");
    if (header && header->type != CN_JSON_OBJECT)
        return cn_json_fail(json, header, NULL, err, "must be an object");
    return check_version(json, cn_json_get(root, "schemaVersion"), err);
}

/* Lines in one pass: events ascend in the text. */
static void set_places(cn_epcis_doc *doc)
{
    const char *text = doc->text.p;
    unsigned line = 1;
    size_t at = 0;
    for (size_t i = 0; i < doc->event_count; i++) {
        cn_epcis_event *e = &doc->event[i];
        for (; at < e->offset; at++)
            line += text[at] == '\n';
        e->line = line;
        snprintf(e->pointer, sizeof e->pointer, "/epcisBody/eventList/%zu", i);
    }
}

static cn_status read_events(cn_epcis_doc *doc, const cn_json *json, const cn_json_node *root, cn_err *err)
{
    const cn_json_node *body = cn_json_get(root, "epcisBody"), *list = cn_json_get(body, "eventList");
    if (body->type != CN_JSON_OBJECT)
        return cn_json_fail(json, body, NULL, err, "must be an object");
    if (!list)
        return cn_json_fail(json, body, "eventList", err, "is missing, and EPCIS 2.0 requires it");
    if (list->type != CN_JSON_ARRAY)
        return cn_json_fail(json, list, NULL, err, "must be an array of events");
    doc->event = cn_pool_alloc(&doc->pool, (list->count + 1) * sizeof *doc->event);
    if (!doc->event)
        return cn_fail(err, CN_NO_MEMORY, "document", "its events need more memory than there is");
    for (const cn_json_node *e = list->child; e; e = e->next) {
        cn_status st = read_event(doc, json, e, root, &doc->event[doc->event_count], err);
        if (st != CN_OK)
            return st;
        doc->event_count++;
    }
    set_places(doc);
    return CN_OK;
}

static cn_status read_root(cn_epcis_doc *doc, const cn_json *json, cn_err *err)
{
    const cn_json_node *root = cn_json_root(json), *type = cn_json_get(root, "type");
    cn_epcis_type ignored;
    if (root->type != CN_JSON_OBJECT)
        return cn_json_fail(json, root, NULL, err, "an EPCISDocument or an event is an object");
    if (!type || type->type != CN_JSON_STRING)
        return cn_json_fail(json, root, "type", err, "is missing: EPCISDocument or an event type");
    if (cn_text_is(type->text, "EPCISQueryDocument"))
        return cn_json_fail(json, type, NULL, err,
                            "a query document is an answer, not a capture; send its events as an EPCISDocument");
    if (cn_epcis_type_parse(type->text, &ignored))
        return read_bare(doc, json, root, err);
    if (!cn_text_is(type->text, "EPCISDocument"))
        return cn_json_fail(json, type, NULL, err, "\"%.*s\" is neither EPCISDocument nor an event type of EPCIS 2.0",
                            (int)(type->text.n < 60 ? type->text.n : 60), type->text.s);
    cn_status st = check_header(json, root, err);
    if (st == CN_OK)
        st = cn_epcis_check_time(json, cn_json_get(root, "creationDate"), &doc->created_ms, err);
    return st == CN_OK ? read_events(doc, json, root, err) : st;
}

cn_status cn_epcis_parse(const void *text, size_t n, size_t max_bytes, cn_epcis_doc **ret, cn_err *err)
{
    cn_json_limits limits = {max_bytes < CN_EPCIS_MAX_BYTES ? max_bytes : CN_EPCIS_MAX_BYTES, CN_EPCIS_MAX_VALUES,
                             CN_EPCIS_MAX_DEPTH};
    cn_json *json = NULL;
    cn_status st = cn_json_parse(text, n, &limits, &json, err);
    if (st != CN_OK)
        return st;
    cn_epcis_doc *doc = calloc(1, sizeof *doc);
    if (doc) {
        doc->text = CN_SPAN(text, n);
        doc->digest = cn_sha256(text, n);
        /* an event costs at least 60 bytes of text and one record; a subject grows at most by its canonical form */
        cn_pool_init(&doc->pool, 64 * n + ((size_t)1 << 21));
        st = read_root(doc, json, err);
    } else {
        st = cn_fail(err, CN_NO_MEMORY, "document", "out of memory");
    }
    cn_json_free(json);
    if (st == CN_OK)
        *ret = doc;
    else
        cn_epcis_free(doc);
    return st;
}

void cn_epcis_free(cn_epcis_doc *doc)
{
    if (!doc)
        return;
    cn_pool_free(&doc->pool);
    free(doc);
}

cn_span cn_epcis_text(const cn_epcis_doc *doc)
{
    return doc->text;
}

cn_digest cn_epcis_digest(const cn_epcis_doc *doc)
{
    return doc->digest;
}

bool cn_epcis_is_bare(const cn_epcis_doc *doc)
{
    return doc->bare;
}

size_t cn_epcis_event_count(const cn_epcis_doc *doc)
{
    return doc->event_count;
}

const cn_epcis_event *cn_epcis_event_at(const cn_epcis_doc *doc, size_t index)
{
    CN_ASSERT(index < doc->event_count);
    return &doc->event[index];
}

uint64_t cn_epcis_created_ms(const cn_epcis_doc *doc)
{
    return doc->created_ms;
}
