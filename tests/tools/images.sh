#!/bin/bash
# SPDX-License-Identifier: MIT
# tools/images: same inputs, same bytes; unchanged is left alone; damaged, interrupted and impossible builds.
# Arguments: the novactl of this build. Exit 77: this host cannot make images (no package lists or no network).
set -euo pipefail
novactl=$1
images=$(cd "$(dirname "$0")/../.." && pwd)/tools/images
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

make() {
	"$images" --novactl "$novactl" --dir "$dir/$1" "${@:2}" base >"$dir/log" 2>&1
}

fail() {
	echo "$*" >&2
	cat "$dir/log" >&2
	exit 1
}

[[ -x $novactl ]] || exit 77
make one || {
	cat "$dir/log"
	grep -qE 'network|apt-get update' "$dir/log" && exit 77
	exit 1
}

make two --force || fail "the second build failed"
cmp "$dir"/{one,two}/rootfs/base.ext4 || fail "two builds differ"
e2fsck -fn "$dir/one/rootfs/base.ext4" >"$dir/log" 2>&1 || fail "e2fsck is not content"

make one || fail "an unchanged image cannot be kept"
grep -q unchanged "$dir/log" || fail "an unchanged image was made again"

printf X | dd of="$dir/one/rootfs/base.ext4" bs=1 seek=5000 conv=notrunc status=none
make one || fail "a damaged image cannot be replaced"
cmp "$dir"/{one,two}/rootfs/base.ext4 || fail "a damaged image was kept"

# Killed in the midst, it leaves nothing that a check accepts, and the next run continues.
"$images" --novactl "$novactl" --dir "$dir/three" base >"$dir/log" 2>&1 &
builder=$!
while [[ ! -d $(compgen -G "$dir/three/.work.*/tree" || true) ]] && kill -0 "$builder" 2>/dev/null; do :; done
kill -KILL "$builder" 2>/dev/null || true
wait "$builder" 2>/dev/null || true
[[ ! -e $dir/three/MANIFEST ]] || fail "a killed build is in the MANIFEST"
make three || fail "a killed build cannot be continued"
cmp "$dir"/{three,two}/rootfs/base.ext4 || fail "a continued build differs"
[[ ! $(compgen -G "$dir/three/.work.*") ]] || fail "the killed build's files were left"

: >"$dir/file"
! "$images" --novactl "$novactl" --dir "$dir/file" base >"$dir/log" 2>&1 || fail "a file was taken for a directory"
! "$images" --novactl "$novactl" nonsense >"$dir/log" 2>&1 || fail "an unknown image was accepted"
! "$images" --novactl "$dir/none" --dir "$dir/one" base >"$dir/log" 2>&1 || fail "a missing novactl went unseen"
grep -q 'ninja -C build' "$dir/log" || fail "a missing novactl is not explained"
