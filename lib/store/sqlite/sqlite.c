/* SPDX-License-Identifier: MIT */
/* Opening and closing the database, and what SQLite's failures mean to a user. */
#include <errno.h>

#include "store/sqlite/sqlite.h"

#define BUSY_TIMEOUT_MS 10000

/* The errno of the last system call that failed on the database or its log; 0: none did. SQLite's own note of it
 * is not kept for all of its results. */
static int last_errno(struct sqlite_store *s)
{
	sqlite3_file *log = NULL;
	int os = sqlite3_system_errno(s->db);
	if (!os)
		sqlite3_file_control(s->db, "main", SQLITE_FCNTL_LAST_ERRNO, &os);
	if (!os && sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK && log &&
		log->pMethods)
		log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &os);
	return os;
}

/* SQLite says "malformed" too when a page could not be read. */
static int fail_damaged(struct sqlite_store *s, const char *doing, nova_error_t **error)
{
	int os = last_errno(s);
	if (os)
		return nova_fail_os(error, os, "the function store %s: cannot %s", s->path, doing);
	return nova_fail(error, NOVA_ECORRUPT,
		"the function store %s is damaged (cannot %s: %s); it was left as it is: put a "
		"backup in its place, or move it away to begin with an empty one",
		s->path, doing, sqlite3_errmsg(s->db));
}

static int fail_io(struct sqlite_store *s, int rc, const char *doing, nova_error_t **error)
{
	int os = last_errno(s);
	if (os)
		return nova_fail_os(error, os, "the function store %s: cannot %s", s->path, doing);
	/* Only a full disk makes the index of the log too short, and then SQLite keeps no errno. */
	int code = rc == SQLITE_IOERR_SHMSIZE ? NOVA_ENOSPC : NOVA_EIO;
	return nova_fail(error, code, "the function store %s: cannot %s: %s", s->path, doing,
		sqlite3_errmsg(s->db));
}

int sqlite_fail(struct sqlite_store *s, int rc, const char *doing, nova_error_t **error)
{
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return nova_oom(error);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return fail_damaged(s, doing, error);
	case SQLITE_FULL:
		return nova_fail_os(error, ENOSPC, "the function store %s: cannot %s", s->path, doing);
	case SQLITE_READONLY:
	case SQLITE_PERM:
		if (rc == SQLITE_READONLY_DBMOVED)
			return nova_fail(error, NOVA_EIO,
				"the function store %s was moved or removed while in use", s->path);
		return nova_fail(error, NOVA_EPERM,
			"the function store %s: cannot %s: no right to write there", s->path,
			doing);
	case SQLITE_BUSY:
		return nova_fail(error, NOVA_EIO,
			"the function store %s: cannot %s: another process has kept it locked for "
			"%d s",
			s->path, doing, BUSY_TIMEOUT_MS / 1000);
	case SQLITE_ERROR: /* a table or column is missing: the schema is not what its version says
			    */
		return fail_damaged(s, doing, error);
	default:
		return fail_io(s, rc, doing, error);
	}
}

int sqlite_run(struct sqlite_store *s, const char *sql, const char *doing, nova_error_t **error)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : sqlite_fail(s, sqlite3_extended_errcode(s->db), doing, error);
}

int sqlite_ask(struct sqlite_store *s, const char *sql, int64_t *ret_number, nova_error_t **error)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		*ret_number = sqlite3_column_int64(statement, 0);
	int r = rc == SQLITE_ROW
			? 0
			: sqlite_fail(s, sqlite3_extended_errcode(s->db), "read it", error);
	sqlite3_finalize(statement);
	return r;
}

void sqlite_store_close(struct store *store)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	if (!s)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->statements[i]);
	sqlite3_close(s->db);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

static struct sqlite_store *make_store(const char *home)
{
	struct sqlite_store *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->base.ops = &store_sqlite;
	if (pthread_mutex_init(&s->lock, NULL)) {
		free(s);
		return NULL;
	}
	s->path = path_join(home, "nova.db");
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
			       "the function store %s may be read by other users, and that cannot be "
			       "changed: chmod 600 it as its owner", path)
		     : 0;
}

static int connect_file(struct sqlite_store *s, const char *home, nova_error_t **error)
{
	int r = make_private(s->path, home, error);
	if (r < 0)
		return r;
	int rc = sqlite3_open_v2(s->path, &s->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (!s->db)
		return nova_oom(error);
	sqlite3_extended_result_codes(s->db, 1);
	if (rc != SQLITE_OK)
		return sqlite_fail(s, rc, "open it", error);
	sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* SQLite falls back to reading when it may not write; a user who registers wants to hear it
	 * now. */
	if (sqlite3_db_readonly(s->db, "main") == 1)
		return sqlite_fail(s, SQLITE_READONLY, "open it for writing", error);
	return 0;
}

/* Readers then never wait for a writer. Where it cannot be had (another process is making the
 * database at this moment, some file systems) the older journal does the same job more slowly, and
 * the next opening tries again. */
static int prefer_wal(struct sqlite_store *s, nova_error_t **error)
{
	int rc = sqlite3_exec(s->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY)
		return 0;
	return sqlite_fail(s, rc, "open its journal", error);
}

int sqlite_store_open(const char *home, struct store **ret_store, nova_error_t **error)
{
	struct sqlite_store *s = make_store(home);
	if (!s)
		return nova_oom(error);
	int r = connect_file(s, home, error);
	int64_t ignored;
	if (r == 0) /* is it a database at all? Before anything is written. */
		r = sqlite_ask(s, "PRAGMA schema_version", &ignored, error);
	if (r == 0)
		r = sqlite_run(s, "PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON; "
			"PRAGMA temp_store = MEMORY",
			"set it up", error);
	if (r == 0)
		r = sqlite_migrate(s, error);
	if (r == 0)
		r = prefer_wal(s, error);
	if (r < 0) {
		sqlite_store_close(&s->base);
		return r;
	}
	*ret_store = &s->base;
	return 0;
}
