/* Orders to erase items, and what members say they have erased (docs/erasure.md). An order carries the record of its
 * batch, so that who may give it is judged by the signed body and the state alone; whether and where the batch is
 * recorded is for each node to see when it purges. */
#include "node/ledger/apply.h"

#include <string.h>

static void about_all(cn_apply *a, const cn_digest *subject, size_t count)
{
    cn_digest all = cn_erasures_subject(a->salt);
    for (size_t i = 0; i < count; i++)
        cn_apply_about(a, &subject[i]);
    cn_apply_about(a, &all);
}

cn_status cn_apply_erasure(cn_apply *a, cn_err *err)
{
    const cn_erasure_payload *e = &a->s->body.erasure;
    uint8_t value[CN_STATE_VALUE_MAX];
    cn_state_device_key key;
    cn_status st = cn_apply_need_capture(a, err);
    if (st == CN_OK && !cn_ledger_key(a->b->ledger, a->b, &e->key_id, &key))
        st = cn_fail(err, CN_UNKNOWN_KEY, "erasure.record", "no member has registered key %s",
                     cn_digest_hex(&e->key_id).s);
    if (st == CN_OK && !cn_digest_eq(&key.owner, &a->key.owner))
        st = cn_fail(err, CN_DENIED, "erasure.record", "only the member whose key signed a batch may have it erased");
    if (st == CN_OK && !atomic_load(&a->stmt->foreign)) { /* once a node */
        st = cn_erasure_verify(e, &a->b->ledger->genesis->network, &key.key, err);
        atomic_store(&a->stmt->foreign, st == CN_OK);
    }
    if (st != CN_OK)
        return st;
    cn_state_erasure row = {.log_index = a->index,
                            .target = e->target,
                            .start = e->start,
                            .count = e->count,
                            .subject_count = (uint8_t)e->subject_count};
    CN_ASSERT(e->subject_count <= CN_MAX_SUBJECTS);
    memcpy(row.subject, e->subject, e->subject_count * sizeof *e->subject);
    cn_apply_put(a, CN_STATE_ERASURE, a->s->id.b, CN_DIGEST_LEN, value, cn_state_erasure_encode(&row, value));
    about_all(a, e->subject, e->subject_count);
    return CN_OK;
}

static cn_status get_order(const cn_apply *a, const cn_digest *id, cn_state_erasure *ret, cn_err *err)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_key key = cn_state_key_of(a->salt, CN_STATE_ERASURE, id->b, CN_DIGEST_LEN);
    if (!cn_block_get(a->b, &key, value, &n))
        return cn_fail(err, CN_NOT_FOUND, "purge_attestation.erasure", "no statement %s ordered an erasure",
                       cn_digest_hex(id).s);
    return cn_state_erasure_decode(value, n, ret) ? CN_OK : cn_ledger_fault(a->b->ledger, "an order to erase");
}

cn_status cn_apply_purge(cn_apply *a, cn_err *err)
{
    const cn_digest *order = &a->s->body.purge.erasure;
    uint8_t id[2 * CN_DIGEST_LEN], value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_erasure row;
    cn_status st = cn_apply_need_capture(a, err);
    if (st == CN_OK)
        st = get_order(a, order, &row, err);
    memcpy(id, order->b, CN_DIGEST_LEN);
    memcpy(id + CN_DIGEST_LEN, a->key.owner.b, CN_DIGEST_LEN);
    cn_state_key key = cn_state_key_of(a->salt, CN_STATE_PURGE, id, sizeof id);
    if (st == CN_OK && cn_block_get(a->b, &key, value, &n))
        st = cn_fail(err, CN_CONFLICT, "purge_attestation.erasure", "this member has said so before");
    if (st != CN_OK)
        return st;
    cn_state_relied said = {.statement = a->s->id, .log_index = a->index};
    cn_apply_put(a, CN_STATE_PURGE, id, sizeof id, value, cn_state_relied_encode(&said, value));
    about_all(a, row.subject, row.subject_count);
    return CN_OK;
}
