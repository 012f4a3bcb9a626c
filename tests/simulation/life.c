/* Lives of a host: starts from what is durable, crashes, rot of its disk, and one core an epoch. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

void newest_checkpoint(const node *nd, uint64_t *ret_time_ms, uint64_t *ret_log_size)
{
    size_t h = nd->height;
    while (h > 0 && nd->chain[h].block.header.kind == CN_BLOCK_NORMAL)
        h--;
    *ret_time_ms = nd->chain[h].block.header.time_ms;
    *ret_log_size = nd->chain[h].block.header.log_size;
}

/* The finalization of the closing block that began the epoch; NULL in the first one. */
static const cn_certificate *opening_of(const node *nd)
{
    size_t h = nd->height;
    while (h > 0 && nd->chain[h].block.header.kind != CN_BLOCK_CLOSING)
        h--;
    return nd->chain[h].cert;
}

static void take_set(sim *s, node *nd)
{
    const model_block *tip = find_executed(s, &nd->chain[nd->height].block.digest);
    nd->epoch = tip->epoch;
    nd->set = tip->set;
    int self = member_index(&s->set[nd->set], nd->member);
    nd->self = self < 0 ? OBSERVER : (unsigned)self;
    if (self >= 0)
        nd->key = member_key(&s->set[nd->set], nd->self);
}

/* One core of consensus for the epoch that the ledger is in (R11). */
static void open_core(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    const model_block *tip = &nd->chain[nd->height];
    take_set(s, nd);
    bool in_epoch = tip->block.header.epoch == nd->epoch;
    cn_consensus_config cfg = {.network = s->network,
                               .epoch = nd->epoch,
                               .n = s->set[nd->set].n,
                               .self = nd->self,
                               .set = s->set[nd->set].digest,
                               .crypto = {.ctx = nd, .sign = sign_cb, .verify = verify_cb},
                               .delay_floor_ms = DELAY_FLOOR_MS,
                               .delay_cap_ms = 2000,
                               .forward_ms = 10,
                               .checkpoint_interval_ms = INTERVAL_MS,
                               .heartbeat_ms = HEARTBEAT_MS,
                               .final_block = tip->block,
                               .final_view = in_epoch ? tip->view : 0,
                               .final_certificate = tip->cert,
                               .final_closing_due = find_executed(s, &tip->block.digest)->pending >= 0,
                               .opening = opening_of(nd),
                               .floor_view = nd->floor_epoch == nd->epoch ? nd->floor_view : 0,
                               .row_count = nd->rows,
                               .row = nd->row,
                               .block_count = nd->bodies,
                               .block = nd->body,
                               .certificate_count = nd->notarizations,
                               .certificate = nd->notarization};
    cfg.may_vote =
        nd->self != OBSERVER && nd->floor_epoch <= nd->epoch && !(nd->lost_journal && nd->key <= nd->lost_key);
    if (cfg.may_vote && nd->key > nd->newest_key)
        nd->newest_key = nd->key;
    newest_checkpoint(nd, &cfg.checkpoint_time_ms, &cfg.checkpoint_log_size);
    record_begin(s, i, &cfg);
    nd->core = cn_consensus_new(&cfg, node_clock(s, i));
    cn_consensus_set_wall(nd->core, nd->wall_ahead);
    nd->token = 0;
    nd->pending_told = 0;
    nd->next_timer = 0;
    nd->epoch_ended = false;
    tell(s, i, "begins epoch %llu on height %llu%s", (unsigned long long)nd->epoch, (unsigned long long)nd->height,
         cfg.may_vote ? "" : ", and does not vote");
}

void start(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    nd->up = true;
    open_core(s, i);
    memset(nd->statement, 0, sizeof nd->statement);
    memset(nd->arrived, 0, sizeof nd->arrived);
    for (size_t k = 0; k < nd->bodies; k++) /* statements of durable bodies are at hand */
        for (size_t m = 0; m < nd->body[k].record_count; m++) {
            int number = statement_number(s, &nd->body[k].record[m]);
            if (number >= 0) {
                nd->statement[number] = !nd->final[number];
                nd->arrived[number] = node_clock(s, i);
            }
        }
    tell_pending(s, i);
    step(s, i, &(cn_event){.kind = CN_EV_TICK});
    arm_timer(s, i);
}

static void close_core(node *nd)
{
    drop_waiting(nd);
    cn_consensus_free(nd->core);
    nd->core = NULL;
    nd->life++;
}

void crash(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    if (!nd->core)
        return;
    tell(s, i, "crashes");
    tear(s, i);
    drop_unsynced(nd, true);
    close_core(nd);
    nd->up = false;
}

/* A bit of a stored block has flipped. The digests show where, and the operator lets the node fetch from there on; the
 * safety table, which was not damaged, stays. */
void rot_ledger(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    if (nd->height == 0)
        return;
    uint8_t header[CN_HEADER_LEN];
    size_t hit = 1 + rng_below(&s->r, nd->height), good = 0;
    for (size_t h = 1; h <= nd->height; h++) {
        cn_header_encode(&nd->chain[h].block.header, header);
        if (h == hit)
            header[rng_below(&s->r, sizeof header)] ^= (uint8_t)(1u << rng_below(&s->r, 8));
        cn_digest is = cn_header_digest_bytes(header);
        if (memcmp(is.b, nd->chain[h].block.digest.b, 32) != 0)
            break;
        if (nd->chain[h].cert)
            good = h; /* a ledger ends with a block that has a finalization of its own */
    }
    for (size_t h = good + 1; h <= nd->height; h++) {
        for (size_t m = 0; m < nd->chain[h].block.record_count; m++) {
            int number = statement_number(s, &nd->chain[h].block.record[m]);
            if (number >= 0)
                nd->final[number] = false;
        }
        free_block(&nd->chain[h].block);
        free(nd->chain[h].cert);
    }
    nd->height = good;
    tell(s, i, "finds its ledger damaged above height %llu", (unsigned long long)good);
}

/* The safety table is damaged: whatever it said is gone, also of older keys, and none of them ever signs again (those
 * of a member ascend with its rotations). A rotation to a new key by ballot is the way back. */
void rot_journal(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    nd->lost_journal = true;
    nd->lost_key = nd->newest_key;
    nd->rows = nd->notarizations = 0;
    for (size_t k = 0; k < nd->bodies; k++)
        free_block(&nd->body[k]);
    nd->bodies = 0;
    nd->floor_epoch = nd->floor_view = nd->safe_epoch = nd->safe_view = 0;
    record_rotted(s, i);
    tell(s, i, "finds its safety table damaged");
}

/* Nothing of the old epoch goes over: its core, what it had not written, and the blocks that waited are gone. Its rows
 * stay until the floor that passes them is durable: after a loss of the ledger they would be needed again. */
void follow_epoch(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    const cn_header *tip = &nd->chain[nd->height].block.header;
    if (!nd->up || tip->kind != CN_BLOCK_CLOSING || tip->epoch != nd->epoch)
        return;
    drop_unsynced(nd, false);
    close_core(nd);
    nd->token = 0;
    if (nd->floor_epoch < tip->epoch + 1)
        raise_floor(s, i, tip->epoch + 1, 0);
    for (size_t k = 0; k < nd->bodies; k++)
        free_block(&nd->body[k]);
    nd->bodies = 0;
    open_core(s, i);
    tell_pending(s, i);
    step(s, i, &(cn_event){.kind = CN_EV_TICK});
    arm_timer(s, i);
}
