/* Genesis, opening, executing, building, making final. */
#include "node/ledger/internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- genesis ---- */

static void put_state(cn_overlay *o, const cn_genesis *g, cn_state_type type, const void *id, size_t id_len,
                      const uint8_t *value, size_t n)
{
    cn_state_key key = cn_state_key_of(g->subject_salt, type, id, id_len);
    cn_overlay_put(o, &key, value, n);
}

static void genesis_state(const cn_genesis *g, cn_overlay *o)
{
    uint8_t value[CN_STATE_VALUE_MAX], epoch[8];
    cn_state_set set = {.n = (uint8_t)g->set.n, .digest = g->set_digest};
    put_state(o, g, CN_STATE_PARAMETERS, "", 0, value, cn_state_parameters_encode(&g->parameters, value));
    cn_store_u64(epoch, 1);
    put_state(o, g, CN_STATE_SET, epoch, sizeof epoch, value, cn_state_set_encode(&set, value));
    for (size_t i = 0; i < g->member_count; i++) {
        const cn_genesis_member *m = &g->member[i];
        cn_state_member member = {.roles = m->roles, .is_registrar = m->registrar};
        memcpy(member.country, m->country, sizeof member.country);
        memcpy(member.name, m->name, sizeof member.name);
        memcpy(member.channel_key, m->channel_key, sizeof member.channel_key);
        put_state(o, g, CN_STATE_MEMBER, m->id.b, CN_DIGEST_LEN, value, cn_state_member_encode(&member, value));
        cn_state_device_key key = {
            .key = m->capture_key, .purpose = CN_PURPOSE_CAPTURE, .status = CN_KEY_ACTIVE, .owner = m->id};
        cn_digest id = cn_key_id(&m->capture_key);
        put_state(o, g, CN_STATE_KEY, id.b, CN_DIGEST_LEN, value, cn_state_key_encode(&key, value));
    }
}

/* Block 0 (ledger.md, Genesis): epoch 0, height 0, parent and set zeros, the next set is G's. */
static cn_header genesis_header(const cn_genesis *g, const cn_frontier *log, const cn_digest *state_root)
{
    return (cn_header){.version = CN_PROTOCOL_VERSION,
                       .kind = CN_BLOCK_CLOSING,
                       .time_ms = g->time_ms,
                       .log_size = 2,
                       .log_root = cn_frontier_root(log),
                       .state_root = *state_root,
                       .body = cn_body_digest(NULL, 0),
                       .next_set = g->set_digest};
}

static cn_map *map_of(const cn_overlay *o, cn_err *err)
{
    cn_map *empty = cn_map_empty(), *map = NULL;
    size_t count = HASH_COUNT(o->values), n = 0;
    cn_map_change *change = calloc(count, sizeof *change);
    CN_ASSERT(empty && change);
    for (const cn_value *v = o->values; v; v = v->hh.next)
        change[n++] = (cn_map_change){v->key, CN_SPAN(v->bytes, v->n)};
    (void)cn_map_apply(empty, change, count, &map, err);
    free(change);
    cn_map_unref(empty);
    return map;
}

cn_status cn_ledger_create(const cn_store_options *options, const void *genesis_bytes, size_t n, const cn_genesis *g,
                           cn_err *err)
{
    cn_overlay state = {0};
    cn_frontier log;
    cn_buf rows;
    cn_digest entry[2];
    cn_buf_init(&rows, CN_SET_ROW_LEN * CN_MAX_VALIDATORS);
    cn_validator_set_encode(&g->set, &rows);
    entry[0] = cn_sha256(genesis_bytes, n);
    entry[1] = cn_sha256(rows.p, rows.n);
    cn_frontier_init(&log);
    for (int i = 0; i < 2; i++) {
        cn_digest leaf = cn_leaf_hash(entry[i].b, CN_DIGEST_LEN);
        cn_frontier_append(&log, &leaf);
    }
    genesis_state(g, &state);
    cn_map *map = map_of(&state, err);
    cn_status st = map ? CN_OK : CN_NO_MEMORY;
    if (st == CN_OK) {
        cn_digest root = cn_map_root(map);
        cn_commit_block block = {.header = genesis_header(g, &log, &root), .map = map};
        block.digest = cn_header_digest(&block.header);
        st = cn_store_create(options, CN_SPAN(genesis_bytes, n), CN_SPAN(rows.p, rows.n), entry, &block, err);
    }
    cn_map_unref(map);
    cn_overlay_clear(&state);
    cn_buf_free(&rows);
    return st;
}

