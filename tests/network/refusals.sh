#!/usr/bin/env bash
# What bad input gets: a problem document that names the field and the rule, or a closed connection, and nothing else. The
# good statement from which each bad one is made is sent too and must become final.
# Usage: refusals.sh BIN-DIR BADCLIENT
set -euo pipefail
CARNET_TEST_PORT=${CARNET_TEST_PORT:-17460}
badclient=${2:?usage: $0 BIN-DIR BADCLIENT}
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
export CARNET_MEMPOOL_BYTES=1048576 # small, so that it can be filled

zeros=$(printf '%064d' 0)
url=$(api exporter)/v1/statements
protobuf='Content-Type: application/x-protobuf'
json='Content-Type: application/json'

# problem STATUS TYPE FIELD DETAIL: the answer in $work/{code,head,body} is this problem document. FIELD and DETAIL are
# literal; an empty one is not compared.
problem() {
    [ "$(cat "$work/code")" = "$1" ] || { echo "HTTP $(cat "$work/code"), not $1: $(head -c 300 "$work/body")"; return 1; }
    grep -qi '^content-type: application/problem+json' "$work/head" || { echo "no problem document"; return 1; }
    perl -MJSON::PP -0777 -e '
        my ($status, $type, $field, $detail) = splice @ARGV, 0, 4;
        my $p = decode_json(<>);
        my @wrong;
        push @wrong, "status" unless $p->{status} == $status;
        push @wrong, "type" unless $p->{type} eq "urn:carnet:problem:$type";
        push @wrong, "title" unless length($p->{title} // "");
        push @wrong, "field" unless $field eq "" || ($p->{field} // "") eq $field;
        push @wrong, "detail" unless length($p->{detail} // "") && index($p->{detail}, $detail) >= 0;
        print "wrong @wrong in ", encode_json($p), "\n" if @wrong;
        exit(@wrong > 0)' "$1" "$2" "$3" "$4" "$work/body"
}

# send CURL-ARGUMENT...: fills $work/{code,head,body}
send() { curl -sS --max-time 40 -D "$work/head" -o "$work/body" -w '%{http_code}' "$@" >"$work/code"; }

# refused NAME STATUS TYPE FIELD DETAIL CURL-ARGUMENT...
refusals=0
refused() {
    local name=$1 said
    local want=("${@:2:4}")
    send "${@:6}" || fail "$name: no answer: $(cat "$work/code")"
    said=$(problem "${want[@]}") || fail "$name: $said"
    refusals=$((refusals + 1))
}

# accept FILE CURL-ARGUMENT...: posted and final; the id is in $work/id
accept() {
    send -H "$protobuf" --data-binary "@$1" "${@:2}" "$url?wait=final" || fail "$1: no answer"
    [ "$(cat "$work/code")" = 200 ] || fail "$1: HTTP $(cat "$work/code"): $(cat "$work/body")"
    [ "$(field status <"$work/body")" = final ] || fail "$1 is not final: $(cat "$work/body")"
    field id <"$work/body" >"$work/id"
}

# The ledger as it is on all nodes, once nothing is on its way: height, statements, pending.
covered() {
    local node
    for node in "${nodes[@]}"; do
        get "$node" /v1/status >"$work/status.json" || return 1
        [ "$(field statements <"$work/status.json")" = "$(field checkpointed_statements <"$work/status.json")" ] || return 1
    done
    same_height
}
ledger() {
    local node
    wait_for 20 covered || fail "the network did not come to rest"
    for node in "${nodes[@]}"; do
        get "$node" /v1/status | perl -MJSON::PP -0777 -ne '
            my $s = decode_json($_); print join(" ", @$s{qw(name height header statements pending pending_bytes)}), "\n"'
    done
}

# Private memory of a node in KiB, without the pages of the database's map.
memory() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$(cat "$net/$1/carnetd.pid")/status"; }
metric() { get "$1" /metrics | awk -v name="carnet_$2" '$1 == name { print $2 }'; }

# register NAME TYPE: a device key of the exporter whose first statement is final; its id in $work/NAME.head
register() {
    "$carnet" keygen --purpose device --type "$2" --out "$work/$1.key" >/dev/null || fail "keygen $2"
    timeout 40 "$carnet" device register --api "$(api exporter)" --key "$net/exporter/keys/capture.key" \
        --new-key "$work/$1.key" >/dev/null || fail "the device key $1 was not registered"
    mkdir -p "$work/$1"
    "$badclient" chain "$net/exporter/genesis.json" "$work/$1.key" 0 "$zeros" "$work/$1" 1 40 >"$work/$1.head"
    accept "$work/$1/1.bin"
    cmp "$work/id" "$work/$1.head" || fail "the node gives another id to the first statement of $1"
}

# ---- a node that must not start ----

# stays_down NAME WORDS...: a node with the configuration file $work/solo/exporter/NAME.conf ends with these words in its errors
stays_down() {
    local name=$1 status=0 words
    timeout 20 "$bin/carnetd" --config "$work/solo/exporter/$name.conf" >"$work/solo.out" 2>&1 || status=$?
    [ "$status" -ne 0 ] && [ "$status" -ne 124 ] || fail "$name: a node runs with it (status $status)"
    for words in "${@:2}"; do grep -qF -- "$words" "$work/solo.out" || fail "$name: no \"$words\" in: $(cat "$work/solo.out")"; done
}

bad_configurations() {
    "$carnet" testnet init --dir "$work/solo" --base-port "$((base + 10))" >/dev/null || fail "testnet init"
    local conf=$work/solo/exporter/carnetd.conf
    { cat "$conf"; echo 'peer.lisen = 127.0.0.1:1'; } >"$work/solo/exporter/unknown.conf"
    stays_down unknown "unknown.conf:$(($(wc -l <"$conf") + 1))" "the key peer.lisen is not known" "peer.listen, "
    { cat "$conf"; echo 'workers = many'; } >"$work/solo/exporter/value.conf"
    stays_down value "value.conf:$(($(wc -l <"$conf") + 1))" "workers = many" "from 1 to 64"
    local address
    for address in 0.0.0.0 192.0.2.1 '[::]'; do
        sed "s/^api.listen = .*/api.listen = $address:$((base + 11))/" "$conf" >"$work/solo/exporter/open.conf"
        stays_down open "api.listen" "$address:$((base + 11)) is not a loopback address" "no access control"
    done
    sed "s/^api.listen = .*/api.listen = ${url:7:15}/" "$conf" >"$work/solo/exporter/taken.conf"
    stays_down taken "api.listen" "the port is taken"
    pass "unknown key, bad value, open address, taken port: the node says where and why and does not start"
}

# ---- statements ----

bad_statements() { # KEY: each bad statement at one node, then the good one
    local key=$1 name status type field detail before after
    mkdir -p "$work/$key/bad"
    "$badclient" statements "$net/exporter/genesis.json" "$work/$key.key" 1 "$(cat "$work/$key.head")" "$work/$key/bad" \
        >"$work/$key/cases"
    [ "$(wc -l <"$work/$key/cases")" -ge 30 ] || fail "badclient made only $(wc -l <"$work/$key/cases") statements"
    before=$(ledger)
    while IFS=$'\t' read -r name status type field detail <&3; do
        refused "$key: $name" "$status" "$type" "$field" "$detail" \
            -H "$protobuf" --data-binary "@$work/$key/bad/$name.bin" "$url?wait=final"
    done 3<"$work/$key/cases"
    after=$(ledger)
    [ "$before" = "$after" ] || fail "refusals changed the ledger from $before to $after"
    accept "$work/$key/bad/good.bin"
    cp "$work/body" "$work/first"
    accept "$work/$key/bad/good.bin"
    cmp "$work/body" "$work/first" || fail "the same bytes again got another answer"
    pass "$key: $(wc -l <"$work/$key/cases") bad statements refused by field and rule; the good one is final"
}

# ---- HTTP ----

bad_requests() { # KEY: its good statement is final and its next one is unsent
    local dir=$work/$1/bad good next before
    good=$(base64 -w 0 "$dir/good.bin")
    next=$(base64 -w 0 "$dir/next.bin")
    before=$(ledger)
    head -c 3000 /dev/urandom >"$work/random"
    head -c 9000000 /dev/zero >"$work/zeros"
    refused "random bytes" 400 not-canonical statement "" -H "$protobuf" --data-binary "@$work/random" "$url"
    refused "empty body" 400 invalid body "empty" -H "$protobuf" --data-binary "" "$url"
    refused "empty JSON body" 400 invalid body "empty" -H "$json" --data-binary "" "$url"
    refused "large body" 413 too-large body "larger than 8388608" -H "$protobuf" --data-binary "@$work/zeros" "$url"
    refused "large body, not asked first" 413 too-large body "larger than 8388608" \
        -H "$protobuf" -H 'Expect:' --data-binary "@$work/zeros" "$url"
    refused "large body in chunks" 413 too-large body "larger than 8388608" \
        -H "$protobuf" -H 'Transfer-Encoding: chunked' --data-binary "@$work/zeros" "$url"
    local type
    for type in application/jsonx application/x-protobuffer application/x-protobuf-2 text/plain application/json+x ''; do
        refused "Content-Type $type" 415 invalid Content-Type "application/x-protobuf or application/json" \
            -H "Content-Type:${type:+ $type}" --data-binary "@$dir/next.bin" "$url"
    done

    refused "broken JSON" 400 invalid body "line 1" -H "$json" --data-binary '["abc' "$url"
    refused "JSON object" 400 invalid body "at byte 0" -H "$json" --data-binary '{"a":1}' "$url"
    refused "JSON string" 400 invalid body "line 1" -H "$json" --data-binary '"abc"' "$url"
    refused "empty array" 400 invalid body "array of 1 to 1000" -H "$json" --data-binary '[]' "$url"
    refused "nested array" 400 invalid body "at byte 2" -H "$json" --data-binary "[ [\"$good\"] ]" "$url"
    refused "number in the array" 400 invalid /1 "not a string" -H "$json" --data-binary "[\"$good\", 7]" "$url"
    refused "bad base64" 400 invalid /0 "not base64" -H "$json" --data-binary '["a*b="]' "$url"
    refused "base64 without padding" 400 invalid /0 "padding" -H "$json" --data-binary '["YQ"]' "$url"
    refused "empty string" 413 too-large statement "0 bytes" -H "$json" --data-binary '[""]' "$url"
    perl -e 'print "[", join(",", ("\"YQ==\"") x 1001), "]"' >"$work/1001.json"
    refused "1001 statements" 413 too-large body "more than 1000" -H "$json" --data-binary "@$work/1001.json" "$url"
    perl -e 'print "[" x 4000000, "]" x 4000000' >"$work/deep.json"
    perl -e 'print "[", join(",", ("[]") x 2700000), "]"' >"$work/wide.json"
    refused "deep JSON" 400 invalid body "at byte 1" -H "$json" --data-binary "@$work/deep.json" "$url"
    refused "wide JSON" 400 invalid body "at byte 1" -H "$json" --data-binary "@$work/wide.json" "$url"
    printf '["%s","%s"]' "$next" "$(base64 -w 0 "$dir/wrong-root.bin")" >"$work/pair.json"
    refused "a good and a bad one" 400 item-root event_batch.items_root "hash to" \
        -H "$json" --data-binary "@$work/pair.json" "$url?wait=final"
    [ "$(field statement <"$work/body")" = 1 ] || fail "the problem does not say which statement: $(cat "$work/body")"

    refused "wrong method" 405 invalid method "PUT" -X PUT -H "$protobuf" --data-binary "@$dir/next.bin" "$url"
    grep -qi '^allow: POST' "$work/head" || fail "405 without Allow"
    refused "wrong method on a reading" 405 invalid method "DELETE" -X DELETE "$(api exporter)/v1/status"
    grep -qi '^allow: GET, HEAD' "$work/head" || fail "405 without Allow"
    refused "unknown path" 404 not-found path "/v1/statement: there is no such path" "$(api exporter)/v1/statement"
    refused "path that is not UTF-8" 404 not-found path "there is no such path" "$(api exporter)/v1/"$'\xff\xfe'
    refused "id that is not UTF-8" 400 invalid "statement id" "64 lower-case" "$url/%ff%fe"
    refused "short id" 400 invalid "statement id" "64 lower-case" "$url/abc"
    refused "upper-case id" 400 invalid "statement id" "64 lower-case" "$url/$(cat "$work/$1.head" | tr a-f A-F | sed 's/.$/F/')"
    refused "unknown id" 404 not-found "" "" "$url/$zeros/proof?format=native"
    refused "broken escape" 400 invalid path "percent escape" "$url/%f"
    refused "NUL in the path" 400 invalid path "percent escape" "$url/a%00b"
    refused "height that is no number" 400 invalid "" "" "$(api exporter)/v1/blocks/first"
    refused "unknown parameter" 400 invalid wiat "allowed: wait" -H "$protobuf" --data-binary "@$dir/next.bin" "$url?wiat=final"
    refused "parameter where none is" 400 invalid x "allowed: none" "$(api exporter)/v1/status?x=1"
    refused "parameter twice" 400 invalid wait "twice" \
        -H "$protobuf" --data-binary "@$dir/next.bin" "$url?wait=final&wait=final"
    refused "bad value" 400 invalid wait "wait=final" -H "$protobuf" --data-binary "@$dir/next.bin" "$url?wait=maybe"
    refused "value that is not UTF-8" 400 invalid wait "wait=final" -H "$protobuf" --data-binary x "$url?wait=%ff"
    refused "bad limit" 400 invalid limit "" "$(api exporter)/v1/subjects/urn%3Aepc%3Aid%3Asscc%3A4012345.0000000001/events?limit=x"
    refused "bad format" 400 invalid format "" "$url/$(cat "$work/$1.head")/proof?format=pdf"
    refused "long path" 414 too-large path "2047 bytes" "$url/$(head -c 3000 /dev/zero | tr '\0' a)"
    send "$url/$(head -c 100000 /dev/zero | tr '\0' a)" || [ "$(cat "$work/code")" = 000 ] || fail "a very long path"
    case $(cat "$work/code") in 414 | 431 | 400 | 000) ;; *) fail "a very long path got $(cat "$work/code")" ;; esac
    send -H "X-Long: $(head -c 100000 /dev/zero | tr '\0' a)" "$(api exporter)/v1/status" || [ "$(cat "$work/code")" = 000 ]
    case $(cat "$work/code") in 431 | 413 | 400 | 000) ;; *) fail "a very long header got $(cat "$work/code")" ;; esac

    local after
    after=$(ledger)
    [ "$before" = "$after" ] || fail "bad requests changed the ledger from $before to $after"
    printf '[ "%s" ]' "${next//\//\\/}" >"$work/next.json" # some encoders write a slash as \/
    send -H 'Content-Type: Application/JSON ; charset=utf-8' --data-binary "@$work/next.json" "$url?wait=final"
    [ "$(cat "$work/code")" = 200 ] || fail "the good statement in JSON: $(cat "$work/body")"
    pass "$refusals refusals so far, each a problem document with field and rule; ledger untouched"
}

