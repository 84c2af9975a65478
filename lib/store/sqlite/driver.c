/* SPDX-License-Identifier: MIT */
/* How a statement is run: each is prepared once a connection, under whose lock it is used. */
#include <errno.h>

#include "store/sqlite/sqlite.h"

/* A copy takes long, and others read meanwhile. */
static int take_passing(struct sql_session *session, nova_error_t **error)
{
	const struct sqlite_store *s = (struct sqlite_store *)session->store;
	struct connection *c = calloc(1, sizeof(*c));
	if (!c)
		return nova_oom(error);
	c->kind = s->reader.kind;
	c->path = s->reader.path;
	c->passing = true;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_lock(&c->lock);
	session->connection = c;
	return sqlite_connect(c, error);
}

static int take(struct sql_session *session, enum sql_purpose purpose, nova_error_t **error)
{
	struct sqlite_store *s = (struct sqlite_store *)session->store;
	if (purpose == SQL_COPIES)
		return take_passing(session, error);
	struct connection *c = purpose == SQL_READS ? &s->reader : &s->writer;
	int moved = 0;
	pthread_mutex_lock(&c->lock);
	session->connection = c;
	/* Undoing needs memory: the session before may have had none. */
	int rc = sqlite3_get_autocommit(c->db) ? SQLITE_OK :
						 sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return sqlite_fail(c, rc, "use it", error);
	if (c->kind->may_move)
		sqlite3_file_control(c->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
	return moved ? sqlite_fail(c, SQLITE_READONLY_DBMOVED, "use it", error) : 0;
}

static void end_statement(struct sql_session *session)
{
	sqlite3_stmt *statement = STEAL(session->rows);
	if (statement) {
		sqlite3_reset(statement);
		sqlite3_clear_bindings(statement);
	}
}

static void give(struct sql_session *session)
{
	struct connection *c = session->connection;
	end_statement(session);
	if (c->db && !sqlite3_get_autocommit(c->db))
		sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	pthread_mutex_unlock(&c->lock);
	if (!c->passing)
		return;
	/* Before it is given back: whoever waits for it makes another one. */
	for (size_t i = 0; i < SQL_LOCKS; i++) {
		if (!c->locks[i].path)
			continue;
		fs_unlink(c->locks[i].path);
		fd_close(c->locks[i].fd);
		free(c->locks[i].path);
	}
	sqlite_disconnect(c);
	free(c);
}

/* A file: a lock of the database itself would keep others from writing. */
static int lock(struct sql_session *session, enum sql_lock which, nova_error_t **error)
{
	static const char *const names[SQL_LOCKS] = { "import", "spaces" };
	struct connection *c = session->connection;
	AUTO_FREE char *path = str_format("%s.%s", c->path, names[which]);
	int r = path ? fs_lock(path, false, &c->locks[which].fd) : -ENOMEM;
	if (r == 0) {
		c->locks[which].path = STEAL(path);
		return 1;
	}
	return r == -EWOULDBLOCK ? 0 :
				   nova_fail_os(error, r, "%s %s: cannot lock it for an import",
					   c->kind->what, c->path);
}

static int prepare(struct sql_session *session, enum sql_statement which, nova_error_t **error)
{
	struct connection *c = session->connection;
	sqlite3_stmt **kept = &c->statements[which];
	if (!*kept) {
		AUTO_FREE char *sql = sql_statement_text(session->store->driver, which);
		if (!sql)
			return nova_oom(error);
		int rc = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, kept, NULL);
		if (rc != SQLITE_OK)
			return sqlite_fail(c, rc, "read it", error);
	}
	session->rows = *kept;
	return 0;
}

static int bind(sqlite3_stmt *s, int at, const struct sql_value *value)
{
	switch (value->type) {
	case SQL_TYPE_NUMBER:
		return sqlite3_bind_int64(s, at, value->number);
	case SQL_TYPE_BYTES:
		return sqlite3_bind_blob(s, at, value->data, (int)value->len, SQLITE_STATIC);
	default:
		return sqlite3_bind_text(s, at, value->data, (int)value->len, SQLITE_STATIC);
	}
}

static int step(struct sql_session *session, nova_error_t **error)
{
	struct connection *c = session->connection;
	int rc = sqlite3_step(session->rows);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return rc == SQLITE_ROW;
	if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY)
		return nova_fail(error, NOVA_EEXIST, "%s %s has it already", session->store->what,
			session->store->place);
	if (rc == SQLITE_CONSTRAINT_FOREIGNKEY)
		return nova_fail(error, NOVA_EBUSY,
			"%s %s has something else that needs it, or lacks what it "
			"needs",
			session->store->what, session->store->place);
	bool writes = !sqlite3_stmt_readonly(session->rows);
	return sqlite_fail(c, rc, writes ? "write to it" : "read it", error);
}

static int run(struct sql_session *session, enum sql_statement which,
	const struct sql_value *values, size_t count, nova_error_t **error)
{
	end_statement(session);
	int r = prepare(session, which, error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		int rc = bind(session->rows, (int)i + 1, &values[i]);
		if (rc != SQLITE_OK)
			return sqlite_fail(session->connection, rc, "use it", error);
	}
	return step(session, error);
}

