/* SPDX-License-Identifier: MIT */
/* All that a function keeps: its versions, how much it is, whether there is room for more, its
 * end. */
#include "store/sql/sql.h"

int sql_kv_code(const struct sql_session *session, int code, nova_error_t **error)
{
	bool refuses = code == NOVA_EINVAL || code == NOVA_ENOTFOUND || code == NOVA_EEXIST ||
		       code == NOVA_EBUSY || code == NOVA_ETOOBIG || code == NOVA_ELIMIT;
	if (!refuses || !session->failed)
		return code;
	AUTO_ERROR nova_error_t *failure = error ? STEAL(*error) : NULL;
	return nova_fail(error, NOVA_EIO, "%s",
		failure ? nova_error_message(failure) : "what functions keep cannot be reached");
}

int sql_take_version(struct sql_session *session, const char *space, uint64_t now_us,
	uint64_t *ret_version, nova_error_t **error)
{
	const struct sql_value values[] = { sql_text(space), sql_number(now_us) };
	struct sql_row row = { session, 0, NULL, false };
	int r = sql_run(session, SQL_KV_VERSION, values, ARRAY_LEN(values), error);
	if (r < 0)
		return r;
	*ret_version = row_number(&row, INT64_MAX);
	r = row_end(&row, error);
	return r < 0 ? r : sql_next(session, error);
}

struct totals {
	uint64_t count, bytes;
};

static int add_up(struct sql_session *session, enum sql_statement which, const char *space,
	const char *besides, struct totals *ret, nova_error_t **error)
{
	const struct sql_value values[] = { sql_text(space), sql_text(besides) };
	struct sql_row row = { session, 0, NULL, false };
	int r = sql_run(session, which, values, ARRAY_LEN(values), error);
	if (r < 0)
		return r;
	ret->count = row_number(&row, INT64_MAX);
	ret->bytes = row_number(&row, INT64_MAX);
	return row_end(&row, error);
}

static bool fits(const struct totals *totals, size_t len, const struct kv_limits *limits)
{
	return totals->count < limits->most && totals->bytes + len <= limits->total;
}

static int forget_expired(struct sql_session *session, const char *space, nova_error_t **error)
{
	const struct sql_value values[] = { sql_text(space), sql_number(clock_unix_us()) };
	return sql_do(session, SQL_KV_SWEEP_OF, values, ARRAY_LEN(values), NULL, error);
}

static int fail_full(const struct totals *totals, size_t len, const struct kv_limits *limits,
	const char *what, nova_error_t **error)
{
	if (totals->count >= limits->most)
		return nova_fail(error, NOVA_ELIMIT,
			"the function has %llu %s already, as many as it may: delete some, or "
			"raise the setting kv.max_%s",
			(unsigned long long)totals->count, what, what);
	return nova_fail(error, NOVA_ELIMIT,
		"the function keeps %llu bytes, and with %zu more it would be over the %llu that "
		"it may: delete something, or raise the setting kv.max_total",
		(unsigned long long)totals->bytes, len, (unsigned long long)limits->total);
}

/* What has expired and takes the room is not left to the next sweep. Who asks has the space
 * (sql_take_version()), so nobody else finds the same room. */
int sql_check_totals(struct sql_session *session, enum sql_statement which, const char *space,
	const char *besides, size_t len, const struct kv_limits *limits, const char *what,
	nova_error_t **error)
{
	struct totals totals;
	int r = add_up(session, which, space, besides, &totals, error);
	if (r < 0 || fits(&totals, len, limits))
		return r;
	r = forget_expired(session, space, error);
	if (r == 0)
		r = add_up(session, which, space, besides, &totals, error);
	if (r < 0 || fits(&totals, len, limits))
		return r;
	return fail_full(&totals, len, limits, what, error);
}

int sql_clear_space(struct sql_session *session, const char *space, nova_error_t **error)
{
	static const enum sql_statement all[] = { SQL_KV_SPACE_CLEAR, SQL_KV_CLEAR, SQL_FILES_CLEAR,
		SQL_FILE_CONTENTS_TRIM };
	const struct sql_value value = sql_text(space);
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(all); i++)
		r = sql_do(session, all[i], &value, 1, NULL, error);
	return r;
}
