/* The offline verifier holds erased items, orders and attestations to the rules of the ledger, over a ledger that
 * records what no honest network would: each dossier breaks one of them. The real ledger is in
 * tests/unit/node/test_ledger_erasure.c. */
#include "mini.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOX "urn:epc:id:bic:CSQU3054383"

static mini m;
static mini_signer device; /* of member 0 */
static uint64_t batch;     /* its log index: an envelope and two events */

static void begin(void)
{
    static const char document[] =
        "{\"@context\":\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\",\"type\":\"EPCISDocument\","
        "\"schemaVersion\":\"2.0\",\"creationDate\":\"2026-05-01T08:00:00Z\",\"epcisBody\":{\"eventList\":["
        "{\"type\":\"ObjectEvent\",\"eventTime\":\"2026-05-01T08:00:00Z\",\"eventTimeZoneOffset\":\"+00:00\","
        "\"epcList\":[\"" BOX "\"],\"action\":\"OBSERVE\"},"
        "{\"type\":\"ObjectEvent\",\"eventTime\":\"2026-05-01T09:00:00Z\",\"eventTimeZoneOffset\":\"+00:00\","
        "\"epcList\":[\"" BOX "\"],\"action\":\"OBSERVE\"}]}}";
    mini_begin(&m);
    device = mini_device(&m, &m.capture[0], 77);
    batch = mini_document(&m, &device, document);
    cr_assert_eq(m.statement[batch].decoded->item_count, 3u);
}

static void end(void)
{
    mini_end(&m);
}

TestSuite(verify_erasure, .init = begin, .fini = end);

/* ---- statements ---- */

static uint64_t order_of(mini_signer *by, cn_span record, uint32_t start, uint32_t count)
{
    cn_body body = {.kind = CN_PAYLOAD_ERASURE};
    body.erasure.record = record;
    body.erasure.start = start;
    body.erasure.count = count;
    body.erasure.reason = 2;
    return mini_record(&m, by, &body, NULL, 0);
}

static uint64_t erasure(mini_signer *by, uint32_t start, uint32_t count)
{
    return order_of(by, m.statement[batch].decoded->record, start, count);
}

static uint64_t attest(mini_signer *by, uint64_t order)
{
    cn_body body = {.kind = CN_PAYLOAD_PURGE};
    body.purge.erasure = m.statement[order].decoded->id;
    return mini_record(&m, by, &body, NULL, 0);
}

/* The dossier of a node that has erased these items of the batch. */
static mini_parts *erased(uint32_t start, uint32_t count)
{
    mini_parts *p = mini_parts_of(&m, BOX);
    cn_buf *items = &p->statement[mini_place(p, batch)].items, left;
    bool changed = false;
    cn_buf_init(&left, CN_MAX_STATEMENT_BYTES);
    cr_assert_eq(cn_items_erase(CN_SPAN(items->p, items->n), start, count, &left, &changed, NULL), CN_OK);
    cn_buf_free(items);
    *items = left;
    return p;
}

/* ---- verdicts ---- */

static void accepted(mini_parts *p, cn_verify_report *report)
{
    cr_expect_eq(mini_verify(&m, p, report), CN_OK);
    for (int i = 0; i < CN_STEP_COUNT; i++)
        cr_expect_neq(report->step[i].verdict, CN_VERDICT_FAILED, "%s: %s: %s", cn_verify_step_name((cn_verify_step)i),
                      report->step[i].err.field, report->step[i].err.text);
    cr_expect(report->accepted);
    mini_parts_free(p);
}

/* Nothing fails before this step, which fails at this place for this reason. */
static void fails(mini_parts *p, cn_verify_step step, uint64_t index, const char *reason)
{
    static cn_verify_report report;
    char where[64];
    snprintf(where, sizeof where, "statements/%020llu.bin", (unsigned long long)index);
    cr_expect_neq(mini_verify(&m, p, &report), CN_OK);
    for (int i = 0; i < (int)step; i++)
        cr_expect_neq(report.step[i].verdict, CN_VERDICT_FAILED, "%s: %s", cn_verify_step_name((cn_verify_step)i),
                      report.step[i].err.text);
    const cn_err *err = &report.step[step].err;
    cr_expect_eq(report.step[step].verdict, CN_VERDICT_FAILED, "%s", reason);
    cr_expect_str_eq(err->field, where, "%s: %s", reason, err->text);
    cr_expect(strstr(err->text, reason), "\"%s\" does not say \"%s\"", err->text, reason);
    mini_parts_free(p);
}

/* ---- what holds ---- */

Test(verify_erasure, an_item_that_its_owner_ordered_away)
{
    static cn_verify_report report;
    uint64_t order = erasure(&m.capture[0], 2, 1);
    attest(&m.capture[1], order);
    attest(&m.capture[3], order);
    accepted(erased(2, 1), &report);
    cr_expect_eq(report.erased_items, 1u);
    cr_expect_eq(report.items, 3u, "it is an item still");
    cr_assert_eq(report.erasures, 1u);
    const cn_verify_erasure *e = &report.erasure[0];
    cr_expect(cn_digest_eq(&e->order, &m.statement[order].decoded->id));
    cr_expect(cn_digest_eq(&e->batch, &m.statement[batch].decoded->id));
    cr_expect(e->log_index == order && e->first_item == 2 && e->item_count == 1 && e->reason == 2);
    cr_assert_eq(e->attested, 2u);
    cr_expect(cn_digest_eq(&e->member[0], &m.capture[1].owner) && cn_digest_eq(&e->member[1], &m.capture[3].owner));
}

