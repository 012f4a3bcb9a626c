/* The public entry of libcarnet-verify: whatever the ZIP, the report is whole, its texts can be shown, its JSON says
 * the same, asking for more never accepts more, and what is accepted is what the network recorded. */
#include "fuzz.h"

#include "tests/unit/tools/mini.h"
#include "tools/verify/carnet-verify.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define CONSIGNMENT "urn:carnet:ucr:4KE51234567-ROSES"
#define CONTAINER "urn:epc:id:bic:CSQU3054383"
#define NEVER "urn:carnet:ucr:4KE51234567-NEVER"
#define THREE 7u /* validators */

static mini m;
static carnet_verify_options *plain_options, *strict_options;
static cn_buf true_zip, absent_zip;

static void observe(mini_signer *signer, const char *uri, unsigned minute)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"@context\":[\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\"],"
             "\"type\":\"ObjectEvent\",\"eventTime\":\"2026-05-01T08:%02u:00.000Z\",\"eventTimeZoneOffset\":\"+03:00\","
             "\"action\":\"OBSERVE\",\"epcList\":[\"%s\"]}",
             minute, uri);
    (void)mini_document(&m, signer, text);
}

static void ask(const mini_parts *p)
{
    cn_digest block = cn_header_digest(&p->header[0]);
    plain_options = carnet_verify_options_new();
    strict_options = carnet_verify_options_new();
    FUZZ_REQUIRE(carnet_verify_set_genesis(plain_options, m.genesis.network.b) == CARNET_VERIFY_OK);
    FUZZ_REQUIRE(carnet_verify_set_genesis_hex(strict_options, cn_digest_hex(&m.genesis.network).s) ==
                 CARNET_VERIFY_OK);
    FUZZ_REQUIRE(carnet_verify_set_signatures(strict_options, 3) == CARNET_VERIFY_OK);
    FUZZ_REQUIRE(carnet_verify_add_anchor(strict_options, p->header[0].height, block.b) == CARNET_VERIFY_OK);
}

static void record(void)
{
    if (m.log_size)
        return;
    mini_begin(&m);
    mini_signer device = mini_device(&m, &m.capture[0], 101), reefer = mini_device(&m, &m.capture[2], 102);
    observe(&device, CONSIGNMENT, 0);
    (void)mini_pair(&m, &m.capture[0], CONTAINER, CONSIGNMENT, MINI_TIME, 0);
    observe(&reefer, CONTAINER, 5);
    observe(&device, CONSIGNMENT, 15);
    mini_parts *p = mini_parts_of(&m, CONSIGNMENT), *none = mini_parts_of(&m, NEVER);
    cn_header older = mini_older(&m, p, 4);
    mini_seal(&m, p, THREE);
    mini_add_consistency(&m, p, &older);
    mini_pack(p, &true_zip);
    mini_pack(none, &absent_zip);
    ask(p);
    mini_parts_free(p);
    mini_parts_free(none);
}

static int verdict(const carnet_verify_report *r, const char *step)
{
    size_t i = carnet_verify_report_find(r, step);
    FUZZ_REQUIRE(i < carnet_verify_report_steps(r));
    return carnet_verify_report_step_verdict(r, i);
}

/* The dossiers themselves are accepted: else the search would only see refusals. */
void fuzz_seeds(void)
{
    carnet_verify_report *r;
    record();
    FUZZ_REQUIRE(carnet_verify_dossier(true_zip.p, true_zip.n, strict_options, &r) == CARNET_VERIFY_OK);
    FUZZ_REQUIRE(verdict(r, "receipts") == CARNET_VERIFY_HOLDS && verdict(r, "consistency") == CARNET_VERIFY_HOLDS);
    carnet_verify_report_free(r);
    fuzz_seed("recorded", true_zip.p, true_zip.n);
    fuzz_seed("absent", absent_zip.p, absent_zip.n);
    fuzz_seed("cut", true_zip.p, true_zip.n - 30);
}

static void check_text(const char *text)
{
    json_t *utf8 = json_string(text);
    FUZZ_REQUIRE(utf8 != NULL);
    json_decref(utf8);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        FUZZ_REQUIRE(*p >= 0x20 && *p != 0x7f);
}

