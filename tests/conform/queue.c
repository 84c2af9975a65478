/* SPDX-License-Identifier: MIT */
/* Asynchronous calls: nova/call.h. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "gate.h"

/* --- short ways --- */

static nova_queue_t *queue_of(struct platform *p, uint32_t threads, uint32_t max_calls)
{
	nova_queue_opts opts = NOVA_QUEUE_OPTS_INIT;
	nova_queue_t *q;
	opts.threads = threads;
	opts.max_calls = max_calls;
	ck_ok(nova_queue_new(p->nova, &opts, &q, &error));
	return q;
}

static nova_call_t *submit(nova_queue_t *q, const char *name, const char *payload)
{
	nova_call_t *call;
	ck_ok(nova_queue_submit(q, name, payload, NULL, &call, &error));
	return call;
}

/* One whose start await_starts() sees. */
static nova_call_t *submit_waiting(nova_queue_t *q, const char *name, const char *payload)
{
	nova_call_t *call;
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.on_output = note_start;
	ck_ok(nova_queue_submit(q, name, payload, &opts, &call, &error));
	return call;
}

static nova_call_t *collect(nova_queue_t *q)
{
	nova_call_t *call;
	ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &call, &error));
	ck_assert_ptr_nonnull(call);
	ck_assert_int_eq(nova_call_is_finished(call), 1);
	return call;
}

/* The next one to be collected has answered so; frees it. */
static void collect_answer(nova_queue_t *q, const char *output)
{
	nova_call_t *call = collect(q);
	error = nova_call_take_error(call);
	ck_ok(nova_call_code(call));
	nova_result_t *result = nova_call_take_result(call);
	ck_assert_str_eq(nova_result_output(result, NULL), output);
	nova_result_free(result);
	nova_call_free(call);
}

/* The next one to be collected is this one, which failed so; frees it. */
static void collect_failure(
	nova_queue_t *q, nova_call_t *expected, int code, int outcome, const char *part)
{
	nova_call_t *call = collect(q);
	ck_assert_ptr_eq(call, expected);
	error = nova_call_take_error(call);
	ck_failed(code, outcome, part, nova_call_code(call));
	nova_call_free(call);
}

static bool readable(const nova_queue_t *q)
{
	struct pollfd p = { nova_queue_fd(q), POLLIN, 0 };
	return sys_poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

static void collects_nothing(nova_queue_t *q)
{
	nova_call_t *call;
	ck_ok(nova_queue_collect(q, 0, NULL, &call, &error));
	ck_assert_ptr_null(call);
}

/* --- the usual way --- */

START_TEST(a_call_that_was_submitted_is_collected_with_its_answer)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q = queue_of(&p, 0, 0);
	nova_call_t *handed, *call;
	int mine;
	platform_add(p.nova, "echo", "shell", "cat \"$1\"");
	ck_assert_uint_eq(nova_queue_count(q, NOVA_QUEUE_THREADS), 0);
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.userdata = &mine;
	ck_ok(nova_queue_submit(q, "echo", "{\"n\":1}", &opts, &handed, &error));
	ck_assert_uint_eq(nova_queue_count(q, NOVA_QUEUE_THREADS), 1);
	AUTO_FREE char *id = strdup(nova_call_request_id(handed));
	ck_assert_uint_eq(strlen(id), 8);
	call = collect(q);
	ck_assert_ptr_eq(call, handed);
	ck_assert_ptr_eq(nova_call_userdata(call), &mine);
	ck_ok(nova_call_code(call));
	nova_result_t *result = nova_call_take_result(call);
	ck_assert_str_eq(nova_result_output(result, NULL), "{\"n\":1}");
	ck_assert_str_eq(nova_result_request_id(result), id);
	ck_assert_int_eq(nova_result_cold_start(result), 1);
	ck_assert_uint_gt(nova_result_timing_us(result, NOVA_TIMING_TOTAL),
		nova_result_timing_us(result, NOVA_TIMING_EXEC));
	ck_assert_ptr_null(nova_call_take_result(call));
	ck_assert_ptr_null(nova_call_take_error(call));
	nova_queue_free(q);
	ck_assert_str_eq(nova_call_request_id(call), id); /* a collected call outlives its queue */
	ck_assert_int_eq(nova_call_cancel(call), NOVA_EBUSY);
	nova_call_free(call);
	nova_result_free(result);
	platform_close(&p);
}
END_TEST

