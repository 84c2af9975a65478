/* SPDX-License-Identifier: MIT */
/* Several calls in one VM, and ending them, on every engine. Run as `conform-calls ENGINE`. What
 * runs side by side is shown by the order of events. */
#include "callers.h"

/* --- side by side --- */

static void run_four(nova_vm_t *vm)
{
	struct caller callers[4] = { { .payload = "1" }, { .payload = "[2]" },
		{ .payload = "\"three\"" }, { .payload = "[4, {}]" } };
	for (int i = 0; i < 4; i++)
		begin(&callers[i], vm);
	for (int i = 0; i < 4; i++)
		await(&callers[i].begun);
	for (int i = 0; i < 4; i++)
		ck_assert(!has(&callers[i].ended));
	let_them_go(vm);
	for (int i = 0; i < 4; i++)
		ends_well(&callers[i]);
}

START_TEST(four_calls_have_all_begun_before_the_first_ends)
{
	struct setting s = set_up_waiting(_i ? "python" : "shell", 5);
	run_four(s.vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_fork_of_a_vm_takes_as_many_calls_from_its_first_on)
{
	if (is_fake())
		return;
	struct setting s = set_up_waiting("python", 5);
	nova_vm_t *child;
	ck_ok(nova_vm_fork(s.vm, 1, NULL, &child, &error));
	run_four(child);
	nova_vm_free(child);
	tear_down(&s);
}
END_TEST

START_TEST(no_more_calls_are_inside_than_the_concurrency_allows)
{
	struct setting s = set_up("shell",
		"cd \"$HOME\"; touch in.$$; ls in.* | wc -l; sleep 0.05; ls in.* | wc -l; rm "
		"in.$$\n",
		2);
	struct caller callers[6] = { 0 };
	for (int i = 0; i < 6; i++)
		begin(&callers[i], s.vm);
	for (int i = 0; i < 6; i++) {
		int before = 0, after = 0;
		end(&callers[i]);
		ck_ok(callers[i].code);
		ck_assert_int_eq(sscanf(nova_result_stdout(callers[i].result, NULL), "%d %d",
					 &before, &after),
			2);
		ck_assert_int_ge(before, 1);
		ck_assert_int_le(before, 2);
		ck_assert_int_le(after, 2);
		nova_result_free(callers[i].result);
	}
	tear_down(&s);
}
END_TEST

/* A command that says back what it hears: each line that comes lets the next one go. */
struct talk {
	int end, left;
};

static void talk_on(void *userdata, int stream, const void *data, size_t len)
{
	struct talk *t = userdata;
	(void)stream;
	for (size_t i = 0; i < len; i++) {
		if (((const char *)data)[i] != '\n')
			continue;
		if (--t->left)
			ck_assert_int_eq(sys_write_all(t->end, "word\n", 5), 0);
		else
			fd_close(t->end);
	}
}

static void talk_to(nova_vm_t *vm, int lines)
{
	int ends[2];
	const char *const argv[] = { "cat" };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	nova_result_t *result;
	ck_assert_int_eq(sys_pipe(ends), 0);
	struct talk talk = { ends[1], lines };
	ck_assert_int_eq(sys_write_all(ends[1], "word\n", 5), 0);
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	opts.flags = NOVA_COMMAND_STREAMED;
	opts.stdin_fd = ends[0];
	opts.on_output = talk_on;
	opts.userdata = &talk;
	opts.timeout_ms = 300000;
	ck_ok(nova_vm_command(vm, &opts, &result, &error));
	ck_assert_int_eq(talk.left, 0);
	nova_result_free(result);
	fd_close(ends[0]);
}

START_TEST(a_command_is_given_its_stdin_while_another_call_reads_for_both)
{
	struct setting s = set_up_waiting("shell", 2);
	struct caller waiting = { .timeout_ms = 300000 };
	begin(&waiting, s.vm);
	await(&waiting.begun);
	await_reader(s.vm);
	talk_to(s.vm, 100);
	let_them_go(s.vm);
	ends_well(&waiting);
	tear_down(&s);
}
END_TEST

static void until_the_other_has_ended(struct caller *c)
{
	await(&c->other->ended);
}

START_TEST(a_slow_reader_of_output_holds_up_only_its_own_call)
{
	struct setting s = set_up("shell",
		"case $(cat $1) in 1) dd if=/dev/zero bs=1000 count=400 2>/dev/null | tr '\\0' x;; "
		"*) echo 2;; esac\n",
		2);
	struct caller quick = { .payload = "2" }, slow = {
		.payload = "1", .in_output = until_the_other_has_ended, .other = &quick
	};
	begin(&slow, s.vm);
	await(&slow.begun);
	begin(&quick, s.vm);
	ends_well(&quick);
	end(&slow);
	ck_ok(slow.code);
	ck_assert_uint_eq(slow.output, 400000);
	nova_result_free(slow.result);
	tear_down(&s);
}
END_TEST

START_TEST(every_call_has_its_own_time_limit)
{
	struct setting s = set_up_waiting("shell", 3);
	struct caller patient = { .payload = "1" }, hasty = { .payload = "2", .timeout_ms = 500 };
	begin(&patient, s.vm);
	await(&patient.begun);
	begin(&hasty, s.vm);
	ends_with(&hasty, NOVA_ETIMEDOUT, NOVA_OUTCOME_RAN, "timeout after 500 ms");
	ck_assert(!has(&patient.ended));
	let_them_go(s.vm);
	ends_well(&patient);
	tear_down(&s);
}
END_TEST

START_TEST(large_inputs_and_outputs_pass_each_other)
{
	struct setting s = set_up("shell", "cat \"$1\"\n", 4);
	size_t len = 3u << 20;
	AUTO_FREE char *big = malloc(len + 1);
	memset(big, 'x', len);
	big[0] = big[len - 1] = '"';
	big[len] = 0;
	struct caller callers[6] = { { .payload = big }, { .payload = "1" }, { .payload = "2" },
		{ .payload = big }, { .payload = "3" }, { .payload = big } };
	for (int i = 0; i < 6; i++)
		begin(&callers[i], s.vm);
	for (int i = 0; i < 6; i++) {
		end(&callers[i]);
		ck_ok(callers[i].code);
		ck_assert_str_eq(nova_result_output(callers[i].result, NULL), callers[i].payload);
		nova_result_free(callers[i].result);
	}
	tear_down(&s);
}
END_TEST

START_TEST(a_request_id_is_for_one_call_at_a_time)
{
	struct setting s = set_up_waiting("shell", 3);
	struct caller first = { .id = "same" }, second = { .id = "same" };
	begin(&first, s.vm);
	await(&first.begun);
	begin(&second, s.vm);
	ends_with(&second, NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "same");
	let_them_go(s.vm);
	ends_well(&first);
	tear_down(&s);
}
END_TEST

START_TEST(a_concurrency_that_no_agent_has_is_refused)
{
	struct setting s = set_up("shell", "echo 1", 16);
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	init.runtime = "shell";
	init.concurrency = 17;
	ck_fails_with(NOVA_EINVAL, "17", nova_vm_init(s.vm, &init, &error));
	tear_down(&s);
}
END_TEST

/* --- the end of all --- */

START_TEST(a_vm_that_is_lost_fails_every_call_and_says_which_may_have_run)
{
	struct setting s = set_up_waiting("shell", 2);
	struct caller a = { 0 }, b = { 0 }, in_line = { 0 };
	begin(&a, s.vm);
	begin(&b, s.vm);
	await(&a.begun);
	await(&b.begun);
	begin(&in_line, s.vm);
	await_line(s.vm);
	if (_i == 0)
		nova_vm_kill(s.vm);
	else
		kill((pid_t)nova_vm_pid(s.vm), SIGKILL);
	ends_with(&a, NOVA_ELOST, NOVA_OUTCOME_UNKNOWN, nova_vm_id(s.vm));
	ends_with(&b, NOVA_ELOST, NOVA_OUTCOME_UNKNOWN, nova_vm_id(s.vm));
	ends_with(&in_line, NOVA_ELOST, NOVA_OUTCOME_NEVER_RAN, nova_vm_id(s.vm));
	ck_assert_int_eq(nova_vm_state(s.vm), NOVA_VM_DEAD);
	tear_down(&s);
}
END_TEST

START_TEST(an_agent_that_is_silent_for_one_call_has_lost_them_all)
{
	struct setting s = set_up_waiting("shell", 2);
	struct caller patient = { 0 }, hasty = { .timeout_ms = 1000 };
	begin(&patient, s.vm);
	await(&patient.begun);
	kill((pid_t)nova_vm_pid(s.vm), SIGSTOP);
	begin(&hasty, s.vm);
	ends_with(&hasty, NOVA_EAGENT, NOVA_OUTCOME_UNKNOWN, "did not answer");
	ends_with(&patient, NOVA_ELOST, NOVA_OUTCOME_UNKNOWN, "another call");
	ck_assert_int_eq(nova_vm_state(s.vm), NOVA_VM_DEAD);
	tear_down(&s);
}
END_TEST

static void *stop(void *vm)
{
	return nova_vm_stop(vm, 20000, NULL, NULL) == 0 ? vm : NULL;
}

START_TEST(stopping_waits_for_the_calls_before_it_and_refuses_those_behind)
{
	struct setting s = set_up_waiting("shell", 3);
	struct caller before = { .id = "before" }, behind = { 0 };
	pthread_t thread;
	void *stopped;
	begin(&before, s.vm);
	await(&before.begun);
	ck_assert_int_eq(pthread_create(&thread, NULL, stop, s.vm), 0);
	await_line(s.vm);
	begin(&behind, s.vm);
	nova_vm_cancel(s.vm, "before");
	ends_with(&before, NOVA_ECANCELED, NOVA_OUTCOME_RAN, "cancelled");
	ends_with(&behind, NOVA_ELOST, NOVA_OUTCOME_NEVER_RAN, "dead");
	pthread_join(thread, &stopped);
	ck_assert_ptr_nonnull(stopped);
	tear_down(&s);
}
END_TEST

static void *pause_it(void *vm)
{
	return nova_vm_pause(vm, NULL, NULL) == 0 ? vm : NULL;
}

START_TEST(pausing_waits_for_the_calls_before_it)
{
	if (is_fake())
		return; /* it cannot pause */
	struct setting s = set_up_waiting("shell", 3);
	struct caller before = { .id = "before" };
	nova_result_t *result;
	pthread_t thread;
	void *paused;
	begin(&before, s.vm);
	await(&before.begun);
	ck_assert_int_eq(pthread_create(&thread, NULL, pause_it, s.vm), 0);
	await_line(s.vm);
	nova_vm_cancel(s.vm, "before");
	ends_with(&before, NOVA_ECANCELED, NOVA_OUTCOME_RAN, "cancelled");
	pthread_join(thread, &paused);
	ck_assert_ptr_nonnull(paused);
	ck_fails_with(NOVA_EBUSY, "paused", nova_vm_invoke(s.vm, "1", NULL, &result, &error));
	tear_down(&s);
}
END_TEST

/* --- cancel --- */

static void cancel_it(struct caller *c)
{
	nova_vm_cancel(c->vm, c->id);
}

START_TEST(a_call_can_be_cancelled_while_it_runs_and_the_vm_goes_on)
{
	struct setting s = set_up("shell", SHELL_NEVER_ENDS, 1);
	struct caller c = { .id = "c", .in_output = _i ? cancel_it : NULL };
	begin(&c, s.vm);
	await(&c.begun);
	if (!_i)
		cancel_it(&c);
	end(&c);
	vmtest_failed(NOVA_ECANCELED, c.code, NOVA_OUTCOME_RAN, "cancelled");
	ck_assert_str_eq(nova_result_stdout(c.result, NULL), "begun\n");
	nova_result_free(c.result);
	ck_ok(nova_vm_ping(s.vm, 20000, NULL, &error));
	tear_down(&s);
}
END_TEST

START_TEST(a_python_call_can_be_cancelled_and_the_next_one_is_well)
{
	struct setting s = set_up_waiting("python", 2);
	struct caller c = { .id = "c" }, next = { .payload = "[1]" };
	begin(&c, s.vm);
	await(&c.begun);
	cancel_it(&c);
	ends_with(&c, NOVA_ECANCELED, NOVA_OUTCOME_RAN, "cancelled");
	begin(&next, s.vm);
	await(&next.begun);
	let_them_go(s.vm);
	ends_well(&next);
	tear_down(&s);
}
END_TEST

START_TEST(cancelling_ends_one_call_and_no_other)
{
	struct setting s = set_up_waiting("shell", 3);
	struct caller a = { .id = "a", .payload = "1" }, b = { .id = "b" };
	begin(&a, s.vm);
	begin(&b, s.vm);
	await(&a.begun);
	await(&b.begun);
	cancel_it(&b);
	ends_with(&b, NOVA_ECANCELED, NOVA_OUTCOME_RAN, "cancelled");
	ck_assert(!has(&a.ended));
	let_them_go(s.vm);
	ends_well(&a);
	tear_down(&s);
}
END_TEST

START_TEST(a_call_that_waits_for_its_turn_can_be_cancelled_and_never_ran)
{
	struct setting s = set_up_waiting("shell", 1);
	struct caller a = { .id = "a" }, b = { .id = "b" };
	begin(&a, s.vm);
	await(&a.begun);
	begin(&b, s.vm);
	await_line(s.vm);
	cancel_it(&b);
	ends_with(&b, NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "before it began");
	ck_assert(!has(&a.ended));
	cancel_it(&a);
	ends_with(&a, NOVA_ECANCELED, NOVA_OUTCOME_RAN, "cancelled");
	tear_down(&s);
}
END_TEST

START_TEST(a_call_cancelled_before_its_vm_was_known_is_not_sent)
{
	struct setting s = set_up("shell", "echo 1", 1);
	AUTO_EXEC struct vm_exec exec = { .limit_ms = 0 };
	nova_interrupt_t *token = NULL;
	nova_result_t *result = NULL;
	ck_ok(vm_exec_prepare(&exec, "{}", 2, 0, NULL, &error));
	ck_ok(nova_interrupt_new(&token, &error));
	nova_interrupt_trigger(token);
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "before it began",
		vm_exec(s.vm, &exec, &(struct stop){ token, NULL }, &result, &error));
	nova_interrupt_free(token);
	ck_ok(nova_vm_ping(s.vm, 0, NULL, &error));
	tear_down(&s);
}
END_TEST

