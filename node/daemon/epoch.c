/* R11: one core of consensus an epoch. The set in force is the ledger's; this node votes in an epoch when the set names
 * a vote key whose file and safety table are here, and follows as an observer otherwise. */
#include "node/daemon/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DELAY_CAP_MS 30000u

static void sign_vote(void *ctx, const cn_digest *digest, cn_signature *ret)
{
    cn_node *node = ctx;
    CN_ASSERT(node->has_vote_key && cn_sign(&node->vote_key, digest, ret, NULL) == CN_OK);
}

static bool verify_vote(void *ctx, unsigned signer, const cn_digest *digest, const uint8_t signature[CN_SIGNATURE_LEN])
{
    return cn_vote_verify(((cn_node *)ctx)->vote_keys, signer, digest, signature);
}

/* ---- who votes ---- */

static void take_set(cn_node *node)
{
    cn_voters *v = calloc(1, sizeof *v);
    CN_ASSERT(v);
    v->epoch = cn_ledger_epoch_of(node->ledger, NULL);
    v->set = *cn_ledger_set_of(node->ledger, NULL);
    v->digest = cn_validator_set_digest(&v->set);
    int self = cn_validator_set_find(&v->set, &node->member);
    v->self = self < 0 ? CN_OBSERVER : (unsigned)self;
    for (unsigned i = 0; i < v->set.n; i++) {
        cn_state_member member;
        if (cn_ledger_member(node->ledger, NULL, &v->set.row[i].member, &member))
            memcpy(v->name[i], member.name, sizeof v->name[i]);
        else
            snprintf(v->name[i], sizeof v->name[i], "%.16s", cn_digest_hex(&v->set.row[i].member).s);
    }
    cn_vote_keys *keys = cn_vote_keys_new(&v->set), *old;
    CN_ASSERT(keys);
    pthread_rwlock_wrlock(&node->voters_lock); /* workers verify with them */
    old = node->vote_keys;
    node->vote_keys = keys;
    node->voters = *v;
    pthread_rwlock_unlock(&node->voters_lock);
    cn_vote_keys_free(old);
    free(v);
}

static void stay_silent(cn_node *node, const char *format, ...)
{
    char text[sizeof node->voters.silent_reason];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pthread_rwlock_wrlock(&node->voters_lock);
    memcpy(node->voters.silent_reason, text, sizeof text);
    pthread_rwlock_unlock(&node->voters_lock);
    cn_log(node, node->voters.self == CN_OBSERVER ? "info" : "warning", "does not vote in epoch %llu: %s",
           (unsigned long long)node->voters.epoch, text);
}

static void forget_vote_key(cn_node *node)
{
    cn_safety_close(node->safety);
    node->safety = NULL;
    cn_secret_key_wipe(&node->vote_key);
    node->has_vote_key = false;
}

/* Tries vote<suffix>.key; true: it is the one that the set names. */
static bool try_vote_key(cn_node *node, const char *suffix, cn_status *ret_status, cn_err *err)
{
    char name[32], path[CN_CONFIG_TEXT_MAX + 64];
    cn_key_file file;
    snprintf(name, sizeof name, "vote%s", suffix);
    snprintf(path, sizeof path, "%s/%s.key", node->config.keys_dir, name);
    if (access(path, F_OK) != 0)
        return false;
    *ret_status = cn_read_key(node, name, "vote", &file, err);
    if (*ret_status != CN_OK)
        return false;
    const cn_set_row *row = &node->voters.set.row[node->voters.self];
    bool named = !file.is_x25519 && memcmp(file.key.public_key.b, row->vote_key, sizeof row->vote_key) == 0;
    if (named) {
        node->vote_key = file.key;
        node->has_vote_key = true;
        snprintf(path, sizeof path, "%s/safety%s.journal", node->config.keys_dir, suffix);
        *ret_status = cn_safety_open(path, node->vote_key.public_key.b, &node->safety, err);
    }
    cn_key_file_wipe(&file);
    return named;
}

/* Fails only for what the operator must mend at once; a missing key or table makes a validator that follows. */
static cn_status take_vote_key(cn_node *node, cn_err *err)
{
    const cn_voters *v = &node->voters;
    cn_status st = CN_OK;
    if (v->self == CN_OBSERVER) {
        forget_vote_key(node);
        stay_silent(node, "%s is not in the validator set", node->config.name);
        return CN_OK;
    }
    if (node->safety && memcmp(node->vote_key.public_key.b, v->set.row[v->self].vote_key, 33) == 0)
        return CN_OK; /* the same key as before */
    forget_vote_key(node);
    bool found = try_vote_key(node, "", &st, err) || (st == CN_OK && try_vote_key(node, ".next", &st, err));
    if (st == CN_NOT_FOUND && found) {
        stay_silent(node,
                    "its safety table is missing from %s, so it cannot know what it has signed; rotate to a new "
                    "vote key by ballot (docs/operators.md)",
                    node->config.keys_dir);
        forget_vote_key(node);
        return CN_OK;
    }
    if (st == CN_OK && !found)
        stay_silent(node, "neither vote.key nor vote.next.key in %s is the vote key that the ledger names",
                    node->config.keys_dir);
    return st;
}

