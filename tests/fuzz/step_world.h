/* The small world of t_step.c. */
#ifndef CARNET_TESTS_FUZZ_STEP_WORLD_H
#define CARNET_TESTS_FUZZ_STEP_WORLD_H

#ifdef CARNET_PLANT
#define CARNET_MUTATIONS /* the plant is one of the mutations of the test build of consensus/ */
#endif

#include "consensus/core.h"
#include "fuzz.h"
#include "tests/simulation/sim.h"

#define HONEST 3u
#define LIAR 3u
#define VALIDATORS 4u
#define MAX_MAIL 4096u
#define MAX_BLOCKS 512u
#define MAX_VOTES 256u

typedef struct mail {
    unsigned to, from;
    cn_digest block; /* a body on its way, when bytes is NULL */
    uint8_t *bytes;
    size_t n;
} mail;

typedef struct written { /* not synced yet */
    uint64_t token;
    bool has_row, has_notarization;
    cn_sign_row row;
    cn_certificate notarization;
    int body; /* in world.block, or -1 */
} written;

typedef struct host {
    cn_consensus *core;
    written *journal;
    size_t journal_n;
    cn_sign_row *row; /* durable */
    size_t row_n;
    cn_certificate *notarization; /* durable */
    size_t notarization_n;
    int body[MAX_BLOCKS]; /* durable */
    size_t body_n;
    int chain[MAX_BLOCKS]; /* final, by height; durable */
    size_t height;
    uint64_t final_view, floor;
    cn_certificate cert;
    bool has_cert, pending;
} host;

typedef struct world {
    uint64_t now, statements;
    host host[HONEST];
    mail mail[MAX_MAIL];
    size_t mail_n;
    cn_block block[MAX_BLOCKS]; /* every block that was ever made; records owned */
    int parent[MAX_BLOCKS];     /* of blocks that execute; -1: it does not */
    uint64_t checkpoint_time[MAX_BLOCKS], checkpoint_log[MAX_BLOCKS];
    size_t block_n;
    cn_vote vote[MAX_VOTES]; /* what the liar heard */
    size_t vote_n;
    cn_certificate heard[64];
    size_t heard_n;
    oracle *oracle;
} world;

world *world_new(void);
void world_free(world *w);
void world_step(world *w, unsigned node, const cn_event *ev);
void world_deliver(world *w, size_t index, bool keep);
void world_drop(world *w, size_t index);
void world_sync_disk(world *w, unsigned node);
void world_crash(world *w, unsigned node);
void world_catch_up(world *w, unsigned node, unsigned from);
void world_forge_vote(world *w, unsigned to, cn_reader *r);
void world_forge_certificate(world *w, unsigned to, cn_reader *r);
void world_forge_proposal(world *w, unsigned to, cn_reader *r);
void world_forge_request(world *w, unsigned to, cn_reader *r);
void world_change(world *w, cn_reader *r); /* of one message on its way, one byte */
/* The liar is silent, all mail arrives, disks sync: a new block must become final on all three. */
void world_heal(world *w);

#endif
