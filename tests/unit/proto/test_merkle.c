/* RFC 9162 trees: the published 8-leaf vectors, and every tree up to 64 leaves against the RFC's recursive text. */
#include "kit.h"
#include "proto/merkle.h"

#include <string.h>

#define MOST 64

static cn_digest leaves[MOST], roots[MOST + 1];

static void make_leaves(void)
{
    for (size_t i = 0; i < MOST; i++) {
        uint8_t data[2] = {(uint8_t)i, 0xa5};
        leaves[i] = cn_leaf_hash(data, sizeof data);
    }
}

/* ---- RFC 9162 2.1.1, 2.1.3.1 and 2.1.4.1 as they are written: recursive, with their own split ---- */

static size_t below(size_t n)
{
    size_t k = 1;
    while (k * 2 < n)
        k *= 2;
    return k;
}

static cn_digest mth(const cn_digest *d, size_t n)
{
    if (n == 0)
        return cn_sha256("", 0);
    if (n == 1)
        return d[0];
    size_t k = below(n);
    cn_digest left = mth(d, k), right = mth(d + k, n - k);
    uint8_t bytes[65] = {1};
    memcpy(bytes + 1, left.b, 32);
    memcpy(bytes + 33, right.b, 32);
    return cn_sha256(bytes, sizeof bytes);
}

static size_t path(size_t m, const cn_digest *d, size_t n, cn_digest *out)
{
    if (n == 1)
        return 0;
    size_t k = below(n), len = m < k ? path(m, d, k, out) : path(m - k, d + k, n - k, out);
    out[len] = m < k ? mth(d + k, n - k) : mth(d, k);
    return len + 1;
}

static size_t subproof(size_t m, const cn_digest *d, size_t n, bool whole, cn_digest *out)
{
    if (m == n) {
        if (!whole)
            out[0] = mth(d, n);
        return whole ? 0 : 1;
    }
    size_t k = below(n), len;
    if (m <= k) {
        len = subproof(m, d, k, whole, out);
        out[len] = mth(d + k, n - k);
    } else {
        len = subproof(m - k, d + k, n - k, false, out);
        out[len] = mth(d, k);
    }
    return len + 1;
}

/* ---- published ---- */

/* The reference tree of Certificate Transparency (merkletree tests of certificate-transparency and of
 * transparency-dev). */
static const char *const ct_leaf[8] = {
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"};
static const char *const ct_root[9] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};
#define CT_01_23 "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
#define CT_4567 "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
#define CT_67 "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"

static void ct_leaves(cn_digest d[8])
{
    for (size_t i = 0; i < 8; i++) {
        kit_bytes b = kit_unhex(ct_leaf[i]);
        d[i] = cn_leaf_hash(b.p, b.n);
    }
}

static void assert_path(const cn_digest *got, size_t len, const char *const *hex, size_t count)
{
    cr_assert_eq(len, count);
    for (size_t i = 0; i < len; i++)
        cr_assert_str_eq(cn_digest_hex(&got[i]).s, hex[i]);
}

Test(merkle, certificate_transparency_roots)
{
    cn_digest d[8];
    ct_leaves(d);
    for (size_t n = 0; n <= 8; n++) {
        cn_digest root = cn_merkle_root(d, n);
        cr_assert_str_eq(cn_digest_hex(&root).s, ct_root[n]);
    }
    cn_digest empty = cn_empty_root();
    cr_assert_str_eq(cn_digest_hex(&empty).s, ct_root[0]);
}

Test(merkle, certificate_transparency_paths)
{
    cn_digest d[8], p[CN_PROOF_MAX];
    ct_leaves(d);
    const char *const first_of_8[] = {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7", CT_01_23,
                                      CT_4567};
    assert_path(p, cn_merkle_path(d, 8, 0, p), first_of_8, 3);
    const char *const sixth_of_8[] = {"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b", CT_67,
                                      ct_root[4]};
    assert_path(p, cn_merkle_path(d, 8, 5, p), sixth_of_8, 3);
    assert_path(p, cn_merkle_path(d, 3, 2, p), &ct_root[2], 1);
    const char *const second_of_5[] = {ct_root[1], CT_01_23,
                                       "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"};
    assert_path(p, cn_merkle_path(d, 5, 1, p), second_of_5, 3);
}

