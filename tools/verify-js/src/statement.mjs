// Signed statements: the outer message, the body by its schema (proto/carnet.proto), and the rules of the fields.
import { Reader, compare, equal, fail, hex, latin, leafHash, sha256, tagged } from "./bytes.mjs";
import { decode } from "./protobuf.mjs";
import { ROW, P256, keyId, publicKey, readSet, verify } from "./keys.mjs";
import { rootOf } from "./merkle.mjs";
import { STATEMENT_MAX, ascending } from "./layouts.mjs";
import { validName } from "./genesis.mjs";
import { readForeign } from "./foreign.mjs";

export const CAPTURE = 1;
const MAX_ITEM = 65536, MAX_ITEMS = 1000, MAX_SUBJECTS = 64, MAX_ENTRIES = 4096, MAX_SALVAGED = 1000, ROLES = 0x1ff;
const U64_MAX = (1n << 64n) - 1n;

// ---- schemas ----

const KeyRegister = [[1, "type", "u32"], [2, "purpose", "u32"], [3, "publicKey", "bytes"], [4, "possession", "bytes"]];
const BatchEntry = [[1, "subject", "bytes"], [2, "start", "u32"], [3, "count", "u32"], [4, "firstMs", "u64"], [5, "lastMs", "u64"]];
const EventBatch = [[1, "itemsRoot", "bytes"], [2, "itemCount", "u32"], [3, "entries", BatchEntry, "repeated"]];
const KeyRotate = [[1, "keyId", "bytes"], [2, "key", KeyRegister]];
const KeyRevoke = [[1, "keyId", "bytes"], [2, "lastGood", "u64"], [3, "reason", "u32"]];
const KeyGap = [[1, "keyId", "bytes"], [2, "sequence", "u64"], [3, "previous", "bytes"], [4, "reason", "u32"]];
const KeySalvage = [[1, "keyId", "bytes"], [2, "ids", "bytes", "repeated"]];
const MemberRegister = [[1, "name", "bytes"], [2, "country", "bytes"], [3, "roles", "u32"], [4, "key", KeyRegister]];
const ChannelKey = [[1, "publicKey", "bytes"]];
const RegistryChange = [
  [1, "register", KeyRegister, "oneof"], [2, "rotate", KeyRotate, "oneof"], [3, "revoke", KeyRevoke, "oneof"],
  [4, "gap", KeyGap, "oneof"], [5, "salvage", KeySalvage, "oneof"], [6, "member", MemberRegister, "oneof"],
  [7, "channel", ChannelKey, "oneof"],
];
const Pairing = [[1, "container", "bytes"], [2, "consignment", "bytes"], [3, "startMs", "u64"], [4, "endMs", "u64"]];
const DocumentAnchor = [[1, "digest", "bytes"], [2, "size", "u64"], [3, "kind", "u32"], [4, "subjects", "bytes", "repeated"], [5, "issuedMs", "u64"]];
const ForeignNetwork = [[1, "name", "bytes"], [2, "epoch", "u64"], [3, "set", "bytes"], [4, "height", "u64"], [5, "logSize", "u64"], [6, "withdraw", "u32"]];
const Proposal = [
  [1, "action", "u32"], [2, "member", "bytes"], [3, "row", "bytes"], [4, "possession", "bytes", "repeated"],
  [5, "roles", "u32"], [6, "registrar", "u32"], [7, "foreign", ForeignNetwork],
];
const Ballot = [[1, "proposal", "bytes"], [2, "member", "bytes"], [3, "approve", "u32"]];
const Readiness = [[1, "proposal", "bytes"], [2, "member", "bytes"], [3, "height", "u64"], [4, "block", "bytes"], [5, "signature", "bytes"]];
const ForeignProof = [[1, "proof", "bytes"], [2, "subjects", "bytes", "repeated"]];
const Erasure = [[1, "record", "bytes"], [2, "start", "u32"], [3, "count", "u32"], [4, "reason", "u32"]];
const PurgeAttestation = [[1, "erasure", "bytes"]];
const PAYLOADS = [
  [16, "batch", EventBatch, "oneof"], [17, "registry", RegistryChange, "oneof"], [18, "pairing", Pairing, "oneof"],
  [19, "document", DocumentAnchor, "oneof"], [20, "proposal", Proposal, "oneof"], [21, "ballot", Ballot, "oneof"],
  [22, "readiness", Readiness, "oneof"], [23, "erasure", Erasure, "oneof"], [24, "purge", PurgeAttestation, "oneof"], [25, "foreign", ForeignProof, "oneof"],
];
const StatementBody = [
  [1, "version", "u32"], [2, "network", "bytes"], [3, "keyId", "bytes"], [4, "sequence", "u64"],
  [5, "previous", "bytes"], [6, "createdMs", "u64"], ...PAYLOADS,
];

