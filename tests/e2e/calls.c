/* SPDX-License-Identifier: MIT */
#include <jansson.h>

#include "platform.h"

START_TEST(a_function_is_called_cold_and_then_warm)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "hello", "shell", "echo '{\"n\": 12345678901234567890}'");
	nova_result_t *cold, *warm;
	ck_ok(platform_call(p.nova, "hello", &cold));
	ck_ok(platform_call(p.nova, "hello", &warm));
	ck_assert_int_eq(nova_result_cold_start(cold), 1);
	ck_assert_int_eq(nova_result_cold_start(warm), 0);
	ck_assert_str_eq(nova_result_vm_id(cold), nova_result_vm_id(warm));
	ck_assert_str_ne(nova_result_request_id(cold), nova_result_request_id(warm));
	size_t len;
	ck_assert_str_eq(nova_result_output(warm, &len), "{\"n\": 12345678901234567890}");
	ck_assert_uint_eq(len, strlen("{\"n\": 12345678901234567890}"));
	ck_assert_str_eq(nova_result_failure(warm), "");
	ck_assert_int_eq(nova_result_exit_code(warm), 0);
	ck_assert_int_eq(nova_result_truncated(warm), 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 1);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_HITS), 1);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 1);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_BUSY), 0);
	nova_result_free(cold);
	nova_result_free(warm);
	platform_close(&p);
}
END_TEST

/* The JSON has it in whole milliseconds. */
static void says_duration(const nova_result_t *r)
{
	char expected[64], *json = nova_result_to_json(r);
	snprintf(expected, sizeof(expected), "\"duration_ms\":%llu,",
		(unsigned long long)(nova_result_timing_us(r, NOVA_TIMING_TOTAL) + 500) / 1000);
	ck_assert_msg(strstr(json, expected), "%s, expected %s", json, expected);
	nova_free(json);
}

START_TEST(the_parts_of_the_time_make_up_the_whole)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "hello", "shell", "echo 1");
	for (int warm = 0; warm < 2; warm++) {
		nova_result_t *r;
		uint64_t parts = 0;
		ck_ok(platform_call(p.nova, "hello", &r));
		for (int part = NOVA_TIMING_LOOKUP; part <= NOVA_TIMING_EXEC; part++)
			parts += nova_result_timing_us(r, part);
		ck_assert_uint_ge(nova_result_timing_us(r, NOVA_TIMING_TOTAL), parts);
		ck_assert_uint_gt(nova_result_timing_us(r, NOVA_TIMING_EXEC), 0);
		ck_assert_uint_gt(nova_result_timing_us(r, NOVA_TIMING_GUEST), 0);
		ck_assert_uint_eq(nova_result_timing_us(r, 99), 0);
		for (int part = NOVA_TIMING_START; part <= NOVA_TIMING_INIT; part++)
			ck_assert_msg((nova_result_timing_us(r, part) == 0) == warm,
				"part %d, warm %d", part, warm);
		says_duration(r);
		nova_result_free(r);
	}
	platform_close(&p);
}
END_TEST

START_TEST(a_result_is_one_json_object_too)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "hello", "shell", "echo 1e400; echo 'a \"word\"' >&2");
	nova_result_t *r;
	ck_ok(platform_call(p.nova, "hello", &r));
	char *text = nova_result_to_json(r);
	ck_assert_ptr_nonnull(text);
	ck_assert(str_starts(text, "{\"output\":1e400,"));
	char *rest = str_format("{%s", strchr(text, ',') + 1);
	json_t *json = json_loads(rest, 0, NULL);
	ck_assert_str_eq(json_string_value(json_object_get(json, "stderr")), "a \"word\"\n");
	ck_assert_str_eq(
		json_string_value(json_object_get(json, "request_id")), nova_result_request_id(r));
	ck_assert(json_is_true(json_object_get(json, "cold_start")));
	ck_assert(json_integer_value(json_object_get(json_object_get(json, "timing_us"), "exec")) >
		  0);
	json_decref(json);
	free(rest);
	nova_free(text);
	nova_result_free(r);
	platform_close(&p);
}
END_TEST

START_TEST(an_unknown_function_offers_the_nearest_name)
{
	struct platform p = platform_open(NULL);
	nova_result_t *r;
	ck_failed(NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "register it first",
		platform_call(p.nova, "hello", &r));
	ck_assert_ptr_null(r);
	platform_add(p.nova, "hello-python", "shell", "echo 1");
	ck_failed(NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "did you mean 'hello-python'?",
		platform_call(p.nova, "helo-python", &r));
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 0);
	platform_close(&p);
}
END_TEST

