// What an item says about itself: the subjects that an event or an envelope names.
import { Reader, fail, hex } from "./bytes.mjs";
import { checkEvent } from "./epcis.mjs";
import { parseValue } from "./json.mjs";
import { canonicalSubject } from "./subjects.mjs";

const EPCIS = 2, ENVELOPE = 6;
const EPCS = ["epcList", "childEPCs", "inputEPCList", "outputEPCList"];
const QUANTITIES = ["quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"];

function ofEvent(event) {
  const found = [], add = (v) => typeof v === "string" && found.push(canonicalSubject(v) ?? fail(`"${v.slice(0, 80)}" is no subject`));
  const list = (name) => (Array.isArray(event.get(name)) ? event.get(name) : []);
  const member = (v, name) => (v instanceof Map ? v.get(name) : undefined);
  checkEvent(event);
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
  const event = parseValue(content, 64);
  return event instanceof Map ? ofEvent(event) : fail("an event is a JSON object");
}
