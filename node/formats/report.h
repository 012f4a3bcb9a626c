/* The readable report of an audit: one HTML page, made from the dossier alone, the same bytes every time.
 *
 * It is for people. It verifies nothing: the verifier's verdicts do, and that the page says what the dossier holds is
 * one of them, found by making the page again (docs/audit-format.md). No script, no reference to anything outside. */
#ifndef CARNET_NODE_FORMATS_REPORT_H
#define CARNET_NODE_FORMATS_REPORT_H

#include "node/formats/dossier.h"

#define CN_REPORT_VERSION 1u /* other words or another order of them: another version */
#define CN_REPORT_MAX_BYTES (64u << 20)
#define CN_REPORT_MAX_ROWS 2000u /* events and statements in tables; the page says how many more there are */

/* Parts of the dossier for other verifiers, the report and the instructions among them, do not change the page. */
cn_status cn_report_render(const cn_dossier *d, cn_buf *out, cn_err *err);
/* The version that a page says it is of; 0: none. */
unsigned cn_report_version_of(cn_span page);
/* README.txt */
const char *cn_report_readme(void);

#endif
