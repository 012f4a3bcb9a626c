/* The offline verifier against dossiers that break one thing each: it must name the step that fails, and where. */
#include "mini.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONSIGNMENT "urn:carnet:ucr:4KE51234567-ROSES"
#define OTHER "urn:carnet:ucr:4KE51234567-BEANS"
#define CONTAINER "urn:epc:id:bic:CSQU3054383"
#define MINUTE 60000u

/* What is recorded, by log index. */
enum { DEVICE = 2, REEFER, FIRST, PAIRED, SENSED, ELSEWHERE, SECOND, UNPAIRED, LATE, LAST };

static mini m;
static mini_signer device, reefer;
static cn_verify_report report;

/* Three observations of a subject, one a minute. */
static uint64_t observe(mini_signer *signer, const char *uri, unsigned minute)
{
    char text[4096];
    size_t n = (size_t)snprintf(text, sizeof text,
                                "{\"@context\":[\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\"],"
                                "\"type\":\"EPCISDocument\",\"schemaVersion\":\"2.0\","
                                "\"creationDate\":\"2026-05-01T08:00:00.000Z\",\"epcisBody\":{\"eventList\":[");
    for (unsigned i = 0; i < 3; i++)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "%s{\"type\":\"ObjectEvent\",\"eventTime\":\"2026-05-01T08:%02u:00.000Z\","
                              "\"eventTimeZoneOffset\":\"+03:00\",\"action\":\"OBSERVE\",\"bizStep\":\"inspecting\","
                              "\"epcList\":[\"%s\"]}",
                              i ? "," : "", minute + i, uri);
    snprintf(text + n, sizeof text - n, "]}}");
    return mini_document(&m, signer, text);
}

static void begin(void)
{
    mini_begin(&m);
    device = mini_device(&m, &m.capture[0], 101);
    reefer = mini_device(&m, &m.capture[2], 102);
    cr_assert_eq(observe(&device, CONSIGNMENT, 0), (uint64_t)FIRST);
    cr_assert_eq(mini_pair(&m, &m.capture[0], CONTAINER, CONSIGNMENT, MINI_TIME, 0), (uint64_t)PAIRED);
    cr_assert_eq(observe(&reefer, CONTAINER, 5), (uint64_t)SENSED);
    cr_assert_eq(observe(&device, OTHER, 10), (uint64_t)ELSEWHERE);
    cr_assert_eq(observe(&device, CONSIGNMENT, 15), (uint64_t)SECOND);
    cr_assert_eq(mini_pair(&m, &m.capture[0], CONTAINER, CONSIGNMENT, MINI_TIME, MINI_TIME + 20 * MINUTE),
                 (uint64_t)UNPAIRED);
    cr_assert_eq(observe(&reefer, CONTAINER, 30), (uint64_t)LATE);
    cr_assert_eq(observe(&device, CONSIGNMENT, 40), (uint64_t)LAST);
}

static void end(void)
{
    mini_end(&m);
}

static void print_report(void)
{
    for (int i = 0; i < CN_STEP_COUNT; i++)
        if (report.step[i].verdict == CN_VERDICT_FAILED)
            fprintf(stderr, "  %s: %s: %s\n", cn_verify_step_name((cn_verify_step)i), report.step[i].err.field,
                    report.step[i].err.text);
}

static void expect_accepted(mini_parts *p)
{
    cn_status st = mini_verify(&m, p, &report);
    if (st != CN_OK)
        print_report();
    cr_assert_eq(st, CN_OK);
    cr_assert(report.accepted);
    for (int i = 0; i < CN_VERIFY_REQUIRED; i++)
        cr_expect_eq(report.step[i].verdict, CN_VERDICT_OK);
    cr_expect_eq(report.step[CN_STEP_TIME].verdict, CN_VERDICT_NOT_CHECKED);
    mini_parts_free(p);
}

/* The first step that fails is this one, at this place, for this reason. */
static void expect_refused(mini_parts *p, cn_verify_step step, const char *where, const char *reason)
{
    cn_status st = mini_verify(&m, p, &report);
    int first = 0;
    while (first < CN_STEP_COUNT && report.step[first].verdict != CN_VERDICT_FAILED)
        first++;
    if (first != (int)step)
        print_report();
    cr_expect(!report.accepted);
    cr_expect_neq(st, CN_OK);
    cr_assert_eq(first, (int)step, "%s expected", cn_verify_step_name(step));
    const cn_err *err = &report.step[step].err;
    cr_expect(strstr(err->field, where), "%s is not at %s", err->field, where);
    cr_expect(strstr(err->text, reason), "\"%s\" does not say \"%s\"", err->text, reason);
    mini_parts_free(p);
}

static char *file_of(uint64_t index)
{
    static char name[64];
    snprintf(name, sizeof name, "statements/%020llu.bin", (unsigned long long)index);
    return name;
}

