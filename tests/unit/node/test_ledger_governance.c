/* R11 on the real ledger: what keeps changes of the validators going, and what a closing block must be. The plain ways
 * of joining, leaving and rotating are in tests/unit/tools/test_epochs.c, any order of statements in
 * test_ledger_changes.c. */
#include "storage/store_internal.h"
#include "tests/unit/tools/changes.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BOX "urn:epc:id:bic:CSQU3054383"

static fixture fx;
static fx_signer fifth;
static const cn_build_limits limits = {CN_MAX_BLOCK_BYTES, 100};

static void tear_down(void)
{
    fx_close(&fx);
}

static void set_up(void)
{
    fx_open(&fx);
    ch_register_fifth(&fx, &fifth);
}

TestSuite(governance, .init = set_up, .fini = tear_down);
TestSuite(thresholds, .fini = tear_down);

/* ---- helpers ---- */

static cn_status attempt(cn_statement *s, cn_err *err)
{
    cn_stmt *stmt = cn_stmt_new(s);
    cn_status st = cn_ledger_try(fx.ledger, stmt, err);
    cn_stmt_unref(stmt);
    return st;
}

/* Refused with these words; the signer's chain goes on as if the statement had not been made. */
static void refused(fx_signer *s, cn_body *body, cn_status code, const char *words)
{
    fx_signer before = *s;
    cn_err err = {0};
    cn_status st = attempt(fx_sign(&fx, s, body), &err);
    cr_expect_eq(st, code, "%s: %d (%s: %s)", words, st, err.field, err.text);
    cr_expect(strstr(err.text, words) != NULL, "\"%s\" does not say \"%s\"", err.text, words);
    *s = before;
}

static size_t state_value(cn_state_type type, const void *id, size_t id_len, uint8_t value[CN_STATE_VALUE_MAX])
{
    cn_snapshot *snap = NULL;
    size_t n = 0;
    cn_state_key key = cn_state_key_of(fx.genesis.subject_salt, type, id, id_len);
    cr_assert_eq(cn_snapshot_open(fx.store, &snap, NULL), CN_OK);
    if (cn_snapshot_state(snap, &key, value, &n, NULL) != CN_OK)
        n = 0;
    cn_snapshot_close(snap);
    return n;
}

static cn_state_proposal proposal_state(const cn_digest *id)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    cn_state_proposal p;
    size_t n = state_value(CN_STATE_PROPOSAL, id->b, CN_DIGEST_LEN, value);
    cr_assert(cn_state_proposal_decode(value, n, &p));
    return p;
}

static cn_state_change change_state(void)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    cn_state_change c = {.phase = CN_CHANGE_NONE};
    size_t n = state_value(CN_STATE_CHANGE, "", 0, value);
    cr_assert(n == 0 || cn_state_change_decode(value, n, &c));
    return c;
}

static uint64_t epoch(void)
{
    return cn_ledger_epoch_of(fx.ledger, NULL);
}

static cn_digest propose_leave(fx_signer *s, const cn_digest *member)
{
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_LEAVE;
    b->proposal.member = *member;
    return ch_commit(&fx, s, b);
}

static cn_digest propose_rotate(fx_signer *s, unsigned slot)
{
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_ROTATE;
    ch_fill_row(&fx, &b->proposal, &s->owner, slot);
    return ch_commit(&fx, s, b);
}

static cn_stmt *once(void *ctx)
{
    cn_stmt **stmt = ctx, *given = *stmt;
    *stmt = NULL;
    return given;
}

/* A block with one statement, or without; not final. */
static cn_ledger_block *child(cn_ledger_block *parent, cn_stmt *stmt, uint64_t later_ms, cn_status expected)
{
    cn_ledger_block *b = NULL;
    cn_err err = {0};
    uint64_t time = cn_ledger_block_header(parent)->time_ms + later_ms;
    cn_status st = cn_ledger_build(fx.ledger, parent, time, stmt ? once : NULL, &stmt, &limits, &b, &err);
    cr_assert_eq(st, expected, "%s: %s", err.field, err.text);
    return b;
}

/* ---- a change that waits ---- */

