/* SPDX-License-Identifier: MIT */
/* The operations: one prepared statement each, under the lock of its connection. */
#include "store/sqlite/sqlite.h"

/* Those with each label of the JSON array ?1: the same text, or one that goes on with '=' behind
 * it, which no key has in it. */
#define HAVE_LABELS                                                                                \
	"NOT EXISTS (SELECT 1 FROM json_each(?1) AS wanted WHERE NOT EXISTS (SELECT 1 FROM "       \
	"json_each(functions.labels) AS label WHERE label.value = wanted.value OR "                \
	"(instr(wanted.value, '=') = 0 AND "                                                       \
	"substr(label.value, 1, length(wanted.value) + 1) = wanted.value || '=')))"

/* "@" stands for the columns, "#" for a parameter for each: the id, the name, and the rest. */
static const char *const sql_texts[STATEMENTS] = {
	[SQL_INSERT] = "INSERT INTO functions (@) VALUES (#)",
	[SQL_UPDATE] = ("UPDATE functions SET (@) = (#)"
			" WHERE name = ?2 AND id = ?1 AND version = $behind_them"),
	[SQL_GET] = "SELECT @ FROM functions WHERE name = ?1",
	[SQL_LIST] = "SELECT @ FROM functions WHERE " HAVE_LABELS " ORDER BY name",
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
		AUTO_FREE char *sql = columns_fill_in(sql_texts[which]);
		if (!sql)
			return nova_oom(error);
		int rc = sqlite3_prepare_v3(
			use->connection->db, sql, -1, SQLITE_PREPARE_PERSISTENT, kept, NULL);
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

static int fail_row(struct use *use, const char *name, int code, nova_error_t **error)
{
	return nova_wrap(error, code, "the function store %s is damaged at function '%.64s'",
		use->connection->path, name && text_is_utf8(name) ? name : "?");
}

static int read_record(struct use *use, struct function_record *ret, nova_error_t **error)
{
	AUTO_RECORD struct function_record record = { 0 };
	int r = columns_read(use->statement, &record, error);
	if (r == NOVA_ENOMEM)
		return r;
	if (r < 0)
		return fail_row(use, record.name, r, error);
	*ret = record;
	memset(&record, 0, sizeof(record));
	return 0;
}

/* --- operations --- */

static int put(struct store *store, const struct function_record *record, uint32_t replaces,
	nova_error_t **error)
{
	AUTO_USE struct use use = write_begin(store);
	int r = use_prepare(&use, replaces ? SQL_UPDATE : SQL_INSERT, error);
	if (r < 0)
		return r;
	int behind = columns_bind(use.statement, record, error);
	if (behind < 0)
		return behind;
	if (replaces)
		bind_number(&use, behind, replaces);
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

/* With the statement of the list. Until its end the records that were read are there. */
static int read_list(struct use *use, struct function_record **ret_records, size_t *ret_count,
	nova_error_t **error)
{
	struct function_record *records = NULL;
	size_t count = 0;
	int rc = SQLITE_DONE, r = 0;
	while (r == 0 && (rc = sqlite3_step(use->statement)) == SQLITE_ROW) {
		struct function_record *grown = grow(records, count, sizeof(*records));
		if (!grown) {
			r = nova_oom(error);
			break;
		}
		records = grown;
		r = read_record(use, &records[count], error);
		count += r == 0;
	}
	if (r == 0 && rc != SQLITE_DONE)
		r = sqlite_fail(use->connection, rc, "read it", error);
	if (r < 0) {
		record_list_free(records, count);
		return r;
	}
	*ret_records = records;
	*ret_count = count;
	return 0;
}

static int list(struct store *store, const struct text_list *labels,
	struct function_record **ret_records, size_t *ret_count, nova_error_t **error)
{
	static const struct text_list none = { NULL, 0 };
	AUTO_FREE char *wanted = text_list_to_json(labels ? labels : &none);
	if (!wanted)
		return nova_oom(error);
	AUTO_USE struct use use = read_begin(store);
	int r = use_prepare(&use, SQL_LIST, error);
	if (r < 0)
		return r;
	bind_text(&use, 1, wanted);
	return read_list(&use, ret_records, ret_count, error);
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
int sqlite_stamp(struct store *store, uint64_t *ret_stamp, nova_error_t **error)
{
	AUTO_USE struct use use = read_begin(store);
	int r = use_prepare(&use, SQL_STAMP, error);
	return r < 0 ? r : ask_number(&use, ret_stamp, error);
}

const struct function_ops sqlite_function_ops = {
	.put = put,
	.get = get,
	.list = list,
	.names = names,
	.remove = remove_function,
	.count_code_users = count_code_users,
};
