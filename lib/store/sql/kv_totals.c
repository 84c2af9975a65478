/* SPDX-License-Identifier: MIT */
/* How much a function keeps, and whether there is room for more. */
#include "store/sql/sql.h"

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

/* What has expired and takes the room is not left to the next sweep. Two that write at the same
 * moment may both find room for one more. */
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
