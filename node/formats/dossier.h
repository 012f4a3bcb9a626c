/* The native audit dossier: one deterministic ZIP that holds everything a verifier needs (docs/audit-format.md).
 *
 *   manifest.json            what it is about, why it was asked for, and the SHA-256 of every other file
 *   genesis.json             G
 *   checkpoint.bin           the header that all proofs lead to, linking headers, a finalization
 *   epochs/<epoch>.bin       after a change of the validators: the closing block that began it, its finalization, rows
 *   subjects/<tag>.bin       completeness record with its state proof and leaves, or a proof of absence
 *   statements/<index>.bin   SignedStatement and its path in the log
 * and, as parts, what other people's verifiers and readers take:
 *   checkpoint.note          C2SP signed note of the checkpoint, as its validators signed it
 *   receipts/<index>.cbor    COSE receipts of the statement, one a signer of the note
 *   tlog/<index>.txt         C2SP tlog-proof of the statement
 *   consistency/<height>.bin an earlier checkpoint, and the path that shows the log of this one to continue its log
 *   tokens/<height>-<n>.tst  RFC 3161 time token over the header of that height
 *   report.html, README.txt  to be read
 *   verify.html              the verifier page of the node that made the dossier, if it has one
 * Names ascend; times are fixed; nothing depends on the wall clock. */
#ifndef CARNET_NODE_FORMATS_DOSSIER_H
#define CARNET_NODE_FORMATS_DOSSIER_H

#include "proto/header.h"
#include "proto/ics23.h"
#include "proto/merkle.h"
#include "proto/state.h"

#include <stdint.h>

#define CN_DOSSIER_FORMAT "carnet-audit-2"
#define CN_DOSSIER_FORMAT_1 "carnet-audit-1"   /* still read: without parts, purpose and redactions */
#define CN_DOSSIER_MAX_BYTES ((size_t)1 << 30) /* all files together, unpacked */
#define CN_DOSSIER_MAX_FILES 4000000u

typedef enum cn_dossier_kind { CN_DOSSIER_SUBJECT = 1, CN_DOSSIER_STATEMENT = 2 } cn_dossier_kind;

#define CN_DOSSIER_MAX_PURPOSE 200u /* bytes of a legal basis or a case number */
#define CN_DOSSIER_MAX_TOKENS 4u    /* of a height */

#define CN_DOSSIER_MAX_PAGE ((size_t)4 << 20) /* bytes of the verifier page */
#define CN_DOSSIER_MAX_RECEIPTS 1000u         /* statements that have receipts and tlog-proofs: the first ones */

typedef enum cn_dossier_part_kind {
    CN_PART_NOTE,
    CN_PART_RECEIPTS,    /* number: log index */
    CN_PART_TLOG,        /* number: log index */
    CN_PART_CONSISTENCY, /* number: height */
    CN_PART_TOKEN,       /* number: height; rank from 1 */
    CN_PART_REPORT,
    CN_PART_README,
    CN_PART_PAGE
} cn_dossier_part_kind;

typedef struct cn_dossier_redaction { /* an item that this dossier holds only the leaf hash of */
    uint64_t log_index;
    uint32_t item;
} cn_dossier_redaction;

/* A legal basis or case number: at most CN_DOSSIER_MAX_PURPOSE bytes of UTF-8 without control characters. */
bool cn_dossier_purpose_valid(const char *text);

/* ---- writing ---- */
typedef struct cn_dossier_writer cn_dossier_writer;
cn_dossier_writer *cn_dossier_writer_new(void); /* NULL: out of memory */
void cn_dossier_writer_free(cn_dossier_writer *w);
/* subject: its canonical URI, or the hexadecimal id of the statement. */
void cn_dossier_set_scope(cn_dossier_writer *w, cn_dossier_kind kind, const char *subject, const cn_digest *tag,
                          uint64_t checkpoint);
/* Why it was asked for, as the caller said; empty when not. Both are valid. */
void cn_dossier_set_purpose(cn_dossier_writer *w, const char *legal_basis, const char *case_number);
void cn_dossier_add_redaction(cn_dossier_writer *w, uint64_t log_index, uint32_t item); /* each once */
void cn_dossier_add_genesis(cn_dossier_writer *w, cn_span bytes);
void cn_dossier_add_checkpoint(cn_dossier_writer *w, const cn_header *headers, size_t count, cn_span certificate);
/* Epoch 2 and later: the closing block that began it, finalized by the set before, and the rows of its own set. */
void cn_dossier_add_epoch(cn_dossier_writer *w, uint64_t epoch, const cn_header *closing, cn_span certificate,
                          cn_span rows);
