/* RFC 3161 time tokens: whatever libcrypto makes of the bytes, what we say of them is bounded and the same twice. */
#include "fuzz.h"

#include "proto/timestamp.h"
#include "tests/unit/proto/authority.h"

#define NOW INT64_C(1790000000)
#define YEAR INT64_C(31536000)

static const authority_traits lasting = {.valid_from = NOW - YEAR, .valid_to = NOW + YEAR};

static cn_digest imprint_of(void)
{
    return cn_sha256("checkpoint", 10);
}

void fuzz_seeds(void)
{
    authority a;
    uint8_t query[CN_TIMESTAMP_QUERY_MAX];
    size_t n = 0;
    cn_buf bytes;
    cn_digest imprint = imprint_of();
    authority_begin(&a, "Port Time", &lasting);
    authority_token(&a, &imprint, 3, NOW, &bytes);
    fuzz_seed("token", bytes.p, bytes.n);
    cn_buf_free(&bytes);
    FUZZ_REQUIRE(cn_timestamp_query(&imprint, 4, query, &n, NULL) == CN_OK);
    authority_answer(&a, query, n, NOW, &bytes);
    fuzz_seed("response", bytes.p, bytes.n);
    cn_buf_free(&bytes);
    query[0] = 0x31;
    authority_answer(&a, query, n, NOW, &bytes);
    fuzz_seed("refusal", bytes.p, bytes.n);
    cn_buf_free(&bytes);
    authority_end(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    cn_span token;
    cn_timestamp t, again;
    cn_err err = {0};
    cn_digest imprint = imprint_of();
    if (cn_timestamp_token(p, n, &token, &err) != CN_OK || cn_timestamp_read(token, &t, &err) != CN_OK) {
        FUZZ_REQUIRE(err.text[0] != 0);
        return 0;
    }
    FUZZ_REQUIRE(token.n <= n && (const uint8_t *)token.p >= p && (const uint8_t *)token.p + token.n <= p + n);
    FUZZ_REQUIRE(cn_timestamp_read(token, &again, NULL) == CN_OK && again.time_ms == t.time_ms &&
                 cn_digest_eq(&again.imprint, &t.imprint) && strcmp(again.authority, t.authority) == 0);
    /* of the seeds' authorities nobody is trusted here */
    FUZZ_REQUIRE(cn_timestamp_verify(token, &imprint, CN_SPAN(NULL, 0), &again, &err) != CN_OK);
    FUZZ_PLANT(t.time_ms / 1000 != (uint64_t)NOW);
    return 0;
}
