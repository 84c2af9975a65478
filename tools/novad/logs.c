/* SPDX-License-Identifier: MIT */
/*
 * What calls have left behind: the log of calls (nova/invocation.h), by pages and one by one, and
 * what it comes to by function. As for functions, one key sees the calls of all. Code that was run
 * once belongs to no function: who has a key finds it by its id, which nobody else was told.
 */
#include <stdlib.h>
#include <string.h>

#include <nova/invocation.h>

#include "routes.h"

#define PAGE      100
#define PAGE_MOST 1000
#define WAIT_MOST 60000
#define TIME_MOST INT64_C(99999999999999999) /* so many digits a query's number may have */

static const char *const yes_or_no[] = { "true", "false", NULL };
static const char *const orders[] = { "newest", "oldest", NULL };

#define WHICH_CALLS                                                                                \
	{ "function", KIND_TEXT, "only of this function" },                                        \
		{ "since_us", KIND_NUMBER, "that began then or later, in microseconds since 1970", \
			.max = TIME_MOST },                                                        \
	{                                                                                          \
		"until_us", KIND_NUMBER, "that began before", .max = TIME_MOST                     \
	}

const struct field logs_query[] = {
	WHICH_CALLS,
	{ "version", KIND_NUMBER, "of this version of it", .max = UINT32_MAX },
	{ "errors", KIND_TEXT, "true: only calls that failed", .choices = yes_or_no },
	{ "order", KIND_TEXT, "which come first; newest", .choices = orders },
	{ "limit", KIND_NUMBER, "at most so many; 100", .min = 1, .max = PAGE_MOST },
	{ "cursor", KIND_NUMBER, "what the page before gave as next_cursor", .max = TIME_MOST },
	{ "wait_ms", KIND_NUMBER, "if there are none, wait so long for one, with order=oldest",
		.max = WAIT_MOST },
	{ NULL },
};

const struct field stats_query[] = { WHICH_CALLS, { NULL } };

static uint64_t query_number(const struct job *job, const char *name)
{
	const char *text = job_query(job, name);
	return text ? strtoull(text, NULL, 10) : 0;
}

static bool query_is(const struct job *job, const char *name, const char *value)
{
	const char *text = job_query(job, name);
	return text && !strcmp(text, value);
}

/* --- one record --- */

static json_t *record_json(const nova_invocation *r)
{
	return need(json_pack("{sI sI ss ss ss ss ss ss ss? so so so sI sI sI sI sI sI sb sb}",
		"number", (json_int_t)r->number, "version", (json_int_t)r->version, "request_id",
		r->request_id, "function", r->function, "function_id", r->function_id, "runtime",
		r->runtime, "instance", r->instance, "path", r->path, "code",
		r->code ? problem_name(r->code) : NULL, "error",
		text_json(r->error, strlen(r->error)), "stdout", text_json(r->out, r->out_len),
		"stderr", text_json(r->err, r->err_len), "started_us", (json_int_t)r->started_us,
		"duration_us", (json_int_t)r->duration_us, "input_size", (json_int_t)r->input_size,
		"output_size", (json_int_t)r->output_size, "memory_peak",
		(json_int_t)r->memory_peak, "lost", (json_int_t)r->lost, "cold", (int)r->cold,
		"cut", (int)r->cut));
}

/* --- pages --- */

static bool is_shown(const struct job *job, const nova_invocation *r)
{
	return *r->function || !job_key(job);
}

/* A page of the library's, of which some records may not be shown. *ret_more: behind it there may
 * be more; *ret_bytes: what it has printed. */
static int add_records(struct job *job, nova_invocation_list_opts *opts, json_t *list,
	bool *ret_more, size_t *ret_bytes, nova_error_t **error)
{
	const nova_invocation **found = NULL;
	size_t count = 0;
	int code = nova_invocation_list(job_nova(job), opts, &found, &count, error);
	*ret_bytes = 0;
	for (size_t i = 0; i < count; i++) {
		if (is_shown(job, found[i]))
			json_array_append_new(list, record_json(found[i]));
		*ret_bytes += found[i]->out_len + found[i]->err_len;
		opts->cursor = found[i]->number;
	}
	nova_invocation_list_free(found, count);
	*ret_more = count == opts->limit || *ret_bytes >= NOVA_INVOCATION_PAGE_BYTES;
	return code;
}

