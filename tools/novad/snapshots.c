/* SPDX-License-Identifier: MIT */
/* Snapshots of instances: take, list, get, restore as an instance, delete. */
#include <stdio.h>
#include <string.h>

#include "routes.h"

const struct field snapshot_fields[] = {
	{ "instance_id", KIND_TEXT, "name or id of the instance", .max = 64 },
	{ "container_id", KIND_TEXT, "the same, as other platforms call it", .max = 64 },
	{ "name", KIND_TEXT, "its name; without one, its id", .max = 64 },
	{ "description", KIND_TEXT, "accepted and not kept" },
	{ "life_time_s", KIND_NUMBER, "seconds until it may be deleted; never", .min = 1,
		.max = 1LL << 32 },
	{ NULL },
};

const struct field restore_fields[] = {
	{ "function", KIND_TEXT, "its function; needed if it was not taken by this process",
		.max = 64 },
	{ "name", KIND_TEXT, "what to call the instance", .max = 64 },
	{ NULL },
};

json_t *snapshot_json(const nova_snapshot_t *snapshot)
{
	char function[65];
	const char *id = nova_snapshot_id(snapshot);
	bool is_known = memo_get(id, function, sizeof(function));
	return need(json_pack("{s:s,s:s,s:s,s:s,s:s?,s:I,s:I,s:I}", "id", id, "snapshot_id", id,
		"name", nova_snapshot_name(snapshot), "parent", nova_snapshot_parent(snapshot),
		"function", is_known ? function : NULL, "created_us",
		(json_int_t)nova_snapshot_created_us(snapshot), "life_time_s",
		(json_int_t)nova_snapshot_life_time_s(snapshot), "disk_bytes",
		(json_int_t)nova_snapshot_disk_bytes(snapshot)));
}

static void release(void *instance)
{
	nova_instance_free(instance);
}

/* --- taking one --- */

static int submit_take(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	nova_instance_t *instance;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	const char *name = job_field(job, "instance_id");
	const json_t *life = json_object_get(job_fields(job), "life_time_s");
	if (!name)
		name = job_field(job, "container_id");
	if (!name) {
		job_problem(job, 400, "invalid", "the field 'instance_id' is missing");
		return NOVA_EINVAL;
	}
	int code = nova_instance_get(job_nova(job), name, &instance, error);
	if (code != 0)
		return code;
	job_hold(job, instance, release);
	opts.name = job_field(job, "name");
	opts.life_time_s = (uint64_t)json_integer_value(life);
	opts.userdata = job;
	return nova_queue_submit_vm_snapshot(
		queue, nova_instance_vm(instance), &opts, ret_call, error);
}

static void collect_take(struct job *job, nova_call_t *call)
{
	nova_snapshot_t *snapshot = nova_call_take_snapshot(call);
	nova_error_t *error = nova_call_take_error(call);
	if (error) {
		job_fail_by(job, error);
	} else {
		memo_put(nova_snapshot_id(snapshot), nova_instance_function(job_held(job)));
		job_status(job, 201);
		job_answer(job, snapshot_json(snapshot));
	}
	nova_error_free(error);
	nova_snapshot_free(snapshot);
}

/* --- going on from one --- */

/* An instance of the function that it was taken of. */
int snapshot_restore(struct job *job, const char *name, const char *instance, nova_queue_t *queue,
	nova_call_t **ret_call, nova_error_t **error)
{
	char function[65];
	nova_snapshot_t *snapshot;
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	int code = nova_snapshot_open(nova_host_get(job_nova(job)), name, &snapshot, error);
	if (code != 0)
		return code;
	bool is_known = memo_get(nova_snapshot_id(snapshot), function, sizeof(function));
	nova_snapshot_free(snapshot);
	opts.function = job_field(job, "function");
	if (!opts.function && is_known)
		opts.function = function;
	if (!opts.function) {
		job_problem(job, 400, "invalid",
			"the field 'function' is needed: this process has not taken '%s'", name);
		return NOVA_EINVAL;
	}
	opts.snapshot = name;
	opts.name = instance;
	opts.key = job_key(job);
	opts.userdata = job;
	return nova_queue_submit_instance_start(queue, &opts, ret_call, error);
}

static int submit_restore(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	return snapshot_restore(
		job, job_path(job, "id"), job_field(job, "name"), queue, ret_call, error);
}

/* --- the others --- */

static void list(struct job *job)
{
	size_t count = 0;
	nova_error_t *error = NULL;
	nova_snapshot_t **all = NULL;
	json_t *array = need(json_array());
	if (nova_snapshot_list(nova_host_get(job_nova(job)), &all, &count, &error) != 0)
		job_fail_by(job, error);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, snapshot_json(all[i]));
	job_answer(job, json_pack("{s:o}", "snapshots", array));
	nova_snapshot_list_free(all, count);
	nova_error_free(error);
}

static void get(struct job *job)
{
	nova_error_t *error = NULL;
	nova_snapshot_t *snapshot = NULL;
	nova_host_t *host = nova_host_get(job_nova(job));
	if (nova_snapshot_open(host, job_path(job, "id"), &snapshot, &error) != 0)
		job_fail_by(job, error);
	else
		job_answer(job, snapshot_json(snapshot));
	nova_snapshot_free(snapshot);
	nova_error_free(error);
}

static void drop(struct job *job)
{
	nova_error_t *error = NULL;
	nova_host_t *host = nova_host_get(job_nova(job));
	if (nova_snapshot_delete(host, job_path(job, "id"), &error) != 0)
		job_fail_by(job, error);
	else
		job_status(job, 204);
	memo_drop(job_path(job, "id"));
	nova_error_free(error);
}

const struct job_verb verb_snapshot_take = {
	.name = "take",
	.submit = submit_take,
	.collect = collect_take,
};
const struct job_verb verb_snapshot_restore = {
	.name = "restore",
	.submit = submit_restore,
	.collect = instance_collect_started,
};
const struct job_verb verb_snapshot_list = { .name = "list", .work = list };
const struct job_verb verb_snapshot_get = { .name = "get", .work = get };
const struct job_verb verb_snapshot_delete = { .name = "delete", .work = drop };
