#include "proto/merkle.h"

#include "proto/status.h"

void cn_frontier_init(cn_frontier *f)
{
    f->size = 0;
}

unsigned cn_frontier_count(const cn_frontier *f)
{
    return (unsigned)__builtin_popcountll(f->size);
}

/* Appending a leaf merges as many perfect subtrees as the size has trailing ones. */
void cn_frontier_append(cn_frontier *f, const cn_digest *leaf_hash)
{
    cn_digest node = *leaf_hash;
    unsigned count = cn_frontier_count(f);
    for (uint64_t rest = f->size; rest & 1; rest >>= 1) {
        count--;
        node = cn_node_hash(&f->node[count], &node);
    }
    f->node[count] = node;
    f->size++;
    CN_ASSERT(f->size != 0);
}

cn_digest cn_frontier_root(const cn_frontier *f)
{
    unsigned count = cn_frontier_count(f);
    if (count == 0)
        return cn_empty_root();
    cn_digest root = f->node[count - 1];
    for (unsigned i = count - 1; i > 0; i--)
        root = cn_node_hash(&f->node[i - 1], &root);
    return root;
}

void cn_frontier_write(const cn_frontier *f, cn_buf *out)
{
    cn_put_u64(out, f->size);
    for (unsigned i = 0; i < cn_frontier_count(f); i++)
        cn_put_digest(out, &f->node[i]);
}

bool cn_frontier_read(cn_reader *r, cn_frontier *ret)
{
    cn_frontier f;
    f.size = cn_read_u64(r);
    for (unsigned i = 0; i < cn_frontier_count(&f); i++)
        f.node[i] = cn_read_digest(r);
    if (!cn_reader_ok(r))
        return false;
    ret->size = f.size;
    for (unsigned i = 0; i < cn_frontier_count(&f); i++)
        ret->node[i] = f.node[i];
    return true;
}

cn_digest cn_merkle_root(const cn_digest *leaf_hashes, size_t count)
{
    cn_frontier f;
    cn_frontier_init(&f);
    for (size_t i = 0; i < count; i++)
        cn_frontier_append(&f, &leaf_hashes[i]);
    return cn_frontier_root(&f);
}

/* Largest power of two smaller than n (n >= 2): the split of RFC 9162, 2.1.1. */
static uint64_t split(uint64_t n)
{
    return UINT64_C(1) << (63 - (unsigned)__builtin_clzll(n - 1));
}

size_t cn_inclusion_plan(uint64_t index, uint64_t size, cn_subtree plan[CN_PROOF_MAX])
{
    CN_ASSERT(index < size);
    cn_subtree down[CN_PROOF_MAX]; /* from the root; the proof runs from the leaf */
    size_t n = 0;
    uint64_t first = 0, end = size;
    while (end - first > 1) {
        uint64_t middle = first + split(end - first);
        bool in_left = index < middle;
        down[n++] = in_left ? (cn_subtree){middle, end} : (cn_subtree){first, middle};
        if (in_left)
            end = middle;
        else
            first = middle;
    }
    for (size_t i = 0; i < n; i++)
        plan[i] = down[n - 1 - i];
    return n;
}

/* RFC 9162 2.1.4.1, SUBPROOF without recursion. */
size_t cn_consistency_plan(uint64_t size1, uint64_t size2, cn_subtree plan[CN_PROOF_MAX + 1])
{
    CN_ASSERT(size1 >= 1 && size1 <= size2);
    cn_subtree down[CN_PROOF_MAX + 1];
    size_t n = 0;
    uint64_t first = 0, end = size2;
    bool whole = true; /* the subtree so far is the first tree itself */
    while (size1 != end) {
        uint64_t middle = first + split(end - first);
        if (size1 <= middle) {
            down[n++] = (cn_subtree){middle, end};
            end = middle;
        } else {
            down[n++] = (cn_subtree){first, middle};
            first = middle;
            whole = false;
        }
    }
    if (!whole)
        down[n++] = (cn_subtree){first, end};
    for (size_t i = 0; i < n; i++)
        plan[i] = down[n - 1 - i];
    return n;
}

size_t cn_merkle_path(const cn_digest *leaf_hashes, size_t count, size_t index, cn_digest path[CN_PROOF_MAX])
{
    cn_subtree plan[CN_PROOF_MAX];
    size_t n = cn_inclusion_plan(index, count, plan);
    for (size_t i = 0; i < n; i++)
        path[i] = cn_merkle_root(leaf_hashes + plan[i].first, (size_t)(plan[i].end - plan[i].first));
    return n;
}

bool cn_verify_inclusion(const cn_digest *leaf_hash, uint64_t index, uint64_t size, const cn_digest *path, size_t len,
                         const cn_digest *root)
{
    if (index >= size)
        return false;
    uint64_t fn = index, sn = size - 1;
    cn_digest r = *leaf_hash;
    for (size_t i = 0; i < len; i++) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            r = cn_node_hash(&path[i], &r);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            r = cn_node_hash(&r, &path[i]);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && cn_digest_eq(&r, root);
}

bool cn_verify_consistency(uint64_t size1, const cn_digest *root1, uint64_t size2, const cn_digest *root2,
                           const cn_digest *path, size_t len)
{
    if (size1 == 0 || size1 > size2)
        return false;
    if (size1 == size2)
        return len == 0 && cn_digest_eq(root1, root2);
    bool power = (size1 & (size1 - 1)) == 0;
    size_t at = 0;
    if (!power && len == 0)
        return false;
    cn_digest fr = power ? *root1 : path[at++];
    cn_digest sr = fr;
    uint64_t fn = size1 - 1, sn = size2 - 1;
    while (fn & 1) {
        fn >>= 1;
        sn >>= 1;
    }
    for (; at < len; at++) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            fr = cn_node_hash(&path[at], &fr);
            sr = cn_node_hash(&path[at], &sr);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            sr = cn_node_hash(&sr, &path[at]);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && cn_digest_eq(&fr, root1) && cn_digest_eq(&sr, root2);
}
