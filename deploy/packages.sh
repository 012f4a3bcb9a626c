#!/bin/sh
# The one list of the Debian 12 packages that Carnet needs, and the one way to install them.
#
#   deploy/packages.sh list GROUP...      prints the packages, one a line
#   deploy/packages.sh missing GROUP...   prints those that are not installed here
#   deploy/packages.sh install GROUP...   installs what is missing (needs root only when something is)
#
# Groups: build    to compile the node and the tools
#         runtime  to run what was compiled elsewhere (the second stage of the Docker image)
#         test     to compile and run the tests, formatting check included
#         docker   to run tests/docker.sh: an engine, Compose, and a way to make a base image
set -eu

carnet_packages() {
    for group in "$@"; do
        case $group in
        build)
            printf '%s\n' build-essential cmake ninja-build pkg-config ca-certificates perl \
                libsecp256k1-dev liblmdb-dev libsodium-dev libnng-dev libssl-dev libjansson-dev libmicrohttpd-dev \
                libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libinih-dev libzip-dev libcurl4-openssl-dev \
                uthash-dev
            ;;
        runtime)
            printf '%s\n' ca-certificates libsecp256k1-1 liblmdb0 libsodium23 libnng1 libssl3 libjansson4 \
                libmicrohttpd12 libprotobuf-c1 libinih1 libzip4 libcurl4
            ;;
        test)
            printf '%s\n' libcriterion-dev clang-format clang spin openssl unzip golang-go golang-golang-x-mod-dev
            # a newer Node.js that is here already brings its own npm, and Debian's would conflict with it
            command -v npm >/dev/null 2>&1 || printf '%s\n' nodejs npm
            ;;
        docker)
            printf '%s\n' docker.io docker-compose debootstrap
            ;;
        *)
            echo "deploy/packages.sh: there is no group '$group'; the groups are build, runtime, test and docker." >&2
            return 2
            ;;
        esac
    done
}

carnet_missing() {
    carnet_packages "$@" | while read -r name; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)
        [ "$state" = installed ] || printf '%s\n' "$name"
    done
}

carnet_install() {
    command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1 || {
        echo "deploy/packages.sh: apt-get is not here; Carnet is built and tested on Debian 12, please use that." >&2
        return 1
    }
    wanted=$(carnet_missing "$@" | tr '\n' ' ')
    [ -n "$wanted" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "deploy/packages.sh: these packages are missing and only root can install them: ${wanted% };" \
            "run 'sudo deploy/packages.sh install $*' once." >&2
        return 1
    fi
    echo "installing: ${wanted% }"
    # RUNLEVEL=1 keeps a package from starting its service on machines that boot without systemd.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    apt-get -q -o DPkg::Lock::Timeout=120 update </dev/null || {
        echo "deploy/packages.sh: 'apt-get update' failed; check this machine's network and /etc/apt, then try again." >&2
        return 1
    }
    # shellcheck disable=SC2086 # one word a package
    apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends $wanted </dev/null || {
        echo "deploy/packages.sh: apt-get could not install all of: ${wanted% }; see its words above." >&2
        return 1
    }
    left=$(carnet_missing "$@" | tr '\n' ' ')
    [ -z "$left" ] || {
        echo "deploy/packages.sh: still missing after the installation: ${left% }." >&2
        return 1
    }
}

command=${1:-}
[ $# -ge 2 ] || {
    echo "usage: deploy/packages.sh list|missing|install GROUP... (build, runtime, test, docker)" >&2
    exit 2
}
shift
case $command in
list) carnet_packages "$@" ;;
missing) carnet_missing "$@" ;;
install) carnet_install "$@" ;;
*)
    echo "deploy/packages.sh: '$command' is none of list, missing, install." >&2
    exit 2
    ;;
esac
