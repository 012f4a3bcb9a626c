/* The log's hashes in tiles of 256, as tile-based transparency logs keep them: the tile (level L, index i) holds the
 * roots of the perfect subtrees of 256^L leaves number 256 i to 256 i + 255. Any perfect subtree is computed from one
 * tile, so that a proof reads a number of rows that is logarithmic in the log's size. */
#include "storage/store_internal.h"

#include <string.h>

#define WIDTH 256u

static void tile_key(unsigned level, uint64_t index, uint8_t out[9])
{
    out[0] = (uint8_t)level;
    cn_store_u64(out + 1, index);
}

/* Appends one node to its level; *ret_full and the tile's root when the tile became full. */
static cn_status append_node(MDB_txn *txn, const cn_tables *t, unsigned level, uint64_t position, const cn_digest *node,
                             cn_digest *ret_root, bool *ret_full, cn_err *err)
{
    uint8_t key[9];
    cn_digest tile[WIDTH];
    size_t used = (size_t)(position % WIDTH);
    tile_key(level, position / WIDTH, key);
    if (used > 0) {
        cn_span row;
        cn_status st = cn_row_get(txn, t, T_TILES, key, sizeof key, &row, err);
        if (st != CN_OK || row.n != used * sizeof tile[0])
            return cn_fail(err, CN_CORRUPT, "tiles",
                           "level %u, tile %llu is not as long as the log says; run carnet fsck", level,
                           (unsigned long long)(position / WIDTH));
        memcpy(tile, row.p, row.n);
    }
    tile[used] = *node;
    *ret_full = used + 1 == WIDTH;
    if (*ret_full)
        *ret_root = cn_merkle_root(tile, WIDTH);
    return cn_row_put(txn, t, T_TILES, key, sizeof key, tile, (used + 1) * sizeof tile[0], 0, err);
}

/* Level 0 takes many leaves at once, as one row write per tile. */
static cn_status append_leaves(MDB_txn *txn, const cn_tables *t, uint64_t size, const cn_digest *leaf, size_t count,
                               size_t *ret_taken, cn_digest *ret_root, bool *ret_full, cn_err *err)
{
    uint8_t key[9];
    cn_digest tile[WIDTH];
    size_t used = (size_t)(size % WIDTH), take = WIDTH - used < count ? WIDTH - used : count;
    tile_key(0, size / WIDTH, key);
    if (used > 0) {
        cn_span row;
        cn_status st = cn_row_get(txn, t, T_TILES, key, sizeof key, &row, err);
        if (st != CN_OK || row.n != used * sizeof tile[0])
            return cn_fail(err, CN_CORRUPT, "tiles", "tile %llu is not as long as the log says; run carnet fsck",
                           (unsigned long long)(size / WIDTH));
        memcpy(tile, row.p, row.n);
    }
    memcpy(tile + used, leaf, take * sizeof tile[0]);
    *ret_taken = take;
    *ret_full = used + take == WIDTH;
    if (*ret_full)
        *ret_root = cn_merkle_root(tile, WIDTH);
    return cn_row_put(txn, t, T_TILES, key, sizeof key, tile, (used + take) * sizeof tile[0], 0, err);
}

cn_status cn_tiles_append(MDB_txn *txn, const cn_tables *t, uint64_t size, const cn_digest *leaf_hashes, size_t count,
                          cn_err *err)
{
    while (count > 0) {
        size_t taken = 0;
        bool full = false;
        cn_digest root;
        cn_status st = append_leaves(txn, t, size, leaf_hashes, count, &taken, &root, &full, err);
        size += taken;
        leaf_hashes += taken;
        count -= taken;
        uint64_t position = size;
        for (unsigned level = 1; st == CN_OK && full; level++) {
            position /= WIDTH;
            st = append_node(txn, t, level, position - 1, &root, &root, &full, err);
        }
        if (st != CN_OK)
            return st;
    }
    return CN_OK;
}

/* A perfect, aligned subtree of 2^height leaves. */
static cn_status perfect(MDB_txn *txn, const cn_tables *t, uint64_t first, unsigned height, cn_digest *ret, cn_err *err)
{
    uint8_t key[9];
    unsigned level = height / 8;
    uint64_t node = first >> (8 * level);
    size_t count = (size_t)1 << (height % 8), offset = (size_t)(node % WIDTH);
    cn_span row = {0};
    tile_key(level, node / WIDTH, key);
    cn_status st = cn_row_get(txn, t, T_TILES, key, sizeof key, &row, err);
    if (st != CN_OK || row.n < (offset + count) * CN_DIGEST_LEN || row.n % CN_DIGEST_LEN)
        return cn_fail(err, CN_CORRUPT, "tiles", "level %u, tile %llu is missing or short; run carnet fsck", level,
                       (unsigned long long)(node / WIDTH));
    cn_digest hashes[WIDTH];
    memcpy(hashes, (const uint8_t *)row.p + offset * CN_DIGEST_LEN, count * CN_DIGEST_LEN);
    *ret = cn_merkle_root(hashes, count);
    return CN_OK;
}

/* The perfect subtrees of [first, end) from the left: each as large as its alignment and the rest allow. */
static cn_status pieces(MDB_txn *txn, const cn_tables *t, uint64_t first, uint64_t end, cn_digest *piece,
                        size_t *ret_count, cn_err *err)
{
    size_t n = 0;
    while (first < end) {
        unsigned fits = 63u - (unsigned)__builtin_clzll(end - first);
        unsigned aligned = first ? (unsigned)__builtin_ctzll(first) : 63u;
        unsigned height = aligned < fits ? aligned : fits;
        cn_status st = perfect(txn, t, first, height, &piece[n++], err);
        if (st != CN_OK)
            return st;
        first += UINT64_C(1) << height;
    }
    *ret_count = n;
    return CN_OK;
}

cn_status cn_tiles_hash(MDB_txn *txn, const cn_tables *t, uint64_t first, uint64_t end, cn_digest *ret, cn_err *err)
{
    cn_digest piece[2 * CN_FRONTIER_MAX];
    size_t n = 0;
    CN_ASSERT(first < end);
    cn_status st = pieces(txn, t, first, end, piece, &n, err);
    if (st != CN_OK)
        return st;
    cn_digest root = piece[n - 1];
    for (size_t i = n - 1; i > 0; i--)
        root = cn_node_hash(&piece[i - 1], &root);
    *ret = root;
    return CN_OK;
}

cn_status cn_tiles_frontier(MDB_txn *txn, const cn_tables *t, uint64_t size, cn_frontier *ret, cn_err *err)
{
    cn_digest piece[2 * CN_FRONTIER_MAX];
    size_t n = 0;
    cn_status st = size ? pieces(txn, t, 0, size, piece, &n, err) : CN_OK;
    if (st != CN_OK)
        return st;
    CN_ASSERT(n <= CN_FRONTIER_MAX);
    ret->size = size;
    memcpy(ret->node, piece, n * sizeof piece[0]);
    return CN_OK;
}
