/* SPDX-License-Identifier: MIT */
/* Prints as many bytes as it is told: one text, or JSON that is as long. */
#include "event.h"

int main(int argc, char **argv)
{
	event_read(argc, argv);
	const char *at = event;
	long bytes = 0;
	event_number(&at, &bytes);
	const char *unit = strstr(event, "list") ? "[12345]," : "\"\\\t\xc3\xa9 ab";
	if (*unit == '[')
		putchar('[');
	for (long i = 0; i < bytes; i += 8)
		fputs(unit, stdout);
	if (*unit == '[')
		fputs("[]]", stdout);
	return fflush(stdout) != 0;
}
