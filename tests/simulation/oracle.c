/* Safety, judged from the wire and from what nodes report as final. Votes are parsed here by offset and counted here,
 * each epoch by its own set.
 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VIEWS 2048
#define MAX_HEIGHT 4096
#define MAX_EPOCHS 16
#define BLOCKS_A_VIEW 8

typedef struct block_votes {
    cn_digest block;
    uint32_t notarize, finalize; /* members */
} block_votes;

typedef struct view_votes {
    block_votes block[BLOCKS_A_VIEW];
    unsigned blocks;
    uint32_t nullify;
    /* what each honest member signed */
    bool notarized[MAX_HOSTS], nullified[MAX_HOSTS], finalized[MAX_HOSTS];
    cn_digest notarized_block[MAX_HOSTS], finalized_block[MAX_HOSTS];
} view_votes;

typedef struct epoch_votes {
    bool begun;
    member_set set;
    unsigned q;
    view_votes *view;
    bool closed;
    cn_digest closing;
} epoch_votes;

struct oracle {
    cn_digest network;
    bool epochless;
    uint32_t honest; /* members */
    epoch_votes epoch[MAX_EPOCHS];
    cn_digest chain[MAX_HEIGHT];
    bool known[MAX_HEIGHT];
    bool violated;
    char text[256];
};

oracle *oracle_new(const cn_digest *network, bool epochless)
{
    oracle *o = calloc(1, sizeof *o);
    o->network = *network;
    o->epochless = epochless;
    return o;
}

void oracle_free(oracle *o)
{
    for (unsigned i = 0; i < MAX_EPOCHS; i++)
        free(o->epoch[i].view);
    free(o);
}

void oracle_honest(oracle *o, uint32_t members)
{
    o->honest = members;
}

void oracle_epoch(oracle *o, uint64_t epoch, const member_set *set)
{
    epoch_votes *e = epoch < MAX_EPOCHS ? &o->epoch[epoch] : NULL;
    if (!e || e->begun)
        return;
    e->begun = true;
    e->set = *set;
    e->q = (set->n + (set->n - 1) / 3) / 2 + 1;
    e->view = calloc(MAX_VIEWS, sizeof *e->view);
}

uint64_t oracle_epochs(const oracle *o)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < MAX_EPOCHS; i++)
        n += o->epoch[i].begun;
    return n;
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
    memset(m + 32, 0, 8);
    if (!o->epochless)
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

static void check_view(oracle *o, const epoch_votes *e, uint64_t epoch, uint64_t view)
{
    const view_votes *v = &e->view[view];
    unsigned notarized = 0;
    for (unsigned i = 0; i < v->blocks; i++) {
        notarized += (unsigned)__builtin_popcount(v->block[i].notarize) >= e->q;
        if ((unsigned)__builtin_popcount(v->block[i].finalize) >= e->q &&
            (unsigned)__builtin_popcount(v->nullify) >= e->q)
            oracle_fail(o, "epoch %llu view %llu has a finalization and a nullification", (unsigned long long)epoch,
                        (unsigned long long)view);
    }
    if (notarized > 1)
        oracle_fail(o, "two blocks are notarized in epoch %llu view %llu", (unsigned long long)epoch,
                    (unsigned long long)view);
}

static void honest_vote(oracle *o, view_votes *v, unsigned member, uint64_t view, uint8_t kind, const cn_digest *block)
{
    if (kind == 1) {
        if (v->notarized[member] && memcmp(v->notarized_block[member].b, block->b, 32) != 0)
            oracle_fail(o, "honest node %u notarized two blocks in view %llu", member, (unsigned long long)view);
        v->notarized[member] = true;
        v->notarized_block[member] = *block;
    } else if (kind == 2) {
        v->nullified[member] = true;
    } else {
        if (v->finalized[member] && memcmp(v->finalized_block[member].b, block->b, 32) != 0)
            oracle_fail(o, "honest node %u finalized two blocks in view %llu", member, (unsigned long long)view);
        v->finalized[member] = true;
        v->finalized_block[member] = *block;
    }
    if (v->nullified[member] && v->finalized[member])
        oracle_fail(o, "honest node %u signed nullify and finalize in view %llu", member, (unsigned long long)view);
}

/* kind | epoch u64 | view u64 | block 32; signer: index in the set of the epoch */
static void count_vote(oracle *o, unsigned member, bool honest, const uint8_t *p, unsigned signer,
                       const uint8_t *signature)
{
    uint64_t epoch = u64_at(p + 1), view = u64_at(p + 9);
    epoch_votes *e = epoch < MAX_EPOCHS ? &o->epoch[epoch] : NULL;
    if (!e || !e->begun) {
        if (honest)
            oracle_fail(o, "honest node %u votes in epoch %llu, which has not begun", member,
                        (unsigned long long)epoch);
        return;
    }
    if (view >= MAX_VIEWS || signer >= e->set.n || p[0] < 1 || p[0] > 3) {
        if (honest && signer >= e->set.n)
            oracle_fail(o, "node %u votes in epoch %llu, to whose set it does not belong", member,
                        (unsigned long long)epoch);
        return;
    }
    cn_digest digest = vote_digest(o, p + 1, p[0], p + 9, p + 17), block;
    if (!sim_verify(member_key(&e->set, signer), &digest, signature)) {
        if (honest)
            oracle_fail(o, "honest node %u signed with a key that is not its own in epoch %llu", member,
                        (unsigned long long)epoch);
        return;
    }
    memcpy(block.b, p + 17, 32);
    view_votes *v = &e->view[view];
    unsigned who = e->set.member[signer];
    if (honest && who == member)
        honest_vote(o, v, who, view, p[0], &block);
    block_votes *b = p[0] == 2 ? NULL : votes_of(v, &block);
    if (p[0] == 2)
        v->nullify |= 1u << who;
    else if (b && p[0] == 1)
        b->notarize |= 1u << who;
    else if (b)
        b->finalize |= 1u << who;
    check_view(o, e, epoch, view);
}

