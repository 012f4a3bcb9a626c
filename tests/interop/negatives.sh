#!/usr/bin/env bash
# The negative vectors of the design, as dossiers that unit.verify_negatives (and one that unit.verify_foreign) makes: each is refused by both verifiers with
# the same named step, and given to the stock verifiers of the formats in it. Prints the table of docs/proofs.md.
# usage: tests/interop/negatives.sh BUILD-DIR
set -euo pipefail

build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "FAILED: $*"
    exit 1
}

# Each verifier with its libraries, from npm as the lock file pins them, and from Debian.
mkdir "$work/js" "$work/stock" "$work/evm" "$work/vectors"
cp -r "$root"/tools/verify-js/{package.json,package-lock.json,src} "$work/js/"
cp "$here"/proofs/package*.json "$here/negatives/stock.mjs" "$work/stock/"
cp "$here"/evm/package*.json "$here/evm/abi.mjs" "$here/negatives/calls.mjs" "$work/evm/"
for part in js stock evm; do
    (cd "$work/$part" && npm ci --no-audit --no-fund --ignore-scripts >"$work/npm.log" 2>&1) || fail "npm ci: $(tail -n 5 "$work/npm.log")"
done
(cd "$here/proofs/tlogproof" && GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$work/go" GOFLAGS= go build -o "$work/tlogproof" .) || fail "go build"

CARNET_VECTORS="$work/vectors" "$build/tests/unit/tools/test_verify_negatives" >"$work/log" 2>&1 || fail "test_verify_negatives: $(tail -n 3 "$work/log")"
CARNET_VECTORS="$work/vectors" "$build/tests/unit/tools/test_verify_foreign" --filter '*/nothing_of_a_retired_epoch' >"$work/log" 2>&1 || fail "test_verify_foreign: $(tail -n 3 "$work/log")"
node "$here/negatives/cases.mjs" "$work/js" "$work/vectors" "$build/tests/unit/tools/verify_many" >"$work/cases.json" || fail "cases"
(cd "$work/stock" && node stock.mjs "$work/cases.json") >"$work/stock.json" || fail "receipts and state proofs"
"$work/tlogproof" judge "$work/cases.json" >"$work/tlog.json" || fail "tlog-proofs"
(cd "$work/evm" && node calls.mjs "$(cd "$root" && pwd)/tools/evm/CarnetVerifier.sol" "$work/cases.json") >"$work/evm.json" || fail "calls"
node "$here/negatives/table.mjs" "$work/cases.json" "$work/stock.json" "$work/tlog.json" "$work/evm.json" || fail "negative vectors"
