/* Events in virtual time, the model ledger's blocks, the faulty network, and what Byzantine nodes put on it. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

/* ---- heap ---- */

static bool before(const sim_event *a, const sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void schedule(sim *s, sim_event e)
{
    if (s->heap_n == s->heap_cap) {
        s->heap_cap = s->heap_cap ? 2 * s->heap_cap : 1024;
        s->heap = realloc(s->heap, s->heap_cap * sizeof *s->heap);
    }
    e.order = s->order++;
    size_t i = s->heap_n++;
    for (; i > 0 && before(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = e;
}

sim_event pop(sim *s)
{
    sim_event top = s->heap[0], last = s->heap[--s->heap_n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->heap_n)
            break;
        if (child + 1 < s->heap_n && before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!before(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return top;
}

/* ---- blocks ---- */

cn_block copy_block(const cn_block *b)
{
    cn_block copy = *b;
    cn_digest *record = malloc((b->record_count + 1) * sizeof *record);
    if (b->record_count)
        memcpy(record, b->record, b->record_count * sizeof *record);
    copy.record = record;
    return copy;
}

void free_block(cn_block *b)
{
    free((void *)(uintptr_t)b->record);
    b->record = NULL;
}

model_block *find_executed(sim *s, const cn_digest *digest)
{
    for (size_t i = s->executed_n; i > 0; i--)
        if (memcmp(s->executed[i - 1].block.digest.b, digest->b, 32) == 0)
            return &s->executed[i - 1];
    return NULL;
}

void remember(sim *s, const cn_block *b)
{
    if (find_executed(s, &b->digest))
        return;
    if (s->executed_n == s->executed_cap) {
        s->executed_cap = s->executed_cap ? 2 * s->executed_cap : 256;
        s->executed = realloc(s->executed, s->executed_cap * sizeof *s->executed);
    }
    s->executed[s->executed_n++] = (model_block){.block = copy_block(b)};
}

/* The model ledger: roots are a hash chain over records; only checkpoints move the state root. */
void model_roots(const cn_header *parent, cn_header *h, const cn_digest *record, size_t count)
{
    h->log_size = parent->log_size + count;
    h->log_root = parent->log_root;
    for (size_t i = 0; i < count; i++)
        h->log_root = cn_node_hash(&h->log_root, &record[i]);
    h->state_root = h->kind == CN_BLOCK_NORMAL ? parent->state_root : cn_node_hash(&h->log_root, &parent->state_root);
    h->body = cn_body_digest(record, count);
}

bool in_ancestry(sim *s, const cn_digest *tip, const cn_digest *record)
{
    for (model_block *b = find_executed(s, tip); b; b = find_executed(s, &b->block.header.parent)) {
        for (size_t i = 0; i < b->block.record_count; i++)
            if (memcmp(b->block.record[i].b, record->b, 32) == 0)
                return true;
        if (b->block.header.height == 0)
            break;
    }
    return false;
}

bool executes(sim *s, const cn_block *b)
{
    model_block *parent = find_executed(s, &b->header.parent);
    if (!parent)
        return false;
    cn_header h = b->header;
    model_roots(&parent->block.header, &h, b->record, b->record_count);
    if (memcmp(&h.log_root, &b->header.log_root, 32) || memcmp(&h.state_root, &b->header.state_root, 32) ||
        h.log_size != b->header.log_size)
        return false;
    for (size_t i = 0; i < b->record_count; i++)
        if (in_ancestry(s, &b->header.parent, &b->record[i]))
            return false;
    return true;
}

int statement_number(const sim *s, const cn_digest *record)
{
    for (unsigned i = 0; i < s->total; i++)
        if (memcmp(s->statement[i].b, record->b, 32) == 0)
            return (int)i;
    return -1;
}

/* ---- network ---- */

void transmit(sim *s, unsigned from, unsigned to, wire_kind wire, const uint8_t *bytes, size_t n)
{
    if (from == to || s->cut[from][to] || rng_chance(&s->r, s->loss))
        return;
    for (int copies = rng_chance(&s->r, s->duplicate) ? 2 : 1; copies > 0; copies--) {
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, bytes, n);
        uint64_t delay = 1 + rng_below(&s->r, rng_chance(&s->r, 3) ? s->max_delay * 5 : s->max_delay);
        schedule(s, (sim_event){.at = s->now + delay,
                                .kind = E_DELIVER,
                                .node = to,
                                .from = from,
                                .wire = wire,
                                .bytes = copy,
                                .n = n});
    }
}

void broadcast(sim *s, unsigned from, wire_kind wire, const uint8_t *bytes, size_t n)
{
    for (unsigned i = 0; i < s->n; i++)
        transmit(s, from, i, wire, bytes, n);
}

void send_consensus(sim *s, unsigned from, unsigned to, const uint8_t *bytes, size_t n)
{
    oracle_sent(s->oracle, from, s->node[from].fault == HONEST, bytes, n);
    if (to == CN_TO_ALL)
        broadcast(s, from, W_CONSENSUS, bytes, n);
    else if (to < s->n)
        transmit(s, from, to, W_CONSENSUS, bytes, n);
}

void sign_cb(void *ctx, const cn_digest *digest, cn_signature *ret)
{
    sim_sign((unsigned)(uintptr_t)ctx, digest, ret->b);
}

bool verify_cb(void *ctx, unsigned signer, const cn_digest *digest, const uint8_t signature[64])
{
    (void)ctx;
    return sim_verify(signer, digest, signature);
}

/* ---- Byzantine behaviour, on the way out or in ---- */

/* Signs a changed proposal and sends it: to all, or to half of the nodes while the other half gets the first one. */
static void sign_proposal(sim *s, unsigned self, cn_proposal *p, const uint8_t *first, size_t n, bool split)
{
    cn_header_encode(&p->header, p->header_bytes);
    cn_digest digest = cn_header_digest(&p->header);
    cn_digest vote = cn_vote_digest(&s->network, p->epoch, CN_NOTARIZE, p->view, &digest);
    sim_sign(self, &vote, p->vote.b);
    cn_buf out;
    cn_buf_init(&out, CN_MAX_MESSAGE_BYTES);
    cn_proposal_write_unsigned(p, &out);
    cn_digest d = cn_proposal_digest(&s->network, out.p, out.n);
    cn_signature sig;
    sim_sign(self, &d, sig.b);
    cn_put_bytes(&out, sig.b, 64);
    for (unsigned i = 0; i < s->n; i++)
        if (!split || i % 2)
            transmit(s, self, i, W_CONSENSUS, out.p, out.n);
        else
            transmit(s, self, i, W_CONSENSUS, first, n);
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
        remember(s, &block);
    }
    sign_proposal(s, self, &p, bytes, n, false);
    cn_proposal_clear(&p);
}

/* Votes for whatever it hears of: all kinds, all blocks, all views. */
void double_vote(sim *s, unsigned self, const uint8_t *bytes, size_t n)
{
    cn_vote v;
    if (!cn_vote_read(bytes, n, &v))
        return;
    for (uint8_t kind = CN_NOTARIZE; kind <= CN_FINALIZE; kind++) {
        cn_vote mine = {.kind = kind, .epoch = v.epoch, .view = v.view, .signer = (uint16_t)self};
        if (kind != CN_NULLIFY)
            mine.block = v.block;
        if (kind != CN_NULLIFY && cn_digest_is_zero(&mine.block))
            continue;
        cn_digest d = cn_vote_digest(&s->network, mine.epoch, kind, mine.view, &mine.block);
        sim_sign(self, &d, mine.signature.b);
        cn_buf out;
        cn_buf_init(&out, 256);
        cn_vote_write(&mine, &out);
        send_consensus(s, self, (unsigned)rng_below(&s->r, s->n), out.p, out.n);
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
