/* Final checkpoints: what validators signed about them, and what time authorities say. */
#include "node/api/request.h"
#include "node/api/signed.h"
#include "node/api/view.h"
#include "proto/timestamp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- views ---- */

static json_t *view_signatures(const cn_signed *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->count; i++) {
        const cn_set_row *row = &s->set.row[s->place[i]];
        char signer[CN_SIGNER_NAME_MAX + 1], vkey[CN_NOTE_VKEY_MAX + 1], log_vkey[CN_NOTE_VKEY_MAX + 1];
        cn_digest kid = cn_receipt_kid(row->receipt_key);
        cn_signer_name(&s->checkpoint, s->name[i], signer);
        cn_note_vkey(signer, CN_NOTE_COSIGNATURE_V1, row->cosignature_key, vkey);
        cn_note_vkey(s->checkpoint.log_origin, CN_NOTE_ED25519, row->log_key, log_vkey);
        json_t *one =
            json_pack("{s:s, s:o, s:s, s:o, s:o, s:s, s:s}", "name", s->name[i], "member", cn_json_digest(&row->member),
                      "signer", signer, "receipt_kid", cn_json_digest(&kid), "receipt_key",
                      cn_json_hex(row->receipt_key, 33), "cosignature_vkey", vkey, "log_vkey", log_vkey);
        json_object_set_new(one, "receipt_base64", cn_view_base64(s->signature[i].receipt.b, CN_SIGNATURE_LEN));
        json_object_set_new(one, "cosignature_base64", cn_view_base64(s->signature[i].cosignature.b, CN_SIGNATURE_LEN));
        json_object_set_new(one, "log_base64", cn_view_base64(s->signature[i].log.b, CN_SIGNATURE_LEN));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *view_tokens(const cn_span *token, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        cn_timestamp t;
        if (cn_timestamp_read(token[i], &t, NULL) != CN_OK)
            continue; /* fsck names it */
        json_t *one =
            json_pack("{s:o, s:s, s:s}", "time", cn_json_time(t.time_ms), "policy", t.policy, "authority", t.authority);
        json_object_set_new(one, "token_base64", cn_view_base64(token[i].p, token[i].n));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *view_checkpoint(cn_snapshot *snap, const cn_signed *s, cn_err *err)
{
    cn_span certificate, token[CN_TOKENS_KEPT];
    size_t tokens = 0;
    uint8_t header[CN_HEADER_LEN];
    cn_status st = cn_snapshot_tokens(snap, s->header.height, token, &tokens, err);
    if (st != CN_OK)
        return NULL;
    json_t *view = cn_view_header(&s->header, &s->checkpoint.block);
    cn_header_encode(&s->header, header);
    st = cn_snapshot_certificate(snap, s->header.height, &certificate, NULL);
    json_object_set_new(view, "header_base64", cn_view_base64(header, sizeof header));
    json_object_set_new(view, "finalization_base64",
                        st == CN_OK ? cn_view_base64(certificate.p, certificate.n) : json_null());
    json_object_set_new(view, "log_origin", json_string(s->checkpoint.log_origin));
    json_object_set_new(view, "signatures", view_signatures(s));
    json_object_set_new(view, "tokens", view_tokens(token, tokens));
    return view;
}

/* ---- GET ---- */

/* height 0: the newest */
static void reply_checkpoint(cn_request *r, uint64_t height, bool note)
{
    cn_snapshot *snap = NULL;
    cn_err err = {0};
    cn_tip tip;
    cn_buf text;
    json_t *view = NULL;
    cn_signed *s = calloc(1, sizeof *s);
    cn_buf_init(&text, CN_MAX_NOTE_BYTES);
    cn_status st =
        s ? cn_snapshot_open(r->backend->store, &snap, &err) : cn_fail(&err, CN_NO_MEMORY, "", "out of memory");
    if (st == CN_OK)
        st = cn_snapshot_tip(snap, &tip, &err);
    if (st == CN_OK)
        st = cn_signed_read(snap, r->backend, height ? height : tip.checkpoint, s, &err);
    if (st == CN_OK && note && s->count == 0)
        st = cn_fail(&err, CN_NOT_FOUND, "signatures", "no signature of a validator over this checkpoint is here");
    if (st == CN_OK && note)
        cn_signed_note(s, &text);
    if (st == CN_OK && !note && !(view = view_checkpoint(snap, s, &err)))
        st = err.code;
    if (st != CN_OK)
        cn_reply_error(r, &err);
    else if (note)
        cn_reply_bytes(r, MHD_HTTP_OK, "text/plain; charset=utf-8", text.p, text.n);
    else
        cn_reply_json(r, MHD_HTTP_OK, view);
    cn_buf_free(&text);
    cn_snapshot_close(snap);
    free(s);
}

/* False: answered. */
static bool read_format(cn_request *r, bool cose_too, const char **ret)
{
    cn_err err = {0};
    *ret = cn_request_query(r, "format");
    if (!*ret || strcmp(*ret, "note") == 0 || (cose_too && strcmp(*ret, "cose") == 0))
        return true;
    cn_fail(&err, CN_INVALID, "format", "\"%.40s\" is none of a checkpoint's; use note%s, or none for JSON", *ret,
            cose_too ? " or cose" : "");
    cn_reply_error(r, &err);
    return false;
}

void cn_api_get_latest_checkpoint(cn_request *r)
{
    const char *format;
    uint64_t from = 0;
    bool bad = false;
    if (!read_format(r, true, &format))
        return;
    if (!format || format[0] == 'n')
        reply_checkpoint(r, 0, format != NULL);
    else if (cn_request_query_u64(r, "from", &from, &bad) || !bad)
        cn_api_reply_consistency(r, from);
}

static bool read_height(cn_request *r, uint64_t *ret)
{
    cn_err err = {0};
    char *end = NULL;
    errno = 0;
    *ret = strtoull(r->argument, &end, 10);
    if (r->argument[0] >= '1' && r->argument[0] <= '9' && *end == 0 && errno == 0)
        return true;
    cn_fail(&err, CN_INVALID, "height", "\"%.40s\" is not the height of a checkpoint", r->argument);
    cn_reply_error(r, &err);
    return false;
}

void cn_api_get_checkpoint(cn_request *r)
{
    const char *format;
    uint64_t height;
    if (read_height(r, &height) && read_format(r, false, &format))
        reply_checkpoint(r, height, format != NULL);
}

/* ---- POST of a time token ---- */

static cn_status take_token(cn_request *r, uint64_t height, cn_timestamp *ret, bool *ret_new, cn_err *err)
{
    cn_snapshot *snap = NULL;
    cn_header header;
    cn_span token;
    uint8_t bytes[CN_HEADER_LEN];
    if (r->backend->time_authorities.n == 0)
        return cn_fail(err, CN_DENIED, "time token",
                       "this node trusts no time authority; set time.authorities in its configuration");
    cn_status st = cn_snapshot_open(r->backend->store, &snap, err);
    if (st == CN_OK && (st = cn_snapshot_header(snap, height, &header, err)) == CN_NOT_FOUND)
        cn_fail(err, st, "height", "there is no final block of height %llu here", (unsigned long long)height);
    cn_snapshot_close(snap);
    if (st == CN_OK)
        st = cn_timestamp_token(r->body, r->body_len, &token, err);
    if (st != CN_OK)
        return st;
    cn_header_encode(&header, bytes);
    cn_digest imprint = cn_sha256(bytes, sizeof bytes);
    st = cn_timestamp_verify(token, &imprint, r->backend->time_authorities, ret, err);
    return st == CN_OK ? cn_store_put_token(r->backend->store, height, token, ret_new, err) : st;
}

void cn_api_post_token(cn_request *r)
{
    cn_err err = {0};
    cn_timestamp t;
    uint64_t height;
    bool fresh = false;
    if (!read_height(r, &height))
        return;
    if (take_token(r, height, &t, &fresh, &err) != CN_OK) {
        cn_reply_error(r, &err);
        return;
    }
    cn_reply_json(r, fresh ? MHD_HTTP_CREATED : MHD_HTTP_OK,
                  json_pack("{s:I, s:o, s:s}", "height", (json_int_t)height, "time", cn_json_time(t.time_ms),
                            "authority", t.authority));
}

/* ---- GET of the epochs ---- */

/* The closing blocks, which are what a chain of validator sets hangs on. */
static cn_status view_epoch(cn_request *r, cn_snapshot *snap, uint64_t epoch, uint64_t height, cn_span rows, bool evm,
                            json_t *list, cn_err *err)
{
    cn_header h;
    cn_span token[CN_TOKENS_KEPT];
    size_t tokens = 0;
    json_t *call = NULL;
    cn_status st = cn_snapshot_header(snap, height, &h, err);
    if (st == CN_OK)
        st = cn_snapshot_tokens(snap, height, token, &tokens, err);
    if (st == CN_OK && evm && !(call = cn_api_view_evm_advance(r, snap, epoch, &h, rows, err)))
        st = err->code;
    if (st != CN_OK)
        return st;
    cn_digest digest = cn_header_digest(&h);
    json_array_append_new(list,
                          json_pack("{s:I, s:I, s:o, s:o, s:I, s:o*}", "epoch", (json_int_t)epoch, "closing_height",
                                    (json_int_t)height, "closing_block", cn_json_digest(&digest), "time",
                                    cn_json_time(h.time_ms), "tokens", (json_int_t)tokens, "advance_calldata", call));
    return CN_OK;
}

void cn_api_get_epochs(cn_request *r)
{
    cn_snapshot *snap = NULL;
    cn_err err = {0};
    cn_span rows;
    uint64_t height = 0;
    json_t *list = json_array();
    const char *format = cn_request_query(r, "format");
    cn_status st =
        format && strcmp(format, "evm") != 0
            ? cn_fail(&err, CN_INVALID, "format", "\"%.40s\" is none of the epochs'; use evm or none", format)
            : cn_snapshot_open(r->backend->store, &snap, &err);
    bool more = true;
    for (uint64_t epoch = 2; st == CN_OK && more; epoch++) {
        st = cn_snapshot_epoch(snap, epoch, &height, &rows, &err);
        more = st != CN_NOT_FOUND;
        if (!more)
            st = CN_OK;
        else if (st == CN_OK)
            st = view_epoch(r, snap, epoch, height, rows, format != NULL, list, &err);
    }
    if (st == CN_OK)
        cn_reply_json(r, MHD_HTTP_OK, json_pack("{s:O}", "epochs", list));
    else
        cn_reply_error(r, &err);
    json_decref(list);
    cn_snapshot_close(snap);
}

/* ---- GET of the policy ---- */

/* C2SP tlog-policy: the validators of the newest checkpoint's epoch, f + 1 of whom hold an honest one. */
void cn_api_get_policy(cn_request *r)
{
    cn_snapshot *snap = NULL;
    cn_err err = {0};
    cn_tip tip;
    cn_buf text;
    char members[CN_MAX_VALIDATORS * (CN_MAX_NAME + 1) + 1] = "", line[CN_NOTE_VKEY_MAX + CN_MAX_NAME + 64];
    cn_signed *s = calloc(1, sizeof *s);
    cn_buf_init(&text, CN_MAX_NOTE_BYTES);
    cn_status st =
        s ? cn_snapshot_open(r->backend->store, &snap, &err) : cn_fail(&err, CN_NO_MEMORY, "", "out of memory");
    if (st == CN_OK)
        st = cn_snapshot_tip(snap, &tip, &err);
    if (st == CN_OK)
        st = cn_signed_read(snap, r->backend, tip.checkpoint, s, &err);
    for (unsigned i = 0; st == CN_OK && i < s->set.n; i++) {
        const cn_set_row *row = &s->set.row[i];
        char name[CN_MAX_NAME + 1], signer[CN_SIGNER_NAME_MAX + 1], vkey[CN_NOTE_VKEY_MAX + 1];
        st = cn_signed_name(snap, r->backend, &row->member, name, &err);
        if (st != CN_OK)
            break;
        cn_note_vkey(s->checkpoint.log_origin, CN_NOTE_ED25519, row->log_key, vkey);
        cn_put_bytes(&text, line, (size_t)snprintf(line, sizeof line, "log %s\n", vkey));
        cn_signer_name(&s->checkpoint, name, signer);
        cn_note_vkey(signer, CN_NOTE_COSIGNATURE_V1, row->cosignature_key, vkey);
        cn_put_bytes(&text, line, (size_t)snprintf(line, sizeof line, "witness %s %s\n", name, vkey));
        snprintf(members + strlen(members), sizeof members - strlen(members), " %s", name);
    }
    if (st == CN_OK) {
        cn_put_bytes(&text, line,
                     (size_t)snprintf(line, sizeof line, "group validators %u", cn_max_faults(s->set.n) + 1));
        cn_put_bytes(&text, members, strlen(members));
        cn_put_bytes(&text, "\nquorum validators\n", 19);
        cn_reply_bytes(r, MHD_HTTP_OK, "text/plain; charset=utf-8", text.p, text.n);
    } else {
        cn_reply_error(r, &err);
    }
    cn_buf_free(&text);
    cn_snapshot_close(snap);
    free(s);
}
