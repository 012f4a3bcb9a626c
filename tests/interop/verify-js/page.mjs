// Runs the page's own script over the few parts of a document that it uses, without a network. usage: page.mjs PAGE.html VECTORS-DIR
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import vm from "node:vm";

const [page, folder] = process.argv.slice(2);
const html = readFileSync(page, "utf8"), script = /<script>([^]*)<\/script>/.exec(html)[1];

function element() {
  const e = { children: [], listeners: {}, value: "", textContent: "", className: "" };
  e.appendChild = (c) => e.children.push(c);
  e.replaceChildren = (...list) => (e.children = list);
  e.addEventListener = (name, f) => (e.listeners[name] = f);
  return e;
}

const elements = Object.fromEntries([...html.matchAll(/ id="([a-z]+)"/g)].map((m) => [m[1], element()]));
const document = { getElementById: (id) => elements[id], createElement: element };
vm.runInNewContext(script, { document, TextDecoder, TextEncoder, atob, btoa, crypto });

function need(condition, text) {
  if (condition) return;
  console.log(`page: ${text}`);
  process.exit(1);
}

async function show(zip, digest) {
  elements.digest.value = digest;
  await elements.drop.listeners.drop({ preventDefault() {}, dataTransfer: { files: [{ arrayBuffer: async () => zip.buffer.slice(zip.byteOffset, zip.byteOffset + zip.length) }] } });
  return { verdict: elements.verdict.textContent, rows: elements.steps.children.map((tr) => tr.children.map((td) => td.textContent)) };
}

const vectors = readdirSync(folder).filter((n) => n.endsWith(".json")).sort().map((n) => ({ ...JSON.parse(readFileSync(`${folder}/${n}`)), zip: readFileSync(`${folder}/${n.slice(0, -5)}.zip`) }));
const good = vectors.find((v) => v.report.accepted && v.report.statements > 1), bad = vectors.find((v) => v.report.steps.some((s) => s.step === "quorum" && s.verdict === "failed"));
const accepted = await show(good.zip, good.asked.genesis);
need(accepted.verdict.startsWith("Accepted: ") && accepted.rows.filter((r) => r[0] === "ok").length >= 15, `an accepted dossier shows "${accepted.verdict}"`);
const refused = await show(bad.zip, bad.asked.genesis);
need(refused.verdict === "NOT accepted" && refused.rows.some((r) => r[0] === "failed" && r[1] === "quorum"), `a refused dossier shows "${refused.verdict}"`);
need((await show(good.zip, "00")).rows.length === 0, "a digest that is none is taken");
need((await show(good.zip, "0".repeat(64))).rows.some((r) => r[0] === "failed" && r[1] === "genesis"), "another network's digest is taken");
need(html.includes(`'sha256-${createHash("sha256").update(script).digest("base64")}'`) && html.includes("default-src 'none'"), "its policy does not name its script alone");
need(!/\b(?:src|href)\s*=|@import|url\(/i.test(html.replace(script, "")), "it refers to something outside of it");
console.log(`page of ${html.length} bytes: accepted and refused as it must`);
