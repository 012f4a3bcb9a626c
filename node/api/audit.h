/* Building of audit dossiers from one snapshot (docs/audit-format.md): everything that a verifier needs, from the
 * genesis digest alone. Deterministic for a given store, checkpoint and scope. */
#ifndef CARNET_NODE_API_AUDIT_H
#define CARNET_NODE_API_AUDIT_H

#include "node/api/redact.h"
#include "node/api/signed.h"

#define CN_AUDIT_MAX_BYTES (1024u * 1024u * 1024u)

typedef struct cn_audit_order {
    cn_snapshot *snap;
    const uint8_t *salt;         /* of subjects, 32 bytes */
    const cn_signed *signatures; /* over the newest checkpoint of the snapshot; NULL or none in it: without them */
    const char *legal_basis, *case_number; /* valid (cn_dossier_purpose_valid); NULL: none given */
    cn_redact *redact;                     /* items to leave out; NULL: none. Written to */
    cn_span page;                          /* the verifier page, put in as it is; empty: none */
} cn_audit_order;

/* uri is canonical. A subject without statements gives a dossier with its absence proof. */
cn_status cn_audit_subject(const cn_audit_order *order, const char *uri, cn_buf *out, cn_err *err);
/* One statement with the authority of its key; no completeness of its subjects. */
cn_status cn_audit_statement(const cn_audit_order *order, const cn_digest *id, cn_buf *out, cn_err *err);

#endif
