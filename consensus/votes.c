/* Votes are tallied by signer, never by arrival (R9); q equal votes make a certificate. */
#include "consensus/core.h"
#include "proto/evidence.h"

#include <stdlib.h>
#include <string.h>

#define REPLY_MAX 16u

bool cn_certified(const slot *s, uint8_t kind)
{
    return s && s->cert[kind - 1];
}

/* R6: a vote for a view that is over is answered, also where it ended by the other certificate. */
static bool answers(const slot *s, uint8_t kind)
{
    return cn_certified(s, kind) || (kind == CN_NULLIFY && cn_certified(s, CN_NOTARIZE)) ||
           (kind == CN_NOTARIZE && cn_certified(s, CN_NULLIFY));
}

/* ---- slots ---- */

slot *cn_slot_find(const cn_consensus *c, uint64_t view)
{
    return view >= c->base && view - c->base < c->slot_count ? &c->slot[view - c->base] : NULL;
}

slot *cn_slot(cn_consensus *c, uint64_t view)
{
    CN_ASSERT(view >= c->base);
    size_t need = (size_t)(view - c->base) + 1;
    if (need > c->slot_cap) {
        size_t cap = c->slot_cap ? c->slot_cap : 64;
        while (cap < need)
            cap *= 2;
        c->slot = realloc(c->slot, cap * sizeof *c->slot);
        CN_ASSERT(c->slot);
        c->slot_cap = cap;
    }
    for (; c->slot_count < need; c->slot_count++)
        c->slot[c->slot_count] = (slot){.view = c->base + c->slot_count};
    return &c->slot[view - c->base];
}

static void slot_clear(slot *s)
{
    for (unsigned k = 0; k < KINDS; k++) {
        free(s->votes[k]);
        free(s->cert[k]);
    }
    free(s->proposal);
}

/* Drops what lies at or below the final view; behind the window only certificates stay (R1 needs nullifications). */
void cn_slots_trim(cn_consensus *c)
{
    size_t gone = 0;
    while (gone < c->slot_count && c->slot[gone].view + CN_VIEW_WINDOW <= c->final_view)
        slot_clear(&c->slot[gone++]);
    if (gone) {
        memmove(c->slot, c->slot + gone, (c->slot_count - gone) * sizeof *c->slot);
        c->slot_count -= gone;
        c->base += gone;
    }
    for (size_t i = 0; i < c->slot_count && c->slot[i].view + CN_VIEW_WINDOW < c->view; i++)
        for (unsigned k = 0; k < KINDS; k++) {
            free(c->slot[i].votes[k]);
            c->slot[i].votes[k] = NULL;
        }
}

/* ---- certificates ---- */

/* Which votes count here, and what they sign: the epoch is part of both (R11). */
bool cn_our_epoch(const cn_consensus *c, uint64_t epoch)
{
    return epoch == c->cfg.epoch || CN_MUTATION("epoch-ignored");
}

cn_digest cn_signed_digest(const cn_consensus *c, uint64_t epoch, uint8_t kind, uint64_t view, const cn_digest *block)
{
    return cn_vote_digest(&c->cfg.network, CN_MUTATION("epoch-ignored") ? 0 : epoch, kind, view, block);
}

static bool signed_by(const cn_consensus *c, unsigned signer, const cn_digest *digest, const uint8_t *signature)
{
    if (CN_MUTATION("bitmap-unchecked")) { /* a signature by any member counts for the one that the bitmap names */
        for (unsigned i = 0; i < c->cfg.n; i++)
            if (c->cfg.crypto.verify(c->cfg.crypto.ctx, i, digest, signature))
                return true;
        return false;
    }
    return c->cfg.crypto.verify(c->cfg.crypto.ctx, signer, digest, signature);
}

bool cn_verify_certificate(const cn_consensus *c, const cn_certificate *cert)
{
    unsigned need = CN_MUTATION("quorum-minus-one") ? c->quorum - 1 : c->quorum, at = 0;
    if (cert->n != c->cfg.n || !cn_our_epoch(c, cert->epoch) || cert->signature_count < need)
        return false;
    cn_digest digest = cn_signed_digest(c, cert->epoch, cert->kind, cert->view, &cert->block);
    for (unsigned i = 0; i < cert->n; i++) {
        if (!(cert->bitmap[i / 8] >> (i % 8) & 1))
            continue;
        if (at == cert->signature_count || !signed_by(c, i, &digest, cert->signature[at++].b))
            return false;
    }
    return at == cert->signature_count;
}

