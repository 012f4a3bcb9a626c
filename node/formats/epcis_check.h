/* The rules of the EPCIS 2.0 JSON schema and of the standard's text for one event. Private to node/formats. */
#ifndef CARNET_NODE_FORMATS_EPCIS_CHECK_H
#define CARNET_NODE_FORMATS_EPCIS_CHECK_H

#include "node/formats/epcis.h"
#include "node/formats/json.h"

typedef struct cn_epcis_facts {
    cn_epcis_type type;
    cn_epcis_action action;
    uint64_t event_ms;          /* eventTime */
    uint64_t first_ms, last_ms; /* the interval it claims: eventTime and all times of its sensor data */
} cn_epcis_facts;

/* False (and *ret untouched) when the word names no event type. */
bool cn_epcis_type_parse(cn_text word, cn_epcis_type *ret);

/* err->field is the JSON pointer and line of what is wrong. */
cn_status cn_epcis_check_event(const cn_json *json, const cn_json_node *event, cn_epcis_facts *ret, cn_err *err);
/* "@context": a URI, an object, or an array of these. owner is the document or event that must have it. */
cn_status cn_epcis_check_context(const cn_json *json, const cn_json_node *owner, cn_err *err);
/* A time stamp from 1970 on. */
cn_status cn_epcis_check_time(const cn_json *json, const cn_json_node *node, uint64_t *ret_ms, cn_err *err);

#endif
