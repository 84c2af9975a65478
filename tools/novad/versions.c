/* SPDX-License-Identifier: MIT */
/* Versions of functions and their aliases: publish, list, point, roll back, delete. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"

const struct field alias_fields[] = {
	{ "version", KIND_NUMBER, "the published version that it points at", true, .min = 1,
		.max = UINT32_MAX },
	{ "second", KIND_NUMBER, "another one, which shares the calls", .max = UINT32_MAX },
	{ "weight", KIND_NUMBER, "of 100 calls so many go to the second", .max = 99 },
	{ NULL },
};

static const char *function_of(const struct job *job)
{
	return job_path(job, "id");
}

static const char *name_of(const struct job *job)
{
	return job_path(job, "alias");
}

/* Of a call of the library that has failed. */
static void fail(struct job *job, nova_error_t *error)
{
	job_fail_by(job, error);
	nova_error_free(error);
}

/* --- versions --- */

static void publish(struct job *job)
{
	nova_error_t *error = NULL;
	nova_function_t *function = NULL;
	if (nova_function_publish(job_nova(job), function_of(job), &function, &error) != 0)
		fail(job, error);
	else
		function_answer(job, 201, function);
	nova_function_free(function);
}

static void list_versions(struct job *job)
{
	size_t count = 0;
	nova_error_t *error = NULL;
	nova_function_t **all = NULL;
	if (nova_function_list_versions(job_nova(job), function_of(job), &all, &count, &error) !=
		0) {
		fail(job, error);
		return;
	}
	json_t *list = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, function_json(job, all[i]));
	job_answer(job, json_pack("{s:o}", "versions", list));
	nova_function_list_free(all, count);
}

/* --- aliases --- */

static json_t *alias_json(const nova_alias *alias)
{
	return need(json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "function", alias->function, "name",
		alias->name, "version", (json_int_t)alias->version, "second",
		(json_int_t)alias->second, "weight", (json_int_t)alias->weight, "created_us",
		(json_int_t)alias->created_us, "updated_us", (json_int_t)alias->updated_us));
}

static void list_aliases(struct job *job)
{
	size_t count = 0;
	nova_error_t *error = NULL;
	const nova_alias **all = NULL;
	if (nova_alias_list(job_nova(job), function_of(job), &all, &count, &error) != 0) {
		fail(job, error);
		return;
	}
	json_t *list = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, alias_json(all[i]));
	job_answer(job, json_pack("{s:o}", "aliases", list));
	nova_alias_list_free(all, count);
}

static void get_alias(struct job *job)
{
	nova_error_t *error = NULL;
	const nova_alias *alias = NULL;
	if (nova_alias_get(job_nova(job), function_of(job), name_of(job), &alias, &error) != 0)
		fail(job, error);
	else
		job_answer(job, alias_json(alias));
	nova_alias_free(alias);
}

static void set(struct job *job, nova_alias_opts *opts)
{
	nova_error_t *error = NULL;
	const nova_alias *alias = NULL;
	opts->function = function_of(job);
	opts->name = name_of(job);
	if (nova_alias_set(job_nova(job), opts, &alias, &error) != 0)
		fail(job, error);
	else
		job_answer(job, alias_json(alias));
	nova_alias_free(alias);
}

static void put_alias(struct job *job)
{
	nova_alias_opts opts = NOVA_ALIAS_OPTS_INIT;
	opts.version = job_field_number(job, "version");
	opts.second = job_field_number(job, "second");
	opts.weight = job_field_number(job, "weight");
	set(job, &opts);
}

/* 0: there is none, or it has been answered why not. */
static uint32_t version_before(struct job *job, uint32_t version)
{
	size_t count = 0;
	uint32_t before = 0;
	nova_error_t *error = NULL;
	nova_function_t **all = NULL;
	if (nova_function_list_versions(job_nova(job), function_of(job), &all, &count, &error) !=
		0) {
		fail(job, error);
		return 0;
	}
	for (size_t i = 0; i < count && nova_function_version(all[i]) < version; i++)
		before = nova_function_version(all[i]);
	nova_function_list_free(all, count);
	if (!before)
		job_problem(job, 409, "busy", "there is no published version before %u", version);
	return before;
}

static void roll_back(struct job *job)
{
	nova_error_t *error = NULL;
	const nova_alias *alias = NULL;
	nova_alias_opts opts = NOVA_ALIAS_OPTS_INIT;
	if (nova_alias_get(job_nova(job), function_of(job), name_of(job), &alias, &error) != 0) {
		fail(job, error);
		return;
	}
	opts.version = version_before(job, alias->version);
	nova_alias_free(alias);
	if (opts.version)
		set(job, &opts);
}

static void drop_alias(struct job *job)
{
	nova_error_t *error = NULL;
	if (nova_alias_delete(job_nova(job), function_of(job), name_of(job), &error) != 0)
		fail(job, error);
	else
		job_status(job, 204);
}

VERB_OF_FUNCTION(verb_version_publish, "publish", work_on_own_function, publish);
VERB_OF_FUNCTION(verb_version_list, "list", work_on_shown_function, list_versions);
VERB_OF_FUNCTION(verb_alias_list, "list", work_on_shown_function, list_aliases);
VERB_OF_FUNCTION(verb_alias_get, "get", work_on_shown_function, get_alias);
VERB_OF_FUNCTION(verb_alias_put, "put", work_on_own_function, put_alias);
VERB_OF_FUNCTION(verb_alias_rollback, "rollback", work_on_own_function, roll_back);
VERB_OF_FUNCTION(verb_alias_delete, "delete", work_on_own_function, drop_alias);
