/* Hosts around the production core: they execute its actions, over the model disk of disk.c. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

static void run_actions(sim *s, unsigned i);

uint64_t node_clock(const sim *s, unsigned i)
{
    return s->now + CLOCK_START_MS + s->node[i].skew;
}

void step(sim *s, unsigned i, const cn_event *ev)
{
    node *nd = &s->node[i];
    if (!nd->up || oracle_violation(s->oracle))
        return;
    cn_actions before = nd->actions;
    nd->actions = (cn_actions){0};
    record_event(s, i, ev);
    cn_consensus_set_wall(nd->core, nd->wall_ahead);
    cn_consensus_step(nd->core, node_clock(s, i), ev, &nd->actions);
    run_actions(s, i);
    cn_actions_free(&nd->actions);
    nd->actions = before;
}

void arm_timer(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    if (!nd->up)
        return;
    uint64_t deadline = cn_consensus_deadline(nd->core), clock = node_clock(s, i);
    if (deadline == NONE)
        return;
    uint64_t at = s->now + (deadline > clock ? deadline - clock : 1);
    if (nd->next_timer > s->now && nd->next_timer <= at)
        return;
    nd->next_timer = at;
    schedule(s, (sim_event){.at = at, .kind = E_TIMER, .node = i, .life = nd->life});
}

void tell_pending(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    uint64_t oldest = NONE;
    for (unsigned k = 0; k < s->submitted; k++)
        if (nd->statement[k] && nd->arrived[k] < oldest)
            oldest = nd->arrived[k];
    if (oldest == nd->pending_told)
        return;
    nd->pending_told = oldest;
    step(s, i, &(cn_event){.kind = CN_EV_PENDING, .oldest_ms = oldest});
}

static void execute(sim *s, unsigned i, const cn_block *block)
{
    node *nd = &s->node[i];
    for (size_t k = 0; k < block->record_count; k++) { /* bodies first: a missing one is fetched */
        int number = statement_number(s, &block->record[k]);
        if (number >= 0 && !nd->statement[number] && !nd->final[number] && nd->arrived[number] == 0) {
            if (nd->waiting_n < 64)
                nd->waiting[nd->waiting_n++] = copy_block(block);
            for (unsigned to = 0; to < s->n; to++) {
                uint8_t ask[33];
                ask[0] = 1;
                memcpy(ask + 1, block->record[k].b, 32);
                transmit(s, i, to, W_STATEMENT, ask, sizeof ask);
            }
            return;
        }
    }
    bool ok = executes(s, block);
    cn_event ev = {.kind = CN_EV_EXECUTED, .ok = ok};
    ev.block.digest = block->digest;
    if (ok) {
        remember(s, block);
        ev.closing_due = find_executed(s, &block->digest)->pending >= 0;
    }
    step(s, i, &ev);
}

void retry_waiting(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    cn_block again[64];
    size_t n = nd->waiting_n;
    memcpy(again, nd->waiting, sizeof again);
    nd->waiting_n = 0;
    for (size_t k = 0; k < n; k++) {
        execute(s, i, &again[k]);
        free_block(&again[k]);
    }
}

void drop_waiting(node *nd)
{
    for (size_t k = 0; k < nd->waiting_n; k++)
        free_block(&nd->waiting[k]);
    nd->waiting_n = 0;
}

/* At most one change in a block: what comes after it would be decided by another set. */
static size_t choose_statements(sim *s, const node *nd, const cn_action *a, cn_digest *record)
{
    size_t count = 0;
    for (unsigned k = 0; a->want_statements && k < s->submitted && count < 16; k++)
        if (nd->statement[k] && !in_ancestry(s, &a->parent, &s->statement[k]))
            record[count++] = s->statement[k];
    return count;
}

