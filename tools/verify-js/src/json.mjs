// Strict JSON (RFC 8259): UTF-8 without a byte order mark, no name twice in an object, integers exact as BigInt and
// within 64 bits, no NUL, a budget of depth. Objects are Maps; a number with a fraction or an exponent is {real}. Where
// numbers are only looked at, not counted with (events), each is {number} with its text, of any size.
import { fail } from "./bytes.mjs";

const DEPTH = 2048;
const INT_MAX = (1n << 63n) - 1n, INT_MIN = -(1n << 63n);
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

class Parser {
  constructor(text, depth, asWritten) {
    this.text = text;
    this.asWritten = asWritten;
    this.at = 0;
    this.limit = depth;
    this.depth = 0;
  }
  blank() {
    while (/[ \t\n\r]/.test(this.text[this.at] ?? "x")) this.at++;
  }
  expect(word) {
    if (!this.text.startsWith(word, this.at)) fail(`not JSON at character ${this.at}`);
    this.at += word.length;
  }
  value() {
    this.blank();
    const c = this.text[this.at];
    if (c === "{") return this.nested(() => this.object());
    if (c === "[") return this.nested(() => this.array());
    if (c === '"') return this.string();
    if (c === "t") return this.expect("true"), true;
    if (c === "f") return this.expect("false"), false;
    if (c === "n") return this.expect("null"), null;
    return this.number();
  }
  nested(read) {
    if (++this.depth > this.limit) fail("it is nested too deeply");
    this.at++;
    const v = read();
    this.depth--;
    return v;
  }
  object() {
    const map = new Map();
    this.blank();
    if (this.text[this.at] === "}") return this.at++, map;
    for (;;) {
      this.blank();
      if (this.text[this.at] !== '"') fail(`a name is missing at character ${this.at}`);
      const name = this.string();
      if (map.has(name)) fail(`the name "${name.slice(0, 40)}" is there twice`);
      this.blank();
      this.expect(":");
      map.set(name, this.value());
      this.blank();
      if (this.text[this.at] === "}") return this.at++, map;
      this.expect(",");
    }
  }
  array() {
    const list = [];
    this.blank();
    if (this.text[this.at] === "]") return this.at++, list;
    for (;;) {
      list.push(this.value());
      this.blank();
      if (this.text[this.at] === "]") return this.at++, list;
      this.expect(",");
    }
  }
  string() {
    let out = "";
    for (this.at++; ; ) {
      const c = this.text[this.at];
      if (c === undefined || c < " ") fail(`a string does not end at character ${this.at}`);
      this.at++;
      if (c === '"') return out;
      out += c === "\\" ? this.escape() : c;
    }
  }
  escape() {
    const c = this.text[this.at++];
    if (c !== "u") return ESCAPES[c] ?? fail(`no such escape at character ${this.at}`);
    const unit = this.unit();
    if (unit === 0) fail("a string holds NUL");
    if (unit < 0xd800 || unit > 0xdfff) return String.fromCharCode(unit);
    if (unit > 0xdbff) fail("half a pair of surrogates");
    this.expect("\\u");
    const low = this.unit();
    if (low < 0xdc00 || low > 0xdfff) fail("half a pair of surrogates");
    return String.fromCharCode(unit, low);
  }
  unit() {
    const digits = this.text.slice(this.at, this.at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) fail(`not four hexadecimal digits at character ${this.at}`);
    this.at += 4;
    return parseInt(digits, 16);
  }
  number() {
    const pattern = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
    pattern.lastIndex = this.at;
    const m = pattern.exec(this.text);
    if (!m) fail(`not JSON at character ${this.at}`);
    this.at += m[0].length;
    if (this.asWritten) return { number: m[0] };
    if (m[1] || m[2]) return Number.isFinite(Number(m[0])) ? { real: m[0] } : fail("a number is too large");
    if (m[0].length > 20) fail("a number is too large");
    const v = BigInt(m[0]);
    return v > INT_MAX || v < INT_MIN ? fail("a number is too large") : v;
  }
}

function read(bytes, depth, asWritten) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    fail("not UTF-8");
  }
  const parser = new Parser(text, depth, asWritten), root = parser.value();
  parser.blank();
  if (parser.at !== text.length) fail(`something follows at character ${parser.at}`);
  return root;
}

/** The root, which is an object or an array. */
export function parseJson(bytes, depth = DEPTH) {
  const root = read(bytes, depth, false);
  return root instanceof Map || Array.isArray(root) ? root : fail("not an object or an array");
}

/** Any value, with numbers as written. */
export const parseValue = (bytes, depth) => read(bytes, depth, true);