Test(governance, an_accepted_change_that_waits_can_be_called_off)
{
    cn_digest rotation = propose_rotate(&fx.member[1], 5), join = ch_propose_join(&fx, &fifth);
    ch_approve(&fx, &join, &fifth.owner, 0, 3);
    cr_assert_eq(proposal_state(&join).status, CN_PROPOSAL_ACCEPTED);
    cr_assert_eq(change_state().phase, CN_CHANGE_ACCEPTED);
    ch_approve(&fx, &rotation, &fx.member[1].owner, 0, 2);
    refused(&fx.member[2], ch_ballot(&rotation, &fx.member[1].owner, true), CN_CONFLICT, "under way");

    /* the joiner never signs readiness: without this, nobody could ever rotate a lost key again */
    ch_commit(&fx, &fx.member[0], ch_ballot(&join, &fifth.owner, false));
    cr_expect_eq(proposal_state(&join).status, CN_PROPOSAL_REJECTED);
    cr_expect_eq(change_state().phase, CN_CHANGE_NONE);
    refused(&fx.member[0], ch_ballot(&join, &fifth.owner, true), CN_CONFLICT, "decided already");
    refused(&fifth, ch_readiness(&fx, &join, &fifth.owner, 4), CN_CONFLICT, "decided already");

    ch_commit(&fx, &fx.member[2], ch_ballot(&rotation, &fx.member[1].owner, true));
    ch_commit(&fx, &fx.member[1], ch_readiness(&fx, &rotation, &fx.member[1].owner, 5));
    cr_expect_eq(epoch(), 2u);
}

Test(governance, a_spare_approval_taken_back_does_not_call_it_off)
{
    cn_digest join = ch_propose_join(&fx, &fifth);
    ch_approve(&fx, &join, &fifth.owner, 0, 4);
    ch_commit(&fx, &fx.member[3], ch_ballot(&join, &fifth.owner, false));
    cn_state_proposal p = proposal_state(&join);
    cr_expect_eq(p.status, CN_PROPOSAL_ACCEPTED);
    cr_expect_eq(p.approvals & p.refusals, 0u);
    ch_commit(&fx, &fifth, ch_readiness(&fx, &join, &fifth.owner, 4));
    cr_expect_eq(epoch(), 2u, "three of the next five, and the joiner");
}

Test(governance, who_refused_may_come_round_while_it_waits)
{
    const cn_digest *leaver = &fx.member[2].owner;
    ch_join(&fx, &fifth);
    cn_digest id = propose_leave(&fx.member[2], leaver);
    ch_commit(&fx, &fx.member[2], ch_ballot(&id, leaver, true));
    ch_commit(&fx, &fx.member[0], ch_ballot(&id, leaver, true));
    ch_commit(&fx, &fx.member[1], ch_ballot(&id, leaver, false));
    ch_commit(&fx, &fx.member[3], ch_ballot(&id, leaver, false));
    refused(&fx.member[3], ch_ballot(&id, leaver, true), CN_CONFLICT, "has voted already"); /* one voice while open */
    ch_commit(&fx, &fifth, ch_ballot(&id, leaver, true));
    cr_expect_eq(proposal_state(&id).status, CN_PROPOSAL_ACCEPTED);
    cr_assert_eq(epoch(), 2u, "two of the next four are no quorum: the leaver's own voice is none of theirs");
    refused(&fx.member[0], ch_ballot(&id, leaver, true), CN_CONFLICT, "has voted already");
    ch_commit(&fx, &fx.member[3], ch_ballot(&id, leaver, true));
    cr_expect_eq(epoch(), 3u);
    cr_expect_eq(proposal_state(&id).status, CN_PROPOSAL_APPLIED);
}

Test(governance, readiness_may_come_before_the_ballots)
{
    cn_digest join = ch_propose_join(&fx, &fifth);
    ch_commit(&fx, &fifth, ch_readiness(&fx, &join, &fifth.owner, 4));
    cr_expect(proposal_state(&join).ready);
    ch_approve(&fx, &join, &fifth.owner, 0, 2);
    cr_assert_eq(epoch(), 1u);
    ch_approve(&fx, &join, &fifth.owner, 2, 3);
    cr_expect_eq(epoch(), 2u, "accepted and ready with one ballot");
}

