#!/usr/bin/env bash
# Runs one fuzz target; every way checks that inputs were really executed.
#
#   run.sh replay BINARY FOUND                       the seeds and the inputs once found
#   run.sh search BINARY FOUND SECONDS MAX_LEN       the same, then a search; a violation fails
#   run.sh plant BINARY FOUND SECONDS MAX_LEN        a binary with a planted bug: the seeds must not reach it, the search must
#
# CARNET_FUZZ_SEED: what the search begins its random choices with (default 1; 0 is a new one each time)
# CARNET_FUZZ_KEEP: an existing folder; new inputs go to its folder of the target's name, and are used the next time
# CARNET_FUZZ_ARTIFACTS: an existing folder for the inputs that violate something (default: the working directory)
set -eu

mode=$1 binary=$2 found=$3 seconds=${4:-0} max_len=${5:-4096}
name=$(basename "$binary")
name=${name#*_}
memory=/dev/shm # targets that sync files do it thousands of times
[ -w "$memory" ] || memory=${TMPDIR:-/tmp}
work=$(mktemp -d "$memory/carnet-fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=0:${ASAN_OPTIONS:-}
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:${UBSAN_OPTIONS:-}

die() {
    echo "run.sh: $name: $*" >&2
    exit 1
}

mkdir "$work/seeds" "$work/new"
CARNET_FUZZ_SEEDS=$work/seeds "$binary" >"$work/seeds.log" 2>&1 || {
    cat "$work/seeds.log" >&2
    die "it could not make its seeds"
}
seeds=$(find "$work/seeds" -type f | wc -l)
[ "$seeds" -gt 0 ] || die "it has no seeds"
inputs=("$work/seeds")
[ ! -d "$found" ] || inputs+=("$found")
known=$(find "${inputs[@]}" -type f | wc -l)

# The count that the binary printed at its end.
executed() {
    local count
    count=$(sed -n 's/^stat::number_of_executed_units: *\([0-9]*\).*/\1/p' "$1" | tail -n 1)
    echo "${count:-0}"
}

if [ "$mode" = replay ]; then
    find "${inputs[@]}" -type f -print0 | sort -z | xargs -0 "$binary" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        die "an input violates something"
    }
    [ "$(executed "$work/log")" -eq "$known" ] || die "$(executed "$work/log") of $known inputs were executed"
    echo "$name: $known inputs"
    exit 0
fi

random=${CARNET_FUZZ_SEED:-1}
[ "$random" != 0 ] || random=$((RANDOM * 32768 + RANDOM + 1))
options=(-seed="$random" -max_len="$max_len" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512
    -print_final_stats=1 -artifact_prefix="$work/")
dictionary=$(dirname "$0")/dict/$name.dict
[ ! -f "$dictionary" ] || options+=(-dict="$dictionary")

# search LOG SECONDS; the way of calling that both modes share. A search that ends without a violation has run longer than
# the seeds alone, or it searched nothing.
search() {
    local log=$1 budget=$2 keep=$work/new status=0
    if [ "$mode" = search ] && [ -n "${CARNET_FUZZ_KEEP:-}" ]; then
        keep=$CARNET_FUZZ_KEEP/$name
        mkdir -p "$keep"
    fi
    "$binary" "${options[@]}" -max_total_time="$budget" "$keep" "${inputs[@]}" >"$log" 2>&1 || status=$?
    return "$status"
}

if [ "$mode" = plant ]; then
    "$binary" "${options[@]}" -runs=0 "${inputs[@]}" >"$work/seeds.log" 2>&1 || {
        tail -n 20 "$work/seeds.log" >&2
        die "a seed reaches the planted bug: it shows nothing"
    }
    [ "$(executed "$work/seeds.log")" -ge "$known" ] || die "the seeds were not executed"
    start=$SECONDS
    if search "$work/log" "$seconds"; then
        die "the planted bug was not found in $seconds s and $(executed "$work/log") executions"
    fi
    grep -q 'planted bug' "$work/log" || {
        tail -n 30 "$work/log" >&2
        die "it ended for another reason than the planted bug"
    }
    runs=$(executed "$work/log")
    [ "$runs" -gt 0 ] || die "it says that it ran nothing"
    echo "$name: found the planted bug after $runs executions, $((SECONDS - start)) s"
    exit 0
fi

if ! search "$work/log" "$seconds"; then
    tail -n 60 "$work/log" >&2
    for file in "$work"/crash-* "$work"/leak-* "$work"/oom-* "$work"/timeout-* "$work"/slow-unit-*; do
        [ -f "$file" ] || continue
        cp "$file" "${CARNET_FUZZ_ARTIFACTS:-.}/$name-$(basename "$file")"
        echo "the input, in base64: $(base64 -w 0 "$file" | head -c 8192)" >&2
        echo "again: $binary ${CARNET_FUZZ_ARTIFACTS:-.}/$name-$(basename "$file")" >&2
    done
    die "a violation was found (random seed $random)"
fi
runs=$(executed "$work/log")
[ "$runs" -gt "$known" ] || die "$runs executions for $known inputs: it searched nothing"
echo "$name: $runs executions in $seconds s"
