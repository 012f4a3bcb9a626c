// Lengths that a forger chooses are refused in words, where an engine has little stack: run with node --stack-size=400.
// usage: large.mjs SOURCE-DIR
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.argv[2]}/src/${name}.mjs`));
const { Fault, concat, utf8 } = await load("bytes");
const { readStatement } = await load("statement");
const { canonicalSubject } = await load("subjects");
const { readNote } = await load("note");
const { readPolicy } = await load("policy");
const { openContainer } = await load("container");

const bytes = (n, value) => new Uint8Array(n).fill(value);
function varint(n) {
  const out = [];
  for (; n > 127; n >>>= 7) out.push((n & 127) | 128);
  return Uint8Array.of(...out, n);
}
const field = (number, content) => concat(varint((number << 3) | 2), varint(content.length), content);

/** A member whose country has n letters: its registration is signed, but no rule but the one of its length refuses it. */
function memberOf(n) {
  const member = concat(field(1, utf8("acme")), field(2, bytes(n, 65)), Uint8Array.of(24, 1));
  const body = concat(Uint8Array.of(8, 1), field(2, bytes(32, 1)), field(3, bytes(32, 1)), Uint8Array.of(32, 1), field(5, bytes(32, 1)), field(17, field(6, member)));
  return concat(field(1, body), field(2, bytes(64, 1)));
}

/** An archive of one empty file whose name has n letters. */
function archiveOf(n) {
  const out = new Uint8Array(46 + n + 22), view = new DataView(out.buffer);
  out.fill(97, 46, 46 + n);
  view.setUint32(0, 0x504b0102);
  view.setUint16(28, n, true);
  view.setUint32(46 + n, 0x504b0506);
  view.setUint16(46 + n + 8, 1, true);
  view.setUint16(46 + n + 10, 1, true);
  view.setUint32(46 + n + 12, 46 + n, true);
  return out;
}

const CASES = [
  ["a member's country of three letters", () => readStatement(memberOf(3)), "a member's name or country"],
  ["a member's country of 200,000 letters", () => readStatement(memberOf(200000)), "a member's name or country"],
  ["a file name of 65,535 bytes", () => openContainer(archiveOf(65535)), "does not belong into a dossier"],
  ["a note's signature of 65,000 bytes", () => readNote(concat(utf8("a\n1\n" + "A".repeat(43) + "=\n\n\u2014 a "), bytes(65000, 65), utf8("\n"))), "a signature line is malformed"],
  ["a note's size of 65,000 digits", () => readNote(concat(utf8("a\n"), bytes(65000, 49), utf8("\n" + "A".repeat(43) + "=\n\n\u2014 a AAAAAAAA\n"))), ""],
  ["a policy's word of 65,000 letters", () => readPolicy(concat(bytes(65000, 97), utf8("\n"))), ""],
];

let wrong = 0;
for (const [what, read, words] of CASES)
  try {
    read();
    wrong++;
    console.log(`${what}: is taken`);
  } catch (e) {
    if (e instanceof Fault && e.message.includes(words)) continue;
    wrong++;
    console.log(`${what}: ${e.name}: ${e.message}`);
  }
const link = "https://id.gs1.org/01/09520123456788";
for (const n of [10, 65000])
  if (canonicalSubject(`${link}?${"x".repeat(n)}`) !== link) {
    wrong++;
    console.log(`a link with a query of ${n} letters is not the key before it`);
  }
console.log(`${CASES.length} lengths too far: ${wrong} wrong`);
process.exit(wrong ? 1 : 0);
