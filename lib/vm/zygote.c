/* SPDX-License-Identifier: MIT */
/* VMs that stand still and are there to be forked (docs/hot.md). */
#include "vm/channel.h"
#include "vm/frozen.h"
#include "vm/hot.h"
#include "vm/object.h"

#define REST_OF_ANSWER_MS 1000u /* once it has begun to come */

const char *frozen_hot_obstacle(nova_host_t *host, const struct frozen *frozen)
{
	const struct guest_function *f = &frozen->function;
	bool shared = !f->is_there && !f->draws;
	return frozen->ops->fork ? frozen->ops->fork_obstacle(host_engine_env(host), shared) :
				   "the engine cannot fork a process";
}

/* A call of a function, with nothing of its own in it. */
static json_t *rehearsal_of_call(void)
{
	return json_pack("{s:i, s:{s:[i,f,b,n], s:s}}", "timeout_ms", (int)DEFAULT_TIMEOUT, "input",
		"values", 1, 2.5, 1, "text", "rehearsal");
}

/* NULL: there is nothing to rehearse, or no memory. */
static json_t *rehearsal_of(const nova_vm_t *vm, const struct frozen *frozen)
{
	if (vm->function.is_there)
		return rehearsal_of_call();
	return frozen->rehearsal ? json_loads(frozen->rehearsal, 0, NULL) : NULL;
}

/* Under emulation the first call of a guest costs most: the code that it runs is translated.
 * Nobody's own code is run for that. */
static int begin_rehearsal(nova_vm_t *vm, const struct frozen *frozen, nova_error_t **error)
{
	AUTO_JSON json_t *payload = rehearsal_of(vm, frozen);
	AUTO_FREE void *frame = NULL;
	struct vm_request request = { .id = vm->rehearsal };
	if (!payload)
		return vm->function.is_there || frozen->rehearsal ? nova_oom(error) : 0;
	if (random_hex(vm->rehearsal, 8) < 0 ||
		json_object_set_new(payload, "request_id", json_string(vm->rehearsal)) < 0)
		return nova_oom(error);
	vm->rehearsal_ends = deadline_in_ms(DEFAULT_TIMEOUT + ANSWER_GRACE);
	request.deadline = deadline_in_ms(ANSWER_GRACE);
	int code = proto_encode_json(NOVA_MSG_REHEARSE, payload, &frame, &request.frame_len, error);
	request.frame = frame;
	return code < 0 ? code : vm_send(vm, &request, error);
}

static bool has_rehearsed(nova_vm_t *vm)
{
	struct pollfd p = { vm->machine->channel, POLLIN, 0 };
	return !*vm->rehearsal || deadline_passed(vm->rehearsal_ends) || sys_poll(&p, 1, 0) != 0 ||
	       !vm_process_lives(vm);
}

/* Not every runtime has it, nor an agent of before: they refuse it as invalid. Whoever fails is not
 * as it was. */
static int end_rehearsal(nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	AUTO_ERROR nova_error_t *refusal = NULL;
	const struct vm_request request = {
		.id = vm->rehearsal,
		.deadline = deadline_in_ms(REST_OF_ANSWER_MS),
		.stop = stop,
	};
	if (!*vm->rehearsal)
		return 0;
	int code = vm_await(vm, &request, &answer, error);
	int refused = code == 0 ? vm_refusal(&answer, &refusal) : 0;
	vm->rehearsal[0] = 0;
	if (refused < 0)
		log_debug(host_log(vm->host), "vm", "%s has rehearsed no call: %s", vm->id,
			nova_error_message(refusal));
	if (!vm->function.is_there && refused == NOVA_EAGENT) {
		if (error)
			*error = STEAL(refusal);
		return refused;
	}
	return code;
}

/* Whatever its children would have to do first is done by then. */
static int stand_still(nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	int code = end_rehearsal(vm, stop, error);
	if (code == 0)
		code = vm_get_ready(vm, stop, error);
	if (code == 0)
		code = vm->ops->pause(vm->machine, error);
	deferred_clock_stood(vm);
	if (code == 0)
		__atomic_store_n(&vm->state, NOVA_VM_PAUSED, __ATOMIC_RELEASE);
	return code;
}

int vm_zygote_settle(nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	if (!has_rehearsed(vm))
		return 0;
	int code = vm_enter_alone(vm, stop, error);
	if (code < 0)
		return code;
	code = stand_still(vm, stop, error);
	vm_leave_alone(vm);
	return code < 0 ? code : 1;
}

int vm_zygote_new(nova_host_t *host, struct frozen *frozen, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_t *vm;
	int code = vm_thaw(host, frozen, stop, &vm, error);
	if (code < 0)
		return code;
	code = begin_rehearsal(vm, frozen, error);
	if (code < 0)
		nova_vm_free(vm);
	else
		*ret_vm = vm;
	return code;
}

int vm_zygote_fork(nova_vm_t *zygote, const char *code_disk, const struct stop *stop,
	nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **error)
{
	const struct hot_fork how = {
		.count = 1,
		.code_disk = code_disk,
		.for_init = !zygote->function.is_there,
	};
	return vm_fork_hot(zygote, &how, stop, ret_vm, why, error);
}

int vm_zygote_park(nova_vm_t *zygote, const struct stop *stop, nova_vm_t **ret_vm,
	char why[VM_PATH_WHY], nova_error_t **error)
{
	return vm_fork_ahead(zygote, stop, ret_vm, why, error);
}

int vm_unpark(nova_vm_t *vm, const struct stop *stop, char why[VM_PATH_WHY], nova_error_t **error)
{
	return vm_child_born(vm, stop, why, error);
}

void vm_set_path_why(nova_vm_t *vm, const char *why)
{
	snprintf(vm->path_why, sizeof(vm->path_why), "%s", why);
}
