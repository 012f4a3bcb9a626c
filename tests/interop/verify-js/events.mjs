// Events and changed events, subjects and envelopes, given to both readers: whether each item is one by the schema, and
// which subjects it names.
// usage: events.mjs SOURCE-DIR ITEMS-MANY SECONDS SEED [DATA-DIR]
import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { rulesInTurn, wordsInTurn } from "./events_made.mjs";
import { maker } from "./subjects_made.mjs";

const [source, program, seconds, seed, data] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${source}/${name}`));
const { itemSubjects } = await load("src/items.mjs");
const { Fault } = await load("src/bytes.mjs");

let state = (Number(seed) * 2654435761) >>> 0 || 1;
function below(n) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % n;
}
const pick = (list) => list[below(list.length)];

// ---- events to begin with: one of each type with every field, and the samples of others ----

const common = {
  "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", { ext: "https://example.com/ext/" }],
  eventID: "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8", eventTime: "2026-03-01T08:00:00.1415+02:00", recordTime: "2026-03-01T08:00:01Z",
  eventTimeZoneOffset: "+02:00", certificationInfo: ["https://example.com/c/1"], bizStep: "shipping", disposition: "urn:epcglobal:cbv:disp:in_transit",
  readPoint: { id: "urn:epc:id:sgln:0614141.07346.1234", "ext:gate": 4 }, bizLocation: { id: "https://id.gs1.org/414/9521321100010" },
  bizTransactionList: [{ type: "https://ref.gs1.org/cbv/BTT-po", bizTransaction: "urn:epcglobal:cbv:bt:0614141073467:1152" }, { bizTransaction: "urn:carnet:ucr:4ke5-a" }],
  sourceList: [{ type: "location", source: "urn:epc:id:sgln:4012345.00225.0" }], destinationList: [{ type: "urn:epcglobal:cbv:sdt:owning_party", destination: "urn:epc:id:pgln:0614141.00777" }],
  errorDeclaration: { declarationTime: "2026-03-02T00:00:00Z", reason: "incorrect_data", correctiveEventIDs: ["urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a9"] },
  sensorElementList: [{
    sensorMetadata: { time: "2026-03-01T08:00:00Z", startTime: "2026-03-01T07:00:00Z", endTime: "2026-03-01T08:00:00Z", deviceID: "urn:epc:id:giai:4000001.111", rawData: "https://example.com/raw" },
    sensorReport: [
      { type: "Temperature", value: 26.0, minValue: -18.5, maxValue: 1e3, meanValue: 4, sDev: 0.1, percRank: 5, percValue: 1, uom: "CEL", time: "2026-03-01T08:00:00Z", component: "x" },
      { exception: "ALARM_CONDITION", hexBinaryValue: "f0f0", stringValue: "door", booleanValue: true, uriValue: "https://example.com/v", microorganism: "https://example.com/m", chemicalSubstance: "https://example.com/s", coordinateReferenceSystem: "urn:x:y" },
    ],
  }],
  "rdfs:comment": { anything: null }, "ext:more": [1, "x", { y: false }],
};
const quantity = [{ epcClass: "urn:epc:class:lgtin:4012345.012345.998877", quantity: 200, uom: "KGM" }];
const sgtin = ["urn:epc:id:sgtin:0614141.107346.2017", "https://id.gs1.org/01/09520123456788/21/12345", "urn:epc:id:bic:csqu3054383"];
const own = [
  { type: "ObjectEvent", action: "ADD", epcList: sgtin, quantityList: quantity, persistentDisposition: { set: ["completeness_verified"], unset: ["damaged"] }, ilmd: { "ext:lot": "7" } },
  { type: "AggregationEvent", action: "ADD", parentID: "urn:epc:id:sscc:0614141.1234567890", childEPCs: sgtin, childQuantityList: quantity },
  { type: "AssociationEvent", action: "DELETE", parentID: "urn:epc:id:grai:4012345.55555.987", childEPCs: [] },
  { type: "TransactionEvent", action: "OBSERVE", parentID: "urn:epc:id:sscc:0614141.1234567890", epcList: sgtin, quantityList: quantity },
  { type: "TransformationEvent", inputEPCList: sgtin, inputQuantityList: quantity, outputEPCList: ["urn:carnet:document:" + "a".repeat(64)], outputQuantityList: quantity, transformationID: "urn:epc:id:gdti:0614141.12345.400" },
].map((e) => ({ ...common, ...e }));

function* eventsIn(value) {
  if (typeof value !== "object" || value === null) return;
  if (typeof value.type === "string" && value.type.endsWith("Event")) yield value;
  for (const v of Object.values(value)) yield* eventsIn(v);
}

function* filesUnder(folder) {
  for (const e of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (e.isDirectory()) yield* filesUnder(`${folder}/${e.name}`);
    else if (/\.json(ld)?$/.test(e.name)) yield `${folder}/${e.name}`;
  }
}

const samples = [];
for (const folder of ["openepcis-test-resources", "epcis-event-hash-vectors"].map((n) => `${data}/${n}`).filter(existsSync)) {
  for (const file of filesUnder(folder)) {
    try {
      samples.push(...eventsIn(JSON.parse(readFileSync(file, "utf8"))));
    } catch (e) {
      if (!(e instanceof SyntaxError)) throw e; // one that is no JSON, on purpose
    }
  }
}

// ---- changes of the tree ----

const NAMES = [...new Set([...own, ...samples].flatMap((e) => Object.keys(e)))];
const TIMES = [
  "2026-02-29T00:00:00Z", "2024-02-29T24:00:00Z", "2024-02-29T23:59:59.9999Z", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59.9995Z", "1969-12-31T23:59:59.9994Z", "1970-01-01T13:59:59+14:00", "1970-01-01T14:00:00+14:00",
  "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "2026-03-01T08:00:00", "2026-03-01t08:00:00z", "2026-03-01T08:00:60Z", "2026-03-01T08:60:00Z", "2026-03-01T08:00:00.Z", "2026-03-01T08:00:00+14:00",
  "2026-03-01T08:00:00+14:01", "2026-03-01T08:00:00+13:60", "2026-03-01 08:00:00Z", "2026-3-01T08:00:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00-00:00", "2026-04-31T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
];
const ZONES = ["+14:00", "-14:00", "+14:01", "-14:01", "+13:60", "+13:59", "-00:00", "Z", "+2:00", "+02:00 ", "02:00", "+0200", "+99:00"];
const UNITS = ["CEL", "cel", "C", "C62", "CELS", "KGM", "2N", ""];
const WORDS = [
  "shipping", "Shipping", "https://ref.gs1.org/cbv/BizStep-shipping", "https://ref.gs1.org/cbv/BizStep-", "urn:epcglobal:cbv:bizstep:none", "https://example.com/own", "urn:epcglobal:cbv:disp:active", "damaged", "po", "location", "x y",
  "did_not_occur", "Temperature", "Molar_concentration", "x".repeat(64), "x".repeat(65), "https://gs1.org/voc/Temperature", "https://gs1.org/voc/Warmth", "https://gs1.org/voc/ERROR_CONDITION", "https://ref.gs1.org/cbv/Comp-x", "azimuth", "a-b", "",
];
const URIS = [
  "", "x", ":", "a:", "a:b", "1a:b", "a+.-1:b", "urn:x:y z", "https://id.gs1.org/01/09520123456788", "ext:name", "urn:carnet:key:00", "urn:carnet:ucr:", "urn:\u00e9:\ud83d\ude00", "a:\u007f", "a:\u0085", "\u00e9:a", "a:`", "a:|", "a:\u0020",
  "urn:carnet:member:Name", "urn:carnet:member:customs", "URN:CARNET:ERASURES", "ni:///sha-256;f4OxZX_x_FO5LcGBSKHWXfwtSx-j1ncoSt3SABJtkGk", "urn:epc:id:sgtin:1.2.3", "urn:x:" + "y".repeat(1017), "urn:x:" + "y".repeat(1018), "urn:epc:id:bic:csqu305438",
];
const STRINGS = [
  ...URIS, ...WORDS, ...TIMES, ...ZONES, ...UNITS, "ADD", "OBSERVE", "DELETE", "add", "f0", "F0g",
  "ObjectEvent", "AggregationEvent", "TransactionEvent", "TransformationEvent", "AssociationEvent", "QuantityEvent", "__proto__", "constructor", "type", "@context", "rdfs:comment",
];
const prefixes = (n) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`p${i}`, "a:b"]));
const CONTEXTS = ["a:b", "a b", {}, [], [1], [null], ["a:b", {}], [[]], prefixes(256), prefixes(257), [prefixes(255)], [prefixes(256)], Array(256).fill("a:b"), Array(257).fill("a:b")];
/** What is nearly right where this name stands. */
const near = (name) => (name === "@context" ? CONTEXTS : /time$/i.test(name) ? TIMES : /offset$/i.test(name) ? ZONES : name === "uom" ? UNITS : /^(bizStep|disposition|type|reason|exception|component|\d+)$/.test(name) ? WORDS : URIS);
const VALUES = [null, true, false, 0, -1.5, 1e21, [], {}, [[]], [{}], [null], ["a:b", "a:b"], ["a:b", "a:c"], { id: "a:b" }, { "a:b": 1 }, { id: 1 }];

