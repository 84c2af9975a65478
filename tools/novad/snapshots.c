/* SPDX-License-Identifier: MIT */
/* Snapshots of instances: take, list, get, restore as an instance, delete. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"

const struct field snapshot_fields[] = {
	{ "instance_id", KIND_TEXT,
		"name or id of the instance, or of an execution that has left one, or a snapshot",
		.max = 64 },
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

/* --- of which function it is: a later version of that cannot go on from it --- */

bool snapshot_function(const nova_snapshot_t *snapshot, char name[65])
{
	struct facts facts;
	facts_get(FACTS_SNAPSHOT, nova_snapshot_id(snapshot), &facts);
	snprintf(name, 65, "%.*s", (int)strcspn(facts.of, ":"), facts.of);
	return *name;
}

/* What it goes on as: by its version if that was published, else by what is latest. */
static void find_version(struct job *job, const nova_snapshot_t *snapshot, struct facts *facts)
{
	nova_function_t *function = NULL;
	facts_get(FACTS_SNAPSHOT, nova_snapshot_id(snapshot), facts);
	if (*facts->of &&
		nova_function_get(job_nova(job), facts->of, &function, NULL) == NOVA_ENOTFOUND)
		facts->of[strcspn(facts->of, ":")] = 0;
	nova_function_free(function);
}

json_t *snapshot_json(const nova_snapshot_t *snapshot)
{
	struct facts facts;
	const char *id = nova_snapshot_id(snapshot);
	bool is_known = facts_get(FACTS_SNAPSHOT, id, &facts) && *facts.of;
	char *version = strchr(facts.of, ':');
	if (version)
		*version++ = 0;
	return need(json_pack("{s:s,s:s,s:s,s:s,s:s?,s:o,s:I,s:I,s:I}", "id", id, "snapshot_id", id,
		"name", nova_snapshot_name(snapshot), "parent", nova_snapshot_parent(snapshot),
		"function", is_known ? facts.of : NULL, "version",
		version ? json_integer(strtoll(version, NULL, 10)) : json_null(), "created_us",
		(json_int_t)nova_snapshot_created_us(snapshot), "life_time_s",
		(json_int_t)nova_snapshot_life_time_s(snapshot), "disk_bytes",
		(json_int_t)nova_snapshot_disk_bytes(snapshot)));
}

/* --- taking one --- */

static void answer_with(struct job *job, unsigned status, const nova_snapshot_t *snapshot)
{
	job_status(job, status);
	job_answer(job, snapshot_json(snapshot));
}

static void take_of(struct job *job, nova_instance_t *instance)
{
	nova_error_t *error = NULL;
	nova_snapshot_t *snapshot = NULL;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	const json_t *life = json_object_get(job_fields(job), "life_time_s");
	opts.name = job_field(job, "name");
	opts.life_time_s = (uint64_t)json_integer_value(life);
	opts.interrupt = job_interrupt(job);
	if (nova_vm_snapshot(nova_instance_vm(instance), &opts, &snapshot, &error) != 0) {
		job_fail_by(job, error);
	} else {
		snapshot_note(job, nova_snapshot_id(snapshot), nova_instance_function(instance),
			nova_instance_version(instance));
		answer_with(job, 201, snapshot);
	}
	nova_error_free(error);
	nova_snapshot_free(snapshot);
}

/* Of the instance of that name, or of what the execution of that id has left: an instance, too, or
 * the snapshot that it has taken itself. */
static void take(struct job *job)
{
	struct facts left;
	nova_instance_t *instance = NULL;
	nova_snapshot_t *snapshot = NULL;
	const char *name = job_field(job, "instance_id");
	if (!name)
		name = job_field(job, "container_id");
	if (!name) {
		job_problem(job, 400, "invalid", "the field 'instance_id' is missing");
		return;
	}
	if (!owns_execution(job, name) || !facts_get(FACTS_EXECUTION, name, &left))
		*left.of = 0;
	else
		nova_snapshot_open(nova_host_get(job_nova(job)), left.of, &snapshot, NULL);
	if (snapshot && snapshot_is_shown(job, snapshot))
		answer_with(job, 200, snapshot);
	else if ((instance = instance_find(job, *left.of ? left.of : name)) != NULL)
		take_of(job, instance);
	nova_snapshot_free(snapshot);
	nova_instance_free(instance);
}

/* --- going on from one --- */

int snapshot_restore_opts(
	struct job *job, const char *name, struct facts *facts, nova_instance_opts *opts)
{
	nova_snapshot_t *snapshot = snapshot_find(job, name);
	if (!snapshot)
		return NOVA_ENOTFOUND;
	find_version(job, snapshot, facts);
	nova_snapshot_free(snapshot);
	opts->function = job_field(job, "function");
	if (!opts->function && *facts->of)
		opts->function = facts->of;
	if (!opts->function) {
		job_problem(job, 400, "invalid",
			"the field 'function' is needed: '%s' was not taken by novad", name);
		return NOVA_EINVAL;
	}
	if (!may_call_function(job, opts->function))
		return NOVA_ENOTFOUND;
	opts->snapshot = name;
	opts->key = job_key(job);
	return 0;
}

static int submit_restore(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	struct facts facts;
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	int code = snapshot_restore_opts(job, job_path(job, "id"), &facts, &opts);
	opts.name = job_field(job, "name");
	opts.userdata = job;
	return code ? code : nova_queue_submit_instance_start(queue, &opts, ret_call, error);
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
		if (snapshot_is_shown(job, all[i]))
			json_array_append_new(array, snapshot_json(all[i]));
	job_answer(job, json_pack("{s:o}", "snapshots", array));
	nova_snapshot_list_free(all, count);
	nova_error_free(error);
}

static void get(struct job *job)
{
	nova_snapshot_t *snapshot = snapshot_find(job, job_path(job, "id"));
	if (snapshot)
		answer_with(job, 200, snapshot);
	nova_snapshot_free(snapshot);
}

/* By its id, as one that is damaged cannot be opened. */
static void drop(struct job *job)
{
	char id[17];
	nova_error_t *error = NULL;
	const char *name = job_path(job, "id");
	bool found = snapshot_id_of(job, name, id);
	if (!found && !job_is_admin(job)) {
		refuse_missing(job, "snapshot", name);
		return;
	}
	if (nova_snapshot_delete(nova_host_get(job_nova(job)), found ? id : name, &error) != 0) {
		job_fail_by(job, error);
	} else {
		facts_drop(FACTS_SNAPSHOT, id);
		job_status(job, 204);
	}
	nova_error_free(error);
}

const struct job_verb verb_snapshot_take = { .name = "take", .work = take };
const struct job_verb verb_snapshot_restore = {
	.name = "restore",
	.submit = submit_restore,
	.collect = instance_collect_started,
};
const struct job_verb verb_snapshot_list = { .name = "list", .work = list };
const struct job_verb verb_snapshot_get = { .name = "get", .work = get };
const struct job_verb verb_snapshot_delete = { .name = "delete", .work = drop };
