/* SPDX-License-Identifier: MIT */
/* A module of test_runtimes.py: tells what it can open, or does what its event asks for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *yes(FILE *file)
{
	return file ? "true" : "false";
}

static char *volatile last; /* the compiler would leave out what nobody sees */

static void take_all_memory(void)
{
	while ((last = malloc(1 << 20)))
		memset(last, 1, 1 << 20);
}

int main(int argc, char **argv)
{
	char event[64] = "";
	FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
	if (!file || !fgets(event, sizeof(event), file))
		return 9;
	if (strstr(event, "trap"))
		__builtin_trap();
	if (strstr(event, "grow"))
		take_all_memory();
	if (strstr(event, "exit")) {
		fprintf(stderr, "no such city\n");
		return 3;
	}
	printf("{\"event\":%s,\"who\":\"%s\",\"relative\":%s,\"absolute\":%s,\"written\":%s,"
	       "\"outside\":%s}\n",
		event, getenv("WHO"), yes(fopen("data.txt", "r")),
		yes(fopen("/code/data.txt", "r")), yes(fopen("/tmp/made", "w")),
		yes(fopen("/etc/passwd", "r")));
	return 0;
}
