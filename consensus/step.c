/* Events, views and timers. */
#include "consensus/core.h"

#include <stdlib.h>
#include <string.h>

#define SYNC_EVERY_MS 500u

void *cn_alloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    CN_ASSERT(p); /* out of memory is a crash, and crashes are survived */
    return p;
}

/* ---- actions ---- */

void cn_actions_clear(cn_actions *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->v[i].bytes);
        free(a->v[i].blocks);
    }
    a->n = 0;
}

void cn_actions_free(cn_actions *a)
{
    cn_actions_clear(a);
    free(a->v);
    *a = (cn_actions){0};
}

cn_action *cn_emit(cn_consensus *c, cn_action_kind kind)
{
    cn_actions *out = c->out;
    if (out->n == out->cap) {
        out->cap = out->cap ? 2 * out->cap : 16;
        out->v = realloc(out->v, out->cap * sizeof *out->v);
        CN_ASSERT(out->v);
    }
    out->v[out->n] = (cn_action){.kind = kind};
    return &out->v[out->n++];
}

void cn_emit_send(cn_consensus *c, unsigned to, cn_buf *bytes)
{
    CN_ASSERT(!bytes->fault);
    cn_action *a = cn_emit(c, CN_ACT_SEND);
    a->to = to;
    a->bytes = bytes->p;
    a->n = bytes->n;
}

void cn_stop(cn_consensus *c, const char *reason)
{
    if (c->stopped)
        return;
    c->stopped = true;
    cn_emit(c, CN_ACT_STOP)->reason = reason;
}

void cn_want_sync(cn_consensus *c)
{
    c->sync_wanted = true;
    if (c->sync_ms && c->now < c->sync_ms + SYNC_EVERY_MS)
        return;
    c->sync_ms = c->now;
    cn_emit(c, CN_ACT_SYNC)->view = c->view;
}

/* ---- leaders and delays ---- */

unsigned cn_leader(const cn_consensus *c, uint64_t view)
{
    return (unsigned)((view + c->cfg.epoch) % c->cfg.n);
}

void cn_heard(cn_consensus *c, unsigned signer)
{
    c->heard_ms[signer] = c->now;
    c->silent_turns[signer] = 0;
}

