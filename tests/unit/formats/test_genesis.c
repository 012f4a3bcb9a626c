#include "node/formats/genesis.h"
#include "proto/statement.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cn_secret_key key_of(uint8_t type, uint8_t seed)
{
    cn_secret_key key;
    uint8_t secret[32];
    memset(secret, seed, sizeof secret);
    cr_assert_eq(cn_secret_key_from_bytes(type, secret, &key, NULL), CN_OK);
    return key;
}

static void fill(cn_genesis_member *m, const char *name, uint8_t seed, bool validator)
{
    *m = (cn_genesis_member){.country = "KE", .roles = CN_ROLE_EXPORTER | CN_ROLE_BANK, .registrar = validator};
    snprintf(m->name, sizeof m->name, "%s", name);
    memset(m->channel_key, seed, 32);
    m->capture_key = key_of(CN_KEY_ED25519, seed).public_key;
    m->validator = validator;
    cn_public_key vote = key_of(CN_KEY_SECP256K1, (uint8_t)(seed + 1)).public_key;
    memcpy(m->row.vote_key, vote.b, 33);
    cr_assert_eq(cn_evm_address(&vote, m->row.evm_address, NULL), CN_OK);
    memcpy(m->row.receipt_key, key_of(CN_KEY_P256, (uint8_t)(seed + 2)).public_key.b, 33);
    memcpy(m->row.cosignature_key, key_of(CN_KEY_ED25519, (uint8_t)(seed + 3)).public_key.b, 32);
    memcpy(m->row.log_key, key_of(CN_KEY_ED25519, (uint8_t)(seed + 4)).public_key.b, 32);
}

static void sample(cn_genesis *g, cn_genesis_member member[3])
{
    *g = (cn_genesis){
        .name = "test", .origin = "example.org/test", .time_ms = 1767225600000, .member_count = 3, .member = member};
    memset(g->nonce, 1, 32);
    memset(g->subject_salt, 2, 32);
    g->parameters = (cn_state_parameters){1000, 60000, 1048576, 3};
    fill(&member[0], "exporter", 10, true);
    fill(&member[1], "bank", 20, true);
    fill(&member[2], "observer-1", 30, false);
}

static void write_sample(cn_buf *out)
{
    cn_genesis g;
    cn_genesis_member member[3];
    cn_err err = {0};
    sample(&g, member);
    cn_buf_init(out, CN_MAX_GENESIS_BYTES);
    cr_assert_eq(cn_genesis_write(&g, out, &err), CN_OK, "%s", err.text);
}

Test(genesis, what_is_written_is_read)
{
    cn_buf text, again;
    cn_genesis g;
    cn_err err = {0};
    write_sample(&text);
    cr_assert_eq(cn_genesis_parse(text.p, text.n, &g, &err), CN_OK, "%s: %s", err.field, err.text);
    cr_expect_str_eq(g.name, "test");
    cr_expect_str_eq(g.origin, "example.org/test");
    cr_expect_eq(g.time_ms, 1767225600000u);
    cr_expect_eq(g.parameters.ballot_threshold, 3);
    cr_assert_eq(g.member_count, 3u);
    cr_expect_str_eq(g.member[2].name, "observer-1");
    cr_expect_str_eq(g.member[0].country, "KE");
    cr_expect_eq(g.member[0].roles, (uint32_t)(CN_ROLE_EXPORTER | CN_ROLE_BANK));
    cr_expect(g.member[0].registrar && !g.member[2].registrar && !g.member[2].validator);
    cr_assert_eq(g.set.n, 2u);
    cr_expect_lt(cn_digest_cmp(&g.set.row[0].member, &g.set.row[1].member), 0);
    cn_digest id = cn_member_id("exporter"), network = cn_network_id(text.p, text.n),
              set = cn_validator_set_digest(&g.set);
    cr_expect(cn_digest_eq(&g.member[0].id, &id));
    cr_expect(cn_digest_eq(&g.network, &network));
    cr_expect(cn_digest_eq(&g.set_digest, &set));
    cn_buf_init(&again, CN_MAX_GENESIS_BYTES);
    cr_assert_eq(cn_genesis_write(&g, &again, &err), CN_OK);
    cr_expect(again.n == text.n && memcmp(again.p, text.p, text.n) == 0);
    cn_genesis_free(&g);
    cn_buf_free(&text);
    cn_buf_free(&again);
}

