/* Three key types behind one interface. Contexts and groups are made once per process. */
#include "proto/key.h"

#include "proto/bytes.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <pthread.h>
#include <secp256k1.h>
#include <sodium.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static secp256k1_context *secp;
static BIGNUM *p256_order, *p256_half_order;

static void set_up(void)
{
    CN_ASSERT(sodium_init() >= 0);
    unsigned char seed[32];
    secp = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
    CN_ASSERT(secp);
    randombytes_buf(seed, sizeof seed);
    CN_ASSERT(secp256k1_context_randomize(secp, seed));
    sodium_memzero(seed, sizeof seed);
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    CN_ASSERT(group);
    p256_order = BN_dup(EC_GROUP_get0_order(group));
    p256_half_order = BN_new();
    CN_ASSERT(p256_order && p256_half_order && BN_rshift1(p256_half_order, p256_order));
    EC_GROUP_free(group);
}

const char *cn_key_type_name(uint8_t type)
{
    switch (type) {
#define CN_KEY_NAME(name, number, text)                                                                                \
    case number:                                                                                                       \
        return text;
        CN_KEY_TYPES(CN_KEY_NAME)
#undef CN_KEY_NAME
    default:
        return NULL;
    }
}

bool cn_key_type_parse(const char *name, uint8_t *ret_type)
{
    for (uint8_t type = CN_KEY_SECP256K1; type <= CN_KEY_P256; type++)
        if (strcmp(cn_key_type_name(type), name) == 0) {
            *ret_type = type;
            return true;
        }
    return false;
}

size_t cn_public_key_len(uint8_t type)
{
    return type == CN_KEY_ED25519 ? 32 : type == CN_KEY_SECP256K1 || type == CN_KEY_P256 ? 33 : 0;
}

cn_digest cn_key_id(const cn_public_key *key)
{
    cn_span spans[] = {CN_SPAN(&key->type, 1), CN_SPAN(key->b, cn_public_key_len(key->type))};
    return cn_taggedv("carnet/key", spans, 2);
}

/* ---- P-256 by libcrypto ---- */

static EVP_PKEY *p256_key(const uint8_t public_key[33], const uint8_t *secret)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *scalar = secret ? BN_bin2bn(secret, 32, NULL) : NULL;
    OSSL_PARAM *params = NULL;
    bool ok = ctx && build && (!secret || scalar) &&
              OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
              OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, public_key, 33) &&
              (!secret || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, scalar)) &&
              (params = OSSL_PARAM_BLD_to_param(build)) && EVP_PKEY_fromdata_init(ctx) == 1;
    if (!ok || EVP_PKEY_fromdata(ctx, &pkey, secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    BN_clear_free(scalar);
    return pkey;
}

static bool p256_public(const uint8_t secret[32], uint8_t ret_public[33])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = group ? EC_POINT_new(group) : NULL;
    BIGNUM *scalar = BN_bin2bn(secret, 32, NULL);
    bool ok = point && scalar && !BN_is_zero(scalar) && BN_cmp(scalar, p256_order) < 0 &&
              EC_POINT_mul(group, point, scalar, NULL, NULL, NULL) == 1 &&
              EC_POINT_point2oct(group, point, POINT_CONVERSION_COMPRESSED, ret_public, 33, NULL) == 33;
    BN_clear_free(scalar);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return ok;
}

static bool p256_sign(const cn_secret_key *key, const cn_digest *digest, cn_signature *ret)
{
    EVP_PKEY *pkey = p256_key(key->public_key.b, key->secret);
    EVP_PKEY_CTX *ctx = pkey ? EVP_PKEY_CTX_new(pkey, NULL) : NULL;
    unsigned char der[80];
    size_t der_len = sizeof der;
    ECDSA_SIG *sig = NULL;
    bool ok = ctx && EVP_PKEY_sign_init(ctx) == 1 && EVP_PKEY_sign(ctx, der, &der_len, digest->b, CN_DIGEST_LEN) == 1;
    if (ok) {
        const unsigned char *p = der;
        sig = d2i_ECDSA_SIG(NULL, &p, (long)der_len);
        BIGNUM *s = sig ? BN_dup(ECDSA_SIG_get0_s(sig)) : NULL;
        if (s && BN_cmp(s, p256_half_order) > 0) /* low-s: s or n - s, both are valid */
            BN_sub(s, p256_order, s);
        ok = s && BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret->b, 32) == 32 && BN_bn2binpad(s, ret->b + 32, 32) == 32;
        BN_free(s);
    }
    ECDSA_SIG_free(sig);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return ok;
}

