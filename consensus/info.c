/* What operators see: why nothing is being committed. */
#include "consensus/core.h"

const char *cn_wait_text(cn_wait_reason reason)
{
    static const char *const texts[] = {
#define CN_WAIT_TEXT(name, text) text,
        CN_WAIT_REASONS(CN_WAIT_TEXT)
#undef CN_WAIT_TEXT
    };
    return (size_t)reason < sizeof texts / sizeof texts[0] ? texts[reason] : "unknown";
}

uint64_t cn_consensus_bad_messages(const cn_consensus *c)
{
    return c->bad_messages;
}

static uint32_t signers(const slot *s, uint8_t kind)
{
    if (!s)
        return 0;
    if (s->cert[kind - 1] && !s->votes[kind - 1])
        return s->cert[kind - 1]->bitmap[0] | (uint32_t)s->cert[kind - 1]->bitmap[1] << 8 |
               (uint32_t)s->cert[kind - 1]->bitmap[2] << 16 | (uint32_t)s->cert[kind - 1]->bitmap[3] << 24;
    return s->votes[kind - 1] ? s->votes[kind - 1]->seen : 0;
}

static cn_wait_reason waiting_for(const cn_consensus *c, const slot *s, bool open_finality)
{
    if (c->stopped)
        return CN_WAIT_STOPPED;
    if (c->sync_wanted)
        return CN_WAIT_SYNC;
    if (s && (s->row.nullified || signers(s, CN_NULLIFY)))
        return CN_WAIT_NULLIFY;
    if (s && s->has_proposal) {
        const entry *e = cn_entry_find(c, &s->proposed);
        return e && e->exec == EXEC_VALID ? CN_WAIT_NOTARIZE : CN_WAIT_BODY;
    }
    if (open_finality && c->pending_since_ms == UINT64_MAX)
        return CN_WAIT_FINALIZE;
    if (cn_expected_since(c) > c->now)
        return open_finality ? CN_WAIT_FINALIZE : CN_WAIT_IDLE;
    return cn_leader(c, c->view) == c->cfg.self ? CN_WAIT_SELF : CN_WAIT_LEADER;
}

void cn_consensus_info_get(const cn_consensus *c, cn_consensus_info *ret)
{
    const slot *s = cn_slot_find(c, c->view), *open = NULL;
    for (size_t i = 0; i < c->slot_count && !open; i++)
        if (c->slot[i].view > c->final_view && c->slot[i].cert[CN_NOTARIZE - 1])
            open = &c->slot[i];
    uint64_t outstanding = 0;
    for (size_t i = 1; i < c->entry_count; i++)
        if (c->entry[i]->exec == EXEC_VALID && c->entry[i]->outstanding > outstanding)
            outstanding = c->entry[i]->outstanding;
    *ret = (cn_consensus_info){
        .epoch = c->cfg.epoch,
        .view = c->view,
        .final_view = c->final_view,
        .final_height = c->entry[0]->block.header.height,
        .leader = cn_leader(c, c->view),
        .n = c->cfg.n,
        .quorum = c->quorum,
        .closed = c->closed,
        .self = c->cfg.self,
        .voting = c->cfg.may_vote && c->cfg.self < c->cfg.n && !c->stopped,
        .notarize_votes = signers(s, CN_NOTARIZE),
        .nullify_votes = signers(s, CN_NULLIFY),
        .finalize_votes = signers(open, CN_FINALIZE),
        .outstanding = outstanding,
        .delay_ms = cn_delay(c),
        .entered_ms = c->entered_ms,
        .deadline_ms = cn_consensus_deadline(c),
        .waiting_for = waiting_for(c, s, open != NULL),
        .nullified_views = c->nullified_views,
        .equivocations = c->equivocations,
        .bad_messages = c->bad_messages,
    };
    for (unsigned i = 0; i < c->cfg.n; i++) {
        ret->last_heard_ms[i] = c->heard_ms[i];
        ret->silent[i] = c->silent_turns[i] >= 2;
    }
}
