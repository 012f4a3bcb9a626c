#!/usr/bin/env bash
# From a fresh Debian 12 to a verified shipment: installs what is missing, builds, starts a network of four parties on
# this machine, submits the sample shipment, exports an audit as customs, verifies it offline with the genesis digest
# alone, and leaves the network running.
#
#   deploy/quickstart.sh          may be run again: what is installed, built, running or recorded is left as it is
#   deploy/quickstart.sh --down   stops the network; its data stays until `carnet testnet reset`
#
# Environment:
#   CARNET_HOME       folder of the network   (default: /var/lib/carnet/testnet as root, else ~/.carnet/testnet)
#   CARNET_BUILD_DIR  folder of the build     (default: build-quickstart/ in the repository)
#   CARNET_JOBS       compilers at once       (default: the number of processors)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${CARNET_BUILD_DIR:-$root/build-quickstart}
jobs=${CARNET_JOBS:-$(nproc)}
if [ "$(id -u)" -eq 0 ]; then
    default_home=/var/lib/carnet/testnet
else
    default_home=${HOME:?}/.carnet/testnet
fi
home=${CARNET_HOME:-$default_home}
carnet=$build/bin/carnet
log=$build/quickstart.log

die() {
    echo "quickstart: $*" >&2
    exit 1
}

say() {
    printf '%4ds  %s\n' "$SECONDS" "$*"
}

# logged WHAT COMMAND...: runs it with its words in the log, and shows the end of the log if it fails.
logged() {
    local what=$1
    shift
    printf '\n== %s\n' "$what" >>"$log"
    if ! "$@" >>"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" | sed 's/^/    /' >&2
        die "could not $what; the words above are the end of $log."
    fi
}

# Prints one line a node from `carnet testnet status --json`: name, pid, API, peer address, folder; pid is - if it is down.
nodes() {
    "$carnet" testnet status --dir "$home" --json | perl -MJSON::PP -0777 -ne '
        for my $n (@{ decode_json($_)->{nodes} }) {
            print join("\t", $n->{name}, $n->{pid} || "-", $n->{api}, $n->{peer}, $n->{dir}), "\n";
        }'
}

api_of() {
    nodes | awk -F '\t' -v name="$1" '$1 == name { print $3 }'
}

# Whether a process is gone, within five seconds. One that ended but was not yet collected by init counts as gone.
gone() {
    local _
    for _ in $(seq 50); do
        if ! kill -0 "$1" 2>/dev/null || grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; then return 0; fi
        sleep 0.1
    done
    return 1
}

