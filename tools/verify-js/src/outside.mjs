// What ties a dossier to the world outside: earlier checkpoints, receipts, the signed note, tlog-proofs, anchors, and
// the imprints of time tokens.
import { Fault, Reader, base64, concat, equal, fail, hex, leafHash, sha256, unbase64, utf8 } from "./bytes.mjs";
import { P256, keyId, maxFaults, verify, verifyEd25519 } from "./keys.mjs";
import { NORMAL, readConsistency } from "./layouts.mjs";
import { verifyConsistency, verifyInclusion } from "./merkle.mjs";
import { numberOf } from "./container.mjs";
import { memberId } from "./genesis.mjs";

const RECEIPTS_MAX = 1000, NOTE_MAX = 65536, LINES_MAX = 64, BODY_MAX = 192 + 1 + 20 + 1 + 44 + 1;

const partsOf = (v, prefix) => [...v.dossier.files].filter(([name]) => name.startsWith(prefix)).map(([name, bytes]) => ({ name, bytes, number: numberOf(name) }));
const pad = (n) => String(n).padStart(20, "0");

const closingsOf = (v) => v.dossier.epochs.map((e) => e.closing);
/** Of two headers of one height, which no chain that holds has, the first. */
const byHeight = (headers) => new Map([...headers].reverse().map((h) => [h.height, h]));

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

function lineOf(bytes, at) {
  const end = bytes.indexOf(10, at);
  return end < 0 ? fail("a line of the note does not end") : [bytes.subarray(at, end), end + 1];
}

const latin = (bytes) => String.fromCharCode(...bytes);
const DASH = Uint8Array.of(0xe2, 0x80, 0x94, 0x20);

function readLine(line) {
  const space = line.indexOf(32, 4);
  if (line.length <= 4 || !equal(line.subarray(0, 4), DASH) || space <= 4) fail("a signature line is malformed");
  const blob = unbase64(latin(line.subarray(space + 1)));
  if (!blob || blob.length < 5 || blob.length > 4100) fail("a signature line is malformed");
  return { name: line.subarray(4, space), id: blob.subarray(0, 4), signature: blob.subarray(4) };
}

function readNote(bytes) {
  if (bytes.length > NOTE_MAX) fail("the note is too long");
  let at = 0, line;
  const body = [];
  for (let i = 0; i < 3; i++) {
    [line, at] = lineOf(bytes, at);
    body.push(line);
  }
  const size = latin(body[1]), root = unbase64(latin(body[2])), note = { body: bytes.subarray(0, at), lines: [] };
  if (!body[0].length || !/^(0|[1-9][0-9]{0,19})$/.test(size) || BigInt(size) >= 1n << 64n || !root || root.length !== 32 || at > BODY_MAX) fail("not a note of a checkpoint");
  [line, at] = lineOf(bytes, at);
  if (line.length) fail("not a note of a checkpoint");
  while (at < bytes.length) {
    if (note.lines.length === LINES_MAX) fail("too many signature lines");
    [line, at] = lineOf(bytes, at);
    note.lines.push(readLine(line));
  }
  return note.lines.length ? note : fail("there is no signature line");
}

/** Place of the validator whose signer name this is, or -1. */
function signerPlace(o, name) {
  const prefix = utf8(o.checkpoint.origin + "/");
  if (name.length > 256 || name.includes(0) || name.length < prefix.length || !equal(name.subarray(0, prefix.length), prefix)) return -1;
  const id = memberId(name.subarray(prefix.length));
  return o.v.epoch.rows.findIndex((r) => equal(r.member, id));
}

/** A line of the note with this validator's name and key holds its cosignature; its time. */
function cosigned(o, note, name, key) {
  const id = sha256(concat(name, Uint8Array.of(10, 4), key)).subarray(0, 4);
  for (const l of note.lines) {
    if (!equal(l.name, name) || !equal(l.id, id) || l.signature.length !== 72) continue;
    const seconds = new Reader(l.signature.subarray(0, 8)).u64();
    if (verifyEd25519(key, concat(utf8(`cosignature/v1\ntime ${seconds}\n`), note.body), l.signature.subarray(8))) return seconds;
  }
  return null;
}

function checkNote(o) {
  const note = readNote(o.note), seen = new Set();
  let signers = 0;
  if (!equal(note.body, o.checkpoint.body)) o.fault("checkpoint.note", "it is the note of another checkpoint: origin, size or root differ");
  for (const l of note.lines) {
    const place = signerPlace(o, l.name);
    if (place < 0) continue;
    if (seen.has(place)) o.fault("checkpoint.note", "a validator signed twice");
    else if (cosigned(o, note, l.name, o.v.epoch.rows[place].cosignature) !== o.checkpoint.seconds) o.fault("checkpoint.note", "a validator's cosignature does not verify, or is not of the block's time");
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

// ---- time tokens: what they are over ----

const OCTETS = Uint8Array.of(0x04, 0x20);

/** A token is over the header when the SHA-256 of the header is its imprint. Who made it is not checked here. */
export function checkTokens(v) {
  const h = v.dossier.headers[0], heights = byHeight([h, ...closingsOf(v)]);
  const tokens = partsOf(v, "tokens/");
  for (const t of tokens) {
    const header = heights.get(t.number);
    if (!header) v.fault("time", t.name, "no block of this height is proved here");
    else if (!holdsImprint(t.bytes, concat(OCTETS, sha256(header.bytes)))) v.fault("time", t.name, "it is over another digest");
  }
  v.notChecked("time", tokens.length ? "time tokens are over blocks in it; their authorities and times are not checked here" : "no time token is in it: the times are what a quorum of validators agreed on");
}

function holdsImprint(bytes, imprint) {
  for (let at = bytes.indexOf(imprint[0]); at >= 0; at = bytes.indexOf(imprint[0], at + 1))
    if (equal(bytes.subarray(at, at + imprint.length), imprint)) return true;
  return false;
}
