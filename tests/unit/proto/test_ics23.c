/* ICS-23 proofs over maps built by definition: a sorted list of leaves, split at the first differing bit. */
#include "kit.h"
#include "proto/ics23.h"

#include <stdlib.h>
#include <string.h>

typedef struct leaf {
    cn_state_key key;
    uint8_t value[24];
    size_t len;
} leaf;

typedef struct tree {
    size_t n;
    leaf leaf[40];
} tree;

static int by_key(const void *a, const void *b)
{
    return memcmp(((const leaf *)a)->key.b, ((const leaf *)b)->key.b, CN_STATE_KEY_LEN);
}

static unsigned bit_of(const leaf *l, unsigned i)
{
    return l->key.b[i / 8] >> (7 - i % 8) & 1;
}

static size_t split_of(const leaf *l, size_t n, unsigned *from)
{
    while (bit_of(&l[0], *from) == bit_of(&l[n - 1], *from))
        ++*from;
    size_t k = 0;
    while (bit_of(&l[k], *from) == 0)
        k++;
    ++*from;
    return k;
}

static cn_digest root_of(const leaf *l, size_t n, unsigned from)
{
    if (n == 1)
        return cn_state_leaf_hash(&l->key, l->value, l->len);
    size_t k = split_of(l, n, &from);
    cn_digest left = root_of(l, k, from), right = root_of(l + k, n - k, from);
    return cn_node_hash(&left, &right);
}

static void prove_into(const leaf *l, size_t n, unsigned from, size_t at, cn_ics23_existence *ret)
{
    if (n == 1)
        return;
    size_t k = split_of(l, n, &from);
    cn_ics23_step step = {.is_left = at < k};
    if (at < k) {
        prove_into(l, k, from, at, ret);
        step.sibling = root_of(l + k, n - k, from);
    } else {
        prove_into(l + k, n - k, from, at - k, ret);
        step.sibling = root_of(l, k, from);
    }
    ret->step[ret->depth++] = step;
}

static void prove(const tree *t, size_t at, cn_ics23_existence *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->key = t->leaf[at].key;
    ret->value_len = t->leaf[at].len;
    memcpy(ret->value, t->leaf[at].value, ret->value_len);
    prove_into(t->leaf, t->n, 0, at, ret);
}

static void make_tree(tree *t, size_t n, uint64_t seed)
{
    memset(t, 0, sizeof *t);
    t->n = n;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < CN_STATE_KEY_LEN; k++)
            t->leaf[i].key.b[k] = (uint8_t)kit_random(&seed);
        if (kit_random(&seed) % 2) /* neighbours that part late */
            memset(t->leaf[i].key.b, 0x80, 31);
        t->leaf[i].len = 1 + kit_random(&seed) % 24;
        memset(t->leaf[i].value, (int)(i + 1), t->leaf[i].len);
    }
    qsort(t->leaf, n, sizeof t->leaf[0], by_key);
}

static cn_ics23_existence *new_existence(void)
{
    cn_ics23_existence *p = calloc(1, sizeof *p);
    cr_assert_not_null(p);
    return p;
}

static cn_ics23_absence *new_absence(void)
{
    cn_ics23_absence *p = calloc(1, sizeof *p);
    cr_assert_not_null(p);
    return p;
}

/* The spec written out: SHA256(0x00 | uvarint(33) | key | uvarint(32) | SHA256(value)). */
Test(ics23, leaf_hash)
{
    cn_state_key key;
    uint8_t by_hand[1 + 1 + 33 + 1 + 32] = {0x00, 33};
    memset(key.b, 0x4b, sizeof key.b);
    memcpy(by_hand + 2, key.b, 33);
    by_hand[35] = 32;
    cn_digest prehash = cn_sha256("value", 5);
    memcpy(by_hand + 36, prehash.b, 32);
    cn_digest a = cn_state_leaf_hash(&key, "value", 5), b = cn_sha256(by_hand, sizeof by_hand);
    cr_assert(cn_digest_eq(&a, &b));
}