Test(thresholds, nobody_leaves_when_the_rest_could_never_decide)
{
    fx_open_of(&fx, 5, 5);
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_LEAVE;
    b->proposal.member = fx.member[4].owner;
    refused(&fx.member[4], b, CN_CONFLICT, "nothing could ever be decided");
    tear_down();
    fx_open_of(&fx, 5, 4);
    ch_leave(&fx, 4, 0, 4);
    cr_expect_eq(epoch(), 2u);
    cr_expect_eq(cn_ledger_set_of(fx.ledger, NULL)->n, 4u);
}

/* The offline verifier counts voices by the same rule. */
static void expect_audit(void)
{
    cn_buf zip;
    fx_audit(&fx, "urn:carnet:governance", &zip);
    cn_verify_report *report = fx_verify(&fx, &zip);
    cr_expect(report->accepted, "%s", report->step[CN_STEP_AUTHORITY].err.text);
    free(report);
    cn_buf_free(&zip);
}

/* ---- what else could keep the place of every later change ---- */

/* The fifth asks to join, and as many as it takes accept it. */
static cn_digest accepted_by(unsigned validators, uint16_t threshold)
{
    fx_open_of(&fx, validators, threshold);
    ch_register_fifth(&fx, &fifth);
    cn_digest join = ch_propose_join(&fx, &fifth);
    ch_approve(&fx, &join, &fifth.owner, 0, threshold);
    cr_assert_eq(proposal_state(&join).status, CN_PROPOSAL_ACCEPTED);
    return join;
}

Test(thresholds, more_than_half_call_off_what_those_who_approved_cannot_take_back)
{
    cn_digest join = accepted_by(4, 1); /* and member 0's capture key may be lost */
    ch_commit(&fx, &fx.member[1], ch_ballot(&join, &fifth.owner, false));
    ch_commit(&fx, &fx.member[2], ch_ballot(&join, &fifth.owner, false));
    cr_assert_eq(proposal_state(&join).status, CN_PROPOSAL_ACCEPTED, "half is not more than half");
    cn_digest rotation = propose_rotate(&fx.member[1], 5);
    refused(&fx.member[1], ch_ballot(&rotation, &fx.member[1].owner, true), CN_CONFLICT, "under way");
    ch_commit(&fx, &fx.member[3], ch_ballot(&join, &fifth.owner, false));
    cr_expect_eq(proposal_state(&join).status, CN_PROPOSAL_REJECTED);
    cr_expect_eq(change_state().phase, CN_CHANGE_NONE);
    ch_commit(&fx, &fx.member[1], ch_ballot(&rotation, &fx.member[1].owner, true));
    cr_expect_eq(proposal_state(&rotation).status, CN_PROPOSAL_ACCEPTED);
    expect_audit();
}

Test(thresholds, half_that_refuses_leaves_a_threshold_of_half_alone)
{
    cn_digest join = accepted_by(4, 2);
    ch_commit(&fx, &fx.member[2], ch_ballot(&join, &fifth.owner, false));
    ch_commit(&fx, &fx.member[3], ch_ballot(&join, &fifth.owner, false));
    cr_expect_eq(proposal_state(&join).status, CN_PROPOSAL_ACCEPTED);
    ch_commit(&fx, &fx.member[1], ch_ballot(&join, &fifth.owner, false));
    cr_expect_eq(proposal_state(&join).status, CN_PROPOSAL_REJECTED);
}

Test(thresholds, an_open_proposal_that_more_than_half_refuse_is_over)
{
    fx_open_of(&fx, 4, 1);
    ch_register_fifth(&fx, &fifth);
    cn_digest join = ch_propose_join(&fx, &fifth);
    for (unsigned i = 1; i < 4; i++)
        ch_commit(&fx, &fx.member[i], ch_ballot(&join, &fifth.owner, false));
    cr_expect_eq(proposal_state(&join).status, CN_PROPOSAL_REJECTED);
    refused(&fx.member[0], ch_ballot(&join, &fifth.owner, true), CN_CONFLICT, "decided already");
}

