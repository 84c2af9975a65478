/* SPDX-License-Identifier: MIT */
/*
 * What the library does not tell of things that were made here: the function of a snapshot, the
 * snapshot that a branch began with, what an execution has left. The oldest make room for others,
 * and all is forgotten when the process ends; requests can say it, too.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "routes.h"

#define MEMO_MAX 100000u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static json_t *table; /* id -> name */

void memo_put(const char *id, const char *name)
{
	pthread_mutex_lock(&lock);
	if (!table)
		table = need(json_object());
	if (json_object_size(table) == MEMO_MAX)
		json_object_del(table, json_object_iter_key(json_object_iter(table)));
	json_object_set_new(table, id, json_string(name));
	pthread_mutex_unlock(&lock);
}

bool memo_get(const char *id, char *out, size_t size)
{
	pthread_mutex_lock(&lock);
	const char *name = json_string_value(json_object_get(table, id));
	snprintf(out, size, "%s", name ? name : "");
	pthread_mutex_unlock(&lock);
	return name != NULL;
}

void memo_drop(const char *id)
{
	pthread_mutex_lock(&lock);
	json_object_del(table, id);
	pthread_mutex_unlock(&lock);
}

void memo_free(void)
{
	json_decref(table);
	table = NULL;
}
