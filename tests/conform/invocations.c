/* SPDX-License-Identifier: MIT */
/* What calls leave behind: nova/invocation.h. */
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "gate.h"

#define LIST_OPTS(...)                                                                             \
	(&(nova_invocation_list_opts){ .size = sizeof(nova_invocation_list_opts), __VA_ARGS__ })

struct found {
	const nova_invocation **list;
	size_t count;
};

static struct found find(nova_t *nova, const nova_invocation_list_opts *opts)
{
	struct found f = { NULL, 0 };
	ck_ok(nova_invocation_list(nova, opts, &f.list, &f.count, &error));
	return f;
}

static void found_free(struct found *f)
{
	nova_invocation_list_free(f->list, f->count);
}

/* There is one record, which is this one. */
static struct found one(nova_t *nova, const char *function, int code)
{
	struct found f = find(nova, LIST_OPTS(.function = function));
	ck_assert_uint_eq(f.count, 1);
	ck_assert_int_eq(f.list[0]->code, code);
	return f;
}

static void leaves(nova_t *nova, const char *function, int code, const char *part)
{
	struct found f = one(nova, function, code);
	ck_assert_msg(strstr(f.list[0]->error, part), "'%s' not in '%s'", part, f.list[0]->error);
	found_free(&f);
}

static int call_with(struct platform *p, const char *name, nova_invoke_opts opts)
{
	nova_result_t *r;
	opts.size = sizeof(opts);
	int code = nova_invoke(p->nova, name, "{}", &opts, &r, &error);
	nova_result_free(r);
	nova_error_free(STEAL(error));
	return code;
}
#define CALL(p, name, ...) call_with(p, name, (nova_invoke_opts){ __VA_ARGS__ })

/* How many records the file has, without whoever writes them. */
static int records_in(const struct platform *p)
{
	AUTO_FREE char *path = path_join(p->dir, "log.db");
	sqlite3 *db;
	sqlite3_stmt *s = NULL;
	int count = -1;
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
		sqlite3_prepare_v2(db, "SELECT count(*) FROM calls", -1, &s, NULL) == SQLITE_OK &&
		sqlite3_step(s) == SQLITE_ROW)
		count = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return count;
}

/* --- what is in a record --- */

START_TEST(a_call_leaves_a_record_of_all_that_is_known_of_it)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "printf 'a\\000b'; echo bad >&2; exit 3");
	platform_add(p.nova, "g", "shell", "cat \"$1\"");
	uint64_t before = clock_unix_us();
	ck_assert_int_eq(CALL(&p, "f", .request_id = "mine"), NOVA_EFUNCTION);
	struct found f = one(p.nova, "f", NOVA_EFUNCTION);
	const nova_invocation *r = f.list[0];
	ck_assert_uint_eq(r->size, sizeof(*r));
	ck_assert_str_eq(r->request_id, "mine");
	ck_assert_uint_eq(strlen(r->function_id), 36);
	ck_assert_str_eq(r->runtime, "shell");
	ck_assert_str_eq(r->path, "classic");
	ck_assert_str_eq(r->instance, "");
	ck_assert_ptr_nonnull(strstr(r->error, "exit 3"));
	ck_assert_uint_eq(r->out_len, 3);
	ck_assert_mem_eq(r->out, "a\0b", 4);
	ck_assert_str_eq(r->err, "bad\n");
	ck_assert_uint_ge(r->started_us, before);
	ck_assert_uint_le(r->started_us, clock_unix_us());
	ck_assert_uint_gt(r->duration_us, 0);
	ck_assert_uint_eq(r->input_size, 2);
	ck_assert_uint_gt(r->memory_peak, 100000);
	ck_assert_uint_eq(r->version, 1);
	ck_assert_uint_eq(r->cold, 1);
	ck_assert_uint_eq(r->cut + r->lost, 0);
	found_free(&f);
	for (int i = 0; i < 2; i++)
		platform_answers(p.nova, "g", "{}");
	f = find(p.nova, LIST_OPTS(.function = "g"));
	ck_assert_uint_eq(f.count, 2);
	ck_assert_uint_eq(f.list[0]->cold, 0);
	ck_assert_uint_eq(f.list[1]->cold, 1);
	ck_assert_uint_eq(f.list[0]->output_size, 2);
	ck_assert_str_eq(f.list[0]->error, "");
	found_free(&f);
	platform_close(&p);
}
END_TEST

