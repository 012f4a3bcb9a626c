/* Block headers and bodies. */
#include "kit.h"
#include "proto/header.h"

#include <string.h>

static cn_header sample(void)
{
    return (cn_header){.version = 1,
                       .kind = CN_BLOCK_CHECKPOINT,
                       .epoch = 2,
                       .height = 3,
                       .time_ms = 4,
                       .parent = kit_fill(5),
                       .log_size = 6,
                       .log_root = kit_fill(7),
                       .state_root = kit_fill(8),
                       .body = kit_fill(9),
                       .set = kit_fill(10),
                       .next_set = kit_fill(11)};
}

/* Every field at its offset, as docs/byte-layouts.md lists them. */
Test(header, layout)
{
    cn_header h = sample();
    uint8_t p[CN_HEADER_LEN];
    cn_header_encode(&h, p);
    cr_assert_eq(cn_load_u32(p), 1);
    cr_assert_eq(p[4], 1);
    cr_assert_eq(cn_load_u64(p + 5), 2);
    cr_assert_eq(cn_load_u64(p + 13), 3);
    cr_assert_eq(cn_load_u64(p + 21), 4);
    cr_assert_arr_eq(p + 29, h.parent.b, 32);
    cr_assert_eq(cn_load_u64(p + 61), 6);
    cr_assert_arr_eq(p + 69, h.log_root.b, 32);
    cr_assert_arr_eq(p + 101, h.state_root.b, 32);
    cr_assert_arr_eq(p + 133, h.body.b, 32);
    cr_assert_arr_eq(p + 165, h.set.b, 32);
    cr_assert_arr_eq(p + 197, h.next_set.b, 32);
    cn_digest a = cn_header_digest(&h), b = cn_header_digest_bytes(p), c = cn_tagged("carnet/block", p, sizeof p);
    cr_assert(cn_digest_eq(&a, &b));
    cr_assert(cn_digest_eq(&a, &c));
}

Test(header, decodes_what_it_encodes_and_every_bit_counts)
{
    cn_header h = sample(), back;
    uint8_t p[CN_HEADER_LEN], again[CN_HEADER_LEN];
    cn_header_encode(&h, p);
    cn_digest digest = cn_header_digest_bytes(p);
    for (size_t i = 0; i < 8 * sizeof p; i++) {
        p[i / 8] ^= (uint8_t)(1u << i % 8);
        cn_digest other = cn_header_digest_bytes(p);
        cr_assert(!cn_digest_eq(&digest, &other));
        if (cn_header_decode(p, sizeof p, &back, NULL) == CN_OK) {
            cr_assert_geq(i, 32, "another version is refused");
            cn_header_encode(&back, again);
            cr_assert_arr_eq(again, p, sizeof p);
        }
        p[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    cr_assert_eq(cn_header_decode(p, sizeof p, &back, NULL), CN_OK);
}

Test(header, refuses_length_version_and_kind)
{
    cn_header h = sample(), back = {.height = 99};
    uint8_t p[CN_HEADER_LEN + 1] = {0};
    cn_err err;
    cn_header_encode(&h, p);
    cr_assert_eq(cn_header_decode(p, CN_HEADER_LEN - 1, &back, &err), CN_INVALID);
    cr_assert_eq(cn_header_decode(p, CN_HEADER_LEN + 1, &back, &err), CN_INVALID);
    p[3] = 2;
    cr_assert_eq(cn_header_decode(p, CN_HEADER_LEN, &back, &err), CN_INVALID);
    cr_assert_str_eq(err.field, "header.version");
    p[3] = 1;
    p[4] = 3;
    cr_assert_eq(cn_header_decode(p, CN_HEADER_LEN, &back, &err), CN_INVALID);
    cr_assert_str_eq(err.field, "header.kind");
    cr_assert_eq(back.height, 99);
    p[4] = CN_BLOCK_CLOSING;
    cr_assert_eq(cn_header_decode(p, CN_HEADER_LEN, &back, &err), CN_OK);
}

Test(body, is_the_records_in_order)
{
    cn_digest records[2] = {kit_fill(1), kit_fill(2)}, swapped[2] = {kit_fill(2), kit_fill(1)};
    cn_digest a = cn_body_digest(records, 2), b = cn_body_digest(swapped, 2), c = cn_body_digest(records, 1);
    cr_assert(!cn_digest_eq(&a, &b));
    cr_assert(!cn_digest_eq(&a, &c));
    cn_digest none = cn_body_digest(NULL, 0), empty = cn_tagged("carnet/body", "", 0);
    cr_assert(cn_digest_eq(&none, &empty));
}
