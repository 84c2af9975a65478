/* SPDX-License-Identifier: MIT */
/* The life of a VM: start, pause, resume, end. */
#include "vm/channel.h"
#include "vm/deferred.h"
#include "vm/frozen.h"
#include "vm/object.h"

#define STOP_GRACE 2000u

/* --- the end --- */

/* 0: it has. NOVA_ELOST: something else has ended it, perhaps long ago. */
static int end_by_itself(nova_vm_t *vm, uint64_t deadline, nova_error_t **error)
{
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	AUTO_ERROR nova_error_t *why = NULL;
	int code = vm->state == NOVA_VM_RUNNING ? vm_ask_json(vm, NOVA_MSG_STOP, json_object(),
							  deadline, NULL, &answer, &why) :
						  NOVA_EBUSY;
	if (code_is_refusal(code)) {
		if (error)
			*error = STEAL(why);
		return nova_wrap(
			error, code, "microVM %s could not be asked to end and was killed", vm->id);
	}
	if (code == NOVA_ELOST)
		return nova_fail(
			error, code, "microVM %s was dead before it could be asked to end", vm->id);
	if (code == 0 && machine_ended(vm->ops, vm->machine, deadline))
		return 0;
	return nova_fail(
		error, NOVA_ETIMEDOUT, "microVM %s did not end by itself and was killed", vm->id);
}

/* Alone. */
static int stop_by(nova_vm_t *vm, uint64_t deadline, nova_error_t **error)
{
	if (vm->ended)
		return 0;
	int code = end_by_itself(vm, deadline, error);
	vm_end(vm);
	return code;
}

int vm_stop_by(nova_vm_t *vm, uint64_t deadline)
{
	bool in_time = vm_enter_alone_by(vm, deadline);
	if (!in_time) {
		nova_vm_kill(vm);
		vm_enter_alone(vm, NULL, NULL);
	}
	int code = in_time && vm_seems_running(vm) ? stop_by(vm, deadline, NULL) : 0;
	vm_end(vm);
	base_unref(vm->base);
	vm->base = NULL;
	vm_leave_alone(vm);
	return in_time && code != NOVA_ETIMEDOUT ? 0 : NOVA_ETIMEDOUT;
}

int vm_set_owner(nova_vm_t *vm, const char *owner, nova_error_t **error)
{
	vm->owner = strdup(owner);
	return vm->owner ? 0 : nova_oom(error);
}

int nova_vm_stop(nova_vm_t *vm, uint32_t grace_ms, const nova_wait_opts *wait, nova_error_t **error)
{
	if (ANY_NULL(error, vm))
		return NOVA_EINVAL;
	struct stop stop;
	int code = host_check_process(vm->host, error);
	if (code == 0)
		code = stop_import(&stop, wait, error);
	if (code < 0)
		return code;
	code = vm_enter_alone(vm, &stop, error);
	if (code < 0)
		return code;
	code = stop_by(vm, deadline_in_ms(grace_ms ? grace_ms : STOP_GRACE), error);
	vm_leave_alone(vm);
	return code;
}

/* Queues may have calls in it: those are waited for, and those that come later find it dead. */
void nova_vm_free(nova_vm_t *vm)
{
	if (!vm || host_check_process(vm->host, NULL) < 0)
		return;
	vm_close(vm);
	nova_vm_kill(vm);
	vm_enter_alone(vm, NULL, NULL);
	vm_end(vm);
	vm_leave_alone(vm);
	vm_unref(vm);
}

/* --- start --- */

static int start_machine(nova_vm_t *vm, const char *kernel, const char *initramfs,
	const struct stop *stop, nova_error_t **error)
{
	uint64_t begin = clock_ns(), deadline = deadline_in_ms(vm->boot_timeout_ms);
	struct machine_spec spec = {
		.id = vm->id,
		.kernel = kernel,
		.initramfs = initramfs,
		.config = vm->shape,
		.base_fd = -1,
		.deadline = deadline,
		.stop = stop,
	};
	int code = vmm_start(vm->host, vm->ops, vm->machine, &spec, NULL, error);
	if (code < 0)
		return code;
	vm->timing_us[NOVA_TIMING_START] = us_since(begin);
	begin = clock_ns();
	code = vm_await_ready(vm, deadline, stop, error);
	if (code == 0 && engine_has(vm->ops, NOVA_FEATURE_GUEST))
		code = vm_introduce_send(vm, error);
	if (code == 0 && engine_has(vm->ops, NOVA_FEATURE_GUEST))
		code = vm_introduce_await(vm, deadline, stop, error);
	vm->timing_us[NOVA_TIMING_BOOT] = us_since(begin);
	return code;
}

/* Of a guest that boots one, the path of the root filesystem takes the place of its name. */
static int make_vm(nova_host_t *host, const struct engine_ops *ops,
	const struct machine_config *config, const char *rootfs, nova_vm_t **ret_vm,
	nova_error_t **error)
{
	struct machine_config shape = *config;
	shape.rootfs = (char *)rootfs;
	return vm_new(host, ops, &shape, ret_vm, error);
}

static int boot(nova_host_t *host, const struct engine_ops *ops, const struct vm_spec *spec,
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error)
{
	const struct machine_config *config = &spec->config.machine;
	AUTO_FREE char *kernel = NULL, *initramfs = NULL, *rootfs = NULL;
	nova_vm_t *vm = NULL;
	int code = engine_check(ops, config, error);
	if (code == 0 && engine_has(ops, NOVA_FEATURE_GUEST))
		code = vm_find_images(host, ops, config->rootfs ? config->rootfs : "base", &kernel,
			&initramfs, &rootfs, error);
	if (code == 0)
		code = make_vm(host, ops, config, rootfs, &vm, error);
	if (code < 0)
		return code;
	if (spec->boot_timeout_ms)
		vm->boot_timeout_ms = spec->boot_timeout_ms;
	code = start_machine(vm, kernel, initramfs, stop, error);
	if (code < 0)
		nova_vm_free(vm);
	else
		*ret_vm = vm;
	return code;
}

