/* The documents inside a dossier, byte for byte as they were submitted. Reads the container only: verify it first. */
#ifndef CARNET_TOOLS_VERIFY_DOCUMENTS_H
#define CARNET_TOOLS_VERIFY_DOCUMENTS_H

#include "proto/digest.h"
#include "proto/status.h"

typedef struct cn_documents_count {
    size_t whole;   /* given to the callback */
    size_t partial; /* documents of several parts of which the dossier holds only some */
} cn_documents_count;

/* document is called with the SHA-256 of each whole document and its bytes; what it returns ends the walk unless CN_OK.
 */
cn_status cn_dossier_documents(const void *zip, size_t n,
                               cn_status (*document)(void *ctx, const cn_digest *sha256, const void *p, size_t n),
                               void *ctx, cn_documents_count *ret, cn_err *err);

#endif
