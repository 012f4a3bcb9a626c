/* The envelope item (format 6): a stretch of a document without the spans of its events, and what joins the parts.
 *
 *   version u8 (1) | part u16 | parts u16 | document digest 32 | document size u64 | stretch offset u64 |
 *   event count u16 | event count times an insertion point u32 | remaining bytes
 *
 * An insertion point is the number of remaining bytes before that event; points ascend, equal ones keep their order.
 * A document of one part has one envelope that is the whole of it; otherwise each part carries the envelope of its own
 * stretch, and the stretches join without gap or overlap. */
#ifndef CARNET_NODE_FORMATS_ENVELOPE_H
#define CARNET_NODE_FORMATS_ENVELOPE_H

#include "proto/bytes.h"
#include "proto/digest.h"
#include "proto/limits.h"
#include "proto/status.h"

#define CN_ENVELOPE_VERSION 1
#define CN_ENVELOPE_HEAD 55u /* bytes before the insertion points */

typedef struct cn_envelope {
    uint16_t part, parts; /* part counts from 0 */
    cn_digest document;   /* SHA-256 of the whole document */
    uint64_t size;        /* of the whole document */
    uint64_t offset;      /* of this stretch in it */
    uint16_t event_count;
    uint32_t point[CN_MAX_ITEMS];
    cn_span rest; /* the remaining bytes */
} cn_envelope;

void cn_envelope_write(const cn_envelope *e, cn_buf *out);
/* Strict; rest points into the content. */
cn_status cn_envelope_read(const void *content, size_t n, cn_envelope *ret, cn_err *err);

#endif
