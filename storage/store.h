/* The ledger on disk: LMDB environment with blocks, records, items, log tiles, state map, indexes.
 *
 * One writer (the consensus thread) and any number of snapshot readers. cn_store_commit is synced when it returns.
 * The map and the side table move only in the transaction of a checkpoint block; everything else moves with each
 * block. After a crash the caller re-executes the blocks above the newest checkpoint (cn_snapshot_* give them). */
#ifndef CARNET_STORAGE_STORE_H
#define CARNET_STORAGE_STORE_H

#include "proto/checkpoint.h"
#include "proto/header.h"
#include "proto/merkle.h"
#include "proto/state.h"
#include "proto/status.h"
#include "storage/map.h"

typedef struct cn_store cn_store;

typedef struct cn_store_options {
    const char *dir; /* an existing directory of the ledger's own */
    size_t map_size; /* address space, default 1 TiB when 0 */
    bool read_only;  /* tools: no lock of the writer, no change */
} cn_store_options;

typedef struct cn_side_change { /* unhashed companion of the map: a subject's frontier (cn_frontier_write) */
    cn_digest key;
    cn_span value;
} cn_side_change;

/* A statement's row in one subject's tree. */
typedef struct cn_subject_row {
    cn_digest tag;
    cn_subject_leaf leaf;
    uint64_t position;          /* index of the leaf in the subject's tree */
    uint64_t first_ms, last_ms; /* claimed interval of the entries of this subject (indexed by time) */
} cn_subject_row;

typedef struct cn_commit_statement {
    cn_span record; /* fields 1 and 2 of SignedStatement */
    cn_span items;  /* field 3 bytes as they travel: whole = record | items */
    cn_digest record_digest;
    cn_digest id;
    cn_digest key_id;
    uint64_t sequence;
    bool erased; /* some of its items are erased: this node received it so */
} cn_commit_statement;

/* One final block; spans are borrowed for the call. */
typedef struct cn_commit_block {
    cn_header header;
    cn_digest digest;
    cn_span certificate; /* its own finalization; empty: final by a later block of the same call or of a later one */
    size_t statement_count;
    const cn_commit_statement *statement;
    size_t row_count;
    const cn_subject_row *row;
    /* checkpoints only */
    cn_map *map; /* the version whose root is header.state_root; NULL for a normal block */
    size_t side_count;
    const cn_side_change *side;
    cn_span set_rows; /* closing blocks only: the rows of header.next_set */
} cn_commit_block;

/* Creates the environment with block 0, whose map is made from cn_map_empty. genesis: exact bytes G;
 * block->statement_count is 0, the two log entries of genesis are given as entries (SHA-256(G), SHA-256(set rows)).
 * Refuses a directory that holds a ledger already. */
cn_status cn_store_create(const cn_store_options *options, cn_span genesis, cn_span set_rows,
                          const cn_digest log_entry[2], const cn_commit_block *block0, cn_err *err);
/* Opens and checks what is cheap: version, genesis against log entry 0, the newest headers' chain, log and map roots
 * against the newest header. CN_CORRUPT names what; CN_CONFLICT: another process writes this ledger. */
cn_status cn_store_open(const cn_store_options *options, cn_store **ret, cn_err *err);
void cn_store_close(cn_store *store); /* NULL is fine */

/* Commits consecutive final blocks in ONE synced transaction. The first must follow the tip, digests, log roots and
 * state roots must agree, rows must continue their subjects: else CN_CONFLICT. A full disk: CN_IO. Whenever it fails,
 * nothing changed. After success the maps given are settled (storage/map.h). */
cn_status cn_store_commit(cn_store *store, const cn_commit_block *blocks, size_t count, cn_err *err);
/* R10: keeps a proof of misbehaviour (opaque here), synced. *ret_new: it was not there. CN_FULL beyond
 * CN_EVIDENCE_KEPT: who misbehaves all the time is proved well enough, and shall not fill the disk. */
#define CN_EVIDENCE_KEPT 4096u
cn_status cn_store_put_evidence(cn_store *store, cn_span evidence, bool *ret_new, cn_err *err);
/* Keeps what validators signed about final checkpoints (verified by the caller), in order of arrival, in one synced
 * transaction. A member's second one of a height is passed over; *ret_new counts the others. CN_CONFLICT: the block
 * there is another one, or no checkpoint. Those of closing blocks stay, others while their checkpoint is among the
 * newest. */
#define CN_SIGNED_CHECKPOINTS_KEPT 64u
cn_status cn_store_put_signatures(cn_store *store, const cn_checkpoint_signatures *s, size_t count, size_t *ret_new,
                                  cn_err *err);
