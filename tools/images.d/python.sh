# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# The root filesystem of the runtime python.

rootfs_size[python]=256M
rootfs_packages[python]=python3

# The guest's own interpreter compiles its library: another version's code would not be taken, and
# unchecked hashes let the guest start without a look at each source file.
finish_python() {
	step "python: compiling the standard library"
	local loader=$tree/lib64/ld-linux-x86-64.so.2 library=lib/x86_64-linux-gnu python version
	python=$(readlink "$tree/usr/bin/python3") ||
		die "the package python3 holds no /usr/bin/python3"
	version=${python##*/}
	find "$tree" -name __pycache__ -prune -exec rm -rf {} +
	rm -rf "$tree/usr/lib/$version"/{ensurepip,idlelib,lib2to3,turtledemo}
	find "$tree/usr/lib/$version" -depth -type d \( -name test -o -name tests \) \
		-exec rm -rf {} +
	PYTHONHOME=$tree/usr PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 \
		"$loader" --library-path "$tree/usr/$library:$tree/$library" \
		"$tree/usr/bin/$version" -S -m compileall -qq -j1 \
		--invalidation-mode unchecked-hash -s "$tree" -p / "$tree/usr/lib/$version" \
		>>"$work/log" 2>&1
}
