/* Registry statements that other commands sign too. Each prints the statement's id, or JSON with --json in args, and
 * returns an exit status. */
#ifndef CARNET_TOOLS_CLI_REGISTRY_H
#define CARNET_TOOLS_CLI_REGISTRY_H

#include "tools/cli/signer.h"

/* The X25519 key of the peer channel in the file; the node takes it from channel.next.key when the ledger names it. */
int cli_change_channel_key(cli_signer *s, const char *path, const cli_args *args);
/* The signer's own key is replaced by the one in the file: it signs nothing after this. */
int cli_replace_key(cli_signer *s, const char *path, const cli_args *args);

#endif