// ---- rules ----

function need(condition, text) {
  if (!condition) fail(text);
}

const digest = (bytes, name) => need(bytes.length === 32, `${name} must have 32 bytes`);

function checkBatch(b) {
  digest(b.itemsRoot, "items_root");
  need(b.itemCount >= 1 && b.itemCount <= MAX_ITEMS, "a batch has 1 to 1,000 items");
  need(b.entries.length >= 1 && b.entries.length <= MAX_ENTRIES, "a batch has 1 to 4,096 entries");
  const covered = new Uint8Array(b.itemCount);
  let subjects = 0, before = null;
  for (const e of b.entries) {
    digest(e.subject, "a subject");
    const order = before ? compare(before.subject, e.subject) : -1;
    need(order < 0 || (order === 0 && before.start < e.start), "entries must ascend by (subject, start)");
    need(e.start < b.itemCount && e.count >= 1 && e.count <= b.itemCount - e.start, "an entry lies beyond the items");
    need(e.firstMs <= e.lastMs, "first_ms is after last_ms");
    subjects += order < 0;
    covered.fill(1, e.start, e.start + e.count);
    before = e;
  }
  need(subjects <= MAX_SUBJECTS, "more than 64 subjects");
  need(covered.every((c) => c === 1), "an item is covered by no entry");
}

/** Adds newKey {key, id, purpose, possession}. */
function checkNewKey(m, change) {
  need(m !== null, "the new key is missing");
  need(m.type >= 1 && m.type <= P256 && m.purpose >= 1 && m.purpose <= 3 && m.possession.length === 64, "the new key's fields are out of range");
  const key = publicKey(m.type, m.publicKey) ?? fail("the new key is no point of its curve");
  change.newKey = { key, id: keyId(key), purpose: m.purpose, possession: m.possession };
}

function checkRegistry(r) {
  const op = ["register", "rotate", "revoke", "gap", "salvage", "member", "channel"].find((name) => r[name] !== null) ?? fail("no change is given");
  const m = r[op];
  Object.assign(r, { op, change: m, newKey: null, keyId: m.keyId ?? null });
  if (r.keyId) digest(m.keyId, "key_id");
  if (op === "register") checkNewKey(m, r);
  if (op === "rotate") checkNewKey(m.key, r);
  if (op === "revoke") need(m.reason >= 1 && m.reason <= 4, "the reason is not 1 to 4");
  if (op === "gap") {
    digest(m.previous, "previous");
    need(m.reason >= 1 && m.reason <= 3 && m.sequence >= 1n && m.sequence < U64_MAX, "a gap's fields are out of range");
  }
  if (op === "salvage") {
    need(m.ids.length >= 1 && m.ids.length <= MAX_SALVAGED && m.ids.every((id) => id.length === 32), "the list has 1 to 1,000 ids");
    need(new Set(m.ids.map(hex)).size === m.ids.length, "an id is listed twice");
  }
  if (op === "member") {
    need(m.name.length <= 64 && validName(latin(m.name)) && /^[A-Z]{2}$/.test(latin(m.country)), "a member's name or country");
    need(m.roles !== 0 && (m.roles & ~ROLES) === 0, "not a set of known roles");
    checkNewKey(m.key, r);
    need(r.newKey.purpose === CAPTURE, "a member's key is a capture key");
  }
  if (op === "channel") digest(m.publicKey, "the channel key");
}

