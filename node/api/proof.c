/* Proofs of one statement in the formats of other people's verifiers (docs/proofs.md). */
#include "node/api/audit.h"
#include "node/api/request.h"
#include "node/api/signed.h"
#include "node/api/view.h"
#include "node/formats/dossier.h"
#include "node/formats/subject.h"
#include "proto/cbor.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AUDIT_WAIT_MS 20000u
#define SIGNED_WAIT_MS 5000u
#define EXPORT_MAX (256u * 1024u)

typedef struct proof {
    cn_snapshot *snap;
    cn_signed at;
    uint64_t index;
    cn_receipt_proof inclusion;
} proof;

static cn_status find(cn_request *r, const cn_digest *id, proof *p, cn_err *err)
{
    cn_status st = cn_signed_open(r->backend, SIGNED_WAIT_MS, false, &p->snap, &p->at, err);
    if (st == CN_OK)
        st = cn_snapshot_find_id(p->snap, id, &p->index, err);
    if (st == CN_NOT_FOUND || (st == CN_OK && p->index >= p->at.checkpoint.size))
        st = cn_fail(err, CN_NOT_FOUND, "statement", "%s is not final on this node", cn_digest_hex(id).s);
    p->inclusion = (cn_receipt_proof){.size = p->at.checkpoint.size, .index = p->index};
    if (st == CN_OK)
        st = cn_snapshot_inclusion(p->snap, p->index, p->at.checkpoint.size, p->inclusion.path, &p->inclusion.path_len,
                                   err);
    return st;
}

/* All of them as a CBOR array, or the one of `member` as it is. */
static cn_status put_receipts(const proof *p, const char *member, cn_buf *out, cn_err *err)
{
    if (!member)
        cn_cbor_head(out, CN_CBOR_ARRAY, p->at.count);
    for (size_t i = 0; i < p->at.count; i++)
        if (!member || strcmp(member, p->at.name[i]) == 0)
            cn_signed_receipt(&p->at, i, &p->inclusion, out);
    return out->n
               ? CN_OK
               : cn_fail(err, CN_NOT_FOUND, "member", "%.64s is not among those whose signatures are exported", member);
}

static void reply_proof(cn_request *r, const cn_digest *id, bool cose)
{
    cn_err err = {0};
    cn_buf out;
    const char *member = cn_request_query(r, "member");
    proof *p = calloc(1, sizeof *p);
    cn_buf_init(&out, EXPORT_MAX);
    cn_status st = p ? find(r, id, p, &err) : cn_fail(&err, CN_NO_MEMORY, "proof", "out of memory");
    if (st == CN_OK && cose) {
        st = put_receipts(p, member, &out, &err);
    } else if (st == CN_OK) {
        cn_tlog_proof_begin(&out, p->index, p->inclusion.path, p->inclusion.path_len);
        cn_signed_note(&p->at, &out);
    }
    if (st == CN_OK && out.fault)
        st = cn_fail(&err, CN_NO_MEMORY, "proof", "out of memory");
    if (st == CN_OK)
        cn_reply_bytes(r, MHD_HTTP_OK,
                       !cose    ? "text/plain; charset=utf-8"
                       : member ? CN_RECEIPT_CONTENT_TYPE
                                : "application/cbor",
                       out.p, out.n);
    else
        cn_reply_error(r, &err);
    if (p)
        cn_snapshot_close(p->snap);
    free(p);
    cn_buf_free(&out);
}

/* Query parameters legal_basis, case and redact; false: replied. order->redact is the caller's to free. */
static bool read_purpose(cn_request *r, cn_audit_order *order)
{
    static const char *const names[] = {"legal_basis", "case"};
    const char *value[2];
    cn_err err = {0};
    for (size_t i = 0; i < 2; i++) {
        value[i] = cn_request_query(r, names[i]);
        if (!value[i] || cn_dossier_purpose_valid(value[i]))
            continue;
        cn_fail(&err, CN_INVALID, names[i], "must be at most %u bytes of UTF-8 text without control characters",
                CN_DOSSIER_MAX_PURPOSE);
        cn_reply_error(r, &err);
        return false;
    }
    order->legal_basis = value[0];
    order->case_number = value[1];
    const char *redact = cn_request_query(r, "redact");
    if (redact && cn_redact_parse(redact, &order->redact, &err) != CN_OK) {
        cn_reply_error(r, &err);
        return false;
    }
    return true;
}

