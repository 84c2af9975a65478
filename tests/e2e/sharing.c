/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "platform.h"

#define THREADS 8

/* --- threads --- */

struct caller {
	nova_t *nova;
	pthread_barrier_t *barrier;
	char name[16];
	int calls, code, answers;
	char why[256];
};

/* No assertion here: libcheck's belong to the main thread. */
static void *call_often(void *argument)
{
	struct caller *c = argument;
	pthread_barrier_wait(c->barrier);
	for (int i = 0; i < c->calls && c->code == 0; i++) {
		nova_result_t *r;
		nova_error_t *failure = NULL;
		char payload[16];
		snprintf(payload, sizeof(payload), "%d", i);
		c->code = nova_invoke(c->nova, c->name, payload, NULL, &r, &failure);
		snprintf(c->why, sizeof(c->why), "%s", nova_error_message(failure));
		c->answers += c->code == 0 && !strcmp(nova_result_output(r, NULL), payload);
		nova_error_free(failure);
		nova_result_free(r);
	}
	return NULL;
}

/* Thread i calls the function f(i % functions). */
static void call_from_threads(nova_t *nova, int functions, int calls, int expected)
{
	struct caller callers[THREADS];
	pthread_t threads[THREADS];
	pthread_barrier_t barrier;
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		callers[i] = (struct caller){ .nova = nova, .barrier = &barrier, .calls = calls };
		snprintf(callers[i].name, sizeof(callers[i].name), "f%d", i % functions);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_msg(callers[i].code == expected, "thread %d: %s %s", i,
			nova_code_name(callers[i].code), callers[i].why);
		ck_assert_int_eq(callers[i].answers, expected ? 0 : calls);
	}
	pthread_barrier_destroy(&barrier);
}

static void add_echoes(nova_t *nova, int count)
{
	for (int i = 0; i < count; i++) {
		char name[16], source[64];
		snprintf(name, sizeof(name), "f%d", i);
		snprintf(source, sizeof(source), "cat \"$1\" # %d", i);
		platform_add(nova, name, "shell", source);
	}
}

START_TEST(threads_that_want_one_cold_function_share_its_start)
{
	struct platform p = platform_open(NULL);
	add_echoes(p.nova, 1);
	call_from_threads(p.nova, 1, 1, 0);
	uint64_t started = pool_counter(p.pool, NOVA_POOL_MISSES);
	ck_assert_uint_eq(started + pool_counter(p.pool, NOVA_POOL_HITS), THREADS);
	ck_assert_uint_lt(started, THREADS);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), started);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_BUSY), 0);
	platform_close(&p);
}
END_TEST

START_TEST(a_start_that_fails_fails_for_all_who_waited_for_it)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f0", "python",
		"import no_such_module\ndef handler(event):\n    return 1\n");
	call_from_threads(p.nova, 1, 1, NOVA_EFUNCTION);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_STARTING), 0);
	platform_close(&p);
}
END_TEST

START_TEST(threads_call_many_functions_at_once)
{
	struct platform p = platform_open(NULL);
	add_echoes(p.nova, THREADS);
	call_from_threads(p.nova, THREADS, 4, 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), THREADS);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), THREADS);
	platform_close(&p);
}
END_TEST

/* Three places for eight functions: everybody has to wait for somebody, and nobody for ever. */
START_TEST(threads_that_outnumber_the_vms_take_turns)
{
	struct platform p = platform_open("pool.max_vms", "3", NULL);
	add_echoes(p.nova, THREADS);
	call_from_threads(p.nova, THREADS, 1, 0);
	ck_assert_uint_le(pool_counter(p.pool, NOVA_POOL_IDLE), 3);
	platform_close(&p);
}
END_TEST

/* --- processes --- */