/* DER of two positive integers of 32 bytes; at most 72 bytes. */
static size_t der_signature(const uint8_t rs[64], uint8_t out[72])
{
    uint8_t *p = out + 2;
    for (int k = 0; k < 2; k++) {
        const uint8_t *v = rs + 32 * k;
        size_t n = 32;
        while (n > 1 && *v == 0) {
            v++;
            n--;
        }
        bool pad = *v & 0x80;
        *p++ = 0x02;
        *p++ = (uint8_t)(n + pad);
        if (pad)
            *p++ = 0;
        memcpy(p, v, n);
        p += n;
    }
    out[0] = 0x30;
    out[1] = (uint8_t)(p - out - 2);
    return (size_t)(p - out);
}

static bool p256_low_s(const uint8_t s_bytes[32])
{
    BIGNUM *s = BN_bin2bn(s_bytes, 32, NULL);
    bool low = s && BN_cmp(s, p256_half_order) <= 0;
    BN_free(s);
    return low;
}

static bool p256_verify(const cn_public_key *key, const cn_digest *digest, const uint8_t signature[CN_SIGNATURE_LEN])
{
    uint8_t der[72];
    if (!p256_low_s(signature + 32))
        return false;
    size_t der_len = der_signature(signature, der);
    EVP_PKEY *pkey = p256_key(key->b, NULL);
    EVP_PKEY_CTX *ctx = pkey ? EVP_PKEY_CTX_new(pkey, NULL) : NULL;
    bool ok =
        ctx && EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_verify(ctx, der, der_len, digest->b, CN_DIGEST_LEN) == 1;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return ok;
}

/* ---- public keys ---- */

static bool is_point(uint8_t type, const uint8_t *p)
{
    secp256k1_pubkey parsed;
    switch (type) {
    case CN_KEY_SECP256K1:
        return secp256k1_ec_pubkey_parse(secp, &parsed, p, 33) == 1;
    case CN_KEY_ED25519:
        return crypto_core_ed25519_is_valid_point(p) == 1;
    default: {
        EVP_PKEY *pkey = (p[0] == 2 || p[0] == 3) ? p256_key(p, NULL) : NULL;
        EVP_PKEY_free(pkey);
        return pkey != NULL;
    }
    }
}

cn_status cn_public_key_parse(uint8_t type, const void *p, size_t len, cn_public_key *ret, cn_err *err)
{
    size_t want = cn_public_key_len(type);
    if (want == 0)
        return cn_fail(err, CN_INVALID, "key.type", "key type %u is not known; use 1, 2 or 3", type);
    if (len != want)
        return cn_fail(err, CN_INVALID, "key.public", "a %s public key has %zu bytes, not %zu", cn_key_type_name(type),
                       want, len);
    pthread_once(&once, set_up);
    if (!is_point(type, p))
        return cn_fail(err, CN_INVALID, "key.public", "the bytes are not a point of %s", cn_key_type_name(type));
    cn_public_key key = {.type = type};
    memcpy(key.b, p, len);
    *ret = key;
    return CN_OK;
}

cn_status cn_evm_address(const cn_public_key *key, uint8_t ret_address[20], cn_err *err)
{
    secp256k1_pubkey parsed;
    uint8_t point[65];
    size_t n = sizeof point;
    pthread_once(&once, set_up);
    if (key->type != CN_KEY_SECP256K1 || !secp256k1_ec_pubkey_parse(secp, &parsed, key->b, 33))
        return cn_fail(err, CN_INVALID, "key", "an EVM address needs a secp256k1 key");
    secp256k1_ec_pubkey_serialize(secp, point, &n, &parsed, SECP256K1_EC_UNCOMPRESSED);
    cn_digest d = cn_keccak256(point + 1, 64);
    memcpy(ret_address, d.b + 12, 20);
    return CN_OK;
}

/* ---- secret keys ---- */

static bool derive_public(uint8_t type, const uint8_t secret[32], uint8_t out[CN_PUBLIC_KEY_MAX])
{
    secp256k1_pubkey parsed;
    uint8_t expanded[crypto_sign_ed25519_SECRETKEYBYTES];
    size_t n = 33;
    switch (type) {
    case CN_KEY_SECP256K1:
        return secp256k1_ec_pubkey_create(secp, &parsed, secret) &&
               secp256k1_ec_pubkey_serialize(secp, out, &n, &parsed, SECP256K1_EC_COMPRESSED);
    case CN_KEY_ED25519:
        crypto_sign_ed25519_seed_keypair(out, expanded, secret);
        sodium_memzero(expanded, sizeof expanded);
        return true;
    case CN_KEY_P256:
        return p256_public(secret, out);
    default:
        return false;
    }
}

