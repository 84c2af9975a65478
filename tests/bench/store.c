/* SPDX-License-Identifier: MIT */
/* A function of the store got, put and listed, beside the raw client library with the same
 * statement, in turns. PostgreSQL if NOVA_TEST_PG names a server: tests/pgserver.py nova-bench
 * store. */
#include <libpq-fe.h>
#include <sqlite3.h>

#include "bench.h"
#include "registry/registry.h"
#include "store/sql/sql.h"

#define FUNCTIONS 100

/* The same statement, by the client library alone. */
struct raw {
	sqlite3 *db;
	sqlite3_stmt *get;
	PGconn *pg;
};

struct contest {
	const struct bench_run *run;
	const struct store_ops *ops;
	nova_config_t *config;
	struct store *store;
	struct raw raw;
	char *home;
};

static int raw_open(struct contest *c)
{
	AUTO_FREE char *sql =
		sql_statement_text(((struct sql_store *)c->store)->driver, SQL_FUNCTION_GET);
	if (c->ops == &store_postgres) {
		c->raw.pg = PQconnectdb(config_str(c->config, "postgres.dsn"));
		PGresult *result = PQprepare(c->raw.pg, "get", sql, 1, (Oid[]){ 25 });
		bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
		PQclear(result);
		return good ? 0 : -1;
	}
	AUTO_FREE char *path = path_join(c->home, "nova.db");
	return sqlite3_open(path, &c->raw.db) == SQLITE_OK &&
			       sqlite3_prepare_v2(c->raw.db, sql, -1, &c->raw.get, NULL) ==
				       SQLITE_OK ?
		       0 :
		       -1;
}

static size_t raw_get(struct raw *raw, const char *name)
{
	size_t bytes = 0;
	if (raw->pg) {
		PGresult *result = PQexecPrepared(raw->pg, "get", 1, &name, NULL, NULL, 1);
		for (int i = 0; i < PQnfields(result); i++)
			bytes += (size_t)PQgetlength(result, 0, i);
		PQclear(result);
		return bytes;
	}
	sqlite3_bind_text(raw->get, 1, name, -1, SQLITE_STATIC);
	if (sqlite3_step(raw->get) == SQLITE_ROW)
		for (int i = 0; i < sqlite3_column_count(raw->get); i++)
			bytes += sqlite3_column_text(raw->get, i) ?
					 (size_t)sqlite3_column_bytes(raw->get, i) :
					 0;
	sqlite3_reset(raw->get);
	return bytes;
}

static void raw_close(struct raw *raw)
{
	sqlite3_finalize(raw->get);
	sqlite3_close(raw->db);
	if (raw->pg)
		PQfinish(raw->pg);
}

static void report(
	const struct contest *c, const char *what, struct samples *s, struct samples *raw)
{
	AUTO_FREE char *title = str_format("%s, %s", c->ops->name, what);
	double p50 = samples_percentile(s, 50);
	const struct bench_extra extra[] = {
		{ "a_second", p50 > 0 ? 1e6 / p50 : 0 },
		{ raw ? "ratio_to_raw" : NULL, raw ? p50 / samples_percentile(raw, 50) : 0 },
		{ NULL, 0 },
	};
	bench_report(c->run, title, "us", s, extra);
	if (raw) {
		AUTO_FREE char *of_raw =
			str_format("%s, %s by the client library", c->ops->name, what);
		bench_report(c->run, of_raw, "us", raw, NULL);
	}
}

static double in_us(uint64_t start)
{
	return bench_ms_since(start) * 1000;
}

static int measure_get(struct contest *c)
{
	AUTO_SAMPLES struct samples ours = { 0 }, raw = { 0 };
	for (size_t i = 0; i < bench_n(c->run, 2000); i++) {
		AUTO_RECORD struct function_record record = { 0 };
		char name[16];
		snprintf(name, sizeof(name), "f%zu", i % FUNCTIONS);
		uint64_t start = clock_ns();
		if (c->ops->functions->get(c->store, name, &record, NULL) < 0)
			return 1;
		samples_add(&ours, in_us(start));
		start = clock_ns();
		if (!raw_get(&c->raw, name))
			return 1;
		samples_add(&raw, in_us(start));
	}
	report(c, "get", &ours, &raw);
	return 0;
}

