/* SPDX-License-Identifier: MIT */
/* Statements that need no preparation, and what SQLite's failures mean to a user. */
#include <errno.h>

#include "store/sqlite/sqlite.h"

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
		return nova_fail_os(error, os, "%s %s: cannot %s", c->kind->what, c->path, doing);
	return nova_fail(error, NOVA_ECORRUPT,
		"%s %s is damaged (cannot %s: %s); it was left as it is: put a "
		"backup in its place, or move it away to begin with an empty one",
		c->kind->what, c->path, doing, sqlite3_errmsg(c->db));
}

static int fail_io(struct connection *c, int rc, const char *doing, nova_error_t **error)
{
	int os = last_errno(c);
	if (os)
		return nova_fail_os(error, os, "%s %s: cannot %s", c->kind->what, c->path, doing);
	/* Only a full disk makes the index of the log too short, and then SQLite keeps no errno. */
	int code = rc == SQLITE_IOERR_SHMSIZE ? NOVA_ENOSPC : NOVA_EIO;
	return nova_fail(error, code, "%s %s: cannot %s: %s", c->kind->what, c->path, doing,
		sqlite3_errmsg(c->db));
}

/* Of its files, those that are there. */
static bool may_write(const struct connection *c)
{
	static const char *const endings[] = { "", "-wal", "-shm" };
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		AUTO_FREE char *file = str_format("%s%s", c->path, endings[i]);
		int r = file ? fs_writable(file) : 0;
		if (r < 0 && r != -ENOENT)
			return false;
	}
	return true;
}

/* SQLite opens a file for reading whatever keeps it from writing, such as too many open files. */
static int fail_readonly(struct connection *c, int rc, const char *doing, nova_error_t **error)
{
	if (rc == SQLITE_READONLY_DBMOVED)
		return nova_fail(error, NOVA_EIO, "%s %s was moved or removed while in use",
			c->kind->what, c->path);
	if (rc == SQLITE_READONLY_DIRECTORY || !may_write(c))
		return nova_fail(error, NOVA_EPERM, "%s %s: cannot %s: no right to write there",
			c->kind->what, c->path, doing);
	return nova_fail(error, NOVA_EIO,
		"%s %s: cannot %s: it could be opened for reading only, though there is the right "
		"to write: too many open files (ulimit -n)? Try again",
		c->kind->what, c->path, doing);
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
			error, ENOSPC, "%s %s: cannot %s", c->kind->what, c->path, doing);
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return fail_readonly(c, rc, doing, error);
	case SQLITE_BUSY:
		return nova_fail(error, NOVA_EIO,
			"%s %s: cannot %s: another process has kept it locked for "
			"%d ms",
			c->kind->what, c->path, doing, c->kind->busy_ms);
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
