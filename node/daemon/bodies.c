/* Blocks that are not final, with their statements: fetching what is missing, executing, building, keeping them in the
 * safety journal, making them final. */
#include "node/daemon/internal.h"

#include <stdlib.h>
#include <string.h>

#define ASK_AGAIN_MS 150u
#define RECORDS_REPLY_MAX (CN_MAX_MESSAGE_BYTES - 65536u)

static cn_open_body *find(cn_node *node, const cn_digest *digest)
{
    cn_open_body *b = NULL;
    HASH_FIND(hh, node->bodies, digest->b, CN_DIGEST_LEN, b);
    return b;
}

static cn_open_body *body_new(cn_node *node, const cn_block *block)
{
    cn_open_body *b = calloc(1, sizeof *b);
    CN_ASSERT(b);
    b->digest = block->digest;
    b->header = block->header;
    b->count = b->missing = block->record_count;
    b->record = calloc(b->count + 1, sizeof *b->record);
    b->stmt = calloc(b->count + 1, sizeof *b->stmt);
    CN_ASSERT(b->record && b->stmt);
    if (b->count)
        memcpy(b->record, block->record, b->count * sizeof *b->record);
    HASH_ADD(hh, node->bodies, digest.b, CN_DIGEST_LEN, b);
    return b;
}

static void mark(cn_node *node, cn_open_body *b, bool open)
{
    if (b->marked == open || !b->executed)
        return;
    b->marked = open;
    cn_mempool_mark(node->pool, b->executed, open ? 1 : -1);
}

void cn_bodies_mark(cn_node *node)
{
    cn_open_body *b, *next;
    HASH_ITER(hh, node->bodies, b, next)
    mark(node, b, cn_consensus_is_open(node->core, &b->digest));
}

static void body_free(cn_node *node, cn_open_body *b)
{
    HASH_DEL(node->bodies, b);
    for (size_t i = 0; i < b->count; i++)
        cn_stmt_unref(b->stmt[i]);
    mark(node, b, false);
    if (b->executed)
        cn_ledger_block_unref(b->executed);
    free(b->record);
    free(b->stmt);
    free(b);
}

/* On another branch than the final one: what it follows is neither the tip nor an executed block above it. A body that
 * nobody tried to execute may still find its parent. */
static bool off_branch(cn_node *node, const cn_open_body *b)
{
    if (!b->executed && !b->wanted)
        return false;
    if (cn_digest_eq(&b->header.parent, cn_ledger_block_digest(cn_ledger_tip(node->ledger))))
        return false;
    const cn_open_body *parent = find(node, &b->header.parent);
    return !parent || !parent->executed;
}

void cn_bodies_prune(cn_node *node)
{
    uint64_t height = cn_ledger_block_header(cn_ledger_tip(node->ledger))->height;
    cn_open_body *b, *next;
    for (bool changed = true; changed;) {
        changed = false;
        HASH_ITER(hh, node->bodies, b, next)
        {
            if (b->header.height > height && !off_branch(node, b))
                continue;
            if (node->safety)
                (void)cn_safety_drop_body(node->safety, &b->digest, NULL);
            body_free(node, b);
            changed = true;
        }
    }
}

cn_ledger_block *cn_body_executed(cn_node *node, const cn_digest *digest)
{
    const cn_open_body *b = find(node, digest);
    return b ? b->executed : NULL;
}

void cn_bodies_drop_all(cn_node *node)
{
    cn_open_body *b, *next;
    HASH_ITER(hh, node->bodies, b, next)
    {
        if (node->safety)
            (void)cn_safety_drop_body(node->safety, &b->digest, NULL);
        body_free(node, b);
    }
}

void cn_bodies_free(cn_node *node)
{
    cn_open_body *b, *next;
    HASH_ITER(hh, node->bodies, b, next)
    body_free(node, b);
}

/* ---- signatures of statements that did not come through the pool ---- */

/* The key may have been registered by a statement before it in the same block. */
static bool resolve_key(cn_node *node, const cn_ledger_block *parent, cn_stmt *const *stmts, size_t before,
                        const cn_digest *id, cn_public_key *ret)
{
    cn_state_device_key key;
    if (cn_ledger_key(node->ledger, parent, id, &key)) {
        *ret = key.key;
        return true;
    }
    for (size_t i = 0; i < before; i++) {
        const cn_body *body = &stmts[i]->s->body;
        if (body->kind != CN_PAYLOAD_REGISTRY)
            continue;
        cn_digest registered = cn_key_id(&body->registry.new_key.key);
        if (body->registry.new_key.key.type && cn_digest_eq(&registered, id)) {
            *ret = body->registry.new_key.key;
            return true;
        }
    }
    return false;
}

