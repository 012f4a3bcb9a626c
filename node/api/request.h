/* One HTTP request while its handler runs, and the ways to answer it. Private to node/api. */
#ifndef CARNET_NODE_API_REQUEST_H
#define CARNET_NODE_API_REQUEST_H

#include "node/api/api.h"

#include <jansson.h>
#include <microhttpd.h>
#include <stdatomic.h>

/* 1,000 statements as base64 at most; more is 413 */
#define CN_API_BODY_MAX (8u * 1024u * 1024u)
/* all requests together; more is 503 */
#define CN_API_BODIES_MAX (8u * CN_API_BODY_MAX)
#define CN_API_PATH_MAX 2048u

typedef struct cn_request {
    const cn_api_backend *backend;
    struct MHD_Connection *connection;
    char path[CN_API_PATH_MAX]; /* raw, still percent-encoded, without the query */
    bool path_too_long;
    const char *method;
    uint8_t *body;
    size_t body_len, body_cap, body_dropped, body_credit;
    atomic_size_t *bodies; /* bytes that all requests hold */
    bool body_too_large, out_of_memory;
    char argument[CN_API_PATH_MAX]; /* the decoded {…} part of the route's path */
    unsigned http_status;           /* 0 until answered */
    struct MHD_Response *response;
    size_t answer_len;
} cn_request;

const char *cn_request_query(const cn_request *r, const char *name); /* NULL: absent; "" for a bare name */
/* False when absent or malformed; a malformed number has been answered with 400 and *ret_bad is set. */
bool cn_request_query_u64(cn_request *r, const char *name, uint64_t *ret, bool *ret_bad);

void cn_reply_json(cn_request *r, unsigned http_status, json_t *json); /* takes the reference */
void cn_reply_bytes(cn_request *r, unsigned http_status, const char *type, const void *p, size_t n);
/* RFC 9457 problem document; type is "urn:carnet:problem:<status type>". */
void cn_reply_problem(cn_request *r, unsigned http_status, const cn_err *err);
/* A problem document with more members; takes the reference. */
void cn_reply_problem_json(cn_request *r, unsigned http_status, json_t *problem);
void cn_reply_error(cn_request *r, const cn_err *err);                    /* picks the HTTP status from err->code */
void cn_reply_header(cn_request *r, const char *name, const char *value); /* after a reply */
unsigned cn_http_status_of(cn_status code);

/* Strict lower-case hex digest in the path; false after answering 400. */
bool cn_request_digest(cn_request *r, const char *what, cn_digest *ret);
json_t *cn_json_digest(const cn_digest *d);
json_t *cn_json_hex(const void *p, size_t n);
json_t *cn_json_time(uint64_t ms); /* RFC 3339 with milliseconds, UTC */
json_t *cn_json_problem(const cn_err *err);

/* The audit dossier of a subject, by its canonical URI, or else of a statement. */
void cn_api_reply_audit(cn_request *r, const char *uri, const cn_digest *id);
/* What another Carnet network takes as a foreign proof of the statement. */
void cn_api_reply_foreign(cn_request *r, const cn_digest *id);

/* RFC 9942 consistency receipts from a log of `from` entries to that of the newest checkpoint. */
void cn_api_reply_consistency(cn_request *r, uint64_t from);

/* One item of a batch (query parameter item) with its path to the log. */
void cn_api_reply_item(cn_request *r, const cn_digest *id);
/* The same proofs as calls of the verifier contract. */
void cn_api_reply_evm_statement(cn_request *r, const cn_digest *id);
void cn_api_reply_evm_subject(cn_request *r, const char *uri); /* canonical */
/* The call that moves the contract on to an epoch; NULL with err. */
json_t *cn_api_view_evm_advance(cn_request *r, cn_snapshot *snap, uint64_t epoch, const cn_header *closing,
                                cn_span rows, cn_err *err);

/* Handlers, one file a family. */
void cn_api_post_statements(cn_request *r);
void cn_api_get_statement(cn_request *r);
void cn_api_get_statement_proof(cn_request *r);
void cn_api_get_subject(cn_request *r);
void cn_api_get_subject_events(cn_request *r);
void cn_api_get_subject_audit(cn_request *r);
void cn_api_get_subject_proof(cn_request *r);
void cn_api_get_block(cn_request *r);
void cn_api_get_latest_header(cn_request *r);
void cn_api_get_latest_checkpoint(cn_request *r);
void cn_api_get_checkpoint(cn_request *r);
void cn_api_post_token(cn_request *r);
void cn_api_get_epochs(cn_request *r);
void cn_api_get_policy(cn_request *r);
void cn_api_get_validators(cn_request *r);
void cn_api_get_members(cn_request *r);
void cn_api_get_devices(cn_request *r);
void cn_api_get_key(cn_request *r);
void cn_api_get_proposals(cn_request *r);
void cn_api_get_evidence(cn_request *r);
void cn_api_get_networks(cn_request *r);
void cn_api_get_advance(cn_request *r);
void cn_api_get_genesis(cn_request *r);
void cn_api_get_status(cn_request *r);
void cn_api_get_why(cn_request *r);
void cn_api_get_livez(cn_request *r);
void cn_api_get_readyz(cn_request *r);
void cn_api_get_metrics(cn_request *r);
void cn_api_get_openapi(cn_request *r);

