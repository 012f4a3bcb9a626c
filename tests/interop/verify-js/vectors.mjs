// Runs the verifier over the vectors that the tests of the other one recorded. usage: vectors.mjs SOURCE-DIR VECTORS-DIR
import { readFileSync, readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { difference, firstFault } from "./compare.mjs";

const [source, folder] = process.argv.slice(2);
const { verify } = await import(pathToFileURL(`${source}/src/verify.mjs`));
const { unhex } = await import(pathToFileURL(`${source}/src/bytes.mjs`));

// Not checked by this verifier (docs/verify-js.md): who made a time token, and the readable page.
const OTHERS = new Set(["time", "report"]);
const seen = new Map();
let accepted = 0, differing = 0, passed = 0;

for (const name of readdirSync(folder).filter((n) => n.endsWith(".json")).sort()) {
  const { asked, report } = JSON.parse(readFileSync(`${folder}/${name}`));
  const zip = new Uint8Array(readFileSync(`${folder}/${name.slice(0, -5)}.zip`));
  if (asked.authorities || OTHERS.has(firstFault(report.steps))) {
    passed++;
    continue;
  }
  const anchors = asked.anchors.map((a) => ({ height: BigInt(a.height), block: unhex(a.block, 32) }));
  const mine = verify(zip, asked.genesis, { signatures: asked.signatures, anchors });
  const told = difference(report, mine);
  const step = firstFault(report.steps) ?? (report.accepted ? "accepted" : "not met");
  seen.set(step, (seen.get(step) ?? 0) + 1);
  accepted += report.accepted;
  if (told && differing++ < 20) console.log(`${name}: ${told}`);
}
for (const [step, count] of [...seen].sort()) console.log(`${String(count).padStart(6)} ${step}`);
console.log(`${differing} differ; ${passed} are about what only the other verifier checks`);
process.exit(differing === 0 && accepted > 0 && seen.size > 8 ? 0 : 1);
