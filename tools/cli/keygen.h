/* Making key files. Private to tools/cli. */
#ifndef CARNET_TOOLS_CLI_KEYGEN_H
#define CARNET_TOOLS_CLI_KEYGEN_H

#include "tools/cli/cli.h"

cn_status cli_make_key(const char *purpose, const char *type, cn_key_file *ret, cn_err *err);
cn_status cli_write_key(const char *path, const cn_key_file *file, cn_err *err); /* never overwrites */

/* Every key of a validator's node, in dir: vote (with its safety table), receipt, cosignature, log, channel and
 * capture; or, with next, the five that take their places after a rotation, named vote.next.key and so on. */
cn_status cli_make_node_keys(const char *dir, bool next, cn_err *err);

#endif
