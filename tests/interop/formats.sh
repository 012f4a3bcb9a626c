#!/usr/bin/env bash
# One event of the sample shipment in every format, given to every verifier that this project did not write; one table.
# usage: tests/interop/formats.sh BIN-DIR
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=$(mktemp)
trap 'rm -f "$out"' EXIT
for part in proofs witness evm timestamps; do
    "$here/$part.sh" "${1:?usage: $0 BIN-DIR}" >"$out" || { cat "$out"; exit 1; }
    [ "$part" != proofs ] || printf '| format | verifier | bytes | result |\n|---|---|---|---|\n'
    grep '^| ' "$out" | grep -v '^| format'
done
