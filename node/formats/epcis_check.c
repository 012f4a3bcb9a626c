#include "node/formats/epcis_check.h"

#include "node/formats/subject.h"
#include "node/formats/time.h"
#include "node/formats/vocabulary.h"

#include <stdlib.h>
#include <string.h>

typedef struct check {
    const cn_json *json;
    cn_err *err;
    cn_epcis_facts facts;
    bool has_time;
} check;

typedef cn_status check_fn(check *c, const cn_json_node *node);

typedef struct field {
    const char *name;
    check_fn *fn;
    unsigned types; /* event types that have it; unused below the event */
} field;

#define FAIL(c, node, ...) cn_json_fail((c)->json, (node), NULL, (c)->err, __VA_ARGS__)
#define FIRST(...)                                                                                                     \
    do {                                                                                                               \
        cn_status first_status = (__VA_ARGS__);                                                                        \
        if (first_status != CN_OK)                                                                                     \
            return first_status;                                                                                       \
    } while (0)

/* ---- scalars ---- */

static cn_status is_string(check *c, const cn_json_node *node)
{
    return node->type == CN_JSON_STRING ? CN_OK : FAIL(c, node, "must be a string");
}

static cn_status is_number(check *c, const cn_json_node *node)
{
    return node->type == CN_JSON_NUMBER ? CN_OK : FAIL(c, node, "must be a number, without quotes");
}

static cn_status is_boolean(check *c, const cn_json_node *node)
{
    bool ok = node->type == CN_JSON_TRUE || node->type == CN_JSON_FALSE;
    return ok ? CN_OK : FAIL(c, node, "must be true or false");
}

static cn_status is_anything(check *c, const cn_json_node *node)
{
    (void)c;
    (void)node;
    return CN_OK;
}

static cn_status is_uri(check *c, const cn_json_node *node)
{
    if (node->type != CN_JSON_STRING || !cn_uri_valid(node->text.s, node->text.n))
        return FAIL(c, node, "must be an absolute URI");
    return CN_OK;
}

static cn_status is_hex(check *c, const cn_json_node *node)
{
    FIRST(is_string(c, node));
    for (size_t i = 0; i < node->text.n; i++)
        if (!node->text.s[i] || !strchr("0123456789abcdefABCDEF", node->text.s[i]))
            return FAIL(c, node, "must be hexadecimal digits");
    return node->text.n ? CN_OK : FAIL(c, node, "must be hexadecimal digits");
}

static cn_status is_uom(check *c, const cn_json_node *node)
{
    bool ok = node->type == CN_JSON_STRING && node->text.n >= 2 && node->text.n <= 3;
    for (size_t i = 0; ok && i < node->text.n; i++)
        ok = (node->text.s[i] >= 'A' && node->text.s[i] <= 'Z') || (node->text.s[i] >= '0' && node->text.s[i] <= '9');
    return ok ? CN_OK : FAIL(c, node, "must be a unit of UN/CEFACT Recommendation 20: two or three capitals or digits");
}

cn_status cn_epcis_check_time(const cn_json *json, const cn_json_node *node, uint64_t *ret_ms, cn_err *err)
{
    int64_t ms = 0;
    if (node->type != CN_JSON_STRING || !cn_time_parse(node->text.s, node->text.n, &ms))
        return cn_json_fail(json, node, NULL, err,
                            "must be a time stamp with a zone, such as 2026-03-01T08:00:00.000Z");
    if (ms < 0)
        return cn_json_fail(json, node, NULL, err, "lies before 1970");
    *ret_ms = (uint64_t)ms;
    return CN_OK;
}

static cn_status is_time(check *c, const cn_json_node *node)
{
    uint64_t ignored;
    return cn_epcis_check_time(c->json, node, &ignored, c->err);
}

/* A time that belongs to the interval which the event claims. */
static cn_status is_claimed_time(check *c, const cn_json_node *node)
{
    uint64_t ms = 0;
    FIRST(cn_epcis_check_time(c->json, node, &ms, c->err));
    if (!c->has_time || ms < c->facts.first_ms)
        c->facts.first_ms = ms;
    if (!c->has_time || ms > c->facts.last_ms)
        c->facts.last_ms = ms;
    c->has_time = true;
    return CN_OK;
}

