/* SPDX-License-Identifier: MIT */
/* What every engine must do, through nova/vm.h alone. Run as `conform-vm ENGINE`. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "conform/setting.h"

/* --- setting --- */

static int invoke(nova_vm_t *vm, const char *payload, uint32_t timeout_ms, nova_result_t **result)
{
	return nova_vm_invoke(vm, payload,
		&(nova_vm_invoke_opts){ sizeof(nova_vm_invoke_opts), .timeout_ms = timeout_ms },
		result, &error);
}

/* One function, one call; the caller looks at code, result and error. */
static int call_once(const char *runtime, const char *source, const char *payload,
	uint32_t timeout_ms, nova_result_t **result)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_function(&s, runtime, source);
	int code = invoke(vm, payload, timeout_ms, result);
	if (code == 0 || nova_error_outcome(error) == NOVA_OUTCOME_RAN)
		/* the agent survives whatever the function did */
		ck_assert_int_eq(nova_vm_ping(vm, 0, NULL, NULL), 0);
	nova_vm_free(vm);
	tear_down(&s);
	return code;
}

/* --- life --- */

START_TEST(a_vm_starts_answers_and_stops)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_vm(&s, "base", NULL);
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_RUNNING);
	ck_assert_str_eq(nova_vm_engine(vm), engine);
	ck_assert_uint_eq(strlen(nova_vm_id(vm)), 8);
	ck_assert_int_gt(nova_vm_pid(vm), 0);
	ck_ok(nova_vm_ping(vm, 0, NULL, &error));
	ck_ok(nova_vm_stop(vm, 20000, NULL, &error));
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_DEAD);
	ck_assert_int_eq(nova_vm_pid(vm), 0);
	ck_fails(NOVA_ELOST, nova_vm_ping(vm, 0, NULL, &error));
	ck_ok(nova_vm_stop(vm, 0, NULL, &error));
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_vm_outlives_the_callers_reference_to_its_host)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_vm(&s, "base", NULL);
	nova_host_ref(s.host);
	nova_host_unref(s.host);
	ck_ok(nova_vm_ping(vm, 0, NULL, &error));
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(pausing_holds_calls_off_and_resuming_lets_them_pass)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_function(&s, "shell", "echo 1");
	nova_result_t *result;
	ck_ok(nova_vm_pause(vm, NULL, &error));
	ck_ok(nova_vm_pause(vm, NULL, &error));
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_PAUSED);
	ck_fails_with(NOVA_EBUSY, "paused", invoke(vm, "{}", 0, &result));
	ck_ok(nova_vm_resume(vm, NULL, &error));
	ck_ok(nova_vm_resume(vm, NULL, &error));
	ck_ok(invoke(vm, "{}", 0, &result));
	nova_result_free(result);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(the_cost_of_a_vm_is_told_and_grows_with_its_work)
{
	struct setting s = set_up();
	nova_vm_t *vm = boot_function(
		&s, "shell", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo 1");
	uint64_t before[NOVA_VM_STAT_MERGED + 1], after[NOVA_VM_STAT_MERGED + 2];
	nova_result_t *result;
	ck_ok(nova_vm_stats(vm, before, ARRAY_LEN(before), &error));
	ck_assert_uint_gt(before[NOVA_VM_STAT_PSS], 0);
	ck_assert_uint_le(before[NOVA_VM_STAT_PSS], before[NOVA_VM_STAT_RSS]);
	ck_assert_uint_le(before[NOVA_VM_STAT_PRIVATE], before[NOVA_VM_STAT_PSS]);
	ck_assert_uint_eq(before[NOVA_VM_STAT_PRIVATE] + before[NOVA_VM_STAT_SHARED],
		before[NOVA_VM_STAT_RSS]);
	ck_assert_uint_gt(before[NOVA_VM_STAT_START_US], 0);
	ck_assert_uint_gt(before[NOVA_VM_STAT_INIT_US], 0);
	ck_assert_uint_eq(before[NOVA_VM_STAT_STOOD_STILL_US], 0); /* nobody forked it */
	ck_ok(invoke(vm, "{}", 0, &result));
	nova_result_free(result);
	ck_assert_uint_eq(before[NOVA_VM_STAT_MERGED], 0); /* nobody has asked for it */
	after[NOVA_VM_STAT_MERGED + 1] = 1;
	ck_ok(nova_vm_stats(vm, after, ARRAY_LEN(after), &error));
	ck_assert_uint_gt(after[NOVA_VM_STAT_CPU_US], before[NOVA_VM_STAT_CPU_US]);
	ck_assert_uint_eq(after[NOVA_VM_STAT_MERGED + 1], 0);
	ck_assert_uint_eq(after[NOVA_VM_STAT_INIT_US], before[NOVA_VM_STAT_INIT_US]);
	after[1] = 7;
	ck_ok(nova_vm_stats(vm, after, 1, &error)); /* no more than asked for */
	ck_assert_uint_eq(after[1], 7);
	ck_fails(NOVA_EINVAL, nova_vm_stats(vm, after, 0, &error));
	nova_vm_kill(vm);
	ck_fails_with(NOVA_ELOST, "dead", nova_vm_stop(vm, 0, NULL, &error));
	ck_fails_with(NOVA_ELOST, "dead", nova_vm_stats(vm, after, 1, &error));
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(bad_options_are_refused_before_anything_starts)
{
	struct setting s = set_up();
	nova_vm_t *vm;
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.memory_mb = 1;
	ck_fails_with(NOVA_EINVAL, "memory_mb is 1; it must be 32",
		nova_vm_start(s.host, &opts, &vm, &error));
	opts.memory_mb = 0;
	opts.vcpus = 33;
	ck_fails_with(NOVA_EINVAL, "vcpus is 33", nova_vm_start(s.host, &opts, &vm, &error));
	opts.vcpus = 0;
	opts.flags = 8;
	ck_fails(NOVA_EINVAL, nova_vm_start(s.host, &opts, &vm, &error));
	opts.flags = 0;
	opts.engine = "warp";
	ck_fails_with(NOVA_EINVAL, "warp", nova_vm_start(s.host, &opts, &vm, &error));
	opts.engine = NULL;
	opts.code_disk = "/no/such/disk.ext4";
	ck_fails_with(
		NOVA_ENOTFOUND, "/no/such/disk.ext4", nova_vm_start(s.host, &opts, &vm, &error));
	tear_down(&s);
}
END_TEST

/* --- functions --- */

START_TEST(a_python_handler_gets_its_event_and_answers)
{
	nova_result_t *result;
	ck_ok(call_once("python",
		"def handler(event):\n"
		"    print('seen')\n"
		"    return {'got': event, 'sum': sum(event['n'])}\n",
		"{\"n\": [1, 2, 3]}", 0, &result));
	ck_assert_str_eq(
		nova_result_output(result, NULL), "{\"got\": {\"n\": [1, 2, 3]}, \"sum\": 6}");
	ck_assert_str_eq(nova_result_stdout(result, NULL), "seen\n");
	ck_assert_int_eq(nova_result_exit_code(result), 0);
	ck_assert_uint_eq(strlen(nova_result_request_id(result)), 8);
	ck_assert_uint_gt(nova_result_timing_us(result, NOVA_TIMING_EXEC), 0);
	nova_result_free(result);
}
END_TEST

START_TEST(a_script_reads_its_input_file_and_prints_json)
{
	nova_result_t *result;
	ck_ok(call_once("python",
		"import json, sys\n"
		"print(json.dumps({'twice': json.load(open(sys.argv[1]))['x'] * 2}))\n",
		"{\"x\": 21}", 0, &result));
	ck_assert_str_eq(nova_result_output(result, NULL), "{\"twice\": 42}");
	nova_result_free(result);
}
END_TEST

START_TEST(what_is_not_json_comes_back_as_a_string)
{
	nova_result_t *result;
	ck_ok(call_once("shell", "printf 'not \"json\\n'; printf '\\377'", "{}", 0, &result));
	ck_assert_str_eq(nova_result_output(result, NULL), "\"not \\\"json\\n\xef\xbf\xbd\"");
	nova_result_free(result);
}
END_TEST

START_TEST(calls_on_one_vm_do_not_see_each_other)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_function(&s, "python",
		"import os, random\n"
		"count = 0\n"
		"def handler(event):\n"
		"    global count\n"
		"    count += 1\n"
		"    return [count, os.getpid(), random.random()]\n");
	nova_result_t *first, *second;
	ck_ok(invoke(vm, "{}", 0, &first));
	ck_ok(invoke(vm, "{}", 0, &second));
	ck_assert(str_starts(nova_result_output(first, NULL), "[1, "));
	ck_assert(str_starts(nova_result_output(second, NULL), "[1, "));
	ck_assert_str_ne(strrchr(nova_result_output(first, NULL), ','),
		strrchr(nova_result_output(second, NULL), ','));
	nova_result_free(first);
	nova_result_free(second);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(an_exception_is_a_failure_with_its_traceback)
{
	nova_result_t *result;
	int code = call_once("python",
		"def handler(event):\n    raise ValueError('no such city')\n", "{}", 0, &result);
	vmtest_failed(NOVA_EFUNCTION, code, NOVA_OUTCOME_RAN, "ValueError: no such city");
	ck_assert_ptr_nonnull(strstr(nova_result_stderr(result, NULL), "Traceback"));
	ck_assert_str_eq(nova_result_output(result, NULL), "null");
	ck_assert_int_ne(nova_result_exit_code(result), 0);
	nova_result_free(result);
}
END_TEST

START_TEST(an_exit_code_is_kept_and_stderr_explains_it)
{
	nova_result_t *result;
	int code = call_once("shell", "echo 'out of tea' >&2; exit 3", "{}", 0, &result);
	vmtest_failed(NOVA_EFUNCTION, code, NOVA_OUTCOME_RAN, "exit 3: out of tea");
	ck_assert_int_eq(nova_result_exit_code(result), 3);
	nova_result_free(result);
}
END_TEST

START_TEST(missing_code_is_refused_at_init_and_never_ran)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_vm(&s, "base", NULL);
	nova_result_t *result;
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	init.runtime = "binary";
	ck_fails_with(NOVA_EFUNCTION, "handler", nova_vm_init(vm, &init, &error));
	init.runtime = "cobol";
	ck_fails_with(NOVA_EINVAL, "cobol", nova_vm_init(vm, &init, &error));
	ck_fails_with(NOVA_EBUSY, "nova_vm_init", invoke(vm, "{}", 0, &result));
	ck_assert_ptr_null(result);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_module_that_cannot_be_imported_says_why)
{
	struct setting s = set_up();
	AUTO_FREE char *disk = code_disk(
		&s, "broken", "import no_such_module\ndef handler(event):\n    return 1\n");
	nova_vm_t *vm = start_vm(&s, "python", disk);
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	init.runtime = "python";
	ck_fails_with(NOVA_EFUNCTION, "no_such_module", nova_vm_init(vm, &init, &error));
	ck_ok(nova_vm_ping(vm, 0, NULL, &error));
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_function_that_never_ends_is_killed_and_its_words_are_kept)
{
	nova_result_t *result;
	int code = call_once("shell",
		"trap '' TERM INT; echo begun; (while :; do sleep 1000; done) & while :; do sleep "
		"1000; done",
		"{}", 5000, &result); /* a new guest on a busy machine takes a while to begin */
	vmtest_failed(NOVA_ETIMEDOUT, code, NOVA_OUTCOME_RAN, "timeout after 5000 ms");
	ck_assert_str_eq(nova_result_stdout(result, NULL), "begun\n");
	nova_result_free(result);
}
END_TEST

START_TEST(a_flood_of_output_is_capped_and_the_function_still_ends)
{
	nova_result_t *result;
	int code = call_once("shell",
		"dd if=/dev/zero bs=1M count=100 2>/dev/null | tr '\\0' x; echo done >&2", "{}",
		120000, &result);
	vmtest_failed(NOVA_EFUNCTION, code, NOVA_OUTCOME_RAN,
		"104857600 bytes, over the limit of 6291456");
	size_t len;
	nova_result_stdout(result, &len);
	ck_assert_uint_gt(len, 1 << 20);
	ck_assert_str_eq(nova_result_output(result, NULL), "null");
	ck_assert_int_eq(nova_result_truncated(result), 1);
	ck_assert_str_eq(nova_result_stderr(result, NULL), "done\n");
	nova_result_free(result);
}
END_TEST

/* As JSON these are 12 MiB of escapes, and 2 Mi values. */
START_TEST(output_of_6_mib_is_whole_whatever_it_becomes_as_json)
{
	static const struct {
		const char *source, *begin, *end;
		size_t len;
	} outputs[] = {
		{ "head -c 6291456 /dev/zero | tr '\\0' '\"'", "\"\\\"\\\"", "\\\"\"",
			(12u << 20) + 2 },
		{ "echo '['; yes 1, | head -c 6291450 | tr -d '\\n'; echo '1]'", "[\n1,1,1,", ",1]",
			4194300 + 4 },
	};
	for (size_t i = 0; i < ARRAY_LEN(outputs); i++) {
		nova_result_t *result;
		size_t len;
		ck_ok(call_once("shell", outputs[i].source, "{}", 120000, &result));
		const char *output = nova_result_output(result, &len), *end = outputs[i].end;
		ck_assert_uint_eq(len, outputs[i].len);
		ck_assert(str_starts(output, outputs[i].begin) &&
			  !strcmp(output + len - strlen(end), end));
		nova_result_free(result);
	}
}
END_TEST

START_TEST(a_fork_bomb_ends_with_its_request)
{
	if (is_fake())
		return; /* nothing would hold it */
	struct setting s = set_up();
	nova_vm_t *vm = start_function(&s, "shell", "bomb() { bomb | bomb & }; bomb; sleep 1000");
	nova_result_t *result;
	int code = invoke(vm, "{}", 2000, &result);
	vmtest_failed(NOVA_ETIMEDOUT, code, NOVA_OUTCOME_RAN, "timeout");
	nova_result_free(result);
	ck_ok(nova_vm_ping(vm, 20000, NULL, &error));
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_function_that_eats_all_memory_is_told_so)
{
	if (is_fake())
		return; /* it would be this host's memory */
	nova_result_t *result;
	int code = call_once("python",
		"def handler(event):\n    hoard = []\n    while True:\n        "
		"hoard.append(bytearray(1 << 20))\n",
		"{}", 60000, &result);
	vmtest_failed(NOVA_EFUNCTION, code, NOVA_OUTCOME_RAN, "memory");
	nova_result_free(result);
}
END_TEST

START_TEST(payloads_are_checked_before_they_are_sent)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_function(&s, "shell", "cat \"$1\"");
	nova_result_t *result = (nova_result_t *)&s;
	ck_fails_with(NOVA_EINVAL, "JSON", invoke(vm, "{\"a\":", 0, &result));
	ck_assert_ptr_null(result);
	size_t len = (6u << 20) + 1;
	AUTO_FREE char *big = malloc(len + 1);
	memset(big, '1', len);
	big[len] = 0;
	ck_fails(NOVA_ETOOBIG, nova_vm_invoke(vm, big, NULL, &result, &error));
	ck_fails_with(NOVA_EINVAL, "a b",
		nova_vm_invoke(vm, "1",
			&(nova_vm_invoke_opts){ sizeof(nova_vm_invoke_opts), .request_id = "a b" },
			&result, &error));
	big[0] = big[len - 2] = '"';
	big[len - 1] = 0;
	ck_ok(nova_vm_invoke(vm, big,
		&(nova_vm_invoke_opts){
			sizeof(nova_vm_invoke_opts), .timeout_ms = 60000, .request_id = "big_one" },
		&result, &error));
	ck_assert_str_eq(nova_result_request_id(result), "big_one");
	nova_result_free(result);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

static void collect(void *userdata, int stream, const void *data, size_t len)
{
	struct buf *all = userdata;
	ck_assert(stream == 1 || stream == 2);
	ck_assert_int_eq(buf_append(all, data, len), 0);
}

START_TEST(output_can_be_watched_while_it_is_produced)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_function(&s, "shell", "echo one; echo two >&2");
	AUTO_BUF struct buf all = BUF_INIT(1000);
	nova_result_t *result;
	ck_ok(nova_vm_invoke(vm, "{}",
		&(nova_vm_invoke_opts){
			sizeof(nova_vm_invoke_opts), .on_output = collect, .userdata = &all },
		&result, &error));
	ck_assert_int_eq(buf_append(&all, "", 1), 0);
	ck_assert_ptr_nonnull(strstr((char *)all.data, "one\n"));
	ck_assert_ptr_nonnull(strstr((char *)all.data, "two\n"));
	nova_result_free(result);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_command_gets_arguments_environment_and_stdin)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_vm(&s, "base", NULL);
	const char *const argv[] = { "sh", "-c", "cat; echo \"$A $1\"; exit 4", "sh", "b c" };
	const char *const env[] = { "A=x y" };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	opts.env = env;
	opts.env_count = 1;
	opts.stdin_data = "in\n";
	opts.stdin_len = 3;
	nova_result_t *result;
	ck_ok(nova_vm_command(vm, &opts, &result, &error));
	ck_assert_str_eq(nova_result_stdout(result, NULL), "in\nx y b c\n");
	ck_assert_int_eq(nova_result_exit_code(result), 4);
	nova_result_free(result);
	const char *const missing[] = { "no-such-program" };
	opts.argv = missing;
	opts.argc = 1;
	ck_ok(nova_vm_command(vm, &opts, &result, &error));
	ck_assert_int_eq(nova_result_exit_code(result), 127);
	nova_result_free(result);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* Whole seconds are what every guest's `date` tells, so the clock has to have stood for more. */
