/* Building and signing, for signers. */
#include "proto/carnet.pb-c.h"
#include "proto/merkle.h"
#include "proto/statement.h"
#include "proto/statement_parse.h"

#include <stdlib.h>
#include <string.h>

static ProtobufCBinaryData data_of(const void *p, size_t n)
{
    return (ProtobufCBinaryData){.len = n, .data = (uint8_t *)(uintptr_t)p};
}

static ProtobufCBinaryData data_of_digest(const cn_digest *d)
{
    return data_of(d->b, CN_DIGEST_LEN);
}

/* All messages a body can need, in one place: protobuf-c wants pointers to live structures. */
typedef struct body_messages {
    Carnet__V1__StatementBody body;
    Carnet__V1__EventBatch batch;
    Carnet__V1__BatchEntry *entry;
    Carnet__V1__BatchEntry **entries;
    Carnet__V1__RegistryChange registry;
    Carnet__V1__KeyRegister key;
    Carnet__V1__KeyRotate rotate;
    Carnet__V1__KeyRevoke revoke;
    Carnet__V1__KeyGap gap;
    Carnet__V1__KeySalvage salvage;
    Carnet__V1__MemberRegister member;
    Carnet__V1__ChannelKey channel;
    Carnet__V1__Pairing pairing;
    Carnet__V1__DocumentAnchor document;
    Carnet__V1__Proposal proposal;
    Carnet__V1__Ballot ballot;
    Carnet__V1__Readiness readiness;
    Carnet__V1__ForeignNetwork network;
    Carnet__V1__ForeignProof foreign;
    Carnet__V1__Erasure erasure;
    Carnet__V1__PurgeAttestation purge;
    uint8_t row[CN_SET_ROW_LEN];
    ProtobufCBinaryData *list;
} body_messages;

static bool fill_batch(body_messages *m, const cn_event_batch *batch)
{
    carnet__v1__event_batch__init(&m->batch);
    m->entry = calloc(batch->entry_count ? batch->entry_count : 1, sizeof *m->entry);
    m->entries = calloc(batch->entry_count ? batch->entry_count : 1, sizeof(Carnet__V1__BatchEntry *));
    if (!m->entry || !m->entries)
        return false;
    for (size_t i = 0; i < batch->entry_count; i++) {
        Carnet__V1__BatchEntry *e = &m->entry[i];
        carnet__v1__batch_entry__init(e);
        e->subject = data_of_digest(&batch->entry[i].subject);
        e->start = batch->entry[i].start;
        e->count = batch->entry[i].count;
        e->first_ms = batch->entry[i].first_ms;
        e->last_ms = batch->entry[i].last_ms;
        m->entries[i] = e;
    }
    m->batch.items_root = data_of_digest(&batch->items_root);
    m->batch.item_count = batch->item_count;
    m->batch.n_entries = batch->entry_count;
    m->batch.entries = m->entries;
    m->body.payload_case = CARNET__V1__STATEMENT_BODY__PAYLOAD_EVENT_BATCH;
    m->body.event_batch = &m->batch;
    return true;
}

static bool fill_list(body_messages *m, const cn_digest *list, size_t count)
{
    m->list = calloc(count ? count : 1, sizeof *m->list);
    for (size_t i = 0; m->list && i < count; i++)
        m->list[i] = data_of_digest(&list[i]);
    return m->list != NULL;
}

static void fill_key(body_messages *m, const cn_key_register *key)
{
    carnet__v1__key_register__init(&m->key);
    m->key.type = key->key.type;
    m->key.purpose = key->purpose;
    m->key.public_key = data_of(key->key.b, cn_public_key_len(key->key.type));
    m->key.possession = data_of(key->possession.b, CN_SIGNATURE_LEN);
}

static void fill_key_change(body_messages *m, const cn_registry_change *change)
{
    fill_key(m, &change->new_key);
    switch (change->op) {
    case CN_REG_KEY_ROTATE:
        carnet__v1__key_rotate__init(&m->rotate);
        m->rotate.key_id = data_of_digest(&change->key_id);
        m->rotate.replacement = &m->key;
        m->registry.key_rotate = &m->rotate;
        break;
    case CN_REG_KEY_REVOKE:
        carnet__v1__key_revoke__init(&m->revoke);
        m->revoke.key_id = data_of_digest(&change->key_id);
        m->revoke.last_good = change->sequence;
        m->revoke.reason = change->reason;
        m->registry.key_revoke = &m->revoke;
        break;
    case CN_REG_KEY_GAP:
        carnet__v1__key_gap__init(&m->gap);
        m->gap.key_id = data_of_digest(&change->key_id);
        m->gap.sequence = change->sequence;
        m->gap.previous = data_of_digest(&change->previous);
        m->gap.reason = change->reason;
        m->registry.key_gap = &m->gap;
        break;
    default:
        m->registry.key_register = &m->key;
        break;
    }
}