/* The hashes that a consistency plan names, computed from the leaves. */
static size_t consistency(const cn_digest *d, size_t m, size_t n, cn_digest out[CN_PROOF_MAX + 1])
{
    cn_subtree plan[CN_PROOF_MAX + 1];
    size_t len = cn_consistency_plan(m, n, plan);
    for (size_t i = 0; i < len; i++)
        out[i] = cn_merkle_root(d + plan[i].first, (size_t)(plan[i].end - plan[i].first));
    return len;
}

Test(merkle, certificate_transparency_consistency)
{
    cn_digest d[8], p[CN_PROOF_MAX + 1];
    ct_leaves(d);
    const char *const one_to_8[] = {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7", CT_01_23,
                                    CT_4567};
    assert_path(p, consistency(d, 1, 8, p), one_to_8, 3);
    const char *const six_to_8[] = {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a", CT_67,
                                    ct_root[4]};
    assert_path(p, consistency(d, 6, 8, p), six_to_8, 3);
    const char *const two_to_5[] = {CT_01_23, "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"};
    assert_path(p, consistency(d, 2, 5, p), two_to_5, 2);
}

/* ---- exhaustive ---- */

Test(merkle, frontier_and_root_equal_the_definition)
{
    cn_frontier f;
    make_leaves();
    cn_frontier_init(&f);
    for (size_t n = 0; n <= MOST; n++) {
        cn_digest expected = mth(leaves, n), root = cn_merkle_root(leaves, n), grown = cn_frontier_root(&f);
        cr_assert(cn_digest_eq(&expected, &root));
        cr_assert(cn_digest_eq(&expected, &grown));
        cr_assert_eq(f.size, n);
        if (n < MOST)
            cn_frontier_append(&f, &leaves[n]);
    }
}

Test(merkle, every_inclusion_path_is_the_definitions_and_verifies)
{
    make_leaves();
    for (size_t n = 1; n <= MOST; n++) {
        cn_digest root = mth(leaves, n);
        for (size_t m = 0; m < n; m++) {
            cn_digest expected[CN_PROOF_MAX + 1], got[CN_PROOF_MAX];
            size_t len = path(m, leaves, n, expected);
            cr_assert_eq(cn_merkle_path(leaves, n, m, got), len);
            cr_assert_arr_eq(got, expected, len * sizeof got[0]);
            cr_assert(cn_verify_inclusion(&leaves[m], m, n, got, len, &root));
            expected[len] = root;
            cr_assert(!cn_verify_inclusion(&leaves[m], m, n, expected, len + 1, &root), "one more");
            if (len)
                cr_assert(!cn_verify_inclusion(&leaves[m], m, n, got, len - 1, &root), "one less");
            for (size_t i = 0; i < len; i++) {
                got[i].b[i % 32] ^= 1;
                cr_assert(!cn_verify_inclusion(&leaves[m], m, n, got, len, &root), "step %zu altered", i);
                got[i].b[i % 32] ^= 1;
            }
            for (size_t other = 0; other < n; other++)
                cr_assert_eq(cn_verify_inclusion(&leaves[m], other, n, got, len, &root), other == m);
            cn_digest inner = cn_node_hash(&leaves[m], &leaves[m]);
            cr_assert(!cn_verify_inclusion(&inner, m, n, got, len, &root));
        }
        cr_assert(!cn_verify_inclusion(&leaves[0], n, n, NULL, 0, &root), "the index lies beyond");
    }
    cr_assert(!cn_verify_inclusion(&leaves[0], 0, 0, NULL, 0, &leaves[0]), "an empty tree holds nothing");
}

