/* R11: who votes changes by ballot, on the real ledger. */
#include "changes.h"

#include <criterion/criterion.h>
#include <string.h>

#define BOX "urn:epc:id:bic:CSQU3054383"

static fixture fx;
static fx_signer fifth;

static void set_up(void)
{
    fx_open(&fx);
    ch_register_fifth(&fx, &fifth);
}

static void tear_down(void)
{
    fx_close(&fx);
}

TestSuite(epochs, .init = set_up, .fini = tear_down);

static cn_status attempt(cn_statement *s, cn_err *err)
{
    cn_stmt *stmt = cn_stmt_new(s);
    cn_status st = cn_ledger_try(fx.ledger, stmt, err);
    cn_stmt_unref(stmt);
    return st;
}

/* The statement is refused with these words, and the signer's chain goes on as if it had not been made. */
static void refused(fx_signer *s, cn_body *body, cn_status code, const char *words)
{
    fx_signer before = *s;
    cn_err err = {0};
    cn_status st = attempt(fx_sign(&fx, s, body), &err);
    cr_expect_eq(st, code, "%s: %d (%s: %s)", words, st, err.field, err.text);
    cr_expect(strstr(err.text, words) != NULL, "\"%s\" does not say \"%s\"", err.text, words);
    *s = before;
}

Test(epochs, a_member_joins_when_it_is_accepted_and_ready)
{
    ch_join(&fx, &fifth);
    const cn_ledger_block *tip = cn_ledger_tip(fx.ledger);
    cr_expect_eq(cn_ledger_block_header(tip)->kind, CN_BLOCK_CLOSING);
    cr_expect_eq(cn_ledger_block_header(tip)->epoch, 1u);
    cr_expect_eq(cn_ledger_epoch_of(fx.ledger, NULL), 2u);
    cr_expect_eq(cn_ledger_set_of(fx.ledger, NULL)->n, 5u);
    cr_expect(cn_validator_set_find(cn_ledger_set_of(fx.ledger, NULL), &fifth.owner) >= 0);
    cr_expect(cn_ledger_block_next_set(tip) != NULL);
    fx_wait(&fx, fx_event(&fx, &fifth, BOX, 1));
    cr_expect(fx_commit(&fx));
    cr_expect_eq(cn_ledger_block_header(cn_ledger_tip(fx.ledger))->epoch, 2u);
}

Test(epochs, one_leaves_and_another_rotates_its_keys)
{
    ch_join(&fx, &fifth);
    ch_leave(&fx, 2, 0, 4);
    cr_assert_eq(cn_ledger_epoch_of(fx.ledger, NULL), 3u);
    cr_expect_eq(cn_ledger_set_of(fx.ledger, NULL)->n, 4u);
    cr_expect(cn_validator_set_find(cn_ledger_set_of(fx.ledger, NULL), &fx.member[2].owner) < 0);
    ch_rotate(&fx, 1, 5, &fifth);
    cr_assert_eq(cn_ledger_epoch_of(fx.ledger, NULL), 4u);
    int place = cn_validator_set_find(cn_ledger_set_of(fx.ledger, NULL), &fx.member[1].owner);
    cr_assert(place >= 0);
    cr_expect_arr_eq(cn_ledger_set_of(fx.ledger, NULL)->row[place].vote_key, fx.vote[5].public_key.b, 33);
    fx_wait(&fx, fx_event(&fx, &fx.member[1], BOX, 1));
    cr_expect(fx_commit(&fx));
}

Test(epochs, a_change_survives_a_restart_at_every_step)
{
    cn_digest id = ch_propose_join(&fx, &fifth);
    cn_store_options options = {.dir = fx.dir, .map_size = (size_t)1 << 30};
    for (unsigned step = 0; step < 5; step++) {
        cn_err err = {0};
        cn_digest tip = *cn_ledger_block_digest(cn_ledger_tip(fx.ledger));
        cn_ledger_close(fx.ledger);
        cn_store_close(fx.store);
        cr_assert_eq(cn_store_open(&options, &fx.store, &err), CN_OK, "%s", err.text);
        cr_assert_eq(cn_ledger_open(fx.store, &fx.genesis, &fx.ledger, &err), CN_OK, "%s", err.text);
        cr_assert(cn_digest_eq(&tip, cn_ledger_block_digest(cn_ledger_tip(fx.ledger))));
        if (step < 3)
            ch_approve(&fx, &id, &fifth.owner, step, step + 1);
        else if (step == 3)
            ch_commit(&fx, &fifth, ch_readiness(&fx, &id, &fifth.owner, 4));
    }
    cr_expect_eq(cn_ledger_epoch_of(fx.ledger, NULL), 2u);
    cr_expect_eq(cn_ledger_set_of(fx.ledger, NULL)->n, 5u);
}

