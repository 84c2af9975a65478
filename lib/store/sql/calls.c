/* SPDX-License-Identifier: MIT */
/* What is done with the log of calls. */
#include "store/sql/sql.h"

#define KIND "the record of request"

/* --- writing --- */

#define VALUES 20

static void fill_record(const void *userdata, size_t index, struct sql_value *values)
{
	const struct call_record *const *records = userdata;
	const struct call_record *r = records[index];
	const struct sql_value all[VALUES] = {
		sql_text(r->request_id),
		sql_text(r->function),
		sql_text(r->id),
		sql_number(r->version),
		sql_number(r->started_us),
		sql_number(r->duration_us),
		sql_number(r->cold),
		sql_number(r->code),
		sql_text(r->runtime),
		sql_text(r->instance),
		sql_text(r->path),
		sql_number(r->input_size),
		sql_number(r->output_size),
		sql_number(r->memory_peak),
		sql_number(r->lost),
		sql_number(r->cut),
		sql_text(r->error),
		sql_bytes(r->out ? r->out : "", r->out_len),
		sql_bytes(r->err ? r->err : "", r->err_len),
		sql_number(call_record_size(r)),
	};
	memcpy(values, all, sizeof(all));
}

static int change_log(struct store *store, const struct sql_batch *batch, uint64_t *ret_changes,
	nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	int r = sql_start(store, SQL_LOGS, &session, error);
	return r < 0 ? r : session.store->driver->log_batch(&session, batch, ret_changes, error);
}

static int append(struct store *store, const struct call_record *const *records, size_t count,
	nova_error_t **error)
{
	const struct sql_batch batch = { SQL_CALL_INSERT, count, VALUES, fill_record, records };
	uint64_t ignored;
	return change_log(store, &batch, &ignored, error);
}

static void fill_limits(const void *userdata, size_t index, struct sql_value *values)
{
	const uint64_t *limits = userdata;
	(void)index;
	values[0] = sql_number(limits[0]);
	values[1] = sql_number(limits[1]);
}

/* As those who append, one at a time: two that lock the same rows might wait for each other. */
static int trim(struct store *store, uint64_t before_us, uint64_t most, uint64_t *ret_count,
	nova_error_t **error)
{
	const uint64_t limits[] = { before_us, most };
	const struct sql_batch batch = { SQL_CALLS_TRIM, 1, 2, fill_limits, limits };
	return change_log(store, &batch, ret_count, error);
}

/* --- reading --- */

/* Into an empty one; what could be read of it is there after a failure. */
static int read_columns(struct sql_session *session, struct call_record *r, nova_error_t **error)
{
	struct sql_row row = { session, 0, NULL, false };
	r->number = row_number(&row, INT64_MAX);
	r->request_id = row_text(&row);
	r->function = row_text(&row);
	r->id = row_text(&row);
	r->version = (uint32_t)row_number(&row, UINT32_MAX);
	r->started_us = row_number(&row, INT64_MAX);
	r->duration_us = row_number(&row, INT64_MAX);
	r->cold = row_number(&row, 1);
	r->code = (uint32_t)row_number(&row, INT32_MAX);
	r->runtime = row_text(&row);
	r->instance = row_text(&row);
	r->path = row_text(&row);
	r->input_size = row_number(&row, INT64_MAX);
	r->output_size = row_number(&row, INT64_MAX);
	r->memory_peak = row_number(&row, INT64_MAX);
	r->lost = row_number(&row, INT64_MAX);
	r->cut = row_number(&row, 1);
	r->error = row_text(&row);
	r->out = row_bytes(&row, &r->out_len);
	r->err = row_bytes(&row, &r->err_len);
	return row_end(&row, error);
}

static int read_record(struct sql_session *session, void *to, nova_error_t **error)
{
	struct call_record *record = to;
	int code = read_columns(session, record, error);
	if (code < 0 && code != NOVA_ENOMEM)
		code = sql_wrap_row(session, KIND, record->request_id, code, error);
	if (code < 0)
		call_record_clear(record);
	return code;
}

static enum sql_statement statement_of(const struct call_filter *f)
{
	if (f->request_id)
		return f->oldest_first ? SQL_CALLS_OF_REQUEST_OLDEST : SQL_CALLS_OF_REQUEST_NEWEST;
	if (f->function)
		return f->oldest_first ? SQL_CALLS_OF_FUNCTION_OLDEST :
					 SQL_CALLS_OF_FUNCTION_NEWEST;
	return f->oldest_first ? SQL_CALLS_OLDEST : SQL_CALLS_NEWEST;
}

static int list(struct store *store, const struct call_filter *f, struct call_record **ret_records,
	size_t *ret_count, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	void *found = NULL;
	size_t count = 0;
	const struct sql_value values[] = {
		sql_number(f->above),
		sql_number(f->below),
		sql_number(f->since_us),
		sql_number(f->until_us),
		sql_number(f->code_least),
		sql_number(f->code_most),
		sql_number(f->version),
		sql_number(f->most),
		sql_text(f->request_id ? f->request_id : f->function),
		sql_number(f->function != NULL),
		sql_text(f->function ? f->function : ""),
	};
	size_t given = f->request_id ? 11 : f->function ? 9 : 8;
	int r = sql_query(store, statement_of(f), values, given, &session, error);
	if (r > 0)
		r = sql_read_all(
			&session, sizeof(struct call_record), read_record, &found, &count, error);
	if (r < 0) {
		call_record_list_free(found, count);
		return r;
	}
	*ret_records = found;
	*ret_count = count;
	return 0;
}

static int read_summary(struct sql_session *session, void *to, nova_error_t **error)
{
	struct sql_row row = { session, 0, NULL, false };
	struct call_summary *s = to;
	s->function = row_text(&row);
	s->calls = row_number(&row, INT64_MAX);
	s->errors = row_number(&row, INT64_MAX);
	s->cold = row_number(&row, INT64_MAX);
	s->median_us = row_number(&row, INT64_MAX);
	s->p95_us = row_number(&row, INT64_MAX);
	s->p99_us = row_number(&row, INT64_MAX);
	s->longest_us = row_number(&row, INT64_MAX);
	int code = row_end(&row, error);
	if (code < 0)
		free(STEAL(s->function));
	return code;
}

static int summarize(struct store *store, const char *function, uint64_t since_us,
	uint64_t until_us, struct call_summary **ret_summaries, size_t *ret_count,
	nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	void *found = NULL;
	size_t count = 0;
	const struct sql_value values[] = { sql_number(since_us), sql_number(until_us),
		sql_text(function) };
	int r = sql_query(store, function ? SQL_CALLS_SUMMARY_OF : SQL_CALLS_SUMMARY, values,
		function ? 3 : 2, &session, error);
	if (r > 0)
		r = sql_read_all(
			&session, sizeof(struct call_summary), read_summary, &found, &count, error);
	if (r < 0) {
		call_summary_list_free(found, count);
		return r;
	}
	*ret_summaries = found;
	*ret_count = count;
	return 0;
}

const struct call_ops sql_call_ops = {
	.append = append,
	.list = list,
	.summarize = summarize,
	.trim = trim,
};
