/* What one statement may do at its place in the log. Everything is checked before anything is written, so that a
 * statement that does not hold leaves no trace. */
#include "node/ledger/apply.h"

#include <stdlib.h>
#include <string.h>

/* ---- collecting ---- */

void cn_apply_put(cn_apply *a, cn_state_type type, const void *id, size_t id_len, const uint8_t *value, size_t n)
{
    CN_ASSERT(a->write_count < CN_MAX_WRITES);
    cn_apply_write *w = &a->writes[a->write_count++];
    w->key = cn_state_key_of(a->salt, type, id, id_len);
    w->n = (uint16_t)n;
    w->value = malloc(n);
    CN_ASSERT(w->value);
    memcpy(w->value, value, n);
}

static void put_key(cn_apply *a, const cn_digest *id, const cn_state_device_key *key)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    cn_apply_put(a, CN_STATE_KEY, id->b, CN_DIGEST_LEN, value, cn_state_key_encode(key, value));
}

void cn_apply_put_member(cn_apply *a, const cn_digest *id, const cn_state_member *member)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    cn_apply_put(a, CN_STATE_MEMBER, id->b, CN_DIGEST_LEN, value, cn_state_member_encode(member, value));
}

/* Each distinct subject once, with the interval that the statement claims for it. */
static void add_subject(cn_apply *a, const cn_digest *tag, uint64_t first_ms, uint64_t last_ms)
{
    for (size_t i = 0; i < a->subject_count; i++)
        if (cn_digest_eq(&a->subjects[i].tag, tag)) {
            if (first_ms < a->subjects[i].first_ms)
                a->subjects[i].first_ms = first_ms;
            if (last_ms > a->subjects[i].last_ms)
                a->subjects[i].last_ms = last_ms;
            return;
        }
    if (a->subject_count == a->subject_cap) {
        a->subject_cap = a->subject_cap ? 2 * a->subject_cap : 16;
        a->subjects = realloc(a->subjects, a->subject_cap * sizeof *a->subjects);
        CN_ASSERT(a->subjects);
    }
    a->subjects[a->subject_count++] = (cn_subject_claim){*tag, first_ms, last_ms};
}

void cn_apply_about(cn_apply *a, const cn_digest *tag)
{
    add_subject(a, tag, a->s->body.created_ms, a->s->body.created_ms);
}

static void about_key(cn_apply *a, const cn_digest *key_id)
{
    cn_digest tag = cn_key_subject(a->salt, key_id);
    cn_apply_about(a, &tag);
}

void cn_apply_about_member(cn_apply *a, const cn_digest *member)
{
    cn_digest tag = cn_member_subject(a->salt, member);
    cn_apply_about(a, &tag);
}

void cn_apply_about_governance(cn_apply *a)
{
    cn_digest tag = cn_governance_subject(a->salt);
    cn_apply_about(a, &tag);
}

/* ---- reading ----
 *
 * What does not decode reads as absent, and is noted: cn_rules_apply then refuses whatever came of it. */

static bool get_key(const cn_ledger_block *b, const cn_digest *id, cn_state_device_key *ret)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_key key = cn_state_key_of(b->ledger->genesis->subject_salt, CN_STATE_KEY, id->b, CN_DIGEST_LEN);
    if (!cn_block_get(b, &key, value, &n))
        return false;
    bool ok = cn_state_key_decode(value, n, ret);
    if (!ok)
        cn_ledger_fault(b->ledger, "a key");
    return ok;
}

bool cn_apply_get_member(const cn_ledger_block *b, const cn_digest *id, cn_state_member *ret)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_key key = cn_state_key_of(b->ledger->genesis->subject_salt, CN_STATE_MEMBER, id->b, CN_DIGEST_LEN);
    if (!cn_block_get(b, &key, value, &n))
        return false;
    bool ok = cn_state_member_decode(value, n, ret);
    if (!ok)
        cn_ledger_fault(b->ledger, "a member");
    return ok;
}

static bool is_salvaged(const cn_ledger_block *b, const cn_digest *key_id, const cn_digest *statement)
{
    uint8_t id[2 * CN_DIGEST_LEN], value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    memcpy(id, key_id->b, CN_DIGEST_LEN);
    memcpy(id + CN_DIGEST_LEN, statement->b, CN_DIGEST_LEN);
    cn_state_key key = cn_state_key_of(b->ledger->genesis->subject_salt, CN_STATE_SALVAGE, id, sizeof id);
    return cn_block_get(b, &key, value, &n);
}

