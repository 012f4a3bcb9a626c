/* What a Byzantine member's host puts on the wire in place of what its node said. */
#include "whole.h"

#include "consensus/message.h"

#include <stdlib.h>
#include <string.h>

#define KEPT 64u

static struct {
    uint8_t type;
    uint8_t *p;
    size_t n;
} kept[KEPT];

static void send_changed(whole *w, const host *from, unsigned to, uint8_t type, const uint8_t *p, size_t n,
                         size_t first)
{
    uint8_t *copy = malloc(n + 1);
    CN_ASSERT(copy);
    memcpy(copy, p, n);
    for (uint64_t k = 1 + rng_below(&w->r, 4); k > 0 && n > first; k--)
        copy[first + rng_below(&w->r, n - first)] ^= (uint8_t)(1u << rng_below(&w->r, 8));
    links_post(w, from->index, to, type, copy, n);
    free(copy);
}

static void replay(whole *w, const host *from, unsigned to, uint8_t type, const uint8_t *p, size_t n)
{
    size_t at = rng_below(&w->r, KEPT);
    if (rng_chance(&w->r, 30) && kept[at].p)
        links_post(w, from->index, to, kept[at].type, kept[at].p, kept[at].n);
    at = rng_below(&w->r, KEPT);
    free(kept[at].p);
    kept[at].p = malloc(n + 1);
    CN_ASSERT(kept[at].p);
    memcpy(kept[at].p, p, n);
    kept[at].type = type;
    kept[at].n = n;
}

static void vote(const host *h, cn_vote *v)
{
    cn_digest digest = cn_vote_digest(&genesis()->network, v->epoch, v->kind, v->view, &v->block);
    sim_sign(h->index * 16 + h->generation, &digest, v->signature.b);
}

static void post_vote(whole *w, const host *from, unsigned to, cn_vote *v)
{
    cn_buf out;
    cn_buf_init(&out, 256);
    vote(from, v);
    cn_vote_write(v, &out);
    oracle_sent(w->oracle, from->index, false, out.p, out.n);
    links_post(w, from->index, to, CN_WIRE_CONSENSUS, out.p, out.n);
    cn_buf_free(&out);
}

static void vote_twice(whole *w, const host *from, unsigned to, const uint8_t *p, size_t n)
{
    cn_vote v;
    if (!cn_vote_read(p, n, &v))
        return;
    if (v.kind != CN_NULLIFY) {
        v.block.b[to % CN_DIGEST_LEN] ^= 1;
        post_vote(w, from, to, &v);
        v.kind = CN_NULLIFY;
        v.block = cn_digest_zero;
        post_vote(w, from, to, &v);
    }
}

/* The leader's proposal with another header, signed again; false: it is none of its own. */
static bool propose_changed(whole *w, const host *from, unsigned to, const uint8_t *p, size_t n, bool roots)
{
    cn_proposal change;
    cn_buf out;
    cn_signature signature;
    if (!cn_proposal_read(&genesis()->network, p, n, &change))
        return false;
    if (roots)
        (w->seed % 2 ? &change.header.log_root : &change.header.state_root)->b[0] ^= 1;
    else
        change.header.time_ms++;
    cn_header_encode(&change.header, change.header_bytes);
    cn_vote v = {
        .kind = CN_NOTARIZE, .epoch = change.epoch, .view = change.view, .block = cn_header_digest(&change.header)};
    vote(from, &v);
    change.vote = v.signature;
    cn_buf_init(&out, CN_MAX_MESSAGE_BYTES);
    cn_proposal_write_unsigned(&change, &out);
    cn_digest digest = cn_proposal_digest(&genesis()->network, out.p, out.n);
    sim_sign(from->index * 16 + from->generation, &digest, signature.b);
    cn_put_bytes(&out, signature.b, CN_SIGNATURE_LEN);
    oracle_sent(w->oracle, from->index, false, out.p, out.n);
    links_post(w, from->index, to, CN_WIRE_CONSENSUS, out.p, out.n);
    cn_buf_free(&out);
    cn_proposal_clear(&change);
    return true;
}

void twist_begin(void)
{
    for (size_t i = 0; i < KEPT; i++) {
        free(kept[i].p);
        kept[i].p = NULL;
    }
}

bool twist_send(whole *w, host *from, unsigned to, uint8_t type, const uint8_t *p, size_t n)
{
    bool bodies =
        type == CN_WIRE_STATEMENT || type == CN_WIRE_RECORDS || type == CN_WIRE_BLOCK || type == CN_WIRE_SYNC_BLOCKS;
    bool proposal = type == CN_WIRE_CONSENSUS && cn_message_kind_of(p, n) == CN_MSG_PROPOSAL;
    switch (from->twist) {
    case TWIST_GARBAGE:
        if (!rng_chance(&w->r, 30))
            return false;
        send_changed(w, from, to, type, p, n, 0);
        return true;
    case TWIST_WITHHOLD:
        return bodies && !rng_chance(&w->r, 5);
    case TWIST_LIAR: /* items lie at the end of a statement, behind what is signed */
        if (!bodies || type == CN_WIRE_BLOCK || !rng_chance(&w->r, 60))
            return false;
        send_changed(w, from, to, type, p, n, n > 40 ? n - 40 : 0);
        return true;
    case TWIST_REPLAY:
        replay(w, from, to, type, p, n);
        return false;
    case TWIST_EQUIVOCATE:
        return proposal && to % 2 && propose_changed(w, from, to, p, n, false);
    case TWIST_FALSE_ROOTS:
        return proposal && propose_changed(w, from, to, p, n, true);
    case TWIST_DOUBLE_VOTE:
        if (type == CN_WIRE_CONSENSUS)
            vote_twice(w, from, to, p, n);
        return false;
    default:
        return false;
    }
}