START_TEST(what_cannot_become_a_function_is_refused_at_once)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *file = path_join(p.dir, "handler.py"),
		       *object = path_join(p.dir, "handler");
	ck_assert_int_eq(fs_write_file(file, "1", 1, 0600), 0);
	ck_assert_int_eq(fs_write_file(object, "no program", 10, 0755), 0);
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = "f";
	opts.code_path = file;
	opts.runtime = "pyhton";
	ck_fails_with(NOVA_EINVAL, "did you mean 'python'?",
		nova_function_register(p.nova, &opts, NULL, &error));
	opts.runtime = "cobol";
	ck_fails_with(NOVA_EINVAL, "python, node, go, rust, wasm, shell, binary",
		nova_function_register(p.nova, &opts, NULL, &error));
	opts.runtime = "go";
	opts.code_path = object;
	ck_fails_with(NOVA_EINVAL, "go build", nova_function_register(p.nova, &opts, NULL, &error));
	opts.runtime = "python";
	opts.code_path = p.dir;
	opts.handler = "main.handler";
	ck_assert_int_eq(fs_unlink(object), 0);
	ck_fails_with(NOVA_EINVAL, "main.py", nova_function_register(p.nova, &opts, NULL, &error));
	opts.code_path = "/no/such/handler.py";
	ck_fails_with(NOVA_ENOTFOUND, "/no/such/handler.py",
		nova_function_register(p.nova, &opts, NULL, &error));
	opts.code_path = file;
	opts.name = "../etc";
	ck_fails_with(NOVA_EINVAL, "name", nova_function_register(p.nova, &opts, NULL, &error));
	nova_function_t **list;
	size_t count;
	ck_ok(nova_function_list(p.nova, NULL, &list, &count, &error));
	ck_assert_uint_eq(count, 0);
	platform_close(&p);
}
END_TEST

START_TEST(code_that_may_not_be_read_is_named)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *file = path_join(p.dir, "secret.py");
	ck_assert_int_eq(fs_write_file(file, "1", 1, 0), 0);
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = "f";
	opts.runtime = "python";
	opts.code_path = file;
	bool root = geteuid() == 0; /* whom no mode stops */
	ck_assert_int_eq(root ? seteuid(65534) : 0, 0);
	int code = nova_function_register(p.nova, &opts, NULL, &error);
	ck_assert_int_eq(root ? seteuid(0) : 0, 0);
	ck_fails_with(NOVA_EPERM, "secret.py", code);
	platform_close(&p);
}
END_TEST

START_TEST(a_payload_is_checked_before_any_vm_is_started)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "cat", "shell", "cat \"$1\"");
	nova_result_t *r;
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "column",
		nova_invoke(p.nova, "cat", "{'a': 1}", NULL, &r, &error));
	ck_assert_ptr_null(r);
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "empty",
		nova_invoke(p.nova, "cat", "", NULL, &r, &error));
	size_t len = (6u << 20) + 1;
	char *big = malloc(len + 1);
	big[len] = 0;
	memset(big, ' ', len);
	big[0] = '1';
	ck_failed(NOVA_ETOOBIG, NOVA_OUTCOME_NEVER_RAN, "6 MiB",
		nova_invoke(p.nova, "cat", big, NULL, &r, &error));
	free(big);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 0);
	ck_ok(nova_invoke(p.nova, "cat", NULL, NULL, &r, &error));
	ck_assert_str_eq(nova_result_output(r, NULL), "{}");
	nova_result_free(r);
	platform_close(&p);
}
END_TEST

START_TEST(code_that_cannot_be_loaded_never_ran)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "broken", "python",
		"import no_such_module\ndef handler(event):\n    return 1\n");
	nova_result_t *r;
	ck_failed(NOVA_EFUNCTION, NOVA_OUTCOME_NEVER_RAN, "no_such_module",
		platform_call(p.nova, "broken", &r));
	ck_assert_ptr_null(r);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 0);
	platform_close(&p);
}
END_TEST

