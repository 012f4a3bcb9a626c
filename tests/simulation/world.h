/* The state of the simulated world, and what network.c offers to world.c: events, blocks of the model ledger, the
 * faulty network, Byzantine behaviour on the wire. Private to tests/simulation. */
#ifndef CARNET_TESTS_SIMULATION_WORLD_H
#define CARNET_TESTS_SIMULATION_WORLD_H

#include "consensus/message.h"
#include "sim.h"

#define NONE UINT64_MAX
#define INTERVAL_MS 400u
#define HEARTBEAT_MS 5000u
#define DELAY_FLOOR_MS 40u
#define HEAL_LIMIT_MS 30000u
#define SYNC_BLOCKS 24u

typedef enum event_kind {
    E_DELIVER,
    E_PERSISTED,
    E_COMMITTED,
    E_TIMER,
    E_SUBMIT,
    E_CRASH,
    E_RESTART,
    E_PARTITION
} event_kind;
typedef enum wire_kind { W_CONSENSUS, W_STATEMENT, W_FETCH_BLOCK, W_BLOCK, W_SYNC_REQUEST, W_SYNC_BLOCKS } wire_kind;
typedef enum fault_kind { HONEST, SILENT, EQUIVOCATE, DOUBLE_VOTE, GARBAGE, LYING_SYNC, FORK, FAULT_KINDS } fault_kind;

typedef struct sim_event {
    uint64_t at, order;
    event_kind kind;
    unsigned node, from;
    uint64_t life; /* events of an earlier life of the node are void */
    wire_kind wire;
    uint8_t *bytes;
    size_t n;
    uint64_t token, value;
} sim_event;

typedef struct model_block {
    cn_block block; /* records owned */
    uint64_t view;
    cn_certificate *cert; /* of its own, or NULL */
} model_block;

typedef struct disk_row {
    cn_sign_row row;
    cn_block body;
    bool has_row, has_body, is_final;
    uint64_t token, view;
    cn_certificate cert;
    bool has_cert;
} disk_row;

typedef struct node {
    cn_consensus *core;
    cn_actions actions;
    bool up, in_step;
    fault_kind fault;
    uint64_t life, skew;
    /* durable */
    cn_sign_row *row;
    size_t rows;
    cn_block *body;
    size_t bodies;
    model_block *chain;
    size_t height; /* chain[0..height] */
    uint64_t floor;
    /* volatile */
    disk_row *unsynced;
    size_t unsynced_n;
    bool statement[MAX_STATEMENTS]; /* in this node's pool; statements are re-offered by clients after a crash */
    uint64_t arrived[MAX_STATEMENTS];
    uint64_t pending_told;
    cn_block waiting[64]; /* to execute, for want of statements */
    size_t waiting_n;
    cn_digest tip_of_final;
    uint64_t next_timer;
} node;

struct sim {
    sim_options opt;
    rng r;
    uint64_t now, order, chaos_end, events;
    sim_event *heap;
    size_t heap_n, heap_cap;
    node node[MAX_NODES];
    unsigned n;
    bool cut[MAX_NODES][MAX_NODES]; /* asymmetric */
    unsigned loss, duplicate;
    uint64_t max_delay;
    oracle *oracle;
    cn_digest network, set, statement[MAX_STATEMENTS];
    unsigned submitted, total;
    bool acknowledged[MAX_STATEMENTS];
    model_block *executed; /* every block any host executed, for parent look-ups */
    size_t executed_n, executed_cap;
};

void schedule(sim *s, sim_event e);
sim_event pop(sim *s);
cn_block copy_block(const cn_block *b);
void free_block(cn_block *b);
model_block *find_executed(sim *s, const cn_digest *digest);
void remember(sim *s, const cn_block *b);
void model_roots(const cn_header *parent, cn_header *h, const cn_digest *record, size_t count);
bool in_ancestry(sim *s, const cn_digest *tip, const cn_digest *record);
bool executes(sim *s, const cn_block *b);
int statement_number(const sim *s, const cn_digest *record);
void transmit(sim *s, unsigned from, unsigned to, wire_kind wire, const uint8_t *bytes, size_t n);
void broadcast(sim *s, unsigned from, wire_kind wire, const uint8_t *bytes, size_t n);
void send_consensus(sim *s, unsigned from, unsigned to, const uint8_t *bytes, size_t n);
void sign_cb(void *ctx, const cn_digest *digest, cn_signature *ret);
bool verify_cb(void *ctx, unsigned signer, const cn_digest *digest, const uint8_t signature[64]);
void equivocate(sim *s, unsigned self, const uint8_t *bytes, size_t n);
void double_vote(sim *s, unsigned self, const uint8_t *bytes, size_t n);
void garbage(sim *s, unsigned self, const uint8_t *bytes, size_t n);
void fork_chain(sim *s, unsigned self, const uint8_t *bytes, size_t n);

#endif
