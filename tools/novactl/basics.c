/* SPDX-License-Identifier: MIT */
/* What all files use: memory, bytes and time. */
#include <time.h>

#include "novactl.h"

#define KEEP (256u << 10) /* a buffer that was longer is given back once it is empty */

void *need(void *memory)
{
	if (memory)
		return memory;
	fputs("novactl: out of memory\n", stderr);
	exit(STATUS_FAILED);
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

uint64_t result_ms(const nova_result_t *result)
{
	return (nova_result_timing_us(result, NOVA_TIMING_TOTAL) + 500) / 1000;
}
