/* R11: proposals, ballots and readiness change who votes, and a closing block makes the change.
 *
 * A proposal lives in the epoch it was made in. At most one change of the set is under way: accepted by enough ballots,
 * then ready when a quorum of the NEXT set says that its nodes are synced (an approving validator is, by virtue of
 * voting), then activated by the closing block, which is the only child that a state with a ready change admits. While
 * it waits for readiness, members may change their ballots, so that a joiner that never comes does not keep the place
 * of every later change. */
#include "node/ledger/apply.h"

#include "proto/epoch.h"

#include <stdlib.h>
#include <string.h>

#define READINESS_MAX_AGE 10000u /* blocks */
#define SET_MIN 4u               /* fewer tolerate no fault */

/* ---- the set in force ---- */

cn_members *cn_members_new(uint64_t epoch, const cn_validator_set *set)
{
    cn_members *m = calloc(1, sizeof *m);
    CN_ASSERT(m);
    m->refs = 1;
    m->epoch = epoch;
    m->set = *set;
    m->digest = cn_validator_set_digest(set);
    return m;
}

cn_members *cn_members_ref(cn_members *m)
{
    m->refs++;
    return m;
}

void cn_members_unref(cn_members *m)
{
    if (m && --m->refs == 0)
        free(m);
}

const cn_validator_set *cn_ledger_set_of(cn_ledger *l, const cn_ledger_block *parent)
{
    return &(parent ? parent : l->tip)->members->set;
}

uint64_t cn_ledger_epoch_of(cn_ledger *l, const cn_ledger_block *parent)
{
    return (parent ? parent : l->tip)->members->epoch;
}

const cn_validator_set *cn_ledger_block_next_set(const cn_ledger_block *b)
{
    return b->header.kind == CN_BLOCK_CLOSING ? &b->members->set : NULL;
}

bool cn_ledger_block_closing_due(const cn_ledger_block *b)
{
    return b->closing_due;
}

/* ---- state ---- */

static cn_state_key change_key(const cn_ledger_block *b)
{
    return cn_state_key_of(b->ledger->genesis->subject_salt, CN_STATE_CHANGE, "", 0);
}

cn_status cn_block_change(const cn_ledger_block *b, cn_state_change *ret, cn_err *err)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_key key = change_key(b);
    *ret = (cn_state_change){.phase = CN_CHANGE_NONE};
    if (cn_block_get(b, &key, value, &n) && !cn_state_change_decode(value, n, ret))
        cn_ledger_fault(b->ledger, "the change under way");
    return cn_ledger_sound(b->ledger, err);
}

static cn_status get_proposal(const cn_ledger_block *b, const cn_digest *id, cn_state_proposal *ret, cn_err *err)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_key key = cn_state_key_of(b->ledger->genesis->subject_salt, CN_STATE_PROPOSAL, id->b, CN_DIGEST_LEN);
    if (!cn_block_get(b, &key, value, &n))
        return cn_fail(err, CN_NOT_FOUND, "proposal", "there is no proposal %s", cn_digest_hex(id).s);
    if (!cn_state_proposal_decode(value, n, ret))
        cn_ledger_fault(b->ledger, "a proposal");
    return cn_ledger_sound(b->ledger, err);
}

static void put_proposal(cn_apply *a, const cn_digest *id, const cn_state_proposal *p)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    cn_apply_put(a, CN_STATE_PROPOSAL, id->b, CN_DIGEST_LEN, value, cn_state_proposal_encode(p, value));
}

static void put_change(cn_apply *a, const cn_state_change *change)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    cn_apply_put(a, CN_STATE_CHANGE, "", 0, value, cn_state_change_encode(change, value));
}

static const cn_members *members(const cn_apply *a)
{
    return a->b->members;
}

/* The common tree holds all that was ever decided: who was a registrar when, is proved with it and without the whole
 * record of a member. */
static void about(cn_apply *a, const cn_digest *member, unsigned action)
{
    cn_apply_about_governance(a);
    if (action == CN_CHANGE_FOREIGN)
        cn_apply_about_network(a, member);
    else
        cn_apply_about_member(a, member);
    cn_apply_about_member(a, &a->key.owner);
}

/* ---- sets ---- */

static cn_status decode_row(const uint8_t row[CN_SET_ROW_LEN], cn_set_row *ret, cn_err *err)
{
    cn_validator_set *alone = calloc(1, sizeof *alone);
    CN_ASSERT(alone);
    cn_status st = cn_validator_set_decode(row, CN_SET_ROW_LEN, alone, err);
    *ret = alone->row[0];
    free(alone);
    return st;
}