static void check_consistency(size_t m, size_t n)
{
    cn_digest expected[CN_PROOF_MAX + 2], got[CN_PROOF_MAX + 1], root1 = roots[m], root2 = roots[n];
    size_t len = subproof(m, leaves, n, true, expected);
    cr_assert_eq(consistency(leaves, m, n, got), len);
    cr_assert_arr_eq(got, expected, len * sizeof got[0]);
    cr_assert(cn_verify_consistency(m, &root1, n, &root2, got, len));
    expected[len] = root2;
    cr_assert(!cn_verify_consistency(m, &root1, n, &root2, expected, len + 1), "one more");
    if (len)
        cr_assert(!cn_verify_consistency(m, &root1, n, &root2, got, len - 1), "one less");
    cn_digest wrong = root1;
    wrong.b[0] ^= 1;
    cr_assert(!cn_verify_consistency(m, &wrong, n, &root2, got, len));
    wrong = root2;
    wrong.b[31] ^= 0x80;
    cr_assert(!cn_verify_consistency(m, &root1, n, &wrong, got, len));
    for (size_t i = 0; i < len; i++) {
        got[i].b[i % 32] ^= 1;
        cr_assert(!cn_verify_consistency(m, &root1, n, &root2, got, len), "%zu to %zu, step %zu altered", m, n, i);
        got[i].b[i % 32] ^= 1;
    }
    for (size_t other = 1; other <= MOST; other++) {
        if (other != m && other != n)
            cr_assert(!cn_verify_consistency(other, &roots[other], n, &root2, got, len),
                      "the proof of %zu to %zu shows %zu", m, n, other);
    }
}

Test(merkle, every_consistency_proof_is_the_definitions_and_verifies)
{
    make_leaves();
    for (size_t n = 0; n <= MOST; n++)
        roots[n] = mth(leaves, n);
    for (size_t n = 1; n <= MOST; n++)
        for (size_t m = 1; m <= n; m++)
            check_consistency(m, n);
}

Test(merkle, consistency_refuses_an_empty_or_larger_first_tree)
{
    make_leaves();
    cn_digest one = mth(leaves, 1), two = mth(leaves, 2), empty = cn_empty_root();
    cr_assert(!cn_verify_consistency(0, &empty, 2, &two, NULL, 0));
    cr_assert(!cn_verify_consistency(2, &two, 1, &one, &leaves[1], 1));
    cr_assert(!cn_verify_consistency(2, &two, 2, &one, NULL, 0));
    cr_assert(!cn_verify_consistency(2, &two, 2, &two, &leaves[0], 1));
    cr_assert(!cn_verify_consistency(3, &two, 4, &two, NULL, 0));
}

/* Sizes near the limit of 64 bits: the plan alone, no leaves. */
Test(merkle, plans_of_huge_trees_cover_all_but_the_leaf)
{
    static const uint64_t sizes[] = {UINT64_MAX, (UINT64_C(1) << 63) + 1, UINT64_C(1) << 63, 1000000007};
    for (size_t k = 0; k < 4; k++) {
        uint64_t state = 5;
        for (int i = 0; i < 200; i++) {
            uint64_t index = kit_random(&state) % sizes[k], covered = 1;
            cn_subtree plan[CN_PROOF_MAX];
            size_t n = cn_inclusion_plan(index, sizes[k], plan);
            for (size_t s = 0; s < n; s++) {
                cr_assert(index < plan[s].first || index >= plan[s].end);
                cr_assert_lt(plan[s].first, plan[s].end);
                covered += plan[s].end - plan[s].first;
            }
            cr_assert_eq(covered, sizes[k]);
        }
    }
}

Test(frontier, bytes_both_ways_and_every_shortened_form_is_refused)
{
    cn_frontier f, back;
    cn_buf b;
    make_leaves();
    cn_frontier_init(&f);
    for (size_t n = 0; n <= MOST; n++) {
        cn_buf_init(&b, 8 + 64 * 32);
        cn_frontier_write(&f, &b);
        cr_assert(!b.fault);
        cr_assert_eq(b.n, 8 + 32 * cn_frontier_count(&f));
        for (size_t cut = 0; cut < b.n; cut++) {
            cn_reader r = cn_reader_of(b.p, cut);
            cr_assert(!cn_frontier_read(&r, &back), "%zu of %zu bytes", cut, b.n);
        }
        cn_reader r = cn_reader_of(b.p, b.n);
        cr_assert(cn_frontier_read(&r, &back));
        cr_assert(cn_reader_done(&r));
        cn_digest a = cn_frontier_root(&f), c = cn_frontier_root(&back);
        cr_assert(cn_digest_eq(&a, &c));
        cn_buf_free(&b);
        if (n < MOST)
            cn_frontier_append(&f, &leaves[n]);
    }
}
