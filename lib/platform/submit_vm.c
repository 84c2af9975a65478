/* SPDX-License-Identifier: MIT */
/* What a queue can be given of VMs by themselves. */
#include "platform/platform.h"
#include "platform/queue.h"

#define GROUP_OF_STARTS "vms" /* of those that are made, and have no group yet */

static nova_host_t *host_of(const nova_call_t *call)
{
	return queue_platform(call->queue)->host;
}

/* --- nova_vm_start() --- */

struct start_call {
	nova_call_t call;
	struct vm_spec spec;
	const nova_interrupt_t *interrupt;
};

static int run_start(nova_call_t *call, const struct stop *stop, struct yield *ret)
{
	const struct start_call *c = (struct start_call *)call;
	const struct stop any = { c->interrupt, stop };
	int code = yield_vms(ret, 1);
	if (code == 0)
		code = vm_start(host_of(call), &c->spec, &any, &ret->vms[0], &ret->error);
	ret->vm_count = code == 0;
	return code;
}

static void start_done(nova_call_t *call)
{
	vm_spec_done(&((struct start_call *)call)->spec);
}

static const struct call_kind start_kind = {
	.before = "the microVM was started", .run = run_start, .done = start_done
};

int nova_queue_submit_vm_start(
	nova_queue_t *queue, const nova_vm_opts *opts, nova_call_t **ret_call, nova_error_t **error)
{
	nova_vm_opts o;
	if (ANY_NULL(error, queue))
		return NOVA_EINVAL;
	struct start_call *made = call_new(queue, &start_kind, sizeof(*made));
	if (!made)
		return nova_oom(error);
	int code = opts_import(&o, sizeof(o), opts, "nova_vm_opts", error);
	if (code == 0)
		code = vm_spec_import(&made->spec, &o, NULL, error);
	made->interrupt = o.interrupt;
	made->call.userdata = o.userdata;
	return call_submit(&made->call, code, GROUP_OF_STARTS, ret_call, error);
}

/* --- nova_vm_restore() --- */

struct restore_call {
	nova_call_t call;
	nova_snapshot_t *snapshot;
	nova_wait_opts wait;
};

static int run_restore(nova_call_t *call, const struct stop *stop, struct yield *ret)
{
	const struct restore_call *c = (struct restore_call *)call;
	const struct stop any = { c->wait.interrupt, stop };
	int code = yield_vms(ret, 1);
	if (code == 0)
		code = vm_restore(host_of(call), c->snapshot, &any, &ret->vms[0], &ret->error);
	ret->vm_count = code == 0;
	return code;
}

static void restore_done(nova_call_t *call)
{
	nova_snapshot_free(STEAL(((struct restore_call *)call)->snapshot));
}

static const struct call_kind restore_kind = {
	.before = "the snapshot was restored", .run = run_restore, .done = restore_done
};

int nova_queue_submit_vm_restore(nova_queue_t *queue, const nova_snapshot_t *snapshot,
	const nova_wait_opts *wait, nova_call_t **ret_call, nova_error_t **error)
{
	if (ANY_NULL(error, queue, snapshot))
		return NOVA_EINVAL;
	struct restore_call *made = call_new(queue, &restore_kind, sizeof(*made));
	if (!made)
		return nova_oom(error);
	int code = opts_import(&made->wait, sizeof(made->wait), wait, "nova_wait_opts", error);
	if (code == 0)
		code = host_check_process(host_of(&made->call), error);
	if (code == 0)
		made->snapshot = snapshot_ref(snapshot);
	made->call.userdata = made->wait.userdata;
	return call_submit(&made->call, code, GROUP_OF_STARTS, ret_call, error);
}

/* --- what is done in a VM --- */

static void *call_in(nova_queue_t *queue, nova_vm_t *vm, const struct call_kind *kind, size_t size)
{
	nova_call_t *call = call_new(queue, kind, size);
	if (call)
		call->vm = vm_ref(vm);
	return call;
}

/* --- nova_vm_init() --- */

struct init_call {
	nova_call_t call;
	struct vm_spec spec;
	const nova_interrupt_t *interrupt;
};

static int run_init(nova_call_t *call, const struct stop *stop, struct yield *ret)
{
	const struct init_call *c = (struct init_call *)call;
	const struct stop any = { c->interrupt, stop };
	return vm_init(call->vm, &c->spec, &any, &ret->error);
}

static void init_done(nova_call_t *call)
{
	vm_spec_done(&((struct init_call *)call)->spec);
}

static const struct call_kind init_kind = {
	.before = "the microVM was given its function",
	.alone = true,
	.run = run_init,
	.done = init_done,
};

int nova_queue_submit_vm_init(nova_queue_t *queue, nova_vm_t *vm, const nova_vm_init_opts *opts,
	nova_call_t **ret_call, nova_error_t **error)
{
	nova_vm_init_opts o;
	if (ANY_NULL(error, queue, vm, opts))
		return NOVA_EINVAL;
	struct init_call *made = call_in(queue, vm, &init_kind, sizeof(*made));
	if (!made)
		return nova_oom(error);
	int code = opts_import(&o, sizeof(o), opts, "nova_vm_init_opts", error);
	if (code == 0)
		code = vm_spec_import(&made->spec, NULL, &o, error);
	made->interrupt = o.interrupt;
	made->call.userdata = o.userdata;
	return call_submit(&made->call, code, NULL, ret_call, error);
}

/* --- nova_vm_invoke() --- */

struct invoke_call {
	nova_call_t call;
	struct vm_exec exec;
};

