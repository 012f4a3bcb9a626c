/* Crit-bit map with immutable versions.
 *
 * A node is a leaf, an inner node, or a stub: a subtree that is only on disk. Nodes are shared between versions by
 * reference counts. Replacing a stub by what it stands for changes no content, so it is done in place. Recursion is
 * bounded by the 264 bits of a key. */
#include "storage/map_internal.h"

#include "proto/bytes.h"

#include <stdlib.h>
#include <string.h>

#define KEY_BITS (8u * CN_STATE_KEY_LEN)

typedef enum node_kind { LEAF, INNER, STUB } node_kind;

typedef struct node {
    unsigned refs;
    uint8_t kind;
    bool on_disk; /* the same leaf or row is on disk */
    bool hashed;
    uint16_t bit;     /* inner: crit bit; stub: as in its descriptor */
    uint64_t count;   /* leaves below */
    uint64_t edit;    /* nodes made by the running apply may be changed in place */
    uint64_t touched; /* the newest apply that walked here */
    cn_digest hash;
    cn_state_key key; /* leaf: its key; otherwise the common prefix, zero from `bit` on */
    struct node *child[2];
    size_t value_len;
    uint8_t value[];
} node;

struct cn_map {
    unsigned refs;
    node *root; /* NULL: empty */
    const cn_map_source *source;
    uint64_t settled; /* the newest apply when this line of versions last reached the disk */
};

/* Nodes kept in memory behind a committed version, about 200 bytes each with their values. */
#define CACHE_NODES 65536u

/* Process-wide, so that no two applies share a number, whichever threads they run in. */
static _Atomic uint64_t last_edit;

/* ---- bits ---- */

static unsigned bit_of(const cn_state_key *key, unsigned bit)
{
    return key->b[bit / 8] >> (7 - bit % 8) & 1;
}

/* First bit in which the keys differ, KEY_BITS when equal. */
static unsigned first_difference(const cn_state_key *a, const cn_state_key *b)
{
    for (unsigned i = 0; i < CN_STATE_KEY_LEN; i++) {
        uint8_t x = a->b[i] ^ b->b[i];
        if (x)
            return 8 * i + (unsigned)__builtin_clz(x) - 24;
    }
    return KEY_BITS;
}

static cn_state_key prefix_of(const cn_state_key *key, unsigned bits)
{
    cn_state_key prefix = {{0}};
    memcpy(prefix.b, key->b, bits / 8);
    if (bits % 8)
        prefix.b[bits / 8] = key->b[bits / 8] & (uint8_t)(0xff00u >> (bits % 8));
    return prefix;
}

/* ---- descriptors ---- */

void cn_map_descriptor_write(const cn_map_descriptor *d, uint8_t out[CN_MAP_DESCRIPTOR_LEN])
{
    uint8_t *p = cn_store_u64(out, d->count);
    memcpy(p, d->hash.b, CN_DIGEST_LEN);
    p = cn_store_u16(p + CN_DIGEST_LEN, d->bit);
    memcpy(p, d->key.b, CN_STATE_KEY_LEN);
}

bool cn_map_descriptor_read(const void *p, size_t n, cn_map_descriptor *ret)
{
    cn_reader r = cn_reader_of(p, n);
    cn_map_descriptor d;
    d.count = cn_read_u64(&r);
    d.hash = cn_read_digest(&r);
    d.bit = cn_read_u16(&r);
    cn_read_bytes(&r, d.key.b, CN_STATE_KEY_LEN);
    if (!cn_reader_done(&r) || d.count == 0 || d.bit >= KEY_BITS)
        return false;
    *ret = d;
    return true;
}

/* ---- nodes ---- */

static node *node_new(node_kind kind, size_t value_len)
{
    node *n = calloc(1, sizeof *n + value_len);
    if (n) {
        n->refs = 1;
        n->kind = (uint8_t)kind;
        n->value_len = value_len;
    }
    return n;
}

static node *node_ref(node *n)
{
    n->refs++;
    return n;
}

static void node_unref(node *n)
{
    if (!n || --n->refs > 0)
        return;
    node_unref(n->child[0]);
    node_unref(n->child[1]);
    free(n);
}

static node *leaf_new(const cn_state_key *key, const void *value, size_t len)
{
    node *n = node_new(LEAF, len);
    if (n) {
        n->key = *key;
        n->count = 1;
        memcpy(n->value, value, len);
    }
    return n;
}

static node *stub_new(const cn_map_descriptor *d)
{
    node *n = node_new(STUB, 0);
    if (n) {
        n->on_disk = n->hashed = true;
        n->bit = d->bit;
        n->count = d->count;
        n->hash = d->hash;
        n->key = d->key;
    }
    return n;
}

