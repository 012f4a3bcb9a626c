#include "proto/receipt.h"

#include "proto/cbor.h"

#include <stdlib.h>
#include <string.h>

/* IANA's COSE registries. */
enum { ALG = 1, KID = 4, CWT_CLAIMS = 15, TYP = 16, VDS = 395, VDP = 396, ES256 = -7, RFC9162_SHA256 = 1 };
enum { ISS = 1, IAT = 6, INCLUSION = -1, CONSISTENCY = -2, COSE_SIGN1 = 18 };

typedef struct claims { /* what the protected header says */
    const char *iss;
    cn_digest kid;
    uint64_t iat, size, epoch, height;
} claims;

static void put_protected(cn_buf *out, const claims *c)
{
    cn_cbor_head(out, CN_CBOR_MAP, 5);
    cn_cbor_integer(out, ALG);
    cn_cbor_integer(out, ES256);
    cn_cbor_integer(out, KID);
    cn_cbor_bytes(out, c->kid.b, CN_DIGEST_LEN);
    cn_cbor_integer(out, CWT_CLAIMS);
    cn_cbor_head(out, CN_CBOR_MAP, 5);
    cn_cbor_integer(out, ISS);
    cn_cbor_text(out, c->iss);
    cn_cbor_integer(out, IAT);
    cn_cbor_head(out, CN_CBOR_UNSIGNED, c->iat);
    cn_cbor_text(out, "size"); /* keys in the bytewise order of their encodings: shorter texts first */
    cn_cbor_head(out, CN_CBOR_UNSIGNED, c->size);
    cn_cbor_text(out, "epoch");
    cn_cbor_head(out, CN_CBOR_UNSIGNED, c->epoch);
    cn_cbor_text(out, "height");
    cn_cbor_head(out, CN_CBOR_UNSIGNED, c->height);
    cn_cbor_integer(out, TYP);
    cn_cbor_text(out, CN_RECEIPT_CONTENT_TYPE);
    cn_cbor_integer(out, VDS);
    cn_cbor_integer(out, RFC9162_SHA256);
}

static claims claims_of(const cn_checkpoint *c, const char *signer_name, const cn_digest *kid)
{
    return (claims){signer_name, *kid, c->time_ms / 1000, c->size, c->epoch, c->height};
}

static void put_proof(cn_buf *out, const cn_receipt_proof *proof)
{
    cn_buf inner;
    cn_buf_init(&inner, CN_RECEIPT_MAX);
    cn_cbor_head(&inner, CN_CBOR_ARRAY, 3);
    cn_cbor_head(&inner, CN_CBOR_UNSIGNED, proof->consistency ? proof->index : proof->size);
    cn_cbor_head(&inner, CN_CBOR_UNSIGNED, proof->consistency ? proof->size : proof->index);
    cn_cbor_head(&inner, CN_CBOR_ARRAY, proof->path_len);
    for (size_t i = 0; i < proof->path_len; i++)
        cn_cbor_bytes(&inner, proof->path[i].b, CN_DIGEST_LEN);
    out->fault = out->fault || inner.fault;
    cn_cbor_head(out, CN_CBOR_MAP, 1);
    cn_cbor_integer(out, VDP);
    cn_cbor_head(out, CN_CBOR_MAP, 1);
    cn_cbor_integer(out, proof->consistency ? CONSISTENCY : INCLUSION);
    cn_cbor_head(out, CN_CBOR_ARRAY, 1);
    cn_cbor_bytes(out, inner.p, inner.n);
    cn_buf_free(&inner);
}

static void put_receipt(cn_buf *out, const claims *c, const cn_receipt_proof *proof, const cn_signature *signature)
{
    cn_buf head;
    cn_buf_init(&head, CN_RECEIPT_MAX);
    put_protected(&head, c);
    out->fault = out->fault || head.fault;
    cn_cbor_head(out, CN_CBOR_TAG, COSE_SIGN1);
    cn_cbor_head(out, CN_CBOR_ARRAY, 4);
    cn_cbor_bytes(out, head.p, head.n);
    cn_buf_free(&head);
    put_proof(out, proof);
    cn_cbor_null(out);
    cn_cbor_bytes(out, signature->b, CN_SIGNATURE_LEN);
}

void cn_receipt_write(cn_buf *out, const cn_checkpoint *c, const char *signer_name, const cn_digest *kid,
                      const cn_receipt_proof *proof, const cn_signature *signature)
{
    claims all = claims_of(c, signer_name, kid);
    put_receipt(out, &all, proof, signature);
}