bool cn_verify_statements(cn_node *node, const cn_ledger_block *parent, cn_stmt *const *stmts, size_t count,
                          cn_err *err)
{
    for (size_t i = 0; i < count; i++) {
        cn_public_key key;
        if (atomic_load(&stmts[i]->verified))
            continue;
        if (!resolve_key(node, parent, stmts, i, &stmts[i]->s->body.key_id, &key)) {
            cn_fail(err, CN_UNKNOWN_KEY, "body.key_id", "statement %zu of the block is signed by an unknown key", i);
            return false;
        }
        if (cn_statement_verify(stmts[i]->s, &key, err) != CN_OK)
            return false;
        if (cn_statement_check_items(stmts[i]->s, err) != CN_OK)
            return false;
        atomic_store(&stmts[i]->verified, true);
    }
    return true;
}

/* ---- executing ---- */

static cn_ledger_block *executed_parent(cn_node *node, const cn_digest *digest)
{
    cn_ledger_block *tip = cn_ledger_tip(node->ledger);
    if (cn_digest_eq(cn_ledger_block_digest(tip), digest))
        return tip;
    const cn_open_body *b = find(node, digest);
    return b ? b->executed : NULL;
}

static void run(cn_node *node, cn_open_body *b)
{
    cn_ledger_block *parent = executed_parent(node, &b->header.parent);
    cn_err err = {0};
    b->wanted = false;
    cn_event ev = {.kind = CN_EV_EXECUTED};
    ev.block.digest = b->digest;
    if (!b->executed && !parent) /* another branch became final while its statements were fetched */
        return;
    if (b->executed) {
        ev.ok = true;
    } else if (cn_verify_statements(node, parent, b->stmt, b->count, &err)) {
        cn_err why = {0};
        /* a vote for a block needs all its items (ledger.md) */
        for (size_t i = 0; i < b->count && why.code == CN_OK; i++)
            (void)cn_statement_check_whole(b->stmt[i]->s, &why);
        if (why.code == CN_OK)
            ev.ok = cn_ledger_execute(node->ledger, parent, &b->header, b->stmt, b->count, &b->executed, &err) == CN_OK;
        else
            err = why;
        mark(node, b, true);
    }
    if (cn_ledger_sound(node->ledger, &err) != CN_OK) { /* this node's disk is no verdict on a block of others */
        cn_node_fail(node, CN_CORRUPT, &err);
        return;
    }
    ev.closing_due = ev.ok && cn_ledger_block_closing_due(b->executed);
    if (!ev.ok)
        cn_log(node, "warning", "block %llu %.16s does not execute: %s: %s", (unsigned long long)b->header.height,
               cn_digest_hex(&b->digest).s, err.field, err.text);
    cn_core_answer(node, &ev);
}

static void fill_from_pool(cn_node *node, cn_open_body *b)
{
    for (size_t i = 0; i < b->count; i++) {
        cn_stmt *stmt = b->stmt[i] ? NULL : cn_mempool_by_record(node->pool, &b->record[i]);
        if (stmt) {
            b->stmt[i] = cn_stmt_ref(stmt);
            b->missing--;
        }
    }
}

/* First the proposer, who must have them, then each peer in turn. */
static void ask(cn_node *node, cn_open_body *b)
{
    cn_buf out;
    cn_buf_init(&out, CN_MAX_BLOCK_STATEMENTS * CN_DIGEST_LEN);
    for (size_t i = 0; i < b->count; i++)
        if (!b->stmt[i])
            cn_put_digest(&out, &b->record[i]);
    b->asked_ms = cn_monotonic_ms();
    (void)cn_peers_ask_one(node, &b->asked_peer, CN_WIRE_FETCH_RECORDS, out.p, out.n);
    cn_buf_free(&out);
}

void cn_body_execute(cn_node *node, const cn_block *block)
{
    cn_open_body *b = find(node, &block->digest);
    if (!b)
        b = body_new(node, block);
    b->wanted = true;
    fill_from_pool(node, b);
    if (b->missing == 0) {
        run(node, b);
        return;
    }
    cn_consensus_info info;
    cn_consensus_info_get(node->core, &info);
    b->asked_peer = info.leader;
    ask(node, b);
}

