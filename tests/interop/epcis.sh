#!/usr/bin/env bash
# Every valid EPCIS 2.0 JSON capture document and event of others' samples is accepted by a running network and comes back
# in an audit byte for byte; every invalid one is refused with file and reason, and nothing of it is recorded.
# usage: tests/interop/epcis.sh BIN-DIR DATA-DIR
set -euo pipefail

bin=$1 data=$2
samples=$data/openepcis-test-resources/2.0/EPCIS/JSON/Capture
vectors=$data/epcis-event-hash-vectors/examples
if [ ! -d "$samples" ]; then
    echo "the samples are absent ($samples); nothing was checked"
    exit 77
fi
work=$(mktemp -d)
passed=0 failed=0
trap '"$bin/carnet" testnet down --dir "$work/net" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

good() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    echo "FAILED: $*"
}

"$bin/carnet" testnet up --dir "$work/net" --base-port 19400 --checkpoint-ms 200 >/dev/null
digest=$(cat "$work/net/genesis.digest")
key=$work/net/exporter/keys/capture.key
api=http://127.0.0.1:19401
customs=http://127.0.0.1:19407

valid=()
for file in "$samples"/Documents/*.json "$samples"/Events/*.json "$vectors"/*.jsonld; do
    # query documents are no capture documents and are refused with that reason
    if grep -q '"EPCISQueryDocument"' "$file"; then
        if "$bin/carnet" submit --api "$api" --key "$key" "$file" >"$work/out" 2>&1 || ! grep -qi 'query' "$work/out"; then
            bad "$file: a query document was not refused with that reason"
        else
            good
        fi
        continue
    fi
    if "$bin/carnet" submit --api "$api" --key "$key" --wait "$file" >"$work/out" 2>&1; then
        good
        valid+=("$file")
    else
        bad "$file: $(cat "$work/out")"
    fi
done

statements() { "$bin/carnet" status --api "$api" --json | grep '"statements"' | head -n 1; }
before=$(statements)
for file in "$samples"/Invalid/*.json; do
    if "$bin/carnet" submit --api "$api" --key "$key" --wait "$file" >"$work/out" 2>&1; then
        bad "$file: was accepted"
    elif ! grep -qF "$(basename "$file")" "$work/out" || [ "$(wc -c <"$work/out")" -lt 60 ]; then
        bad "$file: refused without file and reason: $(cat "$work/out")"
    else
        good
    fi
done
[ "$before" = "$(statements)" ] || bad "something of an invalid document was recorded"

for file in "${valid[@]}"; do
    sha=$(sha256sum "$file" | cut -d ' ' -f 1)
    rm -rf "$work/docs"
    if "$bin/carnet" audit --api "$customs" --subject "urn:carnet:document:$sha" --out "$work/a.zip" >/dev/null 2>"$work/out" &&
        "$bin/carnet" verify --genesis "$digest" --documents "$work/docs" "$work/a.zip" >>"$work/out" 2>&1 &&
        cmp -s "$file" "$work/docs/$sha.json"; then
        good
    elif grep -q 'nothing is recorded' "$work/out"; then
        # a bare event with identifiers has no document subject: ask for the first thing that it names
        subject=$("$bin/carnet" submit --api "$api" --key "$key" --json "$file" | grep -o '"id": "[0-9a-f]*"' | head -n 1 | cut -d '"' -f 4)
        if "$bin/carnet" export --api "$customs" --statement "$subject" --format native --out "$work/a.zip" >/dev/null &&
            "$bin/carnet" verify --genesis "$digest" --documents "$work/docs" "$work/a.zip" >/dev/null 2>&1 &&
            cmp -s "$file" "$work/docs/$sha.json"; then
            good
        else
            bad "$file: did not come back byte for byte"
        fi
    else
        bad "$file: did not come back byte for byte: $(tail -n 2 "$work/out")"
    fi
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
