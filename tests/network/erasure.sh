#!/usr/bin/env bash
# A member orders items that it signed to be erased: content and salt are gone from the disk of every node, also of one that was down,
# each node attests it once, and every proof stays valid; nobody else can order it.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-18340}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

subject=urn:epc:id:sgtin:0614141.107346.2018
secret=urn:example:driver:Jane-Doe-4711
key() { echo "$net/$1/keys/capture.key"; }
attested() { # NODE COUNT
    [ "$(get "$1" /v1/subjects/urn%3Acarnet%3Aerasures | perl -MJSON::PP -0777 -ne 'print decode_json($_)->{completeness}{count} // 0')" = "$(($2 + 1))" ]
}
held_nowhere() { # after compaction: freed pages keep old bytes until they are used again
    local node
    for node in "${nodes[@]}"; do
        mkdir -p "$work/compact-$node"
        "$carnet" fsck "$net/$node/data" >/dev/null || fail "fsck of $node"
        "$carnet" compact --to "$work/compact-$node" "$net/$node/data" >/dev/null || fail "compact $node"
        if grep -aq "$secret" "$work/compact-$node/data.mdb"; then fail "$node still has it on disk"; fi
        if grep -aq "$salt_hex" <(od -An -v -tx1 "$work/compact-$node/data.mdb" | tr -d ' \n'); then fail "$node still has the salt"; fi
    done
}

up
cat >"$work/events.json" <<EVENTS
{"@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"], "type": "EPCISDocument", "schemaVersion": "2.0",
 "creationDate": "2026-05-01T08:00:00.000Z", "epcisBody": {"eventList": [
 {"type": "ObjectEvent", "action": "OBSERVE", "eventTime": "2026-05-01T08:00:00.000Z", "eventTimeZoneOffset": "+03:00", "epcList": ["$subject"], "bizStep": "shipping"},
 {"type": "ObjectEvent", "action": "OBSERVE", "eventTime": "2026-05-01T09:00:00.000Z", "eventTimeZoneOffset": "+03:00", "epcList": ["$subject"], "readPoint": {"id": "$secret"}},
 {"type": "ObjectEvent", "action": "OBSERVE", "eventTime": "2026-05-01T10:00:00.000Z", "eventTimeZoneOffset": "+03:00", "epcList": ["$subject"], "bizStep": "receiving"}]}}
