/* Other networks as the statements here made them known, and each foreign proof again, held to the rules of
 * node/ledger/foreign.c. That no ballot about a network and none of its advances is missing is what completeness of the
 * tree urn:carnet:network:<hex> shows (trees.c). A replay is named when both statements are here; that there is none
 * elsewhere in the log is vouched for by the validators. */
#include "tools/verify/internal.h"

#include <stdlib.h>

static cn_state_foreign *find_network(verifier *v, const cn_digest *network)
{
    for (size_t i = 0; i < v->network_count; i++)
        if (cn_digest_eq(&v->network[i].network, network))
            return &v->network[i];
    return NULL;
}

void verify_foreign_decided(verifier *v, const cn_proposal_payload *p, uint64_t index, const char *where)
{
    cn_state_foreign *was = find_network(v, &p->member), becomes, proposed = cn_foreign_proposed(p);
    cn_err err = {0};
    if (cn_foreign_decide(&proposed, was, &becomes, &err) != CN_OK) {
        verify_fault(v, CN_STEP_AUTHORITY, err.code, where, "%s: %s", err.field, err.text);
        return;
    }
    becomes.log_index = index;
    if (!was) {
        cn_state_foreign *grown = verify_grow(v, v->network, v->network_count + 1, sizeof *grown);
        if (!grown)
            return;
        v->network = grown;
        was = &v->network[v->network_count++];
    }
    *was = becomes;
}

/* One foreign statement is relied on once. */
static void note_reliance(verifier *v, const cn_digest *network, const cn_digest *statement, uint64_t index,
                          const char *where)
{
    for (size_t i = 0; i < v->reliance_count; i++)
        if (cn_digest_eq(&v->reliance[i].network, network) && cn_digest_eq(&v->reliance[i].statement, statement))
            verify_fault(v, CN_STEP_AUTHORITY, CN_CONFLICT, where,
                         "foreign_proof.statement: is a replay of the one at log index %llu",
                         (unsigned long long)v->reliance[i].log_index);
    reliance *grown = verify_grow(v, v->reliance, v->reliance_count + 1, sizeof *grown);
    if (!grown)
        return;
    v->reliance = grown;
    v->reliance[v->reliance_count++] = (reliance){*network, *statement, index};
}

static cn_status check_proof(verifier *v, const cn_foreign_proof *p, uint64_t index, const char *where, cn_err *err)
{
    cn_state_foreign *known = find_network(v, &p->network);
    cn_digest statement;
    if (!known)
        return cn_fail(err, CN_NOT_FOUND, "foreign_proof.network", "no ballot has registered network %s before",
                       cn_digest_hex(&p->network).s);
    if (p->kind == CN_FOREIGN_ADVANCE)
        return cn_foreign_advance(p, known, err);
    cn_status st = cn_foreign_fits(p, known, err);
    if (st == CN_OK)
        st = cn_foreign_statement(p, &statement, err);
    if (st == CN_OK)
        st = cn_foreign_check(p, err);
    if (st == CN_OK)
        note_reliance(v, &p->network, &statement, index, where);
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
        st = check_proof(v, p, index, where, &err);
    if (st != CN_OK)
        verify_fault(v, CN_STEP_AUTHORITY, st, where, "%s: %s", err.field, err.text);
    free(p);
}

void verify_foreign_free(verifier *v)
{
    free(v->network);
    free(v->reliance);
}
