/* SPDX-License-Identifier: MIT */
/* What holds of each store, with a Redis beside it and without one, by the public calls: servers
 * that are away, refuse or forget, hosts that race, that fork and that are killed, clocks, texts
 * and numbers. docs/stores.md says which test is of which bad case. */
#include <sqlite3.h>

#include "conform/combined.h"
#include "conform/database.h"
#include "platform/platform.h"
#include "redis/redis.h"
#include "redisserver.h"

#define HANG_MS 100000u

static const struct combination {
	bool postgres, redis;
} combinations[COMBINATIONS] = { { false, false }, { true, false }, { true, true },
	{ false, true } };

static const struct combination *with;
static char *home, *dsn, *keys;

const char echo[] = "#!/bin/sh\ncat \"$1\"\n";

/* --- servers and hosts --- */

static void set_up(void)
{
	redis_set_up();
	home = test_dir();
	keys = path_join(home, "keys");
	ck_ok(nova_secret_key_create(keys, &error));
}

static void tear_down(void)
{
	redis_tear_down();
	test_dir_remove(home);
	free(keys);
	free(dsn);
}

static void choose(int which)
{
	with = &combinations[which];
	if (with->postgres && !server_dsn())
		test_skip("no PostgreSQL: see test_packages in tools/packages");
	dsn = with->postgres ? database_new() : NULL;
}

void begin(int which)
{
	choose(which);
	if (with->redis)
		redis_start(NULL, NULL);
}

bool has_redis(void)
{
	return with->redis;
}

/* Settings of a host: with PostgreSQL each has a directory of its own. */
static nova_config_t *settings(const char *name)
{
	AUTO_FREE char *own = path_join(home, with->postgres ? name : "host");
	nova_config_t *config = vmtest_config(own);
	const char *const pairs[][2] = { { "store", with->postgres ? "postgres" : "sqlite" },
		{ "postgres.dsn", dsn ? dsn : "" }, { "secret.key_file", keys },
		{ "redis.timeout", "5s" }, { "redis.addr", redis_address } };
	for (size_t i = 0; i < ARRAY_LEN(pairs) - !with->redis; i++)
		ck_ok(nova_config_set(config, pairs[i][0], pairs[i][1], &error));
	return config;
}

static int try_open(const char *name, const char *key, const char *value, nova_t **ret_nova)
{
	nova_config_t *config = settings(name);
	if (key)
		ck_ok(nova_config_set(config, key, value, &error));
	int code = nova_open(config, ret_nova, &error);
	nova_config_free(config);
	return code;
}

nova_t *host(const char *name)
{
	nova_t *nova = NULL;
	ck_ok(try_open(name, NULL, NULL, &nova));
	return nova;
}

/* --- what is done with them --- */

int add(nova_t *nova, const char *name, const char *code, nova_error_t **ret_error)
{
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = name;
	o.runtime = "shell";
	o.code = code;
	o.code_len = strlen(code);
	o.flags = NOVA_REGISTER_REPLACE;
	o.check = NOVA_CHECK_NEVER;
	return nova_function_register(nova, &o, NULL, ret_error);
}

static int set_alias(nova_t *nova, uint32_t version, nova_error_t **ret_error)
{
	nova_alias_opts o = NOVA_ALIAS_OPTS_INIT;
	o.function = "f";
	o.name = "live";
	o.version = version;
	return nova_alias_set(nova, &o, NULL, ret_error);
}

static int put_value(nova_t *nova, const char *key, const void *value, size_t len)
{
	nova_kv_put_opts o = NOVA_KV_PUT_OPTS_INIT;
	o.key = key;
	o.value = value;
	o.value_len = len;
	return nova_kv_put(nova, "f", &o, NULL, &error);
}

static int set_timeout(nova_t *nova, uint32_t seconds)
{
	nova_function_opts change = NOVA_FUNCTION_OPTS_INIT;
	nova_function_update_opts o = NOVA_FUNCTION_UPDATE_OPTS_INIT;
	change.timeout_s = seconds;
	o.change = &change;
	return nova_function_update(nova, "f", &o, NULL, &error);
}

static void call(nova_t *nova, const char *name)
{
	nova_result_t *result = NULL;
	ck_ok(nova_invoke(nova, name, "{\"a\":1}", NULL, &result, &error));
	ck_assert_str_eq(nova_result_output(result, NULL), "{\"a\":1}");
	nova_result_free(result);
}