static void broadcast_certificate(cn_consensus *c, const cn_certificate *cert, unsigned to)
{
    cn_buf bytes;
    cn_buf_init(&bytes, CN_CERTIFICATE_MAX + 2);
    cn_certificate_message_write(cert, &bytes);
    cn_emit_send(c, to, &bytes);
}

static void on_notarization(cn_consensus *c, slot *s)
{
    const cn_digest *block = &s->cert[CN_NOTARIZE - 1]->block;
    entry *e = cn_entry_find(c, block);
    s->notarized_ms = c->now;
    cn_fetch_ancestry(c, block);
    if (e && e->view < s->view)
        e->view = s->view;
    if (e && e->exec == EXEC_INVALID)
        cn_stop(c, "a quorum notarized a block that does not execute here: this node has diverged; compare carnet fsck "
                   "with another node");
}

static void on_finalization(cn_consensus *c, slot *s)
{
    if (s->view > c->view + 1)
        cn_want_sync(c);
    cn_try_final(c);
}

void cn_add_certificate(cn_consensus *c, const cn_certificate *cert, bool verified)
{
    if (!cn_our_epoch(c, cert->epoch)) {
        if (cert->epoch > c->cfg.epoch)
            cn_want_sync(c);
        return;
    }
    if (cert->view <= c->final_view && cert->view < c->base)
        return;
    if (cert->view > c->view + 100000) { /* a view so far ahead is reached by sync, not by memory */
        if (verified || cn_verify_certificate(c, cert))
            cn_want_sync(c);
        return;
    }
    if (cert->view < c->base || cn_certified(cn_slot_find(c, cert->view), cert->kind))
        return;
    if (!verified && !cn_verify_certificate(c, cert)) { /* before any memory is spent on its view (R9) */
        c->bad_messages++;
        return;
    }
    slot *s = cn_slot(c, cert->view);
    s->cert[cert->kind - 1] = cn_alloc(sizeof *cert);
    *s->cert[cert->kind - 1] = *cert;
    if (cert->view > c->final_view || cert->kind == CN_FINALIZE)
        broadcast_certificate(c, cert, CN_TO_ALL); /* once, when first held (R6) */
    if (cert->view <= c->final_view)
        return;
    if (cert->kind == CN_NOTARIZE)
        on_notarization(c, s);
    else if (cert->kind == CN_FINALIZE)
        on_finalization(c, s);
    s = cn_slot_find(c, cert->view);
    if (s)
        cn_try_finalize_vote(c, s);
}

/* ---- votes ---- */

static void make_certificate(cn_consensus *c, slot *s, uint8_t kind, const cn_digest *block)
{
    const tally *t = s->votes[kind - 1];
    cn_certificate cert = {
        .kind = kind, .epoch = c->cfg.epoch, .view = s->view, .block = *block, .n = (uint8_t)c->cfg.n};
    unsigned need = CN_MUTATION("quorum-minus-one") ? c->quorum - 1 : c->quorum;
    if (CN_MUTATION("count-arrivals") ||
        CN_MUTATION("own-vote-twice")) { /* as many signatures as there are; the rest is claimed */
        for (unsigned i = 0; i < c->cfg.n && cert.signature_count < need; i++)
            if ((t->seen >> i & 1) && cn_digest_eq(&t->block[i], block)) {
                cert.bitmap[i / 8] |= (uint8_t)(1u << (i % 8));
                cert.signature[cert.signature_count++] = t->signature[i];
            }
        cn_add_certificate(c, &cert, true);
        return;
    }
    for (unsigned i = 0; i < c->cfg.n && cert.signature_count < need; i++) {
        if (!(t->seen >> i & 1) || !cn_digest_eq(&t->block[i], block))
            continue;
        cert.bitmap[i / 8] |= (uint8_t)(1u << (i % 8));
        cert.signature[cert.signature_count++] = t->signature[i];
    }
    cn_add_certificate(c, &cert, true);
}

