/* SPDX-License-Identifier: MIT */
/* The log of calls: records appended, beside the raw client library with the same statement, one by
 * one and (PostgreSQL) as a pipeline, and what a call costs with and without it; all in turns. */
#include <libpq-fe.h>
#include <nova/nova.h>
#include <sqlite3.h>

#include "bench.h"
#include "config/config.h"
#include "store/sql/sql.h"

#define BATCH  100
#define VALUES 20

/* --- appending --- */

/* The parameters of the statement, in its order: T is a text, B bytes, N a number. */
static const char kinds[] = "TTTNNNNNTTTNNNNNTBBN";
static const char *const sample[VALUES] = { "01234567", "hello",
	"00000000-0000-4000-8000-000000000001", "1", "1700000000000000", "1234", "0", "0", "python",
	"", "classic", "2", "20", "9000000", "0", "0", "", "a line of output\n", "", "350" };

struct raw {
	sqlite3 *db;
	sqlite3_stmt *insert;
	PGconn *pg;
	const struct sql_driver *driver;
};

static int raw_open(struct raw *raw, struct store *store, const char *path, const char *dsn)
{
	raw->driver = ((struct sql_store *)store)->driver;
	AUTO_FREE char *sql = sql_statement_text(raw->driver, SQL_CALL_INSERT);
	if (!dsn)
		return sqlite3_open(path, &raw->db) == SQLITE_OK &&
				       sqlite3_exec(raw->db, "PRAGMA synchronous = FULL", NULL,
					       NULL, NULL) == SQLITE_OK &&
				       sqlite3_prepare_v2(raw->db, sql, -1, &raw->insert, NULL) ==
					       SQLITE_OK ?
			       0 :
			       -1;
	Oid types[VALUES];
	for (int i = 0; i < VALUES; i++)
		types[i] = kinds[i] == 'T' ? 25 : kinds[i] == 'B' ? 17 : 20;
	raw->pg = PQconnectdb(dsn);
	PGresult *result = PQprepare(raw->pg, "insert", sql, VALUES, types);
	bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
	PQclear(result);
	return good ? 0 : -1;
}

