/* SPDX-License-Identifier: MIT */
/*
 * Forks of the process that a VM is (docs/hot.md).
 *
 * The VM itself stands still for one fork, however many children there are to be: the others are
 * made from the first, which stands still until it is used. Whatever is in the way, or takes too
 * long, is a reason for the usual way; only a child that is wrong counts against the host.
 */
#include "vm/hot.h"

#include "vm/channel.h"
#include "vm/frozen.h"
#include "vm/object.h"

static const struct engine_env *env_of(const nova_vm_t *vm)
{
	return host_engine_env(vm->host);
}

/* --- one child --- */

static int attach(nova_vm_t *child, nova_error_t **error)
{
	const struct machine_config *c = &child->shape;
	struct net *net = env_of(child)->net;
	struct net_link *link = &child->machine->link;
	if (!c->network)
		return 0;
	int code = net_attach(net, child->id, NULL, link, error);
	return code < 0 ? code :
			  net_limit(net, link, c->net_rx_bandwidth, c->net_tx_bandwidth, error);
}

/* All of it that can be there before anybody stands still. */
static int child_new(
	nova_vm_t *vm, const struct hot_fork *how, nova_vm_t **ret_child, nova_error_t **error)
{
	nova_vm_t *child = NULL;
	struct machine_config shape = vm->shape;
	if (how->code_disk)
		shape.code_disk = (char *)how->code_disk;
	int code = vm_new(vm->host, vm->ops, &shape, &child, error);
	if (code < 0)
		return code;
	child->path = how->waits ? VM_PATH_PARKED : VM_PATH_HOT;
	child->parent = vm_ref(vm);
	pthread_mutex_lock(&vm->lock);
	if (guest_function_copy(&child->function, &vm->function) < 0)
		code = nova_oom(error);
	pthread_mutex_unlock(&vm->lock);
	if (code == 0 && !how->waits)
		code = attach(child, error);
	if (code < 0)
		nova_vm_free(child);
	else
		*ret_child = child;
	return code;
}

static bool has_another_disk(const nova_vm_t *vm, const nova_vm_t *child)
{
	const char *own = vm->shape.code_disk, *its = child->shape.code_disk;
	return its && (!own || strcmp(its, own) != 0);
}

/* It comes up by itself; then it is paused, and not told yet who it is. */
static int fork_into(nova_vm_t *vm, bool more, nova_vm_t *child, nova_error_t **error)
{
	const struct machine_fork how = {
		.more = more,
		.fertile = true,
		.waits = child->path == VM_PATH_PARKED,
		.patience_ms = (uint32_t)config_ms(host_config(vm->host), "pool.hot_patience"),
		.code_disk = has_another_disk(vm, child) ? child->shape.code_disk : NULL,
	};
	child->base = base_ref(vm->base);
	vm_snapshot_of(vm, child->snapshot);
	return vm->ops->fork(vm->machine, &how, child->machine, error);
}

static int await_birth(nova_vm_t *child, nova_error_t **error)
{
	return child->ops->await(child->machine, error);
}

/* --- the parent, alone --- */

/* The file behind a booted VM's memory becomes what it has in common with its children. */
static int own_base(nova_vm_t *vm, nova_error_t **error)
{
	if (vm->base)
		return 0;
	AUTO_FD int memory = sys_dup(vm->machine->ram);
	if (memory < 0)
		return nova_fail_os(error, memory, "memory of microVM %s", vm->id);
	struct vm_base *base = base_new(memory);
	if (!base)
		return nova_oom(error);
	memory = -1;
	int code = vm->ops->detach(vm->machine, error);
	if (code < 0) {
		base_unref(base);
		/* Unless it was refused it may have been done, or be done yet: then the file is not
		 * its memory any more, and nothing could be made of it. */
		if (code != NOVA_ENOTSUP && code != NOVA_EBUSY)
			nova_vm_kill(vm);
		return code;
	}
	vm->base = base;
	fd_close(vm->machine->ram);
	vm->machine->ram = -1;
	return 0;
}

