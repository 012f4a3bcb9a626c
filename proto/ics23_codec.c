/* cosmos.ics23.v1.CommitmentProof bytes. The messages have one accepted form each, so that they are written and read
 * as fixed templates: what would re-encode differently is refused. */
#include "proto/ics23.h"

#include <stdlib.h>
#include <string.h>

/* LeafOp {hash SHA256, prehash_value SHA256, length VAR_PROTO, prefix 00} */
static const uint8_t leaf_op[] = {0x08, 0x01, 0x18, 0x01, 0x20, 0x01, 0x2a, 0x01, 0x00};
#define INNER_LEFT_LEN 39  /* hash 1, prefix 01, suffix 32 */
#define INNER_RIGHT_LEN 37 /* hash 1, prefix 01 | 32 */

static size_t uvarint_len(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static void put_uvarint(cn_buf *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        cn_put_u8(out, (uint8_t)(v | 0x80));
    cn_put_u8(out, (uint8_t)v);
}

static void put_field(cn_buf *out, uint8_t tag, const void *p, size_t n)
{
    cn_put_u8(out, tag);
    put_uvarint(out, n);
    cn_put_bytes(out, p, n);
}

static size_t field_len(size_t n)
{
    return 1 + uvarint_len(n) + n;
}

static size_t existence_len(const cn_ics23_existence *p)
{
    size_t n = field_len(CN_STATE_KEY_LEN) + field_len(p->value_len) + field_len(sizeof leaf_op);
    for (size_t i = 0; i < p->depth; i++)
        n += field_len(p->step[i].is_left ? INNER_LEFT_LEN : INNER_RIGHT_LEN);
    return n;
}

static void put_existence(const cn_ics23_existence *p, cn_buf *out)
{
    put_field(out, 0x0a, p->key.b, CN_STATE_KEY_LEN);
    put_field(out, 0x12, p->value, p->value_len);
    put_field(out, 0x1a, leaf_op, sizeof leaf_op);
    for (size_t i = 0; i < p->depth; i++) {
        const cn_ics23_step *step = &p->step[i];
        const uint8_t left[] = {0x22, INNER_LEFT_LEN, 0x08, 0x01, 0x12, 0x01, 0x01, 0x1a, 0x20};
        const uint8_t right[] = {0x22, INNER_RIGHT_LEN, 0x08, 0x01, 0x12, 0x21, 0x01};
        if (step->is_left)
            cn_put_bytes(out, left, sizeof left);
        else
            cn_put_bytes(out, right, sizeof right);
        cn_put_digest(out, &step->sibling);
    }
}

cn_status cn_ics23_encode_existence(const cn_ics23_existence *proof, cn_buf *out)
{
    cn_put_u8(out, 0x0a);
    put_uvarint(out, existence_len(proof));
    put_existence(proof, out);
    return out->fault ? CN_NO_MEMORY : CN_OK;
}

cn_status cn_ics23_encode_absence(const cn_ics23_absence *proof, cn_buf *out)
{
    size_t left = proof->has_left ? existence_len(&proof->left) : 0;
    size_t right = proof->has_right ? existence_len(&proof->right) : 0;
    cn_put_u8(out, 0x12);
    put_uvarint(out, field_len(CN_STATE_KEY_LEN) + (left ? field_len(left) : 0) + (right ? field_len(right) : 0));
    put_field(out, 0x0a, proof->key.b, CN_STATE_KEY_LEN);
    if (left) {
        cn_put_u8(out, 0x12);
        put_uvarint(out, left);
        put_existence(&proof->left, out);
    }
    if (right) {
        cn_put_u8(out, 0x1a);
        put_uvarint(out, right);
        put_existence(&proof->right, out);
    }
    return out->fault ? CN_NO_MEMORY : CN_OK;
}

/* ---- strict reading ---- */

static size_t read_uvarint(cn_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = cn_read_u8(r);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            if (byte == 0 && shift > 0)
                r->fault = true; /* not minimal */
            return (size_t)v;
        }
    }
    r->fault = true;
    return 0;
}