EVENTS
id=$("$carnet" submit --api "$(api bank)" --key "$(key bank)" --wait "$work/events.json" | head -n 1) || fail "submit"
salt_hex=$(get bank "/v1/statements/$id" | SECRET=$secret perl -MJSON::PP -MMIME::Base64 -0777 -ne '
    my $b = decode_base64(decode_json($_)->{bytes_base64});
    my $at = rindex substr($b, 0, index $b, $ENV{SECRET}), "{\"type\"";
    print unpack "H*", substr $b, $at - 16, 16')
[ ${#salt_hex} = 32 ] || fail "no salt: $salt_hex"
"$carnet" export --api "$(api bank)" --statement "$id" --format cose --member bank --out "$work/before.cose" >/dev/null || true
"$carnet" audit --api "$(api exporter)" --subject "$subject" --out "$work/before.zip" >/dev/null || fail "audit before"

"$carnet" erase --api "$(api exporter)" --key "$(key exporter)" --statement "$id" --items 2 >/dev/null 2>"$work/why" && fail "a stranger had it erased"
grep -q "only the member whose key signed" "$work/why" || fail "no reason: $(cat "$work/why")"
"$carnet" erase --api "$(api bank)" --key "$(key bank)" --statement "$id" --items 2-9 >/dev/null 2>"$work/why" && fail "items that are not there"
grep -q "items 0 to 3" "$work/why" || fail "no reason: $(cat "$work/why")"
pass "only who signed it, and only what is there"

"$carnet" testnet stop carrier --dir "$net" || fail "stop carrier"
order=$("$carnet" erase --api "$(api bank)" --key "$(key bank)" --statement "$id" --items 2 --reason asked) || fail "erase"
for node in exporter bank customs; do wait_for 30 attested "$node" 3 || fail "not all who are up have attested: $(get "$node" /v1/status)"; done
"$carnet" testnet start carrier --dir "$net" || fail "start carrier"
for node in "${nodes[@]}"; do wait_for 60 attested "$node" 4 || fail "$node does not see four attestations"; done
sleep 6
attested exporter 4 || fail "somebody attests again"
pass "each node attested once, the one that was down too"

get exporter "/v1/statements/$id" | grep -q "$secret" && fail "the API still shows it"
[ "$(get exporter "/v1/statements/$id" | perl -MJSON::PP -0777 -ne 'print join ",", map { $_->{format} } @{decode_json($_)->{items}}')" = \
    "envelope,epcis,erased,epcis" ] || fail "items of the statement: $(get exporter "/v1/statements/$id")"
export ORDER=$order
status=$(curl -s -o "$work/gone" -w '%{http_code}' "$(api exporter)/v1/statements/$id/proof?format=item&item=2")
[ "$status" = 410 ] && grep -q "erased by statement $order" "$work/gone" && grep -q 'problem:erased' "$work/gone" ||
    fail "an erased item answers $status: $(cat "$work/gone")"
get exporter "/v1/statements/$id" | perl -MJSON::PP -0777 -ne 'my @o = @{decode_json($_)->{erased_by}};
    exit !(@o == 1 && $o[0]{statement} eq $ENV{ORDER} && $o[0]{start} == 2 && $o[0]{count} == 1)' || fail "the statement does not name the order"
if "$carnet" export --api "$(api exporter)" --statement "$id" --format item --item 2 --out "$work/no-item" >"$work/no" 2>&1; then
    fail "an erased item was exported"
fi
grep -q "erased by statement $order" "$work/no" && [ ! -e "$work/no-item" ] || fail "the export does not say which order: $(cat "$work/no")"
"$carnet" export --api "$(api exporter)" --statement "$id" --format item --item 1 --out "$work/item" >/dev/null || fail "another item of the batch"
for node in "${nodes[@]}"; do
    "$carnet" audit --api "$(api "$node")" --subject "$subject" --out "$work/$node.zip" >/dev/null || fail "audit of $node"
    "$carnet" verify --genesis "$(cat "$net/genesis.digest")" --json "$work/$node.zip" >"$work/verdict" || fail "verify: $(cat "$work/verdict")"
    [ "$(field erased_items <"$work/verdict")" = 1 ] || fail "the verifier does not count it: $(cat "$work/verdict")"
    perl -MJSON::PP -0777 -ne 'my @e = @{decode_json($_)->{erasures}};
        exit !(@e == 1 && $e[0]{ordered_by} eq $ENV{ORDER} && @{$e[0]{attested_by}} == 4)' "$work/verdict" ||
        fail "the verifier does not name the order and who attested it: $(cat "$work/verdict")"
    unzip -p "$work/$node.zip" report.html | grep -q "orders items 2 to 2" || fail "the report does not say who ordered it"
    unzip -p "$work/$node.zip" | grep -aq "$secret" && fail "the dossier of $node has it"
done
"$carnet" verify --genesis "$(cat "$net/genesis.digest")" "$work/before.zip" >/dev/null || fail "the audit from before does not verify any more"
pass "audits verify, and show the item as erased by statement ${order:0:16}"

# Between erasing and saying so: customs erases without its capture key, is killed, and says so when it has both again.
not_attested() { [ "$(get "$1" /v1/status | perl -MJSON::PP -0777 -ne 'print decode_json($_)->{erasures}{not_attested}')" = "$2" ]; }
mv "$(key customs)" "$work/customs.key"
"$carnet" erase --api "$(api bank)" --key "$(key bank)" --statement "$id" --items 3 --reason mistake >/dev/null || fail "second order"
for node in exporter bank carrier; do wait_for 30 attested "$node" 8 || fail "$node does not see three attestations of the second order"; done
wait_for 30 not_attested customs 1 || fail "customs does not say that it cannot attest: $(get customs /v1/status)"
[ "$(get customs "/v1/statements/$id" | perl -MJSON::PP -0777 -ne 'print decode_json($_)->{items}[3]{format}')" = erased ] ||
    fail "customs has not erased it"
"$carnet" testnet kill customs --dir "$net" || fail "kill customs"
mv "$work/customs.key" "$(key customs)"
"$carnet" testnet start customs --dir "$net" || fail "start customs"
for node in "${nodes[@]}"; do wait_for 60 attested "$node" 9 || fail "$node does not see the attestation of customs"; done
wait_for 30 not_attested customs 0 || fail "customs still counts it: $(get customs /v1/status)"
pass "a node killed between erasing and attesting attests when it is back"

# A node that begins anew gets the batch as the others have it: leaf hashes where content was.
"$carnet" testnet stop carrier --dir "$net" || fail "stop carrier"
rm -r "$net/carrier/data"
"$carnet" testnet start carrier --dir "$net" || fail "start carrier"
wait_for 60 attested carrier 9 || fail "carrier does not catch up"
wait_for 60 same_height || fail "carrier stays behind"
"$carnet" audit --api "$(api carrier)" --subject "$subject" --out "$work/anew.zip" >/dev/null || fail "audit of the new ledger"
"$carnet" verify --genesis "$(cat "$net/genesis.digest")" --json "$work/anew.zip" >"$work/verdict" || fail "verify: $(cat "$work/verdict")"
[ "$(field erased_items <"$work/verdict")" = 2 ] || fail "items of the new ledger: $(cat "$work/verdict")"
sleep 6
attested exporter 9 || fail "carrier attests what it attested before"
pass "a node that begins anew catches up with the leaf hashes, audits them, and attests nothing twice"

for node in "${nodes[@]}"; do "$carnet" testnet kill "$node" --dir "$net" || fail "kill $node"; done
held_nowhere
pass "content and salt are on no disk"
"$carnet" testnet up --dir "$net" >/dev/null || fail "up again"
commit exporter exporter after >/dev/null || fail "nothing becomes final after that"
expect_same_headers
down_and_check
