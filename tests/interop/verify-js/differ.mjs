// Changes files inside accepted dossiers, with a manifest that fits, and asks both verifiers.
// usage: differ.mjs SOURCE-DIR VECTORS-DIR VERIFY-MANY SECONDS SEED
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { difference, firstFault, pagesDiffer } from "./compare.mjs";

const [source, folder, program, seconds, seed] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${source}/${name}`));
const { verify } = await load("src/verify.mjs");
const { openContainer } = await load("src/container.mjs");
const { networkId } = await load("src/genesis.mjs");
const { hex, sha256 } = await load("src/bytes.mjs");
const { zipSync } = await load("node_modules/fflate/esm/index.mjs");

// ---- chance, from a seed (xorshift32) ----

let state = (Number(seed) * 2654435761) >>> 0 || 1;
function below(n) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % n;
}
const pick = (list) => list[below(list.length)];

// ---- changes ----

const LENGTHS = [0, 1, 2, 127, 128, 255];

const byteChanges = [
  (b) => (b[below(b.length)] ^= 1 << below(8)),
  (b) => (b[below(b.length)] = below(256)),
  (b) => (b[below(Math.min(b.length, 300))] ^= 1 << below(8)),
  (b) => (b[below(b.length)] = pick(LENGTHS)),
  (b) => b.fill(0, below(b.length), b.length - below(b.length)),
];

function splice(bytes, at, removed, added) {
  const out = new Uint8Array(bytes.length - removed + added.length);
  out.set(bytes.subarray(0, at));
  out.set(added, at);
  out.set(bytes.subarray(at + removed), at + added.length);
  return out;
}

function changeBytes(bytes) {
  if (bytes.length === 0) return Uint8Array.of(below(256));
  const kind = below(10), at = below(bytes.length), n = Math.min(bytes.length - at, 1 + below(40));
  if (kind === 0) return splice(bytes, at, n, new Uint8Array(0));
  if (kind === 1) return splice(bytes, at, 0, bytes.subarray(at, at + n));
  if (kind === 2) return bytes.slice(0, at);
  const copy = bytes.slice();
  for (let i = below(3); i >= 0; i--) pick(byteChanges)(copy);
  return copy;
}

const folderOf = (name) => name.split("/")[0];

function changeFiles(files, others) {
  const name = pick([...files.keys()].filter((n) => n !== "manifest.json")), kind = below(14);
  const alike = [...others.keys()].filter((n) => folderOf(n) === folderOf(name));
  if (kind === 0) files.delete(name);
  else if (kind === 1 && alike.length) files.set(pick(alike), files.get(name));
  else if (kind === 2 && alike.length) files.set(name, others.get(pick(alike)));
  else if (kind === 3 && alike.length) {
    const other = pick(alike);
    files.set(other, others.get(other));
  } else files.set(name, changeBytes(files.get(name)));
}

function changeManifest(m) {
  const kind = below(6);
  if (kind === 0) m.checkpoint += below(3) - 1;
  else if (kind === 1) m.subject += pick(["", "/", "x", "%41", " "]);
  else if (kind === 2) m.kind = pick(["subject", "statement", "other"]);
  else if (kind === 3) m.tag = m.tag.replace(/./, pick([..."0123456789abcdefA"]));
  else if (kind === 4 && m.redactions) m.redactions = [{ log_index: below(20), item: below(3) }];
  else m.format = pick(["carnet-audit-1", "carnet-audit-2", "carnet-audit-3"]);
}

function pack(files, changed) {
  const manifest = JSON.parse(new TextDecoder().decode(files.get("manifest.json")));
  const names = [...files.keys()].sort();
  if (changed) changeManifest(manifest);
  manifest.files = names.filter((n) => n !== "manifest.json").map((name) => ({ name, size: files.get(name).length, sha256: hex(sha256(files.get(name))) }));
  let text = JSON.stringify(manifest, null, pick([0, 2]));
  if (changed && below(4) === 0) text = new TextDecoder().decode(changeBytes(new TextEncoder().encode(text)));
  files.set("manifest.json", new TextEncoder().encode(text));
  return zipSync(Object.fromEntries(names.map((n) => [n, files.get(n)])), { level: pick([0, 6]), mtime: "1980-01-02" });
}

// ---- the other verifier ----

const child = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
const work = mkdtempSync(`${tmpdir()}/carnet-differ-`);
process.on("exit", () => rmSync(work, { recursive: true, force: true }));

async function askOther(digest, path) {
  child.stdin.write(`${digest} ${path}\n`);
  const { value, done } = await lines.next();
  if (done) throw new Error("the other verifier ended");
  return JSON.parse(value);
}

// ---- the whole ----

const seeds = [], SEEDS_MAX = 120;
for (const name of readdirSync(folder).filter((n) => n.endsWith(".json")).sort()) {
  const { asked, report } = JSON.parse(readFileSync(`${folder}/${name}`));
  if (!report.accepted || seeds.length === SEEDS_MAX) continue;
  const zip = new Uint8Array(readFileSync(`${folder}/${name.slice(0, -5)}.zip`));
  if (zip.length < 200000 && verify(zip, asked.genesis).steps[0].verdict === "ok") seeds.push({ digest: asked.genesis, zip });
}
if (seeds.length < 10) throw new Error("too few dossiers to begin with");

const met = new Map(), end = Date.now() + 1000 * Number(seconds);
let count = 0, differing = 0;
while (Date.now() < end && differing < 10) {
  const from = pick(seeds), files = new Map(openContainer(from.zip).files), others = openContainer(pick(seeds).zip).files;
  const inManifest = below(12) === 0;
  for (let i = inManifest ? 0 : 1 + (below(4) === 0); i > 0; i--) if (files.size > 1) changeFiles(files, others);
  const genesis = files.get("genesis.json"), zip = pack(files, inManifest), path = `${work}/case.zip`;
  const digest = genesis && below(8) ? hex(networkId(genesis)) : from.digest;
  writeFileSync(path, zip);
  const there = await askOther(digest, path), here = verify(zip, digest);
  const told = difference(there, here, ["time"]) ?? pagesDiffer(there.rendered, here, (page) => hex(sha256(page)));
  const step = firstFault(there.steps) ?? "none";
  met.set(step, (met.get(step) ?? 0) + 1);
  count++;
  if (!told) continue;
  differing++;
  writeFileSync(`${process.cwd()}/differ-${seed}-${count}.zip`, zip);
  console.log(`case ${count} (differ-${seed}-${count}.zip, genesis ${digest}): ${told}`);
}
child.stdin.end();
console.log(`seed ${seed}: ${count} dossiers, first faults: ${[...met].sort().map(([s, n]) => `${s} ${n}`).join(", ")}`);
console.log(`${differing} differ`);
process.exit(differing === 0 && count > 0 ? 0 : 1);
