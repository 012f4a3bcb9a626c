// What ties a dossier to the world outside: earlier checkpoints, receipts, the signed note, tlog-proofs, anchors and
// policies.
import { Fault, Reader, base64, concat, equal, fail, hex, leafHash, sha256, utf8 } from "./bytes.mjs";
import { P256, keyId, maxFaults, verify } from "./keys.mjs";
import { NORMAL, readConsistency } from "./layouts.mjs";
import { verifyConsistency, verifyInclusion } from "./merkle.mjs";
import { numberOf } from "./container.mjs";
import { memberId } from "./genesis.mjs";
import { COSIGNATURE, readNote, signedBy } from "./note.mjs";
import { checkByPolicy, readPolicy } from "./policy.mjs";

const RECEIPTS_MAX = 1000;

export const partsOf = (v, prefix) => [...v.dossier.files].filter(([name]) => name.startsWith(prefix)).map(([name, bytes]) => ({ name, bytes, number: numberOf(name) }));
const pad = (n) => String(n).padStart(20, "0");

export const closingsOf = (v) => v.dossier.epochs.map((e) => e.closing);
/** Of two headers of one height, which no chain that holds has, the first. */
export const byHeight = (headers) => new Map([...headers].reverse().map((h) => [h.height, h]));

function guarded(fault, check) {
  try {
    check();
  } catch (e) {
    if (!(e instanceof Fault)) throw e;
    fault(e.message);
  }
}

// ---- consistency ----

export function checkConsistency(v) {
  const now = v.dossier.headers[0], closings = byHeight(closingsOf(v));
  for (const part of partsOf(v, "consistency/"))
    guarded((text) => v.fault("consistency", part.name, text), () => {
      const { older, path } = readConsistency(part.bytes), closing = closings.get(part.number);
      if (older.height !== part.number || older.kind === NORMAL || (closing && !equal(closing.digest, older.digest))) fail("does not hold the checkpoint of its height");
      if (!verifyConsistency(older.logSize, older.logRoot, now.logSize, now.logRoot, path)) fail(`the log of the checkpoint does not continue the log of height ${older.height}`);
    });
  if (v.dossier.manifest.version > 1)
    for (const height of closings.keys())
      if (!v.dossier.files.has(`consistency/${pad(height)}.bin`)) v.fault("consistency", "consistency", `that the log continues the one of height ${height} is not shown`);
}

// ---- CBOR, as far as receipts need it (RFC 8949, 4.2.1) ----

const UNSIGNED = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, TAG = 6;
const SHAPE = "not a receipt in its one form";

function head(r, major) {
  const first = r.u8(), info = first & 31;
  const argument = info < 24 ? BigInt(info) : info === 24 ? BigInt(r.u8()) : info === 25 ? BigInt(r.u16()) : info === 26 ? BigInt(r.u32()) : info === 27 ? r.u64() : fail(SHAPE);
  const least = info < 24 ? 0n : info === 24 ? 24n : info === 25 ? 256n : info === 26 ? 65536n : 1n << 32n;
  return first >> 5 === major && argument >= least ? argument : fail(SHAPE);
}

function expect(r, major, argument) {
  if (head(r, major) !== BigInt(argument)) fail(SHAPE);
}

function string(r, major) {
  const n = head(r, major);
  return n <= BigInt(r.left) ? r.take(Number(n)) : fail(SHAPE);
}

function text(r, expected) {
  if (!equal(string(r, TEXT), utf8(expected))) fail(SHAPE);
}

function readProtected(bytes) {
  const r = new Reader(bytes, SHAPE), p = { bytes };
  expect(r, MAP, 5);
  expect(r, UNSIGNED, 1);
  expect(r, NEGATIVE, 6); // ES256 is -7
  expect(r, UNSIGNED, 4);
  p.kid = string(r, BYTES);
  expect(r, UNSIGNED, 15);
  expect(r, MAP, 5);
  expect(r, UNSIGNED, 1);
  p.signer = string(r, TEXT);
  expect(r, UNSIGNED, 6);
  p.iat = head(r, UNSIGNED);
  for (const name of ["size", "epoch", "height"]) {
    text(r, name);
    p[name] = head(r, UNSIGNED);
  }
  expect(r, UNSIGNED, 16);
  text(r, "application/scitt-receipt+cose");
  expect(r, UNSIGNED, 395);
  expect(r, UNSIGNED, 1);
  r.done();
  return p;
}

