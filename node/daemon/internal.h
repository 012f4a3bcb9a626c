/* What the files of node/daemon share. Private.
 *
 *   start.c    opening and closing      loop.c     the consensus thread: tasks, actions of the core
 *   bodies.c   blocks that are not final, with their statements; executing and building
 *   sync.c     serving and taking final blocks      admit.c  from bytes to the pool: workers, waiters
 *   peers.c    who is linked with which key         way.c    how a node finds peers whose keys were rotated
 *   epoch.c    one core an epoch, and its keys    report.c   status, why, metrics
 *   purge.c    erasing what was ordered           restore.c  content that a peer left out
 * All fields below "the consensus thread" belong to it alone; others reach it by tasks on the queue. */
#ifndef CARNET_NODE_DAEMON_INTERNAL_H
#define CARNET_NODE_DAEMON_INTERNAL_H

#include "consensus/consensus.h"
#include "node/api/api.h"
#include "node/config/config.h"
#include "node/daemon/clock.h"
#include "node/daemon/node.h"
#include "node/daemon/queue.h"
#include "node/formats/genesis.h"
#include "node/ledger/ledger.h"
#include "node/ledger/mempool.h"
#include "node/peer/links.h"
#include "storage/safety.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

/* ---- what peers say to each other (docs/peer-protocol.md) ---- */
typedef enum cn_wire_type {
    CN_WIRE_CONSENSUS = 1,     /* a message of consensus/ */
    CN_WIRE_STATEMENT = 2,     /* one SignedStatement */
    CN_WIRE_FETCH_RECORDS = 3, /* record digests */
    CN_WIRE_RECORDS = 4,       /* (u32 length | SignedStatement)* */
    CN_WIRE_FETCH_BLOCK = 5,   /* block digest */
    CN_WIRE_BLOCK = 6,         /* header | u32 count | record digests */
    CN_WIRE_SYNC_REQUEST = 7,  /* u64 height: final blocks above it, please */
    CN_WIRE_SYNC_BLOCKS = 8,   /* u32 count | (header | u32 count | (u32 length | SignedStatement)*)* | finalization */
    CN_WIRE_WAY_REQUEST = 9,   /* "this side does not know your key" */
    CN_WIRE_WAY = 10,          /* proof of the validators' channel keys (way.c) */
    CN_WIRE_SIGNATURES = 11,   /* 1 to 32 times what a validator signed about a final checkpoint (endorse.c) */
} cn_wire_type;

/* ---- admission: one group of statements on its way into the pool ---- */
typedef struct cn_admission {
    cn_task task; /* first */
    atomic_uint refs;
    int peer; /* -1: from the API */
    size_t count;
    cn_stmt **stmt;
    cn_submit_result *result;
    cn_status status; /* of the group */
    cn_err err;
    bool want_final;
    size_t final_count;
    bool decided; /* admitted or refused */
    pthread_mutex_t lock;
    pthread_cond_t changed;
} cn_admission;

typedef enum cn_task_kind { TASK_ADMIT, TASK_MESSAGE, TASK_LINK, TASK_CALL, TASK_RUN } cn_task_kind;

typedef struct cn_message_task {
    cn_task task;
    unsigned peer;
    uint8_t type;
    bool up; /* TASK_LINK */
    size_t n;
    uint8_t bytes[];
} cn_message_task;

typedef struct cn_call_task { /* runs fn on the consensus thread while the caller waits */
    cn_task task;
    void (*fn)(cn_node *node, void *arg);
    void *arg;
    atomic_uint refs;
    bool done, abandoned;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} cn_call_task;

/* A block that is not final, as far as its statements are here. */
typedef struct cn_open_body {
    cn_digest digest;
    cn_header header;
    size_t count, missing;
    cn_digest *record;
    cn_stmt **stmt;
    cn_ledger_block *executed; /* NULL until it has been */
    bool wanted;               /* EXECUTE was asked for and is not answered */
    bool marked;               /* its statements count as held by an open block */
    uint64_t asked_ms;
    unsigned asked_peer;
    UT_hash_handle hh;
} cn_open_body;

typedef struct cn_waiter { /* somebody waits for a statement to be final */
    cn_digest id;
    cn_admission *admission;
    size_t index;
    struct cn_waiter *next;
    UT_hash_handle hh;
} cn_waiter;

typedef struct cn_refusal {
    cn_digest id;
    cn_err err;
    UT_hash_handle hh;
} cn_refusal;

typedef struct cn_known_key {
    cn_digest id;
    cn_public_key key;
    UT_hash_handle hh;
} cn_known_key;

