/* Canonical names: canon(canon(x)) == canon(x). Time stamps: what is written is read. */
#include "fuzz.h"

#include "node/formats/gs1.h"
#include "node/formats/subject.h"
#include "node/formats/time.h"

#include <stdio.h>
#include <stdlib.h>

enum { SUBJECT, TIME, KINDS };

void fuzz_seeds(void)
{
    static const char *const subject[] = {
        "urn:epc:id:sgtin:4012345.011111.987",
        "urn:epc:id:sscc:4012345.3111111111",
        "urn:epc:class:lgtin:4012345.012345.998877",
        "urn:epc:idpat:sgtin:4012345.011111.*",
        "urn:epc:id:sgln:4012345.00025.0",
        "urn:epc:id:grai:4012345.55555.987",
        "urn:epc:id:giai:4000001.12345",
        "urn:epc:id:gdti:4012345.55555.987",
        "urn:epc:id:gsrn:4012345.1234567890",
        "urn:epc:id:itip:4012345.012345.01.02.987",
        "urn:epc:id:cpi:4012345.5PQ7%2FZ43.12345",
        "urn:epc:id:ginc:4012345.xyz3311cba",
        "urn:epc:id:gsin:4012345.222222222",
        "urn:epc:id:bic:CSQU3054383",
        "https://id.gs1.org/01/04012345111118/21/987?17=201225",
        "https://example.com/some/path/gtin/04012345111118/lot/A%2F1",
        "https://id.gs1.org/00/340123450000000006",
        "urn:carnet:ucr:4ke51234567-roses",
        "urn:carnet:member:exporter",
        "ni:///sha-256;f4OxZX_x_FO5LcGBSKHWXfwtSx-j1ncoSt3SABJtkGk",
        "urn:carnet:document:7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069",
        "https://example.com/thing/1",
    };
    static const char *const time[] = {"2026-03-01T08:00:00Z", "2026-03-01T08:00:00.123456+03:00",
                                       "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999-14:00"};
    char name[16];
    for (size_t i = 0; i < sizeof subject / sizeof subject[0]; i++) {
        snprintf(name, sizeof name, "subject-%02zu", i);
        fuzz_seed_kind(name, SUBJECT, subject[i], strlen(subject[i]));
    }
    for (size_t i = 0; i < sizeof time / sizeof time[0]; i++) {
        snprintf(name, sizeof name, "time-%zu", i);
        fuzz_seed_kind(name, TIME, time[i], strlen(time[i]));
    }
}

static void try_subject(const char *uri, size_t n)
{
    char once[CN_SUBJECT_MAX], twice[CN_SUBJECT_MAX];
    unsigned flags = 0, again = 0;
    cn_err err = {0};
    cn_status st = cn_subject_canonical_n(uri, n, once, sizeof once, &flags, &err);
    if (st != CN_OK) {
        FUZZ_REQUIRE(err.code == st && err.text[0]);
        return;
    }
    size_t len = strlen(once);
    FUZZ_REQUIRE(len > 0 && len < sizeof once && cn_uri_valid(once, len));
    FUZZ_REQUIRE(cn_subject_canonical(once, twice, sizeof twice, &again, &err) == CN_OK);
    if (strcmp(once, twice) != 0)
        fprintf(stderr, "%s\n%s\n", once, twice);
    FUZZ_REQUIRE(strcmp(once, twice) == 0);
    FUZZ_REQUIRE(cn_subject_kind_of(once) == cn_subject_kind_of(twice));
    char *exact = malloc(len + 1), *small = malloc(len); /* of exact size, so that a sanitizer sees their ends */
    FUZZ_REQUIRE(exact && small);
    FUZZ_REQUIRE(cn_subject_canonical_n(uri, n, exact, len + 1, NULL, NULL) == CN_OK && strcmp(exact, once) == 0);
    FUZZ_REQUIRE(cn_subject_canonical_n(uri, n, small, len, NULL, NULL) != CN_OK);
    free(exact);
    free(small);
    FUZZ_PLANT(cn_subject_kind_of(once) == CN_SUBJECT_CONTAINER && (flags & CN_SUBJECT_CHECK_DIGIT));
}

static void try_time(const char *s, size_t n)
{
    int64_t ms = 0, again = 0;
    char text[CN_TIME_TEXT];
    (void)cn_time_offset_valid(s, n);
    if (!cn_time_parse(s, n, &ms))
        return;
    cn_time_format(ms, text);
    bool in_range = ms < INT64_C(253402300800000) && ms >= INT64_C(-62135596800000); /* years 1 to 9999 in UTC */
    FUZZ_REQUIRE(!in_range || (cn_time_parse(text, strlen(text), &again) && again == ms));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n == 0)
        return 0;
    char *text = malloc(n); /* no NUL behind it */
    FUZZ_REQUIRE(text != NULL);
    memcpy(text, p + 1, n - 1);
    if (p[0] % KINDS == SUBJECT)
        try_subject(text, n - 1);
    else
        try_time(text, n - 1);
    free(text);
    return 0;
}
