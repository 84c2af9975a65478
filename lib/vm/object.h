/* SPDX-License-Identifier: MIT */
/*
 * Private to the room: a VM as it is inside.
 *
 * Who uses a VM first takes a turn (turn.c): several calls may be inside it together, whoever
 * changes the machine is alone with it. `lock` is held for moments; it protects the turns and what
 * is under way on the channel. `end_lock` is held by whoever kills or ends the VMM, so that
 * nova_vm_kill() never waits for anything. It is taken last.
 */
#ifndef NOVA_LIB_VM_OBJECT_H
#define NOVA_LIB_VM_OBJECT_H

#include <pthread.h>

#include "base/list.h"
#include "snapshot/snapshot.h"
#include "vm/deferred.h"
#include "vm/vm.h"

/* Somebody who uses a VM, or waits to: on the stack of its thread. Protected by vm->lock. */
struct vm_call {
	struct link listed; /* in vm->calls */
	const char *id;     /* request_id; "": what the agent says unasked; NULL: not listed */
	struct sleeper woken;
	const struct stop *stop; /* what may end it; NULL: nothing */
	bool canceled;
	/* its turn */
	struct link line; /* in vm->turns.line */
	bool alone, teller, admitted;
	/* on the channel */
	const struct vm_request *request; /* NULL: it is not there yet */
	uint64_t deadline;
	struct link frames;          /* that it has not looked at yet */
	size_t pending;              /* bytes of these */
	bool answered;               /* the last one is the answer */
	struct output_pieces output; /* that have come before it */
	bool waits, waits_to_write;  /* waits: for frames that another call reads */
	bool cancel_sent;
	void *reply; /* a frame that is to be sent; NULL: none */
	size_t reply_len;
	uint64_t store_ns; /* that its questions have taken */
};

struct vm_turns {
	struct link line; /* calls, who comes first in front */
	unsigned inside;  /* calls */
	bool alone;
	bool telling; /* one of those inside tells secrets; no other does meanwhile */
};

struct nova_vm {
	int references; /* atomic */
	nova_host_t *host;
	const struct engine_ops *ops;
	char id[9];
	uint32_t boot_timeout_ms;

	pthread_mutex_t lock;
	struct vm_turns turns;
	struct link calls; /* that are under way, or wait for their turn; the latest first */
	/* who waits for bytes for all, and who is in the middle of a frame */
	struct vm_call *reader, *writer;
	int wake; /* event: wakes the reader */
	nova_decoder_t *decoder;
	char *owner;            /* of its snapshots; NULL: none */
	char snapshot[17];      /* that it went on from, or has left last; "": none */
	bool closing;           /* no call begins any more */
	bool lost;              /* no call can be answered any more, for this reason */
	int lost_code, lost_os; /* an errno, where that was the reason */
	char *lost_why;

	/* Changed by who is alone. */
	struct machine *machine;
	struct machine_config shape;
	struct vm_base *base; /* NULL: a booted VM with memory of its own */
	struct guest_function function;
	char told[SHA256_HEX]; /* with vm->lock: the digest of its secrets; "": it has none */
	char *entry;           /* see vm_entry() */
	bool from_standby;     /* its VMM had been on standby */
	enum vm_path path;
	char path_why[VM_PATH_WHY]; /* why no better one; "": there is none, or nobody asked */
	struct deferred deferred;
	/* With vm->lock: a fork of that one, which has not said a word yet; NULL: any other. */
	nova_vm_t *parent;
	bool stillborn;    /* it was lost so, before anybody's code could run */
	int children_lost; /* atomic; so many of its last forks were */
	/* It is to be a zygote: the request that it rehearses with ("": none), until when, and the
	 * input of the function's that comes next (NULL: none). */
	char rehearsal[9];
	uint64_t rehearsal_ends;
	char *sample;
	uint32_t sample_ms;
	bool program_begun, sample_begun; /* the rehearsal is of that */
	uint64_t stood_still_us;          /* atomic; at the last freeze */
	uint64_t timing_us[VM_TIMINGS];   /* atomic, once others have the VM */

	/* protects ended and killed; also held while the machine is killed */
	pthread_mutex_t end_lock;
	bool ended; /* the VMM is being, or has been, disposed of */
	/* by nova_vm_kill(): a machine that comes in its place must not live either */
	bool killed;
	int state; /* atomic; enum nova_vm_state */
};

/* --- object.c --- */

/* A VM without machine; the engine's name is checked by the caller. */
int vm_new(nova_host_t *host, const struct engine_ops *ops, const struct machine_config *shape,
	nova_vm_t **ret_vm, nova_error_t **error);
/* Alone: kills the VMM, waits for its end and releases what it had. Idempotent. */
void vm_end(nova_vm_t *vm);
/* Inside: 0 if requests can be sent, else NOVA_EBUSY or NOVA_ELOST. */
int vm_check_running(nova_vm_t *vm, nova_error_t **error);
/* As the kernel tells it at this moment. */
bool vm_process_lives(nova_vm_t *vm);

/* --- turn.c --- */

void vm_call_init(struct vm_call *call, const char *id, const struct stop *stop);
/* With vm->lock held: it is to end. */
bool vm_call_canceled(struct vm_call *call);
void vm_call_done(struct vm_call *call);
/* With vm->lock held. NOVA_EINVAL: one of that id is listed. */
int vm_call_list(nova_vm_t *vm, struct vm_call *call, nova_error_t **error);
void vm_call_unlist(struct vm_call *call);
struct vm_call *vm_call_find(nova_vm_t *vm, const char *id, size_t len);
/* Waits for a turn as a call, one of those that may be inside together. NOVA_EINVAL for an id that
 * is under way; NOVA_ECANCELED by nova_vm_cancel(), or by what may end the call; NOVA_EBUSY in a
 * fork of the process. */
int vm_enter(nova_vm_t *vm, struct vm_call *call, nova_error_t **error);
void vm_leave(nova_vm_t *vm, struct vm_call *call);
/* Waits until the calls before it are over; later ones wait for it. NOVA_ECANCELED; with `stop`
 * NULL it does not fail. Not in a fork of the process. */
int vm_enter_alone(nova_vm_t *vm, const struct stop *stop, nova_error_t **error);
/* The same; false: the deadline has passed. */
bool vm_enter_alone_by(nova_vm_t *vm, uint64_t deadline);
/* The same without a limit; false, and at once: it is awake, though calls may be inside. */
bool vm_enter_alone_to_wake(nova_vm_t *vm);
void vm_leave_alone(nova_vm_t *vm);

#endif
