// Policies and notes, changed at random and given to both readers. Notes are signed here, by keys made from the seed, so that
// a policy is met or missed by its own rules and not by chance.
// usage: policies.mjs SOURCE-DIR POLICIES-MANY SECONDS SEED
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [source, program, seconds, seed] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${source}/${name}`));
const { checkByPolicy, readPolicy } = await load("src/policy.mjs");
const { COSIGNATURE, LOG, noteKeyId, readNote } = await load("src/note.mjs");
const { Fault, base64, concat, hex, sha256, u64, utf8 } = await load("src/bytes.mjs");
const { ed25519 } = await load("node_modules/@noble/curves/ed25519.js");

let state = (Number(seed) * 2654435761) >>> 0 || 1;
function below(n) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % n;
}
const pick = (list) => list[below(list.length)];

// ---- keys, notes, policies ----

const ORIGIN = "log.example/1";
function keyOf(name, type) {
  const secret = sha256(utf8(`${name} ${type}`)), key = ed25519.getPublicKey(secret), id = noteKeyId(utf8(name), type, key);
  return { name, type, secret, id, vkey: `${name}+${hex(id)}+${base64(concat(Uint8Array.of(type), key))}` };
}
const logs = [ORIGIN, "other.example"].map((name) => keyOf(name, LOG));
const witnesses = ["w.example/a", "w.example/b", "w.example/c", "w.example/d", "w.example/e"].map((name) => keyOf(name, COSIGNATURE));

function lineOf(k, body) {
  const stamp = u64(1700000000n + BigInt(below(3)));
  const blob = k.type === LOG ? ed25519.sign(body, k.secret) : concat(stamp, ed25519.sign(concat(utf8(`cosignature/v1\ntime ${BigInt("0x" + hex(stamp))}\n`), body), k.secret));
  return `\u2014 ${k.name} ${base64(concat(k.id, blob))}\n`;
}

const body = (size) => utf8(`${ORIGIN}\n${size}\n${base64(sha256(utf8(String(size))))}\n`);
const notes = Array.from({ length: 24 }, (_, i) => {
  const b = body(i), signers = [...logs, ...witnesses].filter(() => below(2));
  return concat(b, utf8("\n" + signers.map((k) => lineOf(k, b)).join("")));
});

const THRESHOLDS = ["all", "any", "1", "2", "3", "4", "0", "01", "5", "-1", "4294967297", "", "2x", "1e0"];
const spaces = () => pick([" ", " ", " ", "\t", "  ", " \t "]);
function policy() {
  const names = [], lines = [];
  for (const k of logs) if (below(2)) lines.push(["log", below(15) ? k.vkey : pick([...logs, ...witnesses]).vkey, ...(below(4) ? [] : ["https://x.example"])]);
  for (const k of witnesses) {
    if (below(4) === 0) continue;
    const name = below(12) ? k.name[k.name.length - 1] : pick(["none", "a", "x".repeat(127), "x".repeat(128), "\u00e9", "#x"]);
    lines.push(["witness", name, below(15) ? k.vkey : pick([...logs, ...witnesses]).vkey, ...(below(6) ? [] : ["https://x.example"])]);
    names.push(name);
  }
  for (let g = below(4); g > 0; g--) {
    const members = names.filter(() => below(3) > 0);
    if (below(15) === 0) members.push(pick([...names, "nobody"]));
    lines.push(["group", `g${g}`, below(3) ? pick(["all", "any", "1", "2", "3"]) : pick(THRESHOLDS), ...members]);
    names.push(`g${g}`);
  }
  lines.push(["quorum", names.length && below(8) ? pick(names.slice(-3)) : pick(["none", "nobody", "none x", ""])]);
  if (below(12) === 0) lines.splice(below(lines.length + 1), 0, pick([["# a comment"], [""], ["\t"], ["quorum", "none"], ["logs"], ["witness"], ["group"], ["#"], ["toString"], ["__proto__", "x"]]));
  if (below(25) === 0) lines.push(lines.shift());
  return utf8(lines.map((w) => (below(20) ? "" : spaces()) + w.join(spaces()) + (below(20) ? "" : spaces())).join("\n") + (below(40) ? "\n" : ""));
}

function changed(bytes) {
  if (bytes.length === 0) return bytes;
  const copy = bytes.slice(), at = below(copy.length), kind = below(5);
  if (kind === 0) return copy.subarray(0, at + 1);
  if (kind === 1) return concat(copy.subarray(0, at), copy.subarray(Math.min(copy.length, at + 1 + below(60))));
  if (kind === 2) return concat(copy.subarray(0, at), copy.subarray(at, at + below(60)), copy.subarray(at));
  copy[at] = kind === 3 ? copy[at] ^ (1 << below(8)) : pick([0, 9, 10, 13, 32, 0x2b, 0x3d, 0xe2, 0xff]);
  return copy;
}

// ---- both readers ----

const child = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

async function there(p, note) {
  child.stdin.write(`${base64(p)} ${base64(note)}\n`);
  const { value, done } = await lines.next();
  if (done) throw new Error("the other reader ended");
  return value;
}

function attempt(check) {
  try {
    return check() ?? true;
  } catch (e) {
    if (e instanceof Fault) return null;
    throw e;
  }
}

function here(p, note) {
  const read = attempt(() => readPolicy(p));
  if (!read) return "no policy";
  return attempt(() => checkByPolicy(read, readNote(note))) ? "yes" : "no";
}

const met = { yes: 0, no: 0, "no policy": 0 }, end = Date.now() + 1000 * Number(seconds);
let differing = 0;
while (Date.now() < end && differing < 10) {
  let p = policy(), note = pick(notes);
  if (below(4) === 0) p = changed(p);
  if (below(6) === 0) note = changed(note);
  if (p.length === 0 || note.length === 0) continue;
  const [a, b] = [await there(p, note), here(p, note)];
  met[a]++;
  if (a === b) continue;
  differing++;
  console.log(`${a} there, ${b} here: ${base64(p)} ${base64(note)}`);
}
child.stdin.end();
console.log(`policies, seed ${seed}: ${Object.entries(met).map(([k, n]) => `${n} ${k}`).join(", ")}; ${differing} differ`);
process.exit(differing === 0 && Object.values(met).every((n) => n > 10) ? 0 : 1);
