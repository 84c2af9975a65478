/* SPDX-License-Identifier: MIT */
/* Functions that were looked up lately, so that a call of a hot function does not read its row
 * again. */
#include "base/table.h"
#include "registry/registry.h"

struct cache_entry {
	struct cache_entry *next;
	nova_function_t *function;
};

static struct cache_entry **bucket_of(struct function_cache *cache, const char *name)
{
	return &cache->buckets[hash_text(name) % CACHE_BUCKETS];
}

static void empty(struct function_cache *cache)
{
	for (size_t i = 0; i < CACHE_BUCKETS; i++)
		for (struct cache_entry *entry; (entry = cache->buckets[i]);) {
			cache->buckets[i] = entry->next;
			nova_function_free(entry->function);
			free(entry);
		}
	cache->count = 0;
}

int cache_init(struct function_cache *cache, nova_error_t **error)
{
	*cache = (struct function_cache){ 0 };
	return pthread_mutex_init(&cache->lock, NULL) ? nova_oom(error) : 0;
}

void cache_free(struct function_cache *cache)
{
	empty(cache);
	pthread_mutex_destroy(&cache->lock);
}

static struct cache_entry *find(struct function_cache *cache, const char *name)
{
	struct cache_entry *entry = *bucket_of(cache, name);
	while (entry && strcmp(entry->function->record.name, name) != 0)
		entry = entry->next;
	return entry;
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
		if (cache->count >= CACHE_MAX)
			empty(cache);
		struct cache_entry **bucket = bucket_of(cache, function->record.name);
		*entry = (struct cache_entry){ *bucket, function_ref(function) };
		*bucket = entry;
		cache->count++;
	}
	pthread_mutex_unlock(&cache->lock);
	if (!wanted)
		free(entry);
}
