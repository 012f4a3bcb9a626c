#!/usr/bin/perl
# Judges what `simulate --record` wrote by the rules R1 to R6 of docs/consensus.md, with no code of ours: messages are
# parsed here, signatures and digests are computed here, and what a node may do follows from what it was told before.
#
#   rules.pl < RECORD        exit status 1 at the first breach
#
# Where the rules leave room the node is believed to know all that it was ever told in this life, which can only excuse.
use strict;
use warnings;
use Digest::SHA qw(sha256);

use constant { NOTARIZE => 1, NULLIFY => 2, FINALIZE => 3, CLOSING => 2, NONE => "\0" x 32, HEADER => 229 };
my @KIND = ('', 'notarize', 'nullify', 'finalize');
my $NETWORK = sha256('simulated network');

my ($world, %set, %block, %node, %chain, %certified, %parsed);
my %count = map { $_ => 0 } qw(worlds lines notarize nullify finalize proposals certificates blocks);

sub breach {
    my ($rule, $n, $text) = @_;
    my $who = defined $n ? "node $n " : '';
    print "world $world, line $.: $rule: $who$text\n";
    exit 1;
}

sub short { return unpack 'H8', $_[0] }

# ---- digests, signatures, messages -----------------------------------------------------------------------------------

my %tags;
sub tagged {
    my ($tag, @parts) = @_;
    my $hash = $tags{$tag} //= sha256($tag);
    return sha256($hash, $hash, @parts);
}

sub signature { return sha256('simkey', pack('n', $_[0]), $_[1]) . NONE }

sub quorum { my ($n) = @_; return int(($n + int(($n - 1) / 3)) / 2) + 1 }

sub leader { my ($epoch, $view) = @_; return ($view + $epoch) % @{$set{$epoch}} }

sub vote_digest {
    my ($epoch, $kind, $view, $block) = @_;
    return tagged('carnet/vote', $NETWORK, pack('Q> C Q>', $epoch, $kind, $view), $block);
}

sub signed {
    my ($epoch, $signer, $digest, $signature) = @_;
    my $key = $set{$epoch} && $set{$epoch}[$signer];
    return defined $key && $signature eq signature($key, $digest);
}

# version u32 | kind u8 | epoch u64 | height u64 | time u64 | parent 32 | ...
sub learn_block {
    my ($header) = @_;
    my ($kind, $epoch, $height, $parent) = unpack 'x4 C Q> Q> x8 a32', $header;
    my $digest = tagged('carnet/block', $header);
    $block{$digest} //= { kind => $kind, epoch => $epoch, height => $height, parent => $parent };
    return $digest;
}

# kind | epoch | view | block | n | bitmap | signatures; undef unless exactly a quorum of the set signed
sub read_certificate {
    my ($bytes, $at) = @_;
    return if length($bytes) < $$at + 50;
    my ($kind, $epoch, $view, $block, $n) = unpack 'C Q> Q> a32 C', substr($bytes, $$at, 50);
    my $map = int(($n + 7) / 8);
    return if length($bytes) < $$at + 50 + $map;
    my @signers = grep { vec(substr($bytes, $$at + 50, $map), $_, 1) } 0 .. 8 * $map - 1;
    my $from = $$at + 50 + $map;
    $$at = $from + 64 * @signers;
    return if length($bytes) < $$at;
    my $c = { type => 'certificate', kind => $kind, epoch => $epoch, view => $view, block => $block, whole => 0 };
    my $digest = vote_digest($epoch, $kind, $view, $block);
    my $known = $set{$epoch} && @{$set{$epoch}} == $n && $kind >= NOTARIZE && $kind <= FINALIZE;
    return $c if !$known || @signers != quorum($n);
    for my $i (0 .. $#signers) {
        return $c if !signed($epoch, $signers[$i], $digest, substr($bytes, $from + 64 * $i, 64));
    }
    $c->{whole} = 1;
    return $c;
}

