/* SPDX-License-Identifier: MIT */
/* Inside store/postgres only: connections, and what its files share. */
#ifndef NOVA_LIB_STORE_POSTGRES_H
#define NOVA_LIB_STORE_POSTGRES_H

#include <pthread.h>

#include "module/postgres.h"
#include "store/sql/sql.h"

/* What a statement has changed, and a program has not been told of yet. */
#define CHANNEL "nova_changed"

struct connection {
	PGconn *pg;
	bool prepared[SQL_STATEMENTS];
	bool lost;                /* nothing more can be asked here */
	bool passing;             /* it is not the pool's, and goes with its session */
	enum sql_purpose purpose; /* of the session that has it */
	/* of the session */
	PGresult *result;
	int row;
	struct connection *next; /* of those that are idle */
};

/* Where connections come from, and how long something may take. */
struct server {
	char *dsn, *place;
	uint64_t patience_ms; /* of one statement, and of connecting */
};

/* Connections for sessions: as many as the setting allows, made when they are needed. */
struct pool {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t given;
	struct connection *idle;
	unsigned count, most;
	/* After a failure nobody tries to connect until then; `failure` is told meanwhile. */
	uint64_t retry_at, delay_ms;
	nova_error_t *failure;
};

enum listener_state {
	LISTENER_AWAY,
	LISTENER_CONNECTING,
	LISTENER_ASKING, /* to be told of changes */
	LISTENER_TOLD,
	LISTENER_REFUSED, /* the server tells nobody: a standby */
};

/* One connection more, on which the server tells of changes. Nothing here waits. */
struct listener {
	pthread_mutex_t lock; /* guards all below */
	enum listener_state state;
	PGconn *pg;
	PGresult *answer; /* to what was asked for; another step may find more of it */
	PostgresPollingStatusType wanted;
	uint64_t deadline; /* of what was asked for; NEVER: nothing was */
	uint64_t retry_at, delay_ms;
	uint64_t stamp;
	int64_t number;    /* of changes, as the database has counted them; -1: not known */
	uint64_t known_ns; /* when the server was there last, and had told of all changes */
	uint64_t ttl_ms;
};

struct postgres_store {
	struct sql_store sql;
	struct server server;
	struct pool pool;
	struct listener listener;
	int64_t owner; /* the process that opened it */
};

static inline struct postgres_store *postgres_of(struct sql_store *store)
{
	return (struct postgres_store *)store;
}

/* --- failure.c --- */

/* Makes an error of what the server says to a statement; names the database. */
int postgres_fail(const struct server *server, const PGresult *result, const char *doing,
	nova_error_t **error);
/* The connection has ended. */
int postgres_fail_lost(
	const struct server *server, PGconn *pg, const char *doing, nova_error_t **error);
/* There is none. */
int postgres_fail_connecting(const struct server *server, PGconn *pg, nova_error_t **error);

/* --- connect.c --- */

/* Begins to connect. NULL: out of memory. */
PGconn *postgres_begin(const struct server *server);
/* Connects, and prepares the session. */
int postgres_connect(const struct server *server, PGconn **ret_pg, nova_error_t **error);
/* Waits until the answer to what was sent is there. */
int postgres_await(
	const struct server *server, PGconn *pg, const char *doing, nova_error_t **error);
/* Waits for all that comes of what was sent (0: it was not). */
int postgres_finish(const struct server *server, PGconn *pg, int sent, const char *doing,
	PGresult **ret_result, nova_error_t **error);
/* Runs statements; *ret_result (may be NULL) is the last one's. */
int postgres_ask(const struct server *server, PGconn *pg, const char *sql, const char *doing,
	PGresult **ret_result, nova_error_t **error);
static inline void result_clearp(PGresult **result)
{
	PQclear(*result);
}
#define AUTO_RESULT CLEANUP(result_clearp)

/* --- wire.c --- */

/* Object identifiers of types, which never change (src/include/catalog/pg_type.dat). */
#define WIRE_BYTES  17
#define WIRE_NUMBER 20
#define WIRE_TEXT   25

/* As libpq wants them: texts end with a NUL, and numbers and bytes are as they go over the wire. */
#define VALUES_MAX COLUMNS_MAX
struct wire {
	const char *values[VALUES_MAX];
	int lengths[VALUES_MAX], formats[VALUES_MAX];
	uint8_t numbers[VALUES_MAX][8];
};
void wire_types(Oid ret_types[VALUES_MAX], const struct sql_value *values, size_t count);
void wire_set(struct wire *w, const struct sql_value *values, size_t count);

/* What a prepared statement is called on each connection. */
#define STATEMENT_NAME 16
void statement_name(char ret_name[STATEMENT_NAME], enum sql_statement which);
/* 0: it could not be. */
int wire_send(PGconn *pg, enum sql_statement which, const struct wire *w, size_t count);

/* --- pipeline.c --- */

/* A transaction with that statement, a batch of one that is prepared, and nothing else, in one
 * round trip. The connection stays in pipeline mode if its state is not known afterwards. */
int pipeline_run(const struct server *server, PGconn *pg, const char *first,
	const struct sql_batch *batch, uint64_t *ret_changes, nova_error_t **error);

/* --- pool.c --- */

/* 0; NOVA_EBUSY in a fork of the process, which shares the sockets. */
int postgres_check_process(const struct postgres_store *store, nova_error_t **error);

int pool_take(
	struct postgres_store *store, struct connection **ret_connection, nova_error_t **error);
/* One besides those of the pool; it ends when it is given back. */
int pool_take_passing(struct postgres_store *store, struct connection **ret, nova_error_t **error);
void pool_give(struct postgres_store *store, struct connection *connection);
void pool_close(struct pool *pool);

/* --- driver.c --- */

extern const struct sql_driver postgres_driver;

/* --- listen.c --- */

int postgres_stamp(struct store *store, uint64_t *ret_stamp, nova_error_t **error);
/* This store has written. */
void listener_note_change(struct listener *listener);
/* Waits, for a moment, until the server tells of changes. */
void listener_await(struct postgres_store *store);
void listener_close(struct listener *listener);

#endif
