/* Which events on a container belong to a consignment: the ties as pairing statements made and ended them, in log
 * order, by the rule of node/ledger/rules.c. One pass over the statements finds all of them, since a dossier may hold
 * many of both. */
#include "proto/limits.h"
#include "tools/verify/internal.h"

#include <stdlib.h>
#include <string.h>

#define NOT_HERE UINT32_MAX

typedef struct tie {
    cn_digest consignment;
    uint32_t subject;          /* the consignment's place in the dossier, or NOT_HERE */
    uint64_t start_ms, end_ms; /* end 0: open */
} tie;

typedef struct container {
    cn_digest tag;
    tie *tie; /* by (consignment, start) */
    unsigned count;
} container;

typedef struct ties {
    container *container; /* ascending by tag */
    size_t count;
} ties;

static int by_container(const void *a, const void *b)
{
    return cn_digest_cmp(&((const container *)a)->tag, &((const container *)b)->tag);
}

static container *find_container(const ties *t, const cn_digest *tag)
{
    container key = {.tag = *tag};
    return t->count ? bsearch(&key, t->container, t->count, sizeof key, by_container) : NULL;
}

/* ---- ties ---- */

static uint32_t place_of_subject(const verifier *v, const cn_digest *tag)
{
    const cn_dossier_subject *s = verify_find_subject(v, tag);
    return s ? (uint32_t)(s - v->dossier.subjects) : NOT_HERE;
}

static int tie_order(const tie *t, const cn_pairing *p)
{
    int order = cn_digest_cmp(&t->consignment, &p->consignment);
    return order ? order : (t->start_ms > p->start_ms) - (t->start_ms < p->start_ms);
}

static bool add_tie(verifier *v, container *c, unsigned at, const cn_pairing *p)
{
    tie *grown = verify_grow(v, c->tie, c->count + 1, sizeof *grown);
    if (!grown)
        return false;
    c->tie = grown;
    memmove(&grown[at + 1], &grown[at], (c->count - at) * sizeof *grown);
    grown[at] = (tie){p->consignment, place_of_subject(v, &p->consignment), p->start_ms, 0};
    c->count++;
    return true;
}

/* The same start again ends a tie; an end alone (start = end) closes the newest open one before it. */
static void apply_pairing(verifier *v, container *c, const cn_pairing *p, size_t place)
{
    unsigned at = 0;
    char where[96];
    while (at < c->count && tie_order(&c->tie[at], p) < 0)
        at++;
    bool known = at < c->count && tie_order(&c->tie[at], p) == 0;
    for (unsigned i = at; !known && p->start_ms == p->end_ms && i > 0; i--)
        if (cn_digest_eq(&c->tie[i - 1].consignment, &p->consignment) && c->tie[i - 1].end_ms == 0) {
            c->tie[i - 1].end_ms = p->end_ms;
            return;
        }
    if (!known && c->count == CN_MAX_PAIRINGS) {
        verify_where(v, place, where);
        verify_fault(v, CN_STEP_PAIRING, CN_TOO_LARGE, where, "the container has more than %u ties", CN_MAX_PAIRINGS);
        return;
    }
    if (known || add_tie(v, c, at, p))
        c->tie[at].end_ms = p->end_ms;
}

static bool overlaps(const cn_batch_entry *entry, size_t n, const tie *t)
{
    for (size_t i = 0; i < n; i++)
        if (entry[i].last_ms >= t->start_ms && (t->end_ms == 0 || entry[i].first_ms <= t->end_ms))
            return true;
    return false;
}

/* ---- which events fall into them ---- */

static int by_link(const void *a, const void *b)
{
    const link *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return (x->subject > y->subject) - (x->subject < y->subject);
}

static void add_link(verifier *v, size_t place, uint32_t subject)
{
    if (v->link_count == v->link_cap) {
        size_t cap = v->link_cap ? 2 * v->link_cap : 256;
        link *grown = verify_grow(v, v->link, cap, sizeof *grown);
        if (!grown)
            return;
        v->link = grown;
        v->link_cap = cap;
    }
    v->link[v->link_count++] = (link){(uint32_t)place, subject};
}

/* The entries about one container, each consignment once. */
static void link_entries(verifier *v, size_t place, const container *c, const cn_batch_entry *entry, size_t n)
{
    uint32_t last = NOT_HERE;
    for (unsigned i = 0; i < c->count; i++)
        if (c->tie[i].subject != NOT_HERE && c->tie[i].subject != last && overlaps(entry, n, &c->tie[i])) {
            last = c->tie[i].subject;
            add_link(v, place, last);
        }
}

