/* The readable page: the same every time, well-formed whatever the items say, and found when it was changed. */
#include "mini.h"

#include "node/formats/html.h"
#include "node/formats/report.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOX "urn:carnet:ucr:4KE51234567-ROSES"
#define HOSTILE                                                                                                        \
    "</style><script>alert(1)</script><!-- \\u202eevil\\u0007 & \\\"'\\u200b \\ud83d\\ude00 ]]> <h1>verified</h1>"

#define HOSTILE_URI "a'b&c%3Cscript%3E"

static mini m;
static mini_signer device;

static void event(const char *members)
{
    static char text[8192];
    snprintf(text, sizeof text,
             "{\"@context\":[\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\",{\"x\":\"https://"
             "x.example/\"}],"
             "\"type\":\"ObjectEvent\",\"eventTimeZoneOffset\":\"+03:00\",\"action\":\"OBSERVE\",\"epcList\":[\"" BOX
             "\"],%s}",
             members);
    mini_document(&m, &device, text);
}

static void reading(unsigned hour, double value, bool alarm)
{
    char text[1024];
    snprintf(
        text, sizeof text,
        "\"eventTime\":\"2026-05-%02uT%02u:00:00.000Z\",\"bizStep\":\"sensor_reporting\",\"sensorElementList\":[{"
        "\"sensorMetadata\":{\"deviceID\":\"urn:epc:id:giai:9521102.TRK\"},\"sensorReport\":[{\"type\":\"Temperature\","
        "\"value\":%.1f,\"uom\":\"CEL\"%s}]}]",
        1 + hour / 24, hour % 24, value, alarm ? ",\"exception\":\"ALARM_CONDITION\"" : "");
    event(text);
}

static void begin(void)
{
    mini_begin(&m);
    device = mini_device(&m, &m.capture[0], 101);
}

static void end(void)
{
    mini_end(&m);
}

TestSuite(report, .init = begin, .fini = end);

/* Every tag closes in order; attributes are quoted; no bare < or &. */
static void expect_well_formed(const char *p)
{
    char open[64][16];
    size_t depth = 0;
    p = strstr(p, "<html");
    cr_assert_not_null(p);
    for (; *p; p++) {
        if (*p == '&') {
            cr_assert(p[strcspn(p, "; <")] == ';', "a bare & at %.30s", p);
            continue;
        }
        if (*p != '<')
            continue;
        const char *stop = strchr(p, '>');
        cr_assert_not_null(stop);
        bool closing = p[1] == '/', empty = stop[-1] == '/';
        size_t n = strcspn(p + 1 + closing, " />\n");
        cr_assert(n > 0 && n < sizeof open[0], "a bare < at %.30s", p);
        if (closing) {
            cr_assert(depth > 0 && strlen(open[depth - 1]) == n && strncmp(open[depth - 1], p + 2, n) == 0,
                      "%.20s does not close %s", p, depth ? open[depth - 1] : "anything");
            depth--;
        } else if (!empty) {
            cr_assert_lt(depth, (size_t)64);
            snprintf(open[depth++], sizeof open[0], "%.*s", (int)n, p + 1);
        }
        p = stop;
    }
    cr_assert_eq(depth, 0u);
}

/* The page of the dossier about uri, to be freed. */
static char *page_of(const char *uri)
{
    cn_buf zip, page;
    cn_dossier *d = calloc(1, sizeof *d);
    cn_err err = {0};
    static cn_verify_report report;
    mini_parts *p = mini_parts_of(&m, uri);
    cr_expect_eq(mini_verify(&m, p, &report), CN_OK); /* and recorded: the second verifier makes the same page */
    mini_pack(p, &zip);
    cr_assert_eq(cn_dossier_read(zip.p, zip.n, d, &err), CN_OK, "%s", err.text);
    cn_buf_init(&page, CN_REPORT_MAX_BYTES);
    cr_assert_eq(cn_report_render(d, &page, &err), CN_OK, "%s", err.text);
    cr_expect_eq(cn_report_version_of(CN_SPAN(page.p, page.n)), CN_REPORT_VERSION);
    cn_put_u8(&page, 0);
    cn_dossier_clear(d);
    free(d);
    cn_buf_free(&zip);
    mini_parts_free(p);
    return (char *)page.p;
}

static size_t count_of(const char *text, const char *needle)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, needle)) != NULL; at++)
        n++;
    return n;
}