static unsigned count_equal(const cn_consensus *c, const slot *s, const tally *t, const cn_digest *block)
{
    /* a mutation: the vote of the table's row is one, the same vote in the tally another */
    unsigned equal = CN_MUTATION("own-vote-twice") && s->restored && cn_digest_eq(&s->row.block, block);
    for (unsigned i = 0; i < c->cfg.n; i++)
        equal += (t->seen >> i & 1) && cn_digest_eq(&t->block[i], block);
    return CN_MUTATION("count-arrivals") ? t->arrivals : equal;
}

/* R10: two different votes of one kind in a view, or finalize and nullify, prove misbehaviour. */
static void emit_evidence(cn_consensus *c, const cn_vote *a, const cn_vote *b)
{
    const cn_evidence proof = {.epoch = a->epoch,
                               .view = a->view,
                               .signer = a->signer,
                               .vote = {{a->kind, a->block, a->signature}, {b->kind, b->block, b->signature}}};
    uint8_t *bytes = cn_alloc(CN_EVIDENCE_LEN);
    cn_evidence_encode(&proof, bytes);
    c->equivocations++;
    cn_action *act = cn_emit(c, CN_ACT_EVIDENCE);
    act->to = a->signer;
    act->bytes = bytes;
    act->n = CN_EVIDENCE_LEN;
}

static bool stored_vote(const cn_consensus *c, const slot *s, uint8_t kind, unsigned signer, cn_vote *ret)
{
    const tally *t = s->votes[kind - 1];
    if (!t || !(t->seen >> signer & 1))
        return false;
    *ret = (cn_vote){.kind = kind,
                     .epoch = c->cfg.epoch,
                     .view = s->view,
                     .block = t->block[signer],
                     .signer = (uint16_t)signer,
                     .signature = t->signature[signer]};
    return true;
}

static void check_conflict(cn_consensus *c, const slot *s, const cn_vote *vote)
{
    cn_vote other;
    uint8_t against = vote->kind == CN_FINALIZE ? CN_NULLIFY : vote->kind == CN_NULLIFY ? CN_FINALIZE : 0;
    if (against && stored_vote(c, s, against, vote->signer, &other))
        emit_evidence(c, &other, vote);
}

/* R5: a valid signature of our own that the table does not know means that the table is not ours any more. */
static void check_own(cn_consensus *c, const slot *s, const cn_vote *vote)
{
    const cn_sign_row *row = &s->row;
    if (!c->cfg.may_vote)
        return; /* it knows already, and follows: whoever says its old votes again must not end that */
    bool known = vote->kind == CN_NULLIFY    ? row->nullified
                 : vote->kind == CN_NOTARIZE ? row->notarized && cn_digest_eq(&row->block, &vote->block)
                                             : row->finalized && cn_digest_eq(&row->block, &vote->block);
    if (!known && vote->view > c->floor_view && !CN_MUTATION("votes-not-durable") && !CN_MUTATION("notarize-twice") &&
        !CN_MUTATION("floor-falls") && !CN_MUTATION("epoch-ignored"))
        cn_stop(c, "a valid vote of this node is not in its safety table: another process votes with this key, or the "
                   "table was restored");
}

static void reply_with_certificates(cn_consensus *c, unsigned from, uint64_t view)
{
    unsigned slot_of = from < c->cfg.n ? from : c->cfg.n;
    if (c->now < c->replied_ms[slot_of] + c->cfg.delay_floor_ms / 2)
        return;
    c->replied_ms[slot_of] = c->now;
    if (view <= c->final_view && c->final_cert)
        broadcast_certificate(c, c->final_cert, from);
    unsigned sent = 0;
    for (uint64_t v = view > c->final_view ? view : c->final_view + 1; v < c->view && sent < REPLY_MAX; v++) {
        const slot *s = cn_slot_find(c, v);
        for (unsigned k = 0; s && k < KINDS; k++)
            if (s->cert[k]) {
                broadcast_certificate(c, s->cert[k], from);
                sent++;
            }
    }
}

