/* The HTTP client: libcurl with deadlines and a cap on what it takes. */
#include "tools/cli/cli.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

void cli_http_begin(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_body(char *p, size_t size, size_t count, void *ctx)
{
    cn_buf *body = ctx;
    cn_put_bytes(body, p, size * count);
    return body->fault ? 0 : size * count;
}

static size_t on_header(char *p, size_t size, size_t count, void *ctx)
{
    cli_answer *a = ctx;
    size_t n = size * count;
    char line[64];
    if (n > 12 && n < sizeof line && strncasecmp(p, "Retry-After:", 12) == 0) {
        memcpy(line, p + 12, n - 12);
        line[n - 12] = '\0';
        a->retry_after = (unsigned)strtoul(line, NULL, 10);
    }
    return n;
}

cn_status cli_http(const char *api, const char *path, const char *content_type, const void *body, size_t n,
                   unsigned timeout_s, cli_answer *ret, cn_err *err)
{
    char url[8192], type[128];
    struct curl_slist *headers = NULL;
    CURL *curl = curl_easy_init();
    *ret = (cli_answer){0};
    cn_buf_init(&ret->body, CLI_ANSWER_MAX);
    if (!curl)
        return cn_fail(err, CN_NO_MEMORY, "http", "out of memory");
    size_t trim = strlen(api);
    while (trim > 0 && api[trim - 1] == '/')
        trim--;
    snprintf(url, sizeof url, "%.*s%s", (int)trim, api, path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 5L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout_s);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &ret->body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, ret);
    if (body) {
        snprintf(type, sizeof type, "Content-Type: %s", content_type);
        headers = curl_slist_append(headers, type);
        headers = curl_slist_append(headers, "Expect:");
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
    }
    CURLcode rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    if (rc == CURLE_OK)
        return CN_OK;
    cli_answer_free(ret);
    return cn_fail(err, CN_IO, api, "the node does not answer: %s; is it running? (carnet testnet status)",
                   curl_easy_strerror(rc));
}

void cli_answer_free(cli_answer *a)
{
    cn_buf_free(&a->body);
}

cn_status cli_problem(const cli_answer *a, cn_err *err)
{
    if (a->status >= 200 && a->status < 300)
        return CN_OK;
    json_t *problem = json_loadb((const char *)a->body.p, a->body.n, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *field = json_string_value(json_object_get(problem, "field"));
    const char *type = json_string_value(json_object_get(problem, "type"));
    cn_status code = a->status == 404 ? CN_NOT_FOUND : a->status == 503 ? CN_FULL : CN_DENIED;
    cn_fail(err, code, field ? field : "answer", "%s (%s, HTTP %ld)", detail ? detail : "no reason was given",
            type ? type : "no type", a->status);
    json_decref(problem);
    return code;
}

cn_status cli_get_json(const char *api, const char *path, json_t **ret, cn_err *err)
{
    cli_answer a;
    cn_status st = cli_http(api, path, NULL, NULL, 0, 60, &a, err);
    if (st != CN_OK)
        return st;
    st = cli_problem(&a, err);
    if (st == CN_OK && !(*ret = json_loadb((const char *)a.body.p, a.body.n, 0, NULL)))
        st = cn_fail(err, CN_INVALID, path, "the answer is not JSON");
    cli_answer_free(&a);
    return st;
}

bool cli_encode(const char *text, char *out, size_t cap)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t n = 0;
    for (; *text; text++) {
        bool keep = strchr(plain, *text) != NULL;
        if (n + (keep ? 1 : 3) + 1 > cap)
            return false;
        if (keep)
            out[n++] = *text;
        else
            n += (size_t)snprintf(out + n, cap - n, "%%%02X", (unsigned)(unsigned char)*text);
    }
    out[n] = '\0';
    return true;
}
