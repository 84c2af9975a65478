/* SPDX-License-Identifier: MIT */
/* What functions keep, while an archive of it comes in, and by the connections that it has to a
 * server of its own. */
#include <limits.h>
#include <pthread.h>
#include <sys/wait.h>

#include "conform/database.h"
#include "kv/kv.h"
#include "registry/registry.h"
#include "store/sql/sql.h"

#define A       "00000000-0000-4000-8000-00000000000a"
#define B       "00000000-0000-4000-8000-00000000000b"
#define ROWS    1000u /* several portions */
#define TEXT(s) ((char *)(s))

static const struct store_ops *const bases[] = { &store_sqlite, &store_postgres };

static nova_error_t *error;
static nova_config_t *config;
static char *home, *dsn;
static struct store *base, *store;
static struct kv kv;

static void set(const char *key, const char *value)
{
	ck_ok(nova_config_set(config, key, value, &error));
}

static void open_store(int which)
{
	home = test_dir();
	dsn = which ? database_new() : NULL;
	config = settings_of_store(bases[which], home, dsn);
	ck_ok(bases[which]->open(config, &base, &error));
}

static void open_kv(void)
{
	kv_init(&kv, base, config);
	ck_ok(kv_store(&kv, &store, &error));
}

static void open_at(int which)
{
	open_store(which);
	open_kv();
}

static void close_all(void)
{
	kv_done(&kv);
	base->ops->close(base);
	nova_config_free(config);
	nova_error_free(STEAL(error));
	free(STEAL(dsn));
	test_dir_remove(home);
}

static int put(const char *space, const char *key, const char *value)
{
	nova_kv_put_opts opts = NOVA_KV_PUT_OPTS_INIT;
	opts.key = key;
	opts.value = value;
	opts.value_len = strlen(value);
	return kv_put(&kv, space, &opts, NULL, &error);
}

static int get(const char *space, const char *key)
{
	const nova_kv_entry *entry = NULL;
	int code = kv_get(&kv, space, key, &entry, &error);
	nova_kv_entry_free(entry);
	return code;
}

/* --- archives --- */

/* The rows of an archive: a space, and as many keys. */
struct source {
	unsigned given, fails_at, puts_at;
};

static int give_row(void *userdata, json_t **ret_line, nova_error_t **ret_error)
{
	struct source *s = userdata;
	unsigned i = s->given++;
	if (i == s->fails_at)
		return nova_fail(ret_error, NOVA_EIO, "the disk cannot be read");
	if (i == s->puts_at)
		ck_ok(put(B, "meanwhile", "x"));
	if (i > ROWS)
		return 0;
	AUTO_FREE char *key = str_format("k%04u", i);
	*ret_line = i ? json_pack("{s:{s:s,s:s,s:i,s:i,s:i,s:{s:s}}}", "kv_entries", "function", A,
				"key", key, "version", 7, "expires_us", 0, "size", 1, "value",
				"hex", "61") :
			json_pack("{s:{s:s,s:i}}", "kv_spaces", "function", A, "version", 7);
	return 1;
}

static int restore(struct source *source)
{
	const struct transfer_source from = { .next = give_row, .userdata = source };
	return store->ops->transfer->restore(store, &from, &error);
}

struct count {
	const char *table;
	size_t rows;
};

static int count_row(void *userdata, const char *table, json_t *row, nova_error_t **ret_error)
{
	struct count *count = userdata;
	(void)row;
	(void)ret_error;
	count->rows += !strcmp(table, count->table);
	return 0;
}

static size_t count_rows(const char *table)
{
	struct count count = { table, 0 };
	ck_ok(store->ops->transfer->dump(store, count_row, &count, &error));
	return count.rows;
}

START_TEST(values_are_put_while_many_come_in)
{
	struct source source = { .fails_at = UINT_MAX, .puts_at = ROWS - 100 };
	open_at(_i);
	ck_ok(restore(&source));
	ck_ok(get(B, "meanwhile"));
	ck_ok(get(A, "k1000"));
	close_all();
}
END_TEST

START_TEST(what_was_cut_off_is_mended_by_doing_it_again)
{
	struct source cut = { .fails_at = ROWS - 100, .puts_at = UINT_MAX };
	struct source whole = { .fails_at = UINT_MAX, .puts_at = UINT_MAX };
	open_at(_i);
	ck_ok(put(A, "of a function that was deleted", "x"));
	ck_fails_with(NOVA_EIO, "the disk cannot be read", restore(&cut));
	size_t some = count_rows("kv_entries");
	ck_assert_uint_gt(some, 0);
	ck_assert_uint_lt(some, ROWS - 100);
	ck_ok(restore(&whole));
	ck_assert_uint_eq(count_rows("kv_entries"), ROWS);
	ck_assert_uint_eq(count_rows("kv_spaces"), 1);
	close_all();
}
END_TEST

