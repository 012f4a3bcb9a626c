/* What a dossier holds for other people's verifiers, and what the caller knows from elsewhere: each is checked, and
 * named when it does not hold. */
#include "mini.h"

#include "proto/cbor.h"
#include "proto/receipt.h"
#include "tests/unit/proto/authority.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONSIGNMENT "urn:carnet:ucr:4KE51234567-ROSES"
#define THREE 7u /* validators */

static mini m;
static mini_signer device;
static uint64_t first, second;
static mini_parts *p;

static uint64_t observe(unsigned minute)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"@context\":[\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\"],"
             "\"type\":\"ObjectEvent\",\"eventTime\":\"2026-05-01T08:%02u:00.000Z\",\"eventTimeZoneOffset\":\"+03:00\","
             "\"action\":\"OBSERVE\",\"epcList\":[\"" CONSIGNMENT "\"]}",
             minute);
    return mini_document(&m, &device, text);
}

static void begin(void)
{
    mini_begin(&m);
    device = mini_device(&m, &m.capture[0], 101);
    first = observe(0);
    second = observe(7);
    p = mini_parts_of(&m, CONSIGNMENT);
    mini_seal(&m, p, THREE);
}

static void end(void)
{
    mini_parts_free(p);
    mini_end(&m);
}

TestSuite(outside, .init = begin, .fini = end);

static cn_verify_report *verified(const cn_verify_options *options)
{
    static cn_verify_report report;
    cn_status st = mini_verify_with(&m, p, options, &report);
    cr_expect_eq(st == CN_OK, report.accepted);
    return &report;
}

static void expect(const cn_verify_options *options, cn_verify_step step, cn_verdict verdict, bool accepted,
                   const char *text)
{
    cn_verify_report *r = verified(options);
    for (int i = 0; i < CN_VERIFY_REQUIRED; i++)
        if (i != (int)step)
            cr_expect_eq(r->step[i].verdict, CN_VERDICT_OK, "%s: %s", cn_verify_step_name((cn_verify_step)i),
                         r->step[i].err.text);
    cr_expect_eq(r->step[step].verdict, verdict, "%s: %s", cn_verify_step_name(step), r->step[step].err.text);
    cr_expect_eq(r->accepted, accepted, "%s", cn_verify_step_name(step));
    if (text)
        cr_expect(strstr(r->step[step].err.text, text), "\"%s\" does not say \"%s\"", r->step[step].err.text, text);
}

/* One byte of what stands there once is another. */
static void spoil(cn_buf *b, const void *needle, size_t n, size_t at)
{
    uint8_t *found = memmem(b->p, b->n, needle, n);
    cr_assert_not_null(found);
    found[at] ^= 1;
}

/* ---- receipts, note and tlog-proofs ---- */

Test(outside, what_three_validators_signed_is_accepted)
{
    const cn_verify_options three = {.signatures = 3}, four = {.signatures = 4};
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_OK, true, NULL);
    expect(&three, CN_STEP_RECEIPTS, CN_VERDICT_OK, true, NULL);
    expect(&four, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "4 are wanted");
}

Test(outside, without_signatures_it_says_so_and_refuses_where_they_are_asked_for)
{
    const cn_verify_options one = {.signatures = 1};
    mini_parts_free(p);
    p = mini_parts_of(&m, CONSIGNMENT);
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_NOT_CHECKED, true, "no validator's signature");
    expect(&one, CN_STEP_RECEIPTS, CN_VERDICT_NOT_CHECKED, false, "no validator's signature");
}

Test(outside, one_validator_is_too_few)
{
    mini_seal(&m, p, 4u);
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "1 validators signed it, 2 are wanted");
}

Test(outside, a_validator_counts_once)
{
    cn_buf *note = mini_part(p, CN_PART_NOTE, 0);
    mini_seal(&m, p, 1u);
    const uint8_t *lines = memmem(note->p, note->n, "\n\n", 2);
    cr_assert_not_null(lines);
    size_t from = (size_t)(lines - note->p) + 2, n = note->n - from;
    uint8_t *copy = malloc(n);
    memcpy(copy, note->p + from, n);
    cn_put_bytes(note, copy, n);
    free(copy);
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "signed twice");

    mini_seal(&m, p, 1u);
    cn_buf *receipts = mini_part(p, CN_PART_RECEIPTS, first);
    n = receipts->n - 1;
    copy = malloc(n);
    memcpy(copy, receipts->p + 1, n);
    cn_put_bytes(receipts, copy, n);
    receipts->p[0] = 0x82;
    free(copy);
    cn_verify_report *r = verified(NULL);
    cr_expect_eq(r->step[CN_STEP_RECEIPTS].verdict, CN_VERDICT_FAILED);
    cr_expect_gt(r->step[CN_STEP_RECEIPTS].faults, (uint64_t)1);
}

