/* Statements that must be refused: every encoding that is not the accepted one, every rule of a field broken once. */
#include "kit.h"
#include "pb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- encodings that are not the accepted one: bodies written by hand ---- */

static cn_status decode_body(const cn_buf *body, cn_err *err)
{
    cn_buf whole = pb_new();
    cn_statement *s = NULL;
    pb_bytes(&whole, 1, body->p, body->n);
    pb_fill(&whole, 2, 0x77, 64);
    memset(err, 0, sizeof *err);
    cn_status st = cn_statement_decode(whole.p, whole.n, &s, err);
    cr_assert_eq(s == NULL, st != CN_OK, "nothing is returned on a refusal");
    cn_statement_free(s);
    cn_buf_free(&whole);
    return st;
}

/* A body of the usual head and this payload; frees the payload. */
static void expect_payload(unsigned field, cn_buf *payload, cn_status code, const char *err_field)
{
    cn_buf body = pb_new();
    cn_err err;
    pb_head(&body);
    pb_bytes(&body, field, payload->p, payload->n);
    cn_status st = decode_body(&body, &err);
    cr_assert_eq(st, code, "got %s: %s: %s", cn_status_type(st), err.field, err.text);
    cr_assert_str_eq(err.field, err_field, "%s", err.text);
    cn_buf_free(&body);
    cn_buf_free(payload);
}

static void expect_registry(unsigned field, cn_buf *change, cn_status code, const char *err_field)
{
    cn_buf payload = pb_new();
    pb_bytes(&payload, field, change->p, change->n);
    cn_buf_free(change);
    expect_payload(17, &payload, code, err_field);
}

Test(encoding, the_control_is_accepted)
{
    cn_buf payload = pb_new();
    pb_pairing(&payload);
    expect_payload(18, &payload, CN_OK, "");
}

/* X(number, what is done differently) in the body's own fields. */
Test(encoding, of_the_body_has_one_form)
{
    for (int variant = 0; variant < 12; variant++) {
        cn_buf body = pb_new(), payload = pb_new();
        cn_err err;
        cn_status code = CN_NOT_CANONICAL;
        const char *field = "body";
        pb_pairing(&payload);
        if (variant == 0) { /* a non-minimal version */
            cn_put_bytes(&body, "\x08\x81\x00", 3);
        } else {
            pb_number(&body, 1, 1);
        }
        if (variant == 1) /* a scalar twice, the last one counts for protobuf */
            pb_number(&body, 1, 1);
        if (variant == 2) { /* fields out of order */
            pb_fill(&body, 3, 0x20, 32);
            pb_fill(&body, 2, 0x10, 32);
        } else {
            pb_fill(&body, 2, 0x10, 32);
            pb_fill(&body, 3, 0x20, 32);
        }
        if (variant == 3) /* a tag of more bytes than it needs */
            cn_put_bytes(&body, "\xa0\x00\x07", 3);
        else
            pb_number(&body, 4, 7);
        if (variant == 4) /* a length of more bytes than it needs */
            cn_put_bytes(&body, "\x2a\xa0\x00", 3);
        else
            cn_put_bytes(&body, "\x2a\x20", 2);
        cn_digest previous = kit_fill(0x30);
        cn_put_digest(&body, &previous);
        if (variant == 5) /* a default value that is written out */
            pb_number(&body, 6, 0);
        else if (variant != 6) /* 6: time 0 is absent, which is right */
            pb_number(&body, 6, 1);
        if (variant == 7) { /* a field of another version */
            pb_number(&body, 7, 1);
            code = CN_INVALID;
        }
        if (variant == 8) { /* the payload twice: protobuf merges them */
            pb_bytes(&body, 18, payload.p, payload.n);
        }
        if (variant == 9) { /* two payloads: the last one counts for protobuf */
            pb_bytes(&body, 17, "", 0);
        }
        pb_bytes(&body, 18, payload.p, payload.n);
        if (variant == 10) { /* a kept field number behind the payload */
            pb_bytes(&body, 20, "x", 1);
            code = CN_INVALID;
        }
        if (variant == 11) { /* the end of the body is missing */
            body.n--;
            code = CN_INVALID;
        }
        if (variant == 6) {
            code = CN_OK;
            field = "";
        }
        cn_status st = decode_body(&body, &err);
        cr_assert_eq(st, code, "variant %d: %s: %s", variant, err.field, err.text);
        cr_assert_str_eq(err.field, field, "variant %d", variant);
        cn_buf_free(&body);
        cn_buf_free(&payload);
    }
}

