#include "tools/sample/sample.h"

#include "node/formats/epcis.h"
#include "tools/sample/voyage.h"
#include "tools/sample/writer.h"

#include <stdio.h>
#include <string.h>

/* parties, places and things; GS1 company prefixes 952... are for demonstrations */
#define EXPORTER "urn:epc:id:pgln:9521101.00000"
#define CARRIER "urn:epc:id:pgln:9521102.00000"
#define TERMINAL_KE "urn:epc:id:pgln:9521103.00000"
#define TERMINAL_NL "urn:epc:id:pgln:9521104.00000"
#define IMPORTER "urn:epc:id:pgln:9521105.00000"
#define PACK_HOUSE "urn:epc:id:sgln:9521101.00001.0"
#define QUAY_KEMBA "urn:epc:id:sgln:9521103.00001.KEMBA"
#define QUAY_NLRTM "urn:epc:id:sgln:9521104.00001.NLRTM"
#define WAREHOUSE_NL "urn:epc:id:sgln:9521105.00001.0"
#define VESSEL "urn:epc:id:imovn:9074729"
#define TRACKER "urn:epc:id:giai:9521102.TRK-0462"
#define OTHER_TRACKER "urn:epc:id:giai:9521102.TRK-0483"
#define AVOCADOS "urn:epc:class:lgtin:9521101.011111.AVO-0112"
#define ROSES "urn:epc:class:lgtin:9521101.022222.ROS-0118"
#define PALLETS 20u

#define BOOKING "urn:epcglobal:cbv:bt:9521102000008:BKG-260114"
#define ORDER "urn:epcglobal:cbv:bt:9521105000005:PO-88121"

#define DOC_CONSIGNMENT CN_SAMPLE_CONSIGNMENT " " CN_SAMPLE_CONTAINER
#define DOC_OTHER CN_SAMPLE_OTHER_CONSIGNMENT " " CN_SAMPLE_OTHER_CONTAINER

enum { KENYA = 3, NETHERLANDS = 1 }; /* hours from UTC, in winter */

/* The papers: only their digests are anchored; the files stand beside, so that anybody can hash them again. */
static const char phytosanitary[] =
    "PHYTOSANITARY CERTIFICATE KE-PC-2026-004711\nPlant protection organisation of Kenya\n"
    "Goods: fresh avocados (Persea americana), 21,120 kg\nConsignment: 6KEP051234567A-AVO-0114\n"
    "Found free from quarantine pests on 2026-01-12.\n";
static const char invoice[] =
    "COMMERCIAL INVOICE INV-2026-0114\nSeller: sample exporter, Kenya\nBuyer: sample importer, "
    "the Netherlands\n5,280 cartons of avocados at EUR 9.40: EUR 49,632.00\nTerms: CIF Rotterdam\n";
static const char lading[] =
    "BILL OF LADING CNT-MBA-RTM-0114\nVessel: IMO 9074729\nFrom Mombasa (KEMBA) to Rotterdam (NLRTM)\n"
    "Container CNTU7301462, seal ML-KE 773120, refrigerated at +5.5 C\n";
static const char origin[] = "CERTIFICATE OF ORIGIN KE-EUR1-2026-10442\nGoods of Kenyan preferential origin\n"
                             "Consignment: 6KEP051234567A-AVO-0114\n";

static const char place_format[] = ", \"readPoint\": {\"id\": \"%s\"}";
static const char hand_over_format[] =
    ", \"sourceList\": [{\"type\": \"possessing_party\", \"source\": \"%s\"}], \"destinationList\": [{\"type\": "
    "\"possessing_party\", \"destination\": \"%s\"}]";

/* An event about the consignment and its container. */
static void both(writer *w, uint64_t ms, int offset, const char *action, const char *step, const char *disposition,
                 const char *place)
{
    sample_event(w, "ObjectEvent", action, ms, offset);
    sample_put(&w->file->text,
               ", \"epcList\": [\"" CN_SAMPLE_CONTAINER "\", \"" CN_SAMPLE_CONSIGNMENT
               "\"], \"bizStep\": \"%s\", \"disposition\": \"%s\"",
               step, disposition);
    sample_put(&w->file->text, place_format, place);
}

