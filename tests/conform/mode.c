/* SPDX-License-Identifier: MIT */
/* The modes of a call, and instances: docs/modes.md. */
#include <signal.h>

#include "gate.h"

#define MODE_OPTS(...) ((nova_invoke_opts){ .size = sizeof(nova_invoke_opts), __VA_ARGS__ })

static int call(struct platform *p, const char *name, nova_invoke_opts opts, nova_result_t **ret)
{
	return nova_invoke(p->nova, name, "1", &opts, ret, &error);
}

/* It succeeds with this output. */
static nova_result_t *answers(
	struct platform *p, const char *name, const char *output, nova_invoke_opts opts)
{
	nova_result_t *r;
	ck_ok(call(p, name, opts, &r));
	ck_assert_str_eq(nova_result_output(r, NULL), output);
	return r;
}

/* It fails, and nothing ran. */
static void refused(
	struct platform *p, const char *name, int code, const char *part, nova_invoke_opts opts)
{
	nova_result_t *r;
	ck_failed(code, NOVA_OUTCOME_NEVER_RAN, part, call(p, name, opts, &r));
	ck_assert_ptr_null(r);
}

static nova_instance_t *start(struct platform *p, const char *function, const char *name)
{
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	nova_instance_t *instance;
	opts.function = function;
	opts.name = name;
	ck_ok(nova_instance_start(p->nova, &opts, &instance, &error));
	return instance;
}

/* The function of the instance runs in it. */
static int invoke_in(struct platform *p, nova_instance_t *instance, nova_result_t **ret)
{
	nova_invoke_opts opts = MODE_OPTS(.instance = instance);
	return nova_invoke(p->nova, NULL, "1", &opts, ret, &error);
}

/* Counts its calls in this VM. */
static void add_counter(struct platform *p, const char *name)
{
	platform_add(p->nova, name, "shell",
		"n=$(cat /tmp/n 2>/dev/null || echo 0); n=$((n+1)); echo $n >/tmp/n; echo $n");
}

/* --- ephemeral --- */

START_TEST(an_ephemeral_call_runs_in_a_vm_that_nobody_has_used_and_nobody_will)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_answers(p.nova, "f", "1");
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 1);
	char ids[2][9];
	for (int i = 0; i < 2; i++) {
		nova_result_t *r = answers(&p, "f", "1", MODE_OPTS(.flags = NOVA_INVOKE_FRESH));
		ck_assert_int_eq(nova_result_cold_start(r), 1);
		ck_assert_str_eq(nova_result_snapshot(r), "");
		ck_assert_str_eq(nova_result_instance(r), "");
		memcpy(ids[i], nova_result_vm_id(r), 9);
		nova_result_free(r);
	}
	ck_assert_str_ne(ids[0], ids[1]);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 1);
	nova_result_t *r = answers(&p, "f", "1", MODE_OPTS(.flags = 0));
	ck_assert_int_eq(nova_result_cold_start(r), 0);
	nova_result_free(r);
	platform_close(&p);
}
END_TEST

START_TEST(an_ephemeral_call_counts_against_the_limit_of_the_pool)
{
	struct platform p = platform_open("pool.max_vms", "1", "pool.queue_timeout", "20ms", NULL);
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	nova_instance_t *instance;
	platform_add(p.nova, "f", "shell", "echo 1");
	opts.function = "f";
	ck_ok(nova_instance_start(p.nova, &opts, &instance, &error));
	refused(&p, "f", NOVA_ELIMIT, "pool.max_vms", MODE_OPTS(.flags = NOVA_INVOKE_FRESH));
	ck_ok(nova_instance_stop(instance, 0, &error));
	nova_instance_free(instance);
	nova_result_free(answers(&p, "f", "1", MODE_OPTS(.flags = NOVA_INVOKE_FRESH)));
	platform_close(&p);
}
END_TEST

/* --- what does not go together --- */

START_TEST(what_contradicts_itself_is_refused_with_the_way_out)
{
	struct platform p = platform_open(NULL);
	struct platform other = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_add(other.nova, "f", "shell", "echo 1");
	nova_instance_t *instance = start(&p, "f", "i");
	nova_invoke_opts opts = MODE_OPTS(.instance = instance);
	nova_result_t *r;
	refused(&p, "f", NOVA_EINVAL, "unknown bits 0x8", MODE_OPTS(.flags = 9));
	refused(&p, "f", NOVA_EINVAL, "either the instance, or a snapshot",
		MODE_OPTS(.instance = instance, .snapshot = "s"));
	refused(&p, "f", NOVA_EINVAL, "either the instance, or a snapshot",
		MODE_OPTS(.instance = instance, .flags = NOVA_INVOKE_FRESH));
	refused(&p, NULL, NOVA_EINVAL, "with an instance only", MODE_OPTS(.flags = 0));
	refused(&p, "f", NOVA_EINVAL, "not the text of a JSON object",
		MODE_OPTS(.client_context = "[]"));
	refused(&p, "f", NOVA_EINVAL, "not the text of a JSON object",
		MODE_OPTS(.client_context = "{} {}"));
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "another platform",
		nova_invoke(other.nova, "f", "1", &opts, &r, &error));
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 1);
	nova_instance_free(instance);
	platform_close(&other);
	platform_close(&p);
}
END_TEST

/* --- as a program --- */

#define PROGRAM(...) MODE_OPTS(.flags = NOVA_INVOKE_PROGRAM, __VA_ARGS__)