Test(encoding, unknown_fields_are_refused_at_every_depth)
{
    cn_buf p = pb_new();
    pb_pairing(&p);
    pb_number(&p, 5, 1);
    expect_payload(18, &p, CN_INVALID, "pairing");
    p = pb_new();
    pb_number(&p, 9, 1);
    expect_payload(19, &p, CN_INVALID, "document_anchor");
    p = pb_new();
    pb_number(&p, 9, 1);
    expect_payload(17, &p, CN_INVALID, "registry_change");
    static const char *const change[] = {"registry_change.key",         "registry_change.key_rotate",
                                         "registry_change.key_revoke",  "registry_change.key_gap",
                                         "registry_change.key_salvage", "registry_change.member_register",
                                         "registry_change.channel_key"};
    for (unsigned i = 0; i < 7; i++) {
        p = pb_new();
        pb_number(&p, 15, 1);
        expect_registry(i + 1, &p, CN_INVALID, change[i]);
    }
    p = pb_new(); /* within the key of a rotation */
    pb_fill(&p, 1, 0x44, 32);
    pb_bytes(&p, 2, "\x78\x01", 2);
    expect_registry(2, &p, CN_INVALID, "registry_change.key");
    p = pb_new();
    pb_fill(&p, 1, 0x11, 32);
    pb_number(&p, 2, 1);
    pb_number(&p, 4, 1);
    expect_payload(16, &p, CN_INVALID, "event_batch");
    p = pb_new(); /* within an entry */
    pb_fill(&p, 1, 0x11, 32);
    pb_number(&p, 2, 1);
    pb_bytes(&p, 3, "\x78\x01", 2);
    expect_payload(16, &p, CN_INVALID, "event_batch.entries[0]");
}

/* A default that is written out within nested messages, and a payload field in the wrong order. */
Test(encoding, of_nested_messages_has_one_form)
{
    cn_buf p = pb_new();
    pb_fill(&p, 1, 0x40, 32);
    pb_fill(&p, 2, 0x50, 32);
    pb_number(&p, 3, 5);
    pb_number(&p, 4, 0);
    expect_payload(18, &p, CN_NOT_CANONICAL, "body");
    p = pb_new();
    pb_fill(&p, 2, 0x50, 32);
    pb_fill(&p, 1, 0x40, 32);
    pb_number(&p, 3, 5);
    expect_payload(18, &p, CN_NOT_CANONICAL, "body");
    p = pb_new(); /* two changes in one statement */
    cn_buf channel = pb_new(), revoke = pb_new();
    pb_fill(&channel, 1, 0x2b, 32);
    pb_fill(&revoke, 1, 0x2b, 32);
    pb_number(&revoke, 3, 1);
    pb_bytes(&p, 3, revoke.p, revoke.n);
    pb_bytes(&p, 7, channel.p, channel.n);
    cn_buf_free(&channel);
    cn_buf_free(&revoke);
    expect_payload(17, &p, CN_NOT_CANONICAL, "body");
    p = pb_new();
    expect_payload(17, &p, CN_INVALID, "registry_change");
}

static void expect_whole(const cn_buf *whole, cn_status code, const char *field)
{
    cn_statement *s = NULL;
    cn_err err = {0};
    cn_status st = cn_statement_decode(whole->p, whole->n, &s, &err);
    cr_assert_eq(st, code, "got %s: %s: %s", cn_status_type(st), err.field, err.text);
    cr_assert_str_eq(err.field, field);
    cn_statement_free(s);
}

Test(encoding, of_the_outer_message_has_one_form)
{
    cn_buf body = pb_new(), pairing = pb_new(), w;
    pb_pairing(&pairing);
    pb_head(&body);
    pb_bytes(&body, 18, pairing.p, pairing.n);
    for (int variant = 0; variant < 11; variant++) {
        cn_status code = CN_NOT_CANONICAL;
        const char *field = "statement";
        w = pb_new();
        if (variant == 0) /* signature first */
            pb_fill(&w, 2, 0x77, 64);
        if (variant == 1) { /* a length of more bytes than it needs */
            cn_put_u8(&w, 0x0a);
            cn_put_u8(&w, (uint8_t)(body.n | 0x80));
            cn_put_u8(&w, (uint8_t)(body.n >> 7 | 0x80));
            cn_put_u8(&w, 0);
            cn_put_bytes(&w, body.p, body.n);
        } else if (variant == 2) { /* an empty body */
            pb_bytes(&w, 1, "", 0);
        } else if (variant != 3) { /* 3: no body */
            pb_bytes(&w, 1, body.p, body.n);
        }
        if (variant == 4) /* the body twice */
            pb_bytes(&w, 1, body.p, body.n);
        if (variant == 5 || variant == 6) { /* 63 or 65 bytes of signature */
            uint8_t sig[65] = {1};
            pb_bytes(&w, 2, sig, variant == 5 ? 63 : 65);
            code = CN_INVALID;
            field = "signature";
        } else if (variant > 0 && variant != 7) { /* 7: no signature */
            pb_fill(&w, 2, 0x77, 64);
        }
        if (variant >= 8) {
            code = CN_INVALID;
            field = "items[0]";
        }
        if (variant == 8) /* the signature twice */
            pb_fill(&w, 2, 0x77, 64);
        if (variant == 9) /* an unknown field */
            pb_number(&w, 4, 1);
        if (variant == 10) /* an item of format and salt without content */
            pb_fill(&w, 3, 2, 17);
        expect_whole(&w, code, field);
        cn_buf_free(&w);
    }
    w = pb_new(); /* items where none belong: a matter of check_items */
    pb_bytes(&w, 1, body.p, body.n);
    pb_fill(&w, 2, 0x77, 64);
    pb_fill(&w, 3, 2, 18);
    cn_statement *s = NULL;
    cn_err err;
    cr_assert_eq(cn_statement_decode(w.p, w.n, &s, NULL), CN_OK);
    cr_assert_eq(cn_statement_check_items(s, &err), CN_INVALID);
    cr_assert_str_eq(err.field, "items");
    cn_statement_free(s);
    cn_buf_free(&w);
    cn_buf_free(&body);
    cn_buf_free(&pairing);
}

