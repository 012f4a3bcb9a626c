/* Noise_XX_25519_ChaChaPoly_SHA256 (The Noise Protocol Framework, revision 34), with libsodium's primitives. No I/O.
 *
 *   -> e        <- e, ee, s, es        -> s, se
 * Prologue: "carnet/peer/1" | network id, so that another network fails at the first message with a key in it. */
#ifndef CARNET_NODE_PEER_NOISE_H
#define CARNET_NODE_PEER_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CN_NOISE_TAG 16u
#define CN_NOISE_MESSAGE_MAX 65535u
#define CN_NOISE_HANDSHAKE_MAX 256u

typedef struct cn_noise_handshake cn_noise_handshake;
typedef struct cn_noise_cipher { /* one direction of a channel */
    uint8_t key[32];
    uint64_t nonce;
} cn_noise_cipher;

/* NULL: out of memory. static_secret is copied and wiped with the state. */
cn_noise_handshake *cn_noise_begin(bool initiator, const uint8_t static_secret[32], const void *prologue, size_t n);
void cn_noise_end(cn_noise_handshake *h);
/* For published test vectors only: a fixed ephemeral key in place of a random one. */
void cn_noise_fix_ephemeral(cn_noise_handshake *h, const uint8_t secret[32]);

bool cn_noise_my_turn(const cn_noise_handshake *h);
bool cn_noise_done(const cn_noise_handshake *h);
/* out holds CN_NOISE_HANDSHAKE_MAX bytes; the payload must leave room. */
bool cn_noise_write(cn_noise_handshake *h, const void *payload, size_t n, uint8_t *out, size_t *ret_len);
/* False: the message is not authentic or has a wrong length; the handshake is over. */
bool cn_noise_read(cn_noise_handshake *h, const uint8_t *message, size_t n, uint8_t *payload, size_t *ret_len);
/* The peer's static key: known once the message that carries it has been read. */
bool cn_noise_remote(const cn_noise_handshake *h, uint8_t ret_public[32]);
void cn_noise_split(const cn_noise_handshake *h, cn_noise_cipher *ret_send, cn_noise_cipher *ret_receive);

/* out has n + 16 bytes; false when the nonce is used up. */
bool cn_noise_encrypt(cn_noise_cipher *c, const void *plain, size_t n, uint8_t *out);
bool cn_noise_decrypt(cn_noise_cipher *c, const uint8_t *sealed, size_t n, uint8_t *out);

#endif
