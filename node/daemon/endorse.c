/* Checkpoint signatures (proto/checkpoint.h): once a checkpoint is final and durable here, a validator of the set that
 * decided it signs it in every format, stores that, and only then says it (P-256 signatures are randomised: a second
 * one must never exist). What others signed is verified and stored. Only the two newest checkpoints are worked on; what
 * is said about a later one is kept, one a peer, until this node has it. */
#include "node/daemon/internal.h"

#include "proto/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAY_AGAIN_MS 2000u
#define MESSAGE_MAX (CN_MAX_VALIDATORS * CN_CHECKPOINT_SIGNATURES_LEN)

typedef struct signed_one { /* a final checkpoint and who has signed it */
    bool set;
    cn_checkpoint checkpoint;
    cn_validator_set voters;
    bool held[CN_MAX_VALIDATORS];
    unsigned count;
} signed_one;

struct cn_endorser {
    signed_one at[2]; /* the newest, and the one before */
    cn_checkpoint_keys keys;
    cn_digest keys_of; /* the row that they fit, as a digest; zeros: none do */
    cn_digest missed;  /* the row that none fitted: said once */
    uint64_t said_ms;
    cn_checkpoint_signatures ahead[CN_LINK_SLOTS];
    bool is_ahead[CN_LINK_SLOTS];
};

/* ---- keys ---- */

static cn_digest row_digest(const cn_set_row *row)
{
    cn_span spans[] = {CN_SPAN(row->receipt_key, 33), CN_SPAN(row->cosignature_key, 32), CN_SPAN(row->log_key, 32)};
    return cn_sha256v(spans, 3);
}

/* NAME.key, or NAME.next.key while its rotation is fresh: whichever the row names. */
static bool take_key(cn_node *node, const char *name, const uint8_t *want, size_t n, cn_secret_key *ret)
{
    for (int next = 0; next < 2; next++) {
        char file[32];
        cn_key_file key;
        snprintf(file, sizeof file, "%s%s", name, next ? ".next" : "");
        if (cn_read_key(node, file, name, &key, NULL) != CN_OK)
            continue;
        bool named = !key.is_x25519 && memcmp(key.key.public_key.b, want, n) == 0;
        if (named)
            *ret = key.key;
        cn_key_file_wipe(&key);
        if (named)
            return true;
    }
    return false;
}

static bool has_keys_of(cn_node *node, const cn_set_row *row)
{
    struct cn_endorser *e = node->endorser;
    cn_digest wanted = row_digest(row);
    if (cn_digest_eq(&wanted, &e->keys_of))
        return true;
    if (take_key(node, "receipt", row->receipt_key, 33, &e->keys.receipt) &&
        take_key(node, "cosignature", row->cosignature_key, 32, &e->keys.cosignature) &&
        take_key(node, "log", row->log_key, 32, &e->keys.log)) {
        e->keys_of = wanted;
        return true;
    }
    if (!cn_digest_eq(&wanted, &e->missed))
        cn_log(node, "warning",
               "cannot sign checkpoints: receipt.key, cosignature.key and log.key in %s are not those that the ledger "
               "names",
               node->config.keys_dir);
    e->missed = wanted;
    return false;
}

/* ---- checkpoints ---- */

/* The set that decided a block: of the epoch in its header. */
static bool set_of(cn_node *node, const cn_header *h, cn_validator_set *ret)
{
    cn_snapshot *snap = NULL;
    cn_span rows;
    uint64_t closing;
    if (h->epoch == node->voters.epoch) {
        *ret = node->voters.set;
        return true;
    }
    bool ok = cn_snapshot_open(node->store, &snap, NULL) == CN_OK &&
              cn_snapshot_epoch(snap, h->epoch, &closing, &rows, NULL) == CN_OK &&
              cn_validator_set_decode(rows.p, rows.n, ret, NULL) == CN_OK;
    cn_snapshot_close(snap);
    return ok;
}

static void read_held(cn_node *node, signed_one *s)
{
    cn_checkpoint_signatures *stored = calloc(CN_MAX_VALIDATORS, sizeof *stored);
    cn_snapshot *snap = NULL;
    size_t count = 0;
    CN_ASSERT(stored);
    if (cn_snapshot_open(node->store, &snap, NULL) == CN_OK)
        (void)cn_snapshot_signatures(snap, s->checkpoint.height, stored, CN_MAX_VALIDATORS, &count, NULL);
    cn_snapshot_close(snap);
    for (size_t i = 0; i < count; i++) {
        int place = cn_validator_set_find(&s->voters, &stored[i].member);
        if (place >= 0 && !s->held[place]) {
            s->held[place] = true;
            s->count++;
        }
    }
    free(stored);
}

