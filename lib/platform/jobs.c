/* SPDX-License-Identifier: MIT */
/* The calls of nova/job.h that need a platform. */
#include <nova/job.h>

#include "platform/platform.h"

#define KEY_MOST      200u /* also of an owner */
#define ATTEMPTS      3u
#define ATTEMPTS_MOST 100u
#define LEASE_LEAST   1000u
#define LEASE_MOST    86400000u
#define LEASE_MORE_MS 300000u
#define KEEP_S        86400u
#define KEEP_MOST     2592000u
#define PAGE          100u
#define PAGE_MOST     1000u
#define STATES        ((1u << (NOVA_JOB_DEAD + 1)) - 1)

static int check_jobs(nova_t *nova, nova_error_t **error)
{
	int code = registry_check_process(&nova->registry, error);
	if (code == 0 && !nova->jobs)
		code = nova_fail(error, NOVA_ENOTSUP,
			"jobs wait in Redis, and none is set: setting 'redis.addr'");
	return code;
}

/* --- handing in --- */

static int check_most(const char *name, uint32_t value, uint32_t most, nova_error_t **error)
{
	return value <= most ? 0 :
			       nova_fail(error, NOVA_EINVAL, "%s is %u; at most %u is possible",
				       name, value, most);
}

static int check_text(const char *name, const char *text, nova_error_t **error)
{
	size_t len = text ? strlen(text) : 1;
	return len && len <= KEY_MOST && (!text || text_is_utf8(text)) ?
		       0 :
		       nova_fail(error, NOVA_EINVAL, "%s: it has 1 to %u bytes of UTF-8", name,
			       KEY_MOST);
}

static int check_label(const char *label, nova_error_t **error)
{
	const struct text_list one = { (char **)(uintptr_t)&label, 1 };
	if (label && !strchr(label, '='))
		return nova_fail(error, NOVA_EINVAL, "if_label: it is not KEY=VALUE");
	return label ? check_wanted_labels(&one, error) : 0;
}

/* With the defaults in it, but for the lease. */
static int check(nova_job_opts *o, nova_error_t **error)
{
	int code = check_text("key", o->key, error);
	if (code == 0)
		code = check_text("owner", o->owner, error);
	if (code == 0)
		code = check_label(o->if_label, error);
	if (code == 0)
		code = check_most("attempts", o->attempts, ATTEMPTS_MOST, error);
	if (code == 0)
		code = check_most("lease_ms", o->lease_ms, LEASE_MOST, error);
	if (code == 0)
		code = check_most("keep_s", o->keep_s, KEEP_MOST, error);
	if (code == 0 && o->lease_ms && o->lease_ms < LEASE_LEAST)
		code = nova_fail(error, NOVA_EINVAL, "lease_ms is %u; %u is the least", o->lease_ms,
			LEASE_LEAST);
	o->attempts = o->attempts ? o->attempts : ATTEMPTS;
	o->keep_s = o->keep_s ? o->keep_s : KEEP_S;
	return code < 0 ? code : opts_reserved(o->reserved, "nova_job_opts", error);
}

/* The function is there, and the payload one that it can be given. */
static int check_call(
	nova_t *nova, const char *name, const char *payload, nova_job_opts *o, nova_error_t **error)
{
	AUTO_EXEC struct vm_exec exec = { 0 };
	AUTO_FUNCTION nova_function_t *function = NULL;
	char usage_key[USAGE_TEXT + 1];
	int code = registry_lookup(&nova->registry, name, &function, error);
	if (code == 0)
		code = meter_check_key(o->usage_key, usage_key, error);
	if (code < 0)
		return code;
	exec.client_context = o->client_context;
	uint32_t limit_ms = function->record.config.timeout_s * 1000u;
	if (!o->lease_ms)
		o->lease_ms = limit_ms + LEASE_MORE_MS;
	return vm_exec_prepare(&exec, payload, strlen(payload), limit_ms, NULL, error);
}

