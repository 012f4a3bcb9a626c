// What an EPCIS 2.0 event must look like (formats-epcis.md): fields and their types, closed word lists, and what each type
// of event needs. JSON as parseValue gives it: objects are Maps, numbers are {number} with their text.
import { fail } from "./bytes.mjs";
import { isUri } from "./subjects.mjs";
import { ALERT, BIZ_STEP, COMPONENT, DISPOSITION, ERROR_REASON, MEASUREMENT, PARTY_TYPE, TRANSACTION_TYPE, standardWord } from "./vocabulary.mjs";

const CONTEXT_MAX = 256;

// ---- time ----

const minutesOf = (h, m) => (m <= 59 && h * 60 + m <= 840 ? h * 60 + m : null);

/** Milliseconds since 1970 of an RFC 3339 date-time with a zone, further decimals rounded half up; or null. */
export function timeMs(text) {
  const m = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))$/.exec(text);
  if (!m) return null;
  const [year, month, day, hour, minute, second] = m.slice(1, 7).map(Number);
  const date = new Date(0), fraction = m[7] ?? "";
  date.setUTCFullYear(year, month - 1, day); // Date.UTC would take year 26 for 1926
  const real = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  const offset = m[8] ? minutesOf(Number(m[9]), Number(m[10])) : 0;
  if (year < 1 || !real || hour > 23 || minute > 59 || second > 59 || offset === null) return null;
  const ms = Number(fraction.slice(0, 3).padEnd(3, "0")) + (fraction[3] >= "5" ? 1 : 0);
  return date.getTime() + ((hour * 60 + minute - (m[8] === "-" ? -offset : offset)) * 60 + second) * 1000 + ms;
}

// ---- scalars ----

const isText = (v) => typeof v === "string";
const text = (v, what) => isText(v) || fail(`${what} must be a string`);
const number = (v, what) => v?.number !== undefined || fail(`${what} must be a number, without quotes`);
const boolean = (v, what) => typeof v === "boolean" || fail(`${what} must be true or false`);
const anything = () => true;
const uri = (v, what) => (isText(v) && isUri(v)) || fail(`${what} must be an absolute URI`);
const digits = (v, what) => (isText(v) && /^[0-9a-fA-F]+$/.test(v)) || fail(`${what} must be hexadecimal digits`);
const unit = (v, what) => (isText(v) && /^[A-Z0-9]{2,3}$/.test(v)) || fail(`${what} must be a unit of UN/CEFACT Recommendation 20`);
const action = (v, what) => ["ADD", "OBSERVE", "DELETE"].includes(v) || fail(`${what} must be ADD, OBSERVE or DELETE`);

function time(v, what) {
  const ms = isText(v) ? timeMs(v) : null;
  if (ms === null) fail(`${what} must be a time stamp with a zone`);
  if (ms < 0) fail(`${what} lies before 1970`);
}

function zone(v, what) {
  const m = isText(v) ? /^[+-]([0-9]{2}):([0-9]{2})$/.exec(v) : null;
  if (!m || minutesOf(Number(m[1]), Number(m[2])) === null) fail(`${what} must be an offset such as +02:00, at most 14:00`);
}

const term = (list) => (v, what) => {
  text(v, what);
  const word = standardWord(list, v);
  if (word === undefined) uri(v, what);
  else if (word === null) fail(`${what}: "${v.slice(0, 60)}" is no word of the standard`);
};

/** Bare words of drafts of the standard are in use: what has the form of one passes. */
function measurement(v, what) {
  if (!isText(v) || !/^[A-Za-z_]{1,64}$/.test(v)) term(MEASUREMENT)(v, what);
}

// ---- containers ----

const sizeOf = (v) => (v instanceof Map ? v.size : Array.isArray(v) ? v.length : 0);

const each = (check) => (v, what) => (Array.isArray(v) ? v.forEach((m, i) => check(m, `${what}/${i}`)) : fail(`${what} must be an array`));