size_t count_functions(nova_t *nova)
{
	nova_function_t **all = NULL;
	size_t count = 0;
	ck_ok(nova_function_list(nova, NULL, &all, &count, &error));
	nova_function_list_free(all, count);
	return count;
}

static size_t count_calls(nova_t *nova)
{
	const nova_invocation **all = NULL;
	size_t count = 0;
	ck_ok(nova_invocation_list(nova, NULL, &all, &count, &error));
	nova_invocation_list_free(all, count);
	return count;
}

/* --- servers that are away, refuse, or forget --- */

START_TEST(a_store_that_is_absent_at_the_start_is_named_and_a_redis_is_waited_for)
{
	nova_t *nova = NULL;
	nova_job_t *job = NULL;
	choose(_i);
	if (with->postgres)
		ck_fails_with(NOVA_EIO, "/nowhere/at/all:5432/x: cannot connect",
			try_open("a", "postgres.dsn", "host=/nowhere/at/all dbname=x", &nova));
	nova = host("a");
	ck_ok(add(nova, "f", echo, &error));
	call(nova, "f");
	ck_assert_uint_eq(count_calls(nova), 1);
	if (with->redis) {
		ck_fails_with(NOVA_EIO, redis_address,
			nova_job_submit(nova, "f", NULL, NULL, NULL, &error));
		redis_start(NULL, NULL);
		while (nova_job_submit(nova, "f", NULL, NULL, NULL, NULL) == NOVA_EIO)
			usleep(10000);
		ck_ok(nova_job_perform(nova, HANG_MS, NULL, &job, &error));
		ck_assert_int_eq(nova_job_state(job), NOVA_JOB_DONE);
		nova_job_free(job);
	}
	nova_close(nova);
}
END_TEST

START_TEST(a_redis_that_refuses_the_password_or_the_database_ends_the_opening)
{
	nova_t *nova = NULL;
	choose(_i);
	redis_start("--requirepass", "open-sesame");
	ck_fails_with(NOVA_EPERM, "redis.password", try_open("a", NULL, NULL, &nova));
	int code = try_open("a", "redis.password", "not-it-at-all", &nova);
	ck_assert_int_eq(code, NOVA_EPERM);
	ck_assert_ptr_null(strstr(nova_error_message(error), "not-it-at-all"));
	nova_error_free(STEAL(error));
	ck_ok(try_open("a", "redis.password", "open-sesame", &nova));
	nova_close(nova);
}
END_TEST

static unsigned told;

static void count_warnings(void *userdata, int level, const char *module, const char *text)
{
	(void)userdata, (void)text;
	if (level <= NOVA_LOG_WARN && !strcmp(module, "redis"))
		__atomic_add_fetch(&told, 1, __ATOMIC_SEQ_CST);
}

static uint64_t take_one(nova_t *nova)
{
	nova_rate_opts o = NOVA_RATE_OPTS_INIT;
	uint64_t wait_ms = 0;
	o.name = "x";
	o.rate = 10; /* so few that none is taken ahead: the server is asked each time */
	ck_ok(nova_rate_take(nova, &o, &wait_ms, &error));
	return wait_ms;
}

/* The check runs before the code is in the store, wherever that is. */
START_TEST(code_that_cannot_be_imported_is_refused_whatever_the_store)
{
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	begin(_i);
	nova_t *nova = host("a");
	o.name = "f";
	o.runtime = "python";
	o.code = "import nosuchmodule\ndef handler(event): return 1\n";
	o.code_len = strlen(o.code);
	ck_fails_with(
		NOVA_EFUNCTION, "nosuchmodule", nova_function_register(nova, &o, NULL, &error));
	o.code = "def handler(event): return 1\n";
	o.code_len = strlen(o.code);
	o.check = NOVA_CHECK_ALWAYS;
	ck_ok(nova_function_register(nova, &o, NULL, &error));
	nova_close(nova);
}
END_TEST

static int take_anything(void *userdata, const struct redisReply *reply, nova_error_t **ret_error)
{
	(void)userdata, (void)reply, (void)ret_error;
	return 0;
}

