/* The judge of what lies on a disk at the end: its own replay of the log, its own trees. It shares decoding and SHA-256
 * with the node, and none of the rules. */
#include "whole.h"

#include <stdlib.h>
#include <string.h>

typedef struct chain { /* of one key */
    cn_digest id, previous;
    uint64_t sequence;
    bool ended;
} chain;

typedef struct replayed {
    whole *w;
    unsigned host;
    cn_digest *leaf, *id;
    size_t entries, ids, cap;
    chain key[SIGNERS + 8];
    size_t keys;
    uint64_t time_ms;
} replayed;

static void grow(replayed *r)
{
    if (r->entries < r->cap)
        return;
    r->cap = r->cap ? 2 * r->cap : 256;
    r->leaf = realloc(r->leaf, r->cap * sizeof *r->leaf);
    r->id = realloc(r->id, r->cap * sizeof *r->id);
    CN_ASSERT(r->leaf && r->id);
}

static cn_digest leaf(cn_span entry)
{
    static const uint8_t zero;
    cn_span spans[] = {CN_SPAN(&zero, 1), entry};
    return cn_sha256v(spans, 2);
}

/* RFC 9162 section 2.1.1, as it is written there, over leaf hashes. */
static cn_digest tree(const cn_digest *hash, size_t n)
{
    uint8_t bytes[65];
    size_t k = 1;
    if (n <= 1)
        return n ? hash[0] : cn_sha256("", 0);
    while (2 * k < n)
        k *= 2;
    cn_digest left = tree(hash, k), right = tree(hash + k, n - k);
    bytes[0] = 1;
    memcpy(bytes + 1, left.b, 32);
    memcpy(bytes + 33, right.b, 32);
    return cn_sha256(bytes, 65);
}

static chain *key_of(replayed *r, const cn_digest *id)
{
    for (size_t i = 0; i < r->keys; i++)
        if (cn_digest_eq(&r->key[i].id, id))
            return &r->key[i];
    return NULL;
}

static void add_key(replayed *r, const cn_digest *id)
{
    CN_ASSERT(r->keys < sizeof r->key / sizeof r->key[0]);
    r->key[r->keys++] = (chain){.id = *id};
}

static void on_registry(replayed *r, const cn_registry_change *c)
{
    chain *k = key_of(r, &c->key_id);
    if (c->op == CN_REG_KEY_REGISTER) {
        cn_digest id = cn_key_id(&c->new_key.key);
        add_key(r, &id);
    } else if (c->op == CN_REG_KEY_REVOKE && k) {
        k->ended = true;
    } else if (c->op == CN_REG_KEY_GAP && k) {
        if (c->sequence <= k->sequence)
            oracle_fail(r->w->oracle, "host %u holds a gap statement that goes back", r->host);
        k->sequence = c->sequence;
        k->previous = c->previous;
    }
}

/* The items that lie there are the ones that were signed. */
static void check_items(replayed *r, const cn_statement *s, const cn_stored_statement *stored, uint64_t index)
{
    cn_digest hash[CN_MAX_ITEMS];
    cn_statement *taken = NULL;
    size_t n = stored->record.n + stored->items.n;
    uint8_t *bytes = malloc(n);
    CN_ASSERT(bytes);
    memcpy(bytes, stored->record.p, stored->record.n);
    memcpy(bytes + stored->record.n, stored->items.p, stored->items.n);
    bool good = cn_statement_decode(bytes, n, &taken, NULL) == CN_OK;
    for (size_t i = 0; good && i < taken->item_count; i++)
        hash[i] = leaf(taken->item[i]);
    cn_digest root = tree(hash, good ? taken->item_count : 0);
    if (!good || !cn_digest_eq(&root, &s->body.batch.items_root))
        oracle_fail(r->w->oracle, "host %u: the items at index %llu are not the signed ones", r->host,
                    (unsigned long long)index);
    cn_statement_free(taken);
    free(bytes);
}

static void on_statement(replayed *r, const cn_stored_statement *stored, uint64_t index)
{
    cn_statement *s = NULL;
    cn_digest digest = cn_sha256(stored->record.p, stored->record.n);
    if (cn_statement_decode(stored->record.p, stored->record.n, &s, NULL) != CN_OK) {
        oracle_fail(r->w->oracle, "host %u: the statement at index %llu does not decode", r->host,
                    (unsigned long long)index);
        return;
    }
    chain *k = key_of(r, &s->body.key_id);
    if (!k || k->ended)
        oracle_fail(r->w->oracle, "host %u: the key at index %llu has no authority there", r->host,
                    (unsigned long long)index);
    else if (s->body.sequence != k->sequence + 1 || !cn_digest_eq(&s->body.previous, &k->previous))
        oracle_fail(r->w->oracle, "host %u: the statement at index %llu does not continue its key's chain", r->host,
                    (unsigned long long)index);
    for (size_t i = 0; i < r->ids; i++)
        if (cn_digest_eq(&r->id[i], &s->id))
            oracle_fail(r->w->oracle, "host %u holds a statement twice", r->host);
    if (k) {
        k->sequence = s->body.sequence;
        k->previous = s->id;
    }
    if (s->body.kind == CN_PAYLOAD_EVENT_BATCH)
        check_items(r, s, stored, index);
    if (s->body.kind == CN_PAYLOAD_REGISTRY)
        on_registry(r, &s->body.registry);
    grow(r);
    r->id[r->ids++] = s->id;
    r->leaf[r->entries++] = leaf(CN_SPAN_DIGEST(&digest));
    cn_statement_free(s);
}