static bool fill_registry(body_messages *m, const cn_registry_change *change)
{
    carnet__v1__registry_change__init(&m->registry);
    m->registry.change_case = (Carnet__V1__RegistryChange__ChangeCase)change->op;
    m->body.payload_case = CARNET__V1__STATEMENT_BODY__PAYLOAD_REGISTRY_CHANGE;
    m->body.registry_change = &m->registry;
    switch (change->op) {
    case CN_REG_KEY_SALVAGE:
        carnet__v1__key_salvage__init(&m->salvage);
        m->salvage.key_id = data_of_digest(&change->key_id);
        if (!fill_list(m, change->salvaged, change->salvaged_count))
            return false;
        m->salvage.n_statement_ids = change->salvaged_count;
        m->salvage.statement_ids = m->list;
        m->registry.key_salvage = &m->salvage;
        return true;
    case CN_REG_MEMBER_REGISTER:
        carnet__v1__member_register__init(&m->member);
        fill_key(m, &change->new_key);
        m->member.name = data_of(change->name, strlen(change->name));
        m->member.country = data_of(change->country, strlen(change->country));
        m->member.roles = change->roles;
        m->member.capture_key = &m->key;
        m->registry.member_register = &m->member;
        return true;
    case CN_REG_CHANNEL_KEY:
        carnet__v1__channel_key__init(&m->channel);
        m->channel.public_key = data_of(change->channel_key, 32);
        m->registry.channel_key = &m->channel;
        return true;
    default:
        fill_key_change(m, change);
        return true;
    }
}

static void fill_pairing(body_messages *m, const cn_pairing *pairing)
{
    carnet__v1__pairing__init(&m->pairing);
    m->pairing.container = data_of_digest(&pairing->container);
    m->pairing.consignment = data_of_digest(&pairing->consignment);
    m->pairing.start_ms = pairing->start_ms;
    m->pairing.end_ms = pairing->end_ms;
    m->body.payload_case = CARNET__V1__STATEMENT_BODY__PAYLOAD_PAIRING;
    m->body.pairing = &m->pairing;
}

static bool fill_document(body_messages *m, const cn_document_anchor *document)
{
    carnet__v1__document_anchor__init(&m->document);
    if (!fill_list(m, document->subject, document->subject_count))
        return false;
    m->document.digest = data_of_digest(&document->digest);
    m->document.size = document->size;
    m->document.kind = document->kind;
    m->document.issued_ms = document->issued_ms;
    m->document.n_subjects = document->subject_count;
    m->document.subjects = m->list;
    m->body.payload_case = CARNET__V1__STATEMENT_BODY__PAYLOAD_DOCUMENT_ANCHOR;
    m->body.document_anchor = &m->document;
    return true;
}

static void fill_network(body_messages *m, const cn_foreign_network *n)
{
    carnet__v1__foreign_network__init(&m->network);
    m->proposal.foreign = &m->network;
    m->network.withdraw = n->withdraw;
    if (n->withdraw)
        return;
    m->network.name = data_of(n->name, strlen(n->name));
    m->network.epoch = n->epoch;
    m->network.set = data_of_digest(&n->set);
    m->network.height = n->height;
    m->network.log_size = n->log_size;
}

static bool fill_proposal(body_messages *m, const cn_proposal_payload *p)
{
    carnet__v1__proposal__init(&m->proposal);
    m->proposal.action = (uint32_t)p->action;
    m->proposal.member = data_of_digest(&p->member);
    m->proposal.roles = p->roles;
    m->proposal.registrar = p->registrar;
    m->body.payload_case = CARNET__V1__STATEMENT_BODY__PAYLOAD_PROPOSAL;
    m->body.proposal = &m->proposal;
    if (p->action == CN_CHANGE_FOREIGN)
        fill_network(m, &p->foreign);
    if (p->action != CN_CHANGE_JOIN && p->action != CN_CHANGE_ROTATE)
        return true;
    cn_validator_set *alone = calloc(1, sizeof *alone);
    m->list = calloc(CN_ROW_KEYS, sizeof *m->list);
    if (!alone || !m->list) {
        free(alone);
        return false;
    }
    alone->n = 1;
    alone->row[0] = p->row;
    cn_buf row;
    cn_buf_init(&row, CN_SET_ROW_LEN);
    cn_validator_set_encode(alone, &row);
    free(alone);
    CN_ASSERT(!row.fault && row.n == CN_SET_ROW_LEN);
    memcpy(m->row, row.p, CN_SET_ROW_LEN);
    cn_buf_free(&row);
    m->proposal.row = data_of(m->row, CN_SET_ROW_LEN);
    for (size_t i = 0; i < CN_ROW_KEYS; i++)
        m->list[i] = data_of(p->possession[i].b, CN_SIGNATURE_LEN);
    m->proposal.n_possession = CN_ROW_KEYS;
    m->proposal.possession = m->list;
    return true;
}

