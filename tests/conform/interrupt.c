/* SPDX-License-Identifier: MIT */
/* Tokens: a signal handler triggers one at random instants of every kind of call; what is said of
 * the outcome must be true. */
#include <dirent.h>
#include <sys/time.h>

#include "callers.h"

/* Each run of the function makes a file longer by one byte, then it takes its time. */
#define MARKS "printf x >> %s; sleep 0.05; echo 1\n"

static nova_interrupt_t *token;

static void on_alarm(int number)
{
	(void)number;
	nova_interrupt_trigger(token);
}

static unsigned instants(void)
{
	const char *is_long = getenv("NOVA_TEST_LONG");
	return is_long && *is_long ? 200 : 8;
}

static void seed(void)
{
	const char *given = getenv("NOVA_TEST_SEED");
	unsigned value = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)getpid();
	fprintf(stderr, "# seed %u (NOVA_TEST_SEED)\n", value);
	srandom(value);
}

/* A new token, which a signal triggers within that time. */
static void arm(unsigned most_us)
{
	struct itimerval when = { .it_value = { 0, 1 + random() % (long)most_us } };
	ck_ok(nova_interrupt_new(&token, &error));
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &when, NULL);
}

static void disarm(void)
{
	struct itimerval never = { .it_value = { 0, 0 } };
	setitimer(ITIMER_REAL, &never, NULL);
	nova_interrupt_free(STEAL(token));
}

