/* SPDX-License-Identifier: MIT */
/* What is done with aliases. */
#include "store/sql/sql.h"

#define KIND "alias"

static int fail_missing(const char *name, const char *alias, nova_error_t **error)
{
	bool readable = text_is_utf8(name) && text_is_utf8(alias);
	return nova_fail(error, NOVA_ENOTFOUND, "function '%.80s' has no alias '%.80s'",
		readable ? name : "(not UTF-8)", readable ? alias : "(not UTF-8)");
}

static int put(struct store *store, const struct alias_record *a, nova_error_t **error)
{
	const struct sql_value values[] = {
		sql_text(a->id),
		sql_text(a->name),
		sql_text(a->alias),
		sql_number(a->version),
		sql_number(a->second),
		sql_number(a->weight),
		sql_number(a->updated_us),
	};
	return sql_write(store, SQL_ALIAS_PUT, values, ARRAY_LEN(values), NULL, error);
}

/* Into an empty one; what could be read of it is there after a failure. */
static int read_columns(struct sql_session *session, struct alias_record *a, nova_error_t **error)
{
	struct sql_row row = { session, 0, NULL, false };
	a->id = row_text(&row);
	a->name = row_text(&row);
	a->alias = row_text(&row);
	a->version = (uint32_t)row_number(&row, UINT32_MAX);
	a->second = (uint32_t)row_number(&row, UINT32_MAX);
	a->weight = (uint32_t)row_number(&row, UINT32_MAX);
	a->created_us = row_number(&row, INT64_MAX);
	a->updated_us = row_number(&row, INT64_MAX);
	int code = row_end(&row, error);
	return code < 0 ? code : alias_record_check(a, NOVA_ECORRUPT, error);
}

int sql_read_alias(struct sql_session *session, void *to, nova_error_t **error)
{
	AUTO_ALIAS_RECORD struct alias_record record = { NULL };
	int code = read_columns(session, &record, error);
	if (code == NOVA_ENOMEM)
		return code;
	if (code < 0)
		return sql_wrap_row(session, KIND, record.alias, code, error);
	memcpy(to, &record, sizeof(record));
	memset(&record, 0, sizeof(record));
	return 0;
}

static int get(struct store *store, const char *name, const char *alias,
	struct alias_record *ret_record, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value values[] = { sql_text(name), sql_text(alias) };
	if (!text_is_utf8(name) || !text_is_utf8(alias))
		return fail_missing(name, alias, error);
	int r = sql_query(store, SQL_ALIAS_GET, values, ARRAY_LEN(values), &session, error);
	if (r == 0)
		return fail_missing(name, alias, error);
	return r < 0 ? r : sql_read_alias(&session, ret_record, error);
}

static int list(struct store *store, const char *name, struct alias_record **ret_records,
	size_t *ret_count, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value value = sql_text(text_is_utf8(name) ? name : "");
	void *records = NULL;
	size_t count = 0;
	int r = sql_query(store, SQL_ALIAS_LIST, &value, 1, &session, error);
	if (r > 0)
		r = sql_read_all(&session, sizeof(struct alias_record), sql_read_alias, &records,
			&count, error);
	if (r < 0) {
		alias_record_list_free(records, count);
		return r;
	}
	*ret_records = records;
	*ret_count = count;
	return 0;
}

static int remove_alias(
	struct store *store, const char *name, const char *alias, nova_error_t **error)
{
	const struct sql_value values[] = { sql_text(name), sql_text(alias) };
	uint64_t changes = 0;
	bool readable = text_is_utf8(name) && text_is_utf8(alias);
	int r = readable ? sql_write(store, SQL_ALIAS_REMOVE, values, ARRAY_LEN(values), &changes,
				   error) :
			   0;
	return r < 0 || changes ? r : fail_missing(name, alias, error);
}

const struct alias_ops sql_alias_ops = {
	.put = put,
	.get = get,
	.list = list,
	.remove = remove_alias,
};
