/* Keys and signatures: published vectors, the same work by another library, and what must be refused. */
#include "kit.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cn_secret_key secret_of(uint8_t type, const char *hex)
{
    kit_bytes b = kit_unhex(hex);
    cn_secret_key key;
    cr_assert_eq(b.n, 32);
    cr_assert_eq(cn_secret_key_from_bytes(type, b.p, &key, NULL), CN_OK);
    return key;
}

static void assert_hex(const void *p, size_t n, const char *hex)
{
    char got[2 * 128 + 1];
    cn_hex(p, n, got);
    cr_assert_str_eq(got, hex);
}

/* s := order - s, big-endian */
static void negate_s(cn_signature *sig, const char *order_hex)
{
    kit_bytes order = kit_unhex(order_hex);
    int borrow = 0;
    for (int i = 31; i >= 0; i--) {
        int v = order.p[i] - sig->b[32 + i] - borrow;
        borrow = v < 0;
        sig->b[32 + i] = (uint8_t)(v & 0xff);
    }
}
#define SECP256K1_ORDER "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
#define P256_ORDER "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"

static const uint8_t types[] = {CN_KEY_SECP256K1, CN_KEY_ED25519, CN_KEY_P256};

Test(key, names_and_lengths)
{
    uint8_t type = 77;
    for (size_t i = 0; i < 3; i++) {
        cr_assert(cn_key_type_parse(cn_key_type_name(types[i]), &type));
        cr_assert_eq(type, types[i]);
    }
    cr_assert(!cn_key_type_parse("rsa", &type));
    cr_assert(!cn_key_type_parse("P256", &type));
    cr_assert_null(cn_key_type_name(0));
    cr_assert_null(cn_key_type_name(4));
    cr_assert_eq(cn_public_key_len(CN_KEY_SECP256K1), 33);
    cr_assert_eq(cn_public_key_len(CN_KEY_ED25519), 32);
    cr_assert_eq(cn_public_key_len(CN_KEY_P256), 33);
    cr_assert_eq(cn_public_key_len(0), 0);
    cr_assert_eq(cn_public_key_len(4), 0);
}

Test(key, id_is_the_tagged_type_and_point)
{
    cn_secret_key key = kit_key(CN_KEY_ED25519, 3);
    uint8_t by_hand[33] = {CN_KEY_ED25519};
    memcpy(by_hand + 1, key.public_key.b, 32);
    cn_digest a = cn_key_id(&key.public_key), b = cn_tagged("carnet/key", by_hand, 33);
    cr_assert(cn_digest_eq(&a, &b));
}

/* ---- published vectors ---- */

/* RFC 6979 nonces over secp256k1 with SHA-256, as in the test suites of trezor-crypto and btcec. */
Test(secp256k1, deterministic_signatures)
{
    static const struct {
        const char *secret, *message, *signature;
    } row[] = {
        {"0000000000000000000000000000000000000000000000000000000000000001", "Satoshi Nakamoto",
         "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
         "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"},
        {"0000000000000000000000000000000000000000000000000000000000000001",
         "All those moments will be lost in time, like tears in rain. Time to die...",
         "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b"
         "547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21"},
        {"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140", "Satoshi Nakamoto",
         "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0"
         "6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5"},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        cn_secret_key key = secret_of(CN_KEY_SECP256K1, row[i].secret);
        cn_digest digest = cn_sha256(row[i].message, strlen(row[i].message));
        cn_signature sig;
        cr_assert_eq(cn_sign(&key, &digest, &sig, NULL), CN_OK);
        assert_hex(sig.b, 64, row[i].signature);
        cr_assert(cn_verify(&key.public_key, &digest, sig.b));
    }
}

/* The generator (SEC 2), the example of EIP-155, and the first account of the common test mnemonic. */
Test(secp256k1, evm_addresses)
{
    static const struct {
        const char *secret, *address;
    } row[] = {
        {"0000000000000000000000000000000000000000000000000000000000000001",
         "7e5f4552091a69125d5dfcb7b8c2659029395bdf"},
        {"4646464646464646464646464646464646464646464646464646464646464646",
         "9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"},
        {"ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
         "f39fd6e51aad88f6f4ce6ab8827279cfffb92266"},
    };
    uint8_t address[20];
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        cn_secret_key key = secret_of(CN_KEY_SECP256K1, row[i].secret);
        cr_assert_eq(cn_evm_address(&key.public_key, address, NULL), CN_OK);
        assert_hex(address, 20, row[i].address);
    }
    cn_secret_key one = kit_key(CN_KEY_SECP256K1, 1), other = kit_key(CN_KEY_P256, 1);
    assert_hex(one.public_key.b, 33, "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    cr_assert_eq(cn_evm_address(&other.public_key, address, NULL), CN_INVALID);
}

