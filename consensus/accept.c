/* Checking proposals: who, under which evidence, on which parent, at what time (R1, R2, R13). */
#include "consensus/core.h"

#include <stdlib.h>
#include <string.h>

/* Imports the certificates a proposal carries; what does not verify is ignored here and missed below. */
static void import_evidence(cn_consensus *c, const cn_proposal *p)
{
    for (size_t i = 0; i < p->evidence_count && !c->stopped; i++)
        if (p->evidence[i].view < p->view)
            cn_add_certificate(c, &p->evidence[i], false);
}

/* The parent is final, or notarized in parent_view; every view between it and the proposal's is nullified. */
static bool evidence_holds(cn_consensus *c, const cn_proposal *p, bool *ret_missing)
{
    if (CN_MUTATION("ancestry-skipped"))
        return true;
    const slot *s = cn_slot_find(c, p->parent_view);
    cn_digest own = cn_header_digest_bytes(p->header_bytes);
    /* R11: a closing block is its own parent when it is proposed again */
    bool again = p->header.kind == CN_BLOCK_CLOSING && p->parent_view > c->final_view && cn_certified(s, CN_NOTARIZE) &&
                 cn_digest_eq(&s->cert[CN_NOTARIZE - 1]->block, &own);
    bool parent_ok =
        again || (cn_certified(s, CN_NOTARIZE) && cn_digest_eq(&s->cert[CN_NOTARIZE - 1]->block, &p->header.parent)) ||
        (cn_certified(s, CN_FINALIZE) && cn_digest_eq(&s->cert[CN_FINALIZE - 1]->block, &p->header.parent)) ||
        (p->parent_view == c->final_view && cn_digest_eq(&c->entry[0]->block.digest, &p->header.parent));
    if (!parent_ok)
        return false;
    uint64_t missing = 0;
    for (uint64_t v = p->view - 1; v > p->parent_view; v--)
        if (v > c->final_view && !cn_certified(cn_slot_find(c, v), CN_NULLIFY))
            missing = v;
    if (!missing)
        return p->parent_view >= c->final_view;
    /* only views behind the 64 inline ones may be fetched; a nearer one is the leader's fault */
    bool far = missing + CN_MAX_INLINE_NULLIFICATIONS < p->view;
    if (far) {
        cn_buf bytes;
        cn_buf_init(&bytes, 64);
        cn_cert_request_write(c->cfg.epoch, missing, p->view - 1, &bytes);
        cn_emit_send(c, cn_leader(c, p->view), &bytes);
        *ret_missing = true;
    }
    return false;
}

/* What the header says by itself; execution checks the rest. NULL: nothing is wrong. */
static const char *header_fault(const cn_consensus *c, const cn_proposal *p, const entry *parent)
{
    const cn_header *h = &p->header;
    bool closing = h->kind == CN_BLOCK_CLOSING, skipped = CN_MUTATION("closing-skipped");
    if (!skipped && (h->epoch != c->cfg.epoch || !cn_digest_eq(&h->set, &c->cfg.set) ||
                     (!closing && !cn_digest_eq(&h->next_set, &c->cfg.set))))
        return "epoch or set";
    if (h->kind == CN_BLOCK_NORMAL ? p->record_count == 0 : p->record_count > 0)
        return "kind";
    if (parent && !skipped && parent->exec == EXEC_VALID &&
        (parent->closing_due != closing || cn_is_closing(c, parent)))
        return "a ready set change is followed by a closing block, and that by the next epoch (R11)";
    if (h->time_ms > cn_wall(c) + CN_MAX_CLOCK_AHEAD_MS && !CN_MUTATION("time-unchecked"))
        return "time is ahead of this node's clock";
    if (parent && (h->height != parent->block.header.height + 1 || h->time_ms <= parent->block.header.time_ms ||
                   h->log_size != parent->block.header.log_size + p->record_count))
        return "height, time or log size do not follow the parent";
    return NULL;
}