static bool raw_do(struct raw *raw, const char *sql)
{
	if (raw->db)
		return sqlite3_exec(raw->db, sql, NULL, NULL, NULL) == SQLITE_OK;
	PGresult *result = PQexec(raw->pg, sql);
	ExecStatusType status = PQresultStatus(result);
	PQclear(result);
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static bool raw_insert(struct raw *raw)
{
	if (raw->pg) {
		PGresult *result = PQexecPrepared(raw->pg, "insert", VALUES, sample, NULL, NULL, 1);
		bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
		PQclear(result);
		return good;
	}
	for (int i = 0; i < VALUES; i++)
		if (kinds[i] == 'N')
			sqlite3_bind_int64(raw->insert, i + 1, atoll(sample[i]));
		else if (kinds[i] == 'B')
			sqlite3_bind_blob(raw->insert, i + 1, sample[i], (int)strlen(sample[i]),
				SQLITE_STATIC);
		else
			sqlite3_bind_text(raw->insert, i + 1, sample[i], -1, SQLITE_STATIC);
	bool good = sqlite3_step(raw->insert) == SQLITE_DONE;
	sqlite3_reset(raw->insert);
	return good;
}

static bool raw_batch(struct raw *raw)
{
	bool good = raw_do(raw, raw->driver->logging);
	for (int i = 0; good && i < BATCH; i++)
		good = raw_insert(raw);
	return good && raw_do(raw, "COMMIT");
}

/* As libpq does it best: all is sent before the first answer is waited for. */
static bool raw_pipeline(struct raw *raw)
{
	static const char *const begin[] = { "BEGIN", "SELECT pg_advisory_xact_lock(1852798572)" };
	bool good = PQenterPipelineMode(raw->pg);
	for (int i = 0; good && i < 2; i++)
		good = PQsendQueryParams(raw->pg, begin[i], 0, NULL, NULL, NULL, NULL, 1);
	for (int i = 0; good && i < BATCH; i++)
		good = PQsendQueryPrepared(raw->pg, "insert", VALUES, sample, NULL, NULL, 1);
	good = good && PQsendQueryParams(raw->pg, "COMMIT", 0, NULL, NULL, NULL, NULL, 1) &&
	       PQpipelineSync(raw->pg);
	for (ExecStatusType status = PGRES_COMMAND_OK; good && status != PGRES_PIPELINE_SYNC;) {
		PGresult *result = PQgetResult(raw->pg);
		status = result ? PQresultStatus(result) : PGRES_COMMAND_OK;
		good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
		       status == PGRES_PIPELINE_SYNC;
		PQclear(result);
	}
	return good && PQexitPipelineMode(raw->pg);
}

static void raw_close(struct raw *raw)
{
	sqlite3_finalize(raw->insert);
	sqlite3_close(raw->db);
	if (raw->pg)
		PQfinish(raw->pg);
}

static int append_batch(struct store *store)
{
	static char id[] = "01234567", name[] = "hello", runtime[] = "python", path[] = "classic",
		    none[] = "", out[] = "a line of output\n",
		    uuid[] = "00000000-0000-4000-8000-000000000001";
	const struct call_record record = { .request_id = id,
		.function = name,
		.id = uuid,
		.runtime = runtime,
		.instance = none,
		.path = path,
		.error = none,
		.out = out,
		.out_len = sizeof(out) - 1,
		.started_us = 1700000000000000,
		.duration_us = 1234,
		.input_size = 2,
		.output_size = 20,
		.memory_peak = 9000000,
		.version = 1 };
	const struct call_record *all[BATCH];
	for (int i = 0; i < BATCH; i++)
		all[i] = &record;
	return store->ops->calls->append(store, all, BATCH, NULL);
}

/* One batch each, timed; false: one failed. */
static bool append_in_turn(struct store *store, struct raw *raw, struct samples all[3])
{
	uint64_t start = clock_ns();
	bool good = append_batch(store) == 0;
	samples_add(&all[0], bench_ms_since(start) * 1000);
	start = clock_ns();
	good = good && raw_batch(raw);
	samples_add(&all[1], bench_ms_since(start) * 1000);
	start = clock_ns();
	good = good && (!raw->pg || raw_pipeline(raw));
	samples_add(&all[2], bench_ms_since(start) * 1000);
	return good;
}

static int measure_append(const struct bench_run *run, struct store *store, struct raw *raw)
{
	struct samples all[3] = { { 0 } };
	bool good = true;
	for (size_t i = 0; good && i < bench_n(run, 2000) / 20 + 1; i++)
		good = append_in_turn(store, raw, all);
	double p50 = samples_percentile(&all[0], 50);
	const struct bench_extra extra[] = { { "a_second", BATCH * 1e6 / p50 },
		{ "ratio_to_raw", p50 / samples_percentile(&all[1], 50) },
		{ "ratio_to_pipeline", p50 / samples_percentile(&all[2], 50) }, { NULL, 0 } };
	const struct bench_extra without[] = { extra[0], extra[1], { NULL, 0 } };
	AUTO_FREE char *title = str_format("%s, 100 records appended", store->ops->name);
	AUTO_FREE char *of_raw = str_format("%s by the client library", title);
	AUTO_FREE char *of_pipeline = str_format("%s by its pipeline", title);
	bench_report(run, title, "us", &all[0], raw->pg ? extra : without);
	bench_report(run, of_raw, "us", &all[1], NULL);
	if (raw->pg)
		bench_report(run, of_pipeline, "us", &all[2], NULL);
	for (int i = 0; i < 3; i++)
		samples_free(&all[i]);
	return !good;
}

static int run_append(const struct bench_run *run, const struct store_ops *ops, const char *dsn)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_FREE char *home = bench_dir(NULL), *path = home ? path_join(home, "log.db") : NULL;
	nova_config_t *config = NULL;
	struct store *store = NULL;
	struct raw raw = { NULL };
	int r = nova_config_new(&config, &error);
	if (r == 0)
		r = nova_config_set(config, "home", home, &error);
	if (r == 0 && dsn)
		r = nova_config_set(config, "postgres.dsn", dsn, &error);
	if (r == 0)
		r = ops->open(config, &store, &error);
	int failed = r < 0 ? bench_skip(run, "%s", nova_error_message(error)) :
		     raw_open(&raw, store, path, dsn) < 0 ? bench_skip(run, "no raw client") :
							    measure_append(run, store, &raw);
	raw_close(&raw);
	ops->close(store);
	nova_config_free(config);
	fs_remove_tree(home);
	return failed;
}