static void encode_row(const cn_set_row *row, uint8_t out[CN_SET_ROW_LEN])
{
    cn_validator_set *alone = calloc(1, sizeof *alone);
    cn_buf bytes;
    CN_ASSERT(alone);
    alone->n = 1;
    alone->row[0] = *row;
    cn_buf_init(&bytes, CN_SET_ROW_LEN);
    cn_validator_set_encode(alone, &bytes);
    CN_ASSERT(!bytes.fault && bytes.n == CN_SET_ROW_LEN);
    memcpy(out, bytes.p, CN_SET_ROW_LEN);
    cn_buf_free(&bytes);
    free(alone);
}

/* The set after the change; rows stay in member order. row is NULL for a member that leaves. */
static cn_status changed_set(const cn_ledger_block *b, const cn_digest *member, const cn_set_row *row,
                             cn_validator_set *ret, cn_err *err)
{
    const cn_validator_set *set = &b->members->set;
    unsigned threshold = b->ledger->genesis->parameters.ballot_threshold;
    ret->n = 0;
    bool placed = row == NULL;
    for (unsigned i = 0; i <= set->n; i++) {
        if (!placed && (i == set->n || cn_digest_cmp(&row->member, &set->row[i].member) <= 0)) {
            if (ret->n == CN_MAX_VALIDATORS)
                return cn_fail(err, CN_TOO_LARGE, "proposal.row", "a set has at most %u validators", CN_MAX_VALIDATORS);
            ret->row[ret->n++] = *row;
            placed = true;
        }
        if (i == set->n || cn_digest_eq(&set->row[i].member, member))
            continue;
        if (ret->n == CN_MAX_VALIDATORS)
            return cn_fail(err, CN_TOO_LARGE, "proposal.row", "a set has at most %u validators", CN_MAX_VALIDATORS);
        ret->row[ret->n++] = set->row[i];
    }
    if (ret->n < SET_MIN && ret->n < set->n)
        return cn_fail(err, CN_CONFLICT, "proposal.action",
                       "%u validators would be left, and fewer than %u tolerate no fault", ret->n, SET_MIN);
    if (ret->n < threshold && ret->n < set->n)
        return cn_fail(err, CN_CONFLICT, "proposal.action",
                       "%u validators would be left, and a ballot needs %u: nothing could ever be decided again",
                       ret->n, threshold);
    cn_err why;
    cn_status st = cn_validator_set_check(ret, &why);
    return st == CN_OK ? CN_OK : cn_fail(err, st, "proposal.row", "the set would not hold: %s", why.text);
}

static cn_status next_set(const cn_ledger_block *b, const cn_state_proposal *p, cn_validator_set *ret, cn_err *err)
{
    cn_set_row row;
    bool leaves = p->action == CN_CHANGE_LEAVE;
    cn_status st = leaves ? CN_OK : decode_row(p->row, &row, err);
    return st == CN_OK ? changed_set(b, &p->member, leaves ? NULL : &row, ret, err) : st;
}

/* ---- proposals ---- */

static cn_status check_possession(const cn_apply *a, const cn_proposal_payload *p, cn_err *err)
{
    static const char *const names[CN_ROW_KEYS] = {"vote", "receipt", "cosignature", "log"};
    cn_public_key key[CN_ROW_KEYS];
    cn_set_row_keys(&p->row, key);
    for (unsigned i = 0; i < CN_ROW_KEYS; i++) {
        cn_digest id = cn_key_id(&key[i]);
        cn_digest digest = cn_possession_digest(&a->b->ledger->genesis->network, &p->member, &id);
        if (!cn_verify(&key[i], &digest, p->possession[i].b))
            return cn_fail(err, CN_BAD_SIGNATURE, "proposal.possession",
                           "the %s key has not signed T(\"carnet/possession\", network | member | key id)", names[i]);
    }
    return CN_OK;
}

static cn_status check_row(const cn_apply *a, const cn_proposal_payload *p, int place, cn_err *err)
{
    static const uint8_t none[32];
    cn_state_member member;
    const cn_validator_set *set = &members(a)->set;
    if (p->action == CN_CHANGE_JOIN && place >= 0)
        return cn_fail(err, CN_CONFLICT, "proposal.member", "votes already; use rotate for new keys");
    if (p->action == CN_CHANGE_ROTATE && place < 0)
        return cn_fail(err, CN_CONFLICT, "proposal.member", "does not vote; use join");
    if (p->action == CN_CHANGE_ROTATE && memcmp(&set->row[place], &p->row, sizeof p->row) == 0)
        return cn_fail(err, CN_CONFLICT, "proposal.row", "names the keys that the member has already");
    if (cn_apply_get_member(a->b, &p->member, &member) && memcmp(member.channel_key, none, sizeof none) == 0)
        return cn_fail(err, CN_CONFLICT, "proposal.member",
                       "%s has no channel key, so that no node could reach it; see carnet "
                       "member channel-key",
                       member.name);
    cn_status st = check_possession(a, p, err);
    cn_validator_set *next = calloc(1, sizeof *next);
    CN_ASSERT(next);
    if (st == CN_OK)
        st = changed_set(a->b, &p->member, &p->row, next, err);
    free(next);
    return st;
}

