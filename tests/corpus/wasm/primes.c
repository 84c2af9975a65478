/* SPDX-License-Identifier: MIT */
/* The factors of a number. */
#include "wasi.h"

void _start(void)
{
	event_read();
	uint64_t number = event_number();
	if (number < 2)
		fail(65, "only numbers from 2 on have factors");
	const char *separator = "[";
	for (uint64_t factor = 2; number > 1; factor++) {
		if (factor * factor > number)
			factor = number;
		while (number % factor == 0) {
			put(separator);
			put_number(factor);
			separator = ",";
			number /= factor;
		}
	}
	put("]\n");
}