typedef struct cn_way_copy { /* what is served to strangers (way.c) */
    pthread_mutex_t lock;
    cn_buf bytes;
    uint64_t made_ms;
    bool good;
} cn_way_copy;

typedef struct cn_peer_slot {
    unsigned bad, cut_offs; /* messages that no honest node sends since the last cut, and cuts so far */
    uint64_t cut_ms;        /* the last one, monotonic */
    cn_peer_address where;
    bool set;
    cn_digest member;
    int index;               /* in the validator set, or -1: an observer */
    uint64_t learned_height; /* of the checkpoint that proved learned_key; 0: none */
    uint8_t learned_key[32];
} cn_peer_slot;

#define BAD_ALLOWED 32u
#define MAX_REFUSALS 1024
#define CN_FIRST_EPOCH 1u /* voting starts in it (R11) */
#define CN_OBSERVER 0xffffu

typedef struct cn_voters { /* who votes in the epoch of the tip's children */
    uint64_t epoch;
    cn_validator_set set;
    cn_digest digest;
    unsigned self; /* this node's index, or CN_OBSERVER */
    char name[CN_MAX_VALIDATORS][CN_MAX_NAME + 1];
    char silent_reason[200]; /* why this validator does not vote; "" when it does */
} cn_voters;

struct cn_node {
    cn_config config;
    cn_genesis genesis;
    cn_store *store;
    cn_links *links;
    cn_api *api;
    cn_buf time_authorities; /* PEM */
    cn_buf audit_page;       /* HTML */
    cn_queue *queue, *work;
    pthread_t thread, worker[64];
    unsigned workers;
    cn_digest member; /* this node's */
    atomic_bool stop;
    bool thread_started;
    cn_status stop_status;
    cn_err stop_err;
    bool has_vote_key;
    cn_secret_key vote_key; /* of the epoch, if this node votes in it */
    uint8_t channel_secret[32];
    cn_vote_keys *vote_keys;
    pthread_rwlock_t voters_lock; /* the consensus thread writes; others read under it */
    cn_voters voters;
    uint64_t started_ms;
    pthread_rwlock_t key_lock;
    cn_known_key *known_keys;
    pthread_mutex_t final_lock; /* for who waits on final blocks */
    pthread_cond_t final_moved;
    uint64_t final_log_size, checkpoint_log_size;
    atomic_ullong statements_final, blocks_final, bad_peer_bytes, refused_statements;
    cn_way_copy way;
    struct cn_endorser *endorser; /* the consensus thread's */
    struct cn_purger *purger;     /* the consensus thread's */
    struct cn_restorer *restorer; /* the consensus thread's */
    atomic_ullong evidence_total;
    atomic_bool run_under_way[CN_LINK_SLOTS]; /* final blocks of that peer are being checked (sync.c) */

    /* the consensus thread */
    cn_ledger *ledger;
    cn_mempool *pool;
    cn_safety *safety; /* NULL: this node does not vote */
    cn_consensus *core;
    cn_open_body *bodies;
    cn_waiter *waiters;
    cn_refusal *refusals;
    uint64_t bad_bytes_here;                                      /* messages that this thread could not read */
    unsigned bad_allowed;                                         /* of a peer, before it is cut off */
    uint64_t pending_told, sync_asked_ms, final_ms, housekept_ms; /* monotonic */
    size_t pending_count;  /* statements in the pool when the core was last told */
    uint64_t offered_view; /* R7: pending statements are offered again to each new leader */
    unsigned sync_peer, fetch_peer;
    cn_peer_slot peer[CN_LINK_SLOTS];
    bool in_events, epoch_ended, members_changed;
    struct cn_local_event *events, *events_tail;
};

typedef struct cn_local_event { /* an answer to the core, given when the running action list is through */
    struct cn_local_event *next;
    cn_event ev;
    cn_digest *record; /* owned */
} cn_local_event;

/* loop.c */
void *cn_node_thread(void *arg);
/* What the thread does between two waits: `first` (NULL: nothing came in time) and all that waits behind it, then
 * timers and housekeeping. It need not wait longer than until cn_node_next_wake, on the monotonic clock. */
