/* SPDX-License-Identifier: MIT */
/* Growing byte buffers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

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
