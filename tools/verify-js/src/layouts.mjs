// Headers, certificates and the binary files of a dossier (byte-layouts.md, audit-format.md).
import { Fault, Reader, compare, equal, fail, isZero, tagged, u64, unhex } from "./bytes.mjs";
import { SET_MAX, ROW, SECP256K1, quorum, readSet, setDigest, verify } from "./keys.mjs";
import { PATH_MAX } from "./merkle.mjs";
import { numberOf } from "./container.mjs";

export const HEADER = 229, NORMAL = 0, CLOSING = 2, LEAF = 56, STATEMENT_MAX = 262144;

export function readHeader(bytes) {
  const r = new Reader(bytes, "a header is cut");
  const h = { bytes, version: r.u32(), kind: r.u8(), epoch: r.u64(), height: r.u64(), timeMs: r.u64(), parent: r.take(32), logSize: r.u64() };
  for (const name of ["logRoot", "stateRoot", "body", "set", "nextSet"]) h[name] = r.take(32);
  r.done();
  if (h.version !== 1) fail(`header version ${h.version} is not known`);
  if (h.kind > CLOSING) fail(`block kind ${h.kind} is not known`);
  h.digest = tagged("carnet/block", bytes);
  return h;
}

export function readDigests(r, n) {
  return Array.from({ length: n }, () => r.take(32));
}

// ---- certificates ----

export const FINALIZE = 3;

export function readCertificate(bytes) {
  const r = new Reader(bytes, "the certificate is cut");
  const c = { kind: r.u8(), epoch: r.u64(), view: r.u64(), block: r.take(32), n: r.u8(), signers: [] };
  if (c.kind < 1 || c.kind > 3) fail("a certificate of an unknown kind");
  if (c.kind === 2 && !isZero(c.block)) fail("a nullification names no block");
  if (c.n < 1 || c.n > SET_MAX) fail("a certificate of an impossible set");
  const bitmap = r.take(Math.ceil(c.n / 8));
  for (let i = 0; i < 8 * bitmap.length; i++)
    if ((bitmap[i >> 3] >> (i & 7)) & 1) i < c.n ? c.signers.push(i) : fail("a bit lies beyond the set");
  if (c.signers.length !== quorum(c.n)) fail(`${c.signers.length} signers are not exactly a quorum`);
  c.signatures = c.signers.map(() => r.take(64));
  r.done();
  return c;
}

/** Faults unless exactly a quorum of the epoch's set made this block final. */
export function checkFinalization(epoch, network, bytes, block) {
  const c = readCertificate(bytes);
  if (c.kind !== FINALIZE || c.epoch !== epoch.epoch || !equal(c.block, block)) fail(`it is no finalization of this block in epoch ${epoch.epoch}`);
  if (c.n !== epoch.rows.length) fail("the set has another number of validators");
  const digest = tagged("carnet/vote", network, u64(c.epoch), Uint8Array.of(c.kind), u64(c.view), c.block);
  c.signers.forEach((row, i) => {
    if (!verify({ type: SECP256K1, bytes: epoch.rows[row].vote }, digest, c.signatures[i])) fail(`the signature of validator ${row} is not valid`);
  });
}

const NO_STATEMENTS = tagged("carnet/body");

/** The epoch after this one: {epoch, height, digest, rows}. */
export function advanceEpoch(epoch, network, closing, finalization, rowBytes) {
  const next = setDigest(rowBytes);
  if (closing.kind !== CLOSING || closing.epoch !== epoch.epoch || closing.height <= epoch.height || !equal(closing.set, epoch.digest) || !equal(closing.body, NO_STATEMENTS))
    fail(`the header is not a closing block of epoch ${epoch.epoch} under the validators before it`);
  if (!equal(closing.nextSet, next)) fail("the rows are not those that the closing block names");
  checkFinalization(epoch, network, finalization, closing.digest);
  const rows = readSet(rowBytes) ?? fail("the rows are not a set of validators");
  return { epoch: epoch.epoch + 1n, height: closing.height, digest: next, rows };
}

// ---- the files of a dossier ----

function readCheckpoint(bytes) {
  const r = new Reader(bytes, "is malformed"), version = r.u8(), count = r.u32();
  if (version !== 1 || count === 0 || count > r.left / HEADER) fail("is malformed");
  const headers = Array.from({ length: count }, () => readHeader(r.take(HEADER)));
  return { headers, finalization: r.rest() };
}

function readEpoch(bytes, number) {
  const r = new Reader(bytes, "is malformed"), version = r.u8(), header = r.take(HEADER), finalization = r.take(r.u32()), rows = r.rest();
  if (version !== 1 || number === null || rows.length === 0 || rows.length % ROW || rows.length > ROW * SET_MAX) fail("is malformed");
  return { epoch: number, closing: readHeader(header), finalization, rows };
}

function readSubject(bytes, name) {
  const r = new Reader(bytes, "is malformed"), version = r.u8(), present = r.u8(), proof = r.take(r.u32());
  const s = { tag: unhex(name.slice(9, 73), 32), present: present === 1, proof, leaves: [] };
  if (version !== 1 || present > 1) fail("is malformed");
  if (s.present) {
    const count = r.u64();
    if (count > BigInt(Math.floor(r.left / LEAF))) fail("is malformed");
    for (let i = 0n; i < count; i++) s.leaves.push(readLeaf(r.take(LEAF)));
  }
  r.done();
  s.indexes = new Set(s.leaves.map((l) => l.index));
  return s;
}

function readLeaf(bytes) {
  const r = new Reader(bytes);
  return { bytes, record: r.take(32), index: r.u64(), height: r.u64(), timeMs: r.u64() };
}

function readStatementFile(bytes, number) {
  const r = new Reader(bytes, "is malformed"), version = r.u8(), n = r.u8();
  if (version !== 1 || n > PATH_MAX || number === null) fail("is malformed");
  const path = readDigests(r, n), whole = r.rest();
  if (whole.length === 0 || whole.length > STATEMENT_MAX) fail("is malformed");
  return { index: number, path, whole };
}

export function readConsistency(bytes) {
  const r = new Reader(bytes, "is malformed"), version = r.u8(), header = r.take(HEADER), n = r.u8();
  if (version !== 1 || n > PATH_MAX + 1) fail("is malformed");
  const path = readDigests(r, n);
  r.done();
  return { older: readHeader(header), path };
}

/** Everything that lies in the container, by kind. */
export function readDossier({ manifest, files }) {
  const d = { manifest, files, epochs: [], subjects: [], statements: [], bySubject: new Map(), byIndex: new Map() };
  const take = { e: (n, b) => d.epochs.push(readEpoch(b, numberOf(n))), t: (n, b) => d.statements.push({ name: n, ...readStatementFile(b, numberOf(n)) }), u: (n, b) => d.subjects.push({ name: n, ...readSubject(b, n) }) };
  for (const [name, bytes] of files) {
    try {
      if (name === "checkpoint.bin") Object.assign(d, readCheckpoint(bytes));
      else if (name.startsWith("epochs/")) take.e(name, bytes);
      else if (name.startsWith("statements/")) take.t(name, bytes);
      else if (name.startsWith("subjects/")) take.u(name, bytes);
    } catch (e) {
      throw e instanceof Fault ? new Fault(`${name}: ${e.message}`) : e;
    }
  }
  if (!d.headers) fail("checkpoint.bin: is missing");
  if (!files.has("genesis.json")) fail("genesis.json: is missing");
  return d;
}

export const ascending = (list) => list.every((x, i) => i === 0 || compare(list[i - 1], x) < 0);
