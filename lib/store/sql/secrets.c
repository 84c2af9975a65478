/* SPDX-License-Identifier: MIT */
/* What is done with secrets, which only who has the key can read. */
#include "store/sql/sql.h"

#define KIND "secret"

static int put(struct store *store, const struct secret_record *s, nova_error_t **error)
{
	const struct sql_value values[] = {
		sql_text(s->name),
		sql_text(s->key_id),
		sql_number(s->created_us),
		sql_number(s->updated_us),
		sql_bytes(s->sealed, s->sealed_len),
	};
	return sql_write(store, SQL_SECRET_PUT, values, ARRAY_LEN(values), NULL, error);
}

/* Into an empty one; what could be read of it is there after a failure. */
static int read_columns(
	struct sql_session *session, bool whole, struct secret_record *s, nova_error_t **error)
{
	struct sql_row row = { session, 0, NULL, false };
	s->name = row_text(&row);
	s->key_id = row_text(&row);
	s->created_us = row_number(&row, INT64_MAX);
	s->updated_us = row_number(&row, INT64_MAX);
	if (whole)
		s->sealed = row_bytes(&row, &s->sealed_len);
	int code = row_end(&row, error);
	return code < 0 ? code : secret_record_check(s, NOVA_ECORRUPT, error);
}

static int read_record(
	struct sql_session *session, bool whole, struct secret_record *to, nova_error_t **error)
{
	AUTO_SECRET_RECORD struct secret_record record = { NULL };
	int code = read_columns(session, whole, &record, error);
	if (code == NOVA_ENOMEM)
		return code;
	if (code < 0)
		return sql_wrap_row(session, KIND, record.name, code, error);
	*to = record;
	memset(&record, 0, sizeof(record));
	return 0;
}

int sql_read_secret(struct sql_session *session, void *to, nova_error_t **error)
{
	return read_record(session, true, to, error);
}

static int read_listed(struct sql_session *session, void *to, nova_error_t **error)
{
	return read_record(session, false, to, error);
}

static int get(struct store *store, const char *name, struct secret_record *ret_record,
	nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value value = sql_text(name);
	if (!text_is_utf8(name))
		return sql_fail_missing(KIND, name, error);
	int r = sql_query(store, SQL_SECRET_GET, &value, 1, &session, error);
	if (r == 0)
		return sql_fail_missing(KIND, name, error);
	return r < 0 ? r : read_record(&session, true, ret_record, error);
}

static int list(struct store *store, struct secret_record **ret_records, size_t *ret_count,
	nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	void *records = NULL;
	size_t count = 0;
	int r = sql_query(store, SQL_SECRET_LIST, NULL, 0, &session, error);
	if (r > 0)
		r = sql_read_all(&session, sizeof(struct secret_record), read_listed, &records,
			&count, error);
	if (r < 0) {
		secret_record_list_free(records, count);
		return r;
	}
	*ret_records = records;
	*ret_count = count;
	return 0;
}

static int reseal(struct store *store, const struct secret_record *s,
	const struct secret_record *before, nova_error_t **error)
{
	uint64_t changes = 0;
	const struct sql_value values[] = {
		sql_text(s->name),
		sql_text(s->key_id),
		sql_bytes(s->sealed, s->sealed_len),
		sql_bytes(before->sealed, before->sealed_len),
	};
	int r = sql_write(store, SQL_SECRET_RESEAL, values, ARRAY_LEN(values), &changes, error);
	return r < 0 || changes ? r :
				  nova_fail(error, NOVA_EBUSY,
					  "secret '%s' was changed by somebody else", s->name);
}

static int remove_secret(struct store *store, const char *name, nova_error_t **error)
{
	uint64_t changes = 0;
	const struct sql_value value = sql_text(name);
	int r = text_is_utf8(name) ?
			sql_write(store, SQL_SECRET_REMOVE, &value, 1, &changes, error) :
			0;
	return r < 0 || changes ? r : sql_fail_missing(KIND, name, error);
}

const struct secret_ops sql_secret_ops = {
	.put = put,
	.get = get,
	.list = list,
	.reseal = reseal,
	.remove = remove_secret,
};
