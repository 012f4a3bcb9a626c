#include "node/formats/report_facts.h"

#include "node/formats/epcis.h"
#include "node/formats/plan.h"
#include "node/formats/time.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_MAX_VALUES 65536u
#define VALUE_LIMIT 1e6

static bool grow(void **array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return true;
    size_t wanted = *cap ? 2 * *cap : 32;
    void *grown = realloc(*array, wanted * size);
    if (!grown)
        return false;
    *array = grown;
    *cap = wanted;
    return true;
}

static cn_status no_memory(cn_err *err)
{
    return cn_fail(err, CN_NO_MEMORY, "report", "out of memory");
}

/* ---- keys and names ---- */

static cn_status add_name(report_facts *f, const char *name, const char *country, cn_err *err)
{
    if (!grow((void **)&f->name, f->name_count, &f->name_cap, sizeof *f->name))
        return no_memory(err);
    report_name *n = &f->name[f->name_count++];
    *n = (report_name){.id = cn_member_id(name)};
    snprintf(n->name, sizeof n->name, "%s", name);
    snprintf(n->country, sizeof n->country, "%s", country);
    return CN_OK;
}

static report_key *find_key(const report_facts *f, const cn_digest *id)
{
    for (size_t i = f->key_count; i > 0; i--)
        if (cn_digest_eq(&f->key[i - 1].id, id))
            return &f->key[i - 1];
    return NULL;
}

static cn_status add_key(report_facts *f, const cn_public_key *key, const cn_digest *owner, uint32_t purpose,
                         uint64_t from, cn_err *err)
{
    cn_digest id = cn_key_id(key);
    if (find_key(f, &id))
        return CN_OK;
    if (!grow((void **)&f->key, f->key_count, &f->key_cap, sizeof *f->key))
        return no_memory(err);
    f->key[f->key_count++] = (report_key){.id = id, .owner = *owner, .purpose = purpose, .from = from};
    return CN_OK;
}

static void end_key(report_facts *f, const cn_digest *id, uint64_t at)
{
    report_key *k = find_key(f, id);
    if (k && k->until == 0)
        k->until = at;
}

static cn_status take_registry(report_facts *f, const cn_statement *s, uint64_t index, cn_err *err)
{
    const cn_registry_change *c = &s->body.registry;
    const report_key *signer = find_key(f, &s->body.key_id), *old = find_key(f, &c->key_id);
    cn_digest owner = signer ? signer->owner : (cn_digest){{0}};
    cn_status st = CN_OK;
    switch (c->op) {
    case CN_REG_KEY_REGISTER:
        return add_key(f, &c->new_key.key, &owner, c->new_key.purpose, index, err);
    case CN_REG_KEY_ROTATE:
        owner = old ? old->owner : owner;
        end_key(f, &c->key_id, index);
        return add_key(f, &c->new_key.key, &owner, c->new_key.purpose, index, err);
    case CN_REG_KEY_REVOKE:
        end_key(f, &c->key_id, index);
        return CN_OK;
    case CN_REG_MEMBER_REGISTER:
        owner = cn_member_id(c->name);
        st = add_name(f, c->name, c->country, err);
        return st == CN_OK ? add_key(f, &c->new_key.key, &owner, c->new_key.purpose, index, err) : st;
    default:
        return CN_OK;
    }
}

const report_key *report_find_key(const report_facts *f, const cn_digest *id)
{
    return find_key(f, id);
}

const char *report_member_name(const report_facts *f, const cn_digest *id)
{
    for (size_t i = 0; i < f->name_count; i++)
        if (cn_digest_eq(&f->name[i].id, id))
            return f->name[i].name;
    return "";
}

/* ---- times of blocks ---- */

uint64_t report_recorded_ms(const report_facts *f, uint64_t log_index)
{
    for (size_t i = 0; i < f->dossier->subject_count; i++) {
        const cn_dossier_subject *s = &f->dossier->subjects[i];
        size_t low = 0, high = s->present ? (size_t)s->count : 0;
        while (low < high) { /* leaves ascend by log index */
            size_t middle = low + (high - low) / 2;
            uint64_t at = cn_load_u64(s->leaves + middle * CN_SUBJECT_LEAF_LEN + CN_DIGEST_LEN);
            if (at == log_index)
                return cn_load_u64(s->leaves + middle * CN_SUBJECT_LEAF_LEN + CN_DIGEST_LEN + 16);
            if (at < log_index)
                low = middle + 1;
            else
                high = middle;
        }
    }
    return 0;
}