Test(outside, each_changed_byte_of_a_receipt_is_refused)
{
    cn_buf *receipts = mini_part(p, CN_PART_RECEIPTS, second);
    for (size_t i = 0; i < receipts->n; i += 3) {
        receipts->p[i] ^= 1;
        cn_verify_report *r = verified(NULL);
        cr_expect_eq(r->step[CN_STEP_RECEIPTS].verdict, CN_VERDICT_FAILED, "byte %zu", i);
        cr_expect(strstr(r->step[CN_STEP_RECEIPTS].err.field, "receipts/"), "%s", r->step[CN_STEP_RECEIPTS].err.field);
        receipts->p[i] ^= 1;
    }
}

Test(outside, each_changed_byte_of_the_note_is_refused)
{
    cn_buf *note = mini_part(p, CN_PART_NOTE, 0);
    for (size_t i = 0; i < note->n; i += 5) {
        note->p[i] ^= 1;
        cr_expect_eq(verified(NULL)->step[CN_STEP_RECEIPTS].verdict, CN_VERDICT_FAILED, "byte %zu", i);
        note->p[i] ^= 1;
    }
}

Test(outside, a_receipt_of_another_statement_is_refused)
{
    cn_buf *a = mini_part(p, CN_PART_RECEIPTS, first), *b = mini_part(p, CN_PART_RECEIPTS, second), swap = *a;
    *a = *b;
    *b = swap;
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "does not prove inclusion at this log index");
}

/* A root alone does not authenticate positions: size and index stand in what is signed, and in the file's name. */
Test(outside, a_receipt_of_another_size_with_the_same_path_shape_is_refused)
{
    cn_buf *receipts = mini_part(p, CN_PART_RECEIPTS, first);
    uint8_t proof[4] = {0x83, (uint8_t)m.log_size, (uint8_t)first, 0x80};
    proof[3] = (uint8_t)(0x80 | p->statement[mini_place(p, first)].path_len);
    spoil(receipts, proof, sizeof proof, 1);
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "another size");
}

Test(outside, a_receipt_with_its_tree_algorithm_unprotected_is_refused)
{
    static const uint8_t vds[] = {0x19, 0x01, 0x8b, 0x01}; /* 395: 1, the last of the protected header */
    cn_buf *receipts = mini_part(p, CN_PART_RECEIPTS, first);
    spoil(receipts, vds, sizeof vds, 2);
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "protected header");
}

/* Really signed by a validator, over a header without the algorithm: who reads it from the unprotected one is told
 * which algorithm to believe by whoever carried the receipt. */
Test(outside, a_receipt_whose_tree_algorithm_is_only_unprotected_is_refused)
{
    static const uint8_t vds[] = {0x19, 0x01, 0x8b, 0x01}, root_follows[] = {0x40, 0x58, 0x20},
                         begin_sig[] = {0x84, 0x6a};
    const cn_verify_options one = {.signatures = 1};
    mini_seal(&m, p, 1u);
    expect(&one, CN_STEP_RECEIPTS, CN_VERDICT_OK, true, NULL);
    cn_buf *receipts = mini_part(p, CN_PART_RECEIPTS, first), forged, to_sign;
    const uint8_t *old = receipts->p + 5; /* behind array, tag, array and the head of the protected header */
    size_t n = receipts->p[4], rest = receipts->n - 5 - n - 1 - CN_SIGNATURE_LEN;
    cr_assert(receipts->p[3] == 0x58 && old[0] == 0xa5 && memcmp(old + n - 4, vds, 4) == 0 && old[n] == 0xa1);
    cn_signature signature;
    cn_buf_init(&forged, 4096);
    cn_buf_init(&to_sign, 4096);
    cn_put_bytes(&forged, receipts->p, 4);
    cn_put_u8(&forged, (uint8_t)(n - 4));
    cn_put_u8(&forged, 0xa4);
    cn_put_bytes(&forged, old + 1, n - 5);
    cn_put_bytes(&to_sign, begin_sig, sizeof begin_sig);
    cn_put_bytes(&to_sign, "Signature1", 10);
    cn_put_bytes(&to_sign, forged.p + 3, forged.n - 3);
    cn_put_bytes(&to_sign, root_follows, sizeof root_follows);
    cn_put_digest(&to_sign, &p->header[0].log_root);
    cn_put_u8(&forged, 0xa2);
    cn_put_bytes(&forged, vds, sizeof vds);
    cn_put_bytes(&forged, old + n + 1, rest);
    cn_digest digest = cn_sha256(to_sign.p, to_sign.n);
    cr_assert_eq(cn_sign(&m.sealing[0].receipt, &digest, &signature, NULL), CN_OK);
    cn_put_bytes(&forged, signature.b, sizeof signature.b);
    receipts->n = 0;
    cn_put_bytes(receipts, forged.p, forged.n);
    expect(&one, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "protected header");
    cn_buf_free(&forged);
    cn_buf_free(&to_sign);
}

