/* A dossier of a stranger cannot keep a verifier busy: the work grows with what is in it, and not with the product of
 * two of its parts. What is checked is the verdict; the limit of time in CMakeLists.txt is many times what it takes. */
#include "mini.h"

#include "proto/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#ifdef __SANITIZE_ADDRESS__
#define MANY(n) ((n) / 5u) /* sanitizers look at bytes, and are slow with so many */
#else
#define MANY(n) (n)
#endif

#define CONSIGNMENT "urn:carnet:ucr:4KE51234567-ROSES"

static mini m;
static mini_parts *p;
static cn_dossier_writer *w;
static uint64_t at; /* next log index */
static cn_verify_report report;

static void begin(void)
{
    static const cn_digest none;
    mini_begin(&m);
    p = mini_parts_of(&m, CONSIGNMENT);
    w = cn_dossier_writer_new();
    at = 0;
    cn_dossier_set_scope(w, CN_DOSSIER_SUBJECT, CONSIGNMENT, &none, p->checkpoint);
    cn_dossier_add_genesis(w, CN_SPAN(p->genesis.p, p->genesis.n));
    cn_dossier_add_checkpoint(w, p->header, p->headers, CN_SPAN(p->certificate.p, p->certificate.n));
}

static void end(void)
{
    cn_dossier_writer_free(w);
    mini_parts_free(p);
    mini_end(&m);
}

TestSuite(work, .init = begin, .fini = end);

/* Numbers as tags, so that the bulk of the dossier is small when it is packed. */
static cn_digest tag_of(unsigned kind, unsigned number)
{
    cn_digest tag = {{0}};
    tag.b[0] = (uint8_t)kind;
    tag.b[28] = (uint8_t)(number >> 24);
    tag.b[29] = (uint8_t)(number >> 16);
    tag.b[30] = (uint8_t)(number >> 8);
    tag.b[31] = (uint8_t)number;
    return tag;
}

static void add(cn_body *body, const cn_span *items, size_t count)
{
    cn_buf whole;
    cn_err err = {0};
    mini_signer *s = &m.capture[0];
    cn_buf_init(&whole, CN_MAX_STATEMENT_BYTES);
    body->network = m.genesis.network;
    body->key_id = s->id;
    body->sequence = ++s->sequence;
    body->previous = tag_of(9, (unsigned)s->sequence);
    body->created_ms = MINI_TIME;
    cr_assert_eq(cn_statement_sign(body, items, count, &s->key, &whole, NULL, &err), CN_OK, "%s: %s", err.field,
                 err.text);
    cn_dossier_add_statement(w, at++, CN_SPAN(whole.p, whole.n), CN_SPAN(NULL, 0), NULL, 0);
    cn_buf_free(&whole);
}

static void add_pairing(cn_digest container, cn_digest consignment, uint64_t start_ms)
{
    cn_body *body = calloc(1, sizeof *body);
    body->kind = CN_PAYLOAD_PAIRING;
    body->pairing.container = container;
    body->pairing.consignment = consignment;
    body->pairing.start_ms = start_ms;
    add(body, NULL, 0);
    free(body);
}

/* One event about each of 64 subjects, of as many kinds of ranges as entries need. */
static void add_batch(unsigned kind, unsigned entries)
{
    static cn_batch_entry entry[CN_MAX_ENTRIES];
    static cn_span item[CN_MAX_ITEMS];
    unsigned each = entries / CN_MAX_SUBJECTS;
    cn_body *body = calloc(1, sizeof *body);
    for (unsigned i = 0; i < entries; i++)
        entry[i] = (cn_batch_entry){tag_of(kind, i / each), i % each, 1, 1000, 2000};
    for (unsigned i = 0; i < each; i++)
        item[i] = CN_SPAN("0123456789abcdef0123456789abcdef", 32);
    body->kind = CN_PAYLOAD_EVENT_BATCH;
    body->batch.entry = entry;
    body->batch.entry_count = entries;
    body->batch.item_count = each;
    add(body, item, each);
    free(body);
}

static void verify(void)
{
    cn_buf zip;
    cn_err err = {0};
    cn_buf_init(&zip, CN_DOSSIER_MAX_BYTES);
    cr_assert_eq(cn_dossier_finish(w, &zip, &err), CN_OK, "%s", err.text);
    cr_expect_neq(cn_verify_dossier(zip.p, zip.n, &m.genesis.network, NULL, &report), CN_OK);
    cr_expect_eq(report.step[CN_STEP_CONTAINER].verdict, CN_VERDICT_OK);
    cr_expect_lt(zip.n, (size_t)8 << 20, "%zu bytes", zip.n);
    cn_buf_free(&zip);
}