START_TEST(every_way_to_call_a_function_leaves_one_record)
{
	struct platform p = platform_open(NULL);
	nova_queue_opts queue_opts = NOVA_QUEUE_OPTS_INIT;
	nova_instance_opts instance_opts = NOVA_INSTANCE_OPTS_INIT;
	nova_queue_t *q;
	nova_call_t *call;
	nova_instance_t *instance;
	nova_result_t *r;
	platform_add(p.nova, "f", "shell", "echo 1");
	ck_ok(nova_queue_new(p.nova, &queue_opts, &q, &error));
	ck_ok(nova_queue_submit(q, "f", "{}", NULL, NULL, &error));
	ck_ok(nova_queue_submit_run(q, "shell", "echo 2", NULL, NULL, &error));
	for (int i = 0; i < 2; i++) {
		ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &call, &error));
		ck_ok(nova_call_code(call));
		nova_call_free(call);
	}
	nova_queue_free(q);
	struct found f = one(p.nova, "f", 0);
	found_free(&f);
	f = one(p.nova, "", 0);
	ck_assert_str_eq(f.list[0]->runtime, "shell");
	ck_assert_str_eq(f.list[0]->function_id, "");
	ck_assert_uint_eq(f.list[0]->version, 0);
	found_free(&f);
	ck_ok(nova_run(p.nova, "shell", "echo 3", NULL, &r, &error));
	nova_result_free(r);
	instance_opts.function = "f";
	ck_ok(nova_instance_start(p.nova, &instance_opts, &instance, &error));
	ck_assert_int_eq(CALL(&p, NULL, .instance = instance), 0);
	f = find(p.nova, LIST_OPTS(.limit = 1000));
	ck_assert_uint_eq(f.count, 4);
	ck_assert_str_eq(f.list[0]->instance, nova_instance_id(instance));
	ck_assert_uint_eq(f.list[0]->cold, 0);
	found_free(&f);
	nova_instance_free(instance);
	platform_close(&p);
}
END_TEST

START_TEST(what_is_refused_at_once_leaves_none)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	ck_assert_int_eq(CALL(&p, "none", .flags = 0), NOVA_ENOTFOUND);
	ck_assert_int_eq(CALL(&p, "f", .flags = 1u << 30), NOVA_EINVAL);
	ck_assert_int_eq(CALL(&p, "f", .request_id = "no id\n"), NOVA_EINVAL);
	struct found f = find(p.nova, NULL);
	ck_assert_uint_eq(f.count, 0);
	ck_assert_ptr_null(f.list);
	platform_close(&p);
}
END_TEST

START_TEST(calls_that_end_badly_leave_what_they_returned)
{
	struct platform p = platform_open("pool.max_vms", "1", "pool.queue_timeout", "20ms", NULL);
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	nova_instance_t *instance;
	platform_add(p.nova, "slow", "shell", "echo begun; exec sleep 1000");
	platform_add(p.nova, "lost", "shell", "kill -9 $PPID; sleep 1000");
	platform_add(p.nova, "full", "shell", "echo 1");
	ck_assert_int_eq(CALL(&p, "slow", .timeout_ms = 50), NOVA_ETIMEDOUT);
	leaves(p.nova, "slow", NOVA_ETIMEDOUT, "");
	ck_assert_int_eq(CALL(&p, "lost", .flags = 0), NOVA_ELOST);
	leaves(p.nova, "lost", NOVA_ELOST, "");
	opts.function = "full";
	ck_ok(nova_instance_start(p.nova, &opts, &instance, &error));
	ck_assert_int_eq(CALL(&p, "full", .flags = 0), NOVA_ELIMIT);
	struct found f = one(p.nova, "full", NOVA_ELIMIT);
	ck_assert_uint_eq(f.list[0]->cold, 0); /* nothing was started for it */
	ck_assert_str_eq(f.list[0]->path, "");
	found_free(&f);
	nova_instance_free(instance);
	platform_close(&p);
}
END_TEST

