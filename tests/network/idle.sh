#!/usr/bin/env bash
# A network left alone: each node uses under 1% of a core, no block but the heartbeat's (60 s in a test network's genesis)
# is made, and the first statement after it is final as fast as under light load. CARNET_IDLE_SECONDS (20) are measured.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-18900}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seconds=${CARNET_IDLE_SECONDS:-20}
ticks() { awk '{ print $14 + $15 }' "/proc/$(cat "$net/$1/carnetd.pid")/stat"; } # user and system time

# finality NAME: milliseconds until a statement of its own, signed beforehand, is final
finality() {
    local began
    began=$(date +%s%N)
    commit exporter exporter "$1" >/dev/null || fail "statement $1"
    echo $((($(date +%s%N) - began) / 1000000))
}

up
for n in 1 2 3 4 5 6 7 8 9; do finality "light$n" >>"$work/light"; done
median=$(sort -n "$work/light" | sed -n 5p)
settled() { # a checkpoint follows the last statement
    local before
    before=$(status_of exporter height)
    sleep 2
    same_height && [ "$(status_of exporter height)" = "$before" ]
}
wait_for 30 settled || fail "blocks are made 30 s after the last statement"

declare -A before=()
height=$(status_of exporter height)
for node in "${nodes[@]}"; do before[$node]=$(ticks "$node"); done
began=$(date +%s%N)
sleep "$seconds"
ms=$((($(date +%s%N) - began) / 1000000))
hz=$(getconf CLK_TCK)
for node in "${nodes[@]}"; do
    used=$(($(ticks "$node") - before[$node]))
    permille=$((used * 1000000 / hz / ms))
    echo "$node: $used ticks in $ms ms, $permille per mille of a core"
    [ "$permille" -lt 10 ] || fail "$node uses $permille per mille of a core while nothing happens"
done
made=$(($(status_of exporter height) - height))
[ "$made" -le $((ms / 60000 + 1)) ] || fail "$made blocks in $ms ms of an idle network, at most one in 60 s was expected"
[ "$made" -ge $((ms / 65000)) ] || fail "$made blocks in $ms ms: the heartbeat of 60 s is missing"
pass "under 1% of a core a node, $made blocks in $((ms / 1000)) s"

after=$(finality after)
[ "$after" -lt $((median * 3 + 1000)) ] || fail "the first statement after idling took $after ms, $median ms under light load"
pass "the first statement after idling is final in $after ms, $median ms under light load (median of 9)"
expect_same_headers
down_and_check
