/* RFC 3161 time tokens: of a trusted authority, of others, and damaged ones. */
#include "authority.h"

#include "proto/timestamp.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1790000000)
#define YEAR INT64_C(31536000)

static const authority_traits lasting = {.valid_from = NOW - YEAR, .valid_to = NOW + YEAR};
static authority trusted;
static cn_digest imprint;
static cn_buf token;

static void begin(void)
{
    imprint = cn_sha256("checkpoint", 10);
    authority_begin(&trusted, "Port Time", &lasting);
    authority_token(&trusted, &imprint, 99, NOW, &token);
}

static void end(void)
{
    cn_buf_free(&token);
    authority_end(&trusted);
}

TestSuite(timestamp, .init = begin, .fini = end);

static cn_span span(const cn_buf *b)
{
    return CN_SPAN(b->p, b->n);
}

Test(timestamp, what_a_trusted_authority_says_is_read_and_verified)
{
    cn_timestamp t;
    cn_err err = {0};
    cr_assert_eq(cn_timestamp_verify(span(&token), &imprint, span(&trusted.pem), &t, &err), CN_OK, "%s", err.text);
    cr_expect(cn_digest_eq(&t.imprint, &imprint));
    cr_expect_eq(t.time_ms, (uint64_t)NOW * 1000u + 250u);
    cr_expect_eq(t.nonce, 99u);
    cr_expect_str_eq(t.policy, "1.2.3.4.1");
    cr_expect_str_eq(t.authority, "CN=Port Time");
}

Test(timestamp, a_token_outlives_the_certificate_that_signed_it)
{
    const authority_traits short_lived = {.valid_from = 1000000000, .valid_to = 1000000000 + YEAR};
    authority old;
    cn_buf then, late;
    cn_timestamp t;
    cn_err err = {0};
    authority_begin(&old, "Old Time", &short_lived);
    authority_token(&old, &imprint, 1, 1000000000 + YEAR / 2, &then);
    authority_token(&old, &imprint, 1, 1000000000 + 2 * YEAR, &late);
    cr_expect_eq(cn_timestamp_verify(span(&then), &imprint, span(&old.pem), &t, &err), CN_OK, "%s", err.text);
    cr_expect_eq(cn_timestamp_verify(span(&late), &imprint, span(&old.pem), &t, &err), CN_BAD_SIGNATURE);
    cr_expect(strstr(err.text, "expired"), "%s", err.text);
    cn_buf_free(&then);
    cn_buf_free(&late);
    authority_end(&old);
}

Test(timestamp, another_digest_and_another_authority_are_refused)
{
    authority stranger;
    cn_timestamp t;
    cn_err err = {0};
    cn_digest other = cn_sha256("another", 7);
    authority_begin(&stranger, "Stranger", &lasting);
    cr_expect_eq(cn_timestamp_verify(span(&token), &other, span(&trusted.pem), &t, &err), CN_CONFLICT);
    cr_expect_eq(cn_timestamp_verify(span(&token), &imprint, span(&stranger.pem), &t, &err), CN_BAD_SIGNATURE);
    cr_expect_eq(cn_timestamp_verify(span(&token), &imprint, CN_SPAN("no certificate", 14), &t, &err), CN_INVALID);
    cr_expect_eq(cn_timestamp_verify(span(&token), &imprint, CN_SPAN(NULL, 0), &t, &err), CN_INVALID);
    cr_expect_eq(cn_timestamp_authorities(span(&trusted.pem)), 1u);
    cr_expect_eq(cn_timestamp_authorities(CN_SPAN("x", 1)), 0u);
    authority_end(&stranger);
}

Test(timestamp, a_certificate_that_nobody_trusts_is_refused)
{
    const authority_traits alone = {.valid_from = NOW - YEAR, .valid_to = NOW + YEAR, .self_signed = true};
    authority self;
    cn_buf own;
    cn_timestamp t;
    authority_begin(&self, "Self", &alone);
    authority_token(&self, &imprint, 1, NOW, &own);
    cr_expect_eq(cn_timestamp_verify(span(&own), &imprint, span(&self.pem), &t, NULL), CN_BAD_SIGNATURE);
    cn_buf_free(&own);
    authority_end(&self);
}

Test(timestamp, a_response_is_taken_apart)
{
    uint8_t query[CN_TIMESTAMP_QUERY_MAX];
    size_t n = 0;
    cn_buf response;
    cn_span found;
    cn_timestamp t;
    cn_err err = {0};
    cr_assert_eq(cn_timestamp_query(&imprint, 5, query, &n, NULL), CN_OK);
    authority_answer(&trusted, query, n, NOW, &response);
    cr_assert_eq(cn_timestamp_token(response.p, response.n, &found, &err), CN_OK, "%s", err.text);
    cr_expect_eq(cn_timestamp_verify(found, &imprint, span(&trusted.pem), &t, &err), CN_OK, "%s", err.text);
    cr_assert_eq(cn_timestamp_token(token.p, token.n, &found, &err), CN_OK, "%s", err.text);
    cr_expect(found.p == token.p && found.n == token.n);
    for (size_t k = 0; k < response.n; k++)
        cr_expect_neq(cn_timestamp_token(response.p, k, &found, NULL), CN_OK, "%zu bytes", k);
    cn_put_u8(&response, 0);
    cr_expect_neq(cn_timestamp_token(response.p, response.n, &found, NULL), CN_OK);
    cn_buf_free(&response);
    query[n - 5] ^= 0x55; /* a query that the authority does not understand: a response without a token */
    query[0] = 0x31;
    authority_answer(&trusted, query, n, NOW, &response);
    cr_expect_eq(cn_timestamp_token(response.p, response.n, &found, &err), CN_INVALID);
    cr_expect(strstr(err.text, "granted none"), "%s", err.text);
    cn_buf_free(&response);
}

Test(timestamp, no_changed_bit_and_no_cut_is_accepted)
{
    cn_timestamp t;
    uint8_t *copy = malloc(token.n + 1);
    cr_assert_not_null(copy);
    memcpy(copy, token.p, token.n);
    copy[token.n] = 0;
    cr_expect_neq(cn_timestamp_read(CN_SPAN(copy, token.n + 1), &t, NULL), CN_OK);
    for (size_t k = 0; k < token.n; k += 7)
        cr_expect_neq(cn_timestamp_read(CN_SPAN(copy, k), &t, NULL), CN_OK);
    size_t passed_over = 0;
    for (size_t bit = 0; bit < 8 * token.n; bit += 5) {
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (cn_timestamp_verify(CN_SPAN(copy, token.n), &imprint, span(&trusted.pem), &t, NULL) == CN_OK) {
            passed_over++; /* certificates that it does not need, tags of NULL parameters: it says the same */
            cr_expect_eq(t.time_ms, (uint64_t)NOW * 1000u + 250u);
            cr_expect(cn_digest_eq(&t.imprint, &imprint));
        }
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_expect_lt(passed_over, token.n, "%zu of %zu changes were not seen", passed_over, 8 * token.n / 5);
    free(copy);
}
