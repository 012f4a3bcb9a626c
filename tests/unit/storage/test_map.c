/* The map against a definition that shares nothing with it: sorted keys, split at the first differing bit. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

typedef struct pair {
    cn_state_key key;
    uint8_t value[8];
} pair;

static int by_key(const void *a, const void *b)
{
    return memcmp(((const pair *)a)->key.b, ((const pair *)b)->key.b, CN_STATE_KEY_LEN);
}

static int bit(const cn_state_key *k, unsigned i)
{
    return k->b[i / 8] >> (7 - i % 8) & 1;
}

static cn_digest naive_sorted(const pair *p, size_t n, unsigned from)
{
    if (n == 1)
        return cn_state_leaf_hash(&p->key, p->value, sizeof p->value);
    while (bit(&p[0].key, from) == bit(&p[n - 1].key, from))
        from++;
    size_t split = 0;
    while (bit(&p[split].key, from) == 0)
        split++;
    cn_digest left = naive_sorted(p, split, from + 1), right = naive_sorted(p + split, n - split, from + 1);
    return cn_node_hash(&left, &right);
}

static cn_digest naive(const pair *p, size_t n)
{
    pair *copy = malloc(n * sizeof *copy);
    cr_assert_not_null(copy);
    memcpy(copy, p, n * sizeof *copy);
    qsort(copy, n, sizeof *copy, by_key);
    cn_digest root = naive_sorted(copy, n, 0);
    free(copy);
    return root;
}

static void random_pair(fx *f, pair *p)
{
    uint64_t r[5];
    for (size_t i = 0; i < 5; i++)
        r[i] = fx_random(f);
    memcpy(p->key.b, r, CN_STATE_KEY_LEN);
    if (r[4] % 4 == 0) /* clusters with long common prefixes */
        memset(p->key.b, 0x55, 25);
    memcpy(p->value, &r[4], 8);
}

static cn_map *apply_all(cn_map *base, const pair *p, size_t n)
{
    cn_map_change *change = calloc(n, sizeof *change);
    cn_map *next = NULL;
    cr_assert_not_null(change);
    for (size_t i = 0; i < n; i++)
        change[i] = (cn_map_change){p[i].key, CN_SPAN(p[i].value, 8)};
    cr_assert_eq(cn_map_apply(base, change, n, &next, NULL), CN_OK);
    free(change);
    return next;
}

static void assert_root(const cn_map *map, const cn_digest *expected)
{
    cn_digest root = cn_map_root(map);
    cr_assert(cn_digest_eq(&root, expected));
}

static void shuffle(fx *f, pair *p, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = fx_random(f) % i;
        pair swap = p[i - 1];
        p[i - 1] = p[j];
        p[j] = swap;
    }
}

Test(map, empty)
{
    cn_map *map = cn_map_empty();
    cn_state_key key = {{1}};
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_ics23_existence *proof = malloc(sizeof *proof);
    cn_ics23_absence *absence = malloc(sizeof *absence);
    assert_root(map, &cn_digest_zero);
    cr_assert_eq(cn_map_get(map, &key, value, &n, NULL), CN_NOT_FOUND);
    cr_assert_eq(cn_map_prove(map, &key, proof, NULL), CN_NOT_FOUND);
    cr_assert_eq(cn_map_prove_absent(map, &key, absence, NULL), CN_NOT_FOUND);
    free(proof);
    free(absence);
    cn_map_unref(map);
}

Test(map, root_depends_on_content_only)
{
    fx f = {.random = 1};
    enum { N = 700 };
    pair p[N];
    for (size_t i = 0; i < N; i++)
        random_pair(&f, &p[i]);
    cn_digest expected = naive(p, N);
    for (int round = 0; round < 12; round++) {
        cn_map *map = cn_map_empty();
        shuffle(&f, p, N);
        for (size_t at = 0; at < N;) {
            size_t n = 1 + fx_random(&f) % 60;
            n = n < N - at ? n : N - at;
            cn_map *stale = NULL; /* some keys first hold another value */
            pair other = p[at];
            other.value[0] ^= 1;
            stale = apply_all(map, &other, 1);
            cn_map_unref(map);
            map = apply_all(stale, p + at, n);
            cn_map_unref(stale);
            at += n;
        }
        assert_root(map, &expected);
        cn_map_unref(map);
    }
}