static size_t descriptors(void)
{
	size_t count = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static uint64_t marks(const char *path)
{
	uint64_t size = 0;
	return fs_stat(path, &size, NULL) == 0 ? size : 0;
}

/* What a call said of its outcome against what it left behind. */
static void judge(int code, const nova_error_t *failure, uint64_t runs)
{
	int outcome = nova_error_outcome(failure);
	ck_assert_msg(code == 0 || code == NOVA_ECANCELED, "%s: %s", nova_code_name(code),
		nova_error_message(failure));
	ck_assert_uint_le(runs, 1);
	if (code == 0)
		ck_assert_uint_eq(runs, 1);
	else if (outcome == NOVA_OUTCOME_NEVER_RAN)
		ck_assert_uint_eq(runs, 0);
}

START_TEST(a_function_is_interrupted_at_any_instant_and_its_outcome_is_true)
{
	char mark[64];
	snprintf(mark, sizeof(mark), "/tmp/nova-mark-%d", (int)getpid());
	unlink(mark);
	AUTO_FREE char *source = str_format(MARKS, mark);
	struct setting s = set_up("shell", source, 1);
	seed();
	size_t before = descriptors();
	for (unsigned i = 0; i < instants(); i++) {
		nova_vm_invoke_opts opts = NOVA_VM_INVOKE_OPTS_INIT;
		nova_result_t *result = NULL;
		nova_error_t *failure = NULL;
		uint64_t had = marks(mark);
		arm(80000);
		opts.interrupt = token;
		int code = nova_vm_invoke(s.vm, "{}", &opts, &result, &failure);
		disarm();
		judge(code, failure, marks(mark) - had);
		ck_assert(code == 0 || nova_error_outcome(failure) != NOVA_OUTCOME_RAN || result);
		nova_error_free(failure);
		nova_result_free(result);
		ck_ok(nova_vm_ping(s.vm, 0, NULL, &error));
	}
	ck_assert_uint_eq(descriptors(), before);
	unlink(mark);
	tear_down(&s);
}
END_TEST

/* --- other calls of a VM --- */

/* Each frees what it was given. */
typedef int (*vm_call_fn)(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure);

static int call_init(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure)
{
	nova_vm_init_opts opts = NOVA_VM_INIT_OPTS_INIT;
	opts.runtime = "shell";
	opts.interrupt = stop;
	return nova_vm_init(vm, &opts, failure);
}

static int call_command(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure)
{
	const char *const argv[] = { "sleep", "0.01" };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	nova_result_t *result = NULL;
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	opts.interrupt = stop;
	int code = nova_vm_command(vm, &opts, &result, failure);
	ck_assert(code < 0 || result);
	nova_result_free(result);
	return code;
}

static int call_ping(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure)
{
	return nova_vm_ping(
		vm, 0, &(nova_wait_opts){ sizeof(nova_wait_opts), .interrupt = stop }, failure);
}

static int call_pause(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure)
{
	const nova_wait_opts wait = { sizeof(wait), .interrupt = stop };
	int code = nova_vm_pause(vm, &wait, failure);
	if (code == 0)
		code = nova_vm_resume(vm, &wait, failure);
	nova_vm_resume(vm, NULL, NULL);
	return code;
}

#define FILE_SIZE (2u << 20) /* several pieces */
static char file_data[FILE_SIZE];

static char *file_of(nova_vm_t *vm)
{
	return str_format("/tmp/nova-file-%d-%s", (int)getpid(), nova_vm_id(vm));
}

static int call_write(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure)
{
	AUTO_FREE char *path = file_of(vm);
	const nova_file_write_opts opts = { sizeof(opts), .mode = 0600, .interrupt = stop };
	return nova_vm_write_file(vm, path, file_data, FILE_SIZE, &opts, failure);
}

static int call_read(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure)
{
	AUTO_FREE char *path = file_of(vm);
	const nova_file_read_opts opts = { sizeof(opts), .max_size = FILE_SIZE, .interrupt = stop };
	void *data = NULL;
	size_t len = 0;
	int code = nova_vm_read_file(vm, path, &opts, &data, &len, failure);
	ck_assert(code < 0 || len == FILE_SIZE);
	nova_free(data);
	return code;
}

static int call_list(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure)
{
	const nova_wait_opts wait = { sizeof(wait), .interrupt = stop };
	nova_files_t *files = NULL;
	int code = nova_vm_list_files(vm, "/etc", 1, &wait, &files, failure);
	nova_files_free(files);
	return code;
}

static int call_remove(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure)
{
	AUTO_FREE char *path = file_of(vm);
	const nova_wait_opts wait = { sizeof(wait), .interrupt = stop };
	return nova_vm_remove_file(vm, path, &wait, failure);
}

static const struct {
	const char *name;
	vm_call_fn call;
	bool needs_file;
} vm_calls[] = {
	{ "init", call_init, false },
	{ "command", call_command, false },
	{ "ping", call_ping, false },
	{ "pause", call_pause, false },
	{ "write", call_write, false },
	{ "read", call_read, true },
	{ "list", call_list, false },
	{ "remove", call_remove, true },
};

static void prepare(nova_vm_t *vm, int which)
{
	if (vm_calls[which].needs_file)
		ck_ok(call_write(vm, NULL, &error));
}

/* What the instants are spread over. */
static unsigned twice_its_time(nova_vm_t *vm, int which)
{
	prepare(vm, which);
	uint64_t begin = clock_ns();
	ck_ok(vm_calls[which].call(vm, NULL, &error));
	return (unsigned)us_since(begin) * 2;
}

/* The function is given anew where that was interrupted; then all goes as ever. */
static void vm_is_of_use(nova_vm_t *vm)
{
	nova_result_t *result;
	ck_ok(call_init(vm, NULL, &error));
	ck_ok(nova_vm_invoke(vm, "{}", NULL, &result, &error));
	ck_assert_str_eq(nova_result_output(result, NULL), "1");
	nova_result_free(result);
}

START_TEST(every_call_of_a_vm_is_interrupted_at_any_instant_and_the_vm_is_of_use)
{
	struct setting s = set_up("shell", "echo 1", 1);
	AUTO_FREE char *file = file_of(s.vm);
	seed();
	unsigned most_us = twice_its_time(s.vm, _i), interrupted = 0;
	size_t before = descriptors();
	for (unsigned i = 0; i < instants(); i++) {
		nova_error_t *failure = NULL;
		prepare(s.vm, _i);
		arm(most_us);
		int code = vm_calls[_i].call(s.vm, token, &failure);
		disarm();
		ck_assert_msg(code == 0 || code == NOVA_ECANCELED, "%s: %s: %s", vm_calls[_i].name,
			nova_code_name(code), nova_error_message(failure));
		interrupted += code != 0;
		nova_error_free(failure);
		vm_is_of_use(s.vm);
	}
	fprintf(stderr, "# %s: %u of %u interrupted\n", vm_calls[_i].name, interrupted, instants());
	ck_assert_uint_eq(descriptors(), before);
	unlink(file);
	tear_down(&s);
}
END_TEST

START_TEST(every_call_of_a_vm_ends_before_it_begins_with_a_triggered_token)
{
	struct setting s = set_up("shell", "echo 1", 1);
	AUTO_FREE char *file = file_of(s.vm);
	nova_interrupt_t *stop;
	ck_ok(nova_interrupt_new(&stop, &error));
	nova_interrupt_trigger(stop);
	ck_failed(
		NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "", vm_calls[_i].call(s.vm, stop, &error));
	vm_is_of_use(s.vm);
	nova_interrupt_free(stop);
	unlink(file);
	tear_down(&s);
}
END_TEST

START_TEST(a_trigger_after_the_call_does_nothing)
{
	struct setting s = set_up("shell", "echo 1", 1);
	nova_interrupt_t *stop;
	ck_ok(nova_interrupt_new(&stop, &error));
	for (int i = 0; i < (int)ARRAY_LEN(vm_calls); i++) {
		prepare(s.vm, i);
		ck_ok(vm_calls[i].call(s.vm, stop, &error));
	}
	nova_interrupt_trigger(stop);
	vm_is_of_use(s.vm);
	nova_interrupt_free(stop);
	tear_down(&s);
}
END_TEST

/* --- starts --- */

START_TEST(a_start_is_interrupted_at_any_instant_and_leaves_nothing)
{
	struct setting s = set_up("shell", "echo 1", 1);
	seed();
	size_t before = descriptors();
	for (unsigned i = 0; i < instants(); i++) {
		nova_vm_opts opts = NOVA_VM_OPTS_INIT;
		nova_vm_t *vm = NULL;
		nova_error_t *failure = NULL;
		arm(20000);
		opts.interrupt = token;
		int code = nova_vm_start(s.host, &opts, &vm, &failure);
		disarm();
		ck_assert_msg(
			code == 0 || code == NOVA_ECANCELED, "%s", nova_error_message(failure));
		ck_assert((code == 0) == (vm != NULL));
		nova_error_free(failure);
		nova_vm_free(vm);
	}
	ck_assert_uint_eq(descriptors(), before);
	tear_down(&s);
}
END_TEST

START_TEST(a_call_of_the_platform_is_interrupted_at_any_instant_and_its_outcome_is_true)
{
	char mark[64];
	snprintf(mark, sizeof(mark), "/tmp/nova-mark-%d", (int)getpid());
	unlink(mark);
	AUTO_FREE char *source = str_format(MARKS, mark);
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "marks", "shell", source);
	seed();
	for (unsigned i = 0; i < instants(); i++) {
		nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
		nova_result_t *result = NULL;
		nova_error_t *failure = NULL;
		uint64_t had = marks(mark);
		opts.flags = i % 2 ? 0 : NOVA_INVOKE_FRESH;
		arm(150000);
		opts.interrupt = token;
		int code = nova_invoke(p.nova, "marks", "{}", &opts, &result, &failure);
		disarm();
		judge(code, failure, marks(mark) - had);
		nova_error_free(failure);
		nova_result_free(result);
	}
	platform_answers(p.nova, "marks", "1");
	unlink(mark);
	platform_close(&p);
}
END_TEST

