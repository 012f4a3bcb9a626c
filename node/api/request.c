/* Answers: JSON, bytes, RFC 9457 problem documents. */
#include "node/api/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *cn_request_query(const cn_request *r, const char *name)
{
    const char *value = NULL;
    size_t n = 0;
    enum MHD_Result found =
        MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value, &n);
    if (found != MHD_YES)
        return NULL;
    return value ? value : "";
}

bool cn_request_query_u64(cn_request *r, const char *name, uint64_t *ret, bool *ret_bad)
{
    const char *text = cn_request_query(r, name);
    if (!text)
        return false;
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno) {
        cn_err err;
        cn_fail(&err, CN_INVALID, name, "\"%s\" is not a whole number", text);
        cn_reply_problem(r, MHD_HTTP_BAD_REQUEST, &err);
        *ret_bad = true;
        return false;
    }
    *ret = value;
    return true;
}

static void set_response(cn_request *r, unsigned http_status, struct MHD_Response *response, size_t n, const char *type)
{
    if (r->response)
        MHD_destroy_response(r->response);
    r->response = response;
    r->http_status = http_status;
    r->answer_len = n;
    if (!response)
        return;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Cache-Control", "no-store");
}

static void reply_json_as(cn_request *r, unsigned http_status, json_t *json, const char *type)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(json);
    if (!text)
        return;
    size_t n = strlen(text);
    set_response(r, http_status, MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE), n, type);
}

void cn_reply_json(cn_request *r, unsigned http_status, json_t *json)
{
    reply_json_as(r, http_status, json, "application/json");
}

void cn_reply_bytes(cn_request *r, unsigned http_status, const char *type, const void *p, size_t n)
{
    set_response(r, http_status, MHD_create_response_from_buffer(n, (void *)(uintptr_t)p, MHD_RESPMEM_MUST_COPY), n,
                 type);
}

void cn_reply_header(cn_request *r, const char *name, const char *value)
{
    if (r->response)
        MHD_add_response_header(r->response, name, value);
}

unsigned cn_http_status_of(cn_status code)
{
    switch (code) {
    case CN_OK:
        return MHD_HTTP_OK;
    case CN_INVALID:
    case CN_NOT_CANONICAL:
    case CN_WRONG_NETWORK:
    case CN_ITEM_ROOT:
        return MHD_HTTP_BAD_REQUEST;
    case CN_BAD_SIGNATURE:
    case CN_UNKNOWN_KEY:
    case CN_KEY_NOT_ACTIVE:
    case CN_DENIED:
        return MHD_HTTP_FORBIDDEN;
    case CN_TOO_LARGE:
        return MHD_HTTP_CONTENT_TOO_LARGE;
    case CN_BROKEN_CHAIN:
    case CN_CONFLICT:
    case CN_DUPLICATE:
        return MHD_HTTP_CONFLICT;
    case CN_NOT_FOUND:
        return MHD_HTTP_NOT_FOUND;
    case CN_ERASED:
        return MHD_HTTP_GONE;
    case CN_FULL:
    case CN_NO_MEMORY:
    case CN_TIMEOUT:
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    case CN_CORRUPT:
    case CN_IO:
    case CN_DIVERGED:
        return MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
    return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

/* A problem may quote what came, and what came need not be UTF-8, or may be cut within a character. */
static json_t *quoted(const char *text)
{
    char plain[sizeof(cn_err)];
    json_t *json = json_string(text);
    if (json)
        return json;
    snprintf(plain, sizeof plain, "%s", text);
    for (char *c = plain; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    return json_string(plain);
}

json_t *cn_json_problem(const cn_err *err)
{
    char type[64];
    snprintf(type, sizeof type, "urn:carnet:problem:%s", cn_status_type(err->code));
    json_t *problem = json_pack("{s:s, s:s, s:o}", "type", type, "title", cn_status_text(err->code), "detail",
                                quoted(err->text[0] ? err->text : cn_status_text(err->code)));
    if (problem && err->field[0])
        json_object_set_new(problem, "field", quoted(err->field));
    return problem;
}

void cn_reply_problem_json(cn_request *r, unsigned http_status, json_t *problem)
{
    if (problem)
        json_object_set_new(problem, "status", json_integer((json_int_t)http_status));
    reply_json_as(r, http_status, problem, "application/problem+json");
    if (http_status == MHD_HTTP_SERVICE_UNAVAILABLE)
        cn_reply_header(r, "Retry-After", "1");
}

void cn_reply_problem(cn_request *r, unsigned http_status, const cn_err *err)
{
    cn_reply_problem_json(r, http_status, cn_json_problem(err));
}

void cn_reply_error(cn_request *r, const cn_err *err)
{
    cn_reply_problem(r, cn_http_status_of(err->code), err);
}

bool cn_request_digest(cn_request *r, const char *what, cn_digest *ret)
{
    if (cn_unhex(r->argument, strlen(r->argument), ret->b, sizeof ret->b))
        return true;
    cn_err err;
    cn_fail(&err, CN_INVALID, what, "\"%.80s\" is not 64 lower-case hexadecimal digits", r->argument);
    cn_reply_problem(r, MHD_HTTP_BAD_REQUEST, &err);
    return false;
}

json_t *cn_json_digest(const cn_digest *d)
{
    return json_string(cn_digest_hex(d).s);
}

json_t *cn_json_hex(const void *p, size_t n)
{
    char text[2 * 256 + 1];
    CN_ASSERT(n <= 256);
    cn_hex(p, n, text);
    return json_string(text);
}

json_t *cn_json_time(uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[48], whole[40];
    if (!gmtime_r(&seconds, &tm) || strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        return json_null();
    snprintf(text, sizeof text, "%s.%03uZ", whole, (unsigned)(ms % 1000));
    return json_string(text);
}