Test(map, versions_do_not_change)
{
    fx f = {.random = 2};
    enum { N = 60 };
    pair p[N];
    cn_map *version[N + 1];
    version[0] = cn_map_empty();
    for (size_t i = 0; i < N; i++) {
        random_pair(&f, &p[i]);
        version[i + 1] = apply_all(version[i], &p[i], 1);
    }
    pair changed = p[0];
    changed.value[0] ^= 0xff;
    cn_map *fork = apply_all(version[N], &changed, 1);
    for (size_t i = 1; i <= N; i++) {
        cn_digest expected = naive(p, i);
        assert_root(version[i], &expected);
    }
    cn_digest last = naive(p, N), root = cn_map_root(fork);
    cr_assert(!cn_digest_eq(&root, &last));
    cn_map_unref(fork);
    for (size_t i = 0; i <= N; i++)
        cn_map_unref(version[i]);
}

Test(map, a_key_given_twice_takes_the_last_value)
{
    pair p[2] = {{.key = {{9}}, .value = "first"}, {.key = {{9}}, .value = "second"}};
    cn_map *empty = cn_map_empty(), *map = apply_all(empty, p, 2);
    cn_digest expected = naive(&p[1], 1);
    assert_root(map, &expected);
    cn_map_unref(map);
    cn_map_unref(empty);
}

static void check_proofs(fx *f, cn_map *map, const pair *p, size_t n)
{
    cn_ics23_existence *proof = malloc(sizeof *proof);
    cn_ics23_absence *absence = malloc(sizeof *absence);
    cn_digest root = cn_map_root(map);
    for (size_t i = 0; i < n; i++) {
        uint8_t value[CN_STATE_VALUE_MAX];
        size_t len = 0;
        cr_assert_eq(cn_map_get(map, &p[i].key, value, &len, NULL), CN_OK);
        cr_assert(len == 8 && memcmp(value, p[i].value, 8) == 0);
        cr_assert_eq(cn_map_prove(map, &p[i].key, proof, NULL), CN_OK);
        cr_assert(cn_ics23_verify_existence(proof, &root, &p[i].key, p[i].value, 8));
        cr_assert_eq(cn_map_prove_absent(map, &p[i].key, absence, NULL), CN_CONFLICT);
        cn_state_key absent = p[i].key;
        absent.b[fx_random(f) % CN_STATE_KEY_LEN] ^= (uint8_t)(1u << fx_random(f) % 8);
        if (cn_map_get(map, &absent, value, &len, NULL) == CN_OK)
            continue;
        cr_assert_eq(cn_map_prove(map, &absent, proof, NULL), CN_NOT_FOUND);
        cr_assert_eq(cn_map_prove_absent(map, &absent, absence, NULL), CN_OK);
        cr_assert(cn_ics23_verify_absence(absence, &root, &absent));
        cr_assert(!cn_ics23_verify_absence(absence, &root, &p[i].key));
    }
    free(proof);
    free(absence);
}

Test(map, proofs)
{
    fx f = {.random = 3};
    enum { N = 300 };
    pair p[N];
    for (size_t n = 1; n <= N; n = n < 5 ? n + 1 : n * 3) {
        cn_map *empty = cn_map_empty();
        for (size_t i = 0; i < n; i++)
            random_pair(&f, &p[i]);
        cn_map *map = apply_all(empty, p, n);
        check_proofs(&f, map, p, n);
        cn_map_unref(map);
        cn_map_unref(empty);
    }
}

/* Keys with a single bit set make a chain: the deepest tree there is. */
Test(map, deepest)
{
    fx f = {.random = 4};
    enum { N = 8 * CN_STATE_KEY_LEN };
    static pair p[N + 1];
    for (unsigned i = 0; i < N; i++)
        p[i].key.b[i / 8] = (uint8_t)(0x80u >> i % 8);
    cn_digest expected = naive(p, N + 1);
    shuffle(&f, p, N + 1);
    cn_map *empty = cn_map_empty(), *map = apply_all(empty, p, N + 1);
    assert_root(map, &expected);
    check_proofs(&f, map, p, N + 1);
    cn_map_unref(map);
    cn_map_unref(empty);
}

/* ---- through the store ---- */

typedef struct world {
    fx f;
    pair *p;
    size_t n;
} world;

static void begin_world(world *w, uint64_t seed, size_t capacity)
{
    char dir[64];
    fx_directory(dir);
    fx_begin(&w->f, dir, seed, true);
    fx_open(&w->f);
    w->p = malloc((capacity + FX_FILLERS) * sizeof *w->p);
    w->n = 0;
    cr_assert_not_null(w->p);
    /* same value length everywhere: the fillers of genesis take new values first */
    for (uint32_t i = 0; i < FX_FILLERS; i++) {
        w->p[w->n].key = cn_state_key_of(w->f.salt, CN_STATE_MEMBER, &i, sizeof i);
        memcpy(w->p[w->n++].value, "fillers", 8);
    }
}

