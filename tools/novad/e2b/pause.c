/* SPDX-License-Identifier: MIT */
/* Sandboxes that stand still as a snapshot, and those that go on from one: pause, connect, fork. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "e2b.h"

#define FORKS_MAX 100

const struct field e2b_pause_fields[] = {
	{ "memory", KIND_FLAG, "with its memory" },
	{ "requireHealthyGuest", KIND_FLAG, "or not at all, which is always so" },
	{ NULL },
};

const struct field e2b_connect_fields[] = {
	{ "timeout", KIND_NUMBER, "seconds from now on", .min = 0, .max = E2B_SECONDS_MAX },
	{ "memory", KIND_FLAG, "with its memory" },
	{ NULL },
};

const struct field e2b_fork_fields[] = {
	{ "timeout", KIND_NUMBER, "seconds from now on", .min = 0, .max = E2B_SECONDS_MAX },
	{ "count", KIND_NUMBER, "how many", .min = 1, .max = FORKS_MAX },
	{ NULL },
};

static bool check_memory(struct job *job)
{
	if (!json_is_false(json_object_get(job_fields(job), "memory")))
		return true;
	job_problem(job, 501, "not_supported",
		"sandboxes of novad are paused and resumed with their memory, or not at all");
	return false;
}

/* --- writing a snapshot --- */

static void refuse_state(struct job *job, const char *id, enum sandbox_state state)
{
	if (state == SANDBOX_PAUSED)
		job_problem(job, 409, "stale", "the sandbox '%s' is paused", id);
	else
		job_problem(job, 503, "busy",
			"the sandbox '%s' is just being started, paused, resumed or forked: try "
			"again",
			id);
}

static void refuse_killed(struct job *job, const char *id)
{
	job_problem(job, 404, "not_found", "the sandbox '%s' has been killed", id);
}

/* Claims it, if nothing is under way in it: a snapshot would wait for that. */
static bool claim(struct job *job, const char *id)
{
	struct sandbox sandbox;
	bool claimed = sandbox_claim(id, SANDBOX_RUNNING);
	bool found = sandbox_find(id, NULL, &sandbox);
	uint32_t commands = sandbox.commands;
	enum sandbox_state state = sandbox.state;
	sandbox_clear(&sandbox);
	if (!found)
		refuse_killed(job, id);
	else if (!claimed)
		refuse_state(job, id, state);
	if (!found || !claimed)
		return false;
	if (!commands)
		return true;
	sandbox_settle(id, SANDBOX_RUNNING, "");
	job_problem(job, 400, "invalid",
		"%u commands are under way in the sandbox '%s', and would be lost: end them, or "
		"await their end (commands.list())",
		commands, id);
	return false;
}

/* Of one that is claimed. */
static bool freeze(struct job *job, const struct sandbox *sandbox, char name[65])
{
	char number[9];
	const char *id = sandbox->id;
	nova_error_t *error = NULL;
	nova_instance_t *instance = NULL;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	if (!check_snapshots(job) || !sandbox_keep(job, sandbox))
		return false;
	random_hex(number, 4);
	snprintf(name, 65, "e2b-%s-%s", id, number);
	opts.name = name;
	opts.interrupt = job_interrupt(job);
	int code = nova_instance_get(job_nova(job), id, &instance, &error);
	if (code == 0)
		code = nova_vm_snapshot(nova_instance_vm(instance), &opts, NULL, &error);
	if (code != 0)
		e2b_fail_by(job, error);
	nova_instance_free(instance);
	nova_error_free(error);
	return code == 0;
}

static void drop(struct job *job, const char *snapshot)
{
	sandbox_drop_snapshot(snapshot);
	sandboxes_sweep(nova_host_get(job_nova(job)));
}

/* Before its VM ends, so that nothing is lost if this process does. */
static bool record(struct job *job, struct sandbox *sandbox)
{
	sandbox->paused_us = e2b_now_us();
	sandbox->paused_at = elapsed_ms();
	int why = record_write(sandbox);
	if (why)
		job_problem(job, why == ENOSPC || why == EDQUOT ? 507 : 500,
			why == ENOSPC || why == EDQUOT ? "no_space" : "host",
			"the sandbox '%s' cannot be paused, as what is known of it cannot be "
			"written to the disk (%s): it runs on",
			sandbox->id, strerror(why));
	return why == 0;
}

bool sandbox_pause(struct job *job, const struct sandbox *sandbox)
{
	struct sandbox copy = *sandbox;
	const char *id = sandbox->id;
	bool frozen = freeze(job, sandbox, copy.snapshot);
	if (!frozen || !record(job, &copy)) {
		if (frozen)
			drop(job, copy.snapshot);
		sandbox_settle(id, SANDBOX_RUNNING, "");
		return false;
	}
	sandbox_kill(job_nova(job), id);
	if (!sandbox_paused(&copy)) /* it has been killed meanwhile */
		drop(job, copy.snapshot);
	job_status(job, 204);
	return true;
}

