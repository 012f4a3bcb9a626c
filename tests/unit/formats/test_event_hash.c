#include "files.h"
#include "node/formats/event_hash.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *lines_of(const char *text, size_t n, bool prehash)
{
    cn_buf out;
    cn_err err = {0};
    cn_buf_init(&out, 1 << 22);
    cr_assert_eq(cn_event_hash_document(text, n, prehash, &out, &err), CN_OK, "%s: %s", err.field, err.text);
    char *copy = malloc(out.n + 1);
    memcpy(copy, out.p, out.n);
    copy[out.n] = 0;
    cn_buf_free(&out);
    return copy;
}

static void expect_same_lines(const char *name, const char *got, const char *want, size_t want_n)
{
    size_t n = strlen(got);
    while (n && got[n - 1] == '\n')
        n--;
    while (want_n && (want[want_n - 1] == '\n' || want[want_n - 1] == '\r'))
        want_n--;
    cr_expect(n == want_n && memcmp(got, want, n) == 0, "%s\ngot  %s\nwant %.*s", name, got, (int)want_n, want);
}

/* The published hash of every JSON-LD vector, the query document's among them. */
Test(event_hash, vectors)
{
    file f[FILES_MAX], h[FILES_MAX];
    size_t n = files_read(EPCIS_HASHES "/examples", ".jsonld", f, FILES_MAX);
    size_t m = files_read(EPCIS_HASHES "/examples", ".hashes", h, FILES_MAX), compared = 0;
    for (size_t i = 0; i < n; i++) {
        size_t stem = strlen(f[i].name) - 7;
        char *got = lines_of(f[i].text, f[i].n, false);
        for (size_t k = 0; k < m; k++)
            if (strlen(h[k].name) == stem + 7 && memcmp(h[k].name, f[i].name, stem) == 0) {
                expect_same_lines(f[i].name, got, h[k].text, h[k].n);
                compared++;
            }
        free(got);
        file_free(&f[i]);
    }
    for (size_t k = 0; k < m; k++)
        file_free(&h[k]);
    cr_expect_eq(compared, n);
    cr_expect(n == 0 || n >= 14);
}

/* The pre-hash strings too, except where SOURCE.txt says that upstream's are stale. */
Test(event_hash, prehash_vectors)
{
    static const char *const stale[] = {"epcisDocWithAllGS1Keys", "epcisDocWithCustomSchemaInContext"};
    file f[FILES_MAX], h[FILES_MAX];
    size_t n = files_read(EPCIS_HASHES "/examples", ".jsonld", f, FILES_MAX);
    size_t m = files_read(EPCIS_HASHES "/examples", ".prehashes", h, FILES_MAX), compared = 0;
    for (size_t i = 0; i < n; i++) {
        size_t stem = strlen(f[i].name) - 7;
        bool skip = strncmp(f[i].name, stale[0], stem) == 0 || strncmp(f[i].name, stale[1], stem) == 0;
        char *got = lines_of(f[i].text, f[i].n, true);
        for (size_t k = 0; k < m && !skip; k++)
            if (strlen(h[k].name) == stem + 10 && memcmp(h[k].name, f[i].name, stem) == 0) {
                expect_same_lines(f[i].name, got, h[k].text, h[k].n);
                compared++;
            }
        free(got);
        file_free(&f[i]);
    }
    for (size_t k = 0; k < m; k++)
        file_free(&h[k]);
    cr_expect(n == 0 || compared >= 11, "%zu compared", compared);
}

Test(event_hash, expected_equal)
{
    file f[4];
    size_t n = files_read(EPCIS_HASHES "/expected_equal", ".json", f, 4);
    for (size_t i = 0; i < n; i++) {
        char *got = lines_of(f[i].text, f[i].n, false), *first_end = strchr(got, '\n');
        size_t len = (size_t)(first_end - got + 1);
        for (char *at = got; *at; at += len)
            cr_expect(strncmp(at, got, len) == 0, "%s: %s", f[i].name, got);
        cr_expect_gt(strlen(got), len, "more than one event");
        free(got);
        file_free(&f[i]);
    }
}

#define CONTEXT "\"@context\":[\"a:b\",{\"example\":\"https://ns.example.com/epcis/\"}]"
#define COMMON "\"type\":\"ObjectEvent\",\"eventTimeZoneOffset\":\"+01:00\",\"action\":\"OBSERVE\""

static void expect_prehash(const char *event, const char *want)
{
    char *got = lines_of(event, strlen(event), true);
    expect_same_lines(event, got, want, strlen(want));
    free(got);
}

#define START "eventType=ObjectEventeventTime=2026-01-01T00:00:00.000ZeventTimeZoneOffset=+01:00"