static char *file_of_subject(const cn_digest *tag)
{
    static char name[96];
    snprintf(name, sizeof name, "subjects/%s.bin", cn_digest_hex(tag).s);
    return name;
}

static mini_parts *dossier(void)
{
    return mini_parts_of(&m, CONSIGNMENT);
}

TestSuite(steps, .init = begin, .fini = end);

/* ---- what holds ---- */

Test(steps, accepts_what_a_network_recorded)
{
    mini_parts *p = dossier();
    cr_assert_eq(mini_place(p, ELSEWHERE), p->statements); /* another consignment stays out */
    cr_assert_lt(mini_place(p, LATE), p->statements);      /* the container's own record is in */
    expect_accepted(p);
    cr_expect_str_eq(report.subject, CONSIGNMENT);
    cr_expect_eq(report.subject_statements, 6u);
    cr_expect_eq(report.items, 4u * 5u);
    cr_expect(!report.absent);
}

Test(steps, accepts_the_absence_of_an_unknown_subject)
{
    expect_accepted(mini_parts_of(&m, "urn:carnet:ucr:4KE51234567-NOTHING"));
    cr_expect(report.absent);
}

/* The dossier of one statement: without the trees of what it is about. */
static mini_parts *dossier_of_statement(void)
{
    mini_parts *p = dossier();
    cn_digest keep = cn_key_subject(m.genesis.subject_salt, &device.id);
    p->kind = CN_DOSSIER_STATEMENT;
    p->tag = m.statement[SECOND].decoded->id;
    snprintf(p->scope, sizeof p->scope, "%s", cn_digest_hex(&p->tag).s);
    cn_digest consignment = mini_tag(&m, CONSIGNMENT), container = mini_tag(&m, CONTAINER),
              other_key = cn_key_subject(m.genesis.subject_salt, &reefer.id);
    mini_drop_subject(p, &consignment);
    mini_drop_subject(p, &container);
    mini_drop_subject(p, &other_key);
    for (uint64_t i = DEVICE; i <= LAST; i++)
        if (i != DEVICE && i != SECOND && mini_place(p, i) < p->statements)
            mini_drop_statement(p, i);
    cr_assert_lt(mini_subject_place(p, &keep), p->subjects);
    return p;
}

Test(steps, accepts_one_statement_with_the_authority_of_its_key)
{
    expect_accepted(dossier_of_statement());
}

/* Otherwise one good statement passes for all that is recorded about the consignment. */
Test(steps, refuses_one_statement_under_the_name_of_a_subject)
{
    mini_parts *p = dossier_of_statement();
    snprintf(p->scope, sizeof p->scope, "%s", CONSIGNMENT);
    expect_refused(p, CN_STEP_COMPLETENESS, "manifest.json", "names another subject than that statement's id");
    p = dossier_of_statement();
    snprintf(p->scope, sizeof p->scope, "%s", cn_digest_hex(&m.statement[FIRST].decoded->id).s);
    expect_refused(p, CN_STEP_COMPLETENESS, "manifest.json", "names another subject than that statement's id");
}

Test(steps, is_the_same_file_every_time)
{
    cn_buf one, two;
    mini_parts *p = dossier(), *q = dossier();
    mini_pack(p, &one);
    for (size_t i = 0; i + 1 < q->statements; i += 2) { /* the order of adding does not matter */
        mini_parts *swap = malloc(sizeof *swap);
        swap->statement[0] = q->statement[i];
        q->statement[i] = q->statement[i + 1];
        q->statement[i + 1] = swap->statement[0];
        free(swap);
    }
    mini_pack(q, &two);
    cr_expect(one.n == two.n && memcmp(one.p, two.p, one.n) == 0);
    cn_buf_free(&one);
    cn_buf_free(&two);
    mini_parts_free(p);
    mini_parts_free(q);
}

/* ---- genesis, epoch, quorum ---- */

Test(steps, refuses_the_genesis_of_another_network)
{
    mini_parts *p = dossier();
    p->genesis.p[p->genesis.n / 2] ^= 1;
    expect_refused(p, CN_STEP_GENESIS, "genesis.json", "not the one given");
    cr_expect_eq(report.step[CN_STEP_QUORUM].verdict, CN_VERDICT_NOT_CHECKED);
}

Test(steps, refuses_another_epoch_and_other_validators)
{
    mini_parts *p = dossier();
    p->header[1].epoch = 2;
    expect_refused(p, CN_STEP_EPOCH_CHAIN, "checkpoint.bin", "header 1");
    p = dossier();
    p->header[0].set.b[0] ^= 1;
    expect_refused(p, CN_STEP_EPOCH_CHAIN, "checkpoint.bin", "header 0");
}

