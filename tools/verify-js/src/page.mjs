// The page: a digest, a file, the verdicts. All text goes in as text.
import { verify } from "./verify.mjs";

const at = (id) => document.getElementById(id);
let chosen = null;

function say(text, kind) {
  at("verdict").textContent = text;
  at("verdict").className = kind;
}

function row(step) {
  const tr = document.createElement("tr");
  const cells = [step.verdict, step.step, [step.where, step.reason, step.faults > 1 ? `(${step.faults} faults)` : null].filter(Boolean).join(": ")];
  for (const text of cells) {
    const td = document.createElement("td");
    td.textContent = text;
    tr.appendChild(td);
  }
  tr.className = step.verdict;
  return tr;
}

async function run() {
  at("steps").replaceChildren();
  const digest = at("digest").value.trim().toLowerCase();
  if (!chosen) return say("", "");
  if (!/^[0-9a-f]{64}$/.test(digest)) return say("The genesis digest has 64 hexadecimal digits.", "failed");
  try {
    const report = verify(new Uint8Array(await chosen.arrayBuffer()), digest);
    say(report.accepted ? `Accepted: ${report.subject}${report.absent ? " (nothing is recorded about it)" : ""}` : "NOT accepted", report.accepted ? "ok" : "failed");
    at("steps").replaceChildren(...report.steps.map(row));
  } catch (e) {
    say(`The file could not be verified: ${e.message}`, "failed");
  }
}

function choose(list) {
  chosen = list[0] ?? null;
  return run();
}

at("file").addEventListener("change", (e) => choose(e.target.files));
at("digest").addEventListener("change", run);
at("drop").addEventListener("dragover", (e) => e.preventDefault());
at("drop").addEventListener("drop", (e) => {
  e.preventDefault();
  return choose(e.dataTransfer.files);
});
