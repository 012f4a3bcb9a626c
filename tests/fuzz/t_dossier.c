/* Dossiers. A changed ZIP, and true dossiers changed inside: files that are edited, cut, left out or renamed, in a ZIP
 * whose manifest fits again. The verifier must not accept one that says anything else than the network recorded. */
#include "fuzz.h"

#include "tests/unit/tools/mini.h"
#include "tools/verify/documents.h"

#include <stdio.h>
#include <stdlib.h>

#define CONSIGNMENT "urn:carnet:ucr:4KE51234567-ROSES"
#define CONTAINER "urn:epc:id:bic:CSQU3054383"

#define ERASED 1u /* item of the first batch, by order */

static mini m;
static cn_buf true_zip;
static uint64_t batch;

static uint64_t observe(mini_signer *signer, const char *uri, unsigned minute)
{
    char text[2048];
    snprintf(text, sizeof text,
             "{\"@context\":[\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\"],"
             "\"type\":\"EPCISDocument\",\"schemaVersion\":\"2.0\",\"creationDate\":\"2026-05-01T08:00:00.000Z\","
             "\"epcisBody\":{\"eventList\":[{\"type\":\"ObjectEvent\",\"eventTime\":\"2026-05-01T08:%02u:00.000Z\","
             "\"eventTimeZoneOffset\":\"+03:00\",\"action\":\"OBSERVE\",\"epcList\":[\"%s\"]}]}}",
             minute, uri);
    return mini_document(&m, signer, text);
}

static void erase(cn_buf *items, uint32_t item)
{
    cn_buf left;
    bool changed = false;
    cn_buf_init(&left, CN_MAX_STATEMENT_BYTES);
    if (cn_items_erase(CN_SPAN(items->p, items->n), item, 1, &left, &changed, NULL) == CN_OK) {
        cn_buf_free(items);
        *items = left;
    } else {
        cn_buf_free(&left);
    }
}

/* As a node makes it that has carried out the order. */
static mini_parts *true_parts(void)
{
    mini_parts *p = mini_parts_of(&m, CONSIGNMENT);
    erase(&p->statement[mini_place(p, batch)].items, ERASED);
    return p;
}

static void order_and_attest(void)
{
    cn_body order = {.kind = CN_PAYLOAD_ERASURE}, said = {.kind = CN_PAYLOAD_PURGE};
    order.erasure.record = m.statement[batch].decoded->record;
    order.erasure.start = ERASED;
    order.erasure.count = 1;
    order.erasure.reason = 2;
    uint64_t index = mini_record(&m, &m.capture[0], &order, NULL, 0);
    said.purge.erasure = m.statement[index].decoded->id;
    (void)mini_record(&m, &m.capture[1], &said, NULL, 0);
}

static void record(void)
{
    if (m.log_size)
        return;
    mini_begin(&m);
    mini_signer device = mini_device(&m, &m.capture[0], 101), reefer = mini_device(&m, &m.capture[2], 102);
    batch = observe(&device, CONSIGNMENT, 0);
    (void)mini_pair(&m, &m.capture[0], CONTAINER, CONSIGNMENT, MINI_TIME, 0);
    (void)observe(&reefer, CONTAINER, 5);
    (void)observe(&device, CONSIGNMENT, 15);
    order_and_attest();
    mini_parts *p = true_parts();
    mini_pack(p, &true_zip);
    mini_parts_free(p);
}

enum { RAW, PARTS };

void fuzz_seeds(void)
{
    static const uint8_t edits[] = {0, 0, 0, 0, 1, 0, 9, 1, 2, 1, 7, 1, 5, 0, 0, 0};
    record();
    fuzz_seed_kind("zip", RAW, true_zip.p, true_zip.n);
    fuzz_seed_kind("as-it-is", PARTS, edits, 0);
    fuzz_seed_kind("edited", PARTS, edits, sizeof edits);
    fuzz_seed_kind("one-edit", PARTS, edits + 4, 4);
}

static void flip(cn_buf *b, uint8_t place, uint8_t more, uint8_t with)
{
    if (b->n)
        b->p[((size_t)more << 8 | place) % b->n] ^= with;
}

static void cut(cn_buf *b, uint8_t more)
{
    b->n = b->n > more ? b->n - more : 0;
}

enum {
    ED_RECORD,
    ED_ITEMS,
    ED_PATH,
    ED_LEAF,
    ED_PROOF,
    ED_CERT,
    ED_HEADER,
    ED_DROP,
    ED_CUT,
    ED_COUNT,
    ED_SCOPE,
    ED_ERASE,
    EDITS
};

