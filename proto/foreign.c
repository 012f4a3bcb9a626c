#include "proto/foreign.h"

#include <stdlib.h>
#include <string.h>

#define VERSION 1

/* ---- layout ---- */

static cn_span read_span(cn_reader *r, size_t n)
{
    const uint8_t *p = cn_read_view(r, n);
    return CN_SPAN(p, p ? n : 0);
}

static cn_span read_rows(cn_reader *r)
{
    size_t n = cn_read_u8(r);
    if (n == 0 || n > CN_MAX_VALIDATORS)
        r->fault = true;
    return read_span(r, n * CN_SET_ROW_LEN);
}

static cn_span read_finalization(cn_reader *r)
{
    size_t n = cn_read_u16(r);
    if (n > CN_CERTIFICATE_MAX)
        r->fault = true;
    return read_span(r, n);
}

static void read_header(cn_reader *r, cn_header *ret)
{
    const uint8_t *p = cn_read_view(r, CN_HEADER_LEN);
    if (p && cn_header_decode(p, CN_HEADER_LEN, ret, NULL) != CN_OK)
        r->fault = true;
}

static void read_statement(cn_reader *r, cn_foreign_proof *p)
{
    p->header_count = cn_read_u8(r);
    if (p->header_count == 0 || p->header_count > CN_MAX_FOREIGN_HEADERS)
        r->fault = true;
    for (size_t i = 0; cn_reader_ok(r) && i < p->header_count; i++)
        read_header(r, &p->header[i]);
    p->finalization = read_finalization(r);
    p->log_index = cn_read_u64(r);
    p->path_len = cn_read_u8(r);
    if (p->path_len > CN_PROOF_MAX)
        r->fault = true;
    for (size_t i = 0; cn_reader_ok(r) && i < p->path_len; i++)
        p->path[i] = cn_read_digest(r);
    p->key.type = cn_read_u8(r);
    size_t n = cn_public_key_len(p->key.type);
    if (n == 0)
        r->fault = true;
    cn_read_bytes(r, p->key.b, n);
    p->record = read_span(r, cn_read_u32(r));
    if (p->record.n == 0)
        r->fault = true;
}

static void read_advance(cn_reader *r, cn_foreign_proof *p)
{
    p->step_count = cn_read_u8(r);
    if (p->step_count == 0 || p->step_count > CN_MAX_FOREIGN_STEPS)
        r->fault = true;
    for (size_t i = 0; cn_reader_ok(r) && i < p->step_count; i++) {
        read_header(r, &p->step[i].closing);
        p->step[i].finalization = read_finalization(r);
        p->step[i].rows = read_rows(r);
    }
}

cn_status cn_foreign_read(const void *bytes, size_t n, cn_foreign_proof *ret, cn_err *err)
{
    cn_reader r = cn_reader_of(bytes, n);
    memset(ret, 0, sizeof *ret);
    if (n > CN_MAX_FOREIGN_BYTES)
        return cn_fail(err, CN_TOO_LARGE, "foreign_proof", "%zu bytes, the limit is %u", n, CN_MAX_FOREIGN_BYTES);
    uint8_t version = cn_read_u8(&r), kind = cn_read_u8(&r);
    if (version != VERSION || kind < CN_FOREIGN_STATEMENT || kind > CN_FOREIGN_ADVANCE)
        return cn_fail(err, CN_INVALID, "foreign_proof", "version %u, kind %u is not known here", version, kind);
    ret->kind = (cn_foreign_kind)kind;
    ret->network = cn_read_digest(&r);
    ret->epoch = cn_read_u64(&r);
    ret->rows = read_rows(&r);
    if (kind == CN_FOREIGN_STATEMENT)
        read_statement(&r, ret);
    else
        read_advance(&r, ret);
    return cn_reader_done(&r) ? CN_OK
                              : cn_fail(err, CN_INVALID, "foreign_proof",
                                        "the bytes are not of its layout; see "
                                        "docs/byte-layouts.md");
}

static void put_rows(cn_buf *out, cn_span rows)
{
    cn_put_u8(out, (uint8_t)(rows.n / CN_SET_ROW_LEN));
    cn_put_bytes(out, rows.p, rows.n);
}

