/* Calls of the verifier contract. That the contract takes them is for tests/interop/evm.sh. */
#include "kit.h"

#include "proto/evm.h"

#include <criterion/criterion.h>
#include <string.h>

#define VALIDATORS 4u

static cn_secret_key vote_key[VALIDATORS];
static cn_validator_set set;
static cn_digest network;
static cn_header header;
static cn_buf certificate;

static void certify(uint8_t kind)
{
    cn_certificate c = {.kind = kind, .epoch = 1, .view = 3, .n = VALIDATORS};
    c.block = cn_header_digest(&header);
    cn_digest vote = cn_vote_digest(&network, c.epoch, c.kind, c.view, &c.block);
    for (unsigned i = 0; i < 3; i++) {
        c.bitmap[0] |= (uint8_t)(1u << i);
        cr_assert_eq(cn_sign(&vote_key[i], &vote, &c.signature[c.signature_count++], NULL), CN_OK);
    }
    cn_buf_free(&certificate);
    cn_buf_init(&certificate, CN_CERTIFICATE_MAX);
    cn_certificate_encode(&c, &certificate);
}

static void begin(void)
{
    network = cn_sha256("network", 7);
    header = (cn_header){
        .version = CN_PROTOCOL_VERSION, .kind = CN_BLOCK_CHECKPOINT, .epoch = 1, .height = 4, .log_size = 9};
    set.n = VALIDATORS;
    for (unsigned i = 0; i < VALIDATORS; i++) {
        cr_assert_eq(cn_secret_key_generate(CN_KEY_SECP256K1, &vote_key[i], NULL), CN_OK);
        cr_assert_eq(cn_evm_address(&vote_key[i].public_key, set.row[i].evm_address, NULL), CN_OK);
    }
    certify(CN_FINALIZE);
}

static void end(void)
{
    cn_buf_free(&certificate);
}

TestSuite(evm, .init = begin, .fini = end);

static cn_evm_finality finality(void)
{
    return (cn_evm_finality){&network, &header, 1, CN_SPAN(certificate.p, certificate.n), &set};
}

Test(evm, v_is_what_recovers_the_signer_and_nobody_else)
{
    unsigned seen = 0;
    for (unsigned n = 0; n < 64; n++) {
        cn_digest vote = cn_sha256(&n, sizeof n);
        cn_signature s;
        cr_assert_eq(cn_sign(&vote_key[0], &vote, &s, NULL), CN_OK);
        uint8_t v = cn_evm_v(&vote, &s, set.row[0].evm_address);
        cr_expect(v == 27 || v == 28);
        seen |= 1u << (v & 1);
        cr_expect_eq(cn_evm_v(&vote, &s, set.row[1].evm_address), 0);
        s.b[40] ^= 1;
        cr_expect_eq(cn_evm_v(&vote, &s, set.row[0].evm_address), 0);
    }
    cr_expect_eq(seen, 3u, "both occur");
}

Test(evm, a_call_is_a_selector_and_words)
{
    cn_evm_finality f = finality();
    cn_digest entry = cn_sha256("record", 6), path[2] = {cn_sha256("a", 1), cn_sha256("b", 1)};
    static const uint8_t selector[] = {0x1a, 0x27, 0x10, 0xed}; /* as solc has it */
    cn_buf call;
    cn_buf_init(&call, CN_EVM_CALL_MAX);
    cr_assert_eq(cn_evm_statement(&f, &entry, 5, path, 2, &call, NULL), CN_OK);
    cr_expect(!call.fault && call.n % 32 == 4 && memcmp(call.p, selector, 4) == 0);
    cr_expect_eq(cn_load_u64(call.p + 4 + 24), 4u * 32u, "the finality lies behind four words");
    cr_expect_arr_eq(call.p + 4 + 32, entry.b, 32);
    cr_expect_eq(cn_load_u64(call.p + 4 + 2 * 32 + 24), 5u);
    cr_expect_arr_eq(call.p + call.n - 32, path[1].b, 32, "the path is the last");
    cn_buf_free(&call);
}

Test(evm, what_is_not_a_finalization_by_the_set_is_refused)
{
    cn_evm_finality f = finality();
    cn_digest entry = cn_sha256("record", 6);
    cn_buf call;
    cn_err err = {0};
    cn_buf_init(&call, CN_EVM_CALL_MAX);
    memset(set.row[1].evm_address, 7, 20);
    cr_expect_eq(cn_evm_statement(&f, &entry, 5, NULL, 0, &call, &err), CN_INVALID);
    cr_expect(strstr(err.text, "validator 1"), "%s", err.text);
    set.n = 3;
    cr_expect_eq(cn_evm_statement(&f, &entry, 5, NULL, 0, &call, &err), CN_INVALID);
    f.certificate.n--;
    cr_expect_neq(cn_evm_statement(&f, &entry, 5, NULL, 0, &call, &err), CN_OK);
    cr_expect_eq(call.n, 0u, "nothing is written");
    cn_buf_free(&call);
}
