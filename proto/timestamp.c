#include "proto/timestamp.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ts.h>
#include <openssl/x509_vfy.h>
#include <string.h>
#include <time.h>

/* ---- asking ---- */

static bool fill_query(TS_REQ *q, TS_MSG_IMPRINT *m, X509_ALGOR *a, ASN1_INTEGER *n, const cn_digest *imprint,
                       uint64_t nonce)
{
    return X509_ALGOR_set0(a, OBJ_nid2obj(NID_sha256), V_ASN1_NULL, NULL) && TS_MSG_IMPRINT_set_algo(m, a) &&
           TS_MSG_IMPRINT_set_msg(m, (unsigned char *)(uintptr_t)imprint->b, CN_DIGEST_LEN) &&
           ASN1_INTEGER_set_uint64(n, nonce) && TS_REQ_set_version(q, 1) && TS_REQ_set_msg_imprint(q, m) &&
           TS_REQ_set_nonce(q, n) && TS_REQ_set_cert_req(q, 1);
}

cn_status cn_timestamp_query(const cn_digest *imprint, uint64_t nonce, uint8_t out[CN_TIMESTAMP_QUERY_MAX],
                             size_t *ret_n, cn_err *err)
{
    TS_REQ *q = TS_REQ_new();
    TS_MSG_IMPRINT *m = TS_MSG_IMPRINT_new();
    X509_ALGOR *a = X509_ALGOR_new();
    ASN1_INTEGER *n = ASN1_INTEGER_new();
    int len = q && m && a && n && fill_query(q, m, a, n, imprint, nonce) ? i2d_TS_REQ(q, NULL) : -1;
    if (len > 0 && (size_t)len <= CN_TIMESTAMP_QUERY_MAX) {
        *ret_n = (size_t)i2d_TS_REQ(q, &out);
    }
    ASN1_INTEGER_free(n);
    X509_ALGOR_free(a);
    TS_MSG_IMPRINT_free(m);
    TS_REQ_free(q);
    return len > 0 ? CN_OK : cn_fail(err, CN_NO_MEMORY, "time token", "the request could not be made");
}

/* ---- reading ---- */

static cn_status malformed(cn_err *err, const char *what)
{
    ERR_clear_error();
    return cn_fail(err, CN_INVALID, "time token", "%s", what);
}

/* One DER element at *p; its whole length, or 0. */
static size_t element(const unsigned char *p, size_t n, int *ret_tag, size_t *ret_head)
{
    const unsigned char *at = p;
    long len = 0;
    int tag = 0, class = 0;
    if (n == 0 || n > CN_TIMESTAMP_MAX || (ASN1_get_object(&at, &len, &tag, &class, (long)n) & 0x81) || len < 0)
        return 0; /* 0x80: error, 0x01: indefinite length */
    *ret_tag = class == V_ASN1_UNIVERSAL ? tag : -1;
    *ret_head = (size_t)(at - p);
    return *ret_head + (size_t)len;
}

cn_status cn_timestamp_token(const void *p, size_t n, cn_span *ret_token, cn_err *err)
{
    const unsigned char *bytes = p, *at = p;
    int tag = 0;
    size_t head = 0, inner;
    if (n == 0 || n > CN_TIMESTAMP_MAX || element(bytes, n, &tag, &head) != n || tag != V_ASN1_SEQUENCE)
        return malformed(err, "neither a TimeStampResp nor a TimeStampToken in DER");
    inner = element(bytes + head, n - head, &tag, &(size_t){0});
    if (inner == 0)
        return malformed(err, "neither a TimeStampResp nor a TimeStampToken in DER");
    if (tag == V_ASN1_OBJECT) { /* ContentInfo begins with its type */
        *ret_token = CN_SPAN(bytes, n);
        return CN_OK;
    }
    TS_RESP *r = d2i_TS_RESP(NULL, &at, (long)n);
    if (!r || at != bytes + n) {
        TS_RESP_free(r);
        return malformed(err, "neither a TimeStampResp nor a TimeStampToken in DER");
    }
    long granted = ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(r)));
    bool has_token = TS_RESP_get_token(r) != NULL;
    TS_RESP_free(r);
    if ((granted != TS_STATUS_GRANTED && granted != TS_STATUS_GRANTED_WITH_MODS) || !has_token)
        return cn_fail(err, CN_INVALID, "time token", "the time authority granted none: status %ld (RFC 3161, 2.4.2)",
                       granted);
    *ret_token = CN_SPAN(bytes + head + inner, n - head - inner);
    return CN_OK;
}