/* A checkpoint has become final, or is the newest at the start. */
static void take_checkpoint(cn_node *node, const cn_header *h)
{
    struct cn_endorser *e = node->endorser;
    cn_err err = {0};
    signed_one *fresh = calloc(1, sizeof *fresh);
    CN_ASSERT(fresh);
    if (h->height == 0 || (e->at[0].set && h->height <= e->at[0].checkpoint.height) ||
        !set_of(node, h, &fresh->voters) ||
        cn_checkpoint_of(h, &node->genesis.network, node->genesis.origin, &fresh->checkpoint, &err) != CN_OK) {
        free(fresh);
        return;
    }
    fresh->set = true;
    read_held(node, fresh);
    e->at[1] = e->at[0];
    e->at[0] = *fresh;
    e->said_ms = 0;
    free(fresh);
}

/* ---- signing and saying ---- */

static bool name_of(cn_node *node, const cn_digest *member, char ret[CN_MAX_NAME + 1])
{
    cn_state_member row;
    bool known = cn_ledger_member(node->ledger, NULL, member, &row);
    snprintf(ret, CN_MAX_NAME + 1, "%s", known ? row.name : "");
    return known;
}

static bool store(cn_node *node, signed_one *at, unsigned place, const cn_checkpoint_signatures *s)
{
    cn_err err = {0};
    size_t fresh = 0;
    cn_status st = cn_store_put_signatures(node->store, s, 1, &fresh, &err);
    if (st != CN_OK) {
        cn_node_fail(node, st, &err);
        return false;
    }
    at->count += !at->held[place];
    at->held[place] = true;
    return fresh > 0;
}

static void say(cn_node *node, int slot, const cn_checkpoint_signatures *s, size_t count)
{
    uint8_t *bytes = malloc(MESSAGE_MAX);
    CN_ASSERT(bytes && count <= CN_MAX_VALIDATORS);
    for (size_t i = 0; i < count; i++)
        cn_checkpoint_signatures_encode(&s[i], bytes + i * CN_CHECKPOINT_SIGNATURES_LEN);
    if (slot < 0)
        cn_peers_broadcast(node, CN_WIRE_SIGNATURES, bytes, count * CN_CHECKPOINT_SIGNATURES_LEN, false);
    else
        (void)cn_links_send(node->links, (unsigned)slot, CN_WIRE_SIGNATURES, bytes,
                            count * CN_CHECKPOINT_SIGNATURES_LEN, false);
    free(bytes);
}

static void sign_newest(cn_node *node)
{
    signed_one *at = &node->endorser->at[0];
    cn_checkpoint_signatures s;
    char name[CN_MAX_NAME + 1];
    cn_err err = {0};
    int place = at->set ? cn_validator_set_find(&at->voters, &node->member) : -1;
    if (place < 0 || at->held[place] || !has_keys_of(node, &at->voters.row[place]) ||
        !name_of(node, &node->member, name))
        return;
    if (cn_checkpoint_sign(&at->checkpoint, &node->member, name, &node->endorser->keys, &s, &err) != CN_OK)
        cn_log(node, "error", "cannot sign checkpoint %llu: %s", (unsigned long long)at->checkpoint.height, err.text);
    else if (store(node, at, (unsigned)place, &s)) /* durable before it is said */
        say(node, -1, &s, 1);
}

/* What is stored about the newest checkpoint: to one peer, or our own to all. */
static void say_stored(cn_node *node, int slot)
{
    const signed_one *at = &node->endorser->at[0];
    cn_checkpoint_signatures *stored = calloc(CN_MAX_VALIDATORS, sizeof *stored);
    cn_snapshot *snap = NULL;
    size_t count = 0;
    CN_ASSERT(stored);
    if (at->set && cn_snapshot_open(node->store, &snap, NULL) == CN_OK)
        (void)cn_snapshot_signatures(snap, at->checkpoint.height, stored, CN_MAX_VALIDATORS, &count, NULL);
    cn_snapshot_close(snap);
    for (size_t i = 0; slot < 0 && i < count; i++)
        if (cn_digest_eq(&stored[i].member, &node->member))
            say(node, -1, &stored[i], 1);
    if (slot >= 0 && count)
        say(node, slot, stored, count);
    free(stored);
}

/* ---- hearing ---- */

typedef enum hearing { HEARD, HEARD_EARLY, HEARD_BAD } hearing;