static void commit_world(world *w, size_t fresh, size_t updates)
{
    size_t old = w->n, count = 0;
    cn_map_change *change = calloc(FX_FILLERS + fresh + updates, sizeof *change);
    cr_assert_not_null(change);
    for (size_t i = 0; i < updates; i++) {
        pair *p = &w->p[fx_random(&w->f) % old];
        p->value[1]++;
        change[count++] = (cn_map_change){p->key, CN_SPAN(p->value, 8)};
    }
    for (size_t i = 0; w->f.tip.height == 0 && i < FX_FILLERS; i++)
        change[count++] = (cn_map_change){w->p[i].key, CN_SPAN(w->p[i].value, 8)};
    for (size_t i = 0; i < fresh; i++) {
        random_pair(&w->f, &w->p[w->n]);
        w->p[w->n].key.b[0] |= 0x40; /* away from the types that the ledger uses */
        change[count++] = (cn_map_change){w->p[w->n].key, CN_SPAN(w->p[w->n].value, 8)};
        w->n++;
    }
    fx_commit(&w->f, fx_checkpoint(&w->f, change, count));
    free(change);
    cn_digest expected = naive(w->p, w->n);
    assert_root(w->f.map, &expected);
    cr_assert(cn_digest_eq(&w->f.tip.state_root, &expected));
}

static void end_world(world *w)
{
    char text[4096];
    cr_assert_eq(fx_fsck(&w->f, text, sizeof text), 0, "%s", text);
    fx_end(&w->f);
    fx_remove(w->f.dir);
    free(w->p);
}

static void check_snapshot(world *w)
{
    cn_snapshot *snap = NULL;
    cn_ics23_existence *proof = malloc(sizeof *proof);
    cn_ics23_absence *absence = malloc(sizeof *absence);
    cr_assert_eq(cn_snapshot_open(w->f.store, &snap, NULL), CN_OK);
    for (int i = 0; i < 40; i++) {
        const pair *p = &w->p[fx_random(&w->f) % w->n];
        cn_state_key absent = p->key;
        absent.b[32] ^= 0x10;
        cr_assert_eq(cn_snapshot_prove(snap, &p->key, proof, NULL), CN_OK);
        cr_assert(cn_ics23_verify_existence(proof, &w->f.tip.state_root, &p->key, p->value, 8));
        cn_status st = cn_snapshot_prove_absent(snap, &absent, absence, NULL);
        cr_assert(st == CN_CONFLICT || cn_ics23_verify_absence(absence, &w->f.tip.state_root, &absent));
    }
    cn_snapshot_close(snap);
    free(proof);
    free(absence);
}

Test(map, stored_versions_grow_through_all_shapes)
{
    world w;
    begin_world(&w, 5, 4000);
    for (int round = 0; round < 40; round++) {
        commit_world(&w, fx_random(&w.f) % 100, fx_random(&w.f) % 30);
        check_snapshot(&w);
        if (round % 4 == 1) { /* go on from disk alone */
            cn_map_unref(w.f.map);
            w.f.map = cn_store_map(w.f.store, NULL);
            cr_assert_not_null(w.f.map);
        }
        if (round % 8 == 3) {
            cn_store_close(w.f.store);
            w.f.store = NULL;
            cn_map *old = w.f.map;
            w.f.map = cn_map_empty(); /* versions die with their store */
            cn_map_unref(old);
            cr_assert_eq(cn_store_open(&w.f.options, &w.f.store, NULL), CN_OK);
            cn_map_unref(w.f.map);
            w.f.map = cn_store_map(w.f.store, NULL);
            cr_assert_not_null(w.f.map);
            cn_digest root = cn_map_root(w.f.map);
            cr_assert(cn_digest_eq(&root, &w.f.tip.state_root));
        }
    }
    end_world(&w);
}

/* More nodes than stay in memory: what was dropped must read back the same. */
Test(map, larger_than_the_cache)
{
    world w;
    begin_world(&w, 6, 50000);
    commit_world(&w, 45000, 0);
    for (int round = 0; round < 4; round++)
        commit_world(&w, 50, 500);
    check_snapshot(&w);
    end_world(&w);
}

/* A checkpoint that is built on one that is not committed yet. */
Test(map, versions_ahead_of_the_disk)
{
    world w;
    begin_world(&w, 7, 3000);
    commit_world(&w, 1000, 0);
    fx_block *ahead[3];
    cn_map_change change[3][50];
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 50; j++) {
            pair *p = &w.p[w.n++];
            random_pair(&w.f, p);
            p->key.b[0] |= 0x40;
            change[i][j] = (cn_map_change){p->key, CN_SPAN(p->value, 8)};
        }
        ahead[i] = fx_checkpoint(&w.f, change[i], 50);
    }
    for (size_t i = 0; i < 3; i++)
        fx_commit(&w.f, ahead[i]);
    cn_digest expected = naive(w.p, w.n);
    assert_root(w.f.map, &expected);
    commit_world(&w, 10, 100);
    end_world(&w);
}
