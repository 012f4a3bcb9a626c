/* From StatementBody bytes to cn_body. Private to proto. */
#ifndef CARNET_PROTO_STATEMENT_PARSE_H
#define CARNET_PROTO_STATEMENT_PARSE_H

#include "proto/arena.h"
#include "proto/statement.h"

/* What protobuf-c may use for a body of n bytes, and what the arrays of the result may. */
#define CN_BODY_SCRATCH(n) (16u * (n) + 65536u)
#define CN_BODY_BUDGET(n) (8u * (n) + 4096u)

/* Arrays of *ret live in the arena. */
/* A field of SignedStatement: its tag (0x0a body, 0x12 signature, 0x1a item), a minimal length, that many bytes. */
cn_span cn_read_signed_field(cn_reader *r, uint8_t tag);
cn_status cn_body_parse(const void *p, size_t n, cn_arena *arena, cn_body *ret, cn_err *err);

#endif
