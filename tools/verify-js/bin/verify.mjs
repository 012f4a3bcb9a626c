#!/usr/bin/env node
// Verifies an audit dossier: verify.mjs --genesis DIGEST [--signatures N] [--anchor HEIGHT:DIGEST]... [--policy FILE [--note FILE]] [--report OUT] [--json] FILE
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { unhex } from "../src/bytes.mjs";
import { verify } from "../src/verify.mjs";

const USAGE = "usage: verify.mjs --genesis DIGEST [--signatures N] [--anchor HEIGHT:DIGEST]... [--policy FILE [--note FILE]] [--report OUT] [--json] FILE";

function usage(text) {
  process.stderr.write(`${text}\n${USAGE}\n`);
  process.exit(2);
}

function anchor(text) {
  const m = /^([0-9]{1,19}):([0-9a-f]{64})$/.exec(text) ?? usage(`"${text}" is not HEIGHT:DIGEST`);
  return { height: BigInt(m[1]), block: unhex(m[2], 32) };
}

const bytesOf = (path) => new Uint8Array(readFileSync(path));

function read() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { genesis: { type: "string" }, signatures: { type: "string" }, anchor: { type: "string", multiple: true }, policy: { type: "string" }, note: { type: "string" }, report: { type: "string" }, json: { type: "boolean" } },
    });
    if (positionals.length !== 1 || !unhex(values.genesis, 32)) usage("a genesis digest of 64 lower-case hexadecimal digits and one file");
    if (values.signatures && !/^([1-9]|[12][0-9]|3[0-2])$/.test(values.signatures)) usage("--signatures is a number from 1 to 32");
    if (values.note && !values.policy) usage("--note goes with --policy");
    const options = { signatures: Number(values.signatures ?? 0), anchors: (values.anchor ?? []).map(anchor), policy: values.policy && bytesOf(values.policy), note: values.note && bytesOf(values.note) };
    return { bytes: bytesOf(positionals[0]), genesis: values.genesis, json: values.json, report: values.report, options };
  } catch (e) {
    return usage(e.message);
  }
}

const MARKS = { ok: "ok    ", failed: "FAILED", "not-checked": "-     " };
const asked = read();
const report = verify(asked.bytes, asked.genesis, asked.options);
if (asked.json) {
  process.stdout.write(JSON.stringify(report, (_, value) => (typeof value === "bigint" ? Number(value) : value), 2) + "\n");
} else {
  for (const s of report.steps) process.stdout.write(`${MARKS[s.verdict]} ${s.step}${s.where ? ` ${s.where}` : ""}${s.reason ? `: ${s.reason}` : ""}\n`);
  process.stdout.write(report.accepted ? "accepted\n" : "NOT accepted\n");
}
if (asked.report && report.accepted) {
  try {
    writeFileSync(asked.report, report.readable());
  } catch (e) {
    process.stderr.write(`${e.message}\n`);
    process.exit(2);
  }
}
process.exit(report.accepted ? 0 : 1);
