/* SPDX-License-Identifier: MIT */
/* Jobs, where no server is set; with one: server.c. */
#include "inject.h"

static int submit(nova_error_t **error)
{
	nova_job_t *job = NULL;
	int code = nova_job_submit(world.nova, "f", "{}", NULL, &job, error);
	nova_job_free(job);
	return code;
}

static int perform(nova_error_t **error)
{
	nova_job_t *job = NULL;
	return nova_job_perform(world.nova, 0, NULL, &job, error);
}

static int get(nova_error_t **error)
{
	nova_job_t *job = NULL;
	int code = nova_job_get(world.nova, "00000000-0000-4000-8000-000000000000", &job, error);
	nova_job_free(job);
	return code;
}

static int list(nova_error_t **error)
{
	nova_job_t **jobs = NULL;
	size_t count = 0;
	uint64_t next = 0;
	int code = nova_job_list(world.nova, NULL, &jobs, &count, &next, error);
	nova_job_list_free(jobs, count);
	return code;
}

/* Of none. */
static int look(nova_error_t **error)
{
	char *text = nova_job_to_json(NULL);
	bool none = !*nova_job_id(NULL) && !*nova_job_error(NULL) && !*nova_job_owner(NULL) &&
		    !nova_job_output(NULL, NULL);
	(void)error;
	nova_free(text);
	return none ? nova_job_state(NULL) : 0;
}

const struct inject_case job_cases[] = {
	{ "nova_job_submit nova_job_free", NULL, NULL, submit, NULL, .expected = NOVA_ENOTSUP },
	{ "nova_job_perform", NULL, NULL, perform, NULL, .expected = NOVA_ENOTSUP },
	{ "nova_job_get", NULL, NULL, get, NULL, .expected = NOVA_ENOTSUP },
	{ "nova_job_list nova_job_list_free", NULL, NULL, list, NULL, .expected = NOVA_ENOTSUP },
	{ "nova_job_to_json nova_job_id nova_job_error nova_job_output nova_job_state "
	  "nova_job_owner",
		NULL, NULL, look, NULL, .expected = NOVA_EINVAL, .silent = true },
	{ NULL },
};