# Large and costly bodies again and again, also side by side: what the node holds afterwards is bounded.
bounded_memory() {
    local i file before after pids=()
    before=$(memory exporter)
    for i in 1 2 3 4 5; do
        for file in zeros deep.json wide.json 1001.json random; do
            curl -sS --max-time 40 -o /dev/null -H "$json" --data-binary "@$work/$file" "$url" &
            pids+=($!)
        done
        wait "${pids[@]}" || fail "a request got no answer"
        pids=()
    done
    after=$(memory exporter)
    [ $((after - before)) -lt 16384 ] || fail "25 large requests made the node's memory grow from $before to $after KiB"
    pass "25 large requests side by side: private memory from $before to $after KiB"
}

# Callers that never end their headers or their body, silent or with a byte now and then: others are served, and they are closed.
slow_clients() {
    local i fd how fds=()
    for i in $(seq 8); do
        for how in silent header body; do
            exec {fd}<>"/dev/tcp/127.0.0.1/$((base + 1))"
            printf 'POST /v1/statements HTTP/1.1\r\nHost: x\r\n' >&"$fd"
            [ $how != body ] || printf 'Content-Type: application/x-protobuf\r\nContent-Length: 1000\r\n\r\n' >&"$fd"
            [ $how != header ] || printf 'X-Slow: ' >&"$fd"
            [ $how = silent ] || (for i in $(seq 120); do sleep 0.5 && printf x >&"$fd" || break; done) 2>"$work/drip" &
            fds+=("$fd")
        done
    done
    accept "$work/slow/bad/good.bin"
    for fd in "${fds[@]}"; do
        i=0
        timeout 30 cat <&"$fd" >/dev/null 2>&1 || i=$? # closed or reset
        [ $i -ne 124 ] || fail "a caller that does not end its request is held longer than 30 s"
        exec {fd}>&-
    done
    pass "${#fds[@]} callers that never end their headers or body: others are served meanwhile, and the node closes them"
}

