/* Simplex (Chan & Pass, 2023) as a pure step function: step(state, now, event) -> actions. No clock, socket, disk,
 * thread or source of randomness. Rules R1-R13 are those of docs/consensus.md.
 *
 * The host executes actions in order and reports back by events. A signature leaves only after the host has reported
 * that its row of the safety table is durable (R5): PERSIST comes first, EV_PERSISTED releases the SENDs. Times are
 * milliseconds of a clock that is never set (the host says how far the wall clock is from it, for block times only);
 * the host calls step with CN_EV_TICK not later than cn_consensus_deadline says. */
#ifndef CARNET_CONSENSUS_CONSENSUS_H
#define CARNET_CONSENSUS_CONSENSUS_H

#include "proto/header.h"
#include "proto/quorum.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cn_consensus cn_consensus;

/* Signing and verifying votes: real keys in the node, a keyed hash in the simulator. */
typedef struct cn_vote_crypto {
    void *ctx;
    void (*sign)(void *ctx, const cn_digest *digest, cn_signature *ret);
    bool (*verify)(void *ctx, unsigned signer, const cn_digest *digest, const uint8_t signature[CN_SIGNATURE_LEN]);
} cn_vote_crypto;

typedef struct cn_sign_row { /* a row of the safety table (R5), above the floor */
    uint64_t epoch, view;
    bool notarized, nullified, finalized;
    cn_digest block;
} cn_sign_row;

/* A block as consensus knows it: the header and the digests of its records, in order. */
typedef struct cn_block {
    cn_digest digest;
    cn_header header;
    size_t record_count;
    const cn_digest *record;
} cn_block;

typedef struct cn_consensus_config {
    cn_digest network;
    uint64_t epoch;
    unsigned n, self; /* self >= n: an observer that follows but never votes */
    cn_digest set;    /* digest of the validator set: headers must carry it */
    cn_vote_crypto crypto;
    uint64_t delay_floor_ms;         /* D's floor (R7) */
    uint64_t delay_cap_ms;           /* timers never exceed it: 30,000 */
    uint64_t forward_ms;             /* followers wait this long before they expect a pending statement proposed */
    uint64_t checkpoint_interval_ms; /* I */
    uint64_t heartbeat_ms;
    bool may_vote; /* false: the safety table is lost or the operator said so */
    /* starting point: the newest final block, its view, and the newest final checkpoint at or below it */
    cn_block final_block;
    uint64_t final_view;
    const cn_certificate
        *final_certificate; /* its finalization; NULL for genesis only: peers that miss it are served */
    bool final_closing_due; /* the state after it holds a ready set change (R11) */
    /* the finalization of the closing block that began this epoch; NULL in the first one. Who still speaks of an older
     * epoch is answered with it. */
    const cn_certificate *opening;
    uint64_t checkpoint_time_ms, checkpoint_log_size;
    /* what the safety journal held */
    uint64_t floor_view;
    size_t row_count;
    const cn_sign_row *row;
    size_t block_count; /* bodies that are durable but not final, any order */
    const cn_block *block;
    size_t certificate_count; /* notarizations of blocks that this node has signed finalize for */
    const cn_certificate *certificate;
} cn_consensus_config;

/* One epoch. When a closing block is final (CN_ACT_FINAL, or CN_EV_SYNCED), this core does nothing more: the host makes
 * the next one, whose final block is the closing one, with final_view 0.
 *
 * Copies what it needs. Never NULL: out of memory ends the process, as any crash may. */
cn_consensus *cn_consensus_new(const cn_consensus_config *config, uint64_t now_ms);
void cn_consensus_free(cn_consensus *c);

/* ---- events ---- */
typedef enum cn_event_kind {
    CN_EV_TICK,      /* time has passed */
    CN_EV_MESSAGE,   /* bytes from a peer that is validator `from` (or an observer: from >= n) */
    CN_EV_PENDING,   /* executable statements wait: oldest_ms of the oldest, or UINT64_MAX for none */
    CN_EV_BUILT,     /* answer to BUILD: block, closing_due, or ok = false when nothing can be built now */
    CN_EV_EXECUTED,  /* answer to EXECUTE: ok and closing_due, or the block is invalid */
    CN_EV_BLOCK,     /* answer to FETCH: a block by digest (its digest is checked here) */
    CN_EV_PERSISTED, /* everything up to `token` is durable */
    CN_EV_DURABLE,   /* the final block at `view` is durable in the ledger: the floor may rise */
    CN_EV_SYNCED,    /* the host applied final blocks by itself (R12): block, view, closing_due */
    CN_EV_RTT,       /* measured round trip, 99th percentile, in rtt_ms */
} cn_event_kind;

typedef struct cn_event {
    cn_event_kind kind;
    unsigned from;
    const uint8_t *bytes;
    size_t n;
    uint64_t oldest_ms;
    cn_block block;
    bool ok;
    bool closing_due; /* the state after block holds a ready set change: its child must be a closing block (R11) */
    uint64_t view, token, rtt_ms;
    uint64_t checkpoint_time_ms, checkpoint_log_size; /* SYNCED */
    const cn_certificate *final_certificate;          /* SYNCED: the finalization of block */
} cn_event;