START_TEST(a_command_after_a_pause_finds_the_right_time)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_vm(&s, "base", NULL);
	const char *const argv[] = { "date", "+%s" };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	ck_ok(nova_vm_pause(vm, NULL, &error));
	sys_poll(NULL, 0, 1200);
	ck_ok(nova_vm_resume(vm, NULL, &error));
	uint64_t before = clock_unix_us() / 1000000;
	nova_result_t *result;
	ck_ok(nova_vm_command(vm, &opts, &result, &error));
	ck_assert_uint_ge(strtoull(nova_result_stdout(result, NULL), NULL, 10), before);
	nova_result_free(result);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* --- files --- */

/* A directory that is there in the guest, for everybody; on the fake engine it is one of this
 * machine. Caller frees. */
static char *guest_directory(const struct setting *s, nova_vm_t *vm)
{
	char *path = is_fake() ? path_join(s->dir, "guest") : strdup("/tmp/guest");
	const char *const argv[] = { "mkdir", "-m", "777", path };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	nova_result_t *result;
	ck_ok(nova_vm_command(vm, &opts, &result, &error));
	ck_assert_int_eq(nova_result_exit_code(result), 0);
	nova_result_free(result);
	return path;
}

START_TEST(files_are_written_listed_read_and_removed)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_function(&s, "shell", "cat \"$(sed 's/\"//g' \"$1\")\"");
	AUTO_FREE char *dir = guest_directory(&s, vm), *large = path_join(dir, "large"),
		       *small = path_join(dir, "small");
	const size_t len = (5u << 19) + 7; /* three pieces */
	AUTO_FREE uint8_t *content = malloc(len);
	for (size_t i = 0; i < len; i++)
		content[i] = (uint8_t)(i * 31 + (i >> 9));
	ck_ok(nova_vm_write_file(vm, large, content, len,
		&(nova_file_write_opts){ sizeof(nova_file_write_opts), .mode = 0600 }, &error));
	ck_ok(nova_vm_write_file(vm, small, "text", 4, NULL, &error));
	ck_ok(nova_vm_write_file(vm, small, "\"other\"", 7, NULL, &error));
	void *got;
	size_t got_len;
	ck_ok(nova_vm_read_file(vm, large, NULL, &got, &got_len, &error));
	ck_assert_uint_eq(got_len, len);
	ck_assert_mem_eq(got, content, len);
	nova_free(got);
	ck_fails_with(NOVA_ETOOBIG, "at most 100 ",
		nova_vm_read_file(vm, large,
			&(nova_file_read_opts){ sizeof(nova_file_read_opts), .max_size = 100 },
			&got, &got_len, &error));

	nova_files_t *files;
	ck_ok(nova_vm_list_files(vm, dir, 0, NULL, &files, &error));
	ck_assert_uint_eq(nova_files_count(files), 2);
	ck_assert_str_eq(nova_files_path(files, 0), "large");
	ck_assert_int_eq(nova_files_kind(files, 0), NOVA_FILE_REGULAR);
	ck_assert_uint_eq(nova_files_size(files, 0), len);
	ck_assert_uint_eq(nova_files_mode(files, 0), 0600);
	ck_assert_uint_eq(nova_files_mode(files, 1), 0644);
	ck_assert_uint_ne(nova_files_digest(files, 0), nova_files_digest(files, 1));
	ck_assert_uint_gt(nova_files_mtime_us(files, 1), 1600000000000000u);
	ck_assert_str_eq(nova_files_target(files, 1), "");
	ck_assert(!nova_files_path(files, 2) && !nova_files_kind(files, 2));
	nova_files_free(files);

	AUTO_FREE char *payload = str_format("\"%s\"", small);
	nova_result_t *result;
	ck_ok(invoke(vm, payload, 0, &result)); /* the function can read what was written for it */
	ck_assert_str_eq(nova_result_output(result, NULL), "\"other\"");
	nova_result_free(result);
	ck_ok(nova_vm_remove_file(vm, large, NULL, &error));
	ck_fails_with(NOVA_ENOTFOUND, large, nova_vm_remove_file(vm, large, NULL, &error));
	ck_fails_with(
		NOVA_ENOTFOUND, large, nova_vm_read_file(vm, large, NULL, &got, &got_len, &error));
	ck_ok(nova_vm_read_file(vm, "/proc/version", NULL, &got, &got_len, &error));
	ck_assert_uint_gt(got_len, 0);
	nova_free(got);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(files_that_cannot_be_are_refused_and_a_vm_must_run)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_vm(&s, "base", NULL);
	AUTO_FREE char *dir = guest_directory(&s, vm), *file = path_join(dir, "file");
	nova_files_t *files;
	void *got;
	size_t len;
	static const char *const paths[] = { "", "relative", "/tmp/../etc", "/tmp//x", "/tmp/",
		"/tmp/\xff" };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		ck_fails_with(
			NOVA_EINVAL, "path", nova_vm_write_file(vm, paths[i], "", 0, NULL, &error));
		ck_fails_with(NOVA_EINVAL, "path",
			nova_vm_read_file(vm, paths[i], NULL, &got, &len, &error));
		ck_fails_with(NOVA_EINVAL, "path",
			nova_vm_list_files(vm, paths[i], 0, NULL, &files, &error));
		ck_fails_with(NOVA_EINVAL, "path", nova_vm_remove_file(vm, paths[i], NULL, &error));
	}
	ck_fails(NOVA_EINVAL, nova_vm_write_file(vm, file, NULL, 1, NULL, &error));
	ck_fails(NOVA_EINVAL,
		nova_vm_write_file(vm, file, "", 0,
			&(nova_file_write_opts){ sizeof(nova_file_write_opts), .mode = 010000 },
			&error));
	ck_fails_with(NOVA_EINVAL, dir, nova_vm_read_file(vm, dir, NULL, &got, &len, &error));
	ck_fails_with(NOVA_ENOTFOUND, "missing",
		nova_vm_list_files(vm, "/missing", 0, NULL, &files, &error));
	AUTO_FREE char *below = path_join(file, "x");
	ck_fails_with(NOVA_ENOTFOUND, below, nova_vm_write_file(vm, below, "", 0, NULL, &error));
	if (!is_fake()) {
		ck_fails_with(NOVA_EINVAL, "agent's own",
			nova_vm_write_file(vm, "/tmp/.nova/input-1.json", "", 0, NULL, &error));
		/* read-only */
		ck_fails_with(
			NOVA_EIO, "/etc/x", nova_vm_write_file(vm, "/etc/x", "", 0, NULL, &error));
	}
	ck_ok(nova_vm_pause(vm, NULL, &error));
	ck_fails_with(NOVA_EBUSY, "paused", nova_vm_read_file(vm, file, NULL, &got, &len, &error));
	ck_ok(nova_vm_resume(vm, NULL, &error));
	ck_ok(nova_vm_write_file(vm, file, "", 0, NULL, &error));
	nova_vm_kill(vm);
	ck_fails_with(
		NOVA_ELOST, nova_vm_id(vm), nova_vm_read_file(vm, file, NULL, &got, &len, &error));
	ck_fails_with(
		NOVA_ELOST, nova_vm_id(vm), nova_vm_write_file(vm, file, "", 0, NULL, &error));
	ck_fails_with(
		NOVA_ELOST, nova_vm_id(vm), nova_vm_list_files(vm, dir, 0, NULL, &files, &error));
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* --- losses --- */

