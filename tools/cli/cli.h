/* What the commands of `carnet` share: options, errors, files, the HTTP client. Private to tools/cli.
 * Exit status: 0 good, 1 the answer is no, 2 wrong use or unreadable input. */
#ifndef CARNET_TOOLS_CLI_CLI_H
#define CARNET_TOOLS_CLI_CLI_H

#include "proto/bytes.h"
#include "proto/key.h"
#include "proto/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum { EXIT_GOOD = 0, EXIT_NO = 1, EXIT_USE = 2 };

/* ---- options ---- */
typedef struct cli_option {
    const char *name; /* "--dir" */
    bool flag;        /* without a value */
    bool required;
    const char *help;
    const char *value; /* filled: the value, or "yes" for a flag; NULL: absent */
} cli_option;

typedef struct cli_args {
    cli_option *option; /* ends with a NULL name */
    int count;          /* positional arguments */
    char **positional;
} cli_args;

/* Parses argv (after the command's name); prints the problem and the usage. False: leave with *ret_status. */
bool cli_parse(int argc, char **argv, const char *usage, cli_option *options, cli_args *ret, int *ret_status);
const char *cli_value(const cli_args *a, const char *name);
bool cli_flag(const cli_args *a, const char *name);
bool cli_number(const cli_args *a, const char *name, uint64_t initial, uint64_t min, uint64_t max, uint64_t *ret);

/* ---- talking ---- */
int cli_complain(int status, const cn_err *err); /* "carnet: field: text" on stderr; returns status */
int cli_say(int status, const char *format, ...) __attribute__((format(printf, 2, 3))); /* to stderr, as above */
void cli_print_json(json_t *json); /* takes the reference; to stdout */

/* ---- files ---- */
cn_status cli_read_file(const char *path, size_t max, cn_buf *ret, cn_err *err);
/* Writes atomically (new file, sync, rename); mode 0600 for secrets. */
cn_status cli_write_file(const char *path, const void *p, size_t n, unsigned mode, cn_err *err);
cn_status cli_read_key(const char *path, cn_key_file *ret, cn_err *err); /* checks 0600 */

/* ---- HTTP ---- */
#define CLI_ANSWER_MAX ((size_t)1 << 30)
typedef struct cli_answer {
    long status;
    cn_buf body;
    unsigned retry_after; /* seconds */
} cli_answer;
void cli_http_begin(void);
/* body NULL: GET. err: the node cannot be reached. ret is freed by cli_answer_free. */
cn_status cli_http(const char *api, const char *path, const char *content_type, const void *body, size_t n,
                   unsigned timeout_s, cli_answer *ret, cn_err *err);
void cli_answer_free(cli_answer *a);
/* GET of a JSON document; a problem document or another status fills err. */
cn_status cli_get_json(const char *api, const char *path, json_t **ret, cn_err *err);
cn_status cli_problem(const cli_answer *a, cn_err *err);
/* Percent-encodes everything but unreserved characters. */
bool cli_encode(const char *text, char *out, size_t cap);

bool cli_parse_roles(const char *text, uint32_t *ret); /* "forwarder,insurer" to the bit set of proto/state.h */

/* ---- commands ---- */
/* X(name, function, summary) */
#define CLI_COMMANDS(X)                                                                                                \
    X("testnet", cmd_testnet, "a network on this machine: up, down, reset, status, start, stop, kill, init")           \
    X("submit", cmd_submit, "sign documents and submit them to a node")                                                \
    X("query", cmd_query, "what is recorded about a subject")                                                          \
    X("audit", cmd_audit, "fetch the audit dossier of a subject")                                                      \
    X("verify", cmd_verify, "verify a dossier offline, from the genesis digest alone")                                 \
    X("export", cmd_export, "fetch the proof of one statement")                                                        \
    X("witness", cmd_witness, "ask a witness (C2SP tlog-witness) to cosign the newest checkpoint")                     \
    X("timestamp", cmd_timestamp, "ask a time authority (RFC 3161) about checkpoints, for the node to keep")           \
    X("status", cmd_status, "what a node is and how far it is")                                                        \
    X("why", cmd_why, "why nothing is being committed")                                                                \
    X("device", cmd_device, "keys of devices: register, rotate, revoke, gap, salvage")                                 \
    X("propose", cmd_propose,                                                                                          \
      "propose a change of the validators, of roles or networks: join, leave, rotate, roles, foreign, list, show")     \
    X("ballot", cmd_ballot, "vote on a proposal")                                                                      \
    X("ready", cmd_ready, "say that a node which joins, or rotates its keys, is synced")                               \
    X("foreign", cmd_foreign, "other Carnet networks: prove, submit, advance, list")                                   \
    X("erase", cmd_erase, "order that items which your member signed are erased on every node")                        \
    X("evidence", cmd_evidence, "proofs of misbehaviour by validators: export, verify")                                \
    X("member", cmd_member, "members: list, register")                                                                 \
    X("keygen", cmd_keygen, "make a key file")                                                                         \
    X("fsck", cmd_fsck, "check a ledger on disk: every hash, both trees, all indexes")                                 \
    X("compact", cmd_compact, "copy a ledger on disk without what was erased")                                         \
    X("config", cmd_config, "check a configuration file")                                                              \
    X("bench", cmd_bench, "measure a network and the machine's limits in one run")
#define CLI_DECLARE(name, function, summary) int function(int argc, char **argv);
CLI_COMMANDS(CLI_DECLARE)
#undef CLI_DECLARE

#endif