START_TEST(a_triggered_token_ends_calls_before_they_begin_and_no_other)
{
	struct setting s = set_up("shell", "echo 1", 1);
	nova_interrupt_t *stop = NULL;
	nova_result_t *result = NULL;
	nova_vm_t *vm = NULL;
	nova_files_t *files = NULL;
	ck_ok(nova_interrupt_new(&stop, &error));
	nova_interrupt_trigger(stop);
	nova_interrupt_trigger(NULL);
	const nova_wait_opts wait = { sizeof(wait), .interrupt = stop };
	nova_vm_invoke_opts invoke = NOVA_VM_INVOKE_OPTS_INIT;
	nova_vm_opts start = NOVA_VM_OPTS_INIT;
	invoke.interrupt = start.interrupt = stop;
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "cancelled",
		nova_vm_invoke(s.vm, "{}", &invoke, &result, &error));
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "interrupted",
		nova_vm_start(s.host, &start, &vm, &error));
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "interrupted",
		nova_vm_ping(s.vm, 0, &wait, &error));
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "interrupted",
		nova_vm_pause(s.vm, &wait, &error));
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "interrupted",
		nova_vm_list_files(s.vm, "/tmp", 1, &wait, &files, &error));
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "interrupted",
		nova_vm_stop(s.vm, 0, &wait, &error));
	ck_ok(nova_vm_ping(s.vm, 0, NULL, &error));
	nova_interrupt_free(stop);
	tear_down(&s);
}
END_TEST

