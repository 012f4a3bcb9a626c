#include "proto/evidence.h"

#include <string.h>

static int order(const cn_evidence_vote *a, const cn_evidence_vote *b)
{
    return a->kind != b->kind ? (a->kind > b->kind) - (a->kind < b->kind) : cn_digest_cmp(&a->block, &b->block);
}

void cn_evidence_encode(const cn_evidence *e, uint8_t out[CN_EVIDENCE_LEN])
{
    unsigned first = order(&e->vote[0], &e->vote[1]) > 0;
    uint8_t *p = out;
    *p++ = 1;
    p = cn_store_u64(p, e->epoch);
    p = cn_store_u64(p, e->view);
    p = cn_store_u16(p, e->signer);
    for (unsigned i = 0; i < 2; i++) {
        const cn_evidence_vote *v = &e->vote[first ^ i];
        *p++ = v->kind;
        memcpy(p, v->block.b, CN_DIGEST_LEN);
        memcpy(p + CN_DIGEST_LEN, v->signature.b, CN_SIGNATURE_LEN);
        p += CN_DIGEST_LEN + CN_SIGNATURE_LEN;
    }
}

static bool conflict(const cn_evidence_vote *a, const cn_evidence_vote *b)
{
    if (a->kind == b->kind)
        return a->kind != CN_NULLIFY && !cn_digest_eq(&a->block, &b->block);
    return a->kind == CN_NULLIFY && b->kind == CN_FINALIZE;
}

cn_status cn_evidence_decode(const void *p, size_t n, cn_evidence *ret, cn_err *err)
{
    cn_reader r = cn_reader_of(p, n);
    cn_evidence e;
    memset(&e, 0, sizeof e);
    uint8_t version = cn_read_u8(&r);
    e.epoch = cn_read_u64(&r);
    e.view = cn_read_u64(&r);
    e.signer = cn_read_u16(&r);
    for (unsigned i = 0; i < 2; i++) {
        e.vote[i].kind = cn_read_u8(&r);
        e.vote[i].block = cn_read_digest(&r);
        cn_read_bytes(&r, e.vote[i].signature.b, CN_SIGNATURE_LEN);
    }
    if (!cn_reader_done(&r) || version != 1)
        return cn_fail(err, CN_INVALID, "evidence", "is not version 1 of %d bytes", CN_EVIDENCE_LEN);
    for (unsigned i = 0; i < 2; i++)
        if (e.vote[i].kind < CN_NOTARIZE || e.vote[i].kind > CN_FINALIZE ||
            (e.vote[i].kind == CN_NULLIFY && !cn_digest_eq(&e.vote[i].block, &cn_digest_zero)))
            return cn_fail(err, CN_INVALID, "evidence", "vote %u is of no known kind", i);
    if (order(&e.vote[0], &e.vote[1]) > 0)
        return cn_fail(err, CN_NOT_CANONICAL, "evidence", "the votes are not in order");
    if (!conflict(&e.vote[0], &e.vote[1]))
        return cn_fail(err, CN_INVALID, "evidence", "an honest validator may sign both votes");
    *ret = e;
    return CN_OK;
}

cn_status cn_evidence_verify(const cn_evidence *e, const cn_digest *network, const cn_validator_set *set, cn_err *err)
{
    if (e->signer >= set->n)
        return cn_fail(err, CN_INVALID, "evidence", "signer %u is not in a set of %u", e->signer, set->n);
    cn_vote_keys *keys = cn_vote_keys_new(set);
    if (!keys)
        return cn_fail(err, CN_NO_MEMORY, "evidence", "out of memory");
    bool good = true;
    for (unsigned i = 0; i < 2 && good; i++) {
        cn_digest digest = cn_vote_digest(network, e->epoch, e->vote[i].kind, e->view, &e->vote[i].block);
        good = cn_vote_verify(keys, e->signer, &digest, e->vote[i].signature.b);
    }
    cn_vote_keys_free(keys);
    return good ? CN_OK : cn_fail(err, CN_BAD_SIGNATURE, "evidence", "a vote is not signed by validator %u", e->signer);
}

const char *cn_evidence_text(const cn_evidence *e)
{
    if (e->vote[0].kind != e->vote[1].kind)
        return "finalized and nullified";
    return e->vote[0].kind == CN_NOTARIZE ? "notarized two blocks" : "finalized two blocks";
}