START_TEST(a_handler_that_raises_has_its_words_in_the_result_and_its_vm_is_kept)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "raise", "python",
		"def handler(event):\n    raise ValueError('no such city')\n");
	for (int warm = 0; warm < 2; warm++) {
		nova_result_t *r;
		ck_failed(NOVA_EFUNCTION, NOVA_OUTCOME_RAN, "ValueError: no such city",
			platform_call(p.nova, "raise", &r));
		ck_assert_ptr_nonnull(strstr(nova_result_stderr(r, NULL), "Traceback"));
		ck_assert_str_eq(nova_result_failure(r), "ValueError: no such city");
		ck_assert_str_eq(nova_result_output(r, NULL), "null");
		ck_assert_int_eq(nova_result_cold_start(r), !warm);
		nova_result_free(r);
	}
	platform_close(&p);
}
END_TEST

START_TEST(an_exit_status_is_kept)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "exit", "shell", "echo said; echo 'out of tea' >&2; exit 3");
	nova_result_t *r;
	ck_failed(NOVA_EFUNCTION, NOVA_OUTCOME_RAN, "exit 3: out of tea",
		platform_call(p.nova, "exit", &r));
	ck_assert_int_eq(nova_result_exit_code(r), 3);
	ck_assert_str_eq(nova_result_stdout(r, NULL), "said\n");
	nova_result_free(r);
	platform_close(&p);
}
END_TEST

/* The limit of the call (first), then the function's own. */
START_TEST(a_function_over_its_time_keeps_its_words_and_its_vm_is_not_used_again)
{
	struct platform p = platform_open(NULL);
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = "sleeper";
	opts.runtime = "shell";
	opts.code = "case $(cat \"$1\") in *stay*) echo begun; sleep 1000;; esac; echo 1";
	opts.code_len = strlen(opts.code);
	/* enough for a new guest to begin, also while others keep this machine busy */
	opts.timeout_s = 4;
	ck_ok(nova_function_register(p.nova, &opts, NULL, &error));
	nova_invoke_opts call = NOVA_INVOKE_OPTS_INIT;
	call.timeout_ms = _i == 0 ? 3500 : 0;
	nova_result_t *r;
	int code = nova_invoke(p.nova, "sleeper", "\"stay\"", &call, &r, &error);
	vmtest_failed(NOVA_ETIMEDOUT, code, NOVA_OUTCOME_RAN, _i == 0 ? "3500 ms" : "4000 ms");
	ck_assert_str_eq(nova_result_stdout(r, NULL), "begun\n");
	AUTO_FREE char *first = strdup(nova_result_vm_id(r));
	nova_result_free(r);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_DISCARDED), 1);
	ck_assert_int_eq(vmtest_process(first), 0);
	ck_ok(platform_call(p.nova, "sleeper", &r));
	ck_assert_int_eq(nova_result_cold_start(r), 1);
	ck_assert_str_ne(nova_result_vm_id(r), first);
	nova_result_free(r);
	platform_close(&p);
}
END_TEST

START_TEST(a_request_id_goes_all_the_way)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "who", "shell", "echo \"$NOVA_REQUEST_ID\"");
	nova_invoke_opts call = NOVA_INVOKE_OPTS_INIT;
	nova_result_t *r;
	call.request_id = "order-66_A";
	ck_ok(nova_invoke(p.nova, "who", "1", &call, &r, &error));
	ck_assert_str_eq(nova_result_request_id(r), "order-66_A");
	ck_assert_str_eq(nova_result_stdout(r, NULL), "order-66_A\n");
	nova_result_free(r);
	ck_ok(platform_call(p.nova, "who", &r));
	ck_assert_uint_eq(strspn(nova_result_request_id(r), "0123456789abcdef"), 8);
	ck_assert_uint_eq(strlen(nova_result_request_id(r)), 8);
	nova_result_free(r);
	call.request_id = "two words";
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "two words",
		nova_invoke(p.nova, "who", "1", &call, &r, &error));
	ck_assert_ptr_null(r);
	platform_close(&p);
}
END_TEST

START_TEST(variables_of_a_function_reach_it)
{
	struct platform p = platform_open(NULL);
	const char *const env[] = { "CITY=Porto Alegre", "EMPTY=" };
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = "env";
	opts.runtime = "shell";
	opts.code = "echo \"$CITY|${EMPTY-unset}|$NOVA_RUNTIME\"";
	opts.code_len = strlen(opts.code);
	opts.env = env;
	opts.env_count = ARRAY_LEN(env);
	ck_ok(nova_function_register(p.nova, &opts, NULL, &error));
	platform_answers(p.nova, "env", "\"Porto Alegre||shell\"");
	platform_close(&p);
}
END_TEST

