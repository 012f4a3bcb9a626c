#include "proto/header.h"

#include "proto/limits.h"

#include <string.h>

static uint8_t *store_digest(uint8_t *p, const cn_digest *d)
{
    memcpy(p, d->b, CN_DIGEST_LEN);
    return p + CN_DIGEST_LEN;
}

void cn_header_encode(const cn_header *h, uint8_t out[CN_HEADER_LEN])
{
    uint8_t *p = cn_store_u32(out, h->version);
    *p++ = h->kind;
    p = cn_store_u64(p, h->epoch);
    p = cn_store_u64(p, h->height);
    p = cn_store_u64(p, h->time_ms);
    p = store_digest(p, &h->parent);
    p = cn_store_u64(p, h->log_size);
    p = store_digest(p, &h->log_root);
    p = store_digest(p, &h->state_root);
    p = store_digest(p, &h->body);
    p = store_digest(p, &h->set);
    p = store_digest(p, &h->next_set);
    CN_ASSERT(p == out + CN_HEADER_LEN);
}

cn_status cn_header_decode(const void *p, size_t n, cn_header *ret, cn_err *err)
{
    if (n != CN_HEADER_LEN)
        return cn_fail(err, CN_INVALID, "header", "a header has %d bytes, these are %zu", CN_HEADER_LEN, n);
    cn_reader r = cn_reader_of(p, n);
    cn_header h;
    h.version = cn_read_u32(&r);
    h.kind = cn_read_u8(&r);
    h.epoch = cn_read_u64(&r);
    h.height = cn_read_u64(&r);
    h.time_ms = cn_read_u64(&r);
    h.parent = cn_read_digest(&r);
    h.log_size = cn_read_u64(&r);
    h.log_root = cn_read_digest(&r);
    h.state_root = cn_read_digest(&r);
    h.body = cn_read_digest(&r);
    h.set = cn_read_digest(&r);
    h.next_set = cn_read_digest(&r);
    CN_ASSERT(cn_reader_done(&r));
    if (h.version != CN_PROTOCOL_VERSION)
        return cn_fail(err, CN_INVALID, "header.version", "version %u is not known here", h.version);
    if (h.kind > CN_BLOCK_CLOSING)
        return cn_fail(err, CN_INVALID, "header.kind", "kind %u is not known", h.kind);
    *ret = h;
    return CN_OK;
}

cn_digest cn_header_digest_bytes(const uint8_t bytes[CN_HEADER_LEN])
{
    return cn_tagged("carnet/block", bytes, CN_HEADER_LEN);
}

cn_digest cn_header_digest(const cn_header *h)
{
    uint8_t bytes[CN_HEADER_LEN];
    cn_header_encode(h, bytes);
    return cn_header_digest_bytes(bytes);
}

cn_digest cn_body_digest(const cn_digest *records, size_t count)
{
    return cn_tagged("carnet/body", records, count * sizeof *records);
}
