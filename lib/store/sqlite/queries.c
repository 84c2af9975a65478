/* SPDX-License-Identifier: MIT */
/* The operations: one prepared statement each, under the lock of its connection. */
#include <errno.h>

#include "store/sqlite/sqlite.h"

#define COLUMNS                                                                                    \
	"id, name, runtime, handler, code_path, code_hash, memory_mb, timeout_s, vcpus, "          \
	"min_replicas, disk_iops, "                                                                \
	"disk_bandwidth, net_rx_bandwidth, net_tx_bandwidth, env, version, created_us, updated_us, concurrency, network"

static const char *const sql_texts[STATEMENTS] = {
	[SQL_INSERT] = "INSERT INTO functions (" COLUMNS
		       ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20)",
	[SQL_UPDATE] = "UPDATE functions SET (" COLUMNS
		       ") = (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20)"
		       " WHERE name = ?2 AND id = ?1 AND version = ?21",
	[SQL_GET] = "SELECT " COLUMNS " FROM functions WHERE name = ?1",
	[SQL_LIST] = "SELECT " COLUMNS " FROM functions ORDER BY name",
	[SQL_NAMES] = "SELECT name FROM functions ORDER BY name LIMIT ?1",
	[SQL_REMOVE] = "DELETE FROM functions WHERE name = ?1",
	[SQL_USERS] = "SELECT count(*) FROM functions WHERE code_hash = ?1",
	[SQL_STAMP] = "PRAGMA data_version",
};

/* A statement in use: holds the lock of its connection until it goes out of scope. */
struct use {
	struct connection *connection;
	sqlite3_stmt *statement;
};

static void use_end(struct use *use)
{
	if (use->statement) {
		sqlite3_reset(use->statement);
		sqlite3_clear_bindings(use->statement);
	}
	pthread_mutex_unlock(&use->connection->lock);
}
#define AUTO_USE CLEANUP(use_end)

static struct use use_begin(struct connection *connection)
{
	pthread_mutex_lock(&connection->lock);
	return (struct use){ connection, NULL };
}

static struct use read_begin(struct store *store)
{
	return use_begin(&((struct sqlite_store *)store)->reader);
}

static struct use write_begin(struct store *store)
{
	return use_begin(&((struct sqlite_store *)store)->writer);
}

static int use_prepare(struct use *use, enum statement which, nova_error_t **error)
{
	sqlite3_stmt **kept = &use->connection->statements[which];
	if (!*kept) {
		int rc = sqlite3_prepare_v3(use->connection->db, sql_texts[which], -1,
			SQLITE_PREPARE_PERSISTENT, kept, NULL);
		if (rc != SQLITE_OK)
			return sqlite_fail(use->connection, rc, "read it", error);
	}
	use->statement = *kept;
	return 0;
}

static void bind_text(struct use *use, int at, const char *text)
{
	/* A failure (no memory) leaves NULL, which NOT NULL refuses and no name equals. The text
	 * outlives the use. */
	sqlite3_bind_text(use->statement, at, text, -1, SQLITE_STATIC);
}

static void bind_number(struct use *use, int at, uint64_t number)
{
	sqlite3_bind_int64(use->statement, at, (sqlite3_int64)number);
}

/* --- a row to a record
 * -------------------------------------------------------------------------------------------- */

/* A cursor over the columns of a row; remembers the first that is not what the schema promises. */
struct row {
	sqlite3_stmt *statement;
	int next;
	const char *bad;
	bool no_memory;
};

static char *row_text(struct row *row)
{
	int at = row->next++;
	const char *text = (const char *)sqlite3_column_text(row->statement, at);
	if (sqlite3_column_type(row->statement, at) != SQLITE_TEXT || !text ||
		strlen(text) != (size_t)sqlite3_column_bytes(row->statement, at)) {
		row->bad = sqlite3_column_name(row->statement, at);
		return NULL;
	}
	char *copy = strdup(text);
	row->no_memory |= !copy;
	return copy;
}

static uint64_t row_number(struct row *row, uint64_t max)
{
	int at = row->next++;
	sqlite3_int64 number = sqlite3_column_int64(row->statement, at);
	if (sqlite3_column_type(row->statement, at) != SQLITE_INTEGER || number < 0 ||
		(uint64_t)number > max) {
		row->bad = sqlite3_column_name(row->statement, at);
		return 0;
	}
	return (uint64_t)number;
}

static void row_env(struct row *row, struct function_record *record)
{
	AUTO_FREE char *json = row_text(row);
	int r = json ? record_env_from_json(record, json, strlen(json)) : 0;
	row->no_memory |= r == -ENOMEM;
	if (r == -EINVAL)
		row->bad = "env";
}

