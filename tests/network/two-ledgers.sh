#!/usr/bin/env bash
# Two networks of four, a bank's and a carrier's, each relying on an event of the other: let in by ballot, proved, recorded for a
# subject of its own, replay refused. Then the bank's validators change: a proof of the old epoch is refused, the change is
# carried over, a new proof is taken. Audits on both sides verify from their genesis digests alone.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-20000}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# `net` and `base` of common.sh are those of the network that the functions speak of.
down_both() {
    local status=$?
    for side in "$work/bank" "$work/carrier"; do
        [ ! -f "$side/genesis.digest" ] || "$carnet" testnet down --dir "$side" >/dev/null 2>&1 || true
    done
    net=$work/none
    set +e
    (exit "$status")
    cleanup
}
trap down_both EXIT
port=$base
side() {
    net=$work/$1
    case $1 in bank) base=$port ;; carrier) base=$((port + 100)) ;; esac
}
of() { # of SIDE COMMAND...: in that network
    (side "$1" && shift && "$@")
}
digest_of() { cat "$work/$1/genesis.digest"; }

# let_in SIDE OTHER: by ballot
let_in() {
    local id member there voter voters=()
    there=$(of "$2" api exporter)
    side "$1"
    id=$("$carnet" propose foreign --api "$(api exporter)" --key "$net/exporter/keys/capture.key" \
        --network "$(digest_of "$2")" --from "$there" --name "$2") || fail "propose foreign in $1"
    shows() { "$carnet" propose show "$id" --api "$(api exporter)" 2>/dev/null | grep -qF -- "$1"; }
    wait_for 10 shows "network   $2 ($(digest_of "$2"))" || fail "propose show does not name the network $2"
    shows "becomes   known up to epoch 1, set " || fail "propose show does not name the epoch and the set"
    # All four at once, each at its own node: the third decides, and the fourth may come too late. Its member's key must
    # not be held by it.
    for member in "${nodes[@]}"; do
        (
            trap - EXIT
            "$carnet" ballot --api "$(api "$member")" --key "$net/$member/keys/capture.key" --proposal "$id" --approve \
                >"$work/ballot.$member" 2>&1 && echo "$member" >>"$work/voted.$1"
        ) &
        voters+=($!)
    done
    for voter in "${voters[@]}"; do wait "$voter" || true; done
    [ "$(wc -l <"$work/voted.$1")" -ge 3 ] || fail "fewer than three ballots in $1: $(cat "$work"/ballot.*)"
    for member in "${nodes[@]}"; do
        grep -qx "$member" "$work/voted.$1" || grep -qF "decided already" "$work/ballot.$member" ||
            fail "the ballot of $member in $1: $(cat "$work/ballot.$member")"
        commit "$member" "$member" "$1-after-$member" >/dev/null || fail "the key of $member in $1 is stuck after the ballots"
    done
}

# event SIDE NAME: an event there; prints its statement id
event() {
    side "$1"
    commit exporter bank "$1-$2"
}

# prove SIDE STATEMENT NAME: the proof of it, in $work/NAME
prove() {
    "$carnet" foreign prove --api "$(of "$1" api carrier)" --statement "$2" --out "$work/$3" >/dev/null ||
        fail "foreign prove of $3"
}

# rely SIDE NAME SUBJECT: what submitting it answers
rely() {
    side "$1"
    "$carnet" foreign submit --api "$(api customs)" --key "$net/carrier/keys/capture.key" --subject "$3" "$work/$2" 2>&1
}

# refuses SIDE NAME WORDS
refuses() {
    local answer
    if answer=$(rely "$1" "$2" "urn:epc:id:bic:MSKU9070323"); then fail "$1 took $2, which must be refused: $3"; fi
    grep -qF -- "$3" <<<"$answer" || fail "$1 refused $2 for another reason than \"$3\": $answer"
}

# audit SIDE SUBJECT: the dossier from each node verifies; it is about one statement or more
audit() {
    local node
    side "$1"
    for node in exporter customs; do
        "$carnet" audit --api "$(api "$node")" --subject "$2" --out "$work/audit.zip" >/dev/null || fail "audit of $2 in $1"
        "$carnet" verify --genesis "$(digest_of "$1")" "$work/audit.zip" >"$work/verdict" ||
            fail "audit of $2 in $1: $(cat "$work/verdict")"
        if [ "$node" = exporter ]; then cp "$work/audit.zip" "$work/audit.$1.zip"; fi
    done
}