bool cn_ledger_key(cn_ledger *l, const cn_ledger_block *at, const cn_digest *key_id, cn_state_device_key *ret)
{
    return get_key(at ? at : l->tip, key_id, ret);
}

bool cn_ledger_member(cn_ledger *l, const cn_ledger_block *at, const cn_digest *member, cn_state_member *ret)
{
    return cn_apply_get_member(at ? at : l->tip, member, ret);
}

bool cn_ledger_salvaged(cn_ledger *l, const cn_ledger_block *at, const cn_digest *key_id, const cn_digest *statement)
{
    return is_salvaged(at ? at : l->tip, key_id, statement);
}

/* ---- the signer ---- */

static cn_status check_signer(cn_apply *a, cn_err *err)
{
    const cn_body *body = &a->s->body;
    if (!cn_digest_eq(&body->network, &a->b->ledger->genesis->network))
        return cn_fail(err, CN_WRONG_NETWORK, "body.network", "the statement belongs to network %s",
                       cn_digest_hex(&body->network).s);
    if (!get_key(a->b, &body->key_id, &a->key) || (a->key.registered != 0 && a->key.registered >= a->index))
        return cn_fail(err, CN_UNKNOWN_KEY, "body.key_id", "no member has registered key %s",
                       cn_digest_hex(&body->key_id).s);
    if (a->key.status != CN_KEY_ACTIVE &&
        !(a->key.status == CN_KEY_REVOKED && is_salvaged(a->b, &body->key_id, &a->s->id)))
        return cn_fail(err, CN_KEY_NOT_ACTIVE, "body.key_id", "the key was %s at log index %llu",
                       a->key.status == CN_KEY_REVOKED ? "revoked" : "replaced", (unsigned long long)a->key.ended);
    if (body->sequence != a->key.last_sequence + 1)
        return cn_fail(err, CN_BROKEN_CHAIN, "body.sequence", "is %llu, the key's next is %llu",
                       (unsigned long long)body->sequence, (unsigned long long)a->key.last_sequence + 1);
    if (!cn_digest_eq(&body->previous, &a->key.last_id))
        return cn_fail(err, CN_BROKEN_CHAIN, "body.previous", "is not the id of the key's statement %llu",
                       (unsigned long long)a->key.last_sequence);
    a->key_id = body->key_id;
    a->key.last_sequence = body->sequence;
    a->key.last_id = a->s->id;
    return CN_OK;
}

cn_status cn_apply_need_capture(const cn_apply *a, cn_err *err)
{
    return a->key.purpose == CN_PURPOSE_CAPTURE
               ? CN_OK
               : cn_fail(err, CN_DENIED, "body.key_id", "only a member's capture key may change the registry");
}

static bool is_registrar(const cn_apply *a)
{
    cn_state_member member;
    return cn_apply_get_member(a->b, &a->key.owner, &member) && member.is_registrar;
}

/* ---- registry ---- */

static cn_status make_key(cn_apply *a, const cn_key_register *reg, const cn_digest *owner, cn_digest *ret_id,
                          cn_err *err)
{
    cn_state_device_key existing;
    cn_digest id = cn_key_id(&reg->key);
    cn_digest digest = cn_possession_digest(&a->b->ledger->genesis->network, owner, &id);
    if (get_key(a->b, &id, &existing))
        return cn_fail(err, CN_CONFLICT, "registry_change.key.public_key", "key %s is registered already",
                       cn_digest_hex(&id).s);
    if (!cn_verify(&reg->key, &digest, reg->possession.b))
        return cn_fail(err, CN_BAD_SIGNATURE, "registry_change.key.possession",
                       "the new key has not signed T(\"carnet/possession\", network | owner | key id)");
    cn_state_device_key key = {.key = reg->key,
                               .purpose = (uint8_t)reg->purpose,
                               .status = CN_KEY_ACTIVE,
                               .owner = *owner,
                               .registered = a->index};
    put_key(a, &id, &key);
    about_key(a, &id);
    *ret_id = id;
    return CN_OK;
}