Test(governance, who_leaves_while_its_own_rotation_waits)
{
    const cn_digest *leaver = &fx.member[1].owner;
    ch_join(&fx, &fifth);
    cn_digest rotation = propose_rotate(&fx.member[1], 5), leave = propose_leave(&fx.member[1], leaver);
    ch_approve(&fx, &rotation, leaver, 2, 4);
    ch_commit(&fx, &fx.member[0], ch_ballot(&rotation, leaver, true));
    cr_assert_eq(proposal_state(&rotation).status, CN_PROPOSAL_ACCEPTED);
    ch_commit(&fx, &fx.member[0], ch_ballot(&leave, leaver, true));
    ch_commit(&fx, &fx.member[2], ch_ballot(&leave, leaver, true));
    refused(&fx.member[3], ch_ballot(&leave, leaver, true), CN_CONFLICT, "vote again after it");
    ch_commit(&fx, &fx.member[0], ch_ballot(&rotation, leaver, false)); /* called off: there is nothing to wait for */
    ch_commit(&fx, &fx.member[3], ch_ballot(&leave, leaver, true));
    cr_expect_eq(epoch(), 3u);
    cr_expect_lt(cn_validator_set_find(cn_ledger_set_of(fx.ledger, NULL), leaver), 0);
    refused(&fx.member[1], ch_readiness(&fx, &rotation, leaver, 5), CN_CONFLICT, "void in epoch 3");
    refused(&fx.member[1], ch_ballot(&rotation, leaver, true), CN_CONFLICT, "void in epoch 3");
    expect_audit();
}

Test(governance, what_an_epoch_left_open_is_proposed_again)
{
    const cn_digest *owner = &fx.member[0].owner;
    cn_digest rotation = propose_rotate(&fx.member[0], 5);
    ch_approve(&fx, &rotation, owner, 1, 3);
    ch_join(&fx, &fifth);
    refused(&fx.member[3], ch_ballot(&rotation, owner, true), CN_CONFLICT, "void in epoch 2");
    refused(&fx.member[0], ch_readiness(&fx, &rotation, owner, 5), CN_CONFLICT, "void in epoch 2");
    cr_expect_eq(proposal_state(&rotation).status, CN_PROPOSAL_OPEN, "and keeps nobody's place");
    cn_digest again = propose_rotate(&fx.member[0], 5);
    ch_approve(&fx, &again, owner, 1, 4);
    ch_commit(&fx, &fx.member[0], ch_readiness(&fx, &again, owner, 5));
    cr_expect_eq(epoch(), 3u);
}

static uint32_t roles_of(const cn_digest *member)
{
    cn_state_member m;
    cr_assert(cn_ledger_member(fx.ledger, NULL, member, &m));
    return m.roles;
}

static cn_digest propose_roles(fx_signer *s, uint32_t roles)
{
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_ROLES;
    b->proposal.member = fifth.owner;
    b->proposal.roles = roles;
    return ch_commit(&fx, s, b);
}

Test(governance, roles_wait_for_no_change_and_the_last_accepted_holds)
{
    cn_digest join = ch_propose_join(&fx, &fifth);
    ch_approve(&fx, &join, &fifth.owner, 0, 3);
    cn_digest one = propose_roles(&fx.member[0], CN_ROLE_BANK), two = propose_roles(&fx.member[1], CN_ROLE_CARRIER);
    ch_approve(&fx, &one, &fifth.owner, 0, 2);
    ch_approve(&fx, &two, &fifth.owner, 0, 2);
    fx_wait(&fx, fx_sign(&fx, &fx.member[2], ch_ballot(&two, &fifth.owner, true))); /* both with one block */
    fx_wait(&fx, fx_sign(&fx, &fx.member[3], ch_ballot(&one, &fifth.owner, true)));
    cr_assert(fx_commit(&fx));
    cr_expect_eq(proposal_state(&one).status, CN_PROPOSAL_APPLIED);
    cr_expect_eq(proposal_state(&two).status, CN_PROPOSAL_APPLIED);
    cr_expect_eq(roles_of(&fifth.owner), CN_ROLE_BANK, "in the order of the log");
    cr_expect_eq(change_state().phase, CN_CHANGE_ACCEPTED, "the join waits as before");
    expect_audit();
    refused(&fx.member[3], ch_ballot(&two, &fifth.owner, true), CN_CONFLICT, "decided already");
    ch_commit(&fx, &fifth, ch_readiness(&fx, &join, &fifth.owner, 4));
    cr_expect_eq(epoch(), 2u);
}

