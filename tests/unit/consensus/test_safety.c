/* R5: may_sign over every row of the safety table, every vote and every relation of the view to the floor; and the
 * order of PERSIST before SEND. The expectations are a table written from the rules, not computed. */
#include "consensus/core.h"

#include <criterion/criterion.h>
#include <string.h>

#define FLOOR 5u
#define N 4u

static const cn_digest block_a = {{0xaa}}, block_b = {{0xbb}}, none;

static void sign_cb(void *ctx, const cn_digest *digest, cn_signature *ret)
{
    (void)ctx;
    memset(ret, 0, sizeof *ret);
    memcpy(ret->b, digest->b, sizeof digest->b);
}

/* A signature is the digest and the signer, so the tests can sign for everybody. */
static bool verify_cb(void *ctx, unsigned signer, const cn_digest *digest, const uint8_t signature[CN_SIGNATURE_LEN])
{
    (void)ctx;
    return memcmp(signature, digest->b, sizeof digest->b) == 0 && signature[63] == signer;
}

static cn_consensus_config config(const cn_sign_row *row, size_t rows)
{
    cn_consensus_config cfg = {.epoch = 1,
                               .n = N,
                               .self = 0,
                               .crypto = {NULL, sign_cb, verify_cb},
                               .delay_floor_ms = 40,
                               .delay_cap_ms = 30000,
                               .checkpoint_interval_ms = 1000,
                               .heartbeat_ms = 60000,
                               .may_vote = true,
                               .final_view = FLOOR,
                               .floor_view = FLOOR,
                               .row_count = rows,
                               .row = row};
    cfg.final_block.header.height = 3;
    cfg.final_block.header.time_ms = 1000;
    return cfg;
}

static bool may(const cn_consensus *c, char vote, uint64_t view)
{
    switch (vote) {
    case 'n':
        return cn_may_sign(c, CN_NOTARIZE, view, &block_a);
    case 'N':
        return cn_may_sign(c, CN_NOTARIZE, view, &block_b);
    case '0':
        return cn_may_sign(c, CN_NULLIFY, view, &none);
    case 'f':
        return cn_may_sign(c, CN_FINALIZE, view, &block_a);
    default:
        return cn_may_sign(c, CN_FINALIZE, view, &block_b);
    }
}

/* Votes: n, N notarize A, B; 0 nullify; f, F finalize A, B. A row's block is A. */
static const struct {
    bool notarized, nullified, finalized;
    const char *allowed;
} table[] = {
    {false, false, false, "nN0fF"}, {true, false, false, "n0f"}, {false, true, false, "0"}, {true, true, false, "n0"},
    {false, false, true, "nf"},     {true, false, true, "nf"},   {false, true, true, ""},   {true, true, true, "n"},
};

static cn_sign_row row_of(size_t i, uint64_t view)
{
    return (cn_sign_row){.epoch = 1,
                         .view = view,
                         .notarized = table[i].notarized,
                         .nullified = table[i].nullified,
                         .finalized = table[i].finalized,
                         .block = table[i].notarized || table[i].finalized ? block_a : none};
}

Test(safety, every_row_and_vote)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        for (uint64_t view = FLOOR - 2; view <= FLOOR + 3; view++) {
            cn_sign_row row = row_of(i, view);
            cn_consensus_config cfg = config(&row, 1);
            cn_consensus *c = cn_consensus_new(&cfg, 10000);
            for (const char *vote = "nN0fF"; *vote; vote++) {
                bool expected = view > FLOOR && strchr(table[i].allowed, *vote) != NULL;
                cr_expect_eq(may(c, *vote, view), expected, "row %zu, view %llu, vote %c", i, (unsigned long long)view,
                             *vote);
            }
            cr_expect_not(cn_may_sign(c, 0, view, &none));
            cr_expect_not(cn_may_sign(c, CN_FINALIZE + 1, view, &block_a));
            cn_consensus_free(c);
        }
}

