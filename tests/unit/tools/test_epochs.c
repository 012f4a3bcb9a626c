/* R11: who votes changes by ballot, on the real ledger, and dossiers carry the chain of closing blocks. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOX "urn:epc:id:bic:CSQU3054383"

static fixture fx;
static fx_signer fifth;
static cn_secret_key spare[3]; /* receipt, cosignature, log of the newest row */
static cn_buf zip;
static cn_dossier dossier;
static cn_certificate certificate;

static cn_body *body_of(cn_payload_kind kind)
{
    static cn_body body;
    memset(&body, 0, sizeof body);
    body.kind = kind;
    return &body;
}

/* Registered by the exporter, with a channel key. */
static void register_fifth(void)
{
    cn_registry_change c;
    fx_key(&fifth, CN_KEY_SECP256K1);
    fifth.owner = cn_member_id("member-5");
    memset(&c, 0, sizeof c);
    c.op = CN_REG_MEMBER_REGISTER;
    memcpy(c.name, "member-5", 9);
    memcpy(c.country, "SG", 3);
    c.roles = CN_ROLE_FORWARDER;
    c.new_key.key = fifth.key.public_key;
    c.new_key.purpose = CN_PURPOSE_CAPTURE;
    cn_digest digest = cn_possession_digest(&fx.genesis.network, &fifth.owner, &fifth.id);
    cr_assert_eq(cn_sign(&fifth.key, &digest, &c.new_key.possession, NULL), CN_OK);
    fx_wait(&fx, fx_change(&fx, &fx.member[0], &c));
    cr_assert(fx_commit(&fx));
    memset(&c, 0, sizeof c);
    c.op = CN_REG_CHANNEL_KEY;
    memset(c.channel_key, 5, sizeof c.channel_key);
    fx_wait(&fx, fx_change(&fx, &fifth, &c));
    cr_assert(fx_commit(&fx));
}

/* A row with fresh keys; its vote key goes into slot. */
static void fill_row(cn_proposal_payload *p, const cn_digest *member, unsigned slot)
{
    static const uint8_t types[] = {CN_KEY_P256, CN_KEY_ED25519, CN_KEY_ED25519};
    p->member = p->row.member = *member;
    cr_assert_eq(cn_secret_key_generate(CN_KEY_SECP256K1, &fx.vote[slot], NULL), CN_OK);
    memcpy(p->row.vote_key, fx.vote[slot].public_key.b, 33);
    cr_assert_eq(cn_evm_address(&fx.vote[slot].public_key, p->row.evm_address, NULL), CN_OK);
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(cn_secret_key_generate(types[i], &spare[i], NULL), CN_OK);
    memcpy(p->row.receipt_key, spare[0].public_key.b, 33);
    memcpy(p->row.cosignature_key, spare[1].public_key.b, 32);
    memcpy(p->row.log_key, spare[2].public_key.b, 32);
    for (unsigned i = 0; i < CN_ROW_KEYS; i++) {
        const cn_secret_key *key = i == 0 ? &fx.vote[slot] : &spare[i - 1];
        cn_digest id = cn_key_id(&key->public_key), digest = cn_possession_digest(&fx.genesis.network, member, &id);
        cr_assert_eq(cn_sign(key, &digest, &p->possession[i], NULL), CN_OK);
    }
}

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

static cn_digest commit_body(fx_signer *s, cn_body *body)
{
    cn_statement *statement = fx_sign(&fx, s, body);
    cn_digest id = statement->id;
    fx_wait(&fx, statement);
    cr_assert(fx_commit(&fx));
    return id;
}

static cn_body *ballot(const cn_digest *proposal, const cn_digest *member, bool approve)
{
    cn_body *b = body_of(CN_PAYLOAD_BALLOT);
    b->ballot = (cn_ballot_payload){*proposal, *member, approve};
    return b;
}

