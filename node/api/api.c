/* The server: connections, bodies with a cap, routing. */
#include "node/api/api.h"

#include "node/api/deadline.h"
#include "node/api/request.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A caller that is silent so long is closed, before its first request and later. */
#define FIRST_SILENCE_S 10u
#define SILENCE_S 60u
/* A caller that is not silent has so long for its first headers, for the next ones, and for a body or an answer beside
 * a second for each 16 kB. */
#define FIRST_HEADERS_MS 10000u
#define NEXT_HEADERS_MS 60000u
#define BODY_MS 10000u
#define ANSWER_MS 60000u
#define BYTES_PER_MS 16u

struct cn_api {
    struct MHD_Daemon *daemon;
    cn_deadlines *deadlines;
    cn_api_backend backend;
    atomic_size_t bodies;
    uint16_t port;
};

typedef struct route {
    const char *method, *prefix, *suffix;
    bool has_argument;
    void (*handler)(cn_request *);
    const char *summary, *query;
} route;

static const route routes[] = {
#define CN_ROUTE_ROW(method, prefix, suffix, arg, handler, summary, query)                                             \
    {method, prefix, suffix, arg, handler, summary, query},
    CN_API_ROUTES(CN_ROUTE_ROW)
#undef CN_ROUTE_ROW
};
#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