void cn_body_ask_again(cn_node *node, uint64_t now_ms)
{
    cn_open_body *b, *next;
    HASH_ITER(hh, node->bodies, b, next)
    {
        if (!b->wanted || b->missing == 0 || now_ms < b->asked_ms + ASK_AGAIN_MS)
            continue;
        fill_from_pool(node, b);
        if (b->missing == 0)
            run(node, b);
        else
            ask(node, b);
    }
}

/* False: its items are not those that were signed. The record's digest does not cover them, so whoever answers could
 * change them, and a good block would not execute here. One whose items are erased is of no use either, but its sender
 * has done no wrong: the block is final there, and comes by catching up. */
static bool take_statement(cn_node *node, cn_stmt *stmt)
{
    cn_open_body *b, *next;
    bool whole = false;
    HASH_ITER(hh, node->bodies, b, next)
    {
        if (!b->wanted || b->missing == 0)
            continue;
        for (size_t i = 0; i < b->count; i++) {
            if (b->stmt[i] || !cn_digest_eq(&b->record[i], &stmt->s->record_digest))
                continue;
            if (!whole && cn_statement_check_whole(stmt->s, NULL) != CN_OK)
                return cn_statement_check_items(stmt->s, NULL) == CN_OK; /* then some are erased */
            whole = true;
            b->stmt[i] = cn_stmt_ref(stmt);
            b->missing--;
        }
        if (b->missing == 0)
            run(node, b);
    }
    return true;
}

void cn_body_on_records(cn_node *node, unsigned peer, const uint8_t *p, size_t n)
{
    cn_reader r = cn_reader_of(p, n);
    (void)peer;
    while (cn_reader_ok(&r) && r.n > 0) {
        size_t len = cn_read_u32(&r);
        const uint8_t *bytes = cn_read_view(&r, len);
        cn_statement *s = NULL;
        if (!bytes || cn_statement_decode(bytes, len, &s, NULL) != CN_OK) {
            cn_note_bad_bytes(node);
            return;
        }
        cn_stmt *stmt = cn_stmt_new(s);
        CN_ASSERT(stmt);
        if (!take_statement(node, stmt))
            cn_note_bad_bytes(node);
        cn_stmt_unref(stmt);
    }
}

/* ---- serving ---- */

static bool put_record(cn_node *node, cn_snapshot *snap, const cn_digest *record, cn_buf *out)
{
    const cn_stmt *stmt = cn_mempool_by_record(node->pool, record);
    cn_open_body *b, *next;
    HASH_ITER(hh, node->bodies, b, next)
    {
        for (size_t i = 0; !stmt && i < b->count; i++)
            if (b->stmt[i] && cn_digest_eq(&b->record[i], record))
                stmt = b->stmt[i];
    }
    if (stmt) {
        cn_put_u32(out, (uint32_t)stmt->s->whole.n);
        cn_put_bytes(out, stmt->s->whole.p, stmt->s->whole.n);
        return true;
    }
    uint64_t index = 0;
    cn_stored_statement stored;
    if (!snap || cn_snapshot_find_record(snap, record, &index, NULL) != CN_OK ||
        cn_snapshot_statement(snap, index, &stored, NULL) != CN_OK)
        return false;
    cn_put_u32(out, (uint32_t)(stored.record.n + stored.items.n));
    cn_put_bytes(out, stored.record.p, stored.record.n);
    cn_put_bytes(out, stored.items.p, stored.items.n);
    return true;
}

void cn_body_serve_records(cn_node *node, unsigned peer, const uint8_t *p, size_t n)
{
    cn_reader r = cn_reader_of(p, n);
    cn_snapshot *snap = NULL;
    cn_buf out;
    cn_buf_init(&out, CN_MAX_MESSAGE_BYTES);
    (void)cn_snapshot_open(node->store, &snap, NULL);
    while (r.n >= CN_DIGEST_LEN && out.n + CN_MAX_STATEMENT_BYTES + 4 < CN_MAX_MESSAGE_BYTES) {
        cn_digest record = cn_read_digest(&r);
        (void)put_record(node, snap, &record, &out);
    }
    if (out.n && !out.fault)
        (void)cn_links_send(node->links, peer, CN_WIRE_RECORDS, out.p, out.n, true);
    cn_snapshot_close(snap);
    cn_buf_free(&out);
}

