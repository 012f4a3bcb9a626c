/* SHA-256, the tagged digests of BIP-340 and the RFC 9162 tree hashes.
 *
 * T(tag, m) = SHA256(SHA256(tag) || SHA256(tag) || m); tags begin with "carnet/". All functions are total: they
 * cannot fail at run time (libcrypto's fetched SHA-256 and one context per thread are set up on first use). */
#ifndef CARNET_PROTO_DIGEST_H
#define CARNET_PROTO_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CN_DIGEST_LEN 32

typedef struct cn_digest {
    uint8_t b[CN_DIGEST_LEN];
} cn_digest;

extern const cn_digest cn_digest_zero;

bool cn_digest_eq(const cn_digest *a, const cn_digest *b);
int cn_digest_cmp(const cn_digest *a, const cn_digest *b); /* byte order, as memcmp */
bool cn_digest_is_zero(const cn_digest *d);

/* A piece of a message to hash: several are hashed as if concatenated. */
typedef struct cn_span {
    const void *p;
    size_t n;
} cn_span;

#define CN_SPAN(ptr, len) ((cn_span){.p = (ptr), .n = (len)})
#define CN_SPAN_DIGEST(d) ((cn_span){.p = (d)->b, .n = CN_DIGEST_LEN})

cn_digest cn_sha256(const void *p, size_t n);
cn_digest cn_sha256v(const cn_span *spans, size_t count);

/* T(tag, spans...); tag is a NUL-terminated string. The hash of a tag is computed once per process and cached. */
cn_digest cn_tagged(const char *tag, const void *p, size_t n);
cn_digest cn_taggedv(const char *tag, const cn_span *spans, size_t count);

/* RFC 9162 section 2.1.1: leaf = SHA256(0x00 | data), node = SHA256(0x01 | left | right), empty = SHA256(""). */
cn_digest cn_leaf_hash(const void *data, size_t n);
cn_digest cn_node_hash(const cn_digest *left, const cn_digest *right);
cn_digest cn_empty_root(void);

/* HMAC-SHA256 (RFC 2104), for item salts. */
cn_digest cn_hmac_sha256(const void *key, size_t key_len, const cn_span *spans, size_t count);

/* Keccak-256 as Ethereum uses it (0x01 padding, not SHA-3's 0x06). */
cn_digest cn_keccak256(const void *p, size_t n);

/* Streaming SHA-256 for inputs that do not lie in memory at once. */
typedef struct cn_sha256_stream cn_sha256_stream;
cn_sha256_stream *cn_sha256_begin(void);
void cn_sha256_update(cn_sha256_stream *s, const void *p, size_t n);
cn_digest cn_sha256_end(cn_sha256_stream *s); /* frees s */

#endif
