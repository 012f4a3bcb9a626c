/* What faulty validators put on the wire. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

/* Signs a changed proposal and sends it: to all, or to half of the nodes while the other half gets the first one. */
static void sign_proposal(sim *s, unsigned self, cn_proposal *p, const uint8_t *first, size_t n, bool split)
{
    cn_header_encode(&p->header, p->header_bytes);
    cn_digest digest = cn_header_digest(&p->header);
    cn_digest vote = model_vote_digest(s, p->epoch, CN_NOTARIZE, p->view, &digest);
    sim_sign(s->node[self].key, &vote, p->vote.b);
    cn_buf out;
    cn_buf_init(&out, CN_MAX_MESSAGE_BYTES);
    cn_proposal_write_unsigned(p, &out);
    cn_digest d = cn_proposal_digest(&s->network, out.p, out.n);
    cn_signature sig;
    sim_sign(s->node[self].key, &d, sig.b);
    cn_put_bytes(&out, sig.b, 64);
    for (unsigned i = 0; i < s->n; i++)
        if (!split || i % 2)
            transmit(s, self, i, W_CONSENSUS, out.p, out.n);
        else
            transmit(s, self, i, W_CONSENSUS, first, n);
    oracle_sent(s->oracle, s->node[self].member, false, out.p, out.n);
    cn_buf_free(&out);
}

/* A second proposal for the same view, with another time, for half of the nodes. */
void equivocate(sim *s, unsigned self, const uint8_t *bytes, size_t n)
{
    cn_proposal p;
    if (!cn_proposal_read(&s->network, bytes, n, &p))
        return;
    p.header.time_ms += 1;
    sign_proposal(s, self, &p, bytes, n, true);
    cn_proposal_clear(&p);
}

/* A proposal on the parent's parent, as if the parent had been given up. */
void fork_chain(sim *s, unsigned self, const uint8_t *bytes, size_t n)
{
    cn_proposal p;
    if (!cn_proposal_read(&s->network, bytes, n, &p))
        return;
    model_block *parent = find_executed(s, &p.header.parent);
    model_block *grand = parent ? find_executed(s, &parent->block.header.parent) : NULL;
    if (grand && parent->block.header.height > 0) {
        p.header.parent = grand->block.digest;
        p.header.height = grand->block.header.height + 1;
        model_roots(&grand->block.header, &p.header, p.record, p.record_count);
        cn_block block = {.digest = cn_header_digest(&p.header),
                          .header = p.header,
                          .record_count = p.record_count,
                          .record = p.record};
        if (executes(s, &block))
            remember(s, &block);
    }
    sign_proposal(s, self, &p, bytes, n, false);
    cn_proposal_clear(&p);
}

/* Votes for whatever it hears of: all kinds, all blocks, all views. */
void double_vote(sim *s, unsigned self, const uint8_t *bytes, size_t n)
{
    cn_vote v;
    if (!cn_vote_read(bytes, n, &v) || s->node[self].self == OBSERVER)
        return;
    for (uint8_t kind = CN_NOTARIZE; kind <= CN_FINALIZE; kind++) {
        cn_vote mine = {.kind = kind, .epoch = v.epoch, .view = v.view, .signer = (uint16_t)s->node[self].self};
        if (kind != CN_NULLIFY)
            mine.block = v.block;
        if (kind != CN_NULLIFY && cn_digest_is_zero(&mine.block))
            continue;
        cn_digest d = model_vote_digest(s, mine.epoch, kind, mine.view, &mine.block);
        sim_sign(s->node[self].key, &d, mine.signature.b);
        cn_buf out;
        cn_buf_init(&out, 256);
        cn_vote_write(&mine, &out);
        oracle_sent(s->oracle, s->node[self].member, false, out.p, out.n);
        transmit(s, self, (unsigned)rng_below(&s->r, s->n), W_CONSENSUS, out.p, out.n);
        cn_buf_free(&out);
    }
}

void garbage(sim *s, unsigned self, const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n + 1);
    memcpy(copy, bytes, n);
    for (int i = 0; i < 3; i++)
        copy[rng_below(&s->r, n)] ^= (uint8_t)(1 + rng_below(&s->r, 255));
    transmit(s, self, (unsigned)rng_below(&s->r, s->n), W_CONSENSUS, copy,
             rng_chance(&s->r, 50) ? n : rng_below(&s->r, n) + 1);
    free(copy);
}

/* What was heard is said again, now and then with the epoch of the day in the place of its own. */
void replay(sim *s, unsigned self, const uint8_t *bytes, size_t n)
{
    node *nd = &s->node[self];
    heard *h = &nd->heard[rng_below(&s->r, REPLAYED)];
    uint8_t kind = cn_message_kind_of(bytes, n);
    size_t at = kind == CN_MSG_VOTE || kind == CN_MSG_CERTIFICATE ? 3 : 2;
    if (h->n && rng_chance(&s->r, 40)) {
        at = h->bytes[1] == CN_MSG_VOTE || h->bytes[1] == CN_MSG_CERTIFICATE ? 3 : 2;
        if (rng_chance(&s->r, 50))
            cn_store_u64(h->bytes + at, nd->epoch);
        for (unsigned i = 0; i < s->n; i++)
            transmit(s, self, i, W_CONSENSUS, h->bytes, h->n);
    }
    if (n < at + 8 || rng_chance(&s->r, 70))
        return; /* the rest stays, to come up again much later */
    free(h->bytes);
    h->bytes = malloc(n);
    memcpy(h->bytes, bytes, n);
    h->n = n;
}

/* A certificate over the block of a vote in which every signature is its own. */
void forge(sim *s, unsigned self, const uint8_t *bytes, size_t n)
{
    const node *nd = &s->node[self];
    cn_vote v;
    if (!cn_vote_read(bytes, n, &v) || !rng_chance(&s->r, 20))
        return;
    cn_certificate cert = {.kind = (uint8_t)(CN_NOTARIZE + rng_below(&s->r, 3)), .epoch = nd->epoch, .view = v.view};
    cert.n = (uint8_t)s->set[nd->set].n;
    if (cert.kind != CN_NULLIFY)
        cert.block = v.block;
    if (cert.kind != CN_NULLIFY && cn_digest_is_zero(&cert.block))
        return;
    cn_digest d = model_vote_digest(s, cert.epoch, cert.kind, cert.view, &cert.block);
    for (unsigned i = 0; cert.signature_count < cn_quorum(cert.n); i++) {
        cert.bitmap[i / 8] |= (uint8_t)(1u << (i % 8));
        sim_sign(nd->key, &d, cert.signature[cert.signature_count++].b);
    }
    cn_buf out;
    cn_buf_init(&out, CN_CERTIFICATE_MAX + 2);
    cn_certificate_message_write(&cert, &out);
    for (unsigned i = 0; i < s->n; i++)
        transmit(s, self, i, W_CONSENSUS, out.p, out.n);
    cn_buf_free(&out);
}