static cn_stmt *once(void *ctx)
{
    cn_stmt **stmt = ctx, *given = *stmt;
    *stmt = NULL;
    return given;
}

Test(epochs, a_ready_change_admits_nothing_but_a_closing_block)
{
    cn_digest id = ch_propose_join(&fx, &fifth);
    ch_approve(&fx, &id, &fifth.owner, 0, 3);
    cn_build_limits limits = {CN_MAX_BLOCK_BYTES, 100};
    cn_ledger_block *tip = cn_ledger_tip(fx.ledger), *ready = NULL, *closing = NULL, *child = NULL, *none = NULL;
    cn_stmt *say = cn_stmt_new(fx_sign(&fx, &fifth, ch_readiness(&fx, &id, &fifth.owner, 4))), *next = say;
    cn_stmt *event = cn_stmt_new(fx_event(&fx, &fx.member[0], BOX, 1)), *waiting = event;
    uint64_t time = cn_ledger_block_header(tip)->time_ms;
    cn_err err = {0};
    cr_assert_eq(cn_ledger_build(fx.ledger, tip, time + 1, once, &next, &limits, &ready, &err), CN_OK, "%s", err.text);
    cr_expect(cn_ledger_block_closing_due(ready));
    cr_assert_eq(cn_ledger_build(fx.ledger, ready, time + 2, once, &waiting, &limits, &closing, &err), CN_OK);
    cr_expect_eq(cn_ledger_block_header(closing)->kind, CN_BLOCK_CLOSING, "whatever waits");
    cr_expect_eq(cn_ledger_block_count(closing), 0u);
    cr_expect_not(cn_ledger_block_closing_due(closing));
    cn_header wrong = *cn_ledger_block_header(closing);
    wrong.kind = CN_BLOCK_CHECKPOINT;
    cr_expect_eq(cn_ledger_execute(fx.ledger, ready, &wrong, NULL, 0, &none, &err), CN_INVALID);
    cr_expect(strstr(err.text, "R11") != NULL, "%s", err.text);
    wrong = *cn_ledger_block_header(closing);
    wrong.next_set = wrong.set;
    cr_expect_eq(cn_ledger_execute(fx.ledger, ready, &wrong, NULL, 0, &none, &err), CN_INVALID, "the set must change");
    cr_assert_eq(cn_ledger_build(fx.ledger, closing, time + 3, NULL, NULL, &limits, &child, &err), CN_OK);
    cr_expect_eq(cn_ledger_block_header(child)->epoch, 2u);
    wrong = *cn_ledger_block_header(child);
    wrong.epoch = 1;
    cr_expect_eq(cn_ledger_execute(fx.ledger, closing, &wrong, NULL, 0, &none, &err), CN_INVALID);
    wrong = *cn_ledger_block_header(child);
    wrong.kind = CN_BLOCK_CLOSING;
    cr_expect_eq(cn_ledger_execute(fx.ledger, closing, &wrong, NULL, 0, &none, &err), CN_INVALID, "nothing is ready");
    cn_ledger_block_unref(child);
    cn_ledger_block_unref(closing);
    cn_ledger_block_unref(ready);
    cn_stmt_unref(event);
    cn_stmt_unref(say);
}

