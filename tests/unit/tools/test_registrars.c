/* Registrars come and go by ballot (R11), and what they did before and after is judged by what had been decided then.
 */
#include "changes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOX "urn:epc:id:bic:CSQU3054383"

static fixture fx;
static fx_signer fifth, sixth;
static cn_buf zip;

static void set_up(void)
{
    fx_open(&fx);
    ch_register_fifth(&fx, &fifth);
}

static void tear_down(void)
{
    cn_buf_free(&zip);
    fx_close(&fx);
}

TestSuite(registrars, .init = set_up, .fini = tear_down);

static void admit_sixth(fx_signer *registrar)
{
    fx_wait(&fx, ch_admit(&fx, registrar, "member-6", &sixth));
    cr_assert(fx_commit(&fx));
    fx_wait(&fx, fx_event(&fx, &sixth, BOX, 1));
    cr_assert(fx_commit(&fx));
}

static void accepted(const char *uri)
{
    cn_buf_free(&zip);
    fx_audit(&fx, uri, &zip);
    cn_verify_report *r = fx_verify(&fx, &zip);
    for (int i = 0; i < CN_VERIFY_REQUIRED; i++)
        cr_expect_eq(r->step[i].verdict, CN_VERDICT_OK, "%s: %s %s", cn_verify_step_name((cn_verify_step)i),
                     r->step[i].err.field, r->step[i].err.text);
    cr_expect(r->accepted);
    free(r);
}

Test(registrars, a_member_that_became_one_by_ballot_admits_others)
{
    ch_roles(&fx, &fifth.owner, CN_ROLE_FORWARDER, true);
    admit_sixth(&fifth);
    accepted(BOX);
    char uri[128];
    snprintf(uri, sizeof uri, "urn:carnet:member:%s", cn_digest_hex(&sixth.owner).s);
    accepted(uri);
    accepted("urn:carnet:governance");
}

/* A ballot counts by the set in force when it was given. */
Test(registrars, a_validator_that_joined_has_a_voice)
{
    ch_join(&fx, &fifth);
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_ROLES;
    b->proposal.member = fifth.owner;
    b->proposal.roles = CN_ROLE_FORWARDER;
    b->proposal.registrar = true;
    cn_digest id = ch_commit(&fx, &fifth, b);
    ch_commit(&fx, &fifth, ch_ballot(&id, &fifth.owner, true));
    ch_approve(&fx, &id, &fifth.owner, 0, 2);
    admit_sixth(&fifth);
    accepted(BOX);
}

Test(registrars, what_one_did_before_it_lost_the_right_stands)
{
    admit_sixth(&fx.member[1]);
    ch_roles(&fx, &fx.member[1].owner, CN_ROLE_BANK, false);
    cn_err err = {0};
    fx_signer seventh;
    cn_stmt *late = cn_stmt_new(ch_admit(&fx, &fx.member[1], "member-7", &seventh));
    cr_expect_eq(cn_ledger_try(fx.ledger, late, &err), CN_DENIED);
    cn_stmt_unref(late);
    accepted(BOX);
}

Test(registrars, one_made_by_ballot_revokes_the_keys_of_others)
{
    fx_signer device;
    fx_key(&device, CN_KEY_P256);
    ch_roles(&fx, &fifth.owner, CN_ROLE_FORWARDER, true);
    fx_register(&fx, &fx.member[0], &device);
    cr_assert(fx_commit(&fx));
    fx_wait(&fx, fx_event(&fx, &device, BOX, 1));
    cr_assert(fx_commit(&fx));
    cn_registry_change c;
    memset(&c, 0, sizeof c);
    c.op = CN_REG_KEY_REVOKE;
    c.key_id = device.id;
    c.sequence = device.sequence;
    c.reason = 1;
    fx_wait(&fx, fx_change(&fx, &fifth, &c));
    cr_assert(fx_commit(&fx));
    accepted(BOX);
}
