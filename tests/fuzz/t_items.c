/* Items as strangers sign them: envelopes, events, and documents put together from any mixture of them. */
#include "fuzz.h"

#include "node/formats/envelope.h"
#include "node/formats/plan.h"
#include "proto/statement.h"

#include <stdio.h>

/* (u8 format | u16 length | content)* */
static void put(cn_buf *out, uint8_t format, const void *p, size_t n)
{
    cn_put_u8(out, format);
    cn_put_u16(out, (uint16_t)n);
    cn_put_bytes(out, p, n);
}

#define EVENT                                                                                                          \
    "{\"type\":\"ObjectEvent\",\"eventTime\":\"2026-03-01T08:00:00Z\",\"eventTimeZoneOffset\":\"+03:00\","             \
    "\"action\":\"ADD\",\"epcList\":[\"a:b\"]}"

void fuzz_seeds(void)
{
    static const char text[] = "[" EVENT "," EVENT "]";
    cn_buf whole, envelope;
    cn_buf_init(&whole, 1u << 16);
    for (uint16_t parts = 1; parts <= 2; parts++) {
        char name[16];
        cn_buf_clear(&whole);
        for (uint16_t part = 0; part < parts; part++) {
            cn_envelope e = {.part = part, .parts = parts, .document = cn_sha256(text, sizeof text - 1)};
            size_t half = strlen("[" EVENT);
            e.size = sizeof text - 1;
            e.offset = part ? half : 0;
            e.event_count = parts == 1 ? 2 : 1;
            e.point[0] = 1;
            e.point[1] = 2;
            e.rest = parts == 1 ? CN_SPAN("[,]", 3) : part == 0 ? CN_SPAN("[", 1) : CN_SPAN(",]", 2);
            cn_buf_init(&envelope, 1u << 16);
            cn_envelope_write(&e, &envelope);
            put(&whole, CN_ITEM_ENVELOPE, envelope.p, envelope.n);
            cn_buf_free(&envelope);
            for (unsigned i = 0; i < e.event_count; i++)
                put(&whole, CN_ITEM_EPCIS, EVENT, sizeof EVENT - 1);
        }
        snprintf(name, sizeof name, "parts-%u", parts);
        fuzz_seed(name, whole.p, whole.n);
    }
    cn_buf_free(&whole);
}

static void try_envelope(const void *p, size_t n)
{
    static cn_envelope e;
    cn_buf again;
    if (cn_envelope_read(p, n, &e, NULL) != CN_OK)
        return;
    cn_buf_init(&again, 1u << 20);
    cn_envelope_write(&e, &again);
    FUZZ_REQUIRE(fuzz_same(again.p, again.n, p, n));
    cn_buf_free(&again);
    FUZZ_PLANT(e.event_count == 2 && e.size > 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    cn_reader r = cn_reader_of(p, n);
    cn_plan_item item[64];
    size_t count = 0;
    while (r.n > 0 && count < 64) {
        uint8_t format = cn_read_u8(&r);
        size_t len = cn_read_u16(&r);
        const uint8_t *content = cn_read_view(&r, len);
        cn_item_info info = {0};
        cn_plan_item split;
        if (!cn_reader_ok(&r))
            break;
        if (cn_item_split(content, len, &split, NULL) == CN_OK)
            FUZZ_REQUIRE(split.format == content[0] && split.content.n == len - 1u - CN_ITEM_SALT_LEN);
        if (cn_item_subjects(format, content, len, &info, NULL) == CN_OK)
            cn_item_info_free(&info);
        if (format == CN_ITEM_ENVELOPE)
            try_envelope(content, len);
        item[count++] = (cn_plan_item){format, CN_SPAN(content, len)};
    }
    cn_buf out;
    cn_buf_init(&out, 1u << 20);
    if (cn_document_reassemble(item, count, &out, NULL) == CN_OK && item[0].format == CN_ITEM_ENVELOPE) {
        static cn_envelope e;
        cn_digest got = cn_sha256(out.p, out.n);
        FUZZ_REQUIRE(cn_envelope_read(item[0].content.p, item[0].content.n, &e, NULL) == CN_OK);
        FUZZ_REQUIRE(e.size == out.n && cn_digest_eq(&got, &e.document));
    }
    cn_buf_free(&out);
    return 0;
}
