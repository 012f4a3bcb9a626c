/* Keys and values of the state map: layouts, both ways, and every refusal. */
#include "kit.h"

#include <string.h>

static uint8_t value[CN_STATE_VALUE_MAX];

Test(state_key, is_type_and_tagged_id)
{
    uint8_t salt[32], by_hand[32 + 1 + 32];
    memset(salt, 0x51, sizeof salt);
    cn_digest id = kit_fill(7);
    cn_state_key key = cn_state_key_of(salt, CN_STATE_KEY, id.b, 32);
    memcpy(by_hand, salt, 32);
    by_hand[32] = 4;
    memcpy(by_hand + 33, id.b, 32);
    cn_digest expected = cn_tagged("carnet/state", by_hand, sizeof by_hand);
    cr_assert_eq(key.b[0], 4);
    cr_assert_arr_eq(key.b + 1, expected.b, 32);
    cn_state_key other = cn_state_key_of(salt, CN_STATE_MEMBER, id.b, 32);
    cr_assert(memcmp(other.b + 1, key.b + 1, 32) != 0, "the type is hashed too");
    salt[0] ^= 1;
    other = cn_state_key_of(salt, CN_STATE_KEY, id.b, 32);
    cr_assert(memcmp(other.b, key.b, CN_STATE_KEY_LEN) != 0);
}

Test(state_key, of_the_parameters_has_no_id)
{
    uint8_t salt[32] = {0};
    cn_state_key a = cn_state_key_of(salt, CN_STATE_PARAMETERS, NULL, 0);
    cr_assert_eq(a.b[0], CN_STATE_PARAMETERS);
}

/* Every shorter form, one byte more, and another version must be refused. `decode(p, n)` must not touch what it fails
 * to fill. */
#define CHECK_LENGTHS(n, decode)                                                                                       \
    do {                                                                                                               \
        for (size_t cut_ = 0; cut_ < (n); cut_++)                                                                      \
            cr_assert(!decode(value, cut_), "%zu of %zu bytes", cut_, (size_t)(n));                                    \
        value[n] = 0;                                                                                                  \
        cr_assert(!decode(value, (n) + 1));                                                                            \
    } while (0)
#define CHECK_VERSION(n, decode)                                                                                       \
    do {                                                                                                               \
        value[0] = 2;                                                                                                  \
        cr_assert(!decode(value, n));                                                                                  \
        value[0] = 1;                                                                                                  \
        cr_assert(decode(value, n));                                                                                   \
    } while (0)

static cn_state_parameters parameters;
static bool decode_parameters(const void *p, size_t n)
{
    return cn_state_parameters_decode(p, n, &parameters);
}

Test(parameters, both_ways)
{
    cn_state_parameters v = {1000, 30000, 1048576, 75};
    size_t n = cn_state_parameters_encode(&v, value);
    cr_assert_eq(n, 1 + 8 + 8 + 4 + 2);
    CHECK_LENGTHS(n, decode_parameters);
    CHECK_VERSION(n, decode_parameters);
    cr_assert_eq(parameters.checkpoint_interval_ms, 1000);
    cr_assert_eq(parameters.heartbeat_ms, 30000);
    cr_assert_eq(parameters.block_bytes, 1048576);
    cr_assert_eq(parameters.ballot_threshold, 75);
    v.checkpoint_interval_ms = 0;
    n = cn_state_parameters_encode(&v, value);
    cr_assert(!decode_parameters(value, n));
    cr_assert_eq(parameters.checkpoint_interval_ms, 1000);
}

static cn_state_set set;
static bool decode_set(const void *p, size_t n)
{
    return cn_state_set_decode(p, n, &set);
}

Test(set, both_ways)
{
    cn_state_set v = {4, kit_fill(3)};
    size_t n = cn_state_set_encode(&v, value);
    cr_assert_eq(n, 34);
    CHECK_LENGTHS(n, decode_set);
    CHECK_VERSION(n, decode_set);
    cr_assert_eq(set.n, 4);
    cr_assert(cn_digest_eq(&set.digest, &v.digest));
    value[1] = 0;
    cr_assert(!decode_set(value, n));
    value[1] = CN_MAX_VALIDATORS + 1;
    cr_assert(!decode_set(value, n));
    value[1] = CN_MAX_VALIDATORS;
    cr_assert(decode_set(value, n));
}

static cn_state_member member;
static bool decode_member(const void *p, size_t n)
{
    return cn_state_member_decode(p, n, &member);
}

