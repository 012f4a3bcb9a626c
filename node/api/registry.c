/* Who may do what, as the newest checkpoint has it: members and keys. */
#include "node/api/request.h"
#include "node/api/view.h"

#include <stdlib.h>
#include <string.h>

#define DEVICES_PAGE 1000u

static cn_snapshot *open_snapshot(cn_request *r)
{
    cn_err err = {0};
    cn_snapshot *snap = NULL;
    if (cn_snapshot_open(r->backend->store, &snap, &err) == CN_OK)
        return snap;
    cn_reply_error(r, &err);
    return NULL;
}

json_t *cn_view_key(const cn_digest *id, const cn_state_device_key *key)
{
    static const char *const statuses[] = {"", "active", "revoked", "rotated"};
    static const char *const purposes[] = {"", "capture", "device", "gateway"};
    json_t *view =
        json_pack("{s:o, s:s, s:o, s:s, s:s, s:o}", "id", cn_json_digest(id), "type", cn_key_type_name(key->key.type),
                  "public", cn_json_hex(key->key.b, cn_public_key_len(key->key.type)), "purpose",
                  purposes[key->purpose <= 3 ? key->purpose : 0], "status",
                  statuses[key->status <= 3 ? key->status : 0], "owner", cn_json_digest(&key->owner));
    json_object_set_new(view, "registered", json_integer((json_int_t)key->registered));
    json_object_set_new(view, "ended", key->ended ? json_integer((json_int_t)key->ended) : json_null());
    if (key->status == CN_KEY_REVOKED)
        json_object_set_new(view, "last_good", json_integer((json_int_t)key->last_good));
    json_object_set_new(view, "last_sequence", json_integer((json_int_t)key->last_sequence));
    json_object_set_new(view, "last_id", cn_json_digest(&key->last_id));
    return view;
}

/* ---- members ---- */

typedef struct listing {
    cn_request *r;
    json_t *list;
    bool corrupt;
} listing;

static json_t *role_names(uint32_t bits)
{
    static const char *const names[] = {
#define ROLE_NAME(name, bit, text) text,
        CN_ROLES(ROLE_NAME)
#undef ROLE_NAME
    };
    json_t *list = json_array();
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        if (bits >> k & 1)
            json_array_append_new(list, json_string(names[k]));
    return list;
}

static bool add_member(void *ctx, const cn_state_key *key, cn_span value)
{
    listing *l = ctx;
    cn_state_member m;
    (void)key;
    l->corrupt = !cn_state_member_decode(value.p, value.n, &m);
    if (l->corrupt)
        return false;
    cn_digest id = cn_member_id(m.name);
    json_t *view = json_pack("{s:s, s:o, s:s, s:o, s:b, s:b, s:I, s:[]}", "name", m.name, "id", cn_json_digest(&id),
                             "country", m.country, "roles", role_names(m.roles), "validator",
                             l->r->backend->is_validator(l->r->backend->ctx, &id), "registrar", m.is_registrar,
                             "registered", (json_int_t)m.registered, "capture_keys");
    return json_array_append_new(l->list, view) == 0;
}

static bool add_capture_key(void *ctx, const cn_state_key *state_key, cn_span value)
{
    listing *l = ctx;
    cn_state_device_key key;
    size_t i;
    json_t *member;
    (void)state_key;
    l->corrupt = !cn_state_key_decode(value.p, value.n, &key);
    if (l->corrupt || key.purpose != CN_PURPOSE_CAPTURE || key.status != CN_KEY_ACTIVE)
        return !l->corrupt;
    cn_digest id = cn_key_id(&key.key);
    cn_hex32 owner = cn_digest_hex(&key.owner);
    json_array_foreach(l->list, i, member) if (strcmp(json_string_value(json_object_get(member, "id")), owner.s) == 0)
        json_array_append_new(json_object_get(member, "capture_keys"), cn_json_digest(&id));
    return true;
}

static void reply_listing(cn_request *r, listing *l, cn_status st, cn_err *err)
{
    if (st == CN_OK && l->corrupt)
        st = cn_fail(err, CN_CORRUPT, "state", "a row does not decode; run carnet fsck");
    if (st == CN_OK) {
        cn_reply_json(r, MHD_HTTP_OK, l->list);
        return;
    }
    json_decref(l->list);
    cn_reply_error(r, err);
}

