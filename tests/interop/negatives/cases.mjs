// What both verifiers say about each negative vector, and what the stock verifiers are to be asked about it: the parts of
// its dossier in their formats, taken out without judging them.
// usage: cases.mjs VERIFIER-DIR VECTORS-DIR VERIFY-MANY >CASES.json
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [source, folder, verifyMany] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${source}/src/${name}.mjs`));
const { verify } = await load("verify");
const { base64, concat, hex, leafHash, sha256, tagged, u64 } = await load("bytes");
const { openContainer } = await load("container");
const { readGenesis } = await load("genesis");
const { readSet } = await load("keys");
const { noteKeyId } = await load("note");
const { SUBJECT, stateKey } = await load("ics23");
const { secp256k1 } = await import(pathToFileURL(`${source}/node_modules/@noble/curves/secp256k1.js`));

/** Tests of other suites that make a vector, and what it is called here. */
const ELSEWHERE = { nothing_of_a_retired_epoch: "foreign_proof_of_a_retired_epoch" };
const HEADER = 229, ROW = 182;
const number = (bytes, at, n) => Number(BigInt(`0x${hex(bytes.subarray(at, at + n))}`));
const firstFailed = (report) => report.steps.find((s) => s.verdict === "failed")?.step ?? null;
const allFailed = (report) => report.steps.filter((s) => s.verdict === "failed").map((s) => s.step);

/** Fields 1 and 2 of a SignedStatement: the record. */
function recordOf(bytes) {
  let at = 0;
  for (let k = 0; k < 2; k++) {
    let n = 0, shift = 0;
    for (at++; bytes[at] & 0x80; shift += 7) n |= (bytes[at++] & 0x7f) << shift;
    n |= bytes[at++] << shift;
    at += n;
  }
  return bytes.subarray(0, at);
}

const vkey = (name, type, key) => `${name}+${hex(noteKeyId(Buffer.from(name), type, key))}+${base64(concat(Uint8Array.of(type), key))}`;

/** v of each signature: the one that leads to the key of the row, as an exporter finds it; 27 where none does. */
function recoveries(certificate, network, rows) {
  const n = certificate[49], bitmap = certificate.subarray(50, 50 + Math.ceil(n / 8)), v = [];
  const digest = tagged("carnet/vote", network, u64(BigInt(number(certificate, 1, 8))), certificate.subarray(0, 1), certificate.subarray(9, 17), certificate.subarray(17, 49));
  for (let i = 0, at = 50 + bitmap.length; i < n; i++) {
    if (!((bitmap[i >> 3] >> (i & 7)) & 1)) continue;
    const signature = secp256k1.Signature.fromBytes(certificate.subarray(at, at + 64), "compact");
    const leadsTo = (bit) => {
      try {
        return hex(signature.addRecoveryBit(bit).recoverPublicKey(digest).toBytes(true)) === hex(rows[i].vote);
      } catch {
        return false;
      }
    };
    v.push(leadsTo(1) ? 28 : 27);
    at += 64;
  }
  return Uint8Array.from(v);
}

function partsOf(name, zip) {
  const { files } = openContainer(zip);
  const genesis = readGenesis(files.get("genesis.json"));
  const of = (prefix) => [...files].filter(([file]) => file.startsWith(prefix));
  const checkpoint = files.get("checkpoint.bin"), count = number(checkpoint, 1, 4), headers = checkpoint.subarray(5, 5 + count * HEADER);
  const epochs = of("epochs/").map(([, b]) => ({ height: number(b, 1 + 13, 8), rows: b.subarray(1 + HEADER + 4 + number(b, 1 + HEADER, 4)) }));
  const rowBytes = epochs.at(-1)?.rows ?? concat(...genesis.rows.map((r) => concat(r.member, r.vote, r.evm, r.receipt, r.cosignature, r.log)));
  const rows = readSet(rowBytes), certificate = checkpoint.subarray(5 + count * HEADER);

  const statements = of("statements/").map(([file, b]) => {
    const path = Array.from({ length: b[1] }, (_, i) => b.subarray(2 + 32 * i, 34 + 32 * i));
    return { index: Number(file.slice(11, 31)), entry: sha256(recordOf(b.subarray(2 + 32 * b[1]))), path };
  });
  const entryOf = (file) => {
    const s = statements.find((x) => x.index === Number(file.match(/\d{20}/)[0]));
    if (name !== "proof_of_the_node_above_the_leaf" || s.index !== 17) return s.entry;
    return concat(s.path[0], leafHash(s.entry)); // 64 bytes: what the node is the hash of
  };
  const origin = Buffer.from(files.get("checkpoint.note") ?? "").toString().split("\n")[0];
  const memberOf = new Map(genesis.members.map((m) => [hex(m.id), m.name]));
  return {
    receiptKeys: rows.map((r) => hex(r.receipt)),
    receipts: of("receipts/").map(([file, b]) => ({ entry: hex(entryOf(file)), array: hex(b) })),
    vkeys: origin ? rows.flatMap((r) => [vkey(origin, 1, r.log), vkey(`${origin}/${memberOf.get(hex(r.member))}`, 4, r.cosignature)]) : [],
    wanted: Math.floor((rows.length - 1) / 3) + 1,
    tlog: of("tlog/").map(([file, b]) => ({ entry: hex(entryOf(file)), proof: hex(b) })),
    stateRoot: hex(headers.subarray(101, 133)),
    states: of("subjects/").map(([file, b]) => ({
      key: hex(stateKey(genesis.salt, SUBJECT, Buffer.from(file.slice(9, 73), "hex"))),
      present: b[1] === 1,
      proof: hex(b.subarray(6, 6 + number(b, 2, 4))),
    })),
    evm: {
      network: hex(genesis.network),
      epoch: epochs.length + 1,
      closing: epochs.at(-1)?.height ?? 0,
      rows: hex(rowBytes),
      headers: hex(headers),
      certificate: hex(certificate),
      v: hex(recoveries(certificate, genesis.network, rows)),
      statements: statements.map((s) => ({ index: s.index, entry: hex(s.entry), path: s.path.map(hex) })),
    },
  };
}

const vectors = readdirSync(folder).filter((n) => n.endsWith(".json")).map((n) => ({ ...JSON.parse(readFileSync(`${folder}/${n}`)), zip: `${folder}/${n.slice(0, -5)}.zip` }));
const asked = vectors.filter((v) => v.suite === "negatives" || v.test in ELSEWHERE).map((v) => ({ ...v, test: ELSEWHERE[v.test] ?? v.test })).sort((a, b) => (a.test < b.test ? -1 : 1));
const again = execFileSync(verifyMany, { input: asked.map((v) => `${v.asked.genesis} ${v.zip}\n`).join(""), maxBuffer: 1 << 28 }).toString().trim().split("\n").map((l) => JSON.parse(l));
console.log(JSON.stringify(asked.map((v, i) => {
  const zip = new Uint8Array(readFileSync(v.zip)), here = verify(zip, v.asked.genesis, {});
  const c = again[i];
  return {
    name: v.test,
    c: { accepted: c.accepted, step: firstFailed(c), all: allFailed(c) },
    recorded: { accepted: v.report.accepted, all: allFailed(v.report) },
    js: { accepted: here.accepted, step: firstFailed(here), all: allFailed(here) },
    ...partsOf(v.test, zip),
  };
})));