Test(safety, nobody_signs_who_must_not)
{
    for (unsigned who = 0; who < 3; who++) {
        cn_consensus_config cfg = config(NULL, 0);
        cfg.may_vote = who != 0;
        cfg.self = who == 1 ? N : 0;
        cn_consensus *c = cn_consensus_new(&cfg, 10000);
        c->stopped = who == 2;
        for (const char *vote = "nN0fF"; *vote; vote++)
            cr_expect_not(may(c, *vote, FLOOR + 1), "who %u, vote %c", who, *vote);
        cn_consensus_free(c);
    }
}

/* Trap: an old epoch's record replayed into this one. */
Test(safety, rows_of_another_epoch_are_not_restored)
{
    cn_sign_row row = row_of(5, FLOOR + 1);
    row.epoch = 2;
    cn_consensus_config cfg = config(&row, 1);
    cn_consensus *c = cn_consensus_new(&cfg, 10000);
    cr_expect(may(c, '0', FLOOR + 1));
    cn_consensus_free(c);
}

static size_t votes_sent(const cn_actions *a, uint8_t kind)
{
    size_t n = 0;
    cn_vote vote;
    for (size_t i = 0; i < a->n; i++)
        n += a->v[i].kind == CN_ACT_SEND && cn_vote_read(a->v[i].bytes, a->v[i].n, &vote) && vote.kind == kind;
    return n;
}

static const cn_action *first(const cn_actions *a, cn_action_kind kind)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->v[i].kind == kind)
            return &a->v[i];
    return NULL;
}

/* Trap: the vote leaves before its record is durable. */
Test(safety, no_vote_before_its_row_is_durable)
{
    cn_consensus_config cfg = config(NULL, 0);
    cn_consensus *c = cn_consensus_new(&cfg, 10000);
    cn_actions out = {0};
    cn_consensus_step(c, 10000, &(cn_event){.kind = CN_EV_PENDING, .oldest_ms = 10000}, &out);
    cn_consensus_step(c, 20000, &(cn_event){.kind = CN_EV_TICK}, &out); /* the leader stays silent */
    const cn_action *persist = first(&out, CN_ACT_PERSIST);
    cr_assert(persist && persist->has_row && persist->row.nullified);
    cr_expect_eq(persist->row.view, FLOOR + 1);
    uint64_t token = persist->token;
    for (uint64_t at = 20100; at < 22000; at += 100) /* resending must not slip past either */
        cn_consensus_step(c, at, &(cn_event){.kind = CN_EV_TICK}, &out);
    cr_expect_eq(votes_sent(&out, CN_NULLIFY), 0);
    cn_consensus_step(c, 21910, &(cn_event){.kind = CN_EV_PERSISTED, .token = token}, &out);
    cr_expect_eq(votes_sent(&out, CN_NULLIFY), 1);
    cn_actions_free(&out);
    cn_consensus_free(c);
}

/* Trap: own nullify not sent again after a restart. */
Test(safety, a_restored_nullify_is_sent_again)
{
    cn_sign_row row = row_of(2, FLOOR + 1);
    cn_consensus_config cfg = config(&row, 1);
    cn_consensus *c = cn_consensus_new(&cfg, 10000);
    cn_actions out = {0};
    cn_consensus_step(c, 11000, &(cn_event){.kind = CN_EV_TICK}, &out);
    cr_expect_geq(votes_sent(&out, CN_NULLIFY), 1);
    cr_expect_null(first(&out, CN_ACT_PERSIST));
    cn_actions_free(&out);
    cn_consensus_free(c);
}

static void deliver_vote(cn_consensus *c, uint8_t kind, unsigned signer, uint64_t view, const cn_digest *block,
                         cn_actions *out)
{
    cn_vote vote = {.kind = kind, .epoch = 1, .view = view, .block = *block, .signer = (uint16_t)signer};
    cn_digest digest = cn_vote_digest(&c->cfg.network, 1, kind, view, block);
    sign_cb(NULL, &digest, &vote.signature);
    vote.signature.b[63] = (uint8_t)signer;
    cn_buf bytes;
    cn_buf_init(&bytes, 256);
    cn_vote_write(&vote, &bytes);
    cn_consensus_step(c, 10000, &(cn_event){.kind = CN_EV_MESSAGE, .from = 1, .bytes = bytes.p, .n = bytes.n}, out);
    cn_buf_free(&bytes);
}

