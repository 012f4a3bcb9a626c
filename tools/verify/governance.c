/* R11: what members decided by ballot, held to the rules of node/ledger/governance.c. Authority hangs on it in one
 * place: who may register members and act on the keys of others at which log index. That no ballot is missing is what
 * completeness of the tree urn:carnet:governance shows (trees.c). */
#include "tools/verify/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- who votes where ---- */

/* The epoch of the blocks that hold this log index: a closing block's log ends where the next epoch's statements begin.
 */
static uint64_t epoch_at(const verifier *v, uint64_t index)
{
    uint64_t epoch = 1;
    for (size_t i = 0; i < v->dossier.epoch_count; i++)
        if (v->dossier.epoch[i].closing.log_size <= index)
            epoch = i + 2;
    return epoch;
}

/* The member's place in the set of the epoch, -1: it does not vote there. */
static int place_in(const verifier *v, uint64_t epoch, const cn_digest *member, unsigned *ret_n)
{
    if (epoch == 1) {
        *ret_n = v->genesis.set.n;
        return cn_validator_set_find(&v->genesis.set, member);
    }
    const cn_span rows = v->dossier.epoch[epoch - 2].rows; /* each begins with its member */
    const uint8_t *row = rows.p;
    *ret_n = (unsigned)(rows.n / CN_SET_ROW_LEN);
    for (unsigned i = 0; i < *ret_n; i++)
        if (memcmp(row + (size_t)i * CN_SET_ROW_LEN, member->b, CN_DIGEST_LEN) == 0)
            return (int)i;
    return -1;
}

/* ---- registrars ---- */

bool verify_is_registrar(const verifier *v, const cn_digest *member)
{
    for (size_t i = v->appointment_count; i-- > 0;)
        if (cn_digest_eq(&v->appointment[i].member, member))
            return v->appointment[i].registrar;
    for (size_t i = 0; i < v->genesis.member_count; i++)
        if (cn_digest_eq(&v->genesis.member[i].id, member))
            return v->genesis.member[i].registrar;
    return false;
}

static void appoint(verifier *v, const cn_digest *member, bool registrar)
{
    appointment *grown = verify_grow(v, v->appointment, v->appointment_count + 1, sizeof *grown);
    if (!grown)
        return;
    v->appointment = grown;
    v->appointment[v->appointment_count++] = (appointment){*member, registrar};
}

bool verify_leans_on_governance(const verifier *v, const cn_statement *s)
{
    const cn_registry_change *c = &s->body.registry;
    if (s->body.kind == CN_PAYLOAD_PROPOSAL || s->body.kind == CN_PAYLOAD_BALLOT ||
        s->body.kind == CN_PAYLOAD_READINESS)
        return true;
    if (s->body.kind != CN_PAYLOAD_REGISTRY)
        return false;
    if (c->op != CN_REG_KEY_REVOKE && c->op != CN_REG_KEY_GAP)
        return c->op == CN_REG_MEMBER_REGISTER;
    const known_key *signer = verify_find_key(v, &s->body.key_id), *target = verify_find_key(v, &c->key_id);
    return signer && target && !cn_digest_eq(&signer->owner, &target->owner);
}

/* ---- proposals ---- */

static int by_id(const void *a, const void *b)
{
    return cn_digest_cmp(&((const decision *)a)->id, &((const decision *)b)->id);
}

/* Sorted once: a dossier may hold many proposals and many ballots. */
void verify_collect_decisions(verifier *v)
{
    size_t n = 0;
    for (size_t i = 0; i < v->dossier.statement_count; i++)
        n += v->statement[i] && v->statement[i]->body.kind == CN_PAYLOAD_PROPOSAL;
    v->decision = n ? verify_grow(v, NULL, n, sizeof *v->decision) : NULL;
    for (size_t i = 0; v->decision && i < v->dossier.statement_count; i++)
        if (v->statement[i] && v->statement[i]->body.kind == CN_PAYLOAD_PROPOSAL)
            v->decision[v->decision_count++] =
                (decision){.id = v->statement[i]->id, .proposal = &v->statement[i]->body.proposal};
    if (v->decision_count)
        qsort(v->decision, v->decision_count, sizeof *v->decision, by_id);
}

static decision *find_decision(const verifier *v, const cn_digest *id)
{
    decision key = {.id = *id};
    return v->decision_count ? bsearch(&key, v->decision, v->decision_count, sizeof key, by_id) : NULL;
}

bool verify_is_about_network(const verifier *v, const cn_digest *proposal)
{
    const decision *d = find_decision(v, proposal);
    return d && d->proposal->action == CN_CHANGE_FOREIGN;
}

static void check_possession(verifier *v, const cn_proposal_payload *p, const char *where)
{
    cn_public_key key[CN_ROW_KEYS];
    cn_set_row_keys(&p->row, key);
    for (unsigned i = 0; i < CN_ROW_KEYS; i++) {
        cn_digest id = cn_key_id(&key[i]), digest = cn_possession_digest(&v->genesis.network, &p->member, &id);
        if (!cn_verify(&key[i], &digest, p->possession[i].b))
            verify_fault(v, CN_STEP_AUTHORITY, CN_BAD_SIGNATURE, where, "key %u of the row has not proved possession",
                         i + 1);
    }
}

