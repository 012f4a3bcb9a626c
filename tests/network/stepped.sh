#!/usr/bin/env bash
# A wall clock that is set back an hour while a peer falls silent: the link ends after 15 s of silence all the same.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-18300}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

tests=$bin/../tests/network
everybody_linked() { local why; why=$(get exporter /v1/why) && [[ $why != *"Not reachable"* ]]; }
misses_customs() { get exporter /v1/why | grep -q "Not reachable: customs"; }

up
"$carnet" testnet stop exporter --dir "$net" || fail "stop exporter"
printf '+0003600' >"$net/exporter/clock"
(
    export STEP_CLOCK_FILE=$net/exporter/clock LD_PRELOAD=$tests/libstepclock.so
    export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0
    "$carnet" testnet start exporter --dir "$net"
) || fail "start exporter under a clock of its own"
wait_for 30 everybody_linked || fail "the exporter is not linked to all"
kill -STOP "$(cat "$net/customs/carnetd.pid")"
sleep 0.3 # what was on its way has come
printf '%+08d' 0 1<>"$net/exporter/clock"
wait_for 60 misses_customs || fail "a peer that is silent for 60 s counts as reachable: $(get exporter /v1/why)"
pass "a peer that fell silent when the clock was set back an hour is missed"
kill -CONT "$(cat "$net/customs/carnetd.pid")"
wait_for 60 everybody_linked || fail "the peer that speaks again is not linked"
commit exporter exporter after >/dev/null || fail "no statement becomes final"
expect_same_headers
down_and_check
