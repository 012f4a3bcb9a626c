#!/usr/bin/perl
# Rules that the compiler does not know, checked over the files of the repository.
#
#   check.pl [--root DIR] RULE...      RULE is one of those at the end of this file, or `all`
#
# Prints `file:line: rule: what and the mend` for every violation. Exit status: 0 none, 1 some, 2 wrong use,
# 77 the rule cannot be checked here (said in a line). Needs perl-base only.
use strict;
use warnings;

my $root = '.';
my $violations = 0;
my @files;    # every text file, relative to the root, sorted

sub violation {
    my ($rule, $file, $line, $text) = @_;
    print "$file:$line: $rule: $text\n";
    $violations++;
}

my $skipped = 0;

sub skip {
    my ($rule, $why) = @_;
    print "$rule: skipped, $why\n";
    $skipped++;
}

# ---- files ---------------------------------------------------------------------------------------------------------

# Build trees (they hold a CMakeCache.txt) and hidden folders other than .ci are not part of the repository.
sub list_files {
    my @todo = ('');
    while (defined(my $dir = shift @todo)) {
        my $path = $dir eq '' ? $root : "$root/$dir";
        opendir(my $handle, $path) or die "check.pl: cannot read $path: $!\n";
        my @names = sort readdir $handle;
        closedir $handle;
        next if grep { $_ eq 'CMakeCache.txt' } @names;
        for my $name (@names) {
            next if $name eq '.' || $name eq '..';
            my $relative = $dir eq '' ? $name : "$dir/$name";
            next if -l "$root/$relative";
            if (-d "$root/$relative") {
                next if $name =~ /^\./ && $name ne '.ci';
                next if $name eq 'node_modules' || ($dir eq '' && $name =~ /^build(-|$)/);
                push @todo, $relative;
            } elsif (-f "$root/$relative" && -T "$root/$relative") {
                push @files, $relative;
            }
        }
    }
    @files = sort @files;
}

sub lines_of {
    my ($file) = @_;
    open(my $handle, '<', "$root/$file") or die "check.pl: cannot read $root/$file: $!\n";
    my @lines = <$handle>;
    close $handle;
    chomp @lines;
    return @lines;
}

