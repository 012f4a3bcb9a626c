/* The consensus thread: takes tasks from the queue, steps the core, runs its actions in order. */
#include "node/daemon/internal.h"

#include "proto/evidence.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOUSEKEEPING_MS 250u
#define EXPIRE_MS 60000u
#define ROUND_MS 20u /* then timers, however much waits */

void cn_log(const cn_node *node, const char *level, const char *format, ...)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    char text[1024], stamp[32];
    int wanted = 2, this_one = 2;
    for (int i = 0; i < 4; i++) {
        if (strcmp(node->config.log_level, levels[i]) == 0)
            wanted = i;
        if (strcmp(level, levels[i]) == 0)
            this_one = i;
    }
    if (this_one > wanted)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
    fprintf(stderr, "%s %s %s: %s\n", stamp, level, node->config.name, text);
}

void cn_node_fail(cn_node *node, cn_status status, const cn_err *err)
{
    if (node->stop_status == CN_OK) {
        node->stop_status = status;
        node->stop_err = *err;
        cn_log(node, "error", "stopping: %s: %s", err->field, err->text);
    }
    atomic_store(&node->stop, true);
}

/* ---- calls from other threads ---- */

#define LOOK_EVERY_MS 100u

bool cn_wait_a_while(const cn_node *node, pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ms)
{
    uint64_t now = cn_monotonic_ms(), at = now + LOOK_EVERY_MS;
    if (now >= deadline_ms || atomic_load(&node->stop))
        return false;
    if (at > deadline_ms)
        at = deadline_ms;
    struct timespec until = {.tv_sec = (time_t)(at / 1000), .tv_nsec = (long)(at % 1000) * 1000000L};
    (void)pthread_cond_timedwait(cond, lock, &until);
    return true;
}

static void call_drop(cn_call_task *call)
{
    if (atomic_fetch_sub(&call->refs, 1) > 1)
        return;
    pthread_mutex_destroy(&call->lock);
    pthread_cond_destroy(&call->changed);
    free(call);
}

bool cn_node_call(cn_node *node, void (*fn)(cn_node *, void *), void *arg, uint64_t timeout_ms)
{
    cn_call_task *call = calloc(1, sizeof *call);
    CN_ASSERT(call);
    call->task = (cn_task){.kind = TASK_CALL, .bytes = 1};
    call->fn = fn;
    call->arg = arg;
    atomic_init(&call->refs, 2);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&call->lock, NULL);
    pthread_cond_init(&call->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (!cn_queue_push_always(node->queue, &call->task)) {
        call_drop(call);
        call_drop(call);
        return false;
    }
    uint64_t deadline = cn_monotonic_ms() + timeout_ms;
    pthread_mutex_lock(&call->lock);
    while (!call->done && cn_wait_a_while(node, &call->changed, &call->lock, deadline))
        ;
    bool done = call->done;
    call->abandoned = !done; /* arg is the caller's: it must not be touched any more */
    pthread_mutex_unlock(&call->lock);
    call_drop(call);
    return done;
}

static void run_call(cn_node *node, cn_call_task *call)
{
    pthread_mutex_lock(&call->lock);
    if (!call->abandoned) {
        call->fn(node, call->arg);
        call->done = true;
        pthread_cond_signal(&call->changed);
    }
    pthread_mutex_unlock(&call->lock);
    call_drop(call);
}

/* ---- the core ---- */

void cn_core_answer(cn_node *node, const cn_event *ev)
{
    cn_local_event *e = calloc(1, sizeof *e);
    CN_ASSERT(e);
    e->ev = *ev;
    if (ev->block.record_count) {
        e->record = calloc(ev->block.record_count, sizeof *e->record);
        CN_ASSERT(e->record);
        memcpy(e->record, ev->block.record, ev->block.record_count * sizeof *e->record);
        e->ev.block.record = e->record;
    }
    if (node->events_tail)
        node->events_tail->next = e;
    else
        node->events = e;
    node->events_tail = e;
}

static void send_to(cn_node *node, const cn_action *a)
{
    if (a->to == CN_TO_ALL)
        cn_peers_broadcast(node, CN_WIRE_CONSENSUS, a->bytes, a->n, true);
    else
        (void)cn_peers_send(node, a->to, CN_WIRE_CONSENSUS, a->bytes, a->n, true);
}

/* Appends to the journal; the sync comes once for the whole list. The row comes last: a tail that is torn may lack the
 * row of a body or a notarization, never what a row relies on. */