/* Collects what is there, and notes which answers have come. */
static int collect_numbers(nova_queue_t *q, bool *seen, int count)
{
	int got = 0;
	for (nova_call_t *call; nova_queue_collect(q, 0, NULL, &call, NULL) == 0 && call; got++) {
		error = nova_call_take_error(call);
		ck_ok(nova_call_code(call));
		nova_result_t *result = nova_call_take_result(call);
		int number = atoi(nova_result_output(result, NULL));
		ck_assert_int_lt(number, count);
		ck_assert_ptr_eq(nova_call_userdata(call), &seen[number]);
		ck_assert_msg(!seen[number], "%d has answered twice", number);
		seen[number] = true;
		nova_result_free(result);
		nova_call_free(call);
	}
	return got;
}

START_TEST(one_thread_keeps_a_hundred_calls_in_flight)
{
	struct platform p = platform_open("pool.max_vms", "4", NULL);
	nova_queue_t *q = queue_of(&p, 0, 0);
	const int count = is_fake() ? 100 : 20;
	bool seen[100] = { false };
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	platform_add(p.nova, "echo", "shell", "cat \"$1\"");
	for (int i = 0; i < count; i++) {
		char payload[8];
		snprintf(payload, sizeof(payload), "%d", i);
		opts.userdata = &seen[i];
		ck_ok(nova_queue_submit(q, "echo", payload, &opts, NULL, &error));
	}
	for (int left = count; left;) {
		struct pollfd event = { nova_queue_fd(q), POLLIN, 0 };
		ck_assert_int_ge(sys_poll(&event, 1, -1), 0);
		left -= collect_numbers(q, seen, count);
	}
	ck_assert(!readable(q));
	ck_assert_uint_le(pool_counter(p.pool, NOVA_POOL_MISSES), 4);
	nova_queue_free(q);
	platform_close(&p);
}
END_TEST

START_TEST(the_descriptor_is_readable_exactly_while_something_can_be_collected)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q = queue_of(&p, 1, 0);
	platform_add(p.nova, "echo", "shell", "cat \"$1\"");
	ck_assert(!readable(q));
	collects_nothing(q);
	submit(q, "echo", "1");
	nova_call_t *last = submit(q, "echo", "2");
	while (!nova_call_is_finished(last)) { /* the first one is finished by then */
		struct pollfd event = { nova_queue_fd(q), POLLIN, 0 };
		ck_assert_int_ge(sys_poll(&event, 1, 1), 0);
	}
	ck_assert_uint_eq(nova_queue_count(q, NOVA_QUEUE_FINISHED), 2);
	ck_assert(readable(q));
	ck_assert(readable(q));
	collect_answer(q, "1");
	ck_assert(readable(q));
	collect_answer(q, "2");
	ck_assert(!readable(q));
	collects_nothing(q);
	nova_queue_free(q);
	platform_close(&p);
}
END_TEST

START_TEST(a_function_that_fails_gives_both_its_result_and_its_error)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q = queue_of(&p, 0, 0);
	platform_add(p.nova, "bad", "shell", "echo no such city >&2; exit 3");
	submit(q, "bad", "1");
	nova_call_t *call = collect(q);
	nova_result_t *result = nova_call_take_result(call);
	ck_assert_int_eq(nova_result_exit_code(result), 3);
	error = nova_call_take_error(call);
	ck_failed(NOVA_EFUNCTION, NOVA_OUTCOME_RAN, "no such city", nova_call_code(call));
	ck_assert_ptr_null(nova_call_take_error(call));
	nova_result_free(result);
	nova_call_free(call);
	nova_queue_free(q);
	platform_close(&p);
}
END_TEST

START_TEST(collecting_waits_no_longer_than_it_may)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q = queue_of(&p, 0, 0);
	nova_call_t *call = (nova_call_t *)&p;
	ck_ok(nova_queue_collect(q, 10, NULL, &call, &error));
	ck_assert_ptr_null(call);
	nova_queue_free(q);
	platform_close(&p);
}
END_TEST

/* --- turns --- */

START_TEST(calls_of_one_function_keep_their_order)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q = queue_of(&p, 1, 0);
	platform_add(p.nova, "echo", "shell", "cat \"$1\"");
	submit(q, "echo", "1");
	submit(q, "echo", "2");
	submit(q, "echo", "3");
	collect_answer(q, "1");
	collect_answer(q, "2");
	collect_answer(q, "3");
	ck_assert_uint_eq(nova_queue_count(q, NOVA_QUEUE_THREADS), 1);
	nova_queue_free(q);
	platform_close(&p);
}
END_TEST

