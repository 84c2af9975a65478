/* SPDX-License-Identifier: MIT */
/*
 * Children of one fork, of which there are more than processors. A guest works on after an answer:
 * it clears up, and gets ready for the next call, which under emulation takes more processor time
 * than a first call itself. The siblings who have not been asked yet need that time more. So who
 * has answered stands still meanwhile, and clears up at its next request.
 */
#include "vm/vm.h"

struct siblings {
	size_t references, waiting; /* atomic; waiting: for their turn */
};

void siblings_bind(nova_vm_t **vms, size_t count)
{
	struct siblings *s = calloc(1, sizeof(*s));
	if (!s)
		return;
	*s = (struct siblings){ count, count };
	for (size_t i = 0; i < count; i++)
		vms[i]->siblings = s;
}

void siblings_had_turn(nova_vm_t *vm)
{
	if (!vm->siblings || vm->had_turn)
		return;
	vm->had_turn = true;
	if (__atomic_sub_fetch(&vm->siblings->waiting, 1, __ATOMIC_ACQ_REL) == 0 || vm->lost ||
		!vm->ops->pause_soon)
		return;
	if (__atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) != NOVA_VM_RUNNING)
		return;
	vm->rests = vm->ops->pause_soon(vm->machine, NULL) == 0;
	vm->clock_stood |= vm->rests;
}

void siblings_leave(nova_vm_t *vm)
{
	struct siblings *s = vm->siblings;
	if (!s)
		return;
	if (!vm->had_turn)
		__atomic_sub_fetch(&s->waiting, 1, __ATOMIC_ACQ_REL);
	if (__atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL) == 0)
		free(s);
	vm->siblings = NULL;
}