static bool persist(cn_node *node, const cn_action *a, cn_err *err)
{
    if (a->store_body && !cn_body_persist(node, &a->block->digest, err))
        return false;
    if (a->n &&
        cn_safety_put_certificate(node->safety, a->row.epoch, a->row.view, CN_SPAN(a->bytes, a->n), err) != CN_OK)
        return false;
    if (a->has_row) {
        cn_safety_row row = {.epoch = a->row.epoch,
                             .view = a->row.view,
                             .notarized = a->row.notarized,
                             .nullified = a->row.nullified,
                             .finalized = a->row.finalized,
                             .block = a->row.block};
        if (cn_safety_put_row(node->safety, &row, err) != CN_OK)
            return false;
    }
    return true;
}

static void fetch_block(cn_node *node, const cn_digest *digest)
{
    for (int i = 0; i < 2; i++)
        (void)cn_peers_ask_one(node, &node->fetch_peer, CN_WIRE_FETCH_BLOCK, digest->b, CN_DIGEST_LEN);
}

void cn_note_final(cn_node *node, cn_ledger_block *const *blocks, size_t count)
{
    uint64_t checkpoint_time = 0, checkpoint_log = 0;
    cn_mempool_final(node->pool, node->ledger, blocks, count);
    for (size_t i = 0; i < count; i++) {
        cn_admit_final(node, blocks[i]);
        cn_peers_note_final(node, blocks[i]);
        atomic_fetch_add(&node->statements_final, cn_ledger_block_count(blocks[i]));
    }
    atomic_fetch_add(&node->blocks_final, count);
    node->final_ms = cn_monotonic_ms();
    cn_endorse_note_final(node, blocks, count);
    const cn_ledger_block *tip = cn_ledger_tip(node->ledger);
    cn_ledger_block_checkpoint(tip, &checkpoint_time, &checkpoint_log);
    pthread_mutex_lock(&node->final_lock);
    node->final_log_size = cn_ledger_block_header(tip)->log_size;
    node->checkpoint_log_size = checkpoint_log;
    pthread_cond_broadcast(&node->final_moved);
    pthread_mutex_unlock(&node->final_lock);
}

static void make_final(cn_node *node, const cn_action *a)
{
    cn_err err = {0};
    cn_status st = cn_body_finalize(node, a, &err);
    if (st != CN_OK) {
        cn_node_fail(node, st, &err);
        return;
    }
    cn_core_answer(node, &(cn_event){.kind = CN_EV_DURABLE, .view = a->view});
    cn_epoch_note_final(node, cn_ledger_tip(node->ledger));
}

/* R10: kept, counted, said once. */
static void report_evidence(cn_node *node, const cn_action *a)
{
    cn_err err = {0};
    cn_evidence proof;
    bool fresh = false;
    cn_status st = cn_evidence_decode(a->bytes, a->n, &proof, &err);
    if (st == CN_OK)
        st = cn_store_put_evidence(node->store, CN_SPAN(a->bytes, a->n), &fresh, &err);
    if (st != CN_OK && st != CN_FULL) { /* a disk that refuses this refuses the next block too */
        cn_node_fail(node, st, &err);
        return;
    }
    if (st == CN_FULL)
        cn_log(node, "error", "evidence against %s cannot be kept: %s", node->voters.name[a->to], err.text);
    if (!fresh)
        return;
    atomic_fetch_add(&node->evidence_total, 1);
    cn_log(node, "error", "EVIDENCE: %s %s in view %llu of epoch %llu; carnet evidence exports the proof",
           node->voters.name[a->to], cn_evidence_text(&proof), (unsigned long long)proof.view,
           (unsigned long long)proof.epoch);
}

static void run_action(cn_node *node, const cn_action *a, uint64_t *sync_token)
{
    cn_err err = {0};
    switch (a->kind) {
    case CN_ACT_PERSIST:
        if (persist(node, a, &err))
            *sync_token = a->token;
        else
            cn_node_fail(node, CN_IO, &err);
        break;
    case CN_ACT_SEND:
        send_to(node, a);
        break;
    case CN_ACT_BUILD:
        cn_body_build(node, a);
        break;
    case CN_ACT_EXECUTE:
        cn_body_execute(node, a->block);
        break;
    case CN_ACT_FETCH:
        fetch_block(node, &a->parent);
        break;
    case CN_ACT_FINAL:
        make_final(node, a);
        break;
    case CN_ACT_FLOOR:
        if (node->safety && cn_safety_raise_floor(node->safety, node->voters.epoch, a->view, &err) != CN_OK)
            cn_node_fail(node, CN_IO, &err);
        break;
    case CN_ACT_SYNC:
        cn_sync_ask(node, false);
        break;
    case CN_ACT_EVIDENCE:
        report_evidence(node, a);
        break;
    case CN_ACT_STOP:
        cn_fail(&err, CN_DIVERGED, "consensus", "%s", a->reason);
        cn_node_fail(node, CN_DIVERGED, &err);
        break;
    }
}

