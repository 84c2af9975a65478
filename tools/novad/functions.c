/* SPDX-License-Identifier: MIT */
/* Functions: list, create, get, replace, delete. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"

#define CODE_MAX (64 << 20)
#define PAGE     100

static const char *const checks[] = { "auto", "always", "never", NULL }; /* as enum nova_check */

#define FUNCTION_FIELDS(name_is_needed, runtime_is_needed)                                         \
	{ "name", KIND_TEXT, "its name", name_is_needed, .max = 64 },                              \
		{ "runtime", KIND_TEXT, "python, node, shell, ..., or one of your own",            \
			runtime_is_needed },                                                       \
		{ "code", KIND_TEXT, "the code, as a text", .max = CODE_MAX },                     \
		{ "code_base64", KIND_BYTES, "or as bytes" },                                      \
		{ "handler", KIND_TEXT, "what is called, as module.function" },                    \
		{ "memory_mb", KIND_NUMBER, "memory of its guests", .min = 64, .max = 65536 },     \
		{ "timeout_s", KIND_NUMBER, "time limit of a call", .min = 1, .max = 86400 },      \
		{ "vcpus", KIND_NUMBER, "virtual processors", .min = 1, .max = 32 },               \
		{ "min_replicas", KIND_NUMBER, "VMs that are kept warm", .max = 1000 },            \
		{ "concurrency", KIND_NUMBER, "calls in one VM at once", .min = 1, .max = 16 },    \
		{ "env_vars", KIND_PAIRS, "variables of the environment" },                        \
		{ "labels", KIND_PAIRS, "for lists and bills" },                                   \
		{ "network", KIND_TEXT, "none or nat" },                                           \
		{ "in_place", KIND_FLAG, "calls run in the interpreter itself" },                  \
		{ "keep_tmp", KIND_FLAG, "calls find what those before have left in /tmp" },       \
	{                                                                                          \
		"check", KIND_TEXT, "whether it is loaded first", .choices = checks                \
	}

const struct field function_fields[] = { FUNCTION_FIELDS(true, true), { NULL } };
const struct field function_put_fields[] = { FUNCTION_FIELDS(false, true), { NULL } };
const struct field function_patch_fields[] = {
	FUNCTION_FIELDS(false, false),
	{ "reset", KIND_TEXTS, "what is to have its default again, as memory_mb, env or handler" },
	{ NULL },
};

const struct field list_query[] = {
	{ "limit", KIND_NUMBER, "at most so many", .min = 1, .max = 1000 },
	{ "cursor", KIND_TEXT, "what the page before gave as next_cursor" },
	{ "label", KIND_TEXT, "only those with this label: KEY or KEY=VALUE" },
	{ NULL },
};

static const char *const yes_or_no[] = { "true", "false", NULL };
const struct field delete_query[] = {
	{ "force", KIND_TEXT, "true: also its versions, or a version that an alias points at",
		.choices = yes_or_no },
	{ NULL },
};

/* --- what is told of one --- */

json_t *function_json(const nova_function_t *function)
{
	char *text = need(nova_function_to_json(function));
	json_t *json = need(json_loads(text, 0, NULL));
	nova_free(text);
	return json;
}

static void etag_of(const nova_function_t *function, char *out, size_t size)
{
	snprintf(out, size, "\"%u-%llx\"", nova_function_version(function),
		(unsigned long long)nova_function_updated_us(function));
}

void function_answer(struct job *job, unsigned status, const nova_function_t *function)
{
	char etag[64];
	etag_of(function, etag, sizeof(etag));
	job_header(job, "ETag", etag);
	job_status(job, status);
	job_answer(job, function_json(function));
}

static const char *condition(const struct job *job, const char *name)
{
	return json_string_value(json_object_get(job_options(job), name));
}

static bool matches(const char *condition, const nova_function_t *function)
{
	char etag[64];
	etag_of(function, etag, sizeof(etag));
	return !strcmp(condition, "*") || strstr(condition, etag);
}

static void refuse_changed(struct job *job, const char *name)
{
	job_problem(job, 412, "changed", "function '%s' is not what If-Match names", name);
}

/* False: it has been answered that it is not, or that it is none any more. The moment is that of
 * the state it was found in, so that who changes it meanwhile is not overwritten; 0: it may be in
 * any. */