/* RFC 8032, 7.1: the key pairs of tests 1 to 3. */
Test(ed25519, rfc8032_keys)
{
    static const char *const row[][2] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"},
    };
    for (size_t i = 0; i < 3; i++) {
        cn_secret_key key = secret_of(CN_KEY_ED25519, row[i][0]);
        assert_hex(key.public_key.b, 32, row[i][1]);
    }
}

/* Ed25519 is deterministic: libcrypto must make the very same signature over the 32 bytes of a digest. */
Test(ed25519, signs_as_libcrypto_does)
{
    for (uint8_t n = 1; n < 20; n++) {
        cn_secret_key key = kit_key(CN_KEY_ED25519, n);
        cn_digest digest = cn_sha256(&n, 1);
        cn_signature ours;
        uint8_t theirs[64];
        size_t len = sizeof theirs;
        cr_assert_eq(cn_sign(&key, &digest, &ours, NULL), CN_OK);
        EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key.secret, 32);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        cr_assert(EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1);
        cr_assert(EVP_DigestSign(ctx, theirs, &len, digest.b, sizeof digest.b) == 1);
        cr_assert_arr_eq(ours.b, theirs, 64);
        EVP_MD_CTX_free(ctx);
        EVP_PKEY_free(pkey);
    }
}

/* RFC 6979, A.2.5 (P-256, SHA-256). The signature of "sample" has a high s: refused until it is normalised. */
Test(p256, rfc6979)
{
    cn_secret_key key = secret_of(CN_KEY_P256, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    assert_hex(key.public_key.b, 33, "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6");
    cn_digest sample = cn_sha256("sample", 6), test = cn_sha256("test", 4);
    kit_bytes low = kit_unhex("f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
                              "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083");
    cr_assert(cn_verify(&key.public_key, &test, low.p));
    cr_assert(!cn_verify(&key.public_key, &sample, low.p));
    cn_signature sig;
    kit_bytes high = kit_unhex("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
                               "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
    memcpy(sig.b, high.p, 64);
    cr_assert(!cn_verify(&key.public_key, &sample, sig.b), "high s");
    negate_s(&sig, P256_ORDER);
    cr_assert(cn_verify(&key.public_key, &sample, sig.b));
}

Test(p256, signatures_are_always_low_s)
{
    cn_secret_key key = kit_key(CN_KEY_P256, 9);
    for (uint8_t i = 0; i < 40; i++) { /* half of them would be high */
        cn_digest digest = cn_sha256(&i, 1);
        cn_signature sig;
        cr_assert_eq(cn_sign(&key, &digest, &sig, NULL), CN_OK);
        cr_assert(cn_verify(&key.public_key, &digest, sig.b));
        negate_s(&sig, P256_ORDER);
        cr_assert(!cn_verify(&key.public_key, &digest, sig.b));
    }
}

/* RFC 7748, 5.2 (one iteration) and 6.1 (Bob's key pair). */
Test(x25519, rfc7748)
{
    uint8_t public_key[32];
    cn_x25519_public(kit_unhex("0900000000000000000000000000000000000000000000000000000000000000").p, public_key);
    assert_hex(public_key, 32, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    cn_x25519_public(kit_unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb").p, public_key);
    assert_hex(public_key, 32, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
}

/* ---- what holds for every type ---- */

Test(sign, no_flipped_bit_is_accepted)
{
    for (size_t t = 0; t < 3; t++) {
        cn_secret_key key = kit_key(types[t], 5), other = kit_key(types[t], 6);
        cn_digest digest = kit_fill(0x3c);
        cn_signature sig;
        cr_assert_eq(cn_sign(&key, &digest, &sig, NULL), CN_OK);
        cr_assert(cn_verify(&key.public_key, &digest, sig.b));
        cr_assert(!cn_verify(&other.public_key, &digest, sig.b));
        for (size_t i = 0; i < 512; i++) {
            sig.b[i / 8] ^= (uint8_t)(1u << i % 8);
            cr_assert(!cn_verify(&key.public_key, &digest, sig.b), "%s, bit %zu of the signature",
                      cn_key_type_name(types[t]), i);
            sig.b[i / 8] ^= (uint8_t)(1u << i % 8);
        }
        for (size_t i = 0; i < 256; i++) {
            digest.b[i / 8] ^= (uint8_t)(1u << i % 8);
            cr_assert(!cn_verify(&key.public_key, &digest, sig.b), "bit %zu of the digest", i);
            digest.b[i / 8] ^= (uint8_t)(1u << i % 8);
        }
    }
}

Test(sign, another_type_of_key_never_verifies)
{
    cn_digest digest = kit_fill(0x3c);
    for (size_t t = 0; t < 3; t++) {
        cn_secret_key key = kit_key(types[t], 5);
        cn_signature sig;
        cr_assert_eq(cn_sign(&key, &digest, &sig, NULL), CN_OK);
        for (uint8_t type = 0; type < 6; type++) {
            cn_public_key as = key.public_key;
            as.type = type;
            cr_assert_eq(cn_verify(&as, &digest, sig.b), type == types[t]);
        }
        key.public_key.type = 0;
        cn_signature untouched = {.b = {42}};
        cr_assert_eq(cn_sign(&key, &digest, &untouched, NULL), CN_INVALID);
        cr_assert_eq(untouched.b[0], 42);
    }
}

Test(sign, degenerate_signatures_are_refused)
{
    cn_digest digest = kit_fill(0x3c);
    for (size_t t = 0; t < 3; t++) {
        cn_secret_key key = kit_key(types[t], 5);
        cn_signature sig, bad;
        cr_assert_eq(cn_sign(&key, &digest, &sig, NULL), CN_OK);
        memset(bad.b, 0, 64);
        cr_assert(!cn_verify(&key.public_key, &digest, bad.b));
        memset(bad.b, 0xff, 64);
        cr_assert(!cn_verify(&key.public_key, &digest, bad.b));
        bad = sig;
        memset(bad.b, 0, 32);
        cr_assert(!cn_verify(&key.public_key, &digest, bad.b), "r is zero");
        bad = sig;
        memset(bad.b + 32, 0, 32);
        cr_assert(!cn_verify(&key.public_key, &digest, bad.b), "s is zero");
    }
}

Test(secp256k1, high_s_is_refused)
{
    cn_secret_key key = kit_key(CN_KEY_SECP256K1, 5);
    cn_digest digest = kit_fill(0x3c);
    cn_signature sig;
    cr_assert_eq(cn_sign(&key, &digest, &sig, NULL), CN_OK);
    negate_s(&sig, SECP256K1_ORDER);
    cr_assert(!cn_verify(&key.public_key, &digest, sig.b));
    negate_s(&sig, SECP256K1_ORDER);
    cr_assert(cn_verify(&key.public_key, &digest, sig.b));
}

/* S + L is the same number to a lax verifier; RFC 8032, 5.1.7 wants S < L. */
Test(ed25519, s_beyond_the_order_is_refused)
{
    cn_secret_key key = kit_key(CN_KEY_ED25519, 5);
    cn_digest digest = kit_fill(0x3c);
    cn_signature sig;
    kit_bytes order = kit_unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    cr_assert_eq(cn_sign(&key, &digest, &sig, NULL), CN_OK);
    unsigned carry = 0;
    for (int i = 0; i < 32; i++) {
        unsigned v = (unsigned)sig.b[32 + i] + order.p[i] + carry;
        sig.b[32 + i] = (uint8_t)v;
        carry = v >> 8;
    }
    cr_assert_eq(carry, 0);
    cr_assert(!cn_verify(&key.public_key, &digest, sig.b));
}

/* With a key of small order and R of small order, S = 0 satisfies the plain equation for many messages. */
Test(ed25519, small_order_keys_are_refused)
{
    static const char *const small[] = {
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    };
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        kit_bytes p = kit_unhex(small[i]);
        cn_public_key key = {.type = 99};
        cr_assert_eq(cn_public_key_parse(CN_KEY_ED25519, p.p, 32, &key, NULL), CN_INVALID);
        cr_assert_eq(key.type, 99);
        key = (cn_public_key){.type = CN_KEY_ED25519};
        memcpy(key.b, p.p, 32);
        uint8_t sig[64] = {1};
        for (uint8_t m = 0; m < 16; m++) {
            cn_digest digest = cn_sha256(&m, 1);
            cr_assert(!cn_verify(&key, &digest, sig));
        }
    }
}

/* ---- public keys ---- */

Test(public_key, points_both_ways)
{
    for (size_t t = 0; t < 3; t++)
        for (uint8_t n = 1; n < 20; n++) {
            cn_secret_key key = kit_key(types[t], n);
            cn_public_key back;
            size_t len = cn_public_key_len(types[t]);
            cr_assert_eq(cn_public_key_parse(types[t], key.public_key.b, len, &back, NULL), CN_OK);
            cr_assert_arr_eq(&back, &key.public_key, sizeof back);
        }
}

static void refuse_point(uint8_t type, const char *hex, const char *field)
{
    kit_bytes p = kit_unhex(hex);
    cn_public_key key = {.type = 99};
    cn_err err = {0};
    cr_assert_eq(cn_public_key_parse(type, p.p, p.n, &key, &err), CN_INVALID, "type %u: %s", type, hex);
    cr_assert_str_eq(err.field, field);
    cr_assert_eq(key.type, 99);
}

Test(public_key, refuses_what_is_no_point)
{
    /* secp256k1: x = 5 is on no point of the curve; x = p; uncompressed and hybrid prefixes; too short */
    refuse_point(1, "020000000000000000000000000000000000000000000000000000000000000005", "key.public");
    refuse_point(1, "02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", "key.public");
    refuse_point(1, "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", "key.public");
    refuse_point(1, "0679be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", "key.public");
    refuse_point(1, "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", "key.public");
    /* P-256: x = 1 is on no point; x = p; infinity; a prefix that is not 2 or 3 */
    refuse_point(3, "020000000000000000000000000000000000000000000000000000000000000001", "key.public");
    refuse_point(3, "02ffffffff00000001000000000000000000000000ffffffffffffffffffffffff", "key.public");
    refuse_point(3, "000000000000000000000000000000000000000000000000000000000000000000", "key.public");
    refuse_point(3, "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6", "key.public");
    refuse_point(3, "00", "key.public");
    /* Ed25519: y = 2 is on no point; y = p + 1 is not the canonical form of 1 */
    refuse_point(2, "0200000000000000000000000000000000000000000000000000000000000000", "key.public");
    refuse_point(2, "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "key.public");
    refuse_point(2, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f70751", "key.public");
    refuse_point(0, "", "key.type");
    refuse_point(4, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "key.type");
}

Test(secret_key, refuses_what_is_no_scalar)
{
    cn_secret_key key = {.public_key.type = 99};
    uint8_t zero[32] = {0};
    kit_bytes k1 = kit_unhex(SECP256K1_ORDER), r1 = kit_unhex(P256_ORDER);
    cr_assert_eq(cn_secret_key_from_bytes(CN_KEY_SECP256K1, zero, &key, NULL), CN_INVALID);
    cr_assert_eq(cn_secret_key_from_bytes(CN_KEY_SECP256K1, k1.p, &key, NULL), CN_INVALID);
    cr_assert_eq(cn_secret_key_from_bytes(CN_KEY_P256, zero, &key, NULL), CN_INVALID);
    cr_assert_eq(cn_secret_key_from_bytes(CN_KEY_P256, r1.p, &key, NULL), CN_INVALID);
    cr_assert_eq(cn_secret_key_from_bytes(7, k1.p, &key, NULL), CN_INVALID);
    cr_assert_eq(cn_secret_key_generate(0, &key, NULL), CN_INVALID);
    cr_assert_eq(key.public_key.type, 99);
}

Test(secret_key, generated_ones_differ_sign_and_are_wiped)
{
    for (size_t t = 0; t < 3; t++) {
        cn_secret_key a, b;
        cn_digest digest = kit_fill(1);
        cn_signature sig;
        cr_assert_eq(cn_secret_key_generate(types[t], &a, NULL), CN_OK);
        cr_assert_eq(cn_secret_key_generate(types[t], &b, NULL), CN_OK);
        cr_assert(memcmp(a.secret, b.secret, 32) != 0);
        cr_assert_eq(cn_sign(&a, &digest, &sig, NULL), CN_OK);
        cr_assert(cn_verify(&a.public_key, &digest, sig.b));
        cn_secret_key_wipe(&a);
        for (size_t i = 0; i < sizeof a.secret; i++)
            cr_assert_eq(a.secret[i], 0);
    }
}

static void *verify_many(void *arg)
{
    size_t *wrong = arg;
    for (uint8_t i = 1; i < 30; i++) {
        cn_secret_key key;
        uint8_t secret[32] = {0};
        cn_digest digest = cn_sha256(&i, 1);
        cn_signature sig;
        secret[31] = i;
        *wrong += cn_secret_key_from_bytes(types[i % 3], secret, &key, NULL) != CN_OK ||
                  cn_sign(&key, &digest, &sig, NULL) != CN_OK || !cn_verify(&key.public_key, &digest, sig.b);
    }
    return NULL;
}

Test(sign, from_many_threads)
{
    pthread_t thread[4];
    size_t wrong[4] = {0};
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, verify_many, &wrong[i]), 0);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_join(thread[i], NULL), 0);
        cr_assert_eq(wrong[i], 0);
    }
}

/* ---- key files ---- */

static const char capture_file[] = "carnet-key 1\n"
                                   "purpose: capture\n"
                                   "type: ed25519\n"
                                   "public: d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\n"
                                   "secret: 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n"
                                   "item-salt: 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\n";

Test(key_file, both_ways)
{
    cn_key_file f;
    cn_err err;
    char again[CN_KEY_FILE_MAX];
    size_t n = sizeof capture_file - 1;
    cr_assert_eq(cn_key_file_parse(capture_file, n, &f, &err), CN_OK);
    cr_assert_str_eq(f.purpose, "capture");
    cr_assert_eq(f.key.public_key.type, CN_KEY_ED25519);
    cr_assert(f.has_item_salt);
    cr_assert_eq(f.item_salt_secret[31], 0x5a);
    cr_assert_eq(cn_key_file_format(&f, again), n);
    cr_assert_arr_eq(again, capture_file, n);
    cn_key_file_wipe(&f);
    cr_assert_eq(f.key.secret[0], 0);
}

Test(key_file, every_type_both_ways)
{
    for (size_t t = 0; t < 4; t++) {
        cn_key_file f = {.purpose = "device"}, back;
        char text[CN_KEY_FILE_MAX];
        f.is_x25519 = t == 3;
        if (f.is_x25519) {
            memset(f.x25519_secret, 0x31, 32);
            cn_x25519_public(f.x25519_secret, f.x25519_public);
        } else {
            f.key = kit_key(types[t], 4);
        }
        size_t n = cn_key_file_format(&f, text);
        cr_assert_eq(cn_key_file_parse(text, n, &back, NULL), CN_OK);
        cr_assert_eq(back.is_x25519, f.is_x25519);
        cr_assert(!back.has_item_salt);
        cr_assert_arr_eq(&back.key, &f.key, sizeof f.key);
        cr_assert_arr_eq(back.x25519_secret, f.x25519_secret, 32);
        for (size_t cut = 0; cut < n; cut++)
            cr_assert_eq(cn_key_file_parse(text, cut, &back, NULL), CN_INVALID, "%zu of %zu bytes", cut, n);
    }
}

/* The capture file with one piece replaced by another. */
static void refuse_file(const char *from, const char *to, const char *field)
{
    char text[2 * CN_KEY_FILE_MAX];
    const char *at = strstr(capture_file, from);
    cr_assert_not_null(at);
    int n = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - capture_file), capture_file, to, at + strlen(from));
    cn_key_file f = {.purpose = "as it was"};
    cn_err err = {0};
    cr_assert_eq(cn_key_file_parse(text, (size_t)n, &f, &err), CN_INVALID, "%s", text);
    cr_assert_str_eq(err.field, field, "%s", err.text);
    cr_assert_str_eq(f.purpose, "as it was");
}