Test(report, tells_what_happened_and_what_it_is_worth)
{
    for (unsigned h = 0; h < 30; h++)
        reading(h, h == 12 || h == 13 ? 9.5 : 5.0 + h % 3, h == 12 || h == 13);
    event("\"eventTime\":\"2026-05-03T08:00:00.000Z\",\"bizStep\":\"shipping\",\"disposition\":\"in_transit\","
          "\"readPoint\":{\"id\":\"urn:epc:id:sgln:9521101.00001.0\"}");
    char *page = page_of(BOX), *again = page_of(BOX);
    cr_expect_str_eq(page, again, "the same every time");
    expect_well_formed(page);
    cr_expect(strstr(page, BOX) && strstr(page, "shipping") && strstr(page, "in transit"));
    cr_expect(strstr(page, "30 readings, lowest 5.0, highest 9.5"), "the chart");
    cr_expect(strstr(page, "2 readings, 9.5 to 9.5 &#176;C"), "the alarm");
    cr_expect_eq(count_of(page, "<polyline"), 1u);
    cr_expect_eq(count_of(page, "</td><td><strong>"), 3u, "two alarms and the shipping are rows");
    cr_expect(strstr(page, "exporter, device") && strstr(page, "log 2"));
    cr_expect(strstr(page, "Not proved") && strstr(page, "What a signer never submitted"));
    cr_expect_not(strstr(page, "<script") || strstr(page, "href") || strstr(page, "url("), "nothing outside");
    free(page);
    free(again);
}

Test(report, a_silence_breaks_the_line)
{
    for (unsigned h = 0; h < 24; h++)
        if (h < 8 || h > 18)
            reading(h, 5, false);
    char *page = page_of(BOX);
    cr_expect_eq(count_of(page, "<polyline"), 2u);
    free(page);
}

Test(report, what_items_say_is_shown_and_never_obeyed)
{
    char place[700];
    memset(place, 'x', sizeof place - 1);
    place[sizeof place - 1] = 0;
    event("\"eventTime\":\"2026-05-03T08:00:00.000Z\",\"bizStep\":\"shipping\",\"x:note\":\"" HOSTILE
          "\",\"sensorElementList\":[{\"sensorMetadata\":{\"deviceID\":\"urn:x:" HOSTILE_URI
          "\"},\"sensorReport\":[{\"type\":\"Temperature\",\"value\":1e300,\"uom\":\"CEL\"}]}]");
    char *page = page_of(BOX);
    expect_well_formed(page);
    cr_expect_not(strstr(page, "<script") || strstr(page, "<h1>verified"));
    free(page);
    /* What the format's own rules would refuse is tried on the writer itself. */
    cn_buf out;
    cn_buf_init(&out, 1u << 16);
    static const char hostile[] =
        "</td><script>x</script>&amp; \"'\xe2\x80\xae\x07\xff\xc0\xaf\xed\xa0\x80 \xf0\x9f\x98\x80\x00 end";
    html_text(&out, hostile, sizeof hostile - 1);
    cn_put_u8(&out, 0);
    cr_expect_str_eq((const char *)out.p,
                     "&lt;/td&gt;&lt;script&gt;x&lt;/script&gt;&amp;amp; &quot;&#39;[U+202E][U+0007]"
                     "[0xFF][0xC0][0xAF][0xED][0xA0][0x80] \xf0\x9f\x98\x80[U+0000] end");
    out.n = 0;
    html_text(&out, place, sizeof place - 1);
    cn_put_u8(&out, 0);
    cr_expect(strstr((const char *)out.p, "(699 bytes in all)"));
    cr_expect_lt(out.n, (size_t)500);
    out.n = 0;
    html_term(&out, (cn_text){"urn:epcglobal:cbv:bizstep:sensor_reporting", 42});
    cn_put_u8(&out, 0);
    cr_expect_str_eq((const char *)out.p, "sensor reporting");
    cn_buf_free(&out);
}

/* ---- facts of every kind, by seed: the second verifier must make the same pages of them ---- */

static uint32_t chance;

static uint32_t below(uint32_t n)
{
    chance = chance * 1664525u + 1013904223u;
    return (chance >> 8) % n;
}
#define PICK(list) list[below((uint32_t)(sizeof list / sizeof list[0]))]

