/* SPDX-License-Identifier: MIT */
/* How often functions may be called: by one host, by processes at once, by jobs. */
#include <sys/wait.h>

#include <nova/instance.h>

#include "conform/combined.h"

#define DAY_MS  86400000u
#define HANG_MS 100000u

static void change_rate(nova_t *nova, uint32_t rate, uint32_t period_ms)
{
	nova_function_opts change = NOVA_FUNCTION_OPTS_INIT;
	nova_function_update_opts o = NOVA_FUNCTION_UPDATE_OPTS_INIT;
	change.rate = rate;
	change.rate_period_ms = period_ms;
	o.change = &change;
	ck_ok(nova_function_update(nova, "f", &o, NULL, &error));
}

static void lift_rate(nova_t *nova)
{
	static const char *const names[] = { "rate", "rate_period_ms" };
	nova_function_update_opts o = NOVA_FUNCTION_UPDATE_OPTS_INIT;
	o.reset = names;
	o.reset_count = ARRAY_LEN(names);
	ck_ok(nova_function_update(nova, "f", &o, NULL, &error));
}

static int call_by(nova_t *nova, const char *name, const nova_invoke_opts *opts)
{
	nova_result_t *result = NULL;
	int code = nova_invoke(nova, name, "{}", opts, &result, &error);
	nova_result_free(result);
	return code;
}

static void ck_refused(nova_t *nova, const char *name, const nova_invoke_opts *opts)
{
	ck_assert_int_eq(call_by(nova, name, opts), NOVA_ELIMIT);
	ck_assert_ptr_nonnull(strstr(nova_error_message(error),
		"function 'f' may be called 3 times in 86400000 ms, and again in "));
	ck_assert_int_eq(nova_error_outcome(error), NOVA_OUTCOME_NEVER_RAN);
	ck_assert_uint_gt(nova_error_retry_ms(error), DAY_MS / 3 - HANG_MS);
	ck_assert_uint_le(nova_error_retry_ms(error), DAY_MS / 3 + 1);
	nova_error_free(STEAL(error));
}

static uint32_t publish(nova_t *nova)
{
	nova_function_t *f = NULL;
	ck_ok(nova_function_publish(nova, "f", &f, &error));
	uint32_t version = nova_function_version(f);
	nova_function_free(f);
	return version;
}

START_TEST(all_versions_and_instances_of_a_function_share_the_rate_that_it_has_now)
{
	nova_instance_opts start = NOVA_INSTANCE_OPTS_INIT;
	nova_invoke_opts in = NOVA_INVOKE_OPTS_INIT;
	begin(_i);
	nova_t *nova = host("a"), *other = host("b");
	ck_ok(add(nova, "f", echo, &error));
	start.function = "f";
	ck_ok(nova_instance_start(nova, &start, &in.instance, &error));
	AUTO_FREE char *version = str_format("f:%u", publish(nova));
	change_rate(nova, 3, DAY_MS);
	ck_assert_uint_eq(publish(nova), strtoul(version + 2, NULL, 10)); /* it is no other one */
	ck_ok(call_by(nova, "f", NULL));
	ck_ok(call_by(nova, version, NULL));
	ck_ok(call_by(nova, NULL, &in));
	ck_refused(nova, "f", NULL);
	ck_refused(nova, version, NULL);
	ck_refused(nova, NULL, &in);
	if (has_redis())
		ck_refused(other, "f", NULL);
	else
		ck_ok(call_by(other, "f", NULL)); /* it counts by itself */
	lift_rate(other);
	/* with PostgreSQL it is told of that */
	for (uint64_t end = deadline_in_ms(HANG_MS); call_by(nova, "f", NULL) < 0;) {
		ck_assert(!deadline_passed(end));
		nova_error_free(STEAL(error));
		usleep(1000);
	}
	ck_ok(call_by(nova, NULL, &in));
	nova_instance_free(in.instance);
	nova_close(other);
	nova_close(nova);
}
END_TEST

START_TEST(a_call_that_is_refused_for_something_else_uses_nothing_up)
{
	begin(_i);
	nova_result_t *result = NULL;
	nova_t *nova = host("a");
	ck_ok(add(nova, "f", echo, &error));
	change_rate(nova, 3, DAY_MS);
	for (int i = 0; i < 5; i++)
		ck_fails(NOVA_EINVAL, nova_invoke(nova, "f", "{", NULL, &result, &error));
	for (int i = 0; i < 3; i++)
		ck_ok(call_by(nova, "f", NULL));
	ck_refused(nova, "f", NULL);
	nova_close(nova);
}
END_TEST

START_TEST(a_queue_that_is_full_uses_nothing_up)
{
	begin(_i);
	nova_queue_t *queue;
	nova_queue_opts opts = NOVA_QUEUE_OPTS_INIT;
	nova_t *nova = host("a");
	opts.max_calls = 1;
	ck_ok(add(nova, "f", echo, &error));
	change_rate(nova, 3, DAY_MS);
	ck_ok(nova_queue_new(nova, &opts, &queue, &error));
	ck_ok(nova_queue_submit(queue, "f", "{}", NULL, NULL, &error));
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(
			nova_queue_submit(queue, "f", "{}", NULL, NULL, &error), NOVA_ELIMIT);
		ck_assert_int_eq(nova_error_limit(error), NOVA_LIMIT_HOST);
		nova_error_free(STEAL(error));
	}
	for (int i = 0; i < 2; i++)
		ck_ok(call_by(nova, "f", NULL));
	ck_refused(nova, "f", NULL);
	nova_queue_free(queue);
	nova_close(nova);
}
END_TEST