/* In a tree of one leaf the root is the leaf's hash and the path is empty: whoever leaves the path out of a larger
 * tree, or says that there is one leaf, must not be believed. */
Test(outside, a_proof_of_a_one_leaf_tree_is_refused)
{
    const cn_verify_options one = {.signatures = 1};
    static cn_receipt_proof proof;
    char name[CN_SIGNER_NAME_MAX + 1];
    cn_checkpoint c;
    cn_checkpoint_signatures signature;
    cn_digest kid = cn_receipt_kid(m.genesis.set.row[0].receipt_key);
    cr_assert_eq(cn_checkpoint_of(&p->header[0], &m.genesis.network, m.genesis.origin, &c, NULL), CN_OK);
    cr_assert_eq(cn_checkpoint_sign(&c, &m.genesis.set.row[0].member, m.name[0], &m.sealing[0], &signature, NULL),
                 CN_OK);
    cn_signer_name(&c, m.name[0], name);
    mini_seal(&m, p, 1u);
    cn_buf *receipts = mini_part(p, CN_PART_RECEIPTS, first);
    for (unsigned i = 0; i < 3; i++) {
        proof = (cn_receipt_proof){.size = i == 2 ? c.size : 1, .index = i == 0 ? 0 : first};
        receipts->n = 0;
        cn_cbor_head(receipts, CN_CBOR_ARRAY, 1);
        cn_receipt_write(receipts, &c, name, &kid, &proof, &signature.receipt);
        expect(&one, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, NULL);
    }
    mini_seal(&m, p, THREE);
    p->statement[mini_place(p, first)].path_len = 0;
    cr_expect_eq(verified(NULL)->step[CN_STEP_INCLUSION].verdict, CN_VERDICT_FAILED);
}

Test(outside, a_high_s_signature_is_refused)
{
    static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                      0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    cn_buf *receipts = mini_part(p, CN_PART_RECEIPTS, first);
    uint8_t *s = receipts->p + receipts->n - 32; /* of the last receipt */
    int borrow = 0;
    for (int i = 31; i >= 0; i--) {
        int d = order[i] - s[i] - borrow;
        borrow = d < 0;
        s[i] = (uint8_t)(d & 0xff);
    }
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "does not verify");
}

Test(outside, a_statement_without_its_receipts_is_named)
{
    mini_drop_part(p, CN_PART_RECEIPTS, first);
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "no receipts");
    mini_seal(&m, p, THREE);
    mini_drop_part(p, CN_PART_TLOG, second);
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "no tlog-proof");
    mini_seal(&m, p, THREE);
    mini_drop_part(p, CN_PART_NOTE, 0);
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "belongs to a note");
}

Test(outside, a_tlog_proof_that_is_not_the_statements_is_refused)
{
    cn_buf *tlog = mini_part(p, CN_PART_TLOG, first);
    tlog->p[tlog->n / 2] ^= 1;
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "is not the statement's path");
    tlog->p[tlog->n / 2] ^= 1;
    cn_put_u8(tlog, '\n');
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "is not the statement's path");
}

Test(outside, receipts_of_a_statement_that_is_not_here_are_refused)
{
    cn_buf *from = mini_part(p, CN_PART_RECEIPTS, first), *to = mini_part(p, CN_PART_RECEIPTS, 40);
    cn_put_bytes(to, from->p, from->n);
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "no statement of this log index");
}

