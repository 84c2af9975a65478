/* SPDX-License-Identifier: MIT */
/* Code that is run once: nova/run.h. */
#include <dirent.h>

#include <nova/call.h>

#include "gate.h"

#define RUN_OPTS(...) ((nova_run_opts){ .size = sizeof(nova_run_opts), __VA_ARGS__ })

/* It succeeds with this output. */
static nova_result_t *answers(struct platform *p, const char *language, const char *code,
	const char *output, nova_run_opts opts)
{
	nova_result_t *r;
	ck_ok(nova_run(p->nova, language, code, &opts, &r, &error));
	ck_assert_str_eq(nova_result_output(r, NULL), output);
	return r;
}

static void prints(struct platform *p, const char *language, const char *code, const char *printed,
	nova_run_opts opts)
{
	nova_result_t *r;
	ck_ok(nova_run(p->nova, language, code, &opts, &r, &error));
	ck_assert_str_eq(nova_result_stdout(r, NULL), printed);
	nova_result_free(r);
}

/* It fails, and nothing ran. */
static void refused(struct platform *p, const char *language, const char *code, int expected,
	const char *part, nova_run_opts opts)
{
	nova_result_t *r;
	ck_failed(expected, NOVA_OUTCOME_NEVER_RAN, part,
		nova_run(p->nova, language, code, &opts, &r, &error));
	ck_assert_ptr_null(r);
}

/* It ran, and failed so. */
static nova_result_t *fails(struct platform *p, const char *language, const char *code,
	int expected, const char *part, nova_run_opts opts)
{
	nova_result_t *r;
	ck_failed(expected, NOVA_OUTCOME_RAN, part,
		nova_run(p->nova, language, code, &opts, &r, &error));
	ck_assert_ptr_nonnull(r);
	return r;
}

static size_t entries(const char *directory, const char *part)
{
	size_t count = 0;
	DIR *dir = opendir(directory);
	for (struct dirent *e; dir && (e = readdir(dir));)
		count += strstr(e->d_name, part) != NULL;
	if (dir)
		closedir(dir);
	return count;
}

/* No VM, no disk in the run directory, no function and no code in the store. */
static void nothing_is_kept(struct platform *p)
{
	nova_function_t **functions;
	size_t count;
	ck_assert_uint_eq(pool_counter(p->pool, NOVA_POOL_MEMORY_MB), 0);
	ck_ok(nova_function_list(p->nova, NULL, &functions, &count, &error));
	ck_assert_uint_eq(count, 0);
	AUTO_FREE char *disks = path_join(p->dir, "disks"), *runs = path_join(p->dir, "run");
	ck_assert_uint_eq(entries(disks, ".ext4"), 0);
	DIR *dir = opendir(runs);
	ck_assert_ptr_nonnull(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		AUTO_FREE char *one = path_join(runs, e->d_name);
		ck_assert_uint_eq(entries(one, ".ext4"), 0);
	}
	closedir(dir);
}

/* --- what code is given, and what comes of it --- */

START_TEST(code_runs_once_in_a_vm_of_its_own_and_nothing_of_it_is_kept)
{
	struct platform p = platform_open(NULL);
	char ids[2][9];
	for (int i = 0; i < 2; i++) {
		nova_result_t *r =
			answers(&p, "python", "print(6 * 7)", "42", RUN_OPTS(.input = "{}"));
		ck_assert_str_eq(nova_result_stdout(r, NULL), "42\n");
		ck_assert_int_eq(nova_result_cold_start(r), 1);
		ck_assert_uint_gt(nova_result_timing_us(r, NOVA_TIMING_START), 0);
		memcpy(ids[i], nova_result_vm_id(r), 9);
		nova_result_free(r);
	}
	ck_assert_str_ne(ids[0], ids[1]);
	nothing_is_kept(&p);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 2);
	platform_close(&p);
}
END_TEST

START_TEST(a_handler_is_called_with_the_input_as_that_of_a_function)
{
	struct platform p = platform_open(NULL);
	const char *code = "def handler(event, context):\n"
			   "    return {'sum': sum(event), 'id': context.request_id}\n"
			   "def other(event):\n"
			   "    return len(event)\n";
	nova_result_free(answers(&p, "python", code, "{\"sum\": 6, \"id\": \"mine\"}",
		RUN_OPTS(.input = "[1,2,3]", .request_id = "mine")));
	nova_result_free(answers(
		&p, "python", code, "3", RUN_OPTS(.input = "[1,2,3]", .handler = "main.other")));
	platform_close(&p);
}
END_TEST