function checkPairing(p) {
  digest(p.container, "the container");
  digest(p.consignment, "the consignment");
  need(!equal(p.container, p.consignment), "container and consignment are the same");
  need(p.endMs === 0n || p.endMs >= p.startMs, "it ends before it starts");
}

function checkTags(list, max) {
  need(list.length <= max && list.every((t) => t.length === 32) && ascending(list), "the subjects must ascend, each of 32 bytes");
}

function checkDocument(d) {
  digest(d.digest, "the document");
  need(d.kind >= 1 && d.kind <= 6, "the kind is not 1 to 6");
  checkTags(d.subjects, MAX_SUBJECTS - 1);
}

export const JOIN = 1, LEAVE = 2, ROTATE = 3, CHANGE_ROLES = 4, CHANGE_FOREIGN = 5;

function checkForeignNetwork(f) {
  need(f !== null && f.withdraw <= 1, "the foreign network is missing");
  const alone = !f.name.length && !f.epoch && !f.set.length && !f.height && !f.logSize;
  if (f.withdraw) return need(alone, "withdraw is alone");
  need(f.name.length <= 64 && validName(latin(f.name)), "the network's name");
  digest(f.set, "the set");
  need(f.epoch !== 0n && (f.epoch === 1n) === (f.height === 0n) && f.logSize >= 2n, "not a block that begins an epoch");
}

function checkProposal(p) {
  digest(p.member, "the member");
  need(p.action >= JOIN && p.action <= CHANGE_FOREIGN, "the action is not known");
  const withRow = p.action === JOIN || p.action === ROTATE, roles = p.action === CHANGE_ROLES;
  need(withRow || (!p.row.length && !p.possession.length), "a row belongs to join and rotate");
  need(roles || (!p.roles && !p.registrar), "roles belong to the action roles");
  need(!roles || (p.roles !== 0 && (p.roles & ~ROLES) === 0 && p.registrar <= 1), "not a set of known roles");
  if (p.action === CHANGE_FOREIGN) return checkForeignNetwork(p.foreign);
  need(p.foreign === null, "a network belongs to the action foreign");
  if (!withRow) return;
  need(p.row.length === ROW && p.possession.length === 4 && p.possession.every((s) => s.length === 64), "a row with four signatures");
  p.set = readSet(p.row) ?? fail("the row is not valid");
  need(equal(p.set[0].member, p.member), "the row is of another member");
}

function checkBallot(b) {
  digest(b.proposal, "the proposal");
  digest(b.member, "the member");
  need(b.approve === 1 || b.approve === 2, "neither yes nor no");
}

function checkReadiness(r) {
  for (const name of ["proposal", "member", "block"]) digest(r[name], name);
  need(r.signature.length === 64, "a signature has 64 bytes");
}

function checkForeign(f) {
  f.read = readForeign(f.proof);
  need((f.read.kind === 1) === f.subjects.length > 0, "a foreign statement is relied on for a subject, an advance for none");
  checkTags(f.subjects, MAX_SUBJECTS);
}