/** Each place in the tree: the container and the name or number there. */
function placesIn(value, out = []) {
  if (typeof value !== "object" || value === null) return out;
  for (const key of Object.keys(value)) {
    out.push([value, key]);
    placesIn(value[key], out);
  }
  return out;
}

/** Every field in turn gone, of another kind, or what is nearly right there: no chance, each rule of the schema is met. */
function* changesInTurn(event, skip) {
  const paths = (value, path = []) => (typeof value !== "object" || value === null ? [] : Object.keys(value).flatMap((k) => [[...path, k], ...paths(value[k], [...path, k])]));
  for (const path of paths(event).filter((p) => !skip.has(p[0]))) {
    const last = path[path.length - 1];
    for (const value of [undefined, ...VALUES, ...(path.length > 1 && /^(@context|rdfs:comment)$/.test(path[0]) ? [] : near(last))]) {
      const copy = structuredClone(event), where = path.slice(0, -1).reduce((v, k) => v[k], copy);
      if (value !== undefined) where[last] = value;
      else if (Array.isArray(where)) where.splice(Number(last), 1);
      else delete where[last];
      yield copy;
    }
  }
}

function change(event, others) {
  const copy = structuredClone(event), places = placesIn(copy);
  const [where, key] = places.length && below(12) ? pick(places) : [copy, pick(NAMES)];
  const kind = below(12), member = () => (below(2) ? pick(STRINGS) : structuredClone(pick(VALUES)));
  if (kind === 0) Array.isArray(where) ? where.splice(Number(key), 1) : delete where[key];
  else if (kind === 1) Object.defineProperty(where, pick(Array.isArray(where) ? [key] : [...STRINGS, ...NAMES]), { value: where[key], enumerable: true, configurable: true, writable: true });
  else if (kind === 2 && Array.isArray(where)) where.push(structuredClone(where[below(where.length)]));
  else if (kind === 3) copy[pick(NAMES)] = structuredClone(pick(others)[pick(NAMES)] ?? member());
  else if (kind === 4 && typeof where[key] === "string") {
    const text = [...where[key]], at = below(text.length + 1);
    text.splice(at, below(2), ...(below(3) ? [pick([..." :%/.-+0123456789azAZ<\u00e9\ud83d\ude00\u0001\u007f".split("")])] : []));
    where[key] = text.join("").toWellFormed?.() ?? where[key];
  } else if (kind === 5) copy.type = pick(STRINGS.filter((s) => s.endsWith("Event")));
  else if (kind === 6) copy.action = pick(["ADD", "OBSERVE", "DELETE"]);
  else if (kind > 7 && typeof where[key] === "string") where[key] = pick(near(key));
  else where[key] = member();
  return copy;
}