sub read_vote {
    my ($bytes) = @_;
    return if length($bytes) != 117;
    my ($kind, $epoch, $view, $block, $signer, $signature) = unpack 'x2 C Q> Q> a32 n a64', $bytes;
    return if $kind < NOTARIZE || $kind > FINALIZE || ($kind == NULLIFY) != ($block eq NONE);
    return { type => 'vote', kind => $kind, epoch => $epoch, view => $view, block => $block, signer => $signer,
        ok => signed($epoch, $signer, vote_digest($epoch, $kind, $view, $block), $signature) };
}

sub read_proposal {
    my ($bytes) = @_;
    my $size = length $bytes;
    return if $size < 26 + HEADER + 5 + 128;
    my ($epoch, $view, $parent_view) = unpack 'x2 Q> Q> Q>', $bytes;
    my $header = substr $bytes, 26, HEADER;
    my $count = unpack 'N', substr($bytes, 26 + HEADER, 4);
    my $at = 30 + HEADER + 32 * $count;
    return if $size < $at + 129;
    my $evidence = unpack 'C', substr($bytes, $at++, 1);
    my @evidence;
    for (1 .. $evidence) {
        my $c = read_certificate($bytes, \$at) or return;
        push @evidence, $c;
    }
    return if $size != $at + 128 || !$set{$epoch};
    my $leader = leader($epoch, $view);
    my $proposal = tagged('carnet/proposal', $NETWORK, substr($bytes, 0, $at + 64));
    return if !signed($epoch, $leader, $proposal, substr($bytes, $at + 64, 64));
    my $digest = learn_block($header);
    my $vote = vote_digest($epoch, NOTARIZE, $view, $digest);
    return { type => 'proposal', epoch => $epoch, view => $view, parent_view => $parent_view, block => $digest,
        signer => $leader, evidence => \@evidence, voted => signed($epoch, $leader, $vote, substr($bytes, $at, 64)) };
}

sub parse_message {
    my ($bytes) = @_;
    return if length($bytes) < 2 || ord($bytes) != 1;
    my $kind = ord substr($bytes, 1, 1);
    return read_proposal($bytes) if $kind == 1;
    return read_vote($bytes) if $kind == 2;
    my $at = 2;
    return $kind == 3 ? read_certificate($bytes, \$at) : undef;
}

# The same bytes mean the same once the set of their epoch is known; most messages arrive many times.
sub message {
    my ($hex) = @_;
    return $parsed{$hex} if $parsed{$hex};
    my $m = parse_message(pack 'H*', $hex);
    $parsed{$hex} = $m if $m && $set{$m->{epoch}};
    return $m;
}

# ---- what a node knows -----------------------------------------------------------------------------------------------

# No view has two notarized blocks, or a finalization and a nullification, whoever holds the certificates.
sub note_certificate {
    my ($epoch, $kind, $view, $block) = @_;
    my $c = $certified{"$epoch/$view"} //= [];
    $count{certificates}++ if !defined $c->[$kind];
    breach('agreement', undef, "epoch $epoch view $view has two certificates of $KIND[$kind]")
        if defined $c->[$kind] && $c->[$kind] ne $block;
    $c->[$kind] = $block;
    breach('agreement', undef, "epoch $epoch view $view has a finalization and a nullification")
        if defined $c->[FINALIZE] && defined $c->[NULLIFY];
}

sub know_certificate {
    my ($n, $c) = @_;
    my $s = $node{$n};
    return if !$c->{whole};
    note_certificate(@$c{qw(epoch kind view block)});
    $s->{cert}[$c->{kind}]{$c->{view}} = $c->{block} if $c->{epoch} == $s->{epoch};
}

