/* The state of the simulated world, and what its files offer to each other. Private to tests/simulation.
 *
 *   model.c    blocks, sets and roots of the model ledger    deliver.c  what arrives at a host, and syncing (R12)
 *   network.c  events in virtual time, the faulty network    plan.c     what happens to a world, from its seed
 *   byzantine.c  what faulty validators say                  run.c      one run, and what must hold at its end
 *   host.c     the actions of a core                         life.c     starts, crashes, rot, epochs
 *   disk.c     the model disk: syncs, torn tails, no room
 *   record.c   what hosts hear and do, for rules.pl
 *   text.c     messages and plans as text                    twins.c, scenario.c  enumerated and scripted worlds */
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
#define POLL_EVERY_MS 2000u
#define CLOCK_START_MS 100000000u /* a clock that is set hours back is still after its epoch */
#define SKEW_MS 300u
#define MAX_SETS 64
#define MAX_ITEMS 256
#define OBSERVER 1000u
#define REPLAYED 48u

typedef enum event_kind {
    E_DELIVER,
    E_PERSISTED,
    E_COMMITTED,
    E_TIMER,
    E_SUBMIT,
    E_POLL, /* a host that hears of nothing new asks whether there is (R12) */
    E_CRASH,
    E_RESTART,
    E_PARTITION,
    E_ROT_LEDGER, /* crash; a bit of the ledger has flipped before the node starts again */
    E_ROT_JOURNAL,
    E_DISK_FULL, /* writes fail until there is room again */
    E_CLOCK,     /* the wall clock is set: value is how far it is ahead from now on, also negative */
    /* conditions of the whole run; only in plans */
    E_FAULT,
    E_LOSS,
    E_DUPLICATE,
    E_DELAY
} event_kind;
typedef enum wire_kind { W_CONSENSUS, W_STATEMENT, W_FETCH_BLOCK, W_BLOCK, W_SYNC_REQUEST, W_SYNC_BLOCKS } wire_kind;
typedef enum fault_kind {
    HONEST,
    SILENT,
    EQUIVOCATE,
    DOUBLE_VOTE,
    GARBAGE,
    LYING_SYNC,
    FORK,
    REPLAY, /* says again what it heard, also in another epoch */
    FORGE,  /* certificates that it signed alone */
    FAULT_KINDS,
    TWIN /* one of two hosts with one key */
} fault_kind;
typedef enum change_kind { CHANGE_NONE, CHANGE_JOIN, CHANGE_LEAVE, CHANGE_ROTATE } change_kind;

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
    /* the state after it */
    uint64_t epoch; /* of its children */
    unsigned set;
    int pending; /* statement number of the ready change, or -1 */
} model_block;

typedef struct disk_row {
    cn_sign_row row;
    cn_block body;
    bool has_row, has_body, is_final, has_floor;
    uint64_t token, view; /* of a floor: floor_epoch goes with view */
    uint64_t floor_epoch;
    cn_certificate cert;
    bool has_cert;
} disk_row;

typedef struct heard {
    uint8_t *bytes;
    size_t n;
} heard;

typedef struct node {
    sim *world;
    cn_consensus *core;
    cn_actions actions;
    bool up;
    fault_kind fault;
    unsigned member; /* which validator's key it holds: its own index, but for a twin */
    uint64_t life, skew;
    int64_t wall_ahead;  /* of a clock that was set wrongly */
    uint64_t full_until; /* the disk takes nothing before */
    /* of the running core */
    uint64_t epoch;
    unsigned set, self, key;
    bool epoch_ended;
    /* durable */
    cn_sign_row *row;
    size_t rows;
    cn_certificate *notarization;
    size_t notarizations;
    cn_block *body;
    size_t bodies;
    model_block *chain;
    size_t height;                  /* chain[0..height] */
    uint64_t safe_epoch, safe_view; /* the floor that a crash leaves */
    bool may_lose_journal;          /* in this run; counted among the faulty */
    bool lost_journal;              /* it is damaged: lost_key never votes again */
    unsigned lost_key, newest_key;  /* the newest it ever voted with, whatever its ledger knows now */
    /* volatile */
    uint64_t floor_epoch, floor_view;
    uint64_t token; /* the newest that the core asked for */
    disk_row *unsynced;
    size_t unsynced_n;
    bool statement[MAX_STATEMENTS]; /* in this node's pool; statements are re-offered by clients after a crash */
    uint64_t arrived[MAX_STATEMENTS];
    bool final[MAX_STATEMENTS]; /* in chain */
    uint64_t pending_told;
    cn_block waiting[64]; /* to execute, for want of statements */
    size_t waiting_n;
    uint64_t next_timer, final_ms;
    heard heard[REPLAYED];
} node;

typedef struct plan_item {
    event_kind kind;
    uint64_t at;
    unsigned node;
    uint64_t value;          /* submit: statement number; fault: kind; crash: time down; else the measure */
    uint32_t cut[MAX_HOSTS]; /* partition: bits of the hosts that this one does not reach */
} plan_item;

typedef struct set_change {
    change_kind kind;
    unsigned host;
} set_change;

typedef struct plan {
    plan_item item[MAX_ITEMS];
    size_t n;
    uint64_t length;
    unsigned hosts, statements;
    set_change change[MAX_STATEMENTS]; /* what a statement decides, besides being one */
} plan;

