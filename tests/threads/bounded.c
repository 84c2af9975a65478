/* SPDX-License-Identifier: MIT */
/*
 * What ends something returns soon, whatever that is busy with: starts of VMs whose guest hangs,
 * VMMs that stand still, functions that do not end. Nothing here would end by itself within an
 * hour, so each test is its own clock: it returns, or the limit ends it.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include "vmtest.h"

#define HANG_S 50 /* ten times what is promised */

/* --- guests that hang at boot --- */

/* An agent that never says that it is ready. Its processes can be found by their directory. */
static char *hanging_agent(void)
{
	static const char script[] = "#!/bin/sh\nexec sleep 100000\n";
	char *directory = test_dir();
	AUTO_FREE char *path = path_join(directory, "agent");
	ck_assert_int_eq(fs_write_file(path, script, sizeof(script) - 1, 0755), 0);
	ck_assert_int_eq(setenv("NOVA_AGENT", path, 1), 0);
	return directory;
}

static struct platform open_hanging(char **ret_directory, const char *thread)
{
	*ret_directory = hanging_agent();
	struct platform p = platform_open("qemu.boot_timeout", "3600s", "pool.queue_timeout",
		"3600s", "pool.thread", thread, NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	return p;
}

static void close_hanging(struct platform *p, char *directory)
{
	platform_close(p);
	test_dir_remove(directory);
}

static void await_count(nova_pool_t *pool, int counter, uint64_t least)
{
	while (pool_counter(pool, counter) < least)
		sys_poll(NULL, 0, 1);
}

START_TEST(a_queue_is_freed_while_vms_start_for_its_calls)
{
	char *directory;
	struct platform p = open_hanging(&directory, "off");
	nova_queue_t *q;
	ck_ok(nova_queue_new(p.nova, NULL, &q, &error));
	for (int i = 0; i < 4; i++)
		ck_ok(nova_queue_submit(q, "f", "{}", NULL, NULL, &error));
	await_count(p.pool, NOVA_POOL_STARTING, 1);
	nova_queue_free(q);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_STARTING), 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MEMORY_MB), 0);
	close_hanging(&p, directory);
}
END_TEST

struct caller {
	struct platform *p;
	pthread_t thread;
	int code, outcome;
};

static void *invoke(void *argument)
{
	struct caller *c = argument;
	nova_result_t *r;
	AUTO_ERROR nova_error_t *failure = NULL;
	c->code = nova_invoke(c->p->nova, "f", "{}", NULL, &r, &failure);
	c->outcome = nova_error_outcome(failure);
	nova_result_free(r);
	return NULL;
}

START_TEST(a_pool_is_drained_while_a_vm_starts_for_a_caller)
{
	char *directory;
	struct platform p = open_hanging(&directory, "off");
	struct caller c = { .p = &p };
	ck_assert_int_eq(pthread_create(&c.thread, NULL, invoke, &c), 0);
	await_count(p.pool, NOVA_POOL_STARTING, 1);
	ck_fails(NOVA_ETIMEDOUT, nova_pool_drain(p.pool, 10, &error));
	pthread_join(c.thread, NULL);
	ck_assert_int_eq(c.code, NOVA_ECANCELED);
	ck_assert_int_eq(c.outcome, NOVA_OUTCOME_NEVER_RAN);
	close_hanging(&p, directory);
}
END_TEST

START_TEST(a_platform_is_closed_while_its_pool_starts_a_vm_to_keep)
{
	char *directory;
	struct platform p = open_hanging(&directory, "on");
	nova_pool_want want = NOVA_POOL_WANT_INIT;
	want.key = "kept";
	ck_ok(nova_pool_keep(p.pool, &want, 2, &error));
	await_count(p.pool, NOVA_POOL_STARTING, 1);
	close_hanging(&p, directory);
}
END_TEST

/* --- VMMs that stand still --- */

/* With functions under way that do not end, each of which has left its number. */
static struct platform open_busy(nova_queue_t **ret_queue, nova_call_t **calls, size_t count)
{
	struct platform p = platform_open("pool.max_vms", "8", NULL);
	AUTO_FREE char *source = str_format("touch '%s/mark-'$(cat \"$1\"); sleep 100000", p.dir);
	platform_add(p.nova, "f", "shell", source);
	ck_ok(nova_queue_new(p.nova, NULL, ret_queue, &error));
	for (size_t i = 0; i < count; i++) {
		char number[8];
		snprintf(number, sizeof(number), "%zu", i);
		ck_ok(nova_queue_submit(*ret_queue, "f", number, NULL, &calls[i], &error));
		AUTO_FREE char *mark = str_format("%s/mark-%zu", p.dir, i);
		while (!fs_exists(mark))
			sys_poll(NULL, 0, 1);
	}
	return p;
}