static void pause_it(struct job *job)
{
	struct sandbox sandbox;
	if (sandbox_of(job, &sandbox) && check_memory(job) && claim(job, sandbox.id))
		sandbox_pause(job, &sandbox);
	sandbox_clear(&sandbox);
}

/* --- going on --- */

/* False: it has been answered why not. 404 is of sandboxes, and this one is there. */
static bool go_on(struct job *job, struct sandbox *sandbox)
{
	nova_error_t *error = NULL;
	if (!sandbox_is_kept(job, sandbox))
		return false;
	int code = sandbox_start(job, sandbox, e2b_seconds(job), &error);
	if (code != 0)
		job_fail_by(job, error);
	if (code == NOVA_ENOTFOUND)
		job_status(job, 400);
	nova_error_free(error);
	return code == 0;
}

static void resume(struct job *job, struct sandbox *sandbox)
{
	if (!go_on(job, sandbox)) {
		sandbox_settle(sandbox->id, SANDBOX_PAUSED, sandbox->snapshot);
		return;
	}
	sandbox_extend(sandbox->id, e2b_seconds(job), false);
	record_drop(sandbox->id);
	drop(job, sandbox->snapshot); /* at the latest when its VM ends */
	if (sandbox_settle(sandbox->id, SANDBOX_RUNNING, "")) {
		job_status(job, 201);
		job_answer(job, sandbox_json(sandbox));
		return;
	}
	sandbox_kill(job_nova(job), sandbox->id);
	refuse_killed(job, sandbox->id);
}

static void connect_it(struct job *job)
{
	struct sandbox sandbox;
	bool found = sandbox_of(job, &sandbox);
	if (found && sandbox.state == SANDBOX_RUNNING) {
		sandbox_extend(sandbox.id, e2b_seconds(job), true);
		job_answer(job, sandbox_json(&sandbox));
	} else if (found && check_memory(job)) {
		/* what it was before it was claimed may be of an earlier pause */
		bool claimed = sandbox_claim(sandbox.id, SANDBOX_PAUSED);
		found = sandbox_of(job, &sandbox);
		if (found && !claimed)
			refuse_state(job, sandbox.id, SANDBOX_BUSY);
		else if (found)
			resume(job, &sandbox);
	}
	sandbox_clear(&sandbox);
}

/* --- forks --- */

static void name_fork(struct sandbox *fork, const struct sandbox *parent, const char *snapshot)
{
	*fork = *parent;
	fork->metadata = need(json_deep_copy(parent->metadata));
	fork->envs = need(json_deep_copy(parent->envs));
	fork->commands = fork->postponed = 0;
	random_hex(fork->id, 10);
	random_hex(fork->token, 32);
	snprintf(fork->snapshot, sizeof(fork->snapshot), "%s", snapshot);
}

static json_t *fork_once(struct job *job, const struct sandbox *parent, const char *snapshot)
{
	struct sandbox fork;
	name_fork(&fork, parent, snapshot);
	if (sandbox_begin(job, &fork))
		return need(json_pack("{s:o}", "sandbox", sandbox_json(&fork)));
	json_t *problem = exchange_problem_of(job_reply(job));
	json_t *json = json_pack("{s:{s:O,s:O}}", "error", "code",
		json_object_get(problem, "status"), "message", json_object_get(problem, "detail"));
	json_decref(problem);
	json_object_clear(job_reply(job));
	return need(json);
}

static void take_back(struct job *job)
{
	size_t i;
	const json_t *one;
	json_array_foreach(json_object_get(job_reply(job), "body"), i, one)
		sandbox_take_back(job, json_object_get(one, "sandbox"));
}

/* Until all are there, or nobody waits for them. */
static json_t *fork_all(
	struct job *job, const struct sandbox *parent, const char *snapshot, uint32_t count)
{
	json_t *forks = need(json_array());
	while (json_array_size(forks) < count && !job_is_canceled(job))
		json_array_append_new(forks, fork_once(job, parent, snapshot));
	return forks;
}

static void fork_it(struct job *job)
{
	char snapshot[65];
	struct sandbox sandbox;
	uint32_t count = job_field_number(job, "count");
	if (sandbox_of(job, &sandbox) && claim(job, sandbox.id)) {
		sandbox_add_pairs(&sandbox); /* now: it may be killed meanwhile */
		bool frozen = freeze(job, &sandbox, snapshot);
		sandbox_settle(sandbox.id, SANDBOX_RUNNING, "");
		if (frozen) {
			json_t *forks = fork_all(job, &sandbox, snapshot, count ? count : 1);
			drop(job, snapshot);
			job_status(job, 201);
			job_answer(job, forks);
			job_undo(job, take_back);
		}
	}
	sandbox_clear(&sandbox);
}

const struct job_verb verb_e2b_pause = { .name = "pause", .work = pause_it };
const struct job_verb verb_e2b_connect = { .name = "connect", .work = connect_it };
const struct job_verb verb_e2b_fork = { .name = "fork", .work = fork_it };
