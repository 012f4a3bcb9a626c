/* Keys and values of the state map: fixed-width, big-endian, never empty, each beginning with its version (1).
 *
 * Key = type u8 | T("carnet/state", subject salt 32 | type u8 | id). */
#ifndef CARNET_PROTO_STATE_H
#define CARNET_PROTO_STATE_H

#include "proto/ics23.h"
#include "proto/key.h"
#include "proto/limits.h"
#include "proto/quorum.h"

/* X(constant, number, what the id is) */
#define CN_STATE_TYPES(X)                                                                                              \
    X(CN_STATE_PARAMETERS, 1, "empty")                                                                                 \
    X(CN_STATE_SET, 2, "epoch u64")                                                                                    \
    X(CN_STATE_MEMBER, 3, "member id")                                                                                 \
    X(CN_STATE_KEY, 4, "key id")                                                                                       \
    X(CN_STATE_SUBJECT, 5, "subject tag")                                                                              \
    X(CN_STATE_PAIRING, 6, "container subject tag")                                                                    \
    X(CN_STATE_SALVAGE, 7, "key id | statement id")                                                                    \
    X(CN_STATE_PROPOSAL, 8, "proposal id")                                                                             \
    X(CN_STATE_CHANGE, 9, "empty")                                                                                     \
    X(CN_STATE_FOREIGN, 10, "network id")                                                                              \
    X(CN_STATE_RELIED, 11, "network id | statement id")                                                                \
    X(CN_STATE_ERASURE, 12, "statement id of the order")                                                               \
    X(CN_STATE_PURGE, 13, "statement id of the order | member id")

typedef enum cn_state_type {
#define CN_STATE_ENUM(name, number, id) name = number,
    CN_STATE_TYPES(CN_STATE_ENUM)
#undef CN_STATE_ENUM
} cn_state_type;

cn_state_key cn_state_key_of(const uint8_t salt[32], cn_state_type type, const void *id, size_t id_len);

/* Roles of a member, a bit set. X(constant, bit, name) */
#define CN_ROLES(X)                                                                                                    \
    X(CN_ROLE_EXPORTER, 0, "exporter")                                                                                 \
    X(CN_ROLE_IMPORTER, 1, "importer")                                                                                 \
    X(CN_ROLE_BANK, 2, "bank")                                                                                         \
    X(CN_ROLE_CARRIER, 3, "carrier")                                                                                   \
    X(CN_ROLE_FORWARDER, 4, "forwarder")                                                                               \
    X(CN_ROLE_TERMINAL, 5, "terminal")                                                                                 \
    X(CN_ROLE_INSURER, 6, "insurer")                                                                                   \
    X(CN_ROLE_CUSTOMS, 7, "customs")                                                                                   \
    X(CN_ROLE_OBSERVER, 8, "observer")
typedef enum cn_role {
#define CN_ROLE_ENUM(name, bit, text) name = 1u << (bit),
    CN_ROLES(CN_ROLE_ENUM)
#undef CN_ROLE_ENUM
} cn_role;
#define CN_ROLES_ALL 0x1ffu

typedef enum cn_key_purpose { CN_PURPOSE_CAPTURE = 1, CN_PURPOSE_DEVICE = 2, CN_PURPOSE_GATEWAY = 3 } cn_key_purpose;
typedef enum cn_key_status { CN_KEY_ACTIVE = 1, CN_KEY_REVOKED = 2, CN_KEY_ROTATED = 3 } cn_key_status;

/* version u8 | interval u64 | heartbeat u64 | block bytes u32 | ballot threshold u16 */
typedef struct cn_state_parameters {
    uint64_t checkpoint_interval_ms;
    uint64_t heartbeat_ms;
    uint32_t block_bytes;
    uint16_t ballot_threshold;
} cn_state_parameters;

/* version u8 | n u8 | set digest 32. The rows themselves are in genesis and in log entry 1. */
typedef struct cn_state_set {
    uint8_t n; /* validators */
    cn_digest digest;
} cn_state_set;

