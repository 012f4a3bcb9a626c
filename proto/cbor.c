#include "proto/cbor.h"

#include <string.h>

#define SIMPLE_NULL 22u

void cn_cbor_head(cn_buf *out, cn_cbor_major major, uint64_t argument)
{
    uint8_t top = (uint8_t)((unsigned)major << 5);
    if (argument < 24) {
        cn_put_u8(out, (uint8_t)(top | argument));
    } else if (argument <= UINT8_MAX) {
        cn_put_u8(out, top | 24);
        cn_put_u8(out, (uint8_t)argument);
    } else if (argument <= UINT16_MAX) {
        cn_put_u8(out, top | 25);
        cn_put_u16(out, (uint16_t)argument);
    } else if (argument <= UINT32_MAX) {
        cn_put_u8(out, top | 26);
        cn_put_u32(out, (uint32_t)argument);
    } else {
        cn_put_u8(out, top | 27);
        cn_put_u64(out, argument);
    }
}

void cn_cbor_integer(cn_buf *out, int64_t value)
{
    if (value < 0)
        cn_cbor_head(out, CN_CBOR_NEGATIVE, (uint64_t)(-(value + 1)));
    else
        cn_cbor_head(out, CN_CBOR_UNSIGNED, (uint64_t)value);
}

void cn_cbor_bytes(cn_buf *out, const void *p, size_t n)
{
    cn_cbor_head(out, CN_CBOR_BYTES, n);
    cn_put_bytes(out, p, n);
}

void cn_cbor_text(cn_buf *out, const char *text)
{
    size_t n = strlen(text);
    cn_cbor_head(out, CN_CBOR_TEXT, n);
    cn_put_bytes(out, text, n);
}

void cn_cbor_null(cn_buf *out)
{
    cn_cbor_head(out, CN_CBOR_SIMPLE, SIMPLE_NULL);
}

uint64_t cn_cbor_read_head(cn_reader *r, cn_cbor_major major)
{
    uint8_t first = cn_read_u8(r);
    unsigned info = first & 31u;
    uint64_t argument = info, least = 0;
    if (info == 24) {
        argument = cn_read_u8(r);
        least = 24;
    } else if (info == 25) {
        argument = cn_read_u16(r);
        least = (uint64_t)UINT8_MAX + 1;
    } else if (info == 26) {
        argument = cn_read_u32(r);
        least = (uint64_t)UINT16_MAX + 1;
    } else if (info == 27) {
        argument = cn_read_u64(r);
        least = (uint64_t)UINT32_MAX + 1;
    }
    if (first >> 5 != (unsigned)major || info > 27 || argument < least)
        r->fault = true;
    return r->fault ? 0 : argument;
}

void cn_cbor_expect(cn_reader *r, cn_cbor_major major, uint64_t argument)
{
    if (cn_cbor_read_head(r, major) != argument)
        r->fault = true;
}

void cn_cbor_expect_integer(cn_reader *r, int64_t value)
{
    if (value < 0)
        cn_cbor_expect(r, CN_CBOR_NEGATIVE, (uint64_t)(-(value + 1)));
    else
        cn_cbor_expect(r, CN_CBOR_UNSIGNED, (uint64_t)value);
}

cn_span cn_cbor_read_string(cn_reader *r, cn_cbor_major major, size_t max)
{
    uint64_t n = cn_cbor_read_head(r, major);
    if (n > max)
        r->fault = true;
    if (r->fault)
        return (cn_span){0};
    const uint8_t *p = cn_read_view(r, (size_t)n);
    return p ? CN_SPAN(p, (size_t)n) : (cn_span){0};
}

void cn_cbor_expect_text(cn_reader *r, const char *text)
{
    size_t n = strlen(text);
    cn_span s = cn_cbor_read_string(r, CN_CBOR_TEXT, n);
    if (s.n != n || (n && memcmp(s.p, text, n) != 0))
        r->fault = true;
}

void cn_cbor_expect_null(cn_reader *r)
{
    cn_cbor_expect(r, CN_CBOR_SIMPLE, SIMPLE_NULL);
}
