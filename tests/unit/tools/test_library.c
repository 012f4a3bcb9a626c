/* The public interface: what is asked for is held against the dossier, wrong arguments do nothing, and reports say what
 * the verifier found. */
#include "mini.h"

#include "proto/limits.h"
#include "tests/unit/proto/authority.h"
#include "tools/verify/carnet-verify.h"
#include "tools/verify/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONSIGNMENT "urn:carnet:ucr:4KE51234567-ROSES"
#define THREE 7u /* validators */
#define SEEN INT64_C(1777629600)
#define YEAR INT64_C(31536000)

static mini m;
static mini_parts *p;
static carnet_verify_options *options;
static carnet_verify_report *report;

static void begin(void)
{
    mini_begin(&m);
    mini_signer device = mini_device(&m, &m.capture[0], 101);
    mini_document(&m, &device,
                  "{\"@context\":[\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\"],"
                  "\"type\":\"ObjectEvent\",\"eventTime\":\"2026-05-01T08:00:00.000Z\",\"eventTimeZoneOffset\":"
                  "\"+03:00\",\"action\":\"OBSERVE\",\"epcList\":[\"" CONSIGNMENT "\"]}");
    p = mini_parts_of(&m, CONSIGNMENT);
    mini_seal(&m, p, THREE);
    options = carnet_verify_options_new();
    cr_assert_eq(carnet_verify_set_genesis(options, m.genesis.network.b), CARNET_VERIFY_OK);
}

static void end(void)
{
    carnet_verify_report_free(report);
    carnet_verify_options_free(options);
    mini_parts_free(p);
    mini_end(&m);
}

TestSuite(library, .init = begin, .fini = end);

static int verify(void)
{
    cn_buf zip;
    mini_pack(p, &zip);
    carnet_verify_report_free(report);
    int status = carnet_verify_dossier(zip.p, zip.n, options, &report);
    cn_buf_free(&zip);
    cr_assert_not_null(report);
    cr_expect_eq(carnet_verify_report_accepted(report), status == CARNET_VERIFY_OK);
    return status;
}

static void expect(const char *step, int verdict, int status)
{
    cr_expect_eq(verify(), status, "%s", carnet_verify_report_json(report));
    size_t i = carnet_verify_report_find(report, step);
    cr_expect_eq(carnet_verify_report_step_verdict(report, i), verdict, "%s: %s", step,
                 carnet_verify_report_step_reason(report, i));
}

Test(library, says_what_the_verifier_found)
{
    cn_verify_report inside;
    cn_verify_options none = {0};
    cr_expect_eq(verify(), CARNET_VERIFY_OK);
    cr_expect_eq(mini_verify_with(&m, p, &none, &inside), CN_OK);
    cr_expect_eq(carnet_verify_report_steps(report), (size_t)CN_STEP_COUNT);
    for (size_t i = 0; i < CN_STEP_COUNT; i++) {
        const cn_verify_result *s = &inside.step[i];
        cr_expect_str_eq(carnet_verify_report_step_name(report, i), cn_verify_step_name((cn_verify_step)i));
        cr_expect_str_eq(carnet_verify_report_step_meaning(report, i), cn_verify_step_text((cn_verify_step)i));
        cr_expect_eq(carnet_verify_report_step_verdict(report, i), (int)s->verdict);
        cr_expect_str_eq(carnet_verify_report_step_reason(report, i), s->verdict == CN_VERDICT_OK ? "" : s->err.text);
    }
    cr_expect_str_eq(carnet_verify_report_subject(report), CONSIGNMENT);
    cr_expect_not(carnet_verify_report_absent(report));
    cr_expect_eq(carnet_verify_report_checkpoint_height(report), inside.checkpoint_height);
    cr_expect_eq(carnet_verify_report_checkpoint_time_ms(report), inside.checkpoint_time_ms);
    cr_expect_eq(carnet_verify_report_statements(report), inside.statements);
    cr_expect_eq(carnet_verify_report_subject_statements(report), 1u);
    cr_expect_eq(carnet_verify_report_items(report), 1u);
    cr_expect_eq(carnet_verify_report_unreadable_items(report) + carnet_verify_report_erased_items(report) +
                     carnet_verify_report_redacted_items(report),
                 0u);
    json_t *json = cn_verify_report_json(&inside);
    char *text = json_dumps(json, JSON_INDENT(2));
    cr_expect_str_eq(carnet_verify_report_json(report), text);
    free(text);
    json_decref(json);
}

