/* C2SP tlog-policy files: read strictly, and held against signed notes. */
#include "proto/policy.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTIES 5u

static cn_checkpoint checkpoint;
static cn_checkpoint_keys keys[PARTIES];
static cn_set_row row[PARTIES];
static const char *const name[PARTIES] = {"exporter", "bank", "carrier", "customs", "port"};
static char log_vkey[PARTIES][CN_NOTE_VKEY_MAX + 1], vkey[PARTIES][CN_NOTE_VKEY_MAX + 1];

static void begin(void)
{
    cn_digest network = cn_sha256("network", 7);
    cn_header h = {.version = CN_PROTOCOL_VERSION, .kind = CN_BLOCK_CHECKPOINT, .epoch = 1, .height = 4, .log_size = 9};
    cr_assert_eq(cn_checkpoint_of(&h, &network, "test.example", &checkpoint, NULL), CN_OK);
    for (unsigned i = 0; i < PARTIES; i++) {
        char signer[CN_SIGNER_NAME_MAX + 1];
        cr_assert_eq(cn_secret_key_generate(CN_KEY_P256, &keys[i].receipt, NULL), CN_OK);
        cr_assert_eq(cn_secret_key_generate(CN_KEY_ED25519, &keys[i].cosignature, NULL), CN_OK);
        cr_assert_eq(cn_secret_key_generate(CN_KEY_ED25519, &keys[i].log, NULL), CN_OK);
        memcpy(row[i].receipt_key, keys[i].receipt.public_key.b, 33);
        memcpy(row[i].cosignature_key, keys[i].cosignature.public_key.b, 32);
        memcpy(row[i].log_key, keys[i].log.public_key.b, 32);
        cn_signer_name(&checkpoint, name[i], signer);
        cn_note_vkey(checkpoint.log_origin, CN_NOTE_ED25519, row[i].log_key, log_vkey[i]);
        cn_note_vkey(signer, CN_NOTE_COSIGNATURE_V1, row[i].cosignature_key, vkey[i]);
    }
}

TestSuite(policy, .init = begin);

/* The note signed by those whose bits are set. */
static void note_by(unsigned signers, cn_buf *out)
{
    cn_buf_init(out, CN_MAX_NOTE_BYTES);
    cn_note_begin(out, &checkpoint);
    for (unsigned i = 0; i < PARTIES; i++) {
        cn_checkpoint_signatures s;
        cn_digest member = {{0}};
        if (!(signers >> i & 1))
            continue;
        cr_assert_eq(cn_checkpoint_sign(&checkpoint, &member, name[i], &keys[i], &s, NULL), CN_OK);
        cn_note_add(out, &checkpoint, name[i], &row[i], &s);
    }
}

/* $0..$4: verifier keys of witnesses, %0..%4: of logs. */
static size_t expand(const char *pattern, char *out, size_t cap)
{
    size_t n = 0;
    for (; *pattern && n + CN_NOTE_VKEY_MAX < cap; pattern++) {
        if (*pattern == '$' || *pattern == '%') {
            bool log = *pattern == '%';
            unsigned i = (unsigned)(*++pattern - '0');
            n += (size_t)snprintf(out + n, cap - n, "%s", log ? log_vkey[i] : vkey[i]);
        } else {
            out[n++] = *pattern;
        }
    }
    out[n] = 0;
    return n;
}

static cn_policy *parsed(const char *pattern)
{
    static char text[8192];
    cn_policy *p = NULL;
    cn_err err = {0};
    size_t n = expand(pattern, text, sizeof text);
    cr_assert_eq(cn_policy_parse(text, n, &p, &err), CN_OK, "%s: %s", err.field, err.text);
    return p;
}

static void refused(const char *pattern, const char *where, const char *what)
{
    static char text[65536];
    cn_policy *p = NULL;
    cn_err err = {0};
    size_t n = expand(pattern, text, sizeof text);
    cr_expect_eq(cn_policy_parse(text, n, &p, &err), CN_INVALID, "%s", pattern);
    cr_expect_str_eq(err.field, where);
    cr_expect(strstr(err.text, what), "\"%s\" does not say \"%s\"", err.text, what);
    cn_policy_free(p);
}

#define VALIDATORS                                                                                                     \
    "log %0\nlog %1\nwitness exporter $0\nwitness bank $1 https://bank.example/\nwitness carrier $2\n"                 \
    "group validators 2 exporter bank carrier\n"

Test(policy, a_group_is_satisfied_by_its_threshold)
{
    cn_policy *p = parsed("# two of three\n\n \t" VALIDATORS "quorum validators\n");
    for (unsigned signers = 0; signers < 8; signers++) {
        cn_buf note;
        cn_err err = {0};
        if (signers == 0)
            continue; /* a note has at least one line */
        note_by(signers, &note);
        bool good = __builtin_popcount(signers) >= 2;
        cr_expect_eq(cn_policy_check(p, CN_SPAN(note.p, note.n), &err) == CN_OK, good, "%u: %s", signers, err.text);
        cn_buf_free(&note);
    }
    cn_policy_free(p);
}

