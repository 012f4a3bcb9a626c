// Writing HTML from text that nobody vouches for: markup is escaped; what is seen as nothing, or moves other text about,
// stands visibly as [U+202E]; long text is cut where it says so. The same bytes as the C side (node/formats/html.c).
import { utf8 } from "./bytes.mjs";

const TEXT_MAX = 400; // bytes of one text that are shown
const MARKUP = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** From, to. */
const INVISIBLE = [
  [0, 0x1f], [0x7f, 0x9f], [0xad, 0xad], [0x61c, 0x61c], [0x180b, 0x180f], [0x200b, 0x200f], [0x2028, 0x202e], [0x2060, 0x206f],
  [0xfe00, 0xfe0f], [0xfeff, 0xfeff], [0xfff0, 0xffff], [0xe0000, 0x10ffff],
];
const invisible = (c) => (c & 0xfffe) === 0xfffe || INVISIBLE.some(([low, high]) => c >= low && c <= high);
const bytesOf = (c) => (c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);

/** Somebody else's text. */
export function escaped(text) {
  let out = "", shown = 0, cut = false;
  for (const character of text) {
    const c = character.codePointAt(0);
    cut = shown >= TEXT_MAX;
    if (cut) break;
    out += MARKUP[character] ?? (invisible(c) ? `[U+${c.toString(16).toUpperCase().padStart(4, "0")}]` : character);
    shown += bytesOf(c);
  }
  return cut ? `${out}&#8230; <small>(${utf8(text).length} bytes in all)</small>` : out;
}

/** The same without what stands before the last / # : (a term's vocabulary), with _ and humps as spaces. */
export function term(text) {
  const word = /[^/#:]*$/.exec(text)[0];
  if (word === "" || utf8(word).length > 60) return escaped(text);
  return escaped(word.replace(/([a-z])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`).replaceAll("_", " "));
}

// ---- time ----

const DAY = 86400000n;
const pad = (n, width) => (n < 0n ? "-" + String(-n).padStart(width - 1, "0") : String(n).padStart(width, "0"));

/** 2026-03-04T10:00:30.000Z, in the proleptic Gregorian calendar, of any 64-bit number of milliseconds. */
export function timeText(value) {
  const ms = BigInt.asIntN(64, BigInt(value));
  const days = ms / DAY - (ms % DAY < 0n ? 1n : 0n), rest = ms - days * DAY;
  const z = days + 719468n, era = (z >= 0n ? z : z - 146096n) / 146097n, ofEra = z - era * 146097n;
  const yoe = (ofEra - ofEra / 1460n + ofEra / 36524n - ofEra / 146096n) / 365n;
  const doy = ofEra - (365n * yoe + yoe / 4n - yoe / 100n), mp = (5n * doy + 2n) / 153n;
  const month = mp < 10n ? mp + 3n : mp - 9n, year = yoe + era * 400n + (month <= 2n ? 1n : 0n);
  const clock = [rest / 3600000n, (rest / 60000n) % 60n, (rest / 1000n) % 60n].map((n) => pad(n, 2)).join(":");
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(doy - (153n * mp + 2n) / 5n + 1n, 2)}T${clock}.${pad(rest % 1000n, 3)}Z`;
}

export function time(ms) {
  const text = timeText(ms);
  return `<time datetime="${text}">${text.slice(0, 10)}&#160;${text.slice(11, 19)}</time>`;
}

// ---- numbers, as C prints them ----

/** An exact fraction: x = numerator / 2^shift. */
function exactly(x) {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, x);
  const raw = bits.getBigUint64(0), exponent = Number((raw >> 52n) & 0x7ffn), fraction = raw & ((1n << 52n) - 1n);
  const mantissa = exponent === 0 ? fraction : fraction | (1n << 52n), shift = 1075 - Math.max(exponent, 1);
  return shift >= 0 ? { numerator: mantissa, shift: BigInt(shift) } : { numerator: mantissa << BigInt(-shift), shift: 0n };
}

/** |x| times 10^decimals as an integer, ties to even. */
function rounded(x, decimals) {
  let { numerator, shift } = exactly(x), denominator = 1n << shift;
  if (decimals >= 0) numerator *= 10n ** BigInt(decimals);
  else denominator *= 10n ** BigInt(-decimals);
  const whole = numerator / denominator, twice = 2n * (numerator % denominator);
  return whole + (twice > denominator || (twice === denominator && whole % 2n === 1n) ? 1n : 0n);
}

function point(digits, decimals) {
  if (decimals <= 0) return String(digits * 10n ** BigInt(-decimals));
  const text = String(digits).padStart(decimals + 1, "0");
  return `${text.slice(0, -decimals)}.${text.slice(-decimals)}`;
}

const sign = (x) => (x < 0 || Object.is(x, -0) ? "-" : "");

/** printf's %.1f */
export const fixed1 = (x) => sign(x) + point(rounded(x, 1), 1);

/** printf's %g */
export function general(x) {
  if (x === 0) return sign(x) + "0";
  let exponent = Number(/e(.*)$/.exec(Math.abs(x).toExponential(20))[1]), digits = rounded(x, 5 - exponent);
  if (digits === 1000000n) {
    digits = 100000n;
    exponent++;
  }
  const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  if (exponent >= -4 && exponent < 6) return sign(x) + trimmed(point(digits, 5 - exponent));
  return `${sign(x)}${trimmed(point(digits, 5))}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}
