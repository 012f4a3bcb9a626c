/* Decoding, digests and checks of signed statements. The outer message has three fields, each of one accepted form, so
 * it is read by a cursor of its own; the body goes through protobuf-c (statement_parse.c). */
#include "proto/statement.h"

#include "proto/arena.h"
#include "proto/merkle.h"
#include "proto/statement_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_HEAD (1u + CN_ITEM_SALT_LEN)
typedef struct owned_statement {
    cn_statement public; /* first: cn_statement_free casts back */
    cn_arena arena;
    uint8_t *bytes;
} owned_statement;

static size_t read_length(cn_reader *r)
{
    size_t v = 0;
    for (unsigned shift = 0; shift <= 21; shift += 7) {
        uint8_t byte = cn_read_u8(r);
        v |= (size_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            r->fault = r->fault || (byte == 0 && shift > 0);
            return v;
        }
    }
    r->fault = true;
    return 0;
}

cn_span cn_read_signed_field(cn_reader *r, uint8_t tag)
{
    if (cn_read_u8(r) != tag)
        r->fault = true;
    size_t n = read_length(r);
    const uint8_t *p = cn_read_view(r, n);
    return CN_SPAN(p, p ? n : 0);
}

/* How many fields follow, as far as they are well formed; the reading below says what is wrong. */
static size_t count_items(cn_reader r)
{
    size_t count = 0;
    while (cn_reader_ok(&r) && r.n > 0 && count <= CN_MAX_ITEMS) {
        (void)cn_read_signed_field(&r, 0x1a);
        count++;
    }
    return count;
}

static cn_status read_items(cn_reader *r, owned_statement *o, cn_err *err)
{
    cn_statement *s = &o->public;
    if (r->n == 0)
        return CN_OK;
    size_t count = count_items(*r);
    s->item = cn_arena_alloc(&o->arena, (count < CN_MAX_ITEMS ? count : CN_MAX_ITEMS) * sizeof *s->item);
    if (!s->item)
        return cn_fail(err, CN_NO_MEMORY, "items", "out of memory");
    while (cn_reader_ok(r) && r->n > 0) {
        if (s->item_count == CN_MAX_ITEMS)
            return cn_fail(err, CN_TOO_LARGE, "items", "more than %u items", CN_MAX_ITEMS);
        cn_span item = cn_read_signed_field(r, 0x1a);
        char field[32];
        snprintf(field, sizeof field, "items[%zu]", s->item_count);
        if (!cn_reader_ok(r))
            return cn_fail(err, CN_INVALID, field,
                           "the bytes are not field 3 of a SignedStatement in its canonical form");
        if (item.n > CN_MAX_ITEM_BYTES)
            return cn_fail(err, CN_TOO_LARGE, field, "%zu bytes, an item has at most %u", item.n, CN_MAX_ITEM_BYTES);
        if (item.n <= ITEM_HEAD)
            return cn_fail(err, CN_INVALID, field, "an item has a format, a salt of 16 bytes, and content");
        s->item[s->item_count++] = item;
    }
    return CN_OK;
}

static cn_status decode(owned_statement *o, size_t n, cn_err *err)
{
    cn_statement *s = &o->public;
    cn_reader r = cn_reader_of(o->bytes, n);
    s->whole = CN_SPAN(o->bytes, n);
    s->body_bytes = cn_read_signed_field(&r, 0x0a);
    s->signature = cn_read_signed_field(&r, 0x12);
    if (!cn_reader_ok(&r) || s->body_bytes.n == 0)
        return cn_fail(err, CN_NOT_CANONICAL, "statement",
                       "the bytes are not a SignedStatement with body and signature in canonical form");
    if (s->signature.n != CN_SIGNATURE_LEN)
        return cn_fail(err, CN_INVALID, "signature", "has %zu bytes, must have %d", s->signature.n, CN_SIGNATURE_LEN);
    s->record = CN_SPAN(o->bytes, n - r.n);
    cn_status st = read_items(&r, o, err);
    if (st == CN_OK)
        st = cn_body_parse(s->body_bytes.p, s->body_bytes.n, &o->arena, &s->body, err);
    if (st != CN_OK)
        return st;
    s->id = cn_tagged("carnet/statement-id", s->body_bytes.p, s->body_bytes.n);
    s->record_digest = cn_sha256(s->record.p, s->record.n);
    return CN_OK;
}

