/* The negative vectors of the design, one dossier each: what a forger makes with the keys and proofs that he has, with
 * digests that fit and everything signed again that he could sign. Each must fail at one named step first. The name of
 * a test is the vector's name: tests/interop/negatives.sh gives the same dossiers to the second verifier and to the
 * stock verifiers of each format, and holds all of them to its table (docs/proofs.md). */
#include "changes.h"
#include "mini.h"

#include "proto/cbor.h"
#include "proto/receipt.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONSIGNMENT "urn:carnet:ucr:4KE51234567-ROSES"
#define OTHER "urn:carnet:ucr:4KE51234567-BEANS"
#define NOTHING "urn:carnet:ucr:4KE51234567-NOTHING"
#define BOX "urn:epc:id:bic:CSQU3054383"
#define TWO 3u   /* validators, by bits: f + 1 */
#define THREE 7u /* a quorum */

/* A log of 20: leaf 17 of 20 and leaf 5 of 7 have paths of one shape. */
enum { DEVICE = 2, FIRST = 3, TARGET = 17, LAST = 19, SIZE = 20 };

static mini m;
static mini_signer device;
static mini_parts *p;
static cn_verify_report report;

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

static void take(const char *uri)
{
    if (p)
        mini_parts_free(p);
    p = mini_parts_of(&m, uri);
    mini_seal(&m, p, THREE);
}

static void begin(void)
{
    mini_begin(&m);
    device = mini_device(&m, &m.capture[0], 101);
    for (unsigned i = FIRST; i < SIZE; i++)
        observe(&device, i == FIRST || i == TARGET || i == LAST ? CONSIGNMENT : OTHER, 2 * i);
    cr_assert_eq(m.log_size, (size_t)SIZE);
    take(CONSIGNMENT);
}

static void end(void)
{
    mini_parts_free(p);
    mini_end(&m);
}

TestSuite(negatives, .init = begin, .fini = end);

static int first_failed(const cn_verify_report *r)
{
    int step = 0;
    while (step < CN_STEP_COUNT && r->step[step].verdict != CN_VERDICT_FAILED)
        step++;
    return step;
}

static void held_to(const cn_verify_report *r, cn_verify_step step, const char *words)
{
    int first = first_failed(r);
    cr_expect_not(r->accepted);
    cr_assert_eq(first, (int)step, "%s failed first (%s), not %s",
                 first < CN_STEP_COUNT ? cn_verify_step_name((cn_verify_step)first) : "nothing",
                 first < CN_STEP_COUNT ? r->step[first].err.text : "", cn_verify_step_name(step));
    cr_expect(strstr(r->step[step].err.text, words), "\"%s\" does not say \"%s\"", r->step[step].err.text, words);
    cr_expect(r->step[step].err.field[0], "the place is not named");
}

/* Each test verifies one dossier: this is what is recorded under its name. */
static void refused(cn_verify_step step, const char *words)
{
    (void)mini_verify(&m, p, &report);
    held_to(&report, step, words);
}

/* No other required step stands in the way: what refuses it is this rule alone. */
static void refused_only(cn_verify_step step, const char *words)
{
    refused(step, words);
    for (int i = 0; i < CN_VERIFY_REQUIRED; i++)
        if (i != (int)step)
            cr_expect_eq(report.step[i].verdict, CN_VERDICT_OK, "%s: %s", cn_verify_step_name((cn_verify_step)i),
                         report.step[i].err.text);
}

static void accepted(void)
{
    cr_expect_eq(mini_verify(&m, p, &report), CN_OK);
    for (int i = 0; i < CN_STEP_COUNT; i++)
        cr_expect_neq(report.step[i].verdict, CN_VERDICT_FAILED, "%s: %s: %s", cn_verify_step_name((cn_verify_step)i),
                      report.step[i].err.field, report.step[i].err.text);
    cr_expect_eq(report.step[CN_STEP_RECEIPTS].verdict, CN_VERDICT_OK);
    cr_expect(report.accepted);
}

/* ---- what the forger does again ---- */

/* Headers that follow one another, made final by these validators, and all that they seal. */
static void sign_again(uint32_t signers)
{
    for (size_t i = 1; i < p->headers; i++)
        p->header[i].parent = cn_header_digest(&p->header[i - 1]);
    cn_digest last = cn_header_digest(&p->header[p->headers - 1]);
    mini_certificate(&m, &last, signers, &p->certificate);
    mini_seal(&m, p, THREE);
}

static void checkpoint_of(cn_checkpoint *ret)
{
    cr_assert_eq(cn_checkpoint_of(&p->header[0], &m.genesis.network, m.genesis.origin, ret, NULL), CN_OK);
}

