/* The verifier accepts what the node exports, and names the failing step of everything else. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOX "urn:epc:id:bic:CSQU3054383"
#define OTHER "urn:epc:id:bic:MSKU0000000"

static fixture fx;
static fx_signer device;
static cn_buf zip;
static cn_dossier dossier;
static cn_certificate certificate; /* the dossier's */
static uint8_t *copied[4];         /* statements that a test changes; freed with it */
static size_t copies;

static void read_dossier(void)
{
    cr_assert_eq(cn_dossier_read(zip.p, zip.n, &dossier, NULL), CN_OK);
    cn_reader r = cn_reader_of(dossier.certificate.p, dossier.certificate.n);
    cr_assert_eq(cn_certificate_read(&r, &certificate, NULL), CN_OK);
}

/* Two devices' worth of history: registered by the exporter, three events, one about something else. */
static void set_up(void)
{
    fx_open(&fx);
    fx_key(&device, CN_KEY_ED25519);
    fx_register(&fx, &fx.member[0], &device);
    cr_assert(fx_commit(&fx));
    fx_wait(&fx, fx_event(&fx, &device, BOX, 1));
    fx_wait(&fx, fx_event(&fx, &device, BOX, 2));
    fx_wait(&fx, fx_event(&fx, &fx.member[2], OTHER, 3));
    fx_wait(&fx, fx_event(&fx, &fx.member[2], BOX, 4));
    cr_assert(fx_commit(&fx));
    fx_audit(&fx, BOX, &zip);
    read_dossier();
}

static void tear_down(void)
{
    while (copies > 0)
        free(copied[--copies]);
    cn_dossier_clear(&dossier);
    cn_buf_free(&zip);
    fx_close(&fx);
}

TestSuite(verify, .init = set_up, .fini = tear_down);

static void expect_report(const cn_buf *bytes, cn_verify_step step, bool only)
{
    cn_verify_report *r = fx_verify(&fx, bytes);
    cr_expect_not(r->accepted);
    cr_expect_eq(r->step[step].verdict, CN_VERDICT_FAILED, "%s did not fail", cn_verify_step_name(step));
    cr_expect(r->step[step].err.text[0] != '\0' && r->step[step].err.field[0] != '\0');
    for (int i = 0; only && i < CN_VERIFY_REQUIRED; i++)
        cr_expect(i == (int)step || r->step[i].verdict != CN_VERDICT_FAILED, "%s failed too: %s",
                  cn_verify_step_name((cn_verify_step)i), r->step[i].err.text);
    free(r);
}

static void expect_failure(cn_verify_step step, bool only)
{
    cn_buf changed;
    fx_rebuild(&dossier, &certificate, &changed);
    expect_report(&changed, step, only);
    cn_buf_free(&changed);
}

static size_t place_of(uint64_t index)
{
    for (size_t i = 0; i < dossier.statement_count; i++)
        if (dossier.statement[i].log_index == index)
            return i;
    cr_assert_fail("statement %llu is not in the dossier", (unsigned long long)index);
    return 0;
}

static uint8_t *mutable_statement(size_t place)
{
    cn_dossier_statement *s = &dossier.statement[place];
    uint8_t *copy = malloc(s->whole.n);
    memcpy(copy, s->whole.p, s->whole.n);
    cr_assert_lt(copies, sizeof copied / sizeof copied[0]);
    copied[copies++] = copy;
    s->whole.p = copy;
    return copy;
}

Test(verify, accepts_what_the_node_exports)
{
    cn_verify_report *r = fx_verify(&fx, &zip);
    for (int i = 0; i < CN_VERIFY_REQUIRED; i++)
        cr_expect_eq(r->step[i].verdict, CN_VERDICT_OK, "%s: %s %s", cn_verify_step_name((cn_verify_step)i),
                     r->step[i].err.field, r->step[i].err.text);
    cr_expect(r->accepted);
    cr_expect_eq(r->subject_statements, 3u);
    cr_expect_eq(r->statements, 4u, "the registration of the device is in it, the event about the other box is not");
    free(r);
}

Test(verify, a_rebuilt_dossier_is_the_same_bytes)
{
    cn_buf again;
    fx_rebuild(&dossier, &certificate, &again);
    cr_expect_eq(again.n, zip.n);
    cr_expect_arr_eq(again.p, zip.p, zip.n);
    cn_buf_free(&again);
}

