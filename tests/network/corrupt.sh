#!/usr/bin/env bash
# A damaged database: the node refuses to start and says so, or carnet fsck finds the fault; the other three go on.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-17440}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

up
for n in 1 2 3 4; do commit exporter exporter "k$n" >>"$work/ids" || fail "commit $n"; done
wait_for 20 same_height || fail "the nodes did not come to one height"
"$carnet" testnet stop bank --dir "$net" || fail "stop bank"
"$carnet" fsck "$net/bank/data" >"$work/fsck.out" 2>&1 || fail "fsck before the damage: $(cat "$work/fsck.out")"
cp -r "$net/bank/data" "$work/whole"

# damage OFFSET COUNT [BYTE]: that many bytes of the file overwritten with 0xa5, or another one in octal
damage() {
    head -c "$2" /dev/zero | tr '\0' "${3:-\\245}" |
        dd of="$net/bank/data/data.mdb" bs=1 seek="$1" conv=notrunc status=none
}

id=$(commit exporter exporter k5) || fail "commit with three of four nodes"
pass "three of four go on without the stopped node ($id)"
# whole: the bank's ledger as it was before any damage
whole() {
    rm -rf "$net/bank/data"
    cp -r "$work/whole" "$net/bank/data"
}

# refuses WHAT WORDS...: the bank's node does not start, and says these words
refuses() {
    local status=0 words
    timeout 20 "$bin/carnetd" --config "$net/bank/carnetd.conf" >"$work/start.out" 2>&1 || status=$?
    [ "$status" -eq 1 ] || fail "$1: status $status, a node that refuses leaves with 1: $(cat "$work/start.out")"
    for words in "carnet fsck" "${@:2}"; do
        grep -qF -- "$words" "$work/start.out" || fail "$1: the node does not say \"$words\": $(cat "$work/start.out")"
    done
}

damage 0 8192
status=0
"$carnet" testnet start bank --dir "$net" >"$work/start.out" 2>&1 || status=$?
[ "$status" -ne 0 ] || fail "a node started on a database without its two first pages"
grep -q "carnet fsck" "$work/start.out" || fail "the refusal does not name carnet fsck: $(cat "$work/start.out")"
pass "no first pages: refused, and the message names carnet fsck"

# One bit of a recorded statement, somewhere in a later page: only the hashes can tell.
whole
victim=$(sed -n 2p "$work/ids")
get exporter "/v1/statements/$victim" | field bytes_base64 | base64 -d | head -c 200 >"$work/record"
copies=$(perl -0777 -e 'my ($file, $part) = @ARGV; local $/; open my $p, "<:raw", $part or die; my $record = <$p>;
    open my $f, "+<:raw", $file or die; my $all = <$f>; my ($at, $n) = (8192, 0); # pages that were freed hold copies too
    while (($at = index($all, $record, $at)) >= 0) {
        seek $f, $at + 150, 0;
        print $f chr(ord(substr($all, $at + 150, 1)) ^ 1);
        $at++, $n++;
    }
    close $f or die;
    print "$n\n"' "$net/bank/data/data.mdb" "$work/record")
[ "$copies" -ge 1 ] || fail "the record of $victim was not found in a later page of the database"
status=0
"$carnet" fsck "$net/bank/data" >"$work/fsck.out" 2>&1 || status=$?
[ "$status" -eq 1 ] || fail "fsck gives status $status for one bit of a statement: $(cat "$work/fsck.out")"
found=$(sed -n 's/^FAULT  //p' "$work/fsck.out" | head -n 1)
refuses "one bit of a statement" "${found:0:60}"
pass "one bit of a recorded statement: fsck and the node say: $found"

whole
truncate -s $(($(stat -c %s "$net/bank/data/data.mdb") / 4096 * 2048 / 4096 * 4096)) "$net/bank/data/data.mdb"
refuses "half of the file"
pass "half of the file: $(grep -o 'carnetd: .*' "$work/start.out" | cut -d: -f3- | head -n 1)"

# Every page of the file, with bytes that make no sense. fsck says that something is wrong with it and the node refuses, or
# nobody uses the page and the node would run; neither ever ends without a word.
pages=$(($(stat -c %s "$work/whole/data.mdb") / 4096))
bad=0
for page in $(seq 0 $((pages - 1))); do
    whole
    damage $((page * 4096)) 4096 "\\$((page % 2 * 245))"
    status=0
    "$carnet" fsck "$net/bank/data" >"$work/fsck.out" 2>&1 || status=$?
    case $status in
    0) continue ;;
    1) grep -q '^FAULT' "$work/fsck.out" || fail "page $page: fsck ends with 1 and names no fault: $(cat "$work/fsck.out")" ;;
    2) grep -q '^carnet: ' "$work/fsck.out" || fail "page $page: fsck cannot read and does not say why" ;;
    *) fail "page $page: fsck ends with status $status: $(cat "$work/fsck.out")" ;;
    esac
    refuses "page $page"
    bad=$((bad + 1))
done
[ "$bad" -ge 10 ] || fail "only $bad of $pages pages matter to fsck"
pass "each of $pages pages destroyed in turn: $bad are in use, and for each fsck names the fault and the node refuses"

whole
"$carnet" testnet start bank --dir "$net" || fail "the whole ledger does not start"
expect_same_headers

# What the documents tell the operator to do: an empty folder, the same keys.
"$carnet" testnet stop bank --dir "$net" || fail "stop bank"
rm -rf "$net/bank/data"
"$carnet" testnet start bank --dir "$net" || fail "a node with its keys and an empty folder does not start"
expect_same_headers
down_and_check
