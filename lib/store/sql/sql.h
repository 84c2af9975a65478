/* SPDX-License-Identifier: MIT */
/*
 * Inside store only: what is kept as rows of a database, whichever it is.
 *
 * The files of sql/ say once what is kept: the schema, the statements, and how records become rows.
 * A driver (sqlite/, postgres/) knows one kind of database: its connections, and how a statement is
 * run. What both understand is the SQL of SQLite 3.37 and PostgreSQL 14; where they differ, the
 * driver translates.
 *
 * A new kind of thing is one more file here with its table of operations (store.h), its statements
 * in statements.c, and a step of schema.c.
 */
#ifndef NOVA_LIB_STORE_SQL_H
#define NOVA_LIB_STORE_SQL_H

#include "store/store.h"

/* --- what a driver does --- */

enum sql_type {
	SQL_TYPE_TEXT, /* NULL is one */
	SQL_TYPE_NUMBER,
	SQL_TYPE_BYTES,
};

/* A parameter of a statement; borrows what it points to. */
struct sql_value {
	enum sql_type type;
	const void *data;
	size_t len;
	int64_t number;
};
struct sql_value sql_text(const char *text);
struct sql_value sql_number(uint64_t number);
struct sql_value sql_bytes(const void *data, size_t len);

struct sql_store {
	struct store base;
	const struct sql_driver *driver;
	const struct sql_schema *schema;
	const char *what; /* for errors: "the function store" */
	char *place;      /* for errors: the path of the file, or "host:port/database" */
};

/* A connection that this thread has to itself until sql_end(). */
struct sql_session {
	struct sql_store *store;
	void *connection; /* the driver's; NULL: there is none */
	void *rows;       /* of the statement that was run last */
	bool failed;      /* the driver has told of something */
};

/* In statements.c. */
enum sql_statement {
	SQL_FUNCTION_INSERT,
	SQL_FUNCTION_UPDATE,
	SQL_FUNCTION_GET,
	SQL_FUNCTION_LIST,
	SQL_FUNCTION_NAMES,
	SQL_FUNCTION_REMOVE,
	SQL_VERSION_INSERT,
	SQL_VERSION_GET,
	SQL_VERSION_LIST,
	SQL_VERSION_COUNT,
	SQL_VERSION_REMOVE,
	SQL_VERSIONS_REMOVE,
	SQL_ALIAS_PUT,
	SQL_ALIAS_GET,
	SQL_ALIAS_LIST,
	SQL_ALIAS_REMOVE,
	SQL_ALIASES_REMOVE,
	SQL_ALIASES_REMOVE_OF,
	SQL_ALIASES_MEND,
	SQL_USERS,
	SQL_RUNTIME_INSERT,
	SQL_RUNTIME_REPLACE,
	SQL_RUNTIME_GET,
	SQL_RUNTIME_LIST,
	SQL_RUNTIME_REMOVE,
	SQL_KEY_INSERT,
	SQL_KEY_GET,
	SQL_KEY_FIND,
	SQL_KEY_LIST,
	SQL_KEY_REVOKE,
	SQL_KEY_REMOVE,
	SQL_SECRET_PUT,
	SQL_SECRET_GET,
	SQL_SECRET_LIST,
	SQL_SECRET_RESEAL,
	SQL_SECRET_REMOVE,
	SQL_FUNCTIONS_COPY,
	SQL_VERSIONS_COPY,
	SQL_ALIASES_COPY,
	SQL_SECRETS_COPY,
	SQL_VERSION_RESTORE,
	SQL_ALIAS_RESTORE,
	SQL_KEY_RESTORE,
	SQL_SECRET_RESTORE,
	SQL_CONTENT_KEEP,
	SQL_CONTENT_INSERT,
	SQL_CONTENT_SIZE,
	SQL_CONTENT_SWEEP,
	SQL_PIECE_INSERT,
	SQL_PIECE_NEXT,
	SQL_CALL_INSERT,
	SQL_CALLS_OLDEST,
	SQL_CALLS_NEWEST,
	SQL_CALLS_OF_FUNCTION_OLDEST,
	SQL_CALLS_OF_FUNCTION_NEWEST,
	SQL_CALLS_OF_REQUEST_OLDEST,
	SQL_CALLS_OF_REQUEST_NEWEST,
	SQL_CALLS_SUMMARY,
	SQL_CALLS_SUMMARY_OF,
	SQL_CALLS_TRIM,
	SQL_USAGE_PLACE,
	SQL_USAGE_PLACE_INSERT,
	SQL_USAGE_PLACE_MOVE,
	SQL_USAGE_FORGET,
	SQL_USAGE_PLACES_TRIM,
	SQL_USAGE_ADD,
	SQL_USAGE_LIST,
	SQL_USAGE_TRIM,
	SQL_KV_GET,
	SQL_KV_VERSION,
	SQL_KV_PUT,
	SQL_KV_REPLACE,
	SQL_KV_REMOVE,
	SQL_KV_LIST,
	SQL_KV_TOTALS,
	SQL_KV_SWEEP,
	SQL_KV_NEXT,
	SQL_KV_SWEEP_OF,
	SQL_KV_CLEAR,
	SQL_KV_SPACES,
	SQL_KV_SPACE_CLEAR,
	SQL_KV_SPACES_COPY,
	SQL_KV_COPY,
	SQL_FILE_CONTENTS_COPY,
	SQL_FILES_COPY,
	SQL_KV_SPACE_RESTORE,
	SQL_KV_RESTORE,
	SQL_FILE_CONTENT_RESTORE,
	SQL_FILE_RESTORE,
	SQL_FILE_GET,
	SQL_FILE_PUT,
	SQL_FILE_REMOVE,
	SQL_FILE_LIST,
	SQL_FILE_TOTALS,
	SQL_FILES_CLEAR,
	SQL_FILE_CONTENT_PUT,
	SQL_FILE_CONTENTS_TRIM,
	SQL_STATEMENTS,
};

