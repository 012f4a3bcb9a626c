#!/usr/bin/env bash
# Every validator signs every final checkpoint, and every node holds all of it; one without its keys says so and the others' stand; a
# node that was down gets them; kill -9 never leads to two signatures of a validator over one checkpoint.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-18500}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

held() { # held NODE HEIGHT COUNT: the node's newest checkpoint lies above the height and has so many signatures
    status_of "$1" checkpoint_signatures >/dev/null
    get "$1" /v1/status | HEIGHT=$2 COUNT=$3 perl -MJSON::PP -0777 -ne \
        'my $s = decode_json($_)->{checkpoint_signatures}; exit !($s->{height} > $ENV{HEIGHT} && $s->{held} == $ENV{COUNT})'
}
everywhere() { # everywhere HEIGHT COUNT
    local node
    for node in "${nodes[@]}"; do wait_for 30 held "$node" "$1" "$2" || fail "$node does not hold $2 signatures above height $1"; done
}
notes() { for node in "${nodes[@]}"; do get "$node" "/v1/checkpoints/latest?format=note" | sort >"$work/note.$node"; done; }

up
commit exporter bank first >/dev/null || fail "no statement became final"
everywhere 0 4
pass "every node holds the signatures of all four validators"

"$carnet" testnet stop customs --dir "$net" || fail "stop customs"
mv "$net/customs/keys/receipt.key" "$work/"
height=$(status_of exporter height)
commit exporter bank second >/dev/null || fail "no statement became final without customs"
"$carnet" testnet start customs --dir "$net" || fail "start customs"
everywhere "$height" 3
grep -q "cannot sign checkpoints" "$net/customs/carnetd.log" || fail "customs does not say that it cannot sign"
pass "one without its keys says so; it gets what was signed while it was down"

mv "$work/receipt.key" "$net/customs/keys/"
"$carnet" testnet kill customs --dir "$net" || fail "kill customs"
"$carnet" testnet start customs --dir "$net" || fail "start customs"
everywhere "$height" 4
for round in 1 2 3; do
    for node in "${nodes[@]}"; do
        commit exporter exporter "kill-$round-$node" >/dev/null &
        "$carnet" testnet kill "$node" --dir "$net" && "$carnet" testnet start "$node" --dir "$net" || fail "restart $node"
        wait $! || true
    done
done
commit exporter exporter last >/dev/null || fail "no statement became final after the kills"
everywhere "$height" 4
wait_for 30 same_height || fail "the nodes did not come to one height"
sleep 1
notes
for node in "${nodes[@]}"; do
    cmp "$work/note.${nodes[0]}" "$work/note.$node" || fail "$node holds other signatures than ${nodes[0]}"
done
[ "$(grep -c '^— ' "$work/note.exporter")" -eq 8 ] || fail "a note has two lines of each validator: $(cat "$work/note.exporter")"
pass "after kills every node holds the same signatures"
down_and_check
