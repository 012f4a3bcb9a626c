/* Which events on a container belong to a consignment: the ties as pairing statements made and ended them, in log
 * order, by the rule of node/ledger/rules.c. */
#include "tools/verify/internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct tie {
    uint64_t start_ms, end_ms; /* end 0: open */
} tie;

static const cn_pairing *pairing_at(const verifier *v, size_t i)
{
    return &v->statement[v->pairing[i]]->body.pairing;
}

static bool same_pair(const cn_pairing *a, const cn_pairing *b)
{
    return cn_digest_eq(&a->container, &b->container) && cn_digest_eq(&a->consignment, &b->consignment);
}

void verify_collect_pairings(verifier *v)
{
    v->pairing = calloc(v->dossier.statement_count + 1, sizeof *v->pairing);
    CN_ASSERT(v->pairing);
    for (size_t i = 0; i < v->dossier.statement_count; i++)
        if (v->statement[i] && v->statement[i]->body.kind == CN_PAYLOAD_PAIRING)
            v->pairing[v->pairing_count++] = i;
}

/* The same start again ends a tie; an end alone (start = end) closes the newest open one before it. */
static size_t apply_pairing(tie *ties, size_t count, const cn_pairing *p)
{
    size_t at = 0;
    while (at < count && ties[at].start_ms < p->start_ms)
        at++;
    bool known = at < count && ties[at].start_ms == p->start_ms;
    for (size_t i = at; !known && p->start_ms == p->end_ms && i > 0; i--)
        if (ties[i - 1].end_ms == 0) {
            ties[i - 1].end_ms = p->end_ms;
            return count;
        }
    if (!known) {
        memmove(&ties[at + 1], &ties[at], (count - at) * sizeof *ties);
        ties[at].start_ms = p->start_ms;
        count++;
    }
    ties[at].end_ms = p->end_ms;
    return count;
}

static bool overlaps(const cn_statement *s, const cn_digest *container, const tie *t)
{
    for (size_t i = 0; i < s->body.batch.entry_count; i++) {
        const cn_batch_entry *e = &s->body.batch.entry[i];
        if (cn_digest_eq(&e->subject, container) && e->last_ms >= t->start_ms &&
            (t->end_ms == 0 || e->first_ms <= t->end_ms))
            return true;
    }
    return false;
}

/* Whether an event of the statement falls into a tie of this pair, as the ties stood at its place in the log. */
static bool pair_ties(const verifier *v, const cn_pairing *pair, const cn_statement *s, uint64_t index)
{
    size_t count = 0;
    bool found = false;
    tie *ties = calloc(v->pairing_count + 1, sizeof *ties);
    CN_ASSERT(ties);
    for (size_t i = 0; i < v->pairing_count && v->dossier.statement[v->pairing[i]].log_index < index; i++)
        if (same_pair(pairing_at(v, i), pair))
            count = apply_pairing(ties, count, pairing_at(v, i));
    for (size_t i = 0; i < count && !found; i++)
        found = overlaps(s, &pair->container, &ties[i]);
    free(ties);
    return found;
}

static bool is_first_of_its_pair(const verifier *v, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (same_pair(pairing_at(v, k), pairing_at(v, i)))
            return false;
    return true;
}

bool verify_is_tied(const verifier *v, const cn_statement *s, uint64_t index, const cn_digest *consignment)
{
    for (size_t i = 0; s->body.kind == CN_PAYLOAD_EVENT_BATCH && i < v->pairing_count; i++) {
        const cn_pairing *p = pairing_at(v, i);
        if (cn_digest_eq(&p->consignment, consignment) && verify_declares(v, s, &p->container) &&
            is_first_of_its_pair(v, i) && pair_ties(v, p, s, index))
            return true;
    }
    return false;
}

/* A tied event must be a leaf of each consignment whose tree is here. */
static void check_counted(verifier *v, size_t place)
{
    const cn_statement *s = v->statement[place];
    uint64_t index = v->dossier.statement[place].log_index;
    char where[96];
    verify_where(v, place, where);
    for (size_t i = 0; i < v->pairing_count; i++) {
        const cn_pairing *p = pairing_at(v, i);
        const cn_dossier_subject *consignment = verify_find_subject(v, &p->consignment);
        if (consignment && !verify_is_leaf(consignment, index) && verify_declares(v, s, &p->container) &&
            is_first_of_its_pair(v, i) && pair_ties(v, p, s, index))
            verify_fault(v, CN_STEP_PAIRING, CN_CONFLICT, where,
                         "its container is tied to consignment %s, whose tree does not hold it",
                         cn_digest_hex(&consignment->tag).s);
    }
}

/* The containers tied to the subject asked for are here with trees of their own. */
static void check_containers(verifier *v)
{
    for (size_t i = 0; i < v->pairing_count; i++) {
        const cn_pairing *p = pairing_at(v, i);
        char where[96];
        verify_where(v, v->pairing[i], where);
        if (cn_digest_eq(&p->consignment, &v->dossier.tag) && !verify_find_subject(v, &p->container))
            verify_fault(v, CN_STEP_PAIRING, CN_NOT_FOUND, where, "the tree of the container tied here is missing");
    }
}

void verify_pairings(verifier *v)
{
    if (v->dossier.kind == CN_DOSSIER_SUBJECT)
        check_containers(v);
    for (size_t i = 0; v->pairing_count && i < v->dossier.statement_count; i++)
        if (v->statement[i] && v->statement[i]->body.kind == CN_PAYLOAD_EVENT_BATCH)
            check_counted(v, i);
}
