/* SPDX-License-Identifier: MIT */
/* Many statements in one round trip: all are sent before the first answer is waited for. */
#include "store/postgres/postgres.h"

#define DOING "write to it"

/* What comes before the sets of values: BEGIN, and the first statement. */
#define BEFORE 2u

static int send_text(PGconn *pg, const char *sql)
{
	return PQsendQueryParams(pg, sql, 0, NULL, NULL, NULL, NULL, 1);
}

static int send_sets(PGconn *pg, const struct sql_batch *batch)
{
	struct sql_value values[VALUES_MAX];
	struct wire w;
	int sent = 1;
	for (size_t i = 0; sent && i < batch->sets; i++) {
		batch->fill(batch->userdata, i, values);
		wire_set(&w, values, batch->values);
		sent = wire_send(pg, batch->which, &w, batch->values);
	}
	return sent;
}

static int send_all(PGconn *pg, const char *first, const struct sql_batch *batch)
{
	return send_text(pg, "BEGIN") && send_text(pg, first) && send_sets(pg, batch) &&
	       send_text(pg, "COMMIT") && PQpipelineSync(pg);
}

static bool is_bad(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
}

/* The next answer: NULL and 0 behind the last one. Between two of them libpq gives none once. */
static int next_answer(
	const struct server *server, PGconn *pg, PGresult **ret_result, nova_error_t **error)
{
	*ret_result = NULL;
	for (int i = 0; i < 2 && !*ret_result; i++) {
		int r = postgres_await(server, pg, DOING, error);
		if (r < 0)
			return r;
		*ret_result = PQgetResult(pg);
	}
	if (!*ret_result || PQstatus(pg) == CONNECTION_BAD) {
		PQclear(STEAL(*ret_result));
		return postgres_fail_lost(server, pg, DOING, error);
	}
	if (PQresultStatus(*ret_result) == PGRES_PIPELINE_SYNC)
		PQclear(STEAL(*ret_result));
	return 0;
}

/* All answers are taken; the first that is bad tells why the others are. */
static int take_answers(const struct server *server, PGconn *pg, size_t sets, uint64_t *ret_changes,
	nova_error_t **error)
{
	AUTO_RESULT PGresult *bad = NULL;
	*ret_changes = 0;
	for (size_t i = 0;; i++) {
		AUTO_RESULT PGresult *result = NULL;
		int r = next_answer(server, pg, &result, error);
		if (r < 0)
			return r;
		if (!result)
			break;
		if (!bad && is_bad(result))
			bad = STEAL(result);
		else if (i >= BEFORE && i < BEFORE + sets)
			*ret_changes += strtoull(PQcmdTuples(result), NULL, 10);
	}
	return bad ? postgres_fail(server, bad, DOING, error) : 0;
}

int pipeline_run(const struct server *server, PGconn *pg, const char *first,
	const struct sql_batch *batch, uint64_t *ret_changes, nova_error_t **error)
{
	int r = PQenterPipelineMode(pg) && send_all(pg, first, batch) ?
			take_answers(server, pg, batch->sets, ret_changes, error) :
			postgres_fail_lost(server, pg, DOING, error);
	PQexitPipelineMode(pg);
	return r;
}
