#include "node/api/erasures.h"

#include "node/api/view.h"

#include <stdlib.h>

#define ROWS_PAGE 256u

static cn_status visit_one(cn_snapshot *snap, uint64_t index, cn_erasures_visit *visit, void *ctx, bool *ret_go_on,
                           cn_err *err)
{
    cn_stored_statement stored;
    cn_statement *s = NULL;
    cn_status st = cn_snapshot_statement(snap, index, &stored, err);
    if (st == CN_OK)
        st = cn_view_decode(&stored, &s, err);
    if (st == CN_OK && (s->body.kind == CN_PAYLOAD_ERASURE || s->body.kind == CN_PAYLOAD_PURGE))
        *ret_go_on = visit(ctx, s, index);
    cn_statement_free(s);
    return st;
}

cn_status cn_erasures_each(cn_snapshot *snap, const uint8_t *salt, uint64_t log_size, cn_erasures_visit *visit,
                           void *ctx, cn_err *err)
{
    cn_digest tag = cn_erasures_subject(salt); /* they have a tree of their own */
    uint64_t count = 0, at = 0;
    bool go_on = true;
    cn_status st = cn_snapshot_subject_count(snap, &tag, &count, err);
    if (st != CN_OK || count == 0)
        return st == CN_NOT_FOUND ? CN_OK : st;
    cn_subject_row *row = calloc(ROWS_PAGE, sizeof *row);
    if (!row)
        return cn_fail(err, CN_NO_MEMORY, "erasures", "out of memory");
    for (size_t got = 1; st == CN_OK && go_on && got && at < count; at += got) {
        st = cn_snapshot_subject_rows(snap, &tag, at, row, ROWS_PAGE, &got, err);
        for (size_t i = 0; i < got && at + i < count && st == CN_OK && go_on; i++)
            if (row[i].leaf.log_index < log_size)
                st = visit_one(snap, row[i].leaf.log_index, visit, ctx, &go_on, err);
    }
    free(row);
    return st;
}

typedef struct search {
    const cn_digest *batch;
    cn_erasure_order *found;
    size_t cap, count;
} search;

static bool is_about(void *ctx, const cn_statement *s, uint64_t log_index)
{
    search *x = ctx;
    const cn_erasure_payload *e = &s->body.erasure;
    if (s->body.kind == CN_PAYLOAD_ERASURE && cn_digest_eq(&e->target, x->batch))
        x->found[x->count++] = (cn_erasure_order){s->id, log_index, e->start, e->count, e->reason};
    return x->count < x->cap;
}

cn_status cn_erasures_of(cn_snapshot *snap, const uint8_t *salt, uint64_t log_size, const cn_digest *batch,
                         cn_erasure_order *ret, size_t cap, size_t *ret_count, cn_err *err)
{
    search x = {.batch = batch, .found = ret, .cap = cap};
    cn_status st = cap ? cn_erasures_each(snap, salt, log_size, is_about, &x, err) : CN_OK;
    *ret_count = x.count;
    return st;
}
