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
	return !s->pausing && !slot_is_being_forked(s) &&
	       (!s->group->keep || slot_is_zygote(s) || slot_is_parked(s));
}

/* Into the empty place of a list, whose owner awaits its end instead of a tick. */
static bool take_leaving(nova_pool_t *pool, struct slot **place)
{
	struct slot **oldest = &pool->leaving;
	while (*oldest && (*oldest)->next)
		oldest = &(*oldest)->next;
	*place = STEAL(*oldest);
	return *place;
}

/* How far in a list victims are needed. */
static struct link *find_victims(
	const nova_pool_t *pool, const struct group *g, const struct link *list, struct room *freed)
{
	struct link *l = list->next;
	for (; l != list && !fits(pool, g, freed); l = l->next)
		if (may_evict(CONTAINER_OF(l, struct slot, age)))
			add_room(freed, CONTAINER_OF(l, struct slot, age));
	return l;
}

/* Up to `end`. */
static void evict(
	nova_pool_t *pool, const struct link *list, const struct link *end, struct slot **victims)
{
	for (struct link *l = list->next, *next; l != end; l = next) {
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
	evict(pool, &pool->parked, &pool->parked, ending); /* they have next to none */
	for (struct link *l = pool->aged.next; l != &pool->aged; l = l->next)
		if (may_evict(CONTAINER_OF(l, struct slot, age))) {
			evict(pool, &pool->aged, l->next, ending);
			return;
		}
}

static void note_starting(nova_pool_t *pool, struct group *g)
{
	g->vms++;
	g->starting++;
	count(pool, NOVA_POOL_STARTING);
}

/* One that was forked ahead has all the room that it needs. */
static struct slot *take_parked(
	nova_pool_t *pool, struct group *g, struct slot *s, struct slot **ending)
{
	if (host_is_short(pool, g)) {
		evict_oldest(pool, ending);
		return NULL;
	}
	parked_take(pool, s);
	note_starting(pool, g);
	return s;
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
	struct slot *parked = parked_first(pool, g, ending), **last = ending;
	if (parked)
		return take_parked(pool, g, parked, ending);
	/* those that have been killed before one more is */
	for (; !fits(pool, g, &freed) && (*last || take_leaving(pool, last)); last = &(*last)->next)
		add_room(&freed, *last);
	/* a zygote goes with all that is parked of it, which has gone before */
	struct link *first = find_victims(pool, g, &pool->parked, &freed),
		    *then = find_victims(pool, g, &pool->aged, &freed);
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
	evict(pool, &pool->parked, first, &s->next);
	evict(pool, &pool->aged, then, &s->next);
	note_starting(pool, g);
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
