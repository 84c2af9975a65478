/* SPDX-License-Identifier: MIT */
/* What is done with runtimes. */
#include "store/sql/sql.h"

#define KIND "runtime"

static int put(
	struct store *store, const struct runtime_record *r, bool replaces, nova_error_t **error)
{
	AUTO_FREE char *argv = text_list_to_json(&r->argv);
	AUTO_ERROR nova_error_t *failure = NULL;
	if (!argv)
		return nova_oom(error);
	const struct sql_value values[] = {
		sql_text(r->name),
		sql_text(r->rootfs),
		sql_text(r->image),
		sql_text(r->protocol),
		sql_text(argv),
		sql_number(r->memory_mb),
		sql_number(r->timeout_s),
		sql_number(r->init_timeout_s),
		sql_number(r->created_us),
	};
	int code = sql_write(store, replaces ? SQL_RUNTIME_REPLACE : SQL_RUNTIME_INSERT, values,
		ARRAY_LEN(values), NULL, &failure);
	if (code == NOVA_EEXIST)
		return nova_fail(error, NOVA_EEXIST, "a runtime '%s' exists already", r->name);
	if (code < 0 && error)
		*error = STEAL(failure);
	return code;
}

/* Into an empty one; what could be read of it is there after a failure. */
static int read_columns(struct sql_session *session, struct runtime_record *r, nova_error_t **error)
{
	struct sql_row row = { session, 0, NULL, false };
	r->name = row_text(&row);
	r->rootfs = row_text(&row);
	r->image = row_text(&row);
	r->protocol = row_text(&row);
	row_list(&row, &r->argv);
	r->memory_mb = (uint32_t)row_number(&row, UINT32_MAX);
	r->timeout_s = (uint32_t)row_number(&row, UINT32_MAX);
	r->init_timeout_s = (uint32_t)row_number(&row, UINT32_MAX);
	r->created_us = row_number(&row, INT64_MAX);
	int code = row_end(&row, error);
	return code < 0 ? code : runtime_record_check(r, NOVA_ECORRUPT, error);
}

int sql_read_runtime(struct sql_session *session, void *to, nova_error_t **error)
{
	AUTO_RUNTIME_RECORD struct runtime_record record = { NULL };
	int code = read_columns(session, &record, error);
	if (code == NOVA_ENOMEM)
		return code;
	if (code < 0)
		return sql_wrap_row(session, KIND, record.name, code, error);
	memcpy(to, &record, sizeof(record));
	memset(&record, 0, sizeof(record));
	return 0;
}

static int get(struct store *store, const char *name, struct runtime_record *ret_record,
	nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	if (!text_is_utf8(name))
		return sql_fail_missing(KIND, name, error);
	int r = sql_query(
		store, SQL_RUNTIME_GET, (struct sql_value[]){ sql_text(name) }, 1, &session, error);
	if (r == 0)
		return sql_fail_missing(KIND, name, error);
	return r < 0 ? r : sql_read_runtime(&session, ret_record, error);
}

static int list(struct store *store, struct runtime_record **ret_records, size_t *ret_count,
	nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	void *records = NULL;
	size_t count = 0;
	int r = sql_query(store, SQL_RUNTIME_LIST, NULL, 0, &session, error);
	if (r > 0)
		r = sql_read_all(&session, sizeof(struct runtime_record), sql_read_runtime,
			&records, &count, error);
	if (r < 0) {
		runtime_record_list_free(records, count);
		return r;
	}
	*ret_records = records;
	*ret_count = count;
	return 0;
}

static int remove_runtime(struct store *store, const char *name, nova_error_t **error)
{
	uint64_t changes = 0;
	const struct sql_value value = sql_text(name);
	int r = text_is_utf8(name) ?
			sql_write(store, SQL_RUNTIME_REMOVE, &value, 1, &changes, error) :
			0;
	return r < 0 || changes ? r : sql_fail_missing(KIND, name, error);
}

const struct runtime_ops sql_runtime_ops = {
	.put = put,
	.get = get,
	.list = list,
	.remove = remove_runtime,
};
