#include "files.h"
#include "node/formats/envelope.h"
#include "node/formats/plan.h"
#include "node/formats/subject.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t subject_salt[32] = {7, 7, 7};

typedef struct planned {
    cn_epcis_doc *doc;
    cn_plan *plan;
} planned;

static planned plan_text(const char *text, size_t n)
{
    planned p = {NULL, NULL};
    cn_err err = {0};
    cr_assert_eq(cn_epcis_parse(text, n, CN_EPCIS_MAX_BYTES, &p.doc, &err), CN_OK, "%s: %s", err.field, err.text);
    cr_assert_eq(cn_plan_document(p.doc, subject_salt, &p.plan, &err), CN_OK, "%s: %s", err.field, err.text);
    return p;
}

static void planned_free(planned *p)
{
    cn_plan_free(p->plan);
    cn_epcis_free(p->doc);
}

/* All items of all parts, as they come back from statements. */
static cn_plan_item *all_items(const cn_plan *plan, size_t *ret_count)
{
    size_t n = 0;
    for (size_t i = 0; i < cn_plan_part_count(plan); i++)
        n += cn_plan_part_at(plan, i)->item_count;
    cn_plan_item *items = malloc(n * sizeof *items);
    n = 0;
    for (size_t i = 0; i < cn_plan_part_count(plan); i++) {
        const cn_plan_part *part = cn_plan_part_at(plan, i);
        memcpy(items + n, part->item, part->item_count * sizeof *items);
        n += part->item_count;
    }
    *ret_count = n;
    return items;
}

static void expect_comes_back(const cn_plan *plan, const char *text, size_t n)
{
    size_t count = 0;
    cn_plan_item *items = all_items(plan, &count);
    cn_buf out;
    cn_err err = {0};
    cn_buf_init(&out, CN_EPCIS_MAX_BYTES);
    cr_expect_eq(cn_document_reassemble(items, count, &out, &err), CN_OK, "%s: %s", err.field, err.text);
    cr_expect(out.n == n && memcmp(out.p, text, n) == 0);
    cn_buf_free(&out);
    free(items);
}

/* Signs a part as a statement and decodes it: all limits and rules of the language hold. */
static void expect_signs(const cn_plan_part *part)
{
    static const uint8_t secret[32] = {1}, item_secret[32] = {2};
    cn_secret_key key;
    cn_buf bytes, out;
    cn_err err = {0};
    cr_assert_eq(cn_secret_key_from_bytes(CN_KEY_ED25519, secret, &key, &err), CN_OK);
    cn_buf_init(&bytes, 1 << 22);
    cn_buf_init(&out, 1 << 22);
    size_t at[CN_MAX_ITEMS + 1];
    cn_span *items = calloc(part->item_count, sizeof *items);
    for (size_t i = 0; i < part->item_count; i++) {
        at[i] = bytes.n;
        cn_item_write(&bytes, item_secret, part->item[i].format, part->item[i].content.p, part->item[i].content.n);
    }
    at[part->item_count] = bytes.n;
    for (size_t i = 0; i < part->item_count; i++)
        items[i] = CN_SPAN(bytes.p + at[i], at[i + 1] - at[i]);
    cn_body body = {.key_id = cn_key_id(&key.public_key),
                    .sequence = UINT64_MAX - 1,
                    .created_ms = UINT64_MAX,
                    .kind = CN_PAYLOAD_EVENT_BATCH};
    body.batch.entry_count = part->entry_count;
    body.batch.entry = (cn_batch_entry *)(uintptr_t)part->entry;
    body.previous.b[0] = 1;
    cr_assert_eq(cn_statement_sign(&body, items, part->item_count, &key, &out, NULL, &err), CN_OK, "%s: %s", err.field,
                 err.text);
    cr_expect_leq(out.n, CN_MAX_STATEMENT_BYTES);
    cn_statement *s = NULL;
    cr_assert_eq(cn_statement_decode(out.p, out.n, &s, &err), CN_OK, "%s: %s", err.field, err.text);
    cr_expect_eq(cn_statement_check_items(s, &err), CN_OK);
    cn_plan_item split;
    cr_expect_eq(cn_item_split(s->item[0].p, s->item[0].n, &split, &err), CN_OK);
    cr_expect(split.format == part->item[0].format && split.content.n == part->item[0].content.n);
    cn_statement_free(s);
    free(items);
    cn_buf_free(&bytes);
    cn_buf_free(&out);
}