/* ---- executing ---- */

static bool checkpoint_due(const cn_ledger_block *parent, uint64_t time_ms)
{
    uint64_t interval = parent->ledger->genesis->parameters.checkpoint_interval_ms;
    return parent->header.log_size > parent->checkpoint_log_size &&
           time_ms / interval > parent->checkpoint_time_ms / interval;
}

/* The header of a child, but for roots and body. */
static cn_header child_header(const cn_ledger_block *parent, uint8_t kind, uint64_t time_ms)
{
    return (cn_header){.version = CN_PROTOCOL_VERSION,
                       .kind = kind,
                       .epoch = parent->members->epoch,
                       .height = parent->header.height + 1,
                       .time_ms = time_ms,
                       .parent = parent->digest,
                       .state_root = parent->header.state_root,
                       .set = parent->members->digest,
                       .next_set = parent->members->digest};
}

/* After its statements: roots, body digest, digest. */
static cn_status seal(cn_ledger_block *b, cn_err *err)
{
    cn_digest *records = calloc(b->count + 1, sizeof *records);
    CN_ASSERT(records);
    for (size_t i = 0; i < b->count; i++)
        records[i] = b->stmt[i]->s->record_digest;
    b->header.body = cn_body_digest(records, b->count);
    free(records);
    cn_status noted = cn_block_note_change(b, err);
    if (noted != CN_OK)
        return noted;
    b->header.log_size = b->log.size;
    b->header.log_root = cn_frontier_root(&b->log);
    if (b->header.kind != CN_BLOCK_NORMAL) {
        cn_status st = cn_block_make_map(b, &b->map, err);
        if (st != CN_OK)
            return st;
        b->header.state_root = cn_map_root(b->map);
        b->checkpoint_time_ms = b->header.time_ms;
        b->checkpoint_log_size = b->header.log_size;
    }
    b->digest = cn_header_digest(&b->header);
    return CN_OK;
}

static cn_status check_place(const cn_ledger_block *parent, const cn_header *h, size_t count, cn_err *err)
{
    bool closing = parent->closing_due;
    cn_header expected = child_header(parent,
                                      closing ? CN_BLOCK_CLOSING
                                      : count ? CN_BLOCK_NORMAL
                                              : CN_BLOCK_CHECKPOINT,
                                      h->time_ms);
    if (closing != (h->kind == CN_BLOCK_CLOSING) || (closing && count))
        return cn_fail(err, CN_INVALID, "header.kind",
                       "a ready change of the validators, and only that, is followed by a closing block without "
                       "statements (R11)");
    if (h->kind != expected.kind)
        return cn_fail(err, CN_INVALID, "header.kind",
                       "a block with statements is normal, one without is a checkpoint");
    if (h->time_ms <= parent->header.time_ms)
        return cn_fail(err, CN_INVALID, "header.time_ms", "is not after the parent's (R13)");
    if (count && checkpoint_due(parent, h->time_ms))
        return cn_fail(err, CN_INVALID, "header", "a checkpoint is due, so a block with statements is invalid");
    if (h->height != expected.height || h->epoch != expected.epoch || !cn_digest_eq(&h->parent, &expected.parent) ||
        !cn_digest_eq(&h->set, &expected.set) || (!closing && !cn_digest_eq(&h->next_set, &expected.next_set)))
        return cn_fail(err, CN_INVALID, "header", "height, epoch, parent or sets do not follow the parent");
    return CN_OK;
}

cn_status cn_ledger_execute(cn_ledger *l, cn_ledger_block *parent, const cn_header *header, cn_stmt *const *stmts,
                            size_t count, cn_ledger_block **ret, cn_err *err)
{
    cn_status st = check_place(parent, header, count, err);
    if (st != CN_OK)
        return st;
    cn_ledger_block *b = cn_block_child(l, parent);
    b->header = child_header(parent, header->kind, header->time_ms);
    if (header->kind == CN_BLOCK_CLOSING)
        st = cn_block_close_epoch(b, err);
    for (size_t i = 0; i < count && st == CN_OK; i++)
        st = cn_rules_apply(b, stmts[i], err);
    if (st == CN_OK && b->bytes > l->genesis->parameters.block_bytes)
        st = cn_fail(err, CN_INVALID, "block", "%zu bytes of statements, the limit is %u", b->bytes,
                     l->genesis->parameters.block_bytes);
    if (st == CN_OK)
        st = seal(b, err);
    if (st == CN_OK) {
        cn_digest digest = cn_header_digest(header);
        if (!cn_digest_eq(&digest, &b->digest))
            st = cn_fail(err, CN_INVALID, "header", "its roots are not those that its statements give");
    }
    if (st == CN_OK)
        *ret = b;
    else
        cn_ledger_block_unref(b);
    return st;
}

