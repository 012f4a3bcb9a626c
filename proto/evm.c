#include "proto/evm.h"

#include <secp256k1.h>
#include <secp256k1_recovery.h>
#include <string.h>

#define WORD 32u

/* ---- the ABI: a tuple is its heads, then what is behind them ---- */

typedef struct piece { /* a word, or bytes that lie behind the heads, a multiple of 32 of them */
    uint8_t word[WORD];
    const cn_buf *tail; /* NULL: the word itself */
} piece;

static piece piece_u64(uint64_t n)
{
    piece p = {.tail = NULL};
    cn_store_u64(p.word + WORD - 8, n);
    return p;
}

static piece piece_digest(const cn_digest *d)
{
    piece p = {.tail = NULL};
    memcpy(p.word, d->b, WORD);
    return p;
}

static piece piece_tail(const cn_buf *b)
{
    return (piece){.tail = b};
}

static void put_tuple(cn_buf *out, const piece *p, size_t count)
{
    uint64_t at = WORD * count;
    for (size_t i = 0; i < count; i++) {
        piece head = p[i].tail ? piece_u64(at) : p[i];
        cn_put_bytes(out, head.word, WORD);
        at += p[i].tail ? p[i].tail->n : 0;
    }
    for (size_t i = 0; i < count; i++)
        if (p[i].tail)
            cn_put_bytes(out, p[i].tail->p, p[i].tail->n);
}

static void put_bytes(cn_buf *out, const void *p, size_t n)
{
    static const uint8_t zeros[WORD] = {0};
    piece length = piece_u64(n);
    cn_put_bytes(out, length.word, WORD);
    cn_put_bytes(out, p, n);
    cn_put_bytes(out, zeros, (WORD - n % WORD) % WORD);
}

static void put_digests(cn_buf *out, const cn_digest *d, size_t n)
{
    piece length = piece_u64(n);
    cn_put_bytes(out, length.word, WORD);
    for (size_t i = 0; i < n; i++)
        cn_put_digest(out, &d[i]);
}

#define PARTS_MAX 5u

typedef struct parts { /* of one tuple */
    piece piece[PARTS_MAX];
    cn_buf buf[PARTS_MAX];
    size_t count;
} parts;

static cn_buf *add_tail(parts *p)
{
    CN_ASSERT(p->count < PARTS_MAX);
    cn_buf_init(&p->buf[p->count], CN_EVM_CALL_MAX);
    p->piece[p->count] = piece_tail(&p->buf[p->count]);
    return &p->buf[p->count++];
}

static void add_word(parts *p, piece word)
{
    CN_ASSERT(p->count < PARTS_MAX);
    memset(&p->buf[p->count], 0, sizeof p->buf[0]);
    p->piece[p->count++] = word;
}

/* Writes the tuple and lets go of what it was made of. */
static void close_tuple(parts *p, cn_buf *out)
{
    put_tuple(out, p->piece, p->count);
    for (size_t i = 0; i < p->count; i++) {
        out->fault = out->fault || p->buf[i].fault;
        cn_buf_free(&p->buf[i]);
    }
}

static void put_selector(cn_buf *out, const char *signature)
{
    cn_digest d = cn_keccak256(signature, strlen(signature));
    cn_put_bytes(out, d.b, 4);
}

/* ---- finality ---- */

uint8_t cn_evm_v(const cn_digest *vote, const cn_signature *signature, const uint8_t address[20])
{
    for (int id = 0; id < 2; id++) {
        secp256k1_ecdsa_recoverable_signature s;
        secp256k1_pubkey key;
        uint8_t point[65];
        size_t n = sizeof point;
        if (!secp256k1_ecdsa_recoverable_signature_parse_compact(secp256k1_context_static, &s, signature->b, id) ||
            !secp256k1_ecdsa_recover(secp256k1_context_static, &key, &s, vote->b))
            continue;
        secp256k1_ec_pubkey_serialize(secp256k1_context_static, point, &n, &key, SECP256K1_EC_UNCOMPRESSED);
        cn_digest d = cn_keccak256(point + 1, 64);
        if (memcmp(d.b + 12, address, 20) == 0)
            return (uint8_t)(27 + id);
    }
    return 0;
}

static cn_status find_vs(const cn_evm_finality *f, uint8_t v[CN_MAX_VALIDATORS], size_t *ret_count, cn_err *err)
{
    cn_certificate c;
    cn_reader r = cn_reader_of(f->certificate.p, f->certificate.n);
    cn_status st = cn_certificate_read(&r, &c, err);
    if (st == CN_OK && (!cn_reader_done(&r) || c.n != f->set->n))
        st = cn_fail(err, CN_INVALID, "finalization", "is not of this set");
    if (st != CN_OK)
        return st;
    cn_digest vote = cn_vote_digest(f->network, c.epoch, c.kind, c.view, &c.block);
    size_t next = 0;
    for (unsigned i = 0; i < c.n; i++) {
        if (!(c.bitmap[i / 8] >> i % 8 & 1))
            continue;
        v[next] = cn_evm_v(&vote, &c.signature[next], f->set->row[i].evm_address);
        if (v[next] == 0)
            return cn_fail(err, CN_INVALID, "finalization",
                           "the signature of validator %u does not lead to its address", i);
        next++;
    }
    *ret_count = next;
    return CN_OK;
}