static void runs_as(struct platform *p, const char *printed, nova_invoke_opts opts)
{
	nova_result_t *r;
	ck_ok(nova_invoke(p->nova, "f", NULL, &opts, &r, &error));
	ck_assert_str_eq(nova_result_stdout(r, NULL), printed);
	nova_result_free(r);
}

START_TEST(a_program_is_given_arguments_and_stdin_instead_of_a_payload)
{
	static const char *const args[] = { "a b", "", "\xc3\xa4" };
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "cat; echo \"[$#:$1:$2:$3]\"");
	runs_as(&p, "in[3:a b::\xc3\xa4]\n",
		PROGRAM(.args = args, .args_count = 3, .stdin_data = "in", .stdin_len = 2));
	runs_as(&p, "[0:::]\n", PROGRAM(.args_count = 0));
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 1); /* in the same VM */
	nova_result_t *r;
	platform_add(p.nova, "f", "shell", "exit 3");
	ck_failed(NOVA_EFUNCTION, NOVA_OUTCOME_RAN, "exit 3",
		nova_invoke(
			p.nova, "f", NULL, &PROGRAM(.args = args, .args_count = 1), &r, &error));
	ck_assert_int_eq(nova_result_exit_code(r), 3);
	nova_result_free(r);
	platform_close(&p);
}
END_TEST

START_TEST(what_is_no_program_and_what_a_program_has_not_is_refused)
{
	static const char *const args[] = { "x", "\xff" };
	AUTO_FREE char *large = calloc(1, 5u << 20);
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "cat");
	platform_add(p.nova, "g", "python", "print(1)");
	nova_invoke_opts plain = PROGRAM(.args = args, .args_count = 1);
	const struct {
		const char *function, *part;
		int code;
		nova_invoke_opts opts;
	} cases[] = {
		{ "f", "with NOVA_INVOKE_PROGRAM", NOVA_EINVAL,
			MODE_OPTS(.args = args, .args_count = 1) },
		{ "f", "with NOVA_INVOKE_PROGRAM", NOVA_EINVAL, MODE_OPTS(.start = "add") },
		{ "g", "of runtime python is called with a payload", NOVA_EINVAL, plain },
		{ "f", "functions of runtime wasm, and this one is of shell", NOVA_EINVAL,
			PROGRAM(.start = "add") },
		{ "f", "argument 1 is NULL or not UTF-8", NOVA_EINVAL,
			PROGRAM(.args = args, .args_count = 2) },
		{ "f", "args is NULL", NOVA_EINVAL, PROGRAM(.args_count = 2) },
		{ "f", "stdin_data is NULL", NOVA_EINVAL, PROGRAM(.stdin_len = 2) },
		{ "f", "limited to 4194304 bytes", NOVA_ETOOBIG,
			PROGRAM(.stdin_data = large, .stdin_len = 5u << 20) },
	};
	nova_result_t *r;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ck_failed(cases[i].code, NOVA_OUTCOME_NEVER_RAN, cases[i].part,
			nova_invoke(p.nova, cases[i].function, NULL, &cases[i].opts, &r, &error));
		ck_assert_ptr_null(r);
	}
	memset(large, 'x', 40000);
	const char *const long_args[] = { large };
	refused(&p, "f", NOVA_EINVAL, "no payload: give NULL", plain);
	plain.args = long_args;
	ck_failed(NOVA_ETOOBIG, NOVA_OUTCOME_NEVER_RAN, "stdin has more room",
		nova_invoke(p.nova, "f", NULL, &plain, &r, &error));
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 0);
	platform_close(&p);
}
END_TEST

START_TEST(an_engine_without_snapshots_refuses_the_modes_that_need_them)
{
	struct platform p = platform_open(NULL);
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	platform_add(p.nova, "f", "shell", "echo 1");
	refused(&p, "f", NOVA_ENOTSUP, "the engine fake takes no snapshots",
		MODE_OPTS(.flags = NOVA_INVOKE_CHECKPOINT));
	refused(&p, "f", NOVA_ENOTSUP, "the engine fake takes no snapshots",
		MODE_OPTS(.snapshot = "s"));
	nova_instance_t *instance = start(&p, "f", "i");
	refused(&p, "f", NOVA_ENOTSUP, "the engine fake takes no snapshots",
		MODE_OPTS(.instance = instance, .flags = NOVA_INVOKE_CHECKPOINT));
	nova_instance_free(instance);
	opts.function = "f";
	opts.snapshot = "s";
	ck_failed(NOVA_ENOTSUP, NOVA_OUTCOME_NEVER_RAN, "takes no snapshots",
		nova_instance_start(p.nova, &opts, NULL, &error));
	platform_close(&p);
}
END_TEST

/* --- instances --- */

static size_t instance_count(struct platform *p)
{
	nova_instance_t **list;
	size_t count;
	ck_ok(nova_instance_list(p->nova, &list, &count, &error));
	nova_instance_list_free(list, count);
	return count;
}

START_TEST(an_instance_tells_the_labels_of_its_function)
{
	struct platform p = platform_open(NULL);
	static const char *const labels[] = { "team=\"a\"", "cost-center=7" };
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = "f";
	o.runtime = "shell";
	o.code = "cat \"$1\"";
	o.code_len = 8;
	o.labels = labels;
	o.labels_count = ARRAY_LEN(labels);
	ck_ok(nova_function_register(p.nova, &o, NULL, &error));
	nova_instance_t *instance = start(&p, "f", "first");
	AUTO_FREE char *json = nova_instance_to_json(instance);
	const char *told = strstr(json, ",\"labels\":");
	ck_assert_ptr_nonnull(told);
	ck_assert_str_eq(told, ",\"labels\":{\"cost-center\":\"7\",\"team\":\"\\\"a\\\"\"}}");
	nova_instance_free(instance);
	platform_close(&p);
}
END_TEST

