#include "proto/arena.h"

#include <stdlib.h>

typedef struct cn_arena_chunk {
    struct cn_arena_chunk *next;
    size_t used, size;
    _Alignas(16) unsigned char bytes[];
} cn_arena_chunk;

/* small, since each statement that waits keeps its arena: chunks double up to the larger size */
#define CHUNK_MIN 512u
#define CHUNK_MAX 16384u

void cn_arena_init(cn_arena *a, size_t budget)
{
    *a = (cn_arena){.budget = budget};
}

void cn_arena_free(cn_arena *a)
{
    while (a->chunks) {
        cn_arena_chunk *chunk = a->chunks;
        a->chunks = chunk->next;
        free(chunk);
    }
}

void *cn_arena_alloc(cn_arena *a, size_t n)
{
    if (n > a->budget)
        return NULL;
    size_t rounded = (n + 15) & ~(size_t)15;
    cn_arena_chunk *chunk = a->chunks;
    if (!chunk || chunk->size - chunk->used < rounded) {
        size_t size = chunk ? 2 * chunk->size : CHUNK_MIN;
        size = size < CHUNK_MAX ? size : CHUNK_MAX;
        size = rounded > size ? rounded : size;
        chunk = malloc(sizeof *chunk + size);
        if (!chunk)
            return NULL;
        *chunk = (cn_arena_chunk){.next = a->chunks, .size = size};
        a->chunks = chunk;
    }
    void *p = chunk->bytes + chunk->used;
    chunk->used += rounded;
    a->budget = a->budget > rounded ? a->budget - rounded : 0;
    return p;
}

static void *allocate(void *ctx, size_t n)
{
    return cn_arena_alloc(ctx, n);
}

static void release(void *ctx, void *p)
{
    (void)ctx; /* everything is freed with the arena */
    (void)p;
}

ProtobufCAllocator cn_arena_allocator(cn_arena *a)
{
    return (ProtobufCAllocator){.alloc = allocate, .free = release, .allocator_data = a};
}
