/* SPDX-License-Identifier: MIT */
/*
 * VMs are held back while the host is short of memory. What a guest has may be much less than what
 * it takes in its first call; so a VM counts with all its memory until that call is over, or some
 * seconds have passed, and then with what the host says is gone. With the lock held.
 */
#include "pool/internal.h"

#define LOOK_MS       20u   /* how old what was read of the host may be */
#define LOOK_AGAIN_MS 100u  /* while somebody waits for the host, nothing else may happen */
#define YOUNG_MS      3000u /* a VM that has its memory now has mostly taken it by then */

/* --- VMs that may yet take their memory --- */

void young_add(nova_pool_t *pool, struct slot *s)
{
	s->young_until = deadline_in_ms(YOUNG_MS);
	list_append(&pool->young, &s->young);
	pool->young_mb += s->memory_mb;
}

void young_remove(nova_pool_t *pool, struct slot *s)
{
	if (!linked(&s->young))
		return;
	link_remove(&s->young);
	pool->young_mb -= s->memory_mb;
}

static void forget_grown(nova_pool_t *pool)
{
	while (!list_empty(&pool->young)) {
		struct slot *s = CONTAINER_OF(pool->young.next, struct slot, young);
		if (!deadline_passed(s->young_until))
			return;
		young_remove(pool, s);
	}
}

/* --- the host --- */

static uint64_t kept_free_mb(const nova_pool_t *pool)
{
	return pool->memory.total_mb / 100 * pool->min_free;
}

void pool_look(nova_pool_t *pool)
{
	struct host_memory memory;
	if (!deadline_passed(pool->look_at))
		return;
	pool->look_at = deadline_in_ms(LOOK_MS); /* nobody else needs to */
	pthread_mutex_unlock(&pool->lock);
	host_memory_read(&memory);
	pthread_mutex_lock(&pool->lock);
	pool->memory = memory;
}

static enum shortage find_shortage(const nova_pool_t *pool, uint64_t need_mb)
{
	const struct host_memory *m = &pool->memory;
	if (pool->min_free && m->available_mb < kept_free_mb(pool) + pool->young_mb + need_mb)
		return SHORT_OF_MEMORY;
	/* alone it is not to blame, and would wait for ever */
	return pool->alive && m->pressure > pool->max_pressure ? SHORT_BY_PRESSURE :
								 SHORT_OF_NOTHING;
}

bool host_is_short(nova_pool_t *pool, const struct group *g)
{
	enum shortage before = pool->shortage;
	forget_grown(pool);
	pool->shortage = find_shortage(pool, g->memory_mb);
	pool->look_again = pool->shortage ? deadline_in_ms(LOOK_AGAIN_MS) : NEVER;
	if (pool->shortage && !before)
		count(pool, NOVA_POOL_HELD_BACK);
	return pool->shortage;
}

bool host_spares(nova_pool_t *pool, const struct group *g)
{
	forget_grown(pool);
	return find_shortage(pool, 2ull * g->memory_mb) == SHORT_OF_NOTHING;
}

int fail_short(
	const nova_pool_t *pool, const struct group *g, uint64_t waited_ms, nova_error_t **error)
{
	const struct host_memory *m = &pool->memory;
	unsigned long long ms = waited_ms;
	if (pool->shortage == SHORT_BY_PRESSURE)
		return nova_fail(error, NOVA_ELIMIT,
			"no microVM was started for %llu ms, as the host is short of memory: its "
			"programs wait for it %u %% of the time (settings pool.max_pressure, "
			"pool.queue_timeout)",
			ms, m->pressure);
	nova_fail(error, NOVA_ELIMIT,
		"no microVM was started for %llu ms, as the host is short of memory: %llu MB are "
		"available, of which %llu are kept free and %llu are for microVMs that have just "
		"started, and %u are needed (settings pool.min_free, pool.queue_timeout)",
		ms, (unsigned long long)m->available_mb, (unsigned long long)kept_free_mb(pool),
		(unsigned long long)pool->young_mb, g->memory_mb);
	bool never = m->total_mb && m->total_mb < kept_free_mb(pool) + g->memory_mb;
	return nova_set_retry(error, NOVA_ELIMIT, never ? NOVA_RETRY_NEVER : 0);
}
