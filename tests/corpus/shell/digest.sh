#!/bin/sh
# SPDX-License-Identifier: MIT
# Digest, Base64 and gzip of a text, and their way back.
text=$(sed 's/^"//; s/"$//' "$1")
encoded=$(printf '%s' "$text" | gzip -n | base64 | tr -d '\n')
back=$(printf '%s' "$encoded" | base64 -d | gzip -d)
sum=$(printf '%s' "$text" | sha256sum | cut -d' ' -f1)
same=$([ "$back" = "$text" ] && echo true || echo false)
printf '{"sha256":"%s","base64":"%s","same":%s}\n' "$sum" \
	"$(printf '%s' "$text" | base64 | tr -d '\n')" "$same"
