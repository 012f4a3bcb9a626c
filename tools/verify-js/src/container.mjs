// The ZIP of a dossier and its manifest: exactly the files that the manifest names, in order, each with its digest.
import { inflateSync } from "fflate";
import { Fault, fail, hex, latin, sha256, unhex } from "./bytes.mjs";
import { parseJson } from "./json.mjs";

const MAX_BYTES = 2 ** 30, MAX_FILES = 4000000, SUBJECT_MAX = 2048, PURPOSE_MAX = 200, MAX_ITEMS = 1000n;
const BASIC = /^(manifest\.json|genesis\.json|checkpoint\.bin|subjects\/[0-9a-f]{64}\.bin|statements\/[0-9]{20}\.bin|epochs\/[0-9]{20}\.bin)$/;
const PART = /^(checkpoint\.note|receipts\/[0-9]{20}\.cbor|tlog\/[0-9]{20}\.txt|consistency\/[0-9]{20}\.bin|tokens\/[0-9]{20}-[0-9]\.tst|report\.html|README\.txt|verify\.html)$/;
const U64 = 1n << 64n;

/** Number in a file's name, or null where it exceeds 64 bits. */
export function numberOf(name) {
  const v = BigInt(/[0-9]{20}/.exec(name)[0]);
  return v < U64 ? v : null;
}

const numbered = (name) => /\/[0-9]{20}[.-]/.test(name);
const isPart = (name) => PART.test(name) && !(numbered(name) && numberOf(name) === null);

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

function crc32(bytes) {
  let c = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) c = table[(c ^ bytes[i]) & 0xff] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** Where the directory is: its offset, its size and how many files. Only one end, at the end (APPNOTE 4.3.16). */
function findDirectory(view) {
  const n = view.byteLength, ends = [];
  for (let at = n - 22; at >= Math.max(0, n - 22 - 0xffff); at--)
    if (view.getUint32(at) === 0x504b0506 && view.getUint16(at + 20, true) === n - 22 - at) ends.push(at);
  if (ends.length !== 1) fail(ends.length ? "it has more than one end" : "not a ZIP");
  const end = ends[0], d = { count: view.getUint16(end + 10, true), size: view.getUint32(end + 12, true), offset: view.getUint32(end + 16, true), end };
  if (d.count === 0xffff || d.size === 0xffffffff || d.offset === 0xffffffff) return find64(view, end);
  if (view.getUint16(end + 4, true) || view.getUint16(end + 6, true) || view.getUint16(end + 8, true) !== d.count) fail("a ZIP in several pieces");
  return d;
}

function find64(view, end) {
  if (end < 76 || view.getUint32(end - 20) !== 0x504b0607) fail("a directory of ZIP64 is missing");
  const at = Number(view.getBigUint64(end - 12, true));
  if (at > end - 76 || view.getUint32(at) !== 0x504b0606) fail("a directory of ZIP64 is missing");
  const number = (from) => Number(view.getBigUint64(at + from, true));
  return { count: number(32), size: number(40), offset: number(48), end: at };
}

function sizes(view, at, name, extra) {
  const found = { packed: view.getUint32(at + 20, true), size: view.getUint32(at + 24, true), local: view.getUint32(at + 42, true) };
  if (found.packed === 0xffffffff || found.size === 0xffffffff || found.local === 0xffffffff || extra > 0xffff) fail(`${name}: too large`);
  return found;
}

/** Of one file, at its content and in the directory: where a descriptor follows the content, the first may hold zeros. */
function headersAgree(view, local, central) {
  const same = (n, at, read) => view[read](local + at, true) === view[read](central + at + 2, true) || n;
  const descriptor = view.getUint16(local + 6, true) & 8;
  const number = (at) => same(descriptor && view.getUint32(local + at, true) === 0, at, "getUint32");
  const older = view.getUint16(local + 4, true) <= view.getUint16(central + 6, true);
  return older && same(false, 8, "getUint16") && same(false, 10, "getUint32") && number(14) && number(18) && number(22);
}

function unpackOne(bytes, view, entry) {
  const at = entry.local;
  if (at + 30 > bytes.length || view.getUint32(at) !== 0x504b0304) fail(`${entry.name}: its local header is missing`);
  const nameLength = view.getUint16(at + 26, true), from = at + 30 + nameLength + view.getUint16(at + 28, true);
  const local = latin(bytes.subarray(at + 30, at + 30 + nameLength));
  if (local !== entry.name || !headersAgree(view, at, entry.at) || from + entry.packed > entry.limit) fail(`${entry.name}: its two headers differ`);
  const packed = bytes.subarray(from, from + entry.packed);
  let out = packed;
  if (entry.method === 8) {
    if (entry.size > packed.length * 1040 + 64) fail(`${entry.name}: does not unpack to the size it claims`);
    try {
      out = inflateSync(packed, { out: new Uint8Array(entry.size + 1) });
    } catch (e) {
      fail(`${entry.name}: is not deflated: ${e.message}`);
    }
  }
  if (out.length !== entry.size || crc32(out) !== entry.crc) fail(`${entry.name}: does not unpack to what it claims`);
  return out;
}

