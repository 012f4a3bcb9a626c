/* R12, sync-only links: how a node that slept through the rotation of channel keys finds its way.
 *
 * A way proves what channel keys the validators have: the headers from the newest final checkpoint to the tip, the
 * tip's finalization, for each validator its row of the state map with an ICS-23 proof by the checkpoint, and the
 * statements that changed a channel key since, with inclusion paths to the tip's log root (without them, a network that
 * needs the sleeper for its next checkpoint would wait for ever). It names nothing about shipments, so anyone may have
 * it; what it proves does not depend on who sent it. Only what is newer than this node's ledger counts, so a replayed
 * one changes nothing.
 *
 * After a change of the set it begins with the epoch chain (R11): who slept through changes of the set knows only the
 * first of the sets, and each closing block leads to the next.
 *
 * version u8 1 | epoch count u16 | (closing header 229 | its finalization | row count u8 | rows of the next set)* |
 * header count u32 | headers 229 each, the checkpoint first | finalization of the last |
 * row count u8 | (member id 32 | length u32 | ICS-23 existence proof)* |
 * statement count u16 | (log index u64 | length u32 | record | path length u8 | path 32 each)* */
#include "node/daemon/internal.h"

#include "proto/epoch.h"

#include <stdlib.h>
#include <string.h>

#define VERSION 1u
#define RENEW_MS 500u
#define MAX_STATEMENTS 64u
#define MAX_HEADERS 1024u
#define MAX_EPOCHS 256u /* the newest ones; who slept through more starts from an emptied ledger */

/* ---- serving, on link threads ---- */

static cn_status put_members(cn_node *node, cn_snapshot *snap, const cn_validator_set *set, cn_buf *out, cn_err *err)
{
    cn_ics23_existence *proof = calloc(1, sizeof *proof);
    cn_status st = proof ? CN_OK : CN_NO_MEMORY;
    cn_put_u8(out, (uint8_t)set->n);
    for (unsigned i = 0; st == CN_OK && i < set->n; i++) {
        const cn_digest *member = &set->row[i].member;
        cn_state_key key = cn_state_key_of(node->genesis.subject_salt, CN_STATE_MEMBER, member->b, CN_DIGEST_LEN);
        cn_put_bytes(out, member->b, CN_DIGEST_LEN);
        size_t at = out->n;
        cn_put_u32(out, 0);
        st = cn_snapshot_prove(snap, &key, proof, err);
        if (st == CN_OK)
            st = cn_ics23_encode_existence(proof, out);
        if (st == CN_OK && !out->fault)
            cn_store_u32(out->p + at, (uint32_t)(out->n - at - 4));
    }
    free(proof);
    return st;
}

static bool changes_channel_key(const cn_body *body)
{
    return body->kind == CN_PAYLOAD_REGISTRY && body->registry.op == CN_REG_CHANNEL_KEY;
}

static cn_status put_statement(cn_snapshot *snap, uint64_t index, uint64_t size, cn_buf *out, unsigned *count,
                               cn_err *err)
{
    cn_stored_statement stored;
    cn_statement *s = NULL;
    cn_digest path[CN_PROOF_MAX];
    size_t len = 0;
    cn_status st = cn_snapshot_statement(snap, index, &stored, err);
    if (st != CN_OK || stored.items.n > 0) /* a registry statement has no items */
        return st;
    if (cn_statement_decode(stored.record.p, stored.record.n, &s, NULL) != CN_OK)
        return CN_OK;
    bool wanted = changes_channel_key(&s->body) && *count < MAX_STATEMENTS;
    cn_statement_free(s);
    if (!wanted)
        return CN_OK;
    st = cn_snapshot_inclusion(snap, index, size, path, &len, err);
    cn_put_u64(out, index);
    cn_put_u32(out, (uint32_t)stored.record.n);
    cn_put_bytes(out, stored.record.p, stored.record.n);
    cn_put_u8(out, (uint8_t)len);
    cn_put_bytes(out, path, len * sizeof *path);
    ++*count;
    return st;
}

static cn_status put_statements(cn_snapshot *snap, uint64_t from, uint64_t to, cn_buf *out, cn_err *err)
{
    size_t at = out->n;
    unsigned count = 0;
    cn_status st = CN_OK;
    cn_put_u16(out, 0);
    for (uint64_t i = from; i < to && st == CN_OK; i++)
        st = put_statement(snap, i, to, out, &count, err);
    if (st == CN_OK && !out->fault) {
        out->p[at] = (uint8_t)(count >> 8);
        out->p[at + 1] = (uint8_t)count;
    }
    return st;
}

