/* SPDX-License-Identifier: MIT */
/* How a statement is run: each is prepared once a connection. */
#include <inttypes.h>

#include "store/postgres/postgres.h"

#define AGAIN    3
#define LOG_LOCK "SELECT pg_advisory_xact_lock(1852798572)"

static int take(struct sql_session *session, enum sql_purpose purpose, nova_error_t **error)
{
	struct postgres_store *s = postgres_of(session->store);
	struct connection *c = NULL;
	int r = postgres_check_process(s, error);
	if (r == 0)
		r = purpose == SQL_COPIES ? pool_take_passing(s, &c, error) :
					    pool_take(s, &c, error);
	if (r < 0)
		return r;
	c->purpose = purpose;
	session->connection = c;
	return 0;
}

static void end_statement(struct connection *c)
{
	PQclear(STEAL(c->result));
	c->row = 0;
}

static void give(struct sql_session *session)
{
	struct postgres_store *s = postgres_of(session->store);
	struct connection *c = session->connection;
	end_statement(c);
	if (!c->lost && PQtransactionStatus(c->pg) != PQTRANS_IDLE &&
		postgres_ask(&s->server, c->pg, "ROLLBACK", "undo", NULL, NULL) < 0)
		c->lost = true;
	if (c->purpose == SQL_WRITES)
		listener_note_change(&s->listener);
	pool_give(s, c);
}

/* After a failure of the connection nothing more is asked there. */
static int finish(struct sql_session *session, int sent, const char *doing, nova_error_t **error)
{
	struct postgres_store *s = postgres_of(session->store);
	struct connection *c = session->connection;
	int r = postgres_finish(&s->server, c->pg, sent, doing, &c->result, error);
	c->lost |= PQstatus(c->pg) != CONNECTION_OK || PQtransactionStatus(c->pg) == PQTRANS_ACTIVE;
	return r;
}

static int prepare(struct sql_session *session, enum sql_statement which,
	const struct sql_value *values, size_t count, nova_error_t **error)
{
	struct connection *c = session->connection;
	Oid types[VALUES_MAX];
	char name[STATEMENT_NAME];
	if (c->prepared[which])
		return 0;
	AUTO_FREE char *sql = sql_statement_text(session->store->driver, which);
	if (!sql)
		return nova_oom(error);
	wire_types(types, values, count);
	statement_name(name, which);
	int sent = PQsendPrepare(c->pg, name, sql, (int)count, types);
	int r = finish(session, sent, "read it", error);
	c->prepared[which] = r == 0;
	end_statement(c);
	return r;
}

static int first_row(const struct connection *c)
{
	return PQntuples(c->result) > 0;
}

/* The next row of those that come one by one; behind the last one there is a result without rows,
 * and then none. */
static int next_alone(struct sql_session *session, nova_error_t **error)
{
	const struct server *server = &postgres_of(session->store)->server;
	struct connection *c = session->connection;
	end_statement(c);
	int r = postgres_await(server, c->pg, "read it", error);
	c->result = r == 0 ? PQgetResult(c->pg) : NULL;
	if (c->result && PQresultStatus(c->result) == PGRES_SINGLE_TUPLE)
		return 1;
	c->lost = true; /* until it is known that nothing is under way */
	if (r == 0 && !c->result)
		return postgres_fail_lost(server, c->pg, "read it", error);
	if (r == 0 && PQresultStatus(c->result) != PGRES_TUPLES_OK)
		return postgres_fail(server, c->result, "read it", error);
	if (r == 0)
		r = postgres_await(server, c->pg, "read it", error);
	c->lost = r < 0 || PQgetResult(c->pg);
	return r;
}

static int run_once(struct sql_session *session, enum sql_statement which,
	const struct sql_value *values, size_t count, nova_error_t **error)
{
	struct connection *c = session->connection;
	struct wire w;
	end_statement(c);
	int r = prepare(session, which, values, count, error);
	if (r < 0)
		return r;
	wire_set(&w, values, count);
	int sent = wire_send(c->pg, which, &w, count);
	if (sent && c->purpose == SQL_COPIES && PQsetSingleRowMode(c->pg))
		return next_alone(session, error);
	bool reads = c->purpose == SQL_READS || c->purpose == SQL_COPIES;
	r = finish(session, sent, reads ? "read it" : "write to it", error);
	return r < 0 ? r : first_row(c);
}