cn_status cn_secret_key_from_bytes(uint8_t type, const uint8_t secret[32], cn_secret_key *ret, cn_err *err)
{
    cn_secret_key key = {.public_key.type = type};
    pthread_once(&once, set_up);
    if (!derive_public(type, secret, key.public_key.b))
        return cn_fail(err, CN_INVALID, "key.secret", "the bytes are not a secret key of this type");
    memcpy(key.secret, secret, 32);
    *ret = key;
    cn_secret_key_wipe(&key);
    return CN_OK;
}

cn_status cn_secret_key_generate(uint8_t type, cn_secret_key *ret, cn_err *err)
{
    uint8_t secret[32];
    cn_status st = CN_INVALID;
    pthread_once(&once, set_up);
    if (cn_public_key_len(type) == 0)
        return cn_fail(err, CN_INVALID, "key.type", "key type %u is not known; use 1, 2 or 3", type);
    for (int tries = 0; tries < 4 && st != CN_OK;
         tries++) { /* a draw beyond the order is rarer than a hardware fault */
        randombytes_buf(secret, sizeof secret);
        st = cn_secret_key_from_bytes(type, secret, ret, err);
    }
    sodium_memzero(secret, sizeof secret);
    return st;
}

void cn_secret_key_wipe(cn_secret_key *key)
{
    sodium_memzero(key, sizeof *key);
}

static bool ed25519_sign(const cn_secret_key *key, const void *p, size_t n, cn_signature *ret)
{
    uint8_t expanded[crypto_sign_ed25519_SECRETKEYBYTES];
    memcpy(expanded, key->secret, 32);
    memcpy(expanded + 32, key->public_key.b, 32);
    bool ok = crypto_sign_ed25519_detached(ret->b, NULL, p, n, expanded) == 0;
    sodium_memzero(expanded, sizeof expanded);
    return ok;
}

cn_status cn_sign(const cn_secret_key *key, const cn_digest *digest, cn_signature *ret, cn_err *err)
{
    secp256k1_ecdsa_signature sig;
    cn_signature out;
    bool ok = false;
    pthread_once(&once, set_up);
    switch (key->public_key.type) {
    case CN_KEY_SECP256K1: /* RFC 6979, low-s by construction */
        ok = secp256k1_ecdsa_sign(secp, &sig, digest->b, key->secret, NULL, NULL) &&
             secp256k1_ecdsa_signature_serialize_compact(secp, out.b, &sig);
        break;
    case CN_KEY_ED25519:
        ok = ed25519_sign(key, digest->b, CN_DIGEST_LEN, &out);
        break;
    case CN_KEY_P256:
        ok = p256_sign(key, digest, &out);
        break;
    default:
        break;
    }
    if (!ok)
        return cn_fail(err, CN_INVALID, "key", "the key cannot sign");
    *ret = out;
    return CN_OK;
}

bool cn_verify(const cn_public_key *key, const cn_digest *digest, const uint8_t signature[CN_SIGNATURE_LEN])
{
    secp256k1_ecdsa_signature sig;
    secp256k1_pubkey parsed;
    pthread_once(&once, set_up);
    switch (key->type) {
    case CN_KEY_SECP256K1:
        return secp256k1_ec_pubkey_parse(secp, &parsed, key->b, 33) &&
               secp256k1_ecdsa_signature_parse_compact(secp, &sig, signature) &&
               secp256k1_ecdsa_verify(secp, &sig, digest->b, &parsed);
    case CN_KEY_ED25519:
        return crypto_sign_ed25519_verify_detached(signature, digest->b, CN_DIGEST_LEN, key->b) == 0;
    case CN_KEY_P256:
        return p256_verify(key, digest, signature);
    default:
        return false;
    }
}

cn_status cn_ed25519_sign(const cn_secret_key *key, const void *p, size_t n, cn_signature *ret, cn_err *err)
{
    cn_signature out;
    pthread_once(&once, set_up);
    if (key->public_key.type != CN_KEY_ED25519 || !ed25519_sign(key, p, n, &out))
        return cn_fail(err, CN_INVALID, "key", "only an ed25519 key signs this");
    *ret = out;
    return CN_OK;
}

bool cn_ed25519_verify(const uint8_t public_key[32], const void *p, size_t n, const uint8_t signature[CN_SIGNATURE_LEN])
{
    pthread_once(&once, set_up);
    return crypto_sign_ed25519_verify_detached(signature, p, n, public_key) == 0;
}

void cn_x25519_public(const uint8_t secret[32], uint8_t ret_public[32])
{
    CN_ASSERT(crypto_scalarmult_curve25519_base(ret_public, secret) == 0);
}