/* The receipts of one statement, really signed by these validators: their signatures are over the root, and so serve
 * any path. */
static void write_receipts(uint64_t index, const cn_receipt_proof *proof, uint32_t signers)
{
    cn_checkpoint c;
    cn_checkpoint_signatures signature;
    cn_buf *out = mini_part(p, CN_PART_RECEIPTS, index);
    checkpoint_of(&c);
    out->n = 0;
    cn_cbor_head(out, CN_CBOR_ARRAY, (unsigned)__builtin_popcount(signers));
    for (unsigned i = 0; i < MINI_VALIDATORS; i++) {
        char name[CN_SIGNER_NAME_MAX + 1];
        cn_digest kid = cn_receipt_kid(m.genesis.set.row[i].receipt_key);
        if (!(signers >> i & 1))
            continue;
        cr_assert_eq(cn_checkpoint_sign(&c, &m.genesis.set.row[i].member, m.name[i], &m.sealing[i], &signature, NULL),
                     CN_OK);
        cn_signer_name(&c, m.name[i], name);
        cn_receipt_write(out, &c, name, &kid, proof, &signature.receipt);
    }
}

static cn_receipt_proof *proof_of(uint64_t index)
{
    static cn_receipt_proof proof;
    size_t at = mini_place(p, index);
    proof = (cn_receipt_proof){.size = m.log_size, .index = index, .path_len = p->statement[at].path_len};
    memcpy(proof.path, p->statement[at].path, sizeof p->statement[at].path);
    return &proof;
}

/* Position and path lead from this hash to the root that was signed: nothing but the position tells. */
static void leads_to_the_root(const cn_digest *from, const cn_receipt_proof *proof)
{
    cr_assert(
        cn_verify_inclusion(from, proof->index, proof->size, proof->path, proof->path_len, &p->header[0].log_root),
        "the attack is none");
}

static void write_tlog(uint64_t in_file, uint64_t index, const cn_digest *path, size_t n)
{
    cn_buf *tlog = mini_part(p, CN_PART_TLOG, in_file);
    const cn_buf *note = mini_part(p, CN_PART_NOTE, 0);
    tlog->n = 0;
    cn_tlog_proof_begin(tlog, index, path, n);
    cn_put_bytes(tlog, note->p, note->n);
}

/* s becomes order - s: also a solution of the equation, and another signature of the same. */
static void raise_s(uint8_t *s, const uint8_t order[32])
{
    int borrow = 0;
    for (int i = 31; i >= 0; i--) {
        int d = order[i] - s[i] - borrow;
        borrow = d < 0;
        s[i] = (uint8_t)(d & 0xff);
    }
}

static const uint8_t order_p256[32] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                       0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                       0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51},
                     order_secp256k1[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                            0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
                                            0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};

static cn_subject_leaf *leaves_of(const char *uri, uint64_t **ret_count)
{
    cn_digest tag = mini_tag(&m, uri);
    size_t at = mini_subject_place(p, &tag);
    cr_assert_lt(at, p->subjects);
    if (ret_count)
        *ret_count = &p->subject[at].count;
    return p->subject[at].leaf;
}

/* A statement goes, and its leaf with it, and what was sealed about it. */
static void withhold(uint64_t index, bool with_leaf)
{
    uint64_t *count, k = 0;
    cn_subject_leaf *leaf = leaves_of(CONSIGNMENT, &count);
    mini_drop_statement(p, index);
    mini_drop_part(p, CN_PART_RECEIPTS, index);
    mini_drop_part(p, CN_PART_TLOG, index);
    if (!with_leaf)
        return;
    while (leaf[k].log_index != index)
        k++;
    for (; k + 1 < *count; k++)
        leaf[k] = leaf[k + 1];
    (*count)--;
}

/* ---- controls: without these, a refusal proves nothing ---- */

Test(negatives, control_the_dossier_as_it_was)
{
    accepted();
}

Test(negatives, control_nothing_is_recorded)
{
    take(NOTHING);
    cr_expect_eq(mini_verify(&m, p, &report), CN_OK);
    cr_expect(report.accepted && report.absent);
}

/* ---- index and size ---- */

/* The index of its left neighbour, whose path has the same length; in the leaf, the receipts and the tlog-proof too. */
Test(negatives, index_altered_with_the_same_path_shape)
{
    leaves_of(CONSIGNMENT, NULL)[1].log_index = TARGET - 1;
    p->statement[mini_place(p, TARGET)].index = TARGET - 1;
    mini_drop_part(p, CN_PART_RECEIPTS, TARGET);
    mini_drop_part(p, CN_PART_TLOG, TARGET);
    mini_seal(&m, p, THREE);
    refused(CN_STEP_INCLUSION, "does not lead");
}

