#include "kit.h"

#include <stdio.h>
#include <string.h>

const char *const kit_kind_name[KIT_KINDS] = {
    "event-batch",     "key-register",    "key-rotate",    "key-revoke",      "key-gap",           "key-salvage",
    "member-register", "channel-key",     "pairing",       "document-anchor", "proposal",          "ballot",
    "readiness",       "foreign-network", "foreign-proof", "erasure",         "purge-attestation",
};

kit_bytes kit_unhex(const char *hex)
{
    kit_bytes b;
    b.n = strlen(hex) / 2;
    cr_assert_leq(b.n, sizeof b.p);
    cr_assert(cn_unhex(hex, strlen(hex), b.p, b.n), "not hex: %s", hex);
    return b;
}

cn_digest kit_digest(const char *hex64)
{
    cn_digest d;
    cr_assert(cn_unhex(hex64, strlen(hex64), d.b, sizeof d.b), "not a digest: %s", hex64);
    return d;
}

cn_digest kit_fill(uint8_t byte)
{
    cn_digest d;
    memset(d.b, byte, sizeof d.b);
    return d;
}

uint64_t kit_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

cn_secret_key kit_key(uint8_t type, uint8_t number)
{
    uint8_t secret[32] = {0};
    cn_secret_key key;
    secret[31] = number;
    cr_assert_eq(cn_secret_key_from_bytes(type, secret, &key, NULL), CN_OK);
    return key;
}

cn_digest kit_network(void)
{
    static const char genesis[] = "{\"carnet\":\"vectors\"}\n";
    return cn_network_id(genesis, sizeof genesis - 1);
}

static void fill_batch(kit_bodies *store, cn_body *body)
{
    static const char *const content[4] = {"{\"t\":1}", "{\"t\":2}", "{\"t\":3}", "{\"t\":4}"};
    uint8_t secret[32];
    memset(secret, 0x5a, sizeof secret);
    for (size_t i = 0; i < 4; i++) {
        cn_buf item;
        cn_buf_init(&item, sizeof store->item[i]);
        cn_item_write(&item, secret, CN_ITEM_EPCIS, content[i], strlen(content[i]));
        cr_assert(!item.fault);
        memcpy(store->item[i], item.p, item.n);
        store->item_span[i] = CN_SPAN(store->item[i], item.n);
        cn_buf_free(&item);
    }
    store->entry[0] = (cn_batch_entry){kit_fill(0x11), 0, 2, 1700000000000, 1700000001000};
    store->entry[1] = (cn_batch_entry){kit_fill(0x11), 3, 1, 1700000003000, 1700000003000};
    store->entry[2] = (cn_batch_entry){kit_fill(0x22), 1, 2, 1700000001000, 1700000002000};
    body->kind = CN_PAYLOAD_EVENT_BATCH;
    body->batch.entry = store->entry;
    body->batch.entry_count = 3;
}

static void fill_new_key(cn_registry_change *change, const cn_digest *network, uint8_t type, uint32_t purpose)
{
    cn_secret_key key = kit_key(type, 7);
    cn_digest owner = cn_member_id("exporter"), key_id = cn_key_id(&key.public_key);
    cn_digest digest = cn_possession_digest(network, &owner, &key_id);
    change->new_key.key = key.public_key;
    change->new_key.purpose = purpose;
    cr_assert_eq(cn_sign(&key, &digest, &change->new_key.possession, NULL), CN_OK);
}