Test(outside, the_note_of_an_earlier_checkpoint_is_refused)
{
    cn_header now = p->header[0];
    p->header[0] = mini_older(&m, p, second); /* what they sign is of it */
    mini_seal(&m, p, THREE);
    p->header[0] = now;
    expect(NULL, CN_STEP_RECEIPTS, CN_VERDICT_FAILED, false, "another checkpoint");
}

/* Whose keys they should be is not known when the chain of validators does not hold. */
Test(outside, signatures_of_validators_that_are_not_proved_say_nothing)
{
    p->header[0].set.b[0] ^= 1;
    mini_seal(&m, p, THREE);
    cn_verify_report *r = verified(NULL);
    cr_expect_eq(r->step[CN_STEP_EPOCH_CHAIN].verdict, CN_VERDICT_FAILED);
    cr_expect_eq(r->step[CN_STEP_RECEIPTS].verdict, CN_VERDICT_NOT_CHECKED);
}

/* ---- consistency ---- */

Test(outside, an_earlier_checkpoint_is_continued)
{
    for (uint64_t size = 1; size <= m.log_size; size++) {
        cn_header older = mini_older(&m, p, size);
        mini_add_consistency(&m, p, &older);
    }
    expect(NULL, CN_STEP_CONSISTENCY, CN_VERDICT_OK, true, NULL);
}

Test(outside, a_log_that_was_rewritten_is_named)
{
    cn_header older = mini_older(&m, p, second);
    older.log_root.b[5] ^= 1;
    mini_add_consistency(&m, p, &older);
    expect(NULL, CN_STEP_CONSISTENCY, CN_VERDICT_FAILED, false, "does not continue");
}

Test(outside, an_earlier_checkpoint_under_another_height_is_refused)
{
    cn_header older = mini_older(&m, p, second);
    mini_add_consistency(&m, p, &older);
    p->part[p->parts - 1].number++;
    expect(NULL, CN_STEP_CONSISTENCY, CN_VERDICT_FAILED, false, "does not hold the checkpoint of its height");
    p->part[p->parts - 1].number--;
    p->part[p->parts - 1].bytes.n--;
    expect(NULL, CN_STEP_CONSISTENCY, CN_VERDICT_FAILED, false, "malformed");
}

/* ---- anchors ---- */

Test(outside, an_anchor_is_met_differs_or_is_not_here)
{
    cn_verify_anchor anchor[2] = {{p->header[0].height, cn_header_digest(&p->header[0])},
                                  {p->header[2].height, cn_header_digest(&p->header[2])}};
    cn_verify_options options = {.anchor = anchor, .anchor_count = 2};
    expect(NULL, CN_STEP_EPOCH_ANCHOR, CN_VERDICT_NOT_CHECKED, true, "from genesis only");
    expect(&options, CN_STEP_EPOCH_ANCHOR, CN_VERDICT_OK, true, NULL);
    anchor[1].block.b[0] ^= 1;
    expect(&options, CN_STEP_EPOCH_ANCHOR, CN_VERDICT_FAILED, false, "another chain");
    anchor[1].height = 900000;
    expect(&options, CN_STEP_EPOCH_ANCHOR, CN_VERDICT_OK, true, NULL);
    anchor[0].height = 900001;
    expect(&options, CN_STEP_EPOCH_ANCHOR, CN_VERDICT_NOT_CHECKED, false, "none of the blocks");
}

/* ---- policies ---- */

Test(outside, a_policy_that_the_note_satisfies_or_not)
{
    char text[2048], vkey[4][CN_NOTE_VKEY_MAX + 1], signer[CN_SIGNER_NAME_MAX + 1];
    cn_checkpoint c;
    cr_assert_eq(cn_checkpoint_of(&p->header[0], &m.genesis.network, m.genesis.origin, &c, NULL), CN_OK);
    for (unsigned i = 0; i < 4; i++) {
        cn_signer_name(&c, m.name[i], signer);
        cn_note_vkey(signer, CN_NOTE_COSIGNATURE_V1, m.genesis.set.row[i].cosignature_key, vkey[i]);
    }
    int n = snprintf(text, sizeof text, "witness a %s\nwitness b %s\nwitness d %s\ngroup g 2 a b d\nquorum g\n",
                     vkey[0], vkey[1], vkey[3]);
    cn_verify_options options = {.policy = CN_SPAN(text, (size_t)n)};
    expect(NULL, CN_STEP_WITNESS_POLICY, CN_VERDICT_NOT_CHECKED, true, "no policy");
    expect(&options, CN_STEP_WITNESS_POLICY, CN_VERDICT_OK, true, NULL);
    mini_seal(&m, p, 2u | 4u); /* of the policy's only b */
    expect(&options, CN_STEP_WITNESS_POLICY, CN_VERDICT_FAILED, false, "of the group g 1 of 3 members");
    options.policy.n--;
    expect(&options, CN_STEP_WITNESS_POLICY, CN_VERDICT_FAILED, false, "lines of text");
    options.policy.n++;
    mini_parts_free(p);
    p = mini_parts_of(&m, CONSIGNMENT);
    expect(&options, CN_STEP_WITNESS_POLICY, CN_VERDICT_NOT_CHECKED, false, "no signature over the checkpoint");
}

