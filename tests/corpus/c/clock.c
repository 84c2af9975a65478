/* SPDX-License-Identifier: MIT */
/* The local time of instants in the zone that the event names first: of the C library, which reads
 * the guest's zone data. */
#include "event.h"

#include <time.h>

int main(int argc, char **argv)
{
	event_read(argc, argv);
	char *at = event, text[128];
	const char *zone = event_text(&at), *separator = "";
	if (!zone || setenv("TZ", zone, 1))
		return 2;
	tzset();
	long instant;
	const char *rest = at;
	putchar('[');
	while (event_number(&rest, &instant)) {
		time_t time = instant;
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S%z %Z", localtime(&time));
		printf("%s\"%s\"", separator, text);
		separator = ",";
	}
	printf("]\n");
	return 0;
}