Test(existence, every_leaf_of_many_maps)
{
    cn_ics23_existence *p = new_existence(), *back = new_existence();
    for (size_t n = 1; n <= 40; n++) {
        tree t;
        make_tree(&t, n, n);
        cn_digest root = root_of(t.leaf, n, 0);
        for (size_t i = 0; i < n; i++) {
            const leaf *l = &t.leaf[i];
            prove(&t, i, p);
            cr_assert(cn_ics23_verify_existence(p, &root, &l->key, l->value, l->len));
            cr_assert(!cn_ics23_verify_existence(p, &root, &l->key, l->value, l->len - 1));
            cr_assert(!cn_ics23_verify_existence(p, &root, &t.leaf[(i + 1) % n].key, l->value, l->len) || n == 1);
            cn_buf b;
            cn_buf_init(&b, 1 << 16);
            cr_assert_eq(cn_ics23_encode_existence(p, &b), CN_OK);
            cr_assert_eq(cn_ics23_decode_existence(b.p, b.n, back, NULL), CN_OK);
            cr_assert_arr_eq(back, p, sizeof *p);
            cn_buf_free(&b);
        }
    }
    free(p);
    free(back);
}

Test(existence, refuses_a_value_or_depth_beyond_the_limits)
{
    cn_ics23_existence *p = new_existence();
    tree t;
    make_tree(&t, 5, 3);
    cn_digest root = root_of(t.leaf, 5, 0);
    prove(&t, 2, p);
    p->depth = CN_ICS23_MAX_DEPTH + 1;
    cr_assert(!cn_ics23_verify_existence(p, &root, &p->key, t.leaf[2].value, t.leaf[2].len));
    prove(&t, 2, p);
    p->value_len = 0;
    cr_assert(!cn_ics23_verify_existence(p, &root, &p->key, "", 0));
    p->depth = 0;
    cn_digest alone = cn_state_leaf_hash(&p->key, "", 0);
    cr_assert(!cn_ics23_verify_existence(p, &alone, &p->key, "", 0), "values are never empty");
    free(p);
}

/* Bytes written down from the .proto of cosmos.ics23.v1, not by our encoder. */
Test(existence, the_bytes_are_those_of_the_published_messages)
{
    cn_ics23_existence *p = new_existence();
    memset(p->key.b, 0x4b, sizeof p->key.b);
    memcpy(p->value, "v", 1);
    p->value_len = 1;
    p->depth = 2;
    p->step[0] = (cn_ics23_step){true, kit_fill(0xaa)};
    p->step[1] = (cn_ics23_step){false, kit_fill(0xbb)};
    uint8_t expected[200];
    size_t n = 0;
    /* 35 of key, 3 of value, 11 of leaf, 41 and 39 of the steps: 129 bytes, the varint 0x81 0x01 */
    static const uint8_t head[] = {0x0a, 0x81, 0x01, 0x0a, 33};
    static const uint8_t after_key[] = {0x12, 1, 'v', 0x1a, 9, 0x08, 1, 0x18, 1, 0x20, 1, 0x2a, 1, 0x00};
    static const uint8_t left[] = {0x22, 39, 0x08, 1, 0x12, 1, 0x01, 0x1a, 32};
    static const uint8_t right[] = {0x22, 37, 0x08, 1, 0x12, 33, 0x01};
#define APPEND(from, len) (memcpy(expected + n, from, len), n += (len))
    APPEND(head, sizeof head);
    APPEND(p->key.b, 33);
    APPEND(after_key, sizeof after_key);
    APPEND(left, sizeof left);
    APPEND(p->step[0].sibling.b, 32);
    APPEND(right, sizeof right);
    APPEND(p->step[1].sibling.b, 32);
#undef APPEND
    cn_buf b;
    cn_buf_init(&b, 1000);
    cr_assert_eq(cn_ics23_encode_existence(p, &b), CN_OK);
    cr_assert_eq(b.n, n);
    cr_assert_arr_eq(b.p, expected, n);
    cn_buf_free(&b);
    free(p);
}

