/* SPDX-License-Identifier: MIT */
/* Functions, and calling them. */
#include "inject.h"

static nova_result_t *result;

static int open_another(nova_error_t **error)
{
	nova_t *nova = NULL;
	int code = nova_open(world.config, &nova, error);
	nova_close(nova);
	return code;
}

/* --- the log of calls --- */

/* One record, by a platform that has a log. */
static void make_record(void)
{
	nova_t *nova = NULL;
	MUST(nova_config_set(world.config, "log.calls", "on", &world.error));
	MUST(nova_open(world.config, &nova, &world.error));
	MUST(nova_invoke(nova, "f", "{}", NULL, &result, &world.error));
	nova_result_free(STEAL(result));
	nova_close(nova);
	MUST(nova_config_set(world.config, "log.calls", "off", &world.error));
}

static int list_usage(nova_error_t **error)
{
	const nova_usage **found = NULL;
	size_t count = 0;
	int code = nova_usage_list(world.nova, NULL, &found, &count, error);
	for (size_t i = 0; i < count; i++)
		nova_free(nova_usage_to_json(found[i]));
	nova_usage_list_free(found, count);
	return code;
}

static int bill(nova_error_t **error)
{
	const nova_bill *made = NULL;
	int code = nova_usage_bill(world.nova, NULL, &made, error);
	nova_free(nova_bill_to_json(made));
	nova_bill_free(made);
	return code;
}

static int estimate(nova_error_t **error)
{
	const nova_bill *made = NULL;
	const nova_usage_estimate_opts opts = { sizeof(opts), .calls = 2 };
	int code = nova_usage_estimate(world.nova, &opts, &made, error);
	nova_bill_free(made);
	return code;
}

static int list_invocations(nova_error_t **error)
{
	const nova_invocation **found = NULL;
	size_t count = 0;
	int code = nova_invocation_list(world.nova, NULL, &found, &count, error);
	bool whole = code < 0 || (count == 1 && !strcmp(found[0]->function, "f"));
	nova_invocation_list_free(found, count);
	return whole ? code : NOVA_ECORRUPT;
}

static int summarize(nova_error_t **error)
{
	const nova_invocation_summary **found = NULL;
	size_t count = 0;
	int code = nova_invocation_summarize(world.nova, NULL, &found, &count, error);
	bool whole = code < 0 || (count == 1 && found[0]->calls == 1);
	nova_invocation_summaries_free(found, count);
	return whole ? code : NOVA_ECORRUPT;
}

/* --- functions --- */

static int register_new(nova_error_t **error)
{
	return world_register("g", "new", error);
}

static bool there_is(const char *name)
{
	nova_function_t *function = NULL;
	int code = nova_function_get(world.nova, name, &function, NULL);
	nova_function_free(function);
	return code == 0;
}

static void delete_new(void)
{
	MUST(there_is("f") ? 0 : NOVA_ECORRUPT);
	nova_function_delete(world.nova, "g", 0, NULL);
}

static int replace(nova_error_t **error)
{
	return world_register("g", "other", error);
}

static void prepare_new(void)
{
	MUST(register_new(&world.error));
}

static int get(nova_error_t **error)
{
	nova_function_t *f = NULL;
	int code = nova_function_get(world.nova, "f", &f, error);
	if (code < 0)
		return code;
	bool whole =
		*nova_function_id(f) && !strcmp(nova_function_name(f), "f") &&
		!strcmp(nova_function_text(f, "runtime", 0), "shell") &&
		nova_function_text(f, "handler", 0) && nova_function_code_path(f) &&
		strlen(nova_function_code_hash(f)) == 64 && nova_function_number(f, "memory_mb") &&
		nova_function_number(f, "timeout_s") && nova_function_number(f, "vcpus") &&
		nova_function_number(f, "concurrency") && nova_function_version(f) &&
		nova_function_created_us(f) && nova_function_updated_us(f) &&
		!nova_function_text(f, "env", 2) && nova_function_text(f, "env", 1) &&
		!(nova_function_number(f, "min_replicas") + nova_function_number(f, "disk_iops") +
			nova_function_number(f, "disk_bandwidth") +
			nova_function_number(f, "net_rx_bandwidth") +
			nova_function_number(f, "net_tx_bandwidth")) &&
		!strcmp(nova_function_text(f, "network", 0), "none") &&
		nova_function_number(f, "vcpus") == 1 && nova_function_text(f, "env", 1);
	nova_function_free(f);
	return whole ? 0 : NOVA_EAGENT;
}

