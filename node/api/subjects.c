/* GET /v1/subjects/{uri}, its events and its audit dossier. */
#include "node/api/request.h"
#include "node/api/view.h"
#include "node/formats/subject.h"
#include "node/formats/time.h"

#include <stdlib.h>
#include <string.h>

#define EVENTS_DEFAULT 100u
#define EVENTS_MAX 1000u
#define ROWS_SCANNED_MAX 20000u /* then the cursor is handed back, found enough or not */
#define ROWS_PAGE 64u

typedef struct subject {
    char uri[CN_API_PATH_MAX];
    cn_digest tag;
} subject;

/* False after answering. */
static bool read_subject(cn_request *r, subject *ret)
{
    cn_err err = {0};
    unsigned flags = 0;
    if (cn_subject_canonical(r->argument, ret->uri, sizeof ret->uri, &flags, &err) != CN_OK) {
        cn_reply_error(r, &err);
        return false;
    }
    ret->tag = cn_subject_tag(r->backend->subject_salt, ret->uri);
    return true;
}

static json_t *view_completeness(const cn_state_subject *record)
{
    return json_pack("{s:I, s:o, s:I, s:I, s:o}", "count", (json_int_t)record->count, "root",
                     cn_json_digest(&record->root), "first_height", (json_int_t)record->first_height, "last_height",
                     (json_int_t)record->last_height, "last_statement", cn_json_digest(&record->last_id));
}

static cn_status load_completeness(cn_request *r, cn_snapshot *snap, const subject *subj, cn_state_subject *ret,
                                   cn_tip *ret_tip, cn_err *err)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_key key = cn_state_key_of(r->backend->subject_salt, CN_STATE_SUBJECT, subj->tag.b, CN_DIGEST_LEN);
    cn_status st = cn_snapshot_tip(snap, ret_tip, err);
    if (st == CN_OK)
        st = cn_snapshot_state(snap, &key, value, &n, err);
    if (st == CN_NOT_FOUND)
        return cn_fail(err, CN_NOT_FOUND, "subject", "nothing is recorded about %.120s up to height %llu", subj->uri,
                       (unsigned long long)ret_tip->checkpoint);
    if (st == CN_OK && !cn_state_subject_decode(value, n, ret))
        return cn_fail(err, CN_CORRUPT, "subject", "the completeness record does not decode; run carnet fsck");
    return st;
}

void cn_api_get_subject(cn_request *r)
{
    subject subj;
    cn_err err = {0};
    cn_snapshot *snap = NULL;
    cn_state_subject record;
    cn_tip tip = {0};
    if (!read_subject(r, &subj))
        return;
    cn_status st = cn_snapshot_open(r->backend->store, &snap, &err);
    if (st == CN_OK)
        st = load_completeness(r, snap, &subj, &record, &tip, &err);
    if (st == CN_OK) {
        json_t *view = json_pack("{s:s, s:o, s:I, s:o}", "subject", subj.uri, "tag", cn_json_digest(&subj.tag),
                                 "checkpoint", (json_int_t)tip.checkpoint, "completeness", view_completeness(&record));
        cn_reply_json(r, MHD_HTTP_OK, view);
    } else {
        cn_reply_error(r, &err);
    }
    cn_snapshot_close(snap);
}

/* ---- events ---- */

typedef struct event_query {
    uint64_t from_ms, to_ms, cursor, limit;
    const char *type;
    const cn_digest *tag;
    json_t *events;
} event_query;

static json_t *describe_statement(const cn_statement *s, const cn_subject_row *row)
{
    return json_pack("{s:o, s:I, s:I, s:o, s:o, s:I}", "statement", cn_json_digest(&s->id), "log_index",
                     (json_int_t)row->leaf.log_index, "height", (json_int_t)row->leaf.height, "recorded",
                     cn_json_time(row->leaf.time_ms), "key", cn_json_digest(&s->body.key_id), "sequence",
                     (json_int_t)s->body.sequence);
}

static void add_item(event_query *q, const cn_statement *s, const cn_subject_row *row, size_t index,
                     const cn_batch_entry *entry)
{
    const uint8_t *item = s->item[index].p;
    if (item[0] == CN_ITEM_ENVELOPE)
        return;
    if (q->type) {
        json_t *owner = NULL;
        const char *type = cn_view_event_type(&s->item[index], &owner);
        bool wanted = type && strcmp(type, q->type) == 0;
        json_decref(owner);
        if (!wanted)
            return;
    }
    json_t *event = describe_statement(s, row);
    json_object_set_new(event, "claimed_from", cn_json_time(entry->first_ms));
    json_object_set_new(event, "claimed_to", cn_json_time(entry->last_ms));
    json_t *item_view = cn_view_item(s, index);
    json_object_update(event, item_view);
    json_decref(item_view);
    json_array_append_new(q->events, event);
}

static bool overlaps(const event_query *q, uint64_t first_ms, uint64_t last_ms)
{
    return last_ms >= q->from_ms && first_ms <= q->to_ms;
}

