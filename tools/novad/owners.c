/* SPDX-License-Identifier: MIT */
/*
 * Whose things are. What a key has made belongs to it, and is not there for others; an admin sees
 * and changes all. What nobody here has made belongs to the host: its functions may be called by
 * all keys, and all else is for admins. docs/novad.md has the whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"

const char *job_owner(const struct job *job)
{
	const char *owner = json_string_value(json_object_get(job_options(job), "owner"));
	return owner ? owner : "";
}

bool job_is_admin(const struct job *job)
{
	return job_flag(job, "admin");
}

void owner_options(json_t *options, const struct key *key)
{
	char owner[OWNER_SIZE];
	key_owner(key, owner);
	json_object_set_new(options, "owner", json_string(owner));
	json_object_set_new(options, "admin", json_boolean(!key || key->admin));
}

static bool owns(const struct job *job, const char *owner)
{
	return job_is_admin(job) || (*owner && !strcmp(owner, job_owner(job)));
}

void refuse_missing(struct job *job, const char *what, const char *name)
{
	job_problem(job, 404, "not_found", "there is no %s '%.80s'", what, name);
}

/* --- executions: the beginning of an id says whose it is, also to another process --- */

void execution_id(const char *owner, char id[EXECUTION_SIZE])
{
	random_hex(id, (EXECUTION_SIZE - 1) / 2);
	memcpy(id, owner, strnlen(owner, OWNER_TAG));
}

bool owns_execution(const struct job *job, const char *id)
{
	const char *owner = job_owner(job);
	return job_is_admin(job) || (*owner && !strncmp(id, owner, OWNER_TAG));
}

/* --- functions --- */

char *owner_label(const char *owner)
{
	char *label = NULL;
	if (*owner && asprintf(&label, OWNER_LABEL "=%s", owner) < 0)
		need(NULL);
	return label;
}

bool owner_is_label(const char *label)
{
	return !strncmp(label, "novad.", strlen("novad."));
}

const char *function_owner(const nova_function_t *function)
{
	const char *label;
	for (size_t i = 0; (label = nova_function_text(function, "labels", i)) != NULL; i++)
		if (!strncmp(label, OWNER_LABEL "=", strlen(OWNER_LABEL "=")))
			return label + strlen(OWNER_LABEL "=");
	return "";
}

bool function_is_own(const struct job *job, const nova_function_t *function)
{
	return owns(job, function_owner(function));
}

bool function_is_shown(const struct job *job, const nova_function_t *function)
{
	return !*function_owner(function) || function_is_own(job, function);
}

nova_function_t *function_find(struct job *job, const char *name)
{
	nova_error_t *error = NULL;
	nova_function_t *function = NULL;
	int code = nova_function_get(job_nova(job), name, &function, &error);
	bool is_shown = code == 0 && function_is_shown(job, function);
	if (code == 0 ? !is_shown : code == NOVA_ENOTFOUND && !job_is_admin(job))
		refuse_missing(job, "function", name); /* the library would name another one */
	else if (code != 0)
		job_fail_by(job, error);
	nova_error_free(error);
	if (is_shown)
		return function;
	nova_function_free(function);
	return NULL;
}

bool may_call_function(struct job *job, const char *name)
{
	if (job_is_admin(job)) /* what is wrong with it is said by what calls it */
		return true;
	nova_function_t *function = function_find(job, name);
	nova_function_free(function);
	return function != NULL;
}

void refuse_shared(struct job *job, const char *what)
{
	job_problem(job, 403, "not_yours", "%s belongs to this server: an admin may do that", what);
}

bool may_change_function(struct job *job, const char *name)
{
	if (job_is_admin(job))
		return true;
	nova_function_t *function = function_find(job, name);
	bool is_own = function && function_is_own(job, function);
	if (function && !is_own)
		refuse_shared(job, "this function");
	nova_function_free(function);
	return is_own;
}

static void work_guarded(struct job *job, bool may)
{
	void (*const *work)(struct job *) = job_verb(job)->context;
	if (may)
		(*work)(job);
}

void work_on_own_function(struct job *job)
{
	work_guarded(job, may_change_function(job, job_path(job, "id")));
}

void work_on_shown_function(struct job *job)
{
	work_guarded(job, may_call_function(job, job_path(job, "id")));
}

/* --- instances --- */

