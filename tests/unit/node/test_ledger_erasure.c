/* Orders to erase and attestations on the real ledger and store; the node's own audits of what is left, held by the
 * offline verifier, also after they were changed. */
#include "node/api/audit.h"
#include "tests/unit/tools/changes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOX "urn:epc:id:bic:CSQU3054383"
#define CARGO "https://id.gs1.org/00/340123451111111111"
#define WHERE_JANE_WAS "urn:example:driver:Jane-Doe-4711"

static fixture f;
static fx_signer device; /* of member 1, which signs the batch with it */
static cn_statement *batch;
static uint64_t batch_index;

/* Two events, one of each subject; number makes the content another one. */
static cn_statement *two_events(fx_signer *s, unsigned number)
{
    static const char *const uri[2] = {BOX, CARGO};
    uint8_t secret[32] = {9};
    cn_buf item[2], bytes;
    cn_span span[2];
    cn_statement *ret = NULL;
    cn_err err = {0};
    cn_body body;
    cn_batch_entry entry[2];
    memset(&body, 0, sizeof body);
    for (unsigned i = 0; i < 2; i++) {
        char content[640];
        int n = snprintf(content, sizeof content,
                         "{\"@context\":\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\",\"type\":"
                         "\"ObjectEvent\",\"eventTime\":\"2026-01-01T00:00:%02uZ\",\"eventTimeZoneOffset\":\"+00:00\","
                         "\"epcList\":[\"%s\"],\"action\":\"OBSERVE\",\"readPoint\":{\"id\":\"%s\"}}",
                         number, uri[i], WHERE_JANE_WAS);
        cn_buf_init(&item[i], 4096);
        cn_item_write(&item[i], secret, CN_ITEM_EPCIS, content, (size_t)n);
        span[i] = CN_SPAN(item[i].p, item[i].n);
        entry[i] = (cn_batch_entry){cn_subject_tag(f.genesis.subject_salt, uri[i]), i, 1, 1, 1};
    }
    if (cn_digest_cmp(&entry[0].subject, &entry[1].subject) > 0) {
        cn_batch_entry swap = entry[0];
        entry[0] = entry[1];
        entry[1] = swap;
    }
    body = (cn_body){.network = f.genesis.network,
                     .key_id = s->id,
                     .sequence = s->sequence + 1,
                     .previous = s->previous,
                     .created_ms = 1000,
                     .kind = CN_PAYLOAD_EVENT_BATCH};
    body.batch.entry_count = 2;
    body.batch.entry = entry;
    cn_buf_init(&bytes, CN_MAX_STATEMENT_BYTES);
    cr_assert_eq(cn_statement_sign(&body, span, 2, &s->key, &bytes, NULL, &err), CN_OK, "%s", err.text);
    cr_assert_eq(cn_statement_decode(bytes.p, bytes.n, &ret, &err), CN_OK, "%s", err.text);
    s->sequence++;
    s->previous = ret->id;
    for (unsigned i = 0; i < 2; i++)
        cn_buf_free(&item[i]);
    cn_buf_free(&bytes);
    return ret;
}

static cn_statement *copy_of(const cn_statement *s)
{
    cn_statement *copy = NULL;
    cr_assert_eq(cn_statement_decode(s->whole.p, s->whole.n, &copy, NULL), CN_OK);
    return copy;
}

static void set_up(void)
{
    fx_open(&f);
    fx_key(&device, CN_KEY_P256); /* whose signatures differ each time */
    fx_register(&f, &f.member[1], &device);
    cr_assert(fx_commit(&f));
    batch = two_events(&device, 1);
    fx_wait(&f, copy_of(batch));
    cr_assert(fx_commit(&f));
    cr_assert(cn_ledger_find(f.ledger, &batch->id, &batch_index));
}

static void tear_down(void)
{
    cn_statement_free(batch);
    fx_close(&f);
}

TestSuite(erasure, .init = set_up, .fini = tear_down);

/* ---- orders ---- */

