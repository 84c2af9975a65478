/* SPDX-License-Identifier: MIT */
/* Private to the room: talking to the agent, from the bytes up to a request and its answer. */
#ifndef NOVA_LIB_VM_CHANNEL_H
#define NOVA_LIB_VM_CHANNEL_H

#include "vm/object.h"

#define VM_CALLS_MOST 16u /* at once in one VM: as many as an agent takes */
/* the agent enforces the time limit; this long after it, it is taken for dead, ms */
#define ANSWER_GRACE 5000u
/* an agent that has not ended a cancelled call after this time is taken for dead, ms */
#define CANCEL_GRACE 1000u

/* --- flow.c: the streams of a command that come and go while it runs. Of the thread of its call */

struct vm_flow {
	int fd;            /* where its stdin comes from; -1: it has none */
	bool ready, ended; /* something can be read there; the end has been sent */
	int os;            /* -errno: why it cannot go on; 0: it can */
	const char *what;  /* cannot be done then */
	size_t on_its_way; /* bytes of stdin for which no credit has come yet */
	size_t taken;      /* bytes of output for which none has been given yet */
};
/* Where more of its stdin is to be waited for; -1: nowhere, now. */
int flow_wants(const struct vm_flow *flow);
/* It has something to send. */
bool flow_is_due(const struct vm_flow *flow);
/* The frame of that: 1; 0: there is none after all. Sets `os` when its stdin cannot be read, or
 * there is no memory. */
int flow_next(struct vm_flow *flow, const char *id, void **ret_frame, size_t *ret_len);
/* NOVA_EAGENT: more than was sent. */
int flow_take_credit(struct vm_flow *flow, const struct guest_message *said, nova_error_t **error);
void flow_fail(struct vm_flow *flow, int os, const char *what);
/* What `os` says, which has ended the call with `code`, whatever that says of itself. */
int flow_failure(const struct vm_flow *flow, int code, nova_error_t **error);

struct vm_request {
	const char *id; /* request_id in the frame */
	const void *frame;
	size_t frame_len;
	bool runs_code;  /* lost answers have the outcome "unknown" */
	bool can_cancel; /* in the guest */
	bool has_output; /* an Exec: its output may come in pieces */
	bool may_carry;  /* an Exec or Init, into whose frame goes what tells a clone who it is */
	nova_output_fn on_output;
	void *userdata;
	vm_kv_fn on_kv; /* NULL: it may not ask */
	void *kv_userdata;
	struct vm_flow *flow; /* NULL: its streams do not flow */
	uint64_t deadline;
	const struct stop *stop; /* what may end the waiting for its answer; NULL: nothing */
};

/* --- lost.c: the end of a channel. With vm->lock held --- */

/* Everybody who waits is told. The VMM is killed at once, the rest is for who leaves last, or is
 * alone. `why` is taken over. */
void channel_lose(nova_vm_t *vm, int code, char *why);
/* The host could not go on with it; the VMM has done nothing wrong. */
void channel_lose_os(nova_vm_t *vm, int os, const char *doing);
void channel_lose_ended(nova_vm_t *vm);
/* What sending and receiving say of a channel that the other side has closed. */
bool channel_is_closed(ssize_t r);
/* The failure of a call in a VM that is lost; the second: which has no answer in time, and loses
 * the VM to the others. */
int channel_lost(nova_vm_t *vm, nova_error_t **error);
int channel_silent(nova_vm_t *vm, const struct vm_call *call, nova_error_t **error);

/* --- read.c, with vm->lock held --- */

/* Waits for bytes, takes console output along, and hands out the frames. `more`: what else to wait
 * for on the channel. For when nobody else is at it. */
void channel_read(nova_vm_t *vm, struct vm_call *call, uint64_t deadline, short more);
/* Whoever waits for somebody to read does it now. */
void channel_pass_on_reading(nova_vm_t *vm);
/* While another call reads. */
void channel_wait_for_frame(nova_vm_t *vm, struct vm_call *call);
/* Until somebody wakes it. */
void channel_wait(nova_vm_t *vm, struct vm_call *call, uint64_t deadline);

/* --- write.c, with vm->lock held --- */

/* Waits until no other call is in the middle of a frame. */
int channel_begin_frame(
	nova_vm_t *vm, struct vm_call *call, uint64_t deadline, nova_error_t **error);
int channel_write(nova_vm_t *vm, struct vm_call *call, const void *frame, size_t len,
	uint64_t deadline, nova_error_t **error);
void channel_end_frame(nova_vm_t *vm);

/* --- channel.c, with vm->lock held --- */

/* Until its answer is there, with what its streams have to send meanwhile. */
int channel_await(
	nova_vm_t *vm, struct vm_call *call, struct vm_answer *answer, nova_error_t **error);

/* --- identity.c --- */

#define NEWS_ID "nova:resume" /* no caller's request id has a colon */
/* As a request (its frame is freed by the caller), and as a member of an Exec, with a comma (NULL:
 * out of memory). */
int news_message(
	nova_vm_t *vm, enum news kind, struct vm_request *ret_request, nova_error_t **error);
char *news_member(nova_vm_t *vm, enum news kind);

/* --- request.c: a request, its Resp. Inside, or alone; the first five also before others know of
 * the VM --- */

/* The two halves of an introduction, for several VMs at once. */
int vm_send(nova_vm_t *vm, const struct vm_request *request, nova_error_t **error);
int vm_await(nova_vm_t *vm, const struct vm_request *request, struct vm_answer *ret_answer,
	nova_error_t **error);
/* Tells a guest that has just come to life who it is: entropy, clock, names. First half and second
 * half. */
int vm_introduce_send(nova_vm_t *vm, nova_error_t **error);
int vm_introduce_await(
	nova_vm_t *vm, uint64_t deadline, const struct stop *stop, nova_error_t **error);
/* Waits for Ready. */
int vm_await_ready(nova_vm_t *vm, uint64_t deadline, const struct stop *stop, nova_error_t **error);
/* 0, also if the Resp reports a failure; otherwise the VM is lost, as nothing that comes later
 * could be trusted, except after NOVA_ECANCELED, NOVA_ENOMEM or NOVA_EINVAL. `call` has been let
 * in. */
int vm_ask_as(nova_vm_t *vm, struct vm_call *call, const struct vm_request *request,
	struct vm_answer *ret_answer, nova_error_t **error);
/* For who is alone, or has a call inside that has no id: builds the frame around `payload` (stolen;
 * request_id is added) and asks. */
int vm_ask_json(nova_vm_t *vm, int type, json_t *payload, uint64_t deadline,
	const struct stop *stop, struct vm_answer *ret_answer, nova_error_t **error);
/* The same with what `how` has besides id and frame. */
int vm_ask_json_as(nova_vm_t *vm, int type, json_t *payload, const struct vm_request *how,
	struct vm_answer *ret_answer, nova_error_t **error);

/* --- result.c --- */

/* The failure that a Resp with a `code` reports, or 0. */
int vm_refusal(const struct vm_answer *answer, nova_error_t **error);
/* The same, or NOVA_EAGENT if it does not say that it is done. Not for results, which have no
 * status. */
int vm_done(const struct vm_answer *answer, nova_error_t **error);
/* From the answer to Exec or Command, whose frame it takes. NOVA_EAGENT: it is no result. */
int result_from_answer(struct vm_answer *answer, const char *request_id, const char *vm_id,
	nova_result_t **ret_result, nova_error_t **error);

#endif
