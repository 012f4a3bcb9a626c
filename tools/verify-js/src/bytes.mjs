// Bytes: strict reading, digests, hexadecimal. 64-bit integers are BigInt everywhere.
import { sha256 } from "@noble/hashes/sha2.js";

/** What is found wrong inside one file: a sentence, and the code path ends there. */
export class Fault extends Error {}

export function fail(text) {
  throw new Fault(text);
}

const encoder = new TextEncoder();
export const utf8 = (text) => encoder.encode(text);

/** One character a byte. Not by spreading into fromCharCode: engines take few arguments, and a forger sends long ones. */
export function latin(bytes) {
  let out = "";
  for (const b of bytes) out += String.fromCharCode(b);
  return out;
}

export function concat(...parts) {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

export function equal(a, b) {
  return a.length === b.length && compare(a, b) === 0;
}

export function compare(a, b) {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

export function hex(bytes) {
  let out = "";
  for (const b of bytes) out += (b < 16 ? "0" : "") + b.toString(16);
  return out;
}

/** Lower-case digits of exactly n bytes, or null. */
export function unhex(text, n) {
  if (typeof text !== "string" || text.length !== 2 * n || !/^[0-9a-f]*$/.test(text)) return null;
  return Uint8Array.from({ length: n }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

export function base64(bytes) {
  return btoa(latin(bytes));
}

/** Standard alphabet with padding, and only the one spelling; or null. */
export function unbase64(text) {
  if (text.length === 0 || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return base64(bytes) === text ? bytes : null;
}

export function u64(value) {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, value);
  return out;
}

export const isZero = (bytes) => bytes.every((b) => b === 0);

/** Big-endian reader; reading past the end is a fault. */
export class Reader {
  constructor(bytes, what = "the bytes end early") {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
    this.what = what;
  }
  get left() {
    return this.bytes.length - this.at;
  }
  take(n) {
    if (n > this.left) fail(this.what);
    this.at += n;
    return this.bytes.subarray(this.at - n, this.at);
  }
  u8() {
    return this.take(1)[0];
  }
  u16() {
    this.take(2);
    return this.view.getUint16(this.at - 2);
  }
  u32() {
    this.take(4);
    return this.view.getUint32(this.at - 4);
  }
  u64() {
    this.take(8);
    return this.view.getBigUint64(this.at - 8);
  }
  rest() {
    return this.take(this.left);
  }
  done() {
    if (this.left !== 0) fail(this.what);
  }
}

// ---- digests ----

export { sha256 };

const tags = new Map();

/** T(tag, m) of byte-layouts.md. */
export function tagged(tag, ...parts) {
  let prefix = tags.get(tag);
  if (!prefix) {
    const t = sha256(utf8(tag));
    tags.set(tag, (prefix = concat(t, t)));
  }
  return sha256(concat(prefix, ...parts));
}

export const leafHash = (data) => sha256(concat(Uint8Array.of(0), data));
export const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));
