/* RFC 9162 Merkle trees (section 2.1): the one tree shape of logs, batches and subjects. */
#ifndef CARNET_PROTO_MERKLE_H
#define CARNET_PROTO_MERKLE_H

#include "proto/bytes.h"
#include "proto/digest.h"

#define CN_FRONTIER_MAX 64
#define CN_PROOF_MAX 64

/* The roots of the perfect subtrees that make up a tree of `size` leaves, largest first; popcount(size) of them. */
typedef struct cn_frontier {
    uint64_t size;
    cn_digest node[CN_FRONTIER_MAX];
} cn_frontier;

void cn_frontier_init(cn_frontier *f);
unsigned cn_frontier_count(const cn_frontier *f); /* popcount(size) */
void cn_frontier_append(cn_frontier *f, const cn_digest *leaf_hash);
cn_digest cn_frontier_root(const cn_frontier *f);
/* size u64 | nodes; at most 8 + 64*32 bytes. Read refuses a wrong length. */
void cn_frontier_write(const cn_frontier *f, cn_buf *out);
bool cn_frontier_read(cn_reader *r, cn_frontier *ret);

/* Root over leaf hashes that lie in memory. */
cn_digest cn_merkle_root(const cn_digest *leaf_hashes, size_t count);
/* Inclusion path of leaf `index` in the tree of `count` leaf hashes, from the leaf upwards; returns its length. */
size_t cn_merkle_path(const cn_digest *leaf_hashes, size_t count, size_t index, cn_digest path[CN_PROOF_MAX]);

/* The subtrees whose hashes a proof consists of: [first, first + 2^height) each, in the order of the proof. A store
 * answers each from its tiles, so that proofs need no walk over leaves. Partial right edges are given with the exact
 * leaf range [first, end). */
typedef struct cn_subtree {
    uint64_t first;
    uint64_t end; /* exclusive; the node is MTH(leaves[first:end]) */
} cn_subtree;
size_t cn_inclusion_plan(uint64_t index, uint64_t size, cn_subtree plan[CN_PROOF_MAX]);
size_t cn_consistency_plan(uint64_t size1, uint64_t size2, cn_subtree plan[CN_PROOF_MAX + 1]);

/* RFC 9162 2.1.3.2 and 2.1.4.2. Exact length is required: a longer or shorter path is false. */
bool cn_verify_inclusion(const cn_digest *leaf_hash, uint64_t index, uint64_t size, const cn_digest *path, size_t len,
                         const cn_digest *root);
bool cn_verify_consistency(uint64_t size1, const cn_digest *root1, uint64_t size2, const cn_digest *root2,
                           const cn_digest *path, size_t len);

#endif
