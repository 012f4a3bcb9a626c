/* Quorum arithmetic, validator sets, votes, certificates. */
#include "kit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

Test(quorum, arithmetic_holds_for_every_size)
{
    for (unsigned n = 1; n <= 64; n++) {
        unsigned f = cn_max_faults(n), q = cn_quorum(n);
        cr_assert(3 * f < n && 3 * (f + 1) >= n, "f is the most with 3f < n");
        cr_assert_gt(2 * q, n + f, "two quorums share an honest validator");
        cr_assert_leq(2 * (q - 1), n + f, "one less would not");
        cr_assert_leq(q, n - f, "the honest ones are a quorum");
        cr_assert_geq(q, f + 1);
    }
    static const unsigned known[][3] = {{1, 0, 1}, {2, 0, 2}, {3, 0, 2},  {4, 1, 3},   {5, 1, 4},
                                        {6, 1, 4}, {7, 2, 5}, {10, 3, 7}, {32, 10, 22}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        cr_assert_eq(cn_max_faults(known[i][0]), known[i][1]);
        cr_assert_eq(cn_quorum(known[i][0]), known[i][2], "quorum(%u)", known[i][0]);
    }
}

Test(quorum, an_empty_set_is_a_bug, .signal = SIGABRT)
{
    cn_quorum(0);
}

/* ---- sets ---- */

static void refuse_set(const cn_validator_set *set, cn_status code, const char *field)
{
    cn_err err = {0};
    cr_assert_eq(cn_validator_set_check(set, &err), code, "%s: %s", err.field, err.text);
    cr_assert_str_eq(err.field, field);
    cn_buf b;
    cn_buf_init(&b, CN_SET_ROW_LEN * CN_MAX_VALIDATORS);
    cn_validator_set_encode(set, &b);
    cn_validator_set *untouched = calloc(1, sizeof *untouched);
    cr_assert_not_null(untouched);
    untouched->n = 77;
    cr_assert_neq(cn_validator_set_decode(b.p, b.n, untouched, NULL), CN_OK);
    cr_assert_eq(untouched->n, 77);
    free(untouched);
    cn_buf_free(&b);
}

Test(set, both_ways_for_every_size)
{
    for (unsigned n = 1; n <= CN_MAX_VALIDATORS; n++) {
        kit_set s;
        cn_validator_set back;
        cn_buf b;
        cn_err err = {0};
        kit_set_make(&s, n);
        cn_buf_init(&b, CN_SET_ROW_LEN * CN_MAX_VALIDATORS);
        cn_validator_set_encode(&s.set, &b);
        cr_assert_eq(b.n, n * CN_SET_ROW_LEN);
        cr_assert_eq(cn_validator_set_decode(b.p, b.n, &back, &err), CN_OK, "%s: %s", err.field, err.text);
        cr_assert_eq(back.n, n);
        cr_assert_arr_eq(back.row, s.set.row, n * sizeof s.set.row[0]);
        cn_digest digest = cn_validator_set_digest(&s.set), by_bytes = cn_tagged("carnet/set", b.p, b.n);
        cr_assert(cn_digest_eq(&digest, &by_bytes));
        for (unsigned i = 0; i < n; i++)
            cr_assert_eq(cn_validator_set_find(&s.set, &s.set.row[i].member), (int)i);
        cr_assert_eq(cn_validator_set_find(&s.set, &cn_digest_zero), -1);
        cn_buf_free(&b);
    }
}

Test(set, refuses_lengths)
{
    kit_set s;
    cn_validator_set back;
    cn_buf b;
    kit_set_make(&s, 4);
    cn_buf_init(&b, 100 * CN_SET_ROW_LEN);
    cr_assert_neq(cn_validator_set_decode(NULL, 0, &back, NULL), CN_OK);
    cn_validator_set_encode(&s.set, &b);
    for (size_t cut = 1; cut < b.n; cut++)
        if (cut % CN_SET_ROW_LEN)
            cr_assert_eq(cn_validator_set_decode(b.p, cut, &back, NULL), CN_INVALID);
    uint8_t row[CN_SET_ROW_LEN];
    memcpy(row, b.p, sizeof row);
    while (b.n < (CN_MAX_VALIDATORS + 1) * sizeof row)
        cn_put_bytes(&b, row, sizeof row);
    cr_assert_eq(cn_validator_set_decode(b.p, b.n, &back, NULL), CN_INVALID, "33 rows");
    cn_buf_free(&b);
}