/* Of a host: its registry, and what its functions keep. */
struct host {
	struct registry registry;
	struct kv kv;
};

static void open_host(struct host *host, const char *name)
{
	AUTO_FREE char *at = path_join(home, name);
	memset(host, 0, sizeof(*host));
	set("home", at);
	ck_ok(registry_open(&host->registry, config, &error));
	kv_init(&host->kv, host->registry.store, config);
}

static void close_host(struct host *host)
{
	kv_done(&host->kv);
	registry_close(&host->registry);
}

static int add(struct host *host, const char *name, nova_function_t **ret_function)
{
	AUTO_RECORD struct function_record former = { 0 };
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = name;
	o.runtime = "python";
	o.code = "print(1)";
	o.code_len = strlen(o.code);
	return registry_register(&host->registry, &o, &former, ret_function, &error);
}

/* Another program beside the one that imports, at the moment at which that begins to copy. */
static int open_meanwhile(void *userdata, bool makes, struct store **ret_store, nova_error_t **e)
{
	struct host *importer = userdata, other = { .kv = { 0 } };
	const struct transfer_ops *transfer = importer->registry.store->ops->transfer;
	nova_function_t *function = NULL;
	nova_kv_put_opts opts = NOVA_KV_PUT_OPTS_INIT;
	struct transfer_lock *lock = NULL;
	open_host(&other, "b");
	ck_ok(add(&other, "g", &function));
	opts.key = "k";
	ck_ok(kv_put(&other.kv, function->record.id, &opts, NULL, &error));
	ck_fails_with(NOVA_EBUSY, "another import",
		transfer->lock(other.registry.store, TRANSFER_IMPORTS, 0, &lock, &error));
	nova_function_free(function);
	close_host(&other);
	return kv_open(&importer->kv, makes, ret_store, e);
}

/* An archive of one function, f, that keeps a key; the second store is empty. */
static char *export_f(int which, char id[UUID_SIZE])
{
	struct host host;
	nova_function_t *function = NULL;
	nova_kv_put_opts opts = NOVA_KV_PUT_OPTS_INIT;
	open_store(which);
	char *archive = path_join(home, "all.tar.gz");
	open_host(&host, "a");
	ck_ok(add(&host, "f", &function));
	opts.key = "k";
	ck_ok(kv_put(&host.kv, function->record.id, &opts, NULL, &error));
	struct kept kept = { kv_open, &host.kv };
	ck_ok(registry_export(&host.registry, &kept, archive, &error));
	snprintf(id, UUID_SIZE, "%s", function->record.id);
	nova_function_free(function);
	close_host(&host);
	if (which) {
		AUTO_FREE char *other = database_new();
		set("postgres.dsn", other);
	}
	return archive;
}

static void close_base(void)
{
	base->ops->close(base);
	base = NULL;
	nova_config_free(config);
	free(STEAL(dsn));
	test_dir_remove(home);
}

START_TEST(others_register_and_put_while_an_import_copies_what_functions_keep)
{
	char id[UUID_SIZE];
	AUTO_FREE char *archive = export_f(_i, id);
	struct host host;
	open_host(&host, "b");
	struct kept kept = { open_meanwhile, &host };
	ck_ok(registry_import(&host.registry, &kept, archive, true, &error));
	const nova_kv_entry *entry = NULL;
	ck_ok(kv_get(&host.kv, id, "k", &entry, &error));
	nova_kv_entry_free(entry);
	/* and it has ended for others, too */
	struct transfer_lock *lock = NULL;
	const struct transfer_ops *transfer = host.registry.store->ops->transfer;
	ck_ok(transfer->lock(host.registry.store, TRANSFER_IMPORTS, 0, &lock, &error));
	ck_ok(transfer->check_lock(lock, &error));
	transfer->unlock(lock);
	close_host(&host);
	close_base();
}
END_TEST

/* Another program takes the name of what is on its way. */
static int register_meanwhile(
	void *userdata, bool makes, struct store **ret_store, nova_error_t **e)
{
	struct host *importer = userdata, other;
	nova_function_t *function = NULL;
	open_host(&other, "b");
	ck_ok(add(&other, "f", &function));
	nova_function_free(function);
	close_host(&other);
	return kv_open(&importer->kv, makes, ret_store, e);
}

