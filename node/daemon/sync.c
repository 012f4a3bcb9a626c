/* R12: final blocks for a node that was away. A run of blocks is proved by the finalization of its last one and the
 * links between them; each is executed here before it counts. Serving is bounded in bytes and in rate. */
#include "node/daemon/internal.h"

#include <stdlib.h>
#include <string.h>

#define ASK_EVERY_MS 300u
#define REPLY_BYTES (CN_MAX_MESSAGE_BYTES - CN_MAX_BLOCK_BYTES / 2)
#define MAX_BLOCKS 256u

/* An idle network says nothing that a returning node could take as a hint. Open blocks are no reason not to ask: what
 * follows them may be final elsewhere, and what they follow may be missing here (an empty folder beside the old keys).
 */
void cn_sync_ask_peer(cn_node *node, unsigned peer)
{
    uint8_t bytes[8];
    cn_store_u64(bytes, cn_ledger_block_header(cn_ledger_tip(node->ledger))->height);
    (void)cn_links_send(node->links, peer, CN_WIRE_SYNC_REQUEST, bytes, sizeof bytes, true);
}

void cn_sync_ask(cn_node *node, bool now)
{
    uint64_t time = cn_monotonic_ms();
    unsigned n = node->genesis.set.n;
    node->sync_wanted = true;
    if (!now && time < node->sync_asked_ms + ASK_EVERY_MS)
        return;
    uint8_t bytes[8];
    cn_store_u64(bytes, cn_ledger_block_header(cn_ledger_tip(node->ledger))->height);
    for (unsigned tries = 0; tries < n; tries++) {
        unsigned to = node->sync_peer++ % n;
        if (to != node->self && cn_links_send(node->links, to, CN_WIRE_SYNC_REQUEST, bytes, sizeof bytes, true)) {
            node->sync_asked_ms = time;
            return;
        }
    }
}

/* ---- serving ---- */

static bool put_block(cn_snapshot *snap, uint64_t height, cn_buf *out)
{
    cn_header h;
    uint8_t bytes[CN_HEADER_LEN];
    uint64_t first = 0;
    uint32_t count = 0;
    if (cn_snapshot_header(snap, height, &h, NULL) != CN_OK ||
        cn_snapshot_block_statements(snap, height, &first, &count, NULL) != CN_OK)
        return false;
    cn_header_encode(&h, bytes);
    cn_put_bytes(out, bytes, sizeof bytes);
    cn_put_u32(out, count);
    for (uint32_t i = 0; i < count; i++) {
        cn_stored_statement s;
        if (cn_snapshot_statement(snap, first + i, &s, NULL) != CN_OK)
            return false;
        cn_put_u32(out, (uint32_t)(s.record.n + s.items.n));
        cn_put_bytes(out, s.record.p, s.record.n);
        cn_put_bytes(out, s.items.p, s.items.n);
    }
    return !out->fault;
}

/* Blocks from `from` up to the last one within the size that has a finalization of its own. */
static void put_run(cn_snapshot *snap, uint64_t from, uint64_t tip, cn_buf *out)
{
    size_t proved = 0;
    uint32_t count = 0, proved_count = 0;
    cn_span certificate = {0}, found;
    cn_put_u32(out, 0);
    for (uint64_t h = from; h <= tip && count < MAX_BLOCKS; h++) {
        if (!put_block(snap, h, out) || (proved_count && out->n > REPLY_BYTES))
            break;
        count++;
        if (cn_snapshot_certificate(snap, h, &found, NULL) == CN_OK) {
            proved = out->n;
            proved_count = count;
            certificate = found;
        }
    }
    out->n = proved; /* what is not proved is cut off */
    if (proved_count) {
        cn_store_u32(out->p, proved_count);
        out->fault = false;
        cn_put_bytes(out, certificate.p, certificate.n);
    }
}

void cn_sync_serve(cn_node *node, unsigned peer, const uint8_t *p, size_t n)
{
    cn_snapshot *snap = NULL;
    cn_tip tip;
    if (n != 8)
        return;
    uint64_t from = cn_load_u64(p) + 1;
    cn_buf out;
    cn_buf_init(&out, CN_MAX_MESSAGE_BYTES + CN_MAX_BLOCK_BYTES * 2);
    if (cn_snapshot_open(node->store, &snap, NULL) == CN_OK && cn_snapshot_tip(snap, &tip, NULL) == CN_OK &&
        from <= tip.height)
        put_run(snap, from, tip.height, &out);
    if (out.n > 4 && out.n <= CN_MAX_MESSAGE_BYTES && !out.fault)
        (void)cn_links_send(node->links, peer, CN_WIRE_SYNC_BLOCKS, out.p, out.n, false);
    cn_snapshot_close(snap);
    cn_buf_free(&out);
}

/* ---- taking ---- */

typedef struct run {
    uint32_t count;
    cn_header *header;
    cn_digest *digest;
    cn_stmt ***stmt;
    uint32_t *stmt_count;
    cn_certificate certificate;
    cn_span certificate_bytes;
} run;

static void run_free(run *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        for (uint32_t k = 0; r->stmt[i] && k < r->stmt_count[i]; k++)
            cn_stmt_unref(r->stmt[i][k]);
        free(r->stmt[i]);
    }
    free(r->header);
    free(r->digest);
    free(r->stmt);
    free(r->stmt_count);
}