/* ---- items ---- */

static bool is_term(const cn_json_node *n, const char *word)
{
    if (!n || n->type != CN_JSON_STRING)
        return false;
    size_t len = strlen(word), begin = n->text.n >= len ? n->text.n - len : 0;
    return n->text.n >= len && memcmp(n->text.s + begin, word, len) == 0 &&
           (begin == 0 || n->text.s[begin - 1] == ':' || n->text.s[begin - 1] == '-' || n->text.s[begin - 1] == '/');
}

static bool number_of(const cn_json_node *n, double *ret)
{
    char text[64];
    if (!n || n->type != CN_JSON_NUMBER || n->text.n >= sizeof text)
        return false;
    memcpy(text, n->text.s, n->text.n);
    text[n->text.n] = 0;
    *ret = strtod(text, NULL);
    return isfinite(*ret) && fabs(*ret) < VALUE_LIMIT;
}

static bool time_of(const cn_json_node *n, int64_t *ret)
{
    return n && n->type == CN_JSON_STRING && cn_time_parse(n->text.s, n->text.n, ret);
}

/* Calls reading for each temperature with one value; ret_other: the event says something else too. */
static void each_temperature(const report_event *e, bool *ret_other,
                             void (*reading)(void *ctx, const cn_json_node *device, cn_text unit, report_reading r),
                             void *ctx)
{
    const cn_json_node *list = cn_json_get(e->root, "sensorElementList");
    *ret_other = !list || list->count == 0;
    for (const cn_json_node *element = list ? list->child : NULL; element; element = element->next) {
        const cn_json_node *meta = cn_json_get(element, "sensorMetadata"),
                           *reports = cn_json_get(element, "sensorReport");
        for (const cn_json_node *r = reports ? reports->child : NULL; r; r = r->next) {
            report_reading one = {.ms = e->ms, .alarm = cn_json_get(r, "exception") != NULL};
            const cn_json_node *unit = cn_json_get(r, "uom");
            *ret_other = *ret_other || one.alarm || cn_json_get(r, "booleanValue");
            if (!is_term(cn_json_get(r, "type"), "Temperature") || !number_of(cn_json_get(r, "value"), &one.value))
                continue;
            if (!time_of(cn_json_get(r, "time"), &one.ms))
                (void)time_of(cn_json_get(meta, "time"), &one.ms);
            const cn_json_node *device = cn_json_get(r, "deviceID");
            if (reading)
                reading(ctx, device ? device : cn_json_get(meta, "deviceID"),
                        unit && unit->type == CN_JSON_STRING ? unit->text : (cn_text){"CEL", 3}, one);
        }
    }
}

void report_event_open(const cn_statement *s, size_t item, report_event *ret)
{
    const cn_json_limits limits = {CN_MAX_ITEM_BYTES, ITEM_MAX_VALUES, CN_EPCIS_MAX_DEPTH};
    cn_plan_item split;
    cn_err err = {0};
    bool other = true;
    *ret = (report_event){.format = 0};
    if (cn_item_split(s->item[item].p, s->item[item].n, &split, &err) != CN_OK)
        return;
    ret->format = split.format;
    if (split.format != CN_ITEM_EPCIS ||
        cn_json_parse(split.content.p, split.content.n, &limits, &ret->json, &err) != CN_OK)
        return;
    ret->root = cn_json_root(ret->json);
    if (!time_of(cn_json_get(ret->root, "eventTime"), &ret->ms))
        ret->ms = 0;
    each_temperature(ret, &other, NULL, NULL);
    ret->is_reading = !other && is_term(cn_json_get(ret->root, "bizStep"), "sensor_reporting");
}

void report_event_close(report_event *e)
{
    cn_json_free(e->json);
    *e = (report_event){.format = 0};
}

/* ---- readings ---- */

typedef struct adding {
    report_facts *facts;
    const cn_statement *statement;
    bool failed;
} adding;

static cn_text unit_of(cn_text unit)
{
    if (cn_text_is(unit, "FAH"))
        return (cn_text){"&#176;F", 7};
    if (cn_text_is(unit, "KEL"))
        return (cn_text){"K", 1};
    return (cn_text){"&#176;C", 7};
}

