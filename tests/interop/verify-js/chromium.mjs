// The page in a headless Chromium, from file:// and without a network: an accepted dossier, then one of another network.
// usage: chromium.mjs CHROMIUM PAGE.html VECTORS-DIR
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [program, page, folder] = process.argv.slice(2);
const profile = mkdtempSync(`${tmpdir()}/carnet-page-`);
const args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--proxy-server=127.0.0.1:1", `--user-data-dir=${profile}`, "--remote-debugging-pipe", String(pathToFileURL(resolve(page)))];
const child = spawn(program, args, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], detached: true });

function finish(status, text) {
  console.log(text);
  child.once("exit", async () => {
    for (let tries = 0; tries < 50; tries++) { // its helpers may write for a moment longer
      try {
        rmSync(profile, { recursive: true, force: true });
        break;
      } catch {
        await pause(100);
      }
    }
    process.exit(status);
  });
  process.kill(-child.pid, "SIGKILL"); // its group: it starts processes of its own
}
child.once("error", (e) => {
  console.log(`chromium: ${e.message}`);
  process.exit(1);
});
setTimeout(() => finish(1, "chromium: no answer in 90 s"), 90000).unref();

// ---- the protocol: JSON, each message ended by NUL ----

const waiting = new Map();
let last = 0, buffer = "";
child.stdio[4].setEncoding("utf8").on("data", (text) => {
  const parts = (buffer + text).split("\0");
  buffer = parts.pop();
  for (const part of parts) {
    const m = JSON.parse(part), done = waiting.get(m.id);
    waiting.delete(m.id);
    if (done) m.error ? done.reject(new Error(m.error.message)) : done.resolve(m.result);
  }
});

function call(method, params = {}, sessionId = undefined) {
  child.stdio[3].write(JSON.stringify({ id: ++last, method, params, sessionId }) + "\0");
  return new Promise((done, failed) => waiting.set(last, { resolve: done, reject: failed }));
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function until(ask) {
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    await pause(100);
  }
}

const vectors = readdirSync(folder).filter((n) => n.endsWith(".json")).sort();
const name = vectors.find((n) => {
  const { report } = JSON.parse(readFileSync(`${folder}/${n}`));
  return report.accepted && report.statements > 1;
});
const { asked } = JSON.parse(readFileSync(`${folder}/${name}`));
const zip = resolve(`${folder}/${name.slice(0, -5)}.zip`);

try {
  const target = await until(async () => (await call("Target.getTargets")).targetInfos.find((t) => t.type === "page" && t.url.startsWith("file:")));
  const { sessionId } = await call("Target.attachToTarget", { targetId: target.targetId, flatten: true });
  const value = async (expression) => (await call("Runtime.evaluate", { expression, returnByValue: true }, sessionId)).result.value;
  // the target has its address before the page is there: an empty document is complete too
  await until(() => value("document.readyState === 'complete' && document.getElementById('file') !== null"));
  const file = async () => { // asked anew each time, since node ids end with their document
    const { root } = await call("DOM.getDocument", {}, sessionId);
    return (await call("DOM.querySelector", { nodeId: root.nodeId, selector: "#file" }, sessionId)).nodeId;
  };
  const show = async (digest) => {
    await value(`document.getElementById("verdict").textContent = ""; document.getElementById("digest").value = "${digest}"; 1`);
    await call("DOM.setFileInputFiles", { nodeId: await file(), files: [zip] }, sessionId);
    await value(`document.getElementById("digest").dispatchEvent(new Event("change")); 1`);
    return until(() => value(`document.getElementById("verdict").textContent`));
  };
  const good = await show(asked.genesis), held = await value(`document.querySelectorAll("#steps tr.ok").length`);
  const bad = await show("0".repeat(64)), failed = await value(`document.querySelector("#steps tr.failed td:nth-child(2)").textContent`);
  const loaded = await value(`performance.getEntriesByType("resource").length`);
  const right = good.startsWith("Accepted: ") && held >= 15 && bad === "NOT accepted" && failed === "genesis" && loaded === 0;
  finish(right ? 0 : 1, `chromium: "${good}", ${held} steps hold; "${bad}" at ${failed}; ${loaded} things loaded`);
} catch (e) {
  finish(1, `chromium: ${e.message}`);
}