/* ---- fields that are not what they must be, by hand where a signer would not write them ---- */

Test(field, of_the_head)
{
    static const struct {
        unsigned field, length;
        const char *name;
    } digests[] = {{2, 31, "body.network"},  {2, 33, "body.network"},  {3, 31, "body.key_id"}, {3, 33, "body.key_id"},
                   {5, 31, "body.previous"}, {5, 33, "body.previous"}, {5, 0, "body.previous"}};
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++) {
        cn_buf body = pb_new(), pairing = pb_new();
        cn_err err;
        pb_pairing(&pairing);
        pb_number(&body, 1, 1);
        pb_fill(&body, 2, 0x10, digests[i].field == 2 ? digests[i].length : 32);
        pb_fill(&body, 3, 0x20, digests[i].field == 3 ? digests[i].length : 32);
        pb_number(&body, 4, 7);
        if (digests[i].field != 5 || digests[i].length)
            pb_fill(&body, 5, 0x30, digests[i].field == 5 ? digests[i].length : 32);
        pb_bytes(&body, 18, pairing.p, pairing.n);
        cr_assert_eq(decode_body(&body, &err), CN_INVALID);
        cr_assert_str_eq(err.field, digests[i].name);
        cn_buf_free(&body);
        cn_buf_free(&pairing);
    }
    static const struct {
        uint64_t version, sequence;
        const char *name;
    } numbers[] = {
        {0, 7, "body.version"}, {2, 7, "body.version"}, {1, 0, "body.sequence"}, {1, UINT64_MAX, "body.sequence"}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        cn_buf body = pb_new(), pairing = pb_new();
        cn_err err;
        pb_pairing(&pairing);
        if (numbers[i].version)
            pb_number(&body, 1, numbers[i].version);
        pb_fill(&body, 2, 0x10, 32);
        pb_fill(&body, 3, 0x20, 32);
        if (numbers[i].sequence)
            pb_number(&body, 4, numbers[i].sequence);
        pb_fill(&body, 5, 0x30, 32);
        pb_bytes(&body, 18, pairing.p, pairing.n);
        cr_assert_eq(decode_body(&body, &err), CN_INVALID);
        cr_assert_str_eq(err.field, numbers[i].name);
        cn_buf_free(&body);
        cn_buf_free(&pairing);
    }
    cn_buf body = pb_new();
    cn_err err;
    pb_head(&body);
    cr_assert_eq(decode_body(&body, &err), CN_INVALID, "no payload");
    cr_assert_str_eq(err.field, "body.payload");
    cn_buf_free(&body);
}

static void one_digest(unsigned payload, unsigned registry, unsigned field, size_t n, const char *name)
{
    cn_buf p = pb_new();
    pb_fill(&p, field, 0x44, n);
    if (registry)
        expect_registry(registry, &p, CN_INVALID, name);
    else
        expect_payload(payload, &p, CN_INVALID, name);
}

