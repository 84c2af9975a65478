/* SPDX-License-Identifier: MIT */
/* Opening and closing the database. */
#include <errno.h>

#include "store/sqlite/sqlite.h"

#define KV_FILE "kv.db"

static void store_close(struct store *store)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	if (!s)
		return;
	sqlite_disconnect(&s->reader);
	sqlite_disconnect(&s->writer); /* last: SQLite then tidies up */
	free(s->sql.place);
	free(s);
}

static struct sqlite_store *make_store(const struct sqlite_kind *kind, const char *home)
{
	struct sqlite_store *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->sql.base.ops = kind->ops;
	s->sql.driver = &sqlite_driver;
	s->sql.schema = kind->schema;
	s->sql.what = kind->what;
	s->reader.kind = s->writer.kind = kind;
	pthread_mutex_init(&s->reader.lock, NULL);
	pthread_mutex_init(&s->writer.lock, NULL);
	s->reader.path = s->writer.path = s->sql.place = path_join(home, kind->name);
	if (!s->sql.place) {
		store_close(&s->sql.base);
		return NULL;
	}
	return s;
}

/* Variables of functions may be secrets, so nobody else may read the file, not even for the moment
 * in which its maker can be killed. SQLite gives its other files the mode of the first. */
static int make_private(const struct sql_store *s, const char *home, nova_error_t **error)
{
	const char *path = s->place;
	static const char *const endings[] = { "", "-wal", "-shm", "-journal" };
	int r = fs_exists(path) ? 0 : fs_writable(home);
	if (r == 0)
		r = fs_make_file(path, 0600);
	if (r < 0)
		return nova_fail_os(error, r, "%s %s: cannot make it", s->what, path);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(endings); i++) {
		AUTO_FREE char *file = str_format("%s%s", path, endings[i]);
		r = file ? fs_make_own(file) : -ENOMEM;
	}
	return r < 0 ? nova_fail_os(error, r,
			       "%s %s may be read by other users, and that cannot be changed: "
			       "chmod 600 it as its owner",
			       s->what, path) :
		       0;
}

/* Readers then never wait for a writer. Where it cannot be had (another process is making the
 * database at this moment, some file systems) the older journal does the same job more slowly, and
 * the next opening tries again. */
static int prefer_wal(struct connection *c, nova_error_t **error)
{
	int rc = sqlite3_exec(c->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY)
		return 0;
	return sqlite_fail(c, rc, "open its journal", error);
}

static int migrate(struct sqlite_store *s, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	int r = sql_start(&s->sql.base, SQL_WRITES, &session, error);
	return r < 0 ? r : sql_migrate(&session, error);
}

static int open_file(const struct sqlite_kind *kind, const nova_config_t *config,
	struct store **ret_store, nova_error_t **error)
{
	AUTO_FREE char *home = NULL;
	int r = sqlite_load(error);
	if (r < 0)
		return r;
	r = path_absolute(config_str(config, "home"), &home);
	if (r < 0)
		return nova_fail_os(error, r, "the state directory (setting 'home')");
	struct sqlite_store *s = make_store(kind, home);
	if (!s)
		return nova_oom(error);
	r = make_private(&s->sql, home, error);
	if (r == 0)
		r = sqlite_connect(&s->writer, error);
	if (r == 0)
		r = migrate(s, error);
	if (r == 0)
		r = prefer_wal(&s->writer, error);
	if (r == 0)
		r = sqlite_connect(&s->reader, error);
	if (r < 0) {
		store_close(&s->sql.base);
		return r;
	}
	*ret_store = &s->sql.base;
	return 0;
}

/* --- the kinds --- */

static int store_open(const nova_config_t *config, struct store **ret_store, nova_error_t **error)
{
	static const struct sqlite_kind kind = {
		.ops = &store_sqlite,
		.schema = &sql_schema_functions,
		.name = "nova.db",
		.what = "the function store",
		.id = 0x6e6f7661, /* "nova" */
		.busy_ms = 10000,
	};
	return open_file(&kind, config, ret_store, error);
}

/* Nobody waits for the log of calls long: what cannot be written now is written later. */
static int log_open(const nova_config_t *config, struct store **ret_store, nova_error_t **error)
{
	static const struct sqlite_kind kind = {
		.ops = &store_sqlite_log,
		.schema = &sql_schema_log,
		.name = "log.db",
		.what = "the log of calls",
		.id = 0x6e6f766c, /* "novl" */
		.busy_ms = 500,
		.may_move = true,
	};
	return open_file(&kind, config, ret_store, error);
}

static int usage_open(const nova_config_t *config, struct store **ret_store, nova_error_t **error)
{
	static const struct sqlite_kind kind = {
		.ops = &store_sqlite_usage,
		.schema = &sql_schema_usage,
		.name = "usage.db",
		.what = "the store of usage",
		.id = 0x6e6f7675, /* "novu" */
		.busy_ms = 500,
		.may_move = true,
	};
	return open_file(&kind, config, ret_store, error);
}

static int kv_open(const nova_config_t *config, struct store **ret_store, nova_error_t **error)
{
	static const struct sqlite_kind kind = {
		.ops = &store_sqlite_kv,
		.schema = &sql_schema_kv,
		.name = KV_FILE,
		.what = "the store of what functions keep",
		.id = 0x6e6f766b, /* "novk" */
		.busy_ms = 5000,
	};
	return open_file(&kind, config, ret_store, error);
}

const struct store_ops store_sqlite = {
	.name = "sqlite",
	.open = store_open,
	.close = store_close,
	.stamp = sqlite_stamp,
	.count_users = sql_count_users,
	.functions = &sql_function_ops,
	.versions = &sql_version_ops,
	.aliases = &sql_alias_ops,
	.runtimes = &sql_runtime_ops,
	.keys = &sql_key_ops,
	.secrets = &sql_secret_ops,
	.contents = &sql_content_ops,
	.transfer = &sql_transfer_ops,
	.log = &store_sqlite_log,
	.usage_store = &store_sqlite_usage,
	.kv_store = &store_sqlite_kv,
};

const struct store_ops store_sqlite_log = {
	.name = "sqlite log",
	.open = log_open,
	.close = store_close,
	.calls = &sql_call_ops,
};

const struct store_ops store_sqlite_usage = {
	.name = "sqlite usage",
	.open = usage_open,
	.close = store_close,
	.usage = &sql_usage_ops,
};

const struct store_ops store_sqlite_kv = {
	.name = "sqlite kv",
	.file = KV_FILE,
	.open = kv_open,
	.close = store_close,
	.kv = &sql_kv_ops,
	.transfer = &sql_kv_transfer_ops,
};
