/* SPDX-License-Identifier: MIT */
/*
 * Taking the instant of a VM.
 *
 * The memory of a booted VM is a file of its own. At the first freeze that file becomes the base,
 * which must not change any more, so the VM itself goes on as the first clone of it: nothing is
 * copied. A clone's instant is its base, the pages that it has written, and the state of its
 * devices.
 */
#include "vm/channel.h"
#include "vm/deferred.h"
#include "vm/frozen.h"
#include "vm/object.h"

#define END_MOMENT_MS 200u

static int frozen_new(nova_vm_t *vm, struct frozen **ret_frozen, nova_error_t **error)
{
	struct frozen *f = calloc(1, sizeof(*f));
	if (!f)
		return nova_oom(error);
	*f = (struct frozen){
		.references = 1,
		.ops = vm->ops,
		.pages = PAGES_NONE,
		.state_fd = -1,
	};
	pthread_mutex_lock(&vm->lock);
	f->function = vm->function;
	pthread_mutex_unlock(&vm->lock);
	f->function.draws = NULL; /* of the import that is over */
	vm_snapshot_of(vm, f->snapshot);
	if (machine_config_copy(&f->shape, &vm->shape) < 0) {
		frozen_unref(f);
		return nova_oom(error);
	}
	*ret_frozen = f;
	return 0;
}

static int lost(const nova_vm_t *vm, nova_error_t **error)
{
	return nova_fail(error, NOVA_ELOST, "microVM %s is dead", vm->id);
}

/* Alone. The kernel closes what a killed VMM had open a moment before it tells of its end, so a
 * failure is given that moment. */
static bool is_lost(nova_vm_t *vm, uint64_t patience_ms)
{
	pthread_mutex_lock(&vm->end_lock);
	bool gone = vm->ended || vm->killed;
	pthread_mutex_unlock(&vm->end_lock);
	return gone ||
	       machine_ended(vm->ops, vm->machine, patience_ms ? deadline_in_ms(patience_ms) : 0);
}

static int go_on(nova_vm_t *vm, nova_error_t **error)
{
	return vm->state == NOVA_VM_RUNNING ? vm->ops->resume(vm->machine, error) : 0;
}

static int freeze_clone(nova_vm_t *vm, bool end, struct frozen *f, nova_error_t **error)
{
	int code = vm->ops->save(vm->machine, &f->state_fd, error);
	if (code == 0)
		code = vm->ops->take_pages(vm->machine, &f->pages, error);
	if (!vm->ended && !end) { /* it goes on also when the freeze has failed */
		int resumed = go_on(vm, code == 0 ? error : NULL);
		code = code < 0 ? code : resumed;
	}
	f->base = base_ref(vm->base);
	return code;
}

/* Returns the machine that is to go: the former one, or the new one if the VM has been killed
 * meanwhile. */
static struct machine *replace_machine(nova_vm_t *vm, struct machine *m)
{
	pthread_mutex_lock(&vm->end_lock);
	struct machine *old = vm->machine;
	bool killed = vm->killed;
	if (!killed)
		vm->machine = m;
	pthread_mutex_unlock(&vm->end_lock);
	if (killed)
		return m;
	m->console = old->console;
	old->console = BUF_INIT(0);
	return old;
}

/* The VM gets the machine of a clone of itself. */
static int continue_as_clone(nova_vm_t *vm, const struct frozen *f, nova_error_t **error)
{
	struct machine *m = machine_new(vm->ops);
	int code =
		m ? vmm_start_waiting(vm->host, f, m, vm->id, vm->machine, error) : nova_oom(error);
	if (code == 0)
		code = vm->ops->load(m, f->state_fd, error);
	if (code == 0 && vm->state == NOVA_VM_PAUSED)
		code = vm->ops->pause(m, error);
	if (code < 0) {
		machine_free(vm->ops, m);
		net_point_at(&vm->machine->link);
		return code;
	}
	machine_drain(vm->machine);
	struct machine *old = replace_machine(vm, m);
	bool killed = old == m;
	machine_free(vm->ops, old);
	if (killed)
		return lost(vm, error);
	vm->base = base_ref(f->base);
	return 0;
}