Test(field, digests_have_32_bytes)
{
    for (size_t n = 31; n <= 33; n += 2) {
        one_digest(16, 0, 1, n, "event_batch.items_root");
        one_digest(18, 0, 1, n, "pairing.container");
        one_digest(19, 0, 1, n, "document_anchor.digest");
        one_digest(0, 2, 1, n, "registry_change.key_rotate.key_id");
        one_digest(0, 3, 1, n, "registry_change.key_revoke.key_id");
        one_digest(0, 4, 1, n, "registry_change.key_gap.key_id");
        one_digest(0, 5, 1, n, "registry_change.key_salvage.key_id");
        one_digest(0, 7, 1, n, "registry_change.channel_key.public_key");
        cn_buf p = pb_new();
        pb_fill(&p, 1, 0x44, 32);
        pb_fill(&p, 2, 0x55, n);
        expect_payload(18, &p, CN_INVALID, "pairing.consignment");
        p = pb_new();
        pb_fill(&p, 1, 0x44, 32);
        pb_number(&p, 2, 3);
        pb_fill(&p, 3, 0x55, n);
        pb_number(&p, 4, 1);
        expect_registry(4, &p, CN_INVALID, "registry_change.key_gap.previous");
        p = pb_new();
        pb_fill(&p, 1, 0x44, 32);
        pb_fill(&p, 2, 0x55, 32);
        pb_fill(&p, 2, 0x56, n);
        expect_registry(5, &p, CN_INVALID, "registry_change.key_salvage.statement_ids");
        p = pb_new();
        pb_fill(&p, 1, 0x44, 32);
        pb_number(&p, 3, 1);
        pb_fill(&p, 4, 0x55, n);
        expect_payload(19, &p, CN_INVALID, "document_anchor.subjects");
        cn_buf entry = pb_new();
        p = pb_new();
        pb_fill(&entry, 1, 0x11, n);
        pb_number(&entry, 3, 1);
        pb_fill(&p, 1, 0x44, 32);
        pb_number(&p, 2, 1);
        pb_bytes(&p, 3, entry.p, entry.n);
        cn_buf_free(&entry);
        expect_payload(16, &p, CN_INVALID, "event_batch.entries[0].subject");
    }
}

static void new_key(unsigned type, unsigned purpose, const void *point, size_t n, size_t possession, const char *field)
{
    cn_buf p = pb_new();
    if (type)
        pb_number(&p, 1, type);
    if (purpose)
        pb_number(&p, 2, purpose);
    if (n)
        pb_bytes(&p, 3, point, n);
    if (possession)
        pb_fill(&p, 4, 0x66, possession);
    expect_registry(1, &p, field ? CN_INVALID : CN_OK, field ? field : "");
}

Test(field, of_a_new_key)
{
    cn_public_key k = kit_key(CN_KEY_SECP256K1, 3).public_key, r = kit_key(CN_KEY_P256, 3).public_key,
                  e = kit_key(CN_KEY_ED25519, 3).public_key;
    uint8_t off[33];
    memset(off, 0xff, sizeof off);
    off[0] = 2;
    new_key(1, 1, k.b, 33, 64, NULL);
    new_key(2, 2, e.b, 32, 64, NULL);
    new_key(3, 3, r.b, 33, 64, NULL);
    new_key(0, 1, k.b, 33, 64, "registry_change.key.type");
    new_key(4, 1, k.b, 33, 64, "registry_change.key.type");
    new_key(257, 1, k.b, 33, 64, "registry_change.key.type"); /* 1 when cut to a byte */
    new_key(1, 0, k.b, 33, 64, "registry_change.key.purpose");
    new_key(1, 4, k.b, 33, 64, "registry_change.key.purpose");
    new_key(1, 1, k.b, 33, 63, "registry_change.key.possession");
    new_key(1, 1, k.b, 33, 0, "registry_change.key.possession");
    new_key(1, 1, off, 33, 64, "registry_change.key.public_key");
    new_key(3, 1, off, 33, 64, "registry_change.key.public_key");
    new_key(2, 1, off, 32, 64, "registry_change.key.public_key");
    new_key(1, 1, k.b, 32, 64, "registry_change.key.public_key");
    new_key(2, 1, k.b, 33, 64, "registry_change.key.public_key");
    new_key(1, 1, "", 0, 64, "registry_change.key.public_key");
    cn_buf p = pb_new();
    pb_fill(&p, 1, 0x44, 32);
    expect_registry(2, &p, CN_INVALID, "registry_change"); /* a rotation without its new key */
}

/* ---- rules, through the signer: what a node would refuse is not signed ---- */

static void expect_sign(cn_body *body, const kit_bodies *store, cn_status code, const char *field)
{
    cn_secret_key key = kit_key(CN_KEY_SECP256K1, 1);
    cn_buf out = pb_new();
    cn_err err = {0};
    cn_digest id = kit_fill(0x42);
    cn_put_bytes(&out, "before", 6);
    cn_status st =
        cn_statement_sign(body, store->item_span, body->kind == CN_PAYLOAD_EVENT_BATCH ? 4 : 0, &key, &out, &id, &err);
    cr_assert_eq(st, code, "got %s: %s: %s", cn_status_type(st), err.field, err.text);
    cr_assert_str_eq(err.field, field, "%s", err.text);
    if (code != CN_OK) {
        cr_assert_eq(out.n, 6, "a refusal leaves the output alone");
        cr_assert_eq(id.b[0], 0x42);
    }
    cn_buf_free(&out);
}