/* --- what a call costs --- */

/* A function that is called in place, so that there is nothing in the way. */
static int open_platform(const char *home, const char *calls, const char *dsn, nova_t **ret_nova,
	nova_error_t **error)
{
	static const char code[] =
		"__nova_in_place__ = True\ndef handler(event):\n    return event\n";
	const char *const settings[][2] = { { "home", home }, { "engine", "fake" },
		{ "log.calls", calls }, { "pool.thread", "on" }, { "postgres.dsn", dsn } };
	nova_config_t *config = NULL;
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	int r = nova_config_new(&config, error);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(settings) - !dsn; i++)
		r = nova_config_set(config, settings[i][0], settings[i][1], error);
	if (r == 0)
		r = nova_open(config, ret_nova, error);
	nova_config_free(config);
	opts.name = "echo";
	opts.runtime = "python";
	opts.code = code;
	opts.code_len = sizeof(code) - 1;
	opts.check = NOVA_CHECK_NEVER;
	opts.flags = NOVA_REGISTER_REPLACE;
	return r < 0 ? r : nova_function_register(*ret_nova, &opts, NULL, error);
}

static int call(nova_t *nova, struct samples *s, nova_error_t **error)
{
	nova_result_t *result;
	uint64_t start = clock_ns();
	int r = nova_invoke(nova, "echo", "{\"name\":\"World\"}", NULL, &result, error);
	samples_add(s, bench_ms_since(start) * 1000);
	nova_result_free(result);
	return r;
}

static int measure_calls(const struct bench_run *run, const char *store, nova_t *with,
	nova_t *without, nova_error_t **error)
{
	AUTO_SAMPLES struct samples on = { 0 }, off = { 0 }, unused = { 0 };
	int r = call(with, &unused, error);
	if (r == 0)
		r = call(without, &unused, error);
	for (size_t i = 0; r == 0 && i < bench_n(run, 2000) * 5; i++) {
		/* who comes second finds warmer caches: each is it in turn */
		r = i % 2 ? call(with, &on, error) : call(without, &off, error);
		if (r == 0)
			r = i % 2 ? call(without, &off, error) : call(with, &on, error);
	}
	if (r < 0)
		return r;
	const struct bench_extra ratio[] = {
		{ "ratio", samples_percentile(&on, 50) / samples_percentile(&off, 50) }, { NULL, 0 }
	};
	AUTO_FREE char *title_on = str_format("nova_invoke with the log on, %s", store);
	AUTO_FREE char *title_off = str_format("nova_invoke with the log off, %s", store);
	bench_report(run, title_on, "us", &on, ratio);
	bench_report(run, title_off, "us", &off, NULL);
	return 0;
}

static int run_calls(const struct bench_run *run, const char *store, const char *dsn)
{
	AUTO_ERROR nova_error_t *error = NULL;
	char *homes[2] = { bench_dir(NULL), bench_dir(NULL) };
	nova_t *with = NULL, *without = NULL;
	int r = open_platform(homes[0], "on", dsn, &with, &error);
	if (r == 0)
		r = open_platform(homes[1], "off", dsn, &without, &error);
	if (r == 0)
		r = measure_calls(run, store, with, without, &error);
	if (r < 0)
		bench_skip(run, "%s", nova_error_message(error));
	nova_close(with);
	nova_close(without);
	for (int i = 0; i < 2; i++) {
		fs_remove_tree(homes[i]);
		free(homes[i]);
	}
	return r < 0;
}

int bench_store_log(const struct bench_run *run)
{
	const char *dsn = getenv("NOVA_TEST_PG");
	int r = run_append(run, &store_sqlite_log, NULL);
	if (r == 0 && dsn)
		r = run_append(run, &store_postgres, dsn);
	if (r == 0)
		r = run_calls(run, "sqlite", NULL);
	if (r == 0 && dsn)
		r = run_calls(run, "postgres", dsn);
	return r;
}
