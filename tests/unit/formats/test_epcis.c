#include "files.h"
#include "node/formats/epcis.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cn_status parse(const char *text, size_t n, cn_epcis_doc **ret, cn_err *err)
{
    return cn_epcis_parse(text, n, CN_EPCIS_MAX_BYTES, ret, err);
}

static void expect_accepted(const char *folder, const char *ending, size_t at_least)
{
    file f[FILES_MAX];
    size_t n = files_read(folder, ending, f, FILES_MAX);
    for (size_t i = 0; i < n; i++) {
        cn_epcis_doc *doc = NULL;
        cn_err err = {0};
        cn_status st = parse(f[i].text, f[i].n, &doc, &err);
        if (memmem(f[i].text, f[i].n, "EPCISQueryDocument", 18)) {
            cr_expect_eq(st, CN_INVALID);
            cr_expect(strncmp(err.field, "/type (line ", 12) == 0 && strstr(err.text, "query document"), "%s: %s: %s",
                      f[i].name, err.field, err.text);
        } else {
            cr_expect_eq(st, CN_OK, "%s: %s: %s", f[i].name, err.field, err.text);
            cr_expect(st != CN_OK || cn_epcis_event_count(doc) > 0);
        }
        cn_epcis_free(doc);
        file_free(&f[i]);
    }
    cr_expect(n == 0 || n >= at_least, "only %zu files", n);
}

Test(epcis, accepts_what_is_valid)
{
    expect_accepted(EPCIS_CAPTURE "/Documents", ".json", 26);
    expect_accepted(EPCIS_CAPTURE "/Events", ".json", 3);
    expect_accepted(EPCIS_HASHES "/examples", ".jsonld", 14);
}

Test(epcis, refuses_what_is_invalid_with_place_and_reason)
{
    static const struct {
        const char *file, *field, *text;
    } want[] = {
        {"Combination_of_events_with_missing", "/epcisBody/eventList/0/action (line 10)", "is missing"},
        {"Combination_of_non_standard", "/epcisBody/eventList/0/bizStep (line 18)", "\"transforming\" is no bizStep"},
        {"EPCISDocument_without_context", "/@context (line 1)", "is missing"},
        {"ObjectEvent_with_invalid_certificationInfo", "/epcisBody/eventList/0/certificationInfo/0 (line 28)", "URI"},
        {"ObjectEvent_with_non_standard_bizStep.", "/epcisBody/eventList/0/bizStep (line 18)", "transforming"},
        {"ObjectEvent_with_non_standard_bizStep_in", "/epcisBody/eventList/1/bizStep (line 27)", "transforming"},
        {"ObjectEvent_with_non_standard_disposition", "/epcisBody/eventList/0/disposition (line 18)", "in_transport"},
        {"ObjectEvent_with_quantity_as_text", "/epcisBody/eventList/0/quantityList/0/quantity (line 21)", "number"},
    };
    file f[FILES_MAX];
    size_t n = files_read(EPCIS_CAPTURE "/Invalid", ".json", f, FILES_MAX), known = 0;
    for (size_t i = 0; i < n; i++) {
        cn_epcis_doc *doc = NULL;
        cn_err err = {0};
        cr_expect_eq(parse(f[i].text, f[i].n, &doc, &err), CN_INVALID, "%s", f[i].name);
        cr_expect_null(doc);
        for (size_t k = 0; k < sizeof want / sizeof want[0]; k++)
            if (strncmp(f[i].name, want[k].file, strlen(want[k].file)) == 0) {
                known++;
                cr_expect_str_eq(err.field, want[k].field, "%s: %s", f[i].name, err.field);
                cr_expect(strstr(err.text, want[k].text), "%s: %s", f[i].name, err.text);
            }
        file_free(&f[i]);
    }
    cr_expect_eq(known, n);
}

/* ---- one event, and what each rule refuses ---- */

#define HEAD                                                                                                           \
    "{\"@context\":[\"https://ref.gs1.org/standards/epcis/epcis-context.jsonld\"],\n\"eventTime\":"                    \
    "\"2026-03-01T08:00:00Z\",\"eventTimeZoneOffset\":\"+03:00\","
#define OBJECT HEAD "\"type\":\"ObjectEvent\",\"action\":\"ADD\",\"epcList\":[\"urn:epc:id:sscc:4012345.3111111111\"]"
#define AGGREGATION HEAD "\"type\":\"AggregationEvent\","