/* R7: D follows the measured round trip with a floor; x1.5 for each nullified view after the second in a row. */
uint64_t cn_delay(const cn_consensus *c)
{
    uint64_t d = c->rtt_ms > c->cfg.delay_floor_ms ? c->rtt_ms : c->cfg.delay_floor_ms;
    for (unsigned i = 2; i <= c->nullified_in_a_row && d < c->cfg.delay_cap_ms; i++)
        d += d / 2;
    return d < c->cfg.delay_cap_ms ? d : c->cfg.delay_cap_ms;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static entry *known_tip(const cn_consensus *c, uint64_t *ret_notarized_ms)
{
    for (size_t i = c->slot_count; i > 0; i--) {
        const slot *s = &c->slot[i - 1];
        entry *e = s->view > c->final_view && s->cert[CN_NOTARIZE - 1]
                       ? cn_entry_find(c, &s->cert[CN_NOTARIZE - 1]->block)
                       : NULL;
        if (e && e->exec == EXEC_VALID) {
            *ret_notarized_ms = s->notarized_ms;
            return e;
        }
    }
    *ret_notarized_ms = 0;
    return c->entry[0];
}

/* R8, from the tip: since when a proposal is expected of the leader. */
uint64_t cn_expected_since(const cn_consensus *c)
{
    uint64_t notarized_ms = 0, since = UINT64_MAX;
    const entry *tip = known_tip(c, &notarized_ms);
    if (cn_is_closing(c, tip)) /* R11: only that block itself can be proposed */
        return notarized_ms + 2 * cn_delay(c);
    if (tip->closing_due)
        return tip == c->entry[0] ? c->entered_ms : notarized_ms;
    if (c->pending_since_ms != UINT64_MAX)
        since = c->pending_since_ms + c->cfg.forward_ms;
    uint64_t due = cn_when(c, cn_checkpoint_due_ms(c, tip));
    if (due != UINT64_MAX)
        since = earlier(since, due + c->cfg.forward_ms);
    since = earlier(since, cn_when(c, tip->block.header.time_ms + c->cfg.heartbeat_ms) + c->cfg.forward_ms);
    if (tip != c->entry[0])
        since = earlier(since, notarized_ms + 2 * cn_delay(c));
    return since;
}

/* Who cannot sign in this view has no timers for it: they would ring and ring, with nothing to be done. */
static bool can_sign(const cn_consensus *c)
{
    return c->cfg.may_vote && c->cfg.self < c->cfg.n && c->view > c->floor_view;
}

/* When this node gives the current view up; UINT64_MAX: it does not. */
static uint64_t view_deadline(const cn_consensus *c)
{
    const slot *s = cn_slot_find(c, c->view);
    if (!can_sign(c))
        return UINT64_MAX;
    if (s && (s->row.nullified || (s->row.finalized && !CN_MUTATION("nullify-after-finalize"))))
        return UINT64_MAX;
    if (s && s->invalid)
        return 0;
    if (s && s->has_proposal)
        return later(s->proposal_ms, c->entered_ms) + 3 * cn_delay(c);
    uint64_t since = cn_expected_since(c);
    if (since == UINT64_MAX)
        return UINT64_MAX;
    unsigned leader = cn_leader(c, c->view);
    uint64_t patience = c->silent_turns[leader] >= 2 && leader != c->cfg.self ? 0 : 2 * cn_delay(c);
    return later(c->entered_ms, since) + patience;
}

/* Certificates of later views: this node missed what led to them. */
static bool missed_views(const cn_consensus *c)
{
    for (size_t i = c->slot_count; i > 0 && c->slot[i - 1].view > c->view; i--)
        for (unsigned k = 0; k < KINDS; k++)
            if (c->slot[i - 1].cert[k])
                return true;
    return false;
}

static bool unfinished(const cn_consensus *c)
{
    const slot *s = cn_slot_find(c, c->view);
    return missed_views(c) || c->entry_count > 1 || c->want_count > 0 ||
           (s && (s->row.notarized || s->row.nullified || s->has_proposal)) || (c->view > c->final_view + 1);
}

/* When the leader itself has something to do. */
static uint64_t propose_at(cn_consensus *c)
{
    uint64_t parent_view = 0;
    slot *s = cn_slot_find(c, c->view);
    if (!can_sign(c) || c->building || cn_leader(c, c->view) != c->cfg.self ||
        (s && (s->has_proposal || s->row.nullified)))
        return UINT64_MAX;
    const entry *tip = cn_choose_parent(c, c->view, &parent_view);
    if (!tip)
        return UINT64_MAX;
    const slot *p = cn_slot_find(c, parent_view);
    if (cn_is_closing(c, tip))
        return p ? p->notarized_ms + 2 * cn_delay(c) : UINT64_MAX;
    if (tip->closing_due)
        return c->now;
    uint64_t at = cn_when(c, earlier(cn_checkpoint_due_ms(c, tip), tip->block.header.time_ms + c->cfg.heartbeat_ms));
    if (tip != c->entry[0] && p)
        at = earlier(at, p->notarized_ms + 2 * cn_delay(c));
    return at;
}

uint64_t cn_consensus_deadline(const cn_consensus *c)
{
    if (c->stopped || c->closed)
        return UINT64_MAX;
    uint64_t at = earlier(view_deadline(c), propose_at((cn_consensus *)(uintptr_t)c));
    if (unfinished(c))
        at = earlier(at, c->resent_ms + cn_delay(c));
    return later(at, c->now + 1);
}

/* ---- views ---- */

static void enter_view(cn_consensus *c, uint64_t view, bool nullified)
{
    CN_ASSERT(view > c->view);
    if (nullified) {
        c->nullified_views++;
        c->nullified_in_a_row++;
        slot *s = cn_slot_find(c, c->view);
        unsigned leader = cn_leader(c, c->view);
        if (!s || !s->has_proposal)
            c->silent_turns[leader]++;
    } else {
        c->nullified_in_a_row = 0;
    }
    c->view = view;
    c->entered_ms = c->now;
    c->resent_ms = c->now;
    c->building = false;
    cn_slot(c, view);
    cn_slots_trim(c);
}

/* R6: forward by a notarization with a valid body or a finalization, at or above the view, or by the view's own
 * nullification. A later nullification alone does not move the view: whoever jumped over views without their
 * certificates could never prove the ancestry of a proposal (R1), and after a crash of all nodes nobody could. */
void cn_advance(cn_consensus *c)
{
    for (bool moved = true; moved && !c->stopped;) {
        moved = false;
        if (c->final_view >= c->view) {
            enter_view(c, c->final_view + 1, false);
            moved = true;
        }
        for (size_t i = c->slot_count; i > 0 && !moved; i--) {
            const slot *s = &c->slot[i - 1];
            if (s->view < c->view)
                break;
            if (s->cert[CN_FINALIZE - 1]) {
                enter_view(c, s->view + 1, false);
                moved = true;
            } else if (s->cert[CN_NULLIFY - 1] && s->view == c->view) {
                enter_view(c, s->view + 1, true);
                moved = true;
            } else if (s->cert[CN_NOTARIZE - 1]) {
                const entry *e = cn_entry_find(c, &s->cert[CN_NOTARIZE - 1]->block);
                if (e && e->exec == EXEC_VALID) {
                    enter_view(c, s->view + 1, false);
                    moved = true;
                }
            }
        }
    }
}

/* More than f nullify votes hold one of an honest node whose timer ran out: with what it waits for perhaps unknown
 * here, this node joins it, or views of nodes that know different statements would never end. */
static bool others_gave_up(const cn_consensus *c)
{
    const slot *s = cn_slot_find(c, c->view);
    const tally *t = s ? s->votes[CN_NULLIFY - 1] : NULL;
    return t && (unsigned)__builtin_popcount(t->seen) > cn_max_faults(c->cfg.n) && !s->row.nullified &&
           !s->row.finalized;
}

static void give_up_view(cn_consensus *c)
{
    if (c->now < view_deadline(c) && !others_gave_up(c))
        return;
    static const cn_digest none;
    cn_request_signature(c, CN_NULLIFY, c->view, &none, false);
}

/* ---- the step ---- */

static void on_message(cn_consensus *c, const cn_event *ev)
{
    cn_vote vote;
    cn_certificate *cert;
    uint64_t epoch, first, last;
    switch (cn_message_kind_of(ev->bytes, ev->n)) {
    case CN_MSG_PROPOSAL:
        cn_on_proposal(c, ev->from, ev->bytes, ev->n);
        return;
    case CN_MSG_VOTE:
        if (cn_vote_read(ev->bytes, ev->n, &vote)) {
            cn_add_vote(c, &vote, ev->from == c->cfg.self ? c->cfg.n : ev->from);
            return;
        }
        break;
    case CN_MSG_CERTIFICATE:
        cert = cn_alloc(sizeof *cert);
        if (cn_certificate_message_read(ev->bytes, ev->n, cert)) {
            cn_add_certificate(c, cert, false);
            free(cert);
            return;
        }
        free(cert);
        break;
    case CN_MSG_CERT_REQUEST:
        if (cn_cert_request_read(ev->bytes, ev->n, &epoch, &first, &last)) {
            if (epoch == c->cfg.epoch)
                cn_answer_request(c, ev->from, first, last);
            else if (epoch < c->cfg.epoch)
                cn_answer_older_epoch(c, ev->from);
            return;
        }
        break;
    default:
        break;
    }
    c->bad_messages++;
}

static void keep_certificate(cn_certificate **place, const cn_certificate *cert)
{
    if (!cert)
        return;
    if (!*place)
        *place = cn_alloc(sizeof **place);
    **place = *cert;
}

static void on_synced(cn_consensus *c, const cn_event *ev)
{
    if (ev->block.header.height <= c->entry[0]->block.header.height)
        return;
    cn_set_final(c, &ev->block, ev->view > c->final_view ? ev->view : c->final_view, ev->checkpoint_time_ms,
                 ev->checkpoint_log_size, ev->closing_due);
    c->sync_wanted = false;
    keep_certificate(&c->final_cert, ev->final_certificate);
}

static void on_durable(cn_consensus *c, uint64_t view)
{
    if (view <= c->floor_view)
        return;
    c->floor_view = view;
    cn_emit(c, CN_ACT_FLOOR)->view = view;
}

static void dispatch(cn_consensus *c, const cn_event *ev)
{
    switch (ev->kind) {
    case CN_EV_TICK:
        break;
    case CN_EV_MESSAGE:
        on_message(c, ev);
        break;
    case CN_EV_PENDING:
        c->pending_since_ms = ev->oldest_ms;
        c->build_failed = false;
        break;
    case CN_EV_BUILT:
        cn_on_built(c, ev);
        break;
    case CN_EV_EXECUTED:
        cn_on_executed(c, &ev->block.digest, ev->ok, ev->closing_due);
        break;
    case CN_EV_BLOCK:
        cn_on_block(c, &ev->block);
        break;
    case CN_EV_PERSISTED:
        cn_on_persisted(c, ev->token);
        break;
    case CN_EV_DURABLE:
        on_durable(c, ev->view);
        break;
    case CN_EV_SYNCED:
        on_synced(c, ev);
        break;
    case CN_EV_RTT:
        c->rtt_ms = ev->rtt_ms;
        break;
    }
}

/* Everything that may have become possible; each of these is idempotent. */
static void settle(cn_consensus *c)
{
    cn_execute_ready(c);
    cn_try_final(c);
    if (c->closed)
        return;
    cn_advance(c);
    for (size_t i = 0; i < c->slot_count && !c->stopped; i++)
        if (c->slot[i].view > c->final_view)
            cn_try_finalize_vote(c, &c->slot[i]);
    if (c->stopped)
        return;
    cn_try_notarize(c);
    cn_try_propose(c);
    give_up_view(c);
    if (unfinished(c) && c->now >= c->resent_ms + cn_delay(c)) {
        c->resent_ms = c->now;
        cn_resend(c);
        cn_fetch_again(c);
        if (c->sync_wanted)
            cn_want_sync(c);
    }
}

/* As if a peer had sent them: verified, and said once to all. */
static void take_kept(cn_consensus *c)
{
    for (size_t i = 0; i < c->kept_count; i++)
        if (c->kept[i].view > c->final_view)
            cn_add_certificate(c, &c->kept[i], false);
    free(c->kept);
    c->kept = NULL;
    c->kept_count = 0;
}

void cn_consensus_set_wall(cn_consensus *c, int64_t ahead_ms)
{
    c->wall_ahead_ms = ahead_ms;
}

void cn_consensus_step(cn_consensus *c, uint64_t now_ms, const cn_event *event, cn_actions *out)
{
    c->out = out;
    cn_free_dropped(c);
    if (now_ms > c->now)
        c->now = now_ms;
    if (!c->stopped && !c->closed) {
        take_kept(c);
        dispatch(c, event);
        if (!c->closed)
            settle(c);
    }
    c->out = NULL;
}

/* ---- life ---- */

cn_consensus *cn_consensus_new(const cn_consensus_config *config, uint64_t now_ms)
{
    cn_consensus *c = cn_alloc(sizeof *c);
    CN_ASSERT(config->n >= 1 && config->n <= CN_MAX_VALIDATORS && config->checkpoint_interval_ms > 0);
    c->cfg = *config;
    c->cfg.row = NULL;
    c->cfg.block = NULL;
    c->cfg.certificate = NULL;
    c->quorum = cn_quorum(config->n);
    c->now = c->entered_ms = c->resent_ms = now_ms;
    c->pending_since_ms = UINT64_MAX;
    c->final_view = config->final_view;
    c->floor_view = config->floor_view > config->final_view ? config->floor_view : config->final_view;
    if (CN_MUTATION("floor-falls"))
        c->floor_view = config->final_view;
    c->base = config->final_view > CN_VIEW_WINDOW ? config->final_view - CN_VIEW_WINDOW : 0;
    c->view = config->final_view + 1;
    entry *e = cn_alloc(sizeof *e);
    c->entry[c->entry_count++] = e;
    e->block = config->final_block;
    e->block.record = NULL;
    e->block.record_count = 0;
    e->exec = EXEC_VALID;
    e->durable = true;
    e->checkpoint_time_ms = config->checkpoint_time_ms;
    e->checkpoint_log_size = config->checkpoint_log_size;
    e->closing_due = config->final_closing_due;
    cn_slot(c, c->view);
    c->cfg.final_certificate = NULL;
    c->cfg.opening = NULL;
    keep_certificate(&c->final_cert, config->final_certificate);
    keep_certificate(&c->opening, config->opening);
    if (!CN_MUTATION("votes-not-durable"))
        cn_restore_rows(c, config->row, config->row_count);
    c->kept = cn_alloc(config->certificate_count * sizeof *c->kept);
    for (; c->kept_count < config->certificate_count; c->kept_count++)
        c->kept[c->kept_count] = config->certificate[c->kept_count];
    for (size_t i = 0; i < config->block_count; i++) {
        entry *b = cn_entry_add(c, &config->block[i], 0);
        if (b)
            b->durable = true;
    }
    return c;
}

void cn_consensus_free(cn_consensus *c)
{
    if (!c)
        return;
    cn_free_dropped(c);
    for (size_t i = 0; i < c->entry_count; i++) {
        free((void *)(uintptr_t)c->entry[i]->block.record);
        free(c->entry[i]);
    }
    for (size_t i = 0; i < c->slot_count; i++) {
        for (unsigned k = 0; k < KINDS; k++) {
            free(c->slot[i].votes[k]);
            free(c->slot[i].cert[k]);
        }
        free(c->slot[i].proposal);
    }
    free(c->slot);
    free(c->pending);
    free(c->dropped);
    free(c->final_cert);
    free(c->opening);
    free(c->kept);
    free(c);
}
