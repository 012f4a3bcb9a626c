#!/usr/bin/env bash
# A node that catches up from peers which leave the content out: it says what is missing, does not take it for erased, and gets it back from
# the first honest peer, also after a restart; what was ordered to be erased stays so.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-18380}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

traitor=$bin/../tests/network/traitor
subject=urn:epc:id:sgtin:0614141.107346.2019
digest=
key() { echo "$net/$1/keys/capture.key"; }
erasures() { get "$1" /v1/status | FIELD=$2 perl -MJSON::PP -0777 -ne 'print decode_json($_)->{erasures}{$ENV{FIELD}} // "none"'; }
missing() { [ "$(erasures customs content_missing)" = "$1" ]; }
carried_out() { [ "$(erasures "$1" carried_out)" = 1 ]; }
verdict() { # of a fresh audit by customs; what fails goes to $work/verdict
    "$carnet" audit --api "$(api customs)" --subject "$subject" --out "$work/audit.zip" >/dev/null || fail "audit"
    "$carnet" verify --genesis "$digest" --json "$work/audit.zip" >"$work/verdict"
}
forget() { # NODE: it runs on, and serves final blocks without content
    "$carnet" testnet stop "$1" --dir "$net" || fail "stop $1"
    "$traitor" forget "$net/$1/keys/vote.key" --config "$net/$1/carnetd.conf" >>"$net/$1/traitor.log" 2>&1 &
    forgetful[$1]=$!
    background+=("$!")
}
remember() {
    kill -TERM "${forgetful[$1]}"
    wait "${forgetful[$1]}" 2>/dev/null || true
    "$carnet" testnet start "$1" --dir "$net" || fail "start $1"
}
declare -A forgetful

up
digest=$(cat "$net/genesis.digest")
for hour in 1 2 3 4 5; do
    cat >"$work/$hour.json" <<EVENTS
{"@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"], "type": "EPCISDocument", "schemaVersion": "2.0",
 "creationDate": "2026-05-01T08:00:00.000Z", "epcisBody": {"eventList": [
 {"type": "ObjectEvent", "action": "OBSERVE", "eventTime": "2026-05-01T0$hour:00:00.000Z", "eventTimeZoneOffset": "+03:00", "epcList": ["$subject"], "bizStep": "shipping"},
 {"type": "ObjectEvent", "action": "OBSERVE", "eventTime": "2026-05-01T0$hour:30:00.000Z", "eventTimeZoneOffset": "+03:00", "epcList": ["$subject"], "bizStep": "receiving"}]}}
EVENTS
    id=$("$carnet" submit --api "$(api bank)" --key "$(key bank)" --wait "$work/$hour.json" | head -n 1) || fail "submit"
done
"$carnet" erase --api "$(api bank)" --key "$(key bank)" --statement "$id" --items 1 --reason mistake >/dev/null || fail "erase"
for node in "${nodes[@]}"; do wait_for 30 carried_out "$node" || fail "$node has not erased what was ordered"; done
missing 0 || fail "something is missing before"

for node in exporter bank carrier; do forget "$node"; done
"$carnet" testnet stop customs --dir "$net" || fail "stop customs"
rm -r "$net/customs/data"
"$carnet" testnet start customs --dir "$net" || fail "start customs"
wait_for 60 same_height || fail "customs does not catch up"
wait_for 30 missing 5 || fail "customs does not say that five batches lack content: $(get customs /v1/status)"
grep -q "came without content that no statement orders erased" "$net/customs/carnetd.log" || fail "the log does not say so"
if verdict; then fail "an audit without its content verifies: $(cat "$work/verdict")"; fi
perl -MJSON::PP -0777 -ne 'my @f = map { $_->{step} } grep { $_->{verdict} eq "failed" } @{decode_json($_)->{steps}};
    exit !(@f == 1 && $f[0] eq "redactions")' "$work/verdict" || fail "not redactions alone fails: $(cat "$work/verdict")"
"$carnet" testnet kill customs --dir "$net" || fail "kill customs"
"$carnet" testnet start customs --dir "$net" || fail "start customs again"
wait_for 30 missing 5 || fail "customs has forgotten what is missing: $(get customs /v1/status)"
pass "what peers left out is named, after a restart too, and no audit passes for whole"

remember bank
wait_for 90 missing 0 || fail "customs does not get it back: $(get customs /v1/status)"
verdict || fail "the audit does not verify: $(cat "$work/verdict")"
[ "$(field erased_items <"$work/verdict")" = 1 ] && [ "$(field redacted_items <"$work/verdict")" = 0 ] || fail "items: $(cat "$work/verdict")"
"$carnet" testnet stop customs --dir "$net" || fail "stop customs"
"$carnet" fsck "$net/customs/data" >"$work/fsck" || fail "fsck: $(cat "$work/fsck")"
"$carnet" testnet start customs --dir "$net" || fail "start customs"
wait_for 30 missing 0 || fail "something is missing again"
pass "the first honest peer gives it back; what was ordered stays erased"

for node in exporter carrier; do remember "$node"; done
commit exporter exporter after >/dev/null || fail "nothing becomes final after that"
expect_same_headers
down_and_check
