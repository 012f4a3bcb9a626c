/* R12, sync-only links: how a node that slept through the rotation of channel keys finds its way.
 *
 * A way proves what channel keys the validators have: a final checkpoint, the headers up to one with a finalization, that
 * finalization, and for each validator its row of the state map with an ICS-23 proof. It names nothing about shipments,
 * so anyone may have it; what it proves does not depend on who sent it. Only one that is newer than this node's ledger
 * counts, so a replayed one changes nothing.
 *
 * version u8 1 | header count u32 | headers 229 each, the checkpoint first | finalization of the last |
 * row count u8 | (member id 32 | length u32 | ICS-23 existence proof)* */
#include "node/daemon/internal.h"


#include <stdlib.h>
#include <string.h>

#define VERSION 1u
#define SERVE_EVERY_MS 100u
#define MAX_HEADERS 1024u

/* ---- serving, on link threads ---- */

static cn_status put_members(cn_node *node, cn_snapshot *snap, cn_buf *out, cn_err *err)
{
    cn_ics23_existence *proof = calloc(1, sizeof *proof);
    cn_status st = proof ? CN_OK : CN_NO_MEMORY;
    cn_put_u8(out, (uint8_t)node->genesis.set.n);
    for (unsigned i = 0; st == CN_OK && i < node->genesis.set.n; i++) {
        const cn_digest *member = &node->genesis.set.row[i].member;
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

static cn_status put_way(cn_node *node, cn_buf *out, cn_err *err)
{
    cn_snapshot *snap = NULL;
    cn_header *headers = NULL;
    size_t count = 0;
    cn_span certificate = {0};
    cn_status st = cn_snapshot_open(node->store, &snap, err);
    if (st == CN_OK)
        st = cn_snapshot_newest_checkpoint(snap, &headers, &count, &certificate, err);
    if (st == CN_OK) {
        cn_put_u8(out, VERSION);
        cn_put_u32(out, (uint32_t)count);
        for (size_t i = 0; i < count; i++) {
            uint8_t bytes[CN_HEADER_LEN];
            cn_header_encode(&headers[i], bytes);
            cn_put_bytes(out, bytes, sizeof bytes);
        }
        cn_put_bytes(out, certificate.p, certificate.n);
        st = put_members(node, snap, out, err);
    }
    free(headers);
    cn_snapshot_close(snap);
    return st;
}

bool cn_way_serve(cn_node *node, cn_buf *out)
{
    uint64_t now = cn_monotonic_ms(), last = atomic_load(&node->way_served_ms);
    if (now < last + SERVE_EVERY_MS || !atomic_compare_exchange_strong(&node->way_served_ms, &last, now))
        return false; /* strangers share one budget */
    return put_way(node, out, NULL) == CN_OK && !out->fault;
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
    cn_header checkpoint;
    cn_certificate certificate;
} way;

static cn_status read_headers(cn_reader *r, way *ret, cn_err *err)
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
        if (i == 0 ? h.kind == CN_BLOCK_NORMAL : !cn_digest_eq(&h.parent, &at))
            return cn_fail(err, CN_INVALID, "headers", "do not lead from a checkpoint to a finalization");
        at = cn_header_digest_bytes(bytes);
    }
    cn_status st = cn_certificate_read(r, &ret->certificate, err);
    if (st == CN_OK && (ret->certificate.kind != CN_FINALIZE || !cn_digest_eq(&ret->certificate.block, &at)))
        st = cn_fail(err, CN_INVALID, "finalization", "is not one of the last header");
    return st;
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
    cn_peers_learn(node, &id, member.channel_key, w->checkpoint.height);
    return CN_OK;
}

static cn_status take(cn_node *node, const uint8_t *p, size_t n, cn_err *err)
{
    cn_reader r = cn_reader_of(p, n);
    way w;
    if (cn_read_u8(&r) != VERSION)
        return cn_fail(err, CN_INVALID, "version", "is not %u", VERSION);
    cn_status st = read_headers(&r, &w, err);
    if (st != CN_OK)
        return st;
    if (w.checkpoint.height <= cn_ledger_block_header(cn_ledger_tip(node->ledger))->height)
        return CN_OK; /* nothing that this node's own ledger does not say */
    st = cn_certificate_verify(&w.certificate, &node->genesis.network, &node->genesis.set, node->vote_keys, err);
    cn_ics23_existence *proof = calloc(1, sizeof *proof);
    CN_ASSERT(proof);
    unsigned count = st == CN_OK ? cn_read_u8(&r) : 0;
    for (unsigned i = 0; i < count && st == CN_OK; i++)
        st = learn_row(node, &r, &w, proof, err);
    free(proof);
    return st;
}

void cn_way_take(cn_node *node, const uint8_t *p, size_t n)
{
    cn_err err = {0};
    if (take(node, p, n, &err) == CN_OK)
        return;
    atomic_fetch_add(&node->bad_peer_bytes, 1);
    cn_log(node, "warning", "a stranger's proof of channel keys was refused: %s: %s", err.field, err.text);
}
