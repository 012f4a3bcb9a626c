/* Protobuf written by hand: encodings that no encoder makes. */
#ifndef CARNET_TESTS_PROTO_PB_H
#define CARNET_TESTS_PROTO_PB_H

#include "proto/bytes.h"

void pb_varint(cn_buf *b, uint64_t v);
void pb_number(cn_buf *b, unsigned field, uint64_t v);
void pb_bytes(cn_buf *b, unsigned field, const void *p, size_t n);
/* A bytes field of n times this byte; n is at most 64. */
void pb_fill(cn_buf *b, unsigned field, uint8_t byte, size_t n);
/* Network, key, sequence, previous and time of a valid body, before the payload. */
void pb_head(cn_buf *b);
void pb_pairing(cn_buf *b);
cn_buf pb_new(void);

#endif
