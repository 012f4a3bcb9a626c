#!/usr/bin/env bash
# Time tokens (RFC 3161) over checkpoints: asked of a time authority that openssl plays, kept by the node, verified by the stock
# `openssl ts -verify` and by carnet verify, and refused by both after a change.
# usage: tests/interop/timestamps.sh BIN-DIR
set -euo pipefail

bin=$1
work=$(mktemp -d)
port=${CARNET_TEST_PORT:-19560}
tsa=0
trap '[ "$tsa" = 0 ] || kill "$tsa" 2>/dev/null || true; "$bin/carnet" testnet down --dir "$work/net" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
fail() {
    echo "FAILED: $*"
    exit 1
}
json() { perl -MJSON::PP -MMIME::Base64 -0777 -e 'my $j = decode_json(<STDIN>); '"$1"; }

# ---- a certificate authority, a time authority under it, and another one that nobody trusts
cat >"$work/openssl.cnf" <<'CNF'
[tsa]
default_tsa = tsa1
[tsa1]
serial = $ENV::TSA_DIR/serial
crypto_device = builtin
signer_cert = $ENV::TSA_DIR/tsa.pem
certs = $ENV::TSA_DIR/ca.pem
signer_key = $ENV::TSA_DIR/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
[stamping]
extendedKeyUsage = critical, timeStamping
CNF
authority() { # NAME
    mkdir "$work/$1"
    TSA_DIR=$work/$1 openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/$1/ca.key" -out "$work/$1/ca.pem" -days 30 \
        -subj "/O=Test/CN=$1 root" -config /etc/ssl/openssl.cnf 2>/dev/null
    openssl req -newkey rsa:2048 -nodes -keyout "$work/$1/tsa.key" -out "$work/$1/tsa.csr" -subj "/O=Test/CN=$1" \
        -config /etc/ssl/openssl.cnf 2>/dev/null
    TSA_DIR=$work/$1 openssl x509 -req -in "$work/$1/tsa.csr" -CA "$work/$1/ca.pem" -CAkey "$work/$1/ca.key" -CAcreateserial \
        -days 20 -extfile "$work/openssl.cnf" -extensions stamping -out "$work/$1/tsa.pem" 2>/dev/null
    echo 01 >"$work/$1/serial"
}
authority trusted
authority stranger

