/* SPDX-License-Identifier: MIT */
/*
 * Functions: list, create, get, replace, delete. What a key registers is its own: the store keeps
 * that as a label, which nobody sees and nobody else sets.
 */
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
		{ "rate", KIND_NUMBER, "calls in each rate_period_ms", .max = 1000000 },           \
		{ "rate_period_ms", KIND_NUMBER, "1000, unless given", .max = 86400000 },          \
		{ "rate_burst", KIND_NUMBER, "calls at once after a pause", .max = 1000000 },      \
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

/* Who may call it need not know what it is given. */
json_t *function_json(const struct job *job, const nova_function_t *function)
{
	char *text = need(nova_function_to_json(function));
	json_t *json = need(json_loads(text, 0, NULL));
	nova_free(text);
	json_object_del(json_object_get(json, "labels"), OWNER_LABEL);
	if (job_is_admin(job))
		json_object_set_new(json, "owner", json_string(function_owner(function)));
	else if (function_is_own(job, function))
		secrets_as_given(job, json_object_get(json, "env_vars"));
	else
		json_object_del(json, "env_vars");
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
	job_answer(job, function_json(job, function));
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
	const char *wanted = condition(job, "If-Match");
	*ret_updated_us = 0;
	if (!wanted)
		return true;
	nova_function_t *function = function_find(job, name);
	if (!function)
		return false;
	bool same = matches(wanted, function);
	*ret_updated_us = strcmp(wanted, "*") ? nova_function_updated_us(function) : 0;
	nova_function_free(function);
	if (!same)
		refuse_changed(job, name);
	return same;
}

/* --- creating and replacing --- */

struct lists {
	char **env, **labels;
	struct bytes code;
	const char **reset;
};

