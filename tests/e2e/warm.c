/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>

#include "platform.h"

START_TEST(with_room_for_one_vm_the_idle_one_makes_place)
{
	struct platform p = platform_open("pool.max_vms", "1", NULL);
	platform_add(p.nova, "a", "shell", "echo 1");
	platform_add(p.nova, "b", "shell", "echo 2");
	platform_answers(p.nova, "a", "1");
	platform_answers(p.nova, "b", "2");
	platform_answers(p.nova, "b", "2");
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 1);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_EXPIRED), 1);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 2);
	platform_close(&p);
}
END_TEST

/* Runs in the call of the only VM there may be, so no other can come free. */
static void call_another(void *userdata, int stream, const void *data, size_t len)
{
	nova_result_t *r;
	(void)stream, (void)data, (void)len;
	ck_failed(NOVA_ELIMIT, NOVA_OUTCOME_NEVER_RAN, "pool.max_vms",
		platform_call(userdata, "b", &r));
	ck_assert_ptr_null(r);
}

START_TEST(a_call_that_finds_no_room_is_told_so_after_its_wait)
{
	struct platform p = platform_open("pool.max_vms", "1", "pool.queue_timeout", "20ms", NULL);
	platform_add(p.nova, "a", "shell", "echo 1");
	platform_add(p.nova, "b", "shell", "echo 2");
	nova_invoke_opts call = NOVA_INVOKE_OPTS_INIT;
	call.on_output = call_another;
	call.userdata = p.nova;
	nova_result_t *r;
	ck_ok(nova_invoke(p.nova, "a", "1", &call, &r, &error));
	nova_result_free(r);
	platform_answers(p.nova, "b", "2");
	platform_close(&p);
}
END_TEST

START_TEST(a_vm_past_its_time_is_ended_by_the_next_tick)
{
	struct platform p = platform_open("pool.idle_ttl", "1ms", "pool.zygotes", "0", NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	for (int64_t ms; (ms = nova_pool_tick(p.pool)) >= 0;)
		sys_poll(NULL, 0, (int)ms);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_EXPIRED), 1);
	platform_answers(p.nova, "f", "1");
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 2);
	platform_close(&p);
}
END_TEST

START_TEST(a_vm_that_was_killed_while_it_waited_is_replaced_unseen)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	nova_result_t *r;
	ck_ok(platform_call(p.nova, "f", &r));
	pid_t pid = vmtest_vmm(nova_result_vm_id(r));
	ck_assert_int_gt(pid, 0);
	int end = vmtest_pidfd(pid);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	vmtest_await_end(end);
	nova_result_free(r);
	ck_ok(platform_call(p.nova, "f", &r));
	ck_assert_int_eq(nova_result_cold_start(r), 1);
	nova_result_free(r);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_DISCARDED), 1);
	platform_close(&p);
}
END_TEST

/* In the thread of the call, when its first word proves that the function runs. */
static void kill_vmm(void *userdata, int stream, const void *data, size_t len)
{
	(void)stream;
	ck_assert_uint_ge(len, 8);
	AUTO_FREE char *id = strndup(data, 8);
	pid_t pid = vmtest_vmm(id);
	ck_assert_int_gt(pid, 0);
	*(int *)userdata = kill(pid, SIGKILL);
}

/* Its hostname is nova-ID in a guest; on the fake engine its working directory has the ID. */
#define SAY_VM_ID                                                                                  \
	"case $(hostname) in nova-*) hostname | cut -c6-;; *) pwd | sed 's/.*fake-//';; esac;"

START_TEST(a_vm_killed_during_a_call_leaves_the_outcome_unknown)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", SAY_VM_ID " case $(cat \"$1\") in 1) sleep 1000;; esac");
	nova_invoke_opts call = NOVA_INVOKE_OPTS_INIT;
	int killed = -1;
	call.on_output = kill_vmm;
	call.userdata = &killed;
	nova_result_t *r;
	ck_failed(NOVA_ELOST, NOVA_OUTCOME_UNKNOWN, "has ended",
		nova_invoke(p.nova, "f", "1", &call, &r, &error));
	ck_assert_ptr_null(r);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_DISCARDED), 1);
	ck_ok(platform_call(p.nova, "f", &r));
	ck_assert_int_eq(nova_result_cold_start(r), 1);
	nova_result_free(r);
	platform_close(&p);
}
END_TEST

/* --- paused while they wait --- */

static void await_pause(const struct platform *p)
{
	struct pollfd due = { nova_pool_fd(p->pool), POLLIN, 0 };
	ck_assert_int_ge(due.fd, 0);
	while (pool_counter(p->pool, NOVA_POOL_PAUSED) == 0) {
		ck_assert_int_eq(sys_poll(&due, 1, 60000), 1);
		nova_pool_tick(p->pool);
	}
}

/* so that the guest's clock would be late by more than it can be fast */
#define STANDS_STILL_MS 200

