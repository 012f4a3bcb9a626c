#!/usr/bin/env bash
# Real nodes under fire. Every link runs through the relay (50 ms one way, 1% loss); at most f nodes at a time are killed
# with -9, paused, run by a wall clock one hour off, or out of disk, while links are cut in one direction or reset. Then
# f + 1 nodes are cut off, and the others say who is missing. After healing commits go on within 10 s, and every
# acknowledged statement is on every node, once, in one order.
#   CARNET_FIRE_NODES (4), CARNET_FIRE_SECONDS of random faults (12), CARNET_FIRE_SEED: chosen and printed if not given;
#   CARNET_FIRE_RATE statements a second (40)
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-18600}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

count=${CARNET_FIRE_NODES:-4}
seconds=${CARNET_FIRE_SECONDS:-12}
seed=${CARNET_FIRE_SEED:-$((RANDOM * 32768 + RANDOM))}
faulty=$(((count - 1) / 3))
for i in $(seq 5 "$count"); do nodes+=("member-$i"); done
RANDOM=$seed
echo "$count nodes, $seconds s; again with CARNET_FIRE_NODES=$count CARNET_FIRE_SECONDS=$seconds CARNET_FIRE_SEED=$seed"
tests=$bin/../tests/network
declare -A faults=()

# ---- a network whose every ordered pair of nodes has its own port of the relay
"$carnet" testnet init --dir "$net" --nodes "$count" --base-port "$base" >/dev/null || fail "init"
: >"$work/links"
for i in "${!nodes[@]}"; do
    addresses=
    for j in "${!nodes[@]}"; do
        port=$((base + 100 + i * count + j))
        [ "$i" = "$j" ] || echo "${nodes[i]} ${nodes[j]} $port $((base + 2 * j))" >>"$work/links"
        addresses+=${addresses:+,}${nodes[j]}=127.0.0.1:$port
    done
    sed -i "s/^peer.addresses = .*/peer.addresses = $addresses/" "$net/${nodes[i]}/carnetd.conf"
    printf '+0000000' >"$net/${nodes[i]}/clock"
done
mkfifo "$work/orders" "$work/answers.relay"
"$tests/relay" --links "$work/links" --delay 50 --loss 10 --seed "$seed" <"$work/orders" >"$work/answers.relay" 2>"$work/relay.log" &
relay_pid=$!
background+=("$relay_pid")
exec 7>"$work/orders" 8<"$work/answers.relay"
read -r -t 20 answer <&8 || fail "the relay does not run: $(cat "$work/relay.log")"

order() { # order VERB FROM TO
    local answer=
    echo "$*" >&7
    read -r -t 20 answer <&8 && [ "$answer" = done ] || fail "the relay does not obey \"$*\": $(cat "$work/relay.log")"
}

start() { # start NODE [LIMIT]: under a clock that can be set, and with no file beyond LIMIT KiB
    (
        [ -z "${2:-}" ] || ulimit -f "$2"
        export STEP_CLOCK_FILE=$net/$1/clock LD_PRELOAD=$tests/libstepclock.so
        export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0
        "$carnet" testnet start "$1" --dir "$net" 7>&- 8<&-
    )
}

set_clock() { printf '%+08d' "$2" 1<>"$net/$1/clock"; }
pid_of() { cat "$net/$1/carnetd.pid"; }
runs() { [ -d "/proc/$(pid_of "$1" 2>/dev/null || echo gone)" ]; }

# ---- faults of a node: begin_FAULT NODE, end_FAULT NODE
begin_kill() { "$carnet" testnet kill "$1" --dir "$net" || fail "kill $1"; }
end_kill() { start "$1" || fail "start $1 after kill -9"; }
begin_pause() { kill -STOP "$(pid_of "$1")"; }
end_pause() { kill -CONT "$(pid_of "$1")"; }
begin_clock() { set_clock "$1" $(((RANDOM % 2 * 2 - 1) * 3600)); }
end_clock() { set_clock "$1" 0; }
begin_full() {
    begin_kill "$1"
    start "$1" $(($(stat -c %s "$net/$1/data/data.mdb") / 1024 + 64)) >"$work/full.out" 2>&1 ||
        grep -qE "no room|disk is full" "$work/full.out" || fail "start $1 with little room: $(cat "$work/full.out")"
}
end_full() {
    if ! runs "$1"; then
        tail -n 20 "$net/$1/carnetd.log" | grep -qE "no room|disk is full" || fail "$1 ended and does not say that its disk is full"
        faults[ended]=$((${faults[ended]:-0} + 1))
    fi
    begin_kill "$1"
    start "$1" || fail "start $1 with room again"
}

