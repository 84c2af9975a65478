/* SPDX-License-Identifier: MIT */
/*
 * Secrets of functions: which there are, set, delete, rotate. No answer has a value in it. Those of
 * a key, but an admin, have its mark before their names, so that each has names of its own and
 * nobody names those of another.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nova/secret.h>

#include "routes.h"

#define VALUE_MAX    65536 /* as nova/secret.h says */
#define NAME_LONGEST 64
#define REFERENCE    "=$SECRET:"
#define MARK_SIZE    (2 + 16 + 1) /* "k", digits of the owner, "." */

const struct field secret_fields[] = {
	{ "value", KIND_TEXT, "what functions are given; no answer has it", true,
		.max = VALUE_MAX },
	{ NULL },
};

/* --- whose they are --- */

/* "" of an admin's. */
static void mark_of(const struct job *job, char mark[MARK_SIZE])
{
	*mark = 0;
	if (!job_is_admin(job))
		snprintf(mark, MARK_SIZE, "k%.16s.", job_owner(job));
}

void secrets_own(const struct job *job, char **env)
{
	char mark[MARK_SIZE], *own;
	mark_of(job, mark);
	for (; *mark && *env; env++) {
		char *equals = strchr(*env, '=');
		if (strncmp(equals, REFERENCE, strlen(REFERENCE)) != 0)
			continue;
		const char *name = equals + strlen(REFERENCE);
		if (asprintf(&own, "%.*s%s%s", (int)(name - *env), *env, mark, name) < 0)
			need(NULL);
		free(*env);
		*env = own;
	}
}

void secrets_as_given(const struct job *job, json_t *env)
{
	char mark[MARK_SIZE], reference[MARK_SIZE + sizeof(REFERENCE)];
	const char *name;
	json_t *value;
	mark_of(job, mark);
	size_t skip = strlen(REFERENCE) - 1;
	size_t len = (size_t)snprintf(reference, sizeof(reference), "%s%s", REFERENCE + 1, mark);
	json_object_foreach(
		env, name, value) if (*mark && !strncmp(json_string_value(value), reference, len))
		json_object_set_new(env, name,
			json_sprintf("%s%s", REFERENCE + 1,
				json_string_value(value) + skip + strlen(mark)));
}

/* The name in the store, which the caller frees. NULL: it has been answered that it is too long. */
static char *stored_name(struct job *job)
{
	char mark[MARK_SIZE], *stored;
	const char *name = job_path(job, "name");
	mark_of(job, mark);
	if (strlen(mark) + strlen(name) > NAME_LONGEST && *mark) {
		job_problem(job, 400, "invalid", "the name of a secret has at most %zu characters",
			NAME_LONGEST - strlen(mark));
		return NULL;
	}
	if (asprintf(&stored, "%s%s", mark, name) < 0)
		need(NULL);
	return stored;
}

/* --- calls --- */

/* Of a call of the library that has failed. */
static void fail(struct job *job, nova_error_t *error)
{
	job_fail_by(job, error);
	nova_error_free(error);
}

static json_t *secret_json(const nova_secret *secret, size_t skip)
{
	return need(json_pack("{s:s,s:s,s:I,s:I}", "name", secret->name + skip, "key_id",
		secret->key_id, "created_us", (json_int_t)secret->created_us, "updated_us",
		(json_int_t)secret->updated_us));
}

static void list(struct job *job)
{
	char mark[MARK_SIZE];
	size_t count = 0;
	nova_error_t *error = NULL;
	const nova_secret **all = NULL;
	if (nova_secret_list(job_nova(job), &all, &count, &error) != 0) {
		fail(job, error);
		return;
	}
	json_t *secrets = need(json_array());
	mark_of(job, mark);
	for (size_t i = 0; i < count; i++)
		if (!strncmp(all[i]->name, mark, strlen(mark)))
			json_array_append_new(secrets, secret_json(all[i], strlen(mark)));
	job_answer(job, json_pack("{s:o}", "secrets", secrets));
	nova_secret_list_free(all, count);
}

static void set(struct job *job)
{
	nova_error_t *error = NULL;
	char *name = stored_name(job);
	char *value = (char *)(uintptr_t)job_field(job, "value");
	size_t len = strlen(value);
	int code = name ? nova_secret_set(job_nova(job), name, value, len, &error) : 0;
	explicit_bzero(value, len);
	if (code != 0)
		fail(job, error);
	else if (name)
		job_status(job, 204);
	free(name);
}

static void delete_one(struct job *job)
{
	nova_error_t *error = NULL;
	char *name = stored_name(job);
	int code = name ? nova_secret_delete(job_nova(job), name, &error) : 0;
	if (code == NOVA_ENOTFOUND)
		job_problem(
			job, 404, "not_found", "there is no secret '%.64s'", job_path(job, "name"));
	else if (code != 0)
		job_fail_by(job, error);
	else if (name)
		job_status(job, 204);
	nova_error_free(error);
	free(name);
}

static void rotate(struct job *job)
{
	size_t count = 0;
	nova_error_t *error = NULL;
	if (!job_is_admin(job))
		refuse_shared(job, "the file with the keys of secrets");
	else if (nova_secret_rotate(job_nova(job), &count, &error) != 0)
		fail(job, error);
	else
		job_answer(job, json_pack("{s:I}", "rotated", (json_int_t)count));
}

const struct job_verb verb_secret_list = { .name = "list", .work = list };
const struct job_verb verb_secret_set = { .name = "set", .work = set };
const struct job_verb verb_secret_delete = { .name = "delete", .work = delete_one };
const struct job_verb verb_secret_rotate = { .name = "rotate", .work = rotate };
