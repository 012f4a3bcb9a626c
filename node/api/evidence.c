/* R10: what this node can prove against validators, as one document that verifies offline. */
#include "node/api/request.h"
#include "node/api/view.h"

static bool add_evidence(void *ctx, cn_span evidence)
{
    return json_array_append_new(ctx, cn_view_base64(evidence.p, evidence.n)) == 0;
}

/* The chain of closing blocks, so that the set of each epoch is proved. */
static cn_status add_epochs(cn_snapshot *snap, json_t *list, cn_err *err)
{
    uint64_t height = 0;
    cn_span rows, certificate;
    cn_status st = CN_OK;
    for (uint64_t epoch = 2; st == CN_OK && cn_snapshot_epoch(snap, epoch, &height, &rows, NULL) == CN_OK; epoch++) {
        cn_header closing;
        uint8_t bytes[CN_HEADER_LEN];
        st = cn_snapshot_header(snap, height, &closing, err);
        if (st == CN_OK)
            st = cn_snapshot_certificate(snap, height, &certificate, err);
        if (st != CN_OK)
            break;
        cn_header_encode(&closing, bytes);
        json_array_append_new(list, json_pack("{s:I, s:o, s:o, s:o}", "epoch", (json_int_t)epoch, "closing",
                                              cn_view_base64(bytes, sizeof bytes), "finalization",
                                              cn_view_base64(certificate.p, certificate.n), "rows",
                                              cn_view_base64(rows.p, rows.n)));
    }
    return st;
}

void cn_api_get_evidence(cn_request *r)
{
    cn_snapshot *snap = NULL;
    cn_span genesis;
    cn_err err = {0};
    json_t *epochs = json_array(), *list = json_array();
    cn_status st = cn_snapshot_open(r->backend->store, &snap, &err);
    if (st == CN_OK)
        st = cn_snapshot_genesis(snap, &genesis, &err);
    if (st == CN_OK)
        st = add_epochs(snap, epochs, &err);
    if (st == CN_OK)
        st = cn_snapshot_evidence(snap, add_evidence, list, &err);
    if (st == CN_OK)
        cn_reply_json(r, MHD_HTTP_OK,
                      json_pack("{s:s, s:o, s:O, s:O}", "format", "carnet-evidence-1", "genesis",
                                cn_view_base64(genesis.p, genesis.n), "epochs", epochs, "evidence", list));
    else
        cn_reply_error(r, &err);
    json_decref(epochs);
    json_decref(list);
    cn_snapshot_close(snap);
}