void cn_node_turn(cn_node *node, cn_task *first);
uint64_t cn_node_next_wake(cn_node *node);
void cn_core_answer(cn_node *node, const cn_event *ev); /* queues a local event; copies block records */
void cn_core_step(cn_node *node, const cn_event *ev);   /* steps and runs actions and local events until quiet */
void cn_node_fail(cn_node *node, cn_status status, const cn_err *err);
bool cn_node_call(cn_node *node, void (*fn)(cn_node *, void *), void *arg, uint64_t timeout_ms);
/* Waits on the condition, which uses the monotonic clock. False: the deadline has passed, or the node stops. */
bool cn_wait_a_while(const cn_node *node, pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ms);
void cn_tell_pending(cn_node *node);
void cn_note_bad_bytes(cn_node *node);
void cn_note_final(cn_node *node, cn_ledger_block *const *blocks, size_t count);

/* bodies.c */
void cn_body_execute(cn_node *node, const cn_block *block);
void cn_body_build(cn_node *node, const cn_action *action);
bool cn_body_persist(cn_node *node, const cn_digest *block, cn_err *err);
cn_status cn_body_finalize(cn_node *node, const cn_action *action, cn_err *err);
void cn_body_on_records(cn_node *node, unsigned peer, const uint8_t *p, size_t n);
void cn_body_serve_records(cn_node *node, unsigned peer, const uint8_t *p, size_t n);
void cn_body_serve_block(cn_node *node, unsigned peer, const uint8_t *p, size_t n);
void cn_body_on_block(cn_node *node, const uint8_t *p, size_t n);
void cn_body_ask_again(cn_node *node, uint64_t now_ms);
cn_status cn_body_restore(cn_node *node, const cn_safety_body *saved, cn_open_body **ret, cn_err *err);
void cn_bodies_prune(cn_node *node);    /* after a new tip: what is final, and what does not descend from it */
void cn_bodies_drop_all(cn_node *node); /* at the end of an epoch */
cn_ledger_block *cn_body_executed(cn_node *node,
                                  const cn_digest *digest); /* borrowed; NULL: not executed, or not here */
void cn_bodies_mark(cn_node *node);                         /* R7: statements of a block that failed wait again */
void cn_bodies_free(cn_node *node);
bool cn_verify_statements(cn_node *node, const cn_ledger_block *parent, cn_stmt *const *stmts, size_t count,
                          cn_err *err);

/* start.c */
/* Everything but threads and API: whoever has it runs turns and workers by hand (the simulation of whole nodes). */
cn_status cn_node_open(const cn_config *config, cn_node **ret, cn_err *err);
cn_status cn_read_key(const cn_node *node, const char *file, const char *purpose, cn_key_file *ret, cn_err *err);

/* epoch.c */
cn_status cn_epoch_open(cn_node *node, cn_err *err); /* the core of the epoch that the tip's children belong to */
void cn_epoch_note_final(cn_node *node, const cn_ledger_block *tip);
void cn_epoch_follow(cn_node *node); /* goes over to the next epoch when one has ended */

/* peers.c: slots hold members, whose place in the set changes. To the core a peer is its index in the set, or
 * CN_MAX_VALIDATORS + slot. */
cn_status cn_peers_open(cn_node *node, cn_err *err);
/* The peer sent something that no honest node sends: after a few of them it is cut off, longer each time. */
void cn_peers_note_bad(cn_node *node, unsigned slot);
unsigned cn_peers_number(const cn_node *node, unsigned slot);
int cn_peers_slot_of(const cn_node *node, unsigned index); /* -1: this node itself, or no slot */
bool cn_peers_send(cn_node *node, unsigned number, uint8_t type, const void *p, size_t n, bool urgent);
void cn_peers_broadcast(cn_node *node, uint8_t type, const void *p, size_t n, bool urgent);
/* To the next linked peer after *cursor, validators before observers. */
bool cn_peers_ask_one(cn_node *node, unsigned *cursor, uint8_t type, const void *p, size_t n);
void cn_queue_message(cn_node *node, unsigned slot, uint8_t type, const uint8_t *payload, size_t n);
void cn_peers_refresh(cn_node *node); /* members and their channel keys, as the tip names them */
void cn_peers_note_final(cn_node *node, const cn_ledger_block *block);
/* A checkpoint above this ledger proves that the member has this channel key. */
void cn_peers_learn(cn_node *node, const cn_digest *member, const char *name, const uint8_t key[32], uint64_t height);

/* way.c */
bool cn_way_serve(cn_node *node, cn_buf *out); /* from any thread; false: there is none */
bool cn_way_on_stranger(void *ctx, uint8_t type, const uint8_t *payload, size_t n, uint8_t *ret_type, cn_buf *reply);
void cn_way_take(cn_node *node, const uint8_t *p, size_t n);

