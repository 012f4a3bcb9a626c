/* Building of audit dossiers from one snapshot (docs/audit-format.md): everything that a verifier needs, from the
 * genesis digest alone. Deterministic for a given store, checkpoint and scope. */
#ifndef CARNET_NODE_API_AUDIT_H
#define CARNET_NODE_API_AUDIT_H

#include "proto/bytes.h"
#include "proto/statement.h"
#include "storage/store.h"

#define CN_AUDIT_MAX_BYTES (1024u * 1024u * 1024u)

/* uri is canonical. A subject without statements gives a dossier with its absence proof. */
cn_status cn_audit_subject(cn_store *store, const uint8_t salt[32], const char *uri, cn_buf *out, cn_err *err);
/* One statement with the authority of its key; no completeness of its subjects. */
cn_status cn_audit_statement(cn_store *store, const uint8_t salt[32], const cn_digest *id, cn_buf *out, cn_err *err);

#endif