static void link_batch(verifier *v, const ties *t, size_t place)
{
    const cn_event_batch *batch = &v->statement[place]->body.batch;
    size_t first = v->link_count;
    for (size_t i = 0, end; i < batch->entry_count; i = end) {
        const container *c = find_container(t, &batch->entry[i].subject);
        for (end = i + 1; end < batch->entry_count; end++)
            if (!cn_digest_eq(&batch->entry[end].subject, &batch->entry[i].subject))
                break;
        if (c)
            link_entries(v, place, c, &batch->entry[i], end - i);
    }
    if (v->link_count > first)
        qsort(v->link + first, v->link_count - first, sizeof *v->link, by_link);
}

static void list_containers(verifier *v, ties *t)
{
    size_t kept = 0;
    t->container = verify_grow(v, NULL, v->pairing_count, sizeof *t->container);
    t->count = t->container ? v->pairing_count : 0;
    for (size_t i = 0; i < t->count; i++)
        t->container[i] = (container){.tag = v->statement[v->pairing[i]]->body.pairing.container};
    if (t->count)
        qsort(t->container, t->count, sizeof *t->container, by_container);
    for (size_t i = 0; i < t->count; i++)
        if (kept == 0 || !cn_digest_eq(&t->container[i].tag, &t->container[kept - 1].tag))
            t->container[kept++] = t->container[i];
    t->count = kept;
}

void verify_collect_pairings(verifier *v)
{
    ties t = {0};
    size_t n = v->dossier.statement_count;
    v->pairing = verify_grow(v, NULL, n, sizeof *v->pairing);
    for (size_t i = 0; v->pairing && i < n; i++)
        if (v->statement[i] && v->statement[i]->body.kind == CN_PAYLOAD_PAIRING)
            v->pairing[v->pairing_count++] = i;
    if (v->pairing_count == 0)
        return;
    list_containers(v, &t);
    for (size_t i = 0; i < n && t.count; i++) {
        const cn_statement *s = v->statement[i];
        if (s && s->body.kind == CN_PAYLOAD_PAIRING)
            apply_pairing(v, find_container(&t, &s->body.pairing.container), &s->body.pairing, i);
        else if (s && s->body.kind == CN_PAYLOAD_EVENT_BATCH)
            link_batch(v, &t, i);
    }
    for (size_t i = 0; i < t.count; i++)
        free(t.container[i].tie);
    free(t.container);
}

void verify_pairings_free(verifier *v)
{
    free(v->pairing);
    free(v->link);
}

bool verify_is_tied(const verifier *v, size_t place, const cn_dossier_subject *consignment)
{
    link key = {(uint32_t)place, (uint32_t)(consignment - v->dossier.subjects)};
    return v->link_count && bsearch(&key, v->link, v->link_count, sizeof key, by_link);
}

/* ---- what must follow from them ---- */

/* The containers tied to the subject asked for are here with trees of their own. */
static void check_containers(verifier *v)
{
    for (size_t i = 0; i < v->pairing_count; i++) {
        const cn_pairing *p = &v->statement[v->pairing[i]]->body.pairing;
        char where[96];
        verify_where(v, v->pairing[i], where);
        if (cn_digest_eq(&p->consignment, &v->dossier.tag) && !verify_find_subject(v, &p->container))
            verify_fault(v, CN_STEP_PAIRING, CN_NOT_FOUND, where, "the tree of the container tied here is missing");
    }
}

/* A tied event must be a leaf of each consignment whose tree is here. */
void verify_pairings(verifier *v)
{
    if (v->dossier.kind == CN_DOSSIER_SUBJECT)
        check_containers(v);
    for (size_t i = 0; i < v->link_count; i++) {
        const cn_dossier_subject *consignment = &v->dossier.subjects[v->link[i].subject];
        char where[96];
        if (verify_is_leaf(consignment, v->dossier.statement[v->link[i].place].log_index))
            continue;
        verify_where(v, v->link[i].place, where);
        verify_fault(v, CN_STEP_PAIRING, CN_CONFLICT, where,
                     "its container is tied to consignment %s, whose tree does not hold it",
                     cn_digest_hex(&consignment->tag).s);
    }
}