static cn_status key_register(cn_apply *a, const cn_registry_change *c, cn_err *err)
{
    cn_digest id;
    cn_status st = cn_apply_need_capture(a, err);
    if (st == CN_OK)
        st = make_key(a, &c->new_key, &a->key.owner, &id, err);
    if (st == CN_OK)
        cn_apply_about_member(a, &a->key.owner);
    return st;
}

/* The key that a change is about, as it is now; the signer's own with its new chain head. */
static cn_status target_key(const cn_apply *a, const cn_registry_change *c, cn_state_device_key *ret, cn_err *err)
{
    if (cn_digest_eq(&c->key_id, &a->key_id)) {
        *ret = a->key;
        return CN_OK;
    }
    if (!get_key(a->b, &c->key_id, ret))
        return cn_fail(err, CN_UNKNOWN_KEY, "registry_change.key_id", "key %s is not registered",
                       cn_digest_hex(&c->key_id).s);
    return CN_OK;
}

static void put_target(cn_apply *a, const cn_registry_change *c, const cn_state_device_key *target)
{
    if (cn_digest_eq(&c->key_id, &a->key_id))
        a->key = *target; /* written last, with the chain head */
    else
        put_key(a, &c->key_id, target);
    about_key(a, &c->key_id);
    cn_apply_about_member(a, &target->owner);
}

static cn_status key_rotate(cn_apply *a, const cn_registry_change *c, cn_err *err)
{
    cn_state_device_key target;
    cn_digest id;
    bool self = cn_digest_eq(&c->key_id, &a->key_id);
    cn_status st = target_key(a, c, &target, err);
    if (st == CN_OK && !self)
        st = cn_apply_need_capture(a, err);
    if (st == CN_OK && !cn_digest_eq(&target.owner, &a->key.owner))
        st = cn_fail(err, CN_DENIED, "registry_change.key_id", "the key belongs to another member");
    if (st == CN_OK && target.status != CN_KEY_ACTIVE)
        st = cn_fail(err, CN_KEY_NOT_ACTIVE, "registry_change.key_id", "the key has ended already");
    if (st == CN_OK && c->new_key.purpose != target.purpose)
        st = cn_fail(err, CN_INVALID, "registry_change.key.purpose",
                     "a replacement has the purpose of the key it replaces");
    if (st == CN_OK)
        st = make_key(a, &c->new_key, &target.owner, &id, err);
    if (st != CN_OK)
        return st;
    target.status = CN_KEY_ROTATED;
    target.ended = a->index;
    target.last_good = target.last_sequence;
    put_target(a, c, &target);
    return CN_OK;
}

static cn_status owner_or_registrar(const cn_apply *a, const cn_state_device_key *target, cn_err *err)
{
    cn_status st = cn_apply_need_capture(a, err);
    if (st == CN_OK && !cn_digest_eq(&target->owner, &a->key.owner) && !is_registrar(a))
        st = cn_fail(err, CN_DENIED, "registry_change.key_id",
                     "the key belongs to another member, and the signer is no registrar");
    return st;
}

static cn_status key_revoke(cn_apply *a, const cn_registry_change *c, cn_err *err)
{
    cn_state_device_key target;
    cn_status st = target_key(a, c, &target, err);
    if (st == CN_OK)
        st = owner_or_registrar(a, &target, err);
    if (st == CN_OK && target.status != CN_KEY_ACTIVE)
        st = cn_fail(err, CN_KEY_NOT_ACTIVE, "registry_change.key_id", "the key has ended already");
    if (st == CN_OK && c->sequence > target.last_sequence)
        st = cn_fail(err, CN_INVALID, "registry_change.key_revoke.last_good",
                     "the key's last recorded statement is %llu", (unsigned long long)target.last_sequence);
    if (st != CN_OK)
        return st;
    target.status = CN_KEY_REVOKED;
    target.ended = a->index;
    target.last_good = c->sequence;
    put_target(a, c, &target);
    return CN_OK;
}

