/* Signing as one key: the head of its chain, and the journal that makes a resubmission the same statement. */
#ifndef CARNET_TOOLS_CLI_SIGNER_H
#define CARNET_TOOLS_CLI_SIGNER_H

#include "proto/statement.h"
#include "tools/cli/cli.h"

typedef struct cli_signer {
    const char *api;
    char journal[4200]; /* <key file>.journal: one folder, a file for each thing that was signed */
    cn_key_file key;
    cn_digest key_id, network, owner;
    uint8_t salt[32];  /* of subjects */
    uint64_t sequence; /* last one known */
    cn_digest previous;
} cli_signer;

/* Reads the key file and asks the node for the network and the head of the key's chain. */
cn_status cli_signer_open(const char *api, const char *key_path, cli_signer *ret, cn_err *err);
void cli_signer_close(cli_signer *s);
/* Fills network, key id, sequence and previous of body, signs, appends to out and moves the head on. */
cn_status cli_signer_sign(cli_signer *s, cn_body *body, const cn_span *items, size_t count, cn_buf *out, cn_err *err);

typedef struct cli_group { /* statements that are admitted together */
    size_t count;
    cn_buf *statement;
} cli_group;
void cli_group_free(cli_group *g);
/* What was signed for this digest before, if anything: the same bytes again. */
bool cli_journal_read(const cli_signer *s, const cn_digest *what, cli_group *ret);
cn_status cli_journal_write(const cli_signer *s, const cn_digest *what, const cli_group *g, cn_err *err);
void cli_journal_forget(const cli_signer *s, const cn_digest *what);
/* Posts the group; a full node is asked again for a bounded time. ret: the node's JSON array. */
cn_status cli_group_post(const char *api, const cli_group *g, bool wait, json_t **ret, cn_err *err);
/* After waiting: EXIT_NO with a sentence when a statement of the answer is not final yet. */
int cli_check_final(const json_t *answer);

#endif
