/* What a node does to its disk, in a process of its own under the shim: it votes, commits blocks, erases, and notes
 * what has left it. */
#ifndef CARNET_TESTS_POWER_WORKLOAD_H
#define CARNET_TESTS_POWER_WORKLOAD_H

#include "proto/digest.h"

#include <stdbool.h>

#define WORKLOAD_MAP_BYTES (64u << 20)

typedef enum note_kind {
    NOTE_CREATED = 1, /* ledger and journal exist: the folder is the operator's from now on */
    NOTE_OPENING,     /* a later life opens what it finds */
    NOTE_OPENED,
    NOTE_BLOCK,     /* number: height; clients are told that it is final */
    NOTE_NOTARIZED, /* number: view; a vote has left; the body of block is kept until NOTE_DROPPED */
    NOTE_NULLIFIED,
    NOTE_FINALIZED,
    NOTE_DROPPED, /* the body may go */
    NOTE_ERASED,  /* number: log index; the operator is told that the items are gone */
} note_kind;

typedef struct note {
    uint32_t kind;
    uint64_t number;
    cn_digest block;
} note;

typedef struct workload {
    char root[64]; /* the journal lies in keys/, the ledger in data/ */
    uint64_t seed;
    unsigned blocks;
    bool acknowledge_early, vote_early; /* mutations */
} workload;

void workload_journal_path(const char *root, char path[80]);
void workload_ledger_path(const char *root, char path[80]);
extern const uint8_t workload_vote_key[33];
size_t workload_body(const cn_digest *block, uint8_t out[4096]); /* what is stored for a block before it is final */

/* Both end the process. The second continues on what the first left when it was killed. */
_Noreturn void workload_first_life(const workload *w);
_Noreturn void workload_second_life(const workload *w);

#endif
