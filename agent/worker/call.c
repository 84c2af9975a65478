/* SPDX-License-Identifier: MIT */
/* Requests that the interpreter answers: handed to a fork of it, or to itself, and what comes back
 * of them. */
#include <errno.h>
#include <signal.h>

#include "agent/worker/worker.h"

/* Forks for one request, when they end before they have read it. */
#define MOST_TRIES (PREFORKS + 2)
#define READ_BLOCK (64u << 10)

/* As worker.py words it. */
#define TOO_DEEP "%s: the handler's return value is nested too deeply: 512 levels are the limit"
#define NOT_UNDERSTOOD                                                                             \
	"the interpreter's result cannot be understood (did the function write to its "            \
	"descriptor?)"

/* --- the beginning --- */

static void run_in_fork(struct worker *worker, struct request *request)
{
	struct run *run = worker->run;
	if (worker->script)
		request->output[0].kept.max = PROTO_OUTPUT_MAX; /* it is the output */
	int r = worker->script && !request->input_path ? request_write_input(run, request) : 0;
	while (r == 0) {
		r = prefork_make(worker);
		if (r == 0)
			r = prefork_hand_over(worker, request);
		if (r != -EPIPE || worker->sock < 0 || ++request->tries >= MOST_TRIES)
			break;
		r = 0; /* the fork was gone; nothing of the request has been read */
	}
	request->state = REQUEST_RUNNING;
	if (r < 0)
		request_refuse(run, request, "internal",
			"the request cannot be given to the interpreter", r);
}

/* The fork was gone before it read its request: nothing has run yet, so another one can have it. */
static bool try_again(struct worker *worker, struct request *request)
{
	if (worker->state != WORKER_READY || ++request->tries >= MOST_TRIES ||
		(!request->input.len && !request->input_path))
		return false;
	request_kill(request);
	slot_give_back(request->slot);
	request->slot = NULL;
	request->pid = 0;
	close_fd(&request->output[0].fd);
	close_fd(&request->output[1].fd);
	close_fd(&request->result_fd);
	run_in_fork(worker, request);
	return true;
}

void call_begin(struct worker *worker, struct request *request)
{
	request->warm = true;
	if (worker->state == WORKER_READY && worker->in_place.on) {
		in_place_next(worker);
	} else if (worker->state == WORKER_READY) {
		run_in_fork(worker, request);
	} else if (worker->state == WORKER_OFF) {
		int r = worker_start(worker);
		if (r < 0)
			request_refuse(worker->run, request, "internal",
				"the interpreter cannot be started", r);
	}
}

void call_waiting(struct worker *worker)
{
	if (worker->in_place.on) {
		in_place_next(worker);
		return;
	}
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &worker->run->requests[i];
		if (request->state == REQUEST_WAITING && request->warm)
			run_in_fork(worker, request);
	}
}

/* --- the end --- */

/* Before a request ends: the interpreter that it has run in, if it has, is free again. */
static void give_back(struct worker *worker, struct request *request)
{
	if (worker->in_place.current == request)
		worker->in_place.current = NULL;
}

/* After a rehearsal the machine is copied: what it took is to be there again. */
static void prepare_next(struct worker *worker, bool rehearsed)
{
	if (worker->in_place.on)
		in_place_next(worker);
	else if (worker->state == WORKER_READY && rehearsed)
		prefork_make_all(worker);
	else if (worker->state == WORKER_READY)
		prefork_make_later(worker);
}

static void finish(struct worker *worker, struct request *request)
{
	bool rehearsed = request->rehearses;
	give_back(worker, request);
	request_finish(worker->run, request);
	prepare_next(worker, rehearsed);
}

void call_exited(struct worker *worker, struct request *request, int status, uint64_t peak_kb)
{
	bool rehearsed = request->rehearses;
	give_back(worker, request);
	request_exited(worker->run, request, status, peak_kb);
	prepare_next(worker, rehearsed);
}

/* What has to be killed takes the interpreter with it. */
static void end_in_place(struct worker *worker, struct request *request)
{
	cgroup_kill_worker(&worker->run->cgroups);
	kill_group(worker->run->interpreter);
	worker->in_place.broken = true; /* nobody else is let in */
	finish(worker, request);
	worker_stop(worker);
	if (!worker->run->function.once)
		worker_revive(worker);
}