static cn_body *order_of(cn_span record, uint32_t start, uint32_t count)
{
    cn_body *b = ch_body(CN_PAYLOAD_ERASURE);
    b->erasure.record = record;
    b->erasure.start = start;
    b->erasure.count = count;
    b->erasure.reason = 2;
    return b;
}

static cn_body *attestation_of(const cn_digest *order)
{
    cn_body *b = ch_body(CN_PAYLOAD_PURGE);
    b->purge.erasure = *order;
    return b;
}

/* Refused for this reason at this place; the signer's chain goes on as if the statement had not been made. */
static void refused(fx_signer *s, cn_body *body, cn_status code, const char *field, const char *words)
{
    fx_signer before = *s;
    cn_err err = {0};
    cn_stmt *stmt = cn_stmt_new(fx_sign(&f, s, body));
    cn_status st = cn_ledger_try(f.ledger, stmt, &err);
    cn_stmt_unref(stmt);
    cr_expect_eq(st, code, "%s: %d (%s: %s)", words, st, err.field, err.text);
    cr_expect_str_eq(err.field, field, "%s", err.text);
    cr_expect(strstr(err.text, words) != NULL, "\"%s\" does not say \"%s\"", err.text, words);
    *s = before;
}

static void purge(uint32_t start, uint32_t count)
{
    bool fresh = false;
    cn_err err = {0};
    cr_assert_eq(cn_store_erase_items(f.store, batch_index, start, count, &fresh, &err), CN_OK, "%s", err.text);
    cr_assert(fresh);
}

static cn_digest erase(uint32_t start, uint32_t count)
{
    cn_digest id = ch_commit(&f, &f.member[1], order_of(batch->record, start, count));
    purge(start, count);
    return id;
}

static uint64_t count_of(const cn_digest *tag)
{
    cn_snapshot *snap = NULL;
    uint64_t count = 0;
    cr_assert_eq(cn_snapshot_open(f.store, &snap, NULL), CN_OK);
    (void)cn_snapshot_subject_count(snap, tag, &count, NULL);
    cn_snapshot_close(snap);
    return count;
}

/* The record of the batch with another signature by the same key, which is as good. */
static cn_buf signed_again(const fx_signer *s)
{
    cn_digest digest = cn_statement_signing_digest(&f.genesis.network, batch->body_bytes.p, batch->body_bytes.n);
    cn_buf record;
    cn_buf_init(&record, CN_MAX_STATEMENT_BYTES);
    cn_put_bytes(&record, batch->record.p, batch->record.n);
    cn_signature again;
    cr_assert_eq(cn_sign(&s->key, &digest, &again, NULL), CN_OK);
    memcpy(record.p + record.n - CN_SIGNATURE_LEN, again.b, CN_SIGNATURE_LEN);
    return record;
}

Test(erasure, only_the_member_that_signed_may_order_it)
{
    refused(&f.member[0], order_of(batch->record, 0, 1), CN_DENIED, "erasure.record", "only the member whose key");
    refused(&device, order_of(batch->record, 0, 1), CN_DENIED, "body.key_id", "capture key");
    cn_buf forged = signed_again(&device);
    forged.p[forged.n - 1] ^= 1;
    refused(&f.member[1], order_of(CN_SPAN(forged.p, forged.n), 0, 1), CN_BAD_SIGNATURE, "erasure.record", "signature");
    cn_buf_free(&forged);
    fx_signer unknown = device;
    fx_key(&unknown, CN_KEY_SECP256K1);
    cn_statement *never = two_events(&unknown, 2);
    refused(&f.member[1], order_of(never->record, 0, 1), CN_UNKNOWN_KEY, "erasure.record", "no member has registered");
    cn_statement_free(never);
    ch_commit(&f, &f.member[1], order_of(batch->record, 0, 1));
}