Test(work, many_subjects_and_many_declarations)
{
    for (unsigned i = 0; i < MANY(6000); i++) {
        cn_digest tag = tag_of(1, i);
        cn_dossier_add_absence(w, &tag, CN_SPAN(NULL, 0));
    }
    for (unsigned i = 0; i < MANY(1000); i++)
        add_batch(1, 1024);
    verify();
    cr_expect_eq(report.step[CN_STEP_COMPLETENESS].verdict, CN_VERDICT_FAILED);
    cr_expect_geq(report.step[CN_STEP_COMPLETENESS].faults, (uint64_t)MANY(1000) * CN_MAX_SUBJECTS,
                  "each statement declares 64 subjects whose trees do not hold it");
}

Test(work, many_ties_and_many_events)
{
    const unsigned each = MANY(CN_MAX_PAIRINGS), events = MANY(1000);
    for (unsigned i = 0; i < CN_MAX_SUBJECTS * each; i++) {
        cn_digest tag = tag_of(3, i);
        cn_dossier_add_absence(w, &tag, CN_SPAN(NULL, 0));
        add_pairing(tag_of(2, i / each), tag, 1000);
    }
    for (unsigned i = 0; i < events; i++)
        add_batch(2, CN_MAX_SUBJECTS);
    verify();
    cr_expect_eq(report.step[CN_STEP_PAIRING].verdict, CN_VERDICT_FAILED);
    cr_expect_eq(report.step[CN_STEP_PAIRING].faults, (uint64_t)events * CN_MAX_SUBJECTS * each,
                 "every event is tied to consignments that do not hold it");
}

Test(work, more_ties_than_a_container_may_have)
{
    for (unsigned i = 0; i < MANY(2000); i++)
        add_pairing(tag_of(2, 0), tag_of(3, 0), 1000 + i);
    add_batch(2, CN_MAX_SUBJECTS);
    verify();
    cr_expect_eq(report.step[CN_STEP_PAIRING].verdict, CN_VERDICT_FAILED);
    cr_expect_eq(report.step[CN_STEP_PAIRING].faults, MANY(2000) - CN_MAX_PAIRINGS);
    cr_expect(strstr(report.step[CN_STEP_PAIRING].err.text, "more than 64 ties"), "%s",
              report.step[CN_STEP_PAIRING].err.text);
}

/* ---- orders to erase ---- */

static void add_order(cn_span record, uint32_t start, uint32_t count)
{
    cn_body *body = calloc(1, sizeof *body);
    body->kind = CN_PAYLOAD_ERASURE;
    body->erasure.record = record;
    body->erasure.start = start;
    body->erasure.count = count;
    body->erasure.reason = 1;
    add(body, NULL, 0);
    free(body);
}

/* A batch of four items, all of them erased, between an order before it and those that the caller adds after it. */
static cn_statement *add_erased_batch(void)
{
    static const cn_span item[4] = {
        CN_SPAN("\2bcdef0123456789a{}", 19),
        CN_SPAN("\2bcdef0123456789b{}", 19),
        CN_SPAN("\2bcdef0123456789c{}", 19),
        CN_SPAN("\2bcdef0123456789d{}", 19),
    };
    cn_batch_entry entry = {tag_of(5, 0), 0, 4, 1000, 2000};
    cn_body *body = calloc(1, sizeof *body);
    cn_buf whole, erased;
    cn_statement *s = NULL;
    mini_signer *signer = &m.capture[0];
    bool changed;
    body->kind = CN_PAYLOAD_EVENT_BATCH;
    body->batch.entry = &entry;
    body->batch.entry_count = 1;
    body->batch.item_count = 4;
    body->network = m.genesis.network;
    body->key_id = signer->id;
    body->sequence = ++signer->sequence;
    body->previous = tag_of(9, (unsigned)signer->sequence);
    body->created_ms = MINI_TIME;
    cn_buf_init(&whole, CN_MAX_STATEMENT_BYTES);
    cn_buf_init(&erased, CN_MAX_STATEMENT_BYTES);
    cr_assert_eq(cn_statement_sign(body, item, 4, &signer->key, &whole, NULL, NULL), CN_OK);
    cr_assert_eq(cn_statement_decode(whole.p, whole.n, &s, NULL), CN_OK);
    add_order(s->record, 1, 1);
    cn_span items = CN_SPAN(whole.p + s->record.n, whole.n - s->record.n);
    cr_assert_eq(cn_items_erase(items, 0, 4, &erased, &changed, NULL), CN_OK);
    cn_dossier_add_statement(w, at++, s->record, CN_SPAN(erased.p, erased.n), NULL, 0);
    cn_buf_free(&whole);
    cn_buf_free(&erased);
    free(body);
    return s;
}