static cn_status is_event_time(check *c, const cn_json_node *node)
{
    FIRST(is_claimed_time(c, node));
    return cn_epcis_check_time(c->json, node, &c->facts.event_ms, c->err);
}

static cn_status is_zone(check *c, const cn_json_node *node)
{
    if (node->type != CN_JSON_STRING || !cn_time_offset_valid(node->text.s, node->text.n))
        return FAIL(c, node, "must be an offset such as +02:00, at most 14:00");
    return CN_OK;
}

static cn_status is_action(check *c, const cn_json_node *node)
{
    static const char *const words[] = {"OBSERVE", "ADD", "DELETE"};
    for (unsigned i = 0; i < 3 && node->type == CN_JSON_STRING; i++)
        if (cn_text_is(node->text, words[i])) {
            c->facts.action = (cn_epcis_action)(CN_EPCIS_OBSERVE + i);
            return CN_OK;
        }
    return FAIL(c, node, "must be ADD, OBSERVE or DELETE");
}

static cn_status is_term(check *c, const cn_json_node *node, const cn_vocabulary *v, const char *what)
{
    cn_text word;
    FIRST(is_string(c, node));
    switch (cn_vocabulary_find(v, node->text, &word)) {
    case CN_TERM_STANDARD:
        return CN_OK;
    case CN_TERM_OTHER:
        return is_uri(c, node);
    default:
        return FAIL(c, node, "\"%.*s\" is no %s of the standard; use one of its words or a URI of your own vocabulary",
                    (int)(node->text.n < 60 ? node->text.n : 60), node->text.s, what);
    }
}

static cn_status is_biz_step(check *c, const cn_json_node *node)
{
    return is_term(c, node, &cn_vocabulary_biz_step, "bizStep");
}

static cn_status is_disposition(check *c, const cn_json_node *node)
{
    return is_term(c, node, &cn_vocabulary_disposition, "disposition");
}

static cn_status is_transaction_type(check *c, const cn_json_node *node)
{
    return is_term(c, node, &cn_vocabulary_transaction_type, "business transaction type");
}

static cn_status is_party_type(check *c, const cn_json_node *node)
{
    return is_term(c, node, &cn_vocabulary_party_type, "source or destination type");
}

static cn_status is_reason(check *c, const cn_json_node *node)
{
    return is_term(c, node, &cn_vocabulary_error_reason, "error reason");
}

/* Bare words of drafts of the standard (Molar_concentration) are in use, so that a word that is not in the list passes
 * where it has the form of one. */