/* Takes both references. */
static node *inner_new(unsigned bit, const cn_state_key *any_key, node *left, node *right)
{
    node *n = node_new(INNER, 0);
    if (!n) {
        node_unref(left);
        node_unref(right);
        return NULL;
    }
    n->bit = (uint16_t)bit;
    n->key = prefix_of(any_key, bit);
    n->child[0] = left;
    n->child[1] = right;
    n->count = left->count + right->count;
    return n;
}

static cn_digest node_hash(node *n)
{
    if (!n->hashed) {
        if (n->kind == LEAF) {
            n->hash = cn_state_leaf_hash(&n->key, n->value, n->value_len);
        } else {
            cn_digest left = node_hash(n->child[0]), right = node_hash(n->child[1]);
            n->hash = cn_node_hash(&left, &right);
        }
        n->hashed = true;
    }
    return n->hash;
}

/* ---- loading of stubs ---- */

typedef struct leaf_list {
    node *leaf[CN_MAP_SMALL];
    size_t count;
} leaf_list;

static cn_status add_leaf(void *arg, const cn_state_key *key, cn_span value)
{
    leaf_list *list = arg;
    if (list->count == CN_MAP_SMALL || value.n == 0 || value.n > CN_STATE_VALUE_MAX)
        return CN_CORRUPT;
    node *n = leaf_new(key, value.p, value.n);
    if (!n)
        return CN_NO_MEMORY;
    n->on_disk = true;
    list->leaf[list->count++] = n;
    return CN_OK;
}

/* Builds the subtree over sorted leaves [first, end); takes their references, also on failure. */
static node *build(node **leaf, size_t first, size_t end)
{
    if (end - first == 1)
        return leaf[first];
    unsigned bit = first_difference(&leaf[first]->key, &leaf[end - 1]->key);
    size_t middle = first;
    while (middle < end && bit_of(&leaf[middle]->key, bit) == 0)
        middle++;
    cn_state_key any = leaf[first]->key;
    node *left = build(leaf, first, middle);
    node *right = build(leaf, middle, end);
    if (!left || !right) {
        node_unref(left);
        node_unref(right);
        return NULL;
    }
    node *n = inner_new(bit, &any, left, right);
    if (n)
        n->on_disk = true;
    return n;
}

static cn_status load_small(const cn_map_source *source, const node *stub, node **ret, cn_err *err)
{
    leaf_list list = {.count = 0};
    cn_status st = source->range(source->ctx, &stub->key, stub->bit, add_leaf, &list, err);
    if (st == CN_OK && list.count != stub->count)
        st = CN_CORRUPT;
    if (st != CN_OK) {
        for (size_t i = 0; i < list.count; i++)
            node_unref(list.leaf[i]);
        return cn_fail(err, st, "state map", "the leaves of a subtree cannot be read; run carnet fsck");
    }
    node *n = build(list.leaf, 0, list.count);
    if (!n)
        return cn_fail(err, CN_NO_MEMORY, "state map", "out of memory");
    *ret = n;
    return CN_OK;
}

static void row_key_of(unsigned bit, const cn_state_key *prefix, uint8_t out[CN_MAP_ROW_KEY_LEN])
{
    memcpy(cn_store_u16(out, (uint16_t)bit), prefix->b, CN_STATE_KEY_LEN);
}

static cn_status load_large(const cn_map_source *source, const node *stub, node **ret, cn_err *err)
{
    uint8_t row_key[CN_MAP_ROW_KEY_LEN];
    cn_map_descriptor child[2];
    row_key_of(stub->bit, &stub->key, row_key);
    cn_status st = source->inner(source->ctx, row_key, child, err);
    if (st != CN_OK)
        return st;
    node *left = stub_new(&child[0]), *right = stub_new(&child[1]);
    if (!left || !right) {
        node_unref(left);
        node_unref(right);
        return cn_fail(err, CN_NO_MEMORY, "state map", "out of memory");
    }
    node *n = inner_new(stub->bit, &stub->key, left, right);
    if (!n)
        return cn_fail(err, CN_NO_MEMORY, "state map", "out of memory");
    n->on_disk = true;
    *ret = n;
    return CN_OK;
}

