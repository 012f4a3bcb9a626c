/* Headers, certificates, validator sets: one encoding each. */
#include "fuzz.h"

#include "proto/header.h"
#include "tests/unit/proto/kit.h"

#include <stdio.h>

enum { HEADER, CERTIFICATE, SET, KINDS };

void fuzz_seeds(void)
{
    uint8_t header[CN_HEADER_LEN];
    cn_header h = {.version = CN_PROTOCOL_VERSION, .kind = CN_BLOCK_CHECKPOINT, .epoch = 1, .height = 7, .log_size = 9};
    cn_header_encode(&h, header);
    fuzz_seed_kind("header", HEADER, header, sizeof header);
    static const unsigned sizes[] = {1, 4, 7};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        static kit_set set;
        char name[32];
        cn_buf bytes;
        kit_set_make(&set, sizes[i]);
        cn_buf_init(&bytes, 1u << 16);
        cn_validator_set_encode(&set.set, &bytes);
        snprintf(name, sizeof name, "set-%u", sizes[i]);
        fuzz_seed_kind(name, SET, bytes.p, bytes.n);
        for (uint8_t kind = CN_NOTARIZE; kind <= CN_FINALIZE; kind++) {
            cn_certificate c = kit_certificate(&set, kind, 5, (uint32_t)((UINT64_C(1) << cn_quorum(sizes[i])) - 1));
            cn_buf_clear(&bytes);
            cn_certificate_encode(&c, &bytes);
            snprintf(name, sizeof name, "certificate-%u-%u", sizes[i], kind);
            fuzz_seed_kind(name, CERTIFICATE, bytes.p, bytes.n);
        }
        cn_buf_free(&bytes);
    }
}

static void try_header(const uint8_t *p, size_t n)
{
    cn_header h;
    uint8_t again[CN_HEADER_LEN];
    if (cn_header_decode(p, n, &h, NULL) != CN_OK)
        return;
    cn_header_encode(&h, again);
    FUZZ_REQUIRE(fuzz_same(again, sizeof again, p, n));
    cn_digest a = cn_header_digest(&h), b = cn_header_digest_bytes(p);
    FUZZ_REQUIRE(cn_digest_eq(&a, &b));
    FUZZ_PLANT(h.kind == CN_BLOCK_CHECKPOINT && h.height > 7);
}

/* Nobody signed what the search makes up: verification must refuse all but the seeds' own signatures. */
static void try_certificate(const uint8_t *p, size_t n)
{
    cn_certificate c;
    cn_reader r = cn_reader_of(p, n);
    cn_buf again;
    if (cn_certificate_read(&r, &c, NULL) != CN_OK)
        return;
    FUZZ_REQUIRE(c.n >= 1 && c.n <= CN_MAX_VALIDATORS && c.signature_count == cn_quorum(c.n));
    cn_buf_init(&again, CN_CERTIFICATE_MAX);
    cn_certificate_encode(&c, &again);
    FUZZ_REQUIRE(!again.fault && fuzz_same(again.p, again.n, p, n - r.n));
    cn_buf_free(&again);
    static kit_set set;
    static cn_vote_keys *keys;
    if (!keys) {
        kit_set_make(&set, 4);
        keys = cn_vote_keys_new(&set.set);
    }
    cn_digest network = kit_network();
    if (cn_certificate_verify(&c, &network, &set.set, keys, NULL) == CN_OK)
        FUZZ_REQUIRE(c.n == 4 && c.epoch == 1 && c.view == 5);
}

static void try_set(const uint8_t *p, size_t n)
{
    static cn_validator_set set;
    cn_buf again;
    if (cn_validator_set_decode(p, n, &set, NULL) != CN_OK)
        return;
    cn_buf_init(&again, 1u << 16);
    cn_validator_set_encode(&set, &again);
    FUZZ_REQUIRE(fuzz_same(again.p, again.n, p, n));
    for (unsigned i = 0; i < set.n; i++)
        FUZZ_REQUIRE(cn_validator_set_find(&set, &set.row[i].member) == (int)i);
    cn_vote_keys *keys = cn_vote_keys_new(&set);
    FUZZ_REQUIRE(keys != NULL); /* what was checked can be used */
    cn_vote_keys_free(keys);
    cn_buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n == 0)
        return 0;
    switch (p[0] % KINDS) {
    case HEADER:
        try_header(p + 1, n - 1);
        break;
    case CERTIFICATE:
        try_certificate(p + 1, n - 1);
        break;
    default:
        try_set(p + 1, n - 1);
        break;
    }
    return 0;
}