/* RFC 9942 signs the root and no position: "leaf 5 of 7" by the signature that was given for leaf 17 of 20. */
Test(negatives, size_and_index_altered_in_receipts_with_the_same_path_shape)
{
    cn_receipt_proof *proof = proof_of(TARGET);
    proof->size = 7;
    proof->index = 5;
    leads_to_the_root(&m.log[TARGET], proof);
    write_receipts(TARGET, proof, THREE);
    refused_only(CN_STEP_RECEIPTS, "does not prove inclusion at this log index");
}

Test(negatives, size_altered_in_receipts_with_the_same_path_shape)
{
    cn_receipt_proof *proof = proof_of(FIRST);
    cr_assert_eq(proof->path_len, (size_t)5);
    proof->size = 24;
    leads_to_the_root(&m.log[FIRST], proof);
    write_receipts(FIRST, proof, THREE);
    refused_only(CN_STEP_RECEIPTS, "another size");
}

Test(negatives, index_altered_in_a_tlog_proof)
{
    const cn_receipt_proof *proof = proof_of(TARGET);
    write_tlog(TARGET, TARGET - 1, proof->path, proof->path_len);
    refused_only(CN_STEP_RECEIPTS, "is not the statement's path");
}

/* "7" in the place of "20" in the note, index 5 in front of it: the path leads to the root that is named. */
Test(negatives, size_and_index_altered_in_a_note_with_the_same_path_shape)
{
    cn_buf *note = mini_part(p, CN_PART_NOTE, 0);
    uint8_t *size = memmem(note->p, note->n, "\n20\n", 4);
    cr_assert_not_null(size);
    size[1] = '7';
    memmove(size + 2, size + 3, (size_t)(note->p + note->n - (size + 3)));
    note->n--;
    cn_receipt_proof *proof = proof_of(TARGET);
    proof->size = 7;
    proof->index = 5;
    leads_to_the_root(&m.log[TARGET], proof);
    write_tlog(TARGET, proof->index, proof->path, proof->path_len);
    refused_only(CN_STEP_RECEIPTS, "another checkpoint");
}

/* In the block itself, which the headers that follow it are made to name; the votes stay those of the last one. */
Test(negatives, size_altered_in_the_checkpoint)
{
    p->header[0].log_size = 24;
    for (size_t i = 1; i < p->headers; i++)
        p->header[i].parent = cn_header_digest(&p->header[i - 1]);
    mini_seal(&m, p, THREE);
    refused(CN_STEP_QUORUM, "not a finalization of this block");
}

/* ---- ICS-23 ---- */

static size_t get_varint(const uint8_t *at, size_t *ret_used)
{
    size_t v = 0, used = 0;
    do {
        v |= (size_t)(at[used] & 0x7f) << (7 * used);
    } while (at[used++] & 0x80);
    *ret_used = used;
    return v;
}

static void put_message(cn_buf *out, uint8_t tag, const void *bytes, size_t n)
{
    uint8_t head[8];
    size_t used = 0, v = n;
    for (head[used++] = tag; v >= 0x80; v >>= 7)
        head[used++] = (uint8_t)(v | 0x80);
    head[used++] = (uint8_t)v;
    cn_put_bytes(out, head, used);
    cn_put_bytes(out, bytes, n);
}

static const uint8_t five[5] = {'f', 'i', 'v', 'e', '!'};

/* One InnerOp more, at the top: a left child whose suffix is five bytes (SHA-256, prefix 01). */
static void put_longer(cn_buf *out, uint8_t tag, const uint8_t *existence, size_t n)
{
    uint8_t op[] = {0x22, 12, 0x08, 0x01, 0x12, 0x01, 0x01, 0x1a, 5, five[0], five[1], five[2], five[3], five[4]};
    cn_buf longer;
    cn_buf_init(&longer, 1u << 16);
    cn_put_bytes(&longer, existence, n);
    cn_put_bytes(&longer, op, sizeof op);
    put_message(out, tag, longer.p, longer.n);
    cn_buf_free(&longer);
}

