/* Blocks, headers, checkpoints, validators, genesis. */
#include "node/api/request.h"
#include "node/api/view.h"
#include "proto/quorum.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Opens a snapshot and its tip; false after answering. */
static bool open_tip(cn_request *r, cn_snapshot **ret, cn_tip *ret_tip)
{
    cn_err err = {0};
    *ret = NULL;
    cn_status st = cn_snapshot_open(r->backend->store, ret, &err);
    if (st == CN_OK)
        st = cn_snapshot_tip(*ret, ret_tip, &err);
    if (st == CN_OK)
        return true;
    cn_snapshot_close(*ret);
    cn_reply_error(r, &err);
    return false;
}

static json_t *view_block(cn_snapshot *snap, uint64_t height, bool with_statements, cn_err *err)
{
    cn_header header;
    cn_span certificate;
    uint64_t first = 0;
    uint32_t count = 0;
    if (cn_snapshot_header(snap, height, &header, err) != CN_OK)
        return NULL;
    cn_digest digest = cn_header_digest(&header);
    json_t *view = cn_view_header(&header, &digest);
    cn_status st = cn_snapshot_certificate(snap, height, &certificate, NULL);
    json_object_set_new(view, "finalization_base64",
                        st == CN_OK ? cn_view_base64(certificate.p, certificate.n) : json_null());
    if (!with_statements)
        return view;
    json_t *records = json_array();
    st = cn_snapshot_block_statements(snap, height, &first, &count, err);
    for (uint32_t i = 0; st == CN_OK && i < count; i++) {
        cn_digest record;
        st = cn_snapshot_log_entry(snap, first + i, &record, err);
        if (st == CN_OK)
            json_array_append_new(records, cn_json_digest(&record));
    }
    json_object_set_new(view, "first_log_index", json_integer((json_int_t)first));
    json_object_set_new(view, "records", records);
    if (st == CN_OK)
        return view;
    json_decref(view);
    return NULL;
}

static void reply_block(cn_request *r, cn_snapshot *snap, uint64_t height, bool with_statements)
{
    cn_err err = {0};
    json_t *view = view_block(snap, height, with_statements, &err);
    if (view)
        cn_reply_json(r, MHD_HTTP_OK, view);
    else
        cn_reply_error(r, &err);
}

void cn_api_get_block(cn_request *r)
{
    cn_snapshot *snap;
    cn_tip tip;
    char *end = NULL;
    errno = 0;
    unsigned long long height = strtoull(r->argument, &end, 10);
    cn_err err;
    if (r->argument[0] < '0' || r->argument[0] > '9' || *end || errno) {
        cn_fail(&err, CN_INVALID, "height", "\"%.40s\" is not a block height", r->argument);
        cn_reply_error(r, &err);
        return;
    }
    if (!open_tip(r, &snap, &tip))
        return;
    if (height > tip.height) {
        cn_fail(&err, CN_NOT_FOUND, "height", "the newest final block here is %llu", (unsigned long long)tip.height);
        cn_reply_error(r, &err);
    } else {
        reply_block(r, snap, height, true);
    }
    cn_snapshot_close(snap);
}

void cn_api_get_latest_header(cn_request *r)
{
    cn_snapshot *snap;
    cn_tip tip;
    if (!open_tip(r, &snap, &tip))
        return;
    reply_block(r, snap, tip.height, false);
    cn_snapshot_close(snap);
}

void cn_api_get_validators(cn_request *r)
{
    json_t *status = r->backend->status(r->backend->ctx);
    json_t *view = json_pack("{s:O?, s:O?, s:O?}", "epoch", json_object_get(status, "epoch"), "set",
                             json_object_get(status, "set"), "validators", json_object_get(status, "validators"));
    cn_reply_json(r, MHD_HTTP_OK, view);
    json_decref(status);
}

void cn_api_get_genesis(cn_request *r)
{
    cn_snapshot *snap = NULL;
    cn_span bytes;
    cn_err err = {0};
    cn_status st = cn_snapshot_open(r->backend->store, &snap, &err);
    if (st == CN_OK)
        st = cn_snapshot_genesis(snap, &bytes, &err);
    if (st == CN_OK)
        cn_reply_bytes(r, MHD_HTTP_OK, "application/json", bytes.p, bytes.n);
    else
        cn_reply_error(r, &err);
    cn_snapshot_close(snap);
}
