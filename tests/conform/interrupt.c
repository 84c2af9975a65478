/* SPDX-License-Identifier: MIT */
/* Tokens: a signal handler triggers one at random instants of every kind of call; what is said of the outcome must be true. */
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
	return is_long && *is_long ? 200 : 15;
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
	ck_assert_msg(code == 0 || code == NOVA_ECANCELED, "%s: %s", nova_code_name(code), nova_error_message(failure));
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
		int code = nova_vm_invoke(s.vm, "{}", 2, &opts, &result, &failure);
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
		ck_assert_msg(code == 0 || code == NOVA_ECANCELED, "%s", nova_error_message(failure));
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
		opts.mode = i % 2 ? NOVA_MODE_CACHED : NOVA_MODE_EPHEMERAL;
		arm(150000);
		opts.interrupt = token;
		int code = nova_invoke(p.nova, "marks", "{}", 2, &opts, &result, &failure);
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
	const nova_wait_opts wait = { sizeof(wait), stop };
	nova_vm_invoke_opts invoke = NOVA_VM_INVOKE_OPTS_INIT;
	nova_vm_opts start = NOVA_VM_OPTS_INIT;
	invoke.interrupt = start.interrupt = stop;
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "cancelled", nova_vm_invoke(s.vm, "{}", 2, &invoke, &result, &error));
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "interrupted", nova_vm_start(s.host, &start, &vm, &error));
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "interrupted", nova_vm_ping(s.vm, 0, &wait, &error));
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "interrupted", nova_vm_pause(s.vm, &wait, &error));
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "interrupted", nova_vm_list_files(s.vm, "/tmp", 1, &wait, &files, &error));
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "interrupted", nova_vm_stop(s.vm, 0, &wait, &error));
	ck_ok(nova_vm_ping(s.vm, 0, NULL, &error));
	nova_interrupt_free(stop);
	tear_down(&s);
}
END_TEST

static void *wait_for_turn(void *argument)
{
	struct caller *c = argument;
	const nova_wait_opts wait = { sizeof(wait), token };
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
	usleep(20000); /* before or in the line: it must not matter */
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

START_TEST(collecting_without_limit_is_interrupted)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *queue = NULL;
	nova_call_t *call = NULL;
	ck_ok(nova_queue_new(p.nova, NULL, &queue, &error));
	arm(50000);
	const nova_wait_opts wait = { sizeof(wait), token };
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "interrupted", nova_queue_collect(queue, UINT32_MAX, &wait, &call, &error));
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
	tcase_add_test(tc, a_triggered_token_ends_calls_before_they_begin_and_no_other);
	tcase_add_test(tc, a_function_is_interrupted_at_any_instant_and_its_outcome_is_true);
	tcase_add_test(tc, a_start_is_interrupted_at_any_instant_and_leaves_nothing);
	tcase_add_test(tc, a_call_of_the_platform_is_interrupted_at_any_instant_and_its_outcome_is_true);
	tcase_add_test(tc, who_waits_for_a_turn_is_interrupted_and_the_call_before_it_goes_on);
	tcase_add_test(tc, collecting_without_limit_is_interrupted);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, interrupt_suite);
}