static cn_status key_gap(cn_apply *a, const cn_registry_change *c, cn_err *err)
{
    cn_state_device_key target;
    if (cn_digest_eq(&c->key_id, &a->key_id))
        return cn_fail(err, CN_DENIED, "registry_change.key_id",
                       "a gap is declared by another key of the owner, or by a registrar");
    cn_status st = target_key(a, c, &target, err);
    if (st == CN_OK)
        st = owner_or_registrar(a, &target, err);
    if (st == CN_OK && c->sequence <= target.last_sequence)
        st = cn_fail(err, CN_INVALID, "registry_change.key_gap.sequence", "must be greater than the recorded %llu",
                     (unsigned long long)target.last_sequence);
    if (st != CN_OK)
        return st;
    target.last_sequence = c->sequence;
    target.last_id = c->previous;
    put_target(a, c, &target);
    return CN_OK;
}

static cn_status key_salvage(cn_apply *a, const cn_registry_change *c, cn_err *err)
{
    cn_state_device_key target;
    cn_status st = target_key(a, c, &target, err);
    if (st == CN_OK)
        st = cn_apply_need_capture(a, err);
    if (st == CN_OK && !cn_digest_eq(&target.owner, &a->key.owner))
        st = cn_fail(err, CN_DENIED, "registry_change.key_id", "only the owner salvages statements of a key");
    if (st == CN_OK && target.status != CN_KEY_REVOKED)
        st = cn_fail(err, CN_CONFLICT, "registry_change.key_id", "only statements of a revoked key are salvaged");
    for (size_t i = 0; st == CN_OK && i < c->salvaged_count; i++) {
        uint8_t id[2 * CN_DIGEST_LEN], value[1 + 4 + 8];
        memcpy(id, c->key_id.b, CN_DIGEST_LEN);
        memcpy(id + CN_DIGEST_LEN, c->salvaged[i].b, CN_DIGEST_LEN);
        value[0] = 1;
        cn_store_u64(cn_store_u32(value + 1, (uint32_t)i), a->index);
        cn_apply_put(a, CN_STATE_SALVAGE, id, sizeof id, value, sizeof value);
    }
    if (st == CN_OK) {
        about_key(a, &c->key_id);
        cn_apply_about_member(a, &target.owner);
    }
    return st;
}

static cn_status member_register(cn_apply *a, const cn_registry_change *c, cn_err *err)
{
    cn_state_member member;
    cn_digest id = cn_member_id(c->name), key_id;
    cn_status st = cn_apply_need_capture(a, err);
    if (st == CN_OK && !is_registrar(a))
        st = cn_fail(err, CN_DENIED, "body.key_id", "the signer's member is no registrar");
    if (st == CN_OK && cn_apply_get_member(a->b, &id, &member))
        st = cn_fail(err, CN_CONFLICT, "registry_change.member_register.name", "%s is a member already", c->name);
    if (st == CN_OK)
        st = make_key(a, &c->new_key, &id, &key_id, err);
    if (st != CN_OK)
        return st;
    memset(&member, 0, sizeof member);
    member.roles = c->roles;
    memcpy(member.country, c->country, sizeof member.country);
    memcpy(member.name, c->name, sizeof member.name);
    member.registered = a->index;
    cn_apply_put_member(a, &id, &member);
    cn_apply_about_member(a, &id);
    cn_apply_about_member(a, &a->key.owner); /* the registrar's record shows whom it admitted */
    return CN_OK;
}

static cn_status channel_key(cn_apply *a, const cn_registry_change *c, cn_err *err)
{
    cn_state_member member;
    cn_status st = cn_apply_need_capture(a, err);
    if (st == CN_OK && !cn_apply_get_member(a->b, &a->key.owner, &member))
        st = cn_fail(err, CN_CORRUPT, "member", "the owner of a key is no member; run carnet fsck");
    if (st != CN_OK)
        return st;
    memcpy(member.channel_key, c->channel_key, sizeof member.channel_key);
    cn_apply_put_member(a, &a->key.owner, &member);
    cn_apply_about_member(a, &a->key.owner);
    return CN_OK;
}

static cn_status registry(cn_apply *a, cn_err *err)
{
    const cn_registry_change *c = &a->s->body.registry;
    switch (c->op) {
    case CN_REG_KEY_REGISTER:
        return key_register(a, c, err);
    case CN_REG_KEY_ROTATE:
        return key_rotate(a, c, err);
    case CN_REG_KEY_REVOKE:
        return key_revoke(a, c, err);
    case CN_REG_KEY_GAP:
        return key_gap(a, c, err);
    case CN_REG_KEY_SALVAGE:
        return key_salvage(a, c, err);
    case CN_REG_MEMBER_REGISTER:
        return member_register(a, c, err);
    case CN_REG_CHANNEL_KEY:
        return channel_key(a, c, err);
    }
    return cn_fail(err, CN_INVALID, "registry_change", "the change is not known");
}

