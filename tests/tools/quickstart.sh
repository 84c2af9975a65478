#!/bin/bash
# SPDX-License-Identifier: MIT
# tools/quickstart in a copy of the tree, with images and a state directory of its own: the answer,
# no guest that boots for the next new function, and a second run that makes nothing anew.
# Exit 77: this is not tools/test --long, or there is no network.
set -euo pipefail
[[ ${NOVA_TEST_LONG:-} ]] || {
	echo "only in tools/test --long"
	exit 77
}
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export NOVA_HOME=$dir/home NOVA_IMAGES=$dir/images TMPDIR=$dir
novactl=$dir/tree/build/tools/novactl

fail() {
	echo "$*" >&2
	cat "$dir/log" >&2
	exit 1
}

quickstart() {
	"$dir/tree/tools/quickstart" >"$dir/log" 2>&1 || {
		grep -q "is there a network" "$dir/log" && {
			tail -n 1 "$dir/log"
			exit 77
		}
		fail "the quickstart failed"
	}
	grep -q '"message": "Hello, World!"' "$dir/log" || fail "there is no answer"
}

has() {
	grep -qE "$1" "$dir/log" || fail "it does not say: $1"
}

mkdir "$dir/tree"
(cd "$root" && git ls-files -z | xargs -0 tar -c) | tar -x -C "$dir/tree"
# Where the packages for them are there, all tests would be compiled, too.
meson setup "$dir/tree/build" "$dir/tree" -Dtests=false >"$dir/log" 2>&1 || fail "meson fails"
quickstart
has '^making the template of python, .* s.*, once'
has '^The template of python is ready'
has '^Cold Start: true'

echo 'def handler(event): return ["own", event]' >"$dir/own.py"
"$novactl" -v register own --runtime python --code "$dir/own.py" >"$dir/log" 2>&1 ||
	fail "a function cannot be registered"
"$novactl" -v invoke own --payload 1 >>"$dir/log" 2>&1 || fail "it cannot be called"
has '"own"'
! grep -q "making the template of" "$dir/log" || fail "a new function boots a guest"

quickstart
has '^packages +all there'
has '^python: looking at its inputs +unchanged'
has '^The template of python is there'
