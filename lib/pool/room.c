/* SPDX-License-Identifier: MIT */
/* Room for another VM, by ending idle ones if need be. With the lock held. */
#include "pool/internal.h"

struct room {
	uint32_t vms;
	uint64_t memory_mb;
};

static bool fits(const nova_pool_t *pool, const struct group *g, const struct room *freed)
{
	return pool->alive - freed->vms < pool->max_vms &&
	       (!pool->max_memory_mb ||
		       pool->memory_mb - freed->memory_mb + g->memory_mb <= pool->max_memory_mb);
}

static void add_room(struct room *room, const struct slot *s)
{
	room->vms++;
	room->memory_mb += s->memory_mb;
}

static bool may_evict(const struct slot *s)
{
	return !s->pausing && (!s->group->keep || slot_is_zygote(s));
}

/* The idle VMs that were used longest ago, up to `end`. */
static void evict(nova_pool_t *pool, const struct link *end, struct slot **victims)
{
	for (struct link *l = pool->aged.next, *next; l != end; l = next) {
		struct slot *s = CONTAINER_OF(l, struct slot, age);
		next = l->next;
		if (!may_evict(s))
			continue;
		struct group *g = s->group;
		slot_end(pool, s, NOVA_POOL_EVICTED, victims);
		group_put(pool, g);
	}
}

/* What its memory is worth is seen when it has ended. */
static void evict_oldest(nova_pool_t *pool, struct slot **ending)
{
	for (struct link *l = pool->aged.next; l != &pool->aged; l = l->next)
		if (may_evict(CONTAINER_OF(l, struct slot, age))) {
			evict(pool, l->next, ending);
			return;
		}
}

static struct slot *book(
	nova_pool_t *pool, struct group *g, struct slot *s, const struct room *freed)
{
	s->group = g;
	s->generation = g->generation;
	s->memory_mb = g->memory_mb;
	pool->alive += 1 - freed->vms;
	pool->memory_mb += s->memory_mb - freed->memory_mb;
	young_add(pool, s);
	return s;
}

void room_give_back(nova_pool_t *pool, struct slot *s)
{
	pool->alive--;
	pool->memory_mb -= s->memory_mb;
	young_remove(pool, s);
}

void room_settle(nova_pool_t *pool)
{
	if (pool->max_vms)
		return;
	pthread_mutex_unlock(&pool->lock);
	uint32_t most = host_most_vms(pool->host);
	pthread_mutex_lock(&pool->lock);
	if (!pool->max_vms)
		pool->max_vms = most;
}

struct slot *room_take(
	nova_pool_t *pool, struct group *g, struct slot **fresh, struct slot **ending)
{
	struct room freed = { 0, 0 };
	struct slot **last = ending;
	for (; *last && !fits(pool, g, &freed); last = &(*last)->next)
		add_room(&freed, *last);
	struct link *l = pool->aged.next;
	for (; l != &pool->aged && !fits(pool, g, &freed); l = l->next)
		if (may_evict(CONTAINER_OF(l, struct slot, age)))
			add_room(&freed, CONTAINER_OF(l, struct slot, age));
	if (!fits(pool, g, &freed)) {
		pool->shortage = SHORT_OF_NOTHING; /* it waits for the pool, not for the host */
		return NULL;
	}
	if (host_is_short(pool, g)) {
		evict_oldest(pool, ending);
		return NULL;
	}
	struct slot *s = STEAL(*fresh);
	struct slot *rest = *last;
	*last = NULL;
	s->next = *ending;
	*ending = rest;
	evict(pool, l, &s->next);
	g->vms++;
	g->starting++;
	count(pool, NOVA_POOL_STARTING);
	return book(pool, g, s, &freed);
}

bool room_is_spare(nova_pool_t *pool, const struct group *g)
{
	bool beside = pool->alive + 2 <= pool->max_vms &&
		      (!pool->max_memory_mb ||
			      pool->memory_mb + 2ull * g->memory_mb <= pool->max_memory_mb);
	bool awaited = !list_empty(&pool->unserved) || !list_empty(&pool->underserved);
	return beside && !awaited && host_spares(pool, g);
}

struct slot *room_spare(nova_pool_t *pool, struct group *g, struct slot **fresh)
{
	const struct room none = { 0, 0 };
	return room_is_spare(pool, g) ? book(pool, g, STEAL(*fresh), &none) : NULL;
}
