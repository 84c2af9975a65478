/* SPDX-License-Identifier: MIT */
/* Strings and byte buffers. */
#include <errno.h>

#include "base/base.h"

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

uint8_t *buf_reserve(struct buf *b, size_t len)
{
	if (len > b->max || b->len > b->max - len)
		return NULL;
	size_t need = b->len + len;
	if (need > b->cap) {
		size_t cap = b->cap ? b->cap : 256;
		while (cap < need)
			cap *= 2;
		if (cap > b->max)
			cap = b->max;
		uint8_t *data = realloc(b->data, cap);
		if (!data)
			return NULL;
		b->data = data;
		b->cap = cap;
	}
	return b->data + b->len;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
	if (!len)
		return 0;
	if (len > b->max || b->len > b->max - len)
		return -EMSGSIZE;
	uint8_t *to = buf_reserve(b, len);
	if (!to)
		return -ENOMEM;
	memcpy(to, data, len);
	b->len += len;
	return 0;
}

int buf_append_str(struct buf *b, const char *text)
{
	return buf_append(b, text, strlen(text));
}

void buf_consume(struct buf *b, size_t len)
{
	if (len >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
}

void buf_free(struct buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}

char *buf_steal_str(struct buf *b)
{
	char *text = realloc(b->data, b->len + 1);
	if (!text)
		return NULL;
	text[b->len] = 0;
	b->data = NULL;
	b->len = b->cap = 0;
	return text;
}
