/* Hosts around the production core: model disks, lives and deaths, one run from a seed. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- hosts ---- */

static void run_actions(sim *s, unsigned i);

static uint64_t node_clock(const sim *s, unsigned i)
{
    return s->now + 1000000 + s->node[i].skew;
}

static void step(sim *s, unsigned i, const cn_event *ev)
{
    node *nd = &s->node[i];
    if (!nd->up || oracle_violation(s->oracle))
        return;
    cn_actions before = nd->actions;
    nd->actions = (cn_actions){0};
    cn_consensus_step(nd->core, node_clock(s, i), ev, &nd->actions);
    run_actions(s, i);
    cn_actions_free(&nd->actions);
    nd->actions = before;
}

static void arm_timer(sim *s, unsigned i)
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

static bool is_final(const node *nd, const cn_digest *record)
{
    for (size_t h = nd->height + 1; h > 0; h--)
        for (size_t k = 0; k < nd->chain[h - 1].block.record_count; k++)
            if (memcmp(nd->chain[h - 1].block.record[k].b, record->b, 32) == 0)
                return true;
    return false;
}

static void tell_pending(sim *s, unsigned i)
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
        if (number >= 0 && !nd->statement[number] && !is_final(nd, &block->record[k]) && nd->arrived[number] == 0) {
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
    if (ok)
        remember(s, block);
    step(s, i, &ev);
}

static void retry_waiting(sim *s, unsigned i)
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

static void build(sim *s, unsigned i, const cn_action *a)
{
    node *nd = &s->node[i];
    model_block *parent = find_executed(s, &a->parent);
    cn_digest record[16];
    size_t count = 0;
    for (unsigned k = 0; a->want_statements && k < s->submitted && count < 16; k++)
        if (nd->statement[k] && !in_ancestry(s, &a->parent, &s->statement[k]))
            record[count++] = s->statement[k];
    cn_event ev = {.kind = CN_EV_BUILT, .view = a->view, .ok = parent && (count > 0 || !a->want_statements)};
    if (ev.ok) {
        cn_header h = {.version = 1,
                       .kind = count ? CN_BLOCK_NORMAL : CN_BLOCK_CHECKPOINT,
                       .epoch = 1,
                       .height = parent->block.header.height + 1,
                       .time_ms = a->time_ms,
                       .parent = a->parent,
                       .set = s->set,
                       .next_set = s->set};
        model_roots(&parent->block.header, &h, record, count);
        ev.block = (cn_block){.digest = cn_header_digest(&h), .header = h, .record_count = count, .record = record};
        remember(s, &ev.block);
    }
    step(s, i, &ev);
}

static disk_row *unsynced(node *nd)
{
    nd->unsynced = realloc(nd->unsynced, (nd->unsynced_n + 1) * sizeof *nd->unsynced);
    nd->unsynced[nd->unsynced_n] = (disk_row){0};
    return &nd->unsynced[nd->unsynced_n++];
}

static void persist(sim *s, unsigned i, const cn_action *a)
{
    node *nd = &s->node[i];
    disk_row *d = unsynced(nd);
    d->token = a->token;
    d->has_row = a->has_row;
    d->row = a->row;
    if (a->store_body) {
        d->has_body = true;
        d->body = copy_block(a->block);
    }
    schedule(
        s,
        (sim_event){
            .at = s->now + rng_below(&s->r, 4), .kind = E_PERSISTED, .node = i, .life = nd->life, .token = a->token});
}

static void store_row(node *nd, const disk_row *d)
{
    if (d->has_row) {
        size_t k = 0;
        while (k < nd->rows && nd->row[k].view != d->row.view)
            k++;
        if (k == nd->rows) {
            nd->row = realloc(nd->row, (nd->rows + 1) * sizeof *nd->row);
            nd->rows++;
        }
        nd->row[k] = d->row;
    }
    if (d->has_body) {
        nd->body = realloc(nd->body, (nd->bodies + 1) * sizeof *nd->body);
        nd->body[nd->bodies++] = copy_block(&d->body);
    }
}

