/* Leading: what to propose, on which parent, with which evidence (R1, R8, R13). */
#include "consensus/core.h"

#include <stdlib.h>
#include <string.h>

/* The notarized block of the highest view below `view`, such that every view in between is nullified. NULL: this node
 * does not hold the evidence. */
entry *cn_choose_parent(cn_consensus *c, uint64_t view, uint64_t *ret_parent_view)
{
    for (uint64_t p = view - 1; p > c->final_view; p--) {
        const slot *s = cn_slot_find(c, p);
        if (cn_certified(s, CN_NOTARIZE)) {
            entry *e = cn_entry_find(c, &s->cert[CN_NOTARIZE - 1]->block);
            if (e && e->exec == EXEC_VALID && cn_descends_from_final(c, e)) {
                *ret_parent_view = p;
                return e;
            }
        }
        if (!cn_certified(s, CN_NULLIFY))
            return NULL;
    }
    *ret_parent_view = c->final_view;
    return c->entry[0];
}

/* ledger.md: due when the ancestry holds statements since the last checkpoint and another interval has begun. */
uint64_t cn_checkpoint_due_ms(const cn_consensus *c, const entry *tip)
{
    uint64_t interval = c->cfg.checkpoint_interval_ms;
    if (tip->block.header.log_size == tip->checkpoint_log_size)
        return UINT64_MAX;
    return (tip->checkpoint_time_ms / interval + 1) * interval;
}

typedef enum purpose { NOTHING, STATEMENTS, EMPTY } purpose;

static purpose what_to_propose(const cn_consensus *c, const entry *tip, uint64_t parent_view, uint64_t time_ms)
{
    if (tip->closing_due) /* R11: nothing but a closing block can follow */
        return EMPTY;
    if (cn_checkpoint_due_ms(c, tip) <= time_ms)
        return EMPTY;
    if (c->pending_since_ms != UINT64_MAX && !c->build_failed)
        return tip->outstanding >= CN_MAX_OUTSTANDING ? EMPTY : STATEMENTS;
    if (tip->outstanding >= CN_MAX_OUTSTANDING)
        return EMPTY;
    if (time_ms >= tip->block.header.time_ms + c->cfg.heartbeat_ms)
        return EMPTY;
    const slot *s = cn_slot_find(c, parent_view);
    if (tip != c->entry[0] && s && c->now >= s->notarized_ms + 2 * cn_delay(c))
        return EMPTY;
    return NOTHING;
}

/* R11: until it is final, the closing block itself is proposed again, never a child of it; not before its votes had
 * their time (R8). */
static void propose_again(cn_consensus *c, slot *s, entry *closing, uint64_t parent_view)
{
    const slot *p = cn_slot_find(c, parent_view);
    if (!p || c->now < p->notarized_ms + 2 * cn_delay(c))
        return;
    closing->view = s->view;
    s->has_proposal = true;
    s->proposed = closing->block.digest;
    s->proposal_ms = c->now;
    cn_request_signature(c, CN_NOTARIZE, s->view, &s->proposed, true);
}

void cn_try_propose(cn_consensus *c)
{
    slot *s = cn_slot(c, c->view);
    uint64_t parent_view = 0;
    if (c->stopped || !c->cfg.may_vote || c->building || cn_leader(c, c->view) != c->cfg.self || s->has_proposal ||
        s->row.nullified || (s->row.notarized && !CN_MUTATION("notarize-twice")))
        return;
    entry *tip = cn_choose_parent(c, c->view, &parent_view);
    if (!tip)
        return;
    if (cn_is_closing(c, tip) && !CN_MUTATION("closing-skipped")) {
        propose_again(c, s, tip, parent_view);
        return;
    }
    uint64_t time_ms = cn_wall(c) > tip->block.header.time_ms ? cn_wall(c) : tip->block.header.time_ms + 1;
    purpose what = what_to_propose(c, tip, parent_view, time_ms);
    if (what == NOTHING || time_ms > cn_wall(c) + CN_MAX_CLOCK_AHEAD_MS)
        return;
    c->building = true;
    cn_action *a = cn_emit(c, CN_ACT_BUILD);
    a->view = c->view;
    a->parent = tip->block.digest;
    a->want_statements = what == STATEMENTS;
    a->time_ms = time_ms;
}

