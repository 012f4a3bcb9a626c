/* Digests against published vectors. */
#include "kit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define assert_digest(expr, hex)                                                                                       \
    do {                                                                                                               \
        cn_digest got_ = (expr);                                                                                       \
        cr_assert_str_eq(cn_digest_hex(&got_).s, hex);                                                                 \
    } while (0)

/* FIPS 180-4 examples. */
Test(sha256, fips_examples)
{
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    assert_digest(cn_sha256("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_digest(cn_sha256("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_digest(cn_sha256(two_blocks, 56), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    cn_span parts[] = {CN_SPAN(two_blocks, 1), CN_SPAN(NULL, 0), CN_SPAN(two_blocks + 1, 55)};
    assert_digest(cn_sha256v(parts, 3), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

Test(sha256, a_million_a_streamed_while_others_are_hashed)
{
    char block[1000];
    memset(block, 'a', sizeof block);
    cn_sha256_stream *s = cn_sha256_begin();
    for (int i = 0; i < 1000; i++) {
        cn_sha256_update(s, block, sizeof block);
        cn_sha256(block, (size_t)i);
    }
    assert_digest(cn_sha256_end(s), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* BIP-341, wallet-test-vectors.json: TapLeaf and TapTweak hashes are tagged hashes of BIP-340. */
Test(tagged, bip341_vectors)
{
    kit_bytes script = kit_unhex("20d85a959b0290bf19bb89ed43c916be835475d013da4b362117393e25a48229b8ac");
    uint8_t head[] = {0xc0, (uint8_t)script.n};
    cn_span leaf[] = {CN_SPAN(head, 2), CN_SPAN(script.p, script.n)};
    for (int again = 0; again < 2; again++) /* the second time from the cache */
        assert_digest(cn_taggedv("TapLeaf", leaf, 2),
                      "5b75adecf53548f3ec6ad7d78383bf84cc57b55a3127c72b9a2481752dd88b21");
    kit_bytes key = kit_unhex("d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d");
    assert_digest(cn_tagged("TapTweak", key.p, key.n),
                  "b86e7be8f39bab32a6f2c0443abbc210f0edac0e2c53d501b36b64437d9c6c70");
}

static cn_digest tagged_by_hand(const char *tag, const void *p, size_t n)
{
    cn_digest hash = cn_sha256(tag, strlen(tag));
    cn_span all[] = {CN_SPAN_DIGEST(&hash), CN_SPAN_DIGEST(&hash), CN_SPAN(p, n)};
    return cn_sha256v(all, 3);
}

static void *hash_many(void *arg)
{
    size_t *wrong = arg;
    char tag[80];
    for (int i = 0; i < 200; i++) { /* more tags than the cache holds, and one longer than a slot */
        snprintf(tag, sizeof tag, "carnet/test-%d%s", i % 60, i % 60 == 7 ? "-a-tag-beyond-the-length-of-a-slot" : "");
        cn_digest a = cn_tagged(tag, &i, sizeof i), b = tagged_by_hand(tag, &i, sizeof i);
        *wrong += !cn_digest_eq(&a, &b);
    }
    return NULL;
}

Test(tagged, many_tags_from_many_threads)
{
    pthread_t thread[4];
    size_t wrong[4] = {0};
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, hash_many, &wrong[i]), 0);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_join(thread[i], NULL), 0);
        cr_assert_eq(wrong[i], 0);
    }
}

/* RFC 4231, test cases 1, 2, 3 and 6. */
Test(hmac, rfc4231)
{
    uint8_t key[131];
    memset(key, 0x0b, 20);
    cn_span hi[] = {CN_SPAN("Hi ", 3), CN_SPAN("There", 5)};
    assert_digest(cn_hmac_sha256(key, 20, hi, 2), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    cn_span jefe = CN_SPAN("what do ya want for nothing?", 28);
    assert_digest(cn_hmac_sha256("Jefe", 4, &jefe, 1),
                  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    uint8_t dd[50];
    memset(key, 0xaa, sizeof key);
    memset(dd, 0xdd, sizeof dd);
    cn_span fifty = CN_SPAN(dd, sizeof dd);
    assert_digest(cn_hmac_sha256(key, 20, &fifty, 1),
                  "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    cn_span large = CN_SPAN("Test Using Larger Than Block-Size Key - Hash Key First", 54);
    assert_digest(cn_hmac_sha256(key, 131, &large, 1),
                  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* The Ethereum yellow paper's empty-code hash and widely published values. */
Test(keccak, published)
{
    assert_digest(cn_keccak256("", 0), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    assert_digest(cn_keccak256("abc", 3), "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
    assert_digest(cn_keccak256("The quick brown fox jumps over the lazy dog", 43),
                  "4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15");
    assert_digest(cn_keccak256("Transfer(address,address,uint256)", 33),
                  "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
}

/* Around the rate of 136 bytes, where padding takes one byte, none, or a block. Made by an implementation that shares
 * nothing with ours and gives SHA3-256 of FIPS 202 for the same inputs when it pads with 0x06. */
Test(keccak, around_the_rate)
{
    static const struct {
        size_t n;
        const char *hex;
    } row[] = {
        {1, "69c322e3248a5dfc29d73c5b0553b0185a35cd5bb6386747517ef7e53b15e287"},
        {135, "00ef96af9cf4b24c7f269d922294444a197d0a33638c2e56634c57e892103a8f"},
        {136, "742061bcad767ed4c4f5883b1dcb1aad11afdcc140dc469d953759b127b9f9ed"},
        {137, "e3371f61e770abf254c34239c3b0099ad90594507415bc81dd0a10b9692bbf2a"},
        {271, "4401c4afbe16ff911bdbf2d38e556e5b861f3fdf0f9d4306b1c46f6ae4f73584"},
        {272, "ac141fd7b0a0ffcd2e967254d508da3ec616596493c36fa304425647d90e6de5"},
        {300, "fa75f2293be9f9a14dcdeeff53f7b91ff6a2b1331b13886e69077ab1cf8252a9"},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        uint8_t *m = malloc(row[i].n); /* exact size: a read beyond it is seen */
        cr_assert_not_null(m);
        for (size_t k = 0; k < row[i].n; k++)
            m[k] = (uint8_t)(k * 7 + 3);
        assert_digest(cn_keccak256(m, row[i].n), row[i].hex);
        free(m);
    }
}

Test(digest, compares_bytes)
{
    cn_digest a = kit_fill(1), b = kit_fill(1);
    cr_assert(cn_digest_eq(&a, &b));
    b.b[31] = 2;
    cr_assert(!cn_digest_eq(&a, &b));
    cr_assert_lt(cn_digest_cmp(&a, &b), 0);
    b.b[0] = 0;
    cr_assert_gt(cn_digest_cmp(&a, &b), 0);
    cr_assert(cn_digest_is_zero(&cn_digest_zero));
    cr_assert(!cn_digest_is_zero(&a));
}
