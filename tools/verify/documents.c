#include "tools/verify/documents.h"

#include "node/formats/dossier.h"
#include "node/formats/envelope.h"
#include "node/formats/plan.h"

#include <stdlib.h>

/* The items of one document, gathered over its parts. */
typedef struct gathering {
    cn_digest document;
    uint16_t next_part, parts;
    cn_plan_item *item;
    size_t count;
} gathering;

typedef struct walk {
    cn_status (*document)(void *, const cn_digest *, const void *, size_t);
    void *ctx;
    cn_documents_count *count;
    gathering now;
    cn_statement **kept; /* items point into them */
    size_t kept_count;
} walk;

static cn_status emit(walk *w, const cn_plan_item *item, size_t count, cn_err *err)
{
    cn_buf out;
    cn_buf_init(&out, CN_EPCIS_MAX_BYTES);
    cn_status st = cn_document_reassemble(item, count, &out, err);
    if (st == CN_OK) {
        cn_digest sha256 = cn_sha256(out.p, out.n);
        w->count->whole++;
        st = w->document(w->ctx, &sha256, out.p, out.n);
    }
    cn_buf_free(&out);
    return st;
}

static void give_up(walk *w)
{
    if (w->now.count)
        w->count->partial++;
    free(w->now.item);
    w->now = (gathering){0};
}

static void gather(walk *w, const cn_plan_item *item, size_t count)
{
    w->now.item = realloc(w->now.item, (w->now.count + count) * sizeof *item);
    CN_ASSERT(w->now.item);
    for (size_t i = 0; i < count; i++)
        w->now.item[w->now.count++] = item[i];
}

/* Parts of a document are consecutive statements of one key; another document between them is another key's. */
static cn_status on_part(walk *w, const cn_plan_item *item, size_t count, cn_err *err)
{
    cn_envelope *e = calloc(1, sizeof *e);
    CN_ASSERT(e);
    cn_status st = cn_envelope_read(item[0].content.p, item[0].content.n, e, err);
    bool continues =
        st == CN_OK && w->now.count && cn_digest_eq(&e->document, &w->now.document) && e->part == w->now.next_part;
    if (st == CN_OK && !continues)
        give_up(w);
    if (st == CN_OK && (continues || e->part == 0)) {
        w->now.document = e->document;
        w->now.parts = e->parts;
        w->now.next_part = (uint16_t)(e->part + 1);
        gather(w, item, count);
        if (w->now.next_part == w->now.parts) {
            st = emit(w, w->now.item, w->now.count, err);
            w->now.count = 0;
            give_up(w);
        }
    } else if (st == CN_OK) {
        w->count->partial++;
    }
    free(e);
    return st;
}

static cn_status on_statement(walk *w, const cn_statement *s, cn_err *err)
{
    if (s->body.kind != CN_PAYLOAD_EVENT_BATCH || s->item_count == 0)
        return CN_OK;
    cn_plan_item *item = calloc(s->item_count, sizeof *item);
    CN_ASSERT(item);
    cn_status st = CN_OK;
    for (size_t i = 0; i < s->item_count && st == CN_OK; i++)
        st = cn_item_split(s->item[i].p, s->item[i].n, &item[i], err);
    if (st == CN_OK && item[0].format == CN_ITEM_ENVELOPE)
        st = on_part(w, item, s->item_count, err);
    else if (st == CN_OK && item[0].format == CN_ITEM_EPCIS && s->item_count == 1)
        st = emit(w, item, 1, err); /* a bare event is its own document */
    free(item);
    return st;
}

cn_status cn_dossier_documents(const void *zip, size_t n,
                               cn_status (*document)(void *ctx, const cn_digest *sha256, const void *p, size_t n),
                               void *ctx, cn_documents_count *ret, cn_err *err)
{
    cn_dossier d;
    cn_status st = cn_dossier_read(zip, n, &d, err);
    if (st != CN_OK)
        return st;
    *ret = (cn_documents_count){0};
    walk w = {
        .document = document, .ctx = ctx, .count = ret, .kept = calloc(d.statement_count + 1, sizeof(cn_statement *))};
    CN_ASSERT(w.kept);
    for (size_t i = 0; i < d.statement_count && st == CN_OK; i++) {
        cn_statement *s = NULL;
        st = cn_statement_decode(d.statement[i].whole.p, d.statement[i].whole.n, &s, err);
        if (st != CN_OK)
            break;
        w.kept[w.kept_count++] = s;
        st = on_statement(&w, s, err);
    }
    give_up(&w);
    for (size_t i = 0; i < w.kept_count; i++)
        cn_statement_free(w.kept[i]);
    free(w.kept);
    cn_dossier_clear(&d);
    return st;
}