void cn_api_get_members(cn_request *r)
{
    listing l = {.r = r, .list = json_array()};
    cn_err err = {0};
    cn_snapshot *snap = open_snapshot(r);
    if (!snap) {
        json_decref(l.list);
        return;
    }
    cn_status st = cn_snapshot_states(snap, CN_STATE_MEMBER, NULL, add_member, &l, &err);
    if (st == CN_OK && !l.corrupt)
        st = cn_snapshot_states(snap, CN_STATE_KEY, NULL, add_capture_key, &l, &err);
    cn_snapshot_close(snap);
    reply_listing(r, &l, st, &err);
}

/* ---- keys ---- */

typedef struct devices {
    listing l;
    const char *owner; /* hexadecimal member id, or NULL: all */
    cn_state_key last;
    uint64_t scanned;
    bool more;
} devices;

static bool add_device(void *ctx, const cn_state_key *state_key, cn_span value)
{
    devices *d = ctx;
    cn_state_device_key key;
    if (json_array_size(d->l.list) == DEVICES_PAGE || d->scanned++ == 100 * DEVICES_PAGE) {
        d->more = true;
        return false;
    }
    d->last = *state_key;
    d->l.corrupt = !cn_state_key_decode(value.p, value.n, &key);
    if (d->l.corrupt)
        return false;
    cn_digest id = cn_key_id(&key.key);
    if (key.purpose != CN_PURPOSE_CAPTURE && (!d->owner || strcmp(cn_digest_hex(&key.owner).s, d->owner) == 0))
        json_array_append_new(d->l.list, cn_view_key(&id, &key));
    return true;
}

/* cursor: the state key of the last row that was looked at, as hexadecimal digits */
void cn_api_get_devices(cn_request *r)
{
    devices d = {.l = {.r = r, .list = json_array()}, .owner = cn_request_query(r, "owner")};
    const char *cursor = cn_request_query(r, "cursor");
    cn_err err = {0};
    cn_state_key after;
    cn_snapshot *snap = NULL;
    if (cursor && (!cn_unhex(cursor, strlen(cursor), after.b, CN_STATE_KEY_LEN) || after.b[0] != CN_STATE_KEY)) {
        cn_fail(&err, CN_INVALID, "cursor", "is not a cursor that this call has given out");
        cn_reply_error(r, &err);
    } else if (d.owner && (strlen(d.owner) != 64 || strspn(d.owner, "0123456789abcdef") != 64)) {
        cn_fail(&err, CN_INVALID, "owner", "is not a member id: 64 lower-case hexadecimal digits, see /v1/members");
        cn_reply_error(r, &err);
    } else {
        snap = open_snapshot(r);
    }
    if (!snap) {
        json_decref(d.l.list);
        return;
    }
    cn_status st = cn_snapshot_states(snap, CN_STATE_KEY, cursor ? &after : NULL, add_device, &d, &err);
    cn_snapshot_close(snap);
    if (st == CN_OK && !d.l.corrupt)
        d.l.list = json_pack("{s:o, s:o}", "devices", d.l.list, "next_cursor",
                             d.more ? cn_json_hex(d.last.b, CN_STATE_KEY_LEN) : json_null());
    reply_listing(r, &d.l, st, &err);
}

void cn_api_get_key(cn_request *r)
{
    cn_digest id;
    cn_err err = {0};
    cn_api_key_head head = {0};
    if (!cn_request_digest(r, "key id", &id))
        return;
    cn_status st = r->backend->key_head(r->backend->ctx, &id, &head);
    if (st != CN_OK || !head.known) {
        if (st == CN_OK)
            cn_fail(&err, CN_UNKNOWN_KEY, "key", "no member has registered key %s", cn_digest_hex(&id).s);
        else
            cn_fail(&err, st, "key", "%s", cn_status_text(st));
        cn_reply_problem(r, st == CN_OK ? MHD_HTTP_NOT_FOUND : cn_http_status_of(st), &err);
        return;
    }
    json_t *view = cn_view_key(&id, &head.key);
    json_object_set_new(view, "pending_sequence", json_integer((json_int_t)head.pending_sequence));
    json_object_set_new(view, "pending_id", cn_json_digest(&head.pending_id));
    cn_reply_json(r, MHD_HTTP_OK, view);
}

/* ---- proposals ---- */

typedef struct proposals {
    listing l;
    cn_snapshot *snap;
} proposals;

static json_t *voter_names(const cn_request *r, uint64_t epoch, uint32_t bits)
{
    json_t *names = json_array();
    for (unsigned i = 0; i < CN_MAX_VALIDATORS; i++) {
        char name[CN_MAX_NAME + 1];
        if (!(bits >> i & 1))
            continue;
        r->backend->validator_name(r->backend->ctx, epoch, i, name);
        json_array_append_new(names, name[0] ? json_string(name) : json_integer(i));
    }
    return names;
}

