/* Items that came without content though nobody ordered them erased. A node that catches up takes leaf hashes for
 * erased items as they come, since the order lies later in the log than the batch; a peer that lies about it would
 * leave this node without content for ever. So once orders are known, each batch that came so is held against them, and
 * what they do not explain is asked of the other peers, block by block, until one of them has it.
 *
 * Nothing is believed: a statement is taken for the one here by its record, byte for byte, and its items by their
 * signed root. Which batches have not been held against the orders is marked in the store and survives a restart. */
#include "node/daemon/internal.h"

#include "node/api/erasures.h"
#include "node/api/view.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_MS 2000u
#define ASK_MS 2000u
#define ASK_MAX_MS 600000u
#define MISSING_MAX 4096u /* batches looked after at once; the others follow */

typedef struct batch {
    uint64_t log_index, height;
} batch;

typedef struct order { /* items of a batch */
    cn_digest batch;
    uint32_t start, count;
} order;

typedef struct orders { /* ascending by batch */
    order *order;
    size_t count, cap;
} orders;

struct cn_restorer {
    batch missing[MISSING_MAX]; /* ascending */
    size_t count;
    orders orders; /* as of the last look; empty when nothing is missing */
    bool dirty;    /* since then something came without content, or another order was carried out */
    uint64_t looked_ms, synced_ms, asked_ms, pause_ms;
    unsigned peer;
};

void cn_restore_open(cn_node *node)
{
    node->restorer = calloc(1, sizeof *node->restorer);
    CN_ASSERT(node->restorer);
    node->restorer->dirty = true;
    node->restorer->pause_ms = ASK_MS;
}

void cn_restore_free(cn_node *node)
{
    if (node->restorer)
        free(node->restorer->orders.order);
    free(node->restorer);
    node->restorer = NULL;
}

void cn_restore_note_sync(cn_node *node, uint64_t now_ms)
{
    node->restorer->dirty = true;
    node->restorer->synced_ms = now_ms;
}

void cn_restore_note_order(cn_node *node)
{
    node->restorer->dirty = true;
}

size_t cn_restore_count(const cn_node *node)
{
    return node->restorer->count;
}

/* ---- which items orders explain ---- */

static bool take_order(void *ctx, const cn_statement *s, uint64_t log_index)
{
    orders *o = ctx;
    (void)log_index;
    if (s->body.kind != CN_PAYLOAD_ERASURE)
        return true;
    if (o->count == o->cap) {
        o->cap = o->cap ? 2 * o->cap : 64;
        o->order = realloc(o->order, o->cap * sizeof *o->order);
        CN_ASSERT(o->order);
    }
    o->order[o->count++] = (order){s->body.erasure.target, s->body.erasure.start, s->body.erasure.count};
    return true;
}

static int by_batch(const void *a, const void *b)
{
    return cn_digest_cmp(&((const order *)a)->batch, &((const order *)b)->batch);
}

static size_t first_of(const orders *o, const cn_digest *id)
{
    size_t low = 0, high = o->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cn_digest_cmp(&o->order[middle].batch, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool ordered(const orders *o, const cn_digest *id, size_t item)
{
    for (size_t i = first_of(o, id); i < o->count && cn_digest_eq(&o->order[i].batch, id); i++)
        if (item >= o->order[i].start && item - o->order[i].start < o->order[i].count)
            return true;
    return false;
}

/* Every item of s that has no content here was ordered to be erased. */
static bool explained(const orders *o, const cn_statement *s)
{
    for (size_t i = 0; i < s->item_count; i++)
        if (cn_item_is_erased(s->item[i].p, s->item[i].n) && !ordered(o, &s->id, i))
            return false;
    return true;
}

static cn_status read_orders(cn_node *node, cn_snapshot *snap, orders *ret, cn_err *err)
{
    cn_status st = cn_erasures_each(snap, node->genesis.subject_salt, UINT64_MAX, take_order, ret, err);
    if (st == CN_OK && ret->count)
        qsort(ret->order, ret->count, sizeof *ret->order, by_batch);
    return st;
}

/* ---- what is missing ---- */

static cn_status hold(cn_node *node, cn_snapshot *snap, uint64_t log_index, bool *ret_explained, cn_err *err)
{
    struct cn_restorer *r = node->restorer;
    cn_stored_statement stored;
    cn_statement *s = NULL;
    cn_status st = cn_snapshot_statement(snap, log_index, &stored, err);
    if (st == CN_OK)
        st = cn_view_decode(&stored, &s, err);
    *ret_explained = st == CN_OK && explained(&r->orders, s);
    if (st == CN_OK && !*ret_explained)
        r->missing[r->count++] = (batch){log_index, stored.height};
    cn_statement_free(s);
    return st;
}

/* The batches that have not been held against the orders yet: those that are explained are marked, in one go. */
static cn_status hold_all(cn_node *node, cn_snapshot *snap, cn_err *err)
{
    struct cn_restorer *r = node->restorer;
    uint64_t *found = calloc(MISSING_MAX, sizeof *found);
    size_t count = 0, marked = 0;
    CN_ASSERT(found);
    cn_status st = cn_snapshot_unexplained(snap, found, MISSING_MAX, &count, err);
    if (st == CN_OK && count)
        st = read_orders(node, snap, &r->orders, err);
    for (size_t i = 0; st == CN_OK && i < count; i++) {
        bool by_order = false;
        st = hold(node, snap, found[i], &by_order, err);
        if (by_order)
            found[marked++] = found[i];
    }
    if (st == CN_OK && marked)
        st = cn_store_explain_erased(node->store, found, marked, err);
    r->dirty = r->dirty || (count == MISSING_MAX && marked); /* there may be more */
    free(found);
    return st;
}

static void look(cn_node *node)
{
    struct cn_restorer *r = node->restorer;
    cn_snapshot *snap = NULL;
    cn_err err = {0};
    size_t before = r->count;
    r->dirty = false;
    r->count = r->orders.count = 0;
    cn_status st = cn_snapshot_open(node->store, &snap, &err);
    if (st == CN_OK)
        st = hold_all(node, snap, &err);
    cn_snapshot_close(snap);
    if (st != CN_OK)
        cn_node_fail(node, st, &err);
    if (r->count > before)
        cn_log(node, "warning",
               "%zu batches came without content that no statement orders erased, the first at log index %llu; asking "
               "other peers for it",
               r->count, (unsigned long long)r->missing[0].log_index);
    r->pause_ms = ASK_MS;
}

/* ---- asking ---- */

/* A peer's answer begins with this block. One that has it no more than this node does is not asked more often for it.
 */
static void ask(cn_node *node, uint64_t now_ms)
{
    struct cn_restorer *r = node->restorer;
    uint8_t bytes[8];
    if (now_ms < r->asked_ms + r->pause_ms)
        return;
    cn_store_u64(bytes, r->missing[0].height - 1);
    if (!cn_peers_ask_one(node, &r->peer, CN_WIRE_SYNC_REQUEST, bytes, sizeof bytes))
        return;
    r->asked_ms = now_ms;
    r->pause_ms = 2 * r->pause_ms > ASK_MAX_MS ? ASK_MAX_MS : 2 * r->pause_ms;
}

void cn_restore_poll(cn_node *node, uint64_t now_ms)
{
    struct cn_restorer *r = node->restorer;
    if (now_ms < r->looked_ms + LOOK_MS || now_ms < r->synced_ms + LOOK_MS)
        return; /* while blocks come in, so may orders */
    r->looked_ms = now_ms;
    if (r->dirty)
        look(node);
    if (r->count)
        ask(node, now_ms);
}

/* ---- taking ---- */

static bool is_missing(const struct cn_restorer *r, uint64_t log_index, size_t *ret_place)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->missing[i].log_index == log_index) {
            *ret_place = i;
            return true;
        }
    return false;
}

