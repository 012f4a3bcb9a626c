/* Operations: status, why, livez, readyz, metrics. */
#include "node/api/request.h"

#include <stdlib.h>
#include <string.h>

void cn_api_get_status(cn_request *r)
{
    cn_reply_json(r, MHD_HTTP_OK, r->backend->status(r->backend->ctx));
}

void cn_api_get_why(cn_request *r)
{
    cn_reply_json(r, MHD_HTTP_OK, r->backend->why(r->backend->ctx));
}

void cn_api_get_livez(cn_request *r)
{
    json_t *checks = json_object();
    r->backend->ready(r->backend->ctx, checks);
    const json_t *loop = json_object_get(checks, "consensus-thread");
    bool alive = loop && strcmp(json_string_value(loop), "ok") == 0;
    cn_reply_bytes(r, alive ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain", alive ? "ok\n" : "stuck\n",
                   alive ? 3 : 6);
    json_decref(checks);
}

void cn_api_get_readyz(cn_request *r)
{
    json_t *checks = json_object();
    bool ready = r->backend->ready(r->backend->ctx, checks);
    unsigned http_status = ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    if (cn_request_query(r, "verbose"))
        cn_reply_json(r, http_status, json_pack("{s:b, s:O}", "ready", ready, "checks", checks));
    else
        cn_reply_bytes(r, http_status, "text/plain", ready ? "ok\n" : "not ready\n", ready ? 3 : 10);
    json_decref(checks);
}

void cn_api_get_metrics(cn_request *r)
{
    char *text = NULL;
    size_t n = 0;
    r->backend->metrics(r->backend->ctx, &text, &n);
    if (text)
        cn_reply_bytes(r, MHD_HTTP_OK, "text/plain; version=0.0.4", text, n);
    free(text);
}
