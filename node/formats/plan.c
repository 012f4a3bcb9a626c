#include "node/formats/plan.h"

#include "node/formats/envelope.h"
#include "node/formats/pool.h"
#include "node/formats/subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Upper bounds of what protobuf adds around items, entries and the rest of a SignedStatement (proto/carnet.proto). */
#define STATEMENT_OVERHEAD 320u
#define ENTRY_BYTES 60u
#define ITEM_OVERHEAD (4u + 1u + CN_ITEM_SALT_LEN)

/* A stretch of the document and its events. */
typedef struct stretch {
    size_t start, end;
    size_t event_start, event_count;
} stretch;

struct cn_plan {
    const cn_epcis_doc *doc;
    uint8_t salt[32];
    char document_uri[96];
    size_t stretch_count, stretch_cap;
    stretch *stretch;
    cn_plan_part *part;
    size_t pairing_count;
    cn_plan_pairing *pairing;
    cn_pool pool;
};

/* ---- cutting ---- */

/* The part that is being filled. */
typedef struct filling {
    stretch s;
    size_t rest;  /* remaining (non-event) bytes so far */
    size_t bytes; /* of event items with their overhead */
    size_t subject_count, entry_count;
    struct {
        const char *uri;
        size_t last_item;
    } subject[CN_MAX_SUBJECTS];
} filling;

static void begin_part(const cn_plan *plan, filling *f, size_t at, size_t event)
{
    *f = (filling){.s = {.start = at, .end = at, .event_start = event}, .subject_count = 1, .entry_count = 1};
    f->subject[0].uri = plan->document_uri; /* the envelope, item 0 */
}

static cn_status end_part(cn_plan *plan, const filling *f, cn_err *err)
{
    if (plan->stretch_count == plan->stretch_cap) {
        size_t cap = plan->stretch_cap ? 2 * plan->stretch_cap : 8;
        stretch *grown = realloc(plan->stretch, cap * sizeof *grown);
        if (!grown)
            return cn_fail(err, CN_NO_MEMORY, "document", "out of memory");
        plan->stretch = grown;
        plan->stretch_cap = cap;
    }
    if (plan->stretch_count == UINT16_MAX)
        return cn_fail(err, CN_TOO_LARGE, "document", "it needs more than %u statements", UINT16_MAX);
    plan->stretch[plan->stretch_count++] = f->s;
    return CN_OK;
}

/* The subjects of an event, with the document's digest standing in for none. */
static size_t subjects_of(const cn_plan *plan, const cn_epcis_event *e, const char *const **ret, const char **stand_in)
{
    *stand_in = plan->document_uri;
    *ret = e->subject_count ? e->subject : stand_in;
    return e->subject_count ? e->subject_count : 1;
}

static size_t find_subject(const filling *f, const char *uri)
{
    size_t i = 0;
    while (i < f->subject_count && strcmp(f->subject[i].uri, uri) != 0)
        i++;
    return i;
}

/* Adds the event and the gap before it to a copy of the part; keeps the copy when all limits hold. */
static bool try_event(const cn_plan *plan, filling *f, const cn_epcis_event *e, size_t gap)
{
    filling t = *f;
    const char *const *uri, *stand_in;
    size_t n = subjects_of(plan, e, &uri, &stand_in), item = t.s.event_count + 1;
    for (size_t i = 0; i < n; i++) {
        size_t k = find_subject(&t, uri[i]);
        if (k == CN_MAX_SUBJECTS)
            return false;
        if (k == t.subject_count) {
            t.subject_count++;
            t.subject[k].uri = uri[i];
            t.entry_count++;
        } else if (t.subject[k].last_item + 1 != item) {
            t.entry_count++; /* not contiguous with its last range */
        }
        t.subject[k].last_item = item;
    }
    t.rest += gap;
    t.bytes += e->length + ITEM_OVERHEAD;
    t.s.event_count++;
    t.s.end = e->offset + e->length;
    size_t envelope = CN_ENVELOPE_HEAD + 4 * t.s.event_count + t.rest;
    size_t whole = STATEMENT_OVERHEAD + t.entry_count * ENTRY_BYTES + envelope + ITEM_OVERHEAD + t.bytes;
    if (envelope > CN_PLAN_CONTENT_BYTES || t.s.event_count + 1 > CN_MAX_ITEMS || t.entry_count > CN_MAX_ENTRIES ||
        whole > CN_MAX_STATEMENT_BYTES)
        return false;
    *f = t;
    return true;
}