/* endorse.c */
/* restore.c; on the consensus thread, but for the count */
void cn_restore_open(cn_node *node);
void cn_restore_free(cn_node *node);
void cn_restore_note_sync(cn_node *node, uint64_t now_ms); /* final blocks came from a peer */
void cn_restore_note_order(cn_node *node);                 /* an order to erase was carried out */
void cn_restore_poll(cn_node *node, uint64_t now_ms);
bool cn_restore_waits(const cn_node *node);
/* A block that came from a peer, of a height that is final here: it may hold what is missing. Nothing of it is
 * believed. */
void cn_restore_offer(cn_node *node, const cn_header *header, cn_stmt *const *stmt, uint32_t count);
size_t cn_restore_count(const cn_node *node); /* batches without content that nobody ordered erased */

void cn_purge_open(cn_node *node);
void cn_purge_free(cn_node *node);
void cn_purge_poll(cn_node *node, uint64_t now_ms);
void cn_purge_count(cn_node *node, uint64_t *ret_carried_out, uint64_t *ret_not_attested);

void cn_endorse_open(cn_node *node);
void cn_endorse_free(cn_node *node);
void cn_endorse_note_final(cn_node *node, cn_ledger_block *const *blocks, size_t count);
void cn_endorse_offer(cn_node *node, unsigned slot); /* a link is up */
void cn_endorse_poll(cn_node *node, uint64_t now_ms);
bool cn_endorse_receive(cn_node *node, unsigned slot, const uint8_t *p, size_t n); /* false: no honest node sends it */
/* Of the newest checkpoint: signatures held, of how many, and whether this node's is one. */
void cn_endorse_count(cn_node *node, uint64_t *ret_height, unsigned *ret_held, unsigned *ret_of, bool *ret_own);

/* sync.c */
void cn_sync_ask(cn_node *node, bool now);
void cn_sync_ask_peer(cn_node *node, unsigned peer); /* whether it has final blocks that are missing here */
void cn_sync_serve(cn_node *node, unsigned peer, const uint8_t *p, size_t n);
void cn_sync_poll(cn_node *node, uint64_t now_ms);
void cn_sync_receive(cn_node *node, unsigned peer, const uint8_t *p, size_t n); /* on a link's thread */
void cn_sync_work(cn_node *node, cn_task *task);                                /* on a worker; takes the task */
void cn_sync_take(cn_node *node, cn_task *task);                                /* on the consensus thread; takes it */
void cn_sync_drop_task(cn_task *task);

/* admit.c */
void *cn_worker_thread(void *arg);
void cn_worker_run(cn_node *node, cn_task *task);
cn_status cn_admit_submit(void *ctx, const cn_span *statements, size_t count, uint64_t wait_ms,
                          cn_submit_result *results, cn_err *err);
cn_statement_phase cn_admit_phase(void *ctx, const cn_digest *id, cn_err *ret_reason);
cn_status cn_admit_key_head(void *ctx, const cn_digest *key_id, cn_api_key_head *ret);
/* A statement of this node itself; on the consensus thread, as is the head of a key's chain. */
void cn_admit_own(cn_node *node, const uint8_t *p, size_t n);
void cn_admit_head(cn_node *node, const cn_digest *key_id, cn_api_key_head *ret);
bool cn_admit_from_peer(cn_node *node, unsigned peer, const uint8_t *p, size_t n);
void cn_admit_task(cn_node *node, cn_admission *a); /* on the consensus thread */
void cn_admit_final(cn_node *node, const cn_ledger_block *block);
void cn_admit_dropped(void *ctx, const cn_stmt *stmt, const cn_err *why); /* by the pool; ctx: the node */
void cn_admit_offer(cn_node *node, unsigned peer);                        /* what waits here, to one peer, bounded */
void cn_admit_drop(cn_admission *a);
void cn_admit_free(cn_node *node);
void cn_know_key(cn_node *node, const cn_public_key *key);
bool cn_lookup_key(cn_node *node, const cn_digest *id, cn_public_key *ret); /* from any thread */

/* report.c */
json_t *cn_report_status(void *ctx);
json_t *cn_report_why(void *ctx);
void cn_report_validator_name(void *ctx, uint64_t epoch, unsigned place, char ret[CN_MAX_NAME + 1]);
bool cn_report_is_validator(void *ctx, const cn_digest *member);
bool cn_report_ready(void *ctx, json_t *checks);
void cn_report_metrics(void *ctx, char **ret_text, size_t *ret_len);
bool cn_report_wait_checkpoint(void *ctx, uint64_t wait_ms);

/* log: one line to standard error, as time, level, text */
void cn_log(const cn_node *node, const char *level, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
