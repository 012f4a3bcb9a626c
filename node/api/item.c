/* One item of a batch, with what leads from it to the signed items_root, from there by the record to the log, and from
 * the log to what validators signed (docs/proofs.md). */
#include "node/api/erasures.h"
#include "node/api/request.h"
#include "node/api/signed.h"
#include "node/api/view.h"
#include "proto/cbor.h"

#include <stdlib.h>

#define SIGNED_WAIT_MS 5000u

typedef struct item_proof {
    cn_snapshot *snap;
    cn_signed at;
    cn_statement *statement;
    cn_receipt_proof inclusion;
    cn_digest leaf[CN_MAX_ITEMS], path[CN_PROOF_MAX];
    size_t path_len;
} item_proof;

/* By which order, and what is left of it. */
static cn_status was_erased(cn_request *r, const item_proof *p, uint32_t item, cn_err *err)
{
    cn_erasure_order order[CN_ERASURES_SHOWN];
    const cn_statement *s = p->statement;
    size_t count = 0, i = 0;
    cn_digest leaf = cn_item_leaf(s->item[item].p, s->item[item].n);
    cn_status st = cn_erasures_of(p->snap, r->backend->subject_salt, p->at.checkpoint.size, &s->id, order,
                                  CN_ERASURES_SHOWN, &count, err);
    while (i < count && !(item >= order[i].start && item - order[i].start < order[i].count))
        i++;
    if (st != CN_OK)
        return st;
    if (i == count)
        return cn_fail(err, CN_ERASED, "item", "only the leaf hash of item %u is on this node, %s", item,
                       cn_digest_hex(&leaf).s);
    return cn_fail(err, CN_ERASED, "item", "item %u was erased by statement %s, log %llu; its leaf hash is %s", item,
                   cn_digest_hex(&order[i].id).s, (unsigned long long)order[i].log_index, cn_digest_hex(&leaf).s);
}

static cn_status find(cn_request *r, const cn_digest *id, uint64_t item, item_proof *p, cn_err *err)
{
    cn_stored_statement stored;
    uint64_t index = 0;
    cn_status st = cn_signed_open(r->backend, SIGNED_WAIT_MS, false, &p->snap, &p->at, err);
    if (st == CN_OK)
        st = cn_snapshot_find_id(p->snap, id, &index, err);
    if (st == CN_NOT_FOUND || (st == CN_OK && index >= p->at.checkpoint.size))
        st = cn_fail(err, CN_NOT_FOUND, "statement", "%s is not final on this node", cn_digest_hex(id).s);
    if (st == CN_OK)
        st = cn_snapshot_statement(p->snap, index, &stored, err);
    if (st == CN_OK)
        st = cn_view_decode(&stored, &p->statement, err);
    if (st == CN_OK && item >= p->statement->item_count)
        st =
            cn_fail(err, CN_NOT_FOUND, "item", "the statement has %zu items, counted from 0", p->statement->item_count);
    if (st == CN_OK && cn_item_is_erased(p->statement->item[item].p, p->statement->item[item].n))
        st = was_erased(r, p, (uint32_t)item, err);
    p->inclusion = (cn_receipt_proof){.size = p->at.checkpoint.size, .index = index};
    if (st == CN_OK)
        st = cn_snapshot_inclusion(p->snap, index, p->at.checkpoint.size, p->inclusion.path, &p->inclusion.path_len,
                                   err);
    for (size_t i = 0; st == CN_OK && i < p->statement->item_count; i++)
        p->leaf[i] = cn_item_leaf(p->statement->item[i].p, p->statement->item[i].n);
    if (st == CN_OK)
        p->path_len = cn_merkle_path(p->leaf, p->statement->item_count, (size_t)item, p->path);
    return st;
}

/* NULL: out of memory. */
static json_t *view(const item_proof *p, uint64_t item)
{
    const cn_statement *s = p->statement;
    cn_buf receipts, tlog;
    json_t *path = json_array();
    for (size_t i = 0; i < p->path_len; i++)
        json_array_append_new(path, cn_view_base64(p->path[i].b, CN_DIGEST_LEN));
    cn_buf_init(&receipts, CN_RECEIPT_MAX * CN_MAX_VALIDATORS);
    cn_cbor_head(&receipts, CN_CBOR_ARRAY, p->at.count);
    for (size_t i = 0; i < p->at.count; i++)
        cn_signed_receipt(&p->at, i, &p->inclusion, &receipts);
    cn_buf_init(&tlog, CN_MAX_NOTE_BYTES + CN_RECEIPT_MAX);
    cn_tlog_proof_begin(&tlog, p->inclusion.index, p->inclusion.path, p->inclusion.path_len);
    cn_signed_note(&p->at, &tlog);
    json_t *v =
        json_pack("{s:s, s:o, s:I, s:I, s:o, s:o, s:o}", "format", "carnet-item-1", "statement", cn_json_digest(&s->id),
                  "item_index", (json_int_t)item, "item_count", (json_int_t)s->item_count, "item_base64",
                  cn_view_base64(s->item[item].p, s->item[item].n), "item_path_base64", path, "items_root_base64",
                  cn_view_base64(s->body.batch.items_root.b, CN_DIGEST_LEN));
    json_object_set_new(v, "record_base64", cn_view_base64(s->record.p, s->record.n));
    json_object_set_new(v, "record", cn_json_digest(&s->record_digest));
    json_object_set_new(v, "receipts_base64", cn_view_base64(receipts.p, receipts.n));
    json_object_set_new(v, "tlog_proof", json_stringn((const char *)tlog.p, tlog.n));
    if (receipts.fault || tlog.fault) { /* a proof that is cut proves nothing */
        json_decref(v);
        v = NULL;
    }
    cn_buf_free(&receipts);
    cn_buf_free(&tlog);
    return v;
}

void cn_api_reply_item(cn_request *r, const cn_digest *id)
{
    uint64_t item = 0;
    bool bad = false;
    cn_err err = {0};
    if (!cn_request_query_u64(r, "item", &item, &bad)) {
        cn_fail(&err, CN_INVALID, "item", "name the item, counted from 0");
        if (!bad)
            cn_reply_error(r, &err);
        return;
    }
    item_proof *p = calloc(1, sizeof *p);
    cn_status st = p ? find(r, id, item, p, &err) : cn_fail(&err, CN_NO_MEMORY, "proof", "out of memory");
    json_t *v = st == CN_OK ? view(p, item) : NULL;
    if (st == CN_OK && !v)
        st = cn_fail(&err, CN_NO_MEMORY, "proof", "out of memory");
    if (st == CN_OK)
        cn_reply_json(r, MHD_HTTP_OK, v);
    else
        cn_reply_error(r, &err);
    if (p) {
        cn_statement_free(p->statement);
        cn_snapshot_close(p->snap);
    }
    free(p);
}