static void add_reading(void *ctx, const cn_json_node *device, cn_text unit, report_reading r)
{
    adding *a = ctx;
    report_facts *f = a->facts;
    cn_hex32 key = cn_digest_hex(&a->statement->body.key_id);
    cn_text name = device && device->type == CN_JSON_STRING ? device->text : (cn_text){key.s, 16},
            known = unit_of(unit);
    size_t i = 0;
    while (i < f->series_count &&
           (f->series[i].device_len != name.n || f->series[i].unit.n != known.n ||
            memcmp(f->series[i].device, name.s, name.n) != 0 || memcmp(f->series[i].unit.s, known.s, known.n) != 0))
        i++;
    if (i == REPORT_MAX_SERIES)
        return; /* the report says that there are more */
    report_series *s = &f->series[i];
    if (i == f->series_count) {
        s->device = malloc(name.n + 1);
        if (!s->device) {
            a->failed = true;
            return;
        }
        memcpy(s->device, name.s, name.n);
        s->device_len = name.n;
        s->unit = known;
        f->series_count++;
    }
    if (!grow((void **)&s->reading, s->count, &s->cap, sizeof *s->reading))
        a->failed = true;
    else
        s->reading[s->count++] = r;
}

static cn_status take_items(report_facts *f, const cn_statement *s, cn_err *err)
{
    adding a = {f, s, false};
    for (size_t i = 0; i < s->item_count; i++) {
        report_event e;
        bool other;
        if (cn_item_is_erased(s->item[i].p, s->item[i].n)) {
            f->erased++;
            continue;
        }
        report_event_open(s, i, &e);
        f->sealed += e.format == CN_ITEM_SEALED;
        f->envelopes += e.format == CN_ITEM_ENVELOPE;
        f->unreadable += !e.root && e.format != CN_ITEM_SEALED && e.format != CN_ITEM_ENVELOPE;
        if (e.root) {
            f->events++;
            f->readings += e.is_reading;
            f->first_ms = f->events == 1 || e.ms < f->first_ms ? e.ms : f->first_ms;
            f->last_ms = f->events == 1 || e.ms > f->last_ms ? e.ms : f->last_ms;
            each_temperature(&e, &other, add_reading, &a);
        }
        report_event_close(&e);
    }
    return a.failed ? no_memory(err) : CN_OK;
}

/* ---- the whole ---- */

static cn_status take_genesis(report_facts *f, cn_err *err)
{
    cn_status st = cn_genesis_parse(f->dossier->genesis.p, f->dossier->genesis.n, &f->genesis, err);
    f->has_genesis = st == CN_OK;
    for (size_t i = 0; st == CN_OK && i < f->genesis.member_count; i++) {
        const cn_genesis_member *m = &f->genesis.member[i];
        st = add_name(f, m->name, m->country, err);
        if (st == CN_OK)
            st = add_key(f, &m->capture_key, &m->id, CN_PURPOSE_CAPTURE, 0, err);
    }
    return st;
}

cn_status report_facts_collect(report_facts *f, const cn_dossier *d, cn_err *err)
{
    memset(f, 0, sizeof *f);
    f->dossier = d;
    f->statement = calloc(d->statement_count + 1, sizeof(cn_statement *));
    cn_status st = f->statement ? take_genesis(f, err) : no_memory(err);
    for (size_t i = 0; st == CN_OK && i < d->statement_count; i++) {
        cn_err own = {0};
        if (cn_statement_decode(d->statement[i].whole.p, d->statement[i].whole.n, &f->statement[i], &own) != CN_OK)
            continue;
        const cn_statement *s = f->statement[i];
        report_key *signer = find_key(f, &s->body.key_id);
        if (signer)
            signer->signed_n++;
        if (s->body.kind == CN_PAYLOAD_REGISTRY)
            st = take_registry(f, s, d->statement[i].log_index, err);
        else if (s->body.kind == CN_PAYLOAD_EVENT_BATCH)
            st = take_items(f, s, err);
    }
    return st;
}

void report_facts_free(report_facts *f)
{
    for (size_t i = 0; f->statement && i < f->dossier->statement_count; i++)
        cn_statement_free(f->statement[i]);
    for (size_t i = 0; i < f->series_count; i++) {
        free(f->series[i].device);
        free(f->series[i].reading);
    }
    free(f->statement);
    free(f->key);
    free(f->name);
    if (f->has_genesis)
        cn_genesis_free(&f->genesis);
    memset(f, 0, sizeof *f);
}