Test(work, many_orders_about_one_batch)
{
    cn_statement *s = add_erased_batch();
    for (unsigned i = 0; i < 100; i++)
        add_order(s->record, 2, 2);
    add_order(s->record, 0, 1);
    verify();
    const cn_verify_result *r = &report.step[CN_STEP_REDACTIONS];
    cr_expect_eq(report.erased_items, 3u);
    cr_expect(r->verdict == CN_VERDICT_FAILED && r->faults == 1);
    cr_expect(strstr(r->err.text, "item 1 is missing"), "the order before the batch is none: %s", r->err.text);
    cn_statement_free(s);
}

/* ---- the container ---- */

static void expect_refused(const void *bytes, size_t n, const char *reason)
{
    cr_expect_neq(cn_verify_dossier(bytes, n, &m.genesis.network, NULL, &report), CN_OK);
    cr_expect_eq(report.step[CN_STEP_CONTAINER].verdict, CN_VERDICT_FAILED);
    cr_expect(strstr(report.step[CN_STEP_CONTAINER].err.text, reason), "%s does not say \"%s\"",
              report.step[CN_STEP_CONTAINER].err.text, reason);
}

/* For each end of an archive libzip reads its whole directory: a megabyte could take a minute before it is refused. */
Test(work, an_archive_with_more_than_one_end)
{
    cn_buf zip, end_of;
    mini_pack(p, &zip);
    cn_buf_init(&end_of, 64);
    cn_put_bytes(&end_of, zip.p + zip.n - 22, 22);
    cr_expect_eq(cn_verify_dossier(zip.p, zip.n, &m.genesis.network, NULL, &report), CN_OK);
    zip.p[zip.n - 2] = 22; /* the first has the second as its comment */
    cn_put_bytes(&zip, end_of.p, end_of.n);
    expect_refused(zip.p, zip.n, "more than one end");
    cn_buf_free(&zip);
    cn_buf_free(&end_of);
}

static void one_file(const char *name, const void *content, size_t n, int method, cn_buf *out)
{
    uint8_t chunk[4096];
    zip_int64_t got;
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, NULL);
    zip_t *zip = zip_open_from_source(source, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    cr_assert_not_null(zip);
    zip_source_keep(source);
    zip_int64_t place = zip_file_add(zip, name, zip_source_buffer(zip, content, n, 0), 0);
    cr_assert_geq(place, 0);
    cr_assert_eq(zip_set_file_compression(zip, (zip_uint64_t)place, method, 0), 0);
    cr_assert_eq(zip_close(zip), 0);
    cn_buf_init(out, 1u << 24);
    cr_assert_eq(zip_source_open(source), 0);
    while ((got = zip_source_read(source, chunk, sizeof chunk)) > 0)
        cn_put_bytes(out, chunk, (size_t)got);
    zip_source_close(source);
    zip_source_free(source);
}

Test(work, a_compression_that_takes_long_to_undo)
{
    cn_buf zip;
    one_file("genesis.json", "{}", 2, ZIP_CM_BZIP2, &zip);
    expect_refused(zip.p, zip.n, "neither stored nor deflated");
    cn_buf_free(&zip);
}

/* A MiB that unpacks to a GiB of brackets would be a tree of a hundred. */
Test(work, a_manifest_larger_than_any)
{
    size_t n = ((size_t)4 << 20) + 1025;
    cn_buf zip;
    char *text = malloc(n);
    memset(text, ' ', n);
    one_file("manifest.json", text, n, ZIP_CM_DEFLATE, &zip);
    expect_refused(zip.p, zip.n, "too large");
    cn_buf_free(&zip);
    one_file("manifest.json", text, n - 1, ZIP_CM_DEFLATE, &zip);
    expect_refused(zip.p, zip.n, "is missing, or has other members");
    cn_buf_free(&zip);
    free(text);
}