static bool read_block(cn_reader *r, run *out, uint32_t i)
{
    const uint8_t *header = cn_read_view(r, CN_HEADER_LEN);
    uint32_t count = cn_read_u32(r);
    if (!header || count > CN_MAX_BLOCK_STATEMENTS ||
        cn_header_decode(header, CN_HEADER_LEN, &out->header[i], NULL) != CN_OK)
        return false;
    out->digest[i] = cn_header_digest_bytes(header);
    out->stmt[i] = calloc((size_t)count + 1, sizeof(cn_stmt *));
    cn_digest *records = calloc((size_t)count + 1, sizeof *records);
    CN_ASSERT(out->stmt[i] && records);
    bool ok = true;
    for (uint32_t k = 0; k < count && ok; k++) {
        size_t len = cn_read_u32(r);
        const uint8_t *bytes = cn_read_view(r, len);
        cn_statement *s = NULL;
        ok = bytes && cn_statement_decode(bytes, len, &s, NULL) == CN_OK;
        if (ok) {
            records[k] = s->record_digest;
            out->stmt[i][k] = cn_stmt_new(s);
            CN_ASSERT(out->stmt[i][k]);
            out->stmt_count[i] = k + 1;
        }
    }
    cn_digest body = cn_body_digest(records, count);
    free(records);
    return ok && cn_digest_eq(&body, &out->header[i].body);
}

static bool read_run(cn_node *node, const uint8_t *p, size_t n, run *out)
{
    cn_reader r = cn_reader_of(p, n);
    uint32_t count = cn_read_u32(&r);
    memset(out, 0, sizeof *out);
    if (count == 0 || count > MAX_BLOCKS)
        return false;
    out->header = calloc(count, sizeof *out->header);
    out->digest = calloc(count, sizeof *out->digest);
    out->stmt = calloc(count, sizeof *out->stmt);
    out->stmt_count = calloc(count, sizeof *out->stmt_count);
    CN_ASSERT(out->header && out->digest && out->stmt && out->stmt_count);
    const cn_ledger_block *tip = cn_ledger_tip(node->ledger);
    cn_digest parent = *cn_ledger_block_digest(tip);
    uint64_t height = cn_ledger_block_header(tip)->height;
    for (uint32_t i = 0; i < count; i++) {
        out->count = i + 1;
        if (!read_block(&r, out, i) || !cn_digest_eq(&out->header[i].parent, &parent) ||
            out->header[i].height != ++height)
            return false;
        parent = out->digest[i];
    }
    out->certificate_bytes = CN_SPAN(r.p, r.n);
    return cn_certificate_read(&r, &out->certificate, NULL) == CN_OK && cn_reader_done(&r) &&
           out->certificate.kind == CN_FINALIZE && cn_digest_eq(&out->certificate.block, &parent) &&
           cn_certificate_verify(&out->certificate, &node->genesis.network, &node->genesis.set, node->vote_keys,
                                 NULL) == CN_OK;
}

static cn_status apply(cn_node *node, const run *r, cn_err *err)
{
    cn_ledger_block **blocks = calloc(r->count, sizeof *blocks);
    CN_ASSERT(blocks);
    cn_ledger_block *parent = cn_ledger_tip(node->ledger);
    cn_status st = CN_OK;
    uint32_t done = 0;
    for (; done < r->count && st == CN_OK; done++) {
        if (!cn_verify_statements(node, parent, r->stmt[done], r->stmt_count[done], err))
            st = CN_DIVERGED;
        else
            st = cn_ledger_execute(node->ledger, parent, &r->header[done], r->stmt[done], r->stmt_count[done],
                                   &blocks[done], err);
        parent = blocks[done];
    }
    if (st == CN_INVALID) /* a quorum made it final, so it is this node that is wrong */
        st = CN_DIVERGED;
    if (st == CN_OK)
        st = cn_ledger_finalize(node->ledger, blocks, r->count, r->certificate_bytes, err);
    if (st == CN_OK)
        cn_note_final(node, blocks, r->count);
    for (uint32_t i = 0; i < done; i++)
        cn_ledger_block_unref(blocks[i]);
    free(blocks);
    return st;
}

void cn_sync_on_blocks(cn_node *node, unsigned peer, const uint8_t *p, size_t n)
{
    run r;
    cn_err err = {0};
    if (!read_run(node, p, n, &r)) {
        run_free(&r); /* late, or from a liar: the next peer is asked */
        (void)peer;
        return;
    }
    cn_status st = apply(node, &r, &err);
    if (st == CN_OK) {
        const cn_ledger_block *tip = cn_ledger_tip(node->ledger);
        cn_event ev = {.kind = CN_EV_SYNCED, .view = r.certificate.view, .final_certificate = &r.certificate};
        ev.block.digest = *cn_ledger_block_digest(tip);
        ev.block.header = *cn_ledger_block_header(tip);
        cn_ledger_block_checkpoint(tip, &ev.checkpoint_time_ms, &ev.checkpoint_log_size);
        cn_log(node, "info", "caught up to height %llu", (unsigned long long)ev.block.header.height);
        cn_core_step(node, &ev);
        cn_bodies_drop(node, ev.block.header.height);
        cn_core_step(node, &(cn_event){.kind = CN_EV_DURABLE, .view = r.certificate.view});
        cn_sync_ask(node, true); /* until a peer has nothing more */
        node->sync_wanted = false;
    } else {
        cn_node_fail(node, st, &err);
    }
    run_free(&r);
}