static void *wait_for_turn(void *argument)
{
	struct caller *c = argument;
	const nova_wait_opts wait = { sizeof(wait), .interrupt = token };
	c->code = nova_vm_pause(c->vm, &wait, &c->failure);
	return NULL;
}

START_TEST(who_waits_for_a_turn_is_interrupted_and_the_call_before_it_goes_on)
{
	struct setting s = set_up_waiting("shell", 1);
	struct caller running = { .vm = NULL }, waiting = { .vm = s.vm };
	begin(&running, s.vm);
	await(&running.begun);
	ck_ok(nova_interrupt_new(&token, &error));
	ck_assert_int_eq(pthread_create(&waiting.thread, NULL, wait_for_turn, &waiting), 0);
	await_line(s.vm);
	nova_interrupt_trigger(token);
	pthread_join(waiting.thread, NULL);
	ck_assert_int_eq(waiting.code, NOVA_ECANCELED);
	nova_error_free(waiting.failure);
	ck_assert_int_eq(fs_write_file(go, "", 0, 0600), 0);
	pthread_join(running.thread, NULL);
	ck_assert_int_eq(running.code, 0);
	nova_result_free(running.result);
	nova_interrupt_free(STEAL(token));
	tear_down(&s);
}
END_TEST

/* --- clones and snapshots: where the engine has them --- */

static nova_snapshot_t *to_restore;
static nova_vm_t *branch;
static nova_host_t *host;

static int call_fork(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure)
{
	const nova_wait_opts wait = { sizeof(wait), .interrupt = stop };
	nova_vm_t *child = NULL;
	int code = nova_vm_fork(vm, 1, &wait, &child, failure);
	ck_assert((code == 0) == (child != NULL));
	nova_vm_free(child);
	return code;
}

static int call_snapshot(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure)
{
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	nova_snapshot_t *snapshot = NULL;
	opts.name = "interrupted";
	opts.interrupt = stop;
	int code = nova_vm_snapshot(vm, &opts, &snapshot, failure);
	ck_assert((code == 0) == (snapshot != NULL));
	nova_snapshot_free(snapshot);
	int deleted = nova_snapshot_delete(host, opts.name, NULL);
	ck_assert_int_eq(deleted, code == 0 ? 0 : NOVA_ENOTFOUND);
	return code;
}

static int call_restore(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure)
{
	const nova_wait_opts wait = { sizeof(wait), .interrupt = stop };
	nova_vm_t *restored = NULL;
	(void)vm;
	int code = nova_vm_restore(host, to_restore, &wait, &restored, failure);
	ck_assert((code == 0) == (restored != NULL));
	nova_vm_free(restored);
	return code;
}

static int call_merge(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure)
{
	nova_merge_opts opts = NOVA_MERGE_OPTS_INIT;
	nova_vm_t *merged = NULL;
	opts.branches = &branch;
	opts.branch_count = 1;
	opts.interrupt = stop;
	int code = nova_vm_merge(vm, &opts, &merged, NULL, failure);
	ck_assert((code == 0) == (merged != NULL));
	nova_vm_free(merged);
	return code;
}

static int call_invoke(nova_vm_t *vm, nova_interrupt_t *stop, nova_error_t **failure)
{
	nova_vm_invoke_opts opts = NOVA_VM_INVOKE_OPTS_INIT;
	nova_result_t *result = NULL;
	opts.interrupt = stop;
	int code = nova_vm_invoke(vm, "{}", &opts, &result, failure);
	nova_result_free(result);
	return code;
}

