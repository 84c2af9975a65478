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

int key_record_check(const struct key_record *r, int code, nova_error_t **error)
{
	int r_name = word_check("name", r->name, code, error);
	if (r_name < 0)
		return r_name;
	if (strlen(r->hash) != SHA256_HEX - 1 || strspn(r->hash, "0123456789abcdef") < 64)
		return nova_fail(error, code, "its hash is no SHA-256");
	return word_check("tier", r->tier, code, error);
}
