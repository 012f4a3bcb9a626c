/* CBV 2.0 EPCIS Event Hash ID: a fingerprint of what an event says, whatever its spelling (CBV 2.0, section 8.9).
 *
 * Where the standard's text and its published vectors differ, the vectors count; docs/formats-epcis.md lists these
 * places. Contexts are not fetched: prefixes come from the @context objects in the document and the event, and from
 * the EPCIS 2.0 context, which is known. */
#ifndef CARNET_NODE_FORMATS_EVENT_HASH_H
#define CARNET_NODE_FORMATS_EVENT_HASH_H

#include "node/formats/epcis.h"
#include "node/formats/json.h"

/* Appends the pre-hash string of an event. document (may be NULL) is the object whose @context applies. */
cn_status cn_event_prehash(const cn_json_node *event, const cn_json_node *document, cn_buf *out, cn_err *err);
/* "ni:///sha-256;<hex>?ver=CBV2.0" */
cn_status cn_event_hash(const cn_json_node *event, const cn_json_node *document, char ret[CN_EPCIS_HASH_MAX],
                        cn_err *err);
/* The ids (or pre-hash strings) of all events of a document, one per line; query documents and bare events too. It
 * checks the JSON and finds the events, and leaves the rules of EPCIS to cn_epcis_parse. */
cn_status cn_event_hash_document(const void *text, size_t n, bool prehash, cn_buf *out, cn_err *err);

#endif
