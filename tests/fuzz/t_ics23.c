/* ICS-23 proofs: strict reading, and no proof of what the map does not say. */
#include "fuzz.h"

#include "proto/ics23.h"
#include "storage/map.h"

#include <stdlib.h>

enum { EXISTENCE, ABSENCE, KINDS };
#define LEAVES 9

static cn_state_key key_of(uint8_t i)
{
    cn_state_key key = {{5}};
    cn_digest d = cn_sha256(&i, 1);
    memcpy(key.b + 1, d.b, CN_DIGEST_LEN);
    return key;
}

static cn_map *map_of(void)
{
    cn_map_change change[LEAVES];
    cn_map *empty = cn_map_empty(), *map = NULL;
    for (uint8_t i = 0; i < LEAVES; i++)
        change[i] = (cn_map_change){key_of(i), CN_SPAN("value", 5)};
    FUZZ_REQUIRE(cn_map_apply(empty, change, LEAVES, &map, NULL) == CN_OK);
    cn_map_unref(empty);
    return map;
}

void fuzz_seeds(void)
{
    static cn_ics23_existence exist;
    static cn_ics23_absence absent;
    cn_map *map = map_of();
    for (uint8_t i = 0; i < 2 * LEAVES; i++) {
        cn_state_key key = key_of(i);
        char name[] = "proof-a";
        cn_buf bytes;
        cn_buf_init(&bytes, 1u << 16);
        name[6] = (char)('a' + i);
        if (i < LEAVES) {
            FUZZ_REQUIRE(cn_map_prove(map, &key, &exist, NULL) == CN_OK);
            FUZZ_REQUIRE(cn_ics23_encode_existence(&exist, &bytes) == CN_OK);
        } else {
            FUZZ_REQUIRE(cn_map_prove_absent(map, &key, &absent, NULL) == CN_OK);
            FUZZ_REQUIRE(cn_ics23_encode_absence(&absent, &bytes) == CN_OK);
        }
        fuzz_seed_kind(name, i < LEAVES ? EXISTENCE : ABSENCE, bytes.p, bytes.n);
        cn_buf_free(&bytes);
    }
    cn_map_unref(map);
}

static const cn_digest *root_of_map(void)
{
    static cn_digest root;
    if (cn_digest_is_zero(&root)) {
        cn_map *map = map_of();
        root = cn_map_root(map);
        cn_map_unref(map);
    }
    return &root;
}

static bool in_map(const cn_state_key *key)
{
    for (uint8_t i = 0; i < LEAVES; i++) {
        cn_state_key k = key_of(i);
        if (memcmp(k.b, key->b, CN_STATE_KEY_LEN) == 0)
            return true;
    }
    return false;
}

static void try_existence(const uint8_t *p, size_t n)
{
    static cn_ics23_existence proof;
    cn_buf again;
    if (cn_ics23_decode_existence(p, n, &proof, NULL) != CN_OK)
        return;
    cn_buf_init(&again, 1u << 20);
    FUZZ_REQUIRE(cn_ics23_encode_existence(&proof, &again) == CN_OK);
    FUZZ_REQUIRE(fuzz_same(again.p, again.n, p, n));
    cn_buf_free(&again);
    if (cn_ics23_verify_existence(&proof, root_of_map(), &proof.key, proof.value, proof.value_len))
        FUZZ_REQUIRE(in_map(&proof.key) && fuzz_same(proof.value, proof.value_len, "value", 5));
    FUZZ_PLANT(proof.depth > 1 && proof.key.b[0] > 5);
}

static void try_absence(const uint8_t *p, size_t n)
{
    static cn_ics23_absence proof;
    cn_buf again;
    if (cn_ics23_decode_absence(p, n, &proof, NULL) != CN_OK)
        return;
    cn_buf_init(&again, 1u << 21);
    FUZZ_REQUIRE(cn_ics23_encode_absence(&proof, &again) == CN_OK);
    FUZZ_REQUIRE(fuzz_same(again.p, again.n, p, n));
    cn_buf_free(&again);
    if (cn_ics23_verify_absence(&proof, root_of_map(), &proof.key))
        FUZZ_REQUIRE(!in_map(&proof.key));
    for (uint8_t i = 0; i < LEAVES; i++) { /* the bytes of the map's own keys are what a forger would put in */
        cn_state_key key = key_of(i);
        FUZZ_REQUIRE(!cn_ics23_verify_absence(&proof, root_of_map(), &key));
        proof.key = key;
        FUZZ_REQUIRE(!cn_ics23_verify_absence(&proof, root_of_map(), &key));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n && p[0] % KINDS == EXISTENCE)
        try_existence(p + 1, n - 1);
    else if (n)
        try_absence(p + 1, n - 1);
    return 0;
}