static bool is_unchanged(struct job *job, const char *name, uint64_t *ret_updated_us)
{
	nova_error_t *error = NULL;
	nova_function_t *function = NULL;
	const char *wanted = condition(job, "If-Match");
	*ret_updated_us = 0;
	if (!wanted)
		return true;
	if (nova_function_get(job_nova(job), name, &function, &error) != 0) {
		job_fail_by(job, error);
		nova_error_free(error);
		return false;
	}
	bool same = matches(wanted, function);
	*ret_updated_us = nova_function_updated_us(function);
	nova_function_free(function);
	if (!same)
		refuse_changed(job, name);
	return same;
}

/* --- creating and replacing --- */

struct lists {
	char **env, **labels;
	struct bytes code;
};

static void lists_done(struct lists *lists)
{
	pairs_free(lists->env);
	pairs_free(lists->labels);
	bytes_free(&lists->code);
}

static uint32_t check_of(const char *word)
{
	uint32_t check = 0;
	while (word && strcmp(checks[check], word) != 0)
		check++;
	return check;
}

static void take_code(const struct job *job, nova_function_opts *opts, struct lists *lists)
{
	const json_t *text = json_object_get(job_fields(job), "code");
	field_bytes(&lists->code, json_object_get(job_fields(job), "code_base64"));
	opts->code = json_is_string(text) ? json_string_value(text) : lists->code.data;
	opts->code_len = json_is_string(text) ? json_string_length(text) : lists->code.len;
}

static void take(const struct job *job, nova_function_opts *opts, struct lists *lists)
{
	const json_t *fields = job_fields(job);
	opts->runtime = job_field(job, "runtime");
	opts->handler = job_field(job, "handler");
	opts->network = job_field(job, "network");
	opts->memory_mb = job_field_number(job, "memory_mb");
	opts->timeout_s = job_field_number(job, "timeout_s");
	opts->vcpus = job_field_number(job, "vcpus");
	opts->min_replicas = job_field_number(job, "min_replicas");
	opts->concurrency = job_field_number(job, "concurrency");
	opts->check = check_of(job_field(job, "check"));
	opts->flags =
		NOVA_REGISTER_TEMPLATE |
		(json_is_true(json_object_get(fields, "in_place")) ? NOVA_REGISTER_IN_PLACE : 0) |
		(json_is_true(json_object_get(fields, "keep_tmp")) ? NOVA_REGISTER_KEEP_TMP : 0);
	lists->env = pairs_of(json_object_get(fields, "env_vars"), &opts->env_count);
	lists->labels = pairs_of(json_object_get(fields, "labels"), &opts->labels_count);
	opts->env = (const char *const *)lists->env;
	opts->labels = (const char *const *)lists->labels;
	opts->interrupt = job_interrupt(job);
	take_code(job, opts, lists);
}

/* Takes both. */
static void answer_stored(struct job *job, int code, unsigned status,
	const nova_function_opts *opts, nova_function_t *function, nova_error_t *error)
{
	if (code == 0)
		function_answer(job, status, function);
	else if (code == NOVA_EBUSY && opts->if_updated_us)
		refuse_changed(job, job_path(job, "id"));
	else if (code == NOVA_EFUNCTION) /* it is what was sent that is wrong */
		job_problem(job, 422, "function_failed", "%s", nova_error_message(error));
	else
		job_fail_by(job, error);
	nova_function_free(function);
	nova_error_free(error);
}

static void store(
	struct job *job, const char *name, uint32_t flags, uint64_t if_updated_us, unsigned status)
{
	nova_error_t *error = NULL;
	nova_function_t *function = NULL;
	CLEANUP(lists_done) struct lists lists = { 0 };
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	take(job, &opts, &lists);
	opts.name = name;
	opts.flags |= flags;
	opts.if_updated_us = if_updated_us;
	int code = nova_function_register(job_nova(job), &opts, &function, &error);
	answer_stored(job, code, status, &opts, function, error);
}

static void create(struct job *job)
{
	store(job, job_field(job, "name"), 0, 0, 201);
}