/* ---- pairings and events ---- */

static bool get_pairing(const cn_ledger_block *b, const cn_digest *container, cn_state_pairing *ret)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_key key = cn_state_key_of(b->ledger->genesis->subject_salt, CN_STATE_PAIRING, container->b, CN_DIGEST_LEN);
    if (!cn_block_get(b, &key, value, &n))
        return false;
    bool ok = cn_state_pairing_decode(value, n, ret);
    if (!ok)
        cn_ledger_fault(b->ledger, "a container's ties");
    return ok;
}

static int row_order(const cn_state_pairing_row *row, const cn_pairing *p)
{
    int order = cn_digest_cmp(&row->consignment, &p->consignment);
    return order ? order : (row->start_ms > p->start_ms) - (row->start_ms < p->start_ms);
}

/* The open tie that an end closes: the one named, or, when only the end is known (start = end), the newest open one. */
static unsigned find_tie(const cn_state_pairing *state, const cn_pairing *p, bool *ret_known)
{
    unsigned at = 0;
    while (at < state->count && row_order(&state->row[at], p) < 0)
        at++;
    *ret_known = at < state->count && row_order(&state->row[at], p) == 0;
    if (*ret_known || p->start_ms != p->end_ms)
        return at;
    for (unsigned i = at; i > 0; i--) {
        const cn_state_pairing_row *row = &state->row[i - 1];
        if (cn_digest_eq(&row->consignment, &p->consignment) && row->end_ms == 0) {
            *ret_known = true;
            return i - 1;
        }
    }
    return at;
}

/* (container, consignment, start) names a tie; naming it again with an end closes it. */
static cn_status pairing(cn_apply *a, cn_err *err)
{
    const cn_pairing *p = &a->s->body.pairing;
    cn_state_pairing state = {0};
    uint8_t value[CN_STATE_VALUE_MAX];
    bool known = false;
    (void)get_pairing(a->b, &p->container, &state);
    unsigned at = find_tie(&state, p, &known);
    if (known && state.row[at].end_ms != 0)
        return cn_fail(err, CN_CONFLICT, "pairing", "this tie has ended already");
    if (!known && state.count == CN_MAX_PAIRINGS)
        return cn_fail(err, CN_TOO_LARGE, "pairing", "a container is tied to at most %u consignments", CN_MAX_PAIRINGS);
    if (!known) {
        memmove(&state.row[at + 1], &state.row[at], (state.count - at) * sizeof state.row[0]);
        state.count++;
    }
    uint64_t start_ms = known ? state.row[at].start_ms : p->start_ms;
    state.row[at] = (cn_state_pairing_row){p->consignment, start_ms, p->end_ms};
    cn_apply_put(a, CN_STATE_PAIRING, p->container.b, CN_DIGEST_LEN, value, cn_state_pairing_encode(&state, value));
    uint64_t last = p->end_ms ? p->end_ms : p->start_ms;
    add_subject(a, &p->container, p->start_ms, last);
    add_subject(a, &p->consignment, p->start_ms, last);
    return CN_OK;
}

/* An entry on a container whose claimed interval overlaps a pairing at a lower index enters that consignment's tree. */
static void events(cn_apply *a)
{
    const cn_event_batch *batch = &a->s->body.batch;
    cn_state_pairing *state = malloc(sizeof *state);
    CN_ASSERT(state);
    bool paired = false;
    for (size_t i = 0; i < batch->entry_count; i++) {
        const cn_batch_entry *e = &batch->entry[i];
        if (i == 0 || !cn_digest_eq(&e->subject, &batch->entry[i - 1].subject))
            paired = get_pairing(a->b, &e->subject, state);
        add_subject(a, &e->subject, e->first_ms, e->last_ms);
        for (unsigned k = 0; paired && k < state->count; k++) {
            const cn_state_pairing_row *row = &state->row[k];
            if (e->last_ms >= row->start_ms && (row->end_ms == 0 || e->first_ms <= row->end_ms))
                add_subject(a, &row->consignment, e->first_ms, e->last_ms);
        }
    }
    free(state);
}

