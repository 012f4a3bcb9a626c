/* From bytes to the pool. Decoding happens on the caller's thread, signatures on the workers, order and state on the
 * consensus thread. A group is admitted whole or not at all. */
#include "node/daemon/internal.h"

#include <stdlib.h>
#include <string.h>

#define OFFER_BYTES (2u * 1024u * 1024u)

/* ---- admissions ---- */

static cn_admission *admission_new(size_t count, int peer)
{
    cn_admission *a = calloc(1, sizeof *a);
    CN_ASSERT(a);
    a->stmt = calloc(count, sizeof *a->stmt);
    a->result = calloc(count, sizeof *a->result);
    CN_ASSERT(a->stmt && a->result);
    atomic_init(&a->refs, 1);
    a->peer = peer;
    a->task.kind = TASK_ADMIT;
    a->task.lane = (unsigned)(1 + peer); /* 0: the API */
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, &attr);
    pthread_condattr_destroy(&attr);
    return a;
}

void cn_admit_drop(cn_admission *a)
{
    if (atomic_fetch_sub(&a->refs, 1) > 1)
        return;
    for (size_t i = 0; i < a->count; i++)
        cn_stmt_unref(a->stmt[i]);
    free(a->stmt);
    free(a->result);
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->changed);
    free(a);
}

