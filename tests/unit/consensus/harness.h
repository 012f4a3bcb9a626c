/* One core by itself: a set of n with keyed hashes for signatures, and the votes of the others made by the test. */
#ifndef CARNET_TESTS_UNIT_CONSENSUS_HARNESS_H
#define CARNET_TESTS_UNIT_CONSENSUS_HARNESS_H

#include "consensus/core.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define T0 UINT64_C(1000000)

static const cn_digest test_network = {{1, 2, 3}};
static const cn_digest test_set = {{9}};

static inline void keyed(unsigned who, const cn_digest *digest, cn_signature *ret)
{
    uint8_t m[33];
    m[0] = (uint8_t)who;
    memcpy(m + 1, digest->b, 32);
    cn_digest d = cn_sha256(m, sizeof m);
    memset(ret, 0, sizeof *ret);
    memcpy(ret->b, d.b, 32);
}

static inline void sign_cb(void *ctx, const cn_digest *digest, cn_signature *ret)
{
    keyed((unsigned)(uintptr_t)ctx, digest, ret);
}

static inline bool verify_cb(void *ctx, unsigned signer, const cn_digest *digest, const uint8_t signature[64])
{
    cn_signature expected;
    (void)ctx;
    keyed(signer, digest, &expected);
    return memcmp(expected.b, signature, 64) == 0;
}

static inline cn_block genesis_block(void)
{
    cn_block b = {.header = {.version = 1, .kind = CN_BLOCK_CLOSING, .time_ms = T0 - 10, .log_size = 2}};
    b.header.body = cn_body_digest(NULL, 0);
    b.digest = cn_header_digest(&b.header);
    return b;
}

static inline cn_consensus_config config_of(unsigned n, unsigned self)
{
    return (cn_consensus_config){.network = test_network,
                                 .epoch = 1,
                                 .n = n,
                                 .self = self,
                                 .set = test_set,
                                 .crypto = {(void *)(uintptr_t)self, sign_cb, verify_cb},
                                 .delay_floor_ms = 100,
                                 .delay_cap_ms = 3000,
                                 .forward_ms = 10,
                                 .checkpoint_interval_ms = 1000,
                                 .heartbeat_ms = 60000,
                                 .may_vote = true,
                                 .final_block = genesis_block(),
                                 .checkpoint_time_ms = T0 - 10,
                                 .checkpoint_log_size = 2};
}

static inline cn_vote make_vote(unsigned signer, uint8_t kind, uint64_t view, const cn_digest *block)
{
    cn_vote v = {.kind = kind, .epoch = 1, .view = view, .signer = (uint16_t)signer};
    if (kind != CN_NULLIFY)
        v.block = *block;
    cn_digest d = cn_vote_digest(&test_network, 1, kind, view, &v.block);
    keyed(signer, &d, &v.signature);
    return v;
}

/* Steps with a vote as it comes over the wire. */
static inline void hear_vote(cn_consensus *c, uint64_t now, const cn_vote *v, cn_actions *out)
{
    cn_buf bytes;
    cn_buf_init(&bytes, 256);
    cn_vote_write(v, &bytes);
    cn_consensus_step(c, now, &(cn_event){.kind = CN_EV_MESSAGE, .from = v->signer, .bytes = bytes.p, .n = bytes.n},
                      out);
    cn_buf_free(&bytes);
}

static inline const cn_action *find_action(const cn_actions *a, cn_action_kind kind)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->v[i].kind == kind)
            return &a->v[i];
    return NULL;
}

/* Votes of this kind among the messages sent. */
static inline unsigned sent_votes(const cn_actions *a, uint8_t kind)
{
    unsigned n = 0;
    cn_vote v;
    for (size_t i = 0; i < a->n; i++)
        n += a->v[i].kind == CN_ACT_SEND && cn_vote_read(a->v[i].bytes, a->v[i].n, &v) && v.kind == kind;
    return n;
}

#endif