Test(library, wrong_arguments_do_nothing)
{
    static const unsigned char digest[32];
    carnet_verify_options *empty = carnet_verify_options_new();
    carnet_verify_report *none = (carnet_verify_report *)&m; /* what was in the variable is no report */
    cr_expect_eq(carnet_verify_dossier("", 0, empty, &none), CARNET_VERIFY_MISUSE, "no genesis digest");
    cr_expect_null(none);
    cr_expect_eq(carnet_verify_dossier(NULL, 1, options, &none), CARNET_VERIFY_MISUSE);
    cr_expect_eq(carnet_verify_dossier("", 0, NULL, &none), CARNET_VERIFY_MISUSE);
    cr_expect_eq(carnet_verify_dossier("", 0, options, NULL), CARNET_VERIFY_MISUSE);
    cr_expect_eq(carnet_verify_dossier(NULL, 0, options, &report), CARNET_VERIFY_REFUSED, "no bytes are no dossier");
    cr_expect_eq(carnet_verify_set_genesis(NULL, digest), CARNET_VERIFY_MISUSE);
    cr_expect_eq(carnet_verify_set_genesis_hex(options, "12"), CARNET_VERIFY_MISUSE);
    cr_expect_eq(carnet_verify_set_genesis_hex(options, NULL), CARNET_VERIFY_MISUSE);
    cr_expect_eq(carnet_verify_set_signatures(options, CN_MAX_VALIDATORS + 1), CARNET_VERIFY_MISUSE);
    cr_expect_eq(carnet_verify_set_policy(options, "no policy", 9), CARNET_VERIFY_MISUSE);
    cr_expect_eq(carnet_verify_set_time_authorities(options, "no PEM", 6), CARNET_VERIFY_MISUSE);
    cr_expect_eq(carnet_verify_add_anchor(options, 1, NULL), CARNET_VERIFY_MISUSE);
    expect("container", CARNET_VERIFY_HOLDS, CARNET_VERIFY_OK); /* the digest set before is still there */
    cr_expect_eq(carnet_verify_report_find(report, "no such step"), carnet_verify_report_steps(report));
    cr_expect_str_empty(carnet_verify_report_step_name(report, 1000));
    carnet_verify_options_free(empty);
    carnet_verify_options_free(NULL);
    carnet_verify_report_free(NULL);
}

Test(library, asks_for_signatures_and_a_policy)
{
    char text[1024], vkey[CN_NOTE_VKEY_MAX + 1], signer[CN_SIGNER_NAME_MAX + 1];
    cn_checkpoint c;
    cr_assert_eq(carnet_verify_set_signatures(options, 3), CARNET_VERIFY_OK);
    expect("receipts", CARNET_VERIFY_HOLDS, CARNET_VERIFY_OK);
    cr_assert_eq(carnet_verify_set_signatures(options, 4), CARNET_VERIFY_OK);
    expect("receipts", CARNET_VERIFY_FAILED, CARNET_VERIFY_REFUSED);
    cr_assert_eq(carnet_verify_set_signatures(options, 0), CARNET_VERIFY_OK);
    for (unsigned i = 0; i < 4; i += 3) { /* the first signed, the fourth did not */
        cr_assert_eq(cn_checkpoint_of(&p->header[0], &m.genesis.network, m.genesis.origin, &c, NULL), CN_OK);
        cn_signer_name(&c, m.name[i], signer);
        cn_note_vkey(signer, CN_NOTE_COSIGNATURE_V1, m.genesis.set.row[i].cosignature_key, vkey);
        int n = snprintf(text, sizeof text, "witness w %s\nquorum w\n", vkey);
        cr_assert_eq(carnet_verify_set_policy(options, text, (size_t)n), CARNET_VERIFY_OK);
        memset(text, 'x', sizeof text); /* it was copied */
        if (i == 0)
            expect("witness-policy", CARNET_VERIFY_HOLDS, CARNET_VERIFY_OK);
        else
            expect("witness-policy", CARNET_VERIFY_FAILED, CARNET_VERIFY_REFUSED);
    }
    cr_assert_eq(carnet_verify_set_policy(options, NULL, 0), CARNET_VERIFY_OK);
    expect("witness-policy", CARNET_VERIFY_NOT_CHECKED, CARNET_VERIFY_OK);
}