/* RFC 3161, 2.4.2: YYYYMMDDhhmmss[.s...]Z */
static bool to_ms(const ASN1_GENERALIZEDTIME *t, uint64_t *ret)
{
    struct tm tm = {0};
    const unsigned char *text = ASN1_STRING_get0_data(t);
    int n = ASN1_STRING_length(t);
    uint64_t ms = 0, unit = 100;
    if (!ASN1_TIME_to_tm(t, &tm) || n < 15 || text[n - 1] != 'Z')
        return false;
    for (int i = 15; text[14] == '.' && i < n - 1; i++, unit /= 10) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        ms += unit * (uint64_t)(text[i] - '0');
    }
    time_t seconds = timegm(&tm);
    if (seconds < 0)
        return false;
    *ret = (uint64_t)seconds * 1000u + ms;
    return true;
}

static void name_authority(PKCS7 *token, char out[CN_TIMESTAMP_AUTHORITY_MAX + 1])
{
    STACK_OF(X509) *signers = PKCS7_get0_signers(token, NULL, 0);
    BIO *bio = signers && sk_X509_num(signers) == 1 ? BIO_new(BIO_s_mem()) : NULL;
    char *text = NULL;
    if (bio && X509_NAME_print_ex(bio, X509_get_subject_name(sk_X509_value(signers, 0)), 0, XN_FLAG_RFC2253) >= 0) {
        long n = BIO_get_mem_data(bio, &text);
        size_t len = n < 0 ? 0 : (size_t)n;
        len = len > CN_TIMESTAMP_AUTHORITY_MAX ? CN_TIMESTAMP_AUTHORITY_MAX : len;
        if (len)
            memcpy(out, text, len);
    }
    BIO_free(bio);
    sk_X509_free(signers);
}

static cn_status read_info(TS_TST_INFO *info, cn_timestamp *ret, cn_err *err)
{
    TS_MSG_IMPRINT *m = TS_TST_INFO_get_msg_imprint(info);
    X509_ALGOR *algorithm = m ? TS_MSG_IMPRINT_get_algo(m) : NULL;
    const ASN1_OBJECT *oid = NULL;
    ASN1_OCTET_STRING *digest = m ? TS_MSG_IMPRINT_get_msg(m) : NULL;
    if (algorithm)
        X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
    if (!oid || OBJ_obj2nid(oid) != NID_sha256 || !digest || ASN1_STRING_length(digest) != CN_DIGEST_LEN)
        return malformed(err, "its imprint is not a SHA-256");
    memcpy(ret->imprint.b, ASN1_STRING_get0_data(digest), CN_DIGEST_LEN);
    const ASN1_INTEGER *nonce = TS_TST_INFO_get_nonce(info);
    if (nonce && !ASN1_INTEGER_get_uint64(&ret->nonce, nonce))
        ret->nonce = 0;
    if (OBJ_obj2txt(ret->policy, sizeof ret->policy, TS_TST_INFO_get_policy_id(info), 1) < 0)
        ret->policy[0] = 0;
    if (!to_ms(TS_TST_INFO_get_time(info), &ret->time_ms))
        return malformed(err, "its time is none");
    ERR_clear_error();
    return CN_OK;
}