Test(member, both_ways)
{
    cn_state_member v = {.roles = CN_ROLE_CARRIER | CN_ROLE_OBSERVER,
                         .country = "KE",
                         .is_registrar = true,
                         .registered = 77,
                         .name = "mombasa-port"};
    memset(v.channel_key, 0x2b, 32);
    size_t n = cn_state_member_encode(&v, value);
    cr_assert_eq(n, 1 + 4 + 2 + 1 + 8 + 1 + 64 + 32);
    CHECK_LENGTHS(n, decode_member);
    CHECK_VERSION(n, decode_member);
    cr_assert_eq(member.roles, v.roles);
    cr_assert_str_eq(member.country, "KE");
    cr_assert(member.is_registrar);
    cr_assert_eq(member.registered, 77);
    cr_assert_str_eq(member.name, v.name);
    cr_assert_arr_eq(member.channel_key, v.channel_key, 32);
    value[7] = 2; /* registrar is 0 or 1 */
    cr_assert(!decode_member(value, n));
    value[7] = 0;
    cr_assert(decode_member(value, n));
    value[3] = 0x02; /* role bit 9 */
    cr_assert(!decode_member(value, n));
    value[3] = 0;
    value[16] = 0; /* name length */
    cr_assert(!decode_member(value, n));
    value[16] = 11; /* shorter than what is written */
    cr_assert(!decode_member(value, n));
    value[16] = 13;
    cr_assert(!decode_member(value, n));
    value[16] = 65;
    cr_assert(!decode_member(value, n));
    value[16] = 12;
    value[17 + 40] = 'x'; /* the padding is zero */
    cr_assert(!decode_member(value, n));
    value[17 + 40] = 0;
    value[17 + 3] = 0; /* a zero byte within the name */
    cr_assert(!decode_member(value, n));
}

Test(member, the_longest_name)
{
    cn_state_member v = {.roles = 1, .country = "NL"};
    memset(v.name, 'n', CN_MAX_NAME);
    size_t n = cn_state_member_encode(&v, value);
    cr_assert(decode_member(value, n));
    cr_assert_str_eq(member.name, v.name);
}

static cn_state_device_key key;
static bool decode_key(const void *p, size_t n)
{
    return cn_state_key_decode(p, n, &key);
}

Test(key, both_ways)
{
    cn_state_device_key v = {.key = kit_key(CN_KEY_P256, 3).public_key,
                             .purpose = CN_PURPOSE_GATEWAY,
                             .status = CN_KEY_REVOKED,
                             .owner = kit_fill(1),
                             .registered = 2,
                             .ended = 3,
                             .last_good = 4,
                             .last_sequence = 5,
                             .last_id = kit_fill(6)};
    size_t n = cn_state_key_encode(&v, value);
    cr_assert_eq(n, 4 + 33 + 32 + 4 * 8 + 32);
    CHECK_LENGTHS(n, decode_key);
    CHECK_VERSION(n, decode_key);
    cr_assert_arr_eq(&key.key, &v.key, sizeof v.key);
    cr_assert_eq(key.purpose, v.purpose);
    cr_assert_eq(key.status, v.status);
    cr_assert(cn_digest_eq(&key.owner, &v.owner));
    cr_assert_eq(key.registered, 2);
    cr_assert_eq(key.ended, 3);
    cr_assert_eq(key.last_good, 4);
    cr_assert_eq(key.last_sequence, 5);
    cr_assert(cn_digest_eq(&key.last_id, &v.last_id));
    for (size_t at = 1; at <= 3; at++) { /* type, purpose and status run from 1 to 3 */
        uint8_t kept = value[at];
        value[at] = 0;
        cr_assert(!decode_key(value, n));
        value[at] = 4;
        cr_assert(!decode_key(value, n));
        value[at] = kept;
        cr_assert(decode_key(value, n));
    }
}

Test(key, the_byte_after_an_ed25519_key_is_zero)
{
    cn_state_device_key v = {.key = kit_key(CN_KEY_ED25519, 3).public_key, .purpose = 1, .status = 1};
    size_t n = cn_state_key_encode(&v, value);
    cr_assert(decode_key(value, n));
    value[4 + 32] = 1;
    cr_assert(!decode_key(value, n));
}

static cn_state_subject subject;
static bool decode_subject(const void *p, size_t n)
{
    return cn_state_subject_decode(p, n, &subject);
}

