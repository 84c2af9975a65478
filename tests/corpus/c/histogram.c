/* SPDX-License-Identifier: MIT */
/* Mean, deviation and a histogram of numbers, with the mathematics of the C library. */
#include "event.h"

#include <math.h>

#define BARS 8

int main(int argc, char **argv)
{
	static long numbers[4096];
	size_t count = 0, bars[BARS] = { 0 };
	double sum = 0, squares = 0;
	event_read(argc, argv);
	for (const char *at = event; count < 4096 && event_number(&at, &numbers[count]); count++) {
		sum += (double)numbers[count];
		squares += (double)numbers[count] * (double)numbers[count];
		double bar = numbers[count] > 0 ? log2((double)numbers[count]) : 0;
		bars[bar < BARS ? (size_t)bar : BARS - 1]++;
	}
	if (!count) {
		fprintf(stderr, "there are no numbers\n");
		return 65;
	}
	double mean = sum / (double)count;
	printf("{\"mean\":%.6f,\"deviation\":%.6f,\"bars\":[", mean,
		sqrt(squares / (double)count - mean * mean));
	for (int i = 0; i < BARS; i++)
		printf(i ? ",%zu" : "%zu", bars[i]);
	printf("]}\n");
	return 0;
}
