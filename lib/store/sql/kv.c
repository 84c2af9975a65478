/* SPDX-License-Identifier: MIT */
/* What functions keep under keys. Nobody is told of it, and nothing of it is remembered elsewhere.
 */
#include "store/sql/sql.h"

#define SWEEP_MOST 500u /* rows of one statement: others write in between */

/* --- reading --- */

static int read_entry(
	struct sql_session *session, bool whole, struct kv_record *to, nova_error_t **error)
{
	AUTO_KV_RECORD struct kv_record record = { NULL };
	struct sql_row row = { session, 0, NULL, false };
	record.key = row_text(&row);
	record.version = row_number(&row, INT64_MAX);
	record.expires_us = row_number(&row, INT64_MAX);
	if (whole)
		record.value = row_bytes(&row, &record.len);
	else
		record.len = row_number(&row, SIZE_MAX);
	int code = row_end(&row, error);
	if (code == NOVA_ENOMEM)
		return code;
	if (code < 0)
		return sql_wrap_row(session, "key", record.key, code, error);
	*to = record;
	memset(&record, 0, sizeof(record));
	return 0;
}

static int read_listed(struct sql_session *session, void *to, nova_error_t **error)
{
	return read_entry(session, false, to, error);
}

static int get(struct store *store, const char *space, const char *key, uint64_t now_us,
	struct kv_record *ret_record, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value values[] = { sql_text(space), sql_text(key), sql_number(now_us) };
	int r = sql_query(store, SQL_KV_GET, values, ARRAY_LEN(values), &session, error);
	if (r == 0)
		return sql_fail_missing("key", key, error);
	return r < 0 ? sql_kv_code(&session, r, error) :
		       read_entry(&session, true, ret_record, error);
}

static int list(struct store *store, const char *space, const struct kv_page *page,
	struct kv_record **ret_records, size_t *ret_count, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value values[] = { sql_text(space), sql_text(page->prefix),
		sql_text(page->after), sql_number(page->most), sql_number(page->now_us) };
	void *records = NULL;
	size_t count = 0;
	int r = sql_query(store, SQL_KV_LIST, values, ARRAY_LEN(values), &session, error);
	if (r > 0)
		r = sql_read_all(
			&session, sizeof(struct kv_record), read_listed, &records, &count, error);
	if (r < 0) {
		kv_record_list_free(records, count);
		return sql_kv_code(&session, r, error);
	}
	*ret_records = records;
	*ret_count = count;
	return 0;
}

static int read_space(struct sql_session *session, void *to, nova_error_t **error)
{
	struct sql_row row = { session, 0, NULL, false };
	*(char **)to = row_text(&row);
	return row_end(&row, error);
}

static int spaces(struct store *store, char ***ret_spaces, size_t *ret_count, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	void *found = NULL;
	size_t count = 0;
	int r = sql_query(store, SQL_KV_SPACES, NULL, 0, &session, error);
	if (r > 0)
		r = sql_read_all(&session, sizeof(char *), read_space, &found, &count, error);
	if (r < 0) {
		strv_free(found, count);
		return r;
	}
	*ret_spaces = found;
	*ret_count = count;
	return 0;
}

/* --- writing --- */

static int fail_condition(
	const char *key, const struct kv_condition *condition, nova_error_t **error)
{
	return condition->absent ?
		       nova_fail(error, NOVA_EEXIST, "there is a key '%.80s' already", key) :
		       nova_fail(error, NOVA_EBUSY,
			       "key '%.80s' does not have the version %llu: somebody else has "
			       "changed or deleted it",
			       key, (unsigned long long)condition->version);
}

static int write_entry(struct sql_session *session, const char *space,
	const struct kv_record *record, const struct kv_condition *condition, uint64_t version,
	nova_error_t **error)
{
	const struct sql_value values[] = { sql_text(space), sql_text(record->key),
		sql_number(version), sql_number(record->expires_us), sql_number(record->len),
		sql_bytes(record->value, record->len),
		sql_number(condition->version ? condition->version : condition->absent),
		sql_number(condition->now_us) };
	uint64_t changes = 0;
	int r = sql_do(session, condition->version ? SQL_KV_REPLACE : SQL_KV_PUT, values,
		ARRAY_LEN(values), &changes, error);
	return r < 0 || changes ? r : fail_condition(record->key, condition, error);
}

static int put(struct store *store, const char *space, const struct kv_record *record,
	const struct kv_condition *condition, const struct kv_limits *limits, uint64_t *ret_version,
	nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	int r = sql_start(store, SQL_LOGS, &session, error);
	if (r == 0)
		r = sql_begin(&session, error);
	if (r == 0)
		r = sql_take_version(&session, space, condition->now_us, ret_version, error);
	if (r == 0)
		r = sql_check_totals(&session, SQL_KV_TOTALS, space, record->key, record->len,
			limits, "keys", error);
	if (r == 0)
		r = write_entry(&session, space, record, condition, *ret_version, error);
	if (r == 0)
		r = sql_commit(&session, error);
	return sql_kv_code(&session, r, error);
}

static int remove_entry(struct store *store, const char *space, const char *key,
	const struct kv_condition *condition, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value values[] = { sql_text(space), sql_text(key),
		sql_number(condition->now_us), sql_number(condition->version) };
	uint64_t changes = 0;
	int r = sql_start(store, SQL_LOGS, &session, error);
	if (r == 0)
		r = sql_do(&session, SQL_KV_REMOVE, values, ARRAY_LEN(values), &changes, error);
	if (r < 0 || changes)
		return sql_kv_code(&session, r, error);
	return condition->version ? fail_condition(key, condition, error) :
				    sql_fail_missing("key", key, error);
}

static int clear(struct store *store, const char *space, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	int r = sql_start(store, SQL_LOGS, &session, error);
	if (r == 0)
		r = sql_begin(&session, error);
	if (r == 0)
		r = sql_clear_space(&session, space, error);
	return r < 0 ? r : sql_commit(&session, error);
}

static int sweep(struct store *store, uint64_t now_us, uint64_t *ret_next_us, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value values[] = { sql_number(now_us), sql_number(SWEEP_MOST) };
	struct sql_row row = { &session, 0, NULL, false };
	int r = sql_start(store, SQL_LOGS, &session, error);
	if (r == 0)
		r = sql_do(&session, SQL_KV_SWEEP, values, ARRAY_LEN(values), NULL, error);
	if (r == 0)
		r = sql_run(&session, SQL_KV_NEXT, NULL, 0, error);
	if (r < 0)
		return r;
	*ret_next_us = row_number(&row, INT64_MAX);
	return row_end(&row, error);
}

const struct kv_ops sql_kv_ops = {
	.get = get,
	.put = put,
	.remove = remove_entry,
	.list = list,
	.get_file = sql_get_file,
	.put_file = sql_put_file,
	.remove_file = sql_remove_file,
	.list_files = sql_list_files,
	.clear = clear,
	.sweep = sweep,
	.spaces = spaces,
};
