/* The state behind cn_consensus and the functions its files share. Private to consensus.
 *
 *   step.c      events, timers, entering views          blocks.c   the blocks that are not final
 *   votes.c     tallies, certificates, resending         propose.c  leading: what to propose on which parent
 *   accept.c    checking proposals (R1, R2, R13)         sign.c     may_sign, the one way to a signature (R5)  */
#ifndef CARNET_CONSENSUS_CORE_H
#define CARNET_CONSENSUS_CORE_H

#include "consensus/consensus.h"
#include "consensus/message.h"

/* Mutations exist only in the test build of this library (tests/simulation): each breaks one rule on purpose. */
#ifdef CARNET_MUTATIONS
bool cn_mutation_active(const char *name);
#define CN_MUTATION(name) cn_mutation_active(name)
#else
#define CN_MUTATION(name) false
#endif

#define KINDS 3 /* index of a vote kind: kind - 1 */

typedef struct tally {
    uint32_t seen; /* signers */
    cn_digest block[CN_MAX_VALIDATORS];
    cn_signature signature[CN_MAX_VALIDATORS];
    unsigned arrivals; /* counted only by a mutation */
} tally;

typedef struct slot {
    uint64_t view;
    tally *votes[KINDS]; /* NULL until the first vote, and again behind the window */
    cn_certificate *cert[KINDS];
    cn_sign_row row; /* what this node has signed, as the safety table has it */
    bool has_proposal, invalid, equivocated;
    uint32_t reported[KINDS]; /* signers whose two votes were reported: one proof is enough (R9) */
    cn_digest proposed;
    uint64_t proposal_ms, notarized_ms;
    bool restored;     /* the row is of an earlier life */
    uint8_t *proposal; /* own proposal, for resending */
    size_t proposal_n;
} slot;

typedef enum exec_state { EXEC_NONE, EXEC_RUNNING, EXEC_VALID, EXEC_INVALID } exec_state;

typedef struct entry {
    cn_block block; /* record is owned */
    uint64_t view;  /* of the proposal or certificate that named it; 0 unknown */
    exec_state exec;
    bool durable;
    bool closing_due;     /* the state after it holds a ready set change (R11); known once it is executed */
    uint64_t store_token; /* the body is durable when this token is; 0: not asked for */
    uint64_t checkpoint_time_ms, checkpoint_log_size; /* of the newest checkpoint in its ancestry, itself included */
    uint64_t outstanding;                             /* blocks from the final one to here */
} entry;

typedef struct want { /* a block to fetch */
    cn_digest digest;
    uint64_t asked_ms, times;
} want;

typedef struct pending_signature { /* waits for its row to be durable */
    uint8_t kind;
    uint64_t view, token;
    cn_digest block;
} pending_signature;

#define MAX_WANTS 64
#define MAX_ENTRIES 256

struct cn_consensus {
    cn_consensus_config cfg; /* row and block pointers are not kept */
    unsigned quorum;
    uint64_t now;
    cn_actions *out; /* of the running step */
    bool stopped;
    bool closed; /* R11: the closing block is final, and with it the epoch */

    int64_t wall_ahead_ms; /* of the wall clock, before now */
    uint64_t view, entered_ms;
    uint64_t floor_view;
    slot *slot; /* views base .. base + slot_count - 1 */
    uint64_t base;
    size_t slot_count, slot_cap;

    entry *entry[MAX_ENTRIES]; /* [0] is the newest final block */
    size_t entry_count;
    uint64_t final_view;
    cn_certificate *final_cert, *opening;
    cn_certificate *kept; /* notarizations of an earlier life, until the first step */
    size_t kept_count;

    want want[MAX_WANTS];
    size_t want_count;

    pending_signature *pending;
    size_t pending_count, pending_cap;
    uint64_t token, persisted;

    uint64_t pending_since_ms; /* oldest executable statement; UINT64_MAX: none */
    bool building, build_failed;
    uint64_t rtt_ms;
    unsigned nullified_in_a_row;
    unsigned silent_turns[CN_MAX_VALIDATORS];
    uint64_t heard_ms[CN_MAX_VALIDATORS];
    uint64_t replied_ms[CN_MAX_VALIDATORS + 1];
    uint64_t resent_ms, sync_ms;
    bool sync_wanted;
    uint64_t nullified_views, equivocations, bad_messages;
    entry **dropped; /* entries that actions may still point at; freed at the next step */
    size_t dropped_count, dropped_cap;
};

/* R13: block times are those of the wall clock, timers those of a clock that nobody sets. */
static inline uint64_t cn_wall(const cn_consensus *c)
{
    return c->now + (uint64_t)c->wall_ahead_ms;
}

