#!/usr/bin/env bash
# Installs what is missing, builds Carnet three times and runs every test through ctest. On a fresh Debian 12 as root it
# needs nothing else; without root it needs the packages of `deploy/packages.sh list build test docker` to be there. What
# verifiers of others the tests use comes from npm, as their lock files pin it.
#
#   plain      RelWithDebInfo, warnings as errors: all tests, the repository check, processes and containers included
#   sanitized  the same with ASan and UBSan: the unit tests and a shorter simulation
#   fuzz       clang's libFuzzer with both sanitizers: each fuzz target for a second, and its planted bug
#
# The last line is `N passed, N failed`, summed over all. Environment:
#   CARNET_BUILD_DIR     where the trees go                           (default: build/ in the repository)
#   CARNET_JOBS          compilers and unit tests at once             (default: the number of processors)
#   CARNET_SEEDS         seeds of the simulation, plain tree          (default: 5000)
#   CARNET_SKIP_SANITIZE=1  leave the sanitized tree out
#   CARNET_SKIP_FUZZ=1      leave the fuzz tree out
#   CARNET_FUZZ_SECONDS     seconds for each fuzz target              (default: 1)
#   CARNET_SKIP_DOCKER=1    leave the container test out (it is then counted as skipped)
#   CARNET_SKIP_INSTALL=1   do not look at the installed packages
#   CARNET_KILL_SECONDS, CARNET_SOAK_SECONDS, CARNET_SOAK_RATE   longer runs of the network scripts (20, 25, 100 a second)
#   CARNET_KILLS, CARNET_BYZANTINE_SECONDS   a number of kills instead; seconds for each kind of Byzantine validator (3)
#   CARNET_TESTS_REGEX   only tests whose name matches, as in `ctest -R`
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
build=${CARNET_BUILD_DIR:-$root/build}
jobs=${CARNET_JOBS:-$(nproc)}
seeds=${CARNET_SEEDS:-5000}
passed=0 failed=0 skipped=0

die() {
    echo "tests/run.sh: $*" >&2
    exit 1
}

step() {
    printf '\n== %s (%ds)\n' "$1" "$SECONDS"
}

install_packages() {
    [ "${CARNET_SKIP_INSTALL:-0}" = 1 ] && return
    local groups=(build test)
    [ "${CARNET_SKIP_DOCKER:-0}" = 1 ] || groups+=(docker)
    local missing
    missing=$(deploy/packages.sh missing "${groups[@]}" | tr '\n' ' ')
    if [ -n "$missing" ] && [ "$(id -u)" -ne 0 ]; then
        die "only root can install what is missing (${missing% }); run 'sudo deploy/packages.sh install ${groups[*]}' once."
    fi
    mkdir -p "$build"
    if ! deploy/packages.sh install "${groups[@]}" >"$build/packages.log" 2>&1; then
        tail -n 15 "$build/packages.log" >&2
        die "the packages are not complete; the whole log is $build/packages.log."
    fi
}

# build_tree NAME CMAKE-OPTION...; the environment's build_target is what is built (default: all)
build_tree() {
    local tree=$build/$1
    shift
    mkdir -p "$tree"
    if ! cmake -S "$root" -B "$tree" -G Ninja -DCARNET_WERROR=ON "$@" >"$tree/configure.log" 2>&1; then
        tail -n 30 "$tree/configure.log" >&2
        die "cmake could not configure $tree."
    fi
    if ! cmake --build "$tree" -j "$jobs" --target "${build_target:-all}" >"$tree/build.log" 2>&1; then
        grep -E -A12 'error|warning|FAILED|undefined reference' "$tree/build.log" | head -n 60 >&2 || true
        die "$tree does not build; the whole log is $tree/build.log."
    fi
}

# Adds the counts of one JUnit report. ctest writes them as attributes of its testsuite element, one a line.
add_counts() {
    local report=$1 tests failures left_out
    tests=$(sed -n 's/.*[^a-z]tests="\([0-9]*\)".*/\1/p' "$report" | head -n 1)
    failures=$(sed -n 's/.*failures="\([0-9]*\)".*/\1/p' "$report" | head -n 1)
    left_out=$(sed -n 's/.*skipped="\([0-9]*\)".*/\1/p' "$report" | head -n 1)
    [ -n "$tests" ] && [ -n "$failures" ] && [ -n "$left_out" ] || die "$report has no counts."
    passed=$((passed + tests - failures - left_out))
    failed=$((failed + failures))
    skipped=$((skipped + left_out))
}

# run_tree NAME CTEST-OPTION...
run_tree() {
    local tree=$build/$1 status=0
    shift
    [ -z "${CARNET_TESTS_REGEX:-}" ] || set -- "$@" -R "$CARNET_TESTS_REGEX"
    rm -f "$tree/junit.xml"
    ctest --test-dir "$tree" --output-on-failure --no-tests=error -j "$jobs" --output-junit "$tree/junit.xml" "$@" \
        </dev/null || status=$?
    [ -s "$tree/junit.xml" ] || die "ctest ended with status $status and left no report in $tree."
    local before=$failed
    add_counts "$tree/junit.xml"
    # A status that the counts do not explain (a crash of ctest itself) must not be lost.
    if [ "$status" -ne 0 ] && [ "$failed" -eq "$before" ]; then
        die "ctest ended with status $status although no test of $tree failed."
    fi
}

step "packages"
install_packages
step "build, plain"
build_tree plain -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCARNET_SEEDS="$seeds"
step "tests, plain"
run_tree plain
if [ "${CARNET_SKIP_SANITIZE:-0}" != 1 ]; then
    step "build, sanitized"
    build_tree sanitized -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCARNET_SANITIZE=ON
    step "tests, sanitized"
    export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1}
    export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
    run_tree sanitized -L '^(unit|simulation)$'
fi
if [ "${CARNET_SKIP_FUZZ:-0}" != 1 ]; then
    step "build, fuzz"
    build_target=fuzz build_tree fuzz -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCARNET_FUZZ=ON -DCMAKE_C_COMPILER=clang
    step "tests, fuzz"
    run_tree fuzz -L '^fuzz$'
fi

printf '\n%d s in all\n' "$SECONDS"
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