static void accept(cn_consensus *c, slot *s, const cn_proposal *p, const cn_digest *digest)
{
    bool missing = false;
    const entry *parent = cn_entry_find(c, &p->header.parent);
    bool evidence = evidence_holds(c, p, &missing);
    if (missing)
        return; /* the proposal is resent; the certificates come meanwhile */
    s = cn_slot(c, p->view);
    s->has_proposal = true;
    s->proposed = *digest;
    s->proposal_ms = c->now;
    if (!evidence || header_fault(c, p, parent)) {
        s->invalid = true;
        return;
    }
    cn_block block = {.digest = *digest, .header = p->header, .record_count = p->record_count, .record = p->record};
    for (size_t i = 0; i < c->want_count; i++)
        if (cn_digest_eq(&c->want[i].digest, digest))
            c->want[i] = c->want[--c->want_count];
    entry *e = cn_entry_add(c, &block, p->view);
    if (e && !parent && e != c->entry[0])
        cn_fetch(c, &p->header.parent);
}

static void count_leader_vote(cn_consensus *c, const cn_proposal *p, const cn_digest *digest, unsigned leader)
{
    cn_vote vote = {.kind = CN_NOTARIZE,
                    .epoch = p->epoch,
                    .view = p->view,
                    .block = *digest,
                    .signer = (uint16_t)leader,
                    .signature = p->vote};
    cn_add_vote(c, &vote, leader == c->cfg.self ? c->cfg.n : leader);
}

void cn_on_proposal(cn_consensus *c, unsigned from, const uint8_t *bytes, size_t n)
{
    cn_proposal p;
    if (!cn_proposal_read(&c->cfg.network, bytes, n, &p)) {
        c->bad_messages++;
        return;
    }
    unsigned leader = cn_leader(c, p.view);
    bool here = p.epoch == c->cfg.epoch;
    if (p.epoch < c->cfg.epoch)
        cn_answer_older_epoch(c, from);
    for (size_t i = 0; p.epoch > c->cfg.epoch && i < p.evidence_count; i++) /* perhaps the end of this epoch */
        if (p.evidence[i].epoch == c->cfg.epoch)
            cn_add_certificate(c, &p.evidence[i], false);
    if (p.epoch > c->cfg.epoch || p.view > c->view + CN_VIEW_WINDOW)
        cn_want_sync(c);
    if (!here || p.view + CN_VIEW_WINDOW <= c->view || p.view <= c->final_view || p.view > c->view + CN_VIEW_WINDOW)
        goto done;
    slot *s = cn_slot(c, p.view);
    cn_digest digest = cn_header_digest_bytes(p.header_bytes);
    if (s->has_proposal && cn_digest_eq(&s->proposed, &digest))
        goto done;
    if (!c->cfg.crypto.verify(c->cfg.crypto.ctx, leader, &p.signed_digest, p.signature.b)) {
        c->bad_messages++;
        goto done;
    }
    cn_heard(c, leader);
    import_evidence(c, &p);
    cn_advance(c);
    if (p.view <= c->final_view || c->stopped)
        goto done;
    s = cn_slot(c, p.view);
    if (s->has_proposal && !cn_digest_eq(&s->proposed, &digest)) {
        s->equivocated = true; /* two signed proposals; the votes in them are the transferable evidence (R10) */
        count_leader_vote(c, &p, &digest, leader);
    } else if (!s->has_proposal) {
        accept(c, s, &p, &digest);
        if (p.view <= c->view + 1)
            count_leader_vote(c, &p, &digest, leader);
    }
    cn_advance(c);
done:
    cn_proposal_clear(&p);
}

/* R2, for the current view. */
void cn_try_notarize(cn_consensus *c)
{
    slot *s = cn_slot(c, c->view);
    if (!s->has_proposal || s->invalid || s->row.notarized || s->row.nullified)
        return;
    entry *e = cn_entry_find(c, &s->proposed);
    if (!e || e->exec != EXEC_VALID || !cn_descends_from_final(c, e) || e == c->entry[0])
        return;
    if (s->equivocated)
        return; /* R4 would keep it from finality; the view will be nullified */
    cn_request_signature(c, CN_NOTARIZE, c->view, &s->proposed, true);
}