Test(thresholds, what_a_member_proposed_that_left_is_proposed_by_another)
{
    fx_open_of(&fx, 6, 4);
    const cn_digest *other = &fx.member[4].owner;
    cn_digest leave = propose_leave(&fx.member[5], other);
    ch_approve(&fx, &leave, other, 0, 2);
    ch_leave(&fx, 5, 0, 4);
    cr_assert_eq(epoch(), 2u);
    refused(&fx.member[2], ch_ballot(&leave, other, true), CN_CONFLICT, "void in epoch 2");
    refused(&fx.member[5], ch_ballot(&leave, other, true), CN_CONFLICT, "void in epoch 2");
    leave = propose_leave(&fx.member[0], other);
    refused(&fx.member[5], ch_ballot(&leave, other, true), CN_DENIED, "have a voice");
    ch_approve(&fx, &leave, other, 0, 4);
    cr_expect_eq(epoch(), 3u);
    cr_expect_eq(cn_ledger_set_of(fx.ledger, NULL)->n, 4u);
}

/* ---- who may speak, and where it is recorded ---- */

Test(governance, only_capture_keys_speak_for_a_member)
{
    fx_signer device;
    fx_key(&device, CN_KEY_P256);
    fx_register(&fx, &fx.member[0], &device);
    cr_assert(fx_commit(&fx));
    cn_digest join = ch_propose_join(&fx, &fifth);
    refused(&device, ch_ballot(&join, &fifth.owner, true), CN_DENIED, "capture key");
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_ROLES;
    b->proposal.member = fifth.owner;
    b->proposal.roles = CN_ROLE_BANK;
    refused(&device, b, CN_DENIED, "capture key");
}

static uint64_t rows_about(const cn_digest *member)
{
    cn_snapshot *snap = NULL;
    uint64_t n = 0;
    cn_digest tag = cn_member_subject(fx.genesis.subject_salt, member);
    cr_assert_eq(cn_snapshot_open(fx.store, &snap, NULL), CN_OK);
    if (cn_snapshot_subject_count(snap, &tag, &n, NULL) != CN_OK)
        n = 0;
    cn_snapshot_close(snap);
    return n;
}

Test(governance, statements_are_recorded_under_both_members_once_each)
{
    uint64_t joiner = rows_about(&fifth.owner), voter = rows_about(&fx.member[0].owner);
    cn_digest join = ch_propose_join(&fx, &fifth);
    cr_expect_eq(rows_about(&fifth.owner), joiner + 1, "proposer and member are one");
    ch_approve(&fx, &join, &fifth.owner, 0, 1);
    cr_expect_eq(rows_about(&fifth.owner), joiner + 2);
    cr_expect_eq(rows_about(&fx.member[0].owner), voter + 1);
    ch_commit(&fx, &fifth, ch_readiness(&fx, &join, &fifth.owner, 4));
    cr_expect_eq(rows_about(&fifth.owner), joiner + 3);
    cr_expect_eq(rows_about(&fx.member[0].owner), voter + 1);
}

/* ---- branches ---- */

static cn_stmt *readiness_of(const cn_digest *proposal, uint64_t height, const cn_digest *block)
{
    cn_body *b = ch_readiness(&fx, proposal, &fifth.owner, 4);
    b->readiness.height = height;
    b->readiness.block = *block;
    cn_digest digest = cn_readiness_digest(&fx.genesis.network, proposal, height, block);
    cr_assert_eq(cn_sign(&fx.vote[4], &digest, &b->readiness.signature, NULL), CN_OK);
    return cn_stmt_new(fx_sign(&fx, &fifth, b));
}

