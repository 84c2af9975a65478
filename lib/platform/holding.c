/* SPDX-License-Identifier: MIT */
/*
 * What each key holds at a time of the processors and the memory that a plan has. A key that holds
 * nothing takes no room.
 */
#include "platform/holding.h"

#define MB_OF_GB 1024u

struct holder {
	struct table_node node;
	uint64_t vcpus, memory_mb;
	char key[USAGE_TEXT + 1];
};

int holders_init(struct holders *holders)
{
	pthread_mutex_init(&holders->lock, NULL);
	return table_init(&holders->by_key);
}

void holders_done(struct holders *holders)
{
	table_done(&holders->by_key);
	pthread_mutex_destroy(&holders->lock);
}

/* --- with the lock held --- */

static struct holder *find(const struct holders *holders, const char *key, uint64_t hash)
{
	for (struct table_node *n = table_bucket(&holders->by_key, hash); n; n = n->next) {
		struct holder *holder = CONTAINER_OF(n, struct holder, node);
		if (n->hash == hash && !strcmp(holder->key, key))
			return holder;
	}
	return NULL;
}

/* NULL: out of memory. */
static struct holder *find_or_make(struct holders *holders, const char *key)
{
	uint64_t hash = hash_text(key);
	struct holder *holder = find(holders, key, hash);
	if (holder || !(holder = calloc(1, sizeof(*holder))))
		return holder;
	snprintf(holder->key, sizeof(holder->key), "%s", key);
	table_add(&holders->by_key, &holder->node, hash);
	return holder;
}

static void drop_if_empty(struct holders *holders, struct holder *holder)
{
	if (holder->vcpus || holder->memory_mb)
		return;
	table_remove(&holders->by_key, &holder->node);
	free(holder);
}

static int refuse(const struct holder *holder, const struct usage_plan *plan,
	const struct holding *more, nova_error_t **error)
{
	bool by_vcpus = holder->vcpus + more->vcpus > plan->vcpus;
	uint64_t has = by_vcpus ? plan->vcpus : plan->memory_gb * MB_OF_GB;
	uint64_t holds = by_vcpus ? holder->vcpus : holder->memory_mb;
	uint32_t needs = by_vcpus ? more->vcpus : more->memory_mb;
	bool never = needs > has;
	nova_fail(error, NOVA_ELIMIT,
		"the plan '%s' has %llu %s at a time for each key; %s%s%s holds %llu, and this "
		"needs %u%s or take a larger plan (setting usage.plan)",
		plan->name, (unsigned long long)has,
		by_vcpus ? "virtual processors" : "MiB of memory",
		*holder->key ? "'" : "what has no key", holder->key, *holder->key ? "'" : "",
		(unsigned long long)holds, needs,
		never ? ", for which there is never room: give the function less," :
			" more: try again when calls have ended, stop instances,");
	nova_set_limit(error, NOVA_ELIMIT, NOVA_LIMIT_PLAN);
	return nova_set_retry(error, NOVA_ELIMIT, never ? NOVA_RETRY_NEVER : 0);
}

static int take(struct holder *holder, const struct usage_plan *plan, struct holding *more,
	nova_error_t **error)
{
	if (holder->vcpus + more->vcpus > plan->vcpus ||
		holder->memory_mb + more->memory_mb > plan->memory_gb * MB_OF_GB)
		return refuse(holder, plan, more, error);
	holder->vcpus += more->vcpus;
	holder->memory_mb += more->memory_mb;
	more->of = holder;
	return 0;
}

/* --- for others --- */

int holding_take(struct holders *holders, const struct usage_plan *plan, const char *key,
	struct holding *more, nova_error_t **error)
{
	pthread_mutex_lock(&holders->lock);
	struct holder *holder = find_or_make(holders, key);
	int code = holder ? take(holder, plan, more, error) : nova_oom(error);
	if (holder)
		drop_if_empty(holders, holder);
	pthread_mutex_unlock(&holders->lock);
	return code;
}

void holding_end(struct holders *holders, struct holding *holding)
{
	struct holder *holder = STEAL(holding->of);
	if (!holder)
		return;
	pthread_mutex_lock(&holders->lock);
	holder->vcpus -= holding->vcpus;
	holder->memory_mb -= holding->memory_mb;
	drop_if_empty(holders, holder);
	pthread_mutex_unlock(&holders->lock);
}
