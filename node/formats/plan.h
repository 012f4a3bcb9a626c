/* From a document to the parts that are signed, and back.
 *
 * A part is what one event-batch statement carries: items and the entries that name their subjects. A document that is
 * no bare event has its envelope as item 0 of each part (node/formats/envelope.h), then one item per event with its
 * exact bytes; a bare event is one item, the whole text. The envelope's subject is the document's digest
 * (urn:carnet:document:<hex>); it also stands in for an event without any identifier. */
#ifndef CARNET_NODE_FORMATS_PLAN_H
#define CARNET_NODE_FORMATS_PLAN_H

#include "node/formats/epcis.h"
#include "proto/statement.h"

/* An event of a document shares its statement with the envelope's subject. */
#define CN_PLAN_EVENT_SUBJECTS (CN_MAX_SUBJECTS - 1u)
#define CN_PLAN_CONTENT_BYTES (CN_MAX_ITEM_BYTES - 1u - CN_ITEM_SALT_LEN)

typedef struct cn_plan_item {
    uint8_t format;  /* cn_item_format */
    cn_span content; /* in the document's text, or in the plan */
} cn_plan_item;

typedef struct cn_plan_part {
    size_t item_count;
    const cn_plan_item *item;
    size_t entry_count;
    const cn_batch_entry *entry; /* as cn_event_batch wants them */
    size_t event_start, event_count;
    uint64_t first_ms, last_ms;
} cn_plan_part;

/* What aggregation events say about a container and a consignment, in document order. */
typedef struct cn_plan_pairing {
    const char *container, *consignment; /* canonical URIs; consignment NULL: all of this container's end */
    cn_digest container_tag, consignment_tag;
    bool add; /* else the tie ends */
    uint64_t time_ms;
} cn_plan_pairing;

typedef struct cn_plan cn_plan; /* opaque; refers to the document, which must outlive it */
cn_status cn_plan_document(const cn_epcis_doc *doc, const uint8_t subject_salt[32], cn_plan **ret, cn_err *err);
void cn_plan_free(cn_plan *plan); /* NULL is fine */

size_t cn_plan_part_count(const cn_plan *plan);
const cn_plan_part *cn_plan_part_at(const cn_plan *plan, size_t index);
size_t cn_plan_pairing_count(const cn_plan *plan);
const cn_plan_pairing *cn_plan_pairing_at(const cn_plan *plan, size_t index);

/* ---- back ---- */

/* format | salt | content as it stands in a statement. */
cn_status cn_item_split(const void *item, size_t n, cn_plan_item *ret, cn_err *err);

/* The items of all parts of one document, in order: appends the document byte for byte, checked against the digest and
 * size in its envelopes. A bare event is its one item. */
cn_status cn_document_reassemble(const cn_plan_item *items, size_t count, cn_buf *out, cn_err *err);

/* What an item says about itself, to be held against the entries that a signer declared. */
typedef struct cn_item_info {
    bool readable;        /* false: sealed, or of a format without a reader here */
    bool is_event;        /* an EPCIS event; false: an envelope */
    cn_epcis_event event; /* of an event; without its hash, which needs the document's @context */
    cn_digest document;   /* of an envelope: its subject is urn:carnet:document:<this> */
    uint16_t part, parts; /* of an envelope */
    size_t subject_count; /* 0 in an event: the subject is the digest of its document, or of a bare event itself */
    const char *const *subject; /* canonical URIs, ascending */
    void *memory;               /* owned */
} cn_item_info;
/* Refuses a readable format whose content breaks its rules. ret is freed by cn_item_info_free. */
cn_status cn_item_subjects(uint8_t format, const void *content, size_t n, cn_item_info *ret, cn_err *err);
void cn_item_info_free(cn_item_info *info);

#endif
