#include "proto/checkpoint.h"

#include "proto/receipt.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define SIGNATURES_VERSION 1u
#define NOTE_DASH "\xe2\x80\x94 " /* U+2014 and a space begin a signature line */
#define COSIGNATURE_MESSAGE_MAX (CN_CHECKPOINT_BODY_MAX + 64)

bool cn_origin_valid(const char *origin)
{
    size_t n = strlen(origin);
    for (size_t i = 0; i < n; i++)
        if (origin[i] <= ' ' || origin[i] > '~' || origin[i] == '+')
            return false;
    return n >= 1 && n <= CN_MAX_ORIGIN;
}

cn_status cn_checkpoint_of(const cn_header *header, const cn_digest *network, const char *origin, cn_checkpoint *ret,
                           cn_err *err)
{
    if (!cn_origin_valid(origin))
        return cn_fail(err, CN_INVALID, "origin",
                       "the network's origin has characters that no log name may have, so nobody signs checkpoints");
    if (header->kind == CN_BLOCK_NORMAL || header->height == 0)
        return cn_fail(err, CN_INVALID, "checkpoint", "block %" PRIu64 " is not a checkpoint that is signed",
                       header->height);
    snprintf(ret->log_origin, sizeof ret->log_origin, "%.*s/%s", (int)CN_MAX_ORIGIN, origin, cn_digest_hex(network).s);
    ret->epoch = header->epoch;
    ret->height = header->height;
    ret->time_ms = header->time_ms;
    ret->size = header->log_size;
    ret->root = header->log_root;
    ret->block = cn_header_digest(header);
    return CN_OK;
}

void cn_signer_name(const cn_checkpoint *c, const char *member, char ret[CN_SIGNER_NAME_MAX + 1])
{
    snprintf(ret, CN_SIGNER_NAME_MAX + 1, "%s/%.*s", c->log_origin, (int)CN_MAX_NAME, member);
}

size_t cn_checkpoint_body(const cn_checkpoint *c, char ret[CN_CHECKPOINT_BODY_MAX + 1])
{
    char root[45];
    cn_base64(c->root.b, CN_DIGEST_LEN, root);
    return (size_t)snprintf(ret, CN_CHECKPOINT_BODY_MAX + 1, "%s\n%" PRIu64 "\n%s\n", c->log_origin, c->size, root);
}

/* C2SP tlog-cosignature: what cosignature/v1 signs. */
static size_t cosignature_message(cn_span body, uint64_t seconds, char ret[COSIGNATURE_MESSAGE_MAX])
{
    size_t n = (size_t)snprintf(ret, COSIGNATURE_MESSAGE_MAX, "cosignature/v1\ntime %" PRIu64 "\n", seconds);
    memcpy(ret + n, body.p, body.n);
    return n + body.n;
}

/* ---- one validator's signatures ---- */

void cn_checkpoint_signatures_encode(const cn_checkpoint_signatures *s, uint8_t out[CN_CHECKPOINT_SIGNATURES_LEN])
{
    uint8_t *p = out;
    *p++ = SIGNATURES_VERSION;
    memcpy(p, s->member.b, CN_DIGEST_LEN);
    p = cn_store_u64(p + CN_DIGEST_LEN, s->height);
    memcpy(p, s->block.b, CN_DIGEST_LEN);
    p += CN_DIGEST_LEN;
    memcpy(p, s->receipt.b, CN_SIGNATURE_LEN);
    memcpy(p + CN_SIGNATURE_LEN, s->cosignature.b, CN_SIGNATURE_LEN);
    memcpy(p + 2 * CN_SIGNATURE_LEN, s->log.b, CN_SIGNATURE_LEN);
}

cn_status cn_checkpoint_signatures_decode(const void *p, size_t n, cn_checkpoint_signatures *ret, cn_err *err)
{
    cn_reader r = cn_reader_of(p, n);
    cn_checkpoint_signatures s;
    uint8_t version = cn_read_u8(&r);
    s.member = cn_read_digest(&r);
    s.height = cn_read_u64(&r);
    s.block = cn_read_digest(&r);
    cn_read_bytes(&r, s.receipt.b, CN_SIGNATURE_LEN);
    cn_read_bytes(&r, s.cosignature.b, CN_SIGNATURE_LEN);
    cn_read_bytes(&r, s.log.b, CN_SIGNATURE_LEN);
    if (!cn_reader_done(&r) || version != SIGNATURES_VERSION)
        return cn_fail(err, CN_INVALID, "checkpoint-signatures", "not %d bytes of version %u",
                       CN_CHECKPOINT_SIGNATURES_LEN, SIGNATURES_VERSION);
    *ret = s;
    return CN_OK;
}

