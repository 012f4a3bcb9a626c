/* Proofs as calls of the verifier contract (docs/evm.md). The votes themselves are in them, no checkpoint signatures.
 */
#include "proto/evm.h"
#include "node/api/request.h"
#include "node/api/view.h"
#include "node/formats/subject.h"

#include <stdlib.h>
#include <string.h>

#define CHECKPOINT_WAIT_MS 5000u

typedef struct final {
    cn_snapshot *snap;
    cn_header *header; /* the newest checkpoint, and what links it to its finalization */
    cn_validator_set set;
    cn_span rows;
    uint64_t closing_height; /* of the block that began its epoch */
    cn_evm_finality finality;
} final;

static cn_status open_final(const cn_api_backend *backend, final *f, cn_err *err)
{
    if (!backend->wait_checkpoint(backend->ctx, CHECKPOINT_WAIT_MS))
        return cn_fail(err, CN_TIMEOUT, "checkpoint", "no checkpoint covered what is final in time; see /v1/why");
    cn_status st = cn_snapshot_open(backend->store, &f->snap, err);
    if (st == CN_OK)
        st = cn_snapshot_newest_checkpoint(f->snap, &f->header, &f->finality.header_count, &f->finality.certificate,
                                           err);
    if (st == CN_OK)
        st = cn_snapshot_epoch(f->snap, f->header[0].epoch, &f->closing_height, &f->rows, err);
    if (st == CN_OK)
        st = cn_validator_set_decode(f->rows.p, f->rows.n, &f->set, err);
    f->finality.network = &backend->network;
    f->finality.header = f->header;
    f->finality.set = &f->set;
    return st;
}

static void close_final(final *f)
{
    free(f->header);
    cn_snapshot_close(f->snap);
}

static json_t *hex_of(const cn_buf *b)
{
    char *text = malloc(2 * b->n + 3);
    json_t *s = NULL;
    if (text) {
        memcpy(text, "0x", 2);
        cn_hex(b->p, b->n, text + 2);
        s = json_string(text);
    }
    free(text);
    return s;
}

/* Takes the buffer. */
static void reply_call(cn_request *r, const final *f, const char *function, cn_buf *call, cn_status st, cn_err *err)
{
    cn_buf constructor;
    cn_buf_init(&constructor, CN_EVM_CALL_MAX);
    if (st == CN_OK && call->fault)
        st = cn_fail(err, CN_TOO_LARGE, "proof", "the call is too large, or memory is used up");
    if (st == CN_OK) {
        const cn_header *h = &f->header[0];
        cn_evm_constructor(f->finality.network, h->epoch, f->closing_height, f->rows, &constructor);
        cn_reply_json(r, MHD_HTTP_OK,
                      json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:o, s:o, s:o}", "format", "evm-1", "contract",
                                "CarnetVerifier", "function", function, "network", cn_json_digest(f->finality.network),
                                "epoch", (json_int_t)h->epoch, "height", (json_int_t)h->height, "time",
                                cn_json_time(h->time_ms), "calldata", hex_of(call), "constructor_arguments",
                                hex_of(&constructor)));
    } else {
        cn_reply_error(r, err);
    }
    cn_buf_free(&constructor);
    cn_buf_free(call);
}

void cn_api_reply_evm_statement(cn_request *r, const cn_digest *id)
{
    final f = {0};
    cn_err err = {0};
    cn_buf call;
    cn_digest entry, path[CN_PROOF_MAX];
    uint64_t index = 0;
    size_t len = 0;
    cn_buf_init(&call, CN_EVM_CALL_MAX);
    cn_status st = open_final(r->backend, &f, &err);
    if (st == CN_OK)
        st = cn_snapshot_find_id(f.snap, id, &index, &err);
    if (st == CN_NOT_FOUND || (st == CN_OK && index >= f.header[0].log_size))
        st = cn_fail(&err, CN_NOT_FOUND, "statement", "%s is not final on this node", cn_digest_hex(id).s);
    if (st == CN_OK)
        st = cn_snapshot_log_entry(f.snap, index, &entry, &err);
    if (st == CN_OK)
        st = cn_snapshot_inclusion(f.snap, index, f.header[0].log_size, path, &len, &err);
    if (st == CN_OK)
        st = cn_evm_statement(&f.finality, &entry, index, path, len, &call, &err);
    reply_call(r, &f, "verifyStatement", &call, st, &err);
    close_final(&f);
}

void cn_api_reply_evm_subject(cn_request *r, const char *uri)
{
    final f = {0};
    cn_err err = {0};
    cn_buf call;
    cn_digest tag = cn_subject_tag(r->backend->subject_salt, uri);
    cn_state_key key = cn_state_key_of(r->backend->subject_salt, CN_STATE_SUBJECT, tag.b, CN_DIGEST_LEN);
    cn_ics23_existence *there = calloc(1, sizeof *there);
    cn_ics23_absence *absent = calloc(1, sizeof *absent);
    cn_buf_init(&call, CN_EVM_CALL_MAX);
    cn_status st =
        there && absent ? open_final(r->backend, &f, &err) : cn_fail(&err, CN_NO_MEMORY, "proof", "out of memory");
    bool present = true;
    if (st == CN_OK && (st = cn_snapshot_prove(f.snap, &key, there, &err)) == CN_NOT_FOUND) {
        present = false;
        st = cn_snapshot_prove_absent(f.snap, &key, absent, &err);
    }
    if (st == CN_OK)
        st = present ? cn_evm_state(&f.finality, there, &call, &err) : cn_evm_absence(&f.finality, absent, &call, &err);
    reply_call(r, &f, present ? "verifyState" : "verifyAbsence", &call, st, &err);
    close_final(&f);
    free(there);
    free(absent);
}

json_t *cn_api_view_evm_advance(cn_request *r, cn_snapshot *snap, uint64_t epoch, const cn_header *closing,
                                cn_span rows, cn_err *err)
{
    uint64_t before = 0;
    cn_span certificate, old_rows;
    cn_validator_set set;
    cn_buf call;
    json_t *view = NULL;
    cn_buf_init(&call, CN_EVM_CALL_MAX);
    cn_status st = cn_snapshot_epoch(snap, epoch - 1, &before, &old_rows, err);
    if (st == CN_OK)
        st = cn_validator_set_decode(old_rows.p, old_rows.n, &set, err);
    if (st == CN_OK)
        st = cn_snapshot_certificate(snap, closing->height, &certificate, err);
    if (st == CN_OK) {
        cn_evm_finality f = {&r->backend->network, closing, 1, certificate, &set};
        st = cn_evm_advance(&f, rows, &call, err);
    }
    if (st == CN_OK && call.fault)
        st = cn_fail(err, CN_NO_MEMORY, "proof", "out of memory");
    if (st == CN_OK)
        view = hex_of(&call);
    cn_buf_free(&call);
    return view;
}
