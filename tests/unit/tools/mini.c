#include "mini.h"

#include "node/formats/plan.h"
#include "proto/cbor.h"
#include "proto/foreign.h"
#include "proto/receipt.h"
#include "storage/map.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t item_secret[32] = {9};

static cn_secret_key key_of(uint8_t type, uint8_t seed)
{
    cn_secret_key key;
    uint8_t secret[32];
    memset(secret, seed, sizeof secret);
    cr_assert_eq(cn_secret_key_from_bytes(type, secret, &key, NULL), CN_OK);
    return key;
}

/* ---- genesis ---- */

static void fill_member(cn_genesis_member *member, const char *name, uint8_t seed)
{
    *member = (cn_genesis_member){.country = "KE", .roles = CN_ROLE_EXPORTER, .registrar = true, .validator = true};
    snprintf(member->name, sizeof member->name, "%s", name);
    memset(member->channel_key, seed, 32);
    member->capture_key = key_of(CN_KEY_ED25519, seed).public_key;
    cn_public_key vote = key_of(CN_KEY_SECP256K1, (uint8_t)(seed + 1)).public_key;
    memcpy(member->row.vote_key, vote.b, 33);
    cr_assert_eq(cn_evm_address(&vote, member->row.evm_address, NULL), CN_OK);
    memcpy(member->row.receipt_key, key_of(CN_KEY_P256, (uint8_t)(seed + 2)).public_key.b, 33);
    memcpy(member->row.cosignature_key, key_of(CN_KEY_ED25519, (uint8_t)(seed + 3)).public_key.b, 32);
    memcpy(member->row.log_key, key_of(CN_KEY_ED25519, (uint8_t)(seed + 4)).public_key.b, 32);
}

static void take_keys(mini *m, const char *name, uint8_t seed)
{
    cn_secret_key vote = key_of(CN_KEY_SECP256K1, (uint8_t)(seed + 1));
    for (unsigned i = 0; i < m->genesis.set.n; i++) {
        if (memcmp(m->genesis.set.row[i].vote_key, vote.public_key.b, 33) != 0)
            continue;
        m->vote[i] = vote;
        m->name[i] = name;
        m->sealing[i] =
            (cn_checkpoint_keys){key_of(CN_KEY_P256, (uint8_t)(seed + 2)), key_of(CN_KEY_ED25519, (uint8_t)(seed + 3)),
                                 key_of(CN_KEY_ED25519, (uint8_t)(seed + 4))};
    }
}

void mini_begin(mini *m)
{
    static const char *const names[MINI_VALIDATORS] = {"exporter", "bank", "carrier", "customs"};
    cn_genesis_member member[MINI_VALIDATORS];
    cn_genesis g = {.name = "mini",
                    .origin = "mini.example",
                    .time_ms = MINI_TIME,
                    .member_count = MINI_VALIDATORS,
                    .member = member};
    cn_err err = {0};
    memset(m, 0, sizeof *m);
    memset(g.nonce, 1, 32);
    memset(g.subject_salt, 2, 32);
    g.parameters = (cn_state_parameters){1000, 60000, 1048576, 3};
    for (unsigned i = 0; i < MINI_VALIDATORS; i++)
        fill_member(&member[i], names[i], (uint8_t)(10 * (i + 1)));
    cn_buf_init(&m->g, CN_MAX_GENESIS_BYTES);
    cr_assert_eq(cn_genesis_write(&g, &m->g, &err), CN_OK, "%s", err.text);
    cr_assert_eq(cn_genesis_parse(m->g.p, m->g.n, &m->genesis, &err), CN_OK, "%s", err.text);
    for (unsigned i = 0; i < MINI_VALIDATORS; i++) {
        mini_signer *s = &m->capture[i];
        take_keys(m, names[i], (uint8_t)(10 * (i + 1)));
        s->key = key_of(CN_KEY_ED25519, (uint8_t)(10 * (i + 1)));
        s->id = cn_key_id(&s->key.public_key);
        s->owner = cn_member_id(names[i]);
        m->owner[m->owners].key = s->id;
        m->owner[m->owners++].owner = s->owner;
    }
    cn_digest entry = cn_sha256(m->g.p, m->g.n);
    m->log[0] = cn_leaf_hash(entry.b, CN_DIGEST_LEN);
    m->log[1] = cn_leaf_hash(m->genesis.set_digest.b, CN_DIGEST_LEN); /* stands for entry 1; no dossier shows it */
    m->log_size = 2;
}

