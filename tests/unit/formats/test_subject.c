#include "files.h"
#include "node/formats/gs1.h"
#include "node/formats/subject.h"
#include "proto/limits.h"
#include "proto/statement.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *next_field(char **at, char end)
{
    char *field = *at, *stop = strchr(field, end);
    cr_assert_not_null(stop);
    *stop = 0;
    *at = stop + 1;
    return field;
}

Test(subject, vectors)
{
    file f = file_read(CARNET_TEST_VECTORS "/subjects.txt");
    char *text = malloc(f.n + 1), *at = text;
    memcpy(text, f.text, f.n);
    text[f.n] = 0;
    size_t count = 0;
    while (*at) {
        char *line = next_field(&at, '\n'), *field = line;
        if (*line == '#' || *line == 0)
            continue;
        char *input = next_field(&field, '\t'), *want = next_field(&field, '\t'), out[CN_SUBJECT_MAX] = "untouched";
        char again[CN_SUBJECT_MAX];
        unsigned flags = 77, flags_wanted = (strchr(field, 'c') ? CN_SUBJECT_CHECK_DIGIT : 0u) |
                                            (strchr(field, 'f') ? CN_SUBJECT_FORM : 0u);
        cn_err err = {0};
        cn_status st = cn_subject_canonical(input, out, sizeof out, &flags, &err);
        count++;
        if (strcmp(want, "!") == 0) {
            cr_expect_eq(st, CN_INVALID, "%s gives %s", input, out);
            cr_expect_str_eq(out, "untouched");
            cr_expect_eq(flags, 77u);
            continue;
        }
        cr_expect_eq(st, CN_OK, "%s: %s", input, err.text);
        cr_expect_str_eq(out, want, "%s gives %s", input, out);
        cr_expect_eq(flags, flags_wanted, "%s has flags %u", input, flags);
        /* canonical means: a fixed point */
        cr_expect_eq(cn_subject_canonical(out, again, sizeof again, NULL, &err), CN_OK);
        cr_expect_str_eq(again, out);
    }
    cr_expect_gt(count, 70u);
    free(text);
    file_free(&f);
}

Test(subject, members_by_name_and_id_are_one)
{
    char by_name[CN_SUBJECT_MAX], by_id[CN_SUBJECT_MAX], uri[128];
    cn_digest id = cn_member_id("exporter");
    snprintf(uri, sizeof uri, "urn:carnet:member:%s", cn_digest_hex(&id).s);
    cr_assert_eq(cn_subject_canonical("urn:carnet:member:exporter", by_name, sizeof by_name, NULL, NULL), CN_OK);
    cr_assert_eq(cn_subject_canonical(uri, by_id, sizeof by_id, NULL, NULL), CN_OK);
    cr_expect_str_eq(by_name, by_id);
    uint8_t salt[32] = {9};
    cn_digest tag = cn_subject_tag(salt, by_name), direct = cn_member_subject(salt, &id);
    cr_expect(cn_digest_eq(&tag, &direct), "the same subject as the registry's");
}

Test(subject, documents_have_the_tag_of_the_anchor)
{
    char out[CN_SUBJECT_MAX];
    uint8_t salt[32] = {1, 2, 3};
    cn_digest empty = cn_sha256("", 0);
    cr_assert_eq(
        cn_subject_canonical("ni:///sha-256;47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", out, sizeof out, NULL, NULL),
        CN_OK);
    cn_digest tag = cn_subject_tag(salt, out), direct = cn_document_subject(salt, &empty);
    cr_expect(cn_digest_eq(&tag, &direct));
}