Test(event_hash, order_and_ignored_fields)
{
    expect_prehash("{" CONTEXT ",\"example:b\":\"2\",\"epcList\":[\"a:2\",\"a:1\"]," COMMON
                   ",\"eventTime\":\"2026-01-01T01:00:00+01:00\",\"recordTime\":\"2026-01-01T01:00:00Z\",\"eventID\":"
                   "\"a:i\",\"errorDeclaration\":{\"declarationTime\":\"x\"},\"rdfs:comment\":\"c\",\"example:a\":"
                   "{\"example:y\":[\"3\",\"1\"],\"example:x\":null},\"bizStep\":\"shipping\"}",
                   START "epcListepc=a:1epc=a:2action=OBSERVEbizStep=https://ref.gs1.org/cbv/BizStep-shipping"
                         "{https://ns.example.com/epcis/}a{https://ns.example.com/epcis/}y=1"
                         "{https://ns.example.com/epcis/}y=3{https://ns.example.com/epcis/}b=2");
}

Test(event_hash, numbers_are_exact_decimals)
{
    static const struct {
        const char *in, *out;
    } cases[] = {{"1", "1"},
                 {"1.0", "1"},
                 {"-0.0", "0"},
                 {"10", "10"},
                 {"0.3434000", "0.3434"},
                 {"26.20", "26.2"},
                 {"1e3", "1000"},
                 {"1.5E-3", "0.0015"},
                 {"-12.50", "-12.5"},
                 {"1000000000000000001", "1000000000000000001"},
                 {"0.1", "0.1"},
                 {"120e-1", "12"},
                 {"12345678.9e2", "1234567890"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char event[600], want[400];
        snprintf(event, sizeof event,
                 "{" CONTEXT "," COMMON ",\"eventTime\":\"2026-01-01T00:00:00Z\",\"quantityList\":["
                 "{\"epcClass\":\"a:1\",\"quantity\":%s}]}",
                 cases[i].in);
        snprintf(want, sizeof want, START "quantityListquantityElementepcClass=a:1quantity=%saction=OBSERVE",
                 cases[i].out);
        expect_prehash(event, want);
    }
}

Test(event_hash, lists_of_objects_and_terms)
{
    expect_prehash(
        "{" CONTEXT "," COMMON
        ",\"eventTime\":\"2026-01-01T00:00:00Z\",\"epcList\":[],\"persistentDisposition\":{\"set\":"
        "[\"in_transit\",\"active\"]},\"bizTransactionList\":[{\"bizTransaction\":\"a:1\",\"type\":\"po\"},"
        "{\"bizTransaction\":\"a:0\"}],\"readPoint\":{\"example:z\":\"1\",\"id\":\"urn:epc:id:sgln:4012345.00005.0\"},"
        "\"sensorElementList\":[{\"sensorReport\":[{\"booleanValue\":true,\"type\":\"gs1:Temperature\"},"
        "{\"type\":\"Angle\",\"component\":\"x\"}]}],\"disposition\":\"urn:epcglobal:cbv:disp:in_transit\"}",
        START
        "action=OBSERVEdisposition=https://ref.gs1.org/cbv/Disp-in_transit"
        "persistentDispositionset=https://ref.gs1.org/cbv/Disp-activeset=https://ref.gs1.org/cbv/Disp-in_transit"
        "readPointid=https://id.gs1.org/414/4012345000054{https://ns.example.com/epcis/}z=1"
        "sensorElementListsensorElementsensorReporttype=https://gs1.org/voc/Anglecomponent=https://ref.gs1.org/cbv/"
        "Comp-xsensorReporttype=https://gs1.org/voc/TemperaturebooleanValue=true"
        "bizTransactionListbizTransaction=a:0type=https://ref.gs1.org/cbv/BTT-pobizTransaction=a:1");
}

Test(event_hash, survives_damage)
{
    file f[FILES_MAX];
    size_t n = files_read(EPCIS_HASHES "/examples", ".jsonld", f, FILES_MAX), hashed = 0;
    uint64_t x = 3;
    for (size_t i = 0; i < n; i++) {
        for (unsigned round = 0; round < 150; round++) {
            char *copy = malloc(f[i].n);
            memcpy(copy, f[i].text, f[i].n);
            for (unsigned k = 0; k < 1 + round % 3; k++) {
                x = x * 6364136223846793005u + 1442695040888963407u;
                copy[(x >> 24) % f[i].n] = "{}[]\":,0a./%"[(x >> 56) % 12];
            }
            cn_buf out;
            cn_buf_init(&out, 1 << 20);
            hashed += cn_event_hash_document(copy, f[i].n, round & 1, &out, NULL) == CN_OK;
            cn_buf_free(&out);
            free(copy);
        }
        file_free(&f[i]);
    }
    cr_expect(n == 0 || hashed > 200, "%zu still readable", hashed);
}
