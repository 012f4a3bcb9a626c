/* The simulated world: a virtual clock, a faulty network, model disks, hosts around the production consensus core,
 * Byzantine validators, and an oracle that shares no code with the core's decisions. Everything follows from one seed.
 */
#ifndef CARNET_TESTS_SIMULATION_SIM_H
#define CARNET_TESTS_SIMULATION_SIM_H

#include "consensus/consensus.h"

#include <stdbool.h>
#include <stdint.h>

#define MAX_NODES 16
#define MAX_STATEMENTS 256

typedef struct sim sim;

typedef struct sim_result {
    bool violated;
    char text[256];
    uint64_t final_height, statements, events, nullified;
} sim_result;

typedef struct sim_options {
    uint64_t seed;
    unsigned nodes;
    bool trace;
} sim_options;

sim_result sim_run(const sim_options *options);

/* ---- the oracle (oracle.c) ---- */
typedef struct oracle oracle;
oracle *oracle_new(unsigned n, const cn_digest *network);
void oracle_free(oracle *o);
/* Every message that an honest node puts on the wire, and votes of Byzantine ones too. */
void oracle_sent(oracle *o, unsigned node, bool honest, const uint8_t *bytes, size_t n);
void oracle_final(oracle *o, unsigned node, uint64_t height, const cn_digest *digest, const cn_digest *parent);
void oracle_fail(oracle *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *oracle_violation(const oracle *o); /* NULL: none */
const cn_digest *oracle_chain(const oracle *o, uint64_t height);

/* Keyed hash in place of a signature. */
void sim_sign(unsigned node, const cn_digest *digest, uint8_t signature[64]);
bool sim_verify(unsigned node, const cn_digest *digest, const uint8_t signature[64]);

/* ---- randomness: xorshift64*, from the seed only ---- */
typedef struct rng {
    uint64_t s;
} rng;
uint64_t rng_next(rng *r);
uint64_t rng_below(rng *r, uint64_t n); /* n >= 1 */
bool rng_chance(rng *r, unsigned percent);

#endif