/* A length-delimited field with this tag; its content as a reader of its own. */
static cn_reader read_field(cn_reader *r, uint8_t tag)
{
    if (cn_read_u8(r) != tag)
        r->fault = true;
    size_t n = read_uvarint(r);
    const uint8_t *p = cn_read_view(r, n);
    return (cn_reader){.p = p, .n = p ? n : 0, .fault = p == NULL};
}

static bool read_template(cn_reader *r, const uint8_t *expected, size_t n)
{
    const uint8_t *p = cn_read_view(r, n);
    return p && memcmp(p, expected, n) == 0;
}

static bool read_step(cn_reader *r, cn_ics23_step *ret)
{
    static const uint8_t left[] = {0x08, 0x01, 0x12, 0x01, 0x01, 0x1a, 0x20};
    static const uint8_t right[] = {0x08, 0x01, 0x12, 0x21, 0x01};
    ret->is_left = r->n == INNER_LEFT_LEN;
    if (!ret->is_left && r->n != INNER_RIGHT_LEN)
        return false;
    bool ok = ret->is_left ? read_template(r, left, sizeof left) : read_template(r, right, sizeof right);
    ret->sibling = cn_read_digest(r);
    return ok && cn_reader_done(r);
}

static bool read_existence(cn_reader *r, cn_ics23_existence *ret)
{
    cn_reader key = read_field(r, 0x0a);
    cn_read_bytes(&key, ret->key.b, CN_STATE_KEY_LEN);
    cn_reader value = read_field(r, 0x12);
    if (value.fault || value.n == 0 || value.n > CN_STATE_VALUE_MAX || !cn_reader_done(&key))
        return false;
    ret->value_len = value.n;
    cn_read_bytes(&value, ret->value, ret->value_len);
    cn_reader leaf = read_field(r, 0x1a);
    if (!read_template(&leaf, leaf_op, sizeof leaf_op) || !cn_reader_done(&leaf))
        return false;
    ret->depth = 0;
    while (cn_reader_ok(r) && r->n > 0) {
        cn_reader inner = read_field(r, 0x22);
        if (ret->depth == CN_ICS23_MAX_DEPTH || !read_step(&inner, &ret->step[ret->depth]))
            return false;
        ret->depth++;
    }
    return cn_reader_done(r);
}

cn_status cn_ics23_decode_existence(const void *p, size_t n, cn_ics23_existence *ret, cn_err *err)
{
    cn_ics23_existence *proof = calloc(1, sizeof *proof);
    if (!proof)
        return cn_fail(err, CN_NO_MEMORY, "ics23", "out of memory");
    cn_reader r = cn_reader_of(p, n);
    cn_reader body = read_field(&r, 0x0a);
    bool ok = cn_reader_done(&r) && read_existence(&body, proof);
    if (ok)
        *ret = *proof;
    free(proof);
    return ok ? CN_OK : cn_fail(err, CN_NOT_CANONICAL, "ics23", "not an existence proof in the one accepted shape");
}

static bool read_absence(cn_reader *r, cn_ics23_absence *ret)
{
    cn_reader key = read_field(r, 0x0a);
    cn_read_bytes(&key, ret->key.b, CN_STATE_KEY_LEN);
    if (!cn_reader_done(&key))
        return false;
    if (r->n > 0 && r->p[0] == 0x12) {
        cn_reader left = read_field(r, 0x12);
        ret->has_left = true;
        if (!read_existence(&left, &ret->left))
            return false;
    }
    if (r->n > 0) {
        cn_reader right = read_field(r, 0x1a);
        ret->has_right = true;
        if (!read_existence(&right, &ret->right))
            return false;
    }
    return cn_reader_done(r);
}

cn_status cn_ics23_decode_absence(const void *p, size_t n, cn_ics23_absence *ret, cn_err *err)
{
    cn_ics23_absence *proof = calloc(1, sizeof *proof);
    if (!proof)
        return cn_fail(err, CN_NO_MEMORY, "ics23", "out of memory");
    cn_reader r = cn_reader_of(p, n);
    cn_reader body = read_field(&r, 0x12);
    bool ok = cn_reader_done(&r) && read_absence(&body, proof);
    if (ok)
        *ret = *proof;
    free(proof);
    return ok ? CN_OK : cn_fail(err, CN_NOT_CANONICAL, "ics23", "not a non-existence proof in the one accepted shape");
}