cn_status cn_statement_decode(const void *p, size_t n, cn_statement **ret, cn_err *err)
{
    if (n == 0 || n > CN_MAX_STATEMENT_BYTES)
        return cn_fail(err, CN_TOO_LARGE, "statement", "%zu bytes; a statement has 1 to %u", n, CN_MAX_STATEMENT_BYTES);
    owned_statement *o = calloc(1, sizeof *o);
    if (!o)
        return cn_fail(err, CN_NO_MEMORY, "statement", "out of memory");
    cn_arena_init(&o->arena, CN_BODY_BUDGET(n) + CN_MAX_ITEMS * sizeof(cn_span));
    o->bytes = malloc(n);
    cn_status st = CN_NO_MEMORY;
    if (o->bytes) {
        memcpy(o->bytes, p, n);
        st = decode(o, n, err);
    }
    if (st == CN_OK)
        *ret = &o->public;
    else
        cn_statement_free(&o->public);
    return st;
}

void cn_statement_free(cn_statement *s)
{
    if (!s)
        return;
    owned_statement *o = (owned_statement *)s;
    cn_arena_free(&o->arena);
    free(o->bytes);
    free(o);
}

cn_digest cn_statement_signing_digest(const cn_digest *network, const void *body, size_t n)
{
    cn_span spans[] = {CN_SPAN_DIGEST(network), CN_SPAN(body, n)};
    return cn_taggedv("carnet/statement", spans, 2);
}

cn_status cn_statement_verify(const cn_statement *s, const cn_public_key *key, cn_err *err)
{
    cn_digest id = cn_key_id(key);
    if (!cn_digest_eq(&id, &s->body.key_id))
        return cn_fail(err, CN_UNKNOWN_KEY, "body.key_id", "is not the id of the key given");
    cn_digest digest = cn_statement_signing_digest(&s->body.network, s->body_bytes.p, s->body_bytes.n);
    if (!cn_verify(key, &digest, s->signature.p))
        return cn_fail(err, CN_BAD_SIGNATURE, "signature",
                       "does not verify over T(\"carnet/statement\", network | body) with key %s",
                       cn_digest_hex(&id).s);
    return CN_OK;
}

bool cn_item_is_erased(const void *item, size_t n)
{
    return n == CN_ITEM_ERASED_LEN && *(const uint8_t *)item == CN_ITEM_ERASED;
}

cn_digest cn_item_leaf(const void *item, size_t n)
{
    cn_digest leaf;
    if (!cn_item_is_erased(item, n))
        return cn_leaf_hash(item, n);
    memcpy(leaf.b, (const uint8_t *)item + 1, CN_DIGEST_LEN);
    return leaf;
}

static void put_item(cn_buf *out, const void *p, size_t n)
{
    size_t rest = n;
    cn_put_u8(out, 0x1a);
    for (; rest >= 0x80; rest >>= 7)
        cn_put_u8(out, (uint8_t)(rest | 0x80));
    cn_put_u8(out, (uint8_t)rest);
    cn_put_bytes(out, p, n);
}

bool cn_items_any_erased(cn_span items)
{
    cn_reader r = cn_reader_of(items.p, items.n);
    bool erased = false;
    while (cn_reader_ok(&r) && r.n > 0) {
        cn_span item = cn_read_signed_field(&r, 0x1a);
        erased = erased || (cn_reader_ok(&r) && cn_item_is_erased(item.p, item.n));
    }
    return erased && cn_reader_done(&r);
}

