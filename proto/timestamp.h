/* RFC 3161 time tokens: what a time authority, which is outside the network, says about when a digest existed.
 *
 * A token is a CMS ContentInfo (RFC 3161, 2.4.2: TimeStampToken) in DER. The digest that Carnet asks for is SHA-256 of
 * the 229 bytes of a checkpoint's header, so that `openssl ts -verify -token_in -data header.bin` checks it too. */
#ifndef CARNET_PROTO_TIMESTAMP_H
#define CARNET_PROTO_TIMESTAMP_H

#include "proto/bytes.h"
#include "proto/digest.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stdint.h>

#define CN_TIMESTAMP_MAX 16384u     /* bytes of a token or of a response */
#define CN_TIMESTAMP_CA_MAX 262144u /* bytes of PEM certificates */
#define CN_TIMESTAMP_QUERY_MAX 128u
#define CN_TIMESTAMP_AUTHORITY_MAX 255u

typedef struct cn_timestamp {
    cn_digest imprint; /* SHA-256 */
    uint64_t time_ms;  /* genTime: the digest existed then */
    uint64_t nonce;    /* 0: none, or longer than 64 bits */
    char policy[64];   /* its OID, dotted */
    char
        authority[CN_TIMESTAMP_AUTHORITY_MAX + 1]; /* RFC 2253 name of the signer's certificate; empty when not in it */
} cn_timestamp;

/* A TimeStampReq (RFC 3161, 2.4.1) for this digest, which asks for the certificates. */
cn_status cn_timestamp_query(const cn_digest *imprint, uint64_t nonce, uint8_t out[CN_TIMESTAMP_QUERY_MAX],
                             size_t *ret_n, cn_err *err);
/* Finds the token in a TimeStampResp (2.4.2), or takes it as it is. CN_INVALID: it is none, or the authority granted
 * none. */
cn_status cn_timestamp_token(const void *p, size_t n, cn_span *ret_token, cn_err *err);
/* Reads a token, which nobody vouches for yet; bytes behind it are refused. */
cn_status cn_timestamp_read(cn_span token, cn_timestamp *ret, cn_err *err);
size_t cn_timestamp_authorities(cn_span ca_pem); /* how many certificates there are */
/* The token is over this digest, and signed by an authority whose certificate leads to one of those given (PEM) and is
 * for time stamping (RFC 3161, 2.3), valid when it signed. *ret is filled as far as the token could be read. */
cn_status cn_timestamp_verify(cn_span token, const cn_digest *imprint, cn_span ca_pem, cn_timestamp *ret, cn_err *err);

#endif