/* R5: a valid signature of this node that its table does not know. */
Test(safety, own_vote_missing_from_the_table_stops)
{
    cn_consensus_config cfg = config(NULL, 0);
    cn_consensus *c = cn_consensus_new(&cfg, 10000);
    cn_actions out = {0};
    deliver_vote(c, CN_NOTARIZE, 0, FLOOR + 1, &block_a, &out);
    cr_expect(first(&out, CN_ACT_STOP));
    cr_expect_not(may(c, '0', FLOOR + 1));
    cn_actions_free(&out);
    cn_consensus_free(c);
}

/* A validator whose table is lost follows, and its old votes, which anybody can say again, do not end that (R5). */
Test(safety, old_votes_do_not_stop_who_follows_without_a_table)
{
    cn_consensus_config cfg = config(NULL, 0);
    cfg.may_vote = false;
    cn_consensus *c = cn_consensus_new(&cfg, 10000);
    cn_actions out = {0};
    deliver_vote(c, CN_NOTARIZE, 0, FLOOR + 1, &block_a, &out);
    cr_expect_not(first(&out, CN_ACT_STOP));
    cn_consensus_info info;
    cn_consensus_info_get(c, &info);
    cr_expect_neq(info.waiting_for, CN_WAIT_STOPPED);
    cn_actions_free(&out);
    cn_consensus_free(c);
}

/* Traps: a vote that arrives again counted twice (R9). */
Test(safety, signers_are_counted_never_arrivals)
{
    cn_consensus_config cfg = config(NULL, 0);
    cn_consensus *c = cn_consensus_new(&cfg, 10000);
    cn_actions out = {0};
    for (int i = 0; i < 6; i++) {
        deliver_vote(c, CN_NOTARIZE, 1, FLOOR + 1, &block_a, &out);
        deliver_vote(c, CN_NOTARIZE, 2, FLOOR + 1, &block_a, &out);
    }
    cr_expect_not(cn_certified(cn_slot_find(c, FLOOR + 1), CN_NOTARIZE));
    deliver_vote(c, CN_NOTARIZE, 3, FLOOR + 1, &block_a, &out);
    cr_expect(cn_certified(cn_slot_find(c, FLOOR + 1), CN_NOTARIZE));
    cn_actions_free(&out);
    cn_consensus_free(c);
}

Test(safety, two_votes_of_one_signer_are_evidence_and_count_once)
{
    cn_consensus_config cfg = config(NULL, 0);
    cn_consensus *c = cn_consensus_new(&cfg, 10000);
    cn_actions out = {0};
    deliver_vote(c, CN_NOTARIZE, 1, FLOOR + 1, &block_a, &out);
    deliver_vote(c, CN_NOTARIZE, 1, FLOOR + 1, &block_b, &out);
    const cn_action *evidence = first(&out, CN_ACT_EVIDENCE);
    cr_assert(evidence);
    cr_expect_eq(evidence->to, 1);
    cr_expect(cn_digest_eq(&cn_slot_find(c, FLOOR + 1)->votes[CN_NOTARIZE - 1]->block[1], &block_a));
    cn_actions_free(&out);
    cn_consensus_free(c);
}

/* Trap: buffers bounded in items, not bytes: a false certificate of a far view takes no memory (R9). */
Test(safety, a_false_certificate_of_a_far_view_takes_no_memory)
{
    cn_consensus_config cfg = config(NULL, 0);
    cn_consensus *c = cn_consensus_new(&cfg, 10000);
    size_t before = c->slot_count;
    cn_certificate cert = {.kind = CN_NULLIFY, .epoch = 1, .view = FLOOR + 90000, .n = N, .bitmap = {0x0e}};
    cert.signature_count = 3;
    cn_buf bytes;
    cn_buf_init(&bytes, 4096);
    cn_certificate_message_write(&cert, &bytes);
    cn_actions out = {0};
    cn_consensus_step(c, 10000, &(cn_event){.kind = CN_EV_MESSAGE, .from = 1, .bytes = bytes.p, .n = bytes.n}, &out);
    cr_expect_eq(c->bad_messages, 1);
    cr_expect_eq(c->slot_count, before);
    cn_buf_free(&bytes);
    cn_actions_free(&out);
    cn_consensus_free(c);
}