/* The second time by another handle, as another process would do it. */
START_TEST(a_replaced_function_runs_its_new_code_at_once)
{
	struct platform p = platform_open(NULL);
	nova_t *other;
	ck_ok(nova_open(p.config, &other, &error));
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	platform_add(p.nova, "f", "shell", "echo 2");
	platform_answers(p.nova, "f", "2");
	platform_add(other, "f", "shell", "echo 3");
	platform_answers(p.nova, "f", "3");
	nova_function_t *f;
	ck_ok(nova_function_get(p.nova, "f", &f, &error));
	ck_assert_uint_eq(nova_function_version(f), 3);
	nova_function_free(f);
	nova_close(other);
	platform_close(&p);
}
END_TEST

START_TEST(a_deleted_function_is_gone_with_its_vms)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	ck_ok(nova_function_delete(p.nova, "f", 0, &error));
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_EXPIRED), 1);
	nova_result_t *r;
	ck_failed(NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "'f'", platform_call(p.nova, "f", &r));
	AUTO_FREE char *disks = path_join(p.dir, "disks");
	char **names;
	ck_assert_int_eq(fs_list(disks, &names), 1);
	ck_assert_str_eq(names[0], ".lock");
	strv_free(names, 1);
	platform_add(p.nova, "f", "shell", "echo 2");
	platform_answers(p.nova, "f", "2");
	platform_close(&p);
}
END_TEST

START_TEST(a_code_disk_removed_by_hand_is_named_and_registering_again_mends_it)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	nova_function_t *f;
	ck_ok(nova_function_get(p.nova, "f", &f, &error));
	AUTO_FREE char *disk = str_format("%s/disks/%s.ext4", p.dir, nova_function_code_hash(f));
	nova_function_free(f);
	ck_assert_int_eq(unlink(disk), 0);
	nova_result_t *r;
	ck_failed(NOVA_ECORRUPT, NOVA_OUTCOME_NEVER_RAN, disk, platform_call(p.nova, "f", &r));
	ck_failed(
		NOVA_ECORRUPT, NOVA_OUTCOME_NEVER_RAN, "register", platform_call(p.nova, "f", &r));
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	platform_close(&p);
}
END_TEST

START_TEST(a_guest_has_as_many_processors_as_its_function_asks_for)
{
	if (is_fake())
		return; /* its guests have those of this machine */
	struct platform p = platform_open(NULL);
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	static const char source[] = "nproc; grep -c ^processor /proc/cpuinfo";
	o.name = "f";
	o.runtime = "shell";
	o.code = source;
	o.code_len = strlen(source);
	o.vcpus = 2;
	ck_ok(nova_function_register(p.nova, &o, NULL, &error));
	platform_answers(p.nova, "f", "\"2\\n2\"");
	platform_close(&p);
}
END_TEST

TCase *call_cases(void)
{
	TCase *tc = tcase_create("calls");
	tcase_add_test(tc, a_guest_has_as_many_processors_as_its_function_asks_for);
	tcase_add_test(tc, a_function_is_called_cold_and_then_warm);
	tcase_add_test(tc, the_parts_of_the_time_make_up_the_whole);
	tcase_add_test(tc, a_result_is_one_json_object_too);
	tcase_add_test(tc, an_unknown_function_offers_the_nearest_name);
	tcase_add_test(tc, what_cannot_become_a_function_is_refused_at_once);
	tcase_add_test(tc, code_that_may_not_be_read_is_named);
	tcase_add_test(tc, a_payload_is_checked_before_any_vm_is_started);
	tcase_add_test(tc, code_that_cannot_be_loaded_never_ran);
	tcase_add_test(tc, a_handler_that_raises_has_its_words_in_the_result_and_its_vm_is_kept);
	tcase_add_test(tc, an_exit_status_is_kept);
	tcase_add_loop_test(
		tc, a_function_over_its_time_keeps_its_words_and_its_vm_is_not_used_again, 0, 2);
	tcase_add_test(tc, a_request_id_goes_all_the_way);
	tcase_add_test(tc, variables_of_a_function_reach_it);
	tcase_add_test(tc, a_replaced_function_runs_its_new_code_at_once);
	tcase_add_test(tc, a_deleted_function_is_gone_with_its_vms);
	tcase_add_test(tc, a_code_disk_removed_by_hand_is_named_and_registering_again_mends_it);
	return tc;
}
