/* SPDX-License-Identifier: MIT */
/* Instances: start, list, get, stop, pause, resume, run a command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"

#define DAY_MS 86400000

const struct field instance_fields[] = {
	{ "function", KIND_TEXT, "the function that it runs", .max = 64 },
	{ "image", KIND_TEXT, "instead: what its guest has, python, node or shell", .max = 64 },
	{ "name", KIND_TEXT, "its name; without one, its id", .max = 64 },
	{ "snapshot_id", KIND_TEXT, "name or id of the snapshot to go on from", .max = 64 },
	{ "cpu_cores", KIND_NUMBER, "virtual processors", .min = 1, .max = 32 },
	{ "memory_mb", KIND_NUMBER, "memory of the guest", .min = 64, .max = 65536 },
	{ "disk_gb", KIND_NUMBER, "refused: what a guest writes is in its memory", .max = 65536 },
	{ "enable_ssh", KIND_FLAG, "true is refused: exec runs commands in it" },
	{ NULL },
};

const struct field stop_fields[] = {
	{ "grace_ms", KIND_NUMBER, "milliseconds for what is under way", .min = 1, .max = DAY_MS },
	{ NULL },
};

const struct field exec_fields[] = {
	{ "command", KIND_TEXTS, "a program and its arguments", true },
	{ "env_vars", KIND_PAIRS, "variables of the environment" },
	{ "payload", KIND_BYTES, "its stdin" },
	{ "directory", KIND_TEXT, "where it runs; /tmp" },
	{ "timeout_ms", KIND_NUMBER, "milliseconds until it is killed; 30000", .min = 1,
		.max = DAY_MS },
	{ NULL },
};

static void release(void *instance)
{
	nova_instance_free(instance);
}

/* The instance of the path, which the job then holds; NULL: it has been answered. */
nova_instance_t *instance_of(struct job *job)
{
	const char *streamed = job_field(job, "instance");
	nova_instance_t *instance = instance_find(job, streamed ? streamed : job_path(job, "id"));
	if (instance)
		job_hold(job, instance, release);
	return instance;
}

/* --- starting --- */

static int refuse(struct job *job, unsigned status, const char *why)
{
	job_problem(job, status, status == 400 ? "invalid" : "not_supported", "%s", why);
	return NOVA_EINVAL;
}

static int check_start(struct job *job)
{
	const json_t *fields = job_fields(job);
	bool function = job_field(job, "function"), image = job_field(job, "image");
	bool snapshot = job_field(job, "snapshot_id");
	if (json_integer_value(json_object_get(fields, "disk_gb")))
		return refuse(job, 501,
			"no instance has a 'disk_gb': its disks are read-only, and what it writes "
			"is in its memory ('memory_mb')");
	if (json_is_true(json_object_get(fields, "enable_ssh")))
		return refuse(job, 501,
			"there is no SSH into an instance: POST /api/v1/instances/{id}/exec runs "
			"commands in it");
	if (image && (function || snapshot))
		return refuse(job, 400,
			"an 'image' is for an instance without 'function' and 'snapshot_id', which "
			"say what is in it");
	return function || image || snapshot ?
		       0 :
		       refuse(job, 400, "one of 'function', 'image' and 'snapshot_id' is needed");
}

/* `facts` and `name` are room for its function. */
static int what_it_runs(struct job *job, struct facts *facts, char name[65],
	nova_instance_opts *opts, nova_error_t **error)
{
	const char *snapshot = job_field(job, "snapshot_id"), *image = job_field(job, "image");
	if (snapshot)
		return snapshot_restore_opts(job, snapshot, facts, opts);
	opts->function = image ? name : job_field(job, "function");
	if (image)
		return modes_function_of(job, image, name, error);
	return may_call_function(job, opts->function) ? 0 : NOVA_ENOTFOUND;
}

int instance_submit(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	struct facts facts;
	char function[65];
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	int code = check_start(job);
	if (code == 0)
		code = what_it_runs(job, &facts, function, &opts, error);
	if (code != 0)
		return code;
	opts.name = job_field(job, "name");
	opts.key = job_key(job);
	opts.memory_mb = job_field_number(job, "memory_mb");
	opts.vcpus = job_field_number(job, "cpu_cores");
	opts.userdata = job;
	return nova_queue_submit_instance_start(queue, &opts, ret_call, error);
}

/* --- looking --- */