cn_status cn_checkpoint_sign(const cn_checkpoint *c, const cn_digest *member, const char *name,
                             const cn_checkpoint_keys *keys, cn_checkpoint_signatures *ret, cn_err *err)
{
    char signer[CN_SIGNER_NAME_MAX + 1], body[CN_CHECKPOINT_BODY_MAX + 1], message[COSIGNATURE_MESSAGE_MAX];
    cn_checkpoint_signatures s = {.member = *member, .height = c->height, .block = c->block};
    cn_digest kid = cn_key_id(&keys->receipt.public_key);
    cn_signer_name(c, name, signer);
    cn_digest digest = cn_receipt_digest(c, signer, &kid);
    size_t body_len = cn_checkpoint_body(c, body);
    size_t n = cosignature_message(CN_SPAN(body, body_len), c->time_ms / 1000, message);
    if (keys->receipt.public_key.type != CN_KEY_P256)
        return cn_fail(err, CN_INVALID, "receipt.key", "receipts are signed with a p256 key");
    cn_status st = cn_sign(&keys->receipt, &digest, &s.receipt, err);
    if (st == CN_OK)
        st = cn_ed25519_sign(&keys->cosignature, message, n, &s.cosignature, err);
    if (st == CN_OK)
        st = cn_ed25519_sign(&keys->log, body, body_len, &s.log, err);
    if (st == CN_OK)
        *ret = s;
    return st;
}

cn_status cn_checkpoint_signatures_verify(const cn_checkpoint_signatures *s, const cn_checkpoint *c, const char *name,
                                          const cn_set_row *row, cn_err *err)
{
    char signer[CN_SIGNER_NAME_MAX + 1], body[CN_CHECKPOINT_BODY_MAX + 1], message[COSIGNATURE_MESSAGE_MAX];
    cn_public_key receipt_key = {.type = CN_KEY_P256};
    if (s->height != c->height || !cn_digest_eq(&s->block, &c->block) || !cn_digest_eq(&s->member, &row->member))
        return cn_fail(err, CN_INVALID, "checkpoint", "signatures of another checkpoint or member");
    memcpy(receipt_key.b, row->receipt_key, 33);
    cn_signer_name(c, name, signer);
    cn_digest kid = cn_key_id(&receipt_key);
    cn_digest digest = cn_receipt_digest(c, signer, &kid);
    size_t body_len = cn_checkpoint_body(c, body);
    size_t n = cosignature_message(CN_SPAN(body, body_len), c->time_ms / 1000, message);
    if (!cn_verify(&receipt_key, &digest, s->receipt.b))
        return cn_fail(err, CN_BAD_SIGNATURE, "receipt", "the receipt signature of %s does not verify", name);
    if (!cn_ed25519_verify(row->cosignature_key, message, n, s->cosignature.b))
        return cn_fail(err, CN_BAD_SIGNATURE, "cosignature", "the cosignature of %s does not verify", name);
    if (!cn_ed25519_verify(row->log_key, body, body_len, s->log.b))
        return cn_fail(err, CN_BAD_SIGNATURE, "log", "the log signature of %s does not verify", name);
    return CN_OK;
}

/* ---- C2SP signed notes ---- */

void cn_note_key_id(const char *name, cn_note_type type, const uint8_t public_key[32], uint8_t ret[4])
{
    uint8_t middle[2] = {'\n', (uint8_t)type};
    cn_span spans[] = {CN_SPAN(name, strlen(name)), CN_SPAN(middle, 2), CN_SPAN(public_key, 32)};
    cn_digest d = cn_sha256v(spans, 3);
    memcpy(ret, d.b, 4);
}

void cn_note_vkey(const char *name, cn_note_type type, const uint8_t public_key[32], char ret[CN_NOTE_VKEY_MAX + 1])
{
    uint8_t id[4], key[33] = {(uint8_t)type};
    char id_hex[9], key_text[45];
    cn_note_key_id(name, type, public_key, id);
    cn_hex(id, 4, id_hex);
    memcpy(key + 1, public_key, 32);
    cn_base64(key, 33, key_text);
    snprintf(ret, CN_NOTE_VKEY_MAX + 1, "%.*s+%s+%s", (int)CN_SIGNER_NAME_MAX, name, id_hex, key_text);
}

