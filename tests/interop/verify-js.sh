#!/usr/bin/env bash
# The verifier in JavaScript against the one in C: every dossier that the unit tests of the latter verify, then dossiers
# whose files are changed at random (CARNET_DIFF_SECONDS, 8; CARNET_DIFF_SEED, 1), events, subjects and
# envelopes (as long), the command, and the page.
# usage: tests/interop/verify-js.sh BUILD-DIR [DATA-DIR]
set -euo pipefail

build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
source=$here/../../tools/verify-js
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "FAILED: $*"
    exit 1
}

# The libraries, from npm as the lock file pins them. esbuild brings its program in a package of its own: no scripts.
cp -r "$source/package.json" "$source/package-lock.json" "$source/build.mjs" "$source/src" "$source/bin" "$work/"
(cd "$work" && npm ci --no-audit --no-fund --ignore-scripts >"$work/npm.log" 2>&1) || fail "npm ci: $(tail -n 5 "$work/npm.log")"

mkdir "$work/vectors"
for name in dossier verify verify_steps verify_outside verify_epochs verify_epoch_chain verify_registrars verify_ballots verify_foreign verify_erasure verify_negatives report; do
    CARNET_VECTORS="$work/vectors" "$build/tests/unit/tools/test_$name" >"$work/$name.log" 2>&1 || fail "test_$name: $(tail -n 3 "$work/$name.log")"
done
node "$here/verify-js/vectors.mjs" "$work" "$work/vectors" || fail "vectors"
(cd "$work" && node "$here/verify-js/differ.mjs" "$work" "$work/vectors" "$build/tests/unit/tools/verify_many" \
    "${CARNET_DIFF_SECONDS:-8}" "${CARNET_DIFF_SEED:-1}") || {
    [ -z "${CARNET_DIFF_KEEP:-}" ] || cp "$work"/differ-*.zip "$CARNET_DIFF_KEEP/"
    fail "changed dossiers"
}

node --stack-size=400 "$here/verify-js/large.mjs" "$work" || fail "large fields" # engines of some browsers give no more
node "$here/verify-js/events.mjs" "$work" "$build/tests/unit/tools/items_many" "${CARNET_DIFF_SECONDS:-8}" "${CARNET_DIFF_SEED:-1}" \
    "${2:-}" || fail "events"

node "$here/verify-js/policies.mjs" "$work" "$build/tests/unit/tools/policies_many" "${CARNET_DIFF_SECONDS:-4}" "${CARNET_DIFF_SEED:-1}" ||
    fail "policies"

# The command: exit status and words.
json=$(grep -l '"accepted": true' "$work"/vectors/*.json | sed -n 1p)
digest=$(grep -o '"genesis": "[0-9a-f]*"' "$json" | grep -o '[0-9a-f]\{64\}')
verify="$work/bin/verify.mjs"
node "$verify" --genesis "$digest" "${json%.json}.zip" >"$work/out" && grep -qx accepted "$work/out" || fail "the command refuses a good dossier"
node "$verify" --genesis "$digest" --json "${json%.json}.zip" >"$work/out" && grep -q '"accepted": true' "$work/out" || fail "its JSON"
status=0
node "$verify" --genesis "${digest//[0-7]/8}" "${json%.json}.zip" >"$work/out" || status=$?
[ "$status" -eq 1 ] && grep -q '^FAILED genesis' "$work/out" || fail "the command takes another genesis"
status=0
node "$verify" "${json%.json}.zip" >/dev/null 2>&1 || status=$?
[ "$status" -eq 2 ] || fail "the command does without a genesis digest"

mkdir -p "$build/verify-js"
node "$work/build.mjs" "$build/verify-js/verify.html" || fail "the page"
node "$here/verify-js/page.mjs" "$build/verify-js/verify.html" "$work/vectors" || fail "the page's verdicts"
if chromium=$(command -v chromium || command -v chromium-browser); then
    node "$here/verify-js/chromium.mjs" "$chromium" "$build/verify-js/verify.html" "$work/vectors" || fail "the page in Chromium"
else
    echo "no chromium here: the page's script ran over a few parts of a document only"
fi