Test(rule, entries_of_a_batch)
{
    kit_bodies s;
    cn_body b = kit_body(&s, KIT_BATCH);
    expect_sign(&b, &s, CN_OK, "");
    b = kit_body(&s, KIT_BATCH);
    s.entry[1].start = 0;
    s.entry[1].count = 4;
    expect_sign(&b, &s, CN_NOT_CANONICAL, "event_batch.entries[1].start");
    b = kit_body(&s, KIT_BATCH);
    s.entry[2].subject = kit_fill(0x10);
    expect_sign(&b, &s, CN_NOT_CANONICAL, "event_batch.entries[2].subject");
    b = kit_body(&s, KIT_BATCH);
    s.entry[1].start = 4;
    expect_sign(&b, &s, CN_INVALID, "event_batch.entries[1].start");
    b = kit_body(&s, KIT_BATCH);
    s.entry[1].count = 0;
    expect_sign(&b, &s, CN_INVALID, "event_batch.entries[1].count");
    b = kit_body(&s, KIT_BATCH);
    s.entry[2].count = 4;
    expect_sign(&b, &s, CN_INVALID, "event_batch.entries[2].count");
    b = kit_body(&s, KIT_BATCH);
    s.entry[2].count = UINT32_MAX;
    expect_sign(&b, &s, CN_INVALID, "event_batch.entries[2].count");
    b = kit_body(&s, KIT_BATCH);
    s.entry[0].first_ms = s.entry[0].last_ms + 1;
    expect_sign(&b, &s, CN_INVALID, "event_batch.entries[0].first_ms");
    b = kit_body(&s, KIT_BATCH); /* item 2 is in the third entry only */
    s.entry[2].count = 1;
    expect_sign(&b, &s, CN_INVALID, "event_batch.entries");
    b = kit_body(&s, KIT_BATCH);
    b.batch.entry_count = 0;
    expect_sign(&b, &s, CN_TOO_LARGE, "event_batch.entries");
}

Test(rule, most_subjects_and_entries_of_a_batch)
{
    kit_bodies s;
    cn_body b = kit_body(&s, KIT_BATCH);
    cn_batch_entry *entry = calloc(CN_MAX_ENTRIES + 1, sizeof *entry);
    cr_assert_not_null(entry);
    for (size_t i = 0; i < CN_MAX_SUBJECTS + 1; i++)
        entry[i] = (cn_batch_entry){kit_fill((uint8_t)i), 0, 4, 1, 1};
    b.batch.entry = entry;
    b.batch.entry_count = CN_MAX_SUBJECTS;
    expect_sign(&b, &s, CN_OK, "");
    b.batch.entry_count++;
    expect_sign(&b, &s, CN_TOO_LARGE, "event_batch.entries");
    for (uint32_t i = 0; i < CN_MAX_ENTRIES + 1; i++)
        entry[i] = (cn_batch_entry){kit_fill((uint8_t)(i / 4)), i % 4, 1, 1, 1};
    b.batch.entry_count = CN_MAX_ENTRIES + 1;
    expect_sign(&b, &s, CN_TOO_LARGE, "event_batch.entries");
    free(entry);
}

Test(rule, of_key_changes)
{
    kit_bodies s;
    cn_body b = kit_body(&s, KIT_KEY_REVOKE);
    for (uint32_t reason = 0; reason <= 5; reason++) {
        b.registry.reason = reason;
        bool good = reason >= 1 && reason <= 4;
        expect_sign(&b, &s, good ? CN_OK : CN_INVALID, good ? "" : "registry_change.key_revoke.reason");
    }
    b = kit_body(&s, KIT_KEY_GAP);
    for (uint32_t reason = 0; reason <= 4; reason++) {
        b.registry.reason = reason;
        bool good = reason >= 1 && reason <= 3;
        expect_sign(&b, &s, good ? CN_OK : CN_INVALID, good ? "" : "registry_change.key_gap.reason");
    }
    b = kit_body(&s, KIT_KEY_GAP);
    b.registry.sequence = 0;
    expect_sign(&b, &s, CN_INVALID, "registry_change.key_gap.sequence");
    b.registry.sequence = UINT64_MAX;
    expect_sign(&b, &s, CN_INVALID, "registry_change.key_gap.sequence");
    b = kit_body(&s, KIT_KEY_SALVAGE);
    b.registry.salvaged_count = 0;
    expect_sign(&b, &s, CN_INVALID, "registry_change.key_salvage.statement_ids");
    b = kit_body(&s, KIT_KEY_SALVAGE);
    s.list[2] = s.list[0];
    expect_sign(&b, &s, CN_INVALID, "registry_change.key_salvage.statement_ids");
    cn_digest *many = calloc(CN_MAX_SALVAGED + 1, sizeof *many);
    cr_assert_not_null(many);
    for (uint32_t i = 0; i <= CN_MAX_SALVAGED; i++)
        cn_store_u32(many[i].b, i);
    b.registry.salvaged = many;
    b.registry.salvaged_count = CN_MAX_SALVAGED;
    expect_sign(&b, &s, CN_OK, "");
    b.registry.salvaged_count++;
    expect_sign(&b, &s, CN_TOO_LARGE, "registry_change.key_salvage.statement_ids");
    free(many);
}

