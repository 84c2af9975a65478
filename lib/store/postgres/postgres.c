/* SPDX-License-Identifier: MIT */
/* Opening and closing the database. */
#include <unistd.h>

#include "store/postgres/postgres.h"

static void store_close(struct store *store)
{
	struct postgres_store *s = (struct postgres_store *)store;
	/* In a fork: a word on a socket, or a lock, would be the parent's. */
	if (!s || getpid() != s->owner)
		return;
	listener_close(&s->listener);
	pool_close(&s->pool);
	free(s->server.dsn);
	free(s->sql.place);
	free(s);
}

static struct postgres_store *make_store(const struct store_ops *ops, const nova_config_t *config)
{
	struct postgres_store *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->owner = getpid();
	s->sql.base.ops = ops;
	s->sql.driver = &postgres_driver;
	s->sql.schema = &sql_schema_functions;
	s->sql.what = "the function store";
	s->server.dsn = strdup(config_str(config, "postgres.dsn"));
	s->server.patience_ms = config_ms(config, "postgres.timeout");
	s->pool.most = (unsigned)config_u64(config, "postgres.connections");
	s->listener.ttl_ms = config_ms(config, "postgres.ttl");
	s->listener.deadline = NEVER;
	pthread_mutex_init(&s->pool.lock, NULL);
	pthread_mutex_init(&s->listener.lock, NULL);
	cond_init(&s->pool.given);
	return s;
}

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword; options++)
		if (!strcmp(options->keyword, keyword))
			return options->val && *options->val ? options->val : NULL;
	return NULL;
}

/* "host:port/database" of a DSN. What libpq says to a wrong one may have the password in it. */
static int name_place(const char *dsn, char **ret_place, nova_error_t **error)
{
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(dsn, &why);
	bool no_memory = !why || str_starts(why, "out of memory");
	if (why)
		PQfreemem(why);
	if (!options && no_memory)
		return nova_oom(error);
	if (!options)
		return nova_fail(error, NOVA_ECONFIG,
			"the setting 'postgres.dsn' cannot be understood: it is like "
			"postgres://user:password@host:5432/database, or host=… dbname=…");
	const char *host = value_of(options, "host"), *port = value_of(options, "port");
	const char *database = value_of(options, "dbname");
	*ret_place = str_format("%s:%s/%s", host ? host : "localhost", port ? port : "5432",
		database ? database : "");
	PQconninfoFree(options);
	return *ret_place ? 0 : nova_oom(error);
}

static int migrate(struct postgres_store *s, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	int r = sql_start(&s->sql.base, SQL_WRITES, &session, error);
	return r < 0 ? r : sql_migrate(&session, error);
}

/* So far nobody is told of changes. */
static int open_database(const struct store_ops *ops, const nova_config_t *config,
	struct postgres_store **ret, nova_error_t **error)
{
	int r = postgres_load(error);
	if (r < 0)
		return r;
	struct postgres_store *s = make_store(ops, config);
	if (!s)
		return nova_oom(error);
	r = s->server.dsn ? name_place(s->server.dsn, &s->sql.place, error) : nova_oom(error);
	s->server.place = s->sql.place;
	if (r == 0)
		r = migrate(s, error);
	if (r < 0) {
		store_close(&s->sql.base);
		return r;
	}
	*ret = s;
	return 0;
}

static int store_open(const nova_config_t *config, struct store **ret_store, nova_error_t **error)
{
	struct postgres_store *s;
	int r = open_database(&store_postgres, config, &s, error);
	if (r < 0)
		return r;
	s->listener.known_ns = clock_ns();
	listener_await(s);
	*ret_store = &s->sql.base;
	return 0;
}

/* The same database, by connections of its own: what functions ask for all at once keeps nobody
 * from calling one. */
static int kv_open(const nova_config_t *config, struct store **ret_store, nova_error_t **error)
{
	struct postgres_store *s;
	int r = open_database(&store_postgres_kv, config, &s, error);
	if (r < 0)
		return r;
	*ret_store = &s->sql.base;
	return 0;
}

const struct store_ops store_postgres = {
	.name = "postgres",
	.open = store_open,
	.close = store_close,
	.stamp = postgres_stamp,
	.count_users = sql_count_users,
	.functions = &sql_function_ops,
	.versions = &sql_version_ops,
	.aliases = &sql_alias_ops,
	.runtimes = &sql_runtime_ops,
	.keys = &sql_key_ops,
	.secrets = &sql_secret_ops,
	.contents = &sql_content_ops,
	.transfer = &sql_transfer_ops,
	.calls = &sql_call_ops,
	.usage = &sql_usage_ops,
	.kv_store = &store_postgres_kv,
	.shared = true,
};

const struct store_ops store_postgres_kv = {
	.name = "postgres kv",
	.open = kv_open,
	.close = store_close,
	.kv = &sql_kv_ops,
	.transfer = &sql_kv_transfer_ops,
	.shared = true,
};