Test(verify, another_genesis_digest)
{
    cn_verify_report *r = calloc(1, sizeof *r);
    cn_digest other = fx.genesis.network;
    other.b[0] ^= 1;
    cr_expect_eq(cn_verify_dossier(zip.p, zip.n, &other, NULL, r), CN_WRONG_NETWORK);
    cr_expect_eq(r->step[CN_STEP_GENESIS].verdict, CN_VERDICT_FAILED);
    cr_expect_eq(r->step[CN_STEP_QUORUM].verdict, CN_VERDICT_NOT_CHECKED);
    free(r);
}

Test(verify, one_byte_of_an_item)
{
    size_t place = place_of(3);
    mutable_statement(place)[dossier.statement[place].whole.n - 2] ^= 1;
    expect_failure(CN_STEP_ITEM_ROOT, false);
}

Test(verify, one_byte_of_the_file)
{
    zip.p[zip.n / 2] ^= 1;
    expect_report(&zip, CN_STEP_CONTAINER, true);
}

Test(verify, an_event_removed)
{
    size_t place = place_of(4);
    memmove(&dossier.statement[place], &dossier.statement[place + 1],
            (dossier.statement_count - place - 1) * sizeof dossier.statement[0]);
    dossier.statement_count--;
    expect_failure(CN_STEP_COMPLETENESS, true);
}

Test(verify, an_event_removed_with_its_leaf)
{
    cn_dossier_subject *s = NULL;
    for (size_t i = 0; i < dossier.subject_count; i++)
        if (cn_digest_eq(&dossier.subjects[i].tag, &dossier.tag))
            s = &dossier.subjects[i];
    cr_assert_not_null(s);
    s->count--;
    size_t place = place_of(6);
    memmove(&dossier.statement[place], &dossier.statement[place + 1],
            (dossier.statement_count - place - 1) * sizeof dossier.statement[0]);
    dossier.statement_count--;
    expect_failure(CN_STEP_COMPLETENESS, true);
}

Test(verify, two_events_swapped)
{
    size_t a = place_of(3), b = place_of(4);
    cn_span whole = dossier.statement[a].whole;
    dossier.statement[a].whole = dossier.statement[b].whole;
    dossier.statement[b].whole = whole;
    expect_failure(CN_STEP_INCLUSION, false);
}

Test(verify, an_index_altered_with_the_same_path)
{
    dossier.statement[dossier.statement_count - 1].log_index++;
    expect_failure(CN_STEP_INCLUSION, false);
}

Test(verify, a_finalization_of_another_block)
{
    static const unsigned signers[] = {0, 1, 2};
    fx_certify(&fx, &dossier.header[0].parent, signers, 3, &certificate);
    expect_failure(CN_STEP_QUORUM, true);
}

Test(verify, a_signature_taken_from_another_block)
{
    static const unsigned signers[] = {0, 1, 2};
    cn_certificate other;
    fx_certify(&fx, &dossier.header[0].parent, signers, 3, &other);
    certificate.signature[1] = other.signature[1];
    expect_failure(CN_STEP_QUORUM, true);
}

Test(verify, a_certificate_with_a_duplicate_signer)
{
    certificate.signature[2] = certificate.signature[0];
    expect_failure(CN_STEP_QUORUM, true);
}

Test(verify, a_certificate_with_one_signer_too_few)
{
    certificate.bitmap[0] &= (uint8_t)~8u;
    certificate.signature_count = 2;
    expect_failure(CN_STEP_QUORUM, true);
}

Test(verify, a_high_s_signature)
{
    /* n - s is as valid for ECDSA; the one accepted encoding is low-s */
    static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
                                      0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};
    uint8_t *s = certificate.signature[0].b + 32;
    int borrow = 0;
    for (int i = 31; i >= 0; i--) {
        int d = order[i] - s[i] - borrow;
        borrow = d < 0;
        s[i] = (uint8_t)(d + (borrow ? 256 : 0));
    }
    expect_failure(CN_STEP_QUORUM, true);
}

Test(verify, a_state_root_or_log_root_changed)
{
    dossier.header[0].state_root.b[3] ^= 1;
    expect_failure(CN_STEP_QUORUM, false);
}