static void empty_redis(void)
{
	static const char *const words[][2] = { { "FLUSHALL", "SYNC" }, { "SCRIPT", "FLUSH" } };
	static const struct redis_use use = { "tests fail", 1 << 20 };
	static const struct logger silent = { 0 };
	nova_config_t *config = settings("other");
	struct redis *redis = NULL;
	ck_ok(redis_open(config, &use, &silent, &redis, &error));
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const struct redis_question q = { words[i], 2, .take = take_anything };
		ck_ok(redis_ask(redis, &q, &error));
	}
	redis_close(redis);
	nova_config_free(config);
}

START_TEST(a_redis_that_is_emptied_or_lost_is_told_of_once_and_used_again)
{
	nova_job_t *job = NULL;
	begin(_i);
	nova_t *nova = host("a");
	ck_ok(add(nova, "f", echo, &error));
	ck_ok(nova_job_submit(nova, "f", NULL, NULL, NULL, &error));
	call(nova, "f");
	nova_host_set_log(nova_host_get(nova), count_warnings, NULL, NOVA_LOG_WARN);
	empty_redis();
	ck_ok(nova_job_perform(nova, 0, NULL, &job, &error));
	ck_assert_ptr_null(job);
	ck_assert_uint_eq(take_one(nova), 0);
	call(nova, "f");
	ck_assert_uint_eq(count_calls(nova), 2);
	ck_assert_uint_eq(told, 0);
	redis_stop();
	for (int i = 0; i < 3; i++) {
		call(nova, "f");
		ck_assert_uint_eq(take_one(nova), 0);
		ck_assert_uint_eq(count_calls(nova), 3u + (unsigned)i);
	}
	ck_assert_uint_eq(told, 2); /* of rates, and of the log */
	redis_start(NULL, NULL);
	while (nova_job_submit(nova, "f", NULL, NULL, NULL, NULL) == NOVA_EIO)
		usleep(10000);
	ck_ok(nova_job_perform(nova, HANG_MS, NULL, &job, &error));
	ck_assert_int_eq(nova_job_state(job), NOVA_JOB_DONE);
	nova_job_free(job);
	nova_close(nova);
}
END_TEST

START_TEST(what_one_host_has_handed_in_another_lists_by_pages)
{
	nova_job_list_opts opts = NOVA_JOB_LIST_OPTS_INIT;
	nova_job_t **jobs = NULL;
	size_t count = 0, all = 0;
	begin(_i);
	nova_t *a = host("a"), *b = host("b");
	ck_ok(add(a, "f", echo, &error));
	opts.limit = 4;
	if (!with->redis)
		ck_fails_with(NOVA_ENOTSUP, "redis.addr",
			nova_job_list(b, &opts, &jobs, &count, &opts.cursor, &error));
	for (int i = 0; with->redis && i < 10; i++)
		ck_ok(nova_job_submit(a, "f", NULL, NULL, NULL, &error));
	do {
		if (with->redis)
			ck_ok(nova_job_list(b, &opts, &jobs, &count, &opts.cursor, &error));
		all += count;
		nova_job_list_free(jobs, count);
	} while (opts.cursor);
	ck_assert_uint_eq(all, with->redis ? 10 : 0);
	nova_close(a);
	nova_close(b);
}
END_TEST

/* --- hosts that race --- */

#define ROUNDS 10

struct racer {
	nova_t *nova;
	int index;
	char *hashes[ROUNDS * 2 * 4]; /* of the code of each version that it has published */
	nova_error_t *error;
	int code;
};

/* What somebody else was faster with is no failure. */
static int settle(struct racer *r, int code)
{
	if (code != NOVA_EBUSY && code != NOVA_ENOTFOUND)
		return code;
	nova_error_free(STEAL(r->error));
	return 0;
}

static int publish(struct racer *r, uint32_t *ret_version)
{
	nova_function_t *f = NULL;
	int code = nova_function_publish(r->nova, "f", &f, &r->error);
	*ret_version = code == 0 ? nova_function_version(f) : 0;
	if (code == 0 && *ret_version < ARRAY_LEN(r->hashes) && !r->hashes[*ret_version])
		r->hashes[*ret_version] = strdup(nova_function_code_hash(f));
	nova_function_free(f);
	return settle(r, code);
}

