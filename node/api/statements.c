/* POST /v1/statements, GET /v1/statements/{id} */
#include "node/api/erasures.h"
#include "node/api/request.h"
#include "node/api/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WAIT_FINAL_MS 30000u
#define MAX_STATEMENTS 1000u

typedef struct submission {
    size_t count;
    cn_span *statement;
    uint8_t *decoded; /* one buffer for all base64 strings */
    bool single;
} submission;

static void submission_free(submission *s)
{
    free(s->statement);
    free(s->decoded);
}

/* A JSON value of two bytes costs the parser a hundred: what is no flat list of strings is refused before it is parsed.
 * Everything else about the syntax is left to the parser. */
static cn_status check_flat(const cn_request *r, cn_err *err)
{
    size_t commas = 0, opened = 0;
    bool in_string = false;
    for (size_t i = 0; i < r->body_len; i++) {
        uint8_t c = r->body[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || (c == '[' && opened++ > 0)))
            return cn_fail(err, CN_INVALID, "body",
                           "expected one JSON array of base64 strings; at byte %zu another array or an object begins",
                           i);
        else if (!in_string && c == ',' && ++commas >= MAX_STATEMENTS)
            return cn_fail(err, CN_TOO_LARGE, "body", "more than %u statements; submit them in several requests",
                           MAX_STATEMENTS);
    }
    return CN_OK;
}

static cn_status read_base64_array(const cn_request *r, submission *s, cn_err *err)
{
    json_error_t where;
    cn_status flat = check_flat(r, err);
    if (flat != CN_OK)
        return flat;
    json_t *array = json_loadb((const char *)r->body, r->body_len, JSON_REJECT_DUPLICATES, &where);
    if (!array)
        return cn_fail(err, CN_INVALID, "body", "not JSON, at line %d column %d: %s", where.line, where.column,
                       where.text);
    cn_status st = CN_OK;
    size_t count = json_array_size(array);
    if (!json_is_array(array) || count == 0 || count > MAX_STATEMENTS) {
        st = cn_fail(err, CN_INVALID, "body", "expected a JSON array of 1 to %u base64 strings", MAX_STATEMENTS);
        goto done;
    }
    s->statement = calloc(count, sizeof *s->statement);
    s->decoded = malloc(r->body_len);
    if (!s->statement || !s->decoded) {
        st = cn_fail(err, CN_NO_MEMORY, "body", "out of memory");
        goto done;
    }
    size_t used = 0;
    for (size_t i = 0; i < count && st == CN_OK; i++) {
        const json_t *item = json_array_get(array, i);
        const char *text = json_string_value(item);
        size_t len = json_string_length(item), n = 0;
        char field[32];
        snprintf(field, sizeof field, "/%zu", i);
        if (!text)
            st = cn_fail(err, CN_INVALID, field, "not a string; each statement is a base64 string");
        else if (!cn_unbase64(text, len, s->decoded + used, r->body_len - used, &n))
            st = cn_fail(err, CN_INVALID, field, "not base64 (RFC 4648 section 4, with padding)");
        s->statement[i] = CN_SPAN(s->decoded + used, n);
        used += n;
    }
    s->count = count;
done:
    json_decref(array);
    return st;
}

typedef enum media { MEDIA_OTHER, MEDIA_PROTOBUF, MEDIA_JSON } media;

/* RFC 9110 section 8.3.1: the names ignore case; parameters follow a semicolon and change nothing here. */
static bool is_type(const char *type, const char *wanted)
{
    size_t n = strlen(wanted);
    return strncasecmp(type, wanted, n) == 0 && (type[n] == '\0' || type[n + strspn(type + n, " \t")] == ';');
}

static media media_of(const cn_request *r)
{
    const char *type = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (type && is_type(type, "application/json"))
        return MEDIA_JSON;
    bool protobuf = type && (is_type(type, "application/x-protobuf") || is_type(type, "application/protobuf"));
    return protobuf ? MEDIA_PROTOBUF : MEDIA_OTHER;
}

static cn_status read_submission(const cn_request *r, media type, submission *s, cn_err *err)
{
    if (r->body_len == 0)
        return cn_fail(err, CN_INVALID, "body", "the body is empty; send a SignedStatement");
    if (type == MEDIA_JSON)
        return read_base64_array(r, s, err);
    s->statement = calloc(1, sizeof *s->statement);
    if (!s->statement)
        return cn_fail(err, CN_NO_MEMORY, "body", "out of memory");
    s->statement[0] = CN_SPAN(r->body, r->body_len);
    s->count = 1;
    s->single = true;
    return CN_OK;
}

static json_t *view_result(const cn_submit_result *result)
{
    if (result->phase != CN_PHASE_FINAL)
        return json_pack("{s:o, s:s}", "id", cn_json_digest(&result->id), "status", "pending");
    return json_pack("{s:o, s:s, s:I, s:I, s:o}", "id", cn_json_digest(&result->id), "status", "final", "height",
                     (json_int_t)result->height, "log_index", (json_int_t)result->log_index, "time",
                     cn_json_time(result->time_ms));
}

/* The first refusal answers for all; the field says which statement of an array. */
static void reply_refused(cn_request *r, const submission *s, const cn_submit_result *results, const cn_err *err)
{
    for (size_t i = 0; i < s->count; i++) {
        if (results[i].phase != CN_PHASE_REFUSED)
            continue;
        json_t *problem = cn_json_problem(&results[i].err);
        unsigned http_status = cn_http_status_of(results[i].err.code);
        json_object_set_new(problem, "statement", json_integer((json_int_t)i));
        if (!cn_digest_is_zero(&results[i].id))
            json_object_set_new(problem, "id", cn_json_digest(&results[i].id));
        cn_reply_problem_json(r, http_status, problem);
        return;
    }
    cn_reply_error(r, err);
}