cn_status cn_ledger_build(cn_ledger *l, cn_ledger_block *parent, uint64_t time_ms, cn_stmt *(*next)(void *ctx),
                          void *ctx, const cn_build_limits *limits, cn_ledger_block **ret, cn_err *err)
{
    cn_ledger_block *b = cn_block_child(l, parent);
    bool closing = parent->closing_due;
    if (closing)
        next = NULL;
    b->header = child_header(parent,
                             closing ? CN_BLOCK_CLOSING
                             : next  ? CN_BLOCK_NORMAL
                                     : CN_BLOCK_CHECKPOINT,
                             time_ms);
    cn_status st = closing ? cn_block_close_epoch(b, err) : CN_OK;
    if (next && checkpoint_due(parent, time_ms))
        st = cn_fail(err, CN_NOT_FOUND, "block", "a checkpoint is due");
    size_t bytes =
        limits->max_bytes < l->genesis->parameters.block_bytes ? limits->max_bytes : l->genesis->parameters.block_bytes;
    for (cn_stmt *stmt; st == CN_OK && next && b->count < limits->max_statements && (stmt = next(ctx));) {
        if (b->bytes + stmt->s->whole.n > bytes)
            break;
        (void)cn_rules_apply(b, stmt, NULL); /* what does not execute now is left for later */
    }
    if (st == CN_OK)
        st = cn_ledger_sound(l, err);
    if (st == CN_OK && next && b->count == 0)
        st = cn_fail(err, CN_NOT_FOUND, "block", "no statement executes on this parent");
    if (st == CN_OK)
        st = seal(b, err);
    if (st == CN_OK)
        *ret = b;
    else
        cn_ledger_block_unref(b);
    return st;
}

/* ---- making final ---- */

static bool has_erased(const cn_statement *s)
{
    for (size_t i = 0; i < s->item_count; i++)
        if (cn_item_is_erased(s->item[i].p, s->item[i].n))
            return true;
    return false;
}

static void commit_statement(const cn_stmt *stmt, cn_commit_statement *out)
{
    const cn_statement *s = stmt->s;
    *out = (cn_commit_statement){
        .record = s->record,
        .items = CN_SPAN((const uint8_t *)s->whole.p + s->record.n, s->whole.n - s->record.n),
        .erased = has_erased(s),
        .record_digest = s->record_digest,
        .id = s->id,
        .key_id = s->body.key_id,
        .sequence = s->body.sequence,
    };
}

typedef struct commit_plan {
    cn_commit_block *block;
    cn_commit_statement **statement;
    cn_side_change **side;
    cn_buf *storage;
    size_t count;
} commit_plan;

static cn_status plan_block(commit_plan *plan, size_t i, cn_ledger_block *b, cn_err *err)
{
    plan->statement[i] = calloc(b->count + 1, sizeof **plan->statement);
    CN_ASSERT(plan->statement[i]);
    for (size_t k = 0; k < b->count; k++)
        commit_statement(b->stmt[k], &plan->statement[i][k]);
    cn_buf_init(&plan->storage[i], SIZE_MAX / 2);
    plan->block[i] = (cn_commit_block){.header = b->header,
                                       .digest = b->digest,
                                       .statement_count = b->count,
                                       .statement = plan->statement[i],
                                       .row_count = b->row_count,
                                       .row = b->row,
                                       .map = b->map,
                                       .set_rows = CN_SPAN(b->set_rows.p, b->set_rows.n)};
    if (!b->map)
        return CN_OK;
    cn_status st = cn_block_side(b, &plan->side[i], &plan->block[i].side_count, &plan->storage[i], err);
    plan->block[i].side = plan->side[i];
    return st;
}

