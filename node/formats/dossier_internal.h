/* What writing and reading of dossiers share: names, and the files as they lie in memory. Private to node/formats. */
#ifndef CARNET_NODE_FORMATS_DOSSIER_INTERNAL_H
#define CARNET_NODE_FORMATS_DOSSIER_INTERNAL_H

#include "node/formats/dossier.h"

#define DOSSIER_NAME_MAX 96

typedef struct dossier_entry {
    char name[DOSSIER_NAME_MAX];
    const uint8_t *p;
    size_t n;
} dossier_entry;

/* A name that the format of this version knows (1: carnet-audit-1, 2: carnet-audit-2). */
bool dossier_known_name(const char *name, unsigned version);
void dossier_part_name(cn_dossier_part_kind kind, uint64_t number, unsigned rank, char out[DOSSIER_NAME_MAX]);
/* Reads everything but the manifest from entries with ascending known names. d points into them. On failure d is to be
 * cleared all the same. */
cn_status dossier_read_entries(const dossier_entry *entry, size_t count, cn_dossier *d, cn_err *err);

#endif
