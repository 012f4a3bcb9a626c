/* EPCIS documents: what is accepted can be hashed, cut into items, read back item by item, and put together again byte
 * for byte. */
#include "fuzz.h"

#include "node/formats/event_hash.h"
#include "node/formats/plan.h"
#include "node/formats/subject.h"
#include "proto/statement.h"

#include <stdio.h>
#include <stdlib.h>

#define CONTEXT                                                                                                        \
    "\"@context\":[\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\",{\"ext\":\"https://e.com/\"}],"
#define TIMES "\"eventTime\":\"2026-03-01T08:00:00Z\",\"eventTimeZoneOffset\":\"+03:00\","
#define DOCUMENT(events)                                                                                               \
    "{" CONTEXT "\"type\":\"EPCISDocument\",\"schemaVersion\":\"2.0\",\"creationDate\":\"2026-03-01T09:00:00Z\","      \
    "\"epcisBody\":{\"eventList\":[" events "]}}"
#define EPC "\"urn:epc:id:sscc:4012345.3111111111\""

static const char *const seeds[] = {
    "{" CONTEXT TIMES "\"type\":\"ObjectEvent\",\"action\":\"ADD\",\"epcList\":[" EPC "],\"bizStep\":\"shipping\","
    "\"disposition\":\"in_transit\",\"readPoint\":{\"id\":\"urn:epc:id:sgln:4012345.00025.0\"},"
    "\"bizLocation\":{\"id\":\"urn:epc:id:sgln:4012345.00026.0\"},"
    "\"bizTransactionList\":[{\"type\":\"po\",\"bizTransaction\":\"urn:epcglobal:cbv:bt:4012345000009:1\"}],"
    "\"sourceList\":[{\"type\":\"owning_party\",\"source\":\"urn:epc:id:pgln:4012345.00025\"}],"
    "\"destinationList\":[{\"type\":\"location\",\"destination\":\"urn:epc:id:sgln:4012345.00027.0\"}],"
    "\"ilmd\":{\"ext:best\":\"2027-01-01\"},\"ext:note\":{\"ext:a\":[1,\"x\",null]}}",
    DOCUMENT("{" TIMES "\"type\":\"AggregationEvent\",\"action\":\"ADD\",\"parentID\":\"urn:epc:id:bic:CSQU3054383\","
             "\"childEPCs\":[" EPC "]},{" TIMES "\"type\":\"AggregationEvent\",\"action\":\"DELETE\","
             "\"parentID\":\"urn:epc:id:bic:CSQU3054383\",\"childEPCs\":[]}"),
    DOCUMENT("{" TIMES "\"type\":\"TransactionEvent\",\"action\":\"OBSERVE\",\"epcList\":[" EPC "],"
             "\"bizTransactionList\":[{\"bizTransaction\":\"urn:x:1\"}],\"quantityList\":[{\"epcClass\":"
             "\"urn:epc:class:lgtin:4012345.012345.998877\",\"quantity\":2.50,\"uom\":\"KGM\"}]}"),
    DOCUMENT("{" TIMES "\"type\":\"TransformationEvent\",\"transformationID\":\"urn:t:1\",\"inputEPCList\":[" EPC "],"
             "\"outputEPCList\":[\"urn:epc:id:sgtin:4012345.011111.987\"]},\n"
             "{" TIMES
             "\"type\":\"AssociationEvent\",\"action\":\"ADD\",\"parentID\":\"urn:epc:id:grai:4012345.55555.987\","
             "\"childEPCs\":[" EPC "],\"persistentDisposition\":{\"set\":[\"in_transit\"]}}"),
    DOCUMENT("{" TIMES "\"type\":\"ObjectEvent\",\"action\":\"OBSERVE\",\"epcList\":[" EPC "],\"sensorElementList\":["
             "{\"sensorMetadata\":{\"time\":\"2026-03-01T08:00:00Z\",\"deviceID\":\"urn:epc:id:giai:4000001.111\"},"
             "\"sensorReport\":[{\"type\":\"Temperature\",\"value\":26.0,\"uom\":\"CEL\",\"sDev\":0.1},"
             "{\"type\":\"AbsoluteHumidity\",\"value\":12.1,\"uom\":\"A93\"}]}],"
             "\"errorDeclaration\":{\"declarationTime\":\"2026-03-01T08:00:00Z\",\"reason\":\"did_not_occur\"}}"),
    DOCUMENT(""),
};