START_TEST(a_call_that_is_cancelled_leaves_a_record_wherever_it_is)
{
	struct platform p = platform_open(NULL);
	struct gate gate = gate_new(p.dir);
	nova_queue_opts queue_opts = { sizeof(queue_opts), .threads = 1 };
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	nova_queue_t *q;
	nova_call_t *first, *second, *call;
	add_waiting(&p, &gate, "runs");
	add_waiting(&p, &gate, "waits");
	opts.on_output = note_start;
	ck_ok(nova_queue_new(p.nova, &queue_opts, &q, &error));
	ck_ok(nova_queue_submit(q, "runs", "{}", &opts, &first, &error));
	await_starts(1);
	ck_ok(nova_queue_submit(q, "waits", "{}", &opts, &second, &error));
	ck_assert_int_eq(nova_call_cancel(second), 0);
	ck_assert_int_eq(nova_call_cancel(first), 0);
	for (int i = 0; i < 2; i++) {
		ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &call, &error));
		ck_assert_int_eq(nova_call_code(call), NOVA_ECANCELED);
		nova_call_free(call);
	}
	nova_queue_free(q);
	leaves(p.nova, "runs", NOVA_ECANCELED, "cancel");
	leaves(p.nova, "waits", NOVA_ECANCELED, "before its function ran");
	gate_let_go(&gate, 1);
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

/* The call is its owner's, and outlives queue and platform. */
START_TEST(a_call_may_be_freed_after_its_platform)
{
	struct platform p = platform_open(NULL);
	struct gate gate = gate_new(p.dir);
	nova_queue_opts queue_opts = { sizeof(queue_opts), .threads = 1 };
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	nova_queue_t *q;
	nova_call_t *waits, *calls[2];
	add_waiting(&p, &gate, "runs");
	opts.on_output = note_start;
	ck_ok(nova_queue_new(p.nova, &queue_opts, &q, &error));
	ck_ok(nova_queue_submit(q, "runs", "{}", &opts, NULL, &error));
	await_starts(1);
	ck_ok(nova_queue_submit(q, "runs", "{}", NULL, &waits, &error));
	ck_assert_int_eq(nova_call_cancel(waits), 0);
	gate_let_go(&gate, 1);
	for (int i = 0; i < 2; i++)
		ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &calls[i], &error));
	nova_queue_free(q);
	nova_close(p.nova);
	ck_assert_int_eq(records_in(&p), 2);
	for (int i = 0; i < 2; i++)
		nova_call_free(calls[i]);
	ck_ok(nova_open(p.config, &p.nova, &error));
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

START_TEST(what_a_full_queue_refuses_leaves_none)
{
	struct platform p = platform_open(NULL);
	nova_queue_opts queue_opts = { sizeof(queue_opts), .threads = 1, .max_calls = 1 };
	nova_queue_t *q;
	nova_call_t *call;
	platform_add(p.nova, "f", "shell", "echo 1");
	ck_ok(nova_queue_new(p.nova, &queue_opts, &q, &error));
	ck_ok(nova_queue_submit(q, "f", "{}", NULL, NULL, &error));
	ck_fails(NOVA_ELIMIT, nova_queue_submit(q, "f", "{}", NULL, NULL, &error));
	ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &call, &error));
	nova_call_free(call);
	nova_queue_free(q);
	leaves(p.nova, "f", 0, "");
	platform_close(&p);
}
END_TEST

