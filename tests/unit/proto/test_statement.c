/* Signed statements: every kind both ways, damage, limits, items and names. */
#include "kit.h"
#include "pb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t types[] = {CN_KEY_SECP256K1, CN_KEY_ED25519, CN_KEY_P256};

static cn_statement *decode(const cn_buf *b)
{
    cn_statement *s = NULL;
    cn_err err = {0};
    cr_assert_eq(cn_statement_decode(b->p, b->n, &s, &err), CN_OK, "%s: %s", err.field, err.text);
    return s;
}

/* ---- both ways ---- */

static void same_registry(const cn_registry_change *a, const cn_registry_change *b)
{
    cr_assert_eq(a->op, b->op);
    cr_assert_eq(a->new_key.purpose, b->new_key.purpose);
    cr_assert_arr_eq(&a->new_key.key, &b->new_key.key, sizeof a->new_key.key);
    cr_assert_arr_eq(&a->new_key.possession, &b->new_key.possession, sizeof a->new_key.possession);
    if (a->op >= CN_REG_KEY_ROTATE && a->op <= CN_REG_KEY_SALVAGE)
        cr_assert_arr_eq(&a->key_id, &b->key_id, 32);
    cr_assert_eq(a->sequence, b->sequence);
    cr_assert_arr_eq(&a->previous, &b->previous, 32);
    cr_assert_eq(a->reason, b->reason);
    cr_assert_eq(a->salvaged_count, b->salvaged_count);
    for (size_t i = 0; i < a->salvaged_count; i++)
        cr_assert_arr_eq(&a->salvaged[i], &b->salvaged[i], 32);
    cr_assert_str_eq(a->name, b->name);
    cr_assert_str_eq(a->country, b->country);
    cr_assert_eq(a->roles, b->roles);
    cr_assert_arr_eq(a->channel_key, b->channel_key, 32);
}

