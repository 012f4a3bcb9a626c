/* What is not readable in the dossier, and why: an item was erased everywhere, as its signer's member ordered, or this
 * dossier leaves it out. Its leaf hash stands in its place either way, so that items_root still holds. Held to the
 * rules of node/ledger/erasure.c. */
#include "proto/limits.h"
#include "tools/verify/internal.h"

#include <stdlib.h>
#include <string.h>

/* Authority of orders and attestations; the order's batch must be signed by a key of the same member. */
void verify_erasure(verifier *v, const cn_statement *s, const known_key *signer, const char *where)
{
    const cn_body *b = &s->body;
    cn_err err = {0};
    if (!signer || (b->kind != CN_PAYLOAD_ERASURE && b->kind != CN_PAYLOAD_PURGE))
        return;
    if (signer->purpose != CN_PURPOSE_CAPTURE)
        verify_fault(v, CN_STEP_AUTHORITY, CN_DENIED, where, "it was not signed by a member's capture key");
    if (b->kind != CN_PAYLOAD_ERASURE)
        return;
    const known_key *of = verify_find_key(v, &b->erasure.key_id);
    if (!of) {
        verify_fault(v, CN_STEP_AUTHORITY, CN_UNKNOWN_KEY, where, "no registration of key %s, which signed the batch",
                     cn_digest_hex(&b->erasure.key_id).s);
        return;
    }
    if (!cn_digest_eq(&of->owner, &signer->owner))
        verify_fault(v, CN_STEP_AUTHORITY, CN_DENIED, where, "it orders to erase what another member's key signed");
    if (cn_erasure_verify(&b->erasure, &v->genesis.network, &of->key, &err) != CN_OK)
        verify_fault(v, CN_STEP_AUTHORITY, err.code, where, "%s: %s", err.field, err.text);
}

/* ---- orders ---- */

static int by_id(const void *a, const void *b, void *ctx)
{
    const verifier *v = ctx;
    return cn_digest_cmp(&v->statement[*(const size_t *)a]->id, &v->statement[*(const size_t *)b]->id);
}

void verify_collect_orders(verifier *v)
{
    v->order = verify_grow(v, NULL, v->dossier.statement_count, sizeof *v->order);
    for (size_t i = 0; v->order && i < v->dossier.statement_count; i++)
        if (v->statement[i] && v->statement[i]->body.kind == CN_PAYLOAD_ERASURE)
            v->order[v->order_count++] = i;
    if (v->order_count)
        qsort_r(v->order, v->order_count, sizeof *v->order, by_id, v);
}

