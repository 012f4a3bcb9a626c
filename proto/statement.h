/* Signed statements: strict decoding, digests, building.
 *
 * A statement is decoded once into caller-visible read-only structures that point into one owned copy of its bytes.
 * Decoding order: byte caps, protobuf into a budgeted arena, then the bytes must re-pack identically, then every
 * field's rule. It does not verify the signature (cn_statement_verify) nor the items (cn_statement_check_items):
 * these cost time and have their own place. */
#ifndef CARNET_PROTO_STATEMENT_H
#define CARNET_PROTO_STATEMENT_H

#include "proto/bytes.h"
#include "proto/digest.h"
#include "proto/key.h"
#include "proto/limits.h"
#include "proto/quorum.h"
#include "proto/status.h"

typedef enum cn_payload_kind {
    CN_PAYLOAD_EVENT_BATCH = 16, /* the field numbers of StatementBody.payload */
    CN_PAYLOAD_REGISTRY = 17,
    CN_PAYLOAD_PAIRING = 18,
    CN_PAYLOAD_DOCUMENT = 19,
    CN_PAYLOAD_PROPOSAL = 20,
    CN_PAYLOAD_BALLOT = 21,
    CN_PAYLOAD_READINESS = 22,
    CN_PAYLOAD_ERASURE = 23,
    CN_PAYLOAD_PURGE = 24,
    CN_PAYLOAD_FOREIGN = 25,
} cn_payload_kind;

typedef enum cn_registry_op { /* the field numbers of RegistryChange.change */
                              CN_REG_KEY_REGISTER = 1,
                              CN_REG_KEY_ROTATE = 2,
                              CN_REG_KEY_REVOKE = 3,
                              CN_REG_KEY_GAP = 4,
                              CN_REG_KEY_SALVAGE = 5,
                              CN_REG_MEMBER_REGISTER = 6,
                              CN_REG_CHANNEL_KEY = 7,
} cn_registry_op;

typedef struct cn_batch_entry {
    cn_digest subject;
    uint32_t start, count;
    uint64_t first_ms, last_ms;
} cn_batch_entry;

typedef struct cn_event_batch {
    cn_digest items_root;
    uint32_t item_count;
    size_t entry_count;
    cn_batch_entry *entry;
} cn_event_batch;

typedef struct cn_key_register {
    cn_public_key key;
    uint32_t purpose; /* cn_key_purpose of proto/state.h */
    cn_signature possession;
} cn_key_register;

typedef struct cn_registry_change {
    cn_registry_op op;
    cn_digest key_id;        /* rotate, revoke, gap, salvage */
    cn_key_register new_key; /* register, rotate, member register */
    uint64_t sequence;       /* revoke: last good; gap: s */
    cn_digest previous;      /* gap: h */
    uint32_t reason;         /* revoke, gap */
    size_t salvaged_count;
    cn_digest *salvaged;        /* salvage: statement ids */
    char name[CN_MAX_NAME + 1]; /* member register */
    char country[3];
    uint32_t roles;
    uint8_t channel_key[32];
} cn_registry_change;

typedef struct cn_pairing {
    cn_digest container, consignment; /* subject tags */
    uint64_t start_ms, end_ms;        /* end 0: open */
} cn_pairing;

typedef struct cn_document_anchor {
    cn_digest digest;
    uint64_t size;
    uint32_t kind;
    uint64_t issued_ms;
    size_t subject_count;
    cn_digest *subject;
} cn_document_anchor;

/* ---- membership (R11) ---- */
typedef enum cn_change_action {
    CN_CHANGE_JOIN = 1,
    CN_CHANGE_LEAVE = 2,
    CN_CHANGE_ROTATE = 3,
    CN_CHANGE_ROLES = 4,
    CN_CHANGE_FOREIGN = 5,
} cn_change_action;

/* Another network, as far as its chain of validators is known (docs/foreign-proofs.md). */
typedef struct cn_foreign_network {
    char name[CN_MAX_NAME + 1];
    uint64_t epoch;    /* the newest one known */
    cn_digest set;     /* digest of its set */
    uint64_t height;   /* of the closing block that began it; 0 for the first */
    uint64_t log_size; /* of that block */
    bool withdraw;     /* then the rest is empty */
} cn_foreign_network;