START_TEST(cancelling_what_is_over_or_unknown_does_nothing)
{
	struct setting s = set_up("shell", "echo 1", 1);
	nova_result_t *result;
	nova_vm_cancel(NULL, "x");
	nova_vm_cancel(s.vm, NULL);
	nova_vm_cancel(s.vm, "never-there");
	ck_ok(nova_vm_invoke(s.vm, "{}",
		&(nova_vm_invoke_opts){ sizeof(nova_vm_invoke_opts), .request_id = "over" },
		&result, &error));
	nova_result_free(result);
	nova_vm_cancel(s.vm, "over");
	ck_ok(nova_vm_invoke(s.vm, "{}",
		&(nova_vm_invoke_opts){ sizeof(nova_vm_invoke_opts), .request_id = "over" },
		&result, &error));
	nova_result_free(result);
	tear_down(&s);
}
END_TEST

static void stop_vmm_and_cancel(struct caller *c)
{
	kill((pid_t)nova_vm_pid(c->vm), SIGSTOP);
	nova_vm_cancel(c->vm, c->id);
}

START_TEST(an_agent_that_does_not_end_a_cancelled_call_loses_the_vm)
{
	struct setting s = set_up("shell", SHELL_NEVER_ENDS, 2);
	struct caller other = { 0 }, c = { .id = "c", .in_output = stop_vmm_and_cancel };
	begin(&other, s.vm);
	await(&other.begun);
	begin(&c, s.vm);
	ends_with(&c, NOVA_ECANCELED, NOVA_OUTCOME_UNKNOWN, "did not answer");
	ends_with(&other, NOVA_ELOST, NOVA_OUTCOME_UNKNOWN, "another call");
	ck_assert_int_eq(nova_vm_state(s.vm), NOVA_VM_DEAD);
	tear_down(&s);
}
END_TEST

