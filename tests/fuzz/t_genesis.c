/* The genesis file: what is accepted can be written, and is the same network's values when read again. */
#include "fuzz.h"

#include "node/formats/genesis.h"
#include "tests/unit/proto/kit.h"

#include <stdio.h>

static void fill(cn_genesis_member *m, const char *name, const cn_set_row *row, uint8_t number)
{
    *m = (cn_genesis_member){.country = "KE", .roles = CN_ROLE_EXPORTER | CN_ROLE_BANK, .registrar = row != NULL};
    snprintf(m->name, sizeof m->name, "%s", name);
    memset(m->channel_key, number, sizeof m->channel_key);
    m->capture_key = kit_key((uint8_t)(1 + number % 3), (uint8_t)(50 + number)).public_key;
    m->validator = row != NULL;
    if (row)
        m->row = *row;
}

void fuzz_seeds(void)
{
    static kit_set set;
    cn_genesis_member member[3];
    cn_genesis g = {.name = "fuzz", .origin = "example.org/fuzz", .time_ms = 1767225600000, .member = member};
    g.parameters = (cn_state_parameters){1000, 60000, 1048576, 3};
    g.nonce[0] = g.subject_salt[0] = 1;
    kit_set_make(&set, 2);
    fill(&member[0], "exporter", &set.set.row[0], 1);
    fill(&member[1], "observer", NULL, 2);
    fill(&member[2], "bank", &set.set.row[1], 3);
    for (size_t n = 1; n <= 3; n++) {
        char name[16];
        cn_buf out;
        cn_buf_init(&out, CN_MAX_GENESIS_BYTES);
        g.member_count = n;
        FUZZ_REQUIRE(cn_genesis_write(&g, &out, NULL) == CN_OK);
        snprintf(name, sizeof name, "members-%zu", n);
        fuzz_seed(name, out.p, out.n);
        cn_buf_free(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    cn_genesis g, again;
    cn_err err = {0};
    cn_status st = cn_genesis_parse(p, n, &g, &err);
    if (st != CN_OK) {
        FUZZ_REQUIRE(err.code == st && err.text[0]);
        return 0;
    }
    cn_buf one, two;
    cn_buf_init(&one, 2 * CN_MAX_GENESIS_BYTES);
    cn_buf_init(&two, 2 * CN_MAX_GENESIS_BYTES);
    FUZZ_REQUIRE(cn_genesis_write(&g, &one, NULL) == CN_OK);
    FUZZ_REQUIRE(cn_genesis_parse(one.p, one.n, &again, NULL) == CN_OK);
    FUZZ_REQUIRE(cn_genesis_write(&again, &two, NULL) == CN_OK);
    FUZZ_REQUIRE(fuzz_same(one.p, one.n, two.p, two.n));
    FUZZ_REQUIRE(again.set.n == g.set.n && cn_digest_eq(&again.set_digest, &g.set_digest));
    FUZZ_REQUIRE(g.set.n >= 1 && cn_validator_set_check(&g.set, NULL) == CN_OK);
    FUZZ_PLANT(g.parameters.ballot_threshold > 3 || g.time_ms < 1000);
    cn_genesis_free(&again);
    cn_genesis_free(&g);
    cn_buf_free(&one);
    cn_buf_free(&two);
    return 0;
}