/* Keeps an RFC 3161 token (verified by the caller) over the header of a final checkpoint, synced; those of a height in
 * order of arrival, for ever. *ret_new: it was not there. CN_NOT_FOUND: no such checkpoint; CN_CONFLICT: it has enough.
 */
#define CN_TOKENS_KEPT 4u
cn_status cn_store_put_token(cn_store *store, uint64_t height, cn_span token, bool *ret_new, cn_err *err);
/* Adds the finalization of an already stored block. */
cn_status cn_store_put_certificate(cn_store *store, uint64_t height, cn_span certificate, cn_err *err);

/* Puts items, field 3 bytes whose root is the signed one, in the place of some that came without content. */
cn_status cn_store_restore_items(cn_store *store, uint64_t log_index, cn_span items, cn_err *err);
/* Notes that orders explain each item of these statements that has no content; all or none. */
cn_status cn_store_explain_erased(cn_store *store, const uint64_t *log_index, size_t count, cn_err *err);

/* Puts the leaf hashes of items start to start + count - 1 in their places, content and salt are gone, in one synced
 * transaction. *ret_new: some were not erased yet. CN_NOT_FOUND: there are no such items. Freed pages keep old bytes
 * until they are used again or the ledger is compacted. */
cn_status cn_store_erase_items(cn_store *store, uint64_t log_index, uint32_t start, uint32_t count, bool *ret_new,
                               cn_err *err);
/* Writes a compacted copy of the ledger, without freed pages, to the existing empty directory `to`. The caller swaps
 * directories while the node is stopped. */
cn_status cn_store_compact(const cn_store_options *options, const char *to, cn_err *err);

/* An empty map bound to this store's environment is made by storage/map.h; this is the version of the newest
 * checkpoint (a new reference, or NULL on failure). */
cn_map *cn_store_map(cn_store *store, cn_err *err);

/* ---- snapshots: consistent reads, from any thread; close them soon (one open snapshot pins freed pages) ---- */
typedef struct cn_snapshot cn_snapshot;
cn_status cn_snapshot_open(cn_store *store, cn_snapshot **ret, cn_err *err);
void cn_snapshot_close(cn_snapshot *s);

typedef struct cn_tip {
    uint64_t height; /* newest final block */
    cn_digest digest;
    cn_header header;
    uint64_t checkpoint; /* height of the newest checkpoint block */
    uint64_t log_size;
    uint64_t statements; /* log_size - 2 */
} cn_tip;
cn_status cn_snapshot_tip(cn_snapshot *s, cn_tip *ret, cn_err *err);
cn_status cn_snapshot_genesis(cn_snapshot *s, cn_span *ret_bytes,
                              cn_err *err); /* valid while s is open, as all spans */
cn_status cn_snapshot_header(cn_snapshot *s, uint64_t height, cn_header *ret, cn_err *err);
cn_status cn_snapshot_certificate(cn_snapshot *s, uint64_t height, cn_span *ret,
                                  cn_err *err); /* CN_NOT_FOUND: none of its own */
/* Every proof of misbehaviour kept, until `one` returns false. */
cn_status cn_snapshot_evidence(cn_snapshot *s, bool (*one)(void *ctx, cn_span evidence), void *ctx, cn_err *err);
/* In order of arrival; none is no error. */
cn_status cn_snapshot_signatures(cn_snapshot *s, uint64_t height, cn_checkpoint_signatures *out, size_t max,
                                 size_t *ret_count, cn_err *err);
cn_status cn_snapshot_tokens(cn_snapshot *s, uint64_t height, cn_span out[CN_TOKENS_KEPT], size_t *ret_count,
                             cn_err *err);
/* The closing block that began an epoch (R11; height 0 for the first), and the rows of its set. CN_NOT_FOUND: it has
 * not begun. The finalization of a closing block is always there: cn_snapshot_certificate. */
cn_status cn_snapshot_epoch(cn_snapshot *s, uint64_t epoch, uint64_t *ret_closing_height, cn_span *ret_rows,
                            cn_err *err);
/* The newest checkpoint and what proves it final: the headers from it up to the first one with a finalization of its
 * own. *ret_headers is freed by the caller. */
cn_status cn_snapshot_newest_checkpoint(cn_snapshot *s, cn_header **ret_headers, size_t *ret_count,
                                        cn_span *ret_certificate, cn_err *err);
cn_status cn_snapshot_block_statements(cn_snapshot *s, uint64_t height, uint64_t *ret_first_log_index,
                                       uint32_t *ret_count, cn_err *err);
cn_status cn_snapshot_height_of_digest(cn_snapshot *s, const cn_digest *block, uint64_t *ret_height, cn_err *err);