static nova_function_t *label_anew(struct platform *p, uint32_t memory_mb, const char *label)
{
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	nova_function_t *f = NULL;
	o.name = "f";
	o.runtime = "shell";
	o.code = "cat \"$1\"";
	o.code_len = 8;
	o.memory_mb = memory_mb;
	o.labels = &label;
	o.labels_count = 1;
	o.min_replicas = label[strlen(label) - 1] == '2';
	o.flags = NOVA_REGISTER_REPLACE;
	ck_ok(nova_function_register(p->nova, &o, &f, &error));
	return f;
}

START_TEST(labels_alone_make_no_new_version_and_replace_no_vm)
{
	struct platform p = platform_open(NULL);
	nova_function_t *first = label_anew(&p, 0, "team=1");
	platform_answers(p.nova, "f", "{}");
	nova_function_t *second = label_anew(&p, 0, "team=2"); /* and min_replicas */
	ck_assert_str_eq(nova_function_text(second, "labels", 0), "team=2");
	ck_assert_uint_eq(nova_function_number(second, "min_replicas"), 1);
	ck_assert_uint_eq(nova_function_version(second), 1);
	ck_assert_uint_ge(nova_function_updated_us(second), nova_function_updated_us(first));
	platform_answers(p.nova, "f", "{}");
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 1);
	nova_function_t *third = label_anew(&p, 200, "team=3");
	ck_assert_uint_eq(nova_function_version(third), 2);
	platform_answers(p.nova, "f", "{}");
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 2);
	nova_function_free(first);
	nova_function_free(second);
	nova_function_free(third);
	platform_close(&p);
}
END_TEST

START_TEST(code_that_was_damaged_is_named_at_the_start_and_mended_by_registering)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "cat \"$1\"");
	nova_function_t *f;
	nova_result_t *r;
	ck_ok(nova_function_get(p.nova, "f", &f, &error));
	AUTO_FREE char *disk = str_format("%s/disks/%s.ext4", p.dir, nova_function_code_hash(f));
	ck_ok(nova_function_check(p.nova, "f", &error));
	ck_assert_int_eq(truncate(disk, 4096), 0);
	AUTO_FREE char *said = str_format("function 'f': the code disk %s is damaged", disk);
	ck_failed(NOVA_ECORRUPT, NOVA_OUTCOME_NEVER_RAN, said, platform_call(p.nova, "f", &r));
	ck_fails_with(NOVA_ECORRUPT, said, nova_function_check(p.nova, "f", &error));
	platform_add(p.nova, "f", "shell", "cat \"$1\"");
	ck_ok(nova_function_check(p.nova, "f", &error));
	platform_answers(p.nova, "f", "{}");
	ck_fails_with(NOVA_ENOTFOUND, "'g'", nova_function_check(p.nova, "g", &error));
	nova_function_free(f);
	platform_close(&p);
}
END_TEST

START_TEST(an_instance_is_found_by_name_and_by_id_until_it_is_stopped)
{
	struct platform p = platform_open(NULL);
	nova_instance_t **list, *found;
	size_t count;
	platform_add(p.nova, "f", "shell", "cat \"$1\"");
	nova_instance_t *a = start(&p, "f", "first"), *b = start(&p, "f", NULL);
	ck_assert_str_eq(nova_instance_name(b), nova_instance_id(b));
	ck_assert_str_eq(nova_instance_function(a), "f");
	ck_assert_int_eq(nova_instance_state(a), NOVA_VM_RUNNING);
	ck_ok(nova_instance_list(p.nova, &list, &count, &error));
	ck_assert_uint_eq(count, 2);
	ck_assert_ptr_eq(list[0], a);
	ck_assert_ptr_eq(list[1], b);
	nova_instance_list_free(list, count);
	ck_ok(nova_instance_get(p.nova, "first", &found, &error));
	ck_assert_ptr_eq(found, a);
	nova_instance_free(found);
	ck_ok(nova_instance_get(p.nova, nova_instance_id(b), &found, &error));
	ck_assert_ptr_eq(found, b);
	nova_instance_free(found);
	AUTO_FREE char *json = nova_instance_to_json(a);
	AUTO_FREE char *expected =
		str_format("{\"id\":\"%s\",\"name\":\"first\",\"function\":\"f\",\"version\":1,"
			   "\"state\":\"running\",\"vm\":\"%s\",",
			nova_instance_id(a), nova_vm_id(nova_instance_vm(a)));
	ck_assert_msg(str_starts(json, expected), "%s", json);
	ck_ok(nova_instance_stop(a, 0, &error));
	ck_ok(nova_instance_stop(a, 0, &error));
	ck_assert_int_eq(nova_instance_state(a), NOVA_VM_DEAD);
	ck_failed(NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "no instance 'first'",
		nova_instance_get(p.nova, "first", &found, &error));
	ck_assert_uint_eq(instance_count(&p), 1);
	nova_instance_free(a);
	nova_instance_free(b);
	platform_close(&p); /* ends the other one */
}
END_TEST

