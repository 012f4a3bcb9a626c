/* The offline verifier holds foreign networks and the proofs from them to the rules of the ledger, over a ledger that
 * records what no honest network would: each dossier breaks one of them. The ways that hold on the real ledger are in
 * tests/unit/node/test_ledger_foreign.c. */
#include "mini.h"
#include "proto/foreign.h"
#include "tests/unit/proto/kit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOX "urn:epc:id:bic:CSQU3054383"
#define OTHER "urn:epc:id:bic:MSKU9070323"

static mini m;
static kit_set there;     /* the validators of the foreign network, f0.. */
static cn_digest network; /* its id */
static cn_buf proof;      /* of a statement there */

static void begin(void)
{
    mini_begin(&m);
    kit_set_make(&there, 4);
    network = kit_fill(0xf0);
    cn_buf_init(&proof, CN_MAX_FOREIGN_BYTES);
    kit_foreign_proof(&proof);
}

static void end(void)
{
    cn_buf_free(&proof);
    mini_end(&m);
}

TestSuite(verify_foreign, .init = begin, .fini = end);

/* ---- statements ---- */

static uint64_t propose(mini_signer *by, uint64_t epoch, cn_digest *ret_id)
{
    cn_body body = {.kind = CN_PAYLOAD_PROPOSAL};
    body.proposal.action = CN_CHANGE_FOREIGN;
    body.proposal.member = network;
    body.proposal.foreign.withdraw = epoch == 0;
    if (epoch)
        body.proposal.foreign = (cn_foreign_network){.name = "bank-net",
                                                     .epoch = epoch,
                                                     .set = cn_validator_set_digest(&there.set),
                                                     .height = epoch == 1 ? 0 : 1,
                                                     .log_size = 2};
    uint64_t index = mini_record(&m, by, &body, NULL, 0);
    *ret_id = m.statement[index].decoded->id;
    return index;
}

static uint64_t ballot(mini_signer *by, const cn_digest *proposal)
{
    cn_body body = {.kind = CN_PAYLOAD_BALLOT};
    body.ballot = (cn_ballot_payload){*proposal, network, true};
    return mini_record(&m, by, &body, NULL, 0);
}

/* Decided by the first so many members; epoch 0 withdraws it. The index of the last ballot. */
static uint64_t decide(uint64_t epoch, unsigned voters)
{
    cn_digest id;
    uint64_t last = propose(&m.capture[3], epoch, &id);
    for (unsigned i = 0; i < voters; i++)
        last = ballot(&m.capture[i], &id);
    return last;
}

static uint64_t rely(mini_signer *by, const cn_buf *bytes, const char *uri)
{
    cn_body body = {.kind = CN_PAYLOAD_FOREIGN};
    cn_digest tag = uri ? mini_tag(&m, uri) : cn_digest_zero;
    body.foreign.proof = CN_SPAN(bytes->p, bytes->n);
    body.foreign.subject = &tag;
    body.foreign.subject_count = uri ? 1 : 0;
    return mini_record(&m, by, &body, NULL, 0);
}

/* From epoch 1 to 2: the same validators once more, by the votes of these. */
static void advance(uint32_t signers, cn_buf *ret)
{
    cn_foreign_proof *p = calloc(1, sizeof *p);
    cn_buf rows, votes;
    cr_assert_not_null(p);
    cn_buf_init(&rows, 4 * CN_SET_ROW_LEN);
    cn_validator_set_encode(&there.set, &rows);
    cn_header h = {.version = 1, .kind = CN_BLOCK_CLOSING, .epoch = 1, .height = 5, .log_size = 9};
    h.body = cn_body_digest(NULL, 0);
    h.set = h.next_set = cn_validator_set_digest(&there.set);
    cn_certificate c = {.kind = CN_FINALIZE, .epoch = 1, .view = 3, .n = 4};
    c.block = cn_header_digest(&h);
    cn_digest vote = cn_vote_digest(&network, 1, CN_FINALIZE, 3, &c.block);
    for (unsigned i = 0; i < 4; i++)
        if (signers >> i & 1) {
            c.bitmap[0] |= (uint8_t)(1u << i);
            cr_assert_eq(cn_sign(&there.vote[i], &vote, &c.signature[c.signature_count++], NULL), CN_OK);
        }
    cn_buf_init(&votes, CN_CERTIFICATE_MAX);
    cn_certificate_encode(&c, &votes);
    p->kind = CN_FOREIGN_ADVANCE;
    p->network = network;
    p->epoch = 1;
    p->rows = CN_SPAN(rows.p, rows.n);
    p->step_count = 1;
    p->step[0] = (cn_foreign_step){h, CN_SPAN(votes.p, votes.n), CN_SPAN(rows.p, rows.n)};
    cn_buf_init(ret, CN_MAX_FOREIGN_BYTES);
    cr_assert_eq(cn_foreign_write(p, ret, NULL), CN_OK);
    cn_buf_free(&rows);
    cn_buf_free(&votes);
    free(p);
}