START_TEST(long_output_keeps_its_end_and_says_that_it_was_cut)
{
	struct platform p = platform_open("log.output_limit", "10", NULL);
	platform_add(p.nova, "f", "shell",
		"head -c 100000 /dev/zero | tr '\\0' x >&2; printf '12345678\\303\\2449' >&2; echo "
		"1");
	platform_answers(p.nova, "f", "1");
	struct found f = one(p.nova, "f", 0);
	ck_assert_str_eq(f.list[0]->err, "2345678\xc3\xa4"
					 "9");
	ck_assert_uint_eq(f.list[0]->cut, 1);
	found_free(&f);
	platform_add(p.nova, "g", "shell", "printf '\\303\\244123456789' >&2; echo 1");
	platform_answers(p.nova, "g", "1");
	f = one(p.nova, "g", 0);
	ck_assert_str_eq(f.list[0]->err, "123456789"); /* not half a character */
	found_free(&f);
	platform_close(&p);
}
END_TEST

START_TEST(without_the_log_nothing_is_written)
{
	struct platform p = platform_open("log.calls", "off", NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	nova_pool_tick(p.pool);
	ck_assert_int_eq(records_in(&p), -1);
	platform_close(&p);
}
END_TEST

START_TEST(a_function_that_is_deleted_leaves_its_records)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	ck_ok(nova_function_delete(p.nova, "f", 0, &error));
	struct found before = one(p.nova, "f", 0);
	platform_add(p.nova, "f", "shell", "echo 2");
	platform_answers(p.nova, "f", "2");
	struct found both = find(p.nova, LIST_OPTS(.function = "f"));
	ck_assert_uint_eq(both.count, 2);
	ck_assert_str_eq(both.list[1]->function_id, before.list[0]->function_id);
	ck_assert_str_ne(both.list[0]->function_id, before.list[0]->function_id);
	found_free(&before);
	found_free(&both);
	platform_close(&p);
}
END_TEST

/* --- when it is written --- */

/* The program waits as it would: for the descriptor of the pool, and ticks then. */
START_TEST(whoever_ticks_the_pool_writes_within_a_second)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	uint64_t begin = clock_ns(), most = deadline_in_ms(100000);
	nova_pool_tick(p.pool);
	while (records_in(&p) != 1) {
		struct pollfd fd = { nova_pool_fd(p.pool), POLLIN, 0 };
		ck_assert_msg(!deadline_passed(most), "nobody writes");
		ck_assert_int_ge(sys_poll(&fd, 1, 100000), 0);
		nova_pool_tick(p.pool);
	}
	printf("# written after %llu ms\n", (unsigned long long)(clock_ns() - begin) / 1000000u);
	platform_close(&p);
}
END_TEST

START_TEST(the_thread_of_the_pool_writes_by_itself)
{
	struct platform p = platform_open("pool.thread", "on", NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	uint64_t most = deadline_in_ms(100000);
	while (records_in(&p) != 1) {
		ck_assert_msg(!deadline_passed(most), "nobody writes");
		usleep(20000);
	}
	platform_close(&p);
}
END_TEST

START_TEST(where_nobody_ticks_a_later_call_writes)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	uint64_t most = deadline_in_ms(100000);
	int calls = 0;
	while (records_in(&p) < 1) {
		ck_assert_msg(!deadline_passed(most), "nobody writes");
		platform_answers(p.nova, "f", "1");
		calls++;
	}
	ck_assert_int_eq(records_in(&p), calls);
	platform_close(&p);
}
END_TEST

START_TEST(closing_writes_what_is_left)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	ck_assert_int_le(records_in(&p), 0);
	nova_close(p.nova);
	ck_assert_int_eq(records_in(&p), 1);
	ck_ok(nova_open(p.config, &p.nova, &error));
	platform_close(&p);
}
END_TEST

/* The child tells of each call that has ended, with its time, until it is killed. */
static void call_until_killed(const char *dir, int to)
{
	nova_config_t *config = vmtest_config(dir);
	nova_t *nova;
	nova_result_t *r;
	if (nova_config_set(config, "pool.thread", "on", NULL) < 0 ||
		nova_open(config, &nova, NULL) < 0)
		_exit(1);
	for (;;) {
		if (nova_invoke(nova, "f", "{}", NULL, &r, NULL) < 0)
			_exit(2);
		nova_result_free(r);
		uint64_t now = clock_ns();
		if (sys_write_all(to, &now, sizeof(now)) < 0)
			_exit(3);
	}
}