/* As much of the text up to `stop` as the envelope still holds. */
static void take_rest(filling *f, size_t stop)
{
    size_t used = CN_ENVELOPE_HEAD + 4 * f->s.event_count + f->rest, room = CN_PLAN_CONTENT_BYTES - used;
    size_t n = stop - f->s.end < room ? stop - f->s.end : room;
    f->rest += n;
    f->s.end += n;
}

static cn_status cut(cn_plan *plan, cn_err *err)
{
    size_t n = cn_epcis_text(plan->doc).n, events = cn_epcis_event_count(plan->doc), next = 0;
    cn_status st = CN_OK;
    filling f;
    begin_part(plan, &f, 0, 0);
    while (st == CN_OK && (next < events || f.s.end < n)) {
        const cn_epcis_event *e = next < events ? cn_epcis_event_at(plan->doc, next) : NULL;
        if (e && try_event(plan, &f, e, e->offset - f.s.end)) {
            next++;
            continue;
        }
        bool empty = f.s.end == f.s.start;
        if (!e || empty) { /* the tail, or a gap too long for one envelope */
            take_rest(&f, e ? e->offset : n);
            if (!e && f.s.end == n)
                break;
        }
        st = end_part(plan, &f, err);
        begin_part(plan, &f, f.s.end, next);
    }
    return st == CN_OK ? end_part(plan, &f, err) : st;
}

/* ---- building ---- */

static int by_tag_and_start(const void *a, const void *b)
{
    const cn_batch_entry *x = a, *y = b;
    int order = cn_digest_cmp(&x->subject, &y->subject);
    return order ? order : (x->start > y->start) - (x->start < y->start);
}

typedef struct entries {
    cn_batch_entry *list;
    size_t count;
    struct {
        const char *uri;
        size_t latest; /* its newest entry */
    } subject[CN_MAX_SUBJECTS];
    size_t subject_count;
} entries;

/* Item `index` is about uri: the subject's newest range grows, or a new one begins. */
static void declare(const cn_plan *plan, entries *all, const char *uri, size_t index, uint64_t first, uint64_t last)
{
    size_t k = 0;
    while (k < all->subject_count && strcmp(all->subject[k].uri, uri) != 0)
        k++;
    if (k < all->subject_count) {
        cn_batch_entry *e = &all->list[all->subject[k].latest];
        if (e->start + e->count == index) {
            e->count++;
            e->first_ms = first < e->first_ms ? first : e->first_ms;
            e->last_ms = last > e->last_ms ? last : e->last_ms;
            return;
        }
    } else {
        CN_ASSERT(k < CN_MAX_SUBJECTS);
        all->subject[all->subject_count++].uri = uri;
    }
    CN_ASSERT(all->count < CN_MAX_ENTRIES);
    all->subject[k].latest = all->count;
    all->list[all->count++] = (cn_batch_entry){.subject = cn_subject_tag(plan->salt, uri),
                                               .start = (uint32_t)index,
                                               .count = 1,
                                               .first_ms = first,
                                               .last_ms = last};
}

static cn_status build_entries(cn_plan *plan, cn_plan_part *part, size_t first_event_item, cn_err *err)
{
    entries all = {.list = malloc(CN_MAX_ENTRIES * sizeof *all.list)};
    cn_batch_entry *kept = NULL;
    if (all.list) {
        if (first_event_item)
            declare(plan, &all, plan->document_uri, 0, part->first_ms, part->last_ms);
        for (size_t i = 0; i < part->event_count; i++) {
            const cn_epcis_event *e = cn_epcis_event_at(plan->doc, part->event_start + i);
            const char *const *uri, *stand_in;
            size_t n = subjects_of(plan, e, &uri, &stand_in);
            for (size_t k = 0; k < n; k++)
                declare(plan, &all, uri[k], first_event_item + i, e->first_ms, e->last_ms);
        }
        qsort(all.list, all.count, sizeof *all.list, by_tag_and_start);
        kept = cn_pool_alloc(&plan->pool, all.count * sizeof *kept);
    }
    if (kept) {
        memcpy(kept, all.list, all.count * sizeof *kept);
        part->entry = kept;
        part->entry_count = all.count;
    }
    free(all.list);
    return kept ? CN_OK : cn_fail(err, CN_NO_MEMORY, "document", "out of memory");
}

