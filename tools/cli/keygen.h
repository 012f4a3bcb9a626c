/* Making key files. Private to tools/cli. */
#ifndef CARNET_TOOLS_CLI_KEYGEN_H
#define CARNET_TOOLS_CLI_KEYGEN_H

#include "tools/cli/cli.h"

cn_status cli_make_key(const char *purpose, const char *type, cn_key_file *ret, cn_err *err);
cn_status cli_write_key(const char *path, const cn_key_file *file, cn_err *err); /* never overwrites */

#endif