// ---- changes of the text ----

const NUMBERS = ["1e400", "-0", "-0.0", "1E+2", "01", "1.", ".5", "+1", "-", "123456789012345678901234567890", "9223372036854775808", "NaN", "0x10", "1e", "1e+"];

function changeText(text) {
  const kind = below(10);
  if (kind === 0) return text.replace(/-?[0-9]+(\.[0-9]+)?(?=[,}\]])/, () => pick(NUMBERS));
  if (kind === 1) return text.replace(/^\{/, () => `{"type":"ObjectEvent",`);
  if (kind === 2) return text.replace(/"([a-zA-Z]+)":/, (_, n) => `"\\u00${n.charCodeAt(0).toString(16)}${n.slice(1)}":`);
  if (kind === 3) return text.replace(/^\{/, () => `{"ext:deep":${"[".repeat(60 + below(8))}${"]".repeat(60 + below(8))},`);
  if (kind === 4) return text.replace(/^\{/, () => `{"ext:s":"${pick(["\\ud800", "\\udc00x", "\\udc00\\udc00", "\\ud800\\ud800", "\\ud800\\u0041", "\\ud83d\\ude00", "\\u0000", "\\u00g0", "\\x", "\t", "\u007f", "\\u001f"])}",`);
  if (kind === 5) return pick(["\ufeff", " ", "\n\t\r", "\u00a0", "\f", "//\n"]) + text;
  if (kind === 6) return text + pick([" ", "\n", "{}", ",", "\0", "x"]);
  if (kind === 7) return text.replace(/^\{/, () => `{"ext:${pick(["a", "type", "\\u0061"])}":1,"ext:a":2,`);
  if (kind === 8) return text.replaceAll(":", pick([" : ", ":\n", ":\t"]));
  return text;
}

function changeBytes(bytes) {
  const copy = bytes.slice();
  if (below(3) === 0) return copy.subarray(0, below(copy.length));
  for (let i = below(3); i >= 0; i--) copy[below(copy.length)] = below(4) ? below(256) : pick([0x80, 0xc0, 0xed, 0xf5, 0xff, 0x22, 0x5c]);
  return copy;
}

// ---- subjects, and envelopes ----

const subject = maker(below);

/** Nothing but subjects, so that a verdict hangs on them alone: one in most, since one that is wrong hides the others. */
function eventOfSubjects() {
  const time = { eventTime: "2026-03-01T08:00:00Z", eventTimeZoneOffset: "+00:00" }, one = subject();
  return pick([
    () => ({ type: "ObjectEvent", action: "ADD", ...time, epcList: [one] }),
    () => ({ type: "ObjectEvent", action: "ADD", ...time, quantityList: [{ epcClass: one }, { epcClass: one }] }),
    () => ({ type: "AggregationEvent", action: "ADD", ...time, parentID: one, childEPCs: [subject(), one] }),
    () => ({ type: "TransactionEvent", action: "DELETE", ...time, bizTransactionList: [{ bizTransaction: one }] }),
    () => ({ type: "TransformationEvent", ...time, transformationID: one, outputQuantityList: [{ epcClass: "a:b" }] }),
  ])();
}

const ENVELOPE = 6;

/** Right in most, or with one number too far; then bytes left off or changed. */
function envelope() {
  const points = pick([0, 0, 1, 3, 999, 1000]), rest = below(64), out = Buffer.alloc(55 + 4 * points + rest, 7);
  const parts = pick([1, 1, 2, 3, 65535]), offset = pick([0, 10]);
  out.writeUInt8(below(20) ? 1 : below(256), 0);
  out.writeUInt16BE(below(12) ? below(parts) : parts, 1);
  out.writeUInt16BE(below(20) ? parts : 0, 3);
  out.writeBigUInt64BE(pick([10n, 10n, 1n << 63n, (1n << 64n) - 1n]), 37);
  out.writeBigUInt64BE(below(12) ? BigInt(offset) : 11n, 45);
  out.writeUInt16BE(below(20) ? points : points + 1, 53);
  for (let i = 0, at = 0; i < points; i++) {
    at = points < 10 && below(12) ? at + below(rest / 2 + 1) : at;
    out.writeUInt32BE(below(20 * points) ? Math.min(at, rest) : pick([rest + 1, 0, 2 ** 32 - 1]), 55 + 4 * i);
  }
  return below(6) ? out : out.subarray(0, 1 + below(out.length));
}

// ---- both readers ----

const child = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

const sent = (items) => child.stdin.write(items.map(([format, bytes]) => Buffer.concat([Buffer.of(format), bytes]).toString("base64") + "\n").join(""));

async function answer() {
  const { value, done } = await lines.next();
  if (done) throw new Error("the other reader ended");
  return value;
}

const inOrder = (list) => [...new Set(list)].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

function here(format, bytes) {
  const item = new Uint8Array(17 + bytes.length);
  item[0] = format;
  item.set(bytes, 17);
  try {
    return ["yes", ...inOrder(itemSubjects(item))].join(" ");
  } catch (e) {
    if (e instanceof Fault) return `no ${e.message}`;
    throw e;
  }
}

let count = 0, accepted = 0, differing = 0;

const EVENT = 2, MAX_CONTENT = 65536 - 17; // an item that is larger is refused before anybody reads what is in it

const met = { each: 0, changed: 0, subjects: 0, envelopes: 0 }; // how many items both read, by where they come from

function differ(a, b, format, bytes) {
  if (differing++ < 10) console.log(`${a.slice(0, 400)} there, ${b.slice(0, 400)} here, of format ${format}: ${Buffer.from(bytes).toString("base64").slice(0, 4000)}`);
}

/** Items as [format, bytes, from]: one answer each, asked for together, since a turn to the other process takes longest. */
async function compare(items) {
  const some = items.filter(([, bytes]) => bytes.length > 0 && bytes.length <= MAX_CONTENT);
  sent(some);
  for (const [format, bytes, from] of some) {
    const a = await answer(), b = here(format, bytes);
    count++;
    accepted += a.startsWith("yes");
    if (a === b) met[from] += a.startsWith("yes");
    else if (!(a.startsWith("no ") && b.startsWith("no "))) differ(a, b, format, bytes);
  }
}

const utf8 = (text) => new TextEncoder().encode(text);
const item = (event, from = "each") => [EVENT, utf8(JSON.stringify(event)), from];

function changed() {
  let event = pick(seeds);
  for (let i = below(3); i >= 0; i--) event = change(event, seeds);
  const whole = JSON.stringify(event, null, pick([0, 0, 1])), bytes = utf8(below(4) === 0 ? changeText(whole) : whole);
  return [EVENT, below(6) === 0 ? changeBytes(bytes) : bytes, "changed"];
}

function* inTurn() {
  for (const [i, event] of own.entries()) yield* changesInTurn(event, new Set(i ? Object.keys(common) : []));
  yield* rulesInTurn();
  yield* wordsInTurn(new URL("../../../node/formats/vocabulary.c", import.meta.url), `${source}/src/vocabulary.mjs`);
}

const seeds = [...own, ...own, ...samples];
await compare([...own, ...samples].map((e) => item(e)));
const [whole, good] = [count, accepted];
if (good < own.length) console.log(`only ${good} of ${whole} unchanged events are accepted`);
let batch = [];
for (const event of inTurn()) if (batch.push(item(event)) === 64) await compare(batch.splice(0));
await compare(batch);
const fixed = count, end = Date.now() + 1000 * Number(seconds);
while (Date.now() < end && differing < 10) {
  const made = Array.from({ length: 64 }, (_, i) => (i < 24 ? item(eventOfSubjects(), "subjects") : i < 32 ? [ENVELOPE, envelope(), "envelopes"] : changed()));
  await compare(made);
}
child.stdin.end();
console.log(`${own.length} events of every field and ${samples.length} samples: ${good} accepted; ${fixed - whole} of each field, rule and word in turn; seed ${seed}: ${count - fixed} made items; accepted ${JSON.stringify(met)}; ${differing} differ`);
process.exit(differing === 0 && good >= own.length && Object.values(met).every((n) => n > 0) && count - whole > accepted - good && (!existsSync(data ?? "") || samples.length > 100) ? 0 : 1);
