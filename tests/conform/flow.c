/* SPDX-License-Identifier: MIT */
/* Commands whose streams flow while they run. Run as `conform-flow ENGINE`. */
#include <fcntl.h>
#include <pthread.h>

#include "conform/setting.h"

#define MIB ((size_t)1 << 20)
/* More than the windows, what is kept for the result and what is made of both on the way. */
#define FLAT_KB 8192

static nova_vm_t *start(const struct setting *s)
{
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.rootfs = "base";
	nova_vm_t *vm = NULL;
	ck_ok(nova_vm_start(s->host, &opts, &vm, &error));
	return vm;
}

/* The other end of a command's stdin, which is given slowly or in abundance by a thread. */
struct producer {
	int end;
	size_t len;
};

static void *produce(void *userdata)
{
	const struct producer *p = userdata;
	uint8_t piece[4096];
	for (size_t at = 0; at < p->len; at += sizeof(piece)) {
		for (size_t i = 0; i < sizeof(piece); i++)
			piece[i] = (uint8_t)((at + i) * 31 >> 3);
		if (sys_write_all(p->end, piece, sizeof(piece)) < 0)
			break; /* nobody reads it any more */
	}
	fd_close(p->end);
	return NULL;
}

struct consumer {
	size_t len, wrong;
	int end; /* written to at the first output; -1: not */
};

static void check_bytes(void *userdata, int stream, const void *data, size_t len)
{
	struct consumer *c = userdata;
	ck_assert_int_eq(stream, 1);
	for (size_t i = 0; i < len; i++)
		c->wrong += ((const uint8_t *)data)[i] != (uint8_t)((c->len + i) * 31 >> 3);
	c->len += len;
}

static int stream(nova_vm_t *vm, const char *script, int fd, nova_output_fn on_output,
	struct consumer *consumer, nova_result_t **ret_result)
{
	const char *const argv[] = { "sh", "-c", script };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	opts.flags = NOVA_COMMAND_STREAMED;
	opts.stdin_fd = fd;
	opts.on_output = on_output;
	opts.userdata = consumer;
	opts.timeout_ms = 300000;
	return nova_vm_command(vm, &opts, ret_result, &error);
}

static size_t stream_size(void)
{
	const char *is_long = getenv("NOVA_TEST_LONG");
	return is_fake() ? (is_long && *is_long ? 100 : 10) * MIB : MIB;
}

/* What the process has had at most beyond what it has now. */
struct memory {
	pid_t pid;
	size_t before;
};

static struct memory memory_of(pid_t pid)
{
	return (struct memory){ pid, vmtest_memory_kb(pid, "VmRSS:") };
}

static void was_flat(const struct memory *memory, const char *whose)
{
	size_t peak = vmtest_memory_kb(memory->pid, "VmHWM:");
	printf("# %s: %zu KB before, %zu KB at most\n", whose, memory->before, peak);
	if (!ADDRESSES_ARE_WATCHED)
		ck_assert_msg(peak < memory->before + FLAT_KB, "%s: %zu KB before, %zu KB at most",
			whose, memory->before, peak);
}

/* On the fake engine the agent is a process that can be looked at. */
START_TEST(a_command_gets_stdin_of_any_length_and_all_it_prints_comes_back_in_flat_memory)
{
	struct setting s = set_up();
	nova_vm_t *vm = start(&s);
	int ends[2];
	pthread_t thread;
	nova_result_t *result;
	struct consumer consumer = { .len = 0 };
	ck_assert_int_eq(sys_pipe(ends), 0);
	struct producer producer = { ends[1], stream_size() };
	struct memory host = memory_of(getpid());
	struct memory agent = memory_of(is_fake() ? nova_vm_pid(vm) : getpid());
	ck_assert_int_eq(pthread_create(&thread, NULL, produce, &producer), 0);
	ck_ok(stream(vm, "cat", ends[0], check_bytes, &consumer, &result));
	pthread_join(thread, NULL);
	was_flat(&host, "host");
	was_flat(&agent, "agent");
	ck_assert_int_eq(nova_result_exit_code(result), 0);
	ck_assert_uint_eq(consumer.len, producer.len);
	ck_assert_uint_eq(consumer.wrong, 0);
	nova_result_free(result);
	fd_close(ends[0]);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_command_may_end_without_reading_its_stdin)
{
	static const char *const scripts[] = { "exit 3", "exec <&-; sleep 0.2; exit 3",
		"head -c 5 >/dev/null; exit 3" };
	struct setting s = set_up();
	nova_vm_t *vm = start(&s);
	int zero = sys_open("/dev/zero", O_RDONLY, 0);
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		nova_result_t *result;
		ck_ok(stream(vm, scripts[i], zero, NULL, NULL, &result));
		ck_assert_int_eq(nova_result_exit_code(result), 3);
		nova_result_free(result);
	}
	ck_ok(nova_vm_ping(vm, 0, NULL, &error));
	fd_close(zero);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_command_that_is_given_nothing_finds_its_stdin_at_the_end)
{
	struct setting s = set_up();
	nova_vm_t *vm = start(&s);
	nova_result_t *result;
	int none = sys_open("/dev/null", O_RDONLY, 0), fds[] = { -1, none };
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		ck_ok(stream(vm, "wc -c", fds[i], NULL, NULL, &result));
		ck_assert_int_eq(atoi(nova_result_stdout(result, NULL)), 0);
		nova_result_free(result);
	}
	fd_close(none);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* What comes back of the first word lets the second one come, and then the end. */
static void answer_back(void *userdata, int stream_number, const void *data, size_t len)
{
	struct consumer *c = userdata;
	(void)stream_number, (void)data;
	size_t before = c->len;
	c->len += len;
	if (before < 4 && c->len >= 4)
		ck_assert_int_eq(sys_write_all(c->end, "two\n", 4), 0);
	if (before < 8 && c->len >= 8) {
		fd_close(c->end);
		c->end = -1;
	}
}

