# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# Packages of the distribution: which ones, downloaded, unpacked. Nothing is installed.

# A tool of apt, as if nothing were installed, so that the set does not depend on this machine.
apt_fresh() {
	: >"$work/no-packages"
	"$1" -o Dir::State::status="$work/no-packages" -o Dir::Cache::pkgcache= \
		-o Dir::Cache::srcpkgcache= -o APT::Install-Recommends=0 -o Debug::NoLocking=1 \
		"${@:2}"
}

short_hash() {
	sha256sum | cut -c 1-16
}

hash_of() {
	printf '%s\n' "$@" | short_hash
}

# A name that changes when the package lists do.
lists_key() {
	local apt=/etc/apt
	{
		find /var/lib/apt/lists -maxdepth 1 -type f ! -name lock \
			-printf '%f %s %T@\n' | sort
		cat $apt/sources.list{,.d/*} $apt/preferences{,.d/*} 2>/dev/null || true
	} | short_hash
}

simulate() {
	apt_fresh apt-get -qq -s install "$@" 2>>"$work/log" |
		sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p' | sort
}

update_lists() {
	((EUID == 0)) || return 1
	apt-get -qq update >>"$work/log" 2>&1
	key=
}

# Prints package=version, one a line, of packages and all they need. Remembered until the lists
# change.
resolve() {
	local known
	key=${key:-$(lists_key)}
	known=$cache/packages/list-$key-$(hash_of "$@")
	if [[ ! -s $known ]]; then
		if ! simulate_well "$@"; then
			update_lists && simulate_well "$@" ||
				die "the packages '$*' are not known here; refresh the lists" \
					"with: sudo apt-get update"
			known=$cache/packages/list-$(lists_key)-$(hash_of "$@")
		fi
		mv "$work/resolved" "$known"
	fi
	cat "$known"
}

simulate_well() {
	simulate "$@" >"$work/resolved" && [[ -s $work/resolved ]]
}

# The file name that apt gives a package: a colon in the version is %3a.
deb_of() {
	local found name=${1%%=*} version=${1#*=}
	found=$(compgen -G "$cache/packages/${name}_${version}_*.deb" ||
		compgen -G "$cache/packages/${name}_${version/:/%3a}_*.deb") || return 1
	head -n 1 <<<"$found"
}

# Downloads what the cache does not have; apt checks the signatures' hashes.
download() {
	local package wanted=()
	for package; do
		deb_of "$package" >/dev/null || wanted+=("$package")
	done
	((${#wanted[@]})) || return 0
	rm -rf "$cache/packages/partial.new"
	mkdir "$cache/packages/partial.new"
	if ! fetch_into "$cache/packages/partial.new" "${wanted[@]}"; then
		update_lists || true
		fetch_into "$cache/packages/partial.new" "${wanted[@]}" ||
			die "cannot download packages; is there a network? Refresh old lists" \
				"with: sudo apt-get update"
	fi
	mv "$cache"/packages/partial.new/*.deb "$cache/packages/"
	rmdir "$cache/packages/partial.new"
}

fetch_into() {
	local into=$1
	shift
	(cd "$into" && apt-get -qq -o APT::Sandbox::User= download "$@" >>"$work/log" 2>&1)
}

# Unpacks one package into a tree in which lib, bin and sbin are links into usr.
unpack() {
	dpkg-deb --fsys-tarfile "$(deb_of "$1")" |
		tar -x -C "$2" --keep-directory-symlink --no-same-owner -p "${@:3}" 2>>"$work/log"
}
