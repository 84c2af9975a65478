/* SPDX-License-Identifier: MIT */
/* Any bytes as what a function asks for: refused, or read with texts that end where they say. */
#include <stdlib.h>
#include <string.h>

#include "kv/kv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sound(struct json_span span, const char *text, size_t len)
{
	if (!span.at)
		return;
	if (span.at < text || span.at + span.len > text + len || strlen(span.at) != span.len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = malloc(size + 1);
	struct kv_ask ask;
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	if (kv_ask_read(text, size, &ask, NULL) < 0)
		return 0;
	const struct json_span spans[] = { ask.op, ask.key, ask.value, ask.type, ask.prefix,
		ask.after };
	for (size_t i = 0; i < ARRAY_LEN(spans); i++)
		sound(spans[i], text, size);
	if (ask.ttl_ms < 0 || ask.if_version < 0 || ask.limit < 0)
		abort();
	return 0;
}
