/* Checkpoint signatures, signed notes and COSE receipts: what is written is read and verified, and no single bit of it
 * can change. */
#include "tests/unit/proto/kit.h"

#include "proto/cbor.h"
#include "proto/checkpoint.h"
#include "proto/receipt.h"

#include <stdlib.h>

#define LEAVES 20u

typedef struct world {
    cn_digest entry[LEAVES], leaf[LEAVES];
    cn_header header;
    cn_checkpoint checkpoint;
    cn_checkpoint_keys keys;
    cn_set_row row;
    cn_checkpoint_signatures signatures;
} world;

static void make(world *w)
{
    cn_err err = {0};
    cn_digest network = kit_network();
    memset(w, 0, sizeof *w);
    for (unsigned i = 0; i < LEAVES; i++) {
        w->entry[i] = kit_fill((uint8_t)i);
        w->leaf[i] = cn_leaf_hash(w->entry[i].b, CN_DIGEST_LEN);
    }
    w->header = (cn_header){.version = 1,
                            .kind = CN_BLOCK_CHECKPOINT,
                            .epoch = 3,
                            .height = 70000,
                            .time_ms = 1767225600999,
                            .log_size = LEAVES,
                            .log_root = cn_merkle_root(w->leaf, LEAVES)};
    cr_assert_eq(cn_checkpoint_of(&w->header, &network, "log.example", &w->checkpoint, &err), CN_OK, "%s", err.text);
    w->keys.receipt = kit_key(CN_KEY_P256, 11);
    w->keys.cosignature = kit_key(CN_KEY_ED25519, 12);
    w->keys.log = kit_key(CN_KEY_ED25519, 13);
    w->row.member = cn_member_id("bank");
    memcpy(w->row.receipt_key, w->keys.receipt.public_key.b, 33);
    memcpy(w->row.cosignature_key, w->keys.cosignature.public_key.b, 32);
    memcpy(w->row.log_key, w->keys.log.public_key.b, 32);
    cr_assert_eq(cn_checkpoint_sign(&w->checkpoint, &w->row.member, "bank", &w->keys, &w->signatures, &err), CN_OK,
                 "%s", err.text);
}

static bool accepted(const world *w, const uint8_t bytes[CN_CHECKPOINT_SIGNATURES_LEN])
{
    cn_checkpoint_signatures s;
    return cn_checkpoint_signatures_decode(bytes, CN_CHECKPOINT_SIGNATURES_LEN, &s, NULL) == CN_OK &&
           cn_checkpoint_signatures_verify(&s, &w->checkpoint, "bank", &w->row, NULL) == CN_OK;
}

Test(checkpoint, signatures_travel_and_no_bit_of_them_may_change)
{
    world w;
    uint8_t bytes[CN_CHECKPOINT_SIGNATURES_LEN];
    cn_checkpoint_signatures back;
    make(&w);
    cn_checkpoint_signatures_encode(&w.signatures, bytes);
    cr_assert(accepted(&w, bytes));
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_expect(!accepted(&w, bytes), "bit %zu", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t n = 0; n < sizeof bytes; n++)
        cr_expect_neq(cn_checkpoint_signatures_decode(bytes, n, &back, NULL), CN_OK);
}

Test(checkpoint, each_field_of_the_checkpoint_is_signed)
{
    world w;
    cn_err err;
    make(&w);
    for (int field = 0; field < 4; field++) {
        cn_checkpoint c = w.checkpoint;
        c.size += field == 0;
        c.root.b[31] ^= (uint8_t)(field == 1);
        c.time_ms += field == 2 ? 1000 : 0;
        c.log_origin[0] = field == 3 ? 'L' : c.log_origin[0];
        cr_expect_eq(cn_checkpoint_signatures_verify(&w.signatures, &c, "bank", &w.row, &err), CN_BAD_SIGNATURE,
                     "field %d", field);
    }
    cr_expect_eq(cn_checkpoint_signatures_verify(&w.signatures, &w.checkpoint, "bond", &w.row, &err), CN_BAD_SIGNATURE);
}