/* ---- the core ---- */

static cn_status read_certificate(cn_node *node, uint64_t height, cn_certificate *ret, cn_err *err)
{
    cn_snapshot *snap = NULL;
    cn_span bytes;
    cn_status st = cn_snapshot_open(node->store, &snap, err);
    if (st == CN_OK)
        st = cn_snapshot_certificate(snap, height, &bytes, err);
    cn_reader r = cn_reader_of(bytes.p, st == CN_OK ? bytes.n : 0);
    if (st == CN_OK)
        st = cn_certificate_read(&r, ret, err);
    cn_snapshot_close(snap);
    return st == CN_OK
               ? st
               : cn_fail(err, CN_CORRUPT, "certs", "the finalization of block %llu cannot be read; run carnet fsck",
                         (unsigned long long)height);
}

typedef struct past { /* what the ledger and the journal say about the epoch */
    cn_certificate tip, opening;
    bool has_tip, has_opening;
    cn_sign_row *row;
    size_t row_count;
    cn_block *block;
    size_t block_count;
    cn_certificate *notarization;
    size_t notarization_count;
} past;

static cn_status read_certificates(cn_node *node, past *p, cn_err *err)
{
    uint64_t height = cn_ledger_block_header(cn_ledger_tip(node->ledger))->height, closing = 0;
    cn_snapshot *snap = NULL;
    cn_span rows;
    cn_status st = height ? read_certificate(node, height, &p->tip, err) : CN_OK;
    p->has_tip = st == CN_OK && height > 0;
    if (st != CN_OK || node->voters.epoch == CN_FIRST_EPOCH)
        return st;
    st = cn_snapshot_open(node->store, &snap, err);
    if (st == CN_OK)
        st = cn_snapshot_epoch(snap, node->voters.epoch, &closing, &rows, err);
    cn_snapshot_close(snap);
    if (st == CN_OK)
        st = read_certificate(node, closing, &p->opening, err);
    p->has_opening = st == CN_OK;
    return st;
}

static cn_status read_notarizations(cn_node *node, past *p, cn_err *err)
{
    const cn_safety_certificate *kept = NULL;
    size_t count = node->safety ? cn_safety_certificates(node->safety, &kept) : 0;
    p->notarization = calloc(count + 1, sizeof *p->notarization);
    CN_ASSERT(p->notarization);
    for (size_t i = 0; i < count; i++) {
        cn_reader r = cn_reader_of(kept[i].bytes.p, kept[i].bytes.n);
        cn_certificate *c = &p->notarization[p->notarization_count];
        if (cn_certificate_read(&r, c, err) != CN_OK || !cn_reader_done(&r))
            return cn_fail(err, CN_CORRUPT, "safety",
                           "the notarization of view %llu in the safety table cannot be read",
                           (unsigned long long)kept[i].view);
        p->notarization_count += c->epoch == node->voters.epoch;
    }
    return CN_OK;
}

static cn_status read_journal(cn_node *node, bool with_bodies, past *p, cn_err *err)
{
    const cn_safety_row *row = NULL;
    const cn_safety_body *saved = NULL;
    uint64_t height = cn_ledger_block_header(cn_ledger_tip(node->ledger))->height;
    size_t rows = node->safety ? cn_safety_rows(node->safety, &row) : 0;
    size_t bodies = node->safety && with_bodies ? cn_safety_bodies(node->safety, &saved) : 0;
    cn_status st = CN_OK;
    p->row = calloc(rows + 1, sizeof *p->row);
    p->block = calloc(bodies + 1, sizeof *p->block);
    CN_ASSERT(p->row && p->block);
    for (size_t i = 0; i < rows; i++)
        p->row[p->row_count++] = (cn_sign_row){row[i].epoch,     row[i].view,      row[i].notarized,
                                               row[i].nullified, row[i].finalized, row[i].block};
    for (size_t i = 0; i < bodies && st == CN_OK; i++) {
        cn_open_body *b = NULL;
        st = cn_body_restore(node, &saved[i], &b, err);
        if (st == CN_OK && b->header.height > height && b->header.epoch == node->voters.epoch)
            p->block[p->block_count++] = (cn_block){b->digest, b->header, b->count, b->record};
    }
    return st;
}