cn_status cn_items_erase(cn_span items, uint32_t start, uint32_t count, cn_buf *out, bool *ret_changed, cn_err *err)
{
    cn_reader r = cn_reader_of(items.p, items.n);
    uint64_t at = 0, end = (uint64_t)start + count;
    *ret_changed = false;
    for (; cn_reader_ok(&r) && r.n > 0; at++) {
        cn_span item = cn_read_signed_field(&r, 0x1a);
        bool here = at >= start && at < end && cn_reader_ok(&r) && item.n > 0;
        uint8_t erased[CN_ITEM_ERASED_LEN];
        if (!here) {
            put_item(out, item.p, item.n);
            continue;
        }
        *ret_changed = *ret_changed || !cn_item_is_erased(item.p, item.n);
        cn_item_erase(item.p, item.n, erased);
        put_item(out, erased, sizeof erased);
    }
    if (!cn_reader_done(&r) || out->fault)
        return cn_fail(err, CN_CORRUPT, "items", "they do not read, or memory is used up");
    return end <= at && count ? CN_OK
                              : cn_fail(err, CN_NOT_FOUND, "items", "there are %llu items", (unsigned long long)at);
}

void cn_item_erase(const void *item, size_t n, uint8_t ret[CN_ITEM_ERASED_LEN])
{
    cn_digest leaf = cn_item_leaf(item, n);
    ret[0] = CN_ITEM_ERASED;
    memcpy(ret + 1, leaf.b, CN_DIGEST_LEN);
}

cn_status cn_statement_check_items(const cn_statement *s, cn_err *err)
{
    if (s->body.kind != CN_PAYLOAD_EVENT_BATCH)
        return s->item_count == 0 ? CN_OK : cn_fail(err, CN_INVALID, "items", "only an event batch has items");
    const cn_event_batch *batch = &s->body.batch;
    if (s->item_count != batch->item_count)
        return cn_fail(err, CN_ITEM_ROOT, "items", "%zu items are here, the signed body names %u", s->item_count,
                       batch->item_count);
    cn_digest leaf[CN_MAX_ITEMS];
    for (size_t i = 0; i < s->item_count; i++) {
        uint8_t format = *(const uint8_t *)s->item[i].p;
        if (!cn_item_is_erased(s->item[i].p, s->item[i].n) && (format < CN_ITEM_NATIVE || format > CN_ITEM_ENVELOPE))
            return cn_fail(err, CN_INVALID, "items", "item %zu has format %u, which is not known", i, format);
        leaf[i] = cn_item_leaf(s->item[i].p, s->item[i].n);
    }
    cn_digest root = cn_merkle_root(leaf, s->item_count);
    if (!cn_digest_eq(&root, &batch->items_root))
        return cn_fail(err, CN_ITEM_ROOT, "event_batch.items_root", "the items hash to %s", cn_digest_hex(&root).s);
    return CN_OK;
}

cn_status cn_statement_check_whole(const cn_statement *s, cn_err *err)
{
    for (size_t i = 0; i < s->item_count; i++)
        if (cn_item_is_erased(s->item[i].p, s->item[i].n))
            return cn_fail(err, CN_ITEM_ROOT, "items", "item %zu was erased: what is recorded needs its content", i);
    return cn_statement_check_items(s, err);
}

cn_status cn_erasure_verify(const cn_erasure_payload *e, const cn_digest *network, const cn_public_key *key,
                            cn_err *err)
{
    cn_reader r = cn_reader_of(e->record.p, e->record.n);
    cn_span body = cn_read_signed_field(&r, 0x0a), signature = cn_read_signed_field(&r, 0x12);
    cn_digest id = cn_key_id(key);
    CN_ASSERT(cn_reader_done(&r) && signature.n == CN_SIGNATURE_LEN); /* it was parsed */
    cn_digest digest = cn_statement_signing_digest(network, body.p, body.n);
    if (!cn_digest_eq(&id, &e->key_id) || !cn_verify(key, &digest, signature.p))
        return cn_fail(err, CN_BAD_SIGNATURE, "erasure.record", "its signature is not that of key %s",
                       cn_digest_hex(&e->key_id).s);
    return CN_OK;
}

/* ---- items ---- */

