/* Erasing what was ordered (docs/erasure.md): once an order is final here, content and salt of its items leave this
 * node's store, synced, and then the member says so on the ledger with its capture key. Orders and attestations are the
 * tree urn:carnet:erasures, read in order from its beginning at every start; so nothing is forgotten by a crash between
 * any two steps, and a node that comes late does what the others did. */
#include "node/daemon/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 500u
#define SAY_AGAIN_MS 5000u
#define ROWS_PAGE 64u

typedef struct purged { /* an order that was carried out here and is not attested yet */
    cn_digest order;
    uint64_t said_ms; /* when the attestation was last submitted; 0: not yet */
} purged;

struct cn_purger {
    cn_digest tag;
    uint64_t rows; /* of the tree, read so far */
    purged *open;
    size_t count, cap;
    uint64_t looked_ms, orders;
    bool no_key; /* said */
};

static void note_purged(struct cn_purger *p, const cn_digest *order)
{
    if (p->count == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 16;
        p->open = realloc(p->open, p->cap * sizeof *p->open);
        CN_ASSERT(p->open);
    }
    p->open[p->count++] = (purged){.order = *order};
    p->orders++;
}

/* An order about a batch that is not in the log before it erases nothing, and is nobody's to attest. */
static void carry_out(cn_node *node, cn_snapshot *snap, const cn_statement *s, uint64_t index)
{
    const cn_erasure_payload *e = &s->body.erasure;
    uint64_t target = 0;
    bool fresh = false;
    cn_err err = {0};
    cn_status st = cn_snapshot_find_id(snap, &e->target, &target, &err);
    if (st == CN_NOT_FOUND || (st == CN_OK && target >= index))
        return;
    if (st == CN_OK)
        st = cn_store_erase_items(node->store, target, e->start, e->count, &fresh, &err);
    if (st != CN_OK) {
        cn_node_fail(node, st, &err);
        return;
    }
    if (fresh)
        cn_log(node, "info", "erased items %u to %u of log index %llu, as statement %.16s ordered", e->start,
               e->start + e->count - 1, (unsigned long long)target, cn_digest_hex(&s->id).s);
    note_purged(node->purger, &s->id);
    cn_restore_note_order(node);
}

static void take_attestation(cn_node *node, const cn_statement *s)
{
    struct cn_purger *p = node->purger;
    cn_state_device_key key;
    if (!cn_ledger_key(node->ledger, NULL, &s->body.key_id, &key) || !cn_digest_eq(&key.owner, &node->member))
        return;
    for (size_t i = 0; i < p->count; i++)
        if (cn_digest_eq(&p->open[i].order, &s->body.purge.erasure)) {
            p->open[i] = p->open[--p->count];
            return;
        }
}

static void take_row(cn_node *node, cn_snapshot *snap, uint64_t index)
{
    cn_stored_statement stored;
    cn_statement *s = NULL;
    cn_err err = {0};
    cn_status st = cn_snapshot_statement(snap, index, &stored, &err);
    if (st == CN_OK)
        st = cn_statement_decode(stored.record.p, stored.record.n, &s, &err);
    if (st != CN_OK)
        cn_node_fail(node, st, &err);
    else if (s->body.kind == CN_PAYLOAD_ERASURE)
        carry_out(node, snap, s, index);
    else if (s->body.kind == CN_PAYLOAD_PURGE)
        take_attestation(node, s);
    cn_statement_free(s);
}

/* Rows that are new since the last look, as far as a checkpoint proves them: an audit is made at a checkpoint, and what
 * it shows as erased must have its order there. */