START_TEST(a_handler_is_looked_for_only_where_there_is_an_input)
{
	struct platform p = platform_open(NULL);
	const char *code = "import signal\n"
			   "def handler(number, frame): pass\n"
			   "signal.signal(signal.SIGTERM, handler)\n"
			   "print('ran')\n";
	prints(&p, "python", code, "ran\n", RUN_OPTS(.input = NULL));
	nova_result_free(answers(&p, "python", code, "null", RUN_OPTS(.input = "1")));
	nova_result_free(answers(
		&p, "python", code, "null", RUN_OPTS(.input = NULL, .handler = "main.handler")));
	platform_close(&p);
}
END_TEST

START_TEST(a_program_is_given_input_arguments_stdin_variables_and_files)
{
	struct platform p = platform_open(NULL);
	const char *const args[] = { "a b", "\"quoted\"", "" }, *const env[] = { "WHO=me" };
	const nova_run_file files[] = { { "data.csv", "1,2\n", 4 }, { "empty", NULL, 0 },
		{ "helper.py", "NAME = 'helper'\n", 16 } };
	prints(&p, "shell", "cat \"$1\"; cmp \"$1\" \"$NOVA_INPUT\"", "{\"a\":1}",
		RUN_OPTS(.input = "{\"a\":1}"));
	const nova_run_opts all = RUN_OPTS(.input = "[7]", .args = args, .args_count = 3,
		.stdin_data = "from stdin\n", .stdin_len = 11, .env = env, .env_count = 1,
		.files = files, .files_count = 3);
	prints(&p, "shell",
		"echo $# \"$1\" \"$2\" \"$WHO\"; cat; cat data.csv; cat \"$NOVA_INPUT\"; wc -c "
		"<empty",
		"3 a b \"quoted\" me\nfrom stdin\n1,2\n[7]0\n", all);
	prints(&p, "python",
		"import helper, os, sys\n"
		"def handler(event): return 'never called'\n"
		"print(sys.argv[1:], os.environ['WHO'], sys.stdin.read().strip(), helper.NAME,\n"
		"      open('data.csv').read().strip(), open(os.environ['NOVA_INPUT']).read())\n",
		"['a b', '\"quoted\"', ''] me from stdin helper 1,2 [7]\n", all);
	platform_close(&p);
}
END_TEST

START_TEST(code_from_a_file_keeps_its_ending)
{
	struct platform p = platform_open(NULL);
	const char *code = "print(__file__.rsplit('/', 1)[1])";
	prints(&p, "python", code, "main.py\n", RUN_OPTS(.code_name = "a/job.py"));
	prints(&p, "python", code, "handler\n", RUN_OPTS(.code_name = "job.txt"));
	platform_close(&p);
}
END_TEST

static void keep(void *userdata, int stream, const void *data, size_t len)
{
	struct buf *kept = userdata;
	ck_assert_int_eq(stream, 1);
	ck_assert_int_eq(buf_append(kept, data, len), 0);
}

START_TEST(output_streams_while_the_code_runs)
{
	struct platform p = platform_open(NULL);
	AUTO_BUF struct buf kept = BUF_INIT(1000);
	prints(&p, "shell", "echo one; echo two", "one\ntwo\n",
		RUN_OPTS(.on_output = keep, .userdata = &kept));
	ck_assert_int_eq(buf_append(&kept, "", 1), 0);
	ck_assert_str_eq((char *)kept.data, "one\ntwo\n");
	platform_close(&p);
}
END_TEST

/* --- code that goes wrong --- */

