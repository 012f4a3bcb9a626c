/* Every message both ways, and nothing but its one encoding. */
#include "harness.h"

static void expect_strict(const cn_buf *bytes, bool (*reads)(const uint8_t *, size_t))
{
    cr_expect(reads(bytes->p, bytes->n));
    for (size_t n = 0; n < bytes->n; n++)
        cr_expect_not(reads(bytes->p, n), "a prefix of %zu bytes was read", n);
    uint8_t *longer = malloc(bytes->n + 1);
    memcpy(longer, bytes->p, bytes->n);
    longer[bytes->n] = 0;
    cr_expect_not(reads(longer, bytes->n + 1), "a byte too many was read");
    longer[0] = 2;
    cr_expect_not(reads(longer, bytes->n), "another version was read");
    free(longer);
}

static bool reads_vote(const uint8_t *p, size_t n)
{
    cn_vote v;
    return cn_vote_read(p, n, &v);
}

static bool reads_certificate(const uint8_t *p, size_t n)
{
    cn_certificate c;
    return cn_certificate_message_read(p, n, &c);
}

static bool reads_request(const uint8_t *p, size_t n)
{
    uint64_t a, b, c;
    return cn_cert_request_read(p, n, &a, &b, &c);
}

static bool reads_proposal(const uint8_t *p, size_t n)
{
    cn_proposal proposal;
    bool ok = cn_proposal_read(&test_network, p, n, &proposal);
    if (ok)
        cn_proposal_clear(&proposal);
    return ok;
}

Test(message, vote)
{
    const cn_digest block = {{7}};
    for (uint8_t kind = CN_NOTARIZE; kind <= CN_FINALIZE; kind++) {
        cn_vote v = make_vote(3, kind, 77, &block), again;
        cn_buf bytes;
        cn_buf_init(&bytes, 256);
        cn_vote_write(&v, &bytes);
        cr_assert(cn_vote_read(bytes.p, bytes.n, &again));
        cr_expect(again.kind == kind && again.view == 77 && again.signer == 3 && again.epoch == 1 &&
                  cn_digest_eq(&again.block, &v.block) && memcmp(again.signature.b, v.signature.b, 64) == 0);
        expect_strict(&bytes, reads_vote);
        bytes.p[2] = 4; /* a kind that is none */
        cr_expect_not(reads_vote(bytes.p, bytes.n));
        cn_buf_free(&bytes);
    }
}

Test(message, a_nullify_names_no_block_and_the_others_do)
{
    const cn_digest block = {{7}};
    cn_vote v = make_vote(0, CN_NULLIFY, 1, &block);
    cn_buf bytes;
    cn_buf_init(&bytes, 256);
    v.block = block;
    cn_vote_write(&v, &bytes);
    cr_expect_not(reads_vote(bytes.p, bytes.n));
    cn_buf_clear(&bytes);
    v = make_vote(0, CN_NOTARIZE, 1, &cn_digest_zero);
    cn_vote_write(&v, &bytes);
    cr_expect_not(reads_vote(bytes.p, bytes.n));
    cn_buf_free(&bytes);
}

Test(message, certificate_and_request)
{
    cn_certificate c = {
        .kind = CN_NOTARIZE, .epoch = 1, .view = 9, .block = {{5}}, .n = 4, .bitmap = {0x0b}, .signature_count = 3};
    cn_buf bytes;
    cn_buf_init(&bytes, CN_CERTIFICATE_MAX);
    cn_certificate_message_write(&c, &bytes);
    expect_strict(&bytes, reads_certificate);
    cn_buf_clear(&bytes);
    cn_cert_request_write(1, 4, 9, &bytes);
    expect_strict(&bytes, reads_request);
    cn_buf_clear(&bytes);
    cn_cert_request_write(1, 9, 4, &bytes);
    cr_expect_not(reads_request(bytes.p, bytes.n), "a range that runs backwards");
    cn_buf_free(&bytes);
}

Test(message, proposal)
{
    cn_digest record[2] = {{{1}}, {{2}}};
    cn_certificate evidence = {
        .kind = CN_NULLIFY, .epoch = 1, .view = 3, .n = 4, .bitmap = {0x07}, .signature_count = 3};
    cn_header h = {.version = 1, .epoch = 1, .height = 4, .time_ms = T0, .body = cn_body_digest(record, 2)};
    cn_proposal p = {.epoch = 1,
                     .view = 4,
                     .parent_view = 2,
                     .header = h,
                     .record_count = 2,
                     .record = record,
                     .evidence_count = 1,
                     .evidence = &evidence};
    cn_buf bytes;
    cn_buf_init(&bytes, 4096);
    cn_header_encode(&h, p.header_bytes);
    cn_proposal_write_unsigned(&p, &bytes);
    cn_put_bytes(&bytes, p.signature.b, 64);
    expect_strict(&bytes, reads_proposal);
    cn_buf_clear(&bytes);
    p.parent_view = 4; /* not below its own view */
    cn_proposal_write_unsigned(&p, &bytes);
    cn_put_bytes(&bytes, p.signature.b, 64);
    cr_expect_not(reads_proposal(bytes.p, bytes.n));
    cn_buf_clear(&bytes);
    p.parent_view = 2;
    record[1].b[0] = 9; /* the header names another body */
    cn_proposal_write_unsigned(&p, &bytes);
    cn_put_bytes(&bytes, p.signature.b, 64);
    cr_expect_not(reads_proposal(bytes.p, bytes.n));
    cn_buf_free(&bytes);
}

Test(message, damage_never_crashes)
{
    uint64_t state = 99;
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[400];
        size_t n = 0;
        for (size_t k = 0; k < sizeof bytes; k++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes[k] = (uint8_t)state;
        }
        n = state % sizeof bytes;
        bytes[0] = 1;
        bytes[1] = (uint8_t)(1 + state % 4);
        (void)reads_vote(bytes, n);
        (void)reads_certificate(bytes, n);
        (void)reads_request(bytes, n);
        (void)reads_proposal(bytes, n);
    }
}