struct killer {
	nova_vm_t *vm;
	int64_t pid;
	bool from_outside;
};

/* Runs in the thread of the call, when the function's first words prove that it runs. */
static void kill_when_it_runs(void *userdata, int stream, const void *data, size_t len)
{
	struct killer *k = userdata;
	(void)stream, (void)data, (void)len;
	if (k->from_outside)
		kill((pid_t)k->pid, SIGKILL);
	else
		nova_vm_kill(k->vm);
}

START_TEST(a_vm_killed_during_a_call_leaves_the_outcome_unknown)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_function(&s, "shell", "echo running; sleep 1000");
	struct killer killer = { vm, nova_vm_pid(vm), _i == 0 };
	nova_result_t *result;
	int code = nova_vm_invoke(vm, "{}",
		&(nova_vm_invoke_opts){ sizeof(nova_vm_invoke_opts), .timeout_ms = 60000,
			.on_output = kill_when_it_runs, .userdata = &killer },
		&result, &error);
	vmtest_failed(NOVA_ELOST, code, NOVA_OUTCOME_UNKNOWN, nova_vm_id(vm));
	ck_assert_ptr_null(result);
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_DEAD);
	code = invoke(vm, "{}", 0, &result);
	vmtest_failed(NOVA_ELOST, code, NOVA_OUTCOME_NEVER_RAN, "dead");
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