/* Moves everything up to the token to the disk, in order; the ledger's own commits too. */
static void sync_disk(sim *s, unsigned i, uint64_t token, bool finals)
{
    node *nd = &s->node[i];
    size_t kept = 0;
    (void)s;
    for (size_t k = 0; k < nd->unsynced_n; k++) {
        disk_row *d = &nd->unsynced[k];
        if (d->is_final != finals || d->token > token) {
            nd->unsynced[kept++] = *d;
            continue;
        }
        if (!d->is_final) {
            store_row(nd, d);
        } else if (d->body.header.height == nd->height + 1) {
            nd->chain = realloc(nd->chain, (nd->height + 2) * sizeof *nd->chain);
            model_block *b = &nd->chain[++nd->height];
            *b = (model_block){.block = copy_block(&d->body), .view = d->view};
            if (d->has_cert) {
                b->cert = malloc(sizeof *b->cert);
                *b->cert = d->cert;
            }
        }
        if (d->has_body)
            free_block(&d->body);
    }
    nd->unsynced_n = kept;
}

static void finalize(sim *s, unsigned i, const cn_action *a)
{
    node *nd = &s->node[i];
    cn_reader r = cn_reader_of(a->bytes, a->n);
    cn_certificate cert;
    bool has = cn_certificate_read(&r, &cert, NULL) == CN_OK;
    for (size_t k = 0; k < a->count; k++) {
        const cn_block *b = a->blocks[k];
        if (nd->fault == HONEST)
            oracle_final(s->oracle, i, b->header.height, &b->digest, &b->header.parent);
        disk_row *d = unsynced(nd);
        *d = (disk_row){.is_final = true,
                        .has_body = true,
                        .body = copy_block(b),
                        .view = a->view,
                        .has_cert = has && k + 1 == a->count,
                        .token = b->header.height};
        if (d->has_cert)
            d->cert = cert;
        for (size_t m = 0; m < b->record_count; m++) {
            int number = statement_number(s, &b->record[m]);
            if (number >= 0)
                nd->statement[number] = false;
        }
    }
    schedule(s, (sim_event){.at = s->now + rng_below(&s->r, 6),
                            .kind = E_COMMITTED,
                            .node = i,
                            .life = nd->life,
                            .token = a->blocks[a->count - 1]->header.height,
                            .value = a->view});
}

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

static void ask_sync(sim *s, unsigned i)
{
    uint8_t bytes[8];
    cn_store_u64(bytes, s->node[i].height);
    transmit(s, i, (unsigned)rng_below(&s->r, s->n), W_SYNC_REQUEST, bytes, sizeof bytes);
}