static nova_job_t *job_new(const char *function, const char *payload, const nova_job_opts *o)
{
	nova_job_t *job = calloc(1, sizeof(*job));
	if (!job)
		return NULL;
	job->function = strdup(function);
	job->payload = strdup(payload);
	job->key = strdup(o->key ? o->key : "");
	job->output = strdup("");
	job->error = strdup("");
	job->usage_key = strdup(o->usage_key ? o->usage_key : "");
	job->context = strdup(o->client_context ? o->client_context : "");
	job->owner = strdup(o->owner ? o->owner : "");
	job->if_label = strdup(o->if_label ? o->if_label : "");
	job->most = o->attempts;
	job->lease_ms = o->lease_ms;
	job->keep_s = o->keep_s;
	if (job->function && job->payload && job->key && job->output && job->error &&
		job->usage_key && job->context && job->owner && job->if_label)
		return job;
	nova_job_free(job);
	return NULL;
}

static void job_freep(nova_job_t **job)
{
	nova_job_free(*job);
}
#define AUTO_JOB CLEANUP(job_freep)

static int submit(nova_t *nova, nova_job_t *job, nova_job_t **ret_job, nova_error_t **error)
{
	char id[JOB_ID];
	int os = random_uuid(job->id);
	if (os < 0)
		return nova_fail_os(error, os, "cannot get random bytes");
	memcpy(id, job->id, JOB_ID);
	int code = jobs_submit(nova->jobs, job, error);
	if (code == 0 && ret_job && strcmp(id, job->id) != 0)
		code = jobs_get(nova->jobs, job->id, ret_job, error);
	return code;
}

int nova_job_submit(nova_t *nova, const char *function, const char *payload,
	const nova_job_opts *opts, nova_job_t **ret_job, nova_error_t **error)
{
	nova_job_opts o;
	if (ANY_NULL(error, nova, function))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_job_opts", error);
	if (code == 0)
		code = check(&o, error);
	if (code == 0)
		code = check_jobs(nova, error);
	payload = payload ? payload : "{}";
	if (code == 0)
		code = check_call(nova, function, payload, &o, error);
	if (code < 0)
		return code;
	AUTO_JOB nova_job_t *job = job_new(function, payload, &o), *present = NULL;
	if (!job)
		return nova_oom(error);
	code = submit(nova, job, &present, error);
	if (code == 0 && ret_job)
		*ret_job = present ? STEAL(present) : STEAL(job);
	return code;
}

/* --- performing --- */

static bool is_there(nova_t *nova, const char *name)
{
	AUTO_FUNCTION nova_function_t *function = NULL;
	return registry_lookup(&nova->registry, name, &function, NULL) != NOVA_ENOTFOUND;
}

/* Of a function that has not run: whether that is the job's fault, this host's, or nobody's. */
static enum job_end end_unrun(
	nova_t *nova, const nova_job_t *job, int code, const nova_error_t *failure)
{
	if (nova_error_retry_ms(failure) == NOVA_RETRY_NEVER) /* it has no room here, or anywhere */
		return JOB_ELSEWHERE;
	if (nova_error_limit(failure) != NOVA_LIMIT_HOST) /* a rate, or the plan, is used up */
		return JOB_LATER;
	switch (code) {
	case NOVA_ECANCELED:
		return JOB_BACK;
	case NOVA_EINVAL:
	case NOVA_ETOOBIG:
		return JOB_DEAD;
	case NOVA_EBUSY:
		return JOB_LATER;
	case NOVA_EIO:
	case NOVA_ENOSPC:
	case NOVA_ENOMEM:
	case NOVA_ELIMIT:
	case NOVA_EPERM:
		return JOB_HOST;
	case NOVA_ENOTFOUND: /* the function, or what this host runs it with */
		return is_there(nova, job->function) ? JOB_ELSEWHERE : JOB_DEAD;
	default: /* a VM that does not start */
		return JOB_ELSEWHERE;
	}
}

static enum job_end end_of(
	nova_t *nova, const nova_job_t *job, int code, const nova_error_t *failure)
{
	if (code == 0)
		return JOB_DONE;
	if (nova_error_outcome(failure) == NOVA_OUTCOME_NEVER_RAN)
		return end_unrun(nova, job, code, failure);
	if (code == NOVA_ETOOBIG)
		return JOB_DEAD;
	return code == NOVA_ECANCELED ? JOB_BACK : JOB_AGAIN;
}

/* False: out of memory. */
static bool note(nova_job_t *job, const nova_result_t *result, const nova_error_t *failure)
{
	size_t len;
	const char *output = failure ? "" : nova_result_output(result, &len);
	free(job->output);
	free(job->error);
	job->output = strdup(output);
	job->error = strdup(failure ? nova_error_message(failure) : "");
	return job->output && job->error;
}