void mini_end(mini *m)
{
    for (size_t i = 0; i < m->log_size; i++) {
        cn_statement_free(m->statement[i].decoded);
        cn_buf_free(&m->statement[i].whole);
    }
    cn_genesis_free(&m->genesis);
    cn_buf_free(&m->g);
}

cn_digest mini_tag(const mini *m, const char *uri)
{
    return cn_subject_tag(m->genesis.subject_salt, uri);
}

mini_subject *mini_find(mini *m, const cn_digest *tag)
{
    for (size_t i = 0; i < m->subjects; i++)
        if (cn_digest_eq(&m->subject[i].tag, tag))
            return &m->subject[i];
    return NULL;
}

void mini_reroot(mini_subject *s)
{
    uint8_t bytes[CN_SUBJECT_LEAF_LEN];
    cn_frontier_init(&s->tree);
    for (uint64_t i = 0; i < s->record.count; i++) {
        cn_subject_leaf_encode(&s->leaf[i], bytes);
        cn_digest hash = cn_leaf_hash(bytes, sizeof bytes);
        cn_frontier_append(&s->tree, &hash);
    }
    s->record.root = cn_frontier_root(&s->tree);
    s->record.last_height = s->leaf[s->record.count - 1].height;
}

/* ---- recording ---- */

static void enter(mini *m, const cn_digest *tag, const cn_statement *s, uint64_t index)
{
    mini_subject *subject = mini_find(m, tag);
    uint8_t bytes[CN_SUBJECT_LEAF_LEN];
    if (!subject) {
        cr_assert_lt(m->subjects, (size_t)MINI_MAX);
        subject = &m->subject[m->subjects++];
        *subject = (mini_subject){.tag = *tag};
        cn_frontier_init(&subject->tree);
        subject->record.first_height = index;
    }
    cn_subject_leaf leaf = {s->record_digest, index, index, MINI_TIME + 1000 * index}; /* one block a statement */
    if (subject->record.count && subject->leaf[subject->record.count - 1].log_index == index)
        return; /* each distinct subject once */
    subject->leaf[subject->record.count++] = leaf;
    cn_subject_leaf_encode(&leaf, bytes);
    cn_digest hash = cn_leaf_hash(bytes, sizeof bytes);
    cn_frontier_append(&subject->tree, &hash);
    subject->record.root = cn_frontier_root(&subject->tree);
    subject->record.last_height = index;
    subject->record.last_id = s->id;
}

static void enter_key(mini *m, const cn_digest *key, const cn_statement *s, uint64_t index)
{
    cn_digest tag = cn_key_subject(m->genesis.subject_salt, key);
    enter(m, &tag, s, index);
    for (size_t i = 0; i < m->owners; i++)
        if (cn_digest_eq(&m->owner[i].key, key)) {
            tag = cn_member_subject(m->genesis.subject_salt, &m->owner[i].owner);
            enter(m, &tag, s, index);
        }
}

static void enter_registry(mini *m, const cn_statement *s, uint64_t index)
{
    const cn_registry_change *c = &s->body.registry;
    bool ends = c->op == CN_REG_KEY_ROTATE, begins = c->op == CN_REG_KEY_REGISTER || c->op == CN_REG_MEMBER_REGISTER;
    if (!begins)
        enter_key(m, &c->key_id, s, index);
    if (begins || ends) {
        cn_digest id = cn_key_id(&c->new_key.key);
        enter_key(m, &id, s, index);
    }
}

static void enter_batch(mini *m, const cn_statement *s, uint64_t index)
{
    for (size_t i = 0; i < s->body.batch.entry_count; i++) {
        const cn_batch_entry *e = &s->body.batch.entry[i];
        enter(m, &e->subject, s, index);
        for (size_t k = 0; k < m->pairings; k++) {
            const cn_pairing *p = &m->pairing[k];
            if (cn_digest_eq(&p->container, &e->subject) && e->last_ms >= p->start_ms &&
                (p->end_ms == 0 || e->first_ms <= p->end_ms))
                enter(m, &p->consignment, s, index);
        }
    }
}