static void hand_over(writer *w, uint64_t ms, int offset, const char *step, const char *place, const char *from,
                      const char *to)
{
    both(w, ms, offset, "OBSERVE", step, "in_transit", place);
    sample_put(&w->file->text, hand_over_format, from, to);
    sample_event_end(w);
}

static void paper(writer *w, uint64_t ms, int offset, const char *type, const char *text, const char *step,
                  const char *disposition)
{
    sample_event(w, "TransactionEvent", "ADD", ms, offset);
    sample_put(&w->file->text,
               ", \"bizTransactionList\": [{\"type\": \"%s\", \"bizTransaction\": \"%s\"}], \"epcList\": "
               "[\"" CN_SAMPLE_CONSIGNMENT "\"], \"bizStep\": \"%s\", \"disposition\": \"%s\"",
               type, sample_digest_uri(text).s, step, disposition);
    sample_event_end(w);
}

/* ---- the avocados ---- */

static void harvest_and_packing(writer *w)
{
    cn_buf *out;
    sample_begin(w, "01-exporter-packing.json", "exporter",
                 "harvest lot, pallets, consignment, phytosanitary certificate", CN_SAMPLE_CONSIGNMENT,
                 sample_time(12, 13, 30));
    out = &w->file->text;
    sample_event(w, "ObjectEvent", "ADD", sample_time(11, 3, 0), KENYA);
    sample_put(out, ", \"quantityList\": [{\"epcClass\": \"" AVOCADOS
                    "\", \"quantity\": 21120, \"uom\": \"KGM\"}], \"bizStep\": "
                    "\"commissioning\", \"disposition\": \"active\", \"bizLocation\": {\"id\": \"" PACK_HOUSE
                    "\"}, \"ilmd\": {\"cbvmda:lotNumber\": \"AVO-0112\", \"cbvmda:countryOfOrigin\": \"KE\"}");
    sample_event_end(w);
    for (unsigned i = 1; i <= PALLETS; i++) {
        sample_event(w, "AggregationEvent", "ADD", sample_time(12, 5, 10 * i), KENYA);
        sample_put(
            out,
            ", \"parentID\": \"urn:epc:id:sscc:9521101.0%09u\", \"childQuantityList\": [{\"epcClass\": \"" AVOCADOS
            "\", \"quantity\": 1056, \"uom\": \"KGM\"}], \"bizStep\": \"packing\", \"disposition\": "
            "\"in_progress\"",
            i);
        sample_put(out, place_format, PACK_HOUSE);
        sample_event_end(w);
    }
    sample_event(w, "AggregationEvent", "ADD", sample_time(12, 9, 0), KENYA);
    sample_put(out, ", \"parentID\": \"" CN_SAMPLE_CONSIGNMENT "\", \"childEPCs\": [");
    for (unsigned i = 1; i <= PALLETS; i++)
        sample_put(out, "%s\"urn:epc:id:sscc:9521101.0%09u\"", i > 1 ? ", " : "", i);
    sample_put(out,
               "], \"bizStep\": \"packing\", \"bizTransactionList\": [{\"type\": \"po\", \"bizTransaction\": \"" ORDER
               "\"}]");
    sample_put(out, place_format, PACK_HOUSE);
    sample_event_end(w);
    sample_event(w, "ObjectEvent", "OBSERVE", sample_time(12, 10, 0), KENYA);
    sample_put(out,
               ", \"certificationInfo\": [\"%s\"], \"epcList\": [\"" CN_SAMPLE_CONSIGNMENT
               "\"], \"bizStep\": \"inspecting\", \"disposition\": \"conformant\"",
               sample_digest_uri(phytosanitary).s);
    sample_put(out, place_format, PACK_HOUSE);
    sample_event_end(w);
    sample_end(w);
}