static void tells_the_time(const char *runtime, const char *source)
{
	struct platform p = platform_open("pool.pause_after", "1ms", NULL);
	platform_add(p.nova, "f", runtime, source);
	for (int i = 0; i < 3; i++) {
		nova_result_t *r;
		uint64_t before = clock_unix_us();
		ck_ok(platform_call(p.nova, "f", &r));
		if (i) {
			uint64_t told = strtoull(nova_result_output(r, NULL), NULL, 10);
			ck_assert_int_eq(nova_result_cold_start(r), 0);
			ck_assert_msg(told + 1000 >= before, "late by %llu us",
				(unsigned long long)(before - told));
		}
		nova_result_free(r);
		await_pause(&p);
		sys_poll(NULL, 0, STANDS_STILL_MS);
	}
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_RESUMED), 2);
	platform_close(&p);
}

#define THE_TIME "import time\ndef handler(event):\n    return time.time_ns() // 1000\n"

START_TEST(a_paused_vm_answers_its_next_call_and_knows_the_time)
{
	tells_the_time("python", THE_TIME);
}
END_TEST

START_TEST(a_paused_vm_with_a_hook_knows_the_time_and_the_hook_does_not_run_again)
{
	tells_the_time("python", "runs = []\ndef after_restore():\n    runs.append(1)\n"
				 "    assert len(runs) == 1\n" THE_TIME);
}
END_TEST

START_TEST(a_vm_that_was_killed_while_it_was_paused_is_replaced_unseen)
{
	struct platform p = platform_open("pool.pause_after", "1ms", NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	nova_result_t *r;
	ck_ok(platform_call(p.nova, "f", &r));
	await_pause(&p);
	pid_t pid = vmtest_vmm(nova_result_vm_id(r));
	ck_assert_int_gt(pid, 0);
	int end = vmtest_pidfd(pid);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	vmtest_await_end(end);
	nova_result_free(r);
	ck_ok(platform_call(p.nova, "f", &r));
	ck_assert_int_eq(nova_result_cold_start(r), 1);
	nova_result_free(r);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_DISCARDED), 1);
	platform_close(&p);
}
END_TEST

/* --- the end, with calls under way --- */

struct drain {
	struct platform *p;
	pthread_t thread;
	int code;
};

static void *drain(void *argument)
{
	struct drain *d = argument;
	d->code = nova_pool_drain(d->p->pool, 60000, NULL);
	return NULL;
}

/* In the call, when its function runs. */
static void begin_drain(void *userdata, int stream, const void *data, size_t len)
{
	struct drain *d = userdata;
	nova_pool_want want = NOVA_POOL_WANT_INIT;
	nova_vm_t *vm;
	(void)stream, (void)data, (void)len;
	ck_assert_int_eq(pthread_create(&d->thread, NULL, drain, d), 0);
	want.key = "other";
	want.queue_timeout_ms = 1;
	for (int code = NOVA_ELIMIT; code != NOVA_ECANCELED;) {
		code = nova_pool_acquire(d->p->pool, &want, &vm, NULL, NULL);
		ck_assert(code == NOVA_ELIMIT || code == NOVA_ECANCELED);
	}
}

START_TEST(draining_waits_for_a_call_that_is_under_way)
{
	struct platform p = platform_open("pool.max_vms", "1", NULL);
	struct drain d = { .p = &p, .code = 1 };
	platform_add(p.nova, "f", "shell", "echo 1");
	nova_invoke_opts call = NOVA_INVOKE_OPTS_INIT;
	call.on_output = begin_drain;
	call.userdata = &d;
	nova_result_t *r;
	ck_ok(nova_invoke(p.nova, "f", "1", &call, &r, &error));
	nova_result_free(r);
	pthread_join(d.thread, NULL);
	ck_assert_int_eq(d.code, 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 0);
	ck_failed(
		NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "closing", platform_call(p.nova, "f", &r));
	platform_close(&p);
}
END_TEST

TCase *pool_cases(void)
{
	TCase *tc = tcase_create("pool");
	tcase_add_test(tc, with_room_for_one_vm_the_idle_one_makes_place);
	tcase_add_test(tc, a_call_that_finds_no_room_is_told_so_after_its_wait);
	tcase_add_test(tc, a_vm_past_its_time_is_ended_by_the_next_tick);
	tcase_add_test(tc, a_vm_that_was_killed_while_it_waited_is_replaced_unseen);
	tcase_add_test(tc, a_vm_killed_during_a_call_leaves_the_outcome_unknown);
	tcase_add_test(tc, a_paused_vm_answers_its_next_call_and_knows_the_time);
	tcase_add_test(tc, a_paused_vm_with_a_hook_knows_the_time_and_the_hook_does_not_run_again);
	tcase_add_test(tc, a_vm_that_was_killed_while_it_was_paused_is_replaced_unseen);
	tcase_add_test(tc, draining_waits_for_a_call_that_is_under_way);
	return tc;
}
