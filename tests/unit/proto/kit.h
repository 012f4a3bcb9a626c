/* What the tests of proto share: hex, a seeded generator, fixed keys, and the statements that the vectors are made of.
 */
#ifndef CARNET_TESTS_PROTO_KIT_H
#define CARNET_TESTS_PROTO_KIT_H

#include "proto/foreign.h"
#include "proto/quorum.h"
#include "proto/state.h"
#include "proto/statement.h"

#include <criterion/criterion.h>

#define KIT_MAX_BYTES 4096

typedef struct kit_bytes {
    size_t n;
    uint8_t p[KIT_MAX_BYTES];
} kit_bytes;

/* Any even number of hex digits. */
kit_bytes kit_unhex(const char *hex);
cn_digest kit_digest(const char *hex64);
/* 32 bytes, all of this value. */
cn_digest kit_fill(uint8_t byte);

/* splitmix64: the same numbers on every machine. */
uint64_t kit_random(uint64_t *state);

/* A key whose secret is 31 zero bytes and `number`, so that other implementations can make it too. */
cn_secret_key kit_key(uint8_t type, uint8_t number);

/* One body of each kind, valid and fixed; its arrays live in the kit_bodies. */
typedef struct kit_bodies {
    cn_batch_entry entry[3];
    cn_digest list[3];
    uint8_t item[4][64];
    cn_span item_span[4];
    uint8_t proof[2048];
} kit_bodies;
enum kit_kind {
    KIT_BATCH,
    KIT_KEY_REGISTER,
    KIT_KEY_ROTATE,
    KIT_KEY_REVOKE,
    KIT_KEY_GAP,
    KIT_KEY_SALVAGE,
    KIT_MEMBER_REGISTER,
    KIT_CHANNEL_KEY,
    KIT_PAIRING,
    KIT_DOCUMENT,
    KIT_PROPOSAL,
    KIT_BALLOT,
    KIT_READINESS,
    KIT_FOREIGN_NETWORK,
    KIT_FOREIGN_PROOF,
    KIT_ERASURE,
    KIT_PURGE,
    KIT_KINDS
};
extern const char *const kit_kind_name[KIT_KINDS];
cn_digest kit_network(void);
/* The signer is kit_key(CN_KEY_SECP256K1, 1). */
cn_body kit_body(kit_bodies *store, enum kit_kind kind);
/* A proof of a statement of network f0.., final in epoch 1 of kit_set_make(4); it holds. Appended to out. */
void kit_foreign_proof(cn_buf *out);
/* Signs kit_body (with its items when it is a batch). The caller frees out. */
void kit_sign(enum kit_kind kind, const cn_secret_key *key, cn_buf *out, cn_digest *ret_id);

/* A set of n validators with fixed keys; secret vote keys in row order. */
typedef struct kit_set {
    cn_validator_set set;
    cn_secret_key vote[CN_MAX_VALIDATORS];
} kit_set;
void kit_set_make(kit_set *ret, unsigned n);
/* A certificate with the signers of the bit set; as many as are given, quorum or not. */
cn_certificate kit_certificate(const kit_set *s, uint8_t kind, uint64_t view, uint32_t signers);

#endif
