/* SPDX-License-Identifier: MIT */
/*
 * Talking to the agent. Several calls may be under way in one VM: each frame goes to the call whose
 * id it bears. There is no thread for that: of the callers that wait one reads for all, and when it
 * has its own answer, or is busy with output, the next one does.
 *
 * All is done with vm->lock held, except waiting, parsing, and what callers do with output.
 */
#include <errno.h>

#include "vm/channel.h"

/* a long output, once it begins to come, has so long at least, ms */
#define OUTPUT_TIME   30000u
#define STORE_TIME_NS 30000000000u /* of one call, for all that it asks */

/* --- what a call sends while it is under way --- */

/* The agent ends the call, which is then answered. */
static int send_cancel(nova_vm_t *vm, struct vm_call *call, nova_error_t **error)
{
	uint64_t patience = deadline_in_ms(CANCEL_GRACE);
	AUTO_FREE char *text = str_format("{\"request_id\":\"%s\"}", call->id);
	AUTO_FREE void *frame = NULL;
	size_t len;
	int code =
		text ? nova_frame_encode(NOVA_MSG_CANCEL, text, strlen(text), &frame, &len, error) :
		       nova_oom(error);
	call->cancel_sent = true;
	if (patience < call->deadline)
		call->deadline = patience;
	if (code == 0)
		code = channel_begin_frame(vm, call, call->deadline, error);
	if (code < 0)
		return code;
	code = channel_write(vm, call, frame, len, call->deadline, error);
	channel_end_frame(vm);
	return code;
}

/* A frame that cannot be sent at all ends the command, whose streams nobody would pass on. */
static int write_flow(
	nova_vm_t *vm, struct vm_call *call, const void *frame, size_t len, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *own = NULL;
	int code = channel_write(vm, call, frame, len, call->deadline, &own);
	if (code < 0 && !vm->lost) {
		flow_fail(call->request->flow, -nova_error_os(own),
			"nothing can be sent to the command");
		return 0;
	}
	if (code < 0 && error)
		*error = STEAL(own);
	return code;
}

/* What a command's streams have to send. A piece that a cancelled call cannot send any more is
 * dropped: the cancel comes next. */
static int send_flow(nova_vm_t *vm, struct vm_call *call, nova_error_t **error)
{
	AUTO_FREE void *frame = NULL;
	AUTO_ERROR nova_error_t *dropped = NULL;
	struct vm_flow *flow = call->request->flow;
	size_t len;
	int code = 0;
	pthread_mutex_unlock(&vm->lock);
	bool is_made = flow_next(flow, call->id, &frame, &len);
	pthread_mutex_lock(&vm->lock);
	if (is_made && channel_begin_frame(vm, call, call->deadline, &dropped) == 0) {
		code = write_flow(vm, call, frame, len, error);
		channel_end_frame(vm);
	}
	call->canceled |= flow->os != 0;
	return code;
}

/* What the function has asked for. The frame goes, or the call fails; that of a call that was
 * cancelled is dropped, as the cancel comes next. */
static int send_reply(nova_vm_t *vm, struct vm_call *call, nova_error_t **error)
{
	AUTO_FREE void *frame = STEAL(call->reply);
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = channel_begin_frame(vm, call, call->deadline, &failure);
	if (code == NOVA_ECANCELED && !vm->lost)
		return 0;
	if (code < 0) {
		if (error)
			*error = STEAL(failure);
		return code;
	}
	code = channel_write(vm, call, frame, call->reply_len, call->deadline, error);
	channel_end_frame(vm);
	return code;
}

/* --- what it is sent --- */

/* A piece of output: bytes that are no text come in base64. */
static int pass_output(
	const struct vm_request *request, struct guest_message *said, nova_error_t **error)
{
	struct json_span bytes = said->data.at ? said->data : said->base64;
	bool coded = bytes.at && bytes.at == said->base64.at;
	ssize_t len =
		coded ? base64_decode(bytes.at, bytes.len, (char *)bytes.at) : (ssize_t)bytes.len;
	if (!bytes.at || len < 0 || said->stream < 1)
		return nova_fail(error, NOVA_EAGENT, "what the guest sends as output is none");
	request->on_output(request->userdata, (int)said->stream, bytes.at, (size_t)len);
	if (request->flow)
		request->flow->taken += (size_t)len;
	return 0;
}

static int take_piece(struct vm_call *call, struct guest_message *said, nova_error_t **error)
{
	if (!call->request->has_output)
		return nova_fail(error, NOVA_EAGENT, "the guest sends an output for what has none");
	return output_pieces_add(&call->output, said, error);
}

/* The reply bears the numbers of the question, and is sent when the lock is held again. */
static int answer_kv(struct vm_call *call, struct guest_message *said, nova_error_t **error)
{
	const struct vm_request *request = call->request;
	AUTO_BUF struct buf frame = PROTO_FRAME_BUF, reply = BUF_INIT(PROTO_KV_MAX);
	char number[40];
	if (!said->ask.at || said->number < 0 || said->ask.len > PROTO_KV_MAX)
		return nova_fail(error, NOVA_EAGENT, "what the guest asks for is nothing it may");
	int r = request->on_kv(request->kv_userdata, (char *)said->ask.at, said->ask.len, &reply);
	snprintf(number, sizeof(number), "\",\"number\":%lld,\"reply\":", (long long)said->number);
	if (r == 0)
		r = proto_frame_begin(&frame, NOVA_MSG_KV_REPLY);
	if (r == 0)
		r = buf_append_str(&frame, "{\"request_id\":\"");
	if (r == 0)
		r = buf_append_str(&frame, request->id);
	if (r == 0)
		r = buf_append_str(&frame, number);
	if (r == 0)
		r = buf_append(&frame, reply.data, reply.len);
	if (r == 0)
		r = buf_append(&frame, "}", 1);
	if (r == 0)
		r = proto_frame_end(&frame);
	if (r < 0)
		return nova_oom(error);
	call->reply_len = frame.len;
	call->reply = STEAL(frame.data);
	return 0;
}

