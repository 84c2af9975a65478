/* SPDX-License-Identifier: MIT */
/* Parsing JSON with jansson, which tells a lack of memory as bad syntax. */
#include <errno.h>

#include "json/json.h"

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

/* Without memory for a longer token jansson leaves out one of its bytes and says nothing. That does
 * not happen twice in the same way. */
static bool is_true_to(const json_t *value, const char *text, size_t len, size_t flags)
{
	json_t *again = json_loadb(text, len, flags, NULL);
	bool same = again && json_equal(value, again);
	json_decref(again);
	return same;
}

static bool is_allowed(const char *text, size_t len, size_t flags)
{
	struct json_span all = json_trim(text, len);
	return (flags & JSON_DECODE_ANY) || *all.at == '{' || *all.at == '[';
}

int json_parse(
	const char *text, size_t len, size_t flags, json_t **ret_value, json_error_t *ret_why)
{
	json_error_t why = { .line = -1 }; /* jansson writes its code with the words only */
	json_t *value = json_loadb(text, len, flags, &why);
	if (ret_why)
		*ret_why = why;
	if (value && is_true_to(value, text, len, flags)) {
		*ret_value = value;
		return 0;
	}
	json_decref(value);
	if (value)
		return -ENOMEM;
	return is_about_content(&why) || !json_text_ok(text, len, JANSSON_DEPTH) ||
			       !is_allowed(text, len, flags) ?
		       -EINVAL :
		       -ENOMEM;
}
