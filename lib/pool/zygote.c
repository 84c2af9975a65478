/* SPDX-License-Identifier: MIT */
/*
 * Zygotes: VMs that stand still and are forked for the starts of their group (docs/hot.md).
 *
 * Each is a slot that belongs to its group, but serves no caller: it counts in the books of the
 * pool, and ages as an idle VM does, by its last start. It is made by a tick, of the template that
 * a start in the classic way has just come from. What goes wrong with it is a reason for that way,
 * and for some rest.
 */
#include "pool/internal.h"

#define LOOK_MS       1000u /* one that has died is missed within this time */
#define REHEARSAL_MS  10u   /* between two looks at one that rehearses */
#define RETRY_MS      1000u /* after it died or failed, twice that after the next time, … */
#define RETRY_MOST_MS 60000u
#define HOPELESS_MS   16000u /* after so much rest it is replaced */
#define IN_USE_MS     1000u  /* after a start it does not make place for another zygote */
#define MOST_LATER_NS 200000000u
#define AUTO_SHARE    4u /* of the VMs that there may be */
#define AUTO_MOST     64u

/* --- limits --- */

#define AUTO UINT32_MAX

void zygotes_read_limits(nova_pool_t *pool, const nova_config_t *config)
{
	bool as_usual = !strcmp(config_str(config, "pool.zygotes"), "auto");
	pool->hot = strcmp(config_str(config, "pool.hot"), "off") != 0;
	pool->max_zygotes = as_usual ? AUTO : (uint32_t)config_u64(config, "pool.zygotes");
}

static uint32_t most(const nova_pool_t *pool)
{
	if (pool->max_zygotes != AUTO)
		return pool->max_zygotes;
	uint32_t share = pool->max_vms / AUTO_SHARE;
	return share < 1 ? 1 : share > AUTO_MOST ? AUTO_MOST : share;
}

/* --- where it is --- */

static void stand(nova_pool_t *pool, struct group *g, struct slot *s)
{
	g->zygote.slot = s;
	g->zygote.lost = 0;
	list_append(&pool->zygotes, &g->zygote.stands);
	list_append(&pool->aged, &s->age);
	s->idle_since = clock_ns();
	pool_due(pool, s->idle_since + pool->ttl_ms * 1000000u);
	count(pool, NOVA_POOL_ZYGOTES);
	g->standby_until = 0; /* should it end, they are wanted again */
}

void zygote_used(nova_pool_t *pool, struct group *g)
{
	struct slot *s = g->zygote.slot;
	if (!s)
		return;
	s->idle_since = clock_ns();
	link_remove(&s->age);
	list_append(&pool->aged, &s->age);
	link_remove(&g->zygote.stands);
	list_append(&pool->zygotes, &g->zygote.stands);
}

void zygote_end(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	link_remove(&g->zygote.wanted);
	if (linked(&g->zygote.rehearsing))
		slot_end(pool, g->zygote.rehearses, NOVA_POOL_EXPIRED, ending);
	if (g->zygote.slot)
		slot_end(pool, g->zygote.slot, NOVA_POOL_EXPIRED, ending);
}

/* --- wanting one --- */

/* Not before the next time that is allowed after a failure. */
static void want_at(nova_pool_t *pool, struct group *g, uint64_t when)
{
	struct group_zygote *z = &g->zygote;
	if (when > z->not_before)
		z->not_before = when;
	list_append(&pool->wanted, &z->wanted);
	pool_due(pool, z->not_before);
}

/* It would take its processor time from the call that has just begun, not from those that follow: a
 * first start may have taken long. */
void zygote_want(nova_pool_t *pool, struct group *g)
{
	const struct group_zygote *z = &g->zygote;
	if (z->can_be && !z->slot && !z->making && !z->rehearses && !linked(&z->wanted) &&
		g->frozen && !pool->draining && most(pool))
		want_at(pool, g,
			clock_ns() + (g->start_ns < MOST_LATER_NS ? g->start_ns : MOST_LATER_NS));
}

/* Who failed beside another, whose failure it rests for, does not make that longer. */
static uint64_t rest(struct group *g)
{
	struct group_zygote *z = &g->zygote;
	if (!deadline_passed(z->not_before))
		return z->not_before;
	uint64_t ms = z->wait_ms ? z->wait_ms : RETRY_MS;
	z->wait_ms = ms * 2 < RETRY_MOST_MS ? ms * 2 : RETRY_MOST_MS;
	z->not_before = deadline_in_ms(ms);
	return z->not_before;
}