typedef struct cn_stored_statement {
    uint64_t log_index, height;
    cn_digest record_digest;
    cn_span record, items; /* whole = record | items */
    bool erased;           /* some of its items are erased: their leaf hashes stand in their places */
} cn_stored_statement;
cn_status cn_snapshot_statement(cn_snapshot *s, uint64_t log_index, cn_stored_statement *ret, cn_err *err);
/* Statements some items of which came without content, and that cn_store_explain_erased has not noted: the first max,
 * ascending. */
cn_status cn_snapshot_unexplained(cn_snapshot *s, uint64_t *ret_log_index, size_t max, size_t *ret_count, cn_err *err);
cn_status cn_snapshot_find_id(cn_snapshot *s, const cn_digest *id, uint64_t *ret_log_index, cn_err *err);
cn_status cn_snapshot_find_record(cn_snapshot *s, const cn_digest *record, uint64_t *ret_log_index, cn_err *err);
/* the statement of a key with this sequence (newest if a gap reused none) */
cn_status cn_snapshot_find_key(cn_snapshot *s, const cn_digest *key_id, uint64_t sequence, uint64_t *ret_log_index,
                               cn_err *err);

/* Rows [from, from+max) of a subject's tree, in position order; fewer at the end. CN_NOT_FOUND: unknown subject. */
cn_status cn_snapshot_subject_rows(cn_snapshot *s, const cn_digest *tag, uint64_t from, cn_subject_row *out, size_t max,
                                   size_t *ret_count, cn_err *err);
cn_status cn_snapshot_subject_count(cn_snapshot *s, const cn_digest *tag, uint64_t *ret_count, cn_err *err);
/* Rows whose claimed interval overlaps [from_ms, to_ms], ordered by first_ms then log index. *cursor: 0 at first, then
 * as it was left; *ret_count < max says that there are no more. */
cn_status cn_snapshot_subject_by_time(cn_snapshot *s, const cn_digest *tag, uint64_t from_ms, uint64_t to_ms,
                                      uint64_t *cursor, cn_subject_row *out, size_t max, size_t *ret_count,
                                      cn_err *err);

/* Log tree at any size up to the tip's. */
cn_status cn_snapshot_log_root(cn_snapshot *s, uint64_t size, cn_digest *ret, cn_err *err);
cn_status cn_snapshot_log_entry(cn_snapshot *s, uint64_t index, cn_digest *ret, cn_err *err);
cn_status cn_snapshot_log_frontier(cn_snapshot *s, uint64_t size, cn_frontier *ret, cn_err *err);
cn_status cn_snapshot_inclusion(cn_snapshot *s, uint64_t index, uint64_t size, cn_digest path[CN_PROOF_MAX],
                                size_t *ret_len, cn_err *err);
cn_status cn_snapshot_consistency(cn_snapshot *s, uint64_t size1, uint64_t size2, cn_digest path[CN_PROOF_MAX + 1],
                                  size_t *ret_len, cn_err *err);

/* State of the newest checkpoint. Proof structures are large: allocate them. */
cn_status cn_snapshot_state(cn_snapshot *s, const cn_state_key *key, uint8_t value[CN_STATE_VALUE_MAX], size_t *ret_len,
                            cn_err *err);
cn_status cn_snapshot_prove(cn_snapshot *s, const cn_state_key *key, cn_ics23_existence *ret,
                            cn_err *err); /* CN_NOT_FOUND */
cn_status cn_snapshot_prove_absent(cn_snapshot *s, const cn_state_key *key, cn_ics23_absence *ret,
                                   cn_err *err); /* CN_CONFLICT when present */
/* The rows of one type in key order, after `after` (NULL: from the first), until `row` returns false. */
cn_status cn_snapshot_states(cn_snapshot *s, cn_state_type type, const cn_state_key *after,
                             bool (*row)(void *ctx, const cn_state_key *key, cn_span value), void *ctx, cn_err *err);
cn_status cn_snapshot_side(cn_snapshot *s, const cn_digest *key, cn_span *ret, cn_err *err);

/* ---- fsck: re-hashes bodies, items against items_root, both trees, every subject tree, indexes both ways ---- */
typedef struct cn_fsck_report {
    uint64_t blocks, statements, subjects, state_entries, faults;
} cn_fsck_report;
/* line is called for each fault (and progress lines when verbose) with one sentence. */
cn_status cn_store_fsck(const cn_store_options *options, const uint8_t subject_salt[32],
                        void (*line)(void *ctx, bool fault, const char *text), void *ctx, cn_fsck_report *ret,
                        cn_err *err);
/* The exact genesis bytes of a store that need not open cleanly. */
cn_status cn_store_read_genesis(const cn_store_options *options, cn_buf *out, cn_err *err);

#endif
