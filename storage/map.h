/* The state map: a crit-bit (Patricia) map with immutable versions (ledger.md, State map).
 *
 * A version is a reference-counted handle. cn_map_apply makes a new version that shares what did not change, in
 * memory, reading what it needs of the committed version lazily; nothing is written before a version is given to
 * cn_store_commit, which also drops from memory what exceeds a small cache: go on with the committed version or take a
 * new one from cn_store_map. Once a version is committed, only it and versions derived from it may still be read (the
 * rows that others would load are gone). All versions are used by one thread (the writer's). History-independent: the
 * root depends only on the set of (key, value). */
#ifndef CARNET_STORAGE_MAP_H
#define CARNET_STORAGE_MAP_H

#include "proto/ics23.h"
#include "proto/status.h"

typedef struct cn_map cn_map;

typedef struct cn_map_change {
    cn_state_key key;
    cn_span value; /* never empty; keys are never deleted */
} cn_map_change;

cn_map *cn_map_empty(void); /* purely in memory: genesis, tests, simulators */
cn_map *cn_map_ref(cn_map *map);
void cn_map_unref(cn_map *map);           /* NULL is fine */
cn_digest cn_map_root(const cn_map *map); /* zeros for the empty map */
/* Changes need not be sorted; a key given twice takes the last value. */
cn_status cn_map_apply(cn_map *base, const cn_map_change *changes, size_t count, cn_map **ret, cn_err *err);
cn_status cn_map_get(cn_map *map, const cn_state_key *key, uint8_t value[CN_STATE_VALUE_MAX], size_t *ret_len,
                     cn_err *err); /* CN_NOT_FOUND */
cn_status cn_map_prove(cn_map *map, const cn_state_key *key, cn_ics23_existence *ret, cn_err *err);
cn_status cn_map_prove_absent(cn_map *map, const cn_state_key *key, cn_ics23_absence *ret, cn_err *err);

#endif
