/* R5: every vote signature passes may_sign, over the rows of the safety table, and leaves only when its row is
 * durable. Nothing else in this library calls crypto.sign for a vote. */
#include "consensus/core.h"

#include <stdlib.h>

/* The whole rule, over one row. Signing the same vote again is harmless and allowed. */
bool cn_may_sign(const cn_consensus *c, uint8_t kind, uint64_t view, const cn_digest *block)
{
    if (!c->cfg.may_vote || c->cfg.self >= c->cfg.n || c->stopped)
        return false;
    if (view <= c->floor_view)
        return false;
    const slot *s = cn_slot_find(c, view);
    const cn_sign_row none = {0}, *row = s ? &s->row : &none;
    switch (kind) {
    case CN_NOTARIZE: /* R2: one block, and not after giving the view up */
        if (CN_MUTATION("notarize-twice"))
            return true;
        if (row->notarized)
            return cn_digest_eq(&row->block, block);
        /* the row has room for one block: another one would rewrite what was finalized */
        return !row->nullified && (!row->finalized || cn_digest_eq(&row->block, block));
    case CN_NULLIFY: /* R3 */
        return !row->finalized || CN_MUTATION("nullify-after-finalize");
    case CN_FINALIZE: /* R4; a node that notarized another block has seen the leader equivocate */
        if (row->nullified && !CN_MUTATION("finalize-after-nullify"))
            return false;
        return !(row->notarized || row->finalized) || cn_digest_eq(&row->block, block) || CN_MUTATION("notarize-twice");
    default:
        return false;
    }
}

static bool row_covers(const cn_sign_row *row, uint8_t kind, const cn_digest *block)
{
    switch (kind) {
    case CN_NOTARIZE:
        return row->notarized && cn_digest_eq(&row->block, block);
    case CN_NULLIFY:
        return row->nullified;
    default:
        return row->finalized && cn_digest_eq(&row->block, block);
    }
}

static void mark(cn_sign_row *row, uint8_t kind, const cn_digest *block)
{
    if (kind == CN_NULLIFY)
        row->nullified = true;
    else
        row->block = *block;
    row->notarized = row->notarized || kind == CN_NOTARIZE;
    row->finalized = row->finalized || kind == CN_FINALIZE;
}

static void release(cn_consensus *c, uint8_t kind, uint64_t view, const cn_digest *block)
{
    slot *s = cn_slot(c, view);
    CN_ASSERT(row_covers(&s->row, kind, block) || CN_MUTATION("notarize-twice"));
    cn_vote vote = {
        .kind = kind, .epoch = c->cfg.epoch, .view = view, .block = *block, .signer = (uint16_t)c->cfg.self};
    cn_digest digest = cn_signed_digest(c, vote.epoch, kind, view, block);
    c->cfg.crypto.sign(c->cfg.crypto.ctx, &digest, &vote.signature);
    if (kind == CN_NOTARIZE && cn_leader(c, view) == c->cfg.self && view == c->view)
        cn_send_proposal(c, s, &vote.signature);
    cn_buf bytes;
    cn_buf_init(&bytes, 256);
    cn_vote_write(&vote, &bytes);
    cn_emit_send(c, CN_TO_ALL, &bytes);
    cn_add_vote(c, &vote, c->cfg.self);
}

/* Who has signed finalize must not nullify, so its view ends by the notarization alone. Should all who hold it crash
 * while a validator whose vote it needs is gone for good, nobody could form it again: it is as durable as the row. */
static void attach_notarization(cn_action *a, const slot *s)
{
    cn_buf bytes;
    if (!cn_certified(s, CN_NOTARIZE) || CN_MUTATION("notarization-not-durable"))
        return;
    cn_buf_init(&bytes, CN_CERTIFICATE_MAX);
    cn_certificate_encode(s->cert[CN_NOTARIZE - 1], &bytes);
    CN_ASSERT(!bytes.fault);
    a->bytes = bytes.p;
    a->n = bytes.n;
}

bool cn_request_signature(cn_consensus *c, uint8_t kind, uint64_t view, const cn_digest *block, bool store_body)
{
    if (!cn_may_sign(c, kind, view, block))
        return false;
    slot *s = cn_slot(c, view);
    if (row_covers(&s->row, kind, block) && !store_body) {
        for (size_t i = 0; i < c->pending_count; i++) /* already on its way to the disk */
            if (c->pending[i].kind == kind && c->pending[i].view == view)
                return true;
        release(c, kind, view, block);
        return true;
    }
    s->row.epoch = c->cfg.epoch;
    s->row.view = view;
    mark(&s->row, kind, block);
    if (c->pending_count == c->pending_cap) {
        c->pending_cap = c->pending_cap ? 2 * c->pending_cap : 16;
        c->pending = realloc(c->pending, c->pending_cap * sizeof *c->pending);
        CN_ASSERT(c->pending);
    }
    c->pending[c->pending_count++] = (pending_signature){kind, view, ++c->token, *block};
    cn_action *a = cn_emit(c, CN_ACT_PERSIST);
    a->has_row = true;
    a->row = s->row;
    a->token = c->token;
    if (kind == CN_FINALIZE)
        attach_notarization(a, s);
    entry *e = store_body ? cn_entry_find(c, block) : NULL;
    if (e && !e->durable) {
        a->store_body = true;
        e->store_token = c->token;
        a->block = &e->block;
    }
    return true;
}

void cn_on_persisted(cn_consensus *c, uint64_t token)
{
    if (token > c->token)
        return;
    if (token > c->persisted)
        c->persisted = token;
    for (size_t i = 0; i < c->entry_count; i++)
        if (c->entry[i]->store_token && c->entry[i]->store_token <= c->persisted)
            c->entry[i]->durable = true;
    size_t kept = 0, count = c->pending_count;
    pending_signature *ready = cn_alloc((count + 1) * sizeof *ready);
    size_t ready_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (c->pending[i].token <= c->persisted)
            ready[ready_count++] = c->pending[i];
        else
            c->pending[kept++] = c->pending[i];
    }
    c->pending_count = kept;
    for (size_t i = 0; i < ready_count && !c->stopped; i++)
        if (ready[i].view > c->floor_view) /* decided meanwhile: the vote is of no use any more */
            release(c, ready[i].kind, ready[i].view, &ready[i].block);
    free(ready);
}

/* Votes of an earlier life are signed again, from the table: the same bytes, or an equally valid signature. */
void cn_restore_rows(cn_consensus *c, const cn_sign_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const cn_sign_row *row = &rows[i];
        if (!cn_our_epoch(c, row->epoch) || row->view <= c->floor_view || row->view < c->base)
            continue;
        slot *s = cn_slot(c, row->view);
        s->row = *row;
        s->restored = true;
    }
}