START_TEST(a_call_cancelled_while_its_input_is_stuck_loses_the_vm_and_never_ran)
{
	struct setting s = set_up("shell", "cat $1", 2);
	size_t len = 5u << 20;
	AUTO_FREE char *big = malloc(len + 1);
	memset(big, '1', len);
	big[len] = 0;
	struct caller c = { .id = "c", .payload = big };
	kill((pid_t)nova_vm_pid(s.vm), SIGSTOP);
	begin(&c, s.vm);
	for (bool writes = false; !writes; sched_yield()) {
		pthread_mutex_lock(&s.vm->lock);
		writes = s.vm->writer != NULL;
		pthread_mutex_unlock(&s.vm->lock);
	}
	cancel_it(&c);
	ends_with(&c, NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "did not answer");
	ck_assert_int_eq(nova_vm_state(s.vm), NOVA_VM_DEAD);
	tear_down(&s);
}
END_TEST

/* --- in place --- */

#define COUNTS                                                                                     \
	"import random, time\n"                                                                    \
	"__nova_in_place__ = True\n"                                                               \
	"count = 0\n"                                                                              \
	"def handler(event):\n"                                                                    \
	"    global count\n"                                                                       \
	"    count += 1\n"

static void ck_answers(nova_vm_t *vm, const char *payload, const char *output)
{
	nova_result_t *result;
	ck_ok(nova_vm_invoke(vm, payload,
		&(nova_vm_invoke_opts){ sizeof(nova_vm_invoke_opts), .timeout_ms = 120000 },
		&result, &error));
	ck_assert_str_eq(nova_result_output(result, NULL), output);
	nova_result_free(result);
}

