/* SPDX-License-Identifier: MIT */
/* The records of what functions keep: memory and rules. */
#include "store/store.h"

void kv_record_clear(struct kv_record *r)
{
	free(r->key);
	free(r->value);
	memset(r, 0, sizeof(*r));
}

void kv_record_list_free(struct kv_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		kv_record_clear(&records[i]);
	free(records);
}

void file_record_clear(struct file_record *r)
{
	free(r->name);
	free(r->type);
	free(r->hash);
	free(r->data);
	memset(r, 0, sizeof(*r));
}

void file_record_list_free(struct file_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		file_record_clear(&records[i]);
	free(records);
}

/* --- rules --- */

int kv_text_check(const char *what, const char *text, size_t most, int code, nova_error_t **error)
{
	size_t len = text ? strlen(text) : 0;
	if (!len || len > most || !text_is_utf8(text))
		return nova_fail(error, code, "%s: required, 1 to %zu bytes of UTF-8", what, most);
	if (text_has_control(text)) /* a guest chooses it */
		return nova_fail(error, code, "%s: it has a control character", what);
	return 0;
}

bool kv_is_type(const char *type)
{
	size_t len = strlen(type);
	for (size_t i = 0; i < len; i++)
		if (type[i] < ' ' || type[i] > '~')
			return false;
	return len && len <= KV_TYPE_MAX && type[0] != ' ' && type[len - 1] != ' ';
}

int kv_record_check(const struct kv_record *r, int code, nova_error_t **error)
{
	int bad = kv_text_check("key", r->key, KV_KEY_MAX, code, error);
	if (bad < 0)
		return bad;
	if (r->len > KV_VALUE_MAX)
		return nova_fail(error, code, "the value of '%.80s' has %zu bytes, and may have %u",
			r->key, r->len, KV_VALUE_MAX);
	if (!r->version || r->version > KV_VERSION_MAX || r->expires_us > INT64_MAX)
		return nova_fail(error, code,
			"the version of '%.80s', or the time at which it goes, is none", r->key);
	return 0;
}

int file_record_check(const struct file_record *r, int code, nova_error_t **error)
{
	int bad = kv_text_check("name", r->name, KV_NAME_MAX, code, error);
	if (bad < 0)
		return bad;
	if (!kv_is_type(r->type) || r->len > KV_FILE_MAX || r->updated_us > INT64_MAX)
		return nova_fail(error, code,
			"the type, the size or the time of the file '%.80s' is none", r->name);
	return 0;
}
