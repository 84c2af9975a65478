/* SPDX-License-Identifier: MIT */
/* A VM as an object: made, looked at, ended, freed. */
#include "vm/deferred.h"
#include "vm/frozen.h"
#include "vm/object.h"

/* --- the end --- */

/* A fork that was lost before anybody's code could run in it counts against its parent and the
 * host. */
static void blame_parent(nova_vm_t *vm)
{
	if (vm->parent)
		__atomic_add_fetch(&vm->parent->children_lost, 1, __ATOMIC_RELAXED);
	vm->ops->fork_strike(host_engine_env(vm->host), vm->lost_why ? vm->lost_why : "it ended");
}

unsigned vm_children_lost(const nova_vm_t *vm)
{
	return (unsigned)__atomic_load_n(&vm->children_lost, __ATOMIC_RELAXED);
}

void vm_end(nova_vm_t *vm)
{
	pthread_mutex_lock(&vm->end_lock);
	bool first = !vm->ended;
	vm->ended = true;
	pthread_mutex_unlock(&vm->end_lock);
	if (!first)
		return;
	__atomic_store_n(&vm->state, NOVA_VM_DEAD, __ATOMIC_RELEASE);
	machine_done(vm->ops, vm->machine);
	if (vm->stillborn)
		blame_parent(vm);
	log_debug(host_log(vm->host), "vm", "%s has ended", vm->id);
}

void nova_vm_kill(nova_vm_t *vm)
{
	if (!vm || host_check_process(vm->host, NULL) < 0)
		return;
	pthread_mutex_lock(&vm->end_lock);
	vm->killed = true;
	if (!vm->ended)
		vm->ops->kill(vm->machine);
	pthread_mutex_unlock(&vm->end_lock);
}

nova_vm_t *vm_ref(nova_vm_t *vm)
{
	__atomic_add_fetch(&vm->references, 1, __ATOMIC_RELAXED);
	return vm;
}

void vm_unref(nova_vm_t *vm)
{
	if (!vm || __atomic_sub_fetch(&vm->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	machine_free(vm->ops, vm->machine);
	vm_unref(vm->parent);
	deferred_done(vm);
	nova_decoder_free(vm->decoder);
	fd_close(vm->wake);
	free(vm->owner);
	free(vm->lost_why);
	guest_function_done(&vm->function);
	free(vm->entry);
	free(vm->sample);
	base_unref(vm->base);
	machine_config_done(&vm->shape);
	pthread_mutex_destroy(&vm->lock);
	pthread_mutex_destroy(&vm->end_lock);
	nova_host_unref(vm->host);
	free(vm);
}

/* --- the beginning --- */

int vm_new(nova_host_t *host, const struct engine_ops *ops, const struct machine_config *shape,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_t *vm = calloc(1, sizeof(*vm));
	if (!vm)
		return nova_oom(error);
	vm->references = 1;
	vm->function = (struct guest_function)GUEST_FUNCTION_NONE;
	list_init(&vm->turns.line);
	list_init(&vm->calls);
	vm->wake = sys_event();
	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->end_lock, NULL);
	vm->host = nova_host_ref(host);
	vm->ops = ops;
	vm->state = NOVA_VM_RUNNING;
	vm->machine = machine_new(ops);
	vm->boot_timeout_ms = (uint32_t)config_ms(host_config(host), ops->boot_timeout_key);
	int code = vm->machine && random_hex(vm->id, 8) == 0 &&
				   machine_config_copy(&vm->shape, shape) == 0 ?
			   0 :
			   nova_oom(error);
	if (code == 0 && vm->wake < 0)
		code = nova_fail_os(error, vm->wake, "event of microVM %s", vm->id);
	if (code == 0)
		code = nova_decoder_new(0, &vm->decoder, error);
	if (code < 0)
		vm_unref(vm);
	else
		*ret_vm = vm;
	return code;
}

/* --- looking --- */

bool vm_process_lives(nova_vm_t *vm)
{
	pthread_mutex_lock(&vm->end_lock);
	bool lives = !vm->ended && !machine_ended(vm->ops, vm->machine, 0);
	pthread_mutex_unlock(&vm->end_lock);
	return lives;
}

bool vm_seems_running(const nova_vm_t *vm)
{
	return __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) == NOVA_VM_RUNNING;
}

int nova_vm_state(nova_vm_t *vm)
{
	if (!vm)
		return NOVA_VM_DEAD;
	int code = host_check_process(vm->host, NULL);
	if (code < 0)
		return code;
	return vm_process_lives(vm) ? __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) : NOVA_VM_DEAD;
}

int vm_check_running(nova_vm_t *vm, nova_error_t **error)
{
	if (vm->ended)
		return nova_fail(error, NOVA_ELOST, "microVM %s is dead", vm->id);
	if (__atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) == NOVA_VM_PAUSED)
		return nova_fail(
			error, NOVA_EBUSY, "microVM %s is paused: resume it first", vm->id);
	return 0;
}

void vm_snapshot_of(nova_vm_t *vm, char ret_id[17])
{
	pthread_mutex_lock(&vm->lock);
	memcpy(ret_id, vm->snapshot, sizeof(vm->snapshot));
	pthread_mutex_unlock(&vm->lock);
}

const struct engine_ops *vm_ops(const nova_vm_t *vm)
{
	return vm->ops;
}

int vm_check_process(const nova_vm_t *vm, nova_error_t **error)
{
	return host_check_process(vm->host, error);
}

const char *vm_draws(const nova_vm_t *vm)
{
	return vm->function.draws;
}

const char *vm_entry(const nova_vm_t *vm)
{
	return vm->entry;
}

uint32_t vm_concurrency(nova_vm_t *vm)
{
	pthread_mutex_lock(&vm->lock);
	uint32_t concurrency = vm->function.concurrency;
	pthread_mutex_unlock(&vm->lock);
	return concurrency;
}

uint64_t vm_timing_us(const nova_vm_t *vm, int timing)
{
	return __atomic_load_n(&vm->timing_us[timing], __ATOMIC_RELAXED);
}

void vm_add_init_us(nova_vm_t *vm, uint64_t us)
{
	__atomic_fetch_add(&vm->timing_us[NOVA_TIMING_INIT], us, __ATOMIC_RELAXED);
}

bool vm_is_clone(const nova_vm_t *vm)
{
	return vm->base;
}

bool vm_goes_on(const nova_vm_t *vm)
{
	return vm->base && !vm->function.has_hooks;
}

bool vm_from_standby(const nova_vm_t *vm)
{
	return vm->from_standby;
}

enum vm_path vm_path(const nova_vm_t *vm)
{
	return vm->path;
}

const char *nova_vm_path(const nova_vm_t *vm)
{
	return vm ? vm_path_name(vm->path) : "";
}

const char *nova_vm_path_why(const nova_vm_t *vm)
{
	return vm ? vm->path_why : "";
}

const char *nova_vm_id(const nova_vm_t *vm)
{
	return vm ? vm->id : "";
}

const char *nova_vm_engine(const nova_vm_t *vm)
{
	return vm ? vm->ops->name : "";
}

int64_t nova_vm_pid(const nova_vm_t *vm)
{
	nova_vm_t *locked = (nova_vm_t *)vm; /* the lock is no part of what the caller sees */
	if (!vm || host_check_process(vm->host, NULL) < 0)
		return 0;
	pthread_mutex_lock(&locked->end_lock);
	int64_t pid = vm->ended || !vm->ops->pid ? 0 : vm->ops->pid(vm->machine);
	pthread_mutex_unlock(&locked->end_lock);
	return pid;
}
