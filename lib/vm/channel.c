/* SPDX-License-Identifier: MIT */
/*
 * Talking to the agent. Several calls may be under way in one VM: each frame goes to the call whose
 * id it bears. There is no thread for that: of the callers that wait one reads for all, and when it
 * has its own answer, or is busy with output, the next one does.
 *
 * All is done with vm->lock held, except waiting, parsing, and what callers do with output.
 */
#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#include "vm/vm.h"

#define WRITE_SLICE_MS 20u /* who waits to write looks that often whether it should read */
/* Bytes of frames that a call has not looked at: an agent sends no more than 2 MiB of what is
 * printed, one answer, and an output in base64. */
#define PENDING_MAX ((24u << 20) + PROTO_OUTPUT_JSON_MAX / 2 * 3)
/* a long output, once it begins to come, has so long at least, ms */
#define OUTPUT_TIME 30000u
/* an agent that has not ended a cancelled call after this time is taken for dead, ms */
#define CANCEL_GRACE 1000u

/* --- the end of a channel --- */

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
		process_kill(&vm->machine->process);
	pthread_mutex_unlock(&vm->end_lock);
	for (struct vm_call *call = vm->calls; call; call = call->next)
		sleeper_wake(&call->woken);
	if (vm->reader)
		sys_event_raise(vm->wake);
}

static void lose(nova_vm_t *vm, int code, char *why)
{
	lose_as(vm, code, 0, why);
}

/* The host could not go on with it; the VMM has done nothing wrong. */
static void lose_os(nova_vm_t *vm, int os, const char *doing)
{
	lose_as(vm, nova_code_of_errno(os), os,
		str_format("microVM %s was ended: %s failed", vm->id, doing));
}

static bool is_closed(ssize_t r)
{
	return r == 0 || r == -EPIPE || r == -ECONNRESET;
}

static void lose_ended(nova_vm_t *vm)
{
	AUTO_FREE char *words = vm->lost ? NULL : machine_last_words(vm->machine, 300);
	lose(vm, NOVA_ELOST,
		str_format("microVM %s has ended; its last words: %s", vm->id, words ? words : ""));
}

static int lost(nova_vm_t *vm, nova_error_t **error)
{
	if (!vm->lost_why)
		return nova_oom(error);
	return vm->lost_os ? nova_fail_os(error, vm->lost_os, "%s", vm->lost_why) :
			     nova_fail(error, vm->lost_code, "%s", vm->lost_why);
}

