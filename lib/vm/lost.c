/* SPDX-License-Identifier: MIT */
/* The end of a channel: no call can be answered any more. All with vm->lock held. */
#include <errno.h>

#include "vm/channel.h"

/* Everybody who waits is told. The VMM is killed at once, the rest is for who leaves last, or is
 * alone. `why` is taken over. */
static void lose_as(nova_vm_t *vm, int code, int os, char *why)
{
	if (vm->lost) {
		free(why);
		return;
	}
	vm->lost = true;
	vm->lost_code = code;
	vm->lost_os = os;
	vm->lost_why = why;
	__atomic_store_n(&vm->state, NOVA_VM_DEAD, __ATOMIC_RELEASE);
	pthread_mutex_lock(&vm->end_lock);
	if (!vm->ended)
		vm->ops->kill(vm->machine);
	pthread_mutex_unlock(&vm->end_lock);
	for (struct link *l = vm->calls.next; l != &vm->calls; l = l->next)
		sleeper_wake(&CONTAINER_OF(l, struct vm_call, listed)->woken);
	if (vm->reader)
		sys_event_raise(vm->wake);
}

void channel_lose(nova_vm_t *vm, int code, char *why)
{
	lose_as(vm, code, 0, why);
}

/* The host could not go on with it; the VMM has done nothing wrong. */
void channel_lose_os(nova_vm_t *vm, int os, const char *doing)
{
	lose_as(vm, nova_code_of_errno(os), os,
		str_format("microVM %s was ended: %s failed", vm->id, doing));
}

bool channel_is_closed(ssize_t r)
{
	return r == 0 || r == -EPIPE || r == -ECONNRESET;
}

void channel_lose_ended(nova_vm_t *vm)
{
	AUTO_FREE char *words = vm->lost ? NULL : machine_last_words(vm->machine, 300);
	channel_lose(vm, NOVA_ELOST,
		str_format("microVM %s has ended; its last words: %s", vm->id, words ? words : ""));
}

int channel_lost(nova_vm_t *vm, nova_error_t **error)
{
	if (!vm->lost_why)
		return nova_oom(error);
	return vm->lost_os ? nova_fail_os(error, vm->lost_os, "%s", vm->lost_why) :
			     nova_fail(error, vm->lost_code, "%s", vm->lost_why);
}

/* This call has no answer in time; the others lose their VM to that. */
int channel_silent(nova_vm_t *vm, const struct vm_call *call, nova_error_t **error)
{
	if (vm->lost)
		return channel_lost(vm, error);
	AUTO_FREE char *words = machine_last_words(vm->machine, 300);
	channel_lose(vm, NOVA_ELOST,
		str_format("microVM %s was ended, because its agent did not answer another call in "
			   "time",
			vm->id));
	if (call->canceled)
		return nova_fail(error, NOVA_ECANCELED,
			"the call was cancelled; as the agent in microVM %s did not answer, the "
			"microVM was ended",
			vm->id);
	return nova_fail(error, NOVA_EAGENT,
		"the agent in microVM %s did not answer in time; last words of the guest: %s",
		vm->id, words ? words : "");
}