# ---- a full pool ----

# fill KEY: the key's chain at the node until it says full; accepted ids in $work/KEY.accepted
fill() {
    local n=0 dir=$work/$1/full
    mkdir -p "$dir"
    "$badclient" chain "$net/exporter/genesis.json" "$work/$1.key" 1 "$(cat "$work/$1.head")" "$dir" 40 30000 >"$dir/ids"
    while [ $n -lt 40 ]; do
        n=$((n + 1))
        send -H "$protobuf" --data-binary "@$dir/$n.bin" "$url"
        [ "$(cat "$work/code")" = 202 ] || break
        sed -n "${n}p" "$dir/ids" >>"$work/accepted"
    done
    echo "$n" >"$dir/refused"
    said=$(problem 503 full mempool "try again later") || fail "fill $1: $said"
    grep -qiE '^retry-after: [1-9][0-9]*' "$work/head" || fail "503 without Retry-After"
}

accepted_final() {
    local id node
    for node in "${nodes[@]}"; do
        while read -r id; do
            [ "$(get "$node" "/v1/statements/$id" | field status)" = final ] || return 1
        done <"$work/accepted"
    done
}

full_pool() {
    local key node n dir
    : >"$work/accepted"
    for node in carrier customs; do "$carnet" testnet stop "$node" --dir "$net" || fail "stop $node"; done
    mkdir -p "$work/full1/other"
    "$badclient" chain "$net/exporter/genesis.json" "$work/full1.key" 1 "$(cat "$work/full1.head")" "$work/full1/other" 1 50 \
        >/dev/null
    for key in full1 full2; do fill "$key"; done
    refused "another statement for a sequence that waits" 409 conflict body.sequence "waits already" \
        -H "$protobuf" --data-binary "@$work/full1/other/1.bin" "$url"
    send -H "$protobuf" --data-binary "@$work/full1/full/1.bin" "$url"
    [ "$(cat "$work/code")" = 202 ] || fail "what waits is answered with $(cat "$work/code") when it is sent again"
    n=$(wc -l <"$work/accepted")
    [ "$n" -ge 10 ] || fail "the pool was full after $n statements"
    [ "$(status_of exporter pending_bytes)" -le "$CARNET_MEMPOOL_BYTES" ] || fail "the pool is over its bound"
    for node in carrier customs; do "$carnet" testnet start "$node" --dir "$net" || fail "start $node"; done
    wait_for 40 accepted_final || fail "not all of the $n statements that were accepted are final on all nodes"
    for key in full1 full2; do
        dir=$work/$key/full
        accept "$dir/$(cat "$dir/refused").bin"
    done
    pass "pool full: 503 with Retry-After; the $n accepted are final on all nodes, and the refused one was taken later"
}

