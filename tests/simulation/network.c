/* Events in virtual time, and the faulty network between hosts. */
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

/* ---- network ---- */

/* Twins: a message passes where sender and receiver are on one side of the partition of the view that it speaks of. */
static bool twins_hear(const sim *s, unsigned from, unsigned to, const uint8_t *bytes, size_t n)
{
    size_t at = bytes[1] == CN_MSG_PROPOSAL ? 10 : 11;
    if (s->now >= s->chaos_end || n < at + 8 || bytes[1] == CN_MSG_CERT_REQUEST)
        return true;
    uint64_t view = cn_load_u64(bytes + at);
    uint32_t group = s->twin_group[view <= TWIN_VIEWS ? view : 0];
    return (group >> from & 1) == (group >> to & 1);
}

void transmit(sim *s, unsigned from, unsigned to, wire_kind wire, const uint8_t *bytes, size_t n)
{
    if (from == to || s->cut[from][to] || rng_chance(&s->r, s->loss))
        return;
    if (s->twins && wire == W_CONSENSUS && !twins_hear(s, from, to, bytes, n))
        return;
    for (int copies = rng_chance(&s->r, s->duplicate) ? 2 : 1; copies > 0; copies--) {
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, bytes, n);
        uint64_t delay = s->max_delay;
        if (!s->fixed_delay)
            delay = 1 + rng_below(&s->r, rng_chance(&s->r, 3) ? s->max_delay * 5 : s->max_delay);
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

/* `to` as the sender's core says it: an index in its set, or an observer. */
void send_consensus(sim *s, unsigned from, unsigned to, const uint8_t *bytes, size_t n)
{
    const node *nd = &s->node[from];
    const member_set *set = &s->set[nd->set];
    oracle_sent(s->oracle, nd->member, nd->fault == HONEST, bytes, n);
    tell_sent(s, from, to, bytes, n);
    for (unsigned i = 0; i < s->n; i++)
        if (to == CN_TO_ALL || (to < set->n ? set->member[to] == s->node[i].member : to == OBSERVER + 1 + i))
            transmit(s, from, i, W_CONSENSUS, bytes, n);
}

void sign_cb(void *ctx, const cn_digest *digest, cn_signature *ret)
{
    sim_sign(((node *)ctx)->key, digest, ret->b);
}

bool verify_cb(void *ctx, unsigned signer, const cn_digest *digest, const uint8_t signature[64])
{
    const node *nd = ctx;
    return sim_verify(member_key(&nd->world->set[nd->set], signer), digest, signature);
}
