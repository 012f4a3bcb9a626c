/* C2SP tlog-policy: whatever it reads is bounded, and what it reads twice says the same. */
#include "fuzz.h"

#include "proto/policy.h"

#include <stdio.h>

static const char note[] =
    "test.example/0\n9\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"
    "\xe2\x80\x94 a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

void fuzz_seeds(void)
{
    char vkey[CN_NOTE_VKEY_MAX + 1], log[CN_NOTE_VKEY_MAX + 1], text[4096];
    uint8_t key[32] = {7};
    cn_note_vkey("test.example/0/a", CN_NOTE_COSIGNATURE_V1, key, vkey);
    cn_note_vkey("test.example/0", CN_NOTE_ED25519, key, log);
    size_t n = (size_t)snprintf(text, sizeof text,
                                "# all\nlog %s https://x\nwitness a %s\ngroup g any a\ngroup h all a g\nquorum h\n",
                                log, vkey);
    fuzz_seed("policy", text, n);
    fuzz_seed("none", "quorum none\n", 12);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    cn_policy *policy = NULL, *again = NULL;
    cn_err err = {0};
    if (cn_policy_parse(p, n, &policy, &err) != CN_OK) {
        FUZZ_REQUIRE(err.text[0] != 0);
        return 0;
    }
    FUZZ_REQUIRE(cn_policy_parse(p, n, &again, NULL) == CN_OK);
    cn_status first = cn_policy_check(policy, CN_SPAN(note, sizeof note - 1), &err);
    FUZZ_REQUIRE(first == cn_policy_check(again, CN_SPAN(note, sizeof note - 1), NULL));
    cn_policy_free(policy);
    cn_policy_free(again);
    FUZZ_PLANT(n > 12 && p[0] == 'q' && p[n - 2] == '#');
    return 0;
}
