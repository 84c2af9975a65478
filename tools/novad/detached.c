/* SPDX-License-Identifier: MIT */
/*
 * Calls that nobody waits for: who has asked is answered as soon as they have begun. What comes of
 * them is in the log of calls. They are counted as calls while they run, and when the server stops
 * they have the time of all others. One that fails is begun again, twice at most, as Amazon does;
 * whoever wants that once only can tell by the payload. Those that wait for that are counted apart,
 * so that they take nobody's room, and a key has half of what may wait.
 */
#include <stdlib.h>

#include "http.h"

#define TRIES 3

struct detached {
	LIST_ENTRY(detached) all;
	struct exchange *exchange; /* who has asked; NULL: it has been answered, or has gone */
	struct novad *novad;
	struct key *key;
	struct jobs *jobs;
	struct job *job; /* NULL: it waits for the next try */
	const struct job_verb *verb;
	json_t *options;
	struct bytes body;
	size_t held;
	unsigned tries;
	int64_t again_at;
};

static LIST_HEAD(, detached) calls;
static size_t running, waiting, waiting_bytes;

static void on_woken(void *userdata)
{
	const struct detached *call = userdata;
	job_pass_on(call->job);
}

static void on_text(void *userdata, const char *part, const void *data, size_t len)
{
	(void)userdata, (void)part, (void)data, (void)len;
}

/* --- how many there are --- */

static void begin_counting(struct detached *call)
{
	running++;
	call->novad->calls++;
	if (call->key)
		call->key->calls++;
}

static void stop_counting(struct detached *call)
{
	running--;
	call->novad->calls--;
	if (call->key)
		call->key->calls--;
}

static size_t bytes_most(const struct detached *call)
{
	return (size_t)call->novad->settings.bodies_mb << 20;
}

static bool may_wait(const struct detached *call)
{
	const struct settings *settings = &call->novad->settings;
	const struct key *key = call->key;
	size_t most = bytes_most(call);
	if (waiting >= settings->calls || waiting_bytes + call->held > most)
		return false;
	return !key ||
	       (key->waiting < settings->key_calls && key->waiting_bytes + call->held <= most / 2);
}

static void begin_waiting(struct detached *call)
{
	waiting++;
	waiting_bytes += call->held;
	call->novad->body_bytes -= call->held;
	if (call->key) {
		call->key->waiting++;
		call->key->waiting_bytes += call->held;
	}
}

static void stop_waiting(struct detached *call)
{
	waiting--;
	waiting_bytes -= call->held;
	call->novad->body_bytes += call->held;
	if (call->key) {
		call->key->waiting--;
		call->key->waiting_bytes -= call->held;
	}
}

static void call_free(struct detached *call)
{
	key_release(call->key);
	json_decref(call->options);
	bytes_free(&call->body);
	free(call);
}

/* One that is neither running nor waiting any more. */
static void forget(struct detached *call)
{
	LIST_REMOVE(call, all);
	call->novad->body_bytes -= call->held;
	call_free(call);
}

/* --- trying --- */

/* What would fail in the same way again is not tried. */
static bool is_worth_it(const json_t *reply)
{
	static const int hopeless[] = { NOVA_EINVAL, NOVA_ENOTFOUND, NOVA_ENOTSUP, NOVA_ETOOBIG,
		NOVA_ECANCELED };
	const json_t *error = json_object_get(reply, "error");
	const json_t *headers = json_object_get(reply, "headers");
	int code = (int)json_integer_value(json_object_get(error, "code"));
	for (size_t i = 0; i < ARRAY_LEN(hopeless); i++)
		if (error && code == hopeless[i])
			return false;
	if (json_integer_value(json_object_get(error, "retry_ms")) == JOB_RETRY_NEVER)
		return false; /* more than its plan, or the host, ever has room for */
	return error || json_object_get(headers, "X-Amz-Function-Error");
}

static void wait_for_next(struct detached *call)
{
	call->job = NULL;
	call->again_at =
		now_ms() + ((int64_t)call->novad->settings.event_retry_ms << (call->tries - 1));
	begin_waiting(call);
}

