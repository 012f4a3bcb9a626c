#!/usr/bin/env bash
# Four containers from deploy/docker-compose.yml: the sample shipment is submitted, audited by customs and verified in a
# container without network; one container is killed and three go on; it comes back and catches up. Needs root and the
# packages of `deploy/packages.sh list docker`. Where no Docker engine runs, a private one is started from the docker.io
# package, with its own folders and without touching the firewall, and stopped at the end. Everything made here is
# removed, also after a failure.
#
# Environment:
#   CARNET_SKIP_DOCKER=1    ends at once with status 77 (skipped)
#   CARNET_DOCKER_BASE      an image of Debian 12 that the engine has; else one is made with debootstrap from the mirror
#                           that apt uses on this machine, or pulled where debootstrap is missing
#   CARNET_CACHE_DIR        where the made base image is kept between runs   (default: /var/cache/carnet)
#   CARNET_KEEP_LOGS=DIR    where the engine's and containers' logs go on failure
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${CARNET_CACHE_DIR:-/var/cache/carnet}
name=carnettest$$
image=carnet-test:$$
nodes=(exporter bank carrier customs)
api=http://127.0.0.1:8080
key=/var/lib/carnet/keys/capture.key
engine_pid= work=

skip() {
    echo "skipped: $*"
    exit 77
}

fail() {
    echo "FAILED: $*"
    exit 1
}

pass() {
    printf '%4ds  ok: %s\n' "$SECONDS" "$*"
}

[ "${CARNET_SKIP_DOCKER:-0}" != 1 ] || skip "CARNET_SKIP_DOCKER is set"

# ---- the end, in every case ----

compose() {
    docker-compose -p "$name" -f "$root/deploy/docker-compose.yml" "$@"
}

inside() {
    local node=$1
    shift
    compose exec -T "$node" "$@" </dev/null
}

