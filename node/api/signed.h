/* The newest checkpoint with what validators signed about it, as exports and callers see it. Private to node/api. */
#ifndef CARNET_NODE_API_SIGNED_H
#define CARNET_NODE_API_SIGNED_H

#include "node/api/api.h"
#include "proto/checkpoint.h"
#include "proto/receipt.h"

typedef struct cn_signed {
    cn_header header;
    cn_checkpoint checkpoint;
    cn_validator_set set; /* that decided it */
    size_t count;         /* in order of arrival */
    cn_checkpoint_signatures signature[CN_MAX_VALIDATORS];
    unsigned place[CN_MAX_VALIDATORS]; /* of the signer in the set */
    char name[CN_MAX_VALIDATORS][CN_MAX_NAME + 1];
} cn_signed;

/* A final checkpoint of the snapshot; none signed is no error, height 0 is. *ret is large. */
cn_status cn_signed_read(cn_snapshot *snap, const cn_api_backend *backend, uint64_t height, cn_signed *ret,
                         cn_err *err);
/* Opens a snapshot whose newest checkpoint covers what is final now and that a quorum of validators has signed; the
 * first ones that came are left in *ret, so that two exports are the same. After wait_ms the first f + 1 will do: one
 * of them is honest. Fewer: CN_TIMEOUT, or with none_will_do none at all. */
cn_status cn_signed_open(const cn_api_backend *backend, uint64_t wait_ms, bool none_will_do, cn_snapshot **ret_snap,
                         cn_signed *ret, cn_err *err);
/* Name of a member as of the snapshot. */
cn_status cn_signed_name(cn_snapshot *snap, const cn_api_backend *backend, const cn_digest *member,
                         char ret[CN_MAX_NAME + 1], cn_err *err);
/* The receipt of the one at place i, with this proof. */
void cn_signed_receipt(const cn_signed *s, size_t i, const cn_receipt_proof *proof, cn_buf *out);
void cn_signed_note(const cn_signed *s, cn_buf *out); /* C2SP signed note */

#endif
