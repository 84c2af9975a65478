/* SPDX-License-Identifier: MIT */
/* The statements, and how one is used; and what is asked of the whole store. */
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
	[SQL_NAMES] = "SELECT name FROM functions WHERE ?2 IS NULL OR runtime = ?2 ORDER BY name "
		      "LIMIT ?1",
	[SQL_REMOVE] = "DELETE FROM functions WHERE name = ?1",
	[SQL_USERS] = ("SELECT (SELECT count(*) FROM functions WHERE code_hash = ?1 OR image = "
		       "'" IMAGE_BLOB "' || ?1) + (SELECT count(*) FROM runtimes WHERE image = "
		       "'" IMAGE_BLOB "' || ?1)"),
	[SQL_RUNTIME_INSERT] = "INSERT INTO runtimes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[SQL_RUNTIME_REPLACE] = ("INSERT OR REPLACE INTO runtimes "
				 "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
	[SQL_RUNTIME_GET] = "SELECT * FROM runtimes WHERE name = ?1",
	[SQL_RUNTIME_LIST] = "SELECT * FROM runtimes ORDER BY name",
	[SQL_RUNTIME_REMOVE] = "DELETE FROM runtimes WHERE name = ?1",
	[SQL_STAMP] = "PRAGMA data_version",
};

void use_end(struct use *use)
{
	if (use->statement) {
		sqlite3_reset(use->statement);
		sqlite3_clear_bindings(use->statement);
	}
	pthread_mutex_unlock(&use->connection->lock);
}

static struct use use_begin(struct connection *connection)
{
	pthread_mutex_lock(&connection->lock);
	return (struct use){ connection, NULL };
}

struct use use_reader(struct store *store)
{
	return use_begin(&((struct sqlite_store *)store)->reader);
}

struct use use_writer(struct store *store)
{
	return use_begin(&((struct sqlite_store *)store)->writer);
}

int use_prepare(struct use *use, enum statement which, nova_error_t **error)
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

void use_bind_text(struct use *use, int at, const char *text)
{
	/* A failure (no memory) leaves NULL, which NOT NULL refuses and no name equals. The text
	 * outlives the use. */
	sqlite3_bind_text(use->statement, at, text, -1, SQLITE_STATIC);
}

void use_bind_number(struct use *use, int at, uint64_t number)
{
	sqlite3_bind_int64(use->statement, at, (sqlite3_int64)number);
}

void *use_grow(void *array, size_t count, size_t element)
{
	if (count & (count - 1))
		return array;
	return reallocarray(array, count ? count * 2 : 1, element);
}

/* --- of the whole store --- */

static int ask_number(struct use *use, uint64_t *ret, nova_error_t **error)
{
	int rc = sqlite3_step(use->statement);
	if (rc != SQLITE_ROW)
		return sqlite_fail(use->connection, rc, "read it", error);
	*ret = (uint64_t)sqlite3_column_int64(use->statement, 0);
	return 0;
}

int sqlite_count_users(
	struct store *store, const char *hash, uint64_t *ret_count, nova_error_t **error)
{
	AUTO_USE struct use use = use_reader(store);
	int r = use_prepare(&use, SQL_USERS, error);
	if (r < 0)
		return r;
	use_bind_text(&use, 1, hash);
	return ask_number(&use, ret_count, error);
}

/* SQLite counts what others than this connection have committed, and this one commits nothing. */
int sqlite_stamp(struct store *store, uint64_t *ret_stamp, nova_error_t **error)
{
	AUTO_USE struct use use = use_reader(store);
	int r = use_prepare(&use, SQL_STAMP, error);
	return r < 0 ? r : ask_number(&use, ret_stamp, error);
}