/* ---- time ---- */

#define SEEN (INT64_C(1777622400) + 200) /* unix seconds, soon after the checkpoint */

static const authority_traits lasting = {.valid_from = SEEN - 1000000, .valid_to = SEEN + 1000000};

/* A token over the checkpoint's header, as the part of this height and rank. */
static void stamp(const authority *a, uint64_t height, unsigned rank, int64_t seconds)
{
    uint8_t header[CN_HEADER_LEN];
    cn_buf *out = mini_part(p, CN_PART_TOKEN, height);
    cn_header_encode(&p->header[0], header);
    cn_digest imprint = cn_sha256(header, sizeof header);
    cn_buf_free(out);
    authority_token(a, &imprint, 1, seconds, out);
    for (size_t i = 0; i < p->parts; i++)
        if (&p->part[i].bytes == out)
            p->part[i].rank = rank;
}

Test(outside, a_trusted_authority_witnesses_the_time)
{
    authority a, stranger;
    authority_begin(&a, "Port Time", &lasting);
    authority_begin(&stranger, "Stranger", &lasting);
    const cn_verify_options trusting = {.tsa_ca = CN_SPAN(a.pem.p, a.pem.n)};
    const cn_verify_options other = {.tsa_ca = CN_SPAN(stranger.pem.p, stranger.pem.n)};
    expect(NULL, CN_STEP_TIME, CN_VERDICT_NOT_CHECKED, true, "no time token");
    expect(&trusting, CN_STEP_TIME, CN_VERDICT_NOT_CHECKED, false, "no time authority saw");
    stamp(&a, p->checkpoint, 1, SEEN);
    expect(NULL, CN_STEP_TIME, CN_VERDICT_NOT_CHECKED, true, "give the authorities");
    expect(&trusting, CN_STEP_TIME, CN_VERDICT_OK, true, NULL);
    cn_verify_report *r = verified(&trusting);
    cr_expect_eq(r->witnessed_ms, (uint64_t)SEEN * 1000u + 250u);
    cr_expect_str_eq(r->time_authority, "CN=Port Time");
    expect(&other, CN_STEP_TIME, CN_VERDICT_FAILED, false, "does not verify");
    authority_end(&a);
    authority_end(&stranger);
}

Test(outside, a_token_of_another_block_or_before_its_time_is_refused)
{
    authority a;
    authority_begin(&a, "Port Time", &lasting);
    const cn_verify_options trusting = {.tsa_ca = CN_SPAN(a.pem.p, a.pem.n)};
    stamp(&a, p->checkpoint, 1, SEEN - 3600);
    expect(NULL, CN_STEP_TIME, CN_VERDICT_FAILED, false, "after the one at which it was seen");
    stamp(&a, p->checkpoint, 1, SEEN);
    p->header[0].log_root.b[0] ^= 1;
    stamp(&a, p->checkpoint, 1, SEEN); /* over another header */
    p->header[0].log_root.b[0] ^= 1;
    expect(NULL, CN_STEP_TIME, CN_VERDICT_FAILED, false, "over another digest");
    expect(&trusting, CN_STEP_TIME, CN_VERDICT_FAILED, false, "over another digest");
    mini_drop_part(p, CN_PART_TOKEN, p->checkpoint);
    stamp(&a, p->checkpoint + 5, 1, SEEN);
    expect(NULL, CN_STEP_TIME, CN_VERDICT_FAILED, false, "no block of this height");
    mini_drop_part(p, CN_PART_TOKEN, p->checkpoint + 5);
    cn_buf *none = mini_part(p, CN_PART_TOKEN, p->checkpoint);
    cn_put_bytes(none, "garbage", 7);
    expect(NULL, CN_STEP_TIME, CN_VERDICT_FAILED, false, "not a TimeStampToken");
    authority_end(&a);
}
