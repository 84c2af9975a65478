/* SPDX-License-Identifier: MIT */
/* Sessions, statements and rows, by way of the driver. */
#include <errno.h>

#include "store/sql/sql.h"

struct sql_value sql_text(const char *text)
{
	return (struct sql_value){ SQL_TYPE_TEXT, text, text ? strlen(text) : 0, 0 };
}

struct sql_value sql_number(uint64_t number)
{
	return (struct sql_value){ SQL_TYPE_NUMBER, NULL, 0, (int64_t)number };
}

struct sql_value sql_bytes(const void *data, size_t len)
{
	return (struct sql_value){ SQL_TYPE_BYTES, data, len, 0 };
}

static int noted(struct sql_session *session, int r)
{
	session->failed |= r < 0;
	return r;
}

int sql_start(struct store *store, enum sql_purpose purpose, struct sql_session *ret,
	nova_error_t **error)
{
	*ret = (struct sql_session){ (struct sql_store *)store, NULL, NULL, false };
	return noted(ret, ret->store->driver->take(ret, purpose, error));
}

void sql_end(struct sql_session *session)
{
	if (session->connection)
		session->store->driver->give(session);
	session->connection = NULL;
}

int sql_run(struct sql_session *session, enum sql_statement which, const struct sql_value *values,
	size_t count, nova_error_t **error)
{
	return noted(session, session->store->driver->run(session, which, values, count, error));
}

int sql_next(struct sql_session *session, nova_error_t **error)
{
	return noted(session, session->store->driver->next(session, error));
}

uint64_t sql_changes(const struct sql_session *session)
{
	return session->store->driver->changes(session);
}

int sql_do(struct sql_session *session, enum sql_statement which, const struct sql_value *values,
	size_t count, uint64_t *ret_changes, nova_error_t **error)
{
	int r = sql_run(session, which, values, count, error);
	if (r >= 0 && ret_changes)
		*ret_changes = sql_changes(session);
	return r < 0 ? r : 0;
}

int sql_query(struct store *store, enum sql_statement which, const struct sql_value *values,
	size_t count, struct sql_session *ret_session, nova_error_t **error)
{
	int r = sql_start(store, SQL_READS, ret_session, error);
	return r < 0 ? r : sql_run(ret_session, which, values, count, error);
}

int sql_write(struct store *store, enum sql_statement which, const struct sql_value *values,
	size_t count, uint64_t *ret_changes, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	int r = sql_start(store, SQL_WRITES, &session, error);
	return r < 0 ? r : sql_do(&session, which, values, count, ret_changes, error);
}

int sql_begin(struct sql_session *session, nova_error_t **error)
{
	const struct sql_driver *driver = session->store->driver;
	return noted(session, driver->execute(session, driver->begin, "begin to write", error));
}

int sql_commit(struct sql_session *session, nova_error_t **error)
{
	return noted(
		session, session->store->driver->execute(session, "COMMIT", "write to it", error));
}

int sql_begin_snapshot(struct sql_session *session, nova_error_t **error)
{
	const struct sql_driver *driver = session->store->driver;
	return driver->execute(session, driver->snapshot, "read it", error);
}

/* --- rows --- */

static const char *column_name(const struct sql_row *row, int at)
{
	return row->session->store->driver->column(row->session, at);
}

char *row_text(struct sql_row *row)
{
	int at = row->next++;
	const char *text;
	size_t len;
	if (!row->session->store->driver->text(row->session, at, &text, &len) ||
		strlen(text) != len) {
		row->bad = column_name(row, at);
		return NULL;
	}
	char *copy = strdup(text);
	row->no_memory |= !copy;
	return copy;
}

uint64_t row_number(struct sql_row *row, uint64_t max)
{
	int at = row->next++;
	int64_t number;
	if (!row->session->store->driver->number(row->session, at, &number) || number < 0 ||
		(uint64_t)number > max) {
		row->bad = column_name(row, at);
		return 0;
	}
	return (uint64_t)number;
}

void *row_bytes(struct sql_row *row, size_t *ret_len)
{
	int at = row->next++;
	const void *data;
	if (!row->session->store->driver->bytes(row->session, at, &data, ret_len)) {
		row->bad = column_name(row, at);
		return NULL;
	}
	uint8_t *copy = malloc(*ret_len + 1);
	row->no_memory |= !copy;
	if (copy) {
		memcpy(copy, *ret_len ? data : "", *ret_len);
		copy[*ret_len] = 0;
	}
	return copy;
}

void row_list(struct sql_row *row, struct text_list *list)
{
	int at = row->next;
	AUTO_FREE char *json = row_text(row);
	int r = json ? text_list_from_json(list, json, strlen(json)) : 0;
	row->no_memory |= r == -ENOMEM;
	if (r == -EINVAL)
		row->bad = column_name(row, at);
}

int row_end(const struct sql_row *row, nova_error_t **error)
{
	if (row->no_memory)
		return nova_oom(error);
	if (row->bad)
		return nova_fail(error, NOVA_ECORRUPT,
			"column '%s' has a value that cannot be there", row->bad);
	return 0;
}

/* The array grows by doubling. */
static void *room_for_one_more(void *array, size_t count, size_t element)
{
	if (count & (count - 1))
		return array;
	return reallocarray(array, count ? count * 2 : 1, element);
}

int sql_read_all(struct sql_session *session, size_t element,
	int (*read)(struct sql_session *session, void *element, nova_error_t **error),
	void **ret_array, size_t *ret_count, nova_error_t **error)
{
	*ret_array = NULL;
	*ret_count = 0;
	int more = 1;
	while (more > 0) {
		uint8_t *grown = room_for_one_more(*ret_array, *ret_count, element);
		if (!grown)
			return nova_oom(error);
		*ret_array = grown;
		void *one = grown + *ret_count * element;
		memset(one, 0, element);
		int r = read(session, one, error);
		if (r < 0)
			return r;
		++*ret_count;
		more = sql_next(session, error);
	}
	return more;
}

/* --- failures --- */

int sql_wrap_row(const struct sql_session *session, const char *kind, const char *name, int code,
	nova_error_t **error)
{
	return nova_wrap(error, code, "%s %s is damaged at %s '%.64s'", session->store->what,
		session->store->place, kind, name && text_is_utf8(name) ? name : "?");
}

int sql_fail_missing(const char *kind, const char *name, nova_error_t **error)
{
	return nova_fail(error, NOVA_ENOTFOUND, "there is no %s '%.80s'", kind,
		text_is_utf8(name) ? name : "(not UTF-8)");
}