Test(policy, f_plus_one_validators_and_one_customs_witness)
{
    cn_policy *p = parsed(VALIDATORS "witness customs $3\nwitness port $4\ngroup outside any customs port\n"
                                     "group both all validators outside\nquorum both\n");
    cn_buf note;
    cn_err err = {0};
    note_by(1 | 2, &note);
    cr_expect_eq(cn_policy_check(p, CN_SPAN(note.p, note.n), &err), CN_BAD_SIGNATURE);
    cr_expect(strstr(err.text, "of the group both 1 of 2 members"), "%s", err.text);
    cn_buf_free(&note);
    note_by(1 | 2 | 16, &note);
    cr_expect_eq(cn_policy_check(p, CN_SPAN(note.p, note.n), &err), CN_OK, "%s", err.text);
    note.p[note.n - 20] ^= 1; /* the port's cosignature */
    cr_expect_neq(cn_policy_check(p, CN_SPAN(note.p, note.n), &err), CN_OK);
    cn_buf_free(&note);
    cn_policy_free(p);
}

Test(policy, a_log_of_the_policy_must_have_signed)
{
    cn_policy *first = parsed("log %0\nquorum none\n"), *any = parsed("quorum none\n"),
              *witness = parsed("witness carrier $2\nquorum carrier\n");
    cn_buf note;
    cn_err err = {0};
    note_by(4, &note);
    cr_expect_eq(cn_policy_check(first, CN_SPAN(note.p, note.n), &err), CN_BAD_SIGNATURE);
    cr_expect(strstr(err.text, "no log"), "%s", err.text);
    cr_expect_eq(cn_policy_check(any, CN_SPAN(note.p, note.n), &err), CN_OK);
    cr_expect_eq(cn_policy_check(witness, CN_SPAN(note.p, note.n), &err), CN_OK, "%s", err.text);
    cn_buf_free(&note);
    note_by(1, &note);
    cr_expect_eq(cn_policy_check(first, CN_SPAN(note.p, note.n), &err), CN_OK, "%s", err.text);
    cr_expect_eq(cn_policy_check(witness, CN_SPAN(note.p, note.n), &err), CN_BAD_SIGNATURE);
    cr_expect(strstr(err.text, "the witness carrier"), "%s", err.text);
    cn_buf_free(&note);
    cn_policy_free(first);
    cn_policy_free(any);
    cn_policy_free(witness);
}

Test(policy, what_the_format_does_not_allow_is_named_with_its_line)
{
    refused("", "policy", "no quorum line");
    refused("quorum none", "policy", "not lines of text");
    refused("quorum none\nquorum none\n", "policy, line 2", "exactly one quorum");
    refused("quorum someone\n", "policy, line 1", "not defined");
    refused("log $0\nquorum none\n", "policy, line 1", "verifier key of a log");
    refused("witness a %0\nquorum none\n", "policy, line 1", "verifier key of a witness");
    refused("log %0\nlog %0\nquorum none\n", "policy, line 2", "the same key");
    refused("witness a $0\nwitness b $0\nquorum a\n", "policy, line 2", "the same key");
    refused("witness a $0\nwitness a $1\nquorum a\n", "policy, line 2", "taken");
    refused("witness none $0\nquorum none\n", "policy, line 1", "none");
    refused("group g 1 a\nwitness a $0\nquorum g\n", "policy, line 1", "not defined");
    refused("witness a $0\ngroup g 1 g\nquorum g\n", "policy, line 2", "not defined");
    refused("witness a $0\ngroup g 0 a\nquorum g\n", "policy, line 2", "threshold");
    refused("witness a $0\ngroup g 2 a\nquorum g\n", "policy, line 2", "threshold");
    refused("witness a $0\ngroup g 01 a\nquorum g\n", "policy, line 2", "threshold");
    refused("witness a $0\ngroup g 99999999999999999999 a\nquorum g\n", "policy, line 2", "threshold");
    refused("witness a $0\ngroup g all a a\nquorum g\n", "policy, line 2", "twice");
    refused("witness a $0\ngroup g all\nquorum g\n", "policy, line 2", "a group is");
    refused("trust everybody\n", "policy, line 1", "none of log");
    refused("\nwitness a\n", "policy, line 2", "a witness is");
    char *many = malloc(60000);
    size_t n = (size_t)sprintf(many, "group g 1");
    while (n < 59990)
        n += (size_t)sprintf(many + n, " x");
    sprintf(many + n, "\n");
    refused(many, "policy, line 1", "too many words");
    free(many);
}