/* It may be one that can never be forked, as it was started when that could not be. */
static bool is_hopeless(const struct group *g)
{
	return g->zygote.wait_ms >= HOPELESS_MS;
}

/* The next one gets as many tries. */
static void replace(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	bool tried_enough = is_hopeless(g);
	slot_end(pool, g->zygote.slot, NOVA_POOL_DISCARDED, ending);
	want_at(pool, g, rest(g));
	if (tried_enough)
		g->zygote.wait_ms = 0;
}

/* --- starting from one --- */

#define NONE_YET "no zygote stands yet for the "

static const char *whose(const struct group *g)
{
	return g->zygote.of_runtime ? "runtime" : "function";
}

static void say_none(const nova_pool_t *pool, const struct group *g, char why[VM_PATH_WHY])
{
	if (most(pool))
		snprintf(why, VM_PATH_WHY, NONE_YET "%s", whose(g));
	else
		snprintf(why, VM_PATH_WHY, "the setting pool.zygotes is 0");
}

/* The zygote, held until zygote_fork() is through; NULL: there is none to be forked now, and why.
 */
static nova_vm_t *hold(nova_pool_t *pool, struct group *g, char why[VM_PATH_WHY])
{
	struct group_zygote *z = &g->zygote;
	bool rests = z->slot && !deadline_passed(z->not_before);
	z->can_be = true;
	why[0] = 0;
	if (rests)
		snprintf(why, VM_PATH_WHY,
			"a fork of the %s's zygote has just failed, and it rests", whose(g));
	else if (!z->slot)
		say_none(pool, g, why);
	if (rests)
		count(pool, NOVA_POOL_HOT_FALLBACKS);
	else if (z->slot)
		zygote_used(pool, g);
	if (rests || !z->slot)
		return NULL;
	z->forks++;
	return vm_ref(z->slot->vm);
}

/* The call's own, which another way would not change. */
static bool concerns_caller(int code)
{
	return code == NOVA_ECANCELED || code == NOVA_ENOMEM;
}

void zygote_failed(
	nova_pool_t *pool, struct group *g, const nova_vm_t *zygote, struct slot **ending)
{
	struct slot *s = g->zygote.slot;
	if (!s || s->vm != zygote)
		return;
	if (nova_vm_state(s->vm) == NOVA_VM_DEAD || is_hopeless(g))
		replace(pool, g, ending);
	else
		rest(g);
}

/* Whoever takes a child finds out later that it never came up. */
static void look_for_lost(nova_pool_t *pool, struct group *g)
{
	struct group_zygote *z = &g->zygote;
	struct slot *ending = NULL;
	unsigned lost = z->slot ? vm_children_lost(z->slot->vm) : 0;
	bool more = lost > z->lost;
	z->lost = lost;
	if (more)
		zygote_failed(pool, g, z->slot->vm, &ending);
	pool_reap(pool, &ending);
}

/* With its version or template, or by another caller, who found it dead. */
static bool has_been_ended(const struct group *g, const nova_vm_t *zygote)
{
	return !g->zygote.slot || g->zygote.slot->vm != zygote;
}

static void note_end(
	nova_pool_t *pool, struct group *g, nova_vm_t *zygote, bool worked, char why[VM_PATH_WHY])
{
	struct slot *ending = NULL;
	if (worked) {
		if (!g->zygote.lost)
			g->zygote.wait_ms = 0;
		return;
	}
	count(pool, NOVA_POOL_HOT_FALLBACKS);
	if (has_been_ended(g, zygote))
		snprintf(why, VM_PATH_WHY, "the %s's zygote was ended while it was forked",
			whose(g));
	zygote_failed(pool, g, zygote, &ending);
	pool_reap(pool, &ending);
}

int zygote_fork(nova_pool_t *pool, struct group *g, const char *code_disk, const struct stop *stop,
	nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	pthread_mutex_lock(&pool->lock);
	look_for_lost(pool, g);
	nova_vm_t *zygote = hold(pool, g, why);
	pthread_mutex_unlock(&pool->lock);
	if (!zygote)
		return 0;
	int code = vm_zygote_fork(zygote, code_disk, stop, ret_vm, why, &failure);
	if (code < 0 && !concerns_caller(code))
		snprintf(why, VM_PATH_WHY, "%s", nova_error_message(failure));
	pthread_mutex_lock(&pool->lock);
	g->zygote.forks--;
	if (!concerns_caller(code))
		note_end(pool, g, zygote, code == 1, why);
	pthread_mutex_unlock(&pool->lock);
	vm_unref(zygote);
	if (!concerns_caller(code))
		return code == 1;
	if (error)
		*error = STEAL(failure);
	return code;
}