static void *race(void *userdata)
{
	struct racer *r = userdata;
	for (int i = 0; r->code == 0 && i < ROUNDS; i++) {
		uint32_t version = 0;
		AUTO_FREE char *code = str_format("#!/bin/sh\necho %d%d\n", r->index, i);
		r->code = add(r->nova, "f", code, &r->error);
		if (r->code == 0)
			r->code = publish(r, &version);
		if (r->code == 0 && version)
			r->code = settle(r, set_alias(r->nova, version, &r->error));
		AUTO_FREE char *name = str_format("f:%u", version);
		if (r->code == 0 && version && i % 3 == 0) /* which the alias may point at */
			r->code = settle(r, nova_function_delete(r->nova, name, 0, &r->error));
	}
	return NULL;
}

/* Each version that is there has the code that whoever published it saw. */
static void check_versions(nova_t *nova, const struct racer racers[2])
{
	nova_function_t **all = NULL;
	size_t count = 0;
	ck_ok(nova_function_list_versions(nova, "f", &all, &count, &error));
	ck_assert_uint_gt(count, 0);
	for (size_t i = 0; i < count; i++)
		for (int j = 0; j < 2; j++) {
			const char *seen = racers[j].hashes[nova_function_version(all[i])];
			if (seen)
				ck_assert_str_eq(nova_function_code_hash(all[i]), seen);
		}
	nova_function_list_free(all, count);
}

START_TEST(hosts_that_race_for_a_function_its_versions_and_its_alias_lose_none)
{
	struct racer racers[2] = { { .index = 0 }, { .index = 1 } };
	pthread_t threads[2];
	nova_function_t *live = NULL;
	begin(_i);
	racers[0].nova = host("a");
	racers[1].nova = host("b");
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_msg(racers[i].code == 0, "%s", nova_error_message(racers[i].error));
	}
	nova_t *third = host("c");
	check_versions(third, racers);
	ck_ok(nova_function_get(
		third, "f:live", &live, &error)); /* it points at one that is there */
	nova_function_free(live);
	for (int i = 0; i < 2; i++) {
		for (size_t j = 0; j < ARRAY_LEN(racers[i].hashes); j++)
			free(racers[i].hashes[j]);
		nova_close(racers[i].nova);
	}
	nova_close(third);
}
END_TEST

/* --- a fork of the process --- */

static int look_in_child(nova_t *nova)
{
	nova_function_t **all = NULL, *f = NULL;
	const nova_invocation **calls = NULL;
	const nova_kv_entry *entry = NULL;
	nova_result_t *result = NULL;
	nova_job_t *job = NULL;
	size_t count = 0;
	const int codes[] = { nova_function_get(nova, "f", &f, NULL),
		nova_function_list(nova, NULL, &all, &count, NULL), add(nova, "g", echo, NULL),
		nova_function_publish(nova, "f", NULL, NULL), set_alias(nova, 1, NULL),
		nova_kv_get(nova, "f", "k", &entry, NULL),
		nova_invocation_list(nova, NULL, &calls, &count, NULL),
		nova_invoke(nova, "f", NULL, NULL, &result, NULL),
		nova_job_submit(nova, "f", NULL, NULL, NULL, NULL),
		nova_job_perform(nova, 0, NULL, &job, NULL) };
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i] != NOVA_EBUSY)
			return (int)i + 1;
	nova_close(nova); /* its sockets stay the parent's */
	return 0;
}

START_TEST(a_fork_of_the_host_shares_no_connection)
{
	nova_job_t *job = NULL;
	begin(_i);
	nova_t *nova = host("a");
	ck_ok(add(nova, "f", echo, &error));
	ck_ok(put_value(nova, "k", "v", 1));
	call(nova, "f");
	ck_assert_uint_eq(count_calls(nova), 1);
	if (with->redis)
		ck_ok(nova_job_submit(nova, "f", NULL, NULL, NULL, &error));
	pid_t child = fork();
	if (child == 0)
		_exit(look_in_child(nova));
	int status;
	waitpid(child, &status, 0);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "call %d", status >> 8);
	call(nova, "f");
	ck_assert_uint_eq(count_calls(nova), 2);
	ck_ok(put_value(nova, "k", "w", 1));
	if (with->redis) {
		ck_ok(nova_job_perform(nova, HANG_MS, NULL, &job, &error));
		ck_assert_int_eq(nova_job_state(job), NOVA_JOB_DONE);
		nova_job_free(job);
	}
	nova_close(nova);
}
END_TEST

/* --- a clock that is moved back --- */

static uint64_t moved_back_us;
uint64_t __real_clock_unix_us(void);
uint64_t __wrap_clock_unix_us(void);
uint64_t __wrap_clock_unix_us(void)
{
	return __real_clock_unix_us() - moved_back_us;
}