/* Nothing at or below the floor is signed, whatever the epoch of the ledger here is. */
static bool behind_floor(cn_node *node)
{
    if (!node->safety || cn_safety_floor_epoch(node->safety) <= node->voters.epoch)
        return false;
    stay_silent(node, "its safety table is of epoch %llu: it votes again when it has caught up",
                (unsigned long long)cn_safety_floor_epoch(node->safety));
    return true;
}

static void make_core(cn_node *node, const past *p)
{
    const cn_state_parameters *parameters = &node->genesis.parameters;
    const cn_ledger_block *tip = cn_ledger_tip(node->ledger);
    bool in_epoch = p->has_tip && p->tip.epoch == node->voters.epoch; /* else the tip is what closed the last one */
    bool may_vote = node->safety && !behind_floor(node);
    uint64_t floor =
        may_vote && cn_safety_floor_epoch(node->safety) == node->voters.epoch ? cn_safety_floor_view(node->safety) : 0;
    cn_consensus_config cfg = {.network = node->genesis.network,
                               .epoch = node->voters.epoch,
                               .n = node->voters.set.n,
                               .self = node->voters.self,
                               .set = node->voters.digest,
                               .crypto = {node, sign_vote, verify_vote},
                               .delay_floor_ms = node->config.delay_floor_ms,
                               .delay_cap_ms = DELAY_CAP_MS,
                               .forward_ms = node->config.forward_ms,
                               .checkpoint_interval_ms = parameters->checkpoint_interval_ms,
                               .heartbeat_ms = parameters->heartbeat_ms,
                               .may_vote = may_vote,
                               .final_view = in_epoch ? p->tip.view : 0,
                               .final_certificate = p->has_tip ? &p->tip : NULL,
                               .final_closing_due = cn_ledger_block_closing_due(tip),
                               .opening = p->has_opening ? &p->opening : NULL,
                               .floor_view = floor,
                               .row_count = p->row_count,
                               .row = p->row,
                               .block_count = p->block_count,
                               .block = p->block,
                               .certificate_count = p->notarization_count,
                               .certificate = p->notarization};
    cfg.final_block = (cn_block){.digest = *cn_ledger_block_digest(tip), .header = *cn_ledger_block_header(tip)};
    cn_ledger_block_checkpoint(tip, &cfg.checkpoint_time_ms, &cfg.checkpoint_log_size);
    cn_consensus_free(node->core);
    node->core = cn_consensus_new(&cfg, cn_steady_ms());
    cn_bodies_prune(node);
}

static cn_status open_epoch(cn_node *node, bool with_bodies, cn_err *err)
{
    past *p = calloc(1, sizeof *p);
    CN_ASSERT(p);
    take_set(node);
    cn_status st = take_vote_key(node, err);
    if (st == CN_OK)
        st = read_certificates(node, p, err);
    if (st == CN_OK)
        st = read_journal(node, with_bodies, p, err);
    if (st == CN_OK)
        st = read_notarizations(node, p, err);
    if (st == CN_OK)
        make_core(node, p);
    free(p->row);
    free(p->block);
    free(p->notarization);
    free(p);
    return st;
}

cn_status cn_epoch_open(cn_node *node, cn_err *err)
{
    return open_epoch(node, true, err);
}

/* ---- going over ---- */

void cn_epoch_note_final(cn_node *node, const cn_ledger_block *tip)
{
    const cn_header *h = cn_ledger_block_header(tip);
    if (h->kind == CN_BLOCK_CLOSING && h->epoch == node->voters.epoch)
        node->epoch_ended = true;
}

void cn_epoch_follow(cn_node *node)
{
    cn_err err = {0};
    while (node->epoch_ended && !atomic_load(&node->stop)) {
        node->epoch_ended = false;
        cn_bodies_drop_all(node); /* nothing of an old epoch is ever replayed into a new one */
        uint64_t epoch = cn_ledger_epoch_of(node->ledger, NULL);
        cn_status st = CN_OK;
        if (node->safety && cn_safety_floor_epoch(node->safety) < epoch)
            st = cn_safety_raise_floor(node->safety, epoch, 0, &err);
        if (st == CN_OK)
            st = open_epoch(node, false, &err);
        if (st != CN_OK) {
            cn_node_fail(node, st, &err);
            return;
        }
        cn_log(node, "info", "epoch %llu begins on block %llu with %u validators", (unsigned long long)epoch,
               (unsigned long long)cn_ledger_block_header(cn_ledger_tip(node->ledger))->height, node->voters.set.n);
        cn_peers_refresh(node);
        node->pending_told = 0;
        node->offered_view = 0;
        cn_core_step(node, &(cn_event){.kind = CN_EV_TICK});
    }
}
