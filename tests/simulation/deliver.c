/* What arrives at a host: messages of consensus, statements, blocks asked for, and runs of final blocks. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

static void write_block(cn_buf *out, const cn_block *b)
{
    uint8_t header[CN_HEADER_LEN];
    cn_header_encode(&b->header, header);
    cn_put_bytes(out, header, sizeof header);
    cn_put_u32(out, (uint32_t)b->record_count);
    cn_put_bytes(out, b->record, b->record_count * 32);
}

static bool read_block(cn_reader *r, cn_block *ret)
{
    const uint8_t *header = cn_read_view(r, CN_HEADER_LEN);
    size_t count = cn_read_u32(r);
    const uint8_t *records = count < 1000 ? cn_read_view(r, count * 32) : NULL;
    if (!header || !records || cn_header_decode(header, CN_HEADER_LEN, &ret->header, NULL) != CN_OK)
        return false;
    ret->digest = cn_header_digest(&ret->header);
    ret->record_count = count;
    cn_digest *copy = malloc((count + 1) * sizeof *copy);
    memcpy(copy, records, count * 32);
    ret->record = copy;
    return true;
}

void add_statement(sim *s, unsigned i, unsigned number, bool forward)
{
    node *nd = &s->node[i];
    if (!nd->up || nd->arrived[number])
        return;
    nd->arrived[number] = node_clock(s, i);
    if (nd->final[number])
        return;
    nd->statement[number] = true;
    if (forward) {
        uint8_t bytes[33];
        bytes[0] = 0;
        memcpy(bytes + 1, s->statement[number].b, 32);
        broadcast(s, i, W_STATEMENT, bytes, sizeof bytes);
    }
    retry_waiting(s, i);
    tell_pending(s, i);
}

static void on_statement_wire(sim *s, const sim_event *e)
{
    cn_digest d;
    memcpy(d.b, e->bytes + 1, 32);
    int number = statement_number(s, &d);
    if (number < 0)
        return;
    if (e->bytes[0] == 1) { /* somebody asks for it */
        if (s->node[e->node].arrived[number] || s->node[e->node].final[number]) {
            uint8_t answer[33];
            answer[0] = 0;
            memcpy(answer + 1, d.b, 32);
            transmit(s, e->node, e->from, W_STATEMENT, answer, sizeof answer);
        }
        return;
    }
    add_statement(s, e->node, (unsigned)number, false);
}

static void serve_block(sim *s, const sim_event *e)
{
    cn_digest d;
    memcpy(d.b, e->bytes, 32);
    model_block *b = find_executed(s, &d);
    if (!b || s->node[e->node].fault == LYING_SYNC)
        return;
    cn_buf out;
    cn_buf_init(&out, 1 << 20);
    write_block(&out, &b->block);
    transmit(s, e->node, e->from, W_BLOCK, out.p, out.n);
    cn_buf_free(&out);
}

static void serve_sync(sim *s, const sim_event *e)
{
    const node *nd = &s->node[e->node];
    uint64_t from = cn_load_u64(e->bytes) + 1, last = 0;
    for (uint64_t h = from; h <= nd->height && h < from + SYNC_BLOCKS; h++) {
        if (nd->chain[h].cert) {
            last = h;
            if (nd->chain[h].block.header.kind == CN_BLOCK_CLOSING)
                break; /* what follows is proved by another set (R11) */
        }
    }
    if (last == 0)
        return;
    cn_buf out;
    cn_buf_init(&out, 1 << 20);
    cn_put_u32(&out, (uint32_t)(last - from + 1));
    for (uint64_t h = from; h <= last; h++) {
        cn_block b = nd->chain[h].block;
        if (nd->fault == LYING_SYNC && h == last)
            b.header.time_ms += 7;
        write_block(&out, &b);
    }
    cn_certificate_encode(nd->chain[last].cert, &out);
    transmit(s, e->node, e->from, W_SYNC_BLOCKS, out.p, out.n);
    cn_buf_free(&out);
}

/* R12: a run of blocks is proved by the finalization of its last one and the links between them, by the set of the
 * epoch that this node is in. */
static bool check_sync(const sim *s, const node *nd, const cn_block *b, size_t count, const cn_certificate *cert)
{
    const cn_digest *parent = &nd->chain[nd->height].block.digest;
    const member_set *set = &s->set[nd->set];
    unsigned signers = 0;
    for (size_t k = 0; k < count; k++) {
        cn_digest body = cn_body_digest(b[k].record, b[k].record_count);
        if (memcmp(b[k].header.parent.b, parent->b, 32) || memcmp(body.b, b[k].header.body.b, 32) ||
            b[k].header.height != nd->height + 1 + k || (k + 1 < count && b[k].header.kind == CN_BLOCK_CLOSING))
            return false;
        parent = &b[k].digest;
    }
    if (cert->kind != CN_FINALIZE || memcmp(cert->block.b, parent->b, 32) || cert->n != set->n ||
        cert->epoch != nd->epoch)
        return false;
    cn_digest d = model_vote_digest(s, cert->epoch, cert->kind, cert->view, &cert->block);
    for (unsigned i = 0; i < set->n; i++)
        if (cert->bitmap[i / 8] >> (i % 8) & 1)
            if (!sim_verify(member_key(set, i), &d, cert->signature[signers++].b))
                return false;
    return signers >= cn_quorum(set->n);
}