static void submit(cn_request *r, const submission *s, uint64_t wait_ms)
{
    cn_submit_result *results = calloc(s->count, sizeof *results);
    cn_err err = {0};
    if (!results) {
        cn_fail(&err, CN_NO_MEMORY, "body", "out of memory");
        cn_reply_error(r, &err);
        return;
    }
    cn_status st = r->backend->submit(r->backend->ctx, s->statement, s->count, wait_ms, results, &err);
    if (st != CN_OK) {
        reply_refused(r, s, results, &err);
        free(results);
        return;
    }
    bool all_final = true;
    for (size_t i = 0; i < s->count; i++)
        all_final = all_final && results[i].phase == CN_PHASE_FINAL;
    json_t *answer = s->single ? view_result(&results[0]) : json_array();
    for (size_t i = 0; i < s->count && !s->single; i++)
        json_array_append_new(answer, view_result(&results[i]));
    cn_reply_json(r, all_final ? MHD_HTTP_OK : MHD_HTTP_ACCEPTED, answer);
    free(results);
}

void cn_api_post_statements(cn_request *r)
{
    const char *wait = cn_request_query(r, "wait");
    cn_err err = {0};
    if (wait && strcmp(wait, "final") != 0) {
        cn_fail(&err, CN_INVALID, "wait", "\"%.40s\" is not known; the only value is wait=final", wait);
        cn_reply_error(r, &err);
        return;
    }
    media type = media_of(r);
    if (type == MEDIA_OTHER) {
        cn_fail(&err, CN_INVALID, "Content-Type", "expected application/x-protobuf or application/json");
        cn_reply_problem(r, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, &err);
        return;
    }
    submission s = {0};
    if (read_submission(r, type, &s, &err) == CN_OK)
        submit(r, &s, wait ? WAIT_FINAL_MS : 0);
    else
        cn_reply_error(r, &err);
    submission_free(&s);
}

/* Of a batch that has lost items: which statements ordered that. */
static cn_status add_orders(cn_request *r, cn_snapshot *snap, const cn_statement *s, json_t *view, cn_err *err)
{
    cn_erasure_order order[CN_ERASURES_SHOWN];
    size_t count = 0;
    json_t *list = json_array();
    cn_status st =
        cn_erasures_of(snap, r->backend->subject_salt, UINT64_MAX, &s->id, order, CN_ERASURES_SHOWN, &count, err);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:o, s:I, s:I, s:I, s:I}", "statement", cn_json_digest(&order[i].id),
                                              "log_index", (json_int_t)order[i].log_index, "start",
                                              (json_int_t)order[i].start, "count", (json_int_t)order[i].count, "reason",
                                              (json_int_t)order[i].reason));
    json_object_set_new(view, "erased_by", list);
    return st;
}

static bool reply_final(cn_request *r, const cn_digest *id)
{
    cn_snapshot *snap = NULL;
    cn_err err = {0};
    cn_statement *s = NULL;
    uint64_t index = 0;
    cn_stored_statement stored;
    cn_header header;
    cn_status st = cn_snapshot_open(r->backend->store, &snap, &err);
    if (st == CN_OK)
        st = cn_snapshot_find_id(snap, id, &index, &err);
    if (st == CN_NOT_FOUND) {
        cn_snapshot_close(snap);
        return false;
    }
    if (st == CN_OK)
        st = cn_snapshot_statement(snap, index, &stored, &err);
    if (st == CN_OK)
        st = cn_snapshot_header(snap, stored.height, &header, &err);
    if (st == CN_OK)
        st = cn_view_decode(&stored, &s, &err);
    json_t *view = st == CN_OK ? cn_view_statement(s, true) : NULL;
    if (st == CN_OK && stored.erased)
        st = add_orders(r, snap, s, view, &err);
    if (st == CN_OK) {
        json_object_set_new(view, "status", json_string("final"));
        json_object_set_new(view, "height", json_integer((json_int_t)stored.height));
        json_object_set_new(view, "log_index", json_integer((json_int_t)stored.log_index));
        json_object_set_new(view, "time", cn_json_time(header.time_ms));
        json_object_set_new(view, "bytes_base64", cn_view_base64(s->whole.p, s->whole.n));
        cn_reply_json(r, MHD_HTTP_OK, json_incref(view));
    } else {
        cn_reply_error(r, &err);
    }
    json_decref(view);
    cn_statement_free(s);
    cn_snapshot_close(snap);
    return true;
}

void cn_api_get_statement(cn_request *r)
{
    cn_digest id;
    if (!cn_request_digest(r, "statement id", &id) || reply_final(r, &id))
        return;
    cn_err reason = {0};
    cn_statement_phase phase = r->backend->phase(r->backend->ctx, &id, &reason);
    json_t *view = json_pack("{s:o}", "id", cn_json_digest(&id));
    if (phase == CN_PHASE_PENDING) {
        json_object_set_new(view, "status", json_string("pending"));
    } else if (phase == CN_PHASE_REFUSED) {
        json_object_set_new(view, "status", json_string("refused"));
        json_object_set_new(view, "reason", cn_json_problem(&reason));
    } else if (phase == CN_PHASE_FINAL && reply_final(r, &id)) {
        json_decref(view);
        return;
    } else {
        json_object_set_new(view, "status", json_string("unknown"));
    }
    cn_reply_json(r, phase == CN_PHASE_UNKNOWN ? MHD_HTTP_NOT_FOUND : MHD_HTTP_OK, view);
}