Test(subject, capacity)
{
    char small[20], uri[1200];
    cr_expect_eq(cn_subject_canonical("urn:uuid:0123456789", small, sizeof small, NULL, NULL), CN_OK);
    cr_expect_eq(cn_subject_canonical("urn:uuid:01234567890", small, sizeof small, NULL, NULL), CN_TOO_LARGE);
    memset(uri, 'a', sizeof uri);
    memcpy(uri, "x:", 2);
    uri[1100] = 0;
    char large[2000];
    cr_expect_eq(cn_subject_canonical(uri, large, sizeof large, NULL, NULL), CN_TOO_LARGE);
    uri[CN_SUBJECT_MAX - 1] = 0;
    cr_expect_eq(cn_subject_canonical(uri, large, sizeof large, NULL, NULL), CN_OK);
}

Test(subject, kinds)
{
    cr_expect_eq(cn_subject_kind_of("urn:epc:id:bic:CSQU3054383"), CN_SUBJECT_CONTAINER);
    cr_expect_eq(cn_subject_kind_of("urn:carnet:ucr:6KE1"), CN_SUBJECT_CONSIGNMENT);
    cr_expect_eq(cn_subject_kind_of("https://id.gs1.org/401/0614141xyz"), CN_SUBJECT_CONSIGNMENT);
    cr_expect_eq(cn_subject_kind_of("https://id.gs1.org/402/40123452223334442"), CN_SUBJECT_CONSIGNMENT);
    cr_expect_eq(cn_subject_kind_of("https://id.gs1.org/00/340123451111111111"), CN_SUBJECT_CONSIGNMENT);
    cr_expect_eq(cn_subject_kind_of("https://id.gs1.org/01/04012345123456"), CN_SUBJECT_GS1);
    cr_expect_eq(cn_subject_kind_of("urn:uuid:x"), CN_SUBJECT_OTHER);
}

/* The check digits that somebody else computed for numbers of public examples. */
Test(subject, container_numbers_of_others)
{
    file f[2];
    if (files_read("container-numbers", ".csv", f, 2) == 0)
        return;
    char *text = malloc(f[0].n + 1), *at = text, number[32];
    memcpy(text, f[0].text, f[0].n);
    text[f[0].n] = 0;
    next_field(&at, '\n');
    size_t right = 0, wrong = 0;
    while (*at) {
        char *line = next_field(&at, '\n');
        int digit = 0, ok = 0;
        if (sscanf(line, "%31[^,],%d,%d", number, &digit, &ok) != 3 || strlen(number) != 11)
            continue;
        char uri[64], out[CN_SUBJECT_MAX];
        unsigned flags = 0;
        snprintf(uri, sizeof uri, "urn:epc:id:bic:%s", number);
        cr_expect_eq(cn_iso6346_check_digit(number), '0' + digit, "%s", number);
        cr_expect_eq(cn_subject_canonical(uri, out, sizeof out, &flags, NULL), CN_OK);
        cr_expect_eq(!(flags & CN_SUBJECT_CHECK_DIGIT), ok, "%s", number);
        right += ok != 0;
        wrong += ok == 0;
    }
    cr_expect(right > 3 && wrong > 3, "%zu right, %zu wrong", right, wrong);
    free(text);
    file_free(&f[0]);
}

/* No bytes upset it: random edits of valid URIs, each in exactly sized memory. */
Test(subject, survives_damage)
{
    file f = file_read(CARNET_TEST_VECTORS "/subjects.txt");
    uint64_t x = 42;
    for (unsigned round = 0; round < 60000; round++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        size_t start = (size_t)(x >> 33) % f.n, n = 1 + (size_t)(x >> 20) % 70;
        if (n > f.n - start)
            n = f.n - start;
        char *uri = malloc(n), out[CN_SUBJECT_MAX], again[CN_SUBJECT_MAX];
        memcpy(uri, f.text + start, n);
        uri[(x >> 40) % n] = (char)(x >> 8);
        if (cn_subject_canonical_n(uri, n, out, sizeof out, NULL, NULL) == CN_OK) {
            cr_assert_eq(cn_subject_canonical(out, again, sizeof again, NULL, NULL), CN_OK);
            cr_assert_str_eq(again, out);
        }
        free(uri);
    }
    file_free(&f);
}