Test(steps, refuses_signatures_of_another_block)
{
    mini_parts *p = dossier(); /* a whole certificate of another block */
    cn_digest other = cn_header_digest(&p->header[0]), last = cn_header_digest(&p->header[2]);
    mini_certificate(&m, &other, 7, &p->certificate);
    expect_refused(p, CN_STEP_QUORUM, "checkpoint.bin", "not a finalization of this block");
    p = dossier(); /* one signature taken from it */
    cn_buf foreign;
    cn_buf_init(&foreign, CN_CERTIFICATE_MAX);
    mini_certificate(&m, &other, 7, &foreign);
    memcpy(p->certificate.p + p->certificate.n - 64, foreign.p + foreign.n - 64, 64);
    cn_buf_free(&foreign);
    (void)last;
    expect_refused(p, CN_STEP_QUORUM, "checkpoint.bin", "is not valid");
}

Test(steps, refuses_a_signer_counted_twice)
{
    mini_parts *p = dossier(); /* the first signature stands again in the place of the second */
    memcpy(p->certificate.p + p->certificate.n - 128, p->certificate.p + p->certificate.n - 192, 64);
    expect_refused(p, CN_STEP_QUORUM, "checkpoint.bin", "is not valid");
}

Test(steps, refuses_one_signer_too_few)
{
    mini_parts *p = dossier();
    cn_digest last = cn_header_digest(&p->header[2]);
    mini_certificate(&m, &last, 3, &p->certificate);
    expect_refused(p, CN_STEP_QUORUM, "checkpoint.bin", "2 signers");
    p = dossier(); /* or one too many */
    mini_certificate(&m, &last, 15, &p->certificate);
    expect_refused(p, CN_STEP_QUORUM, "checkpoint.bin", "4 signers");
}

Test(steps, refuses_votes_of_another_kind)
{
    mini_parts *p = dossier();
    p->certificate.p[0] = CN_NOTARIZE;
    expect_refused(p, CN_STEP_QUORUM, "checkpoint.bin", "not a finalization");
}

Test(steps, refuses_headers_that_are_not_linked)
{
    mini_parts *p = dossier();
    p->header[0].log_root.b[5] ^= 1; /* the certificate still names the last header */
    expect_refused(p, CN_STEP_QUORUM, "checkpoint.bin", "header 1 does not follow");
    p = dossier();
    p->checkpoint++;
    expect_refused(p, CN_STEP_QUORUM, "checkpoint.bin", "not the checkpoint that the manifest names");
}

/* What a quorum signed counts, and this is what it may not sign: heights that jump, proofs against no checkpoint. */
Test(steps, refuses_finalized_headers_of_the_wrong_height_or_kind)
{
    mini_parts *p = dossier();
    p->header[1].height += 5;
    p->header[2].height = p->header[1].height + 1;
    p->header[2].parent = cn_header_digest(&p->header[1]);
    cn_digest last = cn_header_digest(&p->header[2]);
    mini_certificate(&m, &last, 7, &p->certificate);
    expect_refused(p, CN_STEP_QUORUM, "checkpoint.bin", "header 1 does not follow");
    p = dossier();
    p->headers = 1;
    p->header[0].kind = CN_BLOCK_NORMAL;
    last = cn_header_digest(&p->header[0]);
    mini_certificate(&m, &last, 7, &p->certificate);
    expect_refused(p, CN_STEP_QUORUM, "checkpoint.bin", "not the checkpoint");
}

Test(steps, refuses_bytes_behind_the_certificate)
{
    mini_parts *p = dossier();
    cn_put_u8(&p->certificate, 0);
    expect_refused(p, CN_STEP_QUORUM, "checkpoint.bin", "bytes follow");
}

/* ---- statements ---- */

Test(steps, names_the_item_root_when_one_byte_of_an_item_changed)
{
    mini_parts *p = dossier();
    cn_buf *items = &p->statement[mini_place(p, SECOND)].items;
    char *at = memmem(items->p, items->n, "+03:00", 6);
    cr_assert_not_null(at);
    at[2] = '2';
    expect_refused(p, CN_STEP_ITEM_ROOT, file_of(SECOND), "");
    cr_expect_eq(report.step[CN_STEP_ITEM_ROOT].faults, 1u);
    cr_expect_eq(report.step[CN_STEP_COMPLETENESS].verdict, CN_VERDICT_OK);
}

/* Items are field 3: tag 0x1a, length, bytes. The first is the envelope. */
static size_t item_end(const cn_buf *items, size_t at)
{
    cr_assert_eq(items->p[at], 0x1a);
    size_t n = items->p[at + 1] & 0x7f, used = 2;
    if (items->p[at + 1] & 0x80)
        n |= (size_t)items->p[at + used++] << 7;
    return at + used + n;
}

Test(steps, names_the_item_root_when_one_event_was_removed)
{
    mini_parts *p = dossier();
    cn_buf *items = &p->statement[mini_place(p, SECOND)].items;
    size_t first = item_end(items, 0), second = item_end(items, first);
    memmove(items->p + first, items->p + second, items->n - second);
    items->n -= second - first;
    expect_refused(p, CN_STEP_ITEM_ROOT, file_of(SECOND), "");
}

