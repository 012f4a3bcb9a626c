/* Tables and helpers that store.c, snapshot.c, tiles.c and fsck.c share. Private to storage; docs/storage.md. */
#ifndef CARNET_STORAGE_STORE_INTERNAL_H
#define CARNET_STORAGE_STORE_INTERNAL_H

#include "storage/map_internal.h"
#include "storage/store.h"

#include <lmdb.h>

#define CN_STORE_VERSION 4u

/* X(constant, name): key -> value; all integers big-endian */
#define CN_TABLES(X)                                                                                                   \
    X(T_META, "meta")           /* name -> value */                                                                    \
    X(T_BLOCKS, "blocks")       /* height -> header | digest | first log index u64 | count u32 */                      \
    X(T_CERTIFICATES, "certs")  /* height -> finalization */                                                           \
    X(T_EPOCHS, "epochs")       /* epoch -> height u64 of the closing block that began it | rows of its set */         \
    X(T_EVIDENCE, "evidence")   /* SHA-256 of it -> evidence (R10) */                                                  \
    X(T_SIGNATURES, "signed")   /* height u64 | rank u32 -> signatures of one validator over that checkpoint */        \
    X(T_TOKENS, "tokens")       /* height u64 | rank u32 -> RFC 3161 time token over that checkpoint's header */       \
    X(T_DIGESTS, "digests")     /* block digest -> height */                                                           \
    X(T_RECORDS, "records")     /* log index -> height u64 | record digest | record */                                 \
    X(T_ITEMS, "items")         /* log index -> field 3 of the SignedStatement; absent: none */                        \
    X(T_ERASED, "erased")       /* log index -> u8: some items are erased; 1 as they came, 2 by order */               \
    X(T_TILES, "tiles")         /* level u8 | tile u64 -> up to 256 hashes */                                          \
    X(T_IDS, "ids")             /* statement id -> log index */                                                        \
    X(T_BY_RECORD, "by_record") /* record digest -> log index */                                                       \
    X(T_BY_KEY, "by_key")       /* key id | sequence -> log index */                                                   \
    X(T_SUBJECTS, "subjects")   /* tag -> subject number u64 | rows u64 | longest interval in ms u64 */                \
    X(T_ROWS, "rows")           /* subject number | position -> log index | first ms | last ms */                      \
    X(T_BY_TIME, "by_time")     /* subject number | first ms | log index -> position | last ms */                      \
    X(T_SIDE, "side")           /* digest -> value that moves with the map */                                          \
    X(T_MAP_LEAVES, "map_leaf") /* state key -> value */                                                               \
    X(T_MAP_INNER, "map_inner") /* crit bit u16 | prefix 33 -> two descriptors */

enum {
#define CN_TABLE_ENUM(id, name) id,
    CN_TABLES(CN_TABLE_ENUM)
#undef CN_TABLE_ENUM
        TABLE_COUNT
};

typedef struct cn_tables {
    MDB_dbi dbi[TABLE_COUNT];
} cn_tables;

struct cn_store {
    MDB_env *env;
    cn_tables t;
    bool read_only;
    int lock;             /* the writer's lock file, -1 for readers */
    cn_map_source source; /* of versions given to the writer's thread */
    MDB_txn *map_txn;     /* renewed for each read of a version */
    cn_frontier log;
    cn_header tip;
    cn_digest tip_digest;
    uint64_t subject_count;
};

struct cn_snapshot {
    cn_store *store;
    MDB_txn *txn;
    cn_map_source source;
    cn_map *map; /* made on first use */
};

/* ---- LMDB in our words ---- */
MDB_val cn_val(const void *p, size_t n);
/* CN_NOT_FOUND without a text; anything else but success is CN_IO or CN_CORRUPT with the table's name. */
cn_status cn_row_get(MDB_txn *txn, const cn_tables *t, int table, const void *key, size_t key_len, cn_span *ret,
                     cn_err *err);
cn_status cn_row_put(MDB_txn *txn, const cn_tables *t, int table, const void *key, size_t key_len, const void *value,
                     size_t value_len, unsigned flags, cn_err *err);
cn_status cn_lmdb_error(int rc, const char *what, cn_err *err);
const char *cn_table_name(int table);

cn_status cn_store_env_open(const cn_store_options *options, bool create, cn_store **ret, cn_err *err);
cn_status cn_meta_get(MDB_txn *txn, const cn_tables *t, const char *name, cn_span *ret, cn_err *err);
cn_status cn_meta_u64(MDB_txn *txn, const cn_tables *t, const char *name, uint64_t *ret, cn_err *err);

typedef struct cn_block_row {
    cn_header header;
    cn_digest digest;
    uint64_t first_log_index;
    uint32_t count;
} cn_block_row;
cn_status cn_block_row_get(MDB_txn *txn, const cn_tables *t, uint64_t height, cn_block_row *ret, cn_err *err);

/* ---- log tiles (tiles.c) ---- */
/* Appends leaf hashes to the tree of `size` leaves; completes tiles on all levels. */
cn_status cn_tiles_append(MDB_txn *txn, const cn_tables *t, uint64_t size, const cn_digest *leaf_hashes, size_t count,
                          cn_err *err);
/* MTH over leaves [first, end) of the log. */
cn_status cn_tiles_hash(MDB_txn *txn, const cn_tables *t, uint64_t first, uint64_t end, cn_digest *ret, cn_err *err);
cn_status cn_tiles_frontier(MDB_txn *txn, const cn_tables *t, uint64_t size, cn_frontier *ret, cn_err *err);

/* The map functions over one transaction. */
cn_status cn_map_rows_range(MDB_txn *txn, const cn_tables *t, const cn_state_key *prefix, unsigned bits,
                            cn_status (*leaf)(void *, const cn_state_key *, cn_span), void *arg, cn_err *err);
cn_status cn_map_rows_leaf(MDB_txn *txn, const cn_tables *t, const cn_state_key *key, uint8_t *value, size_t *ret_len,
                           cn_err *err);
cn_status cn_map_rows_inner(MDB_txn *txn, const cn_tables *t, const uint8_t *row_key, cn_map_descriptor child[2],
                            cn_err *err);

#endif
