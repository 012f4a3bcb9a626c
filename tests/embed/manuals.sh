#!/usr/bin/env bash
# The manual pages name every function of carnet-verify.h and every command of carnet, and nothing that does not exist.
#   manuals.sh TOOLS CARNET
set -eu
tools=$1 carnet=$2
page=$tools/verify/carnet-verify.3

# same WHAT, then two lists of lines: what there is, and what the page has
same() {
    [ "$(wc -l <<<"$2")" -ge 10 ] || { echo "manuals.sh: only these $1 were found: $2" >&2; exit 1; }
    diff <(sort -u <<<"$2") <(sort -u <<<"$3") || { echo "manuals.sh: < has no line in the page, > is only there" >&2; exit 1; }
}

functions=$(sed -n 's/^CARNET_VERIFY_API .*[ *]\(carnet_verify_[a-z_]*\)(.*/\1/p' "$tools/verify/carnet-verify.h")
same functions "$functions" "$(sed -n 's/^\.Fn \(carnet_verify_[a-z_]*\) .*/\1/p' "$page")"
commands=$("$carnet" --help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p')
same commands "$commands" "$(sed -n 's/^\.It Cm //p; s/^\.Cm \([a-z]*\)$/\1/p' "$tools/cli/carnet.1" | tr -d ' ' | tr ',' '\n')"
verify=$("$carnet" verify --help | grep -o -- '--[a-z-]*' | grep -v -- '--help' | sort -u)
for option in $verify; do
    grep -q -- "Fl ${option#-}" "$tools/cli/carnet.1" || { echo "manuals.sh: carnet.1 does not name $option" >&2; exit 1; }
done