static void fill_registry(kit_bodies *store, enum kit_kind kind, cn_body *body)
{
    cn_registry_change *change = &body->registry;
    body->kind = CN_PAYLOAD_REGISTRY;
    change->op = (cn_registry_op)(kind - KIT_KEY_REGISTER + CN_REG_KEY_REGISTER);
    change->key_id = kit_fill(0x44);
    switch (kind) {
    case KIT_KEY_REGISTER:
        fill_new_key(change, &body->network, CN_KEY_ED25519, CN_PURPOSE_DEVICE);
        break;
    case KIT_KEY_ROTATE:
        fill_new_key(change, &body->network, CN_KEY_SECP256K1, CN_PURPOSE_GATEWAY);
        break;
    case KIT_MEMBER_REGISTER:
        fill_new_key(change, &body->network, CN_KEY_ED25519, CN_PURPOSE_CAPTURE);
        memcpy(change->name, "mombasa-terminal", 17);
        memcpy(change->country, "KE", 3);
        change->roles = CN_ROLE_TERMINAL | CN_ROLE_CUSTOMS;
        break;
    case KIT_KEY_REVOKE:
        change->sequence = 41;
        change->reason = 3;
        break;
    case KIT_KEY_GAP:
        change->sequence = 50;
        change->previous = kit_fill(0x66);
        change->reason = 2;
        break;
    case KIT_KEY_SALVAGE: /* chain order, not byte order */
        store->list[0] = kit_fill(0x99);
        store->list[1] = kit_fill(0x33);
        store->list[2] = kit_fill(0x77);
        change->salvaged = store->list;
        change->salvaged_count = 3;
        break;
    default:
        memset(change->channel_key, 0x2b, 32);
        break;
    }
}

/* The signatures inside are any bytes: decoding does not verify them, and P-256 signing is randomised. */
static void fill_membership(enum kit_kind kind, cn_body *body)
{
    kit_set *set = calloc(1, sizeof *set);
    cr_assert_not_null(set);
    kit_set_make(set, 1);
    if (kind == KIT_PROPOSAL) {
        body->kind = CN_PAYLOAD_PROPOSAL;
        body->proposal.action = CN_CHANGE_JOIN;
        body->proposal.row = set->set.row[0];
        body->proposal.member = set->set.row[0].member;
        for (unsigned i = 0; i < CN_ROW_KEYS; i++)
            memset(body->proposal.possession[i].b, (int)(0xc1 + i), CN_SIGNATURE_LEN);
    } else if (kind == KIT_BALLOT) {
        body->kind = CN_PAYLOAD_BALLOT;
        body->ballot = (cn_ballot_payload){kit_fill(0x77), set->set.row[0].member, true};
    } else {
        body->kind = CN_PAYLOAD_READINESS;
        body->readiness = (cn_readiness_payload){
            .proposal = kit_fill(0x77), .member = set->set.row[0].member, .height = 4711, .block = kit_fill(0x88)};
        memset(body->readiness.signature.b, 0xc5, CN_SIGNATURE_LEN);
    }
    free(set);
}

/* The record that the foreign proof is about, and the checkpoint of a log of three whose last entry it is. */
static void sign_foreign(cn_buf *out, cn_digest *ret_record, cn_header *ret)
{
    cn_secret_key key = kit_key(CN_KEY_SECP256K1, 1);
    kit_bodies store;
    cn_body body = kit_body(&store, KIT_PAIRING);
    body.network = kit_fill(0xf0);
    cn_buf_init(out, CN_MAX_STATEMENT_BYTES);
    cr_assert_eq(cn_statement_sign(&body, NULL, 0, &key, out, NULL, NULL), CN_OK);
    *ret_record = cn_sha256(out->p, out->n);
    cn_digest entry[3] = {kit_fill(0xe0), kit_fill(0xe1), *ret_record}, leaf[3];
    for (size_t i = 0; i < 3; i++)
        leaf[i] = cn_leaf_hash(entry[i].b, CN_DIGEST_LEN);
    *ret = (cn_header){.version = 1,
                       .kind = CN_BLOCK_CHECKPOINT,
                       .epoch = 1,
                       .height = 2,
                       .time_ms = 1700000010000,
                       .parent = kit_fill(3),
                       .log_size = 3,
                       .log_root = cn_merkle_root(leaf, 3),
                       .state_root = kit_fill(5),
                       .body = cn_body_digest(NULL, 0)};
}