void cn_on_built(cn_consensus *c, const cn_event *ev)
{
    const cn_block *block = &ev->block;
    uint64_t view = ev->view;
    c->building = false;
    if (!ev->ok) {
        c->build_failed = true; /* until the pool changes */
        return;
    }
    slot *s = cn_slot(c, c->view);
    uint64_t parent_view = 0;
    entry *tip = view == c->view ? cn_choose_parent(c, view, &parent_view) : NULL;
    if (!tip || s->has_proposal || s->row.nullified || !cn_digest_eq(&block->header.parent, &tip->block.digest))
        return; /* the view moved on while the host built */
    entry *e = cn_entry_add(c, block, view);
    if (!e)
        return;
    e->exec = EXEC_VALID;
    e->closing_due = ev->closing_due;
    s->has_proposal = true;
    s->proposed = block->digest;
    s->proposal_ms = c->now;
    cn_request_signature(c, CN_NOTARIZE, view, &block->digest, true);
}

static size_t gather_evidence(cn_consensus *c, uint64_t view, uint64_t parent_view, cn_certificate *out)
{
    size_t n = 0;
    const slot *p = cn_slot_find(c, parent_view);
    if (parent_view > c->final_view && cn_certified(p, CN_NOTARIZE))
        out[n++] = *p->cert[CN_NOTARIZE - 1];
    else if (c->final_cert && parent_view == c->final_view)
        out[n++] = *c->final_cert;
    uint64_t first = parent_view + 1;
    if (view - first > CN_MAX_INLINE_NULLIFICATIONS)
        first = view - CN_MAX_INLINE_NULLIFICATIONS;
    for (uint64_t v = first; v < view; v++) {
        const slot *s = cn_slot_find(c, v);
        if (cn_certified(s, CN_NULLIFY))
            out[n++] = *s->cert[CN_NULLIFY - 1];
    }
    return n;
}

/* Called from the one place that signs, with the leader's notarize vote. */
void cn_send_proposal(cn_consensus *c, slot *s, const cn_signature *vote)
{
    uint64_t parent_view = 0;
    entry *e = cn_entry_find(c, &s->row.block), *tip = cn_choose_parent(c, s->view, &parent_view);
    if (!e || !tip ||
        (!cn_digest_eq(&e->block.header.parent, &tip->block.digest) && !(e == tip && cn_is_closing(c, e))))
        return;
    cn_proposal p = {.epoch = c->cfg.epoch,
                     .view = s->view,
                     .parent_view = parent_view,
                     .header = e->block.header,
                     .record_count = e->block.record_count,
                     .record = (cn_digest *)(uintptr_t)e->block.record,
                     .vote = *vote};
    cn_header_encode(&p.header, p.header_bytes);
    p.evidence = cn_alloc(CN_MAX_PROPOSAL_EVIDENCE * sizeof *p.evidence);
    p.evidence_count = gather_evidence(c, s->view, parent_view, p.evidence);
    cn_buf bytes;
    cn_buf_init(&bytes, CN_MAX_MESSAGE_BYTES);
    cn_proposal_write_unsigned(&p, &bytes);
    cn_digest digest = cn_proposal_digest(&c->cfg.network, bytes.p, bytes.n);
    c->cfg.crypto.sign(c->cfg.crypto.ctx, &digest, &p.signature); /* not a vote: its tag is carnet/proposal */
    cn_put_bytes(&bytes, p.signature.b, CN_SIGNATURE_LEN);
    CN_ASSERT(!bytes.fault);
    free(p.evidence);
    free(s->proposal);
    s->proposal = cn_alloc(bytes.n);
    memcpy(s->proposal, bytes.p, bytes.n);
    s->proposal_n = bytes.n;
    s->has_proposal = true;
    s->proposed = e->block.digest;
    if (!s->proposal_ms)
        s->proposal_ms = c->now;
    cn_emit_send(c, CN_TO_ALL, &bytes);
}
