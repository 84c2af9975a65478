/* SPDX-License-Identifier: MIT */
/*
 * What the library does not tell of things that were made here. The oldest make room for others,
 * and all is forgotten when the process ends; requests can say it, too.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "routes.h"

#define MEMO_MAX 100000u /* of each kind */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static json_t *tables[MEMO_KINDS]; /* id -> name */

void memo_put(enum memo kind, const char *id, const char *name)
{
	pthread_mutex_lock(&lock);
	json_t **table = &tables[kind];
	if (!*table)
		*table = need(json_object());
	if (json_object_size(*table) == MEMO_MAX)
		json_object_del(*table, json_object_iter_key(json_object_iter(*table)));
	json_object_set_new(*table, id, json_string(name));
	pthread_mutex_unlock(&lock);
}

bool memo_get(enum memo kind, const char *id, char out[MEMO_SIZE])
{
	pthread_mutex_lock(&lock);
	const char *name = json_string_value(json_object_get(tables[kind], id));
	snprintf(out, MEMO_SIZE, "%s", name ? name : "");
	pthread_mutex_unlock(&lock);
	return name != NULL;
}

void memo_drop(enum memo kind, const char *id)
{
	pthread_mutex_lock(&lock);
	json_object_del(tables[kind], id);
	pthread_mutex_unlock(&lock);
}

void memo_free(void)
{
	for (size_t i = 0; i < MEMO_KINDS; i++) {
		json_decref(tables[i]);
		tables[i] = NULL;
	}
}
