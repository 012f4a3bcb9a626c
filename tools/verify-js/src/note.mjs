// C2SP signed notes of checkpoints: a body of three lines, an empty one, and lines with signatures.
import { Reader, concat, equal, fail, latin, sha256, unbase64, utf8 } from "./bytes.mjs";
import { verifyEd25519 } from "./keys.mjs";

const NOTE_MAX = 65536, LINES_MAX = 64, BODY_MAX = 192 + 1 + 20 + 1 + 44 + 1;
export const LOG = 1, COSIGNATURE = 4;

function lineOf(bytes, at) {
  const end = bytes.indexOf(10, at);
  return end < 0 ? fail("a line of the note does not end") : [bytes.subarray(at, end), end + 1];
}

const DASH = Uint8Array.of(0xe2, 0x80, 0x94, 0x20);

function readLine(line) {
  const space = line.indexOf(32, 4);
  if (line.length <= 4 || !equal(line.subarray(0, 4), DASH) || space <= 4) fail("a signature line is malformed");
  const blob = unbase64(latin(line.subarray(space + 1)));
  if (!blob || blob.length < 5 || blob.length > 4100) fail("a signature line is malformed");
  return { name: line.subarray(4, space), id: blob.subarray(0, 4), signature: blob.subarray(4) };
}

export function readNote(bytes) {
  if (bytes.length > NOTE_MAX) fail("the note is too long");
  let at = 0, line;
  const body = [];
  for (let i = 0; i < 3; i++) {
    [line, at] = lineOf(bytes, at);
    body.push(line);
  }
  const size = latin(body[1]), root = unbase64(latin(body[2])), note = { origin: latin(body[0]), body: bytes.subarray(0, at), lines: [] };
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

/** What stands before a signature made with this key in this name: the first four bytes of a digest of both. */
export const noteKeyId = (name, type, key) => sha256(concat(name, Uint8Array.of(10, type), key)).subarray(0, 4);

/** A line of this name and key holds its signature over the note: true, for a cosignature its time; or null. */
export function signedBy(note, name, type, key) {
  const id = noteKeyId(name, type, key);
  for (const l of note.lines) {
    if (!equal(l.name, name) || !equal(l.id, id)) continue;
    if (type === LOG && l.signature.length === 64 && verifyEd25519(key, note.body, l.signature)) return true;
    if (type !== COSIGNATURE || l.signature.length !== 72) continue;
    const seconds = new Reader(l.signature.subarray(0, 8)).u64();
    if (verifyEd25519(key, concat(utf8(`cosignature/v1\ntime ${seconds}\n`), note.body), l.signature.subarray(8))) return seconds;
  }
  return null;
}
