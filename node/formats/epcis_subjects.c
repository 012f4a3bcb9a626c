#include "node/formats/epcis_subjects.h"

#include "node/formats/subject.h"

#include <stdlib.h>
#include <string.h>

typedef struct finder {
    const cn_json *json;
    cn_pool *pool;
    cn_err *err;
    const char **uri;
    size_t count, cap;
    unsigned flags;
    cn_status status; /* sticky */
} finder;

static void no_memory(finder *f)
{
    if (f->status == CN_OK)
        f->status = cn_fail(f->err, CN_NO_MEMORY, "document", "its subjects need more memory than there is");
}

static const char *canonical(finder *f, const cn_json_node *node)
{
    char out[CN_SUBJECT_MAX];
    cn_err reason = {0};
    unsigned flags = 0;
    if (f->status != CN_OK)
        return NULL;
    if (cn_subject_canonical_n(node->text.s, node->text.n, out, sizeof out, &flags, &reason) != CN_OK) {
        f->status = cn_json_fail(f->json, node, NULL, f->err, "%s", reason.text);
        return NULL;
    }
    f->flags |= flags;
    const char *text = cn_pool_text(f->pool, out, strlen(out));
    if (!text)
        no_memory(f);
    return text;
}

static void add(finder *f, const cn_json_node *node)
{
    if (!node || node->type != CN_JSON_STRING)
        return;
    const char *text = canonical(f, node);
    if (!text)
        return;
    if (f->count == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 32;
        const char **grown = realloc(f->uri, cap * sizeof *grown);
        if (!grown) {
            no_memory(f);
            return;
        }
        f->uri = grown;
        f->cap = cap;
    }
    f->uri[f->count++] = text;
}

/* Each element of a list; member (may be NULL): of each element. */
static void add_list(finder *f, const cn_json_node *event, const char *name, const char *member)
{
    const cn_json_node *list = cn_json_get(event, name);
    for (const cn_json_node *m = list ? list->child : NULL; m && f->status == CN_OK; m = m->next)
        add(f, member ? cn_json_get(m, member) : m);
}

static int by_uri(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void keep_subjects(finder *f, cn_epcis_event *ret)
{
    size_t n = 0;
    if (f->count)
        qsort(f->uri, f->count, sizeof *f->uri, by_uri);
    for (size_t i = 0; i < f->count; i++)
        if (n == 0 || strcmp(f->uri[n - 1], f->uri[i]) != 0)
            f->uri[n++] = f->uri[i];
    const char **kept = cn_pool_alloc(f->pool, (n + 1) * sizeof *kept);
    if (!kept) {
        no_memory(f);
        return;
    }
    if (n)
        memcpy(kept, f->uri, n * sizeof *kept);
    ret->subject = kept;
    ret->subject_count = n;
    ret->subject_flags = f->flags;
}

/* An aggregation ties a container to a consignment, either one being the parent. */
static void find_pairings(finder *f, const cn_json_node *event, const cn_epcis_facts *facts, cn_epcis_event *ret)
{
    const cn_json_node *parent = cn_json_get(event, "parentID"), *children = cn_json_get(event, "childEPCs");
    if (facts->type != CN_EPCIS_AGGREGATION_EVENT || facts->action == CN_EPCIS_OBSERVE || !parent)
        return;
    const char *up = canonical(f, parent);
    if (!up)
        return;
    cn_subject_kind kind = cn_subject_kind_of(up);
    if (kind != CN_SUBJECT_CONTAINER && kind != CN_SUBJECT_CONSIGNMENT)
        return;
    size_t count = children ? children->count : 0, n = 0;
    cn_epcis_pairing *list = cn_pool_alloc(f->pool, (count + 1) * sizeof *list);
    if (!list) {
        no_memory(f);
        return;
    }
    cn_epcis_pairing pairing = {.add = facts->action == CN_EPCIS_ADD, .time_ms = facts->event_ms};
    for (const cn_json_node *m = children ? children->child : NULL; m; m = m->next) {
        const char *down = canonical(f, m);
        if (!down)
            return;
        cn_subject_kind other = cn_subject_kind_of(down);
        bool tie = (kind == CN_SUBJECT_CONTAINER && other == CN_SUBJECT_CONSIGNMENT) ||
                   (kind == CN_SUBJECT_CONSIGNMENT && other == CN_SUBJECT_CONTAINER);
        if (!tie)
            continue;
        pairing.container = kind == CN_SUBJECT_CONTAINER ? up : down;
        pairing.consignment = kind == CN_SUBJECT_CONTAINER ? down : up;
        list[n++] = pairing;
    }
    /* EPCIS: DELETE without any child takes all children off the parent */
    if (facts->action == CN_EPCIS_DELETE && count == 0 && kind == CN_SUBJECT_CONTAINER &&
        !cn_json_get(event, "childQuantityList")) {
        pairing.container = up;
        list[n++] = pairing;
    }
    ret->pairing = list;
    ret->pairing_count = n;
}

cn_status cn_epcis_find_subjects(const cn_json *json, const cn_json_node *event, const cn_epcis_facts *facts,
                                 cn_pool *pool, cn_epcis_event *ret, cn_err *err)
{
    finder f = {.json = json, .pool = pool, .err = err};
    static const char *const epcs[] = {"epcList", "childEPCs", "inputEPCList", "outputEPCList"};
    static const char *const quantities[] = {"quantityList", "childQuantityList", "inputQuantityList",
                                             "outputQuantityList"};
    for (size_t i = 0; i < sizeof epcs / sizeof epcs[0]; i++)
        add_list(&f, event, epcs[i], NULL);
    for (size_t i = 0; i < sizeof quantities / sizeof quantities[0]; i++)
        add_list(&f, event, quantities[i], "epcClass");
    add_list(&f, event, "bizTransactionList", "bizTransaction");
    add(&f, cn_json_get(event, "parentID"));
    add(&f, cn_json_get(event, "transformationID"));
    if (f.status == CN_OK)
        keep_subjects(&f, ret);
    if (f.status == CN_OK)
        find_pairings(&f, event, facts, ret);
    free(f.uri);
    return f.status;
}