/* version u8 | roles u32 | country 2 | registrar u8 | registered u64 | name length u8 | name 64, zero padded |
 * channel key 32 */
typedef struct cn_state_member {
    uint32_t roles;
    char country[3];
    bool is_registrar;   /* may register members */
    uint64_t registered; /* log index of the statement; 0 for genesis */
    char name[CN_MAX_NAME + 1];
    uint8_t channel_key[32]; /* X25519, zeros when it runs no node */
} cn_state_member;

/* version u8 | type u8 | purpose u8 | status u8 | public key 33 | owner 32 | registered u64 | ended u64 |
 * last good u64 | last sequence u64 | last statement id 32 */
typedef struct cn_state_device_key {
    cn_public_key key;
    uint8_t purpose;
    uint8_t status;
    cn_digest owner;        /* member id */
    uint64_t registered;    /* log index from which it has authority; 0 for genesis */
    uint64_t ended;         /* log index of revocation or rotation; 0 while active */
    uint64_t last_good;     /* named by the revocation */
    uint64_t last_sequence; /* head of its hash chain */
    cn_digest last_id;
} cn_state_device_key;

/* Completeness record: version-less, exactly as ledger.md: count u64 | root 32 | first height u64 | last height u64 |
 * last statement id 32, over the subject's RFC 9162 tree. */
typedef struct cn_state_subject {
    uint64_t count;
    cn_digest root;
    uint64_t first_height;
    uint64_t last_height;
    cn_digest last_id;
} cn_state_subject;
#define CN_STATE_SUBJECT_LEN 88

/* Leaf data of a subject's tree: record digest 32 | log index u64 | height u64 | time_ms u64 (the block's). */
typedef struct cn_subject_leaf {
    cn_digest record;
    uint64_t log_index;
    uint64_t height;
    uint64_t time_ms;
} cn_subject_leaf;
#define CN_SUBJECT_LEAF_LEN 56

/* version u8 | count u8 | count times (consignment tag 32 | start u64 | end u64), ascending by (tag, start) */
typedef struct cn_state_pairing_row {
    cn_digest consignment;
    uint64_t start_ms, end_ms; /* end 0: open */
} cn_state_pairing_row;
typedef struct cn_state_pairing {
    unsigned count;
    cn_state_pairing_row row[CN_MAX_PAIRINGS];
} cn_state_pairing;

/* A salvage row's value is version u8 | place in the list u32 | log index of the salvage statement u64; it is written
 * by the ledger's rules and only its presence is read. */

typedef enum cn_proposal_status {
    CN_PROPOSAL_OPEN = 1,
    CN_PROPOSAL_ACCEPTED = 2, /* waits for readiness, or for the closing block */
    CN_PROPOSAL_APPLIED = 3,
    CN_PROPOSAL_REJECTED = 4,
} cn_proposal_status;

/* version u8 | status u8 | action u8 | epoch u64 | approvals u32 | refusals u32 | ready u8 | proposer 32 | member 32 |
 * roles u32 | registrar u8 | log index u64 | row 182, zeros where there is none; of a proposal about a foreign network
 * the value that it will have (cn_state_foreign, log index 0), then zeros */
typedef struct cn_state_proposal {
    uint8_t status, action;       /* cn_proposal_status, cn_change_action of proto/statement.h */
    uint64_t epoch;               /* ballots count in it only */
    uint32_t approvals, refusals; /* bits: places in the set of that epoch */
    bool ready;                   /* the member has signed readiness */
    cn_digest proposer, member;   /* member ids; member: the network of action 5 */
    uint32_t roles;
    bool registrar;
    uint64_t log_index; /* of the proposal */
    uint8_t row[CN_SET_ROW_LEN];
} cn_state_proposal;

typedef enum cn_foreign_status { CN_FOREIGN_ACTIVE = 1, CN_FOREIGN_WITHDRAWN = 2 } cn_foreign_status;

/* version u8 | status u8 | epoch u64 | set digest 32 | height u64 | log size u64 | log index u64 | network 32 |
 * name length u8 | name 64, zero padded */