Test(steps, names_the_item_root_when_two_events_were_swapped)
{
    mini_parts *p = dossier();
    cn_buf *items = &p->statement[mini_place(p, SECOND)].items;
    size_t first = item_end(items, 0), second = item_end(items, first), third = item_end(items, second);
    cr_assert_eq(second - first, third - second);
    for (size_t i = 0; i < second - first; i++) {
        uint8_t byte = items->p[first + i];
        items->p[first + i] = items->p[second + i];
        items->p[second + i] = byte;
    }
    expect_refused(p, CN_STEP_ITEM_ROOT, file_of(SECOND), "");
}

Test(steps, names_the_signature)
{
    mini_parts *p = dossier();
    cn_buf *record = &p->statement[mini_place(p, SECOND)].record;
    record->p[record->n - 10] ^= 1;
    expect_refused(p, CN_STEP_INCLUSION, file_of(SECOND), ""); /* the log holds another record */
    cr_expect_eq(report.step[CN_STEP_SIGNATURE].verdict, CN_VERDICT_FAILED);
    cr_expect(strstr(report.step[CN_STEP_SIGNATURE].err.field, file_of(SECOND)));
}

Test(steps, names_the_inclusion_when_statements_are_swapped_or_moved)
{
    mini_parts *p = dossier();
    size_t a = mini_place(p, FIRST), b = mini_place(p, SECOND);
    p->statement[a].index = SECOND;
    p->statement[b].index = FIRST;
    expect_refused(p, CN_STEP_INCLUSION, "statements/", "does not lead");
    p = dossier(); /* the path of its neighbour */
    a = mini_place(p, FIRST), b = mini_place(p, PAIRED);
    memcpy(p->statement[a].path, p->statement[b].path, sizeof p->statement[a].path);
    expect_refused(p, CN_STEP_INCLUSION, file_of(FIRST), "does not lead");
    p = dossier();
    p->statement[mini_place(p, FIRST)].path_len--;
    expect_refused(p, CN_STEP_INCLUSION, file_of(FIRST), "does not lead");
}

/* ---- completeness ---- */

Test(steps, names_completeness_when_a_statement_is_withheld)
{
    mini_parts *p = dossier(); /* its leaf still says that it is there */
    mini_drop_statement(p, SECOND);
    expect_refused(p, CN_STEP_COMPLETENESS, "subjects/", "missing");
    p = dossier(); /* and the leaf goes too */
    cn_digest tag = mini_tag(&m, CONSIGNMENT);
    size_t at = mini_subject_place(p, &tag), k = 0;
    while (p->subject[at].leaf[k].log_index != SECOND)
        k++;
    for (; k + 1 < p->subject[at].count; k++)
        p->subject[at].leaf[k] = p->subject[at].leaf[k + 1];
    p->subject[at].count--;
    mini_drop_statement(p, SECOND);
    expect_refused(p, CN_STEP_COMPLETENESS, file_of_subject(&tag), "do not hash to the record");
}

Test(steps, names_completeness_when_the_newest_is_withheld_with_an_older_record)
{
    /* everything as it was one statement ago, but the checkpoint is today's */
    mini *before = malloc(sizeof *before);
    cr_assert_not_null(before);
    memcpy(before, &m, sizeof m);
    before->log_size--;
    cn_digest tag = mini_tag(&m, CONSIGNMENT);
    mini_subject *s = mini_find(before, &tag);
    s->record.count--;
    mini_reroot(s);
    mini_parts *old = mini_parts_of(before, CONSIGNMENT), *p = dossier();
    size_t at = mini_subject_place(p, &tag), from = mini_subject_place(old, &tag);
    p->subject[at].count = old->subject[from].count;
    cn_buf_clear(&p->subject[at].proof);
    cn_put_bytes(&p->subject[at].proof, old->subject[from].proof.p, old->subject[from].proof.n);
    mini_drop_statement(p, LAST);
    mini_parts_free(old);
    free(before);
    expect_refused(p, CN_STEP_COMPLETENESS, file_of_subject(&tag), "not in the state of the checkpoint");
}

Test(steps, names_completeness_when_leaves_are_swapped)
{
    mini_parts *p = dossier();
    cn_digest tag = mini_tag(&m, CONSIGNMENT);
    cn_subject_leaf *leaf = p->subject[mini_subject_place(p, &tag)].leaf, first = leaf[0];
    leaf[0] = leaf[1];
    leaf[1] = first;
    expect_refused(p, CN_STEP_COMPLETENESS, file_of_subject(&tag), "out of order");
}