void cn_add_vote(cn_consensus *c, const cn_vote *vote, unsigned from)
{
    bool own = vote->signer == c->cfg.self, ours = own && from == c->cfg.self;
    if (!cn_our_epoch(c, vote->epoch)) {
        if (vote->epoch > c->cfg.epoch)
            cn_want_sync(c);
        else
            cn_answer_older_epoch(c, from);
        return;
    }
    if (vote->signer >= c->cfg.n)
        return;
    if (vote->view > c->view + 1 && !ours) { /* R9; a hint to ask (R12) */
        cn_want_sync(c);
        return;
    }
    if (vote->view + CN_VIEW_WINDOW <= c->view || vote->view <= c->final_view || vote->view < c->base) {
        if (from != c->cfg.self)
            reply_with_certificates(c, from, vote->view);
        return;
    }
    slot *s = cn_slot(c, vote->view);
    tally *t = s->votes[vote->kind - 1];
    if (!t)
        t = s->votes[vote->kind - 1] = cn_alloc(sizeof *t);
    bool seen = t->seen >> vote->signer & 1;
    if (seen && cn_digest_eq(&t->block[vote->signer], &vote->block) && !CN_MUTATION("count-arrivals")) {
        if (answers(s, vote->kind) && from != c->cfg.self && vote->view < c->view)
            reply_with_certificates(c, from, vote->view);
        return;
    }
    if (seen && (s->reported[vote->kind - 1] >> vote->signer & 1))
        return;
    cn_digest digest = cn_signed_digest(c, vote->epoch, vote->kind, vote->view, &vote->block);
    if (!ours && !c->cfg.crypto.verify(c->cfg.crypto.ctx, vote->signer, &digest, vote->signature.b)) {
        c->bad_messages++;
        return;
    }
    cn_heard(c, vote->signer);
    if (own && !ours)
        check_own(c, s, vote);
    cn_vote first;
    if (seen && !cn_digest_eq(&t->block[vote->signer], &vote->block) &&
        stored_vote(c, s, vote->kind, vote->signer, &first)) {
        emit_evidence(c, &first, vote);
        s->reported[vote->kind - 1] |= 1u << vote->signer;
        if (vote->signer == cn_leader(c, vote->view))
            s->equivocated = true;
        return; /* the first one stays counted, the other is evidence only */
    }
    check_conflict(c, s, vote);
    t->seen |= 1u << vote->signer;
    t->block[vote->signer] = vote->block;
    t->signature[vote->signer] = vote->signature;
    t->arrivals++;
    unsigned need = CN_MUTATION("quorum-minus-one") ? c->quorum - 1 : c->quorum;
    if (!s->cert[vote->kind - 1] && count_equal(c, s, t, &vote->block) >= need)
        make_certificate(c, s, vote->kind, &vote->block);
    else if (answers(s, vote->kind) && from != c->cfg.self && vote->view < c->view)
        reply_with_certificates(c, from, vote->view);
}

/* R4 */
void cn_try_finalize_vote(cn_consensus *c, slot *s)
{
    if (s->view <= c->final_view || !cn_certified(s, CN_NOTARIZE) || s->row.finalized || s->equivocated)
        return;
    cn_digest block = s->cert[CN_NOTARIZE - 1]->block;
    if (!cn_may_sign(c, CN_FINALIZE, s->view, &block))
        return;
    entry *e = cn_entry_find(c, &block), *at = e;
    if (!e || e->exec != EXEC_VALID || !cn_descends_from_final(c, e))
        return;
    for (; at != c->entry[0]; at = cn_entry_find(c, &at->block.header.parent)) {
        if (at->durable || at->store_token)
            continue;
        cn_action *a = cn_emit(c, CN_ACT_PERSIST); /* a body without a row: notarized by others */
        a->store_body = true;
        a->block = &at->block;
        a->token = at->store_token = ++c->token;
    }
    /* one journal, in order: when this row is durable, so are the bodies asked for before it */
    cn_request_signature(c, CN_FINALIZE, s->view, &block, false);
}

/* ---- requests and resending ---- */

/* R11: who still speaks of an older epoch has not seen its end. */
void cn_answer_older_epoch(cn_consensus *c, unsigned from)
{
    unsigned slot_of = from < c->cfg.n ? from : c->cfg.n;
    if (!c->opening || from == c->cfg.self || c->now < c->replied_ms[slot_of] + c->cfg.delay_floor_ms / 2)
        return;
    c->replied_ms[slot_of] = c->now;
    broadcast_certificate(c, c->opening, from);
}