START_TEST(functions_take_turns)
{
	struct platform p = platform_open(NULL);
	struct gate gate = gate_new(p.dir);
	nova_queue_t *q = queue_of(&p, 1, 0);
	add_waiting(&p, &gate, "a");
	platform_add(p.nova, "b", "shell", "cat \"$1\"");
	submit_waiting(q, "a", "1");
	await_starts(1);
	submit(q, "a", "2");
	submit(q, "a", "3");
	submit(q, "b", "4");
	submit(q, "b", "5");
	gate_let_go(&gate, 3);
	collect_answer(q, "1");
	collect_answer(q, "4");
	collect_answer(q, "2");
	collect_answer(q, "5");
	collect_answer(q, "3");
	nova_queue_free(q);
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

START_TEST(a_function_with_many_slow_calls_does_not_hold_up_another)
{
	struct platform p = platform_open(NULL);
	struct gate gate = gate_new(p.dir);
	nova_queue_t *q = queue_of(&p, 8, 0);
	add_waiting(&p, &gate, "slow");
	platform_add(p.nova, "quick", "shell", "cat \"$1\"");
	for (int i = 0; i < 20; i++)
		submit_waiting(q, "slow", "0");
	await_starts(7);
	ck_assert_uint_eq(nova_queue_count(q, NOVA_QUEUE_UNDER_WAY), 7);
	submit(q, "quick", "1");
	submit(q, "quick", "2");
	collect_answer(q, "1");
	collect_answer(q, "2");
	gate_let_go(&gate, 20);
	for (int i = 0; i < 20; i++)
		collect_answer(q, "0");
	nova_queue_free(q);
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

/* --- cancelling --- */

START_TEST(a_call_cancelled_before_it_begins_never_runs)
{
	struct platform p = platform_open(NULL);
	struct gate gate = gate_new(p.dir);
	nova_queue_t *q = queue_of(&p, 1, 0);
	add_waiting(&p, &gate, "a");
	submit_waiting(q, "a", "1");
	await_starts(1);
	nova_call_t *second = submit_waiting(q, "a", "2"), *third = submit_waiting(q, "a", "3");
	ck_assert_int_eq(nova_call_code(second), NOVA_EBUSY);
	ck_assert_int_eq(nova_call_cancel(second), 0);
	ck_assert_int_eq(nova_call_cancel(second), NOVA_EBUSY);
	collect_failure(
		q, second, NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "before its function ran");
	gate_let_go(&gate, 2);
	collect_answer(q, "1");
	ck_assert_int_eq(nova_call_is_finished(third), 0);
	collect_answer(q, "3");
	ck_assert_int_eq(started.count, 1);
	nova_queue_free(q);
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

START_TEST(a_call_cancelled_while_it_waits_for_a_vm_is_finished_at_once)
{
	struct platform p = platform_open("pool.max_vms", "1", NULL);
	struct gate gate = gate_new(p.dir);
	nova_queue_t *q = queue_of(&p, 0, 0);
	add_waiting(&p, &gate, "a");
	platform_add(p.nova, "b", "shell", "cat \"$1\"");
	submit_waiting(q, "a", "1");
	await_starts(1);
	nova_call_t *second = submit(q, "b", "2");
	while (nova_queue_count(q, NOVA_QUEUE_UNDER_WAY) < 2)
		sys_poll(NULL, 0, 1);
	ck_assert_int_eq(nova_call_cancel(second), 0);
	collect_failure(
		q, second, NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "before its function ran");
	/* its thread is free too, although no VM has come */
	while (nova_queue_count(q, NOVA_QUEUE_UNDER_WAY) > 1)
		sys_poll(NULL, 0, 1);
	gate_let_go(&gate, 1);
	collect_answer(q, "1");
	submit(q, "b", "3");
	collect_answer(q, "3");
	nova_queue_free(q);
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

START_TEST(a_call_cancelled_while_its_function_runs_is_killed)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q = queue_of(&p, 0, 0);
	platform_add(p.nova, "long", "shell", "echo started >&2; exec sleep 1000");
	nova_call_t *call = submit_waiting(q, "long", "1");
	await_starts(1);
	ck_assert_int_eq(nova_call_cancel(call), 0);
	ck_assert_int_eq(nova_call_cancel(call) == 0 || nova_call_is_finished(call), 1);
	collect_failure(q, call, NOVA_ECANCELED, NOVA_OUTCOME_RAN, "the call was cancelled");
	call = submit_waiting(q, "long", "2"); /* its VM is as good as before */
	await_starts(1);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 1);
	ck_assert_int_eq(nova_call_cancel(call), 0);
	collect_failure(q, call, NOVA_ECANCELED, NOVA_OUTCOME_RAN, "the call was cancelled");
	nova_queue_free(q);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_BUSY), 0);
	platform_close(&p);
}
END_TEST

