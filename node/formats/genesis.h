/* The genesis file G: one JSON file whose exact bytes name the network (ledger.md, Genesis).
 *
 * { "version": 1, "name", "origin", "nonce": hex 32, "subject_salt": hex 32, "time_ms",
 *   "parameters": {"checkpoint_interval_ms", "heartbeat_ms", "block_bytes", "ballot_threshold"},
 *   "members": [{"name", "country", "roles": [...], "registrar": bool, "channel": hex 32 (X25519),
 *                "capture": {"type", "public": hex},
 *                "validator": {"vote", "evm", "receipt", "cosignature", "log"} (hex, optional)}] }
 * Unknown fields are refused at every depth. */
#ifndef CARNET_NODE_FORMATS_GENESIS_H
#define CARNET_NODE_FORMATS_GENESIS_H

#include "proto/bytes.h"
#include "proto/quorum.h"
#include "proto/state.h"
#include "proto/status.h"

typedef struct cn_genesis_member {
    char name[CN_MAX_NAME + 1];
    cn_digest id; /* T("carnet/member", name) */
    char country[3];
    uint32_t roles;
    bool registrar;
    uint8_t channel_key[32];
    cn_public_key capture_key;
    bool validator;
    cn_set_row row; /* when validator */
} cn_genesis_member;

typedef struct cn_genesis {
    cn_digest network; /* T("carnet/genesis", bytes) */
    char name[CN_MAX_NAME + 1];
    char origin[128];
    uint8_t nonce[32];
    uint8_t subject_salt[32];
    uint64_t time_ms;
    cn_state_parameters parameters;
    size_t member_count;
    cn_genesis_member *member;
    cn_validator_set set; /* rows by member id */
    cn_digest set_digest;
} cn_genesis;

/* ret is to be freed by cn_genesis_free. */
cn_status cn_genesis_parse(const void *bytes, size_t n, cn_genesis *ret, cn_err *err);
void cn_genesis_free(cn_genesis *g);
/* Writes G for these values; network, set and ids of g are ignored. */
cn_status cn_genesis_write(const cn_genesis *g, cn_buf *out, cn_err *err);

#endif