/* A dossier is built in memory, so that only so many are at once; whoever comes then waits for a while. */
#define AUDITS_MAX 4u
#define AUDIT_TURN_S 5

static pthread_mutex_t audits_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t audits_moved = PTHREAD_COND_INITIALIZER;
static unsigned audits;

static bool begin_audit(cn_request *r)
{
    struct timespec until;
    cn_err err = {0};
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += AUDIT_TURN_S;
    pthread_mutex_lock(&audits_lock);
    while (audits == AUDITS_MAX && rc == 0)
        rc = pthread_cond_timedwait(&audits_moved, &audits_lock, &until);
    bool mine = audits < AUDITS_MAX;
    audits += mine;
    pthread_mutex_unlock(&audits_lock);
    if (mine)
        return true;
    cn_fail(&err, CN_FULL, "audit", "%u dossiers are being made on this node; try again soon", AUDITS_MAX);
    cn_reply_error(r, &err);
    return false;
}

static void end_audit(void)
{
    pthread_mutex_lock(&audits_lock);
    audits--;
    pthread_cond_signal(&audits_moved);
    pthread_mutex_unlock(&audits_lock);
}

void cn_api_reply_audit(cn_request *r, const char *uri, const cn_digest *id)
{
    cn_err err = {0};
    cn_buf zip;
    cn_audit_order order = {.salt = r->backend->subject_salt, .page = r->backend->audit_page};
    if (!read_purpose(r, &order))
        return;
    if (!begin_audit(r)) {
        cn_redact_free(order.redact);
        return;
    }
    cn_signed *at = calloc(1, sizeof *at);
    cn_buf_init(&zip, CN_AUDIT_MAX_BYTES);
    cn_status st = at ? cn_signed_open(r->backend, AUDIT_WAIT_MS, true, &order.snap, at, &err)
                      : cn_fail(&err, CN_NO_MEMORY, "audit", "out of memory");
    order.signatures = at;
    if (st == CN_OK)
        st = uri ? cn_audit_subject(&order, uri, &zip, &err) : cn_audit_statement(&order, id, &zip, &err);
    if (st == CN_OK) {
        cn_reply_bytes(r, MHD_HTTP_OK, "application/zip", zip.p, zip.n);
        cn_reply_header(r, "Content-Disposition", "attachment; filename=\"audit.zip\"");
    } else {
        cn_reply_error(r, &err);
    }
    cn_snapshot_close(order.snap);
    cn_redact_free(order.redact);
    cn_buf_free(&zip);
    free(at);
    end_audit();
}

void cn_api_get_statement_proof(cn_request *r)
{
    cn_digest id;
    cn_err err = {0};
    const char *format = cn_request_query(r, "format");
    if (!cn_request_digest(r, "statement id", &id))
        return;
    if (!format || strcmp(format, "native") == 0) {
        cn_api_reply_audit(r, NULL, &id);
    } else if (strcmp(format, "cose") == 0 || strcmp(format, "tlog") == 0) {
        reply_proof(r, &id, format[0] == 'c');
    } else if (strcmp(format, "evm") == 0) {
        cn_api_reply_evm_statement(r, &id);
    } else if (strcmp(format, "item") == 0) {
        cn_api_reply_item(r, &id);
    } else if (strcmp(format, "foreign") == 0) {
        cn_api_reply_foreign(r, &id);
    } else {
        cn_fail(&err, CN_INVALID, "format",
                "\"%.40s\" is none of a statement's; use native, cose, tlog, evm, item or foreign", format);
        cn_reply_error(r, &err);
    }
}

/* ---- subjects: ICS-23 over the state map ---- */

/* Existence of the completeness record, or absence: nothing was recorded up to this checkpoint. */
static cn_status prove_subject(const cn_signed *at, cn_snapshot *snap, const cn_state_key *key, json_t *view,
                               cn_err *err)
{
    cn_ics23_existence *there = calloc(1, sizeof *there);
    cn_ics23_absence *absent = calloc(1, sizeof *absent);
    cn_buf bytes;
    cn_buf_init(&bytes, EXPORT_MAX);
    cn_status st = there && absent ? cn_snapshot_prove(snap, key, there, err)
                                   : cn_fail(err, CN_NO_MEMORY, "proof", "out of memory");
    bool present = st == CN_OK;
    if (present)
        st = cn_ics23_encode_existence(there, &bytes);
    else if (st == CN_NOT_FOUND && (st = cn_snapshot_prove_absent(snap, key, absent, err)) == CN_OK)
        st = cn_ics23_encode_absence(absent, &bytes);
    if (st == CN_OK) {
        json_object_set_new(view, "present", json_boolean(present));
        json_object_set_new(view, "root_base64", cn_view_base64(at->header.state_root.b, CN_DIGEST_LEN));
        json_object_set_new(view, "key_base64", cn_view_base64(key->b, CN_STATE_KEY_LEN));
        json_object_set_new(view, "value_base64",
                            present ? cn_view_base64(there->value, there->value_len) : json_null());
        json_object_set_new(view, "proof_base64", cn_view_base64(bytes.p, bytes.n));
    }
    cn_buf_free(&bytes);
    free(there);
    free(absent);
    return st;
}