/* When the wall clock will show this time; UINT64_MAX stays never. */
static inline uint64_t cn_when(const cn_consensus *c, uint64_t wall_ms)
{
    uint64_t ahead = (uint64_t)(c->wall_ahead_ms < 0 ? -c->wall_ahead_ms : c->wall_ahead_ms);
    if (wall_ms == UINT64_MAX)
        return UINT64_MAX;
    if (c->wall_ahead_ms < 0)
        return wall_ms < UINT64_MAX - ahead ? wall_ms + ahead : UINT64_MAX;
    return wall_ms > ahead ? wall_ms - ahead : 0;
}

/* step.c */
unsigned cn_leader(const cn_consensus *c, uint64_t view);
uint64_t cn_delay(const cn_consensus *c); /* D */
void cn_advance(cn_consensus *c);
void cn_stop(cn_consensus *c, const char *reason);
void cn_want_sync(cn_consensus *c);
uint64_t cn_expected_since(const cn_consensus *c); /* R7, R8: since when a proposal is due; UINT64_MAX: not */
cn_action *cn_emit(cn_consensus *c, cn_action_kind kind);
void cn_emit_send(cn_consensus *c, unsigned to, cn_buf *bytes); /* takes the buffer */
void cn_heard(cn_consensus *c, unsigned signer);
void *cn_alloc(size_t n);

/* votes.c */
slot *cn_slot(cn_consensus *c, uint64_t view);            /* makes it; view must not lie below base */
slot *cn_slot_find(const cn_consensus *c, uint64_t view); /* NULL: none */
void cn_slots_trim(cn_consensus *c);
void cn_add_vote(cn_consensus *c, const cn_vote *vote, unsigned from);
void cn_add_certificate(cn_consensus *c, const cn_certificate *cert, bool verified);
bool cn_our_epoch(const cn_consensus *c, uint64_t epoch);
cn_digest cn_signed_digest(const cn_consensus *c, uint64_t epoch, uint8_t kind, uint64_t view, const cn_digest *block);
bool cn_verify_certificate(const cn_consensus *c, const cn_certificate *cert);
void cn_try_finalize_vote(cn_consensus *c, slot *s);
void cn_answer_older_epoch(cn_consensus *c, unsigned from);
void cn_answer_request(cn_consensus *c, unsigned from, uint64_t first, uint64_t last);
void cn_resend(cn_consensus *c);
bool cn_certified(const slot *s, uint8_t kind);

/* blocks.c */
entry *cn_entry_find(const cn_consensus *c, const cn_digest *digest);
entry *cn_entry_add(cn_consensus *c, const cn_block *block, uint64_t view); /* NULL: no room or no parent */
void cn_execute_ready(cn_consensus *c);
void cn_fetch(cn_consensus *c, const cn_digest *digest);
void cn_fetch_again(cn_consensus *c);
void cn_fetch_ancestry(cn_consensus *c, const cn_digest *block);
void cn_on_block(cn_consensus *c, const cn_block *block);
void cn_on_executed(cn_consensus *c, const cn_digest *digest, bool valid, bool closing_due);
void cn_try_final(cn_consensus *c);
bool cn_descends_from_final(const cn_consensus *c, const entry *e);
void cn_set_final(cn_consensus *c, const cn_block *block, uint64_t view, uint64_t checkpoint_time_ms,
                  uint64_t checkpoint_log_size, bool closing_due);
bool cn_is_closing(const cn_consensus *c, const entry *e); /* and not final: it is proposed again until it is (R11) */
void cn_free_dropped(cn_consensus *c);
bool cn_notarized_elsewhere(const cn_consensus *c, const cn_digest *digest);

/* propose.c */
entry *cn_choose_parent(cn_consensus *c, uint64_t view, uint64_t *ret_parent_view);
void cn_try_propose(cn_consensus *c);
void cn_on_built(cn_consensus *c, const cn_event *ev);
void cn_send_proposal(cn_consensus *c, slot *s, const cn_signature *vote);
uint64_t cn_checkpoint_due_ms(const cn_consensus *c, const entry *tip);

/* accept.c */
void cn_on_proposal(cn_consensus *c, unsigned from, const uint8_t *bytes, size_t n);
void cn_try_notarize(cn_consensus *c);

/* sign.c */
bool cn_may_sign(const cn_consensus *c, uint8_t kind, uint64_t view, const cn_digest *block);
/* Asks for a signature: persists the row first unless it covers the vote already. False: may_sign said no. */
bool cn_request_signature(cn_consensus *c, uint8_t kind, uint64_t view, const cn_digest *block, bool store_body);
void cn_on_persisted(cn_consensus *c, uint64_t token);
void cn_restore_rows(cn_consensus *c, const cn_sign_row *rows, size_t count);

#endif
