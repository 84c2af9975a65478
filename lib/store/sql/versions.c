/* SPDX-License-Identifier: MIT */
/* What is done with published versions. */
#include "store/sql/sql.h"

#define KIND "version"

static int fail_missing(const char *name, uint32_t version, nova_error_t **error)
{
	return nova_fail(error, NOVA_ENOTFOUND, "function '%.80s' has no published version %u",
		text_is_utf8(name) ? name : "(not UTF-8)", version);
}

static int count_of(struct store *store, const char *id, uint32_t version, uint64_t *ret_count,
	nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	struct sql_row row = { &session, 0, NULL, false };
	const struct sql_value values[] = { sql_text(id), sql_number(version) };
	int r = sql_query(store, SQL_VERSION_COUNT, values, ARRAY_LEN(values), &session, error);
	if (r < 0)
		return r;
	*ret_count = row_number(&row, INT64_MAX);
	return row_end(&row, error);
}

static int has(
	struct store *store, const char *id, uint32_t version, bool *ret_has, nova_error_t **error)
{
	uint64_t count = 0;
	int r = count_of(store, id, version, &count, error);
	*ret_has = count;
	return r;
}

/* Copied within the store, so that nobody can change it in between. */
static int publish(struct store *store, const struct function_record *record, nova_error_t **error)
{
	const struct sql_value values[] = { sql_text(record->id), sql_number(record->version) };
	uint64_t changes = 0;
	bool there = true;
	int r = sql_write(store, SQL_VERSION_INSERT, values, ARRAY_LEN(values), &changes, error);
	if (r == 0 && !changes)
		r = has(store, record->id, record->version, &there, error);
	if (r < 0 || there)
		return r;
	return nova_fail(error, NOVA_EBUSY,
		"the function '%s' was changed by somebody else meanwhile", record->name);
}

static int get(struct store *store, const char *name, uint32_t version,
	struct function_record *ret_record, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value values[] = { sql_text(name), sql_number(version) };
	if (!text_is_utf8(name))
		return fail_missing(name, version, error);
	int r = sql_query(store, SQL_VERSION_GET, values, ARRAY_LEN(values), &session, error);
	if (r == 0)
		return fail_missing(name, version, error);
	return r < 0 ? r : sql_read_function(&session, ret_record, error);
}

static int list(struct store *store, const char *name, struct function_record **ret_records,
	size_t *ret_count, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value value = sql_text(text_is_utf8(name) ? name : "");
	void *records = NULL;
	size_t count = 0;
	int r = sql_query(store, SQL_VERSION_LIST, &value, 1, &session, error);
	if (r > 0)
		r = sql_read_all(&session, sizeof(struct function_record), sql_read_function,
			&records, &count, error);
	if (r < 0) {
		record_list_free(records, count);
		return r;
	}
	*ret_records = records;
	*ret_count = count;
	return 0;
}

/* An alias without its first version is none; one without its second has all calls for the first.
 */
static int remove_from_aliases(
	struct sql_session *session, const struct sql_value values[2], nova_error_t **error)
{
	int r = sql_do(session, SQL_ALIASES_REMOVE_OF, values, 2, NULL, error);
	return r < 0 ? r : sql_do(session, SQL_ALIASES_MEND, values, 2, NULL, error);
}

static int remove_version(struct store *store, const char *name, uint32_t version,
	bool from_aliases, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value values[] = { sql_text(name), sql_number(version) };
	uint64_t changes = 0;
	if (!text_is_utf8(name))
		return fail_missing(name, version, error);
	int r = sql_start(store, SQL_WRITES, &session, error);
	if (r == 0)
		r = sql_begin(&session, error);
	if (r == 0 && from_aliases)
		r = remove_from_aliases(&session, values, error);
	if (r == 0)
		r = sql_do(&session, SQL_VERSION_REMOVE, values, 2, &changes, error);
	if (r == 0)
		r = sql_commit(&session, error);
	return r < 0 || changes ? r : fail_missing(name, version, error);
}

const struct version_ops sql_version_ops = {
	.publish = publish,
	.get = get,
	.list = list,
	.has = has,
	.remove = remove_version,
};
