#!/usr/bin/env bash
# Steady load for CARNET_SOAK_SECONDS (25; the campaign runs 1200): after the first minute (a third of a short run) no node
# grows by 8 MiB of resident memory or more, the pages of its LMDB map aside. Prints what each node held, once a minute.
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-17600}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seconds=${CARNET_SOAK_SECONDS:-25}
per_second=${CARNET_SOAK_RATE:-100}
batch=${CARNET_SOAK_BATCH:-10}
limit_kib=8192
warm=$((seconds / 3 < 60 ? seconds / 3 : 60))

pid_of() { "$carnet" testnet status --dir "$net" --json | NODE=$1 perl -MJSON::PP -0777 -ne '
    my $s = decode_json($_); for my $n (@{ref $s eq "ARRAY" ? $s : $s->{nodes}}) { print "$n->{pid}\n" if $n->{name} eq $ENV{NODE} }'; }

# KiB that are resident in every mapping but the database file
resident() {
    perl -ne 'if (/^[0-9a-f]+-[0-9a-f]+ /) { $map = m{/data\.mdb$} } elsif (!$map && /^Rss:\s+(\d+) kB/) { $sum += $1 }
        END { print $sum // 0, "\n" }' "/proc/$1/smaps"
}

declare -A pid first last most
up
for node in "${nodes[@]}"; do pid[$node]=$(pid_of "$node"); done
start_load "$per_second" "$batch" 8
sample() {
    local node line=
    for node in "${nodes[@]}"; do
        last[$node]=$(resident "${pid[$node]}")
        [ "${last[$node]}" -gt 0 ] || fail "$node is gone"
        [ "${most[$node]:-0}" -ge "${last[$node]}" ] || most[$node]=${last[$node]}
        line+=" $node ${last[$node]}"
    done
    echo "$1 s:$line KiB"
}
begin=$SECONDS
sleep "$warm"
sample "$warm"
for node in "${nodes[@]}"; do first[$node]=${last[$node]} most[$node]=${last[$node]}; done
while [ $((SECONDS - begin)) -lt "$seconds" ]; do
    left=$((seconds - SECONDS + begin))
    sleep $((left < 60 ? left : 60))
    sample $((SECONDS - begin))
done
end_load
for node in "${nodes[@]}"; do
    grown=$((last[$node] - first[$node]))
    echo "$node: ${first[$node]} KiB after $warm s, $grown KiB more after $seconds s, at most ${most[$node]} KiB"
    [ "$grown" -lt "$limit_kib" ] || fail "$node grew by $grown KiB in $((seconds - warm)) s of steady load"
done
pass "less than $limit_kib KiB of growth a node in $((seconds - warm)) s"
check_history
expect_same_headers
down_and_check
