/* What the files of tools/verify share. Private.
 *
 *   verify.c    the steps in order      keys.c     which key had authority where
 *   trees.c     completeness            content.c  what the items themselves name
 *   pairings.c  ties of containers      governance.c  what members decided by ballot
 *   foreign.c   other networks, and proofs from them
 *   outside.c   receipts, notes, earlier checkpoints, anchors
 *   erasure.c   what was erased or left out
 *   time.c      time tokens             report.c   the readable page */
#ifndef CARNET_TOOLS_VERIFY_INTERNAL_H
#define CARNET_TOOLS_VERIFY_INTERNAL_H

#include "node/formats/dossier.h"
#include "node/formats/genesis.h"
#include "proto/epoch.h"
#include "proto/foreign.h"
#include "proto/statement.h"
#include "tools/verify/verify.h"

typedef struct known_key {
    cn_digest id, owner;
    cn_public_key key;
    uint32_t purpose;
    uint64_t ended; /* log index; 0: active */
    bool revoked;
    cn_digest *salvaged;
    size_t salvaged_count;
    bool chain_known;
    uint64_t sequence; /* newest statement seen */
    cn_digest last_id;
} known_key;

typedef struct decision {
    cn_digest id;
    const cn_proposal_payload *proposal; /* in its statement */
    bool seen;                           /* it is at or before the statement that is looked at */
    uint64_t epoch;
    uint32_t approvals, refusals; /* by place in the set of the epoch */
    bool waiting;                 /* accepted, and not in force yet: ballots may be changed */
    bool closed;                  /* applied or rejected: no more ballots */
} decision;

typedef struct appointment {
    cn_digest member;
    bool registrar;
} appointment;

typedef struct foreign_network {
    cn_digest id;
    bool known; /* a ballot has let it in */
    cn_state_foreign state;
} foreign_network;

typedef struct reliance { /* a foreign statement that a statement here relies on */
    cn_digest network, statement;
    uint64_t log_index;
} reliance;

typedef struct declared { /* subjects that a statement declares, ascending, each once */
    cn_digest *tag;
    size_t count;
} declared;

typedef struct link { /* an event of the statement falls into a tie with the subject; both by place in the dossier */
    uint32_t place, subject;
} link;

typedef struct verifier {
    cn_verify_report *report;
    cn_dossier dossier;
    cn_genesis genesis;
    bool has_genesis;
    cn_epoch epoch;           /* of the checkpoint, once the chain was followed */
    cn_statement **statement; /* by place in the dossier; NULL: does not decode */
    bool exhausted;           /* memory was: nothing is accepted */
    known_key *key;
    uint32_t *key_by_id; /* places in key[], ascending by id */
    size_t key_count, key_cap;
    decision *decision; /* every proposal, ascending by id */
    size_t decision_count;
    appointment *appointment; /* in the order of the log; the last about a member holds */
    size_t appointment_count;
    foreign_network *network; /* that proposals name, ascending by id; as of the statement that is looked at */
    size_t network_count;
    reliance *reliance;
    size_t reliance_count, reliance_cap;
    size_t *pairing; /* places of pairing statements, ascending */
    size_t pairing_count;
    declared *declared; /* by place, of statements that are no event batches */
    link *link;         /* ascending */
    size_t link_count, link_cap;
    size_t *order; /* places of orders to erase, by statement id */
    size_t order_count;
    bool ends_witnessed; /* trusted time tokens say that each closing block was there soon after its time */
} verifier;

void verify_fault(verifier *v, cn_verify_step step, cn_status code, const char *where, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void verify_where(const verifier *v, size_t place, char out[96]); /* "statements/…42.bin" */

void verify_not_checked(verifier *v, cn_verify_step step, const char *why);
/* realloc for count members; NULL: the old ones stay, and v->exhausted is set. */
void *verify_grow(verifier *v, void *p, size_t count, size_t size);

known_key *verify_find_key(const verifier *v, const cn_digest *id);
/* Signatures, authority and chains, in ascending log order. */
void verify_keys(verifier *v);
void verify_keys_free(verifier *v);
void verify_collect_decisions(verifier *v); /* before the others of governance and foreign */
/* Proposals, ballots and readiness, in ascending log order; nothing for others. */
void verify_governance(verifier *v, const cn_statement *s, const known_key *signer, uint64_t index, const char *where);
void verify_governance_free(verifier *v);
bool verify_is_registrar(const verifier *v, const cn_digest *member); /* by what was decided so far */
/* A proposal about another network, of those that are here. */
bool verify_is_about_network(const verifier *v, const cn_digest *proposal);
/* Its authority rests on what members decided, also on what they did not: that tree must be here. */
bool verify_leans_on_governance(const verifier *v, const cn_statement *s);
/* Proofs from other networks and how those move on; nothing for others. */
void verify_foreign(verifier *v, const cn_statement *s, const known_key *signer, uint64_t index, const char *where);
void verify_foreign_decided(verifier *v, const cn_proposal_payload *p, uint64_t index, const char *where);
void verify_collect_networks(verifier *v);
void verify_replays(verifier *v); /* after all of them */
void verify_foreign_free(verifier *v);
/* Every subject file, and that the closure is whole. */
void verify_trees(verifier *v);
const cn_dossier_subject *verify_find_subject(const verifier *v, const cn_digest *tag); /* NULL: not here */
bool verify_is_leaf(const cn_dossier_subject *s, uint64_t log_index);
void verify_collect_pairings(verifier *v);
void verify_pairings(verifier *v);
void verify_pairings_free(verifier *v);
/* An event of the statement falls into a tie of its container with the consignment, as the ties stood there. */
bool verify_is_tied(const verifier *v, size_t place, const cn_dossier_subject *consignment);
/* Orders to erase, and members that say they have. */
void verify_erasure(verifier *v, const cn_statement *s, const known_key *signer, const char *where);
void verify_collect_orders(verifier *v);
const cn_statement *verify_find_order(const verifier *v, const cn_digest *id); /* NULL: not here */
void verify_redactions(verifier *v);
bool verify_in_scope(const verifier *v, size_t place); /* the statement is one that the dossier is about */
void verify_content(verifier *v);
void verify_consistency(verifier *v);
/* These tell whether there was something to check; if not they said why. */
bool verify_receipts(verifier *v, const cn_verify_options *options);
bool verify_time(verifier *v, const cn_verify_options *options); /* before the anchors */
bool verify_policy(verifier *v, const cn_verify_options *options);
bool verify_report_page(verifier *v);
bool verify_anchors(verifier *v, const cn_verify_options *options);
/* Does the statement declare the subject by itself? (Registry statements: their keys and members.) */
bool verify_declares(const verifier *v, size_t place, const cn_digest *tag);
void verify_trees_free(verifier *v);
/* The entries about this subject, which lie together; NULL: none. */
const cn_batch_entry *verify_entries_of(const cn_event_batch *batch, const cn_digest *tag, size_t *ret_count);

#endif
