#include "node/formats/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BLOCK ((size_t)4096)
#define LARGEST_BLOCK ((size_t)1 << 20)

typedef struct cn_pool_block {
    struct cn_pool_block *next;
    size_t size, used; /* of the bytes behind this header */
    _Alignas(16) unsigned char bytes[];
} cn_pool_block;

void cn_pool_init(cn_pool *pool, size_t budget)
{
    *pool = (cn_pool){.budget = budget};
}

void cn_pool_free(cn_pool *pool)
{
    cn_pool_block *block = pool->blocks;
    while (block) {
        cn_pool_block *next = block->next;
        free(block);
        block = next;
    }
    pool->blocks = NULL;
}

void *cn_pool_alloc(cn_pool *pool, size_t n)
{
    if (n > SIZE_MAX / 2)
        return NULL;
    n = (n + 15) & ~(size_t)15;
    cn_pool_block *block = pool->blocks;
    if (!block || block->size - block->used < n) {
        size_t size = block ? block->size * 2 : FIRST_BLOCK;
        if (size > LARGEST_BLOCK)
            size = LARGEST_BLOCK;
        if (size < n)
            size = n;
        if (size + sizeof *block > pool->budget)
            return NULL;
        cn_pool_block *fresh = calloc(1, sizeof *fresh + size);
        if (!fresh)
            return NULL;
        pool->budget -= size + sizeof *fresh;
        *fresh = (cn_pool_block){.next = block, .size = size};
        pool->blocks = block = fresh;
    }
    void *p = block->bytes + block->used;
    block->used += n;
    return p;
}

char *cn_pool_text(cn_pool *pool, const char *s, size_t n)
{
    char *copy = cn_pool_alloc(pool, n + 1);
    if (copy && n)
        memcpy(copy, s, n);
    return copy;
}