int zygote_start(nova_pool_t *pool, struct group *g, const struct frozen *frozen,
	const struct stop *stop, nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **error)
{
	const char *obstacle = pool->hot ? frozen_hot_obstacle(pool->host, frozen) : "";
	if (!obstacle)
		return zygote_fork(pool, g, NULL, stop, ret_vm, why, error);
	snprintf(why, VM_PATH_WHY, "%s", obstacle);
	return 0;
}

void zygote_first(
	nova_pool_t *pool, struct group *g, const struct frozen *frozen, char why[VM_PATH_WHY])
{
	const char *obstacle = pool->hot ? frozen_hot_obstacle(pool->host, frozen) : "";
	pthread_mutex_lock(&pool->lock);
	g->zygote.can_be |= !obstacle;
	if (obstacle)
		snprintf(why, VM_PATH_WHY, "%s", obstacle);
	else
		say_none(pool, g, why);
	pthread_mutex_unlock(&pool->lock);
}

/* --- making one --- */

static size_t rehearsing(const nova_pool_t *pool)
{
	size_t count = 0;
	for (struct link *l = pool->rehearsing.next; l != &pool->rehearsing; l = l->next)
		count++;
	return count;
}

/* Its place for another, if it has not been of use lately. */
static bool make_place(nova_pool_t *pool, struct slot **ending)
{
	struct group *g = CONTAINER_OF(pool->zygotes.next, struct group, zygote.stands);
	if (list_empty(&pool->zygotes) ||
		!deadline_passed(g->zygote.slot->idle_since + IN_USE_MS * 1000000ull))
		return false;
	slot_end(pool, g->zygote.slot, NOVA_POOL_EVICTED, ending);
	group_put(pool, g);
	return true;
}

void zygote_note_sample(struct group *g, const struct pool_want *want)
{
	const struct function_config *f = &want->vm->config;
	free(STEAL(g->zygote.sample));
	if (f->rehearse && *f->rehearse)
		g->zygote.sample = strdup(f->rehearse); /* without memory nothing is rehearsed */
	g->zygote.sample_ms = f->timeout_s * 1000u;
}

/* Looked at again soon: there is nothing else that tells when it is through. */
static void rehearse(nova_pool_t *pool, struct group *g, struct slot *s, struct frozen *made_of)
{
	g->zygote.rehearses = s;
	g->zygote.made_of = made_of;
	list_append(&pool->rehearsing, &g->zygote.rehearsing);
}

static void tell_failure(
	const nova_pool_t *pool, const struct group *g, const nova_error_t *failure)
{
	log_info(host_log(pool->host), "pool", "no zygote for '%s' was made: %s", g->key,
		nova_error_message(failure));
}

static void not_made(nova_pool_t *pool, struct group *g, struct slot *s)
{
	room_give_back(pool, s);
	free(s);
	rest(g);
}

/* Lets go of the lock. */
static void make(nova_pool_t *pool, struct group *g, struct slot *s)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	AUTO_FROZEN struct frozen *frozen = frozen_ref(g->frozen);
	AUTO_FREE char *sample = g->zygote.sample ? strdup(g->zygote.sample) : NULL;
	const struct vm_sample wanted = { sample, g->zygote.sample_ms };
	const struct stop stop = { pool->end, NULL };
	pthread_mutex_unlock(&pool->lock);
	int code = vm_zygote_new(pool->host, frozen, &wanted, &stop, &s->vm, &failure);
	if (code < 0)
		tell_failure(pool, g, failure);
	pthread_mutex_lock(&pool->lock);
	if (code < 0)
		not_made(pool, g, s);
	else
		rehearse(pool, g, s, STEAL(frozen));
}

/* Its function may have changed meanwhile. */
static bool is_of_use(const nova_pool_t *pool, const struct group *g, const struct slot *s,
	const struct frozen *made_of)
{
	return !pool->draining && s->generation == g->generation && g->frozen == made_of;
}

/* 1: it stands; 0: it is still at it; else it is gone. Lets go of the lock; nobody ends it
 * meanwhile. */