/* Ties of rounding, signs of zero, sizes where the notation changes, and what is no reading at all. */
static const char *const numbers[] = {"0.25",     "0.75",      "-0.25",     "-0.75",    "0.05",     "-0.0",
                                      "0",        "-0.04",     "1e-3",      "2.5",      "3.35",     "4.45",
                                      "100000.5", "100001.5",  "12345.5",   "99999.95", "999999.4", "-40",
                                      "1e5",      "1E+2",      "1234.5625", "512.0625", "1e6",      "-999999.9999",
                                      "1e-320",   "0.0000001", "26.0",      "7.77777",  "-18.45",   "8.15"};
static const char *const texts[] = {
    "x", HOSTILE, "\\u00fc\\u4e2d\\ud83d\\ude00", "\\ufe0f\\u061c\\ufffe\\u2066", "camelCaseWord_and/more#OfIt", ""};
static const char *const uris[] = {"urn:x:" HOSTILE_URI, "https://id.gs1.org/8004/9521102TRK",
                                   "urn:epc:id:giai:9521102.TRK", "urn:x:\\u202e\\u00fc:Hump_Case", "urn:x:ends-with/"};

static size_t add_report(char *out, size_t cap, bool first)
{
    static const char *const types[] = {"Temperature", "https://gs1.org/voc/Temperature", "Humidity_of_air",
                                        "https://gs1.org/voc/RelativeHumidity"};
    static const char *const units[] = {"CEL", "FAH", "KEL", "\\u00b0C"};
    static const char *const members[] = {"value", "minValue", "maxValue", "meanValue"};
    size_t n = (size_t)snprintf(out, cap, "%s{\"type\":\"%s\"", first ? "" : ",", PICK(types));
    for (size_t i = 0; i < 4; i++)
        if (below(i ? 6 : 1) == 0)
            n += (size_t)snprintf(out + n, cap - n, ",\"%s\":%s", members[i], PICK(numbers));
    if (below(3))
        n += (size_t)snprintf(out + n, cap - n, ",\"time\":\"20%02u-05-%02uT%02u:00:00.%uZ\"", 10 + below(3),
                              1 + below(28), below(24), below(1000));
    if (below(3) == 0)
        n += (size_t)snprintf(out + n, cap - n, ",\"deviceID\":\"%s\"", PICK(uris));
    if (below(2))
        n += (size_t)snprintf(out + n, cap - n, ",\"uom\":\"%s\"", PICK(units));
    if (below(5) == 0)
        n += (size_t)snprintf(out + n, cap - n, ",\"exception\":\"ALARM_CONDITION\"");
    if (below(8) == 0)
        n += (size_t)snprintf(out + n, cap - n, ",\"booleanValue\":%s", below(2) ? "true" : "false");
    if (below(6) == 0)
        n += (size_t)snprintf(out + n, cap - n, ",\"component\":\"axial_distance\"");
    return n + (size_t)snprintf(out + n, cap - n, "}");
}

static void event_of_chance(void)
{
    static const char *const steps[] = {"sensor_reporting", "shipping", "urn:x:some_ownStep",
                                        "https://ref.gs1.org/cbv/BizStep-loading"};
    static const char *const places[] = {"urn:epc:id:sgln:9521101.00001.0", "geo:50.9,6.9", "urn:x:" HOSTILE_URI};
    char text[7000];
    size_t n =
        (size_t)snprintf(text, sizeof text, "\"eventTime\":\"20%02u-0%u-02T08:00:00.%04u+0%u:30\",\"bizStep\":\"%s\"",
                         below(100), 1 + below(9), below(10000), below(10), PICK(steps));
    if (below(2))
        n += (size_t)snprintf(text + n, sizeof text - n, ",\"readPoint\":{\"id\":\"%s\"}", PICK(places));
    if (below(2))
        n += (size_t)snprintf(text + n, sizeof text - n,
                              ",\"bizLocation\":{\"id\":\"%s\"},\"disposition\":\"in_transit\"", PICK(places));
    if (below(2))
        n += (size_t)snprintf(text + n, sizeof text - n, ",\"x:note\":\"%s\"", PICK(texts));
    if (below(4) == 0)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              ",\"errorDeclaration\":{\"declarationTime\":\"2026-05-03T08:00:00Z\"}");
    if (below(3) == 0) {
        n += (size_t)snprintf(text + n, sizeof text - n, ",\"quantityList\":[");
        for (uint32_t i = 0, count = 1 + below(9); i < count; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s{\"epcClass\":\"%s%u\",\"quantity\":%u}", i ? "," : "",
                                  PICK(uris), i, i);
        n += (size_t)snprintf(text + n, sizeof text - n, "]");
    }
    if (below(5)) {
        n += (size_t)snprintf(text + n, sizeof text - n,
                              ",\"sensorElementList\":[{\"sensorMetadata\":{\"deviceID\":\"%s\",\"time\":\"2011-05-"
                              "04T00:00:00Z\"},\"sensorReport\":[",
                              PICK(uris));
        for (uint32_t i = 0, count = 1 + below(20); i < count; i++)
            n += add_report(text + n, sizeof text - n, i == 0);
        n += (size_t)snprintf(text + n, sizeof text - n, "]}]");
    }
    event(text);
}

