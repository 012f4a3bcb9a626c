// What the report tells, collected from a dossier: who the keys belong to, when blocks were made, events and readings.
// Nothing here verifies, and an item that is no event by the schema is shown as far as it reads.
import { Fault, hex, latin } from "./bytes.mjs";
import { timeMs } from "./epcis.mjs";
import { memberId } from "./genesis.mjs";
import { parseValue } from "./json.mjs";
import { keyId } from "./keys.mjs";
import { CAPTURE, isErased } from "./statement.mjs";

export const MAX_SERIES = 24;
const EPCIS = 2, SEALED = 5, ENVELOPE = 6, VALUE_LIMIT = 1e6, NUMBER_MAX = 64;
const NOBODY = "00".repeat(32);

/** The member of an object, or undefined. */
export const get = (value, name) => (value instanceof Map ? value.get(name) : undefined);
export const children = (value) => (Array.isArray(value) ? value : value instanceof Map ? [...value.values()] : []);

const isTerm = (value, word) => typeof value === "string" && value.endsWith(word) && (value.length === word.length || ":-/".includes(value[value.length - word.length - 1]));

function numberOf(value) {
  if (value?.number === undefined || value.number.length >= NUMBER_MAX) return null;
  const n = Number(value.number);
  return Math.abs(n) < VALUE_LIMIT ? n : null;
}

const timeOf = (value) => (typeof value === "string" ? timeMs(value) : null);

/** Temperatures with one value, and whether the event says anything else. */
function temperatures(root, eventMs) {
  const list = get(root, "sensorElementList"), readings = [];
  let other = children(list).length === 0;
  for (const element of children(list)) {
    const meta = get(element, "sensorMetadata");
    for (const r of children(get(element, "sensorReport"))) {
      const alarm = get(r, "exception") !== undefined, value = numberOf(get(r, "value"));
      other ||= alarm || get(r, "booleanValue") !== undefined;
      if (!isTerm(get(r, "type"), "Temperature") || value === null) continue;
      const ms = timeOf(get(r, "time")) ?? timeOf(get(meta, "time")) ?? eventMs;
      const device = get(r, "deviceID"), unit = get(r, "uom");
      readings.push({ ms, value, alarm, device: device !== undefined ? device : get(meta, "deviceID"), unit: typeof unit === "string" ? unit : "CEL" });
    }
  }
  return { other, readings };
}

/** One item of a batch: its format, and of an event that reads root, ms, its readings and whether these are all it says. */
export function openItem(item) {
  const event = { format: item[0], root: undefined };
  if (item[0] !== EPCIS) return event;
  try {
    event.root = parseValue(item.subarray(17), 64);
  } catch (e) {
    if (e instanceof Fault) return event;
    throw e;
  }
  event.ms = timeOf(get(event.root, "eventTime")) ?? 0;
  const { other, readings } = temperatures(event.root, event.ms);
  return Object.assign(event, { readings, isReading: !other && isTerm(get(event.root, "bizStep"), "sensor_reporting") });
}

const UNITS = { FAH: "&#176;F", KEL: "K" };

class Facts {
  constructor(v) {
    Object.assign(this, { dossier: v.dossier, genesis: v.genesis, statements: v.statements, names: new Map(), keys: new Map(), series: [] });
    Object.assign(this, { events: 0, readings: 0, erased: 0, sealed: 0, unreadable: 0, firstMs: 0, lastMs: 0 });
    for (const m of v.genesis.members) {
      this.addName(m.id, m.name);
      this.addKey(m.key, hex(m.id), CAPTURE, 0n);
    }
    for (const { s, index } of v.statements) if (s) this.take(s, index);
  }

  addName(id, name) {
    if (!this.names.has(hex(id))) this.names.set(hex(id), name);
  }

  addKey(key, owner, purpose, from) {
    const id = keyId(key);
    if (!this.keys.has(hex(id))) this.keys.set(hex(id), { id, owner, purpose, from, until: 0n, signed: 0 });
  }

  key(id) {
    return this.keys.get(hex(id));
  }

  nameOf(owner) {
    return this.names.get(owner) ?? "";
  }

  take(s, index) {
    const signer = this.key(s.keyId);
    if (signer) signer.signed++;
    if (s.kind === "registry") this.takeRegistry(s.payload, signer?.owner ?? NOBODY, index);
    else if (s.kind === "batch") for (const item of s.items) this.takeItem(item, s);
  }

  takeRegistry(r, signer, index) {
    const end = (id) => {
      const k = this.key(id);
      if (k && k.until === 0n) k.until = index;
    };
    if (r.op === "register") {
      this.addKey(r.newKey.key, signer, r.newKey.purpose, index);
    } else if (r.op === "rotate") {
      const owner = this.key(r.keyId)?.owner ?? signer;
      end(r.keyId);
      this.addKey(r.newKey.key, owner, r.newKey.purpose, index);
    } else if (r.op === "revoke") {
      end(r.keyId);
    } else if (r.op === "member") {
      const name = latin(r.member.name), id = memberId(name);
      this.addName(id, name);
      this.addKey(r.newKey.key, hex(id), r.newKey.purpose, index);
    }
  }

  takeItem(item, s) {
    if (isErased(item)) return this.erased++;
    const e = openItem(item);
    this.sealed += e.format === SEALED;
    this.unreadable += e.root === undefined && e.format !== SEALED && e.format !== ENVELOPE;
    if (e.root === undefined) return;
    this.events++;
    this.readings += e.isReading;
    this.firstMs = this.events === 1 ? e.ms : Math.min(this.firstMs, e.ms);
    this.lastMs = this.events === 1 ? e.ms : Math.max(this.lastMs, e.ms);
    for (const r of e.readings) this.addReading(r, typeof r.device === "string" ? r.device : hex(s.keyId).slice(0, 16));
  }

  addReading(r, device) {
    const unit = UNITS[r.unit] ?? "&#176;C";
    let series = this.series.find((x) => x.device === device && x.unit === unit);
    if (!series && this.series.length === MAX_SERIES) return; // the report says that there are more
    if (!series) this.series.push((series = { device, unit, readings: [] }));
    series.readings.push(r);
  }

  /** Time of the block of a statement, as leaves have it; 0: no leaf of it is here. */
  recordedMs(index) {
    for (const { leaves } of this.dossier.subjects) {
      for (let low = 0, high = leaves.length; low < high; ) {
        const middle = low + ((high - low) >> 1), at = leaves[middle].index;
        if (at === index) return leaves[middle].timeMs;
        if (at < index) low = middle + 1;
        else high = middle;
      }
    }
    return 0n;
  }
}

export const collect = (v) => new Facts(v);
