# Sourced by the scripts here: one network of four nodes in a temporary folder, gone again however the script ends.
# Usage of each script: NAME.sh BIN-DIR
set -euo pipefail

bin=$(cd "${1:?usage: $0 BIN-DIR}" && pwd)
carnet=$bin/carnet
load=$bin/../tests/network/load
base=${CARNET_TEST_PORT:?set by the script that sources this}
work=$(mktemp -d)
net=$work/net
nodes=(exporter bank carrier customs)
background=()

cleanup() {
    local status=$? pid
    trap - EXIT INT TERM
    for pid in "${background[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    for pid in "$net"/*/carnetd.pid; do [ ! -f "$pid" ] || kill -CONT "$(cat "$pid")" 2>/dev/null || true; done
    if [ -f "$net/genesis.digest" ]; then "$carnet" testnet down --dir "$net" >/dev/null 2>&1 || true; fi
    rm -rf "$work"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() {
    local node
    echo "FAILED: $*"
    for node in "${nodes[@]}"; do
        [ ! -f "$net/$node/carnetd.conf" ] ||
            echo "$node: $(curl -sS --max-time 3 "$(api "$node")/v1/status" "$(api "$node")/v1/why" 2>&1 |
                perl -MJSON::PP -0777 -ne 'my ($s, $w) = eval { JSON::PP->new->incr_parse($_) };
                    print $s && $w ? "height $s->{height}, view $s->{view}, $s->{pending} pending; $w->{summary}" : $_')"
        [ ! -f "$net/$node/carnetd.log" ] || { echo "--- $node"; tail -n 8 "$net/$node/carnetd.log"; }
    done
    exit 1
}

pass() { echo "ok: $*"; }

up() { "$carnet" testnet up --dir "$net" --base-port "$base" >"$work/up.out" 2>&1 || fail "up: $(cat "$work/up.out")"; }

# api NODE: the URL of a node; testnet gives node i the ports base+2i (peers) and base+2i+1 (API).
api() {
    local i
    for i in "${!nodes[@]}"; do [ "${nodes[i]}" != "$1" ] || echo "http://127.0.0.1:$((base + 2 * i + 1))"; done
}

get() { curl -sS --max-time 20 "$(api "$1")$2"; }

# field NAME: a member of the JSON object on standard input
field() { FIELD=$1 perl -MJSON::PP -0777 -ne 'print decode_json($_)->{$ENV{FIELD}} // "", "\n"'; }

status_of() { get "$1" /v1/status | field "$2"; }

# commit MEMBER NODE NAME: a new device key registered by the member at the node; prints the id of the final statement
commit() {
    "$carnet" keygen --purpose device --out "$work/$3.key" >/dev/null || return 1
    timeout 40 "$carnet" device register --api "$(api "$2")" --key "$net/$1/keys/capture.key" --new-key "$work/$3.key"
}

# start_load PER-SECOND BATCH WRITERS: batches of readings to all four nodes until end_load; what was answered as final is
# in $work/history (tests/network/load.c).
start_load() {
    local urls=() node
    for node in "${nodes[@]}"; do urls+=("$(api "$node")"); done
    "$load" --key "$net/exporter/keys/capture.key" --history "$work/history" --per-second "$1" --batch "$2" \
        --writers "$3" "${urls[@]}" >"$work/load.out" 2>&1 &
    load_pid=$!
    background+=("$load_pid")
}

end_load() {
    kill -TERM "$load_pid" || fail "the load ended by itself: $(cat "$work/load.out")"
    wait "$load_pid" || fail "load: $(cat "$work/load.out")"
    pass "$(cat "$work/load.out")"
}

# Every statement of the history is final on every node, once, at the place that was answered.
check_history() {
    local node
    [ -z "$(cut -d " " -f 1 "$work/history" | sort | uniq -d)" ] || fail "one id was answered for two statements"
    for node in "${nodes[@]}"; do
        sed "s|^\([0-9a-f]*\) .*|url = \"$(api "$node")/v1/statements/\1\"|" "$work/history" >"$work/urls"
        curl -sS --max-time 300 -w "\n" -K "$work/urls" >"$work/answers" || fail "$node does not answer for its statements"
        perl -ne 'my %s = /"(id|status|log_index|height)":"?(\w+)/g; # a line a statement; JSON::PP takes minutes
            print "$s{id} $s{log_index} $s{height}\n" if $s{status} eq "final"' "$work/answers" | sort >"$work/final"
        sort "$work/history" | cmp -s - "$work/final" ||
            fail "$node differs from what was answered: $(sort "$work/history" | diff - "$work/final" | head -n 5)"
    done
    [ -z "$(cut -d " " -f 2 "$work/history" | sort | uniq -d)" ] || fail "two statements have one place in the log"
    pass "$(wc -l <"$work/history") statements answered as final are on every node, once, at the place that was answered"
}

# wait_for SECONDS COMMAND...: until the command succeeds
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

same_height() {
    local first node height
    first=$(status_of "${nodes[0]}" height 2>/dev/null) && [ -n "$first" ] || return 1
    for node in "${nodes[@]:1}"; do
        height=$(status_of "$node" height 2>/dev/null) && [ "$height" = "$first" ] || return 1
    done
}

# Every height has the same header digest on all nodes.
expect_same_headers() {
    local top node
    wait_for 30 same_height || fail "the nodes did not come to one height within 30 s"
    top=$(status_of "${nodes[0]}" height)
    for node in "${nodes[@]}"; do
        curl -sS --max-time 60 -w '\n' "$(api "$node")/v1/blocks/[0-$top]" |
            perl -MJSON::PP -ne 'my $b = decode_json($_); my $h = $b->{header};
                print $b->{digest} // (ref $h ? $h->{digest} : $h) // "", "\n"' >"$work/headers.$node"
        [ "$(grep -cE '^[0-9a-f]{64}$' "$work/headers.$node")" -eq $((top + 1)) ] ||
            fail "$node does not have a header digest for each of the heights 0 to $top"
        cmp "$work/headers.${nodes[0]}" "$work/headers.$node" ||
            fail "$node and ${nodes[0]} have different headers; the line above is the height + 1"
    done
    pass "$((top + 1)) heights, the same header digest on every node"
}

down_and_check() {
    local node
    "$carnet" testnet down --dir "$net" >/dev/null || fail "down"
    for node in "${nodes[@]}"; do
        "$carnet" fsck "$net/$node/data" >"$work/fsck.out" 2>&1 || fail "fsck of $node: $(cat "$work/fsck.out")"
    done
    pass "fsck finds no fault on any disk"
}