Test(report, facts_of_every_kind_make_well_formed_pages)
{
    for (uint32_t seed = 1; seed <= 60; seed++) {
        chance = seed;
        for (uint32_t i = 0, count = 1 + below(6); i < count; i++)
            event_of_chance();
        char *page = page_of(BOX);
        expect_well_formed(page);
        free(page);
        mini_end(&m);
        begin();
    }
}

Test(report, absence_is_one_sentence)
{
    event("\"eventTime\":\"2026-05-03T08:00:00.000Z\",\"bizStep\":\"shipping\"");
    char *page = page_of("urn:carnet:ucr:4KE51234567-NEVER");
    expect_well_formed(page);
    cr_expect(strstr(page, "Nothing is recorded") && strstr(page, "no statement about this subject"));
    cr_expect_not(strstr(page, "<h2>Events"));
    free(page);
}

Test(report, a_changed_page_is_found)
{
    static cn_verify_report report;
    event("\"eventTime\":\"2026-05-03T08:00:00.000Z\",\"bizStep\":\"shipping\"");
    mini_parts *p = mini_parts_of(&m, BOX);
    char *page = page_of(BOX);
    const char *readme = cn_report_readme();
    cn_buf *part = mini_part(p, CN_PART_REPORT, 0);
    cn_put_bytes(part, page, strlen(page));
    cn_put_bytes(mini_part(p, CN_PART_README, 0), readme, strlen(readme));
    cr_expect_eq(mini_verify(&m, p, &report), CN_OK);
    cr_expect_eq(report.step[CN_STEP_REPORT].verdict, CN_VERDICT_OK);

    uint8_t *word = memmem(part->p, part->n, "shipping", 8);
    cr_assert_not_null(word);
    memcpy(word, "shopping", 8);
    cr_expect_neq(mini_verify(&m, p, &report), CN_OK);
    cr_expect(strstr(report.step[CN_STEP_REPORT].err.text, "the page was changed"));
    memcpy(word, "shipping", 8);

    cn_buf *text = mini_part(p, CN_PART_README, 0);
    text->p[text->n - 2] ^= 1;
    cr_expect_neq(mini_verify(&m, p, &report), CN_OK);
    cr_expect(strstr(report.step[CN_STEP_REPORT].err.text, "instructions were changed"));
    text->p[text->n - 2] ^= 1;

    uint8_t *version = memmem(part->p, part->n, "carnet-report 1", 15);
    cr_assert_not_null(version);
    version[14] = '9'; /* what another version makes is not judged, and not vouched for */
    cr_expect_eq(mini_verify(&m, p, &report), CN_OK);
    cr_expect_eq(report.step[CN_STEP_REPORT].verdict, CN_VERDICT_NOT_CHECKED);
    free(page);
    mini_parts_free(p);
}

/* Whoever made the dossier chose the page: its digest is told, and nothing rests on it. */
Test(report, the_verifier_page_is_told_by_its_digest_and_proves_nothing)
{
    static cn_verify_report report;
    static const char page[] = "<!doctype html><p>Accepted";
    cn_digest digest = cn_sha256(page, sizeof page - 1);
    event("\"eventTime\":\"2026-05-03T08:00:00.000Z\",\"bizStep\":\"shipping\"");
    mini_parts *p = mini_parts_of(&m, BOX);
    cr_expect_eq(mini_verify(&m, p, &report), CN_OK);
    cr_expect_not(report.has_page);
    cn_put_bytes(mini_part(p, CN_PART_PAGE, 0), page, sizeof page - 1);
    cr_expect_eq(mini_verify(&m, p, &report), CN_OK);
    cr_expect(report.has_page && cn_digest_eq(&report.page, &digest));
    mini_parts_free(p);
}