static void document(cn_apply *a)
{
    const cn_document_anchor *d = &a->s->body.document;
    cn_digest own = cn_document_subject(a->salt, &d->digest);
    add_subject(a, &own, d->issued_ms, d->issued_ms);
    for (size_t i = 0; i < d->subject_count; i++)
        add_subject(a, &d->subject[i], d->issued_ms, d->issued_ms);
}

/* ---- writing ---- */

static cn_status write_rows(cn_apply *a, cn_err *err)
{
    cn_subject_state *states = calloc(a->subject_count + 1, sizeof *states);
    CN_ASSERT(states);
    cn_status st = CN_OK;
    for (size_t i = 0; i < a->subject_count && st == CN_OK; i++)
        st = cn_block_subject(a->b, &a->subjects[i].tag, &states[i], err);
    for (size_t i = 0; i < a->subject_count && st == CN_OK; i++) {
        cn_subject_state *s = &states[i];
        cn_subject_row row = {.tag = s->tag,
                              .position = s->frontier.size,
                              .first_ms = a->subjects[i].first_ms,
                              .last_ms = a->subjects[i].last_ms,
                              .leaf = {.record = a->s->record_digest,
                                       .log_index = a->index,
                                       .height = a->b->header.height,
                                       .time_ms = a->b->header.time_ms}};
        uint8_t leaf[CN_SUBJECT_LEAF_LEN];
        cn_subject_leaf_encode(&row.leaf, leaf);
        cn_digest hash = cn_leaf_hash(leaf, sizeof leaf);
        if (s->frontier.size == 0)
            s->first_height = a->b->header.height;
        cn_frontier_append(&s->frontier, &hash);
        s->last_height = a->b->header.height;
        s->last_id = a->s->id;
        cn_overlay_put_subject(&a->b->overlay, s);
        cn_block_add_row(a->b, &row);
    }
    free(states);
    return st;
}

static cn_status apply_payload(cn_apply *a, cn_err *err)
{
    switch (a->s->body.kind) {
    case CN_PAYLOAD_EVENT_BATCH:
        events(a);
        return CN_OK;
    case CN_PAYLOAD_REGISTRY:
        return registry(a, err);
    case CN_PAYLOAD_PAIRING:
        return pairing(a, err);
    case CN_PAYLOAD_DOCUMENT:
        document(a);
        return CN_OK;
    case CN_PAYLOAD_PROPOSAL:
        return cn_apply_proposal(a, err);
    case CN_PAYLOAD_BALLOT:
        return cn_apply_ballot(a, err);
    case CN_PAYLOAD_READINESS:
        return cn_apply_readiness(a, err);
    case CN_PAYLOAD_FOREIGN:
        return cn_apply_foreign(a, err);
    case CN_PAYLOAD_ERASURE:
        return cn_apply_erasure(a, err);
    case CN_PAYLOAD_PURGE:
        return cn_apply_purge(a, err);
    }
    return cn_fail(err, CN_INVALID, "body.payload", "the payload is not known");
}

cn_status cn_rules_apply(cn_ledger_block *b, cn_stmt *stmt, cn_err *err)
{
    cn_apply a = {.b = b, .stmt = stmt, .s = stmt->s, .index = b->log.size, .salt = b->ledger->genesis->subject_salt};
    a.writes = calloc(stmt->s->body.kind == CN_PAYLOAD_REGISTRY ? CN_MAX_WRITES : 8, sizeof *a.writes);
    CN_ASSERT(a.writes);
    cn_status st = check_signer(&a, err);
    if (st == CN_OK)
        st = apply_payload(&a, err);
    if (cn_ledger_sound(b->ledger, err) != CN_OK)
        st = CN_CORRUPT;
    if (st == CN_OK) /* reads subjects, and writes nothing unless all of them read */
        st = write_rows(&a, err);
    if (st == CN_OK) {
        put_key(&a, &a.key_id, &a.key);
        for (size_t i = 0; i < a.write_count; i++)
            cn_overlay_put(&b->overlay, &a.writes[i].key, a.writes[i].value, a.writes[i].n);
        cn_block_add_statement(b, stmt);
    }
    for (size_t i = 0; i < a.write_count; i++)
        free(a.writes[i].value);
    free(a.writes);
    free(a.subjects);
    return st;
}