/* One statement for each of several sets of values. `fill` writes set `index`; what its values
 * borrow is needed until the next one is filled. */
struct sql_batch {
	enum sql_statement which;
	size_t sets, values; /* of each set */
	void (*fill)(const void *userdata, size_t index, struct sql_value *ret_values);
	const void *userdata;
};

enum sql_purpose {
	SQL_READS,
	SQL_WRITES,
	SQL_LOGS, /* the same, but changes nothing that anybody is told of */
	/* Reads all of several things, as they are at one moment. It keeps nobody waiting, as it
	 * has a connection besides those of others, and has one row in memory at a time. */
	SQL_COPIES,
};

enum sql_lock {
	SQL_LOCK_IMPORT,
	SQL_LOCK_SPACES, /* of functions that are not there: they come, or go */
	SQL_LOCKS,
};

struct sql_driver {
	/* Pairs of words, the second for what the first is in the texts of schema.c; ends with
	 * NULL. */
	const char *const (*words)[2];
	/* The character before the number of a parameter. */
	char parameter;
	const char *begin;     /* begins a transaction that writes */
	const char *snapshot;  /* one that reads, and sees one moment */
	const char *migration; /* the same for one that changes the schema: one at a time */
	const char *logging;   /* the same for one that adds to the log of calls: one at a time */

	/* Fills session->connection; waits for one that is free. */
	int (*take)(struct sql_session *session, enum sql_purpose purpose, nova_error_t **error);
	/* Ends a statement, and a transaction that was not committed. */
	void (*give)(struct sql_session *session);

	/*
	 * Runs a statement that is kept prepared, up to its first row: 1; 0: it has none. The
	 * values are needed until the next statement, or the end of the session. NOVA_EEXIST: there
	 * is a row with that key. NOVA_EBUSY: a row that is referred to would be missing.
	 */
	int (*run)(struct sql_session *session, enum sql_statement which,
		const struct sql_value *values, size_t count, nova_error_t **error);
	/* A transaction that begins with `logging`: the whole batch or nothing of it, with as few
	 * round trips as can be. NOVA_EINVAL: a set is refused, and would be again. *ret_changes:
	 * rows, of all sets. */
	int (*log_batch)(struct sql_session *session, const struct sql_batch *batch,
		uint64_t *ret_changes, nova_error_t **error);
	/* The next row: 1; 0: there is none. */
	int (*next)(struct sql_session *session, nova_error_t **error);
	/* How many rows the statement has changed. */
	uint64_t (*changes)(const struct sql_session *session);
	/* Of a row: false if the column has another type. What they give is there until the next
	 * row, and ends with a NUL. */
	bool (*text)(struct sql_session *session, int column, const char **ret, size_t *ret_len);
	bool (*number)(struct sql_session *session, int column, int64_t *ret);
	bool (*bytes)(struct sql_session *session, int column, const void **ret, size_t *ret_len);
	const char *(*column)(const struct sql_session *session, int column);

