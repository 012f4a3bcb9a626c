#!/usr/bin/env bash
# A damaged database: the node refuses to start and says so, or carnet fsck finds the fault; the other three go on.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-17440}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

up
for n in 1 2 3 4; do commit exporter exporter "k$n" >/dev/null || fail "commit $n"; done
wait_for 20 same_height || fail "the nodes did not come to one height"
"$carnet" testnet stop bank --dir "$net" || fail "stop bank"
"$carnet" fsck "$net/bank/data" >"$work/fsck.out" 2>&1 || fail "fsck before the damage: $(cat "$work/fsck.out")"
cp -r "$net/bank/data" "$work/whole"

# damage OFFSET COUNT: that many bytes of the file overwritten with 0xa5
damage() {
    head -c "$2" /dev/zero | tr '\0' '\245' |
        dd of="$net/bank/data/data.mdb" bs=1 seek="$1" conv=notrunc status=none
}

id=$(commit exporter exporter k5) || fail "commit with three of four nodes"
pass "three of four go on without the stopped node ($id)"
damage 0 8192
status=0
"$carnet" testnet start bank --dir "$net" >"$work/start.out" 2>&1 || status=$?
[ "$status" -ne 0 ] || fail "a node started on a database without its two first pages"
cat "$work/start.out" "$net/bank/carnetd.log" | grep -q "carnet fsck" ||
    fail "the refusal does not name carnet fsck: $(cat "$work/start.out")"
pass "no first pages: refused, and the message names carnet fsck"
