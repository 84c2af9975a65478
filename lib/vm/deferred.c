/* SPDX-License-Identifier: MIT */
#include "vm/deferred.h"

#include "vm/frozen.h"
#include "vm/object.h"

/* --- a clone until its first request --- */

/* A hook after_restore may fail or take its time, which must not look like the call's doing. */
bool deferred_is_possible(const struct guest_function *function)
{
	return function->is_there && !function->has_hooks;
}

bool deferred_can_stand_still(const struct frozen *f)
{
	return deferred_is_possible(&f->function) && f->ops->load_still;
}

int deferred_load(nova_vm_t *vm, int state_fd, bool still, nova_error_t **error)
{
	struct deferred *d = &vm->deferred;
	d->stands_still = still && vm->ops->load_still;
	d->is_new = true;
	return d->stands_still ? vm->ops->load_still(vm->machine, state_fd, error) :
				 vm->ops->load(vm->machine, state_fd, error);
}

void deferred_born(nova_vm_t *vm, bool still)
{
	vm->deferred.stands_still = still;
	vm->deferred.is_new = true;
}

void deferred_wake(nova_vm_t *vm)
{
	if (vm->deferred.stands_still)
		vm->ops->resume_soon(vm->machine, NULL);
	vm->deferred.stands_still = false;
}

enum news deferred_news(const nova_vm_t *vm)
{
	if (vm->deferred.is_new)
		return NEWS_IS_CLONE;
	return vm->deferred.clock_stood && engine_has(vm->ops, NOVA_FEATURE_GUEST) ? NEWS_IS_LATE :
										     NEWS_NONE;
}

void deferred_told(nova_vm_t *vm)
{
	vm->deferred.is_new = vm->deferred.clock_stood = false;
}

void deferred_clock_stood(nova_vm_t *vm)
{
	vm->deferred.clock_stood = true;
}

/*
 * Children of one fork, of which there are more than processors. A guest works on after an answer:
 * it clears up, and gets ready for the next call, which under emulation takes more processor time
 * than a first call itself. The siblings who have not been asked yet need that time more. So who
 * has answered stands still meanwhile, and clears up at its next request.
 */

struct siblings {
	size_t references, waiting; /* atomic; waiting: for their turn */
};

void deferred_bind(nova_vm_t **vms, size_t count)
{
	struct siblings *s = calloc(1, sizeof(*s));
	if (!s)
		return;
	*s = (struct siblings){ .references = count, .waiting = count };
	for (size_t i = 0; i < count; i++)
		vms[i]->deferred.siblings = s;
}

void deferred_answered(nova_vm_t *vm)
{
	struct deferred *d = &vm->deferred;
	if (!d->siblings || d->had_turn)
		return;
	d->had_turn = true;
	if (__atomic_sub_fetch(&d->siblings->waiting, 1, __ATOMIC_ACQ_REL) == 0 || vm->lost ||
		!vm->ops->pause_soon)
		return;
	if (__atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) != NOVA_VM_RUNNING)
		return;
	d->stands_still = vm->ops->pause_soon(vm->machine, NULL) == 0;
	d->clock_stood |= d->stands_still;
}

void deferred_done(nova_vm_t *vm)
{
	struct deferred *d = &vm->deferred;
	struct siblings *s = d->siblings;
	if (!s)
		return;
	if (!d->had_turn)
		__atomic_sub_fetch(&s->waiting, 1, __ATOMIC_ACQ_REL);
	if (__atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL) == 0)
		free(s);
	d->siblings = NULL;
}
