/* The offline verifier holds proposals, ballots and readiness to the rules of the ledger (R11), over a ledger that
 * records what no honest network would: each dossier breaks one of them. */
#include "mini.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOX "urn:epc:id:bic:CSQU3054383"

static mini m;
static mini_signer forwarder; /* a member, no registrar, without a vote */

static void admit(mini_signer *by, const char *name, uint8_t seed, mini_signer *ret)
{
    cn_registry_change change = {.op = CN_REG_MEMBER_REGISTER, .country = "SG", .roles = CN_ROLE_FORWARDER};
    snprintf(change.name, sizeof change.name, "%s", name);
    cn_digest member = cn_member_id(name);
    change.new_key = mini_new_key(&m, seed, &member, ret);
    change.new_key.purpose = CN_PURPOSE_CAPTURE;
    mini_registry(&m, by, &change);
}

static void begin(void)
{
    mini_begin(&m);
    admit(&m.capture[0], "forwarder-1", 109, &forwarder);
}

static void end(void)
{
    mini_end(&m);
}

TestSuite(ballots, .init = begin, .fini = end);

/* ---- statements ---- */

static uint64_t propose(mini_signer *by, cn_change_action action, const cn_digest *member, bool registrar,
                        cn_digest *ret_id)
{
    cn_body body = {.kind = CN_PAYLOAD_PROPOSAL};
    body.proposal.action = action;
    body.proposal.member = *member;
    if (action == CN_CHANGE_ROLES) {
        body.proposal.roles = CN_ROLE_FORWARDER;
        body.proposal.registrar = registrar;
    }
    uint64_t index = mini_record(&m, by, &body, NULL, 0);
    *ret_id = m.statement[index].decoded->id;
    return index;
}

static uint64_t ballot(mini_signer *by, const cn_digest *proposal, const cn_digest *member, bool approve)
{
    cn_body body = {.kind = CN_PAYLOAD_BALLOT};
    body.ballot = (cn_ballot_payload){*proposal, *member, approve};
    return mini_record(&m, by, &body, NULL, 0);
}

/* A member that the signer admits states an event about the box: what the dossiers here are about. */
static uint64_t admit_witness(mini_signer *by)
{
    mini_signer witness;
    uint64_t index = m.log_size;
    admit(by, "witness", 111, &witness);
    mini_document(&m, &witness,
                  "{\"@context\":[\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\"],"
                  "\"type\":\"ObjectEvent\",\"eventTime\":\"2026-05-01T08:00:00.000Z\","
                  "\"eventTimeZoneOffset\":\"+03:00\",\"action\":\"OBSERVE\",\"epcList\":[\"" BOX "\"]}");
    return index;
}

/* ---- verdicts ---- */

static void accepted(mini_parts *p)
{
    cn_verify_report report;
    cr_assert_eq(mini_verify(&m, p, &report), CN_OK);
    cr_expect(report.accepted);
    mini_parts_free(p);
}

/* Nothing fails before this step, which fails at this statement for this reason. */
static void refused(mini_parts *p, cn_verify_step step, uint64_t index, const char *reason)
{
    cn_verify_report report;
    char where[64];
    cr_expect_neq(mini_verify(&m, p, &report), CN_OK);
    for (int i = 0; i < (int)step; i++)
        cr_expect_neq(report.step[i].verdict, CN_VERDICT_FAILED, "%s: %s", cn_verify_step_name((cn_verify_step)i),
                      report.step[i].err.text);
    snprintf(where, sizeof where, "statements/%020llu.bin", (unsigned long long)index);
    const cn_err *err = &report.step[step].err;
    cr_expect_eq(report.step[step].verdict, CN_VERDICT_FAILED, "%s", reason);
    cr_expect_str_eq(err->field, where, "%s: %s", reason, err->field);
    cr_expect(strstr(err->text, reason), "\"%s\" does not say \"%s\"", err->text, reason);
    mini_parts_free(p);
}

static mini_parts *governance(void)
{
    return mini_parts_of(&m, "urn:carnet:governance");
}

static void authority(uint64_t index, const char *reason)
{
    refused(governance(), CN_STEP_AUTHORITY, index, reason);
}

/* ---- registrars ---- */