/* ---- verdicts ---- */

static void network_uri(char uri[128])
{
    snprintf(uri, 128, "urn:carnet:network:%s", cn_digest_hex(&network).s);
}

static void accepted(const char *uri)
{
    cn_verify_report report;
    mini_parts *p = mini_parts_of(&m, uri);
    cr_expect_eq(mini_verify(&m, p, &report), CN_OK);
    for (int i = 0; i < CN_STEP_COUNT; i++)
        cr_expect_neq(report.step[i].verdict, CN_VERDICT_FAILED, "%s: %s", cn_verify_step_name((cn_verify_step)i),
                      report.step[i].err.text);
    mini_parts_free(p);
}

/* Nothing fails before this step, which fails at this place for this reason. */
static void fails(mini_parts *p, cn_verify_step step, const char *where, const char *reason)
{
    cn_verify_report report;
    cr_expect_neq(mini_verify(&m, p, &report), CN_OK);
    for (int i = 0; i < (int)step; i++)
        cr_expect_neq(report.step[i].verdict, CN_VERDICT_FAILED, "%s: %s", cn_verify_step_name((cn_verify_step)i),
                      report.step[i].err.text);
    const cn_err *err = &report.step[step].err;
    cr_expect_eq(report.step[step].verdict, CN_VERDICT_FAILED, "%s", reason);
    cr_expect_str_eq(err->field, where, "%s: %s", reason, err->text);
    cr_expect(strstr(err->text, reason), "\"%s\" does not say \"%s\"", err->text, reason);
    mini_parts_free(p);
}

static void authority(const char *uri, uint64_t index, const char *reason)
{
    char where[64];
    snprintf(where, sizeof where, "statements/%020llu.bin", (unsigned long long)index);
    fails(mini_parts_of(&m, uri), CN_STEP_AUTHORITY, where, reason);
}

/* ---- what holds ---- */

Test(verify_foreign, a_proof_of_a_network_that_a_ballot_let_in)
{
    char uri[128];
    decide(1, 3);
    rely(&m.capture[1], &proof, BOX);
    accepted(BOX);
    network_uri(uri);
    accepted(uri);
    accepted("urn:carnet:governance");
    char member[128]; /* a network is no member: its ballots are in no member's tree but their signers' */
    snprintf(member, sizeof member, "urn:carnet:member:%s", cn_digest_hex(&network).s);
    accepted(member);
}

Test(verify_foreign, an_advance_moves_it_on)
{
    cn_buf steps;
    char uri[128];
    decide(1, 3);
    rely(&m.capture[1], &proof, BOX);
    advance(0x7, &steps);
    rely(&m.capture[2], &steps, NULL);
    network_uri(uri);
    accepted(uri);
    accepted(BOX);
    cn_buf_free(&steps);
}

/* ---- what does not ---- */

Test(verify_foreign, two_ballots_let_nobody_in)
{
    decide(1, 2);
    uint64_t at = rely(&m.capture[1], &proof, BOX);
    authority(BOX, at, "foreign_proof.network: no ballot has registered");
}

Test(verify_foreign, a_ballot_that_comes_later_does_not_count)
{
    cn_digest id;
    propose(&m.capture[3], 1, &id);
    ballot(&m.capture[0], &id);
    ballot(&m.capture[1], &id);
    uint64_t at = rely(&m.capture[1], &proof, BOX);
    ballot(&m.capture[2], &id);
    authority(BOX, at, "no ballot has registered");
}

