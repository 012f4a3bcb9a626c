#!/usr/bin/env bash
# How a node ends: SIGTERM under load, a second node on its folders, a journal cut short, no more room for its files.
# The network goes on without it, and it goes on itself when the cause is gone.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-17480}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

up

stop_bank() { "$carnet" testnet stop bank --dir "$net" >/dev/null || fail "stop bank"; }
start_bank() { "$carnet" testnet start bank --dir "$net" >/dev/null || fail "start bank"; }

# ---- a second node on the same folders
mkdir "$work/other"
cp -r "$net/bank/keys" "$work/other/keys"

# second WHAT OPTION: with one of the two folders another one
second() {
    local status=0
    timeout 20 "$bin/carnetd" --config "$net/bank/carnetd.conf" "${@:2}" --peer-listen 127.0.0.1:0 \
        --api-listen 127.0.0.1:0 >"$work/second.out" 2>&1 || status=$?
    [ "$status" -eq 1 ] || fail "a second node on the same $1: status $status, not 1: $(cat "$work/second.out")"
    grep -q "another" "$work/second.out" || fail "the refusal does not say why: $(cat "$work/second.out")"
}
second ledger --keys-dir "$work/other/keys"
second keys --data-dir "$work/other/data" # which must never sign for two processes
pass "a second node on the same ledger or the same keys is refused"

# ---- SIGTERM under load
start_load 40 5 4
sleep 2
pid=$(cat "$net/bank/carnetd.pid")
kill -TERM "$pid"
wait_for 10 test ! -d "/proc/$pid" || fail "the node still runs 10 s after SIGTERM under load"
! grep -qE "bug|assert|stopping" "$net/bank/carnetd.log" || fail "SIGTERM is not a quiet end"
start_bank
end_load
pass "SIGTERM under load ends a node within 10 s"

# ---- a journal whose last record is torn
stop_bank
for cut in 1 17 40; do
    truncate -s "-$cut" "$net/bank/keys/safety.journal"
    start_bank
    stop_bank
done
start_bank
expect_same_headers
pass "a journal whose last record is torn is opened"

# ---- no more room: the bank's node is started by the words given, and ends by itself under load
ends() {
    local what=$1 words=$2 status=0 full
    shift 2
    stop_bank
    "$@" >"$work/full.out" 2>&1 &
    full=$!
    background+=("$full")
    start_load 40 20 4
    wait_for 90 test ! -d "/proc/$full" || fail "$what: the node goes on: $(tail -n 3 "$work/full.out")"
    wait "$full" || status=$?
    [ "$status" -eq 1 ] || fail "$what: status $status, an orderly stop leaves with 1: $(tail -n 5 "$work/full.out")"
    grep -qE "^carnetd: .*$words" "$work/full.out" || fail "$what: no clear message: $(tail -n 5 "$work/full.out")"
    ! grep -qE "a bug|assert" "$work/full.out" || fail "$what: $(tail -n 5 "$work/full.out")"
    sleep 2 # the others go on
    end_load
    "$carnet" fsck "$net/bank/data" >"$work/fsck.out" 2>&1 || fail "$what: fsck: $(cat "$work/fsck.out")"
    start_bank
    expect_same_headers
    pass "$what: $(tail -n 1 "$work/full.out")"
}

# no file of the node may grow beyond the size that this one has now and 256 KiB
limited() {
    ulimit -f $((($(stat -c %s "$1") + 262144) / 1024))
    exec "$bin/carnetd" --config "$net/bank/carnetd.conf"
}

ends "no room for its files" "(no room|disk is full)" limited "$net/bank/data/data.mdb"
ends "no room in the ledger's map" "data.map_bytes" "$bin/carnetd" --config "$net/bank/carnetd.conf" \
    --data-map-bytes $(($(stat -c %s "$net/bank/data/data.mdb") / 4096 * 4096 + 1048576))
down_and_check
