/* Safety, judged from the wire and from what nodes report as final. Votes are parsed here by offset and counted here.
 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VIEWS 4096
#define MAX_HEIGHT 4096
#define BLOCKS_A_VIEW 8

typedef struct block_votes {
    cn_digest block;
    uint32_t notarize, finalize; /* signers */
} block_votes;

typedef struct view_votes {
    block_votes block[BLOCKS_A_VIEW];
    unsigned blocks;
    uint32_t nullify;
    /* what each honest node signed */
    bool notarized[MAX_NODES], nullified[MAX_NODES], finalized[MAX_NODES];
    cn_digest notarized_block[MAX_NODES], finalized_block[MAX_NODES];
} view_votes;

struct oracle {
    unsigned n, q;
    cn_digest network;
    view_votes *view;
    cn_digest chain[MAX_HEIGHT];
    bool known[MAX_HEIGHT];
    bool violated;
    char text[256];
};

oracle *oracle_new(unsigned n, const cn_digest *network)
{
    oracle *o = calloc(1, sizeof *o);
    o->n = n;
    o->q = (n + (n - 1) / 3) / 2 + 1;
    o->network = *network;
    o->view = calloc(MAX_VIEWS, sizeof *o->view);
    return o;
}

void oracle_free(oracle *o)
{
    free(o->view);
    free(o);
}

void oracle_fail(oracle *o, const char *format, ...)
{
    va_list args;
    if (o->violated)
        return;
    o->violated = true;
    va_start(args, format);
    vsnprintf(o->text, sizeof o->text, format, args);
    va_end(args);
}

const char *oracle_violation(const oracle *o)
{
    return o->violated ? o->text : NULL;
}

const cn_digest *oracle_chain(const oracle *o, uint64_t height)
{
    return height < MAX_HEIGHT && o->known[height] ? &o->chain[height] : NULL;
}