static bool has_entry(const cn_plan_part *part, const char *uri, size_t item, const cn_epcis_event *e)
{
    cn_digest tag = cn_subject_tag(subject_salt, uri);
    for (size_t i = 0; i < part->entry_count; i++) {
        const cn_batch_entry *b = &part->entry[i];
        if (cn_digest_eq(&b->subject, &tag) && b->start <= item && item < b->start + b->count)
            return !e || (b->first_ms <= e->first_ms && e->last_ms <= b->last_ms);
    }
    return false;
}

/* Every item's own subjects are declared over it, and nothing is declared over an item that does not say so. */
static void expect_declared(const cn_plan *plan, const cn_epcis_doc *doc)
{
    char document[100];
    cn_digest digest = cn_epcis_digest(doc);
    snprintf(document, sizeof document, "urn:carnet:document:%s", cn_digest_hex(&digest).s);
    for (size_t p = 0; p < cn_plan_part_count(plan); p++) {
        const cn_plan_part *part = cn_plan_part_at(plan, p);
        size_t declared = 0, own = 0;
        for (size_t i = 0; i < part->entry_count; i++)
            declared += part->entry[i].count;
        for (size_t i = 0; i < part->item_count; i++) {
            cn_item_info info;
            cn_err err = {0};
            cr_assert_eq(
                cn_item_subjects(part->item[i].format, part->item[i].content.p, part->item[i].content.n, &info, &err),
                CN_OK, "%s: %s", err.field, err.text);
            cr_expect(info.readable);
            own += info.subject_count ? info.subject_count : 1;
            for (size_t k = 0; k < info.subject_count; k++)
                cr_expect(has_entry(part, info.subject[k], i, info.is_event ? &info.event : NULL), "%s",
                          info.subject[k]);
            if (info.subject_count == 0)
                cr_expect(has_entry(part, document, i, NULL));
            if (!info.is_event)
                cr_expect(cn_digest_eq(&info.document, &digest) && info.part == p &&
                          info.parts == cn_plan_part_count(plan));
            cn_item_info_free(&info);
        }
        cr_expect_eq(declared, own);
    }
}

static void expect_good_plan(const planned *p, const char *text, size_t n)
{
    size_t event = 0;
    expect_comes_back(p->plan, text, n);
    expect_declared(p->plan, p->doc);
    for (size_t i = 0; i < cn_plan_part_count(p->plan); i++) {
        const cn_plan_part *part = cn_plan_part_at(p->plan, i);
        cr_expect_eq(part->event_start, event);
        event += part->event_count;
        expect_signs(part);
    }
    cr_expect_eq(event, cn_epcis_event_count(p->doc));
}

static void expect_folder(const char *folder, const char *ending)
{
    file f[FILES_MAX];
    size_t n = files_read(folder, ending, f, FILES_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!memmem(f[i].text, f[i].n, "EPCISQueryDocument", 18)) {
            planned p = plan_text(f[i].text, f[i].n);
            cr_expect_eq(cn_plan_part_count(p.plan), 1u, "%s", f[i].name);
            expect_good_plan(&p, f[i].text, f[i].n);
            planned_free(&p);
        }
        file_free(&f[i]);
    }
}

Test(plan, every_sample_comes_back_byte_for_byte)
{
    expect_folder(EPCIS_CAPTURE "/Documents", ".json");
    expect_folder(EPCIS_CAPTURE "/Events", ".json");
    expect_folder(EPCIS_HASHES "/examples", ".jsonld");
}

#define DOCUMENT                                                                                                       \
    "{\"@context\":\"a:b\",\"type\":\"EPCISDocument\",\"schemaVersion\":\"2.0\","                                      \
    "\"creationDate\":\"2026-01-01T00:00:00Z\""
#define EVENT                                                                                                          \
    "{\"type\":\"ObjectEvent\",\"action\":\"OBSERVE\",\"eventTime\":\"2026-01-01T00:%02zu:%02zuZ\","                   \
    "\"eventTimeZoneOffset\":\"+00:00\",\"epcList\":["

typedef struct text {
    char *s;
    size_t n, cap;
} text;

