/* SHA-256 through libcrypto: the digest is fetched once per process and one context per thread is reused, which is
 * several times faster for short inputs than the one-shot calls. */
#include "proto/digest.h"

#include "proto/status.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

const cn_digest cn_digest_zero;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t context_key;
static EVP_MD *sha256;
static _Thread_local EVP_MD_CTX *thread_context;

static void free_context(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static void set_up(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    CN_ASSERT(sha256);
    CN_ASSERT(pthread_key_create(&context_key, free_context) == 0);
}

static EVP_MD_CTX *context(void)
{
    if (!thread_context) {
        pthread_once(&once, set_up);
        thread_context = EVP_MD_CTX_new();
        CN_ASSERT(thread_context);
        pthread_setspecific(context_key, thread_context);
    }
    return thread_context;
}

static EVP_MD_CTX *begin(void)
{
    EVP_MD_CTX *ctx = context();
    CN_ASSERT(EVP_DigestInit_ex2(ctx, sha256, NULL) == 1);
    return ctx;
}

static void update(EVP_MD_CTX *ctx, const void *p, size_t n)
{
    if (n)
        CN_ASSERT(EVP_DigestUpdate(ctx, p, n) == 1);
}

static cn_digest finish(EVP_MD_CTX *ctx)
{
    cn_digest d;
    CN_ASSERT(EVP_DigestFinal_ex(ctx, d.b, NULL) == 1);
    return d;
}

bool cn_digest_eq(const cn_digest *a, const cn_digest *b)
{
    return memcmp(a->b, b->b, CN_DIGEST_LEN) == 0;
}

int cn_digest_cmp(const cn_digest *a, const cn_digest *b)
{
    return memcmp(a->b, b->b, CN_DIGEST_LEN);
}

bool cn_digest_is_zero(const cn_digest *d)
{
    return cn_digest_eq(d, &cn_digest_zero);
}

cn_digest cn_sha256(const void *p, size_t n)
{
    EVP_MD_CTX *ctx = begin();
    update(ctx, p, n);
    return finish(ctx);
}

cn_digest cn_sha256v(const cn_span *spans, size_t count)
{
    EVP_MD_CTX *ctx = begin();
    for (size_t i = 0; i < count; i++)
        update(ctx, spans[i].p, spans[i].n);
    return finish(ctx);
}

/* ---- tagged digests ---- */

/* The tags are few and constant: a small table of SHA-256(tag), read without a lock once a slot is published. */
#define TAG_SLOTS 32
typedef struct tag_slot {
    char tag[40];
    cn_digest hash;
} tag_slot;
static tag_slot tag_table[TAG_SLOTS];
static size_t tag_count; /* atomic: slots below it are complete */
static pthread_mutex_t tag_lock = PTHREAD_MUTEX_INITIALIZER;

static cn_digest tag_hash(const char *tag)
{
    size_t count = __atomic_load_n(&tag_count, __ATOMIC_ACQUIRE);
    for (size_t i = 0; i < count; i++)
        if (strcmp(tag_table[i].tag, tag) == 0)
            return tag_table[i].hash;
    cn_digest hash = cn_sha256(tag, strlen(tag));
    pthread_mutex_lock(&tag_lock);
    if (tag_count < TAG_SLOTS && strlen(tag) < sizeof tag_table[0].tag) {
        tag_slot *slot = &tag_table[tag_count];
        memcpy(slot->tag, tag, strlen(tag) + 1);
        slot->hash = hash;
        __atomic_store_n(&tag_count, tag_count + 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&tag_lock);
    return hash;
}

cn_digest cn_taggedv(const char *tag, const cn_span *spans, size_t count)
{
    cn_digest hash = tag_hash(tag);
    EVP_MD_CTX *ctx = begin();
    update(ctx, hash.b, sizeof hash.b);
    update(ctx, hash.b, sizeof hash.b);
    for (size_t i = 0; i < count; i++)
        update(ctx, spans[i].p, spans[i].n);
    return finish(ctx);
}

cn_digest cn_tagged(const char *tag, const void *p, size_t n)
{
    cn_span span = CN_SPAN(p, n);
    return cn_taggedv(tag, &span, 1);
}

/* ---- tree hashes ---- */

cn_digest cn_leaf_hash(const void *data, size_t n)
{
    static const uint8_t prefix = 0x00;
    cn_span spans[] = {CN_SPAN(&prefix, 1), CN_SPAN(data, n)};
    return cn_sha256v(spans, 2);
}

cn_digest cn_node_hash(const cn_digest *left, const cn_digest *right)
{
    uint8_t bytes[1 + 2 * CN_DIGEST_LEN];
    bytes[0] = 0x01;
    memcpy(bytes + 1, left->b, CN_DIGEST_LEN);
    memcpy(bytes + 1 + CN_DIGEST_LEN, right->b, CN_DIGEST_LEN);
    return cn_sha256(bytes, sizeof bytes);
}

cn_digest cn_empty_root(void)
{
    return cn_sha256(NULL, 0);
}

/* ---- HMAC (RFC 2104) ---- */

cn_digest cn_hmac_sha256(const void *key, size_t key_len, const cn_span *spans, size_t count)
{
    uint8_t inner[64] = {0}, outer[64] = {0};
    if (key_len > sizeof inner) {
        cn_digest short_key = cn_sha256(key, key_len);
        memcpy(inner, short_key.b, sizeof short_key.b);
    } else if (key_len) {
        memcpy(inner, key, key_len);
    }
    for (size_t i = 0; i < sizeof inner; i++) {
        outer[i] = inner[i] ^ 0x5c;
        inner[i] ^= 0x36;
    }
    EVP_MD_CTX *ctx = begin();
    update(ctx, inner, sizeof inner);
    for (size_t i = 0; i < count; i++)
        update(ctx, spans[i].p, spans[i].n);
    cn_digest d = finish(ctx);
    cn_span tail[] = {CN_SPAN(outer, sizeof outer), CN_SPAN_DIGEST(&d)};
    return cn_sha256v(tail, 2);
}

/* ---- streaming ---- */

struct cn_sha256_stream {
    EVP_MD_CTX *ctx;
};

cn_sha256_stream *cn_sha256_begin(void)
{
    cn_sha256_stream *s = malloc(sizeof *s);
    CN_ASSERT(s);
    (void)context(); /* fetches the digest */
    s->ctx = EVP_MD_CTX_new();
    CN_ASSERT(s->ctx && EVP_DigestInit_ex2(s->ctx, sha256, NULL) == 1);
    return s;
}

void cn_sha256_update(cn_sha256_stream *s, const void *p, size_t n)
{
    update(s->ctx, p, n);
}

cn_digest cn_sha256_end(cn_sha256_stream *s)
{
    cn_digest d = finish(s->ctx);
    EVP_MD_CTX_free(s->ctx);
    free(s);
    return d;
}