Test(steps, refuses_an_absence_that_is_not_proved)
{
    mini_parts *p = dossier(); /* what is there, as if it were not: with the neighbours of another key */
    mini_parts *absent = mini_parts_of(&m, "urn:carnet:ucr:4KE51234567-NOTHING");
    cn_digest tag = mini_tag(&m, CONSIGNMENT), nothing = absent->tag;
    size_t at = mini_subject_place(p, &tag), from = mini_subject_place(absent, &nothing);
    p->subject[at].present = false;
    cn_buf_clear(&p->subject[at].proof);
    cn_put_bytes(&p->subject[at].proof, absent->subject[from].proof.p, absent->subject[from].proof.n);
    mini_parts_free(absent);
    expect_refused(p, CN_STEP_COMPLETENESS, file_of_subject(&tag), "absence is not proved");
    /* and with nothing else in the dossier that would give it away */
    p = mini_parts_of(&m, "urn:carnet:ucr:4KE51234567-NOTHING");
    snprintf(p->scope, sizeof p->scope, "%s", CONSIGNMENT);
    p->tag = p->subject[0].tag = tag;
    expect_refused(p, CN_STEP_COMPLETENESS, file_of_subject(&tag), "absence is not proved");
}

Test(steps, refuses_absence_under_another_spelling)
{
    /* "nothing is recorded" would be true of this spelling, and mean nothing */
    expect_refused(mini_parts_of(&m, "urn:carnet:ucr:4ke51234567-roses"), CN_STEP_COMPLETENESS, "manifest.json",
                   "canonical");
}

Test(steps, refuses_another_name_for_the_subject)
{
    mini_parts *p = dossier();
    snprintf(p->scope, sizeof p->scope, "%s", OTHER);
    expect_refused(p, CN_STEP_COMPLETENESS, "manifest.json", "does not give its tag");
}

Test(steps, refuses_a_record_that_is_not_that_of_its_leaves)
{
    cn_digest tag = mini_tag(&m, CONSIGNMENT);
    mini_subject *s = mini_find(&m, &tag);
    s->record.count++; /* a count that promises one more */
    mini_parts *p = dossier();
    p->subject[mini_subject_place(p, &tag)].count--;
    expect_refused(p, CN_STEP_COMPLETENESS, file_of_subject(&tag), "do not hash to the record of 7");
    s->record.count--;
    s->record.last_height++;
    expect_refused(dossier(), CN_STEP_COMPLETENESS, file_of_subject(&tag), "not at the recorded height");
}

Test(steps, refuses_a_leaf_of_another_record)
{
    cn_digest tag = mini_tag(&m, CONSIGNMENT);
    mini_subject *s = mini_find(&m, &tag);
    s->leaf[0].record.b[0] ^= 1;
    mini_reroot(s);
    expect_refused(dossier(), CN_STEP_COMPLETENESS, file_of_subject(&tag), "is not the one recorded");
}

Test(steps, refuses_a_tree_without_what_declares_its_subject)
{
    cn_digest tag = mini_tag(&m, CONTAINER); /* the consignment has it, the container does not */
    mini_subject *s = mini_find(&m, &tag);
    cr_assert_eq(s->leaf[1].log_index, (uint64_t)SENSED);
    for (uint64_t i = 1; i + 1 < s->record.count; i++)
        s->leaf[i] = s->leaf[i + 1];
    s->record.count--;
    mini_reroot(s);
    expect_refused(dossier(), CN_STEP_COMPLETENESS, file_of(SENSED), "whose tree does not hold it");
}

Test(steps, refuses_a_state_proof_with_a_changed_bit)
{
    mini_parts *p = dossier();
    cn_digest tag = mini_tag(&m, CONSIGNMENT);
    cn_buf *proof = &p->subject[mini_subject_place(p, &tag)].proof;
    proof->p[proof->n - 1] ^= 1;
    expect_refused(p, CN_STEP_COMPLETENESS, file_of_subject(&tag), "");
}

/* ---- keys ---- */

static uint64_t revoke(const mini_signer *target, uint64_t last_good)
{
    cn_registry_change change = {.op = CN_REG_KEY_REVOKE, .key_id = target->id, .sequence = last_good, .reason = 3};
    return mini_registry(&m, &m.capture[0], &change);
}

Test(steps, names_the_authority_when_the_key_was_revoked_before)
{
    revoke(&device, device.sequence);
    uint64_t late = observe(&device, CONSIGNMENT, 50);
    expect_refused(dossier(), CN_STEP_AUTHORITY, file_of(late), "revoked before");
}

Test(steps, accepts_what_was_signed_before_a_revocation)
{
    revoke(&device, device.sequence);
    expect_accepted(dossier());
}

Test(steps, names_completeness_when_the_revocation_is_withheld)
{
    uint64_t at = revoke(&device, device.sequence);
    observe(&device, CONSIGNMENT, 50);
    mini_parts *p = dossier();
    cn_digest about = cn_key_subject(m.genesis.subject_salt, &device.id);
    mini_drop_statement(p, at);
    p->subject[mini_subject_place(p, &about)].count--;
    expect_refused(p, CN_STEP_COMPLETENESS, file_of_subject(&about), "do not hash to the record");
}

