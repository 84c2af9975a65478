/* SPDX-License-Identifier: MIT */
/* What is special about the postgres store: a server that is away, refuses, is slow or goes in the
 * middle; and being told of changes instead of asking. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "conform/database.h"
#include "store/sql/sql.h"

static nova_error_t *error;
static char *home, *dsn;
static nova_config_t *config;
static struct store *store, *other;
static const nova_function_delete_opts as_it_is = NOVA_FUNCTION_DELETE_OPTS_INIT;

static void make_database(void)
{
	home = test_dir();
	dsn = database_new();
	config = settings_of_store(&store_postgres, home, dsn);
}

static void remove_database(void)
{
	store_postgres.close(STEAL(store));
	store_postgres.close(STEAL(other));
	nova_config_free(config);
	nova_error_free(STEAL(error));
	free(dsn);
	test_dir_remove(home);
}

static void set(const char *key, const char *value)
{
	ck_ok(nova_config_set(config, key, value, &error));
}

static int try_open(void)
{
	return store_postgres.open(config, &store, &error);
}

static int put(struct store *in, const char *name)
{
	struct runtime_record r = {
		.name = (char *)name,
		.rootfs = (char[]){ "" },
		.image = (char[]){ "base" },
		.protocol = (char[]){ "none" },
	};
	return in->ops->runtimes->put(in, &r, false, &error);
}

static int get(struct store *in, const char *name)
{
	AUTO_RUNTIME_RECORD struct runtime_record r = { NULL };
	return in->ops->runtimes->get(in, name, &r, &error);
}

static void ask_server(const char *sql)
{
	database_do(dsn, sql);
}

/* --- opening --- */

START_TEST(a_server_that_is_away_is_named_with_the_way_out)
{
	set("postgres.dsn", "host=/nowhere/at/all dbname=x");
	ck_fails_with(NOVA_EIO, "/nowhere/at/all:5432/x: cannot connect", try_open());
	ck_fails_with(NOVA_EIO, "is the server running", try_open());
	set("postgres.dsn", "postgres://127.0.0.1:1/x");
	ck_fails_with(NOVA_EIO, "127.0.0.1:1/x", try_open());
}
END_TEST

START_TEST(a_wrong_password_is_an_error_of_rights_and_is_not_told)
{
	ask_server("DROP ROLE IF EXISTS secretive; CREATE ROLE secretive LOGIN PASSWORD 'right'");
	AUTO_FREE char *sql = str_format("CREATE DATABASE needs_password OWNER secretive");
	database_do(server_dsn(), sql);
	AUTO_FREE char *with = str_format(
		"%s dbname=needs_password user=secretive password=wrong-one", server_dsn());
	set("postgres.dsn", with);
	int code = try_open();
	ck_assert_int_eq(code, NOVA_EPERM);
	ck_assert_ptr_null(strstr(nova_error_message(error), "wrong-one"));
	ck_assert_ptr_nonnull(strstr(nova_error_message(error), "password authentication failed"));
	nova_error_free(error);
	error = NULL;
	AUTO_FREE char *without =
		str_format("%s dbname=needs_password user=secretive", server_dsn());
	set("postgres.dsn", without);
	ck_fails_with(NOVA_EPERM, "see the setting 'postgres.dsn'", try_open());
	AUTO_FREE char *right =
		str_format("%s dbname=needs_password user=secretive password=right", server_dsn());
	set("postgres.dsn", right);
	ck_ok(try_open());
}
END_TEST

START_TEST(a_dsn_that_cannot_be_understood_is_not_repeated)
{
	set("postgres.dsn", "host=x password=hush hush");
	ck_assert_int_eq(try_open(), NOVA_ECONFIG);
	ck_assert_ptr_null(strstr(nova_error_message(error), "hush"));
	nova_error_free(error);
	error = NULL;
}
END_TEST

START_TEST(a_database_that_is_missing_is_not_found)
{
	AUTO_FREE char *missing = str_format("%s dbname=no_such", server_dsn());
	set("postgres.dsn", missing);
	ck_fails_with(NOVA_ENOTFOUND, "no_such", try_open());
}
END_TEST

