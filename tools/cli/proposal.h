/* What a proposal is and still needs, for people. Private to tools/cli. */
#ifndef CARNET_TOOLS_CLI_PROPOSAL_H
#define CARNET_TOOLS_CLI_PROPOSAL_H

#include "tools/cli/signer.h"

int cli_show_proposal(const cli_args *args, const char *id);      /* an exit status */
void cli_print_voters(const json_t *proposal, const char *field); /* their names, a space before each */
/* Signs the body as the signer's next and waits until it is final. Prints the statement's id, or JSON with --json in
 * args; returns an exit status. */
int cli_send_body(cli_signer *s, cn_body *body, const cli_args *args);

#endif