static void same_body(const cn_body *a, const cn_body *b)
{
    cr_assert_eq(a->kind, b->kind);
    cr_assert_arr_eq(&a->network, &b->network, 32);
    cr_assert_eq(a->sequence, b->sequence);
    cr_assert_arr_eq(&a->previous, &b->previous, 32);
    cr_assert_eq(a->created_ms, b->created_ms);
    switch (a->kind) {
    case CN_PAYLOAD_EVENT_BATCH:
        cr_assert_eq(a->batch.entry_count, b->batch.entry_count);
        for (size_t i = 0; i < a->batch.entry_count; i++)
            cr_assert_arr_eq(&a->batch.entry[i], &b->batch.entry[i], sizeof a->batch.entry[i]);
        break;
    case CN_PAYLOAD_REGISTRY:
        same_registry(&a->registry, &b->registry);
        break;
    case CN_PAYLOAD_PAIRING:
        cr_assert_arr_eq(&a->pairing, &b->pairing, sizeof a->pairing);
        break;
    case CN_PAYLOAD_DOCUMENT:
        cr_assert_arr_eq(&a->document.digest, &b->document.digest, 32);
        cr_assert_eq(a->document.size, b->document.size);
        cr_assert_eq(a->document.kind, b->document.kind);
        cr_assert_eq(a->document.issued_ms, b->document.issued_ms);
        cr_assert_eq(a->document.subject_count, b->document.subject_count);
        cr_assert_arr_eq(a->document.subject, b->document.subject, 32 * a->document.subject_count);
        break;
    case CN_PAYLOAD_PROPOSAL:
        cr_assert_eq(a->proposal.action, b->proposal.action);
        cr_assert_arr_eq(&a->proposal.member, &b->proposal.member, 32);
        cr_assert_arr_eq(&a->proposal.row, &b->proposal.row, sizeof a->proposal.row);
        cr_assert_arr_eq(a->proposal.possession, b->proposal.possession, sizeof a->proposal.possession);
        cr_assert_str_eq(a->proposal.foreign.name, b->proposal.foreign.name);
        cr_assert_eq(a->proposal.foreign.epoch, b->proposal.foreign.epoch);
        cr_assert_arr_eq(&a->proposal.foreign.set, &b->proposal.foreign.set, 32);
        cr_assert_eq(a->proposal.foreign.height, b->proposal.foreign.height);
        cr_assert_eq(a->proposal.foreign.log_size, b->proposal.foreign.log_size);
        cr_assert_eq(a->proposal.foreign.withdraw, b->proposal.foreign.withdraw);
        break;
    case CN_PAYLOAD_BALLOT:
        cr_assert_arr_eq(&a->ballot.proposal, &b->ballot.proposal, 32);
        cr_assert_arr_eq(&a->ballot.member, &b->ballot.member, 32);
        cr_assert_eq(a->ballot.approve, b->ballot.approve);
        break;
    case CN_PAYLOAD_READINESS:
        cr_assert_arr_eq(&a->readiness.proposal, &b->readiness.proposal, 32);
        cr_assert_arr_eq(&a->readiness.member, &b->readiness.member, 32);
        cr_assert_eq(a->readiness.height, b->readiness.height);
        cr_assert_arr_eq(&a->readiness.block, &b->readiness.block, 32);
        cr_assert_arr_eq(&a->readiness.signature, &b->readiness.signature, sizeof a->readiness.signature);
        break;
    case CN_PAYLOAD_ERASURE:
        cr_assert_eq(a->erasure.record.n, b->erasure.record.n);
        cr_assert_arr_eq(a->erasure.record.p, b->erasure.record.p, a->erasure.record.n);
        cr_assert(a->erasure.start == b->erasure.start && a->erasure.count == b->erasure.count &&
                  a->erasure.reason == b->erasure.reason);
        break;
    case CN_PAYLOAD_PURGE:
        cr_assert_arr_eq(&a->purge.erasure, &b->purge.erasure, 32);
        break;
    case CN_PAYLOAD_FOREIGN:
        cr_assert_eq(a->foreign.kind, b->foreign.kind);
        cr_assert_arr_eq(&a->foreign.network, &b->foreign.network, 32);
        cr_assert_eq(a->foreign.proof.n, b->foreign.proof.n);
        cr_assert_arr_eq(a->foreign.proof.p, b->foreign.proof.p, a->foreign.proof.n);
        cr_assert_eq(a->foreign.subject_count, b->foreign.subject_count);
        cr_assert_arr_eq(a->foreign.subject, b->foreign.subject, 32 * a->foreign.subject_count);
        break;
    }
}

static void check_digests(const cn_statement *s, const cn_digest *id)
{
    cn_digest by_hand = cn_tagged("carnet/statement-id", s->body_bytes.p, s->body_bytes.n);
    cr_assert(cn_digest_eq(&s->id, id));
    cr_assert(cn_digest_eq(&s->id, &by_hand));
    by_hand = cn_sha256(s->record.p, s->record.n);
    cr_assert(cn_digest_eq(&s->record_digest, &by_hand));
    cr_assert_eq(s->record.p, s->whole.p, "the record is the head of the whole");
    uint8_t signed_bytes[CN_DIGEST_LEN + 4096];
    memcpy(signed_bytes, s->body.network.b, 32);
    memcpy(signed_bytes + 32, s->body_bytes.p, s->body_bytes.n);
    cn_digest a = cn_tagged("carnet/statement", signed_bytes, 32 + s->body_bytes.n);
    cn_digest b = cn_statement_signing_digest(&s->body.network, s->body_bytes.p, s->body_bytes.n);
    cr_assert(cn_digest_eq(&a, &b));
}

Test(statement, every_kind_with_every_type_of_key)
{
    for (int kind = 0; kind < KIT_KINDS; kind++)
        for (size_t t = 0; t < 3; t++) {
            cn_secret_key key = kit_key(types[t], 1);
            kit_bodies store;
            cn_body body = kit_body(&store, (enum kit_kind)kind);
            cn_buf b;
            cn_digest id;
            kit_sign((enum kit_kind)kind, &key, &b, &id);
            cn_statement *s = decode(&b);
            same_body(&s->body, &body);
            check_digests(s, &id);
            cr_assert_eq(s->item_count, kind == KIT_BATCH ? 4u : 0u);
            for (size_t i = 0; i < s->item_count; i++) {
                cr_assert_eq(s->item[i].n, store.item_span[i].n);
                cr_assert_arr_eq(s->item[i].p, store.item_span[i].p, s->item[i].n);
            }
            cr_assert_eq(cn_statement_verify(s, &key.public_key, NULL), CN_OK);
            cr_assert_eq(cn_statement_check_items(s, NULL), CN_OK);
            cn_buf_free(&b);
            cr_assert_eq(s->whole.n > s->record.n, kind == KIT_BATCH, "what follows the record are items");
            cn_statement_free(s);
        }
    cn_statement_free(NULL);
}