static int settle(nova_pool_t *pool, struct group *g, struct slot *s, const struct frozen *made_of)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	const struct stop stop = { pool->end, NULL };
	pthread_mutex_unlock(&pool->lock);
	int code = vm_zygote_settle(s->vm, &stop, &failure);
	if (code < 0) {
		tell_failure(pool, g, failure);
		nova_vm_free(s->vm);
	} else if (code == 1) {
		standby_drop(pool->host, made_of); /* its children take their place */
	}
	pthread_mutex_lock(&pool->lock);
	return code;
}

static void look_at(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	struct slot *s = g->zygote.rehearses;
	AUTO_FROZEN struct frozen *made_of = frozen_ref(g->zygote.made_of);
	group_hold(pool, g);
	g->busy++;
	link_remove(&g->zygote.rehearsing);
	int code = settle(pool, g, s, made_of);
	group_rehearses_no_more(g);
	if (code < 0) {
		not_made(pool, g, s);
	} else {
		if (code == 0)
			rehearse(pool, g, s, frozen_ref(made_of));
		else
			young_remove(pool, s), stand(pool, g, s);
		if (!is_of_use(pool, g, s, made_of))
			zygote_end(pool, g, ending);
	}
	g->busy--;
	group_changed(pool, g, ending);
	pool_reap(pool, ending);
}

/* Each once. */
static void look_at_all(nova_pool_t *pool, struct slot **ending)
{
	for (size_t count = rehearsing(pool); count && !list_empty(&pool->rehearsing); count--)
		look_at(pool, CONTAINER_OF(pool->rehearsing.next, struct group, zygote.rehearsing),
			ending);
}

static struct group *next_wanted(const nova_pool_t *pool)
{
	for (struct link *l = pool->wanted.next; l != &pool->wanted; l = l->next) {
		struct group *g = CONTAINER_OF(l, struct group, zygote.wanted);
		if (deadline_passed(g->zygote.not_before))
			return g;
	}
	return NULL;
}

/* Where there is no room it is wanted anew by the next start in the classic way. */
static void make_next(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	AUTO_FREE struct slot *fresh = calloc(1, sizeof(*fresh));
	group_hold(pool, g);
	g->busy++;
	link_remove(&g->zygote.wanted);
	g->zygote.making = true; /* from now on, as the lock is let go of: it is not wanted twice */
	pool_look(pool);
	/* No other one makes place for what has no room. */
	bool is_place = fresh && g->frozen && room_is_spare(pool, g) &&
			(pool->counters[NOVA_POOL_ZYGOTES] + rehearsing(pool) < most(pool) ||
				make_place(pool, ending));
	pool_reap(pool, ending);
	struct slot *s = is_place && g->frozen ? room_spare(pool, g, &fresh) : NULL;
	if (s)
		make(pool, g, s);
	g->zygote.making = false;
	g->busy--;
	group_changed(pool, g, ending);
	pool_reap(pool, ending);
}

static void replace_all_dead(nova_pool_t *pool, struct slot **ending)
{
	for (struct link *l = pool->zygotes.next, *next; l != &pool->zygotes; l = next) {
		struct group *g = CONTAINER_OF(l, struct group, zygote.stands);
		next = l->next;
		if (nova_vm_state(g->zygote.slot->vm) == NOVA_VM_DEAD) {
			replace(pool, g, ending);
			group_put(pool, g);
		}
	}
}

void zygotes_maintain(nova_pool_t *pool)
{
	struct slot *ending = NULL;
	replace_all_dead(pool, &ending);
	pool_reap(pool, &ending);
	for (struct group *g; !pool->draining && (g = next_wanted(pool)) != NULL;)
		make_next(pool, g, &ending);
	look_at_all(pool, &ending);
	pool_reap(pool, &ending);
}

uint64_t zygotes_due(const nova_pool_t *pool)
{
	uint64_t due = !list_empty(&pool->rehearsing) ? deadline_in_ms(REHEARSAL_MS) :
		       list_empty(&pool->zygotes)     ? NEVER :
							deadline_in_ms(LOOK_MS);
	for (struct link *l = pool->wanted.next; l != &pool->wanted && !pool->draining;
		l = l->next) {
		uint64_t when = CONTAINER_OF(l, struct group, zygote.wanted)->zygote.not_before;
		due = when < due ? when : due;
	}
	return due;
}
