/* Values of the state map, leaves of subject trees, frontiers: accepted means encodes to the same bytes. */
#include "fuzz.h"

#include "proto/merkle.h"
#include "proto/state.h"
#include "tests/unit/proto/kit.h"

#include <stdio.h>

enum { PARAMETERS, SET, MEMBER, KEY, SUBJECT, PAIRING, LEAF, FRONTIER, FOREIGN, RELIED, ERASURE, KINDS };

static void seed_frontiers(void)
{
    cn_frontier f;
    cn_frontier_init(&f);
    for (uint64_t i = 0; i < 12; i++) {
        char name[32];
        cn_buf bytes;
        cn_buf_init(&bytes, 1u << 12);
        cn_frontier_write(&f, &bytes);
        snprintf(name, sizeof name, "frontier-%u", (unsigned)i);
        fuzz_seed_kind(name, FRONTIER, bytes.p, bytes.n);
        cn_buf_free(&bytes);
        cn_digest leaf = cn_leaf_hash(&i, sizeof i);
        cn_frontier_append(&f, &leaf);
    }
}

void fuzz_seeds(void)
{
    uint8_t out[CN_STATE_VALUE_MAX];
    cn_state_parameters parameters = {1000, 60000, 1048576, 3};
    fuzz_seed_kind("parameters", PARAMETERS, out, cn_state_parameters_encode(&parameters, out));
    cn_state_set set = {4, kit_fill(3)};
    fuzz_seed_kind("set", SET, out, cn_state_set_encode(&set, out));
    cn_state_member member = {.roles = CN_ROLE_BANK, .country = "KE", .is_registrar = true, .name = "bank-of-kenya"};
    fuzz_seed_kind("member", MEMBER, out, cn_state_member_encode(&member, out));
    for (uint8_t type = CN_KEY_SECP256K1; type <= CN_KEY_P256; type++) {
        cn_state_device_key key = {.key = kit_key(type, 5).public_key, .purpose = CN_PURPOSE_DEVICE, .status = 1};
        char name[16];
        snprintf(name, sizeof name, "key-%u", type);
        fuzz_seed_kind(name, KEY, out, cn_state_key_encode(&key, out));
    }
    cn_state_subject subject = {2, kit_fill(4), 3, 4, kit_fill(5)};
    fuzz_seed_kind("subject", SUBJECT, out, cn_state_subject_encode(&subject, out));
    static cn_state_pairing pairing = {.count = 2};
    pairing.row[0] = (cn_state_pairing_row){kit_fill(1), 10, 20};
    pairing.row[1] = (cn_state_pairing_row){kit_fill(1), 30, 0};
    fuzz_seed_kind("pairing", PAIRING, out, cn_state_pairing_encode(&pairing, out));
    cn_state_foreign foreign = {
        .status = CN_FOREIGN_ACTIVE, .epoch = 2, .set = kit_fill(7), .height = 9, .name = "bank-net"};
    fuzz_seed_kind("foreign", FOREIGN, out, cn_state_foreign_encode(&foreign, out));
    cn_state_relied relied = {kit_fill(8), 12};
    fuzz_seed_kind("relied", RELIED, out, cn_state_relied_encode(&relied, out));
    cn_state_erasure erasure = {.log_index = 9, .target = kit_fill(9), .start = 1, .count = 2, .subject_count = 2};
    erasure.subject[1] = kit_fill(10);
    fuzz_seed_kind("erasure", ERASURE, out, cn_state_erasure_encode(&erasure, out));
    cn_subject_leaf leaf = {kit_fill(6), 2, 3, 4};
    cn_subject_leaf_encode(&leaf, out);
    fuzz_seed_kind("leaf", LEAF, out, CN_SUBJECT_LEAF_LEN);
    seed_frontiers();
}

static void try_frontier(const uint8_t *p, size_t n)
{
    cn_frontier f;
    cn_reader r = cn_reader_of(p, n);
    cn_buf again;
    if (!cn_frontier_read(&r, &f))
        return;
    cn_buf_init(&again, 1u << 12);
    cn_frontier_write(&f, &again);
    FUZZ_REQUIRE(fuzz_same(again.p, again.n, p, n - r.n));
    cn_buf_free(&again);
    (void)cn_frontier_root(&f);
    cn_digest leaf = cn_leaf_hash("x", 1);
    if (f.size < UINT64_MAX) {
        cn_frontier_append(&f, &leaf);
        FUZZ_REQUIRE(cn_frontier_count(&f) == (unsigned)__builtin_popcountll(f.size));
    }
    FUZZ_PLANT(f.size > 16);
}

#define TRY(type, decode, encode)                                                                                      \
    do {                                                                                                               \
        static type value;                                                                                             \
        if (decode(p, n, &value))                                                                                      \
            FUZZ_REQUIRE(fuzz_same(out, encode(&value, out), p, n));                                                   \
    } while (0)

static void try_leaf(const uint8_t *p, size_t n)
{
    cn_subject_leaf leaf;
    uint8_t again[CN_SUBJECT_LEAF_LEN];
    if (!cn_subject_leaf_decode(p, n, &leaf))
        return;
    cn_subject_leaf_encode(&leaf, again);
    FUZZ_REQUIRE(fuzz_same(again, sizeof again, p, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    uint8_t out[CN_STATE_VALUE_MAX];
    if (n == 0)
        return 0;
    uint8_t kind = p[0] % KINDS;
    p++;
    n--;
    if (kind == PARAMETERS)
        TRY(cn_state_parameters, cn_state_parameters_decode, cn_state_parameters_encode);
    else if (kind == SET)
        TRY(cn_state_set, cn_state_set_decode, cn_state_set_encode);
    else if (kind == MEMBER)
        TRY(cn_state_member, cn_state_member_decode, cn_state_member_encode);
    else if (kind == KEY)
        TRY(cn_state_device_key, cn_state_key_decode, cn_state_key_encode);
    else if (kind == SUBJECT)
        TRY(cn_state_subject, cn_state_subject_decode, cn_state_subject_encode);
    else if (kind == PAIRING)
        TRY(cn_state_pairing, cn_state_pairing_decode, cn_state_pairing_encode);
    else if (kind == FOREIGN)
        TRY(cn_state_foreign, cn_state_foreign_decode, cn_state_foreign_encode);
    else if (kind == RELIED)
        TRY(cn_state_relied, cn_state_relied_decode, cn_state_relied_encode);
    else if (kind == ERASURE)
        TRY(cn_state_erasure, cn_state_erasure_decode, cn_state_erasure_encode);
    else if (kind == LEAF)
        try_leaf(p, n);
    else
        try_frontier(p, n);
    return 0;
}
