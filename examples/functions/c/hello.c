/* SPDX-License-Identifier: MIT */
/*
 * A function is a static program: its event is the JSON file that its argument names, its answer is
 * JSON on stdout. This one wraps its event, so that it needs no JSON library.
 *
 *     cc -static -O2 -o handler hello.c
 *     novactl register hello-c --runtime binary --code handler
 */
#include <stdio.h>

int main(int argc, char **argv)
{
	FILE *event = argc == 2 ? fopen(argv[1], "re") : NULL;
	if (!event) {
		fprintf(stderr, "usage: handler EVENT.json\n");
		return 1;
	}
	fputs("{\"runtime\":\"c\",\"event\":", stdout);
	for (int c; (c = getc(event)) != EOF;)
		putchar(c);
	puts("}");
	return ferror(event) || fflush(stdout) != 0;
}