Test(set, refuses_every_broken_rule)
{
    kit_set s, t;
    kit_set_make(&s, 4);
    t = s;
    t.set.n = 0;
    cr_assert_eq(cn_validator_set_check(&t.set, NULL), CN_INVALID);
    t.set.n = CN_MAX_VALIDATORS + 1;
    cr_assert_eq(cn_validator_set_check(&t.set, NULL), CN_INVALID);
    t = s;
    t.set.row[1] = s.set.row[2];
    t.set.row[2] = s.set.row[1];
    refuse_set(&t.set, CN_NOT_CANONICAL, "set.row[2]");
    t = s;
    t.set.row[2].member = t.set.row[1].member;
    refuse_set(&t.set, CN_NOT_CANONICAL, "set.row[2]");
    t = s;
    t.set.row[3].evm_address[19] ^= 1;
    refuse_set(&t.set, CN_INVALID, "set.row[3]");
    t = s;
    t.set.row[0].vote_key[0] = 4;
    refuse_set(&t.set, CN_INVALID, "set.row[0]");
    t = s;
    memset(t.set.row[0].receipt_key + 1, 0xff, 32);
    refuse_set(&t.set, CN_INVALID, "set.row[0]");
    t = s;
    memset(t.set.row[0].cosignature_key, 0, 32); /* a point of order 4 */
    refuse_set(&t.set, CN_INVALID, "set.row[0]");
    t = s;
    memset(t.set.row[2].log_key, 0xff, 32);
    refuse_set(&t.set, CN_INVALID, "set.row[2]");
}

Test(set, no_key_serves_two)
{
    kit_set s, t;
    kit_set_make(&s, 4);
    t = s;
    memcpy(t.set.row[1].log_key, t.set.row[1].cosignature_key, 32);
    refuse_set(&t.set, CN_INVALID, "set.row[1]");
    t = s;
    memcpy(t.set.row[3].vote_key, t.set.row[1].vote_key, 33);
    memcpy(t.set.row[3].evm_address, t.set.row[1].evm_address, 20);
    refuse_set(&t.set, CN_INVALID, "set.row[3]");
    t = s;
    memcpy(t.set.row[2].receipt_key, t.set.row[0].receipt_key, 33);
    refuse_set(&t.set, CN_INVALID, "set.row[2]");
    t = s;
    memcpy(t.set.row[2].log_key, t.set.row[0].cosignature_key, 32);
    refuse_set(&t.set, CN_INVALID, "set.row[2]");
    t = s;
    memcpy(t.set.row[2].cosignature_key, t.set.row[0].log_key, 32);
    refuse_set(&t.set, CN_INVALID, "set.row[2]");
}

/* ---- votes ---- */

Test(vote, the_digest_binds_every_part)
{
    cn_digest network = kit_fill(1), block = kit_fill(2), other = kit_fill(3);
    cn_digest d[6] = {
        cn_vote_digest(&network, 1, CN_NOTARIZE, 9, &block), cn_vote_digest(&other, 1, CN_NOTARIZE, 9, &block),
        cn_vote_digest(&network, 2, CN_NOTARIZE, 9, &block), cn_vote_digest(&network, 1, CN_FINALIZE, 9, &block),
        cn_vote_digest(&network, 1, CN_NOTARIZE, 8, &block), cn_vote_digest(&network, 1, CN_NOTARIZE, 9, &other)};
    for (int a = 0; a < 6; a++)
        for (int b = 0; b < a; b++)
            cr_assert(!cn_digest_eq(&d[a], &d[b]));
    uint8_t by_hand[32 + 8 + 1 + 8 + 32];
    uint8_t *p = by_hand;
    memcpy(p, network.b, 32);
    p = cn_store_u64(p + 32, 1);
    *p++ = 1;
    p = cn_store_u64(p, 9);
    memcpy(p, block.b, 32);
    cn_digest expected = cn_tagged("carnet/vote", by_hand, sizeof by_hand);
    cr_assert(cn_digest_eq(&expected, &d[0]));
}