Test(ballots, three_make_a_registrar_and_two_do_not)
{
    cn_digest id;
    propose(&m.capture[3], CN_CHANGE_ROLES, &forwarder.owner, true, &id);
    ballot(&m.capture[0], &id, &forwarder.owner, true);
    ballot(&m.capture[1], &id, &forwarder.owner, false);
    ballot(&m.capture[2], &id, &forwarder.owner, true);
    uint64_t early = m.log_size;
    mini_signer nobody;
    admit(&forwarder, "too-early", 112, &nobody);
    ballot(&m.capture[3], &id, &forwarder.owner, true);
    admit_witness(&forwarder);
    accepted(mini_parts_of(&m, BOX));
    accepted(governance());
    char uri[128];
    snprintf(uri, sizeof uri, "urn:carnet:member:%s", cn_digest_hex(&nobody.owner).s);
    refused(mini_parts_of(&m, uri), CN_STEP_AUTHORITY, early, "no registrar");
}

Test(ballots, a_registrar_of_genesis_loses_the_right_by_ballot)
{
    cn_digest id;
    propose(&m.capture[3], CN_CHANGE_ROLES, &m.capture[1].owner, false, &id);
    for (unsigned i = 0; i < 3; i++)
        ballot(&m.capture[i], &id, &m.capture[1].owner, true);
    uint64_t at = admit_witness(&m.capture[1]);
    refused(mini_parts_of(&m, BOX), CN_STEP_AUTHORITY, at, "no registrar");
}

Test(ballots, and_has_it_again_after_others)
{
    cn_digest id;
    for (int registrar = 0; registrar < 2; registrar++) {
        propose(&m.capture[3], CN_CHANGE_ROLES, &m.capture[1].owner, registrar, &id);
        for (unsigned i = 0; i < 3; i++)
            ballot(&m.capture[i], &id, &m.capture[1].owner, true);
    }
    admit_witness(&m.capture[1]);
    accepted(mini_parts_of(&m, BOX));
}

/* Without the whole of what was decided, a registrar that had lost the right would seem to have it. */
Test(ballots, what_was_decided_must_be_there)
{
    cn_digest tag = cn_governance_subject(m.genesis.subject_salt);
    uint64_t at = admit_witness(&m.capture[1]);
    mini_parts *p = mini_parts_of(&m, BOX);
    mini_drop_subject(p, &tag); /* the proof that nothing was */
    refused(p, CN_STEP_REGISTRY_CLOSURE, at, "what members decided by ballot is missing");
    end();
    begin();
    mini_signer device = mini_device(&m, &m.capture[0], 101);
    cn_registry_change revocation = {.op = CN_REG_KEY_REVOKE, .key_id = device.id, .reason = 3};
    at = mini_registry(&m, &m.capture[1], &revocation);
    char uri[128];
    snprintf(uri, sizeof uri, "urn:carnet:key:%s", cn_digest_hex(&device.id).s);
    accepted(mini_parts_of(&m, uri));
    p = mini_parts_of(&m, uri);
    mini_drop_subject(p, &tag);
    refused(p, CN_STEP_REGISTRY_CLOSURE, at, "what members decided by ballot is missing");
}

Test(ballots, no_ballot_may_be_missing)
{
    cn_digest id, tag = cn_governance_subject(m.genesis.subject_salt);
    uint64_t proposed = propose(&m.capture[3], CN_CHANGE_ROLES, &m.capture[1].owner, true, &id);
    uint64_t voted = ballot(&m.capture[0], &id, &m.capture[1].owner, false);
    mini_parts *p = governance();
    mini_drop_statement(p, voted);
    cn_verify_report report;
    cr_expect_neq(mini_verify(&m, p, &report), CN_OK);
    cr_expect_eq(report.step[CN_STEP_COMPLETENESS].verdict, CN_VERDICT_FAILED);
    mini_parts_free(p);
    mini_subject *all = mini_find(&m, &tag);
    all->record.count--; /* the ledger itself has forgotten one that a member's own record holds */
    mini_reroot(all);
    char uri[128];
    snprintf(uri, sizeof uri, "urn:carnet:member:%s", cn_digest_hex(&m.capture[1].owner).s);
    refused(mini_parts_of(&m, uri), CN_STEP_COMPLETENESS, voted, "whose tree does not hold it");
    p = mini_parts_of(&m, uri);
    mini_drop_subject(p, &tag);
    refused(p, CN_STEP_REGISTRY_CLOSURE, proposed, "what members decided by ballot is missing");
}

/* ---- proposals and ballots ---- */

Test(ballots, only_who_votes_proposes_roles_and_decides)
{
    cn_digest id, own;
    uint64_t at = propose(&forwarder, CN_CHANGE_ROLES, &forwarder.owner, true, &own);
    authority(at, "proposed by one who does not vote in epoch 1");
    end();
    begin();
    propose(&m.capture[3], CN_CHANGE_ROLES, &forwarder.owner, true, &id);
    at = ballot(&forwarder, &id, &forwarder.owner, true);
    authority(at, "a ballot of one who does not vote in epoch 1");
    end();
    begin();
    mini_signer device = mini_device(&m, &m.capture[0], 101);
    propose(&m.capture[3], CN_CHANGE_ROLES, &forwarder.owner, true, &id);
    at = ballot(&device, &id, &forwarder.owner, true);
    authority(at, "only a member's capture key");
}

