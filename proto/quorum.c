#include "proto/quorum.h"

#include <secp256k1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned cn_max_faults(unsigned n)
{
    CN_ASSERT(n >= 1);
    return (n - 1) / 3;
}

unsigned cn_quorum(unsigned n)
{
    return (n + cn_max_faults(n)) / 2 + 1;
}

/* ---- validator sets ---- */

static void row_encode(const cn_set_row *row, cn_buf *out)
{
    cn_put_digest(out, &row->member);
    cn_put_bytes(out, row->vote_key, sizeof row->vote_key);
    cn_put_bytes(out, row->evm_address, sizeof row->evm_address);
    cn_put_bytes(out, row->receipt_key, sizeof row->receipt_key);
    cn_put_bytes(out, row->cosignature_key, sizeof row->cosignature_key);
    cn_put_bytes(out, row->log_key, sizeof row->log_key);
}

void cn_validator_set_encode(const cn_validator_set *set, cn_buf *out)
{
    for (unsigned i = 0; i < set->n; i++)
        row_encode(&set->row[i], out);
}

cn_digest cn_validator_set_digest(const cn_validator_set *set)
{
    cn_buf rows;
    cn_buf_init(&rows, CN_SET_ROW_LEN * CN_MAX_VALIDATORS);
    cn_validator_set_encode(set, &rows);
    CN_ASSERT(!rows.fault);
    cn_digest d = cn_tagged("carnet/set", rows.p, rows.n);
    cn_buf_free(&rows);
    return d;
}

static cn_status row_check(const cn_set_row *row, const char *field, cn_err *err)
{
    cn_public_key key;
    uint8_t address[20];
    if (cn_public_key_parse(CN_KEY_SECP256K1, row->vote_key, 33, &key, NULL) != CN_OK)
        return cn_fail(err, CN_INVALID, field, "the vote key is not a point of secp256k1");
    if (cn_evm_address(&key, address, NULL) != CN_OK || memcmp(address, row->evm_address, sizeof address) != 0)
        return cn_fail(err, CN_INVALID, field, "the EVM address is not that of the vote key");
    if (cn_public_key_parse(CN_KEY_P256, row->receipt_key, 33, &key, NULL) != CN_OK)
        return cn_fail(err, CN_INVALID, field, "the receipt key is not a point of P-256");
    if (cn_public_key_parse(CN_KEY_ED25519, row->cosignature_key, 32, &key, NULL) != CN_OK ||
        cn_public_key_parse(CN_KEY_ED25519, row->log_key, 32, &key, NULL) != CN_OK)
        return cn_fail(err, CN_INVALID, field, "an Ed25519 key is not a usable point");
    if (memcmp(row->cosignature_key, row->log_key, 32) == 0)
        return cn_fail(err, CN_INVALID, field, "one Ed25519 key serves two purposes");
    return CN_OK;
}

static bool rows_share_a_key(const cn_set_row *a, const cn_set_row *b)
{
    return memcmp(a->vote_key, b->vote_key, 33) == 0 || memcmp(a->receipt_key, b->receipt_key, 33) == 0 ||
           memcmp(a->cosignature_key, b->cosignature_key, 32) == 0 || memcmp(a->log_key, b->log_key, 32) == 0 ||
           memcmp(a->cosignature_key, b->log_key, 32) == 0 || memcmp(a->log_key, b->cosignature_key, 32) == 0;
}

cn_status cn_validator_set_check(const cn_validator_set *set, cn_err *err)
{
    if (set->n == 0 || set->n > CN_MAX_VALIDATORS)
        return cn_fail(err, CN_INVALID, "set", "a set has 1 to %u validators", CN_MAX_VALIDATORS);
    for (unsigned i = 0; i < set->n; i++) {
        char field[32];
        snprintf(field, sizeof field, "set.row[%u]", i);
        if (i > 0 && cn_digest_cmp(&set->row[i - 1].member, &set->row[i].member) >= 0)
            return cn_fail(err, CN_NOT_CANONICAL, field, "rows must ascend by member id, without duplicates");
        cn_status st = row_check(&set->row[i], field, err);
        if (st != CN_OK)
            return st;
        for (unsigned k = 0; k < i; k++)
            if (rows_share_a_key(&set->row[k], &set->row[i]))
                return cn_fail(err, CN_INVALID, field, "shares a key with row %u", k);
    }
    return CN_OK;
}