static void read_rows(cn_node *node)
{
    struct cn_purger *p = node->purger;
    cn_subject_row row[ROWS_PAGE];
    size_t got = ROWS_PAGE;
    uint64_t time_ms = 0, proved = 0;
    cn_ledger_block_checkpoint(cn_ledger_tip(node->ledger), &time_ms, &proved);
    while (got == ROWS_PAGE && !atomic_load(&node->stop)) {
        cn_snapshot *snap = NULL;
        cn_err err = {0};
        got = 0;
        cn_status st = cn_snapshot_open(node->store, &snap, &err);
        if (st == CN_OK &&
            (st = cn_snapshot_subject_rows(snap, &p->tag, p->rows, row, ROWS_PAGE, &got, &err)) == CN_NOT_FOUND)
            st = CN_OK; /* nothing was ever ordered */
        if (st != CN_OK)
            cn_node_fail(node, st, &err);
        size_t taken = 0;
        while (taken < got && st == CN_OK && row[taken].leaf.log_index < proved && !atomic_load(&node->stop))
            take_row(node, snap, row[taken++].leaf.log_index);
        cn_snapshot_close(snap);
        p->rows += taken;
        got = taken;
    }
}

/* ---- saying so ---- */

/* capture.key, or capture.next.key while its rotation is fresh: whichever is the member's and active. */
static bool capture_key(cn_node *node, cn_secret_key *ret, cn_api_key_head *ret_head)
{
    static const char *const names[] = {"capture", "capture.next"};
    for (size_t i = 0; i < 2; i++) {
        cn_key_file file;
        if (cn_read_key(node, names[i], "capture", &file, NULL) != CN_OK)
            continue;
        cn_digest id = cn_key_id(&file.key.public_key);
        cn_admit_head(node, &id, ret_head);
        bool good = !file.is_x25519 && ret_head->known && ret_head->key.status == CN_KEY_ACTIVE &&
                    cn_digest_eq(&ret_head->key.owner, &node->member);
        if (good)
            *ret = file.key;
        cn_key_file_wipe(&file);
        if (good)
            return true;
    }
    return false;
}

static void attest(cn_node *node, purged *order)
{
    struct cn_purger *p = node->purger;
    cn_secret_key key;
    cn_api_key_head head = {0};
    cn_err err = {0};
    if (!capture_key(node, &key, &head)) {
        if (!p->no_key)
            cn_log(
                node, "warning",
                "erased what was ordered, but cannot say so on the ledger: no active capture key of this member in %s",
                node->config.keys_dir);
        p->no_key = true;
        return;
    }
    p->no_key = false;
    cn_body *body = calloc(1, sizeof *body);
    cn_buf out;
    CN_ASSERT(body);
    cn_buf_init(&out, CN_MAX_STATEMENT_BYTES);
    body->network = node->genesis.network;
    body->key_id = cn_key_id(&key.public_key);
    body->sequence = head.pending_sequence + 1;
    body->previous = head.pending_id;
    body->created_ms = cn_wall_ms();
    body->kind = CN_PAYLOAD_PURGE;
    body->purge.erasure = order->order;
    if (cn_statement_sign(body, NULL, 0, &key, &out, NULL, &err) == CN_OK)
        cn_admit_own(node, out.p, out.n);
    else
        cn_log(node, "error", "cannot attest an erasure: %s", err.text);
    cn_secret_key_wipe(&key);
    cn_buf_free(&out);
    free(body);
}

/* One at a time: the next one continues this one's chain. */
static void say(cn_node *node, uint64_t now_ms)
{
    struct cn_purger *p = node->purger;
    if (p->count == 0 || (p->open[0].said_ms && now_ms < p->open[0].said_ms + SAY_AGAIN_MS))
        return;
    p->open[0].said_ms = now_ms;
    attest(node, &p->open[0]);
}

/* ---- when ---- */

void cn_purge_open(cn_node *node)
{
    node->purger = calloc(1, sizeof *node->purger);
    CN_ASSERT(node->purger);
    node->purger->tag = cn_erasures_subject(node->genesis.subject_salt);
}

void cn_purge_free(cn_node *node)
{
    if (node->purger)
        free(node->purger->open);
    free(node->purger);
    node->purger = NULL;
}

void cn_purge_poll(cn_node *node, uint64_t now_ms)
{
    if (now_ms < node->purger->looked_ms + LOOK_MS)
        return;
    node->purger->looked_ms = now_ms;
    read_rows(node);
    say(node, now_ms);
}

void cn_purge_count(cn_node *node, uint64_t *ret_carried_out, uint64_t *ret_not_attested)
{
    *ret_carried_out = node->purger->orders;
    *ret_not_attested = node->purger->count;
}