Test(verify, a_statement_signature_changed)
{
    size_t place = place_of(3);
    const cn_dossier_statement *s = &dossier.statement[place];
    cn_statement *st = NULL;
    cr_assert_eq(cn_statement_decode(s->whole.p, s->whole.n, &st, NULL), CN_OK);
    size_t at = st->record.n - 1;
    cn_statement_free(st);
    mutable_statement(place)[at] ^= 1;
    expect_failure(CN_STEP_SIGNATURE, false);
}

Test(verify, the_registration_of_the_key_withheld)
{
    size_t place = place_of(2);
    memmove(&dossier.statement[place], &dossier.statement[place + 1],
            (dossier.statement_count - place - 1) * sizeof dossier.statement[0]);
    dossier.statement_count--;
    expect_failure(CN_STEP_AUTHORITY, false);
}

Test(verify, the_tree_about_a_key_withheld)
{
    cn_digest about = cn_key_subject(fx.genesis.subject_salt, &device.id);
    size_t kept = 0;
    for (size_t i = 0; i < dossier.subject_count; i++)
        if (!cn_digest_eq(&dossier.subjects[i].tag, &about))
            dossier.subjects[kept++] = dossier.subjects[i];
    cr_assert_eq(kept + 1, dossier.subject_count);
    dossier.subject_count = kept;
    expect_failure(CN_STEP_REGISTRY_CLOSURE, true);
}

Test(verify, another_subject_under_this_name)
{
    snprintf(dossier.subject, sizeof dossier.subject, "%s", OTHER);
    expect_failure(CN_STEP_COMPLETENESS, true);
}

Test(verify, a_revoked_key_cannot_sign_and_the_ledger_refuses_it)
{
    cn_registry_change c;
    memset(&c, 0, sizeof c);
    c.op = CN_REG_KEY_REVOKE;
    c.key_id = device.id;
    c.sequence = 2;
    c.reason = 3;
    fx_wait(&fx, fx_change(&fx, &fx.member[0], &c));
    cr_assert(fx_commit(&fx));
    fx_wait(&fx, fx_event(&fx, &device, BOX, 9));
    cr_expect_not(fx_commit(&fx), "a statement of a revoked key was executed");
}

/* What a colluding quorum could record: a statement after the revocation, in the order of the log. */
Test(verify, a_key_that_was_revoked_before)
{
    cn_registry_change c;
    memset(&c, 0, sizeof c);
    c.op = CN_REG_KEY_REVOKE;
    c.key_id = device.id;
    c.sequence = 2;
    c.reason = 3;
    fx_wait(&fx, fx_change(&fx, &fx.member[0], &c));
    cr_assert(fx_commit(&fx));
    cn_dossier_clear(&dossier);
    cn_buf_free(&zip);
    fx_audit(&fx, BOX, &zip);
    read_dossier();
    cn_verify_report *good = fx_verify(&fx, &zip);
    cr_expect(good->accepted, "the events before the revocation stay good");
    free(good);
    /* the revocation and the last event of the device change places: the event now follows it */
    size_t event = place_of(4), revocation = dossier.statement_count - 1;
    cn_span whole = dossier.statement[event].whole;
    dossier.statement[event].whole = dossier.statement[revocation].whole;
    dossier.statement[revocation].whole = whole;
    expect_failure(CN_STEP_AUTHORITY, false);
}

Test(verify, absence_of_a_subject)
{
    cn_buf none;
    fx_audit(&fx, "urn:epc:id:bic:NONE9999999", &none);
    cn_verify_report *r = fx_verify(&fx, &none);
    cr_expect(r->accepted);
    cr_expect(r->absent);
    free(r);
    cn_buf_free(&none);
}

Test(verify, the_same_node_exports_the_same_bytes)
{
    cn_buf again;
    fx_audit(&fx, BOX, &again);
    cr_expect_eq(again.n, zip.n);
    cr_expect_arr_eq(again.p, zip.p, zip.n);
    cn_buf_free(&again);
}

Test(verify, damaged_files_never_crash)
{
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 300; i++) {
        uint8_t *copy = malloc(zip.n);
        memcpy(copy, zip.p, zip.n);
        for (int k = 0; k < 3; k++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            copy[state % zip.n] ^= (uint8_t)(state >> 32 | 1);
        }
        cn_verify_report *r = calloc(1, sizeof *r);
        (void)cn_verify_dossier(copy, state % 5 ? zip.n : state % zip.n, &fx.genesis.network, NULL, r);
        free(r);
        free(copy);
    }
}
