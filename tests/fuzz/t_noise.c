/* The peer channel: a handshake survives no change of its messages, a frame none of its bytes. */
#include "fuzz.h"

#include "node/peer/noise.h"
#include "proto/key.h"

#include <stdlib.h>

/* input: mode | change of one message: which u8 | place u8 | xor u8 | bytes. Modes: strangers' bytes as message 1, 2 or
 * 3; a handshake with one changed byte; the bytes as a frame; a true frame with one changed byte. */
enum { FIRST, SECOND, THIRD, CHANGED, FRAME, CHANGED_FRAME, MODES };

static const uint8_t prologue[] = "carnet/peer/1";

void fuzz_seeds(void)
{
    uint8_t in[160] = {0};
    char name[] = "mode-a";
    for (uint8_t mode = 0; mode < MODES; mode++) {
        static const uint8_t length[] = {32, 96, 64, 0, 48, 32};
        in[0] = mode;
        name[5] = (char)('a' + mode);
        fuzz_seed(name, in, 4u + length[mode]);
    }
}

typedef struct pair {
    cn_noise_handshake *h[2]; /* initiator, responder */
} pair;

static pair begin(void)
{
    static const uint8_t secret[2][32] = {{1}, {2}}, ephemeral[2][32] = {{3}, {4}};
    pair p;
    for (int i = 0; i < 2; i++) {
        p.h[i] = cn_noise_begin(i == 0, secret[i], prologue, sizeof prologue);
        FUZZ_REQUIRE(p.h[i] != NULL);
        cn_noise_fix_ephemeral(p.h[i], ephemeral[i]);
    }
    return p;
}

/* Messages up to `count`; the one numbered `which` gets one byte changed. True when all were taken. */
static bool talk(pair *p, unsigned count, unsigned which, uint8_t place, uint8_t with)
{
    uint8_t message[CN_NOISE_HANDSHAKE_MAX], payload[CN_NOISE_HANDSHAKE_MAX];
    for (unsigned i = 0; i < count; i++) {
        size_t n = 0, got = 0;
        FUZZ_REQUIRE(cn_noise_write(p->h[i % 2], "", 0, message, &n) && n <= sizeof message);
        if (i == which)
            message[place % n] ^= with;
        if (!cn_noise_read(p->h[1 - i % 2], message, n, payload, &got))
            return false;
    }
    return true;
}

static void stranger(unsigned number, const uint8_t *p, size_t n)
{
    pair two = begin();
    size_t got = 0;
    uint8_t remote[32], *payload = malloc(CN_NOISE_HANDSHAKE_MAX);
    FUZZ_REQUIRE(payload != NULL && talk(&two, number, 99, 0, 0));
    if (number % 2 == 1) { /* the reader's own message must be out before */
        FUZZ_REQUIRE(!cn_noise_my_turn(two.h[0]));
    }
    bool ok = cn_noise_read(two.h[1 - number % 2], p, n, payload, &got);
    FUZZ_REQUIRE(!ok || (number == 0 && got + 32 == n)); /* only the first message carries no proof */
    FUZZ_REQUIRE(ok || (!cn_noise_remote(two.h[1 - number % 2], remote) && !cn_noise_done(two.h[1 - number % 2])));
    FUZZ_PLANT(ok && got > 4);
    free(payload);
    cn_noise_end(two.h[0]);
    cn_noise_end(two.h[1]);
}

static void frames(uint8_t mode, uint8_t place, uint8_t with, const uint8_t *p, size_t n)
{
    cn_noise_cipher send = {.key = {9}}, receive = {.key = {9}};
    uint8_t *sealed = malloc(n + CN_NOISE_TAG), *plain = malloc(n + 1);
    FUZZ_REQUIRE(sealed && plain);
    if (mode == FRAME) {
        FUZZ_REQUIRE(!cn_noise_decrypt(&receive, p, n, plain));
    } else {
        FUZZ_REQUIRE(cn_noise_encrypt(&send, p, n, sealed));
        sealed[place % (n + CN_NOISE_TAG)] ^= with;
        bool ok = cn_noise_decrypt(&receive, sealed, n + CN_NOISE_TAG, plain);
        FUZZ_REQUIRE(ok == (with == 0));
        FUZZ_REQUIRE(!ok || fuzz_same(plain, n, p, n));
    }
    free(sealed);
    free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < 4 || n > 60000)
        return 0;
    uint8_t mode = p[0] % MODES, which = p[1] % 3, place = p[2], with = p[3];
    if (mode <= THIRD) {
        stranger(mode, p + 4, n - 4);
    } else if (mode == CHANGED) {
        pair two = begin();
        bool whole = talk(&two, 3, which, place, with);
        /* the top bit of a curve point is masked (RFC 7748, section 5), but the transcript hash has it */
        FUZZ_REQUIRE(whole == (with == 0));
        cn_noise_end(two.h[0]);
        cn_noise_end(two.h[1]);
    } else {
        frames(mode, place, with, p + 4, n - 4);
    }
    return 0;
}