struct sim {
    sim_options opt;
    rng r;
    uint64_t now, order, chaos_end, events;
    sim_event *heap;
    size_t heap_n, heap_cap;
    node node[MAX_HOSTS];
    unsigned n;                     /* hosts: validators, and observers that may join */
    bool cut[MAX_HOSTS][MAX_HOSTS]; /* asymmetric */
    unsigned loss, duplicate;
    uint64_t max_delay;
    bool fixed_delay;
    uint32_t twin_group[TWIN_VIEWS + 1]; /* twins: hosts on one side, by the view that a message speaks of */
    bool twins;
    oracle *oracle;
    cn_digest network, statement[MAX_STATEMENTS];
    set_change change[MAX_STATEMENTS];
    member_set set[MAX_SETS];
    unsigned sets;
    unsigned submitted, total;
    bool wanted[MAX_STATEMENTS];
    model_block *executed; /* every block any host executed, for parent look-ups */
    size_t executed_n, executed_cap;
};

/* network.c */
void schedule(sim *s, sim_event e);
sim_event pop(sim *s);
void transmit(sim *s, unsigned from, unsigned to, wire_kind wire, const uint8_t *bytes, size_t n);
void broadcast(sim *s, unsigned from, wire_kind wire, const uint8_t *bytes, size_t n);
void send_consensus(sim *s, unsigned from, unsigned to, const uint8_t *bytes, size_t n);
void sign_cb(void *ctx, const cn_digest *digest, cn_signature *ret);
bool verify_cb(void *ctx, unsigned signer, const cn_digest *digest, const uint8_t signature[64]);

/* model.c */
cn_block copy_block(const cn_block *b);
void free_block(cn_block *b);
model_block *find_executed(sim *s, const cn_digest *digest);
void remember(sim *s, const cn_block *b); /* its parent is known */
void remember_genesis(sim *s, unsigned validators);
void model_roots(const cn_header *parent, cn_header *h, const cn_digest *record, size_t count);
bool in_ancestry(sim *s, const cn_digest *tip, const cn_digest *record);
bool executes(sim *s, const cn_block *b);
int statement_number(const sim *s, const cn_digest *record);
int member_index(const member_set *set, unsigned member);           /* -1: not in it */
unsigned set_after(sim *s, unsigned set, const set_change *change); /* the same when it has no effect */
cn_digest model_vote_digest(const sim *s, uint64_t epoch, uint8_t kind, uint64_t view, const cn_digest *block);

/* byzantine.c */
void equivocate(sim *s, unsigned self, const uint8_t *bytes, size_t n);
void double_vote(sim *s, unsigned self, const uint8_t *bytes, size_t n);
void garbage(sim *s, unsigned self, const uint8_t *bytes, size_t n);
void fork_chain(sim *s, unsigned self, const uint8_t *bytes, size_t n);
void replay(sim *s, unsigned self, const uint8_t *bytes, size_t n);
void forge(sim *s, unsigned self, const uint8_t *bytes, size_t n);

/* host.c */
uint64_t node_clock(const sim *s, unsigned i);
void step(sim *s, unsigned i, const cn_event *ev);
void arm_timer(sim *s, unsigned i);
void tell_pending(sim *s, unsigned i);
void retry_waiting(sim *s, unsigned i);
void drop_waiting(node *nd);
void ask_sync(sim *s, unsigned i);
disk_row *unsynced(node *nd);
void drop_unsynced(node *nd, bool floors);
bool commits_pending(const node *nd);
void tear(sim *s, unsigned i);
void raise_floor(sim *s, unsigned i, uint64_t epoch, uint64_t view);
bool has_room(sim *s, unsigned i);
void sync_disk(sim *s, unsigned i, uint64_t token, bool finals);
void report_final(sim *s, unsigned i, const cn_block *b, const cn_certificate *cert);

/* life.c */
void start(sim *s, unsigned i);
void crash(sim *s, unsigned i);
void rot_ledger(sim *s, unsigned i);
void rot_journal(sim *s, unsigned i);
void follow_epoch(sim *s, unsigned i); /* makes the next core when the closing block is durable */
void newest_checkpoint(const node *nd, uint64_t *ret_time_ms, uint64_t *ret_log_size);

/* deliver.c */
void deliver(sim *s, const sim_event *e);
void add_statement(sim *s, unsigned i, unsigned number, bool forward);

/* plan.c */
void plan_from_seed(uint64_t seed, unsigned validators, plan *ret);
void plan_apply(sim *s, const plan *p, const bool *dropped);

/* run.c */
sim *world_new(const sim_options *options, unsigned hosts);
void world_statements(sim *s, unsigned count);
void world_start(sim *s);
void run_until(sim *s, uint64_t end, bool stop_when_final);
void heal(sim *s);
sim_result world_end(sim *s); /* checks, and frees */

/* record.c */
void record_world(const sim *s);
void record_set(const sim *s, uint64_t epoch, const member_set *set);
void record_block(const sim *s, const cn_header *h);
void record_begin(const sim *s, unsigned i, const cn_consensus_config *cfg);
void record_event(const sim *s, unsigned i, const cn_event *ev);
void record_action(const sim *s, unsigned i, const cn_action *a);
void record_synced(const sim *s, unsigned i, uint64_t token);
void record_floor(const sim *s, unsigned i);
void record_crash(const sim *s, unsigned i); /* with the floor that is left, and the bodies */
void record_rotted(const sim *s, unsigned i);

/* text.c */
void print_item(const plan_item *item, const plan *p);
void tell(const sim *s, unsigned who, const char *format, ...) __attribute__((format(printf, 3, 4)));
void tell_sent(const sim *s, unsigned from, unsigned to, const uint8_t *bytes, size_t n);

#endif