static void container_release(writer *w, const voyage *v)
{
    sample_begin(w, "02-carrier-container.json", "carrier", "pre-trip inspection, empty container to the exporter",
                 CN_SAMPLE_CONTAINER, sample_time(12, 11, 0));
    cn_buf *out = &w->file->text;
    sample_event(w, "AssociationEvent", "ADD", sample_time(11, 8, 0), KENYA);
    sample_put(out, ", \"parentID\": \"" CN_SAMPLE_CONTAINER "\", \"childEPCs\": [\"%s\"], \"bizStep\": \"installing\"",
               v->tracker);
    sample_put(out, place_format, QUAY_KEMBA);
    sample_event_end(w);
    sample_event(w, "ObjectEvent", "OBSERVE", sample_time(11, 9, 30), KENYA);
    sample_put(out,
               ", \"epcList\": [\"" CN_SAMPLE_CONTAINER
               "\"], \"bizStep\": \"inspecting\", \"disposition\": \"conformant\", "
               "\"bizTransactionList\": [{\"bizTransaction\": \"" BOOKING
               "\"}], \"sensorElementList\": [{\"sensorReport\": [{\"type\": \"Temperature\", \"value\": 5.5, \"uom\": "
               "\"CEL\"}]}]");
    sample_put(out, place_format, QUAY_KEMBA);
    sample_event_end(w);
    sample_event(w, "ObjectEvent", "OBSERVE", sample_time(12, 10, 45), KENYA);
    sample_put(out, ", \"epcList\": [\"" CN_SAMPLE_CONTAINER "\"], \"bizStep\": \"arriving\"");
    sample_put(out, place_format, PACK_HOUSE);
    sample_event_end(w);
    sample_end(w);
}

static void stuffing(writer *w, const voyage *v)
{
    sample_begin(w, "03-exporter-stuffing.json", "exporter",
                 "consignment into the container, sealed, handed over to the carrier", DOC_CONSIGNMENT,
                 sample_time(12, 15, 0));
    cn_buf *out = &w->file->text;
    voyage_door(w, v, sample_time(12, 11, 30), KENYA, true, PACK_HOUSE);
    sample_event(w, "AggregationEvent", "ADD", sample_time(12, 13, 40), KENYA);
    sample_put(out, ", \"parentID\": \"" CN_SAMPLE_CONTAINER "\", \"childEPCs\": [\"" CN_SAMPLE_CONSIGNMENT
                    "\"], \"bizStep\": \"loading\", \"disposition\": \"in_progress\"");
    sample_put(out, place_format, PACK_HOUSE);
    sample_event_end(w);
    voyage_door(w, v, sample_time(12, 13, 50), KENYA, false, PACK_HOUSE);
    both(w, sample_time(12, 14, 0), KENYA, "OBSERVE", "consigning", "container_closed", PACK_HOUSE);
    sample_put(out, ", \"sample:seal\": \"ML-KE 773120\"");
    sample_event_end(w);
    hand_over(w, sample_time(12, 14, 30), KENYA, "shipping", PACK_HOUSE, EXPORTER, CARRIER);
    sample_end(w);
}

static void papers(writer *w)
{
    sample_begin(w, "04-exporter-documents.json", "exporter", "invoice, certificates and their digests",
                 CN_SAMPLE_CONSIGNMENT, sample_time(13, 8, 0));
    paper(w, sample_time(12, 16, 0), KENYA, "inv", invoice, "consigning", "active");
    paper(w, sample_time(12, 16, 10), KENYA, "cert", phytosanitary, "consigning", "active");
    paper(w, sample_time(13, 7, 20), KENYA, "cert", origin, "consigning", "active");
    sample_end(w);
}

static void mombasa(writer *w, voyage *v)
{
    sample_begin(w, "05-carrier-mombasa.json", "carrier", "road to the port, terminal, loaded on board, bill of lading",
                 DOC_CONSIGNMENT, sample_time(15, 15, 30));
    hand_over(w, sample_time(12, 14, 40), KENYA, "receiving", PACK_HOUSE, EXPORTER, CARRIER);
    w->sample->readings += voyage_readings(w, v, sample_time(12, 15, 0), v->departure_ms);
    hand_over(w, sample_time(13, 2, 10), KENYA, "arriving", QUAY_KEMBA, CARRIER, TERMINAL_KE);
    hand_over(w, sample_time(15, 7, 5), KENYA, "loading", QUAY_KEMBA, TERMINAL_KE, CARRIER);
    paper(w, sample_time(15, 9, 0), KENYA, "bol", lading, "consigning", "active");
    both(w, v->departure_ms, KENYA, "OBSERVE", "departing", "in_transit", QUAY_KEMBA);
    sample_put(&w->file->text, ", \"sample:vessel\": \"" VESSEL "\"");
    sample_event_end(w);
    sample_end(w);
}