START_TEST(a_program_that_is_killed_loses_the_last_second_at_most)
{
	const char *seed_text = getenv("NOVA_TEST_SEED");
	unsigned seed = seed_text ? (unsigned)atoi(seed_text) : (unsigned)getpid();
	unsigned rounds = getenv("NOVA_TEST_LONG") ? 20 : 1;
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	printf("# seed %u\n", seed);
	int had = 0;
	for (unsigned i = 0; i < rounds; i++) {
		int ends[2], due = 0;
		ck_assert_int_eq(sys_pipe(ends), 0);
		pid_t child = fork();
		if (child == 0)
			call_until_killed(p.dir, ends[1]);
		fd_close(ends[1]);
		usleep(1500000 + rand_r(&seed) % 500000);
		kill(child, SIGKILL);
		uint64_t end = clock_ns(), ended;
		waitpid(child, NULL, 0);
		while (sys_read(ends[0], &ended, sizeof(ended)) == sizeof(ended))
			due += ended + 1000000000u < end;
		fd_close(ends[0]);
		int has = records_in(&p);
		ck_assert_int_gt(due, 0);
		ck_assert_msg(has - had >= due, "%d of %d", has - had, due);
		had = has;
	}
	nova_close(p.nova);
	vmtest_await_none(p.dir); /* the keepers of the dead end their VMs first */
	ck_ok(nova_open(p.config, &p.nova, &error)); /* which clears up behind them */
	platform_close(&p);
}
END_TEST

/* --- a log that fails --- */

static int warnings;
static char last_warning[500];

static void note_warning(void *userdata, int level, const char *module, const char *text)
{
	(void)userdata;
	if (level > NOVA_LOG_WARN || strcmp(module, "calls") != 0)
		return;
	warnings++;
	snprintf(last_warning, sizeof(last_warning), "%s", text);
}

/* The pool is ticked until the log has been tried so often. */
static void await_warnings(struct platform *p, int count)
{
	uint64_t most = deadline_in_ms(100000);
	while (warnings < count) {
		struct pollfd fd = { nova_pool_fd(p->pool), POLLIN, 0 };
		ck_assert_msg(!deadline_passed(most), "nothing is said");
		sys_poll(&fd, 1, 1000);
		nova_pool_tick(p->pool);
	}
}

START_TEST(a_log_that_fails_fails_no_call_and_goes_on_when_it_can)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *path = path_join(p.dir, "log.db");
	nova_host_set_log(nova_host_get(p.nova), note_warning, NULL, NOVA_LOG_WARN);
	ck_assert_int_eq(fs_write_file(path, "this is no database", 19, 0600), 0);
	platform_add(p.nova, "f", "shell", "echo 1");
	warnings = 0;
	platform_answers(p.nova, "f", "1");
	await_warnings(&p, 1);
	ck_assert_ptr_nonnull(strstr(last_warning, path));
	for (int i = 0; i < 3; i++) {
		platform_answers(p.nova, "f", "1");
		nova_pool_tick(p.pool);
	}
	ck_assert_int_eq(warnings, 1); /* once */
	const nova_invocation **list;
	size_t count;
	ck_fails_with(
		NOVA_ECORRUPT, path, nova_invocation_list(p.nova, NULL, &list, &count, &error));
	ck_assert_int_eq(fs_unlink(path), 0);
	struct found f = find(p.nova, NULL);
	ck_assert_uint_eq(f.count, 4);
	found_free(&f);
	ck_assert_int_eq(warnings, 2); /* that it works again */
	platform_close(&p);
}
END_TEST