Test(statement, a_bare_record_is_the_same_statement_without_items)
{
    cn_secret_key key = kit_key(CN_KEY_SECP256K1, 1);
    cn_buf b;
    cn_err err;
    kit_sign(KIT_BATCH, &key, &b, NULL);
    cn_statement *s = decode(&b), *record = NULL;
    cr_assert_eq(cn_statement_decode(s->record.p, s->record.n, &record, NULL), CN_OK);
    cr_assert(cn_digest_eq(&s->id, &record->id));
    cr_assert(cn_digest_eq(&s->record_digest, &record->record_digest));
    cr_assert_eq(record->item_count, 0);
    cr_assert_eq(cn_statement_verify(record, &key.public_key, NULL), CN_OK);
    cr_assert_eq(cn_statement_check_items(record, &err), CN_ITEM_ROOT);
    cr_assert_str_eq(err.field, "items");
    cn_statement_free(s);
    cn_statement_free(record);
    cn_buf_free(&b);
}

Test(verify, names_key_and_signature)
{
    cn_secret_key key = kit_key(CN_KEY_ED25519, 1), other = kit_key(CN_KEY_ED25519, 2);
    cn_buf b;
    cn_err err;
    kit_sign(KIT_PAIRING, &key, &b, NULL);
    cn_statement *s = decode(&b);
    cr_assert_eq(cn_statement_verify(s, &other.public_key, &err), CN_UNKNOWN_KEY);
    cr_assert_str_eq(err.field, "body.key_id");
    cn_statement_free(s);
    b.p[b.n - 1] ^= 1;
    s = decode(&b);
    cr_assert_eq(cn_statement_verify(s, &key.public_key, &err), CN_BAD_SIGNATURE);
    cr_assert_str_eq(err.field, "signature");
    cn_statement_free(s);
    cn_buf_free(&b);
}

/* ---- damage ---- */

static bool accepted(const uint8_t *p, size_t n, const cn_public_key *key)
{
    cn_statement *s = NULL;
    bool ok = cn_statement_decode(p, n, &s, NULL) == CN_OK && cn_statement_verify(s, key, NULL) == CN_OK &&
              cn_statement_check_items(s, NULL) == CN_OK;
    cn_statement_free(s);
    return ok;
}

Test(damage, no_flipped_bit_and_no_shortened_form_is_accepted)
{
    for (int kind = 0; kind < KIT_KINDS; kind++) {
        cn_secret_key key = kit_key(CN_KEY_SECP256K1, 1);
        cn_buf b;
        kit_sign((enum kit_kind)kind, &key, &b, NULL);
        cr_assert(accepted(b.p, b.n, &key.public_key));
        for (size_t i = 0; i < 8 * b.n; i++) {
            b.p[i / 8] ^= (uint8_t)(1u << i % 8);
            cr_assert(!accepted(b.p, b.n, &key.public_key), "%s: bit %zu of byte %zu", kit_kind_name[kind], i % 8,
                      i / 8);
            b.p[i / 8] ^= (uint8_t)(1u << i % 8);
        }
        for (size_t cut = 0; cut < b.n; cut++) {
            uint8_t *copy = malloc(cut ? cut : 1);
            cr_assert_not_null(copy);
            memcpy(copy, b.p, cut);
            cr_assert(!accepted(copy, cut, &key.public_key), "%s: %zu of %zu bytes", kit_kind_name[kind], cut, b.n);
            free(copy);
        }
        cn_put_u8(&b, 0);
        cr_assert(!accepted(b.p, b.n, &key.public_key));
        cn_buf_free(&b);
    }
}

