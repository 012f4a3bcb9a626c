/* R12: final blocks for a node that was away. A run of blocks is proved by the finalization of its last one and the
 * links between them; each is executed here before it counts.
 *
 * A run may hold thousands of statements. The workers decode it and check its certificate, its signatures and its
 * items; the consensus thread, which must go on answering, only executes. Each peer has one run under way at most. */
#include "node/daemon/internal.h"

#include <stdlib.h>
#include <string.h>

#define ASK_EVERY_MS 300u
#define POLL_EVERY_MS 2000u
#define REPLY_BYTES (CN_MAX_MESSAGE_BYTES - CN_MAX_BLOCK_BYTES / 2)
#define MAX_BLOCKS 256u
#define SHARE 32u /* statements that a worker takes at a time */

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
    if (!now && time < node->sync_asked_ms + ASK_EVERY_MS)
        return;
    uint8_t bytes[8];
    cn_store_u64(bytes, cn_ledger_block_header(cn_ledger_tip(node->ledger))->height);
    if (cn_peers_ask_one(node, &node->sync_peer, CN_WIRE_SYNC_REQUEST, bytes, sizeof bytes))
        node->sync_asked_ms = time;
}

/* Whatever was lost on the way to this node (a finalization, a request, its answer), it is not behind for long: a node
 * that hears of nothing new asks its peers in turn whether there is. */
