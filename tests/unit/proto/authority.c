#include "authority.h"

#include "proto/timestamp.h"

#include <openssl/pem.h>
#include <openssl/ts.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

static void need(bool ok)
{
    if (!ok)
        abort();
}

static X509 *certificate(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
                         const authority_traits *traits, bool ca)
{
    static long serial = 1;
    X509 *x = X509_new();
    need(x && X509_set_version(x, 2) && ASN1_INTEGER_set(X509_get_serialNumber(x), serial++));
    X509_NAME *subject = X509_get_subject_name(x);
    need(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0));
    need(X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : subject) && X509_set_pubkey(x, key));
    need(ASN1_TIME_set(X509_getm_notBefore(x), traits->valid_from) &&
         ASN1_TIME_set(X509_getm_notAfter(x), traits->valid_to));
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer ? issuer : x, x, NULL, NULL, 0);
    const char *usage = ca ? NULL : traits->not_for_stamping ? "critical,serverAuth" : "critical,timeStamping";
    X509_EXTENSION *e = ca ? X509V3_EXT_conf_nid(NULL, &ctx, NID_basic_constraints, "critical,CA:TRUE")
                           : X509V3_EXT_conf_nid(NULL, &ctx, NID_ext_key_usage, usage);
    need(e && X509_add_ext(x, e, -1));
    X509_EXTENSION_free(e);
    need(X509_sign(x, issuer_key ? issuer_key : key, EVP_sha256()) > 0);
    return x;
}

void authority_begin(authority *a, const char *name, const authority_traits *traits)
{
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    a->root_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    a->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    need(bio && a->root_key && a->key);
    a->root = certificate("root", a->root_key, NULL, NULL, traits, true);
    a->certificate = certificate(name, a->key, traits->self_signed ? NULL : a->root,
                                 traits->self_signed ? NULL : a->root_key, traits, false);
    need(PEM_write_bio_X509(bio, a->root) == 1);
    long n = BIO_get_mem_data(bio, &text);
    cn_buf_init(&a->pem, CN_TIMESTAMP_CA_MAX);
    cn_put_bytes(&a->pem, text, (size_t)n);
    BIO_free(bio);
}

void authority_end(authority *a)
{
    X509_free(a->certificate);
    X509_free(a->root);
    EVP_PKEY_free(a->key);
    EVP_PKEY_free(a->root_key);
    cn_buf_free(&a->pem);
}

static int at_time(struct TS_resp_ctx *ctx, void *data, long *sec, long *usec)
{
    (void)ctx;
    *sec = (long)*(const int64_t *)data;
    *usec = 250000;
    return 1;
}

static ASN1_INTEGER *any_serial(struct TS_resp_ctx *ctx, void *data)
{
    ASN1_INTEGER *n = ASN1_INTEGER_new();
    (void)ctx;
    (void)data;
    need(n && ASN1_INTEGER_set(n, 7));
    return n;
}

void authority_answer(const authority *a, const uint8_t *query, size_t n, int64_t unix_seconds, cn_buf *response)
{
    TS_RESP_CTX *ctx = TS_RESP_CTX_new();
    BIO *in = BIO_new_mem_buf(query, (int)n);
    ASN1_OBJECT *policy = OBJ_txt2obj("1.2.3.4.1", 1);
    STACK_OF(X509) *chain = sk_X509_new_null();
    unsigned char *der = NULL;
    need(ctx && in && policy && chain && sk_X509_push(chain, a->root));
    need(a->certificate && a->key);
    TS_RESP_CTX_set_signer_digest(ctx, EVP_sha256());
    TS_RESP_CTX_set_serial_cb(ctx, any_serial, NULL);
    TS_RESP_CTX_set_time_cb(ctx, at_time, &unix_seconds);
    TS_RESP_CTX_set_clock_precision_digits(ctx, 3);
    need(TS_RESP_CTX_set_def_policy(ctx, policy) && TS_RESP_CTX_add_md(ctx, EVP_sha256()) &&
         TS_RESP_CTX_set_certs(ctx, chain) && TS_RESP_CTX_set_signer_key(ctx, a->key));
    if (TS_RESP_CTX_set_signer_cert(ctx, a->certificate)) {
        TS_RESP *r = TS_RESP_create_response(ctx, in);
        int len = i2d_TS_RESP(r, &der);
        need(r && len > 0);
        cn_buf_init(response, CN_TIMESTAMP_MAX);
        cn_put_bytes(response, der, (size_t)len);
        TS_RESP_free(r);
    } else {
        cn_buf_init(response, CN_TIMESTAMP_MAX); /* libcrypto does not stamp with such a certificate */
    }
    OPENSSL_free(der);
    sk_X509_free(chain);
    ASN1_OBJECT_free(policy);
    BIO_free(in);
    TS_RESP_CTX_free(ctx);
}

void authority_token(const authority *a, const cn_digest *imprint, uint64_t nonce, int64_t unix_seconds, cn_buf *token)
{
    uint8_t query[CN_TIMESTAMP_QUERY_MAX];
    size_t n = 0;
    cn_buf response;
    cn_span found;
    need(cn_timestamp_query(imprint, nonce, query, &n, NULL) == CN_OK);
    authority_answer(a, query, n, unix_seconds, &response);
    need(cn_timestamp_token(response.p, response.n, &found, NULL) == CN_OK);
    cn_buf_init(token, CN_TIMESTAMP_MAX);
    cn_put_bytes(token, found.p, found.n);
    cn_buf_free(&response);
}