#define CN_ROW_KEYS 4 /* vote, receipt, cosignature, log */

typedef struct cn_proposal_payload {
    cn_change_action action;
    cn_digest member; /* foreign: the network's id */
    cn_set_row row;   /* join, rotate; its member is `member` */
    cn_signature possession[CN_ROW_KEYS];
    uint32_t roles; /* roles */
    bool registrar;
    cn_foreign_network foreign; /* foreign */
} cn_proposal_payload;

typedef struct cn_ballot_payload {
    cn_digest proposal, member;
    bool approve;
} cn_ballot_payload;

typedef struct cn_readiness_payload {
    cn_digest proposal, member;
    uint64_t height;
    cn_digest block;
    cn_signature signature;
} cn_readiness_payload;

/* ---- foreign proofs ---- */
typedef struct cn_foreign_payload {
    cn_span proof; /* read by cn_foreign_read (proto/foreign.h): its layout has been checked, nothing else */
    uint8_t kind;  /* cn_foreign_kind */
    cn_digest network;
    size_t subject_count; /* of a statement's proof: at least one */
    cn_digest *subject;
} cn_foreign_payload;

/* ---- erasure ---- */
#define CN_ERASURE_REASONS 4u

typedef struct cn_erasure_payload {
    cn_span record;                          /* of the batch; what follows is read from it */
    cn_digest target, record_digest, key_id; /* its statement id, SHA-256 of the record, who signed it */
    uint32_t start, count, reason;
    size_t subject_count; /* of the entries that cover these items */
    cn_digest *subject;   /* ascending, each once */
} cn_erasure_payload;

typedef struct cn_purge_payload {
    cn_digest erasure;
} cn_purge_payload;

typedef struct cn_body {
    uint32_t version;
    cn_digest network;
    cn_digest key_id;
    uint64_t sequence;
    cn_digest previous;
    uint64_t created_ms;
    cn_payload_kind kind;
    union {
        cn_event_batch batch;
        cn_registry_change registry;
        cn_pairing pairing;
        cn_document_anchor document;
        cn_proposal_payload proposal;
        cn_ballot_payload ballot;
        cn_readiness_payload readiness;
        cn_foreign_payload foreign;
        cn_erasure_payload erasure;
        cn_purge_payload purge;
    };
} cn_body;

typedef struct cn_statement {
    cn_body body;
    cn_span body_bytes;      /* exact bytes of field 1 */
    cn_span signature;       /* 64 bytes */
    cn_span record;          /* exact protobuf bytes of fields 1 and 2 only: a prefix of `whole` */
    cn_span whole;           /* the SignedStatement as it travels */
    size_t item_count;       /* items present; 0 in a bare record */
    cn_span *item;           /* format u8 | salt 16 | content */
    cn_digest id;            /* T("carnet/statement-id", body) */
    cn_digest record_digest; /* SHA-256(record) */
} cn_statement;

/* Decodes one SignedStatement, or a bare record. Copies the bytes. *ret is freed by cn_statement_free (NULL is fine).
 */
cn_status cn_statement_decode(const void *p, size_t n, cn_statement **ret, cn_err *err);
void cn_statement_free(cn_statement *s);
/* Signature over T("carnet/statement", network | body), with the given key; the key id must be body.key_id. */
cn_status cn_statement_verify(const cn_statement *s, const cn_public_key *key, cn_err *err);
cn_digest cn_statement_signing_digest(const cn_digest *network, const void *body, size_t n);
/* As many items as were signed are there, of known formats, and their root is items_root. An erased one counts by the
 * leaf hash in its place. Statements without a batch have none. */
cn_status cn_statement_check_items(const cn_statement *s, cn_err *err);
/* The same, and none is erased: a vote for them needs their content. */
cn_status cn_statement_check_whole(const cn_statement *s, cn_err *err);
/* An order's batch is signed by its key (proto/carnet.proto, Erasure). */
cn_status cn_erasure_verify(const cn_erasure_payload *e, const cn_digest *network, const cn_public_key *key,
                            cn_err *err);