/* The epochs up to the tip's; *ret_set is the newest set. */
static cn_status put_epochs(cn_snapshot *snap, cn_buf *out, cn_validator_set *ret_set, cn_err *err)
{
    uint64_t newest = CN_FIRST_EPOCH, closing = 0;
    cn_span rows, certificate;
    cn_header h;
    while (cn_snapshot_epoch(snap, newest + 1, &closing, &rows, NULL) == CN_OK)
        newest++;
    uint64_t first = newest > MAX_EPOCHS ? newest - MAX_EPOCHS + 1 : CN_FIRST_EPOCH + 1;
    cn_status st = CN_OK;
    cn_put_u16(out, newest >= first ? (uint16_t)(newest - first + 1) : 0);
    for (uint64_t e = first; st == CN_OK && e <= newest; e++) {
        uint8_t bytes[CN_HEADER_LEN];
        st = cn_snapshot_epoch(snap, e, &closing, &rows, err);
        if (st == CN_OK)
            st = cn_snapshot_header(snap, closing, &h, err);
        if (st == CN_OK)
            st = cn_snapshot_certificate(snap, closing, &certificate, err);
        if (st != CN_OK)
            break;
        cn_header_encode(&h, bytes);
        cn_put_bytes(out, bytes, sizeof bytes);
        cn_put_bytes(out, certificate.p, certificate.n);
        cn_put_u8(out, (uint8_t)(rows.n / CN_SET_ROW_LEN));
        cn_put_bytes(out, rows.p, rows.n);
    }
    if (st == CN_OK)
        st = cn_snapshot_epoch(snap, newest, &closing, &rows, err);
    return st == CN_OK ? cn_validator_set_decode(rows.p, rows.n, ret_set, err) : st;
}

static cn_status put_way(cn_node *node, cn_buf *out, cn_err *err)
{
    cn_snapshot *snap = NULL;
    cn_tip tip;
    cn_header h = {0};
    cn_span certificate = {0};
    uint64_t checkpoint_size = 0;
    cn_validator_set *set = calloc(1, sizeof *set);
    CN_ASSERT(set);
    cn_status st = cn_snapshot_open(node->store, &snap, err);
    if (st == CN_OK)
        st = cn_snapshot_tip(snap, &tip, err);
    if (st == CN_OK)
        st = cn_snapshot_certificate(snap, tip.height, &certificate, err); /* every commit ends with one */
    cn_put_u8(out, VERSION);
    if (st == CN_OK)
        st = put_epochs(snap, out, set, err);
    cn_put_u32(out, st == CN_OK ? (uint32_t)(tip.height - tip.checkpoint + 1) : 0);
    for (uint64_t i = tip.checkpoint; st == CN_OK && i <= tip.height; i++) {
        uint8_t bytes[CN_HEADER_LEN];
        st = cn_snapshot_header(snap, i, &h, err);
        cn_header_encode(&h, bytes);
        cn_put_bytes(out, bytes, sizeof bytes);
        checkpoint_size = i == tip.checkpoint ? h.log_size : checkpoint_size;
    }
    if (st == CN_OK) {
        cn_put_bytes(out, certificate.p, certificate.n);
        st = put_members(node, snap, set, out, err);
    }
    if (st == CN_OK)
        st = put_statements(snap, checkpoint_size, h.log_size, out, err);
    free(set);
    cn_snapshot_close(snap);
    return st;
}

/* Strangers share one copy, made anew at most twice a second: asking often costs them, not this node. */
bool cn_way_serve(cn_node *node, cn_buf *out)
{
    cn_way_copy *copy = &node->way;
    pthread_mutex_lock(&copy->lock);
    uint64_t now = cn_monotonic_ms();
    if (copy->made_ms == 0 || now >= copy->made_ms + RENEW_MS) {
        cn_buf_free(&copy->bytes);
        cn_buf_init(&copy->bytes, CN_MAX_MESSAGE_BYTES);
        copy->good = put_way(node, &copy->bytes, NULL) == CN_OK && !copy->bytes.fault;
        copy->made_ms = now;
    }
    if (copy->good)
        cn_put_bytes(out, copy->bytes.p, copy->bytes.n);
    bool good = copy->good && !out->fault;
    pthread_mutex_unlock(&copy->lock);
    return good;
}