cat >"$work/tsa.pl" <<'PERL'
use strict; use IO::Socket::INET;
my ($port, $dir, $conf) = @ARGV;
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 8, ReuseAddr => 1) or die "listen: $!";
$| = 1; print "ready\n";
while (my $c = $server->accept) {
    binmode $c;
    my $head = '';
    while ($head !~ /\r\n\r\n/) { my $n = sysread $c, my $part, 1; last unless $n; $head .= $part; }
    my ($who) = $head =~ m{^POST /(\w+)};
    my ($length) = $head =~ /Content-Length: (\d+)/i;
    my $body = '';
    while (length $body < ($length // 0)) { my $n = sysread $c, my $part, 4096; last unless $n; $body .= $part; }
    open my $f, '>:raw', "$dir/query.tsq"; print $f $body; close $f;
    $ENV{TSA_DIR} = "$dir/$who";
    system('openssl', 'ts', '-reply', '-config', $conf, '-queryfile', "$dir/query.tsq", '-out', "$dir/reply.tsr");
    open $f, '<:raw', "$dir/reply.tsr"; local $/; my $reply = <$f>; close $f;
    print $c "HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nContent-Length: " . length($reply) . "\r\nConnection: close\r\n\r\n$reply";
    close $c;
}
PERL
perl "$work/tsa.pl" $((port + 30)) "$work" "$work/openssl.cnf" >"$work/tsa.log" 2>&1 &
tsa=$!
for _ in $(seq 100); do grep -q ready "$work/tsa.log" && break; sleep 0.1; done
trusted=http://127.0.0.1:$((port + 30))/trusted
stranger=http://127.0.0.1:$((port + 30))/stranger

# ---- a network whose nodes trust the first
CARNET_TIME_AUTHORITIES=$work/trusted/ca.pem "$bin/carnet" testnet up --dir "$work/net" --base-port "$port" --checkpoint-ms 200 >/dev/null || fail "up"
api=http://127.0.0.1:$((port + 1))
genesis=$(cat "$work/net/genesis.digest")
# The release by customs, of the sample shipment.
"$bin/carnet-sample" --out "$work/sample" >/dev/null || fail "carnet-sample"
event=$work/sample/09-customs-release.json
subject=urn:carnet:ucr:6KEP051234567A-AVO-0114
"$bin/carnet" submit --api "$api" --key "$work/net/customs/keys/capture.key" --wait "$event" >/dev/null || fail "submit"
audit() { "$bin/carnet" audit --api "$api" --subject "$subject" --out "$1" >/dev/null || fail "audit"; }
verdict() { "$bin/carnet" verify --json --genesis "$genesis" "$@" | json 'print((grep { $_->{step} eq "time" } @{$j->{steps}})[0]{verdict}, " ", $j->{accepted} ? "accepted" : "refused")'; }

audit "$work/before.zip"
[ "$(verdict "$work/before.zip")" = "not-checked accepted" ] || fail "without a token"
[ "$(verdict --tsa-ca "$work/trusted/ca.pem" "$work/before.zip")" = "not-checked refused" ] || fail "a witnessed time was asked for, and there is none"

"$bin/carnet" timestamp --api "$api" --tsa "$stranger" >/dev/null 2>"$work/why" && fail "the node kept a token of an authority that it does not trust"
grep -q "does not verify" "$work/why" || fail "no reason: $(cat "$work/why")"
"$bin/carnet" timestamp --api "$api" --tsa "$trusted" || fail "timestamp"
again=$("$bin/carnet" timestamp --api "$api" --tsa "$trusted") || fail "timestamp again"
[ -z "$again" ] || fail "asked again for a checkpoint that has a token: $again"

# ---- the stock verifier, over the header as the API gives it
curl -sS "$api/v1/checkpoints/latest" >"$work/checkpoint.json"
json 'binmode STDOUT; print decode_base64($j->{header_base64})' <"$work/checkpoint.json" >"$work/header.bin"
json 'binmode STDOUT; print decode_base64($j->{tokens}[0]{token_base64})' <"$work/checkpoint.json" >"$work/token.tst"
[ "$(stat -c %s "$work/header.bin")" = 229 ] || fail "the header has another length"
stock() { openssl ts -verify -in "$1" -token_in -data "$2" -CAfile "$3" >"$work/stock.log" 2>&1; }
stock "$work/token.tst" "$work/header.bin" "$work/trusted/ca.pem" || fail "openssl refuses the token: $(cat "$work/stock.log")"
stock "$work/token.tst" "$work/header.bin" "$work/stranger/ca.pem" && fail "openssl accepts it from a stranger"
refused=0
for at in 0 5 40 100 228; do
    cp "$work/header.bin" "$work/changed.bin"
    perl -e 'open my $f, "+<:raw", $ARGV[0]; seek $f, $ARGV[1], 0; read $f, my $b, 1; seek $f, $ARGV[1], 0; print $f chr(ord($b) ^ 1)' "$work/changed.bin" "$at"
    stock "$work/token.tst" "$work/changed.bin" "$work/trusted/ca.pem" && fail "openssl accepts another header"
    refused=$((refused + 1))
done

# ---- ours, from the dossier
audit "$work/after.zip"
[ "$(verdict "$work/after.zip")" = "not-checked accepted" ] || fail "nobody was given as trusted"
[ "$(verdict --tsa-ca "$work/trusted/ca.pem" "$work/after.zip")" = "ok accepted" ] || fail "the token in the dossier"
[ "$(verdict --tsa-ca "$work/stranger/ca.pem" "$work/after.zip")" = "failed refused" ] || fail "a stranger's root"
token=$(unzip -Z1 "$work/after.zip" | grep '^tokens/')
unzip -p "$work/after.zip" "$token" | cmp - "$work/token.tst" || fail "the dossier has another token"

# ---- what is no token is refused with a reason, and nothing is kept
height=$(json 'print $j->{height}' <"$work/checkpoint.json")
post() { curl -sS -o "$work/answer" -w '%{http_code}' -H 'Content-Type: application/timestamp-reply' --data-binary "$1" "$api/v1/checkpoints/$2/tokens"; }
[ "$(post "@$work/token.tst" "$height")" = 200 ] || fail "the same token again: $(cat "$work/answer")"
[ "$(post "@$work/token.tst" 1)" != 201 ] || fail "a token over another header"
[ "$(post "garbage" "$height")" = 400 ] || fail "garbage: $(cat "$work/answer")"
[ "$(post "@$work/token.tst" 999999)" = 404 ] || fail "no such height: $(cat "$work/answer")"
[ "$(post "@$work/token.tst" 0x1)" = 400 ] || fail "no height: $(cat "$work/answer")"
[ "$(curl -sS "$api/v1/checkpoints/$height" | json 'print scalar @{$j->{tokens}}')" = 1 ] || fail "more tokens than were given"
"$bin/carnet" testnet down --dir "$work/net" >/dev/null || fail "down"
"$bin/carnet" fsck "$work/net/exporter/data" >/dev/null || fail "fsck"
printf '| RFC 3161 token over a checkpoint | `openssl ts -verify` | %s | %s | accepted, %s changed headers and another root refused |\n' \
    "$(openssl version | cut -d' ' -f2)" "$(stat -c %s "$work/token.tst")" "$refused"