static void step_once(cn_node *node, const cn_event *ev)
{
    cn_actions actions = {0};
    uint64_t token = 0;
    cn_err err = {0};
    cn_consensus_set_wall(node->core, (int64_t)(cn_wall_ms() - cn_steady_ms()));
    cn_consensus_step(node->core, cn_steady_ms(), ev, &actions);
    for (size_t i = 0; i < actions.n && !atomic_load(&node->stop); i++)
        run_action(node, &actions.v[i], &token);
    cn_actions_free(&actions);
    if (!token || atomic_load(&node->stop))
        return;
    if (cn_safety_sync(node->safety, &err) == CN_OK) /* durable before any signature leaves (R5) */
        cn_core_answer(node, &(cn_event){.kind = CN_EV_PERSISTED, .token = token});
    else
        cn_node_fail(node, CN_IO, &err);
}

void cn_core_step(cn_node *node, const cn_event *ev)
{
    if (node->in_events) { /* called from within an action: later, in order */
        cn_core_answer(node, ev);
        return;
    }
    node->in_events = true;
    step_once(node, ev);
    while (node->events && !atomic_load(&node->stop)) {
        cn_local_event *e = node->events;
        node->events = e->next;
        if (!node->events)
            node->events_tail = NULL;
        step_once(node, &e->ev);
        free(e->record);
        free(e);
    }
    node->in_events = false;
}

void cn_tell_pending(cn_node *node)
{
    cn_bodies_mark(node);
    uint64_t oldest = cn_mempool_oldest(node->pool);
    size_t count = cn_mempool_count(node->pool); /* a new one may execute where the oldest does not */
    if (oldest == node->pending_told && count == node->pending_count)
        return;
    node->pending_told = oldest;
    node->pending_count = count;
    cn_core_step(node, &(cn_event){.kind = CN_EV_PENDING, .oldest_ms = oldest});
}

/* ---- tasks ---- */

/* On the consensus thread: link threads count what they refuse by themselves, and must not be mixed up with it. */
void cn_note_bad_bytes(cn_node *node)
{
    node->bad_bytes_here++;
    atomic_fetch_add(&node->bad_peer_bytes, 1);
}

static void handle(cn_node *node, const cn_message_task *m)
{
    switch (m->type) {
    case CN_WIRE_CONSENSUS:
        cn_core_step(
            node,
            &(cn_event){.kind = CN_EV_MESSAGE, .from = cn_peers_number(node, m->peer), .bytes = m->bytes, .n = m->n});
        break;
    case CN_WIRE_FETCH_RECORDS:
        cn_body_serve_records(node, m->peer, m->bytes, m->n);
        break;
    case CN_WIRE_RECORDS:
        node->in_events = true; /* answers are queued, then given below */
        cn_body_on_records(node, m->peer, m->bytes, m->n);
        node->in_events = false;
        cn_core_step(node, &(cn_event){.kind = CN_EV_TICK});
        break;
    case CN_WIRE_FETCH_BLOCK:
        cn_body_serve_block(node, m->peer, m->bytes, m->n);
        break;
    case CN_WIRE_BLOCK:
        cn_body_on_block(node, m->bytes, m->n);
        break;
    case CN_WIRE_SYNC_REQUEST:
        cn_sync_serve(node, m->peer, m->bytes, m->n);
        break;
    case CN_WIRE_SIGNATURES:
        if (!cn_endorse_receive(node, m->peer, m->bytes, m->n))
            cn_note_bad_bytes(node);
        break;
    case CN_WIRE_WAY:
        cn_way_take(node, m->bytes, m->n);
        break;
    default:
        cn_note_bad_bytes(node);
        break;
    }
}

static void on_message(cn_node *node, const cn_message_task *m)
{
    uint64_t core = cn_consensus_bad_messages(node->core), bytes = node->bad_bytes_here;
    handle(node, m);
    if (cn_consensus_bad_messages(node->core) != core || node->bad_bytes_here != bytes)
        cn_peers_note_bad(node, m->peer);
}

