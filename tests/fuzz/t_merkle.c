/* RFC 9162 proofs: every true one verifies, and no other bytes do. */
#include "fuzz.h"

#include "proto/merkle.h"

enum { INCLUSION, CONSISTENCY, KINDS };
#define MAX_LEAVES 70u

/* input: kind | size | index or smaller size | edits (place u8 | xor u8)* on the proof, its length and its numbers */
void fuzz_seeds(void)
{
    static const uint8_t sizes[] = {1, 2, 3, 7, 8, 33, 64, 69};
    for (size_t i = 0; i < sizeof sizes; i++) {
        uint8_t in[6] = {INCLUSION, sizes[i], (uint8_t)(sizes[i] / 2), 0, 0, 0};
        char name[] = "inclusion-a";
        name[10] = (char)('a' + i);
        fuzz_seed(name, in, 3);
        in[0] = CONSISTENCY;
        char other[] = "consistency-a";
        other[12] = (char)('a' + i);
        fuzz_seed(other, in, 3);
    }
}

static const cn_digest *leaves(void)
{
    static cn_digest leaf[MAX_LEAVES];
    if (cn_digest_is_zero(&leaf[0]))
        for (uint32_t i = 0; i < MAX_LEAVES; i++)
            leaf[i] = cn_leaf_hash(&i, sizeof i);
    return leaf;
}

typedef struct proof {
    uint64_t a, b; /* index and size, or the two sizes */
    cn_digest path[CN_PROOF_MAX + 1];
    size_t len;
} proof;

/* Changes; true when the claim differs from the true one. */
static bool edit(proof *f, const uint8_t *p, size_t n)
{
    proof before = *f;
    for (size_t i = 0; i + 1 < n; i += 2) {
        if (p[i] == 255)
            f->len = p[i + 1] % (CN_PROOF_MAX + 1);
        else if (p[i] == 254)
            f->a ^= p[i + 1];
        else if (p[i] == 253)
            f->b ^= (uint64_t)p[i + 1] << 8 * (i % 8);
        else
            f->path[p[i] % CN_PROOF_MAX].b[i % CN_DIGEST_LEN] ^= p[i + 1];
    }
    return before.a != f->a || before.b != f->b || before.len != f->len ||
           memcmp(before.path, f->path, f->len * sizeof f->path[0]) != 0;
}

static void try_inclusion(uint8_t size, uint8_t index, const uint8_t *p, size_t n)
{
    static proof f;
    memset(&f, 0, sizeof f);
    f.a = index;
    f.b = size;
    f.len = cn_merkle_path(leaves(), size, index, f.path);
    cn_digest root = cn_merkle_root(leaves(), size);
    bool changed = edit(&f, p, n);
    bool holds = cn_verify_inclusion(&leaves()[index], f.a, f.b, f.path, f.len, &root);
    FUZZ_REQUIRE(changed || holds);
    /* another size can give a path of the same shape; the index and the hashes cannot be others */
    if (holds)
        FUZZ_REQUIRE(f.a < f.b && (f.b != size || !changed));
    FUZZ_PLANT(f.len > 20 && f.b != size);
}

static void try_consistency(uint8_t size, uint8_t smaller, const uint8_t *p, size_t n)
{
    static proof f;
    cn_subtree plan[CN_PROOF_MAX + 1];
    memset(&f, 0, sizeof f);
    f.a = smaller;
    f.b = size;
    f.len = cn_consistency_plan(smaller, size, plan);
    for (size_t i = 0; i < f.len; i++)
        f.path[i] = cn_merkle_root(leaves() + plan[i].first, (size_t)(plan[i].end - plan[i].first));
    cn_digest old = cn_merkle_root(leaves(), smaller), new = cn_merkle_root(leaves(), size);
    bool changed = edit(&f, p, n);
    bool holds = cn_verify_consistency(f.a, &old, f.b, &new, f.path, f.len);
    FUZZ_REQUIRE(changed || holds);
    if (holds && f.a == smaller && f.b == size)
        FUZZ_REQUIRE(!changed);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < 3)
        return 0;
    uint8_t size = (uint8_t)(1 + p[1] % (MAX_LEAVES - 1));
    if (p[0] % KINDS == INCLUSION)
        try_inclusion(size, p[2] % size, p + 3, n - 3);
    else
        try_consistency(size, (uint8_t)(1 + p[2] % size), p + 3, n - 3);
    return 0;
}
