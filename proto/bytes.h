/* Cursors over byte strings with a sticky error: after the first fault every read yields zero and cn_reader_ok is
 * false, so that a decoder checks once at its end. All integers are big-endian and of fixed width. */
#ifndef CARNET_PROTO_BYTES_H
#define CARNET_PROTO_BYTES_H

#include "proto/digest.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cn_reader {
    const uint8_t *p;
    size_t n;   /* bytes left */
    bool fault; /* sticky: something was missing or out of range */
} cn_reader;

cn_reader cn_reader_of(const void *p, size_t n);
uint8_t cn_read_u8(cn_reader *r);
uint16_t cn_read_u16(cn_reader *r);
uint32_t cn_read_u32(cn_reader *r);
uint64_t cn_read_u64(cn_reader *r);
cn_digest cn_read_digest(cn_reader *r);
void cn_read_bytes(cn_reader *r, void *out, size_t n); /* zero-fills out on a fault */
const uint8_t *cn_read_view(cn_reader *r, size_t n);   /* NULL on a fault; points into the input */
bool cn_reader_done(const cn_reader *r);               /* no fault and nothing left */
bool cn_reader_ok(const cn_reader *r);

/* A growable buffer with a maximum; exceeding it, or running out of memory, sets fault and drops further writes. */
typedef struct cn_buf {
    uint8_t *p;
    size_t n;
    size_t cap;
    size_t max;
    bool fault;
} cn_buf;

void cn_buf_init(cn_buf *b, size_t max);
void cn_buf_free(cn_buf *b); /* also after a fault; leaves an empty buffer with the same max */
void cn_buf_clear(cn_buf *b);
void cn_put_u8(cn_buf *b, uint8_t v);
void cn_put_u16(cn_buf *b, uint16_t v);
void cn_put_u32(cn_buf *b, uint32_t v);
void cn_put_u64(cn_buf *b, uint64_t v);
void cn_put_digest(cn_buf *b, const cn_digest *d);
void cn_put_bytes(cn_buf *b, const void *p, size_t n);

/* Writes into a caller's array of known size; no allocation. Returns the byte after the last written. */
uint8_t *cn_store_u16(uint8_t *p, uint16_t v);
uint8_t *cn_store_u32(uint8_t *p, uint32_t v);
uint8_t *cn_store_u64(uint8_t *p, uint64_t v);
uint64_t cn_load_u64(const uint8_t *p);
uint32_t cn_load_u32(const uint8_t *p);

/* Lower-case hex. out holds 2n+1 bytes. */
void cn_hex(const void *p, size_t n, char *out);
/* Exactly 2n lower-case hex digits, else false and out untouched. */
bool cn_unhex(const char *hex, size_t hex_len, void *out, size_t n);
/* "0123..": digest as hex in a static-size value, for messages. */
typedef struct cn_hex32 {
    char s[65];
} cn_hex32;
cn_hex32 cn_digest_hex(const cn_digest *d);

/* Base64 (RFC 4648 section 4), with padding. out holds 4 * ceil(n / 3) + 1 bytes; returns the length of the text. */
size_t cn_base64(const void *p, size_t n, char *out);
/* Only the one encoding of the bytes is accepted, and at most cap bytes; else false. */
bool cn_unbase64(const char *text, size_t n, uint8_t *out, size_t cap, size_t *ret_len);

#endif