/* CommitmentProof: exist = 1, or nonexist = 2 with key = 1 and the neighbours left = 2 and right = 3. */
static void lengthen(cn_buf *proof)
{
    cn_buf inner, whole;
    size_t used, n = get_varint(proof->p + 1, &used), at = 1 + used;
    cr_assert(at + n == proof->n && (proof->p[0] == 0x0a || proof->p[0] == 0x12));
    cn_buf_init(&inner, 1u << 17);
    cn_buf_init(&whole, 1u << 17);
    if (proof->p[0] == 0x0a)
        put_longer(&whole, 0x0a, proof->p + at, n);
    while (proof->p[0] == 0x12 && at < proof->n) {
        uint8_t tag = proof->p[at];
        n = get_varint(proof->p + at + 1, &used);
        at += 1 + used;
        if (tag == 0x0a)
            put_message(&inner, tag, proof->p + at, n);
        else
            put_longer(&inner, tag, proof->p + at, n);
        at += n;
    }
    if (proof->p[0] == 0x12)
        put_message(&whole, 0x12, inner.p, inner.n);
    cn_buf_clear(proof);
    cn_put_bytes(proof, whole.p, whole.n);
    cn_buf_free(&inner);
    cn_buf_free(&whole);
}

/* Every proof of the dossier leads, through an operation with a suffix of five bytes, to the root that a quorum signed:
 * nothing but the form of the operation is wrong. */
static void five_byte_suffixes(void)
{
    static const uint8_t node = 1;
    cn_span preimage[] = {{&node, 1}, CN_SPAN_DIGEST(&p->header[0].state_root), {five, sizeof five}};
    p->header[0].state_root = cn_sha256v(preimage, 3);
    for (size_t i = 0; i < p->subjects; i++)
        lengthen(&p->subject[i].proof);
    sign_again(THREE);
    refused(CN_STEP_COMPLETENESS, "in the one accepted shape");
    for (int i = 0; i < CN_STEP_COMPLETENESS; i++)
        cr_expect_eq(report.step[i].verdict, CN_VERDICT_OK, "%s", cn_verify_step_name((cn_verify_step)i));
}

Test(negatives, suffix_of_five_bytes_in_a_state_proof)
{
    five_byte_suffixes();
}

Test(negatives, suffix_of_five_bytes_in_a_proof_of_absence)
{
    take(NOTHING);
    five_byte_suffixes();
}

/* ---- who signed ---- */

static uint8_t *signatures_back(size_t count)
{
    return p->certificate.p + p->certificate.n - 64 * count;
}

/* Three bits, and the first signature twice: two validators signed. */
Test(negatives, duplicate_signer_in_the_finalization)
{
    memcpy(signatures_back(2), signatures_back(3), 64);
    refused_only(CN_STEP_QUORUM, "is not valid");
}

/* One validator's lines twice, where two validators are wanted. */
Test(negatives, duplicate_signer_in_the_note)
{
    mini_seal(&m, p, TWO);
    cn_buf *note = mini_part(p, CN_PART_NOTE, 0), *tlog = mini_part(p, CN_PART_TLOG, FIRST);
    size_t path = tlog->n - note->n;
    mini_seal(&m, p, 1u);
    const uint8_t *lines = memmem(note->p, note->n, "\n\n", 2);
    cr_assert(lines && path > 0);
    size_t n = (size_t)(note->p + note->n - (lines + 2));
    uint8_t *copy = malloc(n);
    cr_assert_not_null(copy);
    memcpy(copy, lines + 2, n);
    cn_put_bytes(note, copy, n);
    free(copy);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t index = (const uint64_t[]){FIRST, TARGET, LAST}[i];
        const cn_receipt_proof *proof = proof_of(index);
        write_tlog(index, index, proof->path, proof->path_len);
    }
    refused_only(CN_STEP_RECEIPTS, "signed twice");
}

Test(negatives, duplicate_signer_in_receipts)
{
    mini_seal(&m, p, TWO);
    cn_buf *receipts = mini_part(p, CN_PART_RECEIPTS, TARGET);
    write_receipts(TARGET, proof_of(TARGET), 1u);
    size_t n = receipts->n - 1;
    uint8_t *copy = malloc(n);
    cr_assert_not_null(copy);
    memcpy(copy, receipts->p + 1, n);
    cn_put_bytes(receipts, copy, n);
    receipts->p[0] = 0x82;
    free(copy);
    refused_only(CN_STEP_RECEIPTS, "signed twice");
}

Test(negatives, high_s_in_a_vote)
{
    raise_s(signatures_back(2) + 32, order_secp256k1);
    refused_only(CN_STEP_QUORUM, "is not valid");
}

Test(negatives, high_s_in_a_receipt)
{
    cn_buf *receipts = mini_part(p, CN_PART_RECEIPTS, TARGET);
    raise_s(receipts->p + receipts->n - 32, order_p256);
    refused_only(CN_STEP_RECEIPTS, "does not verify");
}