Test(erasure, an_order_lies_with_the_subjects_of_its_items_only)
{
    cn_digest box = cn_subject_tag(f.genesis.subject_salt, BOX), cargo = cn_subject_tag(f.genesis.subject_salt, CARGO),
              all = cn_erasures_subject(f.genesis.subject_salt);
    cr_expect(count_of(&box) == 1 && count_of(&cargo) == 1 && count_of(&all) == 0);
    cn_digest order = ch_commit(&f, &f.member[1], order_of(batch->record, 1, 1));
    cr_expect_eq(count_of(&box), 1u, "it loses nothing");
    cr_expect_eq(count_of(&cargo), 2u);
    cr_expect_eq(count_of(&all), 1u);
    ch_commit(&f, &f.member[3], attestation_of(&order));
    cr_expect(count_of(&box) == 1 && count_of(&cargo) == 3 && count_of(&all) == 2);
}

Test(erasure, each_member_attests_an_order_once)
{
    cn_digest order = ch_commit(&f, &f.member[1], order_of(batch->record, 0, 2)), nothing = {{7}};
    refused(&f.member[2], attestation_of(&nothing), CN_NOT_FOUND, "purge_attestation.erasure", "ordered an erasure");
    refused(&f.member[2], attestation_of(&batch->id), CN_NOT_FOUND, "purge_attestation.erasure", "ordered an erasure");
    refused(&device, attestation_of(&order), CN_DENIED, "body.key_id", "capture key");
    ch_commit(&f, &f.member[2], attestation_of(&order));
    /* CN_DUPLICATE would say that this very statement waits or is final, and its sender would wait for ever */
    refused(&f.member[2], attestation_of(&order), CN_CONFLICT, "purge_attestation.erasure", "said so before");
    ch_commit(&f, &f.member[3], attestation_of(&order));
    fx_reopen(&f); /* executed again, with the same state */
    refused(&f.member[3], attestation_of(&order), CN_CONFLICT, "purge_attestation.erasure", "said so before");
}

/* ---- audits ---- */

static cn_verify_report *verified(const cn_buf *zip, const char *what)
{
    cn_verify_report *r = fx_verify(&f, zip);
    for (int i = 0; i < CN_STEP_COUNT; i++)
        cr_expect_neq(r->step[i].verdict, CN_VERDICT_FAILED, "%s: %s: %s: %s", what,
                      cn_verify_step_name((cn_verify_step)i), r->step[i].err.field, r->step[i].err.text);
    cr_expect(r->accepted, "%s", what);
    return r;
}

static void audited(const char *uri, uint64_t erased)
{
    cn_buf zip;
    fx_audit(&f, uri, &zip);
    cn_verify_report *r = verified(&zip, uri);
    cr_expect_eq(r->erased_items, erased, "%s: %llu erased", uri, (unsigned long long)r->erased_items);
    free(r);
    cn_buf_free(&zip);
}

static void statement_audited(const cn_digest *id, uint64_t erased, const char *what)
{
    cn_err err = {0};
    cn_buf zip;
    cn_audit_order order = {.salt = f.genesis.subject_salt};
    cn_buf_init(&zip, CN_AUDIT_MAX_BYTES);
    cr_assert_eq(cn_snapshot_open(f.store, &order.snap, &err), CN_OK);
    cr_assert_eq(cn_audit_statement(&order, id, &zip, &err), CN_OK, "%s: %s", err.field, err.text);
    cn_snapshot_close(order.snap);
    cn_verify_report *r = verified(&zip, what);
    cr_expect_eq(r->erased_items, erased, "%s: %llu erased", what, (unsigned long long)r->erased_items);
    free(r);
    cn_buf_free(&zip);
}

/* ---- left out by whoever asks ---- */

static cn_status redacted_audit(const char *uri, const char *what, cn_buf *zip, cn_err *err)
{
    cn_audit_order order = {.salt = f.genesis.subject_salt};
    cn_buf_init(zip, CN_AUDIT_MAX_BYTES);
    cn_status st = cn_redact_parse(what, &order.redact, err);
    if (st == CN_OK) {
        cr_assert_eq(cn_snapshot_open(f.store, &order.snap, err), CN_OK);
        st = cn_audit_subject(&order, uri, zip, err);
        cn_snapshot_close(order.snap);
    }
    cn_redact_free(order.redact);
    return st;
}

