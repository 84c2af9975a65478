/* SPDX-License-Identifier: MIT */
/* Of the callers that wait one reads for all. With vm->lock held, except while it waits. */
#include <errno.h>
#include <sys/socket.h>

#include "vm/channel.h"

/* Bytes of frames that a call has not looked at: an agent sends no more than 2 MiB of what is
 * printed, one answer, and an output in base64. */
#define PENDING_MAX ((24u << 20) + PROTO_OUTPUT_JSON_MAX / 2 * 3)

/* The member request_id, which agents write first, and without escapes; "" if there is none. False:
 * it is no text. */
static bool find_id(const struct proto_frame *frame, struct json_span *ret)
{
	static const char first[] = "{\"request_id\":\"";
	const char *text = frame->payload;
	struct json_walk walk;
	struct json_span key, value;
	if (frame->payload_len > sizeof(first) && !memcmp(text, first, sizeof(first) - 1)) {
		/* it has been checked that the string ends */
		const char *from = text + sizeof(first) - 1;
		*ret = (struct json_span){ from,
			(size_t)((const char *)memchr(from, '"', frame->payload_len) - from) };
		return true;
	}
	*ret = (struct json_span){ "", 0 };
	if (json_walk_start(&walk, text, frame->payload_len, PROTO_DEPTH - 1))
		while (json_walk_next(&walk, &key, &value) > 0)
			if (json_is(key, "request_id")) {
				*ret = (struct json_span){ value.at + 1,
					value.len > 1 ? value.len - 2 : 0 };
				return *value.at == '"';
			}
	return true;
}

static bool is_wanted(const struct vm_call *call, int type)
{
	if (!call || !call->request || call->answered)
		return false;
	return !*call->id || type == NOVA_MSG_RESP || type == NOVA_MSG_OUTPUT ||
	       type == NOVA_MSG_CREDIT || (type == NOVA_MSG_STREAM && call->request->on_output) ||
	       (type == NOVA_MSG_KV && call->request->on_kv);
}

/* Puts it where its call will find it, and takes it over. What nobody waits for is passed over. */
static void route(nova_vm_t *vm, struct proto_frame *frame)
{
	AUTO_FREE struct proto_frame *owned = frame;
	struct json_span id;
	if (!find_id(frame, &id)) {
		channel_lose(vm, NOVA_EAGENT,
			str_format("microVM %s was ended: its agent answers nobody, for "
				   "\"request_id\" is no text",
				vm->id));
		return;
	}
	struct vm_call *call = vm_call_find(vm, id.at, id.len);
	if (!is_wanted(call, frame->type))
		return;
	call->pending += sizeof(*frame) + frame->size;
	if (call->pending > PENDING_MAX) {
		channel_lose(vm, NOVA_EAGENT,
			str_format("microVM %s was ended: its agent sent more output than one may",
				vm->id));
		return;
	}
	list_append(&call->frames, &STEAL(owned)->link);
	call->answered = frame->type == NOVA_MSG_RESP || !*call->id;
	if (call->waits)
		sleeper_wake(&call->woken);
}

/* A child that speaks has come up. */
static void note_heard(nova_vm_t *vm)
{
	nova_vm_t *parent = STEAL(vm->parent);
	if (parent)
		__atomic_store_n(&parent->children_lost, 0, __ATOMIC_RELAXED);
	vm_unref(parent);
}

/* Takes what has come. False: that was less than there may be. */
static bool take_bytes(nova_vm_t *vm)
{
	uint8_t block[16384];
	AUTO_ERROR nova_error_t *error = NULL;
	struct proto_frame *frame;
	int got_frame = 0;
	ssize_t got = sys_recv(vm->machine->channel, block, sizeof(block), MSG_DONTWAIT);
	if (got == -EAGAIN)
		return false;
	if (got <= 0) {
		if (channel_is_closed(got))
			channel_lose_ended(vm);
		else
			channel_lose_os(vm, (int)got, "reading from its agent");
		return false;
	}
	note_heard(vm);
	int code = nova_decoder_feed(vm->decoder, block, (size_t)got, &error);
	while (code == 0 && !vm->lost &&
		(got_frame = proto_decoder_take(vm->decoder, &frame, &error)) > 0)
		route(vm, frame);
	if (nova_error_os(error))
		channel_lose_os(vm, nova_error_os(error), "taking what its agent sent");
	else if (code < 0 || got_frame < 0)
		channel_lose(vm, code < 0 ? code : got_frame, strdup(nova_error_message(error)));
	return got == (ssize_t)sizeof(block) && !vm->lost;
}

/* Where a command's stdin is to be waited for; -1: nowhere. */
static int stdin_of(const struct vm_call *call)
{
	bool flows = call->request && call->request->flow && !call->cancel_sent;
	return flows ? flow_wants(call->request->flow) : -1;
}

/* Waits for bytes, takes console output along, and hands out the frames. `more`: what else to wait
 * for on the channel. */
void channel_read(nova_vm_t *vm, struct vm_call *call, uint64_t deadline, short more)
{
	struct machine *m = vm->machine;
	struct pollfd fds[] = {
		{ m->channel, (short)(POLLIN | more), 0 },
		{ m->serial, POLLIN, 0 },
		{ m->diag, POLLIN, 0 },
		{ vm->wake, POLLIN, 0 },
		{ more ? -1 : stdin_of(call), POLLIN, 0 },
	};
	vm->reader = call;
	/* by now it is known */
	const struct stop *stop = vm_call_canceled(call) ? NULL : call->stop;
	pthread_mutex_unlock(&vm->lock);
	int n = stop_poll(stop, fds, ARRAY_LEN(fds), deadline_poll_ms(deadline));
	pthread_mutex_lock(&vm->lock);
	vm->reader = NULL;
	if (n < 0) {
		channel_lose_os(vm, n, "waiting for its agent");
		return;
	}
	if (fds[1].revents || fds[2].revents)
		machine_drain(m);
	if (fds[3].revents)
		sys_event_clear(vm->wake);
	if (fds[4].revents)
		call->request->flow->ready = true;
	if (fds[0].revents & ~POLLOUT)
		for (int i = 0; i < 64 && take_bytes(vm); i++)
			;
}

/* Whoever waits for somebody to read does it now. */
void channel_pass_on_reading(nova_vm_t *vm)
{
	if (vm->reader)
		return;
	for (struct link *l = vm->calls.next; l != &vm->calls; l = l->next) {
		struct vm_call *call = CONTAINER_OF(l, struct vm_call, listed);
		if (call->waits) {
			sleeper_wake(&call->woken);
			return;
		}
	}
}

void channel_wait(nova_vm_t *vm, struct vm_call *call, uint64_t deadline)
{
	sleeper_wait(&call->woken, &vm->lock, deadline, call->canceled ? NULL : call->stop);
}

void channel_wait_for_frame(nova_vm_t *vm, struct vm_call *call)
{
	call->waits = true;
	if (sleeper_wait_readable(&call->woken, &vm->lock, call->deadline,
		    call->canceled ? NULL : call->stop, stdin_of(call)))
		call->request->flow->ready = true;
	call->waits = false;
}