static cn_status open_token(cn_span token, PKCS7 **ret, cn_timestamp *info, cn_err *err)
{
    const unsigned char *at = token.p, *end = at + token.n;
    memset(info, 0, sizeof *info);
    PKCS7 *p = token.n && token.n <= CN_TIMESTAMP_MAX ? d2i_PKCS7(NULL, &at, (long)token.n) : NULL;
    TS_TST_INFO *tst = p && at == end && PKCS7_type_is_signed(p) ? PKCS7_to_TS_TST_INFO(p) : NULL;
    cn_status st = tst ? read_info(tst, info, err) : malformed(err, "not a TimeStampToken in DER");
    if (st == CN_OK)
        name_authority(p, info->authority);
    TS_TST_INFO_free(tst);
    if (st == CN_OK)
        *ret = p;
    else
        PKCS7_free(p);
    ERR_clear_error();
    return st;
}

cn_status cn_timestamp_read(cn_span token, cn_timestamp *ret, cn_err *err)
{
    PKCS7 *p = NULL;
    cn_status st = open_token(token, &p, ret, err);
    PKCS7_free(p);
    return st;
}

/* ---- verifying ---- */

/* The certificates that are trusted; a certificate counts as of when it signed, so that a token outlives it. */
static size_t add_certificates(cn_span pem, X509_STORE *store)
{
    BIO *bio = pem.n && pem.n <= CN_TIMESTAMP_CA_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    size_t count = 0;
    for (X509 *x = NULL; bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL; X509_free(x))
        count += X509_STORE_add_cert(store, x) == 1;
    BIO_free(bio);
    ERR_clear_error();
    return count;
}

size_t cn_timestamp_authorities(cn_span ca_pem)
{
    X509_STORE *store = X509_STORE_new();
    size_t count = store ? add_certificates(ca_pem, store) : 0;
    X509_STORE_free(store);
    return count;
}

static X509_STORE *store_of(cn_span pem, uint64_t time_ms)
{
    X509_STORE *store = X509_STORE_new();
    if (!store || add_certificates(pem, store) == 0) {
        X509_STORE_free(store);
        return NULL;
    }
    X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)(time_ms / 1000u));
    return store;
}

static cn_status check(PKCS7 *token, const cn_digest *imprint, X509_STORE *store, cn_err *err)
{
    TS_VERIFY_CTX *c = TS_VERIFY_CTX_new();
    unsigned char *copy = c ? OPENSSL_memdup(imprint->b, CN_DIGEST_LEN) : NULL;
    if (!copy) {
        X509_STORE_free(store);
        TS_VERIFY_CTX_free(c);
        return cn_fail(err, CN_NO_MEMORY, "time token", "out of memory");
    }
    TS_VERIFY_CTX_set_flags(c, TS_VFY_SIGNATURE | TS_VFY_VERSION | TS_VFY_IMPRINT);
    TS_VERIFY_CTX_set_imprint(c, copy, CN_DIGEST_LEN); /* both become the context's */
    TS_VERIFY_CTX_set_store(c, store);
    bool ok = TS_RESP_verify_token(c, token) == 1;
    TS_VERIFY_CTX_free(c);
    if (ok)
        return CN_OK;
    unsigned long code = ERR_peek_error();
    const char *data = NULL, *reason = ERR_reason_error_string(code);
    (void)ERR_peek_error_all(NULL, NULL, NULL, &data, NULL);
    cn_status st = cn_fail(err, CN_BAD_SIGNATURE, "time token", "does not verify: %s%s%.120s",
                           reason ? reason : "no reason given", data && *data ? ": " : "", data ? data : "");
    ERR_clear_error();
    return st;
}

cn_status cn_timestamp_verify(cn_span token, const cn_digest *imprint, cn_span ca_pem, cn_timestamp *ret, cn_err *err)
{
    PKCS7 *p = NULL;
    cn_status st = open_token(token, &p, ret, err);
    if (st == CN_OK && !cn_digest_eq(&ret->imprint, imprint))
        st = cn_fail(err, CN_CONFLICT, "time token", "it is over another digest, %s", cn_digest_hex(&ret->imprint).s);
    X509_STORE *store = st == CN_OK ? store_of(ca_pem, ret->time_ms) : NULL;
    if (st == CN_OK && !store)
        st = cn_fail(err, CN_INVALID, "time authorities", "no certificate in PEM is in what was given");
    if (st == CN_OK)
        st = check(p, imprint, store, err);
    PKCS7_free(p);
    return st;
}