void cn_item_salt(const uint8_t secret[32], uint8_t format, const void *content, size_t n, uint8_t ret_salt[16])
{
    cn_span spans[] = {CN_SPAN(&format, 1), CN_SPAN(content, n)};
    cn_digest mac = cn_hmac_sha256(secret, 32, spans, 2);
    memcpy(ret_salt, mac.b, CN_ITEM_SALT_LEN);
}

void cn_item_write(cn_buf *out, const uint8_t secret[32], uint8_t format, const void *content, size_t n)
{
    uint8_t salt[CN_ITEM_SALT_LEN];
    cn_item_salt(secret, format, content, n, salt);
    cn_put_u8(out, format);
    cn_put_bytes(out, salt, sizeof salt);
    cn_put_bytes(out, content, n);
}

/* ---- digests of names ---- */

cn_digest cn_network_id(const void *genesis, size_t n)
{
    return cn_tagged("carnet/genesis", genesis, n);
}

cn_digest cn_member_id(const char *name)
{
    return cn_tagged("carnet/member", name, strlen(name));
}

cn_digest cn_subject_tag(const uint8_t salt[32], const char *uri)
{
    cn_span spans[] = {CN_SPAN(salt, 32), CN_SPAN(uri, strlen(uri))};
    return cn_taggedv("carnet/subject", spans, 2);
}

static cn_digest hex_subject(const uint8_t salt[32], const char *prefix, const cn_digest *id)
{
    char uri[128];
    snprintf(uri, sizeof uri, "%s%s", prefix, cn_digest_hex(id).s);
    return cn_subject_tag(salt, uri);
}

cn_digest cn_key_subject(const uint8_t salt[32], const cn_digest *key_id)
{
    return hex_subject(salt, "urn:carnet:key:", key_id);
}

cn_digest cn_member_subject(const uint8_t salt[32], const cn_digest *member)
{
    return hex_subject(salt, "urn:carnet:member:", member);
}

cn_digest cn_governance_subject(const uint8_t salt[32])
{
    return cn_subject_tag(salt, "urn:carnet:governance");
}

cn_digest cn_erasures_subject(const uint8_t salt[32])
{
    return cn_subject_tag(salt, "urn:carnet:erasures");
}

cn_digest cn_network_subject(const uint8_t salt[32], const cn_digest *network)
{
    return hex_subject(salt, "urn:carnet:network:", network);
}

cn_digest cn_document_subject(const uint8_t salt[32], const cn_digest *sha256)
{
    return hex_subject(salt, "urn:carnet:document:", sha256);
}

cn_digest cn_readiness_digest(const cn_digest *network, const cn_digest *proposal, uint64_t height,
                              const cn_digest *block)
{
    uint8_t at[8];
    cn_store_u64(at, height);
    cn_span spans[] = {CN_SPAN(network->b, CN_DIGEST_LEN), CN_SPAN(proposal->b, CN_DIGEST_LEN), CN_SPAN(at, sizeof at),
                       CN_SPAN(block->b, CN_DIGEST_LEN)};
    return cn_taggedv("carnet/readiness", spans, 4);
}

void cn_set_row_keys(const cn_set_row *row, cn_public_key ret[CN_ROW_KEYS])
{
    memset(ret, 0, CN_ROW_KEYS * sizeof *ret);
    ret[0].type = CN_KEY_SECP256K1;
    memcpy(ret[0].b, row->vote_key, sizeof row->vote_key);
    ret[1].type = CN_KEY_P256;
    memcpy(ret[1].b, row->receipt_key, sizeof row->receipt_key);
    ret[2].type = ret[3].type = CN_KEY_ED25519;
    memcpy(ret[2].b, row->cosignature_key, sizeof row->cosignature_key);
    memcpy(ret[3].b, row->log_key, sizeof row->log_key);
}

cn_digest cn_possession_digest(const cn_digest *network, const cn_digest *owner, const cn_digest *key_id)
{
    cn_span spans[] = {CN_SPAN_DIGEST(network), CN_SPAN_DIGEST(owner), CN_SPAN_DIGEST(key_id)};
    return cn_taggedv("carnet/possession", spans, 3);
}