static cn_status put_finality(const cn_evm_finality *f, cn_buf *out, cn_err *err)
{
    uint8_t v[CN_MAX_VALIDATORS];
    size_t signers = 0;
    parts p = {.count = 0};
    cn_buf headers;
    cn_status st = find_vs(f, v, &signers, err);
    if (st != CN_OK)
        return st;
    cn_buf_init(&headers, CN_EVM_CALL_MAX);
    for (size_t i = 0; i < f->header_count; i++) {
        uint8_t bytes[CN_HEADER_LEN];
        cn_header_encode(&f->header[i], bytes);
        cn_put_bytes(&headers, bytes, sizeof bytes);
    }
    put_bytes(add_tail(&p), headers.p, headers.n);
    put_bytes(add_tail(&p), f->certificate.p, f->certificate.n);
    put_bytes(add_tail(&p), v, signers);
    out->fault = out->fault || headers.fault;
    cn_buf_free(&headers);
    close_tuple(&p, out);
    return CN_OK;
}

/* Begins a call, whose first argument is the finality. */
static cn_status begin(parts *p, const cn_evm_finality *f, const char *signature, cn_buf *out, cn_err *err)
{
    p->count = 0;
    cn_buf *first = add_tail(p);
    cn_status st = put_finality(f, first, err);
    if (st == CN_OK)
        put_selector(out, signature);
    else
        cn_buf_free(first);
    return st;
}

/* ---- calls ---- */

#define FINALITY "(bytes,bytes,bytes)"
#define NEIGHBOUR "(bytes,bytes,bytes32[],bytes)"

cn_status cn_evm_statement(const cn_evm_finality *f, const cn_digest *entry, uint64_t index, const cn_digest *path,
                           size_t path_len, cn_buf *out, cn_err *err)
{
    parts p;
    cn_status st = begin(&p, f, "verifyStatement(" FINALITY ",bytes32,uint64,bytes32[])", out, err);
    if (st != CN_OK)
        return st;
    add_word(&p, piece_digest(entry));
    add_word(&p, piece_u64(index));
    put_digests(add_tail(&p), path, path_len);
    close_tuple(&p, out);
    return CN_OK;
}

/* Adds key, value, siblings and sides. */
static void add_existence(parts *p, const cn_ics23_existence *e)
{
    cn_buf *out = add_tail(p);
    uint8_t side[CN_ICS23_MAX_DEPTH];
    put_bytes(out, e->key.b, CN_STATE_KEY_LEN);
    put_bytes(add_tail(p), e->value, e->value_len);
    cn_buf *siblings = add_tail(p);
    piece length = piece_u64(e->depth);
    cn_put_bytes(siblings, length.word, WORD);
    for (size_t i = 0; i < e->depth; i++) {
        cn_put_digest(siblings, &e->step[i].sibling);
        side[i] = e->step[i].is_left;
    }
    put_bytes(add_tail(p), side, e->depth);
}

cn_status cn_evm_state(const cn_evm_finality *f, const cn_ics23_existence *proof, cn_buf *out, cn_err *err)
{
    parts p;
    cn_status st = begin(&p, f, "verifyState(" FINALITY ",bytes,bytes,bytes32[],bytes)", out, err);
    if (st != CN_OK)
        return st;
    add_existence(&p, proof);
    close_tuple(&p, out);
    return CN_OK;
}

static void put_neighbour(const cn_ics23_existence *e, bool present, cn_buf *out)
{
    parts p = {.count = 0};
    if (present) {
        add_existence(&p, e);
    } else {
        put_bytes(add_tail(&p), NULL, 0);
        put_bytes(add_tail(&p), NULL, 0);
        put_digests(add_tail(&p), NULL, 0);
        put_bytes(add_tail(&p), NULL, 0);
    }
    close_tuple(&p, out);
}

cn_status cn_evm_absence(const cn_evm_finality *f, const cn_ics23_absence *proof, cn_buf *out, cn_err *err)
{
    parts p;
    cn_status st = begin(&p, f, "verifyAbsence(" FINALITY ",bytes," NEIGHBOUR "," NEIGHBOUR ")", out, err);
    if (st != CN_OK)
        return st;
    put_bytes(add_tail(&p), proof->key.b, CN_STATE_KEY_LEN);
    put_neighbour(&proof->left, proof->has_left, add_tail(&p));
    put_neighbour(&proof->right, proof->has_right, add_tail(&p));
    close_tuple(&p, out);
    return CN_OK;
}

cn_status cn_evm_advance(const cn_evm_finality *f, cn_span rows, cn_buf *out, cn_err *err)
{
    parts p;
    cn_status st = begin(&p, f, "advance(" FINALITY ",bytes)", out, err);
    if (st != CN_OK)
        return st;
    put_bytes(add_tail(&p), rows.p, rows.n);
    close_tuple(&p, out);
    return CN_OK;
}

void cn_evm_constructor(const cn_digest *network, uint64_t epoch, uint64_t closing_height, cn_span rows, cn_buf *out)
{
    parts p = {.count = 0};
    add_word(&p, piece_digest(network));
    add_word(&p, piece_u64(epoch));
    add_word(&p, piece_u64(closing_height));
    put_bytes(add_tail(&p), rows.p, rows.n);
    close_tuple(&p, out);
}
