/* Items back to documents, and what an item says about itself. */
#include "node/formats/envelope.h"
#include "node/formats/epcis_subjects.h"
#include "node/formats/plan.h"
#include "node/formats/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_HEAD (1u + CN_ITEM_SALT_LEN)
#define ITEM_MAX_VALUES CN_MAX_ITEM_BYTES

cn_status cn_item_split(const void *item, size_t n, cn_plan_item *ret, cn_err *err)
{
    const uint8_t *p = item;
    if (n <= ITEM_HEAD)
        return cn_fail(err, CN_INVALID, "item", "an item has a format, a salt of 16 bytes, and content");
    *ret = (cn_plan_item){p[0], CN_SPAN(p + ITEM_HEAD, n - ITEM_HEAD)};
    return CN_OK;
}

/* One stretch: the envelope at items[0] and its events behind it. Returns how many items it took, 0 on a fault. */
static size_t put_stretch(const cn_plan_item *items, size_t count, const cn_envelope *e, cn_buf *out)
{
    const uint8_t *rest = e->rest.p;
    size_t at = 0;
    if (e->event_count >= count)
        return 0;
    for (size_t i = 0; i < e->event_count; i++) {
        if (items[1 + i].format != CN_ITEM_EPCIS)
            return 0;
        cn_put_bytes(out, rest + at, e->point[i] - at);
        cn_put_bytes(out, items[1 + i].content.p, items[1 + i].content.n);
        at = e->point[i];
    }
    cn_put_bytes(out, rest + at, e->rest.n - at);
    return 1 + (size_t)e->event_count;
}

static cn_status join_parts(const cn_plan_item *items, size_t count, cn_envelope *e, cn_buf *out, cn_err *err)
{
    cn_digest document = {{0}};
    uint64_t size = 0;
    unsigned parts = 1, part = 0;
    size_t start = out->n, at = 0;
    for (; part < parts; part++) {
        if (at == count || items[at].format != CN_ITEM_ENVELOPE)
            return cn_fail(err, CN_INVALID, "items", "part %u of %u is not here", part, parts);
        cn_status st = cn_envelope_read(items[at].content.p, items[at].content.n, e, err);
        if (st != CN_OK)
            return st;
        if (part == 0) {
            document = e->document;
            size = e->size;
            parts = e->parts;
        }
        if (e->part != part || e->parts != parts || e->size != size || e->offset != out->n - start ||
            !cn_digest_eq(&e->document, &document))
            return cn_fail(err, CN_INVALID, "items", "the envelope at item %zu does not continue this document", at);
        size_t taken = put_stretch(items + at, count - at, e, out);
        if (taken == 0)
            return cn_fail(err, CN_INVALID, "items", "the envelope at item %zu names events that are not here", at);
        at += taken;
    }
    if (at != count || out->fault || out->n - start != size)
        return cn_fail(err, CN_INVALID, "items", "the items do not make a document of %llu bytes",
                       (unsigned long long)size);
    cn_digest got = cn_sha256(out->p + start, out->n - start);
    if (!cn_digest_eq(&got, &document))
        return cn_fail(err, CN_INVALID, "items", "the document has SHA-256 %s, its envelope says another",
                       cn_digest_hex(&got).s);
    return CN_OK;
}

cn_status cn_document_reassemble(const cn_plan_item *items, size_t count, cn_buf *out, cn_err *err)
{
    if (count == 1 && items[0].format == CN_ITEM_EPCIS) {
        cn_put_bytes(out, items[0].content.p, items[0].content.n);
        return out->fault ? cn_fail(err, CN_NO_MEMORY, "items", "out of memory") : CN_OK;
    }
    cn_envelope *e = malloc(sizeof *e);
    if (!e)
        return cn_fail(err, CN_NO_MEMORY, "items", "out of memory");
    cn_status st = join_parts(items, count, e, out, err);
    free(e);
    return st;
}

/* ---- what an item says about itself ---- */

typedef struct memory {
    cn_pool pool;
    char document_uri[96];
    const char *only[1];
} memory;

static cn_status read_envelope(const void *content, size_t n, memory *m, cn_item_info *ret, cn_err *err)
{
    cn_envelope *e = malloc(sizeof *e);
    if (!e)
        return cn_fail(err, CN_NO_MEMORY, "item", "out of memory");
    cn_status st = cn_envelope_read(content, n, e, err);
    if (st == CN_OK) {
        snprintf(m->document_uri, sizeof m->document_uri, "urn:carnet:document:%s", cn_digest_hex(&e->document).s);
        m->only[0] = m->document_uri;
        ret->document = e->document;
        ret->part = e->part;
        ret->parts = e->parts;
        ret->subject = m->only;
        ret->subject_count = 1;
    }
    free(e);
    return st;
}

static cn_status read_epcis(const void *content, size_t n, memory *m, cn_item_info *ret, cn_err *err)
{
    const cn_json_limits limits = {CN_MAX_ITEM_BYTES, ITEM_MAX_VALUES, CN_EPCIS_MAX_DEPTH};
    cn_epcis_facts facts;
    cn_json *json = NULL;
    cn_status st = cn_json_parse(content, n, &limits, &json, err);
    if (st != CN_OK)
        return st;
    const cn_json_node *root = cn_json_root(json);
    cn_epcis_event *event = &ret->event;
    st = cn_epcis_check_event(json, root, &facts, err);
    if (st == CN_OK) {
        event->offset = root->offset;
        event->length = root->length;
        event->line = cn_json_line(json, root->offset);
        event->type = facts.type;
        event->action = facts.action;
        event->event_ms = facts.event_ms;
        event->first_ms = facts.first_ms;
        event->last_ms = facts.last_ms;
        st = cn_epcis_find_subjects(json, root, &facts, &m->pool, event, err);
    }
    ret->is_event = true;
    ret->subject = event->subject;
    ret->subject_count = event->subject_count;
    cn_json_free(json);
    return st;
}

cn_status cn_item_subjects(uint8_t format, const void *content, size_t n, cn_item_info *ret, cn_err *err)
{
    cn_item_info info = {.readable = format == CN_ITEM_EPCIS || format == CN_ITEM_ENVELOPE};
    cn_status st = CN_OK;
    if (info.readable) {
        memory *m = calloc(1, sizeof *m);
        if (!m)
            return cn_fail(err, CN_NO_MEMORY, "item", "out of memory");
        cn_pool_init(&m->pool, (size_t)64 * CN_MAX_ITEM_BYTES);
        info.memory = m;
        st = format == CN_ITEM_EPCIS ? read_epcis(content, n, m, &info, err) : read_envelope(content, n, m, &info, err);
    }
    if (st == CN_OK)
        *ret = info;
    else
        cn_item_info_free(&info);
    return st;
}

void cn_item_info_free(cn_item_info *info)
{
    memory *m = info->memory;
    if (m)
        cn_pool_free(&m->pool);
    free(m);
    *info = (cn_item_info){.readable = false};
}