static void take_query(struct job *job, nova_invocation_list_opts *opts)
{
	opts->function = job_query(job, "function");
	opts->since_us = query_number(job, "since_us");
	opts->until_us = query_number(job, "until_us");
	opts->version = (uint32_t)query_number(job, "version");
	opts->errors = query_is(job, "errors", "true");
	opts->cursor = query_number(job, "cursor");
	opts->wait_ms = (uint32_t)query_number(job, "wait_ms");
	opts->interrupt = job_interrupt(job);
	if (query_is(job, "order", "oldest"))
		opts->order = NOVA_INVOCATION_OLDEST;
}

/* Who follows goes on behind the last record there is; who looks back has come to the end. */
static json_t *next_of(const nova_invocation_list_opts *opts, bool more)
{
	bool follows = opts->order == NOVA_INVOCATION_OLDEST;
	return more || follows ? json_integer((json_int_t)opts->cursor) : json_null();
}

static void list(struct job *job)
{
	nova_error_t *error = NULL;
	nova_invocation_list_opts opts = NOVA_INVOCATION_LIST_OPTS_INIT;
	uint64_t limit = query_number(job, "limit");
	size_t most = limit ? limit : PAGE, bytes = 0;
	int code = 0;
	bool more = true;
	take_query(job, &opts);
	if (opts.wait_ms && opts.order != NOVA_INVOCATION_OLDEST) {
		job_problem(job, 400, "invalid", "'wait_ms' needs order=oldest");
		return;
	}
	json_t *records = need(json_array());
	while (code == 0 && more && json_array_size(records) < most &&
		bytes < NOVA_INVOCATION_PAGE_BYTES) {
		opts.limit = (uint32_t)(most - json_array_size(records));
		code = add_records(job, &opts, records, &more, &bytes, &error);
		opts.wait_ms = 0;
	}
	json_t *page = need(json_pack(
		"{s:o,s:o}", "invocations", records, "next_cursor", next_of(&opts, more)));
	if (code == 0)
		job_answer(job, page);
	else
		json_decref(page);
	if (code != 0)
		job_fail_by(job, error);
	nova_error_free(error);
}

static void get(struct job *job)
{
	size_t count = 0;
	nova_error_t *error = NULL;
	const nova_invocation **found = NULL;
	nova_invocation_list_opts opts = NOVA_INVOCATION_LIST_OPTS_INIT;
	opts.request_id = job_path(job, "id");
	opts.limit = 1;
	if (nova_invocation_list(job_nova(job), &opts, &found, &count, &error) != 0)
		job_fail_by(job, error);
	else if (!count)
		job_problem(job, 404, "not_found",
			"there is no record of a call '%s': it goes on, it is too old, or it never "
			"was",
			opts.request_id);
	else
		job_answer(job, record_json(found[0]));
	nova_invocation_list_free(found, count);
	nova_error_free(error);
}

/* --- by function --- */

static json_t *summary_json(const nova_invocation_summary *s)
{
	return need(json_pack("{ss sI sI sI sI sI sI sI}", "function", s->function, "calls",
		(json_int_t)s->calls, "errors", (json_int_t)s->errors, "cold", (json_int_t)s->cold,
		"p50_us", (json_int_t)s->p50_us, "p95_us", (json_int_t)s->p95_us, "p99_us",
		(json_int_t)s->p99_us, "longest_us", (json_int_t)s->longest_us));
}

static void summarize(struct job *job)
{
	size_t count = 0;
	nova_error_t *error = NULL;
	const nova_invocation_summary **found = NULL;
	nova_invocation_summary_opts opts = NOVA_INVOCATION_SUMMARY_OPTS_INIT;
	opts.function = job_query(job, "function");
	opts.since_us = query_number(job, "since_us");
	opts.until_us = query_number(job, "until_us");
	if (nova_invocation_summarize(job_nova(job), &opts, &found, &count, &error) != 0) {
		job_fail_by(job, error);
		nova_error_free(error);
		return;
	}
	json_t *all = need(json_array());
	for (size_t i = 0; i < count; i++)
		if (*found[i]->function || !job_key(job))
			json_array_append_new(all, summary_json(found[i]));
	job_answer(job, json_pack("{s:o}", "functions", all));
	nova_invocation_summaries_free(found, count);
}

const struct job_verb verb_logs_list = { .name = "list", .work = list };
const struct job_verb verb_logs_get = { .name = "get", .work = get };
const struct job_verb verb_stats = { .name = "stats", .work = summarize };