static int get_nothing(nova_error_t **error)
{
	nova_function_t *f = NULL;
	return nova_function_get(world.nova, "h", &f, error);
}

static nova_function_t *function;

static void make_function(void)
{
	MUST(nova_function_get(world.nova, "f", &function, &world.error));
}

static int function_to_json(nova_error_t **error)
{
	(void)error;
	AUTO_FREE char *json = nova_function_to_json(function);
	return json ? 0 : NOVA_ENOMEM;
}

static int list(nova_error_t **error)
{
	nova_function_t **functions = NULL;
	size_t count = 0;
	int code = nova_function_list(world.nova, NULL, &functions, &count, error);
	nova_function_list_free(functions, count);
	return code == 0 && count != 1 ? NOVA_EAGENT : code;
}

static int check_code(nova_error_t **error)
{
	return nova_function_check(world.nova, "f", error);
}

static int delete (nova_error_t **error)
{
	int code = nova_function_delete(world.nova, "g", 0, error);
	return code == 0 && there_is("g") ? NOVA_EAGENT : code;
}

static int build_template(nova_error_t **error)
{
	return nova_template_build(world.nova, "f", NULL, error);
}

static int prepare_template(nova_error_t **error)
{
	return nova_template_prepare(world.nova, "shell", NULL, NULL, error);
}

/* --- calls --- */

static int invoke_with(uint32_t flags, nova_error_t **error)
{
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.flags = flags;
	int code = nova_invoke(world.nova, "f", "{\"x\":1}", &opts, &result, error);
	return code == 0 && strcmp(nova_result_output(result, NULL), "{}") ? NOVA_EAGENT : code;
}

static int invoke_cold(nova_error_t **error)
{
	return invoke_with(NOVA_INVOKE_FRESH, error);
}

static int invoke_warm(nova_error_t **error)
{
	return invoke_with(0, error);
}

static void warm(void)
{
	MUST(invoke_warm(&world.error));
	nova_result_free(STEAL(result));
}

static int run_code(nova_error_t **error)
{
	const char *const args[] = { "a" };
	const nova_run_file file = { "note", "x", 1 };
	nova_run_opts opts = NOVA_RUN_OPTS_INIT;
	opts.args = args;
	opts.args_count = opts.files_count = opts.stdin_len = 1;
	opts.files = &file;
	opts.stdin_data = "x";
	const char *text = world_run_code("cat note");
	int code = nova_run(world.nova, "shell", text, &opts, &result, error);
	return code == 0 && strcmp(nova_result_stdout(result, NULL), "x") ? NOVA_EAGENT : code;
}

static void free_result(void)
{
	nova_result_free(STEAL(result));
}

/* --- instances --- */

static nova_instance_t *instance;

static int start(nova_error_t **error)
{
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	opts.function = "f";
	opts.name = "i";
	return nova_instance_start(world.nova, &opts, &instance, error);
}

static void stop(void)
{
	if (instance)
		nova_instance_stop(instance, 5000, NULL);
	nova_instance_free(STEAL(instance));
}

/* A new one unless it is there and runs. */
static void prepare_instance(void)
{
	if (instance && nova_instance_state(instance) == NOVA_VM_RUNNING)
		return;
	stop();
	MUST(start(&world.error));
}

static int get_instance(nova_error_t **error)
{
	nova_instance_t *i = NULL;
	int code = nova_instance_get(world.nova, "i", &i, error);
	bool whole =
		code < 0 ||
		(*nova_instance_id(i) && !strcmp(nova_instance_name(i), "i") &&
			!strcmp(nova_instance_function(i), "f") && nova_instance_version(i) == 1 &&
			nova_instance_created_us(i) && nova_instance_state(i) == NOVA_VM_RUNNING);
	nova_instance_free(i);
	return whole ? code : NOVA_EAGENT;
}

static int list_instances(nova_error_t **error)
{
	nova_instance_t **instances = NULL;
	size_t count = 0;
	int code = nova_instance_list(world.nova, &instances, &count, error);
	nova_instance_list_free(instances, count);
	return code == 0 && count != 1 ? NOVA_EAGENT : code;
}

