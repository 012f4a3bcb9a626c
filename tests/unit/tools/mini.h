/* A ledger small enough to see through: it records what it is told, also what no honest network would, so that each
 * rule of the verifier can be met by a dossier that breaks only this one. Four validators, really signed statements,
 * real trees, a real state map; no execution rules, no store. */
#ifndef CARNET_TESTS_TOOLS_MINI_H
#define CARNET_TESTS_TOOLS_MINI_H

#include "node/formats/dossier.h"
#include "node/formats/genesis.h"
#include "proto/checkpoint.h"
#include "proto/statement.h"
#include "tools/verify/verify.h"

#define MINI_MAX 48
#define MINI_VALIDATORS 4
#define MINI_TIME 1777622400000u /* 2026-05-01T08:00:00Z */

typedef struct mini_signer {
    cn_secret_key key;
    cn_digest id, owner, previous;
    uint64_t sequence;
} mini_signer;

typedef struct mini_statement {
    cn_buf whole;
    cn_statement *decoded;
} mini_statement;

typedef struct mini_subject {
    cn_digest tag;
    cn_frontier tree;
    cn_state_subject record;
    cn_subject_leaf leaf[MINI_MAX];
} mini_subject;

typedef struct mini {
    cn_buf g;
    cn_genesis genesis;
    cn_secret_key vote[MINI_VALIDATORS];         /* in the order of the set */
    cn_checkpoint_keys sealing[MINI_VALIDATORS]; /* in the order of the set */
    const char *name[MINI_VALIDATORS];           /* in the order of the set */
    mini_signer capture[MINI_VALIDATORS];
    struct {
        cn_digest key, owner;
    } owner[MINI_MAX];
    size_t owners;
    cn_digest log[MINI_MAX]; /* leaf hashes */
    size_t log_size;
    mini_statement statement[MINI_MAX]; /* by log index */
    mini_subject subject[MINI_MAX];
    size_t subjects;
    cn_pairing pairing[MINI_MAX];
    size_t pairings;
} mini;

void mini_begin(mini *m);
void mini_end(mini *m);

cn_digest mini_tag(const mini *m, const char *uri);
mini_subject *mini_find(mini *m, const cn_digest *tag); /* NULL: nothing recorded about it */

/* Makes the record fit the leaves again after one was changed by hand. */
void mini_reroot(mini_subject *s);

/* Signs the body as the next of the signer's chain, records it, and enters it in the trees that the rules say.
 * Returns the log index. */
uint64_t mini_record(mini *m, mini_signer *signer, cn_body *body, const cn_span *items, size_t count);
/* An EPCIS document in one part, from the signer's device or office. */
uint64_t mini_document(mini *m, mini_signer *signer, const char *text);
uint64_t mini_pair(mini *m, mini_signer *signer, const char *container, const char *consignment, uint64_t start_ms,
                   uint64_t end_ms);
uint64_t mini_registry(mini *m, mini_signer *signer, const cn_registry_change *change);
cn_key_register mini_new_key(const mini *m, uint8_t seed, const cn_digest *owner, mini_signer *ret);
/* Registers a device key of the signer's member. */
mini_signer mini_device(mini *m, mini_signer *owner, uint8_t seed);

/* What goes into a dossier, open to changes before it is packed. */
typedef struct mini_parts {
    cn_dossier_kind kind;
    char scope[1024];
    cn_digest tag;
    uint64_t checkpoint;
    cn_buf genesis, certificate;
    cn_header header[4];
    size_t headers;
    struct {
        cn_digest tag;
        bool present;
        cn_buf proof;
        cn_subject_leaf leaf[MINI_MAX];
        uint64_t count;
    } subject[MINI_MAX];
    size_t subjects;
    struct {
        uint64_t index;
        cn_buf record, items;
        cn_digest path[CN_PROOF_MAX];
        size_t path_len;
    } statement[MINI_MAX];
    size_t statements;
    struct {
        cn_dossier_part_kind kind;
        uint64_t number;
        unsigned rank;
        cn_buf bytes;
    } part[MINI_MAX];
    size_t parts;
    char legal_basis[CN_DOSSIER_MAX_PURPOSE + 1];
    cn_dossier_redaction redaction[MINI_MAX];
    size_t redactions;
} mini_parts;

/* The dossier of a subject, as a node would make it; the checkpoint is followed by two linking headers. */
mini_parts *mini_parts_of(mini *m, const char *uri);
void mini_parts_free(mini_parts *p);
size_t mini_place(const mini_parts *p, uint64_t log_index);           /* in statement[] */
size_t mini_subject_place(const mini_parts *p, const cn_digest *tag); /* in subject[] */
void mini_drop_statement(mini_parts *p, uint64_t log_index);
void mini_drop_subject(mini_parts *p, const cn_digest *tag);
/* Finalize votes of the validators whose bits are set, for this block. */
void mini_certificate(const mini *m, const cn_digest *block, uint32_t signers, cn_buf *out);

/* What the validators whose bits are set signed about the checkpoint of p: the note, and for each statement of the main
 * subject its receipts and tlog-proof; in the place of what was there. */
void mini_seal(const mini *m, mini_parts *p, uint32_t signers);
cn_buf *mini_part(mini_parts *p, cn_dossier_part_kind kind, uint64_t number); /* made when it is not there */
void mini_drop_part(mini_parts *p, cn_dossier_part_kind kind, uint64_t number);
/* An earlier checkpoint with a log of size entries, and its consistency. */
cn_header mini_older(const mini *m, const mini_parts *p, uint64_t size);
void mini_add_consistency(const mini *m, mini_parts *p, const cn_header *older);

void mini_pack(const mini_parts *p, cn_buf *zip);
cn_status mini_verify(const mini *m, const mini_parts *p, cn_verify_report *ret);
cn_status mini_verify_with(const mini *m, const mini_parts *p, const cn_verify_options *options, cn_verify_report *ret);

#endif