Test(steps, accepts_what_the_owner_salvages)
{
    revoke(&device, device.sequence);
    mini_signer head = device;
    mini trial = m; /* its id is not known before it is signed */
    (void)observe(&device, CONSIGNMENT, 50);
    cn_digest id = m.statement[m.log_size - 1].decoded->id;
    cn_statement_free(m.statement[m.log_size - 1].decoded);
    cn_buf_free(&m.statement[m.log_size - 1].whole);
    m = trial;
    device = head;
    cn_registry_change change = {.op = CN_REG_KEY_SALVAGE, .key_id = device.id, .salvaged = &id, .salvaged_count = 1};
    mini_registry(&m, &m.capture[0], &change);
    observe(&device, CONSIGNMENT, 50);
    expect_accepted(dossier());
}

Test(steps, names_the_authority_of_a_replaced_key)
{
    mini_signer fresh;
    cn_registry_change change = {.op = CN_REG_KEY_ROTATE, .key_id = device.id};
    change.new_key = mini_new_key(&m, 103, &device.owner, &fresh);
    mini_registry(&m, &m.capture[0], &change);
    observe(&fresh, CONSIGNMENT, 45);
    expect_accepted(dossier());
    uint64_t late = observe(&device, CONSIGNMENT, 50);
    expect_refused(dossier(), CN_STEP_AUTHORITY, file_of(late), "replaced before");
}

Test(steps, names_the_authority_of_a_key_that_nobody_registered)
{
    mini_signer stranger;
    (void)mini_new_key(&m, 104, &m.capture[0].owner, &stranger);
    uint64_t at = observe(&stranger, CONSIGNMENT, 50);
    expect_refused(dossier(), CN_STEP_AUTHORITY, file_of(at), "no registration");
}

Test(steps, names_the_authority_when_a_device_registers_a_key)
{
    mini_signer fresh = mini_device(&m, &device, 105); /* a device may not */
    uint64_t registered = m.log_size - 1;
    observe(&fresh, CONSIGNMENT, 50);
    expect_refused(dossier(), CN_STEP_AUTHORITY, file_of(registered), "may not register");
}

static uint64_t admit(mini_signer *by, uint8_t seed, mini_signer *ret)
{
    cn_registry_change change = {
        .op = CN_REG_MEMBER_REGISTER, .name = "forwarder-1", .country = "SG", .roles = CN_ROLE_FORWARDER};
    cn_digest member = cn_member_id(change.name);
    change.new_key = mini_new_key(&m, seed, &member, ret);
    change.new_key.purpose = CN_PURPOSE_CAPTURE;
    return mini_registry(&m, by, &change);
}

Test(steps, accepts_a_member_that_a_registrar_admitted)
{
    mini_signer member;
    admit(&m.capture[1], 109, &member);
    mini_signer sensor = mini_device(&m, &member, 110); /* two steps from genesis */
    observe(&member, CONSIGNMENT, 50);
    observe(&sensor, CONSIGNMENT, 53);
    expect_accepted(dossier());
}

Test(steps, names_the_authority_of_a_member_that_nobody_may_admit)
{
    mini_signer member;
    uint64_t at = admit(&device, 109, &member);
    observe(&member, CONSIGNMENT, 50);
    expect_refused(dossier(), CN_STEP_AUTHORITY, file_of(at), "no registrar");
    end();
    begin();
    mini_signer first, second;
    admit(&m.capture[1], 109, &first);
    cn_registry_change change = {
        .op = CN_REG_MEMBER_REGISTER, .name = "forwarder-2", .country = "SG", .roles = CN_ROLE_FORWARDER};
    cn_digest id = cn_member_id(change.name);
    change.new_key = mini_new_key(&m, 111, &id, &second);
    change.new_key.purpose = CN_PURPOSE_CAPTURE;
    at = mini_registry(&m, &first, &change); /* a member of genesis may, one admitted later may not */
    observe(&second, CONSIGNMENT, 50);
    expect_refused(dossier(), CN_STEP_AUTHORITY, file_of(at), "no registrar");
}

Test(steps, names_the_authority_of_a_key_registered_without_its_holder)
{
    mini_signer fresh;
    cn_registry_change change = {.op = CN_REG_KEY_REGISTER};
    change.new_key = mini_new_key(&m, 106, &m.capture[1].owner, &fresh); /* possession shown to another member */
    uint64_t registered = mini_registry(&m, &m.capture[0], &change);
    observe(&fresh, CONSIGNMENT, 50);
    expect_refused(dossier(), CN_STEP_AUTHORITY, file_of(registered), "not proved its possession");
}

