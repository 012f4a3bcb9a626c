/* Key files: accepted means written the same way. */
#include "fuzz.h"

#include "proto/key.h"
#include "tests/unit/proto/kit.h"

#include <stdio.h>

void fuzz_seeds(void)
{
    static const char *const purposes[] = {"vote", "capture", "receipt"};
    static const uint8_t types[] = {CN_KEY_SECP256K1, CN_KEY_ED25519, CN_KEY_P256};
    char text[CN_KEY_FILE_MAX];
    for (size_t i = 0; i < 3; i++) {
        cn_key_file f = {.key = kit_key(types[i], 3), .has_item_salt = i == 1};
        snprintf(f.purpose, sizeof f.purpose, "%s", purposes[i]);
        fuzz_seed(purposes[i], text, cn_key_file_format(&f, text));
    }
    cn_key_file f = {.purpose = "channel", .is_x25519 = true, .x25519_secret = {7}};
    cn_x25519_public(f.x25519_secret, f.x25519_public);
    fuzz_seed("channel", text, cn_key_file_format(&f, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    cn_key_file f;
    char again[CN_KEY_FILE_MAX];
    if (cn_key_file_parse((const char *)p, n, &f, NULL) != CN_OK)
        return 0;
    FUZZ_REQUIRE(n <= CN_KEY_FILE_MAX);
    FUZZ_REQUIRE(fuzz_same(again, cn_key_file_format(&f, again), p, n));
    FUZZ_PLANT(f.has_item_salt && f.item_salt_secret[0] != 0);
    cn_key_file_wipe(&f);
    return 0;
}