static int measure_stamp(struct contest *c)
{
	AUTO_SAMPLES struct samples s = { 0 };
	for (size_t i = 0; i < bench_n(c->run, 2000); i++) {
		uint64_t stamp, start = clock_ns();
		if (c->ops->stamp(c->store, &stamp, NULL) < 0)
			return 1;
		samples_add(&s, in_us(start));
	}
	report(c, "look whether anything has changed", &s, NULL);
	return 0;
}

static int measure_put(struct contest *c)
{
	AUTO_SAMPLES struct samples s = { 0 };
	for (size_t i = 0; i < bench_n(c->run, 2000) / 10 + 1; i++) {
		AUTO_RECORD struct function_record record = { 0 };
		if (c->ops->functions->get(c->store, "f0", &record, NULL) < 0)
			return 1;
		record.updated_us++;
		uint64_t start = clock_ns();
		if (c->ops->functions->put(c->store, &record, record.updated_us - 1, NULL) < 0)
			return 1;
		samples_add(&s, in_us(start));
	}
	report(c, "put", &s, NULL);
	return 0;
}

static int measure_list(struct contest *c)
{
	AUTO_SAMPLES struct samples s = { 0 };
	for (size_t i = 0; i < bench_n(c->run, 2000) / 20 + 1; i++) {
		struct function_record *records;
		size_t count;
		uint64_t start = clock_ns();
		if (c->ops->functions->list(c->store, NULL, &records, &count, NULL) < 0)
			return 1;
		samples_add(&s, in_us(start));
		record_list_free(records, count);
	}
	report(c, "list of 100", &s, NULL);
	return 0;
}

static int fill(struct contest *c)
{
	for (int i = 0; i < FUNCTIONS; i++) {
		char id[40], name[16], hash[65];
		snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012d", i);
		snprintf(name, sizeof(name), "f%d", i);
		snprintf(hash, sizeof(hash), "%064d", i);
		struct function_record r = {
			.id = id,
			.name = name,
			.config.runtime = (char[]){ "python" },
			.config.handler = (char[]){ "main.handler" },
			.config.image = (char[]){ "" },
			.config.rehearse = (char[]){ "" },
			.config.protocol = (char[]){ "" },
			.code_path = (char[]){ "/src/x.py" },
			.code_hash = hash,
			.config.machine.memory_mb = 128,
			.config.timeout_s = 30,
			.config.machine.vcpus = 1,
			.config.concurrency = 1,
			.version = 1,
			.updated_us = 1,
		};
		if (c->ops->functions->put(c->store, &r, 0, NULL) < 0)
			return 1;
	}
	return 0;
}

static int measure(struct contest *c)
{
	int r = fill(c);
	if (r == 0)
		r = raw_open(c) < 0;
	if (r == 0)
		r = measure_get(c);
	if (r == 0)
		r = measure_stamp(c);
	if (r == 0)
		r = measure_put(c);
	if (r == 0)
		r = measure_list(c);
	raw_close(&c->raw);
	return r;
}

static int run_one(const struct bench_run *run, const struct store_ops *ops)
{
	struct contest c = { run, ops, NULL, NULL, { NULL }, bench_dir(NULL) };
	AUTO_ERROR nova_error_t *error = NULL;
	int r = nova_config_new(&c.config, &error);
	if (r == 0)
		r = nova_config_set(c.config, "home", c.home, &error);
	if (r == 0 && ops == &store_postgres)
		r = nova_config_set(c.config, "postgres.dsn", getenv("NOVA_TEST_PG"), &error);
	if (r == 0)
		r = ops->open(c.config, &c.store, &error);
	r = r < 0 ? bench_skip(run, "%s: %s", ops->name, nova_error_message(error)) : measure(&c);
	ops->close(c.store);
	nova_config_free(c.config);
	fs_remove_tree(c.home);
	free(c.home);
	return r;
}

int bench_store(const struct bench_run *run)
{
	int r = run_one(run, &store_sqlite);
	if (r == 0 && !getenv("NOVA_TEST_PG"))
		bench_note(run, "no PostgreSQL: tests/pgserver.py nova-bench store has one");
	else if (r == 0)
		r = run_one(run, &store_postgres);
	if (r == 0)
		r = bench_store_log(run);
	return r ? r : bench_store_redis(run);
}
