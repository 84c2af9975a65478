/* SPDX-License-Identifier: MIT */
/* Time, randomness and hashes. */
#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/base.h"

uint64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_unix_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t deadline_in_ms(uint64_t ms)
{
	uint64_t now = clock_ns();
	return ms > (NEVER - 1 - now) / 1000000u ? NEVER : now + ms * 1000000u;
}

int deadline_poll_ms(uint64_t deadline)
{
	if (deadline == NEVER)
		return -1;
	uint64_t now = clock_ns();
	if (now >= deadline)
		return 0;
	uint64_t ms = (deadline - now + 999999u) / 1000000u;
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

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
