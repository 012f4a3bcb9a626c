#!/usr/bin/env bash
# What the production core did, judged by rules.pl. rules.sh SIMULATE: all by the rules, at n = 4 and 7, and with twins.
# rules.sh SIMULATE MUTATION START: rules.pl must find the breach, by itself. CARNET_RULES_SEEDS: how many worlds.
set -euo pipefail
simulate=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
seeds=${CARNET_RULES_SEEDS:-100}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# judge WHAT...: the words of rules.pl are in $work/judged, its status in $judged and that of simulate in $simulated
judge() {
    local status=()
    set +e
    "$simulate" "$@" --record /dev/fd/3 3>&1 >"$work/said" 2>&1 | perl "$here/rules.pl" >"$work/judged" 2>&1
    status=("${PIPESTATUS[@]}")
    set -e
    simulated=${status[0]}
    judged=${status[1]}
}

show() {
    cat "$work/judged" "$work/said"
    exit 1
}

if [ $# -eq 1 ]; then
    for what in "--seeds $seeds --start 1" "--seeds $(((seeds + 9) / 10)) --start 1 --nodes 7" \
        "--twins $((2 * seeds)) --start 1000"; do
        # shellcheck disable=SC2086 # words
        judge $what
        [ "$judged" -eq 0 ] && [ "$simulated" -eq 0 ] || show
        cat "$work/judged"
    done
    exit 0
fi
# status 1 is a breach that was found, and it must be of a rule
judge --seeds "$seeds" --start "$3" --mutate "$2"
[ "$judged" -eq 1 ] && grep -qE '^world [0-9]+, line [0-9]+: (R[0-9]+|agreement): ' "$work/judged" || show
echo "ok: $2: $(cat "$work/judged")"