static void lists_done(struct lists *lists)
{
	pairs_free(lists->env);
	pairs_free(lists->labels);
	bytes_free(&lists->code);
	free(lists->reset);
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
	opts->rate = job_field_number(job, "rate");
	opts->rate_period_ms = job_field_number(job, "rate_period_ms");
	opts->rate_burst = job_field_number(job, "rate_burst");
	opts->check = check_of(job_field(job, "check"));
	opts->flags =
		NOVA_REGISTER_TEMPLATE |
		(json_is_true(json_object_get(fields, "in_place")) ? NOVA_REGISTER_IN_PLACE : 0) |
		(json_is_true(json_object_get(fields, "keep_tmp")) ? NOVA_REGISTER_KEEP_TMP : 0);
	lists->env = pairs_of(json_object_get(fields, "env_vars"), &opts->env_count);
	secrets_own(job, lists->env);
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

/* --- whose it is --- */

static void refuse_name(struct job *job, const char *name)
{
	job_problem(job, 409, "exists", "the name '%.64s' is taken", name);
}

/* The owner of the function of that name, in `owner`; of none, who asks. False: it has been
 * answered that it is somebody else's, or why that cannot be seen. */
static bool find_owner(struct job *job, const char *name, char owner[OWNER_SIZE], bool *ret_exists)
{
	nova_error_t *error = NULL;
	nova_function_t *function = NULL;
	int code = nova_function_get(job_nova(job), name, &function, &error);
	bool is_own = code == 0 && function_is_own(job, function);
	*ret_exists = code == 0;
	snprintf(owner, OWNER_SIZE, "%s", code == 0 ? function_owner(function) : job_owner(job));
	if (code == 0 && !is_own)
		refuse_name(job, name);
	else if (code != 0 && code != NOVA_ENOTFOUND)
		job_fail_by(job, error);
	nova_function_free(function);
	nova_error_free(error);
	return is_own || code == NOVA_ENOTFOUND;
}

/* All keys use what has such a name. */
static bool is_of_server(const char *name)
{
	return !strncmp(name, MODES_PREFIX, strlen(MODES_PREFIX)) || !strcmp(name, PLUG_HOLDER) ||
	       !strcmp(name, "base");
}

/* False: it has been answered that this is for novad, or who runs it. */
static bool check_names(struct job *job, const char *name, const struct lists *lists)
{
	if (!job_is_admin(job) && is_of_server(name)) {
		job_problem(job, 400, "invalid",
			"the name '%.64s' is for this server: those of code that is executed begin "
			"with '" MODES_PREFIX "', '" PLUG_HOLDER "' keeps what is plugged, and "
			"'base' is the template of sandboxes",
			name);
		return false;
	}
	for (char **at = lists->labels; at && *at; at++)
		if (owner_is_label(*at)) {
			job_problem(job, 400, "invalid",
				"labels that begin with 'novad.' are set "
				"by nobody");
			return false;
		}
	return true;
}

static void own(struct lists *lists, nova_function_opts *opts, const char *owner)
{
	char *label = owner_label(owner);
	size_t count = opts->labels_count;
	if (!label)
		return;
	lists->labels = need(realloc(lists->labels, (count + 2) * sizeof(*lists->labels)));
	lists->labels[count] = label;
	lists->labels[count + 1] = NULL;
	opts->labels = (const char *const *)lists->labels;
	opts->labels_count = count + 1;
}

/* --- storing --- */

/* Of the function that is there, if the moment is not 0: only if it is as it was then. */
static void store(struct job *job, const char *name, const char *owner, uint32_t flags,
	uint64_t if_updated_us)
{
	nova_error_t *error = NULL;
	nova_function_t *function = NULL;
	CLEANUP(lists_done) struct lists lists = { 0 };
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	bool replaces = job_path(job, "id")[0];
	take(job, &opts, &lists);
	if (!check_names(job, name, &lists))
		return;
	own(&lists, &opts, owner);
	opts.name = name;
	opts.flags |= flags;
	opts.if_updated_us = if_updated_us;
	int code = nova_function_register(job_nova(job), &opts, &function, &error);
	if (code != 0 || function_is_own(job, function)) {
		answer_stored(job, code, replaces ? 200 : 201, &opts, function, error);
		return;
	}
	refuse_name(job, name); /* somebody was faster, with the same */
	nova_function_free(function);
}

static void create(struct job *job)
{
	bool exists;
	char owner[OWNER_SIZE];
	const char *name = job_field(job, "name");
	if (find_owner(job, name, owner, &exists))
		store(job, name, owner, 0, 0);
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

/* One that is new replaces nothing: whoever is faster has the name. */
static void replace(struct job *job)
{
	bool exists;
	char owner[OWNER_SIZE];
	uint64_t updated_us;
	const char *name = job_path(job, "id");
	if (find_owner(job, name, owner, &exists) && is_meant(job, name, &updated_us))
		store(job, name, owner, exists ? NOVA_REGISTER_REPLACE : 0, updated_us);
}

static bool is_zero(const struct job *job, const char *name)
{
	const json_t *value = json_object_get(job_fields(job), name);
	return json_is_integer(value) && json_integer_value(value) == 0;
}

/* For the library, 0 of these is not given. Without a rate the others have no meaning. */
static void reset_zeroes(const struct job *job, struct lists *lists, size_t *count)
{
	static const char *const names[] = { "rate", "rate_period_ms", "rate_burst",
		"min_replicas" };
	bool no_rate = is_zero(job, "rate");
	lists->reset =
		need(realloc(lists->reset, (*count + ARRAY_LEN(names)) * sizeof(*lists->reset)));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (is_zero(job, names[i]) || (no_rate && i < 3))
			lists->reset[(*count)++] = names[i];
}

/* What it is to have its defaults again for. Its owner is no default. */
static void take_reset(const struct job *job, nova_function_update_opts *opts, struct lists *lists,
	nova_function_opts *change, const char *owner)
{
	bool resets_labels = false;
	size_t kept = 0;
	lists->reset = texts_of(json_object_get(job_fields(job), "reset"), &opts->reset_count);
	reset_zeroes(job, lists, &opts->reset_count);
	for (size_t i = 0; *owner && i < opts->reset_count; i++)
		if (!strcmp(lists->reset[i], "labels"))
			resets_labels = true;
		else
			lists->reset[kept++] = lists->reset[i];
	if (*owner)
		opts->reset_count = kept;
	opts->reset = lists->reset;
	if (change->labels_count || resets_labels)
		own(lists, change, owner);
}

static void update(struct job *job)
{
	nova_error_t *error = NULL;
	nova_function_t *function = NULL;
	CLEANUP(lists_done) struct lists lists = { 0 };
	nova_function_opts change = NOVA_FUNCTION_OPTS_INIT;
	nova_function_update_opts opts = NOVA_FUNCTION_UPDATE_OPTS_INIT;
	bool exists;
	char owner[OWNER_SIZE];
	const char *name = job_path(job, "id");
	uint64_t updated_us;
	if (!find_owner(job, name, owner, &exists) || !is_meant(job, name, &updated_us))
		return;
	take(job, &change, &lists);
	if (!check_names(job, name, &lists))
		return;
	change.if_updated_us = updated_us;
	take_reset(job, &opts, &lists, &change, owner);
	opts.change = &change;
	int code = nova_function_update(job_nova(job), name, &opts, &function, &error);
	answer_stored(job, code, 200, &change, function, error);
}

/* --- reading and deleting --- */

static void get(struct job *job)
{
	const char *known = condition(job, "If-None-Match");
	nova_function_t *function = function_find(job, job_path(job, "id"));
	if (function)
		function_answer(job, 200, function);
	if (function && known && matches(known, function)) {
		json_object_del(job_reply(job), "body");
		job_status(job, 304);
	}
	nova_function_free(function);
}

/* What a page may have of JSON. A function may have 64 KiB of variables, and thousands may be asked
 * for at once: all of them would be in memory, twice. */
#define PAGE_BYTES (4u << 20)
#define PORTION    64u /* of functions that are read at once */

/* Those of a portion that are there for who asks. False: the page is full. */
static bool add_shown(
	struct job *job, struct function_page *page, nova_function_t **all, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!function_is_shown(job, all[i]))
			continue;
		if (json_array_size(page->list) == page->most || page->bytes >= PAGE_BYTES)
			return false;
		json_t *one = page->describe(job, all[i]);
		page->bytes += json_dumpb(one, NULL, 0, JSON_COMPACT);
		json_array_append_new(page->list, one);
		snprintf(page->last, sizeof(page->last), "%s", nova_function_name(all[i]));
	}
	return true;
}

