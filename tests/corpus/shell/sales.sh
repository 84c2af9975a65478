#!/bin/sh
# SPDX-License-Identifier: MIT
# Sums the numbers of an event {"north": 3, "south": 4, ...} with awk.
tr -d '{}" \n' <"$1" | tr ',' '\n' | awk -F: '
	NF == 2 { sum += $2; if ($2 > most) { most = $2; best = $1 } }
	END { printf "{\"sum\":%d,\"best\":\"%s\",\"mean\":%.2f}\n", sum, best, NR ? sum / NR : 0 }'
