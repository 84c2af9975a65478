/* SPDX-License-Identifier: MIT */
/* Asynchronous calls. */
#include "inject.h"

static nova_queue_t *queue;
static nova_call_t *call;

static int new_queue(nova_error_t **error)
{
	nova_queue_t *made = NULL;
	int code = nova_queue_new(world.nova, NULL, &made, error);
	if (code == 0 && nova_queue_fd(made) < 0)
		code = NOVA_EAGENT;
	nova_queue_free(made);
	return code;
}

/* A function has threads only while it has calls: a queue of its own for each attempt has all of
 * them end. */
static void prepare_queue(void)
{
	MUST(nova_queue_new(world.nova, NULL, &queue, &world.error));
}

static void free_queue(void)
{
	nova_call_free(STEAL(call));
	nova_queue_free(STEAL(queue));
}

static int submit_and_collect(nova_error_t **error)
{
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.userdata = &call;
	int code = nova_queue_submit(queue, "f", "{}", &opts, NULL, error);
	if (code == 0)
		code = nova_queue_collect(queue, 60000, NULL, &call, error);
	if (code < 0 || !call)
		return code < 0 ? code : NOVA_EAGENT;
	nova_error_t *mine = nova_call_take_error(call);
	code = nova_call_code(call);
	if (error)
		*error = mine;
	nova_result_t *result = nova_call_take_result(call);
	bool whole = nova_call_is_finished(call) && *nova_call_request_id(call) &&
		     nova_call_userdata(call) == &call && !!result == (code == 0);
	nova_result_free(result);
	return whole ? code : NOVA_EAGENT;
}

static void prepare_finished(void)
{
	prepare_queue();
	MUST(submit_and_collect(&world.error));
}

static int cancel(nova_error_t **error)
{
	(void)error;
	nova_queue_count(queue, NOVA_QUEUE_THREADS);
	return nova_call_cancel(call);
}

/* --- what takes long with a VM --- */

/* What came of the only call, which stays; with the code of its submit. */
static int collected(int code, nova_error_t **error)
{
	if (code == 0)
		code = nova_queue_collect(queue, 60000, NULL, &call, error);
	if (code < 0 || !call)
		return code < 0 ? code : NOVA_EAGENT;
	nova_error_t *mine = nova_call_take_error(call);
	if (error)
		*error = mine;
	else
		nova_error_free(mine);
	return nova_call_code(call);
}

static int start_vm(nova_error_t **error)
{
	const nova_vm_opts opts = { sizeof(opts), .engine = "fake", .network = "none" };
	int code = collected(nova_queue_submit_vm_start(queue, &opts, NULL, error), error);
	nova_vm_t *vm = call ? nova_call_take_vm(call) : NULL;
	bool whole = !!vm == (code == 0);
	nova_vm_free(vm);
	return whole ? code : NOVA_EAGENT;
}

static int start_instance(nova_error_t **error)
{
	const nova_instance_opts opts = { sizeof(opts), .function = "f", .name = "i" };
	int code = collected(nova_queue_submit_instance_start(queue, &opts, NULL, error), error);
	nova_instance_t *instance = call ? nova_call_take_instance(call) : NULL;
	bool whole = !!instance == (code == 0);
	if (instance)
		nova_instance_stop(instance, 0, NULL);
	nova_instance_free(instance);
	return whole ? code : NOVA_EAGENT;
}

static void prepare_vm(void)
{
	world_vm();
	prepare_queue();
}

static int init_vm(nova_error_t **error)
{
	static const char *const env[] = { "A=1", "B=2" };
	const nova_vm_init_opts opts = { sizeof(opts), .runtime = "shell", .env = env,
		.env_count = ARRAY_LEN(env) };
	return collected(nova_queue_submit_vm_init(queue, world.vm, &opts, NULL, error), error);
}

static int invoke_vm(nova_error_t **error)
{
	return collected(
		nova_queue_submit_vm_invoke(queue, world.vm, "{}", NULL, NULL, error), error);
}

static int run_code(nova_error_t **error)
{
	const char *text = world_run_code("echo 1");
	return collected(nova_queue_submit_run(queue, "shell", text, NULL, NULL, error), error);
}

static int command_vm(nova_error_t **error)
{
	static const char *const argv[] = { "echo", "1" };
	const nova_vm_command_opts opts = { sizeof(opts), .argv = argv, .argc = ARRAY_LEN(argv),
		.stdin_fd = -1 };
	return collected(nova_queue_submit_vm_command(queue, world.vm, &opts, NULL, error), error);
}

static int fork_vm(nova_error_t **error)
{
	return collected(nova_queue_submit_vm_fork(queue, world.vm, 2, NULL, NULL, error), error);
}

static int snapshot_vm(nova_error_t **error)
{
	const nova_snapshot_opts opts = { sizeof(opts), .name = "s" };
	int code = collected(
		nova_queue_submit_vm_snapshot(queue, world.vm, &opts, NULL, error), error);
	return call && nova_call_take_snapshot(call) ? NOVA_EAGENT : code;
}

const struct inject_case call_cases[] = {
	{ "nova_queue_new nova_queue_free nova_queue_fd", .run = new_queue },
	{ "nova_queue_submit nova_queue_collect nova_call_code nova_call_take_result "
	  "nova_call_take_error nova_call_userdata nova_call_request_id nova_call_free "
	  "nova_call_is_finished",
		NULL, prepare_queue, submit_and_collect, free_queue, .runs = true },
	{ "nova_call_cancel nova_queue_count", NULL, prepare_finished, cancel, free_queue,
		.expected = NOVA_EBUSY, .silent = true },
	{ "nova_queue_submit_vm_start nova_call_take_vm", NULL, prepare_queue, start_vm,
		free_queue },
	{ "nova_queue_submit_instance_start nova_call_take_instance", NULL, prepare_queue,
		start_instance, free_queue },
	{ "nova_queue_submit_vm_init", NULL, prepare_vm, init_vm, free_queue },
	{ "nova_queue_submit_vm_invoke", NULL, prepare_vm, invoke_vm, free_queue, .runs = true },
	{ "nova_queue_submit_run", NULL, prepare_queue, run_code, free_queue, .runs = true },
	{ "nova_queue_submit_vm_command", NULL, prepare_vm, command_vm, free_queue },
	{ "nova_queue_submit_vm_fork", NULL, prepare_vm, fork_vm, free_queue,
		.expected = NOVA_ENOTSUP },
	{ "nova_queue_submit_vm_snapshot nova_call_take_snapshot", NULL, prepare_vm, snapshot_vm,
		free_queue, .expected = NOVA_ENOTSUP },
	{ NULL },
};