static cn_digest sig_structure_digest(const claims *c, const cn_digest *root)
{
    cn_buf head, all;
    cn_buf_init(&head, CN_RECEIPT_MAX);
    cn_buf_init(&all, CN_RECEIPT_MAX);
    put_protected(&head, c);
    cn_cbor_head(&all, CN_CBOR_ARRAY, 4);
    cn_cbor_text(&all, "Signature1");
    cn_cbor_bytes(&all, head.p, head.n);
    cn_cbor_bytes(&all, NULL, 0);
    cn_cbor_bytes(&all, root->b, CN_DIGEST_LEN);
    CN_ASSERT(!head.fault && !all.fault); /* bounded by CN_SIGNER_NAME_MAX: only memory can be missing */
    cn_digest d = cn_sha256(all.p, all.n);
    cn_buf_free(&head);
    cn_buf_free(&all);
    return d;
}

cn_digest cn_receipt_digest(const cn_checkpoint *c, const char *signer_name, const cn_digest *kid)
{
    claims all = claims_of(c, signer_name, kid);
    return sig_structure_digest(&all, &c->root);
}

cn_digest cn_receipt_kid(const uint8_t receipt_key[33])
{
    cn_public_key key = {.type = CN_KEY_P256};
    memcpy(key.b, receipt_key, 33);
    return cn_key_id(&key);
}

/* ---- reading: a fixed sequence of heads, so that no other encoding passes ---- */

static void read_protected(cn_span head, cn_receipt *ret, bool *ok)
{
    cn_reader r = cn_reader_of(head.p, head.n);
    cn_cbor_expect(&r, CN_CBOR_MAP, 5);
    cn_cbor_expect_integer(&r, ALG);
    cn_cbor_expect_integer(&r, ES256);
    cn_cbor_expect_integer(&r, KID);
    cn_span kid = cn_cbor_read_string(&r, CN_CBOR_BYTES, CN_DIGEST_LEN);
    cn_cbor_expect_integer(&r, CWT_CLAIMS);
    cn_cbor_expect(&r, CN_CBOR_MAP, 5);
    cn_cbor_expect_integer(&r, ISS);
    cn_span iss = cn_cbor_read_string(&r, CN_CBOR_TEXT, CN_SIGNER_NAME_MAX);
    cn_cbor_expect_integer(&r, IAT);
    ret->iat = cn_cbor_read_head(&r, CN_CBOR_UNSIGNED);
    cn_cbor_expect_text(&r, "size");
    ret->size = cn_cbor_read_head(&r, CN_CBOR_UNSIGNED);
    cn_cbor_expect_text(&r, "epoch");
    ret->epoch = cn_cbor_read_head(&r, CN_CBOR_UNSIGNED);
    cn_cbor_expect_text(&r, "height");
    ret->height = cn_cbor_read_head(&r, CN_CBOR_UNSIGNED);
    cn_cbor_expect_integer(&r, TYP);
    cn_cbor_expect_text(&r, CN_RECEIPT_CONTENT_TYPE);
    cn_cbor_expect_integer(&r, VDS);
    cn_cbor_expect_integer(&r, RFC9162_SHA256);
    *ok = cn_reader_done(&r) && kid.n == CN_DIGEST_LEN && iss.n > 0 && !memchr(iss.p, 0, iss.n);
    if (!*ok)
        return;
    memcpy(ret->kid.b, kid.p, CN_DIGEST_LEN);
    memcpy(ret->signer_name, iss.p, iss.n);
    ret->signer_name[iss.n] = 0;
}

static void read_proof(cn_span bytes, bool consistency, cn_receipt_proof *ret, bool *ok)
{
    cn_reader r = cn_reader_of(bytes.p, bytes.n);
    cn_cbor_expect(&r, CN_CBOR_ARRAY, 3);
    uint64_t first = cn_cbor_read_head(&r, CN_CBOR_UNSIGNED);
    uint64_t second = cn_cbor_read_head(&r, CN_CBOR_UNSIGNED);
    uint64_t len = cn_cbor_read_head(&r, CN_CBOR_ARRAY);
    if (len > CN_PROOF_MAX + 1)
        r.fault = true;
    ret->consistency = consistency;
    ret->size = consistency ? second : first;
    ret->index = consistency ? first : second;
    ret->path_len = r.fault ? 0 : (size_t)len;
    for (size_t i = 0; i < ret->path_len && !r.fault; i++) {
        cn_span node = cn_cbor_read_string(&r, CN_CBOR_BYTES, CN_DIGEST_LEN);
        if (node.n == CN_DIGEST_LEN)
            memcpy(ret->path[i].b, node.p, CN_DIGEST_LEN);
        else
            r.fault = true;
    }
    *ok = cn_reader_done(&r);
}

