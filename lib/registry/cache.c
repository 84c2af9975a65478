/* SPDX-License-Identifier: MIT */
/* Functions that were looked up lately, so that a call of a hot function does not read its row
 * again. */
#include "registry/registry.h"

struct cache_entry {
	struct table_node node;
	struct link link;
	nova_function_t *function;
};

static void empty(struct function_cache *cache)
{
	for (struct link *first; (first = list_pop(&cache->entries));) {
		struct cache_entry *entry = CONTAINER_OF(first, struct cache_entry, link);
		table_remove(&cache->functions, &entry->node);
		nova_function_free(entry->function);
		free(entry);
	}
}

int cache_init(struct function_cache *cache, nova_error_t **error)
{
	*cache = (struct function_cache){ 0 };
	if (table_init(&cache->functions) < 0)
		return nova_oom(error);
	list_init(&cache->entries);
	pthread_mutex_init(&cache->lock, NULL);
	return 0;
}

void cache_free(struct function_cache *cache)
{
	empty(cache);
	table_done(&cache->functions);
	pthread_mutex_destroy(&cache->lock);
}

static struct cache_entry *find(const struct function_cache *cache, const char *name)
{
	uint64_t hash = hash_text(name);
	for (struct table_node *n = table_bucket(&cache->functions, hash); n; n = n->next) {
		struct cache_entry *entry = CONTAINER_OF(n, struct cache_entry, node);
		if (n->hash == hash && !strcmp(entry->function->record.name, name))
			return entry;
	}
	return NULL;
}

nova_function_t *cache_get(struct function_cache *cache, uint64_t stamp, const char *name)
{
	pthread_mutex_lock(&cache->lock);
	if (cache->stamp != stamp) {
		empty(cache);
		cache->stamp = stamp;
	}
	struct cache_entry *entry = find(cache, name);
	nova_function_t *function = entry ? function_ref(entry->function) : NULL;
	pthread_mutex_unlock(&cache->lock);
	return function;
}

void cache_put(struct function_cache *cache, uint64_t stamp, nova_function_t *function)
{
	struct cache_entry *entry = malloc(sizeof(*entry));
	if (!entry)
		return;
	pthread_mutex_lock(&cache->lock);
	/* Another thread may have seen a later stamp since, or have put the same function. */
	bool wanted = cache->stamp == stamp && !find(cache, function->record.name);
	if (wanted) {
		if (cache->functions.count >= CACHE_MAX)
			empty(cache);
		entry->function = function_ref(function);
		list_append(&cache->entries, &entry->link);
		table_add(&cache->functions, &entry->node, hash_text(function->record.name));
	}
	pthread_mutex_unlock(&cache->lock);
	if (!wanted)
		free(entry);
}
