/* SPDX-License-Identifier: MIT */
/* One connection: making it, asking, and waiting, never for longer than the setting says. */
#include "store/postgres/postgres.h"

/* libpq would print them. */
static void ignore_notice(void *userdata, const char *message)
{
	(void)userdata;
	(void)message;
}

PGconn *postgres_begin(const struct server *server)
{
	/* What stands behind the DSN takes the place of what is in it. */
	static const char *const names[] = { "fallback_application_name", "dbname",
		"client_encoding", NULL };
	const char *const values[] = { "libnova", server->dsn, "UTF8", NULL };
	PGconn *pg = PQconnectStartParams(names, values, 1);
	if (pg) {
		PQsetNoticeProcessor(pg, ignore_notice, NULL);
		PQsetErrorVerbosity(pg, PQERRORS_VERBOSE); /* with the SQLSTATE */
	}
	return pg;
}

static int fail_late(const struct server *server, const char *doing, nova_error_t **error)
{
	return nova_fail(error, NOVA_EIO,
		"the function store %s: cannot %s: the server did not answer for %llu ms (setting "
		"'postgres.timeout')",
		server->place, doing, (unsigned long long)server->patience_ms);
}

static bool wait_for(PGconn *pg, short events, uint64_t deadline)
{
	struct pollfd fd = { PQsocket(pg), events, 0 };
	int r = 0;
	while (r == 0 && !deadline_passed(deadline))
		r = sys_poll(&fd, 1, deadline_poll_ms(deadline));
	return r != 0;
}

static int await_connection(const struct server *server, PGconn *pg, nova_error_t **error)
{
	uint64_t deadline = deadline_in_ms(server->patience_ms);
	PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;
	while (PQstatus(pg) != CONNECTION_BAD && wanted != PGRES_POLLING_OK &&
		wanted != PGRES_POLLING_FAILED) {
		if (!wait_for(pg, wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
			return fail_late(server, "connect", error);
		wanted = PQconnectPoll(pg);
	}
	return wanted == PGRES_POLLING_OK ? 0 : postgres_fail_connecting(server, pg, error);
}

int postgres_await(const struct server *server, PGconn *pg, const char *doing, nova_error_t **error)
{
	uint64_t deadline = deadline_in_ms(server->patience_ms + 1000); /* the server's own first */
	int unsent;
	while ((unsent = PQflush(pg)) > 0 || PQisBusy(pg)) {
		if (!wait_for(pg, unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline))
			return fail_late(server, doing, error);
		if (!PQconsumeInput(pg))
			return postgres_fail_lost(server, pg, doing, error);
	}
	return unsent < 0 ? postgres_fail_lost(server, pg, doing, error) : 0;
}

static bool is_good(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* The last result of what was sent, or the first that failed. */
static int take_results(const struct server *server, PGconn *pg, const char *doing,
	PGresult **ret_result, nova_error_t **error)
{
	AUTO_RESULT PGresult *last = NULL;
	for (;;) {
		int r = postgres_await(server, pg, doing, error);
		if (r < 0)
			return r;
		PGresult *result = PQgetResult(pg);
		if (!result)
			break;
		if (last && !is_good(last)) {
			PQclear(result);
			continue;
		}
		PQclear(last);
		last = result;
	}
	if (PQstatus(pg) == CONNECTION_BAD)
		return postgres_fail_lost(server, pg, doing, error);
	if (!last || !is_good(last))
		return postgres_fail(server, last, doing, error);
	*ret_result = STEAL(last);
	return 0;
}

int postgres_finish(const struct server *server, PGconn *pg, int sent, const char *doing,
	PGresult **ret_result, nova_error_t **error)
{
	if (!sent)
		return postgres_fail_lost(server, pg, doing, error);
	AUTO_RESULT PGresult *result = NULL;
	int r = take_results(server, pg, doing, &result, error);
	if (r == 0 && ret_result)
		*ret_result = STEAL(result);
	return r;
}

int postgres_ask(const struct server *server, PGconn *pg, const char *sql, const char *doing,
	PGresult **ret_result, nova_error_t **error)
{
	return postgres_finish(server, pg, PQsendQuery(pg, sql), doing, ret_result, error);
}

static int set_up(const struct server *server, PGconn *pg, nova_error_t **error)
{
	char sql[160];
	snprintf(sql, sizeof(sql),
		"SET statement_timeout = %llu; SET idle_in_transaction_session_timeout = %llu; "
		"SET synchronous_commit = on",
		(unsigned long long)server->patience_ms,
		(unsigned long long)server->patience_ms * 6);
	return postgres_ask(server, pg, sql, "connect", NULL, error);
}

int postgres_connect(const struct server *server, PGconn **ret_pg, nova_error_t **error)
{
	PGconn *pg = postgres_begin(server);
	if (!pg)
		return nova_oom(error);
	int r = await_connection(server, pg, error);
	if (r == 0)
		PQsetnonblocking(pg, 1);
	if (r == 0)
		r = set_up(server, pg, error);
	if (r < 0) {
		PQfinish(pg);
		return r;
	}
	*ret_pg = pg;
	return 0;
}