static void propose(verifier *v, const cn_statement *s, const cn_digest *signer, uint64_t index, const char *where)
{
    const cn_proposal_payload *p = &s->body.proposal;
    unsigned n;
    decision *d = find_decision(v, &s->id);
    uint64_t epoch = epoch_at(v, index);
    bool own = cn_digest_eq(signer, &p->member) && p->action < CN_CHANGE_ROLES;
    if (!own && place_in(v, epoch, signer, &n) < 0)
        verify_fault(v, CN_STEP_AUTHORITY, CN_DENIED, where, "it was proposed by one who does not vote in epoch %llu",
                     (unsigned long long)epoch);
    if (p->action == CN_CHANGE_JOIN || p->action == CN_CHANGE_ROTATE)
        check_possession(v, p, where);
    if (!d)
        return; /* memory was exhausted */
    d->seen = true;
    d->epoch = epoch;
}

/* The proposal that a ballot or readiness names, of the same member and epoch; NULL: reported. */
static decision *find_alive(verifier *v, const cn_digest *id, const cn_digest *member, uint64_t index,
                            const char *where)
{
    uint64_t epoch = epoch_at(v, index);
    decision *d = find_decision(v, id);
    if (!d || !d->seen)
        verify_fault(v, CN_STEP_AUTHORITY, CN_NOT_FOUND, where, "the proposal that it names is not before it");
    else if (!cn_digest_eq(&d->proposal->member, member))
        verify_fault(v, CN_STEP_AUTHORITY, CN_INVALID, where, "the proposal that it names is about another member");
    else if (d->epoch != epoch)
        verify_fault(v, CN_STEP_AUTHORITY, CN_CONFLICT, where, "the proposal is of epoch %llu and void in epoch %llu",
                     (unsigned long long)d->epoch, (unsigned long long)epoch);
    else if (d->closed)
        verify_fault(v, CN_STEP_AUTHORITY, CN_CONFLICT, where, "the proposal had been decided before");
    else
        return d;
    return NULL;
}

/* ---- ballots and readiness ---- */

static void vote(verifier *v, const cn_ballot_payload *b, const cn_digest *signer, uint64_t index, const char *where)
{
    unsigned n = 0, threshold = v->genesis.parameters.ballot_threshold;
    decision *d = find_alive(v, &b->proposal, &b->member, index, where);
    int place = d ? place_in(v, d->epoch, signer, &n) : -1;
    if (!d)
        return;
    if (place < 0) {
        verify_fault(v, CN_STEP_AUTHORITY, CN_DENIED, where, "a ballot of one who does not vote in epoch %llu",
                     (unsigned long long)d->epoch);
        return;
    }
    if (!cn_ballot_cast(&d->approvals, &d->refusals, (unsigned)place, b->approve, d->waiting)) {
        verify_fault(v, CN_STEP_AUTHORITY, CN_CONFLICT, where, "a second ballot of the same member");
        return;
    }
    cn_outcome outcome = cn_ballot_outcome(d->approvals, d->refusals, n, threshold, d->waiting);
    bool roles = d->proposal->action == CN_CHANGE_ROLES, foreign = d->proposal->action == CN_CHANGE_FOREIGN;
    bool decided = outcome == CN_OUTCOME_ACCEPTED && (roles || foreign);
    if (decided && roles)
        appoint(v, &d->proposal->member, d->proposal->registrar);
    else if (decided)
        verify_foreign_decided(v, d->proposal, index, where);
    d->closed = decided || outcome == CN_OUTCOME_REJECTED;
    d->waiting = outcome == CN_OUTCOME_ACCEPTED && !decided;
}

static void check_readiness(verifier *v, const cn_readiness_payload *r, const cn_digest *signer, uint64_t index,
                            const char *where)
{
    const decision *d = find_alive(v, &r->proposal, &r->member, index, where);
    cn_public_key key[CN_ROW_KEYS];
    if (!d)
        return;
    if (!cn_digest_eq(signer, &r->member) ||
        (d->proposal->action != CN_CHANGE_JOIN && d->proposal->action != CN_CHANGE_ROTATE)) {
        verify_fault(v, CN_STEP_AUTHORITY, CN_DENIED, where, "readiness of another than who joins or rotates");
        return;
    }
    cn_set_row_keys(&d->proposal->row, key);
    cn_digest digest = cn_readiness_digest(&v->genesis.network, &r->proposal, r->height, &r->block);
    if (!cn_verify(&key[0], &digest, r->signature.b))
        verify_fault(v, CN_STEP_AUTHORITY, CN_BAD_SIGNATURE, where, "readiness without the new vote key's signature");
}

void verify_governance(verifier *v, const cn_statement *s, const known_key *signer, uint64_t index, const char *where)
{
    cn_payload_kind kind = s->body.kind;
    if (kind != CN_PAYLOAD_PROPOSAL && kind != CN_PAYLOAD_BALLOT && kind != CN_PAYLOAD_READINESS)
        return;
    if (signer->purpose != CN_PURPOSE_CAPTURE) {
        verify_fault(v, CN_STEP_AUTHORITY, CN_DENIED, where, "only a member's capture key speaks in its name");
        return;
    }
    if (kind == CN_PAYLOAD_PROPOSAL)
        propose(v, s, &signer->owner, index, where);
    else if (kind == CN_PAYLOAD_BALLOT)
        vote(v, &s->body.ballot, &signer->owner, index, where);
    else
        check_readiness(v, &s->body.readiness, &signer->owner, index, where);
}

void verify_governance_free(verifier *v)
{
    free(v->decision);
    free(v->appointment);
}