Test(epcis, rules)
{
    static const struct {
        const char *text, *field; /* field NULL: accepted */
    } cases[] = {
        {OBJECT "}", NULL},
        {OBJECT ",\"ext:x\":{\"any\":[1,null]}}", NULL},
        {OBJECT ",\"x\":1}", "/x (line 2)"},
        {OBJECT ",\"childEPCs\":[\"a:b\"]}", "/childEPCs (line 2)"},
        {OBJECT ",\"ilmd\":{\"ext:a\":1}}", NULL},
        {OBJECT ",\"ilmd\":{\"a\":1}}", "/ilmd/a (line 2)"},
        {OBJECT ",\"recordTime\":\"yesterday\"}", "/recordTime (line 2)"},
        {OBJECT ",\"readPoint\":{}}", "/readPoint/id (line 2)"},
        {OBJECT ",\"readPoint\":\"a:b\"}", "/readPoint (line 2)"},
        {OBJECT ",\"bizStep\":\"https://example.com/own\"}", NULL},
        {OBJECT ",\"bizStep\":\"urn:epcglobal:cbv:bizstep:shipping\"}", NULL},
        {OBJECT ",\"bizStep\":\"https://ref.gs1.org/cbv/BizStep-transforming\"}", "/bizStep (line 2)"},
        {OBJECT ",\"bizTransactionList\":[{\"type\":\"po\"}]}", "/bizTransactionList/0/bizTransaction (line 2)"},
        {OBJECT ",\"bizTransactionList\":[{\"type\":\"xx\",\"bizTransaction\":\"a:b\"}]}",
         "/bizTransactionList/0/type (line 2)"},
        {OBJECT ",\"sourceList\":[{\"source\":\"a:b\"}]}", "/sourceList/0/type (line 2)"},
        {OBJECT ",\"quantityList\":[{\"epcClass\":\"a:b\",\"quantity\":1,\"uom\":\"kg\"}]}",
         "/quantityList/0/uom (line 2)"},
        {OBJECT ",\"quantityList\":[{\"epcClass\":\"a:b\",\"ext:y\":1}]}", "/quantityList/0/ext:y (line 2)"},
        {OBJECT ",\"persistentDisposition\":{}}", "/persistentDisposition (line 2)"},
        {OBJECT ",\"persistentDisposition\":{\"set\":[\"in_transit\"]}}", NULL},
        {OBJECT ",\"persistentDisposition\":{\"set\":[\"in_transit\",\"in_transit\"]}}",
         "/persistentDisposition/set/1 (line 2)"},
        {OBJECT ",\"errorDeclaration\":{\"reason\":\"did_not_occur\"}}", "/errorDeclaration/declarationTime (line 2)"},
        {OBJECT ",\"sensorElementList\":[{\"sensorReport\":[]}]}", "/sensorElementList/0/sensorReport (line 2)"},
        {OBJECT ",\"sensorElementList\":[{}]}", "/sensorElementList/0/sensorReport (line 2)"},
        {OBJECT ",\"sensorElementList\":[{\"sensorReport\":[{\"value\":1}]}]}",
         "/sensorElementList/0/sensorReport/0/type (line 2)"},
        {OBJECT ",\"sensorElementList\":[{\"sensorReport\":[{\"type\":\"Temperature\",\"value\":\"4\"}]}]}",
         "/sensorElementList/0/sensorReport/0/value (line 2)"},
        {OBJECT ",\"sensorElementList\":[{\"sensorReport\":[{\"type\":\"Temperature\",\"hexBinaryValue\":\"xy\"}]}]}",
         "/sensorElementList/0/sensorReport/0/hexBinaryValue (line 2)"},
        {OBJECT ",\"certificationInfo\":[\"https://example.com/c\"]}", NULL},
        {OBJECT ",\"certificationInfo\":7}", "/certificationInfo (line 2)"},
        {HEAD "\"type\":\"ObjectEvent\",\"action\":\"ADD\"}", "/ (line 1)"},
        {HEAD "\"type\":\"ObjectEvent\",\"action\":\"ADD\",\"epcList\":[]}", NULL},
        {HEAD "\"type\":\"ObjectEvent\",\"action\":\"add\",\"epcList\":[]}", "/action (line 2)"},
        {HEAD "\"type\":\"ObjectEvent\",\"action\":\"OBSERVE\",\"epcList\":[],\"ilmd\":{}}", "/ilmd (line 2)"},
        {HEAD "\"type\":\"ObjectEvent\",\"action\":\"OBSERVE\",\"epcList\":[\"a:b\",\"a:b\"]}", "/epcList/1 (line 2)"},
        {HEAD "\"type\":\"ObjectEvent\",\"action\":\"OBSERVE\",\"epcList\":[\"nourn\"]}", "/epcList/0 (line 2)"},
        {HEAD "\"type\":\"ObjectEvent\",\"action\":\"OBSERVE\",\"epcList\":[\"urn:carnet:key:12\"]}",
         "/epcList/0 (line 2)"},
        {HEAD "\"type\":\"OwnEvent\",\"action\":\"ADD\"}", "/type (line 2)"},
        {AGGREGATION "\"action\":\"ADD\",\"childEPCs\":[\"a:b\"]}", "/parentID (line 1)"},
        {AGGREGATION "\"action\":\"OBSERVE\",\"childEPCs\":[\"a:b\"]}", NULL},
        {AGGREGATION "\"action\":\"ADD\",\"parentID\":\"a:p\",\"childEPCs\":[]}", "/ (line 1)"},
        {AGGREGATION "\"action\":\"DELETE\",\"parentID\":\"a:p\"}", NULL},
        {HEAD "\"type\":\"AssociationEvent\",\"action\":\"OBSERVE\",\"childEPCs\":[\"a:b\"]}", "/parentID (line 1)"},
        {HEAD "\"type\":\"TransactionEvent\",\"action\":\"ADD\",\"epcList\":[]}", "/bizTransactionList (line 1)"},
        {HEAD "\"type\":\"TransactionEvent\",\"action\":\"ADD\",\"epcList\":[],\"bizTransactionList\":[]}",
         "/bizTransactionList (line 2)"},
        {HEAD "\"type\":\"TransactionEvent\",\"action\":\"ADD\",\"bizTransactionList\":[{\"bizTransaction\":\"a:b\"}]}",
         "/ (line 1)"},
        {HEAD "\"type\":\"TransformationEvent\",\"inputEPCList\":[\"a:b\"]}", "/ (line 1)"},
        {HEAD "\"type\":\"TransformationEvent\",\"inputEPCList\":[\"a:b\"],\"transformationID\":\"a:t\"}", NULL},
        {HEAD "\"type\":\"TransformationEvent\",\"inputEPCList\":[\"a:b\"],\"outputEPCList\":[\"a:c\"]}", NULL},
        {HEAD "\"type\":\"TransformationEvent\",\"action\":\"ADD\",\"transformationID\":\"a:t\"}", "/action (line 2)"},
        {"{\"type\":\"ObjectEvent\"}", "/@context (line 1)"},
        {"{\"@context\":5,\"type\":\"ObjectEvent\"}", "/@context (line 1)"},
        {"{\"@context\":\"a:b\",\"type\":\"ObjectEvent\",\"action\":\"ADD\",\"epcList\":[]}", "/eventTime (line 1)"},
        {"{\"@context\":\"a:b\",\"type\":\"Other\"}", "/type (line 1)"},
        {"{\"@context\":\"a:b\"}", "/type (line 1)"},
        {"[]", "/ (line 1)"},
        {"{\"@context\":\"a:b\",\n\"type\":\"EPCISDocument\"}", "/schemaVersion (line 1)"},
        {"{\"@context\":\"a:b\",\"type\":\"EPCISDocument\",\"schemaVersion\":\"1.2\",\"creationDate\":\"\",\n"
         "\"epcisBody\":{}}",
         "/schemaVersion (line 1)"},
        {"{\"@context\":\"a:b\",\"type\":\"EPCISDocument\",\"schemaVersion\":\"2.0\",\"creationDate\":\"x\",\n"
         "\"epcisBody\":{}}",
         "/creationDate (line 1)"},
        {"{\"@context\":\"a:b\",\"type\":\"EPCISDocument\",\"schemaVersion\":\"2.0\",\"creationDate\":"
         "\"2026-01-01T00:00:00Z\",\n\"epcisBody\":{}}",
         "/epcisBody/eventList (line 2)"},
        {"{\"@context\":\"a:b\",\"type\":\"EPCISDocument\",\"schemaVersion\":\"2.0\",\"creationDate\":"
         "\"2026-01-01T00:00:00Z\",\n\"epcisBody\":{\"eventList\":[7]}}",
         "/epcisBody/eventList/0 (line 2)"},
        {"{\"@context\":\"a:b\",\"type\":\"EPCISDocument\",\"schemaVersion\":\"2.0\",\"creationDate\":"
         "\"2026-01-01T00:00:00Z\",\n\"epcisBody\":{\"eventList\":[]}}",
         NULL},
        {"{\"@context\":\"a:b\",\"type\":\"EPCISDocument\",\"schemaVersion\":\"2.0\",\"creationDate\":"
         "\"2026-01-01T00:00:00Z\",\n\"epcisBody\":{\"eventList\":[]},\"events\":1}",
         "/events (line 2)"},
        {"{\"type\":", "line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cn_epcis_doc *doc = NULL;
        cn_err err = {0};
        cn_status st = parse(cases[i].text, strlen(cases[i].text), &doc, &err);
        if (cases[i].field) {
            cr_expect_eq(st, CN_INVALID, "case %zu: %s", i, cases[i].text);
            cr_expect_str_eq(err.field, cases[i].field, "case %zu: %s: %s", i, err.field, err.text);
            cr_expect_gt(strlen(err.text), 10u);
        } else {
            cr_expect_eq(st, CN_OK, "case %zu: %s: %s", i, err.field, err.text);
        }
        cn_epcis_free(doc);
    }
}

static const char *const subjects_text =
    HEAD "\"type\":\"AggregationEvent\",\"action\":\"ADD\",\"parentID\":\"urn:epc:id:bic:csqu3054383\",\"childEPCs\":["
         "\"urn:carnet:ucr:6ke1\",\"https://example.com/01/4012345123456\",\"urn:epc:idpat:sgtin:4012345.012345.*\"],"
         "\"childQuantityList\":[{\"epcClass\":\"urn:epc:class:lgtin:4012345.012345.L1\",\"quantity\":5}],"
         "\"bizTransactionList\":[{\"type\":\"bol\",\"bizTransaction\":\"urn:epcglobal:cbv:bt:1:2\"}],"
         "\"readPoint\":{\"id\":\"urn:epc:id:sgln:4012345.00005.0\"},"
         "\"sensorElementList\":[{\"sensorMetadata\":{\"startTime\":\"2026-02-28T08:00:00Z\",\"deviceID\":\"a:dev\"},"
         "\"sensorReport\":[{\"type\":\"Temperature\",\"time\":\"2026-03-02T08:00:00+00:00\",\"value\":4}]}]}";

Test(epcis, subjects_interval_and_pairing)
{
    static const char *const want[] = {"https://id.gs1.org/01/04012345123456",
                                       "https://id.gs1.org/01/04012345123456/10/L1", "urn:carnet:ucr:6KE1",
                                       "urn:epc:id:bic:CSQU3054383", "urn:epcglobal:cbv:bt:1:2"};
    cn_epcis_doc *doc = NULL;
    cn_err err = {0};
    cr_assert_eq(parse(subjects_text, strlen(subjects_text), &doc, &err), CN_OK, "%s %s", err.field, err.text);
    const cn_epcis_event *e = cn_epcis_event_at(doc, 0);
    cr_assert_eq(e->subject_count, 5u);
    for (size_t i = 0; i < 5; i++)
        cr_expect_str_eq(e->subject[i], want[i]);
    cr_expect_eq(e->event_ms, 1772352000000u);
    cr_expect_eq(e->first_ms, 1772265600000u);
    cr_expect_eq(e->last_ms, 1772438400000u);
    cr_assert_eq(e->pairing_count, 1u);
    cr_expect_str_eq(e->pairing[0].container, "urn:epc:id:bic:CSQU3054383");
    cr_expect_str_eq(e->pairing[0].consignment, "urn:carnet:ucr:6KE1");
    cr_expect(e->pairing[0].add);
    cr_expect(cn_epcis_is_bare(doc));
    cn_epcis_free(doc);
}

Test(epcis, subjects_of_a_transformation)
{
    static const char text[] = HEAD "\"type\":\"TransformationEvent\",\"transformationID\":\"a:t\",\"inputEPCList\":["
                                    "\"a:i\"],\"outputQuantityList\":[{\"epcClass\":\"a:o\"}]}";
    static const char *const want[] = {"a:i", "a:o", "a:t"};
    cn_epcis_doc *doc = NULL;
    cr_assert_eq(parse(text, sizeof text - 1, &doc, NULL), CN_OK);
    const cn_epcis_event *e = cn_epcis_event_at(doc, 0);
    cr_assert_eq(e->subject_count, 3u);
    for (size_t i = 0; i < 3; i++)
        cr_expect_str_eq(e->subject[i], want[i]);
    cn_epcis_free(doc);
}

Test(epcis, spans_are_exact)
{
    file f[FILES_MAX];
    size_t n = files_read(EPCIS_CAPTURE "/Documents", ".json", f, FILES_MAX);
    for (size_t i = 0; i < n; i++) {
        cn_epcis_doc *doc = NULL;
        cr_assert_eq(parse(f[i].text, f[i].n, &doc, NULL), CN_OK);
        for (size_t k = 0; k < cn_epcis_event_count(doc); k++) {
            const cn_epcis_event *e = cn_epcis_event_at(doc, k);
            char pointer[48];
            unsigned line = 1;
            for (size_t b = 0; b < e->offset; b++)
                line += f[i].text[b] == '\n';
            snprintf(pointer, sizeof pointer, "/epcisBody/eventList/%zu", k);
            cr_expect_str_eq(e->pointer, pointer);
            cr_expect_eq(e->line, line);
            cr_expect_eq(f[i].text[e->offset], '{');
            cr_expect_eq(f[i].text[e->offset + e->length - 1], '}');
        }
        cn_epcis_free(doc);
        file_free(&f[i]);
    }
}

/* Damaged documents are answered, never a crash; ASan watches the exactly sized copies. */
Test(epcis, survives_damage)
{
    file f[FILES_MAX];
    size_t n = files_read(EPCIS_CAPTURE "/Documents", ".json", f, FILES_MAX), accepted = 0, refused = 0;
    static const char *const pieces[] = {"{",
                                         "}",
                                         "[",
                                         "]",
                                         "\"",
                                         ":",
                                         ",",
                                         "null",
                                         "\"type\"",
                                         "-1e99",
                                         "\\u0041",
                                         "urn:epc:id:sgtin:1.",
                                         "2026-01-01T00:00:00Z",
                                         "\xff",
                                         "{}",
                                         "[]"};
    uint64_t x = 7;
    for (size_t i = 0; i < n; i++) {
        for (unsigned round = 0; round < 80; round++) {
            char *copy = malloc(f[i].n);
            size_t len = f[i].n;
            memcpy(copy, f[i].text, len);
            for (unsigned k = 0; k < 1 + round % 4; k++) {
                x = x * 6364136223846793005u + 1442695040888963407u;
                const char *piece = pieces[(x >> 60) & 15];
                size_t at = (size_t)(x >> 20) % len, m = strlen(piece);
                memcpy(copy + at, piece, m < len - at ? m : len - at);
            }
            cn_epcis_doc *doc = NULL;
            cn_err err = {0};
            cn_status st = parse(copy, len, &doc, &err);
            accepted += st == CN_OK;
            refused += st != CN_OK;
            cr_assert(st == CN_OK || (err.code == st && err.text[0] && err.field[0]));
            cn_epcis_free(doc);
            free(copy);
        }
        file_free(&f[i]);
    }
    cr_expect(n == 0 || (accepted > 20 && refused > 200), "%zu accepted, %zu refused", accepted, refused);
}

Test(epcis, size_limit)
{
    cn_epcis_doc *doc = NULL;
    cn_err err = {0};
    cr_expect_eq(cn_epcis_parse(subjects_text, strlen(subjects_text), 100, &doc, &err), CN_TOO_LARGE);
    cr_expect_eq(cn_epcis_parse(subjects_text, strlen(subjects_text), strlen(subjects_text), &doc, &err), CN_OK);
    cn_epcis_free(doc);
}

Test(epcis, contexts_are_bounded)
{
    for (size_t entries = 255; entries <= 257; entries++) {
        char *text = malloc(20000);
        size_t n = (size_t)sprintf(text, "{\"@context\":{");
        for (size_t i = 0; i < entries; i++)
            n += (size_t)sprintf(text + n, "%s\"p%zu\":\"a:b\"", i ? "," : "", i);
        n += (size_t)sprintf(text + n, "},%s}", strstr(OBJECT, "\"eventTime\""));
        cn_epcis_doc *doc = NULL;
        cn_err err = {0};
        cr_expect_eq(parse(text, n, &doc, &err), entries <= 256 ? CN_OK : CN_INVALID, "%s %s", err.field, err.text);
        cn_epcis_free(doc);
        free(text);
    }
}