Test(epochs, what_the_rules_refuse)
{
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_JOIN;
    ch_fill_row(&fx, &b->proposal, &fifth.owner, 4);
    cn_body good = *b;
    b->proposal.possession[2].b[5] ^= 1;
    refused(&fifth, b, CN_BAD_SIGNATURE, "cosignature key has not signed");
    *b = good;
    ch_fill_row(&fx, &b->proposal, &fx.member[0].owner, 5);
    refused(&fifth, b, CN_DENIED, "only validators propose");
    refused(&fx.member[1], b, CN_CONFLICT, "votes already");
    *b = good;
    memcpy(b->proposal.row.vote_key, fx.vote[0].public_key.b, 33);
    cr_assert_eq(cn_evm_address(&fx.vote[0].public_key, b->proposal.row.evm_address, NULL), CN_OK);
    refused(&fifth, b, CN_BAD_SIGNATURE, "vote key has not signed");
    b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_LEAVE;
    b->proposal.member = fx.member[2].owner;
    refused(&fx.member[0], b, CN_CONFLICT, "tolerate no fault");
    b->proposal.member = fifth.owner;
    refused(&fx.member[0], b, CN_CONFLICT, "does not vote");
    b->proposal.action = CN_CHANGE_ROLES;
    b->proposal.roles = CN_ROLE_BANK;
    refused(&fifth, b, CN_DENIED, "only validators propose");

    cn_digest none = {{9}};
    refused(&fx.member[0], ch_ballot(&none, &fifth.owner, true), CN_NOT_FOUND, "there is no proposal");
    cn_digest id = ch_commit(&fx, &fifth, &good);
    refused(&fifth, ch_ballot(&id, &fifth.owner, true), CN_DENIED, "whose validators vote");
    refused(&fx.member[0], ch_ballot(&id, &fx.member[0].owner, true), CN_INVALID, "is not the member");
    ch_commit(&fx, &fx.member[0], ch_ballot(&id, &fifth.owner, true));
    refused(&fx.member[0], ch_ballot(&id, &fifth.owner, false), CN_CONFLICT, "has voted already");
    b = ch_readiness(&fx, &id, &fifth.owner, 4);
    b->readiness.signature.b[9] ^= 1;
    refused(&fifth, b, CN_BAD_SIGNATURE, "the proposal's vote key");
    b = ch_readiness(&fx, &id, &fifth.owner, 4);
    b->readiness.block.b[0] ^= 1;
    refused(&fifth, b, CN_CONFLICT, "is not the digest of block");
    b = ch_readiness(&fx, &id, &fifth.owner, 4);
    b->readiness.height += 100;
    refused(&fifth, b, CN_CONFLICT, "blocks below");
    refused(&fx.member[1], ch_readiness(&fx, &id, &fifth.owner, 4), CN_DENIED, "only the member");
}

Test(epochs, a_proposal_that_enough_refuse_is_dead)
{
    cn_digest id = ch_propose_join(&fx, &fifth);
    ch_commit(&fx, &fx.member[0], ch_ballot(&id, &fifth.owner, false));
    ch_commit(&fx, &fx.member[1], ch_ballot(&id, &fifth.owner, false));
    refused(&fx.member[2], ch_ballot(&id, &fifth.owner, true), CN_CONFLICT, "decided already");
    refused(&fifth, ch_readiness(&fx, &id, &fifth.owner, 4), CN_CONFLICT, "decided already");
}

Test(epochs, proposals_of_an_earlier_epoch_are_void_and_one_change_goes_at_a_time)
{
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_ROTATE;
    ch_fill_row(&fx, &b->proposal, &fx.member[1].owner, 5);
    cn_digest rotation = ch_commit(&fx, &fx.member[1], b), join = ch_propose_join(&fx, &fifth);
    ch_approve(&fx, &join, &fifth.owner, 0, 3);
    ch_commit(&fx, &fx.member[0], ch_ballot(&rotation, &fx.member[1].owner, true));
    ch_commit(&fx, &fx.member[1], ch_ballot(&rotation, &fx.member[1].owner, true));
    refused(&fx.member[2], ch_ballot(&rotation, &fx.member[1].owner, true), CN_CONFLICT, "under way");
    ch_commit(&fx, &fifth, ch_readiness(&fx, &join, &fifth.owner, 4));
    cr_assert_eq(cn_ledger_epoch_of(fx.ledger, NULL), 2u);
    refused(&fx.member[2], ch_ballot(&rotation, &fx.member[1].owner, true), CN_CONFLICT, "void in epoch 2");
}

Test(epochs, roles_change_by_ballot_without_an_epoch)
{
    cn_state_member member;
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_ROLES;
    b->proposal.member = fifth.owner;
    b->proposal.roles = CN_ROLE_BANK | CN_ROLE_INSURER;
    b->proposal.registrar = true;
    cn_digest id = ch_commit(&fx, &fx.member[3], b);
    ch_approve(&fx, &id, &fifth.owner, 0, 2);
    cr_assert(cn_ledger_member(fx.ledger, NULL, &fifth.owner, &member));
    cr_expect_eq(member.roles, CN_ROLE_FORWARDER);
    ch_approve(&fx, &id, &fifth.owner, 2, 3);
    cr_assert(cn_ledger_member(fx.ledger, NULL, &fifth.owner, &member));
    cr_expect_eq(member.roles, CN_ROLE_BANK | CN_ROLE_INSURER);
    cr_expect(member.is_registrar);
    cr_expect_eq(cn_ledger_epoch_of(fx.ledger, NULL), 1u);
}