/* Each block is executed before it counts, on the one before. */
static bool apply_run(sim *s, unsigned i, const cn_block *block, size_t count, const cn_certificate *cert)
{
    for (size_t k = 0; k < count; k++) {
        if (!find_executed(s, &block[k].digest) && !executes(s, &block[k])) {
            oracle_fail(s->oracle, "node %u got a block that a quorum made final and that does not execute", i);
            return false;
        }
        remember(s, &block[k]);
        report_final(s, i, &block[k], cert);
        *unsynced(&s->node[i]) = (disk_row){.is_final = true,
                                            .has_body = true,
                                            .body = copy_block(&block[k]),
                                            .view = cert->view,
                                            .has_cert = k + 1 == count,
                                            .cert = *cert,
                                            .token = block[k].header.height};
    }
    sync_disk(s, i, NONE, true);
    return true;
}

static void on_sync(sim *s, const sim_event *e)
{
    node *nd = &s->node[e->node];
    cn_reader r = cn_reader_of(e->bytes, e->n);
    size_t count = cn_read_u32(&r), have = 0;
    cn_block block[SYNC_BLOCKS];
    cn_certificate cert;
    if (count == 0 || count > SYNC_BLOCKS)
        return;
    while (have < count && read_block(&r, &block[have]))
        have++;
    bool ok = have == count && cn_certificate_read(&r, &cert, NULL) == CN_OK && !nd->epoch_ended &&
              !commits_pending(nd) && /* of its own: ask again later */
              check_sync(s, nd, block, count, &cert) && has_room(s, e->node) &&
              apply_run(s, e->node, block, count, &cert);
    if (ok) {
        cn_event ev = {.kind = CN_EV_SYNCED,
                       .block = nd->chain[nd->height].block,
                       .view = cert.view,
                       .closing_due = find_executed(s, &nd->chain[nd->height].block.digest)->pending >= 0,
                       .final_certificate = &cert};
        newest_checkpoint(nd, &ev.checkpoint_time_ms, &ev.checkpoint_log_size);
        step(s, e->node, &ev);
        step(s, e->node, &(cn_event){.kind = CN_EV_DURABLE, .view = cert.view});
        tell_pending(s, e->node);
        follow_epoch(s, e->node);
    }
    for (size_t k = 0; k < have; k++)
        free_block(&block[k]);
}

/* As the receiver's core numbers its peers: an index in its set, or an observer. */
static unsigned peer_number(const sim *s, unsigned receiver, unsigned sender)
{
    int at = member_index(&s->set[s->node[receiver].set], s->node[sender].member);
    return at >= 0 ? (unsigned)at : OBSERVER + 1 + sender;
}

static void on_consensus(sim *s, const sim_event *e)
{
    const node *nd = &s->node[e->node];
    if (nd->fault == TWIN && s->node[e->from].member == nd->member)
        return; /* each would take the other's votes for a lost table of its own, and stop */
    if (nd->fault == DOUBLE_VOTE && cn_message_kind_of(e->bytes, e->n) == CN_MSG_VOTE)
        double_vote(s, e->node, e->bytes, e->n);
    else if (nd->fault == REPLAY)
        replay(s, e->node, e->bytes, e->n);
    else if (nd->fault == FORGE)
        forge(s, e->node, e->bytes, e->n);
    step(s, e->node,
         &(cn_event){.kind = CN_EV_MESSAGE, .from = peer_number(s, e->node, e->from), .bytes = e->bytes, .n = e->n});
}

void deliver(sim *s, const sim_event *e)
{
    node *nd = &s->node[e->node];
    cn_block block;
    if (!nd->up || nd->fault == SILENT)
        return;
    switch (e->wire) {
    case W_CONSENSUS:
        on_consensus(s, e);
        break;
    case W_STATEMENT:
        on_statement_wire(s, e);
        break;
    case W_FETCH_BLOCK:
        serve_block(s, e);
        break;
    case W_BLOCK: {
        cn_reader r = cn_reader_of(e->bytes, e->n);
        if (read_block(&r, &block)) {
            step(s, e->node, &(cn_event){.kind = CN_EV_BLOCK, .block = block});
            free_block(&block);
        }
        break;
    }
    case W_SYNC_REQUEST:
        serve_sync(s, e);
        break;
    case W_SYNC_BLOCKS:
        on_sync(s, e);
        break;
    }
}