/* What was ordered stays erased, also where the peer has not come to it yet. */
static cn_status without_ordered(const orders *o, const cn_statement *s, cn_span items, cn_buf *out, cn_err *err)
{
    cn_buf turn[2];
    cn_status st = CN_OK;
    bool changed = false;
    size_t at = 0;
    cn_buf_init(&turn[0], 2 * CN_MAX_STATEMENT_BYTES);
    cn_buf_init(&turn[1], 2 * CN_MAX_STATEMENT_BYTES);
    for (size_t i = first_of(o, &s->id); st == CN_OK && i < o->count && cn_digest_eq(&o->order[i].batch, &s->id); i++) {
        turn[at].n = 0;
        st = cn_items_erase(items, o->order[i].start, o->order[i].count, &turn[at], &changed, err);
        items = CN_SPAN(turn[at].p, turn[at].n);
        at = !at;
    }
    if (st == CN_OK)
        cn_put_bytes(out, items.p, items.n);
    cn_buf_free(&turn[0]);
    cn_buf_free(&turn[1]);
    return st == CN_OK && out->fault ? CN_NO_MEMORY : st;
}

/* The peer's statement is the one here, and has what is missing. */
static bool restore(cn_node *node, const orders *o, const cn_stored_statement *stored, const cn_statement *s)
{
    cn_err err = {0};
    cn_buf items;
    if (stored->record.n != s->record.n || memcmp(stored->record.p, s->record.p, s->record.n) != 0 ||
        cn_statement_check_items(s, NULL) != CN_OK || !explained(o, s))
        return false;
    cn_buf_init(&items, 2 * CN_MAX_STATEMENT_BYTES);
    cn_span theirs = CN_SPAN((const uint8_t *)s->whole.p + s->record.n, s->whole.n - s->record.n);
    cn_status st = without_ordered(o, s, theirs, &items, &err);
    if (st == CN_OK)
        st = cn_store_restore_items(node->store, stored->log_index, CN_SPAN(items.p, items.n), &err);
    cn_buf_free(&items);
    if (st != CN_OK)
        cn_node_fail(node, st, &err);
    else
        cn_log(node, "info", "log index %llu has its content back", (unsigned long long)stored->log_index);
    return st == CN_OK;
}

void cn_restore_offer(cn_node *node, const cn_header *header, cn_stmt *const *stmt, uint32_t count)
{
    struct cn_restorer *r = node->restorer;
    cn_snapshot *snap = NULL;
    uint64_t first = 0;
    uint32_t here = 0;
    size_t at = 0;
    while (at < r->count && r->missing[at].height != header->height)
        at++;
    if (at == r->count || r->dirty) /* an order may have come that is not known here yet: after the next look */
        return;
    bool ready = cn_snapshot_open(node->store, &snap, NULL) == CN_OK &&
                 cn_snapshot_block_statements(snap, header->height, &first, &here, NULL) == CN_OK;
    for (uint32_t k = 0; ready && k < count && k < here; k++) {
        cn_stored_statement stored;
        size_t place;
        if (!is_missing(r, first + k, &place) || cn_snapshot_statement(snap, first + k, &stored, NULL) != CN_OK ||
            !restore(node, &r->orders, &stored, stmt[k]->s))
            continue;
        memmove(&r->missing[place], &r->missing[place + 1], (--r->count - place) * sizeof r->missing[0]);
        r->pause_ms = ASK_MS;
        r->dirty = r->dirty || r->count == 0; /* others may not have had room in the list */
        ready = !r->dirty;
    }
    cn_snapshot_close(snap);
}

bool cn_restore_waits(const cn_node *node)
{
    return node->restorer->count > 0;
}