void cn_dossier_add_subject(cn_dossier_writer *w, const cn_digest *tag, cn_span ics23_existence,
                            const cn_subject_leaf *leaves, uint64_t count);
void cn_dossier_add_absence(cn_dossier_writer *w, const cn_digest *tag, cn_span ics23_absence);
void cn_dossier_add_statement(cn_dossier_writer *w, uint64_t log_index, cn_span record, cn_span items,
                              const cn_digest *path, size_t path_len);
void cn_dossier_add_part(cn_dossier_writer *w, cn_dossier_part_kind kind, uint64_t number, unsigned rank,
                         cn_span bytes);
void cn_dossier_add_consistency(cn_dossier_writer *w, const cn_header *older, const cn_digest *path, size_t path_len);
/* What was added so far as a reader would see it, without the ZIP. ret points into the writer: clear it before the next
 * call. */
struct cn_dossier;
cn_status cn_dossier_view(cn_dossier_writer *w, struct cn_dossier *ret, cn_err *err);
/* Writes the ZIP; faults of the calls before are reported here. */
cn_status cn_dossier_finish(cn_dossier_writer *w, cn_buf *out, cn_err *err);

/* ---- reading: strict, budgets before allocations ---- */
typedef struct cn_dossier_epoch {
    uint64_t epoch;
    cn_header closing;
    cn_span certificate, rows; /* as they stand there */
} cn_dossier_epoch;

typedef struct cn_dossier_subject {
    cn_digest tag;
    bool present;
    cn_span proof; /* CommitmentProof bytes: existence or absence */
    uint64_t count;
    const uint8_t *leaves; /* count times CN_SUBJECT_LEAF_LEN */
} cn_dossier_subject;

typedef struct cn_dossier_statement {
    uint64_t log_index;
    cn_span whole;
    size_t path_len;
    const cn_digest *path; /* in the dossier's memory */
} cn_dossier_statement;

typedef struct cn_dossier_part {
    cn_dossier_part_kind kind;
    uint64_t number;
    unsigned rank;
    const char *name;
    cn_span bytes;
} cn_dossier_part;

typedef struct cn_dossier {
    unsigned version; /* 1: carnet-audit-1, without parts, purpose and redactions; 2 */
    cn_dossier_kind kind;
    char legal_basis[CN_DOSSIER_MAX_PURPOSE + 1], case_number[CN_DOSSIER_MAX_PURPOSE + 1];
    size_t redaction_count;
    cn_dossier_redaction *redaction; /* ascending */
    char subject[2048];
    cn_digest tag;
    uint64_t checkpoint;
    cn_span genesis;
    size_t header_count;
    cn_header *header;   /* the checkpoint first, then those that lead to the certified one */
    cn_span certificate; /* as it stands there: whether it is one is for the verifier to say */
    size_t epoch_count;
    cn_dossier_epoch *epoch; /* ascending */
    size_t subject_count;
    cn_dossier_subject *subjects; /* ascending tags */
    size_t statement_count;
    cn_dossier_statement *statement; /* ascending log indexes */
    size_t part_count;
    cn_dossier_part *part; /* ascending names */
    void *owned;
} cn_dossier;

/* CN_INVALID and friends: err->field names the file in the ZIP. */
cn_status cn_dossier_read(const void *zip, size_t n, cn_dossier *ret, cn_err *err);
void cn_dossier_clear(cn_dossier *d);
const cn_dossier_part *cn_dossier_find_part(const cn_dossier *d, cn_dossier_part_kind kind, uint64_t number,
                                            unsigned rank); /* NULL: not here; number and rank 0 where it has none */
/* version u8 1 | header 229 | length of the path u8 | path of 32-byte digests (RFC 9162 2.1.4) */
cn_status cn_dossier_read_consistency(const cn_dossier_part *part, cn_header *ret_older, const cn_digest **ret_path,
                                      size_t *ret_len, cn_err *err);

#endif
