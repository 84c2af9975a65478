#!/bin/sh
# SPDX-License-Identifier: MIT
# Ports of services, numbers of protocols, and whether there are certificates: files of /etc.
name=$(sed -n 's/.*"service": *"\([a-z0-9-]*\)".*/\1/p' "$1")
port=$(awk -v name="$name" '$1 == name && $2 ~ /\/tcp$/ { print $2; exit }' /etc/services)
if [ -z "$port" ]; then
	echo "no service $name" >&2
	exit 69
fi
protocol=$(awk '$1 == "tcp" { print $2 }' /etc/protocols)
roots=$(grep -c 'BEGIN CERTIFICATE' /etc/ssl/certs/ca-certificates.crt)
enough=$([ "$roots" -gt 50 ] && echo true || echo false)
printf '{"port":"%s","tcp":%d,"roots":%s}\n' "$port" "$protocol" "$enough"
