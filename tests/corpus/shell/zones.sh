#!/bin/sh
# SPDX-License-Identifier: MIT
# One instant in several zones.
instant=$(sed -n 's/.*"instant": *\([0-9]*\).*/\1/p' "$1")
for zone in UTC Europe/Berlin America/New_York Asia/Kolkata Pacific/Chatham; do
	TZ=$zone date -d "@$instant" '+%Y-%m-%d %H:%M %Z %z'
done