static void fill_ballot(body_messages *m, const cn_ballot_payload *b)
{
    carnet__v1__ballot__init(&m->ballot);
    m->ballot.proposal = data_of_digest(&b->proposal);
    m->ballot.member = data_of_digest(&b->member);
    m->ballot.approve = b->approve ? 1 : 2;
    m->body.payload_case = CARNET__V1__STATEMENT_BODY__PAYLOAD_BALLOT;
    m->body.ballot = &m->ballot;
}

static void fill_readiness(body_messages *m, const cn_readiness_payload *r)
{
    carnet__v1__readiness__init(&m->readiness);
    m->readiness.proposal = data_of_digest(&r->proposal);
    m->readiness.member = data_of_digest(&r->member);
    m->readiness.height = r->height;
    m->readiness.block = data_of_digest(&r->block);
    m->readiness.signature = data_of(r->signature.b, CN_SIGNATURE_LEN);
    m->body.payload_case = CARNET__V1__STATEMENT_BODY__PAYLOAD_READINESS;
    m->body.readiness = &m->readiness;
}

static bool fill_foreign(body_messages *m, const cn_foreign_payload *f)
{
    carnet__v1__foreign_proof__init(&m->foreign);
    if (!fill_list(m, f->subject, f->subject_count))
        return false;
    m->foreign.proof = data_of(f->proof.p, f->proof.n);
    m->foreign.n_subjects = f->subject_count;
    m->foreign.subjects = m->list;
    m->body.payload_case = CARNET__V1__STATEMENT_BODY__PAYLOAD_FOREIGN_PROOF;
    m->body.foreign_proof = &m->foreign;
    return true;
}

static void fill_erasure(body_messages *m, const cn_erasure_payload *e)
{
    carnet__v1__erasure__init(&m->erasure);
    m->erasure.record = data_of(e->record.p, e->record.n);
    m->erasure.start = e->start;
    m->erasure.count = e->count;
    m->erasure.reason = e->reason;
    m->body.payload_case = CARNET__V1__STATEMENT_BODY__PAYLOAD_ERASURE;
    m->body.erasure = &m->erasure;
}

static void fill_purge(body_messages *m, const cn_purge_payload *p)
{
    carnet__v1__purge_attestation__init(&m->purge);
    m->purge.erasure = data_of_digest(&p->erasure);
    m->body.payload_case = CARNET__V1__STATEMENT_BODY__PAYLOAD_PURGE_ATTESTATION;
    m->body.purge_attestation = &m->purge;
}

static bool fill_body(body_messages *m, const cn_body *body)
{
    carnet__v1__statement_body__init(&m->body);
    m->body.version = body->version;
    m->body.network = data_of_digest(&body->network);
    m->body.key_id = data_of_digest(&body->key_id);
    m->body.sequence = body->sequence;
    m->body.previous = data_of_digest(&body->previous);
    m->body.created_ms = body->created_ms;
    switch (body->kind) {
    case CN_PAYLOAD_EVENT_BATCH:
        return fill_batch(m, &body->batch);
    case CN_PAYLOAD_REGISTRY:
        return fill_registry(m, &body->registry);
    case CN_PAYLOAD_PAIRING:
        fill_pairing(m, &body->pairing);
        return true;
    case CN_PAYLOAD_DOCUMENT:
        return fill_document(m, &body->document);
    case CN_PAYLOAD_PROPOSAL:
        return fill_proposal(m, &body->proposal);
    case CN_PAYLOAD_BALLOT:
        fill_ballot(m, &body->ballot);
        return true;
    case CN_PAYLOAD_READINESS:
        fill_readiness(m, &body->readiness);
        return true;
    case CN_PAYLOAD_FOREIGN:
        return fill_foreign(m, &body->foreign);
    case CN_PAYLOAD_ERASURE:
        fill_erasure(m, &body->erasure);
        return true;
    case CN_PAYLOAD_PURGE:
        fill_purge(m, &body->purge);
        return true;
    }
    return false;
}

