/* SPDX-License-Identifier: MIT */
/*
 * min_replicas of the functions, applied to the pool. The store says by its stamp whether anything has changed, so a tick costs one look at that.
 */
#include "platform/platform.h"

int replicas_init(struct replicas *replicas, nova_error_t **error)
{
	*replicas = (struct replicas){ .known = false };
	return pthread_mutex_init(&replicas->lock, NULL) ? nova_oom(error) : 0;
}

void replicas_done(struct replicas *replicas)
{
	free(replicas->keys);
	pthread_mutex_destroy(&replicas->lock);
}

static bool ask_pool(struct nova *nova, const struct function_record *record)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	CLEANUP(function_want_done) struct function_want w;
	int code = function_want_init(&w, nova, record, &failure);
	if (code == 0)
		code = nova_pool_keep(nova->pool, &w.want, record->min_replicas, &failure);
	if (code < 0)
		log_warn(host_log(nova->host), "pool", "function '%s': its %u VMs cannot be kept warm: %s", record->name, record->min_replicas,
			nova_error_message(failure));
	return code == 0;
}

static bool is_among(char (*keys)[FUNCTION_POOL_KEY], size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(keys[i], key))
			return true;
	return false;
}

/* Of functions that were replaced or deleted, or want none any more: their VMs are of no use, or age like others. */
static void withdraw(struct nova *nova, char (*now)[FUNCTION_POOL_KEY], size_t count)
{
	struct replicas *r = &nova->replicas;
	for (size_t i = 0; i < r->count; i++) {
		nova_pool_want want = NOVA_POOL_WANT_INIT;
		want.key = r->keys[i];
		if (!is_among(now, count, want.key))
			nova_pool_keep(nova->pool, &want, 0, NULL);
	}
}

/* With the lock held. False: the store cannot be read now; the next tick tries again. */
static bool apply_all(struct nova *nova)
{
	struct function_record *records;
	size_t count, kept = 0;
	if (nova->store->ops->list(nova->store, &records, &count, NULL) < 0)
		return false;
	char(*keys)[FUNCTION_POOL_KEY] = count ? calloc(count, sizeof(*keys)) : NULL;
	for (size_t i = 0; keys && i < count; i++)
		if (records[i].min_replicas && ask_pool(nova, &records[i]))
			function_pool_key(&records[i], keys[kept++]);
	bool whole = keys || !count;
	record_list_free(records, count);
	if (!whole)
		return false;
	withdraw(nova, keys, kept);
	free(nova->replicas.keys);
	nova->replicas.keys = keys;
	nova->replicas.count = kept;
	return true;
}

void replicas_apply(void *userdata)
{
	struct nova *nova = userdata;
	struct replicas *r = &nova->replicas;
	uint64_t stamp;
	pthread_mutex_lock(&r->lock);
	bool read = nova->store->ops->stamp(nova->store, &stamp, NULL) == 0;
	if (read && (!r->known || r->stamp != stamp) && apply_all(nova)) {
		r->known = true;
		r->stamp = stamp;
	}
	pthread_mutex_unlock(&r->lock);
}