void cn_sync_poll(cn_node *node, uint64_t now_ms)
{
    if (now_ms >= node->final_ms + POLL_EVERY_MS && now_ms >= node->sync_asked_ms + POLL_EVERY_MS)
        cn_sync_ask(node, true);
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
    cn_header header;
    cn_put_u32(out, 0);
    for (uint64_t h = from; h <= tip && count < MAX_BLOCKS; h++) {
        if (!put_block(snap, h, out) || (proved_count && out->n > REPLY_BYTES))
            break;
        count++;
        if (cn_snapshot_certificate(snap, h, &found, NULL) == CN_OK) {
            proved = out->n;
            proved_count = count;
            certificate = found;
            if (cn_snapshot_header(snap, h, &header, NULL) == CN_OK && header.kind == CN_BLOCK_CLOSING)
                break; /* the next block belongs to another epoch, and to another certificate (R11) */
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

/* ---- taking: on the workers ---- */

typedef struct new_key { /* registered by a statement of the run itself */
    cn_digest id;
    cn_public_key key;
    UT_hash_handle hh;
} new_key;

typedef struct run {
    unsigned peer;
    atomic_uint refs; /* the workers on it; the last one hands it on */
    atomic_size_t next;
    atomic_bool bad;
    bool stale; /* of an epoch that has ended here: asked for before */
    uint32_t count;
    cn_header *header;
    cn_digest *digest;
    cn_stmt ***stmt;
    uint32_t *stmt_count;
    size_t total;
    cn_stmt **all; /* of every block, in order */
    new_key *keys;
    cn_certificate certificate;
    cn_span certificate_bytes;
    size_t n;
    uint8_t bytes[];
} run;

typedef struct run_task {
    cn_task task; /* first */
    run *run;
    bool decoded;
} run_task;

static void run_free(run *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        for (uint32_t k = 0; r->stmt[i] && k < r->stmt_count[i]; k++)
            cn_stmt_unref(r->stmt[i][k]);
        free(r->stmt[i]);
    }
    new_key *k, *next;
    HASH_ITER(hh, r->keys, k, next)
    {
        HASH_DEL(r->keys, k);
        free(k);
    }
    free(r->header);
    free(r->digest);
    free(r->stmt);
    free(r->stmt_count);
    free(r->all);
    free(r);
}

static void run_unref(run *r)
{
    if (atomic_fetch_sub(&r->refs, 1) == 1)
        run_free(r);
}

static bool push_run(cn_node *node, cn_queue *queue, run *r, bool decoded)
{
    run_task *t = calloc(1, sizeof *t);
    CN_ASSERT(t);
    t->task = (cn_task){.kind = TASK_RUN, .bytes = sizeof *t + r->n, .lane = 1 + r->peer};
    t->run = r;
    t->decoded = decoded;
    /* one a peer, so that it need not count against what clients send */
    bool ok = queue == node->queue ? cn_queue_push_always(queue, &t->task) : cn_queue_push(queue, &t->task);
    if (!ok)
        free(t);
    return ok;
}

void cn_sync_receive(cn_node *node, unsigned peer, const uint8_t *p, size_t n)
{
    if (peer >= CN_LINK_SLOTS || atomic_exchange(&node->run_under_way[peer], true))
        return;
    run *r = calloc(1, sizeof *r + n);
    if (r) {
        r->peer = peer;
        r->n = n;
        atomic_init(&r->refs, 1);
        memcpy(r->bytes, p, n);
    }
    if (!r || !push_run(node, node->work, r, false)) {
        free(r);
        atomic_store(&node->run_under_way[peer], false);
    }
}

void cn_sync_drop_task(cn_task *task)
{
    run_unref(((run_task *)task)->run);
    free(task);
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

static void note_new_key(run *r, const cn_body *body)
{
    if (body->kind != CN_PAYLOAD_REGISTRY || !body->registry.new_key.key.type)
        return;
    new_key *k = NULL;
    cn_digest id = cn_key_id(&body->registry.new_key.key);
    HASH_FIND(hh, r->keys, id.b, CN_DIGEST_LEN, k);
    if (k)
        return;
    k = calloc(1, sizeof *k);
    CN_ASSERT(k);
    k->id = id;
    k->key = body->registry.new_key.key;
    HASH_ADD(hh, r->keys, id.b, CN_DIGEST_LEN, k);
}

static void gather(run *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        r->total += r->stmt_count[i];
    r->all = calloc(r->total + 1, sizeof(cn_stmt *));
    CN_ASSERT(r->all);
    size_t at = 0;
    for (uint32_t i = 0; i < r->count; i++)
        for (uint32_t k = 0; k < r->stmt_count[i]; k++) {
            r->all[at++] = r->stmt[i][k];
            note_new_key(r, &r->stmt[i][k]->s->body);
        }
}

/* By the set of the epoch that this node is in: a run never leads beyond one (R11). */
static bool proves_finality(cn_node *node, const cn_certificate *cert, bool *ret_stale)
{
    pthread_rwlock_rdlock(&node->voters_lock);
    *ret_stale = cert->epoch < node->voters.epoch;
    bool ok = cert->epoch == node->voters.epoch &&
              cn_certificate_verify(cert, &node->genesis.network, &node->voters.set, node->vote_keys, NULL) == CN_OK;
    pthread_rwlock_unlock(&node->voters_lock);
    return ok;
}

/* Blocks that follow one another, and a finalization of the last. */
static bool decode_run(cn_node *node, run *out)
{
    cn_reader r = cn_reader_of(out->bytes, out->n);
    uint32_t count = cn_read_u32(&r);
    if (count == 0 || count > MAX_BLOCKS)
        return false;
    out->header = calloc(count, sizeof *out->header);
    out->digest = calloc(count, sizeof *out->digest);
    out->stmt = calloc(count, sizeof *out->stmt);
    out->stmt_count = calloc(count, sizeof *out->stmt_count);
    CN_ASSERT(out->header && out->digest && out->stmt && out->stmt_count);
    for (uint32_t i = 0; i < count; i++) {
        out->count = i + 1;
        if (!read_block(&r, out, i) || (i + 1 < count && out->header[i].kind == CN_BLOCK_CLOSING) ||
            (i > 0 && (!cn_digest_eq(&out->header[i].parent, &out->digest[i - 1]) ||
                       out->header[i].height != out->header[i - 1].height + 1)))
            return false;
    }
    out->certificate_bytes = CN_SPAN(r.p, r.n);
    if (cn_certificate_read(&r, &out->certificate, NULL) != CN_OK || !cn_reader_done(&r) ||
        out->certificate.kind != CN_FINALIZE || !cn_digest_eq(&out->certificate.block, &out->digest[count - 1]) ||
        !proves_finality(node, &out->certificate, &out->stale))
        return false;
    gather(out);
    return true;
}

/* Items that are not those that were signed are the sender's doing: the digest of a record does not cover them. A
 * signature that does not hold is looked at again, with the state, where the blocks are applied. */
static void check_statement(cn_node *node, run *r, cn_stmt *stmt)
{
    const cn_statement *s = stmt->s;
    cn_public_key key;
    new_key *k = NULL;
    if (cn_statement_check_items(s, NULL) != CN_OK) {
        atomic_store(&r->bad, true);
        return;
    }
    HASH_FIND(hh, r->keys, s->body.key_id.b, CN_DIGEST_LEN, k);
    if (k)
        key = k->key;
    if ((k || cn_lookup_key(node, &s->body.key_id, &key)) && cn_statement_verify(s, &key, NULL) == CN_OK) {
        atomic_store(&stmt->verified, true);
        (void)cn_stmt_check_foreign(stmt, NULL); /* what does not hold is refused by the rules */
    }
}

static void check_statements(cn_node *node, run *r)
{
    size_t at;
    while (!atomic_load(&r->bad) && (at = atomic_fetch_add(&r->next, SHARE)) < r->total)
        for (size_t i = at; i < at + SHARE && i < r->total; i++)
            check_statement(node, r, r->all[i]);
    if (atomic_fetch_sub(&r->refs, 1) > 1)
        return;
    atomic_store(&r->refs, 1);
    if (!push_run(node, node->queue, r, true))
        run_free(r); /* the node stops */
}

static bool known_here(cn_node *node, const cn_header *last)
{
    pthread_mutex_lock(&node->final_lock);
    bool known = last->log_size < node->final_log_size;
    pthread_mutex_unlock(&node->final_lock);
    return known;
}

void cn_sync_work(cn_node *node, cn_task *task)
{
    run_task *t = (run_task *)task;
    run *r = t->run;
    bool decoded = t->decoded;
    free(t);
    if (!decoded) {
        if (!decode_run(node, r))
            atomic_store(&r->bad, true);
        else if (known_here(node, &r->header[r->count - 1]))
            r->total = 0; /* another peer was faster */
        for (unsigned i = 1; i < node->workers && r->total > SHARE; i++) {
            atomic_fetch_add(&r->refs, 1);
            if (!push_run(node, node->work, r, true))
                atomic_fetch_sub(&r->refs, 1);
        }
    }
    check_statements(node, r);
}

/* ---- taking: on the consensus thread ---- */

/* What is executed here already is taken as it is: blocks above it were executed on it, and read the state that its
 * commit leaves. */
static cn_status execute(cn_node *node, const run *r, uint32_t i, cn_ledger_block *parent, cn_ledger_block **ret,
                         cn_err *err)
{
    cn_ledger_block *own = cn_body_executed(node, &r->digest[i]);
    if (own) {
        *ret = cn_ledger_block_ref(own);
        return CN_OK;
    }
    if (!cn_verify_statements(node, parent, r->stmt[i], r->stmt_count[i], err))
        return CN_DIVERGED; /* a quorum made it final, so it is this node that is wrong */
    cn_status st = cn_ledger_execute(node->ledger, parent, &r->header[i], r->stmt[i], r->stmt_count[i], ret, err);
    return st == CN_INVALID ? CN_DIVERGED : st;
}

static cn_status apply(cn_node *node, const run *r, uint32_t first, cn_err *err)
{
    cn_ledger_block **blocks = calloc(r->count, sizeof *blocks);
    CN_ASSERT(blocks);
    cn_ledger_block *parent = cn_ledger_tip(node->ledger);
    cn_status st = CN_OK;
    uint32_t done = 0;
    if (!cn_digest_eq(&r->header[first].parent, cn_ledger_block_digest(parent)))
        st = cn_fail(err, CN_DIVERGED, "sync",
                     "a quorum's final block %llu does not follow this node's final block: the ledger has forked; "
                     "compare carnet fsck with another node",
                     (unsigned long long)r->header[first].height);
    for (uint32_t i = first; i < r->count && st == CN_OK; i++) {
        st = execute(node, r, i, parent, &blocks[done], err);
        if (st == CN_OK)
            parent = blocks[done++];
    }
    if (st == CN_OK)
        st = cn_ledger_finalize(node->ledger, blocks, done, r->certificate_bytes, err);
    if (st == CN_OK)
        cn_note_final(node, blocks, done);
    for (uint32_t i = 0; i < done; i++)
        cn_ledger_block_unref(blocks[i]);
    free(blocks);
    return st;
}

/* The first block that is new here; r->count: there is none, or some before it are missing. */
static uint32_t first_new(cn_node *node, const run *r)
{
    const cn_ledger_block *tip = cn_ledger_tip(node->ledger);
    uint64_t height = cn_ledger_block_header(tip)->height;
    if (r->header[0].height > height + 1 || r->header[0].height + r->count <= height + 1)
        return r->count;
    return (uint32_t)(height + 1 - r->header[0].height);
}

static void tell_core(cn_node *node, const run *r)
{
    const cn_ledger_block *tip = cn_ledger_tip(node->ledger);
    cn_event ev = {.kind = CN_EV_SYNCED, .view = r->certificate.view, .final_certificate = &r->certificate};
    ev.block.digest = *cn_ledger_block_digest(tip);
    ev.block.header = *cn_ledger_block_header(tip);
    cn_ledger_block_checkpoint(tip, &ev.checkpoint_time_ms, &ev.checkpoint_log_size);
    ev.closing_due = cn_ledger_block_closing_due(tip);
    cn_log(node, "info", "caught up to height %llu", (unsigned long long)ev.block.header.height);
    cn_core_step(node, &ev);
    cn_bodies_prune(node);
    cn_core_step(node, &(cn_event){.kind = CN_EV_DURABLE, .view = r->certificate.view});
    cn_epoch_note_final(node, cn_ledger_tip(node->ledger)); /* which may have moved on */
}

void cn_sync_take(cn_node *node, cn_task *task)
{
    run *r = ((run_task *)task)->run;
    cn_err err = {0};
    free(task);
    atomic_store(&node->run_under_way[r->peer], false);
    bool asked_for = cn_restore_waits(node);
    for (uint32_t i = 0; asked_for && i < r->count && r->stmt[i]; i++)
        cn_restore_offer(node, &r->header[i], r->stmt[i], r->stmt_count[i]);
    if (asked_for && r->stale) {
        run_unref(r); /* blocks of an epoch that has ended, which only the restorer asks for */
        return;
    }
    if (atomic_load(&r->bad)) {
        atomic_fetch_add(&node->bad_peer_bytes, 1);
        cn_log(node, "warning", "final blocks from %s are not what they should be; asking another peer",
               node->peer[r->peer].where.name);
        if (!r->stale)
            cn_peers_note_bad(node, r->peer);
        cn_sync_ask(node, false);
        run_unref(r);
        return;
    }
    uint32_t first = first_new(node, r);
    /* its signers were looked up by a worker: those of an epoch that has ended meanwhile decide nothing any more */
    if (first < r->count && r->certificate.epoch == node->voters.epoch) {
        cn_status st = apply(node, r, first, &err);
        if (st == CN_OK) {
            tell_core(node, r);
            cn_restore_note_sync(node, cn_monotonic_ms());
            cn_sync_ask(node, true); /* until a peer has nothing more */
        } else {
            cn_node_fail(node, st, &err);
        }
    }
    run_unref(r);
}
