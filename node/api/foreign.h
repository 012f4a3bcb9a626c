/* What other Carnet networks need of this one (docs/foreign-proofs.md), from a snapshot of the store. */
#ifndef CARNET_NODE_API_FOREIGN_H
#define CARNET_NODE_API_FOREIGN_H

#include "storage/store.h"

/* A foreign proof of a final statement, at the newest checkpoint. CN_NOT_FOUND: no checkpoint covers it yet. */
cn_status cn_foreign_export(cn_snapshot *snap, const uint8_t salt[32], const cn_digest *statement, cn_buf *out,
                            cn_err *err);
/* From the set of an epoch towards the newest, as many changes as fit: who is further behind asks again from there.
 * CN_NOT_FOUND: no epoch after it has begun. */
cn_status cn_foreign_export_advance(cn_snapshot *snap, uint64_t epoch, cn_buf *out, cn_err *err);

#endif