static bool holds(const cn_buf *zip, const char *text)
{
    cn_dossier d;
    bool found = false;
    cr_assert_eq(cn_dossier_read(zip->p, zip->n, &d, NULL), CN_OK);
    for (size_t i = 0; i < d.statement_count; i++)
        found = found || memmem(d.statement[i].whole.p, d.statement[i].whole.n, text, strlen(text));
    cn_dossier_clear(&d);
    return found;
}

Test(erasure, items_that_the_asker_leaves_out_are_named_and_all_else_holds)
{
    cn_err err = {0};
    cn_buf zip;
    char what[200];
    snprintf(what, sizeof what, "%s:1,%s:0-1", cn_digest_hex(&batch->id).s, cn_digest_hex(&batch->id).s);
    audited(BOX, 0);
    cr_assert_eq(redacted_audit(BOX, what, &zip, &err), CN_OK, "%s: %s", err.field, err.text);
    cr_expect_not(holds(&zip, WHERE_JANE_WAS));
    cn_verify_report *r = verified(&zip, "both items left out");
    cr_expect_eq(r->redacted_items, 2u);
    cr_expect_eq(r->erased_items, 0u);
    free(r);
    cn_buf_free(&zip);

    erase(0, 1); /* what an order erased is the order's */
    cr_assert_eq(redacted_audit(BOX, what, &zip, &err), CN_OK, "%s: %s", err.field, err.text);
    r = verified(&zip, "one erased, one left out");
    cr_expect_eq(r->redacted_items, 1u);
    cr_expect_eq(r->erased_items, 1u);
    free(r);
    cn_buf_free(&zip);

    snprintf(what, sizeof what, "%s:0", cn_digest_hex(&batch->id).s);
    cr_assert_eq(redacted_audit(CARGO, what, &zip, &err), CN_OK);
    cr_expect(holds(&zip, WHERE_JANE_WAS), "the other item stays");
    cn_buf_free(&zip);
}

/* A typing error must not show what was to be left out. */
Test(erasure, leaving_out_what_is_not_there_is_refused)
{
    static const struct {
        const char *suffix, *words;
        cn_status code;
    } wrong[] = {{":2", "2 items, counted from 0", CN_NOT_FOUND},
                 {":0-2", "2 items, counted from 0", CN_NOT_FOUND},
                 {":1-0", "is not STATEMENT:ITEMS", CN_INVALID},
                 {":", "is not STATEMENT:ITEMS", CN_INVALID},
                 {":1,", "is not STATEMENT:ITEMS", CN_INVALID},
                 {":-1", "is not STATEMENT:ITEMS", CN_INVALID},
                 {":1 ", "is not STATEMENT:ITEMS", CN_INVALID},
                 {":18446744073709551616", "is not STATEMENT:ITEMS", CN_INVALID},
                 {"0:1", "is not STATEMENT:ITEMS", CN_INVALID},
                 {"", "is not STATEMENT:ITEMS", CN_INVALID}};
    cn_err err = {0};
    cn_buf zip;
    char what[200];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(what, sizeof what, "%s%s", cn_digest_hex(&batch->id).s, wrong[i].suffix);
        cr_expect_eq(redacted_audit(BOX, what, &zip, &err), wrong[i].code, "%s", what);
        cr_expect(strstr(err.text, wrong[i].words), "%s: %s", what, err.text);
        cn_buf_free(&zip);
    }
    cr_expect_eq(redacted_audit(BOX, "", &zip, &err), CN_INVALID);
    cn_buf_free(&zip);
    cn_digest other = cn_sha256("x", 1);
    snprintf(what, sizeof what, "%s:0", cn_digest_hex(&other).s);
    cr_expect_eq(redacted_audit(BOX, what, &zip, &err), CN_NOT_FOUND);
    cr_expect(strstr(err.text, "not final on this node"), "%s", err.text);
    cn_buf_free(&zip);
    snprintf(what, sizeof what, "%s:0", cn_digest_hex(&batch->id).s);
    cr_expect_eq(redacted_audit("urn:carnet:ucr:4KE51234567-NEVER", what, &zip, &err), CN_NOT_FOUND);
    cr_expect(strstr(err.text, "no part of this dossier"), "%s", err.text);
    cn_buf_free(&zip);
}

