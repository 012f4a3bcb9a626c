// The steps of audit-format.md, in their order, each with its own verdict: the first fault with its place, and how many.
import { sha256 } from "@noble/hashes/sha2.js";
import { Fault, compare, equal, hex, leafHash, unhex } from "./bytes.mjs";
import { openContainer } from "./container.mjs";
import { NORMAL, advanceEpoch, checkFinalization, readDossier } from "./layouts.mjs";
import { networkId, readGenesis, tagOf } from "./genesis.mjs";
import { verifyInclusion } from "./merkle.mjs";
import { isErased, itemFault, readStatement } from "./statement.mjs";
import { Authority } from "./authority.mjs";
import { checkPairings, checkRedactions, checkTrees, followTies } from "./trees.mjs";
import { itemSubjects } from "./items.mjs";
import { checkReport, renderReport } from "./report.mjs";
import { checkAnchors, checkConsistency, checkPolicy, checkSealed } from "./outside.mjs";
import { checkTokens } from "./time.mjs";

export const REQUIRED = [
  "container", "genesis", "epoch-chain", "quorum", "inclusion", "signature", "item-root", "authority", "hash-chain",
  "completeness", "registry-closure", "pairing", "declared-subjects", "consistency", "redactions",
];
export const STEPS = [...REQUIRED, "receipts", "epoch-anchor", "witness-policy", "time", "report"];

class Verifier {
  constructor() {
    this.steps = STEPS.map((step) => ({ step, verdict: "not-checked", reason: "an earlier step failed" }));
    this.statements = [];
  }

  of(step) {
    return this.steps[STEPS.indexOf(step)];
  }

  fault(step, where, reason) {
    const s = this.of(step);
    if (s.verdict === "failed") s.faults++;
    else Object.assign(s, { verdict: "failed", where, reason, faults: 1 });
  }

  holds(step) {
    const s = this.of(step);
    if (s.verdict !== "not-checked") return;
    s.verdict = "ok";
    delete s.reason;
  }

  notChecked(step, reason) {
    if (this.of(step).verdict === "not-checked") this.of(step).reason = reason;
  }

  failed(step) {
    return this.of(step).verdict === "failed";
  }

  /** Runs what may fault as a whole; true when it did not. */
  guarded(step, where, check) {
    try {
      check();
      return true;
    } catch (e) {
      if (!(e instanceof Fault)) throw e;
      this.fault(step, where, e.message);
      return false;
    }
  }
}

// ---- genesis, epochs, quorum ----

function checkGenesis(v, digest) {
  const bytes = v.dossier.files.get("genesis.json"), found = networkId(bytes);
  if (!equal(found, digest)) return v.fault("genesis", "genesis.json", `has digest ${hex(found)}, not the one given`);
  v.guarded("genesis", "genesis.json", () => (v.genesis = readGenesis(bytes)));
  v.holds("genesis");
}

function checkEpochs(v) {
  const { headers, epochs } = v.dossier, newest = headers[0].epoch, g = v.genesis;
  const fault = (where, text) => v.fault("epoch-chain", where, text);
  v.epoch = { epoch: 1n, height: 0n, digest: g.setDigest, rows: g.rows };
  if (newest - 1n !== BigInt(epochs.length)) fault("checkpoint.bin", `the checkpoint is of epoch ${newest}, and ${epochs.length} changes of the validators are here`);
  for (let i = 0; i < epochs.length && !v.failed("epoch-chain"); i++) {
    const e = epochs[i], where = `epochs/${String(e.epoch).padStart(20, "0")}.bin`;
    if (e.epoch !== BigInt(i + 2)) fault(where, `the change that began epoch ${i + 2} is missing`);
    else v.guarded("epoch-chain", where, () => (v.epoch = advanceEpoch(v.epoch, g.network, e.closing, e.finalization, e.rows)));
  }
  headers.forEach((h, i) => {
    if (h.epoch !== newest || !equal(h.set, v.epoch.digest) || h.height <= v.epoch.height) fault("checkpoint.bin", `header ${i} is not of epoch ${newest} and its validators`);
  });
  v.holds("epoch-chain");
}

function checkQuorum(v) {
  const { headers, finalization, manifest } = v.dossier, fault = (text) => v.fault("quorum", "checkpoint.bin", text);
  for (let i = 1; i < headers.length; i++)
    if (!equal(headers[i].parent, headers[i - 1].digest) || headers[i].height !== headers[i - 1].height + 1n) fault(`header ${i} does not follow the one before`);
  if (headers[0].kind === NORMAL || headers[0].height !== manifest.checkpoint) fault("the first header is not the checkpoint that the manifest names");
  if (headers[0].epoch !== v.epoch.epoch) fault(`who may finalize epoch ${headers[0].epoch} is not proved`);
  else v.guarded("quorum", "checkpoint.bin", () => checkFinalization(v.epoch, v.genesis.network, finalization, headers[headers.length - 1].digest));
  v.holds("quorum");
}

