#!/bin/sh
# SPDX-License-Identifier: MIT
# Greets. The event is the JSON file named by $1; what goes to stdout is the answer. A plain sh has
# no JSON parser, so this takes the one member that it needs, and leaves its escapes as they are:
# they are valid in the answer too.
set -eu
name=$(tr -d '\n' <"$1" | sed -n 's/.*"name"[[:space:]]*:[[:space:]]*"\(\([^"\\]\|\\.\)*\)".*/\1/p')
printf '{"message":"Hello, %s!","runtime":"shell"}\n' "${name:-Anonymous}"
