/* SPDX-License-Identifier: MIT */
/* The record of a function: memory and rules. */
#include "store/store.h"

#define YEAR_10000_US 253402300800000000u

void record_clear(struct function_record *r)
{
	free(r->id);
	free(r->name);
	free(r->code_path);
	free(r->code_hash);
	function_config_done(&r->config);
	memset(r, 0, sizeof(*r));
}

void record_list_free(struct function_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		record_clear(&records[i]);
	free(records);
}

static bool copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return *to || !from;
}

int record_copy(
	struct function_record *to, const struct function_record *from, nova_error_t **error)
{
	AUTO_RECORD struct function_record copy = {
		.version = from->version,
		.created_us = from->created_us,
		.updated_us = from->updated_us,
	};
	if (!copy_text(&copy.id, from->id) || !copy_text(&copy.name, from->name) ||
		!copy_text(&copy.code_path, from->code_path) ||
		!copy_text(&copy.code_hash, from->code_hash) ||
		function_config_copy(&copy.config, &from->config) < 0)
		return nova_oom(error);
	*to = copy;
	memset(&copy, 0, sizeof(copy));
	return 0;
}

/* --- rules --- */

static bool name_is_good(const char *name)
{
	size_t len = strlen(name);
	if (len < 1 || len > RECORD_NAME_MAX || !(is_letter(name[0]) || is_digit(name[0])))
		return false;
	for (; *name; name++)
		if (!is_letter(*name) && !is_digit(*name) && !strchr("-_.", *name))
			return false;
	return true;
}

int record_check_fields(const struct function_record *r, int code, nova_error_t **error)
{
	if (!name_is_good(r->name))
		return nova_fail(error, code,
			"name: '%.80s' is no function name; use 1 to 64 letters, digits, '-', '_' "
			"and '.', beginning with a letter or digit",
			text_is_utf8(r->name) ? r->name : "(not UTF-8)");
	if (!text_is_utf8(r->code_path))
		return nova_fail(error, code, "code_path: the path is not UTF-8");
	if (strlen(r->code_path) > RECORD_PATH_MAX)
		return nova_fail(error, code, "code_path: the path is longer than %d bytes",
			RECORD_PATH_MAX);
	return function_config_check(&r->config, code, error);
}

static bool is_hex_text(const char *text, const char *shape)
{
	for (; *shape; shape++, text++)
		if (*shape == '-' ? *text != '-' :
				    !(is_digit(*text) || (*text >= 'a' && *text <= 'f')))
			return false;
	return !*text;
}

int record_check(const struct function_record *r, int code, nova_error_t **error)
{
	if (!is_hex_text(r->id, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"))
		return nova_fail(error, code, "id: this is no UUID");
	if (!is_hex_text(r->code_hash,
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"))
		return nova_fail(error, code, "code_hash: this is no SHA-256");
	if (!r->version)
		return nova_fail(error, code, "version: it begins at 1");
	if (r->created_us >= YEAR_10000_US || r->updated_us >= YEAR_10000_US)
		return nova_fail(error, code, "created_at, updated_at: beyond the year 9999");
	return record_check_fields(r, code, error);
}
