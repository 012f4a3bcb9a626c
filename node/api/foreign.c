#include "node/api/foreign.h"

#include "node/api/request.h"
#include "proto/foreign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONTENT_TYPE "application/vnd.carnet.foreign-proof"

static cn_status begin(cn_snapshot *snap, cn_foreign_kind kind, cn_foreign_proof **ret, cn_err *err)
{
    cn_span genesis;
    *ret = calloc(1, sizeof **ret);
    cn_status st =
        *ret ? cn_snapshot_genesis(snap, &genesis, err) : cn_fail(err, CN_NO_MEMORY, "proof", "out of memory");
    if (st != CN_OK)
        return st;
    (*ret)->kind = kind;
    (*ret)->network = cn_network_id(genesis.p, genesis.n);
    return CN_OK;
}

/* ---- a statement ---- */

static cn_status take_headers(cn_snapshot *snap, cn_foreign_proof *p, cn_err *err)
{
    cn_header *headers = NULL;
    size_t count = 0;
    uint64_t height = 0;
    cn_status st = cn_snapshot_newest_checkpoint(snap, &headers, &count, &p->finalization, err);
    if (st == CN_OK && count > CN_MAX_FOREIGN_HEADERS)
        st = cn_fail(err, CN_TIMEOUT, "proof", "the newest checkpoint was made final %zu blocks later; ask again",
                     count - 1);
    if (st == CN_OK) {
        memcpy(p->header, headers, count * sizeof *headers);
        p->header_count = count;
        p->epoch = headers[0].epoch;
        st = cn_snapshot_epoch(snap, p->epoch, &height, &p->rows, err);
    }
    free(headers);
    return st;
}

static cn_status take_key(cn_snapshot *snap, const uint8_t salt[32], const cn_digest *key_id, cn_public_key *ret,
                          cn_err *err)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_device_key row;
    cn_state_key key = cn_state_key_of(salt, CN_STATE_KEY, key_id->b, CN_DIGEST_LEN);
    cn_status st = cn_snapshot_state(snap, &key, value, &n, err);
    if (st == CN_OK && !cn_state_key_decode(value, n, &row))
        st = cn_fail(err, CN_CORRUPT, "state", "a key does not decode; run carnet fsck");
    if (st == CN_OK)
        *ret = row.key;
    return st;
}

static cn_status take_statement(cn_snapshot *snap, const uint8_t salt[32], const cn_digest *id, cn_foreign_proof *p,
                                cn_err *err)
{
    cn_stored_statement stored;
    cn_statement *s = NULL;
    uint64_t size = p->header[0].log_size;
    cn_status st = cn_snapshot_find_id(snap, id, &p->log_index, err);
    if (st == CN_NOT_FOUND || (st == CN_OK && p->log_index >= size))
        st = cn_fail(err, CN_NOT_FOUND, "statement", "%s is not below a final checkpoint on this node; ask again",
                     cn_digest_hex(id).s);
    if (st == CN_OK)
        st = cn_snapshot_inclusion(snap, p->log_index, size, p->path, &p->path_len, err);
    if (st == CN_OK)
        st = cn_snapshot_statement(snap, p->log_index, &stored, err);
    if (st == CN_OK)
        st = cn_statement_decode(stored.record.p, stored.record.n, &s, err);
    if (st == CN_OK)
        st = take_key(snap, salt, &s->body.key_id, &p->key, err);
    if (st == CN_OK)
        p->record = stored.record;
    cn_statement_free(s);
    return st;
}

cn_status cn_foreign_export(cn_snapshot *snap, const uint8_t salt[32], const cn_digest *statement, cn_buf *out,
                            cn_err *err)
{
    cn_foreign_proof *p = NULL;
    cn_status st = begin(snap, CN_FOREIGN_STATEMENT, &p, err);
    if (st == CN_OK)
        st = take_headers(snap, p, err);
    if (st == CN_OK)
        st = take_statement(snap, salt, statement, p, err);
    if (st == CN_OK)
        st = cn_foreign_write(p, out, err);
    free(p);
    return st;
}

