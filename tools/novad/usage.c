/* SPDX-License-Identifier: MIT */
/*
 * Usage and bills (nova/usage.h). A key is told of itself; to an admin the parameter `key` says
 * of whom, and without it of all.
 */
#include <stdlib.h>
#include <string.h>

#include <nova/usage.h>

#include "routes.h"

#define PAGE      1000
#define TIME_MOST INT64_C(72057594037927936)
#define MOST      INT64_C(99999999999999999)

static const char *const periods[] = { "ever", "hour", "day", "month", NULL };
static const char *const groups[] = { "key", "function", "key,function", NULL };
/* as enum nova_usage_mode, behind the first */
static const char *const modes[] = { "ephemeral", "cached", "checkpointed", "branched",
	"persistent", NULL };

const struct field usage_query[] = {
	{ "since_us", KIND_NUMBER, "from its hour on, in microseconds since 1970",
		.max = TIME_MOST },
	{ "until_us", KIND_NUMBER, "up to its hour", .max = TIME_MOST },
	{ "period", KIND_TEXT, "how long the periods are; ever", .choices = periods },
	{ "by", KIND_TEXT, "what else is told apart", .choices = groups },
	{ "function", KIND_TEXT, "only of this function" },
	{ "key", KIND_TEXT, "only of this key, for admins" },
	{ "limit", KIND_NUMBER, "at most so many", .min = 1, .max = 10000 },
	{ "cursor", KIND_TEXT, "what the page before gave as next_cursor" },
	{ NULL },
};

const struct field bill_query[] = {
	{ "time_us", KIND_NUMBER, "a moment of the month; now", .max = TIME_MOST },
	{ "key", KIND_TEXT, "only of this key, for admins" },
	{ NULL },
};

const struct field estimate_fields[] = {
	{ "function", KIND_TEXT, "whose memory and processors count", .max = 200 },
	{ "calls", KIND_NUMBER, "so many; 1", .max = MOST },
	{ "duration_us", KIND_NUMBER, "how long each takes", .max = MOST },
	{ "egress_bytes", KIND_NUMBER, "of each", .max = MOST },
	{ "ingress_bytes", KIND_NUMBER, "of each", .max = MOST },
	{ "gpu_us", KIND_NUMBER, "of all", .max = MOST },
	{ "disk_mb", KIND_NUMBER, "of each", .max = MOST },
	{ "snapshot_kb", KIND_NUMBER, "of all", .max = MOST },
	{ "snapshot_life_s", KIND_NUMBER, "how long these are kept", .max = MOST },
	{ "memory_mb", KIND_NUMBER, "instead of that of the function", .max = 65536 },
	{ "cpu_cores", KIND_NUMBER, "likewise", .max = 32 },
	{ "mode", KIND_TEXT, "cached", .choices = modes },
	{ NULL },
};

static json_t *take_json(char *text)
{
	json_t *json = need(json_loads(need(text), 0, NULL));
	nova_free(text);
	return json;
}

static uint64_t query_number(const struct job *job, const char *name)
{
	const char *text = job_query(job, name);
	return text ? strtoull(text, NULL, 10) : 0;
}

static uint32_t place_of(const char *const *words, const char *word)
{
	uint32_t at = 0;
	while (word && words[at] && strcmp(words[at], word) != 0)
		at++;
	return word && words[at] ? at : 0;
}

/* An admin asks for all, or for one. False: it has been answered that a key may not ask for others.
 */
static bool take_key(struct job *job, const char **ret_key)
{
	const char *own = job_key(job), *asked = job_query(job, "key");
	bool is_admin = job_is_admin(job);
	*ret_key = is_admin ? asked : own;
	if (is_admin || !asked || !strcmp(own, asked))
		return true;
	job_problem(job, 403, "not_yours", "a key is told of its own usage alone");
	return false;
}

static void fail(struct job *job, nova_error_t *error)
{
	job_fail_by(job, error);
	nova_error_free(error);
}

/* --- pages; a cursor is START:MODE:BYTES:KEY FUNCTION, without the blank --- */

static json_t *cursor_of(const nova_usage *last)
{
	json_t *text = json_sprintf("%llu:%u:%zu:%s%s", (unsigned long long)last->start_us,
		last->mode, strlen(last->key), last->key, last->function);
	return need(text);
}

