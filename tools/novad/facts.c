/* SPDX-License-Identifier: MIT */
/*
 * What the library does not tell of things that were made here: whose they are, the function of a
 * snapshot, the snapshot that an instance began with, what an execution has left. Snapshots outlive
 * this process, and so do their facts; instances do not, and what was known of them says then that
 * they were there.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"

#define EXECUTIONS_MAX 100000u /* the oldest make room for others */
#define TOLD_MAX       10

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static json_t *tables[FACTS_KINDS]; /* id -> facts */
static json_t *lost;                /* id or name of an instance -> its owner */
static struct shelf *shelves[FACTS_KINDS];

/* --- one by one --- */

void facts_put(enum facts_of kind, const char *id, const struct facts *facts)
{
	json_t *json = need(json_pack(
		"{s:s,s:s,s:s}", "owner", facts->owner, "of", facts->of, "name", facts->name));
	pthread_mutex_lock(&lock);
	json_t *table = tables[kind];
	if (kind == FACTS_EXECUTION && json_object_size(table) >= EXECUTIONS_MAX)
		json_object_del(table, json_object_iter_key(json_object_iter(table)));
	json_object_set(table, id, json);
	pthread_mutex_unlock(&lock);
	if (shelves[kind])
		shelf_put(shelves[kind], id, json);
	json_decref(json);
}

static void copy(char *out, size_t size, const json_t *facts, const char *name)
{
	const char *text = json_string_value(json_object_get(facts, name));
	snprintf(out, size, "%s", text ? text : "");
}

bool facts_get(enum facts_of kind, const char *id, struct facts *ret)
{
	pthread_mutex_lock(&lock);
	const json_t *facts = json_object_get(tables[kind], id);
	copy(ret->owner, sizeof(ret->owner), facts, "owner");
	copy(ret->of, sizeof(ret->of), facts, "of");
	copy(ret->name, sizeof(ret->name), facts, "name");
	pthread_mutex_unlock(&lock);
	return facts != NULL;
}

void facts_drop(enum facts_of kind, const char *id)
{
	pthread_mutex_lock(&lock);
	bool known = json_object_del(tables[kind], id) == 0;
	pthread_mutex_unlock(&lock);
	if (known && shelves[kind])
		shelf_drop(shelves[kind], id);
}

bool facts_lost(const char *instance, char owner[OWNER_SIZE])
{
	const char *text = json_string_value(json_object_get(lost, instance));
	snprintf(owner, OWNER_SIZE, "%s", text ? text : "");
	return text != NULL;
}

/* --- what another process has left --- */

/* Somebody else may have deleted them. */
static void sweep_snapshots(nova_host_t *host)
{
	void *next;
	const char *id;
	json_t *facts;
	size_t count = 0;
	nova_error_t *error = NULL;
	nova_snapshot_t **all = NULL;
	json_t *there = need(json_object());
	int code = nova_snapshot_list(host, &all, &count, &error);
	if (code != 0)
		say(NOVA_LOG_ERROR, nova_error_message(error));
	for (size_t i = 0; i < count; i++)
		json_object_set_new(there, nova_snapshot_id(all[i]), json_true());
	json_object_foreach_safe(tables[FACTS_SNAPSHOT], next, id,
		facts) if (code == 0 && !json_object_get(there, id))
	{
		shelf_drop(shelves[FACTS_SNAPSHOT], id);
		json_object_del(tables[FACTS_SNAPSHOT], id);
	}
	json_decref(there);
	nova_snapshot_list_free(all, count);
	nova_error_free(error);
}

static void lose(const char *id, const json_t *facts)
{
	const char *name = json_string_value(json_object_get(facts, "name"));
	json_object_set(lost, id, json_object_get(facts, "owner"));
	if (name && *name)
		json_object_set(lost, name, json_object_get(facts, "owner"));
}

/* Their VMs have ended with the process that had them. */
static void tell_instances(json_t *left)
{
	size_t told = 0;
	const char *id;
	json_t *facts;
	struct bytes text = { 0 };
	json_object_foreach(left, id, facts)
	{
		const char *name = json_string_value(json_object_get(facts, "name"));
		lose(id, facts);
		shelf_drop(shelves[FACTS_INSTANCE], id);
		if (told++ >= TOLD_MAX)
			continue;
		bytes_add(&text, told > 1 ? ", " : "", told > 1 ? 2 : 0);
		name = name && *name ? name : id;
		bytes_add(&text, name, strlen(name));
	}
	bytes_add(&text, "", 1);
	if (told)
		log_line(say, NOVA_LOG_WARN,
			"the novad before this one was killed, and %zu instance%s ended with it: "
			"%s%s",
			told, told == 1 ? " has" : "s have", text.data,
			told > TOLD_MAX ? ", ..." : "");
	bytes_free(&text);
}

bool facts_open(const char *directory, nova_host_t *host)
{
	lost = need(json_object());
	for (int kind = 0; kind < FACTS_KINDS; kind++)
		tables[kind] = need(json_object());
	shelves[FACTS_SNAPSHOT] = shelf_open(directory, "snapshots", false);
	shelves[FACTS_INSTANCE] = shelf_open(directory, "instances", false);
	if (!shelves[FACTS_SNAPSHOT] || !shelves[FACTS_INSTANCE])
		return false;
	json_t *left = shelf_read(shelves[FACTS_INSTANCE], NULL);
	tell_instances(left);
	json_decref(left);
	json_decref(tables[FACTS_SNAPSHOT]);
	tables[FACTS_SNAPSHOT] = shelf_read(shelves[FACTS_SNAPSHOT], NULL);
	sweep_snapshots(host);
	return left && tables[FACTS_SNAPSHOT];
}

/* All instances have ended in order: there is nothing to tell of them. */
void facts_close(void)
{
	const char *id;
	json_t *facts;
	json_object_foreach(tables[FACTS_INSTANCE], id, facts)
		shelf_drop(shelves[FACTS_INSTANCE], id);
	for (int kind = 0; kind < FACTS_KINDS; kind++) {
		shelf_free(shelves[kind]);
		json_decref(tables[kind]);
		shelves[kind] = NULL;
		tables[kind] = NULL;
	}
	json_decref(lost);
	lost = NULL;
}