static const cn_digest *owner_of(const mini *m, const cn_digest *key)
{
    for (size_t i = 0; i < m->owners; i++)
        if (cn_digest_eq(&m->owner[i].key, key))
            return &m->owner[i].owner;
    return key;
}

/* What a proposal or ballot calls its member is a network, where the proposal is of that action. */
static bool is_network(const mini *m, const cn_body *body)
{
    if (body->kind == CN_PAYLOAD_PROPOSAL)
        return body->proposal.action == CN_CHANGE_FOREIGN;
    for (size_t i = 2; body->kind == CN_PAYLOAD_BALLOT && i < m->log_size; i++)
        if (cn_digest_eq(&m->statement[i].decoded->id, &body->ballot.proposal))
            return m->statement[i].decoded->body.proposal.action == CN_CHANGE_FOREIGN;
    return false;
}

static void enter_foreign(mini *m, const cn_statement *s, uint64_t index)
{
    const cn_foreign_payload *f = &s->body.foreign;
    cn_digest network = cn_network_subject(m->genesis.subject_salt, &f->network);
    for (size_t i = 0; i < f->subject_count; i++)
        enter(m, &f->subject[i], s, index);
    if (f->kind == CN_FOREIGN_ADVANCE)
        enter(m, &network, s, index);
}

/* An order, and who attests it, in the trees of the subjects that lose items, and in the tree of all of them. */
static void enter_erasure(mini *m, const cn_statement *s, uint64_t index)
{
    const cn_erasure_payload *order = s->body.kind == CN_PAYLOAD_ERASURE ? &s->body.erasure : NULL;
    cn_digest all = cn_erasures_subject(m->genesis.subject_salt);
    for (size_t i = 2; !order && i < index; i++)
        if (cn_digest_eq(&m->statement[i].decoded->id, &s->body.purge.erasure))
            order = &m->statement[i].decoded->body.erasure;
    for (size_t i = 0; order && i < order->subject_count; i++)
        enter(m, &order->subject[i], s, index);
    enter(m, &all, s, index);
}

static void enter_governance(mini *m, const cn_statement *s, const cn_digest *member, uint64_t index)
{
    const uint8_t *salt = m->genesis.subject_salt;
    cn_digest tags[] = {cn_governance_subject(salt),
                        is_network(m, &s->body) ? cn_network_subject(salt, member) : cn_member_subject(salt, member),
                        cn_member_subject(salt, owner_of(m, &s->body.key_id))};
    for (size_t i = 0; i < 3; i++)
        enter(m, &tags[i], s, index);
}

/* The same start again ends a tie; an end alone closes the newest open one. */
static cn_pairing *meant(mini *m, const cn_pairing *p)
{
    cn_pairing *open = NULL;
    for (size_t k = 0; k < m->pairings; k++) {
        cn_pairing *t = &m->pairing[k];
        if (!cn_digest_eq(&t->container, &p->container) || !cn_digest_eq(&t->consignment, &p->consignment))
            continue;
        if (t->start_ms == p->start_ms)
            return t;
        if (t->end_ms == 0 && t->start_ms < p->start_ms && (!open || t->start_ms > open->start_ms))
            open = t;
    }
    return p->start_ms == p->end_ms ? open : NULL;
}

static void enter_pairing(mini *m, const cn_statement *s, uint64_t index)
{
    const cn_pairing *p = &s->body.pairing;
    cn_pairing *tie = meant(m, p);
    if (tie)
        tie->end_ms = p->end_ms;
    else
        m->pairing[m->pairings++] = *p;
    enter(m, &p->container, s, index);
    enter(m, &p->consignment, s, index);
}