static void on_block(replayed *r, cn_snapshot *snap, uint64_t height)
{
    cn_header h;
    uint64_t first = 0;
    uint32_t count = 0;
    cn_stored_statement stored;
    CN_ASSERT(cn_snapshot_header(snap, height, &h, NULL) == CN_OK);
    CN_ASSERT(cn_snapshot_block_statements(snap, height, &first, &count, NULL) == CN_OK);
    for (uint32_t i = 0; i < count && !oracle_violation(r->w->oracle); i++) {
        CN_ASSERT(cn_snapshot_statement(snap, first + i, &stored, NULL) == CN_OK);
        on_statement(r, &stored, first + i);
    }
    if (h.log_size != r->entries || h.time_ms <= r->time_ms)
        oracle_fail(r->w->oracle, "host %u: block %llu has log size %llu where %zu entries are, or goes back in time",
                    r->host, (unsigned long long)height, (unsigned long long)h.log_size, r->entries);
    r->time_ms = h.time_ms;
    if (h.kind == CN_BLOCK_NORMAL)
        return;
    cn_digest root = tree(r->leaf, r->entries);
    if (!cn_digest_eq(&root, &h.log_root))
        oracle_fail(r->w->oracle, "host %u: the log root of block %llu is not that of its entries", r->host,
                    (unsigned long long)height);
}

static void replay(replayed *r, cn_snapshot *snap)
{
    cn_tip tip;
    cn_header h0;
    cn_digest first[2];
    cn_buf rows;
    cn_buf_init(&rows, 1u << 16);
    cn_validator_set_encode(&genesis()->set, &rows);
    grow(r);
    first[0] = cn_sha256(genesis_bytes()->p, genesis_bytes()->n);
    first[1] = cn_sha256(rows.p, rows.n);
    for (int i = 0; i < 2; i++)
        r->leaf[r->entries++] = leaf(CN_SPAN_DIGEST(&first[i]));
    cn_buf_free(&rows);
    for (unsigned i = 0; i < HOSTS; i++) {
        cn_digest id = cn_key_id(&capture_key(i)->public_key);
        add_key(r, &id);
    }
    CN_ASSERT(cn_snapshot_tip(snap, &tip, NULL) == CN_OK && cn_snapshot_header(snap, 0, &h0, NULL) == CN_OK);
    r->time_ms = h0.time_ms;
    for (uint64_t height = 1; height <= tip.height && !oracle_violation(r->w->oracle); height++)
        on_block(r, snap, height);
}

/* Whatever was seen as final lies where it was seen. */
static void check_acknowledged(whole *w, const host *h, cn_snapshot *snap)
{
    for (unsigned i = 0; i < w->count; i++) {
        uint64_t index = 0;
        const traffic *t = &w->traffic[i];
        if (t->final && (cn_snapshot_find_id(snap, &t->id, &index, NULL) != CN_OK || index != t->index))
            oracle_fail(w->oracle, "host %u has lost statement %u, or has it at %llu instead of %llu", h->index, i,
                        (unsigned long long)index, (unsigned long long)t->index);
    }
}

typedef struct finding {
    whole *w;
    unsigned host;
} finding;

static void on_line(void *ctx, bool fault, const char *text)
{
    const finding *f = ctx;
    if (fault)
        oracle_fail(f->w->oracle, "fsck of host %u: %s", f->host, text);
}

void check_chain(whole *w, const host *h)
{
    char dir[128];
    cn_store *store = NULL;
    cn_snapshot *snap = NULL;
    cn_fsck_report report;
    cn_err err = {0};
    finding f = {w, h->index};
    replayed r = {.w = w, .host = h->index};
    snprintf(dir, sizeof dir, "%s/data", h->dir);
    cn_store_options options = {.dir = dir, .map_size = 64u << 20};
    if (cn_store_fsck(&options, genesis()->subject_salt, on_line, &f, &report, &err) != CN_OK ||
        cn_store_open(&options, &store, &err) != CN_OK || cn_snapshot_open(store, &snap, &err) != CN_OK) {
        oracle_fail(w->oracle, "the ledger of host %u does not open: %s: %s", h->index, err.field, err.text);
    } else {
        replay(&r, snap);
        check_acknowledged(w, h, snap);
    }
    cn_snapshot_close(snap);
    cn_store_close(store);
    free(r.leaf);
    free(r.id);
}