Test(governance, readiness_names_a_block_of_its_own_ancestry)
{
    cn_digest join = ch_propose_join(&fx, &fifth);
    cn_ledger_block *tip = cn_ledger_tip(fx.ledger), *left = child(tip, NULL, 1, CN_OK),
                    *right = child(tip, NULL, 2, CN_OK);
    uint64_t height = cn_ledger_block_header(left)->height;
    fx_signer before = fifth;
    cn_stmt *stmt = readiness_of(&join, height, cn_ledger_block_digest(left));
    cn_ledger_block *on_left = child(left, stmt, 1, CN_OK);
    cr_expect_eq(cn_ledger_block_count(on_left), 1u, "an ancestor that is not final yet");
    cr_expect_null(child(right, stmt, 1, CN_NOT_FOUND), "that block is on the other branch");
    cr_expect_null(child(tip, stmt, 1, CN_NOT_FOUND), "that height is not below");
    cn_stmt_unref(stmt);
    fifth = before;
    stmt = readiness_of(&join, 0, &fx.genesis.network);
    cr_expect_null(child(left, stmt, 1, CN_NOT_FOUND), "that is not the digest of block 0");
    cn_stmt_unref(stmt);
    cn_ledger_block_unref(on_left);
    cn_ledger_block_unref(right);
    cn_ledger_block_unref(left);
}

/* As many empty blocks become final in one transaction. */
static void grow(unsigned count)
{
    cn_ledger_block **block = calloc(count, sizeof(cn_ledger_block *)), *at = cn_ledger_tip(fx.ledger);
    cn_err err = {0};
    for (unsigned i = 0; i < count; i++)
        at = block[i] = child(at, NULL, 1, CN_OK);
    cr_assert_eq(cn_ledger_finalize(fx.ledger, block, count, CN_SPAN("x", 1), &err), CN_OK, "%s", err.text);
    for (unsigned i = 0; i < count; i++)
        cn_ledger_block_unref(block[i]);
    free(block);
}

static cn_digest final_digest(uint64_t height)
{
    cn_snapshot *snap = NULL;
    cn_header h;
    cr_assert_eq(cn_snapshot_open(fx.store, &snap, NULL), CN_OK);
    cr_assert_eq(cn_snapshot_header(snap, height, &h, NULL), CN_OK);
    cn_snapshot_close(snap);
    return cn_header_digest(&h);
}

Test(governance, readiness_too_old_is_refused_and_signed_anew)
{
    cn_digest join = ch_propose_join(&fx, &fifth);
    ch_approve(&fx, &join, &fifth.owner, 0, 3);
    uint64_t height = cn_ledger_block_header(cn_ledger_tip(fx.ledger))->height;
    cn_digest old = final_digest(height), edge;
    grow(10001);
    edge = final_digest(height + 1);
    fx_reopen(&fx);
    cn_ledger_block *tip = cn_ledger_tip(fx.ledger);
    cr_assert_eq(cn_ledger_block_header(tip)->height, height + 10001);
    fx_signer before = fifth;
    cn_err err = {0};
    cn_stmt *stmt = readiness_of(&join, height, &old);
    cr_expect_eq(cn_ledger_try(fx.ledger, stmt, &err), CN_CONFLICT);
    cr_expect(strstr(err.text, "within 10000 blocks") != NULL, "%s", err.text);
    cn_stmt_unref(stmt);
    fifth = before;
    stmt = readiness_of(&join, UINT64_MAX, &old);
    cr_expect_eq(cn_ledger_try(fx.ledger, stmt, &err), CN_CONFLICT, "beyond every height");
    cn_stmt_unref(stmt);
    fifth = before;
    stmt = readiness_of(&join, height + 1, &edge);
    cr_expect_eq(cn_ledger_try(fx.ledger, stmt, &err), CN_OK, "%s", err.text);
    cn_stmt_unref(stmt);
    fifth = before;
    ch_commit(&fx, &fifth, ch_readiness(&fx, &join, &fifth.owner, 4));
    cr_expect_eq(epoch(), 2u, "the change was not lost with it");
}

