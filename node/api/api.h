/* The HTTP API of a node (docs/http-api.md): libmicrohttpd in front, a backend behind.
 *
 * The API reads LMDB snapshots on its own threads and asks the backend for everything that lives in the consensus
 * thread. It never blocks that thread. It binds to loopback only: there is no access control yet. */
#ifndef CARNET_NODE_API_API_H
#define CARNET_NODE_API_API_H

#include "proto/digest.h"
#include "proto/state.h"
#include "proto/status.h"
#include "storage/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum cn_statement_phase {
    CN_PHASE_UNKNOWN,
    CN_PHASE_PENDING,
    CN_PHASE_FINAL,
    CN_PHASE_REFUSED
} cn_statement_phase;

typedef struct cn_submit_result {
    cn_digest id;
    cn_statement_phase phase;
    uint64_t height, log_index, time_ms; /* when final */
    cn_err err;                          /* when refused */
} cn_submit_result;

typedef struct cn_api_key_head {
    bool known;
    cn_state_device_key key;   /* at the tip */
    uint64_t pending_sequence; /* newest sequence waiting in this node's pool, or key.last_sequence */
    cn_digest pending_id;
} cn_api_key_head;

typedef struct cn_api_backend {
    void *ctx;
    cn_store *store;
    /* Admits all statements or none. Waits for finality up to wait_ms (0: does not wait). CN_FULL: retry later. A
     * refusal of one statement is in its result and refuses the others too. */
    cn_status (*submit)(void *ctx, const cn_span *statements, size_t count, uint64_t wait_ms, cn_submit_result *results,
                        cn_err *err);
    /* Pending or recently refused on this node; CN_PHASE_UNKNOWN otherwise. Final ones are found in the store. */
    cn_statement_phase (*phase)(void *ctx, const cn_digest *id, cn_err *ret_reason);
    cn_status (*key_head)(void *ctx, const cn_digest *key_id, cn_api_key_head *ret);
    json_t *(*status)(void *ctx); /* new reference */
    json_t *(*why)(void *ctx);    /* new reference */
    /* Name of the validator at a place in the set of the epoch, "" where there is none. */
    void (*validator_name)(void *ctx, uint64_t epoch, unsigned place, char ret[CN_MAX_NAME + 1]);
    bool (*is_validator)(void *ctx, const cn_digest *member); /* of the set in force */
    bool (*ready)(void *ctx, json_t *checks);                 /* fills {"name": "ok" or a reason} */
    /* Waits until the newest checkpoint covers every statement that is final now; false after wait_ms. */
    bool (*wait_checkpoint)(void *ctx, uint64_t wait_ms);
    void (*metrics)(void *ctx, char **ret_text, size_t *ret_len); /* Prometheus text; freed by the API */
    cn_digest network;
    const uint8_t *subject_salt; /* 32 bytes */
    const char *origin;          /* of genesis: names the log in proofs */
    cn_span time_authorities;    /* PEM; empty: no time tokens are taken */
    cn_span audit_page;          /* HTML that goes into each dossier as verify.html; empty: none */
} cn_api_backend;

typedef struct cn_api cn_api;

/* address: "127.0.0.1:8080" or "[::1]:8080"; anything but loopback is CN_DENIED. Port 0 picks one. */
cn_status cn_api_start(const char *address, const cn_api_backend *backend, cn_api **ret, cn_err *err);
uint16_t cn_api_port(const cn_api *api);
void cn_api_stop(cn_api *api); /* waits for requests under way; NULL is fine */

#endif