static void list(struct job *job)
{
	size_t count = 0;
	nova_error_t *error = NULL;
	nova_instance_t **all = NULL;
	json_t *array = need(json_array());
	if (nova_instance_list(job_nova(job), &all, &count, &error) != 0)
		job_fail_by(job, error);
	for (size_t i = 0; i < count; i++)
		if (instance_is_shown(job, all[i]))
			json_array_append_new(array, instance_json(all[i]));
	job_answer(job, json_pack("{s:o}", "instances", array));
	nova_instance_list_free(all, count);
	nova_error_free(error);
}

static void get(struct job *job)
{
	nova_instance_t *instance = instance_of(job);
	if (instance)
		job_answer(job, instance_json(instance));
}

/* --- changing --- */

static void perform(struct job *job)
{
	int (*const *change)(nova_vm_t *, const nova_wait_opts *, nova_error_t **) =
		job_verb(job)->context;
	nova_error_t *error = NULL;
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	nova_instance_t *instance = instance_of(job);
	if (!instance)
		return;
	wait.interrupt = job_interrupt(job);
	if ((*change)(nova_instance_vm(instance), &wait, &error) != 0)
		job_fail_by(job, error);
	else
		job_answer(job, instance_json(instance));
	nova_error_free(error);
}

/* That something had to be killed is how it has ended, and no failure to end. */
static void stop(struct job *job)
{
	nova_error_t *error = NULL;
	nova_instance_t *instance = instance_of(job);
	if (!instance)
		return;
	int code = nova_instance_stop(instance, job_field_number(job, "grace_ms"), &error);
	facts_drop(FACTS_INSTANCE, nova_instance_id(instance));
	if (code != 0 && code != NOVA_ETIMEDOUT)
		job_fail_by(job, error);
	else
		job_answer(job, json_pack("{s:s,s:b}", "stopped", nova_instance_id(instance),
					"killed", code != 0));
	nova_error_free(error);
}

/* --- commands --- */

int exec_submit(struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	struct bytes payload = { 0 };
	const json_t *fields = job_fields(job);
	nova_instance_t *instance = instance_of(job);
	if (!instance)
		return NOVA_ENOTFOUND;
	if (!json_array_size(json_object_get(fields, "command"))) {
		job_problem(job, 400, "invalid", "the field 'command' is missing, or empty");
		return NOVA_EINVAL;
	}
	const char **words = texts_of(json_object_get(fields, "command"), &opts.argc);
	char **env = pairs_of(json_object_get(fields, "env_vars"), &opts.env_count);
	field_bytes(&payload, json_object_get(fields, "payload"));
	opts.argv = words;
	opts.env = (const char *const *)env;
	opts.stdin_data = payload.data;
	opts.stdin_len = payload.len;
	opts.directory = job_field(job, "directory");
	opts.timeout_ms = fields_timeout_ms(fields);
	opts.userdata = job;
	if (job_is_streamed(job)) {
		opts.flags = NOVA_COMMAND_STREAMED;
		opts.on_output = job_stream;
		opts.stdin_fd = job_stdin(job);
	}
	int code = nova_queue_submit_vm_command(
		queue, nova_instance_vm(instance), &opts, ret_call, error);
	bytes_free(&payload);
	pairs_free(env);
	free(words);
	return code;
}

void exec_collect(struct job *job, nova_call_t *call)
{
	char failed[40] = "";
	nova_result_t *result = nova_call_take_result(call);
	nova_error_t *error = nova_call_take_error(call);
	int status = nova_result_exit_code(result);
	if (status)
		snprintf(failed, sizeof(failed), "exit status %d", status);
	if (error)
		job_fail_by(job, error);
	else
		job_answer(job, result_json(result, *failed ? failed : NULL));
	nova_error_free(error);
	nova_result_free(result);
}

static int (*const pause_vm)(nova_vm_t *, const nova_wait_opts *, nova_error_t **) = nova_vm_pause;
static int (*const resume_vm)(
	nova_vm_t *, const nova_wait_opts *, nova_error_t **) = nova_vm_resume;

const struct job_verb verb_instance_start = {
	.name = "start",
	.submit = instance_submit,
	.collect = instance_collect_started,
};
const struct job_verb verb_instance_list = { .name = "list", .work = list };
const struct job_verb verb_instance_get = { .name = "get", .work = get };
const struct job_verb verb_instance_stop = { .name = "stop", .work = stop };
const struct job_verb verb_instance_pause = {
	.name = "pause", .work = perform, .context = &pause_vm
};
const struct job_verb verb_instance_resume = {
	.name = "resume", .work = perform, .context = &resume_vm
};
const struct job_verb verb_instance_exec = {
	.name = "exec",
	.submit = exec_submit,
	.collect = exec_collect,
};