static bool put_stored_block(cn_node *node, const cn_digest *digest, cn_buf *out)
{
    cn_snapshot *snap = NULL;
    uint64_t height = 0, first = 0;
    uint32_t count = 0;
    cn_header h;
    uint8_t bytes[CN_HEADER_LEN];
    bool ok = cn_snapshot_open(node->store, &snap, NULL) == CN_OK &&
              cn_snapshot_height_of_digest(snap, digest, &height, NULL) == CN_OK &&
              cn_snapshot_header(snap, height, &h, NULL) == CN_OK &&
              cn_snapshot_block_statements(snap, height, &first, &count, NULL) == CN_OK;
    if (ok) {
        cn_header_encode(&h, bytes);
        cn_put_bytes(out, bytes, sizeof bytes);
        cn_put_u32(out, count);
    }
    for (uint32_t i = 0; ok && i < count; i++) {
        cn_digest record;
        ok = cn_snapshot_log_entry(snap, first + i, &record, NULL) == CN_OK;
        cn_put_digest(out, &record);
    }
    cn_snapshot_close(snap);
    return ok;
}

void cn_body_serve_block(cn_node *node, unsigned peer, const uint8_t *p, size_t n)
{
    cn_digest digest;
    if (n != CN_DIGEST_LEN)
        return;
    memcpy(digest.b, p, CN_DIGEST_LEN);
    cn_buf out;
    cn_buf_init(&out, CN_MAX_MESSAGE_BYTES);
    const cn_open_body *b = find(node, &digest);
    bool ok = true;
    if (b) {
        uint8_t bytes[CN_HEADER_LEN];
        cn_header_encode(&b->header, bytes);
        cn_put_bytes(&out, bytes, sizeof bytes);
        cn_put_u32(&out, (uint32_t)b->count);
        cn_put_bytes(&out, b->record, b->count * CN_DIGEST_LEN);
    } else {
        ok = put_stored_block(node, &digest, &out);
    }
    if (ok && !out.fault)
        (void)cn_links_send(node->links, peer, CN_WIRE_BLOCK, out.p, out.n, true);
    cn_buf_free(&out);
}

void cn_body_on_block(cn_node *node, const uint8_t *p, size_t n)
{
    cn_reader r = cn_reader_of(p, n);
    const uint8_t *header = cn_read_view(&r, CN_HEADER_LEN);
    size_t count = cn_read_u32(&r);
    cn_event ev = {.kind = CN_EV_BLOCK};
    if (!header || count > CN_MAX_BLOCK_STATEMENTS || r.n != count * CN_DIGEST_LEN ||
        cn_header_decode(header, CN_HEADER_LEN, &ev.block.header, NULL) != CN_OK) {
        cn_note_bad_bytes(node);
        return;
    }
    cn_digest *record = calloc(count + 1, sizeof *record);
    CN_ASSERT(record);
    for (size_t i = 0; i < count; i++)
        record[i] = cn_read_digest(&r);
    ev.block.digest = cn_header_digest_bytes(header);
    ev.block.record_count = count;
    ev.block.record = record;
    cn_core_step(node, &ev);
    free(record);
}

/* ---- building ---- */

void cn_body_build(cn_node *node, const cn_action *action)
{
    cn_event ev = {.kind = CN_EV_BUILT, .view = action->view};
    cn_ledger_block *parent = executed_parent(node, &action->parent), *built = NULL;
    cn_mempool_cursor cursor;
    cn_build_limits limits = {CN_MAX_BLOCK_BYTES, CN_MAX_BLOCK_STATEMENTS};
    cn_err err = {0};
    cn_mempool_start(node->pool, &cursor);
    cn_status st =
        parent ? cn_ledger_build(node->ledger, parent, action->time_ms,
                                 action->want_statements ? cn_mempool_next : NULL, &cursor, &limits, &built, &err)
               : CN_NOT_FOUND;
    if (st == CN_OK) {
        size_t count = cn_ledger_block_count(built);
        cn_digest *record = calloc(count + 1, sizeof *record);
        CN_ASSERT(record);
        for (size_t i = 0; i < count; i++)
            record[i] = cn_ledger_block_statement(built, i)->s->record_digest;
        ev.ok = true;
        ev.block = (cn_block){.digest = *cn_ledger_block_digest(built),
                              .header = *cn_ledger_block_header(built),
                              .record_count = count,
                              .record = record};
        ev.closing_due = cn_ledger_block_closing_due(built);
        cn_open_body *b = find(node, &ev.block.digest);
        if (!b)
            b = body_new(node, &ev.block);
        for (size_t i = 0; i < count; i++)
            if (!b->stmt[i])
                b->stmt[i] = cn_stmt_ref(cn_ledger_block_statement(built, i));
        b->missing = 0;
        if (!b->executed) {
            b->executed = built;
            mark(node, b, true);
        } else {
            cn_ledger_block_unref(built);
        }
        cn_core_answer(node, &ev);
        free(record);
        return;
    }
    if (st != CN_NOT_FOUND)
        cn_log(node, "error", "cannot build a block: %s: %s", err.field, err.text);
    cn_core_answer(node, &ev);
}

