/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/{id}/invoke. The body is the event of a registered function, and goes to it as it
 * is; but if it is an object whose `command` is a list, that is run, and the id only names it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"

static const char *const modes[] = { "ephemeral", "cached", "checkpointed", "branched",
	"persistent", NULL };

const struct field invoke_query[] = {
	{ "mode", KIND_TEXT, "in which VM: docs/modes.md", .choices = modes },
	{ "snapshot", KIND_TEXT, "name or id of the snapshot to go on from" },
	{ "checkpoint_name", KIND_TEXT, "what to call the snapshot taken afterwards" },
	{ "instance", KIND_TEXT, "name or id of the instance to run in" },
	{ "timeout_ms", KIND_NUMBER, "milliseconds until it is killed", .min = 1, .max = 86400000 },
	{ NULL },
};

static char is_command; /* what a job holds that runs one */

/* The fields, if it is one; NULL otherwise. Most events do not have the word in them. */
static json_t *command_of(const struct bytes *body)
{
	if (!body->len || !memmem(body->data, body->len, "\"command\"", 9))
		return NULL;
	json_t *fields = json_loadb(body->data, body->len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_array(json_object_get(fields, "command")))
		return fields;
	json_decref(fields);
	return NULL;
}

/* --- a registered function --- */

static bool is_mode(const struct job *job, const char *mode)
{
	const char *given = job_query(job, "mode");
	return given && !strcmp(given, mode);
}

static int take_options(struct job *job, nova_invoke_opts *opts)
{
	const char *instance = job_query(job, "instance"), *timeout = job_query(job, "timeout_ms");
	opts->snapshot = job_query(job, "snapshot");
	opts->checkpoint_name = job_query(job, "checkpoint_name");
	opts->timeout_ms = timeout ? (uint32_t)strtoul(timeout, NULL, 10) : 0;
	opts->flags = (is_mode(job, "ephemeral") ? NOVA_INVOKE_FRESH : 0) |
		      (is_mode(job, "checkpointed") ? NOVA_INVOKE_CHECKPOINT : 0);
	opts->request_id = job_id(job);
	opts->key = job_key(job);
	opts->userdata = job;
	const char *missing = is_mode(job, "branched") && !opts->snapshot ? "snapshot" :
			      is_mode(job, "persistent") && !instance     ? "instance" :
									    NULL;
	if (missing) {
		job_problem(job, 400, "invalid", "this mode needs the parameter '%s'", missing);
		return NOVA_EINVAL;
	}
	if (!may_call_function(job, job_path(job, "id")) ||
		(opts->snapshot && !may_use_snapshot(job, opts->snapshot)))
		return NOVA_ENOTFOUND;
	opts->instance = instance ? instance_find(job, instance) : NULL;
	return instance && !opts->instance ? NOVA_ENOTFOUND : 0;
}

/* Parsed by novad for the refusal alone: the library looks at what goes to a function. */
static bool is_json(const struct bytes *body)
{
	size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
	json_t *event = json_loadb(body->data, body->len, flags, NULL);
	json_decref(event);
	return event;
}

static int submit_function(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	const struct bytes *body = job_body(job);
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	if (body->data && strlen(body->data) != body->len) {
		job_problem(job, 400, "malformed", "the body has a NUL, which JSON has not");
		return NOVA_EINVAL;
	}
	int code = take_options(job, &opts);
	if (code == 0)
		code = nova_queue_submit(queue, job_path(job, "id"), body->len ? body->data : "{}",
			&opts, ret_call, error);
	nova_instance_free(opts.instance);
	if (code != NOVA_ENOTFOUND || !body->len || is_json(body))
		return code;
	/* a body that nobody could take is told first, whether the function is there or not */
	nova_error_free(*error);
	*error = NULL;
	job_problem(job, 400, "invalid", "the body is not JSON, as the event of a function is");
	return NOVA_EINVAL;
}

static int submit(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	char why[300];
	json_t *fields = command_of(job_body(job));
	if (!fields)
		return submit_function(job, queue, ret_call, error);
	int code = NOVA_EINVAL;
	job_hold(job, &is_command, NULL);
	if (fields_check(command_fields, fields, why, sizeof(why)))
		code = command_submit(job, fields, queue, ret_call, error);
	else
		job_problem(job, 400, "invalid", "%s", why);
	json_decref(fields);
	return code;
}

static void add_headers(struct job *job, const nova_result_t *result)
{
	char timing[200];
	snprintf(timing, sizeof(timing),
		"queue;dur=%.3f, start;dur=%.3f, exec;dur=%.3f, total;dur=%.3f",
		(double)nova_result_timing_us(result, NOVA_TIMING_QUEUE) / 1000,
		(double)(nova_result_timing_us(result, NOVA_TIMING_START) +
			 nova_result_timing_us(result, NOVA_TIMING_BOOT) +
			 nova_result_timing_us(result, NOVA_TIMING_INIT)) /
			1000,
		(double)nova_result_timing_us(result, NOVA_TIMING_EXEC) / 1000,
		(double)nova_result_timing_us(result, NOVA_TIMING_TOTAL) / 1000);
	job_header(job, "Server-Timing", timing);
	job_header(job, "X-Nova-Execution-Id", job_id(job));
	job_header(job, "X-Nova-Cold-Start", nova_result_cold_start(result) ? "1" : "0");
	if (*nova_result_snapshot(result))
		job_header(job, "X-Nova-Snapshot", nova_result_snapshot(result));
}

/* The path may name an alias, which points elsewhere tomorrow. */
static void remember(struct job *job)
{
	const nova_result_t *result = job_held(job);
	const char *name = job_path(job, "id");
	char function[65];
	snprintf(function, sizeof(function), "%.*s", (int)strcspn(name, ":"), name);
	snapshot_note(job, nova_result_snapshot(result), function, nova_result_version(result));
}

static void release(void *result)
{
	nova_result_free(result);
}

static void collect(struct job *job, nova_call_t *call)
{
	size_t len;
	if (job_held(job)) {
		run_collect(job, call);
		return;
	}
	nova_result_t *result = nova_call_take_result(call);
	nova_error_t *error = nova_call_take_error(call);
	if (result)
		add_headers(job, result);
	if (error) {
		job_fail_by(job, error);
	} else {
		const char *text = nova_result_output(result, &len);
		job_answer_text(job, text, len);
	}
	nova_error_free(error);
	if (result && *nova_result_snapshot(result)) {
		job_hold(job, result, release);
		job_then(job, remember); /* it may wait for the disk */
	} else {
		nova_result_free(result);
	}
}

const struct job_verb verb_invoke = { .name = "invoke", .submit = submit, .collect = collect };