/* The batch is in every audit of any of its subjects, and an order about one of them must be there with it. */
Test(erasure, every_audit_that_holds_the_batch_holds_the_order)
{
    cn_digest order = erase(1, 1);
    audited(CARGO, 1);
    audited(BOX, 1);
    statement_audited(&batch->id, 1, "the batch alone");
    ch_commit(&f, &f.member[3], attestation_of(&order));
    audited(BOX, 1);
    statement_audited(&batch->id, 1, "the batch alone, attested");
    statement_audited(&order, 0, "the order alone");
    audited("urn:carnet:erasures", 0);
    erase(0, 1); /* by another order */
    audited(BOX, 2);
    audited(CARGO, 2);
    statement_audited(&batch->id, 2, "two orders");
}

/* The record that an order carries may have another good signature than the one recorded: it is the same statement. */
Test(erasure, an_order_by_another_signature_of_the_same_statement)
{
    cn_buf again = signed_again(&device);
    ch_commit(&f, &f.member[1], order_of(CN_SPAN(again.p, again.n), 0, 1));
    cn_buf_free(&again);
    purge(0, 1);
    audited(BOX, 1);
    audited(CARGO, 1);
}

/* Who holds the dossier blanks an item that nobody ordered away. */
Test(erasure, a_dossier_cannot_blank_an_item_by_itself)
{
    cn_buf zip, again, items;
    bool changed = false;
    cn_certificate cert;
    cn_err err = {0};
    cn_digest order = erase(1, 1);
    (void)order;
    fx_audit(&f, CARGO, &zip);
    cn_dossier *d = calloc(1, sizeof *d);
    cr_assert_eq(cn_dossier_read(zip.p, zip.n, d, &err), CN_OK, "%s", err.text);
    for (size_t i = 0; i < d->statement_count; i++) {
        if (d->statement[i].log_index != batch_index)
            continue;
        cn_span whole = d->statement[i].whole;
        cn_buf_init(&items, CN_MAX_STATEMENT_BYTES);
        cn_put_bytes(&items, whole.p, batch->record.n);
        cr_assert_eq(cn_items_erase(CN_SPAN((const uint8_t *)whole.p + batch->record.n, whole.n - batch->record.n), 0,
                                    1, &items, &changed, &err),
                     CN_OK);
        d->statement[i].whole = CN_SPAN(items.p, items.n);
    }
    cr_assert(changed);
    cn_reader r = cn_reader_of(d->certificate.p, d->certificate.n);
    cr_assert_eq(cn_certificate_read(&r, &cert, &err), CN_OK);
    fx_rebuild(d, &cert, &again);
    cn_verify_report *report = fx_verify(&f, &again);
    cr_expect_not(report->accepted);
    cr_expect_eq(report->step[CN_STEP_REDACTIONS].verdict, CN_VERDICT_FAILED);
    cr_expect(strstr(report->step[CN_STEP_REDACTIONS].err.text, "item 0") != NULL, "%s",
              report->step[CN_STEP_REDACTIONS].err.text);
    cr_expect_eq(report->step[CN_STEP_ITEM_ROOT].verdict, CN_VERDICT_OK);
    cr_expect_eq(report->erased_items, 1u, "the one that was ordered");
    free(report);
    cn_buf_free(&items);
    cn_buf_free(&again);
    cn_buf_free(&zip);
    cn_dossier_clear(d);
    free(d);
}

