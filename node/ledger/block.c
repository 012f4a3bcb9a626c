/* Overlays chained to their parents, and what a checkpoint makes of them. */
#include "node/ledger/internal.h"

#include <stdlib.h>
#include <string.h>

cn_ledger_block *cn_block_child(cn_ledger *l, cn_ledger_block *parent)
{
    cn_ledger_block *b = calloc(1, sizeof *b);
    CN_ASSERT(b);
    b->refs = 1;
    b->ledger = l;
    b->parent = parent ? cn_ledger_block_ref(parent) : NULL;
    cn_buf_init(&b->set_rows, CN_SET_ROW_LEN * CN_MAX_VALIDATORS);
    if (parent) {
        b->members = cn_members_ref(parent->members);
        b->log = parent->log;
        b->checkpoint_time_ms = parent->checkpoint_time_ms;
        b->checkpoint_log_size = parent->checkpoint_log_size;
    }
    return b;
}

cn_ledger_block *cn_ledger_block_ref(cn_ledger_block *b)
{
    b->refs++;
    return b;
}

void cn_ledger_block_unref(cn_ledger_block *b)
{
    while (b && --b->refs == 0) {
        cn_ledger_block *parent = b->parent;
        for (size_t i = 0; i < b->count; i++)
            cn_stmt_unref(b->stmt[i]);
        free(b->stmt);
        free(b->row);
        cn_overlay_clear(&b->overlay);
        cn_map_unref(b->map);
        cn_members_unref(b->members);
        cn_buf_free(&b->set_rows);
        free(b);
        b = parent;
    }
}

const cn_header *cn_ledger_block_header(const cn_ledger_block *b)
{
    return &b->header;
}

const cn_digest *cn_ledger_block_digest(const cn_ledger_block *b)
{
    return &b->digest;
}

size_t cn_ledger_block_count(const cn_ledger_block *b)
{
    return b->count;
}

cn_stmt *cn_ledger_block_statement(const cn_ledger_block *b, size_t i)
{
    return b->stmt[i];
}

const cn_ledger_block *cn_ledger_block_parent(const cn_ledger_block *b)
{
    return b->parent;
}

void cn_ledger_block_checkpoint(const cn_ledger_block *b, uint64_t *ret_time_ms, uint64_t *ret_log_size)
{
    *ret_time_ms = b->checkpoint_time_ms;
    *ret_log_size = b->checkpoint_log_size;
}

static void grow(void **array, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return;
    *cap = *cap ? 2 * *cap : 16;
    *array = realloc(*array, *cap * size);
    CN_ASSERT(*array);
}

void cn_block_add_statement(cn_ledger_block *b, cn_stmt *stmt)
{
    grow((void **)&b->stmt, &b->cap, b->count, sizeof(cn_stmt *));
    b->stmt[b->count++] = cn_stmt_ref(stmt);
    b->bytes += stmt->s->whole.n;
    cn_digest leaf = cn_leaf_hash(stmt->s->record_digest.b, CN_DIGEST_LEN);
    cn_frontier_append(&b->log, &leaf);
}

void cn_block_add_row(cn_ledger_block *b, const cn_subject_row *row)
{
    grow((void **)&b->row, &b->row_cap, b->row_count, sizeof *b->row);
    b->row[b->row_count++] = *row;
}

/* ---- reading ---- */

bool cn_block_get(const cn_ledger_block *b, const cn_state_key *key, uint8_t value[CN_STATE_VALUE_MAX], size_t *ret_len)
{
    const cn_ledger *l = b->ledger;
    const cn_value *v = NULL;
    for (const cn_ledger_block *at = b; at && !at->merged && !v; at = at->parent)
        v = cn_overlay_get(&at->overlay, key);
    if (!v)
        v = cn_overlay_get(&l->base, key);
    if (!v) {
        cn_status st = l->map ? cn_map_get(l->map, key, value, ret_len, NULL) : CN_NOT_FOUND;
        if (st != CN_OK && st != CN_NOT_FOUND)
            cn_ledger_fault(b->ledger, "a value of the state map");
        return st == CN_OK;
    }
    memcpy(value, v->bytes, v->n);
    *ret_len = v->n;
    return true;
}

cn_status cn_ledger_fault(cn_ledger *l, const char *what)
{
    if (l->fault.code == CN_OK)
        cn_fail(&l->fault, CN_CORRUPT, "state", "%s cannot be read; run carnet fsck", what);
    return CN_CORRUPT;
}

cn_status cn_ledger_sound(const cn_ledger *l, cn_err *err)
{
    if (l->fault.code != CN_OK && err)
        *err = l->fault;
    return l->fault.code;
}