// ---- statements ----

function checkStatement(v, st) {
  const { logSize, logRoot } = v.dossier.headers[0];
  if (!v.guarded("inclusion", st.name, () => (st.s = readStatement(st.whole)))) return;
  if (!verifyInclusion(leafHash(st.s.recordDigest), st.index, logSize, st.path, logRoot)) v.fault("inclusion", st.name, `its path does not lead from log index ${st.index} to the log root`);
  if (!equal(st.s.network, v.genesis.network)) v.fault("signature", st.name, "it was signed for another network");
  const wrong = itemFault(st.s);
  if (wrong) v.fault("item-root", st.name, wrong);
}

function covered(batch, item, tag) {
  return batch.entries.some((e) => e.start <= item && item - e.start < e.count && compare(e.subject, tag) === 0);
}

function checkContent(v) {
  for (const { s, name } of v.statements) {
    if (!s || s.kind !== "batch") continue;
    s.items.forEach((item, i) =>
      v.guarded("declared-subjects", name, () => {
        for (const uri of isErased(item) ? [] : (itemSubjects(item) ?? []))
          if (!covered(s.batch, i, tagOf(v.genesis, uri))) v.fault("declared-subjects", name, `item ${i} names ${uri.slice(0, 120)}, which its signer did not declare`);
      }),
    );
  }
}

function checkStatements(v) {
  const d = v.dossier;
  v.statements = d.statements;
  for (const s of d.subjects) d.bySubject.set(hex(s.tag), s);
  for (const st of d.statements) d.byIndex.set(st.index, Object.assign(st, { s: null }));
  for (const st of d.statements) checkStatement(v, st);
  followTies(v);
  v.authority = new Authority(v);
  v.authority.run();
  checkTrees(v);
  checkPairings(v);
  checkContent(v);
  checkConsistency(v);
  checkRedactions(v);
  for (const step of REQUIRED.slice(REQUIRED.indexOf("inclusion"))) v.holds(step);
}

function checkOutside(v, options) {
  if (!v.failed("epoch-chain")) checkSealed(v, options.signatures ?? 0);
  if (!v.failed("epoch-chain")) checkTokens(v);
  if (!v.failed("epoch-chain") && !v.failed("quorum")) checkAnchors(v, options.anchors ?? []);
  if (!v.failed("epoch-chain")) checkPolicy(v, options);
  checkReport(v);
}

function conclude(v, options) {
  const wanted = [...REQUIRED];
  if (options.signatures) wanted.push("receipts");
  if (options.anchors?.length) wanted.push("epoch-anchor");
  if (options.policy?.length) wanted.push("witness-policy");
  return v.steps.every((s) => s.verdict === "ok" || (s.verdict === "not-checked" && !wanted.includes(s.step)));
}

/**
 * bytes: the dossier, a Uint8Array. genesisDigest: 32 bytes or 64 lower-case hexadecimal digits. options: signatures
 * (how many validators' receipts are wanted), anchors ([{height: BigInt, block: 32 bytes}]),
 * policy and note (C2SP tlog-policy, and a signed note with more cosignatures than the dossier's; bytes). readable() of the result makes
 * the readable page from what was verified, as bytes; null where the genesis is another.
 */
export function verify(bytes, genesisDigest, options = {}) {
  const digest = typeof genesisDigest === "string" ? unhex(genesisDigest, 32) : genesisDigest;
  if (!digest || digest.length !== 32) throw new TypeError("the genesis digest has 32 bytes, or 64 lower-case hexadecimal digits");
  const v = new Verifier(), report = { accepted: false, subject: "", absent: false, checkpoint: null, timeMs: null, statements: 0, pageSha256: null };
  if (v.guarded("container", "zip", () => (v.dossier = readDossier(openContainer(bytes))))) {
    v.holds("container");
    report.subject = v.dossier.manifest.subject;
    const page = v.dossier.files.get("verify.html"); // it proves nothing: for people who know its digest
    if (page) report.pageSha256 = hex(sha256(page));
    checkGenesis(v, digest);
    if (!v.failed("genesis")) {
      checkEpochs(v);
      checkQuorum(v);
      checkStatements(v);
      checkOutside(v, options);
      const h = v.dossier.headers[0], subject = v.dossier.bySubject.get(hex(v.dossier.manifest.tag));
      Object.assign(report, { checkpoint: h.height, timeMs: h.timeMs, statements: v.statements.length, absent: v.dossier.manifest.kind === "subject" && !!subject && !subject.present });
    }
  }
  return { ...report, accepted: conclude(v, options), steps: v.steps, readable: () => (v.genesis ? renderReport(v) : null) };
}