static void put_final_header(cn_buf *out, const cn_header *h)
{
    uint8_t bytes[CN_HEADER_LEN];
    cn_header_encode(h, bytes);
    cn_put_bytes(out, bytes, sizeof bytes);
}

static void put_finalization(cn_buf *out, cn_span finalization)
{
    cn_put_u16(out, (uint16_t)finalization.n);
    cn_put_bytes(out, finalization.p, finalization.n);
}

cn_status cn_foreign_write(const cn_foreign_proof *p, cn_buf *out, cn_err *err)
{
    size_t before = out->n;
    cn_put_u8(out, VERSION);
    cn_put_u8(out, (uint8_t)p->kind);
    cn_put_digest(out, &p->network);
    cn_put_u64(out, p->epoch);
    put_rows(out, p->rows);
    if (p->kind == CN_FOREIGN_STATEMENT) {
        cn_put_u8(out, (uint8_t)p->header_count);
        for (size_t i = 0; i < p->header_count; i++)
            put_final_header(out, &p->header[i]);
        put_finalization(out, p->finalization);
        cn_put_u64(out, p->log_index);
        cn_put_u8(out, (uint8_t)p->path_len);
        cn_put_bytes(out, p->path, p->path_len * CN_DIGEST_LEN);
        cn_put_u8(out, p->key.type);
        cn_put_bytes(out, p->key.b, cn_public_key_len(p->key.type));
        cn_put_u32(out, (uint32_t)p->record.n);
        cn_put_bytes(out, p->record.p, p->record.n);
    } else {
        cn_put_u8(out, (uint8_t)p->step_count);
        for (size_t i = 0; i < p->step_count; i++) {
            put_final_header(out, &p->step[i].closing);
            put_finalization(out, p->step[i].finalization);
            put_rows(out, p->step[i].rows);
        }
    }
    if (!out->fault && out->n - before <= CN_MAX_FOREIGN_BYTES)
        return CN_OK;
    out->n = before;
    return cn_fail(err, CN_TOO_LARGE, "foreign_proof", "it would have more than %u bytes", CN_MAX_FOREIGN_BYTES);
}

/* ---- against what is known ---- */

static cn_status fits_epoch(const cn_foreign_proof *p, const cn_state_foreign *known, cn_err *err)
{
    cn_digest set = cn_tagged("carnet/set", p->rows.p, p->rows.n);
    if (!cn_digest_eq(&p->network, &known->network))
        return cn_fail(err, CN_WRONG_NETWORK, "foreign_proof.network", "is not the network that is known");
    if (known->status != CN_FOREIGN_ACTIVE)
        return cn_fail(err, CN_DENIED, "foreign_proof.network", "%s was withdrawn by ballot: nothing of it is admitted",
                       known->name);
    if (p->epoch < known->epoch)
        return cn_fail(err, CN_CONFLICT, "foreign_proof.epoch",
                       "is %llu, which is retired: epoch %llu of %s is known; make the proof anew",
                       (unsigned long long)p->epoch, (unsigned long long)known->epoch, known->name);
    if (p->epoch > known->epoch)
        return cn_fail(err, CN_CONFLICT, "foreign_proof.epoch",
                       "is %llu, and only epoch %llu of %s is known; see carnet foreign advance",
                       (unsigned long long)p->epoch, (unsigned long long)known->epoch, known->name);
    if (!cn_digest_eq(&set, &known->set))
        return cn_fail(err, CN_CONFLICT, "foreign_proof.set", "its rows are not the set of epoch %llu of %s",
                       (unsigned long long)known->epoch, known->name);
    return CN_OK;
}

cn_status cn_foreign_fits(const cn_foreign_proof *p, const cn_state_foreign *known, cn_err *err)
{
    cn_status st = fits_epoch(p, known, err);
    const cn_header *first = p->kind == CN_FOREIGN_STATEMENT ? &p->header[0] : &p->step[0].closing;
    if (st != CN_OK)
        return st;
    if (first->height <= known->height || first->log_size < known->log_size)
        return cn_fail(
            err, CN_CONFLICT, p->kind == CN_FOREIGN_STATEMENT ? "foreign_proof.headers" : "foreign_proof.steps",
            "the first block is not above block %llu, with which its epoch began", (unsigned long long)known->height);
    return CN_OK;
}

