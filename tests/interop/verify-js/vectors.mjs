// Runs the verifier over the vectors that the tests of the other one recorded. usage: vectors.mjs SOURCE-DIR VECTORS-DIR
import { readFileSync, readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { BY_AUTHORITIES, difference, firstFault, pagesDiffer } from "./compare.mjs";

const [source, folder] = process.argv.slice(2);
const { verify } = await import(pathToFileURL(`${source}/src/verify.mjs`));
const { hex, sha256, unhex } = await import(pathToFileURL(`${source}/src/bytes.mjs`));
const { canonicalSubject } = await import(pathToFileURL(`${source}/src/subjects.mjs`));

const MET = ["container", "genesis", "epoch-chain", "quorum", "inclusion", "item-root", "authority", "hash-chain", "completeness", "registry-closure", "pairing", "consistency", "receipts"];
const EACH = process.env.CARNET_DIFF_ALL ? Infinity : 25; // vectors of one first fault
const seen = new Map();
const bytesOf = (text) => new Uint8Array(Buffer.from(text, "base64"));
let differing = 0, passed = 0;

for (const name of readdirSync(folder).filter((n) => n.endsWith(".json")).sort()) {
  const { asked, report, rendered } = JSON.parse(readFileSync(`${folder}/${name}`));
  passed += asked.authorities; // of these all but what follows from who made the tokens
  const step = firstFault(report.steps) ?? (report.accepted ? "accepted" : "asked for, not met");
  if ((seen.get(step) ?? 0) >= EACH) continue;
  seen.set(step, (seen.get(step) ?? 0) + 1);
  const zip = new Uint8Array(readFileSync(`${folder}/${name.slice(0, -5)}.zip`));
  const anchors = asked.anchors.map((a) => ({ height: BigInt(a.height), block: unhex(a.block, 32) }));
  const here = verify(zip, asked.genesis, { signatures: asked.signatures, anchors, policy: bytesOf(asked.policy), note: bytesOf(asked.note) });
  const told = difference(report, here, asked.authorities ? BY_AUTHORITIES : []) ?? pagesDiffer(rendered, here, (page) => hex(sha256(page)));
  if (told && differing++ < 20) console.log(`${name}: ${told}`);
}
for (const [step, count] of [...seen].sort()) console.log(`${String(count).padStart(6)} ${step}`);
console.log(`${differing} differ; ${passed} trust time authorities, which only the other verifier checks`);

const subjects = readFileSync(new URL("../../vectors/subjects.txt", import.meta.url), "utf8").split("\n").filter((l) => l && !l.startsWith("#"));
const wrong = subjects.map((l) => l.split("\t")).filter(([uri, canonical]) => (canonicalSubject(uri) ?? "!") !== canonical);
for (const [uri] of wrong) console.log(`another canonical form: ${uri}`);
const unmet = ["accepted", ...MET].filter((step) => !seen.has(step));
if (unmet.length) console.log(`no vector about: ${unmet.join(" ")}`);
process.exit(differing === 0 && wrong.length === 0 && subjects.length > 50 && unmet.length === 0 ? 0 : 1);
