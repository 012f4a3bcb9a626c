#!/usr/bin/perl
# Shows that check.pl catches what it is for: a small clean repository passes every rule, then one violation at a time is
# planted in it, and the rule must name exactly that file and line. A checker that has gone blind fails here.
use strict;
use warnings;

my ($check) = @ARGV;
die "usage: selftest.pl PATH-OF-check.pl\n" unless defined $check && -f $check;
delete $ENV{CI};

my $base = ($ENV{TMPDIR} || '/tmp') . "/carnet-repo-selftest-$$";
my $readme = "# Room\n" . "What lives here, what it may use, the one idea to understand first. " x 4 . "\n";

my %clean = (
    'README.md'              => $readme . "[docs](docs/README.md)\n",
    'docs/README.md'         => $readme . "[keys](configuration.md)\n",
    'docs/configuration.md'  => "| key | meaning |\n|---|---|\n| `peer.listen` | `7000` | address |\n| `data.dir` | folder |\n",
    'tests/README.md'        => $readme,
    'deploy/README.md'       => $readme,
    'deploy/go.sh'           => "#!/bin/sh\nset -eu\necho go\n",
    'proto/README.md'        => $readme,
    'storage/README.md'      => $readme,
    'consensus/README.md'    => $readme,
    'node/README.md'         => $readme,
    'tools/README.md'        => $readme,
    'proto/digest.h'         => "/* strcpy(a, b) in a comment is no call; #include \"node/x.h\" neither */\nint cn_digest(void);\n",
    'proto/digest.c'         => "#include \"proto/digest.h\"\n\nint cn_digest(void)\n{\n    const char *s = \"system(1)\";\n    return s[0];\n}\n",
    'storage/map_internal.h' => "int cn_map_row(void);\n",
    'storage/map.c'          => "#include \"proto/digest.h\"\n#include \"storage/map_internal.h\"\n\n#include <lmdb.h>\n",
    'consensus/core.c'       => "#include \"proto/digest.h\"\n",
    'node/formats/epcis.h'   => "#include \"proto/digest.h\"\n\n#include <jansson.h>\n",
    'node/config/keys.h'     => "#define CN_KEYS(X) \\\n    X(\"peer.listen\", TEXT, \"7000\") \\\n    X(\"data.dir\", TEXT, \"\")\n",
    'node/daemon/main.c'     => "#include \"consensus/core.h\"\n#include \"node/formats/epcis.h\"\n#include \"storage/map.h\"\n",
    'tools/verify/verify.c'  => "#include \"node/formats/epcis.h\"\n#include \"proto/digest.h\"\n",
    'tools/cli/main.c'       => "#include \"storage/map.h\"\n#include \"tools/verify/verify.h\"\n\n#include <curl/curl.h>\n",
    'build-x/bad.c'          => "#include \"nowhere.h\"\nvoid f(void) { system(\"x\"); } // TODO\n",
);

