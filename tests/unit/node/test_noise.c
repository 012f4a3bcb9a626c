/* The handshake against published vectors, and against every changed byte. */
#include "node/peer/noise.h"
#include "proto/bytes.h"
#include "proto/key.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* A value of tests/vectors/noise-xx.txt; returns its length. */
static size_t vector(const char *name, uint8_t *out, size_t cap)
{
    char line[1024], found[32], hex[900];
    FILE *f = fopen(CARNET_TEST_VECTORS "/noise-xx.txt", "re");
    cr_assert_not_null(f);
    size_t n = 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%31s %899s", found, hex) == 2 && strcmp(found, name) == 0) {
            n = strlen(hex) / 2;
            cr_assert(n <= cap && cn_unhex(hex, strlen(hex), out, n));
        }
    fclose(f);
    cr_assert(n > 0, "no vector %s", name);
    return n;
}

static void begin(cn_noise_handshake **i, cn_noise_handshake **r)
{
    uint8_t prologue[64], key[32];
    size_t n = vector("prologue", prologue, sizeof prologue);
    vector("init_static", key, 32);
    *i = cn_noise_begin(true, key, prologue, n);
    vector("init_ephemeral", key, 32);
    cn_noise_fix_ephemeral(*i, key);
    vector("resp_static", key, 32);
    *r = cn_noise_begin(false, key, prologue, n);
    vector("resp_ephemeral", key, 32);
    cn_noise_fix_ephemeral(*r, key);
}

Test(noise, published_vectors)
{
    cn_noise_handshake *i, *r;
    uint8_t payload[256], expected[256], out[CN_NOISE_HANDSHAKE_MAX], got[256], key[32], remote[32];
    char name[16];
    begin(&i, &r);
    for (int m = 0; m < 3; m++) {
        cn_noise_handshake *from = m == 1 ? r : i, *to = m == 1 ? i : r;
        snprintf(name, sizeof name, "payload%d", m);
        size_t n = vector(name, payload, sizeof payload), len = 0, got_len = 0;
        snprintf(name, sizeof name, "message%d", m);
        size_t want = vector(name, expected, sizeof expected);
        cr_assert(cn_noise_write(from, payload, n, out, &len));
        cr_assert_eq(len, want);
        cr_expect_arr_eq(out, expected, want);
        cr_assert(cn_noise_read(to, out, len, got, &got_len));
        cr_expect_eq(got_len, n);
        cr_expect_arr_eq(got, payload, n);
    }
    cr_assert(cn_noise_done(i) && cn_noise_done(r));
    vector("resp_static", key, 32);
    uint8_t public_key[32];
    cn_x25519_public(key, public_key);
    cr_assert(cn_noise_remote(i, remote));
    cr_expect_arr_eq(remote, public_key, 32);
    cn_noise_cipher i_send, i_receive, r_send, r_receive;
    cn_noise_split(i, &i_send, &i_receive);
    cn_noise_split(r, &r_send, &r_receive);
    for (int m = 3; m < 6; m++) { /* the responder sends the first of them */
        bool by_responder = m != 4;
        snprintf(name, sizeof name, "payload%d", m);
        size_t n = vector(name, payload, sizeof payload);
        snprintf(name, sizeof name, "message%d", m);
        size_t want = vector(name, expected, sizeof expected);
        cr_assert(cn_noise_encrypt(by_responder ? &r_send : &i_send, payload, n, out));
        cr_assert_eq(n + CN_NOISE_TAG, want);
        cr_expect_arr_eq(out, expected, want);
        cr_assert(cn_noise_decrypt(by_responder ? &i_receive : &r_receive, out, want, got));
        cr_expect_arr_eq(got, payload, n);
    }
    cn_noise_end(i);
    cn_noise_end(r);
}

/* Up to message m, with byte `at` of that message changed. */
static bool survives(int m, size_t at)
{
    cn_noise_handshake *i, *r;
    uint8_t out[CN_NOISE_HANDSHAKE_MAX], got[256];
    size_t len = 0, got_len = 0;
    bool ok = true;
    begin(&i, &r);
    for (int k = 0; k <= m && ok; k++) {
        cn_noise_handshake *from = k == 1 ? r : i, *to = k == 1 ? i : r;
        ok = cn_noise_write(from, "x", 1, out, &len);
        if (k == m)
            out[at % len] ^= 0x40;
        ok = ok && cn_noise_read(to, out, len, got, &got_len);
    }
    if (ok && m == 0) /* the first message is not authentic by itself; the second one shows the change */
        ok = cn_noise_write(r, "x", 1, out, &len) && cn_noise_read(i, out, len, got, &got_len);
    cn_noise_end(i);
    cn_noise_end(r);
    return ok;
}

Test(noise, a_changed_byte_ends_the_handshake)
{
    for (int m = 0; m < 3; m++)
        for (size_t at = 0; at < 130; at++)
            cr_expect_not(survives(m, at), "message %d, byte %zu", m, at);
}

Test(noise, another_prologue_is_another_network)
{
    uint8_t secret[32] = {5}, out[CN_NOISE_HANDSHAKE_MAX], got[256];
    size_t len = 0, got_len = 0;
    cn_noise_handshake *i = cn_noise_begin(true, secret, "network a", 9);
    secret[0] = 6;
    cn_noise_handshake *r = cn_noise_begin(false, secret, "network b", 9);
    cr_assert(cn_noise_write(i, NULL, 0, out, &len) && cn_noise_read(r, out, len, got, &got_len));
    cr_assert(cn_noise_write(r, NULL, 0, out, &len));
    cr_expect_not(cn_noise_read(i, out, len, got, &got_len));
    uint8_t remote[32];
    cr_expect_not(cn_noise_remote(i, remote), "nobody is identified by a message that failed");
    cn_noise_end(i);
    cn_noise_end(r);
}

Test(noise, out_of_turn_or_cut_short)
{
    cn_noise_handshake *i, *r;
    uint8_t out[CN_NOISE_HANDSHAKE_MAX], got[256];
    size_t len = 0, got_len = 0;
    begin(&i, &r);
    cr_expect_not(cn_noise_write(r, NULL, 0, out, &len), "the responder does not begin");
    cr_assert(cn_noise_write(i, NULL, 0, out, &len));
    cr_expect_not(cn_noise_read(r, out, 31, got, &got_len));
    cr_expect_not(cn_noise_read(r, out, len, got, &got_len), "a handshake that failed stays failed");
    cn_noise_end(i);
    cn_noise_end(r);
}

Test(noise, frames_cannot_be_repeated_or_reordered)
{
    cn_noise_cipher a = {.key = {1}}, b = {.key = {1}};
    uint8_t one[32], two[32], plain[16];
    cr_assert(cn_noise_encrypt(&a, "first", 5, one) && cn_noise_encrypt(&a, "second", 6, two));
    cr_expect_not(cn_noise_decrypt(&b, two, 22, plain));
    cr_expect(cn_noise_decrypt(&b, one, 21, plain));
    cr_expect_not(cn_noise_decrypt(&b, one, 21, plain));
    cr_expect(cn_noise_decrypt(&b, two, 22, plain));
}