/* ---- percent decoding and route matching ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* out holds n + 1 bytes. False: a broken escape or a NUL. */
static bool percent_decode(const char *in, size_t n, char *out)
{
    size_t o = 0;
    for (size_t i = 0; i < n; i++) {
        char c = in[i];
        if (c == '%') {
            int high = i + 1 < n ? hex_digit(in[i + 1]) : -1;
            int low = i + 2 < n ? hex_digit(in[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0')
            return false;
        out[o++] = c;
    }
    out[o] = '\0';
    return true;
}

/* The argument is matched on the raw path, so that an encoded slash never ends it. */
static bool route_matches(const route *rt, const char *path, const char **ret_arg, size_t *ret_len)
{
    size_t prefix = strlen(rt->prefix), suffix = strlen(rt->suffix), n = strlen(path);
    if (!rt->has_argument)
        return strcmp(path, rt->prefix) == 0;
    if (n <= prefix + suffix || memcmp(path, rt->prefix, prefix) != 0)
        return false;
    if (memcmp(path + n - suffix, rt->suffix, suffix) != 0)
        return false;
    *ret_arg = path + prefix;
    *ret_len = n - prefix - suffix;
    return true;
}

/* ---- query parameters ---- */

typedef struct query_check {
    const char *allowed; /* names, separated by spaces */
    char seen[8][16];
    size_t count;
    cn_err *err;
    cn_status status;
} query_check;

static bool is_among(const char *names, const char *name, size_t n)
{
    for (const char *at = names; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        if (len == n && memcmp(at, name, n) == 0)
            return true;
        at += len;
    }
    return false;
}

static enum MHD_Result check_parameter(void *ctx, enum MHD_ValueKind kind, const char *name, size_t n,
                                       const char *value, size_t value_len)
{
    query_check *q = ctx;
    (void)kind;
    (void)value;
    (void)value_len;
    if (!is_among(q->allowed, name, n) || n >= sizeof q->seen[0] || q->count == sizeof q->seen / sizeof q->seen[0]) {
        q->status = cn_fail(q->err, CN_INVALID, name, "the parameter \"%.40s\" is not known here; allowed: %s", name,
                            q->allowed[0] ? q->allowed : "none");
        return MHD_NO;
    }
    for (size_t i = 0; i < q->count; i++)
        if (strcmp(q->seen[i], name) == 0) {
            q->status = cn_fail(q->err, CN_INVALID, name, "the parameter is given twice");
            return MHD_NO;
        }
    memcpy(q->seen[q->count++], name, n + 1);
    return MHD_YES;
}

/* A misspelt filter that is ignored would answer another question than the one that was asked. */
static cn_status check_query(cn_request *r, const route *rt, cn_err *err)
{
    query_check q = {.allowed = rt->query, .err = err, .status = CN_OK};
    (void)MHD_get_connection_values_n(r->connection, MHD_GET_ARGUMENT_KIND, check_parameter, &q);
    return q.status;
}

/* ---- routing ---- */

static void reply_no_route(cn_request *r, const route *other)
{
    cn_err err;
    if (!other) {
        cn_fail(&err, CN_NOT_FOUND, "path", "%.120s: there is no such path; see /v1/openapi.json", r->path);
        cn_reply_error(r, &err);
        return;
    }
    cn_fail(&err, CN_INVALID, "method", "%.20s is not served for this path; see /v1/openapi.json", r->method);
    cn_reply_problem(r, MHD_HTTP_METHOD_NOT_ALLOWED, &err);
    cn_reply_header(r, MHD_HTTP_HEADER_ALLOW, strcmp(other->method, "GET") == 0 ? "GET, HEAD" : other->method);
}

static void dispatch(cn_request *r)
{
    const route *other = NULL; /* the path is known, but not for this method */
    const char *method = strcmp(r->method, "HEAD") == 0 ? "GET" : r->method;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const route *rt = &routes[i];
        const char *arg = "";
        size_t arg_len = 0;
        cn_err err = {CN_INVALID, "path", "a percent escape in the path is broken; encode each byte as %HH"};
        if (!route_matches(rt, r->path, &arg, &arg_len))
            continue;
        if (strcmp(rt->method, method) != 0) {
            other = rt;
            continue;
        }
        if (!percent_decode(arg, arg_len, r->argument) || check_query(r, rt, &err) != CN_OK)
            cn_reply_problem(r, MHD_HTTP_BAD_REQUEST, &err);
        else
            rt->handler(r);
        return;
    }
    reply_no_route(r, other);
}

void cn_api_get_openapi(cn_request *r)
{
    json_t *paths = json_object();
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const route *rt = &routes[i];
        char path[256];
        snprintf(path, sizeof path, "%s%s%s", rt->prefix, rt->has_argument ? "{id}" : "", rt->suffix);
        json_t *parameters = json_array();
        if (rt->has_argument)
            json_array_append_new(parameters, json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", "id", "in", "path",
                                                        "required", 1, "schema", "type", "string"));
        char query[128];
        snprintf(query, sizeof query, "%s", rt->query);
        char *save = NULL;
        for (char *name = strtok_r(query, " ", &save); name; name = strtok_r(NULL, " ", &save))
            json_array_append_new(
                parameters, json_pack("{s:s, s:s, s:{s:s}}", "name", name, "in", "query", "schema", "type", "string"));
        char method[8] = {0};
        for (size_t k = 0; k < sizeof method - 1 && rt->method[k]; k++)
            method[k] = (char)(rt->method[k] | 0x20);
        json_t *operation =
            json_pack("{s:s, s:o, s:{s:{s:s}, s:{s:s}}}", "summary", rt->summary, "parameters", parameters, "responses",
                      "200", "description", "The answer.", "default", "description", "An RFC 9457 problem document.");
        json_t *item = json_object_get(paths, path);
        if (item)
            json_object_set_new(item, method, operation);
        else
            json_object_set_new(paths, path, json_pack("{s:o}", method, operation));
    }
    cn_reply_json(r, MHD_HTTP_OK,
                  json_pack("{s:s, s:{s:s, s:s, s:s}, s:o}", "openapi", "3.1.0", "info", "title", "Carnet node API",
                            "version", CARNET_VERSION, "license", "Apache-2.0", "paths", paths));
}

/* ---- libmicrohttpd callbacks ---- */

static cn_deadline *deadline_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        cn_deadline_leave(*socket_context);
        *socket_context = NULL;
        return;
    }
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    cn_deadline *c = cn_deadline_enter(((cn_api *)ctx)->deadlines, fd);
    if (!c)
        (void)shutdown(fd, SHUT_RDWR); /* none is served without a limit */
    cn_deadline_set(c, FIRST_HEADERS_MS);
    *socket_context = c;
}