START_TEST(calls_in_place_find_what_the_last_one_left_and_one_that_hangs_costs_that)
{
	struct setting s = set_up(
		"python", COUNTS "    while event:\n        time.sleep(1)\n    return count\n", 3);
	nova_result_t *result;
	ck_answers(s.vm, "0", "1");
	ck_answers(s.vm, "0", "2");
	ck_failed(NOVA_ETIMEDOUT, NOVA_OUTCOME_RAN, "timeout",
		nova_vm_invoke(s.vm, "1",
			&(nova_vm_invoke_opts){ sizeof(nova_vm_invoke_opts), .timeout_ms = 500 },
			&result, &error));
	nova_result_free(result);
	ck_answers(s.vm, "0", "1");
	struct caller hangs = { .id = "hangs", .payload = "1" }, waits = { .payload = "0" };
	begin(&hangs, s.vm);
	for (bool sent = false; !sent; sched_yield()) { /* the cancel is then behind it */
		pthread_mutex_lock(&s.vm->lock);
		sent = s.vm->reader != NULL;
		pthread_mutex_unlock(&s.vm->lock);
	}
	begin(&waits, s.vm);
	cancel_it(&hangs);
	ends_with(&hangs, NOVA_ECANCELED, NOVA_OUTCOME_RAN, "cancelled");
	end(&waits);
	ck_ok(waits.code);
	nova_result_free(waits.result);
	tear_down(&s);
}
END_TEST