/* This call has no answer in time; the others lose their VM to that. */
static int silent(nova_vm_t *vm, const struct vm_call *call, nova_error_t **error)
{
	if (vm->lost)
		return lost(vm, error);
	AUTO_FREE char *words = machine_last_words(vm->machine, 300);
	lose(vm, NOVA_ELOST,
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

/* --- reading --- */

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
	       type == NOVA_MSG_CREDIT || (type == NOVA_MSG_STREAM && call->request->on_output);
}

/* Puts it where its call will find it, and takes it over. What nobody waits for is passed over. */
static void route(nova_vm_t *vm, struct proto_frame *frame)
{
	AUTO_FREE struct proto_frame *owned = frame;
	struct json_span id;
	if (!find_id(frame, &id)) {
		lose(vm, NOVA_EAGENT,
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
		lose(vm, NOVA_EAGENT,
			str_format("microVM %s was ended: its agent sent more output than one may",
				vm->id));
		return;
	}
	*call->last = STEAL(owned);
	call->last = &frame->next;
	call->answered = frame->type == NOVA_MSG_RESP || !*call->id;
	if (call->waits)
		sleeper_wake(&call->woken);
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
		if (is_closed(got))
			lose_ended(vm);
		else
			lose_os(vm, (int)got, "reading from its agent");
		return false;
	}
	int code = nova_decoder_feed(vm->decoder, block, (size_t)got, &error);
	while (code == 0 && !vm->lost &&
		(got_frame = proto_decoder_take(vm->decoder, &frame, &error)) > 0)
		route(vm, frame);
	if (nova_error_os(error))
		lose_os(vm, nova_error_os(error), "taking what its agent sent");
	else if (code < 0 || got_frame < 0)
		lose(vm, code < 0 ? code : got_frame, strdup(nova_error_message(error)));
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
static void read_for_all(nova_vm_t *vm, struct vm_call *call, uint64_t deadline, short more)
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
		lose_os(vm, n, "waiting for its agent");
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
static void pass_on_reading(nova_vm_t *vm)
{
	if (vm->reader)
		return;
	for (struct vm_call *call = vm->calls; call; call = call->next)
		if (call->waits) {
			sleeper_wake(&call->woken);
			return;
		}
}

static void wait_until(nova_vm_t *vm, struct vm_call *call, uint64_t deadline)
{
	sleeper_wait(&call->woken, &vm->lock, deadline, call->canceled ? NULL : call->stop);
}

/* --- writing --- */

/* Frames go out whole, one after the other. */
static int take_pen(nova_vm_t *vm, struct vm_call *call, uint64_t deadline, nova_error_t **error)
{
	while (vm->writer && !vm->lost && !(vm_call_canceled(call) && !call->cancel_sent)) {
		if (deadline_passed(deadline))
			return silent(vm, call, error);
		call->wants_pen = true;
		wait_until(vm, call, deadline);
		call->wants_pen = false;
	}
	if (vm->lost)
		return lost(vm, error);
	if (vm_call_canceled(call) && !call->cancel_sent)
		return nova_fail(error, NOVA_ECANCELED,
			"the call was cancelled before it began in microVM %s", vm->id);
	vm->writer = call;
	return 0;
}

static void give_pen(nova_vm_t *vm)
{
	vm->writer = NULL;
	for (struct vm_call *call = vm->calls; call; call = call->next)
		if (call->wants_pen)
			sleeper_wake(&call->woken);
}

static void wait_to_write(nova_vm_t *vm, struct vm_call *call, uint64_t deadline)
{
	uint64_t slice = deadline_in_ms(WRITE_SLICE_MS);
	if (!vm->reader) {
		/* the agent may have to get rid of something first */
		read_for_all(vm, call, deadline, POLLOUT);
		pass_on_reading(vm);
		return;
	}
	struct pollfd p = { vm->machine->channel, POLLOUT, 0 };
	pthread_mutex_unlock(&vm->lock);
	sys_poll(&p, 1, deadline_poll_ms(slice < deadline ? slice : deadline));
	pthread_mutex_lock(&vm->lock);
}

/* Sending 6 MiB to an agent that is stuck must not outlast the deadline, so the socket never blocks
 * us. */
static int write_frame(nova_vm_t *vm, struct vm_call *call, const void *frame, size_t len,
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
				return silent(vm, call, error);
			wait_to_write(vm, call, end);
			continue;
		}
		if (put < 0 && !is_closed(put) && at == (const uint8_t *)frame)
			return nova_fail_os(error, (int)put,
				"nothing could be sent to the agent in microVM %s", vm->id);
		if (put < 0) {
			if (is_closed(put))
				lose_ended(vm);
			else
				lose_os(vm, (int)put,
					"sending to its agent"); /* half a frame cannot be taken
								    back */
			return lost(vm, error);
		}
		at += put;
		len -= (size_t)put;
		patience = NEVER;
	}
	return 0;
}

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
		code = take_pen(vm, call, call->deadline, error);
	if (code < 0)
		return code;
	code = write_frame(vm, call, frame, len, call->deadline, error);
	give_pen(vm);
	return code;
}

/* A frame that cannot be sent at all ends the command, whose streams nobody would pass on. */
static int write_flow(
	nova_vm_t *vm, struct vm_call *call, const void *frame, size_t len, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *own = NULL;
	int code = write_frame(vm, call, frame, len, call->deadline, &own);
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
	if (is_made && take_pen(vm, call, call->deadline, &dropped) == 0) {
		code = write_flow(vm, call, frame, len, error);
		give_pen(vm);
	}
	call->canceled |= flow->os != 0;
	return code;
}

/* --- a call --- */

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

static int take_frame(
	nova_vm_t *vm, struct vm_call *call, struct vm_answer *answer, nova_error_t **error)
{
	struct proto_frame *frame = call->first;
	call->first = frame->next;
	if (!call->first)
		call->last = &call->first;
	call->pending -= sizeof(*frame) + frame->size;
	bool begun = call->output.size;
	uint64_t since = clock_ns();
	pass_on_reading(vm);
	pthread_mutex_unlock(&vm->lock);
	int code = open_frame(call, frame, answer, error);
	pthread_mutex_lock(&vm->lock);
	/* Nobody has looked at the channel meanwhile: who takes output slowly does not lose the VM.
	 */
	if (call->request->flow && call->deadline != NEVER)
		call->deadline += clock_ns() - since;
	if (!begun && call->output.size)
		give_time(call);
	if (code < 0 && code != NOVA_ENOMEM) {
		lose(vm, NOVA_ELOST,
			str_format(
				"microVM %s was ended, because its agent could not be understood",
				vm->id));
		nova_wrap(error, code, "microVM %s", vm->id);
	}
	return code;
}

/* What runs no code is not ended in the guest: its answer will be passed over. */
static int give_up(const nova_vm_t *vm, nova_error_t **error)
{
	return nova_fail(error, NOVA_ECANCELED,
		"the call was cancelled while microVM %s was working on it, which it may still be",
		vm->id);
}