static void run_actions(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    uint64_t life = nd->life;
    cn_actions list = nd->actions;
    nd->actions = (cn_actions){0};
    for (size_t k = 0; k < list.n && nd->up && nd->life == life; k++) {
        const cn_action *a = &list.v[k];
        if (s->opt.trace)
            printf("%8llu node %u action %d view %llu\n", (unsigned long long)s->now, i, (int)a->kind,
                   (unsigned long long)a->view);
        switch (a->kind) {
        case CN_ACT_PERSIST:
            persist(s, i, a);
            break;
        case CN_ACT_SEND:
            if (nd->fault == EQUIVOCATE && cn_message_kind_of(a->bytes, a->n) == CN_MSG_PROPOSAL)
                equivocate(s, i, a->bytes, a->n);
            else if (nd->fault == FORK && cn_message_kind_of(a->bytes, a->n) == CN_MSG_PROPOSAL)
                fork_chain(s, i, a->bytes, a->n);
            else if (nd->fault == GARBAGE && rng_chance(&s->r, 50))
                garbage(s, i, a->bytes, a->n);
            else
                send_consensus(s, i, a->to, a->bytes, a->n);
            break;
        case CN_ACT_FINAL:
            finalize(s, i, a);
            break;
        case CN_ACT_FLOOR:
            nd->floor = a->view > nd->floor ? a->view : nd->floor;
            break;
        case CN_ACT_SYNC:
            ask_sync(s, i);
            break;
        case CN_ACT_STOP:
            if (nd->fault == HONEST)
                oracle_fail(s->oracle, "honest node %u stopped: %s", i, a->reason);
            nd->up = false;
            break;
        case CN_ACT_FETCH: {
            unsigned to = (unsigned)rng_below(&s->r, s->n);
            transmit(s, i, to, W_FETCH_BLOCK, a->parent.b, 32);
            transmit(s, i, (to + 1) % s->n, W_FETCH_BLOCK, a->parent.b, 32);
            break;
        }
        default:
            break;
        }
    }
    /* these step again, so they come when the list is through; blocks are copied before */
    for (size_t k = 0; k < list.n && nd->up && nd->life == life; k++) {
        const cn_action *a = &list.v[k];
        if (a->kind == CN_ACT_EXECUTE || a->kind == CN_ACT_BUILD) {
            cn_block copy = {0};
            if (a->block)
                copy = copy_block(a->block);
            list.v[k].block = NULL;
            if (a->kind == CN_ACT_EXECUTE) {
                cn_block *kept = malloc(sizeof *kept);
                *kept = copy;
                list.v[k].block = kept;
            }
        }
    }
    for (size_t k = 0; k < list.n; k++) {
        cn_action *a = &list.v[k];
        if (a->kind == CN_ACT_EXECUTE && a->block) {
            if (nd->up && nd->life == life)
                execute(s, i, a->block);
            cn_block *kept = (cn_block *)(uintptr_t)a->block;
            free_block(kept);
            free(kept);
        } else if (a->kind == CN_ACT_BUILD && nd->up && nd->life == life) {
            build(s, i, a);
        }
    }
    cn_actions_free(&list);
}

/* ---- life and death ---- */

static void start(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    const model_block *tip = &nd->chain[nd->height];
    uint64_t view = 0, cp_time = 0, cp_log = 0;
    for (size_t h = 0; h <= nd->height; h++) {
        if (nd->chain[h].view > view)
            view = nd->chain[h].view;
        if (nd->chain[h].block.header.kind != CN_BLOCK_NORMAL) {
            cp_time = nd->chain[h].block.header.time_ms;
            cp_log = nd->chain[h].block.header.log_size;
        }
    }
    cn_consensus_config cfg = {.network = s->network,
                               .epoch = 1,
                               .n = s->n,
                               .self = i,
                               .set = s->set,
                               .crypto = {.ctx = (void *)(uintptr_t)i, .sign = sign_cb, .verify = verify_cb},
                               .delay_floor_ms = DELAY_FLOOR_MS,
                               .delay_cap_ms = 2000,
                               .forward_ms = 10,
                               .checkpoint_interval_ms = INTERVAL_MS,
                               .heartbeat_ms = HEARTBEAT_MS,
                               .may_vote = true,
                               .final_block = tip->block,
                               .final_view = view,
                               .final_certificate = tip->cert,
                               .checkpoint_time_ms = cp_time,
                               .checkpoint_log_size = cp_log,
                               .floor_view = nd->floor < view ? nd->floor : view,
                               .row_count = nd->rows,
                               .row = nd->row,
                               .block_count = nd->bodies,
                               .block = nd->body};
    nd->core = cn_consensus_new(&cfg, node_clock(s, i));
    nd->up = true;
    nd->pending_told = 0;
    nd->next_timer = 0;
    memset(nd->statement, 0, sizeof nd->statement);
    memset(nd->arrived, 0, sizeof nd->arrived);
    for (size_t k = 0; k < nd->bodies; k++) /* statements of durable bodies are at hand */
        for (size_t m = 0; m < nd->body[k].record_count; m++) {
            int number = statement_number(s, &nd->body[k].record[m]);
            if (number >= 0) {
                nd->statement[number] = !is_final(nd, &nd->body[k].record[m]);
                nd->arrived[number] = node_clock(s, i);
            }
        }
    tell_pending(s, i);
    step(s, i, &(cn_event){.kind = CN_EV_TICK});
    arm_timer(s, i);
}