static uint32_t timeout_of(nova_t *nova, const char *name)
{
	nova_function_t *f = NULL;
	ck_ok(nova_function_get(nova, name, &f, &error));
	uint32_t seconds = (uint32_t)nova_function_number(f, "timeout_s");
	nova_function_free(f);
	return seconds;
}

static void await_timeout(nova_t *nova, const char *name, uint32_t seconds)
{
	uint64_t deadline = deadline_in_ms(HANG_MS);
	while (timeout_of(nova, name) != seconds) {
		ck_assert_msg(!deadline_passed(deadline), "the change is not seen");
		usleep(1000);
	}
}

START_TEST(a_clock_that_is_moved_back_hides_no_change)
{
	nova_job_t *job = NULL;
	begin(_i);
	nova_t *a = host("a"), *b = host("b");
	ck_ok(add(a, "f", echo, &error));
	ck_ok(nova_function_publish(a, "f", NULL, &error));
	ck_ok(set_alias(a, 1, &error));
	call(b, "f:live");
	moved_back_us = 3600000000u;
	ck_ok(set_timeout(a, 41));
	await_timeout(b, "f", 41);
	ck_ok(set_timeout(b, 42)); /* from the state that it has seen */
	await_timeout(a, "f", 42);
	ck_ok(nova_function_publish(b, "f", NULL, &error));
	ck_ok(set_alias(b, 3, &error));
	await_timeout(a, "f:live", 42);
	ck_ok(put_value(a, "k", "v", 1));
	ck_ok(put_value(b, "k", "w", 1));
	const nova_kv_entry *entry = NULL;
	ck_ok(nova_kv_get(a, "f", "k", &entry, &error));
	ck_assert_str_eq(entry->value, "w");
	nova_kv_entry_free(entry);
	ck_assert_uint_eq(count_calls(b), 1); /* who reads has its own written before */
	call(a, "f");
	ck_assert_uint_eq(count_calls(a), 2);
	if (with->redis) {
		ck_ok(nova_job_submit(a, "f", NULL, NULL, NULL, &error));
		ck_ok(nova_job_perform(b, HANG_MS, NULL, &job, &error));
		ck_assert_int_eq(nova_job_state(job), NOVA_JOB_DONE);
		nova_job_free(job);
	}
	nova_close(a);
	nova_close(b);
}
END_TEST

/* --- many --- */

#define FUNCTIONS 10000u
#define PAGE      1000u

/* Rows as that of "f", with names f000001 and so on. */
static const char sqlite_many[] =
	"CREATE TEMP TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
	"WHERE i < 10000) SELECT f.* FROM functions f, n;"
	"UPDATE t SET id = printf('00000000-0000-4000-8000-%012d', rowid), name = "
	"printf('f%06d', rowid); INSERT INTO functions SELECT * FROM t";
static const char postgres_many[] =
	"BEGIN; CREATE TEMP SEQUENCE s; CREATE TEMP TABLE t AS SELECT f.* FROM functions f, "
	"generate_series(1, 10000); UPDATE t SET id = '00000000-0000-4000-8000-' || "
	"lpad(nextval('s')::text, 12, '0'), name = 'f' || lpad(currval('s')::text, 6, '0'); "
	"INSERT INTO functions SELECT * FROM t; COMMIT";

static void add_many_functions(void)
{
	AUTO_FREE char *path = path_join(home, "host/nova.db");
	sqlite3 *db = NULL;
	if (with->postgres) {
		database_do(dsn, postgres_many);
		return;
	}
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, sqlite_many, NULL, NULL, NULL) == SQLITE_OK, "%s",
		sqlite3_errmsg(db));
	sqlite3_close(db);
}

START_TEST(ten_thousand_functions_are_listed_by_pages)
{
	nova_function_list_opts o = NOVA_FUNCTION_LIST_OPTS_INIT;
	AUTO_FREE char *last = strdup("");
	size_t all = 0, count;
	begin(_i);
	nova_t *nova = host("a");
	ck_ok(add(nova, "f", echo, &error));
	add_many_functions();
	o.limit = PAGE;
	do {
		nova_function_t **page = NULL;
		o.after = last;
		ck_ok(nova_function_list(nova, &o, &page, &count, &error));
		for (size_t i = 0; i < count; i++) {
			ck_assert_int_gt(strcmp(nova_function_name(page[i]), last), 0);
			free(last);
			last = strdup(nova_function_name(page[i]));
		}
		nova_function_list_free(page, count);
		all += count;
	} while (count);
	ck_assert_uint_eq(all, FUNCTIONS + 1);
	ck_assert_uint_eq(count_functions(nova), FUNCTIONS + 1);
	call(nova, "f007654");
	nova_close(nova);
}
END_TEST

