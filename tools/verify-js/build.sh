#!/bin/sh
# The verifier as one page: takes the libraries that the lock file pins from npm, into a folder of the build, and bundles
# them. The same sources give the same bytes.
# usage: build.sh WORK-DIR OUT.html
set -eu

[ $# -eq 2 ] || {
    echo "usage: build.sh WORK-DIR OUT.html" >&2
    exit 2
}
source=$(cd "$(dirname "$0")" && pwd)
work=$1 out=$2
command -v npm >/dev/null || {
    echo "build.sh: npm is not here; install Debian's nodejs and npm, or build the page elsewhere" >&2
    exit 1
}
mkdir -p "$work" "$(dirname "$out")"
rm -rf "$work/src"
cp -r "$source/package.json" "$source/package-lock.json" "$source/build.mjs" "$source/src" "$work/"
# esbuild brings its program in a package of its own: no scripts
(cd "$work" && npm ci --no-audit --no-fund --ignore-scripts >npm.log 2>&1) || {
    tail -n 5 "$work/npm.log" >&2
    echo "build.sh: npm could not bring the libraries; the whole log is $work/npm.log" >&2
    exit 1
}
node "$work/build.mjs" "$out.new"
mv "$out.new" "$out"
