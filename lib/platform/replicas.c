/* SPDX-License-Identifier: MIT */
/*
 * What the store says, applied to the pool: min_replicas of the functions, and which VMs are of no
 * use any more. The store says by its stamp whether anything has changed, so a tick costs one look
 * at that.
 */
#include "platform/platform.h"

int replicas_init(struct replicas *replicas, nova_error_t **error)
{
	*replicas = (struct replicas){ .known = false };
	return pthread_mutex_init(&replicas->lock, NULL) ? nova_oom(error) : 0;
}

void replicas_done(struct replicas *replicas)
{
	free(replicas->all.list);
	free(replicas->kept.list);
	pthread_mutex_destroy(&replicas->lock);
}

static bool ask_pool(struct nova *nova, const struct function_record *record)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	CLEANUP(function_want_done) struct function_want w;
	int code = function_want_init(&w, nova, record, NULL, &failure);
	if (code == 0)
		code = pool_keep(nova->pool, &w.want, record->config.min_replicas, &failure);
	if (code < 0)
		log_warn(host_log(nova->host), "pool",
			"function '%s': its %u VMs cannot be kept warm: %s", record->name,
			record->config.min_replicas, nova_error_message(failure));
	return code == 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool keys_new(struct pool_keys *keys, size_t most)
{
	*keys = (struct pool_keys){ calloc(most ? most : 1, sizeof(*keys->list)), 0 };
	return keys->list;
}

static void keys_sort(struct pool_keys *keys)
{
	qsort(keys->list, keys->count, sizeof(*keys->list), by_text);
}

static bool keys_have(const struct pool_keys *keys, const char *key)
{
	return bsearch(key, keys->list, keys->count, sizeof(*keys->list), by_text);
}

static void keys_replace(struct pool_keys *keys, struct pool_keys *by)
{
	free(keys->list);
	*keys = *by;
	by->list = NULL;
}

/* Of functions that want none any more: their VMs age like others. */
static void withdraw(struct nova *nova, const struct pool_keys *kept)
{
	const struct pool_keys *before = &nova->replicas.kept;
	for (size_t i = 0; i < before->count; i++) {
		const struct pool_want want = { .key = before->list[i] };
		if (!keys_have(kept, want.key))
			pool_keep(nova->pool, &want, 0, NULL);
	}
}

/* The key is that of a version which was published. */
static bool is_published(struct nova *nova, const char *key)
{
	char id[FUNCTION_POOL_KEY];
	bool has = false;
	const char *colon = strchr(key, ':');
	struct store *store = nova->registry.store;
	snprintf(id, sizeof(id), "%.*s", (int)(colon - key), key);
	uint32_t version = (uint32_t)strtoul(colon + 1, NULL, 10);
	return store->ops->versions->has(store, id, version, &has, NULL) < 0 || has;
}

/* Of functions that were replaced or deleted: nobody will ask for their VMs. */
static void forget(struct nova *nova, const struct pool_keys *all)
{
	const struct pool_keys *before = &nova->replicas.all;
	for (size_t i = 0; i < before->count; i++)
		if (!keys_have(all, before->list[i]) && !is_published(nova, before->list[i]))
			nova_pool_forget(nova->pool, before->list[i]);
}

static void collect(struct nova *nova, const struct function_record *records, size_t count,
	struct pool_keys *all, struct pool_keys *kept)
{
	for (size_t i = 0; i < count; i++) {
		function_pool_key(&records[i], all->list[all->count++]);
		if (records[i].config.min_replicas && ask_pool(nova, &records[i]))
			function_pool_key(&records[i], kept->list[kept->count++]);
	}
	keys_sort(all);
	keys_sort(kept);
}

/* With the lock held. False: the store cannot be read now; the next tick tries again. */
static bool apply_all(struct nova *nova)
{
	struct function_record *records;
	size_t count;
	struct pool_keys all = { NULL, 0 }, kept = { NULL, 0 };
	if (nova->registry.store->ops->functions->list(
		    nova->registry.store, NULL, &records, &count, NULL) < 0)
		return false;
	bool whole = keys_new(&all, count) && keys_new(&kept, count);
	if (whole) {
		collect(nova, records, count, &all, &kept);
		withdraw(nova, &kept);
		forget(nova, &all);
		keys_replace(&nova->replicas.all, &all);
		keys_replace(&nova->replicas.kept, &kept);
	}
	record_list_free(records, count);
	free(all.list);
	free(kept.list);
	return whole;
}

void replicas_apply(void *userdata)
{
	struct nova *nova = userdata;
	struct replicas *r = &nova->replicas;
	uint64_t stamp;
	pthread_mutex_lock(&r->lock);
	bool read = nova->registry.store->ops->stamp(nova->registry.store, &stamp, NULL) == 0;
	if (read && (!r->known || r->stamp != stamp) && apply_all(nova)) {
		r->known = true;
		r->stamp = stamp;
	}
	pthread_mutex_unlock(&r->lock);
}