Test(checkpoint, normal_blocks_genesis_and_odd_origins_are_not_signed)
{
    world w;
    cn_digest network = kit_network();
    cn_checkpoint c;
    make(&w);
    cn_header h = w.header;
    h.kind = CN_BLOCK_NORMAL;
    cr_expect_eq(cn_checkpoint_of(&h, &network, "log.example", &c, NULL), CN_INVALID);
    h = w.header;
    h.height = 0;
    cr_expect_eq(cn_checkpoint_of(&h, &network, "log.example", &c, NULL), CN_INVALID);
    const char *const odd[] = {"", "a b", "a+b", "a\nb", "a\x7f", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        cr_expect_eq(cn_checkpoint_of(&w.header, &network, odd[i], &c, NULL), CN_INVALID, "%zu", i);
}

/* golang.org/x/mod/sumdb/note, package documentation: the verifier key and the signed text of its example. */
Test(checkpoint, published_note_key_and_signature)
{
    char name[CN_SIGNER_NAME_MAX + 1], vkey[CN_NOTE_VKEY_MAX + 1];
    uint8_t key[32], blob[68];
    cn_note_type type;
    size_t n;
    const char *peter = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const char *text = "If you think cryptography is the answer to your problem,\n"
                       "then you don't know what your problem is.\n";
    const char *line = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
    cr_assert_eq(cn_note_vkey_parse(peter, name, &type, key, NULL), CN_OK);
    cr_expect_str_eq(name, "PeterNeumann");
    cr_expect_eq(type, CN_NOTE_ED25519);
    cn_note_vkey(name, type, key, vkey);
    cr_expect_str_eq(vkey, peter);
    cr_assert(cn_unbase64(line, strlen(line), blob, sizeof blob, &n) && n == 68);
    cr_expect(cn_ed25519_verify(key, text, strlen(text), blob + 4));
    blob[67] ^= 1;
    cr_expect(!cn_ed25519_verify(key, text, strlen(text), blob + 4));
    const char *const bad[] = {"PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                               "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
                               "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "PeterNeumann", ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_neq(cn_note_vkey_parse(bad[i], name, &type, key, NULL), CN_OK, "%zu", i);
}

Test(checkpoint, a_note_is_read_back_and_every_bit_of_it_counts)
{
    world w;
    cn_buf out;
    cn_note note;
    char signer[CN_SIGNER_NAME_MAX + 1];
    uint64_t seconds = 0;
    make(&w);
    cn_buf_init(&out, CN_MAX_NOTE_BYTES);
    cn_note_begin(&out, &w.checkpoint);
    cn_note_add(&out, &w.checkpoint, "bank", &w.row, &w.signatures);
    cr_assert_eq(cn_note_parse(out.p, out.n, &note, NULL), CN_OK);
    cr_expect_eq(note.size, LEAVES);
    cr_expect(cn_digest_eq(&note.root, &w.checkpoint.root));
    cr_expect_eq(note.line_count, 2);
    cn_signer_name(&w.checkpoint, "bank", signer);
    cr_expect(cn_note_signed_by(&note, w.checkpoint.log_origin, CN_NOTE_ED25519, w.row.log_key, NULL));
    cr_expect(cn_note_signed_by(&note, signer, CN_NOTE_COSIGNATURE_V1, w.row.cosignature_key, &seconds));
    cr_expect_eq(seconds, 1767225600);
    cr_expect(!cn_note_signed_by(&note, signer, CN_NOTE_COSIGNATURE_V1, w.row.log_key, NULL));
    for (size_t bit = 0; bit < 8 * out.n; bit++) {
        out.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool whole = cn_note_parse(out.p, out.n, &note, NULL) == CN_OK &&
                     cn_note_signed_by(&note, w.checkpoint.log_origin, CN_NOTE_ED25519, w.row.log_key, NULL) &&
                     cn_note_signed_by(&note, signer, CN_NOTE_COSIGNATURE_V1, w.row.cosignature_key, NULL);
        cr_expect(!whole, "bit %zu", bit);
        out.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t n = 0; n < out.n; n++)
        cr_expect(cn_note_parse(out.p, n, &note, NULL) != CN_OK || note.line_count < 2, "%zu bytes", n);
    cn_buf_free(&out);
}

Test(checkpoint, notes_with_another_shape_are_refused)
{
    static const char *const bad[] = {
        "o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n", /* no signature */
        "o\n01\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 o AAAAAAA=\n",
        "o\n18446744073709551616\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 o AAAAAAA=\n",
        "o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nextension\n\n\xe2\x80\x94 o AAAAAAA=\n",
        "o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n\n\xe2\x80\x94 o AAAAAAA=\n", /* stray bits */
        "o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n- o AAAAAAA=\n",
        "o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94  AAAAAAA=\n",
        "o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 o AAAAAAA=", /* no last newline */
    };
    cn_note *note = calloc(1, sizeof *note);
    const char *good = "o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 o AAAAAAA=\n";
    cr_expect_eq(cn_note_parse(good, strlen(good), note, NULL), CN_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_neq(cn_note_parse(bad[i], strlen(bad[i]), note, NULL), CN_OK, "%zu", i);
    free(note);
}

/* ---- receipts ---- */

static void write_receipt(const world *w, bool consistency, cn_buf *out)
{
    char signer[CN_SIGNER_NAME_MAX + 1];
    cn_digest kid = cn_receipt_kid(w->row.receipt_key);
    cn_receipt_proof proof = {.consistency = consistency, .size = LEAVES, .index = consistency ? 16 : 17};
    cn_signer_name(&w->checkpoint, "bank", signer);
    if (consistency) { /* 16 of 20: the root of the four leaves that follow */
        proof.path_len = 1;
        proof.path[0] = cn_merkle_root(w->leaf + 16, 4);
    } else {
        proof.path_len = cn_merkle_path(w->leaf, LEAVES, 17, proof.path);
    }
    cn_buf_init(out, CN_RECEIPT_MAX);
    cn_receipt_write(out, &w->checkpoint, signer, &kid, &proof, &w->signatures.receipt);
    cr_assert(!out->fault);
}

static cn_status judge(const world *w, bool consistency, const void *p, size_t n, cn_err *err)
{
    cn_receipt receipt;
    cn_reader r = cn_reader_of(p, n);
    cn_digest root1 = cn_merkle_root(w->leaf, 16);
    cn_status st = cn_receipt_read(&r, &receipt, err);
    if (st == CN_OK && (!cn_reader_done(&r) || receipt.len != n))
        st = cn_fail(err, CN_INVALID, "receipt", "bytes follow");
    if (st == CN_OK && (receipt.proof.consistency != consistency || receipt.proof.index != (consistency ? 16u : 17u)))
        st = cn_fail(err, CN_INVALID, "position", "another position");
    return st == CN_OK
               ? cn_receipt_verify(&receipt, &w->checkpoint, "bank", &w->row, consistency ? &root1 : &w->entry[17], err)
               : st;
}

static void every_bit_counts(bool consistency)
{
    world w;
    cn_buf out;
    cn_err err = {0};
    make(&w);
    write_receipt(&w, consistency, &out);
    cr_assert_eq(judge(&w, consistency, out.p, out.n, &err), CN_OK, "%s: %s", err.field, err.text);
    for (size_t bit = 0; bit < 8 * out.n; bit++) {
        out.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_expect_neq(judge(&w, consistency, out.p, out.n, NULL), CN_OK, "bit %zu", bit);
        out.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t n = 0; n < out.n; n++)
        cr_expect_neq(judge(&w, consistency, out.p, n, NULL), CN_OK, "%zu bytes", n);
    cn_buf_free(&out);
}

Test(receipt, inclusion_and_no_bit_of_it_may_change)
{
    every_bit_counts(false);
}

Test(receipt, consistency_and_no_bit_of_it_may_change)
{
    every_bit_counts(true);
}

/* One signature for leaf 17 of 20 also fits 5 of 7, whose path has the same shape: the size is bound in the header. */
Test(receipt, the_same_path_at_another_position_is_refused)
{
    world w;
    cn_err err;
    char signer[CN_SIGNER_NAME_MAX + 1];
    cn_receipt receipt;
    cn_buf out;
    make(&w);
    write_receipt(&w, false, &out);
    cn_reader r = cn_reader_of(out.p, out.n);
    cr_assert_eq(cn_receipt_read(&r, &receipt, NULL), CN_OK);
    receipt.proof.index = 5;
    receipt.proof.size = 7;
    cr_expect_eq(cn_receipt_verify(&receipt, &w.checkpoint, "bank", &w.row, &w.entry[17], &err), CN_INVALID);
    cr_expect_str_eq(err.field, "checkpoint");
    receipt.proof.size = LEAVES;
    cr_expect_eq(cn_receipt_verify(&receipt, &w.checkpoint, "bank", &w.row, &w.entry[17], &err), CN_INVALID);
    cr_expect_str_eq(err.field, "path");
    cn_signer_name(&w.checkpoint, "bank", signer);
    cr_expect_str_eq(receipt.signer_name, signer);
    cn_buf_free(&out);
}

Test(receipt, a_high_s_signature_is_refused)
{
    /* the order of P-256 (FIPS 186-5, SP 800-186) */
    kit_bytes order = kit_unhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    world w;
    cn_buf out;
    cn_err err;
    int borrow = 0;
    make(&w);
    uint8_t *s = w.signatures.receipt.b + 32;
    for (int i = 31; i >= 0; i--) {
        int d = order.p[i] - s[i] - borrow;
        borrow = d < 0;
        s[i] = (uint8_t)(d & 0xff);
    }
    write_receipt(&w, false, &out);
    cr_expect_eq(judge(&w, false, out.p, out.n, &err), CN_BAD_SIGNATURE);
    cr_expect_str_eq(err.field, "signature");
    cn_buf_free(&out);
}

Test(cbor, heads_have_one_form)
{
    static const uint64_t edge[] = {0, 1, 23, 24, 255, 256, 65535, 65536, 4294967295u, 4294967296u, UINT64_MAX};
    static const size_t length[] = {1, 1, 1, 2, 2, 3, 3, 5, 5, 9, 9};
    for (size_t i = 0; i < sizeof edge / sizeof edge[0]; i++) {
        cn_buf out;
        cn_buf_init(&out, 16);
        cn_cbor_head(&out, CN_CBOR_UNSIGNED, edge[i]);
        cr_assert_eq(out.n, length[i]);
        cn_reader r = cn_reader_of(out.p, out.n);
        cr_expect_eq(cn_cbor_read_head(&r, CN_CBOR_UNSIGNED), edge[i]);
        cr_expect(cn_reader_done(&r));
        r = cn_reader_of(out.p, out.n);
        cn_cbor_read_head(&r, CN_CBOR_BYTES);
        cr_expect(r.fault);
        cn_buf_free(&out);
    }
    /* longer than needed, reserved, indefinite */
    static const char *const bad[] = {"1817", "1900ff", "1a0000ffff", "1b00000000ffffffff", "1c", "1f", "18", ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        kit_bytes b = kit_unhex(bad[i]);
        cn_reader r = cn_reader_of(b.p, b.n);
        cn_cbor_read_head(&r, CN_CBOR_UNSIGNED);
        cr_expect(r.fault, "%s", bad[i]);
    }
}

/* RFC 8949 appendix A. */
Test(cbor, published_examples)
{
    cn_buf out;
    char hex[64];
    cn_buf_init(&out, 64);
    cn_cbor_integer(&out, 1000000);
    cn_cbor_integer(&out, -10);
    cn_cbor_integer(&out, -1000);
    cn_cbor_text(&out, "IETF");
    cn_cbor_bytes(&out, "\1\2\3\4", 4);
    cn_cbor_null(&out);
    cn_cbor_head(&out, CN_CBOR_ARRAY, 25);
    cn_hex(out.p, out.n, hex);
    cr_expect_str_eq(hex, "1a000f4240"
                          "29"
                          "3903e7"
                          "6449455446"
                          "4401020304"
                          "f6"
                          "9819");
    cn_buf_free(&out);
}