START_TEST(an_import_that_is_refused_at_its_last_step_leaves_nothing)
{
	char id[UUID_SIZE], **spaces;
	size_t count;
	AUTO_FREE char *archive = export_f(_i, id);
	struct host host;
	open_host(&host, "b");
	struct kept kept = { register_meanwhile, &host };
	ck_fails_with(NOVA_EEXIST, "there is a function 'f' already",
		registry_import(&host.registry, &kept, archive, true, &error));
	ck_ok(host.kv.store->ops->kv->spaces(host.kv.store, &spaces, &count, &error));
	ck_assert_uint_eq(count, 0);
	strv_free(spaces, count);
	close_host(&host);
	close_base();
}
END_TEST

/* --- connections to a server --- */

static void make_schema(void)
{
	open_store(1);
	store_postgres_kv.open(config, &store, &error);
	store->ops->close(store);
}

static void *put_in_a(void *ret_code)
{
	nova_kv_put_opts opts = NOVA_KV_PUT_OPTS_INIT;
	opts.key = "k";
	*(int *)ret_code = kv_put(&kv, A, &opts, NULL, NULL);
	return NULL;
}

static unsigned count_turns(void)
{
	unsigned count = 0;
	pthread_mutex_lock(&kv.turns_lock);
	for (const struct kv_turn *turn = kv.turns; turn; turn = turn->next)
		count++;
	pthread_mutex_unlock(&kv.turns_lock);
	return count;
}

static unsigned count_waiting(void)
{
	AUTO_FREE char *count = database_ask(dsn, "SELECT count(*) FROM pg_stat_activity WHERE "
						  "wait_event_type = 'Lock' AND datname = "
						  "current_database()");
	return (unsigned)atoi(count);
}

#define PUTTERS 4u

START_TEST(puts_of_one_function_that_wait_leave_connections_to_others)
{
	pthread_t threads[PUTTERS];
	int codes[PUTTERS];
	uint64_t deadline = deadline_in_ms(100000);
	open_store(1);
	set("postgres.connections", "2");
	open_kv();
	ck_ok(put(A, "k", "1"));
	ck_ok(put(B, "k", "1"));
	PGconn *holder = PQconnectdb(dsn);
	PQclear(PQexec(
		holder, "BEGIN; SELECT * FROM kv_spaces WHERE function = '" A "' FOR UPDATE"));
	for (size_t i = 0; i < PUTTERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, put_in_a, &codes[i]), 0);
	while (count_turns() < PUTTERS || !count_waiting())
		ck_assert(!deadline_passed(deadline));
	ck_ok(get(B, "k"));
	ck_ok(put(B, "k", "2"));
	ck_ok(get(A, "k"));
	ck_assert_uint_eq(count_waiting(), 1);
	PQfinish(holder);
	for (size_t i = 0; i < PUTTERS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(codes[i], 0);
	}
	ck_assert_uint_eq(count_turns(), 0);
	close_all();
}
END_TEST

START_TEST(who_waits_too_long_for_others_of_its_function_is_told)
{
	struct kv_turn first;
	struct store *ignored;
	open_store(0);
	set("postgres.timeout", "1s");
	open_kv();
	ck_ok(kv_enter(&kv, A, &first, &ignored, &error));
	ck_fails_with(NOVA_EIO, "postgres.timeout", put(A, "k", "1"));
	ck_ok(put(B, "k", "1"));
	kv_leave(&kv, &first);
	ck_ok(put(A, "k", "1"));
	close_all();
}
END_TEST

static void ask(const char *question, const char *part)
{
	AUTO_BUF struct buf reply = BUF_INIT(1u << 20);
	AUTO_FREE char *text = strdup(question);
	ck_assert_int_eq(kv_answer(&kv, A, text, strlen(text), &reply), 0);
	ck_assert_int_eq(buf_append(&reply, "", 1), 0);
	ck_assert_msg(strstr((char *)reply.data, part), "%s", (char *)reply.data);
	ck_assert_msg(!strstr((char *)reply.data, "tester"), "%s", (char *)reply.data);
}

#define GET_K "{\"op\":\"kv get\",\"key\":\"k\"}"

