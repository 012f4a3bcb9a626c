/* Offline verification of audit dossiers, from the genesis digest alone (docs/audit-format.md).
 *
 * Every step has its own verdict; the first fault of a step is kept with where it was found. Steps that could not be
 * taken because an earlier one failed say so. Nothing here opens a socket or a database. */
#ifndef CARNET_TOOLS_VERIFY_VERIFY_H
#define CARNET_TOOLS_VERIFY_VERIFY_H

#include "proto/bytes.h"
#include "proto/digest.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(constant, name, what it says when it holds) */
#define CN_VERIFY_STEPS(X)                                                                                             \
    X(CN_STEP_CONTAINER, "container", "the file is whole and in its one accepted form")                                \
    X(CN_STEP_GENESIS, "genesis", "the genesis in it has the digest given")                                            \
    X(CN_STEP_EPOCH_CHAIN, "epoch-chain", "the validators follow from those of genesis, change by change")             \
    X(CN_STEP_QUORUM, "quorum", "a quorum of those validators made the checkpoint final")                              \
    X(CN_STEP_INCLUSION, "inclusion", "each statement lies at its place in the log")                                   \
    X(CN_STEP_SIGNATURE, "signature", "each statement is signed by the key it names")                                  \
    X(CN_STEP_ITEM_ROOT, "item-root", "the items are those that were signed")                                          \
    X(CN_STEP_AUTHORITY, "authority", "each key was registered and not ended when it signed")                          \
    X(CN_STEP_HASH_CHAIN, "hash-chain", "the statements of each key continue each other")                              \
    X(CN_STEP_COMPLETENESS, "completeness", "nothing recorded about the subjects in it is left out")                   \
    X(CN_STEP_REGISTRY_CLOSURE, "registry-closure",                                                                    \
      "what is recorded about every key that signed is here, back to genesis")                                         \
    X(CN_STEP_PAIRING, "pairing", "the containers tied to the consignment are here, and their events are counted")     \
    X(CN_STEP_DECLARED_SUBJECTS, "declared-subjects", "what the readable items name is what their signer declared")    \
    X(CN_STEP_CONSISTENCY, "consistency", "the log continues the logs of the earlier checkpoints in it")               \
    X(CN_STEP_REDACTIONS, "redactions", "every item that is not readable here is named as left out or erased")         \
    X(CN_STEP_RECEIPTS, "receipts", "validators signed the checkpoint for other verifiers, with their own keys")       \
    X(CN_STEP_EPOCH_ANCHOR, "epoch-anchor", "the chain of validators leads through a block known from elsewhere")      \
    X(CN_STEP_WITNESS_POLICY, "witness-policy", "those that the policy asks for signed the checkpoint")                \
    X(CN_STEP_TIME, "time", "the times are witnessed from outside the network")                                        \
    X(CN_STEP_REPORT, "report", "the readable report says what the dossier holds")
/* Steps before this one are required. The others count where the caller asks for them, and always when they fail. */
#define CN_VERIFY_REQUIRED CN_STEP_RECEIPTS

typedef enum cn_verify_step {
#define CN_STEP_ENUM(name, text, good) name,
    CN_VERIFY_STEPS(CN_STEP_ENUM)
#undef CN_STEP_ENUM
        CN_STEP_COUNT
} cn_verify_step;
const char *cn_verify_step_name(cn_verify_step step);
const char *cn_verify_step_text(cn_verify_step step);

typedef enum cn_verdict { CN_VERDICT_OK, CN_VERDICT_FAILED, CN_VERDICT_NOT_CHECKED } cn_verdict;

typedef struct cn_verify_result {
    cn_verdict verdict;
    cn_err err;      /* failed: where and why; not checked: why not */
    uint64_t faults; /* how many places failed */
} cn_verify_result;

#define CN_VERIFY_ERASURES 32u
#define CN_VERIFY_ATTESTED 32u
typedef struct cn_verify_erasure { /* an order that is in the dossier */
    cn_digest order, batch;        /* statement ids */
    uint64_t log_index;            /* of the order */
    uint32_t first_item, item_count, reason;
    size_t attested; /* members who say that their nodes have erased it: at most CN_VERIFY_ATTESTED are told */
    cn_digest member[CN_VERIFY_ATTESTED];
} cn_verify_erasure;

typedef struct cn_verify_report {
    bool accepted; /* no step failed, and those that are required or asked for hold */
    cn_verify_result step[CN_STEP_COUNT];
    /* what it is about; filled as far as the container could be read */
    char subject[2048];
    bool absent; /* nothing is recorded about the subject up to the checkpoint */
    uint64_t checkpoint_height, checkpoint_time_ms;
    uint64_t statements;         /* in the dossier */
    uint64_t subject_statements; /* of the subject */
    uint64_t items, unreadable_items, erased_items, redacted_items;
    size_t erasures; /* the first so many orders, in the order of the log */
    cn_verify_erasure erasure[CN_VERIFY_ERASURES];
    uint64_t witnessed_ms;    /* a trusted time authority says that the checkpoint existed then; 0: none */
    char time_authority[256]; /* its name */
    bool has_page;            /* verify.html is in it; it proves nothing, and is for people who know its digest */
    cn_digest page;           /* its SHA-256 */
} cn_verify_report;

typedef struct cn_verify_anchor { /* a final block that the caller knows from elsewhere */
    uint64_t height;
    cn_digest block;
} cn_verify_anchor;

/* What the caller asks for beyond the required steps; all zeros: nothing. Memory stays the caller's. */
typedef struct cn_verify_options {
    unsigned signatures; /* validators whose receipts and cosignatures must be there; 0: f + 1 where there are any */
    const cn_verify_anchor *anchor; /* at least one must be in the dossier, none may differ */
    size_t anchor_count;
    cn_span policy; /* C2SP tlog-policy text that the checkpoint's note must satisfy */
    cn_span
        note; /* a signed note of the same checkpoint with more cosignatures, for the policy; empty: the dossier's */
    cn_span tsa_ca; /* PEM certificates of the time authorities that are trusted */
} cn_verify_options;

/* Always fills the report; returns CN_OK when accepted, else the status of the first step in the way. options may be
 * NULL.
 */
cn_status cn_verify_dossier(const void *zip, size_t n, const cn_digest *network, const cn_verify_options *options,
                            cn_verify_report *ret);

#endif