static cn_status is_measurement(check *c, const cn_json_node *node)
{
    bool word = node->type == CN_JSON_STRING && node->text.n > 0 && node->text.n <= 64;
    for (size_t i = 0; word && i < node->text.n; i++) {
        char ch = node->text.s[i];
        word = ch == '_' || (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z');
    }
    return word ? CN_OK : is_term(c, node, &cn_vocabulary_measurement, "measurement type");
}

static cn_status is_alert(check *c, const cn_json_node *node)
{
    return is_term(c, node, &cn_vocabulary_alert, "sensor alert type");
}

static cn_status is_component(check *c, const cn_json_node *node)
{
    return is_term(c, node, &cn_vocabulary_component, "component");
}

/* ---- containers ---- */

static cn_status each(check *c, const cn_json_node *node, check_fn *fn)
{
    if (node->type != CN_JSON_ARRAY)
        return FAIL(c, node, "must be an array");
    for (const cn_json_node *m = node->child; m; m = m->next)
        FIRST(fn(c, m));
    return CN_OK;
}

static int by_text(const void *a, const void *b)
{
    return cn_text_cmp((*(const cn_json_node *const *)a)->text, (*(const cn_json_node *const *)b)->text);
}

static cn_status all_different(check *c, const cn_json_node *array)
{
    const cn_json_node **all = malloc((array->count + 1) * sizeof *all), *again = NULL;
    size_t n = 0;
    if (!all)
        return cn_fail(c->err, CN_NO_MEMORY, "document", "out of memory");
    for (const cn_json_node *m = array->child; m; m = m->next)
        all[n++] = m;
    qsort(all, n, sizeof *all, by_text);
    for (size_t i = 1; i < n && !again; i++)
        if (cn_text_cmp(all[i - 1]->text, all[i]->text) == 0)
            again = all[i];
    free(all);
    return again ? FAIL(c, again, "stands in this list twice") : CN_OK;
}

static cn_status is_uri_list(check *c, const cn_json_node *node)
{
    return each(c, node, is_uri);
}

static cn_status is_epc_list(check *c, const cn_json_node *node)
{
    FIRST(each(c, node, is_uri));
    return all_different(c, node);
}

static cn_status is_certification(check *c, const cn_json_node *node)
{
    if (node->type == CN_JSON_STRING)
        return is_uri(c, node);
    if (node->type != CN_JSON_ARRAY)
        return FAIL(c, node, "must be the URI of a certificate, or an array of such URIs");
    for (const cn_json_node *m = node->child; m; m = m->next)
        if (m->type != CN_JSON_STRING || !cn_uri_valid(m->text.s, m->text.n))
            return FAIL(c, m, "must be the URI of a certificate, not the certificate's content");
    return CN_OK;
}

/* Members by a table. closed: no other names; otherwise others must be URIs (extensions have a prefix). */
static cn_status members(check *c, const cn_json_node *node, const field *fields, bool closed)
{
    if (node->type != CN_JSON_OBJECT)
        return FAIL(c, node, "must be an object");
    for (const cn_json_node *m = node->child; m; m = m->next) {
        const field *f = fields;
        while (f->name && !cn_text_is(m->key, f->name))
            f++;
        if (f->name)
            FIRST(f->fn(c, m));
        else if (closed || !cn_uri_valid(m->key.s, m->key.n))
            return FAIL(c, m, "is no field of the standard here%s", closed ? "" : "; an extension needs a prefix");
    }
    return CN_OK;
}

static cn_status required(check *c, const cn_json_node *node, const char *name)
{
    if (cn_json_get(node, name))
        return CN_OK;
    return cn_json_fail(c->json, node, name, c->err, "is missing, and EPCIS 2.0 requires it");
}

static cn_status is_quantity(check *c, const cn_json_node *node)
{
    static const field fields[] = {
        {"epcClass", is_uri, 0}, {"quantity", is_number, 0}, {"uom", is_uom, 0}, {NULL, NULL, 0}};
    FIRST(members(c, node, fields, true));
    return required(c, node, "epcClass");
}

static cn_status is_quantity_list(check *c, const cn_json_node *node)
{
    return each(c, node, is_quantity);
}

static cn_status is_place(check *c, const cn_json_node *node)
{
    static const field fields[] = {{"id", is_uri, 0}, {NULL, NULL, 0}};
    FIRST(members(c, node, fields, false));
    return required(c, node, "id");
}

static cn_status is_transaction(check *c, const cn_json_node *node)
{
    static const field fields[] = {{"type", is_transaction_type, 0}, {"bizTransaction", is_uri, 0}, {NULL, NULL, 0}};
    FIRST(members(c, node, fields, true));
    return required(c, node, "bizTransaction");
}

static cn_status is_transaction_list(check *c, const cn_json_node *node)
{
    return each(c, node, is_transaction);
}

static cn_status is_source(check *c, const cn_json_node *node)
{
    static const field fields[] = {{"type", is_party_type, 0}, {"source", is_uri, 0}, {NULL, NULL, 0}};
    FIRST(members(c, node, fields, true));
    FIRST(required(c, node, "type"));
    return required(c, node, "source");
}

static cn_status is_source_list(check *c, const cn_json_node *node)
{
    return each(c, node, is_source);
}

static cn_status is_destination(check *c, const cn_json_node *node)
{
    static const field fields[] = {{"type", is_party_type, 0}, {"destination", is_uri, 0}, {NULL, NULL, 0}};
    FIRST(members(c, node, fields, true));
    FIRST(required(c, node, "type"));
    return required(c, node, "destination");
}

static cn_status is_destination_list(check *c, const cn_json_node *node)
{
    return each(c, node, is_destination);
}

static cn_status is_disposition_list(check *c, const cn_json_node *node)
{
    FIRST(each(c, node, is_disposition));
    return node->count ? all_different(c, node) : FAIL(c, node, "must not be empty");
}

static cn_status is_persistent_disposition(check *c, const cn_json_node *node)
{
    static const field fields[] = {{"set", is_disposition_list, 0}, {"unset", is_disposition_list, 0}, {NULL, NULL, 0}};
    FIRST(members(c, node, fields, true));
    return node->count ? CN_OK : FAIL(c, node, "needs \"set\" or \"unset\"");
}

static cn_status is_error_declaration(check *c, const cn_json_node *node)
{
    static const field fields[] = {{"declarationTime", is_time, 0},
                                   {"reason", is_reason, 0},
                                   {"correctiveEventIDs", is_uri_list, 0},
                                   {NULL, NULL, 0}};
    FIRST(members(c, node, fields, false));
    return required(c, node, "declarationTime");
}

static cn_status is_ilmd(check *c, const cn_json_node *node)
{
    static const field fields[] = {{NULL, NULL, 0}};
    return members(c, node, fields, false);
}

/* ---- sensor data ---- */

static cn_status is_sensor_metadata(check *c, const cn_json_node *node)
{
    static const field fields[] = {{"time", is_claimed_time, 0},
                                   {"startTime", is_claimed_time, 0},
                                   {"endTime", is_claimed_time, 0},
                                   {"deviceID", is_uri, 0},
                                   {"deviceMetadata", is_uri, 0},
                                   {"rawData", is_uri, 0},
                                   {"dataProcessingMethod", is_uri, 0},
                                   {"bizRules", is_uri, 0},
                                   {NULL, NULL, 0}};
    return members(c, node, fields, false);
}

static cn_status is_sensor_report(check *c, const cn_json_node *node)
{
    static const field fields[] = {{"type", is_measurement, 0},
                                   {"exception", is_alert, 0},
                                   {"deviceID", is_uri, 0},
                                   {"deviceMetadata", is_uri, 0},
                                   {"rawData", is_uri, 0},
                                   {"dataProcessingMethod", is_uri, 0},
                                   {"bizRules", is_uri, 0},
                                   {"time", is_claimed_time, 0},
                                   {"microorganism", is_uri, 0},
                                   {"chemicalSubstance", is_uri, 0},
                                   {"coordinateReferenceSystem", is_uri, 0},
                                   {"value", is_number, 0},
                                   {"component", is_component, 0},
                                   {"stringValue", is_string, 0},
                                   {"booleanValue", is_boolean, 0},
                                   {"hexBinaryValue", is_hex, 0},
                                   {"uriValue", is_uri, 0},
                                   {"minValue", is_number, 0},
                                   {"maxValue", is_number, 0},
                                   {"meanValue", is_number, 0},
                                   {"sDev", is_number, 0},
                                   {"percRank", is_number, 0},
                                   {"percValue", is_number, 0},
                                   {"uom", is_string, 0},
                                   {NULL, NULL, 0}};
    FIRST(members(c, node, fields, false));
    /* an alert alone says what happened without measuring anything */
    return cn_json_get(node, "exception") ? CN_OK : required(c, node, "type");
}

static cn_status is_sensor_report_list(check *c, const cn_json_node *node)
{
    FIRST(each(c, node, is_sensor_report));
    return node->count ? CN_OK : FAIL(c, node, "must not be empty");
}

static cn_status is_sensor_element(check *c, const cn_json_node *node)
{
    static const field fields[] = {
        {"sensorMetadata", is_sensor_metadata, 0}, {"sensorReport", is_sensor_report_list, 0}, {NULL, NULL, 0}};
    FIRST(members(c, node, fields, false));
    return required(c, node, "sensorReport");
}

static cn_status is_sensor_list(check *c, const cn_json_node *node)
{
    return each(c, node, is_sensor_element);
}

/* ---- @context ---- */

/* Every prefixed name of the document is looked up in it. */
#define CONTEXT_MAX 256u

static cn_status context_value(const cn_json *json, const cn_json_node *node, cn_err *err)
{
    bool ok =
        node->type == CN_JSON_OBJECT || (node->type == CN_JSON_STRING && cn_uri_valid(node->text.s, node->text.n));
    return ok ? CN_OK : cn_json_fail(json, node, NULL, err, "a JSON-LD context is a URI or an object");
}

cn_status cn_epcis_check_context(const cn_json *json, const cn_json_node *owner, cn_err *err)
{
    const cn_json_node *context = cn_json_get(owner, "@context");
    if (!context)
        return cn_json_fail(json, owner, "@context", err,
                            "is missing; EPCIS 2.0 JSON-LD names the standard's context there");
    size_t entries = context->count;
    for (const cn_json_node *m = context->type == CN_JSON_ARRAY ? context->child : NULL; m; m = m->next) {
        FIRST(context_value(json, m, err));
        entries += m->count;
    }
    if (entries > CONTEXT_MAX)
        return cn_json_fail(json, context, NULL, err, "has %zu entries; at most %u are read", entries, CONTEXT_MAX);
    return context->type == CN_JSON_ARRAY ? CN_OK : context_value(json, context, err);
}

static cn_status is_context(check *c, const cn_json_node *node)
{
    return cn_epcis_check_context(c->json, node->parent, c->err);
}

/* ---- the event ---- */

enum {
    OBJECT = 1 << CN_EPCIS_OBJECT_EVENT,
    AGGREGATION = 1 << CN_EPCIS_AGGREGATION_EVENT,
    TRANSACTION = 1 << CN_EPCIS_TRANSACTION_EVENT,
    TRANSFORMATION = 1 << CN_EPCIS_TRANSFORMATION_EVENT,
    ASSOCIATION = 1 << CN_EPCIS_ASSOCIATION_EVENT,
    ALL = OBJECT | AGGREGATION | TRANSACTION | TRANSFORMATION | ASSOCIATION,
    FAMILY = AGGREGATION | ASSOCIATION,
};

static const field event_fields[] = {
    {"@context", is_context, ALL},
    {"type", is_string, ALL},
    {"eventTime", is_event_time, ALL},
    {"recordTime", is_time, ALL},
    {"eventTimeZoneOffset", is_zone, ALL},
    {"eventID", is_uri, ALL},
    {"certificationInfo", is_certification, ALL},
    {"errorDeclaration", is_error_declaration, ALL},
    {"epcList", is_epc_list, OBJECT | TRANSACTION},
    {"quantityList", is_quantity_list, OBJECT | TRANSACTION},
    {"parentID", is_uri, FAMILY | TRANSACTION},
    {"childEPCs", is_uri_list, FAMILY},
    {"childQuantityList", is_quantity_list, FAMILY},
    {"inputEPCList", is_epc_list, TRANSFORMATION},
    {"inputQuantityList", is_quantity_list, TRANSFORMATION},
    {"outputEPCList", is_epc_list, TRANSFORMATION},
    {"outputQuantityList", is_quantity_list, TRANSFORMATION},
    {"transformationID", is_uri, TRANSFORMATION},
    {"action", is_action, ALL & ~TRANSFORMATION},
    {"bizStep", is_biz_step, ALL},
    {"disposition", is_disposition, ALL},
    {"persistentDisposition", is_persistent_disposition, OBJECT | TRANSFORMATION},
    {"readPoint", is_place, ALL},
    {"bizLocation", is_place, ALL},
    {"bizTransactionList", is_transaction_list, ALL},
    {"sourceList", is_source_list, ALL},
    {"destinationList", is_destination_list, ALL},
    {"sensorElementList", is_sensor_list, ALL},
    {"ilmd", is_ilmd, OBJECT | TRANSFORMATION},
    {"rdfs:comment", is_anything, ALL},
    {NULL, NULL, 0},
};

static cn_status event_members(check *c, const cn_json_node *event)
{
    for (const cn_json_node *m = event->child; m; m = m->next) {
        const field *f = event_fields;
        while (f->name && !cn_text_is(m->key, f->name))
            f++;
        if (!f->name) {
            if (!cn_uri_valid(m->key.s, m->key.n))
                return FAIL(c, m, "is no field of an EPCIS 2.0 event; an extension needs a prefix");
            continue;
        }
        if (!(f->types & 1u << c->facts.type))
            return FAIL(c, m, "is no field of a%s %s", c->facts.type == CN_EPCIS_OBJECT_EVENT ? "n" : "",
                        cn_epcis_type_name(c->facts.type));
        FIRST(f->fn(c, m));
    }
    return CN_OK;
}

static bool filled(const cn_json_node *event, const char *name)
{
    const cn_json_node *m = cn_json_get(event, name);
    return m && m->count > 0;
}

static cn_status object_rules(check *c, const cn_json_node *e)
{
    if (cn_json_get(e, "ilmd") && c->facts.action != CN_EPCIS_ADD)
        return FAIL(c, cn_json_get(e, "ilmd"), "instance and lot data stand only in an event with action ADD");
    if (cn_json_get(e, "epcList") || filled(e, "quantityList"))
        return CN_OK;
    if (filled(e, "sensorElementList") && cn_json_get(e, "readPoint"))
        return CN_OK;
    return FAIL(c, e,
                "an ObjectEvent names its objects: epcList or quantityList (or sensorElementList with a readPoint)");
}

static cn_status family_rules(check *c, const cn_json_node *e)
{
    if (c->facts.type == CN_EPCIS_ASSOCIATION_EVENT || c->facts.action != CN_EPCIS_OBSERVE)
        FIRST(required(c, e, "parentID"));
    if (filled(e, "childEPCs") || filled(e, "childQuantityList") || c->facts.action == CN_EPCIS_DELETE)
        return CN_OK;
    return FAIL(c, e, "childEPCs or childQuantityList is missing; only DELETE may leave both out");
}

static cn_status transaction_rules(check *c, const cn_json_node *e)
{
    FIRST(required(c, e, "bizTransactionList"));
    if (!filled(e, "bizTransactionList"))
        return FAIL(c, cn_json_get(e, "bizTransactionList"), "must not be empty");
    if (cn_json_get(e, "epcList") || filled(e, "quantityList") || c->facts.action == CN_EPCIS_DELETE)
        return CN_OK;
    return FAIL(c, e, "epcList or quantityList is missing; only DELETE may leave both out");
}

static cn_status transformation_rules(check *c, const cn_json_node *e)
{
    bool in = filled(e, "inputEPCList") || filled(e, "inputQuantityList");
    bool out = filled(e, "outputEPCList") || filled(e, "outputQuantityList");
    if (cn_json_get(e, "transformationID") ? in || out : in && out)
        return CN_OK;
    return FAIL(c, e, "a TransformationEvent has inputs and outputs; with a transformationID one of them is enough");
}

bool cn_epcis_type_parse(cn_text word, cn_epcis_type *ret)
{
    for (unsigned t = CN_EPCIS_OBJECT_EVENT; t <= CN_EPCIS_ASSOCIATION_EVENT; t++)
        if (cn_text_is(word, cn_epcis_type_name((cn_epcis_type)t))) {
            *ret = (cn_epcis_type)t;
            return true;
        }
    return false;
}

cn_status cn_epcis_check_event(const cn_json *json, const cn_json_node *event, cn_epcis_facts *ret, cn_err *err)
{
    check c = {.json = json, .err = err};
    if (event->type != CN_JSON_OBJECT)
        return FAIL(&c, event, "an event must be an object");
    FIRST(required(&c, event, "type"));
    const cn_json_node *type = cn_json_get(event, "type");
    FIRST(is_string(&c, type));
    if (!cn_epcis_type_parse(type->text, &c.facts.type))
        return FAIL(&c, type, "\"%.*s\" is no event type of EPCIS 2.0", (int)(type->text.n < 60 ? type->text.n : 60),
                    type->text.s);
    FIRST(event_members(&c, event));
    FIRST(required(&c, event, "eventTime"));
    FIRST(required(&c, event, "eventTimeZoneOffset"));
    if (c.facts.type != CN_EPCIS_TRANSFORMATION_EVENT)
        FIRST(required(&c, event, "action"));
    switch (c.facts.type) {
    case CN_EPCIS_OBJECT_EVENT:
        FIRST(object_rules(&c, event));
        break;
    case CN_EPCIS_TRANSACTION_EVENT:
        FIRST(transaction_rules(&c, event));
        break;
    case CN_EPCIS_TRANSFORMATION_EVENT:
        FIRST(transformation_rules(&c, event));
        break;
    default:
        FIRST(family_rules(&c, event));
    }
    *ret = c.facts;
    return CN_OK;
}
