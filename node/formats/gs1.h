/* GS1 identifiers: one canonical URI for an EPC URN, an EPC class or pattern URN and a GS1 Digital Link.
 *
 * The canonical form is the constrained, canonical GS1 Digital Link of CBV 2.0 (event hash rules 17 and 18; GS1 Digital
 * Link URI Syntax 1.2, section 4.11): https://id.gs1.org, AIs as numbers, the finest level of identification only, no
 * query string. It is total in this direction: a Digital Link does not say where the company prefix ends, so that the
 * way back to a URN is not a function. */
#ifndef CARNET_NODE_FORMATS_GS1_H
#define CARNET_NODE_FORMATS_GS1_H

#include <stdbool.h>
#include <stddef.h>

#define CN_GS1_URI_MAX 256 /* a canonical URI with its NUL */

typedef enum cn_gs1_key {
    CN_GS1_NONE,
    CN_GS1_SSCC,
    CN_GS1_GTIN, /* class, lot or serial */
    CN_GS1_GDTI,
    CN_GS1_GCN,
    CN_GS1_GINC,
    CN_GS1_GSIN,
    CN_GS1_GLN,
    CN_GS1_PARTY,
    CN_GS1_GRAI,
    CN_GS1_GIAI,
    CN_GS1_ITIP,
    CN_GS1_CPID,
    CN_GS1_GSRNP,
    CN_GS1_GSRN,
} cn_gs1_key;

/* The key in uri, and its canonical URI in ret_uri; CN_GS1_NONE (and it untouched) when uri is none of these forms.
 * ret_check (may be NULL): the check digit as written is right. URNs carry none, theirs is computed. */
cn_gs1_key cn_gs1_canonical(const char *uri, size_t n, char ret_uri[CN_GS1_URI_MAX], bool *ret_check);

/* Check digit of GTIN, GLN, SSCC, GSIN, GSRN...: weights 3 and 1 from the right (GS1 General Specifications 7.9). */
char cn_gs1_check_digit(const char *digits, size_t n);

#endif
