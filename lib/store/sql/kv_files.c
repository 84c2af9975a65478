/* SPDX-License-Identifier: MIT */
/* Files of functions. A content is there before the first file that has it, and goes after the
 * last. */
#include "store/sql/sql.h"

#define TRIES 3 /* a content may be taken away while it is put */

static int read_file(
	struct sql_session *session, bool whole, struct file_record *to, nova_error_t **error)
{
	AUTO_FILE_RECORD struct file_record record = { NULL };
	struct sql_row row = { session, 0, NULL, false };
	record.name = row_text(&row);
	record.type = row_text(&row);
	record.hash = row_text(&row);
	record.updated_us = row_number(&row, INT64_MAX);
	if (whole)
		record.data = row_bytes(&row, &record.len);
	else
		record.len = row_number(&row, SIZE_MAX);
	int code = row_end(&row, error);
	if (code == NOVA_ENOMEM)
		return code;
	if (code < 0)
		return sql_wrap_row(session, "file", record.name, code, error);
	*to = record;
	memset(&record, 0, sizeof(record));
	return 0;
}

static int read_listed(struct sql_session *session, void *to, nova_error_t **error)
{
	return read_file(session, false, to, error);
}

int sql_get_file(struct store *store, const char *space, const char *name,
	struct file_record *ret_record, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value values[] = { sql_text(space), sql_text(name) };
	int r = sql_query(store, SQL_FILE_GET, values, ARRAY_LEN(values), &session, error);
	if (r == 0)
		return sql_fail_missing("file", name, error);
	return r < 0 ? sql_kv_code(&session, r, error) :
		       read_file(&session, true, ret_record, error);
}

int sql_list_files(struct store *store, const char *space, const struct kv_page *page,
	struct file_record **ret_records, size_t *ret_count, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value values[] = { sql_text(space), sql_text(page->prefix),
		sql_text(page->after), sql_number(page->most) };
	void *records = NULL;
	size_t count = 0;
	int r = sql_query(store, SQL_FILE_LIST, values, ARRAY_LEN(values), &session, error);
	if (r > 0)
		r = sql_read_all(
			&session, sizeof(struct file_record), read_listed, &records, &count, error);
	if (r < 0) {
		file_record_list_free(records, count);
		return sql_kv_code(&session, r, error);
	}
	*ret_records = records;
	*ret_count = count;
	return 0;
}

/* --- writing --- */

/* One that somebody is about to need stays, and goes the next time. */
static void trim_contents(struct store *store, const char *space)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value value = sql_text(space);
	if (sql_start(store, SQL_LOGS, &session, NULL) == 0)
		sql_do(&session, SQL_FILE_CONTENTS_TRIM, &value, 1, NULL, NULL);
}

static int write_file(struct sql_session *session, const char *space,
	const struct file_record *record, nova_error_t **error)
{
	const struct sql_value content[] = { sql_text(space), sql_text(record->hash),
		sql_bytes(record->data, record->len) };
	const struct sql_value file[] = { sql_text(space), sql_text(record->name),
		sql_text(record->type), sql_text(record->hash), sql_number(record->len),
		sql_number(record->updated_us) };
	int r = sql_do(session, SQL_FILE_CONTENT_PUT, content, ARRAY_LEN(content), NULL, error);
	return r < 0 ? r : sql_do(session, SQL_FILE_PUT, file, ARRAY_LEN(file), NULL, error);
}

/* *ret_again: its content was taken away meanwhile. */
static int put_once(struct store *store, const char *space, const struct file_record *record,
	const struct kv_limits *limits, bool *ret_again, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	uint64_t ignored;
	int r = sql_start(store, SQL_LOGS, &session, error);
	if (r == 0)
		r = sql_begin(&session, error);
	if (r == 0)
		r = sql_take_version(&session, space, record->updated_us, &ignored, error);
	if (r == 0)
		r = sql_check_totals(&session, SQL_FILE_TOTALS, space, record->name, record->len,
			limits, "files", error);
	if (r == 0)
		r = write_file(&session, space, record, error);
	if (r == 0)
		r = sql_commit(&session, error);
	*ret_again = r == NOVA_EBUSY;
	return sql_kv_code(&session, r, error);
}

int sql_put_file(struct store *store, const char *space, const struct file_record *record,
	const struct kv_limits *limits, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	bool again = true;
	int r = 0;
	for (int i = 0; i < TRIES && again; i++) {
		nova_error_free(STEAL(failure));
		r = put_once(store, space, record, limits, &again, &failure);
	}
	if (r == 0)
		trim_contents(store, space);
	if (r < 0 && error)
		*error = STEAL(failure);
	return r;
}

int sql_remove_file(struct store *store, const char *space, const char *name, nova_error_t **error)
{
	const struct sql_value values[] = { sql_text(space), sql_text(name) };
	uint64_t changes = 0;
	{
		AUTO_SQL struct sql_session session = { 0 };
		int r = sql_start(store, SQL_LOGS, &session, error);
		if (r == 0)
			r = sql_do(&session, SQL_FILE_REMOVE, values, ARRAY_LEN(values), &changes,
				error);
		if (r < 0)
			return sql_kv_code(&session, r, error);
	}
	if (!changes)
		return sql_fail_missing("file", name, error);
	trim_contents(store, space);
	return 0;
}
