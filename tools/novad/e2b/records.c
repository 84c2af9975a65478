/* SPDX-License-Identifier: MIT */
/*
 * What is known of sandboxes that are paused, on the disk. A record is there before the VM of its
 * sandbox ends, and goes before its snapshot does: whatever has no record is nobody's.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "e2b.h"

#define FORMAT   1
#define HEX      "0123456789abcdef"
#define ID_LEN   20
#define NAME_LEN 33 /* of a snapshot: "e2b-", an id, "-" and 8 digits */

/* One is in the table and has a record, or neither. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shelf *shelf;

/* --- one --- */

static json_t *record_of(const struct sandbox *s)
{
	int64_t left_us = (s->deadline - now_ms()) * 1000;
	return need(json_pack("{s:i,s:I,s:s,s:s,s:s,s:s,s:s,s:I,s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,"
			      "s:I,s:O,s:O}",
		"format", FORMAT, "number", (json_int_t)s->number, "owner", s->owner, "key", s->key,
		"token", s->token, "function", s->function, "template", s->template, "version",
		(json_int_t)s->version, "snapshot", s->snapshot, "auto_pause", (int)s->auto_pause,
		"cpus", (json_int_t)s->cpus, "memory_mb", (json_int_t)s->memory_mb, "room",
		(json_int_t)s->room, "started_us", (json_int_t)s->started_us, "paused_us",
		(json_int_t)s->paused_us, "paused_at_ms", (json_int_t)s->paused_at, "ends_us",
		(json_int_t)e2b_now_us() + left_us, "metadata", s->metadata, "envs", s->envs));
}

static bool is_there(const char *id)
{
	struct sandbox sandbox;
	bool found = sandbox_find(id, NULL, &sandbox);
	sandbox_clear(&sandbox);
	return found;
}

int record_write(const struct sandbox *sandbox)
{
	int why = 0;
	struct sandbox whole = *sandbox;
	sandbox_add_pairs(&whole);
	json_t *record = record_of(&whole);
	json_decref(whole.metadata);
	json_decref(whole.envs);
	pthread_mutex_lock(&lock);
	if (is_there(sandbox->id))
		why = shelf_put(shelf, sandbox->id, record);
	pthread_mutex_unlock(&lock);
	if (!why)
		elapsed_keep();
	json_decref(record);
	return why;
}

void record_drop(const char *id)
{
	shelf_drop(shelf, id);
}

bool sandbox_remove(const char *id, const char *owner, struct sandbox *ret_sandbox)
{
	pthread_mutex_lock(&lock);
	bool taken = sandbox_take(id, owner, ret_sandbox);
	if (taken)
		record_drop(id);
	pthread_mutex_unlock(&lock);
	return taken;
}

/* --- what a process before this one has left --- */

static bool is_hex(const char *text, size_t len)
{
	return strlen(text) == len && strspn(text, HEX) == len;
}

/* As freeze() names them. */
static bool is_of_sandbox(const char *name)
{
	return strlen(name) == NAME_LEN && !strncmp(name, "e2b-", 4) &&
	       strspn(name + 4, HEX) == ID_LEN && name[4 + ID_LEN] == '-' &&
	       is_hex(name + 4 + ID_LEN + 1, 8);
}

static bool take_text(char *out, size_t size, const char *text)
{
	return snprintf(out, size, "%s", text) < (int)size;
}

/* Without that, as records were at first, or if it has been lost when that was, it counts from now
 * on. */
static int64_t paused_at(const json_t *record)
{
	const json_t *at = json_object_get(record, "paused_at_ms");
	int64_t now = elapsed_ms();
	return json_is_integer(at) && json_integer_value(at) < now ? json_integer_value(at) : now;
}

/* False: it is no record of that id. The pairs are lent. */
static bool read_record(const char *id, const json_t *record, struct sandbox *s)
{
	int pause;
	json_int_t number, version, cpus, memory_mb, room, started_us, paused_us, ends_us;
	const char *owner, *key, *token, *function, *template, *snapshot;
	*s = (struct sandbox){ .postponed = 0 };
	if (json_unpack((json_t *)(uintptr_t)record,
		    "{s:I,s:s,s:s,s:s,s:s,s:s,s:I,s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o}",
		    "number", &number, "owner", &owner, "key", &key, "token", &token, "function",
		    &function, "template", &template, "version", &version, "snapshot", &snapshot,
		    "auto_pause", &pause, "cpus", &cpus, "memory_mb", &memory_mb, "room", &room,
		    "started_us", &started_us, "paused_us", &paused_us, "ends_us", &ends_us,
		    "metadata", &s->metadata, "envs", &s->envs) != 0 ||
		!is_hex(id, ID_LEN) || !is_hex(token, 64) || !is_of_sandbox(snapshot) ||
		!json_is_object(s->metadata) || !json_is_object(s->envs))
		return false;
	s->number = (uint64_t)number;
	s->version = (uint32_t)version;
	s->auto_pause = pause;
	s->cpus = (uint32_t)cpus;
	s->memory_mb = (uint32_t)memory_mb;
	s->room = (uint32_t)room;
	s->started_us = (uint64_t)started_us;
	s->paused_us = (uint64_t)paused_us;
	s->paused_at = paused_at(record);
	s->deadline = now_ms() + (ends_us - (json_int_t)e2b_now_us()) / 1000;
	return take_text(s->id, sizeof(s->id), id) &&
	       take_text(s->owner, sizeof(s->owner), owner) &&
	       take_text(s->key, sizeof(s->key), key) &&
	       take_text(s->token, sizeof(s->token), token) &&
	       take_text(s->function, sizeof(s->function), function) &&
	       take_text(s->template, sizeof(s->template), template) &&
	       take_text(s->snapshot, sizeof(s->snapshot), snapshot);
}