Test(verify_erasure, a_node_that_has_not_purged_yet)
{
    static cn_verify_report report;
    erasure(&m.capture[0], 0, 3);
    accepted(mini_parts_of(&m, BOX), &report);
    cr_expect_eq(report.erased_items, 0u);
    cr_expect(report.erasures == 1 && report.erasure[0].attested == 0);
}

Test(verify_erasure, several_orders_about_one_batch)
{
    static cn_verify_report report;
    attest(&m.capture[2], erasure(&m.capture[0], 1, 1));
    erasure(&m.capture[0], 0, 3); /* one of them a second time */
    accepted(erased(0, 3), &report);
    cr_expect_eq(report.erased_items, 3u);
    cr_expect(report.erasures == 2 && report.erasure[0].attested == 1 && report.erasure[1].attested == 0);
}

/* ---- what does not ---- */

Test(verify_erasure, nobody_ordered_it)
{
    fails(erased(1, 1), CN_STEP_REDACTIONS, batch, "the content of item 1 is missing");
}

Test(verify_erasure, another_item_was_ordered)
{
    erasure(&m.capture[0], 2, 1);
    fails(erased(1, 2), CN_STEP_REDACTIONS, batch, "the content of item 1 is missing");
}

Test(verify_erasure, another_batch_was_ordered)
{
    uint64_t other = mini_document(
        &m, &device,
        "{\"@context\":\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\",\"type\":\"ObjectEvent\","
        "\"eventTime\":\"2026-05-01T10:00:00Z\",\"eventTimeZoneOffset\":\"+00:00\",\"epcList\":[\"" BOX
        "\"],\"action\":\"OBSERVE\"}");
    order_of(&m.capture[0], m.statement[other].decoded->record, 0, 1);
    fails(erased(0, 1), CN_STEP_REDACTIONS, batch, "the content of item 0 is missing");
}

Test(verify_erasure, a_stranger_ordered_it)
{
    uint64_t order = erasure(&m.capture[1], 1, 1);
    fails(erased(1, 1), CN_STEP_AUTHORITY, order, "another member's key signed");
}

Test(verify_erasure, a_device_ordered_it)
{
    uint64_t order = erasure(&device, 1, 1);
    fails(erased(1, 1), CN_STEP_AUTHORITY, order, "capture key");
}

Test(verify_erasure, a_device_attests)
{
    uint64_t order = erasure(&m.capture[0], 1, 1), said = attest(&device, order);
    fails(erased(1, 1), CN_STEP_AUTHORITY, said, "capture key");
}

Test(verify_erasure, an_order_with_a_record_that_was_never_signed)
{
    cn_span record = m.statement[batch].decoded->record;
    uint8_t *forged = malloc(record.n);
    cr_assert_not_null(forged);
    memcpy(forged, record.p, record.n);
    forged[record.n - 1] ^= 1;
    uint64_t order = order_of(&m.capture[0], CN_SPAN(forged, record.n), 1, 1);
    fails(erased(1, 1), CN_STEP_AUTHORITY, order, "signature");
    free(forged);
}

Test(verify_erasure, the_order_is_withheld)
{
    uint64_t order = erasure(&m.capture[0], 1, 1);
    mini_parts *p = erased(1, 1);
    static cn_verify_report report;
    mini_drop_statement(p, order);
    cr_expect_neq(mini_verify(&m, p, &report), CN_OK);
    cr_expect_eq(report.step[CN_STEP_COMPLETENESS].verdict, CN_VERDICT_FAILED);
    cr_expect_eq(report.step[CN_STEP_REDACTIONS].verdict, CN_VERDICT_FAILED);
    cr_expect_eq(report.erased_items, 0u);
    mini_parts_free(p);
}

Test(verify_erasure, an_attestation_without_its_order)
{
    uint64_t order = erasure(&m.capture[0], 1, 1), said = attest(&m.capture[2], order);
    mini_parts *p = erased(1, 1);
    static cn_verify_report report;
    mini_drop_statement(p, order);
    cr_expect_neq(mini_verify(&m, p, &report), CN_OK);
    cr_expect_eq(report.step[CN_STEP_COMPLETENESS].verdict, CN_VERDICT_FAILED);
    cr_expect_eq(report.erasures, 0u);
    mini_drop_statement(p, said);
    mini_parts_free(p);
}

Test(verify_erasure, a_leaf_hash_that_was_forged)
{
    erasure(&m.capture[0], 2, 1);
    mini_parts *p = erased(2, 1);
    cn_buf *items = &p->statement[mini_place(p, batch)].items;
    items->p[items->n - 1] ^= 1;
    fails(p, CN_STEP_ITEM_ROOT, batch, "the items hash to");
}

Test(verify_erasure, an_erased_item_of_another_length)
{
    erasure(&m.capture[0], 2, 1);
    mini_parts *p = erased(2, 1);
    cn_buf *items = &p->statement[mini_place(p, batch)].items;
    items->p[items->n - CN_ITEM_ERASED_LEN - 1] = CN_ITEM_ERASED_LEN - 1; /* a hash of 31 bytes */
    items->n--;
    fails(p, CN_STEP_ITEM_ROOT, batch, "format 0");
}

Test(verify_erasure, an_item_left_out_altogether)
{
    erasure(&m.capture[0], 2, 1);
    mini_parts *p = erased(2, 1);
    p->statement[mini_place(p, batch)].items.n -= CN_ITEM_ERASED_LEN + 2;
    fails(p, CN_STEP_ITEM_ROOT, batch, "2 items are here");
}
