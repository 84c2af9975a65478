/* SPDX-License-Identifier: MIT */
/* A request and its answer: what all that speak HTTP here agree on. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http.h"

#define JSON_TYPE    "application/json"
#define PROBLEM_TYPE "application/problem+json"

int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct exchange *exchange_new(struct novad *novad, const char *uri)
{
	struct exchange *x = need(calloc(1, sizeof(*x)));
	x->novad = novad;
	x->begun_us = now_us();
	x->uri = need(strdup(uri));
	x->path = x->uri;
	x->search = strchr(x->uri, '?');
	if (x->search)
		*x->search++ = 0;
	return x;
}

void exchange_take_key(struct exchange *x, struct key *key)
{
	key_hold(key);
	key_release(x->key);
	x->key = key;
}

void exchange_free(struct exchange *x)
{
	key_release(x->key);
	key_release(x->signer);
	free(x->uri);
	free(x->refused);
	json_decref(x->offered);
	json_decref(x->options);
	json_decref(x->headers);
	bytes_free(&x->body);
	bytes_free(&x->out);
	free(x);
}

struct novad *exchange_novad(const struct exchange *x)
{
	return x->novad;
}

const char *exchange_header(const struct exchange *x, const char *name)
{
	return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

void exchange_header_add(struct exchange *x, const char *name, const char *value)
{
	if (!x->headers)
		x->headers = need(json_object());
	json_object_set_new(x->headers, name, text_json(value, strlen(value)));
}

/* --- answers --- */

void exchange_answer(struct exchange *x, unsigned status, const char *type, struct bytes *body)
{
	bytes_free(&x->out);
	x->answered = true;
	x->status = status;
	x->type = type;
	x->out = *body;
	*body = (struct bytes){ 0 };
}

void exchange_answer_ready(struct exchange *x, unsigned status, struct MHD_Response *ready)
{
	x->answered = true;
	x->status = status;
	x->ready = ready;
}

static void answer_json(struct exchange *x, unsigned status, const char *type, const json_t *body)
{
	struct bytes text = { 0 };
	char *dumped = need(json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY));
	bytes_add(&text, dumped, strlen(dumped));
	free(dumped);
	exchange_answer(x, status, type, &text);
}

/* --- problems: RFC 9457, with the member `error` of other platforms besides --- */

static const struct problem {
	int code;
	unsigned status;
	const char *name;
} problems[] = {
	{ NOVA_EINVAL, 400, "invalid" },
	{ NOVA_ENOMEM, 503, "out_of_memory" },
	{ NOVA_ENOTFOUND, 404, "not_found" },
	{ NOVA_EEXIST, 409, "exists" },
	{ NOVA_EBUSY, 409, "busy" },
	{ NOVA_ENOTSUP, 501, "not_supported" },
	{ NOVA_ECONFIG, 500, "config" },
	{ NOVA_EIO, 500, "host" },
	{ NOVA_EPERM, 500, "host_rights" },
	{ NOVA_ENOSPC, 507, "no_space" },
	{ NOVA_ETOOBIG, 413, "too_big" },
	{ NOVA_ECORRUPT, 500, "corrupt" },
	{ NOVA_EENGINE, 502, "engine" },
	{ NOVA_EAGENT, 502, "agent" },
	{ NOVA_ELIMIT, 503, "limit" },
	{ NOVA_ECANCELED, 503, "canceled" },
	{ NOVA_EFUNCTION, 500, "function_failed" },
	{ NOVA_ETIMEDOUT, 504, "timed_out" },
	{ NOVA_ELOST, 502, "lost" },
	{ NOVA_ESTALE, 409, "stale" },
	{ 0, 500, "internal" },
};

/* What is the caller's own: others go on. */
static const struct problem over_plan = { NOVA_ELIMIT, 429, "over_plan" };
static const struct problem over_rate = { NOVA_ELIMIT, 429, "too_many_requests" };

static const struct problem *problem_of(int code)
{
	const struct problem *problem = problems;
	while (problem->code && problem->code != code)
		problem++;
	return problem;
}

const char *problem_name(int code)
{
	return problem_of(code)->name;
}

static const char *const outcomes[] = { "never_ran", "ran", "unknown" };

static const char *title_of(unsigned status)
{
	return MHD_get_reason_phrase_for(status);
}

static json_t *problem_json(unsigned status, const char *code, int outcome, const char *detail)
{
	size_t len = strlen(detail);
	return need(json_pack("{s:s,s:s,s:i,s:o,s:s,s:o,s:s}", "type", "about:blank", "title",
		title_of(status), "status", (int)status, "detail", text_json(detail, len), "code",
		code, "error", text_json(detail, len), "outcome", outcomes[outcome]));
}

/* Where the library knows; else soon, if it is something that passes. */
static void tell_when(struct exchange *x, unsigned status, json_int_t retry_ms)
{
	char text[24];
	bool passes = (status == 503 || status == 429) && retry_ms != JOB_RETRY_NEVER &&
		      !json_object_get(x->headers, "Retry-After");
	snprintf(text, sizeof(text), "%lld", retry_ms > 0 ? (retry_ms + 999) / 1000 : 1);
	if (retry_ms > 0 || passes)
		exchange_header_add(x, "Retry-After", text);
}

