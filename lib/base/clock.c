/* SPDX-License-Identifier: MIT */
/* Time. */
#include <time.h>

#include "base/clock.h"

uint64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return timespec_to_ns(&t);
}

uint64_t clock_unix_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return timespec_to_ns(&t) / 1000u;
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
