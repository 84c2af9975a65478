/* SPDX-License-Identifier: MIT */
/*
 * What is known of sandboxes. It is forgotten when the process ends, as their instances end, too;
 * records.c keeps it of those that are paused.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "e2b.h"

#define POSTPONED_MAX 4

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* The newest first. */
static TAILQ_HEAD(list, sandbox) sandboxes = TAILQ_HEAD_INITIALIZER(sandboxes);
static size_t count;
static uint64_t last_number;
static json_t *dropped; /* names of snapshots, the oldest first */

uint64_t e2b_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* With the lock held, as all that begin with `at`. */
static struct sandbox *at_id(const char *id, const char *owner)
{
	struct sandbox *sandbox;
	TAILQ_FOREACH(sandbox, &sandboxes, all)
	if (!strcmp(sandbox->id, id) && (!owner || !strcmp(sandbox->owner, owner)))
		return sandbox;
	return NULL;
}

void sandbox_clear(struct sandbox *copy)
{
	json_decref(copy->metadata);
	json_decref(copy->envs);
	*copy = (struct sandbox){ .metadata = NULL };
}

bool sandbox_find(const char *id, const char *owner, struct sandbox *copy)
{
	*copy = (struct sandbox){ .metadata = NULL };
	pthread_mutex_lock(&lock);
	const struct sandbox *sandbox = at_id(id, owner);
	if (sandbox)
		*copy = *sandbox;
	pthread_mutex_unlock(&lock);
	copy->metadata = copy->envs = NULL;
	return sandbox != NULL;
}

/* Counts of references are not for several threads. */
void sandbox_add_pairs(struct sandbox *copy)
{
	pthread_mutex_lock(&lock);
	const struct sandbox *sandbox = at_id(copy->id, NULL);
	copy->metadata = need(sandbox ? json_deep_copy(sandbox->metadata) : json_object());
	copy->envs = need(sandbox ? json_deep_copy(sandbox->envs) : json_object());
	pthread_mutex_unlock(&lock);
}

void sandboxes_each(const char *owner, bool ascends,
	bool (*each)(void *userdata, const struct sandbox *sandbox), void *userdata)
{
	const struct sandbox *sandbox;
	bool more = true;
	pthread_mutex_lock(&lock);
	for (sandbox = ascends ? TAILQ_LAST(&sandboxes, list) : TAILQ_FIRST(&sandboxes);
		sandbox && more;
		sandbox = ascends ? TAILQ_PREV(sandbox, list, all) : TAILQ_NEXT(sandbox, all))
		if (!strcmp(sandbox->owner, owner))
			more = each(userdata, sandbox);
	pthread_mutex_unlock(&lock);
}

/* Whether there may be one more; else `why` not. */
static bool at_room(const char *owner, const struct settings *limits, char why[SANDBOX_WHY])
{
	uint32_t own = 0;
	const struct sandbox *sandbox;
	TAILQ_FOREACH(sandbox, &sandboxes, all)
	own += *owner && !strcmp(sandbox->owner, owner);
	if (count >= limits->sandboxes)
		snprintf(why, SANDBOX_WHY,
			"there are %zu sandboxes, with those that are paused, and may not be more",
			count);
	else if (own >= limits->key_sandboxes)
		snprintf(why, SANDBOX_WHY,
			"this key has %u sandboxes, with those that are paused, and may not have "
			"more: kill some of them",
			own);
	else
		return true;
	return false;
}

bool sandbox_add(struct sandbox *sandbox, const struct settings *limits, char why[SANDBOX_WHY])
{
	pthread_mutex_lock(&lock);
	bool fits = at_room(sandbox->owner, limits, why);
	if (fits) {
		struct sandbox *own = need(malloc(sizeof(*own)));
		*own = *sandbox;
		own->state = SANDBOX_BUSY;
		*own->snapshot = 0; /* that with which it begins is not its own */
		own->number = ++last_number;
		TAILQ_INSERT_HEAD(&sandboxes, own, all);
		count++;
		sandbox->metadata = sandbox->envs = NULL;
	}
	pthread_mutex_unlock(&lock);
	return fits;
}

bool sandbox_started(const struct sandbox *sandbox)
{
	pthread_mutex_lock(&lock);
	struct sandbox *own = at_id(sandbox->id, NULL);
	if (own) {
		own->state = SANDBOX_RUNNING;
		own->version = sandbox->version;
		own->started_us = sandbox->started_us;
		own->deadline = sandbox->deadline;
	}
	pthread_mutex_unlock(&lock);
	return own != NULL;
}

void sandbox_restore(struct sandbox *sandbox)
{
	struct sandbox *own = need(malloc(sizeof(*own))), *at;
	*own = *sandbox;
	own->state = SANDBOX_PAUSED;
	sandbox->metadata = sandbox->envs = NULL;
	pthread_mutex_lock(&lock);
	TAILQ_FOREACH(at, &sandboxes, all)
	if (at->number < own->number)
		break;
	if (at)
		TAILQ_INSERT_BEFORE(at, own, all);
	else
		TAILQ_INSERT_TAIL(&sandboxes, own, all);
	last_number = own->number > last_number ? own->number : last_number;
	count++;
	pthread_mutex_unlock(&lock);
}