START_TEST(calls_in_an_instance_find_the_same_vm)
{
	struct platform p = platform_open(NULL);
	nova_result_t *r;
	platform_add(p.nova, "f", "shell", "cat \"$1\"");
	nova_instance_t *instance = start(&p, "f", "i");
	nova_vm_t *vm = nova_instance_vm(instance);
	ck_ok(nova_vm_invoke(vm, "2", NULL, &r, &error));
	ck_assert_str_eq(nova_result_output(r, NULL), "2");
	ck_assert_str_eq(nova_vm_id(vm), nova_vm_id(nova_instance_vm(instance)));
	nova_result_free(r);
	ck_ok(invoke_in(&p, instance, &r));
	ck_assert_str_eq(nova_result_output(r, NULL), "1");
	ck_assert_str_eq(nova_result_vm_id(r), nova_vm_id(nova_instance_vm(instance)));
	ck_assert_str_eq(nova_result_instance(r), nova_instance_id(instance));
	ck_assert_int_eq(nova_result_cold_start(r), 0);
	nova_result_free(r);
	r = answers(&p, "f", "1", MODE_OPTS(.instance = instance));
	ck_assert_str_eq(nova_result_vm_id(r), nova_vm_id(nova_instance_vm(instance)));
	AUTO_FREE char *json = nova_result_to_json(r);
	ck_assert_ptr_nonnull(strstr(json, nova_instance_id(instance)));
	nova_result_free(r);
	const char *const argv[] = { "sh", "-c", "echo $((6 * 7))" };
	nova_vm_command_opts command = NOVA_VM_COMMAND_OPTS_INIT;
	command.argv = argv;
	command.argc = ARRAY_LEN(argv);
	ck_ok(nova_vm_command(vm, &command, &r, &error));
	ck_assert_str_eq(nova_result_stdout(r, NULL), "42\n");
	nova_result_free(r);
	nova_instance_free(instance);
	platform_close(&p);
}
END_TEST

START_TEST(names_of_instances_are_checked_and_unique)
{
	struct platform p = platform_open(NULL);
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	platform_add(p.nova, "f", "shell", "echo 1");
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "needs the function",
		nova_instance_start(p.nova, &opts, NULL, &error));
	opts.function = "f";
	opts.name = "a b";
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "'a b' is no name for an instance",
		nova_instance_start(p.nova, &opts, NULL, &error));
	opts.name = "a";
	ck_ok(nova_instance_start(p.nova, &opts, NULL, &error));
	ck_failed(NOVA_EEXIST, NOVA_OUTCOME_NEVER_RAN, "an instance 'a' already",
		nova_instance_start(p.nova, &opts, NULL, &error));
	opts.name = "b";
	opts.function = "g";
	ck_failed(NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "no function 'g'",
		nova_instance_start(p.nova, &opts, NULL, &error));
	opts.function = "f";
	opts.memory_mb = 71;
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN,
		"memory_mb is 71; a function of runtime shell needs at least 72",
		nova_instance_start(p.nova, &opts, NULL, &error));
	opts.snapshot = "s";
	ck_failed(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "cannot be chosen",
		nova_instance_start(p.nova, &opts, NULL, &error));
	ck_assert_uint_eq(instance_count(&p), 1);
	platform_close(&p);
}
END_TEST

START_TEST(an_instance_of_another_function_is_refused)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	platform_add(p.nova, "g", "shell", "echo 2");
	nova_instance_t *instance = start(&p, "f", "i");
	refused(&p, "g", NOVA_EINVAL, "instance 'i' is of another function, 'f'",
		MODE_OPTS(.instance = instance));
	nova_instance_free(instance);
	platform_close(&p);
}
END_TEST

START_TEST(an_instance_goes_on_with_the_function_as_it_was)
{
	struct platform p = platform_open(NULL);
	nova_result_t *r;
	platform_add(p.nova, "f", "shell", "echo 1");
	nova_instance_t *instance = start(&p, "f", "i");
	platform_add(p.nova, "f", "shell", "echo 2");
	nova_result_free(answers(&p, "f", "1", MODE_OPTS(.instance = instance)));
	nova_result_free(answers(&p, "f", "2", MODE_OPTS(.flags = 0)));
	ck_assert_uint_eq(nova_instance_version(instance), 1);
	ck_fails_with(NOVA_EBUSY, "'i'", nova_function_delete(p.nova, "f", 0, &error));
	ck_ok(nova_function_delete(p.nova, "f", NOVA_DELETE_FORCE, &error));
	ck_ok(invoke_in(&p, instance, &r));
	ck_assert_str_eq(nova_result_output(r, NULL), "1");
	nova_result_free(r);
	nova_instance_free(instance);
	platform_close(&p);
}
END_TEST

START_TEST(a_function_that_fails_leaves_its_instance_alive)
{
	struct platform p = platform_open(NULL);
	nova_result_t *r;
	platform_add(p.nova, "f", "shell", "exit 3");
	nova_instance_t *instance = start(&p, "f", "i");
	ck_failed(NOVA_EFUNCTION, NOVA_OUTCOME_RAN, "exit 3", invoke_in(&p, instance, &r));
	ck_assert_str_eq(nova_result_instance(r), nova_instance_id(instance));
	nova_result_free(r);
	ck_assert_int_eq(nova_instance_state(instance), NOVA_VM_RUNNING);
	nova_instance_free(instance);
	platform_close(&p);
}
END_TEST

