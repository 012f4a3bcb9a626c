/* Status texts, cursors, buffers and hex. */
#include "kit.h"
#include "proto/arena.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

Test(status, every_status_has_its_own_type_and_a_text)
{
    for (int a = CN_OK; a <= CN_NO_MEMORY; a++) {
        cr_assert_gt(strlen(cn_status_text((cn_status)a)), 0);
        for (int b = CN_OK; b < a; b++)
            cr_assert_str_neq(cn_status_type((cn_status)a), cn_status_type((cn_status)b));
    }
    cr_assert_str_eq(cn_status_type(CN_BAD_SIGNATURE), "bad-signature");
    cr_assert_str_eq(cn_status_type((cn_status)999), "unknown");
    cr_assert_str_eq(cn_status_text((cn_status)-1), "an unknown error");
}

Test(status, fail_fills_everything_cuts_what_is_long_and_passes_its_own_field_on)
{
    cn_err err;
    char lengthy[400];
    memset(lengthy, 'x', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = '\0';
    cr_assert_eq(cn_fail(NULL, CN_DENIED, "f", "text"), CN_DENIED);
    cr_assert_eq(cn_fail(&err, CN_TOO_LARGE, "items[3]", "%d bytes", 70000), CN_TOO_LARGE);
    cr_assert_eq(err.code, CN_TOO_LARGE);
    cr_assert_str_eq(err.field, "items[3]");
    cr_assert_str_eq(err.text, "70000 bytes");
    cn_fail(&err, CN_INVALID, err.field, "again: %s", err.text);
    cr_assert_str_eq(err.field, "items[3]");
    cr_assert_str_eq(err.text, "again: 70000 bytes");
    cn_fail(&err, CN_INVALID, lengthy, "%s", lengthy);
    cr_assert_eq(strlen(err.field), sizeof err.field - 1);
    cr_assert_eq(strlen(err.text), sizeof err.text - 1);
    cn_fail(&err, CN_INVALID, NULL, "no field");
    cr_assert_str_empty(err.field);
}

Test(status, an_assertion_stops_the_process, .signal = SIGABRT)
{
    CN_ASSERT(cn_status_text(CN_OK) == NULL);
}

Test(reader, integers_are_big_endian)
{
    static const uint8_t in[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    cn_reader r = cn_reader_of(in, sizeof in);
    cr_assert_eq(cn_read_u8(&r), 1);
    cr_assert_eq(cn_read_u16(&r), 0x0203);
    cr_assert_eq(cn_read_u32(&r), 0x04050607);
    cr_assert_eq(cn_read_u64(&r), UINT64_C(0x08090a0b0c0d0e0f));
    cr_assert(cn_reader_done(&r));
}

Test(reader, a_fault_sticks_and_reads_zero)
{
    static const uint8_t in[] = {1, 2, 3, 4, 5};
    uint8_t out[6] = {9, 9, 9, 9, 9, 9};
    cn_reader r = cn_reader_of(in, sizeof in);
    cr_assert_eq(cn_read_u8(&r), 1);
    cr_assert_eq(cn_read_u64(&r), 0);
    cr_assert(!cn_reader_ok(&r));
    cr_assert_eq(cn_read_u8(&r), 0, "the byte that is there is not read after a fault");
    cr_assert_null(cn_read_view(&r, 1));
    cn_read_bytes(&r, out, sizeof out);
    for (size_t i = 0; i < sizeof out; i++)
        cr_assert_eq(out[i], 0);
    cn_digest d = cn_read_digest(&r);
    cr_assert(cn_digest_is_zero(&d));
    cr_assert(!cn_reader_done(&r));
}

Test(reader, what_is_left_over_is_not_done)
{
    static const uint8_t in[] = {1, 2};
    cn_reader r = cn_reader_of(in, sizeof in);
    cn_read_u8(&r);
    cr_assert(cn_reader_ok(&r));
    cr_assert(!cn_reader_done(&r));
    cr_assert_null(cn_read_view(&r, SIZE_MAX));
}

Test(buffer, writes_what_readers_read)
{
    cn_buf b;
    cn_digest d = kit_fill(0x77);
    cn_buf_init(&b, 1000);
    cn_put_u8(&b, 1);
    cn_put_u16(&b, 0x0203);
    cn_put_u32(&b, 0x04050607);
    cn_put_u64(&b, UINT64_C(0x08090a0b0c0d0e0f));
    cn_put_digest(&b, &d);
    cn_put_bytes(&b, "abc", 3);
    cn_put_bytes(&b, NULL, 0);
    cr_assert(!b.fault);
    cr_assert_eq(b.n, 15 + 32 + 3);
    cn_reader r = cn_reader_of(b.p, b.n);
    cr_assert_eq(cn_read_u8(&r), 1);
    cr_assert_eq(cn_read_u16(&r), 0x0203);
    cr_assert_eq(cn_read_u32(&r), 0x04050607);
    cr_assert_eq(cn_read_u64(&r), UINT64_C(0x08090a0b0c0d0e0f));
    cn_digest again = cn_read_digest(&r);
    cr_assert(cn_digest_eq(&again, &d));
    cr_assert_arr_eq(cn_read_view(&r, 3), "abc", 3);
    cr_assert(cn_reader_done(&r));
    cn_buf_free(&b);
    cr_assert_eq(b.max, 1000);
    cr_assert_null(b.p);
}

Test(buffer, the_maximum_is_exact_and_a_fault_drops_what_follows)
{
    cn_buf b;
    uint8_t bytes[700] = {0};
    cn_buf_init(&b, 700);
    cn_put_bytes(&b, bytes, 300);
    cn_put_bytes(&b, bytes, 400);
    cr_assert(!b.fault);
    cr_assert_eq(b.n, 700);
    cn_put_u8(&b, 1);
    cr_assert(b.fault);
    cr_assert_eq(b.n, 700);
    cn_buf_clear(&b);
    cn_put_bytes(&b, bytes, 699);
    cn_put_u16(&b, 1);
    cr_assert(b.fault);
    cn_put_u8(&b, 1);
    cr_assert_eq(b.n, 699, "a byte that would fit is dropped after the fault");
    cn_buf_free(&b);
    cn_buf_free(&b);
}

Test(buffer, stores_and_loads)
{
    uint8_t p[14];
    cr_assert_eq(cn_store_u64(cn_store_u32(cn_store_u16(p, 0xfffe), 0x01020304), UINT64_C(0xf102030405060708)), p + 14);
    cr_assert_eq(p[0], 0xff);
    cr_assert_eq(p[1], 0xfe);
    cr_assert_eq(cn_load_u32(p + 2), 0x01020304);
    cr_assert_eq(cn_load_u64(p + 6), UINT64_C(0xf102030405060708));
}

Test(hex, both_ways_and_strict)
{
    char out[9];
    uint8_t back[4] = {7, 7, 7, 7};
    cn_hex("\x00\x9f\xab\xff", 4, out);
    cr_assert_str_eq(out, "009fabff");
    cr_assert(!cn_unhex("009FABFF", 8, back, 4), "upper case");
    cr_assert(!cn_unhex("009fabf", 7, back, 4), "odd");
    cr_assert(!cn_unhex("009fabff00", 10, back, 4), "too long");
    cr_assert(!cn_unhex("009fabfg", 8, back, 4), "not a digit");
    cr_assert(!cn_unhex("009fab\0f", 8, back, 4), "a zero byte");
    cr_assert_arr_eq(back, "\x07\x07\x07\x07", 4, "a refusal leaves the output alone");
    cr_assert(cn_unhex(out, 8, back, 4));
    cr_assert_arr_eq(back, "\x00\x9f\xab\xff", 4);
    cn_digest d = kit_fill(0x0a);
    cr_assert_str_eq(cn_digest_hex(&d).s, "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a");
}

Test(arena, hands_out_aligned_pieces_up_to_its_budget)
{
    for (size_t piece = 1; piece < 40000; piece = piece * 3 + 1) {
        cn_arena a;
        size_t budget = 100000, given = 0;
        cn_arena_init(&a, budget);
        for (uint8_t *p; (p = cn_arena_alloc(&a, piece)); given += piece) {
            cr_assert_eq((uintptr_t)p % 16, 0);
            memset(p, 0xff, piece); /* beyond a chunk the sanitizer sees it */
            cr_assert_leq(given + piece, budget);
        }
        cr_assert_gt(given + 16 * (given / piece + 1) + piece, budget, "it is used up but for the rounding");
        cr_assert_null(cn_arena_alloc(&a, budget));
        cr_assert_null(cn_arena_alloc(&a, SIZE_MAX));
        cr_assert_null(cn_arena_alloc(&a, SIZE_MAX - 14), "rounding would wrap");
        cn_arena_free(&a);
        cn_arena_free(&a);
    }
}

Test(arena, the_pieces_are_apart)
{
    cn_arena a;
    uint8_t *piece[100];
    cn_arena_init(&a, 1 << 20);
    for (size_t i = 0; i < 100; i++) {
        piece[i] = cn_arena_alloc(&a, 1 + i * 37);
        cr_assert_not_null(piece[i]);
        memset(piece[i], (int)i, 1 + i * 37);
    }
    for (size_t i = 0; i < 100; i++)
        for (size_t k = 0; k < 1 + i * 37; k++)
            cr_assert_eq(piece[i][k], i);
    cn_arena_free(&a);
}
