#!/usr/bin/env bash
# The verifier as programs of others get it: installed into an empty prefix, found by pkg-config, compiled and run.
#
#   embed.sh CMAKE BUILD DOSSIERS FLAGS     DOSSIERS: the program that writes them. FLAGS: of the build's sanitizers
#
# CC, CXX: the compilers of the embedding program (default: cc, c++).
set -eu
cmake=$1 build=$2 dossiers=$3 flags=$4
cc=${CC:-cc} cxx=${CXX:-c++}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "embed.sh: $*" >&2
    exit 1
}

mkdir "$work/dossiers"
"$dossiers" "$work/dossiers"
digest=$(cat "$work/dossiers/genesis.digest")
other=$(printf '%064d' 0)

prefix=$work/prefix
"$cmake" --install "$build" --component verify --prefix "$prefix" >"$work/install.log" || {
    cat "$work/install.log" >&2
    fail "the component does not install"
}
pc=$(dirname "$(find "$prefix" -name carnet-verify.pc)")
lib=$(dirname "$pc")
for file in "$lib/libcarnet-verify.so" "$lib/libcarnet-verify.so.0" "$lib/libcarnet-verify.a" \
    "$prefix/include/carnet-verify.h" "$prefix/share/man/man3/carnet-verify.3"; do
    [ -e "$file" ] || fail "$file is not installed"
done
find "$prefix" -name LICENSE | grep -q . || fail "the licence is not installed"
[ "$(find "$prefix/include" -type f | wc -l)" -eq 1 ] || fail "more than the one header is installed"
export PKG_CONFIG_PATH=$pc

# ---- what the libraries show ----
hidden() { # FILE NM-OPTIONS...
    local file=$1 names
    shift
    names=$(nm "$@" --defined-only --extern-only --format=posix "$file" | awk 'NF > 2 && $2 != "A" { print $1 }')
    [ "$(wc -l <<<"$names")" -ge 25 ] || fail "$file shows only $(wc -l <<<"$names") symbols"
    names=$(grep -v '^carnet_verify_' <<<"$names" || true)
    [ -z "$flags" ] || names=$(grep -v '^\(__asan_\|__odr_asan\|__ubsan_\)' <<<"$names" || true)
    [ -z "$names" ] || fail "$file shows what is not its own: $(head -5 <<<"$names" | xargs)"
}
hidden "$lib/libcarnet-verify.so" --dynamic
hidden "$lib/libcarnet-verify.a"
if ldd "$lib/libcarnet-verify.so" | grep -E 'curl|lmdb|nng|microhttpd|inih'; then
    fail "an offline verifier loads something for sockets, databases or configuration"
fi

# ---- every dossier has its outcome ----
outcomes() { # PROGRAM
    local program=$1 count=0 name outcome
    while read -r name outcome; do
        "$program" "$digest" "$work/dossiers/$name" "$outcome" >"$work/out" 2>&1 ||
            fail "$program: $name is not '$outcome': $(cat "$work/out")"
        count=$((count + 1))
    done <"$work/dossiers/dossiers"
    [ "$count" -ge 8 ] || fail "only $count dossiers"
    "$program" "$other" "$work/dossiers/exported.zip" genesis >/dev/null || fail "another network's genesis"
    ! "$program" "$other" "$work/dossiers/exported.zip" accepted >/dev/null || fail "accepted for another network"
    ! "$program" "$digest" "$work/dossiers/exported.zip" quorum >/dev/null || fail "says that a good quorum fails"
    echo "$(basename "$program"): $count dossiers"
}

strict="-Wall -Wextra -Wpedantic -Werror $flags"
# shellcheck disable=SC2046,SC2086 # flags are words
compile() { # NAME COMPILER STANDARD [--static]
    $2 $3 $strict -o "$work/$1" "$4" $(pkg-config --cflags carnet-verify) $(pkg-config ${5:-} --libs carnet-verify)
}
cp "$here/embed.c" "$work/embed.cc"
compile shared-c "$cc" -std=c99 "$here/embed.c"
compile shared-cxx "$cxx" -std=c++11 "$work/embed.cc"
LD_LIBRARY_PATH=$lib outcomes "$work/shared-c"
LD_LIBRARY_PATH=$lib outcomes "$work/shared-cxx"
# Threads of one program.
compile threads "$cc" "-std=gnu99 -pthread" "$here/threads.c"
LD_LIBRARY_PATH=$lib "$work/threads" "$digest" "$work"/dossiers/*.zip || fail "threads find other things than one alone"

# A failed allocation never turns a refusal into an acceptance. (A sanitizer brings its own allocator.)
if [ -z "$flags" ]; then
    compile starve "$cc" -std=gnu99 "$here/starve.c"
    LD_LIBRARY_PATH=$lib "$work/starve" "$digest" "$work/dossiers/withheld.zip" 17 || fail "accepted for want of memory"
fi

# A program in a locale with decimal commas makes the same page, and so accepts the same dossiers.
mkdir "$work/locale"
if localedef -f UTF-8 -i de_DE "$work/locale/de_DE.UTF-8" 2>/dev/null; then
    cat >"$work/decimal-comma" <<END
#!/bin/sh
exec env LOCPATH="$work/locale" LC_ALL=de_DE.UTF-8 LD_LIBRARY_PATH="$lib" "$work/shared-c" "\$@"
END
    chmod +x "$work/decimal-comma"
    outcomes "$work/decimal-comma"
fi
if [ -z "$flags" ] && command -v valgrind >/dev/null; then
    export LD_LIBRARY_PATH=$lib
    for case in exported:accepted withheld:completeness; do
        valgrind -q --error-exitcode=99 --leak-check=full "$work/shared-c" "$digest" "$work/dossiers/${case%:*}.zip" \
            "${case#*:}" >"$work/out" 2>&1 || fail "valgrind: ${case%:*}: $(cat "$work/out")"
    done
    unset LD_LIBRARY_PATH
fi

# The static one, with the shared one gone.
rm "$lib"/libcarnet-verify.so*
compile static-c "$cc" -std=c99 "$here/embed.c" --static
compile static-cxx "$cxx" -std=c++11 "$work/embed.cc" --static
if ldd "$work/static-c" | grep carnet; then fail "the static program needs the shared library"; fi
outcomes "$work/static-c"
outcomes "$work/static-cxx"
