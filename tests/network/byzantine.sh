#!/usr/bin/env bash
# n = 4 with one Byzantine validator of each kind under load, as real processes: commits go on, memory stays bounded, nothing that was
# answered is lost, and what proves misbehaviour is kept, exported and verified offline. CARNET_BYZANTINE_SECONDS for each kind (1).
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-18400}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seconds=${CARNET_BYZANTINE_SECONDS:-1}
traitor=$bin/../tests/network/traitor
everybody=("${nodes[@]}")
honest=(exporter carrier customs)
traitor_pid=

proofs() { # on those that are not started again
    local node
    for node in exporter carrier; do get "$node" /metrics; done | awk '$1 == "carnet_evidence_total" { n += $2 } END { print n + 0 }'
}
linked() { local why; why=$(get exporter /v1/why) && [[ $why != *"Not reachable: bank"* ]]; } # cut off before, it comes back
cut_off() { cat "$net"/{exporter,carrier,customs}/carnetd.log | grep -c "cut off for" || true; }
resident() { # the largest of the honest nodes, in MiB
    local node
    for node in "${honest[@]}"; do awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$(cat "$net/$node/carnetd.pid")/status"; done | sort -n | tail -n 1
}

betray() { # betray KIND: the bank's node runs as this kind of traitor
    "$traitor" "$1" "$net/bank/keys/vote.key" --config "$net/bank/carnetd.conf" >>"$net/bank/traitor.log" 2>&1 &
    traitor_pid=$!
    background+=("$traitor_pid")
}

end_betrayal() {
    kill -TERM "$traitor_pid" 2>/dev/null || true
    wait "$traitor_pid" 2>/dev/null || true
}

up
digest=$(cat "$net/genesis.digest")
"$carnet" testnet stop bank --dir "$net" || fail "stop bank"
nodes=("${honest[@]}") # the clients' choice
api() {
    local i
    for i in "${!everybody[@]}"; do [ "${everybody[i]}" != "$1" ] || echo "http://127.0.0.1:$((base + 2 * i + 1))"; done
}

: >"$work/all"
printf '%-12s %8s %8s %9s %8s %7s %8s\n' kind commits p99 slowest resident proofs 'cut off' >"$work/table"
for kind in $("$traitor" --list); do
    before=$(proofs)
    cuts=$(cut_off)
    betray "$kind"
    wait_for 30 linked || fail "no link to a validator of kind $kind"
    : >"$work/history"
    start_load 60 10 6
    case $kind in
    withhold | liar | favour | truncate | other-blocks | endless | forget) # while it serves, somebody has to catch up
        wait_for 30 test -s "$work/history" || fail "beside a validator of kind $kind nothing became final in 30 s"
        "$carnet" testnet kill customs --dir "$net" || fail "kill customs"
        sleep 1
        "$carnet" testnet start customs --dir "$net" || fail "customs does not start again"
        ;;
    esac
    sleep "$seconds"
    end_load
    wait_for 30 same_height || fail "beside a validator of kind $kind the others do not come to one height"
    end_betrayal
    commits=$(wc -l <"$work/history")
    slowest=$(sed -n 's/.*slowest \([0-9.]*\).*/\1/p' "$work/load.out")
    p99=$(sed -n 's/.*p99 \([0-9.]*\).*/\1/p' "$work/load.out")
    memory=$(resident)
    printf '%-12s %8s %6s s %7s s %4s MiB %7s %8s\n' "$kind" "$commits" "$p99" "$slowest" "$memory" \
        $(($(proofs) - before)) $(($(cut_off) - cuts)) >>"$work/table"
    cat "$work/history" >>"$work/all"
    [ "$commits" -ge $((seconds * 5)) ] || fail "beside a validator of kind $kind only $commits statements became final: $(cat "$work/load.out")"
    [ "${slowest%%.*}" -lt 15 ] || fail "beside a validator of kind $kind a statement waited for $slowest s"
    [ "$memory" -lt 256 ] || fail "beside a validator of kind $kind a node grew to $memory MiB"
done
cat "$work/table"
pass "commits go on beside a Byzantine validator of each kind"
grep -qE '^(impersonate|endless) .* [1-9][0-9]*$' "$work/table" || fail "nobody cut off who sent what no honest node sends"

guilty=$("$carnet" member list --api "$(api exporter)" --json | perl -MJSON::PP -0777 -ne \
    'print map { $_->{id} } grep { $_->{name} eq "bank" } @{decode_json($_)}')
for node in "${honest[@]}"; do
    "$carnet" evidence export --api "$(api "$node")" --out "$work/proof.json" >/dev/null || fail "export of the evidence"
    "$carnet" evidence verify --genesis "$digest" "$work/proof.json" >"$work/verified.$node" || fail "verify: $(tail -n 3 "$work/verified.$node")"
    rm "$work/proof.json"
done
cat "$work"/verified.* | sed -n 's/^proved: //p' >"$work/proved"
for what in "notarized two blocks" "finalized two blocks" "finalized and nullified"; do
    grep -q "$what" "$work/proved" || fail "nobody kept a proof that the bank $what"
done
[ -z "$(grep -v "^member $guilty " "$work/proved")" ] || fail "a proof against an honest member: $(grep -v "^member $guilty " "$work/proved" | head -n 3)"
pass "$(wc -l <"$work/proved") proofs against the bank verify offline, and none against anybody else"

"$carnet" testnet start bank --dir "$net" || fail "the bank does not start again"
nodes=("${everybody[@]}")
mv "$work/all" "$work/history"
wait_for 60 same_height || fail "the bank's own node does not catch up"
expect_same_headers
check_history
down_and_check
