#!/bin/sh
# Runs once per network, in the one-shot service of docker-compose.yml: makes the genesis and all keys in memory, and puts
# each node's part into that node's volume, so that no volume ever holds another party's secret. A second run finds the
# volumes filled and changes nothing.
set -eu
umask 077

nodes="exporter bank carrier customs"
count=0 filled=0
for node in $nodes; do
    count=$((count + 1))
    if [ -f "/nodes/$node/carnetd.conf" ]; then filled=$((filled + 1)); fi
done
if [ "$filled" -eq "$count" ]; then
    echo "the network exists already, genesis digest $(cat /nodes/customs/genesis.digest)"
    exit 0
fi
if [ "$filled" -ne 0 ]; then
    echo "only $filled of $count volumes hold a node; remove them all with 'docker-compose down -v' and start again." >&2
    exit 1
fi

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
carnet testnet init --dir "$made/net" --nodes "$count" --compose >"$made/log" 2>&1 || {
    cat "$made/log" >&2
    exit 1
}
for node in $nodes; do
    # What an interrupted run left is no node yet; the configuration comes last and makes it one.
    find "/nodes/$node" -mindepth 1 -delete
    mv "$made/net/$node/carnetd.conf" "$made/conf"
    cp -R "$made/net/$node/." "/nodes/$node/"
    cp "$made/net/genesis.digest" "/nodes/$node/genesis.digest"
    cp "$made/conf" "/nodes/$node/carnetd.conf.new"
    sync
    mv "/nodes/$node/carnetd.conf.new" "/nodes/$node/carnetd.conf"
done
echo "made a network of $count nodes, genesis digest $(cat "$made/net/genesis.digest")"