static void bank(writer *w)
{
    sample_begin(w, "06-bank-payment.json", "bank", "documents taken up under the credit, invoice approved",
                 CN_SAMPLE_CONSIGNMENT, sample_time(19, 9, 0));
    paper(w, sample_time(19, 8, 15), NETHERLANDS, "bol", lading, "accepting", "conformant");
    paper(w, sample_time(19, 8, 40), NETHERLANDS, "inv", invoice, "accepting",
          "https://carnet.example/sample/approved");
    sample_end(w);
}

static void at_sea(writer *w, voyage *v)
{
    sample_begin(w, "07-carrier-voyage.json", "carrier",
                 "hourly readings at sea, a door opening, the temperature excursion; more than one statement",
                 DOC_CONSIGNMENT, v->arrival_ms);
    w->sample->readings += voyage_readings(w, v, v->departure_ms, v->arrival_ms);
    voyage_door(w, v, sample_time(19, 10, 20), 0, true, "geo:14.210,42.270");
    voyage_door(w, v, sample_time(19, 10, 31), 0, false, "geo:14.260,42.240");
    voyage_excursion(w, v);
    sample_end(w);
}

static void rotterdam(writer *w, voyage *v)
{
    sample_begin(w, "08-carrier-rotterdam.json", "carrier", "arrival, discharge, terminal", DOC_CONSIGNMENT,
                 sample_time(35, 7, 0));
    both(w, v->arrival_ms, NETHERLANDS, "OBSERVE", "arriving", "in_transit", QUAY_NLRTM);
    sample_put(&w->file->text, ", \"sample:vessel\": \"" VESSEL "\"");
    sample_event_end(w);
    hand_over(w, sample_time(34, 13, 15), NETHERLANDS, "unloading", QUAY_NLRTM, CARRIER, TERMINAL_NL);
    w->sample->readings += voyage_readings(w, v, v->arrival_ms, sample_time(35, 7, 0));
    sample_end(w);
}

static void customs(writer *w, const voyage *v)
{
    sample_begin(w, "09-customs-release.json", "customs", "selected, opened, inspected, released", DOC_CONSIGNMENT,
                 sample_time(35, 14, 30));
    cn_buf *out = &w->file->text;
    both(w, sample_time(35, 7, 30), NETHERLANDS, "OBSERVE", "holding", "https://carnet.example/sample/selected",
         QUAY_NLRTM);
    sample_event_end(w);
    voyage_door(w, v, sample_time(35, 9, 5), NETHERLANDS, true, QUAY_NLRTM);
    both(w, sample_time(35, 9, 40), NETHERLANDS, "OBSERVE", "inspecting", "conformant", QUAY_NLRTM);
    sample_put(out, ", \"certificationInfo\": [\"%s\"]", sample_digest_uri(phytosanitary).s);
    sample_event_end(w);
    voyage_door(w, v, sample_time(35, 9, 50), NETHERLANDS, false, QUAY_NLRTM);
    both(w, sample_time(35, 14, 5), NETHERLANDS, "OBSERVE", "accepting", "https://carnet.example/sample/released",
         QUAY_NLRTM);
    sample_put(out, ", \"sample:newSeal\": \"NL-DC 118204\"");
    sample_event_end(w);
    sample_end(w);
}