/* Takes it. */
static void put_problem(struct exchange *x, json_t *problem, json_int_t retry_ms)
{
	const char *outcome = json_string_value(json_object_get(problem, "outcome"));
	unsigned status = (unsigned)json_integer_value(json_object_get(problem, "status"));
	x->outcome = outcomes[0];
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
		x->outcome = strcmp(outcomes[i], outcome) ? x->outcome : outcomes[i];
	snprintf(x->code, sizeof(x->code), "%s",
		json_string_value(json_object_get(problem, "code")));
	json_object_set_new(problem, "request_id", json_string(x->id));
	tell_when(x, status, retry_ms);
	if (lambda_is_at(x->path)) {
		const char *type;
		json_t *own = lambda_problem(problem, &type);
		exchange_header_add(x, "x-amzn-ErrorType", type);
		answer_json(x, status, JSON_TYPE, own);
		json_decref(own);
	} else if (x->is_e2b) {
		json_t *own = e2b_problem(x, problem);
		if (x->outcome != outcomes[NOVA_OUTCOME_NEVER_RAN] || retry_ms == JOB_RETRY_NEVER)
			exchange_header_add(x, "Should-Retry", "false");
		answer_json(x, status, JSON_TYPE, own);
		json_decref(own);
	} else {
		answer_json(x, status, PROBLEM_TYPE, problem);
	}
	json_decref(problem);
}

void exchange_problem(
	struct exchange *x, unsigned status, const char *code, const char *format, ...)
{
	char detail[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	put_problem(x, problem_json(status, code, NOVA_OUTCOME_NEVER_RAN, detail), 0);
}

json_t *exchange_problem_of(const json_t *reply)
{
	const json_t *error = json_object_get(reply, "error");
	const char *code = json_string_value(json_object_get(reply, "code"));
	int status = (int)json_integer_value(json_object_get(reply, "status"));
	int outcome = (int)json_integer_value(json_object_get(error, "outcome"));
	int number = (int)json_integer_value(json_object_get(error, "code"));
	int limit = (int)json_integer_value(json_object_get(error, "limit"));
	const struct problem *problem = limit == NOVA_LIMIT_PLAN ? &over_plan :
					limit == NOVA_LIMIT_RATE ? &over_rate :
								   problem_of(number);
	return problem_json(status ? (unsigned)status : problem->status,
		code ? code : problem->name,
		outcome >= 0 && outcome <= 2 ? outcome : NOVA_OUTCOME_UNKNOWN,
		json_string_value(json_object_get(error, "message")));
}

/* --- what a job has said --- */

/* The library names what is like that which is not there, whosever it is: also of what a key had
 * when its call was looked at, and has deleted since. */
static void hide_likeness(const struct exchange *x, const json_t *error)
{
	json_t *message = json_object_get(error, "message");
	const char *text = json_string_value(message);
	const char *likeness = text ? strstr(text, "; did you mean '") : NULL;
	if (x->key && !x->key->admin && likeness)
		json_string_setn(message, text, (size_t)(likeness - text));
}

void exchange_answer_job(struct exchange *x, const json_t *reply)
{
	const char *name;
	json_t *value;
	const json_t *error = json_object_get(reply, "error");
	const json_t *body = json_object_get(reply, "body");
	const json_t *type = json_object_get(reply, "type");
	unsigned status = (unsigned)json_integer_value(json_object_get(reply, "status"));
	json_object_foreach(json_object_get(reply, "headers"), name, value)
		exchange_header_add(x, name, json_string_value(value));
	if (error) {
		hide_likeness(x, error);
		put_problem(x, exchange_problem_of(reply),
			json_integer_value(json_object_get(error, "retry_ms")));
	} else if (body) {
		answer_json(x, status ? status : 200, JSON_TYPE, body);
	} else {
		x->answered = true;
		x->status = status ? status : x->out.len ? 200 : 204;
		x->type = json_is_string(type) ? "application/octet-stream" : JSON_TYPE;
	}
}

/* --- on the way out --- */

static void add_cors(const struct exchange *x, struct MHD_Response *response)
{
	const char *origin = exchange_header(x, "Origin");
	const struct words *allowed = &x->novad->settings.origins;
	for (size_t i = 0; origin && i < allowed->count; i++)
		if (!strcmp(allowed->at[i], origin)) {
			MHD_add_response_header(response, "Access-Control-Allow-Origin", origin);
			MHD_add_response_header(response, "Access-Control-Expose-Headers",
				"ETag, Retry-After, X-Request-Id, Traceparent, Server-Timing, "
				"X-Nova-Version, X-Nova-Expires-Us, X-Nova-Type, X-Nova-Sha256");
		}
	if (allowed->count)
		MHD_add_response_header(response, "Vary", "Origin");
}

void exchange_dress(const struct exchange *x, struct MHD_Response *response)
{
	const char *name;
	json_t *value;
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (*x->id)
		MHD_add_response_header(response, "X-Request-Id", x->id);
	if (*x->id && lambda_is_at(x->path))
		MHD_add_response_header(response, "x-amzn-RequestId", x->id);
	if (*x->trace)
		MHD_add_response_header(response, "Traceparent", x->trace);
	json_object_foreach(x->headers, name, value)
		MHD_add_response_header(response, name, json_string_value(value));
	add_cors(x, response);
}

struct MHD_Response *exchange_response(struct exchange *x)
{
	char *data = x->out.data;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(x->out.len, data ? data : (void *)(uintptr_t) "",
			data ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	if (!response)
		return NULL;
	x->out.data = NULL; /* its length is still to be logged */
	bool has_own = json_object_get(x->headers, "Content-Type");
	if (x->status != 204 && x->status != 304 && !has_own)
		MHD_add_response_header(response, "Content-Type", x->type);
	if (x->novad->draining || x->closes)
		MHD_add_response_header(response, "Connection", "close");
	exchange_dress(x, response);
	return response;
}
