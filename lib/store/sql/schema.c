/* SPDX-License-Identifier: MIT */
/*
 * The schema and its way forward. A database knows how many of the steps below it has seen; those
 * missing are run in one transaction. A step is never changed after a release: what comes later
 * (versions, aliases …) is a step of its own that adds tables, which point to functions(id). Steps
 * are written for SQLite, and have the driver's words in other databases.
 *
 * From step 4 on a property brings its own column: the step whose number stands in its row as
 * `schema`. It needs no text here (NULL, if a step with text comes behind it). The table of
 * versions has the same columns.
 */
#include "store/sql/sql.h"

struct sql_schema {
	const char *const *steps;
	size_t count;
	bool has_functions; /* so that there are columns of properties */
};

/* What is asked for comes before what may be long. `total` is the sum of the sizes up to here. */
#define CALLS                                                                                      \
	"CREATE TABLE calls ( number INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT "      \
	"NULL, function TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, started_us "    \
	"INTEGER NOT NULL, duration_us INTEGER NOT NULL, cold INTEGER NOT NULL, code INTEGER NOT " \
	"NULL, total INTEGER NOT NULL, runtime TEXT NOT NULL, instance TEXT NOT NULL, path TEXT "  \
	"NOT NULL, input_size INTEGER NOT NULL, output_size INTEGER NOT NULL, memory_peak "        \
	"INTEGER NOT NULL, lost INTEGER NOT NULL, cut INTEGER NOT NULL, error TEXT NOT NULL, out " \
	"BLOB NOT NULL, err BLOB NOT NULL) STRICT;"                                                \
	"CREATE INDEX calls_by_function ON calls (function, number);"                              \
	"CREATE INDEX calls_by_request ON calls (request_id, number);"                             \
	"CREATE INDEX calls_by_time ON calls (started_us);"

/* Sums by the hour, and how far journals have been read. */
#define USAGE                                                                                      \
	"CREATE TABLE usage ( hour INTEGER NOT NULL, month INTEGER NOT NULL, api_key TEXT NOT "    \
	"NULL, function TEXT NOT NULL, mode INTEGER NOT NULL, calls INTEGER NOT NULL, vcpu_us "    \
	"INTEGER NOT NULL, memory_mb_us INTEGER NOT NULL, disk_mb_us INTEGER NOT NULL, gpu_us "    \
	"INTEGER NOT NULL, egress INTEGER NOT NULL, ingress INTEGER NOT NULL, snapshot_kb_s "      \
	"INTEGER NOT NULL, lost INTEGER NOT NULL, PRIMARY KEY (hour, api_key, function, mode)) "   \
	"STRICT;"                                                                                  \
	"CREATE TABLE usage_places ( name TEXT NOT NULL PRIMARY KEY, place INTEGER NOT NULL, "     \
	"forgotten INTEGER NOT NULL) STRICT;"

/* What functions keep. Sizes come before what is long. */
#define KV                                                                                         \
	"CREATE TABLE kv_entries ( function TEXT NOT NULL, key TEXT NOT NULL, version INTEGER "    \
	"NOT "                                                                                     \
	"NULL, expires_us INTEGER NOT NULL, size INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY "  \
	"KEY (function, key)) STRICT;"                                                             \
	"CREATE INDEX kv_sizes ON kv_entries (function, key, expires_us, size);"                   \
	"CREATE INDEX kv_expiry ON kv_entries (expires_us) WHERE expires_us > 0;"                  \
	"CREATE TABLE kv_contents ( function TEXT NOT NULL, hash TEXT NOT NULL, data BLOB NOT "    \
	"NULL, PRIMARY KEY (function, hash)) STRICT;"                                              \
	"CREATE TABLE kv_files ( function TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, " \
	"hash TEXT NOT NULL, size INTEGER NOT NULL, updated_us INTEGER NOT NULL, PRIMARY KEY "     \
	"(function, name), FOREIGN KEY (function, hash) REFERENCES kv_contents (function, hash)) " \
	"STRICT;"                                                                                  \
	"CREATE INDEX kv_files_by_content ON kv_files (function, hash);"