START_TEST(a_database_of_somebody_else_is_refused_and_left_alone)
{
	ask_server("CREATE TABLE functions (cats TEXT)");
	ck_fails_with(NOVA_ECORRUPT, "not those of libnova", try_open());
	AUTO_FREE char *tables =
		database_ask(dsn, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'");
	ck_assert_str_eq(tables, "1");
}
END_TEST

START_TEST(a_newer_schema_is_refused_and_kept)
{
	ck_ok(try_open());
	ck_ok(put(store, "kept"));
	store_postgres.close(STEAL(store));
	ask_server("UPDATE nova_schema SET version = version + 90");
	ck_fails_with(NOVA_ENOTSUP, "has schema 1", try_open());
	ask_server("UPDATE nova_schema SET version = version - 90");
	ck_ok(try_open());
	ck_ok(get(store, "kept"));
}
END_TEST

static const char first_schema[] =
	"CREATE TABLE nova_schema (version BIGINT NOT NULL); INSERT INTO nova_schema VALUES (1);"
	"CREATE TABLE functions ( id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE, runtime "
	"TEXT NOT NULL, handler TEXT NOT NULL, code_path TEXT NOT NULL, code_hash TEXT NOT NULL, "
	"memory_mb BIGINT NOT NULL, timeout_s BIGINT NOT NULL, vcpus BIGINT NOT NULL, min_replicas "
	"BIGINT NOT NULL, disk_iops BIGINT NOT NULL, disk_bandwidth BIGINT NOT NULL, "
	"net_rx_bandwidth BIGINT NOT NULL, net_tx_bandwidth BIGINT NOT NULL, env TEXT NOT NULL, "
	"version BIGINT NOT NULL, created_us BIGINT NOT NULL, updated_us BIGINT NOT NULL);"
	"INSERT INTO functions VALUES ('00000000-0000-4000-8000-000000000001', 'old', 'python', "
	"'main.handler', '/src/x.py', repeat('a', 64), 512, 120, 2, 3, 4, 5, 6, 7, '[\"A=1\"]', "
	"8, 9, 10)";

START_TEST(a_database_of_the_first_schema_is_brought_forward)
{
	ask_server(first_schema);
	AUTO_RECORD struct function_record old = { 0 };
	ck_ok(try_open());
	ck_ok(store->ops->functions->get(store, "old", &old, &error));
	ck_assert_uint_eq(old.config.machine.memory_mb, 512);
	ck_assert_uint_eq(old.config.labels.count, 0);
	ck_ok(put(store, "new"));
}
END_TEST

START_TEST(a_damaged_row_is_an_error_that_names_the_runtime)
{
	ck_ok(try_open());
	ck_ok(put(store, "own"));
	ask_server("UPDATE runtimes SET argv = '[1]'");
	ck_fails_with(NOVA_ECORRUPT, "'own'", get(store, "own"));
}
END_TEST

/* --- a server that goes, and comes back --- */

static const char end_others[] = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
				 "WHERE datname = current_database() AND pid <> pg_backend_pid()";

START_TEST(what_was_not_committed_when_the_connection_went_is_not_there)
{
	struct sql_session session = { 0 };
	ck_ok(try_open());
	ck_ok(sql_start(store, SQL_WRITES, &session, &error));
	ck_ok(sql_begin(&session, &error));
	const struct sql_value values[] = { sql_text("half"), sql_text(""), sql_text("base"),
		sql_text("none"), sql_text("[]"), sql_number(0), sql_number(0), sql_number(0),
		sql_number(0) };
	ck_ok(sql_run(&session, SQL_RUNTIME_INSERT, values, ARRAY_LEN(values), &error));
	ask_server(end_others);
	ck_fails_with(NOVA_EIO, "write to it", sql_commit(&session, &error));
	sql_end(&session);
	ck_fails(NOVA_ENOTFOUND, get(store, "half"));
	ck_ok(put(store, "whole"));
	ck_ok(get(store, "whole"));
}
END_TEST

START_TEST(a_transaction_that_is_left_is_undone)
{
	struct sql_session session = { 0 };
	ck_ok(try_open());
	ck_ok(sql_start(store, SQL_WRITES, &session, &error));
	ck_ok(sql_begin(&session, &error));
	const struct sql_value values[] = { sql_text("half"), sql_text(""), sql_text("base"),
		sql_text("none"), sql_text("[]"), sql_number(0), sql_number(0), sql_number(0),
		sql_number(0) };
	ck_ok(sql_run(&session, SQL_RUNTIME_INSERT, values, ARRAY_LEN(values), &error));
	sql_end(&session);
	ck_fails(NOVA_ENOTFOUND, get(store, "half"));
}
END_TEST

START_TEST(connections_that_have_ended_meanwhile_are_made_anew)
{
	ck_ok(try_open());
	ck_ok(put(store, "own"));
	for (int i = 0; i < 3; i++) {
		ask_server(end_others);
		ck_ok(get(store, "own"));
	}
}
END_TEST

static uint64_t stamp_of(struct store *in)
{
	uint64_t stamp = 0;
	ck_ok(in->ops->stamp(in, &stamp, &error));
	return stamp;
}

/* Until it differs. */
static void await_change(struct store *in, uint64_t before)
{
	uint64_t deadline = deadline_in_ms(100000);
	while (stamp_of(in) == before) {
		ck_assert_msg(!deadline_passed(deadline), "nobody tells of a change");
		usleep(1000);
	}
}

START_TEST(who_was_not_told_for_a_while_takes_nothing_for_known)
{
	ck_ok(try_open());
	ck_ok(store_postgres.open(config, &other, &error));
	uint64_t before = stamp_of(store);
	ask_server(end_others);
	await_change(store, before); /* it is told again, and knows not what it missed */
	before = stamp_of(store);
	ck_ok(put(other, "own"));
	await_change(store, before);
}
END_TEST

/* --- being told --- */

static unsigned long statements;
int __real_PQsendQuery(PGconn *pg, const char *sql);
int __wrap_PQsendQuery(PGconn *pg, const char *sql);
int __wrap_PQsendQuery(PGconn *pg, const char *sql)
{
	__atomic_add_fetch(&statements, 1, __ATOMIC_RELAXED);
	return __real_PQsendQuery(pg, sql);
}

static unsigned long round_trips;
int __real_PQpipelineSync(PGconn *pg);
int __wrap_PQpipelineSync(PGconn *pg);
int __wrap_PQpipelineSync(PGconn *pg)
{
	round_trips++;
	return __real_PQpipelineSync(pg);
}

START_TEST(a_change_by_another_host_is_told_and_looking_asks_nothing)
{
	set("postgres.ttl", "1h");
	ck_ok(try_open());
	ck_ok(store_postgres.open(config, &other, &error));
	stamp_of(store); /* the number of changes is asked for once */
	uint64_t deadline = deadline_in_ms(100000), quiet;
	do {
		ck_assert(!deadline_passed(deadline));
		quiet = statements;
		for (int i = 0; i < 1000; i++)
			stamp_of(store);
	} while (statements != quiet);
	for (int i = 0; i < 10; i++) {
		AUTO_FREE char *name = str_format("r%d", i);
		uint64_t before = stamp_of(store);
		ck_ok(put(other, name));
		await_change(store, before);
	}
	ck_assert_uint_eq(statements, quiet);
}
END_TEST

START_TEST(a_change_that_nobody_told_of_is_found_after_the_ttl)
{
	set("postgres.ttl", "50ms");
	ck_ok(try_open());
	uint64_t before = stamp_of(store), deadline = deadline_in_ms(100000);
	/* The first number is what it compares with, whenever that comes. */
	do {
		ck_assert_msg(!deadline_passed(deadline), "nobody asks");
		ask_server("UPDATE nova_changes SET number = number + 1");
		usleep(60000);
	} while (stamp_of(store) == before);
}
END_TEST

/* --- limits --- */

/* With the usual time for it. */
static void make_schema(void)
{
	ck_ok(try_open());
	store_postgres.close(STEAL(store));
}

START_TEST(all_connections_in_use_is_told_after_the_time_limit)
{
	struct sql_session session = { 0 };
	make_schema();
	set("postgres.connections", "1");
	set("postgres.timeout", "3s");
	ck_ok(try_open());
	ck_ok(sql_start(store, SQL_READS, &session, &error));
	ck_fails_with(NOVA_ELIMIT, "postgres.connections", get(store, "x"));
	sql_end(&session);
	ck_fails(NOVA_ENOTFOUND, get(store, "x"));
}
END_TEST

START_TEST(a_server_without_connections_left_says_so)
{
	AUTO_FREE char *role = str_format("few%d", (int)getpid());
	AUTO_FREE char *sql = str_format("CREATE ROLE %s LOGIN CONNECTION LIMIT 0", role);
	AUTO_FREE char *as = str_format("%s user=%s", dsn, role);
	ask_server(sql);
	set("postgres.dsn", as);
	ck_fails_with(NOVA_EIO, "too many connections", try_open());
}
END_TEST

START_TEST(a_statement_that_takes_too_long_is_ended)
{
	PGconn *pg = PQconnectdb(dsn);
	make_schema();
	set("postgres.timeout", "3s");
	ck_ok(try_open());
	PQclear(PQexec(pg, "BEGIN; LOCK TABLE runtimes"));
	ck_fails_with(NOVA_EIO, "postgres.timeout", get(store, "x"));
	PQfinish(pg);
	ck_fails(NOVA_ENOTFOUND, get(store, "x"));
}
END_TEST

/* --- hosts that fork, and that may only read --- */

START_TEST(a_fork_of_the_host_cannot_use_the_sockets)
{
	ck_ok(try_open());
	ck_ok(put(store, "own"));
	pid_t child = fork();
	if (child == 0) {
		uint64_t stamp;
		int codes[] = { get(store, "own"), put(store, "b"),
			store->ops->stamp(store, &stamp, NULL) };
		for (size_t i = 0; i < ARRAY_LEN(codes); i++)
			if (codes[i] != NOVA_EBUSY)
				_exit(1);
		store_postgres.close(store);
		_exit(store_postgres.open(config, &store, NULL) < 0 || get(store, "own") < 0 ? 2 :
											       0);
	}
	int status;
	waitpid(child, &status, 0);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
	ck_ok(get(store, "own"));
	ck_ok(put(store, "also"));
}
END_TEST

START_TEST(a_database_that_is_read_only_can_be_read)
{
	ck_ok(try_open());
	ck_ok(put(store, "own"));
	AUTO_FREE char *only = str_format("%s options='-c default_transaction_read_only=on'", dsn);
	set("postgres.dsn", only);
	ck_ok(store_postgres.open(config, &other, &error));
	ck_ok(get(other, "own"));
	ck_fails_with(NOVA_EPERM, "read-only", put(other, "b"));
}
END_TEST

/* --- the log of calls --- */

#define RECORDS 100

static int append_records(size_t count, const char *function)
{
	static char none[] = "", runtime[] = "python";
	const struct call_record one = { .request_id = none,
		.function = (char *)function,
		.id = none,
		.runtime = runtime,
		.instance = none,
		.path = none,
		.error = none };
	const struct call_record good = { .request_id = none,
		.function = runtime,
		.id = none,
		.runtime = runtime,
		.instance = none,
		.path = none,
		.error = none };
	const struct call_record *all[RECORDS];
	for (size_t i = 0; i < count; i++)
		all[i] = i == count / 2 ? &one : &good;
	return store->ops->calls->append(store, all, count, &error);
}

static void log_has(const char *count)
{
	AUTO_FREE char *found = database_ask(dsn, "SELECT count(*) FROM calls");
	ck_assert_str_eq(found, count);
}

START_TEST(many_records_are_one_round_trip)
{
	ck_ok(try_open());
	ck_ok(append_records(1, "f")); /* connects, and has the statement prepared */
	unsigned long before = statements;
	round_trips = 0;
	ck_ok(append_records(RECORDS, "f"));
	ck_assert_uint_eq(round_trips, 1);
	ck_assert_uint_eq(statements, before);
	log_has("101");
}
END_TEST

START_TEST(a_record_that_the_database_refuses_is_told_from_a_server_that_fails)
{
	ck_ok(try_open());
	ask_server("ALTER TABLE calls ADD CHECK (function <> 'bad')");
	ck_fails_with(NOVA_EINVAL, "violates check constraint", append_records(RECORDS, "bad"));
	log_has("0");
	ck_fails(NOVA_EINVAL, append_records(RECORDS, "no UTF-8: \xff"));
	ck_ok(append_records(RECORDS, "good")); /* on the same connection */
	log_has("100");
}
END_TEST

static void *trim_in_thread(void *result)
{
	uint64_t removed;
	*(int *)result = store->ops->calls->trim(store, INT64_MAX, 0, &removed, NULL);
	return NULL;
}

/* Two that lock the same rows, in orders of their own, might wait for each other. */
START_TEST(one_trims_the_log_at_a_time)
{
	pthread_t thread;
	int result = 1;
	uint64_t deadline = deadline_in_ms(100000);
	ck_ok(try_open());
	ck_ok(append_records(RECORDS, "f"));
	PGconn *other_trimmer = PQconnectdb(dsn);
	PQclear(PQexec(other_trimmer, "BEGIN; SELECT pg_advisory_xact_lock(1852798572)"));
	ck_assert_int_eq(pthread_create(&thread, NULL, trim_in_thread, &result), 0);
	for (bool waits = false; !waits;) {
		AUTO_FREE char *count = database_ask(dsn,
			"SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND "
			"datname = current_database()");
		waits = !strcmp(count, "1");
		ck_assert_msg(!deadline_passed(deadline), "it does not wait");
	}
	log_has("100");
	PQfinish(other_trimmer);
	pthread_join(thread, NULL);
	ck_assert_int_eq(result, 0);
	log_has("0");
}
END_TEST

/* --- two hosts --- */

static int add(struct registry *in, const char *name, const char *code, uint32_t flags)
{
	AUTO_RECORD struct function_record former = { 0 };
	nova_function_t *function = NULL;
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = name;
	o.runtime = "python";
	o.code = code;
	o.code_len = strlen(code);
	o.flags = flags;
	int r = registry_register(in, &o, &former, &function, &error);
	nova_function_free(function);
	return r;
}

static void open_host(struct registry *host, const char *name)
{
	AUTO_FREE char *at = path_join(home, name);
	*host = (struct registry){ 0 };
	set("home", at);
	ck_ok(registry_open(host, config, &error));
}

/* The version that a host sees, once it sees that one, without asking: 0 is none. */
static void await_version(struct registry *host, const char *name, uint32_t version)
{
	uint64_t deadline = deadline_in_ms(100000);
	for (uint32_t seen = UINT32_MAX; seen != version;) {
		nova_function_t *function = NULL;
		int r = registry_lookup(host, name, &function, NULL);
		ck_assert(r == 0 || r == NOVA_ENOTFOUND);
		seen = function ? function->record.version : 0;
		nova_function_free(function);
		ck_assert_msg(
			!deadline_passed(deadline), "version %u instead of %u", seen, version);
	}
}

/* Whether the code that a host gets is whole; where it lies. */
static char *code_of(struct registry *host, const char *name)
{
	AUTO_FUNCTION nova_function_t *function = NULL;
	char *path, hash[SHA256_HEX];
	ck_ok(registry_lookup(host, name, &function, &error));
	ck_ok(host->blobs->ops->get(host->blobs, function->record.code_hash, &path, &error));
	ck_assert_int_eq(sha256_file_hex(path, hash), 0);
	ck_assert_str_eq(hash, function->record.code_hash);
	return path;
}

START_TEST(a_host_has_the_code_and_the_versions_that_another_registered)
{
	struct registry a, b;
	set("postgres.ttl", "1h");
	open_host(&a, "a");
	open_host(&b, "b");
	await_version(&b, "f", 0);
	ck_ok(add(&a, "f", "print(1)", 0));
	await_version(&b, "f", 1);
	AUTO_FREE char *first = code_of(&b, "f");
	ck_assert_ptr_nonnull(strstr(first, "/b/"));
	ck_ok(add(&b, "f", "print(2)", NOVA_REGISTER_REPLACE));
	await_version(&a, "f", 2);
	free(code_of(&a, "f"));
	ck_ok(registry_check_code(&a, "f", &error));
	nova_function_t *gone = NULL;
	ck_ok(registry_delete(&a, "f", &as_it_is, &gone, &error));
	nova_function_free(gone);
	await_version(&b, "f", 0);
	registry_close(&a);
	registry_close(&b);
}
END_TEST

START_TEST(a_copy_that_was_damaged_is_got_again_and_is_the_same_file_to_a_snapshot)
{
	struct registry a, b;
	uint64_t first, second;
	open_host(&a, "a");
	open_host(&b, "b");
	ck_ok(add(&a, "f", "print(1)", 0));
	await_version(&b, "f", 1);
	AUTO_FREE char *path = code_of(&b, "f");
	ck_assert_int_eq(fs_stat(path, NULL, &first), 0);
	free(code_of(&b, "f"));
	ck_assert_int_eq(fs_stat(path, NULL, &second), 0);
	ck_assert_uint_eq(first, second);
	AUTO_FD int fd = sys_open(path, O_WRONLY, 0);
	ck_assert_int_eq(sys_pwrite_all(fd, "damage", 6, 5000), 0);
	free(code_of(&b, "f"));
	registry_close(&a);
	registry_close(&b);
}
END_TEST

START_TEST(what_a_store_of_this_host_needs_is_left_alone)
{
	struct registry own, shared;
	set("store", "sqlite");
	open_host(&own, "a");
	ck_ok(add(&own, "f", "print(1)", 0));
	set("store", "postgres");
	set("postgres.cache", "1");
	open_host(&shared, "a");
	ck_ok(add(&shared, "g", "print(2)", 0));
	registry_close(&shared);
	free(code_of(&own, "f"));
	ck_ok(registry_check_code(&own, "f", &error));
	registry_close(&own);
}
END_TEST

START_TEST(a_full_cache_forgets_what_was_used_least_lately_and_gets_it_again)
{
	struct registry a;
	set("postgres.cache", "1");
	open_host(&a, "a");
	char *paths[3];
	for (int i = 0; i < 3; i++) {
		AUTO_FREE char *name = str_format("f%d", i), *code = malloc(800001);
		for (size_t at = 0; at < 800000; at++)
			code[at] = (char)('a' + (at + (size_t)i) % 26);
		code[800000] = 0;
		ck_ok(add(&a, name, code, 0));
		paths[i] = code_of(&a, name);
		ck_assert_int_eq(fs_set_atime(paths[i], 1000000), 0); /* used long ago */
	}
	ck_assert_int_eq(fs_exists(paths[0]), 0);
	ck_assert_int_eq(fs_exists(paths[2]), 1);
	free(code_of(&a, "f0"));
	ck_assert_int_eq(fs_exists(paths[0]), 1);
	for (int i = 0; i < 3; i++)
		free(paths[i]);
	registry_close(&a);
}
END_TEST

/* A look that finds the content keeps it, though nobody has registered yet. */
START_TEST(what_nobody_needs_goes_after_an_hour_and_not_while_somebody_registers)
{
	struct registry a, b;
	open_host(&a, "a");
	open_host(&b, "b");
	ck_ok(add(&a, "f", "print(1)", 0));
	AUTO_FUNCTION nova_function_t *function = NULL;
	ck_ok(registry_lookup(&a, "f", &function, &error));
	const char *hash = function->record.code_hash;
	nova_function_t *gone = NULL;
	ck_ok(registry_delete(&a, "f", &as_it_is, &gone, &error));
	nova_function_free(gone);
	/* The same code is registered by another host at this moment. */
	ck_assert_int_eq(b.store->ops->contents->has(b.store, hash, &error), 1);
	ask_server("UPDATE contents SET kept = kept - 3500"); /* nearly an hour later */
	ck_ok(a.store->ops->contents->sweep(a.store, &error));
	ck_assert_int_eq(a.store->ops->contents->has(a.store, hash, &error), 1);
	ask_server("UPDATE contents SET kept = 0");
	ck_ok(add(&b, "g", "print(1)", 0)); /* needed again, whatever the time */
	ask_server("UPDATE contents SET kept = 0");
	ck_ok(a.store->ops->contents->sweep(a.store, &error));
	free(code_of(&b, "g"));
	ck_ok(registry_delete(&b, "g", &as_it_is, &gone, &error));
	nova_function_free(gone);
	ask_server("UPDATE contents SET kept = 0");
	ck_ok(a.store->ops->contents->sweep(a.store, &error));
	ck_assert_int_eq(a.store->ops->contents->has(a.store, hash, &error), 0);
	AUTO_FREE char *pieces = database_ask(dsn, "SELECT count(*) FROM pieces");
	ck_assert_str_eq(pieces, "0");
	registry_close(&a);
	registry_close(&b);
}
END_TEST

static void *add_many(void *host)
{
	intptr_t failures = 0;
	for (int i = 0; i < 10; i++) {
		AUTO_FREE char *code = str_format("print(%d, %p)", i, host);
		AUTO_RECORD struct function_record former = { 0 };
		nova_function_t *function = NULL;
		nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
		o.name = "f";
		o.runtime = "python";
		o.code = code;
		o.code_len = strlen(code);
		o.flags = NOVA_REGISTER_REPLACE;
		failures += registry_register(host, &o, &former, &function, NULL) < 0;
		nova_function_free(function);
	}
	return (void *)failures;
}

START_TEST(two_hosts_that_race_for_a_name_both_get_their_turn)
{
	struct registry hosts[2];
	pthread_t threads[2];
	void *failures;
	open_host(&hosts[0], "a");
	open_host(&hosts[1], "b");
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, &hosts[i]), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &failures);
		ck_assert_int_eq((intptr_t)failures, 0);
	}
	await_version(&hosts[0], "f", 20);
	await_version(&hosts[1], "f", 20);
	registry_close(&hosts[0]);
	registry_close(&hosts[1]);
}
END_TEST