static void set_interval(const cn_plan *plan, cn_plan_part *part)
{
    part->first_ms = part->last_ms = cn_epcis_created_ms(plan->doc);
    for (size_t i = 0; i < part->event_count; i++) {
        const cn_epcis_event *e = cn_epcis_event_at(plan->doc, part->event_start + i);
        if (i == 0 || e->first_ms < part->first_ms)
            part->first_ms = e->first_ms;
        if (i == 0 || e->last_ms > part->last_ms)
            part->last_ms = e->last_ms;
    }
}

/* The stretch without its events, with the points where they go back in. */
static cn_status build_envelope(cn_plan *plan, size_t index, cn_plan_item *ret, cn_err *err)
{
    const stretch *s = &plan->stretch[index];
    const char *text = cn_epcis_text(plan->doc).p;
    cn_envelope *e = calloc(1, sizeof *e);
    char *rest = malloc(s->end - s->start + 1);
    cn_buf out;
    cn_buf_init(&out, CN_PLAN_CONTENT_BYTES);
    if (e && rest) {
        size_t at = s->start, n = 0;
        for (size_t i = 0; i < s->event_count; i++) {
            const cn_epcis_event *event = cn_epcis_event_at(plan->doc, s->event_start + i);
            memcpy(rest + n, text + at, event->offset - at);
            n += event->offset - at;
            at = event->offset + event->length;
            e->point[i] = (uint32_t)n;
        }
        memcpy(rest + n, text + at, s->end - at);
        n += s->end - at;
        e->part = (uint16_t)index;
        e->parts = (uint16_t)plan->stretch_count;
        e->document = cn_epcis_digest(plan->doc);
        e->size = cn_epcis_text(plan->doc).n;
        e->offset = s->start;
        e->event_count = (uint16_t)s->event_count;
        e->rest = CN_SPAN(rest, n);
        cn_envelope_write(e, &out);
    }
    char *kept = out.n && !out.fault ? cn_pool_text(&plan->pool, (const char *)out.p, out.n) : NULL;
    *ret = (cn_plan_item){CN_ITEM_ENVELOPE, CN_SPAN(kept, out.n)};
    cn_buf_free(&out);
    free(rest);
    free(e);
    return kept ? CN_OK : cn_fail(err, CN_NO_MEMORY, "document", "out of memory");
}

static cn_status build_part(cn_plan *plan, size_t index, cn_err *err)
{
    const stretch *s = &plan->stretch[index];
    cn_plan_part *part = &plan->part[index];
    cn_plan_item *item = cn_pool_alloc(&plan->pool, (s->event_count + 1) * sizeof *item);
    if (!item)
        return cn_fail(err, CN_NO_MEMORY, "document", "out of memory");
    cn_status st = build_envelope(plan, index, &item[0], err);
    const char *text = cn_epcis_text(plan->doc).p;
    for (size_t i = 0; i < s->event_count; i++) {
        const cn_epcis_event *e = cn_epcis_event_at(plan->doc, s->event_start + i);
        item[1 + i] = (cn_plan_item){CN_ITEM_EPCIS, CN_SPAN(text + e->offset, e->length)};
    }
    *part = (cn_plan_part){
        .item_count = s->event_count + 1, .item = item, .event_start = s->event_start, .event_count = s->event_count};
    set_interval(plan, part);
    return st == CN_OK ? build_entries(plan, part, 1, err) : st;
}

static cn_status build_bare(cn_plan *plan, cn_err *err)
{
    cn_plan_item *item = cn_pool_alloc(&plan->pool, sizeof *item);
    plan->part = calloc(1, sizeof *plan->part);
    if (!item || !plan->part)
        return cn_fail(err, CN_NO_MEMORY, "document", "out of memory");
    *item = (cn_plan_item){CN_ITEM_EPCIS, cn_epcis_text(plan->doc)};
    plan->part[0] = (cn_plan_part){.item_count = 1, .item = item, .event_count = 1};
    plan->stretch_count = 1;
    set_interval(plan, plan->part);
    return build_entries(plan, plan->part, 0, err);
}

