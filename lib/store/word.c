/* SPDX-License-Identifier: MIT */
/* Names of keys, tiers and secrets. */
#include "store/store.h"

static bool is_word(const char *text)
{
	size_t len = strlen(text);
	if (len < 1 || len > RECORD_NAME_MAX || !(is_letter(*text) || is_digit(*text)))
		return false;
	for (; *text; text++)
		if (!is_letter(*text) && !is_digit(*text) && !strchr(".-_", *text))
			return false;
	return true;
}

int word_check(const char *what, const char *text, int code, nova_error_t **error)
{
	return is_word(text) ?
		       0 :
		       nova_fail(error, code,
			       "%s: '%.80s' cannot be one; use 1 to 64 letters, digits, '.', '-' "
			       "and '_', beginning with a letter or a digit",
			       what, text_is_utf8(text) ? text : "(not UTF-8)");
}