START_TEST(all_connections_in_use_is_told_and_is_no_missing_key)
{
	struct sql_session session = { 0 };
	make_schema();
	set("postgres.connections", "1");
	set("postgres.timeout", "3s");
	open_kv();
	ck_ok(put(A, "k", "1"));
	ck_ok(sql_start(store, SQL_READS, &session, &error));
	ck_fails_with(NOVA_EIO, "postgres.connections", get(A, "k"));
	ask(GET_K, "NOVA_EIO");
	/* calls have connections of their own */
	AUTO_RECORD struct function_record none = { 0 };
	ck_fails(NOVA_ENOTFOUND, base->ops->functions->get(base, "f", &none, &error));
	sql_end(&session);
	ck_ok(get(A, "k"));
	close_all();
}
END_TEST

static const char end_others[] = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
				 "WHERE datname = current_database() AND pid <> pg_backend_pid()";

START_TEST(connections_that_died_are_made_anew_and_nothing_is_half)
{
	struct sql_session session = { 0 };
	uint64_t version;
	open_at(1);
	ck_ok(put(A, "k", "1"));
	for (int i = 0; i < 3; i++) {
		database_do(dsn, end_others);
		ck_ok(get(A, "k"));
		database_do(dsn, end_others);
		int code = put(A, "k", "1"); /* it may not be known yet */
		ck_assert(code == 0 || code == NOVA_EIO);
		nova_error_free(STEAL(error));
		ck_ok(put(A, "k", "1"));
	}
	/* in the middle of one's transaction */
	ck_ok(sql_start(store, SQL_LOGS, &session, &error));
	ck_ok(sql_begin(&session, &error));
	ck_ok(sql_take_version(&session, B, 7, &version, &error));
	database_do(dsn, end_others);
	ck_fails(NOVA_EIO, sql_commit(&session, &error));
	sql_end(&session);
	ck_assert_uint_eq(count_rows("kv_spaces"), 1);
	ck_ok(put(B, "k", "1"));
	close_all();
}
END_TEST

START_TEST(a_server_that_may_only_be_read_answers_and_takes_nothing)
{
	open_at(1);
	ck_ok(put(A, "k", "1"));
	kv_done(&kv);
	AUTO_FREE char *only = str_format("%s options='-c default_transaction_read_only=on'", dsn);
	set("postgres.dsn", only);
	open_kv();
	ck_ok(get(A, "k"));
	ck_fails_with(NOVA_EPERM, "read-only", put(A, "k", "2"));
	ask("{\"op\":\"kv put\",\"key\":\"k\",\"value\":\"\"}", "NOVA_EIO");
	ck_ok(get(A, "k"));
	close_all();
}
END_TEST

START_TEST(a_fork_of_the_host_cannot_use_the_connections)
{
	open_at(1);
	ck_ok(put(A, "k", "1"));
	pid_t child = fork();
	if (child == 0) {
		if (get(A, "k") != NOVA_EIO || !strstr(nova_error_message(error), "fork") ||
			put(A, "k", "2") != NOVA_EIO)
			_exit(1);
		kv_done(&kv);
		kv_init(&kv, base, config);
		_exit(get(A, "k") < 0 ? 2 : 0);
	}
	int status;
	waitpid(child, &status, 0);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
	ck_ok(get(A, "k"));
	ck_ok(put(A, "k", "2"));
	close_all();
}
END_TEST

static Suite *kept_suite(void)
{
	Suite *suite = suite_create("kept");
	TCase *tc = tcase_create("kept");
	int count = server_dsn() ? 2 : 1;
	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 200);
	tcase_add_loop_test(tc, values_are_put_while_many_come_in, 0, count);
	tcase_add_loop_test(tc, what_was_cut_off_is_mended_by_doing_it_again, 0, count);
	tcase_add_loop_test(
		tc, others_register_and_put_while_an_import_copies_what_functions_keep, 0, count);
	tcase_add_loop_test(
		tc, an_import_that_is_refused_at_its_last_step_leaves_nothing, 0, count);
	tcase_add_test(tc, who_waits_too_long_for_others_of_its_function_is_told);
	if (count == 1)
		return suite;
	tcase_add_test(tc, puts_of_one_function_that_wait_leave_connections_to_others);
	tcase_add_test(tc, all_connections_in_use_is_told_and_is_no_missing_key);
	tcase_add_test(tc, connections_that_died_are_made_anew_and_nothing_is_half);
	tcase_add_test(tc, a_server_that_may_only_be_read_answers_and_takes_nothing);
	tcase_add_test(tc, a_fork_of_the_host_cannot_use_the_connections);
	return suite;
}

TEST_MAIN(kept_suite)
