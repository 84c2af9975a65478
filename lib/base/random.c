/* SPDX-License-Identifier: MIT */
/* Randomness. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/types.h>

#include "base/random.h"

int random_bytes(void *out, size_t len)
{
	uint8_t *at = out;
	while (len) {
		ssize_t got = getrandom(at, len, 0);
		if (got < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		at += got;
		len -= (size_t)got;
	}
	return 0;
}

int random_hex(char *out, size_t digits)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t bytes[64];
	if (digits > sizeof(bytes))
		return -EINVAL;
	int r = random_bytes(bytes, digits);
	for (size_t i = 0; r == 0 && i < digits; i++)
		out[i] = hex[bytes[i] & 15];
	out[r == 0 ? digits : 0] = 0;
	return r;
}

int random_uuid(char out[UUID_SIZE])
{
	uint8_t b[16];
	int r = random_bytes(b, sizeof(b));
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	for (size_t i = 0, at = 0; r == 0 && i < sizeof(b); i++) {
		bool dash = i == 4 || i == 6 || i == 8 || i == 10;
		at += (size_t)snprintf(out + at, UUID_SIZE - at, "%s%02x", dash ? "-" : "", b[i]);
	}
	return r;
}