/* All events of a statement go into one page, so that the cursor never points into a statement. */
static void add_statement(event_query *q, const cn_statement *s, const cn_subject_row *row)
{
    if (s->body.kind != CN_PAYLOAD_EVENT_BATCH) {
        if (q->type)
            return;
        json_t *event = describe_statement(s, row);
        json_t *view = cn_view_statement(s, false);
        json_object_set_new(event, "detail", view);
        json_array_append_new(q->events, event);
        return;
    }
    const cn_event_batch *batch = &s->body.batch;
    bool direct = false;
    for (size_t i = 0; i < batch->entry_count; i++)
        direct = direct || cn_digest_eq(&batch->entry[i].subject, q->tag);
    bool *taken = calloc(batch->item_count, sizeof *taken);
    for (size_t i = 0; taken && i < batch->entry_count; i++) {
        const cn_batch_entry *e = &batch->entry[i];
        /* a row without an entry of its own came by a pairing: every entry may be meant */
        if ((direct && !cn_digest_eq(&e->subject, q->tag)) || !overlaps(q, e->first_ms, e->last_ms))
            continue;
        for (uint32_t k = e->start; k < e->start + e->count && k < s->item_count; k++) {
            if (!taken[k])
                add_item(q, s, row, k, e);
            taken[k] = true;
        }
    }
    free(taken);
}

/* Fills q->events; *ret_more: there are rows behind q->cursor. */
static cn_status collect_events(cn_snapshot *snap, event_query *q, bool *ret_more, cn_err *err)
{
    cn_subject_row row[ROWS_PAGE];
    uint64_t scanned = 0;
    *ret_more = true;
    while (json_array_size(q->events) < q->limit && scanned < ROWS_SCANNED_MAX) {
        size_t count = 0;
        cn_status st = cn_snapshot_subject_rows(snap, q->tag, q->cursor, row, ROWS_PAGE, &count, err);
        if (st != CN_OK)
            return st;
        for (size_t i = 0; i < count && json_array_size(q->events) < q->limit; i++, scanned++) {
            cn_stored_statement stored;
            cn_statement *s = NULL;
            q->cursor = row[i].position + 1;
            if (!overlaps(q, row[i].first_ms, row[i].last_ms))
                continue;
            st = cn_snapshot_statement(snap, row[i].leaf.log_index, &stored, err);
            if (st == CN_OK)
                st = cn_view_decode(&stored, &s, err);
            if (st != CN_OK)
                return st;
            add_statement(q, s, &row[i]);
            cn_statement_free(s);
        }
        if (count < ROWS_PAGE && (count == 0 || q->cursor == row[count - 1].position + 1)) {
            *ret_more = false;
            break;
        }
    }
    return CN_OK;
}

/* Milliseconds, or RFC 3339. False after answering. */
static bool read_time(cn_request *r, const char *name, uint64_t *ret)
{
    const char *text = cn_request_query(r, name);
    if (!text)
        return true;
    int64_t ms = 0;
    if (cn_time_parse(text, strlen(text), &ms) && ms >= 0) {
        *ret = (uint64_t)ms;
        return true;
    }
    cn_err err;
    cn_fail(&err, CN_INVALID, name, "\"%.40s\" is not a time such as 2026-05-01T00:00:00Z", text);
    cn_reply_error(r, &err);
    return false;
}

void cn_api_get_subject_events(cn_request *r)
{
    subject subj;
    bool bad = false, more = false;
    event_query q = {.to_ms = UINT64_MAX, .limit = EVENTS_DEFAULT};
    if (!read_time(r, "from", &q.from_ms) || !read_time(r, "to", &q.to_ms) || !read_subject(r, &subj))
        return;
    cn_request_query_u64(r, "cursor", &q.cursor, &bad);
    if (!bad)
        cn_request_query_u64(r, "limit", &q.limit, &bad);
    if (bad)
        return;
    if (q.limit == 0 || q.limit > EVENTS_MAX)
        q.limit = EVENTS_MAX;
    q.type = cn_request_query(r, "type");
    q.tag = &subj.tag;
    q.events = json_array();
    cn_snapshot *snap = NULL;
    cn_err err = {0};
    cn_status st = cn_snapshot_open(r->backend->store, &snap, &err);
    if (st == CN_OK)
        st = collect_events(snap, &q, &more, &err);
    if (st == CN_NOT_FOUND)
        cn_fail(&err, st, "subject", "nothing is recorded about %.120s", subj.uri);
    if (st == CN_OK) {
        json_t *view = json_pack("{s:s, s:O}", "subject", subj.uri, "events", q.events);
        json_object_set_new(view, "next_cursor", more ? json_integer((json_int_t)q.cursor) : json_null());
        cn_reply_json(r, MHD_HTTP_OK, view);
    } else {
        cn_reply_error(r, &err);
    }
    json_decref(q.events);
    cn_snapshot_close(snap);
}

/* ---- dossiers ---- */

void cn_api_get_subject_audit(cn_request *r)
{
    subject subj;
    if (!read_subject(r, &subj))
        return;
    cn_api_reply_audit(r, subj.uri, NULL);
}