static void wait_for_frame(nova_vm_t *vm, struct vm_call *call)
{
	call->waits = true;
	if (sleeper_wait_readable(&call->woken, &vm->lock, call->deadline,
		    call->canceled ? NULL : call->stop, stdin_of(call)))
		call->request->flow->ready = true;
	call->waits = false;
}

/* 1: the answer is there; 0: not yet. Output without end does not put the deadline off. */
static int go_on(
	nova_vm_t *vm, struct vm_call *call, struct vm_answer *answer, nova_error_t **error)
{
	if (call->first && (call->answered || !deadline_passed(call->deadline)))
		return take_frame(vm, call, answer, error);
	if (vm->lost)
		return lost(vm, error);
	if (vm_call_canceled(call) && !call->cancel_sent)
		return call->request->runs_code ? send_cancel(vm, call, error) : give_up(vm, error);
	if (deadline_passed(call->deadline))
		return silent(vm, call, error);
	if (call->request->flow && !call->cancel_sent && flow_is_due(call->request->flow))
		return send_flow(vm, call, error);
	if (!vm->reader)
		read_for_all(vm, call, call->deadline, 0);
	else
		wait_for_frame(vm, call);
	return 0;
}

static int await(
	nova_vm_t *vm, struct vm_call *call, struct vm_answer *answer, nova_error_t **error)
{
	int code = 0;
	while (code == 0)
		code = go_on(vm, call, answer, error);
	pass_on_reading(vm);
	if (code > 0)
		return 0;
	return call->request->runs_code ? nova_set_outcome(error, code, NOVA_OUTCOME_UNKNOWN) :
					  code;
}

/* --- who a clone is, and what time it is --- */

/* A message of its own, and its answer. The pen is ours. */
static int tell_first(nova_vm_t *vm, struct vm_call *call, enum vm_news kind, nova_error_t **error)
{
	struct vm_call intro;
	struct vm_request request;
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	int code = vm_news_message(vm, kind, &request, error);
	AUTO_FREE void *frame = (void *)request.frame;
	if (code < 0)
		return code;
	vm_call_init(&intro, request.id, NULL);
	intro.request = &request;
	intro.deadline = request.deadline;
	if (kind == VM_IS_LATE && call->deadline < intro.deadline)
		intro.deadline = call->deadline;
	code = vm_call_list(vm, &intro, error);
	if (code == 0) {
		code = write_frame(vm, call, frame, request.frame_len, request.deadline, error);
		if (code == 0)
			code = await(vm, &intro, &answer, error);
		vm_call_unlist(vm, &intro);
	}
	vm_call_done(&intro);
	return code < 0 ? code : vm_done(&answer, error);
}

/* Within the request, where there is room, or before it. */
static int tell(nova_vm_t *vm, struct vm_call *call, enum vm_news kind, void **ret_longer,
	size_t *ret_len, nova_error_t **error)
{
	const struct vm_request *request = call->request;
	AUTO_FREE char *member = request->may_carry ? vm_news_member(vm, kind) : NULL;
	int code = 0;
	if (request->may_carry && !member)
		return nova_oom(error);
	if (!member || proto_add_member(request->frame, request->frame_len, member, strlen(member),
			       ret_longer, ret_len, NULL) < 0)
		code = tell_first(vm, call, kind, error);
	if (code == 0)
		vm->unintroduced = vm->clock_stood = false;
	return code;
}

static int send_request(nova_vm_t *vm, struct vm_call *call, nova_error_t **error)
{
	const struct vm_request *request = call->request;
	AUTO_FREE void *longer = NULL;
	size_t len = request->frame_len;
	int code = take_pen(vm, call, call->deadline, error);
	if (code < 0)
		return code;
	if (vm->rests)
		/* that it cannot go on shows on the channel */
		vm->ops->resume_soon(vm->machine, NULL);
	vm->rests = false;
	if (vm->unintroduced || (vm->clock_stood && vm->ops->needs_guest))
		code = tell(vm, call, vm->unintroduced ? VM_IS_CLONE : VM_IS_LATE, &longer, &len,
			error);
	/* The agent does nothing before it has a frame whole: what fails here never ran. */
	if (code == 0)
		code = write_frame(
			vm, call, longer ? longer : request->frame, len, call->deadline, error);
	give_pen(vm);
	return code;
}

/* --- the door --- */

void vm_answer_done(struct vm_answer *answer)
{
	free(answer->frame);
	free(answer->output);
	*answer = (struct vm_answer)VM_ANSWER_NONE;
}

/* Who is alone with a lost VM disposes of it. */
static int settle(nova_vm_t *vm, int code)
{
	bool dispose = vm->lost && !vm->turns.inside;
	pthread_mutex_unlock(&vm->lock);
	if (dispose)
		vm_end(vm);
	return code;
}