static void run_task(cn_node *node, cn_task *task)
{
    switch ((cn_task_kind)task->kind) {
    case TASK_ADMIT:
        cn_admit_task(node, (cn_admission *)task);
        break;
    case TASK_MESSAGE:
        on_message(node, (cn_message_task *)task);
        free(task);
        break;
    case TASK_LINK: {
        const cn_message_task *m = (cn_message_task *)task;
        cn_log(node, "info", "link to %s is %s", node->peer[m->peer].where.name, m->up ? "up" : "down");
        if (m->up) {
            cn_admit_offer(node, m->peer);
            cn_endorse_offer(node, m->peer);
            cn_sync_ask_peer(node, m->peer);
        }
        free(task);
        break;
    }
    case TASK_CALL:
        run_call(node, (cn_call_task *)task);
        break;
    case TASK_RUN:
        cn_sync_take(node, task);
        break;
    }
}

static uint64_t slowest_round_trip_ms(cn_node *node)
{
    uint64_t slowest = 0;
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++) {
        cn_link_info info;
        if (!node->peer[i].set || node->peer[i].index < 0)
            continue;
        cn_links_info(node->links, i, &info);
        if (info.up && info.rtt_us > slowest)
            slowest = info.rtt_us;
    }
    return slowest * 2 / 1000; /* the smoothed value doubled stands for the 99th percentile */
}

/* R7: what waits longer than it should is offered again to each new leader, which may never have heard of it. */
static void offer_again(cn_node *node)
{
    cn_consensus_info info;
    cn_consensus_info_get(node->core, &info);
    uint64_t oldest = cn_mempool_oldest(node->pool);
    if (info.view == node->offered_view || oldest == UINT64_MAX ||
        cn_steady_ms() < oldest + 2 * node->config.forward_ms)
        return;
    node->offered_view = info.view;
    int slot = cn_peers_slot_of(node, info.leader);
    if (slot >= 0)
        cn_admit_offer(node, (unsigned)slot);
}

static void keep_house(cn_node *node)
{
    uint64_t now = cn_monotonic_ms();
    if (now < node->housekept_ms + HOUSEKEEPING_MS)
        return;
    node->housekept_ms = now;
    cn_mempool_expire(node->pool, cn_steady_ms(), EXPIRE_MS);
    node->in_events = true;
    cn_body_ask_again(node, now);
    node->in_events = false;
    cn_sync_poll(node, now);
    cn_endorse_poll(node, now);
    cn_purge_poll(node, now);
    cn_restore_poll(node, now);
    cn_core_step(node, &(cn_event){.kind = CN_EV_RTT, .rtt_ms = slowest_round_trip_ms(node)});
}

uint64_t cn_node_next_wake(cn_node *node)
{
    uint64_t steady = cn_steady_ms(), now = cn_monotonic_ms(), at = now + HOUSEKEEPING_MS;
    uint64_t deadline = cn_consensus_deadline(node->core);
    if (deadline != UINT64_MAX) {
        uint64_t in = deadline > steady ? deadline - steady : 0;
        at = now + in < at ? now + in : at;
    }
    return at;
}

void cn_node_turn(cn_node *node, cn_task *first)
{
    uint64_t end = cn_monotonic_ms() + ROUND_MS;
    for (cn_task *task = first; task;) {
        uint64_t began_us = cn_monotonic_us();
        unsigned lane = task->lane;
        run_task(node, task);
        cn_epoch_follow(node);
        cn_queue_charge(node->queue, lane, cn_monotonic_us() - began_us);
        bool more = began_us / 1000 < end && !atomic_load(&node->stop);
        task = more ? cn_queue_pop(node->queue, 0) : NULL; /* what is taken is run */
    }
    if (atomic_load(&node->stop))
        return;
    keep_house(node);
    cn_tell_pending(node);
    offer_again(node);
    if (cn_steady_ms() >= cn_consensus_deadline(node->core))
        cn_core_step(node, &(cn_event){.kind = CN_EV_TICK});
    cn_epoch_follow(node); /* its end may come without a message, by a timer */
}

void *cn_node_thread(void *arg)
{
    cn_node *node = arg;
    cn_core_step(node, &(cn_event){.kind = CN_EV_TICK});
    while (!atomic_load(&node->stop))
        cn_node_turn(node, cn_queue_pop(node->queue, cn_node_next_wake(node)));
    cn_queue_close(node->queue);
    return NULL;
}
