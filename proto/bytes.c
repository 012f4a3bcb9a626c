#include "proto/bytes.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

cn_reader cn_reader_of(const void *p, size_t n)
{
    return (cn_reader){.p = p, .n = n, .fault = false};
}

const uint8_t *cn_read_view(cn_reader *r, size_t n)
{
    if (r->fault || n > r->n) {
        r->fault = true;
        return NULL;
    }
    const uint8_t *view = r->p;
    r->p += n;
    r->n -= n;
    return view;
}

static uint64_t read_number(cn_reader *r, size_t width)
{
    const uint8_t *p = cn_read_view(r, width);
    uint64_t v = 0;
    for (size_t i = 0; p && i < width; i++)
        v = v << 8 | p[i];
    return v;
}

uint8_t cn_read_u8(cn_reader *r)
{
    return (uint8_t)read_number(r, 1);
}

uint16_t cn_read_u16(cn_reader *r)
{
    return (uint16_t)read_number(r, 2);
}

uint32_t cn_read_u32(cn_reader *r)
{
    return (uint32_t)read_number(r, 4);
}

uint64_t cn_read_u64(cn_reader *r)
{
    return read_number(r, 8);
}

void cn_read_bytes(cn_reader *r, void *out, size_t n)
{
    const uint8_t *p = cn_read_view(r, n);
    if (p)
        memcpy(out, p, n);
    else
        memset(out, 0, n);
}

cn_digest cn_read_digest(cn_reader *r)
{
    cn_digest d;
    cn_read_bytes(r, d.b, sizeof d.b);
    return d;
}

bool cn_reader_done(const cn_reader *r)
{
    return !r->fault && r->n == 0;
}

bool cn_reader_ok(const cn_reader *r)
{
    return !r->fault;
}

void cn_buf_init(cn_buf *b, size_t max)
{
    *b = (cn_buf){.max = max};
}

void cn_buf_free(cn_buf *b)
{
    free(b->p);
    *b = (cn_buf){.max = b->max};
}

void cn_buf_clear(cn_buf *b)
{
    b->n = 0;
    b->fault = false;
}

/* Room for n more bytes, or NULL with the sticky fault set. */
static uint8_t *reserve(cn_buf *b, size_t n)
{
    if (b->fault || n > b->max || b->n > b->max - n) {
        b->fault = true;
        return NULL;
    }
    if (b->n + n > b->cap) {
        size_t cap = b->cap ? b->cap : 256;
        while (cap < b->n + n)
            cap *= 2;
        if (cap > b->max)
            cap = b->max;
        uint8_t *grown = realloc(b->p, cap);
        if (!grown) {
            b->fault = true;
            return NULL;
        }
        b->p = grown;
        b->cap = cap;
    }
    uint8_t *at = b->p + b->n;
    b->n += n;
    return at;
}

void cn_put_bytes(cn_buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    uint8_t *at = reserve(b, n);
    if (at)
        memcpy(at, p, n);
}

void cn_put_u8(cn_buf *b, uint8_t v)
{
    cn_put_bytes(b, &v, 1);
}

uint8_t *cn_store_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

uint8_t *cn_store_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
    return p + 4;
}

uint8_t *cn_store_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (56 - 8 * i));
    return p + 8;
}

uint64_t cn_load_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

uint32_t cn_load_u32(const uint8_t *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 8 | p[i];
    return v;
}

void cn_put_u16(cn_buf *b, uint16_t v)
{
    uint8_t bytes[2];
    cn_store_u16(bytes, v);
    cn_put_bytes(b, bytes, sizeof bytes);
}

void cn_put_u32(cn_buf *b, uint32_t v)
{
    uint8_t bytes[4];
    cn_store_u32(bytes, v);
    cn_put_bytes(b, bytes, sizeof bytes);
}

void cn_put_u64(cn_buf *b, uint64_t v)
{
    uint8_t bytes[8];
    cn_store_u64(bytes, v);
    cn_put_bytes(b, bytes, sizeof bytes);
}

void cn_put_digest(cn_buf *b, const cn_digest *d)
{
    cn_put_bytes(b, d->b, sizeof d->b);
}

void cn_hex(const void *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = p;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool cn_unhex(const char *hex, size_t hex_len, void *out, size_t n)
{
    if (hex_len != 2 * n)
        return false;
    for (size_t i = 0; i < hex_len; i++)
        if (nibble(hex[i]) < 0)
            return false;
    uint8_t *bytes = out;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    return true;
}

cn_hex32 cn_digest_hex(const cn_digest *d)
{
    cn_hex32 hex;
    cn_hex(d->b, sizeof d->b, hex.s);
    return hex;
}

/* RFC 4648 section 4 */
size_t cn_base64(const void *p, size_t n, char *out)
{
    size_t cap = sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_ORIGINAL);
    sodium_bin2base64(out, cap, p, n, sodium_base64_VARIANT_ORIGINAL);
    return cap - 1;
}

/* libsodium takes some bytes beyond ASCII for digits. */
static bool base64_alphabet(const char *text, size_t n)
{
    while (n && text[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++)
        if (!((text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z') ||
              (text[i] >= '0' && text[i] <= '9') || text[i] == '+' || text[i] == '/'))
            return false;
    return true;
}

bool cn_unbase64(const char *text, size_t n, uint8_t *out, size_t cap, size_t *ret_len)
{
    size_t len = 0;
    const char *end = NULL;
    if (n % 4 != 0 || !base64_alphabet(text, n) ||
        sodium_base642bin(out, cap, text, n, NULL, &len, &end, sodium_base64_VARIANT_ORIGINAL) != 0 || end != text + n)
        return false;
    *ret_len = len;
    return true;
}