START_TEST(an_instance_whose_vm_died_is_shown_as_dead_until_it_is_stopped)
{
	struct platform p = platform_open(NULL);
	nova_result_t *r;
	platform_add(p.nova, "f", "shell", "echo 1");
	nova_instance_t *instance = start(&p, "f", "i");
	pid_t pid = vmtest_vmm(nova_vm_id(nova_instance_vm(instance)));
	ck_assert_int_gt(pid, 0);
	int end = vmtest_pidfd(pid);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	vmtest_await_end(end);
	ck_failed(NOVA_ELOST, NOVA_OUTCOME_NEVER_RAN, "instance 'i'", invoke_in(&p, instance, &r));
	ck_assert_int_eq(nova_instance_state(instance), NOVA_VM_DEAD);
	ck_assert_uint_eq(instance_count(&p), 1);
	ck_ok(nova_instance_stop(instance, 0, &error));
	ck_assert_uint_eq(instance_count(&p), 0);
	ck_failed(NOVA_ELOST, NOVA_OUTCOME_NEVER_RAN, "has been stopped",
		invoke_in(&p, instance, &r));
	ck_failed(NOVA_ELOST, NOVA_OUTCOME_NEVER_RAN, "is dead",
		nova_vm_resume(nova_instance_vm(instance), NULL, &error));
	nova_instance_free(instance);
	platform_close(&p);
}
END_TEST

static nova_call_t *submit_to(nova_queue_t *q, const char *name, nova_instance_t *instance)
{
	nova_call_t *c;
	nova_invoke_opts opts = MODE_OPTS(.instance = instance, .on_output = note_start);
	ck_ok(nova_queue_submit(q, name, "1", &opts, &c, &error));
	return c;
}

START_TEST(stopping_waits_for_a_call_as_long_as_it_may_and_then_kills_it)
{
	struct platform p = platform_open(NULL);
	struct gate gate = gate_new(p.dir);
	nova_queue_t *q;
	nova_call_t *c;
	add_waiting(&p, &gate, "f");
	nova_instance_t *instance = start(&p, "f", "i");
	ck_ok(nova_queue_new(p.nova, NULL, &q, &error));
	submit_to(q, "f", instance);
	await_starts(1);
	ck_failed(NOVA_ETIMEDOUT, NOVA_OUTCOME_NEVER_RAN, "still busy after 10 ms and was killed",
		nova_instance_stop(instance, 10, &error));
	ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &c, &error));
	error = nova_call_take_error(c);
	ck_failed(NOVA_ELOST, NOVA_OUTCOME_UNKNOWN, "instance 'i'", nova_call_code(c));
	nova_call_free(c);
	nova_queue_free(q);
	nova_instance_free(instance);
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

static void let_go(void *gate, int stream, const void *data, size_t len)
{
	note_start(NULL, stream, data, len);
	if (stream == 2)
		gate_let_go(gate, 1);
}

START_TEST(a_call_that_finishes_in_time_is_not_killed_by_stopping)
{
	struct platform p = platform_open(NULL);
	struct gate gate = gate_new(p.dir);
	nova_queue_t *q;
	nova_call_t *c;
	add_waiting(&p, &gate, "f");
	nova_instance_t *instance = start(&p, "f", "i");
	nova_invoke_opts opts =
		MODE_OPTS(.instance = instance, .on_output = let_go, .userdata = &gate);
	ck_ok(nova_queue_new(p.nova, NULL, &q, &error));
	ck_ok(nova_queue_submit(q, "f", "1", &opts, &c, &error));
	await_starts(1);
	ck_ok(nova_instance_stop(instance, 60000, &error));
	ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &c, &error));
	ck_ok(nova_call_code(c));
	nova_call_free(c);
	nova_queue_free(q);
	nova_instance_free(instance);
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

START_TEST(a_call_in_an_instance_can_be_cancelled_and_the_instance_goes_on)
{
	struct platform p = platform_open(NULL);
	struct gate gate = gate_new(p.dir);
	nova_queue_t *q;
	nova_call_t *c;
	nova_result_t *r;
	add_waiting(&p, &gate, "f");
	nova_instance_t *instance = start(&p, "f", "i");
	ck_ok(nova_queue_new(p.nova, NULL, &q, &error));
	nova_call_t *first = submit_to(q, "f", instance);
	await_starts(1);
	nova_call_t *second = submit_to(q, "f", instance); /* waits its turn */
	ck_assert_int_eq(nova_call_cancel(second), 0);
	ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &c, &error));
	ck_assert_ptr_eq(c, second);
	error = nova_call_take_error(c);
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "cancelled before", nova_call_code(c));
	nova_call_free(c);
	ck_assert_int_eq(nova_call_cancel(first), 0);
	ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &c, &error));
	error = nova_call_take_error(c);
	ck_failed(NOVA_ECANCELED, NOVA_OUTCOME_RAN, "cancelled", nova_call_code(c));
	nova_call_free(c);
	gate_let_go(&gate, 2); /* one for a killed one that is not gone yet: see gate.h */
	ck_ok(invoke_in(&p, instance, &r));
	nova_result_free(r);
	nova_queue_free(q);
	nova_instance_free(instance);
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

START_TEST(a_handle_outlives_the_platform)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	nova_instance_t *instance = start(&p, "f", "i"), *stopped = start(&p, "f", "s");
	ck_ok(nova_instance_stop(stopped, 0, &error));
	platform_close(&p);
	ck_assert_int_eq(nova_instance_state(instance), NOVA_VM_DEAD);
	ck_assert(!nova_instance_vm(instance) && !nova_instance_vm(stopped));
	ck_ok(nova_instance_stop(instance, 0, &error));
	nova_instance_free(instance);
	nova_instance_free(stopped);
	nova_instance_free(NULL);
}
END_TEST

