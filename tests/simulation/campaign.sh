#!/usr/bin/env bash
# Seeds and twins schedules until CARNET_CAMPAIGN_SECONDS (default 60) are over, from CARNET_CAMPAIGN_START (default: the
# day, so that nights do not repeat one another). Stops at the first violation, with the command that replays it.
set -euo pipefail
simulate=${1:?usage: campaign.sh SIMULATE}
seconds=${CARNET_CAMPAIGN_SECONDS:-60}
at=${CARNET_CAMPAIGN_START:-$(($(date +%s) / 86400 * 1000000))}
end=$((SECONDS + seconds))
seeds=0
schedules=0
said=$(mktemp)
trap 'rm -f "$said"' EXIT

run() {
    "$simulate" "$@" >"$said" || { cat "$said"; exit 1; }
}

while [ "$SECONDS" -lt "$end" ]; do
    for nodes in 4 4 4 7; do
        run --seeds 250 --start "$at" --nodes "$nodes"
        at=$((at + 250))
        seeds=$((seeds + 250))
        [ "$SECONDS" -lt "$end" ] || break
    done
    run --twins 250 --start "$at"
    schedules=$((schedules + 250))
done
echo "$seeds seeds and $schedules twins schedules in $seconds s: no violation; next start: $at"
