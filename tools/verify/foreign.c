/* Other networks as the statements here made them known, and each foreign proof again, held to the rules of
 * node/ledger/foreign.c. That no ballot about a network and none of its advances is missing is what completeness of the
 * tree urn:carnet:network:<hex> shows (trees.c). A replay is named when both statements are here; that there is none
 * elsewhere in the log is vouched for by the validators. */
#include "tools/verify/internal.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- networks ---- */

static int by_id(const void *a, const void *b)
{
    return cn_digest_cmp(&((const foreign_network *)a)->id, &((const foreign_network *)b)->id);
}

void verify_collect_networks(verifier *v)
{
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < v->decision_count; i++)
        n += v->decision[i].proposal->action == CN_CHANGE_FOREIGN;
    v->network = n ? verify_grow(v, NULL, n, sizeof *v->network) : NULL;
    n = 0;
    for (size_t i = 0; v->network && i < v->decision_count; i++)
        if (v->decision[i].proposal->action == CN_CHANGE_FOREIGN)
            v->network[n++] = (foreign_network){.id = v->decision[i].proposal->member};
    if (n)
        qsort(v->network, n, sizeof *v->network, by_id);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !cn_digest_eq(&v->network[i].id, &v->network[kept - 1].id))
            v->network[kept++] = v->network[i];
    v->network_count = kept;
}

static foreign_network *find_network(const verifier *v, const cn_digest *id)
{
    foreign_network key = {.id = *id};
    return v->network_count ? bsearch(&key, v->network, v->network_count, sizeof key, by_id) : NULL;
}

void verify_foreign_decided(verifier *v, const cn_proposal_payload *p, uint64_t index, const char *where)
{
    foreign_network *n = find_network(v, &p->member);
    cn_state_foreign becomes, proposed = cn_foreign_proposed(p);
    cn_err err = {0};
    if (!n)
        return; /* memory was exhausted */
    if (cn_foreign_decide(&proposed, n->known ? &n->state : NULL, &becomes, &err) != CN_OK) {
        verify_fault(v, CN_STEP_AUTHORITY, err.code, where, "%s: %s", err.field, err.text);
        return;
    }
    becomes.log_index = index;
    n->state = becomes;
    n->known = true;
}

/* ---- one foreign statement is relied on once ---- */

static void note_reliance(verifier *v, const cn_digest *network, const cn_digest *statement, uint64_t index)
{
    if (v->reliance_count == v->reliance_cap) {
        size_t cap = v->reliance_cap ? 2 * v->reliance_cap : 16;
        reliance *grown = verify_grow(v, v->reliance, cap, sizeof *grown);
        if (!grown)
            return;
        v->reliance = grown;
        v->reliance_cap = cap;
    }
    v->reliance[v->reliance_count++] = (reliance){*network, *statement, index};
}

static int by_statement(const void *a, const void *b)
{
    const reliance *x = a, *y = b;
    int order = cn_digest_cmp(&x->network, &y->network);
    order = order ? order : cn_digest_cmp(&x->statement, &y->statement);
    return order ? order : (x->log_index > y->log_index) - (x->log_index < y->log_index);
}

void verify_replays(verifier *v)
{
    char where[96];
    if (v->reliance_count)
        qsort(v->reliance, v->reliance_count, sizeof *v->reliance, by_statement);
    for (size_t i = 1; i < v->reliance_count; i++) {
        const reliance *before = &v->reliance[i - 1], *r = &v->reliance[i];
        if (!cn_digest_eq(&before->network, &r->network) || !cn_digest_eq(&before->statement, &r->statement))
            continue;
        snprintf(where, sizeof where, "statements/%020llu.bin", (unsigned long long)r->log_index);
        verify_fault(v, CN_STEP_AUTHORITY, CN_CONFLICT, where,
                     "foreign_proof.statement: is a replay of the one at log index %llu",
                     (unsigned long long)before->log_index);
    }
}

/* ---- proofs ---- */

static cn_status check_proof(verifier *v, const cn_foreign_proof *p, uint64_t index, cn_err *err)
{
    foreign_network *n = find_network(v, &p->network);
    cn_state_foreign *known = n && n->known ? &n->state : NULL;
    cn_digest statement;
    if (!known)
        return cn_fail(err, CN_NOT_FOUND, "foreign_proof.network", "no ballot has registered network %s before",
                       cn_digest_hex(&p->network).s);
    cn_status st = cn_foreign_fits(p, known, err);
    if (st == CN_OK)
        st = cn_foreign_check(p, err);
    if (st == CN_OK && p->kind == CN_FOREIGN_ADVANCE)
        cn_foreign_move(p, known);
    else if (st == CN_OK && (st = cn_foreign_statement(p, &statement, err)) == CN_OK)
        note_reliance(v, &p->network, &statement, index);
    return st;
}

void verify_foreign(verifier *v, const cn_statement *s, const known_key *signer, uint64_t index, const char *where)
{
    const cn_foreign_payload *f = &s->body.foreign;
    cn_err err = {0};
    if (s->body.kind != CN_PAYLOAD_FOREIGN)
        return;
    if (signer->purpose != CN_PURPOSE_CAPTURE)
        verify_fault(v, CN_STEP_AUTHORITY, CN_DENIED, where, "only a member's capture key relies on foreign proofs");
    cn_foreign_proof *p = calloc(1, sizeof *p);
    if (!p) {
        v->exhausted = true;
        return;
    }
    cn_status st = cn_foreign_read(f->proof.p, f->proof.n, p, &err);
    if (st == CN_OK)
        st = check_proof(v, p, index, &err);
    if (st != CN_OK)
        verify_fault(v, CN_STEP_AUTHORITY, st, where, "%s: %s", err.field, err.text);
    free(p);
}

void verify_foreign_free(verifier *v)
{
    free(v->network);
    free(v->reliance);
}