# ---- faults of links
begin_link() {
    local a=$((RANDOM % count)) b
    b=$(((a + 1 + RANDOM % (count - 1)) % count))
    case $((RANDOM % 4)) in
    0) order reset '*' '*' && link=reset ;;
    1) order cut "${nodes[a]}" "${nodes[b]}" && order reset "${nodes[a]}" "${nodes[b]}" && link=cut+reset ;;
    *) order cut "${nodes[a]}" "${nodes[b]}" && link=cut ;;
    esac
}

kinds=(kill pause clock full)
for node in "${nodes[@]}"; do start "$node" || fail "start $node"; done
start_load "${CARNET_FIRE_RATE:-40}" 10 8
wait_for 60 test -s "$work/history" || fail "no statement became final in 60 s"
height=$(status_of exporter height)
knows_devices() { [ "$(status_of "$1" height)" -ge "$height" ]; } # a node that is behind refuses a key it has not seen
for node in "${nodes[@]}"; do wait_for 60 knows_devices "$node" || fail "$node does not come to height $height"; done
end=$((SECONDS + seconds))
turn=$((RANDOM % 4))
while [ $SECONDS -lt $end ]; do
    victims=() of=()
    first=$((RANDOM % count))
    for k in $(seq 0 $((RANDOM % faulty))); do
        victims+=("${nodes[(first + k) % count]}")
        turn=$(((turn + 1 + RANDOM % 2) % 4)) # each kind comes soon
        of+=("${kinds[turn]}")
        faults[${of[k]}]=$((${faults[${of[k]}]:-0} + 1))
        "begin_${of[k]}" "${victims[k]}"
    done
    begin_link
    faults[$link]=$((${faults[$link]:-0} + 1))
    sleep "$((RANDOM % 2 + 1)).$((RANDOM % 10))"
    for k in "${!victims[@]}"; do "end_${of[k]}" "${victims[k]}"; done
    order heal '*' '*'
    kill -0 "$load_pid" 2>/dev/null || fail "the load ended by itself: $(cat "$work/load.out")"
done
for kind in "${!faults[@]}"; do printf '%s %s  ' "$kind" "${faults[$kind]}"; done
echo

# ---- more than f nodes are cut off: nothing is final, and the others say who is missing
away=("${nodes[@]:count-faulty-1}")
here=("${nodes[@]:0:count-faulty-1}")
for node in "${away[@]}"; do order cut "$node" '*' && order cut '*' "$node"; done
says_why() { # says_why NODE
    local status=0 node
    timeout 20 "$carnet" why --api "$(api "$1")" >"$work/why.out" 2>&1 || status=$?
    [ "$status" -eq 1 ] || return 1
    for node in "${away[@]}"; do grep -q "missing $node" "$work/why.out" || return 1; done
    for node in "${here[@]}"; do ! grep -q "missing $node" "$work/why.out" || return 1; done
}
for node in "${here[@]}"; do
    wait_for 60 says_why "$node" || fail "why on $node does not say that exactly ${away[*]} are missing: $(cat "$work/why.out")"
done
height=$(status_of exporter height)
sleep 2
[ "$(status_of exporter height)" = "$height" ] || fail "the exporter went past height $height without a quorum"
pass "${away[*]} cut off: nothing becomes final, and why on each of the others names them"

began=$(date +%s%N)
order heal '*' '*'
commit exporter exporter healed >/dev/null || fail "no statement became final after healing"
took=$((($(date +%s%N) - began) / 1000000))
[ "$took" -lt 10000 ] || fail "a statement is final only $took ms after healing"
pass "a statement is final $took ms after healing"
end_load
wait_for 60 same_height || fail "the nodes did not come to one height"
check_history
expect_same_headers
down_and_check
exec 7>&-
read -r -t 20 answer <&8 || fail "the relay ended without a word: $(cat "$work/relay.log")"
pass "$answer"