cn_status cn_validator_set_decode(const void *p, size_t n, cn_validator_set *ret, cn_err *err)
{
    if (n == 0 || n % CN_SET_ROW_LEN != 0 || n / CN_SET_ROW_LEN > CN_MAX_VALIDATORS)
        return cn_fail(err, CN_INVALID, "set", "%zu bytes are not 1 to %u rows of %d", n, CN_MAX_VALIDATORS,
                       CN_SET_ROW_LEN);
    cn_validator_set *set = calloc(1, sizeof *set);
    if (!set)
        return cn_fail(err, CN_NO_MEMORY, "set", "out of memory");
    cn_reader r = cn_reader_of(p, n);
    set->n = (unsigned)(n / CN_SET_ROW_LEN);
    for (unsigned i = 0; i < set->n; i++) {
        cn_set_row *row = &set->row[i];
        row->member = cn_read_digest(&r);
        cn_read_bytes(&r, row->vote_key, sizeof row->vote_key);
        cn_read_bytes(&r, row->evm_address, sizeof row->evm_address);
        cn_read_bytes(&r, row->receipt_key, sizeof row->receipt_key);
        cn_read_bytes(&r, row->cosignature_key, sizeof row->cosignature_key);
        cn_read_bytes(&r, row->log_key, sizeof row->log_key);
    }
    CN_ASSERT(cn_reader_done(&r));
    cn_status st = cn_validator_set_check(set, err);
    if (st == CN_OK)
        *ret = *set;
    free(set);
    return st;
}

int cn_validator_set_find(const cn_validator_set *set, const cn_digest *member)
{
    for (unsigned i = 0; i < set->n; i++)
        if (cn_digest_eq(&set->row[i].member, member))
            return (int)i;
    return -1;
}

/* ---- votes ---- */

cn_digest cn_vote_digest(const cn_digest *network, uint64_t epoch, uint8_t kind, uint64_t view, const cn_digest *block)
{
    uint8_t fixed[8 + 1 + 8];
    uint8_t *p = cn_store_u64(fixed, epoch);
    *p++ = kind;
    cn_store_u64(p, view);
    cn_span spans[] = {CN_SPAN_DIGEST(network), CN_SPAN(fixed, sizeof fixed), CN_SPAN_DIGEST(block)};
    return cn_taggedv("carnet/vote", spans, 3);
}

struct cn_vote_keys {
    unsigned n;
    secp256k1_pubkey key[CN_MAX_VALIDATORS];
};

cn_vote_keys *cn_vote_keys_new(const cn_validator_set *set)
{
    cn_vote_keys *keys = calloc(1, sizeof *keys);
    if (!keys)
        return NULL;
    keys->n = set->n;
    for (unsigned i = 0; i < set->n; i++)
        if (!secp256k1_ec_pubkey_parse(secp256k1_context_static, &keys->key[i], set->row[i].vote_key, 33)) {
            free(keys);
            return NULL;
        }
    return keys;
}

void cn_vote_keys_free(cn_vote_keys *keys)
{
    free(keys);
}

bool cn_vote_verify(const cn_vote_keys *keys, unsigned signer, const cn_digest *vote_digest,
                    const uint8_t signature[CN_SIGNATURE_LEN])
{
    secp256k1_ecdsa_signature parsed;
    /* high-s parses but does not verify: libsecp256k1 accepts only the normalised form */
    return signer < keys->n && secp256k1_ecdsa_signature_parse_compact(secp256k1_context_static, &parsed, signature) &&
           secp256k1_ecdsa_verify(secp256k1_context_static, &parsed, vote_digest->b, &keys->key[signer]);
}