/* ---- the journal ---- */

/* header | u32 count | (u32 length | SignedStatement)* */
bool cn_body_persist(cn_node *node, const cn_digest *block, cn_err *err)
{
    const cn_open_body *b = find(node, block);
    uint8_t header[CN_HEADER_LEN];
    if (!b || b->missing)
        return false;
    cn_buf out;
    cn_buf_init(&out, CN_MAX_BLOCK_BYTES + CN_MAX_BLOCK_STATEMENTS * 4 + 4096);
    cn_header_encode(&b->header, header);
    cn_put_bytes(&out, header, sizeof header);
    cn_put_u32(&out, (uint32_t)b->count);
    for (size_t i = 0; i < b->count; i++) {
        cn_put_u32(&out, (uint32_t)b->stmt[i]->s->whole.n);
        cn_put_bytes(&out, b->stmt[i]->s->whole.p, b->stmt[i]->s->whole.n);
    }
    cn_span part = CN_SPAN(out.p, out.n);
    bool ok = !out.fault && cn_safety_put_body(node->safety, block, &part, 1, err) == CN_OK;
    cn_buf_free(&out);
    return ok;
}

cn_status cn_body_restore(cn_node *node, const cn_safety_body *saved, cn_open_body **ret, cn_err *err)
{
    cn_reader r = cn_reader_of(saved->bytes.p, saved->bytes.n);
    cn_block block = {.digest = saved->block};
    const uint8_t *header = cn_read_view(&r, CN_HEADER_LEN);
    size_t count = cn_read_u32(&r);
    if (!header || count > CN_MAX_BLOCK_STATEMENTS ||
        cn_header_decode(header, CN_HEADER_LEN, &block.header, NULL) != CN_OK)
        return cn_fail(err, CN_CORRUPT, "safety", "a stored block does not decode");
    cn_digest *record = calloc(count + 1, sizeof *record);
    cn_stmt **stmt = calloc(count + 1, sizeof(cn_stmt *));
    CN_ASSERT(record && stmt);
    cn_status st = CN_OK;
    size_t have = 0;
    for (; have < count && st == CN_OK; have++) {
        size_t len = cn_read_u32(&r);
        const uint8_t *bytes = cn_read_view(&r, len);
        cn_statement *s = NULL;
        st = bytes ? cn_statement_decode(bytes, len, &s, err)
                   : cn_fail(err, CN_CORRUPT, "safety", "a stored block is short");
        if (st != CN_OK)
            break;
        stmt[have] = cn_stmt_new(s);
        CN_ASSERT(stmt[have]);
        record[have] = s->record_digest;
    }
    if (st == CN_OK) {
        block.record_count = count;
        block.record = record;
        cn_open_body *b = body_new(node, &block);
        memcpy(b->stmt, stmt, count * sizeof *stmt);
        b->missing = 0;
        *ret = b;
    } else {
        for (size_t i = 0; i < have; i++)
            cn_stmt_unref(stmt[i]);
    }
    free(record);
    free(stmt);
    return st;
}

/* ---- final ---- */

cn_status cn_body_finalize(cn_node *node, const cn_action *action, cn_err *err)
{
    cn_ledger_block **blocks = calloc(action->count, sizeof *blocks);
    CN_ASSERT(blocks);
    for (size_t i = 0; i < action->count; i++) {
        const cn_open_body *b = find(node, &action->blocks[i]->digest);
        CN_ASSERT(b && b->executed); /* the core makes only executed blocks final */
        blocks[i] = cn_ledger_block_ref(b->executed);
    }
    cn_status st = cn_ledger_finalize(node->ledger, blocks, action->count, CN_SPAN(action->bytes, action->n), err);
    if (st == CN_OK) {
        cn_note_final(node, blocks, action->count);
        cn_bodies_prune(node);
    }
    for (size_t i = 0; i < action->count; i++)
        cn_ledger_block_unref(blocks[i]);
    free(blocks);
    return st;
}