void instance_note(struct job *job, const nova_instance_t *instance, const char *began_with)
{
	struct facts facts = { .of = "" };
	snprintf(facts.owner, sizeof(facts.owner), "%s", job_owner(job));
	snprintf(facts.of, sizeof(facts.of), "%s", began_with);
	snprintf(facts.name, sizeof(facts.name), "%s", nova_instance_name(instance));
	facts_put(FACTS_INSTANCE, nova_instance_id(instance), &facts);
}

bool instance_is_shown(const struct job *job, const nova_instance_t *instance)
{
	struct facts facts;
	facts_get(FACTS_INSTANCE, nova_instance_id(instance), &facts);
	return owns(job, facts.owner);
}

static void refuse_instance(struct job *job, const char *name)
{
	char owner[OWNER_SIZE];
	if (facts_lost(name, owner) && owns(job, owner))
		job_problem(job, 404, "not_found",
			"the instance '%.80s' has ended with the novad before this one, which was "
			"killed",
			name);
	else
		job_problem(job, 404, "not_found",
			"there is no instance '%.80s'; it may have been stopped", name);
}

nova_instance_t *instance_find(struct job *job, const char *name)
{
	nova_error_t *error = NULL;
	nova_instance_t *instance = NULL;
	int code = nova_instance_get(job_nova(job), name, &instance, &error);
	bool is_shown = code == 0 && instance_is_shown(job, instance);
	if (code == 0 ? !is_shown : code == NOVA_ENOTFOUND)
		refuse_instance(job, name);
	else if (code != 0)
		job_fail_by(job, error);
	nova_error_free(error);
	if (is_shown)
		return instance;
	nova_instance_free(instance);
	return NULL;
}

/* --- snapshots --- */

void snapshot_note(struct job *job, const char *id, const char *function, uint32_t version)
{
	struct facts facts = { .name = "" };
	snprintf(facts.owner, sizeof(facts.owner), "%s", job_owner(job));
	snprintf(facts.of, sizeof(facts.of), version ? "%.64s:%u" : "%.64s", function, version);
	facts_put(FACTS_SNAPSHOT, id, &facts);
}

static bool owns_snapshot(const struct job *job, const char *id)
{
	struct facts facts;
	facts_get(FACTS_SNAPSHOT, id, &facts);
	return owns(job, facts.owner);
}

bool snapshot_is_shown(const struct job *job, const nova_snapshot_t *snapshot)
{
	return owns_snapshot(job, nova_snapshot_id(snapshot));
}

bool snapshot_id_of(struct job *job, const char *name, char id[17])
{
	size_t count = 0;
	nova_snapshot_t **all = NULL;
	*id = 0;
	if (nova_snapshot_list(nova_host_get(job_nova(job)), &all, &count, NULL) != 0)
		return false;
	for (size_t i = 0; i < count && !*id; i++)
		if ((!strcmp(nova_snapshot_id(all[i]), name) ||
			    !strcmp(nova_snapshot_name(all[i]), name)) &&
			snapshot_is_shown(job, all[i]))
			snprintf(id, 17, "%s", nova_snapshot_id(all[i]));
	nova_snapshot_list_free(all, count);
	return *id;
}

/* That one is damaged is told to whom it belongs. */
static bool is_hidden(struct job *job, int code, const nova_snapshot_t *snapshot, const char *name)
{
	char id[17];
	if (code == 0)
		return !snapshot_is_shown(job, snapshot);
	return code == NOVA_ECORRUPT && !job_is_admin(job) && !snapshot_id_of(job, name, id);
}

nova_snapshot_t *snapshot_find(struct job *job, const char *name)
{
	nova_error_t *error = NULL;
	nova_snapshot_t *snapshot = NULL;
	int code = nova_snapshot_open(nova_host_get(job_nova(job)), name, &snapshot, &error);
	bool hidden = is_hidden(job, code, snapshot, name);
	if (hidden)
		refuse_missing(job, "snapshot", name);
	else if (code != 0)
		job_fail_by(job, error);
	nova_error_free(error);
	if (code == 0 && !hidden)
		return snapshot;
	nova_snapshot_free(snapshot);
	return NULL;
}

bool may_use_snapshot(struct job *job, const char *name)
{
	if (job_is_admin(job))
		return true;
	nova_snapshot_t *snapshot = snapshot_find(job, name);
	nova_snapshot_free(snapshot);
	return snapshot != NULL;
}
