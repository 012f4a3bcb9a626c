/* The report of a verification as JSON (docs/audit-format.md): what `carnet verify --json` and carnet-verify.h give. */
#ifndef CARNET_TOOLS_VERIFY_JSON_H
#define CARNET_TOOLS_VERIFY_JSON_H

#include "tools/verify/verify.h"

#include <jansson.h>

/* NULL: out of memory. Whatever bytes the dossier brought into the report, its texts are UTF-8 here. */
json_t *cn_verify_report_json(const cn_verify_report *report);

/* Makes a text out of a dossier fit to be shown: a terminal or a log obeys nothing in it. No C0 or C1 controls, no DEL,
 * no broken UTF-8. */
void cn_verify_plain(char *text);

#endif
