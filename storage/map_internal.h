/* How a map version reaches rows on disk. Private to storage.
 *
 * Leaves lie in one table, by key. A subtree of at most CN_MAP_SMALL leaves has no other row: it is rebuilt from its
 * contiguous range of leaves. A larger inner node has a row under (crit bit u16 | prefix 33, bits from the crit bit on
 * zero) that describes its two children. Keys are never deleted, so that a row once made never becomes stale. */
#ifndef CARNET_STORAGE_MAP_INTERNAL_H
#define CARNET_STORAGE_MAP_INTERNAL_H

#include "storage/map.h"

#define CN_MAP_SMALL 32u
#define CN_MAP_ROW_KEY_LEN (2 + CN_STATE_KEY_LEN)
#define CN_MAP_DESCRIPTOR_LEN (8 + CN_DIGEST_LEN + 2 + CN_STATE_KEY_LEN)

/* A subtree on disk. Small: its keys share the first `bit` bits of `key`. Large: `bit` is its crit bit. */
typedef struct cn_map_descriptor {
    uint64_t count;
    cn_digest hash;
    uint16_t bit;
    cn_state_key key; /* bits from `bit` on are zero */
} cn_map_descriptor;

void cn_map_descriptor_write(const cn_map_descriptor *d, uint8_t out[CN_MAP_DESCRIPTOR_LEN]);
bool cn_map_descriptor_read(const void *p, size_t n, cn_map_descriptor *ret);

typedef struct cn_map_source {
    void *ctx;
    /* Calls leaf for each stored leaf whose first prefix_bits bits are those of prefix, in key order. */
    cn_status (*range)(void *ctx, const cn_state_key *prefix, unsigned prefix_bits,
                       cn_status (*leaf)(void *arg, const cn_state_key *key, cn_span value), void *arg, cn_err *err);
    cn_status (*leaf)(void *ctx, const cn_state_key *key, uint8_t value[CN_STATE_VALUE_MAX], size_t *ret_len,
                      cn_err *err); /* CN_NOT_FOUND */
    cn_status (*inner)(void *ctx, const uint8_t row_key[CN_MAP_ROW_KEY_LEN], cn_map_descriptor child[2], cn_err *err);
} cn_map_source;

/* A version whose whole content is on disk; source must outlive it. root NULL: the empty map. */
cn_map *cn_map_attach(const cn_map_source *source, const cn_map_descriptor *root);

typedef struct cn_map_sink {
    void *ctx;
    cn_status (*put_leaf)(void *ctx, const cn_state_key *key, cn_span value, cn_err *err);
    cn_status (*put_inner)(void *ctx, const uint8_t row_key[CN_MAP_ROW_KEY_LEN], const cn_map_descriptor child[2],
                           cn_err *err);
} cn_map_sink;

/* Writes what the version holds beyond its disk content; *ret_root describes the whole. Does not change the version. */
cn_status cn_map_store(cn_map *map, const cn_map_sink *sink, cn_map_descriptor *ret_root, cn_err *err);

/* What the version reads from; NULL when it lies in memory only. */
const cn_map_source *cn_map_source_of(const cn_map *map);
/* After the transaction of cn_map_store is durable, for a version with a source: its nodes count as stored, and what
 * exceeds a small cache leaves memory, least recently changed first. No content of any version changes. */
void cn_map_settle(cn_map *map);

#endif
