#include "fixture.h"

#include "node/api/audit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_MS UINT64_C(1790000000000)

void fx_key(fx_signer *ret, uint8_t type)
{
    memset(ret, 0, sizeof *ret);
    cr_assert_eq(cn_secret_key_generate(type, &ret->key, NULL), CN_OK);
    ret->id = cn_key_id(&ret->key.public_key);
}

static void make_genesis(fixture *fx, unsigned validators, uint16_t ballot_threshold)
{
    static const char *const names[FX_MEMBERS] = {"exporter", "bank",     "carrier",   "customs",
                                                  "insurer",  "terminal", "forwarder", "importer"};
    cn_genesis g = {.name = "fixture",
                    .origin = "fixture.example",
                    .time_ms = START_MS,
                    .member_count = validators,
                    .parameters = {1000, 60000, CN_MAX_BLOCK_BYTES, ballot_threshold}};
    g.member = calloc(validators, sizeof *g.member);
    for (unsigned i = 0; i < validators; i++) {
        cn_genesis_member *m = &g.member[i];
        cn_secret_key other;
        snprintf(m->name, sizeof m->name, "%s", names[i]);
        memcpy(m->country, "NL", 3);
        m->roles = CN_ROLE_CARRIER;
        m->registrar = m->validator = true;
        m->channel_key[0] = (uint8_t)(i + 1);
        fx_key(&fx->member[i], CN_KEY_SECP256K1);
        fx->member[i].owner = cn_member_id(names[i]);
        m->capture_key = fx->member[i].key.public_key;
        cr_assert_eq(cn_secret_key_generate(CN_KEY_SECP256K1, &fx->vote[i], NULL), CN_OK);
        memcpy(m->row.vote_key, fx->vote[i].public_key.b, 33);
        cr_assert_eq(cn_evm_address(&fx->vote[i].public_key, m->row.evm_address, NULL), CN_OK);
        cr_assert_eq(cn_secret_key_generate(CN_KEY_P256, &other, NULL), CN_OK);
        memcpy(m->row.receipt_key, other.public_key.b, 33);
        cr_assert_eq(cn_secret_key_generate(CN_KEY_ED25519, &other, NULL), CN_OK);
        memcpy(m->row.cosignature_key, other.public_key.b, 32);
        cr_assert_eq(cn_secret_key_generate(CN_KEY_ED25519, &other, NULL), CN_OK);
        memcpy(m->row.log_key, other.public_key.b, 32);
    }
    cn_buf_init(&fx->genesis_bytes, CN_MAX_GENESIS_BYTES);
    cr_assert_eq(cn_genesis_write(&g, &fx->genesis_bytes, NULL), CN_OK);
    free(g.member);
    cn_err err = {0};
    cr_assert_eq(cn_genesis_parse(fx->genesis_bytes.p, fx->genesis_bytes.n, &fx->genesis, &err), CN_OK, "%s", err.text);
}

/* Vote keys in the order of the set: rows ascend by member id. */
static unsigned vote_of_row(const fixture *fx, unsigned row)
{
    const cn_validator_set *set = cn_ledger_set_of(fx->ledger, NULL);
    for (unsigned i = 0; i < sizeof fx->vote / sizeof fx->vote[0]; i++)
        if (memcmp(set->row[row].vote_key, fx->vote[i].public_key.b, 33) == 0)
            return i;
    cr_assert_fail("no vote key for row %u", row);
    return 0;
}

void fx_open(fixture *fx)
{
    fx_open_of(fx, 4, 3);
}

static void open_store(fixture *fx)
{
    cn_err err = {0};
    cn_store_options options = {.dir = fx->dir, .map_size = (size_t)1 << 34};
    cr_assert_eq(cn_store_open(&options, &fx->store, &err), CN_OK, "%s", err.text);
    cr_assert_eq(cn_ledger_open(fx->store, &fx->genesis, &fx->ledger, &err), CN_OK, "%s", err.text);
}

void fx_reopen(fixture *fx)
{
    cn_ledger_close(fx->ledger);
    cn_store_close(fx->store);
    open_store(fx);
}

void fx_open_of(fixture *fx, unsigned validators, uint16_t ballot_threshold)
{
    cn_err err = {0};
    memset(fx, 0, sizeof *fx);
    snprintf(fx->dir, sizeof fx->dir, "/tmp/carnet-verify-XXXXXX");
    cr_assert_not_null(mkdtemp(fx->dir));
    make_genesis(fx, validators, ballot_threshold);
    cn_store_options options = {.dir = fx->dir, .map_size = (size_t)1 << 34};
    cr_assert_eq(cn_ledger_create(&options, fx->genesis_bytes.p, fx->genesis_bytes.n, &fx->genesis, &err), CN_OK, "%s",
                 err.text);
    open_store(fx);
}