/* The snapshots of sandboxes, by name, the oldest first. Those which the API has made are not
 * among them, whatever they are called. NULL: it has been said why they are not known. */
static json_t *list_snapshots(nova_host_t *host)
{
	size_t count = 0;
	struct facts facts;
	nova_error_t *error = NULL;
	nova_snapshot_t **all = NULL;
	json_t *names = need(json_object());
	if (nova_snapshot_list(host, &all, &count, &error) != 0) {
		log_line(say, NOVA_LOG_ERROR, "cannot look for what sandboxes have left: %s",
			nova_error_message(error));
		json_decref(names);
		names = NULL;
	}
	for (size_t i = 0; i < count; i++)
		if (is_of_sandbox(nova_snapshot_name(all[i])) &&
			!facts_get(FACTS_SNAPSHOT, nova_snapshot_id(all[i]), &facts))
			json_object_set_new(names, nova_snapshot_name(all[i]), json_true());
	nova_snapshot_list_free(all, count);
	nova_error_free(error);
	return names;
}

static void lose(const char *id, const char *why)
{
	log_line(say, NOVA_LOG_WARN, "the paused sandbox '%s' is lost, as its %s", id, why);
	record_drop(id);
}

/* Takes what is still needed out of `names`. */
static void keep_all(json_t *names, const char *id)
{
	void *next;
	const char *name;
	json_t *one;
	json_object_foreach_safe(names, next, name, one)
	{
		if (!strncmp(name + 4, id, ID_LEN))
			json_object_del(names, name);
	}
}

/* What has just begun to count goes on at the next start, too. */
static void keep_start(const json_t *record, const struct sandbox *sandbox)
{
	const json_t *at = json_object_get(record, "paused_at_ms");
	if (!json_is_integer(at) || json_integer_value(at) != sandbox->paused_at)
		record_write(sandbox);
}

/* False: it is not to be had. Takes its snapshot out of `names`; NULL: they are not known. */
static bool restore(const char *id, const json_t *record, json_t *names)
{
	struct sandbox sandbox;
	json_t *format = json_object_get(record, "format");
	if (json_is_integer(format) && json_integer_value(format) != FORMAT) {
		log_line(say, NOVA_LOG_ERROR,
			"the paused sandbox '%s' is of another version of novad, and stays for "
			"that",
			id);
		keep_all(names, id);
		return false;
	}
	bool fits = read_record(id, record, &sandbox);
	if (!fits) {
		lose(id, "record is damaged");
	} else if (names && json_object_del(names, sandbox.snapshot) != 0) {
		lose(id, "snapshot is not there any more");
		fits = false;
	} else {
		sandbox.metadata = need(json_deep_copy(sandbox.metadata));
		sandbox.envs = need(json_deep_copy(sandbox.envs));
		sandbox_restore(&sandbox);
		keep_start(record, &sandbox);
	}
	return fits;
}

static void restore_all(const json_t *records, const json_t *others, json_t *names)
{
	size_t restored = 0;
	const char *id;
	json_t *one;
	json_object_foreach((json_t *)(uintptr_t)records, id, one)
	{
		restored += restore(id, one, names);
	}
	json_object_foreach((json_t *)(uintptr_t)others, id, one)
	{
		if (json_is_true(one))
			lose(id, "record is damaged");
		else
			keep_all(names, id);
	}
	if (restored)
		log_line(say, NOVA_LOG_INFO, "sandboxes that are paused: %zu", restored);
}

/* Nobody can get at these any more. */
static void clear_up(nova_host_t *host, const json_t *names)
{
	const char *name;
	json_t *one;
	size_t count = json_object_size(names);
	json_object_foreach((json_t *)(uintptr_t)names, name, one) sandbox_drop_snapshot(name);
	sandboxes_sweep(host);
	if (count)
		log_line(say, NOVA_LOG_WARN,
			"deleted what sandboxes of the novad before this one had left: %zu "
			"snapshot%s",
			count, count == 1 ? "" : "s");
}

bool sandboxes_open(const char *directory, nova_host_t *host)
{
	shelf = shelf_open(directory, "sandboxes", true);
	if (!shelf || !elapsed_open(directory))
		return false;
	json_t *others = need(json_object()), *records = shelf_read(shelf, others);
	json_t *names = records ? list_snapshots(host) : NULL;
	if (records) {
		restore_all(records, others, names);
		clear_up(host, names);
	}
	bool done = records != NULL;
	json_decref(names);
	json_decref(records);
	json_decref(others);
	return done;
}

void sandboxes_close(void)
{
	sandboxes_free();
	elapsed_close();
	shelf_free(shelf);
	shelf = NULL;
}