static uint64_t changes(const struct sql_session *session)
{
	return (uint64_t)sqlite3_changes(((struct connection *)session->connection)->db);
}

static bool text(struct sql_session *session, int column, const char **ret, size_t *ret_len)
{
	sqlite3_stmt *s = session->rows;
	*ret = (const char *)sqlite3_column_text(s, column);
	*ret_len = (size_t)sqlite3_column_bytes(s, column);
	return sqlite3_column_type(s, column) == SQLITE_TEXT && *ret;
}

static bool number(struct sql_session *session, int column, int64_t *ret)
{
	*ret = sqlite3_column_int64(session->rows, column);
	return sqlite3_column_type(session->rows, column) == SQLITE_INTEGER;
}

static bool bytes(struct sql_session *session, int column, const void **ret, size_t *ret_len)
{
	sqlite3_stmt *s = session->rows;
	*ret = sqlite3_column_blob(s, column);
	*ret_len = (size_t)sqlite3_column_bytes(s, column);
	return sqlite3_column_type(s, column) == SQLITE_BLOB && (*ret || !*ret_len);
}

static const char *column(const struct sql_session *session, int at)
{
	return sqlite3_column_name(session->rows, at);
}

static int execute(
	struct sql_session *session, const char *sql, const char *doing, nova_error_t **error)
{
	end_statement(session);
	return sqlite_run(session->connection, sql, doing, error);
}

static int log_batch(struct sql_session *session, const struct sql_batch *batch,
	uint64_t *ret_changes, nova_error_t **error)
{
	struct sql_value values[COLUMNS_MAX];
	int r = execute(session, session->store->driver->logging, "begin to write", error);
	*ret_changes = 0;
	for (size_t i = 0; i < batch->sets && r >= 0; i++) {
		batch->fill(batch->userdata, i, values);
		r = run(session, batch->which, values, batch->values, error);
		*ret_changes += r < 0 ? 0 : changes(session);
	}
	return r < 0 ? r : execute(session, "COMMIT", "write to it", error);
}

/* --- the schema --- */

/* Whether the file is one of ours; a new file has nothing in it at all. */
static int check_identity(struct connection *c, int64_t *ret_version, nova_error_t **error)
{
	int64_t id, tables;
	int r = sqlite_ask(c, "PRAGMA application_id", &id, error);
	if (r == 0)
		r = sqlite_ask(c, "PRAGMA user_version", ret_version, error);
	if (r == 0)
		r = sqlite_ask(c, "SELECT count(*) FROM sqlite_schema", &tables, error);
	if (r < 0)
		return r;
	if (id != c->kind->id && (id || *ret_version || tables))
		return nova_fail(error, NOVA_ECORRUPT,
			"%s is a database, but not one of libnova; move it away or choose another "
			"state directory (setting 'home')",
			c->path);
	return 0;
}

/* In one transaction: between two answers another process may have made the schema, and the file
 * would seem to be neither new nor ours. */
static int version(struct sql_session *session, int64_t *ret_version, nova_error_t **error)
{
	struct connection *c = session->connection;
	bool inside = !sqlite3_get_autocommit(c->db);
	int r = inside ? 0 : sqlite_run(c, "BEGIN", "look at it", error);
	if (r < 0)
		return r;
	r = check_identity(c, ret_version, error);
	int rc = inside ? SQLITE_OK : sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	return r < 0 || rc == SQLITE_OK ? r : sqlite_fail(c, rc, "look at it", error);
}

static int set_version(struct sql_session *session, int64_t version_now, nova_error_t **error)
{
	const struct connection *c = session->connection;
	char sql[96];
	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %lld",
		c->kind->id, (long long)version_now);
	return sqlite_run(session->connection, sql, "note the schema version", error);
}

static const char *const words[][2] = { { NULL, NULL } };

const struct sql_driver sqlite_driver = {
	.words = words,
	.parameter = '?',
	.begin = "BEGIN IMMEDIATE",
	.snapshot = "BEGIN",
	.migration = "BEGIN IMMEDIATE",
	.logging = "BEGIN IMMEDIATE",
	.take = take,
	.give = give,
	.run = run,
	.log_batch = log_batch,
	.next = step,
	.changes = changes,
	.text = text,
	.number = number,
	.bytes = bytes,
	.column = column,
	.execute = execute,
	.version = version,
	.set_version = set_version,
	.lock = lock,
};

/* --- the stamp --- */

/* SQLite counts what others than this connection have committed, and this one commits nothing. */
int sqlite_stamp(struct store *store, uint64_t *ret_stamp, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	int r = sql_start(store, SQL_READS, &session, error);
	struct connection *c = session.connection;
	int rc = c->stamp ? SQLITE_OK :
			    sqlite3_prepare_v3(c->db, "PRAGMA data_version", -1,
				    SQLITE_PREPARE_PERSISTENT, &c->stamp, NULL);
	if (rc != SQLITE_OK)
		return sqlite_fail(c, rc, "read it", error);
	session.rows = c->stamp;
	r = step(&session, error);
	if (r > 0)
		*ret_stamp = (uint64_t)sqlite3_column_int64(c->stamp, 0);
	return r < 0 ? r : 0;
}
