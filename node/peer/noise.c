#include "node/peer/noise.h"

#include "proto/digest.h"
#include "proto/key.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct cn_noise_handshake {
    bool initiator, has_key, has_remote_ephemeral, has_remote_static, failed, fixed;
    unsigned message; /* 0, 1, 2; 3: done */
    uint8_t h[32], ck[32];
    cn_noise_cipher cipher;
    uint8_t s[32], s_public[32], e[32], e_public[32], re[32], rs[32];
};

static void mix_hash(cn_noise_handshake *h, const void *p, size_t n)
{
    cn_span spans[] = {CN_SPAN(h->h, 32), CN_SPAN(p, n)};
    cn_digest d = cn_sha256v(spans, 2);
    memcpy(h->h, d.b, 32);
}

/* HKDF with two outputs (revision 34, section 4.3). */
static void hkdf2(const uint8_t ck[32], const void *input, size_t n, uint8_t out1[32], uint8_t out2[32])
{
    static const uint8_t one = 1, two = 2;
    cn_span in = CN_SPAN(input, n);
    cn_digest temp = cn_hmac_sha256(ck, 32, &in, 1);
    cn_span first = CN_SPAN(&one, 1);
    cn_digest a = cn_hmac_sha256(temp.b, 32, &first, 1);
    cn_span second[] = {CN_SPAN_DIGEST(&a), CN_SPAN(&two, 1)};
    cn_digest b = cn_hmac_sha256(temp.b, 32, second, 2);
    memcpy(out1, a.b, 32);
    memcpy(out2, b.b, 32);
    sodium_memzero(&temp, sizeof temp);
}

static void mix_key(cn_noise_handshake *h, const uint8_t secret[32])
{
    uint8_t ck[32];
    hkdf2(h->ck, secret, 32, ck, h->cipher.key);
    memcpy(h->ck, ck, 32);
    h->cipher.nonce = 0;
    h->has_key = true;
}

/* False for an all-zero result: the other side sent a point of small order. */
static bool mix_dh(cn_noise_handshake *h, const uint8_t secret[32], const uint8_t public_key[32])
{
    uint8_t shared[32];
    bool ok = crypto_scalarmult_curve25519(shared, secret, public_key) == 0;
    if (ok)
        mix_key(h, shared);
    sodium_memzero(shared, sizeof shared);
    return ok;
}

static void nonce_bytes(uint64_t nonce, uint8_t out[12])
{
    memset(out, 0, 4);
    for (int i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(nonce >> (8 * i));
}

static bool seal(cn_noise_cipher *c, const void *ad, size_t ad_len, const void *plain, size_t n, uint8_t *out)
{
    uint8_t nonce[12];
    if (c->nonce == UINT64_MAX)
        return false;
    nonce_bytes(c->nonce++, nonce);
    return crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, n, ad, ad_len, NULL, nonce, c->key) == 0;
}

static bool unseal(cn_noise_cipher *c, const void *ad, size_t ad_len, const uint8_t *sealed, size_t n, uint8_t *out)
{
    uint8_t nonce[12];
    if (c->nonce == UINT64_MAX || n < CN_NOISE_TAG)
        return false;
    nonce_bytes(c->nonce, nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, n, ad, ad_len, nonce, c->key) != 0)
        return false;
    c->nonce++;
    return true;
}

cn_noise_handshake *cn_noise_begin(bool initiator, const uint8_t static_secret[32], const void *prologue, size_t n)
{
    static const char name[] = "Noise_XX_25519_ChaChaPoly_SHA256"; /* 32 bytes: used as it is */
    cn_noise_handshake *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->initiator = initiator;
    memcpy(h->h, name, 32);
    memcpy(h->ck, name, 32);
    memcpy(h->s, static_secret, 32);
    cn_x25519_public(h->s, h->s_public);
    mix_hash(h, prologue, n);
    return h;
}

void cn_noise_end(cn_noise_handshake *h)
{
    if (!h)
        return;
    sodium_memzero(h, sizeof *h);
    free(h);
}

void cn_noise_fix_ephemeral(cn_noise_handshake *h, const uint8_t secret[32])
{
    memcpy(h->e, secret, 32);
    h->fixed = true;
}

bool cn_noise_my_turn(const cn_noise_handshake *h)
{
    return !h->failed && h->message < 3 && (h->message % 2 == 0) == h->initiator;
}

bool cn_noise_done(const cn_noise_handshake *h)
{
    return !h->failed && h->message == 3;
}

/* ---- writing ---- */

static size_t put_ephemeral(cn_noise_handshake *h, uint8_t *out)
{
    if (!h->fixed)
        randombytes_buf(h->e, sizeof h->e);
    cn_x25519_public(h->e, h->e_public);
    memcpy(out, h->e_public, 32);
    mix_hash(h, out, 32);
    return 32;
}