/* An honest member is counted only for what it has said itself: in this epoch, in this view, for this block. */
static bool said(const oracle *o, const view_votes *v, unsigned member, uint8_t kind, const uint8_t *block)
{
    if (!(o->honest >> member & 1))
        return true;
    return kind == 1   ? v->notarized[member] && memcmp(v->notarized_block[member].b, block, 32) == 0
           : kind == 2 ? v->nullified[member]
                       : v->finalized[member] && memcmp(v->finalized_block[member].b, block, 32) == 0;
}

/* kind | epoch | view | block | n | bitmap | signatures: an honest node passes on only whole quorums of that epoch */
static void on_certificate(oracle *o, unsigned node, const uint8_t *p, size_t n)
{
    if (n < 1 + 8 + 8 + 32 + 1)
        return;
    uint64_t epoch = u64_at(p + 1), view = u64_at(p + 9);
    const epoch_votes *e = epoch < MAX_EPOCHS ? &o->epoch[epoch] : NULL;
    unsigned members = p[49], signers = 0;
    const uint8_t *bitmap = p + 50, *signature = bitmap + (members + 7) / 8;
    if (!e || !e->begun || members != e->set.n || view >= MAX_VIEWS) {
        oracle_fail(o, "node %u passed on a certificate of a set that is not that of epoch %llu", node,
                    (unsigned long long)epoch);
        return;
    }
    cn_digest digest = vote_digest(o, p + 1, p[0], p + 9, p + 17);
    for (unsigned i = 0; i < members; i++) {
        if (!(bitmap[i / 8] >> (i % 8) & 1))
            continue;
        if (signature + 64 > p + n || !sim_verify(member_key(&e->set, i), &digest, signature)) {
            oracle_fail(o, "node %u passed on a certificate with a false signature", node);
            return;
        }
        if (!said(o, &e->view[view], e->set.member[i], p[0], p + 17)) {
            oracle_fail(o,
                        "node %u passed on a certificate of epoch %llu view %llu with a vote that node %u never cast",
                        node, (unsigned long long)epoch, (unsigned long long)view, e->set.member[i]);
            return;
        }
        signature += 64;
        signers++;
    }
    if (signers < e->q)
        oracle_fail(o, "node %u passed on a certificate with %u signers", node, signers);
}

/* version | message kind | ... */
void oracle_sent(oracle *o, unsigned member, bool honest, const uint8_t *p, size_t n)
{
    const size_t vote = 1 + 8 + 8 + 32;
    if (n == 2 + vote + 2 + 64 && p[1] == 2)
        count_vote(o, member, honest, p + 2, (unsigned)(p[2 + vote] << 8 | p[3 + vote]), p + 4 + vote);
    if (honest && n >= 2 && p[1] == 3)
        on_certificate(o, member, p + 2, n - 2);
}

static void final_closing(oracle *o, unsigned node, epoch_votes *e, const cn_header *h, const cn_digest *digest)
{
    if (e->closed && memcmp(e->closing.b, digest->b, 32) != 0)
        oracle_fail(o, "node %u finalized a second closing block of epoch %llu", node, (unsigned long long)h->epoch);
    e->closed = true;
    e->closing = *digest;
}

void oracle_final(oracle *o, unsigned node, const cn_header *h, const cn_digest *digest, uint64_t certified_epoch)
{
    uint64_t height = h->height;
    epoch_votes *e = h->epoch < MAX_EPOCHS ? &o->epoch[h->epoch] : NULL;
    if (height >= MAX_HEIGHT)
        return;
    if (!e || !e->begun || h->epoch != certified_epoch || memcmp(h->set.b, e->set.digest.b, 32) != 0) {
        oracle_fail(o, "node %u finalized a block of epoch %llu by a certificate of epoch %llu", node,
                    (unsigned long long)h->epoch, (unsigned long long)certified_epoch);
        return;
    }
    if (o->known[height] && memcmp(o->chain[height].b, digest->b, 32) != 0)
        oracle_fail(o, "node %u finalized another block at height %llu", node, (unsigned long long)height);
    if (height > 0 && o->known[height - 1] && memcmp(o->chain[height - 1].b, h->parent.b, 32) != 0)
        oracle_fail(o, "the final block at height %llu does not follow the one below", (unsigned long long)height);
    if (h->kind == CN_BLOCK_CLOSING)
        final_closing(o, node, e, h, digest);
    o->known[height] = true;
    o->chain[height] = *digest;
}

/* ---- keyed hashes ---- */

void sim_sign(unsigned key, const cn_digest *digest, uint8_t signature[64])
{
    uint8_t m[8 + 32] = "simkey";
    m[6] = (uint8_t)(key >> 8);
    m[7] = (uint8_t)key;
    memcpy(m + 8, digest->b, 32);
    cn_digest d = cn_sha256(m, sizeof m);
    memcpy(signature, d.b, 32);
    memset(signature + 32, 0, 32);
}

bool sim_verify(unsigned key, const cn_digest *digest, const uint8_t signature[64])
{
    uint8_t expected[64];
    sim_sign(key, digest, expected);
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
