/* The three key types behind one sign and verify interface.
 *
 * ECDSA (types 1 and 3) signs the tagged digest itself: 64 bytes r||s, low-s; a high-s signature is refused.
 * Ed25519 (type 2) signs the 32 bytes of the digest; verification is libsodium's strict one (canonical S, small-order
 * and non-canonical points refused). Public keys: secp256k1 and P-256 compressed (33 bytes), Ed25519 32 bytes. */
#ifndef CARNET_PROTO_KEY_H
#define CARNET_PROTO_KEY_H

#include "proto/digest.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CN_SIGNATURE_LEN 64
#define CN_PUBLIC_KEY_MAX 33

/* X(constant, number, name) */
#define CN_KEY_TYPES(X)                                                                                                \
    X(CN_KEY_SECP256K1, 1, "secp256k1")                                                                                \
    X(CN_KEY_ED25519, 2, "ed25519")                                                                                    \
    X(CN_KEY_P256, 3, "p256")

typedef enum cn_key_type {
#define CN_KEY_ENUM(name, number, text) name = number,
    CN_KEY_TYPES(CN_KEY_ENUM)
#undef CN_KEY_ENUM
} cn_key_type;

typedef struct cn_public_key {
    uint8_t type;                 /* cn_key_type */
    uint8_t b[CN_PUBLIC_KEY_MAX]; /* Ed25519: 32 bytes, then zero */
} cn_public_key;

typedef struct cn_secret_key {
    cn_public_key public_key;
    uint8_t secret[32]; /* scalar (big-endian) or Ed25519 seed */
} cn_secret_key;

typedef struct cn_signature {
    uint8_t b[CN_SIGNATURE_LEN];
} cn_signature;

const char *cn_key_type_name(uint8_t type); /* NULL for an unknown type */
bool cn_key_type_parse(const char *name, uint8_t *ret_type);
size_t cn_public_key_len(uint8_t type); /* 33, 32, 33; 0 for an unknown type */

/* Copies len bytes of a public key after checking that they are a point of the curve. */
cn_status cn_public_key_parse(uint8_t type, const void *p, size_t len, cn_public_key *ret, cn_err *err);
/* key id = T("carnet/key", type u8 | public key) */
cn_digest cn_key_id(const cn_public_key *key);

cn_status cn_secret_key_generate(uint8_t type, cn_secret_key *ret, cn_err *err); /* from the OS's generator */
cn_status cn_secret_key_from_bytes(uint8_t type, const uint8_t secret[32], cn_secret_key *ret, cn_err *err);
void cn_secret_key_wipe(cn_secret_key *key);

/* Signs a tagged digest. secp256k1 and Ed25519 are deterministic. */
cn_status cn_sign(const cn_secret_key *key, const cn_digest *digest, cn_signature *ret, cn_err *err);
/* True only for a valid, canonical signature. Thread-safe; no allocation for types 1 and 2. */
bool cn_verify(const cn_public_key *key, const cn_digest *digest, const uint8_t signature[CN_SIGNATURE_LEN]);

/* Ed25519 over a message, where somebody else's format says what is signed (C2SP). Verification is strict, as above. */
cn_status cn_ed25519_sign(const cn_secret_key *key, const void *p, size_t n, cn_signature *ret, cn_err *err);
bool cn_ed25519_verify(const uint8_t public_key[32], const void *p, size_t n,
                       const uint8_t signature[CN_SIGNATURE_LEN]);

/* Ethereum address of a secp256k1 key: last 20 bytes of Keccak-256 of the uncompressed point without its 0x04. */
cn_status cn_evm_address(const cn_public_key *key, uint8_t ret_address[20], cn_err *err);

/* X25519 for the peer channel. */
void cn_x25519_public(const uint8_t secret[32], uint8_t ret_public[32]);

/* ---- key files (text, version line first); parsing is pure, reading files is the caller's ----
 *   carnet-key 1
 *   purpose: vote            (vote, receipt, cosignature, log, channel, capture, device)
 *   type: secp256k1          (or ed25519, p256, x25519)
 *   public: <hex>
 *   secret: <hex 32>
 *   item-salt: <hex 32>      (capture and device keys only: the salt secret of items) */
#define CN_KEY_FILE_MAX 1024
typedef struct cn_key_file {
    char purpose[16];
    bool is_x25519;
    cn_secret_key key; /* signing types */
    uint8_t x25519_public[32];
    uint8_t x25519_secret[32];
    bool has_item_salt;
    uint8_t item_salt_secret[32];
} cn_key_file;
cn_status cn_key_file_parse(const char *text, size_t n, cn_key_file *ret,
                            cn_err *err); /* checks public against secret */
size_t cn_key_file_format(const cn_key_file *file, char out[CN_KEY_FILE_MAX]);
void cn_key_file_wipe(cn_key_file *file);

#endif
