/* A dossier of a stranger cannot keep a verifier busy: the work grows with what is in it, and not with the product of
 * two of its parts. What is checked is the verdict; the limit of time in CMakeLists.txt is many times what it takes. */
#include "mini.h"

#include "proto/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

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
    for (unsigned i = 0; i < 10000; i++) {
        cn_digest tag = tag_of(1, i);
        cn_dossier_add_absence(w, &tag, CN_SPAN(NULL, 0));
    }
    for (unsigned i = 0; i < 1500; i++)
        add_batch(1, 1024);
    verify();
    cr_expect_eq(report.step[CN_STEP_COMPLETENESS].verdict, CN_VERDICT_FAILED);
    cr_expect_geq(report.step[CN_STEP_COMPLETENESS].faults, UINT64_C(1500) * CN_MAX_SUBJECTS,
                  "each statement declares 64 subjects whose trees do not hold it");
}

Test(work, many_ties_and_many_events)
{
    for (unsigned i = 0; i < 10000; i++) {
        cn_digest tag = tag_of(3, i);
        cn_dossier_add_absence(w, &tag, CN_SPAN(NULL, 0));
    }
    for (unsigned i = 0; i < CN_MAX_SUBJECTS * CN_MAX_PAIRINGS; i++)
        add_pairing(tag_of(2, i / CN_MAX_PAIRINGS), tag_of(3, i), 1000);
    for (unsigned i = 0; i < 1000; i++)
        add_batch(2, CN_MAX_SUBJECTS);
    verify();
    cr_expect_eq(report.step[CN_STEP_PAIRING].verdict, CN_VERDICT_FAILED);
    cr_expect_eq(report.step[CN_STEP_PAIRING].faults, UINT64_C(1000) * CN_MAX_SUBJECTS * CN_MAX_PAIRINGS,
                 "every event is tied to 4,096 consignments that do not hold it");
}

Test(work, more_ties_than_a_container_may_have)
{
    for (unsigned i = 0; i < 5000; i++)
        add_pairing(tag_of(2, 0), tag_of(3, 0), 1000 + i);
    add_batch(2, CN_MAX_SUBJECTS);
    verify();
    cr_expect_eq(report.step[CN_STEP_PAIRING].verdict, CN_VERDICT_FAILED);
    cr_expect_eq(report.step[CN_STEP_PAIRING].faults, 5000u - CN_MAX_PAIRINGS);
    cr_expect(strstr(report.step[CN_STEP_PAIRING].err.text, "more than 64 ties"), "%s",
              report.step[CN_STEP_PAIRING].err.text);
}