Test(ballots, a_member_leaves_by_its_own_proposal_or_a_validators)
{
    cn_digest id;
    propose(&m.capture[2], CN_CHANGE_LEAVE, &m.capture[2].owner, false, &id);
    propose(&m.capture[1], CN_CHANGE_LEAVE, &m.capture[2].owner, false, &id);
    propose(&forwarder, CN_CHANGE_LEAVE, &forwarder.owner, false, &id);
    accepted(governance());
    uint64_t at = propose(&forwarder, CN_CHANGE_LEAVE, &m.capture[2].owner, false, &id);
    authority(at, "proposed by one who does not vote");
}

Test(ballots, one_voice_a_member)
{
    cn_digest id;
    propose(&m.capture[3], CN_CHANGE_ROLES, &forwarder.owner, true, &id);
    ballot(&m.capture[0], &id, &forwarder.owner, true);
    uint64_t at = ballot(&m.capture[0], &id, &forwarder.owner, true);
    ballot(&m.capture[1], &id, &forwarder.owner, true);
    authority(at, "a second ballot of the same member");
    ballot(&m.capture[2], &id, &forwarder.owner, false);
    uint64_t again = ballot(&m.capture[2], &id, &forwarder.owner, false);
    uint64_t admitted = admit_witness(&forwarder); /* two voices, three ballots */
    mini_parts *p = mini_parts_of(&m, BOX);
    cn_verify_report report;
    cr_expect_neq(mini_verify(&m, p, &report), CN_OK);
    cr_expect_eq(report.step[CN_STEP_AUTHORITY].faults, 3u, "ballots %llu and %llu, and statement %llu",
                 (unsigned long long)at, (unsigned long long)again, (unsigned long long)admitted);
    mini_parts_free(p);
}

Test(ballots, what_is_decided_stays_so)
{
    cn_digest id;
    propose(&m.capture[3], CN_CHANGE_ROLES, &forwarder.owner, true, &id);
    ballot(&m.capture[0], &id, &forwarder.owner, false);
    ballot(&m.capture[1], &id, &forwarder.owner, false); /* three of four can no longer approve */
    uint64_t at = ballot(&m.capture[2], &id, &forwarder.owner, true);
    authority(at, "had been decided before");
    end();
    begin();
    propose(&m.capture[3], CN_CHANGE_ROLES, &forwarder.owner, true, &id);
    for (unsigned i = 0; i < 3; i++)
        ballot(&m.capture[i], &id, &forwarder.owner, true);
    accepted(governance());
    at = ballot(&m.capture[3], &id, &forwarder.owner, true);
    authority(at, "had been decided before");
}

/* While an accepted change waits a member may say the opposite, once; below the threshold the change is called off. */
Test(ballots, a_waiting_change_is_called_off)
{
    cn_digest id;
    propose(&m.capture[3], CN_CHANGE_LEAVE, &m.capture[2].owner, false, &id);
    for (unsigned i = 0; i < 3; i++)
        ballot(&m.capture[i], &id, &m.capture[2].owner, true);
    ballot(&m.capture[3], &id, &m.capture[2].owner, true);
    ballot(&m.capture[0], &id, &m.capture[2].owner, false);
    accepted(governance()); /* three of four approve still */
    ballot(&m.capture[0], &id, &m.capture[2].owner, true);
    ballot(&m.capture[0], &id, &m.capture[2].owner, false);
    accepted(governance());
    uint64_t twice = ballot(&m.capture[0], &id, &m.capture[2].owner, false);
    authority(twice, "a second ballot of the same member");
    end();
    begin();
    propose(&m.capture[3], CN_CHANGE_LEAVE, &m.capture[2].owner, false, &id);
    for (unsigned i = 0; i < 3; i++)
        ballot(&m.capture[i], &id, &m.capture[2].owner, true);
    ballot(&m.capture[1], &id, &m.capture[2].owner, false);
    accepted(governance());
    uint64_t late = ballot(&m.capture[1], &id, &m.capture[2].owner, true);
    authority(late, "had been decided before");
}

/* Not before it is accepted: an open proposal hears each member once. */
Test(ballots, nobody_changes_a_ballot_on_an_open_proposal)
{
    cn_digest id;
    propose(&m.capture[3], CN_CHANGE_LEAVE, &m.capture[2].owner, false, &id);
    ballot(&m.capture[0], &id, &m.capture[2].owner, true);
    uint64_t at = ballot(&m.capture[0], &id, &m.capture[2].owner, false);
    authority(at, "a second ballot of the same member");
}