static bool read_unprotected(cn_reader *r, cn_receipt_proof *ret)
{
    bool ok = false;
    cn_cbor_expect(r, CN_CBOR_MAP, 1);
    cn_cbor_expect_integer(r, VDP);
    cn_cbor_expect(r, CN_CBOR_MAP, 1);
    uint64_t kind = cn_cbor_read_head(r, CN_CBOR_NEGATIVE); /* -1 and -2 as 0 and 1 */
    cn_cbor_expect(r, CN_CBOR_ARRAY, 1);
    cn_span proof = cn_cbor_read_string(r, CN_CBOR_BYTES, CN_RECEIPT_MAX);
    if (r->fault || kind > 1)
        return false;
    read_proof(proof, kind == 1, ret, &ok);
    return ok;
}

cn_status cn_receipt_read(cn_reader *r, cn_receipt *ret, cn_err *err)
{
    const uint8_t *begin = r->p;
    bool ok = false;
    memset(ret, 0, sizeof *ret);
    cn_cbor_expect(r, CN_CBOR_TAG, COSE_SIGN1);
    cn_cbor_expect(r, CN_CBOR_ARRAY, 4);
    cn_span head = cn_cbor_read_string(r, CN_CBOR_BYTES, CN_RECEIPT_MAX);
    if (!r->fault)
        read_protected(head, ret, &ok);
    if (!ok)
        return cn_fail(err, CN_NOT_CANONICAL, "receipt.protected",
                       "not the protected header of a receipt of this kind (alg ES256, vds RFC9162_SHA256)");
    if (!read_unprotected(r, &ret->proof))
        return cn_fail(err, CN_NOT_CANONICAL, "receipt.unprotected", "not exactly one RFC 9942 proof");
    cn_cbor_expect_null(r);
    cn_span signature = cn_cbor_read_string(r, CN_CBOR_BYTES, CN_SIGNATURE_LEN);
    if (r->fault || signature.n != CN_SIGNATURE_LEN)
        return cn_fail(err, CN_NOT_CANONICAL, "receipt.signature",
                       "a receipt ends with a detached payload and a signature of 64 bytes");
    memcpy(ret->signature.b, signature.p, CN_SIGNATURE_LEN);
    ret->len = (size_t)(r->p - begin);
    return CN_OK;
}

static bool path_leads(const cn_receipt_proof *proof, const cn_digest *given, const cn_digest *root)
{
    if (proof->consistency)
        return cn_verify_consistency(proof->index, given, proof->size, root, proof->path, proof->path_len);
    cn_digest leaf = cn_leaf_hash(given->b, CN_DIGEST_LEN);
    return cn_verify_inclusion(&leaf, proof->index, proof->size, proof->path, proof->path_len, root);
}

cn_status cn_receipt_verify(const cn_receipt *receipt, const cn_checkpoint *c, const char *member_name,
                            const cn_set_row *row, const cn_digest *entry_or_root1, cn_err *err)
{
    char name[CN_SIGNER_NAME_MAX + 1];
    cn_public_key key = {.type = CN_KEY_P256};
    cn_digest kid = cn_receipt_kid(row->receipt_key);
    cn_signer_name(c, member_name, name);
    memcpy(key.b, row->receipt_key, 33);
    if (receipt->size != c->size || receipt->proof.size != c->size || receipt->epoch != c->epoch ||
        receipt->height != c->height || receipt->iat != c->time_ms / 1000)
        return cn_fail(err, CN_INVALID, "checkpoint",
                       "the receipt is of another checkpoint, or its proof of another size");
    if (strcmp(receipt->signer_name, name) != 0 || !cn_digest_eq(&receipt->kid, &kid))
        return cn_fail(err, CN_UNKNOWN_KEY, "signer", "iss or kid is not that of %s", member_name);
    cn_digest digest = cn_receipt_digest(c, name, &kid);
    if (!cn_verify(&key, &digest, receipt->signature.b))
        return cn_fail(err, CN_BAD_SIGNATURE, "signature", "the receipt of %s does not verify", member_name);
    if (!path_leads(&receipt->proof, entry_or_root1, &c->root))
        return cn_fail(err, CN_INVALID, "path", "the proof does not lead to the checkpoint's root");
    return CN_OK;
}