/* In the order of COLUMNS. */
static void row_fields(struct row *row, struct function_record *r)
{
	r->id = row_text(row);
	r->name = row_text(row);
	r->runtime = row_text(row);
	r->handler = row_text(row);
	r->code_path = row_text(row);
	r->code_hash = row_text(row);
	r->memory_mb = (uint32_t)row_number(row, UINT32_MAX);
	r->timeout_s = (uint32_t)row_number(row, UINT32_MAX);
	r->vcpus = (uint32_t)row_number(row, UINT32_MAX);
	r->min_replicas = (uint32_t)row_number(row, UINT32_MAX);
	r->disk_iops = row_number(row, RECORD_MAX_NUMBER);
	r->disk_bandwidth = row_number(row, RECORD_MAX_NUMBER);
	r->net_rx_bandwidth = row_number(row, RECORD_MAX_NUMBER);
	r->net_tx_bandwidth = row_number(row, RECORD_MAX_NUMBER);
	row_env(row, r);
	r->version = (uint32_t)row_number(row, UINT32_MAX);
	r->created_us = row_number(row, RECORD_MAX_NUMBER);
	r->updated_us = row_number(row, RECORD_MAX_NUMBER);
	r->concurrency = (uint32_t)row_number(row, UINT32_MAX);
	r->network = (uint32_t)row_number(row, UINT32_MAX);
}

static int fail_row(struct use *use, const char *name, int code, nova_error_t **error)
{
	return nova_wrap(error, code, "the function store %s is damaged at function '%.64s'",
		use->connection->path, name && text_is_utf8(name) ? name : "?");
}

static int read_record(struct use *use, struct function_record *ret, nova_error_t **error)
{
	AUTO_RECORD struct function_record record = { 0 };
	struct row row = { use->statement };
	row_fields(&row, &record);
	if (row.no_memory)
		return nova_oom(error);
	int r = row.bad ? nova_fail(error, NOVA_ECORRUPT,
				  "column '%s' has a value that cannot be there", row.bad)
			: record_check(&record, NOVA_ECORRUPT, error);
	if (r < 0)
		return fail_row(use, record.name, r, error);
	*ret = record;
	memset(&record, 0, sizeof(record));
	return 0;
}

/* --- operations
 * ---------------------------------------------------------------------------------------------------
 */

static void bind_record(struct use *use, const struct function_record *r, const char *env)
{
	const char *const texts[] = { r->id, r->name, r->runtime, r->handler, r->code_path,
		r->code_hash };
	const uint64_t numbers[] = { r->memory_mb, r->timeout_s, r->vcpus, r->min_replicas,
		r->disk_iops, r->disk_bandwidth, r->net_rx_bandwidth, r->net_tx_bandwidth };
	int at = 1;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		bind_text(use, at++, texts[i]);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		bind_number(use, at++, numbers[i]);
	bind_text(use, at++, env);
	bind_number(use, at++, r->version);
	bind_number(use, at++, r->created_us);
	bind_number(use, at++, r->updated_us);
	bind_number(use, at++, r->concurrency);
	bind_number(use, at, r->network);
}

static int put(struct store *store, const struct function_record *record, uint32_t replaces,
	nova_error_t **error)
{
	AUTO_FREE char *env = record_env_to_json(record);
	if (!env)
		return nova_oom(error);
	AUTO_USE struct use use = write_begin(store);
	int r = use_prepare(&use, replaces ? SQL_UPDATE : SQL_INSERT, error);
	if (r < 0)
		return r;
	bind_record(&use, record, env);
	if (replaces)
		bind_number(&use, 21, replaces);
	int rc = sqlite3_step(use.statement);
	if ((rc & 0xff) == SQLITE_CONSTRAINT && !replaces)
		return nova_fail(
			error, NOVA_EEXIST, "a function '%s' exists already", record->name);
	if (rc != SQLITE_DONE)
		return sqlite_fail(use.connection, rc, "write to it", error);
	if (replaces && sqlite3_changes(use.connection->db) == 0)
		return nova_fail(error, NOVA_EBUSY,
			"the function '%s' was changed by somebody else meanwhile", record->name);
	return 0;
}

