/* A bump allocator with a budget, freed at once. Private to proto. */
#ifndef CARNET_PROTO_ARENA_H
#define CARNET_PROTO_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

typedef struct cn_arena {
    struct cn_arena_chunk *chunks;
    size_t budget; /* bytes that may still be handed out */
} cn_arena;

void cn_arena_init(cn_arena *a, size_t budget);
void cn_arena_free(cn_arena *a);
void *cn_arena_alloc(cn_arena *a, size_t n); /* 16-byte aligned; NULL: budget or memory is used up */
ProtobufCAllocator cn_arena_allocator(cn_arena *a);

#endif
