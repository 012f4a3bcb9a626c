/* The known traps of the rules, each driven through step(). */
#include "harness.h"
#include "proto/evidence.h"

static const cn_digest some_block = {{0xab}};
static cn_actions actions;

static void tick(cn_consensus *c, uint64_t now)
{
    cn_actions_clear(&actions);
    cn_consensus_step(c, now, &(cn_event){.kind = CN_EV_TICK}, &actions);
}

static void pending(cn_consensus *c, uint64_t now)
{
    cn_actions_clear(&actions);
    cn_consensus_step(c, now, &(cn_event){.kind = CN_EV_PENDING, .oldest_ms = now}, &actions);
}

static void vote(cn_consensus *c, uint64_t now, unsigned signer, uint8_t kind, uint64_t view)
{
    cn_vote v = make_vote(signer, kind, view, &some_block);
    cn_actions_clear(&actions);
    hear_vote(c, now, &v, &actions);
}

static void done(cn_consensus *c)
{
    cn_actions_free(&actions);
    cn_consensus_free(c);
}

/* n = 4: the leader of view v is (v + 1) mod 4, so node 1 does not lead views 1 and 2. */
Test(step, nothing_is_signed_before_its_row_is_durable)
{
    cn_consensus_config cfg = config_of(4, 1);
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    pending(c, T0);
    tick(c, T0 + 1000); /* the leader is silent: the view is given up */
    const cn_action *persist = find_action(&actions, CN_ACT_PERSIST);
    cr_assert_not_null(persist);
    cr_expect(persist->has_row && persist->row.nullified && persist->row.view == 1);
    cr_expect_eq(sent_votes(&actions, CN_NULLIFY), 0u);
    uint64_t token = persist->token;
    tick(c, T0 + 1100);
    cr_expect_eq(sent_votes(&actions, CN_NULLIFY), 0u, "resending is no way around the disk");
    cn_actions_clear(&actions);
    cn_consensus_step(c, T0 + 1101, &(cn_event){.kind = CN_EV_PERSISTED, .token = token}, &actions);
    cr_expect_eq(sent_votes(&actions, CN_NULLIFY), 1u);
    done(c);
}

Test(step, an_idle_network_arms_no_timer_before_the_heartbeat)
{
    cn_consensus_config cfg = config_of(4, 1);
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    tick(c, T0 + 1);
    cr_expect_geq(cn_consensus_deadline(c), T0 + 59000);
    done(c);
}

/* Who follows without a vote has nothing to do when a view is late: no timer may ring for it again and again. */
Test(step, who_cannot_sign_arms_no_timer_for_a_late_view)
{
    cn_consensus_config cfg[3] = {config_of(4, 1000), config_of(4, 2), config_of(4, 2)};
    cfg[1].may_vote = false; /* leads view 1 */
    cfg[2].floor_view = 5;   /* its ledger was lost, its safety table was not */
    for (unsigned i = 0; i < 3; i++) {
        cn_consensus *c = cn_consensus_new(&cfg[i], T0);
        pending(c, T0);
        tick(c, T0 + 100000); /* also past the heartbeat */
        cr_expect_geq(cn_consensus_deadline(c), T0 + 100000 + cfg[i].delay_floor_ms / 2, "case %u", i);
        done(c);
    }
}