function readReceipt(r) {
  expect(r, TAG, 18);
  expect(r, ARRAY, 4);
  const p = readProtected(string(r, BYTES));
  expect(r, MAP, 1);
  expect(r, UNSIGNED, 396);
  expect(r, MAP, 1);
  const kind = head(r, NEGATIVE);
  expect(r, ARRAY, 1);
  const inner = new Reader(string(r, BYTES), SHAPE);
  expect(inner, ARRAY, 3);
  const first = head(inner, UNSIGNED), second = head(inner, UNSIGNED), length = head(inner, ARRAY);
  if (kind > 1n || length > 65n) fail(SHAPE);
  const path = Array.from({ length: Number(length) }, () => string(inner, BYTES));
  inner.done();
  if (path.some((n) => n.length !== 32)) fail(SHAPE);
  if (r.u8() !== 0xf6) fail(SHAPE); // the payload is detached
  const signature = string(r, BYTES);
  if (signature.length !== 64) fail(SHAPE);
  return { ...p, inclusion: kind === 0n, proofSize: first, index: second, path, signature };
}

function cborHead(major, n) {
  return n < 24 ? Uint8Array.of((major << 5) | n) : n < 256 ? Uint8Array.of((major << 5) | 24, n) : Uint8Array.of((major << 5) | 25, n >> 8, n & 255);
}

/** The Sig_structure of RFC 9052 over the detached log root. */
function signedByReceipt(protectedBytes, root) {
  return concat(Uint8Array.of(0x84, 0x6a), utf8("Signature1"), cborHead(BYTES, protectedBytes.length), protectedBytes, Uint8Array.of(0x40, 0x58, 32), root);
}

// ---- the signed note (C2SP) ----

function checkpointOf(v) {
  const h = v.dossier.headers[0];
  const origin = `${v.genesis.origin}/${hex(v.genesis.network)}`;
  return { header: h, origin, seconds: h.timeMs / 1000n, body: utf8(`${origin}\n${h.logSize}\n${base64(h.logRoot)}\n`) };
}

/** Place of the validator whose signer name this is, or -1. */
function signerPlace(o, name) {
  const prefix = utf8(o.checkpoint.origin + "/");
  if (name.length > 256 || name.includes(0) || name.length < prefix.length || !equal(name.subarray(0, prefix.length), prefix)) return -1;
  const id = memberId(name.subarray(prefix.length));
  return o.v.epoch.rows.findIndex((r) => equal(r.member, id));
}

function checkNote(o) {
  const note = readNote(o.note), seen = new Set();
  let signers = 0;
  if (!equal(note.body, o.checkpoint.body)) o.fault("checkpoint.note", "it is the note of another checkpoint: origin, size or root differ");
  for (const l of note.lines) {
    const place = signerPlace(o, l.name);
    if (place < 0) continue;
    if (seen.has(place)) o.fault("checkpoint.note", "a validator signed twice");
    else if (signedBy(note, l.name, COSIGNATURE, o.v.epoch.rows[place].cosignature) !== o.checkpoint.seconds) o.fault("checkpoint.note", "a validator's cosignature does not verify, or is not of the block's time");
    else signers++;
    seen.add(place);
  }
  if (signers < o.wanted) o.fault("checkpoint.note", `${signers} validators signed it, ${o.wanted} are wanted`);
}

// ---- receipts and tlog-proofs ----

function receiptFault(o, r, row, entry) {
  const c = o.checkpoint, h = c.header, key = { type: P256, bytes: row.receipt };
  if (r.size !== h.logSize || r.proofSize !== h.logSize || r.epoch !== h.epoch || r.height !== h.height || r.iat !== c.seconds) return "the receipt is of another checkpoint, or its proof of another size";
  if (!equal(r.kid, keyId(key))) return "the key id is not that of its signer";
  if (!verify(key, sha256(signedByReceipt(r.bytes, h.logRoot)), r.signature)) return "the receipt does not verify";
  return verifyInclusion(leafHash(entry), r.index, r.proofSize, r.path, h.logRoot) ? null : "the proof does not lead to the checkpoint's root";
}