void cn_api_get_subject_proof(cn_request *r)
{
    char uri[2048];
    unsigned flags = 0;
    cn_err err = {0};
    cn_snapshot *snap = NULL;
    const char *format = cn_request_query(r, "format");
    cn_signed *at = calloc(1, sizeof *at);
    json_t *view = NULL;
    cn_status st = at ? cn_subject_canonical(r->argument, uri, sizeof uri, &flags, &err)
                      : cn_fail(&err, CN_NO_MEMORY, "proof", "out of memory");
    if (st == CN_OK && format && strcmp(format, "evm") == 0) {
        cn_api_reply_evm_subject(r, uri);
        free(at);
        return;
    }
    if (st == CN_OK && (!format || strcmp(format, "ics23") != 0))
        st = cn_fail(&err, CN_INVALID, "format", "a subject is proved with format=ics23 or evm, or by its audit");
    if (st == CN_OK)
        st = cn_signed_open(r->backend, SIGNED_WAIT_MS, false, &snap, at, &err);
    if (st == CN_OK) {
        cn_digest tag = cn_subject_tag(r->backend->subject_salt, uri);
        cn_state_key key = cn_state_key_of(r->backend->subject_salt, CN_STATE_SUBJECT, tag.b, CN_DIGEST_LEN);
        view = json_pack("{s:s, s:s, s:o, s:I, s:s}", "format", "ics23-tendermint", "subject", uri, "tag",
                         cn_json_digest(&tag), "height", (json_int_t)at->header.height, "block",
                         cn_digest_hex(&at->checkpoint.block).s);
        st = prove_subject(at, snap, &key, view, &err);
    }
    if (st == CN_OK)
        cn_reply_json(r, MHD_HTTP_OK, json_incref(view));
    else
        cn_reply_error(r, &err);
    json_decref(view);
    cn_snapshot_close(snap);
    free(at);
}

/* ---- checkpoints ---- */

/* RFC 9942 consistency receipts: the log of the newest checkpoint holds all that a log of `from` entries held. */
void cn_api_reply_consistency(cn_request *r, uint64_t from)
{
    cn_err err = {0};
    cn_buf out;
    proof *p = calloc(1, sizeof *p);
    cn_buf_init(&out, EXPORT_MAX);
    cn_status st = p ? cn_signed_open(r->backend, SIGNED_WAIT_MS, false, &p->snap, &p->at, &err)
                     : cn_fail(&err, CN_NO_MEMORY, "proof", "out of memory");
    if (st == CN_OK && (from == 0 || from > p->at.checkpoint.size))
        st = cn_fail(&err, CN_INVALID, "from", "the log has %llu entries; ask from 1 to that",
                     (unsigned long long)p->at.checkpoint.size);
    if (st == CN_OK) {
        p->inclusion = (cn_receipt_proof){.consistency = true, .size = p->at.checkpoint.size, .index = from};
        st = cn_snapshot_consistency(p->snap, from, p->at.checkpoint.size, p->inclusion.path, &p->inclusion.path_len,
                                     &err);
    }
    if (st == CN_OK)
        st = put_receipts(p, cn_request_query(r, "member"), &out, &err);
    if (st == CN_OK && out.fault)
        st = cn_fail(&err, CN_NO_MEMORY, "proof", "out of memory");
    if (st == CN_OK)
        cn_reply_bytes(r, MHD_HTTP_OK, cn_request_query(r, "member") ? CN_RECEIPT_CONTENT_TYPE : "application/cbor",
                       out.p, out.n);
    else
        cn_reply_error(r, &err);
    if (p)
        cn_snapshot_close(p->snap);
    free(p);
    cn_buf_free(&out);
}
