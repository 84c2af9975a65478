/* SPDX-License-Identifier: MIT */
/* What all files use: memory, bytes and time. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serve.h"

#define KEEP (256u << 10) /* a buffer that was longer is given back once it is empty */

void *need(void *memory)
{
	if (memory)
		return memory;
	fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
	exit(EXIT_FAILURE);
}

void bytes_add(struct bytes *bytes, const void *data, size_t len)
{
	if (bytes->len + len + 1 > bytes->capacity) {
		bytes->capacity = 2 * bytes->len + len + 64;
		bytes->data = need(realloc(bytes->data, bytes->capacity));
	}
	if (len)
		memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
	bytes->data[bytes->len] = 0;
}

void bytes_drop(struct bytes *bytes, size_t len)
{
	if (len == bytes->len && bytes->capacity > KEEP) {
		bytes_free(bytes);
		return;
	}
	if (!len)
		return;
	bytes->len -= len;
	memmove(bytes->data, bytes->data + len, bytes->len + 1);
}

void bytes_free(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){ 0 };
}

int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void log_line(log_fn log, int level, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log(level, text);
}