uint64_t mini_record(mini *m, mini_signer *signer, cn_body *body, const cn_span *items, size_t count)
{
    cn_err err = {0};
    cr_assert_lt(m->log_size, (size_t)MINI_MAX);
    uint64_t index = m->log_size++;
    mini_statement *st = &m->statement[index];
    cn_buf_init(&st->whole, CN_MAX_STATEMENT_BYTES);
    body->network = m->genesis.network;
    body->key_id = signer->id;
    body->sequence = signer->sequence + 1;
    body->previous = signer->previous;
    if (!body->created_ms)
        body->created_ms = MINI_TIME;
    cr_assert_eq(cn_statement_sign(body, items, count, &signer->key, &st->whole, NULL, &err), CN_OK, "%s: %s",
                 err.field, err.text);
    cr_assert_eq(cn_statement_decode(st->whole.p, st->whole.n, &st->decoded, &err), CN_OK, "%s: %s", err.field,
                 err.text);
    signer->sequence++;
    signer->previous = st->decoded->id;
    m->log[index] = cn_leaf_hash(st->decoded->record_digest.b, CN_DIGEST_LEN);
    if (body->kind == CN_PAYLOAD_EVENT_BATCH)
        enter_batch(m, st->decoded, index);
    else if (body->kind == CN_PAYLOAD_PAIRING)
        enter_pairing(m, st->decoded, index);
    else if (body->kind == CN_PAYLOAD_REGISTRY)
        enter_registry(m, st->decoded, index);
    else if (body->kind == CN_PAYLOAD_PROPOSAL)
        enter_governance(m, st->decoded, &body->proposal.member, index);
    else if (body->kind == CN_PAYLOAD_BALLOT)
        enter_governance(m, st->decoded, &body->ballot.member, index);
    else if (body->kind == CN_PAYLOAD_READINESS)
        enter_governance(m, st->decoded, &body->readiness.member, index);
    else if (body->kind == CN_PAYLOAD_FOREIGN)
        enter_foreign(m, st->decoded, index);
    else if (body->kind == CN_PAYLOAD_ERASURE || body->kind == CN_PAYLOAD_PURGE)
        enter_erasure(m, st->decoded, index);
    else
        cr_assert_fail("no such payload here");
    return index;
}

uint64_t mini_document(mini *m, mini_signer *signer, const char *text)
{
    cn_epcis_doc *doc = NULL;
    cn_plan *plan = NULL;
    cn_err err = {0};
    cn_buf bytes;
    cn_span item[16];
    size_t start[17];
    cr_assert_eq(cn_epcis_parse(text, strlen(text), CN_EPCIS_MAX_BYTES, &doc, &err), CN_OK, "%s: %s", err.field,
                 err.text);
    cr_assert_eq(cn_plan_document(doc, m->genesis.subject_salt, &plan, &err), CN_OK, "%s", err.text);
    cr_assert_eq(cn_plan_part_count(plan), (size_t)1);
    const cn_plan_part *part = cn_plan_part_at(plan, 0);
    cr_assert_leq(part->item_count, (size_t)16);
    cn_buf_init(&bytes, 1u << 20);
    for (size_t i = 0; i < part->item_count; i++) {
        start[i] = bytes.n;
        cn_item_write(&bytes, item_secret, part->item[i].format, part->item[i].content.p, part->item[i].content.n);
    }
    start[part->item_count] = bytes.n;
    for (size_t i = 0; i < part->item_count; i++)
        item[i] = CN_SPAN(bytes.p + start[i], start[i + 1] - start[i]);
    cn_body body = {.kind = CN_PAYLOAD_EVENT_BATCH};
    body.batch.entry_count = part->entry_count;
    body.batch.entry = (cn_batch_entry *)(uintptr_t)part->entry;
    uint64_t index = mini_record(m, signer, &body, item, part->item_count);
    cn_buf_free(&bytes);
    cn_plan_free(plan);
    cn_epcis_free(doc);
    return index;
}

uint64_t mini_pair(mini *m, mini_signer *signer, const char *container, const char *consignment, uint64_t start_ms,
                   uint64_t end_ms)
{
    cn_body body = {.kind = CN_PAYLOAD_PAIRING};
    body.pairing = (cn_pairing){mini_tag(m, container), mini_tag(m, consignment), start_ms, end_ms};
    return mini_record(m, signer, &body, NULL, 0);
}

uint64_t mini_registry(mini *m, mini_signer *signer, const cn_registry_change *change)
{
    cn_body body = {.kind = CN_PAYLOAD_REGISTRY};
    body.registry = *change;
    if (change->new_key.key.type) {
        m->owner[m->owners].key = cn_key_id(&change->new_key.key);
        m->owner[m->owners++].owner = change->op == CN_REG_MEMBER_REGISTER ? cn_member_id(change->name) : signer->owner;
    }
    return mini_record(m, signer, &body, NULL, 0);
}

