#!/usr/bin/env bash
# A witness of transparency logs, written on Go's sumdb packages, cosigns checkpoints of a running network as the log grows; its line is held
# to a policy. Refusals: a witness that lies, one that saw another history or a longer log, one that is broken, one that does not know the log.
# usage: tests/interop/witness.sh BIN-DIR
set -euo pipefail

bin=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
port=${CARNET_TEST_PORT:-19720}
witness=0
trap '[ "$witness" = 0 ] || kill "$witness" 2>/dev/null || true; "$bin/carnet" testnet down --dir "$work/net" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
fail() {
    echo "FAILED: $*"
    exit 1
}

(cd "$here/witness" && GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$work/go" GOFLAGS= go build -o "$work/witness" .) || fail "go build"
"$bin/carnet" testnet up --dir "$work/net" --base-port "$port" --checkpoint-ms 200 >/dev/null || fail "up"
api=http://127.0.0.1:$((port + 1))
grow() {
    "$bin/carnet" keygen --purpose device --out "$work/$1.key" >/dev/null
    "$bin/carnet" device register --api "$api" --key "$work/net/exporter/keys/capture.key" --new-key "$work/$1.key" >/dev/null || fail "register"
    for _ in $(seq 100); do
        curl -sS "$api/v1/status" | perl -MJSON::PP -0777 -ne 'my $j = decode_json($_); exit($j->{statements} == $j->{checkpointed_statements} && $j->{checkpoint_signatures}{held} >= 3 ? 0 : 1)' && return
        sleep 0.1
    done
    fail "no signed checkpoint"
}
grow 1
"$bin/carnet" export --api "$api" --policy --format tlog --out "$work/policy" >/dev/null || fail "policy"
mapfile -t logs < <(sed -n 's/^log //p' "$work/policy")

address=127.0.0.1:$((port + 40))
"$work/witness" "$address" "${logs[@]}" >"$work/vkey" 2>"$work/witness.log" &
witness=$!
for _ in $(seq 100); do [ -s "$work/vkey" ] && curl -sS -o /dev/null "http://$address/" && break; sleep 0.1; done
vkey=$(cat "$work/vkey")
ask() { "$bin/carnet" witness --api "$api" --witness "http://$address" --key "$vkey" --out "$work/note" "$@"; }

ask >/dev/null || fail "the first checkpoint"
for n in 2 3 4 5; do
    grow "$n"
    ask >"$work/said" || fail "after the log has grown"
done
ask >/dev/null || fail "the same checkpoint again"
grep -q 'cosigned by witness.example/nl' "$work/said" || fail "$(cat "$work/said")"

# The policy of somebody who wants two validators and this witness.
sed '/^quorum/d' "$work/policy" >"$work/strict"
printf 'witness nl %s\ngroup both all validators nl\nquorum both\n' "$vkey" >>"$work/strict"
"$bin/carnet" audit --api "$api" --subject urn:carnet:member:exporter --out "$work/a.zip" >/dev/null || fail "audit"
verify() { "$bin/carnet" verify --genesis "$(cat "$work/net/genesis.digest")" --policy "$work/strict" "$@" "$work/a.zip" >"$work/out"; }
verify && fail "a policy that wants the witness is satisfied without it"
grep -q 'witness-policy *failed.*of the group both 1 of 2' "$work/out" || fail "$(cat "$work/out")"
verify --note "$work/note" || fail "with the cosigned note: $(cat "$work/out")"
sed '2s/.*/999/' "$work/note" >"$work/other"
verify --note "$work/other" && fail "a note of another checkpoint"
grep -q 'witness-policy *failed.*another checkpoint' "$work/out" || fail "$(cat "$work/out")"

curl -sS "http://$address/lie"
grow 6
ask >/dev/null 2>"$work/why" && fail "a cosignature over another checkpoint is taken"
grep -q 'no cosignature' "$work/why" || fail "$(cat "$work/why")"
curl -sS "http://$address/lie"

refused() { # WHY WORDS: and no note is written
    rm -f "$work/note"
    ask >/dev/null 2>"$work/why" && fail "$1: taken"
    grep -q "$2" "$work/why" || fail "$1: $(cat "$work/why")"
    [ ! -e "$work/note" ] || fail "$1: a note is written"
}
size=$(stat -c %s "$work/note")
ask >/dev/null || fail "after the lie"
curl -sS "http://$address/other-history"
grow 7
refused "another history" '422.*two histories'
curl -sS "http://$address/longer"
refused "a log seen longer" 'lags behind'
"$bin/carnet" witness --api "$api" --witness "http://$address/broken" --key "$vkey" --out "$work/note" >/dev/null 2>"$work/why" &&
    fail "a broken witness"
grep -q 'status 500:  \[2Jbroken' "$work/why" || fail "a broken witness: $(cat "$work/why")"

kill "$witness"
wait "$witness" 2>/dev/null || true
"$work/witness" "$address" >"$work/vkey" 2>"$work/witness.log" &
witness=$!
for _ in $(seq 100); do [ -s "$work/vkey" ] && curl -sS -o /dev/null "http://$address/" 2>/dev/null && break; sleep 0.1; done
vkey=$(cat "$work/vkey")
refused "a witness that knows no log" 'refuses (403)'
echo "| C2SP add-checkpoint, five checkpoints | witness on golang.org/x/mod sumdb | $size | cosigned, the growing log consistent each time; 5 refusals |"