/* ---- a statement ---- */

static cn_status check_headers(const cn_foreign_proof *p, const cn_digest *set, cn_err *err)
{
    if (p->header[0].kind == CN_BLOCK_NORMAL)
        return cn_fail(err, CN_INVALID, "foreign_proof.headers", "the first one is no checkpoint");
    for (size_t i = 0; i < p->header_count; i++) {
        const cn_header *h = &p->header[i];
        if (h->epoch != p->epoch || !cn_digest_eq(&h->set, set))
            return cn_fail(err, CN_INVALID, "foreign_proof.headers", "header %zu is not of epoch %llu and its set", i,
                           (unsigned long long)p->epoch);
        if (i == 0)
            continue;
        cn_digest before = cn_header_digest(h - 1);
        if (!cn_digest_eq(&h->parent, &before) || h->height != h[-1].height + 1)
            return cn_fail(err, CN_INVALID, "foreign_proof.headers", "header %zu does not follow the one before", i);
    }
    return CN_OK;
}

static cn_status check_quorum(const cn_foreign_proof *p, cn_err *err)
{
    cn_epoch *e = calloc(1, sizeof *e);
    cn_err why = {0};
    if (!e)
        return cn_fail(err, CN_NO_MEMORY, "foreign_proof", "out of memory");
    cn_digest last = cn_header_digest(&p->header[p->header_count - 1]);
    e->epoch = p->epoch;
    e->digest = cn_tagged("carnet/set", p->rows.p, p->rows.n);
    cn_status st = check_headers(p, &e->digest, err);
    if (st == CN_OK && (st = cn_validator_set_decode(p->rows.p, p->rows.n, &e->set, &why)) != CN_OK)
        cn_fail(err, st, "foreign_proof.set", "%s", why.text);
    if (st == CN_OK && (st = cn_epoch_check_finalization(e, &p->network, p->finalization, &last, &why)) != CN_OK)
        cn_fail(err, st, "foreign_proof.finalization", "%s", why.text);
    free(e);
    return st;
}

static cn_status check_record(const cn_foreign_proof *p, cn_statement *s, cn_err *err)
{
    cn_err why = {0};
    const cn_header *checkpoint = &p->header[0];
    cn_digest leaf = cn_leaf_hash(s->record_digest.b, CN_DIGEST_LEN);
    if (s->record.n != p->record.n)
        return cn_fail(err, CN_INVALID, "foreign_proof.record", "holds items; a record is fields 1 and 2 alone");
    if (!cn_digest_eq(&s->body.network, &p->network))
        return cn_fail(err, CN_WRONG_NETWORK, "foreign_proof.record", "the statement is not of that network");
    if (cn_statement_verify(s, &p->key, &why) != CN_OK)
        return cn_fail(err, CN_BAD_SIGNATURE, "foreign_proof.record", "%s", why.text);
    if (!cn_verify_inclusion(&leaf, p->log_index, checkpoint->log_size, p->path, p->path_len, &checkpoint->log_root))
        return cn_fail(err, CN_INVALID, "foreign_proof.path", "does not lead from log index %llu to the log root",
                       (unsigned long long)p->log_index);
    return CN_OK;
}

static cn_status decode_record(const cn_foreign_proof *p, cn_statement **ret, cn_err *err)
{
    cn_err why = {0};
    CN_ASSERT(p->kind == CN_FOREIGN_STATEMENT);
    cn_status st = cn_statement_decode(p->record.p, p->record.n, ret, &why);
    return st == CN_OK ? CN_OK : cn_fail(err, st, "foreign_proof.record", "%s: %s", why.field, why.text);
}

cn_status cn_foreign_statement(const cn_foreign_proof *p, cn_digest *ret, cn_err *err)
{
    cn_statement *s = NULL;
    cn_status st = decode_record(p, &s, err);
    if (st == CN_OK)
        *ret = s->id;
    cn_statement_free(s);
    return st;
}