static cn_status build_parts(cn_plan *plan, cn_err *err)
{
    cn_status st = cut(plan, err);
    if (st != CN_OK)
        return st;
    plan->part = calloc(plan->stretch_count, sizeof *plan->part);
    if (!plan->part)
        return cn_fail(err, CN_NO_MEMORY, "document", "out of memory");
    for (size_t i = 0; i < plan->stretch_count && st == CN_OK; i++)
        st = build_part(plan, i, err);
    return st;
}

static cn_status build_pairings(cn_plan *plan, cn_err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < cn_epcis_event_count(plan->doc); i++)
        n += cn_epcis_event_at(plan->doc, i)->pairing_count;
    plan->pairing = cn_pool_alloc(&plan->pool, (n + 1) * sizeof *plan->pairing);
    if (!plan->pairing)
        return cn_fail(err, CN_NO_MEMORY, "document", "out of memory");
    for (size_t i = 0; i < cn_epcis_event_count(plan->doc); i++) {
        const cn_epcis_event *e = cn_epcis_event_at(plan->doc, i);
        for (size_t k = 0; k < e->pairing_count; k++) {
            const cn_epcis_pairing *p = &e->pairing[k];
            cn_plan_pairing *to = &plan->pairing[plan->pairing_count++];
            *to = (cn_plan_pairing){
                .container = p->container, .consignment = p->consignment, .add = p->add, .time_ms = p->time_ms};
            to->container_tag = cn_subject_tag(plan->salt, p->container);
            if (p->consignment)
                to->consignment_tag = cn_subject_tag(plan->salt, p->consignment);
        }
    }
    return CN_OK;
}

/* What no cutting can mend. */
static cn_status check_events(const cn_epcis_doc *doc, cn_err *err)
{
    bool bare = cn_epcis_is_bare(doc);
    size_t most = bare ? CN_MAX_SUBJECTS : CN_PLAN_EVENT_SUBJECTS;
    for (size_t i = 0; i < cn_epcis_event_count(doc); i++) {
        const cn_epcis_event *e = cn_epcis_event_at(doc, i);
        size_t length = bare ? cn_epcis_text(doc).n : e->length;
        char field[80];
        snprintf(field, sizeof field, "%s (line %u)", e->pointer[0] ? e->pointer : "/", e->line);
        if (length > CN_PLAN_CONTENT_BYTES)
            return cn_fail(err, CN_TOO_LARGE, field, "an event of %zu bytes; one item holds at most %u", length,
                           CN_PLAN_CONTENT_BYTES);
        if (e->subject_count > most)
            return cn_fail(err, CN_TOO_LARGE, field,
                           "an event with %zu subjects; at most %zu fit one statement, so split it or aggregate",
                           e->subject_count, most);
    }
    return CN_OK;
}

cn_status cn_plan_document(const cn_epcis_doc *doc, const uint8_t subject_salt[32], cn_plan **ret, cn_err *err)
{
    cn_status st = check_events(doc, err);
    if (st != CN_OK)
        return st;
    cn_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return cn_fail(err, CN_NO_MEMORY, "document", "out of memory");
    plan->doc = doc;
    memcpy(plan->salt, subject_salt, sizeof plan->salt);
    cn_digest digest = cn_epcis_digest(doc);
    snprintf(plan->document_uri, sizeof plan->document_uri, "urn:carnet:document:%s", cn_digest_hex(&digest).s);
    cn_pool_init(&plan->pool, SIZE_MAX / 2); /* bounded by the document, which is */
    st = cn_epcis_is_bare(doc) ? build_bare(plan, err) : build_parts(plan, err);
    if (st == CN_OK)
        st = build_pairings(plan, err);
    if (st == CN_OK)
        *ret = plan;
    else
        cn_plan_free(plan);
    return st;
}

void cn_plan_free(cn_plan *plan)
{
    if (!plan)
        return;
    free(plan->stretch);
    free(plan->part);
    cn_pool_free(&plan->pool);
    free(plan);
}

size_t cn_plan_part_count(const cn_plan *plan)
{
    return plan->stretch_count;
}

const cn_plan_part *cn_plan_part_at(const cn_plan *plan, size_t index)
{
    CN_ASSERT(index < plan->stretch_count);
    return &plan->part[index];
}

size_t cn_plan_pairing_count(const cn_plan *plan)
{
    return plan->pairing_count;
}

const cn_plan_pairing *cn_plan_pairing_at(const cn_plan *plan, size_t index)
{
    CN_ASSERT(index < plan->pairing_count);
    return &plan->pairing[index];
}
