/* Keccak-256 as Ethereum uses it: Keccak-f[1600], rate 1088, padding 0x01 (The Keccak reference, version 3.0; not
 * FIPS 202, which pads with 0x06). No C library in Debian offers the legacy padding. */
#include "proto/digest.h"

#include <string.h>

#define RATE 136

static uint64_t rotl(uint64_t v, unsigned n)
{
    return n ? v << n | v >> (64 - n) : v;
}

/* Round constants come from the LFSR of the specification, section 1.2. */
static bool lfsr_bit(uint8_t *state)
{
    bool bit = *state & 1;
    *state = (uint8_t)(*state & 0x80 ? *state << 1 ^ 0x71 : *state << 1);
    return bit;
}

static void permute(uint64_t a[25])
{
    uint8_t lfsr = 1;
    for (int round = 0; round < 24; round++) {
        uint64_t c[5], b[25];
        for (int x = 0; x < 5; x++)
            c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        for (int i = 0; i < 25; i++)
            a[i] ^= c[(i + 4) % 5] ^ rotl(c[(i + 1) % 5], 1);
        int x = 1, y = 0;
        b[0] = a[0];
        for (unsigned t = 0; t < 24; t++) { /* rho and pi */
            unsigned offset = (t + 1) * (t + 2) / 2 % 64;
            int nx = y, ny = (2 * x + 3 * y) % 5;
            b[nx + 5 * ny] = rotl(a[x + 5 * y], offset);
            x = nx;
            y = ny;
        }
        for (int row = 0; row < 25; row += 5)
            for (int i = 0; i < 5; i++)
                a[row + i] = b[row + i] ^ (~b[row + (i + 1) % 5] & b[row + (i + 2) % 5]);
        for (unsigned j = 0; j < 7; j++)
            if (lfsr_bit(&lfsr))
                a[0] ^= UINT64_C(1) << ((1u << j) - 1);
    }
}

static void absorb(uint64_t a[25], const uint8_t block[RATE])
{
    for (int i = 0; i < RATE / 8; i++) {
        uint64_t lane = 0;
        for (int k = 7; k >= 0; k--)
            lane = lane << 8 | block[8 * i + k];
        a[i] ^= lane;
    }
    permute(a);
}

cn_digest cn_keccak256(const void *p, size_t n)
{
    uint64_t a[25] = {0};
    uint8_t last[RATE] = {0};
    const uint8_t *bytes = p;
    for (; n >= RATE; n -= RATE, bytes += RATE)
        absorb(a, bytes);
    if (n)
        memcpy(last, bytes, n);
    last[n] ^= 0x01;
    last[RATE - 1] ^= 0x80;
    absorb(a, last);
    cn_digest d;
    for (int i = 0; i < CN_DIGEST_LEN; i++)
        d.b[i] = (uint8_t)(a[i / 8] >> (8 * (i % 8)));
    return d;
}
