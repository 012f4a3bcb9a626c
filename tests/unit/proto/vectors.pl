#!/usr/bin/perl
# Rebuilds tests/vectors/proto.txt from its inputs without any code of Carnet: SHA-256, HMAC and the layouts of
# docs/byte-layouts.md. Signatures are taken as they are (unit.proto_key checks signatures).
#
#   vectors.pl FILE      prints every value that differs; exit status 0 none, 1 some, 2 wrong use
use strict;
use warnings;
use Digest::SHA qw(sha256 hmac_sha256);

@ARGV == 1 or do { print STDERR "usage: vectors.pl FILE\n"; exit 2 };
open(my $file, '<', $ARGV[0]) or do { print STDERR "vectors.pl: cannot read $ARGV[0]: $!\n"; exit 2 };
my (%v, %checked, $wrong);
while (my $line = <$file>) {
    next if $line =~ /^(#|$)/;
    $line =~ /^(\S+) = ?((?:[0-9a-f]{2})*)$/ or die "vectors.pl: line $. is not `name = hex`\n";
    die "vectors.pl: $1 is there twice\n" if exists $v{$1};
    $v{$1} = pack 'H*', $2;
}

sub is {
    my ($name, $bytes) = @_;
    defined $v{$name} or die "vectors.pl: $name is missing\n";
    $checked{$name} = 1;
    return if $v{$name} eq $bytes;
    printf "%s: the file has %s, rebuilt %s\n", $name, unpack('H*', $v{$name}), unpack('H*', $bytes);
    $wrong++;
}

sub get {
    my ($name) = @_;
    defined $v{$name} or die "vectors.pl: $name is missing\n";
    $checked{$name} = 1;
    return $v{$name};
}

sub tagged { my $tag = sha256(shift); return sha256($tag . $tag . join('', @_)) }
sub fill { return chr($_[0]) x 32 }
sub leaf { return sha256("\x00" . $_[0]) }
sub node { return sha256("\x01" . $_[0] . $_[1]) }
sub u64 { return pack 'Q>', $_[0] }

# RFC 9162, 2.1.1, over leaf hashes.
sub root {
    return sha256('') unless @_;
    return $_[0] if @_ == 1;
    my $k = 1;
    $k *= 2 while 2 * $k < @_;
    return node(root(@_[0 .. $k - 1]), root(@_[$k .. $#_]));
}

# protobuf
sub varint { my ($n) = @_; my $s = ''; while ($n > 127) { $s .= chr($n & 127 | 128); $n >>= 7 } return $s . chr $n }
sub number { my ($field, $n) = @_; return $n ? varint($field << 3) . varint($n) : '' }
sub bytes { my ($field, $b) = @_; return varint($field << 3 | 2) . varint(length $b) . $b }

# ---- names and keys
is('network', tagged('carnet/genesis', get('genesis')));
is('member.id', tagged('carnet/member', get('member.name')));
my $salt = get('subject.salt');
is('subject.tag', tagged('carnet/subject', $salt, get('subject.uri')));
is("subject.of_$_", tagged('carnet/subject', $salt, "urn:carnet:$_:" . unpack 'H*', get('subject.id')))
    for qw(key member document network);
is('subject.of_governance', tagged('carnet/subject', $salt, 'urn:carnet:governance'));
for my $type (1 .. 3) {
    is("key.$type.secret", "\0" x 31 . "\x01");
    is("key.$type.id", tagged('carnet/key', chr $type, get("key.$type.public")));
}

# ---- statements
my @item;
for my $content (map { "{\"t\":$_}" } 1 .. 4) {
    my $mac = substr hmac_sha256("\x02$content", get('item.secret')), 0, 16;
    push @item, "\x02$mac$content";
}
is('item.salt', substr $item[0], 1, 16);

sub entry { my ($tag, $start, $count, $first, $last) = @_;
    return bytes(3, bytes(1, fill($tag)) . number(2, $start) . number(3, $count) . number(4, $first) . number(5, $last)) }

# New keys and their possession are taken from the file: they end every KeyRegister.
sub new_key {
    my ($kind, $type, $purpose) = @_;
    my $length = $type == 2 ? 32 : 33;
    my $body = get("statement.$kind.body");
    my $at = rindex $body, "\x22\x40";
    return number(1, $type) . number(2, $purpose) . bytes(3, substr $body, $at - $length, $length) . substr $body, $at;
}
# The row of the member that joins is taken from the file: its keys are points that only the curves' libraries know.
my $joining = get("statement.proposal.body");
my $row = substr $joining, index($joining, "\x1a\xb6\x01") + 3, 182;
my $member = substr $row, 0, 32;
my $t = 1700000000000;
# The proof of a foreign statement: the votes' signatures and the record's own are taken from the file.
sub foreign_proof {
    my $body = get('statement.foreign-proof.body');
    my $record = number(1, 1) . bytes(2, fill(0xf0)) . bytes(3, get('key.1.id')) . number(4, 2) . bytes(5, fill(0xee))
        . number(6, $t + 9000) . bytes(18, bytes(1, fill(0x55)) . bytes(2, fill(0x22)) . number(3, $t) . number(4, $t + 600000));
    $record = bytes(1, $record) . bytes(2, substr $body, -68 - 64, 64); # two subjects of 34 bytes follow
    my $path = node(leaf(fill(0xe0)), leaf(fill(0xe1)));
    my $header = pack('NC', 1, 1) . u64(1) . u64(2) . u64($t + 10000) . fill(3) . u64(3) . node($path, leaf(sha256($record)))
        . fill(5) . tagged('carnet/body') . get('set.digest') x 2;
    my $votes = chr(3) . u64(1) . u64(9) . tagged('carnet/block', $header) . "\x04\x07";
    $votes .= substr $body, index($body, $votes) + length $votes, 3 * 64;
    return "\x01\x01" . fill(0xf0) . u64(1) . "\x04" . get('set.rows') . "\x01" . $header . pack('n', length $votes) . $votes
        . u64(2) . "\x01" . $path . "\x01" . get('key.1.public') . pack('N', length $record) . $record;
}
my %payload = (
    'event-batch' => bytes(16, bytes(1, root(map { leaf($_) } @item)) . number(2, 4) . entry(0x11, 0, 2, $t, $t + 1000)
            . entry(0x11, 3, 1, $t + 3000, $t + 3000) . entry(0x22, 1, 2, $t + 1000, $t + 2000)),
    'key-register' => bytes(17, bytes(1, new_key('key-register', 2, 2))),
    'key-rotate' => bytes(17, bytes(2, bytes(1, fill(0x44)) . bytes(2, new_key('key-rotate', 1, 3)))),
    'key-revoke' => bytes(17, bytes(3, bytes(1, fill(0x44)) . number(2, 41) . number(3, 3))),
    'key-gap' => bytes(17, bytes(4, bytes(1, fill(0x44)) . number(2, 50) . bytes(3, fill(0x66)) . number(4, 2))),
    'key-salvage' =>
        bytes(17, bytes(5, bytes(1, fill(0x44)) . bytes(2, fill(0x99)) . bytes(2, fill(0x33)) . bytes(2, fill(0x77)))),
    'member-register' => bytes(17, bytes(6, bytes(1, 'mombasa-terminal') . bytes(2, 'KE') . number(3, 1 << 5 | 1 << 7)
            . bytes(4, new_key('member-register', 2, 1)))),
    'channel-key' => bytes(17, bytes(7, bytes(1, fill(0x2b)))),
    'pairing' => bytes(18, bytes(1, fill(0x55)) . bytes(2, fill(0x22)) . number(3, $t) . number(4, $t + 600000)),
    'document-anchor' => bytes(19, bytes(1, sha256('bill of lading')) . number(2, 14) . number(3, 2) . bytes(4, fill(0x11))
            . bytes(4, fill(0x22)) . number(5, $t - 1000)),
    'proposal' => bytes(20, number(1, 1) . bytes(2, $member) . bytes(3, $row)
            . join('', map { bytes(4, chr($_) x 64) } 0xc1 .. 0xc4)),
    'ballot' => bytes(21, bytes(1, fill(0x77)) . bytes(2, $member) . number(3, 1)),
    'readiness' => bytes(22, bytes(1, fill(0x77)) . bytes(2, $member) . number(3, 4711) . bytes(4, fill(0x88))
            . bytes(5, "\xc5" x 64)),
    'foreign-network' => bytes(20, number(1, 5) . bytes(2, fill(0xf0)) . bytes(7, bytes(1, 'bank-net') . number(2, 3)
            . bytes(3, fill(0x5e)) . number(4, 900) . number(5, 1200))),
    'erasure' => bytes(23, bytes(1, bytes(1, get('statement.event-batch.body')) . bytes(2, get('statement.event-batch.signature')))
            . number(2, 1) . number(3, 2) . number(4, 2)),
    'purge-attestation' => bytes(24, bytes(1, fill(0x45))),
    'foreign-proof' => bytes(25, bytes(1, foreign_proof()) . bytes(2, fill(0x11)) . bytes(2, fill(0x22))),
);
for my $kind (sort keys %payload) {
    my $name = "statement.$kind";
    my $body = number(1, 1) . bytes(2, get('network')) . bytes(3, get('key.1.id')) . number(4, 2) . bytes(5, fill(0xee))
        . number(6, $t + 9000) . $payload{$kind};
    is("$name.body", $body);
    is("$name.signing_digest", tagged('carnet/statement', get('network'), $body));
    is("$name.id", tagged('carnet/statement-id', $body));
    my $record = bytes(1, $body) . bytes(2, get("$name.signature"));
    is("$name.record_digest", sha256($record));
    is("$name.whole", $record . ($kind eq 'event-batch' ? join '', map { bytes(3, $_) } @item : ''));
}
is('statement.event-batch.erased_items',
    bytes(3, $item[0]) . join('', map { bytes(3, "\0" . leaf($_)) } @item[1, 2]) . bytes(3, $item[3]));
is('possession.owner', get('member.id'));
is('possession.digest', tagged('carnet/possession', get('network'), get('member.id'), get('key.1.id')));

# ---- blocks, sets, votes, certificates
is('block.records', fill(1) . fill(2));
is('block.body_digest', tagged('carnet/body', fill(1), fill(2)));
is('block.empty_body_digest', tagged('carnet/body'));
is('block.header', pack('NC', 1, 0) . u64(1) . u64(258) . u64($t + 10000) . fill(3) . u64(515) . fill(4) . fill(5)
        . get('block.body_digest') . fill(6) . fill(6));
is('block.digest', tagged('carnet/block', get('block.header')));
my @row = unpack '(a182)*', get('set.rows');
@row == 4 or die "vectors.pl: set.rows are not four rows\n";
my @sorted = sort @row;
is('set.rows', join '', @sorted);
my %member = map { (tagged('carnet/member', "v$_"), 1) } 0 .. 3;
$member{substr $_, 0, 32} or die "vectors.pl: a row of set.rows is of an unknown member\n" for @row;
my ($first) = grep { substr($_, 32, 33) eq get('key.1.public') } @row;
substr($first, 65, 20) eq get('key.1.evm_address') or die "vectors.pl: the EVM address of key.1 is another\n";
is('set.digest', tagged('carnet/set', get('set.rows')));
for ([1, 'notarize', fill(0xb1), 7], [2, 'nullify', "\0" x 32, 14], [3, 'finalize', fill(0xb1), 13]) {
    my ($kind, $name, $block, $bitmap) = @$_;
    is("vote.$name", tagged('carnet/vote', get('network'), u64(1), chr $kind, u64(9), $block));
    my $head = chr($kind) . u64(1) . u64(9) . $block . chr(4) . chr $bitmap;
    my $all = get("certificate.$name");
    is("certificate.$name", $head . substr $all, length $head);
    length($all) == length($head) + 3 * 64 or die "vectors.pl: certificate.$name has another length\n";
}

# ---- state map
my %number = (parameters => 1, set => 2, member => 3, key => 4, subject => 5, pairing => 6, salvage => 7, proposal => 8, change => 9,
    foreign => 10, relied => 11, erasure => 12, purge => 13);
my %value = (
    parameters => "\x01" . u64(1000) . u64(30000) . pack('Nn', 1 << 20, 75),
    set => "\x01\x04" . get('set.digest'),
    member => "\x01" . pack('N', 1 << 5 | 1 << 7) . "KE\x01" . u64(19) . chr(16) . pack('a64', 'mombasa-terminal')
        . fill(0x2b),
    key => "\x01\x02\x02\x02" . get('key.2.public') . "\0" . get('state.member.id') . u64(20) . u64(31) . u64(5) . u64(8)
        . fill(0x99),
    subject => u64(3) . fill(0x77) . u64(10) . u64(12) . fill(0x99),
    pairing => "\x01\x02" . fill(0x11) . u64($t) . u64($t + 600000) . fill(0x22) . u64($t) . u64(0),
    proposal => "\x01\x02\x03" . u64(2) . pack('NN', 11, 4) . "\x01" . get('state.member.id') . fill(0x66) . pack('N', 0)
        . "\0" . u64(515) . "\x5c" x 182,
    change => "\x01\x02" . fill(0x33),
    foreign => "\x01\x01" . u64(3) . fill(0x5e) . u64(900) . u64(1200) . u64(77) . fill(0xf0) . chr(8) . pack('a64', 'bank-net'),
    relied => "\x01" . fill(0x44) . u64(78),
    erasure => "\x01" . u64(79) . fill(0x44) . pack('NN', 1, 2) . "\x02" . fill(0x11) . fill(0x22),
    purge => "\x01" . fill(0x47) . u64(80),
);
is('state.set.id', u64(1));
is('state.member.id', tagged('carnet/member', 'mombasa-terminal'));
is('state.key.id', get('key.2.id'));
is('state.salvage.id', get('key.2.id') . fill(0x33));
is('state.proposal.id', fill(0x33));
is('state.erasure.id', fill(0x33));
is('state.purge.id', fill(0x33) . get('state.member.id'));
sub map_leaf { my ($key, $value) = @_; return leaf(chr(33) . $key . chr(32) . sha256($value)) }
for my $name (sort keys %number) {
    my $type = chr $number{$name};
    is("state.$name.key", $type . tagged('carnet/state', $salt, $type, get("state.$name.id")));
    next unless defined $value{$name};
    is("state.$name.value", $value{$name});
    is("state.$name.leaf", map_leaf(get("state.$name.key"), $value{$name}));
}
is('subject_leaf.data', fill(0x88) . u64(515) . u64(258) . u64($t + 10000));
is('subject_leaf.hash', leaf(get('subject_leaf.data')));

# ---- trees and proofs
my @leaf = map { leaf(fill($_)) } 0 .. 6;
is('log.root', root(@leaf));
is('log.path_of_5', $leaf[4] . $leaf[6] . root(@leaf[0 .. 3]));
is('log.frontier', u64(7) . root(@leaf[0 .. 3]) . root(@leaf[4, 5]) . $leaf[6]);
my ($low, $high) = ("\x05" . fill(0x10), "\x05" . fill(0x90));
my ($l, $r) = (map_leaf($low, 'left'), map_leaf($high, 'right'));
is('ics23.root', node($l, $r));
my $op = bytes(3, number(1, 1) . number(3, 1) . number(4, 1) . bytes(5, "\x00"));
my $left = bytes(1, $low) . bytes(2, 'left') . $op . bytes(4, number(1, 1) . bytes(2, "\x01") . bytes(3, $r));
my $right = bytes(1, $high) . bytes(2, 'right') . $op . bytes(4, number(1, 1) . bytes(2, "\x01$l"));
is('ics23.existence', bytes(1, $left));
is('ics23.absence', bytes(2, bytes(1, "\x05" . fill(0x40)) . bytes(2, $left) . bytes(3, $right)));

for my $name (sort keys %v) {
    next if $checked{$name};
    print "$name: nothing rebuilds it\n";
    $wrong++;
}
printf "%d values, %d differ\n", scalar keys %v, $wrong // 0;
exit($wrong ? 1 : 0);
