/* SPDX-License-Identifier: MIT */
/* What is done with keys. */
#include "store/sql/sql.h"

#define KIND "key"

static int put(struct store *store, const struct key_record *k, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	const struct sql_value values[] = {
		sql_text(k->name),
		sql_text(k->hash),
		sql_text(k->prefix),
		sql_text(k->tier),
		sql_number(k->expires_us),
		sql_number(k->created_us),
		sql_number(k->rate),
		sql_number(k->period_ms),
		sql_number(k->burst),
	};
	int code = sql_write(store, SQL_KEY_INSERT, values, ARRAY_LEN(values), NULL, &failure);
	if (code == NOVA_EEXIST)
		return nova_fail(error, NOVA_EEXIST,
			"there is a key '%s'; choose another name, or delete that key", k->name);
	if (code < 0 && error)
		*error = STEAL(failure);
	return code;
}

/* Into an empty one; what could be read of it is there after a failure. */
static int read_columns(struct sql_session *session, struct key_record *k, nova_error_t **error)
{
	struct sql_row row = { session, 0, NULL, false };
	k->name = row_text(&row);
	k->hash = row_text(&row);
	k->prefix = row_text(&row);
	k->tier = row_text(&row);
	k->expires_us = row_number(&row, INT64_MAX);
	k->created_us = row_number(&row, INT64_MAX);
	k->updated_us = row_number(&row, INT64_MAX);
	k->revoked = row_number(&row, 1);
	k->rate = (uint32_t)row_number(&row, KEY_RATE_MOST);
	k->period_ms = (uint32_t)row_number(&row, KEY_PERIOD_MOST);
	k->burst = (uint32_t)row_number(&row, KEY_RATE_MOST);
	int code = row_end(&row, error);
	return code < 0 ? code : key_record_check(k, NOVA_ECORRUPT, error);
}

int sql_read_key(struct sql_session *session, void *to, nova_error_t **error)
{
	AUTO_KEY_RECORD struct key_record record = { NULL };
	int code = read_columns(session, &record, error);
	if (code == NOVA_ENOMEM)
		return code;
	if (code < 0)
		return sql_wrap_row(session, KIND, record.name, code, error);
	memcpy(to, &record, sizeof(record));
	memset(&record, 0, sizeof(record));
	return 0;
}

static int get(
	struct store *store, const char *name, struct key_record *ret_record, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value value = sql_text(name);
	if (!text_is_utf8(name))
		return sql_fail_missing(KIND, name, error);
	int r = sql_query(store, SQL_KEY_GET, &value, 1, &session, error);
	if (r == 0)
		return sql_fail_missing(KIND, name, error);
	return r < 0 ? r : sql_read_key(&session, ret_record, error);
}

static int find(
	struct store *store, const char *hash, struct key_record *ret_record, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	const struct sql_value value = sql_text(hash);
	int r = sql_query(store, SQL_KEY_FIND, &value, 1, &session, error);
	if (r == 0)
		return nova_fail(error, NOVA_ENOTFOUND, "this key is not known");
	return r < 0 ? r : sql_read_key(&session, ret_record, error);
}

static int list(struct store *store, struct key_record **ret_records, size_t *ret_count,
	nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	void *records = NULL;
	size_t count = 0;
	int r = sql_query(store, SQL_KEY_LIST, NULL, 0, &session, error);
	if (r > 0)
		r = sql_read_all(
			&session, sizeof(struct key_record), sql_read_key, &records, &count, error);
	if (r < 0) {
		key_record_list_free(records, count);
		return r;
	}
	*ret_records = records;
	*ret_count = count;
	return 0;
}

/* One statement that concerns the key of that name. */
static int change(struct store *store, enum sql_statement which, const struct sql_value *values,
	size_t count, nova_error_t **error)
{
	const char *name = values[0].data;
	uint64_t changes = 0;
	int r = text_is_utf8(name) ? sql_write(store, which, values, count, &changes, error) : 0;
	return r < 0 || changes ? r : sql_fail_missing(KIND, name, error);
}

static int revoke(struct store *store, const char *name, uint64_t now_us, nova_error_t **error)
{
	const struct sql_value values[] = { sql_text(name), sql_number(now_us) };
	return change(store, SQL_KEY_REVOKE, values, ARRAY_LEN(values), error);
}

static int remove_key(struct store *store, const char *name, nova_error_t **error)
{
	const struct sql_value value = sql_text(name);
	return change(store, SQL_KEY_REMOVE, &value, 1, error);
}

const struct key_ops sql_key_ops = {
	.put = put,
	.get = get,
	.find = find,
	.list = list,
	.revoke = revoke,
	.remove = remove_key,
};