static void delivery(writer *w, voyage *v)
{
    sample_begin(w, "10-carrier-delivery.json", "carrier", "out of the terminal, unpacked at the importer's",
                 DOC_CONSIGNMENT, sample_time(36, 10, 0));
    cn_buf *out = &w->file->text;
    w->sample->readings += voyage_readings(w, v, sample_time(35, 7, 0), sample_time(36, 8, 0));
    hand_over(w, sample_time(36, 5, 30), NETHERLANDS, "departing", QUAY_NLRTM, TERMINAL_NL, CARRIER);
    voyage_door(w, v, sample_time(36, 8, 10), NETHERLANDS, true, WAREHOUSE_NL);
    sample_event(w, "AggregationEvent", "DELETE", sample_time(36, 8, 50), NETHERLANDS);
    sample_put(out, ", \"parentID\": \"" CN_SAMPLE_CONTAINER "\", \"childEPCs\": [\"" CN_SAMPLE_CONSIGNMENT
                    "\"], \"bizStep\": \"unloading\"");
    sample_put(out, place_format, WAREHOUSE_NL);
    sample_event_end(w);
    sample_event(w, "ObjectEvent", "OBSERVE", sample_time(36, 9, 10), NETHERLANDS);
    sample_put(out, ", \"epcList\": [\"" CN_SAMPLE_CONSIGNMENT "\"], \"bizStep\": \"receiving\", \"disposition\": "
                    "\"in_progress\"");
    sample_put(out, hand_over_format, CARRIER, IMPORTER);
    sample_put(out, place_format, WAREHOUSE_NL);
    sample_event_end(w);
    sample_end(w);
}

/* ---- the roses ---- */

static void other_tie(writer *w, uint64_t ms, int offset, const char *action, const char *step, const char *place)
{
    sample_event(w, "AggregationEvent", action, ms, offset);
    sample_put(&w->file->text,
               ", \"parentID\": \"" CN_SAMPLE_OTHER_CONTAINER "\", \"childEPCs\": [\"" CN_SAMPLE_OTHER_CONSIGNMENT
               "\"], \"bizStep\": \"%s\"",
               step);
    sample_put(&w->file->text, place_format, place);
    sample_event_end(w);
}

static void roses(writer *w)
{
    voyage v = {.container = CN_SAMPLE_OTHER_CONTAINER,
                .tracker = OTHER_TRACKER,
                .departure_ms = sample_time(20, 4, 0),
                .arrival_ms = sample_time(39, 4, 0),
                .set_point = 0.5,
                .random = UINT64_C(0x9e3779b97f4a7c15)};
    sample_begin(w, "11-exporter-roses.json", "exporter", "another consignment: cut roses, packed and shipped",
                 DOC_OTHER, sample_time(19, 12, 0));
    cn_buf *out = &w->file->text;
    sample_event(w, "AggregationEvent", "ADD", sample_time(18, 14, 0), KENYA);
    sample_put(out,
               ", \"parentID\": \"" CN_SAMPLE_OTHER_CONSIGNMENT "\", \"childQuantityList\": [{\"epcClass\": \"" ROSES
               "\", \"quantity\": 214400, \"uom\": \"H87\"}], \"bizStep\": \"packing\"");
    sample_put(out, place_format, PACK_HOUSE);
    sample_event_end(w);
    other_tie(w, sample_time(19, 11, 0), KENYA, "ADD", "loading", PACK_HOUSE);
    sample_event(w, "ObjectEvent", "OBSERVE", sample_time(19, 11, 30), KENYA);
    sample_put(out, ", \"epcList\": [\"" CN_SAMPLE_OTHER_CONTAINER "\", \"" CN_SAMPLE_OTHER_CONSIGNMENT
                    "\"], \"bizStep\": \"shipping\", \"disposition\": \"in_transit\"");
    sample_put(out, hand_over_format, EXPORTER, CARRIER);
    sample_event_end(w);
    sample_end(w);

    sample_begin(w, "12-carrier-roses.json", "carrier", "another consignment: readings of its first days", DOC_OTHER,
                 sample_time(22, 16, 0));
    (void)voyage_readings(w, &v, sample_time(19, 12, 0), sample_time(22, 16, 0));
    sample_end(w);

    sample_begin(w, "13-customs-roses.json", "customs", "another consignment: released without inspection", DOC_OTHER,
                 sample_time(39, 9, 0));
    out = &w->file->text;
    sample_event(w, "ObjectEvent", "OBSERVE", sample_time(39, 8, 20), NETHERLANDS);
    sample_put(out, ", \"epcList\": [\"" CN_SAMPLE_OTHER_CONTAINER "\", \"" CN_SAMPLE_OTHER_CONSIGNMENT
                    "\"], \"bizStep\": \"accepting\", \"disposition\": \"https://carnet.example/sample/released\"");
    sample_put(out, place_format, QUAY_NLRTM);
    sample_event_end(w);
    sample_end(w);

    sample_begin(w, "14-carrier-roses.json", "carrier", "another consignment: unpacked", DOC_OTHER,
                 sample_time(39, 15, 0));
    other_tie(w, sample_time(39, 14, 50), NETHERLANDS, "DELETE", "unloading", WAREHOUSE_NL);
    sample_end(w);
}