bool cn_way_on_stranger(void *ctx, uint8_t type, const uint8_t *payload, size_t n, uint8_t *ret_type, cn_buf *reply)
{
    cn_node *node = ctx;
    *ret_type = CN_WIRE_WAY;
    if (type == CN_WIRE_WAY_REQUEST)
        return cn_way_serve(node, reply);
    if (type == CN_WIRE_WAY) /* proved on the consensus thread, which knows how far this ledger is */
        cn_queue_message(node, CN_LINK_SLOTS, type, payload, n);
    return type != CN_WIRE_WAY;
}

/* ---- taking ---- */

typedef struct way {
    cn_header checkpoint, tip;
    cn_epoch epoch; /* of the tip */
} way;

/* From the set that this node knows to the newest one, closing block by closing block. */
static cn_status follow_epochs(cn_node *node, cn_reader *r, way *w, cn_err *err)
{
    w->epoch = (cn_epoch){.epoch = node->voters.epoch, .digest = node->voters.digest, .set = node->voters.set};
    unsigned count = cn_read_u16(r);
    cn_status st = CN_OK;
    for (unsigned i = 0; i < count && st == CN_OK; i++) {
        cn_header h;
        cn_certificate unread;
        const uint8_t *bytes = cn_read_view(r, CN_HEADER_LEN);
        st = bytes ? cn_header_decode(bytes, CN_HEADER_LEN, &h, err) : cn_fail(err, CN_INVALID, "epochs", "end early");
        const uint8_t *certificate = r->p;
        if (st == CN_OK)
            st = cn_certificate_read(r, &unread, err); /* where it ends */
        size_t certificate_len = (size_t)(r->p - certificate);
        size_t rows = st == CN_OK ? cn_read_u8(r) : 0;
        const uint8_t *p = st == CN_OK ? cn_read_view(r, rows * CN_SET_ROW_LEN) : NULL;
        if (st == CN_OK && !p)
            st = cn_fail(err, CN_INVALID, "epochs", "end early");
        if (st == CN_OK && h.epoch >= w->epoch.epoch)
            st = cn_epoch_advance(&w->epoch, &node->genesis.network, &h, CN_SPAN(certificate, certificate_len),
                                  CN_SPAN(p, rows * CN_SET_ROW_LEN), err);
    }
    return st;
}

/* The tip is the newest closing block itself, which the epoch chain has proved. */
static cn_status check_closing_tip(const way *w, const cn_digest *tip, cn_err *err)
{
    return cn_digest_eq(&w->epoch.opening, tip) ? CN_OK
                                                : cn_fail(err, CN_INVALID, "headers", "end with another closing block");
}

static cn_status read_headers(cn_node *node, cn_reader *r, way *ret, cn_err *err)
{
    uint32_t count = cn_read_u32(r);
    cn_digest at = {0};
    if (count == 0 || count > MAX_HEADERS)
        return cn_fail(err, CN_INVALID, "headers", "%u of them, the limit is %u", count, MAX_HEADERS);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *bytes = cn_read_view(r, CN_HEADER_LEN);
        cn_header h;
        if (!bytes)
            return cn_fail(err, CN_INVALID, "headers", "end early");
        cn_status st = cn_header_decode(bytes, CN_HEADER_LEN, &h, err);
        if (st != CN_OK)
            return st;
        if (i == 0)
            ret->checkpoint = h;
        ret->tip = h;
        if (i == 0 ? h.kind == CN_BLOCK_NORMAL : !cn_digest_eq(&h.parent, &at))
            return cn_fail(err, CN_INVALID, "headers", "do not lead from a checkpoint to a finalization");
        at = cn_header_digest_bytes(bytes);
    }
    cn_certificate unread;
    const uint8_t *certificate = r->p;
    cn_status st = cn_certificate_read(r, &unread, err); /* where it ends */
    size_t n = (size_t)(r->p - certificate);
    if (st != CN_OK || ret->tip.height <= cn_ledger_block_header(cn_ledger_tip(node->ledger))->height)
        return st; /* an older one is not worth its signatures */
    if (ret->tip.kind == CN_BLOCK_CLOSING && ret->tip.epoch + 1 == ret->epoch.epoch)
        return check_closing_tip(ret, &at, err);
    return cn_epoch_check_finalization(&ret->epoch, &node->genesis.network, CN_SPAN(certificate, n), &at, err);
}