/* The route table, also the source of the OpenAPI document.
 * X(method, prefix, suffix, has argument, handler, summary, query parameters) */
#define CN_API_ROUTES(X)                                                                                               \
    X("POST", "/v1/statements", "", false, cn_api_post_statements,                                                     \
      "Submit signed statements: one SignedStatement as application/x-protobuf, or a JSON array of base64. All are "   \
      "admitted or none.",                                                                                             \
      "wait")                                                                                                          \
    X("GET", "/v1/statements/", "/proof", true, cn_api_get_statement_proof,                                            \
      "Proof of one final statement: native (a dossier), cose (RFC 9942 receipts), tlog (C2SP), evm, foreign.",        \
      "format member item legal_basis case redact")                                                                    \
    X("GET", "/v1/statements/", "", true, cn_api_get_statement, "Status, position and content of a statement.", "")    \
    X("GET", "/v1/subjects/", "/events", true, cn_api_get_subject_events,                                              \
      "Events that declare the subject, in ledger order.", "from to type cursor limit")                                \
    X("GET", "/v1/subjects/", "/audit", true, cn_api_get_subject_audit,                                                \
      "Audit dossier (ZIP) of the subject at the checkpoint that covers all that is final.",                           \
      "legal_basis case redact")                                                                                       \
    X("GET", "/v1/subjects/", "/proof", true, cn_api_get_subject_proof,                                                \
      "Proof of the subject's completeness record, or that nothing is recorded about it: ics23, evm.", "format")       \
    X("GET", "/v1/subjects/", "", true, cn_api_get_subject, "Completeness record of the subject.", "")                 \
    X("GET", "/v1/blocks/", "", true, cn_api_get_block, "Header, finalization and statement ids of a block.", "")      \
    X("GET", "/v1/headers/latest", "", false, cn_api_get_latest_header, "Newest final header.", "")                    \
    X("GET", "/v1/checkpoints/latest", "", false, cn_api_get_latest_checkpoint,                                        \
      "Newest final checkpoint, with what validators signed; format=note: a C2SP signed note; format=cose: "           \
      "consistency.",                                                                                                  \
      "format from member")                                                                                            \
    X("POST", "/v1/checkpoints/", "/tokens", true, cn_api_post_token,                                                  \
      "Keep an RFC 3161 time token over the checkpoint's 229 header bytes (DER, a token or a response).", "")          \
    X("GET", "/v1/checkpoints/", "", true, cn_api_get_checkpoint,                                                      \
      "A final checkpoint by its height, with what validators and time authorities signed; format=note: a C2SP "       \
      "signed note.",                                                                                                  \
      "format")                                                                                                        \
    X("GET", "/v1/epochs", "", false, cn_api_get_epochs,                                                               \
      "The closing blocks that began the epochs, from the second; "                                                    \
      "format=evm: with the calls that move the verifier contract on.",                                                \
      "format")                                                                                                        \
    X("GET", "/v1/policy", "", false, cn_api_get_policy,                                                               \
      "C2SP tlog-policy of the network: f + 1 of the validators of the newest checkpoint.", "")                        \
    X("GET", "/v1/validators", "", false, cn_api_get_validators, "The validator set in force.", "")                    \
    X("GET", "/v1/members", "", false, cn_api_get_members,                                                             \
      "Members with roles and capture keys, as of the newest checkpoint.", "")                                         \
    X("GET", "/v1/devices", "", false, cn_api_get_devices,                                                             \
      "Keys of devices and gateways, as of the newest checkpoint.", "owner cursor")                                    \
    X("GET", "/v1/proposals", "", false, cn_api_get_proposals,                                                         \
      "Proposed changes of validators and roles, and who voted, as of the newest checkpoint.", "")                     \
    X("GET", "/v1/evidence", "", false, cn_api_get_evidence,                                                           \
      "Proofs of misbehaviour by validators, with what verifies them from the genesis digest alone.", "")              \
    X("GET", "/v1/networks", "", false, cn_api_get_networks,                                                           \
      "Foreign networks whose statements may be relied on here, as of the newest checkpoint.", "")                     \
    X("GET", "/v1/epochs/", "/advance", true, cn_api_get_advance,                                                      \
      "From the set of an epoch to later ones, for another network: a foreign proof of kind advance.", "")             \
    X("GET", "/v1/keys/", "", true, cn_api_get_key, "A key: owner, status and the head of its chain.", "")             \
    X("GET", "/v1/genesis", "", false, cn_api_get_genesis, "The exact bytes of the genesis file.", "")                 \
    X("GET", "/v1/status", "", false, cn_api_get_status, "What this node is and how far it is.", "")                   \
    X("GET", "/v1/why", "", false, cn_api_get_why, "Why nothing is being committed, if so.", "")                       \
    X("GET", "/v1/openapi.json", "", false, cn_api_get_openapi, "This document.", "")                                  \
    X("GET", "/livez", "", false, cn_api_get_livez, "The process runs and its consensus thread answers.", "")          \
    X("GET", "/readyz", "", false, cn_api_get_readyz, "The node takes statements and can commit them.", "verbose")     \
    X("GET", "/metrics", "", false, cn_api_get_metrics, "Prometheus text format.", "")

#endif
