/* SPDX-License-Identifier: MIT */
/* Ends as the event says: with a status, by a signal, without a word. */
#include "event.h"

#include <signal.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	event_read(argc, argv);
	const char *at = event;
	long number = 0;
	event_number(&at, &number);
	printf("\"what a failure prints is no answer\"\n");
	fflush(stdout);
	if (strstr(event, "signal"))
		raise((int)number);
	if (!strstr(event, "silent"))
		fprintf(stderr, "first line\nno such city: %ld\n", number);
	return (int)number;
}
