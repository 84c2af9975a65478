/* SPDX-License-Identifier: MIT */
/* VMs that stand still and are there to be forked (docs/hot.md). */
#include "vm/channel.h"
#include "vm/frozen.h"
#include "vm/hot.h"
#include "vm/object.h"

#define REST_OF_ANSWER_MS 1000u  /* once it has begun to come */
#define SAMPLE_MOST_MS    10000u /* which nobody pays for */

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

/* What a function that is a program takes, whatever it is: processes that are executed, and their
 * output. */
static json_t *rehearsal_of_program(void)
{
	return json_pack("{s:i, s:[s,s,s], s:s}", "timeout_ms", (int)SAMPLE_MOST_MS, "argv",
		"/bin/sh", "-c", "cat /dev/null; echo rehearsal", "cwd", "/tmp");
}

/* NULL: there is nothing to rehearse, or no memory. */
static json_t *rehearsal_of(const nova_vm_t *vm, const struct frozen *frozen)
{
	if (vm->function.is_there)
		return rehearsal_of_call();
	return frozen->rehearsal ? json_loads(frozen->rehearsal, 0, NULL) : NULL;
}

static int send_rehearsal(
	nova_vm_t *vm, const void *frame, size_t len, uint32_t timeout_ms, nova_error_t **error)
{
	const struct vm_request request = {
		.id = vm->rehearsal,
		.frame = frame,
		.frame_len = len,
		.deadline = deadline_in_ms(ANSWER_GRACE),
	};
	vm->rehearsal_ends = deadline_in_ms((uint64_t)timeout_ms + ANSWER_GRACE);
	return vm_send(vm, &request, error);
}

/* NULL: no memory. */
static int ask_to_rehearse(nova_vm_t *vm, int type, json_t *payload, nova_error_t **error)
{
	AUTO_FREE void *frame = NULL;
	size_t len;
	if (!payload || random_hex(vm->rehearsal, 8) < 0 ||
		json_object_set_new(payload, "request_id", json_string(vm->rehearsal)) < 0)
		return nova_oom(error);
	int code = proto_encode_json(type, payload, &frame, &len, error);
	return code < 0 ? code : send_rehearsal(vm, frame, len, DEFAULT_TIMEOUT, error);
}

/* Under emulation the first call of a guest costs most: the code that it runs is translated.
 * Nobody's own code is run for that. */
static int begin_rehearsal(nova_vm_t *vm, const struct frozen *frozen, nova_error_t **error)
{
	AUTO_JSON json_t *payload = rehearsal_of(vm, frozen);
	if (!vm->function.is_there && !frozen->rehearsal)
		return 0;
	return ask_to_rehearse(vm, NOVA_MSG_REHEARSE, payload, error);
}

static int begin_program(nova_vm_t *vm, nova_error_t **error)
{
	AUTO_JSON json_t *payload = rehearsal_of_program();
	vm->program_begun = true;
	return ask_to_rehearse(vm, NOVA_MSG_COMMAND, payload, error);
}

/* What it is given is the user's, and so is what it does: it has nothing outside to do it to, and
 * is not told secrets. */
static int begin_sample(nova_vm_t *vm, nova_error_t **error)
{
	AUTO_FREE void *frame = NULL;
	size_t len;
	vm->sample_begun = true;
	int code = vm->shape.network ? net_cut(&vm->machine->link, error) : 0;
	if (code == 0 && random_hex(vm->rehearsal, 8) < 0)
		code = nova_oom(error);
	if (code == 0)
		code = proto_exec_frame(vm->rehearsal, vm->sample, strlen(vm->sample),
			vm->sample_ms, PROTO_EXEC_TIDY, &frame, &len, error);
	return code < 0 ? code : send_rehearsal(vm, frame, len, vm->sample_ms, error);
}