START_TEST(cancelling_a_finished_call_changes_nothing)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q = queue_of(&p, 0, 0);
	platform_add(p.nova, "echo", "shell", "cat \"$1\"");
	nova_call_t *call = submit(q, "echo", "1");
	struct pollfd event = { nova_queue_fd(q), POLLIN, 0 };
	ck_assert_int_eq(sys_poll(&event, 1, -1), 1);
	ck_assert_int_eq(nova_call_cancel(call), NOVA_EBUSY);
	collect_answer(q, "1");
	nova_queue_free(q);
	platform_close(&p);
}
END_TEST

static void cancel_own_call(void *userdata, int stream, const void *data, size_t len)
{
	(void)data, (void)len;
	nova_call_cancel(*(nova_call_t **)userdata);
	note_start(NULL, stream, NULL, 0);
}

START_TEST(a_call_may_be_cancelled_from_its_own_output)
{
	struct platform p = platform_open(NULL);
	struct gate gate = gate_new(p.dir);
	nova_queue_t *q = queue_of(&p, 1, 0);
	nova_call_t *first, *call = NULL;
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.on_output = cancel_own_call;
	opts.userdata = &call;
	add_waiting(&p, &gate, "a");
	platform_add(p.nova, "long", "shell", "echo started >&2; exec sleep 1000");
	/* so that the other does not begin before `call` is written */
	first = submit_waiting(q, "a", "1");
	await_starts(1);
	ck_ok(nova_queue_submit(q, "long", "1", &opts, &call, &error));
	gate_let_go(&gate, 1);
	ck_assert_ptr_nonnull(first);
	collect_answer(q, "1");
	await_starts(1);
	nova_call_t *got = collect(q);
	ck_assert_int_eq(nova_call_code(got), NOVA_ECANCELED);
	nova_call_free(got);
	nova_queue_free(q);
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

/* --- freeing --- */

START_TEST(a_call_that_is_freed_before_it_is_finished_is_never_collected)
{
	struct platform p = platform_open(NULL);
	struct gate gate = gate_new(p.dir);
	nova_queue_t *q = queue_of(&p, 1, 2);
	add_waiting(&p, &gate, "a");
	nova_call_t *first = submit_waiting(q, "a", "1");
	await_starts(1);
	nova_call_t *second = submit_waiting(q, "a", "2");
	nova_call_free(second);
	nova_call_free(first);
	while (nova_queue_count(q, NOVA_QUEUE_UNDER_WAY))
		sys_poll(NULL, 0, 1);
	collects_nothing(q);
	submit_waiting(q, "a", "3");
	nova_call_t *fourth = submit_waiting(q, "a", "4"); /* their places are free again */
	gate_let_go(&gate, 3);
	collect_answer(q, "3");
	while (!nova_call_is_finished(fourth))
		sys_poll(NULL, 0, 1);
	nova_call_free(fourth);
	ck_assert(!readable(q));
	collects_nothing(q);
	nova_queue_free(q);
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

START_TEST(a_thread_that_finds_no_free_descriptor_is_an_error_that_says_so)
{
	struct platform p = platform_open(NULL);
	struct rlimit before;
	nova_call_t *call;
	platform_add(p.nova, "one", "shell", "echo 1");
	/* so that submitting takes no descriptor of its own */
	platform_answers(p.nova, "one", "1");
	nova_queue_t *q = queue_of(&p, 1, 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	struct rlimit none = { 3, before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	int code = nova_queue_submit(q, "one", "{}", NULL, &call, &error);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(nova_error_os(error), EMFILE);
	ck_fails_with(NOVA_EIO, "a thread for asynchronous calls", code);
	submit(q, "one", "{}");
	collect_answer(q, "1");
	nova_queue_free(q);
	platform_close(&p);
}
END_TEST

START_TEST(a_queue_may_be_freed_with_calls_in_flight)
{
	struct platform p = platform_open("pool.max_vms", "2", NULL);
	struct gate gate = gate_new(p.dir);
	nova_queue_t *q = queue_of(&p, 4, 0);
	add_waiting(&p, &gate, "a");
	platform_add(p.nova, "echo", "shell", "cat \"$1\"");
	submit(q, "echo", "1"); /* stays uncollected */
	struct pollfd event = { nova_queue_fd(q), POLLIN, 0 };
	ck_assert_int_eq(sys_poll(&event, 1, -1), 1);
	for (int i = 0; i < 20; i++) /* some run, some wait for a VM, some for a thread */
		submit_waiting(q, "a", "2");
	await_starts(1);
	nova_queue_free(q);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_BUSY), 0);
	gate_let_go(&gate, 3);
	platform_answers(p.nova, "a", "{}"); /* and the platform is as good as before */
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

START_TEST(a_queue_that_was_never_used_and_no_queue_can_be_freed)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q = queue_of(&p, 0, 0);
	nova_queue_free(q);
	nova_queue_free(NULL);
	nova_call_free(NULL);
	ck_assert_int_eq(nova_call_cancel(NULL), NOVA_EINVAL);
	platform_close(&p);
}
END_TEST

/* --- limits and mistakes --- */

START_TEST(more_calls_than_are_allowed_are_refused_until_some_are_collected)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q = queue_of(&p, 0, 2);
	nova_call_t *untouched = NULL;
	platform_add(p.nova, "echo", "shell", "cat \"$1\"");
	submit(q, "echo", "1");
	submit(q, "echo", "1");
	ck_failed(NOVA_ELIMIT, NOVA_OUTCOME_NEVER_RAN, "max_calls",
		nova_queue_submit(q, "echo", "1", NULL, &untouched, &error));
	ck_assert_ptr_null(untouched);
	collect_answer(q, "1");
	submit(q, "echo", "1");
	collect_answer(q, "1");
	collect_answer(q, "1");
	nova_queue_free(q);
	platform_close(&p);
}
END_TEST

START_TEST(a_request_that_is_wrong_is_refused_when_it_is_submitted)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q = queue_of(&p, 0, 0);
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	platform_add(p.nova, "echo", "shell", "cat \"$1\"");
	ck_failed(NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "did you mean 'echo'",
		nova_queue_submit(q, "ecko", "1", NULL, NULL, &error));
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "JSON",
		nova_queue_submit(q, "echo", "{", NULL, NULL, &error));
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "NULL",
		nova_queue_submit(q, NULL, "1", NULL, NULL, &error));
	opts.request_id = "a b";
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "request id",
		nova_queue_submit(q, "echo", "1", &opts, NULL, &error));
	ck_assert_uint_eq(nova_queue_count(q, NOVA_QUEUE_THREADS), 0);
	nova_queue_free(q);
	platform_close(&p);
}
END_TEST

