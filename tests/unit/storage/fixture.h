/* A chain of blocks with really signed statements, the same for the same seed, and what a ledger would keep of it. */
#ifndef CARNET_TESTS_STORAGE_FIXTURE_H
#define CARNET_TESTS_STORAGE_FIXTURE_H

#include "proto/statement.h"
#include "storage/store.h"

#define FX_SUBJECTS 12u
#define FX_FILLERS 100u /* state entries of genesis, so that the map has inner rows */
#define FX_MAX_STATEMENTS 400u

typedef struct fx_subject {
    cn_digest tag;
    cn_frontier tree;
    cn_state_subject record;
    bool dirty; /* changed since the newest checkpoint */
} fx_subject;

typedef struct fx {
    char dir[64];
    cn_store_options options;
    cn_store *store;
    cn_map *map; /* of the newest checkpoint */
    uint64_t random;
    uint8_t salt[32];
    cn_digest network;
    cn_secret_key key;
    cn_digest key_id, previous;
    uint64_t sequence;
    cn_header tip;
    cn_digest tip_digest;
    cn_frontier log;
    cn_digest *entry; /* every log entry */
    size_t entry_count;
    fx_subject subject[FX_SUBJECTS];
} fx;

typedef struct fx_block {
    cn_commit_block block;
    cn_commit_statement statement[FX_MAX_STATEMENTS];
    uint8_t *bytes[FX_MAX_STATEMENTS];
    cn_subject_row row[2 * FX_MAX_STATEMENTS];
    cn_side_change side[FX_SUBJECTS];
    cn_buf side_bytes[FX_SUBJECTS];
} fx_block;

uint64_t fx_random(fx *f);
void fx_directory(char dir[64]);
void fx_directory_in_memory(
    char dir[64]); /* for thousands of small syncs that need no disk; /tmp where there is none */
void fx_remove(const char *dir);

void fx_begin(fx *f, const char *dir, uint64_t seed, bool create); /* genesis in memory, and on disk when create */
void fx_open(fx *f);                                               /* opens the store; takes over its map */
void fx_end(fx *f);                                                /* closes; the directory stays */

/* The next block of the chain; the fixture's state moves on. Whether it is a checkpoint is the caller's choice. */
fx_block *fx_statements(fx *f, size_t count);
fx_block *fx_checkpoint(fx *f, const cn_map_change *more, size_t more_count);
fx_block *fx_next(fx *f); /* by seed: every third a checkpoint */
void fx_free(fx_block *b);
void fx_commit(fx *f, fx_block *b); /* asserts success and frees */

/* Number of faults; text gets the sentences, one a line. */
uint64_t fx_fsck(const fx *f, char *text, size_t size);

#endif