static int instance_to_json(nova_error_t **error)
{
	(void)error;
	AUTO_FREE char *json = nova_instance_to_json(instance);
	return json ? 0 : NOVA_ENOMEM;
}

static int invoke_instance(nova_error_t **error)
{
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.instance = instance;
	return nova_invoke(world.nova, NULL, "{}", &opts, &result, error);
}

static int command(nova_error_t **error)
{
	static const char *const argv[] = { "true" };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argv = argv;
	opts.argc = 1;
	return nova_vm_command(nova_instance_vm(instance), &opts, &result, error);
}

static int pause_and_resume(nova_error_t **error)
{
	int code = nova_vm_pause(nova_instance_vm(instance), NULL, error);
	return code < 0 ? code : nova_vm_resume(nova_instance_vm(instance), NULL, error);
}

static void resume(void)
{
	nova_vm_resume(nova_instance_vm(instance), NULL, NULL);
}

static int snapshot(nova_error_t **error)
{
	nova_snapshot_t *made = NULL;
	return nova_vm_snapshot(nova_instance_vm(instance), NULL, &made, error);
}

static int stop_instance(nova_error_t **error)
{
	return nova_instance_stop(instance, 5000, error);
}

const struct inject_case platform_cases[] = {
	{ "nova_open nova_close", .run = open_another, .swept = true },
	{ "nova_usage_list nova_usage_list_free nova_usage_to_json", NULL, NULL, list_usage },
	{ "nova_usage_bill nova_bill_to_json nova_bill_free", NULL, NULL, bill },
	{ "nova_usage_estimate", NULL, NULL, estimate },
	{ "nova_invocation_list nova_invocation_list_free", make_record, NULL, list_invocations },
	{ "nova_invocation_summarize nova_invocation_summaries_free", make_record, NULL,
		summarize },
	{ "nova_function_register", NULL, NULL, register_new, delete_new, .slow = true },
	{ "nova_function_register", NULL, prepare_new, replace, delete_new, .slow = true },
	{ "nova_function_get nova_function_free nova_function_id nova_function_name "
	  "nova_function_code_path nova_function_code_hash nova_function_version "
	  "nova_function_created_us nova_function_updated_us nova_function_number "
	  "nova_function_text",
		.run = get },
	{ "nova_function_get", .run = get_nothing, .expected = NOVA_ENOTFOUND },
	{ "nova_function_to_json", make_function, .run = function_to_json, .silent = true },
	{ "nova_function_list nova_function_list_free", .run = list },
	{ "nova_function_check", .run = check_code },
	{ "nova_function_delete", NULL, prepare_new, delete, delete_new },
	{ "nova_template_build", .run = build_template, .expected = NOVA_ENOTSUP },
	{ "nova_template_prepare", .run = prepare_template, .expected = NOVA_ENOTSUP },
	{ "nova_invoke", NULL, NULL, invoke_cold, free_result, .runs = true },
	{ "nova_invoke", NULL, warm, invoke_warm, free_result, .runs = true },
	{ "nova_instance_start", NULL, NULL, start, stop },
	{ "nova_instance_get nova_instance_free nova_instance_id nova_instance_name "
	  "nova_instance_function nova_instance_version "
	  "nova_instance_created_us nova_instance_state",
		NULL, prepare_instance, get_instance },
	{ "nova_instance_list nova_instance_list_free", NULL, prepare_instance, list_instances },
	{ "nova_instance_to_json", NULL, prepare_instance, instance_to_json, .silent = true },
	{ "nova_run", NULL, NULL, run_code, free_result, .runs = true },
	{ "nova_invoke", NULL, prepare_instance, invoke_instance, free_result, .runs = true },
	{ "nova_instance_vm nova_vm_command", NULL, prepare_instance, command, free_result },
	{ "nova_vm_pause nova_vm_resume", NULL, prepare_instance, pause_and_resume, resume },
	{ "nova_vm_snapshot", NULL, prepare_instance, snapshot, .expected = NOVA_ENOTSUP },
	{ "nova_instance_stop", NULL, prepare_instance, stop_instance, stop },
	{ NULL },
};