cn_key_register mini_new_key(const mini *m, uint8_t seed, const cn_digest *owner, mini_signer *ret)
{
    cn_key_register reg = {.purpose = CN_PURPOSE_DEVICE};
    *ret = (mini_signer){.key = key_of(CN_KEY_P256, seed), .owner = *owner};
    ret->id = cn_key_id(&ret->key.public_key);
    reg.key = ret->key.public_key;
    cn_digest digest = cn_possession_digest(&m->genesis.network, owner, &ret->id);
    cr_assert_eq(cn_sign(&ret->key, &digest, &reg.possession, NULL), CN_OK);
    return reg;
}

mini_signer mini_device(mini *m, mini_signer *owner, uint8_t seed)
{
    mini_signer device;
    cn_registry_change change = {.op = CN_REG_KEY_REGISTER};
    change.new_key = mini_new_key(m, seed, &owner->owner, &device);
    mini_registry(m, owner, &change);
    return device;
}

/* ---- the dossier ---- */

static cn_map *state_of(mini *m)
{
    cn_map_change change[MINI_MAX + 8];
    uint8_t value[MINI_MAX][CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_map *empty = cn_map_empty(), *map = NULL;
    for (size_t i = 0; i < m->subjects; i++, n++) {
        change[n].key = cn_state_key_of(m->genesis.subject_salt, CN_STATE_SUBJECT, m->subject[i].tag.b, CN_DIGEST_LEN);
        change[n].value = CN_SPAN(value[i], cn_state_subject_encode(&m->subject[i].record, value[i]));
    }
    for (uint8_t i = 0; i < 8; i++, n++) { /* neighbours, so that proofs have a length */
        change[n].key = cn_state_key_of(m->genesis.subject_salt, CN_STATE_MEMBER, &i, 1);
        change[n].value = CN_SPAN("filler", 6);
    }
    cr_assert_eq(cn_map_apply(empty, change, n, &map, NULL), CN_OK);
    cn_map_unref(empty);
    return map;
}

void mini_certificate(const mini *m, const cn_digest *block, uint32_t signers, cn_buf *out)
{
    cn_certificate c = {.kind = CN_FINALIZE, .epoch = 1, .view = 7, .block = *block, .n = MINI_VALIDATORS};
    cn_digest vote = cn_vote_digest(&m->genesis.network, c.epoch, c.kind, c.view, block);
    for (unsigned i = 0; i < MINI_VALIDATORS; i++) {
        if (!(signers >> i & 1))
            continue;
        c.bitmap[0] = (uint8_t)(c.bitmap[0] | 1u << i);
        cr_assert_eq(cn_sign(&m->vote[i], &vote, &c.signature[c.signature_count++], NULL), CN_OK);
    }
    cn_buf_free(out);
    cn_buf_init(out, CN_CERTIFICATE_MAX);
    cn_certificate_encode(&c, out);
}

static void add_headers(mini *m, mini_parts *p, const cn_digest *state_root)
{
    p->checkpoint = m->log_size;
    p->headers = 3;
    for (size_t i = 0; i < p->headers; i++) {
        cn_header *h = &p->header[i];
        *h = (cn_header){.version = CN_PROTOCOL_VERSION,
                         .kind = i ? CN_BLOCK_NORMAL : CN_BLOCK_CHECKPOINT,
                         .epoch = 1,
                         .height = p->checkpoint + i,
                         .time_ms = MINI_TIME + 100000 + i,
                         .log_size = m->log_size,
                         .log_root = cn_merkle_root(m->log, m->log_size),
                         .state_root = *state_root,
                         .body = cn_body_digest(NULL, 0),
                         .set = m->genesis.set_digest,
                         .next_set = m->genesis.set_digest};
        if (i)
            h->parent = cn_header_digest(&p->header[i - 1]);
    }
    cn_digest last = cn_header_digest(&p->header[p->headers - 1]);
    mini_certificate(m, &last, 7, &p->certificate);
}

static void put_statement(mini *m, mini_parts *p, uint64_t index)
{
    const cn_statement *s = m->statement[index].decoded;
    if (!s)
        return; /* a leaf that a test invented */
    for (size_t i = 0; i < p->statements; i++)
        if (p->statement[i].index == index)
            return;
    size_t at = p->statements++;
    p->statement[at].index = index;
    cn_buf_init(&p->statement[at].record, CN_MAX_STATEMENT_BYTES);
    cn_buf_init(&p->statement[at].items, CN_MAX_STATEMENT_BYTES);
    cn_put_bytes(&p->statement[at].record, s->record.p, s->record.n);
    cn_put_bytes(&p->statement[at].items, (const uint8_t *)s->whole.p + s->record.n, s->whole.n - s->record.n);
    p->statement[at].path_len = cn_merkle_path(m->log, m->log_size, index, p->statement[at].path);
}

static void put_subject(mini *m, mini_parts *p, cn_map *map, const cn_digest *tag)
{
    static cn_ics23_existence existence;
    static cn_ics23_absence absence;
    mini_subject *subject = mini_find(m, tag);
    cn_state_key key = cn_state_key_of(m->genesis.subject_salt, CN_STATE_SUBJECT, tag->b, CN_DIGEST_LEN);
    if (mini_subject_place(p, tag) < p->subjects)
        return;
    size_t at = p->subjects++;
    p->subject[at].tag = *tag;
    p->subject[at].present = subject != NULL;
    cn_buf_init(&p->subject[at].proof, 1u << 20);
    if (!subject) {
        cr_assert_eq(cn_map_prove_absent(map, &key, &absence, NULL), CN_OK);
        cr_assert_eq(cn_ics23_encode_absence(&absence, &p->subject[at].proof), CN_OK);
        return;
    }
    cr_assert_eq(cn_map_prove(map, &key, &existence, NULL), CN_OK);
    cr_assert_eq(cn_ics23_encode_existence(&existence, &p->subject[at].proof), CN_OK);
    p->subject[at].count = subject->record.count;
    memcpy(p->subject[at].leaf, subject->leaf, sizeof subject->leaf);
    for (uint64_t i = 0; i < subject->record.count; i++)
        put_statement(m, p, subject->leaf[i].log_index);
}

static bool leans_on_governance(const mini *m, const cn_body *b)
{
    if (b->kind != CN_PAYLOAD_REGISTRY)
        return b->kind == CN_PAYLOAD_PROPOSAL || b->kind == CN_PAYLOAD_BALLOT || b->kind == CN_PAYLOAD_READINESS;
    if (b->registry.op == CN_REG_KEY_REVOKE || b->registry.op == CN_REG_KEY_GAP)
        return !cn_digest_eq(owner_of(m, &b->key_id), owner_of(m, &b->registry.key_id));
    return b->registry.op == CN_REG_MEMBER_REGISTER;
}

mini_parts *mini_parts_of(mini *m, const char *uri)
{
    mini_parts *p = calloc(1, sizeof *p);
    cn_map *map = state_of(m);
    cn_digest root = cn_map_root(map);
    cr_assert_not_null(p);
    p->kind = CN_DOSSIER_SUBJECT;
    snprintf(p->scope, sizeof p->scope, "%s", uri);
    p->tag = mini_tag(m, uri);
    cn_buf_init(&p->genesis, CN_MAX_GENESIS_BYTES);
    cn_put_bytes(&p->genesis, m->g.p, m->g.n);
    add_headers(m, p, &root);
    put_subject(m, p, map, &p->tag);
    for (size_t i = 0; i < p->statements; i++) { /* grows while it is walked */
        const cn_body *b = &m->statement[p->statement[i].index].decoded->body;
        cn_digest about = cn_key_subject(m->genesis.subject_salt, &b->key_id);
        put_subject(m, p, map, &about);
        if (b->kind == CN_PAYLOAD_PAIRING && cn_digest_eq(&b->pairing.consignment, &p->tag))
            put_subject(m, p, map, &b->pairing.container);
        if (leans_on_governance(m, b)) {
            cn_digest decided = cn_governance_subject(m->genesis.subject_salt);
            put_subject(m, p, map, &decided);
        }
        if (b->kind == CN_PAYLOAD_ERASURE) {
            cn_digest of = cn_key_subject(m->genesis.subject_salt, &b->erasure.key_id);
            put_subject(m, p, map, &of);
        }
        if (b->kind == CN_PAYLOAD_FOREIGN) {
            cn_digest network = cn_network_subject(m->genesis.subject_salt, &b->foreign.network);
            put_subject(m, p, map, &network);
        }
    }
    cn_map_unref(map);
    return p;
}

void mini_parts_free(mini_parts *p)
{
    for (size_t i = 0; i < p->statements; i++) {
        cn_buf_free(&p->statement[i].record);
        cn_buf_free(&p->statement[i].items);
    }
    for (size_t i = 0; i < p->subjects; i++)
        cn_buf_free(&p->subject[i].proof);
    for (size_t i = 0; i < p->parts; i++)
        cn_buf_free(&p->part[i].bytes);
    cn_buf_free(&p->genesis);
    cn_buf_free(&p->certificate);
    free(p);
}

size_t mini_place(const mini_parts *p, uint64_t log_index)
{
    size_t i = 0;
    while (i < p->statements && p->statement[i].index != log_index)
        i++;
    return i;
}

size_t mini_subject_place(const mini_parts *p, const cn_digest *tag)
{
    size_t i = 0;
    while (i < p->subjects && !cn_digest_eq(&p->subject[i].tag, tag))
        i++;
    return i;
}

void mini_drop_statement(mini_parts *p, uint64_t log_index)
{
    size_t i = mini_place(p, log_index);
    cr_assert_lt(i, p->statements);
    cn_buf_free(&p->statement[i].record);
    cn_buf_free(&p->statement[i].items);
    p->statement[i] = p->statement[--p->statements];
}

void mini_drop_subject(mini_parts *p, const cn_digest *tag)
{
    size_t i = mini_subject_place(p, tag);
    cr_assert_lt(i, p->subjects);
    cn_buf_free(&p->subject[i].proof);
    p->subject[i] = p->subject[--p->subjects];
}

/* ---- what others verify ---- */

cn_buf *mini_part(mini_parts *p, cn_dossier_part_kind kind, uint64_t number)
{
    for (size_t i = 0; i < p->parts; i++)
        if (p->part[i].kind == kind && p->part[i].number == number)
            return &p->part[i].bytes;
    cr_assert_lt(p->parts, (size_t)MINI_MAX);
    p->part[p->parts].kind = kind;
    p->part[p->parts].number = number;
    cn_buf_init(&p->part[p->parts].bytes, 1u << 20);
    return &p->part[p->parts++].bytes;
}

void mini_drop_part(mini_parts *p, cn_dossier_part_kind kind, uint64_t number)
{
    size_t i = 0;
    while (i < p->parts && (p->part[i].kind != kind || p->part[i].number != number))
        i++;
    cr_assert_lt(i, p->parts);
    cn_buf_free(&p->part[i].bytes);
    p->part[i] = p->part[--p->parts];
}

static void seal_statement(const mini *m, mini_parts *p, uint64_t index, const cn_checkpoint *c,
                           const cn_checkpoint_signatures *signature, uint32_t signers)
{
    static cn_receipt_proof proof;
    size_t at = mini_place(p, index);
    cn_buf *receipts = mini_part(p, CN_PART_RECEIPTS, index), *tlog = mini_part(p, CN_PART_TLOG, index);
    const cn_buf *note = mini_part(p, CN_PART_NOTE, 0);
    unsigned count = (unsigned)__builtin_popcount(signers);
    proof = (cn_receipt_proof){.size = c->size, .index = index, .path_len = p->statement[at].path_len};
    memcpy(proof.path, p->statement[at].path, proof.path_len * CN_DIGEST_LEN);
    receipts->n = tlog->n = 0;
    cn_cbor_head(receipts, CN_CBOR_ARRAY, count);
    for (unsigned i = 0; i < MINI_VALIDATORS; i++) {
        char name[CN_SIGNER_NAME_MAX + 1];
        cn_digest kid = cn_receipt_kid(m->genesis.set.row[i].receipt_key);
        cn_signer_name(c, m->name[i], name);
        if (signers >> i & 1)
            cn_receipt_write(receipts, c, name, &kid, &proof, &signature[i].receipt);
    }
    cn_tlog_proof_begin(tlog, index, proof.path, proof.path_len);
    cn_put_bytes(tlog, note->p, note->n);
}

void mini_seal(const mini *m, mini_parts *p, uint32_t signers)
{
    cn_checkpoint c;
    cn_checkpoint_signatures signature[MINI_VALIDATORS];
    cn_err err = {0};
    cn_buf *note = mini_part(p, CN_PART_NOTE, 0);
    cr_assert_eq(cn_checkpoint_of(&p->header[0], &m->genesis.network, m->genesis.origin, &c, &err), CN_OK, "%s",
                 err.text);
    note->n = 0;
    cn_note_begin(note, &c);
    for (unsigned i = 0; i < MINI_VALIDATORS; i++) {
        cr_assert_eq(
            cn_checkpoint_sign(&c, &m->genesis.set.row[i].member, m->name[i], &m->sealing[i], &signature[i], &err),
            CN_OK, "%s", err.text);
        if (signers >> i & 1)
            cn_note_add(note, &c, m->name[i], &m->genesis.set.row[i], &signature[i]);
    }
    size_t at = mini_subject_place(p, &p->tag);
    for (uint64_t i = 0; at < p->subjects && i < p->subject[at].count; i++)
        seal_statement(m, p, p->subject[at].leaf[i].log_index, &c, signature, signers);
}

cn_header mini_older(const mini *m, const mini_parts *p, uint64_t size)
{
    cn_header h = p->header[0];
    h.height = size;
    h.log_size = size;
    h.log_root = cn_merkle_root(m->log, size);
    return h;
}

void mini_add_consistency(const mini *m, mini_parts *p, const cn_header *older)
{
    cn_subtree plan[CN_PROOF_MAX + 1];
    uint8_t header[CN_HEADER_LEN];
    cn_buf *out = mini_part(p, CN_PART_CONSISTENCY, older->height);
    size_t n = cn_consistency_plan(older->log_size, m->log_size, plan);
    cn_header_encode(older, header);
    out->n = 0;
    cn_put_u8(out, 1);
    cn_put_bytes(out, header, sizeof header);
    cn_put_u8(out, (uint8_t)n);
    for (size_t i = 0; i < n; i++) {
        cn_digest node = cn_merkle_root(m->log + plan[i].first, (size_t)(plan[i].end - plan[i].first));
        cn_put_digest(out, &node);
    }
}

void mini_pack(const mini_parts *p, cn_buf *zip)
{
    cn_dossier_writer *w = cn_dossier_writer_new();
    cn_err err = {0};
    cr_assert_not_null(w);
    cn_dossier_set_scope(w, p->kind, p->scope, &p->tag, p->checkpoint);
    cn_dossier_add_genesis(w, CN_SPAN(p->genesis.p, p->genesis.n));
    cn_dossier_add_checkpoint(w, p->header, p->headers, CN_SPAN(p->certificate.p, p->certificate.n));
    for (size_t i = 0; i < p->subjects; i++) {
        cn_span proof = CN_SPAN(p->subject[i].proof.p, p->subject[i].proof.n);
        if (p->subject[i].present)
            cn_dossier_add_subject(w, &p->subject[i].tag, proof, p->subject[i].leaf, p->subject[i].count);
        else
            cn_dossier_add_absence(w, &p->subject[i].tag, proof);
    }
    for (size_t i = 0; i < p->statements; i++)
        cn_dossier_add_statement(w, p->statement[i].index, CN_SPAN(p->statement[i].record.p, p->statement[i].record.n),
                                 CN_SPAN(p->statement[i].items.p, p->statement[i].items.n), p->statement[i].path,
                                 p->statement[i].path_len);
    cn_dossier_set_purpose(w, p->legal_basis, "");
    for (size_t i = 0; i < p->redactions; i++)
        cn_dossier_add_redaction(w, p->redaction[i].log_index, p->redaction[i].item);
    for (size_t i = 0; i < p->parts; i++)
        cn_dossier_add_part(w, p->part[i].kind, p->part[i].number, p->part[i].rank,
                            CN_SPAN(p->part[i].bytes.p, p->part[i].bytes.n));
    cn_buf_init(zip, 1u << 24);
    cr_assert_eq(cn_dossier_finish(w, zip, &err), CN_OK, "%s", err.text);
    cn_dossier_writer_free(w);
}

cn_status mini_verify_with(const mini *m, const mini_parts *p, const cn_verify_options *options, cn_verify_report *ret)
{
    cn_buf zip;
    mini_pack(p, &zip);
    cn_status st = cn_verify_dossier(zip.p, zip.n, &m->genesis.network, options, ret);
    cn_buf_free(&zip);
    return st;
}

cn_status mini_verify(const mini *m, const mini_parts *p, cn_verify_report *ret)
{
    return mini_verify_with(m, p, NULL, ret);
}