__attribute__((format(printf, 2, 3))) static void add(text *t, const char *format, ...)
{
    va_list args;
    if (t->cap - t->n < (1 << 17)) {
        t->cap = 2 * t->cap + (1 << 18);
        t->s = realloc(t->s, t->cap);
    }
    va_start(args, format);
    t->n += (size_t)vsnprintf(t->s + t->n, t->cap - t->n, format, args);
    va_end(args);
}

static char *spaces(size_t n)
{
    char *s = malloc(n + 1);
    memset(s, ' ', n);
    s[n] = 0;
    return s;
}

/* events events; event i names subject i % subjects; gap blanks before each; padding in each */
static text make(size_t events, size_t subjects, size_t gap, size_t padding)
{
    text t = {NULL, 0, 0};
    char *blank = spaces(gap), *pad = spaces(padding);
    add(&t, DOCUMENT ",\"epcisBody\":{\"eventList\":[");
    for (size_t i = 0; i < events; i++) {
        add(&t, "%s%s" EVENT, i ? "," : "", blank, i / 60 % 60, i % 60);
        if (subjects)
            add(&t, "\"urn:x:%zu\"", i % subjects);
        add(&t, "]%s}", pad);
    }
    add(&t, "%s]}}\n", blank);
    free(blank);
    free(pad);
    return t;
}

Test(plan, parts_at_each_limit)
{
    static const struct {
        size_t events, subjects, gap, padding, parts_min, parts_max;
    } cases[] = {
        {0, 0, 0, 0, 1, 1},      {999, 1, 0, 0, 1, 1}, /* with the envelope exactly 1,000 items */
        {1000, 1, 0, 0, 2, 2},   {2500, 3, 0, 0, 3, 3},
        {63, 63, 0, 0, 1, 1}, /* with the document exactly 64 subjects */
        {64, 64, 0, 0, 2, 2},    {630, 630, 0, 0, 10, 10},
        {20, 1, 0, 30000, 3, 4},                         /* 256 KiB */
        {8, 1, 0, 65300, 3, 4},  {3, 1, 70000, 0, 4, 7}, /* gaps longer than an envelope */
        {500, 1, 1000, 0, 8, 9},                         /* envelopes at 64 KiB */
        {700, 0, 0, 0, 1, 1},                            /* no identifiers: the document's digest */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        text t = make(cases[i].events, cases[i].subjects, cases[i].gap, cases[i].padding);
        planned p = plan_text(t.s, t.n);
        size_t parts = cn_plan_part_count(p.plan);
        cr_expect(cases[i].parts_min <= parts && parts <= cases[i].parts_max, "case %zu: %zu parts", i, parts);
        expect_good_plan(&p, t.s, t.n);
        planned_free(&p);
        free(t.s);
    }
}

Test(plan, random_documents_come_back)
{
    uint64_t x = 11;
    for (unsigned round = 0; round < 40; round++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        text t = make((x >> 40) % 300, (x >> 20) % 90, (x >> 33) % 600, (x >> 10) % 900);
        planned p = plan_text(t.s, t.n);
        expect_good_plan(&p, t.s, t.n);
        planned_free(&p);
        free(t.s);
    }
}

Test(plan, entries_merge_contiguous_ranges)
{
    text t = make(6, 2, 0, 0); /* 0 1 0 1 0 1 */
    planned p = plan_text(t.s, t.n);
    cr_expect_eq(cn_plan_part_at(p.plan, 0)->entry_count, 7u);
    planned_free(&p);
    free(t.s);
    t = make(6, 1, 0, 0);
    p = plan_text(t.s, t.n);
    const cn_plan_part *part = cn_plan_part_at(p.plan, 0);
    cr_assert_eq(part->entry_count, 2u);
    const cn_batch_entry *e = part->entry[0].count == 6 ? &part->entry[0] : &part->entry[1];
    cr_expect_eq(e->start, 1u);
    cr_expect_eq(e->count, 6u);
    cr_expect_eq(e->last_ms - e->first_ms, 5000u);
    planned_free(&p);
    free(t.s);
}