/* The id is not in the row: the statement at its log index has it. */
static json_t *proposal_id(cn_snapshot *snap, uint64_t log_index)
{
    cn_stored_statement stored;
    cn_statement *s = NULL;
    if (cn_snapshot_statement(snap, log_index, &stored, NULL) != CN_OK || cn_view_decode(&stored, &s, NULL) != CN_OK)
        return json_null();
    json_t *id = cn_json_digest(&s->id);
    cn_statement_free(s);
    return id;
}

/* Of a row of the set (proto/quorum.h). */
static json_t *row_keys(const uint8_t row[CN_SET_ROW_LEN])
{
    const uint8_t *vote = row + CN_DIGEST_LEN, *address = vote + 33, *receipt = address + 20,
                  *cosignature = receipt + 33, *log = cosignature + 32;
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "vote", cn_json_hex(vote, 33), "evm_address",
                     cn_json_hex(address, 20), "receipt", cn_json_hex(receipt, 33), "cosignature",
                     cn_json_hex(cosignature, 32), "log", cn_json_hex(log, 32));
}

static bool add_proposal(void *ctx, const cn_state_key *key, cn_span value)
{
    static const char *const actions[] = {"", "join", "leave", "rotate", "roles", "foreign"};
    static const char *const statuses[] = {"", "open", "accepted", "applied", "rejected"};
    proposals *all = ctx;
    cn_state_proposal p;
    (void)key;
    all->l.corrupt = !cn_state_proposal_decode(value.p, value.n, &p);
    if (all->l.corrupt)
        return false;
    json_t *view = json_pack("{s:o, s:s, s:s, s:o, s:o, s:I, s:I, s:b}", "id", proposal_id(all->snap, p.log_index),
                             "action", actions[p.action], "status", statuses[p.status], "member",
                             cn_json_digest(&p.member), "proposer", cn_json_digest(&p.proposer), "epoch",
                             (json_int_t)p.epoch, "log_index", (json_int_t)p.log_index, "ready", p.ready);
    json_object_set_new(view, "approved_by", voter_names(all->l.r, p.epoch, p.approvals));
    json_object_set_new(view, "refused_by", voter_names(all->l.r, p.epoch, p.refusals));
    if (p.action == 1 || p.action == 3)
        json_object_set_new(view, "vote_key", cn_json_hex(p.row + CN_DIGEST_LEN, 33));
    if (p.action == 1 || p.action == 3)
        json_object_set_new(view, "keys", row_keys(p.row));
    if (p.action == 4) {
        json_object_set_new(view, "roles", role_names(p.roles));
        json_object_set_new(view, "registrar", json_boolean(p.registrar));
    }
    cn_state_foreign network;
    if (p.action == 5 && cn_state_foreign_decode(p.row, CN_STATE_FOREIGN_LEN, &network))
        json_object_set_new(view, "network", cn_view_network(&network));
    return json_array_append_new(all->l.list, view) == 0;
}

void cn_api_get_proposals(cn_request *r)
{
    proposals all = {.l = {.r = r, .list = json_array()}, .snap = open_snapshot(r)};
    cn_err err = {0};
    if (!all.snap) {
        json_decref(all.l.list);
        return;
    }
    cn_status st = cn_snapshot_states(all.snap, CN_STATE_PROPOSAL, NULL, add_proposal, &all, &err);
    cn_snapshot_close(all.snap);
    reply_listing(r, &all.l, st, &err);
}

/* ---- foreign networks ---- */

static bool add_network(void *ctx, const cn_state_key *key, cn_span value)
{
    listing *l = ctx;
    cn_state_foreign n;
    (void)key;
    l->corrupt = !cn_state_foreign_decode(value.p, value.n, &n);
    if (l->corrupt)
        return false;
    json_t *view = cn_view_network(&n);
    json_object_set_new(view, "log_index", json_integer((json_int_t)n.log_index));
    return json_array_append_new(l->list, view) == 0;
}

void cn_api_get_networks(cn_request *r)
{
    listing l = {.r = r, .list = json_array()};
    cn_err err = {0};
    cn_snapshot *snap = open_snapshot(r);
    if (!snap) {
        json_decref(l.list);
        return;
    }
    cn_status st = cn_snapshot_states(snap, CN_STATE_FOREIGN, NULL, add_network, &l, &err);
    cn_snapshot_close(snap);
    reply_listing(r, &l, st, &err);
}
