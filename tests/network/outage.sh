#!/usr/bin/env bash
# Two of four nodes stopped: nothing is committed and each of the others says who is missing. Started again: a statement
# is final within 10 s.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-17420}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

up
commit exporter exporter before >/dev/null || fail "nothing was committed with all four nodes"
wait_for 20 same_height || fail "the nodes did not come to one height"
for node in carrier customs; do "$carnet" testnet stop "$node" --dir "$net" || fail "stop $node"; done
sleep 1
count=$(status_of exporter statements)
height=$(status_of exporter height)

commit exporter bank during >"$work/during.out" 2>&1 &
background+=($!)
sleep 5
for node in exporter bank; do
    [ "$(status_of "$node" statements)" = "$count" ] || fail "$node committed a statement with two of four nodes"
    [ "$(status_of "$node" height)" = "$height" ] || fail "$node went past height $height with two of four nodes"
    status=0
    "$carnet" why --api "$(api "$node")" >"$work/why.out" 2>&1 || status=$?
    [ "$status" -eq 1 ] || fail "why on $node: status $status, 1 was expected"
    for missing in carrier customs; do
        grep -q "missing $missing" "$work/why.out" || fail "why on $node does not name $missing: $(cat "$work/why.out")"
    done
    ! grep -qE "missing (exporter|bank)" "$work/why.out" || fail "why on $node names a node that is there"
done
pass "two of four: nothing committed, why exits 1 and names both missing nodes"

for node in carrier customs; do "$carnet" testnet start "$node" --dir "$net" || fail "start $node"; done
began=$(date +%s%N)
wait "${background[0]}" || fail "the statement sent during the outage: $(cat "$work/during.out")"
background=()
took=$((($(date +%s%N) - began) / 1000000))
[ "$took" -lt 10000 ] || fail "final only $took ms after the two came back"
[ "$(get carrier "/v1/statements/$(tail -n 1 "$work/during.out")" | field status)" = final ] ||
    wait_for 5 test "$(get carrier "/v1/statements/$(tail -n 1 "$work/during.out")" | field status)" = final ||
    fail "the carrier's node does not have the statement"
pass "the statement that waited is final $took ms after both are back"
expect_same_headers
down_and_check