/* A connection that has ended (the server was restarted) takes a question with it, which is asked
 * again; not what was to be written, as that may have been done. */
static int run(struct sql_session *session, enum sql_statement which,
	const struct sql_value *values, size_t count, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int r = run_once(session, which, values, count, &failure);
	struct connection *c = session->connection;
	for (int i = 0;
		i < AGAIN && r < 0 && c->purpose == SQL_READS && PQstatus(c->pg) != CONNECTION_OK;
		i++) {
		nova_error_free(STEAL(failure));
		give(session);
		session->connection = NULL;
		r = take(session, SQL_READS, &failure);
		if (r < 0)
			break;
		c = session->connection;
		r = run_once(session, which, values, count, &failure);
	}
	if (r < 0 && error)
		*error = STEAL(failure);
	return r;
}

static int log_batch(struct sql_session *session, const struct sql_batch *batch,
	uint64_t *ret_changes, nova_error_t **error)
{
	struct connection *c = session->connection;
	struct sql_value values[VALUES_MAX];
	batch->fill(batch->userdata, 0, values);
	int r = prepare(session, batch->which, values, batch->values, error);
	if (r < 0)
		return r;
	r = pipeline_run(
		&postgres_of(session->store)->server, c->pg, LOG_LOCK, batch, ret_changes, error);
	c->lost |= PQpipelineStatus(c->pg) != PQ_PIPELINE_OFF;
	return r;
}

static int next(struct sql_session *session, nova_error_t **error)
{
	struct connection *c = session->connection;
	if (c->purpose == SQL_COPIES)
		return next_alone(session, error);
	return ++c->row < PQntuples(c->result);
}

static uint64_t changes(const struct sql_session *session)
{
	const struct connection *c = session->connection;
	return strtoull(PQcmdTuples(c->result), NULL, 10);
}

static bool has_type(const struct connection *c, int column, Oid type)
{
	return PQftype(c->result, column) == type && !PQgetisnull(c->result, c->row, column);
}

static bool text(struct sql_session *session, int column, const char **ret, size_t *ret_len)
{
	const struct connection *c = session->connection;
	*ret = PQgetvalue(c->result, c->row, column);
	*ret_len = (size_t)PQgetlength(c->result, c->row, column);
	return has_type(c, column, WIRE_TEXT);
}

static bool number(struct sql_session *session, int column, int64_t *ret)
{
	const struct connection *c = session->connection;
	const uint8_t *value = (const uint8_t *)PQgetvalue(c->result, c->row, column);
	uint64_t bits = 0;
	if (!has_type(c, column, WIRE_NUMBER) || PQgetlength(c->result, c->row, column) != 8)
		return false;
	for (int byte = 0; byte < 8; byte++)
		bits = bits << 8 | value[byte];
	*ret = (int64_t)bits;
	return true;
}

static bool bytes(struct sql_session *session, int column, const void **ret, size_t *ret_len)
{
	const struct connection *c = session->connection;
	*ret = PQgetvalue(c->result, c->row, column);
	*ret_len = (size_t)PQgetlength(c->result, c->row, column);
	return has_type(c, column, WIRE_BYTES);
}

static const char *column(const struct sql_session *session, int at)
{
	return PQfname(((const struct connection *)session->connection)->result, at);
}

static int execute(
	struct sql_session *session, const char *sql, const char *doing, nova_error_t **error)
{
	struct connection *c = session->connection;
	end_statement(c);
	return finish(session, PQsendQuery(c->pg, sql), doing, error);
}

/* --- the schema --- */

/* "N" of the only row. */
static int ask_number(
	struct sql_session *session, const char *sql, int64_t *ret, nova_error_t **error)
{
	struct connection *c = session->connection;
	int r = execute(session, sql, "read it", error);
	if (r == 0 && PQntuples(c->result) != 1)
		r = nova_fail(error, NOVA_ECORRUPT, "%s: '%s' has no one row: it is damaged",
			session->store->place, sql);
	if (r == 0)
		*ret = strtoll(PQgetvalue(c->result, 0, 0), NULL, 10);
	end_statement(c);
	return r;
}