/* Recorded so by a network that does not look: tree, log and record digest are those of the raised signature. */
Test(negatives, high_s_in_a_statement)
{
    uint64_t at = observe(&device, CONSIGNMENT, 50);
    mini_statement *s = &m.statement[at];
    cn_digest tag = mini_tag(&m, CONSIGNMENT);
    mini_subject *subject = mini_find(&m, &tag);
    raise_s(s->whole.p + s->decoded->record.n - 32, order_p256);
    cn_statement_free(s->decoded);
    cr_assert_eq(cn_statement_decode(s->whole.p, s->whole.n, &s->decoded, NULL), CN_OK);
    m.log[at] = cn_leaf_hash(s->decoded->record_digest.b, CN_DIGEST_LEN);
    subject->leaf[subject->record.count - 1].record = s->decoded->record_digest;
    mini_reroot(subject);
    take(CONSIGNMENT);
    refused_only(CN_STEP_SIGNATURE, "does not verify");
}

/* Really signed by validators, over a header without the algorithm: who reads it from the unprotected header is told
 * what to believe by whoever carried the receipt. */
Test(negatives, tree_algorithm_only_in_the_unprotected_header)
{
    static const uint8_t vds[] = {0x19, 0x01, 0x8b, 0x01}, root_follows[] = {0x40, 0x58, 0x20},
                         begin_sig[] = {0x84, 0x6a};
    mini_seal(&m, p, TWO);
    cn_buf *receipts = mini_part(p, CN_PART_RECEIPTS, TARGET), forged;
    cn_buf_init(&forged, CN_RECEIPT_MAX * 2);
    cn_cbor_head(&forged, CN_CBOR_ARRAY, 2);
    const uint8_t *next = receipts->p + 1;
    for (unsigned i = 0; i < 2; i++) {
        static cn_receipt one;
        cn_reader r = cn_reader_of(next, (size_t)(receipts->p + receipts->n - next));
        cr_assert_eq(cn_receipt_read(&r, &one, NULL), CN_OK);
        /* tag, array, head of the protected header, the header with its algorithm last, {396: ...}, nil, signature */
        const uint8_t *old = next + 4;
        size_t n = next[3], rest = one.len - 4 - n - 1 - 2 - CN_SIGNATURE_LEN;
        cn_buf to_sign;
        cn_signature signature;
        cr_assert(next[2] == 0x58 && old[0] == 0xa5 && memcmp(old + n - 4, vds, 4) == 0 && old[n] == 0xa1);
        size_t from = forged.n + 2;
        cn_put_bytes(&forged, next, 3);
        cn_put_u8(&forged, (uint8_t)(n - 4));
        cn_put_u8(&forged, 0xa4);
        cn_put_bytes(&forged, old + 1, n - 5);
        cn_buf_init(&to_sign, 4096);
        cn_put_bytes(&to_sign, begin_sig, sizeof begin_sig);
        cn_put_bytes(&to_sign, "Signature1", 10);
        cn_put_bytes(&to_sign, forged.p + from, forged.n - from);
        cn_put_bytes(&to_sign, root_follows, sizeof root_follows);
        cn_put_digest(&to_sign, &p->header[0].log_root);
        cn_digest digest = cn_sha256(to_sign.p, to_sign.n);
        cr_assert_eq(cn_sign(&m.sealing[i].receipt, &digest, &signature, NULL), CN_OK);
        cn_buf_free(&to_sign);
        cn_put_u8(&forged, 0xa2);
        cn_put_bytes(&forged, vds, sizeof vds);
        cn_put_bytes(&forged, old + n + 1, rest + 2);
        cn_put_bytes(&forged, signature.b, sizeof signature.b);
        next += one.len;
    }
    receipts->n = 0;
    cn_put_bytes(receipts, forged.p, forged.n);
    cn_buf_free(&forged);
    refused_only(CN_STEP_RECEIPTS, "protected header");
}

/* ---- epochs: a member that has left, on the real ledger ---- */

static void refused_of_ledger(fixture *fx, const cn_dossier *d, const cn_certificate *c, cn_verify_step step,
                              const char *words)
{
    cn_buf zip;
    fx_rebuild(d, c, &zip);
    cn_verify_report *r = fx_verify(fx, &zip);
    held_to(r, step, words);
    free(r);
    cn_buf_free(&zip);
}

/* Epoch 2: a fifth joins; epoch 3: the carrier leaves. Four votes of the checkpoint's set and epoch, and of these the
 * second by the key that is asked for. */
