/* SPDX-License-Identifier: MIT */
/*
 * Points at which a call can be refused what it needs. The program defines the functions of the C
 * library that give it (malloc(), open(), send() …), so they stand before the real ones for libnova
 * and for every library below it.
 */
#ifndef NOVA_TESTS_INJECT_POINTS_H
#define NOVA_TESTS_INJECT_POINTS_H

#include <stdbool.h>

enum family {
	MEMORY,    /* an allocation: NULL */
	SYSTEM,    /* a system call: an errno that fits it and what it is done to */
	INTERRUPT, /* a system call that a signal may cut short: EINTR */
	FAMILIES,
};

struct point {
	bool hit; /* false: fewer points than that were reached */
	const char *function;
	int os;
	int depth;
	void *trace[32];
};

/* From now on, in all threads, the nth point (from 1) of the family fails, once. `variant` chooses
 * among the errnos that fit. */
void points_arm(enum family family, unsigned nth, unsigned variant);
struct point points_disarm(void);
/* Prints where that was, for addr2line. */
void point_print(const struct point *point);

#endif
