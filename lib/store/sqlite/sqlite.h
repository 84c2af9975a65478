/* SPDX-License-Identifier: MIT */
/* Inside store/sqlite only: the connection, and what its files share. */
#ifndef NOVA_LIB_STORE_SQLITE_H
#define NOVA_LIB_STORE_SQLITE_H

#include <pthread.h>

#include "module/sqlite.h"
#include "store/sql/sql.h"

/* A kind of database file. */
struct sqlite_kind {
	const struct store_ops *ops;
	const struct sql_schema *schema;
	const char *name, *what; /* of the file, and for errors */
	int id;                  /* that it has in its header */
	int busy_ms;             /* a lock that another process holds is waited for so long */
	bool may_move;           /* somebody may take it away while it is in use */
};

struct connection {
	pthread_mutex_t lock; /* held by a session */
	sqlite3 *db;
	const struct sqlite_kind *kind;
	const char *path;
	sqlite3_stmt *statements[SQL_STATEMENTS]; /* prepared at first use */
	sqlite3_stmt *stamp;
	bool passing; /* it goes with the session that has it, and so do its locks */
	struct {
		char *path; /* NULL: it is not held */
		int fd;
	} locks[SQL_LOCKS];
};

/* Who writes waits for the disk, and for other processes that write. That is no reason for readers
 * to wait, so they have a connection of their own. */
struct sqlite_store {
	struct sql_store sql;
	struct connection reader, writer;
};

/* --- connect.c --- */

/* The kind, the path and the lock are there. What failed is disconnected, too. */
int sqlite_connect(struct connection *connection, nova_error_t **error);
void sqlite_disconnect(struct connection *connection);

/* --- driver.c --- */

extern const struct sql_driver sqlite_driver;
int sqlite_stamp(struct store *store, uint64_t *ret_stamp, nova_error_t **error);

/* --- run.c --- */

/* Makes an error of what SQLite reports; names the file. */
int sqlite_fail(struct connection *c, int rc, const char *doing, nova_error_t **error);
/* Runs statements that give no rows. */
int sqlite_run(struct connection *c, const char *sql, const char *doing, nova_error_t **error);
/* The integer in the first column of the first row. */
int sqlite_ask(struct connection *c, const char *sql, int64_t *ret_number, nova_error_t **error);

#endif