/* ---- certificates ---- */

static bool bit(const cn_certificate *c, unsigned i)
{
    return c->bitmap[i / 8] >> (i % 8) & 1;
}

void cn_certificate_encode(const cn_certificate *c, cn_buf *out)
{
    cn_put_u8(out, c->kind);
    cn_put_u64(out, c->epoch);
    cn_put_u64(out, c->view);
    cn_put_digest(out, &c->block);
    cn_put_u8(out, c->n);
    cn_put_bytes(out, c->bitmap, (c->n + 7u) / 8);
    for (unsigned i = 0; i < c->signature_count; i++)
        cn_put_bytes(out, c->signature[i].b, CN_SIGNATURE_LEN);
}

cn_status cn_certificate_read(cn_reader *r, cn_certificate *ret, cn_err *err)
{
    cn_certificate c = {0};
    c.kind = cn_read_u8(r);
    c.epoch = cn_read_u64(r);
    c.view = cn_read_u64(r);
    c.block = cn_read_digest(r);
    c.n = cn_read_u8(r);
    if (!cn_reader_ok(r))
        return cn_fail(err, CN_INVALID, "certificate", "the bytes end early");
    if (c.kind < CN_NOTARIZE || c.kind > CN_FINALIZE)
        return cn_fail(err, CN_INVALID, "certificate.kind", "kind %u is not known", c.kind);
    if (c.kind == CN_NULLIFY && !cn_digest_is_zero(&c.block))
        return cn_fail(err, CN_NOT_CANONICAL, "certificate.block", "a nullification names no block");
    if (c.n == 0 || c.n > CN_MAX_VALIDATORS)
        return cn_fail(err, CN_INVALID, "certificate.n", "a set has 1 to %u validators", CN_MAX_VALIDATORS);
    cn_read_bytes(r, c.bitmap, (c.n + 7u) / 8);
    unsigned signers = 0;
    for (unsigned i = 0; i < 8u * sizeof c.bitmap; i++) {
        if (!bit(&c, i))
            continue;
        if (i >= c.n)
            return cn_fail(err, CN_NOT_CANONICAL, "certificate.bitmap", "bit %u lies beyond the set", i);
        signers++;
    }
    if (signers != cn_quorum(c.n))
        return cn_fail(err, CN_INVALID, "certificate.bitmap", "%u signers, a quorum of %u is exactly %u", signers, c.n,
                       cn_quorum(c.n));
    c.signature_count = signers;
    for (unsigned i = 0; i < signers; i++)
        cn_read_bytes(r, c.signature[i].b, CN_SIGNATURE_LEN);
    if (!cn_reader_ok(r))
        return cn_fail(err, CN_INVALID, "certificate", "the bytes end within the signatures");
    *ret = c;
    return CN_OK;
}

cn_status cn_certificate_verify(const cn_certificate *c, const cn_digest *network, const cn_validator_set *set,
                                const cn_vote_keys *keys, cn_err *err)
{
    if (c->n != set->n)
        return cn_fail(err, CN_INVALID, "certificate.n", "the set has %u validators, the certificate says %u", set->n,
                       c->n);
    if (c->signature_count != cn_quorum(c->n))
        return cn_fail(err, CN_INVALID, "certificate.signatures", "a quorum is exactly %u signatures", cn_quorum(c->n));
    cn_digest digest = cn_vote_digest(network, c->epoch, c->kind, c->view, &c->block);
    unsigned next = 0;
    for (unsigned i = 0; i < c->n; i++) {
        if (!bit(c, i))
            continue;
        if (next == c->signature_count || !cn_vote_verify(keys, i, &digest, c->signature[next].b))
            return cn_fail(err, CN_BAD_SIGNATURE, "certificate.signatures",
                           "the signature of validator %u is not valid", i);
        next++;
    }
    if (next != c->signature_count)
        return cn_fail(err, CN_INVALID, "certificate.bitmap", "signatures and bitmap differ in number");
    return CN_OK;
}
