/* SPDX-License-Identifier: MIT */
/* Calendar months, in UTC. */
#include <time.h>

#include "usage/usage.h"

uint64_t usage_month_of(uint64_t time_us)
{
	struct tm parts;
	time_t seconds = (time_t)(time_us / 1000000u);
	if (!gmtime_r(&seconds, &parts))
		return 0;
	return (uint64_t)(parts.tm_year + 1900) * 12u + (uint64_t)parts.tm_mon;
}

uint64_t usage_month_begin_us(uint64_t month)
{
	struct tm parts = {
		.tm_year = (int)(month / 12u) - 1900, .tm_mon = (int)(month % 12u), .tm_mday = 1
	};
	return (uint64_t)timegm(&parts) * 1000000u;
}
