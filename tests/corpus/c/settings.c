/* SPDX-License-Identifier: MIT */
/* Variables of the environment by the names of the event; what stdin and the arguments are. */
#include "event.h"

#include <unistd.h>

int main(int argc, char **argv)
{
	event_read(argc, argv);
	char *at = event;
	printf("{");
	for (char *name; (name = event_text(&at));) {
		const char *value = getenv(name);
		printf("\"%s\":", name);
		printf(value ? "\"%s\"," : "null,", value);
	}
	char letter;
	printf("\"stdin\":%zd,\"arguments\":%d,\"absolute\":%s}\n", read(0, &letter, 1), argc,
		argv[1][0] == '/' ? "true" : "false");
	return 0;
}