/* What one of two processes does; its exit status is how far it came. */
static int live_in(const struct platform *p, int number)
{
	nova_t *nova;
	char own[16], source[32];
	snprintf(own, sizeof(own), "own%d", number);
	if (nova_open(p->config, &nova, NULL) < 0)
		return 1;
	for (int i = 0; i < 3; i++) {
		nova_result_t *r;
		snprintf(source, sizeof(source), "echo %d%d", number, i);
		nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
		opts.name = own;
		opts.runtime = "shell";
		opts.code = source;
		opts.code_len = strlen(source);
		opts.flags = NOVA_REGISTER_REPLACE;
		if (nova_function_register(nova, &opts, NULL, NULL) < 0)
			return 2;
		if (nova_invoke(nova, own, NULL, NULL, &r, NULL) < 0 ||
			strcmp(nova_result_output(r, NULL), source + 5) != 0)
			return 3;
		nova_result_free(r);
		if (nova_invoke(nova, "f0", "7", NULL, &r, NULL) < 0 ||
			strcmp(nova_result_output(r, NULL), "7") != 0)
			return 4;
		nova_result_free(r);
	}
	if (nova_function_delete(nova, own, 0, NULL) < 0)
		return 5;
	nova_close(nova);
	return 0;
}

START_TEST(two_processes_share_one_state_directory)
{
	struct platform p = platform_open(NULL);
	add_echoes(p.nova, 1);
	pid_t pids[2];
	for (int i = 0; i < 2; i++)
		if ((pids[i] = fork()) == 0)
			_exit(live_in(&p, i + 1));
	for (int i = 0; i < 2; i++) {
		int status;
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	nova_function_t **list;
	size_t count;
	ck_ok(nova_function_list(p.nova, NULL, &list, &count, &error));
	ck_assert_uint_eq(count, 1);
	nova_function_list_free(list, count);
	platform_answers(p.nova, "f0", "{}");
	platform_close(&p);
}
END_TEST

/* A fork may exit, and a garbage collector in it may close what it inherited: neither is the
 * parent's loss. */
START_TEST(a_fork_of_the_host_harms_nothing)
{
	struct platform p = platform_open(NULL);
	add_echoes(p.nova, 1);
	nova_result_t *r;
	ck_ok(platform_call(p.nova, "f0", &r));
	nova_result_free(r);
	pid_t pid = fork();
	if (pid == 0) {
		nova_error_t *failure = NULL;
		bool refused = nova_invoke(p.nova, "f0", "1", NULL, &r, &failure) == NOVA_EBUSY &&
			       strstr(nova_error_message(failure), "fork");
		nova_error_free(failure);
		nova_close(p.nova);
		_exit(refused ? 0 : 1);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_ok(platform_call(p.nova, "f0", &r));
	ck_assert_int_eq(nova_result_cold_start(r), 0);
	nova_result_free(r);
	platform_close(&p);
}
END_TEST

/* --- kill -9 --- */

static void say_so(void *userdata, int stream, const void *data, size_t len)
{
	(void)stream, (void)data, (void)len;
	sys_write_all(*(int *)userdata, "!", 1);
}

static int be_a_host(const struct platform *p, int pipe)
{
	nova_t *nova;
	nova_result_t *r;
	if (nova_open(p->config, &nova, NULL) < 0)
		return 1;
	nova_invoke_opts call = NOVA_INVOKE_OPTS_INIT;
	call.on_output = say_so;
	call.userdata = &pipe;
	nova_invoke(nova, "sleeper", NULL, &call, &r, NULL);
	return 2;
}

#define MAX_PROCESSES 16

/* pidfds of every process below the one given, and of what they have started in turn. */
static size_t descendants(pid_t of, int fds[MAX_PROCESSES], size_t count)
{
	char **names;
	int found = fs_list("/proc", &names);
	for (int i = 0; i < found; i++) {
		AUTO_FREE char *path = str_format("/proc/%s/stat", names[i]);
		AUTO_BUF struct buf text = BUF_INIT(4096);
		int pid = atoi(names[i]), parent = 0;
		if (!pid || fs_read_file(path, &text) < 0)
			continue;
		AUTO_FREE char *stat = buf_steal_str(&text);
		char *behind = stat ? strrchr(stat, ')') : NULL;
		if (!behind || sscanf(behind + 1, " %*c %d", &parent) != 1 || parent != of ||
			count == MAX_PROCESSES)
			continue;
		fds[count++] = vmtest_pidfd(pid);
		count = descendants(pid, fds, count);
	}
	strv_free(names, (size_t)found);
	return count;
}

START_TEST(a_host_killed_during_a_call_leaves_nothing)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "sleeper", "shell", "echo running; sleep 1000 & sleep 1000");
	int ends[2], status, pidfds[MAX_PROCESSES];
	ck_assert_int_eq(sys_pipe(ends), 0);
	pid_t host = fork();
	if (host == 0)
		_exit(be_a_host(&p, ends[1]));
	char byte;
	ck_assert_int_eq(sys_read(ends[0], &byte, 1), 1);
	AUTO_FREE char *mark = str_format("%s/run/%d-", p.dir, (int)host);
	pid_t keeper = vmtest_process(mark);
	ck_assert_int_gt(keeper, 0);
	pidfds[0] = vmtest_pidfd(keeper);
	size_t count = descendants(keeper, pidfds, 1);
	ck_assert_uint_ge(count, 2);
	ck_assert_int_eq(kill(host, SIGKILL), 0);
	ck_assert_int_eq(waitpid(host, &status, 0), host);
	for (size_t i = 0; i < count; i++)
		vmtest_await_end(pidfds[i]);
	fd_close(ends[0]);
	fd_close(ends[1]);
	ck_assert_int_eq(vmtest_process(mark), 0);
	platform_close(&p);
}
END_TEST

