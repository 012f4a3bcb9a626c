#include "pb.h"

#include "proto/limits.h"

#include <string.h>

void pb_varint(cn_buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        cn_put_u8(b, (uint8_t)(v | 0x80));
    cn_put_u8(b, (uint8_t)v);
}

void pb_number(cn_buf *b, unsigned field, uint64_t v)
{
    pb_varint(b, field << 3);
    pb_varint(b, v);
}

void pb_bytes(cn_buf *b, unsigned field, const void *p, size_t n)
{
    pb_varint(b, field << 3 | 2);
    pb_varint(b, n);
    cn_put_bytes(b, p, n);
}

void pb_fill(cn_buf *b, unsigned field, uint8_t byte, size_t n)
{
    uint8_t bytes[64];
    CN_ASSERT(n <= sizeof bytes);
    memset(bytes, byte, sizeof bytes);
    pb_bytes(b, field, bytes, n);
}

void pb_head(cn_buf *b)
{
    pb_number(b, 1, 1);
    pb_fill(b, 2, 0x10, 32);
    pb_fill(b, 3, 0x20, 32);
    pb_number(b, 4, 7);
    pb_fill(b, 5, 0x30, 32);
    pb_number(b, 6, 1700000000000);
}

void pb_pairing(cn_buf *b)
{
    pb_fill(b, 1, 0x40, 32);
    pb_fill(b, 2, 0x50, 32);
    pb_number(b, 3, 5);
    pb_number(b, 4, 9);
}

cn_buf pb_new(void)
{
    cn_buf b;
    cn_buf_init(&b, 2 * CN_MAX_STATEMENT_BYTES);
    return b;
}