Test(vote, verifies_for_its_signer_only)
{
    kit_set s;
    kit_set_make(&s, 4);
    cn_vote_keys *keys = cn_vote_keys_new(&s.set);
    cr_assert_not_null(keys);
    cn_digest digest = kit_fill(9);
    cn_signature sig;
    cr_assert_eq(cn_sign(&s.vote[2], &digest, &sig, NULL), CN_OK);
    for (unsigned i = 0; i < 6; i++)
        cr_assert_eq(cn_vote_verify(keys, i, &digest, sig.b), i == 2);
    cn_digest other = kit_fill(8);
    cr_assert(!cn_vote_verify(keys, 2, &other, sig.b));
    /* n - s is as valid to mathematics, and refused: a vote has one form */
    kit_bytes order = kit_unhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    int borrow = 0;
    for (int i = 31; i >= 0; i--) {
        int v = order.p[i] - sig.b[32 + i] - borrow;
        borrow = v < 0;
        sig.b[32 + i] = (uint8_t)(v & 0xff);
    }
    cr_assert(!cn_vote_verify(keys, 2, &digest, sig.b));
    cn_vote_keys_free(keys);
    cn_vote_keys_free(NULL);
    s.set.row[1].vote_key[0] = 9;
    cr_assert_null(cn_vote_keys_new(&s.set));
}

/* ---- certificates ---- */

static cn_status read_certificate(const cn_buf *b, cn_certificate *ret, cn_err *err)
{
    cn_reader r = cn_reader_of(b->p, b->n);
    cn_status st = cn_certificate_read(&r, ret, err);
    if (st == CN_OK)
        cr_assert(cn_reader_done(&r), "a certificate says its own length");
    return st;
}

static void check_set_size(unsigned n)
{
    kit_set s;
    cn_digest network = kit_network();
    kit_set_make(&s, n);
    cn_vote_keys *keys = cn_vote_keys_new(&s.set);
    uint32_t last_q = (uint32_t)(((UINT64_C(1) << cn_quorum(n)) - 1) << (n - cn_quorum(n)));
    for (uint8_t kind = CN_NOTARIZE; kind <= CN_FINALIZE; kind++) {
        cn_certificate c = kit_certificate(&s, kind, 7, last_q), back;
        cn_buf b;
        cn_err err = {0};
        cn_buf_init(&b, CN_CERTIFICATE_MAX);
        cn_certificate_encode(&c, &b);
        cr_assert_eq(b.n, 50 + (n + 7) / 8 + 64 * cn_quorum(n));
        cr_assert_eq(read_certificate(&b, &back, &err), CN_OK, "n %u: %s: %s", n, err.field, err.text);
        cr_assert_eq(back.view, 7);
        cr_assert_eq(back.signature_count, cn_quorum(n));
        cr_assert_eq(cn_certificate_verify(&back, &network, &s.set, keys, &err), CN_OK, "n %u: %s: %s", n, err.field,
                     err.text);
        for (size_t cut = 0; cut < b.n; cut++) {
            cn_buf shorter = {.p = b.p, .n = cut};
            cr_assert_neq(read_certificate(&shorter, &back, NULL), CN_OK, "%zu of %zu bytes", cut, b.n);
        }
        cn_buf_free(&b);
    }
    cn_vote_keys_free(keys);
}

Test(certificate, both_ways_for_every_size)
{
    for (unsigned n = 1; n <= CN_MAX_VALIDATORS; n++)
        check_set_size(n);
}

static void refuse_certificate(const cn_certificate *c, cn_status code, const char *field)
{
    cn_buf b;
    cn_err err = {0};
    cn_certificate back = {.view = 12345};
    cn_buf_init(&b, 2 * CN_CERTIFICATE_MAX);
    cn_certificate_encode(c, &b);
    cr_assert_eq(read_certificate(&b, &back, &err), code, "%s: %s", err.field, err.text);
    cr_assert_str_eq(err.field, field);
    cr_assert_eq(back.view, 12345);
    cn_buf_free(&b);
}

Test(certificate, refuses_every_broken_rule_of_its_form)
{
    kit_set s;
    kit_set_make(&s, 7); /* quorum 5 */
    cn_certificate c = kit_certificate(&s, CN_FINALIZE, 3, 0x1f);
    cn_certificate bad = c;
    bad.kind = 0;
    refuse_certificate(&bad, CN_INVALID, "certificate.kind");
    bad.kind = 4;
    refuse_certificate(&bad, CN_INVALID, "certificate.kind");
    bad = kit_certificate(&s, CN_NULLIFY, 3, 0x1f);
    bad.block.b[31] = 1;
    refuse_certificate(&bad, CN_NOT_CANONICAL, "certificate.block");
    bad = c;
    bad.n = 0;
    refuse_certificate(&bad, CN_INVALID, "certificate.n");
    bad.n = CN_MAX_VALIDATORS + 1;
    refuse_certificate(&bad, CN_INVALID, "certificate.n");
    bad = kit_certificate(&s, CN_FINALIZE, 3, 0x0f);
    refuse_certificate(&bad, CN_INVALID, "certificate.bitmap");
    bad = kit_certificate(&s, CN_FINALIZE, 3, 0x3f);
    refuse_certificate(&bad, CN_INVALID, "certificate.bitmap");
    bad = kit_certificate(&s, CN_FINALIZE, 3, 0x8f); /* four signers and one beyond the set */
    refuse_certificate(&bad, CN_NOT_CANONICAL, "certificate.bitmap");
}

