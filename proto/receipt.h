/* COSE receipts (RFC 9942) over the log of statements: a COSE_Sign1 (tag 18) whose detached payload is the log root.
 *
 *   protected   {1: -7 (ES256), 4: kid, 15: {1: iss, 6: iat, "size", "epoch", "height"},
 *                16: "application/scitt-receipt+cose", 395: 1 (RFC9162_SHA256)}
 *   unprotected {396: {-1: [<< [size, index, [*path]] >>]}} for inclusion, {396: {-2: [<< [size1, size2, [*path]] >>]}}
 *   payload     null: the 32 bytes of the root that the proof leads to
 * Deterministic CBOR, nothing optional: there is one encoding, and only it is accepted. kid is the key id of the P-256
 * key (32 bytes), iss the signer's name, iat the block's time in whole seconds; size, epoch and height bind the proof
 * to its checkpoint, since a root alone does not authenticate positions. The signature depends on neither proof: one
 * signature of a validator serves every receipt of a checkpoint. An entry is a record digest. */
#ifndef CARNET_PROTO_RECEIPT_H
#define CARNET_PROTO_RECEIPT_H

#include "proto/checkpoint.h"
#include "proto/merkle.h"

#define CN_RECEIPT_MAX 4096u
#define CN_RECEIPT_CONTENT_TYPE "application/scitt-receipt+cose"

typedef struct cn_receipt_proof {
    bool consistency;
    uint64_t size;  /* of the tree that the payload is the root of */
    uint64_t index; /* inclusion: of the leaf; consistency: the size of the older tree */
    size_t path_len;
    cn_digest path[CN_PROOF_MAX + 1];
} cn_receipt_proof;

/* SHA-256 of the Sig_structure ["Signature1", protected, h'', root]: what ES256 signs. kid: of the receipt key. */
cn_digest cn_receipt_digest(const cn_checkpoint *c, const char *signer_name, const cn_digest *kid);
cn_digest cn_receipt_kid(const uint8_t receipt_key[33]);

void cn_receipt_write(cn_buf *out, const cn_checkpoint *c, const char *signer_name, const cn_digest *kid,
                      const cn_receipt_proof *proof, const cn_signature *signature);

typedef struct cn_receipt {
    char signer_name[CN_SIGNER_NAME_MAX + 1]; /* iss */
    cn_digest kid;
    uint64_t iat, size, epoch, height;
    cn_receipt_proof proof;
    cn_signature signature;
    size_t len; /* bytes that it took */
} cn_receipt;
/* Reads one receipt from the front of r; only what cn_receipt_write would have written. ret is large. */
cn_status cn_receipt_read(cn_reader *r, cn_receipt *ret, cn_err *err);
/* That the receipt is of this checkpoint, signed by the member's receipt key, and that its proof leads to the
 * checkpoint's root: inclusion of `entry` (a record digest), or consistency with `root1` (a root, of size proof.index).
 * The positions must be the ones the caller expects already; err names what fails: checkpoint, signer, signature or
 * path.
 */
cn_status cn_receipt_verify(const cn_receipt *receipt, const cn_checkpoint *c, const char *member_name,
                            const cn_set_row *row, const cn_digest *entry_or_root1, cn_err *err);

#endif