/* What survives decoding encodes to the same bytes again: no two encodings of one meaning are accepted. */
static void accepted_is_canonical(const cn_statement *s)
{
    cn_secret_key key = kit_key(CN_KEY_SECP256K1, 1);
    cn_body body = s->body;
    cn_buf again;
    cn_err err;
    if (body.kind == CN_PAYLOAD_EVENT_BATCH)
        return; /* its root and count are computed by the signer */
    cn_buf_init(&again, CN_MAX_STATEMENT_BYTES);
    cr_assert_eq(cn_statement_sign(&body, NULL, 0, &key, &again, NULL, &err), CN_OK);
    cn_statement *t = decode(&again);
    cr_assert_eq(t->body_bytes.n, s->body_bytes.n);
    cr_assert_arr_eq(t->body_bytes.p, s->body_bytes.p, t->body_bytes.n);
    cn_statement_free(t);
    cn_buf_free(&again);
}

Test(damage, random_edits_do_no_harm)
{
    uint64_t seed = 1;
    size_t survived = 0;
    for (int round = 0; round < 30000; round++) {
        cn_secret_key key = kit_key(CN_KEY_ED25519, 1);
        static cn_buf valid[KIT_KINDS];
        size_t kind = (size_t)(kit_random(&seed) % KIT_KINDS);
        if (!valid[kind].p)
            kit_sign((enum kit_kind)kind, &key, &valid[kind], NULL);
        size_t n = valid[kind].n;
        uint8_t *copy = malloc(2 * n);
        cr_assert_not_null(copy);
        memcpy(copy, valid[kind].p, n);
        for (uint64_t edits = 1 + kit_random(&seed) % 3; edits > 0; edits--) {
            size_t at = kit_random(&seed) % n, len = 1 + kit_random(&seed) % 8;
            switch (kit_random(&seed) % 4) {
            case 0: /* another byte */
                copy[at] = (uint8_t)kit_random(&seed);
                break;
            case 1: /* the byte before or after */
                copy[at] = (uint8_t)(copy[at] + (kit_random(&seed) % 2 ? 1 : -1));
                break;
            case 2: /* a piece out */
                if (at + len < n) {
                    memmove(copy + at, copy + at + len, n - at - len);
                    n -= len;
                }
                break;
            default: /* a piece twice */
                if (at + len < n && n + len <= 2 * valid[kind].n) {
                    memmove(copy + at + len, copy + at, n - at);
                    n += len;
                }
                break;
            }
        }
        uint8_t *exact = malloc(n ? n : 1); /* a read beyond the end is seen */
        cr_assert_not_null(exact);
        memcpy(exact, copy, n);
        cn_statement *s = NULL;
        if (cn_statement_decode(exact, n, &s, NULL) == CN_OK) {
            survived++;
            accepted_is_canonical(s);
            cn_statement_free(s);
        }
        free(exact);
        free(copy);
    }
    cr_assert(survived > 1000 && survived < 29000, "%zu", survived);
}

/* ---- limits ---- */

static cn_status sign_items(size_t count, size_t len, cn_buf *out, cn_err *err)
{
    kit_bodies s;
    cn_body b = kit_body(&s, KIT_BATCH);
    cn_secret_key key = kit_key(CN_KEY_ED25519, 1);
    uint8_t *item = malloc(len);
    cn_span *items = calloc(count, sizeof *items);
    cr_assert(item && items);
    memset(item, CN_ITEM_EPCIS, len);
    for (size_t i = 0; i < count; i++)
        items[i] = CN_SPAN(item, len);
    s.entry[0] = (cn_batch_entry){kit_fill(1), 0, (uint32_t)count, 1, 1};
    b.batch.entry_count = 1;
    cn_status st = cn_statement_sign(&b, items, count, &key, out, NULL, err);
    free(items);
    free(item);
    return st;
}

