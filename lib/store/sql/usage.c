/* SPDX-License-Identifier: MIT */
/* What is done with sums of usage. */
#include "store/sql/sql.h"

/* --- writing --- */

static int begin(struct store *store, struct sql_session *session, nova_error_t **error)
{
	int r = sql_start(store, SQL_LOGS, session, error);
	const struct sql_driver *driver = r == 0 ? session->store->driver : NULL;
	return r < 0 ? r : driver->execute(session, driver->logging, "begin to write", error);
}

static int move(struct sql_session *session, const char *name, uint64_t from, uint64_t to,
	bool *ret_moved, nova_error_t **error)
{
	uint64_t changes = 0;
	const struct sql_value values[] = { sql_text(name), sql_number(from), sql_number(to) };
	int r = sql_do(session, SQL_USAGE_PLACE_INSERT, values, 1, NULL, error);
	if (r == 0)
		r = sql_do(
			session, SQL_USAGE_PLACE_MOVE, values, ARRAY_LEN(values), &changes, error);
	*ret_moved = r == 0 && changes;
	return r;
}

static int add(struct sql_session *session, const struct usage_record *record, nova_error_t **error)
{
	struct sql_value values[5 + USAGE_AMOUNTS] = {
		sql_number(record->hour),
		sql_number(record->month),
		sql_text(record->key),
		sql_text(record->function),
		sql_number(record->mode),
	};
	for (int i = 0; i < USAGE_AMOUNTS; i++)
		values[5 + i] = sql_number(record->amounts[i]);
	return sql_do(session, SQL_USAGE_ADD, values, ARRAY_LEN(values), NULL, error);
}

static int fold(struct store *store, const char *name, uint64_t from, uint64_t to,
	const struct usage_record *records, size_t count, bool *ret_done, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	bool moved = false;
	int r = begin(store, &session, error);
	if (r == 0)
		r = move(&session, name, from, to, &moved, error);
	for (size_t i = 0; i < count && r == 0 && moved; i++)
		r = add(&session, &records[i], error);
	if (r == 0 && moved)
		r = sql_commit(&session, error);
	*ret_done = r == 0 && moved;
	return r;
}

static int forget(struct store *store, const char *name, uint64_t hour, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value values[] = { sql_text(name), sql_number(INT64_MAX),
		sql_number(hour) };
	int r = sql_start(store, SQL_LOGS, &session, error);
	return r < 0 ? r :
		       sql_do(&session, SQL_USAGE_FORGET, values, ARRAY_LEN(values), NULL, error);
}

static int trim(
	struct store *store, uint64_t before_hour, uint64_t forgotten_hour, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value before = sql_number(before_hour);
	const struct sql_value forgotten[] = { sql_number(INT64_MAX), sql_number(forgotten_hour) };
	int r = begin(store, &session, error);
	if (r == 0)
		r = sql_do(&session, SQL_USAGE_TRIM, &before, 1, NULL, error);
	if (r == 0)
		r = sql_do(&session, SQL_USAGE_PLACES_TRIM, forgotten, 2, NULL, error);
	return r < 0 ? r : sql_commit(&session, error);
}

/* --- reading --- */

static int place(struct store *store, const char *name, uint64_t *ret_place, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value value = sql_text(name);
	*ret_place = 0;
	int r = sql_query(store, SQL_USAGE_PLACE, &value, 1, &session, error);
	if (r <= 0)
		return r;
	struct sql_row row = { &session, 0, NULL, false };
	*ret_place = row_number(&row, INT64_MAX);
	return row_end(&row, error);
}

/* False: it is more than can be told. */
static bool read_sum(struct sql_row *row, uint64_t *ret)
{
	uint64_t high = row_number(row, INT64_MAX), low = row_number(row, INT64_MAX);
	bool overflow = __builtin_mul_overflow(high, 1ull << 31, ret);
	overflow = __builtin_add_overflow(*ret, low, ret) || overflow;
	return !overflow && *ret <= INT64_MAX;
}

static int read_record(struct sql_session *session, void *to, nova_error_t **error)
{
	struct sql_row row = { session, 0, NULL, false };
	struct usage_record *r = to;
	r->hour = row_number(&row, INT64_MAX);
	r->key = row_text(&row);
	r->function = row_text(&row);
	r->mode = (uint32_t)row_number(&row, UINT32_MAX);
	bool fits = true;
	for (int i = 0; i < USAGE_AMOUNTS; i++)
		fits = read_sum(&row, &r->amounts[i]) && fits;
	int code = row_end(&row, error);
	if (code == 0 && !fits)
		code = nova_fail(error, NOVA_ETOOBIG,
			"this usage comes to more than 2^63: ask for less time at once, as by day");
	if (code < 0) {
		free(STEAL(r->key));
		free(STEAL(r->function));
	}
	return code;
}

static int list(struct store *store, const struct usage_filter *f,
	struct usage_record **ret_records, size_t *ret_count, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	void *found = NULL;
	size_t count = 0;
	const struct usage_record *after = f->after;
	const struct sql_value values[] = {
		sql_number(f->period),
		sql_number(f->by_key),
		sql_number(f->by_function),
		sql_number(f->by_mode),
		sql_number(f->since_hour),
		sql_number(f->until_hour),
		sql_number(f->key != NULL),
		sql_text(f->key ? f->key : ""),
		sql_number(f->function != NULL),
		sql_text(f->function ? f->function : ""),
		sql_number(after != NULL),
		sql_number(after ? after->hour : 0),
		sql_text(after ? after->key : ""),
		sql_text(after ? after->function : ""),
		sql_number(after ? after->mode : 0),
		sql_number(f->most),
	};
	int r = sql_query(store, SQL_USAGE_LIST, values, ARRAY_LEN(values), &session, error);
	if (r > 0)
		r = sql_read_all(
			&session, sizeof(struct usage_record), read_record, &found, &count, error);
	if (r < 0) {
		usage_record_list_free(found, count);
		return r;
	}
	*ret_records = found;
	*ret_count = count;
	return 0;
}

const struct usage_ops sql_usage_ops = {
	.place = place,
	.fold = fold,
	.forget = forget,
	.list = list,
	.trim = trim,
};