void fx_close(fixture *fx)
{
    char command[128];
    cn_ledger_close(fx->ledger);
    cn_store_close(fx->store);
    cn_genesis_free(&fx->genesis);
    cn_buf_free(&fx->genesis_bytes);
    for (const char *const *name = (const char *const[]){"data.mdb", "lock.mdb", "writer.lock", NULL}; *name; name++) {
        snprintf(command, sizeof command, "%s/%s", fx->dir, *name);
        unlink(command);
    }
    rmdir(fx->dir);
}

/* ---- statements ---- */

static cn_statement *sign(fixture *fx, fx_signer *s, cn_body *body, const cn_span *items, size_t count)
{
    cn_buf bytes;
    cn_statement *statement = NULL;
    cn_err err = {0};
    cn_buf_init(&bytes, CN_MAX_STATEMENT_BYTES);
    body->network = fx->genesis.network;
    body->key_id = s->id;
    body->sequence = s->sequence + 1;
    body->previous = s->previous;
    body->created_ms = START_MS;
    cr_assert_eq(cn_statement_sign(body, items, count, &s->key, &bytes, NULL, &err), CN_OK, "%s: %s", err.field,
                 err.text);
    cr_assert_eq(cn_statement_decode(bytes.p, bytes.n, &statement, &err), CN_OK, "%s", err.text);
    s->sequence++;
    s->previous = statement->id;
    cn_buf_free(&bytes);
    return statement;
}

cn_statement *fx_event(fixture *fx, fx_signer *s, const char *uri, unsigned number)
{
    static const uint8_t secret[32] = {7};
    cn_body *body = calloc(1, sizeof *body);
    char content[512];
    cn_buf item;
    int n = snprintf(
        content, sizeof content,
        "{\"@context\":\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\",\"type\":\"ObjectEvent\","
        "\"eventTime\":\"2026-01-01T00:00:%02uZ\",\"eventTimeZoneOffset\":\"+00:00\",\"epcList\":[\"%s\"],"
        "\"action\":\"OBSERVE\"}",
        number, uri);
    cn_buf_init(&item, CN_MAX_ITEM_BYTES);
    cn_item_write(&item, secret, CN_ITEM_EPCIS, content, (size_t)n);
    cn_batch_entry entry = {
        .subject = cn_subject_tag(fx->genesis.subject_salt, uri), .count = 1, .first_ms = 1, .last_ms = 1};
    body->kind = CN_PAYLOAD_EVENT_BATCH;
    body->batch.entry_count = 1;
    body->batch.entry = &entry;
    cn_span span = CN_SPAN(item.p, item.n);
    cn_statement *statement = sign(fx, s, body, &span, 1);
    cn_buf_free(&item);
    free(body);
    return statement;
}

cn_statement *fx_sign(fixture *fx, fx_signer *s, cn_body *body)
{
    return sign(fx, s, body, NULL, 0);
}

cn_statement *fx_change(fixture *fx, fx_signer *s, cn_registry_change *change)
{
    cn_body *body = calloc(1, sizeof *body);
    body->kind = CN_PAYLOAD_REGISTRY;
    body->registry = *change;
    cn_statement *statement = sign(fx, s, body, NULL, 0);
    free(body);
    return statement;
}

void fx_register(fixture *fx, fx_signer *owner, fx_signer *fresh)
{
    cn_registry_change c;
    memset(&c, 0, sizeof c);
    c.op = CN_REG_KEY_REGISTER;
    c.new_key.key = fresh->key.public_key;
    c.new_key.purpose = CN_PURPOSE_DEVICE;
    fresh->owner = owner->owner;
    cn_digest digest = cn_possession_digest(&fx->genesis.network, &owner->owner, &fresh->id);
    cr_assert_eq(cn_sign(&fresh->key, &digest, &c.new_key.possession, NULL), CN_OK);
    fx_wait(fx, fx_change(fx, owner, &c));
}

/* ---- blocks ---- */

void fx_wait(fixture *fx, cn_statement *s)
{
    cr_assert_lt(fx->waiting_count, 64u);
    fx->waiting[fx->waiting_count++] = cn_stmt_new(s);
}

void fx_certify(fixture *fx, const cn_digest *block, const unsigned *signers, unsigned count, cn_certificate *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->kind = CN_FINALIZE;
    ret->epoch = cn_ledger_epoch_of(fx->ledger, NULL);
    ret->view = 5;
    ret->block = *block;
    ret->n = (uint8_t)cn_ledger_set_of(fx->ledger, NULL)->n;
    cn_digest digest = cn_vote_digest(&fx->genesis.network, ret->epoch, CN_FINALIZE, 5, block);
    for (unsigned i = 0; i < count; i++) {
        ret->bitmap[0] |= (uint8_t)(1u << signers[i]);
        cr_assert_eq(
            cn_sign(&fx->vote[vote_of_row(fx, signers[i])], &digest, &ret->signature[ret->signature_count++], NULL),
            CN_OK);
    }
}

static cn_stmt *next(void *ctx)
{
    fixture *fx = ctx;
    return fx->given < fx->waiting_count ? fx->waiting[fx->given++] : NULL;
}