Test(rule, of_members)
{
    static const struct {
        const char *name, *country;
        uint32_t roles;
        const char *field;
    } row[] = {
        {"a", "NL", 1, NULL},
        {"0-9", "NL", CN_ROLES_ALL, NULL},
        {"", "NL", 1, "name"},
        {"-a", "NL", 1, "name"},
        {"a-", "NL", 1, "name"},
        {"A", "NL", 1, "name"},
        {"a b", "NL", 1, "name"},
        {"\xc3\xa9", "NL", 1, "name"},
        {"a", "N", 1, "country"},
        {"a", "nl", 1, "country"},
        {"a", "N1", 1, "country"},
        {"a", "NL", 0, "roles"},
        {"a", "NL", CN_ROLES_ALL + 1, "roles"},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        kit_bodies s;
        cn_body b = kit_body(&s, KIT_MEMBER_REGISTER);
        char field[80] = "";
        snprintf(b.registry.name, sizeof b.registry.name, "%s", row[i].name);
        snprintf(b.registry.country, sizeof b.registry.country, "%s", row[i].country);
        b.registry.roles = row[i].roles;
        if (row[i].field)
            snprintf(field, sizeof field, "registry_change.member_register.%s", row[i].field);
        expect_sign(&b, &s, row[i].field ? CN_INVALID : CN_OK, field);
    }
    kit_bodies s;
    cn_body b = kit_body(&s, KIT_MEMBER_REGISTER);
    memset(b.registry.name, 'n', CN_MAX_NAME);
    expect_sign(&b, &s, CN_OK, "");
    b.registry.new_key.purpose = CN_PURPOSE_DEVICE;
    expect_sign(&b, &s, CN_INVALID, "registry_change.member_register.capture_key.purpose");
    cn_buf p = pb_new(); /* a name of 65 */
    uint8_t name[65];
    memset(name, 'n', sizeof name);
    pb_bytes(&p, 1, name, sizeof name);
    expect_registry(6, &p, CN_INVALID, "registry_change.member_register.name");
    p = pb_new(); /* without its key */
    pb_bytes(&p, 1, "a", 1);
    pb_bytes(&p, 2, "NL", 2);
    pb_number(&p, 3, 1);
    expect_registry(6, &p, CN_INVALID, "registry_change");
}

Test(rule, of_pairings_and_documents)
{
    kit_bodies s;
    cn_body b = kit_body(&s, KIT_PAIRING);
    b.pairing.end_ms = 0;
    expect_sign(&b, &s, CN_OK, "");
    b.pairing.end_ms = b.pairing.start_ms;
    expect_sign(&b, &s, CN_OK, "");
    b.pairing.end_ms = b.pairing.start_ms - 1;
    expect_sign(&b, &s, CN_INVALID, "pairing.end_ms");
    b = kit_body(&s, KIT_PAIRING);
    b.pairing.consignment = b.pairing.container;
    expect_sign(&b, &s, CN_INVALID, "pairing");
    b = kit_body(&s, KIT_DOCUMENT);
    for (uint32_t kind = 0; kind <= 7; kind++) {
        b.document.kind = kind;
        bool good = kind >= 1 && kind <= 6;
        expect_sign(&b, &s, good ? CN_OK : CN_INVALID, good ? "" : "document_anchor.kind");
    }
    b = kit_body(&s, KIT_DOCUMENT);
    b.document.subject_count = 0;
    expect_sign(&b, &s, CN_OK, "");
    b = kit_body(&s, KIT_DOCUMENT);
    s.list[1] = s.list[0];
    expect_sign(&b, &s, CN_NOT_CANONICAL, "document_anchor.subjects");
    s.list[1] = kit_fill(0x10);
    expect_sign(&b, &s, CN_NOT_CANONICAL, "document_anchor.subjects");
    cn_digest many[CN_MAX_SUBJECTS];
    for (size_t i = 0; i < CN_MAX_SUBJECTS; i++)
        many[i] = kit_fill((uint8_t)i);
    b.document.subject = many;
    b.document.subject_count = CN_MAX_SUBJECTS - 1;
    expect_sign(&b, &s, CN_OK, "");
    b.document.subject_count++;
    expect_sign(&b, &s, CN_TOO_LARGE, "document_anchor.subjects");
}

