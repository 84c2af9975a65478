/* SPDX-License-Identifier: MIT */
/* Private to the room: a queue of calls, whatever they do. */
#ifndef NOVA_LIB_PLATFORM_QUEUE_H
#define NOVA_LIB_PLATFORM_QUEUE_H

#include <stdatomic.h>

#include <nova/call.h>

#include "base/base.h"
#include "platform/groups.h"

/* What came of a call. */
struct yield {
	int code;
	nova_error_t *error;
	nova_result_t *result;
	nova_vm_t **vms;
	size_t vm_count, vms_taken;
	nova_snapshot_t *snapshot;
	nova_instance_t *instance;
};
/* Room for so many VMs. NOVA_ENOMEM. */
int yield_vms(struct yield *yield, size_t count);

/* What the calls of one kind do. */
struct call_kind {
	const char *before; /* that was cancelled before: "its function ran" */
	bool alone;         /* in its group, as struct turn says */
	/* In a thread of the queue, until it is asked to stop: the code. */
	int (*run)(nova_call_t *call, const struct stop *stop, struct yield *ret_yield);
	/* NULL, or, with the queue's lock: true if nothing of it has been done, nor will be. */
	bool (*call_off)(nova_call_t *call);
	/* What it was submitted with goes; may come more than once. */
	void (*done)(nova_call_t *call);
};

/* Each kind has a struct that begins with this one. */
struct nova_call {
	const struct call_kind *kind;
	void *userdata;
	const char *request_id; /* "": none */
	nova_vm_t *vm;          /* that it is done in, which it has a reference to; NULL: none */
	nova_queue_t *queue;
	/* one for whoever may collect or has collected it, one for the thread that performs it */
	atomic_uint references;
	atomic_int state;      /* changed under the queue's lock, as what is below */
	struct turn turn;      /* while it waits or is under way */
	struct link place;     /* under way, or among the finished */
	struct worker *worker; /* that performs it */
	bool accepted;         /* it has come into the queue */
	bool abandoned;        /* freed before it was finished: nobody collects it */
	struct yield yield;
};

/* A call of `size` bytes, zeroed behind struct nova_call; NULL: out of memory. */
void *call_new(nova_queue_t *queue, const struct call_kind *kind, size_t size);
/* Takes the call over, also when it fails; a code is passed on without doing anything more. It
 * comes in the group of its VM, or in the one with that key. */
int call_submit(nova_call_t *call, int code, const char *group, nova_call_t **ret_call,
	nova_error_t **error);
nova_t *queue_platform(const nova_queue_t *queue);
/* NOVA_ELIMIT: it has as many calls as it may. */
int queue_check_room(nova_queue_t *queue, nova_error_t **error);

#endif
