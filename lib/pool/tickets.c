/* SPDX-License-Identifier: MIT */
/*
 * Who waits, and whose turn it is. All with the lock held.
 *
 * Within a group the first in line gets the first VM. Between groups there is one thing to
 * compete for, room for another VM. Groups without any VM come first, in turns; then those that
 * want one more than they have. A group that is waited for keeps each VM for a turn (four times
 * what its start took), so that starts cannot eat up all the time.
 */
#include <errno.h>
#include <time.h>

#include "pool/internal.h"

#define LEAVE_NS     10000000u /* a process that was killed has mostly ended by then */
#define LEAVING_MOST 16u

/* --- does a group want to start a VM? --- */

/* A call mostly takes less time than a start. So after a start the others wait for that VM to come
 * back, for as long as another start would take: a burst of short calls costs one start, and long
 * calls wait at most twice as long as needed. */
static bool may_reuse(const struct group *g)
{
	return !g->fresh && g->out && !deadline_passed(g->reuse_until);
}

/* One start at a time, as the next one may not be needed; fresh VMs are, but the first of them
 * makes the template for the others. */
static bool wants_start(const struct group *g)
{
	if (!g->waiting)
		return false;
	if (g->fresh)
		return g->proven || !g->starting;
	return !g->starting && !g->pausing && !may_reuse(g);
}

static void update_turn(nova_pool_t *pool, struct group *g)
{
	if (!wants_start(g))
		link_remove(&g->turn);
	else if (!linked(&g->turn))
		list_append(g->vms ? &pool->underserved : &pool->unserved, &g->turn);
}

static struct group *whose_turn(const nova_pool_t *pool)
{
	const struct link *list =
		list_empty(&pool->unserved) ? &pool->underserved : &pool->unserved;
	return list_empty(list) ? NULL : CONTAINER_OF(list->next, struct group, turn);
}

static bool must_yield(const nova_pool_t *pool, const struct slot *s)
{
	const struct group *g = s->group, *other = whose_turn(pool);
	if (!other || other == g || g->vms <= g->keep || !deadline_passed(s->turn_ends))
		return false;
	return other->vms == 0 || g->vms >= other->vms + 2;
}

/* --- tickets --- */

static struct ticket *first_ticket(const struct group *g)
{
	return list_empty(&g->tickets) ? NULL : CONTAINER_OF(g->tickets.next, struct ticket, link);
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
		for (struct table_node *n = pool->groups.buckets[i], *next; n; n = next) {
			struct group *g = CONTAINER_OF(n, struct group, node);
			next = n->next;
			tickets_end(pool, g, TICKET_CLOSED, NULL);
			group_put(pool, g);
		}
}

void tickets_serve(nova_pool_t *pool, struct slot **ending)
{
	for (struct group *g; (g = whose_turn(pool)) != NULL;) {
		struct ticket *t = first_ticket(g);
		struct slot *s = room_take(pool, g, &t->fresh, ending);
		if (!s) {
			/* the next one must wait too, or a VM that needs much memory would never
			 * get it */
			if (pool->shortage && t->until > pool->look_again)
				sleeper_wake(&t->wake);
			return;
		}
		t->slot = s;
		ticket_end(pool, t, TICKET_STARTS);
		link_remove(&g->turn);
		update_turn(pool, g);
	}
}

/* When a ticket should look for itself: only the first of a group that waits for nothing but the
 * end of that time must, or that is next when the host is short of memory. That may have come since
 * update_turn() looked, so the clock is not asked again here. */
static uint64_t look_at(const nova_pool_t *pool, const struct ticket *t)
{
	const struct group *g = t->group;
	if (pool->shortage && whose_turn(pool) == g && first_ticket(g) == t &&
		pool->look_again < t->deadline)
		return pool->look_again;
	bool waits = first_ticket(g) == t && g->out && !g->fresh && !g->starting && !g->pausing &&
		     !linked(&g->turn);
	return waits && g->reuse_until < t->deadline ? g->reuse_until : t->deadline;
}

static void give(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	while (g->waiting) {
		struct slot *s = group_take(pool, g, ending);
		if (!s)
			return;
		struct ticket *t = first_ticket(g);
		t->slot = s;
		ticket_end(pool, t, TICKET_GIVEN);
	}
}

void group_changed(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	g->busy++;
	give(pool, g, ending);
	update_turn(pool, g);
	tickets_serve(pool, ending);
	struct ticket *first = first_ticket(g);
	if (first && first->until > look_at(pool, first))
		sleeper_wake(&first->wake);
	pool_note(pool);
	g->busy--;
	group_put(pool, g);
}

