#!/usr/bin/env bash
# A search of SECONDS for each target of a tree built with -DCARNET_FUZZ=ON; names after that pick targets. What covers
# something new is kept in BUILD/corpus and used the next time; what violates something lands in BUILD/artifacts.
#
#   tests/fuzz/campaign.sh BUILD SECONDS [NAME...]
#
# CARNET_FUZZ_JOBS: targets at once (default: the number of processors)
set -eu

[ $# -ge 2 ] || {
    echo "usage: campaign.sh BUILD SECONDS [NAME...]" >&2
    exit 2
}
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
export seconds=$2 here build
shift 2
if [ $# -eq 0 ]; then
    for binary in "$build"/tests/fuzz/fuzz_*; do
        [ -x "$binary" ] && set -- "$@" "${binary##*/fuzz_}"
    done
fi
[ $# -gt 0 ] || {
    echo "campaign.sh: there are no targets in $build/tests/fuzz; configure with -DCARNET_FUZZ=ON and build 'fuzz'" >&2
    exit 2
}
mkdir -p "$build/corpus" "$build/artifacts"
export CARNET_FUZZ_KEEP=$build/corpus CARNET_FUZZ_ARTIFACTS=$build/artifacts CARNET_FUZZ_SEED=${CARNET_FUZZ_SEED:-0}
# shellcheck disable=SC2016 # expanded by the shell that xargs starts
printf '%s\n' "$@" | xargs -P "${CARNET_FUZZ_JOBS:-$(nproc)}" -I{} sh -c \
    '"$here/run.sh" search "$build/tests/fuzz/fuzz_{}" "$here/found/{}" "$seconds" 65536'