static cn_status check_statement(const cn_foreign_proof *p, cn_err *err)
{
    cn_statement *s = NULL;
    cn_status st = decode_record(p, &s, err);
    if (st == CN_OK)
        st = check_record(p, s, err);
    if (st == CN_OK)
        st = check_quorum(p, err);
    cn_statement_free(s);
    return st;
}

/* ---- an advance ---- */

static cn_status check_steps(const cn_foreign_proof *p, cn_epoch *e, cn_err *err)
{
    cn_err why = {0};
    for (size_t i = 0; i < p->step_count; i++) {
        const cn_foreign_step *step = &p->step[i];
        cn_status st = cn_epoch_advance(e, &p->network, &step->closing, step->finalization, step->rows, &why);
        if (st != CN_OK)
            return cn_fail(err, st, "foreign_proof.steps", "change %zu: %s: %s", i + 1, why.field, why.text);
        if (i > 0 && step->closing.log_size < step[-1].closing.log_size)
            return cn_fail(err, CN_CONFLICT, "foreign_proof.steps", "change %zu: the log is shorter than before",
                           i + 1);
    }
    return CN_OK;
}

static cn_status check_advance(const cn_foreign_proof *p, cn_err *err)
{
    cn_epoch *e = calloc(1, sizeof *e);
    cn_err why = {0};
    if (!e)
        return cn_fail(err, CN_NO_MEMORY, "foreign_proof", "out of memory");
    cn_status st = cn_validator_set_decode(p->rows.p, p->rows.n, &e->set, &why);
    if (st != CN_OK)
        cn_fail(err, st, "foreign_proof.set", "%s", why.text);
    e->epoch = p->epoch;
    e->digest = cn_tagged("carnet/set", p->rows.p, p->rows.n);
    if (st == CN_OK)
        st = check_steps(p, e, err);
    free(e);
    return st;
}

void cn_foreign_move(const cn_foreign_proof *p, cn_state_foreign *known)
{
    const cn_foreign_step *last = &p->step[p->step_count - 1];
    CN_ASSERT(p->kind == CN_FOREIGN_ADVANCE && p->step_count > 0);
    known->epoch = p->epoch + p->step_count;
    known->set = last->closing.next_set;
    known->height = last->closing.height;
    known->log_size = last->closing.log_size;
}

cn_status cn_foreign_check(const cn_foreign_proof *p, cn_err *err)
{
    return p->kind == CN_FOREIGN_STATEMENT ? check_statement(p, err) : check_advance(p, err);
}

/* ---- ballots ---- */

cn_state_foreign cn_foreign_proposed(const cn_proposal_payload *p)
{
    CN_ASSERT(p->action == CN_CHANGE_FOREIGN);
    cn_state_foreign v = {.status = p->foreign.withdraw ? CN_FOREIGN_WITHDRAWN : CN_FOREIGN_ACTIVE,
                          .epoch = p->foreign.epoch,
                          .set = p->foreign.set,
                          .height = p->foreign.height,
                          .log_size = p->foreign.log_size,
                          .network = p->member};
    memcpy(v.name, p->foreign.name, sizeof v.name);
    return v;
}

cn_status cn_foreign_decide(const cn_state_foreign *proposed, const cn_state_foreign *was, cn_state_foreign *ret,
                            cn_err *err)
{
    bool active = was && was->status == CN_FOREIGN_ACTIVE, withdraw = proposed->status == CN_FOREIGN_WITHDRAWN;
    if (withdraw && !active)
        return cn_fail(err, CN_CONFLICT, "proposal.foreign",
                       "the network is not registered, so it cannot be withdrawn");
    if (!withdraw && active && proposed->epoch <= was->epoch)
        return cn_fail(err, CN_CONFLICT, "proposal.foreign.epoch",
                       "is %llu, and epoch %llu is known: a network in force only moves on; withdraw it first",
                       (unsigned long long)proposed->epoch, (unsigned long long)was->epoch);
    *ret = withdraw ? *was : *proposed;
    ret->status = proposed->status;
    return CN_OK;
}