Test(certificate, one_signer_cannot_stand_for_two)
{
    kit_set s;
    cn_digest network = kit_network();
    cn_err err;
    kit_set_make(&s, 4); /* quorum 3 */
    cn_vote_keys *keys = cn_vote_keys_new(&s.set);
    cn_certificate c = kit_certificate(&s, CN_FINALIZE, 3, 0x7), bad = c;
    bad.signature[1] = bad.signature[0];
    cr_assert_eq(cn_certificate_verify(&bad, &network, &s.set, keys, &err), CN_BAD_SIGNATURE);
    cr_assert_not_null(strstr(err.text, "validator 1"));
    bad = c;
    bad.bitmap[0] = 0xb; /* the same signatures claimed for another signer */
    cr_assert_eq(cn_certificate_verify(&bad, &network, &s.set, keys, NULL), CN_BAD_SIGNATURE);
    bad = c;
    bad.bitmap[0] = 0x3; /* one signer's bit is missing: a signature is left over */
    cr_assert_eq(cn_certificate_verify(&bad, &network, &s.set, keys, NULL), CN_INVALID);
    bad.signature_count = 2;
    cr_assert_eq(cn_certificate_verify(&bad, &network, &s.set, keys, NULL), CN_INVALID);
    cn_vote_keys_free(keys);
}

Test(certificate, is_of_its_network_epoch_kind_view_block_and_set)
{
    kit_set s, larger;
    cn_digest network = kit_network(), other = kit_fill(5);
    kit_set_make(&s, 4);
    kit_set_make(&larger, 5);
    cn_vote_keys *keys = cn_vote_keys_new(&s.set), *more = cn_vote_keys_new(&larger.set);
    cn_certificate c = kit_certificate(&s, CN_FINALIZE, 3, 0xe), bad;
    cr_assert_eq(cn_certificate_verify(&c, &network, &s.set, keys, NULL), CN_OK);
    cr_assert_eq(cn_certificate_verify(&c, &other, &s.set, keys, NULL), CN_BAD_SIGNATURE);
    bad = c;
    bad.epoch++;
    cr_assert_eq(cn_certificate_verify(&bad, &network, &s.set, keys, NULL), CN_BAD_SIGNATURE);
    bad = c;
    bad.kind = CN_NOTARIZE;
    cr_assert_eq(cn_certificate_verify(&bad, &network, &s.set, keys, NULL), CN_BAD_SIGNATURE);
    bad = c;
    bad.view--;
    cr_assert_eq(cn_certificate_verify(&bad, &network, &s.set, keys, NULL), CN_BAD_SIGNATURE);
    bad = c;
    bad.block = other;
    cr_assert_eq(cn_certificate_verify(&bad, &network, &s.set, keys, NULL), CN_BAD_SIGNATURE);
    cr_assert_eq(cn_certificate_verify(&c, &network, &larger.set, more, NULL), CN_INVALID);
    cn_vote_keys_free(keys);
    cn_vote_keys_free(more);
}

Test(certificate, no_flipped_bit_is_accepted)
{
    kit_set s;
    cn_digest network = kit_network();
    kit_set_make(&s, 4);
    cn_vote_keys *keys = cn_vote_keys_new(&s.set);
    cn_certificate c = kit_certificate(&s, CN_FINALIZE, 3, 0xe), back;
    cn_buf b;
    cn_buf_init(&b, CN_CERTIFICATE_MAX);
    cn_certificate_encode(&c, &b);
    for (size_t i = 0; i < 8 * b.n; i++) {
        b.p[i / 8] ^= (uint8_t)(1u << i % 8);
        cn_reader r = cn_reader_of(b.p, b.n);
        bool good = cn_certificate_read(&r, &back, NULL) == CN_OK && cn_reader_done(&r) &&
                    cn_certificate_verify(&back, &network, &s.set, keys, NULL) == CN_OK;
        cr_assert(!good, "bit %zu", i);
        b.p[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    cn_buf_free(&b);
    cn_vote_keys_free(keys);
}
