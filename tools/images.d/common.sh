# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# Steps, failures, stamps and the MANIFEST of tools/images.

step_open=

# Begins a step; the next one, or the end, closes its line.
step() {
	close_step ok
	step_started=$SECONDS
	current_step=$*
	printf '%-58s  ' "$*"
	step_open=1
}

close_step() {
	[[ $step_open ]] || return 0
	step_open=
	if ((SECONDS - step_started > 1)); then
		echo "$1 ($((SECONDS - step_started)) s)"
	else
		echo "$1"
	fi
}

die() {
	close_step failed
	echo "tools/images: $*" >&2
	exit 1
}

# What failed without a message of its own.
on_exit() {
	local status=$?
	trap - EXIT
	if ((status)) && [[ $step_open ]]; then
		close_step failed
		if [[ -s $work/log ]]; then
			tail -n 5 "$work/log" >&2
		fi
		echo "tools/images: failed: $current_step" >&2
		echo "tools/images: nothing half-made is used, run it again" >&2
	fi
	[[ ${work:-} ]] && rm -rf "$work"
	exit "$status"
}

prepare() {
	[[ $(uname -m) == x86_64 ]] || die "guest images can only be made on x86-64"
	local tool
	for tool in apt-get dpkg-deb cpio flock; do
		command -v $tool >/dev/null ||
			die "'$tool' is missing: apt-get install ${tool/dpkg-deb/dpkg}"
	done
	[[ $download_only || -x $novactl ]] ||
		die "'$novactl' is missing; build it with: meson setup build && ninja -C build"
	mkdir -p "$dir"/{kernel,rootfs,.stamps} "$cache/packages" 2>/dev/null &&
		[[ -w $dir && -w $dir/kernel && -w $dir/rootfs ]] ||
		die "cannot write in '$dir'; choose another with --dir"
	dir=$(cd "$dir" && pwd)
	exec 9>"$dir/.lock"
	flock -n 9 || {
		echo "another tools/images is at work in $dir; waiting for it"
		flock 9
	}
	rm -rf "$dir"/.work.* # of runs that were killed: the lock says that none is alive
	work=$(mktemp -d "$dir/.work.XXXXXX")
	: >"$work/log"
	trap on_exit EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

finish() {
	close_step ok
	echo "images are in $dir"
	if ((EUID == 0)) && [[ ${SUDO_USER:-root} != root && $dir == "$cache"/* ]]; then
		echo "that is root's cache: to run functions as $SUDO_USER, run this as" \
			"$SUDO_USER, without sudo"
	fi
}

# The root file systems begin a function's first call with a guest that has booted: its template,
# which is made here, for this user. Functions work without it, too.
make_templates() {
	local target runtimes=()
	[[ $templates ]] || return 0
	for target in "$@"; do
		case $target in
		kernel | initramfs) ;;
		base) runtimes+=(shell) ;;
		*) runtimes+=("$target") ;;
		esac
	done
	((${#runtimes[@]})) || return 0
	# The lock of the images is not for what novactl starts.
	NOVA_IMAGES=$dir "$novactl" template prepare "${runtimes[@]}" 9>&- ||
		echo "tools/images: without templates the first function of a runtime boots a" \
			"guest; later: $novactl template prepare" >&2
}

path_of() {
	case $1 in
	kernel) echo kernel/vmlinux ;;
	initramfs) echo kernel/initramfs.cpio ;;
	*) echo "rootfs/$1.ext4" ;;
	esac
}

# What a target is made of, into the cache.
fetch_image() {
	case $1 in
	kernel | initramfs) unpack_kernel ;;
	*) fetch_rootfs "$1" ;;
	esac
}

# One target: skipped if its inputs are those of its stamp and the file is whole.
make_image() {
	local target=$1 path stamp
	path=$(path_of "$target")
	stamp=$dir/.stamps/$target
	step "$target: looking at its inputs"
	inputs_of "$target" >"$work/inputs"
	if [[ ! $force ]] && cmp -s "$work/inputs" "$stamp" && is_whole "$path"; then
		close_step unchanged
		return
	fi
	rm -f "$stamp"
	case $target in
	kernel | initramfs) "make_$target" "$work/$target.out" ;;
	*) make_rootfs "$target" "$work/$target.out" ;;
	esac
	publish "$target" "$path" "$work/$target.out"
	mv "$work/inputs" "$stamp"
}

# Everything that decides the bytes of an image.
inputs_of() {
	local nova=${agent%/*}/nova
	cat "$here/images" "$here"/images.d/*.sh | sha256sum
	case $1 in
	kernel) kernel_packages ;;
	initramfs)
		kernel_packages
		[[ -f $agent ]] ||
			die "the agent '$agent' is missing; build it with: ninja -C build"
		sha256sum <"$agent"
		;;
	*)
		packages_of "$1"
		[[ -f $nova ]] || die "'$nova' is missing; build it with: ninja -C build"
		sha256sum <"$nova"
		;;
	esac
}

is_whole() {
	NOVA_IMAGES=$dir "$novactl" image check "$1" >/dev/null 2>&1
}

# Whether the file is what the MANIFEST says of that path, and what is there is whole.
is_known() {
	grep -qxF "$1  $2  $3" "$dir/MANIFEST" 2>/dev/null && is_whole "$3"
}

# Moves a finished file into its place and into the MANIFEST. One that came out as it was stays the
# file that it is, so that the templates made of it go on fitting.
publish() {
	local target=$1 path=$2 file=$3 sum size manifest=$work/manifest
	step "$target: recording its checksum"
	sum=$(sha256sum <"$file")
	size=$(stat -c %s "$file")
	if is_known "${sum%% *}" "$size" "$path"; then
		rm "$file"
		close_step "the same as before"
		return
	fi
	if [[ -f $dir/MANIFEST ]]; then
		awk -v path="$path" '$3 != path' "$dir/MANIFEST" >"$manifest"
	else
		: >"$manifest"
	fi
	printf '%s  %s  %s\n' "${sum%% *}" "$size" "$path" >>"$manifest"
	sort -k3 -o "$manifest" "$manifest"
	sync "$file" "$manifest"
	mv "$file" "$dir/$path"
	mv "$manifest" "$dir/MANIFEST"
	is_whole "$path" || die "'$dir/$path' was not written whole"
	close_step "$(numfmt --to=iec "$size")"
}