static int freeze_booted(nova_vm_t *vm, bool end, struct frozen *f, nova_error_t **error)
{
	int code = vm->ops->save(vm->machine, &f->state_fd, error);
	AUTO_FD int memory = code == 0 ? sys_dup(vm->machine->ram) : -1;
	if (code == 0 && memory < 0)
		code = nova_fail_os(error, memory, "memory of microVM %s", vm->id);
	if (code < 0) {
		go_on(vm, NULL);
		return code;
	}
	f->base = base_new(memory);
	if (!f->base) {
		go_on(vm, NULL);
		return nova_oom(error);
	}
	memory = -1;
	code = end ? 0 : continue_as_clone(vm, f, error);
	if (code < 0)
		/* nobody maps the base, so the old machine may go on writing to it */
		go_on(vm, NULL);
	return code;
}

/* Before its VM stands still the agent clears up after the last request, gets ready for the next
 * one, and runs the function's own hook: a clone would have to do all that. A paused VM cannot. */
static int run_hook(nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	if (!vm->function.is_there || vm->state != NOVA_VM_RUNNING)
		return 0;
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	json_t *payload = json_pack("{s:i}", "timeout_ms", (int)DEFAULT_TIMEOUT);
	int code = vm_ask_json(vm, NOVA_MSG_FREEZE, payload,
		deadline_in_ms(DEFAULT_TIMEOUT + ANSWER_GRACE), stop, &answer, error);
	if (code == 0)
		code = vm_done(&answer, error);
	return code < 0 ? nova_wrap(error, code, "the function's hook before_snapshot") : 0;
}

bool vm_is_lost(nova_vm_t *vm)
{
	return is_lost(vm, END_MOMENT_MS);
}

int vm_get_ready(nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	if (!is_lost(vm, 0))
		return run_hook(vm, stop, error);
	vm_end(vm);
	return lost(vm, error);
}

/* Once the hook has run, it is a matter of milliseconds, and is not cut short: the VM is to go on.
 */
static int freeze_locked(nova_vm_t *vm, bool end, const struct stop *stop,
	struct frozen **ret_frozen, nova_error_t **error)
{
	struct frozen *f = NULL;
	if (!vm->ops->save)
		return nova_fail(
			error, NOVA_ENOTSUP, "the engine %s takes no snapshots", vm->ops->name);
	int code = vm_get_ready(vm, stop, error);
	if (code == 0)
		code = frozen_new(vm, &f, error);
	if (code < 0)
		return code;
	uint64_t begin = clock_ns();
	code = vm->base ? freeze_clone(vm, end, f, error) : freeze_booted(vm, end, f, error);
	__atomic_store_n(&vm->stood_still_us, us_since(begin), __ATOMIC_RELAXED);
	deferred_clock_stood(vm);
	if (code == 0) {
		if (end)
			vm_end(vm);
		*ret_frozen = f;
		return 0;
	}
	frozen_unref(f);
	if (!is_lost(vm, END_MOMENT_MS))
		return code;
	vm_end(vm);
	if (error) { /* what failed because of it is of no interest */
		nova_error_free(*error);
		*error = NULL;
	}
	return lost(vm, error);
}

int vm_freeze(nova_vm_t *vm, bool end, const struct stop *stop, struct frozen **ret_frozen,
	nova_error_t **error)
{
	int code = vm_enter_alone(vm, stop, error);
	if (code < 0)
		return code;
	code = freeze_locked(vm, end, stop, ret_frozen, error);
	vm_leave_alone(vm);
	return code;
}

static int origin_locked(
	nova_vm_t *vm, const struct stop *stop, struct frozen **ret_frozen, nova_error_t **error)
{
	if (!vm->base)
		return freeze_locked(vm, false, stop, ret_frozen, error);
	if (is_lost(vm, 0))
		return lost(vm, error);
	int code = frozen_new(vm, ret_frozen, error);
	if (code == 0)
		(*ret_frozen)->base = base_ref(vm->base);
	return code;
}

int vm_origin(
	nova_vm_t *vm, const struct stop *stop, struct frozen **ret_frozen, nova_error_t **error)
{
	/* a booted VM is frozen for it, which talks to its agent */
	int code = vm_enter_alone(vm, stop, error);
	if (code < 0)
		return code;
	code = origin_locked(vm, stop, ret_frozen, error);
	vm_leave_alone(vm);
	return code;
}
