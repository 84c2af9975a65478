/* SPDX-License-Identifier: MIT */
/* The record of an alias: memory and rules. */
#include "store/store.h"

void alias_record_clear(struct alias_record *r)
{
	free(r->id);
	free(r->name);
	free(r->alias);
	memset(r, 0, sizeof(*r));
}

void alias_record_list_free(struct alias_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		alias_record_clear(&records[i]);
	free(records);
}

/* A number would be a version. */
static bool name_is_good(const char *name)
{
	size_t len = strlen(name);
	if (len < 1 || len > RECORD_NAME_MAX || !is_letter(name[0]) || !strcmp(name, ALIAS_LATEST))
		return false;
	for (; *name; name++)
		if (!is_letter(*name) && !is_digit(*name) && !strchr("-_", *name))
			return false;
	return true;
}

int alias_record_check(const struct alias_record *r, int code, nova_error_t **error)
{
	if (!name_is_good(r->alias))
		return nova_fail(error, code,
			"name: '%.80s' is no name of an alias; use 1 to 64 letters, digits, '-' "
			"and '_', beginning with a letter, and not '" ALIAS_LATEST "'",
			text_is_utf8(r->alias) ? r->alias : "(not UTF-8)");
	if (!r->version)
		return nova_fail(error, code,
			"version: an alias points at a published version, and 0 is none");
	if (!r->second != !r->weight || r->weight > 99)
		return nova_fail(error, code,
			"weight is %u and second %u; give both, the weight from 1 to 99, or none",
			r->weight, r->second);
	if (r->second == r->version)
		return nova_fail(error, code, "second: %u is the first version already", r->second);
	return 0;
}