show_logs() {
    local node
    for node in network-init "${nodes[@]}"; do
        echo "--- $node"
        compose logs --no-color --tail 25 "$node" 2>&1 | tail -n 25
    done
    if [ -n "${CARNET_KEEP_LOGS:-}" ]; then
        mkdir -p "$CARNET_KEEP_LOGS"
        compose logs --no-color >"$CARNET_KEEP_LOGS/containers.log" 2>&1
        cp "$work"/*.log "$CARNET_KEEP_LOGS/"
    fi
}

cleanup() {
    local status=$?
    trap - EXIT INT TERM
    set +e
    [ -z "$bridge" ] || iptables -D FORWARD -i "$bridge" -o "$bridge" -j ACCEPT
    if [ -n "$work" ]; then
        if docker info >/dev/null 2>&1; then
            [ "$status" -eq 0 ] || show_logs
            compose down -v --remove-orphans --timeout 5 >/dev/null 2>&1
            docker image rm -f "$image" >/dev/null 2>&1
        fi
        if [ -n "$engine_pid" ]; then
            kill "$engine_pid" 2>/dev/null
            wait "$engine_pid" 2>/dev/null
            awk -v at="$work/" 'index($2, at) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r -n 1 umount -l
        fi
        rm -rf "$work"
    fi
    exit "$status"
}

# ---- engine and base image ----

start_engine() {
    if docker info 2>/dev/null | grep -q 'Server Version'; then
        pass "an engine runs here already and is used"
        return
    fi
    [ "$(id -u)" -eq 0 ] || skip "no Docker engine runs here and only root can start one"
    command -v dockerd >/dev/null || fail "dockerd is missing; run 'deploy/packages.sh install docker' as root"
    export DOCKER_HOST=unix://$work/engine.sock
    # No default bridge, no firewall rule, no forwarding: builds use the host's network, and the containers' network is
    # internal. Nothing of the engine stays when it ends.
    dockerd --host "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/engine.pid" \
        --bridge none --iptables=false --ip-forward=false --ip-masq=false >"$work/engine.log" 2>&1 </dev/null &
    engine_pid=$!
    local _
    for _ in $(seq 150); do
        if docker info 2>/dev/null | grep -q 'Server Version'; then
            pass "a private engine runs"
            return
        fi
        kill -0 "$engine_pid" 2>/dev/null || break
        sleep 0.2
    done
    tail -n 20 "$work/engine.log"
    fail "the engine did not start; its last words are above"
}

# A minimal Debian 12 with this machine's own sources and proxy for apt, kept as a tar file for a month.
make_base() {
    local tarball=$cache/base-bookworm.tar mirror proxy
    if [ -s "$tarball" ] && [ -n "$(find "$tarball" -mtime -30)" ]; then
        docker import "$tarball" carnet-base:bookworm >/dev/null
        pass "base image from $tarball"
        return
    fi
    mirror=$(apt-get --print-uris update 2>/dev/null | sed -n "s#^'\(.*\)/dists/bookworm/InRelease'.*#\1#p" | head -n 1)
    proxy=$(apt-config dump Acquire::http::Proxy | sed -n 's/^[^"]*"\(.*\)";$/\1/p')
    [ -z "$proxy" ] || [ "$proxy" = DIRECT ] || export http_proxy=$proxy
    debootstrap --variant=minbase --include=ca-certificates bookworm "$work/base" "${mirror:-http://deb.debian.org/debian}" \
        >"$work/debootstrap.log" 2>&1 || {
        tail -n 10 "$work/debootstrap.log"
        fail "debootstrap could not make a base image; its last words are above"
    }
    copy_apt_settings "$work/base"
    rm -rf "$work/base/var/cache/apt/archives"/*.deb "$work/base/var/lib/apt/lists"/*
    mkdir -p "$cache"
    tar -C "$work/base" --numeric-owner -cf "$tarball.$$" . && mv "$tarball.$$" "$tarball"
    rm -rf "$work/base"
    docker import "$tarball" carnet-base:bookworm >/dev/null
    pass "base image made with debootstrap"
}

copy_apt_settings() {
    local at=$1/etc/apt
    rm -f "$at/sources.list"
    [ ! -f /etc/apt/sources.list ] || cp /etc/apt/sources.list "$at/sources.list"
    # Debian's own sources only: others may need keys that the base image does not have.
    find /etc/apt/sources.list.d -maxdepth 1 -name 'debian*.sources' -exec cp {} "$at/sources.list.d/" \; 2>/dev/null || true
    apt-config dump | grep -E '^Acquire::(https?|Check|ftp)' >"$at/apt.conf.d/90-as-on-the-host" || true
    grep -rqs . "$at/sources.list" "$at/sources.list.d" || echo "deb http://deb.debian.org/debian bookworm main" >"$at/sources.list"
}

choose_base() {
    if [ -n "${CARNET_DOCKER_BASE:-}" ]; then
        base=$CARNET_DOCKER_BASE
    elif docker image inspect debian:bookworm-slim >/dev/null 2>&1; then
        base=debian:bookworm-slim
    elif command -v debootstrap >/dev/null && [ "$(id -u)" -eq 0 ]; then
        base=carnet-base:bookworm
        docker image inspect "$base" >/dev/null 2>&1 || make_base
    else
        base=debian:bookworm-slim
    fi
}

build_image() {
    choose_base
    # The image carries its own Debian; only the proxies of this machine are passed on.
    local options=(--build-arg "BASE=$base") word
    for word in http_proxy https_proxy no_proxy; do
        [ -z "${!word:-}" ] || options+=(--build-arg "$word=${!word}")
    done
    DOCKER_BUILDKIT=0 docker build --network host "${options[@]}" -t "$image" -f "$root/deploy/Dockerfile" "$root" \
        >"$work/build.log" 2>&1 </dev/null || {
        tail -n 40 "$work/build.log"
        fail "the image does not build; its last words are above"
    }
    pass "image built ($(docker image inspect -f '{{.Size}}' "$image" | awk '{ printf "%.0f MB", $1 / 1e6 }'))"
}

# ---- the network ----

wait_healthy() {
    local node id _
    for node in "$@"; do
        id=$(compose ps -q "$node")
        for _ in $(seq 120); do
            [ "$(docker inspect -f '{{.State.Health.Status}}' "$id")" != healthy ] || continue 2
            sleep 0.5
        done
        fail "$node is not healthy after 60 s"
    done
}

# Where another engine left a firewall that drops what is forwarded, frames between our containers pass only with a rule
# of their own; it goes with the network.
open_bridge() {
    local id
    id=$(docker network ls -q --no-trunc --filter "label=com.docker.compose.project=$name" | head -n 1)
    if [ -n "$id" ] && iptables -S FORWARD 2>/dev/null | grep -qx -- '-P FORWARD DROP'; then
        iptables -I FORWARD -i "br-${id:0:12}" -o "br-${id:0:12}" -j ACCEPT && bridge=br-${id:0:12}
    fi
}

start_network() {
    export CARNET_IMAGE=$image
    compose up -d --no-build >"$work/up.log" 2>&1 </dev/null || {
        cat "$work/up.log"
        fail "docker-compose up failed"
    }
    open_bridge
    wait_healthy "${nodes[@]}"
    digest=$(inside customs cat genesis.digest)
    [[ $digest =~ ^[0-9a-f]{64}$ ]] || fail "the genesis digest reads '$digest'"
    pass "four nodes are healthy, genesis digest $digest"
}

check_hardening() {
    local node facts seen=
    for node in "${nodes[@]}"; do
        facts=$(inside "$node" sh -c '
            echo "user $(id -u)"
            if touch /usr/local/x 2>/dev/null; then echo "root writable"; fi
            echo "capabilities $(sed -n "s/^CapEff:[[:space:]]*//p" /proc/self/status)"
            find / -xdev -name capture.key -path "/nodes/*" 2>/dev/null
            find /var/lib/carnet -name capture.key
            echo "key $(sha256sum keys/capture.key | cut -d " " -f 1)"')
        grep -qx 'user 10001' <<<"$facts" || fail "$node does not run as user 10001: $facts"
        ! grep -q '^root writable' <<<"$facts" || fail "$node can write to its root file system"
        grep -qxE 'capabilities 0+' <<<"$facts" || fail "$node has capabilities: $facts"
        [ "$(grep -c 'capture\.key$' <<<"$facts")" -eq 1 ] || fail "$node holds other capture keys than its own: $facts"
        ! grep -qF "$(grep '^key ' <<<"$facts")" <<<"$seen" || fail "$node has the same capture key as a neighbour"
        seen+=$facts$'\n'
    done
    pass "every node is unprivileged, cannot write outside its volume, and holds its own keys only"
}