	/* Runs statements without parameters and rows. `doing` is for errors. */
	int (*execute)(struct sql_session *session, const char *sql, const char *doing,
		nova_error_t **error);
	/* Which steps of the schema the database has seen; 0: it is empty. NOVA_ECORRUPT: it is
	 * somebody else's. */
	int (*version)(struct sql_session *session, int64_t *ret_version, nova_error_t **error);
	int (*set_version)(struct sql_session *session, int64_t version, nova_error_t **error);

	/* Of a session that SQL_COPIES: 1: keeps all others from the same until it ends; 0: another
	 * one does. */
	int (*lock)(struct sql_session *session, enum sql_lock which, nova_error_t **error);
};

/* --- sql.c: using one --- */

int sql_start(struct store *store, enum sql_purpose purpose, struct sql_session *ret_session,
	nova_error_t **error);
void sql_end(struct sql_session *session);
/* Is to be empty ({ 0 }) before. */
#define AUTO_SQL CLEANUP(sql_end)

int sql_run(struct sql_session *session, enum sql_statement which, const struct sql_value *values,
	size_t count, nova_error_t **error);
int sql_next(struct sql_session *session, nova_error_t **error);
uint64_t sql_changes(const struct sql_session *session);
/* One statement of a transaction. */
int sql_do(struct sql_session *session, enum sql_statement which, const struct sql_value *values,
	size_t count, uint64_t *ret_changes, nova_error_t **error);
/* One question in a session that begins with it, up to its first row: as sql_run(). */
int sql_query(struct store *store, enum sql_statement which, const struct sql_value *values,
	size_t count, struct sql_session *ret_session, nova_error_t **error);
/* One statement in a session of its own. *ret_changes may be NULL. */
int sql_write(struct store *store, enum sql_statement which, const struct sql_value *values,
	size_t count, uint64_t *ret_changes, nova_error_t **error);
/* All statements of the session up to the commit are one; without it they are undone at its end. */
int sql_begin(struct sql_session *session, nova_error_t **error);
int sql_commit(struct sql_session *session, nova_error_t **error);
/* All questions of the session, which SQL_COPIES, are answered as of one moment. */
int sql_begin_snapshot(struct sql_session *session, nova_error_t **error);

/* The columns of a row, one after the other; remembers the first that is not what the schema
 * promises. */
struct sql_row {
	struct sql_session *session;
	int next;
	const char *bad;
	bool no_memory;
};
char *row_text(struct sql_row *row);
uint64_t row_number(struct sql_row *row, uint64_t max);
void *row_bytes(struct sql_row *row, size_t *ret_len);
void row_list(struct sql_row *row, struct text_list *list);
/* 0, or what is wrong with what was read. */
int row_end(const struct sql_row *row, nova_error_t **error);

/* All rows into an array of elements of that size. `read` fills an element, which is zero, and
 * leaves nothing behind when it fails. None: NULL and 0. On failure the array has those that were
 * read. */
int sql_read_all(struct sql_session *session, size_t element,
	int (*read)(struct sql_session *session, void *element, nova_error_t **error),
	void **ret_array, size_t *ret_count, nova_error_t **error);

/* "the function store PLACE is damaged at KIND 'NAME': …" */
int sql_wrap_row(const struct sql_session *session, const char *kind, const char *name, int code,
	nova_error_t **error);
int sql_fail_missing(const char *kind, const char *name, nova_error_t **error);

/* --- json.c --- */

int sql_row_to_json(struct sql_session *session, json_t **ret_row, nova_error_t **error);
/* False: it is none. *ret_owned: what is to be freed afterwards. */
bool sql_value_from_json(const json_t *json, struct sql_value *ret_value, void **ret_owned);
/* Gives each row of that statement away. */
int sql_dump(struct sql_session *session, enum sql_statement which, const char *table,
	int (*take)(void *userdata, const char *table, json_t *row, nova_error_t **error),
	void *userdata, nova_error_t **error);

/* --- statements.c --- */

/* With the driver's character. NULL: out of memory. */
char *sql_statement_text(const struct sql_driver *driver, enum sql_statement which);