Test(rule, of_foreign_networks)
{
    kit_bodies s;
    cn_body b = kit_body(&s, KIT_FOREIGN_NETWORK);
    expect_sign(&b, &s, CN_OK, "");
    b.proposal.foreign.epoch = 0;
    expect_sign(&b, &s, CN_INVALID, "proposal.foreign.epoch");
    b.proposal.foreign.epoch = 1; /* the first begins with block 0 */
    expect_sign(&b, &s, CN_INVALID, "proposal.foreign.epoch");
    b.proposal.foreign.height = 0;
    expect_sign(&b, &s, CN_OK, "");
    b.proposal.foreign.epoch = 2;
    expect_sign(&b, &s, CN_INVALID, "proposal.foreign.epoch");
    b = kit_body(&s, KIT_FOREIGN_NETWORK);
    b.proposal.foreign.log_size = 1;
    expect_sign(&b, &s, CN_INVALID, "proposal.foreign.epoch");
    b = kit_body(&s, KIT_FOREIGN_NETWORK);
    memcpy(b.proposal.foreign.name, "Bank", 5);
    expect_sign(&b, &s, CN_INVALID, "proposal.foreign.name");
    b.proposal.foreign.name[0] = 0;
    expect_sign(&b, &s, CN_INVALID, "proposal.foreign.name");
    b.proposal.foreign.withdraw = true; /* the rest is not written then */
    expect_sign(&b, &s, CN_OK, "");
    b = kit_body(&s, KIT_FOREIGN_NETWORK);
    b.proposal.roles = 1;
    expect_sign(&b, &s, CN_INVALID, "proposal.roles");
}

/* Fields that the signer's own encoder never puts side by side. */
static void expect_proposal(const cn_buf *fields, cn_status code, const char *field)
{
    cn_buf body = pb_new();
    cn_err err = {0};
    pb_head(&body);
    pb_bytes(&body, 20, fields->p, fields->n);
    cr_assert_eq(decode_body(&body, &err), code, "%s: %s", err.field, err.text);
    cr_assert_str_eq(err.field, field, "%s", err.text);
    cn_buf_free(&body);
}

Test(rule, a_network_belongs_to_its_action)
{
    cn_buf network = pb_new(), p = pb_new();
    pb_number(&network, 6, 1);
    pb_number(&p, 1, 2);
    pb_fill(&p, 2, 0x44, 32);
    pb_bytes(&p, 7, network.p, network.n);
    expect_proposal(&p, CN_INVALID, "proposal.foreign"); /* leave */
    cn_buf_clear(&p);
    pb_number(&p, 1, 5);
    pb_fill(&p, 2, 0x44, 32);
    expect_proposal(&p, CN_INVALID, "proposal.foreign"); /* without it */
    cn_buf_clear(&network);
    pb_number(&network, 2, 3);
    pb_number(&network, 6, 1);
    pb_bytes(&p, 7, network.p, network.n);
    expect_proposal(&p, CN_INVALID, "proposal.foreign.withdraw"); /* not alone */
    cn_buf_free(&network);
    cn_buf_free(&p);
}

Test(rule, of_foreign_proofs)
{
    kit_bodies s;
    cn_digest many[CN_MAX_SUBJECTS + 1];
    cn_body b = kit_body(&s, KIT_FOREIGN_PROOF);
    expect_sign(&b, &s, CN_OK, "");
    b.foreign.subject_count = 0;
    expect_sign(&b, &s, CN_INVALID, "foreign_proof.subjects");
    b = kit_body(&s, KIT_FOREIGN_PROOF);
    s.list[1] = s.list[0];
    expect_sign(&b, &s, CN_NOT_CANONICAL, "foreign_proof.subjects");
    for (size_t i = 0; i <= CN_MAX_SUBJECTS; i++)
        many[i] = kit_fill((uint8_t)i);
    b.foreign.subject = many;
    b.foreign.subject_count = CN_MAX_SUBJECTS;
    expect_sign(&b, &s, CN_OK, "");
    b.foreign.subject_count++;
    expect_sign(&b, &s, CN_TOO_LARGE, "foreign_proof.subjects");
    b = kit_body(&s, KIT_FOREIGN_PROOF);
    b.foreign.proof.n--;
    expect_sign(&b, &s, CN_INVALID, "foreign_proof");
    b.foreign.proof.n = 0;
    expect_sign(&b, &s, CN_INVALID, "foreign_proof");
    static uint8_t large[CN_MAX_FOREIGN_BYTES + 1];
    b.foreign.proof = CN_SPAN(large, sizeof large);
    expect_sign(&b, &s, CN_TOO_LARGE, "foreign_proof");
    b = kit_body(&s, KIT_FOREIGN_PROOF);
    s.proof[0] = 2;
    expect_sign(&b, &s, CN_INVALID, "foreign_proof"); /* another version */
    s.proof[0] = 1;
    s.proof[1] = 3;
    expect_sign(&b, &s, CN_INVALID, "foreign_proof"); /* another kind */
}

