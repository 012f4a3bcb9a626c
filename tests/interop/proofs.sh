#!/usr/bin/env bash
# One event of a running network, exported in each format and given to verifiers that this project did not write: npm's @transmute/cose and
# @confio/ics23, and note and tlog of Go's golang.org/x/mod. Prints a table of format, verifier, size and result.
# usage: tests/interop/proofs.sh BIN-DIR
set -euo pipefail

bin=$1
here=$(cd "$(dirname "$0")" && pwd)/proofs
work=$(mktemp -d)
trap '"$bin/carnet" testnet down --dir "$work/net" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
fail() {
    echo "FAILED: $*"
    exit 1
}
json() { perl -MJSON::PP -0777 -e 'my $j = decode_json(<STDIN>); '"$1"; }

# The verifiers, from npm as the lock file pins them, and from Debian.
cp "$here/package.json" "$here/package-lock.json" "$here/receipts.mjs" "$here/ics23.mjs" "$work/"
(cd "$work" && npm ci --no-audit --no-fund --ignore-scripts >"$work/npm.log" 2>&1) || fail "npm ci: $(tail -n 5 "$work/npm.log")"
(cd "$here/tlogproof" && GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$work/go" GOFLAGS= go build -o "$work/tlogproof" .) || fail "go build"

"$bin/carnet" testnet up --dir "$work/net" --base-port 19500 --checkpoint-ms 200 >/dev/null || fail "up"
api=http://127.0.0.1:19501
# The release by customs, of the sample shipment.
"$bin/carnet-sample" --out "$work/sample" >/dev/null || fail "carnet-sample"
event=$work/sample/09-customs-release.json
subject=urn:carnet:ucr:6KEP051234567A-AVO-0114
for n in 1 2 3 4 5; do # neighbours, so that the path has several nodes
    "$bin/carnet" keygen --purpose device --out "$work/$n.key" >/dev/null
    "$bin/carnet" device register --api "$api" --key "$work/net/exporter/keys/capture.key" --new-key "$work/$n.key" >/dev/null || fail "register"
done
# An older checkpoint. @transmute/cose 0.2.11 does not prepend the older root where its size is a power of two (RFC 9162 2.1.4.2, step 2),
# so it is asked about another size.
while :; do
    older=$(curl -sS "$api/v1/checkpoints/latest")
    size=$(json 'print $j->{log_size}' <<<"$older")
    [ $((size & (size - 1))) -eq 0 ] || break
    sleep 0.2
done
id=$("$bin/carnet" submit --api "$api" --key "$work/net/customs/keys/capture.key" --wait "$event" | head -n 1)
curl -sS "$api/v1/statements/$id" >"$work/statement.json"
index=$(json 'print $j->{log_index}' <"$work/statement.json")
height=$(json 'print $j->{height}' <"$work/statement.json")
entry=$(curl -sS "$api/v1/blocks/$height" | INDEX=$index json 'print $j->{records}[$ENV{INDEX} - $j->{first_log_index}]')

"$bin/carnet" export --api "$api" --statement "$id" --format tlog --out "$work/proof.tlog-proof" >/dev/null || fail "export tlog"
"$bin/carnet" export --api "$api" --statement "$id" --format cose --out "$work/all.cbor" >/dev/null || fail "export cose"
curl -sS "$api/v1/checkpoints/latest" >"$work/checkpoint.json"
# The heartbeat is far away: no checkpoint came between these calls.
signers=$(sed -n 's/^— [^ ]*\/\([a-z0-9-]*\) .*/\1/p' "$work/proof.tlog-proof" | grep -v '^[0-9a-f]\{64\}$')
[ "$(echo "$signers" | wc -l)" -eq 3 ] || fail "three of four validators make a quorum, not: $signers"
receipts=()
for member in $signers; do
    "$bin/carnet" export --api "$api" --statement "$id" --format cose --member "$member" --out "$work/$member.cose" >/dev/null ||
        fail "export of the receipt of $member"
    receipts+=("$work/$member.cose")
done
cat "${receipts[@]}" >"$work/joined" # the array is its head and the receipts
{ printf '\203'; cat "$work/joined"; } | cmp - "$work/all.cbor" || fail "the array of receipts is not the receipts"
"$bin/carnet" export --api "$api" --statement "$id" --format cose --out "$work/again.cbor" >/dev/null
cmp "$work/all.cbor" "$work/again.cbor" || fail "two exports differ"

"$bin/carnet" export --api "$api" --consistency-from "$size" --format cose --member "${signers%%$'\n'*}" \
    --out "$work/${signers%%$'\n'*}.consistency" >/dev/null || fail "export of a consistency receipt"
"$bin/carnet" export --api "$api" --subject "$subject" --format ics23 --out "$work/present.json" >/dev/null || fail "export ics23"
"$bin/carnet" export --api "$api" --subject urn:example:never --format ics23 --out "$work/absent.json" >/dev/null || fail "export absence"
[ "$(json 'print $j->{present} ? 1 : 0' <"$work/present.json")$(json 'print $j->{present} ? 1 : 0' <"$work/absent.json")" = 10 ] ||
    fail "presence and absence are mixed up"

(cd "$work" && CONSISTENCY="$(json 'print $j->{log_root}' <<<"$older") ${signers%%$'\n'*}.consistency" node receipts.mjs checkpoint.json "$entry" "${receipts[@]}") >"$work/rows" || fail "$(cat "$work/rows")"
(cd "$work" && node ics23.mjs present.json absent.json) >>"$work/rows" || fail "$(tail -n 5 "$work/rows")"
"$bin/carnet" export --api "$api" --statement "$id" --item 1 --format item --out "$work/item.json" >/dev/null || fail "export item"
"$work/tlogproof" item "$work/item.json" >>"$work/rows" || fail "$(tail -n 5 "$work/rows")"
[ "$(json 'print $j->{record}' <"$work/item.json")" = "$entry" ] || fail "the item is of another record"
"$bin/carnet" export --api "$api" --policy --format tlog --out "$work/policy.txt" >/dev/null || fail "export of the policy"
"$bin/carnet" audit --api "$api" --subject "$subject" --out "$work/audit.zip" >/dev/null || fail "audit"
genesis=$(cat "$work/net/genesis.digest")
"$bin/carnet" verify --genesis "$genesis" --policy "$work/policy.txt" "$work/audit.zip" >"$work/out" || fail "policy: $(cat "$work/out")"
sed 's/^group validators [0-9]*/group validators 4/' "$work/policy.txt" >"$work/strict.txt"
"$bin/carnet" verify --genesis "$genesis" --policy "$work/strict.txt" "$work/audit.zip" >"$work/out" && fail "three signers satisfy a policy that wants four"
grep -q 'witness-policy *failed' "$work/out" || fail "another step: $(cat "$work/out")"
mapfile -t vkeys < <(SIGNERS=$signers json 'my %s = map { $_ => 1 } split " ", $ENV{SIGNERS};
    print map { "$_->{log_vkey}\n$_->{cosignature_vkey}\n" } grep { $s{$_->{name}} } @{$j->{signatures}}' <"$work/checkpoint.json")
"$work/tlogproof" "$work/proof.tlog-proof" "$entry" "${vkeys[@]}" >>"$work/rows" || fail "$(tail -n 5 "$work/rows")"
printf '| format | verifier | bytes | result |\n|---|---|---|---|\n'
sed -n 's/^row\t\(.*\)/| \1 |/; s/\t/ | /gp' "$work/rows"