sub know_vote {
    my ($n, $epoch, $kind, $view, $block, $signer) = @_;
    my $s = $node{$n};
    return if $epoch != $s->{epoch};
    my $voters = $s->{votes}{"$kind/$view/$block"} //= {};
    $voters->{$signer} = 1;
    know_certificate($n, { whole => 1, epoch => $epoch, kind => $kind, view => $view, block => $block })
        if keys %$voters == quorum(scalar @{$set{$epoch}});
    # R4: two votes of the leader, both taken in by a node that is at most one view behind
    $s->{leader_voted}{$view}{$block} = 1
        if $kind == NOTARIZE && $signer == leader($epoch, $view) && $view > $s->{final_view} && $view <= place($s) + 1
        && $view + 32 > place($s);
}

# The view that a node is at least in.
sub place { my ($s) = @_; return $s->{decided} > $s->{final_view} ? $s->{decided} : $s->{final_view} + 1 }

sub hear {
    my ($n, $m) = @_;
    my $s = $node{$n};
    return if !$m;
    if ($m->{type} eq 'vote') {
        know_vote($n, @$m{qw(epoch kind view block signer)}) if $m->{ok};
    } elsif ($m->{type} eq 'certificate') {
        know_certificate($n, $m);
    } else {
        know_certificate($n, $_) for @{$m->{evidence}};
        return if $m->{epoch} != $s->{epoch};
        $s->{proposed}{$m->{view}}{$m->{block}}{$m->{parent_view}} = 1;
        know_vote($n, $m->{epoch}, NOTARIZE, $m->{view}, $m->{block}, $m->{signer}) if $m->{voted};
    }
}

# ---- rules -----------------------------------------------------------------------------------------------------------

# R6: certificates led into the view.
sub entered {
    my ($s, $view) = @_;
    for (; $view > $s->{final_view} + 1; $view--) {
        my $notarized = $s->{cert}[NOTARIZE]{$view - 1};
        return 1 if defined $s->{cert}[FINALIZE]{$view - 1} || (defined $notarized && $s->{valid}{$notarized});
        return 0 if !defined $s->{cert}[NULLIFY]{$view - 1};
    }
    return $view == $s->{final_view} + 1;
}

# R1: the parent is certified in its view, and each view in between is nullified. Empty: so it is.
sub ancestry_fault {
    my ($s, $view, $digest, $parent_view) = @_;
    my $b = $block{$digest};
    my $notarized = $s->{cert}[NOTARIZE]{$parent_view} // '';
    my $final = $s->{cert}[FINALIZE]{$parent_view} // '';
    return "its parent is not certified in view $parent_view"
        if $notarized ne $b->{parent} && $final ne $b->{parent}
        && !($parent_view == $s->{final_view} && $s->{final} eq $b->{parent})
        && !($b->{kind} == CLOSING && $notarized eq $digest);
    for my $v ($parent_view + 1 .. $view - 1) {
        return "view $v is not nullified" if $v > $s->{final_view} && !defined $s->{cert}[NULLIFY]{$v};
    }
    return '';
}

sub descends {
    my ($s, $digest) = @_;
    while ($digest ne $s->{final}) {
        my $b = $block{$digest};
        return 0 if !$b || $b->{height} <= $block{$s->{final}}{height};
        $digest = $b->{parent};
    }
    return 1;
}