void cn_answer_request(cn_consensus *c, unsigned from, uint64_t first, uint64_t last)
{
    unsigned slot_of = from < c->cfg.n ? from : c->cfg.n, sent = 0;
    if (c->now < c->replied_ms[slot_of] + c->cfg.delay_floor_ms / 2)
        return;
    c->replied_ms[slot_of] = c->now;
    if (first < c->base)
        first = c->base;
    for (uint64_t v = first; v <= last && v <= c->view && sent < CN_MAX_INLINE_NULLIFICATIONS; v++) {
        const slot *s = cn_slot_find(c, v);
        for (unsigned kind = CN_NOTARIZE; s && kind <= CN_NULLIFY; kind++)
            if (s->cert[kind - 1]) {
                broadcast_certificate(c, s->cert[kind - 1], from);
                sent++;
            }
    }
}

static void resend_vote(cn_consensus *c, const slot *s, uint8_t kind)
{
    cn_vote vote;
    const cn_sign_row *row = &s->row;
    bool signed_it = kind == CN_NOTARIZE ? row->notarized : kind == CN_NULLIFY ? row->nullified : row->finalized;
    if (!signed_it)
        return;
    if (!stored_vote(c, s, kind, c->cfg.self, &vote)) { /* after a restart: signed again, through may_sign */
        static const cn_digest none;
        cn_request_signature(c, kind, s->view, kind == CN_NULLIFY ? &none : &row->block, false);
        return;
    }
    cn_buf bytes;
    cn_buf_init(&bytes, 256);
    cn_vote_write(&vote, &bytes);
    cn_emit_send(c, CN_TO_ALL, &bytes);
}

/* Certificates of later views show that this node missed some; a leader that cannot prove its ancestry misses some too.
 */
static void request_missing(cn_consensus *c)
{
    uint64_t parent_view = 0, first = c->final_view + 1, last = 0;
    for (size_t i = c->slot_count; i > 0 && !last; i--)
        for (unsigned k = 0; k < KINDS; k++)
            if (c->slot[i - 1].view > c->view && c->slot[i - 1].cert[k])
                last = c->slot[i - 1].view;
    if (last)
        first = c->view;
    else if (c->view > c->final_view + 1 && !cn_choose_parent(c, c->view, &parent_view))
        last = c->view - 1;
    if (!last)
        return;
    if (last - first >= CN_MAX_INLINE_NULLIFICATIONS)
        last = first + CN_MAX_INLINE_NULLIFICATIONS - 1;
    cn_buf bytes;
    cn_buf_init(&bytes, 64);
    cn_cert_request_write(c->cfg.epoch, first, last, &bytes);
    cn_emit_send(c, CN_TO_ALL, &bytes);
}

/* R7: every D, current notarize, nullify and unfinished finalize votes; with a nullify the certificate that entered
 * its view; the leader's proposal. */
void cn_resend(cn_consensus *c)
{
    request_missing(c);
    if (c->cfg.self >= c->cfg.n)
        return;
    uint64_t first = c->view > c->final_view + 8 ? c->view - 8 : c->final_view + 1;
    for (uint64_t v = first; v <= c->view; v++) {
        slot *s = cn_slot_find(c, v);
        if (!s)
            continue;
        if (v == c->view) {
            if (s->proposal && !cn_certified(s, CN_NOTARIZE)) {
                cn_buf bytes;
                cn_buf_init(&bytes, CN_MAX_MESSAGE_BYTES);
                cn_put_bytes(&bytes, s->proposal, s->proposal_n);
                cn_emit_send(c, CN_TO_ALL, &bytes);
            }
            resend_vote(c, s, CN_NOTARIZE);
            resend_vote(c, s, CN_NULLIFY);
            const slot *before = cn_slot_find(c, v - 1);
            for (unsigned k = 0; s->row.nullified && before && k < KINDS; k++)
                if (before->cert[k])
                    broadcast_certificate(c, before->cert[k], CN_TO_ALL);
        }
        s = cn_slot_find(c, v);
        if (s && !cn_certified(s, CN_FINALIZE))
            resend_vote(c, s, CN_FINALIZE);
    }
    if (c->final_cert && c->view > c->final_view + 1 && c->nullified_in_a_row > 2)
        broadcast_certificate(c, c->final_cert, CN_TO_ALL);
}