/* With the keeper gone too, the kernel ends the VMM, and the next start removes the directory. */
START_TEST(a_host_killed_together_with_its_keeper_is_cleared_up_by_the_next)
{
	if (is_fake())
		return; /* its functions are in no machine that would end with the agent */
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "sleeper", "shell", "echo running; sleep 1000");
	int ends[2], status, pidfds[MAX_PROCESSES];
	ck_assert_int_eq(sys_pipe(ends), 0);
	pid_t host = fork();
	if (host == 0)
		_exit(be_a_host(&p, ends[1]));
	char byte;
	ck_assert_int_eq(sys_read(ends[0], &byte, 1), 1);
	AUTO_FREE char *mark = str_format("%s/run/%d-", p.dir, (int)host);
	pid_t keeper = vmtest_process(mark);
	ck_assert_int_gt(keeper, 0);
	pidfds[0] = vmtest_pidfd(keeper);
	size_t count = descendants(keeper, pidfds, 1);
	ck_assert_int_eq(kill(keeper, SIGSTOP), 0); /* it shall not tidy up between the two */
	ck_assert_int_eq(kill(host, SIGKILL), 0);
	ck_assert_int_eq(kill(keeper, SIGKILL), 0);
	ck_assert_int_eq(waitpid(host, &status, 0), host);
	for (size_t i = 0; i < count; i++)
		vmtest_await_end(pidfds[i]);
	nova_t *next;
	ck_ok(nova_open(p.config, &next, &error));
	nova_close(next);
	fd_close(ends[0]);
	fd_close(ends[1]);
	platform_close(&p);
}
END_TEST

TCase *sharing_cases(void)
{
	TCase *tc = tcase_create("sharing");
	tcase_add_test(tc, threads_that_want_one_cold_function_share_its_start);
	tcase_add_test(tc, a_start_that_fails_fails_for_all_who_waited_for_it);
	tcase_add_test(tc, threads_call_many_functions_at_once);
	tcase_add_test(tc, threads_that_outnumber_the_vms_take_turns);
	tcase_add_test(tc, two_processes_share_one_state_directory);
	tcase_add_test(tc, a_fork_of_the_host_harms_nothing);
	tcase_add_test(tc, a_host_killed_during_a_call_leaves_nothing);
	tcase_add_test(tc, a_host_killed_together_with_its_keeper_is_cleared_up_by_the_next);
	return tc;
}
