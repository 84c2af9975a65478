/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is in a VM. Calls may be inside together, as many as its concurrency allows;
 * whatever changes the machine is alone. All of them wait in one line, in the order they came:
 * nobody is overtaken for ever, and one that leaves wakes only those who can go on.
 */
#include "vm/deferred.h"
#include "vm/object.h"

void vm_call_init(struct vm_call *call, const char *id, const struct stop *stop)
{
	*call = (struct vm_call){ .id = id, .stop = stop };
	list_init(&call->frames);
	sleeper_init(&call->woken);
}

bool vm_call_canceled(struct vm_call *call)
{
	call->canceled |= stop_asked(call->stop);
	return call->canceled;
}

void vm_call_done(struct vm_call *call)
{
	for (struct link *gone; (gone = list_pop(&call->frames));)
		free(CONTAINER_OF(gone, struct proto_frame, link));
	output_pieces_free(&call->output);
	sleeper_done(&call->woken);
}

struct vm_call *vm_call_find(nova_vm_t *vm, const char *id, size_t len)
{
	for (struct link *l = vm->calls.next; l != &vm->calls; l = l->next) {
		struct vm_call *call = CONTAINER_OF(l, struct vm_call, listed);
		if (!strncmp(call->id, id, len) && !call->id[len])
			return call;
	}
	return NULL;
}

int vm_call_list(nova_vm_t *vm, struct vm_call *call, nova_error_t **error)
{
	if (vm_call_find(vm, call->id, strlen(call->id)))
		return nova_fail(error, NOVA_EINVAL,
			"a call with the request id '%s' is under way in microVM %s: each needs "
			"its own",
			call->id, vm->id);
	link_after(&vm->calls, &call->listed);
	return 0;
}

void vm_call_unlist(struct vm_call *call)
{
	link_remove(&call->listed);
}

/* --- the line: all with vm->lock held --- */

static bool there_is_room(const nova_vm_t *vm, const struct vm_call *call)
{
	const struct vm_turns *t = &vm->turns;
	return !t->alone && !(call->teller && t->telling) &&
	       (call->alone ? t->inside == 0 : t->inside < vm->function.concurrency);
}

/* Lets in those at the front, as far as there is room. */
static void admit(nova_vm_t *vm)
{
	struct vm_turns *t = &vm->turns;
	for (struct link *first; (first = list_first(&t->line));) {
		struct vm_call *next = CONTAINER_OF(first, struct vm_call, line);
		if (!there_is_room(vm, next))
			return;
		link_remove(first);
		t->alone = next->alone;
		t->telling |= next->teller;
		t->inside += !next->alone;
		next->admitted = true;
		sleeper_wake(&next->woken);
	}
}

static void give_up(nova_vm_t *vm, struct vm_call *call)
{
	link_remove(&call->line);
	admit(vm); /* it may have been the one at the front that held the others up */
}

/* False: it has been cancelled, or the deadline has passed. */
static bool wait_in_line(nova_vm_t *vm, struct vm_call *call, uint64_t deadline)
{
	struct vm_turns *t = &vm->turns;
	list_append(&t->line, &call->line);
	admit(vm);
	while (!call->admitted && !vm_call_canceled(call) && !deadline_passed(deadline))
		sleeper_wait(&call->woken, &vm->lock, deadline, call->stop);
	if (!call->admitted)
		give_up(vm, call);
	return call->admitted;
}

/* --- coming and going --- */

static int canceled(const nova_vm_t *vm, nova_error_t **error)
{
	return nova_fail(error, NOVA_ECANCELED,
		"the call was cancelled before it began in microVM %s", vm->id);
}

int vm_enter(nova_vm_t *vm, struct vm_call *call, nova_error_t **error)
{
	int code = host_check_process(vm->host, error);
	if (code < 0)
		return code;
	pthread_mutex_lock(&vm->lock);
	if (vm->closing)
		code = nova_fail(error, NOVA_ELOST, "microVM %s has been stopped", vm->id);
	else if (call->id)
		code = vm_call_list(vm, call, error);
	if (code == 0) {
		if (vm_call_canceled(call) || !wait_in_line(vm, call, NEVER)) {
			code = canceled(vm, error);
			if (call->id)
				vm_call_unlist(call);
		}
	}
	pthread_mutex_unlock(&vm->lock);
	return code;
}

void vm_leave(nova_vm_t *vm, struct vm_call *call)
{
	struct vm_turns *t = &vm->turns;
	pthread_mutex_lock(&vm->lock);
	if (call->id)
		vm_call_unlist(call);
	if (call->teller)
		t->telling = false;
	/* The last one out of a VM that is lost disposes of it: as long as somebody is inside, its
	 * descriptors are in use. */
	bool dispose = --t->inside == 0 && vm->lost;
	if (dispose) {
		t->alone = true;
		pthread_mutex_unlock(&vm->lock);
		vm_end(vm);
		pthread_mutex_lock(&vm->lock);
		t->alone = false;
	} else if (t->inside == 0) {
		deferred_answered(vm);
	}
	admit(vm);
	pthread_mutex_unlock(&vm->lock);
}

static bool enter_alone(nova_vm_t *vm, const struct stop *stop, uint64_t deadline)
{
	struct vm_call call;
	vm_call_init(&call, NULL, stop);
	call.alone = true;
	pthread_mutex_lock(&vm->lock);
	bool alone = wait_in_line(vm, &call, deadline);
	pthread_mutex_unlock(&vm->lock);
	vm_call_done(&call);
	return alone;
}

int vm_enter_alone(nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	return enter_alone(vm, stop, NEVER) ? 0 : canceled(vm, error);
}

bool vm_enter_alone_by(nova_vm_t *vm, uint64_t deadline)
{
	return enter_alone(vm, NULL, deadline);
}

/* Looked at and lined up for at once: behind the first call that it serves one would wait for
 * that. */
bool vm_enter_alone_to_wake(nova_vm_t *vm)
{
	struct vm_call call;
	vm_call_init(&call, NULL, NULL);
	call.alone = true;
	pthread_mutex_lock(&vm->lock);
	bool alone = !vm_seems_running(vm) && wait_in_line(vm, &call, NEVER);
	pthread_mutex_unlock(&vm->lock);
	vm_call_done(&call);
	return alone;
}

void vm_close(nova_vm_t *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->closing = true;
	pthread_mutex_unlock(&vm->lock);
}

void vm_leave_alone(nova_vm_t *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->turns.alone = false;
	admit(vm);
	pthread_mutex_unlock(&vm->lock);
}
