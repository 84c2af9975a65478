/* SPDX-License-Identifier: MIT */
/* Frames go out whole, one after the other. With vm->lock held, except while it waits. */
#include <errno.h>
#include <sys/socket.h>

#include "vm/channel.h"

#define WRITE_SLICE_MS 20u /* who waits to write looks that often whether it should read */

/* Frames go out whole, one after the other. */
int channel_begin_frame(
	nova_vm_t *vm, struct vm_call *call, uint64_t deadline, nova_error_t **error)
{
	while (vm->writer && !vm->lost && !(vm_call_canceled(call) && !call->cancel_sent)) {
		if (deadline_passed(deadline))
			return channel_silent(vm, call, error);
		call->waits_to_write = true;
		channel_wait(vm, call, deadline);
		call->waits_to_write = false;
	}
	if (vm->lost)
		return channel_lost(vm, error);
	if (vm_call_canceled(call) && !call->cancel_sent)
		return nova_fail(error, NOVA_ECANCELED,
			"the call was cancelled before it began in microVM %s", vm->id);
	vm->writer = call;
	return 0;
}

void channel_end_frame(nova_vm_t *vm)
{
	vm->writer = NULL;
	for (struct link *l = vm->calls.next; l != &vm->calls; l = l->next) {
		struct vm_call *call = CONTAINER_OF(l, struct vm_call, listed);
		if (call->waits_to_write)
			sleeper_wake(&call->woken);
	}
}

static void wait_to_write(nova_vm_t *vm, struct vm_call *call, uint64_t deadline)
{
	uint64_t slice = deadline_in_ms(WRITE_SLICE_MS);
	if (!vm->reader) {
		/* the agent may have to get rid of something first */
		channel_read(vm, call, deadline, POLLOUT);
		channel_pass_on_reading(vm);
		return;
	}
	struct pollfd p = { vm->machine->channel, POLLOUT, 0 };
	pthread_mutex_unlock(&vm->lock);
	sys_poll(&p, 1, deadline_poll_ms(slice < deadline ? slice : deadline));
	pthread_mutex_lock(&vm->lock);
}

/* Sending 6 MiB to an agent that is stuck must not outlast the deadline, so the socket never blocks
 * us. */
int channel_write(nova_vm_t *vm, struct vm_call *call, const void *frame, size_t len,
	uint64_t deadline, nova_error_t **error)
{
	const uint8_t *at = frame;
	/* of a call that is cancelled meanwhile: its frame has to go out whole, as long as somebody
	 * reads it */
	uint64_t patience = NEVER;
	while (len) {
		ssize_t put =
			vm->lost ? -EPIPE : sys_send(vm->machine->channel, at, len, MSG_DONTWAIT);
		if (put == -EAGAIN) {
			if (vm_call_canceled(call) && patience == NEVER)
				patience = deadline_in_ms(CANCEL_GRACE);
			uint64_t end = patience < deadline ? patience : deadline;
			if (deadline_passed(end))
				return channel_silent(vm, call, error);
			wait_to_write(vm, call, end);
			continue;
		}
		if (put < 0 && !channel_is_closed(put) && at == (const uint8_t *)frame)
			return nova_fail_os(error, (int)put,
				"nothing could be sent to the agent in microVM %s", vm->id);
		if (put < 0) {
			if (channel_is_closed(put))
				channel_lose_ended(vm);
			else
				channel_lose_os(vm, (int)put,
					"sending to its agent"); /* half a frame cannot be taken
								    back */
			return channel_lost(vm, error);
		}
		at += put;
		len -= (size_t)put;
		patience = NEVER;
	}
	return 0;
}