int vm_ask_as(nova_vm_t *vm, struct vm_call *call, const struct vm_request *request,
	struct vm_answer *ret_answer, nova_error_t **error)
{
	int code = vm_check_running(vm, error);
	if (code < 0)
		return code;
	pthread_mutex_lock(&vm->lock);
	call->request = request;
	call->deadline = request->deadline;
	code = send_request(vm, call, error);
	if (code == 0)
		code = await(vm, call, ret_answer, error);
	call->request = NULL;
	return settle(vm, code);
}

int vm_ask(nova_vm_t *vm, const struct vm_request *request, struct vm_answer *ret_answer,
	nova_error_t **error)
{
	struct vm_call call;
	vm_call_init(&call, request->id, request->stop);
	pthread_mutex_lock(&vm->lock);
	int code = vm_call_list(vm, &call, error);
	pthread_mutex_unlock(&vm->lock);
	if (code == 0) {
		code = vm_ask_as(vm, &call, request, ret_answer, error);
		pthread_mutex_lock(&vm->lock);
		vm_call_unlist(vm, &call);
		pthread_mutex_unlock(&vm->lock);
	}
	vm_call_done(&call);
	return code;
}

int vm_send(nova_vm_t *vm, const struct vm_request *request, nova_error_t **error)
{
	struct vm_call call;
	int code = vm_check_running(vm, error);
	if (code < 0)
		return code;
	vm_call_init(&call, request->id, request->stop);
	pthread_mutex_lock(&vm->lock);
	code = write_frame(vm, &call, request->frame, request->frame_len, request->deadline, error);
	code = settle(vm, code);
	vm_call_done(&call);
	return code;
}

int vm_await(nova_vm_t *vm, const struct vm_request *request, struct vm_answer *ret_answer,
	nova_error_t **error)
{
	struct vm_call call;
	vm_call_init(&call, request->id, request->stop);
	call.request = request;
	call.deadline = request->deadline;
	pthread_mutex_lock(&vm->lock);
	int code = vm_call_list(vm, &call, error);
	if (code == 0) {
		code = await(vm, &call, ret_answer, error);
		vm_call_unlist(vm, &call);
	}
	code = settle(vm, code);
	vm_call_done(&call);
	return code;
}

int vm_ask_json_as(nova_vm_t *vm, int type, json_t *payload, const struct vm_request *how,
	struct vm_answer *ret_answer, nova_error_t **error)
{
	AUTO_JSON json_t *owned = payload;
	AUTO_FREE void *frame = NULL;
	struct vm_request request = *how;
	char id[9];
	if (!owned || random_hex(id, 8) < 0 ||
		json_object_set_new(owned, "request_id", json_string(id)) < 0)
		return nova_oom(error);
	int code = proto_encode_json(type, owned, &frame, &request.frame_len, error);
	if (code < 0)
		return code;
	request.id = id;
	request.frame = frame;
	return vm_ask(vm, &request, ret_answer, error);
}

int vm_ask_json(nova_vm_t *vm, int type, json_t *payload, uint64_t deadline,
	const struct stop *stop, struct vm_answer *ret_answer, nova_error_t **error)
{
	const struct vm_request how = { .deadline = deadline, .stop = stop };
	return vm_ask_json_as(vm, type, payload, &how, ret_answer, error);
}

/* What an agent says unasked has no request_id. */
int vm_await_ready(nova_vm_t *vm, uint64_t deadline, const struct stop *stop, nova_error_t **error)
{
	struct vm_request request = { .id = "", .deadline = deadline, .stop = stop };
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	int code = vm_await(vm, &request, &answer, error);
	if (code < 0)
		return code == NOVA_ELOST ?
			       nova_wrap(error, code, "the guest ended before its agent was up") :
			       code;
	if (answer.frame->type != NOVA_MSG_READY)
		return nova_fail(error, NOVA_EAGENT,
			"the agent in microVM %s begins with message %d instead of Ready", vm->id,
			answer.frame->type);
	const char *failure = answer.said.error.at;
	return failure ? nova_fail(error, NOVA_EAGENT, "the agent in microVM %s cannot work: %s",
				 vm->id, failure) :
			 0;
}

void nova_vm_cancel(nova_vm_t *vm, const char *request_id)
{
	if (!vm || !request_id || host_check_process(vm->host, NULL) < 0)
		return;
	pthread_mutex_lock(&vm->lock);
	struct vm_call *call = vm_call_find(vm, request_id, strlen(request_id));
	if (call) {
		call->canceled = true;
		sleeper_wake(&call->woken);
		if (vm->reader == call)
			sys_event_raise(vm->wake);
	}
	pthread_mutex_unlock(&vm->lock);
}