Test(steps, names_the_authority_when_another_member_salvages)
{
    revoke(&device, device.sequence);
    cn_digest id = {{1}};
    cn_registry_change change = {.op = CN_REG_KEY_SALVAGE, .key_id = device.id, .salvaged = &id, .salvaged_count = 1};
    uint64_t at = mini_registry(&m, &m.capture[1], &change);
    expect_refused(dossier(), CN_STEP_AUTHORITY, file_of(at), "without the right");
}

Test(steps, names_the_closure_when_the_tree_about_a_key_is_missing)
{
    mini_parts *p = dossier();
    cn_digest about = cn_key_subject(m.genesis.subject_salt, &m.capture[0].id);
    mini_drop_subject(p, &about);
    expect_refused(p, CN_STEP_REGISTRY_CLOSURE, "statements/", "tree about its key");
}

Test(steps, names_the_hash_chain)
{
    device.previous.b[0] ^= 1;
    uint64_t at = observe(&device, CONSIGNMENT, 50);
    expect_refused(dossier(), CN_STEP_HASH_CHAIN, file_of(at), "previous is not the id");
}

Test(steps, names_the_hash_chain_of_a_first_statement_that_names_another)
{
    mini_signer fresh = mini_device(&m, &m.capture[0], 107);
    fresh.previous.b[0] = 1;
    uint64_t at = observe(&fresh, CONSIGNMENT, 50);
    expect_refused(dossier(), CN_STEP_HASH_CHAIN, file_of(at), "first statement of a key");
}

Test(steps, names_the_signature_for_another_network)
{
    m.genesis.network.b[0] ^= 1;
    uint64_t at = observe(&device, CONSIGNMENT, 50);
    m.genesis.network.b[0] ^= 1;
    expect_refused(dossier(), CN_STEP_SIGNATURE, file_of(at), "another network");
}

Test(steps, names_the_hash_chain_when_a_gap_goes_back)
{
    cn_registry_change change = {.op = CN_REG_KEY_GAP, .key_id = device.id, .sequence = 1, .reason = 2};
    uint64_t at = mini_registry(&m, &m.capture[0], &change);
    expect_refused(dossier(), CN_STEP_HASH_CHAIN, file_of(at), "goes back");
}

Test(steps, names_the_authority_of_changes_to_a_key_that_do_not_fit_it)
{
    mini_signer fresh;
    cn_digest id = {{1}};
    cn_registry_change salvage = {.op = CN_REG_KEY_SALVAGE, .key_id = device.id, .salvaged = &id, .salvaged_count = 1};
    uint64_t at = mini_registry(&m, &m.capture[0], &salvage); /* it is not revoked */
    expect_refused(dossier(), CN_STEP_AUTHORITY, file_of(at), "of a key not revoked");
    end();
    begin();
    cn_registry_change rotate = {.op = CN_REG_KEY_ROTATE, .key_id = device.id};
    rotate.new_key = mini_new_key(&m, 108, &device.owner, &fresh);
    rotate.new_key.purpose = CN_PURPOSE_CAPTURE; /* a device becomes an office */
    at = mini_registry(&m, &m.capture[0], &rotate);
    expect_refused(dossier(), CN_STEP_AUTHORITY, file_of(at), "another purpose");
    end();
    begin();
    revoke(&device, device.sequence);
    at = revoke(&device, device.sequence);
    expect_refused(dossier(), CN_STEP_AUTHORITY, file_of(at), "had ended");
}

Test(steps, names_the_hash_chain_when_a_sequence_comes_again)
{
    device.sequence -= 2;
    uint64_t at = observe(&device, CONSIGNMENT, 50);
    expect_refused(dossier(), CN_STEP_HASH_CHAIN, file_of(at), "of the same key");
}

Test(steps, accepts_a_declared_gap_only)
{
    cn_registry_change change = {
        .op = CN_REG_KEY_GAP, .key_id = device.id, .sequence = device.sequence + 5, .reason = 2};
    memset(change.previous.b, 7, CN_DIGEST_LEN);
    mini_registry(&m, &m.capture[0], &change);
    mini_signer lost = device;
    device.sequence += 5;
    device.previous = change.previous;
    observe(&device, CONSIGNMENT, 50);
    expect_accepted(dossier());
    device = lost; /* from before the gap */
    uint64_t at = observe(&device, CONSIGNMENT, 52);
    expect_refused(dossier(), CN_STEP_HASH_CHAIN, file_of(at), "of the same key");
}

/* ---- pairings, declared subjects ---- */

Test(steps, names_the_pairing_when_the_container_is_missing)
{
    mini_parts *p = dossier();
    cn_digest tag = mini_tag(&m, CONTAINER);
    mini_drop_subject(p, &tag);
    expect_refused(p, CN_STEP_PAIRING, file_of(PAIRED), "tree of the container");
}

