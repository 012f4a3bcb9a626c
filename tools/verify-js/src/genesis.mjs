// Genesis: the exact bytes name the network; what they say is held to the same rules as on a node.
import { compare, concat, fail, hex, tagged, unhex, utf8 } from "./bytes.mjs";
import { parseJson } from "./json.mjs";
import { SET_MAX, keyId, keyLength, publicKey, readSet, setDigest } from "./keys.mjs";

const MAX_BYTES = 2 ** 20, MAX_MEMBERS = 1024;
const ROLES = ["exporter", "importer", "bank", "carrier", "forwarder", "terminal", "insurer", "customs", "observer"];
const TYPES = { secp256k1: 1, ed25519: 2, p256: 3 };

export const memberId = (name) => tagged("carnet/member", typeof name === "string" ? utf8(name) : name);
export const validName = (name) => /^[a-z0-9-]{1,64}$/.test(name) && !name.startsWith("-") && !name.endsWith("-");

function only(map, names) {
  if (!(map instanceof Map)) fail("a JSON object is missing");
  for (const name of map.keys()) if (!names.includes(name)) fail(`the field "${name.slice(0, 40)}" is not known`);
}

const digits = (map, name, n) => unhex(map.get(name), n) ?? fail(`"${name}" must be ${2 * n} lower-case hexadecimal digits`);

function text(map, name, max) {
  const v = map.get(name), n = typeof v === "string" ? utf8(v).length : 0;
  return n >= 1 && n <= max ? v : fail(`"${name}" must be a string of 1 to ${max} bytes`);
}

function number(map, name, min, max) {
  const v = map.get(name);
  return typeof v === "bigint" && v >= min && v <= max ? v : fail(`"${name}" must be a whole number from ${min} to ${max}`);
}

function readRoles(list) {
  if (!Array.isArray(list) || list.length === 0 || !list.every((r) => ROLES.includes(r))) fail("a member has at least one role, each known");
}

function readMember(json) {
  only(json, ["name", "country", "roles", "registrar", "channel", "capture", "validator"]);
  const name = text(json, "name", 64);
  if (!validName(name)) fail("a name has a-z, 0-9 and - and neither begins nor ends with -");
  if (!/^[A-Z]{2}$/.test(text(json, "country", 2))) fail('"country" must be two letters');
  readRoles(json.get("roles"));
  const registrar = json.get("registrar");
  if (typeof registrar !== "boolean") fail('"registrar" must be true or false');
  digits(json, "channel", 32);
  const capture = json.get("capture");
  only(capture, ["type", "public"]);
  const type = TYPES[text(capture, "type", 15)] ?? fail("the key type is not known");
  const key = publicKey(type, digits(capture, "public", keyLength(type))) ?? fail("the capture key is no point of its curve");
  const member = { name, id: memberId(name), registrar, key, keyId: keyId(key), row: null };
  const v = json.get("validator");
  if (v !== undefined) {
    only(v, ["vote", "evm", "receipt", "cosignature", "log"]);
    member.row = concat(member.id, digits(v, "vote", 33), digits(v, "evm", 20), digits(v, "receipt", 33), digits(v, "cosignature", 32), digits(v, "log", 32));
  }
  return member;
}

function readMembers(list) {
  if (!Array.isArray(list) || list.length < 1 || list.length > MAX_MEMBERS) fail(`"members" must be an array of 1 to ${MAX_MEMBERS}`);
  const seen = new Set(), members = list.map(readMember);
  for (const m of members)
    for (const mark of [m.name, hex(m.keyId)]) seen.has(mark) ? fail("two members share a name or a key") : seen.add(mark);
  return members;
}

function readParameters(json) {
  only(json, ["checkpoint_interval_ms", "heartbeat_ms", "block_bytes", "ballot_threshold"]);
  number(json, "checkpoint_interval_ms", 10n, 3600000n);
  number(json, "heartbeat_ms", 100n, 86400000n);
  number(json, "block_bytes", 262144n, 1048576n);
  return Number(number(json, "ballot_threshold", 1n, BigInt(MAX_MEMBERS)));
}

export const networkId = (bytes) => tagged("carnet/genesis", bytes);

export function readGenesis(bytes) {
  if (bytes.length > MAX_BYTES) fail("it is too large");
  const root = parseJson(bytes);
  only(root, ["version", "name", "origin", "nonce", "subject_salt", "time_ms", "parameters", "members"]);
  number(root, "version", 1n, 1n);
  const name = text(root, "name", 64), origin = text(root, "origin", 127);
  if (!/^[!-~]+$/.test(origin) || origin.includes("+")) fail("an origin is printable ASCII without spaces and +");
  digits(root, "nonce", 32);
  const salt = digits(root, "subject_salt", 32);
  number(root, "time_ms", 1n, 1n << 50n);
  const threshold = readParameters(root.get("parameters"));
  const members = readMembers(root.get("members"));
  const rows = members.filter((m) => m.row).map((m) => m.row);
  if (rows.length > SET_MAX) fail("too many validators");
  const rowBytes = concat(...rows.sort(compare));
  const set = readSet(rowBytes) ?? fail("the validators are not a set");
  return { network: networkId(bytes), name, origin, salt, threshold, members, rows: set, setDigest: setDigest(rowBytes) };
}

/** Tag of a subject by its canonical URI. */
export const tagOf = (genesis, uri) => tagged("carnet/subject", genesis.salt, utf8(uri));
export const keyTag = (genesis, id) => tagOf(genesis, "urn:carnet:key:" + hex(id));
export const memberTag = (genesis, id) => tagOf(genesis, "urn:carnet:member:" + hex(id));
export const documentTag = (genesis, digest) => tagOf(genesis, "urn:carnet:document:" + hex(digest));
export const networkTag = (genesis, id) => tagOf(genesis, "urn:carnet:network:" + hex(id));
export const governanceTag = (genesis) => tagOf(genesis, "urn:carnet:governance");
