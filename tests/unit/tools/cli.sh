#!/usr/bin/env bash
# The command line against a network of its own: exit statuses, repetition, refusals, the life of a device key.
#   cli.sh BIN BASE-PORT
set -eu
bin=$1 port=$2
work=$(mktemp -d)
carnet=$bin/carnet

finish() {
    status=$?
    if [ -f "$work/net/genesis.digest" ]; then "$carnet" testnet reset --dir "$work/net" || true; fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT

fail() {
    echo "cli.sh: $*" >&2
    tail -n 5 "$work"/net/*/carnetd.log >&2 || true
    exit 1
}

# expect STATUS WORDS COMMAND...: its exit status, and words that its output or its errors contain.
expect() {
    local want=$1 words=$2 got=0
    shift 2
    "$@" >"$work/out" 2>&1 || got=$?
    [ "$got" -eq "$want" ] || fail "$* gave $got, not $want: $(cat "$work/out")"
    [ -z "$words" ] || grep -qF -- "$words" "$work/out" || fail "$* does not say \"$words\": $(cat "$work/out")"
}

event() { # FILE SUBJECT TIME
    printf '{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],"type":"ObjectEvent",' >"$1"
    printf '"eventTime":"%s","eventTimeZoneOffset":"+03:00","action":"OBSERVE","epcList":["%s"]}' "$3" "$2" >>"$1"
}

# ---- without a network ----
for command in testnet submit query audit verify export status why device member keygen fsck config bench; do
    expect 0 "usage: carnet $command" "$carnet" "$command" --help
    expect 2 "not an option" "$carnet" "$command" --no-such-option
done
expect 2 "is not a command" "$carnet" no-such-command
expect 0 "usage: carnet COMMAND" "$carnet" --help
expect 2 "usage: carnet COMMAND" "$carnet"

expect 0 "public" "$carnet" keygen --purpose device --out "$work/one.key"
[ "$(stat -c %a "$work/one.key")" = 600 ] || fail "a key file is readable by others"
expect 2 "never overwritten" "$carnet" keygen --purpose device --out "$work/one.key"
expect 2 "does not fit" "$carnet" keygen --purpose vote --type ed25519 --out "$work/vote.key"
expect 0 '"purpose": "vote"' "$carnet" keygen --purpose vote --out "$work/vote.key" --json
[ -f "$work/safety.journal" ] || fail "a vote key without its safety table"
expect 2 "never overwritten" "$carnet" keygen --purpose vote --out "$work/vote.key"

zeros=$(printf '%064d' 0)
echo "no zip" >"$work/no.zip"
expect 1 "container" "$carnet" verify --genesis "$zeros" "$work/no.zip"
# A ZIP with one empty file named "x", U+009B and "2J": what a terminal of UTF-8 may take for the order to clear itself.
printf 'PK\3\4\24\0\0\10\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0x\302\2332J' >"$work/c1.zip"
printf 'PK\1\2\24\3\24\0\0\10\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\200\1\0\0\0\0x\302\2332J' >>"$work/c1.zip"
printf 'PK\5\6\0\0\0\0\1\0\1\0\063\0\0\0#\0\0\0\0\0' >>"$work/c1.zip"
expect 1 'the entry "x??2J" does not belong' "$carnet" verify --genesis "$zeros" "$work/c1.zip"
expect 2 "64 lower-case" "$carnet" verify --genesis 12 "$work/no.zip"
expect 2 "cannot be opened" "$carnet" verify --genesis "$zeros" "$work/none.zip"
expect 2 "no test network" "$carnet" testnet status --dir "$work/net"
expect 2 "tolerate no fault" "$carnet" testnet up --dir "$work/net" --nodes 3
mkdir "$work/dirty" && : >"$work/dirty/file"
expect 2 "empty it or choose another folder" "$carnet" testnet up --dir "$work/dirty" --base-port "$port"
expect 2 "does not answer" "$carnet" submit --api http://127.0.0.1:1 --key "$work/one.key" "$work/no.zip"

# ---- with one ----
expect 0 "running" "$carnet" testnet up --dir "$work/net" --base-port "$port"
expect 0 "running" "$carnet" testnet up --dir "$work/net"
expect 2 "holds a test network already" "$carnet" testnet init --dir "$work/net" --base-port "$port"
expect 2 "is taken" "$carnet" testnet up --dir "$work/other" --base-port "$port"
expect 2 "not a node of this network" "$carnet" testnet stop nobody --dir "$work/net"
expect 0 '"node.name": "bank"' "$carnet" config check "$work/net/bank/carnetd.conf" --json
echo "no.such.key = 1" >>"$work/net/bank/carnetd.conf"
expect 2 "no.such.key" "$carnet" config check "$work/net/bank/carnetd.conf"
sed -i '$d' "$work/net/bank/carnetd.conf"
digest=$(cat "$work/net/genesis.digest")
api=http://127.0.0.1:$((port + 1)) other=http://127.0.0.1:$((port + 3))
owner=$work/net/exporter/keys/capture.key

subject=urn:carnet:ucr:4KE5-CLI
event "$work/1.json" $subject 2026-05-01T08:00:00.000Z
echo '{"type":"ObjectEvent"}' >"$work/bad.json"
expect 2 "bad.json" "$carnet" submit --api "$api" --key "$owner" "$work/bad.json"
expect 2 "no member has registered" "$carnet" submit --api "$api" --key "$work/one.key" "$work/1.json"
expect 2 "not read by this version" "$carnet" submit --api "$api" --key "$owner" --format csv "$work/1.json"
expect 0 "" "$carnet" submit --api "$api" --key "$owner" --wait "$work/1.json"
cp "$work/out" "$work/first"
grep -qxE '[0-9a-f]{64}' "$work/first" || fail "submit --wait prints no id: $(cat "$work/first")"
expect 0 "" "$carnet" submit --api "$api" --key "$owner" --wait "$work/1.json"
cmp "$work/first" "$work/out" || fail "the same document became another statement"
expect 0 '"status": "final"' "$carnet" submit --api "$other" --key "$owner" --wait --json "$work/1.json"
[ "$(wc -l <"$work/first")" -eq 1 ] || fail "one document, one statement, one line: $(cat "$work/first")"
expect 0 "1 events" "$carnet" query --api "$api" --subject $subject
expect 1 "nothing is recorded" "$carnet" query --api "$api" --subject urn:carnet:ucr:4KE5-NONE
expect 0 "verify it with" "$carnet" export --api "$api" --statement "$(cat "$work/first")" --format native \
    --out "$work/one.zip"
expect 0 "verified: statement " "$carnet" verify --genesis "$digest" "$work/one.zip"
expect 0 "on: cose, " "$carnet" export --api "$api" --statement "$(cat "$work/first")" --format cose \
    --out "$work/on"
expect 0 "on: tlog, " "$carnet" export --api "$api" --statement "$(cat "$work/first")" --format tlog --out "$work/on"
expect 1 "not among those whose signatures" "$carnet" export --api "$api" --statement "$(cat "$work/first")" --format cose \
    --member nobody --out "$work/on"
expect 0 "on: ics23, " "$carnet" export --api "$api" --subject urn:example:never --format ics23 --out "$work/on"
tr -d ' \n' <"$work/on" | grep -q '"present":false' || fail "what was never recorded is proved absent: $(cat "$work/on")"
expect 2 "member goes with cose" "$carnet" export --api "$api" --statement "$(cat "$work/first")" --format ics23 --out "$work/on"

# ---- the life of a device key ----
verified() {
    expect 0 "statements" "$carnet" audit --api "$api" --subject $subject --out "$work/audit.zip"
    expect 0 "verified" "$carnet" verify --genesis "$digest" "$work/audit.zip"
}
id_of() { sed -n 's/^id  *//p' "$1"; }
"$carnet" keygen --purpose device --out "$work/two.key" >"$work/two.id"
"$carnet" keygen --purpose device --type ed25519 --out "$work/three.key" >"$work/three.id"
two=$(id_of "$work/two.id") three=$(id_of "$work/three.id")

expect 2 "needs --new-key" "$carnet" device register --api "$api" --key "$owner"
expect 0 "" "$carnet" device register --api "$api" --key "$owner" --new-key "$work/two.key"
expect 2 "registered already" "$carnet" device register --api "$api" --key "$owner" --new-key "$work/two.key"
event "$work/2.json" $subject 2026-05-01T09:00:00.000Z
expect 0 "" "$carnet" submit --api "$api" --key "$work/two.key" --wait "$work/2.json"
verified
expect 0 "" "$carnet" device rotate --api "$api" --key "$owner" --id "$two" --new-key "$work/three.key"
event "$work/3.json" $subject 2026-05-01T10:00:00.000Z
expect 1 "key-not-active" "$carnet" submit --api "$api" --key "$work/two.key" --wait "$work/3.json"
expect 0 "" "$carnet" submit --api "$api" --key "$work/three.key" --wait "$work/3.json"
verified
expect 2 "no member has registered" "$carnet" device revoke --api "$api" --key "$owner" --id "$zeros"
previous=$(printf '7%.0s' $(seq 64))
expect 0 "" "$carnet" device gap --api "$api" --key "$owner" --id "$three" --sequence 9 --previous "$previous"
event "$work/4.json" $subject 2026-05-01T11:00:00.000Z
expect 0 "" "$carnet" submit --api "$api" --key "$work/three.key" --wait "$work/4.json"
expect 0 "" "$carnet" device revoke --api "$api" --key "$owner" --id "$three" --sequence 10
event "$work/5.json" $subject 2026-05-01T12:00:00.000Z
expect 1 "key-not-active" "$carnet" submit --api "$api" --key "$work/three.key" --wait "$work/5.json"
verified
expect 0 "4 events" "$carnet" query --api "$api" --subject $subject
expect 0 '"subject_statements": 4' "$carnet" verify --json --genesis "$digest" "$work/audit.zip"
first=$(cat "$work/first")
expect 0 "statements" "$carnet" audit --api "$api" --subject $subject --redact "$first:0" --legal-basis "Art. 6" --out "$work/less.zip"
expect 0 "1 items are left out" "$carnet" verify --genesis "$digest" "$work/less.zip"
expect 1 "counted from 0" "$carnet" audit --api "$api" --subject $subject --redact "$first:7" --out "$work/refused.zip"
expect 1 "is not STATEMENT:ITEMS" "$carnet" audit --api "$api" --subject $subject --redact "all" --out "$work/refused.zip"
[ ! -e "$work/refused.zip" ] || fail "a refused audit left a file"

# ---- and one that is no validator ----
"$carnet" keygen --purpose capture --out "$work/member.key" >/dev/null
expect 0 "" "$carnet" member register --api "$api" --key "$owner" --name forwarder-1 --country SG --roles forwarder \
    --new-key "$work/member.key"
expect 0 "customs" "$carnet" member list --api "$api"
event "$work/6.json" $subject 2026-05-01T13:00:00.000Z
expect 0 "" "$carnet" submit --api "$other" --key "$work/member.key" --wait "$work/6.json"
verified

# ---- its end ----
expect 0 "" "$carnet" testnet down --dir "$work/net"
expect 1 "stopped" "$carnet" testnet status --dir "$work/net"
expect 0 "0 faults" "$carnet" fsck "$work/net/bank/data"
expect 0 "" "$carnet" testnet reset --dir "$work/net"
[ ! -e "$work/net" ] || fail "reset left something behind"
echo "cli.sh: all as it should be"