void call_cut_off(struct worker *worker, struct request *request)
{
	/* As a shell's user knows it from a process that was killed. */
	request->signal = SIGKILL;
	if (request->in_place) {
		end_in_place(worker, request);
		return;
	}
	request_kill(request);
	/* An interpreter that did not even begin is stopped, or stuck. */
	if (!request->pid && request->state == REQUEST_RUNNING)
		worker_stop(worker);
	if (request->state != REQUEST_FREE)
		finish(worker, request);
}

void call_drop_all(struct worker *worker)
{
	bool in_place = worker->in_place.current;
	worker->in_place.current = NULL;
	request_drop_all(worker->run);
	/* It is still in the handler, and would give its answer to the next one. */
	if (in_place)
		worker_stop(worker);
}

/* --- the result --- */

static uint32_t number_at(const uint8_t *bytes)
{
	uint32_t value;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

static int exit_number(const struct buf *digits)
{
	int value = 0;
	for (size_t i = 0; i < digits->len && digits->data[i] >= '0' && digits->data[i] <= '9'; i++)
		value = (value * 10 + (digits->data[i] - '0')) & 0xffff;
	return value & 255;
}

static void refuse_value(const struct worker *worker, struct request *request, bool too_deep)
{
	char text[128];
	snprintf(text, sizeof(text), TOO_DEEP, worker->language->value_error);
	request->kind = 'E';
	request->exit_code = 1;
	buf_reset(&request->result);
	buf_append_str(&request->result, too_deep ? text : NOT_UNDERSTOOD);
}

/* The interpreter's word on how it went; the function could have written there too, so nothing is
 * taken for granted. A small letter is its last word: it ends. */
static void take_result(struct worker *worker, struct request *request)
{
	struct buf *result = &request->result;
	bool ends = request->in_place && (result->data[0] == 'e' || result->data[0] == 'x');
	request->kind = (char)(ends ? result->data[0] - 'a' + 'A' : result->data[0]);
	request->peak_kb = number_at(result->data + 5);
	buf_consume(result, RESULT_HEAD);
	struct json_fault fault = { 0, false };
	if (request->kind == 'X')
		request->exit_code = exit_number(result);
	else if (request->kind == 'E')
		request->exit_code = 1;
	else if (request->kind != 'R' ||
		 !json_text_check((char *)result->data, result->len, PROTO_DEPTH_USER, &fault))
		refuse_value(worker, request, fault.too_deep);
	if (ends && !worker->in_place.broken)
		end_in_place(worker, request);
	else
		finish(worker, request);
}

/* The process ended without a word; the interpreter, its parent, will tell how. */
static void lose_result(struct worker *worker, struct request *request)
{
	if (request->in_place)
		request->result_fd = -1;
	else
		close_fd(&request->result_fd);
	worker_nudge(worker);
}

/* One piece of the result; false when there was none. */
static bool take_piece(struct worker *worker, struct request *request)
{
	struct buf *result = &request->result;
	size_t room = result->max - result->len;
	size_t want = READ_BLOCK < room ? READ_BLOCK : room;
	uint8_t *to = want ? buf_reserve(result, want) : NULL;
	ssize_t got = to ? sys_read(request->result_fd, to, want) : 0;
	if (got == -EAGAIN ||
		(got == -ECONNRESET && !request->in_place && try_again(worker, request)))
		return false;
	if (got <= 0) {
		lose_result(worker, request);
		return false;
	}
	result->len += (size_t)got;
	if (!request->greeted && result->len >= GREETING) {
		request->greeted = true;
		request->pid = greeting_pid(result->data);
		buf_consume(result, GREETING);
	}
	if (request->greeted && result->len >= RESULT_HEAD &&
		result->len - RESULT_HEAD >= number_at(result->data + 1))
		take_result(worker, request);
	return true;
}

static void on_result(void *owner, void *what, short events)
{
	(void)events;
	take_piece(owner, what);
}

void call_last_words(struct worker *worker, struct request *request)
{
	while (request->result_fd >= 0 && worker->in_place.current == request &&
		take_piece(worker, request))
		;
}

void call_fork_exited(struct worker *worker, struct request *request, int status)
{
	unsigned seq = request->seq;
	/* Its last words are in the socket, if it had any. */
	while (request->result_fd >= 0 && request->state == REQUEST_RUNNING &&
		request->seq == seq && take_piece(worker, request))
		;
	if (request->state == REQUEST_RUNNING && request->seq == seq)
		call_exited(worker, request, status, 0);
}

void call_watch(struct worker *worker, struct loop *loop)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &worker->run->requests[i];
		if (request->state == REQUEST_RUNNING)
			loop_watch(loop, &request->result_fd, POLLIN, on_result, worker, request);
	}
}