START_TEST(who_only_reads_goes_on_when_the_file_is_moved_away)
{
	struct platform p = platform_open(NULL);
	nova_t *reader;
	AUTO_FREE char *path = path_join(p.dir, "log.db"), *away = path_join(p.dir, "away.db");
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	leaves(p.nova, "f", 0, "");
	ck_ok(nova_open(p.config, &reader, &error));
	leaves(reader, "f", 0, "");
	ck_assert_int_eq(rename(path, away), 0);
	struct found f = find(reader, NULL);
	ck_assert_uint_eq(f.count, 0);
	platform_answers(p.nova, "f", "1");
	for (uint64_t most = deadline_in_ms(100000); f.count == 0;) {
		ck_assert_msg(!deadline_passed(most), "it is not written into the new file");
		nova_pool_tick(p.pool);
		f = find(reader, NULL);
	}
	found_free(&f);
	nova_close(reader);
	platform_close(&p);
}
END_TEST

START_TEST(what_has_no_room_is_counted_and_told_by_the_next_record)
{
	enum { CALLS = 30 };
	struct platform p = platform_open("log.output_limit", "1048576", NULL);
	AUTO_FREE char *path = path_join(p.dir, "log.db");
	ck_assert_int_eq(fs_write_file(path, "this is no database", 19, 0600), 0);
	platform_add(p.nova, "f", "shell", "head -c 1000000 /dev/zero >&2; echo 1");
	for (int i = 0; i < CALLS; i++)
		platform_answers(p.nova, "f", "1");
	ck_assert_int_eq(fs_unlink(path), 0);
	struct found kept = find(p.nova, NULL);
	ck_assert_uint_gt(kept.count, 10);
	ck_assert_uint_lt(kept.count, CALLS);
	platform_answers(p.nova, "f", "1");
	struct found last = find(p.nova, LIST_OPTS(.limit = 1));
	ck_assert_uint_eq(last.list[0]->lost, CALLS - kept.count);
	found_free(&kept);
	found_free(&last);
	platform_close(&p);
}
END_TEST