/* --- columns.c --- */

/* A text with "@", "#" and "!" (statements.c) filled in. NULL: out of memory. */
char *columns_fill_in(const char *sql, char parameter);
/* "name TYPE NOT NULL DEFAULT …" of a property. NULL: out of memory. */
char *column_definition(const struct property *p);
/* What a property has in rows of before it was there; false: it was there in that schema, or is no
 * property. */
bool column_default(const char *name, int64_t schema, struct sql_value *ret_value);

#define COLUMNS_MAX 48
struct column_values {
	struct sql_value values[COLUMNS_MAX];
	size_t count;
	char *owned[COLUMNS_MAX]; /* texts that were made for them */
};
/* Borrows the texts of the record. NOVA_ENOMEM. */
int columns_from_record(struct column_values *ret_values, const struct function_record *record,
	nova_error_t **error);
void column_values_done(struct column_values *values);
/* Fills an empty record. NOVA_ENOMEM, NOVA_ECORRUPT: what could be read is there. */
int columns_to_record(
	struct sql_session *session, struct function_record *record, nova_error_t **error);

/* --- schema.c --- */

/* Of functions and all else, and of files that have the log of calls, usage, or what functions
 * keep, alone. */
extern const struct sql_schema sql_schema_functions, sql_schema_log, sql_schema_usage,
	sql_schema_kv;

/* The version that this library knows. */
int64_t sql_schema_latest(const struct sql_schema *schema);
/* Brings the schema to that version. NOVA_ENOTSUP: it is newer. */
int sql_migrate(struct sql_session *session, nova_error_t **error);

/* --- functions.c, versions.c, aliases.c, runtimes.c, keys.c, secrets.c, contents.c, users.c,
 * calls.c, usage.c, kv.c, kv_files.c, kv_space.c, kv_transfer.c, transfer.c --- */

/* A whole row of each kind; `to` is an empty struct function_record, alias_record … */
int sql_read_function(struct sql_session *session, void *to, nova_error_t **error);
int sql_read_alias(struct sql_session *session, void *to, nova_error_t **error);
int sql_read_runtime(struct sql_session *session, void *to, nova_error_t **error);
int sql_read_key(struct sql_session *session, void *to, nova_error_t **error);
int sql_read_secret(struct sql_session *session, void *to, nova_error_t **error);
extern const struct function_ops sql_function_ops;
extern const struct version_ops sql_version_ops;
extern const struct alias_ops sql_alias_ops;
extern const struct runtime_ops sql_runtime_ops;
extern const struct key_ops sql_key_ops;
extern const struct secret_ops sql_secret_ops;
extern const struct content_ops sql_content_ops;
extern const struct call_ops sql_call_ops;
extern const struct usage_ops sql_usage_ops;
extern const struct kv_ops sql_kv_ops;
/* Those of kv_ops that are about files. */
int sql_get_file(struct store *store, const char *space, const char *name,
	struct file_record *ret_record, nova_error_t **error);
int sql_put_file(struct store *store, const char *space, const struct file_record *record,
	const struct kv_limits *limits, nova_error_t **error);
int sql_remove_file(struct store *store, const char *space, const char *name, nova_error_t **error);
int sql_list_files(struct store *store, const char *space, const struct kv_page *page,
	struct file_record **ret_records, size_t *ret_count, nova_error_t **error);
int sql_clear_space(struct sql_session *session, const char *space, nova_error_t **error);
/* A code of kv_ops for what one of this session is: one that the database has for a failure is no
 * refusal, which functions hear of. */
int sql_kv_code(const struct sql_session *session, int code, nova_error_t **error);
/* Keeps others from putting something into the space until the session ends. */
int sql_take_version(struct sql_session *session, const char *space, uint64_t now_us,
	uint64_t *ret_version, nova_error_t **error);
/* The row of two numbers of a statement: how many there are besides, and bytes of all. */
int sql_check_totals(struct sql_session *session, enum sql_statement which, const char *space,
	const char *besides, size_t len, const struct kv_limits *limits, const char *what,
	nova_error_t **error);
extern const struct transfer_ops sql_transfer_ops, sql_kv_transfer_ops;
int sql_count_users(
	struct store *store, const char *hash, uint64_t *ret_count, nova_error_t **error);

#endif
