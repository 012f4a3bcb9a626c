/* Other Carnet networks: registered by ballot, moved on by their own closing blocks, relied on statement by statement
 * (docs/foreign-proofs.md). Nothing here reads more than the signed body and the state, so that every validator comes
 * to the same verdict; the proofs themselves are judged by proto/foreign.c, as in the offline verifier. */
#include "node/ledger/apply.h"

#include "proto/foreign.h"

#include <stdlib.h>
#include <string.h>

/* ---- state ---- */

/* False: nothing is known of it, or what is stored does not read (noted, see rules.c). */
static bool get_foreign(const cn_ledger_block *b, const cn_digest *network, cn_state_foreign *ret)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_key key = cn_state_key_of(b->ledger->genesis->subject_salt, CN_STATE_FOREIGN, network->b, CN_DIGEST_LEN);
    if (!cn_block_get(b, &key, value, &n))
        return false;
    bool ok = cn_state_foreign_decode(value, n, ret);
    if (!ok)
        cn_ledger_fault(b->ledger, "a foreign network");
    return ok;
}

static void put_foreign(cn_apply *a, cn_state_foreign *v)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    v->log_index = a->index;
    cn_apply_put(a, CN_STATE_FOREIGN, v->network.b, CN_DIGEST_LEN, value, cn_state_foreign_encode(v, value));
}

static void relied_id(const cn_digest *network, const cn_digest *statement, uint8_t ret[2 * CN_DIGEST_LEN])
{
    memcpy(ret, network->b, CN_DIGEST_LEN);
    memcpy(ret + CN_DIGEST_LEN, statement->b, CN_DIGEST_LEN);
}

void cn_apply_about_network(cn_apply *a, const cn_digest *network)
{
    cn_digest tag = cn_network_subject(a->salt, network);
    cn_apply_about(a, &tag);
}

/* ---- ballots ---- */

cn_status cn_apply_foreign_propose(const cn_apply *a, const cn_proposal_payload *p, uint8_t row[CN_SET_ROW_LEN],
                                   cn_err *err)
{
    cn_state_foreign was, becomes, proposed = cn_foreign_proposed(p);
    if (cn_digest_eq(&p->member, &a->b->ledger->genesis->network))
        return cn_fail(err, CN_INVALID, "proposal.member", "is this network itself");
    bool known = get_foreign(a->b, &p->member, &was);
    cn_status st = cn_foreign_decide(&proposed, known ? &was : NULL, &becomes, err);
    if (st != CN_OK)
        return st;
    becomes.log_index = 0;
    memset(row, 0, CN_SET_ROW_LEN);
    cn_state_foreign_encode(&becomes, row);
    return CN_OK;
}

cn_status cn_apply_foreign_decided(cn_apply *a, const cn_state_proposal *p, cn_err *err)
{
    cn_state_foreign was, proposed, becomes;
    if (!cn_state_foreign_decode(p->row, CN_STATE_FOREIGN_LEN, &proposed))
        return cn_ledger_fault(a->b->ledger, "the network of a proposal");
    bool known = get_foreign(a->b, &p->member, &was);
    /* it may have moved on since the proposal: then the ballot that would take it back is refused */
    cn_status st = cn_foreign_decide(&proposed, known ? &was : NULL, &becomes, err);
    if (st == CN_OK)
        put_foreign(a, &becomes);
    return st;
}

/* ---- proofs ---- */

/* Recorded before, under whatever local id: one foreign statement is relied on once. */
static cn_status check_new(const cn_apply *a, const uint8_t id[2 * CN_DIGEST_LEN], cn_err *err)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_relied before;
    cn_state_key key = cn_state_key_of(a->salt, CN_STATE_RELIED, id, 2 * CN_DIGEST_LEN);
    if (!cn_block_get(a->b, &key, value, &n))
        return CN_OK;
    if (!cn_state_relied_decode(value, n, &before))
        return cn_ledger_fault(a->b->ledger, "a foreign statement that is relied on");
    return cn_fail(err, CN_CONFLICT, "foreign_proof.statement",
                   "is a replay: recorded here as statement %s at log index %llu", cn_digest_hex(&before.statement).s,
                   (unsigned long long)before.log_index);
}

cn_status cn_stmt_check_foreign(cn_stmt *stmt, cn_err *err)
{
    const cn_foreign_payload *f = &stmt->s->body.foreign;
    if (stmt->s->body.kind != CN_PAYLOAD_FOREIGN || atomic_load(&stmt->foreign))
        return CN_OK;
    cn_foreign_proof *proof = calloc(1, sizeof *proof);
    CN_ASSERT(proof);
    cn_status st = cn_foreign_read(f->proof.p, f->proof.n, proof, err);
    if (st == CN_OK)
        st = cn_foreign_check(proof, err);
    atomic_store(&stmt->foreign, st == CN_OK);
    free(proof);
    return st;
}

static cn_status rely(cn_apply *a, const cn_foreign_proof *proof, cn_err *err)
{
    const cn_foreign_payload *f = &a->s->body.foreign;
    uint8_t id[2 * CN_DIGEST_LEN], value[CN_STATE_VALUE_MAX];
    cn_digest statement;
    cn_status st = cn_foreign_statement(proof, &statement, err);
    if (st != CN_OK)
        return st;
    relied_id(&f->network, &statement, id);
    st = check_new(a, id, err);
    if (st == CN_OK)
        st = cn_stmt_check_foreign(a->stmt, err);
    if (st != CN_OK)
        return st;
    cn_state_relied relied = {.statement = a->s->id, .log_index = a->index};
    cn_apply_put(a, CN_STATE_RELIED, id, sizeof id, value, cn_state_relied_encode(&relied, value));
    for (size_t i = 0; i < f->subject_count; i++)
        cn_apply_about(a, &f->subject[i]);
    return CN_OK;
}

cn_status cn_apply_foreign(cn_apply *a, cn_err *err)
{
    const cn_foreign_payload *f = &a->s->body.foreign;
    cn_state_foreign known;
    cn_status st = cn_apply_need_capture(a, err);
    if (st == CN_OK && !get_foreign(a->b, &f->network, &known))
        st = cn_fail(err, CN_NOT_FOUND, "foreign_proof.network", "no ballot has registered network %s",
                     cn_digest_hex(&f->network).s);
    cn_foreign_proof *proof = calloc(1, sizeof *proof);
    CN_ASSERT(proof);
    if (st == CN_OK)
        st = cn_foreign_read(f->proof.p, f->proof.n, proof, err);
    if (st == CN_OK)
        st = cn_foreign_fits(proof, &known, err);
    if (st == CN_OK && proof->kind == CN_FOREIGN_STATEMENT)
        st = rely(a, proof, err);
    else if (st == CN_OK && (st = cn_stmt_check_foreign(a->stmt, err)) == CN_OK) {
        cn_foreign_move(proof, &known);
        put_foreign(a, &known);
        cn_apply_about_network(a, &f->network);
    }
    free(proof);
    return st;
}
