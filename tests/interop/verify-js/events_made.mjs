// Events of few fields, every one there is: which fields each type needs together, and each word of the closed lists.
import { readFileSync } from "node:fs";

const time = { eventTime: "2026-03-01T08:00:00Z", eventTimeZoneOffset: "+00:00" };
const ACTION = [undefined, "ADD", "OBSERVE", "DELETE"], URIS = [undefined, [], ["a:b"]], CLASSES = [undefined, [], [{ epcClass: "a:b" }]];
const PARENT = [undefined, "a:b"], DATA = [undefined, {}], SENSORS = [undefined, [], [{ sensorReport: [{ type: "Mass" }] }]];
const FAMILY = { action: ACTION, parentID: PARENT, childEPCs: URIS, childQuantityList: CLASSES };
const TYPES = {
  ObjectEvent: { action: ACTION, epcList: URIS, quantityList: CLASSES, ilmd: DATA, sensorElementList: SENSORS, readPoint: [undefined, { id: "a:b" }] },
  AggregationEvent: FAMILY,
  AssociationEvent: FAMILY,
  TransactionEvent: { action: ACTION, bizTransactionList: [undefined, [], [{ bizTransaction: "a:b" }]], epcList: URIS, quantityList: CLASSES, parentID: PARENT },
  TransformationEvent: { inputEPCList: URIS, inputQuantityList: CLASSES, outputEPCList: URIS, outputQuantityList: CLASSES, transformationID: PARENT, ilmd: DATA },
};

/** Each type of event with its fields there, empty or absent, in every combination. */
export function* rulesInTurn() {
  for (const [type, fields] of Object.entries(TYPES)) {
    let events = [{ type, ...time }];
    for (const [name, values] of Object.entries(fields)) events = events.flatMap((e) => values.map((v) => (v === undefined ? e : { ...e, [name]: v })));
    yield* events;
  }
}

const sensor = (report) => ({ sensorElementList: [{ sensorReport: [report] }] });
const TERMS = [
  (w) => ({ bizStep: w }),
  (w) => ({ disposition: w }),
  (w) => ({ persistentDisposition: { unset: [w] } }),
  (w) => ({ bizTransactionList: [{ type: w, bizTransaction: "a:b" }] }),
  (w) => ({ sourceList: [{ type: w, source: "a:b" }] }),
  (w) => ({ destinationList: [{ type: w, destination: "a:b" }] }),
  (w) => ({ errorDeclaration: { declarationTime: time.eventTime, reason: w } }),
  (w) => sensor({ type: w }),
  (w) => sensor({ exception: w }),
  (w) => sensor({ type: "Mass", component: w }),
];
const PREFIXES = ["https://gs1.org/voc/", "urn:epcglobal:cbv:sdt:", ...["BizStep", "Disp", "BTT", "SDT", "ER", "Comp"].map((n) => `https://ref.gs1.org/cbv/${n}-`), ...["bizstep", "disp", "btt", "er"].map((n) => `urn:epcglobal:cbv:${n}:`)];

/** Each word that either source has, in each field of such words; each prefix with a word, without, and in capitals. */
export function* wordsInTurn(...sources) {
  const words = new Set(sources.flatMap((path) => readFileSync(path, "utf8").match(/[A-Za-z_]+/g)));
  const event = { type: "ObjectEvent", action: "OBSERVE", ...time, epcList: [] };
  const all = [...words, ...[...words].map((w) => `https://gs1.org/voc/${w}`), ...PREFIXES.flatMap((p) => ["", "shipping", "active", "po", "location", "did_not_occur", "x", "Mass"].flatMap((w) => [p + w, p.toUpperCase() + w]))];
  for (const word of all) for (const term of TERMS) yield { ...event, ...term(word) };
}