/* What of ours is there is asked by one statement, which sees one moment. */
static int version(struct sql_session *session, int64_t *ret_version, nova_error_t **error)
{
	int64_t kind = 0;
	*ret_version = 0;
	int r = ask_number(session,
		"SELECT coalesce(max(CASE relname WHEN 'nova_schema' THEN 2 ELSE 1 END), 0) FROM "
		"pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = "
		"current_schema()) AND relname IN ('nova_schema', 'functions', 'runtimes')",
		&kind, error);
	if (r < 0 || kind == 0)
		return r;
	if (kind == 1)
		return nova_fail(error, NOVA_ECORRUPT,
			"%s has tables of its own, but not those of libnova; choose another "
			"database (setting 'postgres.dsn')",
			session->store->place);
	return ask_number(session, "SELECT version FROM nova_schema", ret_version, error);
}

/*
 * What is there besides the tables, made anew by each migration: how changes are told of, in the
 * transaction that makes them; and what SQLite has and the statements use.
 */
/* Before, so that who writes locks the number first and rows then: nobody waits in a circle. */
#define TELLS(table)                                                                               \
	"CREATE OR REPLACE TRIGGER nova_changed BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE "    \
	"ON " table " FOR EACH STATEMENT EXECUTE FUNCTION nova_changed();"
static const char extras[] =
	"CREATE TABLE IF NOT EXISTS nova_schema (version BIGINT NOT NULL);"
	"CREATE TABLE IF NOT EXISTS nova_changes (number BIGINT NOT NULL);"
	"INSERT INTO nova_changes SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM nova_changes);"
	"CREATE OR REPLACE FUNCTION nova_changed() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE "
	"now BIGINT; BEGIN UPDATE nova_changes SET number = number + 1 RETURNING number INTO now; "
	"PERFORM pg_notify('" CHANNEL "', now::text); RETURN NULL; END $$;" TELLS(
		"functions") TELLS("versions") TELLS("aliases") TELLS("runtimes") TELLS("api_keys")
		TELLS("secrets") "CREATE OR REPLACE FUNCTION json_each(text) RETURNS TABLE (value "
				 "text) LANGUAGE sql "
				 "IMMUTABLE AS $$ SELECT json_array_elements_text($1::json) $$;"
				 "CREATE OR REPLACE FUNCTION unixepoch() RETURNS bigint LANGUAGE "
				 "sql AS $$ SELECT "
				 "extract(epoch FROM clock_timestamp())::bigint $$;"
				 "DELETE FROM nova_schema; INSERT INTO nova_schema VALUES (";

static int set_version(struct sql_session *session, int64_t version_now, nova_error_t **error)
{
	AUTO_FREE char *sql = str_format("%s%" PRId64 ")", extras, version_now);
	return sql ? execute(session, sql, "note the schema version", error) : nova_oom(error);
}

/* It is the session's at the server, and goes with the connection. */
static int lock(struct sql_session *session, enum sql_lock which, nova_error_t **error)
{
	static const char *const questions[SQL_LOCKS] = {
		[SQL_LOCK_IMPORT] = "SELECT pg_try_advisory_lock(1852798576)::int",
		[SQL_LOCK_SPACES] = "SELECT pg_try_advisory_lock(1852798577)::int",
	};
	int64_t has = 0;
	int r = ask_number(session, questions[which], &has, error);
	return r < 0 ? r : has != 0;
}

/* Of names, and whatever is compared, the order is that of the bytes. */
static const char *const words[][2] = {
	{ "INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY" },
	{ "INTEGER", "BIGINT" },
	{ "TEXT", "TEXT COLLATE \"C\"" },
	{ "BLOB", "BYTEA" },
	{ " STRICT", "" },
	{ NULL, NULL },
};

const struct sql_driver postgres_driver = {
	.words = words,
	.parameter = '$',
	.begin = "BEGIN",
	/* a row comes when there is room for it, which is nothing that the server has to do */
	.snapshot =
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0",

	.migration = "BEGIN; SELECT pg_advisory_xact_lock(1852798561)",
	.logging = "BEGIN; " LOG_LOCK,
	.take = take,
	.give = give,
	.run = run,
	.log_batch = log_batch,
	.next = next,
	.changes = changes,
	.text = text,
	.number = number,
	.bytes = bytes,
	.column = column,
	.execute = execute,
	.version = version,
	.set_version = set_version,
	.lock = lock,
};
