/* SPDX-License-Identifier: MIT */
/* Strings. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/text.h"

char *str_format(const char *format, ...)
{
	char *text;
	va_list args;
	va_start(args, format);
	int len = vasprintf(&text, format, args);
	va_end(args);
	return len < 0 ? NULL : text;
}

bool str_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Levenshtein distance of two short words; anything long counts as far. */
static size_t word_distance(const char *a, const char *b)
{
	size_t row[64], n = strlen(b);
	if (n >= ARRAY_LEN(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t above = row[j];
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = above;
			row[j] = best;
		}
	}
	return row[n];
}

const char *str_nearest(const char *word, const char *const *list)
{
	const char *nearest = NULL;
	size_t best = strlen(word) / 3 + 2; /* further off than this is no typo */
	for (; *list; list++) {
		size_t distance = word_distance(word, *list);
		if (distance < best) {
			best = distance;
			nearest = *list;
		}
	}
	return nearest;
}

/* scanf would take signs and spaces, too. */
bool str_take_number(const char **at, unsigned *ret)
{
	size_t digits = strspn(*at, "0123456789");
	*ret = 0;
	for (size_t i = 0; i < digits && digits <= 4; i++)
		*ret = *ret * 10 + (unsigned)((*at)[i] - '0');
	*at += digits;
	return digits >= 1 && digits <= 4;
}

char *path_join(const char *directory, const char *name)
{
	return str_format("%s/%s", directory, name);
}

void strv_free(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}
