/* The safety table (R5) as a synced, append-only journal of its own, which also holds bodies of blocks that are not
 * final yet. It never waits for the ledger's transactions.
 *
 * The file is created with the vote key (keygen) and bound to it by T("carnet/safety", vote public key); the daemon
 * only opens it. Every record carries a checksum; a torn tail is cut off on open, a fault before the tail is
 * CN_CORRUPT. Creating it syncs the directory. */
#ifndef CARNET_STORAGE_SAFETY_H
#define CARNET_STORAGE_SAFETY_H

#include "proto/digest.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct cn_safety cn_safety;

typedef struct cn_safety_row {
    uint64_t epoch, view;
    bool notarized, nullified, finalized;
    cn_digest block; /* of notarized, or of finalized when nothing was notarized by this node */
} cn_safety_row;

/* The notarization of a block that this node has signed finalize for (docs/consensus.md), opaque here. */
typedef struct cn_safety_certificate {
    uint64_t epoch, view;
    cn_span bytes;
} cn_safety_certificate;
#define CN_SAFETY_CERTIFICATE_MAX 4096u

typedef struct cn_safety_body { /* a stored block that is not final: header and statements, opaque here */
    cn_digest block;
    cn_span bytes;
} cn_safety_body;

cn_status cn_safety_create(const char *path, const uint8_t vote_key[33], cn_err *err); /* refuses an existing file */
cn_status cn_safety_open(const char *path, const uint8_t vote_key[33], cn_safety **ret, cn_err *err);
void cn_safety_close(cn_safety *s);

uint64_t cn_safety_floor_epoch(const cn_safety *s);
uint64_t cn_safety_floor_view(const cn_safety *s);
/* Rows and certificates above the floor and bodies not yet dropped, as they were on disk at open. Valid until close. */
size_t cn_safety_rows(const cn_safety *s, const cn_safety_row **ret);
size_t cn_safety_bodies(const cn_safety *s, const cn_safety_body **ret);
size_t cn_safety_certificates(const cn_safety *s, const cn_safety_certificate **ret);

/* Appends; nothing is durable before cn_safety_sync returns CN_OK. A failed append or sync poisons the journal: every
 * later call fails and the node must stop voting. */
cn_status cn_safety_put_row(cn_safety *s, const cn_safety_row *row, cn_err *err);
/* One a view; a later one replaces it. Dropped with the rows when the floor passes its view. */
cn_status cn_safety_put_certificate(cn_safety *s, uint64_t epoch, uint64_t view, cn_span bytes, cn_err *err);
cn_status cn_safety_put_body(cn_safety *s, const cn_digest *block, const cn_span *parts, size_t count, cn_err *err);
/* Raises the floor (never lowers: CN_CONFLICT) and lets rows at or below it, and the named bodies, be dropped when the
 * journal is next rewritten (atomically, by rename, with file and directory synced). */
cn_status cn_safety_raise_floor(cn_safety *s, uint64_t epoch, uint64_t view, cn_err *err);
cn_status cn_safety_drop_body(cn_safety *s, const cn_digest *block, cn_err *err);
cn_status cn_safety_sync(cn_safety *s, cn_err *err); /* fdatasync; also rewrites a journal grown beyond its limit */

#endif