static void build(sim *s, unsigned i, const cn_action *a)
{
    node *nd = &s->node[i];
    const model_block *parent = find_executed(s, &a->parent);
    cn_digest record[16];
    bool closing = parent && parent->pending >= 0; /* R11, whatever was asked for */
    size_t count = closing ? 0 : choose_statements(s, nd, a, record);
    cn_event ev = {.kind = CN_EV_BUILT, .view = a->view};
    ev.ok = parent && (count > 0 || closing || !a->want_statements);
    if (ev.ok) {
        unsigned next = closing ? set_after(s, parent->set, &s->change[parent->pending]) : parent->set;
        cn_header h = {.version = 1,
                       .kind = closing ? CN_BLOCK_CLOSING
                               : count ? CN_BLOCK_NORMAL
                                       : CN_BLOCK_CHECKPOINT,
                       .epoch = parent->epoch,
                       .height = parent->block.header.height + 1,
                       .time_ms = a->time_ms,
                       .parent = a->parent,
                       .set = s->set[parent->set].digest,
                       .next_set = s->set[next].digest};
        model_roots(&parent->block.header, &h, record, count);
        ev.block = (cn_block){.digest = cn_header_digest(&h), .header = h, .record_count = count, .record = record};
        remember(s, &ev.block);
        ev.closing_due = find_executed(s, &ev.block.digest)->pending >= 0;
    }
    step(s, i, &ev);
}

static void persist(sim *s, unsigned i, const cn_action *a)
{
    node *nd = &s->node[i];
    disk_row *d = unsynced(nd);
    d->token = a->token;
    d->has_row = a->has_row;
    d->row = a->row;
    cn_reader r = cn_reader_of(a->bytes, a->n);
    d->has_cert = a->n && cn_certificate_read(&r, &d->cert, NULL) == CN_OK;
    if (a->n && (!d->has_cert || !cn_reader_done(&r) || d->cert.kind != CN_NOTARIZE))
        oracle_fail(s->oracle, "node %u keeps something else than a notarization", i);
    if (a->store_body) {
        d->has_body = true;
        d->body = copy_block(a->block);
    }
    nd->token = a->token;
    if (has_room(s, i))
        schedule(s, (sim_event){.at = s->now + (s->fixed_delay ? 1 : rng_below(&s->r, 4)),
                                .kind = E_PERSISTED,
                                .node = i,
                                .life = nd->life,
                                .token = a->token});
}

/* Final by what the core or a peer proved: it leaves the pool, and the oracle hears of it. */
void report_final(sim *s, unsigned i, const cn_block *b, const cn_certificate *cert)
{
    node *nd = &s->node[i];
    nd->final_ms = s->now;
    if (b->header.time_ms > s->now + CLOCK_START_MS + SKEW_MS + CN_MAX_CLOCK_AHEAD_MS) /* R13 */
        oracle_fail(s->oracle, "node %u: the final block at height %llu is of a time to come", i,
                    (unsigned long long)b->header.height);
    if (nd->fault == HONEST)
        oracle_final(s->oracle, i, &b->header, &b->digest, cert->epoch);
    tell(s, i, "final %.8s height %llu%s", cn_digest_hex(&b->digest).s, (unsigned long long)b->header.height,
         b->header.kind == CN_BLOCK_CLOSING ? ", which closes the epoch" : "");
    const model_block *m = find_executed(s, &b->digest);
    if (b->header.kind == CN_BLOCK_CLOSING && nd->fault == HONEST && m) {
        oracle_epoch(s->oracle, m->epoch, &s->set[m->set]);
        record_set(s, m->epoch, &s->set[m->set]);
    }
    for (size_t k = 0; k < b->record_count; k++) {
        int number = statement_number(s, &b->record[k]);
        if (number >= 0)
            nd->statement[number] = false;
    }
}

