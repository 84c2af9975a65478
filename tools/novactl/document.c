/* SPDX-License-Identifier: MIT */
/*
 * JSON for people, without a parser's numbers: those of a function's answer keep every digit.
 * Strings are decoded and encoded again, so that letters are letters.
 */
#include <ctype.h>

#include "novactl.h"

#define STEP 2 /* columns a level */

struct printer {
	const char *at, *end;
	int depth;
};

static void skip_space(struct printer *printer)
{
	while (printer->at < printer->end && isspace((unsigned char)*printer->at))
		printer->at++;
}

static void new_line(const struct printer *printer)
{
	printf("\n%*s", printer->depth * STEP, "");
}

static void print_string(struct printer *printer)
{
	const char *begin = printer->at++;
	while (printer->at < printer->end && *printer->at != '"')
		printer->at += *printer->at == '\\' ? 2 : 1;
	printer->at++;
	json_t *text = json_loadb(
		begin, (size_t)(printer->at - begin), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (text)
		print_json_value(text, 0);
	else /* such as half of a surrogate pair */
		fwrite(begin, 1, (size_t)(printer->at - begin), stdout);
	json_decref(text);
}

static void print_open(struct printer *printer)
{
	char open = *printer->at++, close = open == '{' ? '}' : ']';
	putchar(open);
	skip_space(printer);
	if (printer->at < printer->end && *printer->at == close) {
		putchar(close);
		printer->at++;
		return;
	}
	printer->depth++;
	new_line(printer);
}

static void print_token(struct printer *printer)
{
	switch (*printer->at) {
	case '"':
		print_string(printer);
		return;
	case '{':
	case '[':
		print_open(printer);
		return;
	case '}':
	case ']':
		printer->depth--;
		new_line(printer);
		break;
	case ':':
		fputs(": ", stdout);
		printer->at++;
		return;
	case ',':
		putchar(',');
		new_line(printer);
		printer->at++;
		return;
	default:
		break;
	}
	putchar(*printer->at++);
}

void print_json_text(const char *text, size_t len)
{
	struct printer printer = { text, text + len, 0 };
	for (skip_space(&printer); printer.at < printer.end; skip_space(&printer))
		print_token(&printer);
	putchar('\n');
}