# ---- the shipment ----

write_sample() {
    local node
    for node in "${nodes[@]}"; do
        inside "$node" carnet-sample --out /tmp/sample >"$work/sample.log" 2>&1 || {
            cat "$work/sample.log"
            fail "$node could not write the sample shipment"
        }
    done
    inside customs carnet-sample --list >"$work/list.all"
    awk '{ file = ""; party = ""
           for (i = 1; i <= NF; i++) {
               if (file == "" && $i ~ /\.json(ld)?$/) file = $i
               else if (party == "" && $i ~ /^(exporter|bank|carrier|customs)$/) party = $i
           }
           if (file != "" && party != "") print file, party }' "$work/list.all" >"$work/list"
    [ "$(wc -l <"$work/list")" -ge 2 ] || fail "carnet-sample --list names fewer than two files"
    consignment=$(grep -oE 'urn:carnet:ucr:[^][:space:]",]+' "$work/list.all" | head -n 1)
    [ -n "$consignment" ] || fail "carnet-sample --list names no consignment"
}

submit() {
    local file=$1 party=$2 ids
    ids=$(inside "$party" carnet submit --api "$api" --key "$key" --format epcis --wait "/tmp/sample/$file") ||
        fail "$party could not submit $file"
    [ -n "$ids" ] || fail "$party submitted $file and got no statement id"
    printf '%s\n' "$ids" | tail -n 1
}

# Customs exports an audit; a container with no network, no volume and only the digest says whether it holds.
audit_and_verify() {
    inside customs carnet audit --api "$api" --subject "$consignment" --out /tmp/audit.zip >"$work/audit.log" 2>&1 || {
        cat "$work/audit.log"
        fail "customs could not export an audit"
    }
    inside customs cat /tmp/audit.zip >"$work/audit.zip"
    inside customs rm /tmp/audit.zip
    docker run --rm -i --network none --read-only --cap-drop ALL --tmpfs /tmp "$image" \
        sh -c 'cat >/tmp/audit.zip && exec carnet verify --genesis "$1" /tmp/audit.zip' sh "$digest" \
        <"$work/audit.zip" >"$work/verify.log" 2>&1 || {
        cat "$work/verify.log"
        fail "the audit was not accepted"
    }
}

shipment() {
    local file party count=0
    write_sample
    head -n -1 "$work/list" >"$work/first"
    while read -r file party; do
        submit "$file" "$party" >/dev/null
        count=$((count + 1))
    done <"$work/first"
    pass "$count files of the shipment are final"
    audit_and_verify
    pass "the audit of $consignment is accepted without network, from the digest alone"
}

kill_one_and_go_on() {
    local file party victim=bank container id _
    read -r file party < <(tail -n 1 "$work/list")
    [ "$party" != "$victim" ] || victim=exporter
    container=$(compose ps -q "$victim")
    docker kill "$container" >/dev/null
    id=$(submit "$file" "$party")
    pass "$victim is killed, the other three make $file final"
    [ "$victim" = customs ] || audit_and_verify
    pass "the audit after that is accepted too"

    docker start "$container" >/dev/null
    wait_healthy "$victim"
    for _ in $(seq 60); do
        if inside "$victim" carnet export --api "$api" --statement "$id" --format native --out /tmp/late \
            >"$work/export.log" 2>&1; then
            pass "$victim is back and has what was decided without it"
            return
        fi
        sleep 0.5
    done
    cat "$work/export.log"
    fail "$victim did not catch up within 30 s"
}

command -v docker >/dev/null && command -v docker-compose >/dev/null || {
    [ "${CI:-}" = true ] && fail "docker and docker-compose are missing; run 'deploy/packages.sh install docker' as root"
    skip "docker and docker-compose are not installed"
}
work=$(mktemp -d)
bridge=
trap cleanup EXIT
trap 'exit 130' INT TERM
start_engine
build_image
start_network
check_hardening
shipment
kill_one_and_go_on
echo "done in $SECONDS s"
