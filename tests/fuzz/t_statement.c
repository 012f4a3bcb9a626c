/* SignedStatement: strict decoding, and the one encoding of every body that is accepted. */
#include "fuzz.h"

#include "proto/statement.h"
#include "tests/unit/proto/kit.h"

void fuzz_seeds(void)
{
    cn_secret_key key = kit_key(CN_KEY_SECP256K1, 1);
    for (int kind = 0; kind < KIT_KINDS; kind++) {
        cn_buf bytes;
        kit_sign((enum kit_kind)kind, &key, &bytes, NULL);
        fuzz_seed(kit_kind_name[kind], bytes.p, bytes.n);
        cn_buf_free(&bytes);
    }
}

/* What was decoded, signed again, has the same body bytes: no other bytes say the same (ledger.md, Statements). */
static void check_canonical(const cn_statement *s)
{
    static cn_secret_key key;
    if (!key.public_key.type)
        key = kit_key(CN_KEY_ED25519, 9);
    cn_body body = s->body;
    cn_statement *again = NULL;
    cn_buf bytes;
    cn_buf_init(&bytes, CN_MAX_STATEMENT_BYTES);
    cn_status st = cn_statement_sign(&body, s->item, s->item_count, &key, &bytes, NULL, NULL);
    FUZZ_REQUIRE(st == CN_OK);
    FUZZ_REQUIRE(cn_statement_decode(bytes.p, bytes.n, &again, NULL) == CN_OK);
    FUZZ_REQUIRE(fuzz_same(again->body_bytes.p, again->body_bytes.n, s->body_bytes.p, s->body_bytes.n));
    FUZZ_REQUIRE(cn_digest_eq(&again->id, &s->id));
    cn_statement_free(again);
    cn_buf_free(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    cn_statement *s = NULL;
    cn_err err = {0};
    cn_status st = cn_statement_decode(p, n, &s, &err);
    if (st != CN_OK) {
        FUZZ_REQUIRE(s == NULL && err.code == st && err.text[0]);
        return 0;
    }
    FUZZ_REQUIRE(n <= CN_MAX_STATEMENT_BYTES);
    FUZZ_REQUIRE(fuzz_same(s->whole.p, s->whole.n, p, n));
    FUZZ_REQUIRE(s->record.p == s->whole.p && s->record.n <= n && s->signature.n == CN_SIGNATURE_LEN);
    bool batch = s->body.kind == CN_PAYLOAD_EVENT_BATCH;
    bool items_fit = cn_statement_check_items(s, NULL) == CN_OK;
    FUZZ_REQUIRE(batch || items_fit == (s->item_count == 0));
    if (items_fit)
        check_canonical(s);
    static cn_public_key stranger;
    if (!stranger.type)
        stranger = kit_key(CN_KEY_SECP256K1, 200).public_key;
    FUZZ_REQUIRE(cn_statement_verify(s, &stranger, NULL) != CN_OK);
    FUZZ_PLANT(s->body.kind == CN_PAYLOAD_PAIRING && s->body.sequence > 2);
    cn_statement_free(s);
    return 0;
}
