#!/usr/bin/env bash
# R5: a validator whose safety table is lost cannot know what it has signed. It does not vote and says so, the others go on,
# and it comes back with a new vote key by ballot.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-18200}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

keys=$net/bank/keys
voting() { [ "$(get "$1" /v1/status | field voting)" = 1 ]; }

up
commit exporter carrier before >/dev/null || fail "no statement became final"
wait_for 20 voting bank || fail "the bank does not vote at first"
"$carnet" testnet stop bank --dir "$net" || fail "stop bank"
mv "$keys/safety.journal" "$work/"
"$carnet" testnet start bank --dir "$net" || fail "start bank without its table"
wait_for 20 get bank /livez >/dev/null || fail "the bank does not start"
if voting bank; then fail "the bank votes without its table"; fi
get bank /v1/why | grep -q "safety table is missing" || fail "why does not say it: $(get bank /v1/why)"
grep -q "does not vote in epoch 1: its safety table is missing" "$net/bank/carnetd.log" || fail "the log does not say it"
commit exporter carrier without >/dev/null || fail "the others do not go on"
wait_for 30 same_height || fail "the bank does not follow"
pass "a validator without its table follows, does not vote, and says why"

"$carnet" keygen --purpose node --next --out "$keys" || fail "keygen --next"
proposal=$("$carnet" propose rotate --api "$(api bank)" --key "$keys/capture.key" --keys "$keys") || fail "propose rotate"
for member in exporter carrier customs; do
    "$carnet" ballot --api "$(api exporter)" --key "$net/$member/keys/capture.key" --proposal "$proposal" --approve \
        >/dev/null || fail "the ballot of $member"
done
"$carnet" ready --api "$(api bank)" --key "$keys/capture.key" --keys "$keys" --proposal "$proposal" >/dev/null ||
    fail "ready"
wait_for 30 voting bank || fail "the bank does not vote with its new key: $(get bank /v1/why)"
"$carnet" testnet stop customs --dir "$net" || fail "stop customs"
commit exporter carrier needs-the-bank >/dev/null || fail "the vote of the bank does not count"
"$carnet" testnet start customs --dir "$net" || fail "start customs"
pass "it came back with a new vote key by ballot, and its vote counts"

"$carnet" testnet stop bank --dir "$net" || fail "stop bank"
mv "$keys/vote.next.key" "$keys/vote.key" && mv "$keys/safety.next.journal" "$keys/safety.journal"
"$carnet" testnet start bank --dir "$net" || fail "start bank"
wait_for 20 voting bank || fail "the bank does not vote after the new files took the old names"
pass "the new files took the old names"
expect_same_headers
down_and_check