cn_status cn_note_vkey_parse(const char *vkey, char ret_name[CN_SIGNER_NAME_MAX + 1], cn_note_type *ret_type,
                             uint8_t ret_public[32], cn_err *err)
{
    const char *plus = strchr(vkey, '+');
    uint8_t id[4], named[4], key[33];
    char name[CN_SIGNER_NAME_MAX + 1];
    size_t len = 0, n = plus ? (size_t)(plus - vkey) : 0;
    bool ok = plus && n >= 1 && n <= CN_SIGNER_NAME_MAX && strlen(plus) == 1 + 8 + 1 + 44 && plus[9] == '+' &&
              cn_unhex(plus + 1, 8, named, 4) && cn_unbase64(plus + 10, 44, key, sizeof key, &len) && len == 33 &&
              (key[0] == CN_NOTE_ED25519 || key[0] == CN_NOTE_COSIGNATURE_V1);
    if (ok) {
        memcpy(name, vkey, n);
        name[n] = 0;
        cn_note_key_id(name, (cn_note_type)key[0], key + 1, id);
        ok = memcmp(id, named, 4) == 0;
    }
    if (!ok)
        return cn_fail(err, CN_INVALID, "verifier key",
                       "not \"name+8 hexadecimal digits+base64\" of an Ed25519 or cosignature/v1 key with its key id");
    memcpy(ret_name, name, n + 1);
    *ret_type = (cn_note_type)key[0];
    memcpy(ret_public, key + 1, 32);
    return CN_OK;
}

void cn_note_begin(cn_buf *out, const cn_checkpoint *c)
{
    char body[CN_CHECKPOINT_BODY_MAX + 1];
    size_t n = cn_checkpoint_body(c, body);
    cn_put_bytes(out, body, n);
    cn_put_u8(out, '\n');
}

static void put_line(cn_buf *out, const char *name, const uint8_t key_id[4], cn_span stamp, const cn_signature *sig)
{
    uint8_t blob[4 + 8 + CN_SIGNATURE_LEN];
    char text[4 * sizeof blob / 3 + 5];
    memcpy(blob, key_id, 4);
    if (stamp.n)
        memcpy(blob + 4, stamp.p, stamp.n);
    memcpy(blob + 4 + stamp.n, sig->b, CN_SIGNATURE_LEN);
    size_t n = cn_base64(blob, 4 + stamp.n + CN_SIGNATURE_LEN, text);
    cn_put_bytes(out, NOTE_DASH, sizeof NOTE_DASH - 1);
    cn_put_bytes(out, name, strlen(name));
    cn_put_u8(out, ' ');
    cn_put_bytes(out, text, n);
    cn_put_u8(out, '\n');
}

void cn_note_add(cn_buf *out, const cn_checkpoint *c, const char *name, const cn_set_row *row,
                 const cn_checkpoint_signatures *s)
{
    char signer[CN_SIGNER_NAME_MAX + 1];
    uint8_t id[4], stamp[8];
    cn_note_key_id(c->log_origin, CN_NOTE_ED25519, row->log_key, id);
    put_line(out, c->log_origin, id, (cn_span){0}, &s->log);
    cn_signer_name(c, name, signer);
    cn_note_key_id(signer, CN_NOTE_COSIGNATURE_V1, row->cosignature_key, id);
    cn_store_u64(stamp, c->time_ms / 1000);
    put_line(out, signer, id, CN_SPAN(stamp, 8), &s->cosignature);
}

void cn_tlog_proof_begin(cn_buf *out, uint64_t index, const cn_digest *path, size_t path_len)
{
    char line[80];
    int n = snprintf(line, sizeof line, "c2sp.org/tlog-proof@v1\nindex %" PRIu64 "\n", index);
    cn_put_bytes(out, line, (size_t)n);
    for (size_t i = 0; i < path_len; i++) {
        size_t len = cn_base64(path[i].b, CN_DIGEST_LEN, line);
        cn_put_bytes(out, line, len);
        cn_put_u8(out, '\n');
    }
    cn_put_u8(out, '\n');
}

/* ---- reading of notes ---- */

/* The line at the front of *rest without its newline; false when there is none. */
static bool next_line(cn_span *rest, cn_span *ret)
{
    const char *p = rest->p, *end = rest->n ? memchr(p, '\n', rest->n) : NULL;
    if (!end)
        return false;
    *ret = CN_SPAN(p, (size_t)(end - p));
    *rest = CN_SPAN(end + 1, rest->n - ret->n - 1);
    return true;
}