# [rule, file, line, what is planted: whole text of the file, or undef to remove it, another file, its text]
my @planted = (
    [includes => 'proto/digest.c',   1, "#include \"storage/map.h\"\n"],
    [includes => 'storage/map.c',    2, "#include \"proto/digest.h\"\n#include \"consensus/core.h\"\n"],
    [includes => 'consensus/core.c', 1, "#include \"storage/map.h\"\n"],
    [includes => 'consensus/core.c', 1, "#include <lmdb.h>\n"],
    [includes => 'consensus/core.c', 1, "#  include <pthread.h>\n"],
    [includes => 'proto/digest.c',   1, "#include <sys/socket.h>\n"],
    [includes => 'proto/digest.c',   1, "#include \"digest.h\"\n"],
    [includes => 'node/formats/epcis.h',  1, "#include \"node/daemon/queue.h\"\n"],
    [includes => 'node/formats/epcis.h',  1, "#include \"storage/map.h\"\n"],
    [includes => 'node/daemon/main.c',    1, "#include \"tools/cli/main.h\"\n"],
    [includes => 'node/daemon/main.c',    1, "#include \"storage/map_internal.h\"\n"],
    [includes => 'tools/verify/verify.c', 1, "#include \"storage/map.h\"\n"],
    [includes => 'tools/verify/verify.c', 2, "/* one\n */ #include \"node/daemon/queue.h\"\n"],
    [includes => 'tools/verify/verify.c', 1, "#include <curl/curl.h>\n"],
    [includes => 'tools/cli/main.c', 1, "#include \"consensus/core.h\"\n"],
    [calls => 'proto/digest.c',   3, "void f(char *a, const char *b)\n{\n    strcpy(a, b);\n}\n"],
    [calls => 'node/daemon/main.c', 1, "int f(void) { return system (\"x\"); }\n"],
    [calls => 'tools/cli/main.c', 1, "int f(void) { return rand(); }\n"],
    [calls => 'storage/map.c',    1, "char c = '\"'; int f(char *b) { return sprintf(b, \"x\"); } char d = '\"';\n"],
    [calls => 'consensus/core.c', 1, "long f(void) { return time(0); }\n"],
    [todo  => 'proto/digest.c',   2, "int x;\n// TODO: later\n"],
    [todo  => 'docs/README.md',   1, "FIXME $readme"],
    [paths => 'deploy/go.sh',     3, "#!/bin/sh\nset -eu\ncd /ro" . "ot/carnet\n"],
    [paths => 'docs/README.md',   1, "see /ho" . "me/anna/notes $readme"],
    [length => 'proto/digest.c',  901, "int x;\n" x 901],
    [readmes => 'storage/README.md', 1, undef],
    [readmes => 'tools/README.md',   1, "# tools\n"],
    [links   => 'docs/configuration.md', 1, "# keys\n", 'docs/README.md', $readme],
    [links   => 'docs/README.md',    3, "$readme\[gone](gone.md)\n"],
    [config  => 'docs/configuration.md', 2, "| `peer.listen` | a |\n| `peer.lisen` | b |\n| `data.dir` | c |\n"],
    [config  => 'docs/configuration.md', 3, "\n\n| `peer.listen` | `7001` | address |\n| `data.dir` | folder |\n"],
    [config  => 'node/config/keys.h', 3, "#define CN_KEYS(X) \\\n    X(\"peer.listen\") \\\n    X(\"new.key\") \\\n    X(\"data.dir\")\n"],
    [config  => 'node/config/keys.h', 1, join('', map { "X(\"k.n$_\")\n" } 1 .. 41)],
    [scripts => 'deploy/go.sh', 1, "#!/bin/sh\nset -eu\nif true; then\n"],
    [scripts => 'deploy/go.sh', 1, "#!/bin/sh\necho go\n"],
);
push @planted, [format => 'proto/digest.c', 1, "int   cn_digest( void ){return 1;}\n"]
  if `clang-format --version 2>/dev/null` =~ /version 14\./;

sub put {
    my ($file, $text) = @_;
    my $path = "$base/$file";
    my $folder = $base;
    for my $part (split m{/}, $file =~ s{/?[^/]*$}{}r) {
        $folder .= "/$part";
        mkdir $folder;
    }
    open(my $handle, '>', $path) or die "selftest.pl: cannot write $path: $!\n";
    print $handle $text;
    close $handle;
    chmod 0755, $path if $file =~ /\.sh$/;
}

sub run_check {
    my (@rules) = @_;
    my $said = qx($^X '$check' --root '$base' @rules 2>&1);
    return ($? >> 8, $said);
}

my ($passed, $failed) = (0, 0);

sub expect {
    my ($good, $name, $said) = @_;
    $good ? $passed++ : $failed++;
    print "not caught: $name\n", map { "    $_\n" } split(/\n/, $said) unless $good;
}

mkdir $base or die "selftest.pl: cannot make $base: $!\n";
END { system('rm', '-rf', '--', $base) if defined $base && -d $base }
put($_, $clean{$_}) for keys %clean;

my ($status, $said) = run_check(qw(includes calls todo paths length readmes links config scripts));
expect($status == 0, 'the clean repository must pass', $said);
for my $case (@planted) {
    my ($rule, $file, $line, $text, $other, $other_text) = @$case;
    put($other, $other_text) if defined $other;
    defined $text ? put($file, $text) : unlink "$base/$file";
    ($status, $said) = run_check($rule);
    expect($status == 1 && $said =~ /^\Q$file\E:$line: $rule: /m, "$rule in $file, line $line", "status $status\n$said");
    put($_, $clean{$_}) for grep { defined } $file, $other;
}
chmod 0644, "$base/deploy/go.sh";
($status, $said) = run_check('scripts');
expect($status == 1 && $said =~ m{^deploy/go\.sh:1: scripts: .*executable}m, 'a script without its x bit', $said);
($status, $said) = run_check('no-such-rule');
expect($status == 2, 'an unknown rule', $said);

print "$passed passed, $failed failed\n";
exit($failed ? 1 : 0);