bool sandbox_take(const char *id, const char *owner, struct sandbox *ret_sandbox)
{
	pthread_mutex_lock(&lock);
	struct sandbox *sandbox = at_id(id, owner);
	if (sandbox) {
		TAILQ_REMOVE(&sandboxes, sandbox, all);
		count--;
		*ret_sandbox = *sandbox;
	}
	pthread_mutex_unlock(&lock);
	free(sandbox);
	return sandbox != NULL;
}

bool sandbox_claim(const char *id, enum sandbox_state from)
{
	pthread_mutex_lock(&lock);
	struct sandbox *sandbox = at_id(id, NULL);
	bool fits = sandbox && sandbox->state == from;
	if (fits)
		sandbox->state = SANDBOX_BUSY;
	pthread_mutex_unlock(&lock);
	return fits;
}

bool sandbox_paused(const struct sandbox *sandbox)
{
	pthread_mutex_lock(&lock);
	struct sandbox *own = at_id(sandbox->id, NULL);
	if (own) {
		own->state = SANDBOX_PAUSED;
		own->paused_us = sandbox->paused_us;
		own->paused_at = sandbox->paused_at;
		memcpy(own->snapshot, sandbox->snapshot, sizeof(own->snapshot));
	}
	pthread_mutex_unlock(&lock);
	return own != NULL;
}

bool sandbox_settle(const char *id, enum sandbox_state state, const char *snapshot)
{
	pthread_mutex_lock(&lock);
	struct sandbox *sandbox = at_id(id, NULL);
	if (sandbox) {
		sandbox->state = state;
		snprintf(sandbox->snapshot, sizeof(sandbox->snapshot), "%s", snapshot);
	}
	pthread_mutex_unlock(&lock);
	return sandbox != NULL;
}

void sandbox_extend(const char *id, uint32_t seconds, bool longer)
{
	int64_t deadline = now_ms() + (int64_t)seconds * 1000;
	pthread_mutex_lock(&lock);
	struct sandbox *sandbox = at_id(id, NULL);
	if (sandbox && (!longer || deadline > sandbox->deadline)) {
		sandbox->deadline = deadline;
		sandbox->postponed = 0;
	}
	pthread_mutex_unlock(&lock);
}

bool sandbox_postpone(const char *id, uint32_t ms)
{
	pthread_mutex_lock(&lock);
	struct sandbox *sandbox = at_id(id, NULL);
	bool may = !sandbox || sandbox->postponed < POSTPONED_MAX;
	if (sandbox && may)
		sandbox->deadline = now_ms() + ((int64_t)ms << sandbox->postponed++);
	pthread_mutex_unlock(&lock);
	return may;
}

bool sandbox_enter(const char *id)
{
	pthread_mutex_lock(&lock);
	struct sandbox *sandbox = at_id(id, NULL);
	bool may =
		sandbox && sandbox->state == SANDBOX_RUNNING && sandbox->commands < sandbox->room;
	if (may)
		sandbox->commands++;
	pthread_mutex_unlock(&lock);
	return may;
}

void sandbox_leave(const char *id)
{
	pthread_mutex_lock(&lock);
	struct sandbox *sandbox = at_id(id, NULL);
	if (sandbox)
		sandbox->commands--;
	pthread_mutex_unlock(&lock);
}

static bool is_over(const struct sandbox *sandbox, int64_t now, uint32_t paused_ms)
{
	return (sandbox->state == SANDBOX_RUNNING && now >= sandbox->deadline) ||
	       (sandbox->state == SANDBOX_PAUSED && elapsed_ms() - sandbox->paused_at >= paused_ms);
}

bool sandbox_expired(uint32_t paused_ms, struct sandbox *copy)
{
	bool found = false;
	int64_t now = now_ms();
	struct sandbox *sandbox;
	pthread_mutex_lock(&lock);
	TAILQ_FOREACH(sandbox, &sandboxes, all)
	if (!found && is_over(sandbox, now, paused_ms)) {
		found = true;
		*copy = *sandbox;
		copy->metadata = copy->envs = NULL;
		sandbox->state = SANDBOX_BUSY;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

size_t sandboxes_count(void)
{
	pthread_mutex_lock(&lock);
	size_t found = count;
	pthread_mutex_unlock(&lock);
	return found;
}

/* --- their snapshots --- */

void sandbox_drop_snapshot(const char *name)
{
	pthread_mutex_lock(&lock);
	if (!dropped)
		dropped = need(json_array());
	json_array_append_new(dropped, json_string(name));
	pthread_mutex_unlock(&lock);
}

/* Later ones may be based on earlier ones, so they go first. */
void sandboxes_sweep(nova_host_t *host)
{
	pthread_mutex_lock(&lock);
	json_t *names = dropped;
	dropped = NULL;
	pthread_mutex_unlock(&lock);
	for (size_t i = json_array_size(names); i-- > 0;) {
		const char *name = json_string_value(json_array_get(names, i));
		int code = nova_snapshot_delete(host, name, NULL);
		if (code != NOVA_EBUSY)
			json_array_remove(names, i);
	}
	pthread_mutex_lock(&lock);
	if (names)
		json_array_extend(names, dropped);
	json_decref(dropped);
	dropped = names;
	pthread_mutex_unlock(&lock);
}

void sandboxes_free(void)
{
	struct sandbox *sandbox;
	while ((sandbox = TAILQ_FIRST(&sandboxes)) != NULL) {
		TAILQ_REMOVE(&sandboxes, sandbox, all);
		sandbox_clear(sandbox);
		free(sandbox);
	}
	count = 0;
	json_decref(dropped);
	dropped = NULL;
}
