#!/usr/bin/env bash
# R11 under load: a fifth member joins by ballot and votes, one of the first four leaves, another rotates all its keys, and
# a node that slept through one change finds its way. No statement waits longer than 5 s, nothing is lost, and an
# audit that crosses all changes verifies from the genesis digest alone.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-18000}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

api5=http://127.0.0.1:$((base + 9))
keys() { echo "$net/$1/keys"; }
epoch_is() { [ "$(curl -sS --max-time 5 "$1/v1/status" | field epoch)" = "$2" ]; }
votes() { curl -sS --max-time 5 "$1/v1/status" | perl -MJSON::PP -0777 -ne 'exit !decode_json($_)->{voting}'; }

# ballots PROPOSAL MEMBER...
ballots() {
    local proposal=$1 member
    shift
    for member in "$@"; do
        "$carnet" ballot --api "$(api exporter)" --key "$(keys "$member")/capture.key" --proposal "$proposal" --approve \
            >/dev/null || fail "the ballot of $member"
    done
}

up
digest=$(cat "$net/genesis.digest")
start_load 60 10 6
wait_for 60 test -s "$work/history" || fail "no statement became final in 60 s"

"$carnet" testnet add --dir "$net" >"$work/add.out" || fail "testnet add: $(cat "$work/add.out")"
votes "$api5" && fail "the new node votes before it was admitted"
join() {
    "$carnet" propose join --api "$(api exporter)" --key "$(keys member-5)/capture.key" --keys "$(keys member-5)"
}
proposal=$(join) || fail "propose join"
ballots "$proposal" exporter bank carrier
# shows WORDS: what carnet says of the proposal, once a checkpoint holds it
shows() { "$carnet" propose show "$proposal" --api "$(api exporter)" 2>/dev/null | grep -qF -- "$1"; }
wait_for 10 shows "readiness of member-5" || fail "propose show does not name what an accepted change waits for"
"$carnet" ballot --api "$(api exporter)" --key "$(keys carrier)/capture.key" --proposal "$proposal" --refuse >/dev/null ||
    fail "the carrier cannot change its ballot while the change waits"
"$carnet" ready --api "$api5" --key "$(keys member-5)/capture.key" --keys "$(keys member-5)" --proposal "$proposal" \
    >/dev/null 2>&1 && fail "readiness for a change that was called off"
wait_for 10 shows "refused   carrier" || fail "propose show does not name who refused"
shows "needs" && fail "a change that was called off still needs something"
pass "a change that waited for its member was called off"
proposal=$(join) || fail "propose join again"
ballots "$proposal" exporter bank carrier
sleep 1
epoch_is "$(api bank)" 1 || fail "the set changed before the joiner signed readiness"
"$carnet" ready --api "$api5" --key "$(keys member-5)/capture.key" --keys "$(keys member-5)" --proposal "$proposal" \
    >/dev/null || fail "ready"
for node in "${nodes[@]}"; do wait_for 30 epoch_is "$(api "$node")" 2 || fail "$node is not in epoch 2"; done
wait_for 30 votes "$api5" || fail "the fifth member does not vote"
pass "a fifth member joined by ballot and votes"

"$carnet" testnet kill customs --dir "$net" || fail "kill customs" # sleeps through the change
proposal=$("$carnet" propose leave --api "$(api exporter)" --key "$(keys carrier)/capture.key") || fail "propose leave"
ballots "$proposal" exporter bank member-5
for node in exporter bank carrier; do wait_for 30 epoch_is "$(api "$node")" 3 || fail "$node is not in epoch 3"; done
"$carnet" testnet start customs --dir "$net" || fail "start customs"
wait_for 60 epoch_is "$(api customs)" 3 || fail "customs slept through the change and did not find its way"
votes "$(api carrier)" && fail "the carrier votes after it left"
pass "one of the first four left and follows"

# Two commands: the first makes the new keys, the second follows when the change is accepted.
proposal=$("$carnet" propose rotate --api "$(api exporter)" --key "$(keys bank)/capture.key" --keys "$(keys bank)") ||
    fail "propose rotate"
ballots "$proposal" exporter customs member-5
"$carnet" ready --api "$(api bank)" --key "$(keys bank)/capture.key" --keys "$(keys bank)" --proposal "$proposal" --all \
    >/dev/null || fail "ready of the bank"
for node in "${nodes[@]}"; do wait_for 60 epoch_is "$(api "$node")" 4 || fail "$node is not in epoch 4"; done
wait_for 30 votes "$(api bank)" || fail "the bank does not vote with its new key"
wait_for 30 grep -q "uses its new channel key" "$net/bank/carnetd.log" || fail "the bank did not take its new channel key"
"$carnet" keygen --purpose device --out "$work/by-new-capture.key" >/dev/null
by_new_capture() {
    "$carnet" device register --api "$(api exporter)" --key "$(keys bank)/capture.next.key" \
        --new-key "$work/by-new-capture.key" >/dev/null 2>"$work/why"
}
# the exporter may be a block behind the bank, where the change is final
wait_for 20 by_new_capture || fail "the new capture key has no authority: $(cat "$work/why")"
pass "a validator rotated all its keys"

sleep 2
end_load
slowest=$(sed -n 's/.*slowest \([0-9]*\)\..*/\1/p' "$work/load.out")
[ "${slowest:-99}" -lt 5 ] || fail "a statement waited for $slowest s"
pass "no statement waited longer than 5 s"
nodes+=(member-5)
api() { # with the fifth
    local i
    for i in "${!nodes[@]}"; do [ "${nodes[i]}" != "$1" ] || echo "http://127.0.0.1:$((base + 2 * i + 1))"; done
}
check_history
expect_same_headers

member=$("$carnet" member list --api "$(api customs)" --json | perl -MJSON::PP -0777 -ne \
    'print map { $_->{id} } grep { $_->{name} eq "bank" } @{decode_json($_)}')
for about in "urn:carnet:governance" "urn:carnet:member:$member" "urn:carnet:test:load:0:0"; do
    "$carnet" audit --api "$(api customs)" --subject "$about" --out "$work/audit.zip" >/dev/null || fail "audit of $about"
    "$carnet" verify --genesis "$digest" "$work/audit.zip" >"$work/verify.out" || fail "verify: $(cat "$work/verify.out")"
    rm "$work/audit.zip"
done
pass "audits that cross three changes of the validators verify from the genesis digest alone"

for node in "${nodes[@]}"; do "$carnet" testnet kill "$node" --dir "$net" || fail "kill $node"; done
mv "$(keys bank)/vote.key" "$work/" && mv "$(keys bank)/safety.journal" "$work/" # the retired ones are destroyed
"$carnet" testnet up --dir "$net" >/dev/null || fail "up after all were killed"
commit exporter bank after-all >/dev/null || fail "no statement became final after all nodes were killed in epoch 4"
pass "all nodes killed in the fourth epoch go on from their disks"
expect_same_headers
down_and_check
