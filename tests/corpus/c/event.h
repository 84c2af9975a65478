/* SPDX-License-Identifier: MIT */
/* The event: the file that the first argument names. Only what these functions need of JSON. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char event[1 << 20];

/* Reads it; whoever is called without one ends. */
static inline void event_read(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
	if (!file) {
		fprintf(stderr, "usage: handler EVENT.json\n");
		exit(2);
	}
	event[fread(event, 1, sizeof(event) - 1, file)] = '\0';
	fclose(file);
}

/* The next whole number behind *at, which is moved; false: there is none. */
static inline int event_number(const char **at, long *ret)
{
	while (**at && !isdigit((unsigned char)**at) && **at != '-')
		++*at;
	if (!**at)
		return 0;
	char *end;
	*ret = strtol(*at, &end, 10);
	*at = end;
	return 1;
}

/* The next text behind *at, which is moved; cuts it out of the event. Escapes are kept as they are.
 */
static inline char *event_text(char **at)
{
	char *begin = strchr(*at, '"');
	char *end = begin ? strchr(begin + 1, '"') : NULL;
	if (!end)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return begin + 1;
}