static void after_a_member_left(bool by_the_retired, bool of_the_first_set, cn_verify_step step, const char *words)
{
    static fixture fx;
    static fx_signer fifth;
    static cn_dossier d;
    cn_buf zip;
    fx_open(&fx);
    ch_register_fifth(&fx, &fifth);
    ch_join(&fx, &fifth);
    ch_leave(&fx, 2, 0, 4);
    cr_assert_eq(cn_ledger_epoch_of(fx.ledger, NULL), (uint64_t)3);
    fx_wait(&fx, fx_event(&fx, &fx.member[0], BOX, 1));
    cr_assert(fx_commit(&fx));
    fx_audit(&fx, BOX, &zip);
    cr_assert_eq(cn_dossier_read(zip.p, zip.n, &d, NULL), CN_OK);
    cr_assert_eq(d.header_count, (size_t)1);
    if (of_the_first_set)
        d.header[0].set = d.header[0].next_set = fx.genesis.set_digest;
    cn_validator_set set = fx.genesis.set;
    if (!of_the_first_set)
        cr_assert_eq(cn_validator_set_decode(d.epoch[1].rows.p, d.epoch[1].rows.n, &set, NULL), CN_OK);
    cn_certificate c = {.kind = CN_FINALIZE, .epoch = 3, .view = 5, .block = cn_header_digest(&d.header[0])};
    c.n = (uint8_t)set.n;
    cn_digest vote = cn_vote_digest(&fx.genesis.network, c.epoch, c.kind, c.view, &c.block);
    for (unsigned i = 0; i < cn_quorum(set.n); i++) {
        const cn_secret_key *key = by_the_retired && i == 1 ? &fx.vote[2] : NULL;
        for (unsigned k = 0; !key && k < FX_VOTE_KEYS; k++)
            if (memcmp(set.row[i].vote_key, fx.vote[k].public_key.b, 33) == 0)
                key = &fx.vote[k];
        cr_assert_not_null(key);
        c.bitmap[0] |= (uint8_t)(1u << i);
        cr_assert_eq(cn_sign(key, &vote, &c.signature[c.signature_count++], NULL), CN_OK);
    }
    refused_of_ledger(&fx, &d, &c, step, words);
    cn_dossier_clear(&d);
    cn_buf_free(&zip);
    fx_close(&fx);
}

Test(negatives, retired_epoch_signer_in_the_finalization)
{
    after_a_member_left(true, false, CN_STEP_QUORUM, "signature of validator 1 is not valid");
}

/* The whole set of the first epoch goes on as if nothing had changed. */
Test(negatives, retired_epoch_signers_alone)
{
    after_a_member_left(false, true, CN_STEP_EPOCH_CHAIN, "its validators");
}

/* A receipt key that the validator has given up, over today's checkpoint. */
Test(negatives, retired_key_in_receipts)
{
    uint8_t secret[32];
    cn_checkpoint_keys kept = m.sealing[0];
    cn_set_row row = m.genesis.set.row[0];
    memset(secret, 77, sizeof secret);
    cr_assert_eq(cn_secret_key_from_bytes(CN_KEY_P256, secret, &m.sealing[0].receipt, NULL), CN_OK);
    memcpy(m.genesis.set.row[0].receipt_key, m.sealing[0].receipt.public_key.b, 33);
    write_receipts(TARGET, proof_of(TARGET), THREE);
    m.sealing[0] = kept;
    m.genesis.set.row[0] = row;
    refused_only(CN_STEP_RECEIPTS, "iss or kid");
}

/* ---- trees of one leaf (RFC 9162, 2.1: its root is the hash of the leaf, and its path is empty) ---- */

/* What would be right in a log of one entry, against the log of twenty. */
Test(negatives, one_leaf_proof_for_a_larger_log)
{
    p->statement[mini_place(p, TARGET)].path_len = 0;
    mini_seal(&m, p, THREE);
    refused(CN_STEP_INCLUSION, "does not lead");
}

Test(negatives, one_leaf_receipts_for_a_larger_log)
{
    const cn_receipt_proof proof = {.size = 1};
    write_receipts(TARGET, &proof, THREE);
    refused_only(CN_STEP_RECEIPTS, "does not prove inclusion at this log index");
}

/* A log of one: the statement of a capture key of genesis, which a quorum made final. */
static void one_leaf_log(void)
{
    m.log_size = 0; /* what was there is freed at the end */
    m.subjects = 0;
    m.pairings = 0;
    cn_statement *old = m.statement[0].decoded;
    cr_assert_null(old);
    cr_assert_eq(observe(&m.capture[1], CONSIGNMENT, 1), (uint64_t)0);
    take(CONSIGNMENT);
    m.log_size = SIZE;
    cr_assert_eq(p->statements, (size_t)1);
    cr_assert_eq(p->header[0].log_size, (uint64_t)1);
    cr_assert_eq(p->statement[0].path_len, (size_t)0);
    cr_assert(cn_digest_eq(&p->header[0].log_root, &m.log[0]));
}

Test(negatives, control_a_log_of_one_leaf)
{
    one_leaf_log();
    accepted();
}