/* Replaces *slot, if it is a stub, by the subtree it stands for; its hash must be the stub's. */
static cn_status load(const cn_map_source *source, node **slot, cn_err *err)
{
    node *stub = *slot;
    if (stub->kind != STUB)
        return CN_OK;
    node *n = NULL;
    cn_status st = stub->count <= CN_MAP_SMALL ? load_small(source, stub, &n, err) : load_large(source, stub, &n, err);
    if (st != CN_OK)
        return st;
    cn_digest hash = node_hash(n);
    if (!cn_digest_eq(&hash, &stub->hash) || n->count != stub->count) {
        node_unref(n);
        return cn_fail(err, CN_CORRUPT, "state map",
                       "a subtree does not hash to what its parent says; run carnet fsck");
    }
    *slot = n;
    node_unref(stub);
    return CN_OK;
}

/* ---- versions ---- */

static cn_map *map_new(node *root, const cn_map_source *source)
{
    cn_map *map = calloc(1, sizeof *map);
    if (!map) {
        node_unref(root);
        return NULL;
    }
    *map = (cn_map){.refs = 1, .root = root, .source = source};
    return map;
}

cn_map *cn_map_empty(void)
{
    return map_new(NULL, NULL);
}

cn_map *cn_map_attach(const cn_map_source *source, const cn_map_descriptor *root)
{
    node *stub = NULL;
    if (root && !(stub = stub_new(root)))
        return NULL;
    return map_new(stub, source);
}

cn_map *cn_map_ref(cn_map *map)
{
    map->refs++;
    return map;
}

void cn_map_unref(cn_map *map)
{
    if (!map || --map->refs > 0)
        return;
    node_unref(map->root);
    free(map);
}

cn_digest cn_map_root(const cn_map *map)
{
    return map->root ? node_hash(map->root) : cn_digest_zero;
}

/* ---- changes ---- */

/* Makes *slot a node that this apply may change. */
static bool make_editable(node **slot, uint64_t edit)
{
    node *old = *slot;
    if (old->edit == edit)
        return true;
    node *copy = node_new(INNER, 0);
    if (!copy)
        return false;
    copy->bit = old->bit;
    copy->count = old->count;
    copy->key = old->key;
    copy->child[0] = node_ref(old->child[0]);
    copy->child[1] = node_ref(old->child[1]);
    copy->edit = copy->touched = edit;
    *slot = copy;
    node_unref(old);
    return true;
}

/* Walks to the leaf where key would be, loading what it needs; the loaded path is shared with the base version. */
static cn_status find_leaf(const cn_map_source *source, node **root, const cn_state_key *key, uint64_t edit, node **ret,
                           cn_err *err)
{
    node **slot = root;
    for (;;) {
        cn_status st = load(source, slot, err);
        if (st != CN_OK)
            return st;
        (*slot)->touched = edit;
        if ((*slot)->kind == LEAF) {
            *ret = *slot;
            return CN_OK;
        }
        slot = &(*slot)->child[bit_of(key, (*slot)->bit)];
    }
}

static cn_status put(const cn_map_source *source, node **root, uint64_t edit, const cn_map_change *change, cn_err *err)
{
    node *found = NULL;
    node *fresh = leaf_new(&change->key, change->value.p, change->value.n);
    if (!fresh)
        return cn_fail(err, CN_NO_MEMORY, "state map", "out of memory");
    fresh->edit = fresh->touched = edit;
    if (!*root) {
        *root = fresh;
        return CN_OK;
    }
    cn_status st = find_leaf(source, root, &change->key, edit, &found, err);
    if (st != CN_OK) {
        node_unref(fresh);
        return st;
    }
    unsigned difference = first_difference(&found->key, &change->key);
    node **slot = root;
    while ((*slot)->kind == INNER && (*slot)->bit < difference) {
        if (!make_editable(slot, edit)) {
            node_unref(fresh);
            return cn_fail(err, CN_NO_MEMORY, "state map", "out of memory");
        }
        (*slot)->hashed = (*slot)->on_disk = false;
        (*slot)->count += difference < KEY_BITS;
        slot = &(*slot)->child[bit_of(&change->key, (*slot)->bit)];
    }
    if (difference == KEY_BITS) { /* the leaf itself: a new value */
        node_unref(*slot);
        *slot = fresh;
        return CN_OK;
    }
    node *old = *slot;
    unsigned side = bit_of(&change->key, difference);
    node *parent = inner_new(difference, &change->key, side ? old : fresh, side ? fresh : old);
    if (!parent) { /* both references are gone with it; this version is given up by the caller */
        *slot = NULL;
        return cn_fail(err, CN_NO_MEMORY, "state map", "out of memory");
    }
    parent->edit = parent->touched = edit;
    *slot = parent;
    return CN_OK;
}