/* --- processes at once --- */

#define RATE 20u /* which a host reaches that has much else to do */

struct counted {
	uint32_t calls;
	uint64_t begun_ns, ended_ns;
};

/* Calls for a while, and until it has been refused. Without a test's aborts, as it has forked. */
static void call_until_refused(const char *name, int to)
{
	bool refused = false;
	nova_t *nova = host(name);
	struct counted c = { .begun_ns = clock_ns() };
	while (!refused || clock_ns() - c.begun_ns < 500000000u) {
		int code = call_by(nova, "f", NULL);
		c.calls += code == 0;
		refused |= code == NOVA_ELIMIT;
		nova_error_free(STEAL(error));
		if (code < 0 && code != NOVA_ELIMIT)
			_exit(1);
	}
	c.ended_ns = clock_ns();
	_exit(sys_write_all(to, &c, sizeof(c)) < 0);
}

static void count_in_processes(struct counted counted[2])
{
	pid_t children[2];
	int ends[2][2];
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(sys_pipe(ends[i]), 0);
		children[i] = fork();
		if (children[i] == 0)
			call_until_refused(i ? "b" : "a", ends[i][1]);
		fd_close(ends[i][1]);
	}
	for (int i = 0; i < 2; i++) {
		int status;
		ck_assert_int_eq(
			sys_read(ends[i][0], &counted[i], sizeof(*counted)), sizeof(*counted));
		waitpid(children[i], &status, 0);
		ck_assert_int_eq(status, 0);
		fd_close(ends[i][0]);
	}
}

/* What there can be from the first call to the last: a burst, and what comes. */
static uint64_t due(uint64_t begun_ns, uint64_t ended_ns)
{
	return RATE + RATE * (ended_ns - begun_ns) / 1000000000u;
}

START_TEST(two_processes_make_at_most_a_tenth_too_many_calls)
{
	struct counted c[2];
	begin(_i);
	nova_t *nova = host("a");
	ck_ok(add(nova, "f", echo, &error));
	change_rate(nova, RATE, 0);
	nova_close(nova);
	count_in_processes(c);
	uint64_t begun = c[0].begun_ns < c[1].begun_ns ? c[0].begun_ns : c[1].begun_ns;
	uint64_t ended = c[0].ended_ns > c[1].ended_ns ? c[0].ended_ns : c[1].ended_ns;
	uint64_t all = c[0].calls + c[1].calls;
	printf("# %u and %u calls, %llu were due\n", c[0].calls, c[1].calls,
		(unsigned long long)due(begun, ended));
	/* what one holds ahead, a tenth of a second, the other cannot have */
	ck_assert_uint_ge(all, RATE - RATE / 10);
	if (has_redis())
		ck_assert_uint_le(all, due(begun, ended) * 11 / 10);
	for (int i = 0; i < 2; i++)
		ck_assert_uint_le(c[i].calls, due(c[i].begun_ns, c[i].ended_ns) + 1);
}
END_TEST

/* --- jobs --- */

START_TEST(a_job_of_a_function_whose_rate_is_used_up_waits_and_has_lost_no_attempt)
{
	nova_job_t *job = NULL;
	begin(_i);
	nova_t *nova = host("a");
	ck_ok(add(nova, "f", echo, &error));
	ck_ok(add(nova, "g", echo, &error));
	change_rate(nova, 3, DAY_MS);
	for (int i = 0; i < 3; i++)
		ck_ok(call_by(nova, "f", NULL));
	ck_ok(nova_job_submit(nova, "f", NULL, NULL, NULL, &error));
	ck_ok(nova_job_submit(nova, "g", NULL, NULL, NULL, &error));
	ck_ok(nova_job_perform(nova, HANG_MS, NULL, &job, &error));
	ck_assert_int_eq(nova_job_state(job), NOVA_JOB_WAITING);
	ck_assert_ptr_nonnull(strstr(nova_job_error(job), "may be called 3 times"));
	nova_job_free(job);
	ck_ok(nova_job_perform(nova, HANG_MS, NULL, &job, &error)); /* the host does not rest */
	AUTO_FREE char *other = nova_job_to_json(job);
	ck_assert_ptr_nonnull(strstr(other, "\"function\":\"g\",\"state\":\"done\""));
	nova_job_free(job);
	lift_rate(nova);
	ck_ok(nova_job_perform(nova, HANG_MS, NULL, &job, &error));
	AUTO_FREE char *text = nova_job_to_json(job);
	ck_assert_ptr_nonnull(strstr(text, "\"state\":\"done\""));
	ck_assert_ptr_nonnull(strstr(text, "\"attempts\":1,"));
	nova_job_free(job);
	nova_close(nova);
}
END_TEST

void add_tests_of_rates(TCase *tc)
{
	tcase_add_loop_test(tc,
		all_versions_and_instances_of_a_function_share_the_rate_that_it_has_now, 0,
		COMBINATIONS);
	tcase_add_loop_test(
		tc, a_call_that_is_refused_for_something_else_uses_nothing_up, 0, COMBINATIONS);
	tcase_add_loop_test(tc, a_queue_that_is_full_uses_nothing_up, 0, 1);
	tcase_add_loop_test(tc, two_processes_make_at_most_a_tenth_too_many_calls, 0, COMBINATIONS);
	tcase_add_loop_test(tc,
		a_job_of_a_function_whose_rate_is_used_up_waits_and_has_lost_no_attempt,
		FIRST_WITH_REDIS, COMBINATIONS);
}