/* A path of one step where there is none: in the statement, the receipts and the tlog-proof. */
Test(negatives, path_claimed_in_a_log_of_one_leaf)
{
    one_leaf_log();
    p->statement[0].path[0] = m.log[FIRST];
    p->statement[0].path_len = 1;
    mini_seal(&m, p, THREE);
    refused_only(CN_STEP_INCLUSION, "does not lead");
}

/* A quorum signs "one leaf" over the root of twenty, so that the path is claimed to be empty. */
Test(negatives, root_of_a_larger_log_with_one_leaf_claimed)
{
    one_leaf_log();
    p->header[0].log_root = cn_merkle_root(m.log, SIZE);
    sign_again(THREE);
    refused_only(CN_STEP_INCLUSION, "does not lead");
}

/* Two items give way to one whose "leaf hash" is the node above them, which the manifest names as left out: three
 * hashes with the same root as four. RFC 9162 tells leaves from nodes by 0x00 and 0x01; here the leaf hash comes as it
 * is, and the number of items that was signed is what tells. */
Test(negatives, node_presented_as_a_leaf)
{
    cn_buf *items = &p->statement[mini_place(p, TARGET)].items, merged;
    cn_digest leaf[4], three[3], node;
    const uint8_t *start[5];
    start[0] = items->p;
    for (size_t i = 0, used; i < 4; i++) { /* field 3, length, bytes */
        cr_assert_eq(start[i][0], 0x1a);
        size_t n = get_varint(start[i] + 1, &used);
        leaf[i] = cn_item_leaf(start[i] + 1 + used, n);
        start[i + 1] = start[i] + 1 + used + n;
    }
    cr_assert_eq(start[4], items->p + items->n);
    node = cn_node_hash(&leaf[2], &leaf[3]);
    memcpy(three, leaf, sizeof three);
    three[2] = node;
    cn_digest root = cn_merkle_root(leaf, 4), same = cn_merkle_root(three, 3);
    cr_assert(cn_digest_eq(&root, &same), "the attack is none");
    cn_buf_init(&merged, 1u << 16);
    cn_put_bytes(&merged, items->p, (size_t)(start[2] - start[0]));
    cn_put_u8(&merged, 0x1a);
    cn_put_u8(&merged, CN_ITEM_ERASED_LEN);
    cn_put_u8(&merged, CN_ITEM_ERASED);
    cn_put_digest(&merged, &node);
    items->n = 0;
    cn_put_bytes(items, merged.p, merged.n);
    cn_buf_free(&merged);
    p->redaction[p->redactions++] = (cn_dossier_redaction){TARGET, 2};
    refused_only(CN_STEP_ITEM_ROOT, "3 items are here, the signed body names 4");
}

/* The 64 bytes of the node above the statement in the place of its record digest, one step nearer to the root: the path
 * from there does lead to the root. Receipts and tlog-proofs for it; the stock verifiers are asked about these bytes.
 */
Test(negatives, proof_of_the_node_above_the_leaf)
{
    cn_receipt_proof *proof = proof_of(TARGET);
    proof->size = SIZE / 2;
    proof->index = TARGET / 2;
    proof->path_len--;
    memmove(proof->path, proof->path + 1, proof->path_len * CN_DIGEST_LEN);
    cn_digest node = cn_node_hash(&m.log[TARGET - 1], &m.log[TARGET]);
    leads_to_the_root(&node, proof);
    write_receipts(TARGET, proof, THREE);
    write_tlog(TARGET, proof->index, proof->path, proof->path_len);
    refused_only(CN_STEP_RECEIPTS, "does not prove inclusion at this log index");
}

/* ---- content and order ---- */

/* As an edit in a node's database leaves it: what was hashed is as it was. carnet fsck finds it there. */
Test(negatives, body_edited_while_hashes_stay)
{
    cn_buf *items = &p->statement[mini_place(p, TARGET)].items;
    uint8_t *at = memmem(items->p, items->n, "+03:00", 6);
    cr_assert_not_null(at);
    at[2] = '2';
    refused(CN_STEP_ITEM_ROOT, "the items hash to");
}

static void item_bounds(const cn_buf *items, size_t bound[5])
{
    bound[0] = 0;
    for (size_t i = 0, used; i < 4; i++) {
        size_t n = get_varint(items->p + bound[i] + 1, &used);
        bound[i + 1] = bound[i] + 1 + used + n;
    }
    cr_assert_eq(bound[4], items->n);
}

Test(negatives, one_event_withheld)
{
    cn_buf *items = &p->statement[mini_place(p, TARGET)].items;
    size_t bound[5];
    item_bounds(items, bound);
    memmove(items->p + bound[2], items->p + bound[3], bound[4] - bound[3]);
    items->n -= bound[3] - bound[2];
    refused(CN_STEP_ITEM_ROOT, "3 items are here");
}