/* ---- all of it ---- */

static void plain(writer *w, const char *name, const char *about, const char *text)
{
    cn_put_bytes(sample_plain(w, name, about), text, strlen(text));
}

static void read_me(writer *w)
{
    cn_buf *out = sample_plain(w, "README.txt", "this list");
    sample_put(out, "Sample shipment, written by carnet-sample. Submit in this order, each file by its party.\n\n");
    for (size_t i = 0; i + 1 < w->sample->count; i++) {
        const cn_sample_file *f = &w->sample->file[i];
        sample_put(out, "%-32s %-9s %s\n", f->name, f->party[0] ? f->party : "-", f->about);
    }
    sample_put(out, "\nconsignment " CN_SAMPLE_CONSIGNMENT "\ncontainer   " CN_SAMPLE_CONTAINER
                    "\nanother one " CN_SAMPLE_OTHER_CONSIGNMENT " in " CN_SAMPLE_OTHER_CONTAINER "\n");
}

/* What the adapter would refuse must not leave this program. */
static cn_status check_file(const cn_sample_file *f, cn_err *err)
{
    cn_epcis_doc *doc = NULL;
    cn_err own = {0};
    if (f->text.fault)
        return cn_fail(err, CN_NO_MEMORY, f->name, "out of memory");
    if (f->party[0] == 0)
        return CN_OK;
    cn_status st = cn_epcis_parse(f->text.p, f->text.n, CN_EPCIS_MAX_BYTES, &doc, &own);
    cn_epcis_free(doc);
    return st == CN_OK ? CN_OK : cn_fail(err, st, f->name, "%.80s: %.150s", own.field, own.text);
}

cn_status cn_sample_make(cn_sample *ret, cn_err *err)
{
    cn_sample s = {.count = 0};
    writer w = {.sample = &s};
    voyage v = {.container = CN_SAMPLE_CONTAINER,
                .tracker = TRACKER,
                .departure_ms = sample_time(15, 15, 0),
                .arrival_ms = sample_time(34, 5, 0),
                .set_point = 5.5,
                .excursion_start_ms = sample_time(24, 2, 0),
                .excursion_end_ms = sample_time(24, 9, 0),
                .random = UINT64_C(0x2545f4914f6cdd1d)};
    harvest_and_packing(&w);
    container_release(&w, &v);
    stuffing(&w, &v);
    papers(&w);
    mombasa(&w, &v);
    bank(&w);
    at_sea(&w, &v);
    rotterdam(&w, &v);
    customs(&w, &v);
    delivery(&w, &v);
    roses(&w);
    plain(&w, "phytosanitary-certificate.txt", "paper anchored by its digest", phytosanitary);
    plain(&w, "commercial-invoice.txt", "paper anchored by its digest", invoice);
    plain(&w, "bill-of-lading.txt", "paper anchored by its digest", lading);
    plain(&w, "certificate-of-origin.txt", "paper anchored by its digest", origin);
    read_me(&w);
    cn_status st = CN_OK;
    for (size_t i = 0; i < s.count && st == CN_OK; i++)
        st = check_file(&s.file[i], err);
    if (st == CN_OK)
        *ret = s;
    else
        cn_sample_free(&s);
    return st;
}

void cn_sample_free(cn_sample *s)
{
    for (size_t i = 0; i < s->count; i++)
        cn_buf_free(&s->file[i].text);
    s->count = 0;
}
