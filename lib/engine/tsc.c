/* SPDX-License-Identifier: MIT */
/*
 * How fast does the processor's time stamp counter run? Under TCG the guest reads the host's
 * counter, but has nothing to measure it by that is reliable on a loaded host: Linux tries the PIT,
 * fails when the host is busy, and hangs. So it is told.
 */
#include <time.h>
#include <x86intrin.h>

#include "engine/tsc.h"

/* reading both clocks costs some 50 ns: an error of under 10 in a million */
#define LEAST_NS 8000000u

/* Both clocks at one moment: the closest of a few pairs, as any of them may be interrupted. */
struct tsc_sample tsc_take(void)
{
	struct tsc_sample best = { 0, 0 };
	uint64_t closest = UINT64_MAX;
	for (int i = 0; i < 8; i++) {
		uint64_t before = __rdtsc(), ns = clock_ns(), after = __rdtsc();
		if (after - before < closest) {
			closest = after - before;
			best = (struct tsc_sample){ before + (after - before) / 2, ns };
		}
	}
	return best;
}

uint64_t tsc_khz_since(const struct tsc_sample *begin)
{
	uint64_t elapsed = clock_ns() - begin->ns;
	if (elapsed < LEAST_NS) {
		struct timespec rest = { 0, (long)(LEAST_NS - elapsed) };
		nanosleep(&rest, NULL);
	}
	struct tsc_sample end = tsc_take();
	return (uint64_t)((double)(end.ticks - begin->ticks) * 1e6 / (double)(end.ns - begin->ns));
}