/** An order names the record of its batch; what it is about are the subjects whose entries share an item with it. */
function checkErasure(e, network) {
  const r = new Reader(e.record, "the record is not fields 1 and 2 of a SignedStatement"), body = field(r, 0x0a), signature = field(r, 0x12);
  r.done();
  need(body.length > 0 && signature.length === 64, "the record is not fields 1 and 2 of a SignedStatement");
  need(decode(body, StatementBody).batch !== null, "the record is not a batch of events");
  const batch = readBody(body);
  need(equal(batch.network, network), "the record was signed for another network");
  need(e.count >= 1 && e.start < batch.batch.itemCount && e.count <= batch.batch.itemCount - e.start, "the batch has no such items");
  need(e.reason >= 1 && e.reason <= 4, "the reason is not 1 to 4");
  const shares = (entry) => entry.start < e.start + e.count && e.start < entry.start + entry.count;
  const subjects = batch.batch.entries.filter(shares).map((entry) => entry.subject);
  Object.assign(e, { target: tagged("carnet/statement-id", body), batch: { network, keyId: batch.keyId, bodyBytes: body, signature }, subjects });
}

const CHECKS = { erasure: checkErasure, purge: (p) => digest(p.erasure, "the order"), batch: checkBatch, registry: checkRegistry, pairing: checkPairing, document: checkDocument, proposal: checkProposal, ballot: checkBallot, readiness: checkReadiness, foreign: checkForeign };

function readBody(bytes) {
  const b = decode(bytes, StatementBody);
  need(b.version === 1, "the version is not known");
  for (const name of ["network", "keyId", "previous"]) digest(b[name], name);
  need(b.sequence >= 1n && b.sequence < U64_MAX, "sequences run from 1");
  const kind = PAYLOADS.map(([, name]) => name).find((name) => b[name] !== null) ?? fail("no payload is present");
  CHECKS[kind](b[kind], b.network);
  return { ...b, kind, payload: b[kind] };
}

// ---- the outer message ----

function field(r, tag) {
  if (r.u8() !== tag) fail("the bytes are not a SignedStatement in canonical form");
  let n = 0;
  for (let shift = 0; shift <= 21; shift += 7) {
    const byte = r.u8();
    n |= (byte & 0x7f) << shift;
    if (!(byte & 0x80)) return byte === 0 && shift > 0 ? fail("a length is not in its shortest form") : r.take(n);
  }
  return fail("a length is too long");
}

export function readStatement(whole) {
  if (whole.length < 1 || whole.length > STATEMENT_MAX) fail("a statement has 1 to 262,144 bytes");
  const r = new Reader(whole, "the bytes are not a SignedStatement in canonical form");
  const body = field(r, 0x0a), signature = field(r, 0x12), items = [];
  if (body.length === 0 || signature.length !== 64) fail("a statement has a body, and a signature of 64 bytes");
  const record = whole.subarray(0, r.at);
  while (r.left) {
    if (items.length === MAX_ITEMS) fail("more than 1,000 items");
    const item = field(r, 0x1a);
    if (item.length <= 17 || item.length > MAX_ITEM) fail("an item has a format, a salt and content, and at most 65,536 bytes");
    items.push(item);
  }
  const parsed = readBody(body);
  return { ...parsed, bodyBytes: body, signature, items, record, id: tagged("carnet/statement-id", body), recordDigest: sha256(record) };
}

/** Only its leaf hash is here. */
export const isErased = (item) => item.length === 33 && item[0] === 0;
const itemLeaf = (item) => (isErased(item) ? item.subarray(1) : leafHash(item));

/** Why the items are not those that were signed, or null. */
export function itemFault(s) {
  if (s.kind !== "batch") return s.items.length ? "only an event batch has items" : null;
  if (s.items.length !== s.batch.itemCount) return `${s.items.length} items are here, the signed body names ${s.batch.itemCount}`;
  if (s.items.some((i) => !isErased(i) && (i[0] < 1 || i[0] > 6))) return "an item's format is not known";
  return equal(rootOf(s.items.map(itemLeaf)), s.batch.itemsRoot) ? null : "the items hash to another root";
}

export function signedBy(s, key) {
  return equal(keyId(key), s.keyId) && verify(key, tagged("carnet/statement", s.network, s.bodyBytes), s.signature);
}

export const possessionDigest = (network, owner, id) => tagged("carnet/possession", network, owner, id);