static void crash(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    if (!nd->core)
        return;
    /* of what was not synced, a prefix may have reached the disk all the same */
    if (rng_chance(&s->r, 50) && nd->unsynced_n > 0) {
        uint64_t token = nd->unsynced[rng_below(&s->r, nd->unsynced_n)].token;
        sync_disk(s, i, token, false);
    }
    for (size_t k = 0; k < nd->unsynced_n; k++)
        if (nd->unsynced[k].has_body)
            free_block(&nd->unsynced[k].body);
    nd->unsynced_n = 0;
    for (size_t k = 0; k < nd->waiting_n; k++)
        free_block(&nd->waiting[k]);
    nd->waiting_n = 0;
    cn_consensus_free(nd->core);
    nd->core = NULL;
    nd->up = false;
    nd->life++;
}

/* ---- deliveries ---- */

static void add_statement(sim *s, unsigned i, unsigned number, bool forward)
{
    node *nd = &s->node[i];
    if (!nd->up || nd->arrived[number])
        return;
    nd->arrived[number] = node_clock(s, i);
    if (is_final(nd, &s->statement[number]))
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
        if (s->node[e->node].arrived[number] || is_final(&s->node[e->node], &d)) {
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
    for (uint64_t h = from; h <= nd->height && h < from + SYNC_BLOCKS; h++)
        if (nd->chain[h].cert)
            last = h;
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

/* R12: a run of blocks is proved by the finalization of its last one and the links between them. */
static bool check_sync(const sim *s, const node *nd, const cn_block *b, size_t count, const cn_certificate *cert)
{
    const cn_digest *parent = &nd->chain[nd->height].block.digest;
    unsigned signers = 0;
    for (size_t k = 0; k < count; k++) {
        cn_digest body = cn_body_digest(b[k].record, b[k].record_count);
        if (memcmp(b[k].header.parent.b, parent->b, 32) || memcmp(body.b, b[k].header.body.b, 32) ||
            b[k].header.height != nd->height + 1 + k)
            return false;
        parent = &b[k].digest;
    }
    if (cert->kind != CN_FINALIZE || memcmp(cert->block.b, parent->b, 32) || cert->n != s->n)
        return false;
    cn_digest d = cn_vote_digest(&s->network, cert->epoch, cert->kind, cert->view, &cert->block);
    for (unsigned i = 0; i < s->n; i++)
        if (cert->bitmap[i / 8] >> (i % 8) & 1)
            if (!sim_verify(i, &d, cert->signature[signers++].b))
                return false;
    return signers >= cn_quorum(s->n);
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
    bool ok = have == count && cn_certificate_read(&r, &cert, NULL) == CN_OK &&
              check_sync(s, nd, block, count, &cert) &&
              nd->unsynced_n == 0; /* a commit of its own is under way: ask again later */
    if (ok) {
        uint64_t cp_time = 0, cp_log = 0;
        for (size_t k = 0; k < count; k++) {
            oracle_final(s->oracle, e->node, block[k].header.height, &block[k].digest, &block[k].header.parent);
            disk_row d = {.is_final = true,
                          .has_body = true,
                          .body = copy_block(&block[k]),
                          .view = cert.view,
                          .has_cert = k + 1 == count,
                          .cert = cert,
                          .token = block[k].header.height};
            *unsynced(nd) = d;
            remember(s, &block[k]);
            for (size_t m = 0; m < block[k].record_count; m++) {
                int number = statement_number(s, &block[k].record[m]);
                if (number >= 0)
                    nd->statement[number] = false;
            }
        }
        sync_disk(s, e->node, NONE, true);
        for (size_t h = 0; h <= nd->height; h++)
            if (nd->chain[h].block.header.kind != CN_BLOCK_NORMAL) {
                cp_time = nd->chain[h].block.header.time_ms;
                cp_log = nd->chain[h].block.header.log_size;
            }
        cn_event ev = {.kind = CN_EV_SYNCED,
                       .block = nd->chain[nd->height].block,
                       .view = cert.view,
                       .final_certificate = &cert,
                       .checkpoint_time_ms = cp_time,
                       .checkpoint_log_size = cp_log};
        step(s, e->node, &ev);
        step(s, e->node, &(cn_event){.kind = CN_EV_DURABLE, .view = cert.view});
        tell_pending(s, e->node);
    }
    for (size_t k = 0; k < have; k++)
        free_block(&block[k]);
}

static void deliver(sim *s, const sim_event *e)
{
    node *nd = &s->node[e->node];
    cn_block block;
    if (!nd->up || nd->fault == SILENT)
        return;
    switch (e->wire) {
    case W_CONSENSUS:
        if (nd->fault == DOUBLE_VOTE && cn_message_kind_of(e->bytes, e->n) == CN_MSG_VOTE)
            double_vote(s, e->node, e->bytes, e->n);
        step(s, e->node, &(cn_event){.kind = CN_EV_MESSAGE, .from = e->from, .bytes = e->bytes, .n = e->n});
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

static void on_committed(sim *s, const sim_event *e)
{
    node *nd = &s->node[e->node];
    sync_disk(s, e->node, e->token, true);
    for (size_t m = 0; m < nd->chain[nd->height].block.record_count; m++) {
        int number = statement_number(s, &nd->chain[nd->height].block.record[m]);
        if (number >= 0 && nd->fault == HONEST)
            s->acknowledged[number] = true;
    }
    step(s, e->node, &(cn_event){.kind = CN_EV_DURABLE, .view = e->value});
    tell_pending(s, e->node);
}

static void handle(sim *s, const sim_event *e)
{
    node *nd = &s->node[e->node];
    bool stale = e->life != nd->life;
    switch (e->kind) {
    case E_DELIVER:
        deliver(s, e);
        break;
    case E_PERSISTED:
        if (!stale && nd->up) {
            sync_disk(s, e->node, e->token, false);
            step(s, e->node, &(cn_event){.kind = CN_EV_PERSISTED, .token = e->token});
        }
        break;
    case E_COMMITTED:
        if (!stale && nd->up)
            on_committed(s, e);
        break;
    case E_TIMER:
        if (!stale && nd->up) {
            nd->next_timer = 0;
            step(s, e->node, &(cn_event){.kind = CN_EV_TICK});
        }
        break;
    case E_SUBMIT:
        if (e->value >= s->submitted)
            s->submitted = (unsigned)e->value + 1;
        add_statement(s, e->node, (unsigned)e->value, true);
        break;
    case E_CRASH:
        crash(s, e->node);
        schedule(s, (sim_event){.at = s->now + 20 + rng_below(&s->r, 1500), .kind = E_RESTART, .node = e->node});
        break;
    case E_RESTART:
        if (!nd->core)
            start(s, e->node);
        break;
    case E_PARTITION:
        memset(s->cut, 0, sizeof s->cut);
        for (uint64_t k = rng_below(&s->r, s->n * 2); e->value && k > 0; k--)
            s->cut[rng_below(&s->r, s->n)][rng_below(&s->r, s->n)] = true;
        if (e->value && rng_chance(&s->r, 30)) { /* one node alone, both ways */
            unsigned alone = (unsigned)rng_below(&s->r, s->n);
            for (unsigned k = 0; k < s->n; k++)
                s->cut[alone][k] = s->cut[k][alone] = true;
        }
        break;
    }
    arm_timer(s, e->node);
}

/* ---- one run ---- */

static void set_up(sim *s)
{
    cn_header h = {.version = 1, .kind = CN_BLOCK_CLOSING, .time_ms = 1000000 - 1, .log_size = 2};
    h.body = cn_body_digest(NULL, 0);
    cn_block genesis = {.header = h, .digest = cn_header_digest(&h)};
    remember(s, &genesis);
    for (unsigned i = 0; i < s->n; i++) {
        node *nd = &s->node[i];
        nd->chain = calloc(1, sizeof *nd->chain);
        nd->chain[0].block = copy_block(&genesis);
        nd->skew = rng_below(&s->r, 300);
    }
    unsigned f = cn_max_faults(s->n);
    for (unsigned k = 0; k < f; k++)
        s->node[rng_below(&s->r, s->n)].fault = (fault_kind)rng_below(&s->r, FAULT_KINDS);
    for (unsigned i = 0; i < s->n; i++)
        start(s, i);
}

static void plan(sim *s)
{
    uint64_t length = 1500 + rng_below(&s->r, 2500);
    s->chaos_end = length;
    s->loss = rng_chance(&s->r, 60) ? (unsigned)rng_below(&s->r, 15) : 0;
    s->duplicate = (unsigned)rng_below(&s->r, 10);
    s->max_delay = 2 + rng_below(&s->r, rng_chance(&s->r, 30) ? 80 : 12);
    s->total = 8 + (unsigned)rng_below(&s->r, 40);
    for (unsigned k = 0; k < s->total; k++) {
        uint8_t name[16] = {0};
        cn_store_u64(name, s->opt.seed);
        cn_store_u64(name + 8, k);
        s->statement[k] = cn_sha256(name, sizeof name);
        schedule(s, (sim_event){.at = rng_below(&s->r, length),
                                .kind = E_SUBMIT,
                                .node = (unsigned)rng_below(&s->r, s->n),
                                .value = k});
    }
    for (uint64_t k = rng_below(&s->r, 6); k > 0; k--)
        schedule(
            s, (sim_event){.at = rng_below(&s->r, length), .kind = E_CRASH, .node = (unsigned)rng_below(&s->r, s->n)});
    if (rng_chance(&s->r, 15)) /* all at once */
        for (unsigned i = 0; i < s->n; i++)
            schedule(s, (sim_event){.at = length / 2, .kind = E_CRASH, .node = i});
    for (uint64_t k = rng_below(&s->r, 5); k > 0; k--)
        schedule(s, (sim_event){.at = rng_below(&s->r, length), .kind = E_PARTITION, .value = 1});
}

/* The network is whole again, everybody is up, clients offer again what is not final. */
static void heal(sim *s)
{
    s->loss = s->duplicate = 0;
    s->max_delay = 5;
    memset(s->cut, 0, sizeof s->cut);
    for (unsigned i = 0; i < s->n; i++)
        if (!s->node[i].core)
            start(s, i);
    for (unsigned k = 0; k < s->total; k++) {
        s->submitted = s->total;
        for (unsigned i = 0; i < s->n; i++)
            if (s->node[i].fault == HONEST)
                schedule(s, (sim_event){.at = s->now + 1, .kind = E_SUBMIT, .node = i, .value = k});
    }
}

static bool all_final(const sim *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (s->node[i].fault != HONEST)
            continue;
        for (unsigned k = 0; k < s->total; k++)
            if (!is_final(&s->node[i], &s->statement[k]))
                return false;
    }
    return true;
}

static void run_until(sim *s, uint64_t end, bool stop_when_final)
{
    uint64_t next_check = s->now + 200;
    while (s->heap_n > 0 && s->heap[0].at <= end && !oracle_violation(s->oracle)) {
        sim_event e = pop(s);
        s->now = e.at;
        s->events++;
        handle(s, &e);
        free(e.bytes);
        if (stop_when_final && s->now >= next_check) {
            next_check = s->now + 200;
            if (all_final(s))
                return;
        }
    }
    if (!oracle_violation(s->oracle) && s->now < end && !(stop_when_final && all_final(s)))
        s->now = end;
}

/* Where each node stands, for whoever replays a seed. */
static void dump_nodes(const sim *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        cn_consensus_info info;
        if (!s->node[i].core)
            continue;
        cn_consensus_info_get(s->node[i].core, &info);
        printf("node %u fault %d up %d: view %llu (final view %llu, height %llu), leader %u, votes N%x 0%x F%x, "
               "outstanding %llu, D %llu: %s\n",
               i, (int)s->node[i].fault, s->node[i].up, (unsigned long long)info.view,
               (unsigned long long)info.final_view, (unsigned long long)info.final_height, info.leader,
               info.notarize_votes, info.nullify_votes, info.finalize_votes, (unsigned long long)info.outstanding,
               (unsigned long long)info.delay_ms, cn_wait_text(info.waiting_for));
    }
}

static void check_end(sim *s)
{
    if (oracle_violation(s->oracle))
        return;
    if (!all_final(s)) {
        dump_nodes(s);
        oracle_fail(s->oracle, "liveness: %u s after the network healed a statement is still not final everywhere",
                    HEAL_LIMIT_MS / 1000);
        return;
    }
    for (unsigned i = 0; i < s->n; i++) {
        const node *nd = &s->node[i];
        for (size_t h = 0; nd->fault == HONEST && h <= nd->height; h++) {
            const cn_digest *expected = oracle_chain(s->oracle, h);
            if (h > 0 && (!expected || memcmp(expected->b, nd->chain[h].block.digest.b, 32)))
                oracle_fail(s->oracle, "node %u holds another block at height %zu than it reported", i, h);
            for (size_t m = 0; m < nd->chain[h].block.record_count; m++) {
                unsigned times = 0;
                for (size_t g = 0; g <= nd->height; g++)
                    for (size_t k = 0; k < nd->chain[g].block.record_count; k++)
                        times += memcmp(nd->chain[g].block.record[k].b, nd->chain[h].block.record[m].b, 32) == 0;
                if (times != 1)
                    oracle_fail(s->oracle, "node %u recorded a statement %u times", i, times);
            }
        }
    }
}

static void tear_down(sim *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        node *nd = &s->node[i];
        crash(s, i);
        for (size_t h = 0; h <= nd->height; h++) {
            free_block(&nd->chain[h].block);
            free(nd->chain[h].cert);
        }
        for (size_t k = 0; k < nd->bodies; k++)
            free_block(&nd->body[k]);
        free(nd->chain);
        free(nd->body);
        free(nd->row);
        free(nd->unsynced);
    }
    while (s->heap_n > 0)
        free(pop(s).bytes);
    for (size_t k = 0; k < s->executed_n; k++)
        free_block(&s->executed[k].block);
    free(s->executed);
    free(s->heap);
    oracle_free(s->oracle);
}

sim_result sim_run(const sim_options *options)
{
    sim *s = calloc(1, sizeof *s);
    sim_result result = {0};
    s->opt = *options;
    s->n = options->nodes;
    s->r.s = options->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < 8; i++)
        rng_next(&s->r);
    s->network = cn_sha256("simulated network", 17);
    s->oracle = oracle_new(s->n, &s->network);
    s->max_delay = 5;
    set_up(s);
    plan(s);
    run_until(s, s->chaos_end, false);
    heal(s);
    run_until(s, s->now + HEAL_LIMIT_MS, true);
    check_end(s);
    for (unsigned i = 0; i < s->n; i++) {
        cn_consensus_info info;
        if (s->node[i].height > result.final_height)
            result.final_height = s->node[i].height;
        if (s->node[i].core) {
            cn_consensus_info_get(s->node[i].core, &info);
            result.nullified += info.nullified_views;
        }
    }
    result.statements = s->total;
    result.events = s->events;
    if (oracle_violation(s->oracle)) {
        result.violated = true;
        snprintf(result.text, sizeof result.text, "%s", oracle_violation(s->oracle));
    }
    tear_down(s);
    free(s);
    return result;
}