const different = (check) => (v, what) => {
  each(check)(v, what);
  if (new Set(v).size !== v.length) fail(`${what} names something twice`);
};

const filledList = (check) => (v, what) => {
  check(v, what);
  if (v.length === 0) fail(`${what} must not be empty`);
};

function certification(v, what) {
  if (Array.isArray(v)) each(uri)(v, what);
  else uri(v, what);
}

/** closed: no other members; otherwise others must be URIs (extensions have a prefix). */
const object = (fields, needed = [], closed = false) => {
  const known = new Map(Object.entries(fields));
  return (v, what) => {
    if (!(v instanceof Map)) fail(`${what} must be an object`);
    for (const [name, value] of v) {
      const check = known.get(name);
      if (check) check(value, `${what}/${name}`);
      else if (closed || !isUri(name)) fail(`${what}/${name.slice(0, 60)} is no field of the standard here`);
    }
    for (const name of needed) if (!v.has(name)) fail(`${what}/${name} is missing`);
  };
};
const closed = (fields, needed) => object(fields, needed, true);

const quantities = each(closed({ epcClass: uri, quantity: number, uom: unit }, ["epcClass"]));
const place = object({ id: uri }, ["id"]);
const transactions = each(closed({ type: term(TRANSACTION_TYPE), bizTransaction: uri }, ["bizTransaction"]));
const sources = each(closed({ type: term(PARTY_TYPE), source: uri }, ["type", "source"]));
const destinations = each(closed({ type: term(PARTY_TYPE), destination: uri }, ["type", "destination"]));
const epcs = different(uri);
const dispositions = filledList(different(term(DISPOSITION)));
const errorDeclaration = object({ declarationTime: time, reason: term(ERROR_REASON), correctiveEventIDs: each(uri) }, ["declarationTime"]);

function persistentDisposition(v, what) {
  closed({ set: dispositions, unset: dispositions }, [])(v, what);
  if (v.size === 0) fail(`${what} needs "set" or "unset"`);
}

// ---- sensor data ----

const DEVICE = { deviceID: uri, deviceMetadata: uri, rawData: uri, dataProcessingMethod: uri, bizRules: uri };
const reportFields = object({
  type: measurement, exception: term(ALERT), ...DEVICE, time, microorganism: uri, chemicalSubstance: uri,
  coordinateReferenceSystem: uri, value: number, component: term(COMPONENT), stringValue: text, booleanValue: boolean,
  hexBinaryValue: digits, uriValue: uri, minValue: number, maxValue: number, meanValue: number, sDev: number,
  percRank: number, percValue: number, uom: text,
});

/** An alert alone says what happened without measuring anything. */
function report(v, what) {
  reportFields(v, what);
  if (!v.has("exception") && !v.has("type")) fail(`${what}/type is missing`);
}

const sensors = each(object({ sensorMetadata: object({ time, startTime: time, endTime: time, ...DEVICE }), sensorReport: filledList(each(report)) }, ["sensorReport"]));

function context(v, what) {
  const one = (c, at) => c instanceof Map || (isText(c) && isUri(c)) || fail(`${at}: a JSON-LD context is a URI or an object`);
  if (Array.isArray(v)) v.forEach((c, i) => one(c, `${what}/${i}`));
  else one(v, what);
  const entries = sizeOf(v) + (Array.isArray(v) ? v.reduce((n, c) => n + sizeOf(c), 0) : 0);
  if (entries > CONTEXT_MAX) fail(`${what} has ${entries} entries; at most ${CONTEXT_MAX} are read`);
}

// ---- the event ----

const OBJECT = "ObjectEvent", AGGREGATION = "AggregationEvent", TRANSACTION = "TransactionEvent";
const TRANSFORMATION = "TransformationEvent", ASSOCIATION = "AssociationEvent";
const ALL = [OBJECT, AGGREGATION, TRANSACTION, TRANSFORMATION, ASSOCIATION];
const FAMILY = [AGGREGATION, ASSOCIATION];

