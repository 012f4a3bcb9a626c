/* A bump allocator with a budget: what belongs to one document is freed at once. Private to node/formats. */
#ifndef CARNET_NODE_FORMATS_POOL_H
#define CARNET_NODE_FORMATS_POOL_H

#include <stddef.h>

typedef struct cn_pool {
    struct cn_pool_block *blocks;
    size_t budget; /* bytes that may still be taken from the system */
} cn_pool;

void cn_pool_init(cn_pool *pool, size_t budget);
void cn_pool_free(cn_pool *pool);
/* 16-byte aligned, zeroed. NULL: budget or memory is used up. */
void *cn_pool_alloc(cn_pool *pool, size_t n);
/* A copy of n bytes with a NUL behind them. */
char *cn_pool_text(cn_pool *pool, const char *s, size_t n);

#endif