static Suite *postgres_suite(void)
{
	Suite *suite = suite_create("postgres");
	TCase *tc = tcase_create("postgres");
	suite_add_tcase(suite, tc);
	if (!server_dsn())
		return suite;
	tcase_set_timeout(tc, 200);
	tcase_add_checked_fixture(tc, make_database, remove_database);
	tcase_add_test(tc, a_server_that_is_away_is_named_with_the_way_out);
	tcase_add_test(tc, a_wrong_password_is_an_error_of_rights_and_is_not_told);
	tcase_add_test(tc, a_dsn_that_cannot_be_understood_is_not_repeated);
	tcase_add_test(tc, a_database_that_is_missing_is_not_found);
	tcase_add_test(tc, a_database_of_somebody_else_is_refused_and_left_alone);
	tcase_add_test(tc, a_newer_schema_is_refused_and_kept);
	tcase_add_test(tc, a_database_of_the_first_schema_is_brought_forward);
	tcase_add_test(tc, a_damaged_row_is_an_error_that_names_the_runtime);
	tcase_add_test(tc, what_was_not_committed_when_the_connection_went_is_not_there);
	tcase_add_test(tc, a_transaction_that_is_left_is_undone);
	tcase_add_test(tc, connections_that_have_ended_meanwhile_are_made_anew);
	tcase_add_test(tc, who_was_not_told_for_a_while_takes_nothing_for_known);
	tcase_add_test(tc, a_change_by_another_host_is_told_and_looking_asks_nothing);
	tcase_add_test(tc, a_change_that_nobody_told_of_is_found_after_the_ttl);
	tcase_add_test(tc, all_connections_in_use_is_told_after_the_time_limit);
	tcase_add_test(tc, a_server_without_connections_left_says_so);
	tcase_add_test(tc, a_statement_that_takes_too_long_is_ended);
	tcase_add_test(tc, a_fork_of_the_host_cannot_use_the_sockets);
	tcase_add_test(tc, a_database_that_is_read_only_can_be_read);
	tcase_add_test(tc, many_records_are_one_round_trip);
	tcase_add_test(tc, a_record_that_the_database_refuses_is_told_from_a_server_that_fails);
	tcase_add_test(tc, one_trims_the_log_at_a_time);
	tcase_add_test(tc, a_host_has_the_code_and_the_versions_that_another_registered);
	tcase_add_test(tc, a_copy_that_was_damaged_is_got_again_and_is_the_same_file_to_a_snapshot);
	tcase_add_test(tc, what_a_store_of_this_host_needs_is_left_alone);
	tcase_add_test(tc, a_full_cache_forgets_what_was_used_least_lately_and_gets_it_again);
	tcase_add_test(tc, what_nobody_needs_goes_after_an_hour_and_not_while_somebody_registers);
	tcase_add_test(tc, two_hosts_that_race_for_a_name_both_get_their_turn);
	return suite;
}

TEST_MAIN(postgres_suite)