static cn_status execute(cn_ledger_block *parent, const cn_header *h, cn_stmt *stmt, cn_err *err)
{
    cn_ledger_block *b = NULL;
    cn_status st = cn_ledger_execute(fx.ledger, parent, h, stmt ? &stmt : NULL, stmt ? 1 : 0, &b, err);
    cn_ledger_block_unref(b);
    return st;
}

Test(governance, a_closing_block_is_exactly_what_the_change_says)
{
    cn_digest join = ch_propose_join(&fx, &fifth);
    ch_approve(&fx, &join, &fifth.owner, 0, 3);
    cn_stmt *say = cn_stmt_new(fx_sign(&fx, &fifth, ch_readiness(&fx, &join, &fifth.owner, 4))),
            *event = cn_stmt_new(fx_event(&fx, &fx.member[0], BOX, 1));
    cn_ledger_block *ready = child(cn_ledger_tip(fx.ledger), say, 1, CN_OK), *a = child(ready, NULL, 1, CN_OK),
                    *b = child(ready, NULL, 7, CN_OK);
    cn_err err = {0};
    cn_header h = *cn_ledger_block_header(a);
    cr_assert(cn_ledger_block_closing_due(ready));
    cr_expect_eq(execute(ready, &h, NULL, &err), CN_OK, "%s", err.text);
    cr_expect_eq(execute(ready, cn_ledger_block_header(b), NULL, &err), CN_OK, "another time, another leader");
    cr_expect_eq(execute(ready, &h, event, &err), CN_INVALID, "it carries no statements");
    h.state_root = cn_ledger_block_header(ready)->state_root;
    cr_expect_eq(execute(ready, &h, NULL, &err), CN_INVALID, "its state holds the activation");
    h = *cn_ledger_block_header(a);
    h.set = h.next_set;
    cr_expect_eq(execute(ready, &h, NULL, &err), CN_INVALID, "it belongs to the set that ends");
    h = *cn_ledger_block_header(a);
    h.epoch++;
    cr_expect_eq(execute(ready, &h, NULL, &err), CN_INVALID, "and to its epoch");

    cn_ledger_block *both[] = {ready, a};
    cn_digest tip = *cn_ledger_block_digest(cn_ledger_tip(fx.ledger));
    cr_expect_eq(cn_ledger_finalize(fx.ledger, both, 2, CN_SPAN(NULL, 0), &err), CN_CONFLICT, "without finalization");
    cr_expect(cn_digest_eq(&tip, cn_ledger_block_digest(cn_ledger_tip(fx.ledger))), "nothing was committed");
    cr_expect_eq(cn_ledger_finalize(fx.ledger, both, 2, CN_SPAN("x", 1), &err), CN_OK, "%s", err.text);
    cr_expect_eq(epoch(), 2u);
    cr_expect_eq(cn_ledger_finalize(fx.ledger, &b, 1, CN_SPAN("x", 1), &err), CN_CONFLICT, "one end an epoch");
    cn_ledger_block_unref(b);
    cn_ledger_block_unref(a);
    cn_ledger_block_unref(ready);
    cn_stmt_unref(event);
    cn_stmt_unref(say);
}

/* ---- what cannot be read is not absent ---- */

static void edit_row(unsigned table, const void *key, size_t key_len, size_t at, const void *bytes, size_t n)
{
    MDB_txn *txn = NULL;
    MDB_val k = cn_val(key, key_len), v;
    cr_assert_eq(mdb_txn_begin(fx.store->env, NULL, 0, &txn), 0);
    cr_assert_eq(mdb_get(txn, fx.store->t.dbi[table], &k, &v), 0);
    size_t len = at + n > v.mv_size ? at + n : v.mv_size;
    uint8_t *copy = calloc(1, len);
    memcpy(copy, v.mv_data, v.mv_size);
    memcpy(copy + at, bytes, n);
    v = cn_val(copy, len);
    cr_assert_eq(mdb_put(txn, fx.store->t.dbi[table], &k, &v, 0), 0);
    cr_assert_eq(mdb_txn_commit(txn), 0);
    free(copy);
}

static void damage(cn_state_type type, const void *id, size_t id_len)
{
    static const uint8_t no_version = 0x7f;
    cn_state_key key = cn_state_key_of(fx.genesis.subject_salt, type, id, id_len);
    edit_row(T_MAP_LEAVES, key.b, CN_STATE_KEY_LEN, 0, &no_version, 1);
}