static size_t put_sealed(cn_noise_handshake *h, const void *p, size_t n, uint8_t *out)
{
    size_t len = n;
    if (h->has_key) {
        if (!seal(&h->cipher, h->h, 32, p, n, out))
            h->failed = true;
        len += CN_NOISE_TAG;
    } else if (n) {
        memcpy(out, p, n);
    }
    mix_hash(h, out, len);
    return len;
}

bool cn_noise_write(cn_noise_handshake *h, const void *payload, size_t n, uint8_t *out, size_t *ret_len)
{
    size_t at = 0;
    if (!cn_noise_my_turn(h) || n > CN_NOISE_HANDSHAKE_MAX - 32 - 48 - 16)
        return false;
    if (h->message < 2)
        at += put_ephemeral(h, out);
    if (h->message == 1) {
        if (!mix_dh(h, h->e, h->re)) /* ee */
            h->failed = true;
        at += put_sealed(h, h->s_public, 32, out + at);
        if (!mix_dh(h, h->s, h->re)) /* es, seen from the responder */
            h->failed = true;
    } else if (h->message == 2) {
        at += put_sealed(h, h->s_public, 32, out + at);
        if (!mix_dh(h, h->s, h->re)) /* se */
            h->failed = true;
    }
    at += put_sealed(h, payload, n, out + at);
    h->message++;
    *ret_len = at;
    return !h->failed;
}

/* ---- reading ---- */

static bool get_sealed(cn_noise_handshake *h, const uint8_t **p, size_t *left, size_t n, uint8_t *out)
{
    size_t len = n + (h->has_key ? CN_NOISE_TAG : 0);
    uint8_t before[32];
    if (*left < len)
        return false;
    memcpy(before, h->h, 32);
    if (h->has_key) {
        if (!unseal(&h->cipher, before, 32, *p, len, out))
            return false;
    } else if (n) {
        memcpy(out, *p, n);
    }
    mix_hash(h, *p, len);
    *p += len;
    *left -= len;
    return true;
}

static bool read_parts(cn_noise_handshake *h, const uint8_t **p, size_t *left)
{
    if (h->message < 2) {
        if (*left < 32)
            return false;
        memcpy(h->re, *p, 32);
        mix_hash(h, h->re, 32);
        *p += 32;
        *left -= 32;
    }
    if (h->message == 0)
        return true;
    if (h->message == 1 && !mix_dh(h, h->e, h->re)) /* ee */
        return false;
    if (!get_sealed(h, p, left, 32, h->rs))
        return false;
    /* es seen from the initiator, se seen from the responder: own ephemeral with the remote static key */
    if (!mix_dh(h, h->e, h->rs))
        return false;
    h->has_remote_static = true;
    return true;
}

bool cn_noise_read(cn_noise_handshake *h, const uint8_t *message, size_t n, uint8_t *payload, size_t *ret_len)
{
    if (h->failed || h->message >= 3 || cn_noise_my_turn(h) || n > CN_NOISE_HANDSHAKE_MAX)
        return false;
    const uint8_t *p = message;
    size_t left = n;
    bool ok = read_parts(h, &p, &left);
    size_t payload_len = ok && left >= (h->has_key ? CN_NOISE_TAG : 0) ? left - (h->has_key ? CN_NOISE_TAG : 0) : 0;
    ok = ok && get_sealed(h, &p, &left, payload_len, payload) && left == 0;
    if (!ok) {
        h->failed = true;
        h->has_remote_static = false;
        return false;
    }
    h->message++;
    *ret_len = payload_len;
    return true;
}

bool cn_noise_remote(const cn_noise_handshake *h, uint8_t ret_public[32])
{
    if (!h->has_remote_static)
        return false;
    memcpy(ret_public, h->rs, 32);
    return true;
}

void cn_noise_split(const cn_noise_handshake *h, cn_noise_cipher *ret_send, cn_noise_cipher *ret_receive)
{
    cn_noise_cipher first = {.nonce = 0}, second = {.nonce = 0};
    hkdf2(h->ck, "", 0, first.key, second.key);
    *ret_send = h->initiator ? first : second;
    *ret_receive = h->initiator ? second : first;
}

bool cn_noise_encrypt(cn_noise_cipher *c, const void *plain, size_t n, uint8_t *out)
{
    return n + CN_NOISE_TAG <= CN_NOISE_MESSAGE_MAX && seal(c, NULL, 0, plain, n, out);
}

bool cn_noise_decrypt(cn_noise_cipher *c, const uint8_t *sealed, size_t n, uint8_t *out)
{
    return n <= CN_NOISE_MESSAGE_MAX && unseal(c, NULL, 0, sealed, n, out);
}
