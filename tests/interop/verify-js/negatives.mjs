// The negative vectors of the design, each by the tests that make it: which steps both verifiers fail, in a table. The
// vectors were recorded by the tests of the other verifier, which hold each to its step and its reason.
// usage: negatives.mjs SOURCE-DIR VECTORS-DIR
import { readFileSync, readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { difference } from "./compare.mjs";

const [source, folder] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${source}/${name}`));
const { verify } = await load("src/verify.mjs");

/** Vector, first step that fails, the tests that make it. */
const VECTORS = [
  ["index altered, path of the same shape", "inclusion", ["an_index_altered_with_the_same_path"]],
  ["size altered in a receipt, path of the same shape", "receipts", ["a_receipt_of_another_size_with_the_same_path_shape_is_refused"]],
  ["5-byte suffix in a state proof", "completeness", ["refuses_a_state_proof_with_a_longer_suffix"]],
  ["duplicate signer of a finalization", "quorum", ["a_certificate_with_a_duplicate_signer", "refuses_a_signer_counted_twice"]],
  ["duplicate signer of note or receipts", "receipts", ["a_validator_counts_once"]],
  ["high s in a vote", "quorum", ["a_high_s_signature"]],
  ["high s in a receipt", "receipts", ["a_high_s_signature_is_refused"]],
  ["tree algorithm (vds) only unprotected", "receipts", ["a_receipt_whose_tree_algorithm_is_only_unprotected_is_refused"]],
  ["signer of a retired epoch", "epoch-chain", ["a_retired_members_signature_counts_no_more", "the_set_that_is_retired_must_have_signed"]],
  ["foreign proof of a retired epoch", "authority", ["nothing_of_a_retired_epoch"]],
  ["one-leaf tree, in a receipt", "receipts", ["a_proof_of_a_one_leaf_tree_is_refused"]],
  ["one-leaf tree, in a statement's path", "inclusion", ["a_proof_of_a_one_leaf_tree_is_refused"]],
  ["content edited under unchanged hashes", "item-root", ["one_byte_of_an_item", "names_the_item_root_when_one_byte_of_an_item_changed"]],
  ["one event withheld", "item-root", ["names_the_item_root_when_one_event_was_removed"]],
  ["one statement withheld", "completeness", ["names_completeness_when_a_statement_is_withheld", "an_event_removed"]],
  ["one statement of a device skipped", "hash-chain", ["names_the_hash_chain"]],
  ["two events swapped", "item-root", ["names_the_item_root_when_two_events_were_swapped"]],
  ["two statements swapped", "inclusion", ["names_the_inclusion_when_statements_are_swapped_or_moved", "two_events_swapped"]],
  ["key used after its revocation", "authority", ["names_the_authority_when_the_key_was_revoked_before", "a_key_that_was_revoked_before"]],
];

const byTest = new Map();
for (const name of readdirSync(folder).filter((n) => n.endsWith(".json")).sort()) {
  const vector = JSON.parse(readFileSync(`${folder}/${name}`));
  if (vector.report.accepted) continue;
  byTest.set(vector.test, [...(byTest.get(vector.test) ?? []), { ...vector, zip: `${folder}/${name.slice(0, -5)}.zip` }]);
}

const firstFailed = (r) => r.steps.find((s) => s.verdict === "failed")?.step ?? "none";
let wrong = 0;
console.log("| vector | C | JavaScript | dossiers |\n|---|---|---|---|");
for (const [what, step, tests] of VECTORS) {
  const made = tests.flatMap((t) => byTest.get(t) ?? []).filter((v) => firstFailed(v.report) === step);
  const here = made.map((v) => verify(new Uint8Array(readFileSync(v.zip)), v.asked.genesis, { signatures: v.asked.signatures }));
  const differ = made.filter((v, i) => difference(v.report, here[i]) || here[i].accepted || firstFailed(here[i]) !== step).length;
  if (made.length === 0 || differ) wrong++;
  console.log(`| ${what} | ${made.length ? step : "NO VECTOR"} | ${differ ? `${differ} DIFFER` : made.length ? step : "-"} | ${made.length} |`);
}
if (wrong) console.log(`${wrong} vectors are not refused by both with the same step`);
process.exit(wrong ? 1 : 0);
