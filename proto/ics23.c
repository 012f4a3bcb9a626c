#include "proto/ics23.h"

#include <string.h>

static size_t put_uvarint(uint8_t *out, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

cn_digest cn_state_leaf_hash(const cn_state_key *key, const void *value, size_t value_len)
{
    uint8_t head[1 + 10 + CN_STATE_KEY_LEN + 1];
    size_t n = 0;
    head[n++] = 0x00;
    n += put_uvarint(head + n, CN_STATE_KEY_LEN);
    memcpy(head + n, key->b, CN_STATE_KEY_LEN);
    n += CN_STATE_KEY_LEN;
    head[n++] = CN_DIGEST_LEN; /* uvarint of the length of the prehashed value */
    cn_digest prehash = cn_sha256(value, value_len);
    cn_span spans[] = {CN_SPAN(head, n), CN_SPAN_DIGEST(&prehash)};
    return cn_sha256v(spans, 2);
}

static cn_digest existence_root(const cn_ics23_existence *proof)
{
    cn_digest node = cn_state_leaf_hash(&proof->key, proof->value, proof->value_len);
    for (size_t i = 0; i < proof->depth; i++) {
        const cn_ics23_step *step = &proof->step[i];
        node = step->is_left ? cn_node_hash(&node, &step->sibling) : cn_node_hash(&step->sibling, &node);
    }
    return node;
}

static bool proves(const cn_ics23_existence *proof, const cn_digest *root)
{
    if (proof->value_len == 0 || proof->value_len > CN_STATE_VALUE_MAX || proof->depth > CN_ICS23_MAX_DEPTH)
        return false;
    cn_digest computed = existence_root(proof);
    return cn_digest_eq(&computed, root);
}

bool cn_ics23_verify_existence(const cn_ics23_existence *proof, const cn_digest *root, const cn_state_key *key,
                               const void *value, size_t value_len)
{
    return memcmp(proof->key.b, key->b, CN_STATE_KEY_LEN) == 0 && proof->value_len == value_len &&
           memcmp(proof->value, value, value_len) == 0 && proves(proof, root);
}

static bool same_step(const cn_ics23_step *a, const cn_ics23_step *b)
{
    return a->is_left == b->is_left && cn_digest_eq(&a->sibling, &b->sibling);
}

/* The lowest `depth` steps are all on the given side: the leaf is the first (or last) of that subtree. */
static bool all_on_side(const cn_ics23_existence *proof, size_t depth, bool is_left)
{
    for (size_t i = 0; i < depth; i++)
        if (proof->step[i].is_left != is_left)
            return false;
    return true;
}

/* No leaf lies between the two: below the node where their paths part, left is the last leaf and right the first. */
static bool adjacent(const cn_ics23_existence *left, const cn_ics23_existence *right)
{
    size_t l = left->depth, r = right->depth;
    while (l > 0 && r > 0 && same_step(&left->step[l - 1], &right->step[r - 1])) {
        l--;
        r--;
    }
    return l > 0 && r > 0 && left->step[l - 1].is_left && !right->step[r - 1].is_left &&
           all_on_side(left, l - 1, false) && all_on_side(right, r - 1, true);
}

bool cn_ics23_verify_absence(const cn_ics23_absence *proof, const cn_digest *root, const cn_state_key *key)
{
    if (memcmp(proof->key.b, key->b, CN_STATE_KEY_LEN) != 0 || (!proof->has_left && !proof->has_right))
        return false;
    if (proof->has_left && (memcmp(proof->left.key.b, key->b, CN_STATE_KEY_LEN) >= 0 || !proves(&proof->left, root)))
        return false;
    if (proof->has_right && (memcmp(proof->right.key.b, key->b, CN_STATE_KEY_LEN) <= 0 || !proves(&proof->right, root)))
        return false;
    if (!proof->has_left)
        return all_on_side(&proof->right, proof->right.depth, true);
    if (!proof->has_right)
        return all_on_side(&proof->left, proof->left.depth, false);
    return adjacent(&proof->left, &proof->right);
}
