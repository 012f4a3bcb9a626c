/* Items that whoever asks for a dossier wants left out of it: a carrier's auditor need not see the price in an invoice
 * of the same batch. The leaf hash stands in their place, so that every signature and proof holds, and the manifest
 * names them, so that nobody takes it for everything (docs/audit-format.md, step redactions). */
#ifndef CARNET_NODE_API_REDACT_H
#define CARNET_NODE_API_REDACT_H

#include "node/formats/dossier.h"
#include "proto/statement.h"
#include "storage/store.h"

#define CN_REDACT_MAX 64u /* ranges in one request */

typedef struct cn_redact cn_redact;

/* "ID:ITEMS[,ID:ITEMS]...": ID is a statement id of 64 hexadecimal digits, ITEMS one number or a range, "3" or "3-5",
 * counted from 0. CN_INVALID names the part that is neither. */
cn_status cn_redact_parse(const char *text, cn_redact **ret, cn_err *err);
void cn_redact_free(cn_redact *r); /* NULL is fine */

/* Where the statements lie in the log. CN_NOT_FOUND: one is not in its first log_size entries. */
cn_status cn_redact_locate(cn_redact *r, cn_snapshot *snap, uint64_t log_size, cn_err *err);

/* s is the statement at log_index, items its field 3 bytes. Appends what stands in their place to out and names each
 * item that goes in w; out stays empty when all stay. CN_NOT_FOUND: it has no such item. */
cn_status cn_redact_items(cn_redact *r, uint64_t log_index, const cn_statement *s, cn_span items, cn_buf *out,
                          cn_dossier_writer *w, cn_err *err);

/* CN_NOT_FOUND names a statement that cn_redact_items never met: whoever named it meant another one. */
cn_status cn_redact_all_met(const cn_redact *r, cn_err *err);

#endif