static int run_invoke(nova_call_t *call, const struct stop *stop, struct yield *ret)
{
	const struct vm_exec *exec = &((struct invoke_call *)call)->exec;
	const struct stop any = { exec->interrupt, stop };
	return vm_exec(call->vm, exec, &any, &ret->result, &ret->error);
}

static void invoke_done(nova_call_t *call)
{
	vm_exec_done(&((struct invoke_call *)call)->exec);
}

static const struct call_kind invoke_kind = {
	.before = "its function ran", .run = run_invoke, .done = invoke_done
};

int nova_queue_submit_vm_invoke(nova_queue_t *queue, nova_vm_t *vm, const char *payload,
	const nova_vm_invoke_opts *opts, nova_call_t **ret_call, nova_error_t **error)
{
	if (ANY_NULL(error, queue, vm, payload))
		return NOVA_EINVAL;
	struct invoke_call *made = call_in(queue, vm, &invoke_kind, sizeof(*made));
	if (!made)
		return nova_oom(error);
	int code = vm_exec_import(&made->exec, payload, opts, error);
	made->call.request_id = made->exec.id;
	made->call.userdata = made->exec.userdata;
	return call_submit(&made->call, code, NULL, ret_call, error);
}

/* --- nova_vm_command() --- */

struct command_call {
	nova_call_t call;
	struct vm_command command;
};

static int run_command(nova_call_t *call, const struct stop *stop, struct yield *ret)
{
	struct vm_command *command = &((struct command_call *)call)->command;
	const struct stop any = { command->interrupt, stop };
	return vm_command(call->vm, command, &any, &ret->result, &ret->error);
}

static void command_done(nova_call_t *call)
{
	vm_command_done(&((struct command_call *)call)->command);
}

static const struct call_kind command_kind = {
	.before = "its command ran", .run = run_command, .done = command_done
};

int nova_queue_submit_vm_command(nova_queue_t *queue, nova_vm_t *vm,
	const nova_vm_command_opts *opts, nova_call_t **ret_call, nova_error_t **error)
{
	if (ANY_NULL(error, queue, vm, opts))
		return NOVA_EINVAL;
	struct command_call *made = call_in(queue, vm, &command_kind, sizeof(*made));
	if (!made)
		return nova_oom(error);
	int code = vm_command_import(&made->command, opts, error);
	made->call.userdata = made->command.userdata;
	return call_submit(&made->call, code, NULL, ret_call, error);
}

/* --- nova_vm_fork() --- */

struct fork_call {
	nova_call_t call;
	size_t count;
	nova_wait_opts wait;
};

static int run_fork(nova_call_t *call, const struct stop *stop, struct yield *ret)
{
	const struct fork_call *c = (struct fork_call *)call;
	const struct stop any = { c->wait.interrupt, stop };
	int code = yield_vms(ret, c->count);
	if (code == 0)
		code = vm_fork(call->vm, c->count, &any, ret->vms, &ret->error);
	ret->vm_count = code == 0 ? c->count : 0;
	return code;
}

static void nothing_to_do(nova_call_t *call)
{
	(void)call;
}

static const struct call_kind fork_kind = {
	.before = "the microVM was forked",
	.alone = true,
	.run = run_fork,
	.done = nothing_to_do,
};

int nova_queue_submit_vm_fork(nova_queue_t *queue, nova_vm_t *vm, size_t count,
	const nova_wait_opts *wait, nova_call_t **ret_call, nova_error_t **error)
{
	if (ANY_NULL(error, queue, vm))
		return NOVA_EINVAL;
	struct fork_call *made = call_in(queue, vm, &fork_kind, sizeof(*made));
	if (!made)
		return nova_oom(error);
	made->count = count;
	int code = vm_fork_check(count, error);
	if (code == 0)
		code = opts_import(&made->wait, sizeof(made->wait), wait, "nova_wait_opts", error);
	made->call.userdata = made->wait.userdata;
	return call_submit(&made->call, code, NULL, ret_call, error);
}

/* --- nova_vm_snapshot() --- */

struct snapshot_call {
	nova_call_t call;
	nova_snapshot_opts opts;
	char *name; /* in these */
};

static int run_snapshot(nova_call_t *call, const struct stop *stop, struct yield *ret)
{
	return vm_snapshot(call->vm, NULL, &((struct snapshot_call *)call)->opts, stop,
		&ret->snapshot, &ret->error);
}

static void snapshot_done(nova_call_t *call)
{
	free(STEAL(((struct snapshot_call *)call)->name));
}

static const struct call_kind snapshot_kind = {
	.before = "the snapshot was taken",
	.alone = true,
	.run = run_snapshot,
	.done = snapshot_done,
};

int nova_queue_submit_vm_snapshot(nova_queue_t *queue, nova_vm_t *vm,
	const nova_snapshot_opts *opts, nova_call_t **ret_call, nova_error_t **error)
{
	if (ANY_NULL(error, queue, vm))
		return NOVA_EINVAL;
	struct snapshot_call *made = call_in(queue, vm, &snapshot_kind, sizeof(*made));
	if (!made)
		return nova_oom(error);
	nova_snapshot_opts *o = &made->opts;
	int code = opts_import(o, sizeof(*o), opts, "nova_snapshot_opts", error);
	if (code == 0 && o->name && !(o->name = made->name = strdup(o->name)))
		code = nova_oom(error);
	made->call.userdata = o->userdata;
	return call_submit(&made->call, code, NULL, ret_call, error);
}
