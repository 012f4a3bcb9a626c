#!/usr/bin/env bash
# One node at a time killed with -9 under load and started again, CARNET_KILL_SECONDS long (20). Afterwards all four have
# the same headers, and every statement that was answered as final is on every node, once.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-17400}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seconds=${CARNET_KILL_SECONDS:-20}
history=$work/history
: >"$history"

# One writer a member; an id goes to the history only after the node answered it as final. A node that is being killed
# refuses the connection or breaks it: the writer goes on with the next node.
writer() {
    local member=$1 n=0 id
    while [ ! -e "$work/stop" ]; do
        if id=$(commit "$member" "${nodes[n % 4]}" "$member-$n" 2>>"$work/refused") && [[ $id =~ ^[0-9a-f]{64}$ ]]; then
            echo "$id" >>"$history"
        fi
        n=$((n + 1))
    done
}

up
for member in "${nodes[@]}"; do
    writer "$member" &
    background+=($!)
done
kills=0
end=$((SECONDS + seconds))
while [ $SECONDS -lt $end ]; do
    sleep "$((RANDOM % 2 + 1)).$((RANDOM % 10))"
    victim=${nodes[RANDOM % 4]}
    "$carnet" testnet kill "$victim" --dir "$net" || fail "kill $victim"
    kills=$((kills + 1))
    sleep "0.$((RANDOM % 10))"
    "$carnet" testnet start "$victim" --dir "$net" || fail "start $victim after kill -9 number $kills"
done
touch "$work/stop"
wait "${background[@]}" || true
background=()
acknowledged=$(wc -l <"$history")
[ "$acknowledged" -ge 10 ] || fail "only $acknowledged statements were answered as final: $(tail -n 3 "$work/refused")"
[ "$kills" -ge 2 ] || fail "only $kills kills"
[ -z "$(sort "$history" | uniq -d)" ] || fail "one id was answered for two statements"
pass "$kills kills, $acknowledged statements answered as final"

expect_same_headers
for node in "${nodes[@]}"; do
    sed "s|.*|url = \"$(api "$node")/v1/statements/&\"|" "$history" >"$work/urls"
    curl -sS --max-time 60 -w '\n' -K "$work/urls" >"$work/answers" || fail "$node does not answer for its statements"
    perl -MJSON::PP -ne 'my $s = decode_json($_); print "$s->{id} $s->{log_index}\n" if $s->{status} eq "final"' \
        "$work/answers" >"$work/final"
    cut -d ' ' -f 1 "$work/final" | sort | cmp -s - <(sort "$history") ||
        fail "$node lost one of the $acknowledged statements: it has $(wc -l <"$work/final")"
    [ -z "$(cut -d ' ' -f 2 "$work/final" | sort | uniq -d)" ] || fail "$node has two statements at one place of the log"
done
pass "every statement answered as final is on every node, once"
down_and_check