static void finalize(fixture *fx, cn_ledger_block *b)
{
    static const unsigned signers[] = {0, 1, 3, 4, 5, 6, 7, 8};
    cn_certificate cert;
    cn_buf bytes;
    cn_err err = {0};
    fx_certify(fx, cn_ledger_block_digest(b), signers, cn_quorum(cn_ledger_set_of(fx->ledger, NULL)->n), &cert);
    cn_buf_init(&bytes, CN_CERTIFICATE_MAX);
    cn_certificate_encode(&cert, &bytes);
    cr_assert_eq(cn_ledger_finalize(fx->ledger, &b, 1, CN_SPAN(bytes.p, bytes.n), &err), CN_OK, "%s", err.text);
    cn_buf_free(&bytes);
}

bool fx_commit(fixture *fx)
{
    cn_build_limits limits = {CN_MAX_BLOCK_BYTES, 100};
    cn_ledger_block *b = NULL, *checkpoint = NULL;
    cn_err err = {0};
    uint64_t time = cn_ledger_block_header(cn_ledger_tip(fx->ledger))->time_ms;
    size_t wanted = fx->waiting_count;
    fx->given = 0;
    bool ok = cn_ledger_build(fx->ledger, cn_ledger_tip(fx->ledger), time + 1, next, fx, &limits, &b, &err) == CN_OK;
    if (ok) {
        ok = cn_ledger_block_count(b) == wanted;
        finalize(fx, b);
        cr_assert_eq(
            cn_ledger_build(fx->ledger, cn_ledger_tip(fx->ledger), time + 2, NULL, NULL, &limits, &checkpoint, &err),
            CN_OK);
        finalize(fx, checkpoint);
        cn_ledger_block_unref(b);
        cn_ledger_block_unref(checkpoint);
    }
    for (size_t i = 0; i < wanted; i++)
        cn_stmt_unref(fx->waiting[i]);
    fx->waiting_count = 0;
    return ok;
}

/* ---- dossiers ---- */

void fx_audit(fixture *fx, const char *uri, cn_buf *zip)
{
    cn_err err = {0};
    cn_audit_order order = {.salt = fx->genesis.subject_salt};
    cn_buf_init(zip, CN_AUDIT_MAX_BYTES);
    cr_assert_eq(cn_snapshot_open(fx->store, &order.snap, &err), CN_OK, "%s", err.text);
    cr_assert_eq(cn_audit_subject(&order, uri, zip, &err), CN_OK, "%s: %s", err.field, err.text);
    cn_snapshot_close(order.snap);
}

void fx_rebuild(const cn_dossier *d, const cn_certificate *certificate, cn_buf *zip)
{
    cn_dossier_writer *w = cn_dossier_writer_new();
    cn_buf cert;
    cn_buf_init(&cert, CN_CERTIFICATE_MAX);
    cn_certificate_encode(certificate, &cert);
    cn_dossier_set_scope(w, d->kind, d->subject, &d->tag, d->checkpoint);
    cn_dossier_add_genesis(w, d->genesis);
    cn_dossier_add_checkpoint(w, d->header, d->header_count, CN_SPAN(cert.p, cert.n));
    for (size_t i = 0; i < d->epoch_count; i++)
        cn_dossier_add_epoch(w, d->epoch[i].epoch, &d->epoch[i].closing, d->epoch[i].certificate, d->epoch[i].rows);
    for (size_t i = 0; i < d->subject_count; i++) {
        const cn_dossier_subject *s = &d->subjects[i];
        cn_subject_leaf *leaf = calloc((size_t)s->count + 1, sizeof *leaf);
        for (uint64_t k = 0; k < s->count; k++)
            cr_assert(cn_subject_leaf_decode(s->leaves + k * CN_SUBJECT_LEAF_LEN, CN_SUBJECT_LEAF_LEN, &leaf[k]));
        if (s->present)
            cn_dossier_add_subject(w, &s->tag, s->proof, leaf, s->count);
        else
            cn_dossier_add_absence(w, &s->tag, s->proof);
        free(leaf);
    }
    for (size_t i = 0; i < d->statement_count; i++)
        cn_dossier_add_statement(w, d->statement[i].log_index, d->statement[i].whole, CN_SPAN(NULL, 0),
                                 d->statement[i].path, d->statement[i].path_len);
    for (size_t i = 0; i < d->part_count; i++)
        cn_dossier_add_part(w, d->part[i].kind, d->part[i].number, d->part[i].rank, d->part[i].bytes);
    cn_dossier_set_purpose(w, d->legal_basis, d->case_number);
    cn_buf_init(zip, CN_AUDIT_MAX_BYTES);
    cr_assert_eq(cn_dossier_finish(w, zip, NULL), CN_OK);
    cn_dossier_writer_free(w);
    cn_buf_free(&cert);
}

cn_verify_report *fx_verify(const fixture *fx, const cn_buf *zip)
{
    cn_verify_report *report = calloc(1, sizeof *report);
    (void)cn_verify_dossier(zip->p, zip->n, &fx->genesis.network, NULL, report);
    return report;
}
