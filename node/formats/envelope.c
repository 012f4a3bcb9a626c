#include "node/formats/envelope.h"

void cn_envelope_write(const cn_envelope *e, cn_buf *out)
{
    cn_put_u8(out, CN_ENVELOPE_VERSION);
    cn_put_u16(out, e->part);
    cn_put_u16(out, e->parts);
    cn_put_digest(out, &e->document);
    cn_put_u64(out, e->size);
    cn_put_u64(out, e->offset);
    cn_put_u16(out, e->event_count);
    for (unsigned i = 0; i < e->event_count; i++)
        cn_put_u32(out, e->point[i]);
    cn_put_bytes(out, e->rest.p, e->rest.n);
}

cn_status cn_envelope_read(const void *content, size_t n, cn_envelope *ret, cn_err *err)
{
    cn_reader r = cn_reader_of(content, n);
    uint8_t version = cn_read_u8(&r);
    if (cn_reader_ok(&r) && version != CN_ENVELOPE_VERSION)
        return cn_fail(err, CN_INVALID, "envelope.version", "version %u is not known", version);
    cn_envelope e = {.part = cn_read_u16(&r), .parts = cn_read_u16(&r)};
    e.document = cn_read_digest(&r);
    e.size = cn_read_u64(&r);
    e.offset = cn_read_u64(&r);
    e.event_count = cn_read_u16(&r);
    if (!cn_reader_ok(&r) || e.event_count >= CN_MAX_ITEMS || r.n < 4u * e.event_count)
        return cn_fail(err, CN_INVALID, "envelope", "it is shorter than it says");
    if (e.part >= e.parts || e.offset > e.size)
        return cn_fail(err, CN_INVALID, "envelope", "part %u of %u at byte %llu is impossible", e.part, e.parts,
                       (unsigned long long)e.offset);
    for (unsigned i = 0; i < e.event_count; i++)
        e.point[i] = cn_read_u32(&r);
    e.rest.n = r.n;
    e.rest.p = cn_read_view(&r, r.n);
    for (unsigned i = 0; i < e.event_count; i++)
        if (e.point[i] > e.rest.n || (i && e.point[i] < e.point[i - 1]))
            return cn_fail(err, CN_INVALID, "envelope.point", "insertion points must ascend within the bytes");
    *ret = e;
    return CN_OK;
}