static void finalize(sim *s, unsigned i, const cn_action *a)
{
    node *nd = &s->node[i];
    cn_reader r = cn_reader_of(a->bytes, a->n);
    cn_certificate cert;
    if (a->count == 0 || cn_certificate_read(&r, &cert, NULL) != CN_OK) {
        oracle_fail(s->oracle, "node %u made nothing final, or without a whole certificate", i);
        return;
    }
    for (size_t k = 0; k < a->count; k++) {
        const cn_block *b = a->blocks[k];
        nd->epoch_ended = nd->epoch_ended || b->header.kind == CN_BLOCK_CLOSING;
        report_final(s, i, b, &cert);
        *unsynced(nd) = (disk_row){.is_final = true,
                                   .has_body = true,
                                   .body = copy_block(b),
                                   .view = a->view,
                                   .has_cert = k + 1 == a->count,
                                   .cert = cert,
                                   .token = b->header.height};
    }
    schedule(s, (sim_event){.at = s->now + (s->fixed_delay ? 1 : rng_below(&s->r, 6)),
                            .kind = E_COMMITTED,
                            .node = i,
                            .life = nd->life,
                            .token = a->blocks[a->count - 1]->header.height,
                            .value = a->view});
}

void ask_sync(sim *s, unsigned i)
{
    uint8_t bytes[8];
    cn_store_u64(bytes, s->node[i].height);
    transmit(s, i, (unsigned)rng_below(&s->r, s->n), W_SYNC_REQUEST, bytes, sizeof bytes);
}

static void fetch(sim *s, unsigned i, const cn_digest *digest)
{
    unsigned to = (unsigned)rng_below(&s->r, s->n);
    transmit(s, i, to, W_FETCH_BLOCK, digest->b, 32);
    transmit(s, i, (to + 1) % s->n, W_FETCH_BLOCK, digest->b, 32);
}

static void send(sim *s, unsigned i, const cn_action *a)
{
    const node *nd = &s->node[i];
    bool proposal = cn_message_kind_of(a->bytes, a->n) == CN_MSG_PROPOSAL;
    if (nd->fault == EQUIVOCATE && proposal)
        equivocate(s, i, a->bytes, a->n);
    else if (nd->fault == FORK && proposal)
        fork_chain(s, i, a->bytes, a->n);
    else if (nd->fault == GARBAGE && rng_chance(&s->r, 50))
        garbage(s, i, a->bytes, a->n);
    else
        send_consensus(s, i, a->to, a->bytes, a->n);
}

static void run_action(sim *s, unsigned i, const cn_action *a)
{
    node *nd = &s->node[i];
    record_action(s, i, a);
    switch (a->kind) {
    case CN_ACT_PERSIST:
        persist(s, i, a);
        break;
    case CN_ACT_SEND:
        send(s, i, a);
        break;
    case CN_ACT_FINAL:
        finalize(s, i, a);
        break;
    case CN_ACT_FLOOR:
        raise_floor(s, i, nd->epoch, a->view);
        break;
    case CN_ACT_SYNC:
        ask_sync(s, i);
        break;
    case CN_ACT_STOP:
        if (nd->fault == HONEST)
            oracle_fail(s->oracle, "honest node %u stopped: %s", i, a->reason);
        nd->up = false;
        break;
    case CN_ACT_FETCH:
        fetch(s, i, &a->parent);
        break;
    default:
        break;
    }
}

/* EXECUTE and BUILD step again, so they come when the list is through; blocks are copied before. */
static void run_actions(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    uint64_t life = nd->life;
    cn_actions list = nd->actions;
    nd->actions = (cn_actions){0};
    cn_block *copy = calloc(list.n + 1, sizeof *copy);
    for (size_t k = 0; k < list.n && nd->up && nd->life == life; k++)
        run_action(s, i, &list.v[k]);
    for (size_t k = 0; k < list.n; k++)
        if (list.v[k].kind == CN_ACT_EXECUTE)
            copy[k] = copy_block(list.v[k].block);
    for (size_t k = 0; k < list.n; k++) {
        if (list.v[k].kind == CN_ACT_EXECUTE && nd->up && nd->life == life)
            execute(s, i, &copy[k]);
        else if (list.v[k].kind == CN_ACT_BUILD && nd->up && nd->life == life)
            build(s, i, &list.v[k]);
        free_block(&copy[k]);
    }
    free(copy);
    cn_actions_free(&list);
}
