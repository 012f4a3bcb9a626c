// Proofs from other Carnet networks (byte-layouts.md, foreign-proofs.md).
import { Reader, equal, fail, leafHash } from "./bytes.mjs";
import { ROW, SET_MAX, keyLength, readSet, setDigest } from "./keys.mjs";
import { PATH_MAX, verifyInclusion } from "./merkle.mjs";
import { HEADER, NORMAL, advanceEpoch, checkFinalization, readDigests, readHeader } from "./layouts.mjs";
import { readStatement, signedBy } from "./statement.mjs";

const MAX_BYTES = 32768, MAX_HEADERS = 64, MAX_STEPS = 16, CERTIFICATE_MAX = 1 + 8 + 8 + 32 + 1 + 4 + 32 * 64;
export const STATEMENT = 1, ADVANCE = 2;

function between(n, max, what) {
  return n >= 1 && n <= max ? n : fail(`an impossible number of ${what}`);
}

function readRows(r) {
  return r.take(ROW * between(r.u8(), SET_MAX, "validators"));
}

function readFinalization(r) {
  const n = r.u16();
  return n > CERTIFICATE_MAX ? fail("the finalization is too long") : r.take(n);
}

export function readForeign(bytes) {
  if (bytes.length > MAX_BYTES) fail("a foreign proof has at most 32 KiB");
  const r = new Reader(bytes, "the foreign proof is cut");
  const version = r.u8(), p = { kind: r.u8(), network: null };
  if (version !== 1 || (p.kind !== STATEMENT && p.kind !== ADVANCE)) fail("a foreign proof of an unknown kind");
  Object.assign(p, { network: r.take(32), epoch: r.u64(), rows: readRows(r) });
  if (p.kind === STATEMENT) {
    p.headers = Array.from({ length: between(r.u8(), MAX_HEADERS, "headers") }, () => readHeader(r.take(HEADER)));
    Object.assign(p, { finalization: readFinalization(r), index: r.u64() });
    const n = r.u8();
    if (n > PATH_MAX) fail("the path is too long");
    p.path = readDigests(r, n);
    const type = r.u8(), length = keyLength(type);
    if (length === 0) fail("the key type is not known");
    p.key = { type, bytes: r.take(length) };
    p.record = r.take(r.u32());
    if (p.record.length === 0) fail("the record is empty");
  } else {
    p.steps = Array.from({ length: between(r.u8(), MAX_STEPS, "changes") }, () => ({ closing: readHeader(r.take(HEADER)), finalization: readFinalization(r), rows: readRows(r) }));
  }
  r.done();
  return p;
}

function fitsEpoch(p, known) {
  if (known.withdrawn) fail("foreign_proof.network: it was withdrawn by ballot");
  if (p.epoch !== known.epoch) fail(`foreign_proof.epoch: is ${p.epoch}, epoch ${known.epoch} is known`);
  if (!equal(setDigest(p.rows), known.set)) fail("foreign_proof.set: its rows are not the set of that epoch");
}

function checkHeaders(p, known) {
  const set = setDigest(p.rows);
  if (p.headers[0].kind === NORMAL) fail("foreign_proof.headers: the first one is no checkpoint");
  p.headers.forEach((h, i) => {
    if (h.epoch !== p.epoch || !equal(h.set, set)) fail(`foreign_proof.headers: header ${i} is of another epoch`);
    if (i > 0 && (!equal(h.parent, p.headers[i - 1].digest) || h.height !== p.headers[i - 1].height + 1n)) fail(`foreign_proof.headers: header ${i} does not follow`);
  });
  const rows = readSet(p.rows) ?? fail("foreign_proof.set: not a set of validators");
  checkFinalization({ epoch: p.epoch, rows }, p.network, p.finalization, p.headers[p.headers.length - 1].digest);
}

/** Holds a foreign statement against what is known of its network; its id. */
export function checkForeignStatement(p, known) {
  fitsEpoch(p, known);
  const first = p.headers[0];
  if (first.height <= known.height || first.logSize < known.logSize) fail("foreign_proof.headers: not above the block with which its epoch began");
  const s = readStatement(p.record);
  if (s.items.length) fail("foreign_proof.record: holds items");
  if (!equal(s.network, p.network)) fail("foreign_proof.record: not of that network");
  if (!signedBy(s, p.key)) fail("foreign_proof.record: not signed by the key that comes with it");
  if (!verifyInclusion(leafHash(s.recordDigest), p.index, first.logSize, p.path, first.logRoot)) fail("foreign_proof.path: does not lead to the log root");
  checkHeaders(p, known);
  return s.id;
}

/** Moves what is known of the network on. */
export function advanceForeign(p, known) {
  fitsEpoch(p, known);
  const rows = readSet(p.rows) ?? fail("foreign_proof.set: not a set of validators");
  let epoch = { epoch: known.epoch, height: known.height, digest: known.set, rows }, logSize = known.logSize;
  for (const step of p.steps) {
    epoch = advanceEpoch(epoch, p.network, step.closing, step.finalization, step.rows);
    if (step.closing.logSize < logSize) fail("foreign_proof.steps: the log is shorter than before");
    logSize = step.closing.logSize;
  }
  Object.assign(known, { epoch: epoch.epoch, height: epoch.height, set: epoch.digest, logSize });
}