void kit_foreign_proof(cn_buf *out)
{
    kit_set *s = calloc(1, sizeof *s);
    cn_foreign_proof *p = calloc(1, sizeof *p);
    cr_assert(s && p);
    kit_set_make(s, 4);
    cn_buf rows, record, votes;
    cn_digest digest, first[2] = {kit_fill(0xe0), kit_fill(0xe1)};
    cn_buf_init(&rows, 4 * CN_SET_ROW_LEN);
    cn_buf_init(&votes, CN_CERTIFICATE_MAX);
    cn_validator_set_encode(&s->set, &rows);
    sign_foreign(&record, &digest, &p->header[0]);
    p->header[0].set = p->header[0].next_set = cn_validator_set_digest(&s->set);
    cn_certificate c = {.kind = CN_FINALIZE, .epoch = 1, .view = 9, .n = 4, .bitmap = {0x7}, .signature_count = 3};
    c.block = cn_header_digest(&p->header[0]);
    p->network = kit_fill(0xf0);
    cn_digest vote = cn_vote_digest(&p->network, 1, CN_FINALIZE, 9, &c.block);
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(cn_sign(&s->vote[i], &vote, &c.signature[i], NULL), CN_OK);
    cn_certificate_encode(&c, &votes);
    p->kind = CN_FOREIGN_STATEMENT;
    p->epoch = p->header_count = p->path_len = 1;
    p->rows = CN_SPAN(rows.p, rows.n);
    p->finalization = CN_SPAN(votes.p, votes.n);
    p->log_index = 2;
    cn_digest a = cn_leaf_hash(first[0].b, CN_DIGEST_LEN), b = cn_leaf_hash(first[1].b, CN_DIGEST_LEN);
    p->path[0] = cn_node_hash(&a, &b);
    p->key = kit_key(CN_KEY_SECP256K1, 1).public_key;
    p->record = CN_SPAN(record.p, record.n);
    cr_assert_eq(cn_foreign_write(p, out, NULL), CN_OK);
    cn_buf_free(&rows);
    cn_buf_free(&record);
    cn_buf_free(&votes);
    free(p);
    free(s);
}

static void fill_foreign(kit_bodies *store, enum kit_kind kind, cn_body *body)
{
    if (kind == KIT_FOREIGN_NETWORK) {
        body->kind = CN_PAYLOAD_PROPOSAL;
        body->proposal.action = CN_CHANGE_FOREIGN;
        body->proposal.member = kit_fill(0xf0);
        body->proposal.foreign = (cn_foreign_network){
            .name = "bank-net", .epoch = 3, .set = kit_fill(0x5e), .height = 900, .log_size = 1200};
        return;
    }
    cn_buf proof;
    cn_buf_init(&proof, sizeof store->proof);
    kit_foreign_proof(&proof);
    memcpy(store->proof, proof.p, proof.n);
    body->kind = CN_PAYLOAD_FOREIGN;
    body->foreign.proof = CN_SPAN(store->proof, proof.n);
    body->foreign.kind = CN_FOREIGN_STATEMENT;
    body->foreign.network = kit_fill(0xf0);
    store->list[0] = kit_fill(0x11);
    store->list[1] = kit_fill(0x22);
    body->foreign.subject = store->list;
    body->foreign.subject_count = 2;
    cn_buf_free(&proof);
}

/* Of the kit's batch, signed by key 1: its record goes where proofs go. */
static void fill_erasure(kit_bodies *store, enum kit_kind kind, cn_body *body)
{
    if (kind == KIT_PURGE) {
        body->kind = CN_PAYLOAD_PURGE;
        body->purge.erasure = kit_fill(0x45);
        return;
    }
    cn_secret_key key = kit_key(CN_KEY_SECP256K1, 1);
    cn_statement *batch = NULL;
    cn_buf whole;
    kit_sign(KIT_BATCH, &key, &whole, NULL);
    cr_assert_eq(cn_statement_decode(whole.p, whole.n, &batch, NULL), CN_OK);
    cr_assert_leq(batch->record.n, sizeof store->proof);
    memcpy(store->proof, batch->record.p, batch->record.n);
    body->kind = CN_PAYLOAD_ERASURE;
    body->erasure =
        (cn_erasure_payload){.record = CN_SPAN(store->proof, batch->record.n), .start = 1, .count = 2, .reason = 2};
    cn_statement_free(batch);
    cn_buf_free(&whole);
}