static void check_step(const carnet_verify_report *r, size_t i, const json_t *row)
{
    static const char *const words[] = {"ok", "failed", "not-checked"};
    int v = carnet_verify_report_step_verdict(r, i);
    const char *reason = carnet_verify_report_step_reason(r, i);
    FUZZ_REQUIRE(strcmp(json_string_value(json_object_get(row, "step")), carnet_verify_report_step_name(r, i)) == 0);
    FUZZ_REQUIRE(strcmp(json_string_value(json_object_get(row, "verdict")), words[v]) == 0);
    FUZZ_REQUIRE(carnet_verify_report_find(r, carnet_verify_report_step_name(r, i)) == i);
    FUZZ_REQUIRE((reason[0] == '\0') == (v == CARNET_VERIFY_HOLDS) && carnet_verify_report_step_meaning(r, i)[0]);
    FUZZ_REQUIRE((carnet_verify_report_step_faults(r, i) > 0) == (v == CARNET_VERIFY_FAILED));
    check_text(reason);
    check_text(carnet_verify_report_step_where(r, i));
}

static void check_report(const carnet_verify_report *r, int status)
{
    json_t *json = json_loads(carnet_verify_report_json(r), JSON_REJECT_DUPLICATES, NULL);
    const json_t *steps = json_object_get(json, "steps");
    size_t n = carnet_verify_report_steps(r);
    FUZZ_REQUIRE(carnet_verify_report_accepted(r) == (status == CARNET_VERIFY_OK));
    FUZZ_REQUIRE(json_is_true(json_object_get(json, "accepted")) == (status == CARNET_VERIFY_OK));
    FUZZ_REQUIRE(json_array_size(steps) == n);
    for (size_t i = 0; i < n; i++)
        check_step(r, i, json_array_get(steps, i));
    check_text(carnet_verify_report_subject(r));
    check_text(carnet_verify_report_time_authority(r));
    FUZZ_REQUIRE(carnet_verify_report_step_verdict(r, n) == CARNET_VERIFY_NOT_CHECKED);
    json_decref(json);
}

/* About which thing, how much, up to where. */
static void check_accepted(const carnet_verify_report *r)
{
    if (strcmp(carnet_verify_report_subject(r), NEVER) == 0) {
        FUZZ_REQUIRE(carnet_verify_report_absent(r) && carnet_verify_report_subject_statements(r) == 0);
    } else {
        FUZZ_REQUIRE(strcmp(carnet_verify_report_subject(r), CONSIGNMENT) == 0 && !carnet_verify_report_absent(r));
        FUZZ_REQUIRE(carnet_verify_report_subject_statements(r) == 4);
    }
    FUZZ_REQUIRE(carnet_verify_report_checkpoint_height(r) == m.log_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    carnet_verify_report *r = NULL, *strict = NULL;
    record();
    int status = carnet_verify_dossier(p, n, plain_options, &r);
    FUZZ_REQUIRE(r && (status == CARNET_VERIFY_OK || status == CARNET_VERIFY_REFUSED));
    check_report(r, status);
    if (status == CARNET_VERIFY_OK)
        check_accepted(r);
    if (verdict(r, "container") == CARNET_VERIFY_HOLDS) {
        int asked = carnet_verify_dossier(p, n, strict_options, &strict);
        check_report(strict, asked);
        FUZZ_REQUIRE(asked != CARNET_VERIFY_OK || status == CARNET_VERIFY_OK);
        FUZZ_REQUIRE(asked != CARNET_VERIFY_OK || verdict(strict, "receipts") == CARNET_VERIFY_HOLDS);
    }
    FUZZ_PLANT(verdict(r, "quorum") == CARNET_VERIFY_HOLDS && verdict(r, "inclusion") == CARNET_VERIFY_HOLDS &&
               verdict(r, "completeness") == CARNET_VERIFY_FAILED);
    carnet_verify_report_free(r);
    carnet_verify_report_free(strict);
    return 0;
}