/** Which check, and which types of event have the field. */
const FIELDS = new Map(Object.entries({
  "@context": [context, ALL],
  type: [text, ALL],
  eventTime: [time, ALL],
  recordTime: [time, ALL],
  eventTimeZoneOffset: [zone, ALL],
  eventID: [uri, ALL],
  certificationInfo: [certification, ALL],
  errorDeclaration: [errorDeclaration, ALL],
  epcList: [epcs, [OBJECT, TRANSACTION]],
  quantityList: [quantities, [OBJECT, TRANSACTION]],
  parentID: [uri, [...FAMILY, TRANSACTION]],
  childEPCs: [each(uri), FAMILY],
  childQuantityList: [quantities, FAMILY],
  inputEPCList: [epcs, [TRANSFORMATION]],
  inputQuantityList: [quantities, [TRANSFORMATION]],
  outputEPCList: [epcs, [TRANSFORMATION]],
  outputQuantityList: [quantities, [TRANSFORMATION]],
  transformationID: [uri, [TRANSFORMATION]],
  action: [action, ALL.filter((t) => t !== TRANSFORMATION)],
  bizStep: [term(BIZ_STEP), ALL],
  disposition: [term(DISPOSITION), ALL],
  persistentDisposition: [persistentDisposition, [OBJECT, TRANSFORMATION]],
  readPoint: [place, ALL],
  bizLocation: [place, ALL],
  bizTransactionList: [transactions, ALL],
  sourceList: [sources, ALL],
  destinationList: [destinations, ALL],
  sensorElementList: [sensors, ALL],
  ilmd: [object({}), [OBJECT, TRANSFORMATION]],
  "rdfs:comment": [anything, ALL],
}));

/** What each type needs, as far as single fields do not say it. */
const RULES = {
  [OBJECT](e, filled, does) {
    if (e.has("ilmd") && does !== "ADD") fail("/ilmd: instance and lot data stand only in an event with action ADD");
    if (!e.has("epcList") && !filled("quantityList") && !(filled("sensorElementList") && e.has("readPoint")))
      fail("an ObjectEvent names its objects: epcList or quantityList (or sensorElementList with a readPoint)");
  },
  [AGGREGATION](e, filled, does) {
    if (does !== "OBSERVE" && !e.has("parentID")) fail("/parentID is missing");
    if (!filled("childEPCs") && !filled("childQuantityList") && does !== "DELETE") fail("childEPCs or childQuantityList is missing");
  },
  [ASSOCIATION](e, filled, does) {
    if (!e.has("parentID")) fail("/parentID is missing");
    RULES[AGGREGATION](e, filled, does);
  },
  [TRANSACTION](e, filled, does) {
    if (!filled("bizTransactionList")) fail("/bizTransactionList is missing or empty");
    if (!e.has("epcList") && !filled("quantityList") && does !== "DELETE") fail("epcList or quantityList is missing");
  },
  [TRANSFORMATION](e, filled) {
    const into = filled("inputEPCList") || filled("inputQuantityList"), out = filled("outputEPCList") || filled("outputQuantityList");
    if (e.has("transformationID") ? !into && !out : !into || !out) fail("a TransformationEvent has inputs and outputs");
  },
};

/** Throws what is wrong with it. */
export function checkEvent(event) {
  if (!(event instanceof Map)) fail("an event must be an object");
  const type = event.get("type");
  if (!ALL.includes(type)) fail("it is no event type of EPCIS 2.0");
  for (const [name, value] of event) {
    const [check, types] = FIELDS.get(name) ?? (isUri(name) ? [anything, ALL] : fail(`/${name.slice(0, 60)} is no field of an EPCIS 2.0 event`));
    if (!types.includes(type)) fail(`/${name} is no field of a ${type}`);
    check(value, `/${name}`);
  }
  for (const name of ["eventTime", "eventTimeZoneOffset", ...(type === TRANSFORMATION ? [] : ["action"])]) if (!event.has(name)) fail(`/${name} is missing`);
  RULES[type](event, (name) => sizeOf(event.get(name)) > 0, event.get("action"));
}
