#!/usr/bin/env bash
# The scripted conversations must be said exactly as golden/ has them. `golden.sh SIMULATE --write` writes them anew.
set -euo pipefail
simulate=$1
folder=$(cd "$(dirname "$0")" && pwd)/golden
rc=0
for name in $("$simulate" --list-golden); do
    if [ "${2:-}" = --write ]; then
        "$simulate" --golden "$name" >"$folder/$name.txt"
    elif ! "$simulate" --golden "$name" | diff -u "$folder/$name.txt" - | head -40; then
        echo "$name is said otherwise than in tests/simulation/golden/$name.txt"
        rc=1
    fi
done
for file in "$folder"/*.txt; do
    "$simulate" --list-golden | grep -qx "$(basename "$file" .txt)" || { echo "$file: no such conversation"; rc=1; }
done
exit $rc