/* All VMMs of the platform. */
static void stop_vmms(const struct platform *p, int count)
{
	AUTO_FREE char *runs = path_join(p->dir, "run");
	char **names;
	int stopped = 0, n = fs_list("/proc", &names);
	for (int i = 0; i < n; i++) {
		AUTO_FREE char *path = str_format("/proc/%s/cmdline", names[i]);
		AUTO_BUF struct buf line = BUF_INIT(1u << 20);
		if (fs_read_file(path, &line) < 0 || !line.len ||
			!memmem(line.data, line.len, runs, strlen(runs)) ||
			!memmem(line.data, line.len, "nova-agent", 10))
			continue;
		ck_assert_int_eq(kill(atoi(names[i]), SIGSTOP), 0);
		stopped++;
	}
	strv_free(names, (size_t)n);
	ck_assert_int_ge(stopped, count);
}

START_TEST(a_queue_is_freed_while_functions_run_and_do_not_end)
{
	nova_queue_t *q;
	nova_call_t *calls[2];
	struct platform p = open_busy(&q, calls, 2);
	nova_queue_free(q);
	platform_close(&p);
}
END_TEST

START_TEST(a_queue_is_freed_while_the_vmms_of_its_calls_stand_still)
{
	nova_queue_t *q;
	nova_call_t *calls[2];
	struct platform p = open_busy(&q, calls, 2);
	stop_vmms(&p, 2);
	nova_queue_free(q);
	platform_close(&p);
}
END_TEST

START_TEST(a_queue_is_freed_with_calls_in_every_state)
{
	nova_queue_t *q;
	nova_call_t *calls[3], *waits, *freed, *kept;
	struct platform p = open_busy(&q, calls, 3);
	platform_add(p.nova, "quick", "shell", "echo 1");
	ck_ok(nova_queue_submit(q, "quick", "{}", NULL, &kept, &error));
	ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &kept, &error));
	/* is finished, and never collected */
	ck_ok(nova_queue_submit(q, "quick", "{}", NULL, NULL, &error));
	while (nova_queue_count(q, NOVA_QUEUE_FINISHED) < 1)
		sys_poll(NULL, 0, 1);
	ck_ok(nova_queue_submit(q, "f", "9", NULL, &waits, &error));
	ck_ok(nova_queue_submit(q, "f", "8", NULL, &freed, &error));
	nova_call_free(freed);
	ck_ok(nova_call_cancel(calls[0]));
	nova_call_cancel(calls[0]); /* twice */
	nova_call_free(calls[1]);
	nova_queue_free(q);
	ck_assert_int_eq(nova_call_code(kept), 0);
	nova_call_free(kept);
	platform_close(&p);
}
END_TEST

START_TEST(a_platform_is_closed_while_its_idle_vms_and_instances_stand_still)
{
	struct platform p = platform_open(NULL);
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	opts.function = "f";
	ck_ok(nova_instance_start(p.nova, &opts, NULL, &error));
	stop_vmms(&p, 2);
	platform_close(&p);
}
END_TEST

static Suite *bounded_suite(void)
{
	Suite *suite = suite_create("bounded");
	TCase *tc = tcase_create("bounded");
	tcase_set_timeout(tc, HANG_S);
	tcase_add_test(tc, a_queue_is_freed_while_vms_start_for_its_calls);
	tcase_add_test(tc, a_pool_is_drained_while_a_vm_starts_for_a_caller);
	tcase_add_test(tc, a_platform_is_closed_while_its_pool_starts_a_vm_to_keep);
	tcase_add_test(tc, a_queue_is_freed_while_functions_run_and_do_not_end);
	tcase_add_test(tc, a_queue_is_freed_while_the_vmms_of_its_calls_stand_still);
	tcase_add_test(tc, a_queue_is_freed_with_calls_in_every_state);
	tcase_add_test(tc, a_platform_is_closed_while_its_idle_vms_and_instances_stand_still);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, bounded_suite);
}