/* 1: the answer; 0: something else. Takes the frame over. Without the lock: others can be served
 * meanwhile. */
static int open_frame(struct vm_call *call, struct proto_frame *frame, struct vm_answer *answer,
	nova_error_t **error)
{
	AUTO_FREE struct proto_frame *owned = frame;
	const struct vm_request *request = call->request;
	struct guest_message said;
	int code = guest_message_read(frame->payload, frame->payload_len, &said, error);
	if (code < 0)
		return code;
	if (frame->type == NOVA_MSG_STREAM && request->on_output)
		return pass_output(request, &said, error);
	if (frame->type == NOVA_MSG_OUTPUT)
		return take_piece(call, &said, error);
	if (frame->type == NOVA_MSG_CREDIT)
		return flow_take_credit(request->flow, &said, error);
	if (frame->type == NOVA_MSG_KV && request->on_kv)
		return answer_kv(call, &said, error);
	code = output_pieces_end(&call->output, &said, error);
	if (code < 0)
		return code;
	*answer = (struct vm_answer){ said, STEAL(owned), STEAL(call->output.text.data) };
	return 1;
}

/* The function has ended in its time; what it gave takes its own to get here. */
static void give_time(struct vm_call *call)
{
	uint64_t end = deadline_in_ms(OUTPUT_TIME);
	if (end > call->deadline && !call->canceled)
		call->deadline = end;
}

/* Nor does a function whose store is slow; but questions without end do not put the deadline off
 * for ever. */
static void give_store_time(struct vm_call *call, uint64_t ns)
{
	uint64_t left = STORE_TIME_NS - call->store_ns;
	ns = ns < left ? ns : left;
	call->store_ns += ns;
	if (call->deadline != NEVER)
		call->deadline += ns;
}

static int take_frame(
	nova_vm_t *vm, struct vm_call *call, struct vm_answer *answer, nova_error_t **error)
{
	struct proto_frame *frame = CONTAINER_OF(list_pop(&call->frames), struct proto_frame, link);
	call->pending -= sizeof(*frame) + frame->size;
	bool begun = call->output.size;
	uint64_t since = clock_ns();
	channel_pass_on_reading(vm);
	pthread_mutex_unlock(&vm->lock);
	int code = open_frame(call, frame, answer, error);
	pthread_mutex_lock(&vm->lock);
	/* Nobody has looked at the channel meanwhile: who takes output slowly does not lose the VM.
	 */
	if (call->request->flow && call->deadline != NEVER)
		call->deadline += clock_ns() - since;
	if (call->reply)
		give_store_time(call, clock_ns() - since);
	if (!begun && call->output.size)
		give_time(call);
	if (code < 0 && code != NOVA_ENOMEM) {
		channel_lose(vm, NOVA_ELOST,
			str_format(
				"microVM %s was ended, because its agent could not be understood",
				vm->id));
		nova_wrap(error, code, "microVM %s", vm->id);
	}
	return code == 0 && call->reply ? send_reply(vm, call, error) : code;
}

/* What runs no code is not ended in the guest: its answer will be passed over. */
static int give_up(const nova_vm_t *vm, nova_error_t **error)
{
	return nova_fail(error, NOVA_ECANCELED,
		"the call was cancelled while microVM %s was working on it, which it may still be",
		vm->id);
}

/* 1: the answer is there; 0: not yet. Output without end does not put the deadline off. */
static int go_on(
	nova_vm_t *vm, struct vm_call *call, struct vm_answer *answer, nova_error_t **error)
{
	bool cancel = vm_call_canceled(call) && !call->cancel_sent;
	/* whoever asks without end is cancelled all the same */
	bool waits = cancel && call->request->on_kv && !call->answered && !vm->lost;
	if (!list_empty(&call->frames) && !waits &&
		(call->answered || !deadline_passed(call->deadline)))
		return take_frame(vm, call, answer, error);
	if (vm->lost)
		return channel_lost(vm, error);
	if (cancel)
		return call->request->can_cancel ? send_cancel(vm, call, error) :
						   give_up(vm, error);
	if (deadline_passed(call->deadline))
		return channel_silent(vm, call, error);
	if (call->request->flow && !call->cancel_sent && flow_is_due(call->request->flow))
		return send_flow(vm, call, error);
	if (!vm->reader)
		channel_read(vm, call, call->deadline, 0);
	else
		channel_wait_for_frame(vm, call);
	return 0;
}

int channel_await(
	nova_vm_t *vm, struct vm_call *call, struct vm_answer *answer, nova_error_t **error)
{
	int code = 0;
	while (code == 0)
		code = go_on(vm, call, answer, error);
	channel_pass_on_reading(vm);
	if (code > 0)
		return 0;
	return call->request->runs_code ? nova_set_outcome(error, code, NOVA_OUTCOME_UNKNOWN) :
					  code;
}