static void flip_every_bit(cn_buf *b, bool (*good)(const cn_buf *, const void *), const void *context)
{
    cr_assert(good(b, context));
    for (size_t i = 0; i < 8 * b->n; i++) {
        b->p[i / 8] ^= (uint8_t)(1u << i % 8);
        cr_assert(!good(b, context), "bit %zu of byte %zu", i % 8, i / 8);
        b->p[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t cut = 0; cut < b->n; cut++) {
        cn_buf shorter = {.p = b->p, .n = cut};
        cr_assert(!good(&shorter, context), "%zu of %zu bytes", cut, b->n);
    }
    cn_put_u8(b, 0);
    cr_assert(!good(b, context));
}

typedef struct claim {
    cn_digest root;
    cn_state_key key;
    const leaf *leaf;
} claim;

static bool good_existence(const cn_buf *b, const void *context)
{
    const claim *c = context;
    cn_ics23_existence *p = new_existence();
    bool ok = cn_ics23_decode_existence(b->p, b->n, p, NULL) == CN_OK &&
              cn_ics23_verify_existence(p, &c->root, &c->key, c->leaf->value, c->leaf->len);
    free(p);
    return ok;
}

Test(existence, no_flipped_bit_is_accepted)
{
    cn_ics23_existence *p = new_existence();
    tree t;
    make_tree(&t, 9, 21);
    prove(&t, 4, p);
    claim c = {root_of(t.leaf, 9, 0), p->key, &t.leaf[4]};
    cn_buf b;
    cn_buf_init(&b, 1 << 16);
    cn_ics23_encode_existence(p, &b);
    flip_every_bit(&b, good_existence, &c);
    cn_buf_free(&b);
    free(p);
}

/* The 5-byte suffix that lax verifiers take, a suffix on the right child, and other shapes of the same content. */
Test(existence, refuses_other_shapes)
{
    static const struct {
        const char *why, *inner;
    } row[] = {
        {"short suffix", "08011201011a05aabbccddee"},
        {"no suffix", "0801120101"},
        {"empty suffix", "08011201011a00"},
        {"prefix 00", "08011201001a20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"hash 2", "08021201011a20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"no hash", "1201011a20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"fields swapped", "1201010801"
                           "1a20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"a right child with an empty suffix",
         "0801122101aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1a00"},
        {"33 bytes of suffix", "08011201011a21aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"a non-minimal hash", "0881001201011a20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    };
    cn_ics23_existence *p = new_existence();
    for (size_t i = 0; i <= sizeof row / sizeof row[0]; i++) {
        bool control = i == sizeof row / sizeof row[0];
        kit_bytes inner = kit_unhex(
            control ? "08011201011a20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" : row[i].inner);
        kit_bytes leaf_op = kit_unhex("1a09080118012001"
                                      "2a0100");
        cn_buf body, b;
        cn_state_key key = {{0x4b}};
        cn_buf_init(&body, 1000);
        cn_buf_init(&b, 1000);
        cn_put_bytes(&body, "\x0a\x21", 2);
        cn_put_bytes(&body, key.b, 33);
        cn_put_bytes(&body, "\x12\x01v", 3);
        cn_put_bytes(&body, leaf_op.p, leaf_op.n);
        cn_put_u8(&body, 0x22);
        cn_put_u8(&body, (uint8_t)inner.n);
        cn_put_bytes(&body, inner.p, inner.n);
        cr_assert_lt(body.n, 128);
        cn_put_u8(&b, 0x0a);
        cn_put_u8(&b, (uint8_t)body.n);
        cn_put_bytes(&b, body.p, body.n);
        cn_err err = {0};
        cn_status st = cn_ics23_decode_existence(b.p, b.n, p, &err);
        cr_assert_eq(st, control ? CN_OK : CN_NOT_CANONICAL, "%s", control ? "the control" : row[i].why);
        cn_buf_free(&body);
        cn_buf_free(&b);
    }
    free(p);
}

/* The outer length in more bytes than it needs: 0x80 | low, 0x80 | high, 0. */
Test(existence, refuses_a_length_that_is_not_minimal)
{
    cn_ics23_existence *p = new_existence();
    tree t;
    cn_buf b, longer;
    make_tree(&t, 9, 21);
    prove(&t, 4, p);
    cn_buf_init(&b, 1 << 16);
    cn_buf_init(&longer, 1 << 16);
    cn_ics23_encode_existence(p, &b);
    cr_assert((b.p[1] & 0x80) && !(b.p[2] & 0x80), "a length of two bytes");
    cn_put_bytes(&longer, b.p, 2);
    cn_put_u8(&longer, b.p[2] | 0x80);
    cn_put_u8(&longer, 0);
    cn_put_bytes(&longer, b.p + 3, b.n - 3);
    cr_assert_eq(cn_ics23_decode_existence(b.p, b.n, p, NULL), CN_OK);
    cr_assert_eq(cn_ics23_decode_existence(longer.p, longer.n, p, NULL), CN_NOT_CANONICAL);
    cn_buf_free(&b);
    cn_buf_free(&longer);
    free(p);
}

/* ---- absence ---- */

/* A key just above (or below) the leaf's. */
static cn_state_key next_to(const leaf *l, int delta)
{
    cn_state_key key = l->key;
    for (int i = CN_STATE_KEY_LEN - 1; i >= 0; i--) {
        key.b[i] = (uint8_t)(key.b[i] + delta);
        if (key.b[i] != (delta > 0 ? 0 : 0xff))
            break;
    }
    return key;
}

static bool good_absence(const cn_buf *b, const void *context)
{
    const claim *c = context;
    cn_ics23_absence *p = new_absence();
    bool ok = cn_ics23_decode_absence(b->p, b->n, p, NULL) == CN_OK && cn_ics23_verify_absence(p, &c->root, &c->key);
    free(p);
    return ok;
}

static void check_gap(const tree *t, const cn_digest *root, size_t at, cn_ics23_absence *p)
{
    /* the gap before leaf `at`; at == n is the gap behind the last one */
    memset(p, 0, sizeof *p);
    p->key = at < t->n ? next_to(&t->leaf[at], -1) : next_to(&t->leaf[at - 1], 1);
    p->has_left = at > 0;
    p->has_right = at < t->n;
    if (at > 0)
        prove(t, at - 1, &p->left);
    if (at < t->n)
        prove(t, at, &p->right);
    cr_assert(cn_ics23_verify_absence(p, root, &p->key), "n %zu, gap %zu", t->n, at);
    cn_buf b;
    claim c = {*root, p->key, NULL};
    cn_buf_init(&b, 1 << 17);
    cr_assert_eq(cn_ics23_encode_absence(p, &b), CN_OK);
    cr_assert(good_absence(&b, &c));
    c.key.b[0] ^= 1;
    cr_assert(!good_absence(&b, &c));
    cn_buf_free(&b);
}

Test(absence, every_gap_of_many_maps)
{
    cn_ics23_absence *p = new_absence();
    for (size_t n = 1; n <= 40; n++) {
        tree t;
        make_tree(&t, n, 100 + n);
        cn_digest root = root_of(t.leaf, n, 0);
        for (size_t at = 0; at <= n; at++)
            check_gap(&t, &root, at, p);
    }
    free(p);
}

/* Every pair of leaves that are no neighbours, and every lone leaf that is no end: refused, though each leaf is proved.
 */
Test(absence, neighbours_must_be_neighbours)
{
    cn_ics23_absence *p = new_absence();
    for (size_t n = 2; n <= 12; n++) {
        tree t;
        make_tree(&t, n, 300 + n);
        cn_digest root = root_of(t.leaf, n, 0);
        for (size_t i = 0; i < n; i++)
            for (size_t k = i + 1; k < n; k++) {
                memset(p, 0, sizeof *p);
                p->key = next_to(&t.leaf[i], 1);
                p->has_left = p->has_right = true;
                prove(&t, i, &p->left);
                prove(&t, k, &p->right);
                cr_assert_eq(cn_ics23_verify_absence(p, &root, &p->key), k == i + 1, "%zu: %zu and %zu", n, i, k);
                p->has_right = false;
                cr_assert(!cn_ics23_verify_absence(p, &root, &p->key), "%zu is not the last", i);
                p->has_left = false;
                p->has_right = true;
                p->key = next_to(&t.leaf[k], -1);
                cr_assert(!cn_ics23_verify_absence(p, &root, &p->key), "%zu is not the first", k);
            }
    }
    free(p);
}

Test(absence, the_key_lies_between)
{
    cn_ics23_absence *p = new_absence();
    tree t;
    make_tree(&t, 8, 77);
    cn_digest root = root_of(t.leaf, 8, 0);
    p->has_left = p->has_right = true;
    prove(&t, 3, &p->left);
    prove(&t, 4, &p->right);
    for (size_t i = 0; i < 8; i++) { /* a key that is there, or lies elsewhere */
        p->key = t.leaf[i].key;
        cr_assert(!cn_ics23_verify_absence(p, &root, &p->key));
    }
    p->key = next_to(&t.leaf[3], -1);
    cr_assert(!cn_ics23_verify_absence(p, &root, &p->key));
    p->key = next_to(&t.leaf[4], 1);
    cr_assert(!cn_ics23_verify_absence(p, &root, &p->key));
    p->key = next_to(&t.leaf[3], 1);
    cr_assert(cn_ics23_verify_absence(p, &root, &p->key));
    cn_digest other = kit_fill(1);
    cr_assert(!cn_ics23_verify_absence(p, &other, &p->key));
    cn_ics23_existence *kept = new_existence();
    *kept = p->left;
    p->left = p->right;
    p->right = *kept;
    cr_assert(!cn_ics23_verify_absence(p, &root, &p->key), "the two exchanged");
    p->has_left = p->has_right = false;
    cr_assert(!cn_ics23_verify_absence(p, &root, &p->key), "no neighbour at all");
    free(kept);
    free(p);
}

Test(absence, no_flipped_bit_is_accepted)
{
    cn_ics23_absence *p = new_absence();
    tree t;
    make_tree(&t, 6, 5);
    claim c = {root_of(t.leaf, 6, 0), next_to(&t.leaf[2], 1), NULL};
    cn_buf b;
    p->key = c.key;
    p->has_left = p->has_right = true;
    prove(&t, 2, &p->left);
    prove(&t, 3, &p->right);
    cn_buf_init(&b, 1 << 17);
    cn_ics23_encode_absence(p, &b);
    flip_every_bit(&b, good_absence, &c);
    cn_buf_free(&b);
    free(p);
}

Test(decode, random_bytes_and_edits_do_no_harm)
{
    cn_ics23_absence *p = new_absence();
    cn_ics23_existence *e = new_existence();
    tree t;
    uint64_t seed = 9;
    make_tree(&t, 20, 6);
    p->key = next_to(&t.leaf[7], 1);
    p->has_left = p->has_right = true;
    prove(&t, 7, &p->left);
    prove(&t, 8, &p->right);
    cn_buf b;
    cn_buf_init(&b, 1 << 17);
    cn_ics23_encode_absence(p, &b);
    for (int round = 0; round < 20000; round++) {
        size_t n = kit_random(&seed) % 2 ? b.n : kit_random(&seed) % b.n;
        uint8_t *copy = malloc(n + 1);
        cr_assert_not_null(copy);
        memcpy(copy, b.p, n);
        for (uint64_t k = kit_random(&seed) % 6; k > 0 && n; k--)
            copy[kit_random(&seed) % n] = (uint8_t)kit_random(&seed);
        if (cn_ics23_decode_absence(copy, n, p, NULL) == CN_OK) { /* what is accepted has one form */
            cn_buf again;
            cn_buf_init(&again, 1 << 17);
            cr_assert_eq(cn_ics23_encode_absence(p, &again), CN_OK);
            cr_assert_eq(again.n, n);
            cr_assert_arr_eq(again.p, copy, n);
            cn_buf_free(&again);
        }
        copy[0] = 0x0a;
        cn_ics23_decode_existence(copy, n, e, NULL);
        free(copy);
    }
    cn_buf_free(&b);
    free(p);
    free(e);
}
