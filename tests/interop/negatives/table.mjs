// Holds what the verifiers said about the negative vectors to the table, and prints it. It fails where the two verifiers
// of Carnet differ from one another, from what the unit test met, or from the step here; where a stock verifier says
// otherwise than here; and where a vector has no row, or a row no vector.
// usage: table.mjs CASES.json ANSWERS.json...
import { readFileSync } from "node:fs";

const REFUSES = "refuses", LAX = "**accepts**", BLIND = "–";
const FORMATS = ["cose", "ics23", "tlog", "evm"];
const none = {};

/** What the design asks for, the vector, the first step that fails, and the formats that see it: the others are given
 * nothing that the forger changed. LAX: it is given the forgery, and takes it. */
const ROWS = [
  ["size or index altered, same path shape", "index_altered_with_the_same_path_shape", "inclusion", { cose: REFUSES, tlog: REFUSES, evm: REFUSES }],
  ["", "size_and_index_altered_in_receipts_with_the_same_path_shape", "receipts", { cose: LAX }],
  ["", "size_altered_in_receipts_with_the_same_path_shape", "receipts", { cose: LAX }],
  ["", "index_altered_in_a_tlog_proof", "receipts", { tlog: REFUSES }],
  ["", "size_and_index_altered_in_a_note_with_the_same_path_shape", "receipts", { tlog: REFUSES }],
  ["", "size_altered_in_the_checkpoint", "quorum", { cose: REFUSES, tlog: REFUSES, evm: REFUSES }],
  ["5-byte suffix", "suffix_of_five_bytes_in_a_state_proof", "completeness", { ics23: LAX }],
  ["", "suffix_of_five_bytes_in_a_proof_of_absence", "completeness", { ics23: LAX }],
  ["duplicate signer", "duplicate_signer_in_the_finalization", "quorum", { evm: REFUSES }],
  ["", "duplicate_signer_in_the_note", "receipts", { tlog: REFUSES }],
  ["", "duplicate_signer_in_receipts", "receipts", none],
  ["high s", "high_s_in_a_vote", "quorum", { evm: REFUSES }],
  ["", "high_s_in_a_receipt", "receipts", { cose: LAX }],
  ["", "high_s_in_a_statement", "signature", none],
  ["vds only in unprotected", "tree_algorithm_only_in_the_unprotected_header", "receipts", { cose: REFUSES }],
  ["retired-epoch signer", "retired_epoch_signer_in_the_finalization", "quorum", { evm: REFUSES }],
  ["", "retired_epoch_signers_alone", "epoch-chain", { evm: REFUSES }],
  ["", "retired_key_in_receipts", "receipts", { cose: REFUSES }],
  ["", "foreign_proof_of_a_retired_epoch", "authority", none],
  ["one-leaf tree", "one_leaf_proof_for_a_larger_log", "inclusion", { cose: REFUSES, tlog: REFUSES, evm: REFUSES }],
  ["", "one_leaf_receipts_for_a_larger_log", "receipts", { cose: REFUSES }],
  ["", "path_claimed_in_a_log_of_one_leaf", "inclusion", { cose: REFUSES, tlog: REFUSES, evm: REFUSES }],
  ["", "root_of_a_larger_log_with_one_leaf_claimed", "inclusion", { cose: REFUSES, tlog: REFUSES, evm: REFUSES }],
  ["", "node_presented_as_a_leaf", "item-root", none],
  ["", "proof_of_the_node_above_the_leaf", "receipts", { cose: REFUSES, tlog: REFUSES }],
  ["body edited, hashes stay", "body_edited_while_hashes_stay", "item-root", none],
  ["one event withheld", "one_event_withheld", "item-root", none],
  ["", "one_event_withheld_by_its_leaf_hash", "redactions", none],
  ["", "one_statement_withheld", "completeness", none],
  ["one device statement skipped", "device_statement_skipped", "completeness", none],
  ["", "device_statement_skipped_by_the_network", "hash-chain", none],
  ["two events swapped", "two_events_swapped", "item-root", none],
  ["", "two_statements_swapped", "inclusion", { cose: REFUSES, tlog: REFUSES, evm: REFUSES }],
  ["", "two_statements_recorded_in_the_other_order", "hash-chain", none],
  ["key used after its revocation", "key_used_after_its_revocation", "authority", none],
  ["", "key_used_after_a_revocation_that_is_withheld", "completeness", none],
];
/** Accepted by both, and by each stock verifier that there is something for: so that a refusal means something. */
const CONTROLS = { control_the_dossier_as_it_was: FORMATS, control_a_log_of_one_leaf: FORMATS, control_nothing_is_recorded: ["ics23"] };

const [casesFile, ...answerFiles] = process.argv.slice(2);
const cases = new Map(JSON.parse(readFileSync(casesFile)).map((c) => [c.name, c]));
const answers = new Map([...cases.keys()].map((name) => [name, {}]));
for (const file of answerFiles)
  for (const [name, told] of Object.entries(JSON.parse(readFileSync(file)))) Object.assign(answers.get(name), told);

const faults = [];
const check = (good, text) => good || faults.push(text);
const same = (a, b) => a.accepted === b.accepted && a.all.join() === b.all.join();

function bothSay(c, step) {
  const both = [c.c, c.js];
  check(same(c.c, c.recorded), `${c.name}: the program and the test of the first verifier differ`);
  check(same(c.c, c.js), `${c.name}: ${c.c.all.join(" ")} by the one, ${c.js.all.join(" ")} by the other`);
  check(both.every((r) => r.accepted === (step === null) && r.step === step), `${c.name}: ${both.map((r) => r.step).join(" and ")}, not ${step}`);
}

/** The refusal of the contract names the step too. */
function stockSays(name, format, expected, step) {
  const told = answers.get(name)[format] ?? "not asked";
  const wanted = expected === REFUSES ? (format === "evm" ? `refuses: ${step}` : "refuses") : expected === LAX ? "accepts" : null;
  check(wanted ? told === wanted : told === "accepts" || told === "nothing", `${name}: ${format} ${told}, expected ${wanted ?? "accepts, or nothing to see"}`);
}

for (const [name, formats] of Object.entries(CONTROLS)) {
  if (!cases.has(name)) check(false, `${name}: no vector`);
  else {
    bothSay(cases.get(name), null);
    for (const format of formats) check(answers.get(name)[format] === "accepts", `${name}: ${format} ${answers.get(name)[format]}`);
  }
}
console.log("| asked for | vector | step (C) | step (JavaScript) | COSE | ICS-23 | tlog | EVM |\n|---|---|---|---|---|---|---|---|");
for (const [design, name, step, stock] of ROWS) {
  const c = cases.get(name);
  check(c, `${name}: no vector`);
  if (!c) continue;
  bothSay(c, step);
  for (const format of FORMATS) stockSays(name, format, stock[format], step);
  console.log(`| ${[design, name.replaceAll("_", " "), c.c.step, c.js.step, ...FORMATS.map((f) => stock[f] ?? BLIND)].join(" | ")} |`);
}
const rows = new Set([...ROWS.map((r) => r[1]), ...Object.keys(CONTROLS)]);
for (const name of cases.keys()) check(rows.has(name), `${name}: no row`);
for (const text of faults) console.log(`FAILED: ${text}`);
process.exit(faults.length ? 1 : 0);