static bool has_rehearsed(nova_vm_t *vm)
{
	struct pollfd p = { vm->machine->channel, POLLIN, 0 };
	return !*vm->rehearsal || deadline_passed(vm->rehearsal_ends) || sys_poll(&p, 1, 0) != 0 ||
	       !vm_process_lives(vm);
}

/* Not every runtime has it, nor an agent of before: they refuse it as invalid, and a function is
 * taken for a program then. A guest without one that fails is not as it was. */
static int judge_rehearsal(nova_vm_t *vm, const struct vm_answer *answer, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *refusal = NULL;
	int refused = vm_refusal(answer, &refusal);
	if (refused < 0)
		log_debug(host_log(vm->host), "vm", "%s has rehearsed no %s: %s", vm->id,
			vm->program_begun ? "program" : "call", nova_error_message(refusal));
	if (vm->function.is_there && refused == NOVA_EINVAL && !vm->program_begun)
		return begin_program(vm, error);
	if (vm->function.is_there || refused != NOVA_EAGENT)
		return 0;
	if (error)
		*error = STEAL(refusal);
	return refused;
}

/* Its children can do without. */
static void judge_sample(const nova_vm_t *vm, const struct vm_answer *answer)
{
	AUTO_ERROR nova_error_t *refusal = NULL;
	const struct guest_message *said = &answer->said;
	const char *why = NULL;
	if (vm_refusal(answer, &refusal) < 0)
		why = nova_error_message(refusal);
	else if (said->timed_out || said->error.len || said->exit_code || said->signal > 0)
		why = said->error.len ? said->error.at : "it ended with a failure";
	if (why)
		log_warn(host_log(vm->host), "function", "the rehearsal in %s failed: %.400s",
			vm->id, why);
}

static int end_rehearsal(nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	const struct vm_request request = {
		.id = vm->rehearsal,
		.deadline = deadline_in_ms(REST_OF_ANSWER_MS),
		.stop = stop,
		.has_output = vm->sample_begun,
	};
	if (!*vm->rehearsal)
		return 0;
	int code = vm_await(vm, &request, &answer, error);
	vm->rehearsal[0] = 0;
	if (code < 0)
		return code;
	if (!vm->sample_begun)
		return judge_rehearsal(vm, &answer, error);
	judge_sample(vm, &answer);
	return 0;
}

/* Whatever its children would have to do first is done by then. */
static int stand_still(nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	int code = vm_get_ready(vm, stop, error);
	if (code == 0)
		code = vm->ops->pause(vm->machine, error);
	deferred_clock_stood(vm);
	if (code == 0)
		__atomic_store_n(&vm->state, NOVA_VM_PAUSED, __ATOMIC_RELEASE);
	return code;
}

static int go_on(nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	int code = end_rehearsal(vm, stop, error);
	if (code < 0 || *vm->rehearsal) /* another one has begun */
		return code;
	if (vm->sample && !vm->sample_begun)
		return begin_sample(vm, error);
	code = stand_still(vm, stop, error);
	return code < 0 ? code : 1;
}

int vm_zygote_settle(nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	if (!has_rehearsed(vm))
		return 0;
	int code = vm_enter_alone(vm, stop, error);
	if (code < 0)
		return code;
	code = go_on(vm, stop, error);
	vm_leave_alone(vm);
	return code;
}

static int take_sample(nova_vm_t *vm, const struct vm_sample *sample, nova_error_t **error)
{
	if (!sample || !sample->input || !vm->function.is_there)
		return 0;
	vm->sample = strdup(sample->input);
	vm->sample_ms = sample->timeout_ms < SAMPLE_MOST_MS ? sample->timeout_ms : SAMPLE_MOST_MS;
	return vm->sample ? 0 : nova_oom(error);
}

int vm_zygote_new(nova_host_t *host, struct frozen *frozen, const struct vm_sample *sample,
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_t *vm;
	int code = vm_thaw(host, frozen, stop, &vm, error);
	if (code < 0)
		return code;
	code = take_sample(vm, sample, error);
	if (code == 0)
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