static void drop(struct detached *call)
{
	const struct novad *novad = call->novad;
	const char *run = json_string_value(json_object_get(call->options, "run"));
	call->novad->counters[COUNTER_DROPPED]++;
	log_line(novad->log, NOVA_LOG_WARN,
		"the asynchronous call %s of the key '%s' has failed and is not begun again: as "
		"much waits already as --max-calls, --key-calls and --max-bodies let wait",
		run, call->key ? call->key->name : "");
	forget(call);
}

static void refuse(struct detached *call, const json_t *reply)
{
	struct exchange *x = call->exchange;
	x->event = NULL;
	exchange_answer_job(x, reply);
	exchange_resume(x);
	call_free(call);
}

/* What the exchange has counted is the call's own from now on. */
static void take_over(struct detached *call)
{
	struct exchange *x = call->exchange;
	x->event = NULL;
	call->exchange = NULL;
	call->key = key_hold(x->key);
	call->held = x->held;
	x->held = 0;
	x->admitted = false;
	running++;
	LIST_INSERT_HEAD(&calls, call, all);
}

static void on_begun(void *userdata)
{
	struct bytes none = { 0 };
	struct detached *call = userdata;
	struct exchange *x = call->exchange;
	if (!x)
		return;
	take_over(call);
	exchange_answer(x, 202, "application/json", &none);
	exchange_resume(x);
}

void detached_leave(struct exchange *x)
{
	if (x->event)
		take_over(x->event);
}

static void on_end(void *userdata, const json_t *reply)
{
	struct detached *call = userdata;
	if (call->exchange) {
		refuse(call, reply);
		return;
	}
	stop_counting(call);
	bool again = call->tries < TRIES && !call->novad->draining && is_worth_it(reply);
	if (again && may_wait(call))
		wait_for_next(call);
	else if (again)
		drop(call);
	else
		forget(call);
}

/* If it ends at once, on_end() sees to it. */
static void try(struct detached *call)
{
	static const struct job_asker asker = { on_woken, on_text, on_end, on_begun };
	struct job_request request = { .verb = call->verb, .options = call->options };
	bytes_add(&request.body, call->body.data, call->body.len);
	call->tries++;
	struct job *job = job_begin(call->jobs, &request, &asker, call);
	if (job)
		call->job = job;
}

static void try_again(struct detached *call)
{
	char run[EXECUTION_SIZE], owner[OWNER_SIZE];
	key_owner(call->key, owner);
	execution_id(owner, run); /* each is a call by itself in the log */
	json_object_set_new(call->options, "run", json_string(run));
	stop_waiting(call);
	begin_counting(call);
	try(call);
}

/* Those who wait for an answer come first. */
static bool has_room(const struct detached *call)
{
	const struct novad *novad = call->novad;
	return novad->calls < novad->settings.calls && novad->body_bytes <= bytes_most(call) / 2 &&
	       (!call->key || call->key->calls < novad->settings.key_calls);
}

/* --- its life --- */

void detached_begin(struct exchange *x, struct jobs *jobs, struct job_request *request)
{
	struct detached *call = need(calloc(1, sizeof(*call)));
	struct bytes none = { 0 };
	*call = (struct detached){
		.exchange = x,
		.novad = x->novad,
		.jobs = jobs,
		.verb = request->verb,
		.options = need(json_deep_copy(request->options)),
		.body = request->body,
	};
	request->body = none;
	x->event = call;
	try(call);
}

void detached_look(int64_t now)
{
	struct detached *call, *next;
	for (call = LIST_FIRST(&calls); call; call = next) {
		next = LIST_NEXT(call, all);
		if (!call->job && now >= call->again_at && has_room(call))
			try_again(call);
	}
}

void detached_drain(void)
{
	struct detached *call, *next;
	for (call = LIST_FIRST(&calls); call; call = next) {
		next = LIST_NEXT(call, all);
		if (call->job)
			continue;
		stop_waiting(call);
		forget(call);
	}
}

size_t detached_count(void)
{
	return running;
}

size_t detached_waiting(void)
{
	return waiting;
}

void detached_free(void)
{
	for (struct detached *call; (call = LIST_FIRST(&calls)) != NULL;) {
		LIST_REMOVE(call, all);
		call_free(call);
	}
	running = waiting = waiting_bytes = 0;
}
