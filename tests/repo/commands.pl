#!/usr/bin/perl
# Every command of `carnet` that the documentation shows exists, and takes the options that are shown with it.
#
#   commands.pl ROOT CARNET FILE.md...
#
# A command is a code span or an indented or fenced line that begins with `carnet `, after an optional prompt, path or
# `exec NODE`. What is compared is `carnet COMMAND [SUBCOMMAND] --help`.
use strict;
use warnings;

my ($root, $carnet, @pages) = @ARGV;
die "usage: commands.pl ROOT CARNET FILE.md...\n" unless defined $carnet && -x $carnet && @pages;

my %help;    # "command" or "command sub" -> text of its help, or undef
my ($checked, $violations) = (0, 0);

sub help_of {
    my (@words) = @_;
    my $key = "@words";
    return $help{$key} if exists $help{$key};
    my $pid = open(my $pipe, '-|');
    die "commands.pl: cannot fork: $!\n" unless defined $pid;
    if ($pid == 0) {
        open(STDERR, '>&', \*STDOUT);
        open(STDIN, '<', '/dev/null');
        exec $carnet, @words, '--help';
        die "commands.pl: cannot run $carnet: $!\n";
    }
    my $text = join('', <$pipe>);
    close $pipe;
    return $help{$key} = $? == 0 ? $text : undef;
}

sub check_call {
    my ($file, $line, $call) = @_;
    return unless $call =~ /(?:^|[\s\/])carnet\s+([a-z]+)\b(.*)$/;
    my ($command, $rest) = ($1, $2);
    $rest =~ s/\s+#.*$|[;&|].*$//;
    $checked++;
    my $text = help_of($command);
    if (!defined $text) {
        print "$file:$line: commands: there is no 'carnet $command', or it has no --help.\n";
        $violations++;
        return;
    }
    my ($sub) = $rest =~ /^\s+([a-z][a-z-]*)(?=\s|$)/;
    if (defined $sub && $text =~ /(?<![\w-])\Q$sub\E(?![\w-])/) {
        my $own = help_of($command, $sub);
        $text .= $own if defined $own;
    } elsif (defined $sub && $command =~ /^(testnet|config|member|device)$/) {
        print "$file:$line: commands: 'carnet $command' knows no '$sub'.\n";
        $violations++;
        return;
    }
    while ($rest =~ /(?<![\w-])(--[a-z][a-z-]*)/g) {
        next if $text =~ /\Q$1\E(?![a-z-])/;
        print "$file:$line: commands: the help of 'carnet $command' does not name $1.\n";
        $violations++;
    }
}

for my $page (@pages) {
    open(my $handle, '<', "$root/$page") or die "commands.pl: cannot read $root/$page: $!\n";
    my $fenced = 0;
    while (my $text = <$handle>) {
        chomp $text;
        $fenced = !$fenced if $text =~ /^```/;
        if ($fenced || $text =~ /^    \S/) {
            check_call($page, $., $text =~ /`(carnet [^`]*)`/ ? $1 : $text =~ s/^\s+//r) if $text =~ /(^|[\s\/`])carnet [a-z]/;
        } else {
            check_call($page, $., $1) while $text =~ /`(carnet [a-z][^`]*)`/g;
        }
    }
    close $handle;
}
print "$checked commands shown, $violations violations\n";
if (!$checked) {
    print "commands.pl: no command was found; the pattern has gone blind.\n";
    exit 1;
}
exit($violations ? 1 : 0);
