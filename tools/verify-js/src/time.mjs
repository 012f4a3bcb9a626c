// RFC 3161 time tokens: what they are over, and when (audit-format.md, step time). Whether an authority that anybody trusts
// signed one is not checked here.
import { equal, fail, latin, sha256 } from "./bytes.mjs";
import { byHeight, closingsOf, partsOf } from "./outside.mjs";

const AHEAD_MS = 60000n, TOKEN_MAX = 65536;
const SEQUENCE = 0x30, SET = 0x31, INTEGER = 2, OCTETS = 4, OID = 6, GENERALIZED_TIME = 0x18, EXPLICIT0 = 0xa0;
const SIGNED_DATA = Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2); // RFC 5652
const TST_INFO = Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4); // RFC 3161
const SHA256 = Uint8Array.of(0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1);

// ---- DER, as far as it is needed ----

/** The element at r.at, which must have that tag: its content as a reader. */
function take(r, tag) {
  const { bytes } = r;
  if (r.at + 2 > r.end || bytes[r.at] !== tag) fail("not a TimeStampToken in DER");
  let n = bytes[r.at + 1], at = r.at + 2;
  if (n & 0x80) {
    const count = n & 0x7f;
    if (count < 1 || count > 3 || at + count > r.end) fail("not a TimeStampToken in DER");
    for (n = 0; at < r.at + 2 + count; at++) n = n * 256 + bytes[at];
  }
  if (at + n > r.end) fail("not a TimeStampToken in DER");
  r.at = at + n;
  return { bytes, at, end: at + n, content: bytes.subarray(at, at + n) };
}

const isOid = (r, oid) => equal(take(r, OID).content, oid) || fail("not a TimeStampToken in DER");

/** RFC 3161, 2.4.2: YYYYMMDDhhmmss[.s...]Z */
function generalizedTime(bytes) {
  const m = /^([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})(?:\.([0-9]+))?Z$/.exec(latin(bytes));
  if (!m) fail("its time is none");
  const [year, month, day, hour, minute, second] = m.slice(1, 7).map(Number), date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59 || date.getTime() < 0) fail("its time is none");
  return BigInt(date.getTime()) + BigInt((m[7] ?? "").slice(0, 3).padEnd(3, "0"));
}

/** {imprint, timeMs} of a TimeStampToken. */
export function readToken(bytes) {
  if (bytes.length > TOKEN_MAX) fail("a time token has at most 65,536 bytes");
  const whole = { bytes, at: 0, end: bytes.length }, info = take(whole, SEQUENCE);
  if (whole.at !== whole.end) fail("something follows the time token");
  isOid(info, SIGNED_DATA);
  const signed = take(take(info, EXPLICIT0), SEQUENCE);
  take(signed, INTEGER);
  take(signed, SET);
  const content = take(signed, SEQUENCE);
  isOid(content, TST_INFO);
  const tst = take(take(take(content, EXPLICIT0), OCTETS), SEQUENCE);
  take(tst, INTEGER);
  take(tst, OID);
  const imprint = take(tst, SEQUENCE), algorithm = take(imprint, SEQUENCE), digest = take(imprint, OCTETS).content;
  if (!equal(take(algorithm, OID).content, SHA256) || digest.length !== 32) fail("its imprint is not a SHA-256");
  take(tst, INTEGER);
  return { imprint: digest, timeMs: generalizedTime(take(tst, GENERALIZED_TIME).content) };
}

/** Each token is over the header of a proved block that does not claim to be younger. */
export function checkTokens(v) {
  const heights = byHeight([v.dossier.headers[0], ...closingsOf(v)]), tokens = partsOf(v, "tokens/");
  for (const t of tokens)
    v.guarded("time", t.name, () => {
      const h = heights.get(t.number) ?? fail("no block of this height is proved here"), token = readToken(t.bytes);
      if (!equal(token.imprint, sha256(h.bytes))) fail("it is over another digest");
      if (h.timeMs > token.timeMs + AHEAD_MS) fail("the block claims a time after the one at which it was seen");
    });
  v.notChecked("time", tokens.length ? "time tokens are over blocks in it; who made them is not checked by this verifier" : "no time token is in it: the times are what a quorum of validators agreed on");
}