START_TEST(how_code_ended_is_told)
{
	struct platform p = platform_open(NULL);
	struct {
		const char *language, *code, *part;
		int exit_code;
	} cases[] = {
		{ "shell", "echo no such city >&2; exit 3", "exit 3: no such city", 3 },
		{ "shell", "kill -9 $$", "signal 9", 137 },
		{ "python", "1/0", "ZeroDivisionError: division by zero", 1 },
		{ "python", "import sys; sys.exit(5)", "exit 5", 5 },
		{ "shell", "head -c 100000000 /dev/zero | tr '\\0' x", "6291456", 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		nova_result_t *r = fails(&p, cases[i].language, cases[i].code, NOVA_EFUNCTION,
			cases[i].part, RUN_OPTS(.input = "{}"));
		ck_assert_int_eq(nova_result_exit_code(r), cases[i].exit_code);
		nova_result_free(r);
	}
	refused(&p, "python", "def f(:\n", NOVA_EFUNCTION, "SyntaxError", RUN_OPTS(.input = "{}"));
	nothing_is_kept(&p);
	platform_close(&p);
}
END_TEST

START_TEST(what_code_leaves_running_ends_with_its_vm)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *mark = str_format("%s-orphan", p.dir);
	AUTO_FREE char *code = str_format(
		"(exec -a '%s' sleep 100000 </dev/null >/dev/null 2>&1 &); echo 1", mark);
	AUTO_FREE char *bash = str_format("exec bash -c \"%s\"", code);
	nova_result_free(answers(&p, "shell", bash, "1", RUN_OPTS(.input = "{}")));
	vmtest_await_none(mark);
	nothing_is_kept(&p);
	platform_close(&p);
}
END_TEST

START_TEST(code_is_killed_at_its_time_limit)
{
	struct platform p = platform_open(NULL);
	nova_result_t *r = fails(&p, "shell", "echo begun; sleep 100000", NOVA_ETIMEDOUT,
		"timeout after 300 ms", RUN_OPTS(.timeout_ms = 300));
	nova_result_free(r);
	nothing_is_kept(&p);
	refused(&p, "shell", "echo", NOVA_EINVAL, "86400000", RUN_OPTS(.timeout_ms = 86400001));
	platform_close(&p);
}
END_TEST

static void trigger(void *userdata, int stream, const void *data, size_t len)
{
	(void)stream, (void)data, (void)len;
	nova_interrupt_trigger(userdata);
}

START_TEST(a_token_ends_a_run_before_and_while_its_code_runs)
{
	struct platform p = platform_open(NULL);
	nova_interrupt_t *token;
	ck_ok(nova_interrupt_new(&token, &error));
	nova_result_free(fails(&p, "shell", "echo begun; sleep 100000", NOVA_ECANCELED, "cancelled",
		RUN_OPTS(.interrupt = token, .on_output = trigger, .userdata = token)));
	refused(&p, "shell", "echo", NOVA_ECANCELED, "before it began",
		RUN_OPTS(.interrupt = token));
	nova_interrupt_free(token);
	nothing_is_kept(&p);
	platform_close(&p);
}
END_TEST

/* --- what is refused --- */

START_TEST(what_cannot_be_run_is_refused_with_the_way_out)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *long_argument = calloc(1, 40000);
	ck_assert_ptr_nonnull(long_argument);
	memset(long_argument, 'x', 39999);
	const char *const args[] = { long_argument }, *const bad[] = { "\xff" };
	const nova_run_opts none = RUN_OPTS(.input = "{}");
	refused(&p, "perl", "1", NOVA_EINVAL, "python, node, go, rust, wasm, shell, binary", none);
	refused(&p, "pyton", "1", NOVA_EINVAL, "did you mean 'python'", none);
	refused(&p, "python", "", NOVA_EINVAL, "empty", none);
	refused(&p, "go", "package main", NOVA_EINVAL, "CGO_ENABLED=0", none);
	refused(&p, "wasm", "(module)", NOVA_EINVAL, "wasm32-wasip1", none);
	refused(&p, "shell", "1", NOVA_EINVAL, "not JSON", RUN_OPTS(.input = "{"));
	refused(&p, "shell", "1", NOVA_ETOOBIG, "67108864",
		RUN_OPTS(.stdin_data = "", .stdin_len = 67108865));
	refused(&p, "shell", "1", NOVA_ETOOBIG, "32768", RUN_OPTS(.args = args, .args_count = 1));
	refused(&p, "shell", "1", NOVA_EINVAL, "UTF-8", RUN_OPTS(.args = bad, .args_count = 1));
	refused(&p, "python", "1", NOVA_EINVAL, "at least 96", RUN_OPTS(.memory_mb = 64));
	refused(&p, "shell", "1", NOVA_EINVAL, "network", RUN_OPTS(.network = "moon"));
	refused(&p, "shell", "1", NOVA_EINVAL, "no request id", RUN_OPTS(.request_id = "a b"));
	nothing_is_kept(&p);
	platform_close(&p);
}
END_TEST