START_TEST(forks_of_a_vm_with_calls_in_place_go_on_from_there_with_other_randomness)
{
	if (is_fake())
		return;
	struct setting s =
		set_up("python", COUNTS "    return count if event else random.random()\n", 1);
	nova_vm_t *children[2];
	nova_result_t *drawn[3];
	ck_answers(s.vm, "1", "1");
	ck_ok(nova_vm_fork(s.vm, 2, NULL, children, &error));
	nova_vm_t *all[] = { s.vm, children[0], children[1] };
	for (int i = 0; i < 3; i++)
		ck_ok(nova_vm_invoke(all[i], "0",
			&(nova_vm_invoke_opts){ sizeof(nova_vm_invoke_opts), .timeout_ms = 120000 },
			&drawn[i], &error));
	for (int i = 0; i < 3; i++) {
		ck_answers(all[i], "1", "3");
		ck_assert_str_ne(nova_result_output(drawn[i], NULL),
			nova_result_output(drawn[(i + 1) % 3], NULL));
	}
	for (int i = 0; i < 3; i++)
		nova_result_free(drawn[i]);
	nova_vm_free(children[0]);
	nova_vm_free(children[1]);
	tear_down(&s);
}
END_TEST

static Suite *calls_suite(void)
{
	Suite *suite = suite_create("calls");
	TCase *tc = tcase_create("together");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, four_calls_have_all_begun_before_the_first_ends, 0, 2);
	tcase_add_test(tc, a_fork_of_a_vm_takes_as_many_calls_from_its_first_on);
	suite_add_tcase(suite, tc);

	tc = tcase_create("large");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, large_inputs_and_outputs_pass_each_other);
	suite_add_tcase(suite, tc);

	tc = vmtest_case_of_guests("apart", 120);
	tcase_add_test(tc, no_more_calls_are_inside_than_the_concurrency_allows);
	tcase_add_test(tc, a_command_is_given_its_stdin_while_another_call_reads_for_both);
	tcase_add_test(tc, a_slow_reader_of_output_holds_up_only_its_own_call);
	tcase_add_test(tc, every_call_has_its_own_time_limit);
	tcase_add_test(tc, a_request_id_is_for_one_call_at_a_time);
	tcase_add_test(tc, a_concurrency_that_no_agent_has_is_refused);
	suite_add_tcase(suite, tc);

	tc = tcase_create("lost");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(
		tc, a_vm_that_is_lost_fails_every_call_and_says_which_may_have_run, 0, 2);
	tcase_add_test(tc, an_agent_that_is_silent_for_one_call_has_lost_them_all);
	tcase_add_test(tc, stopping_waits_for_the_calls_before_it_and_refuses_those_behind);
	tcase_add_test(tc, pausing_waits_for_the_calls_before_it);
	suite_add_tcase(suite, tc);

	tc = tcase_create("cancel");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_call_can_be_cancelled_while_it_runs_and_the_vm_goes_on, 0, 2);
	tcase_add_test(tc, an_agent_that_does_not_end_a_cancelled_call_loses_the_vm);
	tcase_add_test(tc, a_call_cancelled_while_its_input_is_stuck_loses_the_vm_and_never_ran);
	suite_add_tcase(suite, tc);

	tc = vmtest_case_of_guests("cancelled", 120);
	tcase_add_test(tc, a_python_call_can_be_cancelled_and_the_next_one_is_well);
	tcase_add_test(tc, cancelling_ends_one_call_and_no_other);
	tcase_add_test(tc, a_call_that_waits_for_its_turn_can_be_cancelled_and_never_ran);
	tcase_add_test(tc, a_call_cancelled_before_its_vm_was_known_is_not_sent);
	tcase_add_test(tc, cancelling_what_is_over_or_unknown_does_nothing);
	suite_add_tcase(suite, tc);

	tc = tcase_create("place");
	tcase_set_timeout(tc, 120);
	tcase_add_test(
		tc, calls_in_place_find_what_the_last_one_left_and_one_that_hangs_costs_that);
	tcase_add_test(
		tc, forks_of_a_vm_with_calls_in_place_go_on_from_there_with_other_randomness);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, calls_suite);
}
