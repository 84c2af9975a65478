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
	return !s->pausing && !s->group->keep;
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

static struct slot *book(
	nova_pool_t *pool, struct group *g, struct slot *s, const struct room *freed)
{
	s->group = g;
	s->generation = g->generation;
	s->memory_mb = g->memory_mb;
	pool->alive += 1 - freed->vms;
	pool->memory_mb += s->memory_mb - freed->memory_mb;
	g->vms++;
	g->starting++;
	count(pool, NOVA_POOL_STARTING);
	return s;
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
	if (!fits(pool, g, &freed))
		return NULL;
	struct slot *s = STEAL(*fresh);
	struct slot *rest = *last;
	*last = NULL;
	s->next = *ending;
	*ending = rest;
	evict(pool, l, &s->next);
	return book(pool, g, s, &freed);
}