static void interrupt_call(nova_vm_t *vm, const char *name, vm_call_fn make)
{
	nova_error_t *failure = NULL;
	unsigned interrupted = 0, most = (instants() + 1) / 3;
	uint64_t begin = clock_ns();
	ck_ok(make(vm, NULL, &error));
	unsigned twice = (unsigned)us_since(begin) * 2;
	size_t before = descriptors();
	for (unsigned i = 0; i < most; i++) {
		arm(twice);
		int code = make(vm, token, &failure);
		disarm();
		ck_assert_msg(code == 0 || code == NOVA_ECANCELED, "%s: %s: %s", name,
			nova_code_name(code), nova_error_message(failure));
		interrupted += code != 0;
		nova_error_free(STEAL(failure));
		ck_ok(call_invoke(vm, NULL, &error));
	}
	fprintf(stderr, "# %s: %u of %u interrupted\n", name, interrupted, most);
	ck_assert_uint_eq(descriptors(), before);
	ck_ok(make(vm, NULL, &error));
}

START_TEST(clones_and_snapshots_are_interrupted_at_any_instant_and_leave_nothing)
{
	struct setting s = set_up("shell", "echo 1", 1);
	host = s.host;
	ck_ok(nova_vm_fork(s.vm, 1, NULL, &branch, &error));
	ck_ok(nova_vm_snapshot(s.vm, NULL, &to_restore, &error));
	seed();
	interrupt_call(s.vm, "invoke", call_invoke);
	interrupt_call(s.vm, "fork", call_fork);
	interrupt_call(s.vm, "snapshot", call_snapshot);
	interrupt_call(s.vm, "restore", call_restore);
	interrupt_call(s.vm, "merge", call_merge);
	nova_vm_free(branch);
	nova_snapshot_free(to_restore);
	tear_down(&s);
}
END_TEST

/* --- pool and instances --- */

START_TEST(taking_a_vm_from_the_pool_is_interrupted_at_any_instant)
{
	struct platform p = platform_open(NULL);
	nova_pool_want want = NOVA_POOL_WANT_INIT;
	nova_vm_t *vm;
	want.key = "empty";
	want.flags = NOVA_POOL_FRESH;
	ck_ok(nova_pool_acquire(p.pool, &want, &vm, NULL, &error)); /* the keeper is there now */
	nova_pool_release(p.pool, vm, 0);
	seed();
	size_t before = descriptors();
	for (unsigned i = 0; i < instants(); i++) {
		nova_error_t *failure = NULL;
		arm(20000);
		want.interrupt = token;
		int code = nova_pool_acquire(p.pool, &want, &vm, NULL, &failure);
		disarm();
		ck_assert_msg(
			code == 0 || code == NOVA_ECANCELED, "%s", nova_error_message(failure));
		if (code == 0)
			nova_pool_release(p.pool, vm, 0);
		nova_error_free(failure);
	}
	want.interrupt = NULL;
	ck_ok(nova_pool_acquire(p.pool, &want, &vm, NULL, &error));
	nova_pool_release(p.pool, vm, 0);
	ck_assert_uint_eq(descriptors(), before);
	platform_close(&p);
}
END_TEST

static int start_instance(
	nova_t *nova, nova_interrupt_t *stop, nova_instance_t **ret, nova_error_t **failure)
{
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	opts.function = "marks";
	opts.interrupt = stop;
	return nova_instance_start(nova, &opts, ret, failure);
}

START_TEST(the_start_of_an_instance_is_interrupted_at_any_instant_and_leaves_none)
{
	struct platform p = platform_open(NULL);
	nova_instance_t **list = NULL;
	size_t count;
	platform_add(p.nova, "marks", "shell", "echo 1");
	seed();
	for (unsigned i = 0; i < instants(); i++) {
		nova_instance_t *instance = NULL;
		nova_error_t *failure = NULL;
		arm(30000);
		int code = start_instance(p.nova, token, &instance, &failure);
		disarm();
		ck_assert_msg(
			code == 0 || code == NOVA_ECANCELED, "%s", nova_error_message(failure));
		ck_ok(nova_instance_list(p.nova, &list, &count, &error));
		ck_assert_uint_eq(count, code == 0);
		nova_instance_list_free(list, count);
		if (code == 0)
			ck_ok(nova_instance_stop(instance, 0, &error));
		nova_instance_free(instance);
		nova_error_free(failure);
	}
	platform_close(&p);
}
END_TEST