static void expect_stop(fx_signer *s, cn_body *body)
{
    cn_err err = {0};
    fx_signer before = fx.member[3];
    cr_expect_eq(cn_ledger_sound(fx.ledger, &err), CN_OK);
    cr_expect_eq(attempt(fx_sign(&fx, s, body), &err), CN_CORRUPT, "%s", err.text);
    cr_expect(strstr(err.text, "fsck") != NULL, "%s", err.text);
    cr_expect_eq(cn_ledger_sound(fx.ledger, &err), CN_CORRUPT);
    cr_expect_eq(attempt(fx_event(&fx, &fx.member[3], BOX, 1), &err), CN_CORRUPT, "nothing executes any more");
    cn_stmt *event = cn_stmt_new(fx_event(&fx, &before, BOX, 1));
    cr_expect_null(child(cn_ledger_tip(fx.ledger), event, 1, CN_CORRUPT));
    cn_stmt_unref(event);
}

Test(governance, a_damaged_key_is_no_unknown_key)
{
    fx_reopen(&fx);
    damage(CN_STATE_KEY, fifth.id.b, CN_DIGEST_LEN);
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_LEAVE;
    b->proposal.member = fifth.owner;
    expect_stop(&fifth, b);
}

Test(governance, a_damaged_member_is_no_stranger)
{
    fx_reopen(&fx);
    damage(CN_STATE_MEMBER, fifth.owner.b, CN_DIGEST_LEN);
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_ROLES;
    b->proposal.member = fifth.owner;
    b->proposal.roles = CN_ROLE_BANK;
    expect_stop(&fx.member[0], b);
}

Test(governance, a_damaged_proposal_is_no_missing_one)
{
    cn_digest join = ch_propose_join(&fx, &fifth);
    fx_reopen(&fx);
    damage(CN_STATE_PROPOSAL, join.b, CN_DIGEST_LEN);
    expect_stop(&fx.member[0], ch_ballot(&join, &fifth.owner, true));
}

/* Closes the ledger, and opens it for a moment: damage is found at once. */
static void expect_no_opening(const char *words)
{
    cn_store_options options = {.dir = fx.dir, .map_size = (size_t)1 << 30};
    cn_err err = {0};
    cn_ledger_close(fx.ledger);
    cn_store_close(fx.store);
    fx.ledger = NULL;
    cr_assert_eq(cn_store_open(&options, &fx.store, &err), CN_OK, "%s", err.text);
    cr_expect_eq(cn_ledger_open(fx.store, &fx.genesis, &fx.ledger, &err), CN_CORRUPT);
    cr_expect(strstr(err.text, words) != NULL, "%s", err.text);
}

Test(governance, a_damaged_change_keeps_the_ledger_closed)
{
    cn_digest join = ch_propose_join(&fx, &fifth);
    ch_approve(&fx, &join, &fifth.owner, 0, 3);
    damage(CN_STATE_CHANGE, "", 0);
    expect_no_opening("change under way");
}

Test(governance, another_set_of_validators_keeps_the_ledger_closed)
{
    uint8_t second[8];
    cn_buf rows;
    ch_join(&fx, &fifth);
    ch_rotate(&fx, 1, 5, &fifth);
    cr_assert_eq(epoch(), 3u);
    cn_buf_init(&rows, CN_SET_ROW_LEN * CN_MAX_VALIDATORS);
    cn_snapshot *snap = NULL;
    cn_span before;
    uint64_t height = 0;
    cr_assert_eq(cn_snapshot_open(fx.store, &snap, NULL), CN_OK);
    cr_assert_eq(cn_snapshot_epoch(snap, 2, &height, &before, NULL), CN_OK);
    cn_put_bytes(&rows, before.p, before.n);
    cn_snapshot_close(snap);
    cn_store_u64(second, 3);
    edit_row(T_EPOCHS, second, sizeof second, 8, rows.p, rows.n); /* well formed, as many, and retired */
    cn_buf_free(&rows);
    expect_no_opening("set of epoch 3");
}
