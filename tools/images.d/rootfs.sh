# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# The read-only root filesystems: trees of unpacked packages, written as ext4 by novactl.

# Their sizes, and the packages that they have besides those below; each runtime's file adds its
# own.
declare -A rootfs_size=([base]=32M) rootfs_packages=([base]=)

# Programs and modules made elsewhere expect the libraries of C++ and OpenMP, zones, services, and
# the locale that LANG names.
every_rootfs=(
	busybox-static libc6 libgcc-s1 libstdc++6 libgomp1 ca-certificates netbase tzdata libc-bin
)
# Many scripts that come with packages start with #!/bin/bash. base has to stay small.
every_rootfs_but_base=(bash)

# What packages need only to be installed.
not_unpacked='^(dpkg|tar|debconf|openssl|perl.*|base-files|debianutils|mawk|libacl1|libmd0'
not_unpacked+='|libpcre2-8-0|libselinux1|readline-common|gcc-[0-9]+-base)='

# Prints package=version, one a line. A package of which there are several is what the function
# choose_NAME prints, if there is one.
packages_of() {
	local packages=("${every_rootfs[@]}")
	[[ $1 == base ]] || packages+=("${every_rootfs_but_base[@]}")
	# shellcheck disable=SC2206
	packages+=(${rootfs_packages[$1]})
	if declare -F "choose_$1" >/dev/null; then
		packages+=("$("choose_$1")")
	fi
	resolve "${packages[@]}"
}

new_tree() {
	tree=$work/tree
	rm -rf "$tree"
	mkdir -p "$tree"/usr/{bin,sbin,lib,lib64,local/bin} "$tree"/etc/ssl/certs \
		"$tree"/{dev,proc,sys,run,tmp,code,newroot,root,var/tmp}
	chmod 1777 "$tree/tmp" "$tree/var/tmp"
	local name
	for name in bin sbin lib lib64; do
		ln -s "usr/$name" "$tree/$name"
	done
}

left_out=(
	--exclude=./usr/share/{doc,man,locale,lintian,info,bug,gcc,gdb}
	--exclude=./usr/share/zoneinfo/{right,posix}
	--exclude=./etc/{init.d,default,skel} --exclude='*/gconv'
)

# Sets unpacked to its packages. What it is made of besides is got by its function fetch_NAME, if it
# has one.
fetch_rootfs() {
	mapfile -t unpacked < <(packages_of "$1" | grep -Ev "$not_unpacked")
	step "$1: downloading ${#unpacked[@]} packages"
	download "${unpacked[@]}"
	if declare -F "fetch_$1" >/dev/null; then
		"fetch_$1"
	fi
}

unpack_all() {
	local target=$1 package
	step "$target: unpacking"
	for package in "${unpacked[@]}"; do
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
	printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' 'networks: files' \
		'services: files' 'protocols: files' >"$tree/etc/nsswitch.conf"
	: >"$tree/etc/fstab"
	# What a guest is told after it has started lives in /run: nobody can write here.
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
	find "$tree/usr/share/ca-certificates" -name '*.crt' | sort | xargs -d '\n' cat \
		>"$tree/etc/ssl/certs/ca-certificates.crt"
	rm -rf "$tree/usr/share/ca-certificates"
	ln -sf certs/ca-certificates.crt "$tree/etc/ssl/cert.pem"
	mkdir -p "$tree/usr/lib/ssl"
	rm -rf "$tree/usr/lib/ssl/certs" "$tree/usr/lib/ssl/cert.pem" "$tree/usr/lib/ssl/private"
	ln -s ../../../etc/ssl/certs "$tree/usr/lib/ssl/certs"
	ln -s ../../../etc/ssl/cert.pem "$tree/usr/lib/ssl/cert.pem"
}

write_tree() {
	local target=$1 out=$2
	step "$target: writing the file system"
	chmod -R u+rwX "$tree"
	"$novactl" disk build "$tree" -o "$out" --size "${rootfs_size[$target]}" \
		--label "nova-$target" --keep-modes >/dev/null 2>>"$work/log"
	rm -rf "$tree"
}

# What a runtime does to its tree is its function finish_NAME, if it has one.
make_rootfs() {
	local target=$1 out=$2
	fetch_rootfs "$target"
	new_tree
	unpack_all "$target"
	write_etc
	link_applets
	join_certificates
	# For scripts and programs, to reach what their function keeps.
	install -m 0755 "$(dirname "$agent")/nova" "$tree/usr/bin/nova"
	if declare -F "finish_$target" >/dev/null; then
		"finish_$target"
	fi
	write_tree "$target" "$out"
}
