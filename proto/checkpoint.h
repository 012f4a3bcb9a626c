/* What validators sign once a checkpoint block is final, so that other people's verifiers accept its log root.
 *
 * Three formats over the same log root, each by a key of its own of the validator's set row:
 *   receipt       ES256 over the Sig_structure of a COSE receipt (proto/receipt.h)
 *   cosignature   C2SP tlog-cosignature, cosignature/v1: Ed25519, type 0x04, key name = signer name
 *   log           C2SP signed note: Ed25519, type 0x01, key name = log origin
 * The log's origin is "<origin of genesis>/<network id in hexadecimal>", a signer's name "<log origin>/<member name>".
 * Only blocks that are final are ever signed (proofs.md): f+1 signatures hold one of an honest voter.
 *
 * On the wire and on disk (CN_CHECKPOINT_SIGNATURES_LEN bytes): version u8 1 | member id 32 | height u64 | block digest
 * 32 | receipt 64 | cosignature 64 | log 64. */
#ifndef CARNET_PROTO_CHECKPOINT_H
#define CARNET_PROTO_CHECKPOINT_H

#include "proto/header.h"
#include "proto/key.h"
#include "proto/limits.h"
#include "proto/quorum.h"

#define CN_MAX_ORIGIN 127u /* the origin in genesis */
#define CN_LOG_ORIGIN_MAX (CN_MAX_ORIGIN + 1 + 64)
#define CN_SIGNER_NAME_MAX (CN_LOG_ORIGIN_MAX + 1 + CN_MAX_NAME)
#define CN_CHECKPOINT_BODY_MAX (CN_LOG_ORIGIN_MAX + 1 + 20 + 1 + 44 + 1)
#define CN_CHECKPOINT_SIGNATURES_LEN (1 + 32 + 8 + 32 + 3 * 64)
#define CN_MAX_NOTE_BYTES 65536u

/* What is signed about a checkpoint block. */
typedef struct cn_checkpoint {
    char log_origin[CN_LOG_ORIGIN_MAX + 1];
    uint64_t epoch, height, time_ms;
    uint64_t size;   /* of the log, the block's own statements included */
    cn_digest root;  /* of the log */
    cn_digest block; /* digest of the header */
} cn_checkpoint;

/* 1 to CN_MAX_ORIGIN printable ASCII characters without space and +, as C2SP asks of key names. */
bool cn_origin_valid(const char *origin);
/* CN_INVALID: an origin that is none, or a block that is not a checkpoint (or block 0, which nobody signs). */
cn_status cn_checkpoint_of(const cn_header *header, const cn_digest *network, const char *origin, cn_checkpoint *ret,
                           cn_err *err);
void cn_signer_name(const cn_checkpoint *c, const char *member, char ret[CN_SIGNER_NAME_MAX + 1]);
/* "<log origin>\n<size>\n<root in base64>\n" (C2SP tlog-checkpoint, no extension lines); returns its length. */
size_t cn_checkpoint_body(const cn_checkpoint *c, char ret[CN_CHECKPOINT_BODY_MAX + 1]);

/* ---- one validator's signatures ---- */
typedef struct cn_checkpoint_signatures {
    cn_digest member;
    uint64_t height;
    cn_digest block;
    cn_signature receipt, cosignature, log;
} cn_checkpoint_signatures;

typedef struct cn_checkpoint_keys { /* secrets; wipe with cn_secret_key_wipe */
    cn_secret_key receipt;          /* P-256 */
    cn_secret_key cosignature, log; /* Ed25519 */
} cn_checkpoint_keys;

void cn_checkpoint_signatures_encode(const cn_checkpoint_signatures *s, uint8_t out[CN_CHECKPOINT_SIGNATURES_LEN]);
cn_status cn_checkpoint_signatures_decode(const void *p, size_t n, cn_checkpoint_signatures *ret, cn_err *err);
/* name: of the member, as in genesis. P-256 signatures are randomised: sign once, store, then send. */
cn_status cn_checkpoint_sign(const cn_checkpoint *c, const cn_digest *member, const char *name,
                             const cn_checkpoint_keys *keys, cn_checkpoint_signatures *ret, cn_err *err);
/* All three against the member's row; err names the format that fails. */
cn_status cn_checkpoint_signatures_verify(const cn_checkpoint_signatures *s, const cn_checkpoint *c, const char *name,
                                          const cn_set_row *row, cn_err *err);

/* ---- C2SP signed notes ---- */
typedef enum cn_note_type { CN_NOTE_ED25519 = 0x01, CN_NOTE_COSIGNATURE_V1 = 0x04 } cn_note_type;

/* SHA-256(name | 0x0A | type | public key), its first four bytes. */
void cn_note_key_id(const char *name, cn_note_type type, const uint8_t public_key[32], uint8_t ret[4]);
/* "<name>+<key id in hexadecimal>+<base64(type | public key)>": a verifier key, as note tools and policies write it. */
#define CN_NOTE_VKEY_MAX (CN_SIGNER_NAME_MAX + 1 + 8 + 1 + 44)
void cn_note_vkey(const char *name, cn_note_type type, const uint8_t public_key[32], char ret[CN_NOTE_VKEY_MAX + 1]);
/* CN_INVALID: not one; the type must be one of cn_note_type, and the key id its own. */
cn_status cn_note_vkey_parse(const char *vkey, char ret_name[CN_SIGNER_NAME_MAX + 1], cn_note_type *ret_type,
                             uint8_t ret_public[32], cn_err *err);
/* Adds the body, an empty line, and for each validator its two signature lines: the log's first, in the order given. */
void cn_note_begin(cn_buf *out, const cn_checkpoint *c);
void cn_note_add(cn_buf *out, const cn_checkpoint *c, const char *name, const cn_set_row *row,
                 const cn_checkpoint_signatures *s);

/* The lines of a C2SP tlog-proof in front of the note: the entry's index, and its path from the leaf upwards. */
void cn_tlog_proof_begin(cn_buf *out, uint64_t index, const cn_digest *path, size_t path_len);

typedef struct cn_note_line { /* views into the note */
    cn_span name;
    uint8_t key_id[4];
    uint8_t signature[72]; /* type 0x01: 64 bytes; 0x04: time u64 | 64 bytes; others are passed over */
    size_t signature_len;
} cn_note_line;

typedef struct cn_note {
    cn_span body; /* with its last newline */
    cn_span origin;
    uint64_t size;
    cn_digest root;
    unsigned line_count;
    cn_note_line line[64];
} cn_note;
/* A checkpoint in a signed note: exactly three body lines, canonical numbers and base64, 1 to 64 signature lines.
 * Lines of unknown length stay with signature_len 0. ret points into p. */
cn_status cn_note_parse(const void *p, size_t n, cn_note *ret, cn_err *err);
/* Whether one line of the note is this key's signature over it. *ret_time (may be NULL): cosignature/v1's seconds. */
bool cn_note_signed_by(const cn_note *note, const char *name, cn_note_type type, const uint8_t public_key[32],
                       uint64_t *ret_time);

#endif