const cn_statement *verify_find_order(const verifier *v, const cn_digest *id)
{
    size_t low = 0, high = v->order_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const cn_statement *s = v->statement[v->order[middle]];
        int order = cn_digest_cmp(&s->id, id);
        if (order == 0)
            return s;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- items ---- */

static const cn_digest *batch_of(const verifier *v, size_t place)
{
    return &v->statement[place]->body.erasure.target;
}

static int by_batch(const void *a, const void *b, void *ctx)
{
    return cn_digest_cmp(batch_of(ctx, *(const size_t *)a), batch_of(ctx, *(const size_t *)b));
}

/* The orders about the statement: [*ret_first, returned) of those sorted by batch. By its id: the record that an order
 * carries may have another signature of the same key than the one that was recorded, and is the same statement. */
static size_t orders_about(const verifier *v, const size_t *order, size_t place, size_t *ret_first)
{
    const cn_digest *id = &v->statement[place]->id;
    size_t low = 0, high = v->order_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cn_digest_cmp(batch_of(v, order[middle]), id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_first = low;
    while (low < v->order_count && cn_digest_eq(batch_of(v, order[low]), id))
        low++;
    return low;
}

static bool is_redacted(const cn_dossier *d, uint64_t log_index, uint32_t item)
{
    size_t low = 0, high = d->redaction_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const cn_dossier_redaction *r = &d->redaction[middle];
        if (r->log_index == log_index && r->item == item)
            return true;
        if (r->log_index < log_index || (r->log_index == log_index && r->item < item))
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* The items of the statement that later statements of the dossier order to be erased. Many orders may name one batch.
 */
static void ordered_items(const verifier *v, const size_t *order, size_t place, bool ret[CN_MAX_ITEMS])
{
    size_t first, end = orders_about(v, order, place, &first);
    int step[CN_MAX_ITEMS + 1] = {0}, open = 0; /* ranges that begin here, less those that end here */
    for (size_t i = first; i < end; i++) {
        const cn_erasure_payload *e = &v->statement[order[i]]->body.erasure;
        if (order[i] <= place || e->start >= CN_MAX_ITEMS)
            continue;
        step[e->start]++;
        step[e->count > CN_MAX_ITEMS - e->start ? CN_MAX_ITEMS : e->start + e->count]--;
    }
    for (size_t k = 0; k < CN_MAX_ITEMS; k++)
        ret[k] = (open += step[k]) > 0;
}

static size_t check_items(verifier *v, const size_t *order, size_t place)
{
    const cn_statement *s = v->statement[place];
    uint64_t index = v->dossier.statement[place].log_index;
    bool ordered[CN_MAX_ITEMS];
    size_t redacted = 0;
    char where[96];
    verify_where(v, place, where);
    ordered_items(v, order, place, ordered);
    for (uint32_t k = 0; k < s->item_count; k++) {
        bool erased = cn_item_is_erased(s->item[k].p, s->item[k].n), named = is_redacted(&v->dossier, index, k);
        redacted += named;
        if (named && !erased)
            verify_fault(v, CN_STEP_REDACTIONS, CN_CONFLICT, where, "item %u is named as left out, but is here", k);
        if (!erased)
            continue;
        v->report->erased_items += ordered[k];
        v->report->redacted_items += named;
        if (!ordered[k] && !named)
            verify_fault(v, CN_STEP_REDACTIONS, CN_NOT_FOUND, where,
                         "the content of item %u is missing: no order to erase it is here, and the manifest does not "
                         "name it",
                         k);
    }
    return redacted;
}

/* ---- who ordered it, and who has obeyed ---- */

static void report_order(cn_verify_report *r, const cn_statement *s, uint64_t index)
{
    const cn_erasure_payload *e = &s->body.erasure;
    if (r->erasures < CN_VERIFY_ERASURES)
        r->erasure[r->erasures++] = (cn_verify_erasure){.order = s->id,
                                                        .batch = e->target,
                                                        .log_index = index,
                                                        .first_item = e->start,
                                                        .item_count = e->count,
                                                        .reason = e->reason};
}

static void report_attestation(cn_verify_report *r, const cn_digest *order, const cn_digest *member)
{
    for (size_t i = 0; i < r->erasures; i++) {
        cn_verify_erasure *e = &r->erasure[i];
        bool said = !cn_digest_eq(&e->order, order);
        for (size_t k = 0; k < e->attested; k++)
            said = said || cn_digest_eq(&e->member[k], member);
        if (!said && e->attested < CN_VERIFY_ATTESTED)
            e->member[e->attested++] = *member;
    }
}

static void report_erasures(verifier *v)
{
    for (size_t i = 0; i < v->dossier.statement_count; i++) {
        const cn_statement *s = v->statement[i];
        const known_key *signer = s ? verify_find_key(v, &s->body.key_id) : NULL;
        if (signer && s->body.kind == CN_PAYLOAD_ERASURE)
            report_order(v->report, s, v->dossier.statement[i].log_index);
        else if (signer && s->body.kind == CN_PAYLOAD_PURGE)
            report_attestation(v->report, &s->body.purge.erasure, &signer->owner);
    }
}

void verify_redactions(verifier *v)
{
    size_t redacted = 0, *order = verify_grow(v, NULL, v->order_count, sizeof *order);
    if (!order)
        return;
    report_erasures(v);
    if (v->order_count) {
        memcpy(order, v->order, v->order_count * sizeof *order);
        qsort_r(order, v->order_count, sizeof *order, by_batch, v);
    }
    for (size_t i = 0; i < v->dossier.statement_count; i++)
        if (v->statement[i] && v->statement[i]->item_count)
            redacted += check_items(v, order, i);
    free(order);
    if (redacted != v->dossier.redaction_count)
        verify_fault(v, CN_STEP_REDACTIONS, CN_NOT_FOUND, "manifest.json",
                     "it names items as left out that no statement here has");
}