static cn_status learn_row(cn_node *node, cn_reader *r, const way *w, cn_ics23_existence *proof, cn_err *err)
{
    cn_digest id;
    cn_state_member member;
    const uint8_t *id_bytes = cn_read_view(r, CN_DIGEST_LEN);
    size_t n = cn_read_u32(r);
    const uint8_t *bytes = cn_read_view(r, n);
    if (!id_bytes || !bytes)
        return cn_fail(err, CN_INVALID, "members", "end early");
    memcpy(id.b, id_bytes, CN_DIGEST_LEN);
    cn_state_key key = cn_state_key_of(node->genesis.subject_salt, CN_STATE_MEMBER, id.b, CN_DIGEST_LEN);
    cn_status st = cn_ics23_decode_existence(bytes, n, proof, err);
    if (st != CN_OK)
        return st;
    if (!cn_ics23_verify_existence(proof, &w->checkpoint.state_root, &key, proof->value, proof->value_len) ||
        !cn_state_member_decode(proof->value, proof->value_len, &member))
        return cn_fail(err, CN_INVALID, "members", "the row of a member is not proved by the checkpoint's state root");
    cn_peers_learn(node, &id, member.name, member.channel_key, w->checkpoint.height);
    return CN_OK;
}

static cn_status learn_statement(cn_node *node, cn_reader *r, const way *w, cn_err *err)
{
    uint64_t index = cn_read_u64(r);
    size_t n = cn_read_u32(r);
    const uint8_t *record = cn_read_view(r, n);
    size_t len = cn_read_u8(r);
    const uint8_t *path_bytes = cn_read_view(r, len * CN_DIGEST_LEN);
    cn_digest path[CN_PROOF_MAX];
    cn_statement *s = NULL;
    cn_state_device_key key;
    if (!record || !path_bytes || len > CN_PROOF_MAX)
        return cn_fail(err, CN_INVALID, "statements", "end early");
    memcpy(path, path_bytes, len * CN_DIGEST_LEN);
    cn_digest entry = cn_sha256(record, n), leaf = cn_leaf_hash(entry.b, CN_DIGEST_LEN);
    if (!cn_verify_inclusion(&leaf, index, w->tip.log_size, path, len, &w->tip.log_root))
        return cn_fail(err, CN_INVALID, "statements", "one is not in the log of the last header");
    cn_status st = cn_statement_decode(record, n, &s, err);
    if (st == CN_OK && changes_channel_key(&s->body) && cn_ledger_key(node->ledger, NULL, &s->body.key_id, &key))
        cn_peers_learn(node, &key.owner, NULL, s->body.registry.channel_key, w->tip.height);
    cn_statement_free(s);
    return st;
}

static cn_status take_members(cn_node *node, cn_reader *r, const way *w, cn_err *err)
{
    cn_ics23_existence *proof = calloc(1, sizeof *proof);
    cn_status st = CN_OK;
    CN_ASSERT(proof);
    unsigned count = cn_read_u8(r);
    for (unsigned i = 0; i < count && st == CN_OK; i++)
        st = learn_row(node, r, w, proof, err);
    free(proof);
    count = st == CN_OK ? cn_read_u16(r) : 0;
    for (unsigned i = 0; i < count && st == CN_OK; i++)
        st = learn_statement(node, r, w, err);
    if (st == CN_OK && !cn_reader_done(r))
        st = cn_fail(err, CN_INVALID, "way", "ends early, or bytes follow it");
    return st;
}

static cn_status take(cn_node *node, const uint8_t *p, size_t n, way *w, cn_err *err)
{
    cn_reader r = cn_reader_of(p, n);
    if (cn_read_u8(&r) != VERSION)
        return cn_fail(err, CN_INVALID, "version", "is not %u", VERSION);
    cn_status st = follow_epochs(node, &r, w, err);
    if (st == CN_OK)
        st = read_headers(node, &r, w, err);
    if (st != CN_OK || w->tip.height <= cn_ledger_block_header(cn_ledger_tip(node->ledger))->height)
        return st; /* or nothing that this node's own ledger does not say */
    return take_members(node, &r, w, err);
}

void cn_way_take(cn_node *node, const uint8_t *p, size_t n)
{
    cn_err err = {0};
    way *w = calloc(1, sizeof *w);
    CN_ASSERT(w);
    cn_status st = take(node, p, n, w, &err);
    free(w);
    if (st == CN_OK)
        return;
    cn_note_bad_bytes(node);
    cn_log(node, "warning", "a stranger's proof of channel keys was refused: %s: %s", err.field, err.text);
}