Test(limit, items)
{
    static const struct {
        size_t count, len;
        cn_status code;
        const char *field;
    } row[] = {
        {1, 18, CN_OK, ""},
        {1, 17, CN_TOO_LARGE, "items"},
        {1, CN_MAX_ITEM_BYTES, CN_OK, ""},
        {1, CN_MAX_ITEM_BYTES + 1, CN_TOO_LARGE, "items"},
        {3, CN_MAX_ITEM_BYTES, CN_OK, ""},
        {4, CN_MAX_ITEM_BYTES, CN_TOO_LARGE, "statement"},
        {CN_MAX_ITEMS, 200, CN_OK, ""},
        {CN_MAX_ITEMS + 1, 200, CN_TOO_LARGE, "items"},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        cn_buf out = pb_new();
        cn_err err = {0};
        cn_put_u8(&out, 0x42);
        cr_assert_eq(sign_items(row[i].count, row[i].len, &out, &err), row[i].code, "%zu of %zu: %s: %s", row[i].count,
                     row[i].len, err.field, err.text);
        cr_assert_str_eq(err.field, row[i].field);
        if (row[i].code == CN_OK) {
            cn_statement *s = NULL;
            cr_assert_eq(cn_statement_decode(out.p + 1, out.n - 1, &s, NULL), CN_OK);
            cr_assert_eq(cn_statement_check_items(s, NULL), CN_OK);
            cn_statement_free(s);
        } else {
            cr_assert_eq(out.n, 1);
        }
        cn_buf_free(&out);
    }
}

Test(limit, an_output_that_is_full_is_left_as_it_was)
{
    cn_buf out;
    cn_err err;
    cn_buf_init(&out, 150);
    cn_put_u8(&out, 0x42);
    cr_assert_eq(sign_items(1, 100, &out, &err), CN_TOO_LARGE);
    cr_assert_eq(out.n, 1);
    cn_buf_free(&out);
}

Test(limit, received_items)
{
    cn_secret_key key = kit_key(CN_KEY_SECP256K1, 1);
    cn_buf b;
    cn_err err;
    cn_statement *s = NULL;
    kit_sign(KIT_BATCH, &key, &b, NULL);
    cn_buf more = pb_new();
    uint8_t *large = calloc(1, CN_MAX_ITEM_BYTES + 1);
    cr_assert_not_null(large);
    cn_put_bytes(&more, b.p, b.n);
    pb_bytes(&more, 3, large, CN_MAX_ITEM_BYTES + 1);
    cr_assert_eq(cn_statement_decode(more.p, more.n, &s, &err), CN_TOO_LARGE);
    cr_assert_str_eq(err.field, "items[4]");
    cn_buf_clear(&more);
    cn_put_bytes(&more, b.p, b.n);
    for (unsigned i = 4; i < CN_MAX_ITEMS; i++)
        pb_fill(&more, 3, 2, 18);
    s = decode(&more);
    cr_assert_eq(cn_statement_check_items(s, &err), CN_ITEM_ROOT, "the signed count is 4");
    cn_statement_free(s);
    s = NULL;
    pb_fill(&more, 3, 2, 18);
    cr_assert_eq(cn_statement_decode(more.p, more.n, &s, &err), CN_TOO_LARGE);
    cr_assert_str_eq(err.field, "items");
    cn_buf_clear(&more);
    cn_put_bytes(&more, b.p, b.n);
    while (more.n <= CN_MAX_STATEMENT_BYTES)
        pb_bytes(&more, 3, large, 60000);
    cr_assert_eq(cn_statement_decode(more.p, more.n, &s, &err), CN_TOO_LARGE);
    cr_assert_str_eq(err.field, "statement");
    cr_assert_eq(cn_statement_decode(more.p, 0, &s, &err), CN_TOO_LARGE);
    cr_assert_null(s);
    free(large);
    cn_buf_free(&more);
    cn_buf_free(&b);
}

/* ---- items ---- */