/* False: it has been answered that the function is not what the request takes it for. */
static bool is_meant(struct job *job, const char *name, uint64_t *ret_updated_us)
{
	const char *given = job_field(job, "name");
	if (given && strcmp(given, name) != 0)
		job_problem(job, 400, "invalid", "the field 'name' is not that of the path");
	else if (is_unchanged(job, name, ret_updated_us))
		return true;
	return false;
}

static void replace(struct job *job)
{
	uint64_t updated_us;
	const char *name = job_path(job, "id");
	if (is_meant(job, name, &updated_us))
		store(job, name, NOVA_REGISTER_REPLACE, updated_us, 200);
}

static void update(struct job *job)
{
	nova_error_t *error = NULL;
	nova_function_t *function = NULL;
	CLEANUP(lists_done) struct lists lists = { 0 };
	nova_function_opts change = NOVA_FUNCTION_OPTS_INIT;
	nova_function_update_opts opts = NOVA_FUNCTION_UPDATE_OPTS_INIT;
	const char *name = job_path(job, "id");
	uint64_t updated_us;
	if (!is_meant(job, name, &updated_us))
		return;
	take(job, &change, &lists);
	change.if_updated_us = updated_us;
	const char **reset = texts_of(json_object_get(job_fields(job), "reset"), &opts.reset_count);
	opts.change = &change;
	opts.reset = reset;
	int code = nova_function_update(job_nova(job), name, &opts, &function, &error);
	free(reset);
	answer_stored(job, code, 200, &change, function, error);
}

/* --- reading and deleting --- */

static void get(struct job *job)
{
	nova_error_t *error = NULL;
	nova_function_t *function = NULL;
	const char *known = condition(job, "If-None-Match");
	if (nova_function_get(job_nova(job), job_path(job, "id"), &function, &error) != 0)
		job_fail_by(job, error);
	else
		function_answer(job, 200, function);
	if (function && known && matches(known, function)) {
		json_object_del(job_reply(job), "body");
		job_status(job, 304);
	}
	nova_function_free(function);
	nova_error_free(error);
}

/* Of a list that has one more than the page, if there are more. */
static json_t *page_of(nova_function_t **all, size_t count, size_t most)
{
	json_t *list = need(json_array());
	for (size_t i = 0; i < count && i < most; i++)
		json_array_append_new(list, function_json(all[i]));
	const char *next = count > most ? nova_function_name(all[most - 1]) : NULL;
	return json_pack("{s:o,s:s?}", "functions", list, "next_cursor", next);
}

static void list(struct job *job)
{
	size_t count = 0;
	nova_error_t *error = NULL;
	nova_function_t **all = NULL;
	nova_function_list_opts opts = NOVA_FUNCTION_LIST_OPTS_INIT;
	const char *label = job_query(job, "label"), *limit = job_query(job, "limit");
	uint32_t most = limit ? (uint32_t)strtoul(limit, NULL, 10) : PAGE;
	opts.labels = &label;
	opts.labels_count = label != NULL;
	opts.after = job_query(job, "cursor");
	opts.limit = most + 1;
	if (nova_function_list(job_nova(job), &opts, &all, &count, &error) != 0)
		job_fail_by(job, error);
	else
		job_answer(job, page_of(all, count, most));
	nova_function_list_free(all, count);
	nova_error_free(error);
}

static void drop(struct job *job)
{
	nova_error_t *error = NULL;
	const char *name = job_path(job, "id");
	uint64_t updated_us;
	if (!is_unchanged(job, name, &updated_us))
		return;
	const char *force = job_query(job, "force");
	uint32_t flags = force && !strcmp(force, "true") ? NOVA_DELETE_FORCE : 0;
	if (nova_function_delete(job_nova(job), name, flags, &error) != 0)
		job_fail_by(job, error);
	else
		job_status(job, 204);
	nova_error_free(error);
}

const struct job_verb verb_function_list = { .name = "list", .work = list };
const struct job_verb verb_function_create = { .name = "create", .work = create };
const struct job_verb verb_function_get = { .name = "get", .work = get };
const struct job_verb verb_function_replace = { .name = "replace", .work = replace };
const struct job_verb verb_function_update = { .name = "update", .work = update };
const struct job_verb verb_function_delete = { .name = "delete", .work = drop };
