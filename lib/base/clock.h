/* SPDX-License-Identifier: MIT */
/* Time. */
#ifndef NOVA_LIB_BASE_CLOCK_H
#define NOVA_LIB_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NEVER UINT64_MAX /* a deadline that does not come */

uint64_t clock_ns(void);      /* monotonic */
uint64_t clock_unix_us(void); /* wall clock */
uint64_t deadline_in_ms(uint64_t ms);
/* Milliseconds until the deadline for poll(2): -1 never, 0 passed; rounded up so that poll does not
 * spin. */
int deadline_poll_ms(uint64_t deadline);
static inline bool deadline_passed(uint64_t deadline)
{
	return deadline != NEVER && clock_ns() >= deadline;
}

static inline uint64_t timespec_to_ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}
static inline struct timespec ns_to_timespec(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
}

/* For wall clocks, which reach further in microseconds, and back. */
static inline int64_t timespec_to_us(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000 + t->tv_nsec / 1000;
}
static inline struct timespec us_to_timespec(int64_t us)
{
	return (struct timespec){ us / 1000000, us % 1000000 * 1000 };
}

#endif
