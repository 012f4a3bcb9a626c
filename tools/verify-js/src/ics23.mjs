// Proofs from the state map: cosmos.ics23.v1.CommitmentProof in the one form of byte-layouts.md.
import { Reader, compare, concat, equal, fail, leafHash, nodeHash, sha256, tagged } from "./bytes.mjs";

const KEY = 33, VALUE_MAX = 4096, DEPTH_MAX = 264;
const LEAF_OP = Uint8Array.of(0x08, 1, 0x18, 1, 0x20, 1, 0x2a, 1, 0);
const LEFT = Uint8Array.of(0x08, 1, 0x12, 1, 1, 0x1a, 0x20), RIGHT = Uint8Array.of(0x08, 1, 0x12, 0x21, 1);
const WRONG = "not a proof in the one accepted shape";

export const SUBJECT = 5;
export const stateKey = (salt, type, id) => concat(Uint8Array.of(type), tagged("carnet/state", salt, Uint8Array.of(type), id));

function field(r, tag) {
  if (r.u8() !== tag) fail(WRONG);
  let n = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = r.u8();
    n += (byte & 0x7f) * 2 ** shift;
    if (!(byte & 0x80)) return byte === 0 && shift > 0 ? fail(WRONG) : new Reader(r.take(n), WRONG);
  }
  return fail(WRONG);
}

function expect(r, template) {
  if (!equal(r.take(template.length), template)) fail(WRONG);
}

function readStep(r) {
  const isLeft = r.left === LEFT.length + 32;
  expect(r, isLeft ? LEFT : RIGHT);
  const sibling = r.take(32);
  r.done();
  return { isLeft, sibling };
}

function readExistence(r) {
  const key = field(r, 0x0a).rest(), value = field(r, 0x12).rest(), leaf = field(r, 0x1a), steps = [];
  if (key.length !== KEY || value.length < 1 || value.length > VALUE_MAX) fail(WRONG);
  expect(leaf, LEAF_OP);
  leaf.done();
  while (r.left) {
    if (steps.length === DEPTH_MAX) fail(WRONG);
    steps.push(readStep(field(r, 0x22)));
  }
  return { key, value, steps };
}

function leads(p, root) {
  let node = leafHash(concat(Uint8Array.of(KEY), p.key, Uint8Array.of(32), sha256(p.value)));
  for (const s of p.steps) node = s.isLeft ? nodeHash(node, s.sibling) : nodeHash(s.sibling, node);
  return equal(node, root);
}

/** The value under the key; a fault unless it is proved. */
export function provenValue(bytes, root, key) {
  const r = new Reader(bytes, WRONG), body = field(r, 0x0a);
  r.done();
  const p = readExistence(body);
  return equal(p.key, key) && leads(p, root) ? p.value : fail("its completeness record is not in the state of the checkpoint");
}

const allOn = (steps, isLeft) => steps.every((s) => s.isLeft === isLeft);

/** No leaf lies between: below the node where their paths part, one is the last and the other the first. */
function adjacent(left, right) {
  let l = left.steps.length, r = right.steps.length;
  while (l > 0 && r > 0 && left.steps[l - 1].isLeft === right.steps[r - 1].isLeft && equal(left.steps[l - 1].sibling, right.steps[r - 1].sibling)) {
    l--;
    r--;
  }
  return l > 0 && r > 0 && left.steps[l - 1].isLeft && !right.steps[r - 1].isLeft && allOn(left.steps.slice(0, l - 1), false) && allOn(right.steps.slice(0, r - 1), true);
}

/** Faults unless it is proved that nothing is under the key. */
export function checkAbsence(bytes, root, key) {
  const r = new Reader(bytes, WRONG), body = field(r, 0x12);
  r.done();
  const named = field(body, 0x0a).rest();
  const left = body.left && body.bytes[body.at] === 0x12 ? readExistence(field(body, 0x12)) : null;
  const right = body.left ? readExistence(field(body, 0x1a)) : null;
  body.done();
  if (named.length !== KEY) fail(WRONG);
  const holds =
    equal(named, key) && (left || right) && (!left || (compare(left.key, key) < 0 && leads(left, root))) &&
    (!right || (compare(right.key, key) > 0 && leads(right, root))) &&
    (!left ? allOn(right.steps, true) : !right ? allOn(left.steps, false) : adjacent(left, right));
  if (!holds) fail("its absence is not proved by the state of the checkpoint");
}
