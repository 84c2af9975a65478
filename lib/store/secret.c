/* SPDX-License-Identifier: MIT */
/* The record of a secret: memory and rules. */
#include "store/store.h"

void secret_record_clear(struct secret_record *r)
{
	free(r->name);
	free(r->key_id);
	free(r->sealed);
	memset(r, 0, sizeof(*r));
}

void secret_record_list_free(struct secret_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		secret_record_clear(&records[i]);
	free(records);
}

int secret_record_copy(
	struct secret_record *to, const struct secret_record *from, nova_error_t **error)
{
	*to = *from;
	to->name = strdup(from->name);
	to->key_id = strdup(from->key_id);
	to->sealed = malloc(from->sealed_len + 1);
	if (to->name && to->key_id && to->sealed) {
		memcpy(to->sealed, from->sealed, from->sealed_len);
		return 0;
	}
	secret_record_clear(to);
	return nova_oom(error);
}

int secret_record_check(const struct secret_record *r, int code, nova_error_t **error)
{
	int r_name = word_check("name", r->name, code, error);
	if (r_name < 0)
		return r_name;
	if (strlen(r->key_id) != SECRET_KEY_ID - 1 ||
		strspn(r->key_id, "0123456789abcdef") < SECRET_KEY_ID - 1)
		return nova_fail(error, code, "the id of its key is none");
	if (r->sealed && (r->sealed_len < SECRET_SEAL || r->sealed_len > SECRET_SEALED_MAX))
		return nova_fail(error, code, "what is kept of it has %zu bytes: %u to %u",
			r->sealed_len, SECRET_SEAL, SECRET_SEALED_MAX);
	return 0;
}
