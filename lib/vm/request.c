/* SPDX-License-Identifier: MIT */
/* A request to the agent, and its answer. */
#include "vm/channel.h"
#include "vm/deferred.h"
#include "vm/object.h"

/* --- what it is told first --- */

/* A message of its own, and its answer. Nobody else writes meanwhile. */
static int tell_first(nova_vm_t *vm, struct vm_call *call, enum news kind, nova_error_t **error)
{
	struct vm_call intro;
	struct vm_request request;
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	int code = news_message(vm, kind, &request, error);
	AUTO_FREE void *frame = (void *)request.frame;
	if (code < 0)
		return code;
	vm_call_init(&intro, request.id, NULL);
	intro.request = &request;
	intro.deadline = request.deadline;
	if (kind == NEWS_IS_LATE && call->deadline < intro.deadline)
		intro.deadline = call->deadline;
	code = vm_call_list(vm, &intro, error);
	if (code == 0) {
		code = channel_write(vm, call, frame, request.frame_len, request.deadline, error);
		if (code == 0)
			code = channel_await(vm, &intro, &answer, error);
		vm_call_unlist(&intro);
	}
	vm_call_done(&intro);
	return code < 0 ? code : vm_done(&answer, error);
}

/* Within the request, where there is room, or before it. */
static int tell(nova_vm_t *vm, struct vm_call *call, enum news kind, void **ret_longer,
	size_t *ret_len, nova_error_t **error)
{
	const struct vm_request *request = call->request;
	AUTO_FREE char *member = request->may_carry ? news_member(vm, kind) : NULL;
	int code = 0;
	if (request->may_carry && !member)
		return nova_oom(error);
	if (!member || proto_add_member(request->frame, request->frame_len, member, strlen(member),
			       ret_longer, ret_len, NULL) < 0)
		code = tell_first(vm, call, kind, error);
	if (code == 0)
		deferred_told(vm);
	return code;
}

static int send_request(nova_vm_t *vm, struct vm_call *call, nova_error_t **error)
{
	const struct vm_request *request = call->request;
	AUTO_FREE void *longer = NULL;
	size_t len = request->frame_len;
	int code = channel_begin_frame(vm, call, call->deadline, error);
	if (code < 0)
		return code;
	deferred_wake(vm);
	enum news news = deferred_news(vm);
	/* The socket of a VMM that is no more can still take a frame, and then nobody knows whether
	 * it ran. */
	if (!vm_process_lives(vm)) {
		channel_lose_ended(vm);
		code = channel_lost(vm, error);
	}
	if (code == 0 && news)
		code = tell(vm, call, news, &longer, &len, error);
	/* The agent does nothing before it has a frame whole: what fails here never ran. */
	if (code == 0)
		code = channel_write(
			vm, call, longer ? longer : request->frame, len, call->deadline, error);
	channel_end_frame(vm);
	return code;
}

/* Nothing that it was to run has reached it. What the host did, or could not do, is no fault of
 * its. */
static void note_stillborn(nova_vm_t *vm)
{
	pthread_mutex_lock(&vm->end_lock);
	vm->stillborn = vm->parent && vm->lost && !vm->lost_os && !vm->killed;
	pthread_mutex_unlock(&vm->end_lock);
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
	if (code < 0)
		note_stillborn(vm);
	if (code == 0)
		code = channel_await(vm, call, ret_answer, error);
	call->request = NULL;
	return settle(vm, code);
}

static int ask(nova_vm_t *vm, const struct vm_request *request, struct vm_answer *ret_answer,
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
		vm_call_unlist(&call);
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
	code = channel_write(
		vm, &call, request->frame, request->frame_len, request->deadline, error);
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
		code = channel_await(vm, &call, ret_answer, error);
		vm_call_unlist(&call);
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
	return ask(vm, &request, ret_answer, error);
}

int vm_ask_json(nova_vm_t *vm, int type, json_t *payload, uint64_t deadline,
	const struct stop *stop, struct vm_answer *ret_answer, nova_error_t **error)
{
	const struct vm_request how = { .deadline = deadline, .stop = stop };
	return vm_ask_json_as(vm, type, payload, &how, ret_answer, error);
}

int vm_request(nova_vm_t *vm, int type, json_t *payload, uint32_t timeout_ms, uint64_t *took,
	const struct stop *stop, struct vm_answer *ret_answer, nova_error_t **error)
{
	AUTO_JSON json_t *owned = payload;
	struct vm_call call;
	vm_call_init(&call, NULL, stop);
	int code = vm_enter(vm, &call, error);
	if (code == 0) {
		/* Not before: a guest that works on the calls before this one is not silent. */
		uint64_t begin = clock_ns();
		code = vm_ask_json(vm, type, STEAL(owned), deadline_in_ms(timeout_ms), stop,
			ret_answer, error);
		if (took)
			*took += clock_ns() - begin;
		vm_leave(vm, &call);
	}
	vm_call_done(&call);
	if (code < 0)
		return code;
	code = vm_done(ret_answer, error);
	return code < 0 ? nova_wrap(error, code, "microVM %s", vm->id) : 0;
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

int vm_introduce_send(nova_vm_t *vm, nova_error_t **error)
{
	struct vm_request request;
	int code = news_message(vm, NEWS_IS_CLONE, &request, error);
	AUTO_FREE void *frame = (void *)request.frame;
	deferred_told(vm);
	return code < 0 ? code : vm_send(vm, &request, error);
}

int vm_introduce_await(
	nova_vm_t *vm, uint64_t deadline, const struct stop *stop, nova_error_t **error)
{
	struct vm_request request = { .id = NEWS_ID, .deadline = deadline, .stop = stop };
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	int code = vm_await(vm, &request, &answer, error);
	return code < 0 ? code : vm_done(&answer, error);
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