# ---- the peer port ----

links_up() {
    local node
    for node in "${nodes[@]}"; do
        [ "$(get "$node" /metrics | grep -c '^carnet_peer_up{.*} 1$')" -eq 3 ] || return 1
    done
}

strangers() {
    local before after manner i pids=() manners=(garbage garbage-frame http oversize empty-frame stranger half drip)
    local port=$((base + 2)) # the bank's
    wait_for 20 links_up || fail "the links are not up"
    before=$(metric bank peers_refused_total)
    for manner in "${manners[@]}"; do
        "$badclient" peer "$port" "$net/exporter/genesis.json" "$manner" &
        pids+=($!)
    done
    accept "$work/peer/bad/good.bin"
    for i in "${!manners[@]}"; do
        wait "${pids[i]}" || fail "the node does not close the connection of a stranger: ${manners[i]}"
    done
    after=$(metric bank peers_refused_total)
    [ $((after - before)) -ge ${#manners[@]} ] || fail "refused handshakes went from $before to $after only"
    links_up || fail "strangers broke a link between members"
    pass "peer port: ${manners[*]}: closed and counted"
}

crowd() {
    local before after open port=$((base + 2)) memory_before
    memory_before=$(memory bank)
    before=$(metric bank peers_refused_total)
    coproc CROWD { "$badclient" crowd "$port" 150; }
    background+=("$CROWD_PID")
    read -r -t 30 open <&"${CROWD[0]}" || fail "the crowd did not get through"
    [ "$open" -ge 1 ] && [ "$open" -le 40 ] || fail "$open of 150 callers are held without a handshake; at most 40 may be"
    after=$(metric bank peers_refused_total)
    [ $((after - before)) -ge $((150 - open)) ] || fail "150 callers, $open held, only $((after - before)) counted as refused"
    links_up || fail "a crowd broke a link between members"
    accept "$work/peer/bad/next.bin"
    "$carnet" testnet stop carrier --dir "$net" && "$carnet" testnet start carrier --dir "$net" || fail "restart carrier"
    wait_for 30 links_up || fail "a member that comes back during the crowd is not linked within 30 s"
    [ $(($(memory bank) - memory_before)) -lt 16384 ] || fail "the crowd made the node's memory grow from $memory_before KiB"
    pass "150 callers that say nothing: $open held, the others closed and counted; a member that came back is linked"
}

up
bad_configurations
register secp256k1 secp256k1
register ed25519 ed25519
register p256 p256
for name in slow full1 full2 peer; do register "$name" secp256k1; done
for name in slow peer; do
    mkdir -p "$work/$name/bad"
    "$badclient" statements "$net/exporter/genesis.json" "$work/$name.key" 1 "$(cat "$work/$name.head")" "$work/$name/bad" >/dev/null
done
for name in secp256k1 ed25519 p256; do bad_statements "$name"; done
bad_requests secp256k1
bounded_memory
slow_clients
full_pool
strangers
crowd
expect_same_headers
down_and_check