sub judge_notarize {
    my ($n, $s, $row, $view, $digest) = @_;
    my $text = "notarizes " . short($digest) . " in view $view";
    breach('R2', $n, "$text after another vote there") if $row->{notarized} || $row->{nullified};
    breach('R2', $n, "$text and is not there") if !entered($s, $view) || $view < $s->{decided};
    breach('R2', $n, "$text, which it did not execute") if !$s->{valid}{$digest};
    breach('R2', $n, "$text, which does not descend from its final block") if !descends($s, $digest) || $digest eq $s->{final};
    return if leader($s->{epoch}, $view) == $s->{self};    # judged when it proposes
    my @parents = keys %{$s->{proposed}{$view}{$digest} // {}};
    breach('R2', $n, "$text, which the leader did not propose") if !@parents;
    my @faults = map { ancestry_fault($s, $view, $digest, $_) } @parents;
    breach('R1', $n, "$text, but $faults[0]") if !grep { $_ eq '' } @faults;
}

sub judge_nullify {
    my ($n, $s, $row, $view) = @_;
    breach('R3', $n, "nullifies view $view after finalizing in it") if $row->{finalized};
    breach('R3', $n, "nullifies view $view and is not there") if !entered($s, $view) || $view < $s->{decided};
}

sub judge_finalize {
    my ($n, $s, $row, $view, $digest) = @_;
    my $text = "finalizes " . short($digest) . " in view $view";
    breach('R4', $n, "$text after nullifying it") if $row->{nullified};
    breach('R4', $n, "$text without its notarization") if ($s->{cert}[NOTARIZE]{$view} // '') ne $digest;
    breach('R4', $n, "$text, which it did not execute") if !$s->{valid}{$digest};
    breach('R4', $n, "$text, which does not descend from its final block") if !descends($s, $digest);
    breach('R4', $n, "$text after its leader voted for two blocks") if keys %{$s->{leader_voted}{$view} // {}} > 1;
}

# A row on its way to the disk: what it has more than before is what the node decided to sign.
sub on_row {
    my ($n, $token, $epoch, $view, $notarized, $nullified, $finalized, $hex) = @_;
    my $s = $node{$n};
    my $new = { notarized => $notarized, nullified => $nullified, finalized => $finalized, block => pack('H*', $hex) };
    my $old = $s->{row}{"$epoch/$view"} // { notarized => 0, nullified => 0, finalized => 0, block => NONE };
    breach('R5', $n, "decides on a vote and must not vote") if !$s->{may_vote} || $epoch != $s->{epoch};
    for my $flag (qw(notarized nullified finalized)) {
        breach('R5', $n, "forgets in view $view that it has $flag") if $old->{$flag} && !$new->{$flag};
    }
    breach('R5', $n, "replaces the block of view $view in its safety table")
        if ($old->{notarized} || $old->{finalized}) && $old->{block} ne $new->{block};
    if ($new->{notarized} && !$old->{notarized}) {
        judge_notarize($n, $s, $old, $view, $new->{block});
        $count{notarize}++;
    }
    if ($new->{nullified} && !$old->{nullified}) {
        judge_nullify($n, $s, $old, $view);
        $count{nullify}++;
    }
    if ($new->{finalized} && !$old->{finalized}) {
        judge_finalize($n, $s, $old, $view, $new->{block});
        $count{finalize}++;
    }
    $s->{decided} = $view if $view > $s->{decided} && ($new->{nullified} || $new->{notarized} > $old->{notarized});
    $s->{row}{"$epoch/$view"} = $new;
    push @{$s->{pending}}, { token => $token, name => "$epoch/$view", row => $new };
}

# R4: with the row that allows a finalize vote, the block and its ancestors above the final block are on the disk.
sub judge_bodies {
    my ($n, $s, $digest) = @_;
    for (my $at = $digest; $at ne $s->{final} && descends($s, $at); $at = $block{$at}{parent}) {
        breach('R4', $n, 'may finalize ' . short($digest) . ' before block ' . short($at) . ' is on its disk')
            if !$s->{body}{$at};
    }
}

sub on_synced {
    my ($n, $token) = @_;
    my $s = $node{$n};
    my @now = grep { $_->{token} <= $token } @{$s->{pending}};
    for my $p (@now) {
        $s->{disk}{$p->{name}} = $p->{row} if $p->{row};
        $s->{body}{$p->{body}} = 1 if $p->{body};
    }
    for my $p (grep { $_->{row} && $_->{row}{finalized} } @now) {
        judge_bodies($n, $s, $p->{row}{block});
    }
    $s->{pending} = [grep { $_->{token} > $token } @{$s->{pending}}];
}

# R5: whatever leaves, for the first time or again, is on the disk and above the floor.
sub judge_sent {
    my ($n, $epoch, $kind, $view, $digest) = @_;
    my $s = $node{$n};
    my $text = "sends $KIND[$kind] of view $view";
    my $row = $s->{disk}{"$epoch/$view"};
    my $flag = ('', 'notarized', 'nullified', 'finalized')[$kind];
    breach('R5', $n, "$text and must not vote") if !$s->{may_vote} || $epoch != $s->{epoch};
    breach('R5', $n, "$text with a key whose safety table is lost") if $s->{lost}{$set{$epoch}[$s->{self}]};
    breach('R5', $n, "$text, which is not above its floor")
        if $epoch < $s->{floor}[0] || ($epoch == $s->{floor}[0] && $view <= $s->{floor}[1]);
    breach('R5', $n, "$text, which is not on its disk")
        if !$row || !$row->{$flag} || ($kind != NULLIFY && $row->{block} ne $digest);
}

sub on_out {
    my ($n, $hex) = @_;
    my $s = $node{$n};
    my $m = message($hex);
    my $kind = hex substr($hex, 2, 2);
    if (!$m) {
        breach('messages', $n, 'sends what cannot be read') if $kind != 4;    # a request for certificates
        return;
    }
    if ($m->{type} eq 'vote') {
        breach('R5', $n, 'signs with a key that is not its own') if !$m->{ok} || $m->{signer} != $s->{self};
        judge_sent($n, @$m{qw(epoch kind view block)});
    } elsif ($m->{type} eq 'certificate') {
        breach('R6', $n, "passes on a certificate of view $m->{view} that no quorum signed") if !$m->{whole};
    } else {
        breach('R1', $n, "proposes in view $m->{view}, which it does not lead") if $m->{signer} != $s->{self} || !$m->{voted};
        judge_sent($n, $m->{epoch}, NOTARIZE, $m->{view}, $m->{block});
        breach('R1', $n, 'proposes with evidence that no quorum signed') if grep { !$_->{whole} } @{$m->{evidence}};
        my $fault = ancestry_fault($s, @$m{qw(view block parent_view)});
        breach('R1', $n, "proposes in view $m->{view}, but $fault") if $fault;
        $count{proposals}++;
    }
    hear($n, $m);
}

# ---- final blocks ----------------------------------------------------------------------------------------------------

sub make_final {
    my ($n, $view, @blocks) = @_;
    my $s = $node{$n};
    for my $digest (@blocks) {
        my $height = $block{$digest}{height};
        breach('agreement', $n, "makes another block final at height $height than others did")
            if defined $chain{$height} && $chain{$height} ne $digest;
        $count{blocks}++ if !defined $chain{$height};
        $chain{$height} = $digest;
    }
    $s->{final} = $blocks[-1];
    $s->{final_view} = $view if $view > $s->{final_view};
}

sub on_final {
    my ($n, $hex, @blocks) = @_;
    my $s = $node{$n};
    my $at = 0;
    my $c = read_certificate(pack('H*', $hex), \$at);
    @blocks = map { pack 'H*', $_ } @blocks;
    breach('R12', $n, 'makes a block final without a quorum')
        if !$c || !$c->{whole} || $c->{kind} != FINALIZE || $c->{epoch} != $s->{epoch} || $c->{block} ne $blocks[-1];
    my $below = $s->{final};
    for my $digest (@blocks) {
        breach('R12', $n, 'makes a block final that does not follow the one below')
            if $block{$digest}{parent} ne $below || $block{$digest}{epoch} != $s->{epoch};
        $below = $digest;
    }
    know_certificate($n, $c);
    make_final($n, $c->{view}, @blocks);
}

# R5: the floor never falls, and rises to what is durable in the ledger, or to the next epoch.
sub on_floor {
    my ($n, $epoch, $view) = @_;
    my $s = $node{$n};
    breach('R5', $n, 'lowers its floor')
        if $epoch < $s->{floor}[0] || ($epoch == $s->{floor}[0] && $view < $s->{floor}[1]);
    breach('R5', $n, "raises its floor to view $view, which is not durable")
        if $view > 0 && ($epoch != $s->{epoch} || $view > $s->{durable});
    $s->{floor} = [$epoch, $view];
}

# A crash: the floor that the disk holds may be an older one, never a newer.
sub on_crash {
    my ($n, $epoch, $view, @bodies) = @_;
    my $s = $node{$n};
    breach('R5', $n, 'finds a floor on its disk that it never raised')
        if $epoch > $s->{floor}[0] || ($epoch == $s->{floor}[0] && $view > $s->{floor}[1]);
    $s->{floor} = [$epoch, $view];
    $s->{body} = { map { pack('H*', $_) => 1 } @bodies };
}

# ---- lives -----------------------------------------------------------------------------------------------------------

# A core starts with what is on the disk and knows nothing else.
sub on_begin {
    my ($n, $epoch, $self, $may_vote, $final_view, $final, $floor) = @_;
    my $old = $node{$n} // { disk => {}, body => {}, lost => {}, floor => [0, 0] };
    my %row = %{$old->{disk}};
    breach('R5', $n, 'begins below its floor') if $may_vote && $epoch == $old->{floor}[0] && $floor < $old->{floor}[1];
    $node{$n} = { disk => $old->{disk}, body => $old->{body}, lost => $old->{lost}, floor => $old->{floor},
        epoch => $epoch, self => $self, may_vote => $may_vote, final_view => $final_view, final => pack('H*', $final),
        durable => $final_view, decided => 0, row => \%row, pending => [], cert => [{}, {}, {}, {}] };
}

sub on_rotted {
    my ($n) = @_;
    my $s = $node{$n};
    $s->{disk} = {};
    $s->{floor} = [0, 0];
    $s->{lost}{$set{$s->{epoch}}[$s->{self}]} = 1 if $s->{self} < @{$set{$s->{epoch}}};
}

my %line = (
    world => sub { $world = $_[0]; %set = %block = %node = %chain = %certified = %parsed = (); $count{worlds}++ },
    set => sub {
        my ($epoch, @keys) = @_;
        breach('R11', undef, "epoch $epoch has two sets") if $set{$epoch} && "@{$set{$epoch}}" ne "@keys";
        $set{$epoch} = \@keys;
    },
    block => sub { learn_block(pack 'H*', $_[0]) },
    begin => \&on_begin,
    in => sub { hear($_[0], message($_[1])) },
    valid => sub { $node{$_[0]}{valid}{pack 'H*', $_[1]} = 1 },
    synced => \&on_synced,
    durable => sub { $node{$_[0]}{durable} = $_[1] if $_[1] > $node{$_[0]}{durable} },
    fetched => sub { make_final($_[0], $_[1], pack('H*', $_[2])) },
    row => \&on_row,
    body => sub { push @{$node{$_[0]}{pending}}, { token => $_[1], body => pack('H*', $_[2]) } },
    out => \&on_out,
    final => \&on_final,
    floor => \&on_floor,
    crash => \&on_crash,
    rotted => \&on_rotted,
);

while (my $text = <STDIN>) {
    chomp $text;
    my ($word, @rest) = split / /, $text;
    my $judge = $line{$word // ''} or die "rules.pl: line $.: '" . substr($text, 0, 60) . "' is not known\n";
    $count{lines}++;
    $judge->(@rest);
}
for my $what (qw(worlds notarize nullify finalize proposals certificates blocks)) {
    die "rules.pl: nothing of '$what' was recorded: this judges nothing\n" if !$count{$what};
}
print "ok: $count{worlds} worlds, $count{lines} lines: $count{proposals} proposals, decisions to notarize $count{notarize}, "
    . "to nullify $count{nullify}, to finalize $count{finalize}, $count{certificates} certificates, $count{blocks} final "
    . "blocks, all by the rules\n";