static cn_status check_proposal(const cn_apply *a, const cn_proposal_payload *p, cn_err *err)
{
    cn_state_member member;
    const cn_validator_set *set = &members(a)->set;
    bool signer_votes = cn_validator_set_find(set, &a->key.owner) >= 0, own = cn_digest_eq(&a->key.owner, &p->member);
    int place = cn_validator_set_find(set, &p->member);
    if (!signer_votes && !(own && p->action != CN_CHANGE_ROLES))
        return cn_fail(err, CN_DENIED, "body.key_id", "only validators propose changes of other members, or of roles");
    if (p->action == CN_CHANGE_FOREIGN)
        return CN_OK; /* foreign.c */
    if (!cn_apply_get_member(a->b, &p->member, &member))
        return cn_fail(err, CN_NOT_FOUND, "proposal.member", "is no member; a registrar registers it first");
    if (p->action == CN_CHANGE_JOIN || p->action == CN_CHANGE_ROTATE)
        return check_row(a, p, place, err);
    if (p->action != CN_CHANGE_LEAVE)
        return CN_OK;
    if (place < 0)
        return cn_fail(err, CN_CONFLICT, "proposal.member", "%s does not vote", member.name);
    cn_validator_set *next = calloc(1, sizeof *next);
    CN_ASSERT(next);
    cn_status st = changed_set(a->b, &p->member, NULL, next, err);
    free(next);
    return st;
}

cn_status cn_apply_proposal(cn_apply *a, cn_err *err)
{
    const cn_proposal_payload *p = &a->s->body.proposal;
    cn_status st = cn_apply_need_capture(a, err);
    if (st == CN_OK)
        st = check_proposal(a, p, err);
    if (st != CN_OK)
        return st;
    cn_state_proposal state = {.status = CN_PROPOSAL_OPEN,
                               .action = (uint8_t)p->action,
                               .epoch = members(a)->epoch,
                               .proposer = a->key.owner,
                               .member = p->member,
                               .roles = p->roles,
                               .registrar = p->registrar,
                               .log_index = a->index};
    if (p->action == CN_CHANGE_JOIN || p->action == CN_CHANGE_ROTATE)
        encode_row(&p->row, state.row);
    if (p->action == CN_CHANGE_FOREIGN && (st = cn_apply_foreign_propose(a, p, state.row, err)) != CN_OK)
        return st;
    put_proposal(a, &a->s->id, &state);
    about(a, &p->member, p->action);
    return CN_OK;
}

/* ---- ballots and readiness ---- */

static bool is_ready(const cn_apply *a, const cn_state_proposal *p, const cn_validator_set *next)
{
    const cn_validator_set *set = &members(a)->set;
    unsigned ready = p->ready;
    for (unsigned i = 0; i < set->n; i++)
        if ((p->approvals >> i & 1) && !cn_digest_eq(&set->row[i].member, &p->member) &&
            cn_validator_set_find(next, &set->row[i].member) >= 0)
            ready++;
    return (p->action == CN_CHANGE_LEAVE || p->ready) && ready >= cn_quorum(next->n);
}

