/* Subjects: what a statement is about, as one canonical URI per thing.
 *
 *   GS1 keys, as URN, pattern or Digital Link   https://id.gs1.org/...           (node/formats/gs1.h)
 *   container, ISO 6346                         urn:epc:id:bic:CSQU3054383       capitals
 *   consignment, UCR (ISO 15459, WCO)           urn:carnet:ucr:4KE...            capitals
 *   device or capture key                       urn:carnet:key:<hex of the key id>
 *   member, by name or id                       urn:carnet:member:<hex of the member id>
 *   what members decide by ballot               urn:carnet:governance
 *   what was ordered to be erased               urn:carnet:erasures
 *   document digest, also as ni: (RFC 6920)     urn:carnet:document:<hex of SHA-256>
 *   any other absolute URI                      as it is
 * Only urn:carnet names with a digest can be malformed; everything else that is dirty is flagged, never refused. The
 * tag of a subject is cn_subject_tag (proto/statement.h) over the 32-byte subject salt and the canonical URI. */
#ifndef CARNET_NODE_FORMATS_SUBJECT_H
#define CARNET_NODE_FORMATS_SUBJECT_H

#include "proto/status.h"

#include <stdbool.h>
#include <stddef.h>

#define CN_SUBJECT_MAX 1024 /* a canonical URI with its NUL */

typedef enum cn_subject_flag {
    CN_SUBJECT_CHECK_DIGIT = 1, /* the check digit (GS1, ISO 6346) is wrong */
    CN_SUBJECT_FORM = 2,        /* the scheme is known but this is not its form */
} cn_subject_flag;

typedef enum cn_subject_kind {
    CN_SUBJECT_OTHER,
    CN_SUBJECT_GS1,
    CN_SUBJECT_CONTAINER,
    CN_SUBJECT_CONSIGNMENT, /* UCR, GINC, GSIN, SSCC */
    CN_SUBJECT_KEY,
    CN_SUBJECT_MEMBER,
    CN_SUBJECT_DOCUMENT,
} cn_subject_kind;

/* Canonical form of uri (NUL-terminated) in out; ret_flags (may be NULL) gets cn_subject_flag bits.
 * Refuses what is no absolute URI, what does not fit, and malformed urn:carnet digests and names. */
cn_status cn_subject_canonical(const char *uri, char *out, size_t cap, unsigned *ret_flags, cn_err *err);
/* The same for text of n bytes without a NUL. */
cn_status cn_subject_canonical_n(const char *uri, size_t n, char *out, size_t cap, unsigned *ret_flags, cn_err *err);
/* What a canonical URI names. */
cn_subject_kind cn_subject_kind_of(const char *canonical);

/* ISO 6346: letters 10..38 without multiples of 11, weights 2^i, sum mod 11 mod 10. s holds at least 10 characters of
 * the form AAAA999999; returns the check digit, 0 when it is not of that form. */
char cn_iso6346_check_digit(const char *s);

/* Scheme, colon and more; printable, without spaces and the characters that RFC 3986 excludes. Bytes above 0x7f pass
 * (IRIs occur). */
bool cn_uri_valid(const char *s, size_t n);

#endif