int vm_start(nova_host_t *host, const struct vm_spec *spec, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	const struct engine_ops *ops;
	nova_vm_t *vm = NULL;
	int code = host_check_process(host, error);
	if (code == 0)
		code = machine_config_check(&spec->config.machine, NOVA_EINVAL, error);
	if (code == 0)
		code = host_choose_engine(host, spec->engine, &ops, error);
	if (code == 0)
		code = stop_check(stop, "the microVM was started", error);
	if (code == 0)
		code = boot(host, ops, spec, stop, &vm, error);
	if (code < 0)
		return code;
	log_info(host_log(host), "vm", "%s booted on %s in %llu ms", vm->id, ops->name,
		(unsigned long long)((vm->timing_us[NOVA_TIMING_START] +
					     vm->timing_us[NOVA_TIMING_BOOT]) /
				     1000u));
	*ret_vm = vm;
	return 0;
}

int nova_vm_start(
	nova_host_t *host, const nova_vm_opts *opts, nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_opts o;
	AUTO_VM_SPEC struct vm_spec spec = { .engine = NULL };
	if (ANY_NULL(error, host, ret_vm))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_vm_opts", error);
	if (code == 0)
		code = host_check_process(host, error);
	if (code == 0)
		code = vm_spec_import(&spec, &o, NULL, error);
	const struct stop stop = { o.interrupt, NULL };
	return code < 0 ? code : vm_start(host, &spec, &stop, ret_vm, error);
}

/* --- pause and resume --- */

static int switch_alone(nova_vm_t *vm, int state, int (*op)(struct machine *, nova_error_t **),
	nova_error_t **error)
{
	int code = vm->ended ? nova_fail(error, NOVA_ELOST, "microVM %s is dead", vm->id) :
			       op(vm->machine, error);
	if (state == NOVA_VM_PAUSED)
		deferred_clock_stood(vm);
	if (code == 0)
		__atomic_store_n(&vm->state, state, __ATOMIC_RELEASE);
	else if (!vm->ended && machine_ended(vm->ops, vm->machine, 0))
		vm_end(vm);
	return code;
}

static int switch_state(nova_vm_t *vm, int state, int (*op)(struct machine *, nova_error_t **),
	const struct stop *stop, nova_error_t **error)
{
	if (!op)
		return nova_fail(error, NOVA_ENOTSUP, "the engine %s cannot pause its machines",
			vm->ops->name);
	int code = host_check_process(vm->host, error);
	if (code < 0)
		return code;
	code = vm_enter_alone(vm, stop, error);
	if (code < 0)
		return code;
	code = switch_alone(vm, state, op, error);
	vm_leave_alone(vm);
	return code;
}

int nova_vm_pause(nova_vm_t *vm, const nova_wait_opts *wait, nova_error_t **error)
{
	if (ANY_NULL(error, vm))
		return NOVA_EINVAL;
	struct stop stop;
	int code = stop_import(&stop, wait, error);
	return code < 0 ? code : switch_state(vm, NOVA_VM_PAUSED, vm->ops->pause, &stop, error);
}

/* A clone that goes on before its first request must be somebody of its own too. */
static int introduce_late(nova_vm_t *vm, nova_error_t **error)
{
	vm_enter_alone(vm, NULL, NULL);
	int code = 0;
	if (!vm->ended && deferred_news(vm) == NEWS_IS_CLONE) {
		code = vm_introduce_send(vm, error);
		if (code == 0)
			code = vm_introduce_await(
				vm, deadline_in_ms(vm->boot_timeout_ms), NULL, error);
	}
	vm_leave_alone(vm);
	return code;
}

int nova_vm_resume(nova_vm_t *vm, const nova_wait_opts *wait, nova_error_t **error)
{
	if (ANY_NULL(error, vm))
		return NOVA_EINVAL;
	struct stop stop;
	int code = stop_import(&stop, wait, error);
	if (code == 0)
		code = switch_state(vm, NOVA_VM_RUNNING, vm->ops->resume, &stop, error);
	return code < 0 ? code : introduce_late(vm, error);
}

int vm_wake(nova_vm_t *vm, nova_error_t **error)
{
	int code = 0;
	if (!vm_enter_alone_to_wake(vm))
		return 0;
	if (!vm_seems_running(vm)) /* nor has another woken it meanwhile */
		code = switch_alone(vm, NOVA_VM_RUNNING,
			vm->ops->resume_soon ? vm->ops->resume_soon : vm->ops->resume, error);
	vm_leave_alone(vm);
	return code;
}

/* --- looking --- */

char *nova_vm_console(nova_vm_t *vm)
{
	if (!vm || host_check_process(vm->host, NULL) < 0)
		return NULL;
	vm_enter_alone(vm, NULL, NULL);
	machine_drain(vm->machine);
	struct buf *console = &vm->machine->console;
	size_t from = console->len > CONSOLE_KEPT ? console->len - CONSOLE_KEPT : 0;
	char *text = malloc(console->len - from + 1);
	if (text) {
		if (console->len)
			memcpy(text, console->data + from, console->len - from);
		text[console->len - from] = 0;
	}
	vm_leave_alone(vm);
	return text;
}
