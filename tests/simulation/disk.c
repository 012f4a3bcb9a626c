/* The model disk of a host. The journal is a run of records: a crash keeps a prefix of what was not synced, as the
 * checksums of the real one do (storage/safety.c); a floor is durable with the next sync. Finals are the ledger's own
 * commits. Without room, nothing is written and the node stops. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

disk_row *unsynced(node *nd)
{
    nd->unsynced = realloc(nd->unsynced, (nd->unsynced_n + 1) * sizeof *nd->unsynced);
    nd->unsynced[nd->unsynced_n] = (disk_row){0};
    return &nd->unsynced[nd->unsynced_n++];
}

void drop_unsynced(node *nd, bool floors)
{
    size_t kept = 0;
    for (size_t k = 0; k < nd->unsynced_n; k++) {
        disk_row *d = &nd->unsynced[k];
        if (d->has_body)
            free_block(&d->body);
        if (d->has_floor && !floors) {
            nd->unsynced[kept] = *d;
            nd->unsynced[kept++].token = 0; /* durable with whatever the next core makes durable */
        }
    }
    nd->unsynced_n = kept;
}

bool commits_pending(const node *nd)
{
    for (size_t k = 0; k < nd->unsynced_n; k++)
        if (nd->unsynced[k].is_final)
            return true;
    return false;
}

/* False: the node stops, and starts again when there is room. What it was about to write may be there in part. */
bool has_room(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    if (s->now >= nd->full_until)
        return true;
    if (nd->up) {
        tell(s, i, "has no room on its disk, and stops");
        nd->up = false;
        schedule(s, (sim_event){.at = s->now, .kind = E_CRASH, .node = i, .value = nd->full_until - s->now});
    }
    return false;
}

/* ---- records ---- */

static void store_row(node *nd, const cn_sign_row *row)
{
    size_t k = 0;
    while (k < nd->rows && (nd->row[k].view != row->view || nd->row[k].epoch != row->epoch))
        k++;
    if (k == nd->rows) {
        nd->row = realloc(nd->row, (nd->rows + 1) * sizeof *nd->row);
        nd->rows++;
    }
    nd->row[k] = *row;
}

static bool above(uint64_t epoch, uint64_t view, uint64_t floor_epoch, uint64_t floor_view)
{
    return epoch > floor_epoch || (epoch == floor_epoch && view > floor_view);
}

/* Rows at or below the floor may go, and with them the bodies of what is final. */
static void store_floor(node *nd, uint64_t epoch, uint64_t view)
{
    size_t kept = 0;
    nd->safe_epoch = epoch;
    nd->safe_view = view;
    for (size_t k = 0; k < nd->rows; k++)
        if (above(nd->row[k].epoch, nd->row[k].view, epoch, view))
            nd->row[kept++] = nd->row[k];
    nd->rows = kept;
    kept = 0;
    for (size_t k = 0; k < nd->notarizations; k++)
        if (above(nd->notarization[k].epoch, nd->notarization[k].view, epoch, view))
            nd->notarization[kept++] = nd->notarization[k];
    nd->notarizations = kept;
    kept = 0;
    for (size_t k = 0; k < nd->bodies; k++)
        if (nd->body[k].header.height > nd->height)
            nd->body[kept++] = nd->body[k];
        else
            free_block(&nd->body[k]);
    nd->bodies = kept;
}

static size_t records_of(const disk_row *d)
{
    return d->is_final ? 0 : (size_t)d->has_body + d->has_cert + d->has_row + d->has_floor;
}

/* The first `count` records, in the order of the real journal: a row comes after what it relies on. */
static void store_records(node *nd, const disk_row *d, size_t count)
{
    if (d->has_body && count > 0) {
        nd->body = realloc(nd->body, (nd->bodies + 1) * sizeof *nd->body);
        nd->body[nd->bodies++] = copy_block(&d->body);
        count--;
    }
    if (d->has_cert && count > 0) {
        nd->notarization = realloc(nd->notarization, (nd->notarizations + 1) * sizeof *nd->notarization);
        nd->notarization[nd->notarizations++] = d->cert;
        count--;
    }
    if (d->has_row && count > 0)
        store_row(nd, &d->row);
    else if (d->has_floor && count > 0)
        store_floor(nd, d->floor_epoch, d->view);
}

/* ---- the ledger ---- */

static void store_final(sim *s, node *nd, const disk_row *d)
{
    if (d->body.header.height != nd->height + 1)
        return;
    nd->chain = realloc(nd->chain, (nd->height + 2) * sizeof *nd->chain);
    model_block *b = &nd->chain[++nd->height];
    *b = (model_block){.block = copy_block(&d->body), .view = d->view};
    if (d->has_cert) {
        b->cert = malloc(sizeof *b->cert);
        *b->cert = d->cert;
    }
    for (size_t m = 0; m < b->block.record_count; m++) {
        int number = statement_number(s, &b->block.record[m]);
        if (number >= 0)
            nd->final[number] = true;
    }
}

/* ---- syncing ---- */

/* Moves everything up to the token to the disk, in order; the ledger's own commits too. */
void sync_disk(sim *s, unsigned i, uint64_t token, bool finals)
{
    node *nd = &s->node[i];
    size_t kept = 0;
    if (!finals)
        record_synced(s, i, token);
    for (size_t k = 0; k < nd->unsynced_n; k++) {
        disk_row *d = &nd->unsynced[k];
        if (d->is_final != finals || d->token > token) {
            nd->unsynced[kept++] = *d;
            continue;
        }
        if (d->is_final)
            store_final(s, nd, d);
        else
            store_records(nd, d, records_of(d));
        if (d->has_body)
            free_block(&d->body);
    }
    nd->unsynced_n = kept;
}

/* In a crash, a prefix of the journal's unsynced records may have reached the disk all the same. */
void tear(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    size_t records = 0, count = 0;
    uint64_t whole = 0;
    for (size_t k = 0; k < nd->unsynced_n; k++)
        records += records_of(&nd->unsynced[k]);
    if (records > 0 && rng_chance(&s->r, 60))
        count = 1 + rng_below(&s->r, records);
    for (size_t k = 0; k < nd->unsynced_n && count > 0; k++) {
        const disk_row *d = &nd->unsynced[k];
        size_t has = records_of(d), take = has < count ? has : count;
        store_records(nd, d, take);
        if (take == has && !d->is_final && !d->has_floor)
            whole = d->token;
        count -= take;
    }
    record_synced(s, i, whole);
    nd->floor_epoch = nd->safe_epoch;
    nd->floor_view = nd->safe_view;
    record_crash(s, i);
}

/* In memory at once; on the disk with the next sync. */
void raise_floor(sim *s, unsigned i, uint64_t epoch, uint64_t view)
{
    node *nd = &s->node[i];
    if (!above(epoch, view, nd->floor_epoch, nd->floor_view))
        return;
    nd->floor_epoch = epoch;
    nd->floor_view = view;
    *unsynced(nd) = (disk_row){.has_floor = true, .floor_epoch = epoch, .view = view, .token = nd->token + 1};
    record_floor(s, i);
}
