/* SPDX-License-Identifier: MIT */
/* Secrets of functions: which there are, set, delete, rotate. No answer has a value in it. */
#include <string.h>

#include <nova/secret.h>

#include "routes.h"

#define VALUE_MAX 65536 /* as nova/secret.h says */

const struct field secret_fields[] = {
	{ "value", KIND_TEXT, "what functions are given; no answer has it", true,
		.max = VALUE_MAX },
	{ NULL },
};

/* Of a call of the library that has failed. */
static void fail(struct job *job, nova_error_t *error)
{
	job_fail_by(job, error);
	nova_error_free(error);
}

static void list(struct job *job)
{
	size_t count = 0;
	nova_error_t *error = NULL;
	const nova_secret **all = NULL;
	if (nova_secret_list(job_nova(job), &all, &count, &error) != 0) {
		fail(job, error);
		return;
	}
	json_t *secrets = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(secrets,
			need(json_pack("{s:s,s:s,s:I,s:I}", "name", all[i]->name, "key_id",
				all[i]->key_id, "created_us", (json_int_t)all[i]->created_us,
				"updated_us", (json_int_t)all[i]->updated_us)));
	job_answer(job, json_pack("{s:o}", "secrets", secrets));
	nova_secret_list_free(all, count);
}

static void set(struct job *job)
{
	nova_error_t *error = NULL;
	char *value = (char *)(uintptr_t)job_field(job, "value");
	size_t len = strlen(value);
	int code = nova_secret_set(job_nova(job), job_path(job, "name"), value, len, &error);
	explicit_bzero(value, len);
	if (code != 0)
		fail(job, error);
	else
		job_status(job, 204);
}

static void delete_one(struct job *job)
{
	nova_error_t *error = NULL;
	if (nova_secret_delete(job_nova(job), job_path(job, "name"), &error) != 0)
		fail(job, error);
	else
		job_status(job, 204);
}

static void rotate(struct job *job)
{
	size_t count = 0;
	nova_error_t *error = NULL;
	if (nova_secret_rotate(job_nova(job), &count, &error) != 0)
		fail(job, error);
	else
		job_answer(job, json_pack("{s:I}", "rotated", (json_int_t)count));
}

const struct job_verb verb_secret_list = { .name = "list", .work = list };
const struct job_verb verb_secret_set = { .name = "set", .work = set };
const struct job_verb verb_secret_delete = { .name = "delete", .work = delete_one };
const struct job_verb verb_secret_rotate = { .name = "rotate", .work = rotate };