/* ---- actions, to be executed in order ---- */
typedef enum cn_action_kind {
    CN_ACT_PERSIST,  /* make rows (and the body of block, when store_body; and the notarization in bytes, when n > 0)
                      * durable, then answer PERSISTED(token) */
    CN_ACT_SEND,     /* bytes to validator `to`, or to all when to == CN_TO_ALL */
    CN_ACT_BUILD,    /* build a block on `parent` for `view`; want_statements says which kind (R8). On a parent with a
                      * ready set change it is a closing block (R11) */
    CN_ACT_EXECUTE,  /* execute block on its parent (which is executed or final), fetching missing bodies */
    CN_ACT_FETCH,    /* ask peers for the block with digest `parent` */
    CN_ACT_FINAL,    /* blocks[0..count) became final in this order; certificate proves the last */
    CN_ACT_FLOOR,    /* raise the safety floor to `view`; needs no sync */
    CN_ACT_SYNC,     /* peers are ahead: fetch final blocks (R12) */
    CN_ACT_EVIDENCE, /* bytes: a transferable proof of misbehaviour by validator `to` (R10, proto/evidence.h) */
    CN_ACT_STOP,     /* reason: this node must not go on */
} cn_action_kind;

#define CN_TO_ALL 0xffffffffu

typedef struct cn_action {
    cn_action_kind kind;
    unsigned to;
    uint8_t *bytes; /* owned by the action list */
    size_t n;
    cn_sign_row row;
    bool has_row, store_body, want_statements;
    uint64_t token, view, time_ms;
    cn_digest parent;
    const cn_block *block;   /* valid until the next step */
    const cn_block **blocks; /* the array is owned by the action list, the blocks are valid until the next step */
    size_t count;
    const char *reason;
} cn_action;

typedef struct cn_actions {
    cn_action *v;
    size_t n, cap;
} cn_actions;

void cn_actions_clear(cn_actions *a); /* frees what the actions own; the list can be used again */
void cn_actions_free(cn_actions *a);

/* Appends actions to *out. */
void cn_consensus_step(cn_consensus *c, uint64_t now_ms, const cn_event *event, cn_actions *out);
/* How far the wall clock is ahead of now_ms, from the next step on; it may be set at any time, also back. */
void cn_consensus_set_wall(cn_consensus *c, int64_t ahead_ms);
/* When TICK is due at the latest; UINT64_MAX: nothing waits for time. */
uint64_t cn_consensus_deadline(const cn_consensus *c);

/* The block may still become final: it is notarized, or proposed in the current view. What only others hold waits
 * again. */
bool cn_consensus_is_open(const cn_consensus *c, const cn_digest *block);

/* Messages so far that no honest node sends. */
uint64_t cn_consensus_bad_messages(const cn_consensus *c);

/* ---- what operators and tests see ---- */
/* X(constant, sentence) */
#define CN_WAIT_REASONS(X)                                                                                             \
    X(CN_WAIT_IDLE, "nothing waits: all statements are final")                                                         \
    X(CN_WAIT_LEADER, "waiting for the leader's proposal")                                                             \
    X(CN_WAIT_SELF, "this node leads and is building a block")                                                         \
    X(CN_WAIT_BODY, "waiting for statements of the proposed block")                                                    \
    X(CN_WAIT_NOTARIZE, "waiting for notarize votes")                                                                  \
    X(CN_WAIT_NULLIFY, "the view failed; waiting for nullify votes")                                                   \
    X(CN_WAIT_FINALIZE, "waiting for finalize votes")                                                                  \
    X(CN_WAIT_SYNC, "this node is behind and fetches final blocks")                                                    \
    X(CN_WAIT_STOPPED, "this node has stopped")
typedef enum cn_wait_reason {
#define CN_WAIT_ENUM(name, text) name,
    CN_WAIT_REASONS(CN_WAIT_ENUM)
#undef CN_WAIT_ENUM
} cn_wait_reason;
const char *cn_wait_text(cn_wait_reason reason);

typedef struct cn_consensus_info {
    uint64_t epoch, view, final_view, final_height;
    unsigned leader, n, quorum, self;
    bool voting;
    bool closed;                                            /* the closing block of this epoch is final */
    uint32_t notarize_votes, nullify_votes, finalize_votes; /* signer bits: this view, this view, oldest open block */
    uint64_t last_heard_ms[CN_MAX_VALIDATORS];              /* any valid signature; 0: never */
    bool silent[CN_MAX_VALIDATORS];                         /* leader timer 0 (R7) */
    uint64_t outstanding;                                   /* notarized, not final */
    uint64_t delay_ms, entered_ms, deadline_ms;
    cn_wait_reason waiting_for;
    uint64_t nullified_views, equivocations, bad_messages;
} cn_consensus_info;
void cn_consensus_info_get(const cn_consensus *c, cn_consensus_info *ret);

#endif