Test(plan, what_no_cutting_can_mend)
{
    cn_epcis_doc *doc = NULL;
    cn_plan *plan = NULL;
    cn_err err = {0};
    text t = {NULL, 0, 0};
    add(&t, DOCUMENT ",\"epcisBody\":{\"eventList\":[\n" EVENT, (size_t)0, (size_t)0);
    for (size_t i = 0; i < 64; i++)
        add(&t, "%s\"urn:x:%zu\"", i ? "," : "", i);
    add(&t, "]}]}}");
    cr_assert_eq(cn_epcis_parse(t.s, t.n, CN_EPCIS_MAX_BYTES, &doc, &err), CN_OK);
    cr_expect_eq(cn_plan_document(doc, subject_salt, &plan, &err), CN_TOO_LARGE);
    cr_expect_str_eq(err.field, "/epcisBody/eventList/0 (line 2)");
    cr_expect(strstr(err.text, "64 subjects"), "%s", err.text);
    cn_epcis_free(doc);
    free(t.s);
    t = make(2, 1, 0, 70000);
    cr_assert_eq(cn_epcis_parse(t.s, t.n, CN_EPCIS_MAX_BYTES, &doc, &err), CN_OK);
    cr_expect_eq(cn_plan_document(doc, subject_salt, &plan, &err), CN_TOO_LARGE);
    cr_expect_null(plan);
    cn_epcis_free(doc);
    free(t.s);
}

Test(plan, damage_is_noticed)
{
    text t = make(1500, 5, 3, 0);
    planned p = plan_text(t.s, t.n);
    size_t count = 0;
    cn_plan_item *items = all_items(p.plan, &count);
    cn_buf out;
    cn_buf_init(&out, CN_EPCIS_MAX_BYTES);
    cr_assert_gt(cn_plan_part_count(p.plan), 1u);
    cn_err err = {0};
    cr_expect_neq(cn_document_reassemble(items, count - 1, &out, &err), CN_OK); /* one event short */
    cn_buf_clear(&out);
    cr_expect_neq(cn_document_reassemble(items + 1, count - 1, &out, &err), CN_OK); /* no envelope */
    cn_buf_clear(&out);
    cn_plan_item kept = items[3];
    items[3] = items[4]; /* another event in its place */
    cr_expect_neq(cn_document_reassemble(items, count, &out, &err), CN_OK);
    cr_expect(strstr(err.text, "SHA-256"), "%s", err.text);
    cn_buf_clear(&out);
    items[3] = kept;
    size_t first = cn_plan_part_at(p.plan, 0)->item_count;
    cr_expect_neq(cn_document_reassemble(items, first, &out, &err), CN_OK); /* the second part is missing */
    cn_buf_clear(&out);
    cr_expect_neq(cn_document_reassemble(items + first, count - first, &out, &err), CN_OK);
    cn_buf_free(&out);
    free(items);
    planned_free(&p);
    free(t.s);
}

#define TIE(action, parent, children)                                                                                  \
    "{\"type\":\"AggregationEvent\",\"eventTime\":\"2026-01-01T00:00:00Z\",\"eventTimeZoneOffset\":\"+00:00\","        \
    "\"action\":\"" action "\",\"parentID\":\"" parent "\"" children "}"

Test(plan, pairings_of_containers_and_consignments)
{
    static const char document[] = DOCUMENT
        ",\"epcisBody\":{\"eventList\":[" TIE("ADD", "urn:epc:id:bic:CSQU3054383", ",\"childEPCs\":[\"urn:carnet:ucr:6KE1\",\"urn:x:1\",\"urn:epc:id:gsin:4012345.222333444\"]") "," TIE(
            "ADD", "urn:epc:id:ginc:0614141.xyz",
            ",\"childEPCs\":[\"urn:epc:id:bic:TEXU3070079\"]") "," TIE("OBSERVE", "urn:epc:id:bic:CSQU3054383",
                                                                       ",\"childEPCs\":[\"urn:carnet:ucr:"
                                                                       "6KE2\"]") "," TIE("ADD",
                                                                                          "urn:epc:id:sscc:"
                                                                                          "4012345.3111111111",
                                                                                          ",\"childEPCs\":["
                                                                                          "\"urn:epc:id:sgtin:"
                                                                                          "4012345.011111.1\"]") "," TIE("DELETE",
                                                                                                                         "urn:epc:id:bic:CSQU3054383",
                                                                                                                         ",\"childEPCs\":[\"urn:carnet:ucr:6KE1\"]") "," TIE("DELETE",
                                                                                                                                                                             "urn:epc:id:bic:TEXU3070079",
                                                                                                                                                                             "") "]}}";
    static const struct {
        const char *container, *consignment;
        bool add;
    } want[] = {{"urn:epc:id:bic:CSQU3054383", "urn:carnet:ucr:6KE1", true},
                {"urn:epc:id:bic:CSQU3054383", "https://id.gs1.org/402/40123452223334442", true},
                {"urn:epc:id:bic:TEXU3070079", "https://id.gs1.org/401/0614141xyz", true},
                {"urn:epc:id:bic:CSQU3054383", "urn:carnet:ucr:6KE1", false},
                {"urn:epc:id:bic:TEXU3070079", NULL, false}};
    planned p = plan_text(document, sizeof document - 1);
    cr_assert_eq(cn_plan_pairing_count(p.plan), sizeof want / sizeof want[0]);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const cn_plan_pairing *got = cn_plan_pairing_at(p.plan, i);
        cn_digest tag = cn_subject_tag(subject_salt, want[i].container);
        cr_expect_str_eq(got->container, want[i].container);
        cr_expect(cn_digest_eq(&got->container_tag, &tag));
        cr_expect(want[i].consignment ? strcmp(got->consignment, want[i].consignment) == 0 : !got->consignment);
        cr_expect_eq(got->add, want[i].add);
        cr_expect_eq(got->time_ms, 1767225600000u);
    }
    planned_free(&p);
}

