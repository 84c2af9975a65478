#!/bin/bash
# SPDX-License-Identifier: MIT
# tools/images: same inputs, same bytes; unchanged is left alone; damaged, interrupted and
# impossible builds. After tools/prepare no network is needed.
# Arguments: the novactl of this build. Exit 77: this host cannot make images (no package lists or
# no network).
set -euo pipefail
novactl=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
images=$root/tools/images
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Puts a command where there is no network, if that is allowed here.
offline=()
if unshare --net true 2>/dev/null; then
	offline=(unshare --net)
elif unshare --net --map-root-user true 2>/dev/null; then
	offline=(unshare --net --map-root-user)
fi

make() {
	"${offline[@]}" "$images" --no-templates --novactl "$novactl" --dir "$dir/$1" "${@:2}" \
		base >"$dir/log" 2>&1
}

fail() {
	echo "$*" >&2
	cat "$dir/log" >&2
	exit 1
}

[[ -x $novactl ]] || exit 77
"$root/tools/prepare" base >"$dir/log" 2>&1 || {
	cat "$dir/log"
	grep -qE 'network|apt-get update|packages are missing' "$dir/log" && exit 77
	exit 1
}
"${offline[@]}" meson setup -Dtests=false "$dir/build" "$root" >"$dir/log" 2>&1 ||
	fail "what was prepared is not enough for a build"
make one || fail "what was prepared is not enough for an image"

make two --force || fail "the second build failed"
cmp "$dir"/{one,two}/rootfs/base.ext4 || fail "two builds differ"
e2fsck -fn "$dir/one/rootfs/base.ext4" >"$dir/log" 2>&1 || fail "e2fsck is not content"

# What programs made elsewhere expect, in 32 MB.
(($(stat -c %s "$dir/one/rootfs/base.ext4") == 32 << 20)) || fail "base has another size"
for path in /etc/services /etc/protocols /etc/ssl/certs/ca-certificates.crt /usr/bin/sh \
	/usr/share/zoneinfo/Europe/Berlin /usr/lib/locale/C.utf8/LC_CTYPE \
	/usr/lib/x86_64-linux-gnu/{libstdc++.so.6,libgomp.so.1}; do
	debugfs -R "stat $path" "$dir/one/rootfs/base.ext4" 2>/dev/null | grep -q '^Inode' ||
		fail "base has no $path"
done

file=$(stat -c %i "$dir/two/rootfs/base.ext4")
make two --force || fail "the third build failed"
[[ $(stat -c %i "$dir/two/rootfs/base.ext4") == "$file" ]] ||
	fail "an image with the same content is another file"

make one || fail "an unchanged image cannot be kept"
grep -q unchanged "$dir/log" || fail "an unchanged image was made again"

printf X | dd of="$dir/one/rootfs/base.ext4" bs=1 seek=5000 conv=notrunc status=none
make one || fail "a damaged image cannot be replaced"
cmp "$dir"/{one,two}/rootfs/base.ext4 || fail "a damaged image was kept"

# Killed in the midst, it leaves nothing that a check accepts, and the next run continues.
"$images" --no-templates --novactl "$novactl" --dir "$dir/three" base >"$dir/log" 2>&1 &
builder=$!
while kill -0 "$builder" 2>/dev/null && [[ ! $(compgen -G "$dir/three/.work.*/tree") ]]; do
	:
done
kill -KILL "$builder" 2>/dev/null || true
wait "$builder" 2>/dev/null || true
[[ ! -e $dir/three/MANIFEST ]] || fail "a killed build is in the MANIFEST"
make three || fail "a killed build cannot be continued"
cmp "$dir"/{three,two}/rootfs/base.ext4 || fail "a continued build differs"
[[ ! $(compgen -G "$dir/three/.work.*") ]] || fail "the killed build's files were left"

: >"$dir/file"
make file && fail "a file was taken for a directory"
"$images" --novactl "$novactl" nonsense >"$dir/log" 2>&1 && fail "an unknown image was accepted"
novactl=$dir/none
make one && fail "a missing novactl went unseen"
grep -q 'ninja -C build' "$dir/log" || fail "a missing novactl is not explained"
