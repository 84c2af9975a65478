# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# Packages of the distribution: which ones, downloaded, unpacked. Nothing is installed.

# As if nothing were installed, so that the set does not depend on this machine.
apt_fresh() {
	apt-get -o Dir::State::status="$work/no-packages" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
		-o APT::Install-Recommends=0 -o Debug::NoLocking=1 "$@"
}

# A name that changes when the package lists do.
lists_key() {
	{
		find /var/lib/apt/lists -maxdepth 1 -type f ! -name lock -printf '%f %s %T@\n' | sort
		cat /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/preferences /etc/apt/preferences.d/* 2>/dev/null || true
	} | sha256sum | cut -c 1-16
}

simulate() {
	: >"$work/no-packages"
	apt_fresh -qq -s install "$@" 2>>"$work/log" | sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p' | sort
}

update_lists() {
	((EUID == 0)) || return 1
	apt-get -qq update >>"$work/log" 2>&1
	key=
}

# Prints package=version, one a line, of packages and all they need. Remembered until the lists change.
resolve() {
	local known
	key=${key:-$(lists_key)}
	known=$cache/packages/list-$key-$(printf '%s\n' "$@" | sha256sum | cut -c 1-16)
	if [[ ! -s $known ]]; then
		if ! simulate "$@" >"$work/resolved" || [[ ! -s $work/resolved ]]; then
			{ update_lists && simulate "$@" >"$work/resolved" && [[ -s $work/resolved ]]; } ||
				die "the packages '$*' are not known here; refresh the lists with: sudo apt-get update"
			known=${known/list-*-/list-$(lists_key)-}
		fi
		mv "$work/resolved" "$known"
	fi
	cat "$known"
}

# The file name that apt gives a package: a colon in the version is %3a.
deb_of() {
	local found
	found=$(compgen -G "$cache/packages/${1%%=*}_${1#*=}_*.deb" || compgen -G "$cache/packages/${1%%=*}_$(sed 's/:/%3a/' <<<"${1#*=}")_*.deb") || return 1
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
			die "cannot download packages; is there a network? Old lists are refreshed with: sudo apt-get update"
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
