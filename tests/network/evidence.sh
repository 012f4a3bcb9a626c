#!/usr/bin/env bash
# R10: a validator signs conflicting votes. Its peers keep the proof and raise the alarm, commits go on, and the exported
# proof verifies offline from the genesis digest; a changed one, or one against another network, does not.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-18100}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

metric() { get "$1" /metrics | awk -v name="$2" '$1 == name { print $2 }'; }
proved() { grep -c "EVIDENCE: bank" "$net/exporter/carnetd.log" || true; }

up
digest=$(cat "$net/genesis.digest")
commit exporter carrier before >/dev/null || fail "no statement became final"
"$carnet" evidence export --api "$(api exporter)" --out "$work/none.json" >/dev/null || fail "export without evidence"
"$carnet" evidence verify --genesis "$digest" "$work/none.json" | grep -q "^0 proofs" || fail "an innocent network"

"$carnet" testnet stop bank --dir "$net" || fail "stop bank"
view=$(status_of exporter view)
"$bin/../tests/network/liar" "$net/genesis.json" "$net/bank/keys" bank "127.0.0.1:$base" "$view" || fail "the liar could not link"
enough() { [ "$(proved)" -ge 2 ]; }
wait_for 20 enough || fail "the exporter did not notice: $(proved) proofs in its log"
grep -q "bank notarized two blocks in view $view" "$net/exporter/carnetd.log" || fail "no proof of two notarize votes"
grep -q "bank finalized" "$net/exporter/carnetd.log" || fail "no proof of the finalize vote"
[ "$(metric exporter carnet_evidence_total)" -ge 2 ] || fail "no alarm in /metrics"
pass "$(proved) proofs, alarm raised"

wait_for 20 grep -q "bank sent 32 messages that no honest node sends: cut off for 1 s" "$net/exporter/carnetd.log" ||
    fail "a peer that sends garbage is not cut off"
pass "a peer that sends garbage is cut off"

commit exporter carrier after >/dev/null || fail "commits do not go on beside a Byzantine validator"
"$carnet" testnet kill exporter --dir "$net" && "$carnet" testnet start exporter --dir "$net" || fail "restart the exporter"
wait_for 30 get exporter /livez >/dev/null || fail "the exporter does not come back"
"$carnet" evidence export --api "$(api exporter)" --out "$work/proof.json" >/dev/null || fail "export"
"$carnet" evidence verify --genesis "$digest" "$work/proof.json" >"$work/verified" || fail "verify: $(cat "$work/verified")"
[ "$(grep -c '^proved: ' "$work/verified")" -ge 2 ] || fail "the proofs were not kept: $(cat "$work/verified")"
pass "the proofs survived a kill -9 and verify offline"

refuses() { # refuses WHAT GENESIS FILE
    if "$carnet" evidence verify --genesis "$2" "$3" >"$work/verified" 2>&1; then fail "accepted $1"; fi
}
perl -MJSON::PP -MMIME::Base64 -0777 -ne '
    my $b = decode_json($_); my $e = decode_base64($b->{evidence}[0]);
    substr($e, -1) ^= "\x01"; $b->{evidence}[0] = encode_base64($e, ""); print encode_json($b)' \
    "$work/proof.json" >"$work/bit.json"
refuses "a changed signature" "$digest" "$work/bit.json"
perl -MJSON::PP -MMIME::Base64 -0777 -ne '
    my $b = decode_json($_); my $e = decode_base64($b->{evidence}[0]);
    substr($e, 18, 1) = chr((ord(substr $e, 18, 1) + 1) % 4); $b->{evidence}[0] = encode_base64($e, ""); print encode_json($b)' \
    "$work/proof.json" >"$work/signer.json"
refuses "another signer" "$digest" "$work/signer.json"
refuses "another network" "$(printf '%064d' 1)" "$work/proof.json"
pass "changed proofs are refused"
"$carnet" testnet start bank --dir "$net" || fail "start bank"
expect_same_headers
down_and_check