Test(subject, both_ways)
{
    cn_state_subject v = {3, kit_fill(1), 10, 12, kit_fill(2)};
    size_t n = cn_state_subject_encode(&v, value);
    cr_assert_eq(n, CN_STATE_SUBJECT_LEN);
    cr_assert_eq(cn_load_u64(value), 3);
    cr_assert_eq(cn_load_u64(value + 40), 10);
    cr_assert_eq(cn_load_u64(value + 48), 12);
    CHECK_LENGTHS(n, decode_subject);
    cr_assert(decode_subject(value, n));
    cr_assert_eq(subject.count, 3);
    cr_assert_eq(subject.first_height, 10);
    cr_assert_eq(subject.last_height, 12);
    cr_assert(cn_digest_eq(&subject.root, &v.root));
    cr_assert(cn_digest_eq(&subject.last_id, &v.last_id));
    v.first_height = 13;
    cr_assert(!decode_subject(value, cn_state_subject_encode(&v, value)), "first after last");
    v.first_height = 12;
    v.count = 0;
    cr_assert(!decode_subject(value, cn_state_subject_encode(&v, value)), "an empty tree is absent");
}

Test(subject, leaf_both_ways)
{
    cn_subject_leaf v = {kit_fill(9), 2, 3, 4}, back;
    uint8_t p[CN_SUBJECT_LEAF_LEN + 1] = {0};
    cn_subject_leaf_encode(&v, p);
    cr_assert_arr_eq(p, v.record.b, 32);
    cr_assert_eq(cn_load_u64(p + 32), 2);
    cr_assert_eq(cn_load_u64(p + 40), 3);
    cr_assert_eq(cn_load_u64(p + 48), 4);
    cr_assert(cn_subject_leaf_decode(p, CN_SUBJECT_LEAF_LEN, &back));
    cr_assert_arr_eq(&back, &v, sizeof v);
    cr_assert(!cn_subject_leaf_decode(p, CN_SUBJECT_LEAF_LEN - 1, &back));
    cr_assert(!cn_subject_leaf_decode(p, CN_SUBJECT_LEAF_LEN + 1, &back));
}

static cn_state_pairing pairing;
static bool decode_pairing(const void *p, size_t n)
{
    return cn_state_pairing_decode(p, n, &pairing);
}

Test(pairing, both_ways)
{
    cn_state_pairing v = {.count = 3, .row = {{kit_fill(1), 5, 9}, {kit_fill(1), 10, 0}, {kit_fill(2), 1, 1}}};
    size_t n = cn_state_pairing_encode(&v, value);
    cr_assert_eq(n, 2 + 3 * 48);
    CHECK_LENGTHS(n, decode_pairing);
    CHECK_VERSION(n, decode_pairing);
    cr_assert_eq(pairing.count, 3);
    cr_assert_arr_eq(pairing.row, v.row, 3 * sizeof v.row[0]);
    cn_state_pairing bad = v;
    bad.row[1].start_ms = 5;
    cr_assert(!decode_pairing(value, cn_state_pairing_encode(&bad, value)), "the same tie twice");
    bad = v;
    bad.row[2].consignment = kit_fill(0);
    cr_assert(!decode_pairing(value, cn_state_pairing_encode(&bad, value)), "descending");
    bad = v;
    bad.row[0].end_ms = 4;
    cr_assert(!decode_pairing(value, cn_state_pairing_encode(&bad, value)), "ends before it starts");
    bad = v;
    bad.count = 0;
    cr_assert(!decode_pairing(value, cn_state_pairing_encode(&bad, value)), "no tie at all");
    cr_assert_eq(pairing.count, 3);
}

Test(pairing, the_most)
{
    cn_state_pairing v = {.count = CN_MAX_PAIRINGS};
    for (unsigned i = 0; i < v.count; i++)
        v.row[i] = (cn_state_pairing_row){kit_fill((uint8_t)i), 1, 0};
    size_t n = cn_state_pairing_encode(&v, value);
    cr_assert_leq(n, CN_STATE_VALUE_MAX);
    cr_assert(decode_pairing(value, n));
    value[1]++;
    memset(value + n, 0xff, 48);
    cr_assert(!decode_pairing(value, n + 48), "one more");
}

static cn_state_foreign foreign;
static bool decode_foreign(const void *p, size_t n)
{
    return cn_state_foreign_decode(p, n, &foreign);
}