/* An erased item whose leaf hash was forged does not hold up the root that was signed. */
Test(erasure, a_forged_leaf_hash_is_named)
{
    cn_buf whole;
    cn_statement *s = NULL;
    cn_err err = {0};
    bool changed = false;
    cn_buf_init(&whole, CN_MAX_STATEMENT_BYTES);
    cn_put_bytes(&whole, batch->record.p, batch->record.n);
    cr_assert_eq(
        cn_items_erase(CN_SPAN((const uint8_t *)batch->whole.p + batch->record.n, batch->whole.n - batch->record.n), 0,
                       2, &whole, &changed, &err),
        CN_OK);
    cr_assert_eq(cn_statement_decode(whole.p, whole.n, &s, &err), CN_OK, "%s", err.text);
    cr_expect_eq(cn_statement_check_items(s, &err), CN_OK);
    cr_expect_neq(cn_statement_check_whole(s, &err), CN_OK, "no vote without content");
    cn_statement_free(s);
    whole.p[whole.n - 1] ^= 1;
    cr_assert_eq(cn_statement_decode(whole.p, whole.n, &s, &err), CN_OK, "%s", err.text);
    cr_expect_eq(cn_statement_check_items(s, &err), CN_ITEM_ROOT);
    cn_statement_free(s);
    cn_buf_free(&whole);
}

/* ---- bytes on the disk ---- */

static bool file_has(const char *path, const char *words)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    size_t n = strlen(words), size = 0;
    char *bytes = NULL;
    cr_assert_eq(fseek(file, 0, SEEK_END), 0);
    size = (size_t)ftell(file);
    rewind(file);
    bytes = malloc(size + 1);
    cr_assert(bytes && fread(bytes, 1, size, file) == size);
    fclose(file);
    bool found = memmem(bytes, size, words, n) != NULL;
    free(bytes);
    return found;
}

static void on_line(void *ctx, bool is_fault, const char *text)
{
    (void)ctx;
    cr_expect_not(is_fault, "%s", text);
}

/* A page that stays in use keeps what stood in it before a row shrank: the copy must leave such gaps out. */
Test(erasure, a_compacted_ledger_holds_no_byte_of_it)
{
    char to[] = "/tmp/carnet-compact-XXXXXX", path[96];
    cn_err err = {0};
    cn_store_options options = {.dir = f.dir, .map_size = (size_t)1 << 30},
                     copy = {.dir = to, .map_size = (size_t)1 << 30};
    cn_fsck_report report = {0};
    erase(0, 2);
    cn_digest root = cn_ledger_block_header(cn_ledger_tip(f.ledger))->state_root;
    cr_assert_not_null(mkdtemp(to));
    cr_assert_eq(cn_store_compact(&options, to, &err), CN_OK, "%s: %s", err.field, err.text);
    snprintf(path, sizeof path, "%s/data.mdb", to);
    cr_expect_not(file_has(path, WHERE_JANE_WAS), "the copy still has the content");
    cr_expect_eq(cn_store_fsck(&copy, f.genesis.subject_salt, on_line, NULL, &report, &err), CN_OK, "%s", err.text);
    cr_expect(report.faults == 0 && report.statements > 0);
    cn_store *store = NULL;
    cr_assert_eq(cn_store_open(&copy, &store, &err), CN_OK, "%s", err.text);
    cn_snapshot *snap = NULL;
    cn_tip tip;
    cr_assert(cn_snapshot_open(store, &snap, NULL) == CN_OK && cn_snapshot_tip(snap, &tip, NULL) == CN_OK);
    cr_expect(cn_digest_eq(&tip.header.state_root, &root));
    cn_snapshot_close(snap);
    cn_store_close(store);
    for (const char *const *name = (const char *const[]){"data.mdb", "lock.mdb", "writer.lock", NULL}; *name; name++) {
        snprintf(path, sizeof path, "%s/%s", to, *name);
        unlink(path);
    }
    rmdir(to);
}
