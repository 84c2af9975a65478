/* SPDX-License-Identifier: MIT */
/*
 * Who waits, and whose turn it is. All with the lock held.
 *
 * Within a group the first in the queue gets the first VM. Between groups there is one thing to
 * compete for, room for another VM. Groups without any VM come first, in turns; then those that
 * want one more than they have. A group that is waited for keeps each VM for a turn (four times
 * what its start took), so that starts cannot eat up all the time.
 */
#include <errno.h>
#include <time.h>

#include "pool/parts.h"

/* --- does a group want to start a VM? --- */

/* A call mostly takes less time than a start. So after a start the others wait for that VM to come
 * back, for as long as another start would take: a burst of short calls costs one start, and long
 * calls wait at most twice as long as needed. */
static bool group_hopes(const struct group *g)
{
	return !g->fresh && g->out && !deadline_passed(g->patience);
}

/* One start at a time, as the next one may not be needed; fresh VMs are, but the first of them
 * makes the template for the others. */
static bool wants_start(const struct group *g)
{
	if (!g->waiting)
		return false;
	if (g->fresh)
		return g->proven || !g->starting;
	return !g->starting && !g->pausing && !group_hopes(g);
}

static void update_turn(nova_pool_t *pool, struct group *g)
{
	if (!wants_start(g))
		link_remove(&g->turn);
	else if (!linked(&g->turn))
		list_append(g->vms ? &pool->hungry : &pool->starved, &g->turn);
}

static struct group *whose_turn(const nova_pool_t *pool)
{
	const struct link *list = list_empty(&pool->starved) ? &pool->hungry : &pool->starved;
	return list_empty(list) ? NULL : HOLDER(list->next, struct group, turn);
}

bool slot_must_yield(const nova_pool_t *pool, const struct slot *s)
{
	const struct group *g = s->group, *other = whose_turn(pool);
	if (!other || other == g || g->vms <= g->keep || !deadline_passed(s->turn_ends))
		return false;
	return other->vms == 0 || g->vms >= other->vms + 2;
}

/* --- room --- */

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
		struct slot *s = HOLDER(l, struct slot, age);
		next = l->next;
		if (!may_evict(s))
			continue;
		struct group *g = s->group;
		slot_doom(pool, s, NOVA_POOL_EVICTED, victims);
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
	nova_pool_t *pool, struct group *g, struct slot **fresh, struct slot **doomed)
{
	struct room freed = { 0, 0 };
	struct slot **last = doomed;
	for (; *last && !fits(pool, g, &freed); last = &(*last)->next)
		add_room(&freed, *last);
	struct link *l = pool->aged.next;
	for (; l != &pool->aged && !fits(pool, g, &freed); l = l->next)
		if (may_evict(HOLDER(l, struct slot, age)))
			add_room(&freed, HOLDER(l, struct slot, age));
	if (!fits(pool, g, &freed))
		return NULL;
	struct slot *s = STEAL(*fresh);
	struct slot *rest = *last;
	*last = NULL;
	s->next = *doomed;
	*doomed = rest;
	evict(pool, l, &s->next);
	return book(pool, g, s, &freed);
}

/* --- tickets --- */

static struct ticket *first_ticket(const struct group *g)
{
	return list_empty(&g->tickets) ? NULL : HOLDER(g->tickets.next, struct ticket, link);
}

void ticket_end(nova_pool_t *pool, struct ticket *t, enum ticket_state state)
{
	link_remove(&t->link);
	t->group->waiting--;
	pool->counters[NOVA_POOL_WAITING]--;
	t->state = state;
	sleeper_wake(&t->wake);
}

void tickets_end(
	nova_pool_t *pool, struct group *g, enum ticket_state state, const nova_error_t *failure)
{
	for (struct ticket *t; (t = first_ticket(g)) != NULL;) {
		if (failure)
			error_copy(&t->failure, failure);
		ticket_end(pool, t, state);
	}
	update_turn(pool, g);
}

void tickets_close_all(nova_pool_t *pool)
{
	for (size_t i = 0; i < pool->groups.size; i++)
		for (struct node *n = pool->groups.buckets[i], *next; n; n = next) {
			struct group *g = HOLDER(n, struct group, node);
			next = n->next;
			tickets_end(pool, g, TICKET_CLOSED, NULL);
			group_put(pool, g);
		}
}

void queue_serve(nova_pool_t *pool, struct slot **doomed)
{
	for (struct group *g; (g = whose_turn(pool)) != NULL;) {
		struct ticket *t = first_ticket(g);
		struct slot *s = room_take(pool, g, &t->fresh, doomed);
		if (!s)
			/* the next one must wait too, or a VM that needs much memory would never
			 * get it */
			return;
		t->slot = s;
		ticket_end(pool, t, TICKET_STARTS);
		link_remove(&g->turn);
		update_turn(pool, g);
	}
}

/* When a ticket should look for itself: only the first of a group that waits for nothing but the
 * end of its patience must. That may have come since update_turn() looked, so the clock is not
 * asked again here. */
static uint64_t look_at(const struct ticket *t)
{
	const struct group *g = t->group;
	bool hopes = first_ticket(g) == t && g->out && !g->fresh && !g->starting && !g->pausing &&
		     !linked(&g->turn);
	return hopes && g->patience < t->deadline ? g->patience : t->deadline;
}

static void give(nova_pool_t *pool, struct group *g, struct slot **doomed)
{
	while (g->waiting) {
		struct slot *s = group_take(pool, g, doomed);
		if (!s)
			return;
		struct ticket *t = first_ticket(g);
		t->slot = s;
		ticket_end(pool, t, TICKET_GIVEN);
	}
}

void group_changed(nova_pool_t *pool, struct group *g, struct slot **doomed)
{
	g->busy++;
	give(pool, g, doomed);
	update_turn(pool, g);
	queue_serve(pool, doomed);
	struct ticket *first = first_ticket(g);
	if (first && first->until > look_at(first))
		sleeper_wake(&first->wake);
	pool_note(pool);
	g->busy--;
	group_put(pool, g);
}

void ticket_queue(nova_pool_t *pool, struct ticket *t, struct slot **doomed)
{
	list_append(&t->group->tickets, &t->link);
	t->group->waiting++;
	count(pool, NOVA_POOL_WAITING);
	group_changed(pool, t->group, doomed);
	pool_settle(pool, doomed);
}

bool ticket_wait(nova_pool_t *pool, struct ticket *t, struct slot **doomed)
{
	while (t->state == TICKET_WAITS) {
		t->until = look_at(t);
		sleeper_wait(&t->wake, &pool->lock, t->until, t->stop);
		if (t->state == TICKET_WAITS && stop_asked(t->stop)) {
			struct group *g = t->group;
			ticket_end(pool, t, TICKET_CANCELED);
			group_changed(pool, g, doomed);
			pool_settle(pool, doomed);
		}
		if (t->state != TICKET_WAITS || !deadline_passed(t->until))
			continue;
		if (deadline_passed(t->deadline))
			return false;
		group_changed(pool, t->group, doomed);
		pool_settle(pool, doomed);
	}
	return true;
}
