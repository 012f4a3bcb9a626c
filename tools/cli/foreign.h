/* Other Carnet networks (docs/foreign-proofs.md): what `carnet propose` shares with `carnet foreign`. */
#ifndef CARNET_TOOLS_CLI_FOREIGN_H
#define CARNET_TOOLS_CLI_FOREIGN_H

#include "tools/cli/cli.h"

/* carnet propose foreign: registers the newest epoch of another network, followed from its genesis digest, or withdraws
 * it. Returns an exit status. */
int cli_propose_foreign(const cli_args *args);

#endif
