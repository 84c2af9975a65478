/* SPDX-License-Identifier: MIT */
/* Talking to the agent: a frame out, frames in until the Resp with the same request_id. */
#include <errno.h>
#include <sys/socket.h>

#include "vm/vm.h"

/* Sending 6 MiB to an agent that is stuck must not outlast the deadline, so the socket never blocks us. */
static int send_frame(nova_vm_t *vm, const struct vm_request *request)
{
	const uint8_t *at = request->frame;
	size_t left = request->frame_len;
	while (left) {
		ssize_t put = sys_send(vm->machine->channel, at, left, MSG_DONTWAIT);
		if (put == -EAGAIN) {
			struct pollfd p = { vm->machine->channel, POLLOUT, 0 };
			if (sys_poll(&p, 1, deadline_poll_ms(request->deadline)) == 0 && deadline_passed(request->deadline))
				return -ETIMEDOUT;
			continue;
		}
		if (put < 0)
			return (int)put;
		at += put;
		left -= (size_t)put;
	}
	return 0;
}

static int lost(nova_vm_t *vm, nova_error_t **error)
{
	AUTO_FREE char *words = machine_last_words(vm->machine, 300);
	return nova_fail(error, NOVA_ELOST, "microVM %s has ended; its last words: %s", vm->id, words ? words : "");
}

static int silent(nova_vm_t *vm, nova_error_t **error)
{
	AUTO_FREE char *words = machine_last_words(vm->machine, 300);
	return nova_fail(error, NOVA_EAGENT, "the agent in microVM %s did not answer in time; last words of the guest: %s", vm->id,
		words ? words : "");
}

/* Waits for bytes, takes console output along, and feeds the decoder. */
static int receive(nova_vm_t *vm, uint64_t deadline, nova_error_t **error)
{
	struct machine *m = vm->machine;
	struct pollfd fds[] = { { m->channel, POLLIN, 0 }, { m->serial, POLLIN, 0 }, { m->diag, POLLIN, 0 } };
	int n = sys_poll(fds, ARRAY_LEN(fds), deadline_poll_ms(deadline));
	if (n < 0)
		return nova_fail_os(error, n, "waiting for microVM %s", vm->id);
	if (fds[1].revents || fds[2].revents)
		machine_drain(m);
	if (!fds[0].revents)
		return n == 0 && deadline_passed(deadline) ? silent(vm, error) : 0;
	uint8_t block[16384];
	ssize_t got = sys_recv(m->channel, block, sizeof(block), 0);
	if (got <= 0)
		return lost(vm, error);
	return nova_decoder_feed(vm->decoder, block, (size_t)got, error);
}

static int next_frame(nova_vm_t *vm, uint64_t deadline, int *ret_type, const char **ret_text, size_t *ret_len, nova_error_t **error)
{
	for (;;) {
		int got = nova_decoder_next(vm->decoder, ret_type, ret_text, ret_len, error);
		if (got != 0)
			return got < 0 ? got : 0;
		int code = receive(vm, deadline, error);
		if (code < 0)
			return code;
	}
}

static void pass_output(const struct vm_request *request, const json_t *payload)
{
	json_t *text = json_object_get(payload, "data"), *coded = json_object_get(payload, "base64");
	int stream = (int)json_integer_value(json_object_get(payload, "stream"));
	if (json_is_string(text)) {
		request->on_output(request->userdata, stream, json_string_value(text), json_string_length(text));
	} else if (json_is_string(coded)) {
		AUTO_BUF struct buf bytes = BUF_INIT(NOVA_FRAME_MAX);
		if (base64_get(&bytes, json_string_value(coded), json_string_length(coded)) == 0)
			request->on_output(request->userdata, stream, bytes.data, bytes.len);
	}
}

static bool is_for(const json_t *payload, const char *id)
{
	const char *got = json_string_value(json_object_get(payload, "request_id"));
	return got && !strcmp(got, id);
}

/* 1: the Resp has come; 0: something else has. Answers to requests that were given up are passed over. */
static int take_frame(const struct vm_request *request, int type, const char *text, size_t len, struct vm_answer *answer,
	nova_error_t **error)
{
	if (type != NOVA_MSG_RESP && !(type == NOVA_MSG_STREAM && request->on_output))
		return 0;
	AUTO_JSON json_t *payload = NULL;
	struct json_span raw = { NULL, 0 };
	int code = proto_decode_payload(text, len, type == NOVA_MSG_RESP ? request->raw : NULL, &payload, &raw, error);
	if (code < 0)
		return code;
	if (!is_for(payload, request->id))
		return 0;
	if (type == NOVA_MSG_STREAM) {
		pass_output(request, payload);
		return 0;
	}
	answer->payload = STEAL(payload);
	answer->raw = raw;
	return 1;
}

