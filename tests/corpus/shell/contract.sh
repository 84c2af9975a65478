#!/bin/sh
# SPDX-License-Identifier: MIT
# What a shell function is given: arguments, stdin, descriptors, variables, its directory.
echo "by name" >/dev/stderr
echo "by number" >&2
read -r line
printf '{"arguments":%d,"readable":%s,"stdin":"%s","status":%d,"greeting":"%s","home":"%s",' "$#" \
	"$([ -r "$1" ] && echo true || echo false)" "$line" "$?" "$GREETING" "$HOME" >/dev/stdout
printf '"language":"%s","runtime":"%s","handler":%s}\n' "$LANG" "$NOVA_RUNTIME" \
	"$([ -e handler ] && echo true || echo false)"