function listFiles(view, bytes) {
  const d = findDirectory(view), entries = [];
  let at = d.offset, budget = MAX_BYTES;
  if (d.count < 1 || d.count > MAX_FILES || d.offset + d.size > d.end) fail("an impossible directory");
  for (let i = 0; i < d.count; i++) {
    if (at + 46 > d.offset + d.size || view.getUint32(at) !== 0x504b0102) fail("its directory is cut");
    const n = view.getUint16(at + 28, true), extra = view.getUint16(at + 30, true), comment = view.getUint16(at + 32, true);
    const name = latin(bytes.subarray(at + 46, at + 46 + n));
    if (!BASIC.test(name) && !isPart(name)) fail(`the entry "${name.slice(0, 60)}" does not belong into a dossier`);
    const method = view.getUint16(at + 10, true), flags = view.getUint16(at + 8, true);
    if ((method !== 0 && method !== 8) || flags & 1) fail(`${name}: is neither stored nor deflated`);
    const e = { name, method, at, limit: d.offset, crc: view.getUint32(at + 16, true), ...sizes(view, at, name, extra) };
    if (method === 0 && e.size !== e.packed) fail(`${name}: its sizes differ`);
    if (name === "manifest.json" && e.size > 4 * 2 ** 20 + 1024 * d.count) fail("manifest.json: is too large");
    budget -= e.size;
    if (budget < 0) fail("the files exceed 1 GiB unpacked");
    if (i > 0 && entries[i - 1].name >= name) fail(`${name}: the files are not in ascending order, each once`);
    entries.push(e);
    at += 46 + n + extra + comment;
  }
  if (at !== d.offset + d.size) fail("its directory is longer than its files");
  return entries;
}

// ---- the manifest ----

function members(map, names, what) {
  if (!(map instanceof Map) || map.size !== names.length || !names.every((n) => map.has(n))) fail(`manifest.json: ${what}`);
  return names.map((n) => map.get(n));
}

const isText = (v) => typeof v === "string";

function readPurpose(text, name) {
  if (!isText(text) || new TextEncoder().encode(text).length > PURPOSE_MAX || /[\u0000-\u001f\u007f]/.test(text))
    fail(`manifest.json: ${name} is no plain text of at most ${PURPOSE_MAX} bytes`);
  return text;
}

function readRedactions(list) {
  if (!Array.isArray(list)) fail("manifest.json: the redactions are no list");
  let before = null;
  return list.map((row) => {
    const [index, item] = members(row, ["log_index", "item"], "a redaction does not name an item");
    if (typeof index !== "bigint" || typeof item !== "bigint" || index < 0n || item < 0n || item >= MAX_ITEMS) fail("manifest.json: a redaction does not name an item");
    if (before && (before.index > index || (before.index === index && before.item >= item))) fail("manifest.json: the redactions do not ascend");
    return (before = { index, item });
  });
}

function checkFiles(list, files) {
  const others = [...files].filter(([name]) => name !== "manifest.json");
  if (!Array.isArray(list) || list.length !== others.length) fail("manifest.json: it does not list the files that are there");
  others.forEach(([name, bytes], i) => {
    const [named, size, sha] = members(list[i], ["name", "size", "sha256"], "a row has other members");
    if (named !== name) fail(`${name}: is not listed in its place`);
    if (size !== BigInt(bytes.length) || sha !== hex(sha256(bytes))) fail(`${name}: was changed after the manifest was written`);
  });
}

const FIRST = ["format", "kind", "subject", "tag", "checkpoint", "files"];
const SECOND = [...FIRST, "legal_basis", "case_number", "redactions"];

function readManifest(files) {
  if (!files.has("manifest.json")) fail("manifest.json: is missing");
  const root = parseJson(files.get("manifest.json"));
  const format = root instanceof Map ? root.get("format") : null;
  const version = format === "carnet-audit-1" ? 1 : format === "carnet-audit-2" ? 2 : fail("manifest.json: the format is not known");
  const [, kind, subject, tag, checkpoint, list, basis = "", number = "", redactions = []] = members(root, version === 1 ? FIRST : SECOND, "is missing or has other members");
  const tagBytes = unhex(tag, 32);
  if (!isText(subject) || new TextEncoder().encode(subject).length >= SUBJECT_MAX || !tagBytes || typeof checkpoint !== "bigint" || checkpoint < 0n)
    fail("manifest.json: its subject, tag or checkpoint is out of range");
  if (kind !== "subject" && kind !== "statement") fail("manifest.json: the kind is not known");
  for (const name of files.keys()) if (version === 1 && !BASIC.test(name)) fail(`${name}: does not belong into a dossier of version 1`);
  const manifest = { version, kind, subject, tag: tagBytes, checkpoint, legalBasis: readPurpose(basis, "legal_basis"), caseNumber: readPurpose(number, "case_number"), redactions: readRedactions(redactions) };
  checkFiles(list, files);
  return manifest;
}

/** {manifest, files: Map of name to bytes in ascending order}. */
export function openContainer(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 22) fail("not a ZIP");
  const files = new Map();
  try {
    for (const entry of listFiles(view, bytes)) files.set(entry.name, unpackOne(bytes, view, entry));
  } catch (e) {
    if (e instanceof RangeError) throw new Fault("the ZIP is cut"); // an offset that points outside of it
    throw e;
  }
  return { manifest: readManifest(files), files };
}
