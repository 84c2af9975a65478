/* SPDX-License-Identifier: MIT */
/* Branches: instances that go on from one snapshot, and a snapshot that is made of several. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"

#define BRANCHES_MAX 64

const struct field branch_fields[] = {
	{ "parent_snapshot_id", KIND_TEXT, "name or id of the snapshot", true, .max = 64 },
	{ "branch_name", KIND_TEXT, "what to call the instance", .max = 64 },
	{ "function", KIND_TEXT, "its function; needed if it was not taken by this process",
		.max = 64 },
	{ "code", KIND_TEXT, "what runs in it first, as by POST /execute", .max = 64 << 20 },
	{ "timeout_ms", KIND_NUMBER, "milliseconds until that is killed; 30000", .min = 1,
		.max = 86400000 },
	{ NULL },
};

/* As enum nova_merge_conflict. */
static const char *const strategies[] = { "union", "latest", "first", "intersection", NULL };

const struct field merge_fields[] = {
	{ "branch_ids", KIND_TEXTS, "names or ids of the instances", true, .max = 64 },
	{ "parent_snapshot_id", KIND_TEXT,
		"what they began with; needed if they were not begun by this process", .max = 64 },
	{ "merge_strategy", KIND_TEXT,
		"union: refuse conflicts; latest, first: take the path of that branch; "
		"intersection: take what all have done in the same way",
		.choices = strategies },
	{ "name", KIND_TEXT, "what to call the snapshot", .max = 64 },
	{ "directory", KIND_TEXT, "what is merged; /tmp", .max = 4096 },
	{ NULL },
};

/* --- beginning one --- */

static nova_instance_t *start(struct job *job, const char *parent)
{
	struct facts facts;
	nova_error_t *error = NULL;
	nova_instance_t *instance = NULL;
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	int code = snapshot_restore_opts(job, parent, &facts, &opts);
	opts.name = job_field(job, "branch_name");
	opts.interrupt = job_interrupt(job);
	if (code == 0)
		nova_instance_start(job_nova(job), &opts, &instance, &error);
	if (error)
		job_fail_by(job, error);
	if (instance)
		instance_note(job, instance, parent);
	nova_error_free(error);
	return instance;
}

static void begin(struct job *job)
{
	const char *parent = job_field(job, "parent_snapshot_id");
	nova_instance_t *instance = start(job, parent);
	bool has_code = job_field(job, "code");
	json_t *body = !instance ? NULL : has_code ? modes_run_in(job, instance) : json_object();
	if (body) {
		json_object_update_new(body,
			json_pack("{s:s,s:s,s:s,s:o}", "branch_id", nova_instance_id(instance),
				"branch_name", nova_instance_name(instance), "parent_snapshot_id",
				parent, "instance", instance_json(instance)));
		job_status(job, 201);
		job_answer(job, body);
		instance_hand_over(job, instance);
	} else if (instance) {
		instance_end(instance); /* nobody knows of it */
		nova_instance_free(instance);
	}
}

/* --- merging --- */

struct family {
	nova_instance_t *branches[BRANCHES_MAX];
	nova_vm_t *vms[BRANCHES_MAX];
	size_t count;
	nova_snapshot_t *snapshot, *made;
	nova_vm_t *parent, *merged;
	nova_merge_t *report;
};

static void family_done(struct family *f)
{
	for (size_t i = 0; i < f->count; i++)
		nova_instance_free(f->branches[i]);
	nova_vm_free(f->merged);
	nova_vm_free(f->parent);
	nova_snapshot_free(f->snapshot);
	nova_snapshot_free(f->made);
	nova_merge_free(f->report);
}

static int find_branches(struct job *job, struct family *f)
{
	const json_t *names = json_object_get(job_fields(job), "branch_ids");
	if (!json_array_size(names) || json_array_size(names) > BRANCHES_MAX) {
		job_problem(job, 400, "invalid", "1 to %d branches can be merged", BRANCHES_MAX);
		return NOVA_EINVAL;
	}
	for (; f->count < json_array_size(names); f->count++) {
		const char *name = json_string_value(json_array_get(names, f->count));
		f->branches[f->count] = instance_find(job, name);
		if (!f->branches[f->count])
			return NOVA_ENOTFOUND;
		f->vms[f->count] = nova_instance_vm(f->branches[f->count]);
	}
	return 0;
}

static int find_parent(struct job *job, struct family *f, nova_error_t **error)
{
	struct facts facts;
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	nova_host_t *host = nova_host_get(job_nova(job));
	const char *given = job_field(job, "parent_snapshot_id");
	facts_get(FACTS_INSTANCE, nova_instance_id(f->branches[0]), &facts);
	if (!given && !*facts.of) {
		job_problem(job, 400, "invalid", "the field 'parent_snapshot_id' is needed");
		return NOVA_EINVAL;
	}
	wait.interrupt = job_interrupt(job);
	f->snapshot = snapshot_find(job, given ? given : facts.of);
	return f->snapshot ? nova_vm_restore(host, f->snapshot, &wait, &f->parent, error) :
			     NOVA_ENOTFOUND;
}

static uint32_t strategy_of(const struct job *job)
{
	uint32_t strategy = NOVA_MERGE_REFUSE;
	const char *word = job_field(job, "merge_strategy");
	while (word && strcmp(strategies[strategy], word) != 0)
		strategy++;
	return strategy;
}

static json_t *paths_json(const nova_merge_t *report)
{
	static const char *const kinds[] = { "", "added", "changed", "deleted", "conflict" };
	json_t *paths = need(json_array());
	for (size_t i = 0; i < nova_merge_count(report); i++) {
		const char *path = nova_merge_path(report, i);
		json_array_append_new(paths,
			need(json_pack("{s:o,s:s,s:i}", "path", text_json(path, strlen(path)),
				"kind", kinds[nova_merge_kind(report, i)], "branch",
				nova_merge_branch(report, i))));
	}
	return paths;
}

static int merge_family(struct job *job, struct family *f, nova_error_t **error)
{
	nova_merge_opts opts = NOVA_MERGE_OPTS_INIT;
	nova_snapshot_opts snapshot = NOVA_SNAPSHOT_OPTS_INIT;
	opts.branches = f->vms;
	opts.branch_count = f->count;
	opts.directory = job_field(job, "directory");
	opts.interrupt = snapshot.interrupt = job_interrupt(job);
	snapshot.name = job_field(job, "name");
	opts.on_conflict = strategy_of(job);
	int code = nova_vm_merge(f->parent, &opts, &f->merged, &f->report, error);
	return code ? code : nova_vm_snapshot(f->merged, &snapshot, &f->made, error);
}

static void merge(struct job *job)
{
	nova_error_t *error = NULL;
	CLEANUP(family_done) struct family f = { 0 };
	int code = find_branches(job, &f);
	if (code == 0)
		code = find_parent(job, &f, &error);
	if (code == 0)
		code = merge_family(job, &f, &error);
	if (code == 0) {
		snapshot_note(job, nova_snapshot_id(f.made), "", 0);
		job_status(job, 201);
		job_answer(job, json_pack("{s:s,s:o,s:I,s:o}", "snapshot_id",
					nova_snapshot_id(f.made), "snapshot", snapshot_json(f.made),
					"conflicts", (json_int_t)nova_merge_conflicts(f.report),
					"paths", paths_json(f.report)));
	} else if (error) {
		job_fail_by(job, error);
	}
	nova_error_free(error);
}

const struct job_verb verb_branch_begin = { .name = "begin", .work = begin };
const struct job_verb verb_branch_merge = { .name = "merge", .work = merge };