/* The last version that a key of a function was given. */
#define KV_SPACES                                                                                  \
	"CREATE TABLE kv_spaces ( function TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL) "  \
	"STRICT;"                                                                                  \
	"INSERT INTO kv_spaces (function, version) SELECT function, max(version) FROM (SELECT "    \
	"function, version FROM kv_entries UNION ALL SELECT function, 1 FROM kv_contents) AS "     \
	"kept GROUP BY function;"

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
	"ALTER TABLE functions ADD COLUMN network INTEGER NOT NULL DEFAULT 0;", NULL, NULL,
	/* 6 */
	"CREATE TABLE runtimes ( name TEXT NOT NULL PRIMARY KEY, rootfs TEXT NOT NULL, image TEXT "
	"NOT NULL, protocol TEXT NOT NULL, argv TEXT NOT NULL, memory_mb INTEGER NOT NULL, "
	"timeout_s INTEGER NOT NULL, init_timeout_s INTEGER NOT NULL, created_us INTEGER NOT NULL) "
	"STRICT;",
	NULL,
	/* 8 */
	"CREATE TABLE versions ( id TEXT NOT NULL REFERENCES functions (id), name TEXT NOT NULL, "
	"code_path TEXT NOT NULL, code_hash TEXT NOT NULL, version INTEGER NOT NULL, created_us "
	"INTEGER NOT NULL, updated_us INTEGER NOT NULL, PRIMARY KEY (id, version), UNIQUE (name, "
	"version)) STRICT;CREATE INDEX versions_by_code ON versions (code_hash);"
	"CREATE TABLE aliases ( id TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL, version "
	"INTEGER NOT NULL, second INTEGER, weight INTEGER NOT NULL, created_us INTEGER NOT NULL, "
	"updated_us INTEGER NOT NULL, PRIMARY KEY (name, alias), FOREIGN KEY (id, version) "
	"REFERENCES versions (id, version), FOREIGN KEY (id, second) REFERENCES versions (id, "
	"version)) STRICT;",
	/* 9 */
	"CREATE TABLE contents ( hash TEXT NOT NULL PRIMARY KEY, size INTEGER NOT NULL, kept "
	"INTEGER NOT NULL) STRICT;CREATE TABLE pieces ( hash TEXT NOT NULL REFERENCES contents "
	"(hash) ON DELETE CASCADE, number INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (hash, "
	"number)) STRICT;",
	/* 10 */
	"CREATE TABLE api_keys ( name TEXT NOT NULL PRIMARY KEY, hash TEXT NOT NULL UNIQUE, prefix "
	"TEXT NOT NULL, tier TEXT NOT NULL, expires_us INTEGER NOT NULL, created_us INTEGER NOT "
	"NULL, updated_us INTEGER NOT NULL, revoked INTEGER NOT NULL) STRICT;",
	/* 11 */
	CALLS, /* of a database that several hosts share; else the log has a file of its own */
	/* 12 */
	"CREATE TABLE secrets ( name TEXT NOT NULL PRIMARY KEY, key_id TEXT NOT NULL, created_us "
	"INTEGER NOT NULL, updated_us INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;",
	/* 13 */
	"ALTER TABLE api_keys ADD COLUMN rate INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE api_keys ADD COLUMN period_ms INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE api_keys ADD COLUMN burst INTEGER NOT NULL DEFAULT 0;",
	/* 14 */
	USAGE, /* as 11 */
	/* 15 */
	KV, /* as 11 */
	NULL,
	/* 17 */
	KV_SPACES, /* as 11 */
};
static const char *const log_steps[] = { CALLS };
static const char *const usage_steps[] = { USAGE };
static const char *const kv_steps[] = { KV, KV_SPACES };
const struct sql_schema sql_schema_functions = { steps, ARRAY_LEN(steps), true };
const struct sql_schema sql_schema_log = { log_steps, ARRAY_LEN(log_steps), false };
const struct sql_schema sql_schema_usage = { usage_steps, ARRAY_LEN(usage_steps), false };
const struct sql_schema sql_schema_kv = { kv_steps, ARRAY_LEN(kv_steps), false };
#define STEPS_OF_TABLE 3 /* up to here the steps above have the columns of properties, too */
#define VERSIONS_STEP  8