void fuzz_seeds(void)
{
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "%zu", i);
        fuzz_seed(name, seeds[i], strlen(seeds[i]));
    }
}

static void check_events(const cn_epcis_doc *doc, size_t n)
{
    size_t end = 0;
    for (size_t i = 0; i < cn_epcis_event_count(doc); i++) {
        const cn_epcis_event *e = cn_epcis_event_at(doc, i);
        FUZZ_REQUIRE(e->offset >= end && e->length > 0 && e->offset + e->length <= n);
        FUZZ_REQUIRE(e->first_ms <= e->event_ms && e->event_ms <= e->last_ms);
        FUZZ_REQUIRE(strncmp(e->hash, "ni:///sha-256;", 14) == 0);
        end = e->offset + e->length;
        for (size_t k = 0; k < e->subject_count; k++) {
            char canonical[CN_SUBJECT_MAX];
            FUZZ_REQUIRE(k == 0 || strcmp(e->subject[k - 1], e->subject[k]) < 0);
            FUZZ_REQUIRE(cn_subject_canonical(e->subject[k], canonical, sizeof canonical, NULL, NULL) == CN_OK);
            FUZZ_REQUIRE(strcmp(canonical, e->subject[k]) == 0);
        }
        FUZZ_PLANT(e->event_ms != UINT64_C(1772352000000));
    }
}

/* What the signer declares is what a reader of the item alone finds (verification, declared subjects). */
static void check_item(const cn_plan_item *item, const cn_epcis_event *event)
{
    cn_item_info info = {0};
    FUZZ_REQUIRE(cn_item_subjects(item->format, item->content.p, item->content.n, &info, NULL) == CN_OK);
    FUZZ_REQUIRE(info.readable);
    if (event && info.is_event) {
        FUZZ_REQUIRE(info.subject_count == event->subject_count);
        for (size_t i = 0; i < info.subject_count; i++)
            FUZZ_REQUIRE(strcmp(info.subject[i], event->subject[i]) == 0);
        FUZZ_REQUIRE(info.event.first_ms == event->first_ms && info.event.last_ms == event->last_ms);
    }
    cn_item_info_free(&info);
}

static void check_plan(const cn_epcis_doc *doc, const uint8_t *p, size_t n)
{
    static const uint8_t salt[32] = {7};
    cn_plan *plan = NULL;
    cn_plan_item items[256];
    cn_buf again;
    size_t count = 0, event = 0;
    if (cn_plan_document(doc, salt, &plan, NULL) != CN_OK)
        return;
    for (size_t i = 0; i < cn_plan_part_count(plan); i++) {
        const cn_plan_part *part = cn_plan_part_at(plan, i);
        for (size_t k = 0; k < part->item_count; k++, count++) {
            bool is_event = part->item[k].format == CN_ITEM_EPCIS;
            FUZZ_REQUIRE(count < sizeof items / sizeof items[0]);
            check_item(&part->item[k], is_event ? cn_epcis_event_at(doc, event++) : NULL);
            items[count] = part->item[k];
        }
    }
    FUZZ_REQUIRE(event == cn_epcis_event_count(doc));
    cn_buf_init(&again, CN_EPCIS_MAX_BYTES);
    FUZZ_REQUIRE(cn_document_reassemble(items, count, &again, NULL) == CN_OK);
    FUZZ_REQUIRE(fuzz_same(again.p, again.n, p, n));
    cn_buf_free(&again);
    cn_plan_free(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    cn_epcis_doc *doc = NULL;
    cn_err err = {0};
    cn_buf hashes;
    cn_buf_init(&hashes, 1u << 20);
    cn_status hashed = cn_event_hash_document(p, n, false, &hashes, NULL);
    cn_status st = cn_epcis_parse(p, n, 1u << 16, &doc, &err);
    if (st != CN_OK) {
        FUZZ_REQUIRE(doc == NULL && err.code == st && err.text[0]);
    } else {
        FUZZ_REQUIRE(hashed == CN_OK);
        check_events(doc, n);
        check_plan(doc, p, n);
    }
    cn_epcis_free(doc);
    cn_buf_free(&hashes);
    return 0;
}