/* After a ballot or readiness: what the proposal has come to. */
static cn_status proceed(cn_apply *a, const cn_digest *id, cn_state_proposal *p, cn_err *err)
{
    cn_state_change change;
    cn_state_member member;
    unsigned threshold = a->b->ledger->genesis->parameters.ballot_threshold, n = members(a)->set.n;
    cn_status st = cn_block_change(a->b, &change, err);
    if (st != CN_OK)
        return st;
    cn_outcome outcome = cn_ballot_outcome(p->approvals, p->refusals, n, threshold, p->status == CN_PROPOSAL_ACCEPTED);
    bool accepted = outcome == CN_OUTCOME_ACCEPTED;
    if (p->status == CN_PROPOSAL_OPEN && outcome == CN_OUTCOME_REJECTED)
        p->status = CN_PROPOSAL_REJECTED;
    if (p->status == CN_PROPOSAL_OPEN && accepted && p->action == CN_CHANGE_ROLES) {
        if (!cn_apply_get_member(a->b, &p->member, &member))
            return cn_fail(err, CN_CORRUPT, "state", "the member of a proposal is gone; run carnet fsck");
        member.roles = p->roles;
        member.is_registrar = p->registrar;
        cn_apply_put_member(a, &p->member, &member);
        p->status = CN_PROPOSAL_APPLIED;
    } else if (p->status == CN_PROPOSAL_OPEN && accepted && p->action == CN_CHANGE_FOREIGN) {
        st = cn_apply_foreign_decided(a, p, err);
        p->status = CN_PROPOSAL_APPLIED;
    } else if (p->status == CN_PROPOSAL_OPEN && accepted) {
        if (change.phase != CN_CHANGE_NONE)
            return cn_fail(err, CN_CONFLICT, "ballot.proposal",
                           "another change of the validators is under way (proposal %s); vote again after it",
                           cn_digest_hex(&change.proposal).s);
        change = (cn_state_change){CN_CHANGE_ACCEPTED, *id};
        p->status = CN_PROPOSAL_ACCEPTED;
        put_change(a, &change);
    } else if (p->status == CN_PROPOSAL_ACCEPTED && outcome == CN_OUTCOME_REJECTED) { /* called off while it waited */
        change = (cn_state_change){.phase = CN_CHANGE_NONE};
        p->status = CN_PROPOSAL_REJECTED;
        put_change(a, &change);
    }
    if (st == CN_OK && p->status == CN_PROPOSAL_ACCEPTED && change.phase == CN_CHANGE_ACCEPTED) {
        cn_validator_set *next = calloc(1, sizeof *next);
        CN_ASSERT(next);
        st = next_set(a->b, p, next, err);
        if (st == CN_OK && is_ready(a, p, next)) {
            change.phase = CN_CHANGE_READY;
            put_change(a, &change);
        }
        free(next);
    }
    if (st == CN_OK)
        put_proposal(a, id, p);
    return st;
}

/* The proposal that a ballot or readiness is about; it must still be alive. */
static cn_status find_alive(const cn_apply *a, const cn_digest *id, const cn_digest *member, cn_state_proposal *ret,
                            cn_err *err)
{
    cn_state_change change;
    cn_status st = cn_apply_need_capture(a, err);
    if (st == CN_OK)
        st = get_proposal(a->b, id, ret, err);
    if (st == CN_OK)
        st = cn_block_change(a->b, &change, err);
    if (st == CN_OK && !cn_digest_eq(&ret->member, member))
        st = cn_fail(err, CN_INVALID, "member", "is not the member that the proposal is about");
    if (st == CN_OK && ret->epoch != members(a)->epoch)
        st = cn_fail(err, CN_CONFLICT, "proposal", "was made in epoch %llu and is void in epoch %llu; propose it again",
                     (unsigned long long)ret->epoch, (unsigned long long)members(a)->epoch);
    if (st == CN_OK && ret->status != CN_PROPOSAL_OPEN &&
        !(ret->status == CN_PROPOSAL_ACCEPTED && change.phase == CN_CHANGE_ACCEPTED))
        st = cn_fail(err, CN_CONFLICT, "proposal", "is decided already");
    return st;
}

cn_status cn_apply_ballot(cn_apply *a, cn_err *err)
{
    const cn_ballot_payload *ballot = &a->s->body.ballot;
    cn_state_proposal p;
    cn_status st = find_alive(a, &ballot->proposal, &ballot->member, &p, err);
    if (st != CN_OK)
        return st;
    int place = cn_validator_set_find(&members(a)->set, &a->key.owner);
    if (place < 0)
        return cn_fail(err, CN_DENIED, "body.key_id", "only members whose validators vote have a voice");
    if (!cn_ballot_cast(&p.approvals, &p.refusals, (unsigned)place, ballot->approve, p.status == CN_PROPOSAL_ACCEPTED))
        return cn_fail(err, CN_CONFLICT, "ballot", "this member has voted already");
    about(a, &p.member, p.action);
    return proceed(a, &ballot->proposal, &p, err);
}

/* The digest of the final or executed block at a height below b. */
static bool digest_at(const cn_ledger_block *b, uint64_t height, cn_digest *ret)
{
    cn_header h;
    for (const cn_ledger_block *at = b->parent; at; at = at->parent)
        if (at->header.height == height) {
            *ret = at->digest;
            return true;
        }
    if (cn_snapshot_header(b->ledger->snap, height, &h, NULL) != CN_OK) {
        cn_ledger_fault(b->ledger, "the header of a final block");
        return false;
    }
    *ret = cn_header_digest(&h);
    return true;
}

