/* Validator sets, votes and certificates: what a verifier needs to see that a quorum decided.
 *
 * Set row (CN_SET_ROW_LEN bytes): member id 32 | vote key 33 (secp256k1) | EVM address 20 | P-256 33 |
 *   Ed25519 cosignature 32 | Ed25519 log 32; rows ascend by member id. Digest = T("carnet/set", rows).
 * Vote preimage: T("carnet/vote", network 32 | epoch u64 | kind u8 | view u64 | block 32), zeros for nullify.
 * Certificate: kind u8 | epoch u64 | view u64 | block 32 | n u8 | bitmap ceil(n/8), lowest bit first |
 *   64 bytes a signature, ascending by signer, exactly quorum(n) of them. */
#ifndef CARNET_PROTO_QUORUM_H
#define CARNET_PROTO_QUORUM_H

#include "proto/bytes.h"
#include "proto/digest.h"
#include "proto/key.h"
#include "proto/limits.h"
#include "proto/status.h"

#define CN_SET_ROW_LEN 182

typedef struct cn_set_row {
    cn_digest member;
    uint8_t vote_key[33];
    uint8_t evm_address[20];
    uint8_t receipt_key[33];     /* P-256 */
    uint8_t cosignature_key[32]; /* Ed25519, C2SP type 0x04 */
    uint8_t log_key[32];         /* Ed25519, C2SP type 0x01 */
} cn_set_row;

typedef struct cn_validator_set {
    unsigned n;
    cn_set_row row[CN_MAX_VALIDATORS];
} cn_validator_set;

/* f = floor((n-1)/3), q = floor((n+f)/2)+1: the only place that computes them. n >= 1. */
unsigned cn_max_faults(unsigned n);
unsigned cn_quorum(unsigned n);

/* Checks order, distinct keys, points on their curves, and that each EVM address is its vote key's. */
cn_status cn_validator_set_check(const cn_validator_set *set, cn_err *err);
void cn_validator_set_encode(const cn_validator_set *set, cn_buf *out);
cn_status cn_validator_set_decode(const void *p, size_t n, cn_validator_set *ret, cn_err *err); /* also checks */
cn_digest cn_validator_set_digest(const cn_validator_set *set);
int cn_validator_set_find(const cn_validator_set *set, const cn_digest *member); /* index, or -1 */

typedef enum cn_vote_kind { CN_NOTARIZE = 1, CN_NULLIFY = 2, CN_FINALIZE = 3 } cn_vote_kind;

cn_digest cn_vote_digest(const cn_digest *network, uint64_t epoch, uint8_t kind, uint64_t view, const cn_digest *block);

/* A set with its vote keys parsed once, for fast verification. Opaque; thread-safe after creation. */
typedef struct cn_vote_keys cn_vote_keys;
cn_vote_keys *cn_vote_keys_new(const cn_validator_set *set); /* NULL: out of memory or an invalid key */
void cn_vote_keys_free(cn_vote_keys *keys);
bool cn_vote_verify(const cn_vote_keys *keys, unsigned signer, const cn_digest *vote_digest,
                    const uint8_t signature[CN_SIGNATURE_LEN]);

typedef struct cn_certificate {
    uint8_t kind; /* cn_vote_kind */
    uint64_t epoch;
    uint64_t view;
    cn_digest block; /* zeros for a nullification */
    uint8_t n;       /* validators of the set */
    uint8_t bitmap[(CN_MAX_VALIDATORS + 7) / 8];
    unsigned signature_count;
    cn_signature signature[CN_MAX_VALIDATORS];
} cn_certificate;

#define CN_CERTIFICATE_MAX (1 + 8 + 8 + 32 + 1 + 4 + 64 * CN_MAX_VALIDATORS)

void cn_certificate_encode(const cn_certificate *c, cn_buf *out);
/* Strict: known kind, zeros for nullify, 1 <= n <= CN_MAX_VALIDATORS, no bit beyond n, exactly quorum(n) bits. */
cn_status cn_certificate_read(cn_reader *r, cn_certificate *ret, cn_err *err);
/* Verifies all signatures against the set; c->n must be the set's size. err names the signer that fails. */
cn_status cn_certificate_verify(const cn_certificate *c, const cn_digest *network, const cn_validator_set *set,
                                const cn_vote_keys *keys, cn_err *err);

#endif