/* The text with the first `from` replaced. */
static cn_status parse_edited(const char *from, const char *to, cn_err *err)
{
    cn_buf text;
    cn_genesis g;
    write_sample(&text);
    char *at = memmem(text.p, text.n, from, strlen(from));
    cr_assert_not_null(at, "%s", from);
    size_t before = (size_t)(at - (char *)text.p), n = text.n - strlen(from) + strlen(to);
    char *edited = malloc(n);
    memcpy(edited, text.p, before);
    memcpy(edited + before, to, strlen(to));
    memcpy(edited + before + strlen(to), at + strlen(from), text.n - before - strlen(from));
    cn_status st = cn_genesis_parse(edited, n, &g, err);
    if (st == CN_OK)
        cn_genesis_free(&g);
    free(edited);
    cn_buf_free(&text);
    return st;
}

Test(genesis, refuses)
{
    static const struct {
        const char *from, *to, *field;
    } cases[] = {
        {"\"version\": 1", "\"version\": 2", "/"},
        {"\"version\": 1", "\"version\": 1, \"extra\": 1", "/"},
        {"\"version\": 1", "\"version\": 1, \"version\": 1", "genesis"},
        {"\"time_ms\": 1767225600000", "\"time_ms\": -1", "/"},
        {"\"time_ms\": 1767225600000", "\"time_ms\": 1.5", "/"},
        {"\"heartbeat_ms\": 60000", "\"heartbeat_ms\": \"60000\"", "/parameters"},
        {"\"heartbeat_ms\": 60000", "\"heartbeat_ms\": 60000, \"x\": 1", "/parameters"},
        {"\"block_bytes\": 1048576", "\"block_bytes\": 10", "/parameters"},
        {"\"exporter\",\n      \"country\"", "\"Exporter\",\n      \"country\"", "/members/0"},
        {"\"bank\",\n      \"country\"", "\"exporter\",\n      \"country\"", "/members"},
        {"\"KE\"", "\"KEN\"", "/members/0"},
        {"\"KE\"", "\"ke\"", "/members/0"},
        {"\"exporter\",\n        \"bank\"", "\"exporter\",\n        \"pirate\"", "/members/0"},
        {"\"registrar\": true", "\"registrar\": 1", "/members/0"},
        {"\"registrar\": true", "\"registrar\": true, \"admin\": true", "/members/0"},
        {"\"type\": \"ed25519\"", "\"type\": \"rsa\"", "/members/0"},
        {"\"type\": \"ed25519\"", "\"type\": \"secp256k1\"", "/members/0"},
        {"\"vote\": \"0", "\"vote\": \"1", NULL}, /* no point of the curve */
        {"\"evm\": \"", "\"evm\": \"00", "/members/0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cn_err err = {0};
        cr_expect_neq(parse_edited(cases[i].from, cases[i].to, &err), CN_OK, "case %zu", i);
        cr_expect(!cases[i].field || strcmp(err.field, cases[i].field) == 0, "case %zu: %s: %s", i, err.field,
                  err.text);
        cr_expect_gt(strlen(err.text), 5u);
    }
    cr_expect_eq(parse_edited("\"test\"", "\"other\"", NULL), CN_OK);
}

Test(genesis, survives_damage)
{
    cn_buf text;
    uint64_t x = 1;
    size_t refused = 0;
    write_sample(&text);
    for (unsigned round = 0; round < 2000; round++) {
        char *copy = malloc(text.n);
        cn_genesis g;
        memcpy(copy, text.p, text.n);
        x = x * 6364136223846793005u + 1442695040888963407u;
        copy[(x >> 24) % text.n] = "{}[]\":,0az-"[(x >> 56) % 11];
        size_t n = round % 5 ? text.n : (x >> 30) % text.n;
        if (cn_genesis_parse(copy, n, &g, NULL) == CN_OK)
            cn_genesis_free(&g);
        else
            refused++;
        free(copy);
    }
    cr_expect_gt(refused, 500u);
    cn_buf_free(&text);
}
