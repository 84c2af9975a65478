/* SPDX-License-Identifier: MIT */
/* Who needs a blob. */
#include "store/sql/sql.h"

int sql_count_users(
	struct store *store, const char *hash, uint64_t *ret_count, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	struct sql_row row = { &session, 0, NULL, false };
	int r = sql_query(
		store, SQL_USERS, (struct sql_value[]){ sql_text(hash) }, 1, &session, error);
	if (r < 0)
		return r;
	*ret_count = row_number(&row, INT64_MAX);
	return row_end(&row, error);
}
