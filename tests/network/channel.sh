#!/usr/bin/env bash
# Channel keys are rotated by statements, without a restart. A node that slept through the rotation of two others finds its
# way by a sync-only link (R12), and one that has no key the ledger names stays out and says so.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-17800}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

link_up() { # link_up NODE PEER
    get "$1" /v1/status | PEER=$2 perl -MJSON::PP -0777 -ne '
        my ($p) = grep { $_->{name} eq $ENV{PEER} } @{decode_json($_)->{peers}}; exit !($p && $p->{up})'
}

rotate() { # rotate MEMBER NODE
    "$carnet" keygen --purpose channel --out "$net/$1/keys/channel.next.key" >/dev/null || fail "keygen"
    "$carnet" member channel-key --api "$(api "$2")" --key "$net/$1/keys/capture.key" \
        --new-key "$net/$1/keys/channel.next.key" >/dev/null || fail "channel-key of $1"
}

up
rotate bank exporter
wait_for 30 grep -q "uses its new channel key" "$net/bank/carnetd.log" || fail "the bank did not take its new key"
for node in exporter carrier customs; do
    wait_for 30 link_up bank "$node" || fail "the bank and $node are not linked with the new key"
done
commit carrier bank after-rotation >/dev/null || fail "no statement became final after the rotation"
pass "a channel key was rotated without a restart"

"$carnet" keygen --purpose capture --out "$work/forwarder.key" >/dev/null
"$carnet" member register --api "$(api bank)" --key "$net/exporter/keys/capture.key" --name forwarder-1 --country NL --roles forwarder \
    --new-key "$work/forwarder.key" >/dev/null || fail "member register"
listed() { [ "$(get customs "$1" | grep -o "$2" | wc -l)" -eq "$3" ]; }
wait_for 30 listed /v1/members '"forwarder-1"' 1 || fail "a registered member is not listed"
wait_for 30 listed /v1/devices '"purpose":"device"' 1 || fail "the registered device is not listed"
pass "members and devices that were registered later are listed"

"$carnet" testnet kill customs --dir "$net" || fail "kill customs"
mv "$net/bank/keys/channel.next.key" "$net/bank/keys/channel.key"
rotate exporter carrier
rotate bank carrier
for node in exporter bank; do
    wait_for 30 grep -q "uses its new channel key" "$net/$node/carnetd.log" || fail "$node did not take its new key"
done
commit carrier exporter while-asleep >/dev/null || fail "no statement became final with customs asleep"
"$carnet" testnet kill carrier --dir "$net" || fail "kill carrier" # the only peer whose key customs still knows
"$carnet" testnet start customs --dir "$net" || fail "start customs"
for node in exporter bank; do
    wait_for 60 link_up customs "$node" || fail "customs found no way to $node"
done
commit customs customs found-its-way >/dev/null || fail "no statement became final with the node that slept"
"$carnet" testnet start carrier --dir "$net" || fail "start carrier"
pass "a node that slept through two rotations found its way, with every other key changed or away"
expect_same_headers
down_and_check