START_TEST(a_file_beside_the_code_has_one_plain_name_of_its_own)
{
	struct platform p = platform_open(NULL);
	static const struct {
		const char *name, *part;
	} cases[] = {
		{ "a/b", "one plain name" },
		{ "..", "one plain name" },
		{ ".", "one plain name" },
		{ "", "one plain name" },
		{ "handler", "in the place of the code" },
		{ "lost+found", "taken" },
		{ ".nova-stdin", "taken" },
		{ NULL, "no name" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const nova_run_file file = { cases[i].name, "x", 1 };
		refused(&p, "shell", "1", NOVA_EINVAL, cases[i].part,
			RUN_OPTS(.files = &file, .files_count = 1));
	}
	nova_run_file many[NOVA_RUN_FILES_MAX + 1] = { { "a", "x", 1 }, { "a", "y", 1 } };
	refused(&p, "shell", "1", NOVA_EINVAL, "'a' is given twice",
		RUN_OPTS(.files = many, .files_count = 2));
	refused(&p, "shell", "1", NOVA_EINVAL, "256 are the limit",
		RUN_OPTS(.files = many, .files_count = ARRAY_LEN(many)));
	const nova_run_file large = { "a", "x", SIZE_MAX };
	refused(&p, "shell", "1", NOVA_ETOOBIG, "67108864",
		RUN_OPTS(.files = &large, .files_count = 1));
	nothing_is_kept(&p);
	platform_close(&p);
}
END_TEST

/* --- in the pool, and in a queue --- */

START_TEST(a_run_counts_in_the_pool_and_waits_for_room_there)
{
	struct platform p = platform_open("pool.max_vms", "1", "pool.max_memory", "200", NULL);
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	nova_instance_t *instance;
	platform_add(p.nova, "f", "shell", "echo 1");
	opts.function = "f";
	ck_ok(nova_instance_start(p.nova, &opts, &instance, &error));
	refused(&p, "shell", "echo 1", NOVA_ELIMIT, "pool.max_vms",
		RUN_OPTS(.queue_timeout_ms = 20));
	refused(&p, "shell", "echo 1", NOVA_ELIMIT, "pool.max_memory", RUN_OPTS(.memory_mb = 256));
	ck_ok(nova_instance_stop(instance, 0, &error));
	nova_instance_free(instance);
	nova_result_free(answers(&p, "shell", "echo 1", "1", RUN_OPTS(.input = "{}")));
	platform_close(&p);
}
END_TEST

static nova_call_t *submit(nova_queue_t *q, const char *code, nova_run_opts opts)
{
	nova_call_t *call;
	ck_ok(nova_queue_submit_run(q, "shell", code, &opts, &call, &error));
	return call;
}

START_TEST(a_queue_runs_code_and_what_was_handed_in_need_not_outlive_the_submit)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q;
	nova_call_t *call;
	char code[] = "cat note; cat; echo $1", note[] = "note ", in[] = "stdin ", arg[] = "arg";
	const char *args[] = { arg };
	nova_run_file file = { "note", note, strlen(note) };
	ck_ok(nova_queue_new(p.nova, NULL, &q, &error));
	submit(q, code,
		RUN_OPTS(.files = &file, .files_count = 1, .stdin_data = in,
			.stdin_len = strlen(in), .args = args, .args_count = 1, .userdata = q,
			.request_id = "mine"));
	memset(code, 'x', strlen(code));
	memset(note, 'x', strlen(note));
	memset(in, 'x', strlen(in));
	memset(arg, 'x', strlen(arg));
	ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &call, &error));
	ck_assert_ptr_eq(nova_call_userdata(call), q);
	ck_assert_str_eq(nova_call_request_id(call), "mine");
	error = nova_call_take_error(call);
	ck_ok(nova_call_code(call));
	nova_result_t *r = nova_call_take_result(call);
	ck_assert_str_eq(nova_result_stdout(r, NULL), "note stdin arg\n");
	nova_result_free(r);
	nova_call_free(call);
	const nova_run_opts opts = RUN_OPTS(.input = "{");
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "not JSON",
		nova_queue_submit_run(q, "shell", "1", &opts, NULL, &error));
	nova_queue_free(q);
	nothing_is_kept(&p);
	platform_close(&p);
}
END_TEST