Test(steps, names_the_pairing_when_a_paired_event_is_not_counted)
{
    m.pairings = 0; /* a network that forgets the tie */
    m.pairing[0] = (cn_pairing){0};
    mini_pair(&m, &m.capture[0], CONTAINER, CONSIGNMENT, MINI_TIME + 50 * MINUTE, 0);
    m.pairings = 0;
    uint64_t at = observe(&reefer, CONTAINER, 55);
    expect_refused(dossier(), CN_STEP_PAIRING, file_of(at), "whose tree does not hold it");
}

Test(steps, an_end_alone_closes_the_newest_open_tie)
{
    mini_pair(&m, &m.capture[0], CONTAINER, CONSIGNMENT, MINI_TIME + 44 * MINUTE, 0);
    mini_pair(&m, &m.capture[0], CONTAINER, CONSIGNMENT, MINI_TIME + 48 * MINUTE, MINI_TIME + 48 * MINUTE);
    uint64_t counted = observe(&reefer, CONTAINER, 46), late = observe(&reefer, CONTAINER, 50);
    mini_parts *p = dossier();
    const size_t at = mini_subject_place(p, &p->tag);
    const uint64_t newest = p->subject[at].leaf[p->subject[at].count - 1].log_index;
    cr_expect_eq(newest, counted);
    cr_expect_lt(newest, late);
    expect_accepted(p);
    for (size_t k = 0; k < m.pairings; k++)
        m.pairing[k].end_ms = 0; /* a network that overlooks the end */
    observe(&reefer, CONTAINER, 52);
    expect_refused(dossier(), CN_STEP_COMPLETENESS, "subjects/", "does not declare this subject");
}

Test(steps, an_end_alone_passes_over_ties_that_have_ended)
{
    mini_pair(&m, &m.capture[0], CONTAINER, CONSIGNMENT, MINI_TIME + 44 * MINUTE, 0);
    mini_pair(&m, &m.capture[0], CONTAINER, CONSIGNMENT, MINI_TIME + 46 * MINUTE, MINI_TIME + 47 * MINUTE);
    mini_pair(&m, &m.capture[0], CONTAINER, CONSIGNMENT, MINI_TIME + 48 * MINUTE, MINI_TIME + 48 * MINUTE);
    observe(&reefer, CONTAINER, 50);
    expect_accepted(dossier());
}

Test(steps, events_before_a_tie_are_not_in_it)
{
    mini_pair(&m, &m.capture[0], CONTAINER, CONSIGNMENT, MINI_TIME + 55 * MINUTE, 0);
    observe(&reefer, CONTAINER, 50);
    expect_accepted(dossier());
}

Test(steps, a_tie_does_not_reach_back_in_the_log)
{
    static const char box[] = "urn:epc:id:bic:MSKU1234565";
    uint64_t before = observe(&reefer, box, 5);
    mini_pair(&m, &m.capture[0], box, CONSIGNMENT, MINI_TIME, 0); /* from earlier on, but said later */
    mini_parts *p = dossier();
    cr_assert_lt(mini_place(p, before), p->statements); /* in the container's own record */
    expect_accepted(p);
}

Test(steps, names_completeness_when_an_untied_event_is_counted)
{
    m.pairing[m.pairings++] =
        (cn_pairing){mini_tag(&m, CONTAINER), mini_tag(&m, CONSIGNMENT), MINI_TIME, 0}; /* recorded nowhere */
    observe(&reefer, CONTAINER, 55);
    expect_refused(dossier(), CN_STEP_COMPLETENESS, "subjects/", "does not declare this subject");
}

Test(steps, names_what_the_signer_did_not_declare)
{
    /* events about one consignment, declared for another */
    static const char content[] =
        "{\"@context\":[\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\"],\"type\":\"ObjectEvent\","
        "\"eventTime\":\"2026-05-01T08:00:00.000Z\",\"eventTimeZoneOffset\":\"+03:00\",\"action\":\"OBSERVE\","
        "\"epcList\":[\"" OTHER "\"]}";
    uint8_t secret[32] = {3};
    cn_buf item;
    cn_buf_init(&item, CN_MAX_ITEM_BYTES);
    cn_item_write(&item, secret, CN_ITEM_EPCIS, content, sizeof content - 1);
    cn_span span = CN_SPAN(item.p, item.n);
    cn_batch_entry entry = {
        .subject = mini_tag(&m, CONSIGNMENT), .count = 1, .first_ms = MINI_TIME, .last_ms = MINI_TIME};
    cn_body body = {.kind = CN_PAYLOAD_EVENT_BATCH};
    body.batch.entry = &entry;
    body.batch.entry_count = 1;
    uint64_t at = mini_record(&m, &device, &body, &span, 1);
    cn_buf_free(&item);
    expect_refused(dossier(), CN_STEP_DECLARED_SUBJECTS, file_of(at), "did not declare");
}
