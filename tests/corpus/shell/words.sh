#!/bin/sh
# SPDX-License-Identifier: MIT
# The most frequent words of a text, by sort and uniq, through files of /tmp.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
tr -cs 'A-Za-z' '\n' <"$1" | tr 'A-Z' 'a-z' | grep . >"$place/words"
sort "$place/words" | uniq -c | sort -k1,1nr -k2,2 | head -n 3 >"$place/common"
while read -r count word; do
	echo "$word $count"
done <"$place/common"
echo "$(wc -l <"$place/words") words" >&2