Test(key_file, refuses_every_broken_line)
{
    refuse_file("carnet-key 1", "carnet-key 2", "key file");
    refuse_file("purpose: capture", "purpose: voting", "purpose");
    refuse_file("purpose: capture\n", "", "purpose");
    refuse_file("purpose: ", "purpose:", "purpose");
    refuse_file("ed25519", "x448", "type");
    refuse_file("ed25519", "secp256k1", "public");
    refuse_file("ed25519", "x25519", "public");
    refuse_file("511a", "511b", "public");
    refuse_file("511a", "511A", "public");
    refuse_file("7f60", "7f61", "public");
    refuse_file("7f60", "7f6", "secret");
    refuse_file("7f60", "7f6000", "secret");
    refuse_file("secret: ", "sekret: ", "key file");
    refuse_file("item-salt: 5a", "item-salt: 5", "item-salt");
    refuse_file("item-salt: 5a", "salt: 5a", "item-salt");
    refuse_file("5a\n", "5a\nmore: lines\n", "item-salt");
    refuse_file("\n", "\r\n", "key file");
    char text[sizeof capture_file];
    memcpy(text, capture_file, sizeof text);
    memcpy(strstr(text, "capture\n"), "vote\0re\n", 8); /* "vote", a zero byte, and more */
    cn_key_file f;
    cr_assert_eq(cn_key_file_parse(text, sizeof text - 1, &f, NULL), CN_INVALID);
}
