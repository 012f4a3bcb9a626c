/* The simulated world: a virtual clock, a faulty network, model disks, hosts around the production consensus core,
 * Byzantine validators, and an oracle that shares no code with the core's decisions. Everything follows from one seed.
 */
#ifndef CARNET_TESTS_SIMULATION_SIM_H
#define CARNET_TESTS_SIMULATION_SIM_H

#include "consensus/consensus.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define MAX_NODES 16 /* validators of the first epoch */
#define MAX_HOSTS 20
#define MAX_STATEMENTS 256
#define TWIN_VIEWS 4

typedef struct sim sim;

typedef struct sim_result {
    bool violated;
    char text[256];
    uint64_t final_height, statements, events, nullified, epochs, returned;
} sim_result;

typedef struct sim_options {
    uint64_t seed;
    unsigned nodes;
    bool epochless;      /* votes are signed without their epoch (a mutation): judge by what was said, not by digests */
    const bool *dropped; /* items of the plan that do not happen; NULL: all do */
    bool quiet;          /* no word about where the nodes stand */
    FILE *transcript;    /* who says what; NULL: nobody listens */
    FILE *record;        /* the same and more, for rules.pl */
} sim_options;

sim_result sim_run(const sim_options *options);
/* Drops items of the seed's plan while a violation stays, and prints what is left. False: the seed shows none. */
bool sim_minimise(const sim_options *options);
/* Schedule number k of TWINS: one of four validators runs twice, and each of the first views of an epoch has a
 * partition; the set stays, is joined by a fifth, or one of it gets a new key. */
#define TWIN_SCHEDULES (3u * 4 * 16 * 16 * 16 * 16)
sim_result sim_twins(const sim_options *options, uint64_t k);
/* A scripted conversation; its transcript is compared with tests/simulation/golden. False: no such name. */
bool sim_scenario(const sim_options *options, const char *name, sim_result *ret);
const char *sim_scenario_name(size_t i); /* NULL: no more */

/* ---- the sets of the model ledger ---- */
typedef struct member_set {
    unsigned n;
    uint8_t member[MAX_HOSTS];     /* ascending */
    uint8_t generation[MAX_HOSTS]; /* of the member's key: rotations so far */
    cn_digest digest;
} member_set;
unsigned member_key(const member_set *set, unsigned index);

/* ---- the oracle (oracle.c) ---- */
typedef struct oracle oracle;
oracle *oracle_new(const cn_digest *network, bool epochless);
void oracle_free(oracle *o);
/* An epoch has begun, by a final closing block (the first by genesis): only now may its members vote in it. */
void oracle_epoch(oracle *o, uint64_t epoch, const member_set *set);
/* Every message that a node puts on the wire; member: the validator whose key it holds. */
void oracle_sent(oracle *o, unsigned member, bool honest, const uint8_t *bytes, size_t n);
/* certified_epoch: of the finalization that the host was given. */
void oracle_final(oracle *o, unsigned node, const cn_header *header, const cn_digest *digest, uint64_t certified_epoch);
void oracle_fail(oracle *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
void oracle_honest(oracle *o, uint32_t members); /* bits of those that follow the rules */
const char *oracle_violation(const oracle *o);   /* NULL: none */
const cn_digest *oracle_chain(const oracle *o, uint64_t height);
uint64_t oracle_epochs(const oracle *o);

/* Keyed hash in place of a signature. */
void sim_sign(unsigned key, const cn_digest *digest, uint8_t signature[64]);
bool sim_verify(unsigned key, const cn_digest *digest, const uint8_t signature[64]);

/* ---- randomness: xorshift64*, from the seed only ---- */
typedef struct rng {
    uint64_t s;
} rng;
uint64_t rng_next(rng *r);
uint64_t rng_below(rng *r, uint64_t n); /* n >= 1 */
bool rng_chance(rng *r, unsigned percent);

#endif