# The text of a C file with comments, and if asked also strings, blanked; the line structure stays.
sub code_of {
    my ($file, $keep_strings) = @_;
    my $text = join("\n", lines_of($file)) . "\n";
    my $blank = sub { my ($part) = @_; $part =~ s/[^\n]/ /g; return $part };
    $text =~ s{(//[^\n]*|/\*.*?\*/)|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')}
              {defined $1 ? $blank->($1) : $keep_strings ? $2 : $blank->($2)}gse;
    return split(/\n/, $text, -1);
}

sub is_c { return $_[0] =~ /\.[ch]$/ }

# The room of a file: the longest listed folder that holds it.
sub room_of {
    my ($path, $rooms) = @_;
    my $best;
    for my $room (@$rooms) {
        $best = $room if index($path, "$room/") == 0 && (!defined $best || length $room > length $best);
    }
    return $best;
}

# ---- includes ------------------------------------------------------------------------------------------------------

# One way: proto <- storage, consensus <- node <- tools. node/formats and node/config are pure libraries that the tools
# share; the offline verifier (tools/verify) knows the language and the formats, and nothing that opens a socket or a
# database.
my %may_include = (
    'proto'        => [qw(proto)],
    'storage'      => [qw(proto storage)],
    'consensus'    => [qw(proto consensus)],
    'node/formats' => [qw(proto node/formats)],
    'node/config'  => [qw(proto node/config)],
    'node/peer'    => [qw(proto node/peer node/config)],
    'node'         => [qw(proto storage consensus node node/formats node/config node/peer)],
    'tools/verify' => [qw(proto node/formats tools/verify)],
    'tools/sample' => [qw(proto node/formats tools/sample)],
    'tools'        => [qw(proto storage node/formats node/config tools tools/verify tools/sample)],
);

# Headers of packages, and the rooms that may see them.
my @packages = (
    [qr{^lmdb\.h$},                        'LMDB',          qw(storage)],
    [qr{^nng/},                            'nng',           qw(node node/peer)],
    [qr{^microhttpd\.h$},                  'libmicrohttpd', qw(node)],
    [qr{^curl/},                           'libcurl',       qw(tools)],
    [qr{^ini\.h$},                         'inih',          qw(node/config)],
    [qr{^zip\.h$},                         'libzip',        qw(node/formats node tools tools/verify)],
    [qr{^jansson\.h$},                     'jansson',       qw(node/formats node tools tools/verify tools/sample)],
    [qr{^protobuf-c/},                     'protobuf-c',    qw(proto)],
    [qr{^secp256k1},                       'libsecp256k1',  qw(proto)],
    [qr{^openssl/},                        'libcrypto',     qw(proto)],
    [qr{^sodium(\.h|/)},                   'libsodium',     qw(proto node/peer node tools)],
    [qr{^(sys/socket|sys/un|netdb)\.h$|^(netinet|arpa)/}, 'sockets', qw(node node/peer node/config tools)],
    [qr{^pthread\.h$|^threads\.h$},        'threads',       qw(proto storage node node/peer node/config tools)],
);

sub check_includes {
    my @rooms = keys %may_include;
    for my $file (grep { is_c($_) } @files) {
        my $room = room_of($file, \@rooms);
        next unless defined $room;
        my ($folder) = $file =~ m{^(.*)/};
        my $number = 0;
        for my $line (code_of($file, 1)) {
            $number++;
            if ($line =~ /^\s*#\s*include\s*"([^"]+)"/) {
                my $target = $1;
                my $other = room_of($target, \@rooms);
                if (!defined $other) {
                    violation('includes', $file, $number,
                        "\"$target\" is not a path from the root into a room; write \"room/name.h\".");
                } elsif (!grep { $_ eq $other } @{$may_include{$room}}) {
                    violation('includes', $file, $number, "$room may not include $other (\"$target\"); "
                          . "allowed: @{$may_include{$room}}.");
                } elsif ($target =~ m{^(.*)/[^/]*_internal\.h$} && $1 ne $folder) {
                    violation('includes', $file, $number, "\"$target\" is private to $1; use its public header.");
                }
            } elsif ($line =~ /^\s*#\s*include\s*<([^>]+)>/) {
                my $target = $1;
                for my $package (@packages) {
                    my ($pattern, $name, @allowed) = @$package;
                    next if $target !~ $pattern || grep { $_ eq $room } @allowed;
                    violation('includes', $file, $number, "$room may not use $name (<$target>); only @allowed may.");
                }
            }
        }
    }
}

# ---- calls ---------------------------------------------------------------------------------------------------------

my %never = (
    (map { $_ => 'has no bound; use snprintf or memcpy with a checked length' }
          qw(strcpy strcat stpcpy sprintf vsprintf gets)),
    (map { $_ => 'cannot fail cleanly; use an arena or the heap' } qw(alloca strdupa)),
    (map { $_ => 'runs a shell; use posix_spawn with an argument list' } qw(system popen)),
    (map { $_ => 'is neither random nor repeatable; use the key source, or a seeded generator' }
          qw(rand srand rand_r random srandom drand48 lrand48 mrand48)),
    (map { $_ => 'keeps hidden state that threads share; use the _r form or a cursor' }
          qw(strtok gmtime localtime asctime ctime getpwnam getpwuid gethostbyname)),
    (map { $_ => 'hides errors; use strtoll or strtod and check the end' } qw(atoi atol atoll atof)),
    (map { $_ => 'races; use mkstemp or mkdtemp' } qw(tmpnam tempnam mktemp)),
    (map { $_ => 'leaps over cleanup; return a cn_status' } qw(setjmp longjmp sigsetjmp siglongjmp)),
);

# consensus/ is a pure step function and proto/ and the pure libraries compute: the world is handed to them.
my @world = qw(time clock_gettime gettimeofday nanosleep usleep sleep getrandom getentropy open openat creat fopen
  socket fork execve pthread_create thrd_create);
my %pure = map { $_ => 1 } qw(consensus node/formats);

sub check_calls {
    my @rooms = keys %may_include;
    my $words = join('|', sort keys %never);
    my $worldly = join('|', @world);
    for my $file (grep { is_c($_) } @files) {
        my $room = room_of($file, \@rooms);
        next unless defined $room;
        my $number = 0;
        for my $line (code_of($file, 0)) {
            $number++;
            while ($line =~ /(?<![\w.>])($words)\s*\(/g) {
                violation('calls', $file, $number, "$1() $never{$1}.");
            }
            next unless $pure{$room};
            while ($line =~ /(?<![\w.>])($worldly)\s*\(/g) {
                violation('calls', $file, $number, "$1() reaches out of $room, which is pure; let the caller do it.");
            }
        }
    }
}

# ---- words, paths, lengths -----------------------------------------------------------------------------------------

sub about_this_check { return $_[0] =~ m{^tests/repo/} || $_[0] eq 'LICENSE' }

sub check_todo {
    for my $file (grep { !about_this_check($_) } @files) {
        my $number = 0;
        for my $line (lines_of($file)) {
            $number++;
            violation('todo', $file, $number, "$1 without an issue; write $1(#N) or do it.")
              if $line =~ /\b(TODO|FIXME|XXX)\b(?!\s*\(#\d+\))/;
        }
    }
}

sub check_paths {
    for my $file (grep { !about_this_check($_) } @files) {
        my $number = 0;
        for my $line (lines_of($file)) {
            $number++;
            violation('paths', $file, $number, "'$1' is a path of one machine; make it relative or a setting.")
              if $line =~ m{(?<![\w.\$\}-])(/(?:work|root|Users|home/\w+)/[\w./-]*)};
        }
    }
}

sub check_length {
    for my $file (grep { /\.([ch]|sh|pl|cmake)$/ || m{(^|/)CMakeLists\.txt$} } @files) {
        my $count = () = lines_of($file);
        violation('length', $file, $count, "has $count lines, at most 900 are allowed; split it by duty.") if $count > 900;
    }
}

sub check_readmes {
    for my $room (qw(. proto storage consensus node tools deploy tests docs)) {
        next unless -d "$root/$room";
        my $readme = $room eq '.' ? 'README.md' : "$room/README.md";
        if (!-f "$root/$readme") {
            violation('readmes', $readme, 1, 'is missing; say what lives here, what it may use, the one idea first.');
        } elsif (-s "$root/$readme" < 200) {
            violation('readmes', $readme, 1, 'says too little: what lives here, what it may use, the one idea first.');
        }
    }
}

# Relative links of Markdown files lead to something, and the index of docs/ leads to every page in it.
sub check_links {
    if (-f "$root/docs/README.md") {
        my $index = join("\n", lines_of('docs/README.md'));
        for my $page (map { m{^docs/([^/]+\.md)$} ? $1 : () } @files) {
            next if $page eq 'README.md' || index($index, "]($page)") >= 0;
            violation('links', "docs/$page", 1, "is not in the index; add a row to docs/README.md.");
        }
    }
    for my $file (grep { /\.md$/ } @files) {
        my ($folder) = $file =~ m{^(.*/)};
        $folder = '' unless defined $folder;
        my ($number, $fenced) = (0, 0);
        for my $line (lines_of($file)) {
            $number++;
            $fenced = !$fenced if $line =~ /^\s*```/;
            next if $fenced;
            (my $text = $line) =~ s/`[^`]*`//g;
            while ($text =~ /\]\(([^)\s]+)\)/g) {
                my $target = $1;
                next if $target =~ m{^(https?:|mailto:|#)};
                $target =~ s/#.*$//;
                violation('links', $file, $number, "the link leads to $target, which does not exist.")
                  unless -e "$root/$folder$target";
            }
        }
    }
}

# ---- configuration keys --------------------------------------------------------------------------------------------

# The table in node/config/keys.h is what the program parses; docs/configuration.md is what people read.
sub check_config {
    my ($table, $page) = ('node/config/keys.h', 'docs/configuration.md');
    if (!-f "$root/$table") {
        skip('config', "$table does not exist");
        return;
    }
    my (%parsed, %default, %documented);
    my $number = 0;
    for my $line (code_of($table, 1)) {
        $number++;
        next unless $line =~ /\bX\("([a-z][a-z0-9_.]*)"(?:[^"]*"([^"]*)")?/;
        $parsed{$1} = $number;
        $default{$1} = $2 if defined $2 && $2 ne '';
    }
    violation('config', $table, 1, 'no key was found in the table; rows look like X("group.name", ...).') unless %parsed;
    violation('config', $table, 1, scalar(keys %parsed) . ' keys; at most 40 are allowed.') if keys %parsed > 40;
    if (!-f "$root/$page") {
        violation('config', $page, 1, "is missing; document the keys of $table.");
        return;
    }
    $number = 0;
    for my $line (lines_of($page)) {
        $number++;
        # A key is documented by the first cell of a table row, or by a heading.
        if ($line =~ /^\|\s*`([a-z][a-z0-9_.]*)`/ || $line =~ /^#+\s+`([a-z][a-z0-9_.]*)`/) {
            violation('config', $page, $number, "`$1` is documented twice.") if exists $documented{$1};
            $documented{$1} = $number;
            my $key = $1;
            violation('config', $page, $number, "`$key` has the default $default{$key}, which its row does not show.")
              if $line =~ /^\|/ && defined $default{$key} && index($line, "`$default{$key}`") < 0 &&
              $line !~ /^\|[^|]*\|\s*\Q$default{$key}\E\s*\|/;
        }
    }
    for my $key (sort keys %parsed) {
        violation('config', $table, $parsed{$key}, "`$key` is parsed but has no row in $page.")
          unless exists $documented{$key};
    }
    for my $key (sort keys %documented) {
        violation('config', $page, $documented{$key}, "`$key` is documented but $table does not parse it.")
          unless exists $parsed{$key};
    }
}

# ---- formatting and scripts ----------------------------------------------------------------------------------------

sub check_format {
    my $found = `clang-format --version 2>/dev/null`;
    if ($found !~ /version 14\./) {
        my $what = $found eq '' ? 'clang-format is not here' : 'this clang-format is not the version 14 of Debian 12';
        if (($ENV{CI} || '') eq 'true') {
            violation('format', '.clang-format', 1, "$what; CI must have it (deploy/packages.sh install test).");
            return;
        }
        skip('format', $what);
        return;
    }
    for my $file (grep { is_c($_) } @files) {
        my $pid = open(my $pipe, '-|');
        die "check.pl: cannot fork: $!\n" unless defined $pid;
        if ($pid == 0) {
            chdir $root or die "check.pl: cannot enter $root: $!\n";
            open(STDERR, '>&', \*STDOUT);
            exec 'clang-format', '--dry-run', '-Werror', '--ferror-limit=1', '--', $file;
            die "check.pl: cannot run clang-format: $!\n";
        }
        my @said = <$pipe>;
        close $pipe;
        next if $? == 0;
        my ($line) = map { /^\Q$file\E:(\d+):/ ? $1 : () } @said;
        violation('format', $file, defined $line ? $line : 1, "is not formatted; run clang-format -i $file.");
    }
}

sub check_scripts {
    for my $file (@files) {
        my ($first) = lines_of($file);
        next unless defined $first && $first =~ m{^#!.*\b(bash|sh)\b};
        my $shell = $1;
        violation('scripts', $file, 1, 'is a script but not executable; chmod +x.') unless -x "$root/$file";
        my $said = join('', map { s/\s+$//r . ' ' } qx($shell -n '$root/$file' 2>&1));
        violation('scripts', $file, 1, "$shell cannot parse it: $said") if $? != 0;
        my $body = join("\n", lines_of($file));
        violation('scripts', $file, 1, 'does not stop at errors; begin with `set -eu`.') unless $body =~ /^set -[a-z]*e/m;
    }
}

# ---- main ----------------------------------------------------------------------------------------------------------

my @rules = (
    [includes => \&check_includes], [calls  => \&check_calls],  [todo   => \&check_todo],
    [paths    => \&check_paths],    [length => \&check_length], [readmes => \&check_readmes],
    [links    => \&check_links],    [config => \&check_config], [format => \&check_format],
    [scripts  => \&check_scripts],
);

my @asked;
while (@ARGV) {
    my $word = shift @ARGV;
    if ($word eq '--root') {
        $root = shift @ARGV;
        die "check.pl: --root needs a folder\n" unless defined $root && -d $root;
    } else {
        push @asked, $word;
    }
}
@asked = map { $_->[0] } @rules if @asked == 1 && $asked[0] eq 'all';
my %by_name = map { $_->[0] => $_->[1] } @rules;
my @unknown = grep { !exists $by_name{$_} } @asked;
if (!@asked || @unknown) {
    print STDERR "usage: check.pl [--root DIR] all|RULE...; rules: ", join(' ', map { $_->[0] } @rules), "\n";
    exit 2;
}
list_files();
if (!@files) {
    print STDERR "check.pl: no files under $root\n";
    exit 2;
}
$by_name{$_}->() for @asked;
print scalar(@files), " files, $violations violations\n";
exit($violations ? 1 : $skipped == @asked ? 77 : 0);
