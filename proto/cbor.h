/* Deterministic CBOR (RFC 8949 section 4.2.1), as far as receipts need it: definite lengths, shortest heads.
 *
 * The writer appends heads to a cn_buf. The reader refuses any other encoding of the same value; its fault is sticky,
 * that of the cn_reader it works on. Lengths are checked against what is left before anything is read. */
#ifndef CARNET_PROTO_CBOR_H
#define CARNET_PROTO_CBOR_H

#include "proto/bytes.h"

/* Major types (RFC 8949 section 3.1). */
typedef enum cn_cbor_major {
    CN_CBOR_UNSIGNED = 0,
    CN_CBOR_NEGATIVE = 1, /* the value is -1 - argument */
    CN_CBOR_BYTES = 2,
    CN_CBOR_TEXT = 3,
    CN_CBOR_ARRAY = 4,
    CN_CBOR_MAP = 5,
    CN_CBOR_TAG = 6,
    CN_CBOR_SIMPLE = 7, /* only null is read and written */
} cn_cbor_major;

void cn_cbor_head(cn_buf *out, cn_cbor_major major, uint64_t argument);
void cn_cbor_integer(cn_buf *out, int64_t value); /* majors 0 and 1 */
void cn_cbor_bytes(cn_buf *out, const void *p, size_t n);
void cn_cbor_text(cn_buf *out, const char *text);
void cn_cbor_null(cn_buf *out);

/* The argument of a head of this major type, in its shortest form; 0 and a fault otherwise. */
uint64_t cn_cbor_read_head(cn_reader *r, cn_cbor_major major);
/* The head must carry exactly this argument. */
void cn_cbor_expect(cn_reader *r, cn_cbor_major major, uint64_t argument);
void cn_cbor_expect_integer(cn_reader *r, int64_t value);
void cn_cbor_expect_text(cn_reader *r, const char *text);
void cn_cbor_expect_null(cn_reader *r);
/* A byte or text string as a view into the input; at most max bytes. */
cn_span cn_cbor_read_string(cn_reader *r, cn_cbor_major major, size_t max);

#endif
