/* SPDX-License-Identifier: MIT */
/* How much a function keeps, and whether there is room for more. */
#include "store/sql/sql.h"

/* Two that write at the same moment may both find room for one more. */
int sql_check_totals(struct sql_session *session, enum sql_statement which, const char *space,
	const char *besides, size_t len, const struct kv_limits *limits, const char *what,
	nova_error_t **error)
{
	const struct sql_value values[] = { sql_text(space), sql_text(besides),
		sql_number(clock_unix_us()) };
	struct sql_row row = { session, 0, NULL, false };
	int r = sql_run(session, which, values, ARRAY_LEN(values), error);
	if (r < 0)
		return r;
	uint64_t count = row_number(&row, INT64_MAX), total = row_number(&row, INT64_MAX);
	r = row_end(&row, error);
	if (r < 0)
		return r;
	if (count >= limits->most)
		return nova_fail(error, NOVA_ELIMIT,
			"the function has %llu %s already, as many as it may: delete some, or "
			"raise the setting kv.max_%s",
			(unsigned long long)count, what, what);
	if (total + len > limits->total)
		return nova_fail(error, NOVA_ELIMIT,
			"the function keeps %llu bytes, and with %zu more it would be over the "
			"%llu that it may: delete something, or raise the setting kv.max_total",
			(unsigned long long)total, len, (unsigned long long)limits->total);
	return 0;
}