static int get(struct store *store, const char *name, struct function_record *ret_record,
	nova_error_t **error)
{
	AUTO_USE struct use use = read_begin(store);
	int r = use_prepare(&use, SQL_GET, error);
	if (r < 0)
		return r;
	bind_text(&use, 1, name);
	int rc = sqlite3_step(use.statement);
	if (rc == SQLITE_DONE)
		return nova_fail(error, NOVA_ENOTFOUND, "there is no function '%.80s'",
			text_is_utf8(name) ? name : "(not UTF-8)");
	if (rc != SQLITE_ROW)
		return sqlite_fail(use.connection, rc, "read it", error);
	return read_record(&use, ret_record, error);
}

/* Room for one more in an array that grows by doubling; NULL: out of memory, the array is as it
 * was. */
static void *grow(void *array, size_t count, size_t element)
{
	if (count & (count - 1))
		return array;
	return reallocarray(array, count ? count * 2 : 1, element);
}

static int list(struct store *store, struct function_record **ret_records, size_t *ret_count,
	nova_error_t **error)
{
	AUTO_USE struct use use = read_begin(store);
	struct function_record *records = NULL;
	size_t count = 0;
	int rc = SQLITE_DONE, r = use_prepare(&use, SQL_LIST, error);
	while (r == 0 && (rc = sqlite3_step(use.statement)) == SQLITE_ROW) {
		struct function_record *grown = grow(records, count, sizeof(*records));
		if (!grown) {
			r = nova_oom(error);
			break;
		}
		records = grown;
		r = read_record(&use, &records[count], error);
		count += r == 0;
	}
	if (r == 0 && rc != SQLITE_DONE)
		r = sqlite_fail(use.connection, rc, "read it", error);
	if (r < 0) {
		record_list_free(records, count);
		return r;
	}
	*ret_records = records;
	*ret_count = count;
	return 0;
}

static int names(
	struct store *store, size_t max, char ***ret_names, size_t *ret_count, nova_error_t **error)
{
	AUTO_USE struct use use = read_begin(store);
	int rc = SQLITE_DONE, r = use_prepare(&use, SQL_NAMES, error);
	if (r < 0)
		return r;
	char **found = calloc(max + 1, sizeof(*found));
	if (!found)
		return nova_oom(error);
	size_t count = 0;
	bind_number(&use, 1, max);
	while (count < max && (rc = sqlite3_step(use.statement)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(use.statement, 0);
		if (text && !(found[count++] = strdup(text)))
			r = nova_oom(error);
	}
	if (r == 0 && rc != SQLITE_DONE && rc != SQLITE_ROW)
		r = sqlite_fail(use.connection, rc, "read it", error);
	if (r < 0) {
		strv_free(found, count);
		return r;
	}
	*ret_names = found;
	*ret_count = count;
	return 0;
}

static int remove_function(struct store *store, const char *name, nova_error_t **error)
{
	AUTO_USE struct use use = write_begin(store);
	int r = use_prepare(&use, SQL_REMOVE, error);
	if (r < 0)
		return r;
	bind_text(&use, 1, name);
	int rc = sqlite3_step(use.statement);
	if (rc != SQLITE_DONE)
		return sqlite_fail(use.connection, rc, "write to it", error);
	if (sqlite3_changes(use.connection->db) == 0)
		return nova_fail(error, NOVA_ENOTFOUND, "there is no function '%.80s'",
			text_is_utf8(name) ? name : "(not UTF-8)");
	return 0;
}

static int ask_number(struct use *use, uint64_t *ret, nova_error_t **error)
{
	int rc = sqlite3_step(use->statement);
	if (rc != SQLITE_ROW)
		return sqlite_fail(use->connection, rc, "read it", error);
	*ret = (uint64_t)sqlite3_column_int64(use->statement, 0);
	return 0;
}

static int count_code_users(
	struct store *store, const char *code_hash, uint64_t *ret_count, nova_error_t **error)
{
	AUTO_USE struct use use = read_begin(store);
	int r = use_prepare(&use, SQL_USERS, error);
	if (r < 0)
		return r;
	bind_text(&use, 1, code_hash);
	return ask_number(&use, ret_count, error);
}

/* SQLite counts what others than this connection have committed, and this one commits nothing. */
static int stamp(struct store *store, uint64_t *ret_stamp, nova_error_t **error)
{
	AUTO_USE struct use use = read_begin(store);
	int r = use_prepare(&use, SQL_STAMP, error);
	return r < 0 ? r : ask_number(&use, ret_stamp, error);
}

const struct store_ops store_sqlite = {
	.name = "sqlite",
	.open = sqlite_store_open,
	.close = sqlite_store_close,
	.put = put,
	.get = get,
	.list = list,
	.names = names,
	.remove = remove_function,
	.count_code_users = count_code_users,
	.stamp = stamp,
};
