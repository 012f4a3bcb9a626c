/* What validators say to each other: one encoding each, and nothing read beyond the bytes. */
#include "fuzz.h"

#include "consensus/message.h"
#include "tests/unit/proto/kit.h"

#include <stdio.h>
#include <stdlib.h>

static void seed_proposal(const kit_set *set, size_t records, size_t evidence)
{
    static cn_certificate certificate[3];
    cn_digest record[5];
    cn_buf bytes;
    char name[32];
    cn_proposal p = {.epoch = 1, .view = 9, .parent_view = 6, .record_count = records, .evidence_count = evidence};
    for (size_t i = 0; i < records; i++)
        record[i] = kit_fill((uint8_t)i);
    for (size_t i = 0; i < evidence; i++)
        certificate[i] = kit_certificate(set, i ? CN_NULLIFY : CN_NOTARIZE, 6 + i, 7);
    p.record = record;
    p.evidence = certificate;
    p.header = (cn_header){.version = CN_PROTOCOL_VERSION, .epoch = 1, .height = 3, .log_size = 4};
    p.header.body = cn_body_digest(record, records);
    cn_header_encode(&p.header, p.header_bytes);
    cn_buf_init(&bytes, CN_MAX_MESSAGE_BYTES);
    cn_proposal_write_unsigned(&p, &bytes);
    cn_put_bytes(&bytes, p.signature.b, sizeof p.signature.b);
    snprintf(name, sizeof name, "proposal-%zu-%zu", records, evidence);
    fuzz_seed(name, bytes.p, bytes.n);
    cn_buf_free(&bytes);
}

void fuzz_seeds(void)
{
    static kit_set set;
    cn_buf bytes;
    kit_set_make(&set, 4);
    cn_buf_init(&bytes, CN_MAX_MESSAGE_BYTES);
    cn_vote vote = {.kind = CN_NOTARIZE, .epoch = 1, .view = 5, .block = kit_fill(1), .signer = 2};
    cn_vote_write(&vote, &bytes);
    fuzz_seed("vote", bytes.p, bytes.n);
    cn_buf_clear(&bytes);
    cn_certificate c = kit_certificate(&set, CN_FINALIZE, 5, 11);
    cn_certificate_message_write(&c, &bytes);
    fuzz_seed("certificate", bytes.p, bytes.n);
    cn_buf_clear(&bytes);
    cn_cert_request_write(1, 5, 9, &bytes);
    fuzz_seed("request", bytes.p, bytes.n);
    cn_buf_free(&bytes);
    seed_proposal(&set, 0, 1);
    seed_proposal(&set, 5, 3);
    seed_proposal(&set, 1, 0);
}

#define RECORDS_AT (2u + 3u * 8u + CN_HEADER_LEN)
#define BODY_AT (2u + 3u * 8u + 133u) /* of the header's body digest */

/* The search cannot hash: the header gets the digest of the records that stand there. */
static uint8_t *with_body_digest(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n + 1);
    FUZZ_REQUIRE(copy != NULL);
    memcpy(copy, p, n);
    uint64_t count = n >= RECORDS_AT + 4 ? cn_load_u32(copy + RECORDS_AT) : 0;
    if (n < RECORDS_AT + 4 || count * CN_DIGEST_LEN > n - RECORDS_AT - 4)
        return copy;
    cn_digest *record = calloc(count + 1, sizeof *record);
    FUZZ_REQUIRE(record != NULL);
    memcpy(record, copy + RECORDS_AT + 4, count * CN_DIGEST_LEN);
    cn_digest body = cn_body_digest(record, count);
    memcpy(copy + BODY_AT, body.b, sizeof body.b);
    free(record);
    return copy;
}

static void try_proposal(const uint8_t *p, size_t n, cn_buf *again)
{
    cn_proposal got;
    cn_digest network = kit_network();
    if (!cn_proposal_read(&network, p, n, &got))
        return;
    FUZZ_REQUIRE(got.record_count <= CN_MAX_BLOCK_STATEMENTS && got.evidence_count <= CN_MAX_PROPOSAL_EVIDENCE);
    cn_proposal_write_unsigned(&got, again);
    cn_digest signed_digest = cn_proposal_digest(&network, again->p, again->n);
    FUZZ_REQUIRE(cn_digest_eq(&signed_digest, &got.signed_digest));
    cn_put_bytes(again, got.signature.b, sizeof got.signature.b);
    FUZZ_REQUIRE(fuzz_same(again->p, again->n, p, n));
    FUZZ_PLANT(got.header.height > 3);
    cn_proposal_clear(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    cn_vote vote;
    cn_certificate c;
    uint64_t epoch, first, last;
    cn_buf again;
    cn_buf_init(&again, CN_MAX_MESSAGE_BYTES);
    uint8_t kind = cn_message_kind_of(p, n);
    if (cn_vote_read(p, n, &vote)) {
        FUZZ_REQUIRE(kind == CN_MSG_VOTE);
        cn_vote_write(&vote, &again);
        FUZZ_REQUIRE(fuzz_same(again.p, again.n, p, n));
    } else if (cn_certificate_message_read(p, n, &c)) {
        FUZZ_REQUIRE(kind == CN_MSG_CERTIFICATE);
        cn_certificate_message_write(&c, &again);
        FUZZ_REQUIRE(fuzz_same(again.p, again.n, p, n));
    } else if (cn_cert_request_read(p, n, &epoch, &first, &last)) {
        FUZZ_REQUIRE(kind == CN_MSG_CERT_REQUEST);
        cn_cert_request_write(epoch, first, last, &again);
        FUZZ_REQUIRE(fuzz_same(again.p, again.n, p, n));
    } else if (kind == CN_MSG_PROPOSAL) {
        uint8_t *copy = with_body_digest(p, n);
        try_proposal(copy, n, &again);
        free(copy);
    }
    cn_buf_free(&again);
    return 0;
}