static bool parse_size(cn_span text, uint64_t *ret)
{
    const char *p = text.p;
    uint64_t v = 0;
    if (text.n == 0 || text.n > 20 || (p[0] == '0' && text.n > 1))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (p[i] < '0' || p[i] > '9' || v > (UINT64_MAX - (uint64_t)(p[i] - '0')) / 10)
            return false;
        v = 10 * v + (uint64_t)(p[i] - '0');
    }
    *ret = v;
    return true;
}

static bool parse_signature_line(cn_span text, cn_note_line *ret)
{
    const char *p = text.p;
    uint8_t blob[4 + 4096];
    size_t dash = sizeof NOTE_DASH - 1, len = 0;
    if (text.n <= dash || memcmp(p, NOTE_DASH, dash) != 0)
        return false;
    const char *name = p + dash, *space = memchr(name, ' ', text.n - dash);
    if (!space || space == name)
        return false;
    size_t left = text.n - (size_t)(space + 1 - p);
    if (!cn_unbase64(space + 1, left, blob, sizeof blob, &len) || len < 5)
        return false;
    *ret = (cn_note_line){.name = CN_SPAN(name, (size_t)(space - name))};
    memcpy(ret->key_id, blob, 4);
    if (len - 4 == 64 || len - 4 == 72) {
        ret->signature_len = len - 4;
        memcpy(ret->signature, blob + 4, len - 4);
    }
    return true;
}

static bool parse_body(cn_span *rest, cn_note *ret)
{
    cn_span size, root, empty;
    size_t n = 0;
    const char *begin = rest->p;
    if (!next_line(rest, &ret->origin) || ret->origin.n == 0 || !next_line(rest, &size) ||
        !parse_size(size, &ret->size) || !next_line(rest, &root) ||
        !cn_unbase64(root.p, root.n, ret->root.b, CN_DIGEST_LEN, &n) || n != CN_DIGEST_LEN)
        return false;
    ret->body = CN_SPAN(begin, (size_t)((const char *)rest->p - begin));
    return ret->body.n <= CN_CHECKPOINT_BODY_MAX && next_line(rest, &empty) && empty.n == 0;
}

cn_status cn_note_parse(const void *p, size_t n, cn_note *ret, cn_err *err)
{
    cn_span rest = CN_SPAN(p, n), line;
    memset(ret, 0, sizeof *ret);
    if (n > CN_MAX_NOTE_BYTES)
        return cn_fail(err, CN_TOO_LARGE, "note", "a signed note has at most %u bytes", CN_MAX_NOTE_BYTES);
    if (!parse_body(&rest, ret))
        return cn_fail(err, CN_INVALID, "note", "not a checkpoint of origin, size and root, then an empty line");
    while (rest.n) {
        if (ret->line_count == sizeof ret->line / sizeof ret->line[0])
            return cn_fail(err, CN_TOO_LARGE, "note", "more than 64 signature lines");
        if (!next_line(&rest, &line) || !parse_signature_line(line, &ret->line[ret->line_count]))
            return cn_fail(err, CN_INVALID, "note", "signature line %u is not \"\xe2\x80\x94 name base64\"",
                           ret->line_count + 1);
        ret->line_count++;
    }
    if (ret->line_count == 0)
        return cn_fail(err, CN_INVALID, "note", "there is no signature line");
    return CN_OK;
}

bool cn_note_signed_by(const cn_note *note, const char *name, cn_note_type type, const uint8_t public_key[32],
                       uint64_t *ret_time)
{
    char message[COSIGNATURE_MESSAGE_MAX];
    uint8_t id[4];
    size_t name_len = strlen(name);
    cn_note_key_id(name, type, public_key, id);
    for (unsigned i = 0; i < note->line_count; i++) {
        const cn_note_line *l = &note->line[i];
        if (l->name.n != name_len || memcmp(l->name.p, name, name_len) != 0 || memcmp(l->key_id, id, 4) != 0)
            continue;
        if (type == CN_NOTE_ED25519 && l->signature_len == 64 &&
            cn_ed25519_verify(public_key, note->body.p, note->body.n, l->signature))
            return true;
        if (type != CN_NOTE_COSIGNATURE_V1 || l->signature_len != 72)
            continue;
        uint64_t seconds = cn_load_u64(l->signature);
        size_t n = cosignature_message(note->body, seconds, message);
        if (!cn_ed25519_verify(public_key, message, n, l->signature + 8))
            continue;
        if (ret_time)
            *ret_time = seconds;
        return true;
    }
    return false;
}