static uint64_t u64_at(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

static cn_digest vote_digest(const oracle *o, const uint8_t *epoch, uint8_t kind, const uint8_t *view,
                             const uint8_t *block)
{
    uint8_t m[32 + 8 + 1 + 8 + 32];
    memcpy(m, o->network.b, 32);
    memcpy(m + 32, epoch, 8);
    m[40] = kind;
    memcpy(m + 41, view, 8);
    memcpy(m + 49, block, 32);
    return cn_tagged("carnet/vote", m, sizeof m);
}

static block_votes *votes_of(view_votes *v, const cn_digest *block)
{
    for (unsigned i = 0; i < v->blocks; i++)
        if (memcmp(v->block[i].block.b, block->b, 32) == 0)
            return &v->block[i];
    if (v->blocks == BLOCKS_A_VIEW)
        return NULL;
    v->block[v->blocks].block = *block;
    return &v->block[v->blocks++];
}

static void check_view(oracle *o, uint64_t view)
{
    const view_votes *v = &o->view[view];
    unsigned notarized = 0;
    for (unsigned i = 0; i < v->blocks; i++) {
        notarized += (unsigned)__builtin_popcount(v->block[i].notarize) >= o->q;
        if ((unsigned)__builtin_popcount(v->block[i].finalize) >= o->q &&
            (unsigned)__builtin_popcount(v->nullify) >= o->q)
            oracle_fail(o, "view %llu has a finalization and a nullification", (unsigned long long)view);
    }
    if (notarized > 1)
        oracle_fail(o, "two blocks are notarized in view %llu", (unsigned long long)view);
}

static void honest_vote(oracle *o, unsigned node, uint64_t view, uint8_t kind, const cn_digest *block)
{
    view_votes *v = &o->view[view];
    if (kind == 1) {
        if (v->notarized[node] && memcmp(v->notarized_block[node].b, block->b, 32) != 0)
            oracle_fail(o, "honest node %u notarized two blocks in view %llu", node, (unsigned long long)view);
        v->notarized[node] = true;
        v->notarized_block[node] = *block;
    } else if (kind == 2) {
        v->nullified[node] = true;
    } else {
        v->finalized[node] = true;
        v->finalized_block[node] = *block;
    }
    if (v->nullified[node] && v->finalized[node])
        oracle_fail(o, "honest node %u signed nullify and finalize in view %llu", node, (unsigned long long)view);
}

/* version | 2 | kind | epoch | view | block | signer u16 | signature */
static void on_vote(oracle *o, unsigned node, bool honest, const uint8_t *p, size_t n)
{
    if (n != 2 + 1 + 8 + 8 + 32 + 2 + 64)
        return;
    uint8_t kind = p[2];
    uint64_t view = u64_at(p + 11);
    unsigned signer = (unsigned)(p[51] << 8 | p[52]);
    cn_digest block;
    memcpy(block.b, p + 19, 32);
    if (view >= MAX_VIEWS || signer >= o->n || u64_at(p + 3) != 1)
        return;
    cn_digest digest = vote_digest(o, p + 3, kind, p + 11, block.b);
    if (!sim_verify(signer, &digest, p + 53))
        return;
    if (honest && signer == node)
        honest_vote(o, node, view, kind, &block);
    view_votes *v = &o->view[view];
    if (kind == 2) {
        v->nullify |= 1u << signer;
    } else {
        block_votes *b = votes_of(v, &block);
        if (b && kind == 1)
            b->notarize |= 1u << signer;
        else if (b)
            b->finalize |= 1u << signer;
    }
    check_view(o, view);
}

/* version | 3 | kind | epoch | view | block | n | bitmap | signatures: an honest node passes on only whole quorums */
static void on_certificate(oracle *o, unsigned node, const uint8_t *p, size_t n)
{
    if (n < 2 + 1 + 8 + 8 + 32 + 1)
        return;
    unsigned members = p[51], bytes = (members + 7) / 8, signers = 0;
    const uint8_t *bitmap = p + 52, *signature = bitmap + bytes;
    cn_digest digest = vote_digest(o, p + 3, p[2], p + 11, p + 19);
    for (unsigned i = 0; i < members && i < o->n; i++) {
        if (!(bitmap[i / 8] >> (i % 8) & 1))
            continue;
        if (signature + 64 > p + n || !sim_verify(i, &digest, signature)) {
            oracle_fail(o, "node %u passed on a certificate with a false signature", node);
            return;
        }
        signature += 64;
        signers++;
    }
    if (signers < o->q)
        oracle_fail(o, "node %u passed on a certificate with %u signers", node, signers);
}

void oracle_sent(oracle *o, unsigned node, bool honest, const uint8_t *bytes, size_t n)
{
    if (n >= 2 && bytes[1] == 2)
        on_vote(o, node, honest, bytes, n);
    if (honest && n >= 2 && bytes[1] == 3)
        on_certificate(o, node, bytes, n);
}

void oracle_final(oracle *o, unsigned node, uint64_t height, const cn_digest *digest, const cn_digest *parent)
{
    if (height >= MAX_HEIGHT)
        return;
    if (o->known[height] && memcmp(o->chain[height].b, digest->b, 32) != 0)
        oracle_fail(o, "node %u finalized another block at height %llu", node, (unsigned long long)height);
    if (height > 0 && o->known[height - 1] && memcmp(o->chain[height - 1].b, parent->b, 32) != 0)
        oracle_fail(o, "the final block at height %llu does not follow the one below", (unsigned long long)height);
    o->known[height] = true;
    o->chain[height] = *digest;
}

/* ---- keyed hashes ---- */

void sim_sign(unsigned node, const cn_digest *digest, uint8_t signature[64])
{
    uint8_t m[8 + 32] = "simkey";
    m[7] = (uint8_t)node;
    memcpy(m + 8, digest->b, 32);
    cn_digest d = cn_sha256(m, sizeof m);
    memcpy(signature, d.b, 32);
    memset(signature + 32, 0, 32);
}

bool sim_verify(unsigned node, const cn_digest *digest, const uint8_t signature[64])
{
    uint8_t expected[64];
    sim_sign(node, digest, expected);
    return memcmp(expected, signature, 64) == 0;
}

uint64_t rng_next(rng *r)
{
    r->s ^= r->s >> 12;
    r->s ^= r->s << 25;
    r->s ^= r->s >> 27;
    return r->s * UINT64_C(2685821657736338717);
}

uint64_t rng_below(rng *r, uint64_t n)
{
    return (rng_next(r) >> 11) % n;
}

bool rng_chance(rng *r, unsigned percent)
{
    return rng_below(r, 100) < percent;
}