static void append_calls(size_t rows)
{
	const struct store_ops *ops = with->postgres ? &store_postgres : &store_sqlite_log;
	AUTO_FREE char *own = path_join(home, "host");
	static char none[] = "", f[] = "f", runtime[] = "shell", id[] = "01234567";
	static char output[] = "a line of output\n";
	const struct call_record *batch[500];
	struct call_record record = { .request_id = id,
		.function = f,
		.id = none,
		.runtime = runtime,
		.instance = none,
		.path = none,
		.error = none,
		.out = output,
		.out_len = sizeof(output) - 1,
		.started_us = 1700000000000000,
		.version = 1 };
	struct store *store = NULL;
	ck_ok(with->postgres ? store_open_at(ops, own, dsn, &store, &error) :
			       store_open_in(ops, own, &store, &error));
	for (size_t i = 0; i < ARRAY_LEN(batch); i++)
		batch[i] = &record;
	for (size_t done = 0; done < rows; done += ARRAY_LEN(batch))
		ck_ok(ops->calls->append(store, batch, ARRAY_LEN(batch), &error));
	ops->close(store);
}

START_TEST(twenty_thousand_calls_are_listed_by_pages)
{
	size_t rows = getenv("NOVA_TEST_LONG") ? 1000000 : 20000, all = 0, count;
	nova_invocation_list_opts o = NOVA_INVOCATION_LIST_OPTS_INIT;
	begin(_i);
	nova_t *nova = host("a");
	append_calls(rows);
	o.limit = PAGE;
	do {
		const nova_invocation **page = NULL;
		ck_ok(nova_invocation_list(nova, &o, &page, &count, &error));
		for (size_t i = 0; i < count; i++) {
			ck_assert(!o.cursor || page[i]->number < o.cursor);
			o.cursor = page[i]->number;
		}
		nova_invocation_list_free(page, count);
		all += count;
	} while (count);
	ck_assert_uint_eq(all, rows);
	nova_close(nova);
}
END_TEST

/* --- a host that is killed --- */

struct written {
	uint32_t number, version;
	char job[40];
};

/* All that is done in one round has its number. */
static int write_round(nova_t *nova, struct written *w)
{
	nova_function_t *f = NULL;
	nova_job_t *job = NULL;
	AUTO_FREE char *text = str_format("%u", w->number), *key = str_format("k%u", w->number);
	if (set_timeout(nova, 1 + w->number) < 0 || nova_function_publish(nova, "f", &f, NULL) < 0)
		return -1;
	w->version = nova_function_version(f);
	nova_function_free(f);
	if (set_alias(nova, w->version, NULL) < 0 || put_value(nova, "n", text, strlen(text)) < 0)
		return -1;
	if (with->redis && nova_job_submit(nova, "f", text, NULL, &job, NULL) < 0)
		return -1;
	snprintf(w->job, sizeof(w->job), "%s", nova_job_id(job));
	nova_job_free(job);
	const nova_key_opts o = { sizeof(o), .name = key };
	const nova_key *made = NULL;
	int code = nova_key_create(nova, &o, &made, NULL);
	nova_key_free(made);
	return code;
}

static void write_until_killed(int to, uint32_t number)
{
	struct written w = { .number = number };
	nova_t *nova = host("writer");
	while (write_round(nova, &w) == 0 && sys_write_all(to, &w, sizeof(w)) == 0)
		w.number++;
	_exit(1);
}