START_TEST(a_paused_instance_runs_nothing_until_it_is_resumed)
{
	struct platform p = platform_open(NULL);
	nova_result_t *r;
	platform_add(p.nova, "f", "shell", "echo 1");
	nova_instance_t *instance = start(&p, "f", "i");
	ck_ok(nova_vm_pause(nova_instance_vm(instance), NULL, &error));
	ck_assert_int_eq(nova_instance_state(instance), NOVA_VM_PAUSED);
	ck_failed(
		NOVA_EBUSY, NOVA_OUTCOME_NEVER_RAN, "instance 'i': ", invoke_in(&p, instance, &r));
	ck_ok(nova_vm_resume(nova_instance_vm(instance), NULL, &error));
	nova_result_free(answers(&p, "f", "1", MODE_OPTS(.instance = instance)));
	ck_failed(NOVA_ENOTSUP, NOVA_OUTCOME_NEVER_RAN, "snapshots",
		nova_vm_snapshot(nova_instance_vm(instance), NULL, NULL, &error));
	nova_instance_free(instance);
	platform_close(&p);
}
END_TEST

struct commander {
	nova_vm_t *vm;
	const char *script;
	int code;
};

static void *run_command(void *argument)
{
	struct commander *c = argument;
	const char *const argv[] = { "sh", "-c", c->script };
	nova_vm_command_opts opts = { sizeof(opts), .argv = argv, .argc = ARRAY_LEN(argv) };
	AUTO_ERROR nova_error_t *failure = NULL;
	nova_result_t *r = NULL;
	c->code = nova_vm_command(c->vm, &opts, &r, &failure);
	nova_result_free(r);
	return NULL;
}

START_TEST(a_lent_vm_is_dead_and_no_danger_once_its_instance_was_stopped)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *mark = str_format("%s/mark", p.dir);
	AUTO_FREE char *script = str_format("touch '%s'; sleep 1000", mark);
	pthread_t thread;
	platform_add(p.nova, "f", "shell", "echo 1");
	nova_instance_t *instance = start(&p, "f", "i");
	nova_vm_t *vm = nova_instance_vm(instance);
	struct commander c = { vm, script, 0 };
	ck_assert_int_eq(pthread_create(&thread, NULL, run_command, &c), 0);
	while (!fs_exists(mark))
		sys_poll(NULL, 0, 1);
	ck_failed(NOVA_ETIMEDOUT, NOVA_OUTCOME_NEVER_RAN, "still busy after 10 ms",
		nova_instance_stop(instance, 10, &error));
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(c.code, NOVA_ELOST);
	run_command(&c);
	ck_assert_int_eq(c.code, NOVA_ELOST);
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_DEAD);
	ck_assert_int_eq(nova_vm_pid(vm), 0);
	ck_failed(NOVA_ELOST, NOVA_OUTCOME_NEVER_RAN, "is dead", nova_vm_pause(vm, NULL, &error));
	AUTO_FREE char *console = nova_vm_console(vm);
	nova_vm_kill(vm);
	nova_instance_free(instance);
	platform_close(&p);
}
END_TEST

/* --- several calls in one VM, and VMs that are kept --- */

static void add_with(struct platform *p, const char *name, const char *source, uint32_t concurrency,
	uint32_t min_replicas)
{
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = name;
	opts.runtime = "shell";
	opts.code = source;
	opts.code_len = strlen(source);
	opts.concurrency = concurrency;
	opts.min_replicas = min_replicas;
	opts.flags = NOVA_REGISTER_REPLACE;
	ck_ok(nova_function_register(p->nova, &opts, NULL, &error));
}

START_TEST(a_function_with_concurrency_has_several_calls_in_one_vm)
{
	struct platform p = platform_open("pool.max_vms", "1", NULL);
	struct gate gate = gate_new(p.dir);
	AUTO_FREE char *source =
		str_format("echo started >&2; exec 3<>'%s'; read x <&3; cat \"$1\"", gate.path);
	nova_queue_t *q;
	nova_invoke_opts opts = MODE_OPTS(.on_output = note_start);
	add_with(&p, "f", source, 3, 0);
	ck_ok(nova_queue_new(p.nova, NULL, &q, &error));
	for (int i = 0; i < 4; i++)
		ck_ok(nova_queue_submit(q, "f", "1", &opts, NULL, &error));
	await_starts(3);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_BUSY), 1);
	gate_let_go(&gate, 4);
	for (int i = 0; i < 4; i++) {
		nova_call_t *c;
		ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &c, &error));
		error = nova_call_take_error(c);
		ck_ok(nova_call_code(c));
		nova_call_free(c);
	}
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 1);
	nova_queue_free(q);
	gate_free(&gate);
	platform_close(&p);
}
END_TEST

START_TEST(a_call_waits_for_a_vm_no_longer_than_it_wants_to)
{
	struct platform p = platform_open("pool.max_vms", "1", NULL);
	platform_add(p.nova, "f", "shell", "echo 1");
	nova_instance_t *instance = start(&p, "f", "i");
	refused(&p, "f", NOVA_ELIMIT, "10 ms", MODE_OPTS(.queue_timeout_ms = 10));
	refused(&p, "f", NOVA_ELIMIT, "10 ms",
		MODE_OPTS(.flags = NOVA_INVOKE_FRESH, .queue_timeout_ms = 10));
	nova_instance_free(instance);
	platform_close(&p);
}
END_TEST

