/* SPDX-License-Identifier: MIT */
/* Functions that were looked up lately, so that a call of a hot function does not read its row
 * again. */
#include "registry/registry.h"

struct cache_entry {
	struct table_node node;
	struct link link;
	struct named_function is;
	char name[]; /* as it is asked for: "name", "name:3", "name:alias" */
};

void named_function_clear(struct named_function *named)
{
	nova_function_free(named->function);
	nova_function_free(named->second);
	*named = (struct named_function){ .function = NULL };
}

static void empty(struct function_cache *cache)
{
	for (struct link *first; (first = list_pop(&cache->entries));) {
		struct cache_entry *entry = CONTAINER_OF(first, struct cache_entry, link);
		table_remove(&cache->functions, &entry->node);
		named_function_clear(&entry->is);
		free(entry);
	}
}

int cache_init(struct function_cache *cache, nova_error_t **error)
{
	*cache = (struct function_cache){ 0 };
	if (table_init(&cache->functions) < 0)
		return nova_oom(error);
	list_init(&cache->entries);
	random_bytes(&cache->draws, sizeof(cache->draws)); /* without them it is 0, as good */
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
		if (n->hash == hash && !strcmp(entry->name, name))
			return entry;
	}
	return NULL;
}

/* SplitMix64. Who shares out calls has no secret to keep, and asks no kernel. */
static uint64_t draw(struct function_cache *cache)
{
	uint64_t z = cache->draws += 0x9e3779b97f4a7c15;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* With the lock. */
static nova_function_t *choose(struct function_cache *cache, const struct named_function *named)
{
	bool second = named->second && draw(cache) % 100 < named->weight;
	return function_ref(second ? named->second : named->function);
}

nova_function_t *cache_get(struct function_cache *cache, uint64_t stamp, const char *name)
{
	pthread_mutex_lock(&cache->lock);
	if (cache->stamp != stamp) {
		empty(cache);
		cache->stamp = stamp;
	}
	struct cache_entry *entry = find(cache, name);
	nova_function_t *function = entry ? choose(cache, &entry->is) : NULL;
	pthread_mutex_unlock(&cache->lock);
	return function;
}

nova_function_t *cache_put(struct function_cache *cache, uint64_t stamp, const char *name,
	const struct named_function *named)
{
	size_t len = strlen(name) + 1;
	struct cache_entry *entry = malloc(sizeof(*entry) + len);
	pthread_mutex_lock(&cache->lock);
	nova_function_t *chosen = choose(cache, named);
	/* Another thread may have seen a later stamp since, or have put the same function. */
	bool wanted = entry && cache->stamp == stamp && !find(cache, name);
	if (wanted) {
		if (cache->functions.count >= CACHE_MAX)
			empty(cache);
		entry->is = *named;
		function_ref(named->function);
		if (named->second)
			function_ref(named->second);
		memcpy(entry->name, name, len);
		list_append(&cache->entries, &entry->link);
		table_add(&cache->functions, &entry->node, hash_text(name));
	}
	pthread_mutex_unlock(&cache->lock);
	if (!wanted)
		free(entry);
	return chosen;
}
