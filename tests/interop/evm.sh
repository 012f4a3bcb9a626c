#!/usr/bin/env bash
# Proofs of a running network as calls of the verifier contract, compiled by solc and run in @ethereumjs/evm: before and after a
# validator changed its keys. Prints a table of call, size and gas.
# usage: tests/interop/evm.sh BIN-DIR
set -euo pipefail

bin=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
port=${CARNET_TEST_PORT:-19640}
trap '"$bin/carnet" testnet down --dir "$work/net" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
fail() {
    echo "FAILED: $*"
    exit 1
}

cp "$here"/evm/* "$work/"
(cd "$work" && npm ci --no-audit --no-fund --ignore-scripts >"$work/npm.log" 2>&1) || fail "npm ci: $(tail -n 5 "$work/npm.log")"

"$bin/carnet" testnet up --dir "$work/net" --base-port "$port" --checkpoint-ms 200 >/dev/null || fail "up"
api=http://127.0.0.1:$((port + 1))
key() { echo "$work/net/$1/keys/capture.key"; }
# The release by customs, of the sample shipment.
"$bin/carnet-sample" --out "$work/sample" >/dev/null || fail "carnet-sample"
event=$work/sample/09-customs-release.json
subject=urn:carnet:ucr:6KEP051234567A-AVO-0114
for n in 1 2 3 4 5 6 7; do # neighbours in the log and in the state
    "$bin/carnet" keygen --purpose device --out "$work/$n.key" >/dev/null
    "$bin/carnet" device register --api "$api" --key "$(key exporter)" --new-key "$work/$n.key" >/dev/null || fail "register"
done
id=$("$bin/carnet" submit --api "$api" --key "$(key customs)" --wait "$event" | head -n 1)
export_as() { # NAME EPOCH OPTION...
    local out="$work/$1-$2.json"
    shift 2
    "$bin/carnet" export --api "$api" --format evm --out "$out" "$@" >/dev/null || fail "export $*"
}
export_all() {
    export_as statement "$1" --statement "$id"
    export_as present "$1" --subject "$subject"
    export_as absent "$1" --subject "$absent"
}
# Absence has two neighbours but at the ends of the map: the key of what is absent is a digest, so the first such one is soon found.
for n in $(seq 40); do
    absent=urn:example:never:$n
    export_as absent 1 --subject "$absent"
    perl -MJSON::PP -0777 -ne 'my $c = decode_json($_)->{calldata}; exit($c =~ /(?:0{62}21.{66}.*){3}/s ? 0 : 1)' "$work/absent-1.json" && break
done
export_all 1

proposal=$("$bin/carnet" propose rotate --api "$api" --key "$(key bank)" --keys "$work/net/bank/keys") || fail "propose"
for member in exporter carrier customs; do
    "$bin/carnet" ballot --api "$api" --key "$(key "$member")" --proposal "$proposal" --approve >/dev/null || fail "ballot of $member"
done
"$bin/carnet" ready --api "http://127.0.0.1:$((port + 3))" --key "$(key bank)" --keys "$work/net/bank/keys" --proposal "$proposal" >/dev/null || fail "ready"
for _ in $(seq 300); do
    curl -sS "$api/v1/epochs" | grep -q '"epoch": *2' && break
    sleep 0.1
done
"$bin/carnet" keygen --purpose device --out "$work/8.key" >/dev/null
"$bin/carnet" device register --api "$api" --key "$(key exporter)" --new-key "$work/8.key" >/dev/null || fail "register in the new epoch"
export_all 2
"$bin/carnet" export --api "$api" --format evm --epochs --out "$work/epochs.json" >/dev/null || fail "export of the epochs"

(cd "$work" && node run.mjs "$here/../../tools/evm/CarnetVerifier.sol" "$work") >"$work/rows" 2>&1 || fail "$(tail -n 30 "$work/rows")"
printf '| format | verifier | bytes | result |\n|---|---|---|---|\n'
sed -n 's/^row\t\(.*\)/| \1 |/; s/\t/ | /gp' "$work/rows"
tail -n 1 "$work/rows"