cn_digest cn_item_leaf(const void *item, size_t n); /* SHA-256(0x00 | item) */

/* ---- items ---- */
typedef enum cn_item_format {
    CN_ITEM_ERASED = 0,   /* format | leaf hash 32: content and salt were erased */
    CN_ITEM_NATIVE = 1,   /* carnet.v1.Reading protobuf (later), kept */
    CN_ITEM_EPCIS = 2,    /* one EPCIS 2.0 JSON-LD event, exact bytes */
    CN_ITEM_DCSA = 3,     /* DCSA JSON as received */
    CN_ITEM_UNCEFACT = 4, /* UN/CEFACT JSON as received */
    CN_ITEM_SEALED = 5,
    CN_ITEM_ENVELOPE = 6, /* a document without the spans of its events (docs/formats-epcis.md) */
} cn_item_format;
#define CN_ITEM_ERASED_LEN 33u
bool cn_item_is_erased(const void *item, size_t n);
void cn_item_erase(const void *item, size_t n,
                   uint8_t ret[CN_ITEM_ERASED_LEN]); /* what stands in its place; erased twice is the same */
bool cn_items_any_erased(cn_span items);             /* in field 3 bytes; false for what does not read */
/* Field 3 bytes of a statement with these items erased. *ret_changed: some were not yet. CN_NOT_FOUND: no such items.
 */
cn_status cn_items_erase(cn_span items, uint32_t start, uint32_t count, cn_buf *out, bool *ret_changed, cn_err *err);
/* salt = first 16 bytes of HMAC-SHA256(secret, format | content) */
void cn_item_salt(const uint8_t secret[32], uint8_t format, const void *content, size_t n, uint8_t ret_salt[16]);
/* Appends format | salt | content. */
void cn_item_write(cn_buf *out, const uint8_t secret[32], uint8_t format, const void *content, size_t n);

/* ---- building (signers) ---- */
/* Encodes the body canonically, signs it, appends SignedStatement bytes with the items to out. body->network, key_id,
 * sequence, previous, created_ms and the payload are the caller's; version is set to 1. For an event batch items_root
 * and item_count are computed from items. ret_id (may be NULL) gets the statement id. */
cn_status cn_statement_sign(cn_body *body, const cn_span *items, size_t item_count, const cn_secret_key *key,
                            cn_buf *out, cn_digest *ret_id, cn_err *err);
cn_digest cn_possession_digest(const cn_digest *network, const cn_digest *owner, const cn_digest *key_id);
cn_digest cn_readiness_digest(const cn_digest *network, const cn_digest *proposal, uint64_t height,
                              const cn_digest *block);
/* The keys of a row, in the order of Proposal.possession. */
void cn_set_row_keys(const cn_set_row *row, cn_public_key ret[CN_ROW_KEYS]);

/* ---- digests of names ---- */
cn_digest cn_network_id(const void *genesis, size_t n);            /* T("carnet/genesis", G) */
cn_digest cn_member_id(const char *name);                          /* T("carnet/member", name) */
cn_digest cn_subject_tag(const uint8_t salt[32], const char *uri); /* T("carnet/subject", salt | canonical URI) */
cn_digest cn_key_subject(const uint8_t salt[32], const cn_digest *key_id);    /* urn:carnet:key:<hex of key id> */
cn_digest cn_governance_subject(const uint8_t salt[32]);                      /* urn:carnet:governance */
cn_digest cn_erasures_subject(const uint8_t salt[32]);                        /* urn:carnet:erasures */
cn_digest cn_member_subject(const uint8_t salt[32], const cn_digest *member); /* urn:carnet:member:<hex of member id> */
cn_digest cn_network_subject(const uint8_t salt[32], const cn_digest *network); /* urn:carnet:network:<hex> */
cn_digest cn_document_subject(const uint8_t salt[32], const cn_digest *sha256); /* urn:carnet:document:<hex> */

#endif