cn_status cn_apply_readiness(cn_apply *a, cn_err *err)
{
    const cn_readiness_payload *r = &a->s->body.readiness;
    cn_state_proposal p;
    cn_set_row row;
    cn_digest at;
    cn_status st = find_alive(a, &r->proposal, &r->member, &p, err);
    if (st != CN_OK)
        return st;
    if (p.action != CN_CHANGE_JOIN && p.action != CN_CHANGE_ROTATE)
        return cn_fail(err, CN_CONFLICT, "readiness.proposal", "only a member that joins or rotates signs readiness");
    if (!cn_digest_eq(&a->key.owner, &p.member))
        return cn_fail(err, CN_DENIED, "body.key_id", "only the member that the proposal is about signs readiness");
    uint64_t tip = a->b->parent->header.height;
    if (r->height > tip || r->height + READINESS_MAX_AGE < tip)
        return cn_fail(err, CN_CONFLICT, "readiness.height", "is %llu; it must lie within %u blocks below %llu",
                       (unsigned long long)r->height, READINESS_MAX_AGE, (unsigned long long)tip);
    if (!digest_at(a->b, r->height, &at) || !cn_digest_eq(&at, &r->block))
        return cn_fail(err, CN_CONFLICT, "readiness.block", "is not the digest of block %llu",
                       (unsigned long long)r->height);
    st = decode_row(p.row, &row, err);
    if (st != CN_OK)
        return st;
    cn_public_key key[CN_ROW_KEYS];
    cn_set_row_keys(&row, key);
    cn_digest digest = cn_readiness_digest(&a->b->ledger->genesis->network, &r->proposal, r->height, &r->block);
    if (!cn_verify(&key[0], &digest, r->signature.b))
        return cn_fail(err, CN_BAD_SIGNATURE, "readiness.signature", "is not one of the proposal's vote key");
    p.ready = true;
    about(a, &p.member, p.action);
    return proceed(a, &r->proposal, &p, err);
}

/* ---- closing ---- */

static void write_value(cn_ledger_block *b, cn_state_type type, const void *id, size_t id_len, const uint8_t *value,
                        size_t n)
{
    cn_state_key key = cn_state_key_of(b->ledger->genesis->subject_salt, type, id, id_len);
    cn_overlay_put(&b->overlay, &key, value, n);
}

cn_status cn_block_close_epoch(cn_ledger_block *b, cn_err *err)
{
    uint8_t value[CN_STATE_VALUE_MAX], epoch[8];
    cn_state_change change;
    cn_state_proposal p;
    cn_validator_set *next = calloc(1, sizeof *next);
    CN_ASSERT(next);
    cn_status st = cn_block_change(b, &change, err);
    if (st == CN_OK)
        st = get_proposal(b, &change.proposal, &p, err);
    if (st == CN_OK)
        st = next_set(b, &p, next, err);
    if (st == CN_OK) {
        cn_members *closing = b->members;
        b->members = cn_members_new(closing->epoch + 1, next);
        cn_members_unref(closing);
        b->header.next_set = b->members->digest;
        cn_validator_set_encode(next, &b->set_rows);
        cn_state_set set = {.n = (uint8_t)next->n, .digest = b->members->digest};
        p.status = CN_PROPOSAL_APPLIED;
        write_value(b, CN_STATE_PROPOSAL, change.proposal.b, CN_DIGEST_LEN, value, cn_state_proposal_encode(&p, value));
        change = (cn_state_change){.phase = CN_CHANGE_NONE};
        write_value(b, CN_STATE_CHANGE, "", 0, value, cn_state_change_encode(&change, value));
        cn_store_u64(epoch, b->members->epoch);
        write_value(b, CN_STATE_SET, epoch, sizeof epoch, value, cn_state_set_encode(&set, value));
    }
    free(next);
    return st;
}

/* Whether the state after b holds a ready change; most blocks do not touch it. */
cn_status cn_block_note_change(cn_ledger_block *b, cn_err *err)
{
    cn_state_change change;
    cn_state_key key = change_key(b);
    b->closing_due = b->parent && b->parent->closing_due && b->header.kind != CN_BLOCK_CLOSING;
    if (b->parent && !cn_overlay_get(&b->overlay, &key))
        return CN_OK;
    cn_status st = cn_block_change(b, &change, err);
    b->closing_due = st == CN_OK && change.phase == CN_CHANGE_READY;
    return st;
}
