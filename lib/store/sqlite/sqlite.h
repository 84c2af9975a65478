/* SPDX-License-Identifier: MIT */
/* Inside store/sqlite only: the connection, and what its files share. */
#ifndef NOVA_LIB_STORE_SQLITE_H
#define NOVA_LIB_STORE_SQLITE_H

#include <pthread.h>

#include "module/sqlite.h"
#include "store/store.h"

/* A lock that another process holds is waited for so long. */
#define BUSY_TIMEOUT_MS 10000

enum statement {
	SQL_INSERT,
	SQL_UPDATE,
	SQL_GET,
	SQL_LIST,
	SQL_NAMES,
	SQL_REMOVE,
	SQL_USERS,
	SQL_STAMP,
	SQL_RUNTIME_INSERT,
	SQL_RUNTIME_REPLACE,
	SQL_RUNTIME_GET,
	SQL_RUNTIME_LIST,
	SQL_RUNTIME_REMOVE,
	STATEMENTS,
};

/* `lock` is held from the first bind of a statement until it is reset. */
struct connection {
	pthread_mutex_t lock;
	sqlite3 *db;
	const char *path;
	sqlite3_stmt *statements[STATEMENTS]; /* prepared at first use */
};

/* Who writes waits for the disk, and for other processes that write. That is no reason for readers
 * to wait, so they have a connection of their own. */
struct sqlite_store {
	struct store base;
	char *path;
	struct connection reader, writer;
};

/* --- queries.c, runtimes.c --- */

extern const struct function_ops sqlite_function_ops;
extern const struct runtime_ops sqlite_runtime_ops;

/* --- use.c --- */

int sqlite_stamp(struct store *store, uint64_t *ret_stamp, nova_error_t **error);
int sqlite_count_users(
	struct store *store, const char *hash, uint64_t *ret_count, nova_error_t **error);

/* A statement in use: holds the lock of its connection until it goes out of scope. */
struct use {
	struct connection *connection;
	sqlite3_stmt *statement;
};
struct use use_reader(struct store *store);
struct use use_writer(struct store *store);
void use_end(struct use *use);
#define AUTO_USE CLEANUP(use_end)
int use_prepare(struct use *use, enum statement which, nova_error_t **error);
/* The text outlives the use; NULL is bound as such. */
void use_bind_text(struct use *use, int at, const char *text);
void use_bind_number(struct use *use, int at, uint64_t number);
/* Room for one more in an array that grows by doubling; NULL: out of memory, the array is as it
 * was. */
void *use_grow(void *array, size_t count, size_t element);

/* --- schema.c --- */

/* Brings the schema to the version of this library. */
int sqlite_migrate(struct connection *c, nova_error_t **error);

/* --- run.c --- */

/* Makes an error of what SQLite reports; names the file. */
int sqlite_fail(struct connection *c, int rc, const char *doing, nova_error_t **error);
/* Runs statements that give no rows. */
int sqlite_run(struct connection *c, const char *sql, const char *doing, nova_error_t **error);
/* The integer in the first column of the first row. */
int sqlite_ask(struct connection *c, const char *sql, int64_t *ret_number, nova_error_t **error);

/* --- columns.c --- */

/* A statement with "@" and "#" (queries.c) filled in. NULL: out of memory. */
char *columns_fill_in(const char *sql);
/* "name TYPE NOT NULL DEFAULT …" of a property. NULL: out of memory. */
char *column_definition(const struct property *p);
/* Binds the parameters, borrowing the texts; returns the number behind the last. NOVA_ENOMEM. */
int columns_bind(sqlite3_stmt *s, const struct function_record *record, nova_error_t **error);
/* Fills an empty record. NOVA_ENOMEM, NOVA_ECORRUPT: what could be read is there. */
int columns_read(sqlite3_stmt *s, struct function_record *record, nova_error_t **error);

/* A cursor over the columns of a row; remembers the first that is not what the schema promises. */
struct row {
	sqlite3_stmt *statement;
	int next;
	const char *bad;
	bool no_memory;
};
char *row_text(struct row *row);
uint64_t row_number(struct row *row, uint64_t max);
void row_list(struct row *row, struct text_list *list);
/* 0, or what is wrong with what was read. */
int row_end(const struct row *row, nova_error_t **error);

#endif