START_TEST(a_tick_keeps_as_many_vms_as_functions_want)
{
	struct platform p = platform_open(NULL);
	struct platform other = { .config = vmtest_config(p.dir) };
	add_with(&p, "f", "echo 1", 0, 2);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 0);
	nova_pool_tick(p.pool);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 2);
	nova_result_t *r = answers(&p, "f", "1", MODE_OPTS(.flags = 0));
	ck_assert_int_eq(nova_result_cold_start(r), 0);
	nova_result_free(r);
	add_with(&p, "f", "echo 2", 0, 1);
	nova_pool_tick(p.pool);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 1);
	platform_answers(p.nova, "f", "2");
	/* what somebody else registers is seen too */
	ck_ok(nova_open(other.config, &other.nova, &error));
	add_with(&other, "g", "echo 3", 0, 1);
	nova_close(other.nova);
	nova_config_free(other.config);
	nova_pool_tick(p.pool);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 2);
	ck_ok(nova_function_delete(p.nova, "f", 0, &error));
	nova_pool_tick(p.pool);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 1);
	platform_close(&p);
}
END_TEST

START_TEST(a_platform_that_ticks_itself_keeps_vms_unasked)
{
	struct platform p = platform_open("pool.thread", "on", NULL);
	add_with(&p, "f", "echo 1", 0, 2);
	while (pool_counter(p.pool, NOVA_POOL_IDLE) < 2)
		sys_poll(NULL, 0, 5);
	nova_result_t *r = answers(&p, "f", "1", MODE_OPTS(.flags = 0));
	ck_assert_int_eq(nova_result_cold_start(r), 0);
	nova_result_free(r);
	platform_close(&p);
	p = platform_open("pool.thread", "on", NULL);
	platform_close(&p);
}
END_TEST

START_TEST(the_descriptor_of_the_pool_tells_of_functions_that_want_vms)
{
	struct platform p = platform_open(NULL);
	struct pollfd fd = { nova_pool_fd(p.pool), POLLIN, 0 };
	ck_assert_int_ge(fd.fd, 0);
	while (sys_poll(&fd, 1, 0) == 1)
		nova_pool_tick(p.pool);
	add_with(&p, "f", "echo 1", 0, 1);
	ck_assert_int_eq(sys_poll(&fd, 1, -1), 1);
	nova_pool_tick(p.pool);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 1);
	platform_close(&p);
}
END_TEST

/* --- snapshots of calls: real microVMs only --- */

static void spoil_snapshot(const struct platform *p, const char *name)
{
	nova_snapshot_t *snapshot;
	ck_ok(nova_snapshot_open(nova_host_get(p->nova), name, &snapshot, &error));
	AUTO_FREE char *path = path_join(nova_snapshot_path(snapshot), "state");
	AUTO_FD int fd = sys_open(path, O_WRONLY, 0);
	ck_assert_int_eq(sys_pwrite_all(fd, "damage", 6, 0), 0);
	nova_snapshot_free(snapshot);
}

START_TEST(calls_go_on_from_checkpoints_and_branch_from_them)
{
	struct platform p = platform_open(NULL);
	add_counter(&p, "f");
	platform_add(p.nova, "g", "shell", "echo 1");
	nova_result_t *first = answers(&p, "f", "1", MODE_OPTS(.flags = NOVA_INVOKE_CHECKPOINT));
	const char *id = nova_result_snapshot(first);
	ck_assert_uint_eq(strlen(id), 16);
	nova_result_t *second =
		answers(&p, "f", "2", MODE_OPTS(.snapshot = id, .checkpoint_name = "two"));
	ck_assert_str_ne(nova_result_snapshot(second), id);
	for (int i = 0; i < 2; i++) {
		nova_result_t *r = answers(&p, "f", "2", MODE_OPTS(.snapshot = id));
		ck_assert_str_eq(nova_result_snapshot(r), "");
		nova_result_free(r);
	}
	nova_result_t *third = answers(&p, "f", "3", MODE_OPTS(.snapshot = "two"));
	ck_assert_int_eq(nova_result_cold_start(third), 1);
	nova_result_free(third);
	refused(&p, "g", NOVA_EINVAL, "is of another function, 'f', and not of 'g'",
		MODE_OPTS(.snapshot = "two"));
	refused(&p, "f", NOVA_ENOTFOUND, "three", MODE_OPTS(.snapshot = "three"));
	refused(&p, "f", NOVA_EEXIST, "there is a snapshot 'two' already",
		MODE_OPTS(.checkpoint_name = "two"));
	refused(&p, "f", NOVA_EINVAL, "no name for a snapshot",
		MODE_OPTS(.checkpoint_name = "t w o"));
	platform_add(p.nova, "f", "shell", "echo 9");
	refused(&p, "f", NOVA_ESTALE, "is of version 1 of function 'f', which is at version 2",
		MODE_OPTS(.snapshot = "two"));
	spoil_snapshot(&p, "two");
	refused(&p, "f", NOVA_ECORRUPT, "is damaged", MODE_OPTS(.snapshot = "two"));
	refused(&p, "f", NOVA_EEXIST, "there is a snapshot 'two' already",
		MODE_OPTS(.checkpoint_name = "two")); /* its name is not free for that */
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_BUSY), 0);
	nova_result_free(first);
	nova_result_free(second);
	platform_close(&p);
}
END_TEST

