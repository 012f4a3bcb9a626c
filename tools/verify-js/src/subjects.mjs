// One canonical URI per thing (formats-epcis.md, Subjects).
import { base64, hex, latin, utf8 } from "./bytes.mjs";
import { canonicalGs1 } from "./gs1.mjs";
import { memberId, validName } from "./genesis.mjs";

const SUBJECT_MAX = 1023;

const toBytes = (text) => latin(utf8(text));
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

export const isUri = (text) => /^[A-Za-z][A-Za-z0-9+.-]*:[^]/.test(text) && !/[\u0000-\u0020\u007f<>"{}|\\^`]/.test(text);

/** The canonical URI, or null when this is no subject. */
export function canonicalSubject(text) {
  const uri = toBytes(text);
  if (!isUri(text)) return null;
  const canonical = canonicalBytes(uri);
  return canonical !== null && canonical.length <= SUBJECT_MAX ? toText(canonical) : null;
}