static int await_answer(nova_vm_t *vm, const struct vm_request *request, struct vm_answer *answer, nova_error_t **error)
{
	for (;;) {
		int type;
		const char *text;
		size_t len;
		int code = next_frame(vm, request->deadline, &type, &text, &len, error);
		if (code == 0)
			code = take_frame(request, type, text, len, answer, error);
		if (code != 0)
			return code < 0 ? code : 0;
	}
}

void vm_answer_done(struct vm_answer *answer)
{
	json_decref(answer->payload);
	answer->payload = NULL;
}

int vm_send(nova_vm_t *vm, const struct vm_request *request, nova_error_t **error)
{
	int code = vm_check_running(vm, error);
	if (code < 0)
		return code;
	int r = send_frame(vm, request);
	if (r < 0) { /* the agent does nothing before it has a frame whole: this one never ran */
		code = r == -ETIMEDOUT ? silent(vm, error) : lost(vm, error);
		vm_end(vm);
	}
	return code;
}

int vm_await(nova_vm_t *vm, const struct vm_request *request, struct vm_answer *ret_answer, nova_error_t **error)
{
	struct vm_answer answer = { NULL, { NULL, 0 } };
	int code = await_answer(vm, request, &answer, error);
	if (code < 0) {
		vm_end(vm);
		return request->runs_code ? nova_set_outcome(error, code, NOVA_OUTCOME_UNKNOWN) : code;
	}
	*ret_answer = answer;
	return 0;
}

int vm_ask(nova_vm_t *vm, const struct vm_request *request, struct vm_answer *ret_answer, nova_error_t **error)
{
	int code = vm_check_running(vm, error);
	if (code == 0 && vm->unintroduced) {
		code = vm_introduce_send(vm, error);
		if (code == 0)
			code = vm_introduce_await(vm, deadline_in_ms(vm->boot_timeout_ms), error);
	}
	if (code == 0)
		code = vm_send(vm, request, error);
	return code < 0 ? code : vm_await(vm, request, ret_answer, error);
}

int vm_ask_json(nova_vm_t *vm, int type, json_t *payload, uint64_t deadline, bool runs_code, nova_output_fn on_output, void *userdata,
	struct vm_answer *ret_answer, nova_error_t **error)
{
	AUTO_JSON json_t *owned = payload;
	AUTO_FREE void *frame = NULL;
	size_t len;
	char id[9];
	if (!owned || random_hex(id, 8) < 0 || json_object_set_new(owned, "request_id", json_string(id)) < 0)
		return nova_oom(error);
	int code = proto_encode_json(type, owned, &frame, &len, error);
	if (code < 0)
		return code;
	struct vm_request request = {
		.id = id, .frame = frame, .frame_len = len, .runs_code = runs_code, .on_output = on_output, .userdata = userdata,
		.deadline = deadline,
	};
	return vm_ask(vm, &request, ret_answer, error);
}

int vm_await_ready(nova_vm_t *vm, uint64_t deadline, nova_error_t **error)
{
	int type;
	const char *text;
	size_t len;
	int code = next_frame(vm, deadline, &type, &text, &len, error);
	if (code < 0)
		return code == NOVA_ELOST ? nova_wrap(error, code, "the guest ended before its agent was up") : code;
	if (type != NOVA_MSG_READY)
		return nova_fail(error, NOVA_EAGENT, "the agent in microVM %s begins with message %d instead of Ready", vm->id, type);
	AUTO_JSON json_t *payload = NULL;
	code = proto_decode_payload(text, len, NULL, &payload, NULL, error);
	if (code < 0)
		return code;
	const char *failure = json_string_value(json_object_get(payload, "error"));
	return failure ? nova_fail(error, NOVA_EAGENT, "the agent in microVM %s cannot work: %s", vm->id, failure) : 0;
}

/* The last line that is not empty: of a traceback, the one that says what happened. */
static char *last_line(const char *text)
{
	size_t end = strlen(text);
	while (end && (unsigned char)text[end - 1] <= ' ')
		end--;
	size_t begin = end;
	while (begin && text[begin - 1] != '\n')
		begin--;
	return strndup(text + begin, end - begin);
}

int vm_refusal(const struct vm_answer *answer, nova_error_t **error)
{
	static const struct {
		const char *name;
		int code;
	} refusals[] = {
		{ "invalid", NOVA_EINVAL },
		{ "code", NOVA_EFUNCTION },
		{ "busy", NOVA_EBUSY },
	};
	const char *name = json_string_value(json_object_get(answer->payload, "code"));
	const char *text = json_string_value(json_object_get(answer->payload, "error"));
	if (!name)
		return 0;
	const char *words = json_string_value(json_object_get(answer->payload, "stderr"));
	AUTO_FREE char *last = last_line(words ? words : "");
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (!strcmp(refusals[i].name, name))
			return nova_fail(error, refusals[i].code, "%s%s%s", text ? text : name, last && *last ? ": " : "", last ? last : "");
	return nova_fail(error, NOVA_EAGENT, "the agent failed: %s", text ? text : name);
}