/* Called with the raw URI before anything is decoded; what it returns becomes the request's context. */
static void *begin_request(void *ctx, const char *uri, struct MHD_Connection *connection)
{
    cn_request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->backend = &((cn_api *)ctx)->backend;
    r->bodies = &((cn_api *)ctx)->bodies;
    r->connection = connection;
    size_t n = strcspn(uri, "?");
    r->path_too_long = n >= sizeof r->path;
    if (!r->path_too_long)
        memcpy(r->path, uri, n);
    return r;
}

static void end_request(void *ctx, struct MHD_Connection *connection, void **con_cls,
                        enum MHD_RequestTerminationCode code)
{
    (void)ctx;
    (void)code;
    cn_request *r = *con_cls;
    cn_deadline_set(deadline_of(connection), NEXT_HEADERS_MS);
    if (!r)
        return;
    if (r->response)
        MHD_destroy_response(r->response);
    atomic_fetch_sub(r->bodies, r->body_cap);
    free(r->body);
    free(r);
    *con_cls = NULL;
}

static bool grow_body(cn_request *r, size_t needed)
{
    size_t cap = r->body_cap ? r->body_cap : 4096;
    while (cap < needed)
        cap *= 2;
    size_t more = cap - r->body_cap;
    if (atomic_fetch_add(r->bodies, more) + more > CN_API_BODIES_MAX) {
        atomic_fetch_sub(r->bodies, more);
        return false;
    }
    uint8_t *grown = realloc(r->body, cap);
    if (!grown) {
        atomic_fetch_sub(r->bodies, more);
        return false;
    }
    r->body = grown;
    r->body_cap = cap;
    return true;
}

/* False: the sender goes on and on; the connection is closed. */
static bool collect_body(cn_request *r, const char *data, size_t n)
{
    if (n > CN_API_BODY_MAX - r->body_len)
        r->body_too_large = true;
    else if (!r->out_of_memory && r->body_len + n > r->body_cap && !grow_body(r, r->body_len + n))
        r->out_of_memory = true;
    if (r->body_too_large || r->out_of_memory) {
        r->body_dropped += n;
        return r->body_dropped <= 2 * CN_API_BODY_MAX;
    }
    memcpy(r->body + r->body_len, data, n);
    r->body_len += n;
    return true;
}

static bool refuse_malformed(cn_request *r)
{
    cn_err err;
    if (r->path_too_long) {
        cn_fail(&err, CN_TOO_LARGE, "path", "the path is longer than %u bytes", CN_API_PATH_MAX - 1);
        cn_reply_problem(r, MHD_HTTP_URI_TOO_LONG, &err);
        return true;
    }
    if (r->body_too_large)
        cn_fail(&err, CN_TOO_LARGE, "body", "the body is larger than %u bytes; submit in several requests",
                CN_API_BODY_MAX);
    else if (r->out_of_memory)
        cn_fail(&err, CN_NO_MEMORY, "body", "no memory for the body; try again later");
    else
        return false;
    cn_reply_error(r, &err);
    return true;
}

static enum MHD_Result send_reply(cn_request *r)
{
    if (!r->response) {
        cn_err err = {CN_NO_MEMORY, "", "the answer could not be built; try again later"};
        cn_reply_error(r, &err);
    }
    cn_deadline_set(deadline_of(r->connection), ANSWER_MS + r->answer_len / BYTES_PER_MS);
    return r->response ? MHD_queue_response(r->connection, r->http_status, r->response) : MHD_NO;
}

/* A length that is declared and too large: nothing of the body is kept. Who asks first is answered before it sends
 * anything; another one is read for a while, since closing at once would take the answer away from it. */