for name in bank carrier; do
    side $name
    up
done
pass "two networks of four"

let_in carrier bank
let_in bank carrier
paid=$(event bank paid) || fail "no event in the bank's network"
loaded=$(event carrier loaded) || fail "no event in the carrier's network"
prove bank "$paid" paid.bin
prove carrier "$loaded" loaded.bin
container=urn:epc:id:bic:CSQU3054383
rely carrier paid.bin $container >"$work/relied" || fail "the carrier's network: $(cat "$work/relied")"
rely bank loaded.bin $container >"$work/relied" || fail "the bank's network: $(cat "$work/relied")"
audit carrier $container
audit bank $container
pass "each relies on an event of the other, by proofs of $(stat -c %s "$work/paid.bin") and $(stat -c %s "$work/loaded.bin") bytes, and the audits of both verify"

refuses carrier paid.bin "is a replay"
refuses bank paid.bin "no ballot has registered network"
head -c 400 "$work/paid.bin" >"$work/short.bin"
refuses carrier short.bin "not of its layout"
second=$(event bank second) || fail "no second event in the bank's network"
prove bank "$second" old.bin
perl -0777 -pe 'substr($_, -1) ^= "\x01"' "$work/old.bin" >"$work/forged.bin"
refuses carrier forged.bin "does not verify"
pass "a replay, a proof for another network, a short one and a forged one are refused, each with its reason"

side bank
keys=$net/carrier/keys
proposal=$("$carnet" propose rotate --api "$(api exporter)" --key "$keys/capture.key" --keys "$keys") || fail "propose rotate"
for member in exporter bank customs; do
    "$carnet" ballot --api "$(api exporter)" --key "$net/$member/keys/capture.key" --proposal "$proposal" --approve \
        >/dev/null || fail "the ballot of $member"
done
"$carnet" ready --api "$(api carrier)" --key "$keys/capture.key" --keys "$keys" --proposal "$proposal" >/dev/null ||
    fail "ready"
epoch_is() { [ "$(status_of "$1" epoch)" = "$2" ]; }
for node in "${nodes[@]}"; do wait_for 60 epoch_is "$node" 2 || fail "$node is not in epoch 2"; done
third=$(event bank third) || fail "no event in the bank's second epoch"
prove bank "$third" new.bin
refuses carrier new.bin "only epoch 1"

# advance: what the carrier's network answers
advance() {
    side carrier
    "$carnet" foreign advance --api "$(api bank)" --key "$net/bank/keys/capture.key" --from "$(of bank api exporter)" 2>&1
}
advance >"$work/advance" || fail "foreign advance: $(cat "$work/advance")"
refuses carrier old.bin "retired"
rely carrier new.bin $container >"$work/relied" || fail "the new epoch: $(cat "$work/relied")"
listed() { "$carnet" foreign list --api "$(of carrier api exporter)" | grep -q "$(digest_of bank) active .*bank, epoch 2"; }
wait_for 10 listed || fail "foreign list does not name the epoch: $("$carnet" foreign list --api "$(of carrier api exporter)")"
advance | grep -q "epoch 2 is the newest" || fail "a second advance does not say that there is nothing to do"
pass "the bank's validators changed: the old epoch is refused, the change is carried over, a new proof is taken"

side carrier
id=$("$carnet" propose foreign --api "$(api exporter)" --key "$net/exporter/keys/capture.key" \
    --network "$(digest_of bank)" --withdraw) || fail "propose foreign --withdraw"
for member in exporter bank carrier; do
    "$carnet" ballot --api "$(api exporter)" --key "$net/$member/keys/capture.key" --proposal "$id" --approve >/dev/null ||
        fail "the ballot of $member on the withdrawal"
done
fourth=$(event bank fourth) || fail "no fourth event in the bank's network"
prove bank "$fourth" late.bin
refuses carrier late.bin "withdrawn by ballot"
pass "nothing of a network that was withdrawn is admitted"

audit carrier $container
audit carrier "urn:carnet:network:$(digest_of bank)"
audit bank $container
"$carnet" verify --genesis "$(digest_of bank)" "$work/audit.carrier.zip" >/dev/null 2>&1 &&
    fail "the carrier's dossier verifies under the bank's genesis"
pass "audits of both verify across the change"
for name in bank carrier; do
    side $name
    expect_same_headers
    down_and_check
done
