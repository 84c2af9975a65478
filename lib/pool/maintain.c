/* SPDX-License-Identifier: MIT */
/* What is due by time, and who sees to it: the host program, or a thread of the pool's own. */
#include <signal.h>

#include "pool/internal.h"

/* --- when --- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t next_due(const nova_pool_t *pool)
{
	uint64_t due = earlier(pool_keep_due(pool), zygotes_due(pool));
	if (!list_empty(&pool->aged))
		due = earlier(due, CONTAINER_OF(pool->aged.next, struct slot, age)->idle_since +
					   pool->ttl_ms * 1000000u);
	if (!list_empty(&pool->awake))
		due = earlier(due, CONTAINER_OF(pool->awake.next, struct slot, awake)->idle_since +
					   pool->pause_ms * 1000000u);
	if (!list_empty(&pool->unused))
		due = earlier(
			due, CONTAINER_OF(pool->unused.next, struct group, unused)->unused_until);
	return due;
}

/* --- pausing --- */

static struct slot *next_to_pause(nova_pool_t *pool)
{
	if (list_empty(&pool->awake))
		return NULL;
	struct slot *s = CONTAINER_OF(pool->awake.next, struct slot, awake);
	return deadline_passed(s->idle_since + pool->pause_ms * 1000000u) ? s : NULL;
}

/* With the lock held again. A VM that cannot be paused stays awake; one that has died on it is
 * thrown away. */
static void paused(nova_pool_t *pool, struct slot *s, int code, struct slot **ending)
{
	struct group *g = s->group;
	s->pausing = false;
	g->pausing--;
	if (code == 0) {
		s->asleep = true;
		count(pool, NOVA_POOL_PAUSED);
	}
	if (code < 0 && nova_vm_state(s->vm) == NOVA_VM_DEAD)
		slot_end(pool, s, NOVA_POOL_DISCARDED, ending);
	else if ((pool->draining && !g->waiting) || s->generation != g->generation)
		slot_end(pool, s, NOVA_POOL_EXPIRED, ending);
	group_changed(pool, g, ending);
}

/* Lets go of the lock while each of them is paused. It keeps its place, but nobody takes it
 * meanwhile. */
static void pause_due(nova_pool_t *pool, struct slot **ending)
{
	for (struct slot *s; (s = next_to_pause(pool)) != NULL;) {
		link_remove(&s->awake);
		s->pausing = true;
		s->group->pausing++;
		pthread_mutex_unlock(&pool->lock);
		AUTO_ERROR nova_error_t *failure = NULL;
		int code = nova_vm_pause(s->vm, NULL, &failure);
		if (code < 0)
			log_info(host_log(pool->host), "pool", "%s was not paused: %s",
				nova_vm_id(s->vm), nova_error_message(failure));
		pthread_mutex_lock(&pool->lock);
		paused(pool, s, code, ending);
	}
}

/* --- the tick --- */

void pool_on_tick(nova_pool_t *pool, void (*fn)(void *userdata), void *userdata)
{
	pthread_mutex_lock(&pool->lock);
	pool->on_tick_data = userdata;
	pool->on_tick = fn;
	pthread_mutex_unlock(&pool->lock);
}

void pool_want_tick_at(nova_pool_t *pool, uint64_t when)
{
	pthread_mutex_lock(&pool->lock);
	pool_due(pool, when);
	pthread_mutex_unlock(&pool->lock);
}

void pool_want_tick(nova_pool_t *pool)
{
	pool_want_tick_at(pool, 0);
}

/* What comes up from now on is not overlooked. */
static void call_hook(nova_pool_t *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->armed = NEVER;
	void (*fn)(void *) = pool->on_tick;
	void *userdata = pool->on_tick_data;
	pthread_mutex_unlock(&pool->lock);
	if (fn)
		fn(userdata);
}

#define STANDBY_PAUSE_MS 10 /* VMMs that cannot be started must not keep a thread busy */

static uint64_t maintain_standby(nova_pool_t *pool)
{
	int64_t ms = standby_tend(pool->host); /* nova_vm_park() may want some too */
	return ms < 0 ? NEVER :
			deadline_in_ms((uint64_t)(ms < STANDBY_PAUSE_MS ? STANDBY_PAUSE_MS : ms));
}

int64_t nova_pool_tick(nova_pool_t *pool)
{
	if (!pool || host_check_process(pool->host, NULL) < 0)
		return -1;
	struct slot *ending = NULL;
	call_hook(pool);
	pthread_mutex_lock(&pool->lock);
	pool_expire(pool, &ending);
	pause_due(pool, &ending);
	pool_take_leaving(pool, &ending);
	pool_reap(pool, &ending);
	const struct stop stop = { pool->end, NULL };
	templates_write(pool, &stop); /* first: what is to be kept may be made of them */
	pool_keep_maintain(pool);
	zygotes_maintain(pool);
	parked_maintain(pool);
	pthread_mutex_unlock(&pool->lock);
	uint64_t standby = maintain_standby(pool);
	pthread_mutex_lock(&pool->lock);
	uint64_t due = earlier(earlier(next_due(pool), standby), pool->armed);
	pool->armed = due;
	if (pool->timer >= 0)
		sys_timer_set(pool->timer, due);
	pthread_mutex_unlock(&pool->lock);
	return deadline_poll_ms(due);
}

/* --- the thread --- */

static bool closing(nova_pool_t *pool)
{
	pthread_mutex_lock(&pool->lock);
	bool yes = pool->closing;
	pthread_mutex_unlock(&pool->lock);
	return yes;
}

static void *maintain_until_closed(void *argument)
{
	nova_pool_t *pool = argument;
	struct pollfd p = { pool->timer, POLLIN, 0 };
	while (!closing(pool))
		if (sys_poll(&p, 1, -1) > 0 && !closing(pool))
			nova_pool_tick(pool);
	return NULL;
}

/* Signals are for the threads of the host program. */
int pool_thread_start(nova_pool_t *pool, nova_error_t **error)
{
	sigset_t all, former;
	int r = pool_timer_open(pool);
	if (r < 0)
		return nova_fail_os(error, r, "timer of a pool");
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &former);
	r = pthread_create(&pool->thread, NULL, maintain_until_closed, pool);
	pthread_sigmask(SIG_SETMASK, &former, NULL);
	pool->threaded = r == 0;
	return r ? nova_fail_os(error, r, "thread of a pool") : 0;
}

void pool_thread_end(nova_pool_t *pool)
{
	if (!pool->threaded)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->draining = pool->closing = true; /* a tick that is under way starts nothing more */
	pool->armed = NEVER;
	pool_due(pool, 0);
	pthread_mutex_unlock(&pool->lock);
	pthread_join(pool->thread, NULL);
	pool->threaded = false;
}