static cn_body *readiness(const cn_digest *proposal, const cn_digest *member, unsigned slot)
{
    const cn_ledger_block *tip = cn_ledger_tip(fx.ledger);
    cn_body *b = body_of(CN_PAYLOAD_READINESS);
    b->readiness = (cn_readiness_payload){.proposal = *proposal,
                                          .member = *member,
                                          .height = cn_ledger_block_header(tip)->height,
                                          .block = *cn_ledger_block_digest(tip)};
    cn_digest digest = cn_readiness_digest(&fx.genesis.network, proposal, b->readiness.height, &b->readiness.block);
    cr_assert_eq(cn_sign(&fx.vote[slot], &digest, &b->readiness.signature, NULL), CN_OK);
    return b;
}

static cn_digest propose_join(void)
{
    cn_body *b = body_of(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_JOIN;
    fill_row(&b->proposal, &fifth.owner, 4);
    return commit_body(&fifth, b);
}

static void approve(const cn_digest *proposal, const cn_digest *member, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        commit_body(&fx.member[i], ballot(proposal, member, true));
}

static void join_fifth(void)
{
    cn_digest id = propose_join();
    approve(&id, &fifth.owner, 0, 3);
    cr_assert_eq(cn_ledger_epoch_of(fx.ledger, NULL), 1u, "accepted, not ready");
    commit_body(&fifth, readiness(&id, &fifth.owner, 4));
}

static void leave(unsigned member, unsigned from, unsigned to)
{
    cn_body *b = body_of(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_LEAVE;
    b->proposal.member = fx.member[member].owner;
    cn_digest id = commit_body(&fx.member[member], b);
    for (unsigned i = from; i < to; i++)
        commit_body(&fx.member[i], ballot(&id, &fx.member[member].owner, true));
}

static void set_up(void)
{
    fx_open(&fx);
    register_fifth();
}

static void tear_down(void)
{
    cn_dossier_clear(&dossier);
    cn_buf_free(&zip);
    fx_close(&fx);
}

TestSuite(epochs, .init = set_up, .fini = tear_down, .timeout = 60);

/* ---- the ledger ---- */

Test(epochs, a_member_joins_when_it_is_accepted_and_ready)
{
    join_fifth();
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
    join_fifth();
    leave(2, 0, 4);
    cr_assert_eq(cn_ledger_epoch_of(fx.ledger, NULL), 3u);
    cr_expect_eq(cn_ledger_set_of(fx.ledger, NULL)->n, 4u);
    cr_expect(cn_validator_set_find(cn_ledger_set_of(fx.ledger, NULL), &fx.member[2].owner) < 0);
    cn_body *b = body_of(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_ROTATE;
    fill_row(&b->proposal, &fx.member[1].owner, 5);
    cn_digest id = commit_body(&fx.member[1], b);
    commit_body(&fx.member[0], ballot(&id, &fx.member[1].owner, true));
    commit_body(&fx.member[3], ballot(&id, &fx.member[1].owner, true));
    commit_body(&fifth, ballot(&id, &fx.member[1].owner, true));
    cr_assert_eq(cn_ledger_epoch_of(fx.ledger, NULL), 3u, "the new key has not said that it is ready");
    commit_body(&fx.member[1], readiness(&id, &fx.member[1].owner, 5));
    cr_assert_eq(cn_ledger_epoch_of(fx.ledger, NULL), 4u);
    int place = cn_validator_set_find(cn_ledger_set_of(fx.ledger, NULL), &fx.member[1].owner);
    cr_assert(place >= 0);
    cr_expect_arr_eq(cn_ledger_set_of(fx.ledger, NULL)->row[place].vote_key, fx.vote[5].public_key.b, 33);
    fx_wait(&fx, fx_event(&fx, &fx.member[1], BOX, 1));
    cr_expect(fx_commit(&fx));
}

Test(epochs, a_change_survives_a_restart_at_every_step)
{
    cn_digest id = propose_join();
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
            approve(&id, &fifth.owner, step, step + 1);
        else if (step == 3)
            commit_body(&fifth, readiness(&id, &fifth.owner, 4));
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
    cn_digest id = propose_join();
    approve(&id, &fifth.owner, 0, 3);
    cn_build_limits limits = {CN_MAX_BLOCK_BYTES, 100};
    cn_ledger_block *tip = cn_ledger_tip(fx.ledger), *ready = NULL, *closing = NULL, *child = NULL, *none = NULL;
    cn_stmt *say = cn_stmt_new(fx_sign(&fx, &fifth, readiness(&id, &fifth.owner, 4))), *next = say;
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
    cn_body *b = body_of(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_JOIN;
    fill_row(&b->proposal, &fifth.owner, 4);
    cn_body good = *b;
    b->proposal.possession[2].b[5] ^= 1;
    refused(&fifth, b, CN_BAD_SIGNATURE, "cosignature key has not signed");
    *b = good;
    fill_row(&b->proposal, &fx.member[0].owner, 5);
    refused(&fifth, b, CN_DENIED, "only validators propose");
    refused(&fx.member[1], b, CN_CONFLICT, "votes already");
    *b = good;
    memcpy(b->proposal.row.vote_key, fx.vote[0].public_key.b, 33);
    cr_assert_eq(cn_evm_address(&fx.vote[0].public_key, b->proposal.row.evm_address, NULL), CN_OK);
    refused(&fifth, b, CN_BAD_SIGNATURE, "vote key has not signed");
    b = body_of(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_LEAVE;
    b->proposal.member = fx.member[2].owner;
    refused(&fx.member[0], b, CN_CONFLICT, "tolerate no fault");
    b->proposal.member = fifth.owner;
    refused(&fx.member[0], b, CN_CONFLICT, "does not vote");
    b->proposal.action = CN_CHANGE_ROLES;
    b->proposal.roles = CN_ROLE_BANK;
    refused(&fifth, b, CN_DENIED, "only validators propose");

    cn_digest none = {{9}};
    refused(&fx.member[0], ballot(&none, &fifth.owner, true), CN_NOT_FOUND, "there is no proposal");
    cn_digest id = commit_body(&fifth, &good);
    refused(&fifth, ballot(&id, &fifth.owner, true), CN_DENIED, "whose validators vote");
    refused(&fx.member[0], ballot(&id, &fx.member[0].owner, true), CN_INVALID, "is not the member");
    commit_body(&fx.member[0], ballot(&id, &fifth.owner, true));
    refused(&fx.member[0], ballot(&id, &fifth.owner, false), CN_CONFLICT, "has voted already");
    b = readiness(&id, &fifth.owner, 4);
    b->readiness.signature.b[9] ^= 1;
    refused(&fifth, b, CN_BAD_SIGNATURE, "the proposal's vote key");
    b = readiness(&id, &fifth.owner, 4);
    b->readiness.block.b[0] ^= 1;
    refused(&fifth, b, CN_CONFLICT, "is not the digest of block");
    b = readiness(&id, &fifth.owner, 4);
    b->readiness.height += 100;
    refused(&fifth, b, CN_CONFLICT, "blocks below");
    refused(&fx.member[1], readiness(&id, &fifth.owner, 4), CN_DENIED, "only the member");
}

Test(epochs, a_proposal_that_enough_refuse_is_dead)
{
    cn_digest id = propose_join();
    commit_body(&fx.member[0], ballot(&id, &fifth.owner, false));
    commit_body(&fx.member[1], ballot(&id, &fifth.owner, false));
    refused(&fx.member[2], ballot(&id, &fifth.owner, true), CN_CONFLICT, "decided already");
    refused(&fifth, readiness(&id, &fifth.owner, 4), CN_CONFLICT, "decided already");
}

Test(epochs, proposals_of_an_earlier_epoch_are_void_and_one_change_goes_at_a_time)
{
    cn_body *b = body_of(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_ROTATE;
    fill_row(&b->proposal, &fx.member[1].owner, 5);
    cn_digest rotation = commit_body(&fx.member[1], b), join = propose_join();
    approve(&join, &fifth.owner, 0, 3);
    commit_body(&fx.member[0], ballot(&rotation, &fx.member[1].owner, true));
    commit_body(&fx.member[1], ballot(&rotation, &fx.member[1].owner, true));
    refused(&fx.member[2], ballot(&rotation, &fx.member[1].owner, true), CN_CONFLICT, "under way");
    commit_body(&fifth, readiness(&join, &fifth.owner, 4));
    cr_assert_eq(cn_ledger_epoch_of(fx.ledger, NULL), 2u);
    refused(&fx.member[2], ballot(&rotation, &fx.member[1].owner, true), CN_CONFLICT, "void in epoch 2");
}

Test(epochs, roles_change_by_ballot_without_an_epoch)
{
    cn_state_member member;
    cn_body *b = body_of(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_ROLES;
    b->proposal.member = fifth.owner;
    b->proposal.roles = CN_ROLE_BANK | CN_ROLE_INSURER;
    b->proposal.registrar = true;
    cn_digest id = commit_body(&fx.member[3], b);
    approve(&id, &fifth.owner, 0, 2);
    cr_assert(cn_ledger_member(fx.ledger, NULL, &fifth.owner, &member));
    cr_expect_eq(member.roles, CN_ROLE_FORWARDER);
    approve(&id, &fifth.owner, 2, 3);
    cr_assert(cn_ledger_member(fx.ledger, NULL, &fifth.owner, &member));
    cr_expect_eq(member.roles, CN_ROLE_BANK | CN_ROLE_INSURER);
    cr_expect(member.is_registrar);
    cr_expect_eq(cn_ledger_epoch_of(fx.ledger, NULL), 1u);
}

/* ---- dossiers ---- */

static void audit_across(void)
{
    fx_wait(&fx, fx_event(&fx, &fx.member[2], BOX, 1));
    cr_assert(fx_commit(&fx));
    join_fifth();
    fx_wait(&fx, fx_event(&fx, &fx.member[2], BOX, 2));
    cr_assert(fx_commit(&fx));
    leave(2, 0, 4);
    cr_assert_eq(cn_ledger_epoch_of(fx.ledger, NULL), 3u);
    fx_wait(&fx, fx_event(&fx, &fifth, BOX, 3));
    cr_assert(fx_commit(&fx));
    fx_audit(&fx, BOX, &zip);
    cr_assert_eq(cn_dossier_read(zip.p, zip.n, &dossier, NULL), CN_OK);
    cn_reader r = cn_reader_of(dossier.certificate.p, dossier.certificate.n);
    cr_assert_eq(cn_certificate_read(&r, &certificate, NULL), CN_OK);
}

static void expect_failure(cn_verify_step step, const char *words)
{
    cn_buf changed;
    fx_rebuild(&dossier, &certificate, &changed);
    cn_verify_report *r = fx_verify(&fx, &changed);
    cr_expect_not(r->accepted, "%s", words);
    cr_expect_eq(r->step[step].verdict, CN_VERDICT_FAILED, "%s did not fail (%s)", cn_verify_step_name(step), words);
    cr_expect(strstr(r->step[step].err.text, words) != NULL, "\"%s\" does not say \"%s\"", r->step[step].err.text,
              words);
    free(r);
    cn_buf_free(&changed);
}

Test(epochs, an_audit_across_changes_verifies_from_genesis)
{
    audit_across();
    cr_assert_eq(dossier.epoch_count, 2u);
    cn_verify_report *r = fx_verify(&fx, &zip);
    for (int i = 0; i < CN_STEP_TIME; i++)
        cr_expect_eq(r->step[i].verdict, CN_VERDICT_OK, "%s: %s %s", cn_verify_step_name((cn_verify_step)i),
                     r->step[i].err.field, r->step[i].err.text);
    cr_expect(r->accepted);
    free(r);
    cn_buf again;
    fx_rebuild(&dossier, &certificate, &again);
    cr_expect(again.n == zip.n && memcmp(again.p, zip.p, zip.n) == 0);
    cn_buf_free(&again);
}

Test(epochs, a_chain_with_a_link_missing_or_changed_is_refused)
{
    audit_across();
    cn_dossier_epoch first = dossier.epoch[0], second = dossier.epoch[1];
    dossier.epoch_count = 1;
    expect_failure(CN_STEP_EPOCH_CHAIN, "changes of the validators are here");
    dossier.epoch_count = 2;
    dossier.epoch[0] = (cn_dossier_epoch){2, second.closing, second.certificate, second.rows};
    dossier.epoch[1] = (cn_dossier_epoch){3, first.closing, first.certificate, first.rows};
    expect_failure(CN_STEP_EPOCH_CHAIN, "is not a closing block of epoch 1");
    dossier.epoch[0] = first;
    dossier.epoch[1] = second;
    dossier.epoch[1].rows = first.rows;
    expect_failure(CN_STEP_EPOCH_CHAIN, "not those that the closing block names");
    dossier.epoch[1] = second;
    dossier.epoch[1].certificate = first.certificate;
    expect_failure(CN_STEP_EPOCH_CHAIN, "not a finalization of this block");
    dossier.epoch[1] = second;
    dossier.epoch[0].closing.time_ms++;
    expect_failure(CN_STEP_EPOCH_CHAIN, "not a finalization of this block");
    dossier.epoch[0] = first;
    dossier.epoch[0].closing.kind = CN_BLOCK_CHECKPOINT;
    expect_failure(CN_STEP_EPOCH_CHAIN, "is not a closing block");
}

/* The closing block that retired the carrier, signed again by whom the test says. */
static void sign_second_closing(const unsigned *votes, unsigned count, cn_buf *out)
{
    cn_certificate c;
    cn_reader r = cn_reader_of(dossier.epoch[1].certificate.p, dossier.epoch[1].certificate.n);
    cr_assert_eq(cn_certificate_read(&r, &c, NULL), CN_OK);
    cn_digest digest = cn_vote_digest(&fx.genesis.network, c.epoch, CN_FINALIZE, c.view, &c.block);
    memset(c.bitmap, 0, sizeof c.bitmap);
    c.signature_count = 0;
    for (unsigned i = 0; i < count; i++) {
        c.bitmap[0] |= (uint8_t)(1u << i);
        cr_assert_eq(cn_sign(&fx.vote[votes[i]], &digest, &c.signature[c.signature_count++], NULL), CN_OK);
    }
    cn_buf_init(out, CN_CERTIFICATE_MAX);
    cn_certificate_encode(&c, out);
    dossier.epoch[1].certificate = CN_SPAN(out->p, out->n);
}

Test(epochs, the_set_that_is_retired_must_have_signed)
{
    static const unsigned strangers[] = {0, 0, 0, 0};
    cn_buf forged;
    audit_across();
    cn_span signed_well = dossier.epoch[1].certificate;
    sign_second_closing(strangers, 4, &forged); /* four places, one key */
    expect_failure(CN_STEP_EPOCH_CHAIN, "signature");
    cn_buf_free(&forged);
    dossier.epoch[1].certificate = signed_well;
    sign_second_closing(strangers, 3, &forged); /* one too few for a set of five */
    expect_failure(CN_STEP_EPOCH_CHAIN, "");
    cn_buf_free(&forged);
}

Test(epochs, a_retired_member_counts_no_more)
{
    audit_across();
    /* the same finalization as the set of five could give, with the carrier's vote, in the epoch after it left */
    cn_certificate c = certificate;
    cn_digest digest = cn_vote_digest(&fx.genesis.network, c.epoch, CN_FINALIZE, c.view, &c.block);
    cr_assert_eq(c.epoch, 3u);
    cr_assert_eq(cn_sign(&fx.vote[2], &digest, &certificate.signature[0], NULL), CN_OK);
    expect_failure(CN_STEP_QUORUM, "signature");
    certificate = c;
    certificate.epoch = 2;
    expect_failure(CN_STEP_QUORUM, "not a finalization of this block");
}