Test(foreign, both_ways)
{
    cn_state_foreign v = {.status = CN_FOREIGN_WITHDRAWN,
                          .epoch = 3,
                          .set = kit_fill(1),
                          .height = 900,
                          .log_size = 1200,
                          .log_index = 77,
                          .network = kit_fill(2),
                          .name = "bank-net"};
    size_t n = cn_state_foreign_encode(&v, value);
    cr_assert_eq(n, CN_STATE_FOREIGN_LEN);
    cr_assert_leq(n, CN_SET_ROW_LEN, "it goes into the row of a proposal");
    CHECK_LENGTHS(n, decode_foreign);
    CHECK_VERSION(n, decode_foreign);
    cr_assert_eq(foreign.status, CN_FOREIGN_WITHDRAWN);
    cr_assert_eq(foreign.epoch, 3);
    cr_assert_arr_eq(&foreign.set, &v.set, 32);
    cr_assert_eq(foreign.height, 900);
    cr_assert_eq(foreign.log_size, 1200);
    cr_assert_eq(foreign.log_index, 77);
    cr_assert_arr_eq(&foreign.network, &v.network, 32);
    cr_assert_str_eq(foreign.name, "bank-net");
    cn_state_foreign bad = v;
    bad.status = 3;
    cr_assert(!decode_foreign(value, cn_state_foreign_encode(&bad, value)), "no such status");
    bad = v;
    bad.epoch = 0;
    cr_assert(!decode_foreign(value, cn_state_foreign_encode(&bad, value)), "epochs begin at 1");
    cn_state_foreign_encode(&v, value);
    value[n - 1] = 'x';
    cr_assert(!decode_foreign(value, n), "behind the name are zeros");
}

static cn_state_relied relied;
static bool decode_relied(const void *p, size_t n)
{
    return cn_state_relied_decode(p, n, &relied);
}

Test(relied, both_ways)
{
    cn_state_relied v = {kit_fill(4), 78};
    size_t n = cn_state_relied_encode(&v, value);
    cr_assert_eq(n, 41);
    CHECK_LENGTHS(n, decode_relied);
    CHECK_VERSION(n, decode_relied);
    cr_assert_arr_eq(&relied.statement, &v.statement, 32);
    cr_assert_eq(relied.log_index, 78);
}

static cn_state_erasure erasure;
static bool decode_erasure(const void *p, size_t n)
{
    return cn_state_erasure_decode(p, n, &erasure);
}

Test(erasure, both_ways)
{
    cn_state_erasure v = {.log_index = 79, .target = kit_fill(4), .start = 1, .count = 2};
    for (v.subject_count = 0; v.subject_count <= CN_MAX_SUBJECTS; v.subject_count++) {
        if (v.subject_count)
            v.subject[v.subject_count - 1] = kit_fill(v.subject_count);
        size_t n = cn_state_erasure_encode(&v, value);
        cr_assert_eq(n, 50u + 32u * v.subject_count);
        cr_assert_leq(n, CN_STATE_VALUE_MAX);
        CHECK_LENGTHS(n, decode_erasure);
        CHECK_VERSION(n, decode_erasure);
        cr_assert(erasure.log_index == 79 && erasure.start == 1 && erasure.count == 2);
        cr_assert_arr_eq(&erasure.target, &v.target, 32);
        cr_assert_arr_eq(erasure.subject, v.subject, 32u * v.subject_count);
    }
    size_t n = cn_state_erasure_encode(&(cn_state_erasure){.subject_count = 1}, value);
    cr_assert(!decode_erasure(value, n), "an order names an item");
    v.subject_count = CN_MAX_SUBJECTS;
    v.count = 1;
    n = cn_state_erasure_encode(&v, value);
    value[49] = CN_MAX_SUBJECTS + 1;
    memset(value + n, 1, 32);
    cr_assert(!decode_erasure(value, n + 32), "one subject too many");
}

/* Random bytes of the right length: a decoder accepts only what encodes to the same bytes. */
Test(value, what_is_accepted_is_canonical)
{
    uint64_t state = 11;
    uint8_t again[CN_STATE_VALUE_MAX];
    size_t accepted = 0;
    for (int round = 0; round < 20000; round++) {
        cn_state_member v = {.roles = 1, .country = "NL", .name = "abc"};
        size_t n = cn_state_member_encode(&v, value);
        for (int flips = 0; flips < 2; flips++)
            value[kit_random(&state) % n] ^= (uint8_t)(1u << kit_random(&state) % 8);
        if (decode_member(value, n)) {
            accepted++;
            cr_assert_eq(cn_state_member_encode(&member, again), n);
            cr_assert_arr_eq(again, value, n);
        }
    }
    cr_assert(accepted > 1000 && accepted < 19000, "%zu", accepted);
}
