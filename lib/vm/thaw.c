/* SPDX-License-Identifier: MIT */
/*
 * Going on from an instant. It is done in steps, so that several VMs can take each of them side by
 * side: the VMM comes up by itself after the first, the guest after the second.
 */
#include "vm/channel.h"
#include "vm/deferred.h"
#include "vm/frozen.h"
#include "vm/object.h"
#include "vm/standby.h"

static int thaw_start(nova_host_t *host, struct frozen *frozen, bool use_standby,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_t *vm = NULL;
	int code = vm_new(host, frozen->ops, &frozen->shape, &vm, error);
	if (code < 0)
		return code;
	struct machine *waiting = use_standby ? standby_take(host, frozen) : NULL;
	if (waiting) {
		machine_free(vm->ops, vm->machine);
		vm->machine = waiting;
		/* by which its VMM and its TAP are called */
		memcpy(vm->id, waiting->id, sizeof(vm->id));
		vm->from_standby = true;
	} else {
		code = vmm_start_waiting(host, frozen, vm->machine, vm->id, NULL, error);
	}
	vm->base = base_ref(frozen->base);
	memcpy(vm->snapshot, frozen->snapshot, sizeof(vm->snapshot));
	if (code == 0 && guest_function_copy(&vm->function, &frozen->function) < 0)
		code = nova_oom(error);
	if (code < 0)
		nova_vm_free(vm);
	else
		*ret_vm = vm;
	return code;
}

static int load(nova_vm_t *vm, const struct frozen *f, bool still, nova_error_t **error)
{
	uint64_t begin = clock_ns();
	int code = vm->ops->await ? vm->ops->await(vm->machine, error) : 0;
	vm->timing_us[NOVA_TIMING_START] = us_since(begin);
	if (code == 0)
		code = vm->ops->give_pages(vm->machine, &f->pages, error);
	if (code == 0)
		code = deferred_load(vm, f->state_fd, still, error);
	return code;
}

/* A VMM on standby that fails now says nothing about the instant: a new VMM takes its place. */
static int thaw_load(struct frozen *f, bool still, nova_vm_t **vm, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	if (!(*vm)->from_standby)
		return load(*vm, f, still, error);
	if (load(*vm, f, still, &failure) == 0)
		return 0;
	log_info(host_log((*vm)->host), "vm", "a VMM on standby was of no use: %s",
		nova_error_message(failure));
	nova_vm_t *other = NULL;
	int code = thaw_start((*vm)->host, f, false, &other, error);
	if (code < 0)
		return code;
	nova_vm_free(*vm);
	*vm = other;
	return load(other, f, still, error);
}

static int thaw_finish(nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	return vm_introduce_await(vm, deadline_in_ms(vm->boot_timeout_ms), stop, error);
}

static int thaw(nova_host_t *host, struct frozen *frozen, bool for_call, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_t *vm;
	uint64_t begin = clock_ns();
	int code = thaw_start(host, frozen, true, &vm, error);
	if (code < 0)
		return code;
	uint64_t started_us = us_since(begin);
	code = stop_check(stop, "the microVM was started", error);
	if (code == 0)
		code = thaw_load(frozen, for_call, &vm, error);
	vm->timing_us[NOVA_TIMING_START] += started_us;
	if (code == 0 && !for_call)
		code = vm_introduce_send(vm, error);
	if (code == 0 && !for_call)
		code = thaw_finish(vm, stop, error);
	vm->timing_us[NOVA_TIMING_BOOT] = us_since(begin) - vm->timing_us[NOVA_TIMING_START];
	if (code < 0)
		nova_vm_free(vm);
	else
		*ret_vm = vm;
	return code;
}

int vm_thaw(nova_host_t *host, struct frozen *frozen, const struct stop *stop, nova_vm_t **ret_vm,
	nova_error_t **error)
{
	return thaw(host, frozen, false, stop, ret_vm, error);
}

int vm_thaw_for_call(nova_host_t *host, struct frozen *frozen, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	bool for_init = !frozen->function.is_there;
	return thaw(host, frozen, for_init || deferred_is_possible(&frozen->function), stop, ret_vm,
		error);
}

/* Of children that are made side by side: those that have got as far as each of the steps. */
struct batch {
	struct frozen *frozen;
	nova_vm_t **vms;
	size_t started, loaded, finished;
	uint64_t begin;
};

static int batch_load(struct batch *b, bool still, nova_error_t **error)
{
	nova_vm_t **vm = &b->vms[b->loaded];
	int code = thaw_load(b->frozen, still, vm, error);
	(*vm)->timing_us[NOVA_TIMING_START] = us_since(b->begin);
	if (code == 0 && !still)
		code = vm_introduce_send(*vm, error);
	b->loaded += code == 0;
	return code;
}

static int batch_finish(struct batch *b, bool still, const struct stop *stop, nova_error_t **error)
{
	nova_vm_t *vm = b->vms[b->finished];
	int code = still ? 0 : thaw_finish(vm, stop, error);
	vm->timing_us[NOVA_TIMING_BOOT] = us_since(b->begin) - vm->timing_us[NOVA_TIMING_START];
	b->finished += code == 0;
	return code;
}

/* More VMMs that come up, or guests that are greeted, than there are processors would only be in
 * each other's way: a guest that gets little of a processor has all of it eaten by its timer, and a
 * hundred such never end. */
int vm_thaw_many(nova_host_t *host, struct frozen *frozen, size_t count, const struct stop *stop,
	nova_vm_t **ret_vms, nova_error_t **error)
{
	struct batch b = { .frozen = frozen, .vms = ret_vms, .begin = clock_ns() };
	size_t ahead = sys_processors();
	bool still = deferred_can_stand_still(frozen);
	int code = 0;
	while (code == 0 && b.finished < count) {
		if (b.started < count && b.started <= b.loaded + ahead) {
			code = thaw_start(host, frozen, true, &ret_vms[b.started], error);
			b.started += code == 0;
		} else if (b.loaded < b.started && b.loaded < b.finished + ahead) {
			code = batch_load(&b, still, error);
		} else {
			code = batch_finish(&b, still, stop, error);
		}
		if (code == 0)
			code = stop_check(stop, "all children were made", error);
	}
	for (size_t i = 0; code < 0 && i < b.started; i++)
		nova_vm_free(ret_vms[i]);
	if (code == 0 && still && count > ahead)
		deferred_bind(ret_vms, count);
	return code;
}
