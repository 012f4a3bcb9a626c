/* GS1 EPCIS 2.0 JSON-LD in: a capture document or a bare event, read strictly.
 *
 * Accepted: an EPCISDocument with epcisBody.eventList (which may be empty), and a bare event of one of the five types
 * with its own @context. Refused with a reason: query documents, and everything that breaks the EPCIS 2.0 JSON schema
 * or the rules of the standard's text; err->field is then "<JSON pointer> (line N)". See docs/formats-epcis.md. */
#ifndef CARNET_NODE_FORMATS_EPCIS_H
#define CARNET_NODE_FORMATS_EPCIS_H

#include "proto/bytes.h"
#include "proto/digest.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CN_EPCIS_MAX_BYTES ((size_t)64 << 20)
#define CN_EPCIS_MAX_DEPTH 64u
#define CN_EPCIS_MAX_VALUES ((size_t)4 << 20)

#define CN_EPCIS_TYPES(X)                                                                                              \
    X(CN_EPCIS_OBJECT_EVENT, "ObjectEvent")                                                                            \
    X(CN_EPCIS_AGGREGATION_EVENT, "AggregationEvent")                                                                  \
    X(CN_EPCIS_TRANSACTION_EVENT, "TransactionEvent")                                                                  \
    X(CN_EPCIS_TRANSFORMATION_EVENT, "TransformationEvent")                                                            \
    X(CN_EPCIS_ASSOCIATION_EVENT, "AssociationEvent")

typedef enum cn_epcis_type {
#define CN_EPCIS_ENUM(name, text) name,
    CN_EPCIS_TYPES(CN_EPCIS_ENUM)
#undef CN_EPCIS_ENUM
} cn_epcis_type;
const char *cn_epcis_type_name(cn_epcis_type type);

typedef enum cn_epcis_action { CN_EPCIS_NO_ACTION, CN_EPCIS_OBSERVE, CN_EPCIS_ADD, CN_EPCIS_DELETE } cn_epcis_action;

#define CN_EPCIS_HASH_MAX 96
/* What an aggregation says about a container and a consignment. */
typedef struct cn_epcis_pairing {
    const char *container;   /* canonical URI of an ISO 6346 container */
    const char *consignment; /* canonical UCR, GINC, GSIN or SSCC; NULL: DELETE without children ends all of them */
    bool add;                /* ADD, else DELETE; OBSERVE says nothing */
    uint64_t time_ms;
} cn_epcis_pairing;

typedef struct cn_epcis_event {
    size_t offset, length; /* exact span in the text */
    unsigned line;         /* 1-based, of its first byte */
    char pointer[48];      /* "/epcisBody/eventList/3"; "" for a bare event */
    cn_epcis_type type;
    cn_epcis_action action;
    uint64_t event_ms;          /* eventTime, ms since 1970 */
    uint64_t first_ms, last_ms; /* interval it claims: eventTime and the times of its sensor data */
    size_t subject_count;       /* 0: no identifier; the document's digest stands in */
    const char *const *subject; /* canonical URIs, ascending, each once */
    unsigned subject_flags;     /* cn_subject_flag of any of them */
    size_t pairing_count;
    const cn_epcis_pairing *pairing;
    char hash[CN_EPCIS_HASH_MAX]; /* CBV 2.0 event hash id */
} cn_epcis_event;

typedef struct cn_epcis_doc cn_epcis_doc; /* opaque; refers to the text, which must outlive it */

/* max_bytes: at most CN_EPCIS_MAX_BYTES. *ret is freed by cn_epcis_free (NULL is fine). */
cn_status cn_epcis_parse(const void *text, size_t n, size_t max_bytes, cn_epcis_doc **ret, cn_err *err);
void cn_epcis_free(cn_epcis_doc *doc);

cn_span cn_epcis_text(const cn_epcis_doc *doc);
cn_digest cn_epcis_digest(const cn_epcis_doc *doc); /* SHA-256 of the text */
bool cn_epcis_is_bare(const cn_epcis_doc *doc);
size_t cn_epcis_event_count(const cn_epcis_doc *doc);
const cn_epcis_event *cn_epcis_event_at(const cn_epcis_doc *doc, size_t index);
uint64_t cn_epcis_created_ms(const cn_epcis_doc *doc); /* creationDate; a bare event's eventTime */

#endif