START_TEST(old_records_go_and_the_others_stay)
{
	struct platform p = platform_open("log.retention_age", "1s", NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	struct found f = find(p.nova, NULL);
	ck_assert_uint_eq(f.count, 1);
	found_free(&f);
	uint64_t most = deadline_in_ms(100000);
	for (size_t count = 1; count;) { /* without another call */
		struct pollfd fd = { nova_pool_fd(p.pool), POLLIN, 0 };
		ck_assert_msg(!deadline_passed(most), "it stays");
		sys_poll(&fd, 1, 1000);
		nova_pool_tick(p.pool);
		f = find(p.nova, NULL);
		count = f.count;
		found_free(&f);
	}
	platform_close(&p);
}
END_TEST

/* --- reading --- */

static void *trigger_soon(void *interrupt)
{
	usleep(50000);
	nova_interrupt_trigger(interrupt);
	return NULL;
}

START_TEST(a_follower_waits_for_the_next_record_of_another_process_and_can_be_ended)
{
	struct platform p = platform_open(NULL);
	nova_interrupt_t *interrupt;
	pthread_t thread;
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	struct found f = find(p.nova, NULL);
	uint64_t newest = f.list[0]->number;
	found_free(&f);
	pid_t child = fork();
	if (child == 0) {
		nova_t *nova;
		nova_result_t *r;
		int code = nova_open(p.config, &nova, NULL);
		if (code == 0)
			code = nova_invoke(nova, "f", "{}", NULL, &r, NULL);
		nova_close(nova);
		_exit(code < 0);
	}
	f = find(p.nova,
		LIST_OPTS(.order = NOVA_INVOCATION_OLDEST, .cursor = newest, .wait_ms = 100000));
	ck_assert_uint_eq(f.count, 1);
	ck_assert_uint_gt(f.list[0]->number, newest);
	found_free(&f);
	waitpid(child, NULL, 0);
	f = find(p.nova, LIST_OPTS(.function = "none", .wait_ms = 1));
	ck_assert_uint_eq(f.count, 0);
	ck_ok(nova_interrupt_new(&interrupt, &error));
	ck_assert_int_eq(pthread_create(&thread, NULL, trigger_soon, interrupt), 0);
	ck_fails(NOVA_ECANCELED,
		nova_invocation_list(p.nova,
			LIST_OPTS(.function = "none", .wait_ms = 100000, .interrupt = interrupt),
			&f.list, &f.count, &error));
	pthread_join(thread, NULL);
	nova_interrupt_free(interrupt);
	platform_close(&p);
}
END_TEST

START_TEST(bad_options_are_refused_by_their_names)
{
	struct platform p = platform_open(NULL);
	const struct {
		nova_invocation_list_opts opts;
		const char *name;
	} bad[] = {
		{ *LIST_OPTS(.function = "\xff"), "function" },
		{ *LIST_OPTS(.request_id = "\xff"), "request_id" },
		{ *LIST_OPTS(.since_us = UINT64_MAX), "since_us" },
		{ *LIST_OPTS(.until_us = UINT64_MAX), "until_us" },
		{ *LIST_OPTS(.cursor = UINT64_MAX), "cursor" },
		{ *LIST_OPTS(.errors = 2), "errors" },
		{ *LIST_OPTS(.order = 2), "order" },
		{ *LIST_OPTS(.limit = 1001), "limit" },
		{ *LIST_OPTS(.wait_ms = UINT32_MAX), "wait_ms" },
		{ *LIST_OPTS(.code = 1), "code" },
	};
	const nova_invocation **list;
	size_t count;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_fails_with(NOVA_EINVAL, bad[i].name,
			nova_invocation_list(p.nova, &bad[i].opts, &list, &count, &error));
	nova_invocation_summary_opts opts = NOVA_INVOCATION_SUMMARY_OPTS_INIT;
	const nova_invocation_summary **summaries;
	opts.until_us = UINT64_MAX;
	ck_fails_with(NOVA_EINVAL, "until_us",
		nova_invocation_summarize(p.nova, &opts, &summaries, &count, &error));
	platform_close(&p);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("invocations");
	TCase *tc = tcase_create("invocations");
	tcase_set_timeout(tc, 200);
	tcase_add_test(tc, a_call_leaves_a_record_of_all_that_is_known_of_it);
	tcase_add_test(tc, every_way_to_call_a_function_leaves_one_record);
	tcase_add_test(tc, what_is_refused_at_once_leaves_none);
	tcase_add_test(tc, calls_that_end_badly_leave_what_they_returned);
	tcase_add_test(tc, a_call_that_is_cancelled_leaves_a_record_wherever_it_is);
	tcase_add_test(tc, a_call_may_be_freed_after_its_platform);
	tcase_add_test(tc, what_a_full_queue_refuses_leaves_none);
	tcase_add_test(tc, long_output_keeps_its_end_and_says_that_it_was_cut);
	tcase_add_test(tc, without_the_log_nothing_is_written);
	tcase_add_test(tc, a_function_that_is_deleted_leaves_its_records);
	tcase_add_test(tc, whoever_ticks_the_pool_writes_within_a_second);
	tcase_add_test(tc, the_thread_of_the_pool_writes_by_itself);
	tcase_add_test(tc, where_nobody_ticks_a_later_call_writes);
	tcase_add_test(tc, closing_writes_what_is_left);
	tcase_add_test(tc, a_program_that_is_killed_loses_the_last_second_at_most);
	tcase_add_test(tc, a_log_that_fails_fails_no_call_and_goes_on_when_it_can);
	tcase_add_test(tc, who_only_reads_goes_on_when_the_file_is_moved_away);
	tcase_add_test(tc, what_has_no_room_is_counted_and_told_by_the_next_record);
	tcase_add_test(tc, old_records_go_and_the_others_stay);
	tcase_add_test(
		tc, a_follower_waits_for_the_next_record_of_another_process_and_can_be_ended);
	tcase_add_test(tc, bad_options_are_refused_by_their_names);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, make_suite);
}
