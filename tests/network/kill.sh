#!/usr/bin/env bash
# One node at a time killed with -9 under load and started again, CARNET_KILL_SECONDS long (20), or CARNET_KILLS times, more
# often. Afterwards all four have the same headers, and every batch of readings that was answered as final is on every node, once, at one place.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-17400}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seconds=${CARNET_KILL_SECONDS:-20}
wanted=${CARNET_KILLS:-0}

up
start_load 100 10 8
wait_for 60 test -s "$work/history" || fail "no statement became final in 60 s"
kills=0
end=$((SECONDS + seconds))
more() { if [ "$wanted" -gt 0 ]; then [ "$kills" -lt "$wanted" ]; else [ $SECONDS -lt $end ]; fi; }
while more; do
    if [ "$wanted" -gt 0 ]; then sleep "0.$((RANDOM % 10))"; else sleep "$((RANDOM % 2 + 1)).$((RANDOM % 10))"; fi
    victim=${nodes[RANDOM % 4]}
    "$carnet" testnet kill "$victim" --dir "$net" || fail "kill $victim"
    kills=$((kills + 1))
    sleep "0.$((RANDOM % 10))"
    "$carnet" testnet start "$victim" --dir "$net" || fail "start $victim after kill -9 number $kills"
done
end_load
[ "$(wc -l <"$work/history")" -ge 100 ] || fail "only $(wc -l <"$work/history") statements were answered as final"
[ "$kills" -ge 2 ] || fail "only $kills kills"
pass "$kills kills -9 under load"
expect_same_headers
check_history
down_and_check