static void freeze_when_it_runs(void *userdata, int stream, const void *data, size_t len)
{
	(void)stream, (void)data, (void)len;
	kill((pid_t)((struct killer *)userdata)->pid, SIGSTOP);
}

START_TEST(an_agent_that_falls_silent_is_given_up_after_its_time)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_function(
		&s, "shell", "case $(cat \"$1\") in 1) echo running; sleep 1000;; esac");
	struct killer killer = { vm, nova_vm_pid(vm), false };
	nova_result_t *result;
	ck_ok(invoke(vm, "0", 60000, &result)); /* what a clone does slowly is over */
	nova_result_free(result);
	int code = nova_vm_invoke(vm, "1",
		&(nova_vm_invoke_opts){ sizeof(nova_vm_invoke_opts), .timeout_ms = 2000,
			.on_output = freeze_when_it_runs, .userdata = &killer },
		&result, &error);
	vmtest_failed(NOVA_EAGENT, code, NOVA_OUTCOME_UNKNOWN, "did not answer");
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_DEAD);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_guest_that_panics_is_reported_with_its_last_words)
{
	if (is_fake())
		return; /* there is no kernel of its own */
	struct setting s = set_up();
	nova_vm_t *vm = start_vm(&s, "base", NULL);
	const char *const argv[] = { "sh", "-c", "echo c > /proc/sysrq-trigger" };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	nova_result_t *result;
	int code = nova_vm_command(vm, &opts, &result, &error);
	vmtest_failed(NOVA_ELOST, code, NOVA_OUTCOME_UNKNOWN, "panic");
	AUTO_FREE char *console = nova_vm_console(vm);
	ck_assert_ptr_nonnull(strstr(console, "sysrq"));
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

static Suite *vm_suite(void)
{
	Suite *suite = suite_create("vm");
	TCase *tc = tcase_create(engine);
	tcase_set_timeout(tc, 180);
	tcase_add_test(tc, a_vm_starts_answers_and_stops);
	tcase_add_test(tc, a_vm_outlives_the_callers_reference_to_its_host);
	tcase_add_test(tc, pausing_holds_calls_off_and_resuming_lets_them_pass);
	tcase_add_test(tc, the_cost_of_a_vm_is_told_and_grows_with_its_work);
	tcase_add_test(tc, bad_options_are_refused_before_anything_starts);
	tcase_add_test(tc, output_can_be_watched_while_it_is_produced);
	tcase_add_test(tc, a_command_after_a_pause_finds_the_right_time);
	tcase_add_loop_test(tc, a_vm_killed_during_a_call_leaves_the_outcome_unknown, 0, 2);
	tcase_add_test(tc, an_agent_that_falls_silent_is_given_up_after_its_time);
	tcase_add_test(tc, a_guest_that_panics_is_reported_with_its_last_words);
	suite_add_tcase(suite, tc);
	tc = vmtest_case_of_guests("guest", 180);
	tcase_add_test(tc, a_python_handler_gets_its_event_and_answers);
	tcase_add_test(tc, output_of_6_mib_is_whole_whatever_it_becomes_as_json);
	tcase_add_test(tc, a_script_reads_its_input_file_and_prints_json);
	tcase_add_test(tc, what_is_not_json_comes_back_as_a_string);
	tcase_add_test(tc, calls_on_one_vm_do_not_see_each_other);
	tcase_add_test(tc, an_exception_is_a_failure_with_its_traceback);
	tcase_add_test(tc, an_exit_code_is_kept_and_stderr_explains_it);
	tcase_add_test(tc, missing_code_is_refused_at_init_and_never_ran);
	tcase_add_test(tc, a_module_that_cannot_be_imported_says_why);
	tcase_add_test(tc, a_function_that_never_ends_is_killed_and_its_words_are_kept);
	tcase_add_test(tc, a_flood_of_output_is_capped_and_the_function_still_ends);
	tcase_add_test(tc, a_fork_bomb_ends_with_its_request);
	tcase_add_test(tc, a_function_that_eats_all_memory_is_told_so);
	tcase_add_test(tc, payloads_are_checked_before_they_are_sent);
	tcase_add_test(tc, a_command_gets_arguments_environment_and_stdin);
	suite_add_tcase(suite, tc);
	tc = tcase_create("files");
	tcase_set_timeout(tc, 180);
	tcase_add_test(tc, files_are_written_listed_read_and_removed);
	tcase_add_test(tc, files_that_cannot_be_are_refused_and_a_vm_must_run);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, vm_suite);
}