static void plan_free(commit_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        free(plan->statement[i]);
        free(plan->side[i]);
        cn_buf_free(&plan->storage[i]);
    }
    free(plan->block);
    free(plan->statement);
    free(plan->side);
    free(plan->storage);
}

/* The block's changes move into the base; at a checkpoint the base is the map alone again. */
static cn_status advance(cn_ledger *l, cn_ledger_block *b, cn_map *map)
{
    if (map) {
        cn_map_unref(l->map);
        l->map = map;
        cn_overlay_clear(&l->base);
        cn_overlay_clear(&b->overlay);
    } else {
        cn_overlay_merge(&l->base, &b->overlay);
    }
    b->merged = true;
    cn_ledger_block *old = l->tip, *parent = b->parent;
    b->parent = NULL;
    l->tip = cn_ledger_block_ref(b);
    cn_ledger_block_unref(parent);
    cn_ledger_block_unref(old);
    return CN_OK;
}

static cn_status renew_snapshot(cn_ledger *l, cn_err *err)
{
    cn_snapshot_close(l->snap);
    l->snap = NULL;
    return cn_snapshot_open(l->store, &l->snap, err);
}

cn_status cn_ledger_finalize(cn_ledger *l, cn_ledger_block *const *blocks, size_t count, cn_span certificate,
                             cn_err *err)
{
    commit_plan plan = {.count = count,
                        .block = calloc(count, sizeof(cn_commit_block)),
                        .statement = calloc(count, sizeof(cn_commit_statement *)),
                        .side = calloc(count, sizeof(cn_side_change *)),
                        .storage = calloc(count, sizeof(cn_buf))};
    CN_ASSERT(plan.block && plan.statement && plan.side && plan.storage);
    cn_status st = cn_ledger_sound(l, err);
    for (size_t i = 0; i < count && st == CN_OK; i++)
        st = plan_block(&plan, i, blocks[i], err);
    if (st == CN_OK)
        plan.block[count - 1].certificate = certificate;
    if (st == CN_OK)
        st = cn_store_commit(l->store, plan.block, count, err);
    for (size_t i = 0; i < count && st == CN_OK; i++) {
        /* the committed version itself: what it holds in memory need not be read again */
        cn_map *map = blocks[i]->map ? cn_map_ref(blocks[i]->map) : NULL;
        st = advance(l, blocks[i], map);
    }
    plan_free(&plan);
    return st == CN_OK ? renew_snapshot(l, err) : st;
}

/* ---- opening ---- */

static cn_ledger_block *block_of_header(cn_ledger *l, const cn_header *header)
{
    cn_ledger_block *b = cn_block_child(l, NULL);
    b->header = *header;
    b->digest = cn_header_digest(header);
    b->merged = true;
    b->checkpoint_time_ms = header->time_ms;
    b->checkpoint_log_size = header->log_size;
    return b;
}

static cn_status load_statements(cn_ledger *l, uint64_t height, cn_stmt ***ret, size_t *ret_count, cn_err *err)
{
    uint64_t first = 0;
    uint32_t count = 0;
    cn_status st = cn_snapshot_block_statements(l->snap, height, &first, &count, err);
    cn_stmt **stmts = calloc((size_t)count + 1, sizeof *stmts);
    CN_ASSERT(stmts);
    for (uint32_t i = 0; i < count && st == CN_OK; i++) {
        cn_stored_statement stored;
        cn_statement *s = NULL;
        st = cn_snapshot_statement(l->snap, first + i, &stored, err);
        size_t n = st == CN_OK ? stored.record.n + stored.items.n : 0;
        uint8_t *whole = malloc(n + 1);
        CN_ASSERT(whole);
        if (st == CN_OK) {
            memcpy(whole, stored.record.p, stored.record.n);
            if (stored.items.n)
                memcpy(whole + stored.record.n, stored.items.p, stored.items.n);
            st = cn_statement_decode(whole, n, &s, err);
        }
        free(whole);
        stmts[i] = st == CN_OK ? cn_stmt_new(s) : NULL;
    }
    *ret = stmts;
    *ret_count = count;
    return st;
}