START_TEST(an_instance_keeps_its_state_is_paused_and_leaves_snapshots)
{
	struct platform p = platform_open(NULL);
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	nova_snapshot_opts name = NOVA_SNAPSHOT_OPTS_INIT;
	nova_instance_t *instance, *other;
	nova_vm_t *vm;
	nova_result_t *r;
	add_counter(&p, "f");
	opts.function = "f";
	opts.name = "i";
	opts.memory_mb = 192;
	ck_ok(nova_instance_start(p.nova, &opts, &instance, &error));
	nova_result_free(answers(&p, "f", "1", MODE_OPTS(.instance = instance)));
	nova_result_free(answers(&p, "f", "2", MODE_OPTS(.instance = instance)));
	ck_ok(nova_vm_pause(nova_instance_vm(instance), NULL, &error));
	ck_assert_int_eq(nova_instance_state(instance), NOVA_VM_PAUSED);
	ck_failed(
		NOVA_EBUSY, NOVA_OUTCOME_NEVER_RAN, "instance 'i': ", invoke_in(&p, instance, &r));
	ck_ok(nova_vm_resume(nova_instance_vm(instance), NULL, &error));
	name.name = "of-instance";
	ck_ok(nova_vm_snapshot(nova_instance_vm(instance), &name, NULL, &error));
	nova_result_free(answers(&p, "f", "3", MODE_OPTS(.instance = instance)));
	nova_result_free(answers(&p, "f", "3", MODE_OPTS(.snapshot = "of-instance")));
	opts = (nova_instance_opts){
		.size = sizeof(opts), .function = "f", .name = "j", .snapshot = "of-instance"
	};
	ck_ok(nova_instance_start(p.nova, &opts, &other, &error));
	nova_result_free(answers(&p, "f", "3", MODE_OPTS(.instance = other)));
	nova_result_free(answers(&p, "f", "4", MODE_OPTS(.instance = other)));
	ck_ok(nova_instance_stop(other, 0, &error));
	nova_instance_free(other);
	nova_instance_free(instance);
	/* A snapshot of a VM of one's own belongs to no function. */
	ck_ok(nova_vm_start(nova_host_get(p.nova), NULL, &vm, &error));
	name.name = "of-vm";
	ck_ok(nova_vm_snapshot(vm, &name, NULL, &error));
	nova_vm_free(vm);
	refused(&p, "f", NOVA_EINVAL, "but of a microVM by itself", MODE_OPTS(.snapshot = "of-vm"));
	platform_close(&p);
}
END_TEST

static TCase *mode_cases(void)
{
	TCase *tc = tcase_create("modes");
	if (!is_fake()) {
		tcase_add_test(tc, calls_go_on_from_checkpoints_and_branch_from_them);
		tcase_add_test(tc, an_instance_keeps_its_state_is_paused_and_leaves_snapshots);
		return tc;
	}
	tcase_add_test(tc, an_ephemeral_call_runs_in_a_vm_that_nobody_has_used_and_nobody_will);
	tcase_add_test(tc, an_ephemeral_call_counts_against_the_limit_of_the_pool);
	tcase_add_test(tc, what_contradicts_itself_is_refused_with_the_way_out);
	tcase_add_test(tc, a_program_is_given_arguments_and_stdin_instead_of_a_payload);
	tcase_add_test(tc, what_is_no_program_and_what_a_program_has_not_is_refused);
	tcase_add_test(tc, an_engine_without_snapshots_refuses_the_modes_that_need_them);
	tcase_add_test(tc, a_function_with_concurrency_has_several_calls_in_one_vm);
	tcase_add_test(tc, a_call_waits_for_a_vm_no_longer_than_it_wants_to);
	tcase_add_test(tc, a_tick_keeps_as_many_vms_as_functions_want);
	tcase_add_test(tc, a_platform_that_ticks_itself_keeps_vms_unasked);
	tcase_add_test(tc, the_descriptor_of_the_pool_tells_of_functions_that_want_vms);
	return tc;
}

static TCase *instance_cases(void)
{
	TCase *tc = tcase_create("instances");
	if (!is_fake()) /* what follows is the same on every engine */
		return tc;
	tcase_add_test(tc, an_instance_tells_the_labels_of_its_function);
	tcase_add_test(tc, labels_alone_make_no_new_version_and_replace_no_vm);
	tcase_add_test(tc, code_that_was_damaged_is_named_at_the_start_and_mended_by_registering);
	tcase_add_test(tc, an_instance_is_found_by_name_and_by_id_until_it_is_stopped);
	tcase_add_test(tc, calls_in_an_instance_find_the_same_vm);
	tcase_add_test(tc, a_lent_vm_is_dead_and_no_danger_once_its_instance_was_stopped);
	tcase_add_test(tc, names_of_instances_are_checked_and_unique);
	tcase_add_test(tc, an_instance_of_another_function_is_refused);
	tcase_add_test(tc, an_instance_goes_on_with_the_function_as_it_was);
	tcase_add_test(tc, a_function_that_fails_leaves_its_instance_alive);
	tcase_add_test(tc, an_instance_whose_vm_died_is_shown_as_dead_until_it_is_stopped);
	tcase_add_test(tc, stopping_waits_for_a_call_as_long_as_it_may_and_then_kills_it);
	tcase_add_test(tc, a_call_that_finishes_in_time_is_not_killed_by_stopping);
	tcase_add_test(tc, a_call_in_an_instance_can_be_cancelled_and_the_instance_goes_on);
	tcase_add_test(tc, a_handle_outlives_the_platform);
	tcase_add_test(tc, a_paused_instance_runs_nothing_until_it_is_resumed);
	return tc;
}

static Suite *mode_suite(void)
{
	Suite *suite = suite_create("mode");
	TCase *(*const parts[])(void) = { mode_cases, instance_cases };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		TCase *tc = parts[i]();
		tcase_set_timeout(tc, 120);
		suite_add_tcase(suite, tc);
	}
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, mode_suite);
}