START_TEST(a_call_of_an_instance_is_interrupted_at_any_instant_and_the_instance_stays)
{
	char mark[64];
	snprintf(mark, sizeof(mark), "/tmp/nova-mark-%d", (int)getpid());
	unlink(mark);
	AUTO_FREE char *source = str_format(MARKS, mark);
	struct platform p = platform_open(NULL);
	nova_instance_t *instance;
	nova_result_t *result = NULL;
	platform_add(p.nova, "marks", "shell", source);
	ck_ok(start_instance(p.nova, NULL, &instance, &error));
	seed();
	size_t before = descriptors();
	for (unsigned i = 0; i < instants(); i++) {
		nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
		nova_error_t *failure = NULL;
		uint64_t had = marks(mark);
		arm(80000);
		opts.interrupt = token;
		opts.instance = instance;
		int code = nova_invoke(p.nova, NULL, "{}", &opts, &result, &failure);
		disarm();
		judge(code, failure, marks(mark) - had);
		nova_error_free(failure);
		nova_result_free(STEAL(result));
	}
	ck_ok(nova_vm_invoke(nova_instance_vm(instance), "{}", NULL, &result, &error));
	nova_result_free(result);
	ck_assert_uint_eq(descriptors(), before);
	ck_ok(nova_instance_stop(instance, 0, &error));
	nova_instance_free(instance);
	unlink(mark);
	platform_close(&p);
}
END_TEST

START_TEST(collecting_without_limit_is_interrupted)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *queue = NULL;
	nova_call_t *call = NULL;
	ck_ok(nova_queue_new(p.nova, NULL, &queue, &error));
	arm(50000);
	const nova_wait_opts wait = { sizeof(wait), .interrupt = token };
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "interrupted",
		nova_queue_collect(queue, UINT32_MAX, &wait, &call, &error));
	disarm();
	nova_queue_free(queue);
	platform_close(&p);
}
END_TEST

static Suite *interrupt_suite(void)
{
	Suite *suite = suite_create("interrupt");
	TCase *tc = tcase_create("interrupt");
	tcase_set_timeout(tc, 300);
	suite_add_tcase(suite, tc);
	if (!is_fake()) {
		tcase_add_test(
			tc, clones_and_snapshots_are_interrupted_at_any_instant_and_leave_nothing);
		return suite;
	}
	tcase_add_test(tc, a_triggered_token_ends_calls_before_they_begin_and_no_other);
	tcase_add_test(tc, a_function_is_interrupted_at_any_instant_and_its_outcome_is_true);
	tcase_add_loop_test(tc,
		every_call_of_a_vm_is_interrupted_at_any_instant_and_the_vm_is_of_use, 0,
		ARRAY_LEN(vm_calls));
	tcase_add_loop_test(tc, every_call_of_a_vm_ends_before_it_begins_with_a_triggered_token, 0,
		ARRAY_LEN(vm_calls));
	tcase_add_test(tc, a_trigger_after_the_call_does_nothing);
	tcase_add_test(tc, a_start_is_interrupted_at_any_instant_and_leaves_nothing);
	tcase_add_test(tc, taking_a_vm_from_the_pool_is_interrupted_at_any_instant);
	tcase_add_test(tc, the_start_of_an_instance_is_interrupted_at_any_instant_and_leaves_none);
	tcase_add_test(
		tc, a_call_of_an_instance_is_interrupted_at_any_instant_and_the_instance_stays);
	tcase_add_test(
		tc, a_call_of_the_platform_is_interrupted_at_any_instant_and_its_outcome_is_true);
	tcase_add_test(tc, who_waits_for_a_turn_is_interrupted_and_the_call_before_it_goes_on);
	tcase_add_test(tc, collecting_without_limit_is_interrupted);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, interrupt_suite);
}
