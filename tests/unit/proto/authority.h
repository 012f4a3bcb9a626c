/* A time authority in memory, with a root certificate of its own: for tests of time tokens. */
#ifndef CARNET_TESTS_UNIT_PROTO_AUTHORITY_H
#define CARNET_TESTS_UNIT_PROTO_AUTHORITY_H

#include "proto/bytes.h"
#include "proto/digest.h"

#include <openssl/x509.h>

typedef struct authority {
    EVP_PKEY *root_key, *key;
    X509 *root, *certificate;
    cn_buf pem; /* of the root */
} authority;

typedef struct authority_traits {
    bool not_for_stamping;        /* its certificate lacks the extended key usage */
    bool self_signed;             /* nobody vouches for it */
    int64_t valid_from, valid_to; /* unix seconds */
} authority_traits;

void authority_begin(authority *a, const char *name, const authority_traits *traits);
void authority_end(authority *a);
/* The response to a query (DER) at a time; *ret_token is the token in it. */
void authority_answer(const authority *a, const uint8_t *query, size_t n, int64_t unix_seconds, cn_buf *response);
/* A token over the digest. */
void authority_token(const authority *a, const cn_digest *imprint, uint64_t nonce, int64_t unix_seconds, cn_buf *token);

#endif