/* The record in an order is read as strictly as the order itself. */
Test(rule, of_erasures)
{
    kit_bodies s;
    cn_body b = kit_body(&s, KIT_ERASURE);
    expect_sign(&b, &s, CN_OK, "");
    for (uint32_t reason = 0; reason <= CN_ERASURE_REASONS + 1; reason++) {
        bool good = reason >= 1 && reason <= CN_ERASURE_REASONS;
        b.erasure.reason = reason;
        expect_sign(&b, &s, good ? CN_OK : CN_INVALID, good ? "" : "erasure.reason");
    }
    b = kit_body(&s, KIT_ERASURE); /* its batch has items 0 to 3 */
    static const uint32_t ranges[][3] = {
        {0, 4, 1},          {3, 1, 1}, {3, 2, 0},          {4, 1, 0},          {0, 0, 0},
        {1, UINT32_MAX, 0}, {0, 5, 0}, {UINT32_MAX, 1, 0}, {UINT32_MAX, 2, 0}, {UINT32_MAX, UINT32_MAX, 0}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        b.erasure.start = ranges[i][0];
        b.erasure.count = ranges[i][1];
        expect_sign(&b, &s, ranges[i][2] ? CN_OK : CN_INVALID, ranges[i][2] ? "" : "erasure.count");
    }
    b = kit_body(&s, KIT_ERASURE);
    b.erasure.record.n--; /* a signature of 63 bytes */
    expect_sign(&b, &s, CN_NOT_CANONICAL, "erasure.record");
    b.erasure.record.n = 0;
    expect_sign(&b, &s, CN_NOT_CANONICAL, "erasure.record");
    b = kit_body(&s, KIT_ERASURE);
    b.network = kit_fill(0xf0);
    expect_sign(&b, &s, CN_WRONG_NETWORK, "erasure.record");
    static const enum kit_kind others[] = {KIT_PAIRING, KIT_ERASURE, KIT_PURGE, KIT_KEY_REGISTER};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) { /* nothing else has items; orders do not nest */
        cn_secret_key key = kit_key(CN_KEY_SECP256K1, 1);
        cn_statement *inner = NULL;
        cn_buf whole;
        kit_sign(others[i], &key, &whole, NULL);
        cr_assert_eq(cn_statement_decode(whole.p, whole.n, &inner, NULL), CN_OK);
        b = kit_body(&s, KIT_ERASURE);
        b.erasure.record = inner->record;
        expect_sign(&b, &s, CN_INVALID, "erasure.record");
        cn_statement_free(inner);
        cn_buf_free(&whole);
    }
    cn_secret_key key = kit_key(CN_KEY_SECP256K1, 1);
    cn_buf whole; /* with its items: field 3 is no part of a record */
    kit_sign(KIT_BATCH, &key, &whole, NULL);
    b = kit_body(&s, KIT_ERASURE);
    b.erasure.record = CN_SPAN(whole.p, whole.n);
    expect_sign(&b, &s, CN_NOT_CANONICAL, "erasure.record");
    cn_buf_free(&whole);
}

/* 256 KiB of the smallest pieces, each of which protobuf-c turns into a structure of its own. */
static void dense(unsigned payload_field, const uint8_t *piece, size_t piece_len, unsigned registry_field,
                  const char *field)
{
    cn_buf inner = pb_new(), payload = pb_new(), body = pb_new();
    cn_err err;
    if (payload_field)
        pb_fill(&inner, 1, 0x44, 32);
    while (inner.n < CN_MAX_STATEMENT_BYTES - 400)
        cn_put_bytes(&inner, piece, piece_len);
    if (registry_field)
        pb_bytes(&payload, registry_field, inner.p, inner.n);
    else
        cn_put_bytes(&payload, inner.p, inner.n);
    pb_head(&body);
    if (payload_field)
        pb_bytes(&body, payload_field, payload.p, payload.n);
    else
        cn_put_bytes(&body, inner.p, inner.n);
    cr_assert_eq(decode_body(&body, &err), CN_INVALID);
    cr_assert_str_eq(err.field, field, "%s", err.text);
    cn_buf_free(&inner);
    cn_buf_free(&payload);
    cn_buf_free(&body);
}

Test(limit, dense_bodies_end_in_a_refusal)
{
    dense(16, (const uint8_t *)"\x1a\x00", 2, 0, "body"); /* empty entries */
    dense(16, (const uint8_t *)"\x1a\x02\x10\x01", 4, 0, "body");
    dense(19, (const uint8_t *)"\x22\x00", 2, 0, "body");    /* empty subjects */
    dense(17, (const uint8_t *)"\x12\x00", 2, 5, "body");    /* empty salvaged ids */
    dense(18, (const uint8_t *)"\x78\x01", 2, 0, "body");    /* unknown fields */
    dense(0, (const uint8_t *)"\x92\x01\x00", 3, 0, "body"); /* the payload again and again, merged each time */
    dense(0, (const uint8_t *)"\x8a\x01\x00", 3, 0, "body");
    dense(0, (const uint8_t *)"\x8a\x01\x02\x12\x00", 5, 0, "body");
    dense(0, (const uint8_t *)"\x78\x01", 2, 0, "body");
}
