// One canonical URI per thing (formats-epcis.md, Subjects), and the subjects that an item names by itself.
import { Reader, base64, fail, hex, utf8 } from "./bytes.mjs";
import { canonicalGs1 } from "./gs1.mjs";
import { memberId, validName } from "./genesis.mjs";
import { parseJson } from "./json.mjs";

const SUBJECT_MAX = 1023;

const toBytes = (text) => String.fromCharCode(...utf8(text));
const toText = (bytes) => new TextDecoder().decode(Uint8Array.from(bytes, (c) => c.charCodeAt(0)));

const upper = (text) => text.replace(/[a-z]/g, (c) => c.toUpperCase());
const digestName = (prefix, text) => (/^[0-9a-fA-F]{64}$/.test(text) ? prefix + text.toLowerCase() : null);

function member(text) {
  if (/^[0-9a-f]{64}$/.test(text)) return "urn:carnet:member:" + text;
  return validName(text) ? "urn:carnet:member:" + hex(memberId(text)) : null;
}

/** ni:///sha-256;... as hexadecimal or base64url (RFC 6920); undefined: it is something else. */
function namedInformation(uri) {
  const m = /^ni:\/\/[^/]*\/sha-256;([^]*)$/i.exec(uri);
  if (!m) return undefined;
  if (/^[0-9a-fA-F]{64}$/.test(m[1])) return "urn:carnet:document:" + m[1].toLowerCase();
  if (!/^[A-Za-z0-9_-]{43}$/.test(m[1])) return undefined;
  const standard = m[1].replace(/-/g, "+").replace(/_/g, "/") + "=";
  const bytes = Uint8Array.from(atob(standard), (c) => c.charCodeAt(0));
  return base64(bytes) === standard ? "urn:carnet:document:" + hex(bytes) : undefined;
}

function canonicalBytes(uri) {
  const at = (prefix) => (uri.length > prefix.length && uri.slice(0, prefix.length).toLowerCase() === prefix ? uri.slice(prefix.length) : null);
  let rest;
  if ((rest = at("urn:epc:id:bic:")) !== null) return "urn:epc:id:bic:" + upper(rest);
  if ((rest = at("urn:carnet:ucr:")) !== null) return "urn:carnet:ucr:" + upper(rest);
  if ((rest = at("urn:carnet:key:")) !== null) return digestName("urn:carnet:key:", rest);
  if ((rest = at("urn:carnet:member:")) !== null) return member(rest);
  if (["urn:carnet:governance", "urn:carnet:erasures"].includes(uri.toLowerCase())) return uri.toLowerCase();
  if ((rest = at("urn:carnet:document:")) !== null) return digestName("urn:carnet:document:", rest);
  return canonicalGs1(uri) ?? namedInformation(uri) ?? uri;
}

/** The canonical URI, or null when this is no subject. */
export function canonicalSubject(text) {
  const uri = toBytes(text);
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:[^]/.test(uri) || /[\u0000-\u0020\u007f<>"{}|\\^`]/.test(uri)) return null;
  const canonical = canonicalBytes(uri);
  return canonical !== null && canonical.length <= SUBJECT_MAX ? toText(canonical) : null;
}

// ---- items ----

const EPCIS = 2, ENVELOPE = 6;
const EPCS = ["epcList", "childEPCs", "inputEPCList", "outputEPCList"];
const QUANTITIES = ["quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"];
const TYPES = ["ObjectEvent", "AggregationEvent", "TransactionEvent", "TransformationEvent", "AssociationEvent"];

function ofEvent(event) {
  const found = [], add = (v) => typeof v === "string" && found.push(canonicalSubject(v) ?? fail(`"${v.slice(0, 80)}" is no subject`));
  const list = (name) => (Array.isArray(event.get(name)) ? event.get(name) : []);
  const member = (v, name) => (v instanceof Map ? v.get(name) : undefined);
  if (!TYPES.includes(event.get("type"))) fail("it is no EPCIS event");
  for (const name of EPCS) list(name).forEach(add);
  for (const name of QUANTITIES) list(name).forEach((q) => add(member(q, "epcClass")));
  list("bizTransactionList").forEach((t) => add(member(t, "bizTransaction")));
  add(event.get("parentID"));
  add(event.get("transformationID"));
  return found;
}

function ofEnvelope(content) {
  const r = new Reader(content, "the envelope is shorter than it says");
  if (r.u8() !== 1) fail("the envelope's version is not known");
  const part = r.u16(), parts = r.u16(), document = r.take(32), size = r.u64(), offset = r.u64(), n = r.u16();
  if (n >= 1000 || part >= parts || offset > size) fail("the envelope is impossible");
  const points = Array.from({ length: n }, () => r.u32());
  if (points.some((p, i) => p > r.left || (i > 0 && p < points[i - 1]))) fail("insertion points must ascend within the bytes");
  return ["urn:carnet:document:" + hex(document)];
}

/** Subjects that the item itself names, or null when it is not readable here. */
export function itemSubjects(item) {
  const format = item[0], content = item.subarray(17);
  if (format === ENVELOPE) return ofEnvelope(content);
  if (format !== EPCIS) return null;
  const event = parseJson(content, 64);
  return event instanceof Map ? ofEvent(event) : fail("an event is a JSON object");
}