START_TEST(runs_that_wait_for_room_are_called_off_and_those_under_way_are_killed)
{
	struct platform p = platform_open("pool.max_vms", "1", "pool.queue_timeout", "3600s", NULL);
	nova_queue_t *q;
	nova_call_t *calls[2], *call;
	ck_ok(nova_queue_new(p.nova, NULL, &q, &error));
	const nova_run_opts opts = RUN_OPTS(.on_output = note_start, .timeout_ms = 3600000);
	calls[0] = submit(q, "echo started >&2; sleep 100000", opts);
	await_starts(1);
	calls[1] = submit(q, "echo never", opts);
	while (!pool_counter(p.pool, NOVA_POOL_WAITING))
		sched_yield();
	for (int i = 1; i >= 0; i--) {
		ck_ok(nova_call_cancel(calls[i]));
		ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &call, &error));
		ck_assert_ptr_eq(call, calls[i]);
		error = nova_call_take_error(call);
		vmtest_failed(NOVA_ECANCELED, nova_call_code(call),
			i ? NOVA_OUTCOME_NEVER_RAN : NOVA_OUTCOME_RAN, "");
		nova_call_free(call);
	}
	nova_queue_free(q);
	nothing_is_kept(&p);
	platform_close(&p);
}
END_TEST

START_TEST(a_host_that_closes_ends_the_runs_under_way)
{
	struct platform p = platform_open(NULL);
	nova_queue_t *q;
	ck_ok(nova_queue_new(p.nova, NULL, &q, &error));
	submit(q, "echo started >&2; sleep 100000",
		RUN_OPTS(.on_output = note_start, .timeout_ms = 3600000));
	await_starts(1);
	nova_queue_free(q);
	platform_close(&p); /* which looks for what is left */
}
END_TEST

/* A module whose _start does nothing. */
static const char module[] = "\0asm\1\0\0\0"
			     "\1\4\1\x60\0\0"
			     "\3\2\1\0"
			     "\7\n\1\6_start\0\0"
			     "\n\4\1\2\0\x0b";

/* There is no compiler on the engine fake: what it would have kept is put there. */
START_TEST(of_modules_that_are_run_once_the_machine_code_used_last_is_kept)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *room = path_join(p.dir, "compiled"), *first = NULL;
	nova_run_opts opts = RUN_OPTS(.code_len = sizeof(module) - 1);
	nova_result_t *r;
	for (unsigned i = 0; i < 20; i++) {
		AUTO_FREE char *path = str_format("%s/once-%02u", room, i);
		ck_assert_int_eq(fs_mkdirs(path, 0700), 0);
		ck_assert_int_eq(fs_set_atime(path, 1000000000ull + i), 0);
	}
	nova_run(p.nova, "wasm", module, &opts, &r, NULL);
	nova_result_free(r);
	ck_assert_uint_eq(entries(room, "once-"), 15);
	first = path_join(room, "once-05");
	ck_assert_int_eq(fs_exists(first), 1);
	nova_run(p.nova, "shell", "exit 0", NULL, &r, NULL);
	nova_result_free(r);
	ck_assert_uint_eq(entries(room, "once-"), 15);
	platform_close(&p);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("run");
	TCase *tc = tcase_create("run");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, code_runs_once_in_a_vm_of_its_own_and_nothing_of_it_is_kept);
	tcase_add_test(tc, a_handler_is_called_with_the_input_as_that_of_a_function);
	tcase_add_test(tc, a_handler_is_looked_for_only_where_there_is_an_input);
	tcase_add_test(tc, a_program_is_given_input_arguments_stdin_variables_and_files);
	tcase_add_test(tc, code_from_a_file_keeps_its_ending);
	tcase_add_test(tc, output_streams_while_the_code_runs);
	tcase_add_test(tc, how_code_ended_is_told);
	tcase_add_test(tc, what_code_leaves_running_ends_with_its_vm);
	tcase_add_test(tc, code_is_killed_at_its_time_limit);
	tcase_add_test(tc, a_token_ends_a_run_before_and_while_its_code_runs);
	tcase_add_test(tc, what_cannot_be_run_is_refused_with_the_way_out);
	tcase_add_test(tc, a_file_beside_the_code_has_one_plain_name_of_its_own);
	tcase_add_test(tc, a_run_counts_in_the_pool_and_waits_for_room_there);
	tcase_add_test(tc, a_queue_runs_code_and_what_was_handed_in_need_not_outlive_the_submit);
	tcase_add_test(tc, runs_that_wait_for_room_are_called_off_and_those_under_way_are_killed);
	tcase_add_test(tc, a_host_that_closes_ends_the_runs_under_way);
	tcase_add_test(tc, of_modules_that_are_run_once_the_machine_code_used_last_is_kept);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, make_suite);
}
