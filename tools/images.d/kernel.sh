# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# The kernel of the distribution's cloud images, and an initramfs of the agent and a few modules.

# What a guest boots with, in this order; and what may follow later.
boot_modules=(virtio_mmio virtio_console virtio_blk ext4)
late_modules=(virtio_net vsock vmw_vsock_virtio_transport virtio-rng)

kernel_packages() {
	local name=linux-image-cloud-amd64
	grep -qx 'ID=ubuntu' /etc/os-release && name=linux-image-virtual
	resolve $name | grep -E '^linux-(image|modules)-[0-9]'
}

# Sets kernel_tree to the unpacked packages: boot/vmlinuz-* and lib/modules.
unpack_kernel() {
	local packages package
	mapfile -t packages < <(kernel_packages)
	((${#packages[@]})) ||
		die "there is no kernel package; refresh the lists with: sudo apt-get update"
	kernel_tree=$cache/packages/kernel-$(hash_of "${packages[@]}")
	[[ -d $kernel_tree ]] && return
	step "kernel: downloading ${packages[0]}"
	download "${packages[@]}"
	step "kernel: unpacking"
	rm -rf "$kernel_tree.new"
	mkdir -p "$kernel_tree.new"
	for package in "${packages[@]}"; do
		unpack "$package" "$kernel_tree.new"
	done
	keep_kernel_parts "$kernel_tree.new"
	mv "$kernel_tree.new" "$kernel_tree"
}

# 100 MB of drivers are of no use here.
keep_kernel_parts() {
	local tree=$1
	[[ -d $tree/lib/modules ]] || mv "$tree/usr/lib" "$tree/lib"
	find "$tree" -type f ! -path '*/boot/vmlinuz-*' \
		! -name '*.ko' ! -name '*.ko.xz' ! -name '*.ko.zst' -delete
	find "$tree/lib/modules" -type f \( -path '*/sound/*' -o -path '*/drivers/*' \
		! -path '*/virtio/*' ! -path '*/char/*' ! -path '*/block/*' \
		! -path '*/drivers/net/*.ko*' \) -delete
	find "$tree" -type d -empty -delete
}

make_kernel() {
	unpack_kernel
	step "kernel: taking vmlinux out of the bzImage"
	local image
	image=$(compgen -G "$kernel_tree/boot/vmlinuz-*" | head -n 1) ||
		die "the kernel package holds no vmlinuz"
	"$novactl" image kernel "$image" -o "$1" 2>>"$work/log" >/dev/null
}

# The file of a module, whose name may be written with '-' or '_'; nothing if it is built in.
module_file() {
	local pattern=${1//[-_]/[-_]}
	find "$kernel_tree/lib/modules" -name "$pattern.ko" -o -name "$pattern.ko.xz" \
		-o -name "$pattern.ko.zst" | sort | head -n 1
}

copy_module() {
	case $1 in
	*.xz) xz -dc "$1" >"$2" ;;
	*.zst) zstd -qdc "$1" >"$2" ;;
	*) cp "$1" "$2" ;;
	esac
}

# Adds a module behind the modules it needs. Each .ko names those in a NUL-terminated
# "depends=a,b".
add_module() {
	local name=${1//-/_} into=$2 file need
	[[ -e $into/$name.ko ]] && return
	file=$(module_file "$name")
	[[ $file ]] || return 0
	copy_module "$file" "$into/$name.ko"
	for need in $(tr '\0' '\n' <"$into/$name.ko" |
		sed -n 's/^depends=//p' | tr ',' ' '); do
		add_module "$need" "$into"
	done
	echo "$name.ko" >>"$into/order"
}

make_initramfs() {
	unpack_kernel
	step "initramfs: packing the agent and modules"
	local tree=$work/initramfs name
	mkdir -p "$tree"/{dev,proc,sys,run,tmp,newroot,modules}
	: >"$tree/modules/order"
	for name in "${boot_modules[@]}" "${late_modules[@]}"; do
		add_module "$name" "$tree/modules"
	done
	grep -qx virtio_console.ko "$tree/modules/order" ||
		die "the kernel package has no module virtio_console"
	install -m 0755 "$agent" "$tree/init"
	chmod 0644 "$tree"/modules/*
	find "$tree" -exec touch -h -d @1577836800 {} +
	(cd "$tree" && find . | sort | cpio --quiet -o -H newc --reproducible --owner=0:0) \
		>"$1" 2>>"$work/log"
	rm -rf "$tree"
}