cn_status cn_map_apply(cn_map *base, const cn_map_change *changes, size_t count, cn_map **ret, cn_err *err)
{
    uint64_t edit = ++last_edit;
    cn_status st = CN_OK;
    cn_map *map = map_new(base->root ? node_ref(base->root) : NULL, base->source);
    if (!map)
        return cn_fail(err, CN_NO_MEMORY, "state map", "out of memory");
    map->settled = base->settled;
    for (size_t i = 0; i < count && st == CN_OK; i++) {
        CN_ASSERT(changes[i].value.n > 0 && changes[i].value.n <= CN_STATE_VALUE_MAX);
        st = put(map->source, &map->root, edit, &changes[i], err);
    }
    if (st == CN_OK)
        *ret = map;
    else
        cn_map_unref(map);
    return st;
}

/* ---- reading ---- */

cn_status cn_map_get(cn_map *map, const cn_state_key *key, uint8_t value[CN_STATE_VALUE_MAX], size_t *ret_len,
                     cn_err *err)
{
    node *n = map->root;
    while (n && n->kind == INNER)
        n = n->child[bit_of(key, n->bit)];
    if (n && n->kind == STUB) /* below here nothing differs from the disk */
        return map->source->leaf(map->source->ctx, key, value, ret_len, err);
    if (!n || memcmp(n->key.b, key->b, CN_STATE_KEY_LEN) != 0)
        return cn_fail(err, CN_NOT_FOUND, "state map", "there is no such key");
    memcpy(value, n->value, n->value_len);
    *ret_len = n->value_len;
    return CN_OK;
}

/* The path from the root to one leaf. */
typedef struct map_path {
    node *inner[KEY_BITS];
    bool left[KEY_BITS];
    size_t depth;
    node *leaf;
} map_path;

/* Goes on from *slot: by key when given, else always to the given side. */
static cn_status descend(const cn_map_source *source, node **slot, const cn_state_key *key, unsigned side,
                         map_path *path, cn_err *err)
{
    for (;;) {
        cn_status st = load(source, slot, err);
        if (st != CN_OK)
            return st;
        if ((*slot)->kind == LEAF) {
            path->leaf = *slot;
            return CN_OK;
        }
        unsigned to = key ? bit_of(key, (*slot)->bit) : side;
        path->inner[path->depth] = *slot;
        path->left[path->depth++] = to == 0;
        slot = &(*slot)->child[to];
    }
}

static void fill_existence(const map_path *path, cn_ics23_existence *ret)
{
    ret->key = path->leaf->key;
    ret->value_len = path->leaf->value_len;
    memcpy(ret->value, path->leaf->value, ret->value_len);
    ret->depth = path->depth;
    for (size_t i = 0; i < path->depth; i++) {
        size_t at = path->depth - 1 - i;
        ret->step[i].is_left = path->left[at];
        ret->step[i].sibling = node_hash(path->inner[at]->child[path->left[at] ? 1 : 0]);
    }
}

cn_status cn_map_prove(cn_map *map, const cn_state_key *key, cn_ics23_existence *ret, cn_err *err)
{
    if (!map->root)
        return cn_fail(err, CN_NOT_FOUND, "state map", "there is no such key");
    map_path *path = calloc(1, sizeof *path);
    if (!path)
        return cn_fail(err, CN_NO_MEMORY, "state map", "out of memory");
    cn_status st = descend(map->source, &map->root, key, 0, path, err);
    if (st == CN_OK && memcmp(path->leaf->key.b, key->b, CN_STATE_KEY_LEN) != 0)
        st = cn_fail(err, CN_NOT_FOUND, "state map", "there is no such key");
    if (st == CN_OK)
        fill_existence(path, ret);
    free(path);
    return st;
}

/* Turns a path into that of the next leaf on the given side (1: to the right), or sets *ret_none. */
static cn_status step_aside(const cn_map_source *source, map_path *path, size_t depth, unsigned side, bool *ret_none,
                            cn_err *err)
{
    while (depth > 0 && path->left[depth - 1] != (side == 1))
        depth--;
    *ret_none = depth == 0;
    if (depth == 0)
        return CN_OK;
    path->depth = depth;
    path->left[depth - 1] = side == 0;
    return descend(source, &path->inner[depth - 1]->child[side], NULL, 1 - side, path, err);
}