function checkReceipts(o, part, entry) {
  const r = new Reader(part.bytes, "is not an array of receipts"), count = head(r, ARRAY), seen = new Set();
  let signers = 0;
  if (count > 32n) fail("is not an array of receipts");
  for (let i = 0n; i < count; i++) {
    const receipt = readReceipt(r), place = signerPlace(o, receipt.signer);
    const wrong =
      place < 0 ? "a receipt is not by a validator of the checkpoint's epoch"
      : seen.has(place) ? "a validator signed twice"
      : !receipt.inclusion || receipt.index !== part.number ? "a receipt does not prove inclusion at this log index"
      : receiptFault(o, receipt, o.v.epoch.rows[place], entry);
    if (wrong) o.fault(part.name, wrong);
    else signers++;
    seen.add(place);
  }
  r.done();
  if (signers < o.wanted) o.fault(part.name, `receipts of ${signers} validators, ${o.wanted} are wanted`);
}

function checkTlog(o, part, statement) {
  const lines = statement.path.map((p) => base64(p) + "\n").join("");
  const expected = concat(utf8(`c2sp.org/tlog-proof@v1\nindex ${statement.index}\n${lines}\n`), o.note);
  if (!equal(expected, part.bytes)) fail("is not the statement's path followed by the checkpoint's note");
}

function inScope(v, st) {
  const m = v.dossier.manifest;
  return m.kind === "statement" ? equal(st.s.id, m.tag) : (v.dossier.bySubject.get(hex(m.tag))?.indexes.has(st.index) ?? false);
}

/** Whether there was something to check. */
export function checkSealed(v, wanted) {
  const files = v.dossier.files, note = files.get("checkpoint.note"), parts = [...partsOf(v, "receipts/"), ...partsOf(v, "tlog/")];
  const fault = (where, sentence) => v.fault("receipts", where, sentence);
  if (!note) {
    for (const p of parts) fault(p.name, "belongs to a note of the checkpoint, which is not here");
    v.notChecked("receipts", "no validator's signature over the checkpoint is in it");
    return;
  }
  const h = v.dossier.headers[0];
  if (h.kind === NORMAL || h.height === 0n) return fault("checkpoint.bin", `block ${h.height} is not a checkpoint that is signed`);
  const o = { v, note, fault, checkpoint: checkpointOf(v), wanted: wanted || maxFaults(v.epoch.rows.length) + 1 };
  guarded((t) => fault("checkpoint.note", t), () => checkNote(o));
  for (const p of parts)
    guarded((t) => fault(p.name, t), () => {
      const st = v.dossier.byIndex.get(p.number);
      if (!st || !st.s) fail("there is no statement of this log index here");
      if (p.name.startsWith("tlog/")) checkTlog(o, p, st);
      else checkReceipts(o, p, st.s.recordDigest);
    });
  for (const st of v.statements.filter((x) => x.s && inScope(v, x)).slice(0, RECEIPTS_MAX))
    if (!files.has(`receipts/${pad(st.index)}.cbor`) || !files.has(`tlog/${pad(st.index)}.txt`)) fault(st.name, "it has no receipts or no tlog-proof");
  v.holds("receipts");
}

// ---- anchors ----

export function checkAnchors(v, anchors) {
  const headers = byHeight([...v.dossier.headers, ...closingsOf(v)]);
  let met = false;
  for (const a of anchors) {
    const h = headers.get(a.height);
    if (h && !equal(h.digest, a.block)) v.fault("epoch-anchor", "checkpoint.bin", `the block of height ${a.height} is ${hex(h.digest)} here, not the one given: this is another chain`);
    met = met || !!h;
  }
  if (met) v.holds("epoch-anchor");
  else v.notChecked("epoch-anchor", anchors.length ? "none of the blocks given as anchors is in it" : "from genesis only: anchor it to a block that you know from elsewhere");
}

// ---- policies ----

/** The dossier's note, or a longer one of the same checkpoint that the caller has, is good enough for the caller's policy. */
export function checkPolicy(v, { policy, note: given }) {
  const note = given?.length ? given : v.dossier.files.get("checkpoint.note"), where = given?.length ? "the note given" : "checkpoint.note";
  if (!policy?.length) return v.notChecked("witness-policy", "no policy was given");
  if (!note) return v.notChecked("witness-policy", "no signature over the checkpoint is in it that a policy could ask for");
  const h = v.dossier.headers[0], body = concat(checkpointOf(v).body, Uint8Array.of(10));
  if (h.kind === NORMAL || h.height === 0n || !equal(note.subarray(0, body.length), body)) return v.fault("witness-policy", where, "it is the note of another checkpoint");
  let read = null;
  if (v.guarded("witness-policy", "policy", () => (read = readPolicy(policy)))) v.guarded("witness-policy", where, () => checkByPolicy(read, readNote(note)));
  v.holds("witness-policy");
}
