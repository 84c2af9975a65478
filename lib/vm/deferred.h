/* SPDX-License-Identifier: MIT */
/*
 * What is put off until the next request of a VM, which pays for it as far as it must: going on,
 * being told who it is, being told the time.
 *
 * Most of it is there for crowds of clones under emulation, where processor time is what is short.
 * All that knows of it goes through these functions.
 */
#ifndef NOVA_LIB_VM_DEFERRED_H
#define NOVA_LIB_VM_DEFERRED_H

#include "vm/vm.h"

struct siblings;
struct guest_function;

/* In a VM. For who writes, or is alone. */
struct deferred {
	struct siblings *siblings; /* made by the same fork; NULL: it need not care */
	bool had_turn;             /* one request has been through since it was forked */
	bool stands_still;         /* its processors may, though it is not paused */
	bool is_new;               /* a clone that has not been told who it is */
	bool clock_stood;          /* it has been paused, so the guest's clock is late */
};

/* What a guest is told before its request. */
enum news { NEWS_NONE, NEWS_IS_CLONE, NEWS_IS_LATE };

/* A clone whose first request tells it who it is has nothing to do before that; the second: so it
 * may stand still until then. */
bool deferred_is_possible(const struct guest_function *function);
bool deferred_can_stand_still(const struct frozen *frozen);
/* Loads the state; with `still` the processors stand still where the engine can do that. The guest
 * has to be told who it is then. */
int deferred_load(nova_vm_t *vm, int state_fd, bool still, nova_error_t **error);
/* The same for a child of a fork of the process, which is paused. */
void deferred_born(nova_vm_t *vm, bool still);
/* Makes the processors go on for a request. That they cannot shows on the channel. */
void deferred_wake(nova_vm_t *vm);
enum news deferred_news(const nova_vm_t *vm);
void deferred_told(nova_vm_t *vm);
void deferred_clock_stood(nova_vm_t *vm);

/* Children of one fork, none of which has been asked yet. Without memory for it they do not care
 * for each other. */
void deferred_bind(nova_vm_t **vms, size_t count);
/* A request has been through: as long as others have not had their turn, the VM stands still until
 * its next one. With its lock held and nobody inside. */
void deferred_answered(nova_vm_t *vm);
/* The VM is no more. */
void deferred_done(nova_vm_t *vm);

#endif