/* R6: who gave up a view that others saw notarized learns of it by its own vote, whatever became of the broadcast. */
Test(step, a_vote_for_a_view_that_is_over_is_answered_with_the_certificate_that_ended_it)
{
    static const struct {
        uint8_t ended, heard;
        unsigned answers;
    } cases[] = {{CN_NULLIFY, CN_NULLIFY, 1}, {CN_NULLIFY, CN_NOTARIZE, 1}, {CN_NULLIFY, CN_FINALIZE, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cn_consensus_config cfg = config_of(4, 1000);
        cn_consensus *c = cn_consensus_new(&cfg, T0);
        for (unsigned signer = 0; signer < 3; signer++)
            vote(c, T0 + 1, signer, cases[i].ended, 1);
        vote(c, T0 + 1000, 3, cases[i].heard, 1);
        unsigned answered = 0;
        for (size_t k = 0; k < actions.n; k++)
            answered += actions.v[k].kind == CN_ACT_SEND && actions.v[k].to == 3 &&
                        cn_message_kind_of(actions.v[k].bytes, actions.v[k].n) == CN_MSG_CERTIFICATE;
        cr_expect_eq(answered, cases[i].answers, "case %zu: %u answers", i, answered);
        done(c);
    }
}

/* The same for a nullify vote where this node holds the notarization: a restarted finalizer's broadcast may be lost. */
Test(step, a_nullify_vote_is_answered_with_the_notarization_that_was_kept)
{
    cn_consensus_config cfg = config_of(4, 1);
    cn_block parent = genesis_block(), block = {.header = parent.header};
    block.header.kind = CN_BLOCK_CHECKPOINT;
    block.header.epoch = 1;
    block.header.height = 1;
    block.header.time_ms = T0;
    block.header.parent = parent.digest;
    block.header.set = block.header.next_set = test_set;
    block.digest = cn_header_digest(&block.header);
    cn_certificate kept = {.kind = CN_NOTARIZE, .epoch = 1, .view = 1, .block = block.digest, .n = 4, .bitmap = {7}};
    for (unsigned signer = 0; signer < 3; signer++)
        kept.signature[kept.signature_count++] = make_vote(signer, CN_NOTARIZE, 1, &block.digest).signature;
    cn_sign_row row = {.epoch = 1, .view = 1, .notarized = true, .finalized = true, .block = block.digest};
    cfg.certificate_count = cfg.row_count = cfg.block_count = 1;
    cfg.certificate = &kept;
    cfg.row = &row;
    cfg.block = &block;
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    tick(c, T0 + 1); /* said to all, who may not hear it */
    cn_actions_clear(&actions);
    cn_consensus_step(c, T0 + 2, &(cn_event){.kind = CN_EV_EXECUTED, .block = block, .ok = true}, &actions);
    cn_consensus_info info;
    cn_consensus_info_get(c, &info);
    cr_assert_eq(info.view, 2u);
    cn_vote v = make_vote(3, CN_NULLIFY, 1, NULL);
    cn_certificate answer;
    bool answered = false;
    cn_actions_clear(&actions);
    hear_vote(c, T0 + 1000, &v, &actions);
    for (size_t k = 0; k < actions.n; k++)
        answered = answered || (actions.v[k].kind == CN_ACT_SEND && actions.v[k].to == 3 &&
                                cn_certificate_message_read(actions.v[k].bytes, actions.v[k].n, &answer) &&
                                answer.kind == CN_NOTARIZE && answer.view == 1);
    cr_expect(answered);
    done(c);
}

/* A body of an earlier life whose parent only others hold: without the parent the node stands still with the
 * notarization in its hands. */
Test(step, the_missing_parent_of_a_restored_body_is_asked_for)
{
    cn_consensus_config cfg = config_of(4, 1);
    cn_block block = {.header = {.version = 1, .kind = CN_BLOCK_CHECKPOINT, .epoch = 1, .height = 2, .time_ms = T0}};
    block.header.parent = some_block;
    block.digest = cn_header_digest(&block.header);
    cfg.block_count = 1;
    cfg.block = &block;
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    tick(c, T0 + 1);
    cr_expect_null(find_action(&actions, CN_ACT_FETCH), "of no use while nobody notarized it");
    for (unsigned signer = 0; signer < 4; signer++) {
        cn_vote v = make_vote(signer, CN_NOTARIZE, 2, &block.digest);
        if (signer == 1)
            continue;
        cn_actions_clear(&actions);
        hear_vote(c, T0 + 2, &v, &actions);
    }
    const cn_action *ask = find_action(&actions, CN_ACT_FETCH);
    cr_assert_not_null(ask);
    cr_expect(cn_digest_eq(&ask->parent, &some_block));
    done(c);
}

static uint64_t build_time(uint64_t now)
{
    cn_consensus_config cfg = config_of(4, 2); /* leads view 1 */
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    cn_consensus_set_wall(c, (int64_t)(now - T0));
    pending(c, T0);
    const cn_action *build = find_action(&actions, CN_ACT_BUILD);
    uint64_t time_ms = build ? build->time_ms : 0;
    done(c);
    return time_ms;
}

/* R13: block times follow the wall clock, which may be set; timers do not. */
Test(step, a_clock_that_is_set_moves_block_times_and_no_timer)
{
    cr_expect_eq(build_time(T0), T0);
    cr_expect_eq(build_time(T0 + 5000), T0 + 5000);
    cr_expect_eq(build_time(T0 - 1000), T0 - 9, "a little behind: one more than the parent");
    cr_expect_eq(build_time(T0 - 60000), 0u, "a minute behind: the parent is ahead of this clock");

    cn_consensus_config cfg = config_of(4, 1);
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    cn_consensus_set_wall(c, 30000);
    tick(c, T0 + 1);
    cr_expect_geq(cn_consensus_deadline(c), T0 + 29000, "the heartbeat is due by the wall clock");
    cr_expect_leq(cn_consensus_deadline(c), T0 + 31000);
    cn_consensus_set_wall(c, -60000);
    pending(c, T0 + 2);
    tick(c, T0 + 1000);
    const cn_action *persist = find_action(&actions, CN_ACT_PERSIST);
    cr_assert_not_null(persist, "a silent leader is given up whatever the wall clock says");
    cr_expect(persist->has_row && persist->row.nullified);
    done(c);
}

Test(step, one_signer_counts_once_however_often_it_is_heard)
{
    cn_consensus_config cfg = config_of(4, 0);
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    cn_consensus_info info;
    for (int i = 0; i < 10; i++)
        vote(c, T0 + 1, 2, CN_NULLIFY, 1);
    cn_consensus_info_get(c, &info);
    cr_expect_eq(info.view, 1u);
    cr_expect_eq(info.nullify_votes, 1u << 2);
    vote(c, T0 + 2, 1, CN_NULLIFY, 1);
    vote(c, T0 + 2, 3, CN_NULLIFY, 1);
    cn_consensus_info_get(c, &info);
    cr_expect_eq(info.view, 2u, "three distinct signers are a quorum");
    done(c);
}

Test(step, a_vote_with_a_false_signature_counts_nothing)
{
    cn_consensus_config cfg = config_of(4, 0);
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    cn_consensus_info info;
    cn_vote v = make_vote(2, CN_NULLIFY, 1, &some_block);
    v.signature.b[5] ^= 1;
    hear_vote(c, T0, &v, &actions);
    cn_consensus_info_get(c, &info);
    cr_expect_eq(info.nullify_votes, 0u);
    cr_expect_eq(info.bad_messages, 1u);
    done(c);
}

Test(step, two_different_votes_are_evidence_and_the_second_does_not_count)
{
    cn_consensus_config cfg = config_of(4, 0);
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    const cn_digest other = {{0xcd}};
    vote(c, T0, 2, CN_NOTARIZE, 1);
    cn_vote v = make_vote(2, CN_NOTARIZE, 1, &other);
    cn_actions_clear(&actions);
    hear_vote(c, T0, &v, &actions);
    const cn_action *evidence = find_action(&actions, CN_ACT_EVIDENCE);
    cr_assert_not_null(evidence);
    cr_expect_eq(evidence->to, 2u);
    cn_evidence proof;
    cr_expect_eq(cn_evidence_decode(evidence->bytes, evidence->n, &proof, NULL), CN_OK);
    cr_expect_eq(proof.signer, 2u);
    cr_expect_eq(proof.view, 1u);
    const cn_digest third = {{0xef}};
    v = make_vote(2, CN_NOTARIZE, 1, &third);
    cn_actions_clear(&actions);
    hear_vote(c, T0, &v, &actions);
    cr_expect_null(find_action(&actions, CN_ACT_EVIDENCE), "one proof is enough: more of them would fill a log (R9)");
    v = make_vote(3, CN_NOTARIZE, 1, &third);
    hear_vote(c, T0, &v, &actions);
    v = make_vote(3, CN_NOTARIZE, 1, &other);
    cn_actions_clear(&actions);
    hear_vote(c, T0, &v, &actions);
    cr_expect_not_null(find_action(&actions, CN_ACT_EVIDENCE), "another signer's is another proof");
    done(c);
}

Test(step, own_votes_of_an_earlier_life_are_sent_again_and_never_contradicted)
{
    cn_consensus_config cfg = config_of(4, 1);
    cn_sign_row row = {.epoch = 1, .view = 1, .nullified = true};
    cfg.row = &row;
    cfg.row_count = 1;
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    pending(c, T0 + 1);
    tick(c, T0 + 200);
    cr_expect_eq(sent_votes(&actions, CN_NULLIFY), 1u, "a nullify of before the restart is resent");
    cr_expect_not(cn_may_sign(c, CN_FINALIZE, 1, &some_block));
    cr_expect_not(cn_may_sign(c, CN_NOTARIZE, 1, &some_block));
    done(c);
}

Test(step, a_row_of_another_epoch_is_not_taken_over)
{
    cn_consensus_config cfg = config_of(4, 1);
    cn_sign_row row = {.epoch = 2, .view = 1, .nullified = true};
    cfg.row = &row;
    cfg.row_count = 1;
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    cr_expect(cn_may_sign(c, CN_NOTARIZE, 1, &some_block));
    done(c);
}

Test(step, an_own_vote_that_the_table_does_not_know_stops_the_node)
{
    cn_consensus_config cfg = config_of(4, 1);
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    cn_vote own = make_vote(1, CN_NOTARIZE, 1, &some_block);
    hear_vote(c, T0, &own, &actions);
    cr_expect_not_null(find_action(&actions, CN_ACT_STOP));
    cr_expect_not(cn_may_sign(c, CN_NULLIFY, 1, &some_block));
    done(c);
}

Test(step, a_later_nullification_alone_moves_no_view)
{
    cn_consensus_config cfg = config_of(4, 0);
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    cn_consensus_info info;
    cn_certificate cert = {.kind = CN_NULLIFY, .epoch = 1, .view = 5, .n = 4, .bitmap = {0x0e}, .signature_count = 3};
    for (unsigned i = 0; i < 3; i++) {
        cn_vote v = make_vote(i + 1, CN_NULLIFY, 5, &some_block);
        cert.signature[i] = v.signature;
    }
    cn_buf bytes;
    cn_buf_init(&bytes, CN_CERTIFICATE_MAX);
    cn_certificate_message_write(&cert, &bytes);
    cn_consensus_step(c, T0, &(cn_event){.kind = CN_EV_MESSAGE, .from = 2, .bytes = bytes.p, .n = bytes.n}, &actions);
    cn_buf_free(&bytes);
    cn_consensus_info_get(c, &info);
    cr_expect_eq(info.view, 1u);
    tick(c, T0 + 500);
    bool asked = false;
    for (size_t i = 0; i < actions.n; i++)
        asked = asked || (actions.v[i].kind == CN_ACT_SEND &&
                          cn_message_kind_of(actions.v[i].bytes, actions.v[i].n) == CN_MSG_CERT_REQUEST);
    cr_expect(asked, "the views in between are asked for");
    done(c);
}

Test(step, more_than_f_who_gave_up_are_joined)
{
    cn_consensus_config cfg = config_of(4, 1);
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    vote(c, T0 + 1, 2, CN_NULLIFY, 1);
    cr_expect_null(find_action(&actions, CN_ACT_PERSIST), "one may be Byzantine");
    vote(c, T0 + 1, 3, CN_NULLIFY, 1);
    const cn_action *persist = find_action(&actions, CN_ACT_PERSIST);
    cr_assert_not_null(persist);
    cr_expect(persist->row.nullified);
    done(c);
}

Test(step, timeouts_grow_to_their_cap_and_no_further)
{
    cn_consensus_config cfg = config_of(4, 0);
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    cn_consensus_info info;
    for (uint64_t view = 1; view <= 40; view++)
        for (unsigned i = 1; i <= 3; i++)
            vote(c, T0 + view, i, CN_NULLIFY, view);
    cn_consensus_info_get(c, &info);
    cr_expect_eq(info.view, 41u);
    cr_expect_eq(info.delay_ms, 3000u);
    done(c);
}

Test(step, a_vote_far_ahead_costs_no_memory_and_asks_for_blocks)
{
    cn_consensus_config cfg = config_of(4, 0);
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    vote(c, T0, 2, CN_NOTARIZE, UINT64_C(1) << 60);
    cr_expect_not_null(find_action(&actions, CN_ACT_SYNC));
    cr_expect_leq(c->slot_count, 4u);
    done(c);
}
