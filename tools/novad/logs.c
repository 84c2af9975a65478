/* SPDX-License-Identifier: MIT */
/*
 * What calls have left behind: the log of calls (nova/invocation.h), by pages and one by one, and
 * what it comes to by function. A key sees the calls that it has made itself, and an admin all.
 */
#include <stdlib.h>
#include <string.h>

#include <nova/invocation.h>

#include "routes.h"

#define PAGE      100
#define PAGE_MOST 1000
#define SEEN_MOST 20000 /* records looked at for one page: the next goes on there */
#define JOBS_MOST 100   /* of which Redis is asked whose they are: each comes whole */
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

struct log_page {
	json_t *list;
	size_t most;
	size_t seen, bytes; /* of all that the library gave */
	size_t jobs;        /* asked for */
	bool unknown;       /* Redis could not say whose some are */
	bool more;          /* behind what was seen */
	int64_t until;      /* as now_ms(): so long it waits for one */
};

static bool has_room(const struct log_page *page)
{
	return json_array_size(page->list) < page->most && page->jobs < JOBS_MOST;
}

/* What comes meanwhile and may not be shown is no reason to answer. */
static bool goes_on(const struct job *job, const struct log_page *page)
{
	if (page->more)
		return has_room(page) && page->seen < SEEN_MOST &&
		       page->bytes < NOVA_INVOCATION_PAGE_BYTES;
	return !json_array_size(page->list) && now_ms() < page->until && !job_is_canceled(job);
}

/* Calls of jobs have the jobs' ids, which say nothing. If Redis cannot say whose one is, it is left
 * out, and so are all others of the page: the rest of the log is there without it. */
static bool is_shown(const struct job *job, struct log_page *page, const char *id)
{
	if (owns_execution(job, id))
		return true;
	if (page->unknown || !may_be_durable(job, id))
		return false;
	page->jobs++;
	int owns = owns_durable(job, id, NULL);
	page->unknown = owns < 0;
	return owns > 0;
}

/* A page of the library's, of which some records may not be shown. */
static int add_records(struct job *job, nova_invocation_list_opts *opts, struct log_page *page,
	nova_error_t **error)
{
	const nova_invocation **found = NULL;
	size_t count = 0, bytes = 0, i;
	int64_t left = page->more ? 0 : page->until - now_ms();
	opts->wait_ms = left > 0 ? (uint32_t)left : 0;
	int code = nova_invocation_list(job_nova(job), opts, &found, &count, error);
	for (i = 0; i < count && has_room(page) && !job_is_canceled(job); i++) {
		if (is_shown(job, page, found[i]->request_id))
			json_array_append_new(page->list, record_json(found[i]));
		bytes += found[i]->out_len + found[i]->err_len;
		opts->cursor = found[i]->number;
	}
	nova_invocation_list_free(found, count);
	page->seen += i;
	page->bytes += bytes;
	page->more = i < count || count == opts->limit || bytes >= NOVA_INVOCATION_PAGE_BYTES;
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
	take_query(job, &opts);
	if (query_number(job, "wait_ms") && opts.order != NOVA_INVOCATION_OLDEST) {
		job_problem(job, 400, "invalid", "'wait_ms' needs order=oldest");
		return;
	}
	struct log_page page = { .list = need(json_array()), .most = limit ? limit : PAGE };
	page.until = now_ms() + (int64_t)query_number(job, "wait_ms");
	opts.limit = job_is_admin(job) ? (uint32_t)page.most : PAGE_MOST;
	while (add_records(job, &opts, &page, &error) == 0 && goes_on(job, &page))
		;
	if (error)
		job_fail_by(job, error);
	else
		job_answer(job, json_pack("{s:O,s:o,s:o*}", "invocations", page.list, "next_cursor",
					next_of(&opts, page.more), "unknown_jobs",
					page.unknown ? json_true() : NULL));
	json_decref(page.list);
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
	int owns = owns_execution(job, opts.request_id) ?
			   1 :
			   owns_durable(job, opts.request_id, &error);
	if (owns < 0 ||
		(owns && nova_invocation_list(job_nova(job), &opts, &found, &count, &error) != 0))
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

/* Adds what it comes to. False: the job has failed. */
static bool add_summaries(struct job *job, const nova_invocation_summary_opts *opts, json_t *all)
{
	size_t count = 0;
	nova_error_t *error = NULL;
	const nova_invocation_summary **found = NULL;
	int code = nova_invocation_summarize(job_nova(job), opts, &found, &count, &error);
	if (code != 0)
		job_fail_by(job, error);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(all, summary_json(found[i]));
	nova_invocation_summaries_free(found, count);
	nova_error_free(error);
	return code == 0;
}

/* One by one, from when it was made: its name may have been that of somebody else's. */
static bool add_own(struct job *job, const nova_invocation_summary_opts *asked, json_t *all)
{
	size_t count = 0;
	nova_error_t *error = NULL;
	nova_function_t **own = NULL;
	nova_function_list_opts opts = NOVA_FUNCTION_LIST_OPTS_INIT;
	char *label = owner_label(job_owner(job));
	opts.labels = (const char *const *)&label;
	opts.labels_count = 1;
	bool done = nova_function_list(job_nova(job), &opts, &own, &count, &error) == 0;
	if (!done)
		job_fail_by(job, error);
	for (size_t i = 0; i < count && done && !job_is_canceled(job); i++) {
		nova_invocation_summary_opts one = *asked;
		uint64_t made_us = nova_function_created_us(own[i]);
		one.function = nova_function_name(own[i]);
		one.since_us = made_us > one.since_us ? made_us : one.since_us;
		if (!asked->function || !strcmp(asked->function, one.function))
			done = add_summaries(job, &one, all);
	}
	nova_function_list_free(own, count);
	nova_error_free(error);
	free(label);
	return done;
}

static void summarize(struct job *job)
{
	json_t *all = need(json_array());
	nova_invocation_summary_opts opts = NOVA_INVOCATION_SUMMARY_OPTS_INIT;
	opts.function = job_query(job, "function");
	opts.since_us = query_number(job, "since_us");
	opts.until_us = query_number(job, "until_us");
	if (job_is_admin(job) ? add_summaries(job, &opts, all) : add_own(job, &opts, all))
		job_answer(job, json_pack("{s:O}", "functions", all));
	json_decref(all);
}

const struct job_verb verb_logs_list = { .name = "list", .work = list };
const struct job_verb verb_logs_get = { .name = "get", .work = get };
const struct job_verb verb_stats = { .name = "stats", .work = summarize };