/* Nothing is done meanwhile that can be done before or after. */
static int fork_standing(
	nova_vm_t *vm, const struct stop *stop, nova_vm_t *child, nova_error_t **error)
{
	uint64_t begin = clock_ns();
	int code = vm->ops->pause(vm->machine, error);
	if (code == 0)
		code = own_base(vm, error);
	if (code == 0)
		code = stop_check(stop, "the microVM was forked", error);
	if (code == 0)
		/* a paused one has nothing to do before the next fork */
		code = fork_into(vm, vm->state == NOVA_VM_PAUSED, child, error);
	int resumed = vm->state == NOVA_VM_RUNNING ?
			      vm->ops->resume(vm->machine, code == 0 ? error : NULL) :
			      0;
	__atomic_store_n(&vm->stood_still_us, us_since(begin), __ATOMIC_RELAXED);
	deferred_clock_stood(vm);
	return code < 0 ? code : resumed;
}

static int fork_first(nova_vm_t *vm, const struct hot_fork *how, const struct stop *stop,
	nova_vm_t **ret_child, nova_error_t **error)
{
	nova_vm_t *child = NULL;
	int code = child_new(vm, how, &child, error);
	if (code == 0)
		code = fork_standing(vm, stop, child, error);
	if (code < 0)
		nova_vm_free(child);
	else
		*ret_child = child;
	return code;
}

/* --- the children --- */

/* From the first. Each is made while the one before it comes up. */
static int fork_rest(
	nova_vm_t **children, size_t count, const struct stop *stop, nova_error_t **error)
{
	const struct hot_fork same = { .count = 1 };
	int code = await_birth(children[0], error);
	for (size_t i = 1; i < count && code == 0; i++) {
		code = stop_check(stop, "all children were made", error);
		if (code == 0)
			code = child_new(children[0], &same, &children[i], error);
		if (code == 0)
			code = fork_into(children[0], i + 1 < count, children[i], error);
		if (code == 0 && i > 1)
			code = await_birth(children[i - 1], error);
	}
	return code == 0 && count > 1 ? await_birth(children[count - 1], error) : code;
}

static int introduce(nova_vm_t *vm, nova_error_t **error)
{
	int code = vm->ops->resume(vm->machine, error);
	return code < 0 ? code : vm_introduce_send(vm, error);
}

/* Who has nothing to do before its first request stands still until then. */
static int wake(nova_vm_t **children, const struct hot_fork *how, const struct stop *stop,
	nova_error_t **error)
{
	size_t ahead = sys_processors(), sent = 0, count = how->count;
	int code = 0;
	bool still = how->for_init || deferred_is_possible(&children[0]->function);
	for (size_t i = 0; i < count; i++)
		deferred_born(children[i], still);
	if (still && count > ahead)
		deferred_bind(children, count);
	for (size_t i = 0; i < count && !still && code == 0; i++) {
		while (code == 0 && sent < count && sent <= i + ahead)
			code = introduce(children[sent++], error);
		if (code == 0)
			code = vm_introduce_await(children[i],
				deadline_in_ms(children[i]->boot_timeout_ms), stop, error);
	}
	return code;
}

static void free_all(nova_vm_t **children, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		nova_vm_free(children[i]);
		children[i] = NULL;
	}
}

/* --- the whole --- */

static bool concerns_caller(int code)
{
	return code == NOVA_ECANCELED || code == NOVA_ENOMEM;
}

/* A child that ends with its parent has not failed: their keeper is dead, or somebody has killed
 * them. */
static bool is_to_blame(nova_vm_t *vm, int code)
{
	if (code != NOVA_ELOST)
		return code == NOVA_EENGINE || code == NOVA_EAGENT;
	return !vm_is_lost(vm->parent ? vm->parent : vm);
}

/* 0, and why. */
static int usual_way(nova_vm_t *vm, int code, const nova_error_t *failure, char *why)
{
	const char *text = nova_error_message(failure);
	snprintf(why, VM_PATH_WHY, "%s", text);
	if (is_to_blame(vm, code))
		vm->ops->fork_strike(env_of(vm), text);
	log_info(host_log(vm->host), "vm", "%s is not forked as a process: %s", vm->id, text);
	return 0;
}

