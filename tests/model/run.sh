#!/usr/bin/env bash
# Searches all states of simplex.pml, and sees that the search sees: with a rule broken there must be a counterexample, and a
# network that finalizes must be among the states. CARNET_MODEL_VIEWS (3) bounds the views; 2 takes a second.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
views=${CARNET_MODEL_VIEWS:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# search VIEWS OPTIMIZATION [-DNAME]: one search; its words are in $work/out
search() {
    rm -f pan*
    spin -a "-DVIEWS=$1" ${3:+"$3"} "$here/simplex.pml" >spin.out 2>&1 || { cat spin.out; exit 1; }
    ${CC:-cc} "$2" -w -DSAFETY -DNOREDUCE -DMEMLIM=2000 -o pan pan.c
    ./pan -m20000 -w22 >out 2>&1 || { cat out; exit 1; }
    if grep -qE 'max search depth too small|out of memory|memory limit' out; then
        echo "the search did not see every state:"
        cat out
        exit 1
    fi
}

search "$views" -O3
grep -q 'errors: 0$' out || { echo "a rule does not hold:"; cat out; exit 1; }
states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' out)
[ "${states:-0}" -gt 10000 ] || { echo "only ${states:-0} states"; exit 1; }
echo "ok: $states states of $views views, every one within the rules"

for name in ALL_FINAL FINALIZE_AFTER_NULLIFY NULLIFY_AFTER_FINALIZE NOTARIZE_TWICE QUORUM_MINUS_ONE VOTES_NOT_DURABLE \
    ANCESTRY_SKIPPED; do
    search 2 -O0 "-D$name"
    grep -q 'assertion violated' out || { echo "$name: no counterexample"; cat out; exit 1; }
    echo "ok: $name gives a counterexample of $(sed -n 's/.*(at depth \([0-9]*\)).*/\1/p' out) steps"
done
