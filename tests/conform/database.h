/* SPDX-License-Identifier: MIT */
/* Databases of the PostgreSQL server that tests/pgserver.py has started. */
#ifndef NOVA_TESTS_DATABASE_H
#define NOVA_TESTS_DATABASE_H

#include <libpq-fe.h>

#include "unit/settings.h"
#include "unit/test.h"

/* NULL: there is no server. */
static inline const char *server_dsn(void)
{
	return getenv("NOVA_TEST_PG");
}

/* Runs a statement in a database (a DSN); the first column of the first row, or NULL. */
static inline char *database_ask(const char *dsn, const char *sql)
{
	PGconn *pg = PQconnectdb(dsn);
	PGresult *result = PQexec(pg, sql);
	ExecStatusType status = PQresultStatus(result);
	ck_assert_msg(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s", sql,
		PQerrorMessage(pg));
	char *answer = PQntuples(result) ? strdup(PQgetvalue(result, 0, 0)) : NULL;
	PQclear(result);
	PQfinish(pg);
	return answer;
}

static inline void database_do(const char *dsn, const char *sql)
{
	free(database_ask(dsn, sql));
}

/* The DSN of a new database, empty; free() it. */
static inline char *database_new(void)
{
	static unsigned count;
	AUTO_FREE char *sql = str_format("CREATE DATABASE d%d_%u", (int)getpid(), ++count);
	database_do(server_dsn(), sql);
	return str_format("%s dbname=d%d_%u", server_dsn(), (int)getpid(), count);
}

/* Settings for a store of that kind: in a directory, or in a database. */
static inline nova_config_t *settings_of_store(
	const struct store_ops *ops, const char *home, const char *dsn)
{
	nova_config_t *config = settings_of(home);
	if (nova_config_set(config, "store", ops->name, NULL) < 0 ||
		(dsn && nova_config_set(config, "postgres.dsn", dsn, NULL) < 0))
		abort();
	return config;
}

static inline int store_open_at(const struct store_ops *ops, const char *home, const char *dsn,
	struct store **ret_store, nova_error_t **ret_error)
{
	nova_config_t *config = settings_of_store(ops, home, dsn);
	int code = ops->open(config, ret_store, ret_error);
	nova_config_free(config);
	return code;
}

#endif