static bool pack_body(const cn_body *body, cn_buf *out)
{
    body_messages *m = calloc(1, sizeof *m);
    bool ok = m && fill_body(m, body);
    if (ok) {
        size_t n = carnet__v1__statement_body__get_packed_size(&m->body);
        uint8_t *bytes = n <= CN_MAX_STATEMENT_BYTES ? malloc(n) : NULL;
        ok = bytes != NULL;
        if (ok)
            cn_put_bytes(out, bytes, carnet__v1__statement_body__pack(&m->body, bytes));
        free(bytes);
    }
    if (m) {
        free(m->entry);
        free(m->entries);
        free(m->list);
    }
    free(m);
    return ok && !out->fault;
}

static void put_field(cn_buf *out, uint8_t tag, const void *p, size_t n)
{
    cn_put_u8(out, tag);
    size_t rest = n;
    for (; rest >= 0x80; rest >>= 7)
        cn_put_u8(out, (uint8_t)(rest | 0x80));
    cn_put_u8(out, (uint8_t)rest);
    cn_put_bytes(out, p, n);
}

static cn_status set_items(cn_body *body, const cn_span *items, size_t count, cn_err *err)
{
    if (body->kind != CN_PAYLOAD_EVENT_BATCH)
        return count == 0 ? CN_OK : cn_fail(err, CN_INVALID, "items", "only an event batch has items");
    if (count == 0 || count > CN_MAX_ITEMS)
        return cn_fail(err, CN_TOO_LARGE, "items", "%zu items; a batch has 1 to %u", count, CN_MAX_ITEMS);
    cn_digest leaf[CN_MAX_ITEMS];
    for (size_t i = 0; i < count; i++) {
        if (items[i].n <= 1u + CN_ITEM_SALT_LEN || items[i].n > CN_MAX_ITEM_BYTES)
            return cn_fail(err, CN_TOO_LARGE, "items", "item %zu has %zu bytes; format, salt and content take %u to %u",
                           i, items[i].n, 2u + CN_ITEM_SALT_LEN, CN_MAX_ITEM_BYTES);
        leaf[i] = cn_item_leaf(items[i].p, items[i].n);
    }
    body->batch.items_root = cn_merkle_root(leaf, count);
    body->batch.item_count = (uint32_t)count;
    return CN_OK;
}

cn_status cn_statement_sign(cn_body *body, const cn_span *items, size_t item_count, const cn_secret_key *key,
                            cn_buf *out, cn_digest *ret_id, cn_err *err)
{
    body->version = CN_PROTOCOL_VERSION;
    cn_status st = set_items(body, items, item_count, err);
    if (st != CN_OK)
        return st;
    cn_buf bytes;
    cn_buf_init(&bytes, CN_MAX_STATEMENT_BYTES);
    cn_signature signature;
    if (!pack_body(body, &bytes))
        st = cn_fail(err, CN_TOO_LARGE, "body", "the body does not fit into %u bytes", CN_MAX_STATEMENT_BYTES);
    if (st == CN_OK) {
        cn_digest digest = cn_statement_signing_digest(&body->network, bytes.p, bytes.n);
        st = cn_sign(key, &digest, &signature, err);
    }
    if (st == CN_OK) { /* what this node would refuse is not signed: the body is read back strictly */
        cn_arena arena;
        cn_body again;
        cn_arena_init(&arena, CN_BODY_BUDGET(bytes.n));
        st = cn_body_parse(bytes.p, bytes.n, &arena, &again, err);
        cn_arena_free(&arena);
    }
    if (st == CN_OK) {
        size_t before = out->n;
        put_field(out, 0x0a, bytes.p, bytes.n);
        put_field(out, 0x12, signature.b, CN_SIGNATURE_LEN);
        for (size_t i = 0; i < item_count; i++)
            put_field(out, 0x1a, items[i].p, items[i].n);
        if (out->fault || out->n - before > CN_MAX_STATEMENT_BYTES) {
            out->n = before;
            st = cn_fail(err, CN_TOO_LARGE, "statement", "a statement has at most %u bytes", CN_MAX_STATEMENT_BYTES);
        } else if (ret_id) {
            *ret_id = cn_tagged("carnet/statement-id", bytes.p, bytes.n);
        }
    }
    cn_buf_free(&bytes);
    return st;
}