/* By its leaf hash, as if it had been erased; nothing ordered that, and the manifest does not own up to it. */
Test(negatives, one_event_withheld_by_its_leaf_hash)
{
    cn_buf *items = &p->statement[mini_place(p, TARGET)].items, changed;
    size_t bound[5], used;
    item_bounds(items, bound);
    size_t n = get_varint(items->p + bound[2] + 1, &used);
    uint8_t erased[CN_ITEM_ERASED_LEN];
    cn_item_erase(items->p + bound[2] + 1 + used, n, erased);
    cn_buf_init(&changed, 1u << 16);
    cn_put_bytes(&changed, items->p, bound[2]);
    put_message(&changed, 0x1a, erased, sizeof erased);
    cn_put_bytes(&changed, items->p + bound[3], bound[4] - bound[3]);
    items->n = 0;
    cn_put_bytes(items, changed.p, changed.n);
    cn_buf_free(&changed);
    refused_only(CN_STEP_REDACTIONS, "the content of item 2 is missing");
}

Test(negatives, one_statement_withheld)
{
    withhold(TARGET, false);
    refused_only(CN_STEP_COMPLETENESS, "missing");
}

/* Its leaf goes with it. */
Test(negatives, device_statement_skipped)
{
    withhold(TARGET, true);
    refused(CN_STEP_COMPLETENESS, "do not hash to the record");
}

/* A network that lost one: the next statement of the device takes its number and still names it. */
Test(negatives, device_statement_skipped_by_the_network)
{
    cn_digest of_the_lost = device.previous;
    of_the_lost.b[0] ^= 1;
    device.previous = of_the_lost;
    observe(&device, CONSIGNMENT, 50);
    take(CONSIGNMENT);
    refused_only(CN_STEP_HASH_CHAIN, "previous is not the id");
}

Test(negatives, two_events_swapped)
{
    cn_buf *items = &p->statement[mini_place(p, TARGET)].items;
    size_t bound[5], n;
    item_bounds(items, bound);
    n = bound[2] - bound[1];
    cr_assert_eq(n, bound[3] - bound[2]);
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = items->p[bound[1] + i];
        items->p[bound[1] + i] = items->p[bound[2] + i];
        items->p[bound[2] + i] = byte;
    }
    refused_only(CN_STEP_ITEM_ROOT, "the items hash to");
}

/* Statements change places, each with the path of the place where it is now, and their leaves too. */
Test(negatives, two_statements_swapped)
{
    size_t a = mini_place(p, FIRST), b = mini_place(p, TARGET);
    cn_subject_leaf *leaf = leaves_of(CONSIGNMENT, NULL);
    cn_buf record = p->statement[a].record, items = p->statement[a].items;
    p->statement[a].record = p->statement[b].record;
    p->statement[a].items = p->statement[b].items;
    p->statement[b].record = record;
    p->statement[b].items = items;
    cn_digest first = leaf[0].record;
    leaf[0].record = leaf[1].record;
    leaf[1].record = first;
    refused(CN_STEP_INCLUSION, "does not lead");
}

/* A network that records a device's later statement first: every tree is of what it recorded. */
Test(negatives, two_statements_recorded_in_the_other_order)
{
    mini_signer ahead = device;
    ahead.sequence++;
    observe(&ahead, CONSIGNMENT, 52);
    observe(&device, CONSIGNMENT, 50);
    take(CONSIGNMENT);
    refused_only(CN_STEP_HASH_CHAIN, "comes after");
}

/* ---- keys ---- */

static uint64_t revoke(void)
{
    cn_registry_change change = {
        .op = CN_REG_KEY_REVOKE, .key_id = device.id, .sequence = device.sequence, .reason = 3};
    return mini_registry(&m, &m.capture[0], &change);
}

Test(negatives, key_used_after_its_revocation)
{
    revoke();
    observe(&device, CONSIGNMENT, 50);
    take(CONSIGNMENT);
    refused_only(CN_STEP_AUTHORITY, "revoked before");
}

/* The statement that revoked it is left out, with its leaf in the tree about the key. */
Test(negatives, key_used_after_a_revocation_that_is_withheld)
{
    uint64_t at = revoke();
    observe(&device, CONSIGNMENT, 50);
    take(CONSIGNMENT);
    cn_digest about = cn_key_subject(m.genesis.subject_salt, &device.id);
    mini_drop_statement(p, at);
    p->subject[mini_subject_place(p, &about)].count--;
    refused(CN_STEP_COMPLETENESS, "do not hash to the record");
}