static bool refuse_declared(cn_request *r)
{
    const char *length = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    r->body_too_large = length && strtoull(length, NULL, 10) > CN_API_BODY_MAX;
    return r->body_too_large && MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT) &&
           refuse_malformed(r);
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload_data, size_t *upload_data_size, void **con_cls)
{
    (void)ctx;
    (void)url;
    (void)version;
    cn_request *r = *con_cls;
    if (!r)
        return MHD_NO;
    if (!r->method) { /* first call: headers only */
        r->method = method;
        (void)MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, SILENCE_S);
        cn_deadline_set(deadline_of(connection), BODY_MS);
        return refuse_declared(r) ? send_reply(r) : MHD_YES;
    }
    if (*upload_data_size > 0) {
        bool goes_on = collect_body(r, upload_data, *upload_data_size);
        r->body_credit += *upload_data_size;
        cn_deadline_extend(deadline_of(connection), r->body_credit / BYTES_PER_MS);
        r->body_credit %= BYTES_PER_MS;
        *upload_data_size = 0;
        return goes_on ? MHD_YES : MHD_NO;
    }
    cn_deadline_set(deadline_of(connection), 0); /* the time until it is final is ours */
    if (!refuse_malformed(r))
        dispatch(r);
    return send_reply(r);
}

/* ---- start and stop ---- */

/* "127.0.0.1:8080" or "[::1]:8080" */
static cn_status parse_loopback(const char *address, struct sockaddr_storage *ret, cn_err *err)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    size_t n = colon ? (size_t)(colon - address) : 0;
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (!colon || n == 0 || n >= sizeof host || end == colon + 1 || *end || port > 65535)
        return cn_fail(err, CN_INVALID, "api.listen", "\"%s\" is not address:port, e.g. 127.0.0.1:8080", address);
    memcpy(host, address, n);
    host[n] = '\0';
    memset(ret, 0, sizeof *ret);
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    if (strcmp(host, "localhost") == 0)
        memcpy(host, "127.0.0.1", sizeof "127.0.0.1");
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        if ((ntohl(v4->sin_addr.s_addr) >> 24) == 127)
            return CN_OK;
    } else if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)) {
            v6->sin6_family = AF_INET6;
            v6->sin6_port = htons((uint16_t)port);
            return CN_OK;
        }
    }
    return cn_fail(
        err, CN_DENIED, "api.listen",
        "%s is not a loopback address; the API has no access control yet, so it binds to 127.0.0.1 or [::1] only",
        address);
}

cn_status cn_api_start(const char *address, const cn_api_backend *backend, cn_api **ret, cn_err *err)
{
    struct sockaddr_storage where;
    cn_status st = parse_loopback(address, &where, err);
    if (st != CN_OK)
        return st;
    cn_api *api = calloc(1, sizeof *api);
    if (!api)
        return cn_fail(err, CN_NO_MEMORY, "api", "out of memory");
    api->backend = *backend;
    api->deadlines = cn_deadlines_start();
    if (!api->deadlines) {
        free(api);
        return cn_fail(err, CN_NO_MEMORY, "api", "out of memory");
    }
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
    if (where.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    api->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, handle, api, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&where,
                         MHD_OPTION_URI_LOG_CALLBACK, begin_request, api, MHD_OPTION_NOTIFY_COMPLETED, end_request,
                         NULL, MHD_OPTION_CONNECTION_LIMIT, 256u, MHD_OPTION_PER_IP_CONNECTION_LIMIT, 256u,
                         MHD_OPTION_CONNECTION_TIMEOUT, FIRST_SILENCE_S, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
                         api, MHD_OPTION_THREAD_STACK_SIZE, (size_t)512 * 1024, MHD_OPTION_END);
    if (!api->daemon) {
        cn_deadlines_stop(api->deadlines);
        free(api);
        return cn_fail(err, CN_IO, "api.listen",
                       "cannot listen on %s: the port is taken; stop its owner or set api.listen", address);
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(api->daemon, MHD_DAEMON_INFO_BIND_PORT);
    api->port = info ? info->port : 0;
    *ret = api;
    return CN_OK;
}

uint16_t cn_api_port(const cn_api *api)
{
    return api->port;
}

void cn_api_stop(cn_api *api)
{
    if (!api)
        return;
    MHD_stop_daemon(api->daemon);
    cn_deadlines_stop(api->deadlines);
    free(api);
}
