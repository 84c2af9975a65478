/* SPDX-License-Identifier: MIT */
/* What is done with functions. */
#include "store/sql/sql.h"

#define KIND "function"

int sql_read_function(struct sql_session *session, void *to, nova_error_t **error)
{
	AUTO_RECORD struct function_record record = { 0 };
	int r = columns_to_record(session, &record, error);
	if (r == NOVA_ENOMEM)
		return r;
	if (r < 0)
		return sql_wrap_row(session, KIND, record.name, r, error);
	memcpy(to, &record, sizeof(record));
	memset(&record, 0, sizeof(record));
	return 0;
}

static int write_record(struct store *store, const struct function_record *record,
	uint64_t replaces, uint64_t *ret_changes, nova_error_t **error)
{
	CLEANUP(column_values_done) struct column_values row;
	int r = columns_from_record(&row, record, error);
	if (r < 0)
		return r;
	if (!replaces)
		return sql_write(
			store, SQL_FUNCTION_INSERT, row.values, row.count, ret_changes, error);
	row.values[row.count] = sql_number(replaces);
	return sql_write(store, SQL_FUNCTION_UPDATE, row.values, row.count + 1, ret_changes, error);
}

static int fail_changed(const char *name, nova_error_t **error)
{
	return nova_fail(error, NOVA_EBUSY,
		"the function '%s' was changed by somebody else meanwhile", name);
}

static int put(struct store *store, const struct function_record *record, uint64_t replaces,
	nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	uint64_t changes = 0;
	int r = write_record(store, record, replaces, &changes, &failure);
	if (r == NOVA_EEXIST)
		return nova_fail(
			error, NOVA_EEXIST, "a function '%s' exists already", record->name);
	if (r == 0 && !changes)
		return fail_changed(record->name, error);
	if (r < 0 && error)
		*error = STEAL(failure);
	return r;
}

static int get(struct store *store, const char *name, struct function_record *ret_record,
	nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	if (!text_is_utf8(name))
		return sql_fail_missing(KIND, name, error);
	int r = sql_query(store, SQL_FUNCTION_GET, (struct sql_value[]){ sql_text(name) }, 1,
		&session, error);
	if (r == 0)
		return sql_fail_missing(KIND, name, error);
	return r < 0 ? r : sql_read_function(&session, ret_record, error);
}

static int list(struct store *store, const struct function_filter *filter,
	struct function_record **ret_records, size_t *ret_count, nova_error_t **error)
{
	static const struct text_list none = { NULL, 0 };
	static const struct function_filter all = { NULL };
	const struct function_filter *f = filter ? filter : &all;
	AUTO_FREE char *wanted = text_list_to_json(f->labels ? f->labels : &none);
	if (!wanted)
		return nova_oom(error);
	const struct sql_value values[] = {
		sql_text(wanted),
		sql_text(f->after ? f->after : ""),
		sql_number(f->most ? f->most : INT64_MAX),
	};
	AUTO_SQL struct sql_session session = { 0 };
	void *records = NULL;
	size_t count = 0;
	int r = sql_query(store, SQL_FUNCTION_LIST, values, ARRAY_LEN(values), &session, error);
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

static int read_name(struct sql_session *session, void *to, nova_error_t **error)
{
	struct sql_row row = { session, 0, NULL, false };
	*(char **)to = row_text(&row);
	int r = row_end(&row, error);
	return r == NOVA_ECORRUPT ? sql_wrap_row(session, KIND, NULL, r, error) : r;
}

/* With one more, which is NULL. */
static char **end_names(void *names, size_t count)
{
	char **all = reallocarray(names, count + 1, sizeof(*all));
	if (all)
		all[count] = NULL;
	return all;
}

static int names(struct store *store, const char *runtime, size_t max, char ***ret_names,
	size_t *ret_count, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value values[] = { sql_number(max), sql_text(runtime ? runtime : "") };
	void *found = NULL;
	size_t count = 0;
	int r = sql_query(store, SQL_FUNCTION_NAMES, values, ARRAY_LEN(values), &session, error);
	if (r > 0)
		r = sql_read_all(&session, sizeof(char *), read_name, &found, &count, error);
	char **all = r < 0 ? NULL : end_names(found, count);
	if (!all) {
		strv_free(found, count);
		return r < 0 ? r : nova_oom(error);
	}
	*ret_names = all;
	*ret_count = count;
	return 0;
}

/* What refers to it first. */
static int remove_rest(
	struct sql_session *session, const struct sql_value *name, nova_error_t **error)
{
	int r = sql_do(session, SQL_ALIASES_REMOVE, name, 1, NULL, error);
	return r < 0 ? r : sql_do(session, SQL_VERSIONS_REMOVE, name, 1, NULL, error);
}

/* What is not as it was seen takes nothing with it. */
static int remove_function(struct store *store, const char *name, bool with_versions,
	uint64_t if_updated_us, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	uint64_t changes = 0;
	const struct sql_value values[] = { sql_text(name), sql_number(if_updated_us) };
	if (!text_is_utf8(name))
		return sql_fail_missing(KIND, name, error);
	int r = sql_start(store, SQL_WRITES, &session, error);
	if (r == 0)
		r = sql_begin(&session, error);
	if (r == 0 && with_versions)
		r = remove_rest(&session, values, error);
	if (r == 0)
		r = sql_do(&session, SQL_FUNCTION_REMOVE, values, 2, &changes, error);
	if (r == 0 && !changes)
		return if_updated_us ? fail_changed(name, error) :
				       sql_fail_missing(KIND, name, error);
	return r < 0 ? r : sql_commit(&session, error);
}

const struct function_ops sql_function_ops = {
	.put = put,
	.get = get,
	.list = list,
	.names = names,
	.remove = remove_function,
};