/* What was final and checked once is trusted to its hashes; execution must give the same header again. */
static cn_status execute_again(cn_ledger *l, uint64_t height, cn_err *err)
{
    cn_header header;
    cn_stmt **stmts = NULL;
    size_t count = 0;
    cn_ledger_block *b = NULL;
    cn_status st = cn_snapshot_header(l->snap, height, &header, err);
    if (st == CN_OK)
        st = load_statements(l, height, &stmts, &count, err);
    if (st == CN_OK)
        st = cn_ledger_execute(l, l->tip, &header, stmts, count, &b, err);
    if (st == CN_INVALID)
        st = cn_fail(err, CN_CORRUPT, "blocks", "block %llu does not execute again; run carnet fsck",
                     (unsigned long long)height);
    for (size_t i = 0; stmts && i < count; i++)
        cn_stmt_unref(stmts[i]);
    free(stmts);
    if (st != CN_OK)
        return st;
    st = advance(l, b, NULL);
    cn_ledger_block_unref(b);
    return st;
}

/* The set in force after a checkpoint: a closing block is followed by the next epoch. */
static cn_status load_members(cn_ledger *l, const cn_header *h, cn_err *err)
{
    uint64_t epoch = h->kind == CN_BLOCK_CLOSING ? h->epoch + 1 : h->epoch, closing = 0;
    cn_span rows;
    cn_validator_set *set = calloc(1, sizeof *set);
    CN_ASSERT(set);
    cn_status st = cn_snapshot_epoch(l->snap, epoch, &closing, &rows, err);
    if (st == CN_OK)
        st = cn_validator_set_decode(rows.p, rows.n, set, err);
    cn_digest digest = cn_validator_set_digest(set);
    if (st == CN_OK && cn_digest_eq(&digest, &h->next_set)) /* other blocks name the set in force there too */
        l->tip->members = cn_members_new(epoch, set);
    else
        st = cn_fail(err, CN_CORRUPT, "epochs", "the set of epoch %llu cannot be read; run carnet fsck",
                     (unsigned long long)epoch);
    free(set);
    return st;
}

static cn_status recover(cn_ledger *l, cn_err *err)
{
    cn_tip tip;
    cn_header header;
    cn_status st = cn_snapshot_tip(l->snap, &tip, err);
    if (st == CN_OK)
        st = cn_snapshot_header(l->snap, tip.checkpoint, &header, err);
    if (st != CN_OK)
        return st;
    l->tip = block_of_header(l, &header);
    st = load_members(l, &header, err);
    if (st == CN_OK)
        st = cn_block_note_change(l->tip, err);
    if (st != CN_OK)
        return st;
    st = cn_snapshot_log_frontier(l->snap, header.log_size, &l->tip->log, err);
    for (uint64_t h = tip.checkpoint + 1; h <= tip.height && st == CN_OK; h++)
        st = execute_again(l, h, err);
    return st;
}

cn_status cn_ledger_open(cn_store *store, const cn_genesis *g, cn_ledger **ret, cn_err *err)
{
    cn_ledger *l = calloc(1, sizeof *l);
    if (!l)
        return cn_fail(err, CN_NO_MEMORY, "ledger", "out of memory");
    l->store = store;
    l->genesis = g;
    cn_status st = renew_snapshot(l, err);
    if (st == CN_OK && !(l->map = cn_store_map(store, err)))
        st = CN_CORRUPT;
    if (st == CN_OK)
        st = recover(l, err);
    if (st == CN_OK)
        *ret = l;
    else
        cn_ledger_close(l);
    return st;
}

void cn_ledger_close(cn_ledger *l)
{
    if (!l)
        return;
    cn_ledger_block_unref(l->tip);
    cn_overlay_clear(&l->base);
    cn_map_unref(l->map);
    cn_snapshot_close(l->snap);
    free(l);
}

cn_ledger_block *cn_ledger_tip(cn_ledger *l)
{
    return l->tip;
}

bool cn_ledger_find(cn_ledger *l, const cn_digest *statement_id, uint64_t *ret_log_index)
{
    return cn_snapshot_find_id(l->snap, statement_id, ret_log_index, NULL) == CN_OK;
}

cn_status cn_ledger_try(cn_ledger *l, cn_stmt *stmt, cn_err *err)
{
    cn_ledger_block *b = cn_block_child(l, l->tip);
    b->header = child_header(l->tip, CN_BLOCK_NORMAL, l->tip->header.time_ms + 1);
    cn_status st = cn_rules_apply(b, stmt, err);
    cn_ledger_block_unref(b);
    return st;
}
