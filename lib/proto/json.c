/* SPDX-License-Identifier: MIT */
/* Parsing JSON with jansson, which tells a lack of memory as bad syntax. */
#include <errno.h>

#include "proto/proto.h"

#define JANSSON_DEPTH 2048u

/* What our own scanner finds sound can only be refused for one of these reasons. */
static bool is_about_content(const json_error_t *why)
{
	switch (json_error_code(why)) {
	case json_error_duplicate_key:
	case json_error_numeric_overflow:
	case json_error_null_byte_in_key:
	case json_error_null_character:
	case json_error_stack_overflow:
		return true;
	default:
		return false;
	}
}

int json_parse(const char *text, size_t len, size_t flags, json_t **ret_value, json_error_t *ret_why)
{
	json_error_t why = { .line = -1 }; /* jansson writes its code with the words only */
	json_t *value = json_loadb(text, len, flags, &why);
	if (ret_why)
		*ret_why = why;
	if (value) {
		*ret_value = value;
		return 0;
	}
	if (is_about_content(&why) || !json_text_ok(text, len, JANSSON_DEPTH))
		return -EINVAL;
	struct json_span all = json_trim(text, len);
	bool allowed = (flags & JSON_DECODE_ANY) || *all.at == '{' || *all.at == '[';
	return allowed ? -ENOMEM : -EINVAL;
}