START_TEST(what_a_command_prints_comes_before_its_stdin_has_ended)
{
	struct setting s = set_up();
	nova_vm_t *vm = start(&s);
	int ends[2];
	nova_result_t *result;
	ck_assert_int_eq(sys_pipe(ends), 0);
	struct consumer consumer = { .end = ends[1] };
	ck_assert_int_eq(sys_write_all(ends[1], "one\n", 4), 0);
	ck_ok(stream(vm, "cat", ends[0], answer_back, &consumer, &result));
	ck_assert_str_eq(nova_result_stdout(result, NULL), "one\ntwo\n");
	ck_assert_int_eq(consumer.end, -1);
	nova_result_free(result);
	fd_close(ends[0]);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

#define TIME_MS  2000
#define GRACE_MS 5000 /* after that an agent is dead that has said nothing */

static void take_it_late(void *userdata, int stream_number, const void *data, size_t len)
{
	struct consumer *c = userdata;
	(void)stream_number, (void)data;
	if (!c->len)
		sys_poll(NULL, 0, TIME_MS + GRACE_MS + 200);
	c->len += len;
}

START_TEST(who_takes_output_when_its_time_is_long_over_loses_the_call_and_not_the_vm)
{
	if (!is_fake() || ADDRESSES_ARE_WATCHED)
		return;
	struct setting s = set_up();
	nova_vm_t *vm = start(&s);
	const char *const argv[] = { "cat", "/dev/zero" };
	nova_result_t *result = NULL;
	struct consumer consumer = { .len = 0 };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	opts.flags = NOVA_COMMAND_STREAMED;
	opts.stdin_fd = -1;
	opts.on_output = take_it_late;
	opts.userdata = &consumer;
	opts.timeout_ms = TIME_MS;
	ck_fails(NOVA_ETIMEDOUT, nova_vm_command(vm, &opts, &result, &error));
	nova_result_free(result);
	ck_ok(nova_vm_ping(vm, 0, NULL, &error));
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* A command that waits for its stdin is ended while nothing comes. */
static void interrupt_it(void *userdata, int stream_number, const void *data, size_t len)
{
	(void)stream_number, (void)data, (void)len;
	nova_interrupt_trigger(userdata);
}

START_TEST(a_command_that_waits_for_stdin_can_be_interrupted)
{
	struct setting s = set_up();
	nova_vm_t *vm = start(&s);
	int ends[2];
	nova_result_t *result;
	const char *const argv[] = { "sh", "-c", "echo; cat" };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	ck_assert_int_eq(sys_pipe(ends), 0);
	ck_ok(nova_interrupt_new(&opts.interrupt, &error));
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	opts.flags = NOVA_COMMAND_STREAMED;
	opts.stdin_fd = ends[0];
	opts.on_output = interrupt_it;
	opts.userdata = opts.interrupt;
	ck_fails(NOVA_ECANCELED, nova_vm_command(vm, &opts, &result, &error));
	nova_result_free(result);
	ck_ok(nova_vm_ping(vm, 0, NULL, &error));
	nova_interrupt_free(opts.interrupt);
	fd_close(ends[0]);
	fd_close(ends[1]);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(stdin_that_cannot_be_read_ends_the_command_and_is_told)
{
	struct setting s = set_up();
	nova_vm_t *vm = start(&s);
	nova_result_t *result;
	int directory = sys_open("/", O_RDONLY | O_DIRECTORY, 0);
	int code = stream(vm, "cat", directory, NULL, NULL, &result);
	ck_assert_int_lt(code, 0);
	ck_assert_ptr_nonnull(
		strstr(nova_error_message(error), "stdin of the command cannot be read"));
	nova_error_free(error);
	error = NULL;
	nova_result_free(result);
	ck_ok(nova_vm_ping(vm, 0, NULL, &error));
	fd_close(directory);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(flags_that_are_unknown_are_refused_and_stdin_comes_from_one_place)
{
	struct setting s = set_up();
	nova_vm_t *vm = start(&s);
	nova_result_t *result;
	const char *const argv[] = { "true" };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argv = argv;
	opts.argc = 1;
	opts.flags = 2;
	ck_fails_with(NOVA_EABI, "does not know", nova_vm_command(vm, &opts, &result, &error));
	opts.flags = NOVA_COMMAND_STREAMED;
	opts.stdin_data = "x";
	opts.stdin_len = 1;
	ck_fails_with(
		NOVA_EINVAL, "either stdin_data or", nova_vm_command(vm, &opts, &result, &error));
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

static Suite *flow_suite(void)
{
	Suite *suite = suite_create("flow");
	TCase *tc = tcase_create(engine);
	tcase_set_timeout(tc, 300);
	tcase_add_test(
		tc, a_command_gets_stdin_of_any_length_and_all_it_prints_comes_back_in_flat_memory);
	tcase_add_test(tc, a_command_may_end_without_reading_its_stdin);
	tcase_add_test(tc, a_command_that_is_given_nothing_finds_its_stdin_at_the_end);
	tcase_add_test(tc, what_a_command_prints_comes_before_its_stdin_has_ended);
	tcase_add_test(
		tc, who_takes_output_when_its_time_is_long_over_loses_the_call_and_not_the_vm);
	tcase_add_test(tc, a_command_that_waits_for_stdin_can_be_interrupted);
	tcase_add_test(tc, stdin_that_cannot_be_read_ends_the_command_and_is_told);
	tcase_add_test(tc, flags_that_are_unknown_are_refused_and_stdin_comes_from_one_place);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, flow_suite);
}