check_folders() {
    mkdir -p "$build" 2>/dev/null || die "cannot make $build; set CARNET_BUILD_DIR to a folder that you may write."
    if [ ! -f "$build/CMakeCache.txt" ] && [ -n "$(find "$build" -mindepth 1 -maxdepth 1 ! -name 'quickstart.*' | head -n 1)" ]; then
        die "$build holds something else than a build of Carnet; empty it or set CARNET_BUILD_DIR to another folder."
    fi
    if [ -f "$build/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$build/CMakeCache.txt"; then
        die "$build was built from another source folder; remove it or set CARNET_BUILD_DIR to another folder."
    fi
    if [ -e "$home" ] && [ ! -d "$home" ]; then
        die "$home is not a folder; move it away or set CARNET_HOME to another folder."
    fi
    if [ -d "$home" ] && [ ! -f "$home/genesis.digest" ] && [ -n "$(ls -A "$home")" ]; then
        die "$home holds files but no network of Carnet; empty it or set CARNET_HOME to another folder."
    fi
    mkdir -p "$home" 2>/dev/null && [ -w "$home" ] ||
        die "cannot write to $home; run as root or set CARNET_HOME to a folder of yours."
}

install_and_build() {
    local missing
    missing=$("$root/deploy/packages.sh" missing build | tr '\n' ' ')
    if [ -n "$missing" ] && [ "$(id -u)" -ne 0 ]; then
        die "only root can install what is missing (${missing% }); run 'sudo deploy/packages.sh install build' once, then this again."
    fi
    say "packages"
    logged "install the packages" "$root/deploy/packages.sh" install build
    say "build (about a minute the first time)"
    logged "configure the build" cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCARNET_TESTS=OFF
    logged "build Carnet" cmake --build "$build" -j "$jobs"
    # The verifier page for dossiers comes with libraries from npm; a machine without it makes dossiers without the page.
    if command -v npm >/dev/null 2>&1; then
        printf '\n== %s\n' "build the verifier page" >>"$log"
        cmake --build "$build" --target page >>"$log" 2>&1 </dev/null ||
            say "no verifier page (its libraries did not come from npm, see $log): dossiers are made without it"
    fi
}

# Submits every file of the sample as the party that signs it, in the order of the list, and keeps the statement ids.
submit_sample() {
    local sample=$1 ids=$2 file party count
    : >"$ids.new"
    while IFS=$'\t' read -r file party; do
        if ! "$carnet" submit --api "$(api_of "$party")" --key "$home/$party/keys/capture.key" --format epcis --wait \
            "$sample/$file" >"$ids.one" 9>&-; then
            die "$party could not submit $sample/$file; the reason is above."
        fi
        count=$(grep -c . "$ids.one") || die "$party submitted $sample/$file and got no statement id back."
        cat "$ids.one" >>"$ids.new"
        printf '       %-9s %-36s %s statement%s\n' "$party" "$file" "$count" "$([ "$count" -eq 1 ] || echo s)"
    done <"$sample/list"
    rm -f "$ids.one"
    [ -s "$ids.new" ] || die "$sample/list names no file; run 'carnet-sample --list' to see why."
    if [ -f "$ids" ] && cmp -s "$ids" "$ids.new"; then
        say "the same $(grep -c . "$ids") statements as before: nothing was recorded twice"
    fi
    mv "$ids.new" "$ids"
}

up() {
    check_folders
    exec 9>"$build/quickstart.lock"
    flock -n 9 || die "another quickstart is at work in $build; wait until it ends."
    : >"$log"
    local again=no
    [ -f "$home/genesis.digest" ] && again=yes
    install_and_build

    say "network of four parties in $home$([ $again = no ] || echo ' (it was there before)')"
    "$carnet" testnet up --dir "$home" >>"$log" 9>&- || die "the network did not start; the reason is above."
    local digest
    digest=$(cat "$home/genesis.digest")

    local sample=$build/sample/$digest out=$build/audit/$digest
    mkdir -p "$sample" "$out"
    say "sample shipment"
    logged "write the sample shipment" "$build/bin/carnet-sample" --out "$sample"
    "$build/bin/carnet-sample" --list >"$sample/list.all"
    # A line of the list names the file, the party that signs it, and the subjects in it.
    awk '{ file = ""; party = ""
           for (i = 1; i <= NF; i++) {
               if (file == "" && $i ~ /\.json(ld)?$/) file = $i
               else if (party == "" && $i ~ /^(exporter|bank|carrier|customs)$/) party = $i
           }
           if (file != "" && party != "") printf "%s\t%s\n", file, party }' "$sample/list.all" >"$sample/list"
    local consignment
    consignment=$(grep -oE 'urn:carnet:ucr:[^][:space:]",]+' "$sample/list.all" | head -n 1) ||
        die "'carnet-sample --list' names no consignment."
    submit_sample "$sample" "$out/statements"

    say "audit of $consignment by customs"
    local file=$out/audit.zip customs
    customs=$(api_of customs)
    "$carnet" audit --api "$customs" --subject "$consignment" --out "$file" >>"$log" 9>&- ||
        die "customs could not export the audit; the reason is above."
    say "verification offline, from the genesis digest alone"
    "$carnet" verify --genesis "$digest" "$file" || die "the audit was not accepted; the failing step is above."
    say "verified"

    cat <<TEXT

The network is running and stays so:
$(nodes | awk -F '\t' '{ printf "  %-10s API %-28s peers %s\n", $1, $3, $4 }')
  genesis digest  $digest
  audit           $file

Try next (with PATH=$build/bin:\$PATH):
  carnet query --api $customs --subject $consignment
  carnet status --api $customs
  carnet testnet kill carrier --dir $home && carnet why --api $customs
  carnet testnet start carrier --dir $home
  deploy/quickstart.sh --down                 stops it, data stays
  carnet testnet reset --dir $home            removes the data
TEXT
}

down() {
    [ -f "$home/genesis.digest" ] || die "there is no network in $home; set CARNET_HOME if it is elsewhere."
    [ -x "$carnet" ] || die "$carnet is missing; run deploy/quickstart.sh once to build it, then --down again."
    local before name pid api
    before=$(nodes)
    "$carnet" testnet down --dir "$home" || die "the network did not stop; the reason is above."
    while IFS=$'\t' read -r name pid api _; do
        [ "$pid" = - ] || gone "$pid" || die "$name still runs as process $pid; end it with 'kill $pid'."
        api=${api#*://}
        api=${api%/}
        if (exec 3<>"/dev/tcp/${api%:*}/${api##*:}") 2>/dev/null; then
            die "something still listens on $api; 'ss -ltnp' tells which process."
        fi
    done <<<"$before"
    echo "The network in $home is down; its data stays until 'carnet testnet reset --dir $home'."
}

case "${1:-}" in
'') [ $# -eq 0 ] || die "an empty argument is not an option; see --help."; up ;;
--down) [ $# -eq 1 ] || die "--down takes nothing after it."; down ;;
--help | -h) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" ;;
*) die "'$1' is not an option; there are --down and --help." ;;
esac