bool functions_page(
	struct job *job, struct function_page *page, const char *label, const char *after)
{
	bool more = true, room = true;
	char behind[65];
	nova_error_t *error = NULL;
	page->list = need(json_array());
	while (more && room && !error && !job_is_canceled(job)) {
		size_t count = 0;
		nova_function_t **all = NULL;
		nova_function_list_opts opts = NOVA_FUNCTION_LIST_OPTS_INIT;
		opts.labels = &label;
		opts.labels_count = label != NULL;
		opts.after = after;
		opts.limit = page->most < PORTION ? (uint32_t)page->most + 1 : PORTION;
		nova_function_list(job_nova(job), &opts, &all, &count, &error);
		more = count == opts.limit;
		room = add_shown(job, page, all, count);
		if (count)
			snprintf(behind, sizeof(behind), "%s", nova_function_name(all[count - 1]));
		after = behind;
		nova_function_list_free(all, count);
	}
	page->is_last = room && !more; /* more: novad ends */
	if (error)
		job_fail_by(job, error);
	bool done = !error;
	nova_error_free(error);
	return done;
}

static void list(struct job *job)
{
	const char *label = job_query(job, "label"), *limit = job_query(job, "limit");
	struct function_page page = { .describe = function_json };
	page.most = limit ? strtoul(limit, NULL, 10) : PAGE;
	if (label && owner_is_label(label))
		label = "novad."; /* which nobody has */
	if (functions_page(job, &page, label, job_query(job, "cursor")))
		job_answer(job, json_pack("{s:O,s:s?}", "functions", page.list, "next_cursor",
					page.is_last ? NULL : page.last));
	json_decref(page.list);
}

/* Why it has not been deleted: somebody may be using it, or it is not what it was then. */
static bool has_changed(struct job *job, const char *name, uint64_t since_us)
{
	nova_function_t *function = NULL;
	int code = nova_function_get(job_nova(job), name, &function, NULL);
	bool changed = code == NOVA_ENOTFOUND ||
		       (code == 0 && nova_function_updated_us(function) != since_us);
	nova_function_free(function);
	return changed;
}

static void drop(struct job *job)
{
	nova_error_t *error = NULL;
	nova_function_delete_opts opts = NOVA_FUNCTION_DELETE_OPTS_INIT;
	const char *name = job_path(job, "id"), *force = job_query(job, "force");
	if (!is_unchanged(job, name, &opts.if_updated_us))
		return;
	opts.flags = force && !strcmp(force, "true") ? NOVA_DELETE_FORCE : 0;
	int code = nova_function_delete_with(job_nova(job), name, &opts, &error);
	if (code == NOVA_EBUSY && opts.if_updated_us && has_changed(job, name, opts.if_updated_us))
		refuse_changed(job, name);
	else if (code != 0)
		job_fail_by(job, error);
	else
		job_status(job, 204);
	nova_error_free(error);
}

const struct job_verb verb_function_list = { .name = "list", .work = list };
const struct job_verb verb_function_create = { .name = "create", .work = create };
const struct job_verb verb_function_get = { .name = "get", .work = get };
const struct job_verb verb_function_replace = { .name = "replace", .work = replace };
VERB_OF_FUNCTION(verb_function_update, "update", work_on_own_function, update);
VERB_OF_FUNCTION(verb_function_delete, "delete", work_on_own_function, drop);