/* Nodes keep no cosignatures of witnesses: the note that has them comes from the caller. */
Test(library, holds_a_policy_against_the_note_that_is_given)
{
    char text[1024], vkey[CN_NOTE_VKEY_MAX + 1], signer[CN_SIGNER_NAME_MAX + 1];
    cn_checkpoint c;
    cn_buf longer;
    cr_assert_eq(cn_checkpoint_of(&p->header[0], &m.genesis.network, m.genesis.origin, &c, NULL), CN_OK);
    cn_signer_name(&c, m.name[3], signer); /* the fourth has not signed the note in the dossier */
    cn_note_vkey(signer, CN_NOTE_COSIGNATURE_V1, m.genesis.set.row[3].cosignature_key, vkey);
    int n = snprintf(text, sizeof text, "witness w %s\nquorum w\n", vkey);
    cr_assert_eq(carnet_verify_set_policy(options, text, (size_t)n), CARNET_VERIFY_OK);
    expect("witness-policy", CARNET_VERIFY_FAILED, CARNET_VERIFY_REFUSED);
    mini_seal(&m, p, 15u);
    cn_buf_init(&longer, CN_MAX_NOTE_BYTES);
    cn_buf *note = mini_part(p, CN_PART_NOTE, 0);
    cn_put_bytes(&longer, note->p, note->n);
    mini_seal(&m, p, 7u);
    cr_assert_eq(carnet_verify_set_note(options, longer.p, longer.n), CARNET_VERIFY_OK);
    expect("witness-policy", CARNET_VERIFY_HOLDS, CARNET_VERIFY_OK);
    cr_assert_eq(carnet_verify_set_note(options, longer.p, 1), CARNET_VERIFY_OK);
    expect("witness-policy", CARNET_VERIFY_FAILED, CARNET_VERIFY_REFUSED);
    cr_assert_eq(carnet_verify_set_note(options, NULL, 0), CARNET_VERIFY_OK);
    expect("witness-policy", CARNET_VERIFY_FAILED, CARNET_VERIFY_REFUSED);
    cr_expect_eq(carnet_verify_set_note(options, text, CN_MAX_NOTE_BYTES + 1), CARNET_VERIFY_MISUSE);
    cr_expect_eq(carnet_verify_set_note(NULL, text, 1), CARNET_VERIFY_MISUSE);
    cn_buf_free(&longer);
}

Test(library, asks_for_anchors)
{
    cn_digest block = cn_header_digest(&p->header[0]);
    cr_assert_eq(carnet_verify_add_anchor(options, p->header[0].height + 1000, block.b), CARNET_VERIFY_OK);
    expect("epoch-anchor", CARNET_VERIFY_NOT_CHECKED, CARNET_VERIFY_REFUSED);
    cr_assert_eq(carnet_verify_add_anchor(options, p->header[0].height, block.b), CARNET_VERIFY_OK);
    expect("epoch-anchor", CARNET_VERIFY_HOLDS, CARNET_VERIFY_OK);
    block.b[0] ^= 1;
    cr_assert_eq(carnet_verify_add_anchor(options, p->header[0].height, block.b), CARNET_VERIFY_OK);
    expect("epoch-anchor", CARNET_VERIFY_FAILED, CARNET_VERIFY_REFUSED);
    for (unsigned i = 3; i < 64; i++)
        cr_assert_eq(carnet_verify_add_anchor(options, i, block.b), CARNET_VERIFY_OK);
    cr_expect_eq(carnet_verify_add_anchor(options, 1, block.b), CARNET_VERIFY_MISUSE, "64 are the most");
}

/* The name of an authority is what its certificate says: bytes of a stranger. */
Test(library, asks_for_a_time_authority_and_shows_its_name)
{
    static const authority_traits lasting = {.valid_from = SEEN - YEAR, .valid_to = SEEN + YEAR};
    uint8_t header[CN_HEADER_LEN];
    authority a;
    authority_begin(&a, "Port\x1b[2J Time", &lasting);
    cr_assert_eq(carnet_verify_set_time_authorities(options, a.pem.p, a.pem.n), CARNET_VERIFY_OK);
    expect("time", CARNET_VERIFY_NOT_CHECKED, CARNET_VERIFY_REFUSED);
    cn_header_encode(&p->header[0], header);
    cn_digest imprint = cn_sha256(header, sizeof header);
    cn_buf *token = mini_part(p, CN_PART_TOKEN, p->checkpoint);
    cn_buf_free(token);
    authority_token(&a, &imprint, 1, SEEN, token);
    for (size_t i = 0; i < p->parts; i++)
        if (&p->part[i].bytes == token)
            p->part[i].rank = 1;
    expect("time", CARNET_VERIFY_HOLDS, CARNET_VERIFY_OK);
    cr_expect_eq(carnet_verify_report_witnessed_ms(report) / 1000, (uint64_t)SEEN);
    cr_expect(strstr(carnet_verify_report_time_authority(report), "Port"));
    for (const char *c = carnet_verify_report_time_authority(report); *c; c++)
        cr_expect_geq(*c, ' ');
    authority_end(&a);
}

/* Whatever stands in a report of the verifier, its JSON is JSON. */
Test(library, text_that_is_not_utf8)
{
    cn_verify_report inside = {.subject = "caf\xe9", .time_authority = "CN=\xff\xfe", .items = UINT64_MAX};
    inside.step[0].verdict = CN_VERDICT_FAILED;
    snprintf(inside.step[0].err.field, sizeof inside.step[0].err.field, "\xc3");
    json_t *json = cn_verify_report_json(&inside);
    cr_assert_not_null(json);
    cr_expect_str_eq(json_string_value(json_object_get(json, "subject")), "caf?");
    cr_expect_str_eq(json_string_value(json_object_get(json, "time_authority")), "CN=??");
    cr_expect_eq(json_integer_value(json_object_get(json, "items")), INT64_MAX);
    json_decref(json);
}