cn_body kit_body(kit_bodies *store, enum kit_kind kind)
{
    cn_body body;
    memset(&body, 0, sizeof body);
    cn_secret_key key = kit_key(CN_KEY_SECP256K1, 1);
    body.network = kit_network();
    body.key_id = cn_key_id(&key.public_key);
    body.sequence = 2;
    body.previous = kit_fill(0xee);
    body.created_ms = 1700000009000;
    if (kind == KIT_BATCH) {
        fill_batch(store, &body);
    } else if (kind == KIT_PAIRING) {
        body.kind = CN_PAYLOAD_PAIRING;
        body.pairing = (cn_pairing){kit_fill(0x55), kit_fill(0x22), 1700000000000, 1700000600000};
    } else if (kind == KIT_DOCUMENT) {
        body.kind = CN_PAYLOAD_DOCUMENT;
        store->list[0] = kit_fill(0x11);
        store->list[1] = kit_fill(0x22);
        body.document.digest = cn_sha256("bill of lading", 14);
        body.document.size = 14;
        body.document.kind = 2;
        body.document.issued_ms = 1699999999000;
        body.document.subject = store->list;
        body.document.subject_count = 2;
    } else if (kind == KIT_FOREIGN_NETWORK || kind == KIT_FOREIGN_PROOF) {
        fill_foreign(store, kind, &body);
    } else if (kind == KIT_ERASURE || kind == KIT_PURGE) {
        fill_erasure(store, kind, &body);
    } else if (kind >= KIT_PROPOSAL) {
        fill_membership(kind, &body);
    } else {
        fill_registry(store, kind, &body);
    }
    return body;
}

void kit_sign(enum kit_kind kind, const cn_secret_key *key, cn_buf *out, cn_digest *ret_id)
{
    kit_bodies store;
    cn_body body = kit_body(&store, kind);
    cn_err err = {0};
    body.key_id = cn_key_id(&key->public_key);
    cn_buf_init(out, CN_MAX_STATEMENT_BYTES);
    cn_status st = cn_statement_sign(&body, store.item_span, kind == KIT_BATCH ? 4 : 0, key, out, ret_id, &err);
    cr_assert_eq(st, CN_OK, "%s: %s: %s", kit_kind_name[kind], err.field, err.text);
}

static int by_member(const void *a, const void *b)
{
    return cn_digest_cmp(&((const cn_set_row *)a)->member, &((const cn_set_row *)b)->member);
}

void kit_set_make(kit_set *ret, unsigned n)
{
    cr_assert_leq(n, CN_MAX_VALIDATORS);
    memset(ret, 0, sizeof *ret);
    ret->set.n = n;
    for (unsigned i = 0; i < n; i++) {
        cn_set_row *row = &ret->set.row[i];
        char name[16];
        snprintf(name, sizeof name, "v%u", i);
        row->member = cn_member_id(name);
        row->vote_key[0] = (uint8_t)(i + 1); /* the number of its keys, until the rows are sorted */
    }
    qsort(ret->set.row, n, sizeof ret->set.row[0], by_member);
    for (unsigned i = 0; i < n; i++) {
        cn_set_row *row = &ret->set.row[i];
        uint8_t number = row->vote_key[0];
        ret->vote[i] = kit_key(CN_KEY_SECP256K1, number);
        memcpy(row->vote_key, ret->vote[i].public_key.b, 33);
        cr_assert_eq(cn_evm_address(&ret->vote[i].public_key, row->evm_address, NULL), CN_OK);
        memcpy(row->receipt_key, kit_key(CN_KEY_P256, number).public_key.b, 33);
        memcpy(row->cosignature_key, kit_key(CN_KEY_ED25519, number).public_key.b, 32);
        memcpy(row->log_key, kit_key(CN_KEY_ED25519, (uint8_t)(number + 100)).public_key.b, 32);
    }
}

cn_certificate kit_certificate(const kit_set *s, uint8_t kind, uint64_t view, uint32_t signers)
{
    cn_certificate c;
    memset(&c, 0, sizeof c);
    c.kind = kind;
    c.epoch = 1;
    c.view = view;
    if (kind != CN_NULLIFY)
        c.block = kit_fill(0xb1);
    c.n = (uint8_t)s->set.n;
    cn_digest network = kit_network();
    cn_digest digest = cn_vote_digest(&network, c.epoch, kind, view, &c.block);
    for (unsigned i = 0; i < CN_MAX_VALIDATORS; i++) {
        if (!(signers >> i & 1))
            continue;
        c.bitmap[i / 8] |= (uint8_t)(1u << i % 8);
        if (i < s->set.n)
            cr_assert_eq(cn_sign(&s->vote[i], &digest, &c.signature[c.signature_count++], NULL), CN_OK);
    }
    return c;
}