/* op | which | place | xor */
static void edit(mini_parts *p, const uint8_t *e)
{
    size_t st = p->statements ? e[1] % p->statements : 0, su = p->subjects ? e[1] % p->subjects : 0;
    switch (e[0] % EDITS) {
    case ED_RECORD:
        flip(&p->statement[st].record, e[2], 0, e[3]);
        break;
    case ED_ITEMS:
        flip(&p->statement[st].items, e[2], e[1] >> 4, e[3]);
        break;
    case ED_PATH:
        p->statement[st].path[e[2] % CN_PROOF_MAX].b[e[2] % CN_DIGEST_LEN] ^= e[3];
        break;
    case ED_LEAF:
        ((uint8_t *)p->subject[su].leaf)[e[2] % (sizeof p->subject[su].leaf[0] * 4)] ^= e[3];
        break;
    case ED_PROOF:
        flip(&p->subject[su].proof, e[2], e[1] >> 4, e[3]);
        break;
    case ED_CERT:
        flip(&p->certificate, e[2], e[1] & 1, e[3]);
        break;
    case ED_HEADER:
        p->header[e[1] % 3].state_root.b[e[2] % 32] ^= e[3];
        p->header[e[1] % 3].time_ms ^= e[1] >> 6;
        break;
    case ED_DROP:
        if (e[2] & 1 && p->statements)
            mini_drop_statement(p, p->statement[st].index);
        else if (p->subjects)
            mini_drop_subject(p, &p->subject[su].tag);
        break;
    case ED_CUT:
        cut(e[2] & 1 ? &p->statement[st].items : e[2] & 2 ? &p->subject[su].proof : &p->certificate, e[3]);
        break;
    case ED_COUNT:
        p->subject[su].count = (p->subject[su].count + e[3]) % MINI_MAX;
        p->statement[st].path_len = (p->statement[st].path_len + (e[3] >> 4)) % CN_PROOF_MAX;
        break;
    case ED_ERASE:
        if (p->statement[st].items.n)
            erase(&p->statement[st].items, e[2] & 1u);
        break;
    default:
        p->checkpoint ^= e[3];
        p->tag.b[e[2] % 32] ^= e[1] & 1;
        break;
    }
}

static cn_status keep_document(void *ctx, const cn_digest *sha256, const void *p, size_t n)
{
    (void)ctx;
    cn_digest d = cn_sha256(p, n);
    FUZZ_REQUIRE(cn_digest_eq(&d, sha256));
    return CN_OK;
}

static void verify(const cn_buf *zip)
{
    static cn_verify_report report;
    cn_documents_count count;
    cn_dossier d;
    cn_err err = {0};
    cn_status st = cn_verify_dossier(zip->p, zip->n, &m.genesis.network, NULL, &report);
    FUZZ_REQUIRE((st == CN_OK) == report.accepted);
    if (cn_dossier_read(zip->p, zip->n, &d, &err) == CN_OK) {
        FUZZ_PLANT(d.statement_count < 7);
        cn_dossier_clear(&d);
    } else {
        FUZZ_REQUIRE(err.text[0] && !report.accepted);
    }
    (void)cn_dossier_documents(zip->p, zip->n, keep_document, NULL, &count, NULL);
    if (!report.accepted)
        return;
    /* what is accepted says what was recorded: about which thing, how much, up to where */
    FUZZ_REQUIRE(strcmp(report.subject, CONSIGNMENT) == 0 && !report.absent);
    FUZZ_REQUIRE(report.subject_statements == 6 && report.erased_items == 1 && report.checkpoint_height == m.log_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    record();
    if (n == 0)
        return 0;
    cn_buf zip;
    if (p[0] % 2 == RAW) {
        cn_buf_init(&zip, 1u << 20);
        cn_put_bytes(&zip, p + 1, n - 1);
        verify(&zip);
        cn_buf_free(&zip);
        return 0;
    }
    mini_parts *parts = true_parts();
    for (size_t i = 1; i + 4 <= n && i < 1 + 4 * 16; i += 4)
        edit(parts, p + i);
    mini_pack(parts, &zip);
    mini_parts_free(parts);
    verify(&zip);
    bool changed = !fuzz_same(zip.p, zip.n, true_zip.p, true_zip.n);
    static cn_verify_report report;
    FUZZ_REQUIRE(!changed || cn_verify_dossier(zip.p, zip.n, &m.genesis.network, NULL, &report) != CN_OK);
    cn_buf_free(&zip);
    return 0;
}
