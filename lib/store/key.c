/* SPDX-License-Identifier: MIT */
/* The record of a key: memory and rules. */
#include "hash/hash.h"
#include "store/store.h"

void key_record_clear(struct key_record *r)
{
	free(r->name);
	free(r->hash);
	free(r->prefix);
	free(r->tier);
	memset(r, 0, sizeof(*r));
}

void key_record_list_free(struct key_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		key_record_clear(&records[i]);
	free(records);
}

int key_record_copy(struct key_record *to, const struct key_record *from, nova_error_t **error)
{
	*to = *from;
	to->name = strdup(from->name);
	to->hash = strdup(from->hash);
	to->prefix = strdup(from->prefix);
	to->tier = strdup(from->tier);
	if (to->name && to->hash && to->prefix && to->tier)
		return 0;
	key_record_clear(to);
	return nova_oom(error);
}

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

static int check_word(const char *what, const char *text, int code, nova_error_t **error)
{
	return is_word(text) ?
		       0 :
		       nova_fail(error, code,
			       "%s: '%.80s' cannot be one; use 1 to 64 letters, digits, '.', '-' "
			       "and '_', beginning with a letter or a digit",
			       what, text_is_utf8(text) ? text : "(not UTF-8)");
}

int key_record_check(const struct key_record *r, int code, nova_error_t **error)
{
	int r_name = check_word("name", r->name, code, error);
	if (r_name < 0)
		return r_name;
	if (strlen(r->hash) != SHA256_HEX - 1 || strspn(r->hash, "0123456789abcdef") < 64)
		return nova_fail(error, code, "its hash is no SHA-256");
	return check_word("tier", r->tier, code, error);
}
