# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154,SC2034
# What the image node has besides: Node as the distribution builds it.

rootfs_size[node]=256M
rootfs_packages[node]=

# The one that is built against the distribution's own libnode, which no other source has: the image
# is the same on each machine.
choose_node() {
	newest_node || {
		update_lists && newest_node ||
			die "the package 'nodejs' is not known here; refresh the lists with:" \
				"sudo apt-get update"
	}
}

newest_node() {
	apt_fresh apt-cache show nodejs 2>>"$work/log" |
		awk '/^Version:/ { version = $2 } /^Depends:.*libnode[0-9]/ { own = 1 }
			/^$/ { if (own) print version; own = 0 }' |
		sort -V | sed -n '$s/^/nodejs=/p' | grep .
}