/* The neighbours of an absent key: the subtree where it parts from its nearest leaf lies wholly on one side of it. */
cn_status cn_map_prove_absent(cn_map *map, const cn_state_key *key, cn_ics23_absence *ret, cn_err *err)
{
    map_path *path = calloc(1, sizeof *path);
    if (!path)
        return cn_fail(err, CN_NO_MEMORY, "state map", "out of memory");
    cn_status st = CN_NOT_FOUND;
    if (map->root)
        st = descend(map->source, &map->root, key, 0, path, err);
    else
        cn_fail(err, st, "state map", "an empty map has no proofs");
    unsigned difference = st == CN_OK ? first_difference(&path->leaf->key, key) : 0;
    if (st == CN_OK && difference == KEY_BITS)
        st = cn_fail(err, CN_CONFLICT, "state map", "the key is present");
    if (st == CN_OK) {
        size_t depth = 0;
        while (depth < path->depth && path->inner[depth]->bit < difference)
            depth++;
        /* key is to the right of that subtree when its own bit is 1 */
        unsigned subtree_is_left = bit_of(key, difference);
        node *top = depth < path->depth ? path->inner[depth] : path->leaf;
        node **slot = &top;
        path->depth = depth;
        st = descend(map->source, slot, NULL, subtree_is_left ? 1 : 0, path, err);
        bool none = false;
        ret->key = *key;
        ret->has_left = ret->has_right = false;
        if (st == CN_OK) {
            fill_existence(path, subtree_is_left ? &ret->left : &ret->right);
            *(subtree_is_left ? &ret->has_left : &ret->has_right) = true;
            st = step_aside(map->source, path, depth, subtree_is_left ? 1 : 0, &none, err);
        }
        if (st == CN_OK && !none) {
            fill_existence(path, subtree_is_left ? &ret->right : &ret->left);
            *(subtree_is_left ? &ret->has_right : &ret->has_left) = true;
        }
    }
    free(path);
    return st;
}

/* ---- storing ---- */

/* range_bits: where the parent's crit bit leaves off; what a small subtree's keys share at least. */
static cn_map_descriptor describe(node *n, unsigned range_bits)
{
    unsigned bit = n->count > CN_MAP_SMALL ? n->bit : range_bits;
    return (cn_map_descriptor){
        .count = n->count, .hash = node_hash(n), .bit = (uint16_t)bit, .key = prefix_of(&n->key, bit)};
}

static cn_status store_node(node *n, const cn_map_sink *sink, cn_err *err)
{
    if (n->on_disk)
        return CN_OK;
    if (n->kind == LEAF)
        return sink->put_leaf(sink->ctx, &n->key, CN_SPAN(n->value, n->value_len), err);
    cn_status st = store_node(n->child[0], sink, err);
    if (st == CN_OK)
        st = store_node(n->child[1], sink, err);
    if (st != CN_OK || n->count <= CN_MAP_SMALL)
        return st;
    uint8_t row_key[CN_MAP_ROW_KEY_LEN];
    cn_map_descriptor child[2] = {describe(n->child[0], n->bit + 1u), describe(n->child[1], n->bit + 1u)};
    row_key_of(n->bit, &n->key, row_key);
    return sink->put_inner(sink->ctx, row_key, child, err);
}

cn_status cn_map_store(cn_map *map, const cn_map_sink *sink, cn_map_descriptor *ret_root, cn_err *err)
{
    CN_ASSERT(map->root);
    cn_status st = store_node(map->root, sink, err);
    if (st == CN_OK)
        *ret_root = describe(map->root, 0);
    return st;
}

const cn_map_source *cn_map_source_of(const cn_map *map)
{
    return map->source;
}

/* ---- after a commit ---- */

static void mark_on_disk(node *n)
{
    if (n->on_disk)
        return;
    n->on_disk = true;
    if (n->kind == INNER) {
        mark_on_disk(n->child[0]);
        mark_on_disk(n->child[1]);
    }
}

static size_t resident(const node *n)
{
    return n->kind == INNER ? 1 + resident(n->child[0]) + resident(n->child[1]) : 1;
}

/* Puts stubs in the place of subtrees that no apply after `since` walked. A small subtree goes or stays as a whole,
 * because it is loaded as a whole. Best effort: without memory for a stub the subtree stays. */
static void prune(node **slot, unsigned range_bits, uint64_t since)
{
    node *n = *slot;
    if (n->kind != INNER)
        return;
    if (n->touched > since) {
        if (n->count > CN_MAP_SMALL) {
            prune(&n->child[0], n->bit + 1u, since);
            prune(&n->child[1], n->bit + 1u, since);
        }
        return;
    }
    cn_map_descriptor d = describe(n, range_bits);
    node *stub = stub_new(&d);
    if (stub) {
        *slot = stub;
        node_unref(n);
    }
}

void cn_map_settle(cn_map *map)
{
    CN_ASSERT(map->source && map->root);
    mark_on_disk(map->root);
    if (resident(map->root) > CACHE_NODES)
        prune(&map->root, 0, map->settled);
    if (resident(map->root) > CACHE_NODES)
        prune(&map->root, 0, UINT64_MAX);
    map->settled = last_edit;
}