/* What was told of is there; of what was under way there may be some. */
static void check_written(const struct written *w)
{
	const nova_kv_entry *entry = NULL;
	const nova_key *key = NULL;
	const nova_alias *live = NULL;
	nova_job_t *job = NULL;
	AUTO_FREE char *version = str_format("f:%u", w->version);
	AUTO_FREE char *name = str_format("k%u", w->number);
	nova_t *nova = host("reader");
	ck_assert_uint_ge(timeout_of(nova, "f"), 1 + w->number);
	ck_assert_uint_le(timeout_of(nova, "f"), 2 + w->number);
	ck_assert_uint_eq(timeout_of(nova, version), 1 + w->number);
	ck_ok(nova_alias_get(nova, "f", "live", &live, &error));
	ck_assert_uint_ge(live->version, w->version);
	ck_ok(nova_kv_get(nova, "f", "n", &entry, &error));
	ck_assert_uint_ge(strtoul(entry->value, NULL, 10), w->number);
	ck_ok(nova_key_get(nova, name, &key, &error));
	if (with->redis) {
		ck_ok(nova_job_get(nova, w->job, &job, &error));
		ck_assert_int_eq(nova_job_state(job), NOVA_JOB_WAITING);
	}
	nova_alias_free(live);
	nova_kv_entry_free(entry);
	nova_key_free(key);
	nova_job_free(job);
	nova_close(nova);
}

/* Kills a writer at a moment by chance; *w becomes what it told of last. */
static void kill_one(struct written *w, unsigned *seed)
{
	int ends[2];
	ck_assert_int_eq(sys_pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		fd_close(ends[0]);
		write_until_killed(ends[1], w->number + 2);
	}
	fd_close(ends[1]);
	ck_assert_int_eq(sys_read(ends[0], w, sizeof(*w)), sizeof(*w));
	usleep((unsigned)rand_r(seed) % 20000);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	while (sys_read(ends[0], w, sizeof(*w)) == sizeof(*w))
		continue;
	fd_close(ends[0]);
}

START_TEST(nothing_that_was_acknowledged_is_lost_when_a_host_is_killed)
{
	const char *seed_text = getenv("NOVA_TEST_SEED");
	unsigned seed = seed_text ? (unsigned)atoi(seed_text) : (unsigned)getpid();
	unsigned rounds = getenv("NOVA_TEST_LONG") ? 200 : 20;
	struct written w = { 0 };
	printf("# seed %u\n", seed);
	begin(_i);
	nova_t *nova = host("reader");
	ck_ok(add(nova, "f", echo, &error));
	nova_close(nova);
	for (unsigned i = 0; i < rounds; i++) {
		kill_one(&w, &seed);
		check_written(&w);
	}
}
END_TEST

static TCase *make_case(Suite *suite, const char *name)
{
	TCase *tc = tcase_create(name);
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	suite_add_tcase(suite, tc);
	return tc;
}

static Suite *make_suite(void)
{
	Suite *suite = suite_create("combined");
	TCase *tc = make_case(suite, "hosts"), *killed = make_case(suite, "killed");
	add_tests_of_texts(make_case(suite, "texts"));
	add_tests_of_rates(make_case(suite, "rates"));
	tcase_add_loop_test(tc,
		a_store_that_is_absent_at_the_start_is_named_and_a_redis_is_waited_for, 0,
		COMBINATIONS);
	tcase_add_loop_test(tc, a_redis_that_refuses_the_password_or_the_database_ends_the_opening,
		FIRST_WITH_REDIS, COMBINATIONS);
	tcase_add_loop_test(
		tc, code_that_cannot_be_imported_is_refused_whatever_the_store, 0, COMBINATIONS);
	tcase_add_loop_test(
		tc, what_one_host_has_handed_in_another_lists_by_pages, 0, COMBINATIONS);
	tcase_add_loop_test(tc, a_redis_that_is_emptied_or_lost_is_told_of_once_and_used_again,
		FIRST_WITH_REDIS, COMBINATIONS);
	tcase_add_loop_test(tc, hosts_that_race_for_a_function_its_versions_and_its_alias_lose_none,
		0, COMBINATIONS);
	tcase_add_loop_test(tc, a_fork_of_the_host_shares_no_connection, 0, COMBINATIONS);
	tcase_add_loop_test(tc, a_clock_that_is_moved_back_hides_no_change, 0, COMBINATIONS);
	/* lists do not ask Redis */
	tcase_add_loop_test(tc, ten_thousand_functions_are_listed_by_pages, 0, FIRST_WITH_REDIS);
	tcase_add_loop_test(tc, twenty_thousand_calls_are_listed_by_pages, 0, FIRST_WITH_REDIS);
	tcase_add_loop_test(killed, nothing_that_was_acknowledged_is_lost_when_a_host_is_killed, 0,
		COMBINATIONS);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, make_suite);
}