Test(item, root_format_and_count_are_checked)
{
    cn_secret_key key = kit_key(CN_KEY_SECP256K1, 1);
    cn_buf b;
    cn_err err;
    kit_sign(KIT_BATCH, &key, &b, NULL);
    cn_statement *s = decode(&b);
    size_t item_bytes = s->whole.n - s->record.n, record = s->record.n, each = item_bytes / 4;
    cn_statement_free(s);
    b.n -= each; /* one withheld */
    s = decode(&b);
    cr_assert_eq(cn_statement_check_items(s, &err), CN_ITEM_ROOT);
    cn_statement_free(s);
    b.n += each;
    uint8_t kept[128];
    memcpy(kept, b.p + record, each); /* two exchanged */
    memcpy(b.p + record, b.p + record + each, each);
    memcpy(b.p + record + each, kept, each);
    s = decode(&b);
    cr_assert_eq(cn_statement_check_items(s, &err), CN_ITEM_ROOT);
    cr_assert_str_eq(err.field, "event_batch.items_root");
    cn_statement_free(s);
    for (uint8_t format = 0; format < 9; format++) {
        b.p[record + 2] = format;
        s = decode(&b);
        bool known = format >= CN_ITEM_NATIVE && format <= CN_ITEM_ENVELOPE;
        cr_assert_eq(cn_statement_check_items(s, &err), known ? CN_ITEM_ROOT : CN_INVALID);
        cn_statement_free(s);
    }
    cn_buf_free(&b);
}

Test(item, salt_and_leaf)
{
    uint8_t secret[32], salt[16], format = CN_ITEM_DCSA;
    memset(secret, 7, sizeof secret);
    cn_span m[] = {CN_SPAN(&format, 1), CN_SPAN("content", 7)};
    cn_digest mac = cn_hmac_sha256(secret, 32, m, 2);
    cn_item_salt(secret, format, "content", 7, salt);
    cr_assert_arr_eq(salt, mac.b, 16);
    cn_buf b;
    cn_buf_init(&b, 100);
    cn_item_write(&b, secret, format, "content", 7);
    cr_assert_eq(b.n, 24);
    cr_assert_eq(b.p[0], format);
    cr_assert_arr_eq(b.p + 1, salt, 16);
    cr_assert_arr_eq(b.p + 17, "content", 7);
    cn_digest leaf = cn_item_leaf(b.p, b.n), by_hand = cn_leaf_hash(b.p, b.n);
    cr_assert(cn_digest_eq(&leaf, &by_hand));
    cn_item_salt(secret, CN_ITEM_EPCIS, "content", 7, salt);
    cr_assert(memcmp(salt, mac.b, 16) != 0, "the format is salted too");
    cn_buf_free(&b);
}

Test(name, digests)
{
    uint8_t salt[32], by_hand[200];
    memset(salt, 3, sizeof salt);
    cn_digest id = kit_fill(0xab), tag = cn_key_subject(salt, &id);
    memcpy(by_hand, salt, 32);
    memcpy(by_hand + 32, "urn:carnet:key:", 15);
    memcpy(by_hand + 47, cn_digest_hex(&id).s, 64);
    cn_digest expected = cn_tagged("carnet/subject", by_hand, 111);
    cr_assert(cn_digest_eq(&tag, &expected));
    cn_digest member = cn_member_subject(salt, &id), document = cn_document_subject(salt, &id);
    char uri[100];
    snprintf(uri, sizeof uri, "urn:carnet:member:%s", cn_digest_hex(&id).s);
    expected = cn_subject_tag(salt, uri);
    cr_assert(cn_digest_eq(&member, &expected));
    snprintf(uri, sizeof uri, "urn:carnet:document:%s", cn_digest_hex(&id).s);
    expected = cn_subject_tag(salt, uri);
    cr_assert(cn_digest_eq(&document, &expected));
    cn_digest decided = cn_governance_subject(salt);
    expected = cn_subject_tag(salt, "urn:carnet:governance");
    cr_assert(cn_digest_eq(&decided, &expected));
    cn_digest name = cn_member_id("exporter"), tagged = cn_tagged("carnet/member", "exporter", 8);
    cr_assert(cn_digest_eq(&name, &tagged));
    cn_digest network = kit_fill(1), owner = kit_fill(2), possession = cn_possession_digest(&network, &owner, &id);
    memcpy(by_hand, network.b, 32);
    memcpy(by_hand + 32, owner.b, 32);
    memcpy(by_hand + 64, id.b, 32);
    expected = cn_tagged("carnet/possession", by_hand, 96);
    cr_assert(cn_digest_eq(&possession, &expected));
}