Test(ballots, a_ballot_names_its_proposal_and_member)
{
    cn_digest id, none = {{9}};
    uint64_t at = ballot(&m.capture[0], &none, &forwarder.owner, true);
    authority(at, "the proposal that it names is not before it");
    end();
    begin();
    propose(&m.capture[3], CN_CHANGE_ROLES, &forwarder.owner, true, &id);
    at = ballot(&m.capture[0], &id, &m.capture[1].owner, true);
    authority(at, "about another member");
}

/* ---- rows ---- */

static const uint8_t key_types[CN_ROW_KEYS] = {CN_KEY_SECP256K1, CN_KEY_P256, CN_KEY_ED25519, CN_KEY_ED25519};

/* The forwarder's row with keys of its own; the one numbered wrong has signed for another member. */
static uint64_t propose_join(unsigned wrong, cn_secret_key *ret_vote, cn_digest *ret_id)
{
    cn_body body = {.kind = CN_PAYLOAD_PROPOSAL};
    cn_proposal_payload *p = &body.proposal;
    cn_secret_key key[CN_ROW_KEYS];
    p->action = CN_CHANGE_JOIN;
    p->member = p->row.member = forwarder.owner;
    for (unsigned i = 0; i < CN_ROW_KEYS; i++) {
        cr_assert_eq(cn_secret_key_generate(key_types[i], &key[i], NULL), CN_OK);
        cn_digest key_id = cn_key_id(&key[i].public_key);
        cn_digest digest =
            cn_possession_digest(&m.genesis.network, i == wrong ? &m.capture[0].owner : &forwarder.owner, &key_id);
        cr_assert_eq(cn_sign(&key[i], &digest, &p->possession[i], NULL), CN_OK);
    }
    memcpy(p->row.vote_key, key[0].public_key.b, 33);
    cr_assert_eq(cn_evm_address(&key[0].public_key, p->row.evm_address, NULL), CN_OK);
    memcpy(p->row.receipt_key, key[1].public_key.b, 33);
    memcpy(p->row.cosignature_key, key[2].public_key.b, 32);
    memcpy(p->row.log_key, key[3].public_key.b, 32);
    *ret_vote = key[0];
    uint64_t index = mini_record(&m, &forwarder, &body, NULL, 0);
    *ret_id = m.statement[index].decoded->id;
    return index;
}

static uint64_t ready(mini_signer *by, const cn_digest *proposal, const cn_digest *member, const cn_secret_key *vote)
{
    cn_body body = {.kind = CN_PAYLOAD_READINESS};
    body.readiness = (cn_readiness_payload){.proposal = *proposal, .member = *member, .height = 4, .block = {{4}}};
    cn_digest digest = cn_readiness_digest(&m.genesis.network, proposal, 4, &body.readiness.block);
    cr_assert_eq(cn_sign(vote, &digest, &body.readiness.signature, NULL), CN_OK);
    return mini_record(&m, by, &body, NULL, 0);
}

Test(ballots, every_key_of_a_row_has_proved_possession)
{
    cn_secret_key vote;
    cn_digest id;
    for (unsigned i = 0; i < CN_ROW_KEYS; i++) {
        char words[64];
        uint64_t at = propose_join(i, &vote, &id);
        snprintf(words, sizeof words, "key %u of the row", i + 1);
        authority(at, words);
        end();
        begin();
    }
}

Test(ballots, readiness_is_of_the_member_and_its_new_vote_key)
{
    cn_secret_key vote, other;
    cn_digest id, roles;
    propose_join(CN_ROW_KEYS, &vote, &id);
    ready(&forwarder, &id, &forwarder.owner, &vote);
    accepted(governance());
    cr_assert_eq(cn_secret_key_generate(CN_KEY_SECP256K1, &other, NULL), CN_OK);
    uint64_t at = ready(&forwarder, &id, &forwarder.owner, &other);
    authority(at, "without the new vote key's signature");
    end();
    begin();
    propose_join(CN_ROW_KEYS, &vote, &id);
    at = ready(&m.capture[0], &id, &forwarder.owner, &vote);
    authority(at, "of another than who joins or rotates");
    end();
    begin();
    propose(&m.capture[3], CN_CHANGE_ROLES, &forwarder.owner, true, &roles);
    at = ready(&forwarder, &roles, &forwarder.owner, &vote);
    authority(at, "of another than who joins or rotates");
}