START_TEST(limits_of_a_queue_that_cannot_be_are_named)
{
	struct platform p = platform_open(NULL);
	nova_queue_opts opts = NOVA_QUEUE_OPTS_INIT;
	nova_queue_t *q;
	opts.threads = 4097;
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "threads is 4097; at most 4096",
		nova_queue_new(p.nova, &opts, &q, &error));
	opts.threads = 1;
	opts.max_calls = 10000001;
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "max_calls is 10000001",
		nova_queue_new(p.nova, &opts, &q, &error));
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "NULL",
		nova_queue_new(NULL, NULL, &q, &error));
	platform_close(&p);
}
END_TEST

START_TEST(a_function_that_was_deleted_after_the_submit_is_reported_by_the_call)
{
	struct platform p = platform_open(NULL);
	struct gate gate = gate_new(p.dir);
	nova_queue_t *q = queue_of(&p, 1, 0);
	add_waiting(&p, &gate, "a");
	platform_add(p.nova, "b", "shell", "cat \"$1\"");
	submit_waiting(q, "a", "1");
	await_starts(1);
	nova_call_t *call = submit(q, "b", "2");
	ck_ok(nova_function_delete(p.nova, "b", 0, &error));
	gate_let_go(&gate, 1);
	collect_answer(q, "1");
	collect_failure(
		q, call, NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "there is no function 'b'");
	nova_queue_free(q);
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

/* --- the host's process --- */

START_TEST(signals_stay_with_the_threads_of_the_host)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q = queue_of(&p, 4, 0);
	sigset_t one, pending, before;
	platform_add(p.nova, "echo", "shell", "cat \"$1\"");
	for (int i = 0; i < 4; i++)
		submit(q, "echo", "1");
	for (int i = 0; i < 4; i++)
		collect_answer(q, "1");
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &one, &before);
	/* would end us, had a thread of the queue not blocked it */
	ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
	sigpending(&pending);
	ck_assert_int_eq(sigismember(&pending, SIGUSR1), 1);
	int got;
	ck_assert_int_eq(sigwait(&one, &got), 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	nova_queue_free(q);
	platform_close(&p);
}
END_TEST