static int perform(nova_t *nova, nova_job_t *job, const struct stop *stop, nova_error_t **error)
{
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	struct invocation c = { .nova = nova };
	nova_result_t *result = NULL;
	AUTO_ERROR nova_error_t *failure = NULL;
	opts.request_id = job->id;
	opts.key = *job->usage_key ? job->usage_key : NULL;
	opts.client_context = *job->context ? job->context : NULL;
	opts.interrupt = (nova_interrupt_t *)(uintptr_t)stop->interrupt;
	c.if_label = *job->if_label ? job->if_label : NULL;
	int ended = invocation_call(&c, job->function, job->payload, &opts, &result, &failure);
	bool noted = note(job, result, failure);
	nova_result_free(result);
	if (!noted)
		return nova_oom(error);
	int code = jobs_finish(nova->jobs, job, end_of(nova, job, ended, failure), error);
	if (code == 0 && ended == NOVA_ECANCELED && error)
		*error = STEAL(failure);
	return code == 0 && ended == NOVA_ECANCELED ? ended : code;
}

int nova_job_perform(nova_t *nova, uint32_t wait_ms, const nova_wait_opts *wait,
	nova_job_t **ret_job, nova_error_t **error)
{
	struct stop stop;
	AUTO_JOB nova_job_t *job = NULL;
	if (ANY_NULL(error, nova, ret_job))
		return NOVA_EINVAL;
	*ret_job = NULL;
	int code = check_jobs(nova, error);
	if (code == 0)
		code = stop_import(&stop, wait, error);
	if (code == 0)
		code = jobs_take(nova->jobs, deadline_in_ms(wait_ms), &stop, &job, error);
	if (code == 0 && job)
		code = perform(nova, job, &stop, error);
	if (code == 0)
		*ret_job = STEAL(job);
	return code;
}

int nova_job_get(nova_t *nova, const char *id, nova_job_t **ret_job, nova_error_t **error)
{
	if (ANY_NULL(error, nova, id, ret_job))
		return NOVA_EINVAL;
	if (strlen(id) != JOB_ID - 1 || strspn(id, "0123456789abcdef-") != JOB_ID - 1)
		return nova_fail(error, NOVA_EINVAL, "id: it is no id of a job");
	int code = check_jobs(nova, error);
	return code < 0 ? code : jobs_get(nova->jobs, id, ret_job, error);
}

/* --- lists --- */

static int check_list(const nova_job_list_opts *o, nova_error_t **error)
{
	int code = opts_text("function", o->function, error);
	if (code == 0 && o->function && !*o->function)
		code = nova_fail(error, NOVA_EINVAL, "function: the name is empty");
	if (code == 0 && o->owner && *o->owner)
		code = check_text("owner", o->owner, error);
	if (code == 0)
		code = opts_most("cursor", o->cursor, INT64_MAX, error);
	if (code == 0)
		code = opts_most("limit", o->limit, PAGE_MOST, error);
	if (code == 0 && o->states & ~STATES)
		code = nova_fail(error, NOVA_EINVAL, "states has bits 0x%x, which are no states",
			o->states & ~STATES);
	return code;
}

int nova_job_list(nova_t *nova, const nova_job_list_opts *opts, nova_job_t ***ret_jobs,
	size_t *ret_count, uint64_t *ret_next, nova_error_t **error)
{
	nova_job_list_opts o;
	struct job_page page;
	if (ANY_NULL(error, nova, ret_jobs, ret_count, ret_next))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_job_list_opts", error);
	if (code == 0)
		code = check_list(&o, error);
	if (code == 0)
		code = check_jobs(nova, error);
	if (code < 0)
		return code;
	const struct stop stop = { o.interrupt, NULL };
	const struct jobs_query query = { o.function, o.owner, o.states, o.cursor,
		o.limit ? o.limit : PAGE, &stop };
	code = jobs_list(nova->jobs, &query, &page, error);
	if (code < 0)
		return code;
	*ret_count = page.count;
	*ret_next = page.next;
	*ret_jobs = page.count ? STEAL(page.list) : NULL;
	free(page.list);
	return 0;
}