typedef struct cn_state_foreign {
    uint8_t status;     /* cn_foreign_status */
    uint64_t epoch;     /* the newest one known */
    cn_digest set;      /* of that epoch */
    uint64_t height;    /* of the closing block that began it */
    uint64_t log_size;  /* of that block */
    uint64_t log_index; /* here, of the statement that last changed this */
    cn_digest network;
    char name[CN_MAX_NAME + 1];
} cn_state_foreign;
#define CN_STATE_FOREIGN_LEN (1 + 1 + 8 + 32 + 8 + 8 + 8 + 32 + 1 + 64)

/* An order to erase items: version u8 | log index u64 | target 32 | start u32 | count u32 | n u8 | n tags of 32. */
typedef struct cn_state_erasure {
    uint64_t log_index; /* of the order */
    cn_digest target;   /* statement id of the batch */
    uint32_t start, count;
    uint8_t subject_count; /* at most CN_MAX_SUBJECTS */
    cn_digest subject[CN_MAX_SUBJECTS];
} cn_state_erasure;

/* The statement here that relies on a foreign one, or in which a member says that it has purged: version u8 |
 * statement id 32 | log index u64. */
typedef struct cn_state_relied {
    cn_digest statement;
    uint64_t log_index;
} cn_state_relied;

typedef enum cn_change_phase { CN_CHANGE_NONE = 0, CN_CHANGE_ACCEPTED = 1, CN_CHANGE_READY = 2 } cn_change_phase;

/* The set change under way, at most one: version u8 | phase u8 | proposal id 32 (zeros in phase 0). Absent: phase 0. */
typedef struct cn_state_change {
    uint8_t phase;
    cn_digest proposal;
} cn_state_change;

/* Encoders append to a value of at most CN_STATE_VALUE_MAX bytes and return its length; decoders are strict: they
 * accept only what encodes to the same bytes, and leave ret as it was otherwise. */
size_t cn_state_erasure_encode(const cn_state_erasure *v, uint8_t *out);
bool cn_state_erasure_decode(const void *p, size_t n, cn_state_erasure *ret);
size_t cn_state_parameters_encode(const cn_state_parameters *v, uint8_t *out);
bool cn_state_parameters_decode(const void *p, size_t n, cn_state_parameters *ret);
size_t cn_state_set_encode(const cn_state_set *v, uint8_t *out);
bool cn_state_set_decode(const void *p, size_t n, cn_state_set *ret);
size_t cn_state_member_encode(const cn_state_member *v, uint8_t *out);
bool cn_state_member_decode(const void *p, size_t n, cn_state_member *ret);
size_t cn_state_key_encode(const cn_state_device_key *v, uint8_t *out);
bool cn_state_key_decode(const void *p, size_t n, cn_state_device_key *ret);
size_t cn_state_subject_encode(const cn_state_subject *v, uint8_t *out);
bool cn_state_subject_decode(const void *p, size_t n, cn_state_subject *ret);
size_t cn_state_pairing_encode(const cn_state_pairing *v, uint8_t *out);
bool cn_state_pairing_decode(const void *p, size_t n, cn_state_pairing *ret);
size_t cn_state_proposal_encode(const cn_state_proposal *v, uint8_t *out);
bool cn_state_proposal_decode(const void *p, size_t n, cn_state_proposal *ret);
size_t cn_state_foreign_encode(const cn_state_foreign *v, uint8_t *out);
bool cn_state_foreign_decode(const void *p, size_t n, cn_state_foreign *ret);
size_t cn_state_relied_encode(const cn_state_relied *v, uint8_t *out);
bool cn_state_relied_decode(const void *p, size_t n, cn_state_relied *ret);
size_t cn_state_change_encode(const cn_state_change *v, uint8_t *out);
bool cn_state_change_decode(const void *p, size_t n, cn_state_change *ret);
void cn_subject_leaf_encode(const cn_subject_leaf *leaf, uint8_t out[CN_SUBJECT_LEAF_LEN]);
bool cn_subject_leaf_decode(const void *p, size_t n, cn_subject_leaf *ret);

#endif