int64_t sql_schema_latest(const struct sql_schema *schema)
{
	int64_t last = (int64_t)schema->count;
	FOR_EACH_PROPERTY(p)
	last = schema->has_functions && p->schema > last ? p->schema : last;
	return last;
}

/* The text in the words of the database. NULL: out of memory. */
static char *translate(const struct sql_driver *driver, const char *text)
{
	AUTO_BUF struct buf out = BUF_INIT(64u << 10);
	int r = 0;
	while (r == 0 && *text) {
		const char *const *pair = NULL;
		for (size_t i = 0; !pair && driver->words[i][0]; i++)
			pair = str_starts(text, driver->words[i][0]) ? driver->words[i] : NULL;
		r = pair ? buf_append_str(&out, pair[1]) : buf_append(&out, text, 1);
		text += pair ? strlen(pair[0]) : 1;
	}
	return r < 0 ? NULL : buf_steal_str(&out);
}

static int change(struct sql_session *session, const char *text, nova_error_t **error)
{
	const struct sql_driver *driver = session->store->driver;
	AUTO_FREE char *sql = translate(driver, text);
	return sql ? driver->execute(session, sql, "bring it to the present schema", error) :
		     nova_oom(error);
}

/* Those of properties that came with the steps from `first` to `last`. */
static int add_columns(struct sql_session *session, const char *table, int64_t first, int64_t last,
	nova_error_t **error)
{
	int r = 0;
	FOR_EACH_PROPERTY(p)
	{
		if (r < 0 || !p->schema || p->schema < first || p->schema > last)
			continue;
		AUTO_FREE char *column = column_definition(p);
		AUTO_FREE char *sql =
			column ? str_format("ALTER TABLE %s ADD COLUMN %s", table, column) : NULL;
		r = sql ? change(session, sql, error) : nova_oom(error);
	}
	return r;
}

/* Steps for a database that several hosts share; else that is in files of its own. */
static bool is_for_shared(int64_t version)
{
	return version == 11 || version == 14 || version == 15 || version == 17;
}

static int run_step(struct sql_session *session, int64_t version, nova_error_t **error)
{
	const struct sql_schema *schema = session->store->schema;
	const char *text = version <= (int64_t)schema->count ? schema->steps[version - 1] : NULL;
	bool skipped = is_for_shared(version) && !session->store->base.ops->shared;
	int r = text && !skipped ? change(session, text, error) : 0;
	if (!schema->has_functions)
		return r;
	if (r == 0 && version > STEPS_OF_TABLE)
		r = add_columns(session, "functions", version, version, error);
	if (r == 0 && version >= VERSIONS_STEP)
		r = add_columns(session, "versions", version == VERSIONS_STEP ? 1 : version,
			version, error);
	return r;
}

/* Whether this library understands the database. */
static int check_version(struct sql_session *session, int64_t *ret_version, nova_error_t **error)
{
	int r = session->store->driver->version(session, ret_version, error);
	if (r < 0)
		return r;
	if (*ret_version < 0 || *ret_version > sql_schema_latest(session->store->schema))
		return nova_fail(error, NOVA_ENOTSUP,
			"%s has schema %lld and libnova " NOVA_VERSION_STRING
			" knows %lld at most; use the libnova that wrote it, or a newer one",
			session->store->place, (long long)*ret_version,
			(long long)sql_schema_latest(session->store->schema));
	return 0;
}

static int run_missing_steps(struct sql_session *session, nova_error_t **error)
{
	const struct sql_driver *driver = session->store->driver;
	int64_t version;
	int r = driver->execute(session, driver->migration, "begin a migration", error);
	/* Asked again now that nobody else can migrate at the same time. */
	if (r == 0)
		r = check_version(session, &version, error);
	while (r == 0 && version < sql_schema_latest(session->store->schema))
		r = run_step(session, ++version, error);
	if (r == 0)
		r = driver->set_version(session, version, error);
	return r < 0 ? r : sql_commit(session, error);
}

int sql_migrate(struct sql_session *session, nova_error_t **error)
{
	int64_t version;
	int r = check_version(session, &version, error);
	bool known = r < 0 || version == sql_schema_latest(session->store->schema);
	return known ? r : run_missing_steps(session, error);
}
