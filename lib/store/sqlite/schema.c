/* SPDX-License-Identifier: MIT */
/*
 * The schema and its way forward. PRAGMA user_version says how many of the steps below a file has
 * seen; those missing are run in one transaction. A step is never changed after a release: what
 * comes later (versions, aliases …) is a step of its own that adds tables, which point to
 * functions(id).
 *
 * From step 4 on a property brings its own column: the step whose number stands in its row as
 * `schema`. It needs no text here (NULL, if a step with text comes behind it).
 */
#include "store/sqlite/sqlite.h"

#define APPLICATION_ID 0x6e6f7661 /* "nova" */

static const char *const steps[] = {
	/* 1 */
	"CREATE TABLE functions ( id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE, runtime "
	"TEXT NOT NULL, handler TEXT NOT NULL, code_path TEXT NOT NULL, code_hash TEXT NOT NULL, "
	"memory_mb INTEGER NOT NULL, timeout_s INTEGER NOT NULL, vcpus INTEGER NOT NULL, "
	"min_replicas INTEGER NOT NULL, disk_iops INTEGER NOT NULL, disk_bandwidth INTEGER NOT "
	"NULL, net_rx_bandwidth INTEGER NOT NULL, net_tx_bandwidth INTEGER NOT NULL, env TEXT NOT "
	"NULL, version INTEGER NOT NULL, created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL) "
	"STRICT;CREATE INDEX functions_by_code ON functions (code_hash);",
	/* 2 */
	"ALTER TABLE functions ADD COLUMN concurrency INTEGER NOT NULL DEFAULT 1;",
	/* 3 */
	"ALTER TABLE functions ADD COLUMN network INTEGER NOT NULL DEFAULT 0;",
	NULL,
	NULL,
	/* 6 */
	"CREATE TABLE runtimes ( name TEXT NOT NULL PRIMARY KEY, rootfs TEXT NOT NULL, image TEXT "
	"NOT NULL, protocol TEXT NOT NULL, argv TEXT NOT NULL, memory_mb INTEGER NOT NULL, "
	"timeout_s INTEGER NOT NULL, init_timeout_s INTEGER NOT NULL, created_us INTEGER NOT NULL) "
	"STRICT;",
};
#define STEPS_OF_TABLE 3 /* up to here the steps above have the columns of properties, too */

/* The version that this library knows. */
static int64_t latest(void)
{
	int64_t last = ARRAY_LEN(steps);
	FOR_EACH_PROPERTY(p)
	last = p->schema > last ? p->schema : last;
	return last;
}

static int add_columns(struct connection *c, int64_t version, nova_error_t **error)
{
	int r = 0;
	FOR_EACH_PROPERTY(p)
	{
		if (r < 0 || p->schema != version)
			continue;
		AUTO_FREE char *column = column_definition(p);
		AUTO_FREE char *sql =
			column ? str_format("ALTER TABLE functions ADD COLUMN %s", column) : NULL;
		r = sql ? sqlite_run(c, sql, "bring it to the present schema", error) :
			  nova_oom(error);
	}
	return r;
}

static int run_step(struct connection *c, int64_t version, nova_error_t **error)
{
	const char *text = version <= (int64_t)ARRAY_LEN(steps) ? steps[version - 1] : NULL;
	int r = text ? sqlite_run(c, text, "bring it to the present schema", error) : 0;
	return r < 0 || version <= STEPS_OF_TABLE ? r : add_columns(c, version, error);
}

static int run_missing_steps(struct connection *c, nova_error_t **error)
{
	int64_t version;
	int r = sqlite_ask(c, "PRAGMA user_version", &version, error);
	while (r == 0 && version < latest())
		r = run_step(c, ++version, error);
	if (r < 0)
		return r;
	char finish[96];
	snprintf(finish, sizeof(finish), "PRAGMA application_id = %d; PRAGMA user_version = %lld",
		APPLICATION_ID, (long long)latest());
	return sqlite_run(c, finish, "note the schema version", error);
}

/* Whether the file is one of ours that this library understands; a new file has nothing in it at
 * all. */
static int check_identity(struct connection *c, int64_t *ret_version, nova_error_t **error)
{
	int64_t id, tables, version;
	int r = sqlite_ask(c, "PRAGMA application_id", &id, error);
	if (r == 0)
		r = sqlite_ask(c, "PRAGMA user_version", &version, error);
	if (r == 0)
		r = sqlite_ask(c, "SELECT count(*) FROM sqlite_schema", &tables, error);
	if (r < 0)
		return r;
	if (id != APPLICATION_ID && (id || version || tables))
		return nova_fail(error, NOVA_ECORRUPT,
			"%s is a database, but not one of libnova; move it away or choose another "
			"state directory (setting 'home')",
			c->path);
	if (version < 0 || version > latest())
		return nova_fail(error, NOVA_ENOTSUP,
			"%s has schema %lld and libnova " NOVA_VERSION_STRING
			" knows %lld at most; use the libnova that wrote it, or a newer one",
			c->path, (long long)version, (long long)latest());
	*ret_version = version;
	return 0;
}

/* In one transaction: between two answers another process may have made the schema, and the file
 * would seem to be neither new nor ours. */
static int check_at_one_moment(struct connection *c, int64_t *ret_version, nova_error_t **error)
{
	int r = sqlite_run(c, "BEGIN", "look at it", error);
	if (r < 0)
		return r;
	r = check_identity(c, ret_version, error);
	sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int sqlite_migrate(struct connection *c, nova_error_t **error)
{
	int64_t version;
	int r = check_at_one_moment(c, &version, error);
	if (r < 0 || version == latest())
		return r;
	r = sqlite_run(c, "BEGIN IMMEDIATE", "begin a migration", error);
	if (r < 0)
		return r;
	/* Asked again now that nobody else can migrate at the same time. */
	r = check_identity(c, &version, error);
	if (r == 0)
		r = run_missing_steps(c, error);
	if (r == 0)
		r = sqlite_run(c, "COMMIT", "finish a migration", error);
	if (r < 0)
		sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}
