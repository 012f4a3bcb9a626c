/* JSON views of what the store holds. Private to node/api. */
#ifndef CARNET_NODE_API_VIEW_H
#define CARNET_NODE_API_VIEW_H

#include "proto/foreign.h"
#include "proto/statement.h"
#include "storage/store.h"

#include <jansson.h>

/* Joins record and items into a SignedStatement again and decodes it. */
cn_status cn_view_decode(const cn_stored_statement *stored, cn_statement **ret, cn_err *err);
/* id, key, sequence, created, payload kind with its fields; items when with_items. New reference. */
json_t *cn_view_statement(const cn_statement *s, bool with_items);
/* One item: index, format, content (text for JSON formats, base64 otherwise), "type" of the event where readable. */
json_t *cn_view_item(const cn_statement *s, size_t index);
json_t *cn_view_header(const cn_header *h, const cn_digest *digest);
json_t *cn_view_key(const cn_digest *id, const cn_state_device_key *key);
json_t *cn_view_network(const cn_state_foreign *n);
json_t *cn_view_base64(const void *p, size_t n);
const char *cn_view_item_format(uint8_t format);
/* The "type" member of a JSON event, or NULL; *ret_owner is to be released with json_decref. */
const char *cn_view_event_type(const cn_span *item, json_t **ret_owner);

#endif
