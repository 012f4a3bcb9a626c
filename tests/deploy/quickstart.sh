#!/usr/bin/env bash
# Runs deploy/quickstart.sh as its reader does: twice, then --down; and shows what it says to a dirty folder and to a
# taken port. Takes the folder to build in; everything else lives in a temporary folder and is gone afterwards.
set -euo pipefail

build=${1:?usage: quickstart.sh BUILD-DIR}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
export CARNET_BUILD_DIR=$build CARNET_HOME=$work/testnet
carnet=$build/bin/carnet
listener=

cleanup() {
    local status=$?
    [ -z "$listener" ] || kill "$listener" 2>/dev/null || true
    if [ -x "$carnet" ] && [ -f "$CARNET_HOME/genesis.digest" ]; then
        "$carnet" testnet down --dir "$CARNET_HOME" >/dev/null 2>&1 || true
    fi
    rm -rf "$work"
    exit $status
}
trap cleanup EXIT

fail() {
    echo "FAILED: $*"
    for file in "$work"/*.out; do
        [ ! -f "$file" ] || { echo "--- $(basename "$file")"; tail -n 30 "$file"; }
    done
    exit 1
}

pass() {
    echo "ok: $*"
}

fields() {
    "$carnet" testnet status --dir "$CARNET_HOME" --json |
        FIELD=$1 perl -MJSON::PP -0777 -ne 'print map { ($_->{$ENV{FIELD}} // "") . "\n" } @{ decode_json($_)->{nodes} }'
}

expect_one_sentence() {
    [ "$(grep -c '^quickstart: ' "$1")" -eq 1 ] || fail "$2: exactly one sentence was expected"
}

# A folder with other files in it is left alone.
mkdir "$work/dirty"
echo "letters" >"$work/dirty/letters.txt"
if CARNET_HOME=$work/dirty "$root/deploy/quickstart.sh" >"$work/dirty.out" 2>&1; then fail "a dirty folder was taken"; fi
expect_one_sentence "$work/dirty.out" "dirty folder"
grep -q "CARNET_HOME" "$work/dirty.out" || fail "the refusal of a dirty folder does not say the mend"
[ "$(ls -A "$work/dirty")" = letters.txt ] || fail "the dirty folder was changed"
pass "a dirty folder is refused with the mend"

"$root/deploy/quickstart.sh" >"$work/first.out" 2>&1 </dev/null || fail "the first run ended with status $?"
grep -qE ' verified$' "$work/first.out" || fail "the first run did not come to 'verified'"
mapfile -t pids < <(fields pid)
[ "${#pids[@]}" -eq 4 ] || fail "four nodes were expected, ${#pids[@]} are there"
for pid in "${pids[@]}"; do kill -0 "$pid" || fail "process $pid of the network is not running"; done
pass "the first run verifies and leaves four nodes running"

digest=$(cat "$CARNET_HOME/genesis.digest")
audit=$build/audit/$digest/audit.zip
if command -v npm >/dev/null; then
    unzip -p "$audit" verify.html | cmp - "$build/share/carnet/verify.html" || fail "the dossier has another page than was built"
    grep -q "verify.html in it has SHA-256 $(sha256sum "$build/share/carnet/verify.html" | cut -c -64)" "$work/first.out" ||
        fail "the verifier does not name the page's digest"
    pass "the dossier brings the verifier page"
fi
cp "$build/audit/$digest/statements" "$work/statements"
"$root/deploy/quickstart.sh" >"$work/second.out" 2>&1 </dev/null || fail "the second run ended with status $?"
grep -q "nothing was recorded twice" "$work/second.out" || fail "the second run recorded something again"
cmp "$work/statements" "$build/audit/$digest/statements" || fail "the second run got other statement ids"
pass "the second run gets the same answers"

# The genesis digest of another network must not do, nor a dossier with a byte changed in its middle.
other=$(printf '%s' "$digest" | tr '0123456789abcdef' '123456789abcdef0')
status=0
"$carnet" verify --genesis "$other" "$audit" >"$work/other.out" 2>&1 || status=$?
[ "$status" -eq 1 ] || fail "another network's digest: status $status, 1 was expected"
cp "$audit" "$work/tampered.zip"
perl -e 'open(my $f, "+<", $ARGV[0]) or die; binmode $f; my $at = int((-s $f) / 2); seek($f, $at, 0); read($f, my $b, 1);
         seek($f, $at, 0); print $f chr(ord($b) ^ 1)' "$work/tampered.zip"
status=0
"$carnet" verify --genesis "$digest" "$work/tampered.zip" >"$work/tampered.out" 2>&1 || status=$?
[ "$status" -ne 0 ] && [ "$status" -le 2 ] || fail "a tampered audit: status $status, 1 or 2 was expected"
pass "another network's digest and a tampered audit are refused"

mapfile -t apis < <(fields api)
"$root/deploy/quickstart.sh" --down >"$work/down.out" 2>&1 || fail "--down ended with status $?"
for pid in "${pids[@]}"; do
    ! kill -0 "$pid" 2>/dev/null || grep -qs '^State:[[:space:]]*Z' "/proc/$pid/status" ||
        fail "process $pid is still there after --down"
done
[ -f "$CARNET_HOME/genesis.digest" ] || fail "--down removed data"
pass "--down leaves no process and keeps the data"

# Somebody else listens where a node would.
port=${apis[0]##*:}
port=${port%/}
perl -MIO::Socket::INET -e '
    my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], Listen => 1, ReuseAddr => 1) or die "$!\n";
    $| = 1; print "ready\n"; sleep 300' "$port" >"$work/listener" &
listener=$!
for _ in $(seq 50); do grep -q ready "$work/listener" && break || sleep 0.1; done
if "$root/deploy/quickstart.sh" >"$work/port.out" 2>&1 </dev/null; then fail "a taken port went unnoticed"; fi
grep -q "$port" "$work/port.out" || fail "the refusal does not name port $port"
kill "$listener"
wait "$listener" 2>/dev/null || true
listener=
"$carnet" testnet down --dir "$CARNET_HOME" >/dev/null 2>&1 || true
pass "a taken port is named"

"$carnet" testnet reset --dir "$CARNET_HOME" >"$work/reset.out" 2>&1 </dev/null || fail "reset ended with status $?"
[ ! -e "$CARNET_HOME/genesis.digest" ] || fail "reset left the network's data"
pass "reset removes the data"
