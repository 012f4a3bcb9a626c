/* Signatures as keyed hashes: whoever holds the public key could make them, but nobody here does so against the rules
 * of its part. The linker puts these in the place of proto's functions (--wrap), in the node and in the world alike. */
#include "whole.h"

#include <stdlib.h>
#include <string.h>

cn_status __wrap_cn_sign(const cn_secret_key *key, const cn_digest *digest, cn_signature *ret, cn_err *err);
bool __wrap_cn_verify(const cn_public_key *key, const cn_digest *digest, const uint8_t signature[CN_SIGNATURE_LEN]);
cn_vote_keys *__wrap_cn_vote_keys_new(const cn_validator_set *set);
void __wrap_cn_vote_keys_free(cn_vote_keys *keys);
bool __wrap_cn_vote_verify(const cn_vote_keys *keys, unsigned place, const cn_digest *digest,
                           const uint8_t signature[CN_SIGNATURE_LEN]);
cn_status __wrap_cn_certificate_verify(const cn_certificate *c, const cn_digest *network, const cn_validator_set *set,
                                       const cn_vote_keys *keys, cn_err *err);

struct cn_vote_keys {
    cn_validator_set set;
};

static void hashed(const cn_public_key *key, const cn_digest *digest, uint8_t out[CN_SIGNATURE_LEN])
{
    int number = key->type == CN_KEY_SECP256K1 ? vote_key_number(key->b) : -1;
    if (number >= 0) { /* as the oracle knows them */
        sim_sign((unsigned)number, digest, out);
        return;
    }
    cn_span spans[] = {CN_SPAN(key->b, CN_PUBLIC_KEY_MAX), CN_SPAN_DIGEST(digest)};
    cn_digest d = cn_taggedv("simulated signature", spans, 2);
    memcpy(out, d.b, 32);
    memcpy(out + 32, d.b, 32);
}

cn_status __wrap_cn_sign(const cn_secret_key *key, const cn_digest *digest, cn_signature *ret, cn_err *err)
{
    (void)err;
    hashed(&key->public_key, digest, ret->b);
    return CN_OK;
}

bool __wrap_cn_verify(const cn_public_key *key, const cn_digest *digest, const uint8_t signature[CN_SIGNATURE_LEN])
{
    uint8_t want[CN_SIGNATURE_LEN];
    hashed(key, digest, want);
    return memcmp(want, signature, sizeof want) == 0;
}

cn_vote_keys *__wrap_cn_vote_keys_new(const cn_validator_set *set)
{
    cn_vote_keys *keys = malloc(sizeof *keys);
    CN_ASSERT(keys);
    keys->set = *set;
    return keys;
}

void __wrap_cn_vote_keys_free(cn_vote_keys *keys)
{
    free(keys);
}

bool __wrap_cn_vote_verify(const cn_vote_keys *keys, unsigned place, const cn_digest *digest,
                           const uint8_t signature[CN_SIGNATURE_LEN])
{
    int number = place < keys->set.n ? vote_key_number(keys->set.row[place].vote_key) : -1;
    return number >= 0 && sim_verify((unsigned)number, digest, signature);
}

cn_status __wrap_cn_certificate_verify(const cn_certificate *c, const cn_digest *network, const cn_validator_set *set,
                                       const cn_vote_keys *keys, cn_err *err)
{
    cn_digest digest = cn_vote_digest(network, c->epoch, c->kind, c->view, &c->block);
    unsigned at = 0;
    if (c->n != set->n)
        return cn_fail(err, CN_INVALID, "certificate", "of another set");
    for (unsigned i = 0; i < c->n; i++)
        if (c->bitmap[i / 8] >> (i % 8) & 1)
            if (!__wrap_cn_vote_verify(keys, i, &digest, c->signature[at++].b))
                return cn_fail(err, CN_BAD_SIGNATURE, "certificate", "signature of validator %u", i);
    return CN_OK;
}