/* What it has been made of, in `text`, which it cuts. False: it is none. */
static bool read_cursor(char *text, nova_usage *ret, char **ret_key)
{
	int at = 0;
	size_t len;
	unsigned long long start;
	*ret = (nova_usage){ .size = sizeof(*ret) };
	if (sscanf(text, "%llu:%u:%zu:%n", &start, &ret->mode, &len, &at) != 3 || !at ||
		len > strlen(text + at))
		return false;
	ret->start_us = start;
	ret->key = *ret_key = need(strndup(text + at, len));
	ret->function = text + at + len;
	return true;
}

static json_t *page_of(const nova_usage *const *rows, size_t count, size_t most)
{
	json_t *list = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, take_json(nova_usage_to_json(rows[i])));
	json_t *next = count == most ? cursor_of(rows[count - 1]) : json_null();
	return json_pack("{s:o,s:o}", "usage", list, "next_cursor", next);
}

static void list_by(struct job *job, nova_usage_list_opts *opts)
{
	size_t count = 0;
	nova_error_t *error = NULL;
	const nova_usage **rows = NULL;
	if (nova_usage_list(job_nova(job), opts, &rows, &count, &error) != 0)
		fail(job, error);
	else
		job_answer(job, page_of(rows, count, opts->limit));
	nova_usage_list_free(rows, count);
}

static void list(struct job *job)
{
	nova_usage after;
	nova_usage_list_opts opts = NOVA_USAGE_LIST_OPTS_INIT;
	const char *given = job_query(job, "cursor"), *by = job_query(job, "by");
	char *cursor = given ? need(strdup(given)) : NULL, *key = NULL;
	opts.since_us = query_number(job, "since_us");
	opts.until_us = query_number(job, "until_us");
	opts.function = job_query(job, "function");
	opts.period = place_of(periods, job_query(job, "period"));
	opts.by = by ? place_of(groups, by) + 1 : 0;
	opts.limit = job_query(job, "limit") ? (uint32_t)query_number(job, "limit") : PAGE;
	opts.after = cursor ? &after : NULL;
	if (cursor && !read_cursor(cursor, &after, &key))
		job_problem(job, 400, "invalid", "this cursor was not given by a page");
	else if (take_key(job, &opts.key))
		list_by(job, &opts);
	free(cursor);
	free(key);
}

/* --- bills --- */

/* Takes it. */
static void answer_bill(struct job *job, int code, const nova_bill *bill, nova_error_t *error)
{
	if (code == 0)
		job_answer(job, take_json(nova_bill_to_json(bill)));
	else if (code == NOVA_ETOOBIG)
		job_problem(job, 400, "invalid", "%s", nova_error_message(error));
	else
		job_fail_by(job, error);
	nova_bill_free(bill);
	nova_error_free(error);
}

static void bill(struct job *job)
{
	nova_error_t *error = NULL;
	const nova_bill *made = NULL;
	nova_usage_bill_opts opts = NOVA_USAGE_BILL_OPTS_INIT;
	opts.time_us = query_number(job, "time_us");
	if (!take_key(job, &opts.key))
		return;
	int code = nova_usage_bill(job_nova(job), &opts, &made, &error);
	answer_bill(job, code, made, error);
}

static uint64_t number_of(const struct job *job, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(job_fields(job), name));
}

static void estimate(struct job *job)
{
	nova_error_t *error = NULL;
	const nova_bill *made = NULL;
	nova_usage_estimate_opts opts = NOVA_USAGE_ESTIMATE_OPTS_INIT;
	opts.function = job_field(job, "function");
	if (opts.function && !may_call_function(job, opts.function))
		return;
	opts.calls = number_of(job, "calls");
	opts.duration_us = number_of(job, "duration_us");
	opts.egress_bytes = number_of(job, "egress_bytes");
	opts.ingress_bytes = number_of(job, "ingress_bytes");
	opts.gpu_us = number_of(job, "gpu_us");
	opts.disk_mb = number_of(job, "disk_mb");
	opts.snapshot_kb = number_of(job, "snapshot_kb");
	opts.snapshot_life_s = number_of(job, "snapshot_life_s");
	opts.memory_mb = job_field_number(job, "memory_mb");
	opts.vcpus = job_field_number(job, "cpu_cores");
	opts.mode = job_field(job, "mode") ? place_of(modes, job_field(job, "mode")) + 1 : 0;
	int code = nova_usage_estimate(job_nova(job), &opts, &made, &error);
	answer_bill(job, code, made, error);
}

const struct job_verb verb_usage_list = { .name = "list", .work = list };
const struct job_verb verb_usage_bill = { .name = "bill", .work = bill };
const struct job_verb verb_usage_estimate = { .name = "estimate", .work = estimate };
