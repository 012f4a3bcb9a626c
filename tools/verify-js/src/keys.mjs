// Keys and signatures of three kinds: secp256k1, Ed25519, P-256; each in its one accepted form.
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { p256 } from "@noble/curves/nist.js";
import { ed25519 } from "@noble/curves/ed25519.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { compare, concat, equal, hex, tagged } from "./bytes.mjs";

export const SECP256K1 = 1, ED25519 = 2, P256 = 3;
export const keyLength = (type) => (type === ED25519 ? 32 : type === SECP256K1 || type === P256 ? 33 : 0);
export const keyId = (key) => tagged("carnet/key", Uint8Array.of(key.type), key.bytes);

const known = new Map(); // by type and bytes: the point, or null
const KNOWN_MAX = 10000;

function parsePoint(type, bytes) {
  if (bytes.length !== keyLength(type)) return null;
  try {
    if (type === ED25519) {
      const point = ed25519.Point.fromHex(bytes, false);
      return point.isSmallOrder() || !point.isTorsionFree() ? null : point;
    }
    if (bytes[0] !== 2 && bytes[0] !== 3) return null;
    return (type === SECP256K1 ? secp256k1 : p256).Point.fromHex(bytes);
  } catch {
    return null;
  }
}

function point(type, bytes) {
  const name = type + hex(bytes);
  let found = known.get(name);
  if (found === undefined) {
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(name, (found = parsePoint(type, bytes)));
  }
  return found;
}

/** {type, bytes}, or null when the bytes are not a usable point of that curve. */
export function publicKey(type, bytes) {
  return point(type, bytes) ? { type, bytes } : null;
}

function little(bytes) {
  let v = 0n;
  for (let i = bytes.length; i-- > 0; ) v = (v << 8n) | BigInt(bytes[i]);
  return v;
}

/** RFC 8032 with the stricter choices: canonical R of no small order, s below the order, no cofactor. */
export function verifyEd25519(bytes, message, signature) {
  const a = point(ED25519, bytes), s = little(signature.subarray(32)), order = ed25519.Point.Fn.ORDER;
  if (!a || signature.length !== 64 || s >= order) return false;
  const k = little(sha512(concat(signature.subarray(0, 32), bytes, message))) % order;
  const r = ed25519.Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k));
  return !r.isSmallOrder() && equal(r.toBytes(), signature.subarray(0, 32));
}

export function verify(key, digest, signature) {
  if (signature.length !== 64) return false;
  if (key.type === ED25519) return verifyEd25519(key.bytes, digest, signature);
  if (!point(key.type, key.bytes)) return false;
  try {
    return (key.type === SECP256K1 ? secp256k1 : p256).verify(signature, digest, key.bytes, { lowS: true, prehash: false });
  } catch {
    return false; // r or s out of range
  }
}

// ---- validator sets ----

export const ROW = 182;
export const SET_MAX = 32;
export const maxFaults = (n) => Math.floor((n - 1) / 3);
export const quorum = (n) => Math.floor((n + maxFaults(n)) / 2) + 1;

function splitRow(bytes) {
  const cut = (from, n) => bytes.subarray(from, from + n);
  return { member: cut(0, 32), vote: cut(32, 33), evm: cut(65, 20), receipt: cut(85, 33), cosignature: cut(118, 32), log: cut(150, 32) };
}

export function rowKeys(row) {
  return [
    { type: SECP256K1, bytes: row.vote },
    { type: P256, bytes: row.receipt },
    { type: ED25519, bytes: row.cosignature },
    { type: ED25519, bytes: row.log },
  ];
}

/** The rows of a set that holds as a set, or null. */
export function readSet(bytes) {
  const n = bytes.length / ROW;
  if (!Number.isInteger(n) || n < 1 || n > SET_MAX) return null;
  const rows = [], keys = new Set();
  for (let i = 0; i < n; i++) {
    const row = splitRow(bytes.subarray(i * ROW, (i + 1) * ROW));
    if (i > 0 && compare(rows[i - 1].member, row.member) >= 0) return null;
    for (const key of rowKeys(row)) {
      const name = key.type + hex(key.bytes);
      if (!publicKey(key.type, key.bytes) || keys.has(name)) return null;
      keys.add(name);
    }
    const whole = point(SECP256K1, row.vote).toBytes(false);
    if (!equal(keccak_256(whole.subarray(1)).subarray(12), row.evm)) return null;
    rows.push(row);
  }
  return rows;
}

export const setDigest = (bytes) => tagged("carnet/set", bytes);