static void leave_out(nova_pool_t *pool, struct slot *s)
{
	table_remove(&pool->out, &s->node);
	s->group->out--;
	young_remove(pool, s);
	pool->counters[NOVA_POOL_BUSY]--;
}

void slot_put_back(nova_pool_t *pool, struct slot *s, bool sound, struct slot **ending)
{
	struct group *g = s->group;
	s->spoiled |= !sound;
	s->users--;
	slot_note_open(s);
	if (s->users == 0) {
		leave_out(pool, s);
		if (s->spoiled)
			slot_end(pool, s, NOVA_POOL_DISCARDED, ending);
		else if (g->fresh || (pool->draining && !g->waiting) ||
			 s->generation != g->generation)
			slot_end(pool, s, NOVA_POOL_EXPIRED, ending);
		else if (must_yield(pool, s))
			slot_end(pool, s, NOVA_POOL_EVICTED, ending);
		else
			slot_make_idle(pool, s);
	}
	group_changed(pool, g, ending);
}

void pool_reap(nova_pool_t *pool, struct slot **ending)
{
	while (*ending) {
		uint32_t vms = 0;
		uint64_t memory_mb = 0;
		struct slot *list = STEAL(*ending);
		for (struct slot *s = list; s; s = s->next) {
			vms++;
			memory_mb += s->memory_mb;
		}
		pthread_mutex_unlock(&pool->lock); /* killing takes milliseconds */
		slots_destroy(pool, list);
		pthread_mutex_lock(&pool->lock);
		if (pool->shortage) {
			pool->look_at = 0; /* there is more now */
			pool_look(pool);
		}
		pool->alive -= vms;
		pool->memory_mb -= memory_mb;
		tickets_serve(pool, ending);
		pool_note(pool);
	}
}

void pool_take_leaving(nova_pool_t *pool, struct slot **ending)
{
	struct slot **last = ending;
	while (*last)
		last = &(*last)->next;
	*last = STEAL(pool->leaving);
}

/* So many that whoever ticks is late, or there is nobody. */
static bool many_leave(const nova_pool_t *pool)
{
	unsigned left = LEAVING_MOST;
	for (const struct slot *s = pool->leaving; s && left; s = s->next)
		left--;
	return !left;
}

/* Who waits for room, or for the pool to be empty, would wait for the tick as well. */
static bool may_leave_later(const nova_pool_t *pool)
{
	return pool->timer >= 0 && !pool->draining && !pool->counters[NOVA_POOL_WAITING] &&
	       !many_leave(pool);
}

void pool_reap_later(nova_pool_t *pool, struct slot **ending)
{
	struct slot *list = may_leave_later(pool) ? STEAL(*ending) : NULL;
	if (list) {
		pthread_mutex_unlock(&pool->lock);
		slots_kill(list);
		pthread_mutex_lock(&pool->lock);
		pool_take_leaving(pool, &list);
		pool->leaving = list;
		pool_due(pool, clock_ns() + LEAVE_NS);
	}
	if (!may_leave_later(pool)) /* or not any more */
		pool_take_leaving(pool, ending);
	pool_reap(pool, ending);
}

void ticket_enter(nova_pool_t *pool, struct ticket *t, struct slot **ending)
{
	list_append(&t->group->tickets, &t->link);
	t->group->waiting++;
	count(pool, NOVA_POOL_WAITING);
	group_changed(pool, t->group, ending);
	if (t->state == TICKET_WAITS)
		pool_take_leaving(pool, ending);
	pool_reap(pool, ending);
}

bool ticket_wait(nova_pool_t *pool, struct ticket *t, struct slot **ending)
{
	while (t->state == TICKET_WAITS) {
		t->until = look_at(pool, t);
		sleeper_wait(&t->wake, &pool->lock, t->until, t->stop);
		if (t->state == TICKET_WAITS && stop_asked(t->stop)) {
			struct group *g = t->group;
			ticket_end(pool, t, TICKET_CANCELED);
			group_changed(pool, g, ending);
			pool_reap(pool, ending);
		}
		if (t->state != TICKET_WAITS || !deadline_passed(t->until))
			continue;
		if (deadline_passed(t->deadline))
			return false;
		pool_look(pool);
		group_changed(pool, t->group, ending);
		pool_reap(pool, ending);
	}
	return true;
}