Test(verify_foreign, nothing_of_a_network_that_was_withdrawn)
{
    decide(1, 3);
    decide(0, 3);
    uint64_t at = rely(&m.capture[1], &proof, BOX);
    authority(BOX, at, "foreign_proof.network: bank-net was withdrawn");
}

Test(verify_foreign, nothing_of_a_retired_epoch)
{
    cn_buf steps;
    decide(1, 3);
    advance(0x7, &steps);
    rely(&m.capture[2], &steps, NULL);
    uint64_t at = rely(&m.capture[1], &proof, BOX);
    authority(BOX, at, "foreign_proof.epoch: is 1, which is retired");
    cn_buf_free(&steps);
}

Test(verify_foreign, an_advance_by_fewer_than_a_quorum)
{
    cn_buf steps;
    char uri[128];
    decide(1, 3);
    advance(0x7, &steps);
    steps.p[steps.n - 4 * CN_SET_ROW_LEN - 2] ^= 1; /* the last vote */
    uint64_t at = rely(&m.capture[2], &steps, NULL);
    network_uri(uri);
    authority(uri, at, "foreign_proof.steps");
    cn_buf_free(&steps);
}

Test(verify_foreign, one_statement_is_relied_on_once)
{
    decide(1, 3);
    uint64_t first = rely(&m.capture[1], &proof, BOX);
    uint64_t second = rely(&m.capture[2], &proof, BOX);
    char words[80];
    snprintf(words, sizeof words, "replay of the one at log index %llu", (unsigned long long)first);
    authority(BOX, second, words);
}

Test(verify_foreign, a_forged_statement_vote_and_place)
{
    decide(1, 3);
    cn_foreign_proof *p = calloc(1, sizeof *p);
    cr_assert_not_null(p);
    cr_assert_eq(cn_foreign_read(proof.p, proof.n, p, NULL), CN_OK);
    uint8_t *vote = (uint8_t *)(uintptr_t)p->finalization.p + p->finalization.n - 1;
    *vote ^= 1;
    uint64_t at = rely(&m.capture[1], &proof, BOX);
    *vote ^= 1;
    authority(BOX, at, "foreign_proof.finalization");
    uint8_t *signature = (uint8_t *)(uintptr_t)p->record.p + p->record.n - 1;
    *signature ^= 1;
    at = rely(&m.capture[1], &proof, OTHER);
    *signature ^= 1;
    authority(OTHER, at, "foreign_proof.record");
    free(p);
}

Test(verify_foreign, a_device_relies_on_nothing)
{
    decide(1, 3);
    mini_signer device = mini_device(&m, &m.capture[1], 120);
    uint64_t at = rely(&device, &proof, BOX);
    authority(BOX, at, "capture key");
}

Test(verify_foreign, a_network_in_force_does_not_go_back)
{
    char uri[128];
    decide(3, 3);
    uint64_t at = decide(2, 3);
    network_uri(uri);
    authority(uri, at, "only moves on");
}

/* ---- what is left out ---- */

Test(verify_foreign, the_tree_of_the_network_must_be_there)
{
    char where[64];
    decide(1, 3);
    uint64_t at = rely(&m.capture[1], &proof, BOX);
    mini_parts *p = mini_parts_of(&m, BOX);
    cn_digest tag = cn_network_subject(m.genesis.subject_salt, &network);
    mini_drop_subject(p, &tag);
    snprintf(where, sizeof where, "statements/%020llu.bin", (unsigned long long)at);
    fails(p, CN_STEP_REGISTRY_CLOSURE, where, "the tree about the foreign network");
}

Test(verify_foreign, an_advance_that_is_left_out_is_missed)
{
    cn_buf steps;
    char where[96];
    decide(1, 3);
    rely(&m.capture[1], &proof, BOX);
    advance(0x7, &steps);
    uint64_t at = rely(&m.capture[2], &steps, NULL);
    mini_parts *p = mini_parts_of(&m, BOX);
    mini_drop_statement(p, at);
    cn_digest tag = cn_network_subject(m.genesis.subject_salt, &network);
    snprintf(where, sizeof where, "subjects/%s.bin", cn_digest_hex(&tag).s);
    fails(p, CN_STEP_COMPLETENESS, where, "is missing from the dossier");
    cn_buf_free(&steps);
}