static hearing hear(cn_node *node, const cn_checkpoint_signatures *s)
{
    struct cn_endorser *e = node->endorser;
    char name[CN_MAX_NAME + 1];
    if (s->height > cn_ledger_block_header(cn_ledger_tip(node->ledger))->height)
        return HEARD_EARLY;
    for (unsigned i = 0; i < 2; i++) {
        signed_one *at = &e->at[i];
        if (!at->set || at->checkpoint.height != s->height)
            continue;
        int place = cn_validator_set_find(&at->voters, &s->member);
        if (place < 0)
            return HEARD_BAD; /* a retired member's, or nobody's */
        if (at->held[place])
            return HEARD;
        if (!name_of(node, &s->member, name) ||
            cn_checkpoint_signatures_verify(s, &at->checkpoint, name, &at->voters.row[place], NULL) != CN_OK)
            return HEARD_BAD;
        (void)store(node, at, (unsigned)place, s);
        return HEARD;
    }
    return HEARD; /* about an older one: too late to be of use */
}

bool cn_endorse_receive(cn_node *node, unsigned slot, const uint8_t *p, size_t n)
{
    bool good = n > 0 && n % CN_CHECKPOINT_SIGNATURES_LEN == 0 && n <= MESSAGE_MAX && slot < CN_LINK_SLOTS;
    for (size_t at = 0; good && at < n && !atomic_load(&node->stop); at += CN_CHECKPOINT_SIGNATURES_LEN) {
        cn_checkpoint_signatures s;
        good = cn_checkpoint_signatures_decode(p + at, CN_CHECKPOINT_SIGNATURES_LEN, &s, NULL) == CN_OK;
        hearing h = good ? hear(node, &s) : HEARD_BAD;
        good = h != HEARD_BAD;
        if (h == HEARD_EARLY) {
            node->endorser->ahead[slot] = s;
            node->endorser->is_ahead[slot] = true;
        }
    }
    return good;
}

static void hear_again(cn_node *node)
{
    struct cn_endorser *e = node->endorser;
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++)
        if (e->is_ahead[i])
            e->is_ahead[i] = hear(node, &e->ahead[i]) == HEARD_EARLY;
}

/* ---- when ---- */

void cn_endorse_open(cn_node *node)
{
    cn_snapshot *snap = NULL;
    cn_tip tip;
    cn_header h;
    node->endorser = calloc(1, sizeof *node->endorser);
    CN_ASSERT(node->endorser);
    if (cn_snapshot_open(node->store, &snap, NULL) == CN_OK && cn_snapshot_tip(snap, &tip, NULL) == CN_OK &&
        cn_snapshot_header(snap, tip.checkpoint, &h, NULL) == CN_OK)
        take_checkpoint(node, &h);
    cn_snapshot_close(snap);
}

void cn_endorse_free(cn_node *node)
{
    if (!node->endorser)
        return;
    cn_secret_key_wipe(&node->endorser->keys.receipt);
    cn_secret_key_wipe(&node->endorser->keys.cosignature);
    cn_secret_key_wipe(&node->endorser->keys.log);
    free(node->endorser);
    node->endorser = NULL;
}

void cn_endorse_note_final(cn_node *node, cn_ledger_block *const *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (cn_ledger_block_header(blocks[i])->kind != CN_BLOCK_NORMAL)
            take_checkpoint(node, cn_ledger_block_header(blocks[i]));
    sign_newest(node);
    hear_again(node);
}

void cn_endorse_offer(cn_node *node, unsigned slot)
{
    say_stored(node, (int)slot);
}

void cn_endorse_poll(cn_node *node, uint64_t now_ms)
{
    struct cn_endorser *e = node->endorser;
    if (!e->at[0].set || e->at[0].count == e->at[0].voters.n || now_ms < e->said_ms + SAY_AGAIN_MS)
        return;
    bool first = e->said_ms == 0;
    e->said_ms = now_ms;
    sign_newest(node);
    if (!first)
        say_stored(node, -1);
}

void cn_endorse_count(cn_node *node, uint64_t *ret_height, unsigned *ret_held, unsigned *ret_of, bool *ret_own)
{
    const signed_one *at = &node->endorser->at[0];
    int place = at->set ? cn_validator_set_find(&at->voters, &node->member) : -1;
    *ret_height = at->set ? at->checkpoint.height : 0;
    *ret_held = at->count;
    *ret_of = at->set ? at->voters.n : 0;
    *ret_own = place >= 0 && at->held[place];
}