static void decide(cn_admission *a, cn_status status)
{
    pthread_mutex_lock(&a->lock);
    a->status = status;
    a->decided = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static void refuse(cn_admission *a, size_t i, const cn_err *err)
{
    a->result[i].phase = CN_PHASE_REFUSED;
    a->result[i].err = *err;
    a->err = *err;
}

/* ---- keys that signatures are checked with: a key id names its key for ever, so they may be kept ---- */

void cn_know_key(cn_node *node, const cn_public_key *key)
{
    cn_digest id = cn_key_id(key);
    cn_known_key *k = NULL;
    pthread_rwlock_wrlock(&node->key_lock);
    HASH_FIND(hh, node->known_keys, id.b, CN_DIGEST_LEN, k);
    if (!k) {
        k = calloc(1, sizeof *k);
        CN_ASSERT(k);
        k->id = id;
        k->key = *key;
        HASH_ADD(hh, node->known_keys, id.b, CN_DIGEST_LEN, k);
    }
    pthread_rwlock_unlock(&node->key_lock);
}

bool cn_lookup_key(cn_node *node, const cn_digest *id, cn_public_key *ret)
{
    cn_known_key *k = NULL;
    pthread_rwlock_rdlock(&node->key_lock);
    HASH_FIND(hh, node->known_keys, id->b, CN_DIGEST_LEN, k);
    if (k)
        *ret = k->key;
    pthread_rwlock_unlock(&node->key_lock);
    if (k)
        return true;
    cn_snapshot *snap = NULL;
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_device_key key;
    cn_state_key at = cn_state_key_of(node->genesis.subject_salt, CN_STATE_KEY, id->b, CN_DIGEST_LEN);
    bool found = cn_snapshot_open(node->store, &snap, NULL) == CN_OK &&
                 cn_snapshot_state(snap, &at, value, &n, NULL) == CN_OK && cn_state_key_decode(value, n, &key);
    cn_snapshot_close(snap);
    if (found) {
        *ret = key.key;
        cn_know_key(node, &key.key);
    }
    return found;
}

static cn_status check_statement(cn_node *node, cn_stmt *stmt, cn_err *err)
{
    cn_public_key key;
    const cn_statement *s = stmt->s;
    if (!cn_digest_eq(&s->body.network, &node->genesis.network))
        return cn_fail(err, CN_WRONG_NETWORK, "body.network", "the statement belongs to network %s, this is %s",
                       cn_digest_hex(&s->body.network).s, cn_digest_hex(&node->genesis.network).s);
    if (!cn_lookup_key(node, &s->body.key_id, &key))
        return cn_fail(err, CN_UNKNOWN_KEY, "body.key_id", "no member has registered key %s; register it first",
                       cn_digest_hex(&s->body.key_id).s);
    cn_status st = cn_statement_verify(s, &key, err);
    if (st == CN_OK)
        st = cn_statement_check_whole(s, err); /* all items: a vote for them needs them (ledger.md) */
    if (st == CN_OK)
        st = cn_stmt_check_foreign(stmt, err);
    if (st == CN_OK)
        atomic_store(&stmt->verified, true);
    return st;
}

static void check_admission(cn_node *node, cn_admission *a)
{
    cn_status st = CN_OK;
    for (size_t i = 0; i < a->count && st == CN_OK; i++) {
        cn_err err = {0};
        st = check_statement(node, a->stmt[i], &err);
        if (st != CN_OK)
            refuse(a, i, &err);
    }
    if (st != CN_OK) {
        atomic_fetch_add(&node->refused_statements, 1);
        decide(a, st);
        cn_admit_drop(a);
    } else if (!cn_queue_push(node->queue, &a->task)) {
        cn_fail(&a->err, CN_FULL, "queue", "the node is busy; try again later");
        decide(a, CN_FULL);
        cn_admit_drop(a);
    }
}

void cn_worker_run(cn_node *node, cn_task *task)
{
    uint64_t began_us = cn_monotonic_us();
    unsigned lane = task->lane;
    if (task->kind == TASK_RUN)
        cn_sync_work(node, task);
    else
        check_admission(node, (cn_admission *)task);
    cn_queue_charge(node->work, lane, cn_monotonic_us() - began_us);
}

void *cn_worker_thread(void *arg)
{
    cn_node *node = arg;
    for (cn_task *task; (task = cn_queue_pop(node->work, UINT64_MAX));)
        cn_worker_run(node, task);
    return NULL;
}

/* ---- from peers ---- */

static bool admit_one(cn_node *node, int peer, const uint8_t *p, size_t n)
{
    cn_statement *s = NULL;
    if (cn_statement_decode(p, n, &s, NULL) != CN_OK)
        return false;
    cn_admission *a = admission_new(1, peer);
    a->stmt[0] = cn_stmt_new(s);
    a->count = 1;
    CN_ASSERT(a->stmt[0]);
    a->task.bytes = cn_stmt_cost(a->stmt[0]) + sizeof *a;
    if (!cn_queue_push(node->work, &a->task))
        cn_admit_drop(a); /* counted by the queue; the block's proposer sends it again when asked */
    return true;
}

bool cn_admit_from_peer(cn_node *node, unsigned peer, const uint8_t *p, size_t n)
{
    return admit_one(node, (int)peer, p, n);
}

void cn_admit_own(cn_node *node, const uint8_t *p, size_t n)
{
    CN_ASSERT(admit_one(node, -1, p, n));
}

/* ---- from the API ---- */

static cn_status decode_all(cn_admission *a, const cn_span *statements, size_t count, cn_err *err)
{
    size_t bytes = sizeof *a;
    for (size_t i = 0; i < count; i++) {
        cn_statement *s = NULL;
        cn_err own = {0};
        cn_status st = cn_statement_decode(statements[i].p, statements[i].n, &s, &own);
        if (st != CN_OK) {
            a->result[i].phase = CN_PHASE_REFUSED;
            a->result[i].err = own;
            *err = own;
            return st;
        }
        a->stmt[i] = cn_stmt_new(s);
        CN_ASSERT(a->stmt[i]);
        a->count = i + 1;
        a->result[i].id = s->id;
        bytes += cn_stmt_cost(a->stmt[i]);
    }
    a->task.bytes = bytes;
    return CN_OK;
}

/* A node that stops does not wait for its clients' patience to end. */
static void wait_until(cn_node *node, cn_admission *a, bool for_final, uint64_t deadline_ms)
{
    while (!a->decided || (for_final && a->status == CN_OK && a->final_count < a->count))
        if (!cn_wait_a_while(node, &a->changed, &a->lock, deadline_ms))
            return;
}

cn_status cn_admit_submit(void *ctx, const cn_span *statements, size_t count, uint64_t wait_ms,
                          cn_submit_result *results, cn_err *err)
{
    cn_node *node = ctx;
    cn_admission *a = admission_new(count, -1);
    a->want_final = wait_ms > 0;
    cn_status st = decode_all(a, statements, count, err);
    if (st == CN_OK) {
        atomic_fetch_add(&a->refs, 1); /* the pipeline's */
        if (!cn_queue_push(node->work, &a->task)) {
            cn_admit_drop(a);
            st = cn_fail(err, CN_FULL, "queue", "the node is busy; try again later");
        } else {
            pthread_mutex_lock(&a->lock);
            wait_until(node, a, false, cn_monotonic_ms() + 10000);
            if (a->want_final)
                wait_until(node, a, true, cn_monotonic_ms() + wait_ms);
            st = a->decided ? a->status : CN_TIMEOUT;
            if (st != CN_OK)
                *err =
                    a->decided ? a->err : (cn_err){CN_TIMEOUT, "queue", "the node did not answer in time; try again"};
            memcpy(results, a->result, count * sizeof *results);
            pthread_mutex_unlock(&a->lock);
        }
    } else {
        memcpy(results, a->result, count * sizeof *results);
    }
    cn_admit_drop(a);
    return st;
}

/* ---- on the consensus thread ---- */

static void remember_refusal(cn_node *node, const cn_digest *id, const cn_err *err)
{
    cn_refusal *r = NULL;
    HASH_FIND(hh, node->refusals, id->b, CN_DIGEST_LEN, r);
    if (!r) {
        if (HASH_COUNT(node->refusals) >= MAX_REFUSALS) { /* the oldest: uthash keeps the order of insertion */
            cn_refusal *oldest = node->refusals;
            HASH_DEL(node->refusals, oldest);
            free(oldest);
        }
        r = calloc(1, sizeof *r);
        CN_ASSERT(r);
        r->id = *id;
        HASH_ADD(hh, node->refusals, id.b, CN_DIGEST_LEN, r);
    }
    r->err = *err;
}

static void forget_refusal(cn_node *node, const cn_digest *id)
{
    cn_refusal *r = NULL;
    HASH_FIND(hh, node->refusals, id->b, CN_DIGEST_LEN, r);
    if (r) {
        HASH_DEL(node->refusals, r);
        free(r);
    }
}

static bool fill_final(cn_node *node, const cn_digest *id, cn_submit_result *ret)
{
    cn_snapshot *snap = NULL;
    cn_stored_statement stored;
    cn_header header;
    uint64_t index = 0;
    bool ok = cn_snapshot_open(node->store, &snap, NULL) == CN_OK &&
              cn_snapshot_find_id(snap, id, &index, NULL) == CN_OK &&
              cn_snapshot_statement(snap, index, &stored, NULL) == CN_OK &&
              cn_snapshot_header(snap, stored.height, &header, NULL) == CN_OK;
    if (ok)
        *ret = (cn_submit_result){
            .id = *id, .phase = CN_PHASE_FINAL, .height = stored.height, .log_index = index, .time_ms = header.time_ms};
    cn_snapshot_close(snap);
    return ok;
}

static void add_waiter(cn_node *node, cn_admission *a, size_t i)
{
    cn_waiter *first = NULL, *w = calloc(1, sizeof *w);
    CN_ASSERT(w);
    w->id = a->result[i].id;
    w->admission = a;
    w->index = i;
    atomic_fetch_add(&a->refs, 1);
    HASH_FIND(hh, node->waiters, w->id.b, CN_DIGEST_LEN, first);
    if (first) {
        w->next = first->next;
        first->next = w;
    } else {
        HASH_ADD(hh, node->waiters, id.b, CN_DIGEST_LEN, w);
    }
}

static void broadcast_statement(cn_node *node, const cn_stmt *stmt)
{
    cn_peers_broadcast(node, CN_WIRE_STATEMENT, stmt->s->whole.p, stmt->s->whole.n, false);
}

typedef struct offering {
    cn_node *node;
    unsigned peer;
    size_t bytes;
} offering;

static bool offer_one(void *ctx, cn_stmt *stmt)
{
    offering *o = ctx;
    o->bytes += stmt->s->whole.n;
    return o->bytes <= OFFER_BYTES &&
           cn_links_send(o->node->links, o->peer, CN_WIRE_STATEMENT, stmt->s->whole.p, stmt->s->whole.n, false);
}

void cn_admit_offer(cn_node *node, unsigned peer)
{
    offering o = {.node = node, .peer = peer};
    cn_mempool_offer(node->pool, offer_one, &o);
}

void cn_admit_task(cn_node *node, cn_admission *a)
{
    uint64_t now = cn_steady_ms();
    cn_status st = CN_OK;
    size_t added = 0;
    bool *fresh = calloc(a->count, sizeof *fresh);
    CN_ASSERT(fresh);
    pthread_mutex_lock(&a->lock);
    for (; added < a->count && st == CN_OK; added++) {
        cn_submit_result *r = &a->result[added];
        bool final = false;
        cn_err err = {0};
        r->id = a->stmt[added]->s->id;
        st = cn_mempool_add(node->pool, node->ledger, a->stmt[added], now, &final, &err);
        fresh[added] = st == CN_OK;
        if (st == CN_OK || st == CN_DUPLICATE) {
            st = CN_OK;
            r->phase = final && fill_final(node, &r->id, r) ? CN_PHASE_FINAL : CN_PHASE_PENDING;
            forget_refusal(node, &r->id);
        } else {
            refuse(a, added, &err);
            if (a->peer < 0 && st != CN_FULL)
                remember_refusal(node, &r->id, &err);
        }
    }
    if (st != CN_OK) { /* together or not at all */
        atomic_fetch_add(&node->refused_statements, 1);
        for (size_t i = 0; i < added; i++)
            if (fresh[i])
                cn_mempool_remove(node->pool, &a->result[i].id);
    }
    for (size_t i = 0; i < a->count && st == CN_OK; i++) {
        if (fresh[i] && a->peer < 0)
            broadcast_statement(node, a->stmt[i]);
        if (a->result[i].phase == CN_PHASE_FINAL)
            a->final_count++;
        else if (a->want_final)
            add_waiter(node, a, i);
    }
    a->status = st;
    a->decided = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    free(fresh);
    cn_admit_drop(a);
}

static void answer_waiter(cn_waiter *w, const cn_submit_result *result)
{
    cn_admission *a = w->admission;
    pthread_mutex_lock(&a->lock);
    a->result[w->index] = *result;
    a->final_count++;
    if (result->phase == CN_PHASE_REFUSED) {
        a->status = result->err.code;
        a->err = result->err;
    }
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    cn_admit_drop(a);
    free(w);
}

static void answer_waiters(cn_node *node, const cn_submit_result *result)
{
    cn_waiter *w = NULL;
    HASH_FIND(hh, node->waiters, result->id.b, CN_DIGEST_LEN, w);
    if (w)
        HASH_DEL(node->waiters, w);
    while (w) {
        cn_waiter *next = w->next;
        answer_waiter(w, result);
        w = next;
    }
}

void cn_admit_dropped(void *ctx, const cn_stmt *stmt, const cn_err *why)
{
    cn_node *node = ctx;
    cn_submit_result result = {.id = stmt->s->id, .phase = CN_PHASE_REFUSED, .err = *why};
    atomic_fetch_add(&node->refused_statements, 1);
    remember_refusal(node, &stmt->s->id, why);
    answer_waiters(node, &result);
}

/* After the commit: who waits is answered, new keys are known to the workers. */
void cn_admit_final(cn_node *node, const cn_ledger_block *block)
{
    const cn_header *h = cn_ledger_block_header(block);
    uint64_t first = h->log_size - cn_ledger_block_count(block);
    for (size_t i = 0; i < cn_ledger_block_count(block); i++) {
        const cn_statement *s = cn_ledger_block_statement(block, i)->s;
        cn_submit_result result = {
            .id = s->id, .phase = CN_PHASE_FINAL, .height = h->height, .log_index = first + i, .time_ms = h->time_ms};
        answer_waiters(node, &result);
        if (s->body.kind == CN_PAYLOAD_REGISTRY &&
            (s->body.registry.op == CN_REG_KEY_REGISTER || s->body.registry.op == CN_REG_KEY_ROTATE ||
             s->body.registry.op == CN_REG_MEMBER_REGISTER))
            cn_know_key(node, &s->body.registry.new_key.key);
    }
}

void cn_admit_free(cn_node *node)
{
    cn_waiter *w, *next_waiter;
    HASH_ITER(hh, node->waiters, w, next_waiter)
    {
        HASH_DEL(node->waiters, w);
        while (w) {
            cn_waiter *next = w->next;
            cn_admit_drop(w->admission);
            free(w);
            w = next;
        }
    }
    cn_refusal *r, *next_refusal;
    HASH_ITER(hh, node->refusals, r, next_refusal)
    {
        HASH_DEL(node->refusals, r);
        free(r);
    }
    cn_known_key *k, *next_key;
    HASH_ITER(hh, node->known_keys, k, next_key)
    {
        HASH_DEL(node->known_keys, k);
        free(k);
    }
}

/* ---- questions of the API ---- */

typedef struct phase_question {
    const cn_digest *id;
    cn_statement_phase phase;
    cn_err reason;
} phase_question;

static void answer_phase(cn_node *node, void *arg)
{
    phase_question *q = arg;
    cn_refusal *r = NULL;
    uint64_t index;
    HASH_FIND(hh, node->refusals, q->id->b, CN_DIGEST_LEN, r);
    if (cn_mempool_by_id(node->pool, q->id))
        q->phase = CN_PHASE_PENDING;
    else if (cn_ledger_find(node->ledger, q->id, &index))
        q->phase = CN_PHASE_FINAL;
    else if (r) {
        q->phase = CN_PHASE_REFUSED;
        q->reason = r->err;
    }
}

cn_statement_phase cn_admit_phase(void *ctx, const cn_digest *id, cn_err *ret_reason)
{
    phase_question q = {.id = id, .phase = CN_PHASE_UNKNOWN};
    if (cn_node_call(ctx, answer_phase, &q, 2000))
        *ret_reason = q.reason;
    return q.phase;
}

typedef struct head_question {
    const cn_digest *key_id;
    cn_api_key_head head;
} head_question;

void cn_admit_head(cn_node *node, const cn_digest *key_id, cn_api_key_head *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->known = cn_ledger_key(node->ledger, NULL, key_id, &ret->key);
    if (!ret->known)
        return;
    ret->pending_sequence = ret->key.last_sequence;
    ret->pending_id = ret->key.last_id;
    const cn_stmt *newest = cn_mempool_key_head(node->pool, key_id);
    if (newest && newest->s->body.sequence > ret->pending_sequence) {
        ret->pending_sequence = newest->s->body.sequence;
        ret->pending_id = newest->s->id;
    }
}

static void answer_head(cn_node *node, void *arg)
{
    head_question *q = arg;
    cn_admit_head(node, q->key_id, &q->head);
}

cn_status cn_admit_key_head(void *ctx, const cn_digest *key_id, cn_api_key_head *ret)
{
    head_question q = {.key_id = key_id};
    if (!cn_node_call(ctx, answer_head, &q, 2000))
        return CN_TIMEOUT;
    *ret = q.head;
    return CN_OK;
}
