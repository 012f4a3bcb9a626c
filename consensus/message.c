#include "consensus/message.h"

#include <stdlib.h>
#include <string.h>

#define VERSION 1u

uint8_t cn_message_kind_of(const uint8_t *p, size_t n)
{
    return n >= 2 && p[0] == VERSION ? p[1] : 0;
}

static void begin(cn_buf *out, cn_message_kind kind)
{
    cn_put_u8(out, VERSION);
    cn_put_u8(out, (uint8_t)kind);
}

static cn_reader open_message(const uint8_t *p, size_t n, cn_message_kind kind)
{
    cn_reader r = cn_reader_of(p, n);
    if (cn_read_u8(&r) != VERSION || cn_read_u8(&r) != kind)
        r.fault = true;
    return r;
}

void cn_vote_write(const cn_vote *v, cn_buf *out)
{
    begin(out, CN_MSG_VOTE);
    cn_put_u8(out, v->kind);
    cn_put_u64(out, v->epoch);
    cn_put_u64(out, v->view);
    cn_put_digest(out, &v->block);
    cn_put_u16(out, v->signer);
    cn_put_bytes(out, v->signature.b, CN_SIGNATURE_LEN);
}

bool cn_vote_read(const uint8_t *p, size_t n, cn_vote *ret)
{
    cn_reader r = open_message(p, n, CN_MSG_VOTE);
    cn_vote v;
    v.kind = cn_read_u8(&r);
    v.epoch = cn_read_u64(&r);
    v.view = cn_read_u64(&r);
    v.block = cn_read_digest(&r);
    v.signer = cn_read_u16(&r);
    cn_read_bytes(&r, v.signature.b, CN_SIGNATURE_LEN);
    if (!cn_reader_done(&r) || v.kind < CN_NOTARIZE || v.kind > CN_FINALIZE)
        return false;
    if ((v.kind == CN_NULLIFY) != cn_digest_is_zero(&v.block))
        return false;
    *ret = v;
    return true;
}

void cn_certificate_message_write(const cn_certificate *cert, cn_buf *out)
{
    begin(out, CN_MSG_CERTIFICATE);
    cn_certificate_encode(cert, out);
}

bool cn_certificate_message_read(const uint8_t *p, size_t n, cn_certificate *ret)
{
    cn_reader r = open_message(p, n, CN_MSG_CERTIFICATE);
    return cn_reader_ok(&r) && cn_certificate_read(&r, ret, NULL) == CN_OK && cn_reader_done(&r);
}

void cn_cert_request_write(uint64_t epoch, uint64_t from, uint64_t to, cn_buf *out)
{
    begin(out, CN_MSG_CERT_REQUEST);
    cn_put_u64(out, epoch);
    cn_put_u64(out, from);
    cn_put_u64(out, to);
}

bool cn_cert_request_read(const uint8_t *p, size_t n, uint64_t *epoch, uint64_t *from, uint64_t *to)
{
    cn_reader r = open_message(p, n, CN_MSG_CERT_REQUEST);
    uint64_t e = cn_read_u64(&r), a = cn_read_u64(&r), b = cn_read_u64(&r);
    if (!cn_reader_done(&r) || a > b)
        return false;
    *epoch = e;
    *from = a;
    *to = b;
    return true;
}

void cn_proposal_write_unsigned(const cn_proposal *p, cn_buf *out)
{
    begin(out, CN_MSG_PROPOSAL);
    cn_put_u64(out, p->epoch);
    cn_put_u64(out, p->view);
    cn_put_u64(out, p->parent_view);
    cn_put_bytes(out, p->header_bytes, CN_HEADER_LEN);
    cn_put_u32(out, (uint32_t)p->record_count);
    for (size_t i = 0; i < p->record_count; i++)
        cn_put_digest(out, &p->record[i]);
    cn_put_u8(out, (uint8_t)p->evidence_count);
    for (size_t i = 0; i < p->evidence_count; i++)
        cn_certificate_encode(&p->evidence[i], out);
    cn_put_bytes(out, p->vote.b, CN_SIGNATURE_LEN);
}

cn_digest cn_proposal_digest(const cn_digest *network, const void *p, size_t n)
{
    cn_span spans[] = {CN_SPAN_DIGEST(network), CN_SPAN(p, n)};
    return cn_taggedv("carnet/proposal", spans, 2);
}

static bool read_records(cn_reader *r, cn_proposal *p)
{
    p->record_count = cn_read_u32(r);
    if (p->record_count > CN_MAX_BLOCK_STATEMENTS || p->record_count * CN_DIGEST_LEN > r->n)
        return false;
    p->record = malloc((p->record_count + 1) * sizeof *p->record);
    CN_ASSERT(p->record);
    for (size_t i = 0; i < p->record_count; i++)
        p->record[i] = cn_read_digest(r);
    return true;
}

static bool read_evidence(cn_reader *r, cn_proposal *p)
{
    size_t count = cn_read_u8(r);
    if (count > CN_MAX_PROPOSAL_EVIDENCE)
        return false;
    p->evidence = calloc(count + 1, sizeof *p->evidence);
    CN_ASSERT(p->evidence);
    for (size_t i = 0; i < count; i++, p->evidence_count++)
        if (cn_certificate_read(r, &p->evidence[i], NULL) != CN_OK)
            return false;
    return true;
}

bool cn_proposal_read(const cn_digest *network, const uint8_t *bytes, size_t n, cn_proposal *ret)
{
    cn_reader r = open_message(bytes, n, CN_MSG_PROPOSAL);
    memset(ret, 0, sizeof *ret);
    ret->epoch = cn_read_u64(&r);
    ret->view = cn_read_u64(&r);
    ret->parent_view = cn_read_u64(&r);
    cn_read_bytes(&r, ret->header_bytes, CN_HEADER_LEN);
    bool ok = cn_reader_ok(&r) && cn_header_decode(ret->header_bytes, CN_HEADER_LEN, &ret->header, NULL) == CN_OK &&
              read_records(&r, ret) && read_evidence(&r, ret);
    if (ok) {
        cn_read_bytes(&r, ret->vote.b, CN_SIGNATURE_LEN);
        if (cn_reader_ok(&r))
            ret->signed_digest = cn_proposal_digest(network, bytes, (size_t)(r.p - bytes));
        cn_read_bytes(&r, ret->signature.b, CN_SIGNATURE_LEN);
        ok = cn_reader_done(&r) && ret->parent_view < ret->view;
    }
    if (ok) { /* the header names its body */
        cn_digest body = cn_body_digest(ret->record, ret->record_count);
        ok = cn_digest_eq(&body, &ret->header.body);
    }
    if (!ok)
        cn_proposal_clear(ret);
    return ok;
}

void cn_proposal_clear(cn_proposal *p)
{
    free(p->record);
    free(p->evidence);
    memset(p, 0, sizeof *p);
}