static int fork_once(nova_vm_t *vm, const struct hot_fork *how, const struct stop *stop,
	nova_vm_t **ret_child, nova_error_t **ret_failure, nova_error_t **error)
{
	int code = vm_get_ready(vm, stop, error);
	if (code < 0)
		return code;
	code = fork_first(vm, how, stop, ret_child, ret_failure);
	if (code < 0 && vm_is_lost(vm)) {
		vm_end(vm);
		return nova_fail(error, NOVA_ELOST, "microVM %s is dead", vm->id);
	}
	return code < 0 ? 0 : 1;
}

/* 1; 0, and in *ret_failure why not. */
static int fork_alone(nova_vm_t *vm, const struct hot_fork *how, const struct stop *stop,
	nova_vm_t **ret_child, nova_error_t **ret_failure, nova_error_t **error)
{
	int code = vm_enter_alone(vm, stop, error);
	if (code < 0)
		return code;
	code = fork_once(vm, how, stop, ret_child, ret_failure, error);
	vm_leave_alone(vm);
	return code;
}

/* 1, or as usual_way(). */
static int outcome(nova_vm_t *vm, int code, nova_error_t **failure, char why[VM_PATH_WHY],
	nova_error_t **error)
{
	if (code == 0)
		return 1;
	if (!concerns_caller(code))
		return usual_way(vm, code, *failure, why);
	if (error)
		*error = STEAL(*failure);
	return code;
}

static bool is_possible(const nova_vm_t *vm, char why[VM_PATH_WHY])
{
	const char *obstacle = vm->ops->fork ? vm->ops->fork_obstacle(env_of(vm), false) :
					       "the engine cannot fork a process";
	if (obstacle)
		snprintf(why, VM_PATH_WHY, "%s", obstacle);
	return !obstacle;
}

int vm_fork_hot(nova_vm_t *vm, const struct hot_fork *how, const struct stop *stop,
	nova_vm_t **children, char why[VM_PATH_WHY], nova_error_t **error)
{
	size_t count = how->count;
	AUTO_ERROR nova_error_t *failure = NULL;
	for (size_t i = 0; i < count; i++)
		children[i] = NULL;
	if (!is_possible(vm, why))
		return 0;
	uint64_t begin = clock_ns();
	int code = fork_alone(vm, how, stop, &children[0], &failure, error);
	if (code < 0)
		return code;
	int done =
		code == 1 ? fork_rest(children, count, stop, &failure) : nova_error_code(failure);
	if (done == 0)
		done = wake(children, how, stop, &failure);
	for (size_t i = 0; done == 0 && i < count; i++)
		children[i]->timing_us[NOVA_TIMING_START] = us_since(begin);
	if (done < 0)
		free_all(children, count);
	return outcome(vm, done, &failure, why, error);
}

int vm_fork_ahead(nova_vm_t *vm, const struct stop *stop, nova_vm_t **ret_child,
	char why[VM_PATH_WHY], nova_error_t **error)
{
	const struct hot_fork how = { .count = 1, .waits = true };
	AUTO_ERROR nova_error_t *failure = NULL;
	if (!is_possible(vm, why))
		return 0;
	int code = fork_alone(vm, &how, stop, ret_child, &failure, error);
	return code < 0 ?
		       code :
		       outcome(vm, code == 1 ? 0 : nova_error_code(failure), &failure, why, error);
}

int vm_child_born(
	nova_vm_t *child, const struct stop *stop, char why[VM_PATH_WHY], nova_error_t **error)
{
	const struct hot_fork how = { .count = 1 };
	AUTO_ERROR nova_error_t *failure = NULL;
	uint64_t begin = clock_ns();
	int code = attach(child, &failure);
	if (code == 0)
		code = child->ops->birth(child->machine, &failure);
	if (code == 0)
		code = wake(&child, &how, stop, &failure);
	child->timing_us[NOVA_TIMING_START] = us_since(begin);
	return outcome(child, code, &failure, why, error);
}