static cn_status stored_subject(cn_ledger *l, const cn_digest *tag, cn_subject_state *ret)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_span side;
    cn_state_subject record;
    memset(ret, 0, sizeof *ret);
    ret->tag = *tag;
    cn_status st = l->snap ? cn_snapshot_side(l->snap, tag, &side, NULL) : CN_NOT_FOUND;
    if (st == CN_NOT_FOUND)
        return CN_OK; /* a new subject */
    if (st != CN_OK)
        return cn_ledger_fault(l, "the frontier of a subject");
    cn_reader r = cn_reader_of(side.p, side.n);
    cn_state_key key = cn_state_key_of(l->genesis->subject_salt, CN_STATE_SUBJECT, tag->b, CN_DIGEST_LEN);
    if (!cn_frontier_read(&r, &ret->frontier) || !cn_reader_done(&r) ||
        cn_snapshot_state(l->snap, &key, value, &n, NULL) != CN_OK || !cn_state_subject_decode(value, n, &record) ||
        record.count != ret->frontier.size)
        return cn_ledger_fault(l, "a subject, whose frontier and completeness record disagree,");
    ret->first_height = record.first_height;
    ret->last_height = record.last_height;
    ret->last_id = record.last_id;
    return CN_OK;
}

cn_status cn_block_subject(const cn_ledger_block *b, const cn_digest *tag, cn_subject_state *ret, cn_err *err)
{
    const cn_subject_state *s = NULL;
    for (const cn_ledger_block *at = b; at && !at->merged && !s; at = at->parent)
        s = cn_overlay_subject(&at->overlay, tag);
    if (!s)
        s = cn_overlay_subject(&b->ledger->base, tag);
    if (!s)
        return stored_subject(b->ledger, tag, ret) == CN_OK ? CN_OK : cn_ledger_sound(b->ledger, err);
    *ret = *s;
    return CN_OK;
}

/* ---- checkpoints ---- */

/* Everything that changed since the newest checkpoint in b's ancestry; *ret_map is that checkpoint's map. */
static void changes_since(const cn_ledger_block *b, cn_overlay *ret, cn_map **ret_map)
{
    size_t n = 0;
    const cn_ledger_block *at = b;
    *ret_map = b->ledger->map;
    for (; at && !at->merged && (at == b || !at->map); at = at->parent)
        n++; /* as many as a peer sends at once to a node that is behind */
    if (at && !at->merged)
        *ret_map = at->map;
    else
        cn_overlay_merge(ret, &b->ledger->base);
    const cn_ledger_block **chain = calloc(n + 1, sizeof *chain);
    CN_ASSERT(chain);
    at = b;
    for (size_t i = n; i > 0; i--, at = at->parent)
        chain[i - 1] = at;
    for (size_t i = 0; i < n; i++)
        cn_overlay_merge(ret, &chain[i]->overlay);
    free(chain);
}

cn_status cn_block_make_map(cn_ledger_block *b, cn_map **ret, cn_err *err)
{
    cn_overlay all = {0};
    cn_map *base = NULL;
    changes_since(b, &all, &base);
    for (const cn_subject_state *s = all.subjects; s; s = s->hh.next) {
        cn_state_subject record = {.count = s->frontier.size,
                                   .root = cn_frontier_root(&s->frontier),
                                   .first_height = s->first_height,
                                   .last_height = s->last_height,
                                   .last_id = s->last_id};
        uint8_t value[CN_STATE_SUBJECT_LEN];
        cn_state_key key = cn_state_key_of(b->ledger->genesis->subject_salt, CN_STATE_SUBJECT, s->tag.b, CN_DIGEST_LEN);
        cn_overlay_put(&all, &key, value, cn_state_subject_encode(&record, value));
    }
    size_t count = HASH_COUNT(all.values), n = 0;
    cn_map_change *change = calloc(count + 1, sizeof *change);
    CN_ASSERT(change);
    for (const cn_value *v = all.values; v; v = v->hh.next)
        change[n++] = (cn_map_change){v->key, CN_SPAN(v->bytes, v->n)};
    cn_status st = cn_map_apply(base, change, count, ret, err);
    free(change);
    cn_overlay_clear(&all);
    return st;
}

cn_status cn_block_side(const cn_ledger_block *b, cn_side_change **ret, size_t *ret_count, cn_buf *storage, cn_err *err)
{
    cn_overlay all = {0};
    cn_map *base = NULL;
    changes_since(b, &all, &base);
    size_t count = HASH_COUNT(all.subjects), n = 0;
    cn_side_change *side = calloc(count + 1, sizeof *side);
    size_t *offset = calloc(count + 1, sizeof *offset);
    CN_ASSERT(side && offset);
    for (const cn_subject_state *s = all.subjects; s; s = s->hh.next) {
        offset[n] = storage->n;
        side[n++].key = s->tag;
        cn_frontier_write(&s->frontier, storage);
    }
    for (size_t i = 0; i < n; i++)
        side[i].value = CN_SPAN(storage->p + offset[i], (i + 1 < n ? offset[i + 1] : storage->n) - offset[i]);
    free(offset);
    cn_overlay_clear(&all);
    if (storage->fault) {
        free(side);
        return cn_fail(err, CN_NO_MEMORY, "checkpoint", "out of memory");
    }
    *ret = side;
    *ret_count = n;
    return CN_OK;
}