/* ---- changes of the validators ---- */

static size_t step_len(const cn_foreign_step *s)
{
    return CN_HEADER_LEN + 2 + s->finalization.n + 1 + s->rows.n;
}

static cn_status read_step(cn_snapshot *snap, uint64_t epoch, cn_foreign_step *ret, cn_err *err)
{
    uint64_t height = 0;
    cn_status st = cn_snapshot_epoch(snap, epoch, &height, &ret->rows, err);
    if (st == CN_OK)
        st = cn_snapshot_header(snap, height, &ret->closing, err);
    if (st == CN_OK)
        st = cn_snapshot_certificate(snap, height, &ret->finalization, err);
    return st;
}

static cn_status take_steps(cn_snapshot *snap, cn_foreign_proof *p, cn_err *err)
{
    uint64_t height = 0;
    cn_status st = cn_snapshot_epoch(snap, p->epoch, &height, &p->rows, err);
    size_t n = 64 + p->rows.n; /* what comes before the changes takes less */
    while (st == CN_OK && p->step_count < CN_MAX_FOREIGN_STEPS) {
        cn_foreign_step *s = &p->step[p->step_count];
        st = read_step(snap, p->epoch + p->step_count + 1, s, err);
        if (st == CN_OK && n + step_len(s) > CN_MAX_FOREIGN_BYTES)
            break;
        if (st == CN_OK) {
            n += step_len(s);
            p->step_count++;
        }
    }
    if (p->step_count > 0)
        return CN_OK;
    return st == CN_NOT_FOUND
               ? cn_fail(err, CN_NOT_FOUND, "epoch", "no epoch after %llu has begun here", (unsigned long long)p->epoch)
               : st;
}

cn_status cn_foreign_export_advance(cn_snapshot *snap, uint64_t epoch, cn_buf *out, cn_err *err)
{
    cn_foreign_proof *p = NULL;
    cn_status st = begin(snap, CN_FOREIGN_ADVANCE, &p, err);
    if (st == CN_OK) {
        p->epoch = epoch;
        st = take_steps(snap, p, err);
    }
    if (st == CN_OK)
        st = cn_foreign_write(p, out, err);
    free(p);
    return st;
}

/* ---- routes ---- */

/* Of the statement, or (NULL) of the changes after the epoch. */
static void reply(cn_request *r, const cn_digest *statement, uint64_t epoch)
{
    cn_snapshot *snap = NULL;
    cn_err err = {0};
    cn_buf out;
    cn_buf_init(&out, 2u * CN_MAX_FOREIGN_BYTES);
    cn_status st = cn_snapshot_open(r->backend->store, &snap, &err);
    if (st == CN_OK)
        st = statement ? cn_foreign_export(snap, r->backend->subject_salt, statement, &out, &err)
                       : cn_foreign_export_advance(snap, epoch, &out, &err);
    if (st == CN_OK)
        cn_reply_bytes(r, MHD_HTTP_OK, CONTENT_TYPE, out.p, out.n);
    else
        cn_reply_error(r, &err);
    cn_snapshot_close(snap);
    cn_buf_free(&out);
}

void cn_api_reply_foreign(cn_request *r, const cn_digest *id)
{
    reply(r, id, 0);
}

void cn_api_get_advance(cn_request *r)
{
    cn_err err = {0};
    char *end = NULL;
    errno = 0;
    unsigned long long epoch = strtoull(r->argument, &end, 10);
    if (r->argument[0] < '1' || r->argument[0] > '9' || *end || errno || epoch > UINT64_MAX - CN_MAX_FOREIGN_STEPS) {
        cn_fail(&err, CN_INVALID, "epoch", "\"%.40s\" is not an epoch", r->argument);
        cn_reply_error(r, &err);
        return;
    }
    reply(r, NULL, epoch);
}
