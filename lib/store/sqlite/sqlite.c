/* SPDX-License-Identifier: MIT */
/* Opening and closing the database, and what SQLite's failures mean to a user. */
#include <errno.h>

#include "store/sqlite/sqlite.h"

#define BUSY_TIMEOUT_MS 10000

/* The errno of the last system call that failed on the database or its log; 0: none did. SQLite's
 * own note of it is not kept for all of its results. */
static int last_errno(struct connection *c)
{
	sqlite3_file *log = NULL;
	int os = sqlite3_system_errno(c->db);
	if (!os)
		sqlite3_file_control(c->db, "main", SQLITE_FCNTL_LAST_ERRNO, &os);
	if (!os &&
		sqlite3_file_control(c->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) ==
			SQLITE_OK &&
		log && log->pMethods)
		log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &os);
	return os;
}

/* SQLite says "malformed" too when a page could not be read. */
static int fail_damaged(struct connection *c, const char *doing, nova_error_t **error)
{
	int os = last_errno(c);
	if (os)
		return nova_fail_os(error, os, "the function store %s: cannot %s", c->path, doing);
	return nova_fail(error, NOVA_ECORRUPT,
		"the function store %s is damaged (cannot %s: %s); it was left as it is: put a "
		"backup in its place, or move it away to begin with an empty one",
		c->path, doing, sqlite3_errmsg(c->db));
}

static int fail_io(struct connection *c, int rc, const char *doing, nova_error_t **error)
{
	int os = last_errno(c);
	if (os)
		return nova_fail_os(error, os, "the function store %s: cannot %s", c->path, doing);
	/* Only a full disk makes the index of the log too short, and then SQLite keeps no errno. */
	int code = rc == SQLITE_IOERR_SHMSIZE ? NOVA_ENOSPC : NOVA_EIO;
	return nova_fail(error, code, "the function store %s: cannot %s: %s", c->path, doing,
		sqlite3_errmsg(c->db));
}

int sqlite_fail(struct connection *c, int rc, const char *doing, nova_error_t **error)
{
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return nova_oom(error);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return fail_damaged(c, doing, error);
	case SQLITE_FULL:
		return nova_fail_os(
			error, ENOSPC, "the function store %s: cannot %s", c->path, doing);
	case SQLITE_READONLY:
	case SQLITE_PERM:
		if (rc == SQLITE_READONLY_DBMOVED)
			return nova_fail(error, NOVA_EIO,
				"the function store %s was moved or removed while in use", c->path);
		return nova_fail(error, NOVA_EPERM,
			"the function store %s: cannot %s: no right to write there", c->path,
			doing);
	case SQLITE_BUSY:
		return nova_fail(error, NOVA_EIO,
			"the function store %s: cannot %s: another process has kept it locked for "
			"%d s",
			c->path, doing, BUSY_TIMEOUT_MS / 1000);
	/* a table or column is missing: the schema is not what its version says */
	case SQLITE_ERROR:
		return fail_damaged(c, doing, error);
	default:
		return fail_io(c, rc, doing, error);
	}
}

int sqlite_run(struct connection *c, const char *sql, const char *doing, nova_error_t **error)
{
	int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : sqlite_fail(c, sqlite3_extended_errcode(c->db), doing, error);
}

int sqlite_ask(struct connection *c, const char *sql, int64_t *ret_number, nova_error_t **error)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(c->db, sql, -1, &statement, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		*ret_number = sqlite3_column_int64(statement, 0);
	int r = rc == SQLITE_ROW ?
			0 :
			sqlite_fail(c, sqlite3_extended_errcode(c->db), "read it", error);
	sqlite3_finalize(statement);
	return r;
}

static void disconnect(struct connection *c)
{
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(c->statements[i]);
	sqlite3_close(c->db);
	pthread_mutex_destroy(&c->lock);
}

void sqlite_store_close(struct store *store)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	if (!s)
		return;
	disconnect(&s->reader);
	disconnect(&s->writer); /* last: SQLite then tidies up */
	free(s->path);
	free(s);
}

static struct sqlite_store *make_store(const char *home)
{
	struct sqlite_store *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->base.ops = &store_sqlite;
	pthread_mutex_init(&s->reader.lock, NULL);
	pthread_mutex_init(&s->writer.lock, NULL);
	s->reader.path = s->writer.path = s->path = path_join(home, "nova.db");
	if (!s->path) {
		sqlite_store_close(&s->base);
		return NULL;
	}
	return s;
}

/* Variables of functions may be secrets, so nobody else may read the file, not even for the moment
 * in which its maker can be killed. SQLite gives its other files the mode of the first. */
static int make_private(const char *path, const char *home, nova_error_t **error)
{
	static const char *const endings[] = { "", "-wal", "-shm", "-journal" };
	int r = fs_exists(path) ? 0 : fs_writable(home);
	if (r == 0)
		r = fs_make_file(path, 0600);
	if (r < 0)
		return nova_fail_os(error, r, "the function store %s: cannot make it", path);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(endings); i++) {
		AUTO_FREE char *file = str_format("%s%s", path, endings[i]);
		r = file ? fs_make_own(file) : -ENOMEM;
	}
	return r < 0 ? nova_fail_os(error, r,
			       "the function store %s may be read by other users, and that cannot "
			       "be changed: chmod 600 it as its owner",
			       path) :
		       0;
}

static int connect_file(struct connection *c, nova_error_t **error)
{
	int rc = sqlite3_open_v2(c->path, &c->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (!c->db)
		return nova_oom(error);
	sqlite3_extended_result_codes(c->db, 1);
	if (rc != SQLITE_OK)
		return sqlite_fail(c, rc, "open it", error);
	sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* SQLite falls back to reading when it may not write; a user who registers wants to hear it
	 * now. */
	if (sqlite3_db_readonly(c->db, "main") == 1)
		return sqlite_fail(c, SQLITE_READONLY, "open it for writing", error);
	int64_t ignored; /* is it a database at all? Before anything is written. */
	int r = sqlite_ask(c, "PRAGMA schema_version", &ignored, error);
	if (r < 0)
		return r;
	return sqlite_run(c,
		"PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON; PRAGMA temp_store = "
		"MEMORY",
		"set it up", error);
}

/* Readers then never wait for a writer. Where it cannot be had (another process is making the
 * database at this moment, some file systems) the older journal does the same job more slowly, and
 * the next opening tries again. */
static int prefer_wal(struct connection *c, nova_error_t **error)
{
	int rc = sqlite3_exec(c->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY)
		return 0;
	return sqlite_fail(c, rc, "open its journal", error);
}

int sqlite_store_open(const nova_config_t *config, struct store **ret_store, nova_error_t **error)
{
	AUTO_FREE char *home = NULL;
	int r = sqlite_load(error);
	if (r < 0)
		return r;
	r = path_absolute(config_str(config, "home"), &home);
	if (r < 0)
		return nova_fail_os(error, r, "the state directory (setting 'home')");
	struct sqlite_store *s = make_store(home);
	if (!s)
		return nova_oom(error);
	r = make_private(s->path, home, error);
	if (r == 0)
		r = connect_file(&s->writer, error);
	if (r == 0)
		r = sqlite_migrate(&s->writer, error);
	if (r == 0)
		r = prefer_wal(&s->writer, error);
	if (r == 0)
		r = connect_file(&s->reader, error);
	if (r < 0) {
		sqlite_store_close(&s->base);
		return r;
	}
	*ret_store = &s->base;
	return 0;
}