START_TEST(a_queue_is_refused_in_a_fork_of_its_process)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q = queue_of(&p, 0, 0);
	nova_call_t *call;
	platform_add(p.nova, "echo", "shell", "cat \"$1\"");
	pid_t child = fork();
	if (child == 0) {
		bool refused = nova_queue_submit(q, "echo", "1", NULL, &call, NULL) == NOVA_EBUSY &&
			       nova_queue_collect(q, 0, NULL, &call, NULL) == NOVA_EBUSY;
		nova_queue_free(q); /* leaves it alone */
		_exit(refused ? 0 : 1);
	}
	int status;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	submit(q, "echo", "1");
	collect_answer(q, "1");
	nova_queue_free(q);
	platform_close(&p);
}
END_TEST

static TCase *usual_cases(void)
{
	TCase *tc = tcase_create("usual");
	tcase_add_test(tc, a_call_that_was_submitted_is_collected_with_its_answer);
	tcase_add_test(tc, one_thread_keeps_a_hundred_calls_in_flight);
	tcase_add_test(tc, a_call_cancelled_while_its_function_runs_is_killed);
	if (!is_fake()) /* what follows is the same on every engine */
		return tc;
	tcase_add_test(tc, the_descriptor_is_readable_exactly_while_something_can_be_collected);
	tcase_add_test(tc, a_function_that_fails_gives_both_its_result_and_its_error);
	tcase_add_test(tc, collecting_waits_no_longer_than_it_may);
	tcase_add_test(tc, calls_of_one_function_keep_their_order);
	tcase_add_test(tc, functions_take_turns);
	tcase_add_test(tc, a_function_with_many_slow_calls_does_not_hold_up_another);
	return tc;
}

static TCase *hard_cases(void)
{
	TCase *tc = tcase_create("hard");
	if (!is_fake())
		return tc;
	tcase_add_test(tc, a_call_cancelled_before_it_begins_never_runs);
	tcase_add_test(tc, a_call_cancelled_while_it_waits_for_a_vm_is_finished_at_once);
	tcase_add_test(tc, cancelling_a_finished_call_changes_nothing);
	tcase_add_test(tc, a_call_may_be_cancelled_from_its_own_output);
	tcase_add_test(tc, a_call_that_is_freed_before_it_is_finished_is_never_collected);
	tcase_add_test(tc, a_thread_that_finds_no_free_descriptor_is_an_error_that_says_so);
	tcase_add_test(tc, a_queue_may_be_freed_with_calls_in_flight);
	tcase_add_test(tc, a_queue_that_was_never_used_and_no_queue_can_be_freed);
	tcase_add_test(tc, more_calls_than_are_allowed_are_refused_until_some_are_collected);
	tcase_add_test(tc, a_request_that_is_wrong_is_refused_when_it_is_submitted);
	tcase_add_test(tc, limits_of_a_queue_that_cannot_be_are_named);
	tcase_add_test(tc, a_function_that_was_deleted_after_the_submit_is_reported_by_the_call);
	tcase_add_test(tc, signals_stay_with_the_threads_of_the_host);
	tcase_add_test(tc, a_queue_is_refused_in_a_fork_of_its_process);
	return tc;
}

static Suite *call_suite(void)
{
	Suite *suite = suite_create("call");
	TCase *(*const parts[])(void) = { usual_cases, hard_cases };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		TCase *tc = parts[i]();
		tcase_set_timeout(tc, 120);
		suite_add_tcase(suite, tc);
	}
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, call_suite);
}