Test(item, other_formats_and_garbage)
{
    cn_item_info info;
    cr_expect_eq(cn_item_subjects(CN_ITEM_SEALED, "\x01\x02", 2, &info, NULL), CN_OK);
    cr_expect_not(info.readable);
    cr_expect_eq(cn_item_subjects(CN_ITEM_EPCIS, "{}", 2, &info, NULL), CN_INVALID);
    cr_expect_eq(cn_item_subjects(CN_ITEM_ENVELOPE, "\x02", 1, &info, NULL), CN_INVALID);
    uint64_t x = 5;
    for (unsigned round = 0; round < 20000; round++) {
        size_t n = 1 + round % 120;
        uint8_t *bytes = malloc(n);
        for (size_t i = 0; i < n; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (x >> 60) < 8 ? 0 : (uint8_t)(x >> 33);
        }
        bytes[0] = CN_ENVELOPE_VERSION;
        cn_plan_item item = {CN_ITEM_ENVELOPE, CN_SPAN(bytes, n)};
        cn_buf out;
        cn_buf_init(&out, 1 << 16);
        if (cn_item_subjects(CN_ITEM_ENVELOPE, bytes, n, &info, NULL) == CN_OK)
            cn_item_info_free(&info);
        cr_expect_neq(cn_document_reassemble(&item, 1, &out, NULL), CN_OK);
        cn_buf_free(&out);
        free(bytes);
    }
}

Test(envelope, layout)
{
    cn_envelope *e = calloc(1, sizeof *e), *back = calloc(1, sizeof *back);
    *e = (cn_envelope){
        .part = 1, .parts = 2, .size = 0x0102, .offset = 3, .event_count = 2, .rest = CN_SPAN("abcde", 5)};
    memset(e->document.b, 0xdd, 32);
    e->point[0] = 2;
    e->point[1] = 2;
    char hex[200];
    cn_buf out;
    cn_err err = {0};
    cn_buf_init(&out, 1000);
    cn_envelope_write(e, &out);
    cr_assert_eq(out.n, CN_ENVELOPE_HEAD + 8u + 5u);
    cn_hex(out.p, out.n, hex);
    cr_expect_str_eq(hex, "0100010002"
                          "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
                          "0000000000000102"
                          "0000000000000003"
                          "0002"
                          "00000002"
                          "00000002"
                          "6162636465");
    cr_assert_eq(cn_envelope_read(out.p, out.n, back, &err), CN_OK, "%s", err.text);
    cr_expect(back->event_count == 2 && back->point[1] == 2 && back->rest.n == 5 && back->offset == 3);
    out.p[58] = 4; /* the first point behind the second */
    cr_expect_eq(cn_envelope_read(out.p, out.n, back, &err), CN_INVALID);
    out.p[58] = out.p[62] = 6; /* behind the bytes */
    cr_expect_eq(cn_envelope_read(out.p, out.n, back, &err), CN_INVALID);
    for (size_t n = 0; n < CN_ENVELOPE_HEAD + 8u; n++)
        cr_expect_eq(cn_envelope_read(out.p, n, back, &err), CN_INVALID);
    cn_buf_free(&out);
    free(e);
    free(back);
}
